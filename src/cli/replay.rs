//! `triaged replay`: what another policy would make of past mentions, on standard output.
//!
//! Owns the options and how it ends. What is compared is `crate::replay`.

use super::{Config, load};
use crate::audit;
use crate::error::{Error, Kind};
use crate::files::From;
use crate::interrupt::Interrupt;
use crate::pipeline;
use crate::progress::Progress;
use crate::replay::{self, Wishes};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Samples of each move when nothing is said.
const SAMPLES_DEFAULT: u8 = 3;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// The folder of the policy to decide under
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// The folder of the policy before; without it what the ledger says, and with --mentions the configured folder
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Read mentions from this file, one JSON object a line, instead of Kafka; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    mentions: Option<String>,
    /// Only mentions at or after this time, such as 2026-11-22T09:14:03Z or 2026-11-22
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only mentions before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Mentions shown of each way that some would go; 0 shows none
    #[arg(long, value_name = "N", default_value_t = SAMPLES_DEFAULT)]
    samples: u8,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

/// Replays and prints what would differ; exit code 75 when it was asked to end before it was through.
///
/// # Errors
/// 64 for times that make no sense, 66 for a file that cannot be read, 69 when no broker answers, 78 for a policy with
/// mistakes.
pub(super) fn replay(options: &Options) -> Result<ExitCode, Error> {
    let wishes = Wishes {
        policy: options.policy.clone(),
        against: options.against.clone(),
        from: options.from.as_deref().map(audit::time).transpose()?,
        to: options.to.as_deref().map(audit::time).transpose()?,
        samples: usize::from(options.samples),
    };
    // What is asked wrongly is told before a broker is waited for.
    wishes.check()?;
    let settings = load::settings(&options.config)?;
    load::log(load::QUIET);
    pipeline::abort_on_panic();
    let interrupt = Interrupt::listen()?;
    let report = match &options.mentions {
        Some(from) => {
            let (mut line, mut told) = (Progress::new("replays", None), 0);
            let from = From::parse(from);
            let report = replay::over_lines(&settings, &from, &wishes, &interrupt, &mut |come| {
                line.will_be(come.lines_expected());
                line.add(come.lines - told);
                told = come.lines;
            });
            line.end();
            report?
        }
        None => {
            let logs = pipeline::reached(&settings)?;
            let mut shown = audit::Shown::new("replays");
            replay::over_topics(&settings, logs.as_ref(), &wishes, &interrupt, &mut |step| shown.show(&step))?
        }
    };
    if options.json {
        let json = serde_json::to_string_pretty(&report).expect("invariant: a report is JSON");
        crate::say!("{json}");
    } else {
        crate::say!("{}", report.to_string().trim_end());
    }
    Ok(if report.interrupted { ExitCode::from(Kind::TryAgain.exit_code()) } else { ExitCode::SUCCESS })
}
