//! The pass over the input: every record below C is decided and done, and a sample is decided again.
//!
//! Owns I1, the first half of I4, and the comparison of decisions. The dedup window is not replayed: a copy is right
//! when the ledger has the first of its key inside the window, which needs no table. Called by `audit` after effects.

use super::Audit;
use super::again::Again;
use super::desk::Start;
use super::reading::{Generations, each};
use super::report::{FindingKind, Report};
use super::slots::{DEAD, HANDED, Partition, Run};
use crate::log::{LogError, Record, Records};
use crate::policies::Compiled;
use crate::shard::survey::rule_index;
use crate::wire::ledger::LedgerEntry;
use crate::worker::{Done, Job, JobTicket, Lift, Scanning};
use std::sync::Arc;
use triage_engine::SEMANTICS;
use triage_engine::model::{DeadLetterReason, Disposition, StreamId};
use triage_engine::plans::PlanState;
use triage_engine::policy::{Generation, Policy};
use triage_engine::triage::{DETAIL_NONE, DETAIL_NOT_A_MENTION, Verdict, Wish};

/// Records of the sample that are scanned together.
const BATCH: usize = 256;

/// The window may forget early by a hundredth, and run times are coarser than record times.
const WINDOW_SLACK: i64 = 50;

impl Audit<'_> {
    /// Reads the input and judges each record; then the copies.
    pub(super) fn read_input(&mut self) -> Result<(), LogError> {
        let Audit { logs, progress, plan, plans, extent, partitions, report, generations, trimmed, .. } =
            self;
        let mut scanning = Scanning::new(&plan.scan);
        for (number, part) in partitions.iter_mut().enumerate() {
            let dead_letters = &extent.dead_letter[number % extent.dead_letter.len().max(1)];
            let mut pass = Pass {
                dead_letters_trimmed: dead_letters.from > 0,
                first_gap: None,
                sample: Records::new(part.input.clone()),
                sample_of: None,
                plans,
                control: extent.control,
                noted: extent.noted[number],
                sample_every: plan.sample_every,
                stream: extent.stream,
                part,
                report,
                generations,
                trimmed,
                scanning: &mut scanning,
            };
            each(*logs, "input", &extent.input[number], *progress, |record| pass.take(record))?;
            pass.decide_again();
            pass.check_copies();
            let first_gap = pass.first_gap;
            let end = logs.bounds(&part.input)?.1;
            let Some(committed) = part.committed else { continue };
            let group = &plan.triage_group;
            if committed > end {
                let what = format!("group {group} has committed {committed}, and the log ends at {end}");
                report.find(FindingKind::CommitPastGap, &part.input, committed, what);
            }
            if let Some(gap) = first_gap {
                let what = format!("group {group} has committed {committed}, and this record is not done");
                report.find(FindingKind::CommitPastGap, &part.input, gap, what);
            }
        }
        Ok(())
    }

    /// Adds up what became of each partition, and lets the slots go.
    pub(super) fn close_partitions(&mut self) {
        for mut part in std::mem::take(&mut self.partitions) {
            let from = if self.plan.from.is_some() { part.from } else { 0 };
            let spans = part.expired.iter().map(|&(first, last)| (last + 1).min(part.to) - first.max(from));
            let expired: u64 = spans.map(|offsets| offsets.max(0) as u64).sum();
            if expired > 0 {
                part.counts.dispositions.insert(Disposition::Expired.name(), expired);
            }
            part.counts.gone += part.entries_without_record();
            self.report.partitions.push(part.counts);
        }
    }
}

/// Under what the records of a sample are decided again.
#[derive(Clone)]
struct Sample {
    policy: Arc<Compiled>,
    /// The request that brought them back, if one did, and what it lifts.
    request: Option<i64>,
    lift: Lift,
}

struct Pass<'a> {
    part: &'a mut Partition,
    report: &'a mut Report,
    generations: &'a Generations,
    trimmed: &'a [Start],
    dead_letters_trimmed: bool,
    scanning: &'a mut Scanning,
    stream: StreamId,
    sample_every: u64,
    sample: Records,
    sample_of: Option<Sample>,
    plans: &'a PlanState,
    control: StreamId,
    /// Up to where the ledger is done, by the commit.
    noted: i64,
    first_gap: Option<i64>,
}

