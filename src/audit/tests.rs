//! A real instance over the embedded log, run until it is quiet; then the audit is clean, and finds what is planted.
//!
//! Owns the world and the faults. Each fault is planted into the logs themselves, behind the instance's back.

use super::{AuditOptions, AuditPlan, FindingKind, Report, audit, plan_of, time, verb};
use crate::clock::{Clock, ManualClock};
use crate::config::Settings;
use crate::embedded::{Cluster, StoredRecord};
use crate::log::{Logs, NewTopic, TopicPartition};
use crate::policies::{Follower, Policies};
use crate::shard::desk::DeskTopics;
use crate::shard::desk_lane::{DeskParts, DeskWork};
use crate::shard::intake::IntakeTopics;
use crate::shard::lane::{Lane, LaneLimits};
use crate::shard::starts::Starts;
use crate::shard::triage_lane::{TriageNames, TriageParts, TriageWork};
use crate::wire::ledger::{self, LedgerRun};
use crate::wire::mention::{DecodeLimits, FieldMap, FieldMapConfig, Preset};
use crate::wire::{control, desk_log, policies};
use crate::worker::{ScanSettings, Workers};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::desk::Event;
use triage_engine::model::{Disposition, Millis};
use triage_engine::plans::{ControlRecord, PolicyRequest};
use triage_engine::policy::Bundle;
use triage_engine::scan::{Literal, Matcher, ReferenceMatcher};

const START: Millis = Millis(1_750_000_000_000);
const INPUT: &str = "mentions";
const LEDGER: &str = "triaged.ledger.mentions";
const DESKS: &str = "triaged.desks";
const POLICY: &str = r#"
[[rule]]
name = "casino"
query = "casino"
action = "block"
[[rule]]
name = "giveaway"
query = "giveaway"
action = "noise"
[[rule]]
name = "tv"
query = "tv"
tags = ["tv"]
[[desk]]
name = "care"
log_partition = 0
case_lapse = "1m"
mentions_per_case_max = 100
[[desk]]
name = "tech"
log_partition = 1
case_lapse = "2m"
mentions_per_case_max = 100
[[queue]]
name = "care.general"
desk = "care"
[[queue]]
name = "tech.tv"
desk = "tech"
[[filter]]
name = "tv"
when = "tag:tv"
queue = "tech.tv"
[workflow]
default = "care.general"
[dedup]
window = "1h"
ids_max = 20000
[fleet]
hash_key = "000102030405060708090a0b0c0d0e0f"
"#;
const TEXTS: [&str; 5] = [
    "my tv is broken again",
    "very bad service",
    "giveaway: win a phone",
    "casino bonus",
    "nothing in particular",
];

fn reference(literals: &[Literal]) -> Arc<dyn Matcher> {
    Arc::new(ReferenceMatcher::new(literals))
}

fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// One cluster and one instance on it.
struct World {
    cluster: Cluster,
    clock: Arc<ManualClock>,
    triage: Lane<TriageWork>,
    desk: Lane<DeskWork>,
    follower: Follower,
    sent: u64,
}

impl World {
    /// A world that has worked off so many mentions, copies, noise, poison and holes among them.
    fn after(mentions: u64) -> World {
        World::keeping(mentions, i64::MAX / 4)
    }

    /// The same, with a desk log that is trimmed after so many milliseconds.
    fn keeping(mentions: u64, log_keep_ms: i64) -> World {
        let clock = Arc::new(ManualClock::new(START));
        let cluster = Cluster::new(clock.clone());
        let names = [(INPUT, 2), (LEDGER, 2), ("helpdesk.events", 1), (DESKS, 2), ("triaged.snapshots", 2)];
        let more = [("triaged.control", 1), ("triaged.policies", 1), ("triaged.dead-letter", 1)];
        let outputs = [("assignments.care", 2), ("assignments.tech", 2)];
        let topics = names.into_iter().chain(more).chain(outputs).map(|(name, partitions)| NewTopic {
            name: name.to_owned(),
            partitions,
            replication: 1,
            config: Vec::new(),
        });
        cluster.create(&topics.collect::<Vec<_>>()).expect("an embedded log takes topics");
        publish_policy(&cluster);
        let mut world = World::start(cluster, clock, log_keep_ms);
        while world.sent < mentions {
            world.send(40);
            world.step();
        }
        world.settle();
        world
    }

