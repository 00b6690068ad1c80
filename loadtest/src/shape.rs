//! The schedule: from phases to the instant at which each record must be sent, in nanoseconds from the start.
//!
//! Owns the maths. It is computed from the scenario alone, before anything is sent, and nothing that happens during a
//! run can change it: that is what makes the load open. Called by the cast, the sender and the report.

/// How the rate moves in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Stays where it is.
    Hold,
    /// Moves in a straight line from the rate before to this one.
    Ramp,
    /// Moves exponentially from the rate before to this one.
    Decay,
}

/// A stretch of the schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What the report calls it.
    pub name: String,
    /// How the rate moves.
    pub kind: Kind,
    /// Seconds from the start of the run.
    pub start: f64,
    /// How many seconds it lasts.
    pub seconds: f64,
    /// Records a second when it begins; more than 0.
    pub from: f64,
    /// Records a second when it ends; more than 0.
    pub to: f64,
    /// Records due before it begins; a fraction is one that is under way.
    before: f64,
}

impl Phase {
    /// Records due within the first `seconds` of the phase.
    fn count(&self, seconds: f64) -> f64 {
        let (a, b) = (self.from, self.to);
        match self.kind {
            Kind::Hold => a * seconds,
            Kind::Ramp => a * seconds + (b - a) / (2.0 * self.seconds) * seconds * seconds,
            Kind::Decay => match self.steepness() {
                Some(k) => a / k * (1.0 - (-k * seconds).exp()),
                None => a * seconds,
            },
        }
    }

    /// Seconds until so many records are due: the inverse of `count`.
    fn time(&self, count: f64) -> f64 {
        let (a, b) = (self.from, self.to);
        match self.kind {
            Kind::Hold => count / a,
            // The root of the quadratic in the form that does not cancel.
            Kind::Ramp => 2.0 * count / (a + (a * a + 2.0 * count * (b - a) / self.seconds).max(0.0).sqrt()),
            Kind::Decay => match self.steepness() {
                Some(k) => -(1.0 - count * k / a).max(f64::MIN_POSITIVE).ln() / k,
                None => count / a,
            },
        }
    }

    /// The rate falls by e in 1/k seconds; none when it stays.
    fn steepness(&self) -> Option<f64> {
        let k = (self.from / self.to).ln() / self.seconds;
        (k.abs() * self.seconds > 1e-9).then_some(k)
    }

    /// Records a second, `seconds` after the phase began.
    fn rate(&self, seconds: f64) -> f64 {
        match self.kind {
            Kind::Hold => self.from,
            Kind::Ramp => self.from + (self.to - self.from) * seconds / self.seconds,
            Kind::Decay => self.from * (self.to / self.from).powf(seconds / self.seconds),
        }
    }

    /// Seconds from the start of the run at which it is over.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.start + self.seconds
    }
}

/// All phases, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    phases: Vec<Phase>,
    /// For each phase its first record; one more entry holds the total.
    firsts: Vec<u64>,
}

impl Shape {
    /// The phases as name, kind, seconds, and the rate that each leads to; `base` is the rate before the first.
    ///
    /// # Panics
    /// When there is no phase, or a rate or a length is not above 0: the scenario was checked before.
    #[must_use]
    pub fn new(base: f64, phases: impl IntoIterator<Item = (String, Kind, f64, f64)>) -> Shape {
        let (mut rate, mut start, mut before) = (base, 0.0, 0.0);
        let mut built: Vec<Phase> = Vec::new();
        for (name, kind, seconds, to) in phases {
            assert!(rate > 0.0 && to > 0.0 && seconds > 0.0, "rates and lengths are above 0");
            let from = if kind == Kind::Hold { to } else { rate };
            let phase = Phase { name, kind, start, seconds, from, to, before };
            before += phase.count(seconds);
            start += seconds;
            rate = to;
            built.push(phase);
        }
        assert!(!built.is_empty(), "a shape has a phase");
        // What misses a whole number by rounding alone is that number.
        let whole = |count: f64| if (count - count.round()).abs() < 1e-6 { count.round() } else { count };
        let mut firsts: Vec<u64> = built.iter().map(|phase| whole(phase.before).ceil() as u64).collect();
        firsts.push(whole(before).floor() as u64);
        // A fraction of a record at the very end is not sent.
        let total = firsts[built.len()];
        firsts.iter_mut().for_each(|first| *first = (*first).min(total));
        Shape { phases: built, firsts }
    }

