//! Sends what is due when it is due, and waits for nobody: the open loop.
//!
//! Owns two threads: one makes the slices of the schedule ahead of time, as far as its budget of memory goes; the other
//! hands each to the client at the end of its millisecond. How late that was is measured for every record. Called by `run`.

use crate::cast::Cast;
use crate::mention::Writer;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use triaged::clock::SystemClock;
use triaged::error::Error;
use triaged::log::{LogError, Outgoing, Producer, Ticket, TopicPartition};

/// How much of the schedule is handed to the client at a time. A record waits for the end of its slice: a slip of at most
/// this is by design.
const SLICE_NS: u64 = 1_000_000;
/// Bytes that may be made ahead: three of the record seconds.
const AHEAD_BYTES_MAX: u64 = 384 * 1024 * 1024;
/// How long is waited at a time for the client to have room again.
const ROOM_WAIT: Duration = Duration::from_millis(1);
/// How long the broker may take over what was sent last.
const FLUSH_WAIT: Duration = Duration::from_secs(60);
/// While the budget is used up the maker sleeps so long.
const BUDGET_WAIT: Duration = Duration::from_millis(2);

/// What is due within one slice.
struct Slice {
    /// When it is handed over.
    at_ns: u64,
    /// For each partition its records.
    batches: Vec<(u32, Outgoing)>,
    dues: Vec<u64>,
    bytes: u64,
}

/// How the sending went.
#[derive(Debug)]
pub struct Sent {
    /// Records handed to the client.
    pub records: u64,
    /// Bytes of values.
    pub bytes: u64,
    /// How long after its instant each was handed over, in microseconds.
    pub slip_us: Histogram<u64>,
    /// Records handed over in each second of the run.
    pub by_second: Vec<u64>,
    /// Records that the broker refused, with its first reason.
    pub refused: Option<String>,
}

/// Where and when.
pub struct Orders<'a> {
    /// The input topic.
    pub topic: &'a str,
    /// The run's name.
    pub run: &'a str,
    /// The clock that the schedule is kept by.
    pub clock: &'a SystemClock,
    /// When the schedule begins by that clock.
    pub start_ns: u64,
    /// The same as time of day, in milliseconds.
    pub start_ms: i64,
}

/// Sends everything; returns when the broker has answered for all of it.
///
/// # Errors
/// 69 when the broker takes nothing any more.
pub fn send(cast: &Cast, orders: &Orders<'_>, producer: &mut dyn Producer) -> Result<Sent, Error> {
    let ahead = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (give, slices) = mpsc::channel();
        let made = &ahead;
        scope.spawn(move || make(cast, orders, &give, made));
        hand_over(orders, &slices, made, producer)
    })
}

fn make(cast: &Cast, orders: &Orders<'_>, give: &mpsc::Sender<Slice>, ahead: &AtomicU64) {
    let mut writer = Writer::new(cast, orders.run, orders.start_ms);
    let (mut number, total) = (0, cast.total());
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while number < total {
        while ahead.load(Ordering::Relaxed) > AHEAD_BYTES_MAX {
            std::thread::sleep(BUDGET_WAIT);
        }
        let mut due = cast.shape().due_ns(number);
        let end = (due / SLICE_NS + 1) * SLICE_NS;
        let mut slice = Slice { at_ns: end, batches: Vec::new(), dues: Vec::new(), bytes: 0 };
        let mut batches: Vec<Outgoing> = vec![Outgoing::default(); cast.partitions() as usize];
        while due < end {
            let part = cast.part(number);
            value.clear();
            writer.value(number, &part, due, &mut value);
            key.clear();
            writer.key(&part, &mut key);
            slice.bytes += value.len() as u64;
            batches[part.partition as usize].push(Some(&key), Some(&value));
            slice.dues.push(due);
            number += 1;
            if number == total {
                break;
            }
            due = cast.shape().due_ns(number);
        }
        slice.batches = (0_u32..).zip(batches).filter(|(_, batch)| !batch.is_empty()).collect();
        ahead.fetch_add(slice.bytes, Ordering::Relaxed);
        if give.send(slice).is_err() {
            return;
        }
    }
}

