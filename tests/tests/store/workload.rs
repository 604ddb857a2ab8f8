//! Random requests.

use std::sync::Arc;

use pillarbox_core::address::{Mailbox, ReversePath};
use pillarbox_core::bytes::crc::crc32c;
use pillarbox_core::store::disk::{DiskOp, DiskPath};
use pillarbox_core::store::queue::{Enqueue, QUEUE, QueueId, QueuedRecipient, RowChange, RowState, Said, Wishes};
use pillarbox_core::store::request::{Body, BodyBytes, FlagChange, FlagHow, NewMailbox, Placement, Request, Where};
use pillarbox_core::store::{AccountId, EmailId, Flags, MailboxId, MailboxKey, MailboxName, ModSeq, Uid, layout};
use pillarbox_core::time::UnixTime;
use pillarbox_tests::disk::StrictDisk;
use pillarbox_tests::rng::Rng;

use super::model::{Model, Wanted};
use super::queue::Entered;
use super::tree;

pub(super) const ACCOUNTS: u8 = 3;
const KEYWORDS: [&str; 4] = ["$Junk", "$Forwarded", "work", "later"];
const FLAGS: [Flags; 5] = [Flags::SEEN, Flags::ANSWERED, Flags::FLAGGED, Flags::DELETED, Flags::DRAFT];

pub(super) fn account(number: u8) -> AccountId {
    AccountId([number + 1; 16])
}

pub(super) fn mailbox(account: AccountId, number: u8) -> MailboxId {
    MailboxId([account.0[0].wrapping_mul(16).wrapping_add(number); 16])
}

pub(super) fn create(account: AccountId) -> Request {
    let new = |(number, name): (u8, &str)| NewMailbox {
        mailbox: mailbox(account, number),
        name: MailboxName(name.into()),
        special_use: None,
    };
    Request::CreateAccount {
        account,
        mailboxes: [(0, "INBOX"), (1, "Archive")].into_iter().map(new).collect(),
        uid_validity: 1_700_000_000 + u32::from(account.0[0]),
    }
}

/// One message with this body into an account's INBOX.
pub(super) fn simple(account: AccountId, body: &[u8]) -> Wanted {
    let placement = Placement {
        account,
        mailbox: Where::Inbox,
        prefix: b"Return-Path: <>\r\n".as_slice().into(),
        flags: Flags(0),
        keywords: Vec::new(),
        internal_date: UnixTime(0),
        save_date: UnixTime(0),
    };
    let body = Body {
        len: body.len() as u64,
        crc: crc32c(body),
        hash: *blake3::hash(body).as_bytes(),
        bytes: BodyBytes::Inline(body.into()),
    };
    let request = Request::Place {
        body,
        placements: vec![placement],
        queued: Vec::new(),
        changes: Vec::new(),
        origin: 0,
    };
    Wanted { request, big: None }
}

/// One message with this body into the queue, for two recipients, with the changes that it reports.
pub(super) fn queued(body: &[u8], changes: Vec<RowChange>) -> Wanted {
    let recipient = |address: &str| QueuedRecipient::of(Mailbox::parse(address, false).expect("an address"));
    let entry = Enqueue {
        message: format!("{:017x}", u64::from(crc32c(body))).as_str().into(),
        submitter: None,
        reverse_path: ReversePath::Null,
        reportable: true,
        prefix: b"Received: once\r\n".as_slice().into(),
        arrived: UnixTime(0),
        expires: UnixTime(1),
        wishes: Wishes::default(),
        recipients: vec![recipient("a@other.test"), recipient("b@other.test")],
    };
    let mut wanted = simple(account(0), body);
    if let Request::Place {
        placements,
        queued,
        changes: reported,
        ..
    } = &mut wanted.request
    {
        (*placements, *queued, *reported) = (Vec::new(), vec![entry], changes);
    }
    wanted
}

/// A row reaches a state, after an attempt.
pub(super) fn change(id: QueueId, recipient: u32, state: RowState) -> RowChange {
    RowChange {
        id,
        recipient,
        state,
        attempted: true,
        delay_reported: false,
        said: None,
    }
}

/// Everything in an account's INBOX goes.
pub(super) fn delete_all(account: AccountId) -> [Request; 2] {
    let mailbox = MailboxKey {
        account,
        mailbox: mailbox(account, 0),
    };
    let flags = Request::SetFlags {
        mailbox,
        uids: (1..1000).map(Uid).collect(),
        change: FlagChange {
            how: FlagHow::Add,
            flags: Flags::DELETED,
            keywords: Vec::new(),
        },
        unchanged_since: None,
        origin: 0,
    };
    let expunge = Request::Expunge {
        mailbox,
        uids: None,
        origin: 0,
    };
    [flags, expunge]
}

/// How a seed's bodies are sized.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) small_max: u64,
    pub(super) inline_max: u64,
    pub(super) big_percent: u64,
}

