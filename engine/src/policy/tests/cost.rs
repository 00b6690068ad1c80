//! What rules cost: counted alike on every machine, and shared by those who share a word.

use super::*;
use crate::text::{NormalText, Normaliser};

/// Costs of the rules over these texts, and whether what matched is what the policy says.
fn costs(rules: &str, texts: &[&str]) -> Vec<RuleCost> {
    let policy = policy(rules);
    let mut meter = CostMeter::new(&policy);
    let mut scanner = ReferenceMatcher::new(policy.literals()).scanner();
    for text in texts {
        let mention = mention(text);
        let mut normal = NormalText::default();
        Normaliser::new().normalise(text, policy.forms(), &mut normal);
        let mut hits = Vec::new();
        scanner.scan(&normal, &mut hits);
        let found = meter.observe(&mention, &normal, &hits).to_vec();
        assert_eq!(found, matched(&policy, &mention, &mut Scratch::default()), "watching changes nothing");
    }
    meter.costs().to_vec()
}

#[test]
fn a_rule_costs_its_hits_its_runs_and_what_it_asks() {
    let rules = "[[rule]]\nname = \"a\"\nquery = \"tv AND broken\"\n[[rule]]\nname = \"b\"\nquery = \"tv OR radio\"\n\
        [[rule]]\nname = \"c\"\nquery = \"flight AND late\"\n";
    let costs = costs(rules, &["my tv is broken", "a tv", "hello"]);
    assert_eq!((costs[0].matches, costs[1].matches, costs[2].matches), (1, 2, 0));
    assert_eq!((costs[0].hits, costs[1].hits), (3, 2));
    assert_eq!(costs[0].runs, 1, "it is run where its rarer word was seen");
    assert_eq!(costs[1].runs, 2);
    assert_eq!(costs[2], RuleCost::default(), "a rule of which nothing is seen costs nothing");
    // Two hits of `tv` are shared by two rules, the one of `broken` is its own; one run that asks twice.
    assert_eq!(costs[0].cost, (2 * 20 / 2 + 20 + 8 + 2 * 2) * 1_000);
}

#[test]
fn a_rule_that_is_run_for_every_mention_and_a_pattern_are_seen_to_cost() {
    let rules = "[[rule]]\nname = \"always\"\nquery = \"NOT giveaway\"\n\
        [[rule]]\nname = \"first\"\nquery = \"/ab+c/\"\n[[rule]]\nname = \"second\"\nquery = \"/ab+c/ AND tv\"\n";
    let long = "x".repeat(500) + " tv";
    let costs = costs(rules, &[&long, &long]);
    assert_eq!(costs[0].runs, 2);
    // Rules of which a word was seen run before those that are run for every mention.
    assert!(costs[2].cost > 900_000, "who asks first for a pattern pays for the text: {costs:?}");
    assert!(costs[1].cost < 100_000, "who asks later has the answer: {costs:?}");
}

#[test]
fn every_hit_is_charged_to_the_rules_that_need_it_also_of_the_letters_of_patterns() {
    let rules = "[[rule]]\nname = \"alone\"\nquery = '/re+fund/'\n\
        [[rule]]\nname = \"asks\"\nquery = '/(pay|mone)y ?back/ OR (tag:a AND /re+fund/)'\n\
        [[rule]]\nname = \"gives\"\nquery = 'tv'\ntags = [\"a\"]\n\
        [[rule]]\nname = \"toned\"\nquery = '👍 AND tv'\n[[rule]]\nname = \"always\"\nquery = 'NOT (spam OR $bad OR ad)'\n\
        [[list]]\nname = \"bad\"\nterms = [\"scam\", \"bot\"]\n";
    let texts = ["a refund, reefunded", "moneyback for my tv 👍🏽", "payback", "scam ad", "nothing"];
    let names = ["alone", "always", "asks", "gives", "toned"];
    let charged: Vec<(&str, u64)> =
        names.into_iter().zip(costs(rules, &texts).iter().map(|cost| cost.hits)).collect();
    assert_eq!(charged, [("alone", 2), ("always", 2), ("asks", 2), ("gives", 1), ("toned", 2)]);
}