impl Pass<'_> {
    fn take(&mut self, record: &Record<'_>) {
        let offset = record.offset;
        let settled = offset < self.part.settled_to();
        self.part.stands(offset, record.timestamp);
        let Some(slot) = self.part.slot(offset) else { return };
        let (handed, dead) = (slot.has(HANDED), slot.has(DEAD));
        self.part.counts.records += 1;
        self.part.counts.in_flight += u64::from(!settled);
        let Some((entry, run)) = self.part.entry(offset) else {
            if settled && offset < self.part.ledgered_from {
                self.part.counts.unverified += 1;
            } else if settled && !self.part.is_expired(offset) {
                self.gap(
                    FindingKind::Lost,
                    offset,
                    "it is committed, and the ledger knows nothing of it".to_owned(),
                );
            }
            return;
        };
        let run = *run;
        let now = self.part.in_effect(offset).unwrap_or(entry.disposition);
        *self.part.counts.dispositions.entry(now.name()).or_default() += 1;
        self.check_brought_back(offset);
        match entry.disposition {
            Disposition::Queued if settled && !handed => {
                self.missing_hand_over(&entry, &run, (self.stream, (offset, 0)));
            }
            Disposition::DeadLetter if settled && !dead && self.dead_letters_trimmed => {
                self.part.counts.unverified += 1;
            }
            Disposition::DeadLetter if settled && !dead => {
                let what = "the ledger calls it a dead letter, and no dead letter speaks of it".to_owned();
                self.gap(FindingKind::Unhanded, offset, what);
            }
            _ => {}
        }
        let chosen = self.sample_every > 0 && (offset as u64).is_multiple_of(self.sample_every);
        let crashed = entry.disposition == Disposition::DeadLetter
            && entry.detail == u32::from(DeadLetterReason::Crashed.code());
        if chosen && !crashed {
            let again = self.part.brought.of(offset).map(|(request, again)| {
                (Some(request), again.entry.disposition, self.part.runs[again.run as usize])
            });
            let all: Vec<_> = [(None, entry.disposition, run)].into_iter().chain(again).collect();
            for (index, (request, disposition, run)) in all.iter().enumerate() {
                // What made it a dead letter was mended before it was asked for again: it is not what it was.
                match *disposition == Disposition::DeadLetter && index + 1 < all.len() {
                    true => self.part.counts.unverified += 1,
                    false => self.sample(record, run, *request),
                }
            }
        }
    }

    /// What a request brought back is on its desk, once a commit says that all up to there is done.
    fn check_brought_back(&mut self, offset: i64) {
        let again: Vec<(i64, Again)> =
            self.part.brought.of(offset).map(|(request, again)| (request, *again)).collect();
        for (request, again) in again {
            if again.entry.disposition != Disposition::Queued {
                continue;
            }
            self.part.counts.brought_back += 1;
            let run = self.part.runs[again.run as usize];
            if !again.is_handed() && run.at < self.noted {
                let source = (self.control, (request, offset as u64));
                self.missing_hand_over(&again.entry, &run, source);
            }
        }
    }

    fn gap(&mut self, kind: FindingKind, offset: i64, what: String) {
        self.first_gap.get_or_insert(offset);
        self.report.find(kind, &self.part.input, offset, what);
    }

    /// The ledger says queued, and no desk log has it: wrong, unless that part of the desk log was trimmed.
    fn missing_hand_over(&mut self, entry: &LedgerEntry, run: &Run, source: (StreamId, (i64, u64))) {
        let policy = self.generations.get(&run.generation).map(|policy| policy.policy());
        let Some(desk) = policy.and_then(|policy| policy.desks().get(usize::from(entry.desk))) else {
            self.part.counts.unverified += 1;
            return self.unknown(&run.generation);
        };
        let input = self.part.input.partition;
        let start = self.trimmed.get(desk.log_partition as usize);
        if start.is_some_and(|start| start.may_hold(source.0, input, source.1)) {
            self.part.counts.unverified += 1;
            return;
        }
        let what = format!(
            "the ledger hands it to desk `{}` (its record {}), and desk log {} does not have it",
            desk.name, run.at, desk.log_partition
        );
        self.gap(FindingKind::Unhanded, entry.offset, what);
    }

    fn unknown(&mut self, generation: &Generation) {
        self.report
            .note(format!("policy {generation} is not to be had: what it decided was not decided again"));
    }

    fn sample(&mut self, record: &Record<'_>, run: &Run, request: Option<i64>) {
        if run.semantics != SEMANTICS {
            self.part.counts.unverified += 1;
            let (theirs, ours) = (run.semantics, SEMANTICS);
            return self.report.note(format!(
                "records decided under semantics {theirs} were not decided again: this release decides under {ours}"
            ));
        }
        let Some(policy) = self.generations.get(&run.generation).cloned() else {
            self.part.counts.unverified += 1;
            return self.unknown(&run.generation);
        };
        let lift = match request.map(|request| self.plans.releases().get(&request)) {
            None => Lift::Nothing,
            // The control topic has forgotten the request, and with it which rule it lifted.
            Some(None) => {
                self.part.counts.unverified += 1;
                return;
            }
            Some(Some(release)) => {
                rule_index(&release.request.what, policy.policy()).map_or(Lift::Nothing, Lift::Rule)
            }
        };
        let other = self.sample_of.as_ref().is_some_and(|known| {
            known.policy.generation() != policy.generation() || known.request != request
        });
        if other || self.sample.len() >= BATCH {
            self.decide_again();
        }
        self.sample_of = Some(Sample { policy, request, lift });
        self.sample.push(record.offset, record.timestamp, record.key, record.value);
    }

    /// Scans the sample gathered so far and compares.
    fn decide_again(&mut self) {
        let empty = Records::new(self.part.input.clone());
        let records = std::mem::replace(&mut self.sample, empty);
        let Some(sample) = self.sample_of.take().filter(|_| !records.is_empty()) else { return };
        let Sample { policy, request, lift } = sample;
        // A job names where its result goes; here it is taken at once.
        let (reply, _answers) = crossbeam::channel::unbounded::<Done>();
        let range = 0..records.len();
        let ticket = JobTicket { incarnation: 0, sequence: 0 };
        let (records, stream) = (Arc::new(records), self.stream);
        let job =
            Job { records, range, policy: policy.clone(), stream, killers: Vec::new(), lift, ticket, reply };
        for found in self.scanning.scan(&job).records {
            let entry = match request {
                None => self.part.entry(found.offset).map(|(entry, _)| entry),
                Some(request) => {
                    self.part.brought.entries.get(&(found.offset, request)).map(|again| again.entry)
                }
            };
            let Some(entry) = entry else { continue };
            self.part.counts.sampled += 1;
            if !agrees(&entry, &found.verdict, request.is_some()) {
                let policy = policy.policy();
                let what = format!(
                    "the ledger says {}, deciding it again under {} says {}",
                    entry_text(&entry, policy),
                    policy.generation(),
                    verdict_text(&found.verdict, policy)
                );
                self.report.find(FindingKind::WrongDecision, &self.part.input, found.offset, what);
            }
        }
    }

    /// A copy has a first before it inside the window; what has one is a copy.
    fn check_copies(&mut self) {
        let limits: Vec<_> = self.generations.iter().map(|known| known.policy().dedup()).collect();
        let Some(longest) = limits.iter().map(|limits| limits.window_ms).max() else { return };
        let shortest = limits.iter().map(|limits| limits.window_ms).min().unwrap_or(longest);
        let shortest = shortest - shortest / WINDOW_SLACK;
        let near = limits.iter().map(|limits| limits.ids_max).min().unwrap_or(0) as i64 / 2;
        let mut first: Option<(LedgerEntry, Run)> = None;
        let mut cold = 0;
        for index in self.part.by_key() {
            let offset = self.part.from + i64::from(index);
            let Some((entry, run)) = self.part.entry(offset).map(|(entry, run)| (entry, *run)) else {
                continue;
            };
            let before = first.take().filter(|(first, _)| first.key == entry.key);
            let is_copy = entry.disposition == Disposition::Duplicate;
            let Some((earlier, its_run)) = before else {
                // A dead letter that was decided anew may be its first.
                let is_first_again = entry.key.is_some_and(|key| self.part.brought.keys.contains(&key.0));
                if is_copy && self.part.whole && !is_first_again {
                    let what = "the ledger calls it a copy, and no earlier record has its id".to_owned();
                    self.report.find(FindingKind::WrongDecision, &self.part.input, offset, what);
                }
                cold += u64::from(is_copy && !self.part.whole);
                first = Some((entry, run));
                continue;
            };
            if is_copy && run.not_before().since(its_run.now) > longest {
                let what = format!(
                    "the ledger calls it a copy of {}, which is longer ago than any window",
                    earlier.offset
                );
                self.report.find(FindingKind::WrongDecision, &self.part.input, offset, what);
            }
            let surely = run.now.since(its_run.not_before()) < shortest && offset - earlier.offset < near;
            if !is_copy && surely {
                let name = entry.disposition.name();
                let what = format!("it is a copy of {}, and the ledger calls it {name}", earlier.offset);
                self.report.find(FindingKind::WrongDecision, &self.part.input, offset, what);
            }
            first = Some(if is_copy { (earlier, its_run) } else { (entry, run) });
        }
        self.part.counts.unverified += cold;
    }
}

