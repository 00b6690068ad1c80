//! What a triage shard counts.
//!
//! Owns plain numbers, added up by the lane when a shard goes. May not know what they are shown as: that is `admin`.
//! What is counted of each mention is counted for a whole run at once; `benches/metrics_cost.rs` says what it costs.

use crate::counters::{Histogram, LATENCY_BOUNDS_MS, STAGE_BOUNDS_US, Stage, Stages};
use crate::worker::ScannedRecord;
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::model::{DeadLetterReason, Disposition, Millis};
use triage_engine::policy::{Generation, Policy};
use triage_engine::triage::Decision;

/// Of so many records of a run one is asked for its time stamp, and stands for all of them: they lie next to each
/// other in the log.
const LATENCY_EVERY: usize = 32;

/// Neighbours are tallied apart and added up at the end of the run: an addition that had to wait for the one before it
/// on the same number would take as long as all the rest.
const TALLIES: usize = 4;

/// What a shard counts, added up by its lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriageCounts {
    /// Records handed out by the log.
    pub received: u64,
    /// Records settled, by the disposition's code.
    pub settled: [u64; Disposition::ALL.len() + 1],
    /// Records brought back and settled again, by the disposition's code.
    pub released: [u64; Disposition::ALL.len() + 1],
    /// Dead letters settled, by the reason's code.
    pub dead: [u64; DeadLetterReason::ALL.len() + 1],
    /// Ledger records confirmed.
    pub ledger_records: u64,
    /// Records whose ledger entry was obeyed instead of deciding anew.
    pub obeyed: u64,
    /// From the records' time stamps until they were settled, in milliseconds.
    pub latency: Histogram,
    /// How long stages took.
    pub stages: Stages,
    /// Mentions handed to each queue, without those in `routed`: as many names as policies have had.
    assigned: BTreeMap<Arc<str>, Assigned>,
    routed: Routed,
}

/// What one queue was handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The desk that the queue belongs to, under the last policy that handed it something.
    pub desk: Arc<str>,
    /// How many mentions.
    pub mentions: u64,
}

/// What was handed out under one policy, by the place of the queue in it: names are looked up when the policy changes
/// and when somebody asks, not at each run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Routed {
    generation: Option<Generation>,
    /// Each queue with its desk.
    names: Vec<(Arc<str>, Arc<str>)>,
    /// One slot more than queues: for what went to none.
    by_queue: Vec<[u64; TALLIES]>,
}

impl Routed {
    fn new(policy: &Policy) -> Routed {
        let names = policy.queues().iter().map(|queue| {
            let desk = &policy.desks()[usize::from(queue.desk.0)].name;
            (Arc::from(queue.name.as_str()), Arc::from(desk.as_str()))
        });
        let names: Vec<_> = names.collect();
        let by_queue = vec![[0; TALLIES]; names.len() + 1];
        Routed { generation: Some(policy.generation()), names, by_queue }
    }

    fn fold_into(&self, assigned: &mut BTreeMap<Arc<str>, Assigned>) {
        for ((queue, desk), tally) in self.names.iter().zip(&self.by_queue) {
            assign(assigned, queue, desk, tally.iter().sum());
        }
    }
}

impl TriageCounts {
    /// Adds what another shard counted.
    pub fn add(&mut self, other: &TriageCounts) {
        self.received += other.received;
        self.ledger_records += other.ledger_records;
        self.obeyed += other.obeyed;
        self.settled.iter_mut().zip(other.settled).for_each(|(mine, theirs)| *mine += theirs);
        self.released.iter_mut().zip(other.released).for_each(|(mine, theirs)| *mine += theirs);
        self.dead.iter_mut().zip(other.dead).for_each(|(mine, theirs)| *mine += theirs);
        self.latency.add(&other.latency);
        self.stages.iter_mut().zip(&other.stages).for_each(|(mine, theirs)| mine.add(theirs));
        for (queue, theirs) in &other.assigned {
            assign(&mut self.assigned, queue, &theirs.desk, theirs.mentions);
        }
        other.routed.fold_into(&mut self.assigned);
    }

    /// What each queue was handed.
    #[must_use]
    pub fn assigned(&self) -> BTreeMap<Arc<str>, Assigned> {
        let mut assigned = self.assigned.clone();
        self.routed.fold_into(&mut assigned);
        assigned
    }

    /// Counts that a stage of one run took so many microseconds.
    pub fn took(&mut self, stage: Stage, us: u64) {
        self.stages[stage as usize].record(&STAGE_BOUNDS_US, us, 1);
    }

