//! The exact window: which mentions have been seen within a time and a number.
//!
//! Owns the tables (one per network with numeric ids, one for all else) and their common generations. May not decide
//! what a repeat means. Called by the triage engine, in log order, by one owner.

use super::DedupLimits;
use super::generations::Generations;
use super::table::{Placed, Table};
use super::word::mix;
use crate::model::{MentionKey, Millis};
use std::collections::BTreeMap;

/// Networks that get a table of numeric ids of their own. Ids of further ones cost 24 bytes instead of 12.
pub const NETWORKS_MAX: usize = 8;

const MASK_127: u128 = u128::MAX >> 1;

/// Remembers mention keys for a time and up to a number.
///
/// Never calls a key seen that was not inserted inside the window. It may forget early: by up to a hundredth of the
/// window, and, counted in [`ExactWindow::forced_evictions`], for want of room. The same calls give the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactWindow {
    limits: DedupLimits,
    generations: Generations,
    networks: BTreeMap<u64, usize>,
    numeric: Vec<Table<u64>>,
    hashed: Table<u128>,
    now: Millis,
    forced_evictions: u64,
}

/// Where a key is kept, and under which name there.
#[derive(Debug, Clone, Copy)]
enum Place {
    Numeric(usize, u64),
    Hashed(u128),
}

impl ExactWindow {
    /// An empty window; memory grows with what it holds.
    ///
    /// # Panics
    /// When a limit is below 1; the policy refuses such.
    #[must_use]
    pub fn new(limits: DedupLimits) -> ExactWindow {
        assert!(limits.window_ms >= 1, "a window has a length");
        assert!(limits.ids_max >= 1, "a window holds something");
        ExactWindow {
            limits,
            generations: Generations::new(limits),
            networks: BTreeMap::new(),
            numeric: Vec::new(),
            hashed: Table::new(limits.ids_max),
            now: Millis::MIN,
            forced_evictions: 0,
        }
    }

    /// True when the key was inserted inside the window; else it is inserted now. A repeat does not renew the key:
    /// its window runs from the first time.
    ///
    /// `now` is log time; one that goes back counts as the highest so far.
    pub fn check_and_insert(&mut self, key: MentionKey, now: Millis) -> bool {
        self.advance(now);
        let seen = match self.place(key) {
            Place::Numeric(table, id) => {
                let spot = self.numeric[table].spot(id);
                self.numeric[table].contains(spot, &self.generations) || {
                    let tag = self.admit();
                    let placed = self.numeric[table].insert(id, spot, tag, &self.generations);
                    self.count(placed);
                    false
                }
            }
            Place::Hashed(hash) => {
                let spot = self.hashed.spot(hash);
                self.hashed.contains(spot, &self.generations) || {
                    let tag = self.admit();
                    let placed = self.hashed.insert(hash, spot, tag, &self.generations);
                    self.count(placed);
                    false
                }
            }
        };
        self.check_invariants();
        seen
    }

    /// Inserts a key, if it is not there: for reading a window back from the ledger.
    pub fn insert(&mut self, key: MentionKey, now: Millis) {
        let _ = self.check_and_insert(key, now);
    }

    /// Reads the places of these keys into the caches, which changes nothing: many reads one after the other wait for
    /// memory together, where look-ups would wait one by one. To be called before each few dozen look-ups.
    pub fn fetch(&self, keys: impl Iterator<Item = MentionKey>) {
        let touched = keys.fold(0, |sum, key| {
            sum ^ match self.known_place(key) {
                Some(Place::Numeric(table, id)) => self.numeric[table].touch(id),
                Some(Place::Hashed(hash)) => self.hashed.touch(hash),
                None => 0,
            }
        });
        std::hint::black_box(touched);
    }

    /// Ids remembered, as of the latest time told.
    #[must_use]
    pub fn len(&self) -> usize {
        self.generations.ids()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all tables. While one grows, its old half is held as well.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.hashed.bytes() + self.numeric.iter().map(Table::bytes).sum::<usize>()
    }

    /// Ids forgotten before their time, for want of room.
    #[must_use]
    pub fn forced_evictions(&self) -> u64 {
        self.forced_evictions
    }

    /// How far back the window reaches now, in milliseconds; 0 when it is empty.
    #[must_use]
    pub fn reach_ms(&self) -> i64 {
        self.generations.oldest_start().map_or(0, |start| self.now.since(start))
    }

    fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
        self.generations.expire(self.now);
    }

    /// Makes room for one more id and counts it; the tag to store it under.
    fn admit(&mut self) -> u16 {
        self.forced_evictions += self.generations.make_room() as u64;
        if let Some(forgotten) = self.generations.begin_if_due(self.now) {
            self.forced_evictions += forgotten as u64;
            self.hashed.sweep(&self.generations);
            for table in &mut self.numeric {
                table.sweep(&self.generations);
            }
        }
        self.generations.admit()
    }

    fn count(&mut self, placed: Placed) {
        if let Placed::PushedOut(tag) = placed {
            self.generations.remove(tag);
            self.forced_evictions += 1;
        }
    }

    /// Where the key belongs, giving its network a table if it is new and there is one to give.
    fn place(&mut self, key: MentionKey) -> Place {
        if let Some(place) = self.known_place(key) {
            return place;
        }
        self.numeric.push(Table::new(self.limits.ids_max));
        let table = self.numeric.len() - 1;
        self.networks.insert((key.0 >> 64) as u64, table);
        Place::Numeric(table, mix(key.0 as u64))
    }

    /// Where the key belongs; none when its network is to get a table first.
    fn known_place(&self, key: MentionKey) -> Option<Place> {
        if key.0 >> 127 == 1 {
            return Some(Place::Hashed(key.0 & MASK_127));
        }
        match self.networks.get(&((key.0 >> 64) as u64)) {
            Some(&table) => Some(Place::Numeric(table, mix(key.0 as u64))),
            None if self.numeric.len() < NETWORKS_MAX => None,
            None => Some(Place::Hashed(mix_127(key.0))),
        }
    }

    fn check_invariants(&self) {
        debug_assert!(self.generations.ids() <= self.limits.ids_max);
        debug_assert!(self.generations.ids() > 0, "the newest id is always remembered");
        debug_assert_eq!(self.networks.len(), self.numeric.len());
        debug_assert!(self.numeric.len() <= NETWORKS_MAX);
    }
}

/// Spreads a numeric key with its network over 127 bits, without loss: each step can be undone. So such keys never
/// meet each other; that one meets a hashed key is as likely as that two hashed keys meet.
fn mix_127(key: u128) -> u128 {
    debug_assert_eq!(key >> 127, 0);
    let key = key ^ (key >> 64);
    let key = key.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645) & MASK_127;
    key ^ (key >> 64)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
