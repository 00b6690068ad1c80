//! Finds in the logs what the story of a mention or case needs.
//!
//! Owns where to look: every search starts shortly before the time at which the record must have been written, and goes
//! back to the log's start only when nothing is found from there. May not judge beyond what the logs say. Called by
//! `mod.rs`.

use super::mention::Reading;
use super::story::{CaseRecordTold, LedgerTold, OutcomeTold, Story};
use crate::audit::reading::{Generations, Stretch, each, find};
use crate::audit::{AuditPlan, Step, agrees, entry_text};
use crate::error::Error;
use crate::log::{LogError, Logs, TopicPartition};
use crate::wire::cloudevents::{generation_text, partition_for, rfc3339};
use crate::wire::desk_log;
use crate::wire::ledger::{self, LedgerEntry, LedgerRun, NONE};
use crate::wire::visible::visible;
use serde::Deserialize;
use std::collections::BTreeSet;
use triage_engine::SEMANTICS;
use triage_engine::dedup::mention_key;
use triage_engine::desk::Event;
use triage_engine::model::{CaseId, Disposition, MentionKey, Millis, StreamId};
use triage_engine::triage::{DETAIL_NONE, Verdict};

/// Clocks of producers and brokers may differ by so much before a search from a record's time misses it.
const SLACK_MS: i64 = 3_600_000;
/// Records of a case that are listed.
const CASE_RECORDS_MAX: usize = 100;

/// A search under way.
pub(super) struct Search<'a> {
    pub(super) story: Story,
    /// The rules of which is told why they match or not.
    pub(super) rules: Vec<String>,
    logs: &'a dyn Logs,
    plan: &'a AuditPlan,
    progress: &'a mut dyn FnMut(Step<'_>),
    generations: Generations,
    reading: Reading,
    stream: StreamId,
    partitions: u32,
}

/// A ledger entry and the record it stands in.
struct Entered {
    at: (TopicPartition, i64),
    /// When the ledger's record was written.
    written: Millis,
    run: LedgerRun,
    entry: LedgerEntry,
}

