//! The world of the audit's tests: one real instance over the embedded log, and what is sent to it.
//!
//! Owns the feed and the way to rest. May not look at what the audit says.

use super::plan;
use crate::audit::{Report, audit};
use crate::clock::{Clock, ManualClock};
use crate::embedded::{Cluster, StoredRecord};
use crate::log::{Logs, NewTopic, TopicPartition};
use crate::simulator::instance::{Instance, Settings};
use crate::wire::ledger::{self, LedgerRun};
use crate::wire::{control, desk_log, policies};
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::model::{Disposition, Millis};
use triage_engine::plans::{ControlRecord, PolicyRequest};
use triage_engine::policy::{Bundle, Policy};

pub(super) const START: Millis = Millis(1_750_000_000_000);
pub(super) const INPUT: &str = "mentions";
pub(super) const LEDGER: &str = "triaged.ledger.mentions";
pub(super) const DESKS: &str = "triaged.desks";
pub(super) const POLICY: &str = r#"
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
pub(super) const TEXTS: [&str; 5] = [
    "my tv is broken again",
    "very bad service",
    "giveaway: win a phone",
    "casino bonus",
    "nothing in particular",
];

pub(super) fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// One cluster and one instance on it.
pub(super) struct World {
    pub(super) cluster: Cluster,
    clock: Arc<ManualClock>,
    instance: Instance,
    sent: u64,
}

impl World {
    /// A world that has worked off so many mentions, copies, noise, poison and holes among them.
    pub(super) fn after(mentions: u64) -> World {
        World::keeping(mentions, i64::MAX / 4)
    }

    /// The same, with a desk log that is trimmed after so many milliseconds.
    pub(super) fn keeping(mentions: u64, log_keep_ms: i64) -> World {
        let clock = Arc::new(ManualClock::new(START));
        let cluster = Cluster::new(clock.clone());
        let names = [(INPUT, 2), (LEDGER, 2), ("helpdesk.events", 1), (DESKS, 2), ("triaged.snapshots", 2)];
        let more = [
            ("triaged.control", 1),
            ("triaged.policies", 1),
            ("triaged.dead-letter", 1),
            ("triaged.alerts", 1),
        ];
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

    pub(super) fn start(cluster: Cluster, clock: Arc<ManualClock>, log_keep_ms: i64) -> World {
        let parts = Settings { desk_partitions: 2, drain_ms: 5_000, log_keep_ms };
        let instance = Instance::new("one", &cluster, clock.clone(), parts);
        World { instance, cluster, clock, sent: 0 }
    }

    pub(super) fn send(&mut self, count: u64) {
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

    pub(super) fn step(&mut self) {
        self.clock.advance(20);
        let now_ms = self.clock.monotonic_ms();
        for _ in 0..2 {
            for part in [4, 0, 2] {
                self.instance.step(part, now_ms).expect("the embedded log answers");
            }
        }
    }

    /// Runs until everything is committed and nothing more comes out.
    pub(super) fn settle(&mut self) {
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

    pub(super) fn open_cases(&self) -> u64 {
        self.instance
            .desk
            .live()
            .map(|place| match place {
                crate::shard::desk_lane::DeskPlace::Desk(desk) => desk.shard.engine().open_cases() as u64,
                _ => 0,
            })
            .sum()
    }

    pub(super) fn commit(&self, group: &str, of: &TopicPartition) -> i64 {
        let commits = self.cluster.group_offsets(group, std::slice::from_ref(of)).expect("the group answers");
        commits[0].as_ref().map_or(-1, |commit| commit.offset)
    }

    pub(super) fn audit(&self) -> Report {
        audit(&self.cluster, &plan(), &mut |_| {}).expect("the logs can be read")
    }

    pub(super) fn records(&self, topic: &str, partition: u32) -> Vec<StoredRecord> {
        self.cluster.records(&at(topic, partition)).expect("the topic exists")
    }

    /// The first ledger entry of the input's first partition with this disposition, past the first few: its offset
    /// and its record.
    pub(super) fn ledgered(&self, as_what: Disposition) -> (i64, i64, LedgerRun) {
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

    pub(super) fn rewrite_ledger(&self, at_offset: i64, run: &LedgerRun) {
        let mut value = Vec::new();
        ledger::encode(run, &mut value);
        assert!(self.cluster.tamper(&at(LEDGER, 0), at_offset, Some(&value)).expect("the topic exists"));
    }

    /// The desk-log record of a source of the input's first partition.
    pub(super) fn hand_over(&self, source: i64) -> (TopicPartition, StoredRecord) {
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

pub(super) fn publish_policy(cluster: &Cluster) {
    let bundle = Bundle { files: BTreeMap::from([("policy.toml".to_owned(), POLICY.to_owned())]) };
    Policy::compile(&bundle).expect("the policy is right");
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
