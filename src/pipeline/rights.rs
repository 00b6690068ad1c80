//! The rights on the broker that each verb needs, and no more: what `triaged topics --acl` prints.
//!
//! Owns the list, once: `check --live` compares it with what the broker grants. A right that follows from another
//! (Read, Write, Delete and Alter bring Describe with them) is not listed. Pure. `tests/rights.rs` runs the daemon with
//! exactly these rights, and shows of each of them what fails without it.

use super::topics::{assignments, fixed, ledger};
use crate::config::Settings;
use crate::kafka::Operation;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use triage_engine::policy::Policy;

/// What a right is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic by its name.
    Topic(String),
    /// A consumer group by its name.
    Group(String),
}

impl Resource {
    /// Its kind, as `kafka-acls` names it in an option.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Resource::Topic(_) => "topic",
            Resource::Group(_) => "group",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Resource::Topic(name) | Resource::Group(name) => name,
        }
    }
}

/// What must be allowed on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The topic or group.
    pub resource: Resource,
    /// What must be allowed, without what follows from it.
    pub operations: Vec<Operation>,
}

fn topic(name: &str, operations: &[Operation]) -> Need {
    Need { resource: Resource::Topic(name.to_owned()), operations: operations.to_vec() }
}

/// The group of the triage lanes.
#[must_use]
pub fn triage_group(settings: &Settings) -> String {
    format!("{}.triage", settings.group.name)
}

/// The group of the desk lanes.
#[must_use]
pub fn desk_group(settings: &Settings) -> String {
    format!("{}.desk", settings.group.name)
}

fn groups(settings: &Settings, operation: Operation) -> [Need; 2] {
    [triage_group(settings), desk_group(settings)]
        .map(|name| Need { resource: Resource::Group(name), operations: vec![operation] })
}

/// What `triaged run` and `triaged check --live` need.
#[must_use]
pub fn daemon(settings: &Settings, policy: &Policy) -> Vec<Need> {
    use Operation::{Delete, DescribeConfigs, Read, Write};
    let topics = &settings.topics;
    let mut needs = vec![
        topic(&topics.mentions, &[Read, DescribeConfigs]),
        topic(&topics.helpdesk_events, &[Read, DescribeConfigs]),
        topic(&ledger(settings), &[Read, Write, DescribeConfigs]),
        topic(&topics.control, &[Read, Write, DescribeConfigs]),
        topic(&topics.policies, &[Read, Write, DescribeConfigs]),
        topic(&topics.snapshots, &[Read, Write, DescribeConfigs]),
        // Deleted are records below the older of two snapshots.
        topic(&topics.desks, &[Read, Write, Delete, DescribeConfigs]),
        topic(&topics.dead_letter, &[Write, DescribeConfigs]),
        topic(&topics.alerts, &[Write, DescribeConfigs]),
    ];
    needs.extend(assignments(settings, policy).iter().map(|name| topic(name, &[Write, DescribeConfigs])));
    needs.extend(groups(settings, Read));
    needs
}

/// What `triaged audit` needs.
#[must_use]
pub fn audit(settings: &Settings, policy: &Policy) -> Vec<Need> {
    use Operation::{Describe, DescribeConfigs, Read};
    let topics = &settings.topics;
    let mut needs = vec![
        topic(&topics.mentions, &[Read, DescribeConfigs]),
        topic(&ledger(settings), &[Read]),
        topic(&topics.control, &[Read, DescribeConfigs]),
        topic(&topics.policies, &[Read]),
        topic(&topics.snapshots, &[Read]),
        topic(&topics.desks, &[Read, DescribeConfigs]),
        topic(&topics.dead_letter, &[Read, DescribeConfigs]),
    ];
    needs.extend(assignments(settings, policy).iter().map(|name| topic(name, &[Read, DescribeConfigs])));
    needs.extend(groups(settings, Describe));
    needs
}

/// What `triaged release` and `triaged requeue` need.
#[must_use]
pub fn release(settings: &Settings) -> Vec<Need> {
    use Operation::{Describe, DescribeConfigs, Read, Write};
    let topics = &settings.topics;
    vec![
        topic(&topics.mentions, &[Describe, DescribeConfigs]),
        topic(&ledger(settings), &[Read]),
        topic(&topics.control, &[Read, Write, DescribeConfigs]),
        topic(&topics.policies, &[Read, DescribeConfigs]),
        Need { resource: Resource::Group(triage_group(settings)), operations: vec![Describe] },
    ]
}

/// What `triaged topics --create` needs to list the topics and make them.
#[must_use]
pub fn create(settings: &Settings, policy: &Policy) -> Vec<Need> {
    use Operation::{Create, Describe, DescribeConfigs};
    let names = fixed(settings).into_iter().chain(assignments(settings, policy));
    names.map(|name| topic(&name, &[Create, Describe, DescribeConfigs])).collect()
}

/// `kafka-acls` command lines that grant the needs to a principal: one for all resources of a kind that need the same.
#[must_use]
pub fn commands(
    needs: &[Need],
    principal: &str,
    bootstrap: &str,
    command_config: Option<&str>,
) -> Vec<String> {
    let mut alike: BTreeMap<(&str, &[Operation]), Vec<&str>> = BTreeMap::new();
    for need in needs {
        let kind = need.resource.kind();
        alike.entry((kind, &need.operations)).or_default().push(need.resource.name());
    }
    let line = |((kind, operations), names): ((&str, &[Operation]), Vec<&str>)| {
        let mut line = format!("kafka-acls --bootstrap-server {}", quoted(bootstrap));
        if let Some(file) = command_config {
            let _ = write!(line, " --command-config {}", quoted(file));
        }
        let _ = write!(line, " --add --allow-principal {}", quoted(principal));
        for operation in operations {
            let _ = write!(line, " --operation {}", operation.name());
        }
        for name in names {
            let _ = write!(line, " --{kind} {}", quoted(name));
        }
        line
    };
    alike.into_iter().map(line).collect()
}

/// The needs for a program to read.
#[must_use]
pub fn to_json(needs: &[Need], principal: &str) -> Value {
    let needs: Vec<Value> = needs
        .iter()
        .map(|need| {
            let operations: Vec<&str> = need.operations.iter().map(|operation| operation.name()).collect();
            json!({ "resource": need.resource.kind(), "name": need.resource.name(), "operations": operations })
        })
        .collect();
    json!({ "principal": principal, "pattern": "literal", "rights": needs })
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,/@%+=[]".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_grant_what_is_alike_in_one_line_and_quote_what_a_shell_would_take_apart() {
        let needs = [
            topic("mentions", &[Operation::Read, Operation::DescribeConfigs]),
            topic("triaged.alerts", &[Operation::Write]),
            topic("helpdesk.events", &[Operation::Read, Operation::DescribeConfigs]),
            Need { resource: Resource::Group("g.desk".to_owned()), operations: vec![Operation::Read] },
        ];
        let lines = commands(&needs, "User:CN=triaged, O='x'", "k1:9092,k2:9092", Some("admin.properties"));
        let begin = "kafka-acls --bootstrap-server k1:9092,k2:9092 --command-config admin.properties --add \
                     --allow-principal 'User:CN=triaged, O='\\''x'\\'''";
        assert_eq!(
            lines,
            [
                format!("{begin} --operation Read --group g.desk"),
                format!(
                    "{begin} --operation Read --operation DescribeConfigs --topic mentions --topic helpdesk.events"
                ),
                format!("{begin} --operation Write --topic triaged.alerts"),
            ]
        );
    }
}
