//! The desk side: folds each desk log again and compares what it asks for with what lies on the desks' topics.
//!
//! Owns the second half of I4 and the one-case-per-mention rule. What was trimmed is folded into a snapshot, from
//! which the fold starts; nothing before it is claimed. Memory: 24 bytes a record of a case, one desk log at a time.
//! Called by `audit` last.

use super::Audit;
use super::effects::digest;
use super::reading::{Generations, Stretch, each};
use super::report::{DeskReport, FindingKind, Report};
use crate::log::{LogError, Record, TopicPartition};
use crate::wire::{cloudevents, desk_log, snapshot};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use triage_engine::desk::{DeskLog, Effect, Effects, Event, LogEntry, What};
use triage_engine::model::{CaseId, StreamId};

/// What was taken of one source partition: everything below an offset, and these offsets and ordinals from there on.
type Taken = (i64, BTreeSet<(i64, u64)>);

/// Where the audit of one desk log starts.
pub(super) struct Start {
    /// The state there; `None` when the log was trimmed and no snapshot covers what is gone.
    state: Option<Box<DeskLog>>,
    trimmed: bool,
    /// For each source partition what was taken by then: everything below the first, and these above it.
    taken: BTreeMap<(StreamId, u32), Taken>,
}

impl Start {
    /// Whether the trimmed part may hold the hand-over of this source: a place with its ordinal.
    pub(super) fn may_hold(&self, stream: StreamId, partition: u32, (offset, ordinal): (i64, u64)) -> bool {
        let taken = self.taken.get(&(stream, partition));
        let covered =
            taken.is_some_and(|(below, above)| offset < *below || above.contains(&(offset, ordinal)));
        self.trimmed && (self.state.is_none() || covered)
    }
}

/// One record of a case that the desk log asks for.
#[derive(Debug, Clone, Copy)]
struct Expected {
    case: i64,
    version: u32,
    /// A digest of the facts that a reader acts on.
    facts: u32,
    /// A digest of the first record found, 0 before.
    found: u32,
    /// The entry that asks for it, counted from the fold's start.
    entry: u32,
}

/// What a reader of a desk's topic acts on.
#[derive(Deserialize)]
struct Facts<'a> {
    #[serde(borrow)]
    assignment_id: Cow<'a, str>,
    assignment_epoch: u32,
    #[serde(borrow)]
    desk: Cow<'a, str>,
    #[serde(borrow)]
    queue: Cow<'a, str>,
    #[serde(borrow)]
    policy: Cow<'a, str>,
    #[serde(borrow, default)]
    mention_id: Option<Cow<'a, str>>,
    case_version: u64,
}

impl Facts<'_> {
    fn digest(&self) -> u32 {
        let route = (&*self.desk, &*self.queue, &*self.policy);
        digest((&*self.assignment_id, self.assignment_epoch, route, self.mention_id.as_deref()))
    }
}

impl Audit<'_> {
    /// Finds the state from which each desk log can be folded.
    pub(super) fn find_starts(&mut self) -> Result<(), LogError> {
        let Audit { logs, progress, plan, extent, report, trimmed, .. } = self;
        for stretch in &extent.desks {
            let partition = stretch.of.partition;
            let mut start = Start { state: None, trimmed: stretch.from > 0, taken: BTreeMap::new() };
            if stretch.from == 0 {
                start.state = Some(Box::new(DeskLog::new(partition)));
                trimmed.push(start);
                continue;
            }
            let of = TopicPartition::new(&plan.snapshots, partition);
            let (from, to) = logs.bounds(&of)?;
            let mut records = snapshot::SnapshotRecords::new();
            each(*logs, "snapshots", &Stretch { of, from, to }, *progress, |record| {
                let key = record.key.unwrap_or_default().to_vec();
                match record.value {
                    Some(value) => drop(records.insert(key, value.to_vec())),
                    None => drop(records.remove(&key)),
                }
            })?;
            let manifests = snapshot::manifests(partition, &records);
            let usable = manifests.range(stretch.from..=stretch.to);
            let oldest = usable.filter_map(|(_, manifest)| snapshot::state(manifest, &records).ok()).next();
            start.state = oldest.map(Box::new);
            match &start.state {
                None => report.note(format!(
                    "{} starts at {}, and no snapshot covers what was trimmed: its cases were not audited",
                    stretch.of, stretch.from
                )),
                Some(state) => {
                    let next = state.next_offset();
                    report.note(format!(
                        "{} was trimmed: cases were audited from offset {next} on",
                        stretch.of
                    ));
                    for seen in state.snapshot().seen {
                        let above = seen.taken.iter().copied().collect();
                        start.taken.insert((seen.stream, seen.partition), (seen.committed, above));
                    }
                }
            }
            trimmed.push(start);
        }
        Ok(())
    }

    /// Folds each desk log and compares.
    pub(super) fn check_desks(&mut self) -> Result<(), LogError> {
        for (number, start) in std::mem::take(&mut self.trimmed).into_iter().enumerate() {
            let stretch = self.extent.desks[number].clone();
            let committed = self.extent.desk_commits[number];
            let (partition, from, to) = (stretch.of.partition, stretch.from, stretch.to);
            let counts = DeskReport { partition, from, to, committed, ..DeskReport::default() };
            let Some(state) = start.state else {
                self.report.desks.push(counts);
                continue;
            };
            let from = state.next_offset();
            let mut desk = Desk::new(*state, Stretch { from, ..stretch }, DeskReport { from, ..counts });
            desk.fold(self)?;
            desk.compare(self)?;
            desk.close(self)?;
            self.report.desks.push(desk.counts);
        }
        Ok(())
    }
}

