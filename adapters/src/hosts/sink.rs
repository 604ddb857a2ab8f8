//! A message that is coming in: in memory while it is small, then in a file below `tmp/`.
//!
//! A sink that is dropped leaves nothing. What it commits is either inline bytes, or a file that is already durable under its
//! final name in every account that gets it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::PoisonError;

use futures_lite::future;
use pillarbox_core::limits;
use pillarbox_core::message::intake::{Intake, Taken};
use pillarbox_core::message::recode::{Aim, Recoder, Survey};
use pillarbox_core::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};
use pillarbox_core::store::queue::{Enqueue, QUEUE};
use pillarbox_core::store::request::{Body, BodyBytes, Placement, Refused, Reply, Request};
use pillarbox_core::store::{AccountId, EmailId, layout};

use super::budget::Share;
use super::store::{Store, directories, random_spool};
use crate::env::{Disk, Env};

/// An open sink.
pub struct Sink<E: Env> {
    store: Store<E>,
    intake: Intake,
    memory: Vec<u8>,
    share: Share,
    file: Option<Spool<E>>,
    /// Octets in the file.
    written: u64,
    failed: Option<SinkError>,
}

/// Why a message could not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SinkError {
    Full,
    Failed,
}

impl From<DiskError> for SinkError {
    fn from(error: DiskError) -> SinkError {
        match error {
            DiskError::Full => SinkError::Full,
            DiskError::NotFound
            | DiskError::Exists
            | DiskError::Io
            | DiskError::TooManyFiles
            | DiskError::Denied
            | DiskError::Other(_) => SinkError::Failed,
        }
    }
}

/// A spool file; removed when dropped, since a committed one has other names by then.
struct Spool<E: Env> {
    env: E,
    path: DiskPath,
}

impl<E: Env> Drop for Spool<E> {
    fn drop(&mut self) {
        let (env, unlink) = (self.env.clone(), DiskOp::Unlink(self.path.clone()));
        self.env.spawn("spool removal", async move {
            // What stays is removed at the next start.
            let _ = env.disk().perform(unlink).await;
        });
    }
}

impl<E: Env> Sink<E> {
    /// An empty one.
    pub fn new(store: Store<E>) -> Sink<E> {
        Sink {
            share: store.budget.share(),
            store,
            intake: Intake::new(),
            memory: Vec::new(),
            file: None,
            written: 0,
            failed: None,
        }
    }

    /// Takes a part, under its own deadline; a failure is remembered until the commit.
    pub async fn write(&mut self, part: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.intake.update(part);
        let inline = self.file.is_none() && (self.memory.len() + part.len()) as u64 <= self.store.settings.inline_max();
        if inline && !self.store.env.buggify("no memory for a message") && self.share.grow(part.len()) {
            self.memory.extend_from_slice(part);
            return;
        }
        self.memory.extend_from_slice(part);
        if self.file.is_some() && self.memory.len() < limits::BODY_PIECE {
            return;
        }
        let (env, until) = (self.store.env.clone(), self.store.env.now().instant.after(limits::SINK_WRITE));
        let spilled = future::or(self.spill(), async {
            env.sleep_until(until).await;
            Err(SinkError::Failed)
        });
        if let Err(error) = spilled.await {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: SinkError) {
        self.failed = Some(error);
        self.memory = Vec::new();
        self.share.release();
        self.file = None;
    }

    /// Writes what is in memory to the file, which is made now if there is none.
    async fn spill(&mut self) -> Result<(), SinkError> {
        if self.file.is_none() {
            let env = self.store.env.clone();
            let path = random_spool(&env);
            self.file = Some(Spool { env, path });
        }
        let Some(file) = &self.file else { return Ok(()) };
        let piece = std::mem::take(&mut self.memory);
        let octets = piece.len() as u64;
        let write = DiskOp::Write {
            path: file.path.clone(),
            offset: self.written,
            parts: vec![piece.into()],
        };
        self.store.env.disk().perform(write).await?;
        self.written += octets;
        self.share.release();
        Ok(())
    }

    /// Whether it has a line that is too long for others (RFC 5321 §4.5.3.1.6).
    pub fn has_long_line(&self) -> bool {
        self.failed.is_none() && self.intake.has_long_line()
    }

    /// The message with its long lines encoded, in another sink; this one where there is nothing that can be.
    pub async fn with_short_lines(mut self) -> Sink<E> {
        match self.recode().await {
            Ok(Some(recoded)) => return recoded,
            Ok(None) => {}
            Err(error) => self.fail(error),
        }
        self
    }

    async fn recode(&self) -> Result<Option<Sink<E>>, SinkError> {
        let (mut survey, mut offset) = (Survey::new(), 0);
        while let Some(piece) = self.piece(offset).await? {
            survey.update(&piece);
            offset += piece.len() as u64;
        }
        let plan = survey.finish(Aim::ShortLines);
        if plan.is_empty() {
            return Ok(None);
        }
        let (mut recoder, mut recoded, mut offset) = (Recoder::new(plan), Sink::new(self.store.clone()), 0);
        while let Some(piece) = self.piece(offset).await? {
            let mut out = Vec::new();
            recoder.update(&piece, &mut out);
            recoded.write(&out).await;
            offset += piece.len() as u64;
        }
        let mut out = Vec::new();
        recoder.finish(&mut out);
        recoded.write(&out).await;
        Ok(Some(recoded))
    }

    /// What it holds from an octet on: of the file, or of the memory behind it; `None` at the end.
    async fn piece(&self, offset: u64) -> Result<Option<Cow<'_, [u8]>>, SinkError> {
        let Some(file) = self.file.as_ref().filter(|_| offset < self.written) else {
            let rest = usize::try_from(offset - self.written)
                .ok()
                .and_then(|at| self.memory.get(at..));
            let piece = rest.unwrap_or_default();
            let piece = &piece[..piece.len().min(limits::BODY_CHUNK)];
            return Ok((!piece.is_empty()).then_some(Cow::Borrowed(piece)));
        };
        let len = (self.written - offset).min(limits::BODY_PIECE as u64) as usize;
        let read = DiskOp::Read {
            path: file.path.clone(),
            offset,
            len,
        };
        match self.store.env.disk().perform(read).await? {
            DiskValue::Read(bytes) if bytes.len() == len => Ok(Some(Cow::Owned(bytes))),
            _ => Err(SinkError::Failed),
        }
    }

