//! Queries and conditions as flat programs, and the index that says which programs are worth running.
//!
//! Owns their evaluation, which allocates nothing and cannot fail: the language is total, and a field that is
//! absent is simply not equal. May not know names or files. Made by `compile`, run by `Policy`.
//!
//! A program is a list of steps over one accumulator with forward jumps, so AND and OR stop early and need no
//! stack. A rule is run only when one of its triggers was seen (`Expression::triggers`); the rules that can be
//! true without any literal are run for every mention.

use super::accounts::without_at;
use super::query::{Expression, Field, ListTerm, Lists, Trigger};
use super::{Category, Rule, RuleIndex};
use crate::model::Mention;
use crate::scan::{Hit, Literal};
use crate::text::NormalText;
use std::collections::BTreeMap;
use std::ops::Range;

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The accumulator becomes: this literal was seen.
    Literal(u32),
    /// The accumulator becomes: a term of this list was seen.
    List(u32),
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
    List(u32),
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
    /// Compiles one more expression. `numbers` gives the numbers of the words and lists that it names, `tag` those of tags.
    pub fn push(
        &mut self,
        expression: &Expression,
        numbers: &impl Fn(Trigger<'_>) -> u32,
        tag: &impl Fn(&str) -> u32,
    ) {
        let start = self.steps.len();
        self.emit(expression, start, numbers, tag);
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
        numbers: &impl Fn(Trigger<'_>) -> u32,
        tag: &impl Fn(&str) -> u32,
    ) {
        match expression {
            Expression::Literal(text, _) => self.steps.push(Step::Literal(numbers(Trigger::Literal(text)))),
            Expression::List(list, _) => self.steps.push(Step::List(numbers(Trigger::List(list)))),
            Expression::Regex(..) | Expression::Near(..) => {
                unreachable!("compile refuses what cannot be run yet")
            }
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
                self.emit(part, start, numbers, tag);
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
                    self.emit(part, start, numbers, tag);
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
                Step::List(list) => value = leaf(Leaf::List(list)),
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
                Leaf::Literal(_) | Leaf::List(_) => false,
                Leaf::Field(field) => holds(field, mention, category),
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
    /// For each list in each form, its literals.
    lists: Vec<Vec<u32>>,
    /// The rules that can match with no literal seen.
    always: Vec<RuleIndex>,
    /// The rules that ask what other rules assert, each after those that it asks.
    askers: Vec<RuleIndex>,
}

/// Room for one evaluation at a time; kept by a worker and used again, also under another policy.
#[derive(Debug, Default)]
pub struct Scratch {
    seen: Vec<u64>,
    chosen: Vec<u64>,
    candidates: Vec<RuleIndex>,
}

impl RulePrograms {
    /// Compiles the rules' queries, in the order of their indices. `tag` gives the numbers of tags, `askers` are the
    /// rules that ask what others assert, each after those that it asks. The second value lists every literal once.
    pub fn new(
        queries: &[Expression],
        lists: &Lists,
        tag: &impl Fn(&str) -> u32,
        askers: Vec<RuleIndex>,
    ) -> (RulePrograms, Vec<Literal>) {
        let mut of_lists: BTreeMap<&ListTerm, Vec<Literal>> = BTreeMap::new();
        let mut numbers: BTreeMap<Literal, u32> = BTreeMap::new();
        for query in queries {
            query.leaves(&mut |leaf| match leaf {
                Expression::Literal(literal, _) => _ = numbers.insert(literal.clone(), 0),
                Expression::List(list, _) => {
                    let literals =
                        || lists.get(&list.name).map_or_else(Vec::new, |l| l.literals(list.accents));
                    of_lists.entry(list).or_insert_with(literals);
                }
                _ => {}
            });
        }
        numbers.extend(of_lists.values().flatten().map(|literal| (literal.clone(), 0)));
        numbers.values_mut().enumerate().for_each(|(place, value)| *value = number(place));
        let members = |list: &ListTerm| of_lists[list].iter().map(|literal| numbers[literal]);
        let mut rules = RulePrograms {
            literals: numbers.len(),
            lists: of_lists.keys().map(|list| members(list).collect()).collect(),
            askers,
            ..RulePrograms::default()
        };
        let number_of = |trigger: Trigger<'_>| match trigger {
            Trigger::Literal(literal) => numbers[literal],
            Trigger::List(list) => number(of_lists.range::<ListTerm, _>(..list).count()),
        };
        let mut by_literal: Vec<Vec<RuleIndex>> = vec![Vec::new(); numbers.len()];
        for (place, query) in queries.iter().enumerate() {
            let index = RuleIndex::new(place);
            rules.programs.push(query, &number_of, tag);
            let Some(triggers) = query.triggers() else {
                rules.always.push(index);
                continue;
            };
            for trigger in triggers {
                match trigger {
                    Trigger::Literal(literal) => by_literal[numbers[literal] as usize].push(index),
                    Trigger::List(list) => members(list).for_each(|at| by_literal[at as usize].push(index)),
                }
            }
        }
        for list in &by_literal {
            rules.offsets.push(number(rules.triggered.len()));
            rules.triggered.extend_from_slice(list);
        }
        rules.offsets.push(number(rules.triggered.len()));
        (rules, numbers.into_keys().collect())
    }

    /// All rules that match, ascending. `hits` may name a literal more than once; `rules` are those of the policy.
    pub fn evaluate(
        &self,
        rules: &[Rule],
        mention: &Mention<'_>,
        _text: &NormalText,
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
        let is_seen = |literal: u32| seen[literal as usize / 64] >> (literal % 64) & 1 == 1;
        let matches = |rule: RuleIndex, before: &[RuleIndex]| {
            self.programs.run(rule.place(), |leaf| match leaf {
                Leaf::Literal(literal) => is_seen(literal),
                Leaf::List(list) => self.lists[list as usize].iter().any(|&literal| is_seen(literal)),
                Leaf::Field(field @ Field::Category(_)) => holds(field, mention, category(rules, before)),
                Leaf::Field(field) => holds(field, mention, Category::General),
                Leaf::Tag(tag) => {
                    before.iter().any(|&rule| rules[rule.place()].tag_numbers.binary_search(&tag).is_ok())
                }
            })
        };
        let candidates = scratch.candidates.iter().chain(&self.always).copied();
        let (askers, others): (Vec<_>, Vec<_>) = match self.askers.is_empty() {
            true => (Vec::new(), Vec::new()),
            false => candidates.clone().partition(|rule| self.askers.contains(rule)),
        };
        if self.askers.is_empty() {
            matched.extend(candidates.filter(|&rule| matches(rule, &[])));
        } else {
            matched.extend(others.into_iter().filter(|&rule| matches(rule, &[])));
            for &asker in self.askers.iter().filter(|asker| askers.contains(asker)) {
                if matches(asker, matched) {
                    matched.push(asker);
                }
            }
        }
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

/// The category that these rules assert together: of the rule with the highest priority that names one; between equals
/// the first of the closed list.
pub(super) fn category(rules: &[Rule], matched: &[RuleIndex]) -> Category {
    let named = matched.iter().filter_map(|&index| {
        let rule = &rules[index.place()];
        rule.category.map(|category| (std::cmp::Reverse(rule.priority), category))
    });
    named.min().map_or(Category::General, |(_, category)| category)
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

/// Whether a field of the mention is as asked.
pub(super) fn holds(field: &Field, mention: &Mention<'_>, category: Category) -> bool {
    match field {
        Field::Lang(lang) => {
            let said = mention.lang.as_bytes();
            said.get(..lang.len()).is_some_and(|start| start.eq_ignore_ascii_case(lang.as_bytes()))
                && matches!(said.get(lang.len()), None | Some(b'-' | b'_'))
        }
        Field::Kind(kind) => mention.kind == *kind,
        Field::Network(network) => mention.network == network,
        Field::Account(account) => without_at(mention.account).eq_ignore_ascii_case(account),
        Field::Author(handle) => without_at(mention.author.handle).eq_ignore_ascii_case(handle),
        Field::Followers(bounds) => bounds.holds(mention.author.followers),
        Field::Visibility(visibility) => mention.visibility == *visibility,
        Field::Verified(verified) => mention.author.verified == *verified,
        Field::Repost(repost) => mention.repost_of.is_some() == *repost,
        Field::Promoted(promoted) => mention.promoted == *promoted,
        Field::Has(feature) => feature.is_in(mention.text),
        Field::Category(wanted) => category == *wanted,
        // Tags are steps of their own.
        Field::Tag(_) => false,
    }
}
