//! Values of header fields: dates, address lists, content types, encoded words, transfer encodings, charsets. Each is written in a
//! canonical form and read again, or stands beside a naive version.

use pillarbox_core::bytes::base64;
use pillarbox_core::limits;
use pillarbox_core::message::address_list::{self, Entry};
use pillarbox_core::message::charset::Charset;
use pillarbox_core::message::content::{Content, parse_languages, parse_token};
use pillarbox_core::message::transfer::{Encoding, LineEnds};
use pillarbox_core::message::{date, encoded_word};
use pillarbox_core::time::UnixTime;

use crate::{pieces, steered};

/// The first byte picks the kind.
pub fn message_values(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    match steer % 8 {
        0 => of_dates(bytes),
        1 => of_moments(bytes),
        2 => of_addresses(bytes),
        3 => of_contents(bytes),
        4 => of_words(bytes),
        5 => of_transfer(bytes, steer),
        6 => of_charsets(bytes, steer),
        _ => of_line_ends(bytes, steer),
    }
}

/// What is read is written and read again; the three forms agree.
fn of_dates(bytes: &[u8]) {
    if let Some(time) = date::parse_rfc5322(bytes) {
        planted!(time.seconds() < 0 && bytes.contains(&b'('));
        moment(time);
        if let Some(day) = date::parse_day(bytes) {
            assert!(
                (day - date::day_of(time)).abs() <= 5,
                "a zone moves a day by its hours alone: {day}"
            );
        }
    }
    if let Some(time) = date::parse_internal(bytes) {
        moment(time);
        assert!(date::parse_rfc5322(bytes).is_some(), "it is a date of mail, too");
    }
    if let Some(day) = date::parse_imap_day(bytes) {
        let text = date::format_imap_day(day);
        assert_eq!(date::parse_imap_day(text.as_bytes()), Some(day), "{text}");
        assert_eq!(date::parse_day(text.as_bytes()), Some(day), "{text}");
    }
}

fn of_moments(bytes: &[u8]) {
    for eight in bytes.chunks(8) {
        let mut number = [0; 8];
        number[..eight.len()].copy_from_slice(eight);
        // From the year 0 to 9999, and far beyond.
        let seconds = i64::from_le_bytes(number);
        let within = seconds.rem_euclid(253_402_300_800 + 62_167_219_200) - 62_167_219_200;
        moment(UnixTime::from_seconds(within));
        for text in [
            date::format_rfc5322(UnixTime(seconds)),
            date::format_internal(UnixTime(seconds)),
        ] {
            assert!(date::parse_rfc5322(text.as_bytes()).is_some(), "{text}");
        }
    }
}

/// All that is written of a moment says this moment: once more by counting days, year by year.
fn moment(time: UnixTime) {
    let (first, last) = (-62_167_219_200, 253_402_300_799);
    let seconds = time.seconds();
    let kept = UnixTime::from_seconds(seconds.clamp(first, last));
    let (mail, internal) = (date::format_rfc5322(time), date::format_internal(time));
    assert_eq!(date::parse_rfc5322(mail.as_bytes()), Some(kept), "{mail}");
    assert_eq!(date::parse_internal(internal.as_bytes()), Some(kept), "{internal}");
    assert_eq!(mail, naive_date(kept.seconds()));
}

fn naive_date(seconds: i64) -> String {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut day, clock) = (seconds.div_euclid(86_400) + 719_528, seconds.rem_euclid(86_400));
    let weekday = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"][(day % 7) as usize];
    let mut year = 0;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let name = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ][month];
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!(
        "{weekday}, {:02} {name} {year:04} {hour:02}:{minute:02}:{second:02} +0000",
        day + 1
    )
}

fn of_addresses(bytes: &[u8]) {
    let entries = address_list::parse(bytes);
    assert!(entries.len() <= limits::ADDRESSES + 1);
    let (mut open, mut written) = (false, Vec::new());
    for entry in &entries {
        match entry {
            Entry::GroupStart(name) => {
                assert!(!open, "no group in a group");
                open = true;
                planted!(name.starts_with(b"deep ") && entries.len() > 3);
                quote(name, &mut written);
                written.push(b':');
            }
            Entry::GroupEnd => {
                assert!(open);
                open = false;
                written.push(b';');
            }
            Entry::Mailbox {
                name,
                route,
                local,
                domain,
            } => {
                if let Some(name) = name {
                    quote(name, &mut written);
                }
                written.push(b'<');
                if let Some(route) = route {
                    written.extend_from_slice(route);
                    written.push(b':');
                }
                quote(local, &mut written);
                if !domain.is_empty() {
                    written.push(b'@');
                    written.extend_from_slice(domain);
                }
                written.extend_from_slice(b">,");
            }
        }
    }
    assert!(!open, "groups end");
    // A name that is empty is none in the form with brackets.
    let plain = entries.into_iter().map(|entry| match entry {
        Entry::Mailbox {
            name,
            route,
            local,
            domain,
        } => Entry::Mailbox {
            name: name.filter(|name| !name.is_empty()),
            route,
            local,
            domain,
        },
        other => other,
    });
    assert_eq!(
        address_list::parse(&written),
        plain.collect::<Vec<_>>(),
        "{}",
        String::from_utf8_lossy(&written)
    );
}

fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\' | b'\r' | b'\n') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

fn of_contents(bytes: &[u8]) {
    if let Some(content) = Content::parse_type(bytes) {
        planted!(content.is("multipart", "*") && content.parameter("x*").is_some_and(|value| value.contains(&b'%')));
        content_again(&content, Content::parse_type, b"/");
    }
    if let Some(content) = Content::parse_disposition(bytes) {
        assert!(content.sub.is_empty());
        content_again(&content, Content::parse_disposition, b"");
    }
    if let Some(token) = parse_token(bytes) {
        assert_eq!(parse_token(&token).as_ref(), Some(&token));
        let _ = Encoding::of(Some(bytes));
    } else {
        assert_eq!(Encoding::of(Some(bytes)), Some(Encoding::Identity));
    }
    let languages = parse_languages(bytes);
    assert_eq!(parse_languages(&languages.join(&b", "[..])), languages);
}

fn content_again(content: &Content, parse: impl Fn(&[u8]) -> Option<Content>, slash: &[u8]) {
    assert!(content.parameters.len() <= limits::PARAMETERS);
    // Pieces without their beginning stay pieces; two of one number would become whole.
    let piece = |name: &[u8]| {
        name.iter()
            .position(|byte| *byte == b'*')
            .is_some_and(|star| star + 1 < name.len())
    };
    if content.parameters.iter().any(|(name, _)| piece(name)) {
        return;
    }
    let mut written = [&content.main[..], slash, &content.sub].concat();
    for (name, value) in &content.parameters {
        written.extend_from_slice(b"; ");
        written.extend_from_slice(name);
        written.push(b'=');
        quote(value, &mut written);
    }
    assert_eq!(
        parse(&written).as_ref(),
        Some(content),
        "{}",
        String::from_utf8_lossy(&written)
    );
}

/// Text without words stays; text in words comes back, whole or cut anywhere.
fn of_words(bytes: &[u8]) {
    let decoded = encoded_word::decode(bytes);
    if !bytes.windows(2).any(|two| two == b"=?") {
        assert_eq!(decoded, String::from_utf8_lossy(bytes));
    }
    planted!(bytes.len() > 12 && decoded.contains("deep") && !bytes.windows(4).any(|four| four == b"deep"));
    assert!(decoded.len() <= 3 * bytes.len() + 3, "words do not grow");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let cut = bytes.len() / 2;
    let word = |octets: &[u8]| format!("=?utf-8?B?{}?=", base64::encode(octets));
    assert_eq!(encoded_word::decode(word(bytes).as_bytes()), text);
    let two = format!("{} \t {}", word(&bytes[..cut]), word(&bytes[cut..]));
    assert_eq!(encoded_word::decode(two.as_bytes()), text);
    let quoted: String = bytes.iter().map(|octet| format!("={octet:02X}")).collect();
    assert_eq!(encoded_word::decode(format!("=?UTF-8*de?q?{quoted}?=").as_bytes()), text);
}

/// Any split gives what the whole gives, and that is what a naive reading of the whole gives.
fn of_transfer(bytes: &[u8], seed: u8) {
    for encoding in [Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable] {
        let decoded = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut decoder, mut out) = (encoding.decoder(), Vec::new());
            pieces.for_each(|piece| decoder.update(piece, &mut out));
            decoder.finish(&mut out);
            out
        };
        let whole = decoded(&mut [bytes].into_iter());
        assert_eq!(decoded(&mut bytes.chunks(1)), whole);
        assert_eq!(decoded(&mut pieces(bytes, seed)), whole);
        let written = match encoding {
            Encoding::Identity => bytes.to_vec(),
            Encoding::Base64 => {
                assert_eq!(whole, naive_base64(bytes));
                let digits = base64::encode(bytes).into_bytes();
                digits.chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..])
            }
            Encoding::QuotedPrintable => {
                planted!(whole.windows(6).any(|six| six == b"\xffdeep\xff"));
                assert_eq!(whole, naive_quoted(bytes));
                let signs: Vec<u8> = bytes.iter().flat_map(|octet| format!("={octet:02x}").into_bytes()).collect();
                signs.chunks(75).collect::<Vec<_>>().join(&b"= \r\n"[..])
            }
        };
        assert_eq!(decoded(&mut [&written[..]].into_iter()), bytes, "{encoding:?}");
    }
}

