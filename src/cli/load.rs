//! Loads the settings from the file and the environment, and sets logging up.
//!
//! Owns the only reads of the environment and of the configuration file, and the checks of settings that need more than
//! their text: the client library, the password file, the field map. What is in the file is read by `config`.

use super::{Config, host, memory};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Loaded, Places, Settings};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, colour_on};
use crate::log_level;
use crate::pipeline;
use crate::worker::ScanSettings;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use triage_engine::policy::did_you_mean;

/// Where the configuration is when nobody says.
const CONFIG_DEFAULT: &str = "/etc/triaged/triaged.toml";
/// Names this process in the fleet where the configuration does not.
const HOST_VARIABLE: &str = "TRIAGED_HOST";

/// Reads and checks the settings, for every verb but `check`.
///
/// # Errors
/// 78 with every mistake, each with its file, line and column.
pub(super) fn settings(config: &Config) -> Result<Settings, Error> {
    let loaded = read(config)?;
    if loaded.mistakes.is_empty() {
        Ok(loaded.settings)
    } else {
        Err(refusal(&loaded.places, loaded.mistakes))
    }
}

/// The same for the daemon itself: its buffers must fit this machine, and its files be those that a daemon takes.
///
/// # Errors
/// As [`settings`].
pub(super) fn settings_to_run(config: &Config) -> Result<Settings, Error> {
    let mut loaded = read(config)?;
    loaded.mistakes.extend(memory::buffers_refused(&loaded.settings, &loaded.places));
    loaded.mistakes.extend(host::mistakes(&loaded));
    if loaded.mistakes.is_empty() {
        Ok(loaded.settings)
    } else {
        Err(refusal(&loaded.places, loaded.mistakes))
    }
}

/// The error that a configuration with mistakes ends in.
fn refusal(places: &Places, mistakes: Vec<Diagnostic>) -> Error {
    let plural = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
    Error::configuration(format!("configuration `{}` has {} {plural}", places.file(), mistakes.len()))
        .diagnostics(mistakes)
}

/// Reads the settings and finds every mistake in them, asking nobody but this machine.
///
/// # Errors
/// 78 when the file itself cannot be read.
pub(super) fn read(config: &Config) -> Result<Loaded, Error> {
    let path = config.config.as_deref().unwrap_or(Path::new(CONFIG_DEFAULT));
    let shown = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        // Without a file everything is at its default or comes from the environment.
        Err(error) if error.kind() == ErrorKind::NotFound && config.config.is_none() => Vec::new(),
        Err(error) => return Err(unreadable(&shown, &error)),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let readable = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
        let wrong = Diagnostic::mistake(format!("byte {at} is no UTF-8")).of_file(&shown);
        let wrong = wrong.at(&readable, &(at..at)).hint("save the file as UTF-8 text");
        Error::configuration(format!("configuration `{shown}` is not readable as text")).diagnostics([wrong])
    })?;
    // The unit hides /proc/sys, and says the host's name instead.
    let host = std::env::var(HOST_VARIABLE)
        .or_else(|_| fs::read_to_string("/proc/sys/kernel/hostname"))
        .unwrap_or_default();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut loaded = config::load(&shown, &text, environment, host.trim());
    let Settings { kafka, admin, .. } = &mut loaded.settings;
    for (file, name) in [
        (&mut kafka.sasl_password_file, "triaged.kafka-password"),
        (&mut admin.token_file, "triaged.admin-token"),
    ] {
        if file.as_os_str().is_empty()
            && let Some(given) = credential(name)
        {
            *file = given;
        }
    }
    // What is built on settings that are wrong would only bring mistakes that are none.
    let sound = loaded.mistakes.is_empty();
    if !loaded.damaged {
        check_properties(&mut loaded, sound);
        if sound {
            check_fields(&mut loaded);
        }
        loaded.mistakes.sort_by_key(|mistake| (mistake.line == 0, mistake.line, mistake.column));
    }
    Ok(loaded)
}

