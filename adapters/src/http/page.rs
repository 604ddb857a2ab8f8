//! The page for people: what this server is, and how to set up a mail program.

use pillarbox_core::address::Domain;
use pillarbox_core::setup::xml::escape;
use pillarbox_core::setup::{Kind, Security, Services};

/// HTML without scripts and without anything from elsewhere.
pub(super) fn page(services: &Services, domain: &Domain) -> Vec<u8> {
    let (host, domain) = (escape(services.hostname.as_str()), escape(domain.as_str()));
    let mut rows = String::new();
    for (kind, what) in [
        (Kind::Imap, "Reading mail: IMAP"),
        (Kind::Pop3, "Fetching mail: POP3"),
        (Kind::Submission, "Sending mail: SMTP"),
    ] {
        for service in services.of(kind) {
            let security = match service.security {
                Security::Tls => "SSL/TLS",
                Security::StartTls => "STARTTLS",
            };
            rows.push_str(&format!(
                "<tr><td>{what}</td><td>{host}</td><td>{}</td><td>{security}</td></tr>\n",
                service.port
            ));
        }
    }
    let by_hand = match rows.is_empty() {
        true => "<p>No service for mail programs listens at the moment.</p>\n".to_string(),
        false => format!(
            "<h2>By hand</h2>\n<table>\n<tr><th>For</th><th>Server</th><th>Port</th><th>Security</th></tr>\n{rows}</table>\n\
             <p>User name: your whole address. Password: your mail password (\u{201c}normal password\u{201d}); the connection is \
             encrypted. Of several lines for one purpose take the first.</p>\n"
        ),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Mail for {domain}</title>\n<style>\n\
         body {{ font-family: sans-serif; line-height: 1.5; max-width: 42em; margin: 2em auto; padding: 0 1em }}\n\
         td, th {{ text-align: left; padding: 0.2em 1.5em 0.2em 0 }}\n</style>\n</head>\n<body>\n\
         <h1>Mail for {domain}</h1>\n\
         <p>This is <b>{host}</b>, a mail server. It has no web mail: use a mail program on your computer or phone.</p>\n\
         <h2>Set up a mail program</h2>\n\
         <p>Add an account with your name, your address and your password. Thunderbird, Outlook and many others then find everything \
         else here by themselves.</p>\n\
         {by_hand}<p>Something does not work? Write to <b>postmaster@{domain}</b>.</p>\n</body>\n</html>\n"
    )
    .into_bytes()
}
