//! Queries and conditions as flat programs, and the index that says which programs are worth running.
//!
//! Owns their evaluation, which allocates nothing once its buffers have grown and cannot fail: the language is total, and
//! a field that is absent is simply not equal. May not know names or files. Made by `compile`, run by `Policy`.
//!
//! ```text
//! hits -> literal -> groups (lists, tones) -> rules with a trigger -> programs -> matched
//!                                             rules without one ----^     |
//!                     rules that ask for tags or categories, in order <---+ tags, category
//! ```
//!
//! A rule is run only when one of its triggers was seen (`trigger`); the rules that can be true without any are run for
//! every mention. What costs more than a look-up (pairs, patterns, features) is found when the first rule asks for it.

mod build;
mod bytes;
mod facts;
mod index;
mod near;
mod rarity;
mod steps;
mod stored;
mod trigger;
mod watch;

pub(super) use bytes::vec_bytes;
pub(super) use facts::holds;
pub use near::NEAR_SPANS_MAX;
pub(super) use near::{Reach, Span, Words, nexts};
pub(super) use steps::{Atom, Leaf, Names, Programs};
pub(super) use watch::{Nobody, Watch};

use super::query::regex::Compiled;
use super::query::{Expression, Field, ListTerm, Lists};
use super::{Category, Rule, RuleIndex};
use crate::model::Mention;
use crate::scan::{Hit, Literal};
use crate::text::{Form, Forms, NormalText};
use facts::{Answers, Seen};
use index::{Asking, Entry, Follows, Index};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The rules' programs with their index by what is seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct RulePrograms {
    programs: Programs,
    by_literal: Index,
    by_group: Index,
    /// The rules that can match with no literal seen and ask for nothing that others assert.
    always: Vec<RuleIndex>,
    asking: Asking,
    /// By the numbers that the programs have for them.
    #[serde(with = "stored")]
    patterns: Vec<(Compiled, Form)>,
    forms: Forms,
}

/// A mention with what the scan stage made of it.
#[derive(Clone, Copy)]
pub(super) struct Scanned<'s> {
    pub mention: &'s Mention<'s>,
    pub text: &'s NormalText,
    /// Sorted, as scanners give them; a literal may be named more than once.
    pub hits: &'s [Hit],
}

/// Room for one evaluation at a time; kept by a worker and used again, also under another policy.
#[derive(Debug, Default)]
pub struct Scratch {
    literals: Vec<u64>,
    groups: Vec<u64>,
    /// Each group that was seen with each of its literals that was.
    members: Vec<(u32, u32)>,
    chosen: Vec<u64>,
    candidates: Vec<RuleIndex>,
    /// Askers that may be true, by their places.
    waiting: BinaryHeap<Reverse<u32>>,
    queued: Vec<u64>,
    given: Vec<u64>,
    given_tags: Vec<u32>,
    answers: Answers,
}

impl RulePrograms {
    /// Compiles the rules' queries, in the order of their indices. `tag` gives the numbers of tags, `askers` are the
    /// rules that ask what others assert, each after those that it asks. The second value lists every literal once. `step` is called between two rules.
    pub fn new(
        queries: &[Expression],
        lists: &Lists,
        tag: &impl Fn(&str) -> u32,
        askers: Vec<RuleIndex>,
        step: &mut dyn FnMut(),
    ) -> (RulePrograms, Vec<Literal>) {
        build::build(queries, lists, tag, askers, step)
    }

    /// All rules that match, ascending; `rules` are those of the policy, and `watch` counts what is done.
    #[inline]
    pub fn evaluate(
        &self,
        rules: &[Rule],
        scanned: Scanned<'_>,
        scratch: &mut Scratch,
        matched: &mut Vec<RuleIndex>,
        watch: &mut impl Watch,
    ) {
        let Scanned { mention, text, hits } = scanned;
        debug_assert!(hits.is_sorted(), "hits come as scanners give them");
        scratch.fit(self);
        matched.clear();
        self.see(hits, scratch);
        let seen = Seen {
            text,
            hits,
            literals: &scratch.literals,
            groups: &scratch.groups,
            members: &scratch.members,
        };
        let answers = &mut scratch.answers;
        for &rule in scratch.candidates.iter().chain(&self.always) {
            watch.ran(rule);
            let matches = self.programs.run(rule.place(), |leaf| {
                watch.asked(rule, &leaf);
                match leaf {
                    Leaf::Atom(atom) => seen.has(atom),
                    leaf => self.answer(leaf, mention, &seen, answers),
                }
            });
            if matches {
                matched.push(rule);
            }
        }
        if !self.asking.order.is_empty() {
            self.evaluate_askers(rules, scanned, scratch, matched, watch);
        }
        matched.sort_unstable();
        scratch.clean(hits);
        debug_assert!(matched.windows(2).all(|pair| pair[0] < pair[1]), "each rule once, ascending");
    }

