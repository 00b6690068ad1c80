//! What ships for operators: alert rules with runbooks and tests, and a dashboard, all of metrics that exist.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use triaged::admin::metrics::{CATALOGUE, Family, Type};

/// Words of PromQL that are neither metrics nor labels.
const WORDS: &[&str] = &[
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "up",
];

/// Where the package installs the pages: what every link to a runbook begins with.
const INSTALLED: &str = "file:///usr/share/doc/triaged/";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The alerts by name: the rule as it stands in the file.
fn alerts() -> BTreeMap<String, Value> {
    let rules = yaml("deploy/prometheus/triaged.rules.yml");
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().clone());
    rules.map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule)).collect()
}

/// Every query of the dashboard with its panel's title; variables replaced by something of their kind.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/triaged.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
            let uid = &target["datasource"]["uid"];
            assert_eq!(uid, "${datasource}", "every panel asks the source that is chosen: {panel}");
            found.push((panel["title"].as_str().unwrap().to_owned(), expr));
        }
    }
    found
}

/// Runs promtool; `None`, said loudly, where there is none.
fn promtool(words: &[&str], folder: &Path) -> Option<(bool, String)> {
    let Ok(output) = Command::new("promtool").args(words).current_dir(folder).output() else {
        println!("SKIPPED: promtool is not here; scripts/setup installs it (Debian: prometheus)");
        return None;
    };
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Some((output.status.success(), text))
}