    /// How many records are sent.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.firsts[self.phases.len()]
    }

    /// How long it takes.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.phases.last().map_or(0.0, Phase::end)
    }

    /// The phases.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// The records of a phase.
    #[must_use]
    pub fn records(&self, phase: usize) -> std::ops::Range<u64> {
        self.firsts[phase]..self.firsts[phase + 1]
    }

    /// Which phase a record belongs to.
    #[must_use]
    pub fn phase_of(&self, record: u64) -> usize {
        let after = self.firsts[..self.phases.len()].partition_point(|&first| first <= record);
        after.saturating_sub(1)
    }

    /// When a record is due, in nanoseconds from the start. Ascends with the records.
    #[must_use]
    pub fn due_ns(&self, record: u64) -> u64 {
        let phase = &self.phases[self.phase_of(record)];
        let into = phase.time((record as f64 - phase.before).max(0.0)).clamp(0.0, phase.seconds);
        ((phase.start + into) * 1e9) as u64
    }

    /// Records a second that are to be offered at this moment; 0 after the end.
    #[must_use]
    pub fn rate(&self, seconds: f64) -> f64 {
        let phase = self.phases.iter().find(|phase| seconds < phase.end());
        phase.map_or(0.0, |phase| phase.rate((seconds - phase.start).max(0.0)))
    }

    /// The phase that is the spike: the one with the highest mean rate, if it is half above the lowest.
    #[must_use]
    pub fn spike(&self) -> Option<&Phase> {
        let mean = |phase: &Phase| phase.count(phase.seconds) / phase.seconds;
        let lowest = self.phases.iter().map(mean).fold(f64::INFINITY, f64::min);
        let highest = self.phases.iter().max_by(|a, b| mean(a).total_cmp(&mean(b)))?;
        (mean(highest) > 1.5 * lowest).then_some(highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(phases: &[(Kind, f64, f64)]) -> Shape {
        Shape::new(100.0, phases.iter().map(|&(kind, seconds, to)| (format!("{kind:?}"), kind, seconds, to)))
    }

    #[test]
    fn a_steady_rate_is_evenly_spaced_from_the_first_instant_on() {
        let shape = shape(&[(Kind::Hold, 2.0, 1_000.0)]);
        assert_eq!(shape.total(), 2_000);
        assert_eq!([0, 1, 1_999].map(|record| shape.due_ns(record)), [0, 1_000_000, 1_999_000_000]);
    }

    #[test]
    fn the_record_second_holds_exactly_its_records_within_its_second() {
        let shape =
            shape(&[(Kind::Hold, 15.0, 5_700.0), (Kind::Hold, 1.0, 143_199.0), (Kind::Hold, 20.0, 5_700.0)]);
        let second = shape.records(1);
        assert_eq!((second.start, second.end - second.start), (85_500, 143_199));
        assert_eq!(shape.due_ns(second.start), 15_000_000_000);
        assert!(shape.due_ns(second.end - 1) < 16_000_000_000);
        assert_eq!(shape.due_ns(second.end), 16_000_000_000);
        assert_eq!(shape.total(), 85_500 + 143_199 + 114_000);
        assert_eq!(shape.spike().map(Phase::end), Some(16.0));
    }

    #[test]
    fn ramps_and_decays_have_the_area_under_their_curve_and_never_go_back_in_time() {
        let shape = shape(&[
            (Kind::Hold, 1.0, 100.0),
            (Kind::Ramp, 2.0, 5_000.0),
            (Kind::Hold, 0.5, 5_000.0),
            (Kind::Decay, 4.0, 100.0),
            (Kind::Ramp, 1.0, 10.0),
        ]);
        let count = |phase| shape.records(phase).end - shape.records(phase).start;
        assert_eq!(count(1), 5_100, "the mean of 100 and 5,000 for two seconds");
        // The integral of an exponential: (a - b) T / ln(a / b).
        let decay = (4_900.0 * 4.0 / 50_f64.ln()) as u64;
        assert!(count(3).abs_diff(decay) <= 1, "{} and {decay}", count(3));
        let dues: Vec<u64> = (0..shape.total()).map(|record| shape.due_ns(record)).collect();
        assert!(dues.is_sorted(), "a later record is never due earlier");
        assert!(*dues.last().expect("there are records") <= 8_500_000_000);
        for (record, due) in dues.iter().enumerate() {
            let phase = &shape.phases()[shape.phase_of(record as u64)];
            let seconds = *due as f64 / 1e9;
            assert!(
                seconds >= phase.start - 1e-6 && seconds <= phase.end() + 1e-6,
                "record {record} lies in its phase"
            );
        }
    }

    #[test]
    fn spacing_follows_the_rate_at_every_moment() {
        let shape = shape(&[(Kind::Ramp, 10.0, 10_000.0), (Kind::Decay, 10.0, 100.0)]);
        for record in (1_000..shape.total() - 1_000).step_by(997) {
            let (from, to) = (shape.due_ns(record - 50), shape.due_ns(record + 50));
            let seen = 100.0 / ((to - from) as f64 / 1e9);
            let meant = shape.rate(shape.due_ns(record) as f64 / 1e9);
            assert!((seen / meant - 1.0).abs() < 0.05, "record {record}: {seen} and {meant} a second");
        }
    }

    #[test]
    fn a_flat_day_has_no_spike() {
        assert_eq!(shape(&[(Kind::Hold, 5.0, 100.0), (Kind::Hold, 5.0, 120.0)]).spike(), None);
    }
}
