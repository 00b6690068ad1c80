//! The policy of the fleet from an operator's side: the folder on disk, its mistakes, its way to the control topic.
//!
//! Owns reading, compiling, publishing and asking. May not put a policy in force: the plan shard writes the switch and
//! every instance follows (`policies`). Called at the start, by a reload, by `check`, `topics` and the demo.

use super::shared::Shared;
use super::topics;
use crate::admin::{Refusal, Why};
use crate::clock::{Clock, Deadline};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::hyperscan;
use crate::log::{LogError, Logs, Outgoing, Producer, Ticket, TopicPartition};
use crate::policies::{Compiled, Policies};
use crate::policy_folder::read_policy_folder;
use crate::rule_tests::{self, Unreadable};
use crate::wire::{control, policies as bundles};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::plans::{ControlRecord, PolicyRequest};
use triage_engine::policy::{Bundle, Generation, Mistake, Policy, RuleTest};
use triage_engine::scan::{Literal, Matcher};

/// How long the broker may take to acknowledge a request, or a bundle of up to one MiB.
const ACKNOWLEDGED_WAIT: Duration = Duration::from_secs(15);
/// How much longer for each further MiB of a bundle.
const ACKNOWLEDGED_WAIT_PER_MIB: Duration = Duration::from_secs(1);

/// The matcher of a policy's literals: libhs, or the reference where it cannot serve.
#[must_use]
pub fn matcher(literals: &[Literal]) -> Arc<dyn Matcher> {
    hyperscan::build(literals)
}

/// What is wrong with a policy folder.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read.
    Folder(String),
    /// It holds mistakes.
    Mistakes(Vec<Mistake>),
    /// Its own tests fail.
    Tests(Vec<Diagnostic>),
    /// It cannot be put in force on this cluster.
    Cluster(Vec<String>),
    /// The cluster did not answer.
    Log(LogError),
    /// It was asked for, and is not in force in time.
    Late(String),
}

impl From<LogError> for Refused {
    fn from(error: LogError) -> Refused {
        Refused::Log(error)
    }
}

impl Refused {
    /// The error that a command ends with.
    #[must_use]
    pub fn into_error(self, folder: &Path) -> Error {
        let shown = folder.display();
        match self {
            Refused::Folder(why) => Error::configuration(format!("the policy folder cannot be used: {why}"))
                .hint("set `policy.folder`; config/policy is a sample"),
            Refused::Mistakes(mistakes) => {
                let count = mistakes.len();
                let plural = if count == 1 { "mistake" } else { "mistakes" };
                let in_folder = |mistake| Diagnostic::from(mistake).in_folder(&shown.to_string());
                Error::configuration(format!("the policy in `{shown}` has {count} {plural}"))
                    .diagnostics(mistakes.into_iter().map(in_folder))
            }
            Refused::Tests(failed) => {
                Error::configuration(format!("rule tests of the policy in `{shown}` fail"))
                    .diagnostics(failed)
            }
            Refused::Cluster(wrong) => topics::refusal(wrong),
            Refused::Log(error) => Error::from(error),
            Refused::Late(what) => Error::try_again(what),
        }
    }

    /// The same for a folder that was named on the command line, by `option`.
    #[must_use]
    pub fn into_error_of(self, folder: &Path, option: &str) -> Error {
        let is_folder = matches!(self, Refused::Folder(_));
        let error = self.into_error(folder);
        if is_folder {
            error.hint(format!("{option} names a policy folder, as config/policy is one"))
        } else {
            error
        }
    }

    /// The same as the answer to a reload.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        let why = match self {
            Refused::Folder(_) | Refused::Mistakes(_) | Refused::Tests(_) | Refused::Cluster(_) => Why::Wrong,
            Refused::Late(_) => Why::Late,
            Refused::Log(error) => match error {
                LogError::Away(_) => Why::Away,
                LogError::Denied(_) => Why::Denied,
                LogError::Missing(_) | LogError::OutOfRange { .. } => Why::Wrong,
                // A record was refused, or a client is of no more use: the request may be out, or not.
                LogError::Fenced(_) | LogError::Fatal(_) => Why::Late,
            },
        };
        Refusal { why, answer: self.to_json() }
    }

    fn to_json(&self) -> Value {
        match self {
            Refused::Folder(why) => {
                json!({ "error": "the policy folder cannot be read", "mistakes": [{ "what": why }] })
            }
            Refused::Mistakes(mistakes) => {
                json!({ "error": "the policy has mistakes", "mistakes": mistakes })
            }
            Refused::Tests(failed) => json!({ "error": "rule tests of the policy fail", "mistakes": failed }),
            Refused::Cluster(wrong) => {
                let wrong: Vec<Value> = wrong.iter().map(|what| json!({ "what": what })).collect();
                json!({ "error": "the policy cannot be put in force here", "mistakes": wrong })
            }
            Refused::Log(error) => json!({ "error": error.to_string(), "mistakes": [] }),
            Refused::Late(what) => json!({ "error": what, "mistakes": [] }),
        }
    }
}

