//! Bringing mentions back: the owner of an input partition does what a request on the control topic asks of it.
//!
//! Owns the steps: survey the ledger, write where the request's end lies, read the mentions again, decide them, and say
//! so once all is out. May not send effects: the shard does (`triage_release`), by the rules that hold for all runs. A
//! new owner takes a request up by surveying the ledger again. Stepped by the triage lane, between other work.

use super::survey::{Decided, Place, Survey, rule_index};
use super::triage::TriageShard;
use super::triage_release::Batch;
use crate::log::{LogError, Logs, Producer, ReadStep, Reader, Records};
use crate::policies::{BuildMatcher, Compiled, InForce, Policies};
use crate::wire::ledger::{self, LedgerRun, Superseding};
use crate::worker::{Job, JobTicket, Lift, Scanning};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::{Disposition, Millis, StreamId};
use triage_engine::plans::{ReleaseCounts, ReleaseRequest, Taken};
use triage_engine::policy::{Generation, RuleIndex};
use triage_engine::triage::{Decision, Verdict};

/// Records that are scanned in one go: a lane must not be away for long.
const BATCH: usize = 256;
/// Runs in flight at most, so that a large request leaves room for what comes in.
const RUNS_MAX: usize = 8;
/// How long a step waits for records.
const WAIT: Duration = Duration::from_millis(1);
/// Milliseconds by which the clocks of producers may be ahead of the ledger's: what was decided is looked for from so
/// long before the request's time range.
const CLOCKS_APART_MS: i64 = 86_400_000;

/// What a step works with.
pub struct Means<'a> {
    /// The cluster.
    pub logs: &'a dyn Logs,
    /// The policies.
    pub policies: &'a Policies,
    /// How matchers are built.
    pub matcher: BuildMatcher,
    /// The policy in force.
    pub now: &'a InForce,
    /// Which log the input is.
    pub stream: StreamId,
    /// One thread's scanning.
    pub scanning: &'a mut Scanning,
}

/// One request at one input partition, under way.
pub struct Release {
    place: Place,
    request: Option<ReleaseRequest>,
    /// Ledger records of the request from here on may not have had their effects.
    owed_from: i64,
    /// Where in the ledger surveys begin.
    ledger_from: i64,
    survey: Survey,
    /// The index of the request's rule in each policy that was met.
    rules: BTreeMap<Generation, Option<RuleIndex>>,
    below: i64,
    phase: Phase,
    counts: ReleaseCounts,
}

enum Phase {
    Survey { reader: Box<dyn Reader>, stalled: Option<Records> },
    Read(Box<Reading>),
    Settle,
}

/// The mentions that are read again.
struct Reading {
    reader: Option<Box<dyn Reader>>,
    from: i64,
    open: BTreeMap<i64, Decided>,
    owed: BTreeMap<i64, Decided>,
    /// Dead letters that stay dead letters have their record already.
    were_dead: bool,
    stalled: Option<Records>,
}

/// How far a step came.
pub enum Step {
    /// Something is left to do.
    Goes(Box<Release>),
    /// All is out and acknowledged.
    Done(Place, Option<Box<ReleaseRequest>>, Box<ReleaseCounts>),
}

impl Release {
    /// Begins with the request at `place`; `request` is `None` when the control topic has forgotten it, and only what
    /// the ledger holds of it is handed out.
    ///
    /// # Errors
    /// When the logs cannot be asked.
    pub fn begin(
        logs: &dyn Logs,
        shard: &TriageShard,
        place: Place,
        request: Option<ReleaseRequest>,
    ) -> Result<Release, LogError> {
        let ledger = shard.ledger_partition().clone();
        let (start, _) = logs.bounds(&ledger)?;
        let from = match request.as_ref().and_then(|request| Some(request.from?.min(request.at))) {
            Some(at) => logs.offset_at(&ledger, at.plus(-CLOCKS_APART_MS))?.max(start),
            None => start,
        };
        let owed_from = shard.owed().find(|&(owed, _)| owed == place).map_or(i64::MAX, |(_, at)| at);
        let reader = logs.reader(&[(ledger, from)])?;
        Ok(Release {
            place,
            survey: Survey::new(place, request.as_ref().map(|request| request.what.clone()))
                .owing_from(owed_from),
            request,
            owed_from,
            ledger_from: from,
            rules: BTreeMap::new(),
            below: 0,
            phase: Phase::Survey { reader, stalled: None },
            counts: ReleaseCounts::default(),
        })
    }

