//! A ticket counts the records of one send that the broker has not answered yet.
//!
//! Owns one counter, settled by the delivery reports with one subtraction per run of records, and what the
//! answer said: the first offset, or why it failed. Made by shards, settled by producers' report threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Counts what is out. Settled when nothing is.
#[derive(Debug)]
pub struct Ticket {
    outstanding: AtomicU32,
    offset_first: AtomicI64,
    failure: OnceLock<Failure>,
}

/// Why the broker will never take a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The topic that refused.
    pub topic: String,
    /// What the broker said.
    pub why: String,
}

impl Default for Ticket {
    fn default() -> Ticket {
        Ticket::new()
    }
}

impl Ticket {
    /// A ticket with nothing out.
    #[must_use]
    pub fn new() -> Ticket {
        Ticket {
            outstanding: AtomicU32::new(0),
            offset_first: AtomicI64::new(i64::MAX),
            failure: OnceLock::new(),
        }
    }

    /// `records` more are out. Called by producers, before the client may answer.
    pub fn add(&self, records: u32) {
        self.outstanding.fetch_add(records, Ordering::Relaxed);
    }

    /// `records` were taken by the broker; the first of them at `offset_first`, when it said so.
    pub fn settle(&self, records: u32, offset_first: Option<i64>) {
        if let Some(offset) = offset_first {
            self.offset_first.fetch_min(offset, Ordering::Relaxed);
        }
        let before = self.outstanding.fetch_sub(records, Ordering::Release);
        assert!(before >= records, "invariant: more records answered than sent");
    }

    /// `records` will never be taken.
    pub fn fail(&self, records: u32, failure: Failure) {
        let _ = self.failure.set(failure);
        self.settle(records, None);
    }

    /// Some records were not even sent: whatever else succeeds, what the ticket stands for has not.
    pub fn refuse(&self, failure: Failure) {
        let _ = self.failure.set(failure);
    }

    /// Whether every record sent was answered, one way or the other.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) == 0
    }

    /// The first failure among the answers; look once the ticket is settled.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// The lowest offset the broker named; `None` when it named none.
    #[must_use]
    pub fn offset_first(&self) -> Option<i64> {
        Some(self.offset_first.load(Ordering::Acquire)).filter(|&offset| offset != i64::MAX)
    }
}
