//! Reads a stretch of one partition to its end as it stood when the audit began.
//!
//! Owns the patience with a silent broker, and the view of all the bundles ever published. May not judge what it
//! reads. Called by every pass of `audit`, and by `explain`.

use super::Step;
use crate::clock::Deadline;
use crate::log::{LogError, Logs, ReadStep, Record, TopicPartition};
use crate::policies::Compiled;
use crate::wire::control;
use crate::wire::policies::Assembler;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::desk::{DeskPolicies, DeskSettings};
use triage_engine::plans::PlanState;
use triage_engine::policy::{Bundle, Desk, Generation};
use triage_engine::scan::{Literal, Matcher, ReferenceMatcher};

/// How long a broker may say nothing at all before it counts as away.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(200);

/// A stretch of one partition: the first offset, and the one after the last.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) of: TopicPartition,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Calls `take` for every record of the stretch, in order.
pub(crate) fn each(
    logs: &dyn Logs,
    stage: &'static str,
    stretch: &Stretch,
    progress: &mut dyn FnMut(Step<'_>),
    mut take: impl FnMut(&Record<'_>),
) -> Result<(), LogError> {
    let all = |record: &Record<'_>| {
        take(record);
        None::<()>
    };
    find(logs, stage, stretch, progress, all).map(|_| ())
}

/// Calls `look` for the records of the stretch, in order, until it has found what it looks for.
pub(crate) fn find<T>(
    logs: &dyn Logs,
    stage: &'static str,
    stretch: &Stretch,
    progress: &mut dyn FnMut(Step<'_>),
    mut look: impl FnMut(&Record<'_>) -> Option<T>,
) -> Result<Option<T>, LogError> {
    let Stretch { of, from, to } = stretch;
    if from >= to {
        return Ok(None);
    }
    let mut reader = logs.reader(&[(of.clone(), *from)])?;
    let mut patience = Deadline::after(SILENCE_MAX);
    loop {
        match reader.read(WAIT)? {
            ReadStep::Nothing if patience.is_over() => {
                return Err(LogError::Away(format!("{of} gives nothing and no end within {SILENCE_MAX:?}")));
            }
            ReadStep::Nothing => continue,
            ReadStep::End(..) => return Ok(None),
            ReadStep::Records(records) => {
                let mut inside = records.iter().take_while(|record| record.offset < *to);
                if let Some(found) = inside.find_map(|record| look(&record)) {
                    return Ok(Some(found));
                }
                let Some((_, last)) = records.span() else { continue };
                progress(Step { stage, of, done: last.min(to - 1) + 1 - from, all: to - from });
                if last + 1 >= *to {
                    return Ok(None);
                }
            }
        }
        patience = Deadline::after(SILENCE_MAX);
    }
}

/// What the control topic says.
pub(super) fn plans(
    logs: &dyn Logs,
    topic: &str,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<PlanState, LogError> {
    let of = TopicPartition::new(topic, 0);
    let (from, to) = logs.bounds(&of)?;
    let mut plans = PlanState::new();
    each(logs, "control", &Stretch { of, from, to }, progress, |record| {
        control::fold(&mut plans, record.offset, record.key, record.value);
    })?;
    Ok(plans)
}

/// Every policy that was ever published and is still there, compiled with the reference matcher, the oracle.
pub(crate) struct Generations {
    known: BTreeMap<Generation, Arc<Compiled>>,
    /// What could not be used, in sentences.
    pub(crate) faults: Vec<String>,
}

impl Generations {
    pub(crate) fn read(
        logs: &dyn Logs,
        topic: &str,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Generations, LogError> {
        let of = TopicPartition::new(topic, 0);
        let (from, to) = logs.bounds(&of)?;
        let mut assembler = Assembler::new();
        let mut generations = Generations { known: BTreeMap::new(), faults: Vec::new() };
        each(logs, "policies", &Stretch { of, from, to }, progress, |record| {
            match assembler.feed(record.key.unwrap_or_default(), record.value) {
                Ok(None) => {}
                Ok(Some((generation, bytes))) => generations.add(generation, &bytes),
                Err(error) => generations.faults.push(error.to_string()),
            }
        })?;
        for (generation, why) in assembler.incomplete() {
            generations.faults.push(format!("policy {generation} is not whole: {why}"));
        }
        Ok(generations)
    }

    fn add(&mut self, generation: Generation, bytes: &[u8]) {
        let bundle = match Bundle::from_bytes(bytes) {
            Ok(bundle) => bundle,
            Err(error) => return self.faults.push(format!("policy {generation}: {error}")),
        };
        match Compiled::new(&bundle, reference) {
            Ok(compiled) => drop(self.known.insert(generation, Arc::new(compiled))),
            Err(mistakes) => {
                self.faults
                    .push(format!("policy {generation} does not compile: {} mistakes", mistakes.len()));
            }
        }
    }

    pub(crate) fn get(&self, generation: &Generation) -> Option<&Arc<Compiled>> {
        self.known.get(generation)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.known.values()
    }

    /// A desk by its name under a policy.
    pub(crate) fn desk(&self, generation: &Generation, name: &str) -> Option<&Desk> {
        self.known.get(generation)?.policy().desks().iter().find(|desk| desk.name == name)
    }
}

fn reference(literals: &[Literal]) -> Arc<dyn Matcher> {
    Arc::new(ReferenceMatcher::new(literals))
}

impl DeskPolicies for Generations {
    fn settings(&self, generation: &Generation, desk: &str) -> DeskSettings {
        let desk = self.desk(generation, desk).expect("invariant: the fold asked whether it is known before");
        DeskSettings { case_lapse_ms: desk.case_lapse_ms, mentions_per_case_max: desk.mentions_per_case_max }
    }
}
