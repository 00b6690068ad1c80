//! One partition of the desk log: folds it in order, writes out what follows, settles.
//!
//! Owns the desk engine of the partition, its watermark and its snapshots on their way out. The fold alone makes
//! the state, so a new owner needs no ledger: it folds again. May not commit: the lane does, what `commit` says.
//! Called by `desk_lane`.

use super::Stop;
use super::desk_snapshot::Snapshots;
use super::runs::Runs;
use crate::log::{LogError, Logs, Outgoing, Producer, Records, Ticket, TopicPartition};
use crate::policies::{BuildMatcher, Policies};
use crate::wire::{assignment, cloudevents, desk_log};
use std::collections::BTreeMap;

use std::sync::{Arc, RwLock};
use triage_engine::desk::{Counts, DeskLog, DeskPolicies, DeskSettings, Effects, Event, LogEntry};
use triage_engine::policy::{DeskLimits, Generation};

/// Bytes of a record for a desk beside the mention's own: its fields and headers.
const RECORD_BYTES: usize = 1_400;

/// Where a desk's records go.
#[derive(Clone)]
pub struct DeskTopics {
    /// What stands before a desk's name in its topic's.
    assignments_prefix: Arc<str>,
    /// The name of the input topic, for `triaged_src`.
    input: Arc<str>,
    logs: Arc<dyn Logs>,
    /// How many partitions each of those topics has, as far as it was asked.
    partitions: Arc<RwLock<BTreeMap<String, u32>>>,
}

