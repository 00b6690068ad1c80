//! THE DATA PATH: builds the parts, runs them, drains them in order.
//!
//! What becomes of a mention, top down, and where each step stands:
//!
//! ```text
//! receive   kafka/ or embedded/       a lane's member hands out records of its partitions      shard/lane.rs
//! decode    wire/mention              any worker, any order: what depends on the mention alone worker/scan.rs
//! scan      engine: text, scan, policy words, rules, personal data, the bytes a desk would get worker/scan.rs
//! decide    engine: triage            its shard, in log order: duplicates, disposition, route  shard/triage.rs
//! ledger    wire/ledger               written ahead; nothing takes effect before it is known   shard/triage.rs
//! encode    wire/desk_log             the effects of a run, one batch per partition            shard/triage.rs
//! produce   the lane's producer       to the desk log; from there desks assign (shard/desk.rs)
//! settle    offsets.rs                every effect acknowledged: the offset may be committed   shard/lane.rs
//! ```
//!
//! Owns the threads and their order at start and end. May not look into a record. Called by `cli` and `demo`.

mod connect;
mod control;
pub mod live;
mod manager;
mod outage;
pub mod policy;
mod publish;
pub mod release;
mod reload;
pub mod rights;
mod shared;
mod start;
mod threads;
pub mod topics;
mod unread;
mod waiting;
mod wiring;

pub use connect::{clients, cluster, connect, reached, reached_cluster, warnings};
pub use start::workers;
pub use wiring::Wiring;

use crate::admin::{Control, Exporter, InputNames};
use crate::clock::Clock;
use crate::config::Settings;
use crate::error::Error;
use crate::log::{LogError, Logs, TopicPartition};
use crate::policies::{HELD_BYTES_MAX, Policies, Source, Work};
use crate::policy_cache::PolicyCache;
use crate::shard::desk_lane::DeskWork;
use crate::shard::lane::{Lane, LaneLimits};
use crate::shard::starts::Starts;
use crate::shard::triage_lane::TriageWork;
use crate::worker::{ScanSettings, Workers};
use control::{ControlThread, Handle};
use crossbeam::channel::Receiver;
use shared::{Shared, Stage};
use start::InstanceLock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use threads::{End, Threads};

/// How often the daemon looks after its threads.
const LOOK: Duration = Duration::from_millis(20);
/// Milliseconds between two commits of a lane: what a crash makes us do again at most, beside what is in flight.
const COMMIT_INTERVAL_MS: i64 = 200;
/// Milliseconds before a partition whose restore failed is tried again.
const RETRY_MS: i64 = 500;

/// What is not for the configuration: it differs between the daemon and the demo.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Whether SIGTERM, SIGINT and SIGHUP are ours.
    pub signals: bool,
    /// Milliseconds that draining may take for each kind of lane.
    pub drain_ms_max: i64,
    /// Milliseconds for which the desk log is kept although snapshots have made it dispensable.
    pub desk_log_keep_ms: i64,
}

impl Default for Tuning {
    fn default() -> Tuning {
        // A week of the desk log serves `explain` and `audit`.
        Tuning { signals: true, drain_ms_max: 25_000, desk_log_keep_ms: 7 * 86_400_000 }
    }
}

/// Why the start does not go on.
#[derive(Debug)]
enum Halt {
    /// Somebody asked us to end.
    Asked,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Failed(error)
    }
}

impl Shared {
    fn go_on(&self) -> Result<(), Halt> {
        self.start_moved();
        if self.is_asked_to_drain() { Err(Halt::Asked) } else { Ok(()) }
    }
}

/// A panic in any thread ends the process: its state is not known any more, and the ledger brings it back.
pub fn abort_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

/// A daemon that runs.
pub struct Daemon {
    shared: Arc<Shared>,
    control: ControlThread,
    threads: Threads,
    failure: Option<Error>,
    _lock: InstanceLock,
}

