//! The whole state of a desk log as a plain value, sorted, so that one state has one form.
//!
//! Owns the shape and the checks on the way back in: a snapshot comes from outside, and a wrong one is refused
//! with a reason. May not know its bytes: the daemon's `wire/snapshot` writes them. Called through
//! `DeskLog::snapshot` and `DeskLog::restore`.

use super::cases::{Case, Cases};
use super::seen::{SeenPartition, SeenSet};
use super::{DeskLog, Generation};
use crate::model::{AssignmentId, AuthorKey, CaseId, MentionKey, Millis, StreamId};
use serde::{Deserialize, Serialize};

/// A desk log's state after a prefix of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskSnapshot {
    /// Which partition of the desk log.
    pub partition: u32,
    /// The offset after the last entry folded.
    pub next_offset: i64,
    /// The highest log time so far.
    pub now: Millis,
    /// Epoch and generation of the last policy switch.
    pub policy: Option<(i64, Generation)>,
    /// What was seen of each source partition, by stream and partition.
    pub seen: Vec<SeenSnapshot>,
    /// The open cases, by id.
    pub cases: Vec<CaseSnapshot>,
}

/// What was seen of one source partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenSnapshot {
    /// Which log.
    pub stream: StreamId,
    /// Which partition of it.
    pub partition: u32,
    /// C: every source below it is settled.
    pub committed: i64,
    /// Offset and ordinal of what was taken at or above C, ascending.
    pub taken: Vec<(i64, u64)>,
}

/// One open case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSnapshot {
    /// Its id.
    pub id: CaseId,
    /// Its desk.
    pub desk: String,
    /// Its queue.
    pub queue: String,
    /// Its author.
    pub author: AuthorKey,
    /// Its assignment.
    pub assignment: AssignmentId,
    /// Counts its assignments from 1.
    pub assignment_epoch: u32,
    /// The version of the last record written of it.
    pub version: u64,
    /// When it was opened.
    pub opened_at: Millis,
    /// When it lapses unless something happens to it.
    pub lapses_at: Millis,
    /// The policy that decided its last mention.
    pub generation: Generation,
    /// How many mentions it has had.
    pub mentions: u64,
    /// The newest of them, oldest first.
    pub keys: Vec<MentionKey>,
}

/// A snapshot that no desk log can have had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotADesk {
    /// A source partition appears twice, or remembers what is settled.
    #[error("the snapshot's seen-set of stream {:032x}, partition {partition} breaks its own rule", stream.0)]
    Seen {
        /// Which log.
        stream: StreamId,
        /// Which partition of it.
        partition: u32,
    },
    /// A case belongs elsewhere, appears twice, or is not like any open case.
    #[error("the snapshot's case {id} {why}")]
    Case {
        /// Which case.
        id: CaseId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The offset is none.
    #[error("the snapshot's next offset is {0}, but offsets are 0 or more")]
    Offset(i64),
}

impl DeskLog {
    /// The state as a value. One state has one form.
    #[must_use]
    pub fn snapshot(&self) -> DeskSnapshot {
        let seen = self.seen.partitions().map(|(stream, partition, seen)| SeenSnapshot {
            stream,
            partition,
            committed: seen.committed,
            taken: seen.taken.iter().copied().collect(),
        });
        let cases = self.cases.iter().map(|(id, case)| CaseSnapshot {
            id,
            desk: case.desk.to_string(),
            queue: case.queue.to_string(),
            author: case.author,
            assignment: case.assignment,
            assignment_epoch: case.assignment_epoch,
            version: case.version,
            opened_at: case.opened_at,
            lapses_at: case.lapses_at,
            generation: case.generation,
            mentions: case.mentions,
            keys: case.keys.iter().copied().collect(),
        });
        let snapshot = DeskSnapshot {
            partition: self.partition,
            next_offset: self.next_offset,
            now: self.now,
            policy: self.policy,
            seen: seen.collect(),
            cases: cases.collect(),
        };
        debug_assert_eq!(snapshot.cases.len(), self.cases.len());
        debug_assert!(snapshot.cases.is_sorted_by_key(|case| case.id));
        snapshot
    }

    /// The state that gave this snapshot.
    ///
    /// # Errors
    /// When no desk log can have had such a state.
    pub fn restore(snapshot: &DeskSnapshot) -> Result<DeskLog, NotADesk> {
        if snapshot.next_offset < 0 {
            return Err(NotADesk::Offset(snapshot.next_offset));
        }
        let mut seen = SeenSet::default();
        for part in &snapshot.seen {
            let taken =
                SeenPartition { committed: part.committed, taken: part.taken.iter().copied().collect() };
            let whole = taken.taken.len() == part.taken.len();
            if !(whole && seen.restore(part.stream, part.partition, taken)) {
                return Err(NotADesk::Seen { stream: part.stream, partition: part.partition });
            }
        }
        let mut cases = Cases::default();
        for case in &snapshot.cases {
            restore_case(&mut cases, snapshot, case).map_err(|why| NotADesk::Case { id: case.id, why })?;
        }
        let log = DeskLog {
            partition: snapshot.partition,
            next_offset: snapshot.next_offset,
            now: snapshot.now,
            policy: snapshot.policy,
            seen,
            cases,
        };
        log.check_invariants();
        Ok(log)
    }
}

fn restore_case(cases: &mut Cases, snapshot: &DeskSnapshot, case: &CaseSnapshot) -> Result<(), &'static str> {
    if case.id.partition != snapshot.partition {
        return Err("belongs to another partition");
    }
    if case.id.offset < 0 || case.id.offset >= snapshot.next_offset {
        return Err("was opened by an entry that is not folded");
    }
    if case.version == 0 || case.mentions < case.keys.len() as u64 || case.keys.is_empty() {
        return Err("was not opened by a mention");
    }
    if case.opened_at > snapshot.now || case.lapses_at <= snapshot.now {
        return Err("is not open at the snapshot's time");
    }
    let restored = Case {
        desk: cases.name(&case.desk),
        queue: cases.name(&case.queue),
        author: case.author,
        assignment: case.assignment,
        assignment_epoch: case.assignment_epoch,
        version: case.version,
        opened_at: case.opened_at,
        lapses_at: case.lapses_at,
        generation: case.generation,
        mentions: case.mentions,
        keys: case.keys.iter().copied().collect(),
    };
    if cases.insert(case.id, restored) { Ok(()) } else { Err("appears twice, or its author has two") }
}
