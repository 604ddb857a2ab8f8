//! What a run met; a test that never got there proves nothing.

/// What has been seen: asserted at the end of a run, so that nobody believes in a test that tests nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Counters {
    pub(in super::super) seeds: u64,
    pub(in super::super) acknowledged: u64,
    pub(in super::super) power_losses: u64,
    pub(in super::super) kills: u64,
    /// A ring write was performed, its sync was not.
    pub(in super::super) between_write_and_sync: u64,
    /// A ring sync was performed, no reply had left.
    pub(in super::super) between_sync_and_reply: u64,
    pub(in super::super) in_recovery: u64,
    pub(in super::super) in_checkpoint: u64,
    /// Recoveries that found whole records of a torn batch.
    pub(in super::super) torn: u64,
    /// Recoveries that kept requests which had not been acknowledged, or only some of them.
    pub(in super::super) unacknowledged_kept: u64,
    pub(in super::super) replayed: u64,
    pub(in super::super) laps: u64,
    pub(in super::super) checkpoints: u64,
    pub(in super::super) clean_stops: u64,
    pub(in super::super) compactions: u64,
    pub(in super::super) packs: u64,
    pub(in super::super) refused: u64,
    pub(in super::super) stops: u64,
    pub(in super::super) queued: u64,
    pub(in super::super) queued_alone: u64,
    pub(in super::super) queued_with_copies: u64,
    pub(in super::super) queued_big: u64,
    pub(in super::super) row_changes: u64,
    pub(in super::super) reports: u64,
    pub(in super::super) queue_unacknowledged: u64,
    pub(in super::super) packs_removed: u64,
    pub(in super::super) bigs_removed: u64,
    pub(in super::super) frames_spared: u64,
    pub(in super::super) space_checks: u64,
}

impl Counters {
    pub(in super::super) fn add(&mut self, other: &Counters) {
        let Counters {
            seeds,
            acknowledged,
            power_losses,
            kills,
            between_write_and_sync,
            between_sync_and_reply,
            in_recovery,
            in_checkpoint,
            torn,
            unacknowledged_kept,
            replayed,
            laps,
            checkpoints,
            clean_stops,
            compactions,
            packs,
            refused,
            stops,
            queued,
            queued_alone,
            queued_with_copies,
            queued_big,
            row_changes,
            reports,
            queue_unacknowledged,
            packs_removed,
            bigs_removed,
            frames_spared,
            space_checks,
        } = other;
        self.seeds += seeds;
        self.acknowledged += acknowledged;
        self.power_losses += power_losses;
        self.kills += kills;
        self.between_write_and_sync += between_write_and_sync;
        self.between_sync_and_reply += between_sync_and_reply;
        self.in_recovery += in_recovery;
        self.in_checkpoint += in_checkpoint;
        self.torn += torn;
        self.unacknowledged_kept += unacknowledged_kept;
        self.replayed += replayed;
        self.laps += laps;
        self.checkpoints += checkpoints;
        self.clean_stops += clean_stops;
        self.compactions += compactions;
        self.packs += packs;
        self.refused += refused;
        self.stops += stops;
        self.queued += queued;
        self.queued_alone += queued_alone;
        self.queued_with_copies += queued_with_copies;
        self.queued_big += queued_big;
        self.row_changes += row_changes;
        self.reports += reports;
        self.queue_unacknowledged += queue_unacknowledged;
        self.packs_removed += packs_removed;
        self.bigs_removed += bigs_removed;
        self.frames_spared += frames_spared;
        self.space_checks += space_checks;
    }
}
