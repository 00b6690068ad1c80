//! What a run found: the measurements, the objectives held against them, and the exit code.
//!
//! Owns the numbers that people and programs are shown, and the rule that no percentile is shown of a schedule that was
//! not kept. The three forms stand in `text`, `html` and here (JSON). Called by `run` and the command line.

mod html;
mod plots;
mod text;

use crate::cast::{Cast, Census};
use crate::judge::Verdict;
use crate::run::SLIPPED_MAX;
use crate::sample::Sample;
use crate::scenario::{Objectives, Scenario};
use crate::send::Sent;
use crate::watch::Watched;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use triaged::error::Error;

/// The exit code of a run whose schedule was not kept (sysexits' "try again": on a machine that is less busy).
const SLIPPED: u8 = 75;
/// The exit code of objectives that were not met.
const NOT_MET: u8 = 1;
/// The exit code of objectives of which some could not be measured, while all others are met.
const NOT_MEASURED: u8 = 2;
/// What the lag may be in calm, in seconds of the schedule: commits are a fifth of a second apart, looks a quarter.
const LAG_REST_S: f64 = 1.0;

/// Everything about one run.
pub struct Report {
    /// What was asked.
    pub scenario: Scenario,
    /// The run's name.
    pub run: String,
    /// The machine, and how busy it was.
    pub machine: String,
    /// What was sent.
    pub census: Census,
    /// What the topics say.
    pub verdict: Verdict,
    /// What was measured; a run that is judged again has nothing.
    pub measured: Option<Measured>,
    /// Each objective.
    pub findings: Vec<Finding>,
    /// Where the files are.
    pub folder: PathBuf,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Records sent.
    pub sent: u64,
    /// Bytes of values sent.
    pub bytes: u64,
    /// Share of the records that were sent later than the bound.
    pub slipped: f64,
    /// The bound, in milliseconds.
    pub slip_bound_ms: f64,
    /// The 99th percentile and the largest slip, in milliseconds.
    pub slip_p99_ms: f64,
    /// The largest slip.
    pub slip_max_ms: f64,
    /// What the broker refused, if anything.
    pub refused: Option<String>,
    /// Mentions that came out and were measured.
    pub came_out: u64,
    /// Latency from the instant due; none when the schedule was not kept.
    pub latency: Option<Latency>,
    /// Seconds after the spike (or the end) when all that was due by then was out.
    pub recover_s: Option<f64>,
    /// Seconds after the spike (or the end) when the daemon was no more than a second behind.
    pub lag_zero_s: Option<f64>,
    /// The largest lag, in records.
    pub lag_max: i64,
    /// Whether everything was settled in time.
    pub drained: bool,
    /// Most resident memory of the daemon, in MiB.
    pub rss_max_mib: Option<f64>,
    /// Processor time of the daemon over the run, in seconds, and mentions per such second.
    pub cpu_s: Option<f64>,
    /// Mentions per second of processor time.
    pub mentions_per_cpu_s: Option<f64>,
    /// Records sent in each second.
    pub sent_by_second: Vec<u64>,
    /// Mentions that came out in each second.
    pub out_by_second: Vec<u64>,
    /// For each second of the schedule: p50, p99 and largest latency in milliseconds; empty when not shown.
    pub latency_by_second: Vec<[f64; 3]>,
    /// The curve of the lag.
    pub samples: Vec<Sample>,
    #[serde(skip)]
    histogram: Histogram<u64>,
}

/// Latency in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// All.
    pub max_ms: f64,
}

/// One objective, and what came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was asked for.
    pub objective: String,
    /// What came.
    pub came: String,
    /// Whether that will do; none when it could not be measured.
    pub met: Option<bool>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every objective is met.
    Met,
    /// So many are not.
    NotMet(usize),
    /// The schedule was not kept, so that there are no percentiles; what was measured is met.
    Slipped,
    /// So many objectives could not be measured; the others are met.
    NotMeasured(usize),
}

impl Outcome {
    /// The name that programs are told.
    fn name(self) -> &'static str {
        match self {
            Outcome::Met => "met",
            Outcome::NotMet(_) => "not met",
            Outcome::Slipped => "schedule not kept",
            Outcome::NotMeasured(_) => "not measured",
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Outcome::Met => 0,
            Outcome::NotMet(_) => NOT_MET,
            Outcome::Slipped => SLIPPED,
            Outcome::NotMeasured(_) => NOT_MEASURED,
        }
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Latency {
        let at = |quantile: f64| ms(histogram.value_at_quantile(quantile));
        Latency {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(histogram.max()),
        }
    }
}

