//! The queue in the reference, in what the store says of it, and on the disk (R7, R9).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pillarbox_core::store::committer::ask::QueueEvent;
use pillarbox_core::store::disk::DiskOp;
use pillarbox_core::store::queue::{Enqueue, QUEUE, QueueId, QueueRow, QueuedMessage, RowChange, RowState};
use pillarbox_core::store::request::{Reply, Request};
use pillarbox_core::store::{AccountId, EmailId, Location, frame, layout};

use super::world::World;

/// What names a message here, before the store has given it an id: its message id, and its trace field, which is its own.
pub(super) type Key = (String, String);

/// Every message that ever entered the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct QueueModel {
    pub(super) messages: BTreeMap<Key, Entered>,
    /// For each row, how often its failure was reported.
    pub(super) reports: BTreeMap<(Key, u32), u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entered {
    /// `None` until the store has said it.
    pub(super) id: Option<QueueId>,
    pub(super) entered: Enqueue,
    pub(super) email_id: EmailId,
    pub(super) rows: Vec<QueueRow>,
    /// Prefix and body.
    pub(super) content: Arc<[u8]>,
}

impl Entered {
    pub(super) fn is_open(&self) -> bool {
        self.rows.iter().any(|row| !row.state.is_over())
    }
}

pub(super) fn key(entered: &Enqueue) -> Key {
    (
        entered.message.to_string(),
        String::from_utf8_lossy(&entered.prefix).into_owned(),
    )
}

impl QueueModel {
    pub(super) fn enter(&mut self, entered: &Enqueue, body: &[u8], hash: &[u8; 32]) {
        let row = QueueRow {
            state: RowState::Waiting(entered.arrived),
            attempts: 0,
            delay_reported: false,
            said: None,
        };
        let message = Entered {
            id: None,
            entered: entered.clone(),
            email_id: layout::queued_id(&entered.message, hash),
            rows: vec![row; entered.recipients.len()],
            content: [&entered.prefix, body].concat().into(),
        };
        assert!(self.messages.insert(key(entered), message).is_none(), "keys are used once");
    }

    fn by_id(&mut self, id: QueueId) -> Option<(&Key, &mut Entered)> {
        self.messages.iter_mut().find(|(_, message)| message.id == Some(id))
    }

    /// Makes the changes that do not come too late; which ones.
    pub(super) fn change(&mut self, changes: &[RowChange], reported: bool) -> usize {
        let mut done = 0;
        for change in changes {
            let Some((key, message)) = self.by_id(change.id) else {
                continue;
            };
            let Some(row) = message.rows.get_mut(change.recipient as usize) else {
                continue;
            };
            if row.state.is_over() {
                continue;
            }
            row.state = change.state;
            row.attempts += u32::from(change.attempted);
            row.delay_reported |= change.delay_reported;
            if let Some(said) = &change.said {
                row.said = Some(said.clone());
            }
            let of = (key.clone(), change.recipient);
            if reported && change.state == RowState::Failed {
                *self.reports.entry(of).or_default() += 1;
            }
            done += 1;
        }
        done
    }

    /// What sessions and the operator can see: the open messages.
    pub(super) fn visible(&self) -> QueueModel {
        let open = self.messages.iter().filter(|(_, message)| message.is_open());
        QueueModel {
            messages: open.map(|(key, message)| (key.clone(), message.clone())).collect(),
            reports: BTreeMap::new(),
        }
    }

    /// Takes over the ids that the store gave to messages whose reply was never heard.
    pub(super) fn learn(&mut self, real: &QueueModel) {
        for (key, message) in &mut self.messages {
            message.id = message.id.or_else(|| real.messages.get(key)?.id);
        }
    }

