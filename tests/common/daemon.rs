//! The real daemon under test: topics of its own, a configuration, and its process with every signal.
//!
//! Owns the folders and the processes: a process is killed when its handle goes, so a failing test leaves none
//! behind. May not judge what the daemon did: the oracle does. Called by the fault tests.

use super::mentions::{Sent, policy};
use rustix::process::{Pid, Signal, kill_process};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use triaged::kafka::{KafkaLogs, KafkaSettings};
use triaged::log::{Logs, NewTopic, Outgoing, Ticket, TopicPartition};

/// How long a test waits for anything before it says what it saw last.
pub const LIMIT: Duration = Duration::from_secs(240);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The names of the desks of the tests' policy.
pub const DESKS: [&str; 2] = ["care", "tech"];

/// Topics, policy folder and configuration that the instances of one test share.
pub struct Fleet {
    /// Begins every topic's name; also the group's.
    pub prefix: String,
    /// Partitions of the input.
    pub partitions: u32,
    /// The cluster, for the test itself.
    pub logs: KafkaLogs,
    /// Where the broker is.
    pub bootstrap: String,
    folder: tempfile::TempDir,
    more: String,
}

/// What a fleet may have that differs from the others.
#[derive(Default)]
pub struct FleetOptions {
    /// Configuration of the input topic.
    pub input: Vec<(&'static str, &'static str)>,
    /// Lines at the end of triaged.toml.
    pub more: String,
    /// `max.message.bytes` of every topic, where it is not the broker's.
    pub message_bytes_max: Option<&'static str>,
}

impl Fleet {
    /// A fleet on the broker at `bootstrap`, with every topic made.
    pub fn new(bootstrap: &str, name: &str, partitions: u32, options: FleetOptions) -> Fleet {
        let mut settings = KafkaSettings::new(bootstrap);
        settings.session_timeout_ms = 6_000;
        if let Some(bytes) = options.message_bytes_max {
            settings.client.insert("message.max.bytes".to_owned(), bytes.to_owned());
        }
        let logs = KafkaLogs::new(settings).expect("the test's settings are allowed");
        let prefix = super::kafka::fresh(name);
        let folder = tempfile::tempdir().expect("a folder");
        let fleet =
            Fleet { prefix, partitions, logs, bootstrap: bootstrap.to_owned(), folder, more: options.more };
        fs::create_dir(fleet.folder.path().join("policy")).expect("a folder for the policy");
        fleet.write_policy(false);
        fleet.create_topics(&options.input, options.message_bytes_max);
        fleet
    }

