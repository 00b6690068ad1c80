//! The verdict: reads input, ledger, outputs and dead letters after a run, and holds each record against what should
//! have become of it.
//!
//! Owns the judging, by record number, in a few bytes a record. May use nothing of the daemon but the client to read
//! with: formats are read as docs/formats.md and docs/schemas say. Called by `run` and by the verb `judge`.

use crate::cast::Cast;
use crate::expect::Expect;
use crate::ledger::{self, DETAIL_NONE};
use crate::mention::{find, marker, position};
use crate::reading::{Stretch, each};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use triaged::error::Error;
use triaged::log::{Logs, Record, TopicPartition};

/// Findings that are told in full; the rest is counted.
const EXAMPLES_MAX: usize = 20;
/// Numbers of dispositions, as docs/formats.md gives them.
const DISPOSITIONS: [&str; 8] =
    ["", "queued", "joined", "noise", "blocked", "duplicate", "dead_letter", "expired"];
const REASONS: [&str; 10] = [
    "",
    "empty",
    "too_large",
    "invalid_utf8",
    "not_json",
    "not_an_object",
    "too_deep",
    "missing_field",
    "invalid_field",
    "crashed",
];

/// Where the records of a run stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The input topic.
    pub input: String,
    /// Its ledger.
    pub ledger: String,
    /// Dead letters.
    pub dead_letter: String,
    /// The desks' topics, by desk.
    pub assignments: BTreeMap<String, String>,
    /// For each topic, where each partition ended when the run began.
    pub from: BTreeMap<String, Vec<i64>>,
}

impl Places {
    /// The partitions of a topic, from where the run began.
    pub fn starts(&self, topic: &str) -> Vec<(TopicPartition, i64)> {
        let from = self.from.get(topic).map_or(&[][..], Vec::as_slice);
        (0..).zip(from).map(|(partition, &from)| (TopicPartition::new(topic, partition), from)).collect()
    }

    fn stretches(&self, logs: &dyn Logs, topic: &str) -> Result<Vec<Stretch>, Error> {
        let starts = self.starts(topic).into_iter();
        starts.map(|(of, from)| Ok(Stretch { to: logs.bounds(&of)?.1, of, from })).collect()
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Records that were to be judged.
    pub records: u64,
    /// By disposition: how many were expected, and how many of those were right.
    pub dispositions: BTreeMap<&'static str, Tally>,
    /// Without an outcome.
    pub lost: u64,
    /// With an outcome twice.
    pub doubled: u64,
    /// At a wrong desk or queue.
    pub misrouted: u64,
    /// With a wrong disposition, rule or reason: dropped though a desk should have it, kept though it is noise, …
    pub misjudged: u64,
    /// Decided again after a crash, and rightly not acted on again.
    pub decided_again: u64,
    /// Records on the input that are of no run of ours; not judged.
    pub foreign: u64,
    /// The first of each kind, in sentences.
    pub examples: Vec<String>,
}

/// Of one disposition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Should have had it.
    pub expected: u64,
    /// Had it, and everything that belongs to it, once.
    pub right: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Lost,
    Doubled,
    Misrouted,
    Misjudged,
}

/// What is known of one record: counts up to 3, and whether a fault was told already.
#[derive(Debug, Clone, Copy, Default)]
struct Slot(u16);

const ON_INPUT: u32 = 0;
const DECIDED: u32 = 2;
const CAME_OUT: u32 = 4;
const DEAD: u32 = 6;
/// The ledger's entry is the expected one.
const RIGHT: u16 = 1 << 8;
/// Something about it is wrong.
const FAULTY: u16 = 1 << 9;

impl Slot {
    fn count(&mut self, what: u32) -> u16 {
        let seen = self.of(what);
        if seen < 3 {
            self.0 += 1 << what;
        }
        seen + 1
    }

    fn of(self, what: u32) -> u16 {
        (self.0 >> what) & 3
    }
}

#[derive(Deserialize)]
struct Assignment<'a> {
    #[serde(borrow)]
    mention_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    desk: Cow<'a, str>,
    #[serde(borrow)]
    queue: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DeadLetter<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    partition: u32,
    offset: i64,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

/// Judges a run.
///
/// # Errors
/// When a log cannot be read; 78 when the daemon decided under another policy than the one that is expected.
pub fn judge(
    logs: &dyn Logs,
    cast: &Cast,
    run: &str,
    places: &Places,
    generation: &[u8; 32],
) -> Result<Verdict, Error> {
    let mut judge = Judge {
        cast,
        places,
        marker: marker(run),
        mention: format!("x:{run}."),
        slots: vec![Slot::default(); cast.total() as usize],
        numbers: Vec::new(),
        verdict: Verdict { records: cast.total(), ..Verdict::default() },
    };
    for stretch in places.stretches(logs, &places.input)? {
        judge.numbers.push(Vec::with_capacity((stretch.to - stretch.from).max(0) as usize));
        each(logs, &stretch, |record| judge.on_input(&stretch.of, stretch.from, record))?;
    }
    let mut others = BTreeMap::new();
    for stretch in places.stretches(logs, &places.ledger)? {
        each(logs, &stretch, |record| judge.ledgered(&stretch.of, record, generation, &mut others))?;
    }
    if let Some((other, count)) = others.first_key_value() {
        return Err(Error::configuration(format!(
            "the daemon decided {count} records under another policy, {other}"
        ))
        .hint(
            "`--policy` names the folder that is in force; `triaged ctl policy reload` puts another in force",
        ));
    }
    for (desk, topic) in &places.assignments {
        for stretch in places.stretches(logs, topic)? {
            each(logs, &stretch, |record| judge.came_out(desk, &stretch.of, record))?;
        }
    }
    for stretch in places.stretches(logs, &places.dead_letter)? {
        each(logs, &stretch, |record| judge.died(record))?;
    }
    Ok(judge.close())
}