impl Daemon {
    /// Starts everything, in this order: the lock on the instance's name, the control plane, a look at the topics, the
    /// follower, whether the policy that it names fits them, the desk lane (which may own the control topic), a policy in
    /// force, the triage lanes.
    ///
    /// # Errors
    /// 69 when no broker answers for a minute, 75 when another process is this instance, 78 when the configuration, the
    /// topics or the policy are wrong.
    pub fn start(
        settings: Settings,
        logs: Arc<dyn Logs>,
        clock: Arc<dyn Clock>,
        tuning: Tuning,
    ) -> Result<Daemon, Error> {
        let scan = ScanSettings::of(&settings)?;
        let lock = InstanceLock::take(&settings.host.state_dir, &settings.host.instance)?;
        let names = InputNames {
            mentions: settings.topics.mentions.clone(),
            helpdesk: settings.topics.helpdesk_events.clone(),
            desks: settings.topics.desks.clone(),
            control: settings.topics.control.clone(),
        };
        let exporter = Arc::new(Exporter::new(names, clock.wall()));
        let cache = PolicyCache::open(&settings.host.state_dir);
        let bundles = TopicPartition::new(&settings.topics.policies, 0);
        let source = Source { logs: Arc::clone(&logs), topic: bundles, bytes_max: HELD_BYTES_MAX };
        let (policies, compiling) = Policies::compiled_aside(cache, Some(source));
        let shared = Arc::new(Shared::new(settings, logs, clock, exporter, policies, tuning));
        let control = ControlThread::start(&shared, tuning.signals)?;
        let mut daemon = Daemon { shared, control, threads: Threads::new(), failure: None, _lock: lock };
        match daemon.launch(scan, compiling) {
            Ok(()) => {
                // The last steps of the start were answers.
                daemon.shared.broker_answered();
                daemon.shared.enter(Stage::Running);
                Ok(daemon)
            }
            Err(Halt::Asked) => Ok(daemon),
            Err(Halt::Failed(error)) => {
                daemon.failure = Some(error);
                Err(daemon.end().expect_err("invariant: the failure was just noted"))
            }
        }
    }

