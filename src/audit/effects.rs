//! The passes over ledgers, desk logs and dead letters: what was decided, and what was done about it.
//!
//! Owns the judgement of effects against the first entry of their offset (I2) and of their order (I6). May not read
//! mentions. Called by `audit` before the input is read.

use super::Audit;
use super::again::HandedAgain;
use super::reading::{Generations, each};
use super::report::{FindingKind, Report};
use super::slots::{DEAD, HANDED, Partition};
use crate::log::{LogError, TopicPartition};
use crate::wire::{desk_log, ledger};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use triage_engine::desk::{Event, QueuedMention};
use triage_engine::model::Disposition;

/// For each author of each source partition, the highest offset that was handed over.
type Newest = HashMap<(u64, u32), i64>;

/// A digest of facts: 32 bits tell two that should be one apart, and nobody chooses them to collide.
pub(super) fn digest(facts: impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    facts.hash(&mut hasher);
    (hasher.finish() as u32).max(1)
}

impl Audit<'_> {
    /// Reads every ledger into the slots.
    pub(super) fn read_ledgers(&mut self) -> Result<(), LogError> {
        let Audit { logs, plan, progress, extent, partitions, report, .. } = self;
        for (stretch, part) in extent.ledgers.iter().zip(partitions.iter_mut()) {
            let mut first = None;
            each(*logs, "ledger", stretch, *progress, |record| match record.value.map(ledger::decode) {
                Some(Ok(run)) => {
                    let of_first = run.entries.first().filter(|_| run.superseding.is_none());
                    let from = of_first.map(|entry| entry.offset);
                    first = first.or(run.expired.map(|(from, _)| from).or(from));
                    for (kind, offset, what) in part.take(record.offset, &run, extent.control) {
                        report.find(kind, &part.input, offset, what);
                    }
                }
                _ if !plan.asks_for(record.timestamp) => {}
                Some(Err(error)) => {
                    let what = format!("what it decided cannot be obeyed or checked: {error}");
                    report.find(FindingKind::Unreadable, &stretch.of, record.offset, what);
                }
                None => {
                    let what = "it has no value; is the ledger compacted?".to_owned();
                    report.find(FindingKind::Unreadable, &stretch.of, record.offset, what);
                }
            })?;
            if stretch.from > 0 {
                // Retention may have taken the entries of everything before the first that is left.
                part.ledgered_from = first.unwrap_or(part.to).max(part.from);
                part.whole = false;
                let (of, from, first) = (&stretch.of, stretch.from, part.ledgered_from);
                report.note(format!("{of} starts at {from}: offsets below {first} were not audited"));
            }
        }
        Ok(())
    }

    /// Marks what the desk logs hold, and judges it.
    pub(super) fn read_desk_logs(&mut self) -> Result<(), LogError> {
        let Audit { logs, plan, progress, extent, partitions, report, generations, .. } = self;
        for stretch in &extent.desks {
            let mut newest = Newest::new();
            each(*logs, "desk log", stretch, *progress, |record| {
                let entry = match desk_log::decode(record.offset, record.timestamp, record.value) {
                    Ok(entry) => entry,
                    Err(fault) => {
                        if plan.asks_for(record.timestamp) {
                            let what = fault.to_string();
                            report.find(FindingKind::Unreadable, &stretch.of, record.offset, what);
                        }
                        return;
                    }
                };
                let (Some(mark), Event::Mention(mention)) = (&entry.source, &entry.event) else { return };
                let position = mark.source.position;
                if position.stream == extent.control {
                    let Some(part) = partitions.get_mut(position.partition as usize) else { return };
                    let to = HandedAgain { at: (&stretch.of, record.offset), mark, mention };
                    if let Some((kind, offset, what)) = to.judge(part, generations) {
                        report.find(kind, &part.input, offset, what);
                    }
                    return;
                }
                if position.stream != extent.stream {
                    return;
                }
                let Some(part) = partitions.get_mut(position.partition as usize) else { return };
                let to = HandOver { at: (&stretch.of, record.offset), offset: position.offset, mention };
                to.judge(part, generations, report, &mut newest);
            })?;
        }
        Ok(())
    }

    /// Marks what the dead letters hold, and judges it.
    pub(super) fn read_dead_letters(&mut self) -> Result<(), LogError> {
        let Audit { logs, progress, extent, partitions, report, plan, .. } = self;
        for stretch in &extent.dead_letter {
            each(*logs, "dead letters", stretch, *progress, |record| {
                let Some((partition, offset)) = position_in(record.key, &plan.input) else { return };
                let Some(part) = partitions.get_mut(partition as usize) else { return };
                let entry = part.entry(offset).map(|(entry, _)| entry.disposition);
                let is_dead = {
                    let again = part.brought.of(offset).map(|(_, again)| again.entry.disposition);
                    entry.into_iter().chain(again).any(|was| was == Disposition::DeadLetter)
                };
                let input = part.input.clone();
                let trimmed = offset < part.ledgered_from;
                let Some(slot) = part.slot_mut(offset) else { return };
                if slot.has(DEAD) {
                    part.counts.repeats += 1;
                    return;
                }
                slot.set(DEAD);
                if !is_dead && !trimmed {
                    let entry = entry.map_or("nothing", Disposition::name);
                    let what = format!(
                        "{}/{} calls it a dead letter, the ledger says {entry}",
                        stretch.of, record.offset
                    );
                    report.find(FindingKind::Disagrees, &input, offset, what);
                }
            })?;
        }
        Ok(())
    }
}

