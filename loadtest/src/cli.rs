//! The command line: verbs, their options and help, and how each ends.
//!
//! Owns the words that a person types, standard output and the exit code. May not do the work. Errors go to standard
//! error, data to standard output.

use crate::cast::Cast;
use crate::expect::Oracle;
use crate::ground::Wishes;
use crate::report::Report;
use crate::run;
use crate::scenario::{self, SHIPPED, Scenario};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use triaged::error::Error;
use triaged::say;

/// The exit code of a wrong command line (sysexits.h).
const USAGE: u8 = 64;
const EXIT_CODES: &str = "Exit codes: 0 every objective is met, 1 one is not, 2 one could not be measured and the others are met,\n\
                          75 the schedule was not kept (no percentiles then),\n\
                          64 wrong command line, 69 no broker or no daemon answers or no process has the number of --pid,\n\
                          78 scenario, policy or configuration is wrong.";

/// Rehearses a brand's worst day against triaged, and says what should have come out.
#[derive(Debug, Parser)]
#[command(name = "triaged-storm", version, about, max_term_width = 100, after_help = format!("Examples:\n  \
    make storm                                 the smoke scenario on a broker of its own\n  \
    triaged-storm plan firehose                what would be sent; needs no broker\n  \
    triaged-storm run smoke --bootstrap localhost:9092 --daemon target/release/triaged\n\n{EXIT_CODES}\n\
    docs/load-testing.md is the manual."))]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a scenario, measure, and judge every record
    #[command(after_help = format!("Examples:\n  \
        triaged-storm run smoke --bootstrap localhost:9092 --daemon target/release/triaged\n  \
        triaged-storm run record-second-2013 --config /etc/triaged/triaged.toml --pid $(pidof triaged)\n  \
        triaged-storm run mine.toml --policy config/policy --config triaged.toml --report out --json\n\n{EXIT_CODES}"))]
    Run(RunWords),
    /// Print what a scenario would send; needs no broker
    #[command(after_help = "Example:\n  triaged-storm plan firehose")]
    Plan(PlanWords),
    /// Judge a finished run again, from its topics
    #[command(after_help = format!("Example:\n  triaged-storm judge storm-reports/smoke-19a2b3c4d5e\n\n{EXIT_CODES}"))]
    Judge(JudgeWords),
    /// List the scenarios that ship
    #[command(after_help = "Example:\n  triaged-storm scenarios")]
    Scenarios {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct RunWords {
    /// One that ships (see `scenarios`), or a file
    scenario: String,
    #[command(flatten)]
    ground: GroundWords,
    /// Start this daemon for the run, with topics of its own, and drain it at the end
    #[arg(long, value_name = "BIN", conflicts_with = "config")]
    daemon: Option<PathBuf>,
    /// The daemon's process on this machine, to measure its memory and processor time; with --daemon it is known
    #[arg(long)]
    pid: Option<u32>,
    /// The policy that is in force; without it the scenario's, then the configuration's, then the one that ships
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// Where the page, the JSON and the run's files go; without it storm-reports/<scenario>-<run>
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The report as JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct GroundWords {
    /// Brokers to ask first; outranks the configuration
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
    /// The configuration of the daemon that runs: names of topics and groups, TLS, SASL
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PlanWords {
    /// One that ships, or a file
    scenario: String,
    /// The policy; without it the scenario's, then the one that ships
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// Print so many of the records themselves
    #[arg(long, value_name = "N", default_value_t = 0)]
    records: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct JudgeWords {
    /// The folder that the run left
    folder: PathBuf,
    #[command(flatten)]
    ground: GroundWords,
    /// The verdict as JSON
    #[arg(long)]
    json: bool,
}

/// Reads the command line, does what it asks for; the exit code.
pub fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let done = match command.verb {
        Verb::Run(words) => run(words),
        Verb::Plan(words) => plan(&words),
        Verb::Judge(words) => judge(words),
        Verb::Scenarios { json } => scenarios(json),
    };
    done.unwrap_or_else(|error| {
        eprintln!("triaged-storm: {error}");
        ExitCode::from(error.exit_code())
    })
}

fn run(words: RunWords) -> Result<ExitCode, Error> {
    let scenario = scenario::load(&words.scenario)?;
    let name = run::fresh_name();
    let folder = words
        .report
        .unwrap_or_else(|| PathBuf::from("storm-reports").join(format!("{}-{name}", scenario.name)));
    let wishes = Wishes {
        bootstrap: words.ground.bootstrap,
        config: words.ground.config,
        daemon: words.daemon,
        policy: words.policy,
    };
    eprintln!(
        "triaged-storm: {} sends {} records in {:.0} s",
        scenario.name,
        scenario.shape.total(),
        scenario.shape.seconds()
    );
    let report = run::run(scenario, &wishes, words.pid, folder, &name)?;
    report.save()?;
    Ok(tell(&report, words.json))
}

fn judge(words: JudgeWords) -> Result<ExitCode, Error> {
    let wishes =
        Wishes { bootstrap: words.ground.bootstrap, config: words.ground.config, ..Wishes::default() };
    let report = run::judge_again(&words.folder, &wishes)?;
    Ok(tell(&report, words.json))
}

fn tell(report: &Report, json: bool) -> ExitCode {
    if json {
        say!("{:#}", report.json());
    } else {
        say!("{}", report.text());
    }
    ExitCode::from(report.exit_code())
}

fn plan(words: &PlanWords) -> Result<ExitCode, Error> {
    let scenario = scenario::load(&words.scenario)?;
    let shipped = std::env::temp_dir().join(format!("triaged-storm-policy-{}", std::process::id()));
    let folder = words.policy.clone().or(scenario.policy.clone());
    let oracle = match &folder {
        Some(folder) => Oracle::of(folder),
        None => {
            let written = triaged::demo::write_policy(&shipped).map_err(|error| {
                Error::configuration(format!("cannot write to `{}`: {error}", shipped.display()))
            });
            let oracle = written.and_then(|()| Oracle::of(&shipped));
            let _ = std::fs::remove_dir_all(&shipped);
            oracle
        }
    };
    let cast = Cast::new(&scenario, &mut oracle?)?;
    show_plan(&scenario, &cast, words.json);
    let mut writer = crate::mention::Writer::new(&cast, "0", 0);
    for number in 0..words.records.min(cast.total()) {
        let mut value = Vec::new();
        writer.value(number, &cast.part(number), cast.shape().due_ns(number), &mut value);
        say!("{}", String::from_utf8_lossy(&value));
    }
    Ok(ExitCode::SUCCESS)
}

fn show_plan(scenario: &Scenario, cast: &Cast, json: bool) {
    let census = cast.census();
    let shape = cast.shape();
    if json {
        let phases = shape.phases().iter().enumerate().map(|(index, phase)| {
            let records = shape.records(index);
            serde_json::json!({ "name": phase.name, "kind": phase.kind, "start_s": phase.start, "seconds": phase.seconds,
                "from": phase.from, "to": phase.to, "records": records.end - records.start })
        });
        let phases: Vec<serde_json::Value> = phases.collect();
        say!(
            "{:#}",
            serde_json::json!({ "scenario": scenario.name, "seed": scenario.seed, "phases": phases, "sends": census })
        );
        return;
    }
    say!("{} (seed {}): {}", scenario.name, scenario.seed, scenario.about);
    for (index, phase) in shape.phases().iter().enumerate() {
        let records = shape.records(index);
        say!(
            "  {:>6.1} s  {:<24} {:>7.1} s  {:>9.0} to {:>9.0} a second  {:>10} records",
            phase.start,
            phase.name,
            phase.seconds,
            phase.from,
            phase.to,
            records.end - records.start
        );
    }
    say!("sends {} records of {} bytes in {:.0} s:", census.records, scenario.payload_bytes, shape.seconds());
    for (name, count) in &census.by_disposition {
        say!("  {count:>10}  {:>5.1} %  {name}", *count as f64 * 100.0 / census.records.max(1) as f64);
    }
    for (queue, count) in &census.by_queue {
        say!("  {count:>10}           of them for {queue}");
    }
    say!("  {:>10}           new mentions by VIPs", census.vip);
    say!("partitions: {:?}", census.by_partition);
}

fn scenarios(json: bool) -> Result<ExitCode, Error> {
    let mut listed = Vec::new();
    for (name, _) in SHIPPED {
        let scenario = scenario::load(name)?;
        let (records, seconds) = (scenario.shape.total(), scenario.shape.seconds());
        if json {
            listed.push(serde_json::json!({ "name": name, "about": scenario.about, "records": records, "seconds": seconds }));
        } else {
            say!("{name:<20} {records:>9} records, {seconds:>3.0} s  {}", scenario.about);
        }
    }
    if json {
        say!("{:#}", serde_json::Value::from(listed));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_every_verb_has_an_example() {
        Command::command().debug_assert();
        let help = Command::command().get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("triaged-storm run smoke") && help.contains("Exit codes:"), "{help}");
        for verb in Command::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("triaged-storm {}", verb.get_name())),
                "{}: {help}",
                verb.get_name()
            );
        }
    }
}
