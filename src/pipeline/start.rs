//! The start: one process per instance, a broker that answers, topics as they must be, a policy in force.
//!
//! Owns the waits with their status lines, and what the daemon does where there is nothing yet: a group without a
//! commit begins at the start of its log; a control topic that names no policy gets the local one. May not read a
//! mention. Called by `mod.rs`, in this order.

use super::shared::Shared;
use super::{Halt, policy};
use crate::config::Settings;
use crate::error::{Error, Kind};
use crate::policies::{Compiled, Follower, InForce, Policies};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::policy::Generation;

/// Pauses between two tries to reach the broker, each of which waits for an answer by itself; after the last of them
/// the start is given up.
const PAUSES_S: [u64; 4] = [1, 2, 4, 8];
/// How long the brokers may take to answer at all, in seconds, one try after the other: a minute together. The first is
/// short, as nothing is known before; the longest is what a question is given too.
const FIRST_WORDS_S: [u64; 6] = [1, 4, 10, 15, 15, 15];
/// How long the first switch may take: whoever owns the control topic must be up and read the request.
const SWITCH_WAIT: Duration = Duration::from_secs(90);

/// How many triage lanes run: what is set, or one for each three cores.
pub(super) fn lanes(settings: &Settings) -> u32 {
    match settings.triage.lanes {
        0 => (cores() / 3).max(1),
        lanes => lanes,
    }
}

