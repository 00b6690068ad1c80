//! The report as one page that needs nothing else: verdict first, then what was asked, what came, and the curves.
//!
//! Owns the page's words and looks. Written for a reader who has never heard of any of this. Called by `Report::save`.

use super::plots::{Axes, COLORS, Line, draw, short};
use super::text::{group, verdict, why_hidden};
use super::{Measured, Report, curve};
use crate::shape::{Kind, Phase};
use std::fmt::Write;

const STYLE: &str = "
body{font:16px/1.5 system-ui,sans-serif;color:#1f2328;background:#f6f8fa;margin:0}
main{max-width:960px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:32px 0 8px}
p{margin:6px 0;max-width:75ch}.about{color:#59636e}
.verdict{border-radius:8px;padding:16px 20px;margin:16px 0;color:#fff;font-size:20px;font-weight:600}
.met{background:#1a7f37}.not{background:#cf222e}.slipped{background:#9a6700}
section{background:#fff;border:1px solid #d1d9e0;border-radius:8px;padding:4px 20px 16px;margin:16px 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid #eaeef2;vertical-align:top}
th{font-weight:600;color:#59636e;font-size:14px}td.n,th.n{text-align:right}
.ok{color:#1a7f37;font-weight:600}.bad{color:#cf222e;font-weight:600}.open{color:#9a6700;font-weight:600}
.legend span{margin-right:18px;white-space:nowrap}.legend i{display:inline-block;width:18px;height:3px;vertical-align:middle;margin-right:6px}
.shade{width:14px!important;height:12px!important;background:#ffe9a8}
code,pre{font:13px/1.5 ui-monospace,monospace;background:#f6f8fa}pre{padding:12px;overflow:auto;border-radius:6px}
svg{display:block;height:auto}";

/// Writes the page.
pub fn write(report: &Report) -> String {
    let scenario = &report.scenario;
    let class = match report.exit_code() {
        0 => "met",
        1 => "not",
        _ => "slipped",
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}: {verdict}</title><style>{STYLE}</style></head><body><main>\n<h1>{name}</h1>\n<p class=\"about\">{about}</p>\n\
         <div class=\"verdict {class}\">{sentence}</div>\n",
        name = escaped(&scenario.name),
        verdict = escaped(&verdict(report)),
        about = escaped(&scenario.about),
        sentence = escaped(&capital(&verdict(report))),
    );
    objectives(report, &mut page);
    asked(report, &mut page);
    came(report, &mut page);
    if let Some(measured) = &report.measured {
        latency(report, measured, &mut page);
        curves(report, measured, &mut page);
    }
    let _ = writeln!(
        page,
        "<section><h2>The scenario</h2><p>Run <code>{}</code> on {}. The same file and seed send the same records again.</p><pre>{}</pre></section>\n\
         </main></body></html>",
        escaped(&report.run),
        escaped(&report.machine),
        escaped(&scenario.text)
    );
    page
}

fn objectives(report: &Report, page: &mut String) {
    page.push_str("<section><h2>Objectives</h2><table><tr><th></th><th>asked for</th><th>came</th></tr>");
    for finding in &report.findings {
        let (class, sign) = match finding.met {
            Some(true) => ("ok", "met"),
            Some(false) => ("bad", "not met"),
            None => ("open", "not measured"),
        };
        let (objective, came) = (escaped(&finding.objective), escaped(&finding.came));
        let _ = write!(page, "<tr><td class=\"{class}\">{sign}</td><td>{objective}</td><td>{came}</td></tr>");
    }
    page.push_str("</table>");
    if !report.verdict.examples.is_empty() {
        page.push_str("<p>The first that were found, each told by its number in the run:</p><pre>");
        for example in &report.verdict.examples {
            let _ = writeln!(page, "{}", escaped(example));
        }
        page.push_str("</pre>");
    }
    page.push_str("</section>\n");
}

fn asked(report: &Report, page: &mut String) {
    let (scenario, census) = (&report.scenario, &report.census);
    let _ = write!(
        page,
        "<section><h2>What was asked</h2><p>{} mentions in {:.0} seconds, {} bytes each, on {} partitions. When each one was due was \
         computed beforehand and nothing could hold the sender up: if the daemon falls behind, mentions keep coming, as they do in life.</p>\
         <table><tr><th>phase</th><th>how</th><th class=\"n\">seconds</th><th class=\"n\">mentions a second</th><th class=\"n\">mentions</th></tr>",
        group(census.records),
        scenario.shape.seconds(),
        group(scenario.payload_bytes as u64),
        scenario.partitions
    );
    for (index, phase) in scenario.shape.phases().iter().enumerate() {
        let records = scenario.shape.records(index);
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escaped(&phase.name),
            manner(phase),
            phase.seconds,
            rates(phase),
            group(records.end - records.start)
        );
    }
    page.push_str("</table>");
    if report.has_storms() {
        page.push_str(
            "<p>Storm members are exact copies of the storm's first post: this release does not yet make cases of near-duplicates, \
             so that is what can be judged.</p>",
        );
    }
    let _ = writeln!(page, "<p>{} of the new mentions came from VIPs.</p></section>", group(census.vip));
}

fn manner(phase: &Phase) -> &'static str {
    match phase.kind {
        Kind::Hold => "steady",
        Kind::Ramp => "in a straight line",
        Kind::Decay => "exponentially",
    }
}

fn rates(phase: &Phase) -> String {
    let (from, to) = (group(phase.from.round() as u64), group(phase.to.round() as u64));
    if from == to { from } else { format!("{from} to {to}") }
}

fn came(report: &Report, page: &mut String) {
    page.push_str(
        "<section><h2>What came out</h2><p>After the run, input, ledger, helpdesk topics and dead letters were read from outside, and every \
         record was held against what should have become of it.</p>\
         <table><tr><th>should be</th><th class=\"n\">records</th><th class=\"n\">were, once, in the right place</th></tr>",
    );
    for (name, tally) in &report.verdict.dispositions {
        let class = if tally.right == tally.expected { "ok" } else { "bad" };
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n {class}\">{}</td></tr>",
            name.replace('_', " "),
            group(tally.expected),
            group(tally.right)
        );
    }
    page.push_str("</table>");
    if !report.census.by_queue.is_empty() {
        page.push_str("<p>Queued mentions by queue: ");
        let queues: Vec<String> = report
            .census
            .by_queue
            .iter()
            .map(|(queue, count)| format!("{} {}", escaped(queue), group(*count)))
            .collect();
        let _ = write!(page, "{}.</p>", queues.join(", "));
    }
    page.push_str("</section>\n");
}

fn latency(report: &Report, measured: &Measured, page: &mut String) {
    page.push_str(
        "<section><h2>Latency</h2><p>From the instant at which a mention was due, however late it was really sent, to the moment at which a \
         consumer of the helpdesk topics held its record, acknowledged by the broker.</p>",
    );
    let Some(latency) = &measured.latency else {
        let _ =
            writeln!(page, "<p class=\"open\">Not shown: {}.</p></section>", escaped(&why_hidden(measured)));
        return;
    };
    page.push_str("<table><tr><th class=\"n\">p50</th><th class=\"n\">p90</th><th class=\"n\">p99</th><th class=\"n\">p99.9</th><th class=\"n\">max</th></tr><tr>");
    for value in [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms] {
        let _ = write!(page, "<td class=\"n\">{value:.1} ms</td>");
    }
    let _ = write!(page, "</tr></table><p>{} mentions measured.", group(measured.came_out));
    let _ = write!(
        page,
        " Sent later than {} ms after their instant: {:.2} % of all records; the latest {:.1} ms.</p>",
        measured.slip_bound_ms,
        measured.slipped * 100.0,
        measured.slip_max_ms
    );
    let points = curve(&measured.histogram).into_iter().filter(|(_, quantile, _)| *quantile < 1.0);
    let points = points.map(|(value, quantile, _)| ((1.0 / (1.0 - quantile)).log10(), value)).collect();
    let axes = Axes { x: "percentile", y: "milliseconds", tell_x: |x| nines(*x), log: true, shade: None };
    page.push_str(&draw(&axes, &[Line { color: 0, points }]));
    let of = |index: usize| {
        let seconds = (0_u32..).zip(&measured.latency_by_second);
        seconds.map(|(second, values)| (f64::from(second) + 0.5, values[index].max(0.1))).collect()
    };
    page.push_str("<h2>Latency over time</h2>");
    legend(page, &["median", "p99", "largest"], report.scenario.shape.spike().is_some());
    let lines: Vec<Line> = (0..3).map(|index| Line { color: index, points: of(index) }).collect();
    page.push_str(&draw(&in_time(report, "milliseconds", true), &lines));
    page.push_str("</section>\n");
}

fn curves(report: &Report, measured: &Measured, page: &mut String) {
    let seconds = |counts: &[u64]| -> Vec<(f64, f64)> {
        (0_u32..).zip(counts).map(|(second, count)| (f64::from(second) + 0.5, *count as f64)).collect()
    };
    let committed = measured.samples.windows(2).filter(|pair| pair[1].at_s > 0.0).map(|pair| {
        let took = (pair[1].at_s - pair[0].at_s).max(1e-3);
        (pair[1].at_s, (pair[1].committed - pair[0].committed).max(0) as f64 / took)
    });
    page.push_str("<section><h2>Offered, processed and handed out, a second</h2>");
    let spike = report.scenario.shape.spike().is_some();
    legend(page, &["offered", "processed (committed)", "handed to helpdesks"], spike);
    let lines = [
        Line { color: 0, points: seconds(&measured.sent_by_second) },
        Line { color: 1, points: committed.collect() },
        Line { color: 2, points: seconds(&measured.out_by_second) },
    ];
    page.push_str(&draw(&in_time(report, "mentions a second", false), &lines));
    page.push_str("<h2>How far behind</h2><p>Mentions on the input that the daemon had not committed yet. In calm it commits five times a second, so a little is always open.</p>");
    let lag = measured.samples.iter().filter(|sample| sample.at_s > 0.0);
    let lag = lag.map(|sample| (sample.at_s, sample.lag() as f64)).collect();
    page.push_str(&draw(&in_time(report, "mentions", false), &[Line { color: 0, points: lag }]));
    page.push_str("</section>\n");
    let memory: Vec<(f64, f64)> = measured
        .samples
        .iter()
        .filter(|sample| sample.at_s > 0.0)
        .filter_map(|sample| Some((sample.at_s, sample.rss_mib?)))
        .collect();
    if let (Some(rss_mib), Some(cpu_s)) = (measured.rss_max_mib, measured.cpu_s) {
        let _ = writeln!(
            page,
            "<section><h2>The daemon's process</h2><p>At most {rss_mib:.0} MiB resident; {cpu_s:.1} s of processor time, {} mentions for each such second.</p>{}</section>",
            group(measured.mentions_per_cpu_s.unwrap_or(0.0) as u64),
            draw(&in_time(report, "MiB resident", false), &[Line { color: 0, points: memory }])
        );
    }
}

fn in_time<'a>(report: &Report, y: &'a str, log: bool) -> Axes<'a> {
    let shade = report.scenario.shape.spike().map(|spike| (spike.start, spike.end()));
    Axes { x: "seconds from the start", y, tell_x: |x| short(*x), log, shade }
}

fn legend(page: &mut String, names: &[&str], spike: bool) {
    page.push_str("<p class=\"legend\">");
    for (name, (color, _)) in names.iter().zip(COLORS) {
        let _ = write!(page, "<span><i style=\"background:{color}\"></i>{name}</span>");
    }
    if spike {
        page.push_str("<span><i class=\"shade\"></i>the spike</span>");
    }
    page.push_str("</p>");
}

/// 1, 2, 3 … as 90 %, 99 %, 99.9 % …
fn nines(x: f64) -> String {
    if (x - x.round()).abs() > 1e-6 {
        return String::new();
    }
    match x.round() as usize {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        nines => format!("99.{} %", "9".repeat(nines - 2)),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
