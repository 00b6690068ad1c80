//! NEAR and ONEAR: what stands near what, over the places of hits in one form of a text.
//!
//! Owns the count of words between two places and the search for a pair, which takes time in proportion to the hits
//! times the logarithm of their number; `NEAR_SPANS_MAX` bounds what a NEAR inside another may stand for. The words of a text are counted
//! once, when the first rule asks. What NEAR means is written at `query::Near`. Called by the evaluation, and by `why`.

use super::facts::Seen;
use super::steps::Atom;
use crate::policy::query::{NEAR_WORDS_MAX, Near};
use crate::text::{Form, is_unspaced, is_word};
use serde::{Deserialize, Serialize};

/// How many pairs a NEAR in parentheses may stand for, the first ones of a text. No post that a person wrote has as many; a
/// text made to waste time has more. What is no NEAR is looked at wherever it stands: a rule that must never be dropped
/// cannot be switched off by a long text.
pub const NEAR_SPANS_MAX: usize = 65_536;

/// A pair to look for, compiled.
#[derive(Debug, Serialize, Deserialize)]
pub struct NearProgram {
    left: Operand,
    right: Operand,
    reach: Reach,
    form: Form,
}

/// Which spans stand near which. The evaluation and whoever tells why it decided as it did ask the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Reach {
    /// Words between, at most.
    words_max: u32,
    /// Whether the left one must come first.
    ordered: bool,
}

/// One side: any of these.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Operand {
    pub atoms: Vec<Atom>,
    pub pairs: Vec<NearProgram>,
}

/// A place in a form of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first.
    pub start: u32,
    /// The one after the last.
    pub end: u32,
}

/// Buffers that are kept from mention to mention.
#[derive(Debug, Default)]
pub struct NearScratch {
    spans: Vec<Vec<Span>>,
    /// By the index of the form.
    words: [Words; 4],
}

impl NearScratch {
    /// Forgets the text.
    pub fn clear(&mut self) {
        self.words.iter_mut().for_each(|words| words.places.clear());
    }

    fn take(&mut self) -> Vec<Span> {
        self.spans.pop().unwrap_or_default()
    }

    fn give(&mut self, mut spans: Vec<Span>) {
        spans.clear();
        self.spans.push(spans);
    }
}

impl NearProgram {
    /// Its two sides.
    pub(super) fn operands(&self) -> [&Operand; 2] {
        [&self.left, &self.right]
    }

    pub(super) fn new(left: Operand, right: Operand, reach: Reach, form: Form) -> NearProgram {
        for operand in [&left, &right] {
            assert!(!operand.atoms.is_empty() || !operand.pairs.is_empty(), "something stands beside NEAR");
        }
        NearProgram { left, right, reach, form }
    }

    /// The form of the text in which its places are.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether there is a pair.
    pub fn holds(&self, seen: &Seen<'_>, scratch: &mut NearScratch) -> bool {
        self.with_spans(seen, scratch, |left, right, words| self.reach.holds(left, right, words))
    }

    /// Runs `work` on the spans of both sides, if both have some.
    fn with_spans(
        &self,
        seen: &Seen<'_>,
        scratch: &mut NearScratch,
        work: impl FnOnce(&[Span], &[Span], &Words) -> bool,
    ) -> bool {
        let mut left = scratch.take();
        self.left.spans(seen, scratch, &mut left);
        let mut found = false;
        if !left.is_empty() {
            let mut right = scratch.take();
            self.right.spans(seen, scratch, &mut right);
            if !right.is_empty() {
                let words = &mut scratch.words[self.form.index()];
                if words.places.is_empty() {
                    words.read(seen.text.form(self.form));
                }
                found = work(&left, &right, words);
            }
            scratch.give(right);
        }
        scratch.give(left);
        found
    }

    /// Appends the spans of all pairs.
    fn pairs(&self, seen: &Seen<'_>, scratch: &mut NearScratch, out: &mut Vec<Span>) {
        self.with_spans(seen, scratch, |left, right, words| {
            self.reach.pairs(left, right, words, out);
            true
        });
    }
}

impl Reach {
    /// What a NEAR of a query asks.
    pub fn of(near: &Near) -> Reach {
        assert!(near.words_max <= NEAR_WORDS_MAX, "a line break counts as more words");
        Reach { words_max: near.words_max, ordered: near.ordered }
    }

