//! The topics that the daemon needs: their names, how they must be made, and what is wrong with those that are there.
//!
//! Owns the demands on each topic, once: `topics --create` makes them so, and the start refuses what breaks them. May
//! not create anything by itself at the start: a typing error in a name must not become a topic. Called by the start,
//! by a reload (a policy may name desks whose topics are missing), by the command line and by the demo.

use crate::config::Settings;
use crate::error::Error;
use crate::log::{LogError, Logs, NewTopic, TopicInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use triage_engine::model::StreamId;
use triage_engine::policy::{Desk, Policy};

/// Bytes that an envelope may add to a mention: its headers, its verdict, its tags.
const ENVELOPE_BYTES_MAX: u64 = 64 * 1024;
/// What a broker takes for a record where nobody says otherwise (`message.max.bytes`).
const RECORD_BYTES_DEFAULT: u64 = 1_048_588;
/// A control record is kept at least so long before compaction may drop it, so that a reader that was away sees every
/// switch of the last hour, not only the last one.
pub(super) const CONTROL_LAG_MS: &str = "3600000";

/// How many partitions topics get that are made new.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of the mentions, the helpdesk's events and each desk's assignments.
    pub inputs: u32,
    /// Of the desk log. It cannot be changed later: cases are found by it.
    pub desks: u32,
    /// Copies of each partition; 0 leaves it to the broker.
    pub replication: u16,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { inputs: 12, desks: 12, replication: 0 }
    }
}

/// The name of the ledger of the input.
#[must_use]
pub fn ledger(settings: &Settings) -> String {
    settings.topics.ledger()
}

/// The topics to which this policy's desks write.
#[must_use]
pub fn assignments(settings: &Settings, policy: &Policy) -> Vec<String> {
    policy.desks().iter().map(|desk| format!("{}{}", settings.topics.assignments_prefix, desk.name)).collect()
}

/// The topics that do not depend on a policy.
pub(super) fn fixed(settings: &Settings) -> Vec<String> {
    let names = settings.topics.named().into_iter().map(|(_, name)| name.to_owned());
    names.chain([ledger(settings)]).collect()
}

/// A topic of the configuration that would be a desk's as well: the daemon would read what it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The setting that names the topic.
    pub setting: &'static str,
    /// Both names, and what to do.
    pub what: String,
}

/// Every topic that the configuration names and that is a desk's under this policy.
#[must_use]
pub fn clashes(settings: &Settings, policy: &Policy) -> Vec<Clash> {
    let ledger = ledger(settings);
    let named = settings.topics.named().into_iter().chain([("topics.ledger_prefix", ledger.as_str())]);
    let desks: BTreeMap<String, &Desk> =
        assignments(settings, policy).into_iter().zip(policy.desks()).collect();
    let clash = |(setting, name): (&'static str, &str)| {
        let desk = &desks.get(name)?.name;
        let what = format!(
            "`{setting}`: `{name}` is the topic of desk `{desk}` too, which is `topics.assignments_prefix` and the desk's name: \
             give each topic its own name"
        );
        Some(Clash { setting, what })
    };
    named.filter_map(clash).collect()
}

/// What the start found out about the topics.
#[derive(Debug, Clone)]
pub struct Found {
    /// How many partitions each topic has.
    pub partitions: BTreeMap<String, u32>,
    /// The broker's id of the mentions.
    pub mentions: StreamId,
    /// The broker's id of the helpdesk's events.
    pub helpdesk: StreamId,
    /// The broker's id of the control topic.
    pub control: StreamId,
}

impl Found {
    /// How many partitions `topic` has.
    #[must_use]
    pub fn partitions_of(&self, topic: &str) -> u32 {
        self.partitions.get(topic).copied().expect("invariant: the topics that are asked for were found")
    }
}

/// What the broker says of these topics, by name; those that are missing are left out.
///
/// # Errors
/// As the log says.
pub fn describe(logs: &dyn Logs, names: &[String]) -> Result<BTreeMap<String, TopicInfo>, LogError> {
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let infos = logs.describe(&asked)?;
    Ok(infos.into_iter().flatten().map(|info| (info.name.clone(), info)).collect())
}

