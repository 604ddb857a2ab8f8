//! One IMAP session over mailboxes in memory: the store's own model answers its asks, in virtual time.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use pillarbox_core::imap::search::Matcher;
use pillarbox_core::imap::server::Session;
use pillarbox_core::imap::server::ask::{
    AppendDone, Appended, Ask, BodiesOpened, BodyRange, Digests, ExpungeDone, FlagsSet, FlagsSetAt, MailboxList, Matched,
    Notice, Opened, Pulled, PulledChanges, Settings, TransferDone, TreeChanged, Value,
};
use pillarbox_core::machine::{Answer, BodyError, Close, Input, Machine, Output};
use pillarbox_core::sasl::ProofVerdict;
use pillarbox_core::smtp::server::ask::{PasswordVerdict, SinkOpened};
use pillarbox_core::store::request::Refused;
use pillarbox_core::time::{Instant, Now, UnixTime};
use pillarbox_tests::data;
use pillarbox_tests::host::inbox::{Inbox, KEY, UID_VALIDITY};
use pillarbox_tests::host::{evidence, login as granted, scram_salt};

/// A session and what its driver holds.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) number: u64,
    pub(crate) now: Now,
    /// What came from the server and was not taken.
    pub(crate) got: Vec<u8>,
    pub(crate) closed: Option<Close>,
    inbound: VecDeque<u8>,
    answers: VecDeque<Answer<Value>>,
    sink: Vec<u8>,
    run: VecDeque<u8>,
    run_breaks: bool,
    /// Octets of a body in one piece; octets received in one piece.
    pub(crate) chunk: usize,
    /// It reads only when the session wants nothing else.
    pub(crate) lazy: bool,
    /// The greatest amount that waited to be sent.
    pub(crate) waiting_max: usize,
    /// Asks, in order, by their script lines.
    pub(crate) asked: Vec<String>,
}

impl Client {
    /// A client that has logged in.
    pub(crate) fn new(store: &mut Inbox, number: u64) -> Client {
        let settings = Settings {
            hostname: "mx.one.test".into(),
            starttls: false,
            plaintext_auth: false,
            scram: true,
            message_max: 50_000_000,
        };
        let now = Now {
            instant: Instant(0),
            unix: UnixTime(0),
        };
        let mut client = Client {
            session: Session::new(Arc::new(settings), Some(evidence()), number, now),
            number,
            now,
            got: Vec::new(),
            closed: None,
            inbound: VecDeque::new(),
            answers: VecDeque::new(),
            sink: Vec::new(),
            run: VecDeque::new(),
            run_breaks: false,
            chunk: 4096,
            lazy: false,
            waiting_max: 0,
            asked: Vec::new(),
        };
        client.say(store, b"in LOGIN fred secret\r\n");
        client.got.clear();
        client
    }

    /// Sends bytes; runs until nothing moves any more. What came back.
    pub(crate) fn say(&mut self, store: &mut Inbox, bytes: &[u8]) -> Vec<u8> {
        self.inbound.extend(bytes);
        self.run(store);
        std::mem::take(&mut self.got)
    }

    /// Tells the session of the store's newest record.
    pub(crate) fn notice(&mut self, store: &mut Inbox) {
        let lsn = store.mailbox.published().lsn;
        self.session
            .handle(self.now, Input::Notice(Notice::Changed { mailbox: KEY, lsn }));
        self.run(store);
    }

    pub(crate) fn run(&mut self, store: &mut Inbox) {
        while self.closed.is_none() && self.once(store) {}
    }

    /// Polls to rest, then feeds one input; `false`: there is none.
    fn once(&mut self, store: &mut Inbox) -> bool {
        let (sent, read, body) = loop {
            match self.session.poll() {
                Output::Ask(ask) => self.perform(store, ask),
                Output::Body(octets) => self.sink.extend_from_slice(octets),
                Output::Close(close) => {
                    self.closed = Some(close);
                    return false;
                }
                Output::Wait(wait) => {
                    self.waiting_max = self.waiting_max.max(wait.send.len());
                    let sent = wait.send.len().min(self.chunk);
                    if !(self.lazy && wait.body) {
                        self.got.extend_from_slice(&wait.send[..sent]);
                    }
                    break (sent, wait.read, wait.body);
                }
            }
        };
        if sent > 0 && !(self.lazy && body) {
            self.session.handle(self.now, Input::Sent(sent));
        } else if let Some(answer) = self.answers.pop_front() {
            self.session.handle(self.now, Input::Answer(answer));
        } else if body {
            let len = self.run.len().min(self.chunk);
            let chunk: Vec<u8> = self.run.drain(..len).collect();
            let piece = if chunk.is_empty() {
                assert!(self.run_breaks, "a body is wanted, and there is none");
                Err(BodyError::Corrupt)
            } else {
                Ok(chunk.as_slice())
            };
            self.session.handle(self.now, Input::Body(piece));
        } else if read && !self.inbound.is_empty() {
            let len = self.inbound.len().min(self.chunk);
            let piece: Vec<u8> = self.inbound.drain(..len).collect();
            self.session.handle(self.now, Input::Received(&piece));
        } else {
            return false;
        }
        true
    }

