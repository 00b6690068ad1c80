//! `triaged ctl`: asks the running daemon over its unix socket.
//!
//! Owns one request of HTTP/1.1 and the rendering of its answer. Knows nothing of the daemon but its paths and the names
//! of its refusals.

use super::{Config, load};
use crate::admin::Why;
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::log_level;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A reload waits until the policy is in force; the daemon itself gives up before.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  triaged ctl status\n  triaged ctl policy reload\n  triaged ctl pause --partitions 0,3\n  triaged ctl log debug\n  triaged ctl drain --socket /run/triaged/admin.sock"
)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// The daemon's socket; without it `admin.socket` of the configuration
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// How the daemon is: ready or not and why, the policy in force, partitions, counts
    #[command(after_help = "Examples:\n  triaged ctl status\n  triaged ctl status --json")]
    Status,
    /// The policy of the fleet
    #[command(subcommand, after_help = "Example:\n  triaged ctl policy reload")]
    Policy(PolicyVerb),
    #[command(after_help = "Examples:\n  triaged ctl pause\n  triaged ctl pause --partitions 0,3")]
    /// Stop reading mentions on this instance; its place in the group and what is in flight are kept. A restart reads again
    Pause {
        /// Only these input partitions, such as 0,3,7; without it all
        #[arg(long, value_name = "N", value_delimiter = ',')]
        partitions: Vec<u32>,
    },
    /// Read everything again
    #[command(after_help = "Example:\n  triaged ctl resume")]
    Resume,
    /// Change the level of the daemon's log until its next start
    #[command(after_help = "Example:\n  triaged ctl log debug")]
    Log {
        /// How much is told
        #[arg(value_name = "LEVEL", value_parser = clap::builder::PossibleValuesParser::new(log_level::LEVELS))]
        level: String,
    },
    /// Settle what is in flight, commit, and end
    #[command(after_help = "Example:\n  triaged ctl drain")]
    Drain,
}

#[derive(Debug, Subcommand)]
enum PolicyVerb {
    /// Check the daemon's policy folder and put it in force on every instance; ends when every lane of this one uses it
    #[command(
        after_help = "Example:\n  triaged ctl policy reload\n\nExit codes:\n  0 in force; 65 refused, with every mistake; 69 no daemon answers, or no broker does;\n  75 not in force in time, and it goes on: `triaged ctl status` tells how it ends; or another does;\n  77 the broker refuses a right"
    )]
    Reload {
        /// Wait until then: what is done anyway, for scripts that say so
        #[arg(long)]
        wait: bool,
    },
}

/// Asks the daemon.
///
/// # Errors
/// 69 when nobody answers on the socket or to the daemon, 65 when what was asked for is wrong, with every mistake, 75
/// when it did not come in time.
pub(super) fn ctl(options: &Options) -> Result<ExitCode, Error> {
    let socket = match &options.socket {
        Some(socket) => socket.clone(),
        None => load::settings(&options.config)?.admin.socket,
    };
    let (method, path, asked) = match &options.verb {
        Verb::Status => ("GET", "/v1/status", String::new()),
        Verb::Policy(PolicyVerb::Reload { .. }) => ("POST", "/v1/policy/reload", String::new()),
        Verb::Pause { partitions } => {
            ("POST", "/v1/pause", serde_json::json!({ "partitions": partitions }).to_string())
        }
        Verb::Resume => ("POST", "/v1/resume", String::new()),
        Verb::Log { level } => ("POST", "/v1/log", serde_json::json!({ "level": level }).to_string()),
        Verb::Drain => ("POST", "/v1/drain", String::new()),
    };
    let (status, body) = ask(&socket, method, path, &asked).map_err(|why| {
        Error::unavailable(format!("no daemon answers on `{}`: {why}", socket.display()))
            .hint("is triaged running, and may you open its socket? `--socket` names another")
    })?;
    let answer: Value = serde_json::from_slice(&body).map_err(|why| {
        Error::unavailable(format!("the answer on `{}` is no JSON: {why}", socket.display()))
    })?;
    if options.json {
        crate::say!("{answer:#}");
        return Ok(if status < 300 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(refused(status, &answer).exit_code())
        });
    }
    if status >= 300 {
        return Err(refused(status, &answer));
    }
    match &options.verb {
        Verb::Status => show_status(&answer),
        Verb::Policy(PolicyVerb::Reload { .. }) => show_reload(&answer),
        Verb::Pause { partitions } => {
            crate::say!("{}", paused(&answer));
            if !partitions.is_empty() {
                crate::say!("{}", live_of(partitions, &answer));
            }
        }
        Verb::Resume => crate::say!("{}", paused(&answer)),
        Verb::Log { level } => crate::say!("the daemon's log is at `{level}` until its next start"),
        Verb::Drain => crate::say!("draining: the daemon settles what it has read, commits and ends"),
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(socket: &Path, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let broken = || std::io::Error::other("the answer is no HTTP");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(broken)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| broken())?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    Ok((status, answer[end + 4..].to_vec()))
}

