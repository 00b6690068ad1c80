//! The daemon as its operators see it: the program itself, its files, its socket, a real broker, signals.

#![allow(clippy::unwrap_used)]

mod common;

use common::kafka;
use common::program::{Fleet, mention};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::policy::Bundle;
use triaged::log::{Logs, NewTopic, Outgoing, TopicPartition};
use triaged::policies::{Follower, Policies, Source};
use triaged::wire::policies;

#[test]
fn mentions_reach_their_desks_once_and_a_second_start_repeats_nothing() {
    let fleet = Fleet::new("routes");
    fleet.create_topics();
    let mut sent: Vec<String> = (0..300).map(|n| mention(n, "my bill is wrong, please explain")).collect();
    sent.extend((0..50).map(|n| mention(n, "my bill is wrong, please explain")));
    sent.push("{\"mention_id\": 7".to_owned());
    fleet.send(&sent);

    let mut daemon = fleet.start("one");
    daemon.is_ready();
    fleet.wait_for_assignments(300);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    let mut again = fleet.start("one");
    again.is_ready();
    fleet.send(&[mention(1_000, "my internet is down")]);
    let ids = fleet.wait_for_assignments(301);
    assert!(ids.iter().all(|(_, times)| *times == 1), "an assignment was written twice: {ids:?}");
    assert_eq!(again.terminate(), Some(0), "{}", again.log());
    fleet.audit_finds_nothing();
}

#[test]
fn after_kill_9_nothing_is_lost_and_nothing_decided_twice() {
    let fleet = Fleet::new("kill");
    fleet.create_topics();
    for round in 0..3_u64 {
        let from = round * 2_000;
        let sent: Vec<String> = (from..from + 2_000).map(|n| mention(n, "no refund for a month")).collect();
        fleet.send(&sent);
        let mut daemon = fleet.start("one");
        daemon.is_ready();
        // Killed in the middle of its work, at another place each time.
        fleet.wait_for_records((from + 200 + 300 * round) as i64);
        daemon.kill();
    }
    let mut last = fleet.start("one");
    last.is_ready();
    let ids = fleet.wait_for_assignments(6_000);
    assert_eq!(ids.len(), 6_000, "each mention opened its case");
    assert_eq!(last.terminate(), Some(0), "{}", last.log());
    fleet.audit_finds_nothing();
}

#[test]
fn a_wrong_configuration_is_told_with_its_place_and_missing_topics_by_name() {
    let fleet = Fleet::new("wrong");
    let (code, text) =
        fleet.run_with("[kafka]\nbootstrap = \"127.0.0.1:1\"\nbootstap = 5\n[limits]\nbuffer_mib = 1\n");
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("wrong.toml:3:1: there is no setting `bootstap`"), "{text}");
    assert!(text.contains("did you mean `bootstrap`?"), "{text}");
    assert!(text.contains("wrong.toml:5:1"), "every mistake at once: {text}");

    let (code, text) = fleet.triaged(&["run"]);
    assert_eq!(code, Some(69), "what is missing is waited for, then named: {text}");
    for name in fleet.topic_names() {
        assert!(text.contains(&format!("topic `{name}` does not exist")), "{name}: {text}");
    }
    assert!(text.contains("triaged topics --create"), "{text}");

    let (code, text) = fleet.triaged(&["ctl", "status"]);
    assert_eq!(code, Some(69), "nobody runs: {text}");
    let (code, _) = fleet.triaged(&["dance"]);
    assert_eq!(code, Some(64));
}

