//! What the simulated world is fed with: mentions, copies, noise, poison, helpdesk events, policies.
//!
//! Owns what was sent, so that the checker knows what must come out. May not look at what came out.

use super::random::Random;
use crate::embedded::Cluster;
use crate::log::TopicPartition;
use crate::wire::{control, policies};
use std::collections::BTreeMap;
use triage_engine::model::{CaseId, Millis};
use triage_engine::plans::{ControlRecord, PolicyRequest, ReleaseRequest, Taken};
use triage_engine::policy::Bundle;

const TEXTS: [&str; 8] = [
    "my tv is broken again",
    "no answer for a week, very bad service",
    "giveaway: win a phone today",
    "casino bonus for you",
    "thanks for the quick help",
    "tv giveaway",
    "card 4111 1111 1111 1111 was charged twice",
    "nothing in particular",
];

pub(super) struct Feed {
    partitions: u32,
    desk_partitions: u32,
    sent: Vec<(u32, String)>,
    ids: u64,
    events: u64,
    releases: u64,
}

impl Feed {
    pub(super) fn new(partitions: u32, desk_partitions: u32) -> Feed {
        Feed { partitions, desk_partitions, sent: Vec::new(), ids: 0, events: 0, releases: 0 }
    }

    /// The policy of the n-th switch; three that differ in what is noise and where things go.
    pub(super) fn bundle(&self, switch: u32) -> Bundle {
        let noise = if switch % 3 == 1 { "tag" } else { "noise" };
        let phone = if switch % 3 == 2 { "noise" } else { "tag" };
        let filter = if switch % 3 == 2 { "tag:none" } else { "tag:tv" };
        let tech = self.desk_partitions - 1;
        let text = format!(
            r#"
[[rule]]
name = "casino"
query = "casino"
action = "block"
[[rule]]
name = "giveaway"
query = "giveaway"
action = "{noise}"
[[rule]]
name = "phone"
query = "phone"
action = "{phone}"
[[rule]]
name = "tv"
query = "tv AND NOT radio"
tags = ["tv"]
category = "technical"
[[rule]]
name = "unused"
query = "unused"
tags = ["none"]
[[desk]]
name = "care"
log_partition = 0
case_lapse = "1m"
mentions_per_case_max = 100
[[desk]]
name = "tech"
log_partition = {tech}
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
when = "{filter}"
queue = "tech.tv"
[workflow]
default = "care.general"
[dedup]
window = "1h"
ids_max = 20000
[fleet]
hash_key = "000102030405060708090a0b0c0d0e0f"
"#
        );
        Bundle { files: BTreeMap::from([("policy.toml".to_owned(), text)]) }
    }

    pub(super) fn publish_first_policy(&self, cluster: &Cluster) {
        self.switch(cluster, 0);
    }

    /// Somebody asks for the policy of the n-th switch.
    pub(super) fn switch(&self, cluster: &Cluster, n: u32) {
        let bundle = self.bundle(n);
        let generation = bundle.generation();
        for record in policies::publish(generation, &bundle.to_bytes()) {
            append(cluster, "triaged.policies", 0, Some(record.key.as_bytes()), Some(&record.value));
        }
        let request =
            PolicyRequest { id: format!("switch-{n}"), generation, by: "somebody".to_owned(), at: Millis(0) };
        let (key, value) = control::encode(&ControlRecord::SwitchRequested(request));
        append(cluster, "triaged.control", 0, Some(key.as_bytes()), value.as_deref());
    }

    /// Somebody asks for what a rule took, or for dead letters.
    pub(super) fn release(&mut self, cluster: &Cluster, random: &mut Random) {
        self.releases += 1;
        let what = match random.below(8) {
            0 => Taken::AsDeadLetter(None),
            1 | 2 => Taken::ByRule("casino".to_owned()),
            3 | 4 => Taken::ByRule("phone".to_owned()),
            _ => Taken::ByRule("giveaway".to_owned()),
        };
        let request = ReleaseRequest {
            id: format!("release-{}", self.releases),
            what,
            from: None,
            to: None,
            partitions: self.partitions,
            by: "somebody".to_owned(),
            at: Millis(0),
        };
        let (key, value) = control::encode(&ControlRecord::ReleaseRequested(request));
        append(cluster, "triaged.control", 0, Some(key.as_bytes()), value.as_deref());
    }

    pub(super) fn mentions(&mut self, cluster: &Cluster, random: &mut Random, holes: bool) {
        for _ in 0..=random.below(8) {
            if holes && random.chance(15) {
                let to = TopicPartition::new("mentions", random.below(u64::from(self.partitions)) as u32);
                cluster.append_hole(&to).expect("the topic exists");
            }
            let (partition, value) = self.mention(random);
            append(cluster, "mentions", partition, None, Some(value.as_bytes()));
        }
    }

    fn mention(&mut self, random: &mut Random) -> (u32, String) {
        if random.chance(5) {
            return (random.below(u64::from(self.partitions)) as u32, "{\"mention_id\": 1".to_owned());
        }
        if random.chance(20) && !self.sent.is_empty() {
            let recent = self.sent.len().min(40);
            let (partition, value) =
                self.sent[self.sent.len() - 1 - random.below(recent as u64) as usize].clone();
            let elsewhere = random.chance(25);
            let partition = if elsewhere { (partition + 1) % self.partitions } else { partition };
            return (partition, value);
        }
        self.ids += 1;
        let author = random.below(12);
        let partition = (author % u64::from(self.partitions)) as u32;
        let text = TEXTS[random.below(TEXTS.len() as u64) as usize];
        let id = if random.chance(80) { format!("x:{}", self.ids) } else { format!("x:p{}", self.ids) };
        let value = format!(
            r#"{{"mention_id":"{id}","network":"x","kind":"post","author":{{"id":"x:u{author}","handle":"@u{author}"}},"text":"{text}"}}"#
        );
        self.sent.push((partition, value.clone()));
        (partition, value)
    }

    pub(super) fn helpdesk(&mut self, cluster: &Cluster, random: &mut Random, open: Vec<CaseId>) {
        self.events += 1;
        let id = self.events;
        let value = match random.below(10) {
            0 => "not json".to_owned(),
            1 => format!(r#"{{"type":"agent.focus","source":"hd","id":"{id}","agent":"a"}}"#),
            2 => format!(
                r#"{{"type":"case.resolved","source":"hd","id":"{id}","case_id":"c0-999999","by":"a"}}"#
            ),
            _ if open.is_empty() => return,
            _ => {
                let case = open[random.below(open.len() as u64) as usize];
                format!(r#"{{"type":"case.resolved","source":"hd","id":"{id}","case_id":"{case}","by":"a"}}"#)
            }
        };
        append(cluster, "helpdesk.events", 0, None, Some(value.as_bytes()));
    }
}

fn append(cluster: &Cluster, topic: &str, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>) {
    cluster.append(&TopicPartition::new(topic, partition), key, value).expect("the topic exists");
}
