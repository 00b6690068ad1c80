//! What is told of a query: each of its terms, whether it holds, and where it stands.
//!
//! Owns the shapes and the question which terms decide. Filled by `why`, shown by the daemon's verbs; written as JSON by
//! `explain --json`, whose fields these are.

use crate::policy::query::Mark;
use serde::Serialize;

/// Why a rule's query or a filter's condition holds for a mention or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The rule or the filter.
    pub name: String,
    /// The query as written; the terms' places are bytes of it.
    pub query: String,
    /// Whether it holds.
    pub holds: bool,
    /// The whole query.
    pub term: Term,
}

/// One term of a query, or several joined by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// What kind of term.
    pub operator: Operator,
    /// Its first byte in the query.
    pub at: usize,
    /// How many bytes; of joined terms from the first to the last. Never 0.
    pub length: usize,
    /// Whether it is true.
    pub holds: bool,
    /// Where it stands in the mention's text: the first few places.
    pub found: Vec<Found>,
    /// What the mention has instead, how far apart the sides of a NEAR stand, or what parts the words of a phrase; may be
    /// empty.
    pub note: String,
    /// What it joins; of NEAR its two sides.
    pub parts: Vec<Term>,
}

/// Bytes of the mention's text as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Found {
    /// The first, at the border of a character.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
}

/// What kind of term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// All parts.
    And,
    /// One part at least.
    Or,
    /// Not its part.
    Not,
    /// Both parts near each other.
    Near,
    /// Both parts near each other, in this order.
    Onear,
    /// A word or phrase.
    Literal,
    /// A regular expression.
    Regex,
    /// One of a named list.
    List,
    /// A field of the mention.
    Field,
}

impl Term {
    pub(super) fn new(operator: Operator, mark: Mark) -> Term {
        assert!(mark.length > 0, "a term has a place in its query");
        let (at, length) = (mark.at, mark.length);
        Term { operator, at, length, holds: false, found: Vec::new(), note: String::new(), parts: Vec::new() }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { at: self.at, length: self.length }
    }

    /// Whether it is a term by itself; a NEAR is one, with sides.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        !matches!(self.operator, Operator::And | Operator::Or | Operator::Not)
    }

    /// The terms that make it what it is, in the order of the query: of an AND that holds all parts, of one that does
    /// not those that are false; of an OR the other way round.
    #[must_use]
    pub fn deciding(&self) -> Vec<&Term> {
        let mut found = Vec::new();
        self.gather(&mut found);
        found
    }

    fn gather<'t>(&'t self, found: &mut Vec<&'t Term>) {
        if self.is_leaf() {
            found.push(self);
            return;
        }
        // Whatever holds in a true AND holds; in a false one only what is false counts. An OR is its mirror image.
        for part in &self.parts {
            if self.operator == Operator::Not || part.holds == self.holds {
                part.gather(found);
            }
        }
    }

    /// Every leaf in the order of the query.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Term> {
        if self.is_leaf() { vec![self] } else { self.parts.iter().flat_map(Term::leaves).collect() }
    }
}

impl Why {
    /// What is written at a term's place.
    #[must_use]
    pub fn written(&self, term: &Term) -> &str {
        self.query.get(term.at..term.at + term.length).unwrap_or_default()
    }

    /// Whether only one of the parts that it asks for is missing, and something of the text was found: a near miss.
    #[must_use]
    pub fn is_near_miss(&self) -> bool {
        if self.holds || self.term.operator != Operator::And {
            return false;
        }
        let missing = self.term.parts.iter().filter(|part| !part.holds).count();
        missing == 1 && self.term.parts.iter().any(Term::stands_in_text)
    }

    /// The parts that are false, in the words of the query.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let told = |term: &&Term| format!("`{}` is {}", self.written(term), term.holds);
        self.term.deciding().iter().map(told).collect()
    }
}

impl Term {
    /// Whether it holds because of something in the text.
    fn stands_in_text(&self) -> bool {
        self.holds && (!self.found.is_empty() || self.parts.iter().any(Term::stands_in_text))
    }
}