struct Judge<'a> {
    cast: &'a Cast,
    places: &'a Places,
    marker: Vec<u8>,
    mention: String,
    slots: Vec<Slot>,
    /// For each input partition, by offset: the record's number + 1, or 0 for a record that is not ours.
    numbers: Vec<Vec<u32>>,
    verdict: Verdict,
}

impl Judge<'_> {
    fn find(&mut self, fault: Fault, number: u64, what: &str) {
        let verdict = &mut self.verdict;
        let (count, name) = match fault {
            Fault::Lost => (&mut verdict.lost, "lost"),
            Fault::Doubled => (&mut verdict.doubled, "doubled"),
            Fault::Misrouted => (&mut verdict.misrouted, "misrouted"),
            Fault::Misjudged => (&mut verdict.misjudged, "misjudged"),
        };
        *count += 1;
        if *count as usize <= EXAMPLES_MAX {
            let mention = &self.mention;
            verdict
                .examples
                .push(format!("{name}: record {number} ({mention}{}): {what}", self.cast.part(number).of));
        }
        self.slots[number as usize].0 |= FAULTY;
    }

    fn on_input(&mut self, of: &TopicPartition, from: i64, record: &Record<'_>) {
        let numbers = self.numbers.last_mut().expect("invariant: the partition was just begun");
        numbers.resize((record.offset - from) as usize, 0);
        let found = record.value.and_then(|value| find(&self.marker, value));
        let Some(found) = found.filter(|found| found.number < self.cast.total()) else {
            numbers.push(0);
            self.verdict.foreign += 1;
            return;
        };
        numbers.push(found.number as u32 + 1);
        let part = self.cast.part(found.number);
        if self.slots[found.number as usize].count(ON_INPUT) > 1 {
            self.find(
                Fault::Doubled,
                found.number,
                "it stands on the input twice: the sender's or the broker's fault",
            );
        }
        let told = position(&found.rest[..found.rest.len().min(256)], self.cast.want(&part)).is_some();
        if !told || part.partition != of.partition {
            self.find(Fault::Misjudged, found.number, "it was not sent as this scenario would send it");
        }
    }

    fn number(&self, partition: u32, offset: i64) -> Option<u64> {
        let from = self.places.from.get(&self.places.input)?.get(partition as usize)?;
        let index = usize::try_from(offset - from).ok()?;
        let number = *self.numbers.get(partition as usize)?.get(index)?;
        number.checked_sub(1).map(u64::from)
    }

    fn ledgered(
        &mut self,
        of: &TopicPartition,
        record: &Record<'_>,
        generation: &[u8; 32],
        others: &mut BTreeMap<String, u64>,
    ) {
        let run = match ledger::read(record.value.unwrap_or_default()) {
            Ok(run) => run,
            Err(why) => {
                self.verdict.misjudged += 1;
                self.verdict.examples.push(format!("misjudged: {of}, offset {}: {why}", record.offset));
                return;
            }
        };
        for entry in &run.entries {
            let Some(number) = self.number(of.partition, entry.offset) else { continue };
            if run.generation != *generation {
                let name: String = run.generation.iter().map(|byte| format!("{byte:02x}")).collect();
                *others.entry(format!("sha256:{name}")).or_default() += 1;
                continue;
            }
            if self.slots[number as usize].count(DECIDED) > 1 {
                // The first entry in the log holds; later ones were written by an owner that had lost the partition.
                self.verdict.decided_again += 1;
                continue;
            }
            match self.wrong(number, entry) {
                None => self.slots[number as usize].0 |= RIGHT,
                Some((fault, what)) => self.find(fault, number, &what),
            }
        }
        let Some((first, last)) = run.expired else { return };
        for offset in first..=last {
            if let Some(number) = self.number(of.partition, offset) {
                self.find(Fault::Lost, number, "retention took it before it was read");
            }
        }
    }

    fn wrong(&self, number: u64, entry: &ledger::Entry) -> Option<(Fault, String)> {
        let expect = self.cast.outcome(&self.cast.part(number));
        let names = self.cast.names();
        let name =
            |names: &[String], index: u32| names.get(index as usize).cloned().unwrap_or("none".to_owned());
        let (wanted, _) = names.told(&expect);
        let came = DISPOSITIONS[usize::from(entry.disposition)];
        if came != expect.disposition() {
            let rule = if came == "noise" || came == "blocked" {
                name(&names.rules, entry.detail)
            } else {
                String::new()
            };
            let what = format!("{} is expected, the ledger says {came} {rule}", expect.disposition());
            return Some((Fault::Misjudged, what.trim_end().to_owned()));
        }
        match expect {
            Expect::Queued { desk, queue } if (desk, queue) != (entry.desk, entry.queue) => {
                let desk = name(&names.desks, entry.desk.into());
                let queue = name(&names.queues, entry.queue.into());
                let (wanted_desk, wanted_queue) = names.told(&expect);
                let what =
                    format!("{wanted_queue} at {wanted_desk} is expected, the ledger says {queue} at {desk}");
                Some((Fault::Misrouted, what))
            }
            Expect::Noise(rule) if rule != entry.detail => {
                let came = name(&names.rules, entry.detail);
                Some((Fault::Misjudged, format!("noise by {wanted} is expected, the ledger says by {came}")))
            }
            Expect::Blocked(rule) if rule.unwrap_or(DETAIL_NONE) != entry.detail => Some((
                Fault::Misjudged,
                format!("blocked by {wanted} is expected, the ledger says by another"),
            )),
            Expect::DeadLetter(reason) if u32::from(reason.code()) != entry.detail => {
                let came = REASONS.get(entry.detail as usize).unwrap_or(&"another");
                Some((
                    Fault::Misjudged,
                    format!("a dead letter for {wanted} is expected, the ledger says for {came}"),
                ))
            }
            _ => None,
        }
    }

    fn came_out(&mut self, desk: &str, of: &TopicPartition, record: &Record<'_>) {
        let value = record.value.unwrap_or_default();
        let Ok(told) = serde_json::from_slice::<Assignment<'_>>(value) else {
            // Records of other kinds, such as a case that was closed, speak of no mention.
            return;
        };
        let number =
            told.mention_id.as_deref().and_then(|id| id.strip_prefix(&self.mention)?.parse::<u64>().ok());
        let Some(number) = number.filter(|&number| number < self.cast.total()) else { return };
        let expect = self.cast.outcome(&self.cast.part(number));
        let Expect::Queued { .. } = expect else {
            let what = format!("{} is expected, and it came out on {of}", expect.disposition());
            return self.find(Fault::Misjudged, number, &what);
        };
        if self.slots[number as usize].count(CAME_OUT) > 1 {
            let what = format!("it came out again on {of}, offset {}", record.offset);
            return self.find(Fault::Doubled, number, &what);
        }
        let (wanted_desk, wanted_queue) = self.cast.names().told(&expect);
        // A mention that joins its author's open case stays in that case's queue.
        let queue_right = told.queue == wanted_queue || told.reason == "linked";
        if desk != wanted_desk || told.desk != wanted_desk || !queue_right {
            let what = format!(
                "{wanted_queue} at {wanted_desk} is expected, it came out on {of} for {} at {}",
                told.queue, told.desk
            );
            self.find(Fault::Misrouted, number, &what);
        }
    }

    fn died(&mut self, record: &Record<'_>) {
        let Ok(told) = serde_json::from_slice::<DeadLetter<'_>>(record.value.unwrap_or_default()) else {
            return;
        };
        if told.topic != self.places.input {
            return;
        }
        let Some(number) = self.number(told.partition, told.offset) else { return };
        let expect = self.cast.outcome(&self.cast.part(number));
        match expect {
            Expect::DeadLetter(reason) if reason.name() == told.reason => {
                if self.slots[number as usize].count(DEAD) > 1 {
                    self.find(Fault::Doubled, number, "it has two dead letters");
                }
            }
            _ => {
                let what = format!(
                    "{} is expected, there is a dead letter for {}",
                    expect.disposition(),
                    told.reason
                );
                self.find(Fault::Misjudged, number, &what);
            }
        }
    }

    /// What has no outcome, now that everything was read.
    fn close(mut self) -> Verdict {
        for number in 0..self.cast.total() {
            let expect = self.cast.outcome(&self.cast.part(number));
            let slot = self.slots[number as usize];
            let missing = match expect {
                _ if slot.of(ON_INPUT) == 0 => Some("it never stood on the input"),
                _ if slot.of(DECIDED) == 0 && slot.0 & FAULTY == 0 => Some("nothing was decided about it"),
                Expect::Queued { .. } if slot.0 & RIGHT != 0 && slot.of(CAME_OUT) == 0 => {
                    Some("the ledger says queued, and no desk got it")
                }
                Expect::DeadLetter(_) if slot.0 & RIGHT != 0 && slot.of(DEAD) == 0 => {
                    Some("the ledger calls it a dead letter, and there is none")
                }
                _ => None,
            };
            if let Some(what) = missing {
                self.find(Fault::Lost, number, what);
            }
            let tally = self.verdict.dispositions.entry(expect.disposition()).or_default();
            tally.expected += 1;
            tally.right += u64::from(self.slots[number as usize].0 & FAULTY == 0);
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests;
