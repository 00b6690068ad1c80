//! Where a word ends: the check of one literal hit.
//!
//! Owns which scripts put blanks between words. A side of a hit is checked only if the literal's own edge
//! character is a letter, digit or underscore of such a script; beside CJK, kana, Hangul, Thai, emoji,
//! punctuation, `@` and `#` a hit may stand anywhere. Called by every scanner, also from inside a C callback:
//! nothing here may panic.

use unicode_normalization::char::is_combining_mark;

/// Whether the hit `text[start..end]` stands as a word, as far as its own edge characters ask for that.
///
/// `@united` is found in `hey @united!`, `united` in `@united` and `united's`, `école` in `l'école`, `停电` in
/// `今天停电了`; `refund` is not found in `refunded`, nor `can` in `can't`. False for a range that is empty or no
/// range of characters of `text`.
#[must_use]
pub fn bounded(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(hit), Some(after)) = (text.get(..start), text.get(start..end), text.get(end..))
    else {
        return false;
    };
    if hit.is_empty() {
        return false;
    }
    let cut_before = last_is_word(before) && first_is_word(hit);
    let cut_after = last_is_word(hit) && continues(after);
    !cut_before && !cut_after
}

/// Whether what follows belongs to the word before it: a word character, or the `'t` of `can't`, which says the
/// opposite of `can`. Other endings (`'s`, `'ll`) leave the word what it was.
fn continues(after: &str) -> bool {
    match after.as_bytes() {
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
pub(crate) fn is_word(character: char) -> bool {
    if character.is_ascii() {
        return WORD_BYTES[character as usize];
    }
    (character.is_alphanumeric() || is_combining_mark(character)) && !is_unspaced(character)
}

/// Whether a character is of a script in which words stand without blanks. Hangul counts as one: Korean writes
/// its particles on to the word (`환불` must be found in `환불을`).
pub(crate) fn is_unspaced(character: char) -> bool {
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
