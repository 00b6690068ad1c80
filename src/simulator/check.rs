//! Looks at the logs from outside after every step, and knows what must be true of them: invariants I1 to I6.
//!
//! Owns an index of what lies in the logs, extended step by step, and a fold of the desk log of its own. May not
//! trust what an instance says of itself, but for I5, which is about exactly that.

mod decisions;

use super::check_release::ReleaseIndex;
use super::feed::Feed;
use super::instance::{Instance, reference};
use crate::embedded::{Cluster, Fate, StoredRecord};
use crate::log::{Logs, TopicPartition};
use crate::policies::Compiled;
use crate::shard::ledger_tail::LedgerNote;
use crate::wire::ledger::{self, LedgerEntry};
use crate::wire::{assignment, control, desk_log};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use triage_engine::desk::{DeskLog, DeskPolicies, DeskSettings, Effects, Event};
use triage_engine::model::{CaseId, Disposition, MentionKey, StreamId};
use triage_engine::plans::PlanState;
use triage_engine::policy::Generation;

/// What a run that broke nothing did.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Summary {
    pub(super) mentions: u64,
    pub(super) crashes: u64,
    pub(super) repeats: u64,
    pub(super) records_out: u64,
    pub(super) brought_back: u64,
}

pub(super) struct Checker {
    inputs: Vec<InputIndex>,
    desks: Vec<DeskIndex>,
    dead_letters: BTreeSet<String>,
    read: BTreeMap<TopicPartition, i64>,
    out: BTreeMap<(String, u64), u64>,
    input_stream: StreamId,
    control_stream: StreamId,
    plans: PlanState,
    policies: BTreeMap<Generation, Arc<Compiled>>,
    order_may_break: bool,
    repeats_allowed: u64,
    summary: Summary,
    unrest: String,
}

/// What is known of one input partition.
#[derive(Default)]
pub(super) struct InputIndex {
    /// The offsets of records, not of holes.
    records: BTreeSet<i64>,
    next: i64,
    /// The first entry of each offset.
    ledger: BTreeMap<i64, (LedgerEntry, Generation)>,
    committed: i64,
    /// What the ledger says was lost to retention before it was read.
    expired: BTreeSet<i64>,
    /// Retention has taken everything below.
    pub(super) start: i64,
    /// What was in it.
    taken: BTreeMap<i64, MentionKey>,
    /// What was brought back.
    releases: ReleaseIndex,
    /// Whether the group has committed once.
    pinned: bool,
    /// How often the desk log names each offset as its source.
    handed_over: BTreeMap<i64, u64>,
}

/// What is known of one desk-log partition, folded by ourselves.
struct DeskIndex {
    fold: DeskLog,
    /// The records that must come out below each offset, by the offset of the entry that causes them.
    expected: BTreeMap<i64, Vec<(String, u64)>>,
    open: BTreeSet<CaseId>,
    committed: i64,
    next: i64,
    newest_of_author: BTreeMap<(u128, u32), i64>,
}

struct Known<'k>(&'k BTreeMap<Generation, Arc<Compiled>>);

impl DeskPolicies for Known<'_> {
    fn settings(&self, generation: &Generation, desk: &str) -> DeskSettings {
        let policy = self.0[generation].policy();
        let desk = policy.desks().iter().find(|known| known.name == desk).expect("a desk of that policy");
        DeskSettings { case_lapse_ms: desk.case_lapse_ms, mentions_per_case_max: desk.mentions_per_case_max }
    }
}

pub(super) type Found = Result<(), String>;

