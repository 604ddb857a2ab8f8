//! SMTP: commands against their canonical form, and DATA against a naive decoder.

use pillarbox_core::smtp::command::{Command, parse};
use pillarbox_core::smtp::dot::{DotDecoder, DotEncoder};
use pillarbox_core::smtp::parameter::{MailParameters, RcptParameters};
use pillarbox_core::store::queue::{Notify, Ret};

use crate::{pieces, steered};

/// A command that is read, written in its canonical form and read again is the same; the case of the verb does not matter.
pub fn smtp_command(line: &[u8]) {
    let parsed = parse(line);
    let mut other = line.to_vec();
    let verb = other.iter().position(|byte| *byte == b' ').unwrap_or(other.len());
    other[..verb].make_ascii_lowercase();
    assert_eq!(parse(&other), parsed);
    let Ok(command) = parsed else { return };
    planted!(
        matches!(&command, Command::Rcpt { parameters, .. } if parameters.notify == Some(Notify(Notify::SUCCESS.0 | Notify::DELAY.0)) && parameters.original.is_some())
    );
    let written = write(&command);
    assert_eq!(
        parse(&written).as_ref(),
        Ok(&command),
        "{}",
        String::from_utf8_lossy(&written)
    );
}

fn write(command: &Command) -> Vec<u8> {
    let text = match command {
        Command::Hello { extended, name } => format!("{} {name}", if *extended { "EHLO" } else { "HELO" }),
        Command::Mail { path, parameters } => format!("MAIL FROM:{path}{}", of_mail(parameters)),
        Command::Rcpt { path, parameters } => format!("RCPT TO:{path}{}", of_rcpt(parameters)),
        Command::Bdat { size, last } => format!("BDAT {size}{}", if *last { " LAST" } else { "" }),
        Command::Data => "DATA".into(),
        Command::Rset => "RSET".into(),
        Command::Noop => "NOOP".into(),
        Command::Quit => "QUIT".into(),
        Command::Vrfy => "VRFY x".into(),
        Command::Help => "HELP".into(),
        Command::StartTls => "STARTTLS".into(),
        Command::Auth { mechanism, initial } => match initial {
            Some(initial) => return [b"AUTH ", mechanism.as_bytes(), b" ", initial].concat(),
            None => format!("AUTH {mechanism}"),
        },
    };
    text.into_bytes()
}

fn of_mail(parameters: &MailParameters) -> String {
    if !parameters.any {
        return String::new();
    }
    let eight_bit = if parameters.eight_bit { "8BITMIME" } else { "7BIT" };
    let mut text = format!(" SIZE={} BODY={eight_bit}", parameters.size);
    if parameters.utf8 {
        text.push_str(" SMTPUTF8");
    }
    if parameters.auth {
        text.push_str(" AUTH=<>");
    }
    match parameters.ret {
        Some(Ret::Full) => text.push_str(" RET=FULL"),
        Some(Ret::Headers) => text.push_str(" RET=HDRS"),
        None => {}
    }
    if let Some(id) = &parameters.envelope_id {
        text.push_str(&format!(" ENVID={}", xtext(id)));
    }
    text
}

fn of_rcpt(parameters: &RcptParameters) -> String {
    let mut text = String::new();
    if let Some(notify) = parameters.notify {
        let wanted = [
            (Notify::SUCCESS, "SUCCESS"),
            (Notify::FAILURE, "FAILURE"),
            (Notify::DELAY, "DELAY"),
        ];
        let words: Vec<&str> = wanted
            .iter()
            .filter(|(one, _)| notify.contains(*one))
            .map(|(_, word)| *word)
            .collect();
        let value = if words.is_empty() { "NEVER".into() } else { words.join(",") };
        text.push_str(&format!(" NOTIFY={value}"));
    }
    if let Some((kind, address)) = parameters.original.as_ref().and_then(|original| original.split_once(';')) {
        text.push_str(&format!(" ORCPT={kind};{}", xtext(address)));
    }
    text
}

/// The shortest xtext of a value (RFC 3461 §4).
fn xtext(value: &str) -> String {
    let hex = |c: char| matches!(c, ' ' | '+' | '=');
    value
        .chars()
        .map(|c| if hex(c) { format!("+{:02X}", u32::from(c)) } else { c.into() })
        .collect()
}

/// What a decoder made of the bytes: body, a bare CR or LF, a NUL, octets behind the end; `None`: no end has come.
type Decoded = Option<(Vec<u8>, bool, bool, usize)>;

/// Any split gives what the whole gives, and that is what reading line by line gives: only `CRLF . CRLF` ends (S01).
pub fn smtp_data(bytes: &[u8]) {
    let (steer, sent) = steered(bytes);
    round_trip(sent, steer);
    let whole = decode([sent].into_iter(), sent.len());
    assert_eq!(decode(sent.chunks(1), sent.len()), whole);
    assert_eq!(decode(pieces(sent, steer), sent.len()), whole);
    match (whole, naive(sent)) {
        (None, None) => {}
        (Some((body, bare, nul, behind)), Some((naive_body, naive_bare, naive_nul, naive_behind))) => {
            planted!(!bare && nul && behind > 2 && body.len() > 20);
            assert_eq!((bare, nul, behind), (naive_bare, naive_nul, naive_behind));
            if !bare {
                assert_eq!(body, naive_body); // a message with a bare CR or LF is refused, whatever its body is
            }
        }
        (decoded, naive) => panic!("{decoded:?} but {naive:?}"),
    }
}

/// Whatever is sent is one message to whoever receives it, however it was cut (S02): its lines, each with CRLF.
fn round_trip(message: &[u8], seed: u8) {
    let encode = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut encoder, mut out) = (DotEncoder::new(), Vec::new());
        pieces.for_each(|piece| encoder.encode(piece, &mut out));
        encoder.finish(&mut out);
        out
    };
    let sent = encode(&mut [message].into_iter());
    assert_eq!(encode(&mut message.chunks(1)), sent);
    assert_eq!(encode(&mut pieces(message, seed)), sent);
    let (body, bare, _, behind) = naive(&sent).expect("it has an end");
    assert!(!bare && behind == 0);
    if !message.is_empty() && message.ends_with(b"\r\n") && !naive_bare(message) {
        assert_eq!(body, message);
    }
}

/// A CR or LF that stands alone.
fn naive_bare(text: &[u8]) -> bool {
    (0..text.len()).any(|at| match text[at] {
        b'\r' => text.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || text[at - 1] != b'\r',
        _ => false,
    })
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>, len: usize) -> Decoded {
    let mut decoder = DotDecoder::new();
    let (mut body, mut taken) = (Vec::new(), 0);
    for mut piece in pieces {
        while !piece.is_empty() {
            let step = decoder.step(piece);
            body.extend_from_slice(&piece[step.body]);
            taken += step.taken;
            piece = &piece[step.taken..];
            if step.end {
                return Some((body, decoder.bare(), decoder.nul(), len - taken));
            }
        }
    }
    None
}

/// RFC 5321 §4.5.2, line by line.
fn naive(sent: &[u8]) -> Decoded {
    let (mut body, mut bare, mut nul, mut at) = (Vec::new(), false, false, 0);
    loop {
        let line = &sent[at..];
        let line = &line[..line.windows(2).position(|pair| pair == b"\r\n")?];
        at += line.len() + 2;
        if line == b"." {
            return Some((body, bare, nul, sent.len() - at));
        }
        bare |= line.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        nul |= line.contains(&0);
        body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        body.extend_from_slice(b"\r\n");
    }
}
