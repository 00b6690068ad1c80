//! `triaged tap`: decisions as they are made, one line each, watched from the topics.
//!
//! Owns the loop: ledger runs as they come, each with its mentions by offset. Reads by hand and commits nothing, so it
//! slows nobody; what it cannot keep up with it leaves out, and says how much. Called by the command line.

mod input;
mod line;

pub use line::{DISPOSITIONS, Line};

use crate::audit::reading::Generations;
use crate::audit::{AuditOptions, AuditPlan, plan_of};
use crate::config::Settings;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::log::{LogError, Logs, ReadStep, Reader, TopicPartition};
use crate::wire::ledger::{self, LedgerRun};
use input::Inputs;
use line::Telling;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use triage_engine::model::{Disposition, Millis};
use triage_engine::policy::Search;

/// Mentions that may wait to be looked up. What is decided meanwhile pushes the oldest out.
const PENDING_MAX: usize = 20_000;
/// How long the ledger is waited for at once.
const WAIT: Duration = Duration::from_millis(100);

/// What somebody wants to see.
pub struct Wishes {
    /// Only mentions for which this holds.
    pub query: Option<Search>,
    /// Only these dispositions; empty is all.
    pub dispositions: BTreeSet<Disposition>,
    /// From this time on instead of from now on.
    pub from: Option<Millis>,
    /// End after so many lines.
    pub count: Option<u64>,
}

/// A run of the ledger that waits.
struct Pending {
    partition: u32,
    /// When the ledger's record was written.
    at: Millis,
    /// It was there before we came: history waits for us.
    history: bool,
    run: LedgerRun,
}

