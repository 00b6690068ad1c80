//! Kafka to Kafka on a real broker: triaged beside bare programs that move the same bytes, each in a process of its own.
//!
//! Owns the order of the parts and their sizes. `KAFKA_BOOTSTRAP` says where the broker is; without it nothing is
//! measured, and that is said. `BENCH_ROUNDS` and `BENCH_MENTIONS` change the size. `BENCH_ONLY` names the part to run, or how its name
//! begins: nothing is written down then. With `BENCH_PERF` the daemon of that part is recorded (scripts/profile).

mod backlog;
mod bare;
#[path = "../common/mod.rs"]
mod common;
mod fleet;
mod kills;
mod open_loop;
mod reload;

use backlog::{Backlog, compare, memory, partitions};
use common::measure::Results;
use common::mentions::{Mix, Shape};
use common::number;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, lanes] = arguments.as_slice()
        && flag == "--bare"
    {
        bare::run(serde_json::from_str(lanes).expect("lanes are JSON"));
    }
    let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP") else {
        println!("kafka: nothing is measured, KAFKA_BOOTSTRAP names no broker (make bench starts one)");
        return;
    };
    let mut results = Results::new("kafka");
    for (name, value) in results.facts.clone() {
        println!("{name}: {value}");
    }
    results.fact("client library", format!("librdkafka {}", rdkafka::util::get_rdkafka_version().1));
    results.fact(
        "broker",
        std::env::var("BENCH_BROKER").unwrap_or_else(|_| "not named (BENCH_BROKER)".to_owned()),
    );
    let (rounds, mentions) = (number("BENCH_ROUNDS", 3, 1), number("BENCH_MENTIONS", 600_000, 4_000));
    results.fact("rounds", format!("{rounds}, triaged and the bare program by turns"));
    let fill = |mix, shape, mentions| Backlog::fill(&bootstrap, mix, shape, mentions, 8);
    let parts = [
        ("firehose 680 B", Mix::Firehose, Shape::Native(680), mentions),
        ("firehose 2.8 KB", Mix::Firehose, Shape::Tweet, mentions / 3),
        ("all-queued 680 B", Mix::AllQueued, Shape::Native(680), mentions / 2),
    ];
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let is_asked_for = |part: &str| part.starts_with(&only);
    let is_one_enough = std::env::var_os("BENCH_PERF").is_some();
    let mut relay = None;
    for (name, mix, shape, mentions) in parts {
        if !is_asked_for(name) {
            continue;
        }
        let backlog = fill(mix, shape, mentions);
        let measured = compare(name, &backlog, 1_000, rounds, &mut results);
        if is_one_enough {
            return;
        }
        relay = (mix == Mix::AllQueued).then_some(measured);
    }
    if is_asked_for("partitions") {
        partitions(&bootstrap, mentions / 2, &mut results);
    }
    if is_asked_for("memory") {
        memory(&bootstrap, 8 * mentions, rounds, &mut results);
    }
    if !["latency", "reload", "kill", "takeover"].iter().any(|part| is_asked_for(part)) {
        return;
    }
    let (recipe, rate) = relay.unwrap_or_else(|| {
        let backlog = fill(Mix::AllQueued, Shape::Native(680), mentions / 6);
        compare("all-queued, for the relay", &backlog, 1_000, 1, &mut results)
    });
    // Half of what it did at full load, in thousands.
    let half = number("BENCH_RATE", (rate / 2_000.0) as usize * 1_000, 400) as u64;
    let seconds = number("BENCH_SECONDS", 15, 3) as u64;
    if is_asked_for("latency") {
        open_loop::latency(&bootstrap, &recipe, half, seconds, rounds, &mut results);
    }
    if is_asked_for("reload") {
        let queries = number("BENCH_QUERIES", 10_000, 200);
        reload::reload(&bootstrap, queries, half / 2, number("BENCH_RELOADS", rounds, 1), &mut results);
    }
    if is_asked_for("kill") {
        kills::kill(&bootstrap, half / 4, number("BENCH_KILLS", 5, 1), &mut results);
    }
    if is_asked_for("takeover") {
        kills::takeover(&bootstrap, half / 4, number("BENCH_KILLS", 5, 1), &mut results);
    }
    if only.is_empty() {
        results.write();
    }
}
