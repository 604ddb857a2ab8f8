//! Reading the disk at start, one operation at a time: a fresh store is made, an existing one is read whole.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Settings;
use super::queue::QueueFiles;
use super::settle::SNAPSHOT;
use crate::limits;
use crate::record::Record;
use crate::store::account::Account;
use crate::store::disk::{DiskDone, DiskError, DiskOp, DiskPath, DiskValue};
use crate::store::journal::checkpoint::{Checkpoint, SLOT};
use crate::store::journal::record;
use crate::store::journal::scan::Scan;
use crate::store::operation::Operation;
use crate::store::queue::QUEUE;
use crate::store::{AccountId, EmailId, Lsn, layout};

/// What comes next.
pub(super) enum BootNext {
    Disk(DiskOp),
    Failed(String),
    Booted(Booted),
}

/// What the disk holds.
pub(super) struct Booted {
    pub(super) checkpoint: Checkpoint,
    pub(super) newest_segment: Option<u32>,
    pub(super) accounts: Vec<Loaded>,
    /// Accounts that have a directory but no record in their index: the journal must make them.
    pub(super) orphans: Vec<AccountId>,
    /// Operations behind the checkpoint, in order, with their inline bodies.
    pub(super) records: Vec<(Lsn, Operation, Option<Arc<[u8]>>)>,
    pub(super) torn_records: u64,
    pub(super) queue_files: QueueFiles,
}

/// An account as its index has it.
pub(super) struct Loaded {
    pub(super) account: Account,
    pub(super) generation: u32,
    pub(super) len: u64,
    pub(super) snapshot_len: u64,
    /// Generations before, which nobody has removed yet.
    pub(super) older: Vec<u32>,
}

pub(super) struct Boot {
    settings: Settings,
    step: Step,
    checkpoint: Checkpoint,
    scan: Option<Scan>,
    newest: (Lsn, Option<u32>),
    booted: Booted,
    directories: VecDeque<DiskPath>,
    found: VecDeque<AccountId>,
    generations: Vec<u32>,
    index: Vec<u8>,
}

/// ```text
/// Version -> (Making ->) Checkpoint -> Segment 0..7 -> Firm* -> Spools -> Accounts -> Shelf* -> (Generations -> Index -> Cut)* -> QueuePacks -> QueueShelves -> QueueShelf*
/// ```
enum Step {
    Begin,
    Version,
    Making(VecDeque<DiskOp>),
    Checkpoint,
    Segment(u32),
    Firm(VecDeque<DiskOp>),
    Spools,
    Emptying(VecDeque<DiskOp>),
    Accounts,
    Shelf(DiskPath),
    Generations(AccountId),
    Index(AccountId, u32),
    /// A torn tail is cut off; or an unreadable snapshot is removed, and the generation before it read.
    Cut(Option<AccountId>),
    QueuePacks,
    QueueShelves,
    QueueShelf,
    End,
}

impl Boot {
    pub(super) fn new(settings: Settings) -> Boot {
        let booted = Booted {
            checkpoint: Checkpoint::default(),
            newest_segment: None,
            accounts: Vec::new(),
            orphans: Vec::new(),
            records: Vec::new(),
            torn_records: 0,
            queue_files: QueueFiles::default(),
        };
        Boot {
            settings,
            step: Step::Begin,
            checkpoint: Checkpoint::default(),
            scan: None,
            newest: (Lsn(0), None),
            booted,
            directories: VecDeque::new(),
            found: VecDeque::new(),
            generations: Vec::new(),
            index: Vec::new(),
        }
    }

    /// Takes the answer to the last operation and gives the next.
    pub(super) fn next(&mut self, done: Option<DiskDone>) -> BootNext {
        match self.step(done) {
            Ok(next) => next,
            Err(why) => BootNext::Failed(why),
        }
    }