    /// Goes on.
    ///
    /// # Errors
    /// When a log cannot be read: the request is begun anew later, which repeats nothing that the ledger has.
    pub fn step(
        mut self,
        means: &mut Means<'_>,
        shard: &mut TriageShard,
        out: &mut dyn Producer,
    ) -> Result<Step, LogError> {
        match &mut self.phase {
            Phase::Survey { .. } => self.look(means, shard, out)?,
            Phase::Read(_) if shard.releases_in_flight() >= RUNS_MAX => {}
            Phase::Read(_) => self.read(means, shard, out)?,
            Phase::Settle if shard.releases_in_flight() > 0 => {}
            Phase::Settle if self.survey.ceiling().is_some_and(|ceiling| ceiling < self.below) => {
                self.survey_on(means.logs, shard)?;
            }
            Phase::Settle => {
                shard.owe(self.place, None);
                return Ok(Step::Done(self.place, self.request.map(Box::new), Box::new(self.counts)));
            }
        }
        Ok(Step::Goes(Box::new(self)))
    }

    /// All that one survey could remember is out: begins with what lies above.
    fn survey_on(&mut self, logs: &dyn Logs, shard: &TriageShard) -> Result<(), LogError> {
        let floor = self.survey.ceiling().expect("invariant: only called above a ceiling");
        let reader = logs.reader(&[(shard.ledger_partition().clone(), self.ledger_from)])?;
        let what = self.request.as_ref().map(|request| request.what.clone());
        self.survey = Survey::above(self.place, what, floor).owing_from(self.owed_from);
        self.phase = Phase::Survey { reader, stalled: None };
        Ok(())
    }

    /// Reads on in the ledger.
    fn look(
        &mut self,
        means: &mut Means<'_>,
        shard: &mut TriageShard,
        out: &mut dyn Producer,
    ) -> Result<(), LogError> {
        let Phase::Survey { reader, stalled } = &mut self.phase else { return Ok(()) };
        let records = match stalled.take() {
            Some(records) => records,
            None => match reader.read(WAIT)? {
                ReadStep::Nothing => return Ok(()),
                ReadStep::Records(records) => records,
                ReadStep::End(..) => return self.begin_reading(means, shard, out),
            },
        };
        // What cannot be read was told when the shard was restored, or stopped it.
        let runs: Vec<(i64, LedgerRun)> = records
            .iter()
            .filter_map(|record| Some((record.offset, ledger::decode(record.value?).ok()?)))
            .collect();
        // What was brought back before is counted by its desk, whose name its policy knows.
        let is_here = |run: &LedgerRun| {
            run.superseding.is_none() || means.policies.get(run.generation, means.matcher).is_some()
        };
        let are_here = runs.iter().all(|(_, run)| is_here(run));
        if !are_here || !runs.iter().all(|(_, run)| self.knows(run.generation, means)) {
            let Phase::Survey { stalled, .. } = &mut self.phase else { return Ok(()) };
            *stalled = Some(records);
            return Ok(());
        }
        for (at, run) in runs {
            self.survey.take(at, &run, self.rules[&run.generation]);
        }
        Ok(())
    }

    /// Whether it is known what the rule's index is under this policy.
    fn knows(&mut self, generation: Generation, means: &Means<'_>) -> bool {
        if self.rules.contains_key(&generation) {
            return true;
        }
        let index = match self.request.as_ref().map(|request| &request.what) {
            Some(what @ Taken::ByRule(_)) => match means.policies.get(generation, means.matcher) {
                Some(policy) => rule_index(what, policy.policy()),
                None => return false,
            },
            Some(Taken::AsDeadLetter(_)) | None => None,
        };
        self.rules.insert(generation, index);
        true
    }

