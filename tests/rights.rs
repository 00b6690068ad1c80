//! The daemon on a broker that grants nothing by itself: TLS, a password, and exactly the rights that it prints.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/secure.rs"]
mod secure;

use common::kafka;
use common::program::{Fleet, Process, mention};
use secure::{Right, Rights, Secure, broker};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use triaged::log::{Logs, Outgoing, ReadStep, TopicPartition};

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A fleet that runs as `triaged`, with topics made by `admin`, and no right yet.
fn fleet(name: &str) -> (Fleet, &'static Secure) {
    let broker = broker();
    let desk = "\n[desk]\nsnapshot_interval = \"1s\"\ntick_interval = \"100ms\"";
    let reach = format!("{}{desk}", broker.reach("triaged"));
    let fleet = Fleet::reached(name, &broker.bootstrap, broker.cluster("admin"), reach);
    let config = fs::read_to_string(fleet.path("one.toml")).unwrap();
    let admin = config.replace(&broker.reach("triaged"), &broker.reach("admin"));
    assert_ne!(admin, config);
    fs::write(fleet.path("admin.toml"), admin).unwrap();
    let words = ["topics", "--create", "--partitions", "3", "--desk-partitions", "4"];
    let (code, text) = fleet.triaged_with("admin.toml", &words);
    assert_eq!(code, Some(0), "{text}");
    (fleet, broker)
}

/// The rights that `triaged topics --acl` prints.
fn printed(fleet: &Fleet, acl: &str) -> Vec<Right> {
    let (code, text) = fleet.triaged(&["topics", acl, "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    let mut rights = Vec::new();
    for right in json["rights"].as_array().unwrap() {
        let (kind, name) = (right["resource"].as_str().unwrap(), right["name"].as_str().unwrap());
        for operation in right["operations"].as_array().unwrap() {
            rights.push(Right::new(kind, name, operation.as_str().unwrap()));
        }
    }
    rights
}

fn until(what: &str, daemon: &Process, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the daemon's log, from `from` on, has a line with all of these words.
fn until_said(daemon: &Process, from: usize, words: &[&str]) {
    until(&format!("it says {words:?}"), daemon, || {
        daemon.log()[from..].lines().any(|line| words.iter().all(|word| line.contains(word)))
    });
}

/// Every value of a topic.
fn values(fleet: &Fleet, topic: &str, partitions: u32) -> Vec<Value> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        let place = TopicPartition::new(topic, partition);
        let mut reader = fleet.logs().reader(&[(place, 0)]).unwrap();
        loop {
            match reader.read(Duration::from_millis(100)).unwrap() {
                ReadStep::Nothing => {}
                ReadStep::End(..) => break,
                ReadStep::Records(records) => {
                    all.extend(
                        records.iter().filter_map(|it| serde_json::from_slice::<Value>(it.value?).ok()),
                    );
                }
            }
        }
    }
    all
}

fn send(fleet: &Fleet, topic: &str, value: &str) {
    let mut producer = fleet.logs().producer("test").unwrap();
    let mut batch = Outgoing::default();
    batch.push(None, Some(value.as_bytes()));
    kafka::send(producer.as_mut(), &TopicPartition::new(topic, 0), &batch);
}

fn bills(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| mention(number, "my bill is wrong, please explain")).collect()
}

