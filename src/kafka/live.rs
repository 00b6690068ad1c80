//! What only a live cluster can tell: whether and why not it is reached, what this principal may do, who is in a group.
//!
//! Owns the questions; may not judge the answers, but for one: what a failed connection means, in a sentence. Called by
//! `triaged check --live`.

use super::answers::log_error;
use super::ffi::{About, AclOperation, Client, ClientError, Code, Event, Kind, Queue};
use super::unreached::Unreached;
use super::{ANSWER_WAIT, Deadline, KafkaLogs};
use crate::log::LogError;
use std::collections::BTreeMap;
use std::time::Duration;

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
pub struct GroupSeen {
    /// What may be done to it.
    pub allowed: Vec<Operation>,
    /// In Kafka's words, such as `Stable` or `Dead`, which is also one that nobody has joined yet.
    pub state: String,
    /// How many members it has.
    pub members: usize,
}

impl KafkaLogs {
    /// Waits until a broker answers, at most `wait`.
    ///
    /// # Errors
    /// What the client library has said of it meanwhile, and what that means.
    pub fn reach(&self, wait: Duration) -> Result<(), Unreached> {
        let properties = self.settings().consumer_properties(&self.settings().reader_group, None);
        let said = |error: &ClientError| Unreached::of(&error.text, error.code, self.settings());
        let client = Client::new(Kind::Consumer, &properties, &self.settings().secrets, Event::ERRORS)
            .map_err(|error| said(&error))?;
        let events = Queue::main(&client);
        let deadline = Deadline::after(wait);
        let mut last: Option<Unreached> = None;
        loop {
            let answer = client.ask(deadline.left().min(Duration::from_millis(500)));
            let Err(error) = answer else { return Ok(()) };
            while let Some(event) = events.event(Duration::ZERO) {
                if event.about() != About::Error {
                    continue;
                }
                let found = event.error().map(|error| said(&error));
                // "All brokers are down" says less than what was said before it.
                if let Some(found) = found.filter(|found| found.says_more_than(last.as_ref())) {
                    last = Some(found);
                }
            }
            // What another try cannot mend is told at once.
            if deadline.has_passed() || last.as_ref().is_some_and(Unreached::is_final) {
                return Err(last.unwrap_or_else(|| said(&error)));
            }
        }
    }

    /// What this principal may see of these topics.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn see_topics(&self, topics: &[&str]) -> Result<BTreeMap<String, TopicSeen>, LogError> {
        let answer = self.inquirer()?.topic_rights(topics, ANSWER_WAIT);
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

    /// What this principal may see of these groups; `None` for one of which nothing is told.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn see_groups(&self, groups: &[&str]) -> Result<BTreeMap<String, Option<GroupSeen>>, LogError> {
        let answer = self.inquirer()?.group_rights(groups, ANSWER_WAIT);
        let found = answer.map_err(|error| log_error(&error, "the rights on groups"))?;
        let seen = found.into_iter().map(|group| {
            let denied = group.code == Code::GroupAuthorizationFailed;
            let allowed = group.allowed.into_iter().filter_map(Operation::of).collect();
            let seen = GroupSeen { allowed, state: group.state, members: group.members };
            (group.name, (!denied).then_some(seen))
        });
        Ok(seen.collect())
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
