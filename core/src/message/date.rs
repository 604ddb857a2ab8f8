//! Dates of messages (RFC 5322 §3.3, §4.3) and of IMAP (RFC 9051 §9, `date-time`), and the calendar behind them.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use super::token::Tokens;
use crate::time::UnixTime;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const DAY: i64 = 86_400;

/// A `Date` field's value in UTC: `Tue, 24 Nov 2026 09:35:03 +0000`. Years are kept within 0 to 9999.
pub fn format_rfc5322(time: UnixTime) -> String {
    let at = Civil::of(time);
    let weekday = DAYS[(at.days + 4).rem_euclid(7) as usize];
    let (hour, minute, second) = at.clock();
    let month = MONTHS[at.month as usize - 1];
    let mut out = String::with_capacity("Tue, 24 Nov 2026 09:35:03 +0000".len());
    let (day, year) = (at.day, at.year);
    write!(
        out,
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000"
    )
    .expect("a string takes all");
    out
}

/// An INTERNALDATE in UTC, without its quotes: `17-Jul-1996 02:44:25 +0000`, ` 1-Jan-1970 …`. Years are kept within 0 to 9999.
pub fn format_internal(time: UnixTime) -> String {
    let at = Civil::of(time);
    let (hour, minute, second) = at.clock();
    let month = MONTHS[at.month as usize - 1];
    format!("{:>2}-{month}-{:04} {hour:02}:{minute:02}:{second:02} +0000", at.day, at.year)
}

