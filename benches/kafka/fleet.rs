//! A daemon on the broker, or a bare program in its place: topics of its own, its process, what it used.
//!
//! Owns processes and topics: both go with the value. What is measured is read from /proc of that process alone.

use crate::bare::Lane;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use triage_engine::policy::Bundle;
use triaged::kafka::{KafkaLogs, KafkaSettings};
use triaged::log::{Logs, TopicPartition};

/// Partitions of the desk log.
pub const DESK_PARTITIONS: u32 = 2;
/// After how many seconds of silence an instance's partitions go to another one: the least that may be configured.
pub const SESSION_TIMEOUT_S: u32 = 6;
/// The instances that may be started; most parts need only the first.
pub const INSTANCES: [&str; 2] = ["bench", "other"];
/// The desks of the benches' policies; only the first two are in force but where a part puts others in.
pub const DESKS: [&str; 3] = ["care", "tech", "help"];

/// Topics, policy and configuration of one run.
pub struct Fleet {
    pub logs: KafkaLogs,
    pub bootstrap: String,
    pub input: String,
    pub partitions: u32,
    desks: &'static [&'static str],
    prefix: String,
    folder: tempfile::TempDir,
}

/// What is read of an instance's status.
#[derive(Deserialize)]
struct Status {
    lanes: Vec<LaneStatus>,
    policy: PolicyStatus,
}

#[derive(Deserialize)]
struct PolicyStatus {
    generation: String,
}

#[derive(Deserialize)]
struct LaneStatus {
    live: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    topic: String,
    partition: u32,
}

/// A process and what it has used.
pub struct Process {
    child: Child,
    /// What records where its time goes.
    watcher: Option<Child>,
    log: PathBuf,
}

/// Processor time and memory of a process.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Seconds, user and system.
    pub cpu: f64,
    /// Resident now, and at most so far, in MiB.
    pub resident: f64,
    pub peak: f64,
}

