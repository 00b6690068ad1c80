//! Regular expressions that no normal text can match: refused, or told of their parts.

use super::*;
use crate::policy::lint;

/// Keys of the rule, what stands in the query, and either the column and message of the mistake, or what is matched.
const NEVER: &[(&str, &str, &str)] = &[
    // Characters that the normaliser changes or takes away.
    (
        "",
        r"/caf\u{e9}/",
        r#"14: `/caf\u{e9}/` can never match: the text that is searched has `e` in place of `\u{e9}` (write `e`, or give the rule accents = "exact")"#,
    ),
    (
        "",
        r"/\xe9/",
        r#"11: `/\xe9/` can never match: the text that is searched has `e` in place of `\xe9` (write `e`, or give the rule accents = "exact")"#,
    ),
    (
        "",
        r"/don\u{2019}t/",
        r"14: `/don\u{2019}t/` can never match: the text that is searched has `'` in place of `\u{2019}` (write `'`)",
    ),
    (
        "",
        r"/\u{ff21}1/",
        r"11: `/\u{ff21}1/` can never match: the text that is searched has `a` in place of `\u{ff21}` (write `a`)",
    ),
    (
        "",
        r"/re\u{200b}fund/",
        r"13: `/re\u{200b}fund/` can never match: the text that is searched has nothing in place of `\u{200b}` (leave it out)",
    ),
    (
        "",
        r"/stra\u{df}e/",
        r"15: `/stra\u{df}e/` can never match: the text that is searched has `ss` in place of `\u{df}` (write `ss`)",
    ),
    (
        "",
        r"/e\u{301}/",
        r#"12: `/e\u{301}/` can never match: the text that is searched has nothing in place of `\u{301}` (leave it out, or give the rule accents = "exact")"#,
    ),
    (
        "accents = \"exact\"",
        r"/e\u{301}/",
        r"11: `/e\u{301}/` can never match: the text that is searched has `é` in place of `e\u{301}` (write `é`)",
    ),
    (
        "",
        r"/[\u{e8}-\u{ef}]/",
        r#"11: `/[\u{e8}-\u{ef}]/` can never match: the text that is searched has no character of `[\u{e8}-\u{ef}]`, but `e` for `È` (give the rule accents = "exact")"#,
    ),
    // Capitals, where they do not count and the pattern says that they do.
    (
        "",
        r"/(?-i:TV) set/",
        r#"16: `/(?-i:TV) set/` can never match: the text that is searched has `t` in place of `T` (write `t`, or give the rule case = "exact")"#,
    ),
    (
        "",
        r"/(?-i)[A-Z]{2}/",
        r#"16: `/(?-i)[A-Z]{2}/` can never match: the text that is searched has no character of `[A-Z]`, but `a` for `A` (give the rule case = "exact")"#,
    ),
    (
        "",
        r"/(?-i:\p{Lu})/",
        r#"16: `/(?-i:\p{Lu})/` can never match: the text that is searched has no character of `\p{Lu}`, but `a` for `A` (give the rule case = "exact")"#,
    ),
    // Blanks.
    (
        "",
        "/tv  broken/",
        "14: `/tv  broken/` can never match: the text that is searched never has two blanks in a row (write one)",
    ),
    (
        "",
        r"/tv\s{2}broken/",
        r"13: `/tv\s{2}broken/` can never match: the text that is searched never has two blanks in a row (write one)",
    ),
    (
        "",
        r"/tv\nbroken/",
        r"13: `/tv\nbroken/` can never match: the text that is searched has a blank in place of `\n` (write a blank)",
    ),
    (
        "",
        r"/tv\tbroken/",
        r"13: `/tv\tbroken/` can never match: the text that is searched has a blank in place of `\t` (write a blank)",
    ),
    (
        "",
        "/^ tv/",
        "12: `/^ tv/` can never match: the text that is searched does not begin with a blank (leave the blank out)",
    ),
    (
        "",
        "/tv $/",
        "14: `/tv $/` can never match: the text that is searched does not end with a blank (leave the blank out)",
    ),
    // Places.
    (
        "",
        "/tv^broken/",
        "13: `/tv^broken/` can never match: nothing can stand before the beginning of the text (put `^` first, or leave it out)",
    ),
    (
        "",
        "/tv$ broken/",
        "14: `/tv$ broken/` can never match: nothing can stand behind the end of the text (put `$` last, or leave it out)",
    ),
    (
        "",
        r"/tv[^\s\S]/",
        r"13: `/tv[^\s\S]/` can never match: no character is what `[^\s\S]` asks for (leave it out)",
    ),
    // All alternatives: the first is told.
    (
        "",
        r"/(\xe9|\xe8)t\xe9/",
        r#"12: `/(\xe9|\xe8)t\xe9/` can never match: the text that is searched has `e` in place of `\xe9` (write `e`, or give the rule accents = "exact")"#,
    ),
    // A slash that is escaped, and letters that were folded, do not move the place.
    (
        "",
        r"/1\/é ß \xe9/",
        r#"18: `/1\/é ß \xe9/` can never match: the text that is searched has `e` in place of `\xe9` (write `e`, or give the rule accents = "exact")"#,
    ),
];

