//! The contiguous watermark: which offset may be committed.
//!
//! Owns the one rule by which offsets move: the committed offset is the lowest unsettled record's, or the last
//! settled one's plus 1, never past an unsettled one (architecture, idea 5). Nothing else may compute a commit.
//! Pure: no log, no clock, no locks. Called by the shard that owns the partition, one value per ownership, so
//! a partition that comes back starts anew from what the group has committed.

use std::collections::VecDeque;

/// The settled prefix of one partition, for one ownership of it.
#[derive(Debug)]
pub struct Watermark {
    /// Every record below is settled.
    settled: i64,
    /// One past the last offset handed out.
    next: i64,
    /// Runs that end at or above `settled`, in ascending order; the front one is never settled.
    runs: VecDeque<Run>,
    /// The number of the run at the front of `runs`.
    front: u64,
    /// How many of `runs` are not settled.
    open: usize,
}

#[derive(Debug)]
struct Run {
    next: i64,
    settled: bool,
}

/// Names one run of one [`Watermark`]; means nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u64);

impl Watermark {
    /// Nothing handed out yet; `committed` is the next offset to be settled.
    ///
    /// # Panics
    /// When `committed` is negative: the caller resolves what a group without a commit means.
    #[must_use]
    pub fn new(committed: i64) -> Watermark {
        assert!(committed >= 0, "a committed offset is 0 or more, not {committed}");
        Watermark { settled: committed, next: committed, runs: VecDeque::new(), front: 0, open: 0 }
    }

    /// A run of records was handed out: it covers `first..next`, where `next` is its last offset plus 1.
    ///
    /// Offsets between the previous run's end and `first` are holes, no records: they are settled with this
    /// run. A range that holds no record at all, lost to retention, is opened in the same way.
    ///
    /// # Panics
    /// When the run is empty, or starts below the end of the one before: a source that goes back is broken,
    /// and a commit computed from it would be a lie.
    pub fn open(&mut self, first: i64, next: i64) -> RunId {
        assert!(first < next, "a run covers at least one offset: {first}..{next}");
        assert!(
            first >= self.next,
            "a run that starts at {first} was handed out after one that ends at {}",
            self.next
        );
        let id = RunId(self.front + self.runs.len() as u64);
        self.runs.push_back(Run { next, settled: false });
        self.next = next;
        self.open += 1;
        self.check_invariants();
        id
    }

    /// The broker has acknowledged every effect of every record of `run`. In any order, once for each.
    ///
    /// # Panics
    /// When `run` was settled before or never opened here.
    pub fn settle(&mut self, run: RunId) {
        let place = run.0.checked_sub(self.front).and_then(|place| usize::try_from(place).ok());
        let slot = place.and_then(|place| self.runs.get_mut(place));
        let slot = slot.expect("invariant: a run is settled once, and where it was opened");
        assert!(!slot.settled, "a run is settled once: {run:?}");
        slot.settled = true;
        self.open -= 1;
        // Each run is popped once in its life, so settling costs O(1) amortised whatever the order.
        while let Some(front) = self.runs.front().filter(|front| front.settled) {
            debug_assert!(front.next > self.settled, "the watermark is monotone");
            self.settled = front.next;
            self.runs.pop_front();
            self.front += 1;
        }
        self.check_invariants();
    }

    /// Every record below is settled: the offset that may be committed. Never goes back.
    #[must_use]
    pub fn settled(&self) -> i64 {
        self.settled
    }

