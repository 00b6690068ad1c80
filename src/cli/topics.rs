//! `triaged topics`: what the daemon needs beside what is there, `--create`, and the rights with `--acl`.
//!
//! Owns the table and the command lines on standard output. What a topic must be like is `pipeline::topics`, which
//! rights are needed is `pipeline::rights`.

use super::{Config, FINDINGS, load};
use crate::config::Settings;
use crate::error::Error;
use crate::kafka::KafkaLogs;
use crate::log::{Logs, NewTopic, TopicInfo};
use crate::pipeline::topics::{Sizes, Wrong, clashes, needed, wrong, wrong_for};
use crate::pipeline::{self, policy, rights};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use triage_engine::policy::Policy;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// Make the topics that are missing
    #[arg(long)]
    create: bool,
    /// Partitions of new topics for mentions, helpdesk events and assignments
    #[arg(long, default_value_t = Sizes::default().inputs, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: u32,
    /// Partitions of a new desk log: fixed for good, for cases are found by it. Without it 12, or as many as the desks need
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    desk_partitions: Option<u32>,
    /// Copies of each partition of new topics; 0 leaves it to the broker
    #[arg(long, default_value_t = 0)]
    replication: u16,
    /// Print the rights that are needed, as kafka-acls command lines, instead: by the daemon, or by another verb
    #[arg(long, value_enum, value_name = "VERB", num_args = 0..=1, require_equals = true, default_missing_value = "run", conflicts_with = "create")]
    acl: Option<Needy>,
    /// With --acl: who is granted them
    #[arg(long, default_value = "User:triaged", value_name = "PRINCIPAL", requires = "acl")]
    principal: String,
    /// With --acl: the file with which kafka-acls reaches the brokers
    #[arg(long, value_name = "FILE", requires = "acl")]
    command_config: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Whose rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Needy {
    /// `triaged run`, and `triaged check --live`
    Run,
    /// `triaged audit`
    Audit,
    /// `triaged release` and `triaged requeue`
    Release,
    /// `triaged topics --create`
    Topics,
}

