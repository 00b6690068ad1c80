//! The threads: what each of them does, over and over, until it is told to drain.
//!
//! Owns the loops and nothing inside them: a lane's step is `shard::lane`, a scan is `worker`, the follower's step is
//! `policies`. May not decide when to start or to end: `mod.rs` does. A thread that ends says so, and why.

use super::policy;
use super::publish::{self, Published};
use super::shared::{Seat, Shared, Stage};
use super::unread::Unread;
use super::waiting::Waiting;
use crate::counters::{Counters, Readings, Slot};
use crate::error::Error;
use crate::log::LogError;
use crate::policies::{Follower, Work};
use crate::shard::lane::Lane;
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use triage_engine::policy::Generation;

/// How long a lane waits at most when there is nothing to do: an answer of the broker may have come meanwhile.
const LANE_WAIT: Duration = Duration::from_millis(2);
/// By how much the compiler is nicer than the stream (setpriority(2): on Linux each thread has its own): at 5 its weight
/// is 335 beside 1,024, so that a policy comes in force on a busy machine too. Where the kernel groups threads by session or
/// unit it steps back for the threads of this process alone, not for a broker on the same machine.
const COMPILER_NICE: i32 = 5;
/// How often the compiler looks whether it is time to end.
const COMPILER_WAIT: Duration = Duration::from_millis(50);
/// How long the follower waits for the next record of the control topic.
const FOLLOWER_WAIT: Duration = Duration::from_millis(50);
/// Milliseconds between two copies of a lane's counters.
const COUNTERS_INTERVAL_MS: i64 = 100;
/// Milliseconds between two readings of what costs more, and between two questions to the broker.
const READINGS_INTERVAL_MS: i64 = 1_000;
/// Milliseconds between two closer looks at brokers that do not answer, and how long one may take.
const EXPLAIN_INTERVAL_MS: i64 = 5_000;
const EXPLAIN_WAIT: Duration = Duration::from_secs(3);
/// How long the follower rests after an error.
const FOLLOWER_REST: Duration = Duration::from_millis(500);

/// How a thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// As it was told to, with everything settled and committed.
    Drained,
    /// As it was told to, but not everything was answered in time; the next start does it again.
    Unsettled,
    /// By itself: its client is of no more use.
    Failed(LogError),
}

/// Which thread ended, and how.
type Ended = (String, End);

/// The threads of one instance.
pub(super) struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
    ended: (Sender<Ended>, Receiver<Ended>),
}

