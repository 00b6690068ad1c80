//! `triaged test`: the rule tests that stand beside the rules, run and reported.
//!
//! Owns the options, which tests a path means, and the exit code. The run is `crate::rule_tests`. Asks no broker.

use super::{Config, FINDINGS, load};
use crate::error::{Error, Kind, colour_on};
use crate::files::From;
use crate::pipeline::policy;
use crate::policies::Compiled;
use crate::policy_folder::TESTS_FOLDER;
use crate::rule_cost::{self, CostReport};
use crate::rule_tests::{self, Report};
use crate::shown::Colour;
use crate::worker::ScanSettings;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use triage_engine::policy::{RuleTest, did_you_mean};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// A policy folder, or files of its folder `tests`; without it the configuration's `policy.folder`
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// What each rule costs: hit rate and share, the dearest first
    #[arg(long)]
    cost: bool,
    /// Mentions to count the cost over, one a line, in the shape of `input.preset`; without it the tests' own
    #[arg(long, value_name = "FILE|-", requires = "cost")]
    sample: Option<String>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

/// What the JSON object holds.
#[derive(Debug, Serialize)]
struct Outcome<'r> {
    policy: String,
    folder: String,
    passed: usize,
    failed: usize,
    #[serde(flatten)]
    report: &'r Report,
    cost: Option<&'r CostReport>,
}

/// The policy folder and the test files that a path means.
#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    folder: PathBuf,
    /// What the paths of the files begin with, inside the folder; empty for all.
    inside: String,
}

/// Runs the tests; exit code 1 when one fails, or when there is none.
///
/// # Errors
/// 64 for a path or a text that means no test, 66 for a path that is not there, 78 for a policy or tests with mistakes.
pub(super) fn test(options: &Options) -> Result<ExitCode, Error> {
    let chosen = match &options.path {
        Some(path) => choose(path)?,
        None => Chosen { folder: load::settings(&options.config)?.policy.folder, inside: String::new() },
    };
    let folder = &chosen.folder;
    let local = policy::load(folder).map_err(|refused| match options.path {
        Some(_) => refused.into_error_of(folder, "`PATH`"),
        None => refused.into_error(folder),
    })?;
    let compiled = Compiled::of(local.policy, policy::matcher);
    let all = policy::tests(folder, compiled.policy()).map_err(|refused| refused.into_error(folder))?;
    let tests = pick(all, &chosen, options.only.as_deref())?;
    let compiled = Arc::new(compiled);
    let report = rule_tests::run(&compiled, &tests)?;
    let cost = cost(options, &compiled, &tests)?;
    if options.json {
        let failed = report.failed();
        let outcome = Outcome {
            policy: local.bundle.generation().to_string(),
            folder: folder.display().to_string(),
            passed: report.tests.len() - failed,
            failed,
            report: &report,
            cost: cost.as_ref(),
        };
        crate::say!("{}", serde_json::to_string_pretty(&outcome).expect("invariant: a report is JSON"));
    } else if report.tests.is_empty() {
        crate::warn_of!("`{}` has no rule tests: write them in {TESTS_FOLDER}/*.toml", folder.display());
    } else {
        let whole = chosen.inside.is_empty() && options.only.is_none();
        crate::say!("{}", report.render(whole, Colour(colour_on(&std::io::stdout()))));
    }
    if let Some(cost) = cost.filter(|_| !options.json) {
        crate::say!("\n{}", cost.render(Colour(colour_on(&std::io::stdout()))));
    }
    let well = report.failed() == 0 && !report.tests.is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

/// What the rules cost, if that is asked for.
fn cost(options: &Options, compiled: &Compiled, tests: &[RuleTest]) -> Result<Option<CostReport>, Error> {
    match &options.sample {
        _ if !options.cost => Ok(None),
        None => rule_cost::of_tests(compiled, tests).map(Some),
        Some(sample) => {
            let scan = ScanSettings::of(&load::settings(&options.config)?)?;
            rule_cost::of_file(compiled, &From::parse(sample), &scan).map(Some)
        }
    }
}

/// A folder is a policy folder, unless it is one of tests; a file belongs to the folder `tests` above it.
fn choose(path: &Path) -> Result<Chosen, Error> {
    let absolute = path
        .canonicalize()
        .map_err(|error| Error::new(Kind::NoInput, format!("cannot read `{}`: {error}", path.display())))?;
    let is_folder = absolute.is_dir();
    let is_tests = |folder: &&Path| folder.file_name().is_some_and(|name| name == TESTS_FOLDER);
    let tests = absolute.ancestors().find(is_tests).filter(|tests| !is_folder || *tests == absolute);
    match tests.and_then(|tests| Some((tests, tests.parent()?))) {
        Some((tests, folder)) => {
            let below = absolute.strip_prefix(tests).unwrap_or(Path::new(""));
            let below: Vec<&str> = below.iter().filter_map(|part| part.to_str()).collect();
            let inside = format!("{TESTS_FOLDER}/{}", below.join("/"));
            Ok(Chosen { folder: folder.to_owned(), inside })
        }
        None if is_folder => Ok(Chosen { folder: path.to_owned(), inside: String::new() }),
        None => Err(Error::usage(format!("`{}` stands in no folder `{TESTS_FOLDER}`", path.display()))
            .hint("name a policy folder, or a file of rule tests inside one")),
    }
}

fn pick(all: Vec<RuleTest>, chosen: &Chosen, only: Option<&str>) -> Result<Vec<RuleTest>, Error> {
    let inside = |test: &RuleTest| test.file.starts_with(&chosen.inside);
    let (mut tests, names): (Vec<RuleTest>, Vec<String>) =
        all.into_iter().filter(inside).map(|test| (test.clone(), test.name)).unzip();
    let Some(only) = only else { return Ok(tests) };
    tests.retain(|test| test.name.to_lowercase().contains(&only.to_lowercase()));
    if tests.is_empty() {
        let near = did_you_mean(only, names.iter().map(String::as_str));
        let hint = if near.is_empty() {
            "without `--only` every test is listed with its name".to_owned()
        } else {
            near
        };
        return Err(Error::usage(format!("no test's name contains `{only}`")).hint(hint));
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_path_means_a_policy_folder_its_tests_or_one_file_of_them() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path().canonicalize().expect("it is there");
        // A policy may itself live below a folder of that name.
        let policy = root.join("tests/policy");
        fs::create_dir_all(policy.join("tests/deep")).expect("folders");
        fs::create_dir_all(root.join("elsewhere")).expect("folders");
        for file in ["tests/policy/tests/deep/tv.toml", "elsewhere/tv.toml"] {
            fs::write(root.join(file), "").expect("written");
        }
        let chosen = |inside: &str| Chosen { folder: policy.clone(), inside: inside.to_owned() };
        assert_eq!(choose(&policy), Ok(chosen("")));
        assert_eq!(choose(&policy.join("tests")), Ok(chosen("tests/")));
        assert_eq!(choose(&policy.join("tests/deep/tv.toml")), Ok(chosen("tests/deep/tv.toml")));
        assert_eq!(choose(&root.join("elsewhere/tv.toml")).map_err(|error| error.exit_code()), Err(64));
        assert_eq!(choose(&root.join("nowhere")).map_err(|error| error.exit_code()), Err(66));
    }
}