/// Looks at the topics that every instance needs, whatever the policy.
///
/// # Errors
/// 69 while the broker is away; 78 naming every topic that is missing or made so that a guarantee would break.
pub fn check(settings: &Settings, logs: &dyn Logs) -> Result<Found, Error> {
    let names = fixed(settings);
    let infos = describe(logs, &names)?;
    let absent = missing(&names, &infos);
    let wrong: Vec<String> = wrong(settings, &infos).iter().map(ToString::to_string).collect();
    match (wrong.is_empty(), absent.is_empty()) {
        (true, true) => {}
        // Somebody may be making them at this moment: that is waited for, a topic of the wrong shape is not.
        (true, false) => {
            let message = format!("{} topics do not exist", absent.len());
            return Err(Error::unavailable(message).mistakes(absent).hint(HINT));
        }
        (false, _) => return Err(refusal(absent.into_iter().chain(wrong).collect())),
    }
    let id = |name: &str| infos.get(name).expect("invariant: nothing is missing").id;
    Ok(Found {
        mentions: id(&settings.topics.mentions),
        helpdesk: id(&settings.topics.helpdesk_events),
        control: id(&settings.topics.control),
        partitions: infos.iter().map(|(name, info)| (name.clone(), info.partitions)).collect(),
    })
}

/// What is wrong with the topics for the desks of this policy, and how many partitions those have that are there.
///
/// # Errors
/// As the log says.
pub fn check_policy(
    settings: &Settings,
    logs: &dyn Logs,
    policy: &Policy,
) -> Result<(BTreeMap<String, u32>, Vec<String>), LogError> {
    let mut names = assignments(settings, policy);
    let outputs = describe(logs, &names)?;
    let mut wrong: Vec<String> = clashes(settings, policy).into_iter().map(|clash| clash.what).collect();
    wrong.extend(missing(&names, &outputs));
    names.extend([settings.topics.desks.clone(), ledger(settings)]);
    let infos = describe(logs, &names)?;
    wrong.extend(wrong_for(settings, policy, &infos).iter().map(ToString::to_string));
    Ok((outputs.into_iter().map(|(name, info)| (name, info.partitions)).collect(), wrong))
}

/// What is wrong, for this policy, with those of the topics that are here, beside what [`wrong`] finds.
#[must_use]
pub fn wrong_for(settings: &Settings, policy: &Policy, infos: &BTreeMap<String, TopicInfo>) -> Vec<Wrong> {
    let outputs = assignments(settings, policy);
    let outputs = outputs.iter().filter_map(|name| infos.get(name));
    let mut wrong: Vec<Wrong> = outputs.filter_map(|info| fits(settings, info)).collect();
    wrong.extend(desks_misplaced(settings, policy, infos));
    wrong.extend(ledger_forgets(settings, policy, infos));
    wrong
}

/// Every desk whose place in the desk log does not exist.
fn desks_misplaced(settings: &Settings, policy: &Policy, infos: &BTreeMap<String, TopicInfo>) -> Vec<Wrong> {
    let Some(info) = infos.get(&settings.topics.desks) else { return Vec::new() };
    let misplaced = policy.desks().iter().filter(|desk| desk.log_partition >= info.partitions);
    let tell = |desk: &Desk| {
        let what = format!(
            "desk `{}` has log_partition {}, but `{}` has {} partitions, counted from 0",
            desk.name, desk.log_partition, info.name, info.partitions
        );
        Wrong::new(&info.name, what, &[])
    };
    misplaced.map(tell).collect()
}

/// Whether the ledger is kept for less than the dedup window, which is restored from it.
fn ledger_forgets(
    settings: &Settings,
    policy: &Policy,
    infos: &BTreeMap<String, TopicInfo>,
) -> Option<Wrong> {
    let (info, window) = (infos.get(&ledger(settings))?, policy.dedup().window_ms);
    let kept = info.retention_ms.filter(|&kept| kept < window)?;
    let what =
        format!("`{}` keeps {kept} ms (retention.ms), less than the dedup window of {window} ms", info.name);
    Some(Wrong::new(&info.name, what, &["retention.ms=-1"]))
}

