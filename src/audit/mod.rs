//! `triaged audit`: reads input, ledger and outputs from outside and proves the invariants, or lists what breaks one.
//!
//! Owns the order in which the logs are asked where they end, which is what makes the answers of a running system
//! agree: what is promised before what it was promised for. May use logs through `log`'s traits only, and may write
//! nothing. Memory follows the audited offsets (`slots`), never the bytes of records. Called by the command line.

mod again;
mod decide;
mod desk;
mod effects;
pub(crate) mod reading;
mod report;
mod slots;
#[cfg(test)]
mod tests;
mod verb;

pub(crate) use decide::{agrees, entry_text};
pub use report::{DeskReport, FINDINGS_MAX, Finding, FindingKind, PartitionReport, Report};
pub use slots::OFFSETS_MAX;
pub use verb::{AuditOptions, Shown, plan_of, time, verb};

use crate::log::{Commit, LogError, Logs, TopicPartition};
use crate::shard::ledger_tail::LedgerNote;
use crate::worker::ScanSettings;
use reading::{Generations, Stretch};
use slots::Partition;
use std::collections::BTreeSet;
use triage_engine::model::{Millis, StreamId};
use triage_engine::plans::PlanState;

/// What is audited.
#[derive(Clone)]
pub struct AuditPlan {
    /// The input topic.
    pub input: String,
    /// Its ledger.
    pub ledger: String,
    /// The desk log.
    pub desks: String,
    /// Desk snapshots, for desk logs that were trimmed.
    pub snapshots: String,
    /// Dead letters.
    pub dead_letter: String,
    /// Policy bundles.
    pub policies: String,
    /// The control topic.
    pub control: String,
    /// What stands before a desk's name in its topic's.
    pub assignments_prefix: String,
    /// The group that reads the input.
    pub triage_group: String,
    /// The group that reads the desk log.
    pub desk_group: String,
    /// How mentions are read, as the daemon reads them.
    pub scan: ScanSettings,
    /// Every so many offsets one record is decided again; 1 decides all, 0 none.
    pub sample_every: u64,
    /// Only records at or after this time.
    pub from: Option<Millis>,
    /// Only records before this time.
    pub to: Option<Millis>,
}

impl AuditPlan {
    /// Whether a record of this time is asked for. Logs are read whole, since one record explains another; found is only
    /// what is wrong with these.
    fn asks_for(&self, at: Millis) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

/// How far an audit has come.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is being read.
    pub stage: &'static str,
    /// Which partition.
    pub of: &'a TopicPartition,
    /// Offsets done.
    pub done: i64,
    /// Offsets in all.
    pub all: i64,
}

/// Where every log begins and ends, asked in an order that makes it safe to compare them.
struct Extent {
    stream: StreamId,
    control: StreamId,
    input: Vec<Stretch>,
    starts: Vec<i64>,
    commits: Vec<Option<i64>>,
    /// Up to where each ledger is done, by the commits.
    noted: Vec<i64>,
    desk_commits: Vec<Option<i64>>,
    assignments: Vec<Stretch>,
    desks: Vec<Stretch>,
    dead_letter: Vec<Stretch>,
    ledgers: Vec<Stretch>,
}

/// The parts that every pass works with.
struct Audit<'a> {
    logs: &'a dyn Logs,
    plan: &'a AuditPlan,
    progress: &'a mut dyn FnMut(Step<'_>),
    generations: Generations,
    /// Requests that brought mentions back, as far as the control topic still has them.
    plans: PlanState,
    extent: Extent,
    partitions: Vec<Partition>,
    trimmed: Vec<desk::Start>,
    report: Report,
}

