//! A steady stream sent on time, whatever comes back: from the intended time of each mention to its record on an
//! assignments topic.
//!
//! Owns sender and receiver. A mention's id says when it was to be sent, so a sender that falls behind is counted against
//! the one measured, never left out. Every mention of the stream goes to a desk. The stream carries
//! the kills (`kills`) and the swaps of policies (`reload`) too.

use crate::backlog::{Recipe, input_topic, plain};
use crate::common::measure::{Results, Rounds};
use crate::common::mentions::{Mix, Shape, Stream};
use crate::common::policies;
use crate::fleet::{Fleet, INSTANCES, Process};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use triaged::kafka::KafkaLogs;
use triaged::log::{LogError, Logs, Outgoing, ReadStep, Ticket, TopicPartition};

/// Partitions of the input.
pub const PARTITIONS: u32 = 8;
/// How often the sender wakes: mentions due since are sent together.
const EVERY: Duration = Duration::from_millis(2);
/// How long the receiver waits for more after the last output when every mention has come out, and when some have not.
const REPEATS_WITHIN: Duration = Duration::from_secs(3);
const LOST_AFTER: Duration = Duration::from_secs(60);

/// A sender and a receiver around one run.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    /// How many mentions were sent in all; `u64::MAX` until that is known.
    sent: Arc<AtomicU64>,
    sender: Option<JoinHandle<Sent>>,
    receiver: Option<JoinHandle<Vec<Seen>>>,
    pub start: Instant,
    rate: u64,
}

/// What a sender did.
struct Sent {
    count: u64,
    late: Vec<Late>,
}

/// How late the sender was.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// When the first mention of this turn was to be sent, since the stream's start.
    intended: Duration,
    by: Duration,
}

/// One mention that came out.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub number: u64,
    /// When it was read, since the stream's start.
    pub at: Duration,
}

impl Traffic {
    /// Sends `rate` mentions a second to the fleet's input from now on.
    pub fn start(fleet: &Fleet, rate: u64) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(u64::MAX));
        // Making it takes a while, and the first mentions are due at the start.
        let stream = stream();
        let start = Instant::now();
        let (bootstrap, input) = (fleet.bootstrap.clone(), fleet.input.clone());
        let outputs: Vec<(TopicPartition, i64)> = fleet
            .assignments()
            .iter()
            .flat_map(|topic| (0..PARTITIONS).map(|partition| (TopicPartition::new(topic, partition), 0)))
            .collect();
        let logs = plain(&bootstrap);
        let stopping = stop.clone();
        let sender = std::thread::spawn(move || send(&logs, &input, stream, rate, start, &stopping));
        let logs = plain(&bootstrap);
        let expected = sent.clone();
        let receiver = std::thread::spawn(move || receive(&logs, &outputs, start, &expected));
        Traffic { stop, sent, sender: Some(sender), receiver: Some(receiver), start, rate }
    }

    /// Ends the stream and waits until all of it has come out, or until nothing more comes; what was seen, and how many
    /// came never.
    pub fn end(mut self, fleet: &Fleet, process: &mut Process) -> Outcome {
        let seconds = self.start.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let Sent { count: sent, late } =
            self.sender.take().expect("it was started").join().expect("the sender ends");
        self.sent.store(sent, Ordering::Relaxed);
        process.until("what was sent is routed", |_| fleet.routed() >= sent as i64);
        let seen = self.receiver.take().expect("it was started").join().expect("the receiver ends");
        let mut times: BTreeMap<u64, u32> = BTreeMap::new();
        for seen in &seen {
            *times.entry(seen.number).or_default() += 1;
        }
        let lost = (0..sent).filter(|number| !times.contains_key(number)).count() as u64;
        let repeats = seen.len() as u64 - times.len() as u64;
        Outcome { seen, late, rate: self.rate, lost, repeats, sent, seconds }
    }
}

/// What came of a stream.
pub struct Outcome {
    pub seen: Vec<Seen>,
    late: Vec<Late>,
    rate: u64,
    pub lost: u64,
    pub repeats: u64,
    pub sent: u64,
    pub seconds: Duration,
}

impl Outcome {
    /// When the mention with this number was to be sent, since the stream's start; never later than it was.
    pub fn intended(&self, number: u64) -> Duration {
        intended(number, self.rate)
    }

    /// How late the latest of 99 of 100 turns of the sender was in this time of the run, in milliseconds.
    pub fn sender_late(&self, during: &Range<Duration>) -> f64 {
        let mut histogram = histogram();
        for late in self.late.iter().filter(|late| during.contains(&late.intended)) {
            histogram.saturating_record(u64::try_from(late.by.as_micros()).unwrap_or(u64::MAX));
        }
        milliseconds(&histogram, 0.99)
    }

    /// Latency of the mentions whose intended time lies in this time of the run.
    pub fn latency(&self, during: &Range<Duration>) -> Histogram<u64> {
        let mut histogram = histogram();
        for seen in &self.seen {
            let intended = self.intended(seen.number);
            if during.contains(&intended) {
                let late = seen.at.saturating_sub(intended).as_micros();
                histogram.saturating_record(u64::try_from(late).unwrap_or(u64::MAX));
            }
        }
        assert!(!histogram.is_empty(), "nothing came out of {during:?}");
        histogram
    }
}

