//! `triaged ctl`: asks the running daemon over its unix socket.
//!
//! Owns one request of HTTP/1.1 and the rendering of its answer. Knows nothing of the daemon but its paths.

use super::{Config, load};
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::log_level;
use clap::{Args, Subcommand};
use serde_json::Value;
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
        after_help = "Example:\n  triaged ctl policy reload\n\nExit codes:\n  0 in force; 65 refused, with every mistake; 69 no daemon answers"
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
/// 69 when nobody answers on the socket, 65 when a reload was refused, with every mistake.
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
            ExitCode::from(Error::data("").exit_code())
        });
    }
    if status >= 300 {
        return Err(refused(&answer));
    }
    match &options.verb {
        Verb::Status => show_status(&answer),
        Verb::Policy(PolicyVerb::Reload { .. }) => show_reload(&answer),
        Verb::Pause { .. } | Verb::Resume => crate::say!("{}", paused(&answer)),
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

fn refused(answer: &Value) -> Error {
    let message = text(&answer["error"]);
    let mistakes = answer["mistakes"].as_array().into_iter().flatten();
    let told = mistakes.filter_map(|mistake| serde_json::from_value::<Diagnostic>(mistake.clone()).ok());
    Error::data(message).diagnostics(told).hint("what is in force stays in force")
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
