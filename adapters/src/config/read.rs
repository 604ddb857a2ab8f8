//! Reads the file: walks over what TOML made of it, and notes every problem with its place instead of stopping at the first.

mod delivery;
mod domain;
mod listener;
mod log;
mod record;
mod table;
mod tls;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pillarbox_core::limits;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, Problem, Severity};

/// The smallest ring whose segments hold a record with a body that is worth its name.
const RING_MIN: u64 = 1 << 20;
/// The largest ring: beyond it a start after a crash takes too long.
const RING_MAX: u64 = 64 << 30;
/// The smallest `limits.message`: RFC 5321 §4.5.3.1.7 asks for 64K.
const MESSAGE_MIN: u64 = 64 << 10;
/// The largest: RFC822.SIZE is a number of 32 bits.
const MESSAGE_MAX: u64 = 2 << 30;

/// What came of reading a file.
#[derive(Debug, Clone)]
pub struct Read {
    /// The configuration, unless there is an error.
    pub config: Option<Config>,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// Every setting with its value, and where that comes from.
    pub origins: Vec<Origin>,
}

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its full name: `listener[2].address`.
    pub setting: String,
    /// Its value as TOML writes it.
    pub value: String,
    /// The line of the file, counted from 1; `None`: the default.
    pub line: Option<usize>,
}

/// Reads the text of a configuration file. File names in it are relative to `folder`.
pub fn read(text: &str, folder: &Path) -> Read {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk {
        text,
        folder,
        problems: Vec::new(),
        origins: Vec::new(),
    };
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        walk.error(
            Some(at),
            "",
            error.message().replace('\n', ", "),
            "this is not TOML; see https://toml.io".into(),
        );
    }
    let config = if walk.problems.is_empty() {
        walk.config(document.get_ref())
    } else {
        None
    };
    walk.problems
        .sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
    let failed = walk.problems.iter().any(|problem| problem.severity == Severity::Error);
    Read {
        config: config.filter(|_| !failed),
        problems: walk.problems,
        origins: walk.origins,
    }
}

struct Walk<'a> {
    text: &'a str,
    folder: &'a Path,
    problems: Vec<Problem>,
    origins: Vec<Origin>,
}

/// A table of the file: its section, its name in `--effective`, its keys.
struct Table<'a> {
    section: &'static str,
    shown: String,
    keys: BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>,
    at: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    fn error(&mut self, at: Option<Range<usize>>, setting: &str, what: String, hint: String) {
        self.problems.push(Problem {
            severity: Severity::Error,
            setting: setting.into(),
            what,
            at,
            hint,
        });
    }

    fn warning(&mut self, at: Option<Range<usize>>, setting: &str, what: String, hint: String) {
        self.problems.push(Problem {
            severity: Severity::Warning,
            setting: setting.into(),
            what,
            at,
            hint,
        });
    }

    fn config(&mut self, document: &'a DeTable<'a>) -> Option<Config> {
        let top = self.table("", String::new(), document, None);
        let hostname = self.hostname(&top);
        let data_dir = self
            .path(&top, "data_dir")
            .unwrap_or_else(|| PathBuf::from("/var/lib/pillarbox"));
        let (domains, domain_rules) = self.domains(document);
        let postmaster = self.postmaster(&top, &domains);
        let listeners = self.listeners(document);
        let (tls, tls_roots) = self.tls(document);
        let dns = self.dns(document);
        let routes = self.routes(document);
        let delivery = self.delivery(document);
        let limits = self.single("limits", document);
        let message_max = self.size(&limits, "message", limits::MESSAGE, MESSAGE_MIN..=MESSAGE_MAX);
        let log = self.log(document);
        let record = self.recording(document);
        let store = self.single("store", document);
        let ring_bytes = self.size(&store, "ring", limits::RING_BYTES, RING_MIN..=RING_MAX);
        Some(Config {
            hostname: hostname?,
            data_dir,
            postmaster,
            domains,
            domain_rules,
            listeners,
            tls,
            tls_roots,
            dns,
            routes,
            delivery,
            message_max,
            ring_bytes,
            log,
            record,
        })
    }
}

fn find<'a>(document: &'a DeTable<'a>, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
    document
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == name)
        .map(|(_, value)| value)
}

/// A value inside a message: cut, without control characters.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    cut.escape_debug().to_string()
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn list<T: ToString>(entries: impl Iterator<Item = T>) -> String {
    let entries: Vec<String> = entries.map(|entry| quoted(&entry.to_string())).collect();
    format!("[{}]", entries.join(", "))
}
