//! What the fault tests do to a fleet alike: send, wait, ask the audit.
//!
//! Owns the seed and the lock that keeps them apart. May not judge: the oracle does. Called by the fault tests.

use super::daemon::{Daemon, Fleet, until};
use super::mentions::{Mentions, Random, Sent};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use triaged::log::Logs;

/// Input partitions of every fleet here.
pub const PARTITIONS: u32 = 8;
/// How many are sent in one go.
const BATCH: usize = 2_000;

/// One test at a time: they share a broker, and a test that is starved proves nothing.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seed of this run, printed so that it can be replayed.
pub fn seed(name: &str) -> u64 {
    let given = std::env::var("TRIAGED_FAULT_SEED").ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    let seed = given.unwrap_or(u64::from(now.subsec_nanos()));
    println!("{name}: TRIAGED_FAULT_SEED={seed}");
    seed
}

/// Sends `count` mentions, a batch at a time, as fast as the broker takes them.
pub fn feed(fleet: &Fleet, seed: u64, count: u64) {
    feed_on(fleet, &mut Mentions::new(seed, PARTITIONS, count), count);
}

/// Sends the next `count` of these mentions.
pub fn feed_on(fleet: &Fleet, mentions: &mut Mentions, count: u64) {
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    let mut left = count as usize;
    while left > 0 {
        let batch: Vec<Sent> = (0..left.min(BATCH)).map(|_| mentions.next()).collect();
        left -= batch.len();
        fleet.send(producer.as_mut(), &batch);
    }
}

/// Waits until so many mentions are settled.
pub fn settled(fleet: &Fleet, daemons: &[&Daemon], least: u64) {
    until(&format!("{least} mentions are settled"), daemons, || {
        let progress = fleet.progress()?;
        if progress as u64 >= least { Ok(()) } else { Err(format!("{progress} are")) }
    });
}

/// Points between a fiftieth and nine tenths of `count`, ascending.
pub fn points(random: &mut Random, how_many: usize, count: u64) -> Vec<u64> {
    let mut points: Vec<u64> = (0..how_many).map(|_| count / 50 + random.below(count * 88 / 100)).collect();
    points.sort_unstable();
    points
}

/// What the project's own audit says of a fleet at rest must agree with the oracle.
pub fn audited(fleet: &Fleet, name: &str) {
    let (status, said) = fleet.verb("audit");
    assert!(status.success(), "{name}: the audit finds something, the oracle did not: {status}\n{said}");
    println!("{name}: audit: {}", said.trim().lines().last().unwrap_or_default());
}
