//! The topics under another policy: what the ledger said of each record, and what it would say.
//!
//! Owns which records are decided again and which stay as they were decided. Reads by hand: no producer is made, no
//! group joined, nothing committed. Called by `mod.rs`.

use super::fold::{Compared, Fold};
use super::judges::{Batch, Judged, Judges};
use super::ledger::{Decided, Entries, Wanted};
use super::report::{Report, Totals};
use super::{Ready, Wishes};
use crate::audit::reading::{Stretch, find};
use crate::audit::{AuditOptions, AuditPlan, Step, plan_of};
use crate::clock::{Clock, Deadline, SystemClock};
use crate::config::Settings;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::log::{LogError, Logs, Record, Records, TopicPartition};
use crate::pipeline::policy;
use crate::policies::{Compiled, Follower, Policies};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::dedup::ExactWindow;
use triage_engine::model::{Disposition, Millis};
use triage_engine::policy::Generation;
use triage_engine::triage::{
    DETAIL_NONE, DETAIL_NOT_A_MENTION, Decision, Event, ROUTE_NONE, Triage, Verdict,
};

/// Records that are decided together, and their bytes.
const BATCH: usize = 1_024;
const BATCH_BYTES: usize = 4 << 20;
/// How long the broker may be silent before it counts as away.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(100);

/// Replays the input topic.
///
/// # Errors
/// 64 for a range that makes no sense, 65 when a policy that decided is not to be had, 78 for a policy with mistakes, 69
/// when no broker answers.
pub(super) fn replay(
    settings: &Settings,
    logs: &dyn Logs,
    wishes: &Wishes,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Report, Error> {
    let options = AuditOptions { from: wishes.from, to: wishes.to, ..AuditOptions::default() };
    let plan = plan_of(settings, &options)?;
    let mut ready = Ready::load(settings, wishes)?;
    let against =
        wishes.against.as_deref().map(|folder| super::compiled(folder, Some("`--against`"))).transpose()?;
    let info = logs.describe(&[&plan.input])?.pop().flatten();
    let partitions = info.ok_or_else(|| LogError::Missing(plan.input.clone()))?.partitions;
    let published = published(logs, &plan, interrupt)?;
    let last = against.clone().or_else(|| published.in_force().map(|now| now.policy));
    let redup = last.as_ref().is_some_and(|last| last.policy().dedup() != ready.after.policy().dedup());
    if let Some(last) = &last {
        ready.note_lasting(last);
    }
    let fold =
        ready.fold(wishes, &plan.input, |input, partition, offset| format!("{input}/{partition}/{offset}"));
    let mut judges = ready.judges(settings)?;
    let mut replay =
        Replay { logs, wishes, plan: &plan, against, published, redup, clock: SystemClock::new(), fold };
    for partition in 0..partitions {
        replay.partition(
            &TopicPartition::new(&plan.input, partition),
            &mut judges,
            (&ready, interrupt),
            progress,
        )?;
        if interrupt.is_asked() {
            break;
        }
    }
    let mut report = replay.fold.close();
    report.interrupted = interrupt.is_asked();
    report.notes.extend(ready.notes);
    if redup {
        let seconds = ready.after.policy().dedup().window_ms / 1_000;
        report.notes.push(format!(
            "[dedup] differs, so copies were found anew from an empty window: what the first {seconds} s repeat of the \
             time before counts as new"
        ));
    }
    if report.totals == Totals::default() {
        report.notes.push(format!("no record of `{}` lies in the range", plan.input));
    }
    Ok(report)
}

/// Every policy that was published, read to the end as it stands.
fn published(logs: &dyn Logs, plan: &AuditPlan, interrupt: &Interrupt) -> Result<Arc<Policies>, LogError> {
    let policies = Policies::new();
    let mut follower = Follower::new(logs, &plan.control, &plan.policies, policies.clone(), policy::matcher)?;
    let mut patience = Deadline::after(SILENCE_MAX);
    while !policies.is_caught_up() && !interrupt.is_asked() {
        if follower.step(WAIT)? {
            patience = Deadline::after(SILENCE_MAX);
        } else if patience.is_over() {
            return Err(LogError::Away(format!("`{}` gives nothing within {SILENCE_MAX:?}", plan.policies)));
        }
    }
    Ok(policies)
}

struct Replay<'a> {
    logs: &'a dyn Logs,
    wishes: &'a Wishes,
    plan: &'a AuditPlan,
    /// The policy of the side before where somebody names a folder; else the one that decided.
    against: Option<Arc<Compiled>>,
    published: Arc<Policies>,
    /// The new policy remembers ids for another time or number: copies are found anew.
    redup: bool,
    clock: SystemClock,
    fold: Fold,
}

