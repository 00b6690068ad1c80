//! `triaged check --live`: what the brokers say of this configuration, everything at once.
//!
//! Owns the order of questions and the sentences: reached or not, rights, topics, consumer groups, the newest mentions.
//! Writes nothing to the cluster. What a topic must be like is `topics`, which rights are needed is `rights`. Called by
//! the command line, which prints the findings.

mod sample;

use super::connect::{REACH_WAIT, unreached};
use super::{rights, topics};
use crate::config::Settings;
use crate::error::Error;
use crate::kafka::{GroupSeen, KafkaLogs, Operation, TopicSeen};
use crate::log::{Logs, TopicPartition};
use serde::Serialize;
use std::collections::BTreeMap;
use triage_engine::model::Millis;
use triage_engine::policy::Policy;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A right that the daemon needs is not granted.
    Right,
    /// Something else that the daemon cannot run with, or that would lose or distort what it does.
    Wrong,
    /// Works, but something is weaker than it could be.
    Note,
}

/// One thing that was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The topic, the group or the brokers.
    pub about: String,
    /// What was found.
    pub what: String,
    /// A command line or an advice; empty when there is nothing to do.
    pub advice: String,
    /// The operations that are not granted, in Kafka's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<&'static str>,
}

impl Finding {
    fn new(severity: Severity, about: &str, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding {
            severity,
            about: about.to_owned(),
            what: what.into(),
            advice: advice.into(),
            missing: Vec::new(),
        }
    }
}

/// One consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// In Kafka's words.
    pub state: String,
    /// How many members it has.
    pub members: usize,
    /// Records that are not settled yet; `None` where the group has never committed.
    pub lag: Option<i64>,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Everything that was found, the worst first.
    pub findings: Vec<Finding>,
    /// How many topics and groups were looked at.
    pub looked_at: usize,
    /// The consumer groups.
    pub groups: Vec<Group>,
    /// How many of the newest mentions were read.
    pub sampled: usize,
}

impl Live {
    /// Whether the daemon lacks a right.
    #[must_use]
    pub fn lacks_rights(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Right)
    }

    /// Whether anything is wrong; notes are not.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }
}

/// Asks the brokers everything. `now` is the wall clock's time.
///
/// # Errors
/// When no broker is reached, or one that answered goes away meanwhile.
pub fn look(settings: &Settings, policy: &Policy, logs: &KafkaLogs, now: Millis) -> Result<Live, Error> {
    logs.reach(REACH_WAIT).map_err(|why| unreached(settings, &why))?;
    let needs = rights::daemon(settings, policy);
    let seen = Seen::of(logs, &needs)?;
    let mut findings = missing_rights(settings, &needs, &seen);
    topics_are_wrong(settings, policy, logs, &seen, &mut findings)?;
    let groups = groups(settings, logs, &seen, &mut findings)?;
    let sampled = match seen.may(&settings.topics.mentions, Operation::Read) {
        true => sample::newest_mentions(settings, logs, now, &mut findings)?,
        false => 0,
    };
    findings.sort_by_key(|finding| finding.severity);
    Ok(Live { findings, looked_at: needs.len(), groups, sampled })
}

/// What this principal may see.
struct Seen {
    topics: BTreeMap<String, TopicSeen>,
    groups: BTreeMap<String, GroupSeen>,
}

impl Seen {
    fn of(logs: &KafkaLogs, needs: &[rights::Need]) -> Result<Seen, Error> {
        let of_kind = |kind: &str| -> Vec<&str> {
            needs
                .iter()
                .map(|need| &need.resource)
                .filter(|it| it.kind() == kind)
                .map(|it| it.name())
                .collect()
        };
        let topics = logs.see_topics(&of_kind("topic"))?;
        let groups = logs.see_groups(&of_kind("group"))?;
        Ok(Seen { topics, groups })
    }

    fn may(&self, topic: &str, operation: Operation) -> bool {
        matches!(self.topics.get(topic), Some(TopicSeen::There { allowed, .. }) if allowed.contains(&operation))
    }

    /// What is granted on a resource; `None` where it is not there, or not known yet, so that nothing can be said.
    fn granted(&self, resource: &rights::Resource) -> Option<&[Operation]> {
        match resource {
            rights::Resource::Topic(name) => match self.topics.get(name)? {
                TopicSeen::There { allowed, .. } => Some(allowed),
                TopicSeen::Denied => Some(&[]),
                TopicSeen::Missing => None,
            },
            rights::Resource::Group(name) => match self.groups.get(name)? {
                GroupSeen::There { allowed, .. } => Some(allowed),
                GroupSeen::Denied => Some(&[]),
                GroupSeen::Unknown(_) => None,
            },
        }
    }
}

fn missing_rights(settings: &Settings, needs: &[rights::Need], seen: &Seen) -> Vec<Finding> {
    let user = settings.kafka.client.get("sasl.username");
    let principal = user.map_or_else(|| "User:triaged".to_owned(), |user| format!("User:{user}"));
    let mut findings = Vec::new();
    for need in needs {
        let Some(granted) = seen.granted(&need.resource) else { continue };
        let missing: Vec<Operation> =
            need.operations.iter().copied().filter(|operation| !granted.contains(operation)).collect();
        if missing.is_empty() {
            continue;
        }
        let names: Vec<&str> = missing.iter().map(|operation| operation.name()).collect();
        let (kind, name) = (need.resource.kind(), need.resource.name());
        let what = match granted {
            [] => format!("{kind} `{name}` is not shown to `{principal}`, who needs {}", names.join(", ")),
            _ => format!("{} on {kind} `{name}` is not granted to `{principal}`", names.join(", ")),
        };
        let lacking = rights::Need { resource: need.resource.clone(), operations: missing };
        let advice = rights::commands(&[lacking], &principal, &settings.kafka.bootstrap, None).remove(0);
        findings.push(Finding { missing: names, ..Finding::new(Severity::Right, name, what, advice) });
    }
    findings
}