impl Measured {
    /// Draws the sums.
    #[must_use]
    pub fn of(
        cast: &Cast,
        sent: &Sent,
        watched: &Watched,
        samples: &[Sample],
        objectives: &Objectives,
        drained: bool,
    ) -> Measured {
        let slip_bound_us = (objectives.slip_ms * 1_000.0) as u64;
        let within = sent.slip_us.count_between(0, slip_bound_us);
        let slipped = 1.0 - within as f64 / sent.slip_us.len().max(1) as f64;
        let kept = slipped <= SLIPPED_MAX;
        let spike_end = cast.shape().spike().map_or(cast.shape().seconds(), crate::shape::Phase::end);
        let latency_by_second = watched.by_second.iter().map(|second| {
            let of = &second.latency_us;
            [ms(of.value_at_quantile(0.5)), ms(of.value_at_quantile(0.99)), ms(of.max())]
        });
        let cpu_s = samples.iter().rev().find_map(|sample| sample.cpu_s);
        let before = samples.iter().find_map(|sample| sample.cpu_s);
        let cpu_s = cpu_s.zip(before).map(|(after, before)| after - before);
        Measured {
            sent: sent.records,
            bytes: sent.bytes,
            slipped,
            slip_bound_ms: objectives.slip_ms,
            slip_p99_ms: ms(sent.slip_us.value_at_quantile(0.99)),
            slip_max_ms: ms(sent.slip_us.max()),
            refused: sent.refused.clone(),
            came_out: watched.mentions,
            latency: (kept && watched.mentions > 0).then(|| Latency::of(&watched.latency_us)),
            recover_s: (drained && watched.mentions > 0)
                .then(|| (watched.out_by(spike_end) - spike_end).max(0.0)),
            lag_zero_s: lag_zero(cast, samples, spike_end),
            lag_max: samples.iter().map(Sample::lag).max().unwrap_or(0),
            drained,
            rss_max_mib: samples.iter().filter_map(|sample| sample.rss_mib).reduce(f64::max),
            cpu_s,
            mentions_per_cpu_s: cpu_s.filter(|&cpu_s| cpu_s > 0.0).map(|cpu_s| sent.records as f64 / cpu_s),
            sent_by_second: sent.by_second.clone(),
            out_by_second: watched.arrived.clone(),
            latency_by_second: if kept { latency_by_second.collect() } else { Vec::new() },
            samples: samples.to_vec(),
            histogram: watched.latency_us.clone(),
        }
    }

    /// Whether the schedule was kept, so that percentiles mean something.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.slipped <= SLIPPED_MAX
    }
}

/// Seconds after `from` until the daemon is no more than a second behind the schedule; none when it never was.
fn lag_zero(cast: &Cast, samples: &[Sample], from: f64) -> Option<f64> {
    let rest = |sample: &Sample| {
        let rate = cast.shape().rate(sample.at_s);
        // After the last record nothing may be left at all.
        sample.lag() as f64 <= rate * LAG_REST_S
    };
    samples.iter().find(|sample| sample.at_s >= from && rest(sample)).map(|sample| sample.at_s - from)
}

/// Holds every objective against what came.
#[must_use]
pub fn findings(objectives: &Objectives, verdict: &Verdict, measured: Option<&Measured>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, most, came) in [
        ("lost", objectives.lost, verdict.lost),
        ("doubled", objectives.doubled, verdict.doubled),
        ("misrouted", objectives.misrouted, verdict.misrouted),
        ("misjudged", objectives.misjudged, verdict.misjudged),
    ] {
        findings.push(Finding {
            objective: format!("{name}: at most {most}"),
            came: came.to_string(),
            met: Some(came <= most),
        });
    }
    let Some(measured) = measured else { return findings };
    let mut at_most = |name: &str, unit: &str, most: Option<f64>, came: Option<f64>, without: &str| {
        let Some(most) = most else { return };
        findings.push(Finding {
            objective: format!("{name}: at most {most} {unit}"),
            came: match came {
                None => without.to_owned(),
                Some(came) if came.is_infinite() => "never".to_owned(),
                Some(came) => format!("{came:.1} {unit}"),
            },
            met: came.map(|came| came <= most),
        });
    };
    let latency = |of: fn(&Latency) -> f64| measured.latency.as_ref().map(of);
    let hidden = if measured.kept() { "no mention came out" } else { "the schedule was not kept" };
    let hidden = &format!("not measured: {hidden}");
    at_most("latency p50", "ms", objectives.p50_ms, latency(|latency| latency.p50_ms), hidden);
    at_most("latency p99", "ms", objectives.p99_ms, latency(|latency| latency.p99_ms), hidden);
    at_most("latency p99.9", "ms", objectives.p999_ms, latency(|latency| latency.p999_ms), hidden);
    at_most("latency max", "ms", objectives.max_ms, latency(|latency| latency.max_ms), hidden);
    let unknown = "not measured: the daemon's process is not known, `--pid` names it";
    at_most("memory", "MiB", objectives.rss_mib, measured.rss_max_mib, unknown);
    // What did not happen while it was waited for is a failure, not a question left open.
    let within = |came: Option<f64>| came.or((!measured.drained).then_some(f64::INFINITY));
    let none_out = "not measured: no mention came out";
    at_most("all of the spike out", "s", objectives.recover_s, within(measured.recover_s), none_out);
    let unseen = "not measured: all was settled, and the lag could not be looked at after the spike";
    at_most("lag back to zero", "s", objectives.lag_zero_s, within(measured.lag_zero_s), unseen);
    if !measured.drained {
        findings.push(Finding {
            objective: format!("drained within {} s", objectives.drain_s),
            came: "not".to_owned(),
            met: Some(false),
        });
    }
    if let Some(why) = &measured.refused {
        findings.push(Finding {
            objective: "the broker takes it all".to_owned(),
            came: why.clone(),
            met: Some(false),
        });
    }
    findings
}