    fn create_topics(&self, input: &[(&str, &str)], bytes: Option<&str>) {
        let mut topics = Vec::new();
        let mut add = |name: String, partitions: u32, config: &[(&str, &str)]| {
            let mut config: Vec<(String, String)> =
                config.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
            config.extend(bytes.map(|bytes| ("max.message.bytes".to_owned(), bytes.to_owned())));
            topics.push(NewTopic { name, partitions, replication: 1, config });
        };
        let compacted = [("cleanup.policy", "compact")];
        add(self.input(), self.partitions, input);
        add(self.ledger(), self.partitions, &[("retention.ms", "-1")]);
        add(self.desks(), 2, &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")]);
        let control = [compacted[0], ("min.compaction.lag.ms", "3600000")];
        add(self.topic("control"), 1, &control);
        add(self.topic("policies"), 1, &compacted);
        add(self.topic("snapshots"), 2, &compacted);
        add(self.topic("helpdesk"), 2, &[]);
        add(self.dead_letter(), 2, &[]);
        add(self.topic("alerts"), 1, &[]);
        for desk in DESKS {
            add(self.assignments(desk), 3, &[]);
        }
        self.logs.create(&topics).expect("the topics are made");
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The input topic.
    pub fn input(&self) -> String {
        self.topic("mentions")
    }

    /// The ledger of the input.
    pub fn ledger(&self) -> String {
        format!("{}{}", self.topic("ledger."), self.input())
    }

    /// The desk log.
    pub fn desks(&self) -> String {
        self.topic("desks")
    }

    /// Dead letters.
    pub fn dead_letter(&self) -> String {
        self.topic("dead-letter")
    }

    /// A desk's assignments.
    pub fn assignments(&self, desk: &str) -> String {
        self.topic(&format!("assignments.{desk}"))
    }

    /// The consumer group of the triage, or of the desks.
    pub fn group(&self, of: &str) -> String {
        format!("{}.{of}", self.prefix)
    }

    /// Other lines at the end of triaged.toml, for instances that are started from now on.
    pub fn set_more(&mut self, more: &str) {
        more.clone_into(&mut self.more);
    }

    /// The policy folder of all instances.
    pub fn policy_folder(&self) -> PathBuf {
        self.folder.path().join("policy")
    }

    /// Puts the first or the second policy into the folder; nothing follows until a reload.
    pub fn write_policy(&self, second: bool) {
        fs::write(self.folder.path().join("policy/all.toml"), policy(second)).expect("the policy is written");
    }

    /// Writes the configuration of an instance; its path.
    pub fn config(&self, instance: &str) -> PathBuf {
        let folder = self.folder.path();
        let text = format!(
            r#"instance = "{instance}"
state_dir = "{state}"
[kafka]
bootstrap = "{bootstrap}"
session_timeout = "6s"
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
folder = "{policy}"
[limits]
buffer_mib = 128
[desk]
tick_interval = "250ms"
snapshot_interval = "2s"
[admin]
socket = "{socket}"
{more}
"#,
            state = folder.join(format!("state-{instance}")).display(),
            bootstrap = self.bootstrap,
            input = self.input(),
            prefix = self.prefix,
            policy = folder.join("policy").display(),
            socket = folder.join(format!("{instance}.sock")).display(),
            more = self.more,
        );
        let path = folder.join(format!("{instance}.toml"));
        fs::write(&path, text).expect("the configuration is written");
        path
    }

    /// Starts an instance.
    pub fn start(&self, instance: &str) -> Daemon {
        self.start_with(instance, &[])
    }

    /// Starts an instance with these environment variables.
    pub fn start_with(&self, instance: &str, environment: &[(&str, &str)]) -> Daemon {
        let config = self.config(instance);
        let said = self.folder.path().join(format!("{instance}.log"));
        let log = fs::File::options().create(true).append(true).open(&said).expect("a file for its log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
        command.arg("run").arg("--config").arg(config).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("one more handle")).stderr(log);
        command.envs(environment.iter().copied());
        let child = command.spawn().expect("the daemon starts");
        let socket = self.folder.path().join(format!("{instance}.sock"));
        Daemon {
            child: RefCell::new(child),
            instance: instance.to_owned(),
            said,
            socket,
            ended: Cell::new(None),
        }
    }

    /// Sends records, in their order within each partition, and waits for the broker's word.
    pub fn send(&self, producer: &mut dyn triaged::log::Producer, records: &[Sent]) {
        let mut batches: BTreeMap<u32, Outgoing> = BTreeMap::new();
        for record in records {
            batches.entry(record.partition).or_default().push(Some(&record.key), Some(&record.value));
        }
        let ticket = Arc::new(Ticket::new());
        for (partition, batch) in batches {
            let to = TopicPartition::new(&self.input(), partition);
            producer.send(&to, &batch, &ticket).expect("the batch is enqueued");
        }
        until("the broker takes the mentions", &[], || {
            producer.flush(LOOK);
            let done = ticket.is_settled();
            assert_eq!(ticket.failure(), None, "a mention could not be sent");
            if done { Ok(()) } else { Err("no answer yet".to_owned()) }
        });
    }

    /// The offset after the last record that the broker would hand out, per partition: what must be committed.
    pub fn ends(&self, topic: &str, partitions: u32) -> Vec<i64> {
        let mut ends = vec![0; partitions as usize];
        read_all(&self.logs, topic, partitions, |partition, record| {
            ends[partition as usize] = record.offset + 1;
        });
        ends
    }

    /// What a group has committed, per partition of `topic`; 0 where it has committed nothing.
    pub fn committed(&self, of: &str, topic: &str, partitions: u32) -> Result<Vec<i64>, String> {
        let places: Vec<TopicPartition> =
            (0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect();
        let commits = self.logs.group_offsets(&self.group(of), &places).map_err(|error| error.to_string())?;
        Ok(commits.into_iter().map(|commit| commit.map_or(0, |commit| commit.offset)).collect())
    }

    /// How many mentions are settled, by what the group has committed; what went wrong otherwise.
    pub fn progress(&self) -> Result<i64, String> {
        Ok(self.committed("triage", &self.input(), self.partitions)?.iter().sum())
    }

    /// Waits until every mention is settled and every desk has read what it was sent.
    pub fn finish(&self, daemons: &[&Daemon]) {
        let ends = self.ends(&self.input(), self.partitions);
        until("every mention is settled", daemons, || {
            let committed = self.committed("triage", &self.input(), self.partitions)?;
            let done = committed.iter().zip(&ends).all(|(committed, end)| committed >= end);
            if done { Ok(()) } else { Err(format!("committed {committed:?} of {ends:?}")) }
        });
        let ends = self.ends(&self.desks(), 2);
        until("every desk has read its log", daemons, || {
            let committed = self.committed("desk", &self.desks(), 2)?;
            let done = committed.iter().zip(&ends).all(|(committed, end)| committed >= end);
            if done { Ok(()) } else { Err(format!("committed {committed:?} of {ends:?}")) }
        });
    }

    /// Runs a verb of the daemon's program; its exit status and what it said.
    pub fn verb(&self, verb: &str) -> (ExitStatus, String) {
        self.verb_with(verb, &[])
    }

    /// Runs a verb with these options besides.
    pub fn verb_with(&self, verb: &str, options: &[&str]) -> (ExitStatus, String) {
        let config = self.config("outside");
        let answer = Command::new(env!("CARGO_BIN_EXE_triaged"))
            .arg(verb)
            .args(options)
            .arg("--config")
            .arg(config)
            .output()
            .expect("the program runs");
        let said = [answer.stdout, answer.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (answer.status, said.join("\n"))
    }
}

/// Reads a topic from its start to its end as of now.
pub fn read_all(
    logs: &KafkaLogs,
    topic: &str,
    partitions: u32,
    mut take: impl FnMut(u32, triaged::log::Record<'_>),
) {
    use triaged::log::{LogError, ReadStep};
    let from: Vec<(TopicPartition, i64)> = (0..partitions)
        .map(|partition| TopicPartition::new(topic, partition))
        .map(|place| (place.clone(), logs.bounds(&place).expect("the partition is there").0))
        .collect();
    let mut reader = logs.reader(&from).expect("a reader");
    let mut open = vec![true; partitions as usize];
    let deadline = Instant::now() + LIMIT;
    while open.contains(&true) {
        assert!(Instant::now() < deadline, "`{topic}` cannot be read to its end: {open:?}");
        match reader.read(LOOK) {
            // A broker that has just come back may look away for a moment.
            Ok(ReadStep::Nothing) | Err(LogError::Away(_)) => {}
            Err(error) => panic!("`{topic}` cannot be read: {error}"),
            Ok(ReadStep::Records(records)) => {
                let partition = records.partition().partition;
                // What came after the end was seen belongs to the next look.
                if open[partition as usize] {
                    records.iter().for_each(|record| take(partition, record));
                }
            }
            Ok(ReadStep::End(place, _)) => open[place.partition as usize] = false,
        }
    }
}

/// Waits for a condition; after the limit, or when a daemon ends, fails with what was seen last and what they said.
pub fn until<T>(what: &str, daemons: &[&Daemon], mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => {
                let ended: Vec<_> = daemons.iter().filter_map(|daemon| daemon.status()).collect();
                if Instant::now() >= deadline || !ended.is_empty() {
                    let said: Vec<String> = daemons.iter().map(|daemon| daemon.tail()).collect();
                    let said = said.join("\n");
                    panic!("gave up waiting until {what}; last seen: {seen}; ended: {ended:?}\n{said}");
                }
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// A running instance.
pub struct Daemon {
    child: RefCell<Child>,
    instance: String,
    said: PathBuf,
    socket: PathBuf,
    ended: Cell<Option<ExitStatus>>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.status().is_none() {
            let _ = self.child.borrow_mut().kill();
            let _ = self.child.borrow_mut().wait();
        }
    }
}

impl Daemon {
    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        if self.ended.get().is_none() {
            self.ended.set(self.child.borrow_mut().try_wait().expect("the process can be asked"));
        }
        self.ended.get()
    }

    /// All that it said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// The end of what it said.
    pub fn tail(&self) -> String {
        let said = self.log();
        let lines: Vec<&str> = said.lines().collect();
        let from = lines.len().saturating_sub(30);
        format!("--- {} said at last:\n{}", self.instance, lines[from..].join("\n"))
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.borrow().id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("the process takes signals");
    }

    /// Kills it as a power cut would.
    pub fn kill9(self) {
        assert_eq!(self.status(), None, "it must have lived until it was killed\n{}", self.tail());
        let mut child = self.child.borrow_mut();
        child.kill().expect("the process can be killed");
        self.ended.set(Some(child.wait().expect("the process ends")));
    }

    /// Stops its time.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets its time go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to drain and end, and waits: it must end with exit code 0.
    pub fn terminate(self) {
        assert_eq!(self.status(), None, "it must have lived until it was told to end\n{}", self.tail());
        self.takes_signals();
        self.signal(Signal::TERM);
        let status = self.wait("it drains and ends");
        assert_eq!(status.code(), Some(0), "it ends in good order\n{}", self.tail());
    }

    /// Waits until it looks after SIGTERM itself: told to end in its first milliseconds, any program just ends.
    fn takes_signals(&self) {
        let status = format!("/proc/{}/status", self.child.borrow().id());
        let deadline = Instant::now() + LIMIT;
        let caught = || {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
            mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or_default()
        };
        while caught() >> (Signal::TERM.as_raw() - 1) & 1 == 0 {
            assert!(Instant::now() < deadline, "it never takes signals\n{}", self.tail());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end.
    pub fn wait(&self, what: &str) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.status() {
                return status;
            }
            assert!(Instant::now() < deadline, "still waiting: {what}\n{}", self.tail());
            std::thread::sleep(LOOK);
        }
    }

    /// Asks the admin socket; the status code and the body.
    pub fn ask(&self, method: &str, path: &str) -> Result<(u16, String), String> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        Ok((code.ok_or_else(|| format!("no HTTP: {answer:?}"))?, body))
    }

    /// Waits until it says that records flow.
    pub fn ready(&self) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let seen = self.ask("GET", "/readyz");
            if matches!(seen, Ok((200, _))) {
                return;
            }
            let status = self.status();
            assert!(
                status.is_none() && Instant::now() < deadline,
                "it does not become ready: {seen:?}, ended: {status:?}\n{}",
                self.tail()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Has it take the policy folder over.
    pub fn reload(&self) {
        self.ready();
        let (code, body) = self.ask("POST", "/v1/policy/reload").expect("the admin socket answers");
        assert_eq!(code, 200, "the policy is taken over: {body}\n{}", self.tail());
    }
}
