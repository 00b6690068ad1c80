//! The control topic's records as JSON, and back.
//!
//! Owns the keys and the fields (docs/formats.md); the engine's `plans` owns what they mean. May not decide
//! which record is in force. Written by whoever asks, by the plan shard and by every shard that adopts.
//!
//! A type or key that this release does not know is no error: a later release may write it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use triage_engine::model::Millis;
use triage_engine::plans::{ControlKey, ControlRecord, PlanState, PolicyRequest, PolicySwitch};
use triage_engine::policy::Generation;

/// The longest id of a request and name of a shard, in bytes: they are held by every reader.
pub const NAME_BYTES_MAX: usize = 200;

const KEY_POLICY: &str = "policy";
const KEY_REQUEST: &str = "request/";
const KEY_ADOPTION: &str = "ack/";
const TYPES_KNOWN: [&str; 3] = ["policy.switch.requested", "policy.switched", "policy.adopted"];

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Value<'a> {
    #[serde(rename = "policy.switch.requested")]
    Requested { id: Cow<'a, str>, generation: Generation, by: Cow<'a, str>, at: i64 },
    #[serde(rename = "policy.switched")]
    Switched {
        generation: Generation,
        answers: Cow<'a, str>,
        through: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Previous>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restates: Option<i64>,
    },
    #[serde(rename = "policy.adopted")]
    Adopted { shard: Cow<'a, str>, epoch: i64, generation: Generation },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Previous {
    epoch: i64,
    generation: Generation,
}

/// Why a record of the control topic is refused. It has no effect; the reader counts it and goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The value is no JSON object with the fields of its type.
    #[error("control record `{key}`: {why}")]
    Value {
        /// The record's key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The value belongs under another key, where compaction would not find it.
    #[error("control record `{key}` belongs under `{belongs}`")]
    Misplaced {
        /// The record's key.
        key: String,
        /// The key of what the value says.
        belongs: String,
    },
}

/// The key of a record as text.
#[must_use]
pub fn key_text(key: &ControlKey) -> String {
    match key {
        ControlKey::Request(id) => format!("{KEY_REQUEST}{id}"),
        ControlKey::Policy => KEY_POLICY.to_owned(),
        ControlKey::Adoption(shard) => format!("{KEY_ADOPTION}{shard}"),
    }
}

/// A record's key and value as they are sent; a tombstone has no value.
///
/// # Panics
/// When an id or a shard's name is empty or longer than [`NAME_BYTES_MAX`]: readers would refuse it.
#[must_use]
pub fn encode(record: &ControlRecord) -> (String, Option<Vec<u8>>) {
    let key = record.key();
    if let ControlKey::Request(name) | ControlKey::Adoption(name) = &key {
        assert!(
            (1..=NAME_BYTES_MAX).contains(&name.len()),
            "a name of {} bytes on the control topic",
            name.len()
        );
    }
    let value = match record {
        ControlRecord::SwitchRequested(request) => Some(Value::Requested {
            id: Cow::Borrowed(&request.id),
            generation: request.generation,
            by: Cow::Borrowed(&request.by),
            at: request.at.0,
        }),
        ControlRecord::Switched(switch) => Some(Value::Switched {
            generation: switch.generation,
            answers: Cow::Borrowed(&switch.answers),
            through: switch.through,
            previous: switch.previous.map(|(epoch, generation)| Previous { epoch, generation }),
            restates: switch.restates,
        }),
        ControlRecord::Adopted { shard, epoch, generation } => {
            Some(Value::Adopted { shard: Cow::Borrowed(shard), epoch: *epoch, generation: *generation })
        }
        ControlRecord::Tombstone(_) => None,
    };
    let value =
        value.map(|value| serde_json::to_vec(&value).expect("invariant: a control record is plain data"));
    (key_text(&key), value)
}

/// Reads a record; `None` for a key or type that this release does not know.
///
/// # Errors
/// [`ControlError`] for one of a known type that cannot be read or stands under another's key.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<ControlRecord>, ControlError> {
    let Some((key, parsed)) = std::str::from_utf8(key).ok().and_then(|text| Some((text, parse_key(text)?)))
    else {
        return Ok(None);
    };
    let Some(value) = value else {
        return Ok(Some(ControlRecord::Tombstone(parsed)));
    };
    let refused = |why: String| ControlError::Value { key: key.to_owned(), why };
    let whole: serde_json::Value =
        serde_json::from_slice(value).map_err(|error| refused(error.to_string()))?;
    if whole["type"].as_str().is_some_and(|kind| !TYPES_KNOWN.contains(&kind)) {
        return Ok(None);
    }
    let value: Value<'static> = serde_json::from_value(whole).map_err(|error| refused(error.to_string()))?;
    let record = record_of(value);
    if record.key() == parsed {
        Ok(Some(record))
    } else {
        Err(ControlError::Misplaced { key: key.to_owned(), belongs: key_text(&record.key()) })
    }
}

