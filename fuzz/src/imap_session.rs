//! A whole IMAP session over one mailbox: bytes, splits and answers of any kind.

use std::sync::Arc;

use pillarbox_core::imap::search::Matcher;
use pillarbox_core::imap::server::Session;
use pillarbox_core::imap::server::trace::New;
use pillarbox_core::imap::server::ask::{
    AppendDone, Appended, Ask, BodiesOpened, BodyRange, Digests, ExpungeDone, FlagsSet, FlagsSetAt, MailboxList, Matched,
    Notice, Opened, Pulled, PulledChanges, Settings, TransferDone, TreeChanged,
};
use pillarbox_core::limits;
use pillarbox_core::machine::{BodyError, Deadline, Input, Output, Reason};
use pillarbox_core::policy::access::Login;
use pillarbox_core::record::Record;
use pillarbox_core::sasl::{ProofVerdict, ScramSalt};
use pillarbox_core::script::ScriptForm;
use pillarbox_core::smtp::server::ask::{PasswordVerdict, SinkOpened, TlsEvidence, TlsOutcome};
use pillarbox_core::store::ranges::UidRanges;
use pillarbox_core::store::request::{ListedMailbox, Refused};
use pillarbox_core::store::tree::{Transferred, TreeDone};
use pillarbox_core::store::version::{Changes, Row};
use pillarbox_core::store::{Flags, MailboxId, MailboxKey, MailboxName, SpecialUse, Uid};
use pillarbox_core::time::{Instant, Now, UnixTime};

use crate::inbox::{Inbox, KEY, UID_VALIDITY};
use crate::recorded::Recorded;
use crate::{pieces, steered};

/// The header that each copy has of its own.
const PREFIX: &[u8] = b"Delivered-To: t@one.test\r\n";

/// What lies in the mailbox at first: plain, of parts within parts, broken.
const MESSAGES: [&[u8]; 3] = [
    b"From: Terry <t@one.test>\r\nSubject: =?utf-8?q?gr=C3=BCn?=\r\nDate: Wed, 17 Jul 1996 02:23:25 -0700\r\n\r\nHello\r\nthere.\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n\
      inner\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nAGE=\r\n--b--\r\n",
    b"a\x00b\r\nno header\n",
];

/// The first byte: what is there at first and how the pieces are cut; the rest of the first line: answers; then what the client sends.
///
/// Any split gives the same; responses are whole, and hold nothing that ends them early; nobody gets anything without a login, nor
/// logs in without TLS; runs are bounded, and so is memory; every session ends, and its recording replays.
pub fn imap_session(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (answers, sent) = (&bytes[..line], bytes.get(line + 1..).unwrap_or_default());
    let whole = run(steer, answers, [sent].into_iter().filter(|sent| !sent.is_empty()), true);
    for said in [run(steer, answers, sent.chunks(1), false), run(steer, answers, pieces(sent, steer), true)] {
        // What waits behind STARTTLS is seen when it is there.
        if whole.closed != Some(Reason::StartTlsInjection) && said.closed != Some(Reason::StartTlsInjection) {
            assert_eq!(said, whole, "in pieces");
        }
    }
}

#[derive(PartialEq, Eq)]
struct Outcome {
    said: Vec<u8>,
    closed: Option<Reason>,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} after\n{}", self.closed, String::from_utf8_lossy(&self.said))
    }
}

fn run<'a>(steer: u8, answers: &[u8], sent: impl Iterator<Item = &'a [u8]>, record: bool) -> Outcome {
    let mut host = Host::new(steer, answers, record);
    host.settle();
    for piece in sent {
        host.receive(piece);
    }
    host.finish();
    let tagged = responses(&host.said);
    planted!(steer >> 6 == 2 && tagged > 3 && host.said.windows(9).any(|nine| nine == b" EXPUNGE\r"));
    Outcome {
        said: host.said,
        closed: host.closed,
    }
}

struct Host<'a> {
    session: Recorded<Session>,
    store: Inbox,
    now: Now,
    steer: u8,
    answers: &'a [u8],
    asked: usize,
    open: Option<Ask>,
    secure: bool,
    logged_in: bool,
    sink: Option<Vec<u8>>,
    /// What is still to come of the open run, and whether it breaks off then.
    run: Vec<u8>,
    breaks: bool,
    said: Vec<u8>,
    reads: bool,
    until: Option<Deadline>,
    closed: Option<Reason>,
}

