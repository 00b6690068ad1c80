//! What `explain` and `tap` tell of a running and a stopped daemon, on a real broker.

#![allow(clippy::unwrap_used)]

mod common;

use common::kafka;
use common::program::{Fleet, mention};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use triaged::log::{Logs, Outgoing, TopicPartition};

const BILL: &str = "my bill is wrong, card 4111 1111 1111 1111, mail jane.doe@example.org";

/// Sends values to one partition, in order.
fn send_to(fleet: &Fleet, partition: u32, values: &[String]) {
    let mut producer = fleet.logs().producer("test").unwrap();
    let mut batch = Outgoing::default();
    values.iter().for_each(|value| batch.push(None, Some(value.as_bytes())));
    kafka::send(producer.as_mut(), &TopicPartition::new(&fleet.input(), partition), &batch);
}

/// A mention of the author with this number.
fn of_author(number: u64, author: u64, text: &str) -> String {
    mention(number, text).replace(&format!("u{number}\""), &format!("u{author}\""))
}

fn explained(fleet: &Fleet, id: &str) -> (Option<i32>, Value, String) {
    let output = fleet.command(&["explain", id, "--json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let story = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code(), story, text)
}

#[test]
fn every_disposition_is_explained_while_the_daemon_runs_and_when_it_does_not() {
    let fleet = Fleet::new("explain");
    fleet.create_topics();
    fleet.write_rule(
        "[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"block\"\n\
                      [[rule]]\nname = \"quasar\"\nquery = \"quasar\"\naction = \"noise\"\n",
    );
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    let sent = [
        of_author(1, 3, BILL),
        of_author(2, 3, "my bill is still wrong"),
        of_author(3, 4, "a quasar far away"),
        of_author(4, 5, "a zebra crossed the road"),
        of_author(1, 3, BILL),
        "{\"mention_id\": 7".to_owned(),
    ];
    send_to(&fleet, 0, &sent);
    fleet.wait_for_assignments(2);
    // The same mention on another partition: triage cannot know, the desk does.
    send_to(&fleet, 1, &sent[..1]);
    daemon.wait_until("all are settled", |status| {
        status["mentions"]["read"] == 7 && status["mentions"]["in_flight"] == 0
    });
    let input = fleet.input();
    let at = |partition: u32, offset: u32| format!("{input}/{partition}/{offset}");

    let (code, opened, text) = explained(&fleet, &at(0, 0));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(opened["ledger"]["disposition"], "queued", "{opened:#}");
    assert_eq!(opened["agrees"], true);
    assert_eq!(opened["outcome"]["outcome"], "opened");
    let case = opened["outcome"]["case_id"].as_str().unwrap().to_owned();
    assert!(opened["desk_log"].as_str().unwrap().contains("desks/"), "{opened:#}");
    assert_eq!(opened["decision"]["route"]["desk"], "care");
    assert!(!opened["decision"]["filters"].as_array().unwrap().is_empty());
    assert!(
        opened["mention"]["text"].as_str().unwrap().starts_with("my bill is wrong, card ["),
        "{opened:#}"
    );
    let whole = opened.to_string();
    assert!(!whole.contains("4111") && !whole.contains("jane") && !whole.contains("u3\""), "{whole}");

    let (_, linked, _) = explained(&fleet, &at(0, 1));
    assert_eq!(linked["outcome"]["outcome"], "linked", "{linked:#}");
    assert_eq!(linked["outcome"]["case_id"], case.as_str());
    assert_eq!(linked["outcome"]["case_version"], 2);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    let (_, copy, _) = explained(&fleet, &at(1, 0));
    assert_eq!(copy["ledger"]["disposition"], "queued", "{copy:#}");
    assert_eq!(
        (copy["outcome"]["outcome"].as_str(), copy["outcome"]["case_id"].as_str()),
        (Some("copy"), Some(&*case)),
        "{copy:#}"
    );
    let (_, noise, _) = explained(&fleet, &at(0, 2));
    assert_eq!(noise["ledger"]["what"], "noise by rule `quasar`", "{noise:#}");
    assert_eq!((&noise["decision"]["by"], &noise["agrees"]), (&"rule `quasar`".into(), &true.into()));
    let (_, blocked, _) = explained(&fleet, &at(0, 3));
    assert_eq!(blocked["ledger"]["what"], "blocked by rule `zebra`", "{blocked:#}");
    let (_, duplicate, _) = explained(&fleet, &at(0, 4));
    assert_eq!(duplicate["ledger"]["disposition"], "duplicate", "{duplicate:#}");
    assert_eq!(duplicate["copy_of"], format!("{}, which was queued", at(0, 0)));
    let (_, dead, _) = explained(&fleet, &at(0, 5));
    assert_eq!(dead["mention"]["unreadable"], "not_json", "{dead:#}");
    assert!(dead["dead_letter"].as_str().unwrap().contains("dead/0/0"), "{dead:#}");

    let (_, by_id, _) = explained(&fleet, "x:1");
    assert_eq!(by_id["mention"]["position"], at(0, 0), "{by_id:#}");
    let also = by_id["also"].as_array().unwrap();
    assert_eq!(
        also,
        &[Value::from(format!("{}: duplicate", at(0, 4))), format!("{}: queued", at(1, 0)).into()]
    );
    let (_, of_case, _) = explained(&fleet, &case);
    assert_eq!(of_case["case"].as_array().unwrap().len(), 2, "{of_case:#}");
    assert_eq!(of_case["mention"]["position"], at(0, 0));

    let (code, nothing, text) = explained(&fleet, "x:999");
    assert_eq!((code, &nothing["found"]), (Some(1), &false.into()));
    assert!(text.contains("`x:999` was not found; searched:") && text.contains("ledger."), "{text}");
    assert_eq!(explained(&fleet, &at(0, 77)).0, Some(1));
    let (code, _, text) = explained(&fleet, "c99-1");
    let desks = fleet.named("desks");
    assert!(code == Some(1) && text.contains(&format!("`{desks}` has ")), "{text}");
    let (code, text) = fleet.triaged(&["explain", &at(0, 0)]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("did not hold") && text.contains(&format!("opened case {case}")), "{text}");
}

#[test]
fn a_mention_that_was_not_sent_is_explained_by_the_local_folder_without_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.json");
    fs::write(&file, mention(1, BILL) + "\n").unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
        command.arg("explain").args(words).stdin(Stdio::null());
        command.env("TRIAGED__POLICY__FOLDER", concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy"));
        command.env("TRIAGED__KAFKA__BOOTSTRAP", "127.0.0.1:1");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, text) = run(&["--mention", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    for part in
        ["decided   queued for desk `care`", "did not hold: `tag:", "copy of an earlier mention", "[card]"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("4111") && !text.contains("jane"), "{text}");
    let (code, text) =
        run(&["--mention", file.to_str().unwrap(), "--rule", "bill-wrong", "--rule", "tv-broken"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "the rule `bill-wrong` matches",
        "the rule `tv-broken` does not match",
        "| my bill is wrong, card [card]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("4111") && !text.contains("jane"), "{text}");
    let (code, text) = run(&["--mention", file.to_str().unwrap(), "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let story: Value = serde_json::from_str(&text).unwrap();
    let bill =
        story["why"].as_array().unwrap().iter().find(|told| told["why"]["name"] == "bill-wrong").unwrap();
    assert_eq!((&bill["about"], &bill["why"]["holds"]), (&"rule".into(), &true.into()));
    assert_eq!(bill["why"]["term"]["operator"], "near", "{bill:#}");
    assert!(!text.contains("4111") && !text.contains("jane"), "{text}");
    assert_eq!(run(&["--mention", "/nowhere/one.json"]).0, Some(66));
    assert_eq!(run(&[]).0, Some(64));
    fs::write(&file, "{}").unwrap();
    let (code, text) = run(&["--mention", file.to_str().unwrap()]);
    assert_eq!(code, Some(65), "{text}");
    assert!(text.contains("is no mention: missing_field"), "{text}");
}

#[test]
fn decisions_are_watched_live_and_from_a_time_on_without_personal_data() {
    let fleet = Fleet::new("tap");
    fleet.create_topics();
    fleet.write_rule("[[rule]]\nname = \"quasar\"\nquery = \"quasar\"\naction = \"noise\"\n");
    let mut daemon = fleet.start("one");
    daemon.is_ready();

    let mut live = fleet.command(&["tap", "bill", "--count", "3", "--json"]);
    let mut live = live.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut number = 0;
    let status = loop {
        fleet.send(&[mention(number, BILL), mention(number + 1, "a quasar \\u202e far \\u001b[2J away")]);
        number += 2;
        if let Some(status) = live.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "nothing is seen");
        std::thread::sleep(Duration::from_millis(200));
    };
    let (mut seen, mut said) = (String::new(), String::new());
    live.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    live.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{seen}");
    let lines: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{seen}");
    for line in &lines {
        assert_eq!((&line["disposition"], &line["desk"]), (&"queued".into(), &"care".into()), "{line}");
        assert!(line["text"].as_str().unwrap().starts_with("my bill is wrong, card ["), "{line}");
    }
    assert!(!seen.contains("4111") && !seen.contains("jane") && !seen.contains("@u"), "{seen}");
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    // The daemon is stopped: what was decided is watched from a time on.
    let words = ["tap", "--from", "2020-01-01", "--disposition", "noise", "--count", "2"];
    let (code, text) = fleet.triaged(&words);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    for line in text.lines() {
        assert!(line.contains(" noise       rule quasar"), "{line}");
        assert!(line.contains("\\u{202e} far \\u{1b}[2J away"), "{line}");
    }
    let (code, text) = fleet.triaged(&["tap", "bill OR"]);
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("column "), "{text}");
}