/// Something about a topic that breaks a guarantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The topic.
    pub topic: String,
    /// What is wrong with it.
    pub what: String,
    /// The configuration that mends it, as `name=value`; empty where partitions are wrong, which cannot be mended so.
    pub set: Vec<String>,
}

impl Wrong {
    fn new(topic: &str, what: String, set: &[&str]) -> Wrong {
        Wrong { topic: topic.to_owned(), what, set: set.iter().map(|&set| set.to_owned()).collect() }
    }

    /// The command line that mends it, if one can.
    #[must_use]
    pub fn command(&self, bootstrap: &str) -> Option<String> {
        let (topic, set) = (&self.topic, self.set.join(","));
        (!set.is_empty()).then(|| {
            format!("kafka-configs --bootstrap-server {bootstrap} --alter --topic {topic} --add-config {set}")
        })
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.set.is_empty() { Ok(()) } else { write!(f, ": set {}", self.set.join(" and ")) }
    }
}

/// What is wrong with those of the fixed topics that are here.
#[must_use]
pub fn wrong(settings: &Settings, infos: &BTreeMap<String, TopicInfo>) -> Vec<Wrong> {
    infos.values().flat_map(|info| demands(settings, info, infos)).collect()
}

/// The error that names what is wrong with topics.
#[must_use]
pub fn refusal(wrong: Vec<String>) -> Error {
    let message = match wrong.len() {
        1 => "a topic is not as the daemon needs it".to_owned(),
        count => format!("topics are not as the daemon needs them, {count} mistakes"),
    };
    Error::configuration(message).mistakes(wrong).hint(HINT)
}

/// What to do about topics.
const HINT: &str = "`triaged topics` shows what is there beside what is needed, `triaged topics --create` makes what is missing";

fn missing(names: &[String], infos: &BTreeMap<String, TopicInfo>) -> Vec<String> {
    let names = names.iter().filter(|name| !infos.contains_key(*name));
    names.map(|name| format!("topic `{name}` does not exist")).collect()
}

/// Bytes that the largest record we write may have: a mention in its envelope.
pub(super) fn record_bytes_max(settings: &Settings) -> u64 {
    u64::from(settings.input.mention_bytes_max) + ENVELOPE_BYTES_MAX
}

/// Whether a mention in its envelope fits the topic.
fn fits(settings: &Settings, info: &TopicInfo) -> Option<Wrong> {
    let need = record_bytes_max(settings);
    (info.message_bytes_max < need).then(|| {
        let what = format!(
            "`{}` takes records of {} bytes (max.message.bytes), a mention and its envelope may have {need}",
            info.name, info.message_bytes_max
        );
        Wrong::new(&info.name, what, &[&format!("max.message.bytes={need}")])
    })
}

/// What is wrong with one of the fixed topics.
fn demands(settings: &Settings, info: &TopicInfo, all: &BTreeMap<String, TopicInfo>) -> Vec<Wrong> {
    let topics = &settings.topics;
    let name = &info.name;
    let mut wrong = Vec::new();
    let mut as_many_as = |other: &str, why: &str| {
        if let Some(other) = all.get(other).filter(|other| other.partitions != info.partitions) {
            let (has, other_has) = (info.partitions, other.partitions);
            let what = format!("`{name}` has {has} partitions and `{}` has {other_has}: {why}", other.name);
            wrong.push(Wrong::new(name, what, &[]));
        }
    };
    if *name == ledger(settings) {
        as_many_as(&topics.mentions, "the ledger has one for each of its input's");
    }
    if *name == topics.snapshots {
        as_many_as(&topics.desks, "snapshots have one for each of the desk log's");
    }
    if (*name == topics.control || *name == topics.policies) && info.partitions != 1 {
        let what = format!("`{name}` has {} partitions, it must have 1", info.partitions);
        wrong.push(Wrong::new(name, what, &[]));
    }
    let compacted = [&topics.control, &topics.policies, &topics.snapshots].contains(&name);
    let must_not = *name == topics.desks || *name == ledger(settings) || *name == topics.mentions;
    if compacted && !info.compacted {
        wrong.push(Wrong::new(name, format!("`{name}` must be compacted"), &["cleanup.policy=compact"]));
    }
    if let Some(kept) = info.retention_ms.filter(|_| compacted && info.compacted) {
        let what = format!(
            "`{name}` keeps {kept} ms beside being compacted, and what stands there is needed for good"
        );
        wrong.push(Wrong::new(name, what, &["cleanup.policy=compact"]));
    }
    if must_not && info.compacted {
        wrong.push(Wrong::new(name, format!("`{name}` must not be compacted"), &["cleanup.policy=delete"]));
    }
    if *name == topics.desks {
        if !info.log_append_time {
            let what = format!("`{name}` must be stamped by the broker");
            wrong.push(Wrong::new(name, what, &["message.timestamp.type=LogAppendTime"]));
        }
        if let Some(kept) = info.retention_ms {
            let what = format!("`{name}` keeps {kept} ms, and cases live longer");
            wrong.push(Wrong::new(name, what, &["retention.ms=-1", "retention.bytes=-1"]));
        }
        wrong.extend(fits(settings, info));
    }
    wrong
}

