//! Counts what both policies make of each record, in the order of the log.
//!
//! Owns the two sides, the counts and the samples. May not read logs or decide what depends on one mention alone: the
//! judges have. Filled by the readers of topics and of lines, closed into a report.

use super::places::{Names, Place, Table};
use super::report::{Changed, Count, MoveTold, PolicyTold, Report, RuleCount, Totals};
use super::sample::{Sample, Telling, Told, rank};
use crate::policies::Compiled;
use crate::worker::ScanSettings;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::model::Disposition;
use triage_engine::policy::RuleIndex;
use triage_engine::triage::{DETAIL_NONE, DETAIL_NOT_A_MENTION, Decision};

/// Different moves of which samples are kept; of more only the count.
const MOVES_SAMPLED_MAX: usize = 1_000;

/// A policy that decided, or would.
#[derive(Debug)]
struct Side {
    policy: Arc<Compiled>,
    table: Table,
    mentions: u64,
}

/// One of the two numbers.
type Pick = fn(&mut Changed) -> &mut u64;

/// Mentions that go the same way.
#[derive(Debug, Default)]
struct Move {
    mentions: u64,
    /// By rank, the lowest.
    samples: BTreeMap<u64, Sample>,
}

impl Move {
    /// Whether a mention of this rank belongs among the samples.
    fn wants(&self, rank: u64, samples_max: usize) -> bool {
        let full = self.samples.len() >= samples_max;
        samples_max > 0 && (!full || self.samples.last_key_value().is_some_and(|(last, _)| rank < *last))
    }

    fn keep(&mut self, rank: u64, sample: Sample, samples_max: usize) {
        self.samples.insert(rank, sample);
        if self.samples.len() > samples_max {
            self.samples.pop_last();
        }
    }
}

/// A record with what both sides make of it.
pub(super) struct Compared<'a> {
    pub(super) position: (u32, i64),
    pub(super) value: Option<&'a [u8]>,
    /// Which side decided it before.
    pub(super) side: usize,
    pub(super) before: Decision,
    pub(super) after: Decision,
    /// The rules that matched before, and after.
    pub(super) matched: [&'a [RuleIndex]; 2],
    /// Both hand it to the same queue, and say other things of it there.
    pub(super) otherwise: bool,
}

/// The counts so far.
pub(super) struct Fold {
    sides: Vec<Side>,
    after: Side,
    names: Names,
    moves: BTreeMap<(usize, usize), Move>,
    otherwise: Move,
    /// By the number of a rule's name: mentions that it matched, and those that it kept from desks; before and after.
    rules: Vec<[Changed; 2]>,
    telling: Telling,
    samples_max: usize,
    /// How a position is called.
    position: fn(&str, u32, i64) -> String,
    input: String,
    /// What was decided again, and what stays as it was decided.
    pub(super) totals: Totals,
}

impl Fold {
    pub(super) fn new(
        after: &Arc<Compiled>,
        scan: &ScanSettings,
        samples_max: usize,
        input: &str,
        position: fn(&str, u32, i64) -> String,
    ) -> Fold {
        let mut names = Names::default();
        let table = names.table(after.policy());
        Fold {
            sides: Vec::new(),
            after: Side { policy: after.clone(), table, mentions: 0 },
            names,
            moves: BTreeMap::new(),
            otherwise: Move::default(),
            rules: Vec::new(),
            telling: Telling::new(scan),
            samples_max,
            position,
            input: input.to_owned(),
            totals: Totals::default(),
        }
    }

    /// The number of the side that decides under this policy.
    pub(super) fn side(&mut self, policy: &Arc<Compiled>) -> usize {
        let generation = policy.generation();
        if let Some(known) = self.sides.iter().position(|side| side.policy.generation() == generation) {
            return known;
        }
        let table = self.names.table(policy.policy());
        self.sides.push(Side { policy: policy.clone(), table, mentions: 0 });
        self.sides.len() - 1
    }

    /// The policy of a side.
    pub(super) fn policy_of(&self, side: usize) -> &Arc<Compiled> {
        &self.sides[side].policy
    }

    /// Counts what stays as it was decided, whatever the policy says.
    pub(super) fn stays(&mut self, side: usize, decision: &Decision, mentions: u64) {
        let side = &mut self.sides[side];
        side.mentions += mentions;
        let place = self.names.place(&side.table, decision);
        self.moves.entry((place, place)).or_default().mentions += mentions;
        self.totals.mentions += mentions;
    }

