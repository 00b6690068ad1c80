//! Payment card numbers: 13 to 19 digits, a known issuer's first digits and length, the Luhn check digit.
//!
//! Owns how people write them (in one piece, or in groups with one separator between them) and what only looks
//! like one: digits inside a longer number, a code of letters and digits, a post's id in an address. Called by `find_pii` alone.

use super::{PiiKind, PiiSpan};
use crate::text::is_word;

/// Maestro has numbers of 12 digits as well; so have telephones, and one number in ten has a right check digit.
const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// First digits from, first digits to, how many first digits, shortest and longest number. Sources: ISO/IEC 7812
/// as published by the networks, and the list of issuer identification numbers in Wikipedia, "Payment card number".
const ISSUERS: [(u32, u32, u32, usize, usize); 30] = [
    (1, 1, 1, 15, 15),       // UATP
    (2014, 2014, 4, 15, 15), // Diners Club enRoute
    (2131, 2131, 4, 15, 15), // JCB, old
    (2149, 2149, 4, 15, 15), // Diners Club enRoute
    (2200, 2204, 4, 16, 19), // Mir
    (2205, 2205, 4, 16, 16), // Borica
    (2221, 2720, 4, 16, 16), // Mastercard
    (300, 305, 3, 14, 19),   // Diners Club
    (3095, 3095, 4, 14, 19), // Diners Club
    (34, 34, 2, 15, 15),     // American Express
    (37, 37, 2, 15, 15),     // American Express
    (35, 35, 2, 16, 19),     // JCB (3528 to 3589 so far)
    (36, 36, 2, 14, 19),     // Diners Club
    (38, 39, 2, 14, 19),     // Diners Club
    (4, 4, 1, 13, 13),       // Visa, old
    (4, 4, 1, 16, 16),       // Visa
    (4, 4, 1, 19, 19),       // Visa, long
    (50, 50, 2, 13, 19),     // Maestro, Dankort, Verve, Elo, RuPay
    (51, 55, 2, 16, 16),     // Mastercard
    (56, 58, 2, 13, 19),     // Maestro
    (60, 60, 2, 16, 19),     // Discover, RuPay, Hipercard
    (6304, 6304, 4, 13, 19), // Maestro
    (62, 62, 2, 16, 19),     // UnionPay
    (636, 639, 3, 13, 19),   // Maestro, InstaPayment, InterPayment
    (644, 659, 3, 16, 19),   // Discover, Troy, Verve
    (67, 67, 2, 13, 19),     // Maestro
    (81, 82, 2, 16, 19),     // RuPay, UnionPay
    (8600, 8600, 4, 16, 16), // UzCard
    (9704, 9704, 4, 16, 19), // Napas
    (9792, 9792, 4, 16, 16), // Troy
];

/// Appends the span of every card number, ascending.
pub(super) fn find(text: &str, out: &mut Vec<PiiSpan>) {
    if digits_at_most(text.as_bytes()) < DIGITS_MIN {
        return;
    }
    let mut at = 0;
    while let Some((start, length, _)) = next_digit(text, at) {
        match candidate(text, start) {
            Some(end) => {
                out.push(PiiSpan { kind: PiiKind::Card, start, end });
                at = end;
            }
            // The digits of one group belong together: the next number may start at the next group.
            None => at = group_end(text, start + length),
        }
        assert!(at > start, "the search goes forward");
    }
}

/// No text has more digits than this. Counts the first byte of each full-width digit, and of what looks like one,
/// in one loop without a branch.
fn digits_at_most(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| usize::from(byte.is_ascii_digit() | (*byte == 0xef))).sum()
}

/// The value of the ASCII or full-width digit at `at` and its length in bytes.
fn digit_at(text: &str, at: usize) -> Option<(u8, usize)> {
    match text.as_bytes().get(at..)? {
        [byte @ b'0'..=b'9', ..] => Some((byte - b'0', 1)),
        [0xef, 0xbc, byte @ 0x90..=0x99, ..] => Some((byte - 0x90, 3)),
        _ => None,
    }
}