    fn start(cluster: Cluster, clock: Arc<ManualClock>, log_keep_ms: i64) -> World {
        let logs: Arc<dyn Logs> = Arc::new(cluster.clone());
        let infos = logs.describe(&[INPUT, "helpdesk.events"]).expect("the embedded log answers");
        let ids: Vec<_> = infos.into_iter().map(|info| info.expect("the topic exists").id).collect();
        let known = Policies::new();
        let follower =
            Follower::new(logs.as_ref(), "triaged.control", "triaged.policies", known.clone(), reference);
        let dead_letter = at("triaged.dead-letter", 0);
        let wall: Arc<dyn Clock> = clock.clone();
        let triage = TriageParts {
            logs: logs.clone(),
            policies: known.clone(),
            matcher: reference,
            workers: Arc::new(Workers::new(0, scan_settings())),
            clock: wall,
            names: TriageNames {
                input: (Arc::from(INPUT), ids[0]),
                ledger: Arc::from(LEDGER),
                desks: Arc::from(DESKS),
                dead_letter: (dead_letter.topic.clone(), 1),
                control: Arc::from("triaged.control"),
            },
            instance: Arc::from("one"),
            starts: Starts::new(None),
        };
        let partitions = ["assignments.care", "assignments.tech"].map(|topic| (topic.to_owned(), 2));
        let desk = DeskParts {
            logs: logs.clone(),
            policies: known,
            matcher: reference,
            desks: Arc::from(DESKS),
            helpdesk: (Arc::from("helpdesk.events"), ids[1]),
            control: Arc::from("triaged.control"),
            snapshots: Arc::from("triaged.snapshots"),
            outputs: DeskTopics {
                assignments_prefix: Arc::from("assignments."),
                partitions: Arc::new(BTreeMap::from(partitions)),
                input: Arc::from(INPUT),
            },
            intake: IntakeTopics { desks: (Arc::from(DESKS), 2), dead_letter },
            tick_interval_ms: 200,
            snapshot_interval_ms: 300,
            log_keep_ms,
        };
        let limits =
            LaneLimits { buffer_bytes: 20_000, commit_interval_ms: 50, drain_ms: 5_000, retry_ms: 100 };
        let member = |group: &str, topics: &[&str]| logs.member(group, "one", topics).expect("a member");
        let producer = |name: &str| logs.producer(name).expect("a producer");
        let topics = [DESKS, "helpdesk.events", "triaged.control"];
        World {
            triage: Lane::new(
                TriageWork::new(triage),
                member("triaged.triage", &[INPUT]),
                producer("triage"),
                limits,
            ),
            desk: Lane::new(DeskWork::new(desk), member("triaged.desk", &topics), producer("desk"), limits),
            follower: follower.expect("a follower"),
            cluster,
            clock,
            sent: 0,
        }
    }

    fn send(&mut self, count: u64) {
        for _ in 0..count {
            let n = self.sent;
            self.sent += 1;
            // Every ninth is a copy of one sent a little earlier, every 23rd cannot be read, every 17th offset is
            // a hole.
            let id = if n % 9 == 8 { n - 6 } else { n };
            let author = id % 14;
            let to = at(INPUT, (author % 2) as u32);
            let text = TEXTS[(id % 5) as usize];
            let value = if n % 23 == 22 {
                "{\"mention_id\": 1".to_owned()
            } else {
                format!(
                    r#"{{"mention_id":"x:{id}","network":"x","kind":"post","author":{{"id":"x:u{author}","handle":"@u{author}"}},"text":"{text}"}}"#
                )
            };
            if n % 17 == 16 {
                self.cluster.append_hole(&to).expect("the topic exists");
            }
            self.cluster.append(&to, None, Some(value.as_bytes())).expect("the topic exists");
        }
    }

