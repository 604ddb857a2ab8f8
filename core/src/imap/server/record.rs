//! The recorded form of asks, answers and notices. Versions and digests are recorded by value.

use super::ask::*;
use crate::machine::BodyError;
use crate::store::request::{FlagChange, ListedMailbox, Refused, Selected};
use crate::store::version::{Change, ChangeKind, Changes, Row};

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
    12 => CommitAppend { mailbox, flags, keywords, internal_date, then },
});
crate::record_enum!(Value {
    0 => Tls(answer), 1 => Password(answer), 2 => Mailboxes(answer), 3 => Opened(answer), 4 => Pulled(answer), 5 => Digests(answer),
    6 => Bodies(answer), 7 => Flags(answer), 8 => Expunged(answer), 9 => Sink(answer), 10 => Appended(answer)
});
crate::record_enum!(Notice { 0 => Changed { mailbox, lsn }, 1 => Shutdown, 2 => Shed });
crate::record_struct!(BodyRange { row, start, len });
crate::record_struct_tuple!(MailboxList);
crate::record_struct_tuple!(Opened);
crate::record_struct_tuple!(Pulled);
crate::record_struct!(PulledChanges { changes, recent_from });
crate::record_struct_tuple!(Digests);
crate::record_enum!(BodiesOpened { 0 => Ready, 1 => Failed(error) });
crate::record_enum!(BodyError { 0 => Missing, 1 => Corrupt, 2 => Unreadable });
crate::record_struct_tuple!(FlagsSet);
crate::record_struct!(FlagsSetAt { lsn, modified });
crate::record_struct_tuple!(ExpungeDone);
crate::record_struct_tuple!(AppendDone);
crate::record_struct!(Appended { lsn, uid_validity, uid });
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
crate::record_enum!(Refused { 0 => NoSuchMailbox, 1 => DiskFull, 2 => Limit(text), 3 => Stopping });
crate::record_enum!(Changes { 0 => List { changes, newest }, 1 => Diff(newest) });
crate::record_struct!(Change { lsn, origin, what });
crate::record_enum!(ChangeKind { 0 => Appended(uids), 1 => Flagged(uids), 2 => Expunged(uids) });
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
    mod_seq
});
