//! The cast against the engine: every record of a scenario must be decided as it says of itself.

use super::*;
use crate::scenario;
use std::collections::BTreeSet;
use triage_engine::dedup::{ExactWindow, mention_key};
use triage_engine::model::{Disposition, Millis};
use triage_engine::triage::{Decision, Event, Triage, Verdict, Wish};

fn shipped_policy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    triaged::demo::write_policy(folder.path()).expect("it can be written");
    folder
}

fn cast(scenario: &Scenario) -> (Cast, Oracle) {
    let folder = shipped_policy();
    let mut oracle = Oracle::of(folder.path()).expect("the policy that ships compiles");
    (Cast::new(scenario, &mut oracle).expect("there are texts for every mix that ships"), oracle)
}

/// What the engine, given the records of one partition in their order, says of each.
struct Engine {
    triages: Vec<Triage>,
    oracle: Oracle,
}

impl Engine {
    fn decide(&mut self, partition: u32, mention: u64, due_ns: u64, value: &[u8]) -> Decision {
        let key = mention_key("x", &format!("x:77.{mention}"), &self.oracle.policy().hash_key());
        let verdict = match self.oracle.ask(value) {
            Expect::DeadLetter(reason) => Verdict::Dead(reason),
            Expect::Queued { desk, queue } => Verdict::Mention { key, wish: Wish::Route { desk, queue } },
            Expect::Noise(rule) => Verdict::Mention { key, wish: Wish::Noise(rule) },
            other => panic!("{other:?} is in no mix"),
        };
        let mut decisions = Vec::new();
        let at = Millis((due_ns / 1_000_000) as i64);
        self.triages[partition as usize].step(&[Event::Record { at, verdict }], &mut decisions);
        decisions[0]
    }
}

fn agrees(expect: &Expect, decision: &Decision) -> bool {
    match (*expect, decision.disposition) {
        (Expect::Queued { desk, queue }, Disposition::Queued) => {
            (desk, queue) == (decision.desk, decision.queue)
        }
        (Expect::Noise(rule), Disposition::Noise) => rule == decision.detail,
        (Expect::Duplicate, Disposition::Duplicate) => true,
        (Expect::DeadLetter(reason), Disposition::DeadLetter) => u32::from(reason.code()) == decision.detail,
        _ => false,
    }
}

#[test]
fn the_engine_decides_every_record_of_every_shipped_scenario_as_the_record_says_of_itself() {
    for (name, _) in scenario::SHIPPED {
        let scenario = scenario::load(name).expect("it ships");
        let (cast, oracle) = cast(&scenario);
        let window = || ExactWindow::new(oracle.policy().dedup());
        let triages = (0..cast.partitions()).map(|_| Triage::new(window())).collect();
        let mut engine = Engine { triages, oracle };
        let mut writer = Writer::new(&cast, "77", 1_795_338_843_120);
        // The whole smoke test; of the long ones the beginning and the spike's, where storms begin.
        let whole = cast.total().min(6_000);
        let spike = (0..scenario.shape.phases().len()).map(|phase| scenario.shape.records(phase));
        let spike = spike.max_by_key(|records| records.end - records.start).expect("a phase");
        let more = spike.start.max(whole)..spike.end.min(spike.start.max(whole) + 3_000);
        for number in (0..whole).chain(more) {
            let (part, due) = (cast.part(number), cast.shape().due_ns(number));
            // A copy of what was passed over would be the first of its kind here.
            if part.of >= whole && part.of < spike.start {
                continue;
            }
            let mut value = Vec::new();
            writer.value(number, &part, due, &mut value);
            let decision = engine.decide(part.partition, part.of, due, &value);
            let expect = cast.outcome(&part);
            assert!(
                agrees(&expect, &decision),
                "{name}, record {number}: {expect:?} is expected, {decision:?} came\n{}",
                String::from_utf8_lossy(&value)
            );
        }
    }
}

