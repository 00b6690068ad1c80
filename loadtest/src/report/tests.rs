//! The report's judgement: when percentiles are shown, what an objective asks, how a run ends.

use super::*;
use crate::expect::Oracle;
use crate::scenario;
use crate::send::histogram;
use crate::watch::Second;

/// A run of the smoke scenario in which so many of its records slipped by a second.
fn measured(slipped: u64, lag: &[(f64, i64)]) -> (Scenario, Cast, Measured) {
    let folder = tempfile::tempdir().expect("a folder");
    triaged::demo::write_policy(folder.path()).expect("it can be written");
    let mut oracle = Oracle::of(folder.path()).expect("it compiles");
    let scenario = scenario::load("smoke").expect("it ships");
    let cast = Cast::new(&scenario, &mut oracle).expect("there are texts");
    let mut slip_us = histogram();
    (0..cast.total())
        .for_each(|number| slip_us.saturating_record(if number < slipped { 1_000_000 } else { 400 }));
    let by_second = vec![500, 1_750, 1_396, 499];
    let sent = Sent { records: cast.total(), bytes: 1, slip_us, by_second, refused: None };
    let mut latency_us = histogram();
    (1..=1_000).for_each(|ms| latency_us.saturating_record(ms * 1_000));
    // What was due in the spike's second, the second one, was out after 3.5 s.
    let second = |last_ns| Second {
        latency_us: Histogram::new_with_bounds(1, 1_000_000, 2).expect("bounds"),
        last_ns,
    };
    let by_second = vec![second(1_100_000_000), second(3_500_000_000), second(3_600_000_000)];
    let watched = Watched { latency_us, by_second, arrived: vec![100, 900], mentions: 1_000 };
    let samples: Vec<Sample> = lag
        .iter()
        .map(|&(at_s, lag)| Sample {
            at_s,
            offered: 5_000,
            committed: 5_000 - lag,
            rss_mib: None,
            cpu_s: None,
        })
        .collect();
    let measured = Measured::of(&cast, &sent, &watched, &samples, &strict(), true);
    (scenario, cast, measured)
}

fn strict() -> Objectives {
    Objectives {
        p99_ms: Some(500.0),
        lag_zero_s: Some(5.0),
        recover_s: Some(1.0),
        slip_ms: 20.0,
        ..Objectives::default()
    }
}

fn report(slipped: u64, objectives: &Objectives, verdict: Verdict) -> Report {
    let measured = measured(slipped, &[(0.5, 10), (2.0, 4_000), (2.5, 3_000), (3.2, 40)]);
    report_of(measured, objectives, verdict)
}

fn report_of(
    (mut scenario, cast, measured): (Scenario, Cast, Measured),
    objectives: &Objectives,
    verdict: Verdict,
) -> Report {
    scenario.objectives = objectives.clone();
    let findings = findings(objectives, &verdict, Some(&measured));
    let folder = PathBuf::from("a-run");
    let (run, machine) = ("r".to_owned(), "two <cores>".to_owned());
    Report {
        scenario,
        run,
        machine,
        census: cast.census(),
        verdict,
        measured: Some(measured),
        findings,
        folder,
    }
}

fn met(report: &Report, objective: &str) -> Option<bool> {
    let finding = report.findings.iter().find(|finding| finding.objective.starts_with(objective));
    finding.unwrap_or_else(|| panic!("`{objective}` is judged")).met
}

#[test]
fn every_objective_is_held_against_what_came() {
    let report = report(0, &strict(), Verdict { lost: 3, ..Verdict::default() });
    assert_eq!(met(&report, "lost"), Some(false));
    assert_eq!(met(&report, "doubled"), Some(true));
    assert_eq!(met(&report, "latency p99"), Some(false), "990 ms came, 500 were asked for");
    assert_eq!(met(&report, "lag back to zero"), Some(true));
    assert_eq!(met(&report, "all of the spike out"), Some(false), "1.5 s came, 1 was asked for");
    assert_eq!(report.exit_code(), 1);
    assert!(report.text().starts_with("3 objectives NOT met"), "{}", report.text());
    let latency = report.measured.and_then(|measured| measured.latency).expect("it is shown");
    assert!((latency.p50_ms - 500.0).abs() < 2.0 && (latency.p999_ms - 999.0).abs() < 2.0, "{latency:?}");
}