/// The names that a PromQL expression uses: metrics, and labels in matchers and groupings. Functions, words,
/// strings and numbers are left out.
#[derive(Debug, Default)]
struct Names {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Names {
    fn of(expr: &str) -> Names {
        let mut names = Names::default();
        let mut rest = expr;
        let (mut in_braces, mut in_range, mut grouping) = (false, false, false);
        while let Some(letter) = rest.chars().next() {
            let length = match letter {
                '"' => rest[1..].find('"').expect("a string ends") + 2,
                letter if letter.is_ascii_alphanumeric() || letter == '_' => {
                    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:.".contains(c)));
                    let word = &rest[..end.unwrap_or(rest.len())];
                    let after = rest[word.len()..].trim_start();
                    if word.starts_with(|c: char| c.is_ascii_digit()) || in_range {
                    } else if in_braces || grouping {
                        names.labels.insert(word.to_owned());
                    } else if matches!(word, "by" | "without" | "on" | "ignoring") {
                        grouping = true;
                    } else if !WORDS.contains(&word)
                        && !["(", "by ", "without "].iter().any(|c| after.starts_with(c))
                    {
                        names.metrics.insert(word.to_owned());
                    }
                    word.len()
                }
                _ => {
                    match letter {
                        '{' => in_braces = true,
                        '}' => in_braces = false,
                        '[' => in_range = true,
                        ']' => in_range = false,
                        ')' => grouping = false,
                        _ => {}
                    }
                    letter.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        names
    }
}

/// The family of a series' name; a histogram has three kinds of series.
fn family(name: &str) -> Option<(&'static Family, &'static [&'static str])> {
    let own = CATALOGUE.iter().find(|family| family.name == name && family.kind != Type::Histogram);
    let part = |suffix: &str| {
        let base = name.strip_suffix(suffix)?;
        CATALOGUE.iter().find(|family| family.name == base && family.kind == Type::Histogram)
    };
    own.or_else(|| part("_sum"))
        .or_else(|| part("_count"))
        .map(|family| (family, &[][..]))
        .or_else(|| part("_bucket").map(|family| (family, &["le"][..])))
}

/// Fails unless every metric exists and has the labels that the expression asks of it.
fn check_names(place: &str, expr: &str) {
    let names = Names::of(expr);
    let mut labels = BTreeSet::from(["job", "instance"]);
    for metric in &names.metrics {
        let (family, more) =
            family(metric).unwrap_or_else(|| panic!("{place}: there is no metric `{metric}`"));
        labels.extend(family.labels.iter().chain(more));
    }
    for label in &names.labels {
        assert!(
            labels.contains(label.as_str()),
            "{place}: none of {:?} has a label `{label}`",
            names.metrics
        );
    }
}

#[test]
fn the_reader_of_queries_finds_every_name_and_nothing_else() {
    let expr = r#"histogram_quantile(0.99, sum by (le, job) (rate(a_bucket{x="b c{", y=~"d"}[5m:1m]))) > 1e3 and on (q) up{z!="1"} / time()"#;
    let names = Names::of(expr);
    assert_eq!(names.metrics.into_iter().collect::<Vec<_>>(), ["a_bucket"]);
    assert_eq!(names.labels.into_iter().collect::<Vec<_>>(), ["job", "le", "q", "x", "y", "z"]);
    for wrong in [
        "triaged_input_record_total",
        "triaged_queue_depth{desk=\"a\"}",
        "triaged_end_to_end_latency_seconds",
    ] {
        assert!(std::panic::catch_unwind(|| check_names("a planted mistake", wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn every_alert_tells_what_is_wrong_how_bad_it_is_and_where_its_runbook_is() {
    let runbooks = read("docs/runbooks.md");
    let sections: BTreeMap<&str, &str> =
        runbooks.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let alerts = alerts();
    assert!(alerts.len() >= 12);
    for (name, alert) in &alerts {
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let summary = alert["annotations"]["summary"].as_str().unwrap();
        assert!((20..140).contains(&summary.len()) && !summary.ends_with('.'), "{name}: {summary}");
        assert!(alert["annotations"]["description"].as_str().unwrap().ends_with('.'), "{name}");
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(url, format!("{INSTALLED}runbooks.md#{}", name.to_lowercase()), "{name}");
        let section = sections.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no runbook"));
        for part in ["**What it means.**", "**What to look at.**", "**What to do.**", "**What not to do.**"] {
            assert!(section.contains(part), "{name} lacks {part}");
        }
        assert!(
            section.contains(&format!("Severity: {severity}.")),
            "{name} has another severity in its runbook"
        );
        check_names(name, alert["expr"].as_str().unwrap());
    }
    for section in sections.keys() {
        assert!(alerts.contains_key(*section), "the runbook `{section}` is for no alert");
    }
    for (at, _) in runbooks.match_indices("](#") {
        let anchor = runbooks[at + 3..].split(')').next().unwrap();
        assert!(
            sections.keys().any(|name| name.to_lowercase() == anchor),
            "runbooks: `#{anchor}` leads nowhere"
        );
    }
}

#[test]
fn one_line_of_the_page_on_monitoring_leads_every_runbook_link_to_a_wiki() {
    let page = read("docs/monitoring.md");
    let line = page.lines().find(|line| line.starts_with("sed -i ")).expect("the line is there");
    let folder = tempfile::tempdir().unwrap();
    for file in ["triaged.rules.yml", "tests.yml"] {
        std::fs::copy(root("deploy/prometheus").join(file), folder.path().join(file)).unwrap();
    }
    let output = Command::new("sh").args(["-c", line]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["triaged.rules.yml", "tests.yml"] {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(!text.contains(INSTALLED), "{file} still has links to the package's pages");
        assert!(text.contains("https://wiki.example/triaged/runbooks.md#triageddown"), "{file}");
    }
}

#[test]
fn runbooks_name_only_verbs_that_the_program_has() {
    let runbooks = read("docs/runbooks.md");
    let mut asked = BTreeSet::new();
    for line in runbooks.lines().filter(|line| line.starts_with("triaged ")) {
        let words: Vec<&str> =
            line.split_whitespace().skip(1).take_while(|word| !word.starts_with('-')).collect();
        asked.insert(words.join(" "));
    }
    assert!(asked.contains("ctl status") && asked.contains("audit"), "{asked:?}");
    for words in asked {
        let output = Command::new(env!("CARGO_BIN_EXE_triaged"))
            .args(words.split(' '))
            .arg("--help")
            .output()
            .unwrap();
        assert!(output.status.success(), "`triaged {words}`: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_alert_is_tested_firing_and_silent() {
    let tests = yaml("deploy/prometheus/tests.yml");
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for test in tests["tests"].as_array().unwrap() {
        for expected in test["alert_rule_test"].as_array().unwrap() {
            let name = expected["alertname"].as_str().unwrap().to_owned();
            let none = expected["exp_alerts"].as_array().unwrap().is_empty();
            if none {
                silent.insert(name)
            } else {
                fires.insert(name)
            };
        }
    }
    let all: BTreeSet<String> = alerts().into_keys().collect();
    assert_eq!((&fires, &silent), (&all, &all), "each alert once firing and once silent");
}

#[test]
fn promtool_takes_the_rules_and_every_test_of_them_passes() {
    let folder = root("deploy/prometheus");
    let Some((right, text)) = promtool(&["check", "rules", "--lint=all", "triaged.rules.yml"], &folder)
    else {
        return;
    };
    assert!(right, "{text}");
    println!("{}", text.trim());
    let (right, text) = promtool(&["test", "rules", "tests.yml"], &folder).unwrap();
    assert!(right && text.contains("SUCCESS"), "{text}");
    println!("{}", text.trim());
}

#[test]
fn the_dashboard_asks_only_for_metrics_that_exist_and_every_query_parses() {
    let queries = queries();
    assert!(queries.len() > 20, "{} queries", queries.len());
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let mut known = BTreeSet::new();
    for (index, (title, expr)) in queries.iter().enumerate() {
        check_names(title, expr);
        known.extend(Names::of(expr).metrics);
        let quoted = serde_json::to_string(expr).unwrap();
        rules += &format!("  - record: panel:{index}\n    expr: {quoted}\n");
    }
    println!("{} queries of {} series", queries.len(), known.len());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dashboard.yml"), rules).unwrap();
    let Some((right, text)) = promtool(&["check", "rules", "dashboard.yml"], folder.path()) else { return };
    assert!(right && text.contains(&format!("{} rules found", queries.len())), "{text}");
}

#[test]
fn the_dashboard_lets_people_choose_source_job_and_instance_and_no_panel_lies_on_another() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/triaged.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "job", "instance"]);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "panels have ids of their own");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "`{}` lies on another", panel["title"]);
            }
        }
        let row = panel["type"] == "row";
        assert!(row || !panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
    }
}
