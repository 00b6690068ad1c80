//! Runs of records in flight, of a shard whose effects need no ledger: desk logs and helpdesk events.
//!
//! Owns the watermark, the tickets and why the shard stopped. May not send: the shard does, and hands the ticket
//! over. Called by `shard::desk` and `shard::intake`.

use super::Stop;
#[cfg(test)]
use super::planted::{self, Planted};
use crate::clock::Stopwatch;
use crate::counters::{Histogram, STAGE_BOUNDS_US};
use crate::log::{Commit, Failure, LogError, Records, Ticket};
use crate::offsets::{RunId, Watermark};
use std::collections::VecDeque;
use std::sync::Arc;

/// What one shard has in flight.
pub struct Runs {
    watermark: Watermark,
    committed: i64,
    runs: VecDeque<Run>,
    stop: Option<Stop>,
    /// How long runs took until the broker had acknowledged what follows from them, in microseconds.
    pub took: Histogram,
}

struct Run {
    id: RunId,
    records: u64,
    bytes: usize,
    ticket: Arc<Ticket>,
    since: Stopwatch,
}

impl Runs {
    /// Nothing in flight; reading goes on at `committed`.
    #[must_use]
    pub fn new(committed: i64) -> Runs {
        Runs {
            watermark: Watermark::new(committed),
            committed,
            runs: VecDeque::new(),
            stop: None,
            took: Histogram::default(),
        }
    }

    /// The effects of `records` are on their way, counted by `ticket`.
    ///
    /// # Panics
    /// When there are no records.
    pub fn open(&mut self, records: &Records, ticket: &Arc<Ticket>) {
        let (first, last) = records.span().expect("invariant: a run holds records");
        let id = self.watermark.open(first, last + 1);
        let ticket = ticket.clone();
        let (records, bytes) = (records.len() as u64, records.bytes());
        self.runs.push_back(Run { id, records, bytes, ticket, since: Stopwatch::start() });
    }

    /// A send was refused at once: the run that `ticket` stands for has failed, whatever else of it succeeds.
    pub fn refused(&mut self, ticket: &Ticket, topic: &str, error: &LogError) {
        #[cfg(test)]
        if planted::is(Planted::RefusalForgotten) {
            return;
        }
        ticket.refuse(Failure { topic: topic.to_owned(), why: error.to_string() });
        self.stop_for(Stop::refused(topic, error));
    }

    /// The shard takes nothing more, for this reason if it is the first.
    pub fn stop_for(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
    }

    /// Takes in what the broker has answered.
    pub fn advance(&mut self) {
        let mut kept = VecDeque::with_capacity(self.runs.len());
        for run in std::mem::take(&mut self.runs) {
            if !run.ticket.is_settled() {
                kept.push_back(run);
            } else if let Some(failure) = run.ticket.failure() {
                self.stop_for(Stop::Undelivered { topic: failure.topic.clone(), why: failure.why.clone() });
                kept.push_back(run);
            } else {
                self.watermark.settle(run.id);
                self.took.record(&STAGE_BOUNDS_US, run.since.elapsed_us(), 1);
            }
        }
        self.runs = kept;
    }

    /// Why the shard has stopped, once nothing that it sent is unanswered, and what succeeded is settled.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stop> {
        let failed = |run: &Run| run.ticket.is_settled() && run.ticket.failure().is_some();
        self.stop.as_ref().filter(|_| self.runs.iter().all(failed))
    }

    /// Whether the shard takes no more records.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether all that it took is settled.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes held for records in flight.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.bytes).sum()
    }

    /// Records taken and not settled.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.runs.iter().map(|run| run.records).sum()
    }

    /// What may be committed now, if that is more than what is.
    #[must_use]
    pub fn commit(&self) -> Option<Commit> {
        let offset = self.watermark.settled();
        #[cfg(test)]
        let offset = if planted::is(Planted::CommitPastGap) { self.watermark.next() } else { offset };
        (offset > self.committed).then(|| Commit { offset, metadata: String::new() })
    }

    /// The broker has acknowledged the commit of `offset`.
    ///
    /// # Panics
    /// When `offset` is below the one before.
    pub fn committed(&mut self, offset: i64) {
        assert!(offset >= self.committed, "a committed offset never goes back");
        self.committed = offset;
    }

    /// The committed offset, as the broker has acknowledged it.
    #[must_use]
    pub fn committed_offset(&self) -> i64 {
        self.committed
    }
}