#[test]
fn the_daemon_does_all_its_work_with_the_rights_as_they_are_printed() {
    let (fleet, broker) = fleet("rights");
    let (code, text) = fleet.triaged(&["topics"]);
    assert_eq!(code, Some(77), "without rights nothing is told: {text}");
    assert!(text.contains("triaged topics --acl"), "{text}");

    broker.write_kafka_acls(&fleet.path(""));
    let (code, lines) =
        fleet.triaged(&["topics", "--acl", "--command-config", &broker.file("admin.properties")]);
    assert_eq!(code, Some(0), "{lines}");
    let path = format!("{}:{}", fleet.path("").display(), std::env::var("PATH").unwrap());
    let pasted = Command::new("sh").args(["-ec", &lines]).env("PATH", path).output().unwrap();
    assert!(pasted.status.success(), "{}", String::from_utf8_lossy(&pasted.stderr));
    let (code, text) = fleet.triaged(&["check", "--live"]);
    assert_eq!(code, Some(0), "{text}");

    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let mut sent = bills(0..200);
    sent.push("{\"mention_id\": 7".to_owned());
    fleet.send(&sent);
    fleet.wait_for_assignments(200);
    let topics = (fleet.desk_topic("care"), fleet.named("alerts"));
    let case = values(&fleet, &topics.0, 3)[0]["case_id"].as_str().unwrap().to_owned();
    let event =
        format!(r#"{{"type":"case.resolved","source":"/helpdesk","id":"e1","case_id":"{case}","by":"ag"}}"#);
    send(&fleet, &fleet.named("helpdesk"), &event);
    until("the helpdesk's event is applied", &daemon, || {
        let scrape = daemon.metrics();
        scrape.lines().any(|line| line == "triaged_helpdesk_events_total{disposition=\"applied\"} 1")
    });
    assert_eq!(values(&fleet, &fleet.named("dead"), 1).len(), 1, "the broken mention");
    fleet.write_rule("[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"noise\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(0), "{text}");
    until("a snapshot is written", &daemon, || {
        fleet.logs().bounds(&TopicPartition::new(&fleet.named("snapshots"), 0)).unwrap().1 > 0
    });

    // A right on an output is taken away and given back while mentions come in.
    let mut rights = Rights::of(broker);
    let write = Right::new("topic", &topics.0, "Write");
    let said = daemon.log().len();
    rights.take(&write);
    fleet.send(&bills(200..400));
    until_said(&daemon, said, &["does not take our records", &topics.0]);
    until("an alert names the topic", &daemon, || {
        let alerts = values(&fleet, &topics.1, 1);
        alerts.iter().any(|it| it["type"] == "output.refused" && it["details"]["output"] == topics.0.as_str())
    });
    let (code, text) = fleet.triaged(&["check", "--live"]);
    assert_eq!(code, Some(77), "{text}");
    assert!(
        text.contains(&format!("topic `{}` is not shown to `User:triaged`, who needs Write", topics.0)),
        "{text}"
    );
    rights.grant(&write);
    fleet.wait_for_assignments(400);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    let mut again = fleet.start("one");
    again.is_ready();
    fleet.send(&bills(400..500));
    let found = fleet.wait_for_assignments(500);
    assert_eq!(found.len(), 500, "nothing is lost, nothing made up");
    no_secret_is_told(&fleet, &again, &broker.password("triaged"));
    assert_eq!(again.terminate(), Some(0), "{}", again.log());
    audits_with_its_own_rights(&fleet, &mut rights);
}

/// The password is in nothing that anybody may read.
fn no_secret_is_told(fleet: &Fleet, daemon: &Process, password: &str) {
    assert!(password.len() >= 32);
    let config = fs::read_to_string(fleet.path("one.toml")).unwrap();
    let told =
        [daemon.log(), daemon.metrics(), daemon.status().to_string(), fleet.triaged(&["check"]).1, config];
    for text in told {
        assert!(!text.is_empty() && !text.contains(password), "{text}");
    }
}

fn audits_with_its_own_rights(fleet: &Fleet, rights: &mut Rights) {
    let (running, audit) = (printed(fleet, "--acl"), printed(fleet, "--acl=audit"));
    for right in running {
        rights.take(&right);
    }
    let (code, text) = fleet.triaged(&["audit"]);
    assert!(code != Some(0) && text.contains("may not see"), "it has no rights: {text}");
    for right in &audit {
        rights.grant(right);
    }
    fleet.audit_finds_nothing();
    for right in &audit {
        rights.take(right);
    }
    let release = printed(fleet, "--acl=release");
    for right in &release {
        rights.grant(right);
    }
    let (code, text) = fleet.triaged(&["release", "--rule", "job-ads", "--dry-run"]);
    assert_eq!(code, Some(0), "a release counts with its own rights: {text}");
    for right in &release {
        rights.take(right);
    }
}

/// Every right that `check --live` says is missing.
fn named_as_missing(fleet: &Fleet) -> (Option<i32>, BTreeSet<(String, String)>) {
    let (code, text) = fleet.triaged(&["check", "--live", "--json"]);
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(
        json["findings"].is_array() && json["verdict"] != "cannot_start",
        "check's own findings stand beside: {json}"
    );
    let found = json["live"]["findings"].as_array().unwrap();
    let findings = found.iter().filter(|it| it["severity"] == "right");
    let mut named = BTreeSet::new();
    for finding in findings {
        for operation in finding["missing"].as_array().unwrap() {
            named.insert((
                finding["about"].as_str().unwrap().to_owned(),
                operation.as_str().unwrap().to_owned(),
            ));
        }
    }
    (code, named)
}

#[test]
fn of_every_right_that_is_printed_something_named_fails_without_it() {
    let (fleet, broker) = fleet("least");
    let mut rights = Rights::of(broker);
    let all = printed(&fleet, "--acl");
    all.iter().for_each(|right| rights.grant(right));
    assert_eq!(named_as_missing(&fleet), (Some(0), BTreeSet::new()));
    for operation in all.iter().map(|right| right.operation.clone()).collect::<BTreeSet<_>>() {
        let gone: Vec<&Right> = all.iter().filter(|right| right.operation == operation).collect();
        gone.iter().for_each(|right| rights.take(right));
        let (code, named) = named_as_missing(&fleet);
        assert_eq!(code, Some(77));
        for right in &gone {
            assert!(named.contains(&(right.name.clone(), operation.clone())), "{right:?}: {named:?}");
        }
        // Without Read a topic may not even be described, so that more is missing of it, but of no other.
        assert!(named.iter().all(|(name, _)| gone.iter().any(|right| right.name == *name)), "{named:?}");
        gone.iter().for_each(|right| rights.grant(right));
    }

    outputs_are_refused_by_name(&fleet, &mut rights);
    let mut proven: BTreeSet<Right> = WRITTEN.iter().map(|name| right_on(&fleet, name, "Write")).collect();
    for right in all.iter().filter(|right| right.operation == "Read") {
        rights.take(right);
        starts_in_vain(&fleet, &right.name);
        rights.grant(right);
        proven.insert(right.clone());
    }
    for right in all.iter().filter(|right| right.operation == "DescribeConfigs") {
        rights.take(right);
        let (code, text) = fleet.triaged(&["topics"]);
        assert!(code == Some(77) && text.contains(&right.name), "{right:?}: {text}");
        rights.grant(right);
        proven.insert(right.clone());
    }
    // What the daemon deletes is a week old: here its own client asks for the same.
    let delete = right_on(&fleet, "desks", "Delete");
    let (logs, place) = (broker.cluster("triaged"), TopicPartition::new(&fleet.named("desks"), 0));
    logs.trim(&place, 1).unwrap();
    rights.take(&delete);
    // The broker may answer once or twice more by the rights that it had.
    let refused = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        logs.trim(&place, 2).err()
    });
    assert!(refused.is_some_and(|why| why.to_string().contains("not allowed")));
    proven.insert(delete);
    let unproven: Vec<&Right> = all.iter().filter(|right| !proven.contains(right)).collect();
    // No mention of the test goes to these desks; their topic is like the first one's.
    assert!(
        unproven
            .iter()
            .all(|right| [".air", ".press", ".tech"].iter().any(|desk| right.name.ends_with(desk))),
        "{unproven:?}"
    );
    all.iter().filter(|right| right.operation != "Delete").for_each(|right| rights.take(right));
}

