//! The query language: what rules search for and what workflow filters ask.
//!
//! Owns the grammar and its messages; a mistake points at a character and says what was expected. Knows
//! nothing of files or rules. Called by `policy::compile` alone.
//!
//! The grammar, with an example of everything, is docs/rules.md.

mod dialect;
mod field;
mod fields;
mod foreign_fields;
mod fullwidth;
mod languages;
mod lex;
mod list;
mod parse;
pub(super) mod regex;
mod shape;
mod tones;
mod tree;
pub(super) mod words;

pub(super) use crate::text::{Case, Edges, Form};
pub(super) use field::Field;
pub(super) use fields::is_network;
pub(super) use list::{List, Lists};
pub(super) use parse::parse;
pub use regex::{REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_PER_POLICY_MAX};
pub use tones::PERSONS_MAX;
pub(super) use tones::variants as tone_variants;
pub(super) use tree::{Expression, ListTerm, Mark, Near, Pattern};
pub use words::{LITERAL_BYTES_MAX, PREFIX_CHARS_MIN, SUFFIX_CHARS_MIN};

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// How many terms one query may have.
pub const QUERY_TERMS_MAX: usize = 1024;
/// How many words NEAR/n and ONEAR/n may let stand between, at most.
pub const NEAR_WORDS_MAX: u32 = 50;
/// How deep parentheses and NOTs may be nested.
pub const QUERY_DEPTH_MAX: usize = 64;

/// Who asks: it decides which terms make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// A rule's query, whose literals are normalised this way.
    Rule(Form),
    /// A workflow filter's condition.
    Filter,
}

/// One mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryMistake {
    /// The byte of the query where it stands.
    pub at: usize,
    /// How many bytes from there are meant; 0 for the word that stands there.
    pub length: usize,
    /// What is wrong and what was expected.
    pub what: String,
    /// What to write instead; may be empty.
    pub hint: String,
}

impl QueryMistake {
    fn new(at: usize, what: impl Into<String>, hint: impl Into<String>) -> QueryMistake {
        QueryMistake { at, length: 0, what: what.into(), hint: hint.into() }
    }
}
