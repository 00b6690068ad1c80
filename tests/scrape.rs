//! What Prometheus sees of a daemon at work on a real broker: numbers that add up on every scrape, and no complaint.

#![allow(clippy::unwrap_used)]

mod common;

use common::program::{Fleet, Process, mention};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::net::UnixStream;
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

    // The manual's own command, on this daemon's socket.
    let manual = include_str!("../docs/monitoring.md");
    let command = manual.lines().find(|line| line.starts_with("curl ")).unwrap();
    let command = command.replace("/run/triaged/admin.sock", &daemon.socket().display().to_string());
    let curl = Command::new("sh").arg("-c").arg(&command).output().unwrap();
    assert!(String::from_utf8_lossy(&curl.stdout).contains("triaged_build_info"), "{command}: {curl:?}");

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

#[test]
fn mentions_reach_their_desks_while_slow_clients_and_a_lack_of_descriptors_hold_the_admin_server() {
    use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
    let fleet = Fleet::new("held");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let texts = ["my bill is wrong", "the app crashes", "my internet is down"];
    let some = |from: u64| {
        (from..from + 1_000).map(|n| mention(n, texts[n as usize % texts.len()])).collect::<Vec<_>>()
    };
    // Every connection that the stream itself needs is there after this.
    fleet.send(&some(0));
    let known = fleet.wait_for_assignments(1_000).len();

    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid().as_raw_pid())).unwrap();
    let open: BTreeSet<u64> =
        open.map(|fd| fd.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    // The limit is on numbers, not on how many: below this one four are free.
    let limit = (0..).filter(|fd| !open.contains(fd)).nth(4).unwrap();
    let before = getrlimit(Resource::Nofile);
    let tight = Rlimit { current: Some(limit), maximum: before.maximum };
    prlimit(Some(daemon.pid()), Resource::Nofile, tight).unwrap();
    let mut slow: Vec<UnixStream> = (0..50).map(|_| UnixStream::connect(daemon.socket()).unwrap()).collect();
    for client in &mut slow {
        // The first of them are taken and wait for the rest of the head; for the others there is no descriptor.
        let _ = client.write_all(b"GET /metrics HT");
    }
    fleet.send(&some(1_000));
    fleet.wait_for_assignments(known + 1_000);
    prlimit(Some(daemon.pid()), Resource::Nofile, before).unwrap();
    drop(slow);
    let scrape = Scrape::take(&daemon);
    let refused = scrape.get("triaged_admin_refused_requests_total{reason=\"accept\"}");
    assert!(refused >= 1.0, "the server ran out of descriptors");
    let settled = scrape.sum("triaged_settled_records_total");
    assert_eq!(scrape.read(&fleet.input()), settled + scrape.get("triaged_inflight_records"));
    println!(
        "2000 mentions came out; the admin server was refused a descriptor {refused} times and answers again"
    );
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    fleet.audit_finds_nothing();
}
