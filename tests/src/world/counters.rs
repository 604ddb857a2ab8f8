//! What worlds met. A world that never got there proves nothing.

use std::collections::BTreeMap;

/// What was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Worlds.
    pub seeds: u64,
    /// Events of their simulations.
    pub events: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// Messages that were begun.
    pub messages: u64,
    /// Of these, with a fault at a node that had to do with them, from then on.
    pub met_a_fault: u64,
    /// Of these, taken or perhaps taken.
    pub taken: u64,
    /// Of these, with a failure that was reported.
    pub reported: u64,
    /// Copies beyond the first, of which the sender could not know.
    pub copies: u64,
    /// Changes of mailboxes that were acknowledged.
    pub changes: u64,
    /// Changes that were refused.
    pub changes_refused: u64,
    /// Changes that ended unknown.
    pub changes_unknown: u64,
    /// Looks at accounts.
    pub looks: u64,
    /// Times that a session in IDLE was told of something.
    pub idle_told: u64,
    /// Times that a session found something new while the disk took its time for syncs, and the power was about to go.
    pub witnessed: u64,
    /// Recipients in queues that an operator held.
    pub held: u64,
    /// Messages that foreign servers took.
    pub foreign_taken: u64,
    /// Of these, without a word.
    pub foreign_forgotten: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Power losses, all.
    pub power_losses: u64,
    /// Of these, behind a disk request.
    pub at_request: u64,
    /// Between the write of a batch and its sync.
    pub between_write_and_sync: u64,
    /// Between the sync of a batch and its reply.
    pub between_sync_and_reply: u64,
    /// Before a start had recovered.
    pub in_recovery: u64,
    /// Writes that were torn.
    pub torn: u64,
    /// Disk requests that failed with EIO.
    pub eio: u64,
    /// Processes that ended for it.
    pub fail_stops: u64,
    /// Writes for which the disk had no room.
    pub full: u64,
    /// Times that a disk was slow.
    pub slow_disks: u64,
    /// Cuts.
    pub cuts: u64,
    /// Connections that the network reset.
    pub resets: u64,
    /// Datagrams that were lost.
    pub lost: u64,
    /// Times that the network was slow.
    pub delays: u64,
    /// Messages that had rotted, and were not shown.
    pub rotten: u64,
    /// Jumps of a clock.
    pub clock_jumps: u64,
    /// Requests that a full queue refused.
    pub queue_full: u64,
    /// Questions that the DNS failed.
    pub dns_failures: u64,
    /// Rare branches taken, by name.
    pub buggified: BTreeMap<&'static str, u64>,
}

/// What at least must be met in 20 000 seeds.
const BOUNDS: u64 = 20_000;

impl Counters {
    /// Adds those of another world.
    pub fn add(&mut self, other: &Counters) {
        let names = other.rows().into_iter().map(|(_, count, _)| count);
        for (mine, more) in self.places().into_iter().zip(names) {
            *mine += more;
        }
        for (name, count) in &other.buggified {
            *self.buggified.entry(name).or_default() += count;
        }
    }

