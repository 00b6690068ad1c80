//! The daemon's process against a real broker while everything around it fails: killed, frozen, joined, left, cut off.
//!
//! Owns the faults; what must come of them is the oracle's. Each test prints its seed: `TRIAGED_FAULT_SEED` replays it,
//! `TRIAGED_FAULT_MENTIONS` changes how many mentions the largest one sends. No test looks at how long anything took.

#[path = "common/daemon.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod daemon;
#[path = "common/kafka.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod kafka;
#[path = "common/mentions.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod mentions;
#[path = "common/oracle.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod oracle;

use daemon::{Daemon, Fleet, FleetOptions, until};
use mentions::{Mentions, Random, Sent, asked};
use oracle::judge;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use triaged::log::Logs;

/// Input partitions of every fleet here.
const PARTITIONS: u32 = 8;
/// How many mentions the largest test sends unless told otherwise.
const MENTIONS: u64 = 300_000;
/// How many are sent in one go.
const BATCH: usize = 2_000;

/// One test at a time: they share a broker, and a test that is starved proves nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seed of this run, printed so that it can be replayed.
fn seed(name: &str) -> u64 {
    let given = std::env::var("TRIAGED_FAULT_SEED").ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    let seed = given.unwrap_or(u64::from(now.subsec_nanos()));
    println!("{name}: TRIAGED_FAULT_SEED={seed}");
    seed
}

/// Sends `count` mentions, a batch at a time, as fast as the broker takes them.
fn feed(fleet: &Fleet, seed: u64, count: u64) {
    let mut mentions = Mentions::new(seed, PARTITIONS, count);
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    let mut left = count as usize;
    while left > 0 {
        let batch: Vec<Sent> = (0..left.min(BATCH)).map(|_| mentions.next()).collect();
        left -= batch.len();
        fleet.send(producer.as_mut(), &batch);
    }
}

/// Waits until so many mentions are settled.
fn settled(fleet: &Fleet, daemons: &[&Daemon], least: u64) {
    until(&format!("{least} mentions are settled"), daemons, || {
        let progress = fleet.progress()?;
        if progress as u64 >= least { Ok(()) } else { Err(format!("{progress} are")) }
    });
}

/// Points between a fiftieth and nine tenths of `count`, ascending.
fn points(random: &mut Random, how_many: usize, count: u64) -> Vec<u64> {
    let mut points: Vec<u64> =
        (0..how_many).map(|_| count / 50 + random.below(count * 88 / 100)).collect();
    points.sort_unstable();
    points
}

/// What the project's own audit says of a fleet at rest must agree with the oracle.
fn audited(fleet: &Fleet, name: &str) {
    let (status, said) = fleet.verb("audit", &[]);
    assert!(status.success(), "{name}: the audit finds something, the oracle did not: {status}\n{said}");
    println!("{name}: audit: {}", said.trim().lines().last().unwrap_or_default());
}

#[test]
fn killed_at_ten_random_points_every_mention_is_decided_once_and_nothing_is_lost() {
    let name = "kill -9";
    let _alone = alone();
    let seed = seed(name);
    let given = std::env::var("TRIAGED_FAULT_MENTIONS").ok().and_then(|text| text.parse().ok());
    let count = given.unwrap_or(MENTIONS);
    let fleet = Fleet::new(kafka::bootstrap(), "kill", PARTITIONS, FleetOptions::default());
    let mut random = Random(seed);
    let points = points(&mut random, 10, count);
    println!("{name}: {count} mentions, killed when {points:?} are settled");
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&fleet, seed, count));
        let mut daemon = fleet.start("a");
        for (kill, &point) in points.iter().enumerate() {
            settled(&fleet, &[&daemon], point);
            std::thread::sleep(Duration::from_millis(random.below(150)));
            daemon.kill9();
            daemon = fleet.start("a");
            if kill == 4 {
                fleet.write_policy(true);
                daemon.reload();
            }
        }
        feeder.join().expect("the feeder ends well");
        fleet.finish(&[&daemon]);
        daemon.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count, "what was sent is what the log holds");
    assert!(verdict.under_second > 0, "the second policy was in force before the end");
    audited(&fleet, name);
}

/// A broker of its own that may be killed; stopped and its data deleted at the end.
struct OwnBroker {
    port: String,
}

impl OwnBroker {
    fn start() -> (OwnBroker, String) {
        let near = std::env::var("KAFKA_PORT").ok().and_then(|port| port.parse::<u32>().ok());
        let broker = OwnBroker { port: (near.unwrap_or(19_392) + 100).to_string() };
        let address = broker.does("start");
        (broker, address)
    }

