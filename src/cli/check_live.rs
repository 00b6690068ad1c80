//! `triaged check --live`: prints what the brokers say of the configuration.
//!
//! Owns the words on standard output and what of it decides the exit code. What is asked and found is `pipeline::live`.

use super::FINDINGS;
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::error::{Error, Kind};
use crate::pipeline::live::{Finding, Group, Severity, look};
use crate::pipeline::{self, policy};
use serde::Serialize;

/// What the brokers say: a part of the JSON object of `check`.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    /// Whether nothing is wrong.
    well: bool,
    /// Why nothing was asked; empty when all was.
    unreached: String,
    findings: Vec<Finding>,
    groups: Vec<Group>,
    mentions_sampled: usize,
    /// How many partitions the input has, all of which one instance may be assigned; 0 where that is not known.
    pub(super) input_partitions: u32,
    #[serde(skip)]
    looked_at: usize,
    #[serde(skip)]
    lacks_rights: bool,
}

impl Said {
    /// The exit code for this by itself: 0, 1 when something is wrong, 77 when a right is missing.
    pub(super) fn exit_code(&self) -> u8 {
        match (self.lacks_rights, self.well) {
            (true, _) => Kind::NoPermission.exit_code(),
            (false, false) => FINDINGS,
            (false, true) => 0,
        }
    }

    /// That the brokers said nothing.
    pub(super) fn nothing(why: &Error) -> Said {
        Said {
            well: false,
            unreached: why.to_string(),
            findings: Vec::new(),
            groups: Vec::new(),
            mentions_sampled: 0,
            input_partitions: 0,
            looked_at: 0,
            lacks_rights: false,
        }
    }
}

/// Asks the brokers.
///
/// # Errors
/// 69 when no broker is reached, 77 when the login is refused, 78 when TLS, the configuration or the policy is wrong.
pub(super) fn ask(settings: &Settings) -> Result<Said, Error> {
    let logs = pipeline::cluster(settings)?;
    let folder = &settings.policy.folder;
    let policy = policy::load(folder).map_err(|refused| refused.into_error(folder))?.policy;
    let live = look(settings, &policy, &logs, SystemClock::new().wall())?;
    Ok(Said {
        well: live.is_well(),
        unreached: String::new(),
        lacks_rights: live.lacks_rights(),
        input_partitions: logs.partitions(&settings.topics.mentions)?,
        looked_at: live.looked_at,
        mentions_sampled: live.sampled,
        findings: live.findings,
        groups: live.groups,
    })
}

/// Prints what they said.
pub(super) fn print(settings: &Settings, live: &Said) {
    let kafka = &settings.kafka;
    let protocol = kafka.client.get("security.protocol").map_or("plaintext", String::as_str);
    let user = kafka.client.get("sasl.username").map(|user| format!(" as `{user}`")).unwrap_or_default();
    crate::say!("broker:        {} answers, {protocol}{user}", kafka.bootstrap);
    for group in &live.groups {
        let lag = match group.lag {
            Some(lag) => format!("{lag} records behind"),
            None => "nothing committed yet".to_owned(),
        };
        crate::say!("group:         {}: {}, {} members, {lag}", group.name, group.state, group.members);
    }
    crate::say!("sample:        {} of the newest mentions read", live.mentions_sampled);
    for Finding { severity, what, advice, .. } in &live.findings {
        let word = match severity {
            Severity::Right => "right",
            Severity::Wrong => "wrong",
            Severity::Note => "note",
        };
        crate::say!("{:<15}{what}", format!("{word}:"));
        if !advice.is_empty() {
            crate::say!("{:15}-> {advice}", "");
        }
    }
    let wrong = live.findings.iter().filter(|finding| finding.severity != Severity::Note).count();
    crate::say!("live:          {} topics and groups looked at, {wrong} wrong", live.looked_at);
}
