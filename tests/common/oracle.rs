//! The verdict of the fault tests, from the topics alone.
//!
//! Owns the rules by which a run was right: every offset decided once and obeyed, every queued mention on its desk log
//! and in its case, nothing twice but identical repeats, offsets committed to the end. Decides everything anew from the
//! bytes of the input with code of its own; of the daemon it uses the readers of its formats and nothing else.

use super::daemon::{DESKS, Fleet, read_all};
use super::mentions::{Fate, policy};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use triage_engine::desk::Event;
use triage_engine::model::{DeadLetterReason, Disposition};
use triage_engine::policy::{Bundle, Generation};
use triaged::log::{Logs, TopicPartition};
use triaged::wire::ledger::{self, LedgerEntry};
use triaged::wire::{dead_letter::DeadLetter, desk_log};

/// The queues of the tests' policy stand in this order, one for each desk.
const QUEUES: [&str; 2] = ["care.general", "tech.tv"];
/// So many findings are told; the rest is counted.
const TOLD: usize = 12;

/// What the oracle found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records on the input.
    pub inputs: u64,
    /// How many of them became what.
    pub dispositions: BTreeMap<&'static str, u64>,
    /// How many were decided under the second policy.
    pub under_second: u64,
    /// Ledger entries for offsets that had one already.
    pub ledger_repeats: u64,
    /// Desk-log records whose source was there already.
    pub desk_repeats: u64,
    /// Assignments whose case and version were there already.
    pub assignment_repeats: u64,
    /// Dead letters whose position was there already.
    pub dead_letter_repeats: u64,
    /// Cases opened.
    pub cases: u64,
    /// Copies that a desk has recognised.
    pub copies: u64,
    findings: Vec<String>,
    wrong: u64,
}

impl Verdict {
    fn wrong(&mut self, finding: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.findings.len() < TOLD {
            self.findings.push(finding());
        }
    }

    /// What was wrong, the first of it.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Fails when anything was wrong; prints the figures.
    pub fn expect_right(&self, name: &str) {
        println!(
            "{name}: {} records {:?}, {} under the second policy; {} cases, {} copies known by the desk; repeats: ledger {}, desk log {}, assignments {}, dead letters {}",
            self.inputs,
            self.dispositions,
            self.under_second,
            self.cases,
            self.copies,
            self.ledger_repeats,
            self.desk_repeats,
            self.assignment_repeats,
            self.dead_letter_repeats,
        );
        assert!(self.wrong == 0, "{name}: {} findings:\n  {}", self.wrong, self.findings.join("\n  "));
    }

    /// Fails when anything went out twice.
    pub fn expect_no_repeats(&self, name: &str) {
        let repeats =
            [self.ledger_repeats, self.desk_repeats, self.assignment_repeats, self.dead_letter_repeats];
        assert_eq!(repeats, [0; 4], "{name}: repeats on ledger, desk log, assignments, dead letters");
    }
}

/// Where a mention lies: partition and offset of the input.
type Place = (u32, i64);

/// One input record as the oracle sees it.
struct Asked {
    fate: Fate,
    id: String,
}

/// One mention as its desk log shows it.
struct Handed {
    source: Place,
    place: (u32, i64),
    author: String,
    mention_id: String,
    desk: String,
}

/// Tells from a record's value what it asks for by itself, and its mention's id.
pub type Ask<'a> = dyn Fn(Option<&[u8]>) -> (Fate, String) + 'a;

/// Judges a fleet that has come to rest.
pub fn judge(fleet: &Fleet, asked: &Ask<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut inputs: Vec<BTreeMap<i64, Asked>> = Vec::new();
    inputs.resize_with(fleet.partitions as usize, BTreeMap::new);
    read_all(&fleet.logs, &fleet.input(), fleet.partitions, |partition, record| {
        let (fate, id) = asked(record.value);
        inputs[partition as usize].insert(record.offset, Asked { fate, id });
    });
    verdict.inputs = inputs.iter().map(|partition| partition.len() as u64).sum();
    let decided = judge_ledger(fleet, &inputs, &mut verdict);
    let handed = judge_desk_log(fleet, &inputs, &decided, &mut verdict);
    judge_assignments(fleet, &handed, &mut verdict);
    judge_dead_letters(fleet, &decided, &mut verdict);
    judge_commits(fleet, &inputs, &mut verdict);
    verdict
}

