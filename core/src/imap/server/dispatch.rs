//! The next command: framed, parsed, and sent to its family if the session's state allows it.

use alloc::boxed::Box;

use super::append::Appending;
use super::ask::TreeWish;
use super::trace::{Shown, shown_command};
use super::{Session, Step};
use crate::imap::command::{self, Bad, Command, Tag};
use crate::imap::frame::Event;
use crate::imap::mailbox_name::Names;
use crate::imap::response::{self, Condition};
use crate::limits;
use crate::machine::Reason;

/// What the framer gave, without a hold on it.
enum Heard {
    Command(Tag, Command),
    Bad(Bad),
    Message(Box<Appending>),
    Continue,
    Http,
}

impl Session {
    pub(super) fn next_command(&mut self) -> Step {
        if self.shutdown {
            self.bye(Reason::Shutdown, "The server is shutting down");
            return Step::Again;
        }
        let names = self.names();
        let (on, logged_in) = (self.marks.is_on(), self.account.is_some());
        let (heard, shown) = match self.framer.poll() {
            None => {
                if on && self.framer.refuses() {
                    self.mark_refused();
                }
                return Step::Rest;
            }
            Some(event) => {
                let shown = match &event {
                    Event::Command(framed) if on && !is_http(framed.text) => shown_command(framed, names, logged_in),
                    Event::Refused(_) if !logged_in => Shown::Nothing,
                    Event::Command(_)
                    | Event::Refused(_)
                    | Event::Continue
                    | Event::Message { .. }
                    | Event::MessageEnd
                    | Event::Line(_) => Shown::AsItIs,
                };
                (hear(event, names), shown)
            }
        };
        self.mark_command(shown);
        match heard {
            Heard::Continue => response::continuation("Ready for the literal", self.out.end()),
            Heard::Http => self.close(Reason::NotOurProtocol),
            Heard::Bad(bad) => self.bad(bad.tag.as_ref(), bad.text),
            Heard::Message(appending) => {
                self.understood();
                self.append(appending);
            }
            Heard::Command(tag, command) => self.execute(tag, command),
        }
        Step::Again
    }

    /// A protocol error: BAD. Three in a row end the session of a stranger (S64); who has logged in may try what we do not know.
    pub(super) fn bad(&mut self, tag: Option<&Tag>, text: &str) {
        response::status(tag, Condition::Bad, None, text, self.out.end());
        self.errors += 1;
        let most = match self.account {
            None => limits::IMAP_ERRORS_IN_A_ROW,
            Some(_) => limits::IMAP_ERRORS_LOGGED_IN,
        };
        if self.errors >= most {
            self.bye(Reason::NotOurProtocol, "Too many protocol errors");
        }
    }

    fn understood(&mut self) {
        self.errors = 0;
        self.heard = self.now.instant;
    }