    fn step(&mut self) {
        self.clock.advance(20);
        let now_ms = self.clock.monotonic_ms();
        for _ in 0..2 {
            self.follower.step(Duration::ZERO).expect("the follower reads");
            self.triage.step(now_ms, Duration::ZERO).expect("the triage lane goes on");
            self.desk.step(now_ms, Duration::ZERO).expect("the desk lane goes on");
        }
    }

    /// Runs until everything is committed and nothing more comes out.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            // Cases lapse after minutes.
            self.clock.advance(480);
            self.step();
            let ends = |group: &str, topic: &str| {
                (0..2).all(|partition| {
                    let of = at(topic, partition);
                    let last =
                        self.cluster.records(&of).expect("the topic exists").last().map(|last| last.offset);
                    self.commit(group, &of) > last.unwrap_or(-1)
                })
            };
            if ends("triaged.triage", INPUT) && ends("triaged.desk", DESKS) && self.open_cases() == 0 {
                return;
            }
        }
        let commits = [("triaged.triage", INPUT), ("triaged.desk", DESKS)].map(|(group, topic)| {
            [0, 1].map(|partition| {
                let of = at(topic, partition);
                (self.commit(group, &of), self.cluster.bounds(&of).expect("the topic exists").1)
            })
        });
        panic!("the world does not come to rest: {commits:?}, {} cases are open", self.open_cases());
    }

    fn open_cases(&self) -> u64 {
        self.desk
            .live()
            .map(|place| match place {
                crate::shard::desk_lane::DeskPlace::Desk(desk) => desk.shard.engine().open_cases() as u64,
                _ => 0,
            })
            .sum()
    }

    fn commit(&self, group: &str, of: &TopicPartition) -> i64 {
        let commits = self.cluster.group_offsets(group, std::slice::from_ref(of)).expect("the group answers");
        commits[0].as_ref().map_or(-1, |commit| commit.offset)
    }

    fn audit(&self) -> Report {
        audit(&self.cluster, &plan(), &mut |_| {}).expect("the logs can be read")
    }

    fn records(&self, topic: &str, partition: u32) -> Vec<StoredRecord> {
        self.cluster.records(&at(topic, partition)).expect("the topic exists")
    }

    /// The first ledger entry of the input's first partition with this disposition, past the first few: its offset
    /// and its record.
    fn ledgered(&self, as_what: Disposition) -> (i64, i64, LedgerRun) {
        let runs = self.records(LEDGER, 0).into_iter().map(|record| {
            (record.offset, ledger::decode(record.value.as_deref().expect("a value")).expect("it is ours"))
        });
        let found = runs.flat_map(|(at, run)| {
            let entries = run.entries.clone();
            let fits =
                entries.into_iter().filter(move |entry| entry.disposition == as_what && entry.offset > 50);
            fits.map(move |entry| (entry.offset, at, run.clone())).collect::<Vec<_>>()
        });
        found.min_by_key(|(offset, ..)| *offset).expect("there is one")
    }

    fn rewrite_ledger(&self, at_offset: i64, run: &LedgerRun) {
        let mut value = Vec::new();
        ledger::encode(run, &mut value);
        assert!(self.cluster.tamper(&at(LEDGER, 0), at_offset, Some(&value)).expect("the topic exists"));
    }

    /// The desk-log record of a source of the input's first partition.
    fn hand_over(&self, source: i64) -> (TopicPartition, StoredRecord) {
        for partition in 0..2 {
            for record in self.records(DESKS, partition) {
                let entry = desk_log::decode(record.offset, record.timestamp, record.value.as_deref());
                let mark = entry.expect("it is ours").source.map(|mark| mark.source.position);
                if mark.is_some_and(|position| position.partition == 0 && position.offset == source) {
                    return (at(DESKS, partition), record);
                }
            }
        }
        panic!("offset {source} was never handed over");
    }
}

