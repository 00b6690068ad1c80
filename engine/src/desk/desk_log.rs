//! The state machine of one desk-log partition.
//!
//! Owns the fold: entry by entry, first time (cases that lapse), then the entry's own event, unless its source was
//! seen before. Effects follow from the log alone: how it is cut into steps never changes them. May not read a
//! clock: `now` is the highest log time so far. Called by the daemon's desk shard, live and in silent replay.

use super::cases::{Case, Cases};
use super::effect::{AssignmentMode, CloseReason, Effect, Effects, What};
use super::{Event, Generation, LogEntry, QueuedMention, Seen, SeenSet};
use crate::model::{AssignmentId, CaseId, EventDisposition, Millis};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The last millisecond of the year 9999: what RFC 3339 can write. Log time stops here, so that a broken clock
/// cannot push due times past the end of numbers.
const LOG_TIME_MAX: Millis = Millis(253_402_300_799_999);

/// The limits of one desk under one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskSettings {
    /// A case to which nothing happens for so many milliseconds lapses; 1 or more.
    pub case_lapse_ms: i64,
    /// How many of its newest mentions a case remembers by id, to recognise copies; 1 or more. Beyond it a
    /// mention is still recorded and emitted; only a copy of one that was forgotten is no longer recognised.
    pub mentions_per_case_max: u32,
}

/// Where a step looks limits up.
pub trait DeskPolicies {
    /// The limits of `desk` under the policy `generation`.
    ///
    /// The policy that decided a mention gives its case's limits, so `desk` is always one of that policy's. The
    /// caller has every generation that the step's mentions name at hand before it calls: the answer may depend
    /// on nothing but the two arguments.
    fn settings(&self, generation: &Generation, desk: &str) -> DeskSettings;
}

/// The same limits for every desk under every policy.
impl DeskPolicies for DeskSettings {
    fn settings(&self, _: &Generation, _: &str) -> DeskSettings {
        *self
    }
}

/// One partition of the desk log, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskLog {
    pub(super) partition: u32,
    /// The lowest offset that the next entry may have.
    pub(super) next_offset: i64,
    pub(super) now: Millis,
    /// The last policy switch.
    pub(super) policy: Option<(i64, Generation)>,
    pub(super) seen: SeenSet,
    pub(super) cases: Cases,
}

impl DeskLog {
    /// The state before the first entry of a partition.
    #[must_use]
    pub fn new(partition: u32) -> DeskLog {
        DeskLog {
            partition,
            next_offset: 0,
            now: Millis::MIN,
            policy: None,
            seen: SeenSet::default(),
            cases: Cases::default(),
        }
    }