/// Whether the ledger's entry is what these facts lead to. Whether a copy is one is judged by `check_copies`. What was
/// brought back has its key in its first entry, if it had one then.
pub(crate) fn agrees(entry: &LedgerEntry, verdict: &Verdict, is_again: bool) -> bool {
    let detail = entry.detail;
    let (key, wish) = match *verdict {
        Verdict::Dead(reason) => {
            return entry.disposition == Disposition::DeadLetter && detail == u32::from(reason.code());
        }
        Verdict::NotAMention => {
            return entry.disposition == Disposition::Noise && detail == DETAIL_NOT_A_MENTION;
        }
        Verdict::Mention { key, wish } => (key, wish),
    };
    let decided = match (entry.disposition, wish) {
        (Disposition::Duplicate, _) => true,
        (Disposition::Queued, Wish::Route { desk, queue }) => (desk, queue) == (entry.desk, entry.queue),
        (Disposition::Noise, Wish::Noise(rule)) | (Disposition::Blocked, Wish::Block(rule)) => rule == detail,
        _ => false,
    };
    decided && (entry.key == Some(key) || is_again)
}

fn rule_text(rule: u32, policy: &Policy) -> String {
    match (rule, policy.rules().get(rule as usize)) {
        (DETAIL_NOT_A_MENTION, _) => " (no mention)".to_owned(),
        (DETAIL_NONE, _) => String::new(),
        (_, Some(rule)) => format!(" by rule `{}`", rule.name),
        (number, None) => format!(" by rule {number}"),
    }
}

