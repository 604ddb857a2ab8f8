//! What the adapters read from outside: the PROXY header, the head of an HTTP request, the configuration, the accounts file, lines of the
//! control socket, the system's list of DNS servers.

use std::future::Future as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll, Waker};

use pillarbox::accounts::{AliasAddress, text};
use pillarbox::config::{self, Severity};
use pillarbox::control::{Request, parse_which};
use pillarbox::http::request::{Search, parse as parse_head};
use pillarbox::http::{Bad, Head, Method};
use pillarbox::proxy::{self, Parsed, Source};
use pillarbox::resolver::resolv_conf;
use pillarbox_core::limits;

use crate::{pieces, steered};

/// Read as a stream is: what is missing belongs to the header, so not an octet behind it is taken; a peer's address is written in both
/// versions and read again; what is cut is never a header.
pub fn proxy_header(bytes: &[u8]) {
    let mut stream = bytes;
    let mut reading = Box::pin(proxy::read_header(&mut stream));
    let Poll::Ready(read) = reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("all of it is there")
    };
    drop(reading);
    let mut len = 0;
    let header = loop {
        match proxy::parse(&bytes[..len]) {
            Err(_) => return assert!(read.is_err_and(|error| error.kind() == ErrorKind::InvalidData)),
            Ok(Parsed::Header(source)) => break source,
            Ok(Parsed::Missing(count)) => {
                assert!(count > 0 && len + count <= 536, "{count} octets behind {len}");
                len += count;
                if len > bytes.len() {
                    return assert!(read.is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof));
                }
            }
        }
    };
    assert_eq!(stream, &bytes[len..], "what is behind the header stays");
    match header {
        Source::Peer(peer) => assert_eq!(read.ok(), Some(Some(peer))),
        Source::Unknown => assert_eq!(read.ok(), Some(None)),
    }
    for cut in 0..len {
        match proxy::parse(&bytes[..cut]) {
            Ok(Parsed::Missing(count)) => assert!(cut + count <= len, "it takes what is behind the header"),
            other => panic!("{other:?} of {cut} octets"),
        }
    }
    let Source::Peer(peer) = header else { return };
    planted!(peer.is_ipv6() && peer.port() < 256 && bytes.starts_with(b"\r"));
    for written in [version_1(peer), version_2(peer)] {
        assert_eq!(
            proxy::parse(&written),
            Ok(Parsed::Header(header)),
            "{}",
            String::from_utf8_lossy(&written)
        );
    }
}

fn version_1(peer: SocketAddr) -> Vec<u8> {
    let family = if peer.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {0} {0} {1} 25\r\n", peer.ip(), peer.port()).into_bytes()
}

fn version_2(peer: SocketAddr) -> Vec<u8> {
    let mut out = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    let (family, address) = match peer {
        SocketAddr::V4(peer) => (0x11, peer.ip().octets().to_vec()),
        SocketAddr::V6(peer) => (0x21, peer.ip().octets().to_vec()),
    };
    out.extend_from_slice(&[family, 0, 2 * address.len() as u8 + 4 + 5]);
    out.extend_from_slice(&[&address[..], &address, &peer.port().to_be_bytes(), &[0, 25], &[4, 0, 2, 7, 7]].concat());
    out
}

/// A head ends where its empty line does, however it comes; what is understood is written plainly and understood alike.
pub fn http_head(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let found = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut search, mut input) = (Search::default(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            match search.end(&input) {
                Ok(None) => {}
                end => return end,
            }
        }
        Ok(None)
    };
    let whole = found(&mut [bytes].into_iter());
    assert_eq!(found(&mut bytes.chunks(1)), whole);
    assert_eq!(found(&mut pieces(bytes, steer)), whole);
    let Ok(Some(end)) = whole else { return };
    assert!(end <= limits::HTTP_HEAD && bytes[..end].ends_with(b"\r\n\r\n"));
    let Ok(head) = parse_head(&bytes[..end]) else { return };
    assert!(head.length <= limits::HTTP_BODY);
    planted!(head.method == Method::Post && head.expects_continue && head.host.is_some() && head.query.len() > 2);
    let Head {
        method,
        path,
        query,
        host,
        length,
        expects_continue,
        close,
    } = &head;
    if *method == Method::Other || path.contains("://") {
        return;
    }
    let host = host.as_ref().map_or_else(|| "[::1]".into(), ToString::to_string);
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    let mut text = format!(
        "{} {path}{query} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n",
        method.name()
    );
    if *expects_continue {
        text.push_str("Expect: 100-continue\r\n");
    }
    if *close {
        text.push_str("Connection: close\r\n");
    }
    text.push_str("\r\n");
    assert_eq!(parse_head(text.as_bytes()), Ok(head), "{text}");
    // A length beside another framing is never taken (request smuggling).
    let two = text.replacen("\r\n", "\r\nTransfer-Encoding: chunked\r\n", 1);
    assert!(matches!(parse_head(two.as_bytes()), Err(Bad::Syntax(_))), "{two}");
}

