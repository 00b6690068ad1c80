//! Alerts about the stream itself: a record that kills, records that retention took, a topic that takes nothing.
//!
//! Owns their JSON and headers. May not carry a mention's bytes. Written by lanes, beside the metric and the line in
//! the log that say the same; an alert is for people, so one that is lost or sent twice changes no decision.

use crate::log::{Outgoing, TopicPartition};
use crate::wire::cloudevents::rfc3339;
use serde_json::json;
use triage_engine::model::Millis;

/// What people must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert<'a> {
    /// The record at this offset has killed the process twice; it is set aside as a dead letter.
    RecordCrashed {
        /// Its offset.
        offset: i64,
    },
    /// Retention took these records before they were read; they are ledgered as `expired`.
    RecordsExpired {
        /// The first of them.
        first: i64,
        /// The last of them.
        last: i64,
    },
    /// A topic does not take our records: the partition stands still and is tried again.
    OutputRefused {
        /// The topic.
        topic: &'a str,
        /// What the broker said.
        why: &'a str,
    },
}

impl Alert<'_> {
    /// The `ce_type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Alert::RecordCrashed { .. } => "record.crashed",
            Alert::RecordsExpired { .. } => "records.expired",
            Alert::OutputRefused { .. } => "output.refused",
        }
    }
}

/// Appends an alert about `partition`; its key.
pub fn push(alert: &Alert<'_>, partition: &TopicPartition, at: Millis, out: &mut Outgoing) {
    let key = partition.to_string();
    let details = match alert {
        Alert::RecordCrashed { offset } => json!({"offset": offset}),
        Alert::RecordsExpired { first, last } => json!({"first": first, "last": last}),
        Alert::OutputRefused { topic, why } => json!({"output": topic, "why": why}),
    };
    let value = json!({
        "type": alert.kind(), "topic": &*partition.topic, "partition": partition.partition, "details": details,
    });
    let id = format!("{key}/{}/{}", alert.kind(), at.0);
    let time = rfc3339(at);
    let headers = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_source", "triaged"),
        ("ce_type", alert.kind()),
        ("ce_time", &time),
        ("ce_partitionkey", &key),
    ];
    let headers = headers.map(|(name, text)| (name, text.as_bytes()));
    out.push_with_headers(Some(key.as_bytes()), Some(value.to_string().as_bytes()), headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_names_the_partition_what_happened_and_where() {
        let mut out = Outgoing::default();
        let alert = Alert::RecordsExpired { first: 5, last: 9 };
        push(&alert, &TopicPartition::new("mentions", 3), Millis(0), &mut out);
        let record = out.iter().next().expect("one record");
        let value: serde_json::Value =
            serde_json::from_slice(record.value().expect("a value")).expect("JSON");
        assert_eq!((value["type"].as_str(), value["partition"].as_u64()), (Some("records.expired"), Some(3)));
        assert_eq!(
            (value["details"]["first"].as_i64(), value["details"]["last"].as_i64()),
            (Some(5), Some(9))
        );
        let headers: Vec<_> = record.headers().map(|(name, _)| name).collect();
        assert!(headers.contains(&"ce_type") && headers.contains(&"ce_id"));
    }
}
