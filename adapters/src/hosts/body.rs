//! Reads messages: runs of body ranges for FETCH, and digests of those that the cache does not have.
//!
//! A small message is read whole and its checksum compared before its first octet leaves (promise R10). A large one is compared
//! as it passes, when all of it is asked for: the last piece is held back if it does not fit.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use pillarbox_core::bytes::crc::{Crc32c, crc32c};
use pillarbox_core::imap::server::ask::BodyRange;
use pillarbox_core::limits;
use pillarbox_core::machine::BodyError;
use pillarbox_core::message::digest::Digest;
use pillarbox_core::message::mime::Walker;
use pillarbox_core::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};
use pillarbox_core::store::frame::checksum;
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{AccountId, Location, layout};

use super::Boxed;
use super::store::Store;
use crate::env::{Disk, Env};

/// Bodies up to this size are digested on the spot; larger ones leave the executor's thread.
const DIGEST_HERE: usize = 32 * 1024;

/// An open run of body ranges.
pub struct BodyRun<E: Env> {
    chunk: Vec<u8>,
    state: RunState<E>,
}

/// Between two chunks the reader is here; while one is read, it is in the future.
enum RunState<E: Env> {
    Idle(Reader<E>),
    Reading(Boxed<(Reader<E>, Vec<u8>, Result<(), BodyError>)>),
    Done,
}

impl<E: Env> BodyRun<E> {
    /// A run of these ranges.
    pub fn new(store: Store<E>, account: AccountId, parts: Vec<BodyRange>) -> BodyRun<E> {
        let reader = Reader {
            store,
            account,
            parts: parts.into(),
            loaded: None,
            crc: None,
        };
        BodyRun {
            chunk: Vec::new(),
            state: RunState::Idle(reader),
        }
    }

    /// Reads the next chunk.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if let RunState::Idle(_) = self.state
            && let RunState::Idle(mut reader) = std::mem::replace(&mut self.state, RunState::Done)
        {
            let mut chunk = std::mem::take(&mut self.chunk);
            self.state = RunState::Reading(Box::pin(async move {
                chunk.clear();
                let outcome = reader.fill(&mut chunk).await;
                (reader, chunk, outcome)
            }));
        }
        let RunState::Reading(reading) = &mut self.state else {
            return Poll::Ready(Err(BodyError::Missing));
        };
        let (reader, chunk, outcome) = std::task::ready!(reading.as_mut().poll(cx));
        self.state = match (outcome, reader.parts.is_empty()) {
            (Ok(()), false) => RunState::Idle(reader),
            (Ok(()), true) | (Err(_), _) => RunState::Done,
        };
        self.chunk = chunk;
        Poll::Ready(outcome)
    }

    /// The chunk read last.
    pub fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// Whether all has been read.
    pub fn is_done(&self) -> bool {
        matches!(self.state, RunState::Done)
    }
}

struct Reader<E: Env> {
    store: Store<E>,
    account: AccountId,
    parts: VecDeque<BodyRange>,
    /// The small message read last: neighbouring ranges are often of one message.
    loaded: Option<(Row, Arc<[u8]>)>,
    /// The checksum of the large body that is being passed whole, and that of its prefix.
    crc: Option<(Crc32c, u32)>,
}

