//! The judge on logs in memory: a sound run, and the same run with one thing wrong at a time.

use super::*;
use crate::cast::Role;
use crate::expect::Oracle;
use crate::ledger::NONE;
use crate::mention::Writer;
use crate::scenario;
use std::sync::Arc;
use triage_engine::model::{Disposition, Millis};
use triage_engine::policy::Generation;
use triaged::clock::SystemClock;
use triaged::embedded::Cluster;
use triaged::log::NewTopic;
use triaged::wire::ledger::{LedgerEntry, LedgerRun, encode};

const PARTITIONS: u32 = 4;
const GENERATION: [u8; 32] = [5; 32];

/// What a fleet wrote of a short run: the records of each topic, to be tampered with before they are judged.
struct World {
    cast: Cast,
    /// By partition: number and value.
    input: Vec<Vec<(u64, Vec<u8>)>>,
    /// By partition.
    ledger: Vec<Vec<LedgerEntry>>,
    /// Topic and value.
    out: Vec<(String, String)>,
    dead: Vec<String>,
    generation: Generation,
    expired: Option<(i64, i64)>,
    decided_twice: bool,
}

fn numbers(expect: &Expect) -> (Disposition, u32, u16, u16) {
    match *expect {
        Expect::Queued { desk, queue } => (Disposition::Queued, DETAIL_NONE, desk, queue),
        Expect::Noise(rule) => (Disposition::Noise, rule, NONE, NONE),
        Expect::Blocked(rule) => (Disposition::Blocked, rule.unwrap_or(DETAIL_NONE), NONE, NONE),
        Expect::Duplicate => (Disposition::Duplicate, DETAIL_NONE, NONE, NONE),
        Expect::DeadLetter(reason) => (Disposition::DeadLetter, u32::from(reason.code()), NONE, NONE),
    }
}

impl World {
    fn sound() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        triaged::demo::write_policy(folder.path()).expect("it can be written");
        let mut oracle = Oracle::of(folder.path()).expect("it compiles");
        let text = scenario::SHIPPED.iter().find(|(name, _)| *name == "smoke").expect("it ships").1;
        let text = text.replace("seconds = 1", "seconds = 0.1");
        let scenario =
            scenario::read("short.toml", &text, std::path::Path::new(".")).expect("it can be used");
        let cast = Cast::new(&scenario, &mut oracle).expect("there are texts");
        let mut world = World {
            input: vec![Vec::new(); PARTITIONS as usize],
            ledger: vec![Vec::new(); PARTITIONS as usize],
            out: Vec::new(),
            dead: Vec::new(),
            generation: Generation(GENERATION),
            expired: None,
            decided_twice: false,
            cast,
        };
        (0..world.cast.total()).for_each(|number| world.live_through(number));
        world
    }

    fn live_through(&mut self, number: u64) {
        let part = self.cast.part(number);
        let mut value = Vec::new();
        Writer::new(&self.cast, "r", 0).value(number, &part, self.cast.shape().due_ns(number), &mut value);
        let input = &mut self.input[part.partition as usize];
        let offset = input.len() as i64;
        input.push((number, value));
        let expect = self.cast.outcome(&part);
        let (disposition, detail, desk, queue) = numbers(&expect);
        let entry = LedgerEntry { offset, disposition, detail, desk, queue, key: None };
        self.ledger[part.partition as usize].push(entry);
        let (first, second) = self.cast.names().told(&expect);
        match expect {
            Expect::Queued { .. } => self.out.push((format!("out.{first}"), assignment(number, &first, &second))),
            Expect::DeadLetter(_) => self.dead.push(format!(
                r#"{{"topic":"in","partition":{},"offset":{offset},"length":5,"sha256":"","reason":"{first}"}}"#,
                part.partition
            )),
            _ => {}
        }
    }

    /// The place of the first record that should become this.
    fn first(&self, disposition: Disposition) -> (usize, usize) {
        let found = self.ledger.iter().enumerate().find_map(|(partition, entries)| {
            let place = entries.iter().position(|entry| entry.disposition == disposition)?;
            Some((partition, place))
        });
        found.expect("the run has one")
    }

    fn judge(&self) -> Result<Verdict, Error> {
        let cluster = Cluster::new(Arc::new(SystemClock::new()));
        let desks = self.cast.names().desks.clone();
        let topics = ["in", "ledger", "dead"].map(str::to_owned).into_iter();
        let topics: Vec<String> = topics.chain(desks.iter().map(|desk| format!("out.{desk}"))).collect();
        let new = |name: &String| NewTopic {
            name: name.clone(),
            partitions: PARTITIONS,
            replication: 1,
            config: vec![],
        };
        cluster.create(&topics.iter().map(new).collect::<Vec<_>>()).expect("topics are made");
        let put = |topic: &str, partition: u32, value: &[u8]| {
            cluster
                .append(&TopicPartition::new(topic, partition), None, Some(value))
                .expect("it takes records");
        };
        for partition in 0..PARTITIONS {
            self.input[partition as usize].iter().for_each(|(_, value)| put("in", partition, value));
            for entries in self.ledger[partition as usize].chunks(50) {
                let run = LedgerRun {
                    semantics: 1,
                    generation: self.generation,
                    plan_epoch: 0,
                    now: Millis(0),
                    expired: None,
                    superseding: None,
                    entries: entries.to_vec(),
                };
                let mut bytes = Vec::new();
                encode(&run, &mut bytes);
                put("ledger", partition, &bytes);
                if self.decided_twice {
                    put("ledger", partition, &bytes);
                }
            }
        }
        if let Some(expired) = self.expired {
            let run = LedgerRun {
                semantics: 1,
                generation: self.generation,
                plan_epoch: 0,
                now: Millis(0),
                expired: Some(expired),
                superseding: None,
                entries: vec![],
            };
            let mut bytes = Vec::new();
            encode(&run, &mut bytes);
            put("ledger", 0, &bytes);
        }
        self.out.iter().for_each(|(topic, value)| put(topic, 1, value.as_bytes()));
        self.dead.iter().for_each(|value| put("dead", 2, value.as_bytes()));
        let places = Places {
            input: "in".to_owned(),
            ledger: "ledger".to_owned(),
            dead_letter: "dead".to_owned(),
            assignments: desks.iter().map(|desk| (desk.clone(), format!("out.{desk}"))).collect(),
            from: topics.iter().map(|topic| (topic.clone(), vec![0; PARTITIONS as usize])).collect(),
        };
        judge(&cluster, &self.cast, "r", &places, &GENERATION)
    }

    /// Lost, doubled, misrouted, misjudged; and the one sentence that says so.
    fn found(&self) -> ([u64; 4], String) {
        let verdict = self.judge().expect("it can be judged");
        let counts = [verdict.lost, verdict.doubled, verdict.misrouted, verdict.misjudged];
        (counts, verdict.examples.join("\n"))
    }
}