impl Replay<'_> {
    fn stretch(&self, of: &TopicPartition) -> Result<(Stretch, i64), LogError> {
        let (start, end) = self.logs.bounds(of)?;
        let at = |time: Option<Millis>, otherwise| {
            time.map_or(Ok(otherwise), |time| self.logs.offset_at(of, time)).map(|at| at.clamp(start, end))
        };
        let (from, to) = (at(self.wishes.from, start)?, at(self.wishes.to, end)?);
        Ok((Stretch { of: of.clone(), from: from.min(to), to }, start))
    }

    fn partition(
        &mut self,
        of: &TopicPartition,
        judges: &mut Judges,
        (ready, interrupt): (&Ready, &Interrupt),
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), Error> {
        let (mut input, start) = self.stretch(of)?;
        let wanted = Wanted { input: &input, start, from: self.wishes.from, to: self.wishes.to };
        let entries = Entries::read(self.logs, &self.plan.ledger, &wanted, interrupt, progress)?;
        if interrupt.is_asked() {
            return Ok(());
        }
        let sides = self.sides(of, &entries)?;
        self.fold.totals.gone += entries.gone;
        self.fold.totals.damaged += entries.damaged;
        for &(generation, offsets) in &entries.expired {
            let expired = Decision {
                disposition: Disposition::Expired,
                detail: DETAIL_NONE,
                desk: ROUTE_NONE,
                queue: ROUTE_NONE,
            };
            self.fold.stays(sides[&generation].before, &expired, offsets);
        }
        let mut part = Part {
            next: input.from,
            entries,
            sides,
            engine: Triage::new(ExactWindow::new(ready.after.policy().dedup())),
            redup: self.redup,
            against: self.against.is_some(),
            wall: self.clock.wall(),
            gathered: None,
            fold: &mut self.fold,
        };
        loop {
            let read = find(self.logs, "input", &input, progress, |record| {
                part.read(record, judges);
                interrupt.is_asked().then_some(())
            });
            match read {
                Ok(_) => break,
                // Retention has overtaken us: what it took is told, and the rest goes on.
                Err(LogError::OutOfRange { start, .. }) if start > part.next => {
                    let start = start.min(input.to);
                    part.fold.totals.gone += part.entries.between(part.next, start);
                    (input.from, part.next) = (start, start);
                }
                Err(error) => return Err(error.into()),
            }
        }
        part.hand_in(judges);
        judges.finish(&mut |judged| part.take(&judged));
        Ok(())
    }

    /// The fold's sides of each policy that decided anything of the stretch.
    fn sides(&mut self, of: &TopicPartition, entries: &Entries) -> Result<BTreeMap<usize, Sides>, Error> {
        let mut sides = BTreeMap::new();
        for (number, share) in entries.shares() {
            let decider = |records| self.decider(entries.generations[number], records, of);
            let (before, own) = match self.against.clone() {
                None => (decider(share.records)?, None),
                Some(against) if share.brought_back == 0 => (against, None),
                Some(against) => (against, Some(decider(share.brought_back)?)),
            };
            let before = self.fold.side(&before);
            sides.insert(number, Sides { before, own: own.map_or(before, |own| self.fold.side(&own)) });
        }
        Ok(sides)
    }

    /// A policy that decided so many records of a partition.
    fn decider(
        &self,
        generation: Generation,
        records: u64,
        of: &TopicPartition,
    ) -> Result<Arc<Compiled>, Error> {
        self.published.get(generation, policy::matcher).ok_or_else(|| {
            let why = match self.published.has_bundle(generation) {
                true => "this release cannot compile it".to_owned(),
                false => format!("`{}` does not hold it", self.plan.policies),
            };
            let what = format!("policy {generation} decided {records} records of {of} in this range, and {why}");
            Error::data(what).hint(match self.against {
                None => "name the folder of the policy before with --against, or choose other times with --from and --to",
                Some(_) => "a request brought them back under it: choose other times with --from and --to",
            })
        })
    }
}

