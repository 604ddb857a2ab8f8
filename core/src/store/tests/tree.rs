//! The tree of an account, and rows that go from one mailbox to another.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::same;
use crate::record::Record;
use crate::store::account::Account;
use crate::store::committer::ask::Notice;
use crate::store::operation::{Flag, NewAccount, Operation};
use crate::store::ranges::UidRanges;
use crate::store::request::{FlagHow, ListedMailbox, NewMailbox, Reply, Request, Submission, Where};
use crate::store::tree::{Transfer, Transferred, TreeChange, TreeDone, TreeRequest, TreeWhat};
use crate::store::*;
use crate::time::UnixTime;

const ACCOUNT: AccountId = AccountId([1; 16]);

fn key(mailbox: u8) -> MailboxKey {
    MailboxKey {
        account: ACCOUNT,
        mailbox: MailboxId([mailbox; 16]),
    }
}

fn name(name: &str) -> MailboxName {
    MailboxName(name.into())
}

fn new(mailbox: u8, of: &str) -> NewMailbox {
    NewMailbox {
        mailbox: MailboxId([mailbox; 16]),
        name: name(of),
        special_use: None,
    }
}

fn tree(what: TreeWhat) -> Operation {
    Operation::Tree(TreeChange { account: ACCOUNT, what })
}

fn create(account: &mut Account, lsn: u64, mailbox: u8, of: &str, seconds: i64) {
    let what = TreeWhat::Create {
        new: new(mailbox, of),
        uid_validity: account.next_uid_validity(seconds),
    };
    account.apply(Lsn(lsn), 0, &tree(what));
}

/// INBOX is mailbox 0, Archive mailbox 1.
fn account() -> Account {
    let mut account = Account::new(ACCOUNT);
    let made = NewAccount {
        account: ACCOUNT,
        uid_validity: 100,
        mailboxes: vec![new(0, "INBOX"), new(1, "Archive")],
    };
    account.apply(Lsn(1), 0, &Operation::Account(made));
    account.publish_tree();
    account
}

fn names(listed: &[ListedMailbox]) -> Vec<&str> {
    listed.iter().map(|one| &*one.name.0).collect()
}

/// The snapshot of an account is the account.
fn survives_a_snapshot(account: &mut Account) {
    account.publish_tree();
    let bytes = account.to_record();
    let mut read = Account::from_record(&bytes).unwrap();
    read.publish_tree();
    assert_eq!(read.shown(), account.shown());
    assert_eq!(read.next_uid_validity(0), account.next_uid_validity(0));
    assert_eq!(read.to_record(), bytes);
}

#[test]
fn what_is_asked_answered_and_recorded_is_written_down() {
    let changes = [
        TreeRequest::Create(new(3, "x")),
        TreeRequest::Delete(name("x")),
        TreeRequest::Rename {
            from: name("x"),
            to: name("y"),
            fresh: MailboxId([4; 16]),
        },
        TreeRequest::Subscribe(name("x")),
        TreeRequest::Unsubscribe(name("x")),
    ];
    for change in changes {
        let request = Request::Tree {
            account: ACCOUNT,
            change,
            at: UnixTime(5),
            origin: 6,
        };
        same(&Notice::Submit(Submission { ticket: 1, request }));
    }
    let uids = UidRanges(vec![(Uid(2), Uid(4))]);
    let request = Request::Transfer {
        from: key(0),
        to: name("Archive"),
        uids: [Uid(2), Uid(4)].into(),
        strict: true,
        moves: false,
        at: UnixTime(5),
        origin: 6,
    };
    same(&Notice::Submit(Submission { ticket: 1, request }));
    let done = TreeDone {
        lsn: Lsn(9),
        mailbox: Some(key(3)),
    };
    let transferred = Transferred {
        lsn: Lsn(9),
        to: key(1),
        uid_validity: 7,
        from: uids.clone(),
        first: Uid(3),
    };
    same(&Reply::Tree(done));
    same(&Reply::Transferred(transferred));
    for what in [
        TreeWhat::Create {
            new: new(3, "x"),
            uid_validity: 9,
        },
        TreeWhat::Delete(MailboxId([3; 16])),
        TreeWhat::Rename {
            from: name("a"),
            to: name("b"),
        },
        TreeWhat::Empty {
            inbox: MailboxId([0; 16]),
            new: new(3, "x"),
            uid_validity: 9,
            mod_seq: ModSeq(4),
            save_date: UnixTime(5),
        },
        TreeWhat::Subscribe(name("x")),
        TreeWhat::Unsubscribe(name("x")),
    ] {
        same(&tree(what));
    }
    same(&Operation::Transfer(transfer(&[2, 3, 4], 1, true)));
}

