//! Snapshots of a desk's state on their way out: parts first, then the manifest; the newest two are kept.
//!
//! Owns the order that makes them safe: a snapshot of the state at S is published only after the commit of S was
//! acknowledged, older ones go only when it is whole, and the log is trimmed only below the older S that is kept.
//! They are keyed by S and not by slots: with two slots, a former owner that woke up could overwrite its successor's
//! good snapshot with an older one while the other slot was being written (found by the simulator).
//!
//! The lane stands still only while the state is copied: another thread writes it as bytes and hashes it, and the parts
//! go out one at a time, so that assignments need not wait behind megabytes. May not read snapshots back: `desk_restore`
//! does. Called by the desk lane.

#[cfg(test)]
use super::planted::{self, Planted};
use crate::log::{LogError, Outgoing, Producer, Ticket, TopicPartition};
use crate::policies::Policies;
use crate::wire::snapshot::{self, Encoded, SnapshotFault};
use crossbeam::channel::{Receiver, TryRecvError, bounded};
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
    /// By S the keys of the parts that lie there and belong to no whole snapshot.
    leftover: BTreeMap<i64, Vec<Vec<u8>>>,
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
    /// Taken at S; another thread writes it as bytes.
    Taken(Receiver<Result<Encoded, SnapshotFault>>, i64),
    /// Written as bytes; waits until everything below S is committed.
    Encoded(Encoded, i64),
    /// So many parts are out, the last of them under this ticket; the next one waits for it, or the manifest.
    Parts(Encoded, i64, usize, Arc<Ticket>),
    /// The manifest is out.
    Manifest(i64, u32, Arc<Ticket>),
}

impl Snapshots {
    /// Snapshots to `to`, each `interval_ms` milliseconds; `whole` is what lies there already, `leftover` the keys by S
    /// of the parts there that belong to none.
    #[must_use]
    pub fn new(
        to: TopicPartition,
        interval_ms: i64,
        whole: BTreeMap<i64, u32>,
        leftover: BTreeMap<i64, Vec<Vec<u8>>>,
    ) -> Snapshots {
        Snapshots {
            to,
            interval_ms,
            due_at: i64::MIN,
            whole,
            leftover,
            stage: Stage::Idle,
            published: 0,
            bytes: 0,
            failed: 0,
        }
    }