/// One topic that is needed, as it would be made.
///
/// # Errors
/// As the log says.
pub fn needed(
    settings: &Settings,
    logs: &dyn Logs,
    policies: &[&Policy],
    sizes: Sizes,
) -> Result<Vec<(NewTopic, Option<TopicInfo>)>, LogError> {
    let topics = &settings.topics;
    let outputs: BTreeSet<String> =
        policies.iter().flat_map(|policy| assignments(settings, policy)).collect();
    let names: Vec<String> = fixed(settings).into_iter().chain(outputs).collect();
    let infos = describe(logs, &names)?;
    let inputs = infos.get(&topics.mentions).map_or(sizes.inputs, |info| info.partitions);
    let highest = policies.iter().flat_map(|policy| policy.desks()).map(|desk| desk.log_partition + 1).max();
    let desks = sizes.desks.max(highest.unwrap_or(1));
    let desks = infos.get(&topics.desks).map_or(desks, |info| info.partitions);
    let forever = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
    let stamped = [forever[0], forever[1], forever[2], ("message.timestamp.type", "LogAppendTime")];
    let compact = [("cleanup.policy", "compact"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
    let control = [compact[0], compact[1], compact[2], ("min.compaction.lag.ms", CONTROL_LAG_MS)];
    let make = |name: String| {
        let (partitions, config): (u32, &[(&str, &str)]) = match &name {
            name if *name == topics.mentions => (inputs, &[]),
            name if *name == ledger(settings) => (inputs, &forever),
            name if *name == topics.desks => (desks, &stamped),
            name if *name == topics.snapshots => (desks, &compact),
            name if *name == topics.policies => (1, &compact),
            name if *name == topics.control => (1, &control),
            name if *name == topics.dead_letter || *name == topics.alerts => (1, &[]),
            _ => (sizes.inputs, &[]),
        };
        let mut config: Vec<(String, String)> =
            config.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let carries = name == topics.desks || name.starts_with(&topics.assignments_prefix);
        let bytes = record_bytes_max(settings);
        if carries && bytes > RECORD_BYTES_DEFAULT {
            config.push(("max.message.bytes".to_owned(), bytes.to_string()));
        }
        let info = infos.get(&name).cloned();
        (NewTopic { name, partitions, replication: sizes.replication, config }, info)
    };
    Ok(names.into_iter().map(make).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::embedded::Cluster;
    use std::sync::Arc;

    fn cluster() -> Cluster {
        Cluster::new(Arc::new(SystemClock::new()))
    }

    fn topic(name: &str, partitions: u32, config: &[(&str, &str)]) -> NewTopic {
        let config = config.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        NewTopic { name: name.to_owned(), partitions, replication: 1, config }
    }

    #[test]
    fn every_missing_topic_is_named_at_once() {
        let error = check(&Settings::default(), &cluster()).expect_err("there is no topic");
        let text = error.to_string();
        for name in fixed(&Settings::default()) {
            assert!(text.contains(&format!("topic `{name}` does not exist")), "{text}");
        }
        assert!(text.contains("triaged topics --create"), "{text}");
        assert_eq!(error.exit_code(), 69);
    }

    #[test]
    fn topics_that_are_made_as_listed_are_accepted() {
        let (settings, cluster) = (Settings::default(), cluster());
        let needed = needed(&settings, &cluster, &[], Sizes { inputs: 5, desks: 3, replication: 1 });
        let needed: Vec<NewTopic> = needed.expect("it answers").into_iter().map(|(new, _)| new).collect();
        cluster.create(&needed).expect("it takes topics");
        let found = check(&settings, &cluster).expect("all is well");
        assert_eq!(found.partitions_of("triaged.ledger.mentions"), 5);
        assert_eq!(found.partitions_of("triaged.snapshots"), 3);
    }

    #[test]
    fn topics_that_are_made_take_the_longest_mention_that_is_allowed() {
        let (mut settings, cluster) = (Settings::default(), cluster());
        settings.input.mention_bytes_max = 4 << 20;
        let needed = needed(&settings, &cluster, &[], Sizes::default()).expect("it answers");
        let needed: Vec<NewTopic> = needed.into_iter().map(|(new, _)| new).collect();
        cluster.create(&needed).expect("it takes topics");
        check(&settings, &cluster).expect("what is made is what is needed");
    }

    #[test]
    fn a_desk_whose_topic_has_another_name_already_is_refused_with_the_setting() {
        let desk = |name: &str, partition: u32| {
            format!(
                "[[desk]]\nname = \"{name}\"\nlog_partition = {partition}\ncase_lapse = \"1h\"\nmentions_per_case_max = 10\n\
                 [[queue]]\nname = \"{name}.all\"\ndesk = \"{name}\"\n"
            )
        };
        let rest = "[workflow]\ndefault = \"care.all\"\n[dedup]\nwindow = \"10m\"\nids_max = 1000\n\
                    [fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n";
        let text = format!("{}{}{rest}", desk("care", 0), desk("tech", 1));
        let files = [("policy.toml".to_owned(), text)].into();
        let policy = Policy::compile(&triage_engine::policy::Bundle { files }).expect("the policy is right");
        let mut settings = Settings::default();
        assert_eq!(clashes(&settings, &policy), []);
        "assignments.tech".clone_into(&mut settings.topics.helpdesk_events);
        "care".clone_into(&mut settings.topics.mentions);
        "assignments.".clone_into(&mut settings.topics.ledger_prefix);
        let found = clashes(&settings, &policy);
        let named: Vec<&str> = found.iter().map(|clash| clash.setting).collect();
        assert_eq!(named, ["topics.helpdesk_events", "topics.ledger_prefix"], "{found:?}");
        assert!(found[0].what.contains("`assignments.tech` is the topic of desk `tech` too"), "{found:?}");
        // A reload and the start ask here.
        let (_, wrong) = check_policy(&settings, &cluster(), &policy).expect("it answers");
        assert!(found.iter().all(|clash| wrong.contains(&clash.what)), "{wrong:?}");
    }

    #[test]
    fn a_topic_that_would_break_a_guarantee_is_refused_with_the_reason() {
        let (settings, cluster) = (Settings::default(), cluster());
        // As a broker says it of every topic: the limit counts only where records are deleted.
        let compact: &[(&str, &str)] = &[("cleanup.policy", "compact"), ("retention.ms", "604800000")];
        let both: &[(&str, &str)] = &[("cleanup.policy", "compact,delete"), ("retention.ms", "86400000")];
        let topics = [
            topic("mentions", 4, &[]),
            topic("helpdesk.events", 1, &[]),
            topic("triaged.ledger.mentions", 3, &[]),
            topic("triaged.desks", 2, &[("retention.ms", "604800000")]),
            topic("triaged.snapshots", 2, compact),
            topic("triaged.control", 2, both),
            topic("triaged.policies", 1, &[]),
            topic("triaged.dead-letter", 1, &[]),
            topic("triaged.alerts", 1, &[]),
        ];
        cluster.create(&topics).expect("it takes topics");
        let text = check(&settings, &cluster).expect_err("five things are wrong").to_string();
        for part in [
            "`triaged.ledger.mentions` has 3 partitions and `mentions` has 4",
            "`triaged.desks` keeps 604800000 ms",
            "`triaged.control` has 2 partitions, it must have 1",
            "`triaged.control` keeps 86400000 ms beside being compacted",
            "`triaged.policies` must be compacted",
            "5 mistakes",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
