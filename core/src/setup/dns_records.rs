//! All records that a domain publishes, in the order of the steps to take (`rules.md`, "DNS records").

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::IpAddr;

use super::srv;
use super::{Services, srv::Srv};
use crate::address::Domain;

/// What the records are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// What listens.
    pub services: Services,
    /// Our public addresses, as far as they are known.
    pub addresses: Vec<IpAddr>,
    /// The addresses that mail is sent from, if they are fixed.
    pub sources: Vec<IpAddr>,
    /// Who sends mail for us.
    pub smarthost: Option<Domain>,
    /// Whether mail from other servers is taken at port 25.
    pub smtp: bool,
}

/// One record, or one that only the operator can complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// Its step, from 1.
    pub step: u8,
    /// Its owner, without a final dot.
    pub name: String,
    /// `A`, `AAAA`, `PTR`, `MX`, `TXT`, `SRV`, `CNAME`.
    pub kind: &'static str,
    /// Its data in zone text; `None`: known to nobody but the operator, whom `why` tells what to write.
    pub data: Option<String>,
    /// Why, in a line.
    pub why: String,
}

/// Titles of the steps.
pub const STEPS: [&str; 5] = [
    "The name of this server, and back",
    "Where mail for the domain goes",
    "Who may send for the domain",
    "When all of this works: reports on mail in the domain's name",
    "Mail programs find their settings",
];

/// The records of a domain.
pub fn records(publisher: &Publisher, domain: &Domain) -> Vec<DnsRecord> {
    let mut list = List(Vec::new());
    let host = &publisher.services.hostname;
    addresses(&mut list, publisher);
    if publisher.smtp {
        let why = "Other servers bring the domain's mail here.";
        list.add(2, domain.as_str(), "MX", Some(format!("10 {host}.")), why);
    }
    let sender = spf(publisher);
    list.add(3, domain.as_str(), "TXT", Some(text(&sender.0)), sender.1);
    if host != domain {
        let why = "The server's own name, as it says HELO and in the null sender of reports.";
        list.add(3, host.as_str(), "TXT", Some(text("v=spf1 a -all")), why);
    }
    let why =
        "Asks receivers what they see, and changes nothing yet. Stricter only when the reports show no mail of yours failing.";
    let dmarc = format!("v=DMARC1; p=none; rua=mailto:postmaster@{domain}");
    list.add(4, &format!("_dmarc.{domain}"), "TXT", Some(text(&dmarc)), why);
    set_up(&mut list, publisher, domain);
    list.0
}

/// The records as text for a zone file, with the steps and reasons as comments.
pub fn zone_text(records: &[DnsRecord]) -> String {
    let mut out = String::new();
    let mut step = 0;
    let mut said = "";
    for record in records {
        if record.step != step {
            step = record.step;
            let title = STEPS.get(usize::from(step).wrapping_sub(1)).unwrap_or(&"");
            let begin = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{begin}; {step}. {title}");
            said = "";
        }
        if said != record.why {
            said = &record.why;
            let _ = writeln!(out, "; {said}");
        }
        let owner = format!("{}.", record.name);
        let _ = match &record.data {
            Some(data) => writeln!(out, "{owner:<40} IN {:<5} {data}", record.kind),
            None => writeln!(out, "; {owner:<38} IN {:<5} ...", record.kind),
        };
    }
    out
}

struct List(Vec<DnsRecord>);

impl List {
    fn add(&mut self, step: u8, name: &str, kind: &'static str, data: Option<String>, why: impl Into<String>) {
        let (name, why) = (name.to_string(), why.into());
        self.0.push(DnsRecord {
            step,
            name,
            kind,
            data,
            why,
        });
    }
}