/// Watches until it is asked to end or has shown enough. `show` gets each line and says whether anybody still reads;
/// `skipped` is told how many mentions were left out since it was last told.
///
/// # Errors
/// When the topics cannot be read.
pub fn tap(
    settings: &Settings,
    logs: &dyn Logs,
    wishes: Wishes,
    interrupt: &Interrupt,
    show: &mut dyn FnMut(&Line) -> bool,
    skipped: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let plan = plan_of(settings, &AuditOptions::default())?;
    let generations = Generations::read(logs, &plan.policies, &mut |_| {})?;
    let start = Start::ask(logs, &plan, wishes.from)?;
    let telling = Telling::new(&plan.scan, wishes.query);
    let mut tap = Tap::new(logs, &plan, start, generations, telling)?;
    tap.dispositions = wishes.dispositions;
    let mut left = wishes.count.unwrap_or(u64::MAX);
    while left > 0 && !interrupt.is_asked() {
        tap.listen()?;
        if tap.skipped > 0 {
            skipped(std::mem::take(&mut tap.skipped));
        }
        let Some(next) = tap.next() else { continue };
        for line in tap.lines(&next)? {
            if !show(&line) {
                return Ok(());
            }
            left -= 1;
            if left == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where reading of the ledgers begins, and where they ended when we came.
struct Start {
    ledgers: Vec<(TopicPartition, i64)>,
    live_from: Vec<i64>,
}

impl Start {
    fn ask(logs: &dyn Logs, plan: &AuditPlan, from: Option<Millis>) -> Result<Start, LogError> {
        let info = logs.describe(&[&plan.input])?.pop().flatten();
        let partitions = info.ok_or_else(|| LogError::Missing(plan.input.clone()))?.partitions;
        let mut start = Start { ledgers: Vec::new(), live_from: Vec::new() };
        for partition in 0..partitions {
            let ledger = TopicPartition::new(&plan.ledger, partition);
            let (first, end) = logs.bounds(&ledger)?;
            let at = from.map_or(Ok(end), |from| logs.offset_at(&ledger, from))?;
            start.live_from.push(end);
            start.ledgers.push((ledger, at.clamp(first, end)));
        }
        Ok(start)
    }
}

struct Tap<'a> {
    logs: &'a dyn Logs,
    plan: &'a AuditPlan,
    generations: Generations,
    ledger: Box<dyn Reader>,
    live_from: Vec<i64>,
    inputs: Inputs<'a>,
    telling: Telling,
    dispositions: BTreeSet<Disposition>,
    pending: VecDeque<Pending>,
    /// Entries in `pending`.
    waiting: usize,
    /// Entries left out since it was last told.
    skipped: u64,
}

impl<'a> Tap<'a> {
    fn new(
        logs: &'a dyn Logs,
        plan: &'a AuditPlan,
        start: Start,
        generations: Generations,
        telling: Telling,
    ) -> Result<Tap<'a>, LogError> {
        Ok(Tap {
            logs,
            plan,
            generations,
            ledger: logs.reader(&start.ledgers)?,
            live_from: start.live_from,
            inputs: Inputs::new(logs, &plan.input),
            telling,
            dispositions: BTreeSet::new(),
            pending: VecDeque::new(),
            waiting: 0,
            skipped: 0,
        })
    }

    /// Takes in what the ledger has; waits for it when nothing is to do. While history waits, no more of it is read.
    fn listen(&mut self) -> Result<(), LogError> {
        if self.waiting >= PENDING_MAX && self.pending.iter().any(|pending| pending.history) {
            return Ok(());
        }
        let wait = if self.pending.is_empty() { WAIT } else { Duration::ZERO };
        let ReadStep::Records(records) = self.ledger.read(wait)? else { return Ok(()) };
        let partition = records.partition().partition;
        for record in records.iter() {
            let Some(mut run) = record.value.and_then(|value| ledger::decode(value).ok()) else { continue };
            if !self.dispositions.is_empty() {
                run.entries.retain(|entry| self.dispositions.contains(&entry.disposition));
            }
            if run.entries.is_empty() {
                continue;
            }
            self.waiting += run.entries.len();
            let history = record.offset < self.live_from[partition as usize];
            self.pending.push_back(Pending { partition, at: record.timestamp, history, run });
        }
        while self.waiting > PENDING_MAX && self.pending.len() > 1 && self.pending.iter().all(|p| !p.history)
        {
            self.skipped += self.next().map_or(0, |pending| pending.run.entries.len() as u64);
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Pending> {
        let next = self.pending.pop_front()?;
        self.waiting -= next.run.entries.len();
        Some(next)
    }

    /// The lines of one run, its mentions read.
    fn lines(&mut self, pending: &Pending) -> Result<Vec<Line>, LogError> {
        let run = &pending.run;
        if self.generations.get(&run.generation).is_none() {
            // Another policy came in force after we did.
            self.generations = Generations::read(self.logs, &self.plan.policies, &mut |_| {})?;
        }
        let compiled = self.generations.get(&run.generation).cloned();
        let policy = compiled.as_ref().map(|compiled| compiled.policy());
        let records = self.inputs.read(pending.partition, &run.entries)?;
        let mut lines = Vec::new();
        for entry in &run.entries {
            let value = records.get(&entry.offset).and_then(|value| value.as_deref());
            let position = format!("{}/{}/{}", self.plan.input, pending.partition, entry.offset);
            lines.extend(self.telling.line(entry, position, pending.at, value, policy));
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::embedded::Cluster;
    use crate::log::NewTopic;
    use crate::wire::ledger::{LedgerEntry, NONE};
    use std::sync::Arc;
    use triage_engine::policy::Generation;

    fn run(first: i64, entries: usize) -> Vec<u8> {
        let entry = |offset| LedgerEntry {
            offset,
            disposition: Disposition::Noise,
            detail: 0,
            desk: NONE,
            queue: NONE,
            key: None,
        };
        let run = LedgerRun {
            semantics: triage_engine::SEMANTICS,
            generation: Generation([7; 32]),
            plan_epoch: 0,
            now: Millis(5),
            expired: None,
            superseding: None,
            entries: (first..first + entries as i64).map(entry).collect(),
        };
        let mut bytes = Vec::new();
        ledger::encode(&run, &mut bytes);
        bytes
    }

    /// What three runs of 15,000 decisions each leave to be shown and what is left out, `history` of them being there
    /// when somebody comes.
    fn watched(history: i64) -> (usize, u64) {
        let cluster = Cluster::new(Arc::new(SystemClock::new()));
        let settings = Settings::default();
        let plan = plan_of(&settings, &AuditOptions::default()).unwrap();
        let topics = [&plan.input, &plan.ledger, &plan.policies];
        let topic =
            |name: &String| NewTopic { name: name.clone(), partitions: 1, replication: 1, config: vec![] };
        cluster.create(&topics.map(topic)).unwrap();
        let of = TopicPartition::new(&plan.ledger, 0);
        for first in [0, 15_000, 30_000] {
            cluster.append(&of, None, Some(&run(first, 15_000))).unwrap();
        }
        let generations = Generations::read(&cluster, &plan.policies, &mut |_| {}).unwrap();
        let start = Start { ledgers: vec![(of, 0)], live_from: vec![history] };
        let mut tap = Tap::new(&cluster, &plan, start, generations, Telling::new(&plan.scan, None)).unwrap();
        tap.listen().unwrap();
        (tap.waiting, tap.skipped)
    }

    #[test]
    fn what_cannot_be_kept_up_with_is_left_out_and_counted_and_history_is_shown_whole() {
        assert_eq!(watched(0), (15_000, 30_000));
        assert_eq!(watched(3), (45_000, 0));
    }
}
