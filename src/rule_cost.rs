//! `triaged test --cost`: how often each rule matches over a sample, and its share of what all rules cost.
//!
//! Owns the sample (lines of mentions, or the texts of the tests), the table and the lint of rules that match too much.
//! What a rule costs is counted by the engine (`policy::CostMeter`), alike on every machine; the time measured beside it is
//! this machine's. Called by the command line.

use crate::clock::Stopwatch;
use crate::error::Error;
use crate::files::From;
use crate::files::reading;
use crate::policies::Compiled;
use crate::shown::Colour;
use crate::wire::mention::{Decoded, Decoder};
use crate::worker::ScanSettings;
use serde::Serialize;
use std::fmt::Write;
use triage_engine::model::{Mention, Millis};
use triage_engine::policy::{CostMeter, RuleCost, RuleTest};
use triage_engine::scan::{Hit, Scanner};
use triage_engine::text::{NormalText, Normaliser};

/// A rule that matches more of a sample than this share, in percent, is told (domain.md section 3).
pub const MATCHES_PERCENT_MAX: f64 = 5.0;
/// Smaller samples say little about shares.
const SAMPLE_MIN: u64 = 200;
/// Rules that are listed for people.
const RULES_SHOWN_MAX: usize = 40;

/// What the rules of a policy cost over a sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CostReport {
    /// Where the mentions came from.
    pub sample: String,
    /// Mentions read.
    pub mentions: u64,
    /// Lines that are no mention.
    pub unreadable: u64,
    /// Microseconds spent on normalising and scanning.
    pub scan_us: u64,
    /// Microseconds spent on the rules, counting included.
    pub rules_us: u64,
    /// Every rule, the dearest first.
    pub rules: Vec<RuleShare>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleShare {
    /// Its name.
    pub rule: String,
    /// What was counted.
    #[serde(flatten)]
    pub counted: RuleCost,
    /// Mentions that it matched, in percent.
    pub match_percent: f64,
    /// Its cost, in percent of what all rules cost.
    pub share_percent: f64,
    /// Whether it matches more than a rule should: [`MATCHES_PERCENT_MAX`].
    pub too_frequent: bool,
}

/// What reading a sample needs.
struct Sampling<'p> {
    compiled: &'p Compiled,
    meter: CostMeter<'p>,
    scanner: Box<dyn Scanner>,
    normaliser: Normaliser,
    text: NormalText,
    hits: Vec<Hit>,
    report: CostReport,
}

/// Counts over the mentions of a file, one a line, in the shape that `scan` reads.
///
/// # Errors
/// As reading the file fails.
pub fn of_file(compiled: &Compiled, from: &From, scan: &ScanSettings) -> Result<CostReport, Error> {
    let shown = match from {
        From::File(path) => path.display().to_string(),
        From::Standard => "standard input".to_owned(),
    };
    let mut sampling = Sampling::new(compiled, shown);
    let mut decoder = Decoder::new(scan.map.clone(), scan.limits);
    for batch in reading::open(from, |_| Millis(0))?.batches {
        for line in batch?.lines.iter().filter(|line| !line.bytes.is_empty()) {
            match decoder.decode(Some(&line.bytes)) {
                Ok(Decoded::Mention { mention, .. }) => sampling.observe(&mention),
                Ok(Decoded::NotAMention { .. }) | Err(_) => sampling.report.unreadable += 1,
            }
        }
    }
    Ok(sampling.close())
}

/// Counts over the mentions of tests.
///
/// # Errors
/// As `ScanSettings::of` says.
pub fn of_tests(compiled: &Compiled, tests: &[RuleTest]) -> Result<CostReport, Error> {
    let scan = ScanSettings::of(&crate::config::Settings::default())?;
    let mut sampling = Sampling::new(compiled, "the tests' own mentions".to_owned());
    let mut decoder = Decoder::new(scan.map, scan.limits);
    for case in tests.iter().flat_map(|test| &test.cases) {
        let record = serde_json::to_vec(&case.mention).expect("invariant: a test's mention can be written");
        if let Ok(Decoded::Mention { mention, .. }) = decoder.decode(Some(&record)) {
            sampling.observe(&mention);
        }
    }
    Ok(sampling.close())
}

impl<'p> Sampling<'p> {
    fn new(compiled: &'p Compiled, sample: String) -> Sampling<'p> {
        Sampling {
            compiled,
            meter: CostMeter::new(compiled.policy()),
            scanner: compiled.matcher().scanner(),
            normaliser: Normaliser::new(),
            text: NormalText::default(),
            hits: Vec::new(),
            report: CostReport { sample, ..CostReport::default() },
        }
    }

    fn observe(&mut self, mention: &Mention<'_>) {
        let watch = Stopwatch::start();
        self.normaliser.normalise(mention.text, self.compiled.policy().forms(), &mut self.text);
        self.hits.clear();
        self.scanner.scan(&self.text, &mut self.hits);
        let scanned_us = watch.elapsed_us();
        self.meter.observe(mention, &self.text, &self.hits);
        self.report.mentions += 1;
        self.report.scan_us += scanned_us;
        self.report.rules_us += watch.elapsed_us().saturating_sub(scanned_us);
    }

    fn close(self) -> CostReport {
        let costs = self.meter.costs();
        let all: u64 = costs.iter().map(|cost| cost.cost).sum();
        let mentions = self.report.mentions;
        let percent = |part: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * part as f64 / of as f64 };
        let share = |(rule, cost): (&triage_engine::policy::Rule, &RuleCost)| {
            let match_percent = percent(cost.matches, mentions);
            RuleShare {
                rule: rule.name.clone(),
                counted: cost.clone(),
                match_percent,
                share_percent: percent(cost.cost, all),
                too_frequent: mentions >= SAMPLE_MIN && match_percent > MATCHES_PERCENT_MAX,
            }
        };
        let mut rules: Vec<RuleShare> = self.compiled.policy().rules().iter().zip(costs).map(share).collect();
        rules.sort_by(|a, b| (b.counted.cost, &a.rule).cmp(&(a.counted.cost, &b.rule)));
        CostReport { rules, ..self.report }
    }
}