    /// The ledger is known: writes where the request ends, if nobody has, and begins to read the mentions.
    fn begin_reading(
        &mut self,
        means: &mut Means<'_>,
        shard: &mut TriageShard,
        out: &mut dyn Producer,
    ) -> Result<(), LogError> {
        self.below = match self.survey.below() {
            Some(below) => below,
            None => {
                let below = shard.committed_offset();
                let of = Superseding { log: self.place.log, request: self.place.request, below };
                shard.begin_release(means.now.policy.generation(), means.now.epoch, of, out);
                below
            }
        };
        for (_, decided) in self.survey.done() {
            count(&mut self.counts, &decided.entry.disposition, || {
                let policy = means.policies.get(decided.generation, means.matcher)?;
                Some(policy.policy().desks().get(usize::from(decided.entry.desk))?.name.clone())
            });
        }
        let owed_from = self.owed_from;
        let owed: BTreeMap<i64, Decided> = self
            .survey
            .done()
            .filter(|(_, decided)| decided.at >= owed_from)
            .map(|(offset, decided)| (offset, *decided))
            .collect();
        let open: BTreeMap<i64, Decided> =
            self.survey.open(self.below).map(|(offset, decided)| (offset, *decided)).collect();
        let first = owed.keys().next().into_iter().chain(open.keys().next()).min().copied();
        let Some(first) = first else {
            self.phase = Phase::Settle;
            return Ok(());
        };
        let (start, _) = means.logs.bounds(shard.input())?;
        let were_dead = matches!(self.request.as_ref().map(|r| &r.what), Some(Taken::AsDeadLetter(_)));
        let from = first.max(start);
        let reading = Reading { reader: None, from, open, owed, were_dead, stalled: None };
        self.phase = Phase::Read(Box::new(reading));
        Ok(())
    }

    /// Reads on in the input.
    fn read(
        &mut self,
        means: &mut Means<'_>,
        shard: &mut TriageShard,
        out: &mut dyn Producer,
    ) -> Result<(), LogError> {
        let Phase::Read(reading) = &mut self.phase else { return Ok(()) };
        let records = match reading.next(means.logs, shard)? {
            Next::Nothing => return Ok(()),
            Next::Records(records) => records,
            Next::Over => {
                self.end_reading();
                return Ok(());
            }
        };
        let (from, to) = self.request.as_ref().map_or((None, None), |request| (request.from, request.to));
        let mut rest = Records::new(records.partition().clone());
        let mut batches = Batches::default();
        for record in records.iter() {
            let Some(found) = reading.find(record.offset) else { continue };
            let generation = match found {
                Found::Owed(decided) => Some(decided.generation),
                Found::Open => None,
            };
            let out_of_range = from.is_some_and(|from| record.timestamp < from)
                || to.is_some_and(|to| record.timestamp >= to);
            if generation.is_none() && out_of_range {
                reading.open.remove(&record.offset);
                continue;
            }
            if !batches.take(generation, &record, records.partition()) {
                rest.push(record.offset, record.timestamp, record.key, record.value);
            }
        }
        if !rest.is_empty() {
            reading.stalled = Some(rest);
        }
        let Some((generation, records)) = batches.0 else { return Ok(()) };
        self.decide(generation, records, means, shard, out);
        Ok(())
    }

