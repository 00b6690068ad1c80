//! The command line: verbs, their options and help, and how each ends.
//!
//! Owns the words that a person types, standard output and the exit code. May not do the work: each verb calls the
//! module that does. Errors go to standard error in one rendering (`error`), data to standard output.

mod check;
mod check_live;
mod ctl;
mod explain;
mod host;
mod load;
mod memory;
mod pages;
mod release;
mod replay;
mod run;
mod tap;
mod test;
mod topics;
mod unread;

use crate::audit::{self, AuditOptions};
use crate::demo;
use crate::error::{Error, colour_on};
use crate::pipeline;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code of a wrong command line (sysexits.h).
const USAGE: u8 = 64;
/// The exit code of findings: the program worked, and what it looked at is not right.
const FINDINGS: u8 = 1;

/// Stands between the firehose of public mentions and the people who answer them.
#[derive(Debug, Parser)]
#[command(
    name = "triaged",
    version,
    about,
    max_term_width = 100,
    after_help = "Examples:\n  triaged demo\n  triaged check --config /etc/triaged/triaged.toml\n  triaged topics --create\n  triaged run\n\n\
        Exit codes:\n  0 done; 1 findings; 64 wrong usage; 65 refused as wrong; 66 a file to read is not there;\n  \
        69 no broker or daemon answers; 73 a file cannot be made; 74 reading or writing failed;\n  \
        75 try again later; 77 rights are missing; 78 the configuration or the policy is wrong\n\n\
        Environment:\n  TRIAGED__SECTION__KEY overrides a setting, RUST_LOG the log level; NO_COLOR turns colours off"
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon
    #[command(
        after_help = "Examples:\n  triaged run --config /etc/triaged/triaged.toml\n  zcat mentions.ndjson.gz | triaged run --from - --to - | jq .value.queue\n  triaged run --from yesterday.ndjson --to out/\n\nExit codes of a run over a file: 0 at its end, 66 it cannot be read, 73 the output cannot be made, 75 asked to end before."
    )]
    Run(run::Options),
    /// Check the configuration and the policy, every mistake at once
    #[command(
        after_help = "Examples:\n  triaged check --config /etc/triaged/triaged.toml\n  triaged check --live\n  TRIAGED__POLICY__FOLDER=config/policy triaged check --json\n  triaged check --allow shared-partition\n\nExit codes:\n  0 all is well; 1 findings (it would start); 69 no broker answers;\n  77 login or rights are missing; 78 it would not start"
    )]
    Check(check::Options),
    /// Run the rule tests that stand beside the rules
    #[command(
        after_help = "Examples:\n  triaged test config/policy\n  triaged test config/policy/tests/television.toml\n  triaged test --only television --json | jq .tests[0]\n  triaged test --cost --sample yesterday.ndjson\n\nExit codes:\n  0 all pass; 1 one fails, or there is none; 78 the policy or a test has mistakes"
    )]
    Test(test::Options),
    /// List the topics that the daemon needs; make those that are missing
    #[command(
        after_help = "Examples:\n  triaged topics --json\n  triaged topics --create --partitions 48 --replication 3\n\nExit codes:\n  0 all are there, or made, as the daemon needs them; 1 some are missing, or not as it needs them;\n  64 a number of partitions that cannot be; 69 no broker answers;\n  77 the broker refuses the login or a right"
    )]
    Topics(topics::Options),
    /// Prove from outside that every mention was decided exactly once, or list what breaks it
    #[command(
        after_help = "Example:\n  triaged audit --from 2026-11-22T09:00:00Z\n\nExit codes: 0 nothing found; 1 the list of what was found, or the group has committed nothing."
    )]
    Audit(AuditWords),
    /// Why a mention or a case went where it went
    #[command(
        after_help = "Examples:\n  triaged explain mentions/0/1043\n  triaged explain x:1790001\n  triaged explain c0-17 --json\n  triaged explain --mention one.json --rule tv-broken\n\nExit codes: 0 found, 1 not found, with what was searched."
    )]
    Explain(explain::Options),
    /// Decide yesterday's mentions again under another policy, and tell what would differ
    #[command(
        after_help = "Examples:\n  triaged replay --policy tomorrow/ --from 2026-11-22 --to 2026-11-23\n  triaged replay --policy tomorrow/ --against today/ --from 2026-11-22 --json\n  zcat mentions.ndjson.gz | triaged replay --policy tomorrow/ --mentions -\n\nNothing is emitted, committed or written. Exit codes: 0 told, whatever differs; 75 asked to end before."
    )]
    Replay(replay::Options),
    /// Watch decisions live, one line each, without personal data
    #[command(
        after_help = "Examples:\n  triaged tap\n  triaged tap 'refund AND NOT lang:fr' --disposition noise\n  triaged tap --from 2026-11-22T09:00:00Z --count 100 --json | jq .rule"
    )]
    Tap(tap::Options),
    /// Bring back what a noise or block rule took by mistake
    #[command(
        after_help = "Examples:\n  triaged release --rule giveaway --dry-run\n  triaged release --rule giveaway --from 2026-11-22T09:00:00Z\n\nEach mention comes back once, however often this is asked for."
    )]
    Release(release::ReleaseOptions),
    /// Send dead letters through again, once what was wrong with them is mended
    #[command(after_help = "Example:\n  triaged requeue --reason too_large --from 2026-11-22")]
    Requeue(release::RequeueOptions),
    /// Talk to the running daemon over its socket
    Ctl(ctl::Options),
    /// Show triaged at work: a calm stream, then a storm, counted and accounted for
    #[command(
        after_help = "Examples:\n  triaged demo\n  DEMO_SECONDS=30 triaged demo\n  triaged demo --broker kafka --bootstrap localhost:9092"
    )]
    Demo(DemoOptions),
    /// Print the JSON Schema of triaged.toml, or of a record that it writes
    #[command(
        after_help = "Examples:\n  triaged schema\n  triaged schema config >triaged.schema.json\n  triaged schema assignment.created"
    )]
    Schema(pages::SchemaOptions),
    /// Print what a shell needs to complete verbs and options
    #[command(
        after_help = "Examples:\n  triaged completions bash >/usr/share/bash-completion/completions/triaged\n  triaged completions zsh >/usr/local/share/zsh/site-functions/_triaged\n  triaged completions fish >~/.config/fish/completions/triaged.fish"
    )]
    Completions(pages::CompletionsOptions),
    /// Print the manual page, or write one for each verb
    #[command(after_help = "Examples:\n  triaged man | man -l -\n  triaged man /usr/local/share/man/man1")]
    Man(pages::ManOptions),
}

