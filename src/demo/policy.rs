//! The sample policy that ships, as files that may be changed while the demo runs.
//!
//! Owns the list of the files of config/policy, which are part of the program, so that the demo needs none at run time.

use std::fs;
use std::io;
use std::path::Path;

macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../config/policy/", $path)))),*]
    };
}

/// Path inside the folder, and text.
const FILES: &[(&str, &str)] = shipped![
    "desks.toml",
    "lists-everyday.toml",
    "lists-frames.toml",
    "lists-urgent.toml",
    "lists.toml",
    "rules/air-airport.toml",
    "rules/air-assistance.toml",
    "rules/air-baggage.toml",
    "rules/air-booking.toml",
    "rules/air-disruption.toml",
    "rules/air-loyalty.toml",
    "rules/air-onboard.toml",
    "rules/air-refunds.toml",
    "rules/billing.toml",
    "rules/contract.toml",
    "rules/digital.toml",
    "rules/general.toml",
    "rules/internet.toml",
    "rules/legal-everyday.toml",
    "rules/legal-frames.toml",
    "rules/legal-families.toml",
    "rules/legal.toml",
    "rules/mobile.toml",
    "rules/noise.toml",
    "rules/outage.toml",
    "rules/praise.toml",
    "rules/press-everyday.toml",
    "rules/press-frames.toml",
    "rules/press-families.toml",
    "rules/press.toml",
    "rules/safety-everyday.toml",
    "rules/safety-frames.toml",
    "rules/safety-families.toml",
    "rules/safety.toml",
    "rules/service.toml",
    "rules/television.toml",
    "rules/visits.toml",
    "signals.toml",
    "workflow.toml",
];

/// The one rule that the demo adds: most of what its feed sends concerns nobody at the brand.
const OFF_TOPIC: (&str, &str) = (
    "rules/off-topic.toml",
    r##"# The demo's brand is a bank with an app. A mention that says none of its words is kept out of the queues.

[[rule]]
name   = "off-topic"
query  = """
NOT (card OR cards OR account OR accounts OR transfer OR transfers OR exchange OR exchanges OR cash OR money OR topup
OR "top up" OR "topped up" OR "top-up" OR refund OR refunds OR payment OR payments OR pay OR paid OR identity OR verify
OR verification OR pin OR passcode OR password OR app OR mastercard OR visa OR transaction OR transactions OR fund
OR funds OR fee OR fees OR charge OR charged OR pending OR atm OR withdraw OR withdrawal OR withdrawals OR currency
OR currencies OR beneficiary OR cheque OR debit OR contactless OR declined OR twice OR unable OR bill OR order
OR delivery OR service OR broken OR outage OR refused OR stolen OR lost OR limit OR limits OR statement OR balance)"""
tags   = ["off-topic"]
action = "noise"
"##,
);

/// Writes the sample policy and the demo's own rule into `folder`.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write(folder: &Path) -> io::Result<()> {
    for (path, text) in FILES.iter().chain([&OFF_TOPIC]) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_folder::read_policy_folder;

    #[test]
    fn the_demo_runs_under_the_sample_policy_and_one_rule_more() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path()).expect("it can be written");
        let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy"));
        let mut written = read_policy_folder(folder.path()).expect("it can be read");
        assert!(triage_engine::policy::Policy::compile(&written).is_ok());
        assert!(written.files.remove(OFF_TOPIC.0).is_some());
        assert_eq!(written, read_policy_folder(sample).expect("it can be read"));
    }
}