    fn perform(&mut self, store: &mut Inbox, ask: Ask) {
        self.asked
            .push(<Session as pillarbox_core::script::ScriptForm>::ask_line(&ask));
        let answer = match ask {
            Ask::StartTls { .. } => panic!("no STARTTLS here"),
            Ask::ScramSalt { then, .. } => then.answer(scram_salt()),
            Ask::ScramProof { then, .. } => then.answer(ProofVerdict::Denied),
            Ask::VerifyPassword { then, login, .. } => then.answer(PasswordVerdict::Granted(granted(login))),
            Ask::Mailboxes { then, .. } => then.answer(MailboxList(Ok(Arc::new([])))),
            Ask::Select {
                name, take_recent, then, ..
            } => then.answer(Opened(if &*name.0 == "INBOX" {
                Ok(store.select(take_recent))
            } else {
                Err(Refused::NoSuchMailbox)
            })),
            Ask::Unwatch { .. } => return,
            Ask::Changes {
                since,
                take_recent,
                then,
                ..
            } => then.answer(Pulled(Ok(PulledChanges {
                changes: store.mailbox.changes_since(since),
                recent_from: store.mailbox.recent(take_recent),
            }))),
            Ask::Digests { rows, then, .. } => then.answer(Digests(rows.iter().map(|row| Some(store.digest(row))).collect())),
            Ask::OpenBodies { parts, then, .. } => then.answer(self.open_run(store, &parts)),
            Ask::Match {
                program,
                candidates,
                then,
                ..
            } => {
                let octets: u64 = candidates.iter().map(|candidate| u64::from(candidate.row.size)).sum();
                assert!(candidates.len() <= pillarbox_core::limits::RUN_PARTS, "a run is bounded");
                assert!(
                    candidates.len() <= 1 || octets <= pillarbox_core::limits::SEARCH_RUN,
                    "a run is bounded"
                );
                let fits = candidates.iter().map(|candidate| {
                    let mut matcher = Matcher::new(program.clone(), *candidate);
                    matcher.update(store.bytes(&candidate.row));
                    matcher.finish() && !store.broken.contains(&candidate.row.uid)
                });
                then.answer(Matched(fits.collect()))
            }
            Ask::SetFlags { uids, change, then, .. } => then.answer(FlagsSet(Ok(FlagsSetAt {
                lsn: store.flag(self.number, &uids, &change),
                modified: Vec::new(),
            }))),
            Ask::Expunge { uids, then, .. } => then.answer(ExpungeDone(Ok(store.expunge(self.number, uids.as_deref())))),
            // This store is one mailbox; `imap_tree` has more.
            Ask::ChangeTree { then, .. } => then.answer(TreeChanged(Err(Refused::Cannot("one mailbox is all".into())))),
            Ask::Transfer { then, .. } => then.answer(TransferDone(Err(Refused::NoDestination))),
            Ask::OpenMessage { then, .. } => then.answer(SinkOpened::Ready),
            Ask::DropMessage => {
                self.sink.clear();
                return;
            }
            Ask::CommitAppend {
                flags, keywords, then, ..
            } => {
                let body = std::mem::take(&mut self.sink);
                let (lsn, uid) = store.append(self.number, b"", &body, flags, &keywords);
                then.answer(AppendDone(Ok(Appended {
                    lsn,
                    uid_validity: UID_VALIDITY,
                    uid,
                })))
            }
        };
        self.answers.push_back(answer);
    }

    fn open_run(&mut self, store: &Inbox, parts: &[BodyRange]) -> BodiesOpened {
        assert!(self.run.is_empty() || self.run_breaks, "one run at a time");
        assert!(!parts.is_empty() && parts.len() <= pillarbox_core::limits::RUN_PARTS);
        let octets: u64 = parts.iter().map(|part| part.len).sum();
        assert!(
            parts.len() == 1 || octets <= pillarbox_core::limits::RUN_BYTES,
            "a run is bounded"
        );
        self.run.clear();
        self.run_breaks = false;
        for part in parts {
            assert!(part.len > 0, "an empty part");
            if store.broken.contains(&part.row.uid) {
                self.run_breaks = true;
                break;
            }
            let range = part.start as usize..(part.start + part.len) as usize;
            self.run.extend(&store.bytes(&part.row)[range]);
        }
        BodiesOpened::Ready
    }
}

/// The messages of the test data, as they are appended, without NUL; empty, and said loudly, where there is none.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let files: Vec<PathBuf> = ["mime", "mailing-lists"].into_iter().flat_map(data::files).collect();
    if files.is_empty() {
        data::is_missing();
    }
    let message = |file: &PathBuf| {
        let mut message = data::wire_form(&std::fs::read(file).expect("a file"));
        message
            .iter_mut()
            .filter(|octet| **octet == 0)
            .for_each(|octet| *octet = b'?');
        message
    };
    files.iter().map(message).collect()
}

/// The literals of a response, in order.
pub(crate) fn literals(mut response: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some(end) = response.windows(3).position(|three| three == b"}\r\n") {
        let open = response[..end].iter().rposition(|byte| *byte == b'{').expect("a brace");
        let size = std::str::from_utf8(&response[open + 1..end])
            .ok()
            .and_then(|size| size.parse::<usize>().ok());
        let size = size.expect("a literal's size");
        let start = end + 3;
        found.push(response[start..start + size].to_vec());
        response = &response[start + size..];
    }
    found
}
