//! The control topic's only partition: answers requests, and alone writes which policy is in force.
//!
//! Owns the fold of the topic on behalf of its owner. Two owners at once do no harm: readers ignore a second
//! answer to one request (`engine/plans`). Called by `desk_lane`.

use super::Stop;
use crate::log::{Commit, Outgoing, Producer, Records, Ticket, TopicPartition};
use crate::policies::Policies;
use crate::wire::control;
use std::sync::Arc;
use triage_engine::plans::{ControlKey, ControlRecord, PlanState, PolicyRequest};

/// The control topic, ours to answer.
pub struct PlanShard {
    log: TopicPartition,
    state: PlanState,
    next: i64,
    committed: i64,
    /// What was written and not read back: nothing more is written before.
    written: Option<(Arc<Ticket>, i64)>,
    stop: Option<Stop>,
}

impl PlanShard {
    /// The shard with the topic folded up to `next`.
    #[must_use]
    pub fn new(log: TopicPartition, state: PlanState, next: i64, committed: i64) -> PlanShard {
        PlanShard { log, state, next, committed, written: None, stop: None }
    }

    /// Folds records in; those below what was folded at the restore are known already.
    pub fn accept(&mut self, records: &Records) {
        for record in records.iter().filter(|record| record.offset >= self.next) {
            control::fold(&mut self.state, record.offset, record.key, record.value);
        }
        if let Some((_, last)) = records.span() {
            self.next = self.next.max(last + 1);
        }
    }

    /// Writes what is due, one round at a time: the next only after this one was read back.
    pub fn advance(&mut self, policies: &Policies, producer: &mut dyn Producer) {
        if let Some((ticket, records)) = &self.written {
            if !ticket.is_settled() {
                return;
            }
            if let Some(failure) = ticket.failure() {
                let stop = Stop::Undelivered { topic: failure.topic.clone(), why: failure.why.clone() };
                self.stop.get_or_insert(stop);
                return;
            }
            if ticket.offset_first().is_some_and(|first| self.next < first + records) {
                return;
            }
            self.written = None;
        }
        let due = self.state.due(|offset, generation| policies.published(offset, generation));
        if due.is_empty() || self.stop.is_some() {
            return;
        }
        let mut batch = Outgoing::default();
        for record in &due {
            self.tell_refused(record);
            let (key, value) = control::encode(record);
            batch.push(Some(key.as_bytes()), value.as_deref());
        }
        let ticket = Arc::new(Ticket::new());
        match producer.send(&self.log, &batch, &ticket) {
            Ok(()) => self.written = Some((ticket, batch.len() as i64)),
            Err(error) => {
                let stop = Stop::Undelivered { topic: self.log.topic.to_string(), why: error.to_string() };
                self.stop.get_or_insert(stop);
            }
        }
    }

    /// An answered request does not wait any more when it is taken back; one that waits is refused.
    fn tell_refused(&self, record: &ControlRecord) {
        let ControlRecord::Tombstone(ControlKey::Request(id)) = record else { return };
        if let Some(request) = self.state.pending().find(|request| request.id == *id) {
            let PolicyRequest { generation, by, .. } = request;
            tracing::error!(%generation, by, "a switch is refused: its policy is not whole on the policies topic");
        }
    }

    /// Why the shard has stopped.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// Whether it takes no more records.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Retention has overtaken the reader.
    pub fn overtaken(&mut self) {
        self.stop.get_or_insert(Stop::Overtaken);
    }

    /// Whether nothing that it wrote is unanswered.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.written.as_ref().is_none_or(|(ticket, _)| ticket.is_settled())
    }

    /// What may be committed now. The fold always starts at the topic's start, so the commit serves those who
    /// watch the group's lag, and proves ownership.
    #[must_use]
    pub fn commit(&self) -> Option<Commit> {
        (self.next > self.committed).then(|| Commit { offset: self.next, metadata: String::new() })
    }

    /// The broker has acknowledged the commit of `offset`.
    pub fn committed(&mut self, offset: i64) {
        self.committed = self.committed.max(offset);
    }

    /// Where reading starts.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The plans, for `status`.
    #[must_use]
    pub fn state(&self) -> &PlanState {
        &self.state
    }
}
