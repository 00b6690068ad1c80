//! Rule tests as they are written: what is read, and which mistakes are told where.

use super::*;
use std::collections::BTreeMap;

const RULES: &str = r#"
[[rule]]
name = "tv-broken"
query = "tv AND broken"
tags = ["tv"]

[[filter]]
name = "television"
when = "tag:tv"
queue = "tech.tv"
"#;

fn read(text: &str) -> Result<Vec<RuleTest>, Vec<Mistake>> {
    let files = BTreeMap::from([("tests/tv.toml".to_owned(), text.to_owned())]);
    read_rule_tests(&files, &policy(RULES))
}

fn mistakes(text: &str) -> Vec<String> {
    read(text).expect_err("it has mistakes").iter().map(ToString::to_string).collect()
}

#[test]
fn a_test_gives_a_mention_a_time_and_what_must_come_out() {
    let tests = read(
        r#"
[[test]]
name = "a broken television reaches the television queue"
at = "2026-11-22T09:14:03Z"
mention = { text = "TV broken again", lang = "en", followers = 12, thread = { in_reply_to = "x:7" } }
[test.expect]
disposition = "queued"
queue = "tech.tv"
filter = "television"
rules = ["tv-broken"]
priority = 30
pii = []
"#,
    )
    .expect("right");
    let [test] = tests.as_slice() else { panic!("{tests:?}") };
    assert_eq!((test.file.as_str(), test.line), ("tests/tv.toml", 3));
    assert_eq!(test.at, Some(crate::model::Millis(1_795_338_843_000)));
    let mention = &test.cases[0].mention;
    assert_eq!(
        (mention.text.as_str(), mention.author.followers, test.cases[0].line),
        ("TV broken again", 12, 5)
    );
    assert_eq!((mention.mention_id.as_str(), mention.network.as_str()), ("test:1", "x"));
    assert_eq!(mention.thread.in_reply_to.as_deref(), Some("x:7"));
    assert_eq!(mention.posted_at.as_deref(), Some("2026-11-22T09:14:03Z"));
    let expect = Expectation {
        disposition: Some("queued"),
        queue: Some("tech.tv".into()),
        filter: Some("television".into()),
        rules: vec!["tv-broken".into()],
        priority: Some(30),
        pii: Some(Vec::new()),
        ..Expectation::default()
    };
    assert_eq!(test.expect, expect);
}

#[test]
fn several_texts_share_one_mention_and_one_expectation() {
    let tests = read(
        "[[test]]\nname = \"broken\"\nat = 2026-11-22T09:14:03Z\nmention = { lang = \"de\", author = { verified = true } }\n\
         texts = [\n  \"tv broken\",\n  \"broken tv\",\n]\nexpect = { tags = [\"tv\"] }\n",
    )
    .expect("right");
    let cases: Vec<_> = tests[0].cases.iter().map(|case| (case.line, case.mention.text.as_str())).collect();
    assert_eq!(cases, [(6, "tv broken"), (7, "broken tv")]);
    assert!(tests[0].cases.iter().all(|case| case.mention.lang == "de" && case.mention.author.verified));
}

#[test]
fn a_slip_in_a_name_is_told_so_that_no_test_passes_by_mistake() {
    let told = mistakes(
        "[[test]]\nname = \"a\"\nmention = { text = \"tv\" }\nexpect = { not_rules = [\"tv-broke\"], queue = \"tech.tvv\", \
         not_tags = [\"tb\"], desk = \"tec\", filter = \"televison\", pii = [\"cards\"] }\n",
    );
    let expected = [
        "the policy has no rule `tv-broke` (did you mean `tv-broken`?)",
        "the policy has no queue `tech.tvv` (did you mean `tech.tv`?)",
        "the policy has no tag `tb` (did you mean `tv`?)",
        "the policy has no desk `tec` (did you mean `tech`?)",
        "the policy has no filter `televison` (did you mean `television`?)",
        "the policy has no kind of personal data `cards` (did you mean `card`?)",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with("tests/tv.toml:4:") && told.ends_with(expected), "{told}");
    }
}