fn assignment(number: u64, desk: &str, queue: &str) -> String {
    format!(
        r#"{{"assignment_id":"0.1","desk":"{desk}","queue":"{queue}","reason":"opened","mention_id":"x:r.{number}"}}"#
    )
}

#[test]
fn a_sound_run_has_no_faults_and_every_record_is_right() {
    let mut world = World::sound();
    let verdict = world.judge().expect("it can be judged");
    assert_eq!(world.found(), ([0; 4], String::new()));
    assert!(verdict.dispositions.values().all(|tally| tally.expected == tally.right && tally.expected > 0));
    assert_eq!(verdict.dispositions.values().map(|tally| tally.expected).sum::<u64>(), world.cast.total());
    // A zombie's entries, a case that was closed, and other people's mentions are nobody's fault.
    world.decided_twice = true;
    world.out.push((
        "out.care".to_owned(),
        r#"{"case_id":"0.1","desk":"care","queue":"q","reason":"lapsed"}"#.to_owned(),
    ));
    world.input[0].push((0, br#"{"mention_id":"x:1"}"#.to_vec()));
    assert_eq!(world.found().0, [0; 4]);
    assert_eq!(world.judge().expect("it can be judged").foreign, 1);
    assert_eq!(world.judge().expect("it can be judged").decided_again, world.cast.total());
}

#[test]
fn what_is_missing_anywhere_on_the_way_is_lost() {
    let mut world = World::sound();
    world.out.remove(3);
    let (counts, told) = world.found();
    assert_eq!(counts, [1, 0, 0, 0], "{told}");
    assert!(told.contains("no desk got it"), "{told}");

    let mut world = World::sound();
    world.dead.remove(0);
    assert_eq!(world.found().0, [1, 0, 0, 0]);

    let mut world = World::sound();
    let (partition, place) = world.first(Disposition::Noise);
    world.ledger[partition].remove(place);
    let (counts, told) = world.found();
    assert_eq!(counts, [1, 0, 0, 0], "{told}");
    assert!(told.contains("nothing was decided"), "{told}");

    let mut world = World::sound();
    world.input[1].pop();
    assert!(world.found().1.contains("never stood on the input"));

    let mut world = World::sound();
    world.ledger[0].retain(|entry| entry.offset > 2);
    let gone = |(number, _): &(u64, Vec<u8>)| format!("\"mention_id\":\"x:r.{number}\"");
    let gone: Vec<String> = world.input[0][..3].iter().map(gone).collect();
    world.out.retain(|(_, value)| !gone.iter().any(|mention| value.contains(mention)));
    world.expired = Some((0, 2));
    let (counts, told) = world.found();
    assert_eq!(counts, [3, 0, 0, 0], "{told}");
    assert!(told.contains("retention took it"), "{told}");
}

#[test]
fn what_came_twice_is_doubled() {
    let mut world = World::sound();
    let again = world.out[5].clone();
    world.out.push(again);
    assert_eq!(world.found().0, [0, 1, 0, 0]);
    let again = world.dead[0].clone();
    world.dead.push(again);
    assert_eq!(world.found().0, [0, 2, 0, 0]);

    let mut world = World::sound();
    let again = world.input[3][0].clone();
    world.input[3].push(again);
    let (counts, told) = world.found();
    assert_eq!(counts, [0, 1, 0, 0], "{told}");
}

#[test]
fn what_is_at_another_desk_or_queue_is_misrouted() {
    let mut world = World::sound();
    world.out[0].0 = if world.out[0].0 == "out.care" { "out.tech" } else { "out.care" }.to_owned();
    assert_eq!(world.found().0, [0, 0, 1, 0]);

    let mut world = World::sound();
    world.out[1].1 = world.out[1].1.replace("\"queue\":\"", "\"queue\":\"other.");
    assert_eq!(world.found().0, [0, 0, 1, 0]);
    // Joined to its author's case, a mention is where that case is.
    world.out[1].1 = world.out[1].1.replace("opened", "linked");
    assert_eq!(world.found().0, [0; 4]);

    let mut world = World::sound();
    let (partition, place) = world.first(Disposition::Queued);
    world.ledger[partition][place].queue += 1;
    assert_eq!(world.found().0, [0, 0, 1, 0]);
}

#[test]
fn a_wrong_disposition_rule_or_reason_is_misjudged() {
    let mut world = World::sound();
    let (partition, place) = world.first(Disposition::Noise);
    world.ledger[partition][place].detail += 1;
    let (counts, told) = world.found();
    assert_eq!(counts, [0, 0, 0, 1], "{told}");

    // A complaint that is dropped as noise, and that no desk gets, is one fault.
    let mut world = World::sound();
    let (partition, place) = world.first(Disposition::Queued);
    let number = world.input[partition][place].0;
    let entry = &mut world.ledger[partition][place];
    (entry.disposition, entry.detail, entry.desk, entry.queue) = (Disposition::Noise, 0, NONE, NONE);
    world.out.retain(|(_, value)| !value.contains(&format!("x:r.{number}\"")));
    let (counts, told) = world.found();
    assert_eq!(counts, [0, 0, 0, 1], "{told}");
    assert!(told.contains("queued is expected, the ledger says noise"), "{told}");

    // Noise that a desk gets.
    let mut world = World::sound();
    let (partition, place) = world.first(Disposition::Noise);
    let number = world.input[partition][place].0;
    world.out.push(("out.care".to_owned(), assignment(number, "care", "care.general")));
    assert_eq!(world.found().0, [0, 0, 0, 1]);

    let mut world = World::sound();
    world.dead[0] = world.dead[0].replace("\"reason\":\"", "\"reason\":\"other_");
    let (counts, told) = world.found();
    assert!(counts[3] == 1 && told.contains("other_"), "{counts:?} {told}");
}

#[test]
fn decisions_under_another_policy_are_not_judged_at_all() {
    let mut world = World::sound();
    world.generation = Generation([6; 32]);
    let error = world.judge().expect_err("nothing can be compared");
    assert_eq!(error.exit_code(), 78);
    assert!(error.to_string().contains("sha256:0606"), "{error}");
    assert!(world.input.iter().flatten().any(|(number, _)| world.cast.part(*number).role == Role::Copy));
}
