//! The engine on one core, without Kafka: the path that the daemon takes, stage by stage, beside a bare loop.
//!
//! Owns the rows and the rounds. Every figure is processor time of this thread; rounds of all rows are interleaved and
//! ratios are taken round by round, so that a busy machine hits both sides. `BENCH_ROUNDS` and `BENCH_MENTIONS` change
//! the size; with `BENCH_PATH_ONLY` nothing but the path runs, for scripts/profile.

mod allocations;
#[path = "../common/mod.rs"]
mod common;
mod path;
mod stages;
mod window;

use common::measure::{Figure, Results, Rounds, short, thread_cpu};
use common::mentions::{Mix, Shape, Stream};
use common::policies::{self, SEED};
use common::{number, queries};
use path::{BATCH, Path};
use stages::{Depth, Stages};
use std::sync::Arc;
use triage_engine::model::Disposition;
use triage_engine::policy::Bundle;
use triaged::log::Records;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting(mimalloc::MiMalloc);

/// One line of the table: a mix under a number of queries.
struct Case {
    name: String,
    mix: Mix,
    terms: usize,
    stream: Stream,
    path: Path,
    stages: Stages,
    /// Queries run for a mention.
    runs: f64,
}

impl Case {
    fn new(mix: Mix, count_queries: usize, mentions: usize) -> Case {
        Case::of(policies::bundle(count_queries, mix), mix, count_queries, "", mentions)
    }

    fn of(bundle: Bundle, mix: Mix, count_queries: usize, what: &str, mentions: usize) -> Case {
        let compiled = policies::compile(&bundle);
        let (wanted, noise) = policies::split();
        let mut stream = Stream::new(mix, Shape::Native(485), mentions, &wanted, &noise, SEED);
        stream.renumber();
        let mut stages = Stages::new(compiled.clone());
        let path = Path::new(compiled);
        let runs = stages.runs(&stream.batches(&path.input, 0, BATCH)[0]);
        Case {
            name: format!("{} {}{what}", short(count_queries as f64), mix.name()),
            mix,
            terms: queries::terms(&bundle),
            stream,
            path,
            stages,
            runs,
        }
    }

    /// The stream once more under new ids, after what went through before.
    fn batches(&mut self) -> Vec<Arc<Records>> {
        self.stream.renumber();
        self.stream.batches(&self.path.input, self.path.next_offset(), BATCH)
    }

    fn round(&mut self, rounds: &mut Rounds) {
        let batches = self.batches();
        let count = self.stream.len() as f64;
        let name = self.name.clone();
        let mut add =
            |what: &str, seconds: f64| rounds.add(&format!("{name}: {what}"), seconds * 1e9 / count);
        add("bare loop", timed(|| self.stages.bare(&batches)));
        let (mut scan, mut accept, mut advance) = (0.0, 0.0, 0.0);
        let allocated = allocations::taken();
        for records in &batches {
            let mut scanned = None;
            scan += timed(|| scanned = Some(self.path.scan(records)));
            let scanned = scanned.expect("just scanned");
            accept += timed(|| self.path.accept(scanned));
            advance += timed(|| self.path.advance());
        }
        let taken = allocations::taken();
        // `add` turns seconds of a round into nanoseconds of a mention; these are counts.
        add("allocations", (taken.0 - allocated.0) as f64 / 1e9);
        add("bytes allocated", (taken.1 - allocated.1) as f64 / 1e9);
        add("whole", scan + accept + advance);
        add("scan stage", scan);
        add("decide, dedup, ledger record", accept);
        add("desk-log records, settle", advance);
        let mut before = 0.0;
        for depth in Depth::ALL {
            let seconds = timed(|| self.stages.run(&batches, depth));
            add(depth.name(), seconds - before);
            before = seconds;
        }
        add("envelope and hand-over", scan - before);
    }

    fn report(&self, rounds: &Rounds, results: &mut Results) {
        let name = |what: &str| format!("{}: {what}", self.name);
        let policy = self.path.compiled.policy();
        let seen = self.stages.seen;
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        println!();
        results.fact(
            &name("input"),
            format!(
                "{} terms, {} distinct literals by {}, {:.0} bytes a mention, {:.1} % of mentions match a query, {:.2} literals found, {:.2} queries run and {:.2} matched a mention",
                self.terms,
                policy.literals().len(),
                self.path.compiled.matcher().name(),
                self.stream.bytes_mean(),
                100.0 * share(seen.matched, seen.mentions),
                share(seen.hits, seen.mentions),
                self.runs,
                share(seen.matches, seen.mentions)
            ),
        );
        let settled = self.path.shard.counts.settled;
        let total: u64 = settled.iter().sum();
        let of = |disposition: Disposition| 100.0 * share(settled[usize::from(disposition.code())], total);
        results.fact(
            &name("outcome"),
            format!(
                "{:.1} % queued, {:.1} % duplicate, {:.1} % noise; {:.1} B of ledger and {:.0} B of desk log a mention",
                of(Disposition::Queued),
                of(Disposition::Duplicate),
                of(Disposition::Noise),
                share(self.path.ledger.bytes, total),
                share(self.path.effects.bytes, total)
            ),
        );
        let rate = |figure: Figure| Figure {
            median: 1e9 / figure.median,
            min: 1e9 / figure.max,
            max: 1e9 / figure.min,
            rounds: figure.rounds,
        };
        results.row(&name("rate"), "mentions/CPU-s", rate(rounds.figure(&name("whole"))));
        results.row(&name("rate of bare loop"), "mentions/CPU-s", rate(rounds.figure(&name("bare loop"))));
        results.row(&name("of bare loop"), "", rounds.ratio(&name("bare loop"), &name("whole")));
        for what in ["whole", "bare loop"] {
            results.row(&name(what), "ns/mention", rounds.figure(&name(what)));
        }
        for depth in Depth::ALL {
            results.row(&name(depth.name()), "ns/mention", rounds.figure(&name(depth.name())));
        }
        for what in [
            "envelope and hand-over",
            "scan stage",
            "decide, dedup, ledger record",
            "desk-log records, settle",
        ] {
            results.row(&name(what), "ns/mention", rounds.figure(&name(what)));
        }
        let once = |value: f64| Figure::of(&[value]);
        results.row(&name("queries run"), "a mention", once(self.runs));
        results.row(&name("queries matched"), "a mention", once(share(seen.matches, seen.mentions)));
        results.row(&name("allocations"), "a mention", rounds.figure(&name("allocations")));
        results.row(&name("bytes allocated"), "a mention", rounds.figure(&name("bytes allocated")));
        self.check(total, &settled);
    }

