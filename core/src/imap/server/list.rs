//! LIST and LSUB (RFC 3501 §6.3.8, §6.3.9), with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, MailboxList};
use super::{Doing, Session, Step, Wanted};
use crate::imap::command::Tag;
use crate::imap::mailbox_name::DELIMITER;
use crate::imap::response::{self, Code, Condition, Listed};
use crate::limits;
use crate::store::request::ListedMailbox;

/// A LIST being answered, one mailbox after the other (S34).
#[derive(Debug)]
pub(super) struct Listing {
    tag: Tag,
    pattern: Pattern,
    lsub: bool,
    /// By name.
    mailboxes: Arc<[ListedMailbox]>,
    next: usize,
}

impl Session {
    pub(super) fn list(&mut self, tag: Tag, reference: String, pattern: String, lsub: bool) {
        if pattern.is_empty() {
            response::list_delimiter(lsub, self.out.end());
            return self.finish_ok(tag, completed(lsub));
        }
        // The reference is a prefix, with or without its last delimiter.
        let mut whole = reference;
        if !whole.is_empty() && !whole.ends_with(DELIMITER) && !pattern.starts_with(DELIMITER) {
            whole.push(DELIMITER);
        }
        whole.push_str(&pattern);
        let account = self.account.expect("only when logged in");
        self.ask = Some(Ask::Mailboxes {
            account,
            then: self.slots.ask(Wanted::Mailboxes),
        });
        self.doing = Doing::List(Box::new(Listing {
            tag,
            pattern: Pattern::new(&whole),
            lsub,
            mailboxes: Arc::new([]),
            next: 0,
        }));
    }

    pub(super) fn listed(&mut self, mut listing: Box<Listing>, list: MailboxList) {
        match list.0 {
            Ok(mailboxes) => {
                debug_assert!(mailboxes.is_sorted_by(|one, other| one.name < other.name), "listed by name");
                let octets: usize = mailboxes.iter().map(|mailbox| mailbox.name.0.len()).sum();
                if octets.saturating_mul(listing.pattern.0.len()) > limits::LIST_COST {
                    let text = "The pattern is too long for so many mailboxes";
                    return self.reply(&listing.tag, Condition::No, Some(&Code::Limit), text);
                }
                listing.mailboxes = mailboxes;
                self.doing = Doing::List(listing);
            }
            Err(refused) => self.refuse(&listing.tag, &refused),
        }
    }

    pub(super) fn step_list(&mut self, mut listing: Box<Listing>) -> Step {
        if listing.next == listing.mailboxes.len() {
            self.finish_ok(listing.tag, completed(listing.lsub));
            return Step::Again;
        }
        let place = listing.next;
        listing.next += 1;
        listing.write_levels(place, self.out.end());
        listing.write(place, self.out.end());
        self.doing = Doing::List(listing);
        Step::Again
    }
}

fn completed(lsub: bool) -> &'static str {
    if lsub { "LSUB completed" } else { "LIST completed" }
}

impl Listing {
    fn write(&self, place: usize, out: &mut Vec<u8>) {
        let mailbox = &self.mailboxes[place];
        let name = &*mailbox.name.0;
        if (self.lsub && !mailbox.subscribed) || !self.pattern.matches(name) {
            return;
        }
        let has_children = self.first_below(name).is_some();
        let listed = Listed {
            name,
            no_select: false,
            children: (!self.lsub).then_some(has_children),
            special_use: mailbox.special_use.filter(|_| !self.lsub),
        };
        response::list(self.lsub, &listed, out);
    }

    /// A level above that is no mailbox itself is told where `%` ends in it (RFC 3501 §6.3.8), once: before the first mailbox
    /// below it.
    fn write_levels(&self, place: usize, out: &mut Vec<u8>) {
        let mailbox = &self.mailboxes[place];
        let name = &*mailbox.name.0;
        if (self.lsub && !mailbox.subscribed) || !self.pattern.ends_in_level() {
            return;
        }
        for (end, _) in name.match_indices(DELIMITER) {
            let level = &name[..end];
            if !self.pattern.matches(level) || self.is_shown(level) || self.first_below(level) != Some(place) {
                continue;
            }
            let listed = Listed {
                name: level,
                no_select: true,
                children: (!self.lsub).then_some(true),
                special_use: None,
            };
            response::list(self.lsub, &listed, out);
        }
    }

