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

    /// Rests if it is time to.
    pub(super) fn step(&mut self) {
        let work = worked().saturating_sub(self.began);
        if work < WORK || self.rested >= REST_MAX {
            return;
        }
        let rest = work * RESTS;
        std::thread::sleep(rest);
        self.rested += rest;
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

    #[test]
    fn it_rests_four_times_as_long_as_it_has_worked_and_not_for_ever() {
        let mut pace = Pace::start();
        while worked() - pace.began < WORK {
            std::hint::spin_loop();
        }
        let began = pace.began;
        pace.step();
        assert!(pace.rested >= WORK * RESTS && pace.began > began);
        let rested = pace.rested;
        pace.step();
        assert_eq!(pace.rested, rested, "it has only just begun again");
        pace.rested = REST_MAX;
        while worked() - pace.began < WORK {
            std::hint::spin_loop();
        }
        pace.step();
        assert_eq!(pace.rested, REST_MAX);
    }
}
