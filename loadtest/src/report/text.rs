//! The report on a terminal: verdict first, then what was sent, what came, and how long it took.
//!
//! Owns the words. Says nothing that the page does not say. Called by `Report::text`.

use super::{Finding, Measured, Outcome, Report};
use std::fmt::Write;

/// Writes the summary.
pub fn write(report: &Report) -> String {
    let mut out = String::new();
    let verdict = verdict(report);
    let _ = writeln!(out, "{verdict}");
    let _ = writeln!(
        out,
        "  scenario   {} (seed {}), run {}",
        report.scenario.name, report.scenario.seed, report.run
    );
    let _ = writeln!(out, "  machine    {}", report.machine);
    let sent: Vec<String> = report
        .census
        .by_disposition
        .iter()
        .map(|(name, count)| format!("{} {name}", group(*count)))
        .collect();
    let _ = writeln!(out, "  sent       {} records: {}", group(report.census.records), sent.join(", "));
    if report.has_storms() {
        let _ = writeln!(
            out,
            "             storm members are exact copies: this release has no storms as cases yet"
        );
    }
    for finding in &report.findings {
        let _ = writeln!(out, "  {}", line(finding));
    }
    if let Some(measured) = &report.measured {
        measurements(measured, &mut out);
    }
    for example in &report.verdict.examples {
        let _ = writeln!(out, "  - {example}");
    }
    let _ = write!(out, "  report     {}", report.page().display());
    out
}

/// The first line: what a person in a hurry reads.
pub fn verdict(report: &Report) -> String {
    match report.outcome() {
        Outcome::Met if report.measured.is_none() => {
            "objectives of the records met; times and memory are not judged again".to_owned()
        }
        Outcome::Met => "objectives met".to_owned(),
        Outcome::NotMet(1) => "one objective NOT met".to_owned(),
        Outcome::NotMet(missed) => format!("{missed} objectives NOT met"),
        Outcome::Slipped => {
            "NOT measured: the schedule was not kept, so there are no percentiles; try again on a machine that is less busy"
                .to_owned()
        }
        Outcome::NotMeasured(1) => "one objective NOT measured, the others met".to_owned(),
        Outcome::NotMeasured(unknown) => format!("{unknown} objectives NOT measured, the others met"),
    }
}

fn line(finding: &Finding) -> String {
    let sign = match finding.met {
        Some(true) => "ok  ",
        Some(false) => "NOT ",
        None => "?   ",
    };
    format!("{sign}       {} ({})", finding.objective, finding.came)
}

fn measurements(measured: &Measured, out: &mut String) {
    match &measured.latency {
        Some(latency) => {
            let _ = writeln!(
                out,
                "  latency    p50 {:.1} ms, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}: from the instant due to the record in a helpdesk's hands",
                latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms
            );
        }
        None => {
            let _ = writeln!(out, "  latency    not shown: {}", why_hidden(measured));
        }
    }
    let _ = writeln!(
        out,
        "  schedule   {:.2} % of the records later than {} ms; p99 {:.1} ms, max {:.1} ms",
        measured.slipped * 100.0,
        measured.slip_bound_ms,
        measured.slip_p99_ms,
        measured.slip_max_ms
    );
    let most = |counts: &[u64]| group(counts.iter().copied().max().unwrap_or(0));
    let _ = writeln!(
        out,
        "  rates      at most {} a second offered, {} a second handed to helpdesks",
        most(&measured.sent_by_second),
        most(&measured.out_by_second)
    );
    let seconds = |value: Option<f64>| value.map_or("not seen".to_owned(), |value| format!("{value:.1} s"));
    let _ = writeln!(
        out,
        "  recovery   lag at most {} records, within a second of the schedule {} after the spike; all of it out after {}",
        group(measured.lag_max.unsigned_abs()),
        seconds(measured.lag_zero_s),
        seconds(measured.recover_s)
    );
    if let (Some(rss_mib), Some(cpu_s)) = (measured.rss_max_mib, measured.cpu_s) {
        let rate = measured.mentions_per_cpu_s.unwrap_or(0.0) as u64;
        let _ = writeln!(
            out,
            "  daemon     at most {rss_mib:.0} MiB resident, {cpu_s:.1} s of processor time: {} mentions a second of it",
            group(rate)
        );
    }
}

/// Why there are no percentiles.
pub fn why_hidden(measured: &Measured) -> String {
    if measured.kept() {
        return "no mention came out".to_owned();
    }
    format!(
        "{:.1} % of the records were sent more than {} ms late, and more than 1 % makes every percentile meaningless",
        measured.slipped * 100.0,
        measured.slip_bound_ms
    )
}

/// A number with its thousands apart.
pub fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
