//! Who and what is spoken of: log positions, mention and author keys, case and assignment ids.
//!
//! Owns their shapes and their text forms. Ids of cases and assignments come from positions in the desk log,
//! never from a generator, so a replay gives the same ids.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which log a record came from: the broker's 128-bit topic id, so that a topic deleted and made again under
/// its old name is another stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct StreamId(pub u128);

/// One place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which log.
    pub stream: StreamId,
    /// Which partition of it.
    pub partition: u32,
    /// The record's offset, 0 or more.
    pub offset: i64,
}

/// Where a record of the desk log came from; receivers recognise repeats by it (architecture, idea 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The record that caused it.
    pub position: Position,
    /// Which of the records that this position caused: 0 when it causes one, the mention's own offset when a request
    /// brought the mention back.
    pub ordinal: u64,
}

/// A mention's identity for exact dedup: network and id.
///
/// Top bit 0: 63 bits of a keyed hash of the network's name, then the numeric id whole. Top bit 1: 127 bits of
/// a keyed 128-bit hash of network and id. So two different numeric ids of one network never meet, and no
/// other collision can be expected (research: 128 bits, 540 M live ids, about 1e-25 a new id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MentionKey(pub u128);

/// An author's identity: a keyed 128-bit hash of network and author id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AuthorKey(pub u128);

/// A case's id: the place of the record of the desk log that opened it. Text form `c<partition>-<offset>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CaseId {
    /// The desk-log partition, which is where every event of the case must go.
    pub partition: u32,
    /// The offset of the opening record, 0 or more.
    pub offset: i64,
}

/// An assignment's id: the place of the record of the desk log that made it. Text form `a<partition>-<offset>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssignmentId {
    /// The desk-log partition.
    pub partition: u32,
    /// The offset of the record that caused the assignment, 0 or more.
    pub offset: i64,
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}-{}", self.partition, self.offset)
    }
}

impl fmt::Display for AssignmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}-{}", self.partition, self.offset)
    }
}

/// The text is no case id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a case id: expected `c<partition>-<offset>`, such as `c3-1045`")]
pub struct NotACaseId(String);

impl FromStr for CaseId {
    type Err = NotACaseId;

    fn from_str(text: &str) -> Result<CaseId, NotACaseId> {
        let wrong = || NotACaseId(text.chars().take(64).collect());
        let (partition, offset) =
            text.strip_prefix('c').and_then(|rest| rest.split_once('-')).ok_or_else(wrong)?;
        let id = CaseId {
            partition: partition.parse().map_err(|_| wrong())?,
            offset: offset.parse().map_err(|_| wrong())?,
        };
        // Only the canonical spelling names a case: "+1", "01" and "-0" would give one case several names.
        if id.offset >= 0 && id.to_string() == text { Ok(id) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_id_reads_back_as_it_was_written_and_has_one_spelling() {
        let id = CaseId { partition: 3, offset: 1045 };
        assert_eq!(id.to_string().parse::<CaseId>(), Ok(id));
        for wrong in ["", "c", "c3", "c3-", "c-1", "c03-1", "c3-+1", "c3--1", "a3-1", "c3-1 "] {
            assert!(wrong.parse::<CaseId>().is_err(), "{wrong}");
        }
    }
}
