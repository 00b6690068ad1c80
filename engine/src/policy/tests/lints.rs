//! What a policy says and probably does not mean, and that sound policies are left in peace.

use super::*;
use crate::policy::{LintKind, lint};

const FRAME: &str = r#"
[[desk]]
name = "tech"
log_partition = 0
[[queue]]
name = "tech.all"
desk = "tech"
[workflow]
default = "tech.all"
[fleet]
hash_key = "00112233445566778899aabbccddeeff"
"#;

/// What is found in these lines beside a sound frame: `line: lint: what`.
fn found(text: &str) -> Vec<String> {
    let files = [("a.toml".to_owned(), FRAME.to_owned()), ("p.toml".to_owned(), text.to_owned())];
    let bundle = Bundle { files: files.into() };
    Policy::compile(&bundle).expect("a policy that compiles");
    let lints = lint(&bundle);
    lints.iter().map(|l| format!("{}: {}: {}", l.mistake.line, l.kind.name(), l.mistake.what)).collect()
}

fn filters(conditions: &[&str]) -> Vec<String> {
    let rules = "[[rule]]\nname = \"r\"\nquery = \"word\"\ntags = [\"a\", \"b\", \"c\"]\n";
    let filters = conditions.iter().enumerate().map(|(number, when)| {
        format!("[[filter]]\nname = \"f{number}\"\nwhen = \"{when}\"\nqueue = \"tech.all\"\n")
    });
    let told = found(&format!("{rules}{}", filters.collect::<String>()));
    told.iter().map(|told| told.split(": ").skip(2).collect::<Vec<_>>().join(": ")).collect()
}

#[test]
fn a_filter_that_can_never_decide_is_found() {
    assert_eq!(
        filters(&["tag:a", "tag:a AND tag:b"]),
        ["the filter `f1` can never decide: `f0` above it holds whenever it does"]
    );
    assert_eq!(
        filters(&["tag:a OR tag:b", "tag:b"]),
        ["the filter `f1` can never decide: `f0` above it holds whenever it does"]
    );
    assert_eq!(
        filters(&["tag:a AND tag:b", "tag:a AND NOT tag:b", "tag:a AND tag:c"]),
        ["the filter `f2` can never decide: one of those above it holds whenever it does"]
    );
    assert_eq!(
        filters(&["category:complaint AND category:technical"]),
        ["the condition of the filter `f0` can never hold"]
    );
    assert_eq!(
        filters(&["tag:a OR NOT tag:a", "tag:b"]),
        [
            "the filter `f0` always holds: nothing below it is ever asked",
            "the filter `f1` can never decide: `f0` above it holds whenever it does"
        ]
    );
}

#[test]
fn filters_that_may_decide_are_left_in_peace() {
    let none: [&str; 0] = [];
    assert_eq!(filters(&["tag:a AND tag:b", "tag:a", "tag:b OR tag:c"]), none);
    assert_eq!(filters(&["kind:reply", "kind:post", "NOT kind:post AND NOT kind:reply"]), none);
    assert_eq!(filters(&["followers>100", "followers>1000"]), none, "numbers are not compared");
    let many: Vec<String> = (0..30).map(|n| format!("account:@a{n}")).collect();
    assert_eq!(filters(&[&many.join(" OR "), "account:@a3x"]), none, "too many questions to try");
}

#[test]
fn a_rule_that_asks_for_nothing_or_repeats_a_query_is_found() {
    let told = found(
        "[[rule]]\nname = \"one\"\nquery = \"a1b AND (Tele OR radio)\"\ntags = [\"t\"]\n\
         [[rule]]\nname = \"two\"\nquery = \"a1b  (tele OR RADIO)\"\ntags = [\"u\"]\n\
         [[rule]]\nname = \"three\"\nquery = \"idle\"\n",
    );
    assert_eq!(
        told,
        [
            "7: same-query: the rule `two` has the query of `one` (p.toml line 3)",
            "10: idle-rule: the rule `three` asks for nothing"
        ]
    );
}

#[test]
fn a_short_word_is_found_only_where_it_decides_alone() {
    let rule = |query: &str| found(&format!("[[rule]]\nname = \"r\"\nquery = '{query}'\ntags = [\"t\"]\n"));
    assert_eq!(
        rule("TV OR television"),
        ["3: short-literal: for the rule `r` the word `tv` alone is enough"]
    );
    assert_eq!(rule("tv AND NOT radio AND lang:en").len(), 1);
    assert!(rule("tv AND broken").is_empty());
    assert!(rule("(4g OR 5g OR lte) AND (slow OR gone)").is_empty());
    assert!(rule("📺 OR television").is_empty(), "an emoji has four bytes");
}

#[test]
fn desks_without_queues_queues_without_filters_and_shared_partitions_are_found() {
    let told =
        found("[[desk]]\nname = \"lab\"\nlog_partition = 0\n[[queue]]\nname = \"q\"\ndesk = \"tech\"\n");
    assert_eq!(
        told,
        [
            "2: idle-desk: the desk `lab` has no queue",
            "2: shared-partition: the desks `tech` and `lab` share log_partition 0",
            "5: unused-queue: no filter sends anything to the queue `q`",
        ]
    );
}

#[test]
fn every_lint_has_a_name_of_its_own_and_says_what_it_finds() {
    let mut names: Vec<&str> = LintKind::ALL.map(LintKind::name).to_vec();
    names.dedup();
    assert_eq!(names.len(), LintKind::ALL.len());
    assert!(LintKind::ALL.iter().all(|kind| kind.about().ends_with('.')));
}
