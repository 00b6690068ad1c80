//! What another policy would make of past mentions: over files, over topics, and beside real runs under that policy.
//!
//! Owns `tests/replay/<what>/`: `mentions.ndjson`, the policies `before` and `after`, and `expected.txt`.
//! `UPDATE_REPLAY=1 cargo test --test replay` rewrites what is expected; read the difference.

#![allow(clippy::unwrap_used)]

mod common;

use common::program::{Fleet, mention};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use triage_engine::model::Millis;
use triage_engine::policy::Generation;
use triaged::config;
use triaged::interrupt::Interrupt;
use triaged::kafka::KafkaLogs;
use triaged::log::{
    Commit, LogError, Logs, Member, NewTopic, Outgoing, Producer, ReadStep, Reader, Records, TopicInfo,
    TopicPartition,
};
use triaged::replay::{self, Wishes};
use triaged::wire::policies;

const PROGRAM: &str = env!("CARGO_BIN_EXE_triaged");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy");
const TEXTS: [&str; 7] = [
    "my bill is wrong, please explain",
    "my internet is down",
    "win a free iphone, giveaway, follow and retweet",
    "no refund for a month, mail jane.doe@example.org",
    "the tv is black since monday",
    "a quasar in the sky",
    "what a lovely morning",
];

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay")
}