fn transfer(uids: &[u32], first: u32, moves: bool) -> Transfer {
    Transfer {
        from: key(0),
        to: MailboxId([1; 16]),
        uids: UidRanges::from_sorted(uids.iter().copied().map(Uid)),
        first: Uid(first),
        moves,
        mod_seq: ModSeq(50),
        save_date: UnixTime(5),
    }
}

/// `a/b` does not lie beside `a` in the order of names: `a-b` comes between.
#[test]
fn a_subtree_is_whole() {
    let mut account = account();
    for (mailbox, of) in (2..).zip(["a", "a-b", "a/b", "a/b/c", "a0", "b/x"]) {
        create(&mut account, mailbox.into(), mailbox, of, 0);
    }
    let under = |of: &str| -> Vec<_> {
        let of = name(of);
        account.subtree(&of).map(|(name, _)| name.0.to_string()).collect()
    };
    assert_eq!(under("a"), ["a", "a/b", "a/b/c"]);
    assert_eq!(under("b"), ["b/x"]);
    assert!(under("c").is_empty());
    let rename = TreeWhat::Rename {
        from: name("a"),
        to: name("z/y"),
    };
    account.apply(Lsn(20), 0, &tree(rename));
    assert_eq!(account.by_name(&name("z/y/b/c")), Some(MailboxId([5; 16])));
    assert_eq!(account.by_name(&name("a/b")), None);
    survives_a_snapshot(&mut account);
    assert_eq!(
        names(account.shown()),
        ["Archive", "INBOX", "a-b", "a0", "b/x", "z/y", "z/y/b", "z/y/b/c"]
    );
}

/// No two mailboxes of an account ever have the same UIDVALIDITY, whatever the clock does.
#[test]
fn uid_validity_never_repeats() {
    let mut account = account();
    let mut seen: Vec<u32> = account.mailboxes().map(|(_, mailbox)| mailbox.uid_validity).collect();
    for (lsn, seconds) in (2..).zip([0, 50, 101, 102, 5000, 4999, 10, -1]) {
        create(&mut account, lsn, lsn as u8, "again", seconds);
        let id = account.by_name(&name("again")).unwrap();
        seen.push(account.mailbox(Where::Mailbox(id)).unwrap().1.uid_validity);
        account.apply(Lsn(lsn + 100), 0, &tree(TreeWhat::Delete(id)));
        survives_a_snapshot(&mut account);
    }
    let mut once = seen.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "{seen:?}");
    assert!(seen.contains(&5000), "a clock that goes on is followed");
}

/// What is not committed yet is not seen: neither a new mailbox, nor that one is gone, nor a new name.
#[test]
fn sessions_see_the_committed_tree() {
    let mut account = account();
    create(&mut account, 2, 2, "new", 0);
    let rename = TreeWhat::Rename {
        from: name("Archive"),
        to: name("Old"),
    };
    account.apply(Lsn(3), 0, &tree(rename));
    account.apply(Lsn(4), 0, &tree(TreeWhat::Subscribe(name("nothing"))));
    assert_eq!(names(account.shown()), ["Archive", "INBOX"]);
    assert_eq!(account.shown_by_name(&name("new")), None);
    assert!(account.shown_mut(MailboxId([2; 16])).is_none());
    assert_eq!(account.shown_by_name(&name("Archive")), Some(MailboxId([1; 16])));
    account.publish_tree();
    assert_eq!(names(account.shown()), ["Archive", "INBOX", "Old", "new", "nothing"]);
    let archive = &account.shown()[0];
    assert_eq!(
        (archive.mailbox, archive.subscribed),
        (None, true),
        "a subscription outlives its mailbox"
    );
    account.apply(Lsn(5), 0, &tree(TreeWhat::Delete(MailboxId([1; 16]))));
    assert!(account.mailbox(Where::Mailbox(MailboxId([1; 16]))).is_none());
    assert!(account.shown_mut(MailboxId([1; 16])).is_some());
    account.publish_tree();
    assert!(account.shown_mut(MailboxId([1; 16])).is_none());
    assert_eq!(account.shown_by_name(&name("inbox")), Some(MailboxId([0; 16])));
}