/// One desk log under audit.
struct Desk {
    state: DeskLog,
    stretch: Stretch,
    counts: DeskReport,
    expected: Vec<Expected>,
    /// For each open case the mentions it has, and for each desk and mention the case that has it.
    open: HashMap<i64, Vec<(u32, u128)>>,
    holder: HashMap<(u32, u128), CaseId>,
    /// Where the fold had to end before the log did.
    ended: Option<i64>,
    /// Records asked for by entries before this one may have been taken by retention.
    kept_from: u32,
}

impl Desk {
    fn new(state: DeskLog, stretch: Stretch, counts: DeskReport) -> Desk {
        let (open, holder) = (HashMap::new(), HashMap::new());
        Desk { state, stretch, counts, expected: Vec::new(), open, holder, ended: None, kept_from: 0 }
    }

    /// Folds the log and gathers what must be out.
    fn fold(&mut self, audit: &mut Audit<'_>) -> Result<(), LogError> {
        let Audit { logs, plan, progress, generations, report, .. } = audit;
        let stretch = self.stretch.clone();
        each(*logs, "cases", &stretch, *progress, |record| {
            if self.ended.is_none() {
                let found = self.fold_one(record, generations, report);
                for what in found.into_iter().filter(|_| plan.asks_for(record.timestamp)) {
                    report.find(FindingKind::Doubled, &stretch.of, record.offset, what);
                }
            }
        })?;
        self.expected.sort_unstable_by_key(|expected| (expected.case, expected.version));
        self.counts.expected = self.expected.len() as u64;
        if let Some(offset) = self.ended {
            self.counts.to = offset;
            report.note(format!("{} was not audited from offset {offset} on", self.stretch.of));
        }
        Ok(())
    }

    /// Folds one record; each mention that it puts into a second open case.
    fn fold_one(
        &mut self,
        record: &Record<'_>,
        generations: &Generations,
        report: &mut Report,
    ) -> Vec<String> {
        // What cannot be read was found before; nothing after it can be folded.
        let Ok(entry) = desk_log::decode(record.offset, record.timestamp, record.value) else {
            self.ended = Some(record.offset);
            return Vec::new();
        };
        if let Event::Mention(mention) = &entry.event
            && generations.desk(&mention.generation, mention.desk).is_none()
        {
            report.note(format!(
                "policy {} is not to be had: cases cannot be folded without it",
                mention.generation
            ));
            self.ended = Some(record.offset);
            return Vec::new();
        }
        let mut effects = Effects::new();
        self.state.step(std::slice::from_ref(&entry), generations, &mut effects);
        let mut found = Vec::new();
        for effect in &effects.records {
            self.note_expected(effect, &entry);
            found.extend(self.follow(effect, &entry));
        }
        found
    }

    fn note_expected(&mut self, effect: &Effect, entry: &LogEntry<'_>) {
        let mention = match (&entry.event, effect.what) {
            (Event::Mention(mention), What::AssignmentCreated { .. } | What::MentionAdded) => {
                Some(mention.mention_id)
            }
            _ => None,
        };
        let (assignment, policy) =
            (effect.assignment.to_string(), cloudevents::generation_text(&effect.generation));
        let facts = Facts {
            assignment_id: assignment.into(),
            assignment_epoch: effect.assignment_epoch,
            desk: (&*effect.desk).into(),
            queue: (&*effect.queue).into(),
            policy: policy.into(),
            mention_id: mention.map(Cow::from),
            case_version: effect.case_version,
        };
        self.expected.push(Expected {
            case: effect.case.offset,
            version: u32::try_from(effect.case_version).unwrap_or(u32::MAX),
            facts: facts.digest(),
            found: 0,
            entry: u32::try_from(entry.offset - self.stretch.from).unwrap_or(u32::MAX),
        });
    }

    /// No mention may be in two open cases of one desk.
    fn follow(&mut self, effect: &Effect, entry: &LogEntry<'_>) -> Option<String> {
        if let What::CaseClosed { .. } = effect.what {
            for held in self.open.remove(&effect.case.offset).unwrap_or_default() {
                self.holder.remove(&held);
            }
            return None;
        }
        let Event::Mention(mention) = &entry.event else { return None };
        let held = (digest(&*effect.desk), mention.key.0);
        match self.holder.get(&held) {
            Some(&other) if other != effect.case => Some(format!(
                "mention `{}` is in case {other} and in case {}, both open on desk `{}`",
                mention.mention_id, effect.case, effect.desk
            )),
            Some(_) => None,
            None => {
                self.holder.insert(held, effect.case);
                self.open.entry(effect.case.offset).or_default().push(held);
                None
            }
        }
    }

