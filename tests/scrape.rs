//! What Prometheus sees of a daemon at work on a real broker: numbers that add up on every scrape, and no complaint.

#![allow(clippy::unwrap_used)]

mod common;

use common::program::{Fleet, Process, mention};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// The series of a scrape with their values.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn take(daemon: &Process) -> Scrape {
        let text = daemon.metrics();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| line.rsplit_once(' ').unwrap());
        Scrape(series.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect())
    }

    fn get(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.0.keys()))
    }

    fn sum(&self, family: &str) -> f64 {
        let prefix = format!("{family}{{");
        self.0.iter().filter(|(series, _)| series.starts_with(&prefix)).map(|(_, value)| value).sum()
    }

    fn read(&self, input: &str) -> f64 {
        self.get(&format!("triaged_input_records_total{{topic=\"{input}\"}}"))
    }
}

#[test]
fn every_scrape_under_load_accounts_for_every_mention_also_while_partitions_move() {
    let fleet = Fleet::new("adds-up");
    fleet.create_topics();
    let texts = ["my bill is wrong", "what a nice day", "the app crashes", "my internet is down"];
    let total = 24_000_u64;
    let mut one = fleet.start("one");
    one.is_ready();
    let mut two = None;
    let mut before: BTreeMap<&str, BTreeMap<String, f64>> = BTreeMap::new();
    let (mut scrapes, mut in_flight_seen, mut last) = (0_u32, 0_u32, 0.0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for from in (0..total).step_by(2_000) {
                let some = (from..from + 2_000).map(|n| mention(n, texts[n as usize % texts.len()]));
                fleet.send(&some.collect::<Vec<_>>());
            }
        });
        while scrapes < 300 || last < total as f64 {
            assert!(scrapes < 60_000, "{last} of {total} mentions are settled");
            last = 0.0;
            for (name, daemon) in [("one", Some(&one)), ("two", two.as_ref())] {
                let Some(daemon) = daemon else { continue };
                let scrape = Scrape::take(daemon);
                scrapes += 1;
                let settled = scrape.sum("triaged_settled_records_total");
                let in_flight = scrape.get("triaged_inflight_records");
                let read = scrape.read(&fleet.input());
                assert_eq!(read, settled + in_flight, "scrape {scrapes} of {name}");
                assert_eq!(scrape.get("triaged_end_to_end_latency_seconds_count"), settled);
                in_flight_seen += u32::from(in_flight > 0.0);
                for (series, value) in scrape.0.iter().filter(|(series, _)| series.contains("_total")) {
                    let known = before.get(name).and_then(|known| known.get(series)).copied().unwrap_or(0.0);
                    assert!(*value >= known, "{series} of {name} went back from {known} to {value}");
                }
                before.insert(name, scrape.0);
                last += settled;
            }
            if two.is_none() && last > total as f64 / 4.0 {
                let mut daemon = fleet.start("two");
                daemon.is_ready();
                two = Some(daemon);
            }
        }
    });
    println!("{scrapes} scrapes added up, {in_flight_seen} of them with mentions in flight");
    assert!(in_flight_seen > 0, "no scrape saw the daemon at work");
    let queued = r#"triaged_settled_records_total{disposition="queued"}"#;
    for daemon in [Some(&mut one), two.as_mut()].into_iter().flatten() {
        daemon.wait_until("its readings are as new as its counters", |status| status["ready"] == true);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let scrape = Scrape::take(daemon);
            if scrape.sum("triaged_route_assigned_total") == scrape.get(queued) {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{:#?}", scrape.0);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    }
    fleet.audit_finds_nothing();
}

#[test]
fn promtool_has_nothing_to_say_about_a_live_scrape() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("SKIPPED: promtool is not here; scripts/setup installs it (Debian: prometheus)");
        return;
    }
    let fleet = Fleet::new("promtool");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let sent: Vec<String> = (0..300).map(|n| mention(n, "my bill is wrong, please explain")).collect();
    fleet.send(&sent);
    fleet.wait_for_assignments(300);
    daemon.wait_until("all are settled", |status| status["mentions"]["in_flight"] == 0);
    let heartbeats = |daemon: &Process| {
        let scrape = Scrape::take(daemon);
        let moved = scrape.0.into_iter().filter(|(series, _)| series.contains("heartbeat"));
        moved.collect::<BTreeMap<_, _>>()
    };
    // Readings come once a second.
    let first = heartbeats(&daemon);
    let mut later = heartbeats(&daemon);
    while first.iter().any(|(series, at)| later[series] <= *at) {
        std::thread::sleep(std::time::Duration::from_millis(50));
        later = heartbeats(&daemon);
    }
    assert_eq!(
        later.keys().map(String::as_str).collect::<Vec<_>>(),
        ["desk", "follower", "triage-0", "workers"]
            .map(|name| format!("triaged_heartbeat_timestamp_seconds{{thread=\"{name}\"}}"))
    );

    let scrape = daemon.metrics();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(scrape.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success() && text.is_empty(), "{text}\n{scrape}");
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
}