    fn step(&mut self, done: Option<DiskDone>) -> Result<BootNext, String> {
        let value = |done: Option<DiskDone>, what: &str| {
            done.expect("a step has an answer")
                .map_err(|error| format!("{what} cannot be read: {error}"))
        };
        match core::mem::replace(&mut self.step, Step::End) {
            Step::Begin => Ok(self.go(
                Step::Version,
                DiskOp::Read {
                    path: layout::version(),
                    offset: 0,
                    len: 64,
                },
            )),
            Step::Version => match done.expect("a step has an answer") {
                Ok(DiskValue::Read(text)) if text == layout::VERSION_TEXT => Ok(self.read_checkpoint()),
                Ok(DiskValue::Read(text)) => Err(format!(
                    "VERSION says {:?}: not a store of this version",
                    String::from_utf8_lossy(&text)
                )),
                Err(DiskError::NotFound) => Ok(self.make(fresh(&self.settings))),
                other => Err(format!("VERSION cannot be read: {other:?}")),
            },
            Step::Making(rest) => {
                value(done, "the new store")?;
                Ok(self.make(rest))
            }
            Step::Checkpoint => {
                let DiskValue::Read(bytes) = value(done, "the checkpoint")? else {
                    return Err("no bytes".into());
                };
                self.checkpoint = Checkpoint::newest(&bytes).ok_or("the checkpoint file has no valid slot")?;
                self.booted.checkpoint = self.checkpoint;
                self.scan = Some(Scan::new(self.checkpoint.lsn));
                Ok(self.read_segment(0))
            }
            Step::Segment(number) => {
                let DiskValue::Read(bytes) = value(done, "a journal segment")? else {
                    return Err("no bytes".into());
                };
                if (bytes.len() as u64) < self.settings.segment_bytes() {
                    return Err(format!("journal segment {number} is cut short"));
                }
                self.segment(number, &bytes)?;
                if number + 1 < limits::RING_SEGMENTS {
                    return Ok(self.read_segment(number + 1));
                }
                let firm = self.journal_read()?;
                Ok(self.firm(firm))
            }
            Step::Firm(rest) => {
                value(done, "the journal's end, written again")?;
                Ok(self.firm(rest))
            }
            Step::Spools => {
                let DiskValue::Names(names) = value(done, "the spools")? else {
                    return Err("no names".into());
                };
                let leftover = names
                    .into_iter()
                    .map(|name| DiskOp::Unlink(DiskPath(format!("{}/{name}", layout::spools()))));
                let leftover = leftover.collect();
                Ok(self.empty(leftover))
            }
            Step::Emptying(rest) => {
                value(done, "a leftover spool")?;
                Ok(self.empty(rest))
            }
            Step::Accounts => {
                let DiskValue::Names(names) = value(done, "the accounts")? else {
                    return Err("no names".into());
                };
                self.directories = names
                    .into_iter()
                    .map(|name| DiskPath(format!("{}/{name}", layout::accounts())))
                    .collect();
                Ok(self.next_shelf())
            }
            Step::Shelf(path) => {
                let DiskValue::Names(names) = value(done, &path.0)? else {
                    return Err("no names".into());
                };
                for name in names {
                    let id = AccountId::from_hex(&name).ok_or_else(|| format!("{path}/{name} is no account's directory"))?;
                    self.found.push_back(id);
                }
                Ok(self.next_shelf())
            }
            Step::Generations(id) => {
                let DiskValue::Names(names) = value(done, "an account")? else {
                    return Err("no names".into());
                };
                self.generations = names
                    .iter()
                    .filter_map(|name| name.strip_prefix("index.")?.parse().ok())
                    .collect();
                self.generations.sort_unstable();
                Ok(self.next_generation(id))
            }
            Step::Index(id, generation) => {
                let DiskValue::Read(bytes) = value(done, "an index")? else {
                    return Err("no bytes".into());
                };
                let more = bytes.len() == INDEX_READ;
                self.index.extend_from_slice(&bytes);
                if more {
                    return Ok(self.read_index(id, generation));
                }
                self.load(id, generation)
            }
            Step::Cut(again) => {
                value(done, "an index")?;
                Ok(match again {
                    Some(id) => self.next_generation(id),
                    None => self.next_account(),
                })
            }
            Step::QueuePacks => {
                let names = names_if_there(done, "the queue's packs")?;
                let numbers = names
                    .iter()
                    .filter_map(|name| name.strip_suffix(".pack")?.parse::<u32>().ok());
                self.booted.queue_files.packs = numbers.collect();
                Ok(self.go(Step::QueueShelves, DiskOp::ReadDir(layout::bigs(QUEUE))))
            }
            Step::QueueShelves => {
                let names = names_if_there(done, "the queue's large messages")?;
                let shelf = |name: &String| DiskPath(format!("{}/{name}", layout::bigs(QUEUE)));
                self.directories = names.iter().map(shelf).collect();
                Ok(self.next_queue_shelf())
            }
            Step::QueueShelf => {
                let names = names_if_there(done, "the queue's large messages")?;
                let files = names.iter().filter_map(|name| EmailId::from_hex(name.strip_suffix(".eml")?));
                self.booted.queue_files.big.extend(files);
                Ok(self.next_queue_shelf())
            }
            Step::End => Err("the start went on after its end".into()),
        }
    }