    /// R7: every recipient is in exactly one state by its type; a failure that is to be reported has exactly one report.
    pub(super) fn promises(&self) -> Result<(), String> {
        for ((key, recipient), reports) in &self.reports {
            let failed = self.messages[key].rows[*recipient as usize].state == RowState::Failed;
            if *reports != 1 || !failed {
                return Err(format!(
                    "recipient {recipient} of {key:?}: {reports} reports, failed: {failed}"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn difference(&self, real: &QueueModel) -> Vec<String> {
        let mut found = Vec::new();
        let keys: BTreeSet<&Key> = self.messages.keys().chain(real.messages.keys()).collect();
        for key in keys {
            match (self.messages.get(key), real.messages.get(key)) {
                (Some(must), Some(is)) if must == is => {}
                (Some(must), Some(is)) if must.content != is.content => {
                    found.push(format!("queued {key:?} has OTHER CONTENT"));
                }
                (Some(must), Some(is)) => found.push(format!("queued {key:?} is {:?}, must be {:?}", is.rows, must.rows)),
                (Some(_), None) => found.push(format!("queued {key:?} is lost")),
                (None, _) => found.push(format!("queued {key:?} should not be there")),
            }
        }
        found
    }
}

/// What the events of one process add up to.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    open: BTreeMap<QueueId, QueuedMessage>,
}

impl Mirror {
    pub(super) fn take(&mut self, event: QueueEvent) -> Result<(), String> {
        match event {
            QueueEvent::Entered(message) => match self.open.insert(message.id, (*message).clone()) {
                Some(_) => Err(format!("{:?} entered twice", message.id)),
                None => Ok(()),
            },
            QueueEvent::Changed(change) => {
                let message = self.open.get_mut(&change.id);
                let message = message.ok_or_else(|| format!("{:?} changed, but is not there", change.id))?;
                let before = message.rows.get(change.recipient as usize);
                if before.is_none_or(|row| row.state.is_over()) {
                    return Err(format!("told of a change that was not made: {change:?}"));
                }
                message.change(&change);
                if message.is_over() {
                    self.open.remove(&change.id);
                }
                Ok(())
            }
        }
    }
}

impl World {
    /// A message with two rows, none of them over.
    pub(super) fn open_row(&self) -> Option<QueueId> {
        let two = |message: &&Entered| message.rows.len() == 2 && message.rows.iter().all(|row| !row.state.is_over());
        self.acknowledged.queue.messages.values().find(two)?.id
    }

    /// Notes what is written to the queue's packs.
    pub(super) fn asked(&mut self, op: &DiskOp) {
        if let DiskOp::Write { path, offset, parts } = op
            && path.0.starts_with(&layout::packs(QUEUE).0)
        {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            self.frames.push((path.clone(), *offset..offset + len as u64));
        }
    }

    /// What is released without having been written must have ended.
    pub(super) fn released(&mut self, account: AccountId, pack: u32, offset: u64) -> Result<(), String> {
        let path = layout::pack(account, pack);
        let written = self
            .frames
            .iter()
            .any(|(file, range)| *file == path && range.contains(&offset));
        if account != QUEUE || written {
            return Ok(());
        }
        self.counters.frames_spared += 1;
        let here = |message: &&QueuedMessage| match message.location {
            Location::Pack { pack: of, offset: at } | Location::Big { pack: of, offset: at } => of == pack && at == offset,
        };
        match self.mirror.open.values().find(here) {
            Some(message) => Err(format!("{:?} is open, but its frame was never written", message.id)),
            None => Ok(()),
        }
    }

    /// What the store shows of the queue; the events have told the same.
    pub(super) fn real_queue(&mut self) -> Result<QueueModel, String> {
        let listed = match self.ask(Request::Queue)? {
            Reply::Queue(listed) => listed,
            other => return Err(format!("Queue is answered {other:?}")),
        };
        if !listed.iter().map(|message| &**message).eq(self.mirror.open.values()) {
            return Err("the queue's events do not add up to the queue".into());
        }
        let mut real = QueueModel::default();
        for message in listed {
            let row = message.row();
            if row.crc != frame::checksum(&message.entered.prefix, message.body_crc) || row.location != message.location {
                return Err("a queued message's row is another".into());
            }
            let entered = Entered {
                id: Some(message.id),
                entered: (*message.entered).clone(),
                email_id: message.email_id,
                rows: message.rows.clone(),
                content: self.content(QUEUE, &row)?,
            };
            if real.messages.insert(key(&message.entered), entered).is_some() {
                return Err("a message is queued twice".into());
            }
        }
        Ok(real)
    }

    /// At any time: the queue is exactly what has been acknowledged.
    pub(super) fn look_at_queue(&mut self) -> Result<(), String> {
        let real = self.real_queue()?;
        let must = self.acknowledged.queue.visible();
        if must == real {
            return self.acknowledged.queue.promises();
        }
        Err(format!("the queue is shown in another state: {:?}", must.difference(&real)))
    }

    /// The store named these, in the order of the request; no id is ever given twice.
    pub(super) fn named(&mut self, queued: &[Enqueue], ids: &[QueueId]) -> Result<(), String> {
        for (entered, id) in queued.iter().zip(ids) {
            if !self.ids.insert(*id) {
                return Err(format!("{id:?} was given twice"));
            }
            for model in [&mut self.acknowledged, &mut self.pending] {
                if let Some(message) = model.queue.messages.get_mut(&key(entered)) {
                    message.id = Some(*id);
                }
            }
        }
        Ok(())
    }

    /// R9, at rest behind a checkpoint of everything: a pack before the last has an open message, and so has every large body.
    pub(super) fn check_queue_space(&mut self) -> Result<(), String> {
        let open = self.real_queue()?;
        let Reply::Queue(listed) = self.ask(Request::Queue)? else {
            return Err("Queue is not answered".into());
        };
        let needed: BTreeSet<u32> = listed
            .iter()
            .map(|message| match message.location {
                Location::Pack { pack, .. } | Location::Big { pack, .. } => pack,
            })
            .collect();
        let bigs: BTreeSet<String> = open
            .messages
            .values()
            .map(|message| layout::big(QUEUE, message.email_id).0)
            .collect();
        let directory = layout::packs(QUEUE).0;
        let paths = self.disk.paths();
        let on_disk = paths.iter().filter_map(|path| {
            let name = path.0.strip_prefix(&directory)?.strip_prefix('/')?;
            name.strip_suffix(".pack")?.parse().ok()
        });
        let packs: BTreeSet<u32> = on_disk.collect();
        let last = packs.last().copied();
        for pack in packs {
            if Some(pack) != last && !needed.contains(&pack) {
                return Err(format!("pack {pack} of the queue holds nothing, and is still there"));
            }
        }
        let large = format!("{}/", layout::bigs(QUEUE));
        let left = paths
            .iter()
            .find(|path| path.0.starts_with(&large) && !bigs.contains(&path.0));
        self.counters.space_checks += 1;
        match left {
            Some(path) => Err(format!("{path} belongs to no message, and is still there")),
            None => Ok(()),
        }
    }
}
