//! What is known of each offset of one input partition, 32 bytes an offset.
//!
//! Owns the table and its size: 10 million offsets take 320 MB, and no more than [`OFFSETS_MAX`] are audited at once.
//! May not judge. Filled from the ledger, the desk logs and the dead letters, read by the passes that judge.

use super::again::{Brought, Fault};
use super::reading::Stretch;
use super::report::PartitionReport;
use crate::log::TopicPartition;
use crate::wire::ledger::{self, LedgerEntry, LedgerRun};
use triage_engine::model::{Disposition, MentionKey, Millis, StreamId};
use triage_engine::policy::Generation;
use triage_engine::triage::DETAIL_NONE;

/// Offsets of all partitions together that one audit looks at: 1 GiB of table. More are audited in stretches.
pub const OFFSETS_MAX: i64 = 1 << 25;

/// The run of an offset that the ledger does not know.
const RUN_NONE: u32 = u32::MAX;

/// What is known of one offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    key: u128,
    run: u32,
    /// The detail, or for what was queued desk and queue, 16 bits each: no entry has both.
    what: u32,
    code: u8,
    flags: u8,
    /// A digest of where the desk log's first record of it goes.
    pub(super) handed: u32,
}

const HAS_KEY: u8 = 1;
/// The desk log has a record of it.
pub(super) const HANDED: u8 = 2;
/// The dead-letter topic has a record of it.
pub(super) const DEAD: u8 = 4;
/// The input holds a record there.
pub(super) const RECORD: u8 = 8;

/// One record of the ledger, as far as its entries need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// The shard's time after the run before, and after this one: its records were decided between them.
    pub(super) after: Millis,
    pub(super) now: Millis,
    /// The lowest time stamp of its records that were read.
    earliest: Millis,
    pub(super) generation: Generation,
    pub(super) semantics: u32,
    /// Where in the ledger it lies.
    pub(super) at: i64,
}

/// One input partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) input: TopicPartition,
    /// The audited offsets, the first and the one after the last.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) committed: Option<i64>,
    /// The first offset that the input still holds.
    pub(super) start: i64,
    /// What is counted on the way.
    pub(super) counts: PartitionReport,
    /// Whether the dedup window is whole at `from`: it is the very beginning of the partition.
    pub(super) whole: bool,
    /// The first offset whose ledger entry may be expected; those before were trimmed with the ledger.
    pub(super) ledgered_from: i64,
    /// Ranges that the ledger calls expired.
    pub(super) expired: Vec<(i64, i64)>,
    pub(super) runs: Vec<Run>,
    /// Entries that supersede others.
    pub(super) brought: Brought,
    slots: Vec<Slot>,
}

impl Partition {
    pub(super) fn new(input: &Stretch, start: i64, committed: Option<i64>, whole: bool) -> Partition {
        let &Stretch { from, to, .. } = input;
        assert!(0 <= from && from <= to, "a stretch does not end before it begins");
        let empty = Slot { key: 0, run: RUN_NONE, what: 0, code: 0, flags: 0, handed: 0 };
        let slots = vec![empty; usize::try_from(to - from).expect("invariant: OFFSETS_MAX fits")];
        let partition = input.of.partition;
        Partition {
            input: input.of.clone(),
            from,
            to,
            committed,
            start,
            counts: PartitionReport { partition, from, to, committed, ..PartitionReport::default() },
            whole,
            ledgered_from: from,
            expired: Vec::new(),
            runs: Vec::new(),
            brought: Brought::default(),
            slots,
        }
    }

    /// C inside the audited stretch: what lies below must be done.
    pub(super) fn settled_to(&self) -> i64 {
        self.committed.unwrap_or(self.from).clamp(self.from, self.to)
    }

    pub(super) fn slot(&self, offset: i64) -> Option<&Slot> {
        (self.from..self.to).contains(&offset).then(|| &self.slots[(offset - self.from) as usize])
    }

    pub(super) fn slot_mut(&mut self, offset: i64) -> Option<&mut Slot> {
        (self.from..self.to).contains(&offset).then(|| &mut self.slots[(offset - self.from) as usize])
    }