fn rule(keys: &str, query: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nquery = '{query}'\n{keys}\ntags = [\"t\"]\n")
}

#[test]
fn a_regular_expression_that_can_never_match_is_refused_where_it_cannot() {
    for (keys, query, expected) in NEVER {
        let told = Policy::compile(&bundle(&[("r.toml", &rule(keys, query))])).err().unwrap_or_default();
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        let (column, message) = expected.split_once(": ").expect("a column");
        assert_eq!(told, [format!("r.toml:3:{column}: in `query`: {message}")], "{query}");
    }
}

#[test]
fn a_regular_expression_that_can_match_is_taken_and_does() {
    for (keys, query, text) in [
        ("", r"/caf[éè]/", "CAFÉ"),
        ("", r"/don’t|ﬁne/", "it is fine"),
        ("", r"/[A-Z]{2}\d/", "AB1"),
        ("", r"/\p{Lu}\p{Lu}/", "tv"),
        ("", r"/(?-i)[A-Za-z]+/", "TV"),
        ("", r"/\p{M}/", "नहीं"),
        ("", r"/tv\s+broken/", "tv \n broken"),
        ("", r"/tv\s*broken/", "tv broken"),
        ("", r"/tv[\s,]{2}broken/", "tv, broken"),
        ("", r"/tv\u{20}broken/", "tv broken"),
        ("", "/tv\u{a0}broken/", "tv broken"),
        ("", "/tv[\u{a0},]broken/", "tv broken"),
        ("", r"/(^| )tv( |$)/", "my tv"),
        ("", r"/^\s*tv\s*$/", "tv"),
        ("", r"/(?m)^tv$/", "tv"),
        ("", r"/\u{3c2}/", "ς"),
        ("", r"/(?x) tv  [[:alpha:]]+ # a set/", "tvset"),
        ("", r"/(\xe9){0}tv/", "tv"),
        ("", r"/(?-u:\w)[^x]/", "ab"),
        ("accents = \"exact\"", r"/caf\u{e9}/", "Café"),
        ("accents = \"exact\"", r"/x\u{301}/", "x\u{301}"),
        ("case = \"exact\"", r"/(?-i:TV)/", "TV"),
        ("case = \"exact\"", r"/\p{Lu}/", "TV"),
    ] {
        let policy = policy(&rule(keys, query));
        assert_eq!(names(&policy, &mention(text)), ["r"], "{query}");
    }
}

#[test]
fn a_part_of_a_regular_expression_that_can_never_match_is_found() {
    let found = |query: &str| {
        let bundle = bundle(&[("r.toml", &rule("", query))]);
        Policy::compile(&bundle).expect("it compiles");
        let told = lint(&bundle).into_iter().filter(|lint| lint.mistake.file == "r.toml");
        told.map(|lint| (lint.kind.name(), lint.mistake.column, lint.mistake.length, lint.mistake.what))
            .collect::<Vec<_>>()
    };
    let part = |column, length, query: &str, why: &str| {
        let what = format!("a part of `{query}` can never match: the text that is searched {why}");
        ("impossible-part", column, length, what)
    };
    for (query, column, length, why) in [
        (r"/cafe|caf\xe9/", 19, 4, r"has `e` in place of `\xe9`"),
        (r"/caf\xe9?tv/", 14, 4, r"has `e` in place of `\xe9`"),
        (r"/tv( |\t|\r\n)on/", 16, 2, r"has a blank in place of `\t`"),
        (r"/tv( |  )on/", 17, 1, "never has two blanks in a row"),
        (r"/caf[\xe9\u{df}e]/", 19, 6, r"has `ss` in place of `\u{df}`"),
    ] {
        assert_eq!(found(query).first(), Some(&part(column, length, query, why)), "{query}");
    }
    // Alternatives that what stands before them rules out.
    let begins = "before the beginning of the text";
    for (query, column, length, why) in [
        (r"/tv(^a|b)/", 14, 1, begins),
        (r"/tv(x|(y|^))/", 19, 1, begins),
        (r"/tv (, | on)/", 18, 1, "never has two blanks in a row"),
        (r"/^(\s|x)tv/", 13, 2, "does not begin with a blank"),
        (r"/tv(^x)?on/", 14, 1, begins),
        (r"/tv$(on|$)/", 15, 1, "behind the end of the text"),
    ] {
        let found = found(query);
        let [(kind, at, long, what)] = &found[..] else { panic!("{query}: {found:?}") };
        assert_eq!((*kind, *at, *long), ("impossible-part", column, length), "{query}: {what}");
        assert!(what.contains(why), "{query}: {what}");
    }
    for query in [
        r"/(^| )tv( |$)/",
        r"/tv(a|^b)*/",
        r"/(a|^b)+/",
        r"/tv(\s|$)+/",
        r"/(?:^|\s)(?:x|\d)/",
        r"/(^|x)(^|y)tv/",
    ] {
        assert_eq!(found(query), [], "{query}");
    }
    let both = found(r"radio /cafe|caf\xe9/ OR NOT /tv|T\u{200b}V/");
    assert_eq!(both.iter().map(|found| found.1).collect::<Vec<_>>(), [25, 43], "{both:?}");
    for query in
        [r"/[ \t]tv/", r"/(?-i)[A-Za-z]+/", r"/caf[\xe9e]/", r"/[\u{200b}a]/", r"/tv[^\xe9]/", r"/\s+tv/"]
    {
        assert_eq!(found(query), [], "{query}");
    }
}

