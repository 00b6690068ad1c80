//! A query as a tree, before it is compiled.
//!
//! Owns the shapes alone, and the question which literals must be seen for a query to be true. Made by
//! `parse`, read by `policy::program`, by the lints and by whoever explains a decision.

use super::field::Field;
use crate::scan::Literal;
use crate::text::Accents;

/// Where a leaf is written: bytes of the query, for those who show which part was false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The first byte.
    pub at: usize,
    /// How many bytes; never 0.
    pub length: usize,
}

impl Mark {
    /// What stands there.
    pub fn of<'q>(&self, query: &'q str) -> &'q str {
        query.get(self.at..self.at + self.length).unwrap_or_default()
    }
}

/// A parsed query or filter condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// The text holds this literal.
    Literal(Literal, Mark),
    /// The text holds something that this pattern matches.
    Regex(Pattern, Mark),
    /// The text holds one of the terms of a list.
    List(ListTerm, Mark),
    /// Two things stand near each other. Its mark is the operator alone; its operands are leaves with theirs.
    Near(Near, Mark),
    /// A field of the mention is as asked.
    Field(Field, Mark),
    /// The part is false.
    Not(Box<Expression>),
    /// All parts are true; two or more.
    And(Vec<Expression>),
    /// One part is true; two or more.
    Or(Vec<Expression>),
}

/// A regular expression that is known to compile inside its limits, to be run over the normal form that `accents` names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// As `super::regex::compile` takes it: without its slashes, `\/` unescaped, normalised where it must be.
    pub text: String,
    /// The form of the text that it is run over.
    pub accents: Accents,
}

/// A named list as one rule asks for it. Thousands of rules may name the same: it is compiled once for each form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListTerm {
    /// The list's name, without `$`.
    pub name: String,
    /// The form of the text that its terms are looked for in.
    pub accents: Accents,
}

/// Two things that stand near each other, or one before the other.
///
/// An operand stands for a set of spans of the text: a literal for each of its hits, a list or an OR for those of all its
/// parts, and a NEAR in parentheses for each pair that makes it true, from the first byte of the one to the last
/// byte of the other. `left NEAR/n right` is true when there are a span of `left` and a span of `right` that
/// - do not overlap,
/// - stand in one line of the normal text (a CamelCase hashtag taken apart is a line of its own),
/// - stand in the order written, if `ordered` (`ONEAR/n`); in either order if not,
/// - and have at most `words_max` words between the end of the first and the start of the second.
///
/// So `NEAR/0` finds neighbours, and `ONEAR/0` is a phrase. This is the definition of Brandwatch (`NEAR/2f`: "2 or fewer
/// words in-between") and, for the ordered one, of Lucene's slop. A word between is a longest run of word characters
/// (`text::is_word`: letters, digits, `_`, marks) of scripts that put blanks between words; an apostrophe between two word
/// characters does not end the run, so `don't` is one word; `@handle` and `#tag` count as the words that they hold.
/// In scripts without blanks (CJK, kana, Hangul, Thai) each character counts as one. Punctuation and emoji count nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// How many words may stand between, at most; 0 to `NEAR_WORDS_MAX`.
    pub words_max: u32,
    /// Whether `left` must come first.
    pub ordered: bool,
    /// One side: a `Literal`, a `List`, a `Near`, or an `Or` of those; never anything else.
    pub left: Box<Expression>,
    /// The other side, likewise.
    pub right: Box<Expression>,
}

/// What may be seen in a text by itself, and so make a rule worth running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger<'t> {
    /// A literal.
    Literal(&'t Literal),
    /// Any term of a list.
    List(&'t ListTerm),
}

impl Trigger<'_> {
    /// How telling it is: the bytes of the literal, 0 for a list.
    fn weight(&self) -> usize {
        match self {
            Trigger::Literal(literal) => literal.text.len(),
            Trigger::List(_) => 0,
        }
    }
}

impl Expression {
    /// A set of literals and lists of which at least one is seen whenever this is true; `None` when it can be true
    /// with none seen, as `NOT giveaway` can.
    ///
    /// Of the parts of an AND any one will do: the set with the fewest members, then the one whose shortest
    /// literal is longest, since long literals are rare.
    pub fn triggers(&self) -> Option<Vec<Trigger<'_>>> {
        self.triggers_when(true)
    }

    fn triggers_when(&self, wanted: bool) -> Option<Vec<Trigger<'_>>> {
        match (self, wanted) {
            (Expression::Literal(literal, _), true) => Some(vec![Trigger::Literal(literal)]),
            (Expression::List(list, _), true) => Some(vec![Trigger::List(list)]),
            (Expression::Near(near, _), true) => fewest([&*near.left, &*near.right].into_iter(), true),
            (Expression::Literal(..) | Expression::List(..) | Expression::Near(..), false)
            | (Expression::Field(..) | Expression::Regex(..), _) => None,
            (Expression::Not(part), _) => part.triggers_when(!wanted),
            // "Not all of them" is "one of them not", and the other way round.
            (Expression::And(parts), true) | (Expression::Or(parts), false) => fewest(parts.iter(), wanted),
            (Expression::Or(parts), true) | (Expression::And(parts), false) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.triggers_when(wanted)?);
                }
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
        }
    }

    /// Calls `visit` with every leaf, from left to right; the operands of a `Near` too, after the `Near` itself.
    pub fn leaves<'t>(&'t self, visit: &mut impl FnMut(&'t Expression)) {
        match self {
            Expression::Literal(..)
            | Expression::Regex(..)
            | Expression::List(..)
            | Expression::Field(..) => {
                visit(self);
            }
            Expression::Near(near, _) => {
                visit(self);
                near.left.leaves(visit);
                near.right.leaves(visit);
            }
            Expression::Not(part) => part.leaves(visit),
            Expression::And(parts) | Expression::Or(parts) => {
                parts.iter().for_each(|part| part.leaves(visit))
            }
        }
    }

    /// Whether this stands for spans of the text, and so may stand beside NEAR.
    pub fn has_spans(&self) -> bool {
        match self {
            Expression::Literal(..) | Expression::List(..) | Expression::Near(..) => true,
            Expression::Or(parts) => parts.iter().all(Expression::has_spans),
            Expression::Regex(..) | Expression::Field(..) | Expression::Not(_) | Expression::And(_) => false,
        }
    }
}

/// The smallest set of triggers among those of the parts.
fn fewest<'t>(parts: impl Iterator<Item = &'t Expression>, wanted: bool) -> Option<Vec<Trigger<'t>>> {
    parts.filter_map(|part| part.triggers_when(wanted)).min_by_key(|set| {
        let shortest = set.iter().map(Trigger::weight).min().unwrap_or(0);
        (set.len(), std::cmp::Reverse(shortest))
    })
}
