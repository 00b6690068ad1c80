//! Consecutive records of one partition, copied into one buffer.
//!
//! Owns the bytes: the client library's fetch buffers are given back at once, so memory is bounded by what we
//! hold and not by what one late record pins. Filled by sources, read by workers and shards.

use super::TopicPartition;
use std::ops::Range;
use triage_engine::model::Millis;

/// Consecutive records of one partition, offsets ascending, holes possible.
#[derive(Debug, Clone)]
pub struct Records {
    partition: TopicPartition,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    offset: i64,
    timestamp: Millis,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// The broker's or producer's time stamp, whichever the topic keeps.
    pub timestamp: Millis,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; a tombstone has none.
    pub value: Option<&'a [u8]>,
}

impl Records {
    /// An empty batch of `partition`.
    #[must_use]
    pub fn new(partition: TopicPartition) -> Records {
        Records { partition, bytes: Vec::new(), slots: Vec::new() }
    }

    /// An empty batch of `partition` with room for so many records of so many bytes together.
    #[must_use]
    pub fn with_capacity(partition: TopicPartition, records: usize, bytes: usize) -> Records {
        Records { partition, bytes: Vec::with_capacity(bytes), slots: Vec::with_capacity(records) }
    }

    /// Appends a copy of one record.
    ///
    /// # Panics
    /// When `offset` is not above the last one: a source that goes back is broken.
    pub fn push(&mut self, offset: i64, timestamp: Millis, key: Option<&[u8]>, value: Option<&[u8]>) {
        assert!(
            self.slots.last().is_none_or(|last| last.offset < offset),
            "offsets of {} go back",
            self.partition
        );
        let key = key.map(|bytes| self.copy(bytes));
        let value = value.map(|bytes| self.copy(bytes));
        self.slots.push(Slot { offset, timestamp, key, value });
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Which partition they are of.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes held, keys and values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The record at `index`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, index: usize) -> Record<'_> {
        let slot = &self.slots[index];
        Record {
            offset: slot.offset,
            timestamp: slot.timestamp,
            key: slot.key.clone().map(|range| &self.bytes[range]),
            value: slot.value.clone().map(|range| &self.bytes[range]),
        }
    }

    /// Every record, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The offsets of the first and the last record; `None` when there are none.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.slots.first()?.offset, self.slots.last()?.offset))
    }
}