    /// Whether there is a pair; the spans of each side are ascending.
    pub fn holds(self, left: &[Span], right: &[Span], words: &Words) -> bool {
        self.precedes(left, right, words) || (!self.ordered && self.precedes(right, left, words))
    }

    /// Whether a span of `one` stands before one of `other`, near enough. Of those after a span the first is the nearest.
    fn precedes(self, one: &[Span], other: &[Span], words: &Words) -> bool {
        nexts(one, other).any(|(before, after)| words.between(before.end, after.start) <= self.words_max)
    }

    /// Appends the spans of all pairs, from the first byte of the one to the last of the other; the first
    /// `NEAR_SPANS_MAX`, to an empty `out`.
    pub fn pairs(self, left: &[Span], right: &[Span], words: &Words, out: &mut Vec<Span>) {
        assert!(out.is_empty(), "each NEAR has its own limit");
        self.join(left, right, words, out);
        if !self.ordered {
            self.join(right, left, words, out);
        }
    }

    fn join(self, one: &[Span], other: &[Span], words: &Words, out: &mut Vec<Span>) {
        for before in one {
            let from = other.partition_point(|span| span.start < before.end);
            for after in &other[from..] {
                if words.between(before.end, after.start) > self.words_max {
                    break;
                }
                if out.len() >= NEAR_SPANS_MAX {
                    return;
                }
                out.push(Span { start: before.start, end: after.end });
            }
        }
    }
}

/// Each span of `one` with the first of `other` that begins after it; both are ascending.
pub fn nexts<'s>(one: &'s [Span], other: &'s [Span]) -> impl Iterator<Item = (Span, Span)> + 's {
    one.iter().filter_map(|before| {
        let next = other.partition_point(|span| span.start < before.end);
        other.get(next).map(|after| (*before, *after))
    })
}

impl Operand {
    /// The spans that it stands for, sorted by where they start, each once.
    fn spans(&self, seen: &Seen<'_>, scratch: &mut NearScratch, out: &mut Vec<Span>) {
        for &atom in &self.atoms {
            seen.hits_of(atom, |hits| {
                out.extend(hits.iter().map(|hit| Span { start: hit.start, end: hit.end }));
            });
        }
        for pair in &self.pairs {
            let mut inner = scratch.take();
            pair.pairs(seen, scratch, &mut inner);
            out.extend_from_slice(&inner);
            scratch.give(inner);
        }
        out.sort_unstable();
        out.dedup();
    }
}

/// Where the words of a text stand, each with how many stand before it.
#[derive(Debug, Default)]
pub struct Words {
    /// In the order of the text, with one beyond the text at the end; empty until it is asked for.
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    end: u32,
    before: u32,
}

impl Words {
    /// The words of a text.
    pub fn of(text: &str) -> Words {
        let mut words = Words::default();
        words.read(text);
        words
    }

    /// Counts the words of a text, as `query::Near` tells them. A line break counts as more words than NEAR may pass
    /// over, so nothing is near anything on another line.
    fn read(&mut self, text: &str) {
        assert!(self.places.is_empty(), "a text is read once");
        let mut before = 0;
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let start = at;
            let weight = if first == '\n' {
                at += 1;
                NEAR_WORDS_MAX + 1
            } else if is_word(first) {
                at = word_end(text, at);
                1
            } else {
                at += first.len_utf8();
                if !is_unspaced(first) {
                    continue;
                }
                1
            };
            self.places.push(Place { start: start as u32, end: at as u32, before });
            before += weight;
        }
        self.places.push(Place { start: u32::MAX, end: u32::MAX, before });
    }

    /// Where each stands; a line break stands among them.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        let words = self.places.split_last().map_or(&[][..], |(_, words)| words);
        words.iter().map(|place| Span { start: place.start, end: place.end })
    }

    /// How many whole words stand between two places.
    pub fn between(&self, from: u32, to: u32) -> u32 {
        debug_assert!(from <= to, "what overlaps has nothing between");
        let first = self.places.partition_point(|place| place.start < from);
        let after = first + self.places[first..].partition_point(|place| place.end <= to);
        self.places[after].before - self.places[first].before
    }
}

/// The end of the word that starts at `start`: `don't` is one.
fn word_end(text: &str, start: usize) -> usize {
    let mut characters = text[start..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let goes_on = is_word(character)
            || (character == '\'' && characters.peek().is_some_and(|(_, next)| is_word(*next)));
        if !goes_on {
            return start + at;
        }
    }
    text.len()
}
