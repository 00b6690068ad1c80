//! The one normaliser for queries and texts.
//!
//! Owns what "the same word" means: case, compatibility forms, accents, invisible characters, apostrophes,
//! blanks, CamelCase hashtags, and where a word ends. May use nothing but `unicode-normalization`; knows neither
//! rules nor matchers. Called by the policy compiler (for a query's literals), by the scanners (for the word
//! boundary of a hit) and by the scan stage (once per mention, on the hot path, without allocating).
//!
//! What is done, in this order: invisible characters are removed, compatibility forms are taken apart (NFKD),
//! letters are lower-cased one by one, special letters are mapped (`ß` to `ss`, `ς` to `σ`, `ı` and `İ` to `i`,
//! typographic apostrophes to `'`), accents are dropped unless they are wanted, what is left is composed again
//! (NFC), and runs of blanks and controls become one blank, none at either end.

mod boundary;
mod fold;
mod hashtag;
mod table;
#[cfg(test)]
mod tests;

pub use boundary::bounded;
pub(crate) use boundary::{is_unspaced, is_word, is_word_byte};

use fold::Sink;

/// Whether a query distinguishes `café` from `cafe`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accents {
    /// Accents do not count; the default of a rule.
    #[default]
    Ignore,
    /// Accents count.
    Exact,
}

/// A text in the forms that literals are looked for in.
///
/// The first line is the text itself, each later line a CamelCase hashtag as words. A literal never holds a line
/// break, so a phrase never matches across the border of two lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NormalText {
    /// The text without accents; always filled.
    pub folded: String,
    /// The text with its accents; empty unless it was asked for.
    pub exact: String,
}

impl NormalText {
    /// The form in which literals with this treatment of accents are looked for.
    #[must_use]
    pub fn form(&self, accents: Accents) -> &str {
        match accents {
            Accents::Ignore => &self.folded,
            Accents::Exact => &self.exact,
        }
    }
}

/// Normalises texts, with buffers that it keeps. One per thread.
#[derive(Debug, Default)]
pub struct Normaliser {
    /// The words of one hashtag before they are normalised.
    words: String,
}

impl Normaliser {
    /// A normaliser with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills `out` with the normal forms of `text`, in time linear in its length. `out.exact` is filled only
    /// when `exact` says so, else it is emptied.
    ///
    /// The result has at most 11 times the bytes of the text (one Arabic ligature of 3 bytes becomes 33) and
    /// once more for hashtags.
    pub fn normalise(&mut self, text: &str, exact: bool, out: &mut NormalText) {
        out.folded.clear();
        out.exact.clear();
        if text.is_ascii() {
            fold::ascii(text, &mut out.folded);
            if text.contains('#') {
                self.append_hashtags(text, Accents::Ignore, &mut out.folded);
            }
            if exact {
                out.exact.push_str(&out.folded);
            }
        } else {
            self.fill(text, Accents::Ignore, &mut out.folded);
            if exact {
                self.fill(text, Accents::Exact, &mut out.exact);
            }
        }
        debug_assert!(!out.folded.starts_with(' '), "a normal text starts with a word");
        debug_assert!(exact || out.exact.is_empty(), "the exact form is filled only when asked for");
    }

    fn fill(&mut self, text: &str, accents: Accents, out: &mut String) {
        fold::mixed(text, accents, &mut Sink::new(out));
        if hashtag::may_be_in(text) {
            self.append_hashtags(text, accents, out);
        }
    }

    fn append_hashtags(&mut self, text: &str, accents: Accents, out: &mut String) {
        let mut from = 0;
        while let Some(next) = hashtag::next_words(text, from, &mut self.words) {
            assert!(next > from, "a hashtag takes the search forward");
            from = next;
            let end_before = out.len();
            out.push('\n');
            fold::mixed(&self.words, accents, &mut Sink::new(out));
            if out.len() == end_before + 1 {
                out.truncate(end_before);
            }
        }
    }
}

/// The normal form of a query's literal: the same function that texts go through, without the hashtag lines.
///
/// May be empty (a term of invisible characters only); such a term is a mistake in the policy and never becomes
/// a literal. Never holds a line break.
#[must_use]
pub fn normalise_term(term: &str, accents: Accents) -> String {
    let mut out = String::with_capacity(term.len());
    fold::run(term, accents, &mut Sink::new(&mut out));
    debug_assert!(!out.contains('\n'), "a line break is a blank");
    out
}