impl Threads {
    pub(super) fn new() -> Threads {
        Threads { running: Vec::new(), ended: unbounded() }
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() -> End + Send + 'static) -> Result<(), Error> {
        let (ended, who) = (self.ended.0.clone(), name.to_owned());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let end = work();
            // Nobody listens any more when the daemon itself has failed.
            let _ = ended.send((who, end));
        });
        let thread = thread.map_err(|error| Error::try_again(format!("no thread for `{name}`: {error}")))?;
        self.running.push((name.to_owned(), thread));
        Ok(())
    }

    /// Runs a lane until `stage`, then drains it. `make` makes its clients and is called in the lane's own thread.
    pub(super) fn lane<W: Published + 'static>(
        &mut self,
        shared: &Arc<Shared>,
        name: &str,
        stage: Stage,
        make: impl FnOnce() -> Result<Lane<W>, LogError> + Send + 'static,
    ) -> Result<(), Error> {
        let (shared, slot, seat) = (Arc::clone(shared), shared.exporter.slot(), shared.seat(name, true));
        self.spawn(name, move || {
            let end = match make() {
                Ok(lane) => run_lane(&shared, &seat, &slot, stage, lane),
                Err(error) => End::Failed(error),
            };
            seat.leaves();
            end
        })
    }

    /// Runs the follower, and beside it the questions to the broker.
    pub(super) fn follower(&mut self, shared: &Arc<Shared>, follower: Follower) -> Result<(), Error> {
        let (ours, seat, slot) = (Arc::clone(shared), shared.seat("follower", false), shared.exporter.slot());
        self.spawn("follower", move || {
            let end = run_follower(&ours, &seat, &slot, follower);
            seat.leaves();
            end
        })?;
        let (shared, slot) = (Arc::clone(shared), shared.exporter.slot());
        self.spawn("gauges", move || run_gauges(&shared, &slot))
    }

    /// Runs what takes long: compiling policies, reading and writing them, and writing desks' states as bytes. Of low
    /// priority, so that on a machine whose cores are all busy the stream goes first.
    pub(super) fn compiler(&mut self, shared: &Arc<Shared>, work: Receiver<Work>) -> Result<(), Error> {
        let shared = Arc::clone(shared);
        self.spawn("compiler", move || {
            // A thread that may not lower its priority compiles all the same.
            let _ = rustix::process::nice(COMPILER_NICE);
            while shared.stage() < Stage::Stop {
                if let Ok(work) = work.recv_timeout(COMPILER_WAIT) {
                    work(&shared.policies);
                }
            }
            End::Drained
        })
    }

    /// The next thread that ends, within `wait`.
    pub(super) fn ended(&mut self, wait: Duration) -> Option<Ended> {
        let (name, end) = self.ended.1.recv_timeout(wait).ok()?;
        if let Some(place) = self.running.iter().position(|(running, _)| *running == name) {
            let (_, thread) = self.running.swap_remove(place);
            // A thread that panicked has aborted the process already.
            let _ = thread.join();
        }
        Some((name, end))
    }

    /// Whether a thread whose name begins so still runs.
    pub(super) fn runs(&self, prefix: &str) -> bool {
        self.running.iter().any(|(name, _)| name.starts_with(prefix))
    }
}

fn run_lane<W: Published>(
    shared: &Shared,
    seat: &Seat,
    slot: &Slot,
    drain_at: Stage,
    mut lane: Lane<W>,
) -> End {
    let mut telling = Telling::default();
    let mut drain_until = None;
    let end = loop {
        let now = shared.clock.monotonic_ms();
        if drain_until.is_none() && shared.stage() >= drain_at {
            lane.drain();
            drain_until = Some(now + shared.tuning.drain_ms_max);
        }
        let step = lane.step(now, LANE_WAIT);
        let now = shared.clock.monotonic_ms();
        seat.moved(now);
        if seat.away(lane.away_at) {
            shared.met_no_broker(&lane.away_why);
        }
        seat.lost(lane.is_lost());
        telling.tell(shared, seat, slot, &lane, now, false);
        match (step, drain_until) {
            (Err(error), _) => break End::Failed(error),
            (Ok(_), Some(_)) if lane.is_drained() => break End::Drained,
            (Ok(_), Some(until)) if now >= until => break End::Unsettled,
            (Ok(_), _) => {}
        }
    };
    telling.tell(shared, seat, slot, &lane, shared.clock.monotonic_ms(), true);
    match (end, lane.close()) {
        (End::Drained, Err(error)) => End::Failed(error),
        (end, _) => end,
    }
}

/// When a lane last told what.
#[derive(Default)]
struct Telling {
    counters: Counters,
    counters_due: i64,
    readings: Readings,
    readings_due: i64,
    snapshots_told: u64,
    waiting: Waiting,
}