impl Report {
    /// How it ends: what is not met outweighs what could not be measured, and a schedule that was not kept says why.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let count = |met: Option<bool>| self.findings.iter().filter(|finding| finding.met == met).count();
        let kept = self.measured.as_ref().is_none_or(Measured::kept);
        match (count(Some(false)), count(None)) {
            (0, _) if !kept => Outcome::Slipped,
            (0, 0) => Outcome::Met,
            (0, unknown) => Outcome::NotMeasured(unknown),
            (missed, _) => Outcome::NotMet(missed),
        }
    }

    /// Whether the scenario has storms.
    fn has_storms(&self) -> bool {
        self.scenario.mixes.iter().any(|mix| mix.storm_members > 0.0)
    }

    /// 0 met, 1 not met, 2 not measured, 75 when the schedule was not kept and nothing else is wrong.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.outcome().exit_code()
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "scenario": self.scenario.name,
            "seed": self.scenario.seed,
            "run": self.run,
            "machine": self.machine,
            "exit_code": self.exit_code(),
            "outcome": self.outcome().name(),
            "met": self.outcome() == Outcome::Met,
            "objectives": self.findings,
            "sent": self.census,
            "verdict": self.verdict,
            "measured": self.measured,
        })
    }

    /// For people on a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        text::write(self)
    }

    /// Writes `report.html`, `report.json` and, where percentiles are shown, `latency.hgrm` into the run's folder.
    ///
    /// # Errors
    /// 78 when the folder cannot be written to.
    pub fn save(&self) -> Result<(), Error> {
        let put = |name: &str, text: String| {
            let path = self.folder.join(name);
            fs::write(&path, text)
                .map_err(|error| Error::configuration(format!("cannot write `{}`: {error}", path.display())))
        };
        put("report.json", format!("{:#}\n", self.json()))?;
        put("report.html", html::write(self))?;
        if let Some(measured) = self.measured.as_ref().filter(|measured| measured.latency.is_some()) {
            put("latency.hgrm", distribution(&measured.histogram))?;
        }
        Ok(())
    }

    /// Where the page is.
    #[must_use]
    pub fn page(&self) -> PathBuf {
        Path::new(&self.folder).join("report.html")
    }
}

/// The percentile distribution as the HdrHistogram tools write and plot it, in milliseconds.
fn distribution(histogram: &Histogram<u64>) -> String {
    let mut out =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for (value, quantile, count) in curve(histogram) {
        let inverse = if quantile < 1.0 { format!("{:14.2}", 1.0 / (1.0 - quantile)) } else { String::new() };
        out.push_str(&format!("{value:>12.3} {quantile:>14.12} {count:>10} {inverse}\n"));
    }
    let (mean, deviation) = (histogram.mean() / 1_000.0, histogram.stdev() / 1_000.0);
    let (max, count) = (ms(histogram.max()), histogram.len());
    out.push_str(&format!(
        "#[Mean = {mean:.3}, StdDeviation = {deviation:.3}]\n#[Max = {max:.3}, Total count = {count}]\n"
    ));
    out
}

/// Milliseconds, quantile, and how many lie at or below, five steps for each halving of the distance to 1.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64, u64)> {
    let steps = histogram.iter_quantiles(5);
    let mut below = 0;
    steps
        .map(|step| {
            below += step.count_since_last_iteration();
            (ms(step.value_iterated_to()), step.quantile_iterated_to(), below)
        })
        .collect()
}

#[cfg(test)]
mod tests;