fn record_of(value: Value<'_>) -> ControlRecord {
    match value {
        Value::Requested { id, generation, by, at } => ControlRecord::SwitchRequested(PolicyRequest {
            id: id.into_owned(),
            generation,
            by: by.into_owned(),
            at: Millis(at),
        }),
        Value::Switched { generation, answers, through, previous, restates } => {
            ControlRecord::Switched(PolicySwitch {
                generation,
                answers: answers.into_owned(),
                through,
                previous: previous.map(|previous| (previous.epoch, previous.generation)),
                restates,
            })
        }
        Value::Adopted { shard, epoch, generation } => {
            ControlRecord::Adopted { shard: shard.into_owned(), epoch, generation }
        }
    }
}

fn parse_key(key: &str) -> Option<ControlKey> {
    let name = |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len()).then(|| text.to_owned());
    if key == KEY_POLICY {
        return Some(ControlKey::Policy);
    }
    let request = key.strip_prefix(KEY_REQUEST).and_then(name).map(ControlKey::Request);
    request.or_else(|| key.strip_prefix(KEY_ADOPTION).and_then(name).map(ControlKey::Adoption))
}

/// Folds one record into `state`. A record that cannot be read, or is not ours, changes nothing: it is told of.
pub fn fold(state: &mut PlanState, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
    match decode(key.unwrap_or_default(), value) {
        Ok(Some(record)) => {
            state.apply(offset, &record);
        }
        Ok(None) => tracing::debug!(offset, "a foreign record on the control topic"),
        Err(error) => tracing::warn!(offset, %error, "a record of the control topic cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_generation() -> impl Strategy<Value = Generation> {
        any::<[u8; 32]>().prop_map(Generation)
    }

    fn any_record() -> impl Strategy<Value = ControlRecord> {
        let name = || "[a-z0-9/\"\\\\é-]{1,20}";
        let requested =
            (name(), any_generation(), ".{0,20}", any::<i64>()).prop_map(|(id, generation, by, at)| {
                ControlRecord::SwitchRequested(PolicyRequest { id, generation, by, at: Millis(at) })
            });
        let previous = prop::option::of((any::<i64>(), any_generation()));
        let switched = (any_generation(), name(), any::<i64>(), previous, any::<Option<i64>>()).prop_map(
            |(generation, answers, through, previous, restates)| {
                ControlRecord::Switched(PolicySwitch { generation, answers, through, previous, restates })
            },
        );
        let adopted = (name(), any::<i64>(), any_generation())
            .prop_map(|(shard, epoch, generation)| ControlRecord::Adopted { shard, epoch, generation });
        prop_oneof![requested, switched, adopted]
    }

    proptest! {
        #[test]
        fn every_record_and_its_tombstone_read_back(record in any_record()) {
            let (key, value) = encode(&record);
            prop_assert_eq!(decode(key.as_bytes(), value.as_deref()), Ok(Some(record.clone())));
            let tombstone = ControlRecord::Tombstone(record.key());
            prop_assert_eq!(encode(&tombstone), (key.clone(), None));
            prop_assert_eq!(decode(key.as_bytes(), None), Ok(Some(tombstone)));
        }
    }

    #[test]
    fn a_request_written_by_hand_is_read_and_fields_of_later_releases_are_ignored() {
        let text = format!(
            r#"{{"note":"x","at":5,"by":"jane","type":"policy.switch.requested","id":"7","generation":"{}"}}"#,
            Generation([1; 32])
        );
        let expected = PolicyRequest {
            id: "7".into(),
            generation: Generation([1; 32]),
            by: "jane".into(),
            at: Millis(5),
        };
        let read = decode(b"request/7", Some(text.as_bytes()));
        assert_eq!(read, Ok(Some(ControlRecord::SwitchRequested(expected))));
        let misplaced = decode(b"request/8", Some(text.as_bytes()));
        assert_eq!(
            misplaced.unwrap_err().to_string(),
            "control record `request/8` belongs under `request/7`"
        );
    }

    #[test]
    fn what_a_later_release_writes_is_passed_over_and_what_is_broken_is_refused() {
        assert_eq!(decode(b"plan/crisis", Some(b"{}")), Ok(None));
        assert_eq!(decode(b"policy", Some(br#"{"type":"policy.frozen"}"#)), Ok(None));
        assert_eq!(decode(&[0xff], None), Ok(None));
        for broken in ["", "[]", "{}", r#"{"type":7}"#, r#"{"type":"policy.switched"}"#] {
            assert!(decode(b"policy", Some(broken.as_bytes())).is_err(), "{broken}");
        }
    }
}
