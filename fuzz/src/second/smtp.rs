//! SMTP commands beside `smtp-proto`.
//!
//! Domain: lines of UTF-8 without control characters and without a space too many (RFC 5321 §4.1.1: one SP; both forgive more, each
//! in its own way). Whatever ours reads, the other reads as the same. Whatever ours refuses and the other reads, ours refuses for one
//! of the reasons in [`rightly_refused`] (in the committed seeds).

use pillarbox_core::address::{AddressError, ForwardPath, Host, Mailbox, ReversePath};
use pillarbox_core::smtp::command::{Command, Syntax, parse};
use pillarbox_core::smtp::parameter::{MailParameters, RcptParameters};
use pillarbox_core::store::queue::{Notify, Ret};
use smtp_proto as proto;
use smtp_proto::Request;

type Theirs<'a> = Request<std::borrow::Cow<'a, str>>;

/// A command line, without its CRLF.
pub fn smtp_second(line: &[u8]) {
    let Ok(text) = std::str::from_utf8(line) else { return };
    if text.chars().any(char::is_control) || text.contains("  ") || text.trim() != text {
        return;
    }
    let whole = [line, b"\r\n"].concat();
    let theirs = Request::parse(&mut whole.iter());
    match (parse(line), theirs) {
        (Ok(ours), Ok(theirs)) => {
            planted!(matches!(&ours, Command::Mail { parameters, .. } if parameters.ret == Some(Ret::Headers) && parameters.size > 9));
            // Whom AUTH= names is not looked at by ours; behind a `+` without two digits the other loses its place.
            let lost = has_value(text, "AUTH=", |value| value.contains('+'));
            assert!(lost || same(text, &ours, &theirs), "{text:?}\n{ours:?}\n{theirs:?}");
        }
        (Ok(ours), Err(error)) => assert!(beyond(text, &ours), "{text:?}\n{ours:?}\n{error:?}"),
        (Err(error), Ok(theirs)) => {
            // What the other forgives has no end: a fuzzer is not sent to look for it, the committed seeds are looked at.
            assert!(cfg!(fuzzing) || rightly_refused(text, &error, &theirs), "{text:?}\n{error:?}\n{theirs:?}");
        }
        (Err(_), Err(_)) => {}
    }
}

fn has_value(text: &str, name: &str, is: impl Fn(&str) -> bool) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.split(' ').filter_map(|word| word.strip_prefix(name)).any(is)
}

fn same(text: &str, ours: &Command, theirs: &Theirs<'_>) -> bool {
    match (ours, theirs) {
        (Command::Hello { extended: true, name }, Request::Ehlo { host })
        | (Command::Hello { extended: false, name }, Request::Helo { host }) => name == host,
        (Command::Mail { path, parameters }, Request::Mail { from }) => {
            let path = match path {
                ReversePath::Null => from.address.is_empty(),
                ReversePath::Mailbox(mailbox) => same_mailbox(mailbox, &from.address),
            };
            path && same_mail(text, parameters, from)
        }
        (Command::Rcpt { path, parameters }, Request::Rcpt { to }) => {
            let path = match path {
                // It says the same of `<>`, which is no forward path.
                ForwardPath::Postmaster => to.address.is_empty(),
                ForwardPath::Mailbox(mailbox) => same_mailbox(mailbox, &to.address),
            };
            path && same_rcpt(parameters, to)
        }
        (Command::Bdat { size, last }, Request::Bdat { chunk_size, is_last }) => {
            // RFC 3030 §2: `chunk-size = 1*DIGIT`; it counts in its own way what has more digits than u64.
            (*size == *chunk_size as u64 && last == is_last) || *size > MOST
        }
        (Command::Auth { mechanism, initial }, Request::Auth { mechanism: known, initial_response }) => {
            let known = match mechanism.as_str() {
                "PLAIN" => *known == proto::AUTH_PLAIN,
                "LOGIN" => *known == proto::AUTH_LOGIN,
                "SCRAM-SHA-256" => *known == proto::AUTH_SCRAM_SHA_256,
                "SCRAM-SHA-256-PLUS" => *known == proto::AUTH_SCRAM_SHA_256_PLUS,
                // Those that we have not are refused by name, whatever their bit is.
                _ => ![proto::AUTH_PLAIN, proto::AUTH_LOGIN, proto::AUTH_SCRAM_SHA_256].contains(known),
            };
            let initial = initial.as_deref().unwrap_or_default();
            // RFC 4954 §4: one word; ours takes the rest of the line, and decoding it fails.
            known && (initial == initial_response.as_bytes() || initial.contains(&b' '))
        }
        (Command::Data, Request::Data)
        | (Command::Rset, Request::Rset)
        | (Command::Noop, Request::Noop { .. })
        | (Command::Quit, Request::Quit)
        | (Command::Vrfy, Request::Vrfy { .. })
        | (Command::Help, Request::Help { .. })
        | (Command::StartTls, Request::StartTls) => true,
        _ => false,
    }
}

