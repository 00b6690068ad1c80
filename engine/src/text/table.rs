//! The short cuts of folding: characters whose normal form hangs on no neighbour.
//!
//! Owns the table of Latin, Greek, Cyrillic and punctuation, made once from `fold::run` itself so that the two
//! cannot differ, and the ranges (CJK, kana, Hangul, emoji, full-width forms) that need no table. A character is
//! listed here only if it is no mark, is visible, and never combines with the character before it. Called by `fold` alone.

use std::sync::LazyLock;

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

use super::fold::{self, Sink, is_blank, is_invisible};
use super::{Case, Form};

/// What becomes of a character.
#[derive(Clone, Copy)]
pub(super) enum Class {
    /// It hangs on its neighbours, or is rare: no short cut.
    Slow,
    /// It separates words.
    Blank,
    /// It becomes this character.
    One(char),
    /// It becomes these characters.
    Many(&'static str),
}

/// Latin-1 to Hebrew: no script in it has letters that combine with letters before them.
const LETTERS: std::ops::Range<u32> = 0x80..0x600;
/// Additional Latin, extended Greek, punctuation.
const MORE: std::ops::Range<u32> = 0x1e00..0x2070;

struct Table {
    /// For each character: where its form starts in `forms` and its length in bytes, or `SLOW` or `BLANK`.
    entries: Vec<(u32, u32)>,
    forms: String,
}

const SLOW: u32 = u32::MAX;
const BLANK: u32 = u32::MAX - 1;

/// By the index of the form.
static TABLES: [LazyLock<Table>; 4] = [
    LazyLock::new(|| Table::new(Form::ALL[0])),
    LazyLock::new(|| Table::new(Form::ALL[1])),
    LazyLock::new(|| Table::new(Form::ALL[2])),
    LazyLock::new(|| Table::new(Form::ALL[3])),
];

impl Table {
    fn new(form: Form) -> Self {
        let mut table = Self { entries: Vec::new(), forms: String::new() };
        for code in LETTERS.chain(MORE) {
            let entry = char::from_u32(code).map_or((0, SLOW), |character| table.entry(character, form));
            table.entries.push(entry);
        }
        assert_eq!(table.entries.len(), LETTERS.len() + MORE.len(), "one entry for each character");
        table
    }

    fn entry(&mut self, character: char, form: Form) -> (u32, u32) {
        if is_invisible(character)
            || is_combining_mark(character)
            || canonical_combining_class(character) != 0
        {
            return (0, SLOW);
        }
        if is_blank(character) {
            return (0, BLANK);
        }
        let mut normal = String::new();
        fold::run(character.encode_utf8(&mut [0; 4]), &mut Sink::new(&mut normal, form));
        // A blank with an accent, or a mark that found nothing to combine with, hangs on its neighbours.
        let whole =
            !normal.is_empty() && !normal.chars().any(|part| is_blank(part) || is_combining_mark(part));
        // The sink trims blanks, so that a form that began with one shows only in its decomposition.
        let mut decomposed = unicode_normalization::UnicodeNormalization::nfkd(std::iter::once(character));
        if !whole || decomposed.any(is_blank) {
            return (0, SLOW);
        }
        let start = self.forms.len() as u32;
        self.forms.push_str(&normal);
        (start, normal.len() as u32)
    }

    fn class(&'static self, index: usize) -> Class {
        match self.entries[index] {
            (_, SLOW) => Class::Slow,
            (_, BLANK) => Class::Blank,
            (start, length) => Class::Many(&self.forms[start as usize..(start + length) as usize]),
        }
    }
}

/// Whether and how `character` can be folded without looking at its neighbours. Whether it can does not hang on
/// `form`, as far as `Slow` goes for marks; what it becomes does.
pub(super) fn classify(character: char, form: Form) -> Class {
    let table = || &*TABLES[form.index()];
    let letter = |letter: char| match form.case {
        Case::Ignore => letter.to_ascii_lowercase(),
        Case::Exact => letter,
    };
    match character {
        '\0'..='\u{7f}' if is_blank(character) => Class::Blank,
        '\0'..='\u{7f}' => Class::One(letter(character)),
        '\u{80}'..='\u{5ff}' => table().class((u32::from(character) - LETTERS.start) as usize),
        '\u{1e00}'..='\u{206f}' => {
            table().class(LETTERS.len() + (u32::from(character) - MORE.start) as usize)
        }
        '\u{3000}' => Class::Blank,
        // Marks, symbols and dingbats without decomposition; CJK punctuation; kana; ideographs; Hangul syllables.
        '\u{2600}'..='\u{27bf}'
        | '\u{3001}'..='\u{3003}'
        | '\u{3005}'..='\u{3020}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fc}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{1f300}'..='\u{1faff}' => Class::One(character),
        // Full-width forms of ASCII stand 0xfee0 above it.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0)
            .map_or(Class::Slow, |plain| Class::One(letter(plain))),
        _ => Class::Slow,
    }
}
