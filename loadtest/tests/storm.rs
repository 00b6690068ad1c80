//! The load tester as its users run it: against the real daemon on a real broker, sound and with bugs planted.

mod common;

use common::faulty::Bug;
use common::{Buggy, Said, bootstrap, daemon, stage, storm, unheard};
use serde_json::Value;
use std::path::Path;

/// Runs the patient smoke scenario against a daemon with a bug; what was found, and how often the bug struck.
fn against(bug: Bug) -> (Said, Value, u64) {
    let (folder, scenario) = stage();
    let buggy = Buggy::start(folder.path(), bug);
    let report = folder.path().join("report").display().to_string();
    let said = storm(&["run", &scenario, "--config", &buggy.config, "--report", &report, "--json"]);
    let struck = buggy.struck();
    buggy.end();
    let verdict = said.json()["verdict"].clone();
    let again = storm(&["judge", &report, "--json"]);
    assert_eq!(again.code, said.code, "{}", again.err);
    assert_eq!(again.json()["verdict"], verdict, "the topics say the same again");
    assert_eq!(unheard(&["judge", &report]), said.code, "a verdict that nobody reads is the same");
    println!("{bug:?}: struck {struck} times; {verdict}");
    (said, verdict, struck)
}

fn counts(verdict: &Value) -> [u64; 4] {
    ["lost", "doubled", "misrouted", "misjudged"].map(|name| verdict[name].as_u64().expect("a number"))
}

#[test]
fn a_sound_daemon_passes_the_smoke_scenario_and_leaves_a_report_that_can_be_judged_again() {
    let (folder, scenario) = stage();
    let report = folder.path().join("report");
    let shown = report.display().to_string();
    let program = daemon().display().to_string();
    let said =
        storm(&["run", &scenario, "--bootstrap", bootstrap(), "--daemon", &program, "--report", &shown]);
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    assert!(said.out.starts_with("objectives met"), "{}", said.out);
    println!("{}", said.out);
    assert!(said.out.contains("\n  ok         lag back to zero: at most 240 s ("), "{}", said.out);

    let json: Value =
        serde_json::from_slice(&std::fs::read(report.join("report.json")).expect("JSON is left"))
            .expect("it is JSON");
    assert_eq!(counts(&json["verdict"]), [0; 4]);
    let (sent, verdict) = (&json["sent"], &json["verdict"]);
    for name in ["queued", "noise", "duplicate", "dead_letter"] {
        assert!(sent["by_disposition"][name].as_u64() > Some(10), "{name}: {sent}");
        assert_eq!(verdict["dispositions"][name]["right"], sent["by_disposition"][name], "{name}");
    }
    assert_eq!(json["measured"]["came_out"], sent["by_disposition"]["queued"], "every one was measured");
    assert!(json["measured"]["rss_max_mib"].as_f64() > Some(1.0), "its own daemon is measured");
    let page = std::fs::read_to_string(report.join("report.html")).expect("a page is left");
    assert_eq!(page.matches("<svg").count(), 5, "the curves are part of the page");
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "it needs nothing else");
    assert!(report.join("latency.hgrm").exists());

    let again = storm(&["judge", &shown, "--json"]);
    assert_eq!(again.code, Some(0), "{}\n{}", again.out, again.err);
    assert_eq!(again.json()["verdict"], json["verdict"], "the topics say the same again");
}

#[test]
fn a_daemon_that_loses_mentions_is_found_out_and_each_is_named() {
    let (said, verdict, struck) = against(Bug::Loses);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(struck > 3);
    assert_eq!(counts(&verdict), [struck, 0, 0, 0]);
    let examples = verdict["examples"].as_array().expect("examples");
    assert_eq!(examples.len() as u64, struck.min(20));
    let first = examples[0].as_str().expect("a sentence");
    assert!(first.contains("lost: record ") && first.contains("no desk got it"), "{first}");
}

#[test]
fn a_daemon_that_writes_assignments_twice_is_found_out() {
    let (said, verdict, struck) = against(Bug::Doubles);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(struck > 3);
    assert_eq!(counts(&verdict), [0, struck, 0, 0]);
}

#[test]
fn a_daemon_that_sends_mentions_to_another_desk_is_found_out() {
    let (said, verdict, struck) = against(Bug::Misroutes);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(struck > 3);
    assert_eq!(counts(&verdict), [0, 0, struck, 0]);
}

#[test]
fn a_daemon_that_buries_what_it_cannot_read_is_found_out() {
    let (said, verdict, struck) = against(Bug::Buries);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(struck > 1);
    assert_eq!(counts(&verdict), [struck, 0, 0, 0]);
}

