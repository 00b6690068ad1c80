//! `triaged topics`: what the daemon needs, what is there, `--create`, and the rights with `--acl`.
//!
//! Owns the table and the command lines on standard output. What a topic must be like is `pipeline::topics`, which
//! rights are needed is `pipeline::rights`.

use super::{Config, FINDINGS, load};
use crate::config::Settings;
use crate::error::Error;
use crate::log::{NewTopic, TopicInfo};
use crate::pipeline::topics::{Sizes, clashes, needed};
use crate::pipeline::{self, policy, rights};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::process::ExitCode;

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
    /// Partitions of a new desk log: fixed for good, for cases are found by it
    #[arg(long, default_value_t = Sizes::default().desks, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    desk_partitions: u32,
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

/// Lists the topics, and makes those that are missing when asked to; the exit code: 1 when some are missing in the end.
///
/// # Errors
/// 69 when no broker answers.
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
    }
    let logs = pipeline::reached(&settings)?;
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
        desks: options.desk_partitions,
        replication: options.replication,
    };
    let listed = needed(&settings, logs.as_ref(), &policies, sizes)?;
    let missing: Vec<NewTopic> =
        listed.iter().filter(|(_, info)| info.is_none()).map(|(new, _)| new.clone()).collect();
    if options.create {
        logs.create(&missing)?;
    }
    if options.json {
        let topics: Vec<Value> = listed.iter().map(|topic| to_json(topic, options.create)).collect();
        crate::say!("{:#}", json!({ "topics": topics }));
    } else {
        show(&listed, options.create);
    }
    if options.create || missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    crate::warn_of!("{} missing; `triaged topics --create` makes them", missing.len());
    Ok(ExitCode::from(FINDINGS))
}

/// A topic that is needed, and what is there.
type Listed = (NewTopic, Option<TopicInfo>);

/// How many partitions it has, or would have, and whether it is there.
fn state(topic: &Listed, created: bool) -> (u32, &'static str) {
    match topic {
        (_, Some(info)) => (info.partitions, "there"),
        (new, None) => (new.partitions, if created { "made" } else { "missing" }),
    }
}

fn to_json(topic: &Listed, created: bool) -> Value {
    let (partitions, state) = state(topic, created);
    let config: serde_json::Map<String, Value> =
        topic.0.config.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    json!({ "name": topic.0.name, "partitions": partitions, "state": state, "config": config })
}

fn show(listed: &[Listed], created: bool) {
    let width = listed.iter().map(|(new, _)| new.name.len()).max().unwrap_or(0);
    for topic in listed {
        let (new, (partitions, state)) = (&topic.0, state(topic, created));
        let config: Vec<String> = new.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let line = format!("{:width$}  {partitions:>5}  {state:<7}  {}", new.name, config.join(" "));
        crate::say!("{}", line.trim_end());
    }
}