    fn go(&mut self, step: Step, op: DiskOp) -> BootNext {
        self.step = step;
        BootNext::Disk(op)
    }

    fn make(&mut self, mut rest: VecDeque<DiskOp>) -> BootNext {
        match rest.pop_front() {
            Some(op) => self.go(Step::Making(rest), op),
            None => self.read_checkpoint(),
        }
    }

    fn empty(&mut self, mut rest: VecDeque<DiskOp>) -> BootNext {
        match rest.pop_front() {
            Some(op) => self.go(Step::Emptying(rest), op),
            None => self.go(Step::Accounts, DiskOp::ReadDir(layout::accounts())),
        }
    }

    fn read_checkpoint(&mut self) -> BootNext {
        self.go(
            Step::Checkpoint,
            DiskOp::Read {
                path: layout::checkpoint(),
                offset: 0,
                len: 2 * SLOT as usize,
            },
        )
    }

    fn read_segment(&mut self, number: u32) -> BootNext {
        let len = self.settings.segment_bytes() as usize;
        self.go(
            Step::Segment(number),
            DiskOp::Read {
                path: layout::segment(number),
                offset: 0,
                len,
            },
        )
    }

    fn segment(&mut self, number: u32, bytes: &[u8]) -> Result<(), String> {
        let scan = self.scan.as_mut().ok_or("segments are read after the checkpoint")?;
        scan.segment(number, bytes);
        if let Some(first) = record::decode(bytes)
            && first.place.lsn > self.newest.0
        {
            self.newest = (first.place.lsn, Some(number));
        }
        Ok(())
    }

    /// What a killed process left behind may be in the kernel's memory only, whether it was never synced or the sync failed: the
    /// newest checkpoint and the last batch are written again and synced before anything is built on them.
    fn firm(&mut self, mut rest: VecDeque<DiskOp>) -> BootNext {
        match rest.pop_front() {
            Some(op) => self.go(Step::Firm(rest), op),
            None => self.go(Step::Spools, DiskOp::ReadDir(layout::spools())),
        }
    }

    fn journal_read(&mut self) -> Result<VecDeque<DiskOp>, String> {
        let scan = self.scan.take().ok_or("the journal is read once")?;
        let scanned = scan.finish().map_err(|why| format!("the journal is corrupt: {why}"))?;
        self.booted.newest_segment = self.newest.1;
        self.booted.torn_records = scanned.torn_records;
        for (lsn, found) in scanned.records {
            let operation = Operation::from_record(&found.payload)
                .map_err(|error| format!("journal record {lsn} is of an unknown kind ({error}): was a newer version here?"))?;
            let body = matches!(&operation, Operation::Place(place) if !place.big).then_some(found.body);
            self.booted.records.push((lsn, operation, body));
        }
        let mut firm = VecDeque::new();
        let mut again = |path: DiskPath, offset, bytes| {
            let parts = alloc::vec![bytes];
            let write = DiskOp::Write {
                path: path.clone(),
                offset,
                parts,
            };
            firm.extend([write, DiskOp::DataSync(path)]);
        };
        again(
            layout::checkpoint(),
            self.checkpoint.offset(),
            self.checkpoint.encode().into(),
        );
        if let Some(last) = scanned.last_batch {
            again(layout::segment(last.segment), last.offset, last.bytes);
        }
        Ok(firm)
    }

