//! What a ledger says of the mentions that a request names: which it speaks of, and what was done for it already.
//!
//! Owns the fold of one ledger partition for one request: for each offset the first entry counts, then the first of each
//! request that supersedes it, in the order of the requests. Pure: may not read a log nor decide. Called by the release
//! of the partition's owner, and by the verb that counts from outside.

use crate::wire::ledger::{LedgerEntry, LedgerRun, Superseding};
use std::collections::BTreeMap;
use triage_engine::model::{DeadLetterReason, Disposition, Millis, StreamId};
use triage_engine::plans::Taken;
use triage_engine::policy::{Generation, Policy, RuleIndex};

/// Offsets that one survey remembers, some 50 MB of them: a rule may have taken millions. What lies above is left to the
/// next survey. Few in tests, so that they meet the border.
pub const OFFSETS_MAX: usize = if cfg!(test) { 4 } else { 131_072 };

/// The place of a request: on which control topic it stands, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The control topic.
    pub log: StreamId,
    /// The offset.
    pub request: i64,
}

impl Place {
    /// The place that a superseding record names.
    #[must_use]
    pub fn of(superseding: &Superseding) -> Place {
        Place { log: superseding.log, request: superseding.request }
    }
}

/// A decision as the ledger has it.
#[derive(Debug, Clone, Copy)]
pub struct Decided {
    /// The entry.
    pub entry: LedgerEntry,
    /// The policy under which it was decided.
    pub generation: Generation,
    /// The shard's time then.
    pub now: Millis,
    /// Where in the ledger it lies.
    pub at: i64,
}

#[derive(Debug, Clone, Copy)]
struct Offset {
    /// What was in effect before the request, and by which request that was decided.
    before: Option<(Option<Place>, Decided, bool)>,
    /// What was decided for the request.
    mine: Option<Decided>,
}

/// The fold.
#[derive(Debug)]
pub struct Survey {
    place: Place,
    what: Option<Taken>,
    /// The offsets that this survey is of: from here on, and below there.
    floor: i64,
    ceiling: i64,
    /// Ledger records of the request from here on may not have had their effects, and the first of them that speaks of
    /// offsets above the ceiling.
    owed_from: i64,
    owed_above: Option<i64>,
    /// Offsets that have had their first entry.
    first: Spans,
    offsets: BTreeMap<i64, Offset>,
    /// The end of what each request speaks of, as its first record says. What a former owner wrote of it late, from there
    /// on, counts for nothing: whoever wrote that first record may have finished the request without it.
    ends: BTreeMap<Place, i64>,
}

impl Survey {
    /// Nothing read yet. `what` is `None` when the request itself is not known any more: then only what was done for it
    /// is found.
    #[must_use]
    pub fn new(place: Place, what: Option<Taken>) -> Survey {
        Survey::above(place, what, i64::MIN)
    }

    /// The same of offsets from `floor` on: those below were done after an earlier survey.
    #[must_use]
    pub fn above(place: Place, what: Option<Taken>, floor: i64) -> Survey {
        let (first, offsets, ends) = (Spans::default(), BTreeMap::new(), BTreeMap::new());
        let (ceiling, owed_from, owed_above) = (i64::MAX, i64::MAX, None);
        Survey { place, what, floor, ceiling, owed_from, owed_above, first, offsets, ends }
    }

    /// The same, told that the request's ledger records from `at` on may not have had their effects.
    #[must_use]
    pub fn owing_from(self, at: i64) -> Survey {
        Survey { owed_from: at, ..self }
    }

    /// The first ledger record that is owed and speaks of offsets that are left to the next survey.
    #[must_use]
    pub fn owed_above(&self) -> Option<i64> {
        self.owed_above
    }

    /// Leaves what was decided for the request in the ledger record at `at` to the next survey.
    fn leave(&mut self, at: i64) {
        if at >= self.owed_from {
            self.owed_above = Some(self.owed_above.map_or(at, |first| first.min(at)));
        }
    }

    /// Where the next survey begins, if this one could not remember all.
    #[must_use]
    pub fn ceiling(&self) -> Option<i64> {
        (self.ceiling < i64::MAX).then_some(self.ceiling)
    }

    /// Forgets the highest offsets beyond what may be remembered. What is left was seen whole: only entries from the
    /// ceiling on were ever passed over.
    fn keep_within_bounds(&mut self) {
        while self.offsets.len() > OFFSETS_MAX {
            let (highest, known) = self.offsets.pop_last().expect("invariant: it holds more than it may");
            self.ceiling = highest;
            if let Some(mine) = known.mine {
                self.leave(mine.at);
            }
        }
    }

