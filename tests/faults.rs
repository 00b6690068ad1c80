//! The daemon's process against a real broker while everything around it fails: killed, frozen, joined, left, cut off.
//!
//! Owns the faults; what must come of them is the oracle's. Each test prints its seed: `TRIAGED_FAULT_SEED` replays it,
//! `TRIAGED_FAULT_MENTIONS` changes how many mentions the largest one sends. No test looks at how long anything took.

#[path = "common/faults.rs"]
mod common;

use common::broker::OwnBroker;
use common::daemon::{Fleet, FleetOptions, read_all};
use common::kafka;
use common::load::{PARTITIONS, alone, audited, feed, feed_on, points, seed, settled};
use common::mentions::{Fate, Mentions, Random, Sent, asked, mention};
use common::oracle::judge;
use std::time::Duration;
use triaged::log::{Logs, Outgoing, TopicPartition};

/// How many mentions the largest test sends unless told otherwise.
const MENTIONS: u64 = 300_000;
/// How many are sent after the frozen instance woke up.
const AFTERWARDS: usize = 2_000;

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
    audited(&fleet, name);
    assert!(verdict.under_second > 0, "the second policy was in force before the end");
}

#[test]
fn the_oracle_sees_what_is_lost_doubled_or_made_up() {
    let name = "oracle";
    let _alone = alone();
    let fleet = Fleet::new(kafka::bootstrap(), "oracle", PARTITIONS, FleetOptions::default());
    feed(&fleet, 7, 2_000);
    let daemon = fleet.start("a");
    fleet.finish(&[&daemon]);
    daemon.terminate();
    judge(&fleet, &asked).expect_right(name);
    let first = |topic: &str, partition: u32| {
        let mut found = None;
        read_all(&fleet.logs, topic, partition + 1, |of, record| {
            let value = record.value.expect("a value").to_vec();
            if of == partition && found.is_none() && value.len() > 64 {
                found = Some((record.key.map(<[u8]>::to_vec), value));
            }
        });
        found.expect("a record")
    };
    let mut producer = fleet.logs.producer("forger").expect("a producer");
    let mut forge = |topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]| {
        let mut batch = Outgoing::default();
        batch.push(key, Some(value));
        kafka::send(producer.as_mut(), &TopicPartition::new(topic, partition), &batch);
    };
    let ((care_key, care), (desk_key, mut desk)) =
        (first(&fleet.assignments("care"), 0), first(&fleet.desks(), 0));
    let other = String::from_utf8(care.clone()).expect("text").replace("care.general", "care.other");
    forge(&fleet.assignments("care"), 0, care_key.as_deref(), other.as_bytes());
    forge(&fleet.assignments("tech"), 0, care_key.as_deref(), &care);
    let text = desk.windows(5).position(|window| window == b"order").expect("every text speaks of an order");
    desk[text..text + 5].copy_from_slice(b"pizza");
    forge(&fleet.desks(), 0, desk_key.as_deref(), &desk);
    let late = mention(5_000_000, 1, "question", Fate::Care, PARTITIONS);
    forge(&fleet.input(), late.partition, Some(&late.key), &late.value);
    forge(
        &fleet.dead_letter(),
        0,
        None,
        br#"{"topic":"t","partition":0,"offset":0,"length":1,"sha256":"","reason":"not_json"}"#,
    );
    let found = judge(&fleet, &asked).findings().join("\n");
    for part in [
        "(x:5000000) has no ledger entry",
        "in other words",
        "does not follow from the desk log",
        "repeats (",
        "is not what was decided",
        ": committed ",
    ] {
        assert!(found.contains(part), "the oracle did not see `{part}` in:\n{found}");
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
    audited(&fleet, name);
}

#[test]
fn what_a_client_with_a_small_buffer_has_no_room_for_is_neither_lost_nor_reordered() {
    let name = "no room";
    let _alone = alone();
    let seed = seed(name);
    let count = 80_000;
    let (broker, address) = OwnBroker::start();
    let fleet = Fleet::new(&address, "room", PARTITIONS, FleetOptions::default());
    feed(&fleet, seed, count);
    let mut random = Random(seed);
    // A lane may have twice as many bytes in flight as its producer has room for.
    let small = [
        ("TRIAGED__LIMITS__BUFFER_MIB", "64"),
        ("TRIAGED__TRIAGE__LANES", "8"),
        ("TRIAGED__LOG__LEVEL", "debug"),
    ];
    let daemon = fleet.start_with("a", &small);
    for point in points(&mut random, 4, count) {
        settled(&fleet, &[&daemon], point);
        // What was read goes on being decided; once the broker goes on, the ledger's answers come all at once.
        broker.does("freeze");
        std::thread::sleep(Duration::from_millis(1_500 + random.below(1_000)));
        broker.does("thaw");
    }
    fleet.finish(&[&daemon]);
    let full = daemon.log().matches("the client's buffer is full").count();
    println!("{name}: {full} times a producer had no room");
    assert!(full > 0, "the buffers were never full: this run shows nothing");
    daemon.terminate();
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count, "what was sent is what the log holds");
    // On a slow machine the broker may stand still for longer than a session: then repeats are in order, and told above.
    audited(&fleet, name);
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
    audited(&fleet, name);
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
        let more: Vec<Sent> = (0..AFTERWARDS).map(|_| more.next()).map(renamed).collect();
        fleet.send(producer.as_mut(), &more);
        fleet.finish(&[&first, &second]);
        first.ready();
        first.terminate();
        fleet.finish(&[&second]);
        second.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, count + AFTERWARDS as u64, "what was sent is what the log holds");
    audited(&fleet, name);
}

#[test]
fn partitions_added_to_the_input_are_read_also_after_a_restart_that_gives_the_instance_its_old_place() {
    let name = "grown";
    let _alone = alone();
    let seed = seed(name);
    let mut fleet = Fleet::new(kafka::bootstrap(), "grow", 2, FleetOptions::default());
    let daemon = fleet.start("a");
    feed_on(&fleet, &mut Mentions::new(seed, 2, 2_000), 2_000);
    fleet.finish(&[&daemon]);
    daemon.terminate();
    for topic in [fleet.ledger(), fleet.input()] {
        kafka::tool("topics", &["--alter", "--topic", &topic, "--partitions", "4"]);
    }
    fleet.partitions = 4;
    let daemon = fleet.start("a");
    daemon.ready();
    let mut more = Mentions::new(seed ^ 1, 4, 2_000);
    let more: Vec<Sent> = (0..AFTERWARDS).map(|_| more.next()).map(renamed).collect();
    fleet.send(fleet.logs.producer("feeder").expect("a producer").as_mut(), &more);
    fleet.finish(&[&daemon]);
    assert!(
        daemon.log().contains("partitions that nobody reads"),
        "it was given them: this run shows nothing"
    );
    daemon.terminate();
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, 2_000 + AFTERWARDS as u64, "what was sent is what the log holds");
    audited(&fleet, name);
}

/// The record with another id.
fn renamed(sent: Sent) -> Sent {
    let text = String::from_utf8(sent.value).expect("records are UTF-8");
    let value = text.replacen(r#""mention_id":"x:"#, r#""mention_id":"x:late-"#, 1).into_bytes();
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
    audited(&fleet, name);
    verdict.expect_no_repeats(name);
}
