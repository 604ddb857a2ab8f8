//! The committer's recorded forms: a recording of its inputs replays it.

use super::ask::{Ask, DiskReply, Lane, Notice, QueueEvent, Recovered, Value};
use crate::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};
use crate::store::request::{Body, BodyBytes, Placed, Placement, Reply, Request, Submission, Where};

crate::record_enum!(Ask {
    0 => Disk { lane, op, then },
    1 => Ready(recovered),
    2 => Reply { ticket, reply },
    3 => Notify { watch, mailbox, lsn },
    4 => Hold { account, pack, offset, prefix, body },
    5 => Release { account, pack, offset },
    6 => Stop(why),
    7 => Queue(event),
});
crate::record_enum!(QueueEvent { 0 => Entered(message), 1 => Changed(change) });
crate::record_enum!(Lane { 0 => Ring, 1 => Settle, 2 => Checkpoint });
crate::record_struct!(Recovered {
    records,
    torn_records,
    messages
});
crate::record_struct_tuple!(DiskReply);
crate::record_enum!(Value { 0 => Disk(reply) });
crate::record_enum!(Notice { 0 => Submit(submission), 1 => Shutdown });

crate::record_struct_tuple!(DiskPath);
crate::record_enum!(DiskOp {
    0 => Write { path, offset, parts },
    1 => Read { path, offset, len },
    2 => Length(path),
    3 => Truncate { path, len },
    4 => DataSync(path),
    5 => Sync(path),
    6 => SyncDir(path),
    7 => SyncAll,
    8 => Rename { from, to },
    9 => Link { from, to },
    10 => Unlink(path),
    11 => MakeDir(path),
    12 => ReadDir(path),
    13 => FreeSpace,
});
crate::record_enum!(DiskValue {
    0 => Done,
    1 => Read(bytes),
    2 => Length(len),
    3 => Names(names),
    4 => Space { free, total, free_inodes },
});
crate::record_enum!(DiskError {
    0 => NotFound,
    1 => Exists,
    2 => Full,
    3 => Io,
    4 => TooManyFiles,
    5 => Denied,
    6 => Other(number),
});

crate::record_struct!(Submission { ticket, request });
crate::record_enum!(Request {
    0 => CreateAccount { account, mailboxes, uid_validity },
    1 => Place { body, placements, queued, changes, origin },
    2 => SetFlags { mailbox, uids, change, unchanged_since, origin },
    3 => Expunge { mailbox, uids, origin },
    4 => Mailboxes(account),
    5 => Select { account, name, watch, take_recent },
    6 => Changes { mailbox, since, take_recent },
    7 => Unwatch { mailbox, watch },
    8 => ChangeQueue(changes),
    9 => Queue,
    16 => Tree { account, change, at, origin },
    17 => Transfer { from, to, uids, strict, moves, at, origin },
});
crate::record_struct!(Body { len, crc, hash, bytes });
crate::record_enum!(BodyBytes { 0 => Inline(bytes), 1 => Big });
crate::record_struct!(Placement {
    account,
    mailbox,
    prefix,
    flags,
    keywords,
    internal_date,
    save_date
});
crate::record_enum!(Where { 0 => Inbox, 1 => Mailbox(mailbox) });
crate::record_enum!(Reply {
    0 => Done,
    1 => Placed { lsn, placed, queued },
    2 => Flagged { lsn, modified },
    3 => Expunged { lsn },
    4 => Mailboxes(list),
    5 => Selected(selected),
    6 => Changed { changes, recent_from },
    7 => Refused(why),
    8 => Queue(messages),
    16 => Tree(done),
    17 => Transferred(done),
});
crate::record_struct!(Placed {
    mailbox,
    uid_validity,
    uid,
    location
});