    fn next_shelf(&mut self) -> BootNext {
        match self.directories.pop_front() {
            Some(path) => self.go(Step::Shelf(path.clone()), DiskOp::ReadDir(path)),
            None => self.next_account(),
        }
    }

    fn next_account(&mut self) -> BootNext {
        match self.found.pop_front() {
            Some(id) => self.go(Step::Generations(id), DiskOp::ReadDir(layout::account(id))),
            None => self.go(Step::QueuePacks, DiskOp::ReadDir(layout::packs(QUEUE))),
        }
    }

    fn next_queue_shelf(&mut self) -> BootNext {
        match self.directories.pop_front() {
            Some(path) => self.go(Step::QueueShelf, DiskOp::ReadDir(path)),
            None => BootNext::Booted(core::mem::replace(&mut self.booted, Boot::new(self.settings).booted)),
        }
    }

    /// The newest generation that has not been tried.
    fn next_generation(&mut self, id: AccountId) -> BootNext {
        self.index.clear();
        match self.generations.pop() {
            Some(generation) => self.read_index(id, generation),
            None => {
                self.booted.orphans.push(id);
                self.next_account()
            }
        }
    }

    fn read_index(&mut self, id: AccountId, generation: u32) -> BootNext {
        let op = DiskOp::Read {
            path: layout::index(id, generation),
            offset: self.index.len() as u64,
            len: INDEX_READ,
        };
        self.go(Step::Index(id, generation), op)
    }

    fn load(&mut self, id: AccountId, generation: u32) -> Result<BootNext, String> {
        let bytes = core::mem::take(&mut self.index);
        let (mut account, mut at, mut snapshot_len) = (Account::new(id), 0, 0_u64);
        while let Some(read) = record::decode(&bytes[at..]).filter(|read| read.place.epoch == generation) {
            let first = at == 0;
            at += read.len;
            if let Some(snapshot) = read.payload.strip_prefix(&[SNAPSHOT]) {
                account =
                    Account::from_record(snapshot).map_err(|error| format!("account {id}, index {generation}: {error}"))?;
                snapshot_len = at as u64;
                continue;
            }
            let whole = first || read.place.lsn > account.last_lsn;
            let operation =
                Operation::from_record(read.payload).map_err(|error| format!("account {id}, index {generation}: {error}"))?;
            if whole {
                account.apply(read.place.lsn, 0, &operation);
            }
        }
        self.no_covered_record_behind(id, generation, &bytes, at, account.last_lsn)?;
        let path = layout::index(id, generation);
        // A generation above the first begins with its snapshot; without it, the one before is still whole.
        if generation > 0 && snapshot_len == 0 {
            // With none before it, only a journal that still makes the account has everything: the first generation may never
            // have been covered by a checkpoint.
            if self.generations.is_empty() && !self.journal_makes(id) {
                return Err(format!(
                    "the index of account {id} is unreadable, and there is none before it"
                ));
            }
            return Ok(self.go(Step::Cut(Some(id)), DiskOp::Unlink(path)));
        }
        account.loaded_until = account.last_lsn;
        let len = at as u64;
        if len == 0 {
            self.booted.orphans.push(id);
        } else {
            self.booted.accounts.push(Loaded {
                account,
                generation,
                len,
                snapshot_len,
                older: core::mem::take(&mut self.generations),
            });
        }
        // What is behind the last whole entry is of a write that did not finish.
        Ok(self.go(Step::Cut(None), DiskOp::Truncate { path, len }))
    }

    /// Whether the journal holds the account's making, and so all that ever happened to it.
    fn journal_makes(&self, id: AccountId) -> bool {
        let makes = |operation: &Operation| matches!(operation, Operation::Account(new) if new.account == id);
        self.booted.records.iter().any(|(_, operation, _)| makes(operation))
    }