fn route_text(desk: u16, queue: u16, policy: &Policy) -> String {
    let desk = policy.desks().get(usize::from(desk)).map_or("?", |desk| &desk.name);
    let queue = policy.queues().get(usize::from(queue)).map_or("?", |queue| &queue.name);
    format!("queued for desk `{desk}`, queue `{queue}`")
}

/// An entry in words.
pub(crate) fn entry_text(entry: &LedgerEntry, policy: &Policy) -> String {
    let name = entry.disposition.name();
    match entry.disposition {
        Disposition::Queued => route_text(entry.desk, entry.queue, policy),
        Disposition::Noise | Disposition::Blocked => format!("{name}{}", rule_text(entry.detail, policy)),
        Disposition::DeadLetter => {
            let reason = u8::try_from(entry.detail).ok().and_then(DeadLetterReason::from_code);
            format!("{name} ({})", reason.map_or("?", DeadLetterReason::name))
        }
        Disposition::Duplicate | Disposition::Joined | Disposition::Expired => name.to_owned(),
    }
}

fn verdict_text(verdict: &Verdict, policy: &Policy) -> String {
    match *verdict {
        Verdict::Dead(reason) => format!("dead_letter ({})", reason.name()),
        Verdict::NotAMention => "noise (no mention)".to_owned(),
        Verdict::Mention { wish: Wish::Route { desk, queue }, .. } => route_text(desk, queue, policy),
        Verdict::Mention { wish: Wish::Noise(rule), .. } => format!("noise{}", rule_text(rule, policy)),
        Verdict::Mention { wish: Wish::Block(rule), .. } => format!("blocked{}", rule_text(rule, policy)),
    }
}
