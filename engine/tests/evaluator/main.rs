//! The whole evaluation against a naive one that reads the text again for every rule.
//!
//! Owns the rounds: a random policy, random mentions, and every pair of rule and mention compared. `FUZZ_PAIRS` sets how
//! many pairs, `FUZZ_SEED` where the rounds begin; a difference prints the round's seed and the smallest case found.
//! `make fuzz` runs it at length.
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the size of a run is given from outside, and told"
)]

#[allow(dead_code, reason = "real texts are compared where the daemon's matcher is")]
mod generate;
mod naive;
mod write;

use generate::{Random, Vocabulary, mention};
use naive::NaivePolicy;
use std::sync::Arc;
use triage_engine::model::Mention;
use triage_engine::policy::{Policy, RuleIndex, Scratch};
use triage_engine::scan::{Hit, Matcher, ReferenceMatcher, Scanner, WordMatcher};
use triage_engine::text::{NormalText, Normaliser};

/// Pairs in a plain test run.
const PAIRS: u64 = 50_000;
const RULES: usize = 30;
const TEXTS: usize = 60;
/// Of so many texts of a round one is told, too.
const TOLD_EVERY: usize = 6;

/// A policy with what one thread needs.
struct Compiled {
    policy: Policy,
    scanner: Box<dyn Scanner>,
    normaliser: Normaliser,
    text: NormalText,
    hits: Vec<Hit>,
}

impl Compiled {
    fn new(naive: &NaivePolicy) -> Compiled {
        let bundle = write::bundle(naive);
        let policy = Policy::compile(&bundle).unwrap_or_else(|mistakes| {
            let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            panic!("{}\n{}", bundle.files["policy.toml"], shown.join("\n"))
        });
        let rest = |rest: &[_]| Ok::<_, ()>(Arc::new(ReferenceMatcher::new(rest)) as Arc<dyn Matcher>);
        let scanner = WordMatcher::build(policy.literals(), rest).unwrap().scanner();
        Compiled {
            policy,
            scanner,
            normaliser: Normaliser::new(),
            text: NormalText::default(),
            hits: Vec::new(),
        }
    }

    fn matched(&mut self, mention: &Mention<'_>, scratch: &mut Scratch) -> Vec<RuleIndex> {
        self.normaliser.normalise(mention.text, self.policy.forms(), &mut self.text);
        self.hits.clear();
        self.scanner.scan(&self.text, &mut self.hits);
        let mut matched = Vec::new();
        self.policy.evaluate(mention, &self.text, &self.hits, scratch, &mut matched);
        matched
    }

    /// What is told of every rule agrees with what was decided, and points into the text.
    fn check_told(&self, mention: &Mention<'_>, matched: &[RuleIndex], seed: u64) {
        let reading = self.policy.reading(mention, matched);
        for (place, rule) in self.policy.rules().iter().enumerate() {
            let why = reading.rule(rule);
            let decided = matched.iter().any(|index| index.place() == place);
            assert_eq!(
                why.holds, decided,
                "FUZZ_SEED={seed}: {} is told otherwise in {mention:#?}",
                rule.query
            );
            assert!(!why.term.deciding().is_empty(), "{}", rule.query);
            for leaf in why.term.leaves() {
                assert!(!why.written(leaf).is_empty(), "{leaf:?} of {}", rule.query);
                for found in &leaf.found {
                    let words = mention.text.get(found.start..found.end);
                    assert!(words.is_some_and(|words| !words.is_empty()), "{leaf:?} in {:?}", mention.text);
                }
            }
        }
    }
}

/// One round; how many rules matched.
fn round(seed: u64, scratch: &mut Scratch) -> usize {
    let mut random = Random(seed);
    let vocabulary = Vocabulary::new(&mut random);
    let naive = vocabulary.policy(RULES, &mut random);
    let mut compiled = Compiled::new(&naive);
    let mut matches = 0;
    for number in 0..TEXTS {
        let text = vocabulary.text(&mut random);
        let mention = mention(&text, &mut random);
        let matched = compiled.matched(&mention, scratch);
        let found: Vec<usize> = matched.iter().map(|rule| rule.place()).collect();
        let expected = naive.matched(&mention);
        assert!(expected == found, "FUZZ_SEED={seed}: {}", difference(&naive, &mention, &expected, &found));
        matches += found.len();
        // Telling reads every query again and takes its time: some texts of each round will do.
        if number % TOLD_EVERY == 0 {
            compiled.check_told(&mention, &matched, seed);
        }
    }
    matches
}

/// The first rule that differs, its query and the text.
fn difference(naive: &NaivePolicy, mention: &Mention<'_>, expected: &[usize], found: &[usize]) -> String {
    let differs = |rule: &usize| expected.contains(rule) != found.contains(rule);
    let rule = (0..naive.rules.len()).find(differs).unwrap();
    let query = write::query(&naive.rules[rule].query);
    let says = if expected.contains(&rule) { "should match and does not" } else { "matches and should not" };
    format!(
        "rule r{rule:04} {says}\nquery {query}\nform {:?}\n{mention:#?}\nlists {:?}",
        naive.rules[rule].form, naive.lists
    )
}

#[test]
fn the_evaluation_and_the_naive_reader_agree_on_every_construct_in_every_script() {
    let number = |name: &str, usual| std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap());
    let (pairs, seed): (u64, u64) = (number("FUZZ_PAIRS", PAIRS), number("FUZZ_SEED", 1));
    let each = (RULES * TEXTS) as u64;
    let mut scratch = Scratch::default();
    let mut matches = 0;
    let rounds = pairs.div_ceil(each);
    for round_seed in seed..seed + rounds {
        matches += round(round_seed, &mut scratch);
    }
    println!(
        "{} pairs of rule and mention in {rounds} rounds from seed {seed}: no difference, {matches} matches",
        rounds * each
    );
    assert!(matches as u64 > pairs / 20, "rules and texts meet");
}