    /// Takes a ledger record in: for each offset the first entry counts, and the first of each request of the control
    /// topic `control` that supersedes it. What is wrong with it.
    pub(super) fn take(&mut self, at: i64, run: &LedgerRun, control: StreamId) -> Vec<Fault> {
        let after = self.runs.last().map_or(run.now, |before| before.now);
        let index = u32::try_from(self.runs.len())
            .expect("invariant: a ledger partition holds fewer than 2^32 records");
        let (now, generation, semantics) = (run.now, run.generation, run.semantics);
        let earliest = Millis(i64::MAX);
        self.runs.push(Run { after, now, earliest, generation, semantics, at });
        self.expired.extend(run.expired);
        if let Some(of) = &run.superseding {
            if of.log != control {
                self.counts.unverified += run.entries.len() as u64;
                return Vec::new();
            }
            let mut brought = std::mem::take(&mut self.brought);
            let was = |offset| self.entry(offset).map(|(entry, _)| entry.disposition);
            let faults = brought.take(of, (index, run), was);
            self.brought = brought;
            return faults;
        }
        for entry in &run.entries {
            self.counts.gone += u64::from(entry.offset < self.start);
            let Some(slot) = self.slot_mut(entry.offset).filter(|slot| slot.run == RUN_NONE) else {
                continue;
            };
            slot.run = index;
            slot.code = entry.disposition.code();
            slot.what = match entry.disposition {
                Disposition::Queued => u32::from(entry.desk) << 16 | u32::from(entry.queue),
                _ => entry.detail,
            };
            slot.key = entry.key.map_or(0, |key| key.0);
            slot.flags |= if entry.key.is_some() { HAS_KEY } else { 0 };
        }
        Vec::new()
    }

    /// What the offset is now: the last superseding entry's disposition, or the first entry's.
    pub(super) fn in_effect(&self, offset: i64) -> Option<Disposition> {
        let last = self.brought.of(offset).next_back().map(|(_, again)| again.entry.disposition);
        last.or_else(|| self.entry(offset).map(|(entry, _)| entry.disposition))
    }

    /// The entry of an offset with the run that it came in.
    pub(super) fn entry(&self, offset: i64) -> Option<(LedgerEntry, &Run)> {
        let slot = self.slot(offset).filter(|slot| slot.run != RUN_NONE)?;
        let disposition = Disposition::from_code(slot.code).expect("invariant: written by `take`");
        let key = slot.key();
        let (detail, desk, queue) = match disposition {
            Disposition::Queued => (DETAIL_NONE, (slot.what >> 16) as u16, slot.what as u16),
            _ => (slot.what, ledger::NONE, ledger::NONE),
        };
        let entry = LedgerEntry { offset, disposition, detail, desk, queue, key };
        Some((entry, &self.runs[slot.run as usize]))
    }

    /// A record with this time stamp stands there.
    pub(super) fn stands(&mut self, offset: i64, at: Millis) {
        let Some(slot) = self.slot_mut(offset) else { return };
        slot.set(RECORD);
        let run = slot.run;
        if let Some(run) = self.runs.get_mut(run as usize) {
            run.earliest = run.earliest.min(at);
        }
    }

    /// Whether the ledger calls the offset expired.
    pub(super) fn is_expired(&self, offset: i64) -> bool {
        self.expired.iter().any(|&(first, last)| (first..=last).contains(&offset))
    }

    /// Entries of the stretch whose record the input no longer holds.
    pub(super) fn entries_without_record(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.run != RUN_NONE && !slot.has(RECORD)).count() as u64
    }

    /// Every offset with a key, ordered by key, then offset.
    pub(super) fn by_key(&self) -> Vec<u32> {
        let keyed = |index: &u32| self.slots[*index as usize].flags & HAS_KEY != 0;
        let mut order: Vec<u32> = (0..self.slots.len() as u32).filter(keyed).collect();
        order.sort_unstable_by_key(|&index| (self.slots[index as usize].key, index));
        order
    }
}

impl Run {
    /// None of its records was decided earlier: a shard's time never goes back, and is no record's before it was
    /// read. Time stamps from the future were clamped to the run's own time.
    pub(super) fn not_before(&self) -> Millis {
        self.after.max(self.earliest.min(self.now))
    }
}

impl Slot {
    pub(super) fn key(&self) -> Option<MentionKey> {
        (self.flags & HAS_KEY != 0).then_some(MentionKey(self.key))
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8) {
        self.flags |= flag;
    }
}
