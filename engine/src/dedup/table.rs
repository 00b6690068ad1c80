//! One table of the exact window: buckets of 64 bytes, two of which a key may stand in.
//!
//! Owns where a key is stored, growth, sweeping and what is pushed out. May not know time: which tags are alive it
//! asks of the generations. Called by the window alone.

use super::generations::{Generations, SWEEP_GENERATIONS};
use super::word::Word;

/// A table is made larger when more than this share of its slots is alive, in percent. At 70, two buckets to choose
/// from leave 1 insertion in 10,000 without room (research, measured); moving one key aside takes care of those.
const LOAD_PERCENT_MAX: usize = 70;

/// A set of keys with an age each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table<W: Word> {
    buckets: Vec<W::Bucket>,
    buckets_max: usize,
    /// Keys placed and not yet swept: says when it is time to count the living and perhaps grow.
    placed: usize,
    swept: usize,
}

/// Where a key may stand, worked out once for a look-up and the insertion that follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<W> {
    home: usize,
    second: usize,
    remainder: W,
    /// How many buckets there were.
    buckets: usize,
}

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// There was room.
    Free,
    /// The oldest key in reach was forgotten; it carried this tag.
    PushedOut(u16),
}

impl<W: Word> Table<W> {
    /// An empty table that grows until it holds `ids_max` at full load.
    pub(super) fn new(ids_max: usize) -> Table<W> {
        let slots = ids_max.saturating_mul(100).div_ceil(LOAD_PERCENT_MAX);
        Table {
            buckets: vec![W::EMPTY; W::BUCKETS_MIN],
            buckets_max: slots.div_ceil(W::SLOTS).max(W::BUCKETS_MIN),
            placed: 0,
            swept: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<W::Bucket>()
    }

    /// Where the key may stand.
    #[inline]
    pub(super) fn spot(&self, key: W::Key) -> Spot<W> {
        let (home, remainder) = W::split(key, self.buckets.len());
        Spot { home, second: self.second(home, remainder), remainder, buckets: self.buckets.len() }
    }

    /// Whether the key of this spot is here and alive.
    #[inline]
    pub(super) fn contains(&self, spot: Spot<W>, generations: &Generations) -> bool {
        debug_assert_eq!(spot.buckets, self.buckets.len());
        self.holds(spot.home, spot.remainder, false, generations)
            || self.holds(spot.second, spot.remainder, true, generations)
    }

    /// Reads the two lines of a key and gives back what need not be used: many such reads, one after the other, wait
    /// for memory together, where look-ups would wait one by one.
    #[inline]
    pub(super) fn touch(&self, key: W::Key) -> u16 {
        let spot = self.spot(key);
        self.buckets[spot.home].as_ref()[0].low() ^ self.buckets[spot.second].as_ref()[0].low()
    }

    /// Stores a key that is not here and alive, under a tag that is. `spot` is where it was looked for.
    pub(super) fn insert(
        &mut self,
        key: W::Key,
        spot: Spot<W>,
        tag: u16,
        generations: &Generations,
    ) -> Placed {
        debug_assert!(!self.contains(spot, generations));
        debug_assert!(generations.age(tag).is_some());
        let full = (self.placed + 1) * 100 > self.buckets.len() * W::SLOTS * LOAD_PERCENT_MAX;
        if full && self.buckets.len() < self.buckets_max {
            self.rebuild(generations);
        }
        let spot = if spot.buckets == self.buckets.len() { spot } else { self.spot(key) };
        self.place(spot, tag, generations)
    }

    /// Clears dead slots from the next part of the table; called once per generation.
    pub(super) fn sweep(&mut self, generations: &Generations) {
        for _ in 0..self.buckets.len().div_ceil(SWEEP_GENERATIONS) {
            for slot in self.buckets[self.swept].as_mut() {
                if slot.tag() != 0 && generations.age(slot.tag()).is_none() {
                    *slot = W::ZERO;
                    self.placed = self.placed.saturating_sub(1);
                }
            }
            self.swept = (self.swept + 1) % self.buckets.len();
        }
    }

    /// Calls `each` with every living key and its tag.
    fn for_each_living(&self, generations: &Generations, mut each: impl FnMut(W::Key, u16)) {
        for (place, bucket) in self.buckets.iter().enumerate() {
            for &slot in bucket.as_ref() {
                if generations.age(slot.tag()).is_some() {
                    let home = if slot.alternate() { self.second(place, slot.remainder()) } else { place };
                    each(W::join(home, slot.remainder(), self.buckets.len()), slot.tag());
                }
            }
        }
    }

    /// Counts the living anew, and moves them into a table of twice the size if they need it and may have it.
    #[cold]
    fn rebuild(&mut self, generations: &Generations) {
        let mut living = 0;
        self.for_each_living(generations, |_, _| living += 1);
        self.placed = living;
        let crowded = living * 200 > self.buckets.len() * W::SLOTS * LOAD_PERCENT_MAX;
        if !crowded {
            return;
        }
        let buckets = (self.buckets.len() * 2).min(self.buckets_max);
        let mut larger =
            Table { buckets: vec![W::EMPTY; buckets], buckets_max: self.buckets_max, placed: 0, swept: 0 };
        let mut all_free = true;
        self.for_each_living(generations, |key, tag| {
            let spot = larger.spot(key);
            all_free &= larger.place(spot, tag, generations) == Placed::Free;
        });
        // A table that is too full for its own keys would have to say which ones it lost. It grows from a load below
        // a half, where that needs a crafted set of ids; then the old table stays and keys are pushed out one by one.
        if all_free {
            assert_eq!(larger.placed, living);
            *self = larger;
        } else {
            // Tried again after as many insertions as would fill it anew, so that trying costs little.
            self.placed = 0;
        }
    }

    fn place(&mut self, spot: Spot<W>, tag: u16, generations: &Generations) -> Placed {
        let Spot { home, second, remainder, .. } = spot;
        let (at_home, at_second) = (self.free(home, generations), self.free(second, generations));
        let choice = match (at_home, at_second) {
            // The emptier of the two: that is what keeps both from being full.
            ((left, Some(slot)), (right, _)) if left >= right => Some((home, slot, false)),
            (_, (_, Some(slot))) => Some((second, slot, true)),
            ((_, Some(slot)), _) => Some((home, slot, false)),
            _ => None,
        };
        let (bucket, slot, alternate, outcome) = match choice {
            Some((bucket, slot, alternate)) => (bucket, slot, alternate, Placed::Free),
            None => match self.move_one(home, generations) {
                Some(slot) => (home, slot, false, Placed::Free),
                None => match self.move_one(second, generations) {
                    Some(slot) => (second, slot, true, Placed::Free),
                    None => self.push_out(home, second, generations),
                },
            },
        };
        self.buckets[bucket].as_mut()[slot] = remainder.with(alternate, tag);
        if outcome == Placed::Free {
            self.placed += 1;
        }
        outcome
    }

    /// Frees a slot of a full bucket by moving one of its keys to that key's other bucket.
    fn move_one(&mut self, full: usize, generations: &Generations) -> Option<usize> {
        for slot in 0..W::SLOTS {
            let word = self.buckets[full].as_ref()[slot];
            let other = self.second(full, word.remainder());
            if other == full {
                continue;
            }
            if let (_, Some(free)) = self.free(other, generations) {
                self.buckets[other].as_mut()[free] = word.remainder().with(!word.alternate(), word.tag());
                return Some(slot);
            }
        }
        None
    }

    /// The oldest slot of two full buckets.
    fn push_out(
        &self,
        home: usize,
        second: usize,
        generations: &Generations,
    ) -> (usize, usize, bool, Placed) {
        let mut oldest = (0, home, 0, false);
        for (bucket, alternate) in [(home, false), (second, true)] {
            for (slot, word) in self.buckets[bucket].as_ref().iter().enumerate() {
                let age =
                    generations.age(word.tag()).expect("invariant: a full bucket holds living keys only");
                if age > oldest.0 || (oldest.0 == 0 && oldest.1 == home && oldest.2 == 0) {
                    oldest = (age, bucket, slot, alternate);
                }
            }
        }
        let (_, bucket, slot, alternate) = oldest;
        (bucket, slot, alternate, Placed::PushedOut(self.buckets[bucket].as_ref()[slot].tag()))
    }

    /// How many slots of a bucket are empty or dead, and the first of them.
    #[inline]
    fn free(&self, bucket: usize, generations: &Generations) -> (usize, Option<usize>) {
        let (mut count, mut first) = (0, None);
        for (slot, word) in self.buckets[bucket].as_ref().iter().enumerate().rev() {
            if generations.age(word.tag()).is_none() {
                count += 1;
                first = Some(slot);
            }
        }
        (count, first)
    }

    #[inline]
    fn holds(&self, bucket: usize, remainder: W, alternate: bool, generations: &Generations) -> bool {
        let wanted = remainder.with(alternate, 0);
        let same = |word: &&W| word.without_tag() == wanted;
        self.buckets[bucket].as_ref().iter().filter(same).any(|word| generations.age(word.tag()).is_some())
    }

    /// The other bucket of a key: from the home the second, from the second the home.
    #[inline]
    fn second(&self, bucket: usize, remainder: W) -> usize {
        let buckets = self.buckets.len();
        let sum = ((u128::from(remainder.spread()) * buckets as u128) >> 64) as usize;
        if sum >= bucket { sum - bucket } else { sum + buckets - bucket }
    }
}
