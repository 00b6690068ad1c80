//! What the daemon will hold in memory, as far as the files say, and whether this machine has as much.
//!
//! Owns the arithmetic: named limits times bytes for each. May not measure a running daemon. Called by `check`, and before
//! the daemon runs.

use crate::config::{Places, Setting, Settings};
use crate::diagnostic::{Diagnostic, Severity};
use crate::hyperscan;
use crate::pipeline::workers;
use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;
use triage_engine::policy::Policy;

/// Bytes of the exact window for one id that is remembered: 64-bit words at 70 % load for ids that are numbers,
/// 128-bit words for all others (engine, `dedup::window`).
const NUMERIC_ID_BYTES: u64 = 12;
const HASHED_ID_BYTES: u64 = 24;
const MIB: u64 = 1 << 20;

/// What is needed, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Estimate {
    /// `limits.buffer_mib`: everything fetched, in flight and unanswered.
    buffer_bytes: u64,
    /// The compiled words and phrases, estimated without compiling them. While a policy is swapped, both are there.
    pattern_bytes: u64,
    /// The rules as they are written, their programs and regular expressions. They are there twice then, too.
    rule_bytes: u64,
    /// Which matcher serves them.
    matcher: &'static str,
    /// Ids that exact dedup remembers, for each input partition that an instance owns.
    dedup_ids_max: u64,
    /// For how long.
    dedup_window_ms: i64,
    /// The window of one partition where every id is a number.
    dedup_bytes_min: u64,
    /// The window of one partition where none is.
    dedup_bytes_max: u64,
    /// What this process may use: the machine's memory or its control group's limit. `None` where nobody says.
    limit_bytes: Option<u64>,
}

impl Estimate {
    pub(super) fn new(settings: &Settings, policy: &Policy) -> Estimate {
        let (pattern_bytes, matcher) = hyperscan::estimate(policy.literals());
        let dedup = policy.dedup();
        let ids = dedup.ids_max as u64;
        Estimate {
            buffer_bytes: u64::from(settings.limits.buffer_mib) * MIB,
            pattern_bytes: pattern_bytes as u64,
            rule_bytes: policy.bytes(workers(settings) as usize) as u64,
            matcher,
            dedup_ids_max: ids,
            dedup_window_ms: dedup.window_ms,
            dedup_bytes_min: ids * NUMERIC_ID_BYTES,
            dedup_bytes_max: ids * HASHED_ID_BYTES,
            limit_bytes: limit_bytes(),
        }
    }

    /// What a policy takes, one in force and one about to be.
    fn policies_bytes(&self) -> u64 {
        2 * (self.pattern_bytes + self.rule_bytes)
    }

    /// What an instance needs at the least. The files do not say how many input partitions it will be assigned: with one
    /// here; how it is with all that there are is `crowded`, for those who have asked the brokers.
    fn least_bytes(&self) -> u64 {
        self.buffer_bytes + self.policies_bytes() + self.dedup_bytes_min
    }

    /// The warning that this machine has not enough for all of `partitions`, which one instance is assigned when it is
    /// the only one left.
    pub(super) fn crowded(&self, partitions: u32) -> Option<Diagnostic> {
        let needed = self.buffer_bytes + self.policies_bytes() + self.dedup_bytes_min * u64::from(partitions);
        let limit = self.limit_bytes.filter(|&limit| needed > limit)?;
        let what = format!(
            "with all {partitions} input partitions the daemon would need {} of memory, and may use {}",
            mib(needed),
            mib(limit)
        );
        let hint = "run it on more machines, none of which may fail, or lower `dedup.ids_max` in the policy";
        Some(Diagnostic { severity: Severity::Warning, ..Diagnostic::mistake(what).hint(hint) })
    }

    /// The mistake that this machine has not so much memory, if it is one.
    pub(super) fn refusal(&self, places: &Places) -> Option<Diagnostic> {
        let limit = self.limit_bytes.filter(|&limit| self.least_bytes() > limit)?;
        let what = format!(
            "with one input partition the daemon would need {} of memory, and may use {}",
            mib(self.least_bytes()),
            mib(limit)
        );
        if self.policies_bytes() > self.buffer_bytes.max(self.dedup_bytes_min) {
            let (patterns, rules) = (mib(self.pattern_bytes), mib(self.rule_bytes));
            let hint = format!(
                "the policy's words and phrases take {patterns} and its rules {rules}, twice while a policy is \
                 swapped: ask for fewer"
            );
            return Some(Diagnostic::mistake(what).hint(hint));
        }
        if self.dedup_bytes_min > self.buffer_bytes {
            let hint = format!(
                "lower `dedup.ids_max` in the policy: {NUMERIC_ID_BYTES} to {HASHED_ID_BYTES} bytes each"
            );
            return Some(Diagnostic::mistake(what).hint(hint));
        }
        Some(too_many_buffers(places, what))
    }
}

/// The mistake that the buffers alone are more than this process may use, whatever the policy says.
pub(super) fn buffers_refused(settings: &Settings, places: &Places) -> Option<Diagnostic> {
    let buffers = u64::from(settings.limits.buffer_mib) * MIB;
    let limit = limit_bytes().filter(|&limit| buffers > limit)?;
    let what =
        format!("the buffers alone take {} of memory, and the daemon may use {}", mib(buffers), mib(limit));
    Some(too_many_buffers(places, what))
}

