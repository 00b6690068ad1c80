//! What only a live cluster can tell: whether and why not it is reached, what this principal may do, who is in a group.
//!
//! Owns the questions; may not judge the answers, but for one: what a failed connection means, in a sentence. Called by
//! `triaged check --live`.

use super::answers::log_error;
use super::ffi::{About, AclOperation, Client, Code, Event, GroupRights, Kind, Queue};
use super::unreached::Unreached;
use super::{ANSWER_WAIT, Deadline, KafkaLogs};
use crate::log::{LogError, Logs};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one question may take before the library's own words are looked at.
const ASK_WAIT: Duration = Duration::from_millis(250);
/// How long the look at a broker that does not answer may take.
const EXPLAIN_WAIT: Duration = Duration::from_secs(3);

/// What may be done to a topic or a group, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Fetch records; join a group and commit.
    Read,
    /// Append records.
    Write,
    /// Delete records below an offset.
    Delete,
    /// Make the topic.
    Create,
    /// See that it exists, its partitions, offsets and committed positions.
    Describe,
    /// See its configuration: retention, compaction, time stamps.
    DescribeConfigs,
}

impl Operation {
    /// As `kafka-acls --operation` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Read => "Read",
            Operation::Write => "Write",
            Operation::Delete => "Delete",
            Operation::Create => "Create",
            Operation::Describe => "Describe",
            Operation::DescribeConfigs => "DescribeConfigs",
        }
    }

    fn of(operation: AclOperation) -> Option<Operation> {
        Some(match operation {
            AclOperation::RD_KAFKA_ACL_OPERATION_READ => Operation::Read,
            AclOperation::RD_KAFKA_ACL_OPERATION_WRITE => Operation::Write,
            AclOperation::RD_KAFKA_ACL_OPERATION_DELETE => Operation::Delete,
            AclOperation::RD_KAFKA_ACL_OPERATION_CREATE => Operation::Create,
            AclOperation::RD_KAFKA_ACL_OPERATION_DESCRIBE => Operation::Describe,
            AclOperation::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS => Operation::DescribeConfigs,
            _ => return None,
        })
    }
}

/// A topic as this principal may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicSeen {
    /// There is none, or, to a principal that may not even describe it, perhaps there is.
    Missing,
    /// Nothing is told of it.
    Denied,
    /// It is there.
    There {
        /// What may be done to it.
        allowed: Vec<Operation>,
        /// Copies of its first partition.
        copies: usize,
    },
}

/// A group as this principal may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSeen {
    /// The brokers do not know yet, and say why: no group was ever asked for, or its coordinator moves.
    Unknown(String),
    /// Nothing is told of it.
    Denied,
    /// It may be seen.
    There {
        /// What may be done to it.
        allowed: Vec<Operation>,
        /// In Kafka's words, such as `Stable` or `Dead`, which is also one that nobody has joined yet.
        state: String,
        /// How many members it has.
        members: usize,
    },
}

impl KafkaLogs {
    /// Waits until a broker answers, at most `wait`.
    ///
    /// # Errors
    /// What the client library has said of it meanwhile, and what that means.
    pub fn reach(&self, wait: Duration) -> Result<(), Unreached> {
        let why = match self.knock(wait, &[]) {
            Ok(()) => return Ok(()),
            Err(why) if why.is_about_a_certificate() => why,
            Err(why) => return Err(why),
        };
        // The library says the same of an unknown authority and of a certificate in another's name. Without the look at
        // the name, and without a word of the login, the two differ.
        let blind = [("ssl.endpoint.identification.algorithm", "none"), ("security.protocol", "ssl")];
        match self.knock(wait, &blind) {
            Err(again) if again.is_about_a_certificate() => Err(why),
            _ => Err(why.of_another_name()),
        }
    }