#[test]
fn more_than_one_slipped_record_in_a_hundred_hides_every_percentile() {
    // 41 of 4,145 are 0.99 %, 42 are more than 1 %.
    let shown = report(41, &Objectives::default(), Verdict::default());
    assert_eq!(shown.exit_code(), 0, "{}", shown.text());
    assert!(shown.text().contains("p99 99"));
    let hidden = report(42, &strict(), Verdict::default());
    assert_eq!(met(&hidden, "latency p99"), None);
    let hidden = report(42, &Objectives::default(), Verdict::default());
    assert_eq!(hidden.exit_code(), 75);
    for form in [hidden.text(), html::write(&hidden), hidden.json().to_string()] {
        assert!(!form.contains("p99 99") && !form.contains("99.9 %<"), "{form}");
    }
    assert!(
        hidden.text().contains("not shown: 1.0 % of the records were sent more than 20 ms late"),
        "{}",
        hidden.text()
    );
    assert!(hidden.json()["measured"]["latency"].is_null());
    // What the topics say is true all the same.
    let lost = report(42, &Objectives::default(), Verdict { lost: 1, ..Verdict::default() });
    assert_eq!(lost.exit_code(), 1);
}

#[test]
fn the_lag_is_zero_when_it_is_no_more_than_a_second_of_the_schedule() {
    // The spike ends after two seconds; the rate falls from 3,000 to 500 a second in the third.
    let zero = |lag: &[(f64, i64)]| measured(0, lag).2.lag_zero_s;
    assert_eq!(zero(&[(1.0, 5), (2.2, 2_500), (2.5, 1_100), (3.0, 100)]), Some(0.5));
    assert_eq!(zero(&[(2.5, 3_000), (3.9, 501)]), None, "it never was");
    assert_eq!(
        zero(&[(3.5, 501), (4.2, 1), (4.5, 0)]),
        Some(2.5),
        "after the last record nothing may be left"
    );
}

#[test]
fn an_objective_that_could_not_be_measured_is_not_met() {
    let asked = Objectives { rss_mib: Some(1.0), ..Objectives::default() };
    let unknown = report(0, &asked, Verdict::default());
    assert_eq!(met(&unknown, "memory"), None);
    assert_eq!(unknown.exit_code(), 2);
    assert!(unknown.text().starts_with("one objective NOT measured, the others met\n"), "{}", unknown.text());
    assert!(!unknown.text().contains("bjectives met") && !html::write(&unknown).contains("bjectives met"));
    assert_eq!((&unknown.json()["outcome"], &unknown.json()["met"]), (&"not measured".into(), &false.into()));
    // What is not met weighs more.
    assert_eq!(report(0, &asked, Verdict { lost: 1, ..Verdict::default() }).exit_code(), 1);
}

#[test]
fn a_lag_that_nobody_could_look_at_is_not_measured_and_one_that_stayed_is_not_met() {
    let asked = Objectives { lag_zero_s: Some(10.0), ..Objectives::default() };
    let early = [(0.5, 10), (1.9, 4_000)];
    let unseen = report_of(measured(0, &early), &asked, Verdict::default());
    assert_eq!((met(&unseen, "lag back to zero"), unseen.exit_code()), (None, 2), "{}", unseen.text());
    let mut stayed = measured(0, &[(0.5, 10), (2.5, 3_000), (60.0, 3_000)]);
    stayed.2.drained = false;
    let stayed = report_of(stayed, &asked, Verdict::default());
    assert_eq!((met(&stayed, "lag back to zero"), stayed.exit_code()), (Some(false), 1));
    assert!(stayed.text().contains("lag back to zero: at most 10 s (never)"), "{}", stayed.text());
}

#[test]
fn a_page_says_the_verdict_first_and_keeps_foreign_text_from_being_markup() {
    let page = html::write(&report(0, &Objectives::default(), Verdict::default()));
    let (verdict, asked) = (page.find("Objectives met"), page.find("What was asked"));
    assert!(verdict.is_some() && verdict < asked);
    assert!(page.contains("two &lt;cores&gt;") && !page.contains("two <cores>"));
    assert!(page.contains("Storm members are exact copies"));
    assert_eq!(text::group(1_234_567), "1,234,567");
}
