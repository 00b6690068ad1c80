//! The only file of the daemon that may read a clock; everything else is given one.
//!
//! Owns the trait, the system's clock and a clock that stands still until it is moved (simulator, demo, tests).
//! Decisions never see a clock at all: their time comes from the log (architecture, idea 7). Called by lanes,
//! the pipeline and the embedded log, which stamps records itself.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use triage_engine::model::Millis;

/// Tells the time, in milliseconds.
pub trait Clock: Send + Sync {
    /// Time of day since the Unix epoch. May jump either way when the machine's clock is set.
    fn wall(&self) -> Millis;

    /// Milliseconds since some fixed moment of this process. Never goes back; for timeouts and ages.
    fn monotonic_ms(&self) -> i64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading starts at 0 now.
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }

    /// Nanoseconds since the clock was made, for schedules finer than a millisecond: 584 years fit.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Millis {
        // Before 1970 only on a machine whose clock was never set: such a reading is negative, not a panic.
        let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        Millis(ms)
    }

    fn monotonic_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// When a wait must end. For the edges, which wait on sockets and client libraries; what decides takes a `Clock`.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Option<Instant>,
}

impl Deadline {
    /// The moment `wait` from now; never, when that is beyond what the machine can count.
    #[must_use]
    pub fn after(wait: Duration) -> Deadline {
        Deadline { end: Instant::now().checked_add(wait) }
    }

    /// How much of the wait is left, zero once it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

/// How long something has taken so far. For metrics alone: what decides is given its time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    start: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Stopwatch {
        Stopwatch { start: Instant::now() }
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that reads `wall`, and 0 on its monotonic side.
    #[must_use]
    pub fn new(wall: Millis) -> ManualClock {
        ManualClock { wall_ms: AtomicI64::new(wall.0), monotonic_ms: AtomicI64::new(0) }
    }

    /// Lets `ms` milliseconds pass on both sides.
    ///
    /// # Panics
    /// When `ms` is negative: time passes forward; use `set_wall` for a clock that is set back.
    pub fn advance(&self, ms: i64) {
        assert!(ms >= 0, "time does not pass backwards: {ms} ms");
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the time of day, as an operator or a time server may, in either direction. The monotonic side stays.
    pub fn set_wall(&self, wall: Millis) {
        self.wall_ms.store(wall.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Millis {
        Millis(self.wall_ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_reads_this_century_and_its_monotonic_side_never_goes_back() {
        let clock = SystemClock::new();
        // 2020-01-01 and 2100-01-01, in milliseconds.
        assert!((1_577_836_800_000..4_102_444_800_000).contains(&clock.wall().0));
        let first = clock.monotonic_ms();
        assert!(first >= 0);
        assert!(clock.monotonic_ms() >= first);
    }

    #[test]
    fn a_deadline_of_nothing_is_over_and_one_of_for_ever_is_not() {
        assert!(Deadline::after(Duration::ZERO).is_over());
        let for_ever = Deadline::after(Duration::MAX);
        assert!(!for_ever.is_over() && for_ever.left() > Duration::from_secs(1 << 30));
    }

    #[test]
    fn a_manual_clock_set_back_keeps_its_monotonic_side() {
        let clock = ManualClock::new(Millis(1_000));
        clock.advance(250);
        assert_eq!((clock.wall(), clock.monotonic_ms()), (Millis(1_250), 250));
        clock.set_wall(Millis(10));
        clock.advance(5);
        assert_eq!((clock.wall(), clock.monotonic_ms()), (Millis(15), 255));
    }
}
