//! The session's asks, answers and notices, written down and read back.

use super::ask::{
    AppendDone, Appended, Ask, BodiesOpened, BodyRange, Digests, ExpungeDone, FlagsSet, FlagsSetAt, MailboxList, Matched,
    Notice, Opened, Pulled, PulledChanges, TransferDone, TreeChanged, TreeWish, Value,
};
use crate::machine::BodyError;
use crate::store::request::{FlagChange, ListedMailbox, Refused, Selected};
use crate::store::version::{Change, ChangeKind, Changes, Row};

#[cfg(test)]
mod tests;

crate::record_enum!(Ask {
    0 => StartTls { then },
    1 => VerifyPassword { login, password, then },
    2 => Mailboxes { account, then },
    3 => Select { account, name, watch, take_recent, then },
    4 => Unwatch { mailbox },
    5 => Changes { mailbox, since, take_recent, then },
    6 => Digests { mailbox, rows, then },
    7 => OpenBodies { mailbox, parts, then },
    8 => SetFlags { mailbox, uids, change, then },
    9 => Expunge { mailbox, uids, then },
    10 => OpenMessage { size, then },
    11 => DropMessage,
    40 => ScramSalt { login, then },
    41 => ScramProof { login, message, proof, then },
    12 => CommitAppend { mailbox, flags, keywords, internal_date, then },
    13 => Match { mailbox, program, candidates, then },
    16 => ChangeTree { account, wish, then },
    17 => Transfer { from, to, uids, strict, moves, then },
});
crate::record_enum!(Value {
    40 => Salt(salt), 41 => Proof(verdict),
    0 => Tls(outcome), 1 => Password(verdict), 2 => Mailboxes(list), 3 => Opened(opened), 4 => Pulled(pulled),
    5 => Digests(digests), 6 => Bodies(opened), 7 => Flags(set), 8 => Expunged(done), 9 => Sink(opened), 10 => Appended(done),
    11 => Matched(matched),
    16 => Tree(done), 17 => Transferred(done),
});
crate::record_enum!(TreeWish {
    0 => Create { name, special_use },
    1 => Delete(name),
    2 => Rename { from, to },
    3 => Subscribe(name),
    4 => Unsubscribe(name),
});
crate::record_enum!(Notice { 0 => Changed { mailbox, lsn }, 1 => Shutdown, 2 => Shed });
crate::record_struct!(BodyRange { row, start, len });
crate::record_struct!(Row {
    uid,
    size,
    prefix,
    internal_date,
    save_date,
    email_id,
    location,
    crc,
    flags,
    keywords,
    mod_seq,
});
crate::record_struct!(FlagChange { how, flags, keywords });
crate::record_struct!(ListedMailbox {
    mailbox,
    name,
    special_use,
    subscribed
});
crate::record_struct!(Selected {
    mailbox,
    version,
    recent_from
});
crate::record_enum!(Refused {
    0 => NoSuchMailbox,
    1 => DiskFull,
    2 => Limit(text),
    3 => Stopping,
    16 => AlreadyExists,
    17 => Cannot(text),
    18 => HasChildren,
    19 => UseTaken,
    20 => NoDestination,
    21 => Expunged,
});
crate::record_struct!(PulledChanges { changes, recent_from });
crate::record_struct!(Change { lsn, origin, what });
crate::record_enum!(ChangeKind { 0 => Appended(uids), 1 => Flagged(uids), 2 => Expunged(uids) });
crate::record_enum!(BodyError { 0 => Missing, 1 => Corrupt, 2 => Unreadable });
crate::record_enum!(BodiesOpened { 0 => Ready, 1 => Failed(error) });
crate::record_struct!(FlagsSetAt { lsn, modified });
crate::record_struct!(Appended { lsn, uid_validity, uid });

macro_rules! wrappers {
    ($($name:ident),*) => {$(
        impl crate::record::Record for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(from: &mut crate::record::Reader<'_>) -> Result<Self, crate::record::Malformed> {
                crate::record::Record::decode(from).map($name)
            }
        }
    )*};
}
wrappers!(
    MailboxList,
    Opened,
    Pulled,
    Digests,
    Matched,
    FlagsSet,
    ExpungeDone,
    AppendDone,
    TreeChanged,
    TransferDone
);

/// By value.
impl crate::record::Record for Changes {
    fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
        match self {
            Changes::List(list, version) => {
                out.push(0);
                list.encode(out);
                version.encode(out);
            }
            Changes::Diff(version) => {
                out.push(1);
                version.encode(out);
            }
        }
    }
    fn decode(from: &mut crate::record::Reader<'_>) -> Result<Self, crate::record::Malformed> {
        use crate::record::Record;
        match from.byte()? {
            0 => Ok(Changes::List(Record::decode(from)?, Record::decode(from)?)),
            1 => Record::decode(from).map(Changes::Diff),
            _ => Err(crate::record::Malformed("unknown variant of Changes")),
        }
    }
}