#[test]
fn every_mistake_of_a_test_file_is_told_with_its_place() {
    for (text, expected) in [
        (
            "[[test]]\nname = \"a\"\nmention = { txt = \"x\" }\nexpect = { tags = [\"tv\"] }",
            vec![
                "1:1: `mention` lacks `text` (write mention = { text = \"…\" }, or texts = [\"…\", \"…\"] for several mentions)",
                "3:13: unknown key `txt` in `mention` (did you mean `text`?)",
            ],
        ),
        (
            "[[test]]\nmention = { text = \"x\" }\n",
            vec![
                "1:1: [[test]] lacks `expect` (write [test.expect] with what must come out)",
                "1:1: [[test]] lacks `name` (it says what users get)",
            ],
        ),
        (
            "[[test]]\nname = \"a\"\nmention = { text = \"x\" }\nexpect = {}\n",
            vec!["4:10: the test expects nothing (give it a disposition, a queue or rules)"],
        ),
        (
            "[[test]]\nname = \"a\"\ntexts = [\"x\"]\nmention = { text = \"x\", posted_at = 3 }\nexpect = { tag = \"tv\", disposition = \"dropped\" }\n",
            vec![
                "4:20: both `mention.text` and `texts` are given (write all of them into `texts`; `mention` gives what they share)",
                "4:25: unknown key `posted_at` in `mention`",
                "5:12: unknown key `tag` in [test.expect] (did you mean `tags`?)",
                "5:38: `disposition = \"dropped\"` is not known: expected `queued`, `noise`, `blocked`",
            ],
        ),
        (
            "[[test]]\nname = \"a\"\nat = \"noon\"\ntexts = []\nexpect = { disposition = \"noise\", queue = \"tech.tv\" }\n",
            vec![
                "1:1: `texts` in [[test]] is empty (write mention = { text = \"…\" }, or texts = [\"…\", \"…\"] for several mentions)",
                "3:6: `at = \"noon\"` is no time (write date, time and offset: 2026-11-22T09:14:03Z)",
                "5:26: `disposition = \"noise\"` and `queue` exclude each other (only a mention that is queued has that)",
            ],
        ),
        (
            "[[rule]]\nname = \"a\"\n[[tests]]\n",
            vec![
                "1:3: unknown table or key `rule` at the top of a file of rule tests (files below `tests` hold rule tests alone; all else stands beside that folder)",
                "3:3: unknown table or key `tests` at the top of a file of rule tests (did you mean `test`?)",
            ],
        ),
        (
            "[[test]]\nname = \"a\"\ntexts = [\"x\"]\nexpect = { tags = [\"tv\"] }\n[[test]]\nname = \"a\"\ntexts = [\"x\"]\nexpect = { tags = [\"tv\"] }\n",
            vec!["6:8: two tests are named `a`: the first is in tests/tv.toml line 2"],
        ),
        (
            "[[test]\n",
            vec![
                "1:8: not readable as TOML: unclosed array table, expected `]` (the rest of the file is checked once this is mended)",
            ],
        ),
    ] {
        let told = mistakes(text);
        let told: Vec<&str> =
            told.iter().map(|told| told.strip_prefix("tests/tv.toml:").expect("a place")).collect();
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn a_mention_that_is_a_picture_alone_has_an_empty_text() {
    let tests = read(
        "[[test]]\nname = \"one\"\nmention = { text = \"\", followers = 12 }\nexpect = { disposition = \"queued\" }\n\
         [[test]]\nname = \"many\"\ntexts = [\"\", \"tv\"]\nexpect = { disposition = \"queued\" }\n",
    )
    .expect("right");
    let texts: Vec<&str> =
        tests.iter().flat_map(|test| &test.cases).map(|case| case.mention.text.as_str()).collect();
    assert_eq!(texts, ["", "", "tv"]);
    assert_eq!(tests[0].cases[0].mention.author.followers, 12);
}

#[test]
fn a_slip_in_the_text_is_one_mistake() {
    for (keys, expected) in [
        ("mention = { text = 5 }", "3:20: `text` must be a text in quotes, found the number 5"),
        ("mention = 5", "3:11: `mention` must be a table, such as { … }, found the number 5"),
        ("texts = 5", "3:9: `texts` must be a list of texts, such as [\"tv\"], found the number 5"),
        ("texts = [5]", "3:10: `texts` must be a list of texts, found the number 5"),
    ] {
        let told = mistakes(&format!("[[test]]\nname = \"a\"\n{keys}\nexpect = {{ tags = [\"tv\"] }}\n"));
        assert_eq!(told, [format!("tests/tv.toml:{expected}")], "{keys}");
    }
}

#[test]
fn what_must_and_must_not_be_there_at_once_is_told_where_it_stands() {
    for (expect, expected) in [
        (
            "rules = [\"tv-broken\"], not_rules = [\"tv-broken\"]",
            "4:48: the rule `tv-broken` stands in `rules` and in `not_rules` (no mention can do both: leave one out)",
        ),
        (
            "tags = [\"tv\"], not_tags = [\"tv\"]",
            "4:39: the tag `tv` stands in `tags` and in `not_tags` (no mention can do both: leave one out)",
        ),
        (
            "rule = \"tv-broken\", not_rules = [\"tv-broken\"]",
            "4:45: the rule `tv-broken` stands in `rule` and in `not_rules` (no mention can do both: leave one out)",
        ),
    ] {
        let told = mistakes(&format!("[[test]]\nname = \"a\"\ntexts = [\"x\"]\nexpect = {{ {expect} }}\n"));
        assert_eq!(told, [format!("tests/tv.toml:{expected}")], "{expect}");
    }
}

#[test]
fn a_test_among_the_rules_is_told_where_it_belongs() {
    let told = Policy::compile(&bundle(&[("rules.toml", "[[test]]\nname = \"a\"\n")])).expect_err("refused");
    assert_eq!(
        told[0].to_string(),
        "rules.toml:1:3: `test` stands among the rules (rule tests stand in the folder `tests`)"
    );
}