    /// How many runs are handed out and not settled.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.open
    }

    /// The next offset expected to be handed out; it may turn out to be a hole.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    fn check_invariants(&self) {
        debug_assert!(self.settled <= self.next);
        debug_assert!(self.open <= self.runs.len());
        debug_assert!(self.runs.front().is_none_or(|front| !front.settled), "a settled front was not popped");
        debug_assert_eq!(
            self.runs.is_empty(),
            self.settled == self.next,
            "all settled means nothing is kept"
        );
        debug_assert_eq!(self.runs.is_empty(), self.open == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_commit_is_one_past_the_last_settled_record_and_never_past_an_unsettled_one() {
        let mut watermark = Watermark::new(100);
        assert_eq!((watermark.settled(), watermark.next(), watermark.in_flight()), (100, 100, 0));
        let first = watermark.open(100, 110);
        let second = watermark.open(110, 120);
        let third = watermark.open(120, 121);
        watermark.settle(second);
        watermark.settle(third);
        assert_eq!((watermark.settled(), watermark.in_flight()), (100, 1), "100 is not settled");
        watermark.settle(first);
        assert_eq!((watermark.settled(), watermark.next(), watermark.in_flight()), (121, 121, 0));
    }

    #[test]
    fn a_hole_is_settled_with_the_next_record_and_not_before() {
        let mut watermark = Watermark::new(0);
        let first = watermark.open(5, 10);
        let second = watermark.open(17, 18);
        watermark.settle(first);
        assert_eq!(watermark.settled(), 10, "10..17 may yet hold a record of a transaction that is open");
        watermark.settle(second);
        assert_eq!(watermark.settled(), 18);
    }

    #[test]
    #[should_panic(expected = "settled once")]
    fn settling_twice_is_caught_while_the_run_waits_for_another() {
        let mut watermark = Watermark::new(0);
        watermark.open(0, 1);
        let second = watermark.open(1, 2);
        watermark.settle(second);
        watermark.settle(second);
    }

    #[test]
    #[should_panic(expected = "settled once")]
    fn settling_twice_is_caught_after_the_run_is_forgotten() {
        let mut watermark = Watermark::new(0);
        let run = watermark.open(0, 1);
        watermark.settle(run);
        watermark.open(1, 2);
        watermark.settle(run);
    }

    #[test]
    #[should_panic(expected = "handed out after one that ends at 8")]
    fn a_source_that_goes_back_is_caught() {
        let mut watermark = Watermark::new(0);
        watermark.open(4, 8);
        watermark.open(7, 9);
    }

    /// The rule in its plainest form: sets of offsets, every question answered by looking at each of them.
    struct Model {
        committed: i64,
        /// Each run's records and the end it covers.
        runs: Vec<(BTreeSet<i64>, i64)>,
        unsettled: BTreeSet<usize>,
    }

    impl Model {
        fn commit(&self) -> i64 {
            let mut commit = self.committed;
            for (run, (records, next)) in self.runs.iter().enumerate() {
                if self.unsettled.contains(&run) {
                    return commit;
                }
                assert!(records.iter().all(|&offset| offset < *next));
                commit = *next;
            }
            commit
        }

        fn lowest_unsettled(&self) -> Option<i64> {
            self.unsettled.iter().filter_map(|&run| self.runs[run].0.first().copied()).min()
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Open { hole: i64, records: i64 },
        Settle(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (prop_oneof![Just(0_i64), 0_i64..20], 1_i64..9)
                .prop_map(|(hole, records)| Step::Open { hole, records }),
            any::<prop::sample::Index>().prop_map(Step::Settle),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn in_any_order_with_any_holes_the_watermark_is_what_the_sets_say(committed in 0_i64..1000, steps in steps()) {
            let mut watermark = Watermark::new(committed);
            let mut model = Model { committed, runs: Vec::new(), unsettled: BTreeSet::new() };
            let mut ids = Vec::new();
            for step in steps {
                let before = watermark.settled();
                match step {
                    Step::Open { hole, records } => {
                        let first = watermark.next() + hole;
                        let next = first + records;
                        model.unsettled.insert(model.runs.len());
                        model.runs.push(((first..next).collect(), next));
                        ids.push(watermark.open(first, next));
                    }
                    Step::Settle(_) if model.unsettled.is_empty() => {}
                    Step::Settle(which) => {
                        let open: Vec<usize> = model.unsettled.iter().copied().collect();
                        let run = *which.get(&open);
                        model.unsettled.remove(&run);
                        watermark.settle(ids[run]);
                    }
                }
                prop_assert_eq!(watermark.settled(), model.commit());
                prop_assert_eq!(watermark.in_flight(), model.unsettled.len());
                prop_assert!(watermark.settled() >= before, "a commit went back");
                prop_assert!(model.lowest_unsettled().is_none_or(|offset| watermark.settled() <= offset));
            }
            for run in model.unsettled {
                watermark.settle(ids[run]);
            }
            prop_assert_eq!(watermark.settled(), watermark.next());
            prop_assert_eq!(watermark.in_flight(), 0);
        }
    }
}
