//! The daemon's own HTTP server: metrics, health, status, policy reload, drain.
//!
//! Owns the sockets, their limits, who may ask for what, and the routes. Knows the daemon only through `Control`, and never touches a
//! mention. Runs on the control plane's small tokio runtime, started and stopped by the pipeline.

mod connection;
mod exporter;
mod guard;
pub mod metrics;
mod process;
mod refusal;
mod routes;
mod socket;
mod text;
mod token;

pub use exporter::{Exporter, InputNames};
pub use refusal::{Refusal, Why};
pub use socket::Bound;
pub use token::check as check_token_file;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Every mistake in it; or that it could not be done now, or not in time.
    fn reload(&self) -> Result<serde_json::Value, Refusal>;

    /// Stops reading these input partitions, all when none is named, until `resume` or a restart; what is in flight goes
    /// on. The answer says what is paused, and which of the named ones are live here.
    ///
    /// # Errors
    /// When the input has no such partition; nothing is paused then.
    fn pause(&self, partitions: &[u32]) -> Result<serde_json::Value, Refusal>;

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

/// Where the admin server listens, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The unix socket, mode 0660: whoever may open it may reload and drain.
    pub socket: PathBuf,
    /// A TCP address besides.
    pub tcp: Option<SocketAddr>,
    /// The file of the token that a POST over TCP must name; without one TCP is for reading.
    pub token_file: Option<PathBuf>,
    /// That a proxy with TLS stands in front of the address, which may then be another than loopback.
    pub behind_tls: bool,
    /// Names, with the port if it is not the default, by which the address is asked beside its own and loopback's.
    pub hosts: Vec<String>,
    /// What connections may cost.
    pub limits: Limits,
}

/// What connections may cost, on each socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once; more wait in the listen queue.
    pub connections_max: usize,
    /// Longest life of a connection, which serves one request.
    pub life: Duration,
    /// Longest time until the head of the request is there.
    pub head_time: Duration,
    /// Longest head of a request, its target included, give or take one read.
    pub head_bytes_max: usize,
    /// Longest time until the body of the request is there, once its head is.
    pub body_time: Duration,
    /// Longest time until a handler answers; what it does goes on.
    pub answer_time: Duration,
    /// Longest time for which a client may take nothing of its answer.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 32,
            // A reload may take as long as a handler may.
            life: ANSWER_TIME_MAX + Duration::from_secs(10),
            head_time: Duration::from_secs(5),
            head_bytes_max: 16 * 1024,
            body_time: Duration::from_secs(5),
            answer_time: ANSWER_TIME_MAX,
            stall: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests;
