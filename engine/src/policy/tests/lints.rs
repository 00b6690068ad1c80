//! What a policy says and probably does not mean, and that sound policies are left in peace.

use super::*;
use crate::policy::{Lint, LintKind, lint};

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
    let told = |l: Lint| format!("{}: {}: {}", l.mistake.line, l.kind.name(), l.mistake.what);
    lints(text).into_iter().map(told).collect()
}

fn hints(text: &str) -> Vec<String> {
    lints(text).into_iter().map(|lint| lint.mistake.hint).collect()
}

fn lints(text: &str) -> Vec<Lint> {
    let files = [("a.toml".to_owned(), FRAME.to_owned()), ("p.toml".to_owned(), text.to_owned())];
    let bundle = Bundle { files: files.into() };
    Policy::compile(&bundle).expect("a policy that compiles");
    lint(&bundle)
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
fn a_filter_is_shadowed_through_sets_ranges_and_varieties_of_a_language() {
    let shadowed = |above: &str, below: &str| {
        let told = filters(&[above, below]);
        assert_eq!(
            told,
            ["the filter `f1` can never decide: `f0` above it holds whenever it does"],
            "{below}"
        );
    };
    shadowed("followers>100", "followers>1000");
    shadowed("followers:[100 TO 2000]", "followers:{200 TO 300} AND tag:a");
    shadowed("lang:(en OR es)", "lang:es");
    shadowed("lang:en", "lang:en-gb");
    shadowed("kind:(reply OR quote)", "kind:quote AND tag:b");
    shadowed("visibility:public", "NOT visibility:private");
    assert_eq!(
        filters(&["followers:[0 TO 10]", "followers:[11 TO 20]", "followers:[5 TO 15]"]),
        ["the filter `f2` can never decide: one of those above it holds whenever it does"]
    );
    assert_eq!(
        filters(&["NOT (verified:true OR verified:false)"]),
        ["the condition of the filter `f0` can never hold"]
    );
}

#[test]
fn a_rule_that_can_never_match_is_found() {
    let told = |query: &str| {
        let found = found(&format!("[[rule]]\nname = \"r\"\nquery = '{query}'\ntags = [\"t\"]\n"));
        found.iter().any(|told| told.contains("impossible-rule: the rule `r` can never match"))
    };
    for query in [
        "tv AND NOT tv",
        "(tv OR radio) -tv -radio",
        "followers>10 AND followers<5",
        "lang:en AND lang:fr",
        "kind:reply kind:post",
        "network:x network:bsky",
        "NOT visibility:(public OR private)",
        "\"tv broken\" AND NOT tv",
        "broken* AND NOT brok*",
        "(tv broken) AND NOT (tv AND broken)",
    ] {
        assert!(told(query), "{query}");
    }
    for query in [
        "tv AND NOT broken",
        "tv -\"tv broken\"",
        "brok* AND NOT broken",
        "tvs AND NOT tv",
        "lang:en AND NOT lang:en-gb",
        "@united AND NOT unite",
        "(tv OR radio) AND NOT tv",
        "followers>10 followers<12",
    ] {
        assert!(!told(query), "{query}");
    }
    let policy = "[[rule]]\nname = \"r\"\nquery = 'tv lang:en (broken OR dead) lang:fr'\ntags = [\"t\"]\n";
    assert_eq!(hints(policy), ["`lang:en` and `lang:fr` exclude each other"]);
    // Far too many ways to try all: no finding, and no waiting.
    let pairs: Vec<String> = (0..200).map(|n| format!("(a{n} OR b{n} OR c{n})")).collect();
    assert!(!told(&format!("{} -a0 -b0", pairs.join(" "))));
}

#[test]
fn a_rule_that_can_never_match_is_found_through_lists_and_tags_too() {
    let lists = "[[list]]\nname = \"products\"\nterms = [\"router\", \"set top box\", \"modem*\", \"#outage\"]\n\
        [[list]]\nname = \"sub\"\nterms = [\"router\", \"set top\", \"modem*\", \"#outage\"]\n\
        [[list]]\nname = \"other\"\nterms = [\"router\", \"phone\"]\n";
    let told = |query: &str| {
        let rule = format!("{lists}[[rule]]\nname = \"r\"\nquery = '{query}'\ntags = [\"t\"]\n");
        found(&rule).iter().any(|told| told.contains("impossible-rule: the rule `r` can never match"))
    };
    for query in [
        "router -$products",
        "\"my router\" AND NOT $products",
        "modems AND NOT $products",
        "-$products (broken NEAR/3 #outage)",
        "$products NOT $sub",
        "$other -router -phone",
        "$other -phone NOT $products",
    ] {
        assert!(told(query), "{query}");
    }
    for query in [
        "routers -$products",
        "mode AND NOT $products",
        "$sub NOT $products",
        "$other NOT $products",
        "outage -$products",
        "$products -router",
        "$products $other",
    ] {
        assert!(!told(query), "{query}");
    }
    let exact = format!(
        "{lists}[[rule]]\nname = \"r\"\nquery = 'Router -$products'\ncase = \"exact\"\ntags = [\"t\"]\n"
    );
    assert!(!found(&exact).iter().any(|told| told.contains("impossible-rule")), "capitals count in neither");
    let tags = "[[rule]]\nname = \"z\"\nquery = 'phone -phone'\ntags = [\"z\", \"both\"]\n\
        [[rule]]\nname = \"y\"\nquery = 'tag:z AND broken'\ntags = [\"y\"]\n\
        [[rule]]\nname = \"x\"\nquery = 'tag:y OR tag:z'\ntags = [\"x\"]\n\
        [[rule]]\nname = \"b\"\nquery = 'modem OR tag:x'\ntags = [\"both\"]\n\
        [[rule]]\nname = \"a\"\nquery = 'tag:both AND NOT tag:z'\ntags = [\"a\"]\n\
        [[filter]]\nname = \"f\"\nwhen = \"tag:x\"\nqueue = \"tech.all\"\n";
    assert_eq!(
        found(tags),
        [
            "3: impossible-rule: the rule `z` can never match",
            "7: impossible-rule: the rule `y` can never match",
            "11: impossible-rule: the rule `x` can never match",
            "23: unreachable-filter: the condition of the filter `f` can never hold"
        ]
    );
    assert_eq!(
        hints(tags)[1..3],
        [
            "no rule that gives the tag `z` can ever match",
            "no rule that gives the tag `y` or `z` can ever match"
        ]
    );
}

#[test]
fn a_filter_below_filters_of_which_one_always_holds_is_found() {
    let never = "the filter `f2` can never decide: `f1` or one above it always holds";
    assert_eq!(filters(&["tag:a OR tag:b", "NOT (tag:a OR tag:b)", "lang:en"]), [never]);
    assert_eq!(filters(&["verified:true", "verified:false", "tag:a", "tag:b"]).len(), 2);
    assert_eq!(
        filters(&["NOT tag:a", "tag:a AND NOT tag:b", "NOT tag:c", "tag:b AND tag:c", "lang:en"]).len(),
        1
    );
    let none: [&str; 0] = [];
    assert_eq!(filters(&["tag:a OR tag:b", "NOT (tag:c AND lang:en)", "lang:en"]), none);
    assert_eq!(filters(&["tag:a", "NOT tag:b", "tag:c"]), none);
    assert_eq!(filters(&["tag:a OR tag:b", "NOT (tag:a OR tag:b)"]), none);
}

#[test]
fn words_that_stand_in_nearly_every_text_are_found_where_they_are_enough() {
    let told = |query: &str| {
        let found = found(&format!("[[rule]]\nname = \"r\"\nquery = '{query}'\ntags = [\"t\"]\n"));
        found.join("; ")
    };
    assert_eq!(
        told("the AND NOT broken"),
        "3: common-word: for the rule `r` words are enough that stand in nearly every English text: `the`"
    );
    assert!(told("the AND with").contains("`the`, `with`"));
    assert!(told("broken OR (los lang:es)").contains("Spanish text: `los`"));
    assert!(told("die OR kill").contains("German text: `die`"));
    assert!(told("bir").contains("Turkish text: `bir`"));
    assert!(told("في").contains("Arabic text: `في`"));
    for query in ["die AND lang:en", "\"of the\"", "the AND broken", "NOT the", "#the", "lang:en", "broken"] {
        assert_eq!(told(query), "", "{query}");
    }
}

#[test]
fn short_and_common_words_are_found_in_lists_too() {
    let told = |query: &str| {
        let list = "[[list]]\nname = \"l\"\nterms = [\"5g\", \"router\"]\n[[list]]\nname = \"c\"\nterms = [\"with\", \"modem\"]\n";
        let rule = format!("[[rule]]\nname = \"r\"\nquery = '{query}'\ntags = [\"t\"]\n");
        found(&format!("{list}{rule}"))
            .into_iter()
            .filter(|told| !told.contains("unused-list"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told("broken OR $l"),
        ["9: short-literal: for the rule `r` the word `5g` of `$l` alone is enough"]
    );
    assert_eq!(
        told("$c AND NOT broken"),
        ["9: common-word: for the rule `r` words are enough that stand in nearly every English text: `with`"]
    );
    assert!(told("$l AND broken").is_empty());
    assert!(told("$c AND broken").is_empty());
}

#[test]
fn lists_with_the_same_terms_and_lists_that_nobody_names_are_found() {
    let told = found(
        "[[list]]\nname = \"one\"\nterms = [\"telly\", \"Radio\"]\n\
         [[list]]\nname = \"other\"\nterms = [\"radio\", \"TELLY\", \"telly\"]\n\
         [[list]]\nname = \"idle\"\nterms = [\"phone\"]\n\
         [[rule]]\nname = \"r\"\nquery = '$one AND $other'\ntags = [\"t\"]\n",
    );
    assert_eq!(
        told,
        [
            "5: same-list: the list `other` has the terms of `one` (p.toml line 2)",
            "8: unused-list: no rule names the list `idle`"
        ]
    );
}

#[test]
fn filters_that_may_decide_are_left_in_peace() {
    let none: [&str; 0] = [];
    assert_eq!(filters(&["tag:a AND tag:b", "tag:a", "tag:b OR tag:c"]), none);
    assert_eq!(filters(&["kind:reply", "kind:post", "NOT kind:post AND NOT kind:reply"]), none);
    assert_eq!(filters(&["followers>1000", "followers>100", "followers>=100"]), none);
    assert_eq!(filters(&["lang:en-gb", "lang:en", "NOT lang:(en OR fr)"]), none);
    assert_eq!(filters(&["followers:[10 TO 20]", "followers:[15 TO 25]"]), none);
    let many: Vec<String> = (0..30).map(|n| format!("account:@a{n}")).collect();
    assert_eq!(filters(&[&many.join(" OR "), "account:@a3x"]), none);
}

#[test]
fn a_rule_that_asks_for_nothing_or_repeats_a_query_is_found() {
    let told = found(
        "[[rule]]\nname = \"one\"\nquery = \"a1b AND (Tele OR radio)\"\ntags = [\"t\"]\n\
         [[rule]]\nname = \"two\"\nquery = \"(RADIO OR tele) a1b\"\ntags = [\"u\"]\n\
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
    assert_eq!(rule("の").len() + rule("는").len() + rule("/の/ OR ん*").len(), 3, "one syllable");
    assert!(rule("水 OR のです OR 환불").is_empty());
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
fn a_calendar_that_no_desk_keeps_is_found() {
    let calendar = |name: &str| {
        format!(
            "[[calendar]]\nname = \"{name}\"\nzone = \"Europe/Berlin\"\nhours = {{ mon = [\"09:00-18:00\"] }}\n"
        )
    };
    let desk = "[[desk]]\nname = \"lab\"\nlog_partition = 1\ncalendar = \"office\"\n";
    let queue = "[[queue]]\nname = \"lab.all\"\ndesk = \"lab\"\n";
    let filter = "[[filter]]\nname = \"all\"\nwhen = \"lang:en\"\nqueue = \"lab.all\"\n";
    let told = found(&format!("{}{}{desk}{queue}{filter}", calendar("office"), calendar("night")));
    assert_eq!(told, ["6: unused-calendar: no desk keeps the calendar `night`"]);
}

#[test]
fn every_lint_has_a_name_of_its_own_and_says_what_it_finds() {
    let mut names: Vec<&str> = LintKind::ALL.map(LintKind::name).to_vec();
    names.dedup();
    assert_eq!(names.len(), LintKind::ALL.len());
    assert!(LintKind::ALL.iter().all(|kind| kind.about().ends_with('.')));
}

#[test]
fn a_file_with_a_finding_for_each_of_20_000_rules_is_told_whole() {
    let rules = (0..20_000)
        .map(|number| format!("[[rule]]\nname = \"r{number}\"\nquery = \"television\"\npriority = 1\n"));
    let told = found(&rules.collect::<String>());
    assert_eq!(told.len(), 19_999);
    assert_eq!(told[0], "7: same-query: the rule `r1` has the query of `r0` (p.toml line 3)");
    assert_eq!(told[19_998], "79999: same-query: the rule `r19999` has the query of `r0` (p.toml line 3)");
}

#[test]
fn a_message_lists_a_few_words_and_says_how_many_more_there_are() {
    let words: Vec<&str> = "you i the to a it we that of is in what".split(' ').collect();
    let told =
        found(&format!("[[rule]]\nname = \"r\"\nquery = \"{}\"\npriority = 1\n", words[2..].join(" AND ")));
    assert!(told[0].ends_with("`the`, `to`, `a`, `it`, `we`, `that`, `of`, `is`, `in`, `what`"), "{told:?}");
    let told = found(&format!("[[rule]]\nname = \"r\"\nquery = \"{}\"\npriority = 1\n", words.join(" AND ")));
    assert!(
        told[0].ends_with("`you`, `i`, `the`, `to`, `a`, `it`, `we`, `that`, `of`, `is`, and 2 more"),
        "{told:?}"
    );
}
