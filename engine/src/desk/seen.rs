//! Which records a receiver has taken already (architecture, idea 6).
//!
//! Owns one set per source partition: exactly the sources taken at or above the highest committed offset C that
//! the partition's senders have named. Below C everything is a repeat, so entries below C are forgotten. It is not
//! a high-water mark: a send that timed out may arrive after its successor and must still be taken. Called by
//! `DeskLog` for every entry that has a source.

use super::SourceMark;
use crate::model::{Source, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// What a receiver makes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Never taken before: act on it. It is remembered from now on.
    New,
    /// Taken before, or settled by its sender: do nothing.
    Repeat,
}

/// The sources taken so far that could still come again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenSet {
    partitions: BTreeMap<(StreamId, u32), SeenPartition>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeenPartition {
    /// C: every source below it is settled.
    pub(super) committed: i64,
    /// Offset and ordinal of what was taken at or above C.
    pub(super) taken: BTreeSet<(i64, u64)>,
}

impl SeenSet {
    /// Takes the source unless it was taken before, and learns the sender's committed offset.
    pub fn take(&mut self, mark: &SourceMark) -> Seen {
        let Source { position, ordinal } = mark.source;
        debug_assert!(mark.committed <= position.offset, "a record being sent is settled already: {mark:?}");
        let seen = self.partitions.entry((position.stream, position.partition)).or_default();
        if mark.committed > seen.committed {
            seen.committed = mark.committed;
            while seen.taken.first().is_some_and(|&(offset, _)| offset < mark.committed) {
                seen.taken.pop_first();
            }
        }
        let new = position.offset >= seen.committed && seen.taken.insert((position.offset, ordinal));
        debug_assert!(
            seen.taken.first().is_none_or(|&(offset, _)| offset >= seen.committed),
            "invariant: nothing below C is remembered"
        );
        if new { Seen::New } else { Seen::Repeat }
    }

    /// How many sources are remembered: at most what the senders have in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.values().map(|seen| seen.taken.len()).sum()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.values().all(|seen| seen.taken.is_empty())
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = (StreamId, u32, &SeenPartition)> {
        self.partitions.iter().map(|(&(stream, partition), seen)| (stream, partition, seen))
    }

    /// Puts back what a snapshot holds; false when the partition is there already or breaks the set's rule.
    pub(super) fn restore(&mut self, stream: StreamId, partition: u32, seen: SeenPartition) -> bool {
        let sound =
            seen.committed >= 0 && seen.taken.first().is_none_or(|&(offset, _)| offset >= seen.committed);
        sound && self.partitions.insert((stream, partition), seen).is_none()
    }

    /// Panics when a partition remembers what its senders have settled.
    pub(super) fn check_invariants(&self) {
        for (key, seen) in &self.partitions {
            assert!(seen.committed >= 0, "invariant: C is an offset: {key:?}");
            let first = seen.taken.first().map_or(i64::MAX, |&(offset, _)| offset);
            assert!(first >= seen.committed, "invariant: nothing below C is remembered: {key:?}");
        }
    }
}