impl Telling {
    fn tell<W: Published>(
        &mut self,
        shared: &Shared,
        seat: &Seat,
        slot: &Slot,
        lane: &Lane<W>,
        now: i64,
        last: bool,
    ) {
        if now < self.counters_due && !last {
            return;
        }
        self.counters_due = now + COUNTERS_INTERVAL_MS;
        self.counters = W::counters(lane, &self.counters);
        slot.counters(&self.counters);
        publish::positions(lane, seat);
        publish::wait(lane, &mut self.waiting);
        if now < self.readings_due && !last {
            return;
        }
        self.readings_due = now + READINGS_INTERVAL_MS;
        let snapshot_new = self.counters.snapshot_writes > self.snapshots_told;
        self.snapshots_told = self.counters.snapshot_writes;
        let wall = shared.clock.wall().0;
        self.readings = W::readings(lane, wall, &self.readings, snapshot_new);
        let waits = self.waiting.since().map_or(0, |since| wall - since.0);
        self.readings.oldest_unsettled_ms = u64::try_from(waits).unwrap_or(0);
        if !last {
            self.readings.heartbeats = vec![heartbeat(&seat.name, wall)];
        }
        slot.readings(self.readings.clone());
    }
}

/// That the thread of this name moves. One that has ended tells none: it need not move any more.
fn heartbeat(name: &str, wall_ms: i64) -> (Arc<str>, u64) {
    (Arc::from(name), u64::try_from(wall_ms).unwrap_or(0))
}

fn run_follower(shared: &Shared, seat: &Seat, slot: &Slot, mut follower: Follower) -> End {
    let mut told_due = 0;
    let mut known: BTreeSet<Generation> = shared.policies.generations().into_iter().collect();
    while shared.stage() < Stage::Stop {
        let step = follower.step(FOLLOWER_WAIT).map(|read| {
            if read {
                meet_new_policies(shared, &mut known);
            }
        });
        let now = shared.clock.monotonic_ms();
        seat.moved(now);
        if now >= told_due {
            told_due = now + READINGS_INTERVAL_MS;
            let heartbeats = vec![heartbeat(&seat.name, shared.clock.wall().0)];
            slot.readings(Readings { heartbeats, ..Readings::default() });
        }
        match step {
            Ok(()) => {}
            Err(LogError::Away(why)) => {
                tracing::debug!(%why, "the control topic cannot be read; what is in force stays");
                shared.met_no_broker(&why);
                std::thread::sleep(FOLLOWER_REST);
            }
            Err(error) => return End::Failed(error),
        }
    }
    End::Drained
}

/// A bundle is published before anybody asks for it: its compilation is asked for before it is in force.
fn meet_new_policies(shared: &Shared, known: &mut BTreeSet<Generation>) {
    for generation in shared.policies.generations() {
        if known.contains(&generation) {
            continue;
        }
        // A bundle that does not compile is told of there.
        let _ = shared.policies.meet(generation, policy::matcher);
        known.insert(generation);
    }
}

/// Asks the broker how far behind we are. In a thread of its own: an answer may take long, and nothing waits for it.
fn run_gauges(shared: &Shared, slot: &Slot) -> End {
    let mut unread = Unread::default();
    let (mut due, mut explain_due) = (0, 0);
    let (mut at_work_before, mut workers) = (Vec::new(), heartbeat("workers", shared.clock.wall().0));
    while shared.stage() < Stage::Stop {
        let now = shared.clock.monotonic_ms();
        if now >= due {
            due = now + READINGS_INTERVAL_MS;
            // A worker moves if it rests or is at another batch than before.
            let at_work = shared.at_work();
            let hangs = |(now, before): (&Option<u64>, &Option<u64>)| now.is_some() && now == before;
            if !at_work.iter().zip(&at_work_before).any(hangs) {
                workers = heartbeat("workers", shared.clock.wall().0);
            }
            at_work_before = at_work;
            if now >= explain_due {
                explain_due = now + EXPLAIN_INTERVAL_MS;
                shared.explain_outage(EXPLAIN_WAIT);
            }
            let heartbeats = vec![workers.clone()];
            let mut lag = publish::lag(shared);
            lag.extend(unread.look(shared));
            slot.readings(Readings { lag, heartbeats, ..Readings::default() });
            if let Some(now) = shared.policies.in_force() {
                let policy = now.policy.policy();
                shared.exporter.policy_in_force(&policy.generation().to_string(), policy.rules().len());
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    End::Drained
}