/// How many workers run: what is set, or the cores that lanes leave.
#[must_use]
pub fn workers(settings: &Settings) -> u32 {
    match settings.triage.workers {
        0 => cores().saturating_sub(lanes(settings)).max(1),
        workers => workers,
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// The share of the one memory knob that each lane and its two clients have, in KiB: at most a quarter for what
/// is fetched ahead, a quarter for what is not answered, half for what is in flight between them.
pub(super) fn buffers_kib(settings: &Settings) -> u32 {
    let shares = lanes(settings) + 1;
    (settings.limits.buffer_mib.saturating_mul(1024) / shares).max(1024)
}

/// Bytes that one lane may hold in flight.
pub(super) fn lane_bytes(settings: &Settings) -> usize {
    buffers_kib(settings) as usize * 1024 / 2
}

/// The lock on the instance's name; held as long as the value lives.
pub(super) struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// 78 when the state directory cannot be used, 75 when another process has this instance's name.
    pub(super) fn take(state_dir: &Path, instance: &str) -> Result<InstanceLock, Error> {
        let unusable = |error: &dyn std::fmt::Display| {
            Error::configuration(format!(
                "the state directory `{}` cannot be used: {error}",
                state_dir.display()
            ))
            .hint("set `state_dir` to a folder that the daemon may write to")
        };
        std::fs::create_dir_all(state_dir).map_err(|error| unusable(&error))?;
        let file =
            File::create(state_dir.join(format!("{instance}.lock"))).map_err(|error| unusable(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(InstanceLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::try_again(format!("another process runs as instance `{instance}` on this host"))
                    .hint("give each process its own `instance`, or stop the other one"))
            }
            Err(error) => Err(unusable(&error)),
        }
    }
}

/// Waits until a broker answers, and says within the first second or so what keeps them from it: a question about
/// topics waits much longer for its answer.
pub(super) fn broker(shared: &Shared) -> Result<(), Halt> {
    let mut last = None;
    for seconds in FIRST_WORDS_S {
        shared.go_on()?;
        let Err(error) = shared.logs.answers(Duration::from_secs(seconds)) else { return Ok(()) };
        let error = Error::from(error);
        waits_for_broker(shared, &error);
        if error.kind() != Kind::Unavailable {
            // A broker is there: the next question is answered with what it thinks of us.
            return Ok(());
        }
        last = Some(error);
    }
    last.map_or(Ok(()), |error| Err(Halt::Failed(error)))
}

fn waits_for_broker(shared: &Shared, error: &Error) {
    let bootstrap = &shared.settings.kafka.bootstrap;
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default();
    shared.waits_for(&format!("waits for Apache Kafka at {bootstrap}: {why}"));
}

/// Does one step of the start, again with growing pauses while the broker is away or refuses us.
pub(super) fn patiently<T>(shared: &Shared, mut step: impl FnMut() -> Result<T, Halt>) -> Result<T, Halt> {
    let mut pauses = PAUSES_S.iter();
    loop {
        shared.go_on()?;
        match step() {
            // Rights may be granted, and passwords set, while we wait.
            Err(Halt::Failed(error)) if matches!(error.kind(), Kind::Unavailable | Kind::NoPermission) => {
                let Some(&seconds) = pauses.next() else { return Err(Halt::Failed(error)) };
                waits_for_broker(shared, &error);
                shared.pause(Duration::from_secs(seconds));
            }
            done => return done,
        }
    }
}

/// A follower that has read both of its topics to their ends.
pub(super) fn follower(shared: &Shared) -> Result<Follower, Halt> {
    let topics = &shared.settings.topics;
    let (control, bundles) = (&topics.control, &topics.policies);
    shared.waits_for("reads the control topic");
    let policies = shared.policies.clone();
    let mut follower = Follower::new(shared.logs.as_ref(), control, bundles, policies, policy::matcher)
        .map_err(|error| Halt::Failed(error.into()))?;
    while !shared.policies.is_caught_up() {
        shared.go_on()?;
        follower.step(Duration::from_millis(100)).map_err(|error| Halt::Failed(error.into()))?;
    }
    Ok(follower)
}

/// Sees to it that the control topic names a policy: the local one where it names none, which is then asked for.
pub(super) fn policy_named(shared: &Arc<Shared>) -> Result<Option<policy::Asked>, Halt> {
    let folder = &shared.settings.policy.folder;
    let plans = shared.policies.plans();
    let named = plans.in_force().map(|now| now.generation);
    let pending = plans.pending().next().map(|request| request.generation);
    if let Some(named) = named.or(pending) {
        let ours = Arc::clone(shared);
        // Whether the folder says the same is only told: nothing waits for it.
        shared.policies.later(move |policies| tell_folder(&ours, policies, named));
        return Ok(None);
    }
    let refused = |refused: policy::Refused| Halt::Failed(refused.into_error(folder));
    let (bundle, compiled) = policy::load_among(&shared.policies, folder).map_err(refused)?;
    policy::check_topics(&shared.settings, shared.logs.as_ref(), compiled.policy()).map_err(refused)?;
    let generation = compiled.generation();
    shared.local_policy(Ok(generation.to_string()));
    tracing::info!(%generation, "the control topic names no policy: asking for the local one");
    let (settings, logs, clock) = (&shared.settings, shared.logs.as_ref(), shared.clock.as_ref());
    let asked = policy::publish_and_request(settings, logs, clock, generation, &bundle);
    asked.map(Some).map_err(|error| Halt::Failed(error.into()))
}

/// Notes what the local folder holds, beside the policy that is in force.
fn tell_folder(shared: &Shared, policies: &Policies, named: Generation) {
    let folder = &shared.settings.policy.folder;
    match policy::load_among(policies, folder) {
        Ok((_, compiled)) => {
            let generation = compiled.generation();
            shared.local_policy(Ok(generation.to_string()));
            if generation != named {
                tracing::warn!(
                    in_force = %named, folder = %generation,
                    "the policy folder differs from the policy in force and is not used; `triaged ctl policy reload` puts it in force"
                );
            }
        }
        Err(refused) => {
            let error = refused.into_error(folder);
            shared.local_policy(Err(error.to_string()));
            tracing::warn!(in_force = %named, %error, "the policy folder is not usable; the policy in force is another");
        }
    }
}

/// The policy that will be in force once every request on the control topic is answered, compiled; `None` where the
/// topic names none whose bundle can be read. No lane may write under a policy that does not fit the topics.
pub(super) fn policy_foreseen(
    shared: &Shared,
    still_well: &mut dyn FnMut() -> Result<(), Halt>,
) -> Result<Option<Arc<Compiled>>, Halt> {
    let plans = shared.policies.plans();
    let in_force = plans.in_force().map(|now| now.generation);
    let named = in_force.into_iter().chain(plans.pending().map(|request| request.generation));
    let Some(last) = named.filter(|named| shared.policies.has_bundle(*named)).last() else { return Ok(None) };
    let compiled =
        || shared.policies.get(last, policy::matcher).ok_or_else(|| format!("compiles policy {last}"));
    within_switch_wait(shared, still_well, compiled).map(Some)
}

/// Checks that the owner of the control topic has not refused what was asked for.
pub(super) fn policy_stands(shared: &Shared, asked: &policy::Asked) -> Result<(), Halt> {
    asked
        .check_stands(shared)
        .map_err(|refused| Halt::Failed(refused.into_error(&shared.settings.policy.folder)))
}

/// Checks that a policy which a log names fits the topics.
pub(super) fn policy_fits(shared: &Shared, compiled: &Compiled) -> Result<(), Halt> {
    patiently(shared, || {
        policy::check_topics(&shared.settings, shared.logs.as_ref(), compiled.policy())
            .map_err(|refused| Halt::Failed(refused.into_error(&shared.settings.policy.folder)))
    })
}

/// Waits until a policy is in force here.
pub(super) fn policy_in_force(
    shared: &Shared,
    still_well: &mut dyn FnMut() -> Result<(), Halt>,
) -> Result<InForce, Halt> {
    within_switch_wait(shared, still_well, || {
        shared.policies.in_force().ok_or_else(|| match shared.policies.plans().in_force() {
            Some(now) if !shared.policies.has_bundle(now.generation) => {
                let (named, topic) = (now.generation, &shared.settings.topics.policies);
                format!("waits for policy {named}: it is in force, and not on `{topic}`")
            }
            Some(now) => format!("compiles policy {}", now.generation),
            None => "waits for the owner of the control topic to put a policy in force".to_owned(),
        })
    })
}

/// Looks until there is something, as long as the first switch may take; says meanwhile what it waits for.
fn within_switch_wait<T>(
    shared: &Shared,
    still_well: &mut dyn FnMut() -> Result<(), Halt>,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, Halt> {
    let until = shared.clock.monotonic_ms() + i64::try_from(SWITCH_WAIT.as_millis()).unwrap_or(i64::MAX);
    loop {
        shared.go_on()?;
        still_well()?;
        match look() {
            Ok(found) => {
                shared.waits_for("");
                return Ok(found);
            }
            Err(waiting) => shared.waits_for(&waiting),
        }
        if shared.clock.monotonic_ms() >= until {
            let error =
                Error::try_again(format!("no policy came in force within {} s", SWITCH_WAIT.as_secs()));
            return Err(Halt::Failed(error));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
