//! Messages that are written as RFC 5322, RFC 2045-2047 and RFC 2231 say, as the bytes of an input choose: whoever reads them
//! reads the same. The bytes stand in the texts too, so that what a fuzzer learns of one of them it finds again.

use pillarbox_core::bytes::base64;

/// The choices: what is at the end of the input is 0.
pub(super) struct Choices<'a>(pub(super) &'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn pick<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    /// So many octets of the input, or fewer.
    fn octets(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most + 1).min(self.0.len());
        let (octets, rest) = self.0.split_at(len);
        self.0 = rest;
        octets.to_vec()
    }

    /// Signs of an alphabet; at least one.
    fn signs(&mut self, alphabet: &[u8]) -> String {
        let mut octets = self.octets(9);
        octets.push(self.byte());
        octets.iter().map(|octet| char::from(alphabet[usize::from(*octet) % alphabet.len()])).collect()
    }
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ATEXT: &[u8] = b"abcxyzABCXYZ0189!#$%&'*+-/^_`{|}~";
const HOST: &[u8] = b"abcxyzABCXYZ0189";
/// Without `=?`, which begins a word, and without what ends a line.
const PRINTABLE: &[u8] = b"abcdefghijklmnopqrstuvwxyzABC0123456789!\"#$%&'()*+,-./:;<>@[\\]^_`{|}~";
/// What stands between quotes as itself.
const QUOTED: &[u8] = b"abcxyzABC019!#$%&'()*+,-./:;<>@[]^_`{|}~";

/// A message with a header of its own.
pub(super) fn message(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let (mut depth, mut parts) = (0, 0);
    embedded(choices, &mut depth, &mut parts, out);
}

/// At most so deep, and so many parts.
const DEPTH: usize = 4;
const PARTS: usize = 12;

