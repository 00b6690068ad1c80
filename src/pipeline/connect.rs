//! From the settings to a cluster: properties, passwords from their files, shares of memory.
//!
//! Owns the reading of password files and the warnings about them and about open connections. May not connect: clients
//! do, when something is asked. Called by every verb that asks a broker.

use super::{rights, start};
use crate::config::Settings;
use crate::error::Error;
use crate::kafka::{KafkaLogs, KafkaSettings, Secret};
use crate::log::Logs;
use std::path::Path;
use std::sync::Arc;

/// The cluster that these settings lead to; nothing is connected yet.
///
/// # Errors
/// 78 when a property of the client may not be set or does not exist, or a password file cannot be used.
pub fn connect(settings: &Settings) -> Result<Arc<dyn Logs>, Error> {
    Ok(Arc::new(cluster(settings)?))
}

/// The same, for who asks what only Apache Kafka can answer.
///
/// # Errors
/// As `connect`.
pub fn cluster(settings: &Settings) -> Result<KafkaLogs, Error> {
    let mut kafka = KafkaSettings::new(&settings.kafka.bootstrap);
    kafka.client.clone_from(&settings.kafka.client);
    kafka.consumer.clone_from(&settings.kafka.consumer);
    kafka.producer.clone_from(&settings.kafka.producer);
    let mut wrong = Vec::new();
    for (key, property, path) in password_files(settings) {
        match Secret::read(path) {
            Ok(secret) => kafka.secrets.push((property, secret)),
            Err(why) => wrong.push(format!("`kafka.{key}` `{}` {why}", path.display())),
        }
    }
    if !wrong.is_empty() {
        return Err(Error::configuration("a password file cannot be used").mistakes(wrong));
    }
    // Readers need no right of their own that way.
    kafka.reader_group = rights::triage_group(settings);
    let session = settings.kafka.session_timeout.as_millis();
    kafka.session_timeout_ms = u32::try_from(session).unwrap_or(u32::MAX);
    let share_kib = start::buffers_kib(settings);
    kafka.consumer_buffer_kib = share_kib / 4;
    kafka.producer_buffer_kib = share_kib / 4;
    KafkaLogs::new(kafka).map_err(|error| {
        Error::configuration(format!("the properties of the Kafka client cannot be used: {error}"))
    })
}

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
