//! `triaged release` and `triaged requeue`: bring mentions back, and tell what became of them.
//!
//! Owns the options, the progress on standard error and the answer on standard output. Asks over the control topic: any
//! instance that owns the mentions does it, and goes on when this process ends.

use super::{Config, load};
use crate::audit;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::pipeline;
use crate::pipeline::release::{Asker, Wish};
use clap::Args;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use triage_engine::model::DeadLetterReason;
use triage_engine::plans::{Release, ReleaseCounts, Taken};

/// Milliseconds without any answer after which it is said that nobody seems to work on it.
const NOBODY_AFTER_MS: i64 = 30_000;

/// What both verbs take.
#[derive(Debug, Args)]
struct Range {
    #[command(flatten)]
    config: Config,
    /// Only mentions at or after this time, such as 2026-11-22T09:14:03Z or 2026-11-22
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only mentions before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Count what would be looked at, and ask for nothing
    #[arg(long)]
    dry_run: bool,
    /// Ask, and do not wait for the answers
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReleaseOptions {
    /// The rule whose noise or blocked mentions come back; they are routed as the policy in force says, without that
    /// action of this rule
    #[arg(long, value_name = "RULE")]
    rule: String,
    #[command(flatten)]
    range: Range,
}

#[derive(Debug, Args)]
pub(super) struct RequeueOptions {
    /// Only dead letters of this reason, such as too_large; without it all but `crashed`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    #[command(flatten)]
    range: Range,
}

/// Brings back what a rule took.
///
/// # Errors
/// 64 for times that are none, 65 for a rule that never was, 69 when no broker answers.
pub(super) fn release(options: &ReleaseOptions) -> Result<ExitCode, Error> {
    bring_back(Taken::ByRule(options.rule.clone()), &options.range)
}

/// Sends dead letters through again.
///
/// # Errors
/// 64 for a reason that is none, or `crashed`: a record that kills the process would kill it again.
pub(super) fn requeue(options: &RequeueOptions) -> Result<ExitCode, Error> {
    let known = || {
        let names = DeadLetterReason::ALL.iter().filter(|reason| **reason != DeadLetterReason::Crashed);
        names.map(|reason| reason.name()).collect::<Vec<_>>().join(", ")
    };
    let reason = match options.reason.as_deref() {
        None => None,
        Some("crashed") => {
            return Err(Error::usage("dead letters of the reason `crashed` are not sent through again")
                .hint(
                    "such a record kills the process that reads it; mend it at its producer and send it anew",
                ));
        }
        Some(name) => {
            let found = DeadLetterReason::ALL.iter().find(|reason| reason.name() == name);
            let wrong = || Error::usage(format!("`{name}` is no reason of a dead letter")).hint(known());
            Some(*found.ok_or_else(wrong)?)
        }
    };
    bring_back(Taken::AsDeadLetter(reason), &options.range)
}

fn bring_back(what: Taken, range: &Range) -> Result<ExitCode, Error> {
    let settings = load::settings(&range.config)?;
    load::log(load::QUIET);
    let wish = Wish {
        what,
        from: range.from.as_deref().map(audit::time).transpose()?,
        to: range.to.as_deref().map(audit::time).transpose()?,
    };
    if let (Some(from), Some(to)) = (wish.from, wish.to)
        && from >= to
    {
        return Err(Error::usage("`--from` is not before `--to`"));
    }
    let (logs, clock) = (pipeline::reached(&settings)?, SystemClock::new());
    let mut asker = Asker::new(&settings, logs.as_ref(), &clock)?;
    asker.check(&wish.what)?;
    if range.dry_run {
        let counted = asker.count(&wish)?;
        if range.json {
            crate::say!("{:#}", json!({ "found": counted.found, "gone": counted.gone }));
        } else {
            let plural = if counted.found == 1 { "mention" } else { "mentions" };
            crate::say!("{} {plural} would be decided again", counted.found);
            show_gone(counted.gone);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let id = asker.ask(&wish)?;
    if range.no_wait {
        match range.json {
            true => crate::say!("{:#}", json!({ "request": id })),
            false => crate::say!("asked for: request `{id}`"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let done = wait(&mut asker, &id, &clock, &Interrupt::listen()?)?;
    let counts = done.counts();
    match range.json {
        true => crate::say!("{:#}", as_json(&id, &counts)),
        false => show(&counts),
    }
    Ok(ExitCode::SUCCESS)
}

fn wait(asker: &mut Asker<'_>, id: &str, clock: &dyn Clock, interrupt: &Interrupt) -> Result<Release, Error> {
    let terminal = std::io::stderr().is_terminal();
    let (mut moved, mut told) = ((clock.monotonic_ms(), 0), false);
    loop {
        if interrupt.is_asked() {
            return Err(Error::try_again(format!("not waited for any longer: request `{id}` stays"))
                .hint("the daemon goes on with it; asking again finds what is left then"));
        }
        let release = asker.answers(id)?;
        let answered = release.as_ref().map_or(0, |release| release.done.len());
        if let Some(done) = release.as_ref().filter(|release| release.is_done()) {
            if terminal {
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
            return Ok(done.clone());
        }
        if let Some(release) = release.as_ref().filter(|_| terminal) {
            let (all, back) = (release.request.partitions, release.counts().brought_back());
            // A terminal that is gone is no reason to end.
            let _ = write!(std::io::stderr(), "\r\x1b[K{answered} of {all} partitions, {back} brought back");
        }
        if answered > moved.1 {
            moved = (clock.monotonic_ms(), answered);
        }
        if !told && clock.monotonic_ms() - moved.0 > NOBODY_AFTER_MS {
            told = true;
            let silent = match &release {
                Some(release) if answered > 0 => {
                    let all = 0..release.request.partitions;
                    let silent: Vec<String> = all
                        .filter(|partition| !release.done.contains_key(partition))
                        .map(|partition| partition.to_string())
                        .collect();
                    format!("nothing is heard of input partitions {} for a while", silent.join(", "))
                }
                _ => "no instance has answered yet; is the daemon running?".to_owned(),
            };
            crate::warn_of!("{silent}; request `{id}` stays, and is done without this command too");
        }
    }
}

fn as_json(id: &str, counts: &ReleaseCounts) -> serde_json::Value {
    json!({
        "request": id,
        "brought_back": counts.brought_back(),
        "desks": counts.queued,
        "noise": counts.noise,
        "blocked": counts.blocked,
        "duplicate": counts.duplicate,
        "dead_letter": counts.dead_letter,
        "gone": counts.gone,
    })
}

fn show(counts: &ReleaseCounts) {
    crate::say!("brought back: {}", counts.brought_back());
    for (desk, count) in &counts.queued {
        crate::say!("{count:>14} to desk `{desk}`");
    }
    let others = [
        (counts.noise, "stay noise: by another rule, or they are no mentions"),
        (counts.blocked, "stay blocked: by another rule or for their author"),
        (counts.duplicate, "are copies of mentions that came through meanwhile"),
        (counts.dead_letter, "cannot be read"),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        crate::say!("{count:>14} {what}");
    }
    show_gone(counts.gone);
}

fn show_gone(gone: u64) {
    if gone > 0 {
        crate::say!(
            "{gone:>14} are gone: retention has taken them from the input, nobody can bring them back"
        );
    }
}