/// Its parser of numbers is exact up to here.
const MOST: u64 = 9_999_999_999_999_999_999;

/// It drops quotes and their escapes, as ours does, and keeps case; domains have none (RFC 5321 §2.4).
fn same_mailbox(ours: &Mailbox, theirs: &str) -> bool {
    let Some((local, host)) = theirs.rsplit_once('@') else {
        return false;
    };
    let same_host = match &ours.host {
        Host::Domain(domain) => domain.as_str() == host.to_lowercase(),
        Host::Literal(_) => false,
    };
    // A quoted string after an escaped backslash ends for ours (RFC 5321 §4.1.2, quoted-pairSMTP).
    same_host && ours.local.as_str() == local
}

fn same_mail(text: &str, ours: &MailParameters, theirs: &proto::MailFrom<std::borrow::Cow<'_, str>>) -> bool {
    let flag = |flag| theirs.flags & flag != 0;
    let ret = match ours.ret {
        Some(Ret::Full) => flag(proto::MAIL_RET_FULL) && !flag(proto::MAIL_RET_HDRS),
        Some(Ret::Headers) => flag(proto::MAIL_RET_HDRS) && !flag(proto::MAIL_RET_FULL),
        None => !flag(proto::MAIL_RET_FULL) && !flag(proto::MAIL_RET_HDRS),
    };
    let any = theirs.flags != 0
        || theirs.env_id.is_some()
        || theirs.auth.is_some()
        || text.to_ascii_uppercase().contains(" SIZE="); // 0 says nothing
    (ours.size == theirs.size as u64 || ours.size > MOST)
        && ours.eight_bit == flag(proto::MAIL_BODY_8BITMIME)
        && ours.utf8 == flag(proto::MAIL_SMTPUTF8)
        && ours.auth == theirs.auth.is_some()
        && ours.envelope_id.as_deref() == theirs.env_id.as_deref()
        && ours.any == any
        && ret
}

fn same_rcpt(ours: &RcptParameters, theirs: &proto::RcptTo<std::borrow::Cow<'_, str>>) -> bool {
    let bits = [
        (Notify::SUCCESS, proto::RCPT_NOTIFY_SUCCESS),
        (Notify::FAILURE, proto::RCPT_NOTIFY_FAILURE),
        (Notify::DELAY, proto::RCPT_NOTIFY_DELAY),
    ];
    let notify = match ours.notify {
        None => theirs.flags == 0,
        Some(Notify::NEVER) => theirs.flags == proto::RCPT_NOTIFY_NEVER,
        Some(notify) => bits.iter().all(|(one, bit)| notify.contains(*one) == (theirs.flags & bit != 0)),
    };
    let original = ours.original.as_ref().and_then(|original| original.split_once(';'));
    notify && original.map(|(_, address)| address) == theirs.orcpt.as_deref()
}

/// What ours reads and the other does not.
fn beyond(text: &str, ours: &Command) -> bool {
    match ours {
        // It has no address literals (RFC 5321 §4.1.3), no empty quoted local part (§4.1.2: `*QcontentSMTP`), and does not know where
        // a source route ends that holds quotes or what is not ASCII.
        Command::Mail { path, parameters } => {
            let path = match path {
                ReversePath::Null => false,
                ReversePath::Mailbox(mailbox) => unread(text, mailbox),
            };
            path || has_value(text, "AUTH=", |value| value.len() > 256 || value.contains('+')) || parameters.size > MOST
        }
        Command::Rcpt { path, parameters } => {
            let other = |original: &String| {
                // Types other than rfc822 (RFC 3461 §4.2: any atom), and what is longer than it takes.
                original.split_once(';').is_some_and(|(kind, address)| !kind.eq_ignore_ascii_case("rfc822") || address.len() > 256)
            };
            let path = match path {
                ForwardPath::Postmaster => false,
                ForwardPath::Mailbox(mailbox) => unread(text, mailbox),
            };
            path || parameters.original.as_ref().is_some_and(other)
        }
        Command::Bdat { size, .. } => *size > MOST,
        // Mechanisms that it does not know (RFC 4422 §3.1: any name).
        Command::Auth { mechanism, .. } => !["PLAIN", "LOGIN", "SCRAM-SHA-256"].contains(&mechanism.as_str()),
        // What stands behind VRFY and NOOP is not looked at.
        Command::Vrfy => text.len() > 256 || text.contains('"'),
        Command::Hello { .. }
        | Command::Data
        | Command::Rset
        | Command::Noop
        | Command::Quit
        | Command::Help
        | Command::StartTls => false,
    }
}

