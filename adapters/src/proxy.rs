//! The PROXY protocol, versions 1 and 2: whom a proxy speaks for. Believed only from peers that the configuration names.
//!
//! ```text
//! v1: "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port CRLF  /  "PROXY UNKNOWN" *OCTET CRLF
//! v2: 12 octets of signature, version and command, family, u16 length; addresses; *( type u16-length value )
//! ```
//! Source: "The PROXY protocol", HAProxy, 2020. Anything else is malformed and ends the connection.

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_lite::{AsyncRead, AsyncReadExt};

/// What stands at the start of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// So far it is a header; at least so many bytes are missing, and belong to it.
    Missing(usize),
    /// A whole header, of all the bytes.
    Header(Source),
}

/// Whom the proxy speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This peer.
    Peer(SocketAddr),
    /// Itself, or somebody whose address it does not know: the connection's own address holds.
    Unknown,
}

/// Not a PROXY header; the text says what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed PROXY header: {0}")]
pub struct Malformed(pub &'static str);

/// Reads a header and nothing beyond it. `None`: the connection's own address holds. The caller sets the deadline.
///
/// # Errors
/// When the header is malformed (`InvalidData`), or the connection ends before it does.
pub async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<SocketAddr>> {
    let mut buffer = [0; V2_MAX];
    let mut len = 0;
    loop {
        match parse(&buffer[..len]).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Parsed::Header(Source::Peer(peer)) => return Ok(Some(peer)),
            Parsed::Header(Source::Unknown) => return Ok(None),
            Parsed::Missing(count) => {
                stream.read_exact(&mut buffer[len..len + count]).await?;
                len += count;
            }
        }
    }
}

/// Parses what has come so far; the bytes end where [`Parsed::Missing`] said at the latest.
///
/// # Errors
/// As soon as the bytes cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let shown = bytes.len().min(SIGNATURE.len());
    if bytes[..shown] == SIGNATURE[..shown] {
        // The signature's first octet is no letter: no v1 header begins so.
        return if bytes.is_empty() {
            Ok(Parsed::Missing(SIGNATURE.len()))
        } else {
            parse_v2(bytes)
        };
    }
    parse_v1(bytes)
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of signature, version, family and length.
const V2_FIXED: usize = 16;
/// Octets of a whole v2 header: what fits every network's smallest packet, which proxies must not exceed (§2.2).
const V2_MAX: usize = 536;
/// Octets of a whole v1 line with CRLF (§2.1).
const V1_MAX: usize = 107;

fn parse_v1(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let start = b"PROXY ";
    let shown = bytes.len().min(start.len());
    if bytes[..shown] != start[..shown] {
        return Err(Malformed("it does not begin with a header"));
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let missing = if bytes.ends_with(b"\r") { 1 } else { 2 };
        return if bytes.len() + missing > V1_MAX {
            Err(Malformed("the line is too long"))
        } else {
            Ok(Parsed::Missing(missing))
        };
    };
    let line = std::str::from_utf8(line).map_err(|_| Malformed("the line is not ASCII"))?;
    if line.contains(['\r', '\n']) {
        return Err(Malformed("a line break inside the line"));
    }
    let mut fields = line.split(' ').skip(1);
    let family = fields.next();
    if family == Some("UNKNOWN") {
        return Ok(Parsed::Header(Source::Unknown));
    }
    let mut field = || fields.next().ok_or(Malformed("a field is missing"));
    let (source, destination, source_port, destination_port) = (field()?, field()?, field()?, field()?);
    let address = |text: &str| -> Result<IpAddr, Malformed> {
        let wrong = Malformed("an address is wrong");
        match family {
            Some("TCP4") => text.parse::<Ipv4Addr>().map(IpAddr::from).map_err(|_| wrong),
            Some("TCP6") => text.parse::<Ipv6Addr>().map(|ip| ip.to_canonical()).map_err(|_| wrong),
            _ => Err(Malformed("an unknown family")),
        }
    };
    let source = SocketAddr::new(address(source)?, port(source_port)?);
    address(destination)?;
    port(destination_port)?;
    if fields.next().is_some() {
        return Err(Malformed("a field too many"));
    }
    Ok(Parsed::Header(Source::Peer(source)))
}

/// Decimal, without sign or leading zeros.
fn port(text: &str) -> Result<u16, Malformed> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed("a port is wrong"))
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED>() else {
        return Ok(Parsed::Missing(V2_FIXED - bytes.len()));
    };
    let len = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if V2_FIXED + len > V2_MAX {
        return Err(Malformed("the header is too long"));
    }
    let local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed("an unknown version or command")),
    };
    if rest.len() < len {
        return Ok(Parsed::Missing(len - rest.len()));
    }
    if rest.len() > len {
        return Err(Malformed("bytes behind the header"));
    }
    if local {
        return Ok(Parsed::Header(Source::Unknown)); // §2.2: the proxy itself, a health check; what follows is skipped
    }
    let (source, addresses) = match fixed[13] {
        0x11 => (v2_source::<4>(rest, 12)?, 12),
        0x21 => (v2_source::<16>(rest, 36)?, 36),
        0x00 => (Source::Unknown, 0),
        0x31 => (Source::Unknown, 216),
        _ => return Err(Malformed("an unknown family")),
    };
    // §2.2: with an unspecified family even the length of the addresses is unknown, so nothing behind them can be checked.
    if fixed[13] != 0x00 {
        check_extras(rest.get(addresses..).ok_or(Malformed("the addresses are cut short"))?)?;
    }
    Ok(Parsed::Header(source))
}

/// Source address, destination address, source port, destination port.
fn v2_source<const N: usize>(rest: &[u8], len: usize) -> Result<Source, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let addresses = rest.get(..len).ok_or(Malformed("the addresses are cut short"))?;
    let ip: [u8; N] = addresses[..N].try_into().expect("taken to size");
    let port = u16::from_be_bytes([addresses[2 * N], addresses[2 * N + 1]]);
    Ok(Source::Peer(SocketAddr::new(IpAddr::from(ip).to_canonical(), port)))
}

/// Type, length and value, none of which we use, must fill the header exactly.
fn check_extras(mut extras: &[u8]) -> Result<(), Malformed> {
    while let Some(([_, high, low], rest)) = extras.split_first_chunk::<3>() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        extras = rest.get(len..).ok_or(Malformed("an extra field is cut short"))?;
    }
    if extras.is_empty() {
        Ok(())
    } else {
        Err(Malformed("an extra field is cut short"))
    }
}