/// The file of a systemd credential, if the unit has been given one of this name.
fn credential(name: &str) -> Option<PathBuf> {
    let file = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    file.is_file().then_some(file)
}

fn unreadable(shown: &str, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => {
            format!("{}config/triaged.toml is a sample with every setting", relative(Path::new(shown)))
        }
        ErrorKind::IsADirectory => {
            format!("name the file: --config {}/triaged.toml", shown.trim_end_matches('/'))
        }
        ErrorKind::PermissionDenied => "the file must be readable by the user that runs triaged".to_owned(),
        _ => "config/triaged.toml is a sample with every setting".to_owned(),
    };
    Error::configuration(format!("cannot read configuration `{shown}`: {error}")).hint(hint)
}

/// Where a relative path was looked for: a service is started elsewhere than a shell.
pub(super) fn relative(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(here) if path.is_relative() => format!("looked for below `{}`; ", here.display()),
        _ => String::new(),
    }
}

/// Password files, and properties of the client library: the library itself is asked. Where other settings are wrong,
/// each property is looked at alone.
fn check_properties(loaded: &mut Loaded, sound: bool) {
    let clients = match pipeline::clients(&loaded.settings) {
        Ok(clients) => clients,
        Err(_) if !sound => return,
        Err(wrong) => {
            let told = wrong.into_iter().map(|(key, why)| {
                let hint = "the file holds the password and nothing else, readable by the daemon alone";
                loaded.places.mistake(&format!("kafka.{key}"), format!("`kafka.{key}`: {why}")).hint(hint)
            });
            return loaded.mistakes.extend(told);
        }
    };
    let unreadable = check_locations(loaded);
    let sound = sound && !unreadable;
    for wrong in clients.wrong_properties().into_iter().filter(|wrong| sound || !wrong.key.is_empty()) {
        let table = format!("kafka.{}", wrong.section);
        let told = if wrong.key.is_empty() {
            loaded.places.mistake(&table, wrong.what)
        } else {
            loaded.places.mistake_at_key(&format!("{table}.{}", wrong.key), wrong.what)
        };
        loaded.mistakes.push(told.hint(wrong.hint));
    }
}

/// Certificates and keys that the client library is pointed at; whether one of them cannot be read.
fn check_locations(loaded: &mut Loaded) -> bool {
    let kafka = &loaded.settings.kafka;
    let mut told = Vec::new();
    for (table, properties) in
        [("client", &kafka.client), ("consumer", &kafka.consumer), ("producer", &kafka.producer)]
    {
        let files = properties
            .iter()
            .filter(|(property, value)| property.ends_with(".location") && value.as_str() != "probe")
            // What names a variable was told with the settings.
            .filter(|(_, value)| !value.contains("${"));
        for (property, value) in files {
            // A folder of certificates will do.
            if let Err(error) = fs::metadata(value).and_then(|meta| match meta.is_dir() {
                true => Ok(()),
                false => fs::File::open(value).map(|_| ()),
            }) {
                let wrong = format!("`{value}` cannot be read: {error}");
                let hint = "name a file that the user that runs triaged may read";
                told.push(
                    loaded.places.mistake_at_key(&format!("kafka.{table}.{property}"), wrong).hint(hint),
                );
            }
        }
    }
    let any = !told.is_empty();
    loaded.mistakes.extend(told);
    any
}

