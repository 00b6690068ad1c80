//! What lanes count: plain numbers, added to per batch, published as one copy.
//!
//! Owns the structs and the slot through which a lane hands a whole copy to whoever shows them, so that the numbers
//! of one scrape agree with each other (invariant I5). May call no metrics library: that is `admin/`. Written by
//! lanes, read by `admin/exporter`.

mod histogram;

pub use histogram::{BOUNDS, Histogram, LATENCY_BOUNDS_MS, STAGE_BOUNDS_US};

use std::sync::{Arc, Mutex, PoisonError};
use triage_engine::model::{DeadLetterReason, Disposition, EventDisposition};

/// Slots for a closed list whose numbers start at 1: index by `code()`.
const DISPOSITIONS: usize = Disposition::ALL.len() + 1;
const REASONS: usize = DeadLetterReason::ALL.len() + 1;
const EVENT_DISPOSITIONS: usize = EventDisposition::ALL.len() + 1;

/// Which kind of topic a record was read from; the configuration says its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Input {
    /// The firehose.
    Mentions,
    /// What agents and supervisors did.
    Helpdesk,
    /// The desk log.
    Desks,
    /// Requests and plan switches.
    Control,
}

impl Input {
    /// Every member, in order.
    pub const ALL: [Input; 4] = [Input::Mentions, Input::Helpdesk, Input::Desks, Input::Control];
}

/// What a mention handed to a desk did there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Opened a case.
    Opened,
    /// Reopened one that was resolved.
    Reopened,
    /// Joined its author's open case.
    Linked,
    /// Was in that case already.
    Copy,
}

impl Outcome {
    /// Every member, in order.
    pub const ALL: [Outcome; 4] = [Outcome::Opened, Outcome::Reopened, Outcome::Linked, Outcome::Copy];

    /// The name as users read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Opened => "opened",
            Outcome::Reopened => "reopened",
            Outcome::Linked => "linked",
            Outcome::Copy => "copy",
        }
    }
}

/// A stage of a run of records whose duration is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// From the hand-over to the workers until the lane takes the run up in its turn; the scan is part of it.
    Workers,
    /// Decoding and scanning.
    Scan,
    /// Deciding in log order, and writing the decisions out.
    Decide,
    /// Until the broker has acknowledged the ledger record.
    Ledger,
    /// Until the broker has acknowledged every effect.
    Effects,
    /// A run of the desk log: until the broker has acknowledged what follows from it.
    Desk,
}

impl Stage {
    /// Every member, in the order of the data path.
    pub const ALL: [Stage; 6] =
        [Stage::Workers, Stage::Scan, Stage::Decide, Stage::Ledger, Stage::Effects, Stage::Desk];

    /// The name as users read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Workers => "workers",
            Stage::Scan => "scan",
            Stage::Decide => "decide",
            Stage::Ledger => "ledger",
            Stage::Effects => "effects",
            Stage::Desk => "desk",
        }
    }
}

/// How long each stage took, in microseconds, by `Stage as usize`.
pub type Stages = [Histogram; Stage::ALL.len()];

/// Why a shard had to be rebuilt from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RestoreReason {
    /// Its partition came to this instance.
    Assigned,
    /// The ledger showed a second writer.
    Conflict,
    /// A topic did not take our records.
    Undelivered,
    /// Retention had overtaken its reader.
    Overtaken,
    /// Its state on disk was damaged and was set aside.
    Damaged,
}

impl RestoreReason {
    /// Every member, in order.
    pub const ALL: [RestoreReason; 5] = [
        RestoreReason::Assigned,
        RestoreReason::Conflict,
        RestoreReason::Undelivered,
        RestoreReason::Overtaken,
        RestoreReason::Damaged,
    ];

    /// The name as users read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RestoreReason::Assigned => "assigned",
            RestoreReason::Conflict => "conflict",
            RestoreReason::Undelivered => "undelivered",
            RestoreReason::Overtaken => "overtaken",
            RestoreReason::Damaged => "damaged",
        }
    }
}

/// What one lane counted since it started, and how much it holds. Never goes back, except what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records handed out by the broker, by `Input as usize`; for mentions also those found expired.
    pub input: [u64; Input::ALL.len()],
    /// Mentions settled, by `Disposition::code`.
    pub settled: [u64; DISPOSITIONS],
    /// Dead letters, by `DeadLetterReason::code`.
    pub dead_letters: [u64; REASONS],
    /// What mentions did on their desk, by `Outcome as usize`.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Helpdesk events, by `EventDisposition::code`.
    pub events: [u64; EVENT_DISPOSITIONS],
    /// Shards rebuilt, by `RestoreReason as usize`.
    pub restores: [u64; RestoreReason::ALL.len()],
    /// Ledger records that the broker acknowledged.
    pub ledger_records: u64,
    /// Ledger acknowledgements that showed another writer.
    pub ledger_conflicts: u64,
    /// Milliseconds in which the lane did not read because what it held was at its limit.
    pub backpressure_ms: u64,
    /// Ids that left the dedup window early because the table was full.
    pub dedup_forced_evictions: u64,
    /// Snapshots published.
    pub snapshot_writes: u64,
    /// Snapshots that could not be published.
    pub snapshot_failures: u64,
    /// From the records' time stamps until they were settled, in milliseconds; counts are mentions.
    pub latency: Histogram,
    /// How long stages took; counts are runs of records.
    pub stages: Stages,
    /// Held now: mentions read and not settled.
    pub inflight_records: u64,
    /// Held now: bytes of mentions read and not settled.
    pub buffer_bytes: u64,
    /// Held now: partitions that are not read because an operator said so.
    pub paused_partitions: u64,
    /// Mentions brought back and settled again, by `Disposition::code`.
    pub released: [u64; DISPOSITIONS],
    /// Held now: ids in the dedup windows.
    pub dedup_live_ids: u64,
}

