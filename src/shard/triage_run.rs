//! A run of records of one input partition in flight: how far its ledger record and its effects are.
//!
//! Owns the facts, and what follows from them alone. May not send or settle: the shard does. Held by `shard::triage`.

use crate::clock::Stopwatch;
use crate::log::Ticket;
use crate::offsets::RunId;
use crate::wire::ledger::Superseding;
use crate::worker::Scanned;
use std::sync::Arc;
use triage_engine::model::Millis;
use triage_engine::triage::Decision;

#[derive(Debug)]
pub(super) struct Run {
    /// `None` for a marker that holds no records, and for records that are committed and brought back.
    pub(super) id: Option<RunId>,
    pub(super) scanned: Option<Scanned>,
    pub(super) decisions: Vec<Decision>,
    pub(super) expired: u64,
    /// For which request the records are brought back.
    pub(super) release: Option<Superseding>,
    pub(super) plan_epoch: i64,
    pub(super) now: Millis,
    pub(super) ledger: Ahead,
    /// Where in the ledger the run's entries lie, as far as known: one on its way lies at the ledger's end or after it.
    pub(super) ledger_from: i64,
    pub(super) effects: Option<Arc<Ticket>>,
    pub(super) bytes: usize,
    /// Since the stage began that the run is in.
    pub(super) since: Stopwatch,
}

#[derive(Debug)]
pub(super) enum Ahead {
    /// Every record was decided before: the ledger has them.
    Obeyed,
    /// On its way to the ledger.
    Sent(Arc<Ticket>),
    /// Known to be the first entry for its offsets: effects may go out.
    Confirmed,
}

impl Run {
    /// Whether nothing is left to do about it.
    pub(super) fn is_over(&self) -> bool {
        let answered =
            self.effects.as_ref().is_some_and(|ticket| ticket.is_settled() && ticket.failure().is_none());
        matches!(self.ledger, Ahead::Confirmed) && answered && self.id.is_none()
    }

    /// Whether the broker has answered all that was sent for the run.
    pub(super) fn is_answered(&self) -> bool {
        let ledger = match &self.ledger {
            Ahead::Sent(ticket) => ticket.is_settled(),
            Ahead::Obeyed | Ahead::Confirmed => true,
        };
        // What has succeeded counts once it is settled: only then does the commit cover it.
        let is_settled = self.id.is_none() && self.release.is_none();
        let effects = self
            .effects
            .as_ref()
            .is_none_or(|ticket| ticket.is_settled() && (ticket.failure().is_some() || is_settled));
        ledger && effects
    }
}