    /// Notes what was seen, and the rules that follow from it.
    fn see(&self, hits: &[Hit], scratch: &mut Scratch) {
        for hit in hits {
            let literal = hit.literal;
            assert!((literal as usize) < self.by_literal.len(), "a hit names a literal of this policy");
            if !set(&mut scratch.literals, literal) {
                continue;
            }
            for &entry in self.by_literal.of(literal) {
                if let Follows::Group(group) = entry.follows() {
                    scratch.members.push((group, literal));
                    if set(&mut scratch.groups, group) {
                        self.by_group.of(group).iter().for_each(|&entry| scratch.choose(entry));
                    }
                } else {
                    scratch.choose(entry);
                }
            }
        }
    }

    /// The leaves that cost more than a look-up, or concern the mention rather than its text.
    #[inline(never)]
    fn answer(&self, leaf: Leaf<'_>, mention: &Mention<'_>, seen: &Seen<'_>, answers: &mut Answers) -> bool {
        match leaf {
            Leaf::Atom(atom) => seen.has(atom),
            Leaf::Field(field) => answers.field(field, mention),
            Leaf::Pattern(pattern) => answers.pattern(pattern, &self.patterns[pattern as usize], seen.text),
            Leaf::Near(pair) => pair.holds(seen, &mut answers.near),
            Leaf::Tag(_) => unreachable!("invariant: who asks for tags is among the askers"),
        }
    }

    /// Runs the rules that ask what others assert, each when all that it may ask have been run.
    fn evaluate_askers(
        &self,
        rules: &[Rule],
        scanned: Scanned<'_>,
        scratch: &mut Scratch,
        matched: &mut Vec<RuleIndex>,
        watch: &mut impl Watch,
    ) {
        let Scanned { mention, text, hits } = scanned;
        self.asking.always.iter().for_each(|&asker| scratch.wait(asker));
        for &rule in &*matched {
            self.assert_of(rules, rule, scratch);
        }
        while let Some(Reverse(asker)) = scratch.waiting.pop() {
            let rule = self.asking.order[asker as usize];
            let Scratch { literals, groups, members, given, answers, .. } = &mut *scratch;
            let seen = Seen { text, hits, literals, groups, members };
            watch.ran(rule);
            let matches = self.programs.run(rule.place(), |leaf| {
                watch.asked(rule, &leaf);
                match leaf {
                    Leaf::Tag(tag) => {
                        given.get(tag as usize / 64).is_some_and(|word| word >> (tag % 64) & 1 == 1)
                    }
                    Leaf::Field(Field::Category(wanted)) => category(rules, matched) == *wanted,
                    leaf => self.answer(leaf, mention, &seen, answers),
                }
            });
            if matches {
                matched.push(rule);
                self.assert_of(rules, rule, scratch);
                debug_assert!(
                    scratch.waiting.peek().is_none_or(|next| next.0 > asker),
                    "a rule comes after those that it asks"
                );
            }
        }
        scratch.queued[..self.asking.order.len().div_ceil(64)].fill(0);
    }

    /// Notes what a matching rule asserts, and who waits for it.
    fn assert_of(&self, rules: &[Rule], rule: RuleIndex, scratch: &mut Scratch) {
        let Some(rule) = rules.get(rule.place()) else { return };
        for &tag in &rule.tag_numbers {
            let words = tag as usize / 64 + 1;
            if scratch.given.len() < words {
                scratch.given.resize(words, 0);
            }
            if set(&mut scratch.given, tag) {
                scratch.given_tags.push(tag);
                self.asking.by_tag.get(&tag).into_iter().flatten().for_each(|&asker| scratch.wait(asker));
            }
        }
        if let Some(category) = rule.category {
            self.asking.by_category[category as usize].iter().for_each(|&asker| scratch.wait(asker));
        }
    }

