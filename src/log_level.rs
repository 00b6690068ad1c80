//! The level of the process's own log, which an operator may change while it runs.
//!
//! Owns one slot, because the log is the process's. May not set the log up: the command line does, and leaves here how its
//! level is changed. Asked by the control plane.

use std::sync::OnceLock;

/// The levels that there are, from few lines to many.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

type Change = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// Leaves how the level is changed. Only the first call counts: a process has one log.
pub fn install(change: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) {
    let _ = CHANGE.set(Box::new(change));
}

/// Changes the level.
///
/// # Errors
/// When there is no such level, or the log was not set up.
pub fn set(level: &str) -> Result<(), String> {
    if !LEVELS.contains(&level) {
        return Err(format!("`{level}` is no log level: it is one of {}", LEVELS.join(", ")));
    }
    let change = CHANGE.get().ok_or("this process has no log of its own whose level could be changed")?;
    change(level)
}
