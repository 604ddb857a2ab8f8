//! On-disk forms: what is read is what was written, and what is damaged is not read (the journal is in `journal.rs`).

use pillarbox_core::record::Record;
use pillarbox_core::store::account::Account;
use pillarbox_core::store::frame::{self, FrameLine};
use pillarbox_core::store::journal::checkpoint::{Checkpoint, SLOT};
use pillarbox_core::store::operation::{Copied, Operation, Place, Queued};
use pillarbox_core::store::queue::{Queue, QueuedMessage, RowChange};
use pillarbox_core::store::version::Version;
use pillarbox_core::store::{AccountId, EmailId, Flags, Location, Lsn, MailboxId, MailboxKey, ModSeq, Uid, layout};
use pillarbox_core::time::UnixTime;

use crate::records::canonical;
use crate::steered;

/// Frames, checkpoints, operations, snapshots of accounts, rows of the queue, names of files.
pub fn store_formats(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    match steer % 8 {
        0 => of_frames(bytes),
        1 => of_checkpoints(bytes),
        2 => canonical::<Operation>(bytes),
        3 => canonical::<Account>(bytes),
        4 => canonical::<Queue>(bytes),
        5 => {
            canonical::<Version>(bytes);
            canonical::<QueuedMessage>(bytes);
            canonical::<RowChange>(bytes);
        }
        6 => of_queue_frames(bytes),
        _ => of_names(bytes),
    }
}

/// A line that is read, written with the rest that it does not tell, and read again is the same.
fn of_frames(bytes: &[u8]) {
    let Some(read) = frame::parse_line(bytes) else { return };
    if read.prefix_len > 4096 {
        return;
    }
    planted!(read.big && read.uid > 9999 && read.crc > 0xff_ffff);
    let line = frame::line(&place(&read), &copied(&read));
    assert_eq!(line.matches("\r\n").count(), 1, "one line");
    assert_eq!(
        frame::parse_line(line.trim_end_matches("\r\n").as_bytes()),
        Some(read),
        "{line}"
    );
}

/// A frame of the queue names no mailbox and has UID 0.
fn of_queue_frames(bytes: &[u8]) {
    let Ok(place) = Place::from_record(bytes) else { return };
    for Queued {
        id,
        email_id,
        location,
        entered,
    } in &place.queued
    {
        let queued = Queued {
            id: *id,
            email_id: *email_id,
            location: *location,
            entered: entered.clone(),
        };
        let line = frame::queued_line(&place, &queued);
        let read = frame::parse_line(line.trim_end_matches("\r\n").as_bytes()).expect("a frame");
        assert_eq!(
            (read.uid, read.body_len, read.big, read.crc),
            (0, place.body_len, place.big, frame::checksum(&entered.prefix, place.body_crc))
        );
        assert_eq!(read.prefix_len, entered.prefix.len());
    }
}

fn place(read: &FrameLine) -> Place {
    Place {
        body_len: read.body_len,
        // Twice the same prefix is none.
        body_crc: frame::checksum(&prefix(read), read.crc),
        body_hash: [0; 32],
        big: read.big,
        copies: Vec::new(),
        queued: Vec::new(),
        changes: Vec::new(),
    }
}

fn prefix(read: &FrameLine) -> Vec<u8> {
    vec![b'x'; read.prefix_len]
}

fn copied(read: &FrameLine) -> Copied {
    Copied {
        mailbox: MailboxKey {
            account: AccountId([1; 16]),
            mailbox: MailboxId([2; 16]),
        },
        uid: Uid(read.uid),
        mod_seq: ModSeq(1),
        email_id: EmailId([3; 16]),
        location: Location::Pack { pack: 0, offset: 0 },
        prefix: prefix(read).into(),
        flags: Flags::SEEN,
        keywords: Vec::new(),
        internal_date: UnixTime::from_seconds(-1),
        save_date: UnixTime::from_seconds(0),
    }
}

/// The newest valid slot wins; a slot with any octet wrong is none.
fn of_checkpoints(bytes: &[u8]) {
    if let Some(found) = Checkpoint::newest(bytes) {
        let slot = found.encode();
        assert!(
            [0, SLOT as usize]
                .iter()
                .any(|at| bytes.get(*at..).is_some_and(|bytes| bytes.starts_with(&slot)))
        );
    }
    let mut numbers = bytes.chunks(8).map(|eight| {
        let mut number = [0; 8];
        number[..eight.len()].copy_from_slice(eight);
        u64::from_le_bytes(number)
    });
    let mut next = || numbers.next().unwrap_or_default();
    let [one, two] = [0, 1].map(|parity| Checkpoint {
        sequence: next() & !1 | parity,
        lsn: Lsn(next()),
        epoch: next() as u32,
    });
    let (damaged, octet, bit) = (next() & 1, next(), next() % 8);
    let mut file = vec![0; SLOT as usize + 32];
    for checkpoint in [one, two] {
        let at = checkpoint.offset() as usize;
        file[at..at + 32].copy_from_slice(&checkpoint.encode());
    }
    assert_eq!(Checkpoint::newest(&file), Some(one.max(two)));
    file[(damaged * SLOT + octet % 32) as usize] ^= 1 << bit;
    assert_eq!(Checkpoint::newest(&file), Some(if damaged == 0 { two } else { one }));
}

/// Names of files hold no more than letters, digits, dots, dashes and slashes, whatever the ids are; ids are read back.
fn of_names(bytes: &[u8]) {
    let mut id = [0; 16];
    id.iter_mut().zip(bytes).for_each(|(octet, byte)| *octet = *byte);
    let (account, email) = (AccountId(id), EmailId(id));
    assert_eq!(AccountId::from_hex(&account.to_string()), Some(account));
    let number = u128::from_be_bytes(id);
    let names = [
        layout::version(),
        layout::journal(),
        layout::segment(number as u32),
        layout::checkpoint(),
        layout::spools(),
        layout::spool(number),
        layout::accounts(),
        layout::account(account),
        layout::index(account, number as u32),
        layout::packs(account),
        layout::pack(account, number as u32),
        layout::bigs(account),
        layout::big_directory(account, email),
        layout::big(account, email),
    ];
    for name in names.iter().chain(&layout::big_directories(account, email)) {
        assert!(
            name.0
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"./-".contains(&byte)),
            "{name}"
        );
        assert!(!name.0.starts_with('/') && !name.0.contains(".."), "{name}");
    }
    let mut hash = [7; 32];
    hash.iter_mut().zip(bytes).for_each(|(octet, byte)| *octet ^= *byte);
    let again = [layout::email_id(account, &hash), layout::email_id(account, &hash)];
    assert_eq!(again[0], again[1]);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(layout::queued_id(text, &hash), layout::queued_id(text, &hash));
        if let Some(read) = AccountId::from_hex(text) {
            assert_eq!(read.to_string(), text.to_lowercase());
        }
    }
}
