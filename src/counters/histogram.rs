//! How long things took, as counts by upper bound: what Prometheus calls a histogram.
//!
//! Owns the bounds and the arithmetic. The exporter's own histograms are lists of samples that grow until they are
//! read; these are a few hundred bytes for ever. May not read a clock. Filled by lanes, once per run of records.

/// How many upper bounds a histogram has; one more slot is for what is beyond the last.
pub const BOUNDS: usize = 16;

/// From a record's time stamp to the broker's last acknowledgement of what followed, in milliseconds: from a quiet
/// fleet to an hour of backlog.
pub const LATENCY_BOUNDS_MS: [u64; BOUNDS] =
    [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];

/// One stage of one run of records, in microseconds: from a batch of one to a broker that is away for a while.
pub const STAGE_BOUNDS_US: [u64; BOUNDS] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];

/// Counts by upper bound. Which bounds, and in which unit, says whoever records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many were at most the bound of the same place and above the one before; the last is beyond all bounds.
    pub counts: [u64; BOUNDS + 1],
    /// The sum of all values, in the unit of the bounds.
    pub sum: u64,
}

impl Histogram {
    /// Counts `times` values of `value`.
    pub fn record(&mut self, bounds: &[u64; BOUNDS], value: u64, times: u64) {
        let slot = bounds.partition_point(|&bound| bound < value);
        self.counts[slot] += times;
        self.sum = self.sum.saturating_add(value.saturating_mul(times));
    }

    /// Adds another's counts; both must have been recorded under the same bounds.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_under_the_first_bound_that_is_not_below_it() {
        let mut histogram = Histogram::default();
        for (value, slot) in [(0, 0), (5, 0), (6, 1), (3_600_000, BOUNDS - 1), (3_600_001, BOUNDS)] {
            let before = histogram.counts[slot];
            histogram.record(&LATENCY_BOUNDS_MS, value, 3);
            assert_eq!(histogram.counts[slot], before + 3, "{value}");
        }
        assert_eq!(histogram.count(), 15);
        assert_eq!(histogram.sum, 3 * (5 + 6 + 3_600_000 + 3_600_001));
        let mut twice = histogram;
        twice.add(&histogram);
        assert_eq!((twice.count(), twice.sum), (30, 2 * histogram.sum));
    }

    #[test]
    fn bounds_ascend_and_a_broken_clock_cannot_overflow_a_sum() {
        for bounds in [LATENCY_BOUNDS_MS, STAGE_BOUNDS_US] {
            assert!(bounds.is_sorted_by(|one, next| one < next), "{bounds:?}");
        }
        let mut histogram = Histogram::default();
        histogram.record(&LATENCY_BOUNDS_MS, u64::MAX, 2);
        histogram.record(&LATENCY_BOUNDS_MS, 1, 1);
        assert_eq!((histogram.sum, histogram.count()), (u64::MAX, 3));
    }
}
