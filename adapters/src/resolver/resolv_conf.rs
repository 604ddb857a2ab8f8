//! The system's list of DNS servers (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pillarbox_core::limits;

/// The servers that it names, in their order. None named: the one on this machine, as its manual says. Nothing else of the file counts:
/// mail has whole names, so there is nothing to search. An address with a zone (`fe80::1%eth0`) is passed over.
pub fn servers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok())?
    });
    let mut servers: Vec<SocketAddr> = Vec::new();
    for ip in named {
        let server = SocketAddr::new(ip, 53);
        if servers.len() < limits::DNS_SERVERS && !servers.contains(&server) {
            servers.push(server);
        }
    }
    match servers.is_empty() {
        true => vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)],
        false => servers,
    }
}