/// Where the settings come from.
#[derive(Debug, Clone, Args)]
struct Config {
    /// The configuration; without it /etc/triaged/triaged.toml, and the defaults if there is no such file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AuditWords {
    #[command(flatten)]
    config: Config,
    /// Only records at or after this time, such as 2026-11-22T09:14:03Z or 2026-11-22
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Another group than the configuration's
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// One record in so many is decided again and compared; 1 is every one, 0 none
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
}

#[derive(Debug, Args)]
struct DemoOptions {
    /// The log it runs on: in this process's memory, or Apache Kafka
    #[arg(long, value_enum, default_value_t = Broker::Embedded)]
    broker: Broker,
    /// Brokers to ask first, with --broker kafka; the default is where `make kafka` starts one
    #[arg(long, default_value = "127.0.0.1:19092", value_name = "HOST:PORT")]
    bootstrap: String,
    /// End by itself after so many seconds; without it Ctrl-C ends it. DEMO_SECONDS says the same
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Broker {
    Embedded,
    Kafka,
}

/// The command line as its pages are made of it: every verb, option and example.
#[must_use]
pub fn command() -> clap::Command {
    <CommandLine as clap::CommandFactory>::command()
}

/// Reads the command line, does what it asks for; the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Help and version are answers, everything else is a mistake.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match act(command.verb) {
        Ok(code) => code,
        Err(error) => {
            crate::warn_of!("{}", error.render(colour_on(&std::io::stderr())));
            ExitCode::from(error.exit_code())
        }
    }
}

fn act(verb: Verb) -> Result<ExitCode, Error> {
    match verb {
        Verb::Run(options) => run::run(&options),
        Verb::Check(options) => check::check(&options),
        Verb::Test(options) => test::test(&options),
        Verb::Topics(options) => topics::topics(&options),
        Verb::Audit(words) => audit(&words),
        Verb::Explain(options) => explain::explain(&options),
        Verb::Replay(options) => replay::replay(&options),
        Verb::Tap(options) => tap::tap(&options),
        Verb::Release(options) => release::release(&options),
        Verb::Requeue(options) => release::requeue(&options),
        Verb::Ctl(options) => ctl::ctl(&options),
        Verb::Demo(options) => demonstrate(options),
        Verb::Schema(options) => pages::schema(&options),
        Verb::Completions(options) => Ok(pages::completions(&options)),
        Verb::Man(options) => pages::man(&options),
    }
}

fn audit(words: &AuditWords) -> Result<ExitCode, Error> {
    let settings = load::settings(&words.config)?;
    load::log(load::QUIET);
    let options = AuditOptions {
        from: words.from.as_deref().map(audit::time).transpose()?,
        to: words.to.as_deref().map(audit::time).transpose()?,
        group: words.group.clone(),
        json: words.json,
        sample: words.sample,
    };
    // What is asked wrongly is told before a broker is waited for.
    audit::plan_of(&settings, &options)?;
    audit::verb(&settings, pipeline::reached(&settings)?, options).map(ExitCode::from)
}

fn demonstrate(options: DemoOptions) -> Result<ExitCode, Error> {
    let seconds =
        match (options.seconds, std::env::var("DEMO_SECONDS")) {
            (Some(seconds), _) => Some(seconds),
            (None, Ok(text)) if !text.is_empty() => Some(text.parse().map_err(|_| {
                Error::usage(format!("DEMO_SECONDS is `{text}`, which is no number of seconds"))
            })?),
            _ => None,
        };
    load::log("warn");
    pipeline::abort_on_panic();
    let bootstrap = (options.broker == Broker::Kafka).then_some(options.bootstrap);
    let accounted = demo::run(&demo::Wishes { bootstrap, seconds })?;
    Ok(if accounted { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_verb_has_an_example() {
        command().debug_assert();
        for verb in command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "`{}` has no example", verb.get_name());
            assert!(help.contains(&format!("triaged {}", verb.get_name())), "{help}");
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let one_line =
                !about.is_empty() && about.len() <= 100 && !about.contains('\n') && !about.ends_with('.');
            assert!(one_line, "`{}` says in one line what it is for: {about:?}", verb.get_name());
        }
    }
}