/// Flags, dates and the place of the bytes go with a row; keywords by their names, for tables differ.
#[test]
fn a_copied_row_is_the_same_message() {
    let mut account = account();
    let (place, copy) = super::arrival(1);
    for (uid, keyword) in [(1, "a"), (2, "b"), (3, "c")] {
        let mut copy = copy.clone();
        copy.mailbox = key(0);
        copy.uid = Uid(uid);
        copy.keywords = vec![keyword.into()];
        let mut place = place.clone();
        place.copies = vec![copy];
        account.apply(Lsn(10 + u64::from(uid)), 0, &Operation::Place(place));
    }
    let mut there = copy.clone();
    there.mailbox = key(1);
    there.keywords = vec!["C".into()];
    let mut place = place.clone();
    place.copies = vec![there];
    account.apply(Lsn(20), 0, &Operation::Place(place));
    account.apply(Lsn(21), 7, &Operation::Transfer(transfer(&[1, 3], 2, true)));
    let mut shown = |mailbox: u8| account.mailbox_mut(MailboxId([mailbox; 16])).unwrap().publish().clone();
    let (source, destination) = (shown(0), shown(1));
    assert_eq!(source.uids().collect::<Vec<_>>(), [Uid(2)]);
    assert_eq!(source.uid_next, Uid(4), "a moved UID does not come back");
    assert_eq!(destination.uids().collect::<Vec<_>>(), [Uid(1), Uid(2), Uid(3)]);
    let of = |uid: u32| -> Vec<&str> {
        let row = destination.row(Uid(uid)).unwrap();
        let named = destination.keywords.iter().enumerate();
        named
            .filter(|(bit, _)| row.keywords.0 >> bit & 1 == 1)
            .map(|(_, name)| &**name)
            .collect()
    };
    assert_eq!((of(2), of(3)), (vec!["a"], vec!["C"]));
    let row = destination.row(Uid(2)).unwrap();
    assert_eq!(
        (row.location, row.email_id, row.internal_date),
        (copy.location, copy.email_id, copy.internal_date)
    );
    assert_eq!((row.flags, row.mod_seq, row.save_date), (copy.flags, ModSeq(50), UnixTime(5)));
    assert_eq!(
        (source.highest_mod_seq, destination.highest_mod_seq),
        (ModSeq(50), ModSeq(50))
    );
    // Into itself: new rows, the old ones gone.
    let mut inside = transfer(&[2], 4, true);
    inside.to = inside.from.mailbox;
    account.apply(Lsn(22), 7, &Operation::Transfer(inside));
    let source = account.mailbox_mut(MailboxId([0; 16])).unwrap().publish().clone();
    assert_eq!(source.uids().collect::<Vec<_>>(), [Uid(4)]);
    survives_a_snapshot(&mut account);
}

/// One record may make a mailbox and fill it: what is in it is seen.
#[test]
fn inbox_is_emptied_into_a_new_mailbox() {
    let mut account = account();
    let (mut place, mut copy) = super::arrival(1);
    copy.mailbox = key(0);
    place.copies = vec![copy];
    account.apply(Lsn(2), 0, &Operation::Place(place));
    let flag = Flag {
        mailbox: key(0),
        uids: UidRanges::from_sorted([Uid(1)]),
        mod_seq: ModSeq(9),
        how: FlagHow::Add,
        flags: Flags::FLAGGED,
        keywords: vec![],
    };
    account.apply(Lsn(3), 0, &Operation::Flag(flag));
    let empty = TreeWhat::Empty {
        inbox: MailboxId([0; 16]),
        new: new(2, "Old"),
        uid_validity: 300,
        mod_seq: ModSeq(10),
        save_date: UnixTime(5),
    };
    account.apply(Lsn(4), 0, &tree(empty));
    for mailbox in account.mailboxes_mut() {
        mailbox.publish();
    }
    let of = |mailbox: u8| {
        account
            .mailbox(Where::Mailbox(MailboxId([mailbox; 16])))
            .unwrap()
            .1
            .published()
    };
    assert_eq!(
        (of(0).exists, of(0).uid_next, of(2).exists, of(2).uid_next),
        (0, Uid(2), 1, Uid(2))
    );
    assert!(of(2).row(Uid(1)).unwrap().flags.contains(Flags::FLAGGED));
    assert_eq!(account.by_name(&name("INBOX")), Some(MailboxId([0; 16])));
}
