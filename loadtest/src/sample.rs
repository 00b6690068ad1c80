//! Looks at the fleet from outside a few times a second: how far behind it is, and what its process takes.
//!
//! Owns the curve of the lag (input end offsets minus committed) and, where the daemon is a process of this machine, its
//! memory and processor time from /proc. May not ask the daemon anything. Called by `run`, in a thread of its own.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use triaged::clock::{Deadline, SystemClock};
use triaged::error::Error;
use triaged::log::{LogError, Logs, TopicPartition};

/// How often it looks. Each look asks the group's coordinator anew, which costs both sides a little.
const EVERY: Duration = Duration::from_millis(250);
/// How long it looks on, once all that was sent is settled, for a look that shows it.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// Ticks of processor time a second, as Linux counts them for programs.
const TICKS: f64 = 100.0;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Sample {
    /// Seconds from the start.
    pub at_s: f64,
    /// Records on the input since the run began.
    pub offered: i64,
    /// Those of them that are committed.
    pub committed: i64,
    /// Resident memory of the daemon, in MiB.
    pub rss_mib: Option<f64>,
    /// Processor time of the daemon so far, in seconds.
    pub cpu_s: Option<f64>,
}

impl Sample {
    /// Records behind.
    #[must_use]
    pub fn lag(&self) -> i64 {
        (self.offered - self.committed).max(0)
    }
}

/// Where to look.
pub struct Place<'a> {
    /// The group that reads the input.
    pub group: &'a str,
    /// The input's partitions, each with the offset at which the run began.
    pub from: &'a [(TopicPartition, i64)],
    /// The daemon's process.
    pub process: Option<u32>,
    /// The clock that the schedule is kept by.
    pub clock: &'a SystemClock,
    /// When the schedule begins by that clock.
    pub start_ns: u64,
    /// How long the schedule is, in seconds.
    pub seconds: f64,
    /// Set when all that was sent is settled, or its time is over.
    pub stop: &'a AtomicBool,
}

/// Looks until it is told to stop and has seen, after the end of the schedule, that nothing is left. What is settled is
/// committed, so the next look sees it; only where others write to the input too is it waited for, and not for long.
#[must_use]
pub fn sample(logs: &dyn Logs, place: &Place<'_>) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut patience: Option<Deadline> = None;
    loop {
        // Asked before the look: a look that began before the end may not have seen it.
        let stopped = place.stop.load(Ordering::Relaxed);
        // A broker that does not answer for a moment leaves a hole in the curve.
        if let Ok(sample) = look(logs, place) {
            tell(&sample, place.seconds);
            samples.push(sample);
        }
        let at_rest = samples.last().is_some_and(|last| last.at_s >= place.seconds && last.lag() == 0);
        if stopped && (at_rest || patience.get_or_insert_with(|| Deadline::after(LAST_WAIT)).is_over()) {
            break;
        }
        std::thread::sleep(EVERY);
    }
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    samples
}

/// A line on the terminal that says how far the run has come.
fn tell(sample: &Sample, seconds: f64) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let (at_s, offered, lag) = (sample.at_s.max(0.0), sample.offered, sample.lag());
        // A terminal that is gone is no reason to end.
        let _ = write!(out, "\r\x1b[K{at_s:.0} of {seconds:.0} s: {offered} on the input, {lag} behind");
    }
}

fn look(logs: &dyn Logs, place: &Place<'_>) -> Result<Sample, LogError> {
    let partitions: Vec<TopicPartition> = place.from.iter().map(|(partition, _)| partition.clone()).collect();
    // Commits first: what comes in meanwhile counts as lag, never as negative.
    let commits = logs.group_offsets(place.group, &partitions)?;
    let (mut offered, mut committed) = (0, 0);
    for ((partition, from), commit) in place.from.iter().zip(commits) {
        committed += commit.map_or(0, |commit| (commit.offset - from).max(0));
        offered += logs.bounds(partition)?.1 - from;
    }
    let now = place.clock.monotonic_ns() as f64 - place.start_ns as f64;
    let process = place.process.and_then(process);
    let (rss_mib, cpu_s) = process.unzip();
    Ok(Sample { at_s: now / 1e9, offered, committed, rss_mib, cpu_s })
}

/// Refuses a process that cannot be measured, before anything is sent.
///
/// # Errors
/// 69 when there is no such process on this machine.
pub fn measurable(id: u32) -> Result<(), Error> {
    process(id).map(drop).ok_or_else(|| {
        Error::unavailable(format!("`--pid {id}`: no process of this machine has that number"))
            .hint("`pidof triaged` prints the daemon's; without `--pid` its memory and processor time are not measured")
    })
}

/// Resident memory in MiB and processor time in seconds of a process of this machine.
#[must_use]
pub fn process(id: u32) -> Option<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let rss_kib: f64 = rss.trim().trim_end_matches("kB").trim().parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything; user and system time are the 14th and 15th field of all.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some((rss_kib / 1024.0, ticks / TICKS))
}

/// Cores, and the load that the machine has already.
#[must_use]
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let model = model.map_or("unknown processor", |(_, model)| model);
    format!("{cores} cores, {model}; load {load} before the run")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use triaged::embedded::Cluster;
    use triaged::log::NewTopic;

    #[test]
    fn a_run_whose_input_is_settled_early_is_looked_at_once_more_after_its_end() {
        let (logs, clock) = (Cluster::new(Arc::new(SystemClock::new())), SystemClock::new());
        let input = NewTopic { name: "mentions".to_owned(), partitions: 1, replication: 1, config: vec![] };
        logs.create(&[input]).expect("it takes topics");
        let place = Place {
            group: "triaged.triage",
            from: &[(TopicPartition::new("mentions", 0), 0)],
            process: None,
            clock: &clock,
            start_ns: clock.monotonic_ns(),
            seconds: 0.6,
            stop: &AtomicBool::new(true),
        };
        let samples = sample(&logs, &place);
        let last = samples.last().expect("it looked");
        assert!(last.at_s >= 0.6 && last.lag() == 0, "{samples:?}");
    }

    #[test]
    fn a_process_of_this_machine_has_memory_and_takes_time() {
        let (rss_mib, cpu_s) = process(std::process::id()).expect("this process runs");
        assert!(rss_mib > 1.0 && cpu_s >= 0.0, "{rss_mib} {cpu_s}");
        assert_eq!(process(u32::MAX), None);
        assert_eq!(measurable(std::process::id()), Ok(()));
        let refused = measurable(u32::MAX).expect_err("there is none");
        assert_eq!(refused.exit_code(), 69);
        assert!(refused.to_string().starts_with("`--pid 4294967295`: no process"), "{refused}");
    }
}