/// A random request that makes sense in this state; a big body is put on the disk first, durably, as a host does it.
pub(super) fn draw(rng: &mut Rng, acknowledged: &Model, pending: &Model, sizes: Sizes, disk: &mut StrictDisk) -> Wanted {
    let made: Vec<AccountId> = pending.accounts.keys().copied().collect();
    if rng.percent(35) {
        return match rng.below(10) {
            0..=3 => place(rng, acknowledged, &made, sizes, disk, Kind::Queued),
            4..=7 => Wanted {
                request: Request::ChangeQueue(some_changes(rng, acknowledged, false)),
                big: None,
            },
            _ => place(rng, acknowledged, &made, sizes, disk, Kind::Report),
        };
    }
    if made.is_empty() || rng.percent(4) {
        let request = create(account(rng.below(ACCOUNTS.into()) as u8));
        return Wanted { request, big: None };
    }
    let account = *rng.pick(&made);
    let mailboxes: Vec<MailboxId> = pending.accounts[&account].mailboxes.keys().copied().collect();
    let key = MailboxKey {
        account,
        mailbox: *rng.pick(&mailboxes),
    };
    match rng.below(13) {
        10.. => tree::draw(rng, acknowledged, pending, key),
        0..=5 => place(rng, acknowledged, &made, sizes, disk, Kind::Local),
        6..=7 => flags(rng, pending, key),
        8 => deleted(rng, pending, key),
        _ => expunge(rng, pending, key),
    }
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    /// For the queue, perhaps for mailboxes too.
    Queued,
    /// A report of failures, to the queue or to a mailbox.
    Report,
}

fn place(rng: &mut Rng, acknowledged: &Model, made: &[AccountId], sizes: Sizes, disk: &mut StrictDisk, kind: Kind) -> Wanted {
    // A host sees no account before it is durable, so it makes no directory in one.
    let big = rng.percent(sizes.big_percent) && made.iter().all(|account| acknowledged.accounts.contains_key(account));
    let len = match big {
        true => sizes.inline_max + 1 + rng.below(3000),
        false if rng.percent(5) => sizes.inline_max,
        false => rng.below(sizes.small_max),
    };
    let mut bytes = vec![0; len as usize];
    rng.fill(&mut bytes);
    let bytes: Arc<[u8]> = bytes.into();
    let (count, entries) = match kind {
        Kind::Local => (1 + rng.index(3), 0),
        Kind::Queued => (if rng.percent(50) { rng.index(3) } else { 0 }, 1 + rng.index(2)),
        Kind::Report if rng.percent(30) => (1, 0),
        Kind::Report => (0, 1),
    };
    let count = if made.is_empty() { 0 } else { count };
    let placements: Vec<Placement> = (0..count).map(|_| placement(rng, made)).collect();
    let message = format!("{:017x}", rng.below(1 << 60));
    let queued: Vec<Enqueue> = (0..entries).map(|number| enqueue(rng, &message, number)).collect();
    let changes = if kind == Kind::Report {
        some_changes(rng, acknowledged, true)
    } else {
        Vec::new()
    };
    let hash = *blake3::hash(&bytes).as_bytes();
    if big {
        for one in &placements {
            place_big(disk, one.account, layout::email_id(one.account, &hash), &bytes);
        }
        if !queued.is_empty() {
            place_big(disk, QUEUE, layout::queued_id(&message, &hash), &bytes);
        }
    }
    let body = Body {
        len,
        crc: crc32c(&bytes),
        hash,
        bytes: if big {
            BodyBytes::Big
        } else {
            BodyBytes::Inline(bytes.clone())
        },
    };
    Wanted {
        request: Request::Place {
            body,
            placements,
            queued,
            changes,
            origin: rng.below(4),
        },
        big: big.then_some(bytes),
    }
}

fn enqueue(rng: &mut Rng, message: &str, number: usize) -> Enqueue {
    let recipient = |number: usize| QueuedRecipient {
        original: number.is_multiple_of(2).then(|| "rfc822;to@other.test".into()),
        ..QueuedRecipient::of(Mailbox::parse(&format!("to{number}@other.test"), false).expect("an address"))
    };
    Enqueue {
        message: message.into(),
        submitter: rng.percent(50).then(|| account(0)),
        reverse_path: ReversePath::Null,
        reportable: rng.percent(80),
        prefix: format!("Received: entry {number} of {message}\r\n").as_bytes().into(),
        arrived: UnixTime(rng.below(2_000_000_000_000) as i64),
        expires: UnixTime(rng.below(2_000_000_000_000) as i64),
        wishes: Wishes::default(),
        recipients: (0..1 + rng.index(3)).map(recipient).collect(),
    }
}