/// The topics that the daemon is made to write to, one after the other.
const WRITTEN: [&str; 8] =
    ["ledger.", "desks", "dead", "assignments.care", "alerts", "snapshots", "policies", "control"];

fn right_on(fleet: &Fleet, name: &str, operation: &str) -> Right {
    let name = if name == "ledger." { format!("ledger.{}", fleet.input()) } else { name.to_owned() };
    Right::new("topic", &fleet.named(&name), operation)
}

/// A running daemon says which topic it may not write to, and goes on once it may.
fn outputs_are_refused_by_name(fleet: &Fleet, rights: &mut Rights) {
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    fleet.send(&bills(0..9));
    fleet.wait_for_assignments(9);
    let mut numbers = 10..;
    for name in WRITTEN {
        let right = right_on(fleet, name, "Write");
        let said = daemon.log().len();
        rights.take(&right);
        match name {
            "policies" | "control" => {
                let rule = format!("[[rule]]\nname = \"{name}\"\nquery = \"{name}\"\naction = \"noise\"\n");
                fleet.write_rule(&rule);
                let (code, text) = daemon.ctl(&["policy", "reload"]);
                assert_ne!(code, Some(0), "{text}");
                assert!(text.contains(&right.name), "{text}");
            }
            "dead" => fleet.send(&[format!("{{\"broken\": {}", numbers.next().unwrap())]),
            // An alert is written when another topic refuses.
            "alerts" => {
                let other = right_on(fleet, "dead", "Write");
                rights.take(&other);
                fleet.send(&[format!("{{\"broken\": {}", numbers.next().unwrap())]);
                until_said(&daemon, said, &[&right.name]);
                rights.grant(&other);
            }
            _ => fleet.send(&[mention(numbers.next().unwrap(), "my bill is wrong")]),
        }
        if !["policies", "control"].contains(&name) {
            until_said(&daemon, said, &[&right.name]);
        }
        rights.grant(&right);
    }
    fleet.send(&[mention(9_999, "my bill is wrong")]);
    until("the last mention is assigned", &daemon, || fleet.assignments().contains_key("x:9999"));
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
}