    /// Takes in the ledger record at `at`. `rule` is the index in the record's policy of the rule that the request names.
    pub fn take(&mut self, at: i64, run: &LedgerRun, rule: Option<RuleIndex>) {
        let decided =
            |entry: &LedgerEntry| Decided { entry: *entry, generation: run.generation, now: run.now, at };
        let by = run.superseding.as_ref().map(Place::of);
        let of = run.superseding.map(|of| *self.ends.entry(Place::of(&of)).or_insert(of.below));
        let end = of.unwrap_or(i64::MAX).min(self.ceiling);
        let floor = self.floor;
        let counts = |entry: &&LedgerEntry| (floor..end).contains(&entry.offset);
        if by == Some(self.place) {
            let below = of.unwrap_or(i64::MAX);
            if run.entries.iter().any(|entry| (self.ceiling..below).contains(&entry.offset)) {
                self.leave(at);
            }
            for entry in run.entries.iter().filter(counts) {
                let known = self.offsets.entry(entry.offset).or_insert(Offset { before: None, mine: None });
                known.mine.get_or_insert(decided(entry));
            }
            return self.keep_within_bounds();
        }
        // What a later request has superseded was nothing that this one could name.
        if by.is_some_and(|by| by.log == self.place.log && by.request > self.place.request) {
            return;
        }
        for entry in run.entries.iter().filter(counts) {
            let taken = self.names(entry, rule);
            if by.is_none() {
                if self.first.insert(entry.offset) && taken {
                    let known =
                        self.offsets.entry(entry.offset).or_insert(Offset { before: None, mine: None });
                    known.before = known.before.or(Some((None, decided(entry), true)));
                }
                continue;
            }
            let known = self.offsets.entry(entry.offset).or_insert(Offset { before: None, mine: None });
            if known.before.is_none_or(|(earlier, ..)| by > earlier) {
                known.before = Some((by, decided(entry), taken));
            }
        }
        self.keep_within_bounds();
    }

    fn names(&self, entry: &LedgerEntry, rule: Option<RuleIndex>) -> bool {
        match &self.what {
            None => false,
            Some(Taken::ByRule(_)) => {
                matches!(entry.disposition, Disposition::Noise | Disposition::Blocked)
                    && rule.is_some_and(|rule| rule.0 == entry.detail)
            }
            Some(Taken::AsDeadLetter(reason)) => {
                let wanted = match reason {
                    Some(reason) => entry.detail == u32::from(reason.code()),
                    // What has killed the process is left alone unless it is asked for by name, which the verb refuses.
                    None => entry.detail != u32::from(DeadLetterReason::Crashed.code()),
                };
                entry.disposition == Disposition::DeadLetter && wanted
            }
        }
    }

    /// The end of what the request speaks of, if its first record was found.
    #[must_use]
    pub fn below(&self) -> Option<i64> {
        self.ends.get(&self.place).copied()
    }

    /// What the request speaks of below `below` and nothing was done about yet, by offset.
    pub fn open(&self, below: i64) -> impl Iterator<Item = (i64, &Decided)> {
        self.offsets.range(..below).filter_map(|(&offset, known)| match (&known.before, &known.mine) {
            (Some((_, before, true)), None) => Some((offset, before)),
            _ => None,
        })
    }

    /// What was decided for the request, by offset.
    pub fn done(&self) -> impl Iterator<Item = (i64, &Decided)> {
        self.offsets.iter().filter_map(|(&offset, known)| Some((offset, known.mine.as_ref()?)))
    }
}

/// The index of the rule that a request names, in the policy under which a run was decided.
#[must_use]
pub fn rule_index(what: &Taken, policy: &Policy) -> Option<RuleIndex> {
    let Taken::ByRule(name) = what else { return None };
    policy.rules().iter().position(|rule| rule.name == *name).map(RuleIndex::new)
}

/// A set of offsets that mostly follow each other.
#[derive(Debug, Default)]
struct Spans(BTreeMap<i64, i64>);

