//! Reads what helpdesks read, while it is written, and measures how long each mention took from the instant at which it
//! was due.
//!
//! Owns the one definition of latency here: from a mention's place in the schedule, however late it was sent, to the
//! moment at which this consumer held its record, acknowledged by the broker. The consumer's own delay counts against
//! the daemon, never for it. Called by `run`, in a thread of its own.

use crate::cast::Cast;
use crate::mention::{leading_number, position};
use crate::send::histogram;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use triaged::clock::{Clock, Deadline, SystemClock};
use triaged::error::Error;
use triaged::log::{LogError, Logs, ReadStep, Reader, Records, TopicPartition};

const WAIT: Duration = Duration::from_millis(20);
/// How long the consumer may take to reach the ends that it was told.
const LAST_WAIT: Duration = Duration::from_secs(60);
/// How long it may take until it has found the end of every partition at the start.
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// What came out.
#[derive(Debug)]
pub struct Watched {
    /// From the instant due to the record in hand, in microseconds; a mention's first record alone.
    pub latency_us: Histogram<u64>,
    /// The same for what was due in each second of the run.
    pub by_second: Vec<Second>,
    /// Records that came in each second of the run.
    pub arrived: Vec<u64>,
    /// Mentions that came out.
    pub mentions: u64,
}

/// What was due in one second.
#[derive(Debug, Clone)]
pub struct Second {
    /// Latencies, in microseconds, to two digits.
    pub latency_us: Histogram<u64>,
    /// When the last of it was out, in nanoseconds from the start.
    pub last_ns: u64,
}

/// What the consumer needs to know of the run.
pub struct Place<'a> {
    /// Who was sent when.
    pub cast: &'a Cast,
    /// The run's name.
    pub run: &'a str,
    /// The clock that the schedule is kept by.
    pub clock: &'a SystemClock,
    /// When the schedule begins by that clock.
    pub start_ns: u64,
    /// Once it is known, where each partition ends for good.
    pub until: &'a Mutex<Option<Vec<(TopicPartition, i64)>>>,
}

/// A consumer that stands at the end of every partition: what comes now, it sees at once.
pub struct Watcher {
    reader: Box<dyn Reader>,
    positions: BTreeMap<TopicPartition, i64>,
}

impl Watcher {
    /// Takes its place. Connecting takes a while, which must not count as the daemon's.
    ///
    /// # Errors
    /// As the log says; 69 when it does not reach the ends.
    pub fn open(logs: &dyn Logs, from: &[(TopicPartition, i64)]) -> Result<Watcher, Error> {
        let mut watcher = Watcher { reader: logs.reader(from)?, positions: from.iter().cloned().collect() };
        let mut waiting: BTreeSet<&TopicPartition> = from.iter().map(|(partition, _)| partition).collect();
        let patience = Deadline::after(FIRST_WAIT);
        while let Some(partition) = waiting.first() {
            match watcher.reader.read(WAIT)? {
                ReadStep::End(partition, offset) => {
                    waiting.remove(&partition);
                    watcher.positions.insert(partition, offset);
                }
                ReadStep::Nothing if patience.is_over() => {
                    return Err(LogError::Away(format!("{partition} gives nothing and no end")).into());
                }
                // What others still write is not ours.
                ReadStep::Nothing | ReadStep::Records(_) => {}
            }
        }
        Ok(watcher)
    }
}

/// Reads until the ends that it is told at last.
///
/// # Errors
/// As the log says.
pub fn watch(watcher: Watcher, place: &Place<'_>) -> Result<Watched, Error> {
    let Watcher { mut reader, mut positions } = watcher;
    let mut taken = Taken::new(place);
    let mut patience: Option<Deadline> = None;
    loop {
        match reader.read(WAIT)? {
            ReadStep::Nothing => {}
            ReadStep::End(partition, offset) => _ = positions.insert(partition, offset),
            ReadStep::Records(records) => {
                if let Some((_, last)) = records.span() {
                    positions.insert(records.partition().clone(), last + 1);
                }
                taken.take(&records);
            }
        }
        let until = place.until.lock().expect("invariant: nobody panics while holding the ends");
        if let Some(until) = until.as_ref() {
            let there = until.iter().all(|(partition, end)| positions.get(partition) >= Some(end));
            if there || patience.get_or_insert_with(|| Deadline::after(LAST_WAIT)).is_over() {
                return Ok(taken.watched);
            }
        }
    }
}