    /// Commits it to every placement and to the queue, all or none. Small messages are handed to the committer before this returns; what it
    /// returns must be run to its end for large ones.
    pub fn commit(
        self,
        placements: Vec<Placement>,
        mut queued: Vec<Enqueue>,
        origin: u64,
    ) -> impl Future<Output = Reply> + Send + 'static {
        let Sink {
            store,
            intake,
            memory,
            share,
            file,
            written,
            failed,
        } = self;
        let accounts: BTreeSet<AccountId> = placements.iter().map(|placement| placement.account).collect();
        let Taken {
            size,
            crc,
            hash,
            eight_bit,
            digest,
        } = intake.finish();
        // Of our users' mail, what it is counts, not what it was declared as: it is re-encoded where others need it.
        for one in queued.iter_mut().filter(|one| one.submitter.is_some()) {
            one.wishes.eight_bit = eight_bit;
        }
        let in_accounts = accounts.iter().map(|account| (*account, layout::email_id(*account, &hash)));
        let in_queue = queued.iter().map(|one| (QUEUE, layout::queued_id(&one.message, &hash)));
        let names = in_accounts.chain(in_queue).collect();
        if failed.is_none() {
            let digest = std::sync::Arc::new(digest);
            for account in &accounts {
                store
                    .digests
                    .insert((*account, layout::email_id(*account, &hash)), digest.clone());
            }
        }
        let place = move |bytes| Request::Place {
            body: Body {
                len: size,
                crc,
                hash,
                bytes,
            },
            placements,
            queued,
            changes: Vec::new(),
            origin,
        };
        let step = match (failed, file) {
            (Some(SinkError::Full), _) => Step::Refused(Refused::DiskFull),
            (Some(SinkError::Failed), _) => Step::Refused(Refused::Limit("the message could not be written".into())),
            (None, None) => Step::Submitted(store.submit(place(BodyBytes::Inline(memory.into())))),
            (None, Some(spool)) => Step::Large(
                Large {
                    store,
                    spool,
                    written,
                    rest: memory,
                    names,
                },
                place,
            ),
        };
        async move {
            let _share = share; // memory is given back when the committer has answered
            match step {
                Step::Refused(refused) => Reply::Refused(refused),
                Step::Submitted(reply) => reply.await,
                Step::Large(large, place) => match large.make_durable().await {
                    Ok(()) => large.store.submit(place(BodyBytes::Big)).await,
                    Err(SinkError::Full) => Reply::Refused(Refused::DiskFull),
                    Err(SinkError::Failed) => Reply::Refused(Refused::Limit("the message could not be written".into())),
                },
            }
        }
    }
}

enum Step<E: Env, R, P> {
    Refused(Refused),
    Submitted(R),
    Large(Large<E>, P),
}

/// A large message on its way to its final names.
struct Large<E: Env> {
    store: Store<E>,
    spool: Spool<E>,
    written: u64,
    rest: Vec<u8>,
    /// Whose it becomes, and under which id.
    names: BTreeSet<(AccountId, EmailId)>,
}

impl<E: Env> Large<E> {
    /// Content first, then its names, then the directories that hold the names.
    async fn make_durable(&self) -> Result<(), SinkError> {
        let disk = self.store.env.disk();
        let path = &self.spool.path;
        if !self.rest.is_empty() {
            let parts = vec![self.rest.as_slice().into()];
            disk.perform(DiskOp::Write {
                path: path.clone(),
                offset: self.written,
                parts,
            })
            .await?;
        }
        disk.perform(DiskOp::Sync(path.clone())).await?;
        for (account, email) in &self.names {
            let (account, email) = (*account, *email);
            let (directory, name) = (layout::big_directory(account, email), layout::big(account, email));
            disk.perform(DiskOp::MakeDir(directory.clone())).await?;
            match disk
                .perform(DiskOp::Link {
                    from: path.clone(),
                    to: name.clone(),
                })
                .await
            {
                // The same content is there already; it was complete before it got this name.
                Ok(DiskValue::Done) | Err(DiskError::Exists) => {}
                Ok(_) => return Err(SinkError::Failed),
                Err(error) => return Err(error.into()),
            }
            self.sync_above(&name).await?;
        }
        Ok(())
    }

    /// The name's own directory always; those above it once.
    async fn sync_above(&self, name: &DiskPath) -> Result<(), SinkError> {
        let disk = self.store.env.disk();
        let mut above = directories(name);
        let Some(own) = above.pop() else { return Ok(()) };
        if !self.is_durable(&own) {
            disk.perform(DiskOp::SyncDir(DiskPath::new(""))).await?;
            for directory in above {
                disk.perform(DiskOp::SyncDir(directory)).await?;
            }
        }
        disk.perform(DiskOp::SyncDir(own.clone())).await?;
        let mut durable = self.store.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= limits::DURABLE_DIRECTORIES {
            durable.clear();
        }
        durable.insert(own);
        Ok(())
    }

    fn is_durable(&self, directory: &DiskPath) -> bool {
        self.store
            .durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(directory)
    }
}
