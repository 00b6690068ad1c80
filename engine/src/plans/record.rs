//! What stands on the control topic.
//!
//! Owns the records' meaning and keys; the daemon's `wire/control` owns their JSON. Written by whoever asks, by
//! the plan shard and by every shard that adopts; read by all.

use super::release::{ReleaseCounts, ReleaseRequest};
use crate::model::Millis;
use crate::policy::Generation;

/// A record of the control topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// Somebody asks for another policy.
    SwitchRequested(PolicyRequest),
    /// The plan shard has put a policy in force, or restates which one is.
    Switched(PolicySwitch),
    /// A shard now decides under this policy.
    Adopted {
        /// Which shard, such as `triage/3` or `desk/0`.
        shard: String,
        /// The epoch that it adopted.
        epoch: i64,
        /// The policy that it adopted.
        generation: Generation,
    },
    /// Somebody asks for mentions to be brought back.
    ReleaseRequested(ReleaseRequest),
    /// The owner of an input partition has done what a request asks of it.
    Released {
        /// The request's id.
        id: String,
        /// The input partition.
        partition: u32,
        /// What became of its mentions.
        counts: ReleaseCounts,
    },
    /// What stood under this key is done with.
    Tombstone(ControlKey),
}

/// Somebody asks for another policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRequest {
    /// Unique, never used again.
    pub id: String,
    /// The policy asked for; its bundle stands on the policies topic already.
    pub generation: Generation,
    /// Who asks, for people to read.
    pub by: String,
    /// When they asked, by their clock.
    pub at: Millis,
}

/// A policy is put in force. The record's offset is its epoch, unless it restates an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySwitch {
    /// The policy.
    pub generation: Generation,
    /// The id of the request that it answers.
    pub answers: String,
    /// That request's offset; every request at or below it is answered or withdrawn.
    pub through: i64,
    /// What was in force for the writer: epoch and policy.
    pub previous: Option<(i64, Generation)>,
    /// The epoch of the switch that this record repeats, because a record without effect came after it.
    pub restates: Option<i64>,
}

/// The key of a record; compaction keeps the last record of each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ControlKey {
    /// A request, by its id.
    Request(String),
    /// The policy in force.
    Policy,
    /// What a shard acknowledged, by its name.
    Adoption(String),
    /// A request to bring mentions back, by its id.
    Release(String),
    /// The answer of an input partition to the request of this id.
    Released(String, u32),
}

impl ControlRecord {
    /// The key under which it stands.
    #[must_use]
    pub fn key(&self) -> ControlKey {
        match self {
            ControlRecord::SwitchRequested(request) => ControlKey::Request(request.id.clone()),
            ControlRecord::Switched(_) => ControlKey::Policy,
            ControlRecord::Adopted { shard, .. } => ControlKey::Adoption(shard.clone()),
            ControlRecord::ReleaseRequested(request) => ControlKey::Release(request.id.clone()),
            ControlRecord::Released { id, partition, .. } => ControlKey::Released(id.clone(), *partition),
            ControlRecord::Tombstone(key) => key.clone(),
        }
    }
}
