//! xtext (RFC 3461 §4): how ENVID and ORCPT carry any text.

use alloc::format;
use alloc::string::String;

/// `xtext = *( xchar / hexchar )`, `hexchar = "+" 2HEXDIG`; `xchar` is `!` to `~` without `+` and `=`.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(&format!("+{byte:02X}")),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

/// `utf-8-addr-xtext` (RFC 6533 §3): ASCII, other characters as `\x{…}`. A backslash begins such a form already: in no other place
/// does an address of this type have one.
fn encode_utf8(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' => out.push_str(&format!("\\x{{{:02X}}}", u32::from(c))),
            '!'..='~' => out.push(c),
            _ => out.push_str(&format!("\\x{{{:02X}}}", u32::from(c))),
        }
    }
    out
}

/// `original-recipient-address = addr-type ";" xtext`; `None` without a type.
pub(super) fn original_recipient(original: &str) -> Option<String> {
    let (kind, address) = original.split_once(';')?;
    let kind_is_atom = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let address = if kind.eq_ignore_ascii_case("utf-8") {
        encode_utf8(address)
    } else {
        encode(address)
    };
    kind_is_atom.then(|| format!("{kind};{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(encode("QQ314159"), "QQ314159");
        assert_eq!(encode("a+b=c d\r\n~!"), "a+2Bb+3Dc+20d+0D+0A~!");
        assert_eq!(
            original_recipient("rfc822;Bob+x@example.org").as_deref(),
            Some("rfc822;Bob+2Bx@example.org")
        );
        assert_eq!(
            original_recipient("utf-8;j\u{fc}rgen@x").as_deref(),
            Some("utf-8;j\\x{FC}rgen@x")
        );
        assert_eq!(
            original_recipient("utf-8;j\\x{FC}rgen@x").as_deref(),
            Some("utf-8;j\\x{FC}rgen@x"),
            "what came in this form goes on as it is"
        );
        assert_eq!(original_recipient("bob"), None);
        assert_eq!(original_recipient("a b;c"), None);
    }
}
