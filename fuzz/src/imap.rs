//! IMAP: the framer against a naive reading of the same bytes, and commands against their encoder.

use pillarbox_core::imap::command::encode::encode;
use pillarbox_core::imap::command::{Bad, Command, SearchKey, Tag, parse};
use pillarbox_core::imap::frame::{Event, Framer};
use pillarbox_core::imap::mailbox_name::Names;

use crate::{pieces, steered};

/// What the framer said, without borrows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Command(Vec<u8>, Result<(Tag, Command), Bad>),
    Continue,
    /// With how many octets came before the message.
    Message {
        at: usize,
        size: u64,
    },
    Octets(Vec<u8>),
    MessageEnd,
    Refused(Bad),
    Line(Vec<u8>),
}

/// What the session around the framer does, by the bits of the first byte.
#[derive(Clone, Copy)]
struct Manner {
    logged_in: bool,
    /// Messages are taken, otherwise dropped.
    accept: bool,
    /// So many octets of each message, then the rest is dropped.
    stops: Option<usize>,
    /// IDLE waits for a line.
    idles: bool,
    names: Names,
}

/// Any split gives what the whole gives, and that is what a naive reading of lines and literals gives: one reply a command
/// (S32).
pub fn imap_frame(bytes: &[u8]) {
    let (steer, sent) = steered(bytes);
    let manner = Manner {
        logged_in: steer & 1 != 0,
        accept: steer & 2 != 0,
        stops: (steer & 4 != 0).then_some(2),
        idles: steer & 8 != 0,
        names: if steer & 16 == 0 { Names::Utf7 } else { Names::Utf8 },
    };
    let whole = said([sent].into_iter().filter(|piece| !piece.is_empty()), manner);
    assert_eq!(said(sent.chunks(1), manner), whole, "octet by octet");
    assert_eq!(said(pieces(sent, steer), manner), whole, "in pieces");
    planted!(
        whole
            .iter()
            .filter(|said| matches!(said, Said::Octets(octets) if octets.len() == 3))
            .count()
            > 1
    );
    check(sent, &whole, manner);
}

fn said<'a>(pieces: impl Iterator<Item = &'a [u8]>, manner: Manner) -> Vec<Said> {
    let mut framer = Framer::new();
    if manner.logged_in {
        framer.log_in();
    }
    framer.set_names(manner.names);
    let (mut said, mut received) = (Vec::new(), 0);
    for piece in pieces {
        framer.receive(piece);
        received += piece.len();
        loop {
            if framer.message_remaining() > 0 {
                let has = match said.last() {
                    Some(Said::Octets(before)) => before.len(),
                    _ => 0,
                };
                if manner.stops == Some(has) {
                    framer.drop_message();
                    continue;
                }
                let octets = framer.take_message(manner.stops.map_or(1000, |stops| stops - has));
                if octets.is_empty() {
                    break;
                }
                match said.last_mut() {
                    Some(Said::Octets(before)) => before.extend_from_slice(octets),
                    _ => said.push(Said::Octets(octets.to_vec())),
                }
                continue;
            }
            let Some(event) = framer.poll() else { break };
            let mut now = match event {
                Event::Command(framed) => Said::Command(framed.text.to_vec(), parse(&framed)),
                Event::Continue => Said::Continue,
                Event::Message { size, .. } => Said::Message { at: 0, size },
                Event::MessageEnd => Said::MessageEnd,
                Event::Refused(bad) => Said::Refused(bad),
                Event::Line(line) => Said::Line(line.to_vec()),
            };
            if let Said::Message { at, .. } = &mut now {
                *at = received - framer.buffered();
                if manner.accept {
                    framer.accept_message();
                } else {
                    framer.drop_message();
                }
            }
            if manner.idles && idles(&now) {
                framer.expect_line();
            }
            said.push(now);
        }
        if framer.buffered() == 0 {
            assert_eq!(framer.memory(), 0, "an idle framer owns no buffer");
        }
        assert!(!framer.refuses() || framer.buffered() < 30, "what is refused is kept");
    }
    said
}

fn idles(said: &Said) -> bool {
    matches!(said, Said::Command(_, Ok((_, Command::Idle))))
}

