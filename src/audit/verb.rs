//! The verb `audit`: from settings and options to a plan, and from a report to text and an exit code.
//!
//! Owns the mapping of settings, in one place, and what is printed. May not judge. Called by the command line.

use super::{AuditPlan, Step, audit};
use crate::config::Settings;
use crate::error::Error;
use crate::log::{Logs, TopicPartition};
use crate::progress::Progress;
use crate::worker::ScanSettings;
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

/// Audits and prints the report to standard output. The exit code: 0, or 1 when something was found or nothing
/// could be proved.
///
/// # Errors
/// When the settings do not fit together, or a log cannot be read.
pub fn verb(settings: &Settings, logs: Arc<dyn Logs>, options: AuditOptions) -> Result<u8, Error> {
    let plan = plan_of(settings, &options)?;
    let mut shown = Shown::new("audits");
    let report = audit(logs.as_ref(), &plan, &mut |step| shown.show(&step));
    shown.line.end();
    let report = report?;
    if options.json {
        let json = serde_json::to_string_pretty(&report).expect("invariant: a report is JSON");
        crate::say!("{json}");
    } else {
        crate::say!("{report}");
    }
    Ok(u8::from(!report.is_clean()))
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

/// The progress line of a verb that reads logs, which goes on from one stretch of a log to the next.
#[derive(Debug)]
pub struct Shown {
    line: Progress,
    /// Of which stretch how many offsets are told.
    told: Option<(&'static str, TopicPartition, u64)>,
}

impl Shown {
    /// Begins; `what` is shown until the first stretch is.
    #[must_use]
    pub fn new(what: &str) -> Shown {
        Shown { line: Progress::new(what, None), told: None }
    }

    /// Shows how far it has come.
    pub fn show(&mut self, step: &Step<'_>) {
        let number = |offsets: i64| u64::try_from(offsets).unwrap_or(0);
        let same =
            |(stage, of, _): &&mut (&'static str, TopicPartition, u64)| *stage == step.stage && of == step.of;
        let told = match self.told.as_mut().filter(same) {
            Some((_, _, told)) => told,
            None => {
                self.line.next(&format!("{} {}", step.stage, step.of), Some(number(step.all)));
                &mut self.told.insert((step.stage, step.of.clone(), 0)).2
            }
        };
        self.line.add(number(step.done).saturating_sub(*told));
        *told = number(step.done);
    }
}