/// Reads an INTERNALDATE without its quotes, strictly (a day without its leading space or zero is taken).
///
/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`
pub fn parse_internal(text: &[u8]) -> Option<UnixTime> {
    let mut tokens = Tokens::new(text);
    tokens.take(b' ');
    let day = number(&mut tokens, 1..=2)?;
    separator(&mut tokens, b'-')?;
    let month = month_of_imap(&mut tokens)?;
    separator(&mut tokens, b'-')?;
    let year = number(&mut tokens, 4..=4)?;
    separator(&mut tokens, b' ')?;
    let hour = number(&mut tokens, 2..=2)?;
    separator(&mut tokens, b':')?;
    let minute = number(&mut tokens, 2..=2)?;
    separator(&mut tokens, b':')?;
    let second = number(&mut tokens, 2..=2)?;
    separator(&mut tokens, b' ')?;
    let zone = numeric_zone(&mut tokens)?;
    if tokens.peek().is_some() {
        return None;
    }
    let seconds = moment([year, month, day, hour, minute, second])?;
    Some(UnixTime::from_seconds(seconds - zone * 60))
}

/// Reads a `Date` field's value, leniently: comments anywhere, two-digit years, a missing weekday, seconds or zone, and the old
/// zone names; what follows the zone is not read. An unknown zone is UTC (RFC 5322 §4.3).
///
/// `date-time = [day-of-week ","] day month year hour ":" minute [":" second] zone`
pub fn parse_rfc5322(value: &[u8]) -> Option<UnixTime> {
    let mut tokens = Tokens::new(value);
    let (year, month, day) = written_date(&mut tokens)?;
    tokens.skip_cfws();
    let hour = number(&mut tokens, 1..=2)?;
    tokens.skip_cfws();
    let minute = match tokens.take(b':') || tokens.take(b'.') {
        true => spaced_number(&mut tokens)?,
        false => 0,
    };
    tokens.skip_cfws();
    let second = match tokens.take(b':') || tokens.take(b'.') {
        true => spaced_number(&mut tokens)?,
        false => 0,
    };
    tokens.skip_cfws();
    let zone = match tokens.peek() {
        Some(b'+' | b'-') => numeric_zone(&mut tokens).unwrap_or(0),
        _ => named_zone(tokens.take_while(|byte| byte.is_ascii_alphabetic())),
    };
    let seconds = moment([year, month, day, hour, minute, second])?;
    Some(UnixTime::from_seconds(seconds - zone * 60))
}

/// The day that a `Date` field names, as it is written, whatever its time and zone: in days since 1970-01-01 (SEARCH SENTON,
/// RFC 9051 §6.4.4).
pub fn parse_day(value: &[u8]) -> Option<i64> {
    let (year, month, day) = written_date(&mut Tokens::new(value))?;
    moment([year, month, day, 0, 0, 0]).map(|seconds| seconds / DAY)
}

/// The day of an IMAP `date`, in days since 1970-01-01.
///
/// `date-text = date-day "-" date-month "-" date-year` (RFC 9051 §9)
pub fn parse_imap_day(text: &[u8]) -> Option<i64> {
    let mut tokens = Tokens::new(text);
    let day = number(&mut tokens, 1..=2)?;
    separator(&mut tokens, b'-')?;
    let month = month_of_imap(&mut tokens)?;
    separator(&mut tokens, b'-')?;
    let year = number(&mut tokens, 4..=4)?;
    if !tokens.is_empty() {
        return None;
    }
    moment([year, month, day, 0, 0, 0]).map(|seconds| seconds / DAY)
}

/// The day of a moment in UTC, in days since 1970-01-01.
pub fn day_of(time: UnixTime) -> i64 {
    time.seconds().div_euclid(DAY)
}

/// An IMAP `date`: `1-Feb-1994`. Years are kept within 0 to 9999.
pub fn format_imap_day(day: i64) -> String {
    let at = Civil::of(UnixTime::from_seconds(day.saturating_mul(DAY)));
    let month = MONTHS[at.month as usize - 1];
    format!("{}-{month}-{:04}", at.day, at.year)
}

/// `[day-of-week ","] day month year`
fn written_date(tokens: &mut Tokens<'_>) -> Option<(i64, i64, i64)> {
    tokens.skip_cfws();
    if tokens.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
        tokens.take_while(|byte| byte.is_ascii_alphabetic());
        tokens.skip_cfws();
        tokens.take(b',');
        tokens.skip_cfws();
    }
    let day = number(tokens, 1..=2)?;
    skip_dashes(tokens);
    let month = month(tokens.take_while(|byte| byte.is_ascii_alphabetic()))?;
    skip_dashes(tokens);
    let year = full_year(tokens.take_while(|byte| byte.is_ascii_digit()))?;
    Some((year, month, day))
}

fn separator(tokens: &mut Tokens<'_>, byte: u8) -> Option<()> {
    tokens.take(byte).then_some(())
}

fn skip_dashes(tokens: &mut Tokens<'_>) {
    tokens.skip_cfws();
    tokens.take(b'-');
    tokens.skip_cfws();
}

/// A number of so many digits.
fn number(tokens: &mut Tokens<'_>, digits: core::ops::RangeInclusive<usize>) -> Option<i64> {
    let run = tokens.take_while(|byte| byte.is_ascii_digit());
    digits.contains(&run.len()).then(|| decimal(run))
}

fn spaced_number(tokens: &mut Tokens<'_>) -> Option<i64> {
    tokens.skip_cfws();
    number(tokens, 1..=2)
}

/// The value of at most nine digits.
fn decimal(digits: &[u8]) -> i64 {
    digits
        .iter()
        .take(9)
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

/// `date-month = "Jan" / "Feb" / …` (RFC 9051 §9): three letters, no more. Fields of messages may have the whole name.
fn month_of_imap(tokens: &mut Tokens<'_>) -> Option<i64> {
    let name = tokens.take_while(|byte| byte.is_ascii_alphabetic());
    month(name).filter(|_| name.len() == 3)
}

fn month(name: &[u8]) -> Option<i64> {
    let short = name.get(..3)?;
    let index = MONTHS.iter().position(|month| short.eq_ignore_ascii_case(month.as_bytes()))?;
    Some(index as i64 + 1)
}

/// `obs-year`: two digits from 50 and three digits count from 1900, two digits below 50 from 2000 (RFC 5322 §4.3).
fn full_year(digits: &[u8]) -> Option<i64> {
    let year = decimal(digits);
    match digits.len() {
        2 if year < 50 => Some(2000 + year),
        2 | 3 => Some(1900 + year),
        4 => Some(year),
        _ => None,
    }
}

/// `zone = ("+" / "-") 4DIGIT`, in minutes.
fn numeric_zone(tokens: &mut Tokens<'_>) -> Option<i64> {
    let sign = if tokens.take(b'+') { 1 } else { -1 };
    if sign < 0 && !tokens.take(b'-') {
        return None;
    }
    let digits = number(tokens, 4..=4)?;
    let (hours, minutes) = (digits / 100, digits % 100);
    (minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// `obs-zone`, in minutes; military letters and unknown names say nothing (RFC 5322 §4.3).
fn named_zone(name: &[u8]) -> i64 {
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    hours * 60
}

/// Seconds since 1970 of a date and time of day in UTC, if there is such a one; a leap second is the next minute's first.
fn moment([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    let within = (1..=days_in_month(year, month)).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    within.then(|| days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let of_cycle = year * 365 + year / 4 - year / 100 + of_year;
    cycle * 146_097 + of_cycle - 719_468
}

/// A moment in the Gregorian calendar, UTC.
struct Civil {
    days: i64,
    seconds: i64,
    year: i64,
    month: i64,
    day: i64,
}

impl Civil {
    fn of(time: UnixTime) -> Civil {
        let (first, last) = (days_of(0, 1, 1) * DAY, days_of(10_000, 1, 1) * DAY - 1);
        let seconds = time.seconds().clamp(first, last);
        let (days, seconds) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let since_march = days + 719_468;
        let (cycle, of_cycle) = (since_march.div_euclid(146_097), since_march.rem_euclid(146_097));
        // Without the leap days before it, a day's number gives its year.
        let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
        let of_year = of_cycle - (year * 365 + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (year, month) = (cycle * 400 + year, month + 3);
        let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
        Civil {
            days,
            seconds,
            year,
            month,
            day,
        }
    }

    fn clock(&self) -> (i64, i64, i64) {
        (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60)
    }
}
