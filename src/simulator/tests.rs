//! The simulator's runs: fixed seeds, random ones for a while, one seed again, and bugs planted to be found.
//!
//! Owns the numbers of runs. `TRIAGED_SEED=<seed>` replays one seed; `TRIAGED_SIMULATE_SECONDS=<n>` says how long
//! random seeds are tried.

use super::{World, run};
use crate::log::TopicPartition;
use crate::shard::planted::{Planted, plant};
use crate::wire::desk_log;
use std::time::{Duration, Instant};
use triage_engine::desk::{Event, QueuedMention};
use triage_engine::model::{AuthorKey, MentionKey, Millis, Position, StreamId};

/// Seeds that every change must pass.
const SEEDS_FIXED: u64 = 256;
/// Seeds within which every planted bug must be found.
const SEEDS_TO_FIND: u64 = 256;

fn run_or_panic(seed: u64) -> super::check::Summary {
    run(seed).unwrap_or_else(|violation| {
        panic!("{violation}\nreplay: TRIAGED_SEED={seed} cargo test --lib simulator::tests::one_seed -- --ignored --nocapture")
    })
}

#[test]
#[ignore = "replays the seed in TRIAGED_SEED"]
fn one_seed() {
    let seed = std::env::var("TRIAGED_SEED").expect("TRIAGED_SEED names the seed to replay");
    let summary = run_or_panic(seed.parse().expect("TRIAGED_SEED is a number"));
    println!("seed {seed} holds: {summary:?}");
}

#[test]
fn nothing_is_lost_doubled_or_reordered_under_any_fixed_seed() {
    let start = Instant::now();
    let mut total = super::check::Summary::default();
    for seed in 0..SEEDS_FIXED {
        let summary = run_or_panic(seed);
        total.mentions += summary.mentions;
        total.crashes += summary.crashes;
        total.repeats += summary.repeats;
        total.records_out += summary.records_out;
        total.brought_back += summary.brought_back;
    }
    let rate = SEEDS_FIXED as f64 / start.elapsed().as_secs_f64();
    println!("{SEEDS_FIXED} seeds at {rate:.1} a second: {total:?}");
    assert!(total.brought_back > 1_000, "too little is brought back: {total:?}");
    assert!(total.crashes > 100 && total.mentions > 10_000, "the seeds exercise too little: {total:?}");
}

#[test]
fn nothing_is_lost_doubled_or_reordered_under_random_seeds() {
    let seconds =
        std::env::var("TRIAGED_SIMULATE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let start = Instant::now();
    let base =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos()
            as u64;
    let mut seeds = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        run_or_panic(base.wrapping_add(seeds) >> 8 << 8 | (seeds & 255) | (1 << 63));
        seeds += 1;
    }
    println!(
        "{seeds} random seeds in {seconds} s, {:.1} a second",
        seeds as f64 / start.elapsed().as_secs_f64()
    );
}

#[test]
fn every_planted_bug_is_found() {
    println!("{:<22} found at seed, by", "planted bug");
    for bug in Planted::ALL {
        plant(Some(bug));
        let found = (0..SEEDS_TO_FIND).find_map(|seed| {
            std::panic::catch_unwind(|| run(seed)).map_or_else(
                |_| Some((seed, "an assertion".to_owned())),
                |outcome| outcome.err().map(|violation| (seed, violation.to_string())),
            )
        });
        plant(None);
        let (seed, how) = found.unwrap_or_else(|| panic!("{bug:?} is not found in {SEEDS_TO_FIND} seeds"));
        println!("{:<22} {:>4} {how}", format!("{bug:?}"), seed + 1);
    }
}

#[test]
fn a_mention_for_a_desk_that_its_policy_does_not_have_stops_that_desk_log_and_names_the_offset() {
    let mut world = World::new(0);
    world.heal();
    (0..50).for_each(|_| world.settle_all());
    let generation = world.feed.bundle(0).generation();
    let foreign = QueuedMention {
        key: MentionKey(1),
        author: AuthorKey(1),
        mention_id: "x:1",
        network: "x",
        author_id: "x:u1",
        author_handle: "",
        desk: "nobody",
        queue: "nobody.all",
        tags: vec![],
        category: "general",
        priority: 0,
        resolution: "either",
        posted_at: Millis(0),
        input: Position { stream: StreamId(1), partition: 0, offset: 0 },
        generation,
        pii_found: vec![],
        pii_redacted: false,
        raw: b"{}",
    };
    let mut value = Vec::new();
    desk_log::encode(None, &Event::Mention(foreign), &mut value);
    let log = TopicPartition::new("triaged.desks", 0);
    let offset = world.cluster.append(&log, None, Some(&value)).expect("the topic exists");
    (0..50).for_each(|_| world.settle_all());
    let alerts = world.cluster.records_from(&TopicPartition::new("triaged.alerts", 0), 0).expect("it exists");
    let told: Vec<String> = alerts
        .iter()
        .map(|alert| String::from_utf8(alert.value.clone().expect("a value")).expect("text"))
        .collect();
    let sentence = format!("record {offset} of triaged.desks/0 cannot be read: it names desk `nobody`");
    assert!(told.iter().any(|alert| alert.contains(&sentence)), "{told:?}");
}