fn hand_over(
    orders: &Orders<'_>,
    slices: &mpsc::Receiver<Slice>,
    ahead: &AtomicU64,
    producer: &mut dyn Producer,
) -> Result<Sent, Error> {
    let mut sent = Sent { records: 0, bytes: 0, slip_us: histogram(), by_second: Vec::new(), refused: None };
    let mut tickets = vec![Arc::new(Ticket::new())];
    for slice in slices {
        sleep_until(orders.clock, orders.start_ns + slice.at_ns);
        let second = (slice.at_ns / 1_000_000_000) as usize;
        if tickets.len() <= second {
            tickets.push(Arc::new(Ticket::new()));
        }
        let ticket = tickets.last().expect("invariant: there is one from the start");
        // What the client has no room for waits here, where it counts as late.
        while !producer.has_room() {
            producer.flush(ROOM_WAIT);
        }
        for (partition, batch) in &slice.batches {
            producer.send(&TopicPartition::new(orders.topic, *partition), batch, ticket)?;
        }
        let now = orders.clock.monotonic_ns().saturating_sub(orders.start_ns);
        for due in &slice.dues {
            sent.slip_us.saturating_record(now.saturating_sub(*due) / 1_000);
        }
        let second = (now / 1_000_000_000) as usize;
        sent.by_second.resize(sent.by_second.len().max(second + 1), 0);
        sent.by_second[second] += slice.dues.len() as u64;
        sent.records += slice.dues.len() as u64;
        sent.bytes += slice.bytes;
        ahead.fetch_sub(slice.bytes, Ordering::Relaxed);
    }
    if !producer.flush(FLUSH_WAIT) {
        let why = format!("the broker has not answered for everything {FLUSH_WAIT:?} after the last record");
        return Err(LogError::Away(why).into());
    }
    sent.refused = tickets.iter().find_map(|ticket| ticket.failure()).map(|failure| failure.why.clone());
    Ok(sent)
}

fn sleep_until(clock: &SystemClock, at_ns: u64) {
    loop {
        let now = clock.monotonic_ns();
        if now >= at_ns {
            return;
        }
        std::thread::sleep(Duration::from_nanos(at_ns - now));
    }
}

/// A histogram of microseconds up to an hour, to three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("invariant: the bounds are in order")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Oracle;
    use crate::scenario;
    use triaged::log::OutgoingRecord;

    /// A broker that takes its time over every send.
    struct Slow {
        sent: Vec<(u32, Vec<u8>)>,
        wait: Duration,
    }

    impl Producer for Slow {
        fn send(&mut self, to: &TopicPartition, records: &Outgoing, _: &Arc<Ticket>) -> Result<(), LogError> {
            std::thread::sleep(self.wait);
            let values = records.iter().map(|record: OutgoingRecord<'_>| {
                (to.partition, record.value().unwrap_or_default().to_vec())
            });
            self.sent.extend(values);
            Ok(())
        }

        fn has_room(&mut self) -> bool {
            true
        }

        fn health(&self) -> Result<(), LogError> {
            Ok(())
        }

        fn flush(&mut self, _: Duration) -> bool {
            true
        }
    }

    fn sent(wait: Duration) -> (Sent, Slow) {
        let folder = tempfile::tempdir().expect("a folder");
        triaged::demo::write_policy(folder.path()).expect("it can be written");
        let mut oracle = Oracle::of(folder.path()).expect("it compiles");
        let text = scenario::SHIPPED.iter().find(|(name, _)| *name == "smoke").expect("it ships").1;
        // The whole of it in a twentieth of its time.
        let text = text.replace("seconds = 1", "seconds = 0.05");
        let scenario =
            scenario::read("short.toml", &text, std::path::Path::new(".")).expect("it can be used");
        let cast = Cast::new(&scenario, &mut oracle).expect("there are texts");
        let clock = SystemClock::new();
        let orders =
            Orders { topic: "in", run: "9", clock: &clock, start_ns: clock.monotonic_ns(), start_ms: 0 };
        let mut slow = Slow { sent: Vec::new(), wait };
        let sent = send(&cast, &orders, &mut slow).expect("everything is sent");
        assert_eq!(sent.records, cast.total());
        (sent, slow)
    }

    #[test]
    fn everything_is_sent_once_and_in_order_on_each_partition() {
        let (sent, slow) = sent(Duration::ZERO);
        assert_eq!(slow.sent.len() as u64, sent.records);
        let marker = crate::mention::marker("9");
        let number = |value: &[u8]| crate::mention::find(&marker, value).expect("a marker").number;
        for partition in 0..4 {
            let of = slow.sent.iter().filter(|(to, _)| *to == partition);
            let numbers: Vec<u64> = of.map(|(_, value)| number(value)).collect();
            assert!(!numbers.is_empty() && numbers.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn a_client_that_holds_the_sender_up_shows_as_slip_and_not_as_a_lower_rate() {
        // Each slice takes longer than its millisecond: what comes later is later and later.
        let (sent, _) = sent(Duration::from_millis(5));
        assert!(sent.slip_us.max() > 100_000, "{} us", sent.slip_us.max());
        assert_eq!(sent.slip_us.len(), sent.records, "every record is measured, the late ones above all");
    }
}