/// Problems stand in the text; there is a configuration exactly without errors, the same again, with comments and with line ends of
/// either kind; what it says keeps to its bounds.
pub fn config_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = config::read(text, Path::new("/etc/pillarbox"));
    for problem in &read.problems {
        if let Some(at) = &problem.at {
            assert!(text.get(at.clone()).is_some(), "{problem:?}");
        }
        assert!(!problem.what.is_empty() && !problem.hint.is_empty(), "{problem:?}");
    }
    // Showing takes longer than all the rest.
    let shown = config::render("pillarbox.toml", text, &read.problems[..read.problems.len().min(2)]);
    assert!(shown.contains("pillarbox.toml: "));
    let errors = read.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(read.config.is_none(), errors, "{:?}", read.problems);
    let lines = text.split('\n').count();
    for origin in &read.origins {
        assert!(origin.line.is_none_or(|line| (1..=lines).contains(&line)), "{origin:?}");
    }
    let Some(config) = read.config else { return };
    planted!(config.message_max < limits::MESSAGE && config.message_max % (10 << 20) != 0);
    assert!(!config.domains.is_empty() || config.postmaster.is_none());
    let noted = config::read(&format!("# noted\n{text}\n# noted"), Path::new("/etc/pillarbox"));
    assert_eq!(noted.config.as_ref(), Some(&config));
    if !text.contains('\r') && !text.contains("\"\"\"") && !text.contains("'''") {
        let dos = config::read(&text.replace('\n', "\r\n"), Path::new("/etc/pillarbox"));
        assert_eq!(dos.config.as_ref(), Some(&config));
    }
}

/// What is read is written and read again; a line of it alone is wrong, or says one thing.
pub fn accounts_file(bytes: &[u8]) {
    let Ok(register) = text::parse(bytes) else { return };
    let written = text::encode(&register);
    assert_eq!(text::parse(written.as_bytes()).as_ref(), Ok(&register), "{written}");
    assert_eq!(written.lines().count(), 1 + register.accounts.len() + register.aliases.len());
    planted!(
        register
            .aliases
            .iter()
            .any(|alias| matches!(alias.address, AliasAddress::CatchAll(_)) && alias.targets.len() > 1)
    );
    for alias in &register.aliases {
        assert!(alias.address.is(&alias.address) && !alias.targets.is_empty());
        let _ = alias.address.domain();
    }
}

/// A request that is read is written and read again.
pub fn control_line(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(which) = parse_which(text) {
        assert!(!text.is_empty(), "{which:?}");
    }
    let Some(request) = Request::parse(text) else { return };
    let line = request.line();
    planted!(line.starts_with("queue hold @") && line.len() > 20);
    assert_eq!(Request::parse(&line).as_ref(), Some(&request), "{line}");
}

/// Line by line: the addresses behind `nameserver`, each once, not too many, at port 53; or this machine.
pub fn resolv_conf(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let servers = resolv_conf::servers(text);
    assert!((1..=limits::DNS_SERVERS).contains(&servers.len()));
    let mut naive: Vec<SocketAddr> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let ["nameserver", address, ..] = words[..]
            && let Ok(ip) = address.parse()
            && !naive.contains(&SocketAddr::new(ip, 53))
        {
            naive.push(SocketAddr::new(ip, 53));
        }
    }
    planted!(naive.len() > 1 && naive.iter().all(SocketAddr::is_ipv6));
    naive.truncate(limits::DNS_SERVERS);
    if naive.is_empty() {
        naive.push(SocketAddr::from(([127, 0, 0, 1], 53)));
    }
    assert_eq!(servers, naive);
}
