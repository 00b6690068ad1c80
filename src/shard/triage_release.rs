//! What a shard does with mentions that a request brings back: ledgered as superseding, then handed out, as all are.
//!
//! Owns how such a run enters the shard's queue, and the name under which receivers know its records: the request's place
//! and the mention's own offset, so that doing it again names everything the same. May not choose what is brought back:
//! `release` does. Called by `release`, for the partition's owner.

#[cfg(test)]
use super::planted::{self, Planted};
use super::survey::Place;
use super::triage::TriageShard;
use super::triage_run::{Ahead, Run};
use crate::clock::Stopwatch;
use crate::log::Producer;
use crate::wire::ledger::{LedgerEntry, LedgerRun, Superseding};
use crate::worker::Scanned;
use triage_engine::desk::SourceMark;
use triage_engine::model::{Disposition, MentionKey, Position, Source};
use triage_engine::policy::Generation;
use triage_engine::triage::{Decision, Verdict};

/// Mentions of one input partition that are brought back together.
pub struct Batch {
    /// The records, scanned under the policy that decides them.
    pub scanned: Scanned,
    /// What becomes of each.
    pub decisions: Vec<Decision>,
    /// The request.
    pub of: Superseding,
    /// The first ledger record that has these decisions already: then they are only handed out again.
    pub obeyed_from: Option<i64>,
    /// Whether these mentions have their first key by this decision: they were dead letters.
    pub are_new_keys: bool,
    /// The epoch of the policy in force.
    pub plan_epoch: i64,
}

impl TriageShard {
    /// Requests whose effects may not be out, in their order, each with the first of its ledger records.
    pub fn owed(&self) -> impl Iterator<Item = (Place, i64)> + '_ {
        self.owed.iter().map(|(&place, &at)| (place, at))
    }

    /// What the ledger holds of the request was handed to the shard, up to its record at `rest`; all of it when `None`.
    pub fn owe(&mut self, place: Place, rest: Option<i64>) {
        let before = match rest {
            Some(at) => self.owed.insert(place, at),
            None => self.owed.remove(&place),
        };
        self.note_is_stale |= before != rest;
    }

    /// Runs of mentions that are brought back, not settled yet.
    #[must_use]
    pub fn releases_in_flight(&self) -> usize {
        self.runs.iter().filter(|run| run.release.is_some()).count()
    }

    /// Records brought back since a commit last noted that all of them are out.
    #[must_use]
    pub fn unnoted(&self) -> u64 {
        self.unnoted
    }

    /// Ledgers where the request's end lies, before anything else of it: whoever goes on with it finds it there.
    pub fn begin_release(
        &mut self,
        generation: Generation,
        plan_epoch: i64,
        of: Superseding,
        out: &mut dyn Producer,
    ) {
        assert!(of.below <= self.committed, "only what is committed is brought back");
        self.mark(generation, plan_epoch, None, Some(of), out);
    }

    /// Brings mentions back: written ahead unless the ledger has them, then handed out.
    pub fn release(&mut self, batch: Batch, out: &mut dyn Producer) {
        let Batch { scanned, decisions, of, obeyed_from, are_new_keys, plan_epoch } = batch;
        assert_eq!(scanned.partition, self.input, "a run goes to its own shard");
        assert_eq!(scanned.records.len(), decisions.len(), "each record has its decision");
        let ledger_from = obeyed_from.unwrap_or(i64::MAX);
        let ahead = if obeyed_from.is_some() {
            Ahead::Obeyed
        } else {
            let key = |verdict: &Verdict| match verdict {
                Verdict::Mention { key, .. } if are_new_keys => Some(*key),
                _ => None,
            };
            let run = LedgerRun {
                semantics: triage_engine::SEMANTICS,
                generation: scanned.policy.generation(),
                plan_epoch,
                now: self.engine.now(),
                expired: None,
                superseding: Some(of),
                entries: entries(&scanned, &decisions, key),
            };
            self.write_ahead(&run, out)
        };
        let bytes = scanned.bytes;
        self.runs.push_back(Run {
            id: None,
            scanned: Some(scanned),
            decisions,
            expired: 0,
            release: Some(of),
            // It says nothing about which policy later mentions are decided under.
            plan_epoch: i64::MIN,
            now: self.engine.now(),
            ledger: ahead,
            ledger_from,
            effects: None,
            bytes,
            since: Stopwatch::start(),
        });
    }

    /// The name of a mention that is brought back. Requests are done one after the other, so below this one all is.
    pub(super) fn release_mark(&self, of: &Superseding, offset: i64) -> SourceMark {
        let ordinal = u64::try_from(offset).expect("invariant: an offset is 0 or more");
        #[cfg(test)]
        let ordinal = if planted::is(Planted::OrdinalCounted) { planted::counted() } else { ordinal };
        let position = Position { stream: of.log, partition: self.input.partition, offset: of.request };
        SourceMark { source: Source { position, ordinal }, committed: of.request }
    }
}

fn entries(
    scanned: &Scanned,
    decisions: &[Decision],
    key: impl Fn(&Verdict) -> Option<MentionKey>,
) -> Vec<LedgerEntry> {
    let pairs = scanned.records.iter().zip(decisions);
    let entry = |(record, decision): (&crate::worker::ScannedRecord, &Decision)| LedgerEntry {
        offset: record.offset,
        disposition: decision.disposition,
        detail: decision.detail,
        desk: decision.desk,
        queue: decision.queue,
        key: key(&record.verdict).filter(|_| decision.disposition != Disposition::DeadLetter),
    };
    pairs.map(entry).collect()
}