fn publish_policy(cluster: &Cluster) {
    let bundle = Bundle { files: BTreeMap::from([("policy.toml".to_owned(), POLICY.to_owned())]) };
    triage_engine::policy::Policy::compile(&bundle).expect("the policy is right");
    let generation = bundle.generation();
    for record in policies::publish(generation, &bundle.to_bytes()) {
        let to = at("triaged.policies", 0);
        cluster.append(&to, Some(record.key.as_bytes()), Some(&record.value)).expect("the topic exists");
    }
    let request =
        PolicyRequest { id: "first".to_owned(), generation, by: "somebody".to_owned(), at: Millis(0) };
    let (key, value) = control::encode(&ControlRecord::SwitchRequested(request));
    let to = at("triaged.control", 0);
    cluster.append(&to, Some(key.as_bytes()), value.as_deref()).expect("the topic exists");
}

fn scan_settings() -> ScanSettings {
    let map = FieldMap::compile(&FieldMapConfig::preset(Preset::Native)).expect("a preset is right");
    ScanSettings { map: Arc::new(map), limits: DecodeLimits::default() }
}

fn plan() -> AuditPlan {
    let options = AuditOptions { sample: Some(1), ..AuditOptions::default() };
    plan_of(&Settings::default(), &options).expect("the defaults fit")
}

/// The offsets of the findings of one kind.
fn found(report: &Report, kind: FindingKind) -> Vec<(String, u32, i64)> {
    let of_kind = report.findings.iter().filter(|finding| finding.kind == kind);
    of_kind.map(|finding| (finding.topic.clone(), finding.partition, finding.offset)).collect()
}

fn of_input(offset: i64) -> Vec<(String, u32, i64)> {
    vec![(INPUT.to_owned(), 0, offset)]
}

#[test]
fn logs_of_a_sound_run_are_clean_and_every_record_is_counted_once() {
    let world = World::after(3_000);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    assert!(report.notes.is_empty(), "{report}");
    let mut of_kind: BTreeMap<&str, u64> = BTreeMap::new();
    for part in &report.partitions {
        let there = world.records(INPUT, part.partition).len() as u64;
        assert_eq!((part.records, part.sampled, part.in_flight), (there, there, 0));
        assert!(part.to - part.from > there as i64, "the input has holes");
        assert_eq!(part.dispositions.values().sum::<u64>(), there);
        part.dispositions.iter().for_each(|(name, count)| *of_kind.entry(name).or_default() += count);
        assert_eq!((part.repeats, part.gone, part.unverified), (0, 0, 0));
    }
    assert_eq!(
        of_kind.keys().copied().collect::<Vec<_>>(),
        ["blocked", "dead_letter", "duplicate", "noise", "queued"]
    );
    assert_eq!(report.partitions.iter().map(|part| part.records).sum::<u64>(), 3_000);
    for desk in &report.desks {
        assert!(desk.expected > 100 && desk.expected == desk.out, "{report}");
    }
    assert!(report.to_string().ends_with("exactly one outcome: nothing found"));
}

#[test]
fn a_record_that_the_ledger_lacks_is_named_lost() {
    let world = World::after(400);
    let (offset, at_offset, run) = world.ledgered(Disposition::Noise);
    assert!(world.cluster.tamper(&at(LEDGER, 0), at_offset, None).expect("the topic exists"));
    let report = world.audit();
    let lost: Vec<i64> = found(&report, FindingKind::Lost).into_iter().map(|(_, _, offset)| offset).collect();
    assert_eq!(lost, run.entries.iter().map(|entry| entry.offset).collect::<Vec<_>>());
    assert!(lost.contains(&offset), "{report}");
    assert_eq!(found(&report, FindingKind::CommitPastGap), of_input(lost[0]));
}

#[test]
fn a_hand_over_that_is_missing_is_named_unhanded() {
    let world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::Queued);
    let (log, record) = world.hand_over(offset);
    assert!(world.cluster.tamper(&log, record.offset, None).expect("the topic exists"));
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::Unhanded), of_input(offset), "{report}");
}

