//! Queries and conditions as flat programs, and the index that says which programs are worth running.
//!
//! Owns their evaluation, which allocates nothing and cannot fail: the language is total, and a field that is
//! absent is simply not equal. May not know names or files. Made by `compile`, run by `Policy`.
//!
//! A program is a list of steps over one accumulator with forward jumps, so AND and OR stop early and need no
//! stack. A rule is run only when one of its triggers was seen (`Expression::triggers`); the rules that can be
//! true without any literal are run for every mention.

use super::accounts::without_at;
use super::query::{Expression, Field};
use super::{Category, RuleIndex};
use crate::model::Mention;
use crate::scan::{Hit, Literal};
use crate::text::Accents;
use std::collections::BTreeMap;
use std::ops::Range;

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The accumulator becomes: this literal was seen.
    Literal(u32),
    /// The accumulator becomes: this field holds.
    Field(u32),
    /// The accumulator becomes: a matching rule gave this tag.
    Tag(u32),
    Not,
    /// Go on at this step of the program when the accumulator is false.
    WhenFalse(u32),
    /// Go on at this step of the program when the accumulator is true.
    WhenTrue(u32),
}

/// What a step asks of the outside.
#[derive(Debug, Clone, Copy)]
enum Leaf<'p> {
    Literal(u32),
    Field(&'p Field),
    Tag(u32),
}

/// Programs that share their steps and fields.
#[derive(Debug, Default)]
pub(super) struct Programs {
    steps: Vec<Step>,
    ranges: Vec<Range<u32>>,
    fields: Vec<Field>,
}

impl Programs {
    /// Compiles one more expression. `literal` and `tag` give the numbers of what it names.
    pub fn push(
        &mut self,
        expression: &Expression,
        literal: &impl Fn(&Literal) -> u32,
        tag: &impl Fn(&str) -> u32,
    ) {
        let start = self.steps.len();
        self.emit(expression, start, literal, tag);
        assert!(self.steps.len() > start, "a program has at least one step");
        self.ranges.push(number(start)..number(self.steps.len()));
    }

    /// How many programs there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    fn emit(
        &mut self,
        expression: &Expression,
        start: usize,
        literal: &impl Fn(&Literal) -> u32,
        tag: &impl Fn(&str) -> u32,
    ) {
        match expression {
            Expression::Literal(text) => self.steps.push(Step::Literal(literal(text))),
            Expression::Field(Field::Tag(name), _) => self.steps.push(Step::Tag(tag(name))),
            Expression::Field(field, _) => {
                let known = self.fields.iter().position(|f| f == field);
                let place = known.unwrap_or_else(|| {
                    self.fields.push(field.clone());
                    self.fields.len() - 1
                });
                self.steps.push(Step::Field(number(place)));
            }
            Expression::Not(part) => {
                self.emit(part, start, literal, tag);
                self.steps.push(Step::Not);
            }
            Expression::And(parts) | Expression::Or(parts) => {
                assert!(parts.len() >= 2, "AND and OR have two parts or more");
                let mut jumps = Vec::new();
                for (place, part) in parts.iter().enumerate() {
                    if place > 0 {
                        jumps.push(self.steps.len());
                        self.steps.push(Step::Not);
                    }
                    self.emit(part, start, literal, tag);
                }
                let end = number(self.steps.len() - start);
                let and = matches!(expression, Expression::And(_));
                for jump in jumps {
                    self.steps[jump] = if and { Step::WhenFalse(end) } else { Step::WhenTrue(end) };
                }
            }
        }
    }

    fn run<'p>(&'p self, program: usize, mut leaf: impl FnMut(Leaf<'p>) -> bool) -> bool {
        let range = &self.ranges[program];
        let steps = &self.steps[range.start as usize..range.end as usize];
        let (mut at, mut value) = (0, false);
        while let Some(step) = steps.get(at) {
            at += 1;
            match *step {
                Step::Literal(literal) => value = leaf(Leaf::Literal(literal)),
                Step::Field(field) => value = leaf(Leaf::Field(&self.fields[field as usize])),
                Step::Tag(tag) => value = leaf(Leaf::Tag(tag)),
                Step::Not => value = !value,
                Step::WhenFalse(end) if !value => at = end as usize,
                Step::WhenTrue(end) if value => at = end as usize,
                Step::WhenFalse(_) | Step::WhenTrue(_) => {}
            }
        }
        value
    }

    /// The first program that holds, for workflow filters.
    pub fn first_true(
        &self,
        mention: &Mention<'_>,
        category: Category,
        has_tag: impl Fn(u32) -> bool,
    ) -> Option<usize> {
        (0..self.len()).find(|&program| {
            self.run(program, |leaf| match leaf {
                Leaf::Literal(_) => false,
                Leaf::Field(field) => holds(field, mention, Some(category)),
                Leaf::Tag(tag) => has_tag(tag),
            })
        })
    }
}

/// The rules' programs with their index by literal.
#[derive(Debug, Default)]
pub(super) struct RulePrograms {
    programs: Programs,
    literals: usize,
    /// The rules to run when literal `n` was seen: `triggered[offsets[n]..offsets[n + 1]]`.
    offsets: Vec<u32>,
    triggered: Vec<RuleIndex>,
    /// The rules that can match with no literal seen.
    always: Vec<RuleIndex>,
}

/// Room for one evaluation at a time; kept by a worker and used again, also under another policy.
#[derive(Debug, Default)]
pub struct Scratch {
    seen: Vec<u64>,
    chosen: Vec<u64>,
    candidates: Vec<RuleIndex>,
}

