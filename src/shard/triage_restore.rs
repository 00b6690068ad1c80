//! Brings a triage shard back: reads its ledger until it knows the window and every entry it must obey.
//!
//! Owns the reading, nothing after it. May not decide anything. Stepped by the lane, so that partitions that are
//! live already go on meanwhile.

use super::ledger_tail::{LedgerNote, LedgerTail};
#[cfg(test)]
use super::planted::{self, Planted};
use super::survey::Place;
use super::triage::{Obeyed, TriageShard};
use crate::log::{Commit, LogError, Logs, ReadStep, Reader, TopicPartition};
use crate::policies::Compiled;
use crate::wire::ledger;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::dedup::ExactWindow;
use triage_engine::model::{Millis, StreamId};
use triage_engine::triage::Triage;

/// A triage shard on its way to being live.
pub struct TriageRestore {
    input: TopicPartition,
    stream: StreamId,
    committed: i64,
    lost: Option<(i64, i64)>,
    engine: Triage,
    obeyed: BTreeMap<i64, Obeyed>,
    /// Requests with records from `obey_from` on, each with the first of them.
    owed: BTreeMap<Place, i64>,
    ledger: LedgerTail,
    reader: Box<dyn Reader>,
    /// From here on the ledger holds entries that must be obeyed; what lies below only fills the window.
    obey_from: i64,
    /// Ledger records below it that could not be read, with the reason: each is told once.
    damaged: Vec<(i64, String)>,
}

/// What a finished restore hands over.
pub struct Restored {
    /// The shard, ready to be started at its committed offset.
    pub shard: TriageShard,
    /// Offsets that retention took before they were read, first and last: to be ledgered as expired.
    pub lost: Option<(i64, i64)>,
    /// Ledger records that could not be read.
    pub damaged: Vec<(i64, String)>,
}

impl TriageRestore {
    /// Begins to restore `input` from what the group has committed; a group that never committed starts at the
    /// log's start.
    ///
    /// # Errors
    /// When the logs cannot be asked.
    pub fn begin(
        logs: &dyn Logs,
        input: &TopicPartition,
        stream: StreamId,
        ledger: TopicPartition,
        commit: Option<Commit>,
        policy: &Arc<Compiled>,
    ) -> Result<TriageRestore, LogError> {
        let (start, _) = logs.bounds(input)?;
        let (ledger_start, _) = logs.bounds(&ledger)?;
        let note = commit.as_ref().and_then(|commit| LedgerNote::from_text(&commit.metadata));
        let committed = commit.map_or(start, |commit| commit.offset);
        if let Some(note) = note.filter(|note| ledger_start > note.open) {
            // Entries that must be obeyed are gone: deciding again could decide otherwise. The shard stops and says so.
            return Err(LogError::OutOfRange { partition: ledger, asked: note.open, start: ledger_start });
        }
        let lost = (start > committed).then(|| (committed, start - 1));
        let from = note.map_or(ledger_start, |note| note.from().max(ledger_start));
        let limits = policy.policy().dedup();
        Ok(TriageRestore {
            input: input.clone(),
            stream,
            committed,
            lost,
            engine: Triage::new(ExactWindow::new(limits)),
            obeyed: BTreeMap::new(),
            owed: BTreeMap::new(),
            ledger: LedgerTail::new(ledger.clone(), from, limits.window_ms),
            reader: logs.reader(&[(ledger, from)])?,
            obey_from: note.map_or(ledger_start, |note| note.open),
            damaged: Vec::new(),
        })
    }

    /// The committed offset, or where a group that never committed begins.
    #[must_use]
    pub fn committed(&self) -> i64 {
        self.committed
    }

    /// Reads on. The shard once the ledger's end is reached.
    ///
    /// # Errors
    /// When the ledger cannot be read; the restore must then begin anew.
    pub fn step(mut self, wait: Duration) -> Result<Result<Restored, TriageRestore>, LogError> {
        match self.reader.read(wait)? {
            ReadStep::Nothing => Ok(Err(self)),
            ReadStep::Records(records) => {
                for record in records.iter() {
                    self.take(record.offset, record.value)?;
                }
                Ok(Err(self))
            }
            ReadStep::End(_, next) => {
                self.ledger.next = next;
                let TriageRestore { input, stream, committed, lost, engine, obeyed, ledger, .. } = self;
                let (damaged, owed) = (self.damaged, self.owed);
                let shard = TriageShard::new(input, stream, engine, committed, obeyed, ledger, owed);
                Ok(Ok(Restored { shard, lost, damaged }))
            }
        }
    }

    fn take(&mut self, at: i64, value: Option<&[u8]>) -> Result<(), LogError> {
        let Some(value) = value else { return Ok(()) };
        let run = match ledger::decode(value) {
            Ok(run) => run,
            // Without it a mention would be decided again, perhaps otherwise: the shard stops and says so.
            Err(error) if at >= self.obey_from => {
                let ledger = &self.ledger.partition;
                return Err(LogError::Fatal(format!("ledger record {ledger}/{at} cannot be read: {error}")));
            }
            Err(error) => {
                self.damaged.push((at, error.to_string()));
                return Ok(());
            }
        };
        if let Some(superseding) = &run.superseding {
            self.take_release(at, Place::of(superseding));
        }
        for entry in run.entries {
            // What is superseded was committed before; its key is there when it is the first that has it.
            if entry.offset < self.committed || run.superseding.is_some() {
                self.engine.recall(run.now, entry.key);
            } else {
                // For each offset the first entry in the log wins: two owners may have written.
                let known = Obeyed { entry, generation: run.generation, now: run.now, at };
                self.obeyed.entry(known.entry.offset).or_insert(known);
            }
        }
        self.engine.recall(run.now.max(Millis::MIN), None);
        self.ledger.mark(run.now, at);
        Ok(())
    }

    /// Effects of a request's record that no commit calls done may not be out.
    fn take_release(&mut self, at: i64, of: Place) {
        #[cfg(test)]
        if planted::is(Planted::ReleaseNotOwed) {
            return;
        }
        if at >= self.obey_from {
            self.owed.entry(of).or_insert(at);
        }
    }
}
