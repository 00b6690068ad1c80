//! The control topic's records as JSON, and back.
//!
//! Owns the keys and the fields (docs/formats.md); the engine's `plans` owns what they mean. May not decide
//! which record is in force. Written by whoever asks, by the plan shard and by every shard that adopts.
//!
//! A type or key that this release does not know is no error: a later release may write it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use triage_engine::model::{DeadLetterReason, Millis};
use triage_engine::plans::{
    ControlKey, ControlRecord, PlanState, PolicyRequest, PolicySwitch, ReleaseCounts, ReleaseRequest, Taken,
};
use triage_engine::policy::Generation;

/// The longest id of a request and name of a shard, in bytes: they are held by every reader.
pub const NAME_BYTES_MAX: usize = 200;

const KEY_POLICY: &str = "policy";
const KEY_REQUEST: &str = "request/";
const KEY_ADOPTION: &str = "ack/";
const KEY_RELEASE: &str = "release/";
const KEY_RELEASED: &str = "released/";
const TYPES_KNOWN: [&str; 5] =
    ["policy.switch.requested", "policy.switched", "policy.adopted", "release.requested", "released"];
/// Says in a request that dead letters of every reason are meant.
const REASON_ANY: &str = "any";

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
    #[serde(rename = "release.requested")]
    ReleaseRequested(ReleaseValue),
    #[serde(rename = "released")]
    Released { id: Cow<'a, str>, partition: u32, counts: CountsValue },
}

#[derive(Debug, Serialize, Deserialize)]
struct ReleaseValue {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<i64>,
    partitions: u32,
    by: String,
    at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct CountsValue {
    queued: BTreeMap<String, u64>,
    noise: u64,
    blocked: u64,
    duplicate: u64,
    dead_letter: u64,
    gone: u64,
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
        ControlKey::Release(id) => format!("{KEY_RELEASE}{id}"),
        ControlKey::Released(id, partition) => format!("{KEY_RELEASED}{partition}/{id}"),
    }
}

/// A record's key and value as they are sent; a tombstone has no value.
///
/// # Panics
/// When an id or a shard's name is empty or longer than [`NAME_BYTES_MAX`]: readers would refuse it.
#[must_use]
pub fn encode(record: &ControlRecord) -> (String, Option<Vec<u8>>) {
    let key = record.key();
    if let ControlKey::Request(name)
    | ControlKey::Adoption(name)
    | ControlKey::Release(name)
    | ControlKey::Released(name, _) = &key
    {
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
        ControlRecord::ReleaseRequested(request) => Some(Value::ReleaseRequested(release_value(request))),
        ControlRecord::Released { id, partition, counts } => Some(Value::Released {
            id: Cow::Borrowed(id),
            partition: *partition,
            counts: CountsValue {
                queued: counts.queued.clone(),
                noise: counts.noise,
                blocked: counts.blocked,
                duplicate: counts.duplicate,
                dead_letter: counts.dead_letter,
                gone: counts.gone,
            },
        }),
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
    let record = record_of(value).map_err(refused)?;
    if record.key() == parsed {
        Ok(Some(record))
    } else {
        Err(ControlError::Misplaced { key: key.to_owned(), belongs: key_text(&record.key()) })
    }
}

fn release_value(request: &ReleaseRequest) -> ReleaseValue {
    let (rule, dead_letter) = match &request.what {
        Taken::ByRule(rule) => (Some(rule.clone()), None),
        Taken::AsDeadLetter(reason) => {
            (None, Some(reason.map_or(REASON_ANY, DeadLetterReason::name).to_owned()))
        }
    };
    ReleaseValue {
        id: request.id.clone(),
        rule,
        dead_letter,
        from: request.from.map(|at| at.0),
        to: request.to.map(|at| at.0),
        partitions: request.partitions,
        by: request.by.clone(),
        at: request.at.0,
    }
}

fn release_of(value: ReleaseValue) -> Result<ReleaseRequest, String> {
    let what = match (value.rule, value.dead_letter.as_deref()) {
        (Some(rule), None) => Taken::ByRule(rule),
        (None, Some(REASON_ANY)) => Taken::AsDeadLetter(None),
        (None, Some(name)) => {
            let reason = DeadLetterReason::ALL.iter().find(|reason| reason.name() == name);
            Taken::AsDeadLetter(Some(
                *reason.ok_or_else(|| format!("`{name}` is no reason of a dead letter"))?,
            ))
        }
        _ => return Err("it names a rule and dead letters, or neither".to_owned()),
    };
    Ok(ReleaseRequest {
        id: value.id,
        what,
        from: value.from.map(Millis),
        to: value.to.map(Millis),
        partitions: value.partitions,
        by: value.by,
        at: Millis(value.at),
    })
}

fn record_of(value: Value<'_>) -> Result<ControlRecord, String> {
    Ok(match value {
        Value::ReleaseRequested(value) => ControlRecord::ReleaseRequested(release_of(value)?),
        Value::Released { id, partition, counts } => ControlRecord::Released {
            id: id.into_owned(),
            partition,
            counts: ReleaseCounts {
                queued: counts.queued,
                noise: counts.noise,
                blocked: counts.blocked,
                duplicate: counts.duplicate,
                dead_letter: counts.dead_letter,
                gone: counts.gone,
            },
        },
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
    })
}

fn parse_key(key: &str) -> Option<ControlKey> {
    let name = |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len()).then(|| text.to_owned());
    if key == KEY_POLICY {
        return Some(ControlKey::Policy);
    }
    if let Some((partition, id)) = key.strip_prefix(KEY_RELEASED).and_then(|rest| rest.split_once('/')) {
        return Some(ControlKey::Released(name(id)?, partition.parse().ok()?));
    }
    if let Some(id) = key.strip_prefix(KEY_RELEASE) {
        return name(id).map(ControlKey::Release);
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
        let what = prop_oneof![
            name().prop_map(Taken::ByRule),
            prop::option::of(prop::sample::select(DeadLetterReason::ALL)).prop_map(Taken::AsDeadLetter),
        ];
        let range = (prop::option::of(any::<i64>()), prop::option::of(any::<i64>()));
        let release =
            (name(), what, range, any::<u32>(), ".{0,20}").prop_map(|(id, what, (from, to), of, by)| {
                let (from, to) = (from.map(Millis), to.map(Millis));
                ControlRecord::ReleaseRequested(ReleaseRequest {
                    id,
                    what,
                    from,
                    to,
                    partitions: of,
                    by,
                    at: Millis(7),
                })
            });
        let queued = prop::collection::btree_map(name(), any::<u64>(), 0..4);
        let released =
            (name(), any::<u32>(), queued, any::<[u64; 5]>()).prop_map(|(id, partition, queued, n)| {
                let [noise, blocked, duplicate, dead_letter, gone] = n;
                let counts = ReleaseCounts { queued, noise, blocked, duplicate, dead_letter, gone };
                ControlRecord::Released { id, partition, counts }
            });
        prop_oneof![requested, switched, adopted, release, released]
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