fn addresses(list: &mut List, publisher: &Publisher) {
    let host = publisher.services.hostname.as_str();
    let why = "The server's address: every other record names this host.";
    for ip in &publisher.addresses {
        let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
        list.add(1, host, kind, Some(ip.to_string()), why);
    }
    if publisher.addresses.is_empty() {
        let missing = format!("{why} Write the public IPv4 address of this machine.");
        list.add(1, host, "A", None, missing);
        list.add(
            1,
            host,
            "AAAA",
            None,
            "The public IPv6 address, if mail is to use it; else leave it out.",
        );
    }
    let asked = "Ask whoever gives you the address (they hold this zone): without it large receivers refuse your mail.";
    let all: Vec<&IpAddr> = match publisher.sources.is_empty() {
        true => publisher.addresses.iter().collect(),
        false => publisher.sources.iter().collect(),
    };
    for ip in &all {
        list.add(1, &reverse(**ip), "PTR", Some(format!("{host}.")), asked);
    }
    if all.is_empty() {
        let why = format!("The name of each address must be {host}. {asked}");
        list.add(1, "in-addr.arpa", "PTR", None, why);
    }
}

/// The SPF policy (RFC 7208), and why it is this one.
fn spf(publisher: &Publisher) -> (String, &'static str) {
    let mut policy = String::from("v=spf1");
    for ip in &publisher.sources {
        let mechanism = if ip.is_ipv4() { "ip4" } else { "ip6" };
        let _ = write!(policy, " {mechanism}:{ip}");
    }
    if publisher.sources.is_empty() && publisher.smarthost.is_none() {
        match publisher.smtp {
            true => policy.push_str(" mx"),
            false => {
                let _ = write!(policy, " a:{}", publisher.services.hostname);
            }
        }
    }
    if let Some(smarthost) = &publisher.smarthost {
        // Its provider's domain publishes who sends for it, not the host that we hand mail to.
        let provider = match smarthost.as_str().split_once('.') {
            Some((_, rest)) if rest.contains('.') => rest,
            Some(_) | None => smarthost.as_str(),
        };
        let _ = write!(policy, " include:{provider}");
    }
    policy.push_str(" ~all");
    let why = match (&publisher.smarthost, publisher.sources.is_empty()) {
        (Some(_), _) => "SPF: the smarthost sends for you; ask its operator for the name to include.",
        (None, true) => "SPF: this server sends for you.",
        (None, false) => "SPF: the addresses of delivery.source send for you.",
    };
    (policy, why)
}

fn set_up(list: &mut List, publisher: &Publisher, domain: &Domain) {
    let services = &publisher.services;
    for record in srv::records(services, domain) {
        let why = match (&record.target, record.name.starts_with("_autodiscover")) {
            (None, _) => "Not offered here: mail programs need not try.",
            (Some(_), true) => "Outlook asks here when the name autodiscover does not answer.",
            (Some(_), false) => "For mail programs that look up services (RFC 6186, RFC 8314).",
        };
        list.add(5, &record.name, "SRV", Some(srv_data(&record)), why);
    }
    if services.web().is_some() {
        let target = Some(format!("{}.", services.hostname));
        let why = "Here Thunderbird and others ask for the settings.";
        list.add(5, &format!("autoconfig.{domain}"), "CNAME", target.clone(), why);
        let why = "Here Outlook asks for the settings.";
        list.add(5, &format!("autodiscover.{domain}"), "CNAME", target, why);
    }
}

fn srv_data(record: &Srv) -> String {
    let target = record.target.as_ref().map_or(".".to_string(), |target| format!("{target}."));
    format!("{} {} {} {target}", record.priority, record.weight, record.port)
}

/// A TXT record's data: character strings of at most 255 octets (RFC 1035 §3.3.14); our policies are ASCII without quotes.
fn text(policy: &str) -> String {
    let strings: Vec<String> = policy
        .as_bytes()
        .chunks(255)
        .map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece)))
        .collect();
    strings.join(" ")
}

/// The name that an address has in the reverse zones (RFC 1035 §3.5, RFC 3596 §2.5).
fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let mut name = String::with_capacity(72);
            for octet in ip.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name.push_str("ip6.arpa");
            name
        }
    }
}