#[test]
fn topics_that_are_missing_are_an_exit_code_and_a_word_for_each() {
    let fleet = Fleet::new("topics");
    let states = |code: i32| -> Vec<(String, String)> {
        let output = fleet.command(&["topics", "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let topics = told["topics"].as_array().unwrap().iter();
        topics.map(|topic| (word(&topic["name"]), word(&topic["state"]))).collect()
    };
    let missing = states(1);
    assert!(missing.iter().all(|(_, state)| state == "missing"), "{missing:?}");
    assert!(fleet.topic_names().iter().all(|name| missing.iter().any(|(of, _)| of == name)), "{missing:?}");
    fleet.create_topics();
    let there = states(0);
    assert!(there.len() == missing.len() && there.iter().all(|(_, state)| state == "there"), "{there:?}");
}

#[test]
fn topics_with_which_the_daemon_would_not_start_are_shown_as_they_are_and_fail_the_list() {
    let fleet = Fleet::new("misfits");
    let (code, text) = fleet.triaged(&["topics", "--create", "--desk-partitions", "1"]);
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("`--desk-partitions 1`: desk `air` has log_partition 3, counted from 0"), "{text}");

    let make = |name: &str, config: &[(&str, &str)]| {
        let config = config.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        fleet
            .logs()
            .create(&[NewTopic { name: fleet.named(name), partitions: 1, replication: 1, config }])
            .unwrap();
    };
    make("control", &[("cleanup.policy", "delete")]);
    make("desks", &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")]);
    let (code, text) = fleet.triaged(&["topics", "--create"]);
    assert_eq!(code, Some(1), "what is there is not mended: {text}");
    for part in [
        "cleanup.policy=delete (wanted: compact)",
        &format!("`{}` must be compacted", fleet.named("control")),
        &format!("--alter --topic {} --add-config cleanup.policy=compact", fleet.named("control")),
        &format!("desk `air` has log_partition 3, but `{}` has 1 partitions", fleet.named("desks")),
        "triaged: 2 not as the daemon needs them: it would not start",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = fleet.command(&["topics", "--json"]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let topics = told["topics"].as_array().unwrap();
    let control = topics.iter().find(|topic| topic["name"] == fleet.named("control").as_str()).unwrap();
    assert_eq!(
        (&control["state"], &control["config"]["cleanup.policy"]),
        (&"wrong".into(), &"compact".into())
    );
    assert_eq!(control["actual"]["cleanup.policy"], "delete");
    let (code, text) = fleet.triaged(&["run"]);
    assert_eq!(code, Some(78), "what the list says is what the daemon does: {text}");
}

#[test]
fn while_no_broker_answers_the_daemon_says_what_it_waits_for_and_can_be_asked_to_end() {
    let fleet = Fleet::new("away");
    let mut daemon = fleet.start_at("one", "127.0.0.1:1");
    daemon.wait_until("it says so", |status| {
        status["ready"] == false
            && status["waits_for"]
                .as_str()
                .is_some_and(|why| why.contains("waits for Apache Kafka at 127.0.0.1:1"))
    });
    let why = daemon.status()["waits_for"].as_str().unwrap().to_owned();
    assert!(why.contains("nobody listens there"), "{why}");
    let asked = daemon.log().matches("waits for Apache Kafka").count();
    assert_eq!(asked, 1, "one line until something else is the reason\n{}", daemon.log());
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    let lines = daemon.log().lines().filter(|line| line.contains("librdkafka")).count();
    assert!(lines < 60, "the client library does not flood the log: {lines} lines");
}

#[test]
fn a_broken_policy_is_refused_with_every_mistake_and_a_good_one_switches_the_fleet() {
    let fleet = Fleet::new("reload");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let before = daemon.status()["policy"]["generation"].as_str().unwrap().to_owned();

    fleet.write_rule("[[rule]]\nname = \"broken\"\nqeury = \"x\"\ntags = [\"a\"]\n[[rule]]\nname = \"other\"\nquery = \"(a OR\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(65), "{text}");
    assert!(
        text.contains("rules/added.toml:3:1") && text.contains("rules/added.toml:7:"),
        "both mistakes: {text}"
    );
    assert_eq!(daemon.status()["policy"]["generation"], before.as_str(), "what was in force stays in force");
    // Whoever did not hear the answer asks how it went.
    let (code, told) = daemon.ctl(&["status"]);
    assert!(code == Some(0) && told.contains("reload:    the last one was refused"), "{told}");
    assert!(told.contains("rules/added.toml"), "with every mistake: {told}");

    fleet.write_rule("[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"noise\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(0), "{text}");
    let after = daemon.status()["policy"]["generation"].as_str().unwrap().to_owned();
    assert_ne!(after, before);
    assert!(text.contains(&before) && text.contains(&after), "the answer names both: {text}");

    // A policy that compiles and does not do what its own tests say is not put in force.
    fleet.write_rule("[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"block\"\n");
    let test = fleet.path_of("policy/tests/zebra.toml");
    let of = |text: &str| {
        format!("[[test]]\nname = \"zebras\"\ntexts = [{text:?}]\nexpect = {{ disposition = \"noise\" }}\n")
    };
    std::fs::create_dir_all(test.parent().unwrap()).unwrap();
    std::fs::write(&test, of("a zebra")).unwrap();
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(65), "{text}");
    assert!(
        text.contains("tests/zebra.toml:3:1") && text.contains("expected noise, decided blocked"),
        "{text}"
    );
    assert_eq!(daemon.status()["policy"]["generation"], after.as_str(), "what was in force stays in force");
    fleet.write_rule("[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"noise\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(0), "the same rules with a test that passes are the same generation: {text}");

    fleet.send(&[mention(1, "a zebra crossed the road"), mention(2, "my bill is wrong")]);
    let found = fleet.wait_for_assignments(1);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["x:2"], "the new rule holds");
    daemon.wait_until("the noise is counted", |status| status["mentions"]["settled"]["noise"] == 1);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    // The folder of the next start differs; what the control topic names stays in force.
    fleet.write_rule("");
    let mut next = fleet.start("one");
    next.is_ready();
    let policy = next.status()["policy"].clone();
    assert_eq!(policy["generation"], after.as_str());
    assert_eq!(policy["folder_differs"], true);
    assert_eq!(next.terminate(), Some(0), "{}", next.log());
}

#[test]
fn a_switch_that_somebody_asks_for_to_a_policy_that_is_not_published_is_refused_and_the_next_reload_is_not() {
    let fleet = Fleet::new("unpublished");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let before = daemon.status()["policy"]["generation"].clone();
    let request = format!(
        r#"{{"type":"policy.switch.requested","id":"by-hand","generation":"sha256:{}","by":"a script","at":0}}"#,
        "0a".repeat(32)
    );
    let mut batch = Outgoing::default();
    batch.push(Some(b"request/by-hand"), Some(request.as_bytes()));
    let control = TopicPartition::new(&fleet.named("control"), 0);
    kafka::send(&mut *fleet.logs().producer("script").unwrap(), &control, &batch);
    daemon.wait_until("it is refused", |_| daemon.log().contains("a switch is refused"));
    daemon.wait_until("nobody waits", |status| status["policy"]["pending_requests"] == 0);
    assert_eq!(daemon.status()["policy"]["generation"], before, "what was in force stays in force");
    assert!(daemon.log().contains("a script"), "it says who asked: {}", daemon.log());

    fleet.write_rule("[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"noise\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(0), "{text}");
    assert_ne!(daemon.status()["policy"]["generation"], before);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
}

#[test]
fn a_desk_added_by_a_reload_must_have_its_topic_and_is_used_to_its_full_width_at_once() {
    let fleet = Fleet::new("desk");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    fleet.write_rule(
        r#"
[[desk]]
name = "lab"
log_partition = 2
case_lapse = "1h"
mentions_per_case_max = 10
[[queue]]
name = "lab.new"
desk = "lab"
[[rule]]
name = "quasar"
query = "quasar"
tags = ["quasar"]
[[filter]]
name = "quasar"
when = "tag:quasar"
queue = "lab.new"
"#,
    );
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(65), "{text}");
    assert!(text.contains(&format!("topic `{}` does not exist", fleet.desk_topic("lab"))), "{text}");

    fleet.create_topics();
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(0), "{text}");
    let sent: Vec<String> = (0..60).map(|n| mention(n, "a quasar is on my bill")).collect();
    fleet.send(&sent);
    let records = fleet.wait_for_records_of("lab", 60);
    assert!(records.iter().all(|&count| count > 0), "cases are spread over its partitions: {records:?}");
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    fleet.audit_finds_nothing();
}

#[test]
fn a_scrape_adds_up_and_a_second_process_of_the_same_name_is_refused() {
    let fleet = Fleet::new("scrape");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let sent: Vec<String> = (0..500).map(|n| mention(n % 400, "the app crashes")).collect();
    fleet.send(&sent);
    daemon.wait_until("all are settled", |status| {
        status["mentions"]["in_flight"] == 0 && status["mentions"]["read"] == 500
    });
    let scrape = daemon.metrics();
    let value = |series: &str| -> u64 {
        let line = scrape
            .lines()
            .find(|line| line.starts_with(series))
            .unwrap_or_else(|| panic!("{series}:\n{scrape}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let settled: u64 = ["queued", "noise", "duplicate", "blocked", "dead_letter", "joined", "expired"]
        .map(|d| value(&format!("triaged_settled_records_total{{disposition=\"{d}\"}}")))
        .iter()
        .sum();
    let read = value(&format!("triaged_input_records_total{{topic=\"{}\"}}", fleet.input()));
    assert_eq!(read, settled + value("triaged_inflight_records"));
    assert_eq!(value("triaged_settled_records_total{disposition=\"duplicate\"}"), 100);

    let mut second = fleet.start("one");
    assert_eq!(second.exit(Duration::from_secs(20)), Some(75), "{}", second.log());
    assert!(second.log().contains("another process runs as instance `one`"), "{}", second.log());
    let (code, _) = daemon.ctl(&["drain"]);
    assert_eq!(code, Some(0));
    assert_eq!(daemon.exit(Duration::from_secs(60)), Some(0), "{}", daemon.log());
}

#[test]
fn a_paused_instance_keeps_its_place_says_so_and_reads_everything_once_it_is_resumed() {
    let fleet = Fleet::new("pause");
    fleet.create_topics();
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let sent = |from: u64, count: u64| -> Vec<String> {
        (from..from + count).map(|n| mention(n, "no refund for a month")).collect()
    };
    let lag = |daemon: &common::program::Process| -> u64 {
        let of = format!("triaged_consumer_lag_records{{topic=\"{}\"", fleet.input());
        let text = daemon.metrics();
        let lines = text.lines().filter(|line| line.starts_with(&of));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let is_read = |count: u64| move |status: &serde_json::Value| status["mentions"]["read"] == count;
    fleet.send(&sent(0, 100));
    daemon.wait_until("the first are read", is_read(100));

    let (code, text) = daemon.ctl(&["pause"]);
    assert_eq!(
        (code, text.trim()),
        (Some(0), "paused: no mention is read on this instance until `triaged ctl resume`")
    );
    fleet.send(&sent(100, 50));
    // Once the broker is asked how far behind we are, what was sent has been there for a while.
    daemon.wait_until("they wait in the broker", |_| lag(&daemon) >= 50);
    daemon.wait_until("nothing of them is read", is_read(100));
    let (code, body) = daemon.get("/readyz").unwrap();
    assert_eq!(code, 200);
    assert!(body.starts_with("ok, paused"), "{body}");
    assert!(!daemon.metrics().contains("triaged_paused_partitions 0"), "{}", daemon.metrics());
    let (code, text) = daemon.ctl(&["resume", "--json"]);
    assert_eq!(
        (code, serde_json::from_str(&text).ok()),
        (Some(0), Some(serde_json::json!({ "paused": false })))
    );
    fleet.wait_for_assignments(150);

    let (code, text) = daemon.ctl(&["pause", "--partitions", "0"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("input partitions 0 are not read"), "{text}");
    assert!(text.contains("live here now: 0"), "{text}");
    let (code, text) = daemon.ctl(&["pause", "--partitions", "1,77"]);
    assert_eq!(code, Some(65), "{text}");
    let has = common::program::PARTITIONS;
    let sentence = format!("has {has} partitions, 0 to {}: no partition 77", has - 1);
    assert!(text.contains(&sentence), "{text}");
    assert_eq!(daemon.status()["paused"], serde_json::json!([0]), "nothing more was paused");
    let more = sent(150, 60);
    let elsewhere = (150..210).filter(|n| n % u64::from(common::program::PARTITIONS) != 0).count() as u64;
    fleet.send(&more);
    daemon.wait_until("the other partitions are read", is_read(150 + elsewhere));
    daemon.wait_until("the status says so", |status| status["paused"] == serde_json::json!([0]));
    daemon.ctl(&["resume"]);
    let ids = fleet.wait_for_assignments(210);
    assert!(ids.values().all(|&times| times == 1), "{ids:?}");

    let (code, text) = daemon.ctl(&["log", "debug"]);
    assert_eq!((code, text.trim()), (Some(0), "the daemon's log is at `debug` until its next start"));
    assert!(daemon.log().contains("the log's level was changed"), "{}", daemon.log());
    assert_eq!(daemon.ctl(&["log", "loud"]).0, Some(64));
    fleet.write_rule("[[rule]]\nname = \"added\"\nquery = \"quasar\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload", "--wait", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let epoch = serde_json::from_str::<serde_json::Value>(&text).unwrap()["after"]["epoch"].clone();
    assert_eq!(
        daemon.status()["policy"]["laggards"],
        serde_json::json!([]),
        "every shard uses epoch {epoch}"
    );
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    let mut again = fleet.start("one");
    again.is_ready();
    assert_eq!(again.status()["paused"], serde_json::json!(false), "a restart knows nothing of a pause");
    assert_eq!(again.terminate(), Some(0), "{}", again.log());
    fleet.audit_finds_nothing();
}

#[test]
fn old_policies_of_any_size_are_read_again_from_the_brokers_when_their_bytes_are_not_held() {
    let logs = kafka::cluster();
    let compacted = [("cleanup.policy", "compact")];
    let [control, topic] = ["control", "policies"].map(|name| kafka::topic(&logs, name, 1, &compacted));
    let bundle = |word: &str, comment: usize| {
        let text = format!(
            "[[desk]]\nname = \"care\"\nlog_partition = 0\n[[queue]]\nname = \"all\"\ndesk = \"care\"\n[workflow]\ndefault = \"all\"\n\
             [fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n[[rule]]\nname = \"one\"\nquery = '{word}'\n#{}\n",
            "x".repeat(comment)
        );
        Bundle { files: [("all.toml".to_owned(), text)].into() }
    };
    // Of one part and of several, the second one published again after the third.
    let bundles = [bundle("tv", 0), bundle("radio", 1_500_000), bundle("phone", 600_000)];
    let mut producer = logs.producer("test").unwrap();
    for bundle in [&bundles[0], &bundles[1], &bundles[2], &bundles[1]] {
        let mut batch = Outgoing::default();
        for record in policies::publish(bundle.generation(), &bundle.to_bytes()) {
            batch.push(Some(record.key.as_bytes()), Some(&record.value));
        }
        kafka::send(&mut *producer, &TopicPartition::new(&topic, 0), &batch);
    }
    let matcher = triaged::pipeline::policy::matcher;
    let cluster: Arc<dyn Logs> = Arc::new(kafka::cluster());
    let source = Source { logs: cluster, topic: TopicPartition::new(&topic, 0), bytes_max: 1_000_000 };
    let known = Policies::reading_again(source);
    let mut follower = Follower::new(&logs, &control, &topic, Arc::clone(&known), matcher).unwrap();
    while !known.is_caught_up() {
        follower.step(Duration::from_millis(50)).unwrap();
    }
    for generation in bundles.iter().map(Bundle::generation) {
        assert_eq!(known.get(generation, matcher).map(|policy| policy.generation()), Some(generation));
    }
}