struct Taken<'a> {
    cast: &'a Cast,
    clock: &'a SystemClock,
    start_ns: u64,
    marker: Vec<u8>,
    /// A bit for each record of the run: its mention came out.
    seen: Vec<u64>,
    watched: Watched,
}

impl<'a> Taken<'a> {
    fn new(place: &Place<'a>) -> Taken<'a> {
        let watched =
            Watched { latency_us: histogram(), by_second: Vec::new(), arrived: Vec::new(), mentions: 0 };
        Taken {
            cast: place.cast,
            clock: place.clock,
            start_ns: place.start_ns,
            marker: mention_marker(place.run),
            seen: vec![0; place.cast.total().div_ceil(64) as usize],
            watched,
        }
    }

    fn take(&mut self, records: &Records) {
        let now = self.clock.monotonic_ns().saturating_sub(self.start_ns);
        for record in records.iter() {
            let number = record.value.and_then(|value| mention_of(&self.marker, value));
            if let Some(number) = number.filter(|&number| number < self.cast.total()) {
                self.came(number, now);
            }
        }
    }

    fn came(&mut self, number: u64, now: u64) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.seen[word] & bit != 0 {
            return;
        }
        self.seen[word] |= bit;
        let due = self.cast.shape().due_ns(number);
        let latency_us = now.saturating_sub(due) / 1_000;
        let watched = &mut self.watched;
        watched.mentions += 1;
        watched.latency_us.saturating_record(latency_us);
        let second = (due / 1_000_000_000) as usize;
        let fresh = || Second {
            latency_us: Histogram::new_with_bounds(1, 3_600_000_000, 2)
                .expect("invariant: the bounds are in order"),
            last_ns: 0,
        };
        if watched.by_second.len() <= second {
            watched.by_second.resize_with(second + 1, fresh);
        }
        let of_second = &mut watched.by_second[second];
        of_second.latency_us.saturating_record(latency_us);
        of_second.last_ns = of_second.last_ns.max(now);
        let arrived = (now / 1_000_000_000) as usize;
        watched.arrived.resize(watched.arrived.len().max(arrived + 1), 0);
        watched.arrived[arrived] += 1;
    }
}

/// What stands before a mention's number in a record for a helpdesk.
#[must_use]
pub fn mention_marker(run: &str) -> Vec<u8> {
    format!(r#""mention_id":"x:{run}."#).into_bytes()
}

/// The number of the mention that a record for a helpdesk speaks of.
#[must_use]
pub fn mention_of(marker: &[u8], value: &[u8]) -> Option<u64> {
    let at = position(value, marker)? + marker.len();
    leading_number(&value[at..]).map(|(number, _)| number)
}

impl Watched {
    /// When everything that was due before `seconds` and came out at all was out, in seconds from the start.
    #[must_use]
    pub fn out_by(&self, seconds: f64) -> f64 {
        let due = self.by_second.iter().take(seconds.ceil() as usize);
        due.map(|second| second.last_ns).max().unwrap_or(0) as f64 / 1e9
    }
}

/// The time of day, in milliseconds, at which the clock will read `ns`.
#[must_use]
pub fn wall_at(clock: &SystemClock, ns: u64) -> i64 {
    clock.wall().0 + (ns as i64 - clock.monotonic_ns() as i64) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helpdesks_record_is_known_by_its_mention_and_other_runs_are_passed_over() {
        let record = br#"{"assignment_id":"0.1","mention_id":"x:77.1234","network":"x","mention":{"mention_id":"x:77.1234"}}"#;
        assert_eq!(mention_of(&mention_marker("77"), record), Some(1_234));
        assert_eq!(mention_of(&mention_marker("78"), record), None);
        assert_eq!(mention_of(&mention_marker("77"), br#"{"case_id":"0.1","closed_at":"2026"}"#), None);
    }
}
