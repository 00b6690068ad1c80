//! Looks from outside at mentions that are brought back: each once, as its ledger entry says, and all that were asked for.
//!
//! Owns an index of superseding entries and of what the desk logs hold of them. May not trust an instance. Part of the
//! checker.

use super::check::{Found, InputIndex};
use crate::policies::Compiled;
use crate::shard::survey::{Place, Survey};
use crate::wire::ledger::{LedgerEntry, LedgerRun, Superseding};
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::desk::{QueuedMention, SourceMark};
use triage_engine::model::{Disposition, StreamId};
use triage_engine::plans::{Release, Taken};
use triage_engine::policy::Generation;

/// One superseding entry, the first of its offset and request.
#[derive(Clone, Copy)]
pub(super) struct Again {
    pub(super) entry: LedgerEntry,
    pub(super) generation: Generation,
    /// Where in the ledger it lies.
    at: i64,
    /// What it supersedes.
    pub(super) was: Disposition,
}

/// What is known of one input partition's mentions that were brought back.
#[derive(Default)]
pub(super) struct ReleaseIndex {
    pub(super) again: BTreeMap<(i64, i64), Again>,
    /// How often the desk logs name each, and under which ordinal.
    handed: BTreeMap<(i64, i64), (u64, u64)>,
    /// The mention that each request and ordinal name.
    names: BTreeMap<(i64, u64), i64>,
    /// The end of each request.
    below: BTreeMap<i64, i64>,
    /// Every ledger record, to survey them again at the end.
    runs: Vec<(i64, LedgerRun)>,
    /// Entries below this ledger offset were called done by a commit.
    noted: i64,
}

impl ReleaseIndex {
    pub(super) fn ledgered(&mut self, at: i64, run: &LedgerRun) {
        self.runs.push((at, run.clone()));
    }

    /// Takes in a superseding record; what it supersedes must not have been handed to a desk.
    pub(super) fn superseded(
        &mut self,
        at: i64,
        run: &LedgerRun,
        of: &Superseding,
        first: &BTreeMap<i64, (LedgerEntry, Generation)>,
    ) -> Found {
        self.below.entry(of.request).or_insert(of.below);
        for entry in &run.entries {
            let x = entry.offset;
            // Late words of a former owner, beyond where the request was first said to end, count for nothing.
            if self.again.contains_key(&(x, of.request)) || x >= self.below[&of.request] {
                continue;
            }
            let earlier = self.again.range((x, 0)..(x, of.request)).next_back().map(|(_, again)| again.entry);
            let Some(was) = earlier.or_else(|| first.get(&x).map(|(entry, _)| *entry)) else {
                return Err(format!("I1: offset {x} is superseded and was never decided"));
            };
            let may = [Disposition::Noise, Disposition::Blocked, Disposition::DeadLetter];
            if !may.contains(&was.disposition) {
                return Err(format!("I2: offset {x} was {}, and is superseded", was.disposition.name()));
            }
            let (entry, generation, was) = (*entry, run.generation, was.disposition);
            self.again.insert((x, of.request), Again { entry, generation, at, was });
        }
        Ok(())
    }

    /// A desk log holds a mention that was brought back.
    pub(super) fn handed(
        &mut self,
        mark: &SourceMark,
        mention: &QueuedMention<'_>,
        policies: &BTreeMap<Generation, Arc<Compiled>>,
    ) -> Found {
        let (x, request) = (mention.input.offset, mark.source.position.offset);
        let Some(again) = self.again.get(&(x, request)) else {
            return Err(format!("I2: offset {x} was brought back before the ledger said so"));
        };
        let policy = policies[&again.generation].policy();
        let agrees = again.entry.disposition == Disposition::Queued
            && policy.desks()[usize::from(again.entry.desk)].name == mention.desk
            && policy.queues()[usize::from(again.entry.queue)].name == mention.queue
            && mention.generation == again.generation;
        if !agrees {
            return Err(format!("I2: offset {x} was brought back otherwise than the ledger says"));
        }
        let known = self.handed.entry((x, request)).or_insert((0, mark.source.ordinal));
        known.0 += 1;
        let named = *self.names.entry((request, mark.source.ordinal)).or_insert(x);
        if named != x {
            return Err(format!("I2: offsets {named} and {x} were brought back under one name"));
        }
        if known.1 != mark.source.ordinal {
            return Err(format!("I2: offset {x} was brought back twice, under two names"));
        }
        Ok(())
    }

    pub(super) fn repeats(&self) -> u64 {
        self.handed.values().map(|&(times, _)| times - 1).sum()
    }

    /// A commit says that everything below `open` in the ledger is done.
    pub(super) fn noted(&mut self, open: i64, start: i64) -> Found {
        for (&(x, request), again) in &self.again {
            let new = (self.noted..open).contains(&again.at);
            if new && !self.is_out(x, request, again) && x >= start {
                return Err(format!("I4: a commit calls offset {x} brought back, and it is not"));
            }
        }
        self.noted = self.noted.max(open);
        Ok(())
    }

    fn is_out(&self, x: i64, request: i64, again: &Again) -> bool {
        again.entry.disposition != Disposition::Queued || self.handed.contains_key(&(x, request))
    }

    /// Whether everything that the request speaks of was decided again, once all is at rest.
    pub(super) fn is_whole(
        &self,
        place: Place,
        release: &Release,
        input: &InputIndex,
        policies: &BTreeMap<Generation, Arc<Compiled>>,
    ) -> Found {
        let what = &release.request.what;
        let Some(&below) = self.below.get(&place.request) else {
            return Err("a request that was answered was never begun".to_owned());
        };
        let mut survey = Survey::new(place, Some(what.clone()));
        for (at, run) in &self.runs {
            let policy = policies[&run.generation].policy();
            survey.take(*at, run, crate::shard::survey::rule_index(what, policy));
        }
        if let Some((x, _)) = survey.open(below).find(|&(x, _)| input.start <= x) {
            return Err(format!(
                "offset {x} was to be brought back by request {}, and was not",
                place.request
            ));
        }
        let lost = self.again.iter().find(|&(&(x, request), again)| {
            request == place.request && x >= input.start && !self.is_out(x, request, again)
        });
        match lost {
            Some(((x, _), _)) => Err(format!("offset {x} was decided again, and is nowhere")),
            None => Ok(()),
        }
    }
}

/// The name of the rule that a request lifts.
pub(super) fn lifted(release: &Release) -> Option<&str> {
    match &release.request.what {
        Taken::ByRule(rule) => Some(rule),
        Taken::AsDeadLetter(_) => None,
    }
}

/// The place of a request on the simulated control topic.
pub(super) fn place(log: StreamId, request: i64) -> Place {
    Place { log, request }
}