/// Prints what must be granted; asks no broker.
fn acl(settings: &Settings, options: &Options, needy: Needy) -> Result<ExitCode, Error> {
    let principal = &options.principal;
    if !principal.contains(':') {
        return Err(Error::usage(format!("`--principal {principal}` has no kind"))
            .hint("such as `User:triaged`; with client certificates it is their distinguished name, `User:CN=triaged`"));
    }
    let folder = &settings.policy.folder;
    // The rights on desks' topics depend on the policy: without it the list would be short, and the daemon not start.
    let policy = policy::load(folder).map_err(|refused| refused.into_error(folder))?.policy;
    let needs = match needy {
        Needy::Run => rights::daemon(settings, &policy),
        Needy::Audit => rights::audit(settings, &policy),
        Needy::Release => rights::release(settings),
        Needy::Topics => rights::create(settings, &policy),
    };
    if options.json {
        crate::say!("{:#}", rights::to_json(&needs, principal));
    } else {
        let file = options.command_config.as_deref();
        for line in rights::commands(&needs, principal, &settings.kafka.bootstrap, file) {
            crate::say!("{line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a desk log in which a desk would have no place.
fn desks_fit(options: &Options, policy: &Policy) -> Result<(), Error> {
    let highest = policy.desks().iter().max_by_key(|desk| desk.log_partition);
    match (options.desk_partitions, highest) {
        (Some(asked), Some(desk)) if asked <= desk.log_partition => {
            let (name, partition) = (&desk.name, desk.log_partition);
            let what = format!(
                "`--desk-partitions {asked}`: desk `{name}` has log_partition {partition}, counted from 0"
            );
            Err(Error::usage(what).hint(format!("{} or more; the number is fixed for good", partition + 1)))
        }
        _ => Ok(()),
    }
}

/// Lists the topics, and makes those that are missing when asked to; the exit code: 1 when some are missing in the end, or
/// so that the daemon would not start.
///
/// # Errors
/// 64 when desks would have no place in the desk log, 69 when no broker answers, 78 when topics share a name.
pub(super) fn topics(options: &Options) -> Result<ExitCode, Error> {
    let settings = load::settings(&options.config)?;
    if let Some(needy) = options.acl {
        return acl(&settings, options, needy);
    }
    let local = policy::load(&settings.policy.folder);
    if let Ok(local) = &local {
        let clashes: Vec<String> =
            clashes(&settings, &local.policy).into_iter().map(|clash| clash.what).collect();
        if !clashes.is_empty() {
            return Err(Error::configuration("topics share a name").mistakes(clashes));
        }
        desks_fit(options, &local.policy)?;
    }
    let logs = pipeline::reached_cluster(&settings)?;
    let policies: Vec<_> = match &local {
        Ok(local) => vec![&local.policy],
        Err(_) => {
            let folder = settings.policy.folder.display();
            crate::warn_of!(
                "no policy that can be used in `{folder}` (`triaged check` says why): desks are left out"
            );
            Vec::new()
        }
    };
    let sizes = Sizes {
        inputs: options.partitions,
        desks: options.desk_partitions.unwrap_or(Sizes::default().desks),
        replication: options.replication,
    };
    let mut listed = needed(&settings, &logs, &policies, sizes)?;
    let missing: Vec<NewTopic> =
        listed.iter().filter(|(_, info)| info.is_none()).map(|(new, _)| new.clone()).collect();
    if options.create && !missing.is_empty() {
        logs.create(&missing)?;
        // What was made is judged like what was there: the brokers have settings of their own.
        listed = needed(&settings, &logs, &policies, sizes)?;
    }
    let made: Vec<&str> = missing.iter().filter(|_| options.create).map(|new| new.name.as_str()).collect();
    let topics = judged(&settings, &logs, policies.first().copied(), listed, &made)?;
    if options.json {
        let topics: Vec<Value> = topics.iter().map(Topic::json).collect();
        crate::say!("{:#}", json!({ "topics": topics }));
    } else {
        show(&topics, &settings.kafka.bootstrap);
    }
    let count = |state: State| topics.iter().filter(|topic| topic.state == state).count();
    let (absent, wrong) = (count(State::Missing), count(State::Wrong));
    if absent > 0 {
        crate::warn_of!("{absent} missing; `triaged topics --create` makes them");
    }
    if wrong > 0 {
        crate::warn_of!("{wrong} not as the daemon needs them: it would not start");
    }
    Ok(if absent + wrong > 0 { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}

/// What is to be said of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    There,
    Made,
    Missing,
    /// The daemon would not start with it.
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::There => "there",
            State::Made => "made",
            State::Missing => "missing",
            State::Wrong => "wrong",
        }
    }
}

/// A topic that is needed, beside what is there.
struct Topic {
    new: NewTopic,
    state: State,
    partitions: u32,
    /// Each setting that it is made with: what is wanted, and what the broker says; none of a topic that is not there.
    config: Vec<(String, String, Option<String>)>,
    wrong: Vec<Wrong>,
}

/// Asks the broker for the settings of what is there, and holds everything against what is needed.
fn judged(
    settings: &Settings,
    logs: &KafkaLogs,
    policy: Option<&Policy>,
    listed: Vec<(NewTopic, Option<TopicInfo>)>,
    made: &[&str],
) -> Result<Vec<Topic>, Error> {
    let infos: BTreeMap<String, TopicInfo> =
        listed.iter().filter_map(|(_, info)| Some((info.as_ref()?.name.clone(), info.clone()?))).collect();
    let mut all_wrong = wrong(settings, &infos);
    all_wrong.extend(policy.into_iter().flat_map(|policy| wrong_for(settings, policy, &infos)));
    let names: Vec<&str> = infos.keys().map(String::as_str).collect();
    let there = if names.is_empty() { BTreeMap::new() } else { logs.topic_configs(&names)? };
    let judge = |(new, info): (NewTopic, Option<TopicInfo>)| {
        let wrong: Vec<Wrong> = all_wrong.iter().filter(|wrong| wrong.topic == new.name).cloned().collect();
        let state = match &info {
            None => State::Missing,
            Some(_) if !wrong.is_empty() => State::Wrong,
            Some(_) if made.contains(&new.name.as_str()) => State::Made,
            Some(_) => State::There,
        };
        let actual = |key: &str| there.get(&new.name).and_then(|config| config.get(key)).cloned();
        // What it is made with, and what else is wrong with it.
        let mends = wrong.iter().flat_map(|wrong| &wrong.set).filter_map(|set| set.split_once('='));
        let mut wanted: Vec<(String, String)> = new.config.clone();
        for (key, value) in mends {
            if !wanted.iter().any(|(known, _)| known == key) {
                wanted.push((key.to_owned(), value.to_owned()));
            }
        }
        let config = wanted.into_iter().map(|(key, value)| (actual(&key), key, value));
        let config = config.map(|(actual, key, value)| (key, value, actual)).collect();
        let partitions = info.map_or(new.partitions, |info| info.partitions);
        Topic { new, state, partitions, config, wrong }
    };
    Ok(listed.into_iter().map(judge).collect())
}

impl Topic {
    fn json(&self) -> Value {
        let wanted: Map<String, Value> =
            self.config.iter().map(|(key, wanted, _)| (key.clone(), json!(wanted))).collect();
        let actual: Map<String, Value> = self
            .config
            .iter()
            .filter_map(|(key, _, actual)| Some((key.clone(), json!(actual.as_ref()?))))
            .collect();
        let wrong: Vec<&str> = self.wrong.iter().map(|wrong| wrong.what.as_str()).collect();
        json!({ "name": self.new.name, "partitions": self.partitions, "state": self.state.word(),
            "config": wanted, "actual": actual, "wrong": wrong })
    }

    /// Each setting as it is, and beside it what is wanted where that is another.
    fn settings(&self) -> String {
        let tell = |(key, wanted, actual): &(String, String, Option<String>)| match actual {
            Some(actual) if actual != wanted => format!("{key}={actual} (wanted: {wanted})"),
            _ => format!("{key}={wanted}"),
        };
        self.config.iter().map(tell).collect::<Vec<_>>().join(" ")
    }
}

fn show(topics: &[Topic], bootstrap: &str) {
    let width = topics.iter().map(|topic| topic.new.name.len()).max().unwrap_or(0);
    for topic in topics {
        let (name, partitions, state) = (&topic.new.name, topic.partitions, topic.state.word());
        let line = format!("{name:width$}  {partitions:>5}  {state:<7}  {}", topic.settings());
        crate::say!("{}", line.trim_end());
        for wrong in &topic.wrong {
            crate::say!("{:width$}  {:5}  {}", "", "", wrong.what);
            if let Some(command) = wrong.command(bootstrap) {
                crate::say!("{:width$}  {:5}  -> {command}", "", "");
            }
        }
    }
}