/// One desk-log partition that is ours.
pub struct DeskShard {
    pub(super) log: TopicPartition,
    pub(super) engine: DeskLog,
    /// What is in flight.
    pub runs: Runs,
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

/// The desks that a step of the desk engine looks settings up in: of all policies that its entries name.
pub(super) struct Named(BTreeMap<Generation, Arc<[DeskLimits]>>);

/// Why entries cannot be folded, now or ever.
pub(super) enum Unnamed {
    /// The bundle of a policy that they name was not read yet.
    NotYet,
    /// An entry names a desk that its policy does not have: nobody of ours wrote it. Its offset, and the reason.
    Never(i64, String),
}

impl Named {
    /// The desks that these entries name.
    pub(super) fn of(
        entries: &[LogEntry<'_>],
        policies: &Policies,
        matcher: BuildMatcher,
    ) -> Result<Named, Unnamed> {
        let holds = |desks: &[DeskLimits], wanted: &str| desks.iter().any(|desk| desk.name == wanted);
        let mut named: BTreeMap<Generation, Arc<[DeskLimits]>> = BTreeMap::new();
        for entry in entries {
            let Event::Mention(mention) = &entry.event else { continue };
            let generation = mention.generation;
            if named.get(&generation).is_some_and(|desks| holds(desks, mention.desk)) {
                continue;
            }
            let desks = policies.desks(generation, mention.desk, matcher).ok_or(Unnamed::NotYet)?;
            if !holds(&desks, mention.desk) {
                let why =
                    format!("it names desk `{}`, which policy {generation} does not have", mention.desk);
                return Err(Unnamed::Never(entry.offset, why));
            }
            named.insert(generation, desks);
        }
        Ok(Named(named))
    }
}

impl DeskPolicies for Named {
    fn settings(&self, generation: &Generation, desk: &str) -> DeskSettings {
        let desks =
            self.0.get(generation).expect("invariant: every generation that the entries name was looked up");
        let desk = desks.iter().find(|known| known.name == desk);
        let desk = desk.expect("invariant: `of` looked for every desk that the entries name");
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
            runs: Runs::new(committed),
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
        records.span()?;
        let (log, mut wrong) = entries(&records);
        #[cfg(test)]
        let log = self.planted_high_water_mark(log);
        let named = match Named::of(&log, policies, matcher) {
            Ok(named) => Some(named),
            Err(Unnamed::NotYet) => {
                drop(log);
                return Some(records);
            }
            Err(Unnamed::Never(offset, why)) => {
                wrong.push((offset, why));
                None
            }
        };
        if let Some((offset, why)) = wrong.iter().min() {
            // Skipping a record would fork the cases' history: the desk stands still until somebody looks.
            self.unreadable += 1;
            let why = format!("record {offset} of {} cannot be read: {why}", self.log);
            self.runs.stop_for(Stop::Undelivered { topic: self.log.topic.to_string(), why });
            return None;
        }
        let named = named.expect("invariant: nothing is wrong with the entries");
        self.received += records.len() as u64;
        let ticket = Arc::new(Ticket::new());
        let mut effects = Effects::new();
        self.engine.step(&log, &named, &mut effects);
        self.counts.add(&effects.counts);
        let out = outgoing(&effects, &log, topics).unwrap_or_else(|(topic, error)| {
            self.runs.refused(&ticket, &topic, &error);
            Vec::new()
        });
        for (to, batch) in out {
            if let Err(error) = producer.send(&to, &batch, &ticket) {
                self.runs.refused(&ticket, &to.topic, &error);
            }
        }
        self.runs.open(&records, &ticket);
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

    /// Goes on with the snapshot under way; the offset below which the log may be trimmed, when one is whole.
    ///
    /// # Errors
    /// When a send is refused at once.
    pub fn advance_snapshots(
        &mut self,
        now_ms: i64,
        committed: i64,
        policies: &Policies,
        producer: &mut dyn Producer,
    ) -> Result<Option<i64>, LogError> {
        self.snapshots.advance(now_ms, &self.engine, committed, policies, producer)
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

/// The records that a step asks for, by topic and partition, in log order for each; or the topic that is not known.
fn outgoing(
    effects: &Effects,
    entries: &[LogEntry<'_>],
    topics: &DeskTopics,
) -> Result<Vec<(TopicPartition, Outgoing)>, (String, LogError)> {
    let mut desks: Vec<DeskOut> = Vec::new();
    let mentions = entries.iter().map(|entry| match &entry.event {
        Event::Mention(mention) => mention.raw.len(),
        _ => 0,
    });
    let bytes = mentions.sum::<usize>() + effects.records.len() * RECORD_BYTES;
    let mut writer = assignment::Writer::new(&topics.input);
    for effect in &effects.records {
        let place = match desks.iter().position(|known| known.desk == effect.desk) {
            Some(place) => place,
            None => {
                desks.push(DeskOut::new(&effect.desk, topics, effects.records.len(), bytes)?);
                desks.len() - 1
            }
        };
        let DeskOut { partitions, .. } = &mut desks[place];
        let count = partitions.len() as u32;
        writer.push(effect, &entries[effect.entry], |key| {
            &mut partitions[cloudevents::partition_for(key, count) as usize]
        });
    }
    let mut out = Vec::new();
    for desk in desks {
        let parts = (0..).zip(desk.partitions).filter(|(_, part)| !part.is_empty());
        out.extend(
            parts.map(|(partition, part)| (TopicPartition { topic: desk.topic.clone(), partition }, part)),
        );
    }
    Ok(out)
}

/// What goes to one desk's topic.
struct DeskOut {
    desk: Arc<str>,
    topic: Arc<str>,
    partitions: Vec<Outgoing>,
}

impl DeskOut {
    /// With room for its share of so many records of so many bytes: a buffer that grows is copied again and again.
    fn new(
        desk: &Arc<str>,
        topics: &DeskTopics,
        records: usize,
        bytes: usize,
    ) -> Result<DeskOut, (String, LogError)> {
        let topic = format!("{}{desk}", topics.assignments_prefix);
        let count = match topics.partitions_of(&topic) {
            Ok(count) => count as usize,
            Err(error) => return Err((topic, error)),
        };
        let mut partitions = vec![Outgoing::default(); count];
        for out in &mut partitions {
            out.reserve(records / count, bytes / count);
        }
        Ok(DeskOut { desk: desk.clone(), topic: Arc::from(topic), partitions })
    }
}

impl DeskTopics {
    /// The topics that begin with `assignments_prefix`, on `logs`.
    #[must_use]
    pub fn new(assignments_prefix: &str, input: &str, logs: Arc<dyn Logs>) -> DeskTopics {
        let (assignments_prefix, input) = (Arc::from(assignments_prefix), Arc::from(input));
        DeskTopics { assignments_prefix, input, logs, partitions: Arc::default() }
    }

    /// How many partitions a desk's topic has, asked of the broker once: a case's records must all lie in one.
    fn partitions_of(&self, topic: &str) -> Result<u32, LogError> {
        let known = self.partitions.read().expect("invariant: nobody panics while holding the partitions");
        if let Some(&partitions) = known.get(topic) {
            return Ok(partitions);
        }
        drop(known);
        let info = self.logs.describe(&[topic])?.pop().flatten();
        let partitions = info.ok_or_else(|| LogError::Missing(topic.to_owned()))?.partitions;
        let mut known =
            self.partitions.write().expect("invariant: nobody panics while holding the partitions");
        known.insert(topic.to_owned(), partitions);
        Ok(partitions)
    }
}
