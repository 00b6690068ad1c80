//! From the settings to a cluster: properties, passwords from their files, shares of memory.
//!
//! Owns the reading of password files and the warnings about them and about open connections. May not connect: clients
//! do, when something is asked. Called by every verb that asks a broker.

use super::{rights, start, topics};
use crate::config::Settings;
use crate::error::Error;
use crate::kafka::{KafkaLogs, KafkaSettings, Secret, Trouble, Unreached};
use crate::log::Logs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Most that a consumer fetches ahead, in KiB: a sixth of a second of the fastest stream seen. What lies longer is memory
/// for nothing, and has left the processor's caches when it is read.
const FETCHED_AHEAD_KIB_MAX: u32 = 16 * 1024;

/// How long a broker may take to answer a verb's first question.
pub(super) const REACH_WAIT: Duration = Duration::from_secs(10);

/// The cluster that these settings lead to; nothing is connected yet.
///
/// # Errors
/// 78 when a property of the client may not be set or does not exist, or a password file cannot be used.
pub fn connect(settings: &Settings) -> Result<Arc<dyn Logs>, Error> {
    Ok(Arc::new(cluster(settings)?))
}

/// The same once a broker answers: for verbs, which end where none does.
///
/// # Errors
/// As `connect`; 69 when no broker is reached, 77 when the login is refused, 78 when both sides do not agree on how to
/// speak: each with what it likely means.
pub fn reached(settings: &Settings) -> Result<Arc<dyn Logs>, Error> {
    Ok(Arc::new(reached_cluster(settings)?))
}

/// The same as `reached`, for who asks what only Apache Kafka can answer.
///
/// # Errors
/// As `reached`.
pub fn reached_cluster(settings: &Settings) -> Result<KafkaLogs, Error> {
    let logs = cluster(settings)?;
    logs.reach(REACH_WAIT).map_err(|why| unreached(settings, &why))?;
    Ok(logs)
}

/// The error that a cluster out of reach is.
pub(super) fn unreached(settings: &Settings, why: &Unreached) -> Error {
    let what = format!("`{}` is not reached: {}", settings.kafka.bootstrap, why.what);
    let error = match why.trouble {
        Trouble::Away => Error::unavailable(what),
        Trouble::Login => Error::no_permission(what),
        Trouble::Configuration => Error::configuration(what),
    };
    error.mistakes([format!("the client says: {}", why.said)]).hint(&why.hint)
}

/// The same as `connect`, for who asks what only Apache Kafka can answer.
///
/// # Errors
/// As `connect`.
pub fn cluster(settings: &Settings) -> Result<KafkaLogs, Error> {
    let mut kafka = clients(settings).map_err(|wrong| {
        let wrong = wrong.into_iter().map(|(key, why)| format!("`kafka.{key}` {why}"));
        Error::configuration("a password file cannot be used").mistakes(wrong)
    })?;
    send_the_largest(settings, &mut kafka)?;
    KafkaLogs::new(kafka).map_err(|error| {
        Error::configuration(format!("the properties of the Kafka client cannot be used: {error}"))
    })
}

