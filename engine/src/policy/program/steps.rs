//! Queries and conditions as flat programs over one accumulator.
//!
//! Owns the steps, their compilation and the machine that runs them, which allocates nothing and cannot fail. May not
//! know what a leaf means: it asks. Made by `build`, run for rules by `RulePrograms` and for workflow filters by `Policy`.
//!
//! A program is a list of steps with forward jumps, so AND and OR stop early and need no stack.

use super::bytes::vec_bytes;
use super::near::{NearProgram, Operand, Reach};
use super::number;
use crate::policy::query::{Expression, Field, ListTerm, Near, Pattern};
use crate::scan::Literal;
use crate::text::Form;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// What the scanner sees of a text: one literal, or any literal of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Atom {
    /// By its place among the policy's literals.
    Literal(u32),
    /// By its place among the groups.
    Group(u32),
}

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// The accumulator becomes: this literal was seen.
    Literal(u32),
    /// The accumulator becomes: a literal of this group was seen.
    Group(u32),
    /// The accumulator becomes: this field holds.
    Field(u32),
    /// The accumulator becomes: a matching rule gave this tag.
    Tag(u32),
    /// The accumulator becomes: this pattern matches.
    Pattern(u32),
    /// The accumulator becomes: this stands near that.
    Near(u32),
    Not,
    /// Go on at this step of the program when the accumulator is false.
    WhenFalse(u32),
    /// Go on at this step of the program when the accumulator is true.
    WhenTrue(u32),
}

/// What a step asks of the outside.
#[derive(Debug, Clone, Copy)]
pub enum Leaf<'p> {
    /// Whether a literal or a group was seen.
    Atom(Atom),
    /// Whether a field holds.
    Field(&'p Field),
    /// Whether a matching rule gave this tag.
    Tag(u32),
    /// Whether this pattern matches, by its place in [`Programs::patterns`].
    Pattern(u32),
    /// Whether two things stand near each other.
    Near(&'p NearProgram),
}

/// Who numbers what programs name.
pub trait Names {
    /// The number of a word or phrase.
    fn literal(&mut self, literal: &Literal) -> Atom;
    /// The number of a list.
    fn list(&mut self, list: &ListTerm) -> Atom;
    /// One number for all of these, if that is wise: they are literals and lists, and any of them will do.
    fn any(&mut self, parts: &[Expression]) -> Option<Atom>;
    /// The number of a tag.
    fn tag(&self, tag: &str) -> u32;
}

/// Programs that share their steps, fields, patterns and pairs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Programs {
    steps: Vec<Step>,
    ranges: Vec<Range<u32>>,
    fields: Vec<Field>,
    patterns: Vec<Pattern>,
    pairs: Vec<NearProgram>,
    known_fields: BTreeMap<Field, u32>,
    known_patterns: BTreeMap<Pattern, u32>,
}

impl Programs {
    /// Compiles one more expression.
    pub fn push(&mut self, expression: &Expression, names: &mut impl Names) {
        let start = self.steps.len();
        self.emit(expression, start, names);
        assert!(self.steps.len() > start, "a program has at least one step");
        self.ranges.push(number(start)..number(self.steps.len()));
    }

    /// How many programs there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Every regular expression, each once.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Every pair of things that must stand near each other.
    pub fn pairs(&self) -> &[NearProgram] {
        &self.pairs
    }

    /// The bytes of its own tables.
    pub fn flat_bytes(&self) -> usize {
        vec_bytes(&self.steps)
            + vec_bytes(&self.ranges)
            + vec_bytes(&self.fields)
            + vec_bytes(&self.patterns)
            + vec_bytes(&self.pairs)
    }

    /// No program comes any more: what only compiling needs is let go.
    pub fn finish(&mut self) {
        self.known_fields = BTreeMap::new();
        self.known_patterns = BTreeMap::new();
        self.steps.shrink_to_fit();
        self.ranges.shrink_to_fit();
        self.fields.shrink_to_fit();
        self.patterns.shrink_to_fit();
        self.pairs.shrink_to_fit();
    }