/// The field map, compiled as the workers will.
fn check_fields(loaded: &mut Loaded) {
    let Err(error) = ScanSettings::of(&loaded.settings) else { return };
    let fields: Vec<&String> = loaded.settings.input.fields.keys().collect();
    for what in error.told() {
        let about = fields.iter().find(|field| what.contains(&format!("`{field}`")));
        let path = about.map_or("input.fields".to_owned(), |field| format!("input.fields.{field}"));
        let told = match what.split_once(", expected one of ") {
            // The names that the deserialiser lists are those that there are.
            Some((_, known)) => {
                let known: Vec<&str> =
                    known.split('`').skip(1).step_by(2).filter(|name| *name != "preset").collect();
                let field = about.map_or("", |field| field.as_str());
                let near = did_you_mean(field, known.iter().copied());
                let hint =
                    if near.is_empty() { format!("the fields are {}", known.join(", ")) } else { near };
                loaded.places.mistake_at_key(&path, format!("a mention has no field `{field}`")).hint(hint)
            }
            None => {
                let (what, hint) = what.split_once("; ").unwrap_or((&what, ""));
                loaded.places.mistake(&path, what).hint(hint)
            }
        };
        loaded.mistakes.push(told);
    }
}

/// The client library writes forty lines a second while no broker answers: one burst in so many milliseconds is told.
const CLIENT_SILENCE_MS: i64 = 5_000;
/// What belongs to one burst.
const CLIENT_BURST_MS: i64 = 5;

/// The log of verbs that ask a broker: warnings, without the client library's own words on connections. What they mean
/// for the verb is told once, in the error that it ends with.
pub(super) const QUIET: &str = "warn,librdkafka=off";

/// What RUST_LOG asks for: a level, or levels for parts of the program, such as `info,librdkafka=debug`.
///
/// # Errors
/// When it cannot be read, or names neither a level nor a part that writes lines: that would silence everything.
fn filter(text: &str) -> Result<EnvFilter, String> {
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let target = directive.split(['=', '[', ':']).next().unwrap_or_default();
        let is_level = directive.parse::<LevelFilter>().is_ok();
        if !is_level && !LOG_TARGETS.contains(&target) && !directive.starts_with('[') {
            let (levels, parts) = (log_level::LEVELS.join(", "), LOG_TARGETS.join(", "));
            return Err(format!(
                "RUST_LOG: `{directive}` is neither a level ({levels}, off) nor of a part of the program ({parts})"
            ));
        }
    }
    EnvFilter::builder().parse(text).map_err(|error| format!("RUST_LOG: `{text}`: {error}"))
}

/// Parts of the program that write lines, by the first name of their target.
const LOG_TARGETS: [&str; 4] = ["triaged", "triage_engine", "librdkafka", "rdkafka"];

/// Sends the log to standard error, from `level` on; RUST_LOG outranks it, unless it makes no sense, which is told.
pub(super) fn log(level: &str) {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.trim().is_empty());
    let (filter, wrong) = match asked.map(|text| filter(&text)) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(wrong)) => (EnvFilter::new(level), Some(wrong)),
        None => (EnvFilter::new(level), None),
    };
    let colour = colour_on(&std::io::stderr());
    let (filter, handle) = reload::Layer::new(filter);
    log_level::install(move |level| handle.reload(EnvFilter::new(level)).map_err(|error| error.to_string()));
    let (clock, told) = (SystemClock::new(), AtomicI64::new(-CLIENT_SILENCE_MS));
    let thinned = dynamic_filter_fn(move |metadata, _| {
        // Who asks for its debug lines wants them all.
        if metadata.target() != "librdkafka" || *metadata.level() >= tracing::Level::DEBUG {
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
    // Where standard error is closed, nobody is there to be told.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(lines.with_filter(thinned)).init();
    if let Some(wrong) = wrong {
        tracing::error!("{wrong}; logging from `{level}` on");
    }
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_rust_log_that_would_silence_everything_is_told_with_what_may_be_written() {
        for good in
            ["warn", "INFO", "off", "info,librdkafka=debug", "triaged::pipeline=trace", "3", "triaged"]
        {
            assert!(filter(good).is_ok(), "{good}");
        }
        let told = filter("warning").map(drop).unwrap_err();
        assert!(
            told.contains("`warning`") && told.contains("error, warn, info, debug, trace, off"),
            "{told}"
        );
        for wrong in ["loudest", "info,traiged=debug", "triaged=loud"] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }
}
