//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2): words behind the path -> values. Whether an extension was offered is the
//! session's to say.

use alloc::string::String;
use alloc::vec::Vec;

use super::command::Syntax;
use crate::address::AddressError;
use crate::limits;
use crate::store::queue::{Notify, Ret};

/// What MAIL declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// SIZE (RFC 1870), 0 when not given.
    pub size: u64,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// AUTH= (RFC 4954 §5) was given; whom it names is not believed.
    pub auth: bool,
    /// RET (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<String>,
    /// Any parameter was given.
    pub any: bool,
}

/// What RCPT declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParameters {
    /// NOTIFY (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461 §4.2): `type;address`, the address decoded.
    pub original: Option<String>,
}

impl MailParameters {
    /// The first parameter of DSN (RFC 3461) that was given.
    pub fn dsn(&self) -> Option<&'static str> {
        let ret = self.ret.map(|_| "RET");
        ret.or(self.envelope_id.as_ref().map(|_| "ENVID"))
    }
}

impl RcptParameters {
    /// The first parameter of DSN (RFC 3461) that was given.
    pub fn dsn(&self) -> Option<&'static str> {
        let notify = self.notify.map(|_| "NOTIFY");
        notify.or(self.original.as_ref().map(|_| "ORCPT"))
    }
}

/// Reads what stands behind MAIL's path.
///
/// # Errors
/// 501 for a malformed value or a parameter that stands twice, 555 for one that is never offered.
pub(super) fn mail(rest: &[u8]) -> Result<MailParameters, Syntax> {
    let mut parameters = MailParameters::default();
    for (name, value) in words(rest)? {
        parameters.any = true;
        match (name.to_ascii_uppercase().as_str(), value) {
            ("SIZE", Some(value)) => parameters.size = size(value).ok_or(MALFORMED)?,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") => parameters.eight_bit = false,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("8BITMIME") => parameters.eight_bit = true,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("BINARYMIME") => {
                return Err(Syntax::Parameter("BODY=BINARYMIME".into()));
            }
            ("SMTPUTF8", None) => parameters.utf8 = true,
            ("AUTH", Some(_)) => parameters.auth = true,
            ("RET", Some(value)) if value.eq_ignore_ascii_case("FULL") => parameters.ret = Some(Ret::Full),
            ("RET", Some(value)) if value.eq_ignore_ascii_case("HDRS") => parameters.ret = Some(Ret::Headers),
            ("ENVID", Some(value)) => parameters.envelope_id = Some(envelope_id(value).ok_or(MALFORMED)?),
            ("SIZE" | "BODY" | "SMTPUTF8" | "AUTH" | "RET" | "ENVID", _) => return Err(MALFORMED),
            _ => return Err(Syntax::Parameter(name.into())),
        }
    }
    Ok(parameters)
}

/// Reads what stands behind RCPT's path.
///
/// # Errors
/// As [`mail`].
pub(super) fn rcpt(rest: &[u8]) -> Result<RcptParameters, Syntax> {
    let mut parameters = RcptParameters::default();
    for (name, value) in words(rest)? {
        match (name.to_ascii_uppercase().as_str(), value) {
            ("NOTIFY", Some(value)) => parameters.notify = Some(notify(value).ok_or(MALFORMED)?),
            ("ORCPT", Some(value)) => parameters.original = Some(original(value).ok_or(MALFORMED)?),
            ("NOTIFY" | "ORCPT", None) => return Err(MALFORMED),
            _ => return Err(Syntax::Parameter(name.into())),
        }
    }
    Ok(parameters)
}

const MALFORMED: Syntax = Syntax::Argument("the parameter's value is malformed");

/// ```text
/// parameters = *( SP esmtp-keyword [ "=" esmtp-value ] )
/// esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)     (RFC 6531 §3.3)
/// ```
fn words(rest: &[u8]) -> Result<Vec<(&str, Option<&str>)>, Syntax> {
    if rest.first().is_some_and(|byte| *byte != b' ') {
        return Err(Syntax::Address(AddressError::Brackets));
    }
    let text = core::str::from_utf8(rest).map_err(|_| Syntax::Argument("parameters are UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(Syntax::Argument("parameters are printable"));
    }
    let mut words: Vec<(&str, Option<&str>)> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        if value == Some("") {
            return Err(MALFORMED);
        }
        if words.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(Syntax::Argument("a parameter stands twice"));
        }
        if words.len() == limits::SMTP_PARAMETERS {
            return Err(Syntax::Argument("too many parameters"));
        }
        words.push((name, value));
    }
    Ok(words)
}

/// `size-value = 1*20DIGIT` (RFC 1870 §6.1); more than can be counted is the most that can.
fn size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

/// `envid-parameter = "ENVID=" xtext`, at most 100 characters; printable ASCII when decoded (RFC 3461 §4.4).
fn envelope_id(value: &str) -> Option<String> {
    let decoded = decode_xtext(value).filter(|_| value.len() <= limits::ENVID)?;
    decoded.is_ascii().then_some(decoded)
}

