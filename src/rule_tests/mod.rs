//! Rule tests: mentions of a policy folder's `tests/*.toml`, decided as the daemon would, and compared with what must
//! come out.
//!
//! Owns which tests are run and the verdict. May not decide: `decide` sends each mention through the worker's scan and
//! the engine's triage step. The format is the engine's (`policy::read_rule_tests`). Called by `triaged test`, by `check`
//! and by every reload, which refuses a policy whose tests fail.

mod compare;
mod decide;
mod report;
#[cfg(test)]
mod tests;

pub use compare::Difference;
pub use decide::{Decided, Decider};
pub use report::{CaseFailed, Report, TestReport};

use crate::clock::Stopwatch;
use crate::error::Error;
use crate::policies::Compiled;
use crate::policy_folder::{PolicyFolderError, read_rule_test_files};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use triage_engine::model::Millis;
use triage_engine::policy::{Mistake, Policy, RuleTest, read_rule_tests};

/// When a mention of a test arrives that does not say when: a Monday at noon, UTC (2026-01-05T12:00:00Z).
pub const AT_DEFAULT: Millis = Millis(1_767_614_400_000);

/// Why the tests of a folder cannot be run.
#[derive(Debug)]
pub enum Unreadable {
    /// They cannot be read as files.
    Folder(PolicyFolderError),
    /// They hold mistakes.
    Mistakes(Vec<Mistake>),
}

/// Reads the tests of a policy folder, in the order of their files.
///
/// # Errors
/// Every mistake in them.
pub fn load(folder: &Path, policy: &Policy) -> Result<Vec<RuleTest>, Unreadable> {
    let files = read_rule_test_files(folder).map_err(Unreadable::Folder)?;
    if files.is_empty() {
        return Ok(Vec::new());
    }
    read_rule_tests(&files, policy).map_err(Unreadable::Mistakes)
}

/// Runs tests under a policy.
///
/// # Errors
/// When the built-in field map cannot be compiled, which does not happen.
pub fn run(compiled: &Arc<Compiled>, tests: &[RuleTest]) -> Result<Report, Error> {
    let watch = Stopwatch::start();
    let mut decider = Decider::new(compiled)?;
    let mut hit: BTreeSet<String> = BTreeSet::new();
    let mut told = Vec::with_capacity(tests.len());
    for test in tests {
        let mut failed = Vec::new();
        for case in &test.cases {
            let decided = decider.decide(&case.mention, test.at.unwrap_or(AT_DEFAULT));
            let differences = compare::differences(&test.expect, &decided);
            if !differences.is_empty() {
                let why = decider.why(&case.mention, &test.expect, &decided);
                failed.push(CaseFailed {
                    line: case.line,
                    text: case.mention.text.clone(),
                    differences,
                    decided: decided.clone(),
                    why,
                });
            }
            hit.extend(decided.rules);
        }
        told.push(TestReport {
            name: test.name.clone(),
            file: test.file.clone(),
            line: test.line,
            mentions: test.cases.len(),
            failed,
        });
    }
    let rules = compiled.policy().rules().iter().map(|rule| &rule.name);
    Ok(Report {
        tests: told,
        rules: rules.len(),
        rules_never_hit: rules.filter(|rule| !hit.contains(*rule)).cloned().collect(),
        took_us: watch.elapsed_us(),
    })
}
