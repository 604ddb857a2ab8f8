//! LIST and LSUB (RFC 3501 §6.3.8, §6.3.9) with CHILDREN (RFC 3348), SPECIAL-USE (RFC 6154), LIST-EXTENDED (RFC 5258) and
//! LIST-STATUS (RFC 5819).
//!
//! ```text
//!   Ask::Mailboxes ──► marked: which match a pattern, which are selected ──► written one by one ──► Finish
//!                                                                              │        ▲
//!                                                                              └─STATUS─┘
//! ```
//!
//! A *level* is a name above others that is no mailbox itself. It is told before the first mailbox below it, once.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::ask::{Ask, MailboxList, Opened};
use super::{Doing, Session, Step, Wanted, status};
use crate::imap::command::{List, ListForm, ListOptions, Tag};
use crate::imap::mailbox_name::{DELIMITER, Names};
use crate::imap::response::{self, Code, Condition, Exists, Listed};
use crate::limits;
use crate::store::request::ListedMailbox;

mod pattern;

use pattern::Pattern;

/// A LIST being answered, one mailbox after the other (S34).
#[derive(Debug)]
pub(super) struct Listing {
    tag: Tag,
    patterns: Vec<Pattern>,
    form: ListForm,
    /// Names that do not exist are `\\NonExistent`, and only `%` finds levels (RFC 9051 §6.3.9).
    rev2: bool,
    names: Names,
    /// By name.
    mailboxes: Arc<[ListedMailbox]>,
    /// How many of the first n are selected.
    selected: Vec<u32>,
    /// How many of the first n are selected, and match.
    told: Vec<u32>,
    /// How many of the first n are mailboxes.
    existing: Vec<u32>,
    next: usize,
    /// STATUS of one that is to be told is to be asked for, or was.
    counting: Counting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    No,
    Due(usize),
    Asked(usize),
}

impl Session {
    pub(super) fn list(&mut self, tag: Tag, list: List) {
        let List {
            reference,
            patterns,
            form,
        } = list;
        let extended = matches!(form, ListForm::Extended(_));
        if !extended && patterns.iter().all(String::is_empty) {
            let lsub = form == ListForm::Lsub;
            response::list_delimiter(lsub, self.out.end());
            return self.finish_ok(tag, completed(&form));
        }
        // An empty pattern in an extended LIST matches nothing (RFC 5258 §3).
        let patterns = patterns.iter().filter(|pattern| !pattern.is_empty());
        let patterns = patterns.map(|pattern| Pattern::new(&whole(&reference, pattern))).collect();
        let account = self.account.expect("only when logged in");
        self.ask = Some(Ask::Mailboxes {
            account,
            then: self.slots.ask(Wanted::Mailboxes),
        });
        self.doing = Doing::List(Box::new(Listing {
            tag,
            patterns,
            form,
            rev2: self.rev2,
            names: self.names(),
            mailboxes: Arc::new([]),
            selected: Vec::new(),
            told: Vec::new(),
            existing: Vec::new(),
            next: 0,
            counting: Counting::No,
        }));
    }

    pub(super) fn listed(&mut self, mut listing: Box<Listing>, list: MailboxList) {
        match list.0 {
            Ok(mailboxes) => {
                debug_assert!(mailboxes.is_sorted_by(|one, other| one.name < other.name), "listed by name");
                let octets: usize = mailboxes.iter().map(|mailbox| mailbox.name.0.len()).sum();
                let patterns: usize = listing.patterns.iter().map(Pattern::len).sum();
                if octets.saturating_mul(patterns) > limits::LIST_COST {
                    let text = "The pattern is too long for so many mailboxes";
                    return self.reply(&listing.tag, Condition::No, Some(&Code::Limit), text);
                }
                listing.mark(mailboxes);
                self.doing = Doing::List(listing);
            }
            Err(refused) => self.refuse(&listing.tag, &refused),
        }
    }

    pub(super) fn step_list(&mut self, mut listing: Box<Listing>) -> Step {
        if let Counting::Due(place) = listing.counting {
            listing.counting = Counting::Asked(place);
            self.ask_mailbox(listing.mailboxes[place].name.clone(), false, false);
            self.doing = Doing::List(listing);
            return Step::Again;
        }
        if listing.next == listing.mailboxes.len() {
            let completed = completed(&listing.form);
            self.finish_ok(listing.tag, completed);
            return Step::Again;
        }
        let place = listing.next;
        listing.next += 1;
        listing.write_levels(place, self.out.end());
        if listing.wants_status(place) {
            listing.counting = Counting::Due(place);
        } else {
            listing.write(place, false, self.out.end());
        }
        self.doing = Doing::List(listing);
        Step::Again
    }

