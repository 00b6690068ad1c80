//! What metrics cost a mention: nanoseconds for settling runs of records with everything that is counted of them.
//!
//! The same walk over decisions with and without `TriageCounts::settle`, by turns: of each round the best of many passes, of
//! the rounds the median. Leaves its rows for docs/performance.md; asserts nothing about time. `cargo bench --bench
//! metrics_cost`, and part of `make bench`.

#[path = "common/mod.rs"]
mod common;

use common::measure::{Results, Rounds, thread_cpu};
use common::{in_earnest, number};
use std::hint::black_box;
use triage_engine::model::{Disposition, Millis};
use triage_engine::policy::Policy;
use triage_engine::triage::{DETAIL_NONE, Decision, ROUTE_NONE, Verdict};
use triaged::counters::{Counters, Slot};
use triaged::shard::triage::TriageCounts;
use triaged::worker::ScannedRecord;

/// Records of a run; the lanes' runs are of some hundreds under load.
const RUN: usize = 500;
/// Runs in flight: as in a lane, what is settled was written a moment ago and lies in the processor's caches.
const RUNS: usize = 16;

fn policy() -> Policy {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy");
    let files = triaged::policy_folder::read_policy_folder(std::path::Path::new(folder))
        .expect("the sample can be read");
    Policy::compile(&files).expect("the sample policy is right")
}

/// One mention in six goes to a queue, one in fifty is a duplicate, the rest is noise, in no order.
fn runs(policy: &Policy) -> Vec<(Vec<ScannedRecord>, Vec<Decision>)> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let queues = policy.queues().len() as u64;
    let mut run = || {
        let mut records = Vec::with_capacity(RUN);
        let mut decisions = Vec::with_capacity(RUN);
        for offset in 0..RUN as i64 {
            let dice = next() % 300;
            let (disposition, queue) = match dice {
                0..50 => (Disposition::Queued, (next() % queues) as u16),
                50..56 => (Disposition::Duplicate, ROUTE_NONE),
                _ => (Disposition::Noise, ROUTE_NONE),
            };
            let desk = policy.queues().get(usize::from(queue)).map_or(ROUTE_NONE, |queue| queue.desk.0);
            decisions.push(Decision { disposition, detail: DETAIL_NONE, desk, queue });
            let timestamp = Millis(1_000_000 + offset / 8);
            records.push(ScannedRecord { offset, timestamp, verdict: Verdict::NotAMention, body: 0..0 });
        }
        (records, decisions)
    };
    (0..RUNS).map(|_| run()).collect()
}

/// The nanoseconds of processor time per mention of the best pass.
fn best(mut pass: impl FnMut()) -> f64 {
    let passes = if in_earnest() { 2_000 } else { 2 };
    let mut once = || {
        let start = thread_cpu();
        pass();
        (thread_cpu() - start).as_nanos() as f64 / (RUN * RUNS) as f64
    };
    (0..passes).map(|_| once()).fold(f64::MAX, f64::min)
}

fn main() {
    let policy = policy();
    let runs = runs(&policy);
    let walk = |decisions: &[Decision]| {
        decisions.iter().fold(0_u64, |sum, decision| sum + u64::from(decision.disposition.code()))
    };
    let slot = Slot::default();
    let mut counts = TriageCounts::default();
    let mut rounds = Rounds::default();
    for _ in 0..number("BENCH_ROUNDS", 9, 2) {
        let without = best(|| {
            for (_, decisions) in &runs {
                black_box(walk(black_box(decisions)));
            }
        });
        let with = best(|| {
            for (records, decisions) in &runs {
                black_box(walk(black_box(decisions)));
                counts.settle(black_box(records), decisions, &policy, Millis(1_000_400));
            }
            // Lanes publish ten times a second, not once per run.
            slot.counters(&Counters {
                latency: counts.latency,
                settled: counts.settled,
                ..Counters::default()
            });
        });
        rounds.add("walk over decisions", without);
        rounds.add("the same, everything counted", with);
        rounds.add("what counting costs", with - without);
    }
    black_box(&counts);
    let mut results = Results::new("metrics_cost");
    for name in ["walk over decisions", "the same, everything counted", "what counting costs"] {
        results.row(name, "ns/mention", rounds.figure(name));
    }
    results.write();
}