    /// Asks for the brokers with a client of its own, which also hears what the library would only log.
    fn knock(&self, wait: Duration, more: &[(&str, &str)]) -> Result<(), Unreached> {
        let settings = self.settings();
        let mut properties = settings.consumer_properties(&settings.reader_group, None);
        // It asks for no topic. To a broker that it does not reach yet, the library would say that this is not supported.
        properties.retain(|(name, _)| name != "allow.auto.create.topics");
        properties.push(("log.queue".to_owned(), "true".to_owned()));
        properties.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let secrets = if more.is_empty() { settings.secrets.as_slice() } else { &[] };
        let said = |text: &str, code: Code| Unreached::of(text, code, settings);
        let client = Client::new(Kind::Consumer, &properties, secrets, Event::ERRORS | Event::LOGS)
            .map_err(|error| said(&error.text, error.code))?;
        let logs = client.log_to_main_queue();
        logs.map_err(|error| said(&error.text, error.code))?;
        let events = Queue::main(&client);
        let deadline = Deadline::after(wait);
        let mut worst: Option<Unreached> = None;
        loop {
            let Err(error) = client.ask(deadline.left().min(ASK_WAIT)) else { return Ok(()) };
            while let Some(event) = events.event(Duration::ZERO) {
                let found = match event.about() {
                    About::Error => event.error().map(|error| said(&error.text, error.code)),
                    About::Log => event.log_line().and_then(|line| Unreached::of_log_line(&line, settings)),
                    _ => None,
                };
                if let Some(found) = found.filter(|found| found.says_more_than(worst.as_ref())) {
                    worst = Some(found);
                }
            }
            // What another try cannot mend is told at once.
            if deadline.has_passed() || worst.as_ref().is_some_and(Unreached::is_final) {
                return Err(worst.unwrap_or_else(|| said(&error.text, error.code)));
            }
        }
    }

    /// What it means that no broker answered, where a closer look can tell.
    pub(super) fn explained(&self, error: LogError) -> LogError {
        if !matches!(error, LogError::Away(_)) {
            return error;
        }
        self.answers(EXPLAIN_WAIT).err().unwrap_or(error)
    }

    /// What this principal may see of these topics.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn see_topics(&self, topics: &[&str]) -> Result<BTreeMap<String, TopicSeen>, LogError> {
        let answer = self.inquirer()?.describe_topics(topics, true, ANSWER_WAIT);
        let found = answer.map_err(|error| log_error(&error, "the rights on topics"))?;
        let seen = found.into_iter().map(|topic| {
            let seen = match topic.code {
                Code::NoError => TopicSeen::There {
                    allowed: topic.allowed.into_iter().filter_map(Operation::of).collect(),
                    copies: topic.copies,
                },
                Code::TopicAuthorizationFailed => TopicSeen::Denied,
                _ => TopicSeen::Missing,
            };
            (topic.name, seen)
        });
        Ok(seen.collect())
    }

    /// What this principal may see of these groups.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn see_groups(&self, groups: &[&str]) -> Result<BTreeMap<String, GroupSeen>, LogError> {
        let answer = self.inquirer()?.group_rights(groups, ANSWER_WAIT);
        let found = answer.map_err(|error| log_error(&error, "the rights on groups"))?;
        Ok(found.into_iter().map(|group| (group.name.clone(), group_seen(group))).collect())
    }

    /// How many partitions a topic has; 0 where there is none. Needs no right but to describe it.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        let answer = self.inquirer()?.describe_topics(&[topic], false, ANSWER_WAIT);
        let found = answer.map_err(|error| log_error(&error, topic))?;
        Ok(found.first().filter(|shape| shape.code == Code::NoError).map_or(0, |shape| shape.partitions))
    }

    /// The configuration of topics, by name; those that are not there or not to be seen are left out.
    ///
    /// # Errors
    /// When the broker does not answer, or a topic may not be described.
    pub fn topic_configs(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, LogError> {
        let answer = self.inquirer()?.describe_configs(topics, ANSWER_WAIT);
        let found = answer.map_err(|error| log_error(&error, &topics.join(", ")))?;
        Ok(found.into_iter().map(|(name, config)| (name, config.into_iter().collect())).collect())
    }
}

/// What an answer about a group says. Another error than a refusal says nothing of rights.
fn group_seen(group: GroupRights) -> GroupSeen {
    match group.code {
        Code::NoError => GroupSeen::There {
            allowed: group.allowed.into_iter().filter_map(Operation::of).collect(),
            state: group.state,
            members: group.members,
        },
        Code::GroupAuthorizationFailed => GroupSeen::Denied,
        code => GroupSeen::Unknown(code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_whose_coordinator_does_not_answer_yet_is_unknown_and_not_denied() {
        let answer = |code| {
            let (name, state) = ("triaged.triage".to_owned(), "Unknown".to_owned());
            let allowed = vec![AclOperation::RD_KAFKA_ACL_OPERATION_READ];
            group_seen(GroupRights { name, code, state, members: 0, allowed })
        };
        assert_eq!(answer(Code::GroupAuthorizationFailed), GroupSeen::Denied);
        for code in [Code::CoordinatorNotAvailable, Code::CoordinatorLoadInProgress, Code::NotCoordinator] {
            assert!(
                matches!(answer(code), GroupSeen::Unknown(why) if why.contains("oordinator")),
                "{code:?}"
            );
        }
        let there =
            GroupSeen::There { allowed: vec![Operation::Read], state: "Unknown".to_owned(), members: 0 };
        assert_eq!(answer(Code::NoError), there);
    }
}
