//! A bad rule takes mentions from the real daemon, and `triaged release` brings exactly these back, through a kill -9; and
//! dead letters come through once their cause is mended.
//!
//! Owns what was sent and what must come back. Reads the topics with the readers of the daemon's formats; what else must
//! hold is the audit's. No test looks at how long anything took.

#[path = "common/faults.rs"]
mod common;

use common::daemon::{Daemon, Fleet, FleetOptions, LIMIT, read_all};
use common::kafka;
use common::load::{alone, audited};
use common::mentions::{Fate, Sent, mention};
use std::collections::BTreeMap;
use std::time::Instant;
use triage_engine::desk::Event;
use triaged::log::{Logs, TopicPartition};
use triaged::wire::desk_log;

const PARTITIONS: u32 = 4;
/// One in five speaks of a tombola, which the second policy calls noise.
const MENTIONS: u64 = 5_000;

fn send(fleet: &Fleet, from: u64, count: u64) {
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    let sent: Vec<Sent> = (from..from + count)
        .map(|number| match number % 5 {
            0 => mention(number, number % 400, "tombola", Fate::NoiseLater, PARTITIONS),
            1 => mention(number, number % 400, "television", Fate::Tech, PARTITIONS),
            _ => mention(number, number % 400, "question", Fate::Care, PARTITIONS),
        })
        .collect();
    fleet.send(producer.as_mut(), &sent);
}

/// How often each mention's id lies in the desk logs under a name of its own, and how many records are repeats.
fn handed(fleet: &Fleet) -> (BTreeMap<String, u64>, u64) {
    let (mut names, mut repeats) = (BTreeMap::new(), 0);
    read_all(&fleet.logs, &fleet.desks(), 2, |_, record| {
        let entry = desk_log::decode(record.offset, record.timestamp, record.value).expect("it can be read");
        if let (Some(mark), Event::Mention(mention)) = (entry.source, &entry.event) {
            let new = names.insert(mark.source, mention.mention_id.to_owned()).is_none();
            repeats += u64::from(!new);
        }
    });
    let mut ids = BTreeMap::new();
    names.into_values().for_each(|id| *ids.entry(id).or_default() += 1);
    (ids, repeats)
}

fn json(answer: &(std::process::ExitStatus, String)) -> serde_json::Value {
    assert!(answer.0.success(), "{}", answer.1);
    let end = answer.1.rfind('}').expect("an object");
    serde_json::from_str(&answer.1[..=end]).expect("JSON")
}

/// How many records these partitions have had.
fn records(fleet: &Fleet, topic: &str, partitions: u32) -> i64 {
    let end = |partition| fleet.logs.bounds(&TopicPartition::new(topic, partition));
    (0..partitions).map(|partition| end(partition).expect("the broker answers").1).sum()
}

/// Kills the daemon as soon as a topic has more than `least` records, and starts it anew.
fn killed_once(fleet: &Fleet, daemon: Daemon, (topic, partitions): (&str, u32), least: i64) -> Daemon {
    let deadline = Instant::now() + LIMIT;
    while records(fleet, topic, partitions) <= least {
        assert!(Instant::now() < deadline, "`{topic}` does not grow\n{}", daemon.tail());
    }
    daemon.kill9();
    println!("killed with {} mentions handed to desks", handed(fleet).0.values().sum::<u64>());
    fleet.start("a")
}