/// Audits.
///
/// # Errors
/// When a log cannot be read, or more offsets are asked for than [`OFFSETS_MAX`]: choose a stretch of time then.
pub fn audit(
    logs: &dyn Logs,
    plan: &AuditPlan,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Report, LogError> {
    let generations = Generations::read(logs, &plan.policies, progress)?;
    let extent = Extent::ask(logs, plan, &generations)?;
    let plans = reading::plans(logs, &plan.control, progress)?;
    let offsets: i64 = extent.input.iter().map(|stretch| stretch.to - stretch.from).sum();
    if offsets > OFFSETS_MAX {
        let why =
            format!("{offsets} offsets are more than one audit takes ({OFFSETS_MAX}): choose less time");
        return Err(LogError::Fatal(why));
    }
    let mut report = Report { input: plan.input.clone(), ..Report::default() };
    generations.faults.iter().for_each(|fault| report.note(fault.clone()));
    let partitions =
        (extent.input.iter().zip(&extent.starts).zip(&extent.commits)).map(|((stretch, &start), &c)| {
            Partition::new(stretch, start, c, stretch.from == 0 && plan.from.is_none())
        });
    let partitions = partitions.collect();
    let trimmed = Vec::new();
    let mut audit = Audit { logs, plan, progress, generations, plans, extent, partitions, trimmed, report };
    audit.read_ledgers()?;
    audit.find_starts()?;
    audit.read_desk_logs()?;
    audit.read_dead_letters()?;
    audit.read_input()?;
    audit.close_partitions();
    audit.report.note_commits_of(&plan.triage_group);
    audit.check_desks()?;
    Ok(audit.report)
}

impl Extent {
    /// Commits first, then what they promise, then what that rests on: so everything that a commit or an effect
    /// rests on lies below the end that was asked after it, however fast the daemon works meanwhile.
    fn ask(logs: &dyn Logs, plan: &AuditPlan, generations: &Generations) -> Result<Extent, LogError> {
        let topics: BTreeSet<String> = generations
            .iter()
            .flat_map(|known| known.policy().desks())
            .map(|desk| format!("{}{}", plan.assignments_prefix, desk.name))
            .collect();
        let input = count(logs, &plan.input)?;
        let of_input: Vec<TopicPartition> = parts(&plan.input, input.1);
        let of_desks: Vec<TopicPartition> = parts(&plan.desks, count(logs, &plan.desks)?.1);
        let offset = |commit: &Option<Commit>| commit.as_ref().map(|commit| commit.offset);
        let note = |commit: &Option<Commit>| {
            let note = commit.as_ref().and_then(|commit| LedgerNote::from_text(&commit.metadata));
            note.map_or(0, |note| note.open)
        };
        let commits = logs.group_offsets(&plan.triage_group, &of_input)?;
        let (commits, noted) = (commits.iter().map(offset).collect(), commits.iter().map(note).collect());
        let desk_commits = logs.group_offsets(&plan.desk_group, &of_desks)?.iter().map(offset).collect();
        let mut assignments = Vec::new();
        for topic in &topics {
            let Some(info) = logs.describe(&[topic])?.into_iter().next().flatten() else { continue };
            assignments.extend(stretches(logs, parts(topic, info.partitions))?);
        }
        let dead_letter = stretches(logs, parts(&plan.dead_letter, count(logs, &plan.dead_letter)?.1))?;
        let desks = stretches(logs, of_desks)?;
        let ledgers = ledger_stretches(logs, parts(&plan.ledger, input.1))?;
        let mut input_stretches = stretches(logs, of_input)?;
        let starts = input_stretches.iter().map(|stretch| stretch.from).collect();
        for stretch in &mut input_stretches {
            let to = plan.to.map_or(Ok(stretch.to), |to| logs.offset_at(&stretch.of, to))?;
            let from = plan.from.map_or(Ok(stretch.from), |from| logs.offset_at(&stretch.of, from))?;
            stretch.to = to.min(stretch.to);
            stretch.from = from.clamp(stretch.from.min(stretch.to), stretch.to);
        }
        let (stream, input) = (input.0, input_stretches);
        let control = count(logs, &plan.control)?.0;
        Ok(Extent {
            stream,
            control,
            input,
            starts,
            commits,
            noted,
            desk_commits,
            assignments,
            desks,
            dead_letter,
            ledgers,
        })
    }
}

fn parts(topic: &str, partitions: u32) -> Vec<TopicPartition> {
    (0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect()
}

fn stretches(logs: &dyn Logs, of: Vec<TopicPartition>) -> Result<Vec<Stretch>, LogError> {
    of.into_iter()
        .map(|of| {
            let (from, to) = logs.bounds(&of)?;
            Ok(Stretch { of, from, to })
        })
        .collect()
}

/// Of input partitions that were added before the ledger's nothing can have been decided.
fn ledger_stretches(logs: &dyn Logs, of: Vec<TopicPartition>) -> Result<Vec<Stretch>, LogError> {
    of.into_iter()
        .map(|of| match logs.bounds(&of) {
            Err(LogError::Missing(_)) if of.partition > 0 => Ok(Stretch { of, from: 0, to: 0 }),
            bounds => bounds.map(|(from, to)| Stretch { of, from, to }),
        })
        .collect()
}

fn count(logs: &dyn Logs, topic: &str) -> Result<(StreamId, u32), LogError> {
    let info = logs.describe(&[topic])?.into_iter().next().flatten();
    info.map(|info| (info.id, info.partitions)).ok_or_else(|| LogError::Missing(topic.to_owned()))
}
