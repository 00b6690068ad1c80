//! One partition of the desk log: folds it in order, writes out what follows, settles.
//!
//! Owns the desk engine of the partition, its watermark and its snapshots on their way out. The fold alone makes
//! the state, so a new owner needs no ledger: it folds again. May not commit: the lane does, what `commit` says.
//! Called by `desk_lane`.

use super::Stop;
use super::desk_snapshot::Snapshots;
use crate::log::{Commit, LogError, Outgoing, Producer, Records, Ticket, TopicPartition};
use crate::offsets::{RunId, Watermark};
use crate::policies::{BuildMatcher, Policies};
use crate::wire::{assignment, cloudevents, desk_log};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use triage_engine::desk::{Counts, DeskLog, DeskPolicies, DeskSettings, Effects, Event, LogEntry};
use triage_engine::policy::Generation;

/// Where a desk's records go.
#[derive(Debug, Clone)]
pub struct DeskTopics {
    /// What stands before a desk's name in its topic's.
    pub assignments_prefix: Arc<str>,
    /// How many partitions each of those topics has.
    pub partitions: Arc<BTreeMap<String, u32>>,
    /// The name of the input topic, for `triaged_src`.
    pub input: Arc<str>,
}

/// One desk-log partition that is ours.
pub struct DeskShard {
    pub(super) log: TopicPartition,
    pub(super) engine: DeskLog,
    watermark: Watermark,
    committed: i64,
    runs: VecDeque<DeskRun>,
    stop: Option<Stop>,
    /// Snapshots on their way out.
    pub snapshots: Snapshots,
    /// What was counted since the lane last took it.
    pub counts: Counts,
    /// Records of the desk log that could not be read.
    pub unreadable: u64,
    /// Records handed out by the log.
    pub received: u64,
    #[cfg(test)]
    highest: BTreeMap<(triage_engine::model::StreamId, u32), i64>,
}

struct DeskRun {
    id: RunId,
    records: u64,
    bytes: usize,
    ticket: Arc<Ticket>,
}

/// The policies that a step of the desk engine looks settings up in: all that its entries name.
pub(super) struct Named(BTreeMap<Generation, Arc<crate::policies::Compiled>>);

impl Named {
    /// The policies that these entries name; `None` while one of them is not here.
    pub(super) fn of(entries: &[LogEntry<'_>], policies: &Policies, matcher: BuildMatcher) -> Option<Named> {
        let mut named = BTreeMap::new();
        for entry in entries {
            if let Event::Mention(mention) = &entry.event
                && !named.contains_key(&mention.generation)
            {
                named.insert(mention.generation, policies.get(mention.generation, matcher)?);
            }
        }
        Some(Named(named))
    }
}

impl DeskPolicies for Named {
    fn settings(&self, generation: &Generation, desk: &str) -> DeskSettings {
        let policy =
            self.0.get(generation).expect("invariant: every generation that the entries name was looked up");
        let desk = policy.policy().desks().iter().find(|known| known.name == desk);
        let desk = desk.expect("invariant: a mention names a desk of the policy that decided it");
        DeskSettings { case_lapse_ms: desk.case_lapse_ms, mentions_per_case_max: desk.mentions_per_case_max }
    }
}

/// The entries of these records, and those records that are none.
pub(super) fn entries(records: &Records) -> (Vec<LogEntry<'_>>, Vec<(i64, String)>) {
    let mut entries = Vec::with_capacity(records.len());
    let mut wrong = Vec::new();
    for record in records.iter() {
        match desk_log::decode(record.offset, record.timestamp, record.value) {
            Ok(entry) => entries.push(entry),
            Err(fault) => wrong.push((record.offset, fault.to_string())),
        }
    }
    (entries, wrong)
}

impl DeskShard {
    /// A shard that goes on at `committed` with the state folded up to there.
    #[must_use]
    pub fn new(log: TopicPartition, engine: DeskLog, committed: i64, snapshots: Snapshots) -> DeskShard {
        DeskShard {
            log,
            engine,
            watermark: Watermark::new(committed),
            committed,
            runs: VecDeque::new(),
            stop: None,
            snapshots,
            counts: Counts::default(),
            unreadable: 0,
            received: 0,
            #[cfg(test)]
            highest: BTreeMap::new(),
        }
    }

