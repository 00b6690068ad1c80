//! The path of a mention through the daemon, without a broker: scan, decide, ledger, desk log, settle.
//!
//! Owns a producer that answers at once, so that the product's own scan stage and triage shard run unchanged. What a
//! broker would add is not in here.

use crate::common::mentions::START;
use crate::common::policies::{self, STREAM, scan_settings};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::dedup::ExactWindow;
use triage_engine::triage::Triage;
use triaged::clock::SystemClock;
use triaged::log::{LogError, Outgoing, Producer, Records, Ticket, TopicPartition};
use triaged::policies::Compiled;
use triaged::shard::ledger_tail::LedgerTail;
use triaged::shard::triage::{TriageShard, TriageTopics};
use triaged::worker::{Scanned, Scanning};

/// Records of one batch at most, as the Kafka client hands them out.
pub const BATCH: usize = 2_048;

/// A producer whose broker has answered before `send` returns.
#[derive(Default)]
pub struct Sink {
    pub records: u64,
    pub bytes: u64,
    next: i64,
}

impl Producer for Sink {
    fn send(&mut self, _: &TopicPartition, records: &Outgoing, ticket: &Arc<Ticket>) -> Result<(), LogError> {
        let count = u32::try_from(records.len()).expect("a batch is short");
        self.records += u64::from(count);
        self.bytes += records.bytes() as u64;
        ticket.add(count);
        ticket.settle(count, Some(self.next));
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        true
    }

    fn health(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn flush(&mut self, _: Duration) -> bool {
        true
    }
}

/// The parts of a daemon that one partition needs.
pub struct Path {
    pub compiled: Arc<Compiled>,
    pub shard: TriageShard,
    pub ledger: Sink,
    pub effects: Sink,
    scanning: Scanning,
    topics: TriageTopics,
    pub input: TopicPartition,
}

impl Path {
    /// A partition that has seen nothing.
    pub fn new(compiled: Arc<Compiled>) -> Path {
        let input = TopicPartition::new("mentions", 0);
        let dedup = compiled.policy().dedup();
        let tail = LedgerTail::new(TopicPartition::new("ledger", 0), 0, dedup.window_ms);
        let engine = Triage::new(ExactWindow::new(dedup));
        let shard = TriageShard::new(
            input.clone(),
            STREAM,
            engine,
            0,
            std::collections::BTreeMap::new(),
            tail,
            std::collections::BTreeMap::new(),
        );
        Path {
            shard,
            compiled,
            ledger: Sink::default(),
            effects: Sink::default(),
            scanning: Scanning::new(&scan_settings()),
            topics: TriageTopics { desks: Arc::from("desks"), dead_letter: TopicPartition::new("dead", 0) },
            input,
        }
    }

    /// What a worker does with a batch.
    pub fn scan(&mut self, records: &Arc<Records>) -> Scanned {
        policies::scan(&mut self.scanning, records, &self.compiled)
    }

    /// Decides a scanned run and writes its ledger record.
    pub fn accept(&mut self, scanned: Scanned) {
        self.shard.accept(scanned, 0, START.plus(3_600_000_000), &mut self.ledger);
        self.ledger.next += 1;
    }

    /// Produces the effects of what the ledger has confirmed, and settles it.
    pub fn advance(&mut self) {
        self.shard.advance(&self.topics, &SystemClock::new(), &mut self.effects);
        if let Some(commit) = self.shard.commit() {
            self.shard.committed(&commit);
        }
        assert!(self.shard.is_drained(), "everything is answered at once: {:?}", self.shard.stopped());
    }

    /// The whole of it for every batch.
    pub fn run(&mut self, batches: &[Arc<Records>]) {
        for records in batches {
            let scanned = self.scan(records);
            self.accept(scanned);
            self.advance();
        }
    }

    /// The offset after the last record that went through.
    pub fn next_offset(&self) -> i64 {
        self.shard.committed_offset()
    }
}