impl Checker {
    pub(super) fn new(cluster: &Cluster, inputs: u32, desks: u32, feed: &Feed) -> Checker {
        let info = cluster.describe(&["mentions", "triaged.control"]).expect("the embedded log answers");
        let [input_stream, control_stream] = [0, 1].map(|n| info[n].as_ref().expect("the topic exists").id);
        let policies = (0..3).map(|switch| {
            let compiled = Compiled::new(&feed.bundle(switch), reference).expect("the sample compiles");
            (compiled.generation(), Arc::new(compiled))
        });
        Checker {
            inputs: (0..inputs).map(|_| InputIndex::default()).collect(),
            desks: (0..desks).map(DeskIndex::new).collect(),
            dead_letters: BTreeSet::new(),
            read: BTreeMap::new(),
            out: BTreeMap::new(),
            input_stream,
            control_stream,
            plans: PlanState::new(),
            policies: policies.collect(),
            order_may_break: false,
            repeats_allowed: 0,
            summary: Summary::default(),
            unrest: String::new(),
        }
    }

    /// A refused send lets its successors overtake it: the order of effects is not promised then.
    pub(super) fn saw_fate(&mut self, fate: Fate) {
        if matches!(fate, Fate::Refused | Fate::TakenUnheard) {
            self.order_may_break = true;
            // What was refused, and all that was in flight beside it, is sent again.
            self.repeats_allowed += 1_000;
        }
    }

    /// Partitions are let go of before they are drained: how much is repeated is not bounded by crashes.
    pub(super) fn allow_repeats(&mut self) {
        self.repeats_allowed = u64::MAX / 2;
    }

    pub(super) fn crashed(&mut self, in_flight: u64) {
        self.summary.crashes += 1;
        // One entry of a desk log may close many cases at once, so what it may repeat is counted in records out.
        let uncommitted = self.desks.iter().flat_map(|desk| desk.expected.range(desk.committed..));
        self.repeats_allowed += in_flight + uncommitted.map(|(_, records)| records.len() as u64).sum::<u64>();
    }

    /// Who wakes up after a freeze may hand out what the ledger had decided and no commit called done, as its successor
    /// does: it needs to write nothing for that, so nothing tells it that it is not the owner any more.
    pub(super) fn froze(&mut self, in_flight: u64) {
        self.crashed(in_flight);
        self.woke();
    }

    /// The same for what its successor has decided meanwhile.
    pub(super) fn woke(&mut self) {
        let open = self.inputs.iter().flat_map(|input| input.ledger.range(input.committed..));
        let queued = open.filter(|(_, (entry, _))| entry.disposition == Disposition::Queued);
        self.repeats_allowed += queued.count() as u64;
    }

    /// So many records more may come out again, although nobody crashed.
    pub(super) fn may_repeat(&mut self, records: u64) {
        self.repeats_allowed = self.repeats_allowed.saturating_add(records);
    }

    /// Retention is about to take what lies below; what was not looked at yet is looked at now.
    pub(super) fn mentions_expire(&mut self, cluster: &Cluster, number: u32, below: i64) {
        self.read_input(cluster, number).expect("the embedded log answers");
        self.remember_keys(cluster, number, below);
        self.inputs[number as usize].start = below;
    }

    pub(super) fn open_cases(&self) -> Vec<CaseId> {
        self.desks.iter().flat_map(|desk| desk.open.iter().copied()).collect()
    }

    /// Reads on in every log, and checks what is new.
    pub(super) fn look(&mut self, cluster: &Cluster, instances: &[Instance]) -> Found {
        for number in 0..self.inputs.len() as u32 {
            self.read_input(cluster, number)?;
            self.read_ledger(cluster, number)?;
        }
        for record in self.fresh(cluster, &TopicPartition::new("triaged.control", 0)) {
            control::fold(&mut self.plans, record.offset, record.key.as_deref(), record.value.as_deref());
        }
        for record in self.fresh(cluster, &TopicPartition::new("triaged.dead-letter", 0)) {
            self.dead_letters.insert(String::from_utf8(record.key.unwrap_or_default()).expect("a position"));
        }
        for number in 0..self.desks.len() as u32 {
            self.read_desk_log(cluster, number)?;
        }
        for topic in ["assignments.care", "assignments.tech"] {
            for partition in 0..2 {
                for record in self.fresh(cluster, &TopicPartition::new(topic, partition)) {
                    self.summary.records_out += 1;
                    *self.out.entry(identity(&record)).or_default() += 1;
                }
            }
        }
        self.check_commits(cluster)?;
        self.check_repeats()?;
        instances.iter().try_for_each(check_conservation)
    }

