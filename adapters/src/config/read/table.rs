//! Tables: which keys stand in them, and which are unknown.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::super::settings::{self, full_name, nearest};
use super::{Table, Walk, find};

impl<'a> Walk<'a> {
    /// Looks at all keys of a table: unknown ones are errors.
    pub(super) fn table(
        &mut self,
        section: &'static str,
        shown: String,
        table: &'a DeTable<'a>,
        at: Option<Range<usize>>,
    ) -> Table<'a> {
        let mut keys = BTreeMap::new();
        for (key, value) in table {
            let name: &'a str = key.get_ref().as_ref();
            if settings::find(section, name).is_some() {
                keys.insert(name, value);
            } else if !(section.is_empty() && settings::SECTIONS.iter().any(|known| known.name == name)) {
                self.unknown(section, name, key.span());
            }
        }
        Table {
            section,
            shown,
            keys,
            at,
        }
    }

    pub(super) fn unknown(&mut self, section: &str, name: &str, at: Range<usize>) {
        let setting = full_name(section, name);
        if settings::LATER.contains(&(section, name)) {
            let hint = "remove it: this version would not do what it says".into();
            return self.error(Some(at), &setting, "not in this version".into(), hint);
        }
        let names = settings::names(section);
        let elsewhere = settings::SETTINGS.iter().find(|setting| setting.key == name);
        let hint = match (nearest(name, &names), elsewhere) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(setting)) if setting.table.is_empty() => {
                format!("`{name}` stands at the top of the file, before the first [table]")
            }
            (None, Some(setting)) => format!("there is a `{name}` in [{}]", setting.table),
            (None, None) => format!("known here: {}", names.join(", ")),
        };
        self.error(Some(at), &setting, "unknown setting".into(), hint);
    }

    /// `[name]`; an absent table is an empty one.
    pub(super) fn single(&mut self, section: &'static str, document: &'a DeTable<'a>) -> Table<'a> {
        let value = find(document, section);
        match value.map(|value| (value, value.get_ref())) {
            Some((value, DeValue::Table(table))) => self.table(section, section.into(), table, Some(value.span())),
            Some((value, other)) => {
                let what = format!("a table is wanted, this is a {}", other.type_str());
                self.error(
                    Some(value.span()),
                    section,
                    what,
                    format!("write [{section}] on a line of its own"),
                );
                Table {
                    section,
                    shown: section.into(),
                    keys: BTreeMap::new(),
                    at: None,
                }
            }
            None => Table {
                section,
                shown: section.into(),
                keys: BTreeMap::new(),
                at: None,
            },
        }
    }

    /// `[[name]]`, any number of times.
    pub(super) fn repeated(&mut self, section: &'static str, document: &'a DeTable<'a>) -> Vec<Table<'a>> {
        let Some(value) = find(document, section) else {
            return Vec::new();
        };
        let DeValue::Array(entries) = value.get_ref() else {
            let what = format!("a list of tables is wanted, this is a {}", value.get_ref().type_str());
            self.error(
                Some(value.span()),
                section,
                what,
                format!("write [[{section}]], with two brackets"),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let DeValue::Table(table) = entry.get_ref() else {
                let what = format!("a table is wanted, this is a {}", entry.get_ref().type_str());
                self.error(
                    Some(entry.span()),
                    section,
                    what,
                    format!("write [[{section}]], with two brackets"),
                );
                continue;
            };
            tables.push(self.table(section, format!("{section}[{}]", index + 1), table, Some(entry.span())));
        }
        tables
    }
}