/// Changes of rows whose ids are known; some of them come too late, or are of nothing that was ever there.
fn some_changes(rng: &mut Rng, acknowledged: &Model, failures: bool) -> Vec<RowChange> {
    let known = acknowledged.queue.messages.values().filter(|message| message.id.is_some());
    let (open, ended): (Vec<&Entered>, Vec<&Entered>) = known.partition(|message| message.is_open());
    let mut changes = Vec::new();
    for _ in 0..1 + rng.index(5) {
        let from = if rng.percent(5) || open.is_empty() { &ended } else { &open };
        let (id, rows) = match from.is_empty() || rng.percent(2) {
            true => (QueueId(rng.below(1 << 20)), 1),
            false => {
                let message = rng.pick(from);
                (message.id.expect("it is known"), message.rows.len())
            }
        };
        let state = match rng.below(10) {
            _ if failures => RowState::Failed,
            0..=1 => RowState::Waiting(UnixTime(rng.below(2_000_000_000_000) as i64)),
            2 => RowState::Held,
            3..=7 => RowState::Relayed,
            8 => RowState::Failed,
            _ => RowState::Cancelled,
        };
        let said = Said {
            code: 451,
            status: [4, 7, 1],
            text: format!("said {}", rng.below(1000)).into(),
            by: rng.percent(50).then(|| "mx.other.test".into()),
        };
        let beyond = usize::from(rng.percent(3));
        changes.push(RowChange {
            id,
            recipient: rng.index(rows + beyond) as u32,
            state,
            attempted: rng.percent(70),
            delay_reported: rng.percent(10),
            said: rng.percent(60).then(|| Arc::new(said)),
        });
    }
    changes
}

fn placement(rng: &mut Rng, made: &[AccountId]) -> Placement {
    let account = *rng.pick(made);
    let at = match rng.below(3) {
        0 => Where::Mailbox(mailbox(account, 1)),
        _ => Where::Inbox,
    };
    Placement {
        account,
        mailbox: at,
        prefix: format!("Return-Path: <{}@one.test>\r\n", rng.below(1000)).as_bytes().into(),
        flags: if rng.percent(30) { *rng.pick(&FLAGS) } else { Flags(0) },
        keywords: some_keywords(rng),
        internal_date: UnixTime(rng.below(2_000_000_000_000) as i64),
        save_date: UnixTime(rng.below(2_000_000_000_000) as i64),
    }
}

fn some_keywords(rng: &mut Rng) -> Vec<Arc<str>> {
    if rng.percent(70) {
        return Vec::new();
    }
    vec![(*rng.pick(&KEYWORDS)).into()]
}

fn flags(rng: &mut Rng, pending: &Model, mailbox: MailboxKey) -> Wanted {
    let mut flags = *rng.pick(&FLAGS);
    if rng.percent(30) {
        flags = flags.with(*rng.pick(&FLAGS));
    }
    let change = FlagChange {
        how: *rng.pick(&[FlagHow::Add, FlagHow::Remove, FlagHow::Replace]),
        flags,
        keywords: some_keywords(rng),
    };
    let uids = some_uids(rng, pending, mailbox);
    let highest = pending.accounts[&mailbox.account].mailboxes[&mailbox.mailbox].highest_mod_seq;
    let request = Request::SetFlags {
        mailbox,
        uids,
        change,
        unchanged_since: rng.percent(25).then(|| ModSeq(rng.below(highest + 2))),
        origin: rng.below(4),
    };
    Wanted { request, big: None }
}

fn deleted(rng: &mut Rng, pending: &Model, mailbox: MailboxKey) -> Wanted {
    let request = Request::SetFlags {
        mailbox,
        uids: some_uids(rng, pending, mailbox),
        change: FlagChange {
            how: FlagHow::Add,
            flags: Flags::DELETED,
            keywords: Vec::new(),
        },
        unchanged_since: None,
        origin: rng.below(4),
    };
    Wanted { request, big: None }
}

fn expunge(rng: &mut Rng, pending: &Model, mailbox: MailboxKey) -> Wanted {
    let request = Request::Expunge {
        mailbox,
        uids: rng.percent(50).then(|| some_uids(rng, pending, mailbox)),
        origin: rng.below(4),
    };
    Wanted { request, big: None }
}

/// Some UIDs, ascending; some of them may not exist.
pub(super) fn some_uids(rng: &mut Rng, pending: &Model, mailbox: MailboxKey) -> Arc<[Uid]> {
    let next = pending.accounts[&mailbox.account].mailboxes[&mailbox.mailbox].uid_next;
    let percent = *rng.pick(&[5, 20, 60]);
    let from = rng.below(u64::from(next) + 1) as u32;
    (from.max(1)..next + 2).filter(|_| rng.percent(percent)).map(Uid).collect()
}

/// Puts a big body in its place: the file, then every entry on the way to it, from the file upwards.
pub(super) fn place_big(disk: &mut StrictDisk, account: AccountId, email: EmailId, bytes: &Arc<[u8]>) {
    let mut perform = |op: DiskOp| {
        disk.perform(&op).unwrap_or_else(|error| panic!("{op:?}: {error}"));
    };
    let (directory, path) = (layout::big_directory(account, email), layout::big(account, email));
    perform(DiskOp::MakeDir(directory));
    let spool = DiskPath::new("tmp/spool");
    perform(DiskOp::Write {
        path: spool.clone(),
        offset: 0,
        parts: vec![bytes.clone()],
    });
    perform(DiskOp::Sync(spool.clone()));
    perform(DiskOp::Rename { from: spool, to: path });
    layout::big_directories(account, email)
        .into_iter()
        .for_each(|directory| perform(DiskOp::SyncDir(directory)));
}
