//! The word matcher: finds words and phrases by the words that a text has, not by the literals that a policy has.
//!
//! Owns a table of hashed words per form of a text, for the literals that begin with a word, or with a word after `@`
//! or `#`. A bounded hit of such a literal can only stand where a word of the text begins, and that word must
//! be the literal's first one, whole: so one walk over the text and two look-ups a word find all candidates, however
//! many literals there are. A prefix such as `refund*` stands where a word begins too, but need not be a whole word: it is
//! looked up by its first bytes, of which there are at most eight lengths. Each candidate is compared byte by byte, so a hash only ever costs time. What begins
//! otherwise (emoji, signs, scripts without blanks, suffixes such as `*phone`, letters that stand anywhere) is left to another matcher. Made by the daemon's `build`.

mod key;

use std::ops::Range;
use std::sync::Arc;

use super::{Hit, Literal, Matcher, Scanner};
use crate::text::{Edges, Form, NormalText, bounded};
use key::{
    Key, PREFIX_BYTES_MAX, Word, first_bytes, key_of, next_word, pair_key, prefix_key, sign_of, single_key,
};

/// Bits of the filter for each key: one look-up in sixteen or fewer of words that no literal begins with goes further.
const FILTER_BITS_PER_KEY: usize = 16;
/// The filter's least size in bits.
const FILTER_BITS_MIN: usize = 1 << 12;

/// A literal to compare with the text. Those of one key stand in the order of their bytes.
#[derive(Debug, Clone)]
struct Candidate {
    literal: u32,
    text: Range<u32>,
    edges: Edges,
    /// The longest other candidate of the key that this one begins with, or `NO_PARENT`.
    parent: u32,
}

const NO_PARENT: u32 = u32::MAX;

/// Where the candidates of a key stand.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u64,
    from: u32,
    to: u32,
}

/// All literals of one form.
struct Table {
    /// One bit for each key, by the key's top bits.
    filter: Vec<u64>,
    filter_shift: u32,
    /// Open addressing, never more than half full; a slot without candidates is empty.
    slots: Vec<Slot>,
    candidates: Vec<Candidate>,
    texts: String,
    /// The lengths by which prefixes are looked up: bit `n - 1` for `n` bytes.
    prefix_lengths: u8,
}

/// Finds literals by words.
pub struct WordMatcher {
    /// By the index of the form.
    tables: Arc<[Option<Table>; 4]>,
    rest: Option<Rest>,
}

/// The literals that words do not find.
struct Rest {
    matcher: Arc<dyn Matcher>,
    /// By the index in `matcher`: the literal's index among all.
    literals: Arc<[u32]>,
    /// Whether none of them can stand in a text of ASCII alone.
    beyond_ascii: bool,
}

impl WordMatcher {
    /// Compiles the literals; a hit names them by their index in `literals`. `rest` builds the matcher for those that
    /// begin with no word, and is not called when there are none.
    ///
    /// # Errors
    /// What `rest` says.
    ///
    /// # Panics
    /// If a literal is empty or holds a line break, or if all together have 4 GiB.
    pub fn build<E>(
        literals: &[Literal],
        rest: impl FnOnce(&[Literal]) -> Result<Arc<dyn Matcher>, E>,
    ) -> Result<WordMatcher, E> {
        literals.iter().for_each(Literal::assert_valid);
        let others: Vec<u32> =
            (0..literals.len() as u32).filter(|&at| key_of(&literals[at as usize]).is_none()).collect();
        let tables = Form::ALL.map(|form| Table::new(literals, form));
        let rest = match others.is_empty() {
            true => None,
            false => {
                let texts: Vec<Literal> = others.iter().map(|&at| literals[at as usize].clone()).collect();
                let beyond_ascii = texts.iter().all(|literal| !literal.text.is_ascii());
                Some(Rest { matcher: rest(&texts)?, literals: others.into(), beyond_ascii })
            }
        };
        Ok(WordMatcher { tables: Arc::new(tables), rest })
    }

    /// The memory that the matcher of these literals takes, in bytes, told without building it. `rest` tells it of those
    /// that begin with no word, and is not called when there are none.
    pub fn bytes_of(literals: &[Literal], rest: impl FnOnce(&[&Literal]) -> usize) -> usize {
        let (keyed, others): (Vec<&Literal>, Vec<&Literal>) =
            literals.iter().partition(|literal| key_of(literal).is_some());
        let mut bytes = if others.is_empty() { 0 } else { rest(&others) + others.len() * size_of::<u32>() };
        for form in Form::ALL {
            let texts =
                || keyed.iter().filter(|literal| literal.form == form).map(|literal| literal.text.len());
            let (count, text_bytes) = (texts().count(), texts().sum::<usize>());
            if count > 0 {
                bytes += Table::filter_bits(count) / 8
                    + Table::slots_of(count) * size_of::<Slot>()
                    + count * size_of::<Candidate>()
                    + text_bytes;
            }
        }
        bytes
    }
}

