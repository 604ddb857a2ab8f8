//! Codecs, the scan of the ring, and the mailbox model. The whole machine is tested on a simulated disk (`tests/tests/store`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;

use super::committer::ask::{Ask, DiskReply, Lane, Notice, Recovered, Value};
use super::disk::{DiskError, DiskOp, DiskPath, DiskValue};
use super::frame;
use super::journal::checkpoint::{Checkpoint, SLOT};
use super::journal::record::{self, HEADER};
use super::journal::scan::Scan;
use super::mailbox::Mailbox;
use super::operation::{Copied, Expunge, Flag, Place, Queued};
use super::queue::{Enqueue, Notify, Queue, QueueId, QueuedMessage, QueuedRecipient, Ret, RowChange, RowState, Said, Wishes};
use super::ranges::UidRanges;
use super::request::{
    Body, BodyBytes, FlagChange, FlagHow, NewMailbox, Placed, Placement, Refused, Reply, Request, Submission, Where,
};
use super::version::{CHUNK_ROWS, ChangeKind, Changes};
use super::*;
use crate::address::ReversePath;
use crate::bytes::crc::crc32c;
use crate::limits;
use crate::machine::Slots;
use crate::time::UnixTime;

mod tree;

fn key() -> MailboxKey {
    MailboxKey {
        account: AccountId([1; 16]),
        mailbox: MailboxId([2; 16]),
    }
}

fn same<T: Record + PartialEq + core::fmt::Debug>(value: &T) {
    let bytes = value.to_record();
    assert_eq!(T::from_record(&bytes).as_ref(), Ok(value));
    for cut in 0..bytes.len() {
        assert!(T::from_record(&bytes[..cut]).is_err(), "{value:?} cut at {cut}");
    }
}

#[test]
fn what_the_committer_hears_and_says_is_recorded() {
    let requests = [
        Request::CreateAccount {
            account: AccountId([1; 16]),
            mailboxes: vec![NewMailbox {
                mailbox: MailboxId([2; 16]),
                name: MailboxName("Entwürfe".into()),
                special_use: Some(SpecialUse::Drafts),
            }],
            uid_validity: 7,
        },
        Request::Place {
            body: Body {
                len: 3,
                crc: crc32c(b"abc"),
                hash: [9; 32],
                bytes: BodyBytes::Inline(b"abc".as_slice().into()),
            },
            placements: vec![Placement {
                account: AccountId([1; 16]),
                mailbox: Where::Mailbox(MailboxId([2; 16])),
                prefix: b"X: y\r\n".as_slice().into(),
                flags: Flags::SEEN,
                keywords: vec!["$Junk".into()],
                internal_date: UnixTime(-5),
                save_date: UnixTime(5),
            }],
            queued: vec![enqueue()],
            changes: vec![change(3)],
            origin: 4,
        },
        Request::ChangeQueue(vec![change(0), change(1)]),
        Request::Queue,
        Request::SetFlags {
            mailbox: key(),
            uids: [Uid(1), Uid(5)].into(),
            change: FlagChange {
                how: FlagHow::Replace,
                flags: Flags::DELETED,
                keywords: vec![],
            },
            unchanged_since: Some(ModSeq(8)),
            origin: 0,
        },
        Request::Expunge {
            mailbox: key(),
            uids: None,
            origin: 1,
        },
        Request::Mailboxes(AccountId([3; 16])),
        Request::Select {
            account: AccountId([1; 16]),
            name: MailboxName("INBOX".into()),
            watch: Some(3),
            take_recent: true,
        },
        Request::Changes {
            mailbox: key(),
            since: Lsn(3),
            take_recent: false,
        },
        Request::Unwatch {
            mailbox: key(),
            watch: 3,
        },
    ];
    for request in requests {
        same(&Notice::Submit(Submission { ticket: 1, request }));
    }
    let mut model = mailbox();
    append(&mut model, 1, 1);
    model.publish();
    let version = model.published().clone();
    let replies = [
        Reply::Done,
        Reply::Queue(vec![Arc::new(queued_message())]),
        Reply::Placed {
            lsn: Lsn(1),
            placed: vec![Placed {
                mailbox: key(),
                uid_validity: 7,
                uid: Uid(1),
                location: Location::Big { pack: 1, offset: 2 },
            }],
            queued: vec![QueueId(256)],
        },
        Reply::Flagged {
            lsn: Lsn(2),
            modified: vec![Uid(3)],
        },
        Reply::Changed {
            changes: model.changes_since(Lsn(0)),
            recent_from: Uid(1),
        },
        Reply::Changed {
            changes: Changes::Diff(version),
            recent_from: Uid(1),
        },
        Reply::Refused(Refused::Limit("large".into())),
    ];
    for reply in replies {
        same(&Ask::Reply { ticket: 9, reply });
    }
    let op = DiskOp::Read {
        path: DiskPath::new("journal/0.j"),
        offset: 3,
        len: 4,
    };
    let then = Slots::new(5).ask::<DiskReply>(());
    same(&Ask::Disk {
        lane: Lane::Ring,
        op,
        then,
    });
    same(&Ask::Ready(Recovered {
        records: 1,
        torn_records: 2,
        messages: 3,
    }));
    same(&Value::Disk(DiskReply(Ok(DiskValue::Read(vec![1, 2])))));
    same(&Value::Disk(DiskReply(Err(DiskError::Other(5)))));
}