    /// A mailbox that went meanwhile has no STATUS, and its LIST says so (RFC 9051 §6.3.9.8, RFC 5819 §2): therefore STATUS is
    /// asked for first.
    pub(super) fn list_counted(&mut self, mut listing: Box<Listing>, opened: Opened) {
        let Counting::Asked(place) = listing.counting else {
            unreachable!("nothing was asked for");
        };
        listing.write(place, opened.0.is_err(), self.out.end());
        if let Ok(selected) = opened.0 {
            let values = status::values(&listing.options().status, &selected);
            let name = &listing.mailboxes[place].name;
            response::mailbox_status(&name.0, &values, listing.names, self.out.end());
        }
        listing.counting = Counting::No;
        self.doing = Doing::List(listing);
    }
}

/// The reference is a prefix, with or without its last delimiter.
fn whole(reference: &str, pattern: &str) -> String {
    let mut whole = String::from(reference);
    if !whole.is_empty() && !whole.ends_with(DELIMITER) && !pattern.starts_with(DELIMITER) {
        whole.push(DELIMITER);
    }
    whole.push_str(pattern);
    whole
}

fn completed(form: &ListForm) -> &'static str {
    match form {
        ListForm::Lsub => "LSUB completed",
        ListForm::Basic | ListForm::Extended(_) => "LIST completed",
    }
}

const NO_OPTIONS: &ListOptions = &ListOptions {
    subscribed: false,
    special_use: false,
    remote: false,
    recursive: false,
    return_subscribed: false,
    return_children: false,
    return_special_use: false,
    status: Vec::new(),
};

impl Listing {
    fn options(&self) -> &ListOptions {
        match &self.form {
            ListForm::Extended(options) => options,
            ListForm::Basic | ListForm::Lsub => NO_OPTIONS,
        }
    }

    fn lsub(&self) -> bool {
        self.form == ListForm::Lsub
    }

    /// Looks at each name once; what follows only counts.
    fn mark(&mut self, mailboxes: Arc<[ListedMailbox]>) {
        let (mut selected, mut told, mut existing) = (0, 0, 0);
        for listed in mailboxes.iter() {
            self.selected.push(selected);
            self.told.push(told);
            self.existing.push(existing);
            let is_selected = self.is_selected(listed);
            selected += u32::from(is_selected);
            told += u32::from(is_selected && self.matches(&listed.name.0));
            existing += u32::from(listed.mailbox.is_some());
        }
        self.selected.push(selected);
        self.told.push(told);
        self.existing.push(existing);
        self.mailboxes = mailboxes;
    }

    /// Whether a name meets the selection criteria.
    fn is_selected(&self, listed: &ListedMailbox) -> bool {
        let options = self.options();
        if self.lsub() {
            return listed.subscribed;
        }
        let exists = options.subscribed || listed.mailbox.is_some();
        exists && (!options.subscribed || listed.subscribed) && (!options.special_use || listed.special_use.is_some())
    }

    fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    fn count(counts: &[u32], of: &Range<usize>) -> u32 {
        counts[of.end] - counts[of.start]
    }

    /// Whether STATUS is wanted of a name.
    fn wants_status(&self, place: usize) -> bool {
        self.is_told(place) && self.mailboxes[place].mailbox.is_some() && !self.options().status.is_empty()
    }

    /// Whether a name is selected, and matches.
    fn is_told(&self, place: usize) -> bool {
        Self::count(&self.told, &(place..place + 1)) == 1
    }

