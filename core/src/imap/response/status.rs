//! Status responses: `response-tagged = tag SP resp-cond-state CRLF`,
//! `resp-cond-state = ("OK" / "NO" / "BAD") SP ["[" resp-text-code "]" SP] text` (RFC 9051 §7.1).

use alloc::format;
use alloc::vec::Vec;

use crate::imap::command::Tag;
use crate::imap::flag;
use crate::imap::sequence::Intervals;
use crate::store::Flags;

/// What a status response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// OK.
    Ok,
    /// NO: not done.
    No,
    /// BAD: not understood, or out of place.
    Bad,
    /// BYE: the session ends. Untagged only.
    Bye,
    /// PREAUTH: a greeting. Untagged only.
    PreAuth,
}

/// `resp-text-code`: what a program may act on (RFC 9051 §7.1, RFC 5530).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code<'a> {
    /// ALERT: show the text to the user.
    Alert,
    /// ALREADYEXISTS.
    AlreadyExists,
    /// APPENDUID (RFC 4315 §3).
    AppendUid {
        /// UIDVALIDITY.
        uid_validity: u32,
        /// The new message's UID.
        uid: u32,
    },
    /// AUTHENTICATIONFAILED.
    AuthenticationFailed,
    /// BADCHARSET, with those that every client can use (RFC 9051 §7.1).
    BadCharset,
    /// CAPABILITY, with the names.
    Capability(&'a [&'a str]),
    /// CANNOT: can never be done.
    Cannot,
    /// CLIENTBUG.
    ClientBug,
    /// CLOSED: the mailbox before is no longer selected (RFC 7162 §3.2.11).
    Closed,
    /// CONTACTADMIN.
    ContactAdmin,
    /// COPYUID (RFC 4315 §3).
    CopyUid {
        /// UIDVALIDITY of the destination.
        uid_validity: u32,
        /// UIDs here.
        from: &'a Intervals,
        /// UIDs there, in the same order.
        to: &'a Intervals,
    },
    /// EXPUNGEISSUED.
    ExpungeIssued,
    /// HASCHILDREN (RFC 9051 §7.1).
    HasChildren,
    /// INUSE.
    InUse,
    /// LIMIT.
    Limit,
    /// NONEXISTENT.
    NonExistent,
    /// OVERQUOTA.
    OverQuota,
    /// PERMANENTFLAGS: the system flags and these keywords; `\*`: new keywords may be made.
    PermanentFlags {
        /// System flags.
        flags: Flags,
        /// Keywords.
        keywords: &'a [&'a str],
        /// `\*`.
        more: bool,
    },
    /// PRIVACYREQUIRED.
    PrivacyRequired,
    /// READ-ONLY.
    ReadOnly,
    /// READ-WRITE.
    ReadWrite,
    /// SERVERBUG.
    ServerBug,
    /// TOOBIG (RFC 4469 §4.2).
    TooBig,
    /// TRYCREATE.
    TryCreate,
    /// UIDNEXT.
    UidNext(u32),
    /// UIDVALIDITY.
    UidValidity(u32),
    /// UNKNOWN-CTE (RFC 3516 §4.3).
    UnknownCte,
    /// UNAVAILABLE.
    Unavailable,
    /// USEATTR: the use cannot be given to this mailbox (RFC 6154 §3).
    UseAttr,
    /// UNSEEN: the number of the first unseen message (RFC 3501 §7.1).
    Unseen(u32),
}

/// Writes a status response; without a tag: `*`. `text` is ours: one line of ASCII, not empty.
///
/// # Panics
/// When `text` is not: the caller's bug, for it would break the protocol (S18).
pub fn status(tag: Option<&Tag>, condition: Condition, code: Option<&Code<'_>>, text: &str, out: &mut Vec<u8>) {
    assert!(
        !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        "a reply's text"
    );
    super::tag(tag, out);
    out.extend_from_slice(match condition {
        Condition::Ok => b"OK ",
        Condition::No => b"NO ",
        Condition::Bad => b"BAD ",
        Condition::Bye => b"BYE ",
        Condition::PreAuth => b"PREAUTH ",
    });
    if let Some(code) = code {
        out.push(b'[');
        encode_code(code, out);
        out.extend_from_slice(b"] ");
    }
    super::line(out, &[text]);
}

fn encode_code(code: &Code<'_>, out: &mut Vec<u8>) {
    let name = match code {
        Code::Alert => "ALERT",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
        Code::Cannot => "CANNOT",
        Code::ClientBug => "CLIENTBUG",
        Code::Closed => "CLOSED",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::HasChildren => "HASCHILDREN",
        Code::InUse => "INUSE",
        Code::Limit => "LIMIT",
        Code::NonExistent => "NONEXISTENT",
        Code::OverQuota => "OVERQUOTA",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::ServerBug => "SERVERBUG",
        Code::TooBig => "TOOBIG",
        Code::TryCreate => "TRYCREATE",
        Code::Unavailable => "UNAVAILABLE",
        Code::UseAttr => "USEATTR",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::AppendUid { uid_validity, uid } => return number(out, &format!("APPENDUID {uid_validity} {uid}")),
        Code::UidNext(uid) => return number(out, &format!("UIDNEXT {uid}")),
        Code::UidValidity(value) => return number(out, &format!("UIDVALIDITY {value}")),
        Code::Unseen(first) => return number(out, &format!("UNSEEN {first}")),
        Code::Capability(names) => {
            out.extend_from_slice(b"CAPABILITY ");
            return super::words(names.iter().copied(), out);
        }
        Code::CopyUid { uid_validity, from, to } => {
            number(out, &format!("COPYUID {uid_validity} "));
            from.encode(out);
            out.push(b' ');
            return to.encode(out);
        }
        Code::PermanentFlags { flags, keywords, more } => {
            out.extend_from_slice(b"PERMANENTFLAGS ");
            let keywords = keywords.iter().copied().chain(more.then_some("\\*"));
            return flag::encode_list(*flags, keywords, false, out);
        }
    };
    out.extend_from_slice(name.as_bytes());
}

fn number(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
