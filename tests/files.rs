//! Runs over files: the same decisions as the daemon's, the same bytes each time, memory that does not grow.

#![allow(clippy::unwrap_used)]

mod common;

use common::program::{Fleet, mention};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_triaged");
const TEXTS: [&str; 6] = [
    "my bill is wrong, please explain",
    "my internet is down",
    "win a free iphone, giveaway, follow and retweet",
    "no refund for a month, mail jane.doe@example.org",
    "the card 4111 1111 1111 1111 was charged twice",
    "what a lovely morning",
];

/// The program over a file, under the sample policy.
fn file_run(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("run")
        .args(words)
        .env("TRIAGED__POLICY__FOLDER", concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn finish(mut command: Command) -> Output {
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn timed(number: u64, author: u64, at_ms: i64, text: &str) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap();
    format!(
        r#"{{"mention_id":"x:{number}","network":"x","account":"@brandcare","kind":"post","posted_at":"{at}","author":{{"id":"x:u{author}","handle":"@u{author}"}},"text":"{text}"}}"#
    )
}

/// Mentions of a few weeks: authors return, copies come, cases lapse.
fn some_weeks(count: u64) -> String {
    let mut text = String::new();
    for n in 0..count {
        let id = if n % 17 == 16 { n - 9 } else { n };
        let at = 1_600_000_000_000 + n as i64 * 1_777_777;
        text.push_str(&timed(id, n * n % 61, at, TEXTS[(n % 6) as usize]));
        text.push('\n');
    }
    text
}

fn records(lines: &[u8]) -> Vec<Value> {
    let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// What was decided of each mention, without positions, times and ids that come from positions.
fn decided(records: impl IntoIterator<Item = (String, Value)>) -> BTreeMap<String, Value> {
    let mut decided = BTreeMap::new();
    for (topic, mut value) in records {
        let fields = value.as_object_mut().unwrap();
        for position in ["assignment_id", "case_id", "posted_at", "plan"] {
            fields.remove(position);
        }
        let id = fields["mention_id"].as_str().unwrap().to_owned();
        fields.insert("topic".to_owned(), topic.into());
        assert!(decided.insert(id, value).is_none(), "a mention came out twice");
    }
    decided
}

#[test]
fn a_run_over_a_file_decides_what_the_daemon_on_kafka_decides() {
    let fleet = Fleet::new("files");
    fleet.create_topics();
    let mut sent: Vec<String> = (0..600)
        .map(|n| {
            let id = if n % 11 == 10 { n - 10 } else { n };
            // One author has one partition, so the order of each author's mentions is the same in both runs.
            mention(id, TEXTS[(id % 6) as usize]).replace(&format!("x:u{id}\""), &format!("x:u{}\"", id % 40))
        })
        .collect();
    sent.push("{\"mention_id\": 7".to_owned());
    fleet.send(&sent);
    let file = fleet.path_of("sent.ndjson");
    fs::write(&file, sent.join("\n")).unwrap();

    let folder = fleet.path_of("out");
    let words = ["run", "--from", file.to_str().unwrap(), "--to", folder.to_str().unwrap()];
    let (code, text) = fleet.triaged(&words);
    assert_eq!(code, Some(0), "{text}");
    let mut from_file = Vec::new();
    for desk in ["air", "care", "press", "tech"] {
        let topic = fleet.desk_topic(desk);
        let lines = records(&fs::read(folder.join(format!("{topic}.ndjson"))).unwrap());
        from_file.extend(lines.into_iter().map(|mut line| (topic.clone(), line["value"].take())));
    }
    let dead = records(&fs::read(folder.join(format!("{}dead.ndjson", fleet.prefix()))).unwrap());
    assert_eq!(dead.len(), 1, "{dead:?}");
    let from_file = decided(from_file);
    assert!(from_file.len() > 200, "{text}");

    let mut daemon = fleet.start("one");
    daemon.is_ready();
    daemon.wait_until("all are settled", |status| {
        status["mentions"]["read"] == 601 && status["mentions"]["in_flight"] == 0
    });
    fleet.wait_for_assignments(from_file.len());
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    assert_eq!(decided(fleet.desk_records()), from_file);
}

#[test]
fn two_runs_of_one_file_write_the_same_bytes_however_the_lines_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weeks.ndjson");
    let text = some_weeks(3_000);
    fs::write(&file, &text).unwrap();
    let whole = finish(file_run(&["--from", file.to_str().unwrap()]));
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    assert!(whole.stdout.windows(11).any(|bytes| bytes == b"case.closed"), "cases lapse by the file's times");

    let mut child = file_run(&["--from", "-", "--to", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pieces = std::thread::spawn(move || {
        for piece in text.as_bytes().chunks(7_001) {
            stdin.write_all(piece).unwrap();
            std::thread::yield_now();
        }
    });
    let piped = child.wait_with_output().unwrap();
    pieces.join().unwrap();
    assert_eq!(piped.status.code(), Some(0), "{}", said(&piped));
    assert!(whole.stdout == piped.stdout, "the same bytes");

    let mut written = [Vec::new(), Vec::new()];
    for bytes in &mut written {
        let out = folder.path().join("out");
        let run = finish(file_run(&["--from", file.to_str().unwrap(), "--to", out.to_str().unwrap()]));
        assert_eq!(run.status.code(), Some(0), "{}", said(&run));
        assert!(run.stdout.is_empty(), "data goes to the folder");
        let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().for_each(|path| bytes.extend(fs::read(path).unwrap()));
    }
    assert!(written[0] == written[1], "the same files");
    let sorted = |bytes: &[u8]| {
        let mut lines: Vec<Vec<u8>> = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    assert!(sorted(&written[0]) == sorted(&whole.stdout), "the same records in both places");
}

#[test]
fn every_line_ends_in_one_disposition_and_a_bad_one_is_a_dead_letter_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixed.ndjson");
    let good = |n| mention(n, "my bill is wrong");
    fs::write(&file, [good(1), "{bad".into(), String::new(), "[1]".into(), good(1), good(2)].join("\r\n"))
        .unwrap();
    let run = finish(file_run(&["--from", file.to_str().unwrap()]));
    let text = said(&run);
    assert_eq!(run.status.code(), Some(0), "{text}");
    assert!(text.contains("6 lines: 2 queued, 1 duplicate, 2 dead_letter; 1 blank"), "{text}");
    assert!(text.contains("line 2 is a dead letter: not_json"), "{text}");
    assert!(text.contains("line 4 is a dead letter: not_an_object"), "{text}");
    let records = records(&run.stdout);
    let keys: Vec<&str> =
        records.iter().map(|record| record["headers"]["triaged_src"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["mentions/0/0", "mentions/0/1", "mentions/0/3", "mentions/0/5"],
        "in the order of lines"
    );
    assert_eq!(records[1]["topic"], "triaged.dead-letter");
    assert_eq!(records[1]["value"]["reason"], "not_json");
}

#[test]
fn a_case_lapses_when_the_files_own_times_say_so() {
    let day = 86_400_000;
    let from = 1_600_000_000_000;
    let lines = [
        timed(1, 7, from, "my bill is wrong"),
        timed(2, 7, from + 60_000, "my bill is still wrong"),
        timed(3, 8, from + 30 * day, "my bill is wrong"),
        timed(4, 7, from + 31 * day, "my bill is wrong again"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quiet.ndjson");
    fs::write(&file, lines.join("\n")).unwrap();
    let run = finish(file_run(&["--from", file.to_str().unwrap()]));
    let records = records(&run.stdout);
    let kinds: Vec<&str> =
        records.iter().map(|record| record["headers"]["ce_type"].as_str().unwrap()).collect();
    let created = "assignment.created";
    assert_eq!(kinds, [created, "case.mention_added", "case.closed", created, created], "{}", said(&run));
    let closed = &records[2]["value"];
    assert_eq!(closed["reason"], "lapsed");
    let at: jiff::Timestamp = closed["closed_at"].as_str().unwrap().parse().unwrap();
    let quiet = at.as_millisecond() - (from + 60_000);
    assert!(quiet > 0 && quiet % 3_600_000 == 0 && quiet < 30 * day, "due to the millisecond: {quiet}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_run_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weeks.ndjson");
    fs::write(&file, some_weeks(5_000)).unwrap();
    let mut child = file_run(&["--from", file.to_str().unwrap()]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
    assert!(first.ends_with("}\n"), "{first}");
}

#[test]
fn what_cannot_be_read_or_written_is_told_by_name_and_code() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.ndjson");
    fs::write(&there, mention(1, "my bill is wrong")).unwrap();
    let there = there.to_str().unwrap();
    let gone = folder.path().join("gone.ndjson");
    let under_a_file = Path::new(there).join("out");
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--from", gone.to_str().unwrap()], 66, "gone.ndjson`: No such file"),
        (&["--from", folder.path().to_str().unwrap()], 66, "it is a folder"),
        (&["--from", there, "--to", under_a_file.to_str().unwrap()], 73, "there.ndjson/out`"),
        (&["--to", "-"], 64, "--from"),
    ];
    for (words, code, part) in cases {
        let run = finish(file_run(words));
        assert_eq!(run.status.code(), Some(code), "{words:?}: {}", said(&run));
        assert!(said(&run).contains(part), "{words:?}: {}", said(&run));
        assert!(run.stdout.is_empty());
    }
    let empty = folder.path().join("empty.ndjson");
    fs::write(&empty, "").unwrap();
    let run = finish(file_run(&["--from", empty.to_str().unwrap()]));
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert!(said(&run).contains("0 lines: nothing to decide"), "{}", said(&run));
}

/// Reads lines until so many were seen; the child's highest resident memory then, in KiB.
fn peak_after(child: &Child, out: &mut impl BufRead, lines: u64) -> u64 {
    let mut line = String::new();
    for seen in 0..lines {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "{seen} of {lines} lines came out");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_file_and_ctrl_c_drains_what_was_read() {
    let mut child = file_run(&["--from", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (warm, all) = (10_000_u64, 60_000_u64);
    let feeding = std::thread::spawn(move || {
        for n in 0..all {
            let line = mention(n, "my bill is wrong, please explain")
                .replace(&format!("u{n}\""), &format!("u{}\"", n % 50));
            writeln!(stdin, "{line}").unwrap();
        }
        stdin
    });
    let before = peak_after(&child, &mut out, warm);
    let after = peak_after(&child, &mut out, all - warm);
    // 50,000 mentions more, each some 2 KiB in its records, would take 100 MiB if they were kept.
    assert!(after < before + 24 * 1024, "from {before} to {after} KiB");

    let stdin = feeding.join().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    drop(stdin);
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(status.code(), Some(75), "{text}");
    assert!(text.contains("60000 lines: 60000 queued"), "{text}");
    assert!(text.contains("asked to end after line 60000"), "{text}");
    assert_eq!(rest, "", "everything was written before");
}