type Decided = HashMap<Place, (LedgerEntry, Generation)>;

fn judge_ledger(fleet: &Fleet, inputs: &[BTreeMap<i64, Asked>], verdict: &mut Verdict) -> Decided {
    let generation =
        |second| Bundle { files: BTreeMap::from([("all.toml".to_owned(), policy(second))]) }.generation();
    let (first_policy, second_policy) = (generation(false), generation(true));
    let mut decided: Decided = HashMap::new();
    read_all(&fleet.logs, &fleet.ledger(), fleet.partitions, |partition, record| {
        let run = match record.value.map(ledger::decode) {
            Some(Ok(run)) => run,
            other => {
                return verdict.wrong(|| format!("ledger {partition}/{}: {other:?}", record.offset));
            }
        };
        if run.expired.is_some() {
            verdict.wrong(|| format!("ledger {partition}/{}: says that records expired", record.offset));
        }
        for entry in run.entries {
            // The first entry in the log wins.
            let place = (partition, entry.offset);
            match decided.entry(place) {
                Entry::Occupied(_) => verdict.ledger_repeats += 1,
                Entry::Vacant(vacant) => _ = vacant.insert((entry, run.generation)),
            }
        }
    });
    for (partition, records) in inputs.iter().enumerate() {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut switched = false;
        for (&offset, asked) in records {
            let place = (partition as u32, offset);
            let Some((entry, generation)) = decided.get(&place) else {
                verdict.wrong(|| format!("{place:?} ({}) has no ledger entry", asked.id));
                continue;
            };
            let second = *generation == second_policy;
            if !second && (*generation != first_policy || switched) {
                verdict.wrong(|| format!("{place:?} was decided under {generation}, out of turn"));
            }
            switched |= second;
            verdict.under_second += u64::from(second);
            *verdict.dispositions.entry(entry.disposition.name()).or_default() += 1;
            let crashed = u32::from(DeadLetterReason::Crashed.code());
            let right = expected(asked, second, &mut seen, entry);
            if !right {
                verdict.wrong(|| {
                    let crash = if entry.detail == crashed { " (crashed?)" } else { "" };
                    format!("{place:?} ({}) asked for {:?} and became {entry:?}{crash}", asked.id, asked.fate)
                });
            }
        }
    }
    for place in decided.keys() {
        if !inputs.get(place.0 as usize).is_some_and(|records| records.contains_key(&place.1)) {
            verdict.wrong(|| format!("{place:?} has a ledger entry and no record"));
        }
    }
    decided
}

/// Whether an entry says what the bytes ask for, in the order of its partition.
fn expected<'a>(asked: &'a Asked, second: bool, seen: &mut HashSet<&'a str>, entry: &LedgerEntry) -> bool {
    if let Fate::Dead(reason) = asked.fate {
        return entry.disposition == Disposition::DeadLetter && entry.detail == u32::from(reason.code());
    }
    if !seen.insert(&asked.id) {
        return entry.disposition == Disposition::Duplicate;
    }
    match (asked.fate, second) {
        (Fate::Noise, _) | (Fate::NoiseLater, true) => entry.disposition == Disposition::Noise,
        (Fate::Blocked | Fate::Own, _) => entry.disposition == Disposition::Blocked,
        (Fate::Tech, _) => entry.disposition == Disposition::Queued && (entry.desk, entry.queue) == (1, 1),
        _ => entry.disposition == Disposition::Queued && (entry.desk, entry.queue) == (0, 0),
    }
}