    fn emit(&mut self, expression: &Expression, start: usize, names: &mut impl Names) {
        let step = match expression {
            Expression::Literal(literal, _) => step_of(names.literal(literal)),
            Expression::List(list, _) => step_of(names.list(list)),
            Expression::Regex(pattern, _) => {
                Step::Pattern(place(&mut self.known_patterns, &mut self.patterns, pattern))
            }
            Expression::Near(near, _) => {
                self.pairs.push(near_program(near, names));
                Step::Near(number(self.pairs.len() - 1))
            }
            Expression::Field(Field::Tag(name), _) => Step::Tag(names.tag(name)),
            Expression::Field(field, _) => {
                Step::Field(place(&mut self.known_fields, &mut self.fields, field))
            }
            Expression::Not(part) => {
                self.emit(part, start, names);
                Step::Not
            }
            Expression::And(parts) => return self.emit_all(parts, true, start, names),
            Expression::Or(parts) => match names.any(parts) {
                Some(atom) => step_of(atom),
                None => return self.emit_all(parts, false, start, names),
            },
        };
        self.steps.push(step);
    }

    fn emit_all(&mut self, parts: &[Expression], and: bool, start: usize, names: &mut impl Names) {
        assert!(parts.len() >= 2, "AND and OR have two parts or more");
        let mut jumps = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                jumps.push(self.steps.len());
                self.steps.push(Step::Not);
            }
            self.emit(part, start, names);
        }
        let end = number(self.steps.len() - start);
        for jump in jumps {
            self.steps[jump] = if and { Step::WhenFalse(end) } else { Step::WhenTrue(end) };
        }
    }

    /// Runs one program.
    #[inline]
    pub fn run<'p>(&'p self, program: usize, mut leaf: impl FnMut(Leaf<'p>) -> bool) -> bool {
        let range = &self.ranges[program];
        let steps = &self.steps[range.start as usize..range.end as usize];
        let (mut at, mut value) = (0, false);
        while let Some(step) = steps.get(at) {
            at += 1;
            match *step {
                Step::Literal(literal) => value = leaf(Leaf::Atom(Atom::Literal(literal))),
                Step::Group(group) => value = leaf(Leaf::Atom(Atom::Group(group))),
                Step::Field(field) => value = leaf(Leaf::Field(&self.fields[field as usize])),
                Step::Tag(tag) => value = leaf(Leaf::Tag(tag)),
                Step::Pattern(pattern) => value = leaf(Leaf::Pattern(pattern)),
                Step::Near(pair) => value = leaf(Leaf::Near(&self.pairs[pair as usize])),
                Step::Not => value = !value,
                Step::WhenFalse(end) if !value => at = end as usize,
                Step::WhenTrue(end) if value => at = end as usize,
                Step::WhenFalse(_) | Step::WhenTrue(_) => {}
            }
        }
        value
    }
}

fn step_of(atom: Atom) -> Step {
    match atom {
        Atom::Literal(literal) => Step::Literal(literal),
        Atom::Group(group) => Step::Group(group),
    }
}

/// The place of `value` among all, where it is put if it is new.
fn place<T: Clone + Ord>(known: &mut BTreeMap<T, u32>, all: &mut Vec<T>, value: &T) -> u32 {
    if let Some(&place) = known.get(value) {
        return place;
    }
    let place = number(all.len());
    known.insert(value.clone(), place);
    all.push(value.clone());
    place
}

fn near_program(near: &Near, names: &mut impl Names) -> NearProgram {
    let mut form = None;
    let mut sides = [Operand::default(), Operand::default()];
    for (side, operand) in [&near.left, &near.right].into_iter().zip(&mut sides) {
        gather(side, names, operand, &mut form);
    }
    let form = form.expect("invariant: what stands beside NEAR has words");
    let [left, right] = sides;
    NearProgram::new(left, right, Reach::of(near), form)
}

/// Adds the words, lists and pairs of one side of NEAR to its operand.
fn gather(side: &Expression, names: &mut impl Names, operand: &mut Operand, form: &mut Option<Form>) {
    match side {
        Expression::Literal(literal, _) => {
            *form = Some(literal.form);
            operand.atoms.push(names.literal(literal));
        }
        Expression::List(list, _) => {
            *form = Some(list.form);
            operand.atoms.push(names.list(list));
        }
        Expression::Near(near, _) => {
            let inner = near_program(near, names);
            *form = Some(inner.form());
            operand.pairs.push(inner);
        }
        Expression::Or(parts) => parts.iter().for_each(|part| gather(part, names, operand, form)),
        Expression::Regex(..) | Expression::Field(..) | Expression::Not(_) | Expression::And(_) => {
            unreachable!("invariant: the parser lets only what has spans stand beside NEAR")
        }
    }
}
