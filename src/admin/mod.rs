//! The daemon's own HTTP server: metrics, health, status, policy reload, drain.
//!
//! Owns the sockets, their limits and the routes. Knows the daemon only through `Control`, and never touches a
//! mention. Runs on the control plane's small tokio runtime, started and stopped by the pipeline.

mod connection;
mod exporter;
mod guard;
pub mod metrics;
mod routes;
mod socket;

pub use exporter::{Exporter, InputNames};
pub use socket::Bound;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Connections served at once on each socket; more wait in the listen queue.
pub const CONNECTIONS_MAX: usize = 32;
/// Longest life of one connection, so that a client that sends nothing cannot keep a place for ever.
pub const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(60);
/// Longest body of a request; those that are read are a line.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest time until a handler answers. A reload compiles every rule and runs the policy's own tests.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(50);

/// What the admin server may ask of the daemon. Calls may block for seconds; they run on threads of their own.
pub trait Control: Send + Sync {
    /// Everything `triaged ctl status` shows.
    fn status(&self) -> serde_json::Value;

    /// Whether records flow: every shard is live and the outputs answer. The word for it; an instance that was paused is
    /// ready, and says that it is paused.
    ///
    /// # Errors
    /// Why not yet, or not any more, in plain words.
    fn ready(&self) -> Result<String, String>;

    /// Whether every thread has moved lately.
    ///
    /// # Errors
    /// Which one has not.
    fn live(&self) -> Result<(), String>;

    /// Compiles and checks the policy folder, and puts it in force for the fleet.
    ///
    /// # Errors
    /// Every mistake in it, as JSON; the generation in force stays.
    fn reload(&self) -> Result<serde_json::Value, serde_json::Value>;

    /// Stops reading these input partitions, all when none is named, until `resume` or a restart; what is in flight goes
    /// on.
    fn pause(&self, partitions: &[u32]) -> serde_json::Value;

    /// Reads everything again.
    fn resume(&self) -> serde_json::Value;

    /// Changes the level of the log.
    ///
    /// # Errors
    /// When there is no such level.
    fn log_level(&self, level: &str) -> Result<serde_json::Value, serde_json::Value>;

    /// Starts to drain and end; returns at once.
    fn drain(&self);
}

/// Where the admin server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The unix socket, mode 0660: whoever may open it may reload and drain.
    pub socket: PathBuf,
    /// A TCP address besides, which must be loopback.
    pub tcp: Option<SocketAddr>,
}

#[cfg(test)]
mod tests;