    fn fresh(&mut self, cluster: &Cluster, of: &TopicPartition) -> Vec<StoredRecord> {
        let from = self.read.entry(of.clone()).or_default();
        let records = cluster.records_from(of, *from).expect("the topic exists");
        if let Some(last) = records.last() {
            *from = last.offset + 1;
        }
        records
    }

    fn read_input(&mut self, cluster: &Cluster, number: u32) -> Found {
        let partition = TopicPartition::new("mentions", number);
        let fresh = self.fresh(cluster, &partition);
        self.summary.mentions += fresh.len() as u64;
        let next = cluster.bounds(&partition).map_err(|error| error.to_string())?.1;
        let input = &mut self.inputs[number as usize];
        input.next = next;
        input.records.extend(fresh.iter().map(|record| record.offset));
        Ok(())
    }

    fn read_ledger(&mut self, cluster: &Cluster, number: u32) -> Found {
        for record in self.fresh(cluster, &TopicPartition::new("triaged.ledger.mentions", number)) {
            let run =
                ledger::decode(&record.value.expect("a ledger record has a value")).expect("it is ours");
            let input = &mut self.inputs[number as usize];
            if let Some((first, last)) = run.expired {
                input.expired.extend(first..=last);
            }
            input.releases.ledgered(record.offset, &run);
            if let Some(of) = run.superseding {
                input.releases.superseded(record.offset, &run, &of, &input.ledger)?;
                continue;
            }
            for entry in run.entries {
                input.ledger.entry(entry.offset).or_insert((entry, run.generation));
            }
        }
        Ok(())
    }

    fn read_desk_log(&mut self, cluster: &Cluster, number: u32) -> Found {
        let partition = TopicPartition::new("triaged.desks", number);
        for record in self.fresh(cluster, &partition) {
            let value = record.value.as_deref();
            let entry =
                desk_log::decode(record.offset, record.timestamp, value).map_err(|why| why.to_string())?;
            let released = entry.source.filter(|mark| mark.source.position.stream == self.control_stream);
            if let (Some(mark), Event::Mention(mention)) = (&released, &entry.event) {
                let input = &mut self.inputs[mark.source.position.partition as usize];
                input.releases.handed(mark, mention, &self.policies)?;
            } else if let (Some(mark), Event::Mention(mention)) = (&entry.source, &entry.event) {
                let position = mark.source.position;
                let input = &mut self.inputs[position.partition as usize];
                let times = input.handed_over.entry(position.offset).or_default();
                *times += 1;
                let first = *times == 1;
                // What a former owner had sent of a record that retention took meanwhile may arrive at any time.
                let is_gone = position.offset < input.start;
                // I2: an effect agrees with the first entry of its offset, which lies in the ledger before it.
                let Some((ledgered, generation)) = input.ledger.get(&position.offset) else {
                    return Err(format!(
                        "I2: mentions/{}/{} went to a desk before it was ledgered",
                        position.partition, position.offset
                    ));
                };
                let policy = self.policies[generation].policy();
                let agrees = ledgered.disposition == Disposition::Queued
                    && policy.desks()[usize::from(ledgered.desk)].name == mention.desk
                    && policy.queues()[usize::from(ledgered.queue)].name == mention.queue;
                if !agrees {
                    return Err(format!(
                        "I2: mentions/{}/{} went to {}, the ledger says {ledgered:?}",
                        position.partition, position.offset, mention.queue
                    ));
                }
                let newest = self.desks[number as usize]
                    .newest_of_author
                    .entry((mention.author.0, position.partition))
                    .or_insert(-1);
                if first && !is_gone && position.offset < *newest && !self.order_may_break {
                    return Err(format!(
                        "I6: mentions/{}/{} overtook an earlier one of its author",
                        position.partition, *newest
                    ));
                }
                *newest = position.offset.max(*newest);
            }
            let desk = &mut self.desks[number as usize];
            let mut effects = Effects::new();
            desk.next = record.offset + 1;
            desk.fold.step(std::slice::from_ref(&entry), &Known(&self.policies), &mut effects);
            for effect in &effects.records {
                let of = (effect.case.to_string(), effect.case_version);
                desk.expected.entry(record.offset).or_default().push(of);
                match assignment::kind(&effect.what) {
                    "case.closed" => desk.open.remove(&effect.case),
                    _ => desk.open.insert(effect.case),
                };
            }
        }
        Ok(())
    }

