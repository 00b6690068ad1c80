//! Where a mention ends, by names: what two policies call the same is the same, whatever its index in either.
//!
//! Owns the numbers of names while a replay counts. Pure. Called by the fold and its tally.

use std::collections::BTreeMap;
use triage_engine::model::Disposition;
use triage_engine::policy::Policy;
use triage_engine::triage::Decision;

/// Where a mention ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a queue of a desk.
    Queue { desk: String, queue: String },
    /// Kept from desks.
    Kept(Disposition),
}

impl Place {
    /// The disposition that it stands for.
    pub(super) fn disposition(&self) -> Disposition {
        match self {
            Place::Queue { .. } => Disposition::Queued,
            Place::Kept(disposition) => *disposition,
        }
    }

    /// The queue's name, or the disposition's.
    pub(super) fn name(&self) -> &str {
        match self {
            Place::Queue { queue, .. } => queue,
            Place::Kept(disposition) => disposition.name(),
        }
    }
}

/// Things in the order in which they were first met, by number.
#[derive(Debug)]
struct Numbered<T> {
    known: BTreeMap<T, usize>,
    all: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Numbered<T> {
        Numbered { known: BTreeMap::new(), all: Vec::new() }
    }
}

impl<T: Ord + Clone> Numbered<T> {
    fn number(&mut self, thing: T) -> usize {
        if let Some(&known) = self.known.get(&thing) {
            return known;
        }
        self.known.insert(thing.clone(), self.all.len());
        self.all.push(thing);
        self.all.len() - 1
    }
}

/// Every name that a replay has met.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: Numbered<Place>,
    rules: Numbered<String>,
}

/// A policy's indices as numbers of names.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    queues: Vec<usize>,
    rules: Vec<usize>,
}

impl Names {
    /// The names of a policy.
    pub(super) fn table(&mut self, policy: &Policy) -> Table {
        let queues = policy.queues().iter().map(|queue| {
            let desk = policy.desks()[usize::from(queue.desk.0)].name.clone();
            self.places.number(Place::Queue { desk, queue: queue.name.clone() })
        });
        let queues = queues.collect();
        Table {
            queues,
            rules: policy.rules().iter().map(|rule| self.rules.number(rule.name.clone())).collect(),
        }
    }

    /// Where a decision leads.
    pub(super) fn place(&mut self, table: &Table, decision: &Decision) -> usize {
        if decision.disposition != Disposition::Queued {
            return self.places.number(Place::Kept(decision.disposition));
        }
        match table.queues.get(usize::from(decision.queue)) {
            Some(&place) => place,
            // A damaged entry: its policy has no such queue.
            None => self.places.number(Place::Queue { desk: "?".to_owned(), queue: "?".to_owned() }),
        }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places.all
    }

    pub(super) fn rules(&self) -> &[String] {
        &self.rules.all
    }
}

impl Table {
    /// The number of the name of the rule with this index in the policy.
    pub(super) fn rule(&self, index: usize) -> Option<usize> {
        self.rules.get(index).copied()
    }
}