    /// The rules that are run when a literal is seen, alone or as one of a group, ascending.
    pub fn triggered_by(&self, literal: u32) -> Vec<RuleIndex> {
        let rule = |entry: &Entry| match entry.follows() {
            Follows::Rule(rule) => Some(rule),
            Follows::Asker(asker) => Some(self.asking.order[asker as usize]),
            Follows::Group(_) => None,
        };
        let mut rules = Vec::new();
        for entry in self.by_literal.of(literal) {
            rules.extend(rule(entry));
            if let Follows::Group(group) = entry.follows() {
                rules.extend(self.by_group.of(group).iter().filter_map(rule));
            }
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The forms of a text that are looked into.
    pub fn forms(&self) -> Forms {
        self.forms
    }

    /// How many rules are run for every mention.
    pub fn always_len(&self) -> usize {
        self.always.len() + self.asking.always.len()
    }
}

impl Scratch {
    /// Makes room for a policy.
    fn fit(&mut self, rules: &RulePrograms) {
        let fit = |bits: &mut Vec<u64>, length: usize| {
            debug_assert!(bits.iter().all(|&word| word == 0), "the last evaluation cleaned up");
            let words = length.div_ceil(64);
            if bits.len() < words {
                bits.resize(words, 0);
            }
        };
        fit(&mut self.literals, rules.by_literal.len());
        fit(&mut self.groups, rules.by_group.len());
        fit(&mut self.chosen, rules.programs.len());
        fit(&mut self.queued, rules.asking.order.len());
        debug_assert!(
            self.candidates.is_empty() && self.waiting.is_empty(),
            "the last evaluation cleaned up"
        );
    }

    fn choose(&mut self, entry: Entry) {
        match entry.follows() {
            Follows::Rule(rule) => {
                if set(&mut self.chosen, rule.0) {
                    self.candidates.push(rule);
                }
            }
            Follows::Asker(asker) => self.wait(asker),
            Follows::Group(_) => unreachable!("invariant: no group is a member of a group"),
        }
    }

    /// Has an asker run when its turn comes.
    fn wait(&mut self, asker: u32) {
        if set(&mut self.queued, asker) {
            self.waiting.push(Reverse(asker));
        }
    }

    /// Forgets the mention, in time in proportion to what was seen of it.
    fn clean(&mut self, hits: &[Hit]) {
        for hit in hits {
            self.literals[hit.literal as usize / 64] = 0;
        }
        for (group, _) in self.members.drain(..) {
            self.groups[group as usize / 64] = 0;
        }
        for rule in self.candidates.drain(..) {
            self.chosen[rule.place() / 64] = 0;
        }
        for tag in self.given_tags.drain(..) {
            self.given[tag as usize / 64] = 0;
        }
        self.answers.clear();
    }
}

/// The category that these rules assert together: of the rule with the highest priority that names one; between equals
/// the first of the closed list.
pub(super) fn category(rules: &[Rule], matched: &[RuleIndex]) -> Category {
    let named = matched.iter().filter_map(|&index| {
        let rule = &rules[index.place()];
        rule.category.map(|category| (Reverse(rule.priority), category))
    });
    named.min().map_or(Category::General, |(_, category)| category)
}

/// The first condition of workflow filters that holds.
pub(super) fn first_true(
    filters: &Programs,
    mention: &Mention<'_>,
    category: Category,
    has_tag: impl Fn(u32) -> bool,
) -> Option<usize> {
    (0..filters.len()).find(|&program| {
        filters.run(program, |leaf| match leaf {
            Leaf::Field(field) => holds(field, mention, category),
            Leaf::Tag(tag) => has_tag(tag),
            // Conditions have no words.
            Leaf::Atom(_) | Leaf::Pattern(_) | Leaf::Near(_) => false,
        })
    })
}

/// The names of a workflow filter's condition, which asks for tags and never for words.
pub(super) struct TagsAlone<T>(pub T);

impl<T: Fn(&str) -> u32> Names for TagsAlone<T> {
    fn literal(&mut self, _: &Literal) -> Atom {
        Atom::Literal(0)
    }

    fn list(&mut self, _: &ListTerm) -> Atom {
        Atom::Literal(0)
    }

    fn any(&mut self, _: &[Expression]) -> Option<Atom> {
        None
    }

    fn tag(&self, tag: &str) -> u32 {
        (self.0)(tag)
    }
}

/// Sets a bit; whether it was not set before.
#[inline]
fn set(bits: &mut [u64], place: u32) -> bool {
    let mask = 1 << (place % 64);
    let word = &mut bits[place as usize / 64];
    let before = *word & mask;
    *word |= mask;
    before == 0
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("invariant: bundles are limited to far fewer than 2^32 terms")
}