/// The position in a dead letter's key, if it is one of the input's.
fn position_in(key: Option<&[u8]>, input: &str) -> Option<(u32, i64)> {
    let text = std::str::from_utf8(key?).ok()?;
    let (partition, offset) = text.strip_prefix(input)?.strip_prefix('/')?.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// One mention in a desk log.
struct HandOver<'a, 'm> {
    /// Where in the desk log it lies.
    at: (&'a TopicPartition, i64),
    /// Where on the input it stands.
    offset: i64,
    mention: &'a QueuedMention<'m>,
}

impl HandOver<'_, '_> {
    fn judge(
        &self,
        part: &mut Partition,
        generations: &Generations,
        report: &mut Report,
        newest: &mut Newest,
    ) {
        let (log, at) = self.at;
        let mention = self.mention;
        let input = part.input.clone();
        let to = digest((mention.desk, mention.queue, log.partition));
        let Some(slot) = part.slot_mut(self.offset) else { return };
        let first = !slot.has(HANDED);
        if !first && slot.handed == to {
            part.counts.repeats += 1;
            return;
        }
        if !first {
            let what = format!(
                "it was handed to a desk before, and {log}/{at} hands it to desk `{}`, queue `{}` as well",
                mention.desk, mention.queue
            );
            return report.find(FindingKind::Doubled, &input, self.offset, what);
        }
        slot.set(HANDED);
        slot.handed = to;
        if let Some((kind, what)) = self.fault(part, generations) {
            report.find(kind, &input, self.offset, what);
        }
        let before = newest.entry((mention.author.0 as u64, part.input.partition)).or_insert(-1);
        if self.offset < *before {
            let what = format!("{log}/{at} brings it after {before}, which its author posted later");
            report.find(FindingKind::Reordered, &input, self.offset, what);
        }
        *before = self.offset.max(*before);
    }

    /// What is wrong with this record by the first entry of its offset.
    fn fault(&self, part: &mut Partition, generations: &Generations) -> Option<(FindingKind, String)> {
        let (log, at) = self.at;
        let mention = self.mention;
        let Some((entry, run)) = part.entry(self.offset) else {
            if self.offset < part.ledgered_from {
                part.counts.unverified += 1;
                return None;
            }
            return Some((
                FindingKind::Disagrees,
                format!("{log}/{at} hands it to a desk, the ledger knows nothing of it"),
            ));
        };
        if entry.disposition != Disposition::Queued {
            let name = entry.disposition.name();
            let what =
                format!("the ledger calls it {name}, and {log}/{at} hands it to desk `{}`", mention.desk);
            return Some((FindingKind::Doubled, what));
        }
        let generation = run.generation;
        let Some(policy) = generations.get(&generation) else {
            part.counts.unverified += 1;
            return None;
        };
        let policy = policy.policy();
        let desk = policy.desks().get(usize::from(entry.desk));
        let queue = policy.queues().get(usize::from(entry.queue));
        let (Some(desk), Some(queue)) = (desk, queue) else {
            return Some((
                FindingKind::Disagrees,
                "the ledger names a desk that its policy does not have".to_owned(),
            ));
        };
        let right = (desk.name.as_str(), queue.name.as_str(), generation, desk.log_partition);
        if right == (mention.desk, mention.queue, mention.generation, log.partition) {
            return None;
        }
        let what = format!(
            "the ledger says desk `{}`, queue `{}` in desk log {} under {generation}; {log}/{at} says desk `{}`, \
             queue `{}` under {}",
            desk.name, queue.name, desk.log_partition, mention.desk, mention.queue, mention.generation
        );
        Some((FindingKind::Disagrees, what))
    }
}