impl<'a> Host<'a> {
    fn new(steer: u8, answers: &'a [u8], record: bool) -> Host<'a> {
        let secure = steer & 1 != 0;
        let settings = Settings {
            hostname: "mx.one.test".into(),
            starttls: !secure,
            plaintext_auth: steer & 2 != 0,
            scram: steer & 4 != 0,
            message_max: 1000,
        };
        let mut store = Inbox::new();
        for message in &MESSAGES[..usize::from(steer >> 3 & 3)] {
            store.append(0, PREFIX, message, Flags::default(), &["$Important".into()]);
        }
        let now = Now {
            instant: Instant(0),
            unix: UnixTime(1_795_510_800_000),
        };
        let new = New {
            settings: Arc::new(settings),
            tls: secure.then(evidence),
            machine: 9,
            now,
        };
        Host {
            session: Recorded::begin(new, now, record),
            store,
            now,
            steer,
            answers,
            asked: 0,
            open: None,
            secure,
            logged_in: false,
            sink: None,
            run: Vec::new(),
            breaks: false,
            said: Vec::new(),
            reads: false,
            until: None,
            closed: None,
        }
    }

    fn settle(&mut self) {
        while self.closed.is_none() {
            let (sent, body) = match self.session.poll() {
                Output::Body(part) => {
                    assert!(!part.is_empty() && part.len() <= limits::SINK_CHUNK);
                    self.sink.as_mut().expect("a body needs a sink").extend_from_slice(part);
                    continue;
                }
                Output::Ask(ask) => {
                    self.asked(ask);
                    continue;
                }
                Output::Close(close) => {
                    self.session.close(&close);
                    self.closed = Some(close.why);
                    return;
                }
                Output::Wait(wait) => {
                    self.reads = wait.read;
                    self.until = wait.until;
                    let octets = if self.steer & 32 == 0 {
                        wait.send.len()
                    } else {
                        wait.send.len().min(5)
                    };
                    self.said.extend_from_slice(&wait.send[..octets]);
                    (octets, wait.body)
                }
            };
            let bound = 2 * (limits::IMAP_COMMAND + limits::SEND_HIGH_WATER) + 64 * 1024;
            assert!(self.session.memory() <= bound, "{} octets", self.session.memory());
            if sent > 0 {
                self.session.handle(self.now, Input::Sent(sent));
            } else if let Some(ask) = self.open.take() {
                self.answer(ask);
            } else if body {
                self.feed();
            } else {
                return;
            }
        }
    }

    fn feed(&mut self) {
        let rest = self.run.split_off(self.run.len().min(11));
        let piece = std::mem::replace(&mut self.run, rest);
        if piece.is_empty() {
            assert!(self.breaks, "a body is wanted, and there is none");
            self.session.handle(self.now, Input::Body(Err(BodyError::Corrupt)));
        } else {
            self.session.handle(self.now, Input::Body(Ok(&piece)));
        }
    }

    /// What an ask may be, and when; and that it can be recorded.
    fn asked(&mut self, ask: Ask) {
        let record = ask.to_record();
        let again = Ask::from_record(&record).expect("an ask that was recorded");
        assert_eq!(again.to_record(), record);
        match &ask {
            Ask::StartTls { .. } => assert!(!self.secure && !self.logged_in),
            Ask::VerifyPassword { .. } | Ask::ScramSalt { .. } | Ask::ScramProof { .. } => {
                assert!(self.secure || self.steer & 2 != 0, "S07: no credentials without TLS");
                assert!(!self.logged_in);
            }
            Ask::Unwatch { mailbox } => {
                assert!(self.logged_in && *mailbox == KEY);
                return;
            }
            Ask::DropMessage => {
                assert!(self.sink.take().is_some(), "no sink is open");
                return;
            }
            Ask::Mailboxes { account, .. } | Ask::Select { account, .. } | Ask::ChangeTree { account, .. } => {
                assert!(self.logged_in && *account == KEY.account);
            }
            Ask::OpenMessage { size, .. } => assert!(self.logged_in && self.sink.is_none() && *size <= 1000),
            Ask::CommitAppend { .. } => assert!(self.sink.is_some()),
            Ask::Match { candidates, .. } => assert!(self.logged_in && candidates.len() <= limits::RUN_PARTS),
            Ask::Digests { rows, .. } => assert!(self.logged_in && (1..=limits::RUN_PARTS).contains(&rows.len())),
            Ask::OpenBodies { parts, .. } => {
                assert!(self.logged_in && self.run.is_empty(), "one run at a time");
                assert!((1..=limits::RUN_PARTS).contains(&parts.len()) && parts.iter().all(|part| part.len > 0));
            }
            Ask::Changes { mailbox, .. }
            | Ask::SetFlags { mailbox, .. }
            | Ask::Expunge { mailbox, .. }
            | Ask::Transfer { from: mailbox, .. } => assert!(self.logged_in && *mailbox == KEY),
        }
        assert!(self.open.is_none(), "one question at a time");
        self.open = Some(ask);
    }

    fn choice(&mut self) -> u8 {
        let choice = self.answers.get(self.asked % self.answers.len().max(1)).copied().unwrap_or(0);
        self.asked += 1;
        choice % 8
    }

    fn answer(&mut self, ask: Ask) {
        let choice = self.choice();
        let refused = match choice {
            1 => Some(Refused::NoSuchMailbox),
            2 => Some(Refused::Limit("as the host says".into())),
            3 => Some(Refused::DiskFull),
            _ => None,
        };
        let own = 9;
        let _ = Session::ask_line(&ask);
        let answer = match ask {
            Ask::Unwatch { .. } | Ask::DropMessage => unreachable!("they have no answer"),
            Ask::StartTls { then } if choice == 1 => then.answer(TlsOutcome::Failed),
            Ask::StartTls { then } => {
                self.secure = true;
                then.answer(TlsOutcome::Secure(evidence()))
            }
            Ask::VerifyPassword { then, login, .. } => then.answer(match choice {
                1 => PasswordVerdict::Denied,
                2 => PasswordVerdict::Busy,
                _ => PasswordVerdict::Granted(self.login(login)),
            }),
            Ask::ScramSalt { then, .. } => then.answer(ScramSalt {
                salt: [1; 16],
                iterations: 4096,
                nonce: [2; 18],
            }),
            Ask::ScramProof { then, login, .. } => then.answer(match choice {
                1 => ProofVerdict::Denied,
                _ => ProofVerdict::Granted {
                    login: self.login(login),
                    signature: pillarbox_core::sasl::Proof([3; 32]),
                },
            }),
            Ask::Mailboxes { then, .. } => then.answer(MailboxList(refused.map_or_else(|| Ok(mailboxes()), Err))),
            Ask::Select {
                name, take_recent, then, ..
            } => then.answer(Opened(match refused {
                Some(refused) => Err(refused),
                None if &*name.0 != "INBOX" => Err(Refused::NoSuchMailbox),
                None => Ok(self.store.select(take_recent)),
            })),
            Ask::Changes {
                since,
                take_recent,
                then,
                ..
            } => {
                if choice == 4 {
                    self.store.append(0, PREFIX, MESSAGES[0], Flags::default(), &[]);
                }
                // Whoever has seen this record pulls what is behind it; it is there in any case.
                let changes = match choice {
                    5 => Changes::Diff(self.store.mailbox.published().clone()),
                    _ => self.store.mailbox.changes_since(since),
                };
                then.answer(Pulled(Ok(PulledChanges {
                    changes,
                    recent_from: self.store.mailbox.recent(take_recent),
                })))
            }
            Ask::Digests { rows, then, .. } => {
                let digest = |row: &Row| (choice != 1).then(|| self.store.digest(row));
                then.answer(Digests(rows.iter().map(digest).collect()))
            }
            Ask::OpenBodies { parts, then, .. } => then.answer(self.open_run(choice, &parts)),
            Ask::Match {
                program,
                candidates,
                then,
                ..
            } => {
                let fits = candidates.iter().map(|candidate| {
                    let mut matcher = Matcher::new(program.clone(), *candidate);
                    matcher.update(self.store.bytes(&candidate.row));
                    matcher.finish() && choice != 1
                });
                then.answer(Matched(fits.collect()))
            }
            Ask::SetFlags { uids, change, then, .. } => then.answer(FlagsSet(match refused {
                Some(refused) => Err(refused),
                None => Ok(FlagsSetAt {
                    lsn: self.store.flag(own, &uids, &change),
                    modified: Vec::new(),
                }),
            })),
            Ask::Expunge { uids, then, .. } => then.answer(ExpungeDone(match refused {
                Some(refused) => Err(refused),
                None => Ok(self.store.expunge(own, uids.as_deref())),
            })),
            Ask::OpenMessage { then, .. } => then.answer(match choice {
                1 => SinkOpened::Full,
                2 => SinkOpened::Failed,
                _ => {
                    self.sink = Some(Vec::new());
                    SinkOpened::Ready
                }
            }),
            Ask::CommitAppend {
                flags, keywords, then, ..
            } => {
                let body = self.sink.take().expect("it was there when it was asked");
                then.answer(AppendDone(match refused {
                    Some(refused) => Err(refused),
                    None => {
                        let (lsn, uid) = self.store.append(own, PREFIX, &body, flags, &keywords);
                        Ok(Appended {
                            lsn,
                            uid_validity: UID_VALIDITY,
                            uid,
                        })
                    }
                }))
            }
            Ask::ChangeTree { then, .. } => then.answer(TreeChanged(match choice {
                1 => Err(Refused::AlreadyExists),
                2 => Err(Refused::HasChildren),
                3 => Err(Refused::UseTaken),
                4 => Err(Refused::Cannot("as the host says".into())),
                5 => Err(Refused::NoSuchMailbox),
                _ => Ok(TreeDone {
                    lsn: self.store.lsn(),
                    mailbox: None,
                }),
            })),
            Ask::Transfer { uids, moves, then, .. } => then.answer(TransferDone(match choice {
                1 => Err(Refused::NoDestination),
                2 => Err(Refused::Expunged),
                3 => Err(Refused::DiskFull),
                _ => Ok(self.transfer(&uids, moves)),
            })),
        };
        self.session.handle(self.now, Input::Answer(answer));
    }

    fn login(&mut self, name: String) -> Login {
        self.logged_in = true;
        Login {
            account: KEY.account,
            name,
        }
    }

    /// What still is there goes to another mailbox.
    fn transfer(&mut self, uids: &[Uid], moves: bool) -> Transferred {
        let there: Vec<Uid> = self
            .store
            .mailbox
            .published()
            .chunks
            .iter()
            .flat_map(|chunk| chunk.fixed.uid.clone())
            .collect();
        let went: Vec<Uid> = uids.iter().copied().filter(|uid| there.contains(uid)).collect();
        let from = UidRanges::from_sorted(went.iter().copied());
        if moves && !went.is_empty() {
            self.store.remove(9, went);
        }
        Transferred {
            lsn: self.store.lsn(),
            to: MailboxKey {
                account: KEY.account,
                mailbox: MailboxId([3; 16]),
            },
            uid_validity: 8,
            from,
            first: Uid(100),
        }
    }

    fn open_run(&mut self, choice: u8, parts: &[BodyRange]) -> BodiesOpened {
        if choice == 1 {
            return BodiesOpened::Failed(BodyError::Missing);
        }
        self.run.clear();
        for part in parts {
            let range = part.start as usize..(part.start + part.len) as usize;
            self.run.extend_from_slice(&self.store.bytes(&part.row)[range]);
        }
        self.breaks = choice == 2;
        if self.breaks {
            self.run.truncate(self.run.len() / 2);
        }
        BodiesOpened::Ready
    }

    fn receive(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && self.closed.is_none() && self.reads {
            self.session.handle(self.now, Input::Received(rest));
            self.settle();
            rest = &[];
        }
    }

    /// The client hangs up, goes silent, or is told to go: the session ends, in few steps.
    fn finish(&mut self) {
        if self.closed.is_none() {
            match self.steer >> 6 {
                0 => self.session.handle(self.now, Input::Eof),
                1 => self.session.handle(self.now, Input::Notice(Notice::Shutdown)),
                2 => self.session.handle(self.now, Input::Notice(Notice::Shed)),
                _ => {
                    let (lsn, _) = self.store.append(0, PREFIX, MESSAGES[0], Flags::default(), &[]);
                    self.session
                        .handle(self.now, Input::Notice(Notice::Changed { mailbox: KEY, lsn }));
                }
            }
            self.settle();
        }
        for _ in 0..40 {
            if self.closed.is_some() {
                return;
            }
            let until = self.until.expect("who waits has a deadline").at;
            self.now.instant = until.max(self.now.instant);
            self.session.handle(self.now, Input::Tick);
            self.settle();
        }
        panic!("a session without a client ends");
    }
}

fn mailboxes() -> Arc<[ListedMailbox]> {
    let list = [
        ("Archive", Some(SpecialUse::Archive), true),
        ("Archive/2025", None, false),
        ("Gr\u{fc}n & \"x\"", None, true),
        ("INBOX", None, true),
        ("gone/below", None, true),
    ];
    list.iter()
        .enumerate()
        .map(|(index, (name, special_use, subscribed))| ListedMailbox {
            mailbox: (*name != "gone/below").then_some(MailboxId([index as u8; 16])),
            name: MailboxName((*name).into()),
            special_use: *special_use,
            subscribed: *subscribed,
        })
        .collect()
}

fn evidence() -> TlsEvidence {
    TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    }
}

/// Reads responses as a client does: lines with literals in them, of which the last may be cut off. How many are tagged.
fn responses(said: &[u8]) -> usize {
    let (mut rest, mut tagged, mut first) = (said, 0, true);
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            break;
        };
        let line = rest[..end].strip_suffix(b"\r").expect("a line ends with CRLF");
        assert!(
            !line.iter().any(|byte| *byte < b' ' || *byte == 0x7f),
            "{}",
            String::from_utf8_lossy(line)
        );
        if first {
            assert!(line.contains(&b' '), "{}", String::from_utf8_lossy(line));
            tagged += usize::from(!line.starts_with(b"* ") && !line.starts_with(b"+ "));
        }
        rest = &rest[end + 1..];
        let octets = line.strip_suffix(b"}").and_then(|line| {
            let brace = line.iter().rposition(|byte| *byte == b'{')?;
            std::str::from_utf8(&line[brace + 1..]).ok()?.parse::<usize>().ok()
        });
        first = octets.is_none();
        rest = &rest[octets.unwrap_or(0).min(rest.len())..];
    }
    tagged
}
