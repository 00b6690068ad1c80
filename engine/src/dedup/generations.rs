//! The ages inside the exact window: a short row of generations, each with a tag that fits into a slot.
//!
//! Owns which tags are alive and how many ids carry each. May not know where ids are stored. Called by the window
//! alone.
//!
//! A new generation begins when the present one is a hundredth of the window old or holds a hundredth of the ids
//! allowed. So time and number are both bounded by dropping whole generations from the front, and nothing needs a
//! list of ids by age.

use super::DedupLimits;
use crate::model::Millis;
use std::collections::VecDeque;

/// Into how many steps time and number are cut; ids are forgotten at most one step early.
const STEPS: usize = 100;

/// Tags run from 1 to this and start again; 0 marks an empty slot. Ten bits.
pub(super) const TAG_MAX: u64 = 1023;

/// Every table is swept of dead slots once in so many generations.
pub(super) const SWEEP_GENERATIONS: usize = 128;

/// Alive at once at most: those ended by time, those ended by number, the present one and the one being begun.
const ALIVE_MAX: usize = 2 * STEPS + 3;

// A tag must be dead and swept away before it is given out again, or an old id would seem to be seen.
const _: () = assert!(((ALIVE_MAX + SWEEP_GENERATIONS + 2) as u64) < TAG_MAX);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Generation {
    start: Millis,
    ids: usize,
}

/// The generations that are alive, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generations {
    limits: DedupLimits,
    step_ms: i64,
    ids_per_generation: usize,
    alive: VecDeque<Generation>,
    /// The number of the oldest one alive; the newest is `oldest + alive.len() - 1`.
    oldest: u64,
    /// The tag of the newest one: asked for with every slot that is looked at, so it is not worked out each time.
    newest_tag: u16,
    ids: usize,
}

impl Generations {
    pub(super) fn new(limits: DedupLimits) -> Generations {
        assert!(limits.window_ms >= 1 && limits.ids_max >= 1);
        Generations {
            limits,
            // Rounded up: more steps than STEPS would need more tags.
            step_ms: limits.window_ms.saturating_add(STEPS as i64 - 1) / STEPS as i64,
            ids_per_generation: limits.ids_max.div_ceil(STEPS),
            alive: VecDeque::new(),
            oldest: 0,
            newest_tag: 0,
            ids: 0,
        }
    }

    /// Ids that carry a tag that is alive.
    pub(super) fn ids(&self) -> usize {
        self.ids
    }

    /// The start of the oldest generation alive.
    pub(super) fn oldest_start(&self) -> Option<Millis> {
        self.alive.front().map(|generation| generation.start)
    }

    /// Drops what is older than the window at `now`, which must not go back.
    pub(super) fn expire(&mut self, now: Millis) {
        while let Some(front) = self.alive.front() {
            assert!(front.start <= now, "log time goes forward");
            if now.since(front.start) < self.limits.window_ms {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Makes room for one id by number; returns how many ids had to be forgotten before their time.
    pub(super) fn make_room(&mut self) -> usize {
        let mut forgotten = 0;
        while self.ids >= self.limits.ids_max {
            forgotten += self.drop_oldest();
        }
        assert!(self.ids < self.limits.ids_max);
        forgotten
    }

    /// Begins a new generation if the present one is full or old; then returns how many ids had to be forgotten
    /// because all tags that may be alive at once were in use.
    pub(super) fn begin_if_due(&mut self, now: Millis) -> Option<usize> {
        if let Some(newest) = self.alive.back_mut() {
            let old = now.since(newest.start) >= self.step_ms;
            if newest.ids == 0 && old {
                newest.start = now;
                return None;
            }
            if !old && newest.ids < self.ids_per_generation {
                return None;
            }
        }
        // Reached only when ids that were pushed out have left many generations nearly empty.
        let mut forgotten = 0;
        while self.alive.len() >= ALIVE_MAX {
            forgotten += self.drop_oldest();
        }
        self.alive.push_back(Generation { start: now, ids: 0 });
        self.newest_tag = tag_of(self.oldest + self.alive.len() as u64 - 1);
        Some(forgotten)
    }

    /// Counts one id into the newest generation and returns the tag to store with it.
    pub(super) fn admit(&mut self) -> u16 {
        let newest =
            self.alive.back_mut().expect("invariant: a generation is begun before an id is admitted");
        newest.ids += 1;
        self.ids += 1;
        assert!(self.ids <= self.limits.ids_max);
        self.newest_tag
    }

    /// Takes one id out of the generation that `tag` names, which must be alive.
    pub(super) fn remove(&mut self, tag: u16) {
        let age = self.age(tag).expect("invariant: only a living id is removed");
        let index = self.alive.len() - 1 - age;
        assert!(self.alive[index].ids > 0 && self.ids > 0);
        self.alive[index].ids -= 1;
        self.ids -= 1;
    }

    /// How many generations younger than `tag`'s there are; none when it is dead or no tag at all.
    #[inline]
    pub(super) fn age(&self, tag: u16) -> Option<usize> {
        let (newest, tag) = (u64::from(self.newest_tag), u64::from(tag));
        let age = if newest >= tag { newest - tag } else { newest + TAG_MAX - tag } as usize;
        (tag != 0 && age < self.alive.len()).then_some(age)
    }

    fn drop_oldest(&mut self) -> usize {
        let front = self.alive.pop_front().expect("invariant: ids are counted in living generations");
        self.oldest += 1;
        assert!(self.ids >= front.ids);
        self.ids -= front.ids;
        front.ids
    }
}

fn tag_of(number: u64) -> u16 {
    (number % TAG_MAX) as u16 + 1
}
