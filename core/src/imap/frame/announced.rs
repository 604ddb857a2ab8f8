//! What announces a literal.

/// A literal announced at the end of a line: `literal = ["~"] "{" number ["+"] "}" CRLF *CHAR8` (RFC 9051 §9, RFC 7888 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    /// Its octets; a number beyond 64 bits counts as the greatest.
    pub(super) size: u64,
    /// Without `+`: the client waits.
    pub(super) synchronising: bool,
    /// With `~` (RFC 3516).
    pub(super) literal8: bool,
    /// From `{` to `}`.
    pub(super) len: usize,
}

impl Announced {
    /// `~{`, 20 digits, `+}`.
    pub(super) const LEN_MAX: usize = 24;

    /// Reads the end of a line without its CRLF.
    pub(super) fn at_end_of(line: &[u8]) -> Option<Announced> {
        let rest = line.strip_suffix(b"}")?;
        let (rest, synchronising) = match rest.strip_suffix(b"+") {
            Some(rest) => (rest, false),
            None => (rest, true),
        };
        let digits = rest.iter().rev().take(21).take_while(|byte| byte.is_ascii_digit()).count();
        let (before, number) = rest.split_at(rest.len() - digits);
        if !(1..=20).contains(&digits) {
            return None;
        }
        let before = before.strip_suffix(b"{")?;
        let size = number.iter().fold(0u64, |size, digit| {
            size.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        });
        Some(Announced {
            size,
            synchronising,
            literal8: before.ends_with(b"~"),
            len: line.len() - before.len(),
        })
    }
}