    /// Goes on with the snapshot under way, or takes one when it is time; what takes long is done by the thread beside
    /// `policies`. The offset below which the log may be trimmed, once a snapshot is whole.
    ///
    /// # Errors
    /// When a send is refused at once; the attempt is over then.
    pub fn advance(
        &mut self,
        now_ms: i64,
        engine: &DeskLog,
        committed: i64,
        policies: &Policies,
        producer: &mut dyn Producer,
    ) -> Result<Option<i64>, LogError> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => self.take_when_due(now_ms, engine, policies),
            Stage::Taken(encoding, offset) => self.take_bytes(encoding, offset),
            Stage::Encoded(records, offset) => {
                if committed >= offset || self.is_planted_early() {
                    self.send_part(records, offset, 0, producer)?;
                } else {
                    self.stage = Stage::Encoded(records, offset);
                }
            }
            Stage::Parts(records, offset, out, ticket) if !ticket.is_settled() => {
                self.stage = Stage::Parts(records, offset, out, ticket);
            }
            Stage::Parts(_, offset, out, ticket) if ticket.failure().is_some() => {
                self.refused(offset, out, &ticket);
            }
            Stage::Manifest(offset, parts, ticket) if ticket.failure().is_some() => {
                self.refused(offset, parts as usize, &ticket);
            }
            Stage::Parts(records, offset, out, _) if out < records.parts.len() => {
                self.send_part(records, offset, out, producer)?;
            }
            Stage::Parts(records, offset, ..) => {
                let parts = records.parts.len();
                let sent = self.send(self.manifest(&records, offset), producer);
                let ticket = sent.inspect_err(|_| self.give_up(offset, parts))?;
                self.stage = Stage::Manifest(offset, parts as u32, ticket);
            }
            Stage::Manifest(offset, parts, ticket) if !ticket.is_settled() => {
                self.stage = Stage::Manifest(offset, parts, ticket);
            }
            Stage::Manifest(offset, parts, _) => {
                self.whole.insert(offset, parts);
                self.published += 1;
                if let Err(error) = self.forget_older(producer) {
                    // A restart finds the old ones and removes them with its next snapshot.
                    tracing::warn!(to = %self.to, %error, "older desk snapshots were not removed");
                }
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

    fn take_when_due(&mut self, now_ms: i64, engine: &DeskLog, policies: &Policies) {
        if self.due_at == i64::MIN {
            // Partitions that came together do not write their states together.
            let early = self.interval_ms / 8 * i64::from(self.to.partition % 8);
            self.due_at = now_ms + self.interval_ms - early;
        }
        let offset = engine.next_offset();
        let moved = self.whole.keys().next_back().is_none_or(|&newest| offset > newest);
        if now_ms >= self.due_at && moved {
            self.due_at = now_ms + self.interval_ms;
            let (tell, encoding) = bounded(1);
            let state = engine.snapshot();
            // Nobody listens any more when the partition has gone.
            policies.later(move |_| drop(tell.send(snapshot::encode(state))));
            self.stage = Stage::Taken(encoding, offset);
        }
    }

    fn take_bytes(&mut self, encoding: Receiver<Result<Encoded, SnapshotFault>>, offset: i64) {
        match encoding.try_recv() {
            Ok(Ok(encoded)) => {
                self.bytes = encoded.parts.iter().map(|part| part.len() as u64).sum();
                self.stage = Stage::Encoded(encoded, offset);
            }
            Ok(Err(error)) => {
                self.failed += 1;
                tracing::error!(to = %self.to, %error, "no snapshot of the desk can be made");
            }
            Err(TryRecvError::Empty) => self.stage = Stage::Taken(encoding, offset),
            // The thread beside has ended, as the daemon does.
            Err(TryRecvError::Disconnected) => {}
        }
    }

    /// Removes all but the newest snapshots, the manifest of each first: what has none is none.
    fn forget_older(&mut self, producer: &mut dyn Producer) -> Result<(), LogError> {
        let mut out = Outgoing::default();
        for (offset, keys) in std::mem::take(&mut self.leftover) {
            // The one just published may be of the same S: then these are its own parts.
            if !self.whole.contains_key(&offset) {
                out.push(Some(snapshot::manifest_key(self.to.partition, offset).as_bytes()), None);
                keys.iter().for_each(|key| out.push(Some(key), None));
            }
        }
        while self.whole.len() > KEPT {
            let (offset, parts) = self.whole.pop_first().expect("invariant: there are more than are kept");
            out.push(Some(snapshot::manifest_key(self.to.partition, offset).as_bytes()), None);
            for index in 0..parts {
                out.push(Some(snapshot::part_key(self.to.partition, offset, index).as_bytes()), None);
            }
        }
        if out.is_empty() { Ok(()) } else { self.send(out, producer).map(|_| ()) }
    }

    fn send_part(
        &mut self,
        records: Encoded,
        offset: i64,
        index: usize,
        producer: &mut dyn Producer,
    ) -> Result<(), LogError> {
        let mut out = Outgoing::default();
        let key = snapshot::part_key(self.to.partition, offset, index as u32);
        out.push(Some(key.as_bytes()), Some(&records.parts[index]));
        let ticket = self.send(out, producer).inspect_err(|_| self.give_up(offset, index))?;
        self.stage = Stage::Parts(records, offset, index + 1, ticket);
        Ok(())
    }

    fn refused(&mut self, offset: i64, parts: usize, ticket: &Ticket) {
        let why = ticket.failure().map(|failure| failure.why.clone()).unwrap_or_default();
        tracing::warn!(to = %self.to, %why, "a desk snapshot was not published");
        self.give_up(offset, parts);
    }

    /// An attempt has failed; so many of its parts may lie there, and go with the next snapshot that is whole.
    fn give_up(&mut self, offset: i64, parts: usize) {
        self.failed += 1;
        let keys = (0..parts).map(|index| snapshot::part_key(self.to.partition, offset, index as u32));
        self.leftover.entry(offset).or_default().extend(keys.map(String::into_bytes));
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