    /// Writes a name, if it is to be told.
    fn write(&self, place: usize, vanished: bool, out: &mut Vec<u8>) {
        let mailbox = &self.mailboxes[place];
        let name = &*mailbox.name.0;
        let below = self.below(name);
        let recursive = self.options().recursive && Self::count(&self.selected, &below) > 0;
        // A parent that is not selected itself: only if not all that is selected below it is told anyway (RFC 5258 §3.5).
        let as_parent =
            recursive && Self::count(&self.selected, &below) > Self::count(&self.told, &below) && self.matches(name);
        if !self.is_told(place) && !as_parent {
            return;
        }
        let exists = match mailbox.mailbox {
            Some(_) if vanished => Exists::NoSelect,
            Some(_) => Exists::Yes,
            // LSUB gives `\\Noselect` another meaning (RFC 3501 §6.3.9).
            None if self.lsub() => Exists::Yes,
            None => Exists::NonExistent,
        };
        self.write_name(name, exists, Some(mailbox), recursive, out);
    }

    fn write_name(&self, name: &str, exists: Exists, listed: Option<&ListedMailbox>, child_info: bool, out: &mut Vec<u8>) {
        let options = self.options();
        let basic = self.form == ListForm::Basic;
        let tells_subscribed = options.subscribed || options.return_subscribed;
        let criteria: &[&str] = match (child_info, options.subscribed, options.special_use) {
            (true, true, true) => &["SUBSCRIBED", "SPECIAL-USE"],
            (true, true, false) => &["SUBSCRIBED"],
            (true, false, true) => &["SPECIAL-USE"],
            (true, false, false) | (false, _, _) => &[],
        };
        let has_children = Self::count(&self.existing, &self.below(name)) > 0;
        let told = Listed {
            name,
            exists,
            subscribed: tells_subscribed && listed.is_some_and(|listed| listed.subscribed),
            children: (basic || options.return_children || listed.is_none() && !self.lsub()).then_some(has_children),
            special_use: listed.and_then(|listed| listed.special_use).filter(|_| !self.lsub()),
            child_info: criteria,
        };
        response::list(self.lsub(), &told, self.names, out);
    }

    /// Levels above a name that are to be told before it.
    fn write_levels(&self, place: usize, out: &mut Vec<u8>) {
        let mailbox = &self.mailboxes[place];
        let name = &*mailbox.name.0;
        let options = self.options();
        let selects = options.subscribed || options.special_use;
        if selects && !options.recursive || !self.is_selected(mailbox) {
            return; // exactly what is selected (RFC 5258 §3.1)
        }
        // Of LIST, every level that matches; of LSUB and of those who know LIST-EXTENDED, those that `%` cut off
        // (RFC 3501 §6.3.9, RFC 5258 §5, example 11).
        let any = self.form == ListForm::Basic && !self.rev2 || options.recursive;
        for (end, _) in name.match_indices(DELIMITER) {
            let level = &name[..end];
            let mut patterns = self.patterns.iter().filter(|pattern| any || pattern.ends_in_level());
            if !patterns.any(|pattern| pattern.matches(level)) || self.has_place(level) {
                continue;
            }
            let below = self.below(level);
            if self.first_selected(&below) != Some(place) {
                continue;
            }
            if options.recursive && Self::count(&self.selected, &below) == Self::count(&self.told, &below) {
                continue; // all that is below is told anyway
            }
            let exists = if self.form == ListForm::Basic && !self.rev2 || self.lsub() {
                Exists::NoSelect
            } else {
                Exists::NonExistent
            };
            self.write_name(level, exists, None, options.recursive, out);
        }
    }

    /// Whether a level is told, or passed over, as a name of its own.
    fn has_place(&self, level: &str) -> bool {
        let found = self.mailboxes.binary_search_by(|mailbox| (*mailbox.name.0).cmp(level));
        found.is_ok_and(|place| self.options().recursive || self.is_selected(&self.mailboxes[place]))
    }

    /// Of some places, the first that is selected.
    fn first_selected(&self, of: &Range<usize>) -> Option<usize> {
        let before = self.selected[of.start];
        let place = self.selected.partition_point(|count| *count <= before);
        // `selected[n]` counts what is in front of n: the first greater one is behind the place.
        (place <= of.end && place > of.start).then(|| place - 1)
    }

    /// The places of the names below a name.
    fn below(&self, name: &str) -> Range<usize> {
        let before = |mailbox: &ListedMailbox, last: u8| {
            let bound = name.bytes().chain([last]);
            mailbox.name.0.bytes().lt(bound)
        };
        let start = self.mailboxes.partition_point(|mailbox| before(mailbox, DELIMITER as u8));
        let end = self.mailboxes.partition_point(|mailbox| before(mailbox, DELIMITER as u8 + 1));
        start..end
    }
}