    fn check_commits(&mut self, cluster: &Cluster) -> Found {
        for number in 0..self.inputs.len() {
            let partition = TopicPartition::new("mentions", number as u32);
            let commit =
                cluster.group_offsets("triaged.triage", &[partition]).map_err(|error| error.to_string())?;
            let Some(commit) = commit.into_iter().next().flatten() else { continue };
            if !std::mem::replace(&mut self.inputs[number].pinned, true) {
                // A group without a commit begins where the log begins: what was gone by then was never its own.
                let start = self.inputs[number].start;
                self.inputs[number].committed = start.min(commit.offset);
                self.inputs[number].records.retain(|&offset| offset >= start);
            }
            let before = self.inputs[number].committed;
            if commit.offset < before {
                return Err(format!(
                    "I4: the commit of mentions/{number} went back from {before} to {}",
                    commit.offset
                ));
            }
            for &offset in self.inputs[number].records.range(before..commit.offset) {
                self.check_settled(number, offset)?;
            }
            self.inputs[number].committed = commit.offset;
            if let Some(note) = LedgerNote::from_text(&commit.metadata) {
                let start = self.inputs[number].start;
                self.inputs[number].releases.noted(note.open, start)?;
            }
        }
        for number in 0..self.desks.len() {
            let partition = TopicPartition::new("triaged.desks", number as u32);
            let commit =
                cluster.group_offsets("triaged.desk", &[partition]).map_err(|error| error.to_string())?;
            let Some(commit) = commit.into_iter().next().flatten() else { continue };
            let desk = &mut self.desks[number];
            if commit.offset < desk.committed {
                return Err(format!("I4: the commit of triaged.desks/{number} went back"));
            }
            for (offset, records) in desk.expected.range(desk.committed..commit.offset) {
                for record in records {
                    if !self.out.contains_key(record) {
                        return Err(format!(
                            "I4: triaged.desks/{number}/{offset} is committed, but {} version {} is not out",
                            record.0, record.1
                        ));
                    }
                }
            }
            desk.committed = commit.offset;
        }
        Ok(())
    }

    /// What lies below the committed offset has an entry, and its effect is in the logs.
    fn check_settled(&self, number: usize, offset: i64) -> Found {
        let input = &self.inputs[number];
        if input.expired.contains(&offset) {
            // Its bytes were gone when somebody came to read them, so there is no effect to ask for.
            let gone = offset < input.start;
            return if gone {
                Ok(())
            } else {
                Err(format!("mentions/{number}/{offset} is there, and called expired"))
            };
        }
        let Some((entry, _)) = input.ledger.get(&offset) else {
            return Err(format!("I1: mentions/{number}/{offset} is committed and has no ledger entry"));
        };
        let there = match entry.disposition {
            Disposition::Queued => input.handed_over.contains_key(&offset),
            Disposition::DeadLetter => self.dead_letters.contains(&format!("mentions/{number}/{offset}")),
            _ => true,
        };
        if there {
            Ok(())
        } else {
            Err(format!("I4: mentions/{number}/{offset} is committed, its effect is not out"))
        }
    }