    /// Executes a command, if the state allows it (RFC 3501 §3).
    fn execute(&mut self, tag: Tag, command: Command) {
        let refused = match (&command, self.account, &self.view) {
            (Command::Capability | Command::Noop | Command::Logout | Command::Id, _, _) => None,
            (Command::StartTls | Command::Login { .. } | Command::Authenticate { .. }, None, _) => None,
            (Command::StartTls | Command::Login { .. } | Command::Authenticate { .. }, Some(_), _) => Some("Already logged in"),
            (_, None, _) => Some("Log in first"),
            (
                Command::List { .. }
                | Command::Select { .. }
                | Command::Append { .. }
                | Command::Idle
                | Command::Status { .. }
                | Command::Create { .. }
                | Command::Delete(_)
                | Command::Rename { .. }
                | Command::Subscribe { .. }
                | Command::Namespace
                | Command::Enable(_),
                Some(_),
                _,
            ) => None,
            (
                Command::Close { .. }
                | Command::Fetch { .. }
                | Command::Search { .. }
                | Command::Store { .. }
                | Command::Expunge
                | Command::UidExpunge(_)
                | Command::Transfer { .. },
                Some(_),
                Some(_),
            ) => None,
            (
                Command::Close { .. }
                | Command::Fetch { .. }
                | Command::Search { .. }
                | Command::Store { .. }
                | Command::Expunge
                | Command::UidExpunge(_)
                | Command::Transfer { .. },
                Some(_),
                None,
            ) => Some("Select a mailbox first"),
        };
        if let Some(text) = refused {
            return self.bad(Some(&tag), text);
        }
        self.understood();
        match command {
            Command::Capability => self.capability(tag),
            Command::Noop => self.finish_ok(tag, "NOOP completed"),
            Command::Logout => self.logout(&tag),
            Command::StartTls => self.start_tls(tag),
            Command::Login { login, password } => self.log_in(tag, login, password),
            Command::Authenticate { mechanism, initial } => self.authenticate(tag, &mechanism, initial.as_ref()),
            Command::List(list) => self.list(tag, list),
            Command::Select { mailbox, read_only } => self.select(tag, mailbox, read_only),
            Command::Close { expunge } => self.close_mailbox(tag, expunge),
            Command::Fetch { set, items, uid } => self.fetch(tag, &set, items, uid),
            Command::Search { uid, returns, keys } => self.search(tag, uid, returns, keys.as_deref()),
            Command::Store {
                set,
                change,
                silent,
                uid,
            } => self.store(tag, &set, change, silent, uid),
            Command::Expunge => self.expunge(tag, None),
            Command::UidExpunge(set) => self.expunge(tag, Some(&set)),
            // The framer hands APPEND out as a message; a command is never one.
            Command::Append { .. } => self.bad(Some(&tag), "APPEND: the message is expected as a literal"),
            Command::Idle => self.idle(tag),
            Command::Status { mailbox, items } => self.status(tag, mailbox, items),
            Command::Create { mailbox, special_use } => self.create(tag, mailbox, special_use),
            Command::Delete(mailbox) => self.change_tree(tag, TreeWish::Delete(mailbox)),
            Command::Rename { from, to } => self.change_tree(tag, TreeWish::Rename { from, to }),
            Command::Subscribe { mailbox, on: true } => self.change_tree(tag, TreeWish::Subscribe(mailbox)),
            Command::Subscribe { mailbox, on: false } => self.change_tree(tag, TreeWish::Unsubscribe(mailbox)),
            Command::Transfer {
                set,
                mailbox,
                moves,
                uid,
            } => self.transfer(tag, &set, mailbox, moves, uid),
            Command::Namespace => {
                response::namespace(self.out.end());
                self.finish_ok(tag, "NAMESPACE completed");
            }
            Command::Id => self.id(tag),
            Command::Enable(names) => self.enable(tag, &names),
        }
    }
}

fn hear(event: Event<'_>, names: Names) -> Heard {
    match event {
        Event::Command(framed) if is_http(framed.text) => Heard::Http,
        Event::Command(framed) => match command::parse_with(&framed, names) {
            Ok((tag, command)) => Heard::Command(tag, command),
            Err(bad) => Heard::Bad(bad),
        },
        Event::Refused(bad) => Heard::Bad(bad),
        Event::Continue => Heard::Continue,
        Event::Message {
            tag,
            command:
                Command::Append {
                    mailbox,
                    flags,
                    keywords,
                    date,
                },
            size,
            synchronising,
            literal8,
        } => Heard::Message(Box::new(Appending::new(
            tag,
            mailbox,
            flags,
            keywords,
            date,
            size,
            synchronising,
            literal8,
        ))),
        Event::Message { .. } | Event::MessageEnd | Event::Line(_) => unreachable!("asked for by no command"),
    }
}

/// A request line or the first header of HTTP: a browser was sent here (S64).
fn is_http(line: &[u8]) -> bool {
    const VERBS: [&[u8]; 9] = [
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIONS ",
        b"CONNECT ",
        b"DELETE ",
        b"PATCH ",
        b"TRACE ",
    ];
    let starts = |prefix: &[u8]| line.len() >= prefix.len() && line[..prefix.len()].eq_ignore_ascii_case(prefix);
    let version = line.len() > 9 && line[line.len() - 9..].starts_with(b" HTTP/");
    starts(b"Host:") || (version && VERBS.iter().any(|verb| starts(verb)))
}