    /// Folds records in and writes out what follows; gives them back while a policy that they name is not here.
    pub fn accept(
        &mut self,
        records: Records,
        policies: &Policies,
        matcher: BuildMatcher,
        topics: &DeskTopics,
        producer: &mut dyn Producer,
    ) -> Option<Records> {
        let (first, last) = records.span()?;
        let (log, wrong) = entries(&records);
        #[cfg(test)]
        let log = self.planted_high_water_mark(log);
        let Some(named) = Named::of(&log, policies, matcher) else {
            drop(log);
            return Some(records);
        };
        if let Some((offset, why)) = wrong.first() {
            // Skipping a record would fork the cases' history: the desk stands still until somebody looks.
            self.unreadable += 1;
            let why = format!("record {offset} of {} cannot be read: {why}", self.log);
            self.stop.get_or_insert(Stop::Undelivered { topic: self.log.topic.to_string(), why });
            return None;
        }
        let id = self.watermark.open(first, last + 1);
        self.received += records.len() as u64;
        let ticket = Arc::new(Ticket::new());
        let mut effects = Effects::new();
        self.engine.step(&log, &named, &mut effects);
        self.counts.add(&effects.counts);
        let out = outgoing(&effects, &log, topics);
        for (to, batch) in out {
            if let Err(error) = producer.send(&to, &batch, &ticket) {
                let stop = Stop::Undelivered { topic: to.topic.to_string(), why: error.to_string() };
                self.stop.get_or_insert(stop);
            }
        }
        self.runs.push_back(DeskRun { id, records: records.len() as u64, bytes: records.bytes(), ticket });
        None
    }

    #[cfg(test)]
    fn planted_high_water_mark<'a>(&mut self, mut log: Vec<LogEntry<'a>>) -> Vec<LogEntry<'a>> {
        if super::planted::is(super::planted::Planted::HighWaterMark) {
            log.retain(|entry| {
                let Some(mark) = &entry.source else { return true };
                let position = mark.source.position;
                let highest = self.highest.entry((position.stream, position.partition)).or_insert(-1);
                let above = position.offset > *highest;
                *highest = position.offset.max(*highest);
                above
            });
        }
        log
    }

    /// Takes in what the broker has answered.
    pub fn advance(&mut self) {
        let mut kept = VecDeque::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            if !run.ticket.is_settled() {
                kept.push_back(run);
            } else if let Some(failure) = run.ticket.failure() {
                let stop = Stop::Undelivered { topic: failure.topic.clone(), why: failure.why.clone() };
                self.stop.get_or_insert(stop);
                kept.push_back(run);
            } else {
                self.watermark.settle(run.id);
            }
        }
        self.runs = kept;
    }

    /// Why the shard has stopped, once nothing that it sent is unanswered.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stop> {
        self.stop
            .as_ref()
            .filter(|_| self.runs.iter().all(|run| run.ticket.is_settled() && run.ticket.failure().is_some()))
    }

    /// Whether it takes no more records.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Retention has overtaken the reader, which on a desk log means that records of cases are gone.
    pub fn overtaken(&mut self) {
        self.stop.get_or_insert(Stop::Overtaken);
    }

    /// Whether all that it took is settled.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes held for runs in flight.
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
        let offset = match super::planted::is(super::planted::Planted::CommitPastGap) {
            true => self.watermark.next(),
            false => offset,
        };
        (offset > self.committed).then(|| Commit { offset, metadata: String::new() })
    }

    /// The broker has acknowledged the commit of `offset`.
    pub fn committed(&mut self, offset: i64) {
        assert!(offset >= self.committed, "a committed offset never goes back");
        self.committed = offset;
    }

    /// The committed offset, as the broker has acknowledged it.
    #[must_use]
    pub fn committed_offset(&self) -> i64 {
        self.committed
    }

    /// Goes on with the snapshot under way; the offset below which the log may be trimmed, when one is whole.
    ///
    /// # Errors
    /// When a send is refused at once.
    pub fn advance_snapshots(
        &mut self,
        now_ms: i64,
        committed: i64,
        producer: &mut dyn Producer,
    ) -> Result<Option<i64>, LogError> {
        self.snapshots.advance(now_ms, &self.engine, committed, producer)
    }

    /// The desk engine, for its gauges.
    #[must_use]
    pub fn engine(&self) -> &DeskLog {
        &self.engine
    }

    /// The partition of the desk log.
    #[must_use]
    pub fn log(&self) -> &TopicPartition {
        &self.log
    }
}

/// The records that a step asks for, by topic and partition, in log order for each.
fn outgoing(
    effects: &Effects,
    entries: &[LogEntry<'_>],
    topics: &DeskTopics,
) -> BTreeMap<TopicPartition, Outgoing> {
    let mut out: BTreeMap<TopicPartition, Outgoing> = BTreeMap::new();
    for effect in &effects.records {
        let topic = format!("{}{}", topics.assignments_prefix, effect.desk);
        let key = effect.case.to_string();
        let partitions = topics.partitions.get(&topic).copied().unwrap_or(1);
        let to = TopicPartition::new(&topic, cloudevents::partition_for(key.as_bytes(), partitions));
        assignment::push(effect, &entries[effect.entry], &topics.input, out.entry(to).or_default());
    }
    out
}