#[test]
fn what_a_bad_rule_took_comes_back_exactly_once_through_kills_in_the_middle() {
    let _alone = alone();
    let fleet = Fleet::new(kafka::bootstrap(), "release", PARTITIONS, FleetOptions::default());
    fleet.write_policy(true);
    let daemon = fleet.start("a");
    send(&fleet, 0, MENTIONS);
    fleet.finish(&[&daemon]);
    let (ids, _) = handed(&fleet);
    assert_eq!(ids.len(), 4_000, "the rule has taken a thousand");
    // The rule is mended; what it took stays where it is until somebody asks.
    fleet.write_policy(false);
    daemon.reload();
    let counted = json(&fleet.verb_with("release", &["--rule", "tombola", "--dry-run", "--json"]));
    assert_eq!((counted["found"].as_u64(), counted["gone"].as_u64()), (Some(1_000), Some(0)), "{counted}");
    assert_eq!(handed(&fleet).0.len(), 4_000, "counting asks for nothing");
    let (ledger, desks) = (fleet.ledger(), fleet.desks());
    let written = (records(&fleet, &ledger, PARTITIONS), records(&fleet, &desks, 1));
    let (daemon, answer) = std::thread::scope(|scope| {
        let verb = scope.spawn(|| fleet.verb_with("release", &["--rule", "tombola", "--json"]));
        // Each partition begins with one record, then come those with entries, then a hundred on the desk log, more than its ticks.
        let daemon = killed_once(&fleet, daemon, (&ledger, PARTITIONS), written.0 + i64::from(PARTITIONS));
        let daemon = killed_once(&fleet, daemon, (&desks, 1), written.1 + 100);
        (daemon, verb.join().expect("the verb ends"))
    });
    let answer = json(&answer);
    assert_eq!(answer["brought_back"].as_u64(), Some(1_000), "{answer}");
    assert_eq!(answer["desks"]["care"].as_u64(), Some(1_000), "{answer}");
    assert_eq!(answer["gone"].as_u64(), Some(0), "{answer}");
    fleet.finish(&[&daemon]);
    let (ids, repeats) = handed(&fleet);
    println!("{repeats} records are repeats, which the desk knows");
    assert_eq!(ids.len() as u64, MENTIONS, "every mention is on a desk");
    assert!(ids.values().all(|&times| times == 1), "and each under one name");
    let again = json(&fleet.verb_with("release", &["--rule", "tombola", "--json"]));
    assert_eq!(again["brought_back"].as_u64(), Some(0), "a second request finds nothing left: {again}");
    let wrong = fleet.verb_with("release", &["--rule", "tombolla"]);
    assert_eq!(wrong.0.code(), Some(65), "{}", wrong.1);
    assert!(wrong.1.contains("did you mean `tombola`?"), "{}", wrong.1);
    // What is settled is not sent again by the next start.
    daemon.terminate();
    let daemon = fleet.start("a");
    send(&fleet, MENTIONS + 1, 4);
    fleet.finish(&[&daemon]);
    assert_eq!(handed(&fleet).1, repeats, "a start after a drain repeats nothing");
    daemon.terminate();
    audited(&fleet, "release");
}

#[test]
fn dead_letters_come_through_once_their_cause_is_mended_and_no_copy_comes_twice() {
    let _alone = alone();
    let small =
        FleetOptions { more: "[input]\nmention_bytes_max = 1024\n".to_owned(), ..FleetOptions::default() };
    let mut fleet = Fleet::new(kafka::bootstrap(), "requeue", PARTITIONS, small);
    let daemon = fleet.start("a");
    let long = |number: u64| {
        let mut sent = mention(number, number, "question", Fate::Care, PARTITIONS);
        let text = String::from_utf8(sent.value).expect("text").replace("soon", &"soon ".repeat(300));
        sent.value = text.into_bytes();
        sent
    };
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    fleet.send(producer.as_mut(), &(0..50).map(long).collect::<Vec<_>>());
    fleet.finish(&[&daemon]);
    assert_eq!(handed(&fleet).0.len(), 0, "all are too large");
    let answer = json(&fleet.verb_with("requeue", &["--reason", "too_large", "--json"]));
    assert_eq!(
        (answer["brought_back"].as_u64(), answer["dead_letter"].as_u64()),
        (Some(0), Some(50)),
        "{answer}"
    );
    // What still cannot be decided stays what it is: its letter is not written again, nor by a start.
    daemon.terminate();
    let daemon = fleet.start("a");
    daemon.ready();
    fleet.finish(&[&daemon]);
    assert_eq!(records(&fleet, &fleet.dead_letter(), 2), 50, "each has its one letter");
    daemon.terminate();
    fleet.set_more("");
    let daemon = fleet.start("a");
    // A producer that has sent one of them again meanwhile: it is there once.
    fleet.send(producer.as_mut(), &[long(7)]);
    fleet.finish(&[&daemon]);
    let answer = json(&fleet.verb_with("requeue", &["--json"]));
    assert_eq!(
        (answer["brought_back"].as_u64(), answer["duplicate"].as_u64()),
        (Some(49), Some(1)),
        "{answer}"
    );
    // And a copy that comes later is one.
    fleet.send(producer.as_mut(), &[long(9)]);
    fleet.finish(&[&daemon]);
    let (ids, _) = handed(&fleet);
    assert_eq!(ids.len(), 50);
    assert!(ids.values().all(|&times| times == 1), "{ids:?}");
    let refused = fleet.verb_with("requeue", &["--reason", "crashed"]);
    assert_eq!(refused.0.code(), Some(64), "{}", refused.1);
    daemon.terminate();
    audited(&fleet, "requeue");
}