/// ```text
/// notify-esmtp-value = "NEVER" / 1#notify-list-element
/// notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"
/// ```
fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::NEVER);
    }
    value.split(',').try_fold(Notify::NEVER, |all, element| {
        let one = match element.to_ascii_uppercase().as_str() {
            "SUCCESS" => Notify::SUCCESS,
            "FAILURE" => Notify::FAILURE,
            "DELAY" => Notify::DELAY,
            _ => return None,
        };
        Some(Notify(all.0 | one.0))
    })
}

/// `original-recipient-address = addr-type ";" xtext`, at most 500 characters (RFC 3461 §4.2). Only an address of the type
/// `utf-8` may have other than ASCII characters (RFC 6533 §3).
fn original(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';').filter(|_| value.len() <= limits::ORCPT)?;
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    if kind.is_empty() || !kind.bytes().all(is_atom) {
        return None;
    }
    let address = decode_xtext(address).filter(|address| !address.is_empty())?;
    let fits = address.is_ascii() || kind.eq_ignore_ascii_case("utf-8");
    fits.then(|| alloc::format!("{kind};{address}"))
}

/// Text again, when it is printable then: nothing from outside may end a line of a report (S18).
///
/// ```text
/// xtext = *( xchar / hexchar )        xchar = "!" to "~" without "+" and "="        hexchar = "+" 2(0-9 / A-F)
/// ```
fn decode_xtext(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                if !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')) {
                    return None;
                }
                bytes.push(u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = tail;
            }
            b'=' => return None,
            byte => bytes.push(byte),
        }
    }
    let decoded = String::from_utf8(bytes).ok()?;
    let printable = !decoded.chars().any(char::is_control);
    printable.then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_3461_values() {
        assert_eq!(decode_xtext("QQ314159").as_deref(), Some("QQ314159"));
        assert_eq!(decode_xtext("a+20b+2Bc+3D").as_deref(), Some("a b+c="));
        for bad in ["+", "+2", "+2b", "+ZZ", "a=b", "+0D+0A", "+00", "+7F", "+FF"] {
            assert_eq!(decode_xtext(bad), None, "{bad}");
        }
        assert_eq!(original("rfc822;Dana@Ivory.EDU").as_deref(), Some("rfc822;Dana@Ivory.EDU"));
        assert_eq!(original("rfc822;a+2Bb@c.test").as_deref(), Some("rfc822;a+b@c.test"));
        assert_eq!(
            original("utf-8;j\u{fc}rgen@c.test").as_deref(),
            Some("utf-8;j\u{fc}rgen@c.test")
        );
        assert_eq!(
            original("utf-8;j\\x{FC}rgen@c.test").as_deref(),
            Some("utf-8;j\\x{FC}rgen@c.test"),
            "the 7-bit form stays as it is"
        );
        for bad in [
            "",
            "rfc822",
            ";a@b",
            "rfc 822;a",
            "rfc822;",
            "rfc822;j\u{fc}",
            "rfc822;+C3+BC",
        ] {
            assert_eq!(original(bad), None, "{bad}");
        }
        assert_eq!(notify("never"), Some(Notify::NEVER));
        assert_eq!(notify("SUCCESS,delay"), Some(Notify(5)));
        assert_eq!(notify("FAILURE,FAILURE"), Some(Notify::FAILURE));
        for bad in ["", "NEVER,SUCCESS", "SUCCESS,", "ALWAYS"] {
            assert_eq!(notify(bad), None, "{bad}");
        }
        let long = "x".repeat(100);
        assert!(envelope_id(&long).is_some() && envelope_id(&(long + "x")).is_none());
        let long = "x".repeat(493);
        assert!(original(&alloc::format!("rfc822;{long}")).is_some());
        assert!(original(&alloc::format!("rfc822;{long}x")).is_none());
    }

    #[test]
    fn twice_or_malformed() {
        for bad in [
            " SIZE=1 size=2",
            " RET=FULL RET=FULL",
            " SMTPUTF8 SMTPUTF8",
            " SMTPUTF8=1",
            " RET=x",
            " RET",
            " BODY=x",
            " SIZE=",
        ] {
            assert!(matches!(mail(bad.as_bytes()), Err(Syntax::Argument(_))), "{bad}");
        }
        assert_eq!(
            mail(b" BODY=BINARYMIME"),
            Err(Syntax::Parameter("BODY=BINARYMIME".into())),
            "well-formed, not offered"
        );
        assert!(matches!(rcpt(b" NOTIFY=NEVER NOTIFY=NEVER"), Err(Syntax::Argument(_))));
        assert!(matches!(rcpt(b"x"), Err(Syntax::Address(_))));
        assert_eq!(rcpt(b" X=1"), Err(Syntax::Parameter("X".into())));
        assert_eq!(mail(b" SIZE=99999999999999999999").unwrap().size, u64::MAX);
    }

    proptest! {
        #[test]
        fn s18_no_value_holds_a_control_character(bytes: Vec<u8>) {
            let line = [b" ENVID=".as_slice(), &bytes].concat();
            if let Ok(MailParameters { envelope_id: Some(id), .. }) = mail(&line) {
                prop_assert!(id.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
            let line = [b" ORCPT=utf-8;".as_slice(), &bytes].concat();
            if let Ok(RcptParameters { original: Some(original), .. }) = rcpt(&line) {
                prop_assert!(!original.chars().any(char::is_control));
            }
        }
    }
}
