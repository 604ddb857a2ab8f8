//! Commands (RFC 5321 §4.1.1): a framed line -> a value.

use alloc::string::String;
use alloc::vec::Vec;

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
    },
    /// DATA.
    Data,
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

/// What MAIL declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// SIZE (RFC 1870), 0 when not given.
    pub size: u64,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// AUTH= (RFC 4954 §5) was given; whom it names is not believed.
    pub auth: bool,
    /// Any parameter was given.
    pub any: bool,
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
    /// A parameter that was not offered: 555.
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

/// `mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]`; a space behind the colon is forgiven.
fn mail(rest: &[u8]) -> Result<Command, Syntax> {
    let rest = keyword(rest, b"FROM:").ok_or(Syntax::Argument("say MAIL FROM:<address>"))?;
    let (path, rest) = ReversePath::parse_prefix(rest, false).map_err(Syntax::Address)?;
    let mut parameters = MailParameters::default();
    for parameter in parameter_words(rest)? {
        parameters.any = true;
        let (name, value) = parameter
            .split_once('=')
            .map_or((parameter, None), |(name, value)| (name, Some(value)));
        match (name.to_ascii_uppercase().as_str(), value) {
            // size-value = 1*20DIGIT (RFC 1870 §6.1)
            ("SIZE", Some(value))
                if value.len() <= 20 && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                parameters.size = value.parse().unwrap_or(u64::MAX);
            }
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") => parameters.eight_bit = false,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("8BITMIME") => parameters.eight_bit = true,
            ("AUTH", Some(_)) => parameters.auth = true,
            ("SIZE" | "BODY", _) => return Err(Syntax::Argument("the parameter's value is malformed")),
            _ => return Err(Syntax::Parameter(name.into())),
        }
    }
    Ok(Command::Mail { path, parameters })
}

/// `rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters]`.
fn rcpt(rest: &[u8]) -> Result<Command, Syntax> {
    let rest = keyword(rest, b"TO:").ok_or(Syntax::Argument("say RCPT TO:<address>"))?;
    let (path, rest) = ForwardPath::parse_prefix(rest, false).map_err(Syntax::Address)?;
    match parameter_words(rest)?.first() {
        None => Ok(Command::Rcpt { path }),
        Some(parameter) => Err(Syntax::Parameter(parameter.split('=').next().unwrap_or_default().into())),
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

fn parameter_words(rest: &[u8]) -> Result<Vec<&str>, Syntax> {
    if rest.first().is_some_and(|byte| *byte != b' ') {
        return Err(Syntax::Address(AddressError::Brackets));
    }
    let text = core::str::from_utf8(rest).map_err(|_| Syntax::Argument("parameters are ASCII"))?;
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Syntax::Argument("parameters are printable ASCII"));
    }
    Ok(text.split(' ').filter(|word| !word.is_empty()).collect())
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
                    any: true
                },
                ..
            })
        ));
        assert!(matches!(parse(b"mail from: <a@b>"), Ok(Command::Mail { .. })));
        assert_eq!(parse(b"MAIL FROM:<a@b> RET=HDRS"), Err(Syntax::Parameter("RET".into())));
        assert_eq!(parse(b"RCPT TO:<a@b> NOTIFY=NEVER"), Err(Syntax::Parameter("NOTIFY".into())));
        assert_eq!(parse(b"RCPT TO:<a@b>x"), Err(Syntax::Address(AddressError::Brackets)));
        assert_eq!(parse(b"GET / HTTP/1.1"), Err(Syntax::Http));
        assert_eq!(parse(b"EXPN staff"), Err(Syntax::NotImplemented));
        assert_eq!(parse(b"BDAT 5 LAST"), Err(Syntax::Unknown), "CHUNKING is not offered");
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
