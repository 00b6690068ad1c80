//! What a triage shard knows of its ledger partition: where its next record must land, and where to read from.
//!
//! Owns the expected offset and the note that goes into the commit, so that a new owner knows which part of the
//! ledger it needs. Pure. Called by `shard::triage` and its restore.

use crate::log::TopicPartition;
use std::collections::VecDeque;
use triage_engine::model::Millis;

/// The end of one ledger partition as its owner sees it.
#[derive(Debug)]
pub struct LedgerTail {
    /// The ledger's partition; it has the number of the input partition.
    pub partition: TopicPartition,
    /// Where our next record must land if nobody else writes.
    pub next: i64,
    window_ms: i64,
    /// (`now`, ledger offset), thinned to a few hundred: where the dedup window begins.
    marks: VecDeque<(Millis, i64)>,
}

/// The note that a triage shard leaves in its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerNote {
    /// Every entry for an offset that is not committed lies at or after this ledger offset.
    pub open: i64,
    /// Every entry inside the dedup window lies at or after this one.
    pub window: i64,
}

impl LedgerNote {
    /// The text in the commit's metadata.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("ledger {} window {}", self.open, self.window)
    }

    /// Reads the text back; `None` when it is not ours.
    #[must_use]
    pub fn from_text(text: &str) -> Option<LedgerNote> {
        let mut words = text.split(' ');
        let (ledger, open, window, at) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let right = ledger == "ledger" && window == "window" && words.next().is_none();
        right.then_some(LedgerNote { open: open.parse().ok()?, window: at.parse().ok()? })
    }

    /// From where the ledger must be read.
    #[must_use]
    pub fn from(self) -> i64 {
        self.open.min(self.window)
    }
}

impl LedgerTail {
    /// How many marks the window is cut into: a restart reads at most 1/128 of a window too much.
    const MARKS_PER_WINDOW: i64 = 128;

    /// A tail whose next record lands at `next`.
    #[must_use]
    pub fn new(partition: TopicPartition, next: i64, window_ms: i64) -> LedgerTail {
        assert!(next >= 0 && window_ms >= 0, "offsets and windows are 0 or more");
        LedgerTail { partition, next, window_ms, marks: VecDeque::new() }
    }

    /// A record with this `now` lies at `offset`, ours or read back.
    pub fn mark(&mut self, now: Millis, offset: i64) {
        let step = self.window_ms / Self::MARKS_PER_WINDOW;
        if self.marks.back().is_none_or(|&(last, _)| now.since(last) > step) {
            self.marks.push_back((now, offset));
        }
        let begin = now.plus(-self.window_ms);
        while self.marks.get(1).is_some_and(|&(second, _)| second <= begin) {
            self.marks.pop_front();
        }
    }

    /// Where the dedup window begins.
    #[must_use]
    pub fn window_from(&self) -> i64 {
        self.marks.front().map_or(self.next, |&(_, offset)| offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_in_a_commit_reads_back_as_it_was_written() {
        let note = LedgerNote { open: 12, window: 7 };
        assert_eq!(LedgerNote::from_text(&note.to_text()), Some(note));
        assert_eq!(note.from(), 7);
        for foreign in ["", "ledger", "ledger 1 window", "ledger x window 1", "ledger 1 window 2 more"] {
            assert_eq!(LedgerNote::from_text(foreign), None);
        }
    }

    #[test]
    fn a_restart_reads_the_whole_window_and_little_more() {
        let mut tail = LedgerTail::new(TopicPartition::new("ledger", 0), 0, 1_000);
        for at in 0..10_000 {
            tail.mark(Millis(at), at);
        }
        assert!(tail.window_from() <= 9_999 - 1_000);
        assert!(tail.window_from() >= 9_999 - 1_000 - 20);
    }
}
