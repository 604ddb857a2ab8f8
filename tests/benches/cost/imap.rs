//! IMAP sessions over one mailbox, with a host that answers at once: the store's own model, its digests made before.

use std::hint::black_box;
use std::sync::Arc;

use pillarbox_core::imap::search::Matcher;
use pillarbox_core::imap::server::Session;
use pillarbox_core::imap::server::ask::{
    AppendDone, Appended, Ask, BodiesOpened, Digests, ExpungeDone, FlagsSet, FlagsSetAt, MailboxList, Matched, Notice, Opened,
    Pulled, PulledChanges, Settings, TransferDone, TreeChanged,
};
use pillarbox_core::machine::{Input, Machine, Output};
use pillarbox_core::sasl::ProofVerdict;
use pillarbox_core::smtp::server::ask::{PasswordVerdict, SinkOpened, TlsOutcome};
use pillarbox_core::store::ranges::UidRanges;
use pillarbox_core::store::request::{FlagChange, FlagHow, ListedMailbox, Refused};
use pillarbox_core::store::tree::Transferred;
use pillarbox_core::store::{Flags, MailboxId, MailboxName, Uid};
use pillarbox_core::time::Now;
use pillarbox_tests::host::inbox::{Inbox, KEY, UID_VALIDITY};
use pillarbox_tests::host::{evidence, login as granted, scram_salt};

use super::Run;

/// A session and its mailbox, whose messages are all the same.
pub(crate) struct Host {
    pub(crate) session: Session,
    inbox: Inbox,
    names: Arc<[ListedMailbox]>,
    message: Arc<[u8]>,
    /// What is still to come of the open run: messages, whole, and octets of the first that have come.
    run: Vec<(u64, u64)>,
    pub(crate) sent: usize,
    pub(crate) closed: bool,
    /// The most that the session says it held.
    pub(crate) memory: usize,
}

const MESSAGE: &[u8] = b"From: Terry Gray <gray@cac.washington.edu>\r\nTo: imap@cac.washington.edu, a@b.test\r\n\
    Subject: IMAP4rev2 WG mtg summary and minutes\r\nDate: Wed, 17 Jul 1996 02:23:25 -0700\r\nMessage-Id: <B27397-0100000@x.test>\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nHello there.\r\n--b\r\n\
    Content-Type: text/html\r\n\r\n<p>Hello\r\n--b--\r\n";

impl Host {
    pub(crate) fn new() -> Host {
        let settings = Settings {
            hostname: "mx.one.test".into(),
            starttls: false,
            plaintext_auth: false,
            scram: true,
            message_max: 50_000_000,
        };
        let mut host = Host {
            session: Session::new(Arc::new(settings), Some(evidence()), 9, Now::default()),
            inbox: Inbox::new(),
            names: Arc::new([]),
            message: Arc::new([]),
            run: Vec::new(),
            sent: 0,
            closed: false,
            memory: 0,
        };
        host.settle();
        host
    }

    /// Logged in, with so many messages, selected.
    pub(crate) fn selected(messages: usize, message: &[u8]) -> Host {
        let mut host = Host::filled(messages, message);
        host.say(b"s SELECT INBOX\r\n");
        host
    }

