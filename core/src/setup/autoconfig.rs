//! Mozilla's autoconfig, version 1.1: what Thunderbird and many others read (`config-v1.1.xml`).
//!
//! Source: the reader in Thunderbird, and draft-ietf-mailmaint-autoconfig. Element names and values are case sensitive. All methods
//! are `password-cleartext`, which means PLAIN or SCRAM inside TLS; `password-encrypted` is CRAM-MD5 to every reader, which we do not
//! have.

use alloc::string::String;
use alloc::vec::Vec;

use super::xml::escape;
use super::{Kind, Security, Service, Services};
use crate::address::{Domain, Mailbox};

/// The document of a domain. With an address its user name is filled in, else the client does it; nothing depends on whether the
/// account exists. `None`: the client could not read mail or could not send it, so there is nothing to set up.
pub fn document(services: &Services, domain: &Domain, address: Option<&Mailbox>) -> Option<Vec<u8>> {
    let mut incoming = services.of(Kind::Imap);
    incoming.extend(services.of(Kind::Pop3));
    let outgoing = services.of(Kind::Submission);
    if incoming.is_empty() || outgoing.is_empty() {
        return None; // a reader wants at least one of each
    }
    let domain = escape(domain.as_str());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n");
    line(&mut out, &["  <emailProvider id=\"", &domain, "\">"]);
    line(&mut out, &["    <domain>", &domain, "</domain>"]);
    line(&mut out, &["    <displayName>", &domain, "</displayName>"]);
    line(&mut out, &["    <displayShortName>", &domain, "</displayShortName>"]);
    let user = match address {
        Some(address) => escape(&alloc::format!("{address}")),
        None => "%EMAILADDRESS%".into(),
    };
    let host = escape(services.hostname.as_str());
    for service in incoming.iter().chain(&outgoing) {
        server(&mut out, *service, &host, &user);
    }
    if let Some(web) = services.web() {
        line(&mut out, &["    <documentation url=\"", &escape(&web), "/\">"]);
        line(&mut out, &["      <descr lang=\"en\">How to set up a mail program</descr>"]);
        line(&mut out, &["    </documentation>"]);
    }
    out.push_str("  </emailProvider>\n</clientConfig>\n");
    Some(out.into_bytes())
}

fn server(out: &mut String, service: Service, host: &str, user: &str) {
    let (element, kind) = match service.kind {
        Kind::Imap => ("incomingServer", "imap"),
        Kind::Pop3 => ("incomingServer", "pop3"),
        Kind::Submission => ("outgoingServer", "smtp"),
    };
    let security = match service.security {
        Security::Tls => "SSL",
        Security::StartTls => "STARTTLS",
    };
    line(out, &["    <", element, " type=\"", kind, "\">"]);
    line(out, &["      <hostname>", host, "</hostname>"]);
    line(out, &["      <port>", &alloc::format!("{}", service.port), "</port>"]);
    line(out, &["      <socketType>", security, "</socketType>"]);
    line(out, &["      <authentication>password-cleartext</authentication>"]);
    line(out, &["      <username>", user, "</username>"]);
    line(out, &["    </", element, ">"]);
}

fn line(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
    out.push('\n');
}
