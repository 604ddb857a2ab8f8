//! LIST, LSUB, STATUS.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ask::{Ask, MailboxList, Opened};
use super::{Job, Pending, Session};
use crate::imap::command::StatusItem;
use crate::imap::response;
use crate::store::{Flags, Lsn, MailboxName};

impl Session {
    pub(super) fn list(&mut self, tag: String, reference: String, pattern: String, lsub: bool) {
        let Some(login) = self.needs_login(&tag) else { return };
        if pattern.is_empty() && !lsub {
            // RFC 3501 §6.3.8: what separates levels?
            self.untagged("LIST (\\Noselect) \"/\" \"\"");
            return self.finish(tag, "OK done", Lsn(0));
        }
        let then = self.wait(Pending::List {
            tag,
            reference,
            pattern,
            lsub,
        });
        self.asks.push_back(Ask::Mailboxes {
            account: login.account,
            then,
        });
        self.job = Job::Waiting;
    }

    pub(super) fn listed(&mut self, tag: String, reference: &str, pattern: &str, lsub: bool, list: MailboxList) {
        let Ok(mailboxes) = list.0 else {
            return self.finish(tag, "NO [UNAVAILABLE] the mailboxes cannot be listed now", Lsn(0));
        };
        let pattern = format!("{reference}{pattern}");
        let mut out = Vec::new();
        for mailbox in mailboxes.iter().filter(|mailbox| !lsub || mailbox.subscribed) {
            let name = &mailbox.name.0;
            let inbox = name.eq_ignore_ascii_case("INBOX") && matches(&pattern.to_ascii_uppercase(), "INBOX");
            if inbox || matches(&pattern, name) {
                let below = format!("{name}/");
                let has_children = mailboxes.iter().any(|other| other.name.0.starts_with(&below));
                response::list(&mut out, lsub, mailbox, has_children);
            }
        }
        self.out().append(&mut out);
        self.finish(tag, "OK done", Lsn(0));
    }

    pub(super) fn status(&mut self, tag: String, name: MailboxName, items: Vec<StatusItem>) {
        let Some(login) = self.needs_login(&tag) else { return };
        let then = self.wait(Pending::Status {
            tag,
            name: name.clone(),
            items,
        });
        self.asks.push_back(Ask::Select {
            account: login.account,
            name,
            watch: false,
            take_recent: false,
            then,
        });
        self.job = Job::Waiting;
    }

    pub(super) fn status_known(&mut self, tag: String, name: &MailboxName, items: &[StatusItem], opened: Opened) {
        let Ok(selected) = opened.0 else {
            return self.finish(tag, "NO [NONEXISTENT] no such mailbox", Lsn(0));
        };
        let version = &selected.version;
        let words = items.iter().map(|item| match item {
            StatusItem::Messages => format!("MESSAGES {}", version.exists),
            StatusItem::Recent => format!("RECENT {}", version.uids().filter(|uid| *uid >= selected.recent_from).count()),
            StatusItem::UidNext => format!("UIDNEXT {}", version.uid_next),
            StatusItem::UidValidity => format!("UIDVALIDITY {}", version.uid_validity),
            StatusItem::Unseen => format!(
                "UNSEEN {}",
                version.rows().filter(|row| !row.flags.contains(Flags::SEEN)).count()
            ),
        });
        let words: Vec<String> = words.collect();
        let out = self.out();
        out.extend_from_slice(b"* STATUS ");
        response::mailbox(out, &name.0);
        out.extend_from_slice(format!(" ({})\r\n", words.join(" ")).as_bytes());
        self.finish(tag, "OK done", Lsn(0));
    }
}

/// Whether a name fits a pattern: `*` is anything, `%` anything but `/`. In time O(pattern x name), without recursion (S38).
fn matches(pattern: &str, name: &str) -> bool {
    // Which prefixes of the pattern fit the name so far.
    let pattern: Vec<char> = pattern.chars().collect();
    let mut fits = alloc::vec![false; pattern.len() + 1];
    fits[0] = true;
    let close = |fits: &mut Vec<bool>| {
        for (index, c) in pattern.iter().enumerate() {
            if matches!(c, '*' | '%') && fits[index] {
                fits[index + 1] = true;
            }
        }
    };
    close(&mut fits);
    for c in name.chars() {
        let mut next = alloc::vec![false; pattern.len() + 1];
        for (index, wanted) in pattern.iter().enumerate().filter(|(index, _)| fits[*index]) {
            match wanted {
                '*' => next[index] = true,
                '%' => next[index] |= c != '/',
                wanted => next[index + 1] |= *wanted == c,
            }
        }
        close(&mut next);
        fits = next;
    }
    fits[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards() {
        for (pattern, name, fits) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("INBOX", "INBOX", true),
            ("%/%", "a/b", true),
            ("a", "b", false),
            ("*b", "aab", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        let evil = "*%".repeat(500);
        assert!(!matches(&(evil + "x"), &"a/".repeat(500)), "s38");
    }
}
