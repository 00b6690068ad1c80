//! The verb `audit`: from settings and options to a plan, and from a report to text and an exit code.
//!
//! Owns the mapping of settings, in one place, and what is printed. May not judge. Called by the command line.

use super::{AuditPlan, Progress, Report, audit};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::error::Error;
use crate::log::Logs;
use crate::worker::ScanSettings;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use triage_engine::model::Millis;

/// One record in so many is decided again when nothing is said.
const SAMPLE_EVERY_DEFAULT: u64 = 100;

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditOptions {
    /// Only records at or after this time.
    pub from: Option<Millis>,
    /// Only records before this time.
    pub to: Option<Millis>,
    /// Another group than the configuration's; `<group>.triage` and `<group>.desk` are looked at.
    pub group: Option<String>,
    /// The report as JSON.
    pub json: bool,
    /// One record in so many is decided again; 1 is every one, 0 none.
    pub sample: Option<u64>,
}

/// Audits and prints the report to standard output. The exit code: 0, or 1 when something was found.
///
/// # Errors
/// When the settings do not fit together, or a log cannot be read.
pub fn verb(settings: &Settings, logs: Arc<dyn Logs>, options: AuditOptions) -> Result<u8, Error> {
    let plan = plan_of(settings, &options)?;
    let mut bar = Bar::new();
    let report = audit(logs.as_ref(), &plan, &mut |progress| bar.show(&progress));
    bar.end();
    let report = report?;
    let printed = print(&report, options.json, &mut std::io::stdout().lock());
    printed.map_err(|error| Error::try_again(format!("the report could not be written: {error}")))?;
    Ok(u8::from(!report.is_clean()))
}

fn print(report: &Report, json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report)?;
        return writeln!(out);
    }
    writeln!(out, "{report}")
}

/// The plan that these settings and options make.
///
/// # Errors
/// Every mistake in the field map; a time range that is empty.
pub fn plan_of(settings: &Settings, options: &AuditOptions) -> Result<AuditPlan, Error> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && from >= to
    {
        return Err(Error::usage("`--from` is not before `--to`"));
    }
    let topics = &settings.topics;
    let group = options.group.as_ref().unwrap_or(&settings.group.name);
    Ok(AuditPlan {
        input: topics.mentions.clone(),
        ledger: format!("{}{}", topics.ledger_prefix, topics.mentions),
        desks: topics.desks.clone(),
        snapshots: topics.snapshots.clone(),
        dead_letter: topics.dead_letter.clone(),
        policies: topics.policies.clone(),
        control: topics.control.clone(),
        assignments_prefix: topics.assignments_prefix.clone(),
        triage_group: format!("{group}.triage"),
        desk_group: format!("{group}.desk"),
        scan: ScanSettings::of(settings)?,
        sample_every: options.sample.unwrap_or(SAMPLE_EVERY_DEFAULT),
        from: options.from,
        to: options.to,
    })
}

/// A time as people write it: RFC 3339, or a date, which is its midnight in UTC.
///
/// # Errors
/// A usage error that quotes the text.
pub fn time(text: &str) -> Result<Millis, Error> {
    let midnight = format!("{text}T00:00:00Z");
    let parsed = text.parse::<jiff::Timestamp>().or_else(|_| midnight.parse::<jiff::Timestamp>());
    parsed.map(|at| Millis(at.as_millisecond())).map_err(|_| {
        Error::usage(format!("`{text}` is no time")).hint("such as `2026-11-22T09:14:03Z` or `2026-11-22`")
    })
}

/// A line on the terminal that says how far it has come, once it takes longer than a second.
struct Bar {
    clock: SystemClock,
    /// When the bar was last drawn, in milliseconds since the start.
    shown_ms: Option<i64>,
    terminal: bool,
}

impl Bar {
    const EVERY_MS: i64 = 200;
    /// What is over sooner needs no bar.
    const AFTER_MS: i64 = 1_000;

    fn new() -> Bar {
        Bar { clock: SystemClock::new(), shown_ms: None, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let now = self.clock.monotonic_ms();
        let due = self.shown_ms.map_or(Self::AFTER_MS, |shown| shown + Self::EVERY_MS);
        if !self.terminal || now < due {
            return;
        }
        self.shown_ms = Some(now);
        let Progress { stage, of, done, all } = progress;
        let percent = done * 100 / all.max(&1);
        // A terminal that is gone is no reason to end.
        let _ = write!(std::io::stderr(), "\r\x1b[K{stage} {of}: {done} of {all} ({percent} %)");
    }

    fn end(&self) {
        if self.shown_ms.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