// --- the journal ----------------------------------------------------------------------------------------------------------

fn at(lsn: u64, batch: u64, epoch: u32) -> record::Place {
    record::Place {
        lsn: Lsn(lsn),
        batch: Lsn(batch),
        epoch,
    }
}

fn encoded(place: record::Place, payload: &[u8], body: &[u8]) -> Vec<u8> {
    let body: Arc<[u8]> = body.into();
    record::encode(place, payload, Some((&body, crc32c(&body)))).concat()
}

proptest! {
    #[test]
    fn a_journal_record_reads_back(payload: Vec<u8>, body: Vec<u8>, behind: Vec<u8>) {
        let place = at(3, 2, 9);
        let mut bytes = encoded(place, &payload, &body);
        prop_assert_eq!(bytes.len(), record::size(payload.len(), body.len()));
        let len = bytes.len();
        bytes.extend(&behind);
        let read = record::decode(&bytes).expect("it is whole");
        prop_assert_eq!((read.place, read.len), (place, len));
        prop_assert_eq!((read.payload, read.body), (&payload[..], &body[..]));
    }

    #[test]
    fn a_flipped_bit_is_noticed(payload: Vec<u8>, body: Vec<u8>, bit: usize) {
        let mut bytes = encoded(at(3, 2, 9), &payload, &body);
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(record::decode(&bytes), None);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = record::decode(&bytes);
        let _ = record::peek(&bytes);
        let _ = Checkpoint::newest(&bytes);
        let _ = super::account::Account::from_record(&bytes);
        let _ = super::operation::Operation::from_record(&bytes);
        let _ = frame::parse_line(&bytes);
        let mut scan = Scan::new(Lsn(0));
        scan.segment(0, &bytes);
        let _ = scan.finish();
    }
}

/// A segment of records with these numbers and batches.
fn segment(records: &[(u64, u64)]) -> Vec<Vec<u8>> {
    let one = |(lsn, batch): &(u64, u64)| encoded(at(*lsn, *batch, 1), b"payload", b"body");
    records.iter().map(one).collect()
}

fn scanned(settled: u64, bytes: &[u8]) -> Result<(Vec<u64>, u64), alloc::string::String> {
    let mut scan = Scan::new(Lsn(settled));
    scan.segment(0, bytes);
    let scanned = scan.finish()?;
    Ok((scanned.records.iter().map(|(lsn, _)| lsn.0).collect(), scanned.torn_records))
}

#[test]
fn the_scan_reads_what_is_behind_the_checkpoint() {
    let bytes = segment(&[(1, 1), (2, 1), (3, 3), (4, 3)]).concat();
    assert_eq!(scanned(0, &bytes), Ok((vec![1, 2, 3, 4], 0)));
    assert_eq!(scanned(2, &bytes), Ok((vec![3, 4], 0)));
    assert_eq!(scanned(9, &bytes), Ok((vec![], 0)));
}

