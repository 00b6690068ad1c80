//! The plan engine: which policy is in force, who asked for it, who has adopted it.
//!
//! Owns the fold of the control topic. May not read or write a log: the shard that owns the control topic's one
//! partition feeds it, and writes what [`PlanState::due`] says. Every other instance feeds it too, to know what
//! is in force.
//!
//! Two shards may believe for a while that they own the partition, and the topic is compacted. So which switch
//! is in force does not hang on who wrote last. Requests are answered in the order of their offsets, and a switch
//! names the offset it answers: of all switches seen, the one in force answers the highest offset, and is the
//! earliest of those that answer it. That choice does not depend on the order or the number of the records
//! seen, so a request is answered once, and every reader comes to the same answer as long as the last record of
//! the key `policy` states it; the owner sees to that by restating it. Until then compaction must leave the
//! records alone: the topic's `min.compaction.lag.ms` has to exceed the time in which ownership changes hands.

mod record;
mod release;

pub use record::{ControlKey, ControlRecord, PolicyRequest, PolicySwitch};
pub use release::{RELEASES_MAX, Release, ReleaseCounts, ReleaseRequest, Releases, Taken};

use crate::policy::Generation;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many answered requests are remembered, so that one sent twice is not answered twice.
pub const ANSWERED_MAX: usize = 1024;

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The offset of the switch that put it in force.
    pub epoch: i64,
    /// The policy.
    pub generation: Generation,
    /// The request that the switch answered.
    pub answers: String,
    /// That request's offset. Requests are answered in their order, so every request at or below it is done with.
    pub through: i64,
    /// What was in force before: epoch and policy.
    pub previous: Option<(i64, Generation)>,
}

impl InForce {
    /// Whether this one is in force rather than `other`, whatever the order in which they were seen.
    fn outranks(&self, other: &InForce) -> bool {
        self.through > other.through || (self.through == other.through && self.epoch < other.epoch)
    }
}

/// What the owner of the control topic knows of the bundle that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is there.
    Whole,
    /// It was not seen, and may still be read.
    Unseen,
    /// It is not there, although whoever asks publishes it first.
    Missing,
}

/// What a shard acknowledged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adoption {
    /// The epoch that it adopted.
    pub epoch: i64,
    /// The policy that it adopted.
    pub generation: Generation,
}

/// The fold of the control topic up to some offset.
#[derive(Debug, Clone, Default)]
pub struct PlanState {
    /// The next offset to be applied is this one or later.
    next: i64,
    in_force: Option<InForce>,
    /// Whether the last record of the key `policy` states what is in force.
    restate: bool,
    /// Requests that stand in the log, by offset.
    requests: BTreeMap<i64, PolicyRequest>,
    /// Ids of answered requests, oldest first.
    answered: VecDeque<String>,
    adoptions: BTreeMap<String, Adoption>,
    /// Shared with whoever asks, which is every lane at every step.
    releases: Arc<Releases>,
}

impl PlanState {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> PlanState {
        PlanState::default()
    }

    /// Folds the record at `offset`; returns what came in force by it, if anything did.
    ///
    /// # Panics
    /// When `offset` is below one that was applied: a log does not go back.
    pub fn apply(&mut self, offset: i64, record: &ControlRecord) -> Option<&InForce> {
        assert!(offset >= self.next, "the control topic goes back: {offset} after {}", self.next - 1);
        self.next = offset + 1;
        let before = self.in_force.as_ref().map(|now| now.epoch);
        match record {
            ControlRecord::SwitchRequested(request) => {
                // Compaction keeps the last record of a key, so the last one gives the request its place.
                self.forget_request(&request.id);
                self.requests.insert(offset, request.clone());
            }
            ControlRecord::Switched(switch) => self.apply_switch(offset, switch),
            ControlRecord::Adopted { shard, epoch, generation } => {
                self.adoptions.insert(shard.clone(), Adoption { epoch: *epoch, generation: *generation });
            }
            ControlRecord::ReleaseRequested(request) => {
                release::ask(Arc::make_mut(&mut self.releases), offset, request);
            }
            ControlRecord::Released { id, partition, counts } => {
                release::answer(Arc::make_mut(&mut self.releases), id, *partition, counts);
            }
            ControlRecord::Tombstone(ControlKey::Release(id)) => {
                release::forget(Arc::make_mut(&mut self.releases), id);
            }
            // An answer is taken back with its request only: what is done stays done.
            ControlRecord::Tombstone(ControlKey::Released(..)) => {}
            ControlRecord::Tombstone(ControlKey::Request(id)) => self.forget_request(id),
            ControlRecord::Tombstone(ControlKey::Adoption(shard)) => {
                self.adoptions.remove(shard);
            }
            // Nobody may take the policy away; the owner writes it again.
            ControlRecord::Tombstone(ControlKey::Policy) => self.restate = self.in_force.is_some(),
        }
        self.check_invariants();
        self.in_force.as_ref().filter(|now| Some(now.epoch) != before)
    }

    fn apply_switch(&mut self, offset: i64, switch: &PolicySwitch) {
        let epoch = switch.restates.unwrap_or(offset);
        let stated = InForce {
            epoch,
            generation: switch.generation,
            answers: switch.answers.clone(),
            through: switch.through,
            previous: switch.previous,
        };
        // A switch that speaks of what is not in the log yet was written by nobody that read it.
        let possible = (0..=offset).contains(&epoch)
            && (0..epoch).contains(&stated.through)
            && stated.previous.is_none_or(|(previous, _)| (0..epoch).contains(&previous));
        let wins = possible && self.in_force.as_ref().is_none_or(|now| stated.outranks(now));
        if wins {
            self.remember_answered(&stated.answers);
            self.in_force = Some(stated);
            self.restate = false;
        } else {
            self.restate = self.in_force.as_ref().is_some_and(|now| *now != stated);
        }
    }