    /// Reads the topics of the desks that live in this log.
    fn compare(&mut self, audit: &mut Audit<'_>) -> Result<(), LogError> {
        let Audit { logs, progress, generations, report, extent, plan, .. } = audit;
        let mine: BTreeSet<String> = generations
            .iter()
            .flat_map(|known| known.policy().desks())
            .filter(|desk| desk.log_partition == self.stretch.of.partition)
            .map(|desk| format!("{}{}", plan.assignments_prefix, desk.name))
            .collect();
        for stretch in extent.assignments.iter().filter(|stretch| mine.contains(&*stretch.of.topic)) {
            let mut first_entry = None;
            each(*logs, "assignments", stretch, *progress, |record| {
                let (entry, found) = self.compare_one(record);
                for (kind, what) in found.into_iter().filter(|_| plan.asks_for(record.timestamp)) {
                    report.find(kind, &stretch.of, record.offset, what);
                }
                first_entry = first_entry.or(entry);
            })?;
            if stretch.from > 0 {
                self.kept_from = self.kept_from.max(first_entry.unwrap_or(u32::MAX));
                let (of, from) = (&stretch.of, stretch.from);
                report.note(format!("{of} starts at {from}: what stood before was not compared"));
            }
        }
        Ok(())
    }

    /// Compares one record: the entry that asks for it, and what is wrong with it.
    fn compare_one(&mut self, record: &Record<'_>) -> (Option<u32>, Vec<(FindingKind, String)>) {
        let case = record.key.and_then(|key| std::str::from_utf8(key).ok()?.parse::<CaseId>().ok());
        let value = record.value.unwrap_or_default();
        let (Some(case), Ok(facts)) = (case, serde_json::from_slice::<Facts<'_>>(value)) else {
            return (None, vec![(FindingKind::Unreadable, "it is no record of a case".to_owned())]);
        };
        let version = facts.case_version;
        let place = (case.offset, u32::try_from(version).unwrap_or(u32::MAX));
        let index = self.expected.binary_search_by_key(&place, |expected| (expected.case, expected.version));
        let index = index.ok().filter(|_| case.partition == self.stretch.of.partition);
        let Some(index) = index else {
            let opened_in_time = self.ended.is_none() && case.offset >= self.stretch.from;
            if opened_in_time || case.partition != self.stretch.of.partition {
                let what = format!("{} does not ask for case {case} version {version}", self.stretch.of);
                return (None, vec![(FindingKind::Doubled, what)]);
            }
            self.counts.unverified += 1;
            return (None, Vec::new());
        };
        let next = self.expected.get(index + 1).filter(|next| next.case == case.offset);
        let overtaken = next.is_some_and(|next| next.found != 0);
        let expected = &mut self.expected[index];
        let content = digest(value);
        let entry = Some(expected.entry);
        let mut found = Vec::new();
        if expected.found != 0 {
            self.counts.repeats += u64::from(expected.found == content);
            if expected.found != content {
                let what = format!("case {case} version {version} is out a second time, with other content");
                found.push((FindingKind::Doubled, what));
            }
            return (entry, found);
        }
        expected.found = content;
        self.counts.out += 1;
        if expected.facts != facts.digest() {
            let what = format!("case {case} version {version} is not as {} has it", self.stretch.of);
            found.push((FindingKind::Disagrees, what));
        }
        if overtaken {
            let what = format!("case {case} version {version} comes after version {}", version + 1);
            found.push((FindingKind::Reordered, what));
        }
        (entry, found)
    }

    /// What is committed must be out.
    fn close(&mut self, audit: &mut Audit<'_>) -> Result<(), LogError> {
        let Audit { logs, plan, report, .. } = audit;
        let of = &self.stretch.of;
        let from = plan.from.map_or(Ok(self.stretch.from), |at| logs.offset_at(of, at))?;
        let to = plan.to.map_or(Ok(self.stretch.to), |at| logs.offset_at(of, at))?;
        let Some(committed) = self.counts.committed else { return Ok(()) };
        let group = &plan.desk_group;
        let end = logs.bounds(of)?.1;
        if committed > end {
            let what = format!("group {group} has committed {committed}, and the log ends at {end}");
            report.find(FindingKind::CommitPastGap, of, committed, what);
        }
        for expected in self.expected.iter().filter(|expected| expected.found == 0) {
            let offset = self.stretch.from + i64::from(expected.entry);
            if offset >= committed || !(from..to).contains(&offset) {
                continue;
            }
            if expected.entry < self.kept_from {
                self.counts.unverified += 1;
                continue;
            }
            let case = CaseId { partition: of.partition, offset: expected.case };
            let version = expected.version;
            let what = format!(
                "group {group} has committed {committed}, and case {case} version {version}, which this record \
                 asks for, is not out"
            );
            report.find(FindingKind::CommitPastGap, of, offset, what);
        }
        Ok(())
    }
}
