//! What follows from what: the rules and groups of each literal and group, and the rules that wait for others.
//!
//! Owns the tables and how an entry is packed into 32 bits. May not know programs. Made by `build`, read for each mention.

use super::number;
use crate::policy::{Category, RuleIndex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What follows when something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Entry(u32);

/// An entry by its kind.
pub(super) enum Follows {
    Rule(RuleIndex),
    /// By its place among the askers.
    Asker(u32),
    Group(u32),
}

impl Entry {
    const KIND_SHIFT: u32 = 30;

    pub fn new(kind: u32, value: u32) -> Entry {
        assert!(value >> Entry::KIND_SHIFT == 0, "the limits of a policy are far below 2^30");
        Entry(kind << Entry::KIND_SHIFT | value)
    }

    pub fn rule(rule: RuleIndex) -> Entry {
        Entry::new(0, rule.0)
    }

    pub fn asker(place: u32) -> Entry {
        Entry::new(1, place)
    }

    pub fn group(group: u32) -> Entry {
        Entry::new(2, group)
    }

    pub fn follows(self) -> Follows {
        let value = self.0 & ((1 << Entry::KIND_SHIFT) - 1);
        match self.0 >> Entry::KIND_SHIFT {
            0 => Follows::Rule(RuleIndex(value)),
            1 => Follows::Asker(value),
            _ => Follows::Group(value),
        }
    }
}

/// What follows from each of many things: that of `n` is `entries[offsets[n]..offsets[n + 1]]`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    offsets: Vec<u32>,
    entries: Vec<Entry>,
}

impl Index {
    pub fn new(length: usize, mut pairs: Vec<(u32, Entry)>) -> Index {
        pairs.sort_unstable();
        pairs.dedup();
        let mut index =
            Index { offsets: Vec::with_capacity(length + 1), entries: Vec::with_capacity(pairs.len()) };
        index.offsets.push(0);
        for group in pairs.chunk_by(|one, other| one.0 == other.0) {
            index.offsets.resize(group[0].0 as usize + 1, number(index.entries.len()));
            index.entries.extend(group.iter().map(|(_, entry)| *entry));
            index.offsets.push(number(index.entries.len()));
        }
        index.offsets.resize(length + 1, number(index.entries.len()));
        index
    }

    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Its offsets and entries, for who counts their bytes.
    pub fn parts(&self) -> (&Vec<u32>, &Vec<Entry>) {
        (&self.offsets, &self.entries)
    }

    #[inline]
    pub fn of(&self, place: u32) -> &[Entry] {
        let (from, to) = (self.offsets[place as usize], self.offsets[place as usize + 1]);
        &self.entries[from as usize..to as usize]
    }
}

/// The rules that ask what other rules assert.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Asking {
    /// Each after those that it asks.
    pub order: Vec<RuleIndex>,
    /// Those that can be true whatever is asserted, by their place in `order`.
    pub always: Vec<u32>,
    /// By tag: those that may be true once a rule gives it.
    pub by_tag: BTreeMap<u32, Vec<u32>>,
    /// By category, likewise.
    pub by_category: [Vec<u32>; Category::ALL.len()],
}

impl Asking {
    pub fn new(order: Vec<RuleIndex>) -> Asking {
        Asking { order, ..Asking::default() }
    }

    pub fn wait_for_tag(&mut self, tag: u32, asker: u32) {
        self.by_tag.entry(tag).or_default().push(asker);
    }

    pub fn wait_for_category(&mut self, category: Category, asker: u32) {
        self.by_category[category as usize].push(asker);
    }
}