#[test]
fn a_dead_letter_that_is_missing_is_named_unhanded() {
    let world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::DeadLetter);
    let letters = world.records("triaged.dead-letter", 0);
    let key = format!("mentions/0/{offset}");
    let letter =
        letters.iter().find(|letter| letter.key.as_deref() == Some(key.as_bytes())).expect("there is one");
    assert!(
        world.cluster.tamper(&at("triaged.dead-letter", 0), letter.offset, None).expect("the topic exists")
    );
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::Unhanded), of_input(offset), "{report}");
    assert_eq!(found(&report, FindingKind::CommitPastGap), of_input(offset), "{report}");
}

/// Appends the hand-over of a source again, changed.
fn hand_over_again(world: &World, source: i64, desk: &str, queue: &str, log_partition: u32) {
    let (log, record) = world.hand_over(source);
    let entry =
        desk_log::decode(record.offset, record.timestamp, record.value.as_deref()).expect("it is ours");
    let Event::Mention(mut mention) = entry.event.clone() else { panic!("a hand-over carries a mention") };
    (mention.desk, mention.queue) = (desk, queue);
    let mut value = Vec::new();
    desk_log::encode(entry.source.as_ref(), &Event::Mention(mention), &mut value);
    let to = TopicPartition { partition: log_partition, ..log };
    world.cluster.append(&to, None, Some(&value)).expect("the topic exists");
}

#[test]
fn a_record_handed_to_two_desks_is_named_doubled_and_one_sent_again_is_a_repeat() {
    let mut world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::Queued);
    let (log, record) = world.hand_over(offset);
    world.cluster.append(&log, None, record.value.as_deref()).expect("the topic exists");
    world.settle();
    let report = world.audit();
    assert!(report.is_clean() && report.partitions[0].repeats == 1, "{report}");
    let (desk, queue, elsewhere) =
        if log.partition == 0 { ("tech", "tech.tv", 1) } else { ("care", "care.general", 0) };
    hand_over_again(&world, offset, desk, queue, elsewhere);
    world.settle();
    assert_eq!(found(&world.audit(), FindingKind::Doubled), of_input(offset), "{}", world.audit());
}

#[test]
fn an_assignment_out_twice_with_other_content_is_named_doubled() {
    let world = World::after(400);
    let record = world.records("assignments.care", 0).into_iter().nth(5).expect("there are some");
    let again = |value: &[u8]| {
        world
            .cluster
            .append(&at("assignments.care", 0), record.key.as_deref(), Some(value))
            .expect("it exists")
    };
    let value = record.value.clone().expect("a value");
    again(&value);
    let report = world.audit();
    assert!(report.is_clean() && report.desks[0].repeats == 1, "{report}");
    let text = String::from_utf8(value).expect("JSON").replace("care.general", "care.other");
    let offset = again(text.as_bytes());
    let report = world.audit();
    assert_eq!(
        found(&report, FindingKind::Doubled),
        [("assignments.care".to_owned(), 0, offset)],
        "{report}"
    );
}

#[test]
fn an_assignment_with_other_facts_than_the_desk_log_has_is_named() {
    let world = World::after(400);
    let record = world.records("assignments.care", 1).into_iter().nth(5).expect("there are some");
    let text = String::from_utf8(record.value.expect("a value"))
        .expect("JSON")
        .replace("care.general", "care.other");
    let of = at("assignments.care", 1);
    assert!(world.cluster.tamper(&of, record.offset, Some(text.as_bytes())).expect("the topic exists"));
    let report = world.audit();
    let place = [("assignments.care".to_owned(), 1, record.offset)];
    assert_eq!(found(&report, FindingKind::Disagrees), place, "{report}");
}

