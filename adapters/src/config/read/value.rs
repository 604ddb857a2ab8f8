//! Values: texts, lists, sizes, paths, networks.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::super::settings::{self, full_name};
use super::super::value::{self, Network, show_duration, show_size};
use super::{Origin, Table, Walk, list, quoted, shown};

impl<'a> Walk<'a> {
    /// A text of a table.
    pub(super) fn text(&mut self, table: &Table<'a>, key: &str) -> Option<(&'a str, Range<usize>)> {
        let value = table.keys.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.as_ref(), value.span())),
            other => {
                let what = format!("a text is wanted, this is a {}", other.type_str());
                let example = settings::find(table.section, key).map_or("\"…\"", |setting| setting.example);
                let hint = format!("put it in quotes, as in {key} = {example}");
                self.error(Some(value.span()), &full_name(table.section, key), what, hint);
                None
            }
        }
    }

    /// A text or a list of texts; `None`: absent.
    pub(super) fn texts(&mut self, table: &Table<'a>, key: &str) -> Option<Vec<(&'a str, Range<usize>)>> {
        let value = table.keys.get(key)?;
        let DeValue::Array(entries) = value.get_ref() else {
            return Some(self.text(table, key).into_iter().collect());
        };
        let mut texts = Vec::new();
        for entry in entries.iter() {
            match entry.get_ref() {
                DeValue::String(text) => texts.push((text.as_ref(), entry.span())),
                other => {
                    let what = format!("a list of texts is wanted, this is a {}", other.type_str());
                    let hint = "put each entry in quotes".into();
                    self.error(Some(entry.span()), &full_name(table.section, key), what, hint);
                }
            }
        }
        Some(texts)
    }

    pub(super) fn size(&mut self, table: &Table<'a>, key: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let mut octets = default;
        if let Some((text, at)) = self.text(table, key) {
            let setting = full_name(table.section, key);
            match value::size(text) {
                Some(size) if range.contains(&size) => octets = size,
                Some(_) => {
                    let (least, most) = (show_size(*range.start()), show_size(*range.end()));
                    let hint = format!("give a size from {least} to {most}");
                    self.error(Some(at), &setting, "out of range".into(), hint);
                }
                None => {
                    let hint = "write digits and K, M or G, as in \"50M\"".into();
                    self.error(Some(at), &setting, format!("`{}` is not a size", shown(text)), hint);
                }
            }
        }
        self.note(table, key, quoted(&show_size(octets)));
        octets
    }

    pub(super) fn path(&mut self, table: &Table<'a>, key: &str) -> Option<PathBuf> {
        let read = self.text(table, key);
        let default = settings::find(table.section, key).map_or("", |setting| setting.default);
        let path = match read {
            Some(("", at)) => {
                self.error(
                    Some(at),
                    &full_name(table.section, key),
                    "empty".into(),
                    "name a file or folder".into(),
                );
                None
            }
            Some((text, _)) => Some(self.folder.join(text)),
            None => None,
        };
        let value = path
            .as_ref()
            .map_or_else(|| default.to_string(), |path| path.display().to_string());
        self.note(table, key, quoted(&value));
        path
    }

    pub(super) fn networks(&mut self, table: &Table<'a>, key: &str) -> Vec<Network> {
        let mut networks = Vec::new();
        for (text, at) in self.texts(table, key).unwrap_or_default() {
            match Network::parse(text) {
                Some(network) => networks.push(network),
                None => {
                    let hint = "write an address or a prefix without bits behind it, as in \"127.0.0.0/8\"".into();
                    let what = format!("`{}` is no network", shown(text));
                    self.error(Some(at), &full_name(table.section, key), what, hint);
                }
            }
        }
        self.note(table, key, list(networks.iter()));
        networks
    }

    /// `true` or `false`.
    pub(super) fn yes_or_no(&mut self, table: &Table<'a>, key: &str, default: bool) -> bool {
        let mut value = default;
        if let Some(given) = table.keys.get(key) {
            match given.get_ref() {
                DeValue::Boolean(given) => value = *given,
                other => {
                    let what = format!("true or false is wanted, this is a {}", other.type_str());
                    let hint = format!("write {key} = true or {key} = false, without quotes");
                    self.error(Some(given.span()), &full_name(table.section, key), what, hint);
                }
            }
        }
        self.note(table, key, value.to_string());
        value
    }

    pub(super) fn port(&mut self, table: &Table<'a>, key: &str, default: u16) -> u16 {
        let mut port = default;
        if let Some(given) = table.keys.get(key) {
            let read = match given.get_ref() {
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
                DeValue::Integer(_)
                | DeValue::String(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            };
            match read {
                Some(read @ 1..) => port = read,
                Some(0) | None => {
                    let hint = format!("write a number from 1 to 65535 without quotes, as in {key} = {default}");
                    self.error(Some(given.span()), &full_name(table.section, key), "no port".into(), hint);
                }
            }
        }
        self.note(table, key, port.to_string());
        port
    }

    pub(super) fn duration(
        &mut self,
        table: &Table<'a>,
        key: &str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let given = self.text(table, key);
        let read = given.and_then(|(text, at)| self.duration_of(&full_name(table.section, key), text, at, &range));
        let duration = read.unwrap_or(default);
        self.note(table, key, quoted(&show_duration(duration)));
        duration
    }

    pub(super) fn duration_of(
        &mut self,
        setting: &str,
        text: &str,
        at: Range<usize>,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (what, hint) = match value::duration(text) {
            Some(duration) if range.contains(&duration) => return Some(duration),
            Some(_) => {
                let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
                ("out of range".into(), format!("give a duration from {least} to {most}"))
            }
            None => {
                let hint = "write digits and s, m, h or d, as in \"90m\"".into();
                (format!("`{}` is not a duration", shown(text)), hint)
            }
        };
        self.error(Some(at), setting, what, hint);
        None
    }

    /// Notes that a setting has its default, as the table of settings names it.
    pub(super) fn note_default(&mut self, table: &Table<'a>, key: &str) {
        let default = settings::find(table.section, key).map_or("", |setting| setting.default);
        let value = if default.starts_with('[') {
            default.to_string()
        } else {
            quoted(default)
        };
        self.note(table, key, value);
    }

    /// Notes a setting for `--effective`.
    pub(super) fn note(&mut self, table: &Table<'a>, key: &str, value: String) {
        let line = table.keys.get(key).map(|value| {
            let start = value.span().start;
            1 + self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
        });
        let setting = full_name(&table.shown, key);
        self.origins.push(Origin { setting, value, line });
    }
}
