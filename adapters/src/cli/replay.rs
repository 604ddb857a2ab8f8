//! `pillarbox replay`: recorded sessions again, byte for byte; or as a dialogue.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use pillarbox_core::message::date::format_rfc5322;
use pillarbox_core::trace::{Difference, Ending, Found, Replayed, Trace, replay_any, script, show};

use super::check::print;
use super::{Exit, Failure};
use crate::trace::{PROGRAM, SUFFIX};

/// Replay recorded sessions and say whether every byte is the same
///
/// A recording holds what came into a session, when, and what the server's parts answered; `serve` makes them when [record] says
/// so, in data_dir/records. Replayed, this program must put out the same bytes. If it does not, the first difference is shown:
/// the recording was changed, or this program is another than the one that recorded. No configuration, store or network is used.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pillarbox replay /var/lib/pillarbox/records                  all of them
  pillarbox replay --show records/1764003312123-000042-smtp.trace
  pillarbox replay --script records/1764003312123-000042-smtp.trace > tests/scripts/smtp/found.txt

A recording holds mail: before you attach one to a bug report, make a `pillarbox capsule` of it.
Exit codes: 0 all the same, 65 one differs or cannot be read.")]
pub(super) struct Replay {
    /// Recordings, or folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Show the session as a dialogue
    #[arg(long, conflicts_with = "script")]
    show: bool,
    /// Print a session as a test script (tests/scripts in the source)
    #[arg(long)]
    script: bool,
}

impl Replay {
    pub(super) fn run(self) -> Result<(), Failure> {
        let files = recordings(&self.files)?;
        if self.show {
            return files.iter().try_for_each(|path| print_dialogue(path));
        }
        if self.script {
            return files.iter().try_for_each(|path| print_script(path));
        }
        let mut differ = 0;
        // A machine that panics is a finding like any other.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let told = files.iter().try_for_each(|path| {
            let (same, text) = one(path);
            differ += usize::from(!same);
            print(&text)
        });
        std::panic::set_hook(hook);
        told?;
        print(&format!("{} replayed, {differ} differ\n", files.len()))?;
        match differ {
            0 => Ok(()),
            _ => Err(Failure::new(Exit::BadData, "")),
        }
    }
}

/// The files that are meant: those named, and the recordings in the folders named.
pub(super) fn recordings(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |error: std::io::Error| Failure::new(Exit::Unavailable, format!("{}: {error}", path.display()));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
                found.push(file);
            }
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::new(Exit::Unavailable, format!("{}: {error}", path.display())))
}

/// Replays one file: whether it is the same, and the line that says so.
fn one(path: &Path) -> (bool, String) {
    let name = path.display();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(failure) => return (false, format!("{}\n", failure.text)),
    };
    let at = Cell::new(0);
    match catch_unwind(AssertUnwindSafe(|| replay_any(&bytes, &at))) {
        Ok(Ok(replayed)) => match &replayed.difference {
            None => (true, format!("{name}: {}\n", same(&replayed))),
            Some(difference) => (false, format!("{name}: {}", differs(&bytes, &replayed, difference))),
        },
        Ok(Err(error)) => (false, format!("{name}: not replayed: {}\n", error.0)),
        Err(panic) => {
            let text = format!("entry {}: the machine panics: {}\n", at.get(), panic_text(&*panic));
            (false, format!("{name}: {text}{}", dialogue(&bytes, at.get())))
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

fn same(replayed: &Replayed) -> String {
    let end = match &replayed.ending {
        Some(Ending::Closed(why)) => why.clone(),
        Some(Ending::Cut(why)) => format!("recorded up to here: {why}"),
        None => "the file breaks off here".into(),
    };
    format!("{} entries, the same ({end})", replayed.entries)
}

/// The first difference and what led to it.
fn differs(bytes: &[u8], replayed: &Replayed, difference: &Difference) -> String {
    let mut text = format!("{difference}\n");
    // Writing to a text does not fail.
    if let Some(now) = difference.now {
        let _ = writeln!(text, "  at {}", format_rfc5322(now.unix));
    }
    if let Ok(trace) = Trace::open(bytes)
        && trace.header.program != PROGRAM
    {
        let _ = writeln!(text, "  recorded by {}, this is {PROGRAM}", trace.header.program);
    }
    text.push_str(&dialogue(bytes, difference.entry));
    if let Found::Output { now, .. } = &difference.found {
        let _ = writeln!(text, "  the output there is now (only a hash of the recorded one is kept):");
        for line in now {
            let _ = writeln!(text, "    {line}");
        }
    }
    if let Some(entry) = replayed.outputs_differ.filter(|entry| *entry != difference.entry) {
        let _ = writeln!(text, "  the output begins to differ at entry {entry}");
    }
    text
}

/// The last lines before an entry, and its own.
fn dialogue(bytes: &[u8], entry: u64) -> String {
    const LINES: usize = 12;
    let mut last = VecDeque::new();
    let mut keep = |line: &str| {
        if last.len() == LINES {
            last.pop_front();
        }
        last.push_back(format!("    {line}\n"));
    };
    // What cannot be shown has been said already.
    let _ = catch_unwind(AssertUnwindSafe(|| show::show_any(bytes, entry, &mut keep)));
    let lines: String = last.into_iter().collect();
    format!("  the session up to there:\n{lines}")
}

fn print_script(path: &Path) -> Result<(), Failure> {
    let script = script::script_any(&read(path)?);
    let script = script.map_err(|why| Failure::new(Exit::BadData, format!("{}: {why}", path.display())))?;
    print(&script)
}

fn print_dialogue(path: &Path) -> Result<(), Failure> {
    let bytes = read(path)?;
    let mut text = String::new();
    let shown = show::show_any(&bytes, u64::MAX, &mut |line| {
        text.push_str(line);
        text.push('\n');
    });
    match shown {
        Ok(header) => {
            let (kind, when, program) = (header.kind.name(), format_rfc5322(header.now.unix), header.program);
            print(&format!("{}: {kind}, {when}, recorded by {program}\n{text}", path.display()))
        }
        Err(error) => {
            print(&text)?;
            Err(Failure::new(Exit::BadData, format!("{}: {}", path.display(), error.0)))
        }
    }
}
