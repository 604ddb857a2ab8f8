//! Dates: RFC 5322 §3.3, lenient on reading; IMAP's INTERNALDATE (RFC 9051 §9, `date-time`).

use alloc::format;
use alloc::string::String;

use crate::time::UnixTime;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // 1970-01-01 was a Thursday

/// A day of the Gregorian calendar and a time of day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    day_number: i64,
}

/// Days since 1970-01-01 of a civil date (proleptic Gregorian; the year begins in March to put the leap day last).
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil(time: UnixTime) -> Civil {
    let seconds = time.seconds();
    let number = seconds.div_euclid(86_400);
    let shifted = number + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil {
        year,
        month,
        day,
        second_of_day: seconds.rem_euclid(86_400),
        day_number: number,
    }
}

fn month_name(month: i64) -> &'static str {
    MONTHS[(month - 1).rem_euclid(12) as usize]
}

/// `Tue, 04 Aug 2026 10:00:00 +0000` (RFC 5322 §3.3).
pub fn format_rfc5322(time: UnixTime) -> String {
    let date = civil(time);
    let (h, m, s) = (
        date.second_of_day / 3600,
        date.second_of_day / 60 % 60,
        date.second_of_day % 60,
    );
    let day = DAYS[date.day_number.rem_euclid(7) as usize];
    format!(
        "{day}, {:02} {} {:04} {h:02}:{m:02}:{s:02} +0000",
        date.day,
        month_name(date.month),
        date.year
    )
}

/// ` 4-Aug-2026 10:00:00 +0000` without quotes: IMAP's `date-time`.
pub fn format_internal(time: UnixTime) -> String {
    let date = civil(time);
    let (h, m, s) = (
        date.second_of_day / 3600,
        date.second_of_day / 60 % 60,
        date.second_of_day % 60,
    );
    format!(
        "{:>2}-{}-{:04} {h:02}:{m:02}:{s:02} +0000",
        date.day,
        month_name(date.month),
        date.year
    )
}

/// Reads IMAP's `date-time` without its quotes.
///
/// ```text
/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// date-day-fixed = (SP DIGIT) / 2DIGIT
/// ```
pub fn parse_internal(text: &[u8]) -> Option<UnixTime> {
    let text = core::str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii() && text.len() == 26)?;
    let bytes = text.as_bytes();
    let marks = [(2, b'-'), (6, b'-'), (11, b' '), (14, b':'), (17, b':'), (20, b' ')];
    if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let day = text[..2].strip_prefix(' ').unwrap_or(&text[..2]);
    let (day, month, year) = (digits(day)?, month(&text[3..6])?, digits(&text[7..11])?);
    let (h, m, s) = (digits(&text[12..14])?, digits(&text[15..17])?, digits(&text[18..20])?);
    let zone = numeric_zone(&text[21..])?;
    time(year, month, day, h, m, s, zone)
}

/// Reads a Date field's value as real mail has it: optional day name, two- and three-digit years, obsolete zones, comments.
pub fn parse_rfc5322(text: &[u8]) -> Option<UnixTime> {
    let text = core::str::from_utf8(text).ok()?;
    let text = text.split('(').next()?;
    let mut words = text.split([' ', '\t', ',', '-']).filter(|word| !word.is_empty()).peekable();
    if words.peek()?.starts_with(|c: char| c.is_ascii_alphabetic()) {
        words.next();
    }
    let (day, month) = (digits(words.next()?)?, month(words.next()?)?);
    let year = words.next()?;
    let year = match (digits(year)?, year.len()) {
        (short @ 0..50, 2) => 2000 + short,
        (short, 2 | 3) => 1900 + short,
        (year, _) => year,
    };
    let mut clock = words.next()?.split(':');
    let (h, m) = (digits(clock.next()?)?, digits(clock.next()?)?);
    let s = clock.next().map_or(Some(0), digits)?;
    // The sign of a zone was taken for a separator; find it again behind the time.
    let zone = text.rsplit([' ', '\t']).find(|word| !word.is_empty()).map_or(0, zone);
    time(year, month, day, h, m, s, zone)
}

fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

fn month(text: &str) -> Option<i64> {
    let text = text.get(..3)?;
    MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text))
        .map(|index| index as i64 + 1)
}

/// Seconds east of UTC; an unknown name counts as UTC (RFC 5322 §4.3).
fn zone(text: &str) -> i64 {
    let named = [
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("MDT", -6),
        ("PST", -8),
        ("PDT", -7),
    ];
    let known = named.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    numeric_zone(text).or(known.map(|(_, hours)| hours * 3600)).unwrap_or(0)
}

fn numeric_zone(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    if rest.len() != 4 {
        return None;
    }
    let (hours, minutes) = (digits(&rest[..2])?, digits(&rest[2..])?);
    (minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn time(year: i64, month: i64, day: i64, h: i64, m: i64, s: i64, zone: i64) -> Option<UnixTime> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fits = (1..=days).contains(&day) && h < 24 && m < 60 && s <= 60;
    fits.then(|| UnixTime::from_seconds(day_number(year, month, day) * 86_400 + h * 3600 + m * 60 + s - zone))
}