impl RulePrograms {
    /// Compiles the rules' queries, in the order of their indices. The second value lists every literal once.
    pub fn new(queries: &[Expression]) -> (RulePrograms, Vec<Literal>) {
        let mut numbers: BTreeMap<(&str, bool), u32> = BTreeMap::new();
        for query in queries {
            query.leaves(&mut |leaf| {
                if let Expression::Literal(literal) = leaf {
                    numbers.insert(literal_key(literal), 0);
                }
            });
        }
        let mut literals = Vec::with_capacity(numbers.len());
        for (place, ((text, exact), value)) in numbers.iter_mut().enumerate() {
            *value = number(place);
            let accents = if *exact { Accents::Exact } else { Accents::Ignore };
            literals.push(Literal { text: (*text).to_owned(), accents });
        }
        let mut rules = RulePrograms { literals: literals.len(), ..RulePrograms::default() };
        let mut by_literal: Vec<Vec<RuleIndex>> = vec![Vec::new(); literals.len()];
        for (place, query) in queries.iter().enumerate() {
            let index = RuleIndex::new(place);
            rules.programs.push(query, &|literal| numbers[&literal_key(literal)], &|_| {
                unreachable!("the parser refuses tags in rules")
            });
            match query.triggers() {
                Some(triggers) => {
                    assert!(!triggers.is_empty(), "a set of triggers has a literal");
                    for literal in triggers {
                        by_literal[numbers[&literal_key(literal)] as usize].push(index);
                    }
                }
                None => rules.always.push(index),
            }
        }
        for list in &by_literal {
            rules.offsets.push(number(rules.triggered.len()));
            rules.triggered.extend_from_slice(list);
        }
        rules.offsets.push(number(rules.triggered.len()));
        (rules, literals)
    }

    /// All rules that match, ascending. `hits` may name a literal more than once.
    pub fn evaluate(
        &self,
        mention: &Mention<'_>,
        hits: &[Hit],
        scratch: &mut Scratch,
        matched: &mut Vec<RuleIndex>,
    ) {
        let words = |bits: usize| bits.div_ceil(64);
        if scratch.seen.len() < words(self.literals) {
            scratch.seen.resize(words(self.literals), 0);
        }
        if scratch.chosen.len() < words(self.programs.len()) {
            scratch.chosen.resize(words(self.programs.len()), 0);
        }
        debug_assert!(scratch.candidates.is_empty(), "the last evaluation cleaned up");
        debug_assert!(scratch.seen.iter().all(|&word| word == 0), "the last evaluation cleaned up");
        matched.clear();
        for hit in hits {
            let literal = hit.literal as usize;
            assert!(literal < self.literals, "a hit names a literal of this policy");
            if set(&mut scratch.seen, literal) {
                let (from, to) = (self.offsets[literal] as usize, self.offsets[literal + 1] as usize);
                for &rule in &self.triggered[from..to] {
                    if set(&mut scratch.chosen, rule.place()) {
                        scratch.candidates.push(rule);
                    }
                }
            }
        }
        let seen = &scratch.seen;
        let matches = |rule: RuleIndex| {
            self.programs.run(rule.place(), |leaf| match leaf {
                Leaf::Literal(literal) => seen[literal as usize / 64] >> (literal % 64) & 1 == 1,
                Leaf::Field(field) => holds(field, mention, None),
                Leaf::Tag(_) => false,
            })
        };
        let candidates = scratch.candidates.iter().chain(&self.always);
        matched.extend(candidates.copied().filter(|&rule| matches(rule)));
        matched.sort_unstable();
        for hit in hits {
            scratch.seen[hit.literal as usize / 64] = 0;
        }
        for rule in scratch.candidates.drain(..) {
            scratch.chosen[rule.place() / 64] = 0;
        }
        debug_assert!(matched.windows(2).all(|pair| pair[0] < pair[1]), "each rule once, ascending");
    }

    /// How many rules are run for every mention.
    pub fn always_len(&self) -> usize {
        self.always.len()
    }
}

fn literal_key(literal: &Literal) -> (&str, bool) {
    (&literal.text, matches!(literal.accents, Accents::Exact))
}

/// Sets a bit; whether it was not set before.
fn set(bits: &mut [u64], place: usize) -> bool {
    let mask = 1 << (place % 64);
    let before = bits[place / 64] & mask;
    bits[place / 64] |= mask;
    before == 0
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("invariant: bundles are limited to far fewer than 2^32 terms")
}

/// Whether a field of the mention is as asked. Without a category no category holds.
pub(super) fn holds(field: &Field, mention: &Mention<'_>, category: Option<Category>) -> bool {
    match field {
        Field::Lang(lang) => {
            let said = mention.lang.as_bytes();
            said.get(..lang.len()).is_some_and(|start| start.eq_ignore_ascii_case(lang.as_bytes()))
                && matches!(said.get(lang.len()), None | Some(b'-' | b'_'))
        }
        Field::Kind(kind) => mention.kind == *kind,
        Field::Network(network) => mention.network == network,
        Field::Account(account) => without_at(mention.account).eq_ignore_ascii_case(account),
        Field::Followers(comparison, limit) => comparison.holds(mention.author.followers, *limit),
        Field::Verified(verified) => mention.author.verified == *verified,
        Field::Repost(repost) => mention.repost_of.is_some() == *repost,
        Field::Category(wanted) => category == Some(*wanted),
        // Tags are steps of their own.
        Field::Tag(_) => false,
    }
}
