//! A whole SMTP server session: bytes, splits and answers of any kind.

use std::sync::Arc;

use pillarbox_core::address::Mailbox;
use pillarbox_core::limits;
use pillarbox_core::machine::{Deadline, Input, Output, Reason};
use pillarbox_core::policy::access::{AuthorVerdict, Login, RecipientVerdict, Refusal, Target};
use pillarbox_core::record::Record;
use pillarbox_core::sasl::{ProofVerdict, ScramSalt};
use pillarbox_core::script::ScriptForm;
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::trace::New;
use pillarbox_core::smtp::server::ask::{
    Ask, Committed, Incoming, Notice, PasswordVerdict, Peer, Settings, SinkOpened, TlsEvidence, TlsOutcome,
};
use pillarbox_core::store::AccountId;
use pillarbox_core::time::{Instant, Now, UnixTime};

use crate::recorded::Recorded;
use crate::{pieces, steered};

/// The first byte: which listener and how the pieces are cut; the rest of the first line: answers; then what the peer sends.
///
/// A peer that waits for each reply gets the same however its lines are cut, and whenever answers come. One that does not wait gets
/// the same, or is thrown out where it talked early. Nobody relays, logs in or is delivered to without the host's word; what is
/// committed has only whole lines; memory stays bounded; every session ends; and its recording replays.
pub fn smtp_session(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (answers, sent) = (&bytes[..line], bytes.get(line + 1..).unwrap_or_default());
    let patient = run(steer, answers, sent.split_inclusive(|byte| *byte == b'\n'), false, true);
    assert_eq!(run(steer, answers, sent.chunks(1), false, false), patient, "octet by octet");
    let cut = sent
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| pieces(line, steer));
    assert_eq!(run(steer, answers, cut, true, false), patient, "in pieces, answered late");
    for (sent, late) in [
        (&[sent][..], false),
        (&[sent][..], true),
        (&pieces(sent, steer).collect::<Vec<_>>(), true),
    ] {
        let hasty = run(steer, answers, sent.iter().copied().filter(|piece| !piece.is_empty()), late, late);
        match hasty.closed {
            // What was said before is what the patient one heard; the rest was not waited for.
            Some(Reason::EarlyTalker | Reason::StartTlsInjection) => {
                let told = hasty.said.len() - last_line(&hasty.said).len();
                assert!(
                    patient.said.starts_with(&hasty.said[..told]) || patient.said.starts_with(&hasty.said),
                    "{}\n--- but\n{}",
                    String::from_utf8_lossy(&hasty.said),
                    String::from_utf8_lossy(&patient.said)
                );
                assert!(patient.commits.starts_with(&hasty.commits));
            }
            _ => assert_eq!(hasty, patient, "at once"),
        }
    }
}

fn last_line(said: &[u8]) -> &[u8] {
    let end = said.len().saturating_sub(2);
    let start = said[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &said[start..]
}

/// What came of a session.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: Vec<u8>,
    commits: Vec<(Incoming, Vec<u8>)>,
    closed: Option<Reason>,
}

fn run<'a>(steer: u8, answers: &[u8], sent: impl Iterator<Item = &'a [u8]>, late: bool, record: bool) -> Outcome {
    let mut host = Host::new(steer, answers, late, record);
    host.settle();
    for piece in sent {
        host.receive(piece);
    }
    host.finish();
    Outcome {
        said: host.said,
        commits: host.commits,
        closed: host.closed,
    }
}

struct Host<'a> {
    session: Recorded<Session>,
    now: Now,
    steer: u8,
    answers: &'a [u8],
    /// Answers come when the session rests, the last question's first.
    late: bool,
    open: Vec<Ask>,
    secure: bool,
    logged_in: bool,
    /// The open sink.
    sink: Option<Vec<u8>>,
    said: Vec<u8>,
    commits: Vec<(Incoming, Vec<u8>)>,
    reads: bool,
    until: Option<Deadline>,
    closed: Option<Reason>,
}

