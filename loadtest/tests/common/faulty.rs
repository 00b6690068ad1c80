//! Bugs planted in a daemon: the whole daemon, in this process, with a producer that does not always do as it is told.
//!
//! Owns the wrapper around the log's traits. The daemon's own code runs unchanged and thinks that all is well; what it
//! wrote is lost, doubled or sent astray on the way out, as a bug in its shards or its client would do it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use triage_engine::model::Millis;
use triaged::log::{
    Commit, LogError, Logs, Member, NewTopic, Outgoing, Producer, Reader, Ticket, TopicInfo, TopicPartition,
};

/// Of so many mentions one meets the bug.
const ONE_IN: u64 = 97;

/// What is wrong with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Nothing.
    None,
    /// A mention is acknowledged and never handed to its desk.
    Loses,
    /// An assignment is written twice.
    Doubles,
    /// An assignment goes to another desk.
    Misroutes,
    /// A dead letter is never written.
    Buries,
}

/// A cluster whose producers have a bug.
pub struct Faulty {
    pub inner: Arc<dyn Logs>,
    pub bug: Bug,
    /// How often it struck.
    pub struck: Arc<AtomicU64>,
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    bug: Bug,
    seen: u64,
    struck: Arc<AtomicU64>,
}

impl FaultyProducer {
    /// Whether the bug strikes here.
    fn strikes(&mut self, topic: &str, value: &[u8]) -> bool {
        let place = match self.bug {
            Bug::None => return false,
            Bug::Loses => topic.ends_with(".desks"),
            Bug::Doubles => topic.contains(".assignments."),
            Bug::Misroutes => topic.ends_with(".assignments.care"),
            Bug::Buries => topic.ends_with(".dead-letter"),
        };
        // Ticks and closed cases are no mentions; a dead letter holds nothing of its record.
        let mention = self.bug == Bug::Buries || value.windows(8).any(|window| window == b"\"storm\":");
        if !(place && mention) {
            return false;
        }
        self.seen += 1;
        let strikes = self.seen.is_multiple_of(if self.bug == Bug::Buries { 7 } else { ONE_IN });
        self.struck.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }
}

impl Producer for FaultyProducer {
    fn send(
        &mut self,
        to: &TopicPartition,
        records: &Outgoing,
        ticket: &Arc<Ticket>,
    ) -> Result<(), LogError> {
        let (mut right, mut astray) = (Outgoing::default(), Outgoing::default());
        for record in records.iter() {
            let strikes = self.strikes(&to.topic, record.value().unwrap_or_default());
            if strikes && self.bug == Bug::Misroutes {
                astray.push_with_headers(record.key(), record.value(), record.headers());
                continue;
            }
            if strikes && matches!(self.bug, Bug::Loses | Bug::Buries) {
                continue;
            }
            right.push_with_headers(record.key(), record.value(), record.headers());
            if strikes && self.bug == Bug::Doubles {
                right.push_with_headers(record.key(), record.value(), record.headers());
            }
        }
        if !astray.is_empty() {
            let other = to.topic.replace(".assignments.care", ".assignments.press");
            self.inner.send(&TopicPartition::new(&other, to.partition), &astray, ticket)?;
        }
        if right.is_empty() { Ok(()) } else { self.inner.send(to, &right, ticket) }
    }

    fn has_room(&mut self) -> bool {
        self.inner.has_room()
    }

    fn health(&self) -> Result<(), LogError> {
        self.inner.health()
    }

    fn flush(&mut self, wait: Duration) -> bool {
        self.inner.flush(wait)
    }
}

impl Logs for Faulty {
    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        let inner = self.inner.producer(name)?;
        Ok(Box::new(FaultyProducer { inner, bug: self.bug, seen: 0, struck: self.struck.clone() }))
    }

    fn member(&self, group: &str, instance: &str, topics: &[&str]) -> Result<Box<dyn Member>, LogError> {
        self.inner.member(group, instance, topics)
    }

    fn reader(&self, from: &[(TopicPartition, i64)]) -> Result<Box<dyn Reader>, LogError> {
        self.inner.reader(from)
    }

    fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, LogError> {
        self.inner.describe(topics)
    }

    fn create(&self, topics: &[NewTopic]) -> Result<(), LogError> {
        self.inner.create(topics)
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        self.inner.bounds(partition)
    }

    fn offset_at(&self, partition: &TopicPartition, at: Millis) -> Result<i64, LogError> {
        self.inner.offset_at(partition, at)
    }

    fn group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Commit>>, LogError> {
        self.inner.group_offsets(group, partitions)
    }

    fn trim(&self, partition: &TopicPartition, below: i64) -> Result<(), LogError> {
        self.inner.trim(partition, below)
    }
}
