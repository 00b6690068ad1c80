//! How words are told apart and looked up: the walk over a text, and the keys of words, pairs of words and prefixes.
//!
//! Owns where a word ends and its hash, the same for texts and literals. May not know tables. Used by the word matcher alone.

use crate::scan::Literal;
use crate::text::{Edges, is_word, is_word_byte};

/// One word of a text or a literal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub start: u32,
    pub end: u32,
    pub hash: u64,
}

/// The most bytes by which a prefix is looked up: what fits a register.
pub(super) const PREFIX_BYTES_MAX: usize = 8;

/// What a literal is looked up by; none for one that begins with no word, or not where a word does.
pub(super) fn key_of(literal: &Literal) -> Option<Key> {
    let text = &*literal.text;
    if matches!(literal.edges, Edges::Suffix | Edges::Anywhere) || begins_with_keycap(text) {
        return None;
    }
    let sign = sign_of(text.as_bytes().first().copied());
    let first = word_at(text, usize::from(sign != 0))?;
    let open = |word: Word| literal.edges == Edges::Prefix && word.end as usize == text.len();
    if open(first) {
        let bytes = &text.as_bytes()[first.start as usize..];
        return Some(Key::Prefix(sign, bytes.len().min(PREFIX_BYTES_MAX), first_bytes(bytes)));
    }
    let between = text.as_bytes().get(first.end as usize).filter(|byte| byte.is_ascii());
    let second = between.and_then(|&byte| Some((byte, word_at(text, first.end as usize + 1)?)));
    Some(Key::Words(match second {
        Some((byte, second)) if !open(second) => pair_key(sign, first.hash, byte, second.hash),
        _ => single_key(sign, first.hash),
    }))
}

/// What a literal is looked up by.
pub(super) enum Key {
    /// Its sign, its first word, and its second if one ASCII character stands between them; both whole.
    Words(u64),
    /// Its sign, and so many first bytes of the word that it is the beginning of.
    Prefix(u64, usize, u64),
}

impl Key {
    pub fn hash(&self) -> u64 {
        match *self {
            Key::Words(hash) => hash,
            Key::Prefix(sign, length, bytes) => prefix_key(sign, length, bytes),
        }
    }
}

/// Whether a literal begins with a keycap such as `1⃣`, which is no word though it begins with a digit.
fn begins_with_keycap(literal: &str) -> bool {
    literal.chars().nth(1) == Some('\u{20e3}')
}

/// The signs that may stand before a literal's first word; 0 for any other character or none.
#[inline]
pub(super) fn sign_of(byte: Option<u8>) -> u64 {
    match byte {
        Some(b'@') => 1,
        Some(b'#') => 2,
        _ => 0,
    }
}

/// The key of a literal that is one word, or whose words are not parted by one ASCII character.
#[inline]
pub(super) fn single_key(sign: u64, word: u64) -> u64 {
    mix(word ^ sign)
}

#[inline]
pub(super) fn pair_key(sign: u64, first: u64, between: u8, second: u64) -> u64 {
    mix(mix(first ^ sign).rotate_left(17) ^ second ^ (u64::from(between) << 8))
}

/// The key of a prefix of one word.
#[inline]
pub(super) fn prefix_key(sign: u64, length: usize, first: u64) -> u64 {
    mix(first ^ (sign << 8 | length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The first eight bytes as a number, those that are missing as 0.
#[inline]
pub(super) fn first_bytes(bytes: &[u8]) -> u64 {
    let mut first = [0; PREFIX_BYTES_MAX];
    let length = bytes.len().min(PREFIX_BYTES_MAX);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(first)
}

/// Spreads a hash over all 64 bits (splitmix64's last step, without loss).
#[inline]
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The next word that begins at or after `from`, which is no place inside a word.
#[inline]
pub(super) fn next_word(text: &str, from: usize) -> Option<Word> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        match *bytes.get(at)? {
            byte if is_word_byte(byte) => break,
            byte if byte.is_ascii() => at += 1,
            _ => {
                let character = text[at..].chars().next()?;
                if is_word(character) {
                    break;
                }
                at += character.len_utf8();
            }
        }
    }
    word_at(text, at)
}

/// The word that begins at `start`; none when there is none.
#[inline]
fn word_at(text: &str, start: usize) -> Option<Word> {
    let bytes = text.as_bytes();
    let (mut at, mut hash) = (start, 0_u64);
    loop {
        match bytes.get(at) {
            Some(&byte) if is_word_byte(byte) => {
                // Nine and 64 have no common divisor, so the bytes of a long word do not fall on each other.
                hash = hash.rotate_left(9) ^ u64::from(byte);
                at += 1;
            }
            None => break,
            Some(byte) if byte.is_ascii() => break,
            Some(_) => {
                let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
                if !is_word(character) {
                    break;
                }
                for &byte in &bytes[at..at + character.len_utf8()] {
                    hash = hash.rotate_left(9) ^ u64::from(byte);
                }
                at += character.len_utf8();
            }
        }
    }
    // The length tells words apart whose bytes cancel out.
    (at > start).then(|| Word {
        start: start as u32,
        end: at as u32,
        hash: hash ^ ((at - start) as u64) << 56,
    })
}