/// The mentions that are sent, the same each time.
pub fn stream() -> Stream {
    let (wanted, noise) = policies::split();
    Stream::new(Mix::AllQueued, Shape::Native(680), 20_000, &wanted, &noise, policies::SEED)
}

fn intended(number: u64, rate: u64) -> Duration {
    Duration::from_nanos(number * 1_000_000_000 / rate)
}

/// Of microseconds.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are right")
}

pub fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

fn send(
    logs: &KafkaLogs,
    input: &str,
    mut stream: Stream,
    rate: u64,
    start: Instant,
    stop: &AtomicBool,
) -> Sent {
    let mut producer = logs.producer("sender").expect("a producer");
    let (mut number, mut tickets, mut late) = (0_u64, Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        let first = intended(number, rate);
        if number < due {
            late.push(Late { intended: first, by: start.elapsed().saturating_sub(first) });
        }
        let mut batches: BTreeMap<u64, Outgoing> = BTreeMap::new();
        while number < due {
            let (author, mention) = stream.numbered(number);
            let key = author.to_string();
            batches
                .entry(author % u64::from(PARTITIONS))
                .or_default()
                .push(Some(key.as_bytes()), Some(mention));
            number += 1;
        }
        for (partition, batch) in batches {
            let ticket = Arc::new(Ticket::new());
            producer
                .send(&TopicPartition::new(input, partition as u32), &batch, &ticket)
                .expect("it is enqueued");
            tickets.push(ticket);
        }
        std::thread::sleep(EVERY);
    }
    while !producer.flush(Duration::from_secs(1)) {}
    assert!(
        tickets.iter().all(|ticket| ticket.is_settled() && ticket.failure().is_none()),
        "the broker took all"
    );
    Sent { count: number, late }
}

/// Reads the outputs until each mention that was sent has come and no more repeats do; or until nothing has come for so long
/// that the rest is lost. Outputs may stand still for seconds while partitions move.
fn receive(logs: &KafkaLogs, from: &[(TopicPartition, i64)], start: Instant, sent: &AtomicU64) -> Vec<Seen> {
    let mut reader = logs.reader(from).expect("a reader");
    let (mut seen, mut last, mut numbers) = (Vec::new(), Instant::now(), HashSet::new());
    loop {
        let sent = sent.load(Ordering::Relaxed);
        let wait = if numbers.len() as u64 >= sent { REPEATS_WITHIN } else { LOST_AFTER };
        if sent != u64::MAX && last.elapsed() >= wait {
            return seen;
        }
        let records = match reader.read(Duration::from_millis(10)) {
            Ok(ReadStep::Records(records)) => records,
            Ok(_) => continue,
            // A broker just started may not answer yet; what stays away is lost, and said to be.
            Err(LogError::Away(why)) => {
                eprintln!("the outputs cannot be read now: {why}");
                continue;
            }
            Err(error) => panic!("the outputs can be read: {error}"),
        };
        let at = start.elapsed();
        last = Instant::now();
        for record in records.iter() {
            if let Some(number) = record.value.and_then(Stream::number_in) {
                numbers.insert(number);
                seen.push(Seen { number, at });
            }
        }
    }
}

/// A fleet with an input of its own, which is empty.
pub fn fleet(bootstrap: &str, queries: usize) -> Fleet {
    let logs = plain(bootstrap);
    let input = input_topic(&logs, PARTITIONS);
    let policy = policies::bundle(queries, Mix::AllQueued);
    Fleet::new(bootstrap, &input, PARTITIONS, "triaged", &policy)
}

/// Waits until the first instance is ready.
pub fn ready(fleet: &Fleet, process: &mut Process) {
    process.until("it is ready", |_| fleet.is_ready(INSTANCES[0]));
}

/// Latency at `rate`, triaged and the bare relay by turns.
pub fn latency(
    bootstrap: &str,
    recipe: &Recipe,
    rate: u64,
    seconds: u64,
    rounds: usize,
    results: &mut Results,
) {
    println!();
    results.fact(
        "latency: stream",
        format!("{rate} mentions/s of 680 B for {seconds} s, the first third not counted"),
    );
    let mut all = Rounds::default();
    for _ in 0..rounds {
        for who in ["triaged", "bare"] {
            let fleet = fleet(bootstrap, 1_000);
            let mut process = match who {
                "triaged" => {
                    let mut process = fleet.start();
                    ready(&fleet, &mut process);
                    process.profile();
                    process
                }
                _ => fleet.start_bare(&recipe.lanes(&fleet, Mix::AllQueued)),
            };
            let traffic = Traffic::start(&fleet, rate);
            std::thread::sleep(Duration::from_secs(seconds));
            let outcome = traffic.end(&fleet, &mut process);
            assert_eq!(outcome.lost, 0, "{who} lost mentions");
            let histogram =
                outcome.latency(&(Duration::from_secs(seconds / 3)..Duration::from_secs(seconds)));
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
                all.add(&format!("{who} {name}"), milliseconds(&histogram, quantile));
            }
        }
    }
    for who in ["triaged", "bare"] {
        for name in ["p50", "p99", "p99.9"] {
            results.row(&format!("latency: {who}, {name}"), "ms", all.figure(&format!("{who} {name}")));
        }
    }
    results.row("latency: p99 over the bare relay's", "times", all.ratio("triaged p99", "bare p99"));
}
