use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::imap::command::{SearchKey, SequenceSet};
use crate::imap::search::{Candidate, Context, Program};
use crate::imap::sequence::Intervals;
use crate::imap::server::Session;
use crate::machine::{Slot, SlotId};
use crate::record::Record;
use crate::script::ScriptForm;
use crate::store::{AccountId, Flags, Lsn, MailboxId, MailboxKey, MailboxName, Uid};
use crate::time::UnixTime;

fn round<T: Record + PartialEq + core::fmt::Debug>(value: &T) {
    let written = value.to_record();
    assert_eq!(T::from_record(&written).as_ref(), Ok(value));
    for cut in 0..written.len() {
        assert!(T::from_record(&written[..cut]).is_err(), "cut at {cut}");
    }
}

fn slot<T>() -> Slot<T> {
    let id = SlotId {
        machine: 7,
        index: 0,
        generation: 3,
    };
    Slot::from_record(&id.to_record()).unwrap()
}

const KEY: MailboxKey = MailboxKey {
    account: AccountId([1; 16]),
    mailbox: MailboxId([2; 16]),
};

/// `OR (1 SENTON …) NOT SUBJECT hello`
fn program() -> Program {
    let keys = [
        SearchKey::And(1),
        SearchKey::Or,
        SearchKey::And(2),
        SearchKey::Numbers(SequenceSet::parse(b"1:3").unwrap()),
        SearchKey::SentOn(9694),
        SearchKey::Not,
        SearchKey::Header {
            name: "Subject".into(),
            text: "hello".into(),
        },
    ];
    let context = Context {
        exists: 9,
        last_uid: 9,
        keywords: &[],
        saved: &Intervals::default(),
        now: UnixTime(0),
    };
    Program::compile(&keys, &context).unwrap()
}

fn selected() -> Selected {
    let ask = Ask::Select {
        account: KEY.account,
        name: MailboxName("INBOX".into()),
        watch: true,
        take_recent: true,
        then: slot(),
    };
    let text = "mailbox lsn=4 next=9 recent=6 keywords=$Junk rows=1:\\Seen+$Junk@310/20,2-8";
    let answer = Session::answer_line(ask, text).unwrap().unwrap();
    let Value::Opened(Opened(Ok(selected))) = answer.value else {
        panic!("not a mailbox")
    };
    selected
}

#[test]
fn every_ask_survives() {
    let row = selected().version.row(Uid(1)).unwrap();
    let change = FlagChange {
        how: crate::store::request::FlagHow::Add,
        flags: Flags::SEEN,
        keywords: Vec::from(["$Junk".into()]),
    };
    for ask in [
        Ask::StartTls { then: slot() },
        Ask::VerifyPassword {
            login: "fred".into(),
            password: crate::secret::Secret::default(),
            then: slot(),
        },
        Ask::Mailboxes {
            account: KEY.account,
            then: slot(),
        },
        Ask::Select {
            account: KEY.account,
            name: MailboxName("Entw\u{fc}rfe".into()),
            watch: false,
            take_recent: true,
            then: slot(),
        },
        Ask::Unwatch { mailbox: KEY },
        Ask::Changes {
            mailbox: KEY,
            since: Lsn(8),
            take_recent: true,
            then: slot(),
        },
        Ask::Digests {
            mailbox: KEY,
            rows: Vec::from([row]),
            then: slot(),
        },
        Ask::OpenBodies {
            mailbox: KEY,
            parts: Vec::from([BodyRange { row, start: 3, len: 5 }]),
            then: slot(),
        },
        Ask::Match {
            mailbox: KEY,
            program: alloc::sync::Arc::new(program()),
            candidates: Vec::from([Candidate {
                row,
                number: 3,
                recent: true,
            }]),
            then: slot(),
        },
        Ask::SetFlags {
            mailbox: KEY,
            uids: [Uid(1), Uid(4)].into(),
            change,
            then: slot(),
        },
        Ask::Expunge {
            mailbox: KEY,
            uids: Some([Uid(1)].into()),
            then: slot(),
        },
        Ask::OpenMessage { size: 310, then: slot() },
        Ask::DropMessage,
        Ask::CommitAppend {
            mailbox: KEY,
            flags: Flags::DRAFT,
            keywords: Vec::new(),
            internal_date: UnixTime(-5),
            then: slot(),
        },
    ] {
        round(&ask);
    }
}

#[test]
fn a_password_is_not_recorded() {
    let ask = Ask::VerifyPassword {
        login: "fred".into(),
        password: crate::secret::Secret::new("hunter2".into()),
        then: slot(),
    };
    let written = String::from_utf8_lossy(&ask.to_record()).into_owned();
    assert!(written.contains("fred") && !written.contains("hunter2"));
}

#[test]
fn every_answer_survives() {
    let mut intake = crate::message::intake::Intake::new();
    intake.update(b"From: a@b.test\r\n\r\nhello\r\n");
    let digest = alloc::sync::Arc::new(intake.finish().digest);
    let list = [
        Change {
            lsn: Lsn(2),
            origin: 7,
            what: ChangeKind::Appended(Vec::from([Uid(3)])),
        },
        Change {
            lsn: Lsn(3),
            origin: 0,
            what: ChangeKind::Flagged(Vec::new()),
        },
        Change {
            lsn: Lsn(4),
            origin: 9,
            what: ChangeKind::Expunged(Vec::from([Uid(1), Uid(2)])),
        },
    ];
    let Selected { version, .. } = selected();
    let pulled = |changes| {
        Pulled(Ok(PulledChanges {
            changes,
            recent_from: Uid(4),
        }))
    };
    for value in [
        Value::Tls(crate::smtp::server::ask::TlsOutcome::Failed),
        Value::Password(crate::smtp::server::ask::PasswordVerdict::Busy),
        Value::Proof(crate::sasl::ProofVerdict::Denied),
        Value::Salt(crate::sasl::ScramSalt {
            salt: [1; 16],
            iterations: 4096,
            nonce: [2; 18],
        }),
        Value::Mailboxes(MailboxList(Ok([ListedMailbox {
            mailbox: Some(KEY.mailbox),
            name: MailboxName("Sent".into()),
            special_use: Some(crate::store::SpecialUse::Sent),
            subscribed: true,
        }]
        .into()))),
        Value::Opened(Opened(Ok(selected()))),
        Value::Opened(Opened(Err(Refused::Limit("too many".into())))),
        Value::Pulled(pulled(Changes::List(list.into(), version.clone()))),
        Value::Pulled(pulled(Changes::Diff(version))),
        Value::Digests(Digests(Vec::from([Some(digest), None]))),
        Value::Bodies(BodiesOpened::Failed(BodyError::Corrupt)),
        Value::Bodies(BodiesOpened::Ready),
        Value::Matched(super::super::ask::Matched(Vec::from([true, false]))),
        Value::Flags(FlagsSet(Ok(FlagsSetAt {
            lsn: Lsn(9),
            modified: Vec::from([Uid(3)]),
        }))),
        Value::Expunged(ExpungeDone(Err(Refused::Stopping))),
        Value::Sink(crate::smtp::server::ask::SinkOpened::Full),
        Value::Appended(AppendDone(Ok(Appended {
            lsn: Lsn(9),
            uid_validity: 1,
            uid: Uid(5),
        }))),
    ] {
        round(&value);
    }
}

#[test]
fn every_notice_survives() {
    round(&Notice::Changed {
        mailbox: KEY,
        lsn: Lsn(u64::MAX),
    });
    round(&Notice::Shutdown);
    round(&Notice::Shed);
}