/// A policy folder that was read and compiles.
#[derive(Debug)]
pub struct Local {
    /// The files.
    pub bundle: Bundle,
    /// What they say.
    pub policy: Policy,
}

/// Reads and compiles the folder.
///
/// # Errors
/// Every mistake in it.
pub fn load(folder: &Path) -> Result<Local, Refused> {
    let bundle = read_policy_folder(folder).map_err(|error| Refused::Folder(error.to_string()))?;
    let policy = Policy::compile(&bundle).map_err(Refused::Mistakes)?;
    Ok(Local { bundle, policy })
}

/// Reads the rule tests of a folder.
///
/// # Errors
/// Every mistake in them.
pub fn tests(folder: &Path, policy: &Policy) -> Result<Vec<RuleTest>, Refused> {
    rule_tests::load(folder, policy).map_err(|unreadable| match unreadable {
        Unreadable::Folder(error) => Refused::Folder(error.to_string()),
        Unreadable::Mistakes(mistakes) => Refused::Mistakes(mistakes),
    })
}

/// Runs the rule tests of a folder.
///
/// # Errors
/// Every mistake in them, or every mention that is not decided as its test expects.
pub fn check_tests(folder: &Path, compiled: &Arc<Compiled>) -> Result<(), Refused> {
    let tests = tests(folder, compiled.policy())?;
    if tests.is_empty() {
        return Ok(());
    }
    let report = rule_tests::run(compiled, &tests);
    let report = report.map_err(|error| Refused::Tests(vec![error.to_diagnostic()]))?;
    let failed = report.findings("");
    if failed.is_empty() { Ok(()) } else { Err(Refused::Tests(failed)) }
}

/// Reads the folder and compiles it as the daemon does: what it has compiled before is not compiled again.
///
/// # Errors
/// Every mistake in it.
pub fn load_among(policies: &Policies, folder: &Path) -> Result<(Bundle, Arc<Compiled>), Refused> {
    let bundle = read_policy_folder(folder).map_err(|error| Refused::Folder(error.to_string()))?;
    let compiled = policies.of_bundle(&bundle, matcher).map_err(Refused::Mistakes)?;
    Ok((bundle, compiled))
}

/// Checks that the policy fits the topics.
///
/// # Errors
/// Every desk whose topic is missing, whose place in the desk log does not exist, and so on.
pub fn check_topics(settings: &Settings, logs: &dyn Logs, policy: &Policy) -> Result<(), Refused> {
    let (_, wrong) = topics::check_policy(settings, logs, policy)?;
    if wrong.is_empty() { Ok(()) } else { Err(Refused::Cluster(wrong)) }
}