fn unread(text: &str, mailbox: &Mailbox) -> bool {
    matches!(mailbox.host, Host::Literal(_)) || mailbox.local.as_str().is_empty() || text.contains("<@")
}

/// What the other reads and ours refuses.
fn rightly_refused(text: &str, error: &Syntax, theirs: &Theirs<'_>) -> bool {
    let words = text.split(' ').count();
    match error {
        // It does not look at domains and quotes (RFC 5321 §4.1.2), nor for `<>` behind RCPT (§4.1.1.3).
        Syntax::Address(
            AddressError::LocalPart
            | AddressError::NoDomain
            | AddressError::Domain
            | AddressError::TooLong
            | AddressError::Brackets
            | AddressError::Literal
            | AddressError::NotAscii,
        ) => matches!(theirs, Request::Mail { .. } | Request::Rcpt { .. }),
        Syntax::NotImplemented => matches!(theirs, Request::Expn { .. }),
        Syntax::Unknown => matches!(
            theirs,
            Request::Lhlo { .. } | Request::Etrn { .. } | Request::Atrn { .. } | Request::Burl { .. }
        ),
        Syntax::Http => false,
        // RFC 3030 §2: `BDAT 1 LAST` and nothing else.
        Syntax::Chunk => matches!(theirs, Request::Bdat { .. }) && (words > 2 || text.len() > "BDAT ".len() + 19),
        Syntax::Parameter(name) => {
            let others = [
                "BY", "HOLDUNTIL", "HOLDFOR", "REQUIRETLS", "SOLICIT", "TRANSID", "MTRK", "MT-PRIORITY", "CONPERM",
                "BODY=BINARYMIME", "RRVS", "CONNEG",
            ];
            others.contains(&name.to_ascii_uppercase().as_str())
        }
        Syntax::Argument(_) => match theirs {
            // RFC 5321 §4.1.1: these have no argument; EHLO and HELO have one, in ASCII (§4.1.1.1).
            Request::Data | Request::Rset | Request::Quit | Request::StartTls => words > 1,
            Request::Ehlo { .. } | Request::Helo { .. } => words > 2 || !text.is_ascii(),
            Request::Mail { .. } | Request::Rcpt { .. } => parameters_are_wrong(text),
            // RFC 4422 §3.1: a mechanism's name has at most 20 characters; it tells longer ones as none.
            Request::Auth { mechanism, .. } => *mechanism == 0,
            _ => false,
        },
    }
}

/// What the other takes of parameters, and ours does not.
fn parameters_are_wrong(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let parameters: Vec<&str> = upper.split(' ').skip(2).collect();
    let name = |parameter: &&str| parameter.split('=').next().unwrap_or_default().to_string();
    let names: Vec<String> = parameters.iter().map(name).collect();
    // RFC 3461 §4: RET, ENVID, NOTIFY and ORCPT MUST NOT appear more than once; ours says so of all.
    // A space before the colon of `FROM:` and `TO:` (RFC 5321 §4.1.1.2).
    let colon = !upper.starts_with("MAIL FROM:") && !upper.starts_with("RCPT TO:");
    let twice = names.iter().enumerate().any(|(place, name)| names[..place].contains(name));
    let values = parameters.iter().any(|parameter| match parameter.split_once('=') {
        // RFC 3461 §4: `hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits`, no `=`, printable; and what
        // may stand in each once it is decoded.
        Some(("ENVID" | "ORCPT" | "AUTH", value)) => value.contains(['+', '=']) || !value.is_ascii(),
        // RFC 3461 §4.1: NEVER "MUST appear by itself".
        Some(("NOTIFY", value)) => value.contains("NEVER") && value.contains(','),
        // RFC 1870 §6: `1*20DIGIT`
        Some(("SIZE", value)) => value.len() > 20,
        _ => false,
    });
    // Spaces behind `=` (RFC 5321 §4.1.1.11).
    let spaced = parameters.iter().any(|parameter| parameter.ends_with('='));
    colon || twice || values || spaced
}