fn judge_desk_log(
    fleet: &Fleet,
    inputs: &[BTreeMap<i64, Asked>],
    decided: &Decided,
    verdict: &mut Verdict,
) -> Vec<Handed> {
    let names = [fleet.input()];
    let stream = fleet.logs.describe(&[names[0].as_str()]).expect("the broker knows its topics")[0]
        .as_ref()
        .expect("the input is there")
        .id;
    let mut handed: Vec<Handed> = Vec::new();
    let mut known: HashMap<Place, u64> = HashMap::new();
    // Per key and desk, output order is input order.
    let mut newest: HashMap<(u32, String, String), i64> = HashMap::new();
    read_all(&fleet.logs, &fleet.desks(), 2, |partition, record| {
        let at = record.offset;
        let entry = match desk_log::decode(record.offset, record.timestamp, record.value) {
            Ok(entry) => entry,
            Err(error) => return verdict.wrong(|| format!("desk log {partition}/{at}: {error}")),
        };
        let (Event::Mention(mention), Some(mark)) = (&entry.event, entry.source) else { return };
        let position = mark.source.position;
        let place = (position.partition, position.offset);
        let said = (&mention.raw, mention.desk, mention.queue, mention.generation.0, mention.key.0);
        if let Some(before) = known.insert(place, hash(&said)) {
            verdict.desk_repeats += 1;
            if before != hash(&said) {
                verdict.wrong(|| format!("desk log {partition}/{at} repeats {place:?} in other words"));
            }
            return;
        }
        let right = decided.get(&place).is_some_and(|(entry, generation)| {
            let desk = usize::from(entry.desk);
            position.stream == stream
                && mark.source.ordinal == 0
                && mention.input == position
                && entry.disposition == Disposition::Queued
                && DESKS.get(desk) == Some(&mention.desk)
                && QUEUES.get(desk) == Some(&mention.queue)
                && desk as u32 == partition
                && *generation == mention.generation
                && entry.key == Some(mention.key)
        });
        let asked = inputs.get(place.0 as usize).and_then(|records| records.get(&place.1));
        if !right || asked.is_none_or(|asked| asked.id != mention.mention_id) {
            verdict.wrong(|| {
                format!(
                    "desk log {partition}/{at} ({}) is not what was decided of {place:?}",
                    mention.mention_id
                )
            });
        }
        let key = (place.0, mention.author_id.to_owned(), mention.desk.to_owned());
        if newest.insert(key, place.1).is_some_and(|before| before > place.1) {
            verdict.wrong(|| format!("desk log {partition}/{at}: {place:?} comes after its successor"));
        }
        handed.push(Handed {
            source: place,
            place: (partition, at),
            author: mention.author_id.to_owned(),
            mention_id: mention.mention_id.to_owned(),
            desk: mention.desk.to_owned(),
        });
    });
    for (place, (entry, _)) in decided {
        if entry.disposition == Disposition::Queued && !known.contains_key(place) {
            verdict.wrong(|| format!("{place:?} was queued and is on no desk log"));
        }
    }
    handed.sort_by_key(|mention| mention.place);
    handed
}

/// Which mention each case and version must speak of: an author's first mention on a desk opens a case, the others
/// join it, copies change nothing. No case of these tests closes.
fn cases(handed: &[Handed], verdict: &mut Verdict) -> HashMap<(String, u64), (String, String)> {
    let mut open: HashMap<(&str, &str), (String, HashSet<&str>)> = HashMap::new();
    let mut expected = HashMap::new();
    for mention in handed {
        let (case, ids) = open.entry((&mention.desk, &mention.author)).or_insert_with(|| {
            verdict.cases += 1;
            (format!("c{}-{}", mention.place.0, mention.place.1), HashSet::new())
        });
        if ids.insert(&mention.mention_id) {
            let version = ids.len() as u64;
            expected.insert((case.clone(), version), (mention.desk.clone(), mention.mention_id.clone()));
        } else {
            verdict.copies += 1;
        }
    }
    expected
}