    fn does(&self, what: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        let mut command = Command::new(script);
        let answer = command.arg(what).env("KAFKA_PORT", &self.port).output().expect("scripts/kafka runs");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "scripts/kafka {what}: {said}\nRun scripts/setup, then try again.");
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        let _ = Command::new(script).arg("wipe").env("KAFKA_PORT", &self.port).output();
    }
}

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_nothing_and_the_daemon_goes_on() {
    let name = "broker killed";
    let _alone = alone();
    let seed = seed(name);
    let count = 60_000;
    let (broker, address) = OwnBroker::start();
    let fleet = Fleet::new(&address, "broker", PARTITIONS, FleetOptions::default());
    let mut random = Random(seed);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&fleet, seed, count));
        let daemon = fleet.start("a");
        for point in points(&mut random, 2, count) {
            settled(&fleet, &[&daemon], point);
            broker.does("kill9");
            std::thread::sleep(Duration::from_millis(500 + random.below(2_500)));
            assert_eq!(daemon.status(), None, "the daemon waits for its broker\n{}", daemon.tail());
            broker.does("restart");
        }
        feeder.join().expect("the feeder ends well");
        fleet.finish(&[&daemon]);
        daemon.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count, "what was sent is what the log holds");
}

#[test]
fn an_instance_may_join_and_another_may_leave_under_load() {
    let name = "join and leave";
    let _alone = alone();
    let seed = seed(name);
    let count = 120_000;
    let fleet = Fleet::new(kafka::bootstrap(), "join", PARTITIONS, FleetOptions::default());
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&fleet, seed, count));
        let first = fleet.start("a");
        settled(&fleet, &[&first], count / 10);
        let second = fleet.start("b");
        second.ready();
        settled(&fleet, &[&first, &second], count / 3);
        first.terminate();
        println!("{name}: {:?} settled when the first had left", fleet.progress());
        feeder.join().expect("the feeder ends well");
        fleet.finish(&[&second]);
        second.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count, "what was sent is what the log holds");
    verdict.expect_no_repeats(name);
}

#[test]
fn an_instance_that_froze_longer_than_its_session_harms_nobody_when_it_wakes() {
    let name = "frozen";
    let _alone = alone();
    let seed = seed(name);
    let count = 120_000;
    let fleet = Fleet::new(kafka::bootstrap(), "freeze", PARTITIONS, FleetOptions::default());
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&fleet, seed, count));
        let first = fleet.start("a");
        settled(&fleet, &[&first], count / 10);
        first.freeze();
        let second = fleet.start("b");
        // With every mention settled, the partitions of the frozen one have been taken over.
        feeder.join().expect("the feeder ends well");
        fleet.finish(&[&second]);
        let mut producer = fleet.logs.producer("feeder").expect("a producer");
        first.thaw();
        let mut more = Mentions::new(seed ^ 1, PARTITIONS, count);
        // Other ids than the first feed's.
        let more: Vec<Sent> = (0..BATCH).map(|_| more.next()).map(renamed).collect();
        fleet.send(producer.as_mut(), &more);
        fleet.finish(&[&first, &second]);
        first.ready();
        first.terminate();
        fleet.finish(&[&second]);
        second.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count + BATCH as u64, "what was sent is what the log holds");
}

/// The record with another id.
fn renamed(sent: Sent) -> Sent {
    let text = String::from_utf8(sent.value).expect("records are UTF-8");
    let value = text.replacen(r#""mention_id":"x:"#, r#""mention_id":"x:77"#, 1).into_bytes();
    Sent { value, ..sent }
}

#[test]
fn ended_ten_times_under_load_it_drains_each_time_and_repeats_nothing() {
    let name = "SIGTERM";
    let _alone = alone();
    let seed = seed(name);
    let count = 120_000;
    let fleet = Fleet::new(kafka::bootstrap(), "term", PARTITIONS, FleetOptions::default());
    let mut random = Random(seed);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&fleet, seed, count));
        let mut daemon = fleet.start("a");
        for point in points(&mut random, 10, count) {
            settled(&fleet, &[&daemon], point);
            std::thread::sleep(Duration::from_millis(random.below(150)));
            daemon.terminate();
            daemon = fleet.start("a");
        }
        feeder.join().expect("the feeder ends well");
        fleet.finish(&[&daemon]);
        daemon.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count, "what was sent is what the log holds");
    verdict.expect_no_repeats(name);
}
