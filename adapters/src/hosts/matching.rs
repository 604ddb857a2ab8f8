//! Reads messages for SEARCH and matches them, off the executor's threads: at most one core less than there are is searching, so
//! that a thread is left for everybody else. A search asks run after run, and each run waits for its turn.

use std::sync::Arc;

use pillarbox_core::bytes::crc::Crc32c;
use pillarbox_core::imap::search::{Candidate, Matcher, Program};
use pillarbox_core::limits;
use pillarbox_core::machine::BodyError;
use pillarbox_core::store::frame::checksum;
use pillarbox_core::store::{AccountId, Location, layout};

use super::Shared;
use super::body::{load, load_prefix, read_exactly};
use crate::env::Env;

/// Octets of small messages that go to the pool together: a hop costs as much as matching some of them.
const TOGETHER: usize = limits::BODY_PIECE;

/// Whether each message fits, in the order given; one that cannot be read does not.
pub async fn matching<E: Env>(
    shared: Arc<Shared<E>>,
    account: AccountId,
    program: Arc<Program>,
    candidates: Vec<Candidate>,
) -> Vec<bool> {
    if candidates.is_empty() {
        futures_lite::future::yield_now().await;
        return Vec::new();
    }
    // The pool's thread holds the turn too: a search that is given up does not hand it on before that is through.
    let turn = Arc::new(shared.searches.acquire_arc().await);
    let pool = Pool {
        shared: &shared,
        account,
        program,
        turn,
    };
    let mut fits = Vec::with_capacity(candidates.len());
    let (mut together, mut octets) = (Vec::new(), 0);
    for candidate in candidates {
        let small = match candidate.row.location {
            Location::Pack { .. } => load(&shared.store, account, &candidate.row).await,
            Location::Big { .. } => {
                pool.small(std::mem::take(&mut together), &mut fits).await;
                octets = 0;
                let fit = pool.large(candidate).await;
                fits.push(fit.unwrap_or_else(|error| unreadable(&candidate, error)));
                continue;
            }
        };
        octets += small.as_ref().map_or(0, Vec::len);
        together.push((candidate, small));
        if octets >= TOGETHER {
            pool.small(std::mem::take(&mut together), &mut fits).await;
            octets = 0;
        }
    }
    pool.small(together, &mut fits).await;
    fits
}

fn unreadable(candidate: &Candidate, error: BodyError) -> bool {
    tracing::warn!(uid = candidate.row.uid.0, ?error, "a message cannot be read to be searched");
    false
}

struct Pool<'a, E: Env> {
    shared: &'a Arc<Shared<E>>,
    account: AccountId,
    program: Arc<Program>,
    turn: Arc<async_lock::SemaphoreGuardArc>,
}

impl<E: Env> Pool<'_, E> {
    /// Matches messages that are in memory.
    async fn small(&self, messages: Vec<(Candidate, Result<Vec<u8>, BodyError>)>, fits: &mut Vec<bool>) {
        if messages.is_empty() {
            return;
        }
        let (program, turn) = (self.program.clone(), self.turn.clone());
        let matched = self.shared.env.blocking(move || {
            let _turn = turn;
            let fit = |(candidate, message): (Candidate, Result<Vec<u8>, BodyError>)| {
                let message = message.map_err(|error| unreadable(&candidate, error));
                message.is_ok_and(|message| {
                    let mut matcher = Matcher::new(program.clone(), candidate);
                    matcher.update(&message);
                    matcher.finish()
                })
            };
            messages.into_iter().map(fit).collect::<Vec<bool>>()
        });
        fits.extend(matched.await);
    }

    /// Matches a message piece by piece, as far as it takes.
    async fn large(&self, candidate: Candidate) -> Result<bool, BodyError> {
        let Candidate { row, .. } = candidate;
        let store = &self.shared.store;
        let mut matcher = Matcher::new(self.program.clone(), candidate);
        let prefix = load_prefix(store, self.account, &row).await?;
        if !prefix.is_empty() {
            matcher.update(&prefix);
        }
        let len = u64::from(row.size).saturating_sub(u64::from(row.prefix));
        let (mut crc, mut offset) = (Crc32c::new(), 0);
        while offset < len && matcher.verdict().is_none() {
            let piece = (len - offset).min(limits::BODY_PIECE as u64) as usize;
            let octets = read_exactly(store, layout::big(self.account, row.email_id), offset, piece).await?;
            offset += piece as u64;
            let turn = self.turn.clone();
            let work = move || {
                let _turn = turn;
                crc.update(&octets);
                matcher.update(&octets);
                (matcher, crc)
            };
            (matcher, crc) = self.shared.env.blocking(work).await;
        }
        if offset == len && checksum(&prefix, crc.finish()) != row.crc {
            return Err(BodyError::Corrupt);
        }
        Ok(matcher.finish())
    }
}
