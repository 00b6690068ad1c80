//! The ground that a run takes place on: configuration, topics, policy, and the daemon's process when we start it.
//!
//! Owns the run's folder and the process: it is asked to drain at the end, and killed if that takes too long or the run
//! fails. May not send or judge. Called by `run`; the verb `judge` reads back what `Ground` wrote.

use crate::judge::Places;
use crate::reading::{ends, partitions};
use crate::scenario::{self, Scenario};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use triaged::clock::Deadline;
use triaged::config::{self, Settings};
use triaged::error::Error;
use triaged::log::{Logs, TopicPartition};
use triaged::pipeline::connect;
use triaged::policy_folder::read_policy_folder;

/// How long the daemon may take until it is ready, and until it has drained.
const DAEMON_WAIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);
/// The client's buffers here: a stretch of the schedule must fit, or the sender would wait for the broker.
const BUFFER_MIB: u32 = 8 * 1024;
/// Partitions of a desk log that is made for a run.
const DESK_PARTITIONS: &str = "4";

/// What the command line says of the ground.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Brokers to ask first.
    pub bootstrap: Option<String>,
    /// The configuration of a daemon that runs already.
    pub config: Option<PathBuf>,
    /// The program of a daemon that is to be started for the run.
    pub daemon: Option<PathBuf>,
    /// The policy folder, where it is not the scenario's.
    pub policy: Option<PathBuf>,
}

/// What a finished run left, so that it can be judged again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The run's name, part of every mention's id.
    pub run: String,
    /// The scenario file.
    pub scenario: String,
    /// Partitions of the input, which may be others than the scenario's.
    pub partitions: u32,
    /// Where everything stands.
    pub places: Places,
    /// The daemon's configuration, if there was one.
    pub config: Option<PathBuf>,
    /// Brokers that were named on the command line.
    pub bootstrap: Option<String>,
}

/// Configuration, clients and topics of one run.
pub struct Ground {
    /// The daemon's settings, as far as they name topics, groups and brokers.
    pub settings: Settings,
    /// The cluster.
    pub logs: Arc<dyn Logs>,
    /// Where the run's files lie.
    pub folder: PathBuf,
    /// The configuration that `settings` come from.
    config: Option<PathBuf>,
    daemon: Option<Child>,
    program: Option<PathBuf>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn unusable(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| Error::configuration(format!("cannot write to `{}`: {error}", path.display()))
}

impl Ground {
    /// Makes the run's folder with the policy in it, reads or writes the configuration, and starts the daemon if asked.
    ///
    /// # Errors
    /// 78 when something cannot be read or written or is wrong, 69 when no broker answers or the daemon does not get ready.
    pub fn prepare(
        wishes: &Wishes,
        scenario: &Scenario,
        run: &str,
        folder: PathBuf,
    ) -> Result<Ground, Error> {
        fs::create_dir_all(&folder).map_err(unusable(&folder))?;
        let folder = folder.canonicalize().map_err(unusable(&folder))?;
        let config = match (&wishes.daemon, &wishes.config) {
            (Some(_), _) => {
                let path = folder.join("triaged.toml");
                let bootstrap = wishes.bootstrap.as_deref().unwrap_or("localhost:9092");
                fs::write(&path, configuration(bootstrap, run, &folder)).map_err(unusable(&path))?;
                Some(path)
            }
            (None, Some(path)) => Some(path.canonicalize().unwrap_or(path.clone())),
            (None, None) => None,
        };
        let mut settings = config.as_deref().map_or(Ok(Settings::default()), settings)?;
        if let Some(bootstrap) = &wishes.bootstrap {
            settings.kafka.bootstrap.clone_from(bootstrap);
        }
        if settings.input.preset != "triaged" {
            let preset = &settings.input.preset;
            return Err(Error::configuration(format!(
                "`input.preset` is `{preset}`, and mentions are sent in triaged's own shape"
            )));
        }
        let policy = wishes.policy.as_ref().or(scenario.policy.as_ref());
        let of_config = wishes.config.as_ref().filter(|_| wishes.daemon.is_none());
        let policy = policy.or(of_config.map(|_| &settings.policy.folder)).cloned();
        copy_policy(policy.as_deref(), &folder.join("policy"))?;
        let mut ours = settings.clone();
        // One share of it, however many cores there are.
        (ours.limits.buffer_mib, ours.triage.lanes) = (BUFFER_MIB, 1);
        ours.kafka.producer.entry("linger.ms".to_owned()).or_insert("1".to_owned());
        let mut ground = Ground {
            logs: connect(&ours)?,
            settings,
            folder,
            config,
            daemon: None,
            program: wishes.daemon.clone(),
        };
        ground.start(scenario)?;
        Ok(ground)
    }