    fn forget_request(&mut self, id: &str) {
        self.requests.retain(|_, request| request.id != id);
    }

    fn remember_answered(&mut self, id: &str) {
        if !self.answered.iter().any(|answered| answered == id) {
            self.answered.push_back(id.to_owned());
        }
        if self.answered.len() > ANSWERED_MAX {
            self.answered.pop_front();
        }
    }

    /// The policy in force; `None` when no switch was ever written.
    #[must_use]
    pub fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_ref()
    }

    /// Requests that wait for an answer, in the order in which they will be answered.
    pub fn pending(&self) -> impl Iterator<Item = &PolicyRequest> {
        self.waiting().map(|(_, request)| request)
    }

    /// The same with their offsets.
    pub fn waiting(&self) -> impl Iterator<Item = (i64, &PolicyRequest)> {
        self.requests
            .iter()
            .map(|(&offset, request)| (offset, request))
            .filter(|&(offset, request)| !self.is_done(offset, request))
    }

    /// The offset tells even when compaction has dropped both the answer and the tombstone; the id tells of a
    /// request that was sent twice.
    fn is_done(&self, offset: i64, request: &PolicyRequest) -> bool {
        self.in_force.as_ref().is_some_and(|now| offset <= now.through) || self.is_answered(&request.id)
    }

    /// Whether the request of this id was answered, as far as is remembered ([`ANSWERED_MAX`]).
    #[must_use]
    pub fn is_answered(&self, id: &str) -> bool {
        self.answered.iter().any(|answered| answered == id)
    }

    /// Whether the request of this id, at `offset`, was read and taken back unanswered: by its sender, or by the owner of
    /// the topic because nobody could read its policy.
    #[must_use]
    pub fn is_withdrawn(&self, offset: i64, id: &str) -> bool {
        offset < self.next && !self.requests.contains_key(&offset) && !self.is_answered(id)
    }

    /// The next offset to be applied is this one or later.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Shards that have not acknowledged what is in force, with what they acknowledged last.
    pub fn laggards(&self) -> impl Iterator<Item = (&str, Adoption)> {
        let epoch = self.in_force.as_ref().map_or(-1, |now| now.epoch);
        self.adoptions
            .iter()
            .filter(move |(_, adoption)| adoption.epoch < epoch)
            .map(|(shard, adoption)| (shard.as_str(), *adoption))
    }

    /// What each shard acknowledged last.
    #[must_use]
    pub fn adoptions(&self) -> &BTreeMap<String, Adoption> {
        &self.adoptions
    }

    /// The requests to bring mentions back, by their place on the control topic.
    #[must_use]
    pub fn releases(&self) -> &Arc<Releases> {
        &self.releases
    }

    /// What the owner of the control topic's partition has to write now, in this order, having read the topic to
    /// its end. Once it has read these back, it asks again; nothing left means nothing to do. `published` says what is
    /// known of the policy that the request at an offset names: one that nobody could read must not come in force, so the
    /// request is taken back, and while it is not known it and those after it wait.
    ///
    /// An answered request is tombstoned, and what is in force restated, before the next one is answered: the
    /// next switch lets compaction drop the one before, and with it the only proof that its request was answered.
    #[must_use]
    pub fn due(&self, published: impl Fn(i64, Generation) -> Published) -> Vec<ControlRecord> {
        let mut due: Vec<ControlRecord> = self
            .requests
            .iter()
            .filter(|(offset, request)| self.is_done(**offset, request))
            .map(|(_, request)| ControlRecord::Tombstone(ControlKey::Request(request.id.clone())))
            .collect();
        if self.restate {
            due.extend(self.in_force.as_ref().map(|now| {
                ControlRecord::Switched(PolicySwitch {
                    generation: now.generation,
                    answers: now.answers.clone(),
                    through: now.through,
                    previous: now.previous,
                    restates: Some(now.epoch),
                })
            }));
        }
        due.extend(release::due(&self.releases));
        if due.is_empty() {
            let next = self.waiting().next();
            due.extend(next.and_then(|(offset, request)| match published(offset, request.generation) {
                Published::Whole => Some(self.answer(offset, request)),
                Published::Missing => Some(ControlRecord::Tombstone(ControlKey::Request(request.id.clone()))),
                Published::Unseen => None,
            }));
        }
        due
    }

    fn answer(&self, offset: i64, request: &PolicyRequest) -> ControlRecord {
        ControlRecord::Switched(PolicySwitch {
            generation: request.generation,
            answers: request.id.clone(),
            through: offset,
            previous: self.in_force.as_ref().map(|now| (now.epoch, now.generation)),
            restates: None,
        })
    }

    fn check_invariants(&self) {
        debug_assert!(self.requests.last_key_value().is_none_or(|(&offset, _)| offset < self.next));
        debug_assert!(
            self.in_force.as_ref().is_none_or(|now| now.through < now.epoch && now.epoch < self.next)
        );
        debug_assert!(!self.restate || self.in_force.is_some(), "there is nothing to restate");
        debug_assert!(self.in_force.as_ref().is_none_or(|now| self.is_answered(&now.answers)));
    }
}

#[cfg(test)]
mod tests;
