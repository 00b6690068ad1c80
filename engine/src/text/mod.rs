//! The one normaliser for queries and texts.
//!
//! Owns what "the same word" means: case, compatibility forms, accents, invisible characters, apostrophes,
//! blanks, CamelCase hashtags, and where a word ends. May use nothing but `unicode-normalization` and serde; knows neither
//! rules nor matchers. Called by the policy compiler (for a query's literals), by the scanners (for the word
//! boundary of a hit) and by the scan stage (once per mention, on the hot path, without allocating).
//!
//! What is done, in this order: invisible characters are removed, compatibility forms are taken apart (NFKD),
//! letters are lower-cased one by one unless capitals are wanted, special letters are mapped (`ß` to `ss`, `ς` to `σ`, `ı` and `İ` to `i`,
//! typographic apostrophes to `'`), accents are dropped unless they are wanted, and with them the strokes of `ł` and its
//! like; what is left is composed again (NFC), and runs of blanks and controls become one blank, none at either end.

mod boundary;
mod fold;
mod hashtag;
mod table;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use boundary::is_word_byte;
pub use boundary::{Edges, bounded};
pub use boundary::{is_unspaced, is_word};
pub(crate) use trace::Trace;

use fold::Sink;
use serde::{Deserialize, Serialize};

/// Whether a query distinguishes `café` from `cafe`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Accents {
    /// Accents do not count; the default of a rule.
    #[default]
    Ignore,
    /// Accents count.
    Exact,
}

/// Whether a query distinguishes `US` from `us`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Case {
    /// Capitals do not count; the default of a rule.
    #[default]
    Ignore,
    /// Capitals count.
    Exact,
}

/// What a literal distinguishes, and so which form of a text it is looked for in. The default distinguishes least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Form {
    /// How accents count.
    pub accents: Accents,
    /// How capitals count.
    pub case: Case,
}

impl Form {
    /// Every form, in the order of [`Form::index`].
    pub const ALL: [Form; 4] = [
        Form { accents: Accents::Ignore, case: Case::Ignore },
        Form { accents: Accents::Exact, case: Case::Ignore },
        Form { accents: Accents::Ignore, case: Case::Exact },
        Form { accents: Accents::Exact, case: Case::Exact },
    ];

    /// Its place in [`Form::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.accents as usize + 2 * self.case as usize
    }
}

impl From<Accents> for Form {
    /// The form that ignores case.
    fn from(accents: Accents) -> Form {
        Form { accents, case: Case::Ignore }
    }
}

/// A set of forms, which always holds the default one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forms(u8);

impl Default for Forms {
    /// The default form alone.
    fn default() -> Forms {
        Forms(1)
    }
}

impl Forms {
    /// All four.
    pub const ALL: Forms = Forms(0b1111);

    /// This set and one form more.
    #[must_use]
    pub fn with(self, form: Form) -> Forms {
        Forms(self.0 | 1 << form.index())
    }

    /// Whether the form is in the set.
    #[must_use]
    pub fn has(self, form: Form) -> bool {
        self.0 >> form.index() & 1 == 1
    }
}

/// A text in the forms that literals are looked for in.
///
/// The first line is the text itself, each later line a CamelCase hashtag as words. A literal never holds a line
/// break, so a phrase never matches across the border of two lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NormalText {
    /// By [`Form::index`]; a form that was not asked for is empty.
    forms: [String; 4],
}

impl NormalText {
    /// The text in this form; empty if the form was not asked for.
    #[inline]
    #[must_use]
    pub fn form(&self, form: Form) -> &str {
        &self.forms[form.index()]
    }

    /// The bytes of the longest form.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.forms.iter().map(String::len).max().unwrap_or(0)
    }

    /// Whether no form has a character beyond ASCII.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.forms.iter().all(|form| form.is_ascii())
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

    /// Fills `out` with the normal forms of `text` that `forms` holds and empties the others, in time linear in the
    /// text's length.
    ///
    /// Each form has at most 11 times the bytes of the text (one Arabic ligature of 3 bytes becomes 33) and once more
    /// for hashtags.
    pub fn normalise(&mut self, text: &str, forms: Forms, out: &mut NormalText) {
        let ascii = text.is_ascii();
        for form in Form::ALL {
            let place = &mut out.forms[form.index()];
            place.clear();
            if forms.has(form) {
                self.fill(text, ascii, form, place);
                debug_assert!(!place.starts_with(' '), "a normal text starts with a word");
            }
        }
    }

    #[inline]
    fn fill(&mut self, text: &str, ascii: bool, form: Form, out: &mut String) {
        if ascii {
            fold::ascii(text, form, out);
        } else {
            fold::mixed(text, &mut Sink::new(out, form));
        }
        if hashtag::may_be_in(text, ascii) {
            self.append_hashtags(text, form, out);
        }
    }

    fn append_hashtags(&mut self, text: &str, form: Form, out: &mut String) {
        let mut from = 0;
        while let Some(next) = hashtag::next_words(text, from, &mut self.words) {
            assert!(next > from, "a hashtag takes the search forward");
            from = next;
            let end_before = out.len();
            out.push('\n');
            fold::mixed(&self.words, &mut Sink::new(out, form));
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
pub fn normalise_term(term: &str, form: impl Into<Form>) -> String {
    let mut out = String::with_capacity(term.len());
    fold::run(term, &mut Sink::new(&mut out, form.into()));
    debug_assert!(!out.contains('\n'), "a line break is a blank");
    out
}