#[test]
fn an_assignment_that_is_missing_is_named_by_the_desk_log_entry_that_asks_for_it() {
    let world = World::after(400);
    let opening = world.records("assignments.care", 0).into_iter().find(|record| {
        String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).contains("\"reason\":\"opened\"")
    });
    let opening = opening.expect("cases were opened");
    assert!(
        world.cluster.tamper(&at("assignments.care", 0), opening.offset, None).expect("the topic exists")
    );
    let case = String::from_utf8(opening.key.expect("a key")).expect("a case id");
    let offset: i64 = case.trim_start_matches("c0-").parse().expect("an offset");
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::CommitPastGap), [(DESKS.to_owned(), 0, offset)], "{report}");
}

#[test]
fn a_commit_past_what_is_done_is_named_with_the_first_record_that_is_not() {
    let mut world = World::after(400);
    let first = world.commit("triaged.triage", &at(INPUT, 0));
    world.send(40);
    let end = world.cluster.bounds(&at(INPUT, 0)).expect("the topic exists").1;
    world.cluster.move_commit("triaged.triage", &at(INPUT, 0), end);
    let report = world.audit();
    let gap = world.records(INPUT, 0).iter().map(|record| record.offset).find(|&offset| offset >= first);
    assert_eq!(found(&report, FindingKind::CommitPastGap), of_input(gap.expect("more was sent")), "{report}");
    assert!(found(&report, FindingKind::Lost).len() > 10, "{report}");
    assert_eq!(
        report.partitions[1].in_flight,
        world.records(INPUT, 1).len() as u64 - committed_records(&world, 1)
    );
}

fn committed_records(world: &World, partition: u32) -> u64 {
    let committed = world.commit("triaged.triage", &at(INPUT, partition));
    world.records(INPUT, partition).iter().filter(|record| record.offset < committed).count() as u64
}

#[test]
fn a_wrong_noise_is_named_and_so_is_the_hand_over_that_it_denies() {
    let world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::Queued);
    overrule(&world, offset, Disposition::Noise, 1);
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::WrongDecision), of_input(offset), "{report}");
    assert_eq!(found(&report, FindingKind::Doubled), of_input(offset), "{report}");
    let what = &report
        .findings
        .iter()
        .find(|finding| finding.kind == FindingKind::WrongDecision)
        .expect("there")
        .what;
    assert!(what.contains("noise by rule `giveaway`") && what.contains("queued for desk"), "{what}");
}

/// Rewrites the decision of one offset of the input's first partition.
fn overrule(world: &World, offset: i64, disposition: Disposition, detail: u16) {
    for record in world.records(LEDGER, 0) {
        let mut run = ledger::decode(record.value.as_deref().expect("a value")).expect("it is ours");
        let Some(entry) = run.entries.iter_mut().find(|entry| entry.offset == offset) else { continue };
        entry.disposition = disposition;
        (entry.detail, entry.desk, entry.queue) = (detail, ledger::NONE, ledger::NONE);
        world.rewrite_ledger(record.offset, &run);
        return;
    }
    panic!("offset {offset} is not in the ledger");
}

#[test]
fn a_first_called_copy_and_a_copy_called_noise_are_both_named() {
    let world = World::after(400);
    let (first, ..) = world.ledgered(Disposition::Noise);
    let (copy, ..) = world.ledgered(Disposition::Duplicate);
    overrule(&world, first, Disposition::Duplicate, ledger::NONE);
    overrule(&world, copy, Disposition::Noise, 1);
    let report = world.audit();
    assert_eq!(
        found(&report, FindingKind::WrongDecision),
        [of_input(copy), of_input(first)].concat(),
        "{report}"
    );
}