impl Counters {
    /// Counts one mention settled with `disposition`.
    pub fn settle(&mut self, disposition: Disposition, records: u64) {
        self.settled[usize::from(disposition.code())] += records;
    }

    /// Counts one dead letter.
    pub fn dead_letter(&mut self, reason: DeadLetterReason) {
        self.dead_letters[usize::from(reason.code())] += 1;
    }

    /// Counts one helpdesk event.
    pub fn event(&mut self, disposition: EventDisposition) {
        self.events[usize::from(disposition.code())] += 1;
    }

    /// Adds another lane's numbers.
    pub fn add(&mut self, other: &Counters) {
        add_each(&mut self.input, &other.input);
        add_each(&mut self.settled, &other.settled);
        add_each(&mut self.dead_letters, &other.dead_letters);
        add_each(&mut self.released, &other.released);
        self.paused_partitions += other.paused_partitions;
        add_each(&mut self.outcomes, &other.outcomes);
        add_each(&mut self.events, &other.events);
        add_each(&mut self.restores, &other.restores);
        self.ledger_records += other.ledger_records;
        self.ledger_conflicts += other.ledger_conflicts;
        self.backpressure_ms += other.backpressure_ms;
        self.dedup_forced_evictions += other.dedup_forced_evictions;
        self.snapshot_writes += other.snapshot_writes;
        self.snapshot_failures += other.snapshot_failures;
        self.latency.add(&other.latency);
        self.stages.iter_mut().zip(&other.stages).for_each(|(mine, theirs)| mine.add(theirs));
        self.inflight_records += other.inflight_records;
        self.buffer_bytes += other.buffer_bytes;
        self.dedup_live_ids += other.dedup_live_ids;
    }

    /// Mentions settled with any disposition.
    #[must_use]
    pub fn settled_total(&self) -> u64 {
        self.settled.iter().sum()
    }

    /// Invariant I5: what was read is settled or in flight, on every copy that is published.
    #[must_use]
    pub fn accounts_for_every_mention(&self) -> bool {
        self.input[Input::Mentions as usize] == self.settled_total() + self.inflight_records
    }
}

fn add_each<const N: usize>(into: &mut [u64; N], from: &[u64; N]) {
    for (sum, more) in into.iter_mut().zip(from) {
        *sum += more;
    }
}

/// Readings whose labels are names: made once a second, not per batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// Topic, partition, and how many records the broker has that were not settled.
    pub lag: Vec<(Arc<str>, u32, u64)>,
    /// Desk and how many of its cases are not closed.
    pub cases_open: Vec<(Arc<str>, u64)>,
    /// Queue, how many cases wait in it, and the age in milliseconds of the oldest; `None` when many cases of other
    /// queues are older than that.
    pub queues: Vec<(Arc<str>, u64, Option<u64>)>,
    /// Desk, queue, and how many mentions were handed to it since the lane started.
    pub assigned: Vec<(Arc<str>, Arc<str>, u64)>,
    /// Thread, and the wall time in milliseconds at which it last moved: told by the thread itself, so that one that
    /// hangs tells nothing new.
    pub heartbeats: Vec<(Arc<str>, u64)>,
    /// Age in milliseconds of the oldest mention that is not settled, 0 when there is none.
    pub oldest_unsettled_ms: u64,
    /// Wall time of the newest snapshot published, in milliseconds since the epoch; 0 before the first.
    pub snapshot_at_ms: u64,
    /// Bytes of the newest snapshot published.
    pub snapshot_bytes: u64,
}

/// A lane's slot: the lane writes whole copies, the exporter reads them.
///
/// A lock held for one copy of some 1,400 bytes, once per batch, by one writer and a scrape: never contended on
/// the path of a mention.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    shared: Arc<Mutex<(Counters, Readings)>>,
}

impl Slot {
    /// Publishes the lane's counters.
    pub fn counters(&self, counters: &Counters) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).0 = *counters;
    }

    /// Publishes the lane's readings.
    pub fn readings(&self, readings: Readings) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).1 = readings;
    }

    /// The last copies published.
    #[must_use]
    pub fn read(&self) -> (Counters, Readings) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_lanes_accounts_for_every_mention_when_each_lane_does() {
        let mut one = Counters::default();
        one.input[Input::Mentions as usize] = 7;
        one.settle(Disposition::Noise, 4);
        one.settle(Disposition::Queued, 1);
        one.inflight_records = 2;
        let mut other = Counters::default();
        other.input[Input::Mentions as usize] = 3;
        other.settle(Disposition::Expired, 3);
        let mut sum = one;
        sum.add(&other);
        assert!(one.accounts_for_every_mention() && other.accounts_for_every_mention());
        assert!(sum.accounts_for_every_mention());
        assert_eq!(sum.settled_total(), 8);
        sum.inflight_records += 1;
        assert!(!sum.accounts_for_every_mention());
    }

    #[test]
    fn a_reader_of_a_slot_sees_the_last_whole_copy() {
        let slot = Slot::default();
        let mut counters = Counters::default();
        counters.dead_letter(DeadLetterReason::TooDeep);
        counters.event(EventDisposition::Applied);
        slot.counters(&counters);
        let readings = Readings { oldest_unsettled_ms: 40, ..Readings::default() };
        slot.readings(readings.clone());
        assert_eq!(slot.read(), (counters, readings));
    }
}