/// Checks that what must never change does not change with this policy: cases and copies are found by it.
///
/// # Errors
/// The fleet's hash key, and every desk that would leave its place in the desk log while its cases are open there.
pub fn check_lasting(before: &Policy, after: &Policy) -> Result<(), Refused> {
    let mut wrong = Vec::new();
    if before.hash_key() != after.hash_key() {
        wrong.push(
            "`fleet.hash_key` differs from the one in force: no author and no copy would be known again"
                .into(),
        );
    }
    for desk in after.desks() {
        let was = before.desks().iter().find(|was| was.name == desk.name);
        if let Some(was) = was.filter(|was| was.log_partition != desk.log_partition) {
            let (name, from, to) = (&desk.name, was.log_partition, desk.log_partition);
            wrong.push(format!(
                "desk `{name}` has log_partition {to}, but lives in {from}: its cases are there"
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refused::Cluster(wrong)) }
}

/// A request for another policy that stands on the control topic.
#[derive(Debug, Clone)]
pub struct Asked {
    id: String,
    generation: Generation,
    /// `None` when the broker did not say where it put it.
    offset: Option<i64>,
}

impl Asked {
    /// Checks that the owner of the control topic has not refused it, as far as the topic was read.
    ///
    /// # Errors
    /// That it has, and why it does.
    pub(super) fn check_stands(&self, shared: &Shared) -> Result<(), Refused> {
        let plans = shared.policies.plans();
        if !self.offset.is_some_and(|offset| plans.is_withdrawn(offset, &self.id)) {
            return Ok(());
        }
        let (generation, topic) = (self.generation, &shared.settings.topics.policies);
        Err(Refused::Cluster(vec![format!(
            "{generation} was written to `{topic}` and is not there any more, so it was not put in force: look for what else \
             writes to that topic or deletes from it, and at its clean-up"
        )]))
    }
}

/// Publishes the bundle under its hash, and asks that it be put in force. Both are acknowledged when it returns.
///
/// # Errors
/// As the log says; the bundle may be published and not asked for.
pub fn publish_and_request(
    settings: &Settings,
    logs: &dyn Logs,
    clock: &dyn Clock,
    generation: Generation,
    bundle: &Bundle,
) -> Result<Asked, LogError> {
    let mut producer = logs.producer("policy")?;
    let mut batch = Outgoing::default();
    let to = TopicPartition::new(&settings.topics.policies, 0);
    for record in bundles::publish(generation, &bundle.to_bytes()) {
        batch.push(Some(record.key.as_bytes()), Some(&record.value));
    }
    send(producer.as_mut(), &to, &batch)?;
    let at = clock.wall();
    let by = settings.host.instance.clone();
    // Unique for ever: the instance's name is unique in the fleet, and it does not ask twice in a millisecond.
    let name: String = by.chars().take(150).collect();
    let id = format!("{name}-{}", at.0);
    let request = PolicyRequest { id: id.clone(), generation, by, at };
    let (key, value) = control::encode(&ControlRecord::SwitchRequested(request));
    let mut batch = Outgoing::default();
    batch.push(Some(key.as_bytes()), value.as_deref());
    let offset = send(producer.as_mut(), &TopicPartition::new(&settings.topics.control, 0), &batch)?;
    Ok(Asked { id, generation, offset })
}

/// Sends and waits for the answer; the first offset, where the broker names it.
pub(super) fn send(
    producer: &mut dyn Producer,
    to: &TopicPartition,
    batch: &Outgoing,
) -> Result<Option<i64>, LogError> {
    let ticket = Arc::new(Ticket::new());
    let wait = ACKNOWLEDGED_WAIT + ACKNOWLEDGED_WAIT_PER_MIB * (batch.bytes() >> 20) as u32;
    producer.send(to, batch, &ticket)?;
    let deadline = Deadline::after(wait);
    while !ticket.is_settled() {
        if deadline.is_over() {
            return Err(LogError::Away(format!("`{}` did not acknowledge within {wait:?}", to.topic)));
        }
        producer.flush(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(2));
    }
    match ticket.failure() {
        None => Ok(ticket.offset_first()),
        Some(failure) => Err(LogError::Fatal(format!("topic `{}` refused: {}", failure.topic, failure.why))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(tech: u32, key: &str) -> Policy {
        let text = format!(
            "[[desk]]\nname = \"care\"\nlog_partition = 0\ncase_lapse = \"1h\"\nmentions_per_case_max = 10\n\
             [[desk]]\nname = \"tech\"\nlog_partition = {tech}\ncase_lapse = \"1h\"\nmentions_per_case_max = 10\n\
             [[queue]]\nname = \"care.all\"\ndesk = \"care\"\n[workflow]\ndefault = \"care.all\"\n\
             [dedup]\nwindow = \"10m\"\nids_max = 1000\n[fleet]\nhash_key = \"{key}\"\n"
        );
        let files = [("policy.toml".to_owned(), text)].into();
        Policy::compile(&Bundle { files }).expect("the policy is right")
    }

    #[test]
    fn a_reload_says_whether_the_policy_is_wrong_or_the_broker_is_away_or_it_came_late() {
        let refused = [
            (Refused::Mistakes(Vec::new()), "wrong"),
            (Refused::Log(LogError::Away("nobody answers".to_owned())), "away"),
            (Refused::Log(LogError::Denied("no right".to_owned())), "denied"),
            (Refused::Late("not in force within 30 s".to_owned()), "late"),
        ];
        for (refused, name) in refused {
            assert_eq!(refused.to_refusal().into_json()["refused"], name, "{refused:?}");
        }
    }

    #[test]
    fn a_policy_that_would_move_a_desk_or_change_the_fleets_key_is_refused() {
        let (key, other) = ("00112233445566778899aabbccddeeff", "ff112233445566778899aabbccddeeff");
        let now = policy(1, key);
        assert!(check_lasting(&now, &policy(1, key)).is_ok());
        let Err(Refused::Cluster(wrong)) = check_lasting(&now, &policy(2, other)) else {
            panic!("it is refused")
        };
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("fleet.hash_key"), "{wrong:?}");
        assert!(wrong[1].contains("desk `tech` has log_partition 2, but lives in 1"), "{wrong:?}");
    }
}