    /// Makes the topics and starts the daemon, if it is ours to start; waits until records flow.
    fn start(&mut self, scenario: &Scenario) -> Result<(), Error> {
        let Some(program) = self.program.clone() else { return Ok(()) };
        let partitions = scenario.partitions.to_string();
        self.ask(
            &program,
            &["topics", "--create", "--partitions", &partitions, "--desk-partitions", DESK_PARTITIONS],
        )?;
        let log = self.folder.join("daemon.log");
        let log = fs::File::create(&log).map_err(unusable(&log))?;
        let daemon = Command::new(&program)
            .args(["run", "--config"])
            .arg(self.folder.join("triaged.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.daemon = Some(daemon.map_err(|error| not_run(&program, &error))?);
        let patience = Deadline::after(DAEMON_WAIT);
        loop {
            let status = self.ask(&program, &["ctl", "status", "--json"]);
            let ready = status.ok().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
            if ready.is_some_and(|status| status["ready"] == true) {
                return Ok(());
            }
            let ended = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().ok().flatten());
            if ended.is_some() || patience.is_over() {
                let said = fs::read_to_string(self.folder.join("daemon.log")).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(10).collect();
                return Err(Error::unavailable("the daemon does not get ready")
                    .mistakes(last.into_iter().rev())
                    .hint(format!("`{}` holds all that it said", self.folder.join("daemon.log").display())));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn ask(&self, program: &Path, words: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(words).arg("--config").arg(self.folder.join("triaged.toml")).stdin(Stdio::null());
        let answer = command.output().map_err(|error| not_run(program, &error))?;
        match answer.status.success() {
            true => Ok(String::from_utf8_lossy(&answer.stdout).into_owned()),
            false => Err(Error::unavailable(format!("`{} {}` failed", program.display(), words.join(" ")))
                .mistakes(String::from_utf8_lossy(&answer.stderr).lines())),
        }
    }

    /// The daemon's process, if it is ours.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// The folder with the policy that is expected.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.folder.join("policy")
    }

    /// Where everything stands now, before anything is sent.
    ///
    /// # Errors
    /// 78 when a topic is missing, 69 when no broker answers.
    pub fn places(&self, desks: &[String]) -> Result<Places, Error> {
        let topics = &self.settings.topics;
        let assignments: BTreeMap<String, String> =
            desks.iter().map(|desk| (desk.clone(), format!("{}{desk}", topics.assignments_prefix))).collect();
        let mut places = Places {
            input: topics.mentions.clone(),
            ledger: format!("{}{}", topics.ledger_prefix, topics.mentions),
            dead_letter: topics.dead_letter.clone(),
            assignments,
            from: BTreeMap::new(),
        };
        let fixed = [&places.input, &places.ledger, &places.dead_letter];
        let names: Vec<String> = fixed.into_iter().chain(places.assignments.values()).cloned().collect();
        for name in names {
            let of = partitions(self.logs.as_ref(), &name)?;
            let ends = ends(self.logs.as_ref(), &of)?;
            places.from.insert(name, ends);
        }
        Ok(places)
    }

    /// Waits until the daemon has committed everything up to the ends of a topic; false when it has not in time.
    ///
    /// # Errors
    /// As the log says.
    pub fn settled(&self, group: &str, topic: &str, patience: &Deadline) -> Result<bool, Error> {
        let group = format!("{}.{group}", self.settings.group.name);
        let of: Vec<TopicPartition> = partitions(self.logs.as_ref(), topic)?;
        let ends = ends(self.logs.as_ref(), &of)?;
        loop {
            let commits = self.logs.group_offsets(&group, &of)?;
            let done = commits
                .iter()
                .zip(&ends)
                .all(|(commit, &end)| commit.as_ref().map_or(0, |commit| commit.offset) >= end);
            if done || patience.is_over() {
                return Ok(done);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Asks the daemon to drain, if it is ours, and waits for its end.
    ///
    /// # Errors
    /// 75 when it does not end, or not in good order.
    pub fn leave(mut self) -> Result<(), Error> {
        let (Some(program), Some(mut daemon)) = (self.program.take(), self.daemon.take()) else {
            return Ok(());
        };
        let asked = self.ask(&program, &["ctl", "drain"]);
        let patience = Deadline::after(DAEMON_WAIT);
        while asked.is_ok() && !patience.is_over() {
            match daemon.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(Error::try_again(format!("the daemon ended with {status}"))
                        .hint(format!("`{}` holds what it said", self.folder.join("daemon.log").display())));
                }
                _ => std::thread::sleep(LOOK),
            }
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
        asked?;
        Err(Error::try_again(format!("the daemon did not drain within {DAEMON_WAIT:?} and was killed")))
    }

    /// Writes down what is needed to judge the run again.
    ///
    /// # Errors
    /// 78 when the folder cannot be written to.
    pub fn remember(
        &self,
        run: &str,
        scenario: &Scenario,
        places: Places,
        wishes: &Wishes,
    ) -> Result<Manifest, Error> {
        let manifest = Manifest {
            run: run.to_owned(),
            scenario: scenario.text.clone(),
            partitions: scenario.partitions,
            places,
            config: self.config.clone(),
            bootstrap: wishes.bootstrap.clone(),
        };
        let path = self.folder.join("run.json");
        let text = serde_json::to_vec_pretty(&manifest).expect("invariant: a manifest is plain JSON");
        fs::write(&path, text).map_err(unusable(&path))?;
        Ok(manifest)
    }
}

/// The run whose files lie in `folder`: its ground, without a daemon, what it left, and its scenario.
///
/// # Errors
/// 78 when there is no such run.
pub fn finished(folder: &Path, wishes: &Wishes) -> Result<(Ground, Manifest, Scenario), Error> {
    let path = folder.join("run.json");
    let read = fs::read(&path).map_err(|error| error.to_string());
    let manifest: Manifest = read
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        .map_err(|why| {
            Error::configuration(format!("`{}` is no run that can be judged: {why}", path.display()))
                .hint("`triaged-storm run … --report DIR` leaves one")
        })?;
    let mut scenario = scenario::read("run.json", &manifest.scenario, folder)?;
    scenario.partitions = manifest.partitions;
    let config = wishes.config.as_ref().or(manifest.config.as_ref());
    let mut settings = config.map_or(Ok(Settings::default()), |path| settings(path))?;
    if let Some(bootstrap) = wishes.bootstrap.as_ref().or(manifest.bootstrap.as_ref()) {
        settings.kafka.bootstrap.clone_from(bootstrap);
    }
    let logs = connect(&settings)?;
    let folder = folder.to_owned();
    let ground = Ground { settings, logs, folder, config: None, daemon: None, program: None };
    Ok((ground, manifest, scenario))
}

fn not_run(program: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("`{}` cannot be run: {error}", program.display()))
        .hint("`make build` makes target/release/triaged")
}

fn settings(path: &Path) -> Result<Settings, Error> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Error::configuration(format!("cannot read configuration `{shown}`: {error}")))?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = config::load(&shown, &text, environment, "storm");
    if loaded.mistakes.is_empty() {
        return Ok(loaded.settings);
    }
    Err(Error::configuration(format!("configuration `{shown}` has mistakes")).diagnostics(loaded.mistakes))
}

/// The configuration of a daemon that meets nothing that is there already.
fn configuration(bootstrap: &str, run: &str, folder: &Path) -> String {
    let quoted = |path: PathBuf| serde_json::to_string(&path.display().to_string()).unwrap_or_default();
    let prefix = format!("storm.{run}.");
    // A socket's path has at most 107 bytes: the run's folder may be deeper.
    let socket = std::env::temp_dir().join(format!("triaged-storm-{run}.sock"));
    format!(
        "instance = \"storm\"\nstate_dir = {state}\n[kafka]\nbootstrap = {bootstrap}\n[topics]\nmentions = \"{prefix}mentions\"\n\
         helpdesk_events = \"{prefix}helpdesk.events\"\nledger_prefix = \"{prefix}ledger.\"\ndesks = \"{prefix}desks\"\n\
         control = \"{prefix}control\"\npolicies = \"{prefix}policies\"\nsnapshots = \"{prefix}snapshots\"\n\
         dead_letter = \"{prefix}dead-letter\"\nalerts = \"{prefix}alerts\"\nassignments_prefix = \"{prefix}assignments.\"\n\
         [group]\nname = \"{prefix}group\"\n[policy]\nfolder = {policy}\n[admin]\nsocket = {socket}\n",
        state = quoted(folder.join("state")),
        bootstrap = serde_json::to_string(bootstrap).unwrap_or_default(),
        policy = quoted(folder.join("policy")),
        socket = quoted(socket),
    )
}

/// Puts a copy of the policy that is expected beside the run; without a folder it is the one that ships.
fn copy_policy(from: Option<&Path>, to: &Path) -> Result<(), Error> {
    let Some(from) = from else { return triaged::demo::write_policy(to).map_err(unusable(to)) };
    let bundle = read_policy_folder(from).map_err(|error| Error::configuration(error.to_string()))?;
    for (path, text) in &bundle.files {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap_or(to)).map_err(unusable(&path))?;
        fs::write(&path, text).map_err(unusable(&path))?;
    }
    Ok(())
}