/// A name that no run had before.
pub fn fresh(name: &str) -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let at = jiff::Timestamp::now().as_millisecond();
    format!("bench.{name}.{at}.{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// Deletes topics, best effort: a bench must not fill the disk.
pub fn delete(bootstrap: &str, topics: &[String]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = runtime.block_on(admin.delete_topics(&names, &AdminOptions::new()));
}

impl Drop for Fleet {
    fn drop(&mut self) {
        delete(&self.bootstrap, &self.topics());
    }
}

impl Fleet {
    /// Topics for one run over `input`, which is there already.
    pub fn new(
        bootstrap: &str,
        input: &str,
        partitions: u32,
        preset: &'static str,
        policy: &Bundle,
    ) -> Fleet {
        let fleet = Fleet {
            logs: KafkaLogs::new(KafkaSettings::new(bootstrap)).expect("the settings are allowed"),
            bootstrap: bootstrap.to_owned(),
            input: input.to_owned(),
            partitions,
            desks: &DESKS[..2],
            prefix: fresh("run"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        fleet.write_policy(policy);
        for instance in INSTANCES {
            fleet.write_configuration(instance, preset);
        }
        fleet.create_topics();
        fleet
    }

    /// Makes the topics that the policy in the folder needs and that are not there.
    fn create_topics(&self) {
        let (count, desks) = (self.partitions.to_string(), DESK_PARTITIONS.to_string());
        let (done, said) =
            self.run(&["topics", "--create", "--partitions", &count, "--desk-partitions", &desks]);
        assert!(done, "{said}");
    }

    /// Makes the topics that this policy needs too, whose desks are others; the one in the folder stays there.
    pub fn prepare(&mut self, policy: &Bundle, now: &Bundle) {
        self.desks = &DESKS;
        self.write_policy(policy);
        self.create_topics();
        self.write_policy(now);
    }

    /// Puts a policy into the folder.
    pub fn write_policy(&self, policy: &Bundle) {
        for (path, text) in &policy.files {
            let path = self.folder.path().join("policy").join(path);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder for the policy");
            fs::write(path, text).expect("the policy is written");
        }
    }

    fn write_configuration(&self, instance: &str, preset: &str) {
        let (prefix, folder) = (&self.prefix, self.folder.path().display());
        let text = format!(
            r#"instance = "{instance}"
state_dir = "{folder}/state-{instance}"
[kafka]
bootstrap = "{bootstrap}"
session_timeout = "{SESSION_TIMEOUT_S}s"
[topics]
mentions = "{input}"
helpdesk_events = "{prefix}.helpdesk"
ledger_prefix = "{prefix}.ledger."
desks = "{prefix}.desks"
control = "{prefix}.control"
policies = "{prefix}.policies"
snapshots = "{prefix}.snapshots"
dead_letter = "{prefix}.dead-letter"
alerts = "{prefix}.alerts"
assignments_prefix = "{prefix}.assignments."
[group]
name = "{prefix}"
[policy]
folder = "{folder}/policy"
[input]
preset = "{preset}"
[admin]
socket = "{folder}/{instance}.sock"
"#,
            bootstrap = self.bootstrap,
            input = self.input,
        );
        fs::write(self.configuration(instance), text).expect("the configuration is written");
    }

    fn configuration(&self, instance: &str) -> PathBuf {
        self.folder.path().join(format!("{instance}.toml"))
    }

    fn verb(&self, instance: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
        command.args(words).arg("--config").arg(self.configuration(instance));
        command.stdin(Stdio::null());
        command
    }

    /// What an instance answers when all is well.
    fn ask(&self, instance: &str, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join(format!("{instance}.sock"))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }

    /// Whether the daemon says that records flow.
    pub fn is_ready(&self, instance: &str) -> bool {
        self.ask(instance, "/readyz").is_some()
    }

    fn status(&self, instance: &str) -> Option<Status> {
        serde_json::from_str(&self.ask(instance, "/v1/status")?).ok()
    }

    /// The policy that an instance says is in force.
    pub fn in_force(&self, instance: &str) -> Option<String> {
        self.status(instance).map(|status| status.policy.generation)
    }

    /// A gauge of the first instance, all its series together; nothing while it does not answer.
    pub fn gauge(&self, name: &str) -> f64 {
        let scrape = self.ask(INSTANCES[0], "/metrics").unwrap_or_default();
        let series = scrape
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// The partitions of the input, and of the desk log, that an instance reads.
    pub fn live(&self, instance: &str) -> [BTreeSet<u32>; 2] {
        let partitions: Vec<Place> = self
            .status(instance)
            .map_or_else(Vec::new, |status| status.lanes.into_iter().flat_map(|lane| lane.live).collect());
        [self.input.clone(), self.desks()].map(|topic| {
            partitions.iter().filter(|place| place.topic == topic).map(|place| place.partition).collect()
        })
    }

    /// Runs a verb to its end; whether it went well, and all that it said.
    pub fn run(&self, words: &[&str]) -> (bool, String) {
        let answer = self.verb(INSTANCES[0], words).output().expect("the program runs");
        let said = [answer.stdout, answer.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (answer.status.success(), said.concat())
    }

    pub fn ledger(&self) -> String {
        format!("{}.ledger.{}", self.prefix, self.input)
    }

    pub fn desks(&self) -> String {
        format!("{}.desks", self.prefix)
    }

    pub fn assignments(&self) -> Vec<String> {
        self.desks.iter().map(|desk| format!("{}.assignments.{desk}", self.prefix)).collect()
    }

    fn topics(&self) -> Vec<String> {
        let rest = ["helpdesk", "control", "policies", "snapshots", "dead-letter", "alerts"];
        let rest = rest.iter().map(|name| format!("{}.{name}", self.prefix));
        rest.chain(self.assignments()).chain([self.ledger(), self.desks()]).collect()
    }

    /// Records of a topic so far.
    pub fn records(&self, topic: &str, partitions: u32) -> i64 {
        let of = |partition| {
            self.logs.bounds(&TopicPartition::new(topic, partition)).expect("the topic is there").1
        };
        (0..partitions).map(of).sum()
    }

    /// Assignments written so far.
    pub fn routed(&self) -> i64 {
        self.assignments().iter().map(|topic| self.records(topic, self.partitions)).sum()
    }

    /// Starts the daemon.
    pub fn start(&self) -> Process {
        self.start_as(INSTANCES[0])
    }

    /// Starts an instance of the daemon.
    pub fn start_as(&self, instance: &str) -> Process {
        self.spawn(self.verb(instance, &["run"]))
    }

    /// Starts a bare program, this very file under another name of work.
    pub fn start_bare(&self, lanes: &[Lane]) -> Process {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.arg("--bare").arg(serde_json::to_string(lanes).expect("lanes can be written"));
        command.stdin(Stdio::null());
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Process {
        let log = self.folder.path().join("said.log");
        let file = fs::File::options().create(true).append(true).open(&log).expect("a file for its log");
        command.stdout(file.try_clone().expect("one more handle")).stderr(file);
        Process { child: command.spawn().expect("it starts"), watcher: None, log }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// What it has used so far.
    pub fn used(&self) -> Used {
        let id = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            kib.unwrap_or(0.0) / 1024.0
        };
        // Linux shows hundredths of a second here, whatever its own clock does.
        Used { cpu: ticks as f64 / 100.0, resident: field("VmRSS:"), peak: field("VmHWM:") }
    }

    /// Records where its time goes until it ends, if `BENCH_PERF` names a file for that.
    pub fn profile(&mut self) {
        let Ok(file) = std::env::var("BENCH_PERF") else { return };
        let id = self.child.id().to_string();
        let words = ["record", "--quiet", "-F", "499", "--call-graph", "dwarf,16384", "-o", &file, "-p", &id];
        let started = Command::new("perf").args(words).stdin(Stdio::null()).spawn();
        self.watcher =
            Some(started.expect("BENCH_PERF needs Linux perf; it ends with the process that it watches"));
    }

    /// Panics with what it said if it has ended.
    pub fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().expect("it can be asked") {
            panic!("it ended, {status}:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(watcher) = &mut self.watcher {
            let _ = watcher.wait();
        }
    }

    /// Waits until `done`; panics with what the process said when it ends or five minutes pass.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Process) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !done(self) {
            self.must_run();
            assert!(
                Instant::now() < deadline,
                "still waiting: {what}\n{}",
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