impl<E: Env> Reader<E> {
    /// Reads at least one octet, unless all ranges are empty. What was read before an error comes first.
    async fn fill(&mut self, chunk: &mut Vec<u8>) -> Result<(), BodyError> {
        while chunk.len() < limits::BODY_CHUNK {
            let Some(part) = self.parts.front().copied() else { break };
            if part.len == 0 {
                self.parts.pop_front();
                continue;
            }
            let read = match part.row.location {
                Location::Pack { .. } => self.small(part, chunk).await,
                Location::Big { .. } => self.large(part, chunk).await,
            };
            match read {
                Ok(()) if self.store.env.buggify("a short chunk of bodies") => break,
                Ok(()) => {}
                Err(_) if !chunk.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn small(&mut self, part: BodyRange, chunk: &mut Vec<u8>) -> Result<(), BodyError> {
        let same = |row: &Row| row.location == part.row.location && row.uid == part.row.uid;
        let message = match &self.loaded {
            Some((row, message)) if same(row) => message.clone(),
            Some(_) | None => {
                let message: Arc<[u8]> = load(&self.store, self.account, &part.row).await?.into();
                self.loaded = Some((part.row, message.clone()));
                message
            }
        };
        let end = part.start.saturating_add(part.len).min(message.len() as u64) as usize;
        chunk.extend_from_slice(message.get(part.start as usize..end).ok_or(BodyError::Corrupt)?);
        self.parts.pop_front();
        Ok(())
    }

    /// One piece of a large message: of its prefix, or of its body's file.
    async fn large(&mut self, part: BodyRange, chunk: &mut Vec<u8>) -> Result<(), BodyError> {
        let row = &part.row;
        let prefix = u64::from(row.prefix);
        let piece = if part.start < prefix {
            let bytes = load_prefix(&self.store, self.account, row).await?;
            let end = (part.start + part.len).min(prefix) as usize;
            bytes.get(part.start as usize..end).ok_or(BodyError::Corrupt)?.to_vec()
        } else {
            let most = match self.store.env.buggify("a small piece of a large body") {
                true => 700,
                false => limits::BODY_PIECE as u64,
            };
            let len = part.len.min(most) as usize;
            let path = layout::big(self.account, row.email_id);
            let bytes = read_exactly(&self.store, path, part.start - prefix, len).await?;
            if part.start == prefix {
                let before = load_prefix(&self.store, self.account, row).await?;
                self.crc = Some((Crc32c::new(), crc32c(&before)));
            }
            self.check(&part, &bytes)?;
            bytes
        };
        chunk.extend_from_slice(&piece);
        let octets = piece.len() as u64;
        match self.parts.front_mut() {
            Some(front) if front.len > octets => {
                front.start += octets;
                front.len -= octets;
            }
            Some(_) | None => {
                self.parts.pop_front();
            }
        }
        Ok(())
    }

    /// Follows the checksum of a large body from its first octet to its last.
    fn check(&mut self, part: &BodyRange, bytes: &[u8]) -> Result<(), BodyError> {
        let row = &part.row;
        let Some((mut crc, before)) = self.crc.take() else {
            return Ok(());
        };
        crc.update(bytes);
        if part.start + bytes.len() as u64 == u64::from(row.size) {
            return if crc.finish() ^ before == row.crc {
                Ok(())
            } else {
                Err(BodyError::Corrupt)
            };
        }
        self.crc = Some((crc, before));
        if bytes.len() as u64 == part.len {
            self.crc = None; // the range ends inside the body
        }
        Ok(())
    }
}

/// A small message, whole: prefix and body. Its checksum fits.
pub(super) async fn load<E: Env>(store: &Store<E>, account: AccountId, row: &Row) -> Result<Vec<u8>, BodyError> {
    let (Location::Pack { pack, offset } | Location::Big { pack, offset }) = row.location;
    let message = match store.held(account, pack, offset) {
        Some((prefix, body)) => [&prefix[..], &body[..]].concat(),
        None => read_exactly(store, layout::pack(account, pack), offset, row.size as usize).await?,
    };
    let (prefix, body) = message.split_at_checked(usize::from(row.prefix)).ok_or(BodyError::Corrupt)?;
    if message.len() != row.size as usize || checksum(prefix, crc32c(body)) != row.crc {
        return Err(BodyError::Corrupt);
    }
    Ok(message)
}

/// The prefix of a large message.
pub(super) async fn load_prefix<E: Env>(store: &Store<E>, account: AccountId, row: &Row) -> Result<Vec<u8>, BodyError> {
    if row.prefix == 0 {
        return Ok(Vec::new());
    }
    let (Location::Pack { pack, offset } | Location::Big { pack, offset }) = row.location;
    match store.held(account, pack, offset) {
        Some((prefix, _)) => Ok(prefix.to_vec()),
        None => read_exactly(store, layout::pack(account, pack), offset, usize::from(row.prefix)).await,
    }
}

/// Reads on this thread what is in memory, else by the pool.
pub(super) async fn read_exactly<E: Env>(
    store: &Store<E>,
    path: DiskPath,
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, BodyError> {
    let disk = store.env.disk();
    let mut bytes = vec![0; len];
    match disk.read_now(&path, offset, &mut bytes) {
        Some(Ok(read)) if read == len => return Ok(bytes),
        Some(Ok(_)) => return Err(BodyError::Corrupt),
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Err(BodyError::Missing),
        Some(Err(_)) | None => {}
    }
    match disk.perform(DiskOp::Read { path, offset, len }).await {
        Ok(DiskValue::Read(bytes)) if bytes.len() == len => Ok(bytes),
        Ok(_) => Err(BodyError::Corrupt),
        Err(DiskError::NotFound) => Err(BodyError::Missing),
        Err(_) => Err(BodyError::Unreadable),
    }
}

/// The digests of some messages, from the cache or from the messages; `None`: unreadable.
pub async fn digests<E: Env>(store: Store<E>, account: AccountId, rows: Vec<Row>) -> Vec<Option<Arc<Digest>>> {
    let mut digests = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (account, row.email_id);
        let known = store.digests.find(key);
        digests.push(match known {
            Some(digest) => Some(digest),
            None => {
                let digest = digest(&store, account, &row).await.ok().map(Arc::new);
                if let Some(digest) = &digest {
                    store.digests.insert(key, digest.clone());
                }
                digest
            }
        });
    }
    digests
}

/// One message's digest: of its body, without the prefix.
async fn digest<E: Env>(store: &Store<E>, account: AccountId, row: &Row) -> Result<Digest, BodyError> {
    match row.location {
        Location::Pack { .. } => {
            let message = load(store, account, row).await?;
            let prefix = usize::from(row.prefix);
            let of = move || {
                let mut walker = Walker::new();
                walker.update(&message[prefix..]);
                Digest::of(walker, (message.len() - prefix) as u64)
            };
            Ok(if row.size as usize <= DIGEST_HERE {
                of()
            } else {
                store.env.blocking(of).await
            })
        }
        Location::Big { .. } => large_digest(store, account, row).await,
    }
}

async fn large_digest<E: Env>(store: &Store<E>, account: AccountId, row: &Row) -> Result<Digest, BodyError> {
    let len = u64::from(row.size).saturating_sub(u64::from(row.prefix));
    let (mut walker, mut crc, mut offset) = (Walker::new(), Crc32c::new(), 0);
    while offset < len {
        let piece = (len - offset).min(limits::BODY_PIECE as u64) as usize;
        let bytes = read_exactly(store, layout::big(account, row.email_id), offset, piece).await?;
        offset += piece as u64;
        (walker, crc) = store
            .env
            .blocking(move || {
                walker.update(&bytes);
                crc.update(&bytes);
                (walker, crc)
            })
            .await;
    }
    if checksum(&load_prefix(store, account, row).await?, crc.finish()) != row.crc {
        return Err(BodyError::Corrupt);
    }
    Ok(Digest::of(walker, len))
}