/// The program, which must not find a broker.
fn triaged(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(words)
        .env("TRIAGED__KAFKA__BOOTSTRAP", "127.0.0.1:1")
        .env("TRIAGED__POLICY__FOLDER", SAMPLE);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_would_differ_over_a_file_reads_as_it_is_kept() {
    let mut different = Vec::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    for case in folders {
        let mut told = String::new();
        for words in [&[][..], &["--json", "--samples", "1"]] {
            let mut command = triaged(&[
                "replay",
                "--mentions",
                "mentions.ndjson",
                "--policy",
                "after",
                "--against",
                "before",
            ]);
            let output = command.args(words).current_dir(&case).output().unwrap();
            assert_eq!((output.status.code(), said(&output)), (Some(0), String::new()), "{}", case.display());
            told += &format!("$ triaged replay … {}\n", words.join(" "));
            told += &String::from_utf8(output.stdout).unwrap();
        }
        for secret in ["jane", "4111", "\u{202e}", "\u{1b}"] {
            assert!(!told.contains(secret), "{secret:?} is shown: {told}");
        }
        let kept = case.join("expected.txt");
        if std::env::var_os("UPDATE_REPLAY").is_some() {
            fs::write(&kept, &told).unwrap();
        }
        if fs::read_to_string(&kept).unwrap_or_default() != told {
            different.push(format!("{}:\n{told}", case.display()));
        }
    }
    assert!(different.is_empty(), "{}\nif this is meant: UPDATE_REPLAY=1", different.join("\n"));
}

/// Mentions of an author each, every so often a copy of an earlier one.
fn mentions(count: u64) -> Vec<String> {
    let one = |n: u64| {
        let id = if n % 17 == 16 { n - 9 } else { n };
        let at = jiff::Timestamp::from_millisecond(1_700_000_000_000 + n as i64 * 2_000).unwrap();
        mention(id, TEXTS[(id * 3 % 7) as usize])
            .replace(r#""kind""#, &format!(r#""posted_at":"{at}","kind""#))
    };
    (0..count).map(one).collect()
}

/// The sample policy with what somebody would change in it.
fn tomorrow(folder: &Path, dedup: Option<&str>) -> String {
    let policy = folder.join("tomorrow");
    copy(Path::new(SAMPLE), &policy);
    let rule = "[[rule]]\nname = \"quasar\"\nquery = \"quasar OR lovely\"\naction = \"noise\"\n\
                [[rule]]\nname = \"black-tv\"\nquery = '\"tv is black\"'\ntags = [\"refund\"]\npriority = 99\n";
    fs::write(policy.join("rules/added.toml"), rule).unwrap();
    let noise = fs::read_to_string(policy.join("rules/noise.toml")).unwrap();
    assert!(noise.contains("giveaway"), "the sample has the rule");
    fs::write(policy.join("rules/noise.toml"), noise.replace("giveaway", "give-away-no-more")).unwrap();
    if let Some(dedup) = dedup {
        let path = policy.join("signals.toml");
        let text = fs::read_to_string(&path).unwrap();
        let window = text.lines().find(|line| line.trim_start().starts_with("window")).unwrap();
        fs::write(&path, text.replace(window, &format!("window = \"{dedup}\""))).unwrap();
    }
    policy.display().to_string()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The queue of each mention, and the closing line, of a run over a file under a policy folder.
fn run(mentions: &Path, policy: &str) -> (BTreeMap<String, String>, String) {
    let output = triaged(&["run", "--from", mentions.to_str().unwrap(), "--to", "-"])
        .env("TRIAGED__POLICY__FOLDER", policy)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut queues = BTreeMap::new();
    for line in output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let record: Value = serde_json::from_slice(line).unwrap();
        if let (Some(id), Some(queue)) =
            (record["value"]["mention_id"].as_str(), record["value"]["queue"].as_str())
        {
            queues.insert(id.to_owned(), queue.to_owned());
        }
    }
    (queues, said(&output))
}

/// How many went from one queue to another one between two runs.
fn moved(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> BTreeMap<(String, String), u64> {
    let mut moved = BTreeMap::new();
    for (id, from) in before {
        if let Some(to) = after.get(id).filter(|to| *to != from) {
            *moved.entry((from.clone(), to.clone())).or_default() += 1;
        }
    }
    moved
}

/// Checks the queues of a report's side (`before` or `after`) against those of a run.
fn queues_agree(report: &Value, side: &str, queues: &BTreeMap<String, String>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    queues.values().for_each(|queue| *counts.entry(queue).or_default() += 1);
    for queue in report["queues"].as_array().unwrap() {
        let name = queue["name"].as_str().unwrap();
        assert_eq!(queue[side].as_u64(), Some(counts.remove(name).unwrap_or(0)), "{side} {name}");
    }
    assert!(counts.is_empty(), "{side}: not in the report: {counts:?}");
}

/// Checks the dispositions of a report's side against a run's closing line.
fn dispositions_agree(report: &Value, side: &str, closing: &str) {
    for count in report["dispositions"].as_array().unwrap() {
        let (name, number) = (count["name"].as_str().unwrap(), count[side].as_u64().unwrap());
        let told = format!(" {number} {name}");
        let nothing = number == 0 && !closing.contains(&format!(" {name}"));
        assert!(nothing || closing.contains(&told), "{side}{told}: {closing}");
    }
}

/// Checks the moves between queues against two runs.
fn moves_agree(report: &Value, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let mut expected = moved(before, after);
    assert!(!expected.is_empty(), "some go elsewhere");
    for told in report["moves"].as_array().unwrap() {
        let way = [&told["from"], &told["to"]].map(|place| place.as_str().unwrap().to_owned());
        let [from, to] = way.clone();
        // A queue's name has a dot; what no desk got has none.
        if from.contains('.') && to.contains('.') {
            assert_eq!(told["mentions"].as_u64(), expected.remove(&(from, to)), "{way:?}");
        }
    }
    assert!(expected.is_empty(), "not told: {expected:?}");
}

#[test]
fn a_replay_over_a_file_tells_the_difference_of_two_runs_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("yesterday.ndjson");
    let mut lines = mentions(3_000);
    lines.insert(100, "{\"mention_id\": 7".to_owned());
    lines.insert(200, String::new());
    fs::write(&file, lines.join("\r\n")).unwrap();
    // A copy comes 18 seconds later: ten minutes find it, ten seconds do not.
    for dedup in [None, Some("10s")] {
        let tomorrow = tomorrow(folder.path(), dedup);
        let (before, closing_before) = run(&file, SAMPLE);
        let (after, closing_after) = run(&file, &tomorrow);
        assert_ne!(closing_before, closing_after);
        let words = ["replay", "--policy", &tomorrow, "--mentions", file.to_str().unwrap(), "--json"];
        let told = report(&triaged(&words).output().unwrap());
        dispositions_agree(&told, "before", &closing_before);
        dispositions_agree(&told, "after", &closing_after);
        queues_agree(&told, "before", &before);
        if dedup.is_none() {
            // A desk recognises what dedup lets through twice, so only here a mention stands in a queue once.
            queues_agree(&told, "after", &after);
            moves_agree(&told, &before, &after);
        }
        assert_eq!((&told["totals"]["blank"], &told["totals"]["mentions"]), (&1.into(), &3_001.into()));

        let mut child = triaged(&["replay", "--policy", &tomorrow, "--mentions", "-", "--json"]);
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        let mut piped = report(&child.wait_with_output().unwrap());
        piped["input"] = told["input"].clone();
        assert_eq!(piped, told, "the same from a pipe, and the same samples each time");
    }
}

#[test]
fn a_range_of_a_file_is_counted_with_the_copies_of_what_came_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("yesterday.ndjson");
    let at = |id: u64, second: i64| {
        let at = jiff::Timestamp::from_second(1_700_000_000 + second).unwrap();
        mention(id, "my bill is wrong").replace(r#""kind""#, &format!(r#""posted_at":"{at}","kind""#))
    };
    fs::write(&file, [at(1, 0), at(2, 10), at(1, 20), at(3, 30), at(4, 40)].join("\n")).unwrap();
    let words = ["replay", "--policy", SAMPLE, "--mentions", file.to_str().unwrap(), "--json"];
    let mut command = triaged(&words);
    let told = report(
        &command.args(["--from", "2023-11-14T22:13:30Z", "--to", "2023-11-14T22:14:00Z"]).output().unwrap(),
    );
    let counts: Vec<(&str, u64)> = told["dispositions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| (count["name"].as_str().unwrap(), count["after"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [("queued", 2), ("duplicate", 1)], "lines 2 to 4, of which 3 repeats line 1");
    assert_eq!(told["moves"].as_array().unwrap().len(), 0, "the same policy changes nothing");
}

#[test]
fn what_cannot_be_replayed_is_told_with_every_mistake_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.ndjson");
    fs::write(&file, mention(1, "my bill is wrong")).unwrap();
    let file = file.to_str().unwrap();
    let wrong = tomorrow(folder.path(), None);
    fs::write(
        format!("{wrong}/rules/wrong.toml"),
        "[[rule]]\nname = \"a\"\nquery = \"bill OR\"\n[[rule]]\nnam = 3\n",
    )
    .unwrap();
    let gone = folder.path().join("gone").display().to_string();
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&["--policy", &gone, "--mentions", file], 78, &["gone`: No such file"]),
        (&["--policy", SAMPLE, "--against", &gone, "--mentions", file], 78, &["gone`: No such file"]),
        (&["--policy", &wrong, "--mentions", file], 78, &["wrong.toml:3:", "wrong.toml:5:", "`nam`"]),
        (&["--mentions", file], 64, &["--policy"]),
        (
            &["--policy", SAMPLE, "--mentions", file, "--from", "2026-11-23", "--to", "2026-11-22"],
            64,
            &["`--from` is not before `--to`"],
        ),
        (
            &["--policy", SAMPLE, "--from", "2026-11-23", "--to", "2026-11-22"],
            64,
            &["`--from` is not before `--to`"],
        ),
        (&["--policy", SAMPLE, "--from", "yesterday"], 64, &["`yesterday` is no time"]),
        (&["--policy", SAMPLE, "--mentions", &gone], 66, &["gone`: No such file"]),
        (&["--policy", SAMPLE], 69, &["is the broker running"]),
    ];
    for (words, code, parts) in cases {
        let output = triaged(&["replay"]).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        for part in parts {
            assert!(said(&output).contains(part), "{words:?}: {part}: {}", said(&output));
        }
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    let empty = folder.path().join("empty.ndjson");
    fs::write(&empty, "").unwrap();
    let output =
        triaged(&["replay", "--policy", SAMPLE, "--mentions", empty.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing to decide again"));
}

#[test]
fn ctrl_c_ends_a_replay_with_what_was_counted_so_far() {
    let mut child = triaged(&["replay", "--policy", SAMPLE, "--mentions", "-", "--json"]);
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all((mentions(500).join("\n") + "\n").as_bytes()).unwrap();
    // Once SIGINT is caught, and not before: its bit in the mask of caught signals.
    let status = format!("/proc/{}/status", child.id());
    let caught = || {
        let text = fs::read_to_string(&status).unwrap();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 0b10 != 0
    };
    while !caught() {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(75), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["interrupted"], true);
    assert!(told["totals"]["mentions"].as_u64().unwrap() <= 500);
}

/// Where every topic ends, and what every group has committed.
fn stand(fleet: &Fleet) -> Vec<String> {
    let desks = ["air", "care", "press", "tech"].map(|desk| fleet.desk_topic(desk));
    let mut stand = Vec::new();
    for topic in fleet.topic_names().iter().chain(&desks).chain([&fleet.named("alerts")]) {
        let info = fleet.logs().describe(&[topic]).unwrap().remove(0);
        for partition in 0..info.map_or(0, |info| info.partitions) {
            let of = TopicPartition::new(topic, partition);
            stand.push(format!("{of} {:?}", fleet.logs().bounds(&of).unwrap()));
            for group in ["group.triage", "group.desk"] {
                let committed =
                    fleet.logs().group_offsets(&fleet.named(group), std::slice::from_ref(&of)).unwrap();
                stand.push(format!("{group} {of} {committed:?}"));
            }
        }
    }
    stand
}

fn replayed(fleet: &Fleet, words: &[&str]) -> Value {
    let output =
        fleet.command(&[&["replay", "--json"], words].concat()).stdin(Stdio::null()).output().unwrap();
    report(&output)
}

#[test]
fn a_replay_of_the_topics_tells_what_a_run_under_the_other_policy_decides_and_leaves_no_trace() {
    let fleet = Fleet::new("replay");
    fleet.create_topics();
    let sent = mentions(3_000);
    let file = fleet.path_of("sent.ndjson");
    fs::write(&file, sent.join("\n")).unwrap();
    fleet.send(&sent);
    fleet.send(&["{\"mention_id\": 7".to_owned()]);
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    daemon.wait_until("all are settled", |status| {
        status["mentions"]["read"] == 3_001 && status["mentions"]["in_flight"] == 0
    });
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    fleet.send(&mentions(5));

    let tomorrow = tomorrow(&fleet.path_of("."), None);
    let before_it = stand(&fleet);
    let told = replayed(&fleet, &["--policy", &tomorrow]);
    let (before, closing_before) = run(&file, SAMPLE);
    let (after, closing_after) = run(&file, &tomorrow);
    // The one record that is no mention is in the topic alone.
    dispositions_agree(&told, "before", &format!("{closing_before} 1 dead_letter"));
    dispositions_agree(&told, "after", &format!("{closing_after} 1 dead_letter"));
    queues_agree(&told, "before", &before);
    queues_agree(&told, "after", &after);
    moves_agree(&told, &before, &after);
    assert_eq!(told["totals"]["undecided"], 5, "{told:#}");
    assert_eq!(told["totals"]["mentions"], 3_001);
    let rule = |told: &Value, name: &str| {
        let rules = told["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["rule"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(rule(&told, "quasar")["matched"]["before"], 0);
    assert!(rule(&told, "quasar")["took"]["after"].as_u64().unwrap() > 0);
    let sample = &told["moves"][0]["samples"][0];
    assert!(sample["position"].as_str().unwrap().starts_with(&format!("{}/", fleet.input())), "{sample}");
    assert!(!told.to_string().contains("jane"));

    // Another folder in place of what the ledger says, the same policy on both sides, and a time without mentions.
    let against = replayed(&fleet, &["--policy", &tomorrow, "--against", SAMPLE]);
    assert_eq!(against["moves"], told["moves"]);
    assert_eq!(against["queues"], told["queues"]);
    let same = replayed(&fleet, &["--policy", SAMPLE]);
    assert_eq!((same["moves"].as_array().unwrap().len(), &same["otherwise"]), (0, &0.into()));
    let never = replayed(&fleet, &["--policy", &tomorrow, "--to", "2020-01-01"]);
    assert_eq!(never["totals"]["mentions"], 0);
    assert!(never["notes"].to_string().contains("lies in the range"), "{never:#}");

    // Copies are found anew where the policy remembers ids for another time.
    let forgetful = self::tomorrow(&fleet.path_of("."), Some("1s"));
    let anew = replayed(&fleet, &["--policy", &forgetful]);
    assert!(anew["notes"].to_string().contains("copies were found anew"), "{anew:#}");
    assert_eq!(stand(&fleet), before_it, "nothing was written, committed or removed");

    // Retention takes the first hundred of a partition: what the ledger still has of them is told.
    fleet.logs().trim(&TopicPartition::new(&fleet.input(), 1), 100).unwrap();
    let trimmed = replayed(&fleet, &["--policy", &tomorrow]);
    assert_eq!(trimmed["totals"]["gone"], 100, "{trimmed:#}");
    assert_eq!(trimmed["totals"]["mentions"], 2_901);
    let (code, text) = fleet.triaged(&["replay", "--policy", &tomorrow]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("note: 100 are in the ledger and no longer in the input"), "{text}");
}

/// The mentions of a report that end in each queue, before and after.
fn queues_of(report: &Value) -> BTreeMap<String, [u64; 2]> {
    let count = |queue: &Value, side: &str| queue[side].as_u64().unwrap();
    let queues = report["queues"].as_array().unwrap();
    queues
        .iter()
        .map(|q| (q["name"].as_str().unwrap().to_owned(), [count(q, "before"), count(q, "after")]))
        .collect()
}

/// One disposition of a report, before and after.
fn disposition(report: &Value, name: &str) -> [u64; 2] {
    let found = report["dispositions"].as_array().unwrap().iter().find(|count| count["name"] == name);
    found.map_or([0, 0], |count| ["before", "after"].map(|side| count[side].as_u64().unwrap()))
}

/// Waits until the daemon has settled so many mentions.
fn all_settled(daemon: &common::program::Process, mentions: u64) {
    daemon.wait_until("all are settled", |status| {
        status["mentions"]["read"] == mentions && status["mentions"]["in_flight"] == 0
    });
}

#[test]
fn what_a_request_brought_back_stays_where_it_was_put_whatever_another_policy_says() {
    let fleet = Fleet::new("replay-released");
    fleet.create_topics();
    let bad = fleet.path_of("bad").display().to_string();
    copy(Path::new(SAMPLE), Path::new(&bad));
    let rule = "[[rule]]\nname = \"quasar\"\nquery = \"quasar\"\naction = \"noise\"\n";
    fs::write(format!("{bad}/rules/added.toml"), rule).unwrap();
    fleet.write_rule(rule);
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    fleet.send(&(0..700).map(|n| mention(n, TEXTS[n as usize % 7])).collect::<Vec<_>>());
    all_settled(&daemon, 700);
    fleet.write_rule("");
    assert_eq!(daemon.ctl(&["policy", "reload"]).0, Some(0), "{}", daemon.log());
    let (code, text) = fleet.triaged(&["release", "--rule", "quasar", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let answer: Value = serde_json::from_str(&text[..=text.rfind('}').unwrap()]).unwrap();
    assert_eq!(answer["brought_back"], 100, "{answer:#}");
    fleet.send(&(1_000..1_007).map(|n| mention(n, TEXTS[n as usize % 7])).collect::<Vec<_>>());
    all_settled(&daemon, 707);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());

    // The bad rule again: it takes what it took in the second lot, and leaves alone what was brought back.
    let again = replayed(&fleet, &["--policy", &bad]);
    assert_eq!((&again["totals"]["mentions"], &again["totals"]["brought_back"]), (&707.into(), &100.into()));
    let moves: Vec<_> =
        again["moves"].as_array().unwrap().iter().map(|m| (&m["to"], &m["mentions"])).collect();
    assert_eq!(moves, [(&"noise".into(), &1.into())], "{again:#}");
    assert_eq!(disposition(&again, "noise"), [101, 102], "giveaways in both, and the one quasar");

    // A folder whose queues have other numbers than those of the policy that brought them back.
    let shifted = fleet.path_of("shifted").display().to_string();
    copy(Path::new(SAMPLE), Path::new(&shifted));
    let desks = fs::read_to_string(format!("{shifted}/desks.toml")).unwrap();
    let (head, queues) = desks.split_once("[[queue]]").unwrap();
    let more = "[[queue]]\nname = \"care.aaa\"\ndesk = \"care\"\n\n";
    fs::write(format!("{shifted}/desks.toml"), format!("{head}{more}[[queue]]{queues}")).unwrap();
    let told = replayed(&fleet, &["--policy", SAMPLE]);
    let against = replayed(&fleet, &["--policy", SAMPLE, "--against", &shifted]);
    assert_eq!(against["moves"].as_array().unwrap().len(), 0, "{against:#}");
    assert_eq!(queues_of(&against), queues_of(&told));
    assert_eq!(against["totals"], told["totals"]);
}

#[test]
fn a_policy_that_decided_and_whose_bundle_is_gone_is_an_error_that_names_it_and_the_way_out() {
    let fleet = Fleet::new("replay-missing");
    fleet.create_topics();
    fleet.send(&mentions(200));
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    all_settled(&daemon, 200);
    let generation: Generation = daemon.status()["policy"]["generation"].as_str().unwrap().parse().unwrap();
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    let topic = TopicPartition::new(&fleet.named("policies"), 0);
    let mut tombstones = Outgoing::default();
    for record in policies::remove(generation, 1) {
        tombstones.push(Some(record.key.as_bytes()), None);
    }
    common::kafka::send(fleet.logs().producer("test").unwrap().as_mut(), &topic, &tombstones);

    let tomorrow = tomorrow(&fleet.path_of("."), None);
    let (code, text) = fleet.triaged(&["replay", "--policy", &tomorrow]);
    assert_eq!(code, Some(65), "{text}");
    for part in [generation.to_string().as_str(), &topic.topic, "does not hold", "--against", "--from"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let against = replayed(&fleet, &["--policy", &tomorrow, "--against", SAMPLE]);
    assert_eq!(against["totals"]["mentions"], 200);
    assert!(!against["moves"].as_array().unwrap().is_empty());
    // A time in which it decided nothing does not need it.
    assert_eq!(replayed(&fleet, &["--policy", &tomorrow, "--to", "2020-01-01"])["totals"]["mentions"], 0);
}

/// Sends values to partition 0 with a time stamp of its own, as a producer does that has waited.
fn send_stamped(fleet: &Fleet, values: &[String], at_ms: i64) {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", common::kafka::bootstrap());
    let producer: rdkafka::producer::BaseProducer = config.create().unwrap();
    for value in values {
        let input = fleet.input();
        let record = rdkafka::producer::BaseRecord::<(), _>::to(&input);
        producer.send(record.payload(value.as_bytes()).partition(0).timestamp(at_ms)).unwrap();
    }
    rdkafka::producer::Producer::flush(&producer, Duration::from_secs(30)).unwrap();
}

#[test]
fn a_range_of_the_topics_goes_by_the_records_times_and_copies_of_what_came_before_stay_copies() {
    let fleet = Fleet::new("replay-range");
    fleet.create_topics();
    let minute = 60_000;
    let now = jiff::Timestamp::now().as_millisecond();
    let of = |ids: std::ops::Range<u64>| ids.map(|n| mention(n, TEXTS[n as usize % 7])).collect::<Vec<_>>();
    send_stamped(&fleet, &of(0..140), now - 9 * minute);
    send_stamped(&fleet, &[of(1_000..1_070), of(0..7)].concat(), now - 3 * minute);
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    all_settled(&daemon, 217);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    // Everything was decided in one go, now: the ledger's times do not tell the two apart.
    let between = jiff::Timestamp::from_millisecond(now - 6 * minute).unwrap().to_string();
    let tomorrow = tomorrow(&fleet.path_of("."), None);
    let late = replayed(&fleet, &["--policy", &tomorrow, "--from", &between]);
    let early = replayed(&fleet, &["--policy", &tomorrow, "--to", &between]);
    assert_eq!((&late["totals"]["mentions"], &early["totals"]["mentions"]), (&77.into(), &140.into()));
    for told in [&late, &early] {
        let nothing: Value = 0.into();
        assert_eq!((&told["totals"]["undecided"], &told["totals"]["gone"]), (&nothing, &nothing), "{told:#}");
    }
    assert_eq!(disposition(&late, "duplicate"), [7, 7], "{late:#}");
    assert_eq!(
        disposition(&late, "noise"),
        [10, 30],
        "ten giveaways; after, ten quasars and ten mornings too"
    );
    assert_eq!(disposition(&early, "noise"), [20, 60]);
    // Where copies are found anew, what the range repeats of the time before counts as new, and a note says so.
    let forgetful = self::tomorrow(&fleet.path_of("."), Some("1s"));
    let anew = replayed(&fleet, &["--policy", &forgetful, "--from", &between]);
    assert_eq!(disposition(&anew, "duplicate"), [7, 0], "{anew:#}");
    assert!(anew["notes"].to_string().contains("copies were found anew"), "{anew:#}");
}

/// A cluster whose retention overtakes the reader of one partition: after ten records it takes those below forty.
struct Overtaking<'a> {
    logs: &'a KafkaLogs,
    input: TopicPartition,
}

struct OvertakenReader {
    logs: KafkaLogs,
    inner: Box<dyn Reader>,
    overtaken: bool,
}

impl Reader for OvertakenReader {
    fn read(&mut self, wait: Duration) -> Result<ReadStep, LogError> {
        let step = self.inner.read(wait)?;
        let ReadStep::Records(all) = &step else { return Ok(step) };
        if std::mem::replace(&mut self.overtaken, true) {
            return Ok(step);
        }
        let mut first = Records::new(all.partition().clone());
        for record in all.iter().take(10) {
            first.push(record.offset, record.timestamp, record.key, record.value);
        }
        self.logs.trim(first.partition(), 40)?;
        // What was fetched beyond these is fetched again, and is not there.
        self.inner = self.logs.reader(&[(first.partition().clone(), 10)])?;
        Ok(ReadStep::Records(first))
    }
}

impl Logs for Overtaking<'_> {
    fn reader(&self, from: &[(TopicPartition, i64)]) -> Result<Box<dyn Reader>, LogError> {
        let inner = self.logs.reader(from)?;
        // After retention has overtaken it, the replay goes on with a reader of its own making.
        if from != [(self.input.clone(), 0)] {
            return Ok(inner);
        }
        Ok(Box::new(OvertakenReader { logs: common::kafka::cluster(), inner, overtaken: false }))
    }

    fn member(&self, group: &str, instance: &str, topics: &[&str]) -> Result<Box<dyn Member>, LogError> {
        panic!("a replay joins no group: {group} {instance} {topics:?}")
    }

    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        panic!("a replay makes no producer: {name}")
    }

    fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, LogError> {
        self.logs.describe(topics)
    }

    fn create(&self, topics: &[NewTopic]) -> Result<(), LogError> {
        panic!("a replay makes no topic: {topics:?}")
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        self.logs.bounds(partition)
    }

    fn offset_at(&self, partition: &TopicPartition, at: Millis) -> Result<i64, LogError> {
        self.logs.offset_at(partition, at)
    }

    fn group_offsets(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<Commit>>, LogError> {
        self.logs.group_offsets(group, of)
    }

    fn trim(&self, partition: &TopicPartition, below: i64) -> Result<(), LogError> {
        panic!("a replay deletes nothing: {partition} {below}")
    }
}

#[test]
fn what_retention_takes_while_a_replay_reads_is_told_by_number_and_the_rest_is_replayed() {
    let fleet = Fleet::new("replay-overtaken");
    fleet.create_topics();
    fleet.send(&(0..300).map(|n| mention(n, TEXTS[n as usize % 7])).collect::<Vec<_>>());
    let mut daemon = fleet.start("one");
    daemon.is_ready();
    all_settled(&daemon, 300);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    let input = TopicPartition::new(&fleet.input(), 1);
    let whole = replayed(&fleet, &["--policy", SAMPLE]);
    assert_eq!((&whole["totals"]["mentions"], &whole["totals"]["gone"]), (&300.into(), &0.into()));

    let text = fs::read_to_string(fleet.path_of("one.toml")).unwrap();
    let settings = config::load("one.toml", &text, [], "here").settings;
    let wishes = Wishes { policy: SAMPLE.into(), ..Wishes::default() };
    let logs = Overtaking { logs: fleet.logs(), input };
    let told = replay::over_topics(&settings, &logs, &wishes, &Interrupt::default(), &mut |_| {}).unwrap();
    assert_eq!((told.totals.mentions, told.totals.gone), (270, 30), "{told}");
    assert!(told.to_string().contains("note: 30 are in the ledger and no longer in the input"), "{told}");
    assert!(told.moves.is_empty() && told.totals.undecided == 0, "{told}");
    // Whoever asks afterwards is told of all forty.
    assert_eq!(replayed(&fleet, &["--policy", SAMPLE])["totals"]["gone"], 40);
}