/// A daemon that lacks a right to read says on what, whether it waits or ends.
fn starts_in_vain(fleet: &Fleet, name: &str) {
    let from = Process::log_of(fleet, "one").len();
    let mut daemon = fleet.start("one");
    until_said(&daemon, from, &[name, "uthorization failed"]);
    daemon.kill();
}

#[test]
fn a_connection_that_fails_is_explained_in_a_sentence() {
    let broker = broker();
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("password");
    fs::write(&bad, "not-the-password\n").unwrap();
    let other = folder.path().join("other.pem");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=another authority",
            "-keyout",
            "/dev/null",
        ])
        .arg("-out")
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let good = format!("[kafka]\nbootstrap = \"{}\"\n{}", broker.bootstrap, broker.reach("triaged"));
    let address = broker.bootstrap.as_str();
    let port: u16 = broker.port.parse().unwrap();
    let plain = format!("[kafka]\nbootstrap = \"{address}\"\n");
    let cases = [
        (
            good.replace(&broker.file("triaged.password"), &bad.display().to_string()),
            77,
            "does not take the user's name or password",
        ),
        (good.replace("\"triaged\"", "\"nobody\""), 77, "does not take the user's name or password"),
        (
            good.replace(&broker.file("ca.pem"), &other.display().to_string()),
            78,
            "an authority that is not trusted here",
        ),
        (good.replace(address, &format!("localhost:{port}")), 78, "not made out to the name or address"),
        (good.replace(address, &format!("127.0.0.1:{}", port + 1)), 78, "its port is likely a plaintext one"),
        (plain, 78, "its port is likely a TLS one"),
        (good.replace("SCRAM-SHA-512", "PLAIN"), 78, "does not offer this `sasl.mechanism`"),
        (good.replace(address, "127.0.0.1:1"), 69, "nobody listens there"),
        (good.replace(&broker.file("ca.pem"), "/nowhere.pem"), 78, "`/nowhere.pem` cannot be read"),
    ];
    let policy = concat!("[policy]\nfolder = \"", env!("CARGO_MANIFEST_DIR"), "/config/policy\"\n");
    for (config, code, words) in cases {
        let file = folder.path().join("triaged.toml");
        fs::write(&file, format!("{config}\n{policy}")).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_triaged"));
        let answer = check.args(["check", "--live", "--config"]).arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(code), "{config}\n{text}");
        assert!(
            text.contains(words) && (text.contains("hint: ") || text.contains("\n    = ")),
            "{config}\n{text}"
        );
        assert!(!text.contains("not-the-password") && !text.contains(&broker.password("triaged")), "{text}");
    }
}
