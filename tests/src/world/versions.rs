//! What the store said of a mailbox's MODSEQ (R3).

use std::collections::BTreeMap;

use pillarbox_core::store::version::Version;
use pillarbox_core::store::{Flags, KeywordBits, ModSeq, Uid};

use super::house::Life;

/// A mailbox as it was published last.
#[derive(Default)]
pub struct Seen {
    /// Which life said so, and its newest record then.
    life: Option<Life>,
    lsn: u64,
    highest: u64,
    rows: BTreeMap<Uid, (Flags, KeywordBits, ModSeq)>,
}

impl Seen {
    /// Compares with what is published now, and takes it in.
    ///
    /// # Errors
    /// R3 is broken.
    pub fn compare(&mut self, life: &Life, now: &Version) -> Result<(), String> {
        let same = self.life.as_ref().is_some_and(|known| known.is(life));
        if same && now.lsn.0 <= self.lsn {
            return Ok(()); // nothing new; or two asked, and the second was answered first
        }
        self.life = Some(life.clone());
        self.lsn = now.lsn.0;
        let highest = now.highest_mod_seq.0;
        if highest < self.highest {
            return Err(format!("R3: HIGHESTMODSEQ was {}, and is {highest}", self.highest));
        }
        let rows: BTreeMap<Uid, (Flags, KeywordBits, ModSeq)> = now
            .rows()
            .map(|row| (row.uid, (row.flags, row.keywords, row.mod_seq)))
            .collect();
        for (uid, (flags, keywords, mod_seq)) in &rows {
            let uid = uid.0;
            if mod_seq.0 > highest {
                return Err(format!(
                    "R3: UID {uid} has MODSEQ {}, and HIGHESTMODSEQ is {highest}",
                    mod_seq.0
                ));
            }
            match self.rows.get(&Uid(uid)) {
                Some((old_flags, old_keywords, old)) => {
                    let changed = flags != old_flags || keywords != old_keywords;
                    if mod_seq < old || changed && mod_seq == old {
                        return Err(format!(
                            "R3: UID {uid} had MODSEQ {}, and has {}; its flags {}",
                            old.0,
                            mod_seq.0,
                            if changed { "changed" } else { "are the same" }
                        ));
                    }
                    if changed && mod_seq.0 <= self.highest {
                        return Err(format!(
                            "R3: flags of UID {uid} changed with MODSEQ {}, and HIGHESTMODSEQ was {}",
                            mod_seq.0, self.highest
                        ));
                    }
                }
                None if mod_seq.0 <= self.highest => {
                    return Err(format!(
                        "R3: UID {uid} came with MODSEQ {}, and HIGHESTMODSEQ was {}",
                        mod_seq.0, self.highest
                    ));
                }
                None => {}
            }
        }
        let gone = self.rows.keys().any(|uid| !rows.contains_key(uid));
        if gone && highest == self.highest {
            return Err(format!("R3: messages are gone, and HIGHESTMODSEQ is {highest} still"));
        }
        self.highest = highest;
        self.rows = rows;
        Ok(())
    }
}
