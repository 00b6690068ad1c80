//! Dead letters: where a record stood, how long it was, its hash, and why it could not be read.
//!
//! Owns the JSON and its headers. May not copy the record's bytes: what cannot be read cannot be redacted, and the
//! record itself stays on the input, where its position finds it. Written by workers and intake.

use crate::log::{Outgoing, TopicPartition};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use triage_engine::model::DeadLetterReason;

/// A dead letter as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The topic that the record stands on.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// Bytes of its value, 0 when it has none.
    pub length: u64,
    /// SHA-256 of its value, in hex; empty when it has none, or must not be read.
    pub sha256: String,
    /// From the closed list of reasons.
    pub reason: String,
}

/// Appends a dead letter's JSON to `out`.
pub fn write(
    from: &TopicPartition,
    offset: i64,
    value: Option<&[u8]>,
    reason: DeadLetterReason,
    out: &mut Vec<u8>,
) {
    // A record that kills the process is not even hashed.
    let readable = value.filter(|_| reason != DeadLetterReason::Crashed);
    let letter = DeadLetter {
        topic: from.topic.to_string(),
        partition: from.partition,
        offset,
        length: value.map_or(0, <[u8]>::len) as u64,
        sha256: readable.map(hex_of_hash).unwrap_or_default(),
        reason: reason.name().to_owned(),
    };
    serde_json::to_writer(out, &letter).expect("invariant: a dead letter is plain JSON");
}

/// Appends a dead letter, written before by `write`, with its headers.
pub fn push(from: &TopicPartition, offset: i64, json: &[u8], out: &mut Outgoing) {
    let position = format!("{from}/{offset}");
    let headers: [(&str, &[u8]); 6] = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", position.as_bytes()),
        ("ce_source", b"triaged"),
        ("ce_type", b"record.dead_letter"),
        ("triaged_src", position.as_bytes()),
    ];
    out.push_with_headers(Some(position.as_bytes()), Some(json), headers);
}

fn hex_of_hash(value: &[u8]) -> String {
    Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_tells_position_length_hash_and_reason_and_never_the_bytes() {
        let from = TopicPartition::new("mentions", 3);
        let mut json = Vec::new();
        write(&from, 41, Some(b"card 4111 1111 1111 1111 {"), DeadLetterReason::NotJson, &mut json);
        let letter: DeadLetter = serde_json::from_slice(&json).expect("JSON");
        assert_eq!((letter.partition, letter.offset, letter.length), (3, 41, 26));
        assert_eq!(letter.reason, "not_json");
        assert_eq!(letter.sha256.len(), 64);
        assert!(!String::from_utf8_lossy(&json).contains("4111"));
    }

    #[test]
    fn a_record_that_kills_is_not_even_hashed() {
        let mut json = Vec::new();
        write(&TopicPartition::new("m", 0), 1, Some(b"boom"), DeadLetterReason::Crashed, &mut json);
        let letter: DeadLetter = serde_json::from_slice(&json).expect("JSON");
        assert_eq!((letter.sha256.as_str(), letter.length), ("", 4));
    }
}