impl<'a> Host<'a> {
    fn new(steer: u8, answers: &'a [u8], late: bool, record: bool) -> Host<'a> {
        let secure = steer & 1 != 0;
        let settings = Settings {
            hostname: "mx.one.test".into(),
            submission: steer & 2 != 0,
            starttls: !secure,
            plaintext_auth: steer & 4 != 0,
            scram: steer & 8 != 0,
            message_max: 2000,
        };
        let peer = Peer {
            ip: [192, 0, 2, 7].into(),
            port: 1,
        };
        let now = Now {
            instant: Instant(0),
            unix: UnixTime(1_795_510_800_000),
        };
        let new = New {
            settings: Arc::new(settings),
            peer,
            tls: secure.then(evidence),
            machine: 1,
            seed: [7; 16],
            now,
        };
        Host {
            session: Recorded::begin(new, now, record),
            now,
            steer,
            answers,
            late,
            open: Vec::new(),
            secure,
            logged_in: false,
            sink: None,
            said: Vec::new(),
            commits: Vec::new(),
            reads: false,
            until: None,
            closed: None,
        }
    }

    /// Polls, sends and answers until nothing moves.
    fn settle(&mut self) {
        while self.closed.is_none() {
            let sent = match self.session.poll() {
                Output::Body(part) => {
                    assert!(!part.is_empty());
                    self.sink.as_mut().expect("a body needs a sink").extend_from_slice(part);
                    continue;
                }
                Output::Ask(ask) => {
                    self.check(&ask);
                    match ask {
                        Ask::DropMessage => assert!(self.sink.take().is_some(), "no sink is open"),
                        ask => self.open.push(ask),
                    }
                    continue;
                }
                Output::Close(close) => {
                    assert!(
                        self.sink.is_none() || !self.open.is_empty(),
                        "a sink is left open: {:?}",
                        close.why
                    );
                    self.session.close(&close);
                    self.closed = Some(close.why);
                    return;
                }
                Output::Wait(wait) => {
                    assert!(!wait.body, "a server wants no bodies");
                    self.reads = wait.read;
                    self.until = wait.until;
                    let octets = if self.steer & 16 == 0 {
                        wait.send.len()
                    } else {
                        wait.send.len().min(7)
                    };
                    self.said.extend_from_slice(&wait.send[..octets]);
                    octets
                }
            };
            let bound = 2 * limits::SMTP_BACKLOG + 2 * limits::SUBMISSION_HEADER + 64 * 1024;
            assert!(self.session.buffered() <= bound, "{} octets", self.session.buffered());
            if sent > 0 {
                self.session.handle(self.now, Input::Sent(sent));
            } else if !self.open.is_empty() {
                let ask = if self.late {
                    self.open.pop().expect("one is open")
                } else {
                    self.open.remove(0)
                };
                self.answer(ask);
            } else {
                return;
            }
        }
    }

    /// What an ask may be, and when; and that it can be recorded. (A secret reads back empty, so only the bytes are compared.)
    fn check(&self, ask: &Ask) {
        let record = ask.to_record();
        let again = Ask::from_record(&record).expect("an ask that was recorded");
        assert_eq!(again.to_record(), record);
        assert!(self.open.len() < limits::SMTP_ASKS);
        match ask {
            Ask::StartTls { .. } => assert!(!self.secure && !self.reads || self.open.is_empty()),
            Ask::VerifyPassword { .. } | Ask::ScramSalt { .. } | Ask::ScramProof { .. } => {
                assert!(self.secure || self.steer & 4 != 0, "S07: no credentials without TLS");
                assert!(self.steer & 2 != 0, "and none between servers");
                assert!(!self.logged_in);
            }
            Ask::ResolveRecipient { matter, .. } => assert_eq!(matter.login.is_some(), self.logged_in),
            Ask::OpenMessage { .. } => assert!(self.sink.is_none()),
            Ask::JudgeAuthor { .. } => assert!(self.logged_in),
            Ask::DropMessage => {}
            Ask::CommitMessage { message, .. } => {
                let sink = self.sink.as_ref().expect("what is committed is in the sink");
                assert_eq!(message.size, sink.len() as u64);
                assert!(
                    message.size <= 2000 + 1000,
                    "the largest message, and what a submission lacked"
                );
                assert!(!message.local.is_empty() || !message.remote.is_empty());
                assert_eq!(message.submitter.is_some(), self.logged_in);
                planted!(message.submitter.is_some() && message.remote.len() == 1 && message.local.len() == 1);
                for lines in message
                    .local
                    .iter()
                    .map(|copy| &copy.prefix)
                    .chain([&message.remote_prefix, sink])
                {
                    whole_lines(lines);
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        // By what is asked, not by when.
        let text = Session::ask_line(&ask);
        let sum = text
            .bytes()
            .fold(0usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        let choice = self.answers.get(sum % self.answers.len().max(1)).copied().unwrap_or(0) % 8;
        let login = |account| Login {
            account: AccountId([account; 16]),
            name: "tim@one.test".into(),
        };
        let mailbox = |text: &str| Mailbox::parse(text, true).expect("an address");
        let refusal = |code| Refusal {
            code,
            status: [code / 100, 1, 1],
            text: "as the host says".into(),
        };
        let answer = match ask {
            Ask::StartTls { then } if choice == 1 => then.answer(TlsOutcome::Failed),
            Ask::StartTls { then } => {
                self.secure = true;
                then.answer(TlsOutcome::Secure(evidence()))
            }
            Ask::VerifyPassword { then, .. } => then.answer(match choice {
                1 => PasswordVerdict::Denied,
                2 => PasswordVerdict::Busy,
                _ => {
                    self.logged_in = true;
                    PasswordVerdict::Granted(login(1))
                }
            }),
            Ask::ScramSalt { then, .. } => then.answer(ScramSalt {
                salt: [1; 16],
                iterations: 4096,
                nonce: [2; 18],
            }),
            Ask::ScramProof { then, .. } => then.answer(match choice {
                1 => ProofVerdict::Denied,
                _ => {
                    self.logged_in = true;
                    ProofVerdict::Granted {
                        login: login(1),
                        signature: pillarbox_core::sasl::Proof([3; 32]),
                    }
                }
            }),
            Ask::ResolveRecipient { matter, then } => {
                let local = Target::Local {
                    account: AccountId([choice; 16]),
                    address: mailbox("bob@one.test"),
                };
                let remote = Target::Remote {
                    address: mailbox("x@two.test"),
                };
                then.answer(RecipientVerdict {
                    outcome: match choice {
                        1 => Err(refusal(550)),
                        2 => Err(refusal(451)),
                        3 => Ok(vec![local, remote]),
                        4 if matter.login.is_some() => Ok(vec![remote]),
                        _ => Ok(vec![local]),
                    },
                    because: Vec::new(),
                })
            }
            Ask::JudgeAuthor { then, .. } => then.answer(AuthorVerdict {
                outcome: if choice == 1 { Err(refusal(550)) } else { Ok(()) },
                because: Vec::new(),
            }),
            Ask::OpenMessage { then, .. } => then.answer(match choice {
                1 => SinkOpened::Full,
                2 => SinkOpened::Failed,
                _ => {
                    self.sink = Some(Vec::new());
                    SinkOpened::Ready
                }
            }),
            Ask::CommitMessage { message, then } => {
                let sink = self.sink.take().expect("it was there when it was asked");
                then.answer(match choice {
                    1 => Committed::Full,
                    2 => Committed::Failed,
                    _ => {
                        self.commits.push((message, sink));
                        Committed::Done
                    }
                })
            }
            Ask::DropMessage => unreachable!("it has no answer"),
        };
        self.session.handle(self.now, Input::Answer(answer));
    }

    fn receive(&mut self, piece: &[u8]) {
        if self.closed.is_none() && self.reads {
            self.session.handle(self.now, Input::Received(piece));
            self.settle();
        }
    }

    /// The peer hangs up, goes silent, or is told to go: the session ends, in few steps.
    fn finish(&mut self) {
        if self.closed.is_none() {
            match self.steer >> 5 {
                0..4 => self.session.handle(self.now, Input::Eof),
                4..6 => self.session.handle(self.now, Input::Notice(Notice::Shutdown)),
                6 => self.session.handle(self.now, Input::Notice(Notice::Shed)),
                _ => self.session.handle(self.now, Input::Tick), // before anything is due
            }
            self.settle();
        }
        for _ in 0..8 {
            if self.closed.is_some() {
                break;
            }
            let until = self.until.expect("who waits has a deadline").at;
            self.now.instant = until.max(self.now.instant);
            self.session.handle(self.now, Input::Tick);
            self.settle();
        }
        assert!(self.closed.is_some(), "a session without a peer ends");
        replies(&self.said);
    }
}

fn evidence() -> TlsEvidence {
    TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    }
}

/// Law 7: CR and LF stand together, and there is no NUL.
fn whole_lines(text: &[u8]) {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(text.get(at + 1), Some(&b'\n'), "a bare CR"),
            b'\n' => assert!(at > 0 && text[at - 1] == b'\r', "a bare LF"),
            0 => panic!("a NUL"),
            _ => {}
        }
    }
}

/// RFC 5321 §4.2: whole lines of printable characters, the code the same on all lines of a reply.
fn replies(said: &[u8]) {
    let mut open: Option<&[u8]> = None;
    for line in said.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\r\n").expect("a whole line");
        assert!(
            text.len() <= 510 && text.iter().all(|byte| (b' '..=b'~').contains(byte)),
            "{}",
            String::from_utf8_lossy(text)
        );
        let (code, rest) = text.split_at_checked(3).expect("a code");
        assert!(matches!(code, [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9']));
        assert!(open.is_none_or(|open| open == code), "one code a reply");
        open = match rest.first() {
            Some(b'-') => Some(code),
            Some(b' ') | None => None,
            Some(_) => panic!("neither the last line nor another one"),
        };
    }
    assert_eq!(open, None, "replies end");
}
