//! `triaged check --live`: prints what the brokers say of the configuration.
//!
//! Owns the words on standard output and the exit code. What is asked and found is `pipeline::live`.

use super::FINDINGS;
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::error::{Error, Kind};
use crate::pipeline::live::{Finding, Live, Severity, look};
use crate::pipeline::{self, policy};
use serde_json::json;
use std::process::ExitCode;

/// Asks the brokers and prints the findings; the exit code: 0, 1 when something is wrong, 77 when a right is missing.
///
/// # Errors
/// 69 when no broker is reached, 77 when the login is refused, 78 when TLS, the configuration or the policy is wrong.
pub(super) fn check_live(settings: &Settings, json: bool) -> Result<ExitCode, Error> {
    let logs = pipeline::cluster(settings)?;
    let folder = &settings.policy.folder;
    let policy = policy::load(folder).map_err(|refused| refused.into_error(folder))?.policy;
    let live = look(settings, &policy, &logs, SystemClock::new().wall())?;
    if json {
        print_json(settings, &live)
    } else {
        print(settings, &live)
    }
    Ok(match (live.lacks_rights(), live.is_well()) {
        (true, _) => ExitCode::from(Kind::NoPermission.exit_code()),
        (false, false) => ExitCode::from(FINDINGS),
        (false, true) => ExitCode::SUCCESS,
    })
}

fn print_json(settings: &Settings, live: &Live) {
    let answer = json!({
        "bootstrap": settings.kafka.bootstrap,
        "well": live.is_well(),
        "findings": live.findings,
        "groups": live.groups,
        "mentions_sampled": live.sampled,
    });
    crate::say!("{answer:#}");
}

fn print(settings: &Settings, live: &Live) {
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
    crate::say!("sample:        {} of the newest mentions read", live.sampled);
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
