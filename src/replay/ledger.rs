//! What the ledger of one input partition said of each offset, 16 bytes an offset.
//!
//! Owns the table and its size. The first entry of an offset counts, but for those that a request superseded. May not
//! judge. Filled from the ledger's topic, read by the replay of topics.

use crate::audit::reading::{Stretch, find};
use crate::audit::{OFFSETS_MAX, Step};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::log::{LogError, Logs, TopicPartition};
use crate::wire::ledger::{self, LedgerEntry, LedgerRun};
use std::collections::BTreeMap;
use triage_engine::model::{Disposition, Millis};
use triage_engine::policy::Generation;
use triage_engine::triage::Decision;

/// Clocks of producers and brokers may differ by so much before what a time leads to is looked for from the start.
const SLACK_MS: i64 = 3_600_000;

/// What was decided of one record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decided {
    pub(super) decision: Decision,
    /// Which of [`Entries::generations`] was in force.
    pub(super) generation: usize,
    /// A request brought it back: this is what the request made of it.
    pub(super) brought_back: bool,
}

/// An offset's first entry, and the policy's number.
type Slot = Option<(Decision, u16)>;
const _: () = assert!(size_of::<Slot>() == 16, "the limit of offsets is reckoned with this size");

/// What a policy had to do with a stretch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    /// Records that it decided, or offsets that it called expired.
    pub(super) records: u64,
    /// Of these, brought back by a request and queued.
    pub(super) brought_back: u64,
}

/// The entries of a stretch of the input.
#[derive(Debug)]
pub(super) struct Entries {
    /// The policies that decided, in the order in which they are met.
    pub(super) generations: Vec<Generation>,
    /// Offsets that the ledger calls expired, by the policy in force then.
    pub(super) expired: Vec<(usize, u64)>,
    /// Entries whose records retention has taken from the input before this stretch.
    pub(super) gone: u64,
    /// Ledger records that this release cannot read.
    pub(super) damaged: u64,
    input: TopicPartition,
    first: i64,
    slots: Vec<Slot>,
    again: BTreeMap<i64, (i64, Decided)>,
    /// The lowest offset of which the ledger spoke.
    lowest: i64,
}

/// A stretch of the input, and what of time was asked for.
pub(super) struct Wanted<'a> {
    pub(super) input: &'a Stretch,
    /// The first offset that the input still holds.
    pub(super) start: i64,
    pub(super) from: Option<Millis>,
    pub(super) to: Option<Millis>,
}

impl Entries {
    /// Reads the ledger of `wanted`.
    ///
    /// # Errors
    /// 64 when the stretch is longer than [`OFFSETS_MAX`]; when the ledger cannot be read.
    pub(super) fn read(
        logs: &dyn Logs,
        topic: &str,
        wanted: &Wanted<'_>,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Entries, Error> {
        let offsets = wanted.input.to - wanted.input.from;
        if offsets > OFFSETS_MAX {
            let of = &wanted.input.of;
            let what = format!("{offsets} offsets of {of} are more than one replay takes ({OFFSETS_MAX})");
            return Err(Error::usage(what).hint("choose less time with --from and --to"));
        }
        let of = TopicPartition::new(topic, wanted.input.of.partition);
        let (start, end) = logs.bounds(&of)?;
        let near = match wanted.from {
            Some(from) => logs.offset_at(&of, from.plus(-SLACK_MS))?.clamp(start, end),
            None => start,
        };
        let entries = Entries::read_from(
            logs,
            wanted,
            Stretch { of: of.clone(), from: near, to: end },
            interrupt,
            progress,
        )?;
        if near == start || entries.lowest <= wanted.input.from || offsets == 0 {
            return Ok(entries);
        }
        Ok(Entries::read_from(logs, wanted, Stretch { of, from: start, to: end }, interrupt, progress)?)
    }