/// The fold's sides of a policy that decided.
#[derive(Debug, Clone, Copy)]
struct Sides {
    /// That of the policy under which its records are decided again.
    before: usize,
    /// Its own, which knows the queues of what a request brought back.
    own: usize,
}

/// One partition under way.
struct Part<'f> {
    /// The offset after the last record that was read.
    next: i64,
    entries: Entries,
    /// By the numbers of the entries' generations.
    sides: BTreeMap<usize, Sides>,
    /// Decides under the policy after; its window is used only where that remembers ids differently.
    engine: Triage,
    redup: bool,
    against: bool,
    wall: Millis,
    /// Records that are not handed in yet.
    gathered: Option<Batch>,
    fold: &'f mut Fold,
}

impl Part<'_> {
    fn read(&mut self, record: &Record<'_>, judges: &mut Judges) {
        self.next = record.offset + 1;
        let Some(decided) = self.entries.of(record.offset) else {
            self.fold.totals.undecided += 1;
            return;
        };
        if !self.is_read_again(&decided) {
            return self.stays(&decided);
        }
        let side = self.sides[&decided.generation].before;
        let full = self.gathered.as_ref().is_some_and(|batch| {
            let records = &batch.records;
            batch.side != side || records.len() >= BATCH || records.bytes() >= BATCH_BYTES
        });
        if full {
            self.hand_in(judges);
        }
        let before = self.fold.policy_of(side).clone();
        let of = self.entries.of_input();
        let empty = || Batch { records: Records::new(of.clone()), before, side };
        let batch = self.gathered.get_or_insert_with(empty);
        batch.records.push(record.offset, record.timestamp, None, record.value);
    }

    /// What the policy has no say in is not read: a dead letter may have killed a process. Where copies are found anew,
    /// whatever has an id is.
    fn is_read_again(&self, decided: &Decided) -> bool {
        let Decision { disposition, detail, .. } = decided.decision;
        match disposition {
            Disposition::DeadLetter | Disposition::Expired => false,
            Disposition::Noise if detail == DETAIL_NOT_A_MENTION => false,
            Disposition::Duplicate | Disposition::Joined => self.redup,
            Disposition::Queued | Disposition::Noise | Disposition::Blocked => {
                self.redup || !decided.brought_back
            }
        }
    }

    /// Counts what the policy has no say in.
    fn stays(&mut self, decided: &Decided) {
        let Sides { before, own } = self.sides[&decided.generation];
        let side = if decided.brought_back { own } else { before };
        self.fold.stays(side, &decided.decision, 1);
        self.fold.totals.brought_back += u64::from(decided.brought_back);
    }

    fn hand_in(&mut self, judges: &mut Judges) {
        if let Some(batch) = self.gathered.take() {
            judges.submit(batch, &mut |judged| self.take(&judged));
        }
    }

    fn take(&mut self, judged: &Judged) {
        let records = &judged.batch.records;
        for (index, finding) in judged.findings.iter().enumerate() {
            let record = records.get(index);
            let decided = self.entries.of(record.offset).expect("invariant: only what was decided is read");
            let Verdict::Mention { key, wish } = finding.verdict else {
                self.fold.totals.unreadable += 1;
                continue;
            };
            let now = record.timestamp.min(self.wall);
            let is_copy = decided.decision.disposition == Disposition::Duplicate;
            if decided.brought_back || decided.decision.disposition == Disposition::Joined {
                let told = Event::Decided { now, key: Some(key), decision: decided.decision };
                self.engine.step(&[told], &mut Vec::new());
                self.stays(&decided);
                continue;
            }
            let after = match self.redup {
                true => self.decide(Event::Record { at: now, verdict: finding.verdict }),
                false => self.engine.decide_again(Verdict::Mention { key, wish }, true),
            };
            let before = match finding.before.filter(|_| self.against && !is_copy) {
                Some(wish) => self.engine.decide_again(Verdict::Mention { key, wish }, true),
                None => decided.decision,
            };
            self.fold.compare(&Compared {
                position: (records.partition().partition, record.offset),
                value: record.value,
                side: judged.batch.side,
                before,
                after,
                matched: judged.matched(finding),
                otherwise: finding.otherwise,
            });
        }
    }

    fn decide(&mut self, event: Event) -> Decision {
        let mut decisions = Vec::with_capacity(1);
        self.engine.step(&[event], &mut decisions);
        decisions.pop().expect("invariant: one decision for each event")
    }
}
