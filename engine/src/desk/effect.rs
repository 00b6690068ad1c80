//! What a desk asks of the world after a step, and what it counted.
//!
//! Owns the shapes. May not own a mention's bytes: an effect names the entry of the step that carries them, so
//! that nothing is copied. Filled by `DeskLog::step`, written out by the daemon's `wire/assignment`.

use super::Generation;
use crate::model::{AssignmentId, CaseId, EventDisposition, Millis};
use std::sync::Arc;

/// One record to write to a desk's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The index, in the step's slice, of the entry that caused it.
    pub entry: usize,
    /// The log's time.
    pub at: Millis,
    /// The case spoken of; also the record's key.
    pub case: CaseId,
    /// Counts a case's records from 1; with the case id it names the record.
    pub case_version: u64,
    /// The assignment in force, or just ended.
    pub assignment: AssignmentId,
    /// Counts a case's assignments from 1.
    pub assignment_epoch: u32,
    /// The case's desk.
    pub desk: Arc<str>,
    /// The case's queue.
    pub queue: Arc<str>,
    /// The policy that decided the mention, or the case's last one.
    pub generation: Generation,
    /// The epoch of the policy switch in force on this log; -1 before the first.
    pub epoch: i64,
    /// What happened to the case.
    pub what: What,
}

/// What happened to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was opened by the entry's mention and waits as `mode` says.
    AssignmentCreated {
        /// Who gives the case to an agent.
        mode: AssignmentMode,
    },
    /// The entry's mention joined it.
    MentionAdded,
    /// It is over.
    CaseClosed {
        /// Why.
        reason: CloseReason,
        /// When it was opened.
        opened_at: Millis,
        /// How many mentions it had.
        mentions: u64,
    },
}

/// Who gives a case to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignmentMode {
    /// The helpdesk picks.
    Queue,
}

impl AssignmentMode {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AssignmentMode::Queue => "queue",
        }
    }
}

/// Why a case is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The helpdesk resolved it.
    Resolved,
    /// Nothing happened to it for the desk's `case_lapse_ms`.
    Lapsed,
}

impl CloseReason {
    /// The name in records and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Resolved => "resolved",
            CloseReason::Lapsed => "lapsed",
        }
    }
}

/// What one step counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mentions that opened a case.
    pub opened: u64,
    /// Mentions that joined their author's open case.
    pub linked: u64,
    /// Mentions that were in their author's open case already, from another place on the input.
    pub copy: u64,
    /// Mentions sent again: their source was seen before.
    pub repeated: u64,
    /// Cases that lapsed.
    pub lapsed: u64,
    /// Mention ids that a case no longer remembers, being over `mentions_per_case_max`.
    pub mention_ids_forgotten: u64,
    events: [u64; EventDisposition::ALL.len()],
}

impl Counts {
    /// How many helpdesk events ended so.
    #[must_use]
    pub fn events(&self, disposition: EventDisposition) -> u64 {
        self.events[slot(disposition)]
    }

    pub(super) fn count_event(&mut self, disposition: EventDisposition) {
        self.events[slot(disposition)] += 1;
    }

    /// Adds what another step counted.
    pub fn add(&mut self, other: &Counts) {
        self.opened += other.opened;
        self.linked += other.linked;
        self.copy += other.copy;
        self.repeated += other.repeated;
        self.lapsed += other.lapsed;
        self.mention_ids_forgotten += other.mention_ids_forgotten;
        for (mine, theirs) in self.events.iter_mut().zip(other.events) {
            *mine += theirs;
        }
    }
}

fn slot(disposition: EventDisposition) -> usize {
    let slot = usize::from(disposition.code()) - 1;
    debug_assert_eq!(EventDisposition::ALL[slot], disposition, "invariant: codes count from 1 without holes");
    slot
}

/// What a step asks for, in log order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The records to write.
    pub records: Vec<Effect>,
    /// What was counted.
    pub counts: Counts,
}

impl Effects {
    /// Nothing asked, nothing counted.
    #[must_use]
    pub fn new() -> Effects {
        Effects::default()
    }

    /// Forgets everything and keeps the buffer.
    pub fn clear(&mut self) {
        self.records.clear();
        self.counts = Counts::default();
    }
}
