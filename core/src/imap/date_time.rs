//! `date-time`: INTERNALDATE on the wire (RFC 3501 §9).

use alloc::format;
use alloc::vec::Vec;

use crate::time::UnixTime;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Reads what stands between the quotes of
/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`.
pub fn parse(text: &[u8]) -> Option<UnixTime> {
    let text: &[u8; 26] = text.try_into().ok()?;
    let fixed = [(2, b'-'), (6, b'-'), (11, b' '), (14, b':'), (17, b':'), (20, b' ')];
    if fixed.iter().any(|(at, byte)| text[*at] != *byte) {
        return None;
    }
    let day = match text[0] {
        b' ' => number(&text[1..2])?, // date-day-fixed = (SP DIGIT) / 2DIGIT
        _ => number(&text[..2])?,
    };
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(&text[3..6]))?;
    let year = number(&text[7..11])?;
    let (hour, minute, second) = (number(&text[12..14])?, number(&text[15..17])?, number(&text[18..20])?);
    let (zone_hour, zone_minute) = (number(&text[22..24])?, number(&text[24..26])?);
    let east = match text[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if !(1..=days_of(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 60 || zone_minute > 59 {
        return None;
    }
    let local = days_before(year, month) + day - 1;
    let seconds = local * 86_400 + hour * 3600 + minute * 60 + second;
    Some(UnixTime::from_seconds(seconds - east * (zone_hour * 3600 + zone_minute * 60)))
}

/// Writes a `date-time` with its quotes, in UTC. Years beyond 0..=9999, which no date-time can tell, become the nearest.
pub fn encode(time: UnixTime, out: &mut Vec<u8>) {
    let first = days_before(0, 0) * 86_400;
    let last = days_before(10_000, 0) * 86_400 - 1;
    let seconds = time.seconds().clamp(first, last);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The year is at most one off this estimate (400 years are 146 097 days).
    let mut year = 1970 + days * 400 / 146_097;
    while days_before(year, 0) > days {
        year -= 1;
    }
    while days_before(year + 1, 0) <= days {
        year += 1;
    }
    let month = (0..12).rev().find(|month| days_before(year, *month) <= days).unwrap_or(0);
    let day = days - days_before(year, month) + 1;
    let name = core::str::from_utf8(MONTHS[month]).unwrap_or_default();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("\"{day:02}-{name}-{year:04} {hour:02}:{minute:02}:{second:02} +0000\"");
    out.extend_from_slice(text.as_bytes());
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
    })
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: usize) -> i64 {
    match month {
        1 if leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of this month (0: January).
fn days_before(year: i64, month: usize) -> i64 {
    let past = year - 1;
    let years = 365 * year + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    years - YEAR_0_TO_1970 + (0..month).map(|month| days_of(year, month)).sum::<i64>()
}

/// Days from 0000-01-01 to 1970-01-01, by the count of `days_before`.
const YEAR_0_TO_1970: i64 = 719_527;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn text(seconds: i64) -> String {
        let mut out = Vec::new();
        encode(UnixTime::from_seconds(seconds), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "\"01-Jan-1970 00:00:00 +0000\"");
        assert_eq!(text(951_782_400), "\"29-Feb-2000 00:00:00 +0000\"");
        assert_eq!(text(i64::MAX / 1000), "\"31-Dec-9999 23:59:59 +0000\"");
        assert_eq!(text(i64::MIN / 1000), "\"01-Jan-0000 00:00:00 +0000\"");
        // RFC 3501 §6.3.11 and §7.4.2
        assert_eq!(
            parse(b"17-Jul-1996 02:44:25 -0700"),
            Some(UnixTime::from_seconds(837_596_665))
        );
        assert_eq!(
            parse(b" 7-feb-1994 21:52:25 -0800"),
            Some(UnixTime::from_seconds(760_686_745))
        );
    }

    #[test]
    fn what_is_no_date_time_is_refused() {
        for bad in [
            "",
            "17-Jul-1996 02:44:25",
            "17-Jul-1996 24:44:25 +0000",
            "31-Feb-1996 02:44:25 +0000",
            "00-Jan-1996 02:44:25 +0000",
            "17-Jux-1996 02:44:25 +0000",
            "17-Jul-1996 02:44:25 00000",
            "29-Feb-1900 02:44:25 +0000",
            "+7-Jul-1996 02:44:25 +0000",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parse_of_encode(seconds in -62_167_219_200i64..253_402_300_800) {
            let text = text(seconds);
            prop_assert_eq!(parse(&text.as_bytes()[1..27]), Some(UnixTime::from_seconds(seconds)));
        }
    }
}