/// What a search reads of a record on a desk's topic.
#[derive(Deserialize)]
struct Assigned {
    case_id: String,
    case_version: u64,
    reason: String,
    #[serde(default)]
    mention_id: Option<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        logs: &'a dyn Logs,
        plan: &'a AuditPlan,
        progress: &'a mut dyn FnMut(Step<'_>),
        generations: Generations,
        reading: Reading,
    ) -> Result<Search<'a>, LogError> {
        let info = logs.describe(&[&plan.input])?.pop().flatten();
        let info = info.ok_or_else(|| LogError::Missing(plan.input.clone()))?;
        let mut story = Story::default();
        story.notes.extend(generations.faults.iter().cloned());
        let (stream, partitions) = (info.id, info.partitions);
        Ok(Search {
            story,
            rules: Vec::new(),
            logs,
            plan,
            progress,
            generations,
            reading,
            stream,
            partitions,
        })
    }

    /// The stretch of a partition from shortly before `at` to its end, and the one before.
    fn around(&self, of: &TopicPartition, at: Option<Millis>) -> Result<[Stretch; 2], LogError> {
        let (start, end) = self.logs.bounds(of)?;
        let from = at.map_or(Ok(start), |at| self.logs.offset_at(of, at.plus(-SLACK_MS)))?;
        let from = from.clamp(start, end);
        let stretch = |from, to| Stretch { of: of.clone(), from, to };
        Ok([stretch(from, end), stretch(start, from)])
    }

    /// A record of the input.
    pub(super) fn position(&mut self, partition: u32, offset: i64) -> Result<(), Error> {
        if partition >= self.partitions {
            let (input, partitions) = (&self.plan.input, self.partitions);
            self.story.searched.push(format!("`{input}` has {partitions} partitions, counted from 0"));
            return Ok(());
        }
        let of = TopicPartition::new(&self.plan.input, partition);
        let (start, end) = self.logs.bounds(&of)?;
        self.story.searched.push(format!("{of}, which holds offsets {start} to {end}"));
        let one = Stretch { of: of.clone(), from: offset.max(start), to: (offset + 1).min(end) };
        let record = find(self.logs, "input", &one, self.progress, |record| {
            (record.offset == offset).then(|| (record.timestamp, record.value.map(<[u8]>::to_vec)))
        })?;
        let entered = self.entry_of(partition, offset, record.as_ref().map(|(at, _)| *at))?;
        self.story.found = record.is_some() || entered.is_some();
        if !self.story.found {
            return Ok(());
        }
        let policy = entered.as_ref().map(|entered| entered.run.generation);
        let policy = match policy {
            Some(generation) => self.generations.get(&generation).cloned(),
            None => None,
        };
        if let Some((at, value)) = &record {
            let compiled = policy.as_ref().map(|compiled| compiled.policy());
            let (mut told, decision) = self.reading.tell(value.as_deref(), compiled);
            told.position = format!("{of}/{offset}");
            told.at = rfc3339(*at);
            self.story.mention = Some(told);
            self.story.decision = decision;
            if let (Some(policy), Some(value), false) = (compiled, value.as_deref(), self.rules.is_empty()) {
                (self.story.why, self.story.why_text) = self.reading.why(value, policy, &self.rules);
            }
        } else {
            self.story.notes.push(format!("{of} no longer holds the record: it was not decided again"));
        }
        match entered {
            None => self.undecided(&of, offset)?,
            Some(entered) => self.entered(&of, entered)?,
        }
        Ok(())
    }

    fn undecided(&mut self, of: &TopicPartition, offset: i64) -> Result<(), LogError> {
        let commit = self.logs.group_offsets(&self.plan.triage_group, std::slice::from_ref(of))?;
        let committed = commit.into_iter().next().flatten().map_or(0, |commit| commit.offset);
        let group = &self.plan.triage_group;
        self.story.notes.push(if offset < committed {
            format!("it is committed by `{group}`, and the ledger does not have it: was the ledger trimmed? `triaged audit` tells")
        } else {
            format!("it is not decided yet: `{group}` has committed up to {committed}")
        });
        Ok(())
    }

    /// The first ledger entry of an offset.
    fn entry_of(
        &mut self,
        partition: u32,
        offset: i64,
        at: Option<Millis>,
    ) -> Result<Option<Entered>, LogError> {
        let of = TopicPartition::new(&self.plan.ledger, partition);
        for stretch in self.around(&of, at)? {
            let found = find(self.logs, "ledger", &stretch, self.progress, |record| {
                // The first entry counts; what a request made of it later is told beside it.
                let run = ledger::decode(record.value?).ok().filter(|run| run.superseding.is_none())?;
                let expired = run.expired.filter(|&(first, last)| (first..=last).contains(&offset));
                let entry = run.entries.iter().find(|entry| entry.offset == offset).copied();
                let entry = entry.or_else(|| expired.map(|_| expired_entry(offset)))?;
                Some(Entered { at: (of.clone(), record.offset), written: record.timestamp, run, entry })
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.story.searched.push(format!("{of}, the ledger"));
        Ok(None)
    }

    /// Goes on from the ledger's entry.
    fn entered(&mut self, of: &TopicPartition, entered: Entered) -> Result<(), LogError> {
        let Entered { at: (ledger, at), written, run, entry } = entered;
        let compiled = self.generations.get(&run.generation).cloned();
        let disposition = entry.disposition;
        self.story.ledger = Some(LedgerTold {
            position: format!("{ledger}/{at}"),
            disposition: disposition.name(),
            what: compiled.as_ref().map_or_else(
                || disposition.name().to_owned(),
                |compiled| entry_text(&entry, compiled.policy()),
            ),
            policy: generation_text(&run.generation),
            plan_epoch: run.plan_epoch,
            now: rfc3339(run.now),
            semantics: run.semantics,
        });
        if matches!(disposition, Disposition::Noise | Disposition::Blocked | Disposition::DeadLetter) {
            self.brought_back(&ledger, at, entry.offset)?;
        }
        let Some(compiled) = compiled else {
            self.story.notes.push(format!(
                "policy {} is not to be had from `{}`: rules and filters cannot be told",
                run.generation, self.plan.policies
            ));
            return Ok(());
        };
        if run.semantics != SEMANTICS {
            let theirs = run.semantics;
            self.story.notes.push(format!(
                "it was decided under semantics {theirs}; this release tells its rules and filters under {SEMANTICS}"
            ));
        } else if let (Some(decision), Some(key)) = (&self.story.decision, entry.key) {
            self.story.agrees = Some(agrees(&entry, &Verdict::Mention { key, wish: decision.wish }, false));
        }
        match disposition {
            Disposition::Duplicate => {
                let window = compiled.policy().dedup().window_ms;
                self.copy(of.partition, &entry, run.now.plus(-window))
            }
            Disposition::DeadLetter => self.dead_letter(of, &entry, written),
            Disposition::Queued => {
                let desk = compiled.policy().desks().get(usize::from(entry.desk));
                let Some(desk) = desk else {
                    self.story.notes.push("the ledger names a desk that its policy does not have".to_owned());
                    return Ok(());
                };
                self.queued(of, &entry, written, &desk.name, desk.log_partition)
            }
            Disposition::Noise | Disposition::Blocked | Disposition::Joined | Disposition::Expired => Ok(()),
        }
    }

    /// Tells whether a request has brought the record back since.
    fn brought_back(&mut self, ledger: &TopicPartition, at: i64, offset: i64) -> Result<(), LogError> {
        let (_, to) = self.logs.bounds(ledger)?;
        let later = Stretch { of: ledger.clone(), from: at + 1, to };
        let again = find(self.logs, "ledger", &later, self.progress, |record| {
            let run = ledger::decode(record.value?).ok()?;
            let request = run.superseding?.request;
            let entry = run.entries.iter().find(|entry| entry.offset == offset).copied()?;
            Some((request, record.offset, run.generation, entry))
        })?;
        if let Some((request, at, generation, entry)) = again {
            let compiled = self.generations.get(&generation);
            let what = compiled.map_or_else(
                || entry.disposition.name().to_owned(),
                |compiled| entry_text(&entry, compiled.policy()),
            );
            self.story.notes.push(format!(
                "request {request} on the control topic brought it back: {what} ({ledger}/{at})"
            ));
        }
        Ok(())
    }

    /// Finds the record of which this one is a copy: the last one with its key that was no copy itself.
    fn copy(&mut self, partition: u32, copy: &LedgerEntry, since: Millis) -> Result<(), LogError> {
        let of = TopicPartition::new(&self.plan.ledger, partition);
        let [stretch, _] = self.around(&of, Some(since))?;
        let mut first = None;
        each(self.logs, "ledger", &stretch, self.progress, |record| {
            let Some(run) = record.value.and_then(|value| ledger::decode(value).ok()) else { return };
            let same = run.entries.iter().filter(|entry| entry.key == copy.key && entry.offset < copy.offset);
            for entry in same.filter(|entry| entry.disposition != Disposition::Duplicate) {
                first = Some((entry.offset, entry.disposition.name()));
            }
        })?;
        let input = &self.plan.input;
        match first {
            Some((offset, name)) => {
                self.story.copy_of = Some(format!("{input}/{partition}/{offset}, which was {name}"));
            }
            None => self.story.notes.push(format!(
                "the first record with its id is no longer in {of}: it came before {}",
                rfc3339(since)
            )),
        }
        Ok(())
    }

    fn dead_letter(
        &mut self,
        of: &TopicPartition,
        entry: &LedgerEntry,
        written: Millis,
    ) -> Result<(), LogError> {
        let key = format!("{of}/{}", entry.offset);
        for letters in self.partitions_of(&self.plan.dead_letter)? {
            for stretch in self.around(&letters, Some(written))? {
                let found = find(self.logs, "dead letters", &stretch, self.progress, |record| {
                    (record.key == Some(key.as_bytes())).then_some(record.offset)
                })?;
                if let Some(offset) = found {
                    self.story.dead_letter = Some(format!("{letters}/{offset}"));
                    return Ok(());
                }
            }
        }
        let topic = &self.plan.dead_letter;
        self.story.notes.push(format!("`{topic}` does not hold its dead letter (yet, or no longer)"));
        Ok(())
    }

    /// What the desk log has of a mention, and what the desk made of it.
    fn queued(
        &mut self,
        of: &TopicPartition,
        entry: &LedgerEntry,
        written: Millis,
        desk: &str,
        log_partition: u32,
    ) -> Result<(), LogError> {
        let log = TopicPartition::new(&self.plan.desks, log_partition);
        let mut handed = None;
        for stretch in self.around(&log, Some(written))? {
            handed = find(self.logs, "desk log", &stretch, self.progress, |record| {
                let decoded = desk_log::decode(record.offset, record.timestamp, record.value).ok()?;
                let Event::Mention(mention) = &decoded.event else { return None };
                let position = mention.input;
                let same = (position.stream, position.partition, position.offset)
                    == (self.stream, of.partition, entry.offset);
                same.then(|| (record.offset, record.timestamp, mention.mention_id.to_owned()))
            })?;
            if handed.is_some() {
                break;
            }
        }
        let Some((offset, at, mention_id)) = handed else {
            self.story.notes.push(format!("{log} does not hold it (yet, or no longer)"));
            return Ok(());
        };
        self.story.desk_log = Some(format!("{log}/{offset}"));
        self.outcome(desk, CaseId { partition: log_partition, offset }, at, &mention_id)
    }

    /// What the desk made of the mention that stands at `place` of its log.
    fn outcome(&mut self, desk: &str, place: CaseId, at: Millis, mention_id: &str) -> Result<(), LogError> {
        let topic = format!("{}{desk}", self.plan.assignments_prefix);
        let own = place.to_string();
        let assigned = |value: Option<&[u8]>| serde_json::from_slice::<Assigned>(value?).ok();
        let mut earlier = None;
        for of in self.partitions_of(&topic)? {
            let [after, before] = self.around(&of, Some(at))?;
            let found = find(self.logs, "assignments", &after, self.progress, |record| {
                let record_of = assigned(record.value)?;
                if record_of.mention_id.as_deref() != Some(mention_id) {
                    return None;
                }
                let outcome = match record_of.reason.as_str() {
                    "opened" if record_of.case_id == own => "opened",
                    "linked" if record.timestamp >= at => "linked",
                    _ => {
                        earlier = Some(record_of.case_id);
                        return None;
                    }
                };
                Some((outcome, record.offset, record_of))
            })?;
            if let Some((outcome, offset, record)) = found {
                self.story.outcome = Some(OutcomeTold {
                    outcome,
                    case_id: Some(record.case_id),
                    record: Some(format!("{of}/{offset}")),
                    case_version: Some(record.case_version),
                });
                return Ok(());
            }
            if earlier.is_none() {
                each(self.logs, "assignments", &before, self.progress, |record| {
                    let record =
                        assigned(record.value).filter(|r| r.mention_id.as_deref() == Some(mention_id));
                    earlier = record.map(|record| record.case_id).or(earlier.take());
                })?;
            }
        }
        let log = TopicPartition::new(&self.plan.desks, place.partition);
        let commit = self.logs.group_offsets(&self.plan.desk_group, std::slice::from_ref(&log))?;
        if commit.into_iter().next().flatten().is_some_and(|commit| commit.offset > place.offset) {
            let outcome = OutcomeTold { outcome: "copy", case_id: earlier, record: None, case_version: None };
            self.story.outcome = Some(outcome);
        } else {
            self.story.notes.push("the desk has not read it yet".to_owned());
        }
        Ok(())
    }

    /// A case: the mention that opened it, and every record of it.
    pub(super) fn case(&mut self, case: CaseId) -> Result<(), Error> {
        let log = TopicPartition::new(&self.plan.desks, case.partition);
        let topics: BTreeSet<String> = self
            .generations
            .iter()
            .flat_map(|known| known.policy().desks())
            .filter(|desk| desk.log_partition == case.partition)
            .map(|desk| format!("{}{}", self.plan.assignments_prefix, desk.name))
            .collect();
        let opening = match self.logs.bounds(&log) {
            Ok((start, end)) => {
                self.story.searched.push(format!("{log}, which holds offsets {start} to {end}"));
                let one = Stretch { of: log, from: case.offset.max(start), to: (case.offset + 1).min(end) };
                find(self.logs, "desk log", &one, self.progress, |record| {
                    let entry = desk_log::decode(record.offset, record.timestamp, record.value).ok()?;
                    let Event::Mention(mention) = &entry.event else { return None };
                    let same = record.offset == case.offset && mention.input.stream == self.stream;
                    same.then_some((mention.input.partition, mention.input.offset))
                })?
            }
            Err(LogError::Missing(_)) => {
                let partitions = self.partitions_of(&self.plan.desks)?.len();
                let desks = &self.plan.desks;
                self.story.searched.push(format!("`{desks}` has {partitions} partitions, counted from 0"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let key = case.to_string();
        for topic in topics {
            let partitions = self.partitions_of(&topic)?;
            let place = partition_for(key.as_bytes(), partitions.len() as u32) as usize;
            self.story.searched.push(format!("{}", partitions[place]));
            self.case_records(&partitions[place], &key)?;
        }
        if self.story.case.is_empty() {
            return Ok(());
        }
        self.story.found = true;
        match opening {
            Some((partition, offset)) => self.position(partition, offset)?,
            None => {
                self.story.notes.push("the desk log no longer holds the mention that opened it".to_owned())
            }
        }
        Ok(())
    }

    fn case_records(&mut self, of: &TopicPartition, key: &str) -> Result<(), LogError> {
        let [stretch, _] = self.around(of, None)?;
        let case = &mut self.story.case;
        let mut more = 0;
        each(self.logs, "assignments", &stretch, self.progress, |record| {
            if record.key != Some(key.as_bytes()) {
                return;
            }
            let Some(told) = record.value.and_then(|value| serde_json::from_slice::<Assigned>(value).ok())
            else {
                return;
            };
            if case.len() == CASE_RECORDS_MAX {
                more += 1;
                return;
            }
            case.push(CaseRecordTold {
                position: format!("{of}/{}", record.offset),
                what: if told.mention_id.is_none() {
                    format!("closed ({})", told.reason)
                } else {
                    told.reason
                },
                mention_id: told.mention_id.as_deref().map(visible),
                case_version: told.case_version,
                at: rfc3339(record.timestamp),
            });
        })?;
        if more > 0 {
            self.story.notes.push(format!("and {more} records more of the case"));
        }
        Ok(())
    }

    /// A mention by its id: the ledger keeps the hash of it.
    pub(super) fn mention(&mut self, id: &str) -> Result<(), Error> {
        let keys: BTreeSet<[u8; 16]> =
            self.generations.iter().map(|known| known.policy().hash_key()).collect();
        let network = id.split(':').next().unwrap_or_default();
        let keys: Vec<MentionKey> = keys.iter().map(|key| mention_key(network, id, key)).collect();
        let mut places: Vec<(u32, i64, Disposition)> = Vec::new();
        for partition in 0..self.partitions {
            let of = TopicPartition::new(&self.plan.ledger, partition);
            let [stretch, _] = self.around(&of, None)?;
            self.story
                .searched
                .push(format!("{of}, the ledger, for the hash of `{id}` on network `{network}`"));
            let mut seen = BTreeSet::new();
            each(self.logs, "ledger", &stretch, self.progress, |record| {
                let Some(run) = record.value.and_then(|value| ledger::decode(value).ok()) else { return };
                let same =
                    run.entries.iter().filter(|entry| entry.key.is_some_and(|key| keys.contains(&key)));
                for entry in same.filter(|entry| seen.insert(entry.offset)) {
                    places.push((partition, entry.offset, entry.disposition));
                }
            })?;
        }
        let first = places.iter().position(|(.., disposition)| *disposition != Disposition::Duplicate);
        let Some(&(partition, offset, _)) = places.get(first.unwrap_or(0)) else { return Ok(()) };
        places.remove(first.unwrap_or(0));
        let input = &self.plan.input;
        let others =
            places.iter().map(|(partition, offset, d)| format!("{input}/{partition}/{offset}: {}", d.name()));
        self.story.also = others.collect();
        self.position(partition, offset)
    }

    fn partitions_of(&self, topic: &str) -> Result<Vec<TopicPartition>, LogError> {
        let info = self.logs.describe(&[topic])?.pop().flatten();
        let partitions = info.ok_or_else(|| LogError::Missing(topic.to_owned()))?.partitions;
        Ok((0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect())
    }
}

fn expired_entry(offset: i64) -> LedgerEntry {
    let disposition = Disposition::Expired;
    LedgerEntry { offset, disposition, detail: DETAIL_NONE, desk: NONE, queue: NONE, key: None }
}