impl Spans {
    /// Adds an offset; false when it was there.
    fn insert(&mut self, offset: i64) -> bool {
        let before = self.0.range(..=offset).next_back().map(|(&from, &to)| (from, to));
        if before.is_some_and(|(_, to)| offset < to) {
            return false;
        }
        let from = before.filter(|&(_, to)| to == offset).map_or(offset, |(from, _)| from);
        let to = self.0.remove(&(offset + 1)).unwrap_or(offset + 1);
        self.0.insert(from, to);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ledger::NONE;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use triage_engine::triage::DETAIL_NONE;

    const LOG: StreamId = StreamId(9);

    fn run(request: Option<i64>, entries: &[(i64, Disposition, u32)]) -> LedgerRun {
        let entries = entries.iter().map(|&(offset, disposition, detail)| LedgerEntry {
            offset,
            disposition,
            detail,
            desk: NONE,
            queue: NONE,
            key: None,
        });
        LedgerRun {
            semantics: 1,
            generation: Generation([0; 32]),
            plan_epoch: 0,
            now: Millis(0),
            expired: None,
            superseding: request.map(|request| Superseding { log: LOG, request, below: 100 }),
            entries: entries.collect(),
        }
    }

    fn survey(request: i64, runs: &[LedgerRun]) -> Survey {
        let what = Some(Taken::ByRule("bad".to_owned()));
        let mut survey = Survey::new(Place { log: LOG, request }, what);
        for (at, run) in runs.iter().enumerate() {
            survey.take(at as i64, run, Some(RuleIndex(3)));
        }
        survey
    }

    #[test]
    fn a_request_speaks_of_what_its_rule_took_and_nothing_was_done_about() {
        use Disposition::{Blocked, Noise, Queued};
        let first = run(
            None,
            &[(1, Noise, 3), (2, Noise, 4), (3, Blocked, 3), (4, Queued, DETAIL_NONE), (5, Noise, 3)],
        );
        // Another owner wrote the same offsets late: its entries count for nothing.
        let late = run(None, &[(2, Noise, 3), (4, Noise, 3)]);
        let found = survey(7, &[first.clone(), late.clone()]);
        assert_eq!(found.open(100).map(|(offset, _)| offset).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(found.open(5).count(), 2, "only what was committed when the request was begun");
        assert_eq!(found.below(), None);
        let done = run(Some(7), &[(1, Queued, DETAIL_NONE), (3, Noise, 4)]);
        let again = run(Some(7), &[(1, Noise, 3)]);
        let found = survey(7, &[first.clone(), late, done.clone(), again]);
        assert_eq!(found.open(100).map(|(offset, _)| offset).collect::<Vec<_>>(), [5]);
        let mine: Vec<_> =
            found.done().map(|(offset, decided)| (offset, decided.entry.disposition)).collect();
        assert_eq!(mine, [(1, Queued), (3, Noise)], "the first entry of a request counts");
        assert_eq!(found.below(), Some(100));
        // A second request for the same rule finds what the first has left, an earlier one does not see it.
        let found = survey(8, &[first, done]);
        assert_eq!(found.open(100).map(|(offset, _)| offset).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn more_than_one_survey_remembers_is_found_by_those_after_it_once() {
        let all: Vec<(i64, Disposition, u32)> =
            (1..=11).map(|offset| (offset, Disposition::Noise, 3)).collect();
        let done =
            run(Some(7), &[(2, Disposition::Queued, DETAIL_NONE), (9, Disposition::Queued, DETAIL_NONE)]);
        let runs = [run(None, &all[..6]), run(None, &all[6..]), done];
        let place = Place { log: LOG, request: 7 };
        let (mut floor, mut open, mut mine, mut surveys) = (i64::MIN, Vec::new(), Vec::new(), 0);
        loop {
            let mut found = Survey::above(place, Some(Taken::ByRule("bad".to_owned())), floor);
            for (at, run) in runs.iter().enumerate() {
                found.take(at as i64, run, Some(RuleIndex(3)));
                assert!(found.offsets.len() <= OFFSETS_MAX);
            }
            open.extend(found.open(100).map(|(offset, _)| offset));
            mine.extend(found.done().map(|(offset, _)| offset));
            assert_eq!(found.below(), Some(100), "where the request ends is known to each");
            surveys += 1;
            match found.ceiling() {
                Some(ceiling) => floor = ceiling,
                None => break,
            }
        }
        assert_eq!(open, [1, 3, 4, 5, 6, 7, 8, 10, 11]);
        assert_eq!(mine, [2, 9]);
        assert_eq!(surveys, 3);
    }

    #[test]
    fn what_is_owed_above_the_border_is_owed_from_its_own_record_on_and_nothing_else_is() {
        use Disposition::{Noise, Queued};
        let first: Vec<(i64, Disposition, u32)> = (1..=9).map(|offset| (offset, Noise, 3)).collect();
        let of = |offset| run(Some(7), &[(offset, Queued, DETAIL_NONE)]);
        let survey = |owed_from: i64, done: &[LedgerRun]| {
            let place = Place { log: LOG, request: 7 };
            let mut survey = Survey::new(place, Some(Taken::ByRule("bad".to_owned()))).owing_from(owed_from);
            for (at, run) in [run(None, &first)].iter().chain(done).enumerate() {
                survey.take(at as i64, run, Some(RuleIndex(3)));
            }
            assert_eq!(survey.ceiling(), Some(5), "it remembers four");
            survey.owed_above()
        };
        assert_eq!(survey(1, &[of(1), of(2)]), None, "what lies below the border is this survey's own");
        assert_eq!(survey(1, &[of(1), of(8), of(9)]), Some(2));
        assert_eq!(survey(3, &[of(1), of(8), of(9)]), Some(3), "what a commit called done is not owed");
        assert_eq!(survey(i64::MAX, &[of(8)]), None);
    }

    proptest! {
        #[test]
        fn spans_hold_what_a_set_holds(offsets in prop::collection::vec(0_i64..60, 0..120)) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for offset in offsets {
                prop_assert_eq!(spans.insert(offset), set.insert(offset));
            }
            let held: BTreeSet<i64> = spans.0.iter().flat_map(|(&from, &to)| from..to).collect();
            prop_assert_eq!(held, set);
        }
    }
}
