//! Runs the program itself against the test broker: files in a folder of its own, topics with a prefix of its own.
//!
//! Owns the processes that it starts: whatever a test does, none outlives it. Called by tests of the whole daemon.
#![allow(dead_code, reason = "each test file takes what it needs")]

use super::kafka;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use triaged::kafka::KafkaLogs;
use triaged::log::{Logs, Outgoing, ReadStep, TopicPartition};

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(90);
const PROGRAM: &str = env!("CARGO_BIN_EXE_triaged");
pub const PARTITIONS: u32 = 3;

/// One fleet: a prefix on the broker, a policy folder, a configuration for each instance.
pub struct Fleet {
    folder: tempfile::TempDir,
    prefix: String,
    logs: KafkaLogs,
    bootstrap: String,
    /// Lines of triaged.toml that say how the brokers are reached, after those of `[kafka]` itself.
    reach: String,
}

/// One process.
pub struct Process {
    child: Child,
    socket: PathBuf,
    config: PathBuf,
    log: PathBuf,
    environment: Vec<(String, String)>,
}

/// A native mention of an author of its own.
pub fn mention(number: u64, text: &str) -> String {
    format!(
        r#"{{"mention_id":"x:{number}","network":"x","account":"@brandcare","kind":"post","author":{{"id":"x:u{number}","handle":"@u{number}"}},"text":"{text}"}}"#
    )
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Fleet {
    pub fn new(name: &str) -> Fleet {
        Fleet::reached(name, kafka::bootstrap(), kafka::cluster(), String::new())
    }

    /// A fleet on another broker, which the test itself reaches by `logs` and its instances by the lines of `reach`.
    pub fn reached(name: &str, bootstrap: &str, logs: KafkaLogs, reach: String) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy")),
            &folder.path().join("policy"),
        );
        let prefix = format!("{}.", kafka::fresh(name));
        let fleet = Fleet { folder, prefix, logs, bootstrap: bootstrap.to_owned(), reach };
        fleet.configure("one", bootstrap);
        fleet
    }

    /// A file of this fleet's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log_path(&self, instance: &str) -> PathBuf {
        self.path(&format!("{instance}-{}.log", self.prefix.len()))
    }

    fn configure(&self, instance: &str, bootstrap: &str) -> PathBuf {
        let (prefix, folder, reach) = (&self.prefix, self.folder.path().display(), &self.reach);
        let text = format!(
            r#"instance = "{instance}"
state_dir = "{folder}/state"
[kafka]
bootstrap = "{bootstrap}"
session_timeout = "6s"
{reach}
[topics]
mentions = "{prefix}mentions"
helpdesk_events = "{prefix}helpdesk"
ledger_prefix = "{prefix}ledger."
desks = "{prefix}desks"
control = "{prefix}control"
policies = "{prefix}policies"
snapshots = "{prefix}snapshots"
dead_letter = "{prefix}dead"
alerts = "{prefix}alerts"
assignments_prefix = "{prefix}assignments."
[group]
name = "{prefix}group"
[policy]
folder = "{folder}/policy"
[admin]
socket = "{folder}/{instance}.sock"
[limits]
buffer_mib = 64
"#,
        );
        let path = self.path(&format!("{instance}.toml"));
        fs::write(&path, text).unwrap();
        path
    }

    /// The cluster, for the test itself.
    pub fn logs(&self) -> &KafkaLogs {
        &self.logs
    }

    /// The name of a topic or group of this fleet.
    pub fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The name of the input topic.
    pub fn input(&self) -> String {
        format!("{}mentions", self.prefix)
    }

    /// The fixed topics' names.
    pub fn topic_names(&self) -> Vec<String> {
        let input = self.input();
        let names = ["helpdesk", "desks", "control", "policies", "snapshots", "dead"];
        let names = names.iter().map(|name| format!("{}{name}", self.prefix));
        names.chain([format!("{}ledger.{input}", self.prefix), input.clone()]).collect()
    }

    /// Runs the program to its end with this fleet's configuration; exit code, and all that it said.
    pub fn triaged(&self, words: &[&str]) -> (Option<i32>, String) {
        self.triaged_with("one.toml", words)
    }

    /// The same with another configuration of this fleet's folder.
    pub fn triaged_with(&self, config: &str, words: &[&str]) -> (Option<i32>, String) {
        let config = self.path(config);
        said(Command::new(PROGRAM).args(words).arg("--config").arg(config))
    }

    /// The program with this fleet's configuration, not started yet.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--config").arg(self.path("one.toml"));
        command
    }

    /// Where a test may put a file of its own.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    /// What begins every topic's name.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Every record of the desks' topics, each with its topic.
    pub fn desk_records(&self) -> Vec<(String, Value)> {
        let mut records = Vec::new();
        for desk in ["air", "care", "press", "tech"] {
            for partition in 0..PARTITIONS {
                let topic = self.desk_topic(desk);
                for value in read_values(&self.logs, &TopicPartition::new(&topic, partition)) {
                    records.push((topic.clone(), serde_json::from_slice(&value).unwrap()));
                }
            }
        }
        records
    }

    /// Runs the daemon to its end with another configuration.
    pub fn run_with(&self, config: &str) -> (Option<i32>, String) {
        let path = self.path("wrong.toml");
        fs::write(&path, config).unwrap();
        said(Command::new(PROGRAM).arg("run").arg("--config").arg(path))
    }

    pub fn create_topics(&self) {
        let partitions = PARTITIONS.to_string();
        let (code, text) =
            self.triaged(&["topics", "--create", "--partitions", &partitions, "--desk-partitions", "4"]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(&self.input()) && text.contains("made"), "{text}");
    }

    /// Adds a rule file to the policy folder.
    pub fn write_rule(&self, text: &str) {
        fs::write(self.path("policy/rules/added.toml"), text).unwrap();
    }

    /// Sends records, each to the partition of its place in the list, and waits for the broker.
    pub fn send(&self, values: &[String]) {
        let mut producer = self.logs.producer("test").unwrap();
        for partition in 0..PARTITIONS {
            let mut batch = Outgoing::default();
            for value in values.iter().filter(|value| home(value) == partition) {
                batch.push(None, Some(value.as_bytes()));
            }
            if !batch.is_empty() {
                kafka::send(producer.as_mut(), &TopicPartition::new(&self.input(), partition), &batch);
            }
        }
    }

    pub fn start(&self, instance: &str) -> Process {
        self.start_at(instance, &self.bootstrap)
    }

    /// Starts the daemon, which looks for the broker there.
    pub fn start_at(&self, instance: &str, bootstrap: &str) -> Process {
        let config = self.configure(instance, bootstrap);
        self.start_with(instance, config, self.path(&format!("{instance}.sock")), &[])
    }

    /// A configuration for the broker that leaves the daemon's name, folders and socket to the unit.
    fn configure_as_unit(&self, instance: &str) -> PathBuf {
        let config = self.configure(instance, kafka::bootstrap());
        let text = fs::read_to_string(&config).unwrap();
        let left = |line: &&str| !["state_dir", "socket", "[admin]"].iter().any(|key| line.starts_with(key));
        fs::write(&config, text.lines().filter(left).map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        config
    }

    /// Starts the daemon as a unit does: its folders and its socket are those that the environment names.
    pub fn start_as_unit(&self, instance: &str, runtime: &Path, environment: &[(&str, &str)]) -> Process {
        let config = self.configure_as_unit(instance);
        self.start_with(instance, config, runtime.join("admin.sock"), environment)
    }

    /// A folder with what stands in /etc/triaged of a machine of this fleet.
    pub fn unit_folder(&self) -> PathBuf {
        let etc = self.path("etc");
        copy_folder(&self.path("policy"), &etc.join("policy"));
        let text = fs::read_to_string(self.configure_as_unit("one")).unwrap();
        let policy = format!("folder = \"{}\"", self.path("policy").display());
        assert!(text.contains(&policy) && text.starts_with("instance = "), "{text}");
        let text = text.replace(&policy, "folder = \"/etc/triaged/policy\"");
        fs::write(etc.join("triaged.toml"), text.split_once('\n').unwrap().1).unwrap();
        etc
    }

    fn start_with(
        &self,
        instance: &str,
        config: PathBuf,
        socket: PathBuf,
        environment: &[(&str, &str)],
    ) -> Process {
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let log = self.log_path(instance);
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(PROGRAM)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .envs(environment.clone())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Process { child, socket, config, log, environment }
    }

    /// How often each mention id stands in the desks' topics.
    pub fn assignments(&self) -> BTreeMap<String, u32> {
        let mut found = BTreeMap::new();
        for desk in ["air", "care", "press", "tech"] {
            let topic = format!("{}assignments.{desk}", self.prefix);
            for partition in 0..PARTITIONS {
                let partition = TopicPartition::new(&topic, partition);
                let (start, end) = self.logs.bounds(&partition).unwrap();
                if start < end {
                    self.read(&partition, start, end, &mut found);
                }
            }
        }
        found
    }

    fn read(&self, partition: &TopicPartition, start: i64, end: i64, found: &mut BTreeMap<String, u32>) {
        let mut reader = self.logs.reader(&[(partition.clone(), start)]).unwrap();
        loop {
            match reader.read(Duration::from_millis(100)).unwrap() {
                ReadStep::Records(records) => {
                    for record in records.iter() {
                        let value: Value = serde_json::from_slice(record.value.unwrap()).unwrap();
                        // The end of a case names no mention.
                        if let Some(id) = value["mention_id"].as_str() {
                            *found.entry(id.to_owned()).or_default() += 1;
                        }
                    }
                    if records.span().is_some_and(|(_, last)| last + 1 >= end) {
                        return;
                    }
                }
                ReadStep::End(..) => return,
                ReadStep::Nothing => {}
            }
        }
    }

    /// The topic of a desk.
    pub fn desk_topic(&self, desk: &str) -> String {
        format!("{}assignments.{desk}", self.prefix)
    }

    /// Waits until the desk's topic has at least so many records; how many in each partition.
    pub fn wait_for_records_of(&self, desk: &str, count: i64) -> Vec<i64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ends: Vec<i64> = (0..PARTITIONS)
                .map(|n| self.logs.bounds(&TopicPartition::new(&self.desk_topic(desk), n)).unwrap().1)
                .collect();
            if ends.iter().sum::<i64>() >= count {
                return ends;
            }
            assert!(Instant::now() < deadline, "{ends:?} of {count} records came out");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many records stand in the desks' topics.
    fn records(&self) -> i64 {
        let desks =
            ["air", "care", "press", "tech"].iter().map(|desk| format!("{}assignments.{desk}", self.prefix));
        let partitions = desks.flat_map(|topic| (0..PARTITIONS).map(move |n| TopicPartition::new(&topic, n)));
        partitions.map(|partition| self.logs.bounds(&partition).unwrap().1).sum()
    }

    /// Waits until at least so many records stand in the desks' topics; reads none of them.
    pub fn wait_for_records(&self, count: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.records() < count {
            assert!(Instant::now() < deadline, "{} records of {count} came out", self.records());
        }
    }

    /// Waits until at least so many different mentions stand in the desks' topics.
    pub fn wait_for_assignments(&self, count: usize) -> BTreeMap<String, u32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ends = self.records();
            if ends >= count as i64 {
                let found = self.assignments();
                if found.len() >= count {
                    return found;
                }
            }
            assert!(Instant::now() < deadline, "{ends} records of {count} came out");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The audit of everything that was done.
    pub fn audit_finds_nothing(&self) {
        let (code, text) = self.triaged(&["audit", "--sample", "1"]);
        assert_eq!(code, Some(0), "{text}");
    }
}