/// The error that a refusal is: by its kind, or by the status where the server itself refused.
fn refused(status: u16, answer: &Value) -> Error {
    let message = text(&answer["error"]);
    let mistakes = answer["mistakes"].as_array().into_iter().flatten();
    let told: Vec<Diagnostic> =
        mistakes.filter_map(|mistake| serde_json::from_value(mistake.clone()).ok()).collect();
    let named = answer["refused"].as_str();
    match Why::ALL.into_iter().find(|why| Some(why.name()) == named) {
        // Only a policy has mistakes.
        Some(Why::Wrong) if told.is_empty() => Error::data(message),
        Some(Why::Wrong) => Error::data(message).diagnostics(told).hint("what is in force stays in force"),
        Some(Why::Busy) => Error::try_again(message).hint("try again in a moment"),
        Some(Why::Away) => Error::unavailable(message)
            .hint("the daemon finds no broker: try again once `triaged ctl status` says that it is ready"),
        Some(Why::Denied) => Error::no_permission(message)
            .hint("`triaged topics --acl` prints the rights that the daemon's principal needs"),
        Some(Why::Late) => Error::try_again(message).hint(
            "it may still come: `triaged ctl status` tells how it ends, and what is in force; asking again does no harm",
        ),
        None if status >= 500 => {
            Error::try_again(message).hint("`triaged ctl status` shows how the daemon is")
        }
        None => Error::data(message),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn show_reload(answer: &Value) {
    let (before, after) = (text(&answer["before"]["generation"]), text(&answer["after"]["generation"]));
    if answer["changed"] == Value::Bool(false) {
        crate::say!("nothing changed: the folder's policy is in force already\n  {after}");
    } else {
        let before = if before.is_empty() { "none".to_owned() } else { before };
        crate::say!("in force:  {after} (epoch {})\nbefore:    {before}", answer["after"]["epoch"]);
    }
}

/// What is paused, in a line.
fn paused(answer: &Value) -> String {
    match &answer["paused"] {
        Value::Bool(true) => {
            "paused: no mention is read on this instance until `triaged ctl resume`".to_owned()
        }
        Value::Array(partitions) => {
            let of: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!("paused: input partitions {} are not read here until `triaged ctl resume`", of.join(", "))
        }
        _ => "nothing is paused".to_owned(),
    }
}

/// Which of the partitions asked for are live on the instance that was asked; others are another's, or on their way.
fn live_of(asked: &[u32], answer: &Value) -> String {
    let asked: BTreeSet<u32> = asked.iter().copied().collect();
    let live: Vec<u32> = serde_json::from_value(answer["live"].clone()).unwrap_or_default();
    let list = |wanted: bool| -> String {
        let of = asked.iter().filter(|of| live.contains(of) == wanted).map(ToString::to_string);
        of.collect::<Vec<_>>().join(", ")
    };
    match (list(true), list(false)) {
        (here, none) if none.is_empty() => format!("live here now: {here}"),
        (none, elsewhere) if none.is_empty() => {
            format!("live here now: none of them; {elsewhere} will not be read here when they come")
        }
        (here, elsewhere) => {
            format!("live here now: {here}; {elsewhere} will not be read here when they come")
        }
    }
}

fn show_status(answer: &Value) {
    let ready = if answer["ready"] == Value::Bool(true) {
        "ready".to_owned()
    } else {
        format!("not ready: {}", text(&answer["waits_for"]))
    };
    crate::say!(
        "triaged {} `{}`: {}, {ready}",
        text(&answer["version"]),
        text(&answer["instance"]),
        text(&answer["stage"])
    );
    if answer["paused"] != Value::Bool(false) {
        crate::say!("{}", paused(answer));
    }
    let policy = &answer["policy"];
    let generation = text(&policy["generation"]);
    if generation.is_empty() {
        crate::say!("policy:    none in force");
    } else {
        crate::say!("policy:    {generation} (epoch {}, {} rules)", policy["epoch"], policy["rules"]);
    }
    if policy["folder_differs"] == Value::Bool(true) {
        crate::say!(
            "           the folder {} differs; `triaged ctl policy reload` puts it in force",
            text(&policy["folder"])
        );
    }
    if let Some(problem) = policy["folder_problem"].as_str() {
        crate::say!("           the folder cannot be used: {}", problem.replace('\n', "\n           "));
    }
    if let Some(told) = told_reload(&policy["reload"]) {
        crate::say!("reload:    {}", told.replace('\n', "\n           "));
    }
    let mentions = &answer["mentions"];
    crate::say!("mentions:  {} read, {} in flight", mentions["read"], mentions["in_flight"]);
    for (disposition, count) in mentions["settled"].as_object().into_iter().flatten() {
        crate::say!("           {count:>12} {disposition}");
    }
    for lane in answer["lanes"].as_array().into_iter().flatten() {
        crate::say!(
            "lane:      {}: {} partitions, {} being restored",
            text(&lane["lane"]),
            lane["partitions"],
            lane["restoring"]
        );
    }
}

/// How the last reload went; nothing before the first.
fn told_reload(reload: &Value) -> Option<String> {
    let at = || text(&reload["at"]);
    match reload["state"].as_str()? {
        "under_way" => Some(format!("under way since {}", text(&reload["since"]))),
        "in_force" => Some(format!("the last one, ended {}, is in force", at())),
        "late" => {
            Some(format!("the last one, ended {}: {}; it may still come", at(), text(&reload["error"])))
        }
        // The status is of no consequence where the kind is named.
        _ => {
            Some(format!("the last one was refused {}: {}", at(), refused(0, reload).to_string().trim_end()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Refusal;

    #[test]
    fn a_mistake_exits_65_a_broker_that_is_away_69_and_what_came_late_75() {
        let codes = Why::ALL.map(|why| {
            let answer = Refusal::new(why, "no").into_json();
            refused(why.status().as_u16(), &answer).exit_code()
        });
        assert_eq!(codes, [65, 75, 69, 77, 75]);
        let away = refused(503, &Refusal::new(Why::Away, "nobody answers").into_json()).to_string();
        assert!(!away.contains("stays in force"), "that is what is said of mistakes: {away}");
        assert_eq!(refused(504, &serde_json::json!({ "error": "no answer in time" })).exit_code(), 75);
        assert_eq!(refused(400, &serde_json::json!({ "error": "no JSON" })).exit_code(), 65);
    }

    #[test]
    fn a_status_tells_how_the_last_reload_went_with_every_mistake() {
        use serde_json::json;
        use triage_engine::policy::Mistake;
        assert_eq!(told_reload(&Value::Null), None);
        let going = json!({ "state": "under_way", "since": "2026-11-23T09:00:00.000Z" });
        assert_eq!(told_reload(&going).as_deref(), Some("under way since 2026-11-23T09:00:00.000Z"));
        let done = json!({ "state": "in_force", "at": "2026-11-23T09:01:10.000Z" });
        assert_eq!(
            told_reload(&done).as_deref(),
            Some("the last one, ended 2026-11-23T09:01:10.000Z, is in force")
        );
        let mistake = Mistake {
            file: "rules/tv.toml".to_owned(),
            line: 3,
            column: 1,
            what: "unknown key `qeury`".to_owned(),
            ..Mistake::default()
        };
        let mistakes = json!([mistake]);
        let mut wrong = Refusal {
            why: Why::Wrong,
            answer: json!({ "error": "the policy has mistakes", "mistakes": mistakes }),
        }
        .into_json();
        wrong["state"] = json!("refused");
        wrong["at"] = json!("2026-11-23T09:01:10.000Z");
        let told = told_reload(&wrong).expect("it is told");
        assert!(told.contains("refused 2026-11-23T09:01:10.000Z: the policy has mistakes"), "{told}");
        assert!(told.contains("rules/tv.toml:3") && told.contains("unknown key `qeury`"), "{told}");
        let mut late = Refusal::new(Why::Late, "asked for, and not in force within 30 s").into_json();
        late["state"] = json!("late");
        assert!(told_reload(&late).expect("told").ends_with("within 30 s; it may still come"));
    }

    #[test]
    fn a_pause_says_which_of_the_partitions_asked_for_are_live_here() {
        let answer = serde_json::json!({ "paused": [0, 3], "live": [0] });
        assert_eq!(live_of(&[0], &answer), "live here now: 0");
        assert_eq!(live_of(&[0, 3], &answer), "live here now: 0; 3 will not be read here when they come");
        let twice = "live here now: 0; 1, 3 will not be read here when they come";
        assert_eq!(live_of(&[3, 1, 1, 0, 0], &answer), twice, "each once, in order");
        assert!(live_of(&[3], &answer).starts_with("live here now: none of them; 3 will"));
    }
}