    /// Refuses an index in which a record that a checkpoint covers can be seen behind the last readable one, or in which there is
    /// anything unreadable although the journal holds nothing more for it: a write that did not finish is always there again.
    fn no_covered_record_behind(
        &self,
        id: AccountId,
        generation: u32,
        bytes: &[u8],
        at: usize,
        last: Lsn,
    ) -> Result<(), String> {
        let behind = &bytes[at..];
        let whole = record::candidates(behind).filter_map(|candidate| Some(record::decode(&behind[candidate..])?.place));
        let next = record::peek(behind).filter(|place| place.lsn > last);
        // A snapshot may be of a record before the checkpoint and yet not be durable.
        let next = next.filter(|_| generation == 0 || at > 0);
        let covered = |place: &record::Place| place.epoch == generation && place.lsn <= self.checkpoint.lsn;
        match whole.chain(next).find(covered) {
            Some(place) => Err(format!(
                "the index of account {id} is corrupt before record {}, which it must have",
                place.lsn
            )),
            None if behind.iter().all(|byte| *byte == 0) || self.journal_has_more(id, last) => Ok(()),
            None if generation > 0 && at == 0 => Ok(()), // an unfinished snapshot; the generation before it is judged by itself
            None => Err(format!("the index of account {id} is corrupt behind record {last}")),
        }
    }

    fn journal_has_more(&self, id: AccountId, last: Lsn) -> bool {
        let mut records = self.booted.records.iter();
        records.any(|(lsn, operation, _)| *lsn > last && operation.accounts().contains(&id))
    }
}

/// A directory's names; none when it is not there.
fn names_if_there(done: Option<DiskDone>, what: &str) -> Result<Vec<String>, String> {
    match done.expect("a step has an answer") {
        Ok(DiskValue::Names(names)) => Ok(names),
        Err(DiskError::NotFound) => Ok(Vec::new()),
        other => Err(format!("{what} cannot be read: {other:?}")),
    }
}

const INDEX_READ: usize = 4 * 1024 * 1024;

/// Makes a fresh store; VERSION comes last, so that a store cut off half-way is made again.
fn fresh(settings: &Settings) -> VecDeque<DiskOp> {
    let mut ops = VecDeque::new();
    ops.push_back(DiskOp::MakeDir(layout::journal()));
    ops.push_back(DiskOp::MakeDir(layout::accounts()));
    ops.push_back(DiskOp::MakeDir(layout::spools()));
    let block = 1024 * 1024;
    let zeros: Arc<[u8]> = alloc::vec![0; block].into();
    for number in 0..limits::RING_SEGMENTS {
        let mut offset = 0;
        while offset < settings.segment_bytes() {
            let len = block.min((settings.segment_bytes() - offset) as usize);
            let part = if len == block { zeros.clone() } else { zeros[..len].into() };
            ops.push_back(DiskOp::Write {
                path: layout::segment(number),
                offset,
                parts: alloc::vec![part],
            });
            offset += len as u64;
        }
        ops.push_back(DiskOp::Sync(layout::segment(number)));
    }
    let mut slots = alloc::vec![0; 2 * SLOT as usize];
    let first = Checkpoint {
        sequence: 0,
        lsn: Lsn(0),
        epoch: 0,
    }
    .encode();
    slots[..first.len()].copy_from_slice(&first);
    ops.push_back(DiskOp::Write {
        path: layout::checkpoint(),
        offset: 0,
        parts: alloc::vec![slots.into()],
    });
    ops.push_back(DiskOp::Sync(layout::checkpoint()));
    ops.push_back(DiskOp::SyncDir(layout::journal()));
    let written = DiskPath::new("VERSION.new");
    ops.push_back(DiskOp::Write {
        path: written.clone(),
        offset: 0,
        parts: alloc::vec![layout::VERSION_TEXT.into()],
    });
    ops.push_back(DiskOp::Sync(written.clone()));
    ops.push_back(DiskOp::SyncDir(DiskPath::new("")));
    ops.push_back(DiskOp::Rename {
        from: written,
        to: layout::version(),
    });
    ops.push_back(DiskOp::SyncDir(DiskPath::new("")));
    ops
}
