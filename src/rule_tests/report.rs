//! The report of a run: like a test runner's for people, one JSON object for programs.
//!
//! Owns the wording and the fields. May not run anything. Printed by `triaged test`; a reload that is refused lists its
//! failures.

use super::compare::Difference;
use super::decide::Decided;
use crate::diagnostic::Diagnostic;
use crate::shown::{self, Colour, Line, Told};
use crate::wire::visible::{shortened, visible};
use serde::Serialize;
use std::fmt::Write;

/// Mentions of one test that are shown, if so many fail.
const CASES_SHOWN_MAX: usize = 10;
/// Names of rules that are listed as never hit, at most.
const NEVER_HIT_SHOWN_MAX: usize = 60;
/// Characters of a line of names.
const NAMES_WIDTH: usize = 96;

/// What came out of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every test, in the order of files and lines.
    pub tests: Vec<TestReport>,
    /// How many rules the policy has.
    pub rules: usize,
    /// Those that no mention of a test matches, by name.
    pub rules_never_hit: Vec<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// The file inside the policy folder.
    pub file: String,
    /// Its line there.
    pub line: u32,
    /// How many mentions it has.
    pub mentions: usize,
    /// Those that were not decided as expected; empty when the test passed.
    pub failed: Vec<CaseFailed>,
}

/// A mention that was not decided as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseFailed {
    /// The line of its text.
    pub line: u32,
    /// What it says.
    pub text: String,
    /// What was expected and what came out.
    pub differences: Vec<Difference>,
    /// The whole decision.
    pub decided: Decided,
    /// The rules and filters that say why.
    pub why: Vec<Told>,
}

impl Report {
    /// How many tests failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|test| !test.failed.is_empty()).count()
    }

    /// Every mention that was not decided as expected as one finding in its file.
    #[must_use]
    pub fn findings(&self, folder: &str) -> Vec<Diagnostic> {
        let failed = self.tests.iter().flat_map(|test| test.failed.iter().map(move |case| (test, case)));
        let finding = |(test, case): (&TestReport, &CaseFailed)| {
            let of = |difference: &Difference| {
                let Difference { what, expected, decided } = difference;
                format!("{what}: expected {expected}, decided {decided}")
            };
            let differences: Vec<String> = case.differences.iter().map(of).collect();
            let told = format!("the rule test `{}` fails: {}", test.name, differences.join("; "));
            let mut told = Diagnostic::mistake(told).of_file(&test.file).in_folder(folder);
            told.line = case.line;
            told.column = 1;
            told.hint = format!("`triaged test --only \"{}\"` says why", test.name);
            told
        };
        failed.map(finding).collect()
    }

    /// For people: each test, then what failed and why, then what no test hits. Ends without a line break.
    #[must_use]
    pub fn render(&self, whole: bool, colour: Colour) -> String {
        let mut shown = String::new();
        let mut file = "";
        for test in &self.tests {
            if test.file != file {
                let _ = writeln!(shown, "{}{}", if file.is_empty() { "" } else { "\n" }, test.file);
                file = &test.file;
            }
            let _ = writeln!(shown, "  {} ... {}", visible(&test.name), test.verdict(colour));
        }
        for test in self.tests.iter().filter(|test| !test.failed.is_empty()) {
            let _ = write!(shown, "\n{}", test.render(colour));
        }
        if whole && !self.rules_never_hit.is_empty() {
            let count = self.rules_never_hit.len();
            let _ = writeln!(shown, "\n{count} of {} rules are hit by no test:", self.rules);
            for line in wrapped(&self.rules_never_hit) {
                let _ = writeln!(shown, "  {line}");
            }
        }
        let failed = self.failed();
        let passed = self.tests.len() - failed;
        let mentions: usize = self.tests.iter().map(|test| test.mentions).sum();
        let verdict = if failed == 0 { colour.paint("32", "ok") } else { colour.paint("1;31", "FAILED") };
        let seconds = self.took_us as f64 / 1e6;
        let _ = write!(
            shown,
            "\ntests {verdict}: {passed} passed, {failed} failed, {mentions} mention{} in {seconds:.2} s",
            if mentions == 1 { "" } else { "s" }
        );
        shown
    }
}

impl TestReport {
    fn verdict(&self, colour: Colour) -> String {
        let (failed, mentions) = (self.failed.len(), self.mentions);
        match (failed, mentions) {
            (0, 1) => colour.paint("32", "ok"),
            (0, _) => format!("{} ({mentions} mentions)", colour.paint("32", "ok")),
            (_, 1) => colour.paint("1;31", "FAILED"),
            _ => format!("{} ({failed} of {mentions} mentions)", colour.paint("1;31", "FAILED")),
        }
    }

    fn render(&self, colour: Colour) -> String {
        let place = format!("{}:{}", self.file, self.line);
        let mut shown = format!("{}: {}\n", colour.paint("1", &place), visible(&self.name));
        for case in self.failed.iter().take(CASES_SHOWN_MAX) {
            shown += &case.render(colour);
        }
        if self.failed.len() > CASES_SHOWN_MAX {
            let _ =
                writeln!(shown, "  … {} mentions more; --json has all", self.failed.len() - CASES_SHOWN_MAX);
        }
        shown
    }
}

impl CaseFailed {
    fn render(&self, colour: Colour) -> String {
        let text = Line::new(&self.text, &[]);
        let mut shown = format!("  line {}: \"{}\"\n", self.line, text.short());
        let header = ("", "expected", "decided");
        let rows = self.differences.iter().map(|it| (it.what, it.expected.as_str(), it.decided.as_str()));
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let width = |of: fn(&(&str, &str, &str)) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let (first, second) = (width(|row| row.0.chars().count()), width(|row| row.1.chars().count()));
        for (what, expected, decided) in &rows {
            let line = format!("    {what:first$}  {expected:second$}  {decided}");
            let _ = writeln!(shown, "{}", line.trim_end());
        }
        let _ = writeln!(shown, "    decided: {}", self.decided.in_words());
        for told in &self.why {
            for line in shown::why(told.about, &told.why, &text, colour).lines() {
                let _ = writeln!(shown, "    {line}");
            }
        }
        shown
    }
}

impl Decided {
    /// The decision in one line.
    fn in_words(&self) -> String {
        let listed = |names: &[String]| shortened(&names.join(", "), NAMES_WIDTH);
        let mut words = self.disposition.clone();
        if let (Some(queue), Some(filter)) = (&self.queue, &self.filter) {
            let _ = write!(words, " in `{queue}` by filter `{filter}`");
        }
        if let Some(rule) = &self.rule {
            let _ = write!(words, " by rule `{rule}`");
        }
        match self.rules.is_empty() {
            true => words += "; no rule matches",
            false => words += &format!("; rules {}", listed(&self.rules)),
        }
        if !self.tags.is_empty() {
            words += &format!("; tags {}", listed(&self.tags));
        }
        words
    }
}

/// Names in lines of a fair width.
fn wrapped(names: &[String]) -> Vec<String> {
    let mut lines = vec![String::new()];
    let more = names.len().saturating_sub(NEVER_HIT_SHOWN_MAX);
    let last = (more > 0).then(|| format!("and {more} more; --json lists all"));
    for name in names.iter().take(NEVER_HIT_SHOWN_MAX).cloned().chain(last) {
        let line = lines.last_mut().expect("invariant: it begins with one line");
        if line.is_empty() {
            line.push_str(&name);
        } else if line.len() + name.len() + 2 <= NAMES_WIDTH {
            let _ = write!(line, ", {name}");
        } else {
            line.push(',');
            lines.push(name);
        }
    }
    lines
}
