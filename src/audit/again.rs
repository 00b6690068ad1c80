//! Mentions that were brought back: which superseding entry is in effect, and whether the desk logs agree with it.
//!
//! Owns the index of superseding entries of one input partition, and their judgement. What a request superseded must have
//! been kept from desks before, and each offset may be brought back once, under the one name that its request gives it.
//! May not read logs. Filled by the passes over ledgers and desk logs, judged with the input.

use super::reading::Generations;
use super::report::FindingKind;
use super::slots::Partition;
use crate::log::TopicPartition;
use crate::wire::ledger::{LedgerEntry, LedgerRun, Superseding};
use std::collections::{BTreeMap, BTreeSet};
use triage_engine::desk::{QueuedMention, SourceMark};
use triage_engine::model::Disposition;

/// One superseding entry: the first of its offset and request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    pub(super) entry: LedgerEntry,
    /// Which of the partition's runs it came in.
    pub(super) run: u32,
    /// A digest of where the desk log's first record of it goes, 0 before.
    handed: u32,
}

/// The superseding entries of one input partition, by offset and request.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) entries: BTreeMap<(i64, i64), Again>,
    /// The end of each request, as its first record says.
    ends: BTreeMap<i64, i64>,
    /// Keys that dead letters got when they were decided anew.
    pub(super) keys: BTreeSet<u128>,
}

/// What is wrong with an offset, in a sentence.
pub(super) type Fault = (FindingKind, i64, String);

impl Brought {
    /// Takes a superseding record in; `was` tells the first decision of an offset.
    pub(super) fn take(
        &mut self,
        of: &Superseding,
        run: (u32, &LedgerRun),
        was: impl Fn(i64) -> Option<Disposition>,
    ) -> Vec<Fault> {
        let end = *self.ends.entry(of.request).or_insert(of.below);
        let mut faults = Vec::new();
        for entry in &run.1.entries {
            let offset = entry.offset;
            if offset >= end || self.entries.contains_key(&(offset, of.request)) {
                continue;
            }
            let earlier = self.before(offset, of.request).map(|again| again.entry.disposition);
            let kept_away = [Disposition::Noise, Disposition::Blocked, Disposition::DeadLetter];
            if let Some(was) = earlier.or_else(|| was(offset)).filter(|was| !kept_away.contains(was)) {
                let what = format!(
                    "request {} brings it back as {}, and the ledger called it {} before",
                    of.request,
                    entry.disposition.name(),
                    was.name()
                );
                faults.push((FindingKind::Doubled, offset, what));
            }
            self.keys.extend(entry.key.map(|key| key.0));
            self.entries.insert((offset, of.request), Again { entry: *entry, run: run.0, handed: 0 });
        }
        faults
    }

    fn before(&self, offset: i64, request: i64) -> Option<&Again> {
        self.entries.range((offset, 0)..(offset, request)).next_back().map(|(_, again)| again)
    }

    /// Every superseding entry of an offset, by request; the last one is in effect.
    pub(super) fn of(&self, offset: i64) -> impl DoubleEndedIterator<Item = (i64, &Again)> {
        self.entries.range((offset, 0)..=(offset, i64::MAX)).map(|(&(_, request), again)| (request, again))
    }
}

impl Again {
    /// Whether a desk log has it.
    pub(super) fn is_handed(&self) -> bool {
        self.handed != 0
    }
}

/// A mention in a desk log that a request brought back.
pub(super) struct HandedAgain<'a, 'm> {
    /// Where in the desk log it lies.
    pub(super) at: (&'a TopicPartition, i64),
    pub(super) mark: &'a SourceMark,
    pub(super) mention: &'a QueuedMention<'m>,
}

impl HandedAgain<'_, '_> {
    /// Judges the record against the entry that its request wrote.
    pub(super) fn judge(&self, part: &mut Partition, generations: &Generations) -> Option<Fault> {
        let ((log, at), mention) = (self.at, self.mention);
        let (offset, request) = (mention.input.offset, self.mark.source.position.offset);
        part.slot(offset)?;
        let fault = |kind, what| Some((kind, offset, what));
        if self.mark.source.ordinal != offset as u64 {
            let name = self.mark.source.ordinal;
            let what = format!("{log}/{at} brings it back under the name {name} of request {request}");
            return fault(FindingKind::Doubled, what);
        }
        let Some(&again) = part.brought.entries.get(&(offset, request)) else {
            if offset < part.ledgered_from {
                part.counts.unverified += 1;
                return None;
            }
            let what =
                format!("{log}/{at} brings it back for request {request}, the ledger knows nothing of it");
            return fault(FindingKind::Disagrees, what);
        };
        let to = super::effects::digest((mention.desk, mention.queue, log.partition));
        if again.handed == to {
            part.counts.repeats += 1;
            return None;
        }
        let known = part.brought.entries.get_mut(&(offset, request)).expect("invariant: found a moment ago");
        known.handed = to;
        if again.is_handed() || again.entry.disposition != Disposition::Queued {
            let name = again.entry.disposition.name();
            let what = format!(
                "request {request} made it {name}, and {log}/{at} hands it to desk `{}`{}",
                mention.desk,
                if again.is_handed() { " as well" } else { "" }
            );
            return fault(FindingKind::Doubled, what);
        }
        let generation = part.runs[again.run as usize].generation;
        let Some(policy) = generations.get(&generation) else {
            part.counts.unverified += 1;
            return None;
        };
        let policy = policy.policy();
        let desk = policy.desks().get(usize::from(again.entry.desk));
        let queue = policy.queues().get(usize::from(again.entry.queue));
        let right = desk.zip(queue).is_some_and(|(desk, queue)| {
            (desk.name.as_str(), queue.name.as_str(), generation, desk.log_partition)
                == (mention.desk, mention.queue, mention.generation, log.partition)
        });
        if right {
            return None;
        }
        let what = format!(
            "{log}/{at} brings it back to desk `{}`, queue `{}` under {}: the ledger's entry for request {request} \
             says otherwise",
            mention.desk, mention.queue, mention.generation
        );
        fault(FindingKind::Disagrees, what)
    }
}