    fn filled(messages: usize, message: &[u8]) -> Host {
        let mut host = Host::new();
        host.say(b"l LOGIN fred secret\r\n");
        host.message = message.into();
        for _ in 0..messages {
            host.inbox.append(0, b"", message, Flags::default(), &[]);
        }
        host
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.session.handle(Now::default(), Input::Received(bytes));
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            let (sent, body) = match self.session.poll() {
                Output::Body(part) => {
                    black_box(part);
                    continue;
                }
                Output::Ask(ask) => {
                    self.answer(ask);
                    continue;
                }
                Output::Close(_) => {
                    self.closed = true;
                    return;
                }
                Output::Wait(wait) => (wait.send.len(), wait.body),
            };
            self.memory = self.memory.max(self.session.memory());
            if sent > 0 {
                self.sent += sent;
                self.session.handle(Now::default(), Input::Sent(sent));
            } else if body {
                let (start, len) = self.run.pop().expect("a run");
                let message = self.message.clone();
                let piece = &message[start as usize..(start + len.min(16_384)) as usize];
                if len > 16_384 {
                    self.run.push((start + 16_384, len - 16_384));
                }
                self.session.handle(Now::default(), Input::Body(Ok(piece)));
            } else {
                return;
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        let answer = match ask {
            Ask::Unwatch { .. } | Ask::DropMessage => return,
            Ask::StartTls { then } => then.answer(TlsOutcome::Failed),
            Ask::VerifyPassword { then, login, .. } => then.answer(PasswordVerdict::Granted(granted(login))),
            Ask::ScramSalt { then, .. } => then.answer(scram_salt()),
            Ask::ScramProof { then, .. } => then.answer(ProofVerdict::Denied),
            Ask::Mailboxes { then, .. } => then.answer(MailboxList(Ok(self.names.clone()))),
            Ask::Select { take_recent, then, .. } => then.answer(Opened(Ok(self.inbox.select(take_recent)))),
            Ask::Changes {
                since,
                take_recent,
                then,
                ..
            } => then.answer(Pulled(Ok(PulledChanges {
                changes: self.inbox.mailbox.changes_since(since),
                recent_from: self.inbox.mailbox.recent(take_recent),
            }))),
            Ask::Digests { rows, then, .. } => {
                then.answer(Digests(rows.iter().map(|row| Some(self.inbox.digest(row))).collect()))
            }
            Ask::OpenBodies { parts, then, .. } => {
                self.run = parts.iter().rev().map(|part| (part.start, part.len)).collect();
                then.answer(BodiesOpened::Ready)
            }
            Ask::Match {
                program,
                candidates,
                then,
                ..
            } => {
                let fits = candidates.iter().map(|candidate| {
                    let mut matcher = Matcher::new(program.clone(), *candidate);
                    matcher.update(&self.message);
                    matcher.finish()
                });
                then.answer(Matched(fits.collect()))
            }
            Ask::SetFlags { uids, change, then, .. } => then.answer(FlagsSet(Ok(FlagsSetAt {
                lsn: self.inbox.flag(9, &uids, &change),
                modified: Vec::new(),
            }))),
            Ask::Expunge { uids, then, .. } => then.answer(ExpungeDone(Ok(self.inbox.expunge(9, uids.as_deref())))),
            Ask::OpenMessage { then, .. } => then.answer(SinkOpened::Ready),
            Ask::CommitAppend { then, .. } => then.answer(AppendDone(Ok(Appended {
                lsn: self.inbox.lsn(),
                uid_validity: UID_VALIDITY,
                uid: Uid(1),
            }))),
            Ask::ChangeTree { then, .. } => then.answer(TreeChanged(Err(Refused::Stopping))),
            Ask::Transfer { uids, then, .. } => then.answer(TransferDone(Ok(Transferred {
                lsn: self.inbox.lsn(),
                to: KEY,
                uid_validity: UID_VALIDITY,
                from: UidRanges::from_sorted(uids.iter().copied()),
                first: Uid(1),
            }))),
        };
        self.session.handle(Now::default(), Input::Answer(answer));
    }
}

/// Says it; at least so many octets must come back for each of `n`.
fn saying(mut host: Host, text: impl Into<Vec<u8>>, n: usize, octets: usize) -> Run {
    let text = text.into();
    Box::new(move || {
        let before = host.sent;
        host.say(&text);
        let came = host.sent - before;
        assert!(
            !host.closed && came >= n * octets,
            "what is measured is what was meant: {came} octets"
        );
    })
}

pub(super) fn noops(n: usize) -> Run {
    saying(Host::selected(1, MESSAGE), "a NOOP\r\n".repeat(n), n, 10)
}

pub(super) fn select(n: usize) -> Run {
    saying(Host::filled(n, MESSAGE), "a SELECT INBOX\r\n", 1, 100)
}

pub(super) fn fetch_flags(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a FETCH 1:* (UID FLAGS)\r\n", n, 20)
}

pub(super) fn fetch_envelope(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a FETCH 1:* ENVELOPE\r\n", n, 200)
}

pub(super) fn fetch_structure(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a FETCH 1:* BODYSTRUCTURE\r\n", n, 100)
}

pub(super) fn fetch_bodies(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a FETCH 1:* BODY.PEEK[]\r\n", n, MESSAGE.len())
}

pub(super) fn fetch_body(n: usize) -> Run {
    let message = [
        b"Subject: x\r\n\r\n",
        &b"a line of sixty-four octets, with its end, as mail often has it\r\n".repeat(n / 66)[..],
    ]
    .concat();
    saying(Host::selected(1, &message), "a FETCH 1 BODY.PEEK[]\r\n", 1, message.len())
}

pub(super) fn fetch_headers(n: usize) -> Run {
    saying(
        Host::selected(n, MESSAGE),
        "a FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject From)]\r\n",
        n,
        80,
    )
}

pub(super) fn fetch_ranges(n: usize) -> Run {
    let set: Vec<String> = (0..n).map(|number| (2 * number + 1).to_string()).collect();
    saying(
        Host::selected(2 * n, MESSAGE),
        format!("a FETCH {} UID\r\n", set.join(",")),
        n,
        10,
    )
}

pub(super) fn search_rows(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a SEARCH UNSEEN LARGER 10 NOT DELETED\r\n", n, 3)
}

pub(super) fn search_texts(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a SEARCH BODY there SUBJECT minutes\r\n", n, 2)
}

pub(super) fn search_or(n: usize) -> Run {
    let keys = "OR FLAGGED ".repeat(n);
    saying(Host::selected(500, MESSAGE), format!("a SEARCH {keys}UNSEEN\r\n"), 500, 2)
}

pub(super) fn store(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a STORE 1:* +FLAGS (\\Seen)\r\n", n, 20)
}

pub(super) fn expunge(n: usize) -> Run {
    let mut host = Host::selected(n, MESSAGE);
    host.say(b"d STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n");
    saying(host, "a EXPUNGE\r\n", n, 10)
}

pub(super) fn append(n: usize) -> Run {
    let text = format!("a APPEND INBOX {{{n}+}}\r\n{}\r\n", "x".repeat(n));
    saying(Host::selected(1, MESSAGE), text, 1, 20)
}

fn named(n: usize) -> Host {
    let mut host = Host::selected(1, MESSAGE);
    host.names = (0..n)
        .map(|number| ListedMailbox {
            mailbox: Some(MailboxId([7; 16])),
            name: MailboxName(format!("a/{number:06}/b").into()),
            special_use: None,
            subscribed: true,
        })
        .collect();
    host
}

pub(super) fn list(n: usize) -> Run {
    saying(named(n), "a LIST \"\" *\r\n", n, 20)
}

pub(super) fn list_stars(n: usize) -> Run {
    saying(named(n), "a LIST \"\" *%*%*%*%*%*%*%*%*%*%x\r\n", 1, 10)
}

pub(super) fn status(n: usize) -> Run {
    saying(Host::filled(n, MESSAGE), "a STATUS INBOX (MESSAGES UNSEEN SIZE)\r\n", 1, 20)
}

pub(super) fn copy(n: usize) -> Run {
    saying(Host::selected(n, MESSAGE), "a COPY 1:* INBOX\r\n", 1, 20)
}

/// So many changes that another session made, told at once.
pub(super) fn changes(n: usize) -> Run {
    let mut host = Host::selected(n, MESSAGE);
    for uid in 1..=n as u32 {
        let change = FlagChange {
            how: FlagHow::Add,
            flags: Flags::FLAGGED,
            keywords: Vec::new(),
        };
        host.inbox.flag(0, &[Uid(uid)], &change);
    }
    let lsn = host.inbox.lsn();
    host.session
        .handle(Now::default(), Input::Notice(Notice::Changed { mailbox: KEY, lsn }));
    saying(host, "a NOOP\r\n", n, 10)
}

pub(super) fn enable(n: usize) -> Run {
    saying(Host::selected(1, MESSAGE), format!("a ENABLE{}\r\n", " X-Y".repeat(n)), 1, 10)
}

pub(super) fn login_literals(n: usize) -> Run {
    saying(
        Host::new(),
        format!("a LOGIN {{{n}+}}\r\n{} {{3+}}\r\nabc\r\n", "x".repeat(n)),
        1,
        10,
    )
}
