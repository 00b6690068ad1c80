//! `triaged check`: whether the daemon could start with these files, and what they say.
//!
//! Owns the summary on standard output. Asks no broker.

use crate::config::Settings;
use crate::error::Error;
use crate::pipeline::{self, policy};
use crate::worker::ScanSettings;
use std::process::ExitCode;

/// Checks the configuration (which was read already) and the policy folder that it names.
///
/// # Errors
/// 78 with every mistake.
pub(super) fn check(settings: &Settings) -> Result<ExitCode, Error> {
    for warning in pipeline::warnings(settings) {
        eprintln!("triaged: warning: {warning}");
    }
    pipeline::connect(settings)?;
    ScanSettings::of(settings)?;
    let folder = &settings.policy.folder;
    let local = policy::load(folder).map_err(|refused| refused.into_error(folder))?;
    let policy = &local.policy;
    let dedup = policy.dedup();
    crate::say!(
        "configuration: no mistakes; instance `{}`, group `{}`",
        settings.host.instance,
        settings.group.name
    );
    crate::say!("policy:        {} ({})", folder.display(), local.bundle.generation());
    crate::say!(
        "               {} rules of {} words and phrases, {} desks, {} queues, {} filters",
        policy.rules().len(),
        policy.literals().len(),
        policy.desks().len(),
        policy.queues().len(),
        policy.filters().len()
    );
    crate::say!(
        "memory:        {} MiB of buffers; exact dedup remembers up to {} ids for {} min on each input partition",
        settings.limits.buffer_mib,
        dedup.ids_max,
        dedup.window_ms / 60_000
    );
    Ok(ExitCode::SUCCESS)
}
