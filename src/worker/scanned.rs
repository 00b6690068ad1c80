//! A run of records after the stateless stages: what each is, and the bytes its effect would need.
//!
//! Owns the hand-over between workers and the triage shard. Nothing in it depends on more than each record and
//! the policy it was scanned under. Filled by `worker`, consumed by `shard::triage`.

use crate::log::TopicPartition;
use crate::policies::Compiled;
use std::ops::Range;
use std::sync::Arc;
use triage_engine::model::Millis;
use triage_engine::triage::Verdict;

/// Consecutive records of one input partition, scanned under one policy.
#[derive(Debug)]
pub struct Scanned {
    /// Which partition.
    pub partition: TopicPartition,
    /// The policy under which they were scanned.
    pub policy: Arc<Compiled>,
    /// One for each record, offsets ascending.
    pub records: Vec<ScannedRecord>,
    /// The bodies that `ScannedRecord::body` points into.
    pub bodies: Vec<u8>,
    /// What the run weighs against the buffer limit, in bytes.
    pub bytes: usize,
}

/// One record after the stateless stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedRecord {
    /// Its offset.
    pub offset: i64,
    /// Its time stamp as the log has it.
    pub timestamp: Millis,
    /// What was found.
    pub verdict: Verdict,
    /// A desk-log event if it is a mention, whatever the rules ask for: a ledger entry may say `queued`;
    /// the dead letter's record if it is dead; empty otherwise.
    pub body: Range<usize>,
}

impl Scanned {
    /// The body of the record at `index`.
    #[must_use]
    pub fn body(&self, index: usize) -> &[u8] {
        &self.bodies[self.records[index].body.clone()]
    }
}