    /// Counts a run of records that are settled at `wall`, decided under `policy`.
    ///
    /// # Panics
    /// When there is not one decision for each record.
    pub fn settle(
        &mut self,
        records: &[ScannedRecord],
        decisions: &[Decision],
        policy: &Policy,
        wall: Millis,
    ) {
        assert_eq!(records.len(), decisions.len(), "a decision for each record");
        if self.routed.generation != Some(policy.generation()) {
            let before = std::mem::replace(&mut self.routed, Routed::new(policy));
            before.fold_into(&mut self.assigned);
        }
        let none = self.routed.names.len();
        let mut settled = [[0_u32; TALLIES]; Disposition::ALL.len() + 1];
        // Without a branch: which of neighbours goes to a queue cannot be foreseen.
        let by_queue = &mut self.routed.by_queue[..=none];
        let mut tally = |decision: &Decision, at: usize| {
            settled[usize::from(decision.disposition.code())][at] += 1;
            by_queue[usize::from(decision.queue).min(none)][at] += 1;
        };
        let neighbours = decisions.chunks_exact(TALLIES);
        neighbours.remainder().iter().for_each(|decision| tally(decision, 0));
        for some in neighbours {
            for (at, decision) in some.iter().enumerate() {
                tally(decision, at);
            }
        }
        for (sum, tally) in self.settled.iter_mut().zip(settled) {
            *sum += total(tally);
        }
        if total(settled[usize::from(Disposition::DeadLetter.code())]) > 0 {
            self.count_dead(decisions);
        }
        for some in records.chunks(LATENCY_EVERY) {
            let age = wall.0.saturating_sub(some[0].timestamp.0).max(0) as u64;
            self.latency.record(&LATENCY_BOUNDS_MS, age, some.len() as u64);
        }
    }

    fn count_dead(&mut self, decisions: &[Decision]) {
        for decision in decisions.iter().filter(|one| one.disposition == Disposition::DeadLetter) {
            let reason = DeadLetterReason::from_code(decision.detail as u8);
            self.dead[reason.map_or(0, |reason| usize::from(reason.code()))] += 1;
        }
    }
}

fn assign(assigned: &mut BTreeMap<Arc<str>, Assigned>, queue: &Arc<str>, desk: &Arc<str>, mentions: u64) {
    if mentions == 0 {
        return;
    }
    let known = assigned.entry(queue.clone()).or_insert_with(|| Assigned { desk: desk.clone(), mentions: 0 });
    known.mentions += mentions;
    known.desk.clone_from(desk);
}

fn total(tally: [u32; TALLIES]) -> u64 {
    tally.into_iter().map(u64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use triage_engine::policy::Bundle;
    use triage_engine::triage::{DETAIL_NONE, ROUTE_NONE, Verdict};

    fn policy() -> Policy {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy");
        let bundle: Bundle =
            crate::policy_folder::read_policy_folder(std::path::Path::new(folder)).expect("the sample");
        Policy::compile(&bundle).expect("the sample is right")
    }

    #[test]
    fn a_settled_run_counts_each_mention_once_by_disposition_queue_and_age() {
        let policy = policy();
        let queue = &policy.queues()[1];
        let decide = |n: usize| match n % 4 {
            0 => (Disposition::Queued, DETAIL_NONE, 1),
            1 => (Disposition::DeadLetter, u32::from(DeadLetterReason::TooDeep.code()), ROUTE_NONE),
            _ => (Disposition::Noise, DETAIL_NONE, ROUTE_NONE),
        };
        let decisions: Vec<Decision> = (0..100)
            .map(decide)
            .map(|(disposition, detail, queue)| Decision { disposition, detail, desk: 0, queue })
            .collect();
        let records: Vec<ScannedRecord> = (0..100)
            .map(|offset| ScannedRecord {
                offset,
                timestamp: Millis(10_000 + offset),
                verdict: Verdict::NotAMention,
                body: 0..0,
            })
            .collect();
        let mut counts = TriageCounts::default();
        counts.settle(&records, &decisions, &policy, Millis(10_900));
        counts.settle(&records[..3], &decisions[..3], &policy, Millis(0));
        assert_eq!(counts.settled.iter().sum::<u64>(), 103);
        assert_eq!(counts.settled[usize::from(Disposition::Queued.code())], 26);
        assert_eq!(counts.dead[usize::from(DeadLetterReason::TooDeep.code())], 26);
        assert_eq!(counts.latency.count(), 103, "no mention is left out by sampling");
        let slot = |ms: u64| LATENCY_BOUNDS_MS.partition_point(|&bound| bound < ms);
        assert_eq!(counts.latency.counts[slot(900)], 100);
        assert_eq!(counts.latency.counts[0], 3, "a record from the future is not yet old");
        let assigned = &counts.assigned()[queue.name.as_str()];
        assert_eq!(
            (&*assigned.desk, assigned.mentions),
            (policy.desks()[usize::from(queue.desk.0)].name.as_str(), 26)
        );

        let mut sum = counts.clone();
        sum.add(&counts);
        sum.settle(&records[..1], &decisions[..1], &policy, Millis(0));
        assert_eq!(sum.assigned()[queue.name.as_str()].mentions, 53);
        assert_eq!((sum.latency.count(), sum.settled.iter().sum::<u64>()), (207, 207));
    }
}
