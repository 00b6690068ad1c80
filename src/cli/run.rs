//! `triaged run`: the daemon on Kafka, or the same decisions over a file.
//!
//! Owns the options and how a run over a file ends: a summary on standard error, an exit code. The daemon is `pipeline`,
//! the file run is `files`.

use super::{Config, load};
use crate::clock::SystemClock;
use crate::error::{Error, Kind};
use crate::files::{self, From, To};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Daemon, Tuning};
use crate::progress::Progress;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// Read mentions from this file, one JSON object a line, instead of Kafka; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    from: Option<String>,
    /// Where the records of a run over a file go: a folder with one file a topic, or `-` for standard output
    #[arg(long, value_name = "DIR|-", default_value = "-", requires = "from")]
    to: String,
}

/// Runs the daemon, or a file through its lanes.
///
/// # Errors
/// As the daemon's start and end say; 66, 73 and 74 for files.
pub(super) fn run(options: &Options) -> Result<ExitCode, Error> {
    let settings = load::settings_to_run(&options.config)?;
    let Some(from) = &options.from else {
        load::log(&settings.log.level);
        pipeline::abort_on_panic();
        for warning in pipeline::warnings(&settings) {
            tracing::warn!("{warning}");
        }
        let logs = pipeline::connect(&settings)?;
        Daemon::start(settings, logs, Arc::new(SystemClock::new()), Tuning::default())?.run()?;
        return Ok(ExitCode::SUCCESS);
    };
    load::log("warn");
    pipeline::abort_on_panic();
    let interrupt = Interrupt::listen()?;
    let (mut line, mut told) = (Progress::new("reads", None), 0);
    let summary =
        files::run(&settings, &From::parse(from), &To::parse(&options.to), &interrupt, &mut |come| {
            line.will_be(come.lines_expected());
            line.add(come.lines - told);
            told = come.lines;
        });
    line.end();
    let summary = summary?;
    if !summary.reader_gone {
        eprintln!("triaged: {summary}");
    }
    Ok(if summary.interrupted { ExitCode::from(Kind::TryAgain.exit_code()) } else { ExitCode::SUCCESS })
}