    /// Counts a record that was decided again.
    pub(super) fn compare(&mut self, record: &Compared<'_>) {
        let side = &mut self.sides[record.side];
        side.mentions += 1;
        self.totals.mentions += 1;
        self.totals.decided_again += 1;
        let from = self.names.place(&side.table, &record.before);
        let to = self.names.place(&self.after.table, &record.after);
        count_rules(&mut self.rules, &side.table, &record.before, record.matched[0], |counted| {
            &mut counted.before
        });
        count_rules(&mut self.rules, &self.after.table, &record.after, record.matched[1], |counted| {
            &mut counted.after
        });
        let samples_max = if self.moves.len() < MOVES_SAMPLED_MAX { self.samples_max } else { 0 };
        let moved = self.moves.entry((from, to)).or_default();
        moved.mentions += 1;
        let group = if from != to {
            moved
        } else if record.otherwise {
            self.otherwise.mentions += 1;
            &mut self.otherwise
        } else {
            return;
        };
        let (partition, offset) = record.position;
        let rank = rank(partition, offset);
        if group.wants(rank, samples_max) {
            let side = &self.sides[record.side];
            let before =
                Told { policy: side.policy.policy(), decision: record.before, matched: record.matched[0] };
            let after = Told {
                policy: self.after.policy.policy(),
                decision: record.after,
                matched: record.matched[1],
            };
            let position = (self.position)(&self.input, partition, offset);
            let sample = self.telling.sample(position, record.value, before, after);
            group.keep(rank, sample, samples_max);
        }
    }

    /// What was counted.
    pub(super) fn close(mut self) -> Report {
        let mut report = Report { input: self.input, totals: self.totals, ..Report::default() };
        let told = |side: &Side| PolicyTold {
            policy: side.policy.generation().to_string(),
            mentions: side.mentions,
        };
        report.before = self.sides.iter().filter(|side| side.mentions > 0).map(told).collect();
        report.after = self.after.policy.generation().to_string();
        count_places(&self.moves, self.names.places(), &mut report);
        let named = self.rules.into_iter().enumerate().map(|(number, [matched, took])| RuleCount {
            rule: self.names.rules()[number].clone(),
            matched,
            took,
        });
        report.rules = named.filter(|rule| !rule.is_silent()).collect();
        report.rules.sort_by(|a, b| a.rule.cmp(&b.rule));
        self.moves.retain(|(from, to), _| from != to);
        for ((from, to), moved) in self.moves {
            let [from, to] = way(self.names.places(), [from, to]);
            let samples = moved.samples.into_values().collect();
            report.moves.push(MoveTold { from, to, mentions: moved.mentions, samples });
        }
        let key = |told: &MoveTold| (Reverse(told.mentions), told.from.clone(), told.to.clone());
        report.moves.sort_by_key(key);
        report.otherwise = self.otherwise.mentions;
        report.otherwise_samples = self.otherwise.samples.into_values().collect();
        report
    }
}

/// Adds up by disposition, desk and queue.
fn count_places(moves: &BTreeMap<(usize, usize), Move>, places: &[Place], report: &mut Report) {
    let mut dispositions: BTreeMap<u8, (&str, Changed)> = BTreeMap::new();
    let mut queues: BTreeMap<(&str, &str), Changed> = BTreeMap::new();
    let mut desks: BTreeMap<&str, Changed> = BTreeMap::new();
    let picks: [Pick; 2] = [|changed| &mut changed.before, |changed| &mut changed.after];
    for (&(from, to), moved) in moves {
        for (place, pick) in [from, to].into_iter().zip(picks) {
            let disposition = places[place].disposition();
            let counted =
                dispositions.entry(disposition.code()).or_insert((disposition.name(), Changed::default()));
            *pick(&mut counted.1) += moved.mentions;
            if let Place::Queue { desk, queue } = &places[place] {
                *pick(queues.entry((desk, queue)).or_default()) += moved.mentions;
                *pick(desks.entry(desk).or_default()) += moved.mentions;
            }
        }
    }
    let count = |name: &str, changed| Count { name: name.to_owned(), changed };
    report.dispositions = dispositions.into_values().map(|(name, changed)| count(name, changed)).collect();
    report.desks = desks.into_iter().map(|(name, changed)| count(name, changed)).collect();
    report.queues = queues.into_iter().map(|((_, name), changed)| count(name, changed)).collect();
}

/// The names of two places; of one queue that changes its desk, with the desks.
fn way(places: &[Place], ends: [usize; 2]) -> [String; 2] {
    let [from, to] = ends.map(|end| &places[end]);
    let full = |place: &Place| match place {
        Place::Queue { desk, queue } if from.name() == to.name() => format!("{queue} of {desk}"),
        place => place.name().to_owned(),
    };
    [full(from), full(to)]
}

/// Counts the rules of one side: those that matched, and the one that kept the mention from desks.
fn count_rules(
    rules: &mut Vec<[Changed; 2]>,
    table: &Table,
    decision: &Decision,
    matched: &[RuleIndex],
    side: Pick,
) {
    let mut add = |rule: usize, what: usize| {
        if let Some(number) = table.rule(rule) {
            if number >= rules.len() {
                rules.resize(number + 1, [Changed::default(); 2]);
            }
            *side(&mut rules[number][what]) += 1;
        }
    };
    // The rules of a copy matched, and nothing came of it.
    if decision.disposition == Disposition::Duplicate {
        return;
    }
    matched.iter().for_each(|index| add(index.place(), 0));
    let kept = matches!(decision.disposition, Disposition::Noise | Disposition::Blocked);
    if kept && ![DETAIL_NONE, DETAIL_NOT_A_MENTION].contains(&decision.detail) {
        add(decision.detail as usize, 1);
    }
}