/// How the clients are set up, passwords included.
///
/// # Errors
/// Each password file that cannot be used: its key, and the path with the reason.
pub fn clients(settings: &Settings) -> Result<KafkaSettings, Vec<(&'static str, String)>> {
    let mut kafka = KafkaSettings::new(&settings.kafka.bootstrap);
    kafka.client.clone_from(&settings.kafka.client);
    kafka.consumer.clone_from(&settings.kafka.consumer);
    kafka.producer.clone_from(&settings.kafka.producer);
    let mut wrong = Vec::new();
    for (key, property, path) in password_files(settings) {
        match Secret::read(path) {
            Ok(secret) => kafka.secrets.push((property, secret)),
            Err(why) => wrong.push((key, format!("`{}`: {why}", path.display()))),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    // Readers need no right of their own that way.
    kafka.reader_group = rights::triage_group(settings);
    let session = settings.kafka.session_timeout.as_millis();
    kafka.session_timeout_ms = u32::try_from(session).unwrap_or(u32::MAX);
    let share_kib = start::buffers_kib(settings);
    kafka.consumer_buffer_kib = (share_kib / 4).min(FETCHED_AHEAD_KIB_MAX);
    kafka.producer_buffer_kib = share_kib / 4;
    Ok(kafka)
}

/// Sees to it that the client sends what `mention_bytes_max` lets in: by default it refuses records of a megabyte.
fn send_the_largest(settings: &Settings, kafka: &mut KafkaSettings) -> Result<(), Error> {
    let need = topics::record_bytes_max(settings);
    let said = kafka.producer.get(MESSAGE_BYTES).or_else(|| kafka.client.get(MESSAGE_BYTES));
    match said.map(|said| (said, said.parse::<u64>())) {
        None => {
            let bytes = need.max(MESSAGE_BYTES_DEFAULT).to_string();
            kafka.producer.insert(MESSAGE_BYTES.to_owned(), bytes);
        }
        Some((said, Ok(bytes))) if bytes < need => {
            let message =
                format!("`{MESSAGE_BYTES}` is {said}, a mention and its envelope may have {need} bytes");
            return Err(Error::configuration(message).hint("raise it, or lower `input.mention_bytes_max`"));
        }
        // What is no number the client library refuses.
        Some(_) => {}
    }
    Ok(())
}

const MESSAGE_BYTES: &str = "message.max.bytes";
/// The client library's own default.
const MESSAGE_BYTES_DEFAULT: u64 = 1_000_000;

/// What is allowed and should be known about how the brokers are reached: open connections, passwords that everybody
/// on the machine may read.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = settings.kafka.security_warnings();
    for (key, _, path) in password_files(settings) {
        if Secret::is_open_to_all(path) {
            warnings.push(format!(
                "`kafka.{key}` `{0}` may be read by everybody on this machine: `chmod o= {0}`, or a systemd credential",
                path.display()
            ));
        }
    }
    warnings
}

/// The password files that are named: the key, the property of the client library, the path.
fn password_files(settings: &Settings) -> impl Iterator<Item = (&'static str, &'static str, &Path)> {
    let kafka = &settings.kafka;
    let key = match kafka.client.contains_key("ssl.keystore.location") {
        true => "ssl.keystore.password",
        false => "ssl.key.password",
    };
    let files = [
        ("sasl_password_file", "sasl.password", kafka.sasl_password_file.as_path()),
        ("ssl_key_password_file", key, kafka.ssl_key_password_file.as_path()),
    ];
    files.into_iter().filter(|(_, _, path)| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_sends_the_largest_mention_that_is_let_in_or_the_start_says_that_it_cannot() {
        let mut settings = Settings::default();
        settings.input.mention_bytes_max = 4 << 20;
        let logs = cluster(&settings).expect("the settings are right");
        let need = (4 << 20) + 64 * 1024;
        assert!(format!("{logs:?}").contains(&format!("\"message.max.bytes\": \"{need}\"")), "{logs:?}");
        settings.kafka.client.insert(MESSAGE_BYTES.to_owned(), "2000000".to_owned());
        let error = cluster(&settings).expect_err("too small");
        assert_eq!(error.exit_code(), 78);
        assert!(
            error.to_string().contains("is 2000000, a mention and its envelope may have 4259840"),
            "{error}"
        );
    }

    #[test]
    fn a_password_file_that_cannot_be_used_is_named_with_its_setting() {
        let mut settings = Settings::default();
        settings.kafka.sasl_password_file = "/nowhere/kafka.password".into();
        let error = cluster(&settings).expect_err("there is no such file");
        assert_eq!(error.exit_code(), 78);
        let text = error.to_string();
        assert!(
            text.contains("`kafka.sasl_password_file` `/nowhere/kafka.password`: No such file"),
            "{text}"
        );
        settings.kafka.sasl_password_file = "".into();
        settings.kafka.client.insert("no.such.property".to_owned(), "1".to_owned());
        let text = cluster(&settings).expect_err("there is no such property").to_string();
        assert!(text.contains("no.such.property"), "{text}");
    }
}