#[test]
fn percentiles_of_a_schedule_that_was_not_kept_are_not_shown() {
    let (folder, scenario) = stage();
    // Records wait for the end of their millisecond, so each slips further than this.
    let text = std::fs::read_to_string(&scenario).expect("the scenario");
    let strict = folder.path().join("strict.toml");
    std::fs::write(&strict, text.replace("slip_ms = 600_000", "slip_ms = 0.001\np99_ms = 60_000"))
        .expect("written");
    let buggy = Buggy::start(folder.path(), Bug::None);
    let report = folder.path().join("report").display().to_string();
    let words = ["run", &strict.display().to_string(), "--config", &buggy.config, "--report", &report];
    let said = storm(&words);
    buggy.end();
    assert_eq!(said.code, Some(75), "{}\n{}", said.out, said.err);
    assert!(said.out.contains("latency    not shown:"), "{}", said.out);
    let json = std::fs::read(folder.path().join("report/report.json")).expect("JSON is left");
    let json: Value = serde_json::from_slice(&json).expect("it is JSON");
    assert_eq!(json["measured"]["latency"], Value::Null);
    assert_eq!(json["measured"]["latency_by_second"], serde_json::json!([]));
    let p99 = json["objectives"].as_array().expect("a list").iter().find(|objective| {
        objective["objective"].as_str().is_some_and(|text| text.starts_with("latency p99"))
    });
    assert_eq!(p99.expect("it is listed")["met"], Value::Null, "what was not measured is not judged");
    assert!(!Path::new(&report).join("latency.hgrm").exists());
}

#[test]
fn a_daemon_under_another_policy_is_no_daemon_to_judge() {
    let (folder, scenario) = stage();
    let buggy = Buggy::start(folder.path(), Bug::None);
    let other = folder.path().join("other");
    triaged::demo::write_policy(&other).expect("a policy");
    std::fs::remove_file(other.join("rules/off-topic.toml")).expect("one rule less");
    let text = std::fs::read_to_string(&scenario).expect("the scenario");
    let tagged = text.replace("noise = 0.50", "noise = 0.0").replace("queued = 0.30", "queued = 0.80");
    std::fs::write(&scenario, tagged).expect("written");
    let report = folder.path().join("report").display().to_string();
    let policy = other.display().to_string();
    let said =
        storm(&["run", &scenario, "--config", &buggy.config, "--policy", &policy, "--report", &report]);
    buggy.end();
    assert_eq!(said.code, Some(78), "{}\n{}", said.out, said.err);
    assert!(said.err.contains("under another policy"), "{}", said.err);
}

#[test]
fn every_help_page_reads_as_it_is_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut stale = Vec::new();
    for verb in ["", "run", "plan", "judge", "scenarios"] {
        let words: Vec<&str> = [verb, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let said = storm(&words);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{verb}");
        let name = format!("triaged-storm-{verb}");
        let file = folder.join(format!("{}.txt", name.trim_end_matches('-')));
        if std::env::var_os("UPDATE_HELP").is_some() {
            std::fs::create_dir_all(&folder).expect("the folder is made");
            std::fs::write(&file, &said.out).expect("the page is written");
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != said.out {
            stale.push(format!("{name} says now:\n{}", said.out));
        }
    }
    assert!(
        stale.is_empty(),
        "{}\nif this is meant: UPDATE_HELP=1 cargo test -p triaged-storm",
        stale.join("\n")
    );
}

#[test]
fn a_process_that_is_not_there_is_refused_before_anything_is_sent() {
    let (folder, scenario) = stage();
    let report = folder.path().join("report");
    let said = storm(&["run", &scenario, "--pid", "4294967295", "--report", &report.display().to_string()]);
    assert_eq!(said.code, Some(69), "{}\n{}", said.out, said.err);
    assert!(said.err.contains("`--pid 4294967295`: no process of this machine"), "{}", said.err);
    assert!(!report.exists(), "nothing was begun");
}

#[test]
fn a_plan_needs_no_broker_and_a_wrong_scenario_says_what_ships() {
    let said = storm(&["plan", "record-second-2013", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let plan = said.json();
    assert_eq!(plan["phases"][1]["records"], 143_199);
    assert_eq!(plan["sends"]["records"], 342_699);
    let said = storm(&["plan", "smoke", "--records", "3"]);
    assert_eq!(
        said.out.lines().filter(|line| line.starts_with("{\"mention_id\":\"x:0.")).count(),
        3,
        "{}",
        said.out
    );

    let said = storm(&["run", "no-such-scenario"]);
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("these ship: smoke, firehose"), "{}", said.err);
    assert_eq!(storm(&["dance"]).code, Some(64));
    assert_eq!(storm(&["judge", "/nowhere"]).code, Some(78));
    let said = storm(&["scenarios"]);
    assert!(said.out.lines().count() >= 5 && said.out.contains("super-bowl-blackout"), "{}", said.out);
}
