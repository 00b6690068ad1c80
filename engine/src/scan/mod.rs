//! Finding literals in normal texts: what a matcher promises, and the reference that keeps the promise.
//!
//! Owns `Literal`, `Hit` and the two traits behind which every matcher stands, so that one table of tests and one
//! differential check run over all of them. May not know rules. Called by the policy compiler (which makes the
//! literals), by the scan stage (which asks for hits) and by the daemon's own matchers (which implement it).

mod reference;
#[cfg(test)]
mod tests;
mod words;

pub use reference::ReferenceMatcher;
pub use words::WordMatcher;

use crate::text::{Edges, Form, NormalText, normalise_term};
use serde::{Deserialize, Serialize};

/// A word or phrase to look for, in normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Literal {
    /// What is looked for: not empty, without line breaks, a result of `normalise_term`.
    pub text: String,
    /// Which form of a text it is looked for in.
    pub form: Form,
    /// Which of its sides must end where a word ends.
    pub edges: Edges,
}

impl Literal {
    /// The whole-word literal of a query's term; none if nothing is left of it, as of a term of invisible characters.
    #[must_use]
    pub fn of_term(term: &str, form: impl Into<Form>) -> Option<Literal> {
        let form = form.into();
        let text = normalise_term(term, form);
        (!text.is_empty()).then_some(Literal { text, form, edges: Edges::Whole })
    }

    /// The same text with other edges.
    #[must_use]
    pub fn with_edges(self, edges: Edges) -> Literal {
        Literal { edges, ..self }
    }

    /// Stops a matcher from being built on what is no literal.
    ///
    /// # Panics
    /// If the text is empty (it would be found everywhere) or holds a line break (it would never be found).
    pub fn assert_valid(&self) {
        assert!(!self.text.is_empty(), "an empty literal is found everywhere");
        assert!(!self.text.contains('\n'), "a literal with a line break is never found");
    }
}

/// One place where a literal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// The literal's index among those that the matcher was built from.
    pub literal: u32,
    /// The first byte, in the form of the text that the literal asks for.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// A compiled set of literals, shared by all threads.
pub trait Matcher: Send + Sync {
    /// What one thread needs to scan.
    fn scanner(&self) -> Box<dyn Scanner>;
    /// A short name for logs and metrics.
    fn name(&self) -> &'static str;
    /// The memory that the compiled set takes, in bytes.
    fn bytes(&self) -> usize;
}

/// One thread's way into a matcher, with the buffers that it keeps.
pub trait Scanner: Send {
    /// Appends every bounded hit (see `text::bounded`), overlapping ones too, sorted by (literal, start). Literals
    /// are found only in forms of the text that are filled.
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>);
}