    fn read_from(
        logs: &dyn Logs,
        wanted: &Wanted<'_>,
        stretch: Stretch,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Entries, LogError> {
        let offsets = usize::try_from(wanted.input.to - wanted.input.from).unwrap_or(0);
        let mut entries = Entries {
            generations: Vec::new(),
            expired: Vec::new(),
            gone: 0,
            damaged: 0,
            input: wanted.input.of.clone(),
            first: wanted.input.from,
            slots: vec![None; offsets],
            again: BTreeMap::new(),
            lowest: i64::MAX,
        };
        find(logs, "ledger", &stretch, progress, |record| {
            if let Some(value) = record.value {
                match ledger::decode(value) {
                    Ok(run) => entries.take(&run, wanted),
                    Err(_) => entries.damaged += 1,
                }
            }
            interrupt.is_asked().then_some(())
        })?;
        Ok(entries)
    }

    fn take(&mut self, run: &LedgerRun, wanted: &Wanted<'_>) {
        let known = self.generations.iter().rposition(|known| *known == run.generation);
        let generation = known.unwrap_or_else(|| {
            self.generations.push(run.generation);
            self.generations.len() - 1
        });
        let decision = |entry: &LedgerEntry| Decision {
            disposition: entry.disposition,
            detail: entry.detail,
            desk: entry.desk,
            queue: entry.queue,
        };
        if let Some(of) = &run.superseding {
            for entry in &run.entries {
                let decided = Decided { decision: decision(entry), generation, brought_back: true };
                let last = self.again.entry(entry.offset).or_insert((of.request, decided));
                // The first of the request with the highest place is in effect.
                if of.request > last.0 {
                    *last = (of.request, decided);
                }
            }
            return;
        }
        // What is gone has no time of its own any more: the shard's is the highest time of a record so far.
        let in_time =
            wanted.from.is_none_or(|from| run.now >= from) && wanted.to.is_none_or(|to| run.now < to);
        if let Some((first, last)) = run.expired.filter(|_| in_time) {
            self.expired.push((generation, u64::try_from(last - first + 1).unwrap_or(0)));
        }
        for entry in &run.entries {
            self.lowest = self.lowest.min(entry.offset);
            let slot = usize::try_from(entry.offset - self.first).ok().and_then(|at| self.slots.get_mut(at));
            match slot {
                Some(slot) if slot.is_none() => {
                    let number = u16::try_from(generation).unwrap_or(u16::MAX);
                    *slot = Some((decision(entry), number));
                }
                None if entry.offset < wanted.start && in_time => self.gone += 1,
                _ => {}
            }
        }
    }

    /// The input partition that they speak of.
    pub(super) fn of_input(&self) -> &TopicPartition {
        &self.input
    }

    /// What was decided of an offset.
    pub(super) fn of(&self, offset: i64) -> Option<Decided> {
        if let Some((_, again)) = self.again.get(&offset) {
            return Some(*again);
        }
        let slot = usize::try_from(offset - self.first).ok().and_then(|at| self.slots.get(at)?.as_ref());
        slot.map(|&(decision, generation)| Decided {
            decision,
            generation: usize::from(generation),
            brought_back: false,
        })
    }

    /// The policies that decided anything of the stretch, by their numbers among the generations.
    pub(super) fn shares(&self) -> BTreeMap<usize, Share> {
        let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
        for offset in self.first..self.first + self.slots.len() as i64 {
            let Some(decided) = self.of(offset) else { continue };
            let share = shares.entry(decided.generation).or_default();
            let queued = decided.decision.disposition == Disposition::Queued;
            share.records += 1;
            share.brought_back += u64::from(decided.brought_back && queued);
        }
        for &(generation, offsets) in &self.expired {
            shares.entry(generation).or_default().records += offsets;
        }
        shares
    }

    /// How many offsets of a range have an entry.
    pub(super) fn between(&self, from: i64, to: i64) -> u64 {
        (from..to).filter(|&offset| self.of(offset).is_some()).count() as u64
    }
}
