//! Snapshots of a desk's state on their way out: parts first, then the manifest; the newest two are kept.
//!
//! Owns the order that makes them safe: a snapshot of the state at S is published only after the commit of S was
//! acknowledged, older ones go only when it is whole, and the log is trimmed only below the older S that is kept.
//! They are keyed by S and not by slots: with two slots, a former owner that woke up could overwrite its successor's
//! good snapshot with an older one while the other slot was being written (found by the simulator). May not read them back: `desk_restore` does.
//! Called by the desk lane.

#[cfg(test)]
use super::planted::{self, Planted};
use crate::log::{LogError, Outgoing, Producer, Ticket, TopicPartition};
use crate::wire::snapshot::{self, Encoded};
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::desk::DeskLog;

/// How many snapshots are kept: the newest, and one before it in case it is damaged.
const KEPT: usize = 2;

/// The snapshots of one desk-log partition.
pub struct Snapshots {
    to: TopicPartition,
    interval_ms: i64,
    due_at: i64,
    /// The S of each snapshot that is whole, and how many parts it has.
    whole: BTreeMap<i64, u32>,
    stage: Stage,
    /// Snapshots published since the start.
    pub published: u64,
    /// Bytes of the newest snapshot taken.
    pub bytes: u64,
    /// Attempts that failed; the slot before stays good.
    pub failed: u64,
}

enum Stage {
    Idle,
    /// Taken; waits until everything below S is committed.
    Taken(Encoded, i64),
    /// Parts are out; the manifest waits for them.
    Parts(Encoded, i64, Arc<Ticket>),
    /// The manifest is out.
    Manifest(i64, u32, Arc<Ticket>),
}

impl Snapshots {
    /// Snapshots to `to`, each `interval_ms` milliseconds; `whole` is what lies there already.
    #[must_use]
    pub fn new(to: TopicPartition, interval_ms: i64, whole: BTreeMap<i64, u32>) -> Snapshots {
        Snapshots {
            to,
            interval_ms,
            due_at: i64::MIN,
            whole,
            stage: Stage::Idle,
            published: 0,
            bytes: 0,
            failed: 0,
        }
    }

    /// Goes on with the snapshot under way, or takes one when it is time. The offset below which the log may be
    /// trimmed, once a snapshot is whole.
    ///
    /// # Errors
    /// When a send is refused at once; the attempt is over then.
    pub fn advance(
        &mut self,
        now_ms: i64,
        engine: &DeskLog,
        committed: i64,
        producer: &mut dyn Producer,
    ) -> Result<Option<i64>, LogError> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => self.take_when_due(now_ms, engine),
            Stage::Taken(records, offset) => {
                let published_too_early = self.is_planted_early();
                if committed >= offset || published_too_early {
                    let ticket = self.send(self.parts(&records, offset), producer)?;
                    self.stage = Stage::Parts(records, offset, ticket);
                } else {
                    self.stage = Stage::Taken(records, offset);
                }
            }
            Stage::Parts(records, offset, ticket) if !ticket.is_settled() => {
                self.stage = Stage::Parts(records, offset, ticket);
            }
            Stage::Parts(_, _, ticket) | Stage::Manifest(_, _, ticket) if ticket.failure().is_some() => {
                let why = ticket.failure().map(|failure| failure.why.clone()).unwrap_or_default();
                tracing::warn!(to = %self.to, %why, "a desk snapshot was not published");
                self.failed += 1;
            }
            Stage::Parts(records, offset, _) => {
                let ticket = self.send(self.manifest(&records, offset), producer)?;
                self.stage = Stage::Manifest(offset, records.parts.len() as u32, ticket);
            }
            Stage::Manifest(offset, parts, ticket) if !ticket.is_settled() => {
                self.stage = Stage::Manifest(offset, parts, ticket);
            }
            Stage::Manifest(offset, parts, _) => {
                self.whole.insert(offset, parts);
                self.published += 1;
                self.forget_older(producer)?;
                return Ok((self.whole.len() == KEPT)
                    .then(|| *self.whole.keys().next().expect("invariant: two are kept")));
            }
        }
        Ok(None)
    }

    #[cfg(test)]
    fn is_planted_early(&self) -> bool {
        planted::is(Planted::SnapshotPastCommit)
    }

    #[cfg(not(test))]
    fn is_planted_early(&self) -> bool {
        false
    }

    fn take_when_due(&mut self, now_ms: i64, engine: &DeskLog) {
        if self.due_at == i64::MIN {
            self.due_at = now_ms + self.interval_ms;
        }
        let offset = engine.next_offset();
        let moved = self.whole.keys().next_back().is_none_or(|&newest| offset > newest);
        if now_ms >= self.due_at && moved {
            self.due_at = now_ms + self.interval_ms;
            match snapshot::encode(engine) {
                Ok(encoded) => {
                    self.bytes = encoded.parts.iter().map(|part| part.len() as u64).sum();
                    self.stage = Stage::Taken(encoded, offset);
                }
                Err(error) => {
                    self.failed += 1;
                    tracing::error!(to = %self.to, %error, "no snapshot of the desk can be made");
                }
            }
        }
    }

    /// Removes all but the newest snapshots, the manifest of each first: what has none is none.
    fn forget_older(&mut self, producer: &mut dyn Producer) -> Result<(), LogError> {
        let mut out = Outgoing::default();
        while self.whole.len() > KEPT {
            let (offset, parts) = self.whole.pop_first().expect("invariant: there are more than are kept");
            out.push(Some(snapshot::manifest_key(self.to.partition, offset).as_bytes()), None);
            for index in 0..parts {
                out.push(Some(snapshot::part_key(self.to.partition, offset, index).as_bytes()), None);
            }
        }
        // If these are lost, a restart finds the old snapshots and removes them with its next one.
        if out.is_empty() { Ok(()) } else { self.send(out, producer).map(|_| ()) }
    }

    fn parts(&self, encoded: &Encoded, offset: i64) -> Outgoing {
        let mut out = Outgoing::default();
        for (index, part) in encoded.parts.iter().enumerate() {
            let key = snapshot::part_key(self.to.partition, offset, index as u32);
            out.push(Some(key.as_bytes()), Some(part));
        }
        out
    }

    fn manifest(&self, encoded: &Encoded, offset: i64) -> Outgoing {
        let mut out = Outgoing::default();
        let key = snapshot::manifest_key(self.to.partition, offset);
        out.push(Some(key.as_bytes()), Some(&encoded.manifest));
        out
    }

    fn send(&self, records: Outgoing, producer: &mut dyn Producer) -> Result<Arc<Ticket>, LogError> {
        let ticket = Arc::new(Ticket::new());
        producer.send(&self.to, &records, &ticket)?;
        Ok(ticket)
    }
}