#[test]
fn every_record_carries_its_number_its_due_time_and_what_should_become_of_it() {
    let scenario = scenario::load("smoke").expect("it ships");
    let (cast, _) = cast(&scenario);
    let mut writer = Writer::new(&cast, "77", 1_795_338_843_120);
    let mut wants = BTreeSet::new();
    for number in 0..cast.total() {
        let part = cast.part(number);
        let mut value = Vec::new();
        writer.value(number, &part, cast.shape().due_ns(number), &mut value);
        let found = mention::find(&mention::marker("77"), &value).expect("the marker is found again");
        assert_eq!(found.number, number);
        assert!(mention::position(found.rest, cast.want(&part)).is_some_and(|at| at < 32));
        if let Role::Poison(_) = part.role {
            continue;
        }
        let json: serde_json::Value = serde_json::from_slice(&value).expect("it is JSON");
        assert_eq!(json["storm"]["due_ns"], cast.shape().due_ns(number));
        assert_eq!(json["mention_id"], format!("x:77.{}", part.of));
        assert_eq!(json["storm"]["want"], cast.outcome(&part).disposition());
        wants.insert(json["storm"]["want"].to_string());
    }
    assert_eq!(wants.len(), 3, "queued, noise and duplicate all occur: {wants:?}");
}

#[test]
fn shares_lengths_partitions_and_copies_are_what_the_scenario_asks_for() {
    for name in ["firehose", "record-second-2013"] {
        let scenario = scenario::load(name).expect("it ships");
        let (cast, _) = cast(&scenario);
        let census = cast.census();
        let share = |what: &str| census.by_disposition[what] as f64 / census.records as f64;
        assert!((share("queued") - 0.10).abs() < 0.005, "{name}: {census:?}");
        assert!((share("duplicate") - 0.30).abs() < 0.005, "{name}: {census:?}");
        assert!((share("noise") - 0.60).abs() < 0.005, "{name}: {census:?}");
        let fair = census.records / 8;
        assert!(census.by_partition.iter().all(|&records| records.abs_diff(fair) < fair / 20), "{census:?}");
        let mut writer = Writer::new(&cast, "77", 0);
        let (mut bytes, mut exact) = (Vec::new(), 0);
        for number in 0..2_000 {
            bytes.clear();
            let part = cast.part(number);
            writer.value(number, &part, cast.shape().due_ns(number), &mut bytes);
            exact += usize::from(bytes.len() == scenario.payload_bytes);
            // A copy lies on its original's partition, and behind it.
            assert!(part.of <= number && cast.part(part.of).partition == part.partition);
            assert_eq!(cast.part(part.of).role != Role::Original, matches!(part.role, Role::Poison(_)));
        }
        // Long texts need more than the 680 bytes asked for; a few bytes of room have no field to fill them.
        assert!(exact > 1_500, "{name}: {exact} of 2,000 have {} bytes", scenario.payload_bytes);
    }
}

#[test]
fn longer_payloads_are_filled_to_the_byte() {
    let (_, text) = scenario::SHIPPED.iter().find(|(name, _)| *name == "firehose").expect("it ships");
    let text = text.replace("payload_bytes = 680", "payload_bytes = 2_800");
    let scenario = scenario::read("long.toml", &text, std::path::Path::new(".")).expect("it can be used");
    let (cast, _) = cast(&scenario);
    let mut writer = Writer::new(&cast, "77", 0);
    for number in 0..500 {
        let mut bytes = Vec::new();
        writer.value(number, &cast.part(number), 0, &mut bytes);
        assert!(bytes.len().abs_diff(2_800) < 12, "{number}: {}", bytes.len());
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
    }
}

#[test]
fn the_policy_that_ships_makes_of_known_complaints_what_people_would() {
    let (_, mut oracle) = cast(&scenario::load("smoke").expect("it ships"));
    let names = Names::of(&oracle);
    for (text, want) in [
        ("why was i charged twice, i want a refund", "care.billing"),
        ("my lawyer will hear of this", "press.legal"),
        ("enter to win a new phone", "giveaway"),
        ("Class canceled Monday & Tuesday.. Perfect", "off-topic"),
    ] {
        let value =
            format!(r#"{{"mention_id":"x:1","network":"x","author":{{"id":"x:u1"}},"text":"{text}"}}"#);
        let (first, second) = names.told(&oracle.ask(value.as_bytes()));
        assert!(first == want || second == want, "{text}: {first} {second}");
    }
}