    /// Folds entries in and says what follows. `effects` is emptied first.
    ///
    /// # Panics
    /// When offsets go back: the log was read wrongly.
    pub fn step(&mut self, entries: &[LogEntry<'_>], policies: &dyn DeskPolicies, effects: &mut Effects) {
        effects.clear();
        for (index, entry) in entries.iter().enumerate() {
            assert!(entry.offset >= self.next_offset, "offsets of desk log {} go back", self.partition);
            self.next_offset = entry.offset + 1;
            self.now = self.now.max(entry.at.min(LOG_TIME_MAX));
            self.lapse(index, effects);
            let seen = entry.source.as_ref().map_or(Seen::New, |mark| self.seen.take(mark));
            self.apply(index, entry, seen, policies, effects);
        }
        if cfg!(debug_assertions) {
            self.seen.check_invariants();
            self.cases.check_invariants(self.now, false);
        }
    }

    /// Closes what is due by `now`, in the order of due times.
    fn lapse(&mut self, entry: usize, effects: &mut Effects) {
        while let Some(id) = self.cases.first_due(self.now) {
            self.close(entry, id, CloseReason::Lapsed, effects);
            effects.counts.lapsed += 1;
        }
        debug_assert!(self.cases.first_due(self.now).is_none());
    }

    fn apply(
        &mut self,
        index: usize,
        entry: &LogEntry<'_>,
        seen: Seen,
        policies: &dyn DeskPolicies,
        effects: &mut Effects,
    ) {
        match (&entry.event, seen) {
            (Event::Mention(_), Seen::Repeat) => effects.counts.repeated += 1,
            (Event::Mention(mention), Seen::New) => {
                let settings = policies.settings(&mention.generation, mention.desk);
                self.mention(index, entry.offset, mention, settings, effects);
            }
            (Event::CaseResolved { .. }, Seen::Repeat) => {
                effects.counts.count_event(EventDisposition::Repeated);
            }
            (Event::CaseResolved { case, .. }, Seen::New) => {
                let closed = self.close(index, *case, CloseReason::Resolved, effects);
                let disposition =
                    if closed { EventDisposition::Applied } else { EventDisposition::UnknownCase };
                effects.counts.count_event(disposition);
            }
            (Event::Tick, _) => {}
            (Event::PolicySwitched { epoch, generation }, _) => {
                if self.policy.is_none_or(|(in_force, _)| *epoch > in_force) {
                    self.policy = Some((*epoch, *generation));
                }
            }
        }
    }

    /// A mention joins its author's open case, or opens one.
    fn mention(
        &mut self,
        index: usize,
        offset: i64,
        mention: &QueuedMention<'_>,
        settings: DeskSettings,
        effects: &mut Effects,
    ) {
        assert!(settings.case_lapse_ms >= 1, "a case lapses after it was opened");
        assert!(settings.mentions_per_case_max >= 1, "a case remembers the mention that opened it");
        let desk = self.cases.name(mention.desk);
        let Some(id) = self.cases.of_author(mention.author, &desk) else {
            return self.open(index, offset, desk, mention, settings, effects);
        };
        let case = self.cases.get(id).expect("invariant: an author's case is open");
        if case.keys.contains(&mention.key) {
            effects.counts.copy += 1;
            return;
        }
        let now = self.now;
        let keys_max = settings.mentions_per_case_max as usize;
        let mut forgotten = 0;
        self.cases.change(id, |case| {
            case.version += 1;
            case.mentions += 1;
            case.generation = mention.generation;
            case.lapses_at = now.plus(settings.case_lapse_ms);
            case.keys.push_back(mention.key);
            while case.keys.len() > keys_max {
                case.keys.pop_front();
                forgotten += 1;
            }
        });
        effects.counts.mention_ids_forgotten += forgotten;
        effects.counts.linked += 1;
        self.emit(index, id, What::MentionAdded, effects);
    }

    fn open(
        &mut self,
        index: usize,
        offset: i64,
        desk: Arc<str>,
        mention: &QueuedMention<'_>,
        settings: DeskSettings,
        effects: &mut Effects,
    ) {
        let id = CaseId { partition: self.partition, offset };
        let case = Case {
            desk,
            queue: self.cases.name(mention.queue),
            author: mention.author,
            assignment: AssignmentId { partition: self.partition, offset },
            assignment_epoch: 1,
            version: 1,
            opened_at: self.now,
            lapses_at: self.now.plus(settings.case_lapse_ms),
            generation: mention.generation,
            mentions: 1,
            keys: VecDeque::from([mention.key]),
        };
        let inserted = self.cases.insert(id, case);
        assert!(inserted, "invariant: an offset opens one case, and this author had none");
        effects.counts.opened += 1;
        self.emit(index, id, What::AssignmentCreated { mode: AssignmentMode::Queue }, effects);
    }

    /// Ends a case; false when it is not open here.
    fn close(&mut self, entry: usize, id: CaseId, reason: CloseReason, effects: &mut Effects) -> bool {
        if self.cases.get(id).is_none() {
            return false;
        }
        let case = self.cases.change(id, |case| case.version += 1);
        let what = What::CaseClosed { reason, opened_at: case.opened_at, mentions: case.mentions };
        self.emit(entry, id, what, effects);
        let removed = self.cases.remove(id);
        assert!(removed.is_some(), "invariant: the case was open a moment ago");
        true
    }

    fn emit(&self, entry: usize, id: CaseId, what: What, effects: &mut Effects) {
        let case = self.cases.get(id).expect("invariant: only open cases are spoken of");
        debug_assert!(
            effects.records.last().is_none_or(|last| last.entry <= entry),
            "effects keep log order"
        );
        effects.records.push(Effect {
            entry,
            at: self.now,
            case: id,
            case_version: case.version,
            assignment: case.assignment,
            assignment_epoch: case.assignment_epoch,
            desk: Arc::clone(&case.desk),
            queue: Arc::clone(&case.queue),
            generation: case.generation,
            epoch: self.policy.map_or(-1, |(epoch, _)| epoch),
            what,
        });
    }

    /// Which partition of the desk log this is.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The offset after the last entry folded: what a snapshot of this state is named after.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The highest log time so far.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Epoch and generation of the last policy switch, `None` before the first.
    #[must_use]
    pub fn policy(&self) -> Option<(i64, Generation)> {
        self.policy
    }

    /// How many cases are open.
    #[must_use]
    pub fn open_cases(&self) -> usize {
        self.cases.len()
    }

    /// When each open case lapses if nothing happens to it, the first one first.
    pub fn dues(&self) -> impl Iterator<Item = Millis> {
        self.cases.dues()
    }

    /// How many cases are open on each desk in each queue; what has none is not named.
    #[must_use]
    pub fn open_by_queue(&self) -> &BTreeMap<(Arc<str>, Arc<str>), u64> {
        self.cases.open_by_queue()
    }

    /// When the oldest open case of each desk's queue was opened, as far as it is among the `cases_max` oldest cases
    /// of this log: so many are looked at, and no more. A queue that is not named has only younger ones.
    #[must_use]
    pub fn oldest_by_queue(&self, cases_max: usize) -> BTreeMap<(Arc<str>, Arc<str>), Millis> {
        let mut oldest = BTreeMap::new();
        // Ids are in the order of opening.
        for (_, case) in self.cases.iter().take(cases_max) {
            let key = (Arc::clone(&case.desk), Arc::clone(&case.queue));
            oldest.entry(key).or_insert(case.opened_at);
        }
        oldest
    }

    /// How many sources are remembered: at most what the senders have in flight.
    #[must_use]
    pub fn sources_seen(&self) -> usize {
        self.seen.len()
    }

    /// Compares every index with every other.
    ///
    /// # Panics
    /// When they disagree.
    pub fn check_invariants(&self) {
        assert!(self.next_offset >= 0, "invariant: offsets are 0 or more");
        self.seen.check_invariants();
        self.cases.check_invariants(self.now, true);
        let mine =
            self.cases.iter().all(|(id, _)| id.partition == self.partition && id.offset < self.next_offset);
        assert!(mine, "invariant: cases were opened by entries of this log");
    }
}
