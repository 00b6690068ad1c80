//! Loads the settings from the file and the environment, and sets logging up.
//!
//! Owns the only reads of the environment and of the configuration file. What is in them is read by `config`.

use super::Config;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Settings};
use crate::error::Error;
use crate::log_level;
use std::fs;
use std::io::{ErrorKind, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Where the configuration is when nobody says.
const CONFIG_DEFAULT: &str = "/etc/triaged/triaged.toml";

/// Reads the settings.
///
/// # Errors
/// 78 with every mistake, each with its file, line and column.
pub(super) fn settings(config: &Config) -> Result<Settings, Error> {
    let path = config.config.as_deref().unwrap_or(Path::new(CONFIG_DEFAULT));
    let shown = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        // Without a file everything is at its default or comes from the environment.
        Err(error) if error.kind() == ErrorKind::NotFound && config.config.is_none() => String::new(),
        Err(error) => {
            return Err(Error::configuration(format!("cannot read configuration `{shown}`: {error}"))
                .hint("config/triaged.toml is a sample with every setting"));
        }
    };
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(&shown, &text, environment, host.trim()).map_err(|mistakes| {
        let plural = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
        Error::configuration(format!("configuration `{shown}` has {} {plural}", mistakes.len()))
            .mistakes(mistakes)
    })
}

/// The client library writes forty lines a second while no broker answers: one burst in so many milliseconds is told.
const CLIENT_SILENCE_MS: i64 = 5_000;
/// What belongs to one burst.
const CLIENT_BURST_MS: i64 = 5;

/// Sends the log to standard error, from `level` on; RUST_LOG outranks it.
pub(super) fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (filter, handle) = reload::Layer::new(filter);
    log_level::install(move |level| handle.reload(EnvFilter::new(level)).map_err(|error| error.to_string()));
    let (clock, told) = (SystemClock::new(), AtomicI64::new(-CLIENT_SILENCE_MS));
    let thinned = dynamic_filter_fn(move |metadata, _| {
        if metadata.target() != "librdkafka" {
            return true;
        }
        let now = clock.monotonic_ms();
        let since = now - told.load(Ordering::Relaxed);
        if since >= CLIENT_SILENCE_MS {
            told.store(now, Ordering::Relaxed);
        }
        // One line may be asked about more than once, so what comes with the first of a burst passes too.
        !(CLIENT_BURST_MS..CLIENT_SILENCE_MS).contains(&since)
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(color);
    tracing_subscriber::registry().with(filter).with(lines.with_filter(thinned)).init();
}
