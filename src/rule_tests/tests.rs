//! Rule tests as they are run: what passes, what fails, and what is told of it.

use super::*;
use crate::policies::BuildMatcher;
use crate::shown::Colour;
use std::collections::BTreeMap;
use triage_engine::policy::Bundle;
use triage_engine::scan::ReferenceMatcher;

const POLICY: &str = r#"
[[desk]]
name = "care"
log_partition = 0
[[desk]]
name = "tech"
log_partition = 1
[[queue]]
name = "care.all"
desk = "care"
[[queue]]
name = "tech.tv"
desk = "tech"
priority = 30
[workflow]
default = "care.all"
[accounts]
own = ["x:@brand"]
[fleet]
hash_key = "00112233445566778899aabbccddeeff"
[[rule]]
name = "tv-broken"
query = "(tv OR telly) AND (broken OR dead) AND NOT giveaway"
tags = ["tv"]
category = "technical"
[[rule]]
name = "giveaway"
query = "giveaway AND win"
action = "noise"
[[rule]]
name = "fire"
query = "fire AND tv"
class = "safety"
[[filter]]
name = "television"
when = "tag:tv AND NOT lang:fr"
queue = "tech.tv"
"#;

fn compiled() -> Arc<Compiled> {
    let files = [("policy.toml".to_owned(), POLICY.to_owned())].into();
    let matcher: BuildMatcher = |literals| Arc::new(ReferenceMatcher::new(literals));
    Arc::new(Compiled::new(&Bundle { files }, matcher).expect("the policy is right"))
}

fn report(tests: &str) -> Report {
    let compiled = compiled();
    let files = BTreeMap::from([("tests/t.toml".to_owned(), tests.to_owned())]);
    let tests = read_rule_tests(&files, compiled.policy()).expect("the tests are right");
    run(&compiled, &tests).expect("they run")
}

/// A test of one text that expects this.
fn holds(text: &str, expect: &str) -> bool {
    report(&format!("[[test]]\nname = \"t\"\ntexts = [{text:?}]\nexpect = {{ {expect} }}\n")).failed() == 0
}

#[test]
fn every_kind_of_expectation_holds_where_it_is_right_and_fails_where_it_is_not() {
    for (text, right, wrong) in [
        ("my tv is broken", "disposition = \"queued\"", "disposition = \"noise\""),
        ("my tv is broken", "queue = \"tech.tv\"", "queue = \"care.all\""),
        ("my tv is broken", "desk = \"tech\"", "desk = \"care\""),
        ("my tv is broken", "filter = \"television\"", "filter = \"default\""),
        ("hello", "filter = \"default\"", "filter = \"television\""),
        ("my tv is broken", "category = \"technical\"", "category = \"general\""),
        ("my tv is broken", "priority = 30", "priority = 31"),
        ("my tv is broken", "resolution = \"either\"", "resolution = \"private\""),
        ("my tv is broken", "rules = [\"tv-broken\"]", "rules = [\"tv-broken\", \"fire\"]"),
        ("my tv is broken", "not_rules = [\"fire\"]", "not_rules = [\"fire\", \"tv-broken\"]"),
        ("my tv is broken", "tags = [\"tv\"]", "tags = [\"safety\"]"),
        ("my tv is broken", "not_tags = [\"safety\"]", "not_tags = [\"tv\"]"),
        ("win a giveaway", "rule = \"giveaway\"", "rule = \"fire\""),
        ("win a giveaway", "disposition = \"noise\"", "disposition = \"blocked\""),
        ("tv on fire, win a giveaway", "disposition = \"queued\"", "rule = \"giveaway\""),
        ("my card 4111 1111 1111 1111", "pii = [\"card\"]", "pii = []"),
        ("hello", "pii = []", "pii = [\"email\"]"),
    ] {
        assert!(holds(text, right), "{text}: {right}");
        assert!(!holds(text, wrong), "{text}: {wrong}");
    }
}

#[test]
fn a_mention_is_decided_by_all_its_fields_and_not_by_its_text_alone() {
    let report = report(
        "[[test]]\nname = \"own\"\nmention = { text = \"tv broken\", author = { handle = \"@Brand\" } }\nexpect = { disposition = \"blocked\" }\n\
         [[test]]\nname = \"french\"\nmention = { text = \"tv broken\", lang = \"fr\" }\nexpect = { queue = \"care.all\" }\n",
    );
    assert_eq!(report.failed(), 0, "{}", report.render(true, Colour(false)));
    assert_eq!(report.rules_never_hit, ["fire", "giveaway"]);
}

#[test]
fn a_picture_alone_is_decided_by_its_fields() {
    let report = report(
        "[[test]]\nname = \"picture\"\nmention = { text = \"\", author = { handle = \"@Brand\" } }\nexpect = { disposition = \"blocked\" }\n\
         [[test]]\nname = \"pictures\"\ntexts = [\"\"]\nexpect = { filter = \"default\", not_rules = [\"tv-broken\"] }\n",
    );
    assert_eq!(report.failed(), 0, "{}", report.render(true, Colour(false)));
}

#[test]
fn a_failing_test_shows_both_sides_and_the_part_of_the_query_that_was_false() {
    let mut report = report(
        "[[test]]\nname = \"broken sets reach the television queue\"\nexpect = { queue = \"tech.tv\", rules = [\"tv-broken\"] }\n\
         texts = [\n  \"TV broken again\",\n  \"My telly: dead. No GIVEAWAY please\",\n]\n\
         [[test]]\nname = \"raffles are noise\"\ntexts = [\"great giveaway\"]\nexpect = { rule = \"giveaway\" }\n",
    );
    report.took_us = 12_000;
    insta::assert_snapshot!(report.render(true, Colour(false)));
    let findings = report.findings("config/policy");
    let told: Vec<(&str, u32)> =
        findings.iter().map(|finding| (finding.file.as_str(), finding.line)).collect();
    assert_eq!(told, [("config/policy/tests/t.toml", 6), ("config/policy/tests/t.toml", 10)]);
    assert!(findings[1].what.ends_with("fails: rule: expected giveaway, decided none"), "{:?}", findings[1]);
}

#[test]
fn the_sample_policys_own_tests_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policy");
    let bundle = crate::policy_folder::read_policy_folder(&folder).expect("the sample");
    let compiled = Arc::new(Compiled::new(&bundle, crate::pipeline::policy::matcher).expect("right"));
    let tests = load(&folder, compiled.policy()).expect("the tests are right");
    let report = run(&compiled, &tests).expect("they run");
    assert!(!report.tests.is_empty());
    assert_eq!(report.failed(), 0, "{}", report.render(false, Colour(false)));
}
