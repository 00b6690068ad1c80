//! `triaged run`: the daemon on Kafka, or the same decisions over a file.
//!
//! Owns the options and how a run over a file ends: a summary on standard error, an exit code. The daemon is `pipeline`,
//! the file run is `files`.

use super::{Config, load};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Kind};
use crate::files::{self, From, Progress, To};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Daemon, Tuning};
use clap::Args;
use std::io::{IsTerminal, Write};
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
    let settings = load::settings(&options.config)?;
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
    let mut line =
        Line { clock: SystemClock::new(), shown_ms: None, terminal: std::io::stderr().is_terminal() };
    let summary =
        files::run(&settings, &From::parse(from), &To::parse(&options.to), &interrupt, &mut |progress| {
            line.show(&progress);
        });
    line.end();
    let summary = summary?;
    if !summary.reader_gone {
        eprintln!("triaged: {summary}");
    }
    Ok(if summary.interrupted { ExitCode::from(Kind::TryAgain.exit_code()) } else { ExitCode::SUCCESS })
}

/// A line on the terminal that says how far the run has come, once it takes longer than a second.
struct Line {
    clock: SystemClock,
    /// When it was last drawn, in milliseconds since the start.
    shown_ms: Option<i64>,
    terminal: bool,
}

impl Line {
    const EVERY_MS: i64 = 200;
    /// What is over sooner needs no such line.
    const AFTER_MS: i64 = 1_000;

    fn show(&mut self, progress: &Progress) {
        let now = self.clock.monotonic_ms();
        let due = self.shown_ms.map_or(Self::AFTER_MS, |shown| shown + Self::EVERY_MS);
        if !self.terminal || now < due {
            return;
        }
        self.shown_ms = Some(now);
        let rate = progress.lines * 1_000 / now.max(1).unsigned_abs();
        let share = progress.bytes_all.map(|all| format!(", {} %", progress.bytes * 100 / all.max(1)));
        // A terminal that is gone is no reason to end.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{} lines, {rate} a second{}",
            progress.lines,
            share.unwrap_or_default()
        );
    }

    fn end(&self) {
        if self.shown_ms.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