    /// Whether there is a mailbox of this name.
    fn is_shown(&self, name: &str) -> bool {
        let found = self.mailboxes.binary_search_by(|mailbox| (*mailbox.name.0).cmp(name));
        found.is_ok_and(|place| !self.lsub || self.mailboxes[place].subscribed)
    }

    /// The place of the first mailbox below a level; for LSUB, of the first subscribed one.
    fn first_below(&self, level: &str) -> Option<usize> {
        let start = |mailbox: &ListedMailbox| {
            let below = level.bytes().chain([DELIMITER as u8]);
            mailbox.name.0.bytes().lt(below)
        };
        let first = self.mailboxes.partition_point(start);
        let below = self.mailboxes[first..].iter().take_while(|mailbox| {
            let rest = mailbox.name.0.strip_prefix(level);
            rest.is_some_and(|rest| rest.starts_with(DELIMITER))
        });
        let mut shown = below.enumerate().filter(|(_, mailbox)| !self.lsub || mailbox.subscribed);
        shown.next().map(|(index, _)| first + index)
    }
}

/// `list-mailbox` with wildcards, ready to match: octets times pattern at most (S38).
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Octet(u8),
    /// `*`: anything.
    Any,
    /// `%`: anything but the delimiter.
    Level,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Pattern {
        let mut tokens: Vec<Token> = Vec::new();
        // INBOX is matched in any case.
        let first = text.split(DELIMITER).next().unwrap_or_default();
        let inbox = first.eq_ignore_ascii_case("INBOX");
        for (index, octet) in text.bytes().enumerate() {
            match (octet, tokens.last()) {
                (b'*', Some(Token::Level)) => {
                    tokens.pop();
                    if tokens.last() != Some(&Token::Any) {
                        tokens.push(Token::Any);
                    }
                }
                (b'*' | b'%', Some(Token::Any)) | (b'%', Some(Token::Level)) => {}
                (b'*', _) => tokens.push(Token::Any),
                (b'%', _) => tokens.push(Token::Level),
                (octet, _) if inbox && index < first.len() => tokens.push(Token::Octet(octet.to_ascii_uppercase())),
                (octet, _) => tokens.push(Token::Octet(octet)),
            }
        }
        Pattern(tokens)
    }

    fn ends_in_level(&self) -> bool {
        self.0.last() == Some(&Token::Level)
    }

    /// Whether a name matches: all places of the pattern that can be reached are followed side by side.
    pub(super) fn matches(&self, name: &str) -> bool {
        let tokens = &self.0;
        let mut reached = alloc::vec![false; tokens.len() + 1];
        reached[0] = true;
        skip_wildcards(tokens, &mut reached);
        for octet in name.bytes() {
            // Backwards, so that a step does not feed the next one of the same octet.
            for place in (0..=tokens.len()).rev() {
                let from_before = place > 0 && reached[place - 1] && tokens[place - 1] == Token::Octet(octet);
                let stays = reached[place]
                    && match tokens.get(place) {
                        Some(Token::Any) => true,
                        Some(Token::Level) => octet != DELIMITER as u8,
                        Some(Token::Octet(_)) | None => false,
                    };
                reached[place] = from_before || stays;
            }
            skip_wildcards(tokens, &mut reached);
        }
        reached[tokens.len()]
    }
}

/// A wildcard may match nothing.
fn skip_wildcards(tokens: &[Token], reached: &mut [bool]) {
    for (place, token) in tokens.iter().enumerate() {
        if reached[place] && matches!(token, Token::Any | Token::Level) {
            reached[place + 1] = true;
        }
    }
}