    /// I3: nothing is repeated but what was in flight at a crash.
    fn check_repeats(&mut self) -> Found {
        let handed = self.inputs.iter().flat_map(|input| input.handed_over.values());
        let again: u64 = self.inputs.iter().map(|input| input.releases.repeats()).sum();
        let repeats = handed.chain(self.out.values()).map(|&times| times - 1).sum::<u64>() + again;
        self.summary.repeats = repeats;
        if repeats > self.repeats_allowed {
            let twice = self.inputs.iter().enumerate().flat_map(|(number, input)| {
                let twice = input.handed_over.iter().filter(|(_, times)| **times > 1);
                twice.map(move |(offset, _)| format!("mentions/{number}/{offset}"))
            });
            let out = self
                .out
                .iter()
                .filter(|(_, times)| **times > 1)
                .map(|((case, version), _)| format!("{case} version {version}"));
            let brought = (again > 0).then(|| format!("{again} of mentions brought back"));
            let which: Vec<String> = twice.chain(out).take(5).chain(brought).collect();
            return Err(format!(
                "I3: {repeats} repeats ({}), at most {} were in flight at crashes",
                which.join(", "),
                self.repeats_allowed
            ));
        }
        Ok(())
    }

    pub(super) fn is_at_rest(&mut self) -> bool {
        self.unrest.clear();
        for (number, input) in self.inputs.iter().enumerate() {
            let last = input.records.last().map_or(0, |last| last + 1);
            if input.committed < last {
                self.unrest = format!("mentions/{number} is committed to {} of {last}", input.committed);
            }
        }
        if let Some((place, _)) = self.plans.releases().iter().find(|(_, release)| !release.is_done()) {
            self.unrest = format!("request {place} to bring mentions back is not answered");
        }
        for (number, desk) in self.desks.iter().enumerate() {
            if desk.committed < desk.next || !desk.open.is_empty() {
                self.unrest = format!(
                    "triaged.desks/{number} is committed to {} of {}, {} cases are open",
                    desk.committed,
                    desk.next,
                    desk.open.len()
                );
            }
        }
        self.unrest.is_empty()
    }

    pub(super) fn unrest(&mut self) -> String {
        if self.unrest.is_empty() { "something is still in flight".to_owned() } else { self.unrest.clone() }
    }

    /// What must be true once everything has come to rest.
    pub(super) fn verdict(&mut self, cluster: &Cluster) -> Result<Summary, String> {
        for number in 0..self.inputs.len() {
            self.check_dispositions(cluster, number)?;
            self.check_releases(cluster, number)?;
        }
        for desk in &self.desks {
            for records in desk.expected.values() {
                for record in records {
                    if !self.out.contains_key(record) {
                        return Err(format!("{} version {} never came out", record.0, record.1));
                    }
                }
            }
        }
        let expected: usize = self.desks.iter().flat_map(|desk| desk.expected.values()).map(Vec::len).sum();
        if self.out.len() != expected {
            return Err(format!("{} different records came out, {expected} are right", self.out.len()));
        }
        Ok(self.summary)
    }
}

impl DeskIndex {
    fn new(partition: u32) -> DeskIndex {
        DeskIndex {
            fold: DeskLog::new(partition),
            expected: BTreeMap::new(),
            open: BTreeSet::new(),
            committed: 0,
            next: 0,
            newest_of_author: BTreeMap::new(),
        }
    }
}

/// Which record of which case this is; a repeat has the same.
fn identity(record: &StoredRecord) -> (String, u64) {
    let case = String::from_utf8(record.key.clone().unwrap_or_default()).expect("a case id");
    let value: serde_json::Value =
        serde_json::from_slice(record.value.as_deref().unwrap_or_default()).expect("JSON");
    (case, value["case_version"].as_u64().expect("every record of a case has a version"))
}

/// I5: what a lane has read is settled, in flight, or was given back when a shard was dropped.
fn check_conservation(instance: &Instance) -> Found {
    let work = &instance.triage.work;
    let mut received = work.counts().received;
    let mut settled: u64 = work.counts().settled.iter().sum();
    let mut in_flight = 0;
    for place in instance.triage.live() {
        received += place.shard.counts.received;
        settled += place.shard.counts.settled.iter().sum::<u64>();
        in_flight += place.shard.in_flight();
    }
    if received == settled + in_flight + work.abandoned {
        return Ok(());
    }
    Err(format!(
        "I5: {received} read, {settled} settled, {in_flight} in flight, {} given back",
        work.abandoned
    ))
}
