//! The embedded log's topics: records in order, holes, compaction, trimming, and what becomes of a send.
//!
//! Owns offsets and time stamps. May not know groups or clients. Called by `Cluster`, under its lock.

use crate::log::{Failure, NewTopic, Outgoing, Ticket, TopicInfo, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;
use triage_engine::model::{Millis, StreamId};

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// When it was appended.
    pub timestamp: Millis,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value; a tombstone has none.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What becomes of a send that was held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Appended and acknowledged with its offset.
    Taken,
    /// Appended and acknowledged, but the broker names no offset (a retry it recognised).
    TakenNameless,
    /// Appended and acknowledged with its offset, and gone before anybody reads it.
    TakenAndGone,
    /// Appended, but the client is told that it failed.
    TakenUnheard,
    /// Not appended, and the client is told that it failed.
    Refused,
    /// Not appended, and nobody is told: the client is dead.
    Vanished,
}

pub(super) struct Topic {
    pub(super) partitions: Vec<Partition>,
    id: StreamId,
    config: Vec<(String, String)>,
}

#[derive(Default)]
pub(super) struct Partition {
    records: Vec<StoredRecord>,
    start: i64,
    next: i64,
}

pub(super) struct PendingSend {
    pub(super) to: TopicPartition,
    records: Vec<Sent>,
    ticket: Arc<Ticket>,
}

struct Sent {
    /// When it happened, if somebody knows better than the log.
    at: Option<Millis>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl PendingSend {
    pub(super) fn new(to: &TopicPartition, records: &Outgoing, ticket: &Arc<Ticket>) -> PendingSend {
        let sent = records.iter().map(|record| Sent {
            at: None,
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: record.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        });
        PendingSend { to: to.clone(), records: sent.collect(), ticket: ticket.clone() }
    }

    /// Stamps each record with what `stamp` says of it.
    pub(super) fn stamp(&mut self, stamp: impl Fn(&TopicPartition, Option<&[u8]>) -> Option<Millis>) {
        for sent in &mut self.records {
            sent.at = stamp(&self.to, sent.value.as_deref());
        }
    }

    pub(super) fn apply(self, partition: &mut Partition, fate: Fate, now: Millis) {
        let count = self.records.len() as u32;
        let first = partition.next;
        match fate {
            Fate::Taken | Fate::TakenNameless | Fate::TakenUnheard => {
                for sent in self.records {
                    let at = sent.at.unwrap_or(now);
                    partition.append(at, sent.key.as_deref(), sent.value.as_deref(), sent.headers);
                }
            }
            Fate::TakenAndGone => (0..count).for_each(|_| _ = partition.append_hole()),
            Fate::Refused | Fate::Vanished => {}
        }
        match fate {
            Fate::Taken | Fate::TakenAndGone => self.ticket.settle(count, Some(first)),
            Fate::TakenNameless => self.ticket.settle(count, None),
            Fate::TakenUnheard => fail(&self.ticket, count, &self.to, "the answer was lost"),
            Fate::Refused => fail(&self.ticket, count, &self.to, "the broker refused"),
            Fate::Vanished => {}
        }
    }

    pub(super) fn refuse(self, why: &str) {
        fail(&self.ticket, self.records.len() as u32, &self.to, why);
    }
}

fn fail(ticket: &Ticket, records: u32, to: &TopicPartition, why: &str) {
    ticket.fail(records, Failure { topic: to.topic.to_string(), why: why.to_owned() });
}

impl Topic {
    pub(super) fn new(new: &NewTopic, id: StreamId) -> Topic {
        let partitions = (0..new.partitions.max(1)).map(|_| Partition::default()).collect();
        Topic { partitions, id, config: new.config.clone() }
    }

    pub(super) fn describe(&self, name: &str) -> TopicInfo {
        let config =
            |key: &str| self.config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let policy = config("cleanup.policy").unwrap_or("delete");
        let kept = config("retention.ms").and_then(|text| text.parse().ok()).filter(|&ms: &i64| ms >= 0);
        TopicInfo {
            name: name.to_owned(),
            id: self.id,
            partitions: self.partitions.len() as u32,
            // Every record of the embedded log is stamped when it is appended.
            log_append_time: true,
            compacted: policy.contains("compact"),
            retention_ms: kept.filter(|_| policy.contains("delete")),
            message_bytes_max: config("max.message.bytes")
                .and_then(|text| text.parse().ok())
                .unwrap_or(1_048_588),
        }
    }
}

impl Partition {
    pub(super) fn append(
        &mut self,
        now: Millis,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Vec<(String, Vec<u8>)>,
    ) -> i64 {
        let offset = self.next;
        self.records.push(StoredRecord {
            offset,
            timestamp: now,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers,
        });
        self.next += 1;
        offset
    }

    pub(super) fn append_hole(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    #[cfg(test)]
    pub(super) fn tamper(&mut self, offset: i64, value: Option<&[u8]>) -> bool {
        let Some(index) = self.records.iter().position(|record| record.offset == offset) else {
            return false;
        };
        match value {
            Some(value) => self.records[index].value = Some(value.to_vec()),
            None => drop(self.records.remove(index)),
        }
        true
    }

    pub(super) fn records(&self) -> &[StoredRecord] {
        &self.records
    }

    /// The records from `offset` on.
    pub(super) fn from(&self, offset: i64) -> &[StoredRecord] {
        &self.records[self.records.partition_point(|record| record.offset < offset)..]
    }

    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn next(&self) -> i64 {
        self.next
    }

    pub(super) fn offset_at(&self, at: Millis) -> i64 {
        self.records.iter().find(|record| record.timestamp >= at).map_or(self.next, |record| record.offset)
    }

    pub(super) fn trim(&mut self, below: i64) {
        self.start = self.start.max(below.min(self.next));
        let start = self.start;
        self.records.retain(|record| record.offset >= start);
    }

    pub(super) fn compact(&mut self, tombstones: bool) {
        let mut seen = BTreeSet::new();
        let mut keep: Vec<StoredRecord> = Vec::new();
        // The last record of the log always stays, as in Kafka, whose active segment is never compacted.
        for (age, record) in self.records.drain(..).rev().enumerate() {
            let newest = record.key.clone().is_none_or(|key| seen.insert(key));
            if newest && (age == 0 || tombstones || record.value.is_some()) {
                keep.push(record);
            }
        }
        keep.reverse();
        self.records = keep;
    }
}
