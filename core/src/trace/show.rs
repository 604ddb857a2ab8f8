//! A recording as a dialogue, for people.

use alloc::format;
use alloc::string::{String, ToString};

use super::file::{Entry, Frame, Header, Stored, Trace};
use super::player::Player;
use super::{Ending, Kind, Recordable, Shown};
use crate::record::Malformed;
use crate::time::Instant;

/// Characters of a line that are shown.
const LINE: usize = 400;

/// Shows a recording line by line, up to an entry (its own input still is shown).
///
/// ```text
///   0.000 S: 220 mx.one.test ESMTP Pillarbox\r\n
///   0.002 C: EHLO client.test\r\n
///   0.002 ASK: …
///   0.003 ANS: …
/// ```
///
/// # Errors
/// The header cannot be read.
pub fn show_any(file: &[u8], until: u64, line: &mut dyn FnMut(&str)) -> Result<Header, Malformed> {
    let header = Trace::open(file)?.header;
    match header.kind {
        Kind::SmtpServer => show::<crate::smtp::server::Session>(file, until, line),
        Kind::SmtpClient => show::<crate::smtp::client::Session>(file, until, line),
        Kind::ImapServer => show::<crate::imap::server::Session>(file, until, line),
    }?;
    Ok(header)
}

fn show<M: Recordable>(file: &[u8], until: u64, line: &mut dyn FnMut(&str)) -> Result<(), Malformed> {
    let mut trace = Trace::open(file)?;
    let mut player = Player::<M>::begin(&trace.header.new, false)?;
    let start = trace.header.now.instant;
    let mut number = 0;
    while let Some(frame) = trace.next_frame()? {
        let payload = match frame {
            Frame::Entry(payload) => payload,
            Frame::Ending(Ending::Closed(why)) => {
                line(&format!("{:>9} END: {why}", ""));
                continue;
            }
            Frame::Ending(Ending::Cut(why)) => {
                line(&format!("{:>9} CUT: the recording ends here: {why}", ""));
                continue;
            }
        };
        let (entry, _) = Entry::<M::Value, M::Notice>::read(payload)?;
        let at = stamp(start, entry.now.instant);
        input_lines(&entry.input, |text| line(&format!("{at} {text}")));
        if number == until || player.feed(entry.now, entry.input).is_err() {
            return Ok(());
        }
        player.rest(|seen| {
            if let Some(text) = seen.line() {
                line(&format!("{at} {}", cut(&text)));
            }
        });
        number += 1;
    }
    Ok(())
}

/// Seconds since the session's start.
fn stamp(start: Instant, now: Instant) -> String {
    let after = now.since(start);
    format!("{:>5}.{:03}", after.as_secs(), after.subsec_millis())
}

fn input_lines<V: Shown, N: Shown>(input: &Stored<V, N>, mut line: impl FnMut(&str)) {
    match input {
        Stored::Begin | Stored::Sent(_) => {}
        Stored::Received(bytes) => {
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                line(&cut(&format!("C: {}", part.escape_ascii())));
            }
        }
        Stored::Eof => line("EOF"),
        Stored::Body(Ok(chunk)) => line(&format!("BODYIN: {} octets", chunk.len())),
        Stored::Body(Err(error)) => line(&format!("BODYIN: {error:?}")),
        Stored::Answer(answer) => line(&cut(&format!("ANS: {:?}", answer.value))),
        Stored::Notice(notice) => line(&format!("NOTE: {notice:?}")),
        Stored::Tick => line("TICK"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LINE) {
        None => text.to_string(),
        Some((at, _)) => format!("{} … ({} characters)", &text[..at], text.chars().count()),
    }
}
