//! What each rule costs over a sample of mentions, counted and not timed: the same sample gives the same numbers on every
//! machine.
//!
//! Owns the model. A mention is scanned once for all rules, so a hit of a word is shared by the rules that name it, one of
//! the letters that a regular expression needs by the rules that are looked up by them, and what the scan costs without
//! any hit is no rule's; a rule that is run costs its run and what its program asks. May not
//! decide: the evaluation is the policy's own, watched. Called by `triaged test --cost`.

use super::program::{Leaf, Scanned, Scratch, Watch};
use super::query::{Dialect, Expression, Field, parse, tone_variants};
use super::{Policy, RuleIndex};
use crate::model::Mention;
use crate::scan::{Hit, Literal};
use crate::text::{Edges, NormalText};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What things cost, in units of about a nanosecond on a machine of 2024. The proportions matter, not the unit.
const UNITS_HIT: u64 = 20;
const UNITS_RUN: u64 = 8;
const UNITS_ASK: u64 = 2;
/// A pair walks the hits of both sides.
const UNITS_NEAR: u64 = 60;
/// For each byte of the text, by the first rule that asks; the answer is kept for the others.
const UNITS_PATTERN_BYTE: u64 = 1;
/// Hits are shared, so costs are counted in thousandths.
const PARTS: u64 = 1_000;

/// What one rule cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleCost {
    /// Mentions that it matched.
    pub matches: u64,
    /// Mentions for which it was run.
    pub runs: u64,
    /// What its program asked.
    pub steps: u64,
    /// Hits of its words in the texts.
    pub hits: u64,
    /// All of that in thousandths of a unit, hits shared with the other rules that name the word.
    pub cost: u64,
}

/// Counts what rules cost.
pub struct CostMeter<'p> {
    policy: &'p Policy,
    /// By literal: the rules that name it, or that are looked up by it.
    namers: Vec<Vec<RuleIndex>>,
    counts: Counts,
    scratch: Scratch,
    matched: Vec<RuleIndex>,
}

struct Counts {
    rules: Vec<RuleCost>,
    /// Patterns and features that have been asked for this mention.
    asked: BTreeSet<(u8, u32)>,
    text_bytes: u64,
}

impl<'p> CostMeter<'p> {
    /// A meter that has seen nothing. Reads every query of the policy again.
    #[must_use]
    pub fn new(policy: &'p Policy) -> CostMeter<'p> {
        let places: BTreeMap<&Literal, usize> =
            policy.literals().iter().enumerate().map(|(place, literal)| (literal, place)).collect();
        let mut namers: Vec<Vec<RuleIndex>> = vec![Vec::new(); places.len()];
        for (place, rule) in policy.rules().iter().enumerate() {
            let query = parse(&rule.query, Dialect::Rule(rule.form));
            let query = query.expect("invariant: it was parsed when the policy was compiled");
            let mut named = BTreeSet::new();
            query.leaves(&mut |leaf| match leaf {
                Expression::Literal(literal, _) => _ = named.insert(literal.clone()),
                Expression::List(list, _) => {
                    let terms = policy.lists.get(&list.name);
                    named.extend(terms.into_iter().flat_map(|terms| terms.literals(list.form)));
                }
                _ => {}
            });
            for literal in named {
                let toned = tone_variants(&literal.text).into_iter();
                let toned = toned.map(|text| Literal { text, ..literal.clone() });
                for literal in toned.chain([literal.clone()]) {
                    if let Some(&of) = places.get(&literal) {
                        namers[of].push(RuleIndex::new(place));
                    }
                }
            }
        }
        // The letters without which a regular expression does not match stand in no query: whom they wake needs them.
        for (place, literal) in policy.literals().iter().enumerate() {
            if literal.edges == Edges::Anywhere {
                namers[place] = policy.programs.triggered_by(place as u32);
            }
        }
        debug_assert!(namers.iter().all(|of| !of.is_empty()), "every literal is some rule's");
        let rules = vec![RuleCost::default(); policy.rules().len()];
        let counts = Counts { rules, asked: BTreeSet::new(), text_bytes: 0 };
        CostMeter { policy, namers, counts, scratch: Scratch::default(), matched: Vec::new() }
    }

    /// Counts what one mention costs; `hits` are what a scanner found of the policy's literals in `text`. The rules that
    /// match, ascending.
    pub fn observe(&mut self, mention: &Mention<'_>, text: &NormalText, hits: &[Hit]) -> &[RuleIndex] {
        self.counts.asked.clear();
        self.counts.text_bytes = text.bytes_max() as u64;
        for hit in hits {
            let namers = &self.namers[hit.literal as usize];
            for rule in namers {
                let cost = &mut self.counts.rules[rule.place()];
                cost.hits += 1;
                cost.cost += UNITS_HIT * PARTS / namers.len() as u64;
            }
        }
        let CostMeter { policy, counts, scratch, matched, .. } = self;
        let scanned = Scanned { mention, text, hits };
        policy.programs.evaluate(&policy.rules, scanned, scratch, matched, counts);
        for rule in &self.matched {
            self.counts.rules[rule.place()].matches += 1;
        }
        &self.matched
    }

    /// What each rule cost so far, in the order of the policy's rules.
    #[must_use]
    pub fn costs(&self) -> &[RuleCost] {
        &self.counts.rules
    }
}

impl Watch for Counts {
    fn ran(&mut self, rule: RuleIndex) {
        let cost = &mut self.rules[rule.place()];
        cost.runs += 1;
        cost.cost += UNITS_RUN * PARTS;
    }

    fn asked(&mut self, rule: RuleIndex, leaf: &Leaf<'_>) {
        let units = match leaf {
            Leaf::Atom(_) | Leaf::Tag(_) => UNITS_ASK,
            Leaf::Near(_) => UNITS_NEAR,
            Leaf::Pattern(pattern) if self.asked.insert((0, *pattern)) => {
                UNITS_PATTERN_BYTE * self.text_bytes
            }
            Leaf::Field(Field::Has(feature)) if self.asked.insert((1, *feature as u32)) => {
                UNITS_PATTERN_BYTE * self.text_bytes
            }
            Leaf::Pattern(_) | Leaf::Field(_) => UNITS_ASK,
        };
        let cost = &mut self.rules[rule.place()];
        cost.steps += 1;
        cost.cost += units * PARTS;
    }
}