impl Matcher for WordMatcher {
    fn scanner(&self) -> Box<dyn Scanner> {
        let rest = self.rest.as_ref().map(|rest| RestScanner {
            scanner: rest.matcher.scanner(),
            literals: rest.literals.clone(),
            beyond_ascii: rest.beyond_ascii,
        });
        Box::new(WordScanner { tables: self.tables.clone(), words: Vec::new(), rest })
    }

    fn name(&self) -> &'static str {
        match self.rest.as_ref().map(|rest| rest.matcher.name()) {
            None => "words",
            Some("hyperscan") => "words and hyperscan",
            Some(_) => "words and reference",
        }
    }

    fn bytes(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.matcher.bytes() + rest.literals.len() * 4);
        self.tables.iter().flatten().map(Table::bytes).sum::<usize>() + rest
    }
}

impl Table {
    /// None if words find no literal of this form.
    fn new(literals: &[Literal], form: Form) -> Option<Table> {
        let chosen = literals.iter().enumerate().filter(|(_, literal)| literal.form == form);
        let mut prefix_lengths = 0;
        let mut keyed: Vec<(u64, &str, u32)> = chosen
            .filter_map(|(at, literal)| {
                let key = key_of(literal)?;
                if let Key::Prefix(_, length, _) = key {
                    prefix_lengths |= 1 << (length - 1);
                }
                Some((key.hash(), &*literal.text, at as u32))
            })
            .collect();
        if keyed.is_empty() {
            return None;
        }
        keyed.sort_unstable();
        let bits = Table::filter_bits(keyed.len());
        let mut table = Table {
            filter: vec![0; bits / 64],
            filter_shift: 64 - bits.trailing_zeros(),
            slots: vec![Slot::default(); Table::slots_of(keyed.len())],
            candidates: Vec::with_capacity(keyed.len()),
            texts: String::new(),
            prefix_lengths,
        };
        for group in keyed.chunk_by(|one, other| one.0 == other.0) {
            let from = table.candidates.len() as u32;
            // Those that the present one may begin with, each a beginning of the next.
            let mut open: Vec<(u32, &str)> = Vec::new();
            for &(_, text, literal) in group {
                while open.pop_if(|(_, shorter)| !text.starts_with(*shorter)).is_some() {}
                let parent = open.last().map_or(NO_PARENT, |&(at, _)| at);
                open.push((table.candidates.len() as u32, text));
                let start = table.texts.len();
                table.texts.push_str(text);
                let end =
                    u32::try_from(table.texts.len()).expect("invariant: bundles are limited far below 4 GiB");
                table.candidates.push(Candidate {
                    literal,
                    text: start as u32..end,
                    edges: literals[literal as usize].edges,
                    parent,
                });
            }
            table.add(group[0].0, from, table.candidates.len() as u32);
        }
        Some(table)
    }

    fn filter_bits(keyed: usize) -> usize {
        (keyed * FILTER_BITS_PER_KEY).next_power_of_two().max(FILTER_BITS_MIN)
    }

    fn slots_of(keyed: usize) -> usize {
        (keyed * 2).next_power_of_two()
    }