    /// The mix came out as it was made: a bench of something else is none.
    fn check(&self, total: u64, settled: &[u64]) {
        let share = |disposition: Disposition| settled[usize::from(disposition.code())] as f64 / total as f64;
        let near = |disposition: Disposition, wanted: f64| (share(disposition) - wanted).abs() < 0.03;
        match self.mix {
            Mix::Firehose => {
                assert!(near(Disposition::Queued, 0.1), "{settled:?}");
                assert!(near(Disposition::Duplicate, 0.3), "{settled:?}");
                assert!(near(Disposition::Noise, 0.6), "{settled:?}");
            }
            Mix::AllQueued => assert!(near(Disposition::Queued, 1.0), "{settled:?}"),
        }
        assert_eq!(self.path.shard.committed_offset(), total as i64, "everything is settled");
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let before = thread_cpu();
    work();
    (thread_cpu() - before).as_secs_f64()
}

/// Whether the cost of a mention stays what it was, from 10^5 to 10^7 of them.
fn flat(case: &mut Case, results: &mut Results) {
    let passes = number("BENCH_FLAT", 10_000_000, 0) / case.stream.len();
    let mut cost = Vec::new();
    for _ in 0..passes {
        let batches = case.batches();
        cost.push(timed(|| case.path.run(&batches)) * 1e9 / case.stream.len() as f64);
    }
    for millions in [0.1, 1.0, 10.0] {
        let until = (millions * 1e6) as usize / case.stream.len();
        let from = until.saturating_sub((until / 10).max(1));
        if (1..=cost.len()).contains(&until) {
            let name = format!("cost after {millions} million mentions");
            results.row(&name, "ns/mention", Figure::of(&cost[from..until]));
        }
    }
    let bytes = case.path.shard.engine().window().bytes();
    results.fact("dedup tables at the end", format!("{:.1} MiB", bytes as f64 / 1_048_576.0));
}

/// All cases, and which of them is compared with which: the places of the one of more queries and of the one of few.
fn cases(mentions: usize) -> (Vec<Case>, Vec<(usize, usize)>) {
    let (many, most) = (number("BENCH_QUERIES", 10_000, 2_000), number("BENCH_QUERIES_MOST", 100_000, 3_000));
    let firehose = Mix::Firehose;
    let mut cases: Vec<Case> = [1_000, many]
        .into_iter()
        .flat_map(|queries| [firehose, Mix::AllQueued].map(|mix| Case::new(mix, queries, mentions)))
        .collect();
    cases.push(Case::new(firehose, most, mentions));
    for queries in [1_000, many] {
        let bundle = policies::bundle_of_every_construct(queries, firehose);
        cases.push(Case::of(bundle, firehose, queries, ", every construct", mentions));
    }
    // The most of them match hundreds of queries for each mention, so fewer mentions do.
    let fewer = (mentions / 4).max(4_000);
    for queries in [1_000, many, most] {
        let bundle = policies::bundle_of_real_words(queries, firehose);
        cases.push(Case::of(bundle, firehose, queries, ", real words", fewer));
    }
    (cases, vec![(2, 0), (3, 1), (4, 0), (6, 5), (8, 7), (9, 7)])
}

fn main() {
    let mut results = Results::new("engine");
    for (name, value) in results.facts.clone() {
        println!("{name}: {value}");
    }
    let (count_rounds, mentions) = (number("BENCH_ROUNDS", 7, 1), number("BENCH_MENTIONS", 100_000, 4_000));
    results.fact("seed", SEED);
    results.fact(
        "rounds",
        format!("{count_rounds} of {mentions} mentions each, interleaved, after one that does not count"),
    );
    if std::env::var_os("BENCH_PATH_ONLY").is_some() {
        flat(&mut Case::new(Mix::Firehose, 1_000, mentions), &mut results);
        return;
    }
    let (mut cases, pairs) = cases(mentions);
    let mut rounds = Rounds::default();
    for case in &mut cases {
        case.round(&mut Rounds::default());
    }
    for _ in 0..count_rounds {
        for case in &mut cases {
            case.round(&mut rounds);
        }
    }
    for case in &cases {
        case.report(&rounds, &mut results);
    }
    println!();
    for (many, few) in pairs {
        let [many, few] = [many, few].map(|place| &cases[place].name);
        let ratio = rounds.ratio(&format!("{many}: whole"), &format!("{few}: whole"));
        results.row(&format!("{many} over {few}"), "times", ratio);
    }
    window::rows(&mut results, number("BENCH_IDS", 4_000_000, 20_000), count_rounds);
    flat(&mut cases[0], &mut results);
    results.write();
}