fn too_many_buffers(places: &Places, what: String) -> Diagnostic {
    places.mistake("limits.buffer_mib", what).hint("lower `limits.buffer_mib`")
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { buffer_bytes, pattern_bytes, rule_bytes, matcher, dedup_ids_max, .. } = self;
        let [buffers, patterns, rules] = [*buffer_bytes, *pattern_bytes, *rule_bytes].map(mib);
        write!(f, "{buffers} of buffers, {patterns} of patterns ({matcher}), {rules} of rules; ")?;
        let window = Duration::from_millis(self.dedup_window_ms.unsigned_abs()).show();
        let window = window.trim_matches('"');
        let (least, most) = (mib(self.dedup_bytes_min), mib(self.dedup_bytes_max));
        write!(f, "for each input partition {least} to {most} ({dedup_ids_max} ids for {window})")
    }
}

/// Mebibytes, with one decimal below ten; kibibytes below one.
fn mib(bytes: u64) -> String {
    if bytes < MIB {
        return format!("{} KiB", bytes.div_ceil(1024));
    }
    let tenths = bytes * 10 / MIB;
    if tenths < 100 { format!("{}.{} MiB", tenths / 10, tenths % 10) } else { format!("{} MiB", tenths / 10) }
}

/// The machine's memory or the limit of this process's control group, whichever is less.
fn limit_bytes() -> Option<u64> {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
    let limits = Path::new(&group).ancestors().filter_map(|group| {
        let path = Path::new("/sys/fs/cgroup").join(group).join("memory.max");
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    });
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    });
    limits.chain(machine).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(buffer: u64, ids: u64, limit: Option<u64>) -> Estimate {
        Estimate {
            buffer_bytes: buffer * MIB,
            pattern_bytes: 3 * MIB / 2,
            rule_bytes: MIB / 2,
            matcher: "hyperscan",
            dedup_ids_max: ids,
            dedup_window_ms: 600_000,
            dedup_bytes_min: ids * NUMERIC_ID_BYTES,
            dedup_bytes_max: ids * HASHED_ID_BYTES,
            limit_bytes: limit,
        }
    }

    #[test]
    fn the_estimate_names_what_takes_memory() {
        assert_eq!(
            estimate(512, 1_000_000, None).to_string(),
            "512 MiB of buffers, 1.5 MiB of patterns (hyperscan), 512 KiB of rules; for each input partition 11 MiB to 22 MiB \
             (1000000 ids for 10m)"
        );
    }

    #[test]
    fn more_than_the_machine_has_is_refused_and_the_larger_part_is_named() {
        let places = Places::default();
        assert_eq!(estimate(512, 1_000_000, Some(1024 * MIB)).refusal(&places), None);
        assert_eq!(estimate(512, 1_000_000, None).refusal(&places), None, "nobody knows");
        let told = estimate(2_048, 1_000_000, Some(1024 * MIB)).refusal(&places).expect("refused");
        assert!(told.what.contains("would need 2063 MiB of memory, and may use 1024 MiB"), "{told}");
        assert!(told.hint.contains("limits.buffer_mib"), "{told}");
        let told = estimate(64, 1_000_000_000, Some(1024 * MIB)).refusal(&places).expect("refused");
        assert!(told.hint.contains("dedup.ids_max"), "{told}");
        let many = Estimate { pattern_bytes: 700 * MIB, ..estimate(64, 1_000_000, Some(1024 * MIB)) };
        let told = many.refusal(&places).expect("refused");
        assert!(
            told.hint.contains("words and phrases take 700 MiB and its rules 512 KiB, twice while"),
            "{told}"
        );
    }

    #[test]
    fn a_machine_too_small_for_all_partitions_is_warned_of_once_their_number_is_known() {
        let estimate = estimate(64, 1_000_000, Some(256 * MIB));
        assert_eq!(estimate.refusal(&Places::default()), None);
        assert_eq!(estimate.crowded(16), None);
        let told = estimate.crowded(48).expect("64 MiB of buffers, 48 times 11 MiB of ids");
        assert_eq!(told.severity, Severity::Warning);
        assert!(
            told.what.starts_with("with all 48 input partitions the daemon would need 617 MiB"),
            "{told}"
        );
    }

    #[test]
    fn buffers_larger_than_any_machine_are_refused_before_the_daemon_runs() {
        let mut settings = Settings::default();
        assert!(limit_bytes().is_some_and(|limit| limit > 64 * MIB), "this machine says what it has");
        settings.limits.buffer_mib = 64;
        assert_eq!(buffers_refused(&settings, &Places::default()), None);
        settings.limits.buffer_mib = u32::MAX;
        let told = buffers_refused(&settings, &Places::default()).expect("4096 TiB");
        assert!(told.what.starts_with("the buffers alone take 4294967295 MiB of memory"), "{told}");
    }

    #[test]
    fn the_bytes_for_an_id_are_those_of_the_window() {
        use triage_engine::dedup::{DedupLimits, ExactWindow, mention_key};
        use triage_engine::model::Millis;
        let ids = 300_000;
        let bytes_each = |prefix: &str| {
            let mut window = ExactWindow::new(DedupLimits { window_ms: 600_000, ids_max: ids });
            for id in 0..ids {
                window.insert(mention_key("x", &format!("{prefix}{id}"), &[7; 16]), Millis(1));
            }
            window.bytes() as u64 / ids as u64
        };
        // A new table is as large as it may become, give or take the power of two that it grows by.
        let (numeric, hashed) = (bytes_each("1"), bytes_each("post-"));
        assert!((NUMERIC_ID_BYTES / 2..=NUMERIC_ID_BYTES * 3 / 2).contains(&numeric), "{numeric} bytes");
        assert!((HASHED_ID_BYTES / 2..=HASHED_ID_BYTES * 3 / 2).contains(&hashed), "{hashed} bytes");
    }
}
