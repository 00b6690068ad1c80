//! Requests that bring mentions back: what a rule took, or dead letters; who has answered them.
//!
//! Owns the requests that stand on the control topic and the answers of each input partition. May not bring anything
//! back: the owners of the input partitions do, each for its own, and their ledgers say what was done. Folded by
//! `PlanState`, read by triage shards and by whoever asked.

use super::record::{ControlKey, ControlRecord};
use crate::model::{DeadLetterReason, Millis};
use std::collections::BTreeMap;

/// How many requests are kept; of more the oldest that every partition has answered is removed.
pub const RELEASES_MAX: usize = 256;

/// What a request brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// What the rule of this name made noise of or blocked. It is routed without that action of the rule.
    ByRule(String),
    /// Dead letters of one reason, or of every reason but `crashed`. They are decided anew.
    AsDeadLetter(Option<DeadLetterReason>),
}

/// Somebody asks for mentions to be brought back. The record's offset is the request's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// Unique, never used again.
    pub id: String,
    /// What is to be brought back.
    pub what: Taken,
    /// Only mentions with this time stamp or a later one.
    pub from: Option<Millis>,
    /// Only mentions with an earlier time stamp.
    pub to: Option<Millis>,
    /// How many partitions the input had: so many answers are awaited.
    pub partitions: u32,
    /// Who asks, for people to read.
    pub by: String,
    /// When they asked, by their clock.
    pub at: Millis,
}

/// What became of the mentions of one input partition that a request named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseCounts {
    /// Brought back, by the desk that they were handed to.
    pub queued: BTreeMap<String, u64>,
    /// Another rule makes noise of them.
    pub noise: u64,
    /// Another rule blocks them, or their author is blocked or the brand itself.
    pub blocked: u64,
    /// Copies of mentions that came through meanwhile.
    pub duplicate: u64,
    /// They cannot be read.
    pub dead_letter: u64,
    /// Retention has taken them from the input.
    pub gone: u64,
}

impl ReleaseCounts {
    /// Adds another partition's.
    pub fn add(&mut self, other: &ReleaseCounts) {
        for (desk, count) in &other.queued {
            *self.queued.entry(desk.clone()).or_default() += count;
        }
        self.noise += other.noise;
        self.blocked += other.blocked;
        self.duplicate += other.duplicate;
        self.dead_letter += other.dead_letter;
        self.gone += other.gone;
    }

    /// How many were handed to a desk.
    #[must_use]
    pub fn brought_back(&self) -> u64 {
        self.queued.values().sum()
    }
}

/// A request with its answers so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What was asked.
    pub request: ReleaseRequest,
    /// The answer of each input partition that is done.
    pub done: BTreeMap<u32, ReleaseCounts>,
}

impl Release {
    /// Whether every partition has answered.
    #[must_use]
    pub fn is_done(&self) -> bool {
        (0..self.request.partitions).all(|partition| self.done.contains_key(&partition))
    }

    /// What became of all partitions that have answered.
    #[must_use]
    pub fn counts(&self) -> ReleaseCounts {
        let mut sum = ReleaseCounts::default();
        self.done.values().for_each(|counts| sum.add(counts));
        sum
    }
}

/// The requests that stand on the control topic, by their place.
pub type Releases = BTreeMap<i64, Release>;

pub(super) fn ask(releases: &mut Releases, offset: i64, request: &ReleaseRequest) {
    // Compaction keeps the last record of a key, so the last one gives the request its place.
    forget(releases, &request.id);
    releases.insert(offset, Release { request: request.clone(), done: BTreeMap::new() });
}

pub(super) fn answer(releases: &mut Releases, id: &str, partition: u32, counts: &ReleaseCounts) {
    if let Some(release) = releases.values_mut().find(|release| release.request.id == id) {
        release.done.insert(partition, counts.clone());
    }
}

pub(super) fn forget(releases: &mut Releases, id: &str) {
    releases.retain(|_, release| release.request.id != id);
}

/// Tombstones for the oldest answered request, answers first, when there are more than are kept.
pub(super) fn due(releases: &Releases) -> Vec<ControlRecord> {
    if releases.len() <= RELEASES_MAX {
        return Vec::new();
    }
    let Some(oldest) = releases.values().find(|release| release.is_done()) else { return Vec::new() };
    let id = &oldest.request.id;
    let answers = oldest.done.keys().map(|&partition| ControlKey::Released(id.clone(), partition));
    answers.chain([ControlKey::Release(id.clone())]).map(ControlRecord::Tombstone).collect()
}