    /// Decides what was read and hands it to the shard; what the ledger has is obeyed.
    fn decide(
        &mut self,
        generation: Option<Generation>,
        records: Records,
        means: &mut Means<'_>,
        shard: &mut TriageShard,
        out: &mut dyn Producer,
    ) {
        let Phase::Read(reading) = &mut self.phase else { return };
        let policy = match generation {
            Some(generation) => means.policies.get(generation, means.matcher),
            None => Some(means.now.policy.clone()),
        };
        let Some(policy) = policy else {
            // Its bundle is on its way here; the records are looked at again then.
            reading.put_back(records);
            return;
        };
        let lift = match (generation, self.request.as_ref().map(|request| &request.what)) {
            (Some(_), _) => Lift::Everything,
            (None, Some(what)) => rule_index(what, policy.policy()).map_or(Lift::Nothing, Lift::Rule),
            (None, None) => unreachable!("invariant: a request that is not known has nothing open"),
        };
        let of_batch = records.iter().filter_map(|record| Some(reading.owed.get(&record.offset)?.at));
        let obeyed_from = generation.and(of_batch.min());
        let mut scanned = scan(means, records, &policy, lift);
        let mut decisions = Vec::with_capacity(scanned.records.len());
        for record in &mut scanned.records {
            let decision = match (generation, reading.owed.remove(&record.offset)) {
                (Some(_), Some(owed)) => decision_of(&owed),
                _ => {
                    reading.open.remove(&record.offset);
                    shard.decide_again(record.verdict, !reading.were_dead)
                }
            };
            if generation.is_none() {
                let desk = policy.policy().desks().get(usize::from(decision.desk));
                count(&mut self.counts, &decision.disposition, || desk.map(|desk| desk.name.clone()));
            }
            if reading.were_dead && decision.disposition == Disposition::DeadLetter {
                record.body = 0..0;
            }
            decisions.push(decision);
        }
        let of = Superseding { log: self.place.log, request: self.place.request, below: self.below };
        let batch = Batch {
            scanned,
            decisions,
            of,
            obeyed_from,
            are_new_keys: reading.were_dead,
            plan_epoch: means.now.epoch,
        };
        if obeyed_from.is_some() {
            // What a later survey will find may be owed as well.
            let rest = reading.still_owed().chain(self.survey.owed_above()).min();
            shard.owe(self.place, rest);
        }
        shard.release(batch, out);
    }

    /// What was not found is gone from the input; it stays what it was.
    fn end_reading(&mut self) {
        let Phase::Read(reading) = &self.phase else { return };
        let (from, to) = self.request.as_ref().map_or((None, None), |request| (request.from, request.to));
        let in_range = |at: Millis| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
        self.counts.gone += reading.open.values().filter(|decided| in_range(decided.now)).count() as u64;
        if let Some(offset) = reading.owed.keys().next() {
            let lost = reading.owed.len();
            tracing::error!(
                lost,
                offset,
                "mentions were to be brought back, and retention has taken them first"
            );
        }
        self.phase = Phase::Settle;
    }
}

enum Found<'a> {
    Owed(&'a Decided),
    Open,
}

enum Next {
    Nothing,
    Records(Records),
    Over,
}

impl Reading {
    fn find(&self, offset: i64) -> Option<Found<'_>> {
        match self.owed.get(&offset) {
            Some(decided) => Some(Found::Owed(decided)),
            None => self.open.contains_key(&offset).then_some(Found::Open),
        }
    }

    /// The ledger records of what is owed and not handed out; what was not found below the next record is gone.
    fn still_owed(&self) -> impl Iterator<Item = i64> + '_ {
        let next = self.stalled.as_ref().and_then(Records::span).map_or(self.from, |(first, _)| first);
        self.owed.range(next..).map(|(_, decided)| decided.at)
    }

    fn put_back(&mut self, records: Records) {
        let mut all: BTreeMap<i64, (&Records, usize)> = BTreeMap::new();
        let rest = self.stalled.take();
        for records in rest.iter().chain([&records]) {
            all.extend(records.iter().enumerate().map(|(index, record)| (record.offset, (records, index))));
        }
        let mut merged = Records::new(records.partition().clone());
        for (records, index) in all.into_values() {
            let record = records.get(index);
            merged.push(record.offset, record.timestamp, record.key, record.value);
        }
        self.stalled = Some(merged);
    }

    /// The next records of the input; those that retention has taken are skipped.
    fn next(&mut self, logs: &dyn Logs, shard: &TriageShard) -> Result<Next, LogError> {
        if let Some(records) = self.stalled.take() {
            return Ok(Next::Records(records));
        }
        let last = self.owed.keys().next_back().into_iter().chain(self.open.keys().next_back()).max();
        if last.is_none_or(|&last| last < self.from) {
            return Ok(Next::Over);
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(logs.reader(&[(shard.input().clone(), self.from)])?),
        };
        match reader.read(WAIT) {
            Ok(ReadStep::Nothing) => Ok(Next::Nothing),
            Ok(ReadStep::End(..)) => Ok(Next::Over),
            Ok(ReadStep::Records(records)) => {
                self.from = records.span().map_or(self.from, |(_, last)| last + 1);
                Ok(Next::Records(records))
            }
            Err(LogError::OutOfRange { start, .. }) => {
                (self.reader, self.from) = (None, self.from.max(start));
                Ok(Next::Nothing)
            }
            Err(error) => Err(error),
        }
    }
}