#[test]
fn hand_overs_of_one_author_that_overtook_each_other_are_named() {
    let world = World::after(400);
    let mut last: BTreeMap<u128, (i64, StoredRecord)> = BTreeMap::new();
    for record in world.records(DESKS, 0) {
        let entry =
            desk_log::decode(record.offset, record.timestamp, record.value.as_deref()).expect("it is ours");
        let (Some(mark), Event::Mention(mention)) = (&entry.source, &entry.event) else { continue };
        let offset = mark.source.position.offset;
        if mark.source.position.partition != 0 {
            continue;
        }
        let Some((_, before)) = last.insert(mention.author.0, (offset, record.clone())) else { continue };
        // Two hand-overs of one author change places.
        let of = at(DESKS, 0);
        world.cluster.tamper(&of, before.offset, record.value.as_deref()).expect("the topic exists");
        world.cluster.tamper(&of, record.offset, before.value.as_deref()).expect("the topic exists");
        let earlier = desk_log::decode(0, START, before.value.as_deref()).expect("it is ours").source;
        let report = world.audit();
        let earlier = earlier.expect("a hand-over has a source").source.position.offset;
        assert!(found(&report, FindingKind::Reordered).contains(&(INPUT.to_owned(), 0, earlier)), "{report}");
        return;
    }
    panic!("no author was handed over twice");
}

#[test]
fn a_damaged_ledger_record_is_named() {
    let world = World::after(400);
    let record = world.records(LEDGER, 1).into_iter().nth(3).expect("there are some");
    let mut value = record.value.expect("a value");
    value[20] ^= 1;
    assert!(world.cluster.tamper(&at(LEDGER, 1), record.offset, Some(&value)).expect("the topic exists"));
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::Unreadable), [(LEDGER.to_owned(), 1, record.offset)], "{report}");
}

#[test]
fn trimmed_logs_are_clean_and_what_was_not_audited_is_said() {
    let world = World::keeping(1_200, 0);
    assert!(world.cluster.bounds(&at(DESKS, 0)).expect("it exists").0 > 0, "the desk log was trimmed");
    world.cluster.trim(&at(INPUT, 0), 100).expect("the topic exists");
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    assert!(report.notes.iter().any(|note| note.contains("was trimmed")), "{report}");
    assert!(report.partitions[0].gone > 50, "{report}");
    assert!(report.partitions.iter().any(|part| part.unverified > 0), "{report}");
}

#[test]
fn the_command_exits_0_when_clean_and_1_with_findings_and_its_json_names_them() {
    let world = World::after(400);
    let logs: Arc<dyn Logs> = Arc::new(world.cluster.clone());
    let options = AuditOptions { json: true, ..AuditOptions::default() };
    assert_eq!(verb(&Settings::default(), logs.clone(), options.clone()), Ok(0));
    let (_, at_offset, _) = world.ledgered(Disposition::Noise);
    assert!(world.cluster.tamper(&at(LEDGER, 0), at_offset, None).expect("the topic exists"));
    assert_eq!(verb(&Settings::default(), logs, options), Ok(1));
    let json = serde_json::to_value(world.audit()).expect("plain data");
    let names: Vec<_> =
        json["findings"].as_array().expect("a list").iter().map(|finding| &finding["kind"]).collect();
    assert!(names.contains(&&serde_json::Value::from("lost")), "{names:?}");
    assert!(json["found"]["lost"].as_u64() >= Some(1));
}

#[test]
fn times_are_read_as_people_write_them_and_an_empty_range_is_refused() {
    assert_eq!(time("2025-06-15T15:06:40Z"), Ok(START));
    assert_eq!(time("2025-06-15"), Ok(Millis(1_749_945_600_000)));
    assert_eq!(time("yesterday").map_err(|error| error.exit_code()), Err(64));
    let options = AuditOptions { from: Some(Millis(2)), to: Some(Millis(2)), ..AuditOptions::default() };
    assert!(plan_of(&Settings::default(), &options).is_err());
}

#[test]
fn a_stretch_of_time_is_audited_alone() {
    let world = World::after(1_200);
    let (from, to) = (START.plus(200), START.plus(400));
    let report = audit(&world.cluster, &AuditPlan { from: Some(from), to: Some(to), ..plan() }, &mut |_| {})
        .expect("it reads");
    assert!(report.is_clean(), "{report}");
    for part in &report.partitions {
        let inside = world.records(INPUT, part.partition);
        let inside = inside.iter().filter(|record| record.timestamp >= from && record.timestamp < to).count();
        assert!(inside > 50 && part.records == inside as u64, "{report}");
    }
}