fn embedded(choices: &mut Choices<'_>, depth: &mut usize, parts: &mut usize, out: &mut Vec<u8>) {
    let mut written = [false; 5];
    for _ in 0..choices.below(5) {
        let field = choices.below(6);
        // Each of these stands once (RFC 5322 §3.6).
        if written.get_mut(field).is_some_and(|written| std::mem::replace(written, true)) {
            continue;
        }
        let field = match field {
            0 => format!("Subject: {}", unstructured(choices)),
            1 => format!("From: {}", addresses(choices)),
            2 => format!("Date: {}", date(choices)),
            3 => format!("To: {}", addresses(choices)),
            4 => format!("Cc: {}", addresses(choices)),
            _ => format!("X-{}: {}", choices.signs(LETTERS), choices.signs(PRINTABLE)),
        };
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    // A message that is nothing but another one is lost to the other reader (mail-parser 0.11.9 asserts).
    part(choices, false, depth, parts, out);
}

/// A part from its header's fields about its content on.
fn part(choices: &mut Choices<'_>, embeds: bool, depth: &mut usize, parts: &mut usize, out: &mut Vec<u8>) {
    *parts += 1;
    let nests = *depth < DEPTH && *parts < PARTS;
    match choices.below(8) {
        5 | 6 if nests => {
            *depth += 1;
            multipart(choices, depth, parts, out);
            *depth -= 1;
        }
        7 if nests && embeds => {
            *depth += 1;
            out.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\n");
            embedded(choices, depth, parts, out);
            *depth -= 1;
        }
        4 => leaf(choices, choices_type(b"application/octet-stream"), false, out),
        _ => leaf(choices, choices_type(b"text/plain"), true, out),
    }
}

fn choices_type(name: &'static [u8]) -> &'static [u8] {
    name
}

/// `multipart-body := [preamble CRLF] dash-boundary ... close-delimiter [CRLF epilogue]` (RFC 2046 §5.1.1)
fn multipart(choices: &mut Choices<'_>, depth: &mut usize, parts: &mut usize, out: &mut Vec<u8>) {
    let sub = choices.pick(&["mixed", "alternative", "related", "report", "signed"]);
    // No boundary begins another one.
    let boundary = format!("{}=_{}{}", choices.signs(HOST), *parts, "b".repeat(*depth));
    let quote = if choices.yes() { ("\"", "\"") } else { ("", "") };
    let quote = if boundary.contains('=') { ("\"", "\"") } else { quote };
    let field = format!("Content-Type: multipart/{sub};{}boundary={}{boundary}{}\r\n\r\n", choices.pick(&[" ", "\r\n ", "\r\n\t"]), quote.0, quote.1);
    out.extend_from_slice(field.as_bytes());
    if choices.yes() {
        out.extend_from_slice(format!("{}\r\n", choices.signs(LETTERS)).as_bytes());
    }
    for _ in 0..=choices.below(3) {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        part(choices, true, depth, parts, out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--").as_bytes());
    if choices.yes() {
        out.extend_from_slice(format!("\r\n{}", choices.signs(LETTERS)).as_bytes());
    }
}

fn leaf(choices: &mut Choices<'_>, kind: &[u8], is_text: bool, out: &mut Vec<u8>) {
    let sub = choices.pick(&["plain", "html", "x-other", "plain"]);
    // Octets from 0xa0 are characters in all of these.
    let charset = choices.pick(&["utf-8", "UTF-8", "iso-8859-1", "ISO-8859-2", "koi8-r", "iso-8859-15", "windows-1252", ""]);
    match is_text {
        true if charset.is_empty() && sub == "plain" => {}
        true => {
            let parameter = match charset {
                "" => String::new(),
                name if choices.yes() => format!("; charset=\"{name}\""),
                name => format!(";\r\n\tcharset={name}"),
            };
            out.extend_from_slice(format!("Content-Type: text/{sub}{parameter}\r\n").as_bytes());
        }
        false => out.extend_from_slice(&[b"Content-Type: ", kind, b"\r\n"].concat()),
    }
    let content = content(choices, is_text, charset);
    match choices.below(3) {
        0 => {
            out.extend_from_slice(choices.pick(&["", "Content-Transfer-Encoding: 8bit\r\n"]).as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&content);
        }
        1 => {
            out.extend_from_slice(choices.pick(&["Content-Transfer-Encoding: base64\r\n\r\n", "Content-Transfer-Encoding: BASE64\r\n\r\n"]).as_bytes());
            let line = choices.pick(&[76, 4, 60]);
            let digits = base64::encode(&content).into_bytes();
            out.extend_from_slice(&digits.chunks(line).collect::<Vec<_>>().join(&b"\r\n"[..]));
        }
        _ => {
            out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
            quoted_printable(choices, &content, out);
        }
    }
}

/// Lines, of which none begins like a boundary.
fn content(choices: &mut Choices<'_>, is_text: bool, charset: &str) -> Vec<u8> {
    let mut content = Vec::new();
    for line in 0..choices.below(4) {
        if line > 0 {
            content.extend_from_slice(b"\r\n");
        }
        for octet in choices.octets(40) {
            match octet {
                b'-' => content.push(b'~'),
                b' '..=b'~' => content.push(octet),
                0xa0.. if is_text && charset.eq_ignore_ascii_case("utf-8") => {
                    content.extend_from_slice(char::from(octet).to_string().as_bytes());
                }
                0xa0.. if is_text && charset.is_empty() => content.push(b'x'),
                0xa0.. => content.push(octet),
                _ => content.push(b'o'),
            }
        }
    }
    content
}

/// RFC 2045 §6.7, rules 1 to 5.
fn quoted_printable(choices: &mut Choices<'_>, content: &[u8], out: &mut Vec<u8>) {
    let lower = choices.yes();
    let mut column = 0;
    let mut rest = content;
    while let Some((octet, behind)) = rest.split_first() {
        rest = behind;
        if *octet == b'\r' && behind.starts_with(b"\n") {
            out.extend_from_slice(b"\r\n");
            rest = &behind[1..];
            column = 0;
            continue;
        }
        if column > 70 || (column > 0 && column % 23 == 0 && lower) {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        let ends = behind.is_empty() || behind.starts_with(b"\r\n");
        let plain = matches!(octet, b'!'..=b'<' | b'>'..=b'~') || (matches!(octet, b' ' | b'\t') && !ends && column < 70);
        if plain {
            out.push(*octet);
            column += 1;
        } else {
            let sign = if lower && ends { format!("={octet:02x}") } else { format!("={octet:02X}") };
            out.extend_from_slice(sign.as_bytes());
            column += 3;
        }
    }
}

/// Words with one space between them, some of them encoded, some of them on lines of their own.
fn unstructured(choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for word in 0..=choices.below(5) {
        if word > 0 {
            text.push_str(choices.pick(&[" ", "\r\n "]));
        }
        match choices.below(3) {
            0 => text.push_str(&choices.signs(PRINTABLE)),
            _ => text.push_str(&encoded_word(choices, false)),
        }
    }
    text
}

/// RFC 2047 §2: whole characters in each, at most 75 signs.
fn encoded_word(choices: &mut Choices<'_>, in_phrase: bool) -> String {
    let charset = choices.pick(&["utf-8", "UTF-8", "iso-8859-1", "ISO-8859-2", "koi8-r", "iso-8859-15", "iso-2022-jp"]);
    let language = choices.pick(&["", "*en"]);
    let mut octets: Vec<u8> = Vec::new();
    let mut chosen = choices.octets(9);
    chosen.push(b'a');
    if charset == "iso-2022-jp" {
        // RFC 1468: two octets a character, between two shifts.
        let pairs = chosen.drain(..).flat_map(|octet| [0x30 + octet % 0x1e, 0x21 + octet % 0x5e]);
        octets = [b"\x1b$B".to_vec(), pairs.collect(), b"\x1b(B".to_vec()].concat();
    }
    for octet in chosen {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'.' => octets.push(octet),
            0xa1.. if charset.eq_ignore_ascii_case("utf-8") => octets.extend_from_slice(char::from(octet).to_string().as_bytes()),
            0xa1.. => octets.push(octet),
            _ => octets.push(b'x'),
        }
    }
    if choices.yes() {
        return format!("=?{charset}{language}?{}?{}?=", choices.pick(&["B", "b"]), base64::encode(&octets));
    }
    let signs: String = octets
        .iter()
        .map(|octet| match octet {
            b' ' => "_".into(),
            b'.' if in_phrase => "=2E".into(), // RFC 2047 §5 (3)
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => char::from(*octet).to_string(),
            octet => format!("={octet:02X}"),
        })
        .collect();
    format!("=?{charset}{language}?{}?{signs}?=", choices.pick(&["Q", "q"]))
}

/// `address-list` (RFC 5322 §3.4): mailboxes and groups.
fn addresses(choices: &mut Choices<'_>) -> String {
    let count = 1 + choices.below(3);
    let entries: Vec<String> = (0..count)
        .map(|_| match choices.below(6) {
            5 => {
                let inner: Vec<String> = (0..choices.below(3)).map(|_| mailbox(choices)).collect();
                format!("{}:{};", choices.signs(LETTERS), inner.join(","))
            }
            _ => mailbox(choices),
        })
        .collect();
    entries.join(choices.pick(&[", ", ",\r\n ", ","]))
}

fn mailbox(choices: &mut Choices<'_>) -> String {
    let local = match choices.below(3) {
        0 => choices.signs(ATEXT),
        1 => format!("{}.{}", choices.signs(ATEXT), choices.signs(ATEXT)),
        _ => choices.signs(LETTERS),
    };
    let address = format!("{local}@{}.{}", choices.signs(HOST), choices.signs(HOST));
    match choices.below(5) {
        0 => address,
        1 => format!("<{address}>"),
        2 => format!("{} {} <{address}>", choices.signs(LETTERS), choices.signs(LETTERS)),
        3 => format!("\"{}\" <{address}>", quoted(choices)),
        _ => format!("{} <{address}>", encoded_word(choices, true)),
    }
}

/// `*([FWS] qcontent)`, with quoted pairs.
fn quoted(choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for _ in 0..=choices.below(3) {
        match choices.below(3) {
            0 => text.push_str(&choices.signs(QUOTED)),
            1 => text.push_str(&format!("{} {}", choices.signs(QUOTED), choices.signs(LETTERS))),
            _ => text.push_str(&format!("{}{}", choices.pick(&["\\\"", "\\\\"]), choices.signs(LETTERS))),
        }
    }
    text
}

/// `date-time` (RFC 5322 §3.3), with the zones of §4.3 that mean something and a comment behind it.
fn date(choices: &mut Choices<'_>) -> String {
    let month = choices.below(12);
    let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
    let weekday = choices.pick(&["", "Mon, ", "Sun, ", "Fri, "]);
    let (day, year) = (1 + choices.below(28), 1900 + choices.below(250));
    let time = format!("{:02}:{:02}", choices.below(24), choices.below(60));
    let mut seconds = if choices.yes() { format!(":{:02}", choices.below(60)) } else { String::new() };
    let zone = choices.below(4);
    if zone == 0 && seconds.is_empty() {
        seconds = ":00".into(); // the other one does not read a named zone behind minutes
    }
    let zone = match zone {
        0 => choices.pick(&["GMT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"]).to_string(),
        1 => format!("-{:02}{:02}", choices.below(14), choices.below(60)),
        _ => format!("+{:02}{:02}", choices.below(14), choices.below(60)),
    };
    let comment = choices.pick(&["", " (CEST)", " (a \"b\" c)"]);
    let day = if day < 10 && choices.yes() { format!("{day}") } else { format!("{day:02}") };
    format!("{weekday}{day} {name} {year} {time}{seconds} {zone}{comment}")
}