/// The records of one scan: all under one policy, obeyed or decided.
#[derive(Default)]
struct Batches(Option<(Option<Generation>, Records)>);

impl Batches {
    /// Takes a record, unless it belongs to another scan.
    fn take(
        &mut self,
        generation: Option<Generation>,
        record: &crate::log::Record<'_>,
        of: &crate::log::TopicPartition,
    ) -> bool {
        let (known, records) = self.0.get_or_insert_with(|| (generation, Records::new(of.clone())));
        let fits = *known == generation && records.len() < BATCH;
        if fits {
            records.push(record.offset, record.timestamp, record.key, record.value);
        }
        fits
    }
}

fn scan(
    means: &mut Means<'_>,
    records: Records,
    policy: &Arc<Compiled>,
    lift: Lift,
) -> crate::worker::Scanned {
    let range = 0..records.len();
    // A job names where its result goes; here it is taken at once.
    let (reply, _answers) = crossbeam::channel::unbounded();
    let ticket = JobTicket { incarnation: 0, sequence: 0 };
    let (records, stream, policy) = (Arc::new(records), means.stream, policy.clone());
    means.scanning.scan(&Job { records, range, policy, stream, killers: Vec::new(), lift, ticket, reply })
}

fn decision_of(decided: &Decided) -> Decision {
    let entry = &decided.entry;
    Decision { disposition: entry.disposition, detail: entry.detail, desk: entry.desk, queue: entry.queue }
}

fn count(counts: &mut ReleaseCounts, disposition: &Disposition, desk: impl FnOnce() -> Option<String>) {
    match disposition {
        Disposition::Queued => *counts.queued.entry(desk().unwrap_or_default()).or_default() += 1,
        Disposition::Noise => counts.noise += 1,
        Disposition::Blocked => counts.blocked += 1,
        Disposition::DeadLetter => counts.dead_letter += 1,
        Disposition::Duplicate => counts.duplicate += 1,
        Disposition::Joined | Disposition::Expired => {}
    }
}

/// The request that a partition works on next: the first by its place that is owed, or that nobody has answered for it.
#[must_use]
pub fn next(
    shard: &TriageShard,
    log: StreamId,
    releases: &triage_engine::plans::Releases,
    told: &BTreeSet<i64>,
) -> Option<(Place, Option<ReleaseRequest>)> {
    let partition = shard.input().partition;
    let asked = releases.iter().find(|(offset, release)| {
        // Partitions that the input was given later hold nothing that the request could name.
        let is_asked = partition < release.request.partitions;
        is_asked && !release.done.contains_key(&partition) && !told.contains(*offset)
    });
    let asked = asked.map(|(&request, _)| Place { log, request });
    let place = shard.owed().next().map(|(place, _)| place).into_iter().chain(asked).min()?;
    let request = (place.log == log).then(|| releases.get(&place.request)).flatten();
    Some((place, request.map(|release| release.request.clone())))
}

impl TriageShard {
    fn decide_again(&mut self, verdict: Verdict, is_known: bool) -> Decision {
        self.engine.decide_again(verdict, is_known)
    }

    /// The shard's ledger.
    #[must_use]
    pub fn ledger_partition(&self) -> &crate::log::TopicPartition {
        &self.ledger.partition
    }
}