#[test]
fn a_torn_last_batch_is_ignored_from_its_first_gap_on() {
    let mut records = segment(&[(1, 1), (2, 2), (3, 2), (4, 2)]);
    records[2][HEADER] ^= 1;
    assert_eq!(scanned(0, &records.concat()), Ok((vec![1, 2], 1)));
}

#[test]
fn a_gap_before_a_later_batch_is_corruption() {
    let mut records = segment(&[(1, 1), (2, 2), (3, 3)]);
    records[1][HEADER] ^= 1;
    let why = scanned(0, &records.concat()).expect_err("record 3 was written after record 2 was durable");
    assert_eq!(why, "record 2 is unreadable, but record 3 of a later batch is there");
    assert_eq!(scanned(2, &records.concat()).expect("record 2 is settled"), (vec![], 0));
}

#[test]
fn records_of_an_older_epoch_are_not_taken_for_new_ones() {
    let new = encoded(at(12, 12, 9), b"new", b"");
    let unacknowledged = encoded(at(13, 12, 1), b"of a torn batch before the last start", b"");
    assert_eq!(scanned(11, &[new, unacknowledged].concat()), Ok((vec![12], 0)));
    let settled = encoded(at(5, 5, 1), b"of the lap before", b"");
    let bytes = [encoded(at(12, 12, 9), b"new", b""), settled].concat();
    assert_eq!(scanned(11, &bytes), Ok((vec![12], 0)));
}