/// RFC 2045 §6.8: what is no digit is skipped, padding ends a group of four.
fn naive_base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in text.split(|byte| *byte == b'=') {
        let bits: Vec<u8> = group
            .iter()
            .filter_map(|digit| base64::value(*digit))
            .flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1))
            .collect();
        // Groups of four digits are whole; of those behind them, all whole octets.
        out.extend(
            bits.chunks_exact(8)
                .map(|bits| bits.iter().fold(0, |octet, bit| octet << 1 | bit)),
        );
    }
    out
}

/// RFC 2045 §6.7, line by line: blanks at the end of a line go, a sign at its end joins it to the next, what is no escape stays.
fn naive_quoted(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, tail) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        quoted_line(line, end.is_some(), &mut out);
        rest = tail;
        if end.is_none() {
            return out;
        }
    }
}

/// A line up to its LF; bare CRs within it end lines, too, as far as blanks go.
fn quoted_line(line: &[u8], ends: bool, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < line.len() {
        let blanks = line[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let behind = &line[at + blanks..];
        match (line[at], behind.first()) {
            // Blanks before the line's end are someone's padding; so many that no line of mail has them are kept in part.
            (b' ' | b'\t', None | Some(b'\r')) => {
                out.extend_from_slice(&line[at..at + (blanks.max(1) - 1) / limits::FIELD_NAME * limits::FIELD_NAME]);
                at += blanks;
            }
            (b' ' | b'\t', Some(_)) => {
                out.extend_from_slice(&line[at..at + blanks]);
                at += blanks;
            }
            (b'=', _) => {
                let rest = &line[at + 1..];
                if let [high, low, ..] = rest
                    && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
                {
                    out.push((high << 4 | low) as u8);
                    at += 3;
                    continue;
                }
                let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                match &rest[padding..] {
                    _ if padding > limits::FIELD_NAME => {
                        out.push(b'=');
                        at += 1;
                    }
                    [] => return,
                    [b'\r'] if ends => return,
                    [b'\r', ..] => at += padding + 2,
                    _ => {
                        out.push(b'=');
                        at += 1;
                    }
                }
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    if ends {
        out.push(b'\n');
    }
}

fn of_charsets(bytes: &[u8], seed: u8) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (name, text) = (&bytes[..line], bytes.get(line + 1..).unwrap_or_default());
    let Some(charset) = Charset::of(name) else { return };
    let decoded = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut decoder, mut out) = (charset.decoder(), String::new());
        assert_eq!(decoder.charset(), charset);
        pieces.for_each(|piece| decoder.update(piece, &mut out));
        decoder.finish(&mut out);
        out
    };
    let whole = decoded(&mut [text].into_iter());
    assert_eq!(decoded(&mut text.chunks(1)), whole);
    assert_eq!(decoded(&mut pieces(text, seed)), whole);
    if let Some(strict) = charset.decode(text) {
        assert_eq!(strict, whole);
    } else {
        assert!(whole.contains('\u{fffd}'));
    }
    if charset == Charset::UTF_8 {
        assert_eq!(whole, String::from_utf8_lossy(text));
        assert!(charset.is_for_commands());
    }
}

fn of_line_ends(bytes: &[u8], seed: u8) {
    let made = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut ends, mut out) = (LineEnds::default(), Vec::new());
        pieces.for_each(|piece| ends.update(piece, &mut out));
        out
    };
    let naive = bytes.iter().enumerate().flat_map(|(at, byte)| {
        let bare = *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
        [bare.then_some(b'\r'), Some(*byte)].into_iter().flatten()
    });
    let naive: Vec<u8> = naive.collect();
    assert_eq!(made(&mut [bytes].into_iter()), naive);
    assert_eq!(made(&mut bytes.chunks(1)), naive);
    assert_eq!(made(&mut pieces(bytes, seed)), naive);
}
