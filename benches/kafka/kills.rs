//! kill -9 under a stream: the same instance started again at once, or another one that takes over.
//!
//! Owns when somebody is killed and what is counted from then on. The stream itself is `open_loop`'s. A mention that was
//! sent after the kill was never read by the dead, so its output is the other's work and nothing that was under way.

use crate::common::measure::{Figure, Results};
use crate::fleet::{DESK_PARTITIONS, Fleet, INSTANCES, Process, SESSION_TIMEOUT_S};
use crate::open_loop::{Outcome, PARTITIONS, Traffic, fleet, ready, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long the stream flows between two kills.
const CALM: Duration = Duration::from_secs(4);
/// Mentions sent for so long after a kill have all come out when the other does all the work of the dead.
const WINDOW: Duration = Duration::from_millis(500);

/// The same instance, started at once: how long until it writes again.
pub fn kill(bootstrap: &str, rate: u64, times: usize, results: &mut Results) {
    println!();
    let fleet = fleet(bootstrap, 1_000);
    let mut process = fleet.start();
    ready(&fleet, &mut process);
    let traffic = Traffic::start(&fleet, rate);
    let mut pauses = Vec::new();
    for _ in 0..times {
        std::thread::sleep(CALM);
        process.must_run();
        process.kill();
        let killed = Instant::now();
        // What the dead process had under way reaches the log within moments.
        std::thread::sleep(Duration::from_millis(50));
        let before = fleet.routed();
        process = fleet.start();
        process.until("it writes again", |_| fleet.routed() > before);
        pauses.push(killed.elapsed().as_secs_f64());
    }
    let outcome = traffic.end(&fleet, &mut process);
    results.fact("kill -9: stream", told(&outcome, rate));
    results.row("kill -9 to first output", "s", Figure::of(&pauses));
    results.row("kill -9: mentions lost", "", Figure::of(&[outcome.lost as f64]));
    results.row("kill -9: outputs twice, each time", "", Figure::of(&[twice(&outcome, times)]));
}

/// One of two that is killed.
struct Death {
    /// Since the stream's start.
    at: Duration,
    /// The partitions of the input that it read.
    inputs: BTreeSet<u32>,
}

/// Two instances share the work and the one that reads the desk log's first partition is killed, so that both of its
/// lanes have to be taken over: how long until the other does the work of both.
pub fn takeover(bootstrap: &str, rate: u64, times: usize, results: &mut Results) {
    println!();
    let fleet = fleet(bootstrap, 1_000);
    let mut processes = INSTANCES.map(|instance| fleet.start_as(instance));
    share(&fleet, &mut processes);
    let traffic = Traffic::start(&fleet, rate);
    let mut deaths = Vec::new();
    let mut returns = Vec::new();
    for _ in 0..times {
        std::thread::sleep(CALM);
        processes.iter_mut().for_each(Process::must_run);
        let [_, desks] = fleet.live(INSTANCES[0]);
        let (dead, heir) = if desks.contains(&0) { (0, 1) } else { (1, 0) };
        let [inputs, _] = fleet.live(INSTANCES[dead]);
        processes[dead].kill();
        deaths.push(Death { at: traffic.start.elapsed(), inputs });
        processes[heir].until("the other one has every partition", |_| {
            let [inputs, desks] = fleet.live(INSTANCES[heir]);
            inputs.len() == PARTITIONS as usize && desks.len() == DESK_PARTITIONS as usize
        });
        std::thread::sleep(CALM);
        let from = traffic.start.elapsed();
        processes[dead] = fleet.start_as(INSTANCES[dead]);
        share(&fleet, &mut processes);
        returns.push(from..traffic.start.elapsed());
    }
    let outcome = traffic.end(&fleet, &mut processes[0]);
    results.fact("takeover: stream", format!("{}; two instances share it", told(&outcome, rate)));
    let (first, all): (Vec<f64>, Vec<f64>) = pauses(&outcome, &deaths).into_iter().unzip();
    results.row("takeover: session timeout", "s", Figure::of(&[f64::from(SESSION_TIMEOUT_S)]));
    results.row("takeover: kill -9 to first output of its partitions", "s", Figure::of(&first));
    results.row("takeover: kill -9 to output from every partition", "s", Figure::of(&all));
    let silences: Vec<f64> = returns.iter().map(|during| silence(&outcome, during)).collect();
    results.row("takeover: longest silence when the dead one comes back", "s", Figure::of(&silences));
    results.row("takeover: mentions lost", "", Figure::of(&[outcome.lost as f64]));
    results.row("takeover: outputs twice, each time", "", Figure::of(&[twice(&outcome, times)]));
}

/// Waits until each of the two reads a part of the input, and all of it and of the desk log are read. The desk log's few
/// partitions may all be one's: the group counts them together with those of the other topics of that lane.
pub fn share(fleet: &Fleet, processes: &mut [Process; 2]) {
    for process in processes {
        process.until("both have their share", |_| {
            let [(input, desks), (other_input, other_desks)] =
                INSTANCES.map(|instance| fleet.live(instance).into());
            let is_shared = !input.is_empty() && !other_input.is_empty();
            is_shared
                && input.len() + other_input.len() == PARTITIONS as usize
                && desks.len() + other_desks.len() == DESK_PARTITIONS as usize
        });
    }
}

/// For each death, in seconds after it: when the first mention came out that was sent after it to a partition of the
/// dead, and when all had come out that were sent within the window, to whatever partition of input and desk log.
fn pauses(outcome: &Outcome, deaths: &[Death]) -> Vec<(f64, f64)> {
    let mut stream = stream();
    let mut first_seen: BTreeMap<u64, Duration> = BTreeMap::new();
    for seen in &outcome.seen {
        let at = first_seen.entry(seen.number).or_insert(seen.at);
        *at = seen.at.min(*at);
    }
    let pause = |death: &Death| {
        let (mut first, mut last) = (Duration::MAX, Duration::ZERO);
        for (&number, &at) in &first_seen {
            let intended = outcome.intended(number);
            if intended <= death.at {
                continue;
            }
            let (author, _) = stream.numbered(number);
            if death.inputs.contains(&((author % u64::from(PARTITIONS)) as u32)) {
                first = first.min(at);
            }
            if intended <= death.at + WINDOW {
                last = last.max(at);
            }
        }
        assert!(first != Duration::MAX, "nothing came out of the partitions of one that was killed");
        [first, last].map(|at| at.saturating_sub(death.at).as_secs_f64()).into()
    };
    deaths.iter().map(pause).collect()
}

/// The longest time without any output that lies in this time at least in part, in seconds.
fn silence(outcome: &Outcome, during: &Range<Duration>) -> f64 {
    let mut times: Vec<Duration> = outcome.seen.iter().map(|seen| seen.at).collect();
    times.sort_unstable();
    let pairs = times.array_windows().filter(|[before, after]| *before < during.end && *after > during.start);
    let longest = pairs.map(|[before, after]| *after - *before).max();
    longest.expect("there are outputs before and after it").as_secs_f64()
}

pub fn told(outcome: &Outcome, rate: u64) -> String {
    format!(
        "{rate} mentions/s for {:.0} s, {} sent, {} lost, {} twice",
        outcome.seconds.as_secs_f64(),
        outcome.sent,
        outcome.lost,
        outcome.repeats
    )
}

fn twice(outcome: &Outcome, times: usize) -> f64 {
    outcome.repeats as f64 / times as f64
}