    fn launch(&mut self, scan: ScanSettings, compiling: Receiver<Work>) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        self.threads.compiler(&shared, compiling)?;
        start::broker(&shared)?;
        let found = start::patiently(&shared, || Ok(topics::check(&shared.settings, shared.logs.as_ref())?))?;
        shared.inputs.store(found.partitions_of(&shared.settings.topics.mentions), Ordering::Relaxed);
        let follower = start::patiently(&shared, || start::follower(&shared))?;
        let asked = start::patiently(&shared, || start::policy_named(&shared))?;
        self.threads.follower(&shared, follower)?;
        let foreseen = start::policy_foreseen(&shared, &mut || self.still_well())?;
        if let Some(foreseen) = &foreseen {
            start::policy_fits(&shared, foreseen)?;
        }
        self.desk_lane(&found)?;
        let now = start::policy_in_force(&shared, &mut || {
            self.still_well()?;
            asked.as_ref().map_or(Ok(()), |asked| start::policy_stands(&shared, asked))
        });
        let now = now?.policy;
        if foreseen.is_none_or(|foreseen| foreseen.generation() != now.generation()) {
            start::policy_fits(&shared, &now)?;
        }
        self.triage_lanes(&found, scan)
    }

    /// One lane for everything that desks need: their logs, the helpdesk's events, the control topic.
    fn desk_lane(&mut self, found: &topics::Found) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        let (settings, logs) = (shared.settings.clone(), shared.logs.clone());
        let parts = Wiring::of(&shared, found).desk(shared.tuning.desk_log_keep_ms);
        let limits = limits(&settings);
        let make = move || {
            let name = format!("{}-desk", settings.host.instance);
            let topics = &settings.topics;
            let topics = [topics.desks.as_str(), topics.helpdesk_events.as_str(), topics.control.as_str()];
            let member = logs.member(&rights::desk_group(&settings), &name, &topics)?;
            Ok(Lane::new(DeskWork::new(parts), member, logs.producer(&name)?, limits))
        };
        Ok(self.threads.lane(&shared, "desk", Stage::DrainDesk, make)?)
    }

    /// The lanes that read the firehose, and the workers that scan for all of them.
    fn triage_lanes(&mut self, found: &topics::Found, scan: ScanSettings) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        let settings = &shared.settings;
        let workers = Arc::new(Workers::new(start::workers(settings) as usize, scan));
        shared.set_workers(&workers);
        let starts = Starts::new(Some(settings.host.state_dir.join("starts")));
        let parts = Wiring::of(&shared, found).triage(workers, starts);
        for lane in 0..start::lanes(settings) {
            let (parts, settings, limits) = (parts.clone(), settings.clone(), limits(settings));
            let pause = Arc::clone(&shared.pause);
            let make = move || {
                let name = format!("{}-triage-{lane}", settings.host.instance);
                let group = rights::triage_group(&settings);
                let logs = parts.logs.clone();
                let member = logs.member(&group, &name, &[settings.topics.mentions.as_str()])?;
                let producer = logs.producer(&name)?;
                Ok(Lane::new(TriageWork::new(parts), member, producer, limits).obeying(&pause))
            };
            self.threads.lane(&shared, &format!("triage-{lane}"), Stage::DrainTriage, make)?;
        }
        Ok(())
    }

    /// Takes note of threads that have ended although nobody asked them to.
    fn still_well(&mut self) -> Result<(), Halt> {
        match self.threads.ended(Duration::ZERO) {
            Some((name, end)) => Err(Halt::Failed(failed(&name, &end))),
            None => Ok(()),
        }
    }

    /// What operators and the demo may ask.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::new(Handle { shared: Arc::clone(&self.shared) })
    }

    /// The metrics.
    #[must_use]
    pub fn exporter(&self) -> Arc<Exporter> {
        Arc::clone(&self.shared.exporter)
    }

    /// Looks after the threads once; false when it is time to end.
    pub fn goes_on(&mut self) -> bool {
        if self.shared.is_asked_to_drain() || self.failure.is_some() {
            return false;
        }
        if let Some((name, end)) = self.threads.ended(LOOK) {
            let error = failed(&name, &end);
            tracing::error!(%error, "draining the rest");
            self.failure = Some(error);
        }
        self.failure.is_none()
    }

    /// Runs until somebody asks it to end, or a thread fails; then drains.
    ///
    /// # Errors
    /// 75 when a thread failed, or not everything was settled in time. What is not settled is done again by the next start.
    pub fn run(mut self) -> Result<(), Error> {
        let mut told = false;
        while self.goes_on() {
            if !told && self.shared.ready().is_ok() {
                told = true;
                tracing::info!("ready: records flow");
                manager::ready(&self.shared);
            }
        }
        self.end()
    }

    /// Drains in order: triage lanes, the desk lane, followers, the control plane.
    ///
    /// # Errors
    /// As `run`.
    pub fn end(mut self) -> Result<(), Error> {
        manager::stopping(&self.shared);
        self.drain_stage(Stage::DrainTriage, "triage-");
        self.drain_stage(Stage::DrainDesk, "desk");
        self.drain_stage(Stage::Stop, "");
        self.control.stop();
        match self.failure {
            Some(error) => {
                manager::failed(&error);
                Err(error)
            }
            None => {
                tracing::info!("drained: everything that was read is settled and committed");
                Ok(())
            }
        }
    }

    fn drain_stage(&mut self, stage: Stage, threads: &str) {
        self.shared.enter(stage);
        while self.threads.runs(threads) {
            let Some((name, end)) = self.threads.ended(Duration::from_millis(100)) else { continue };
            if end != End::Drained {
                let error = failed(&name, &end);
                tracing::error!(%error, "while draining");
                self.failure.get_or_insert(error);
            }
        }
    }
}

fn failed(name: &str, end: &End) -> Error {
    let why = match end {
        End::Drained => "ended although nobody asked it to".to_owned(),
        End::Unsettled => "did not settle everything in time; the next start does the rest again".to_owned(),
        End::Failed(LogError::Fenced(why)) => {
            format!("its place in the group is another process's now: {why}")
        }
        End::Failed(error) => error.to_string(),
    };
    Error::try_again(format!("thread `{name}`: {why}"))
}

fn limits(settings: &Settings) -> LaneLimits {
    LaneLimits {
        buffer_bytes: start::lane_bytes(settings),
        commit_interval_ms: COMMIT_INTERVAL_MS,
        // A revoked partition is drained well within the session, or the group would take it by force.
        drain_ms: i64::try_from(settings.kafka.session_timeout.as_millis() / 2).unwrap_or(i64::MAX),
        retry_ms: RETRY_MS,
    }
}

#[cfg(test)]
mod tests;
