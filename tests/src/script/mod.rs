//! The script runner: a dialogue with one machine, written as text, played at every split of the peer's bytes.
//!
//! A script holds one behaviour and reads like the examples of an RFC:
//!
//! ```text
//! # RFC 5321 §4.1.1.5
//! S: 220 mx.one.test ESMTP ready
//! C: HELO relay.other.test
//! S: 250 mx.one.test
//! ```
//!
//! # Grammar
//!
//! ```text
//! script   = *( blank / "#" comment / line )
//! line     = keyword ":" [SP text]       for C, S, BODY, BODYIN: a CRLF follows the text
//!          / keyword ">" [SP text]       for C, S, BODY, BODYIN: no CRLF follows
//! more     = 1*WSP text                  a line that begins with white space continues the line above, without that white space
//! text     = with escapes: \r \n \t \0 \\ \xHH          (in C, S, BODY, BODYIN; elsewhere text is taken as it stands)
//!
//! SET: name [value]       a setting, handed to the test's `make`; only before the first other line
//! SET: whole              the runner's own: do not play at splits (only where what is tested is timing itself; say why)
//! C: text                 bytes from the peer. Neighbouring C lines arrive together.
//! C*100: text             the same a hundred times
//! S: text                 bytes that the machine sent
//! ASK: text               the next ask, as `ScriptForm::ask_line` shows it; asks come in order
//! ANS: text               answers the oldest ask that is open
//! ANS name: text          answers the oldest open ask whose line contains `name`
//! BODY: text              what `Output::Body` gave, joined
//! BODY*:                  whatever it gave so far (of a message that is refused: how much was written is up to the split)
//! BODYIN: text            feeds `Input::Body(Ok(text))`; the machine must want it
//! BODYERR: missing        feeds `Input::Body(Err(..))`: missing, corrupt, unreadable
//! NOTE: text              feeds a notice, as `ScriptForm::notice_line` reads it
//! TIME: 300s              lets time pass (ms, s, m, h); a tick is fed whenever `until` is reached
//! EOF:                    the peer will send no more
//! STALL:                  the peer reads nothing from here on (as the first line: not even a greeting);  RESUME: it reads again
//! WANT: read              at rest the machine wants exactly these: read, body, both, or nothing at all
//! UNTIL: 300s text        at rest `until` lies so far ahead, for this reason; `UNTIL: never`
//! CLOSE: reason           the machine closed, with this `Reason` as `Debug` shows it
//! ```
//!
//! Before each line that feeds something (C, ANS, BODYIN, NOTE, TIME, ...) and at the end of the script, everything that the
//! machine gave must have been named: no reply, ask or body is overlooked. Sent bytes, asks and bodies are three channels: each
//! is compared in its own order.
//!
//! Each script is played whole, then with one cut at every place of the peer's bytes, then byte by byte with one-byte `Sent`. All
//! must go as written. A script whose last line is not `CLOSE:` leaves the session open.

mod grammar;
pub mod machines;
mod player;

use std::path::Path;

use pillarbox_core::script::ScriptForm;
use pillarbox_core::time::Now;

pub use grammar::{Script, Settings};
pub use player::{Split, play};

/// Plays every `.txt` file of a directory at every split. `make` builds the machine that a script's settings ask for.
///
/// # Panics
/// When a script fails, with the transcript so far and the difference; when there is no script at all.
pub fn play_directory<M: ScriptForm>(directory: &Path, make: impl Fn(Now, &Settings) -> M) {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no scripts in {}", directory.display());
    let (mut failures, mut plays) = (Vec::new(), 0);
    for name in &names {
        let text = std::fs::read_to_string(name).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        let short = name.file_name().unwrap_or_default().to_string_lossy();
        match play_at_every_split(&short, &text, &make) {
            Ok(count) => plays += count,
            Err(failure) => failures.push(failure),
        }
    }
    println!("{} scripts, {plays} plays", names.len());
    assert!(
        failures.is_empty(),
        "{} of {} scripts failed\n\n{}",
        failures.len(),
        names.len(),
        failures.join("\n\n")
    );
}

/// Plays one script at every split; how many plays that were.
///
/// # Errors
/// The first failure: where, the transcript so far, and the difference.
pub fn play_at_every_split<M: ScriptForm>(
    name: &str,
    text: &str,
    make: &impl Fn(Now, &Settings) -> M,
) -> Result<usize, String> {
    let script = Script::parse(name, text)?;
    let splits = if script.settings.whole() {
        vec![Split::Whole]
    } else {
        Split::all(script.peer_bytes())
    };
    for split in &splits {
        play(&script, *split, make)?;
    }
    Ok(splits.len())
}

#[cfg(test)]
mod tests;