/// The first digit from `from` on: where, how long, and its value.
fn next_digit(text: &str, from: usize) -> Option<(usize, usize, u8)> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| byte.is_ascii_digit() || *byte == 0xef)?;
        if let Some((value, length)) = digit_at(text, at) {
            return Some((at, length, value));
        }
        at += 1;
    }
}

fn group_end(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some((_, length)) = digit_at(text, at) {
        at += length;
    }
    at
}

/// The one character that may stand between two groups.
fn separator_at(text: &str, at: usize) -> Option<char> {
    let character = text.get(at..)?.chars().next()?;
    matches!(character, ' ' | '-' | '.' | '\u{a0}' | '\u{2010}'..='\u{2014}' | '\u{3000}')
        .then_some(character)
}

/// The end of the longest card number that starts with the group at `start`.
fn candidate(text: &str, start: usize) -> Option<usize> {
    if !opens(text, start) {
        return None;
    }
    let mut number = Number::default();
    let mut separator = None;
    let mut at = start;
    let mut best = None;
    loop {
        let mut size = 0;
        while let Some((value, length)) = digit_at(text, at) {
            if !number.push(value) {
                return best;
            }
            size += 1;
            at += length;
        }
        number.end_group(size);
        if number.is_card() && closes(text, at) && !is_id_in_address(text, start, number.count) {
            best = Some(at);
        }
        let Some(between) = separator_at(text, at) else { return best };
        let next = at + between.len_utf8();
        if separator.is_some_and(|first| first != between) || digit_at(text, next).is_none() {
            return best;
        }
        separator = Some(between);
        at = next;
    }
}

/// Up to 19 digits and the sizes of the groups they stand in.
#[derive(Default)]
struct Number {
    digits: [u8; DIGITS_MAX],
    count: usize,
    groups: usize,
    first: usize,
    last: usize,
    /// All groups before the last are as long as the first.
    even: bool,
    /// All groups before the last have at least four digits.
    long: bool,
}

impl Number {
    /// False if there is no room for one more digit.
    fn push(&mut self, digit: u8) -> bool {
        let Some(place) = self.digits.get_mut(self.count) else { return false };
        *place = digit;
        self.count += 1;
        true
    }

    fn end_group(&mut self, size: usize) {
        if self.groups == 0 {
            self.first = size;
            self.even = true;
            self.long = true;
        } else {
            self.even &= self.last == self.first;
            self.long &= self.last >= 4;
        }
        self.last = size;
        self.groups += 1;
    }

    fn is_card(&self) -> bool {
        // Cards are written in groups of four or more, or evenly; telephone numbers are not.
        let written = self.long || (self.even && self.last <= self.first);
        self.count >= DIGITS_MIN && written && self.has_issuer() && luhn(&self.digits[..self.count])
    }

    fn has_issuer(&self) -> bool {
        ISSUERS.iter().any(|(low, high, length, shortest, longest)| {
            let first = self
                .digits
                .iter()
                .take(*length as usize)
                .fold(0, |value, digit| value * 10 + u32::from(*digit));
            (*low..=*high).contains(&first) && (*shortest..=*longest).contains(&self.count)
        })
    }
}

/// The check of ISO/IEC 7812-1: from the right, each second digit doubled, the sum of all digits a multiple of ten.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) << (place % 2) {
            doubled @ 10.. => doubled - 9,
            single => single,
        })
        .sum();
    sum > 0 && sum.is_multiple_of(10)
}

/// Whether a number may start here: not inside a word, a code or a longer number.
fn opens(text: &str, start: usize) -> bool {
    let mut before = text[..start].chars().rev();
    match before.next() {
        None => true,
        Some('-' | '.' | ',') => !before.next().is_some_and(char::is_numeric),
        Some('@') => false,
        Some(character) => !is_word(character),
    }
}

/// Whether a number may end here.
fn closes(text: &str, end: usize) -> bool {
    let mut after = text[end..].chars();
    match after.next() {
        None => true,
        Some('-' | '.' | ',') => !after.next().is_some_and(char::is_numeric),
        Some(character) => !is_word(character),
    }
}

/// Ids of posts have 17 to 19 digits and stand in addresses; long card numbers do not.
fn is_id_in_address(text: &str, start: usize, digits: usize) -> bool {
    digits > 16 && text[..start].ends_with(['/', '=', '&'])
}