#[test]
fn what_the_normaliser_gives_is_what_it_leaves_alone() {
    use crate::policy::query::regex::is_normal;
    use crate::text::{Form, normalise_term};
    // With marks of every kind behind each character, so that letters are composed anew.
    let marks = [
        "", "\u{301}", "\u{307}", "\u{327}", "\u{345}", "\u{3099}", "\u{64b}", "\u{93c}", "\u{5bc}",
        "\u{1161}",
    ];
    for form in Form::ALL {
        for character in (0..=0x10_ffff).filter_map(char::from_u32) {
            for mark in marks.iter().take(if (character as u32) < 0x1_0000 { marks.len() } else { 1 }) {
                for given in normalise_term(&format!("a{character}{mark}"), form).chars() {
                    assert!(is_normal(given, form), "{given:?} of {character:?} and {mark:?}");
                }
            }
        }
    }
}

#[test]
fn a_rule_that_is_nothing_but_a_pattern_is_run_where_its_letters_stand() {
    let patterns = [r"re+fund", r"\d+ (dollars|euros) back", "(?-i:phone)", "🇳", "[Ss]et-?top", "停.了"];
    let rules: String = patterns
        .iter()
        .enumerate()
        .map(|(number, pattern)| {
            format!("[[rule]]\nname = \"r{number}\"\nquery = 'NOT spam AND /{pattern}/'\n")
        })
        .collect();
    let policy = policy(&rules);
    // A flag's half is a single character, as short as a letter.
    assert_eq!(policy.always_run(), 1, "{:?}", policy.literals());
    for (text, expected) in [
        ("prereeefunded", &["r0"][..]),
        ("no refund: 30 Dollars back", &["r0", "r1"]),
        ("my iPhones", &["r2"]),
        ("🇧🇳🇷🇸", &["r3"]),
        ("#SetTop, set-top", &["r4"]),
        ("今天停电了", &["r5"]),
        ("spam refund", &[]),
    ] {
        assert_eq!(names(&policy, &mention(text)), expected, "{text}");
    }
}

#[test]
fn the_letters_of_a_pattern_are_looked_for_only_where_no_word_says_when_to_run_its_rule() {
    let literals = |query: &str| {
        let policy = policy(&rule("", query));
        policy.literals().iter().map(|literal| literal.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(literals(r"tv AND /re+fund/"), ["tv"]);
    assert_eq!(literals(r"tv OR /re+fund/"), ["tv", "fund"]);
    assert_eq!(literals(r"/re+fund/ AND /giveaway/"), ["giveaway"], "the longer is the rarer");
    assert_eq!(literals(r"/the (best|worst)?/"), [""; 0], "most texts have these letters");
    assert_eq!(literals(r"NOT /re+fund/ OR /giveaway/"), [""; 0], "it is run for every mention");
}

#[test]
fn an_end_of_the_text_is_no_end_of_a_hashtag_and_what_is_told_agrees() {
    for (query, text, expected) in [
        ("/^help/", "please #HelpMe", false),
        ("/^help/", "#x help", false),
        ("/again$/", "#DelayedAgain is my life", false),
        ("/again$/", "my life #DelayedAgain", true),
        ("/^delayed again$/", "boo #DelayedAgain boo", false),
        ("/(?m)^delayed again$/", "boo #DelayedAgain boo", false),
        ("/^never|delayed again/", "boo #DelayedAgain boo", true),
        (r"/\bdelayed again\b/", "boo #DelayedAgain boo", true),
    ] {
        let policy = policy(&rule("", query));
        let mention = mention(text);
        assert_eq!(!names(&policy, &mention).is_empty(), expected, "{query} in {text}");
        assert_eq!(
            policy.reading(&mention, &[]).rule(&policy.rules()[0]).holds,
            expected,
            "{query} in {text}"
        );
    }
}

#[test]
fn a_person_without_a_tone_is_found_in_every_tone_by_a_pattern_too() {
    for (query, text, expected) in [
        ("/👩‍💻/", "my 👩🏽‍💻", true),
        ("/👏 yes/", "👏🏿 yes", true),
        ("/(👏 ?)+yes$/", "👏🏽👏🏿 yes", true),
        ("/^👏$/", "👏🏽", true),
        ("/👏🏽 yes/", "👏🏿 yes", false),
        ("/[👏🙏][🏻-🏿]? yes/", "🙏🏿 yes", true),
        ("/[👏🙏] yes/", "🙏🏿 yes", false),
    ] {
        assert_eq!(
            !names(&policy(&rule("", query)), &mention(text)).is_empty(),
            expected,
            "{query} in {text}"
        );
    }
}
