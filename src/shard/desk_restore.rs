//! Brings a desk shard back: the newest snapshot that is not past the committed offset, then the log up to there.
//!
//! Owns the reading and the silent replay: effects of records below the committed offset went out before. May not
//! send anything. Stepped by the lane.

use super::desk::{DeskShard, Named, Unnamed, entries};
use super::desk_snapshot::Snapshots;
#[cfg(test)]
use super::planted::{self, Planted};
use crate::log::{Commit, LogError, Logs, ReadStep, Reader, Records, TopicPartition};
use crate::policies::{BuildMatcher, Policies};
use crate::wire::snapshot;
use std::collections::BTreeMap;
use std::time::Duration;
use triage_engine::desk::{DeskLog, Effects};

/// A desk shard on its way to being live.
pub struct DeskRestore {
    log: TopicPartition,
    snapshots_to: TopicPartition,
    interval_ms: i64,
    /// What the group has committed; `None` when it has nothing, or no more.
    commit: Option<i64>,
    /// From where the shard goes on; what lies below is folded silently.
    committed: i64,
    log_start: i64,
    phase: Phase,
}

enum Phase {
    /// The last record of each key of the snapshots topic.
    Snapshots { reader: Box<dyn Reader>, records: snapshot::SnapshotRecords },
    Replay {
        reader: Box<dyn Reader>,
        engine: Box<DeskLog>,
        whole: BTreeMap<i64, u32>,
        leftover: BTreeMap<i64, Vec<Vec<u8>>>,
        stalled: Option<Records>,
    },
}

impl DeskRestore {
    /// Begins to restore `log`; a group that never committed starts at the log's start.
    ///
    /// # Errors
    /// When the logs cannot be asked.
    pub fn begin(
        logs: &dyn Logs,
        log: &TopicPartition,
        snapshots_to: TopicPartition,
        interval_ms: i64,
        commit: Option<Commit>,
    ) -> Result<DeskRestore, LogError> {
        let (log_start, _) = logs.bounds(log)?;
        let commit = commit.map(|commit| commit.offset);
        let committed = commit.unwrap_or(log_start);
        let (start, _) = logs.bounds(&snapshots_to)?;
        let reader = logs.reader(&[(snapshots_to.clone(), start)])?;
        let phase = Phase::Snapshots { reader, records: snapshot::SnapshotRecords::new() };
        Ok(DeskRestore { log: log.clone(), snapshots_to, interval_ms, commit, committed, log_start, phase })
    }

    /// Reads on. The shard once its state is that of the committed offset.
    ///
    /// # Errors
    /// When a log cannot be read, or no longer holds what the state is made of.
    pub fn step(
        mut self,
        logs: &dyn Logs,
        policies: &Policies,
        matcher: BuildMatcher,
        wait: Duration,
    ) -> Result<Result<DeskShard, DeskRestore>, LogError> {
        match &mut self.phase {
            Phase::Snapshots { reader, records: found } => {
                match reader.read(wait)? {
                    ReadStep::Nothing => {}
                    ReadStep::Records(records) => {
                        for record in records.iter() {
                            let key = record.key.unwrap_or_default().to_vec();
                            match record.value {
                                Some(value) => found.insert(key, value.to_vec()),
                                None => found.remove(&key),
                            };
                        }
                    }
                    ReadStep::End(..) => {
                        let found = std::mem::take(found);
                        self.phase = self.replay_from(logs, &found)?;
                    }
                }
                Ok(Err(self))
            }
            Phase::Replay { .. } => self.replay(policies, matcher, wait),
        }
    }

