//! Where a word ends: the check of one literal hit.
//!
//! Owns which scripts put blanks between words. A side of a hit is checked only if the literal's own edge
//! character is a letter, digit or underscore of such a script, and the left one of a handle or hashtag too; beside CJK,
//! kana, Hangul, Thai, emoji and punctuation a hit may stand anywhere. Called by every scanner, also from inside a C callback:
//! nothing here may panic.

use serde::{Deserialize, Serialize};
use unicode_normalization::char::is_combining_mark;

/// Which sides of a literal must end where a word ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Edges {
    /// Both: `refund` is a word of its own.
    #[default]
    Whole,
    /// The left one: `refund*` is also found in `refunded`.
    Prefix,
    /// The right one: `*phone` is also found in `iphone`.
    Suffix,
    /// Neither, not even that of a flag: letters that stand anywhere, as regular expressions find them.
    Anywhere,
}

/// Whether the hit `text[start..end]` stands as a word, as far as its own edge characters and `edges` ask for that.
///
/// `@united` is found in `hey @united!`, `united` in `@united` and `united's`, `école` in `l'école`, `停电` in
/// `今天停电了`; `refund` is not found in `refunded`, nor `can` in `can't`, nor `@delta` in `me@delta.com`. A flag is never
/// found in the second half of one flag and the first of the next, unless it may stand anywhere. False for a range that is
/// empty or no range of characters of `text`.
#[must_use]
pub fn bounded(text: &str, start: usize, end: usize, edges: Edges) -> bool {
    let (Some(before), Some(hit), Some(after)) = (text.get(..start), text.get(start..end), text.get(end..))
    else {
        return false;
    };
    if hit.is_empty() || edges == Edges::Anywhere {
        return !hit.is_empty();
    }
    let cut_before = edges != Edges::Suffix
        && last_is_word(before)
        && (first_is_word(hit) || begins_with_tag(hit))
        && !begins_with_keycap(hit);
    let cut_after = edges != Edges::Prefix && last_is_word(hit) && continues(after);
    !cut_before && !cut_after && !cuts_flag(before, hit, after)
}

/// How many regional indicators before a hit are counted. In a longer row of flags they count as whole flags, so that
/// the check of one hit takes constant time.
const INDICATORS_MAX: usize = 128;

/// Whether a hit begins or ends in the middle of a flag, which is two regional indicators.
#[inline]
fn cuts_flag(before: &str, hit: &str, after: &str) -> bool {
    // The UTF-8 of every regional indicator begins with this byte, as that of most emoji; words and phrases end here.
    let may_be_flag = |text: &str| text.as_bytes().first() == Some(&0xf0);
    if !may_be_flag(hit) && !may_be_flag(after) {
        return false;
    }
    let is_indicator = |character: &char| matches!(character, '\u{1f1e6}'..='\u{1f1ff}');
    let before = before.chars().rev().take(INDICATORS_MAX).take_while(is_indicator).count();
    let last = hit.chars().rev().take_while(is_indicator).count();
    let alone = last * 4 == hit.len();
    let first_cut = before % 2 == 1 && hit.starts_with(|first| is_indicator(&first));
    let ending = if alone { before + last } else { last };
    let last_cut = last > 0 && ending % 2 == 1 && after.starts_with(|next| is_indicator(&next));
    first_cut || last_cut
}

/// Whether a text begins with `@` or `#` and a letter, digit or underscore of any script.
fn begins_with_tag(text: &str) -> bool {
    let name = text.strip_prefix(['@', '#']).and_then(|name| name.chars().next());
    name.is_some_and(|first| first == '_' || first.is_alphanumeric())
}

/// Whether a text begins with a keycap such as `1⃣`, which stands anywhere, as every emoji does.
fn begins_with_keycap(text: &str) -> bool {
    text.as_bytes().get(1..4) == Some(KEYCAP.as_bytes())
}

/// The enclosing keycap: the end of an emoji, and no part of a word.
const KEYCAP: &str = "\u{20e3}";

/// Whether what follows belongs to the word before it: a word character, or the `'t` of `can't`, which says the
/// opposite of `can`. Other endings (`'s`, `'ll`) leave the word what it was.
fn continues(after: &str) -> bool {
    match after.as_bytes() {
        // A digit in a keycap is no number.
        [0xe2, 0x83, 0xa3, ..] => true,
        [b'\'', b't', rest @ ..] => !rest.first().is_some_and(|byte| WORD_BYTES[usize::from(*byte)]),
        _ => first_is_word(after),
    }
}

fn first_is_word(text: &str) -> bool {
    match text.as_bytes().first() {
        None => false,
        Some(byte) if byte.is_ascii() => WORD_BYTES[usize::from(*byte)],
        Some(_) => text.chars().next().is_some_and(is_word),
    }
}

fn last_is_word(text: &str) -> bool {
    match text.as_bytes().last() {
        None => false,
        Some(byte) if byte.is_ascii() => WORD_BYTES[usize::from(*byte)],
        Some(_) => text.chars().next_back().is_some_and(is_word),
    }
}

/// Letters, digits and the underscore of ASCII.
const WORD_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

/// Whether a byte of ASCII is part of a word; false for every other byte.
#[inline]
pub(crate) fn is_word_byte(byte: u8) -> bool {
    WORD_BYTES[usize::from(byte)]
}

/// Whether a character is part of a word in a script that puts blanks between words. A combining mark is, since
/// it changes the letter before it.
#[must_use]
pub fn is_word(character: char) -> bool {
    if character.is_ascii() {
        return WORD_BYTES[character as usize];
    }
    (character.is_alphanumeric() || (is_combining_mark(character) && character != '\u{20e3}'))
        && !is_unspaced(character)
}

/// Whether a character is of a script in which words stand without blanks. Hangul counts as one: Korean writes
/// its particles on to the word (`환불` must be found in `환불을`).
#[must_use]
pub fn is_unspaced(character: char) -> bool {
    matches!(
        character,
        // Thai and Lao, Tibetan, Myanmar, Hangul letters, Khmer.
        '\u{e00}'..='\u{eff}' | '\u{f00}'..='\u{fff}' | '\u{1000}'..='\u{109f}'
        | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        // Radicals, CJK marks, kana, Bopomofo, Hangul compatibility letters, ideographs, Hangul.
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{a4cf}' | '\u{a960}'..='\u{a97f}'
        | '\u{aa60}'..='\u{aa7f}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ffdc}' | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}'
    )
}
