//! A query as a tree, before it is compiled.
//!
//! Owns the shapes alone. Made by `parse`, read by `policy::program`, by the lints and by whoever explains a decision.

use super::field::Field;
use crate::scan::Literal;
use crate::text::Form;
use serde::{Deserialize, Serialize};

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

/// A regular expression that is known to compile inside its limits, to be run over one form of the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// As `super::regex::Compiled` takes it: without its slashes, `\/` unescaped, normalised where it must be.
    pub text: String,
    /// The form of the text that it is run over.
    pub form: Form,
}

/// A named list as one rule asks for it. Thousands of rules may name the same: it is compiled once for each form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListTerm {
    /// The list's name, without `$`.
    pub name: String,
    /// The form of the text that its terms are looked for in.
    pub form: Form,
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

impl Expression {
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

    /// Where a leaf is written.
    ///
    /// # Panics
    /// For NOT, AND and OR, which have no place of their own.
    #[cfg(test)]
    pub fn mark(&self) -> Mark {
        match self {
            Expression::Literal(_, mark)
            | Expression::Regex(_, mark)
            | Expression::List(_, mark)
            | Expression::Near(_, mark)
            | Expression::Field(_, mark) => *mark,
            Expression::Not(_) | Expression::And(_) | Expression::Or(_) => panic!("no leaf: {self:?}"),
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