    fn replay_from(
        &mut self,
        logs: &dyn Logs,
        records: &snapshot::SnapshotRecords,
    ) -> Result<Phase, LogError> {
        let manifests = snapshot::manifests(self.log.partition, records);
        let newest = manifests.keys().next_back().copied();
        if self.commit.is_none() {
            // A snapshot is published only after the commit of its S: if the group has none any more (brokers forget
            // groups that were idle for long), the newest S is still known to have been committed.
            self.committed = self.committed.max(newest.unwrap_or(self.committed));
        }
        let usable = manifests
            .values()
            .rev()
            .filter(|found| found.next_offset <= self.committed || planted_past_commit());
        let engine = usable
            .map(|manifest| (manifest.next_offset, snapshot::state(manifest, records)))
            .find_map(|found| {
                let (offset, state) = found;
                state
                    .inspect_err(
                        |why| tracing::warn!(log = %self.log, offset, %why, "a desk snapshot cannot be used"),
                    )
                    .ok()
            });
        let engine = engine.unwrap_or_else(|| DeskLog::new(self.log.partition));
        let from = engine.next_offset();
        if from < self.log_start {
            // Records of cases are gone that no snapshot holds: the shard stops and says so, again and again.
            return Err(LogError::OutOfRange {
                partition: self.log.clone(),
                asked: from,
                start: self.log_start,
            });
        }
        let reader = logs.reader(&[(self.log.clone(), from.max(self.log_start))])?;
        let whole = manifests.values().map(|manifest| (manifest.next_offset, manifest.parts)).collect();
        let leftover = snapshot::leftover_parts(self.log.partition, records);
        Ok(Phase::Replay { reader, engine: Box::new(engine), whole, leftover, stalled: None })
    }

    fn replay(
        mut self,
        policies: &Policies,
        matcher: BuildMatcher,
        wait: Duration,
    ) -> Result<Result<DeskShard, DeskRestore>, LogError> {
        let Phase::Replay { reader, engine, whole, leftover, stalled } = &mut self.phase else {
            unreachable!("invariant: only a replay is replayed")
        };
        let done = engine.next_offset() >= self.committed || {
            let records = match stalled.take() {
                Some(records) => Some(records),
                None => match reader.read(wait)? {
                    ReadStep::Nothing => return Ok(Err(self)),
                    ReadStep::Records(records) => Some(records),
                    ReadStep::End(..) => None,
                },
            };
            match records {
                Some(records) => match fold(engine, &records, self.committed, policies, matcher)? {
                    Some(done) => done,
                    None => {
                        *stalled = Some(records);
                        return Ok(Err(self));
                    }
                },
                None => true,
            }
        };
        if !done {
            return Ok(Err(self));
        }
        let (whole, leftover) = (std::mem::take(whole), std::mem::take(leftover));
        let snapshots = Snapshots::new(self.snapshots_to, self.interval_ms, whole, leftover);
        let Phase::Replay { engine, .. } = self.phase else { unreachable!("invariant: matched above") };
        let start = self.committed.max(engine.next_offset());
        debug_assert!(start == self.committed || planted_past_commit());
        Ok(Ok(DeskShard::new(self.log, *engine, start, snapshots)))
    }
}

/// Folds what lies below `committed` silently; whether the end is reached, or `None` while a policy is missing.
fn fold(
    engine: &mut DeskLog,
    records: &Records,
    committed: i64,
    policies: &Policies,
    matcher: BuildMatcher,
) -> Result<Option<bool>, LogError> {
    let (mut log, mut wrong) = entries(records);
    let reached = log.last().is_some_and(|entry| entry.offset >= committed);
    log.retain(|entry| entry.offset < committed);
    let named = match Named::of(&log, policies, matcher) {
        Ok(named) => Some(named),
        Err(Unnamed::NotYet) => return Ok(None),
        Err(Unnamed::Never(offset, why)) => {
            wrong.push((offset, why));
            None
        }
    };
    let Some(named) = named.filter(|_| wrong.is_empty()) else {
        let (offset, why) = wrong.iter().min().expect("invariant: something is wrong with an entry");
        return Err(LogError::Fatal(format!(
            "record {offset} of {} cannot be read: {why}",
            records.partition()
        )));
    };
    engine.step(&log, &named, &mut Effects::new());
    Ok(Some(reached))
}

#[cfg(test)]
fn planted_past_commit() -> bool {
    planted::is(Planted::SnapshotPastCommit)
}

#[cfg(not(test))]
fn planted_past_commit() -> bool {
    false
}