#[test]
fn of_two_checkpoint_slots_the_newest_whole_one_counts() {
    let slot = |sequence| Checkpoint {
        sequence,
        lsn: Lsn(sequence * 10),
        epoch: 1,
    };
    let mut file = vec![0; 2 * SLOT as usize];
    assert_eq!(Checkpoint::newest(&file), None);
    for sequence in [4, 5] {
        let (at, bytes) = (slot(sequence).offset() as usize, slot(sequence).encode());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    assert_eq!(Checkpoint::newest(&file), Some(slot(5)));
    file[SLOT as usize + 9] ^= 1;
    assert_eq!(Checkpoint::newest(&file), Some(slot(4)));
}

// --- frames ---------------------------------------------------------------------------------------------------------------

#[test]
fn a_frame_is_a_line_that_people_can_read() {
    let (place, copy) = arrival(7);
    let line = frame::line(&place, &copy);
    assert_eq!(
        line,
        "@M1 4 6 7 02020202020202020202020202020202 03030303030303030303030303030303 1700000000 1 CRC\r\n"
            .replace("CRC", &format!("{:08x}", crc32c(&copy.prefix) ^ 255))
    );
    let read = frame::parse_line(line.trim_end().as_bytes()).expect("a frame");
    assert_eq!(
        (read.body_len, read.big, read.prefix_len, read.uid, read.crc),
        (4, false, 6, 7, frame::checksum(&copy.prefix, 255))
    );
    assert_ne!(
        frame::checksum(b"Prefix", 255),
        frame::checksum(b"Prefiy", 255),
        "a prefix counts"
    );
    assert_eq!(frame::checksum(b"", 255), 255);
    let place = Place { big: true, ..place };
    let line = frame::line(&place, &copy);
    assert!(line.starts_with("@M1 big:4 6 7 "));
    assert!(frame::parse_line(line.trim_end().as_bytes()).expect("a stub").big);
}

// --- the queue ------------------------------------------------------------------------------------------------------------

fn enqueue() -> Enqueue {
    let recipient = |address: &str| QueuedRecipient {
        original: Some("rfc822;x@one.test".into()),
        notify: Some(Notify::DEFAULT),
        ..QueuedRecipient::of(crate::address::Mailbox::parse(address, true).expect("an address"))
    };
    Enqueue {
        message: "01m86ch3m0b3vny3m".into(),
        submitter: Some(AccountId([1; 16])),
        reverse_path: ReversePath::Null,
        reportable: true,
        prefix: b"Received: x\r\n".as_slice().into(),
        arrived: UnixTime(5),
        expires: UnixTime(50),
        wishes: Wishes {
            ret: Some(Ret::Full),
            envelope_id: Some("QQ314159".into()),
            eight_bit: true,
            utf8: false,
        },
        recipients: vec![recipient("b@two.test"), recipient("c@two.test")],
    }
}

fn change(recipient: u32) -> RowChange {
    RowChange {
        id: QueueId(256),
        recipient,
        state: RowState::Relayed,
        attempted: true,
        delay_reported: false,
        said: Some(Arc::new(Said {
            code: 250,
            status: [2, 0, 0],
            text: "OK".into(),
            by: Some("mx.two.test".into()),
        })),
    }
}

fn queued_message() -> QueuedMessage {
    let place = arrival(1).0;
    let queued = Queued {
        id: QueueId(256),
        email_id: EmailId([3; 16]),
        location: Location::Pack { pack: 0, offset: 90 },
        entered: Arc::new(enqueue()),
    };
    let mut queue = Queue::default();
    queue.enter(&place, &queued);
    let message = queue.get(QueueId(256)).expect("it has entered").clone();
    same(&queue);
    message
}

#[test]
fn a_message_leaves_the_queue_with_its_last_open_row() {
    let message = queued_message();
    let mut queue = Queue::default();
    let place = arrival(1).0;
    queue.enter(
        &place,
        &Queued {
            id: message.id,
            email_id: message.email_id,
            location: message.location,
            entered: message.entered.clone(),
        },
    );
    assert_eq!(queue.change(&change(2)), None, "no such recipient");
    let later = RowChange {
        state: RowState::Waiting(UnixTime(60)),
        ..change(0)
    };
    assert_eq!(queue.change(&later), None);
    assert_eq!(queue.change(&change(0)), None);
    let row = &queue.get(message.id).expect("one row is open").rows[0];
    assert_eq!((row.state, row.attempts), (RowState::Relayed, 2));
    assert_eq!(queue.change(&later), None, "it is over");
    assert!(!queue.concerns(&later) && queue.concerns(&change(1)));
    let left = queue.change(&change(1)).expect("the last one");
    assert!(left.is_over() && queue.get(message.id).is_none());
    assert!(!queue.concerns(&change(1)));
}

// --- the mailbox ----------------------------------------------------------------------------------------------------------

fn mailbox() -> Mailbox {
    Mailbox::new(MailboxName("INBOX".into()), None, 7, ModSeq(1), Lsn(0))
}

fn arrival(uid: u32) -> (Place, Copied) {
    let place = Place {
        body_len: 4,
        body_crc: 255,
        body_hash: [0; 32],
        big: false,
        copies: vec![],
        queued: vec![],
        changes: vec![],
    };
    let copy = Copied {
        mailbox: key(),
        uid: Uid(uid),
        mod_seq: ModSeq(u64::from(uid) + 1),
        email_id: EmailId([3; 16]),
        location: Location::Pack { pack: 0, offset: 0 },
        prefix: b"X: y\r\n".as_slice().into(),
        flags: Flags::SEEN,
        keywords: vec![],
        internal_date: UnixTime(1_700_000_000_000),
        save_date: UnixTime(0),
    };
    (place, copy)
}

fn append(to: &mut Mailbox, lsn: u64, uid: u32) {
    let (place, copy) = arrival(uid);
    to.append(Lsn(lsn), 0, &place, &copy);
}

fn flag(mailbox: &mut Mailbox, lsn: u64, uids: impl IntoIterator<Item = u32>) {
    let flag = Flag {
        mailbox: key(),
        uids: UidRanges::from_sorted(uids.into_iter().map(Uid)),
        mod_seq: ModSeq(lsn + 1),
        how: FlagHow::Add,
        flags: Flags::DELETED,
        keywords: vec!["work".into()],
    };
    mailbox.flag(Lsn(lsn), 1, &flag);
}

#[test]
fn many_rows_lie_in_full_chunks_and_are_found() {
    let mut model = mailbox();
    for uid in 1..=10_000 {
        append(&mut model, u64::from(uid), uid);
        if uid % 7 == 0 {
            model.publish();
        }
    }
    let version = model.publish().clone();
    assert_eq!(version.exists, 10_000);
    assert!(version.chunks.iter().all(|chunk| chunk.fixed.uid.len() <= CHUNK_ROWS));
    assert!(
        version.chunks.len() <= 10_000 / (CHUNK_ROWS - limits::TAIL_ROWS) + 2,
        "{}",
        version.chunks.len()
    );
    assert!((1..=10_000).map(Uid).eq(version.uids()));
    for uid in [1, 255, 256, 257, 4096, 4097, 9999, 10_000] {
        assert_eq!(version.row(Uid(uid)).map(|row| row.uid), Some(Uid(uid)));
    }
    assert_eq!(version.row(Uid(10_001)), None);
}

#[test]
fn a_version_that_is_held_never_changes_and_shares_what_did_not_change() {
    let mut model = mailbox();
    (1..=5000).for_each(|uid| append(&mut model, u64::from(uid), uid));
    let held = model.publish().clone();
    let before = (*held).clone();
    flag(&mut model, 5001, [2]);
    let expunge = Expunge {
        mailbox: key(),
        uids: UidRanges::from_sorted([Uid(5000)]),
        mod_seq: ModSeq(6000),
    };
    model.expunge(Lsn(5002), 0, &expunge);
    let new = model.publish().clone();
    assert_eq!(*held, before);
    assert!(
        Arc::ptr_eq(&held.chunks[0].fixed, &new.chunks[0].fixed),
        "a STORE copies flags only"
    );
    assert!(!Arc::ptr_eq(&held.chunks[0].flags, &new.chunks[0].flags));
    assert_eq!(new.exists, 4999);
    assert_eq!(
        new.row(Uid(2)).map(|row| (row.flags, row.keywords)),
        Some((Flags::SEEN.with(Flags::DELETED), KeywordBits(1)))
    );
    assert_eq!(new.uid_next, Uid(5001), "an expunged UID does not come back");
}

#[test]
fn a_keyword_that_is_taken_away_unknown_takes_no_place() {
    let mut mailbox = mailbox();
    append(&mut mailbox, 1, 1);
    flag(&mut mailbox, 2, [1]);
    let without = |keyword: &str, mod_seq| Flag {
        mailbox: key(),
        uids: UidRanges::from_sorted([Uid(1)]),
        mod_seq: ModSeq(mod_seq),
        how: FlagHow::Remove,
        flags: Flags::default(),
        keywords: vec![keyword.into()],
    };
    mailbox.flag(Lsn(3), 0, &without("NonJunk", 3));
    assert_eq!(*mailbox.version().keywords, ["work".into()]);
    assert_ne!(mailbox.version().row(Uid(1)).expect("it is there").keywords.0, 0);
    mailbox.flag(Lsn(4), 0, &without("WORK", 4));
    assert_eq!(mailbox.version().row(Uid(1)).expect("it is there").keywords.0, 0);
}

#[test]
fn changes_are_listed_or_diffed_but_never_forgotten() {
    let mut model = mailbox();
    append(&mut model, 1, 1);
    model.publish();
    flag(&mut model, 2, [1]);
    let Changes::List(list, version) = model.changes_since(Lsn(0)) else {
        panic!("few changes are listed")
    };
    assert_eq!((list.len(), version.lsn), (1, Lsn(1)), "what is not published is not told");
    model.publish();
    let Changes::List(list, _) = model.changes_since(Lsn(1)) else {
        panic!("few changes are listed")
    };
    assert_eq!(
        (list.len(), &list[0].what, list[0].origin),
        (1, &ChangeKind::Flagged(vec![Uid(1)]), 1)
    );
    for lsn in 3..3 + limits::CHANGES_KEPT as u64 {
        flag(&mut model, lsn, [1]);
    }
    model.publish();
    assert!(matches!(model.changes_since(Lsn(1)), Changes::Diff(_)));
    let Changes::List(list, _) = model.changes_since(Lsn(2)) else {
        panic!("the last ones are listed")
    };
    assert_eq!(list.len(), limits::CHANGES_KEPT);
}

proptest! {
    #[test]
    fn ranges_are_the_set(uids: alloc::collections::BTreeSet<u8>) {
        let ranges = UidRanges::from_sorted(uids.iter().map(|uid| Uid(u32::from(*uid))));
        for uid in 0..=u8::MAX {
            prop_assert_eq!(ranges.contains(Uid(u32::from(uid))), uids.contains(&uid), "{}", format!("{ranges:?}"));
        }
    }
}