    /// Name, count, and what it must be at least in 20 000 seeds.
    fn rows(&self) -> Vec<(&'static str, u64, u64)> {
        vec![
            ("seeds", self.seeds, 0),
            ("events", self.events, 0),
            ("virtual seconds", self.seconds, 0),
            ("messages", self.messages, 0),
            ("messages that met a fault", self.met_a_fault, 0),
            ("messages taken", self.taken, 0),
            ("messages whose failure was reported", self.reported, 0),
            ("copies that nobody could avoid", self.copies, 0),
            ("changes of mailboxes", self.changes, 0),
            ("changes refused", self.changes_refused, 0),
            ("changes that ended unknown", self.changes_unknown, 2000),
            ("looks at accounts", self.looks, 0),
            ("news in IDLE", self.idle_told, 2000),
            ("news before a power loss in place of a sync", self.witnessed, 500),
            ("recipients held by an operator", self.held, 2000),
            ("messages taken by foreign servers", self.foreign_taken, 2000),
            ("messages taken without a word", self.foreign_forgotten, 2000),
            ("kills", self.kills, 2000),
            ("power losses", self.power_losses, 2000),
            ("power losses at a disk request", self.at_request, 2000),
            ("power losses between write and sync", self.between_write_and_sync, 500),
            ("power losses between sync and reply", self.between_sync_and_reply, 500),
            ("power losses in recovery", self.in_recovery, 500),
            ("torn writes", self.torn, 2000),
            ("EIO", self.eio, 2000),
            ("fail-stops", self.fail_stops, 500),
            ("ENOSPC", self.full, 2000),
            ("slow disks", self.slow_disks, 2000),
            ("cuts", self.cuts, 2000),
            ("resets", self.resets, 2000),
            ("datagrams lost", self.lost, 2000),
            ("slow networks", self.delays, 2000),
            ("messages that had rotted", self.rotten, 2000),
            ("clock jumps", self.clock_jumps, 2000),
            ("requests refused by a full queue", self.queue_full, 2000),
            ("questions that the DNS failed", self.dns_failures, 2000),
        ]
    }

    fn places(&mut self) -> [&mut u64; 36] {
        [
            &mut self.seeds,
            &mut self.events,
            &mut self.seconds,
            &mut self.messages,
            &mut self.met_a_fault,
            &mut self.taken,
            &mut self.reported,
            &mut self.copies,
            &mut self.changes,
            &mut self.changes_refused,
            &mut self.changes_unknown,
            &mut self.looks,
            &mut self.idle_told,
            &mut self.witnessed,
            &mut self.held,
            &mut self.foreign_taken,
            &mut self.foreign_forgotten,
            &mut self.kills,
            &mut self.power_losses,
            &mut self.at_request,
            &mut self.between_write_and_sync,
            &mut self.between_sync_and_reply,
            &mut self.in_recovery,
            &mut self.torn,
            &mut self.eio,
            &mut self.fail_stops,
            &mut self.full,
            &mut self.slow_disks,
            &mut self.cuts,
            &mut self.resets,
            &mut self.lost,
            &mut self.delays,
            &mut self.rotten,
            &mut self.clock_jumps,
            &mut self.queue_full,
            &mut self.dns_failures,
        ]
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (name, count, _) in self.rows() {
            text.push_str(&format!("{count:>14}  {name}\n"));
        }
        for (name, count) in &self.buggified {
            text.push_str(&format!("{count:>14}  rare branch: {name}\n"));
        }
        text
    }

    /// What is below its bound: bounds are in proportion to the seeds, and hold from a thousand seeds on.
    pub fn too_few(&self) -> Vec<String> {
        if self.seeds < 1000 {
            return Vec::new();
        }
        let rows = self.rows().into_iter();
        let few = rows.filter(|(_, count, least)| *count < least * self.seeds / BOUNDS);
        let mut few: Vec<String> = few
            .map(|(name, count, least)| format!("{name}: {count}, of {} at least", least * self.seeds / BOUNDS))
            .collect();
        let percent = |part: u64, least: u64, name: &str| {
            (part * 100 < least * self.messages).then(|| format!("{name}: {part} of {}, less than {least} %", self.messages))
        };
        few.extend(percent(self.met_a_fault, 60, "messages that met a fault"));
        few.extend(percent(self.reported, 5, "messages whose failure was reported"));
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_added_and_shown() {
        let mut one = Counters::default();
        for (number, place) in one.places().into_iter().enumerate() {
            *place = number as u64 + 1;
        }
        let shown: Vec<u64> = one.rows().into_iter().map(|(_, count, _)| count).collect();
        assert_eq!(shown, (1..=shown.len() as u64).collect::<Vec<_>>());
        let mut sum = one.clone();
        sum.add(&one);
        assert!(sum.rows().iter().zip(&shown).all(|((_, sum, _), one)| *sum == 2 * one));
    }
}