/// Reads the bytes line by line and follows what was said.
fn check(sent: &[u8], said: &[Said], manner: Manner) {
    let mut said = said.iter().peekable();
    let mut at = 0;
    'commands: loop {
        let start = at;
        let mut behind_message = false;
        loop {
            let Some(line) = sent[at.min(sent.len())..].windows(2).position(|pair| pair == b"\r\n") else {
                break 'commands;
            };
            let end = at + line;
            let announced = announced(&sent[at..end]);
            at = end + 2;
            let Some((size, synchronising)) = announced else {
                match said.next() {
                    Some(command @ Said::Command(text, _)) => {
                        assert_eq!(text, &sent[start..end]);
                        if manner.idles && idles(command) {
                            let Some(line) = sent[at..].windows(2).position(|pair| pair == b"\r\n") else {
                                break 'commands;
                            };
                            match said.next() {
                                Some(Said::Line(text)) => assert_eq!(text, &sent[at..at + line]),
                                Some(Said::Refused(_)) => {}
                                other => panic!("a line ended, but {other:?}"),
                            }
                            at += line + 2;
                        }
                    }
                    Some(Said::MessageEnd) => assert!(behind_message),
                    Some(Said::Refused(_)) => {}
                    other => panic!("a command ended, but {other:?}"),
                }
                continue 'commands;
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let octets = &sent[at..at.saturating_add(size).min(sent.len())];
            let message = said.next_if(|now| matches!(now, Said::Message { at: told, .. } if *told == at));
            if let Some(Said::Message { size: told, .. }) = message {
                assert_eq!(usize::try_from(*told).unwrap_or(usize::MAX), size);
                behind_message = true;
                if manner.accept && !octets.is_empty() {
                    let taken = manner.stops.unwrap_or(usize::MAX).min(octets.len());
                    assert_eq!(said.next(), Some(&Said::Octets(octets[..taken].to_vec())));
                }
                if synchronising && !manner.accept {
                    assert_eq!(said.next(), Some(&Said::MessageEnd));
                    continue 'commands;
                }
            } else if synchronising {
                match said.next() {
                    Some(Said::Continue) => {}
                    Some(Said::Refused(_)) => continue 'commands,
                    Some(Said::MessageEnd) if behind_message => continue 'commands,
                    other => panic!("the client waits for `+` or a reply, but {other:?}"),
                }
            }
            at = at.saturating_add(size);
        }
    }
    // An APPEND is refused as soon as something stands behind its message; nothing else is said before a line ends.
    assert_eq!(said.next(), None);
}

/// `{n}` or `{n+}` at the end of a line.
fn announced(line: &[u8]) -> Option<(u64, bool)> {
    let text = line.strip_suffix(b"}")?;
    let (text, synchronising) = text.strip_suffix(b"+").map_or((text, true), |text| (text, false));
    let brace = text.iter().rposition(|byte| *byte == b'{')?;
    let digits = &text[brace + 1..];
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((u64::try_from(number).unwrap_or(u64::MAX), synchronising))
}

/// A command that is read, written and read again is the same.
pub fn imap_command(bytes: &[u8]) {
    for (tag, command) in commands(bytes) {
        planted!(
            matches!(&command, Command::Search { keys: Some(keys), .. } if keys.iter().any(|key| matches!(key, SearchKey::Larger(octets) if *octets > 100_000)))
        );
        let mut written = Vec::new();
        encode(&tag, &command, &mut written);
        if let Command::Append { .. } = command {
            written.extend_from_slice(b"{0+}\r\n\r\n");
        }
        assert_eq!(commands(&written), [(tag, command)], "{}", String::from_utf8_lossy(&written));
    }
}

fn commands(bytes: &[u8]) -> Vec<(Tag, Command)> {
    let mut framer = Framer::new();
    framer.log_in();
    let mut commands = Vec::new();
    if !bytes.is_empty() {
        framer.receive(bytes);
    }
    while let Some(event) = framer.poll() {
        match event {
            Event::Command(framed) => commands.extend(parse(&framed)),
            Event::Message { tag, command, .. } => {
                commands.push((tag, command));
                framer.drop_message();
            }
            Event::Continue | Event::MessageEnd | Event::Refused(_) => {}
            Event::Line(_) => panic!("no line was asked for"),
        }
    }
    commands
}
