//! `[record]`.

use pillarbox_core::address::Mailbox;
use toml::de::DeTable;

use super::super::Recording;
use super::{Walk, list, quoted, shown};

/// What is kept without a word about it.
const KEEP: u64 = 100 << 20;
const KEEP_MIN: u64 = 1 << 20;
const KEEP_MAX: u64 = 1 << 40;

impl<'a> Walk<'a> {
    pub(super) fn recording(&mut self, document: &'a DeTable<'a>) -> Recording {
        let table = self.single("record", document);
        let mut one_in = 0;
        if let Some((text, at)) = self.text(&table, "sessions") {
            match sample(text) {
                Some(sample) => one_in = sample,
                None => {
                    let what = format!("`{}` is no number of sessions", shown(text));
                    let hint = "write \"none\", \"all\" or one in so many, as in \"1 in 100\"".into();
                    self.error(Some(at), "record.sessions", what, hint);
                }
            }
        }
        let sessions = match one_in {
            0 => "none".to_string(),
            1 => "all".to_string(),
            many => format!("1 in {many}"),
        };
        self.note(&table, "sessions", quoted(&sessions));
        let peers = if table.keys.contains_key("peers") {
            self.networks(&table, "peers")
        } else {
            self.note_default(&table, "peers");
            Vec::new()
        };
        let accounts = match self.texts(&table, "accounts") {
            None => {
                self.note_default(&table, "accounts");
                Vec::new()
            }
            Some(texts) => {
                let mut accounts: Vec<Mailbox> = Vec::new();
                for (text, at) in texts {
                    match Mailbox::parse(text, true) {
                        Ok(account) => accounts.push(account),
                        Err(_) => {
                            let what = format!("`{}` is no address", shown(text));
                            let hint = "write an account's address, as in \"alice@example.org\"".into();
                            self.error(Some(at), "record.accounts", what, hint);
                        }
                    }
                }
                self.note(&table, "accounts", list(accounts.iter()));
                accounts
            }
        };
        let refused_only = match self.text(&table, "verdict") {
            Some(("refused", _)) => true,
            Some(("any", _)) | None => false,
            Some((other, at)) => {
                let what = format!("`{}` is no verdict", shown(other));
                self.error(Some(at), "record.verdict", what, "one of any, refused".into());
                false
            }
        };
        self.note(&table, "verdict", quoted(if refused_only { "refused" } else { "any" }));
        let keep = self.size(&table, "keep", KEEP, KEEP_MIN..=KEEP_MAX);
        Recording {
            one_in,
            peers,
            accounts,
            refused_only,
            keep,
        }
    }
}

/// `none`, `all`, `1 in 100`.
fn sample(text: &str) -> Option<u32> {
    match text {
        "none" => Some(0),
        "all" => Some(1),
        text => text.strip_prefix("1 in ")?.parse().ok().filter(|many| *many > 0),
    }
}