    fn add(&mut self, key: u64, from: u32, to: u32) {
        assert!(from < to, "a key has candidates");
        let bit = (key >> self.filter_shift) as usize;
        self.filter[bit / 64] |= 1 << (bit % 64);
        let mask = self.slots.len() - 1;
        let mut at = key as usize & mask;
        while self.slots[at].from < self.slots[at].to {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { key, from, to };
    }

    fn bytes(&self) -> usize {
        self.filter.len() * 8
            + self.slots.len() * size_of::<Slot>()
            + self.candidates.len() * size_of::<Candidate>()
            + self.texts.len()
    }

    /// Where the candidates of a key stand; nowhere for most keys.
    #[inline]
    fn candidates(&self, key: u64) -> Range<usize> {
        let bit = (key >> self.filter_shift) as usize;
        if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
            return 0..0;
        }
        let mask = self.slots.len() - 1;
        let mut at = key as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.from == slot.to || slot.key == key {
                return slot.from as usize..slot.to as usize;
            }
            at = (at + 1) & mask;
        }
    }

    /// Appends the hits of the literals with this key that stand at `start`.
    ///
    /// What the text begins with there lies, in the order of bytes, at or before the text; and whatever lies between
    /// such a literal and the text begins with that literal too. So all of them are found from the last one that does
    /// not lie behind the text, along its parents: in the logarithm of their number.
    #[inline]
    fn check(&self, key: u64, text: &str, start: usize, hits: &mut Vec<Hit>) {
        let found = self.candidates(key);
        if found.is_empty() {
            return;
        }
        let bytes_of = |candidate: &Candidate| {
            &self.texts.as_bytes()[candidate.text.start as usize..candidate.text.end as usize]
        };
        let rest = &text.as_bytes()[start..];
        let group = &self.candidates[found.clone()];
        let before = group.partition_point(|candidate| bytes_of(candidate) <= rest);
        let mut next = if before == 0 { NO_PARENT } else { (found.start + before - 1) as u32 };
        while next != NO_PARENT {
            let candidate = &self.candidates[next as usize];
            let literal = bytes_of(candidate);
            let end = start + literal.len();
            if rest.starts_with(literal) && bounded(text, start, end, candidate.edges) {
                hits.push(Hit { literal: candidate.literal, start: start as u32, end: end as u32 });
            }
            next = candidate.parent;
        }
    }

    fn scan(&self, text: &str, words: &mut Vec<Word>, hits: &mut Vec<Hit>) {
        assert!(u32::try_from(text.len()).is_ok(), "a hit is 32 bits wide");
        words.clear();
        let mut at = 0;
        while let Some(word) = next_word(text, at) {
            at = word.end as usize;
            words.push(word);
        }
        for (at, &word) in words.iter().enumerate() {
            let next = words.get(at + 1).filter(|next| next.start == word.end + 1);
            let start = word.start as usize;
            self.check_word(text, 0, start, word, next, hits);
            let sign = sign_of(start.checked_sub(1).map(|before| text.as_bytes()[before]));
            if sign != 0 {
                self.check_word(text, sign, start - 1, word, next, hits);
            }
            if self.prefix_lengths != 0 {
                self.check_prefixes(text, sign, word, hits);
            }
        }
    }

    /// The prefixes that stand where this word begins, with the sign before it and without.
    #[inline(never)]
    fn check_prefixes(&self, text: &str, sign: u64, word: Word, hits: &mut Vec<Hit>) {
        let start = word.start as usize;
        let bytes = &text.as_bytes()[start..word.end as usize];
        let first = first_bytes(bytes);
        let mut lengths = self.prefix_lengths;
        if bytes.len() < PREFIX_BYTES_MAX {
            lengths &= (1 << bytes.len()) - 1;
        }
        while lengths != 0 {
            let length = lengths.trailing_zeros() as usize + 1;
            lengths &= lengths - 1;
            let beginning = first & u64::MAX >> (64 - 8 * length);
            self.check(prefix_key(0, length, beginning), text, start, hits);
            if sign != 0 {
                self.check(prefix_key(sign, length, beginning), text, start - 1, hits);
            }
        }
    }

    /// The literals that begin at `start` with this sign and this word. `next` is the word after it, if one character
    /// of one byte stands between them.
    #[inline]
    fn check_word(
        &self,
        text: &str,
        sign: u64,
        start: usize,
        word: Word,
        next: Option<&Word>,
        hits: &mut Vec<Hit>,
    ) {
        self.check(single_key(sign, word.hash), text, start, hits);
        if let Some(next) = next {
            let between = text.as_bytes()[word.end as usize];
            self.check(pair_key(sign, word.hash, between, next.hash), text, start, hits);
        }
    }
}

/// One thread's way in.
struct WordScanner {
    /// By the index of the form.
    tables: Arc<[Option<Table>; 4]>,
    words: Vec<Word>,
    rest: Option<RestScanner>,
}

struct RestScanner {
    scanner: Box<dyn Scanner>,
    literals: Arc<[u32]>,
    beyond_ascii: bool,
}

impl Scanner for WordScanner {
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>) {
        let from = hits.len();
        if let Some(rest) = &mut self.rest
            && !(rest.beyond_ascii && text.is_ascii())
        {
            rest.scanner.scan(text, hits);
            for hit in &mut hits[from..] {
                hit.literal = rest.literals[hit.literal as usize];
            }
        }
        for (table, form) in self.tables.iter().zip(Form::ALL) {
            if let Some(table) = table {
                table.scan(text.form(form), &mut self.words, hits);
            }
        }
        hits[from..].sort_unstable();
    }
}
