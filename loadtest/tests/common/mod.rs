//! What the tests of the load tester share: a broker, a scenario that no slow machine spoils, daemons, the program.
//!
//! Owns the folders and processes of one test. Called by the tests beside it.

pub mod faulty;

use faulty::{Bug, Faulty};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use triaged::clock::SystemClock;
use triaged::config::{self, Settings};
use triaged::log::Logs;
use triaged::pipeline::{Daemon, Tuning, connect, policy, topics};

/// The port of the broker that tests start for themselves.
const TEST_PORT: &str = "19392";
const PROGRAM: &str = env!("CARGO_BIN_EXE_triaged-storm");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where the broker is: KAFKA_BOOTSTRAP, or one that `scripts/kafka` starts and leaves running.
pub fn bootstrap() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| {
        if let Ok(given) = std::env::var("KAFKA_BOOTSTRAP") {
            return given;
        }
        let port = std::env::var("KAFKA_PORT").unwrap_or_else(|_| TEST_PORT.to_owned());
        let script = Path::new(ROOT).join("scripts/kafka");
        let answer =
            Command::new(script).arg("start").env("KAFKA_PORT", port).output().expect("scripts/kafka runs");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(
            answer.status.success(),
            "no Apache Kafka to test with: {said}\nRun scripts/setup, then try again."
        );
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    })
}

/// The daemon's program, built if it is not there or old: it belongs to another package, so Cargo does not by itself.
pub fn daemon() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--package", "triaged", "--bin", "triaged"])
            .current_dir(ROOT)
            .status();
        assert!(status.expect("cargo runs").success(), "the daemon is built");
        Path::new(PROGRAM).with_file_name("triaged")
    });
    built.clone()
}

/// What the load tester said and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Runs the load tester.
pub fn storm(words: &[&str]) -> Said {
    let answer = Command::new(PROGRAM).args(words).stdin(Stdio::null()).output().expect("the program runs");
    let [out, err] = [answer.stdout, answer.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Said { code: answer.status.code(), out, err }
}

/// The exit code of the load tester where nobody reads what it says.
pub fn unheard(words: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = Command::new(PROGRAM).args(words).stdin(Stdio::null()).stdout(writer).status();
    status.expect("the program runs").code()
}

/// A folder with the smoke scenario in it, changed so that a machine with much else to do does not spoil it.
pub fn stage() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let smoke = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/smoke.toml"));
    let smoke = smoke.expect("the scenario that ships");
    assert!(smoke.contains("slip_ms = 500"));
    let path = folder.path().join("patient.toml");
    std::fs::write(
        &path,
        smoke.replace("slip_ms = 500", "slip_ms = 600_000\ndrain_s = 240\nlag_zero_s = 240"),
    )
    .expect("it is written");
    (folder, path.display().to_string())
}

/// A daemon in this process, with a bug, on topics of its own.
pub struct Buggy {
    daemon: Option<Daemon>,
    struck: Arc<AtomicU64>,
    /// Its configuration.
    pub config: String,
}

impl Buggy {
    pub fn start(folder: &Path, bug: Bug) -> Buggy {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_millis();
        let prefix =
            format!("test.storm.{now}.{}.{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        triaged::demo::write_policy(&folder.join("rules")).expect("the policy is written");
        let (settings, config) = configure(folder, &prefix);
        let inner = connect(&settings).expect("the settings fit");
        create_topics(&settings, inner.as_ref());
        let struck = Arc::new(AtomicU64::new(0));
        let logs = Arc::new(Faulty { inner, bug, struck: struck.clone() });
        let daemon = Daemon::start(settings, logs, Arc::new(SystemClock::new()), Tuning::default());
        Buggy { daemon: Some(daemon.unwrap_or_else(|error| panic!("{error}"))), struck, config }
    }

    /// How often the bug struck.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    pub fn end(mut self) {
        let daemon = self.daemon.take().expect("it runs");
        daemon.end().unwrap_or_else(|error| panic!("it drains: {error}"));
    }
}

fn configure(folder: &Path, prefix: &str) -> (Settings, String) {
    let shown = folder.display();
    let text = format!(
        "instance = \"storm\"\nstate_dir = \"{shown}/state\"\n[kafka]\nbootstrap = \"{}\"\n[topics]\n\
         mentions = \"{prefix}mentions\"\nhelpdesk_events = \"{prefix}helpdesk\"\nledger_prefix = \"{prefix}ledger.\"\n\
         desks = \"{prefix}desks\"\ncontrol = \"{prefix}control\"\npolicies = \"{prefix}policies\"\n\
         snapshots = \"{prefix}snapshots\"\ndead_letter = \"{prefix}dead-letter\"\nalerts = \"{prefix}alerts\"\n\
         assignments_prefix = \"{prefix}assignments.\"\n[group]\nname = \"{prefix}group\"\n[policy]\nfolder = \"{shown}/rules\"\n\
         [limits]\nbuffer_mib = 64\n[admin]\nsocket = \"{shown}/admin.sock\"\n",
        bootstrap()
    );
    let path = folder.join("triaged.toml");
    std::fs::write(&path, &text).expect("the configuration is written");
    let loaded = config::load("triaged.toml", &text, [], "storm");
    assert!(loaded.mistakes.is_empty(), "{:?}", loaded.mistakes);
    let settings = loaded.settings;
    (settings, path.display().to_string())
}

fn create_topics(settings: &Settings, logs: &dyn Logs) {
    let local = policy::load(&settings.policy.folder).map_err(|_| ()).expect("the policy compiles");
    let sizes = topics::Sizes { inputs: 4, desks: 3, replication: 0 };
    let needed = topics::needed(settings, logs, &[&local.policy], sizes).expect("the broker answers");
    let needed: Vec<_> = needed.into_iter().map(|(topic, _)| topic).collect();
    logs.create(&needed).expect("the topics are made");
}
