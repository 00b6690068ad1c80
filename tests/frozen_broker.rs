//! The daemon's processes against a real broker whose time stops and goes on: it keeps its connections and answers nothing.
//!
//! Owns how long it stands still; what must come of the mentions is the oracle's. Each test prints its seed:
//! `TRIAGED_FAULT_SEED` replays it, `TRIAGED_FREEZES` gives other lengths, in seconds. No test looks at how long anything took.

#[path = "common/faults.rs"]
mod common;

use common::broker::OwnBroker;
use common::daemon::{Daemon, Fleet, FleetOptions, until};
use common::load::{PARTITIONS, audited, seed};
use common::mentions::{Mentions, Random, Sent, asked};
use common::oracle::judge;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use triaged::log::Logs;

/// For how many seconds the broker stands still: in the first its controller has given it up, and every client its
/// connection; in the second the sessions end and the controller still waits.
const FREEZES: [u64; 2] = [33, 8];
/// How many mentions are sent in one go, and how long the feeder rests between two.
const BATCH: usize = 500;
const REST: Duration = Duration::from_millis(50);

fn freezes() -> Vec<u64> {
    let given = std::env::var("TRIAGED_FREEZES").ok();
    let given = given.map(|text| text.split(',').map(|part| part.trim().parse().expect("seconds")).collect());
    given.unwrap_or_else(|| FREEZES.to_vec())
}

/// Sends mentions until it is told that it is enough. In a `hurry` it does not rest, so that some are always in flight.
fn feed_until(fleet: &Fleet, seed: u64, enough: &AtomicBool, hurry: &AtomicBool, sent: &AtomicU64) {
    let mut mentions = Mentions::new(seed, PARTITIONS, 60_000);
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    while !enough.load(Ordering::Acquire) {
        let batch: Vec<Sent> = (0..BATCH).map(|_| mentions.next()).collect();
        fleet.send(producer.as_mut(), &batch);
        sent.fetch_add(BATCH as u64, Ordering::AcqRel);
        if !hurry.load(Ordering::Acquire) {
            std::thread::sleep(REST);
        }
    }
}

/// Tells the feeder that it is enough, also when the test fails, which would wait for it forever otherwise.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Waits until what has been sent by now is settled, and every instance says that records flow.
fn all_go_on(fleet: &Fleet, daemons: &[&Daemon], sent: &AtomicU64) {
    let sent = sent.load(Ordering::Acquire);
    until("what was sent is settled", daemons, || {
        let progress = fleet.progress()?;
        if progress as u64 >= sent { Ok(()) } else { Err(format!("{progress} of {sent} are")) }
    });
    daemons.iter().for_each(|daemon| daemon.ready());
}

/// What a daemon's scrape says of a series without labels.
fn scraped(daemon: &Daemon, series: &str) -> f64 {
    let (code, text) = daemon.ask("GET", "/metrics").expect("it answers");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {series} ({code}): {text}"))
}

/// While no broker answers, what is in flight grows older, also when its partitions are lost and nobody says whose they are.
fn what_is_in_flight_grows_older(daemons: &[&Daemon]) {
    let each = |series: &str| -> Vec<f64> { daemons.iter().map(|daemon| scraped(daemon, series)).collect() };
    let in_flight = each("triaged_inflight_records ");
    let ages = each("triaged_oldest_unsettled_age_seconds ");
    let ready = each("triaged_ready ");
    println!("in flight {in_flight:?}, the oldest for {ages:?} s, ready {ready:?}");
    if in_flight.iter().sum::<f64>() > 0.0 {
        assert!(ages.iter().any(|age| *age > 0.0), "in flight {in_flight:?}, and none has an age: {ages:?}");
    }
}

#[test]
fn a_broker_that_stands_still_and_goes_on_ends_nobody_and_all_goes_on_by_itself() {
    let name = "broker frozen";
    let seed = seed(name);
    let (broker, address) = OwnBroker::start();
    let fleet = Fleet::new(&address, "freeze", PARTITIONS, FleetOptions::default());
    let mut random = Random(seed);
    let (enough, hurry, sent) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed_until(&fleet, seed, &enough, &hurry, &sent));
        let until_failed = Enough(&enough);
        let (first, second) = (fleet.start("a"), fleet.start("b"));
        for seconds in freezes() {
            all_go_on(&fleet, &[&first, &second], &sent);
            hurry.store(true, Ordering::Release);
            std::thread::sleep(Duration::from_millis(500 + random.below(500)));
            broker.does("freeze");
            println!("{name}: for {seconds} s, with {} sent", sent.load(Ordering::Acquire));
            std::thread::sleep(Duration::from_secs(seconds));
            what_is_in_flight_grows_older(&[&first, &second]);
            broker.does("thaw");
            hurry.store(false, Ordering::Release);
        }
        all_go_on(&fleet, &[&first, &second], &sent);
        drop(until_failed);
        feeder.join().expect("the feeder ends well");
        fleet.finish(&[&first, &second]);
        first.terminate();
        second.terminate();
    });
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, sent.load(Ordering::Acquire), "what was sent is what the log holds");
    audited(&fleet, name);
}