/// Shape and configuration of the topics that this principal may describe.
fn topics_are_wrong(
    settings: &Settings,
    policy: &Policy,
    logs: &KafkaLogs,
    seen: &Seen,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let bootstrap = &settings.kafka.bootstrap;
    let (mut visible, mut single) = (Vec::new(), Vec::new());
    for (name, topic) in &seen.topics {
        match topic {
            TopicSeen::Missing => findings.push(Finding::new(
                Severity::Wrong,
                name,
                format!("topic `{name}` does not exist, or this principal may not see it"),
                "triaged topics --create",
            )),
            TopicSeen::There { copies, .. } => {
                if *copies == 1 {
                    single.push(format!("`{name}`"));
                }
                if seen.may(name, Operation::DescribeConfigs) {
                    visible.push(name.clone());
                }
            }
            TopicSeen::Denied => {}
        }
    }
    if !single.is_empty() && !settings.kafka.is_local() {
        findings.push(Finding::new(
            Severity::Note,
            &single.join(", "),
            format!("{} topics have one copy: what a broker's disk loses is lost", single.len()),
            "make them with `triaged topics --create --replication 3`, or add copies with kafka-reassign-partitions",
        ));
    }
    let infos = topics::describe(logs, &visible)?;
    let mut wrong = topics::wrong(settings, &infos);
    wrong.extend(topics::wrong_for(settings, policy, &infos));
    for wrong in wrong {
        let advice = wrong.command(bootstrap).unwrap_or_default();
        findings.push(Finding::new(Severity::Wrong, &wrong.topic, wrong.what, advice));
    }
    control_keeps(settings, logs, &visible, findings)
}

/// The control topic must not be compacted at once: a reader that was away would miss switches in between.
fn control_keeps(
    settings: &Settings,
    logs: &KafkaLogs,
    visible: &[String],
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let control = &settings.topics.control;
    if !visible.contains(control) {
        return Ok(());
    }
    let configs = logs.topic_configs(&[control])?;
    let wanted: i64 = topics::CONTROL_LAG_MS.parse().expect("invariant: a number");
    let kept =
        configs.get(control).and_then(|config| config.get("min.compaction.lag.ms")?.parse::<i64>().ok());
    if kept.is_some_and(|kept| kept < wanted) {
        findings.push(Finding::new(
            Severity::Note,
            control,
            format!("`{control}` may be compacted within the hour (min.compaction.lag.ms): an instance that was away sees the last policy only"),
            format!(
                "kafka-configs --bootstrap-server {} --alter --topic {control} --add-config min.compaction.lag.ms={wanted}",
                settings.kafka.bootstrap
            ),
        ));
    }
    Ok(())
}

fn groups(
    settings: &Settings,
    logs: &KafkaLogs,
    seen: &Seen,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Group>, Error> {
    let mut groups = Vec::new();
    for (name, topic) in [
        (rights::triage_group(settings), &settings.topics.mentions),
        (rights::desk_group(settings), &settings.topics.desks),
    ] {
        match seen.groups.get(&name) {
            Some(GroupSeen::There { allowed, state, members }) => {
                let may = seen.may(topic, Operation::Describe) && allowed.contains(&Operation::Describe);
                let lag = if may { lag(logs, &name, topic, findings)? } else { None };
                groups.push(Group { name, state: state.clone(), members: *members, lag });
            }
            Some(GroupSeen::Unknown(why)) => {
                let what = format!("of group `{name}` the brokers know nothing yet ({why})");
                let advice =
                    "a new cluster makes its place for groups at the first question: ask again in a moment";
                findings.push(Finding::new(Severity::Note, &name, what, advice));
            }
            Some(GroupSeen::Denied) | None => {}
        }
    }
    Ok(groups)
}

/// How far the group is behind on a topic; `None` when it never committed there, or there is no such topic. Partitions that
/// it never began while it began others are told: they were added since, and nobody reads them.
fn lag(
    logs: &KafkaLogs,
    group: &str,
    topic: &str,
    findings: &mut Vec<Finding>,
) -> Result<Option<i64>, Error> {
    let partitions = partitions_of(logs, topic)?;
    let commits = logs.group_offsets(group, &partitions)?;
    if commits.iter().all(Option::is_none) {
        return Ok(None);
    }
    let (mut lag, mut unread) = (0, Vec::new());
    for (partition, commit) in partitions.iter().zip(commits) {
        let (start, end) = logs.bounds(partition)?;
        if commit.is_none() && end > start {
            unread.push(partition.partition.to_string());
        }
        lag += (end - commit.map_or(start, |commit| commit.offset)).max(0);
    }
    if !unread.is_empty() {
        let what = format!("nobody has begun to read partitions {} of `{topic}`", unread.join(", "));
        let advice = "added a moment ago they are read within two session timeouts of a running instance; else look for what it says of them";
        findings.push(Finding::new(Severity::Wrong, topic, what, advice));
    }
    Ok(Some(lag))
}

fn partitions_of(logs: &KafkaLogs, topic: &str) -> Result<Vec<TopicPartition>, Error> {
    let count = logs.partitions(topic)?;
    Ok((0..count).map(|partition| TopicPartition::new(topic, partition)).collect())
}