impl CostReport {
    /// For people: a table, the dearest rule first. Ends without a line break.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let mut shown = format!("cost over {} mentions ({})", self.mentions, self.sample);
        if self.unreadable > 0 {
            let _ = write!(shown, ", {} lines are no mention", self.unreadable);
        }
        let per = |us: u64| us as f64 / self.mentions.max(1) as f64;
        let _ = writeln!(
            shown,
            "\nmeasured here: {:.1} µs a mention to scan, {:.1} µs for the rules",
            per(self.scan_us),
            per(self.rules_us)
        );
        let width =
            self.rules.iter().take(RULES_SHOWN_MAX).map(|rule| rule.rule.len()).max().unwrap_or(0).max(4);
        let _ = writeln!(
            shown,
            "{:width$}  {:>7}  {:>9}  {:>7}  {:>9}  {:>9}  {:>9}",
            "rule", "share", "matches", "rate", "runs", "steps", "hits"
        );
        let costly = || self.rules.iter().filter(|rule| rule.counted.cost > 0);
        for rule in costly().take(RULES_SHOWN_MAX) {
            let RuleCost { matches, runs, steps, hits, .. } = rule.counted;
            let flag = if rule.too_frequent { colour.paint("33", "  too frequent") } else { String::new() };
            let _ = writeln!(
                shown,
                "{:width$}  {:>5.1} %  {matches:>9}  {:>5.1} %  {runs:>9}  {steps:>9}  {hits:>9}{flag}",
                rule.rule, rule.share_percent, rule.match_percent
            );
        }
        let (costly, all) = (costly().count(), self.rules.len());
        if costly > RULES_SHOWN_MAX {
            let _ = writeln!(shown, "… {} rules more; --json has all", costly - RULES_SHOWN_MAX);
        }
        if costly < all {
            let _ =
                writeln!(shown, "{} of {all} rules cost nothing: no word of theirs was seen", all - costly);
        }
        let frequent = self.rules.iter().filter(|rule| rule.too_frequent).count();
        if frequent > 0 {
            let _ = writeln!(
                shown,
                "{frequent} too frequent: more than {MATCHES_PERCENT_MAX} % of the sample; a rule that fits much says little"
            );
        }
        shown.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::io::Write as _;
    use std::sync::Arc;
    use triage_engine::policy::Bundle;
    use triage_engine::scan::ReferenceMatcher;

    const POLICY: &str = "[[desk]]\nname = \"care\"\nlog_partition = 0\n[[queue]]\nname = \"care.all\"\ndesk = \"care\"\n\
        [workflow]\ndefault = \"care.all\"\n[fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n\
        [[rule]]\nname = \"frequent\"\nquery = \"hello\"\ntags = [\"a\"]\n\
        [[rule]]\nname = \"rare\"\nquery = \"broken AND tv\"\ntags = [\"b\"]\n\
        [[rule]]\nname = \"unseen\"\nquery = \"zebra\"\ntags = [\"c\"]\n";

    #[test]
    fn the_dearest_rule_comes_first_and_one_that_fits_too_much_is_told() {
        let files = [("policy.toml".to_owned(), POLICY.to_owned())].into();
        let compiled = Compiled::new(&Bundle { files }, |literals| Arc::new(ReferenceMatcher::new(literals)));
        let compiled = compiled.expect("the policy is right");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for number in 0..300 {
            let text = if number % 10 == 0 { "hello, my tv is broken" } else { "hello" };
            let text = if number % 3 == 0 { text } else { "nothing to see" };
            let id = format!("\"mention_id\":\"x:{number}\",\"network\":\"x\",\"author\":{{\"id\":\"u\"}}");
            writeln!(file, "{{{id},\"text\":\"{text}\"}}").expect("written");
        }
        writeln!(file, "no mention\n").expect("written");
        let scan = ScanSettings::of(&Settings::default()).expect("the defaults are right");
        let from = From::File(file.path().to_owned());
        let report = of_file(&compiled, &from, &scan).expect("it is read");
        assert_eq!((report.mentions, report.unreadable), (300, 1));
        let rules: Vec<_> = report.rules.iter().map(|rule| (rule.rule.as_str(), rule.too_frequent)).collect();
        assert_eq!(rules, [("frequent", true), ("rare", false), ("unseen", false)]);
        let shares: f64 = report.rules.iter().map(|rule| rule.share_percent).sum();
        assert!((shares - 100.0).abs() < 1e-6, "{report:?}");
        assert_eq!((report.rules[0].counted.matches, report.rules[1].counted.matches), (100, 10));
        let shown = report.render(Colour(false));
        assert!(shown.contains("1 of 3 rules cost nothing") && shown.contains("33.3 %"), "{shown}");
        let again = of_file(&compiled, &from, &scan).expect("it is read");
        assert_eq!(again.rules, report.rules, "what is counted does not depend on the machine's mood");
    }
}
