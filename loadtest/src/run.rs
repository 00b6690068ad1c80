//! One run: sends, watches, waits for the rest, judges, and says what was found.
//!
//! Owns the order of things and the threads beside the sender. What each does stands in its own file. Called by the
//! command line.

use crate::cast::{Cast, Census};
use crate::expect::Oracle;
use crate::ground::{Ground, Manifest, Wishes, finished};
use crate::judge::{Places, Verdict, judge};
use crate::report::{Finding, Measured, Report, findings};
use crate::sample::{self, Sample};
use crate::scenario::Scenario;
use crate::send::{Orders, Sent, send};
use crate::watch::{self, Watched, Watcher, wall_at};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use triaged::clock::{Clock, Deadline, SystemClock};
use triaged::error::Error;
use triaged::log::{Logs, TopicPartition};

/// From when everything is ready to the first record: the sender makes slices ahead meanwhile.
const LEAD_NS: u64 = 1_500_000_000;

/// Of so many records one may have slipped, or no percentile is shown.
pub const SLIPPED_MAX: f64 = 0.01;

/// Everything that was seen from outside.
struct Seen {
    sent: Sent,
    watched: Watched,
    samples: Vec<Sample>,
    drained: bool,
}

/// Runs a scenario; what came of it.
///
/// # Errors
/// As sysexits have it: 78 for what is set up wrongly, 69 for a broker or a daemon that does not answer.
pub fn run(
    mut scenario: Scenario,
    wishes: &Wishes,
    process: Option<u32>,
    folder: PathBuf,
    run: &str,
) -> Result<Report, Error> {
    process.map_or(Ok(()), sample::measurable)?;
    let machine = sample::machine();
    let ground = Ground::prepare(wishes, &scenario, run, folder)?;
    let mut oracle = Oracle::of(&ground.policy())?;
    let desks: Vec<String> = oracle.policy().desks().iter().map(|desk| desk.name.clone()).collect();
    let places = ground.places(&desks)?;
    scenario.partitions = places.from[&places.input].len() as u32;
    let cast = Cast::new(&scenario, &mut oracle)?;
    let manifest = ground.remember(run, &scenario, places, wishes)?;
    let process = process.or(ground.process());
    let seen = observe(&ground, &scenario, &cast, &manifest, process)?;
    let generation = oracle.generation().0;
    let verdict = judge(ground.logs.as_ref(), &cast, run, &manifest.places, &generation)?;
    let measured =
        Measured::of(&cast, &seen.sent, &seen.watched, &seen.samples, &scenario.objectives, seen.drained);
    let folder = ground.folder.clone();
    ground.leave()?;
    Ok(report(scenario, run, machine, cast.census(), verdict, Some(measured), folder))
}

/// Judges a finished run again.
///
/// # Errors
/// As `run`.
pub fn judge_again(folder: &Path, wishes: &Wishes) -> Result<Report, Error> {
    let (ground, manifest, scenario) = finished(folder, wishes)?;
    let mut oracle = Oracle::of(&ground.policy())?;
    let cast = Cast::new(&scenario, &mut oracle)?;
    let generation = oracle.generation().0;
    let verdict = judge(ground.logs.as_ref(), &cast, &manifest.run, &manifest.places, &generation)?;
    let machine = sample::machine();
    Ok(report(scenario, &manifest.run, machine, cast.census(), verdict, None, ground.folder.clone()))
}

fn report(
    scenario: Scenario,
    run: &str,
    machine: String,
    census: Census,
    verdict: Verdict,
    measured: Option<Measured>,
    folder: PathBuf,
) -> Report {
    let findings: Vec<Finding> = findings(&scenario.objectives, &verdict, measured.as_ref());
    Report { scenario, run: run.to_owned(), machine, census, verdict, measured, findings, folder }
}

/// Sends and watches until everything is out, or its time is.
fn observe(
    ground: &Ground,
    scenario: &Scenario,
    cast: &Cast,
    manifest: &Manifest,
    process: Option<u32>,
) -> Result<Seen, Error> {
    let (logs, places) = (ground.logs.as_ref(), &manifest.places);
    let clock = SystemClock::new();
    let mut producer = logs.producer("storm")?;
    let watcher = Watcher::open(logs, &outputs(places))?;
    let start_ns = clock.monotonic_ns() + LEAD_NS;
    let orders = Orders {
        topic: &places.input,
        run: &manifest.run,
        clock: &clock,
        start_ns,
        start_ms: wall_at(&clock, start_ns),
    };
    let until = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let group = format!("{}.triage", ground.settings.group.name);
    let inputs = places.starts(&places.input);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let run = &manifest.run;
            watch::watch(watcher, &watch::Place { cast, run, clock: &clock, start_ns, until: &until })
        });
        let sampling = scope.spawn(|| {
            let place = sample::Place {
                group: &group,
                from: &inputs,
                process,
                clock: &clock,
                start_ns,
                seconds: cast.shape().seconds(),
                stop: &stop,
            };
            sample::sample(logs, &place)
        });
        let sent = (|| {
            let sent = send(cast, &orders, producer.as_mut())?;
            let drained = drained(ground, scenario)?;
            Ok::<_, Error>((sent, drained))
        })();
        stop.store(true, Ordering::Relaxed);
        // Whatever happened, the watcher must be let go.
        let ends = ends_of(logs, &outputs(places));
        *until.lock().expect("invariant: nobody panics while holding the ends") =
            Some(ends.unwrap_or_default());
        let samples = sampling.join().expect("invariant: looking does not panic");
        let watched = watching.join().expect("invariant: watching does not panic");
        let (sent, drained) = sent?;
        Ok(Seen { sent, watched: watched?, samples, drained })
    })
}

/// Waits until the triage has settled the input and the desks what they were handed.
fn drained(ground: &Ground, scenario: &Scenario) -> Result<bool, Error> {
    let patience = Deadline::after(Duration::from_secs_f64(scenario.objectives.drain_s));
    let topics = &ground.settings.topics;
    Ok(ground.settled("triage", &topics.mentions, &patience)?
        && ground.settled("desk", &topics.desks, &patience)?)
}

fn outputs(places: &Places) -> Vec<(TopicPartition, i64)> {
    places.assignments.values().flat_map(|topic| places.starts(topic)).collect()
}

fn ends_of(logs: &dyn Logs, of: &[(TopicPartition, i64)]) -> Result<Vec<(TopicPartition, i64)>, Error> {
    of.iter().map(|(of, _)| Ok((of.clone(), logs.bounds(of)?.1))).collect()
}

/// A name that no other run has: the time of day in milliseconds, in hex.
#[must_use]
pub fn fresh_name() -> String {
    format!("{:x}", SystemClock::new().wall().0)
}