fn judge_assignments(fleet: &Fleet, handed: &[Handed], verdict: &mut Verdict) {
    let mut expected = cases(handed, verdict);
    for desk in DESKS {
        let mut out: HashMap<(String, u64), u64> = HashMap::new();
        let mut newest: HashMap<String, u64> = HashMap::new();
        let mut case_of: HashMap<String, String> = HashMap::new();
        read_all(&fleet.logs, &fleet.assignments(desk), 3, |partition, record| {
            let at = format!("assignments.{desk} {partition}/{}", record.offset);
            let text = String::from_utf8_lossy(record.value.unwrap_or_default());
            let (Some(case), Some(version)) = (field(&text, "case_id"), field(&text, "case_version")) else {
                return verdict.wrong(|| format!("{at} names no case: {text}"));
            };
            let (case, version) = (case.to_owned(), version.parse::<u64>().unwrap_or(0));
            // Reading all of them as JSON takes longer than the rest of the verdict.
            if record.offset % 64 == 0 && serde_json::from_str::<&serde_json::value::RawValue>(&text).is_err()
            {
                verdict.wrong(|| format!("{at} is not JSON: {text}"));
            }
            if record.key != Some(case.as_bytes()) {
                verdict.wrong(|| format!("{at} has another key than its case {case}"));
            }
            let said = hash(&record.value);
            if let Some(before) = out.insert((case.clone(), version), said) {
                verdict.assignment_repeats += 1;
                if before != said {
                    verdict.wrong(|| format!("{at} repeats {case} version {version} in other words: {text}"));
                }
                return;
            }
            if newest.insert(case.clone(), version).is_some_and(|before| before > version) {
                verdict.wrong(|| format!("{at}: {case} version {version} comes after a higher one"));
            }
            let id = field(&text, "mention_id").unwrap_or_default().to_owned();
            let right = expected.remove(&(case.clone(), version)) == Some((desk.to_owned(), id.clone()));
            if !right {
                verdict.wrong(|| {
                    format!("{at}: {case} version {version} does not follow from the desk log: {text}")
                });
            }
            if let Some(other) = case_of.insert(id.clone(), case.clone()) {
                verdict.wrong(|| format!("{at}: {id} has two open cases on {desk}: {other} and {case}"));
            }
        });
    }
    let missing: BTreeSet<_> = expected.into_iter().collect();
    for ((case, version), (desk, id)) in missing {
        verdict.wrong(|| format!("{case} version {version} ({id}) never reached assignments.{desk}"));
    }
}

fn judge_dead_letters(fleet: &Fleet, decided: &Decided, verdict: &mut Verdict) {
    let mut known: HashSet<Place> = HashSet::new();
    read_all(&fleet.logs, &fleet.dead_letter(), 2, |partition, record| {
        let letter: DeadLetter = match serde_json::from_slice(record.value.unwrap_or_default()) {
            Ok(letter) => letter,
            Err(error) => {
                return verdict.wrong(|| format!("dead letter {partition}/{}: {error}", record.offset));
            }
        };
        let place = (letter.partition, letter.offset);
        let right = decided.get(&place).is_some_and(|(entry, _)| {
            let reason = u8::try_from(entry.detail).ok().and_then(DeadLetterReason::from_code);
            entry.disposition == Disposition::DeadLetter
                && reason.is_some_and(|reason| reason.name() == letter.reason)
                && letter.topic == fleet.input()
        });
        if !right {
            verdict.wrong(|| format!("{letter:?} is not what was decided"));
        }
        if !known.insert(place) {
            verdict.dead_letter_repeats += 1;
        }
    });
    for (place, (entry, _)) in decided {
        if entry.disposition == Disposition::DeadLetter && !known.contains(place) {
            verdict.wrong(|| format!("{place:?} is a dead letter that was never sent"));
        }
    }
}

fn judge_commits(fleet: &Fleet, inputs: &[BTreeMap<i64, Asked>], verdict: &mut Verdict) {
    let committed = fleet.committed("triage", &fleet.input(), fleet.partitions).expect("the group is known");
    for (partition, records) in inputs.iter().enumerate() {
        let needed = records.last_key_value().map_or(0, |(offset, _)| offset + 1);
        let place = TopicPartition::new(&fleet.input(), partition as u32);
        let (_, end) = fleet.logs.bounds(&place).expect("the partition is there");
        if !(needed..=end).contains(&committed[partition]) {
            let found = committed[partition];
            verdict.wrong(|| format!("{place}: committed {found}, last record {needed} - 1, end {end}"));
        }
    }
}

/// A field near the start of a record, as text without quotes; the records' own envelope comes before all else.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let from = text.find(&format!("\"{name}\":"))? + name.len() + 3;
    let rest = text[from..].trim_start_matches('"');
    rest.split(['"', ',', '}']).next()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
