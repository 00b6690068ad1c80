//! The pace of a compilation that nobody waits for: it works for a moment and rests for several.
//!
//! Owns how long. A policy of ten thousand rules takes a fifth of a second of one processor. Taken at once, on a machine whose
//! processors the stream needs, it holds up every mention of that fifth; in moments, each waits a little. Called by
//! `policies` between two pieces of work.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// It rests once it has worked for so long.
const WORK: Duration = Duration::from_millis(1);
/// How many times as long as it has worked it rests.
const RESTS: u32 = 4;
/// How long one compilation rests in all: a reload is answered within seconds, however many rules there are.
const REST_MAX: Duration = Duration::from_secs(8);
/// Who begins to wait for it waits no longer than this for its rest to end.
const NAP: Duration = Duration::from_millis(10);

/// The pace of one compilation.
pub(super) struct Pace {
    /// The thread's processor time when it began to work.
    began: Duration,
    rested: Duration,
}

impl Pace {
    pub(super) fn start() -> Pace {
        Pace { began: worked(), rested: Duration::ZERO }
    }

    /// Rests if it is time to, until somebody waits for it.
    pub(super) fn step(&mut self, is_in_haste: impl Fn() -> bool) {
        let work = worked().saturating_sub(self.began);
        if work < WORK {
            return;
        }
        let until = REST_MAX.min(self.rested + work * RESTS);
        while self.rested < until && !is_in_haste() {
            let nap = NAP.min(until - self.rested);
            std::thread::sleep(nap);
            self.rested += nap;
        }
        self.began = worked();
    }
}

/// The processor time that this thread has had.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A pace after this much work.
    fn after(work: Duration) -> Pace {
        let pace = Pace::start();
        while worked() - pace.began < work {
            std::hint::spin_loop();
        }
        pace
    }

    #[test]
    fn it_rests_four_times_as_long_as_it_has_worked() {
        let mut pace = after(WORK);
        let began = pace.began;
        pace.step(|| false);
        assert!(pace.rested >= WORK * RESTS && pace.began > began);
        let rested = pace.rested;
        pace.step(|| false);
        assert_eq!(pace.rested, rested, "it has only just begun again");
    }

    #[test]
    fn it_rests_no_longer_than_it_may_after_one_long_piece_of_work() {
        let mut pace = after(WORK);
        pace.rested = REST_MAX - WORK;
        pace.step(|| false);
        assert_eq!(pace.rested, REST_MAX);
    }

    #[test]
    fn a_rest_under_way_ends_when_somebody_begins_to_wait() {
        let mut pace = after(NAP);
        let asked = Cell::new(0);
        pace.step(|| asked.replace(asked.get() + 1) == 1);
        assert_eq!((pace.rested, asked.get()), (NAP, 2), "one nap of the four that were due");
    }
}
