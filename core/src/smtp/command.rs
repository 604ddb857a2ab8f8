//! Commands (RFC 5321 §4.1.1): a framed line -> a value.

use alloc::string::String;
use alloc::vec::Vec;

use super::parameter::{self, MailParameters, RcptParameters};
use crate::address::{AddressError, ForwardPath, ReversePath};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// EHLO (`extended`) or HELO, with the client's name as it was written.
    Hello {
        /// EHLO.
        extended: bool,
        /// What the client calls itself.
        name: String,
    },
    /// MAIL.
    Mail {
        /// Who sends.
        path: ReversePath,
        /// What it declares.
        parameters: MailParameters,
    },
    /// RCPT.
    Rcpt {
        /// Who gets it.
        path: ForwardPath,
        /// What is wished for it.
        parameters: RcptParameters,
    },
    /// DATA.
    Data,
    /// BDAT (RFC 3030): so many octets follow the line.
    Bdat {
        /// How many.
        size: u64,
        /// The message ends with them.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP, whatever follows it.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY, whatever follows it.
    Vrfy,
    /// HELP.
    Help,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth {
        /// The mechanism's name, in upper case.
        mechanism: String,
        /// The initial response, still in base64 (`=` for an empty one).
        initial: Option<Vec<u8>>,
    },
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syntax {
    /// No such verb: 500.
    Unknown,
    /// A verb of RFC 5321 that is not built: 502.
    NotImplemented,
    /// An HTTP request, or one of its fields: someone is lost, or plays tricks (S64).
    Http,
    /// The argument is missing or malformed: 501.
    Argument(&'static str),
    /// The address is malformed: 501.
    Address(AddressError),
    /// BDAT without a size that can be read: where its octets end is unknown, so the session ends.
    Chunk,
    /// A parameter that is never offered: 555.
    Parameter(String),
}

/// Reads a line without its CRLF.
///
/// ```text
/// command = verb [ SP argument ]
/// ```
///
/// # Errors
/// What is wrong, as the reply is to say it.
pub fn parse(line: &[u8]) -> Result<Command, Syntax> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (verb, rest) = (line[..end].to_ascii_uppercase(), line[end..].trim_ascii());
    let bare = |command| {
        if rest.is_empty() {
            Ok(command)
        } else {
            Err(Syntax::Argument("no argument is allowed"))
        }
    };
    match verb.as_slice() {
        b"EHLO" => hello(true, rest),
        b"HELO" => hello(false, rest),
        b"MAIL" => mail(rest),
        b"RCPT" => rcpt(rest),
        b"DATA" => bare(Command::Data),
        b"BDAT" => bdat(rest),
        b"RSET" => bare(Command::Rset),
        b"NOOP" => Ok(Command::Noop),
        b"QUIT" => bare(Command::Quit),
        b"VRFY" if rest.is_empty() => Err(Syntax::Argument("a name is missing")),
        b"VRFY" => Ok(Command::Vrfy),
        b"HELP" => Ok(Command::Help),
        b"EXPN" | b"TURN" | b"SEND" | b"SOML" | b"SAML" => Err(Syntax::NotImplemented),
        b"STARTTLS" => bare(Command::StartTls),
        b"AUTH" => auth(rest),
        b"GET" | b"POST" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"CONNECT" | b"PATCH" | b"TRACE" | b"HOST:" => {
            Err(Syntax::Http)
        }
        _ => Err(Syntax::Unknown),
    }
}

/// `ehlo = "EHLO" SP ( Domain / address-literal )`: any word is taken, since what clients call themselves varies.
fn hello(extended: bool, rest: &[u8]) -> Result<Command, Syntax> {
    let name = core::str::from_utf8(rest)
        .ok()
        .filter(|name| !name.is_empty() && name.len() <= 255);
    let name = name.filter(|name| name.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
    let name = name.ok_or(Syntax::Argument("say your host name or address literal"))?;
    Ok(Command::Hello {
        extended,
        name: name.into(),
    })
}

/// `mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]`; a space behind the colon is forgiven. Whether the path may have other
/// than ASCII characters is the session's to say.
fn mail(rest: &[u8]) -> Result<Command, Syntax> {
    let rest = keyword(rest, b"FROM:").ok_or(Syntax::Argument("say MAIL FROM:<address>"))?;
    let (path, rest) = ReversePath::parse_prefix(rest, true).map_err(Syntax::Address)?;
    let parameters = parameter::mail(rest)?;
    Ok(Command::Mail { path, parameters })
}

/// `rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters]`.
fn rcpt(rest: &[u8]) -> Result<Command, Syntax> {
    let rest = keyword(rest, b"TO:").ok_or(Syntax::Argument("say RCPT TO:<address>"))?;
    let (path, rest) = ForwardPath::parse_prefix(rest, true).map_err(Syntax::Address)?;
    let parameters = parameter::rcpt(rest)?;
    Ok(Command::Rcpt { path, parameters })
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ]` (RFC 3030 §2).
fn bdat(rest: &[u8]) -> Result<Command, Syntax> {
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(|word| core::str::from_utf8(word).ok());
    let size = size.filter(|size| size.bytes().all(|byte| byte.is_ascii_digit()));
    let size = size.and_then(|size| size.parse().ok()).ok_or(Syntax::Chunk)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return Err(Syntax::Chunk),
    };
    match words.next() {
        None => Ok(Command::Bdat { size, last }),
        Some(_) => Err(Syntax::Chunk),
    }
}

/// `auth = "AUTH" SP sasl-mech [SP initial-response]` (RFC 4954 §4).
fn auth(rest: &[u8]) -> Result<Command, Syntax> {
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    let (mechanism, initial) = (&rest[..end], rest[end..].trim_ascii());
    let mechanism = core::str::from_utf8(mechanism)
        .ok()
        .filter(|name| (1..=20).contains(&name.len()));
    let mechanism = mechanism
        .ok_or(Syntax::Argument("say AUTH and a mechanism"))?
        .to_ascii_uppercase();
    Ok(Command::Auth {
        mechanism,
        initial: (!initial.is_empty()).then(|| initial.to_vec()),
    })
}

fn keyword<'a>(rest: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then(|| tail.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        assert!(matches!(parse(b"ehlo x"), Ok(Command::Hello { extended: true, .. })));
        assert!(matches!(
            parse(b"MAIL FROM:<> SIZE=5 BODY=8BITMIME"),
            Ok(Command::Mail {
                parameters: MailParameters {
                    size: 5,
                    eight_bit: true,
                    auth: false,
                    utf8: false,
                    any: true,
                    ..
                },
                ..
            })
        ));
        assert!(matches!(parse(b"mail from: <a@b>"), Ok(Command::Mail { .. })));
        assert_eq!(parse(b"MAIL FROM:<a@b> BY=120;R"), Err(Syntax::Parameter("BY".into())));
        assert_eq!(parse(b"RCPT TO:<a@b> X-Y"), Err(Syntax::Parameter("X-Y".into())));
        assert_eq!(parse(b"RCPT TO:<a@b>x"), Err(Syntax::Address(AddressError::Brackets)));
        assert_eq!(parse(b"GET / HTTP/1.1"), Err(Syntax::Http));
        assert_eq!(parse(b"EXPN staff"), Err(Syntax::NotImplemented));
        assert_eq!(parse(b"BDAT 5 LAST"), Ok(Command::Bdat { size: 5, last: true }));
        assert_eq!(parse(b"bdat  0 last"), Ok(Command::Bdat { size: 0, last: true }));
        assert_eq!(parse(b"BDAT 007"), Ok(Command::Bdat { size: 7, last: false }));
        for bad in [
            "BDAT",
            "BDAT x",
            "BDAT -1",
            "BDAT +1",
            "BDAT 1 LASTX",
            "BDAT 1 LAST x",
            "BDAT LAST",
            "BDAT 18446744073709551616",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(Syntax::Chunk), "{bad}");
        }
        assert_eq!(parse(b"DATA x"), Err(Syntax::Argument("no argument is allowed")));
        assert_eq!(parse(b"\xff\xfe"), Err(Syntax::Unknown));
        assert!(parse(b"MAIL FROM:<a@b> SIZE=x").is_err());
        assert!(parse(b"EHLO").is_err());
        assert!(parse(b"EHLO a b").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
