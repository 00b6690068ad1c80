//! What a triage shard counts.
//!
//! Owns plain numbers, added up by the lane when a shard goes. May not know what they are shown as: that is `admin`.

use triage_engine::model::{DeadLetterReason, Disposition};

/// What a shard counts, added up by its lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriageCounts {
    /// Records handed out by the log.
    pub received: u64,
    /// Records settled, by the disposition's code.
    pub settled: [u64; Disposition::ALL.len() + 1],
    /// Records brought back and settled again, by the disposition's code.
    pub released: [u64; Disposition::ALL.len() + 1],
    /// Dead letters settled, by the reason's code.
    pub dead: [u64; DeadLetterReason::ALL.len() + 1],
    /// Ledger records confirmed.
    pub ledger_records: u64,
    /// Records whose ledger entry was obeyed instead of deciding anew.
    pub obeyed: u64,
}

impl TriageCounts {
    /// Adds what another shard counted.
    pub fn add(&mut self, other: &TriageCounts) {
        self.received += other.received;
        self.ledger_records += other.ledger_records;
        self.obeyed += other.obeyed;
        self.settled.iter_mut().zip(other.settled).for_each(|(mine, theirs)| *mine += theirs);
        self.released.iter_mut().zip(other.released).for_each(|(mine, theirs)| *mine += theirs);
        self.dead.iter_mut().zip(other.dead).for_each(|(mine, theirs)| *mine += theirs);
    }
}