/// Every value of a partition.
fn read_values(logs: &KafkaLogs, partition: &TopicPartition) -> Vec<Vec<u8>> {
    let (start, end) = logs.bounds(partition).unwrap();
    let mut values = Vec::new();
    if start == end {
        return values;
    }
    let mut reader = logs.reader(&[(partition.clone(), start)]).unwrap();
    loop {
        match reader.read(Duration::from_millis(100)).unwrap() {
            ReadStep::Records(records) => {
                values.extend(records.iter().filter_map(|record| record.value.map(<[u8]>::to_vec)));
                if records.span().is_some_and(|(_, last)| last + 1 >= end) {
                    return values;
                }
            }
            ReadStep::End(..) => return values,
            ReadStep::Nothing => {}
        }
    }
}

/// The partition of a record: by its author, as its text says it.
fn home(value: &str) -> u32 {
    let author = value.split(r#""id":"x:u"#).nth(1).and_then(|rest| rest.split('"').next());
    author.and_then(|author| author.parse::<u32>().ok()).unwrap_or(0) % PARTITIONS
}

fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

impl Process {
    /// What all processes of this name have said.
    pub fn log_of(fleet: &Fleet, instance: &str) -> String {
        fs::read_to_string(fleet.log_path(instance)).unwrap_or_default()
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    pub fn metrics(&self) -> String {
        self.get("/metrics").unwrap().1
    }

    pub fn ctl(&self, words: &[&str]) -> (Option<i32>, String) {
        let environment = self.environment.clone();
        said(Command::new(PROGRAM).arg("ctl").args(words).arg("--config").arg(&self.config).envs(environment))
    }

    pub fn status(&self) -> Value {
        let (code, text) = self.ctl(&["status", "--json"]);
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until records flow.
    pub fn is_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get("/readyz");
            if answer.as_ref().is_some_and(|(status, _)| *status == 200) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "not ready: {answer:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the status says so.
    pub fn wait_until(&self, what: &str, done: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Before the socket is there nobody answers.
            let answer = self.get("/v1/status").map(|(_, text)| text).unwrap_or_default();
            let status = serde_json::from_str(&answer).unwrap_or_default();
            if done(&status) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {status:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// SIGTERM; the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.exit(PATIENCE)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; the exit code.
    pub fn exit(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
