//! The page `docs/rules.md`: every example in its tables does what the page says.
//!
//! Owns the reading of the tables. Which tables are examples is told by their first line.

use super::*;
use crate::policy::query::{Dialect, Form, QueryMistake, parse};
use crate::policy::{
    LIST_TERMS_MAX, LISTS_MAX, LISTS_TERMS_MAX, LITERAL_BYTES_MAX, LITERALS_MAX, LintKind, NEAR_SPANS_MAX,
    NEAR_WORDS_MAX, PERSONS_MAX, PREFIX_CHARS_MIN, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX,
    REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_PER_POLICY_MAX, RULES_MAX, SUFFIX_CHARS_MIN,
};

/// The list that the page shows.
const LIST: &str = "[[list]]\nname = \"products\"\n\
    terms = [\"tv\", \"set top box\", \"router*\", \"#outage\", \"@brandcare\", \"📺\"]\n";

const PAGE: &str = include_str!("../../../../docs/rules.md");

/// The rows of every table with this first line, each as its cells.
fn rows(first_line: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if line == first_line {
            lines.next();
            rows.extend(lines.by_ref().take_while(|line| line.starts_with('|')).map(cells));
        }
    }
    assert!(!rows.is_empty(), "the page has a table `{first_line}`");
    rows
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
    row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// The texts between backticks.
fn spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn one(cell: &str) -> &str {
    let [span] = spans(cell)[..] else { panic!("one example in `{cell}`") };
    span
}

/// Whether a query holds for each mention; `keys` are those of its rule.
fn holds(keys: &str, query: &str, mentions: &[Mention<'_>]) -> Vec<bool> {
    let policy = policy(&format!("{LIST}[[rule]]\nname = \"r\"\n{keys}\nquery = '''{query}'''\n"));
    mentions.iter().map(|mention| !names(&policy, mention).is_empty()).collect()
}

#[test]
fn every_key_of_a_rule_does_what_the_page_says() {
    for row in rows("| Key of the rule | Query | Matches | Does not match |") {
        for (cell, expected) in [(&row[2], true), (&row[3], false)] {
            let mentions: Vec<Mention<'_>> = spans(cell).into_iter().map(mention).collect();
            let found = holds(one(&row[0]), one(&row[1]), &mentions);
            assert_eq!(found, vec![expected; mentions.len()], "{row:?}");
        }
    }
}

#[test]
fn every_example_of_a_text_does_what_the_page_says() {
    let rows = rows("| Query | Matches | Does not match |");
    assert!(rows.len() >= 60, "{} examples", rows.len());
    let mut wrong = String::new();
    for row in rows {
        let query = one(&row[0]);
        for (cell, expected) in [(&row[1], true), (&row[2], false)] {
            let mentions: Vec<Mention<'_>> = spans(cell).into_iter().map(mention).collect();
            for (mention, found) in mentions.iter().zip(holds("", query, &mentions)) {
                if found != expected {
                    wrong.push_str(&format!("`{query}` in `{}`: {found}\n", mention.text));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A mention with one field as `name=value` says.
fn with_field(example: &str) -> Mention<'_> {
    let (name, value) = example.split_once('=').expect("an example is name=value");
    let base = mention("");
    let flag = || value.parse::<bool>().expect("true or false");
    match name {
        "lang" => Mention { lang: value, ..base },
        "kind" => Mention { kind: Kind::from_name(value), ..base },
        "network" => Mention { network: value, ..base },
        "account" => Mention { account: value, ..base },
        "author" => Mention { author: Author { handle: value, ..base.author }, ..base },
        "followers" => {
            let followers = value.parse().expect("a number");
            Mention { author: Author { followers, ..base.author }, ..base }
        }
        "visibility" => {
            let visibility = if value == "private" { Visibility::Private } else { Visibility::Public };
            Mention { visibility, ..base }
        }
        "verified" => Mention { author: Author { verified: flag(), ..base.author }, ..base },
        "repost" => Mention { repost_of: flag().then_some("x:7"), ..base },
        "promoted" => Mention { promoted: flag(), ..base },
        other => panic!("no field `{other}`"),
    }
}

#[test]
fn every_example_of_a_field_does_what_the_page_says() {
    for row in rows("| Query | Holds | Does not hold |") {
        let query = one(&row[0]);
        for (cell, expected) in [(&row[1], true), (&row[2], false)] {
            let mentions: Vec<Mention<'_>> = spans(cell).into_iter().map(with_field).collect();
            let found = holds("", query, &mentions);
            assert_eq!(found, vec![expected; mentions.len()], "`{query}` for {cell}");
        }
    }
}

#[test]
fn what_the_page_says_of_other_languages_is_so() {
    let read = |query: &str| parse(query, Dialect::Rule(Form::default()));
    for row in rows("| Elsewhere | Read as |") {
        let [theirs, ours] = [0, 1].map(|at| read(one(&row[at])).expect("both are read").spelled());
        assert_eq!(theirs, ours, "{row:?}");
    }
    let mut wrong = String::new();
    for row in rows("| Elsewhere | Why not | Write instead |") {
        let instead = one(&row[2]);
        assert!(read(instead).is_ok(), "{instead} is read");
        for query in spans(&row[0]) {
            let mistakes = read(query).expect_err("it is refused");
            // What only its writer knows is an example.
            if !row[2].starts_with("such as") && !mistakes.iter().any(|told| says(told, query, instead)) {
                wrong.push_str(&format!("`{query}` is told {mistakes:?}, not `{instead}`\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether a hint names the query to write instead, or what to write in place of the mistake.
fn says(told: &QueryMistake, query: &str, instead: &str) -> bool {
    let rest = &query[told.at..];
    let ends = |character: char| character.is_whitespace() || matches!(character, '(' | ')' | '"');
    let length = if told.length > 0 { told.length } else { rest.find(ends).unwrap_or(rest.len()) };
    let mended = |part: &str| format!("{}{part}{}", &query[..told.at], &rest[length..]);
    let part = told.hint.strip_prefix("write ").and_then(|hint| hint.split("; ").next());
    told.hint.contains(instead) || part.is_some_and(|part| mended(part) == instead)
}

#[test]
fn every_example_of_a_rule_that_builds_on_others_does_what_the_page_says() {
    let rules = PAGE.split("```toml\n").nth(2).and_then(|rest| rest.split("```").next()).expect("rules");
    for row in rows("| Query beside these rules | Matches | Does not match |") {
        let query = one(&row[0]);
        let policy = policy(&format!("{rules}\n[[rule]]\nname = \"asking\"\nquery = '{query}'\n"));
        for (cell, expected) in [(&row[1], true), (&row[2], false)] {
            for text in spans(cell) {
                let found = names(&policy, &mention(text)).contains(&"asking");
                assert_eq!(found, expected, "`{query}` in `{text}`");
            }
        }
    }
}

#[test]
fn the_page_names_every_limit_with_its_value_and_every_lint() {
    let limits = [
        ("QUERY_BYTES_MAX", QUERY_BYTES_MAX),
        ("QUERY_TERMS_MAX", QUERY_TERMS_MAX),
        ("QUERY_DEPTH_MAX", QUERY_DEPTH_MAX),
        ("NEAR_WORDS_MAX", NEAR_WORDS_MAX as usize),
        ("NEAR_SPANS_MAX", NEAR_SPANS_MAX),
        ("PERSONS_MAX", PERSONS_MAX),
        ("PREFIX_CHARS_MIN", PREFIX_CHARS_MIN),
        ("SUFFIX_CHARS_MIN", SUFFIX_CHARS_MIN),
        ("LISTS_MAX", LISTS_MAX),
        ("LIST_TERMS_MAX", LIST_TERMS_MAX),
        ("LISTS_TERMS_MAX", LISTS_TERMS_MAX),
        ("REGEX_BYTES_MAX", REGEX_BYTES_MAX),
        ("REGEX_COMPILED_BYTES_MAX", REGEX_COMPILED_BYTES_MAX),
        ("REGEX_PER_POLICY_MAX", REGEX_PER_POLICY_MAX),
        ("LITERALS_MAX", LITERALS_MAX),
        ("LITERAL_BYTES_MAX", LITERAL_BYTES_MAX),
        ("RULES_MAX", RULES_MAX),
    ];
    let told = rows("| Limit | Value | What it bounds |");
    let told: Vec<(&str, &str)> = told.iter().map(|row| (one(&row[0]), row[1].as_str())).collect();
    for (name, value) in limits {
        assert!(told.contains(&(name, &value.to_string())), "{name} is {value}");
    }
    let lints: Vec<String> =
        LintKind::ALL.iter().map(|lint| format!("| `{}` | {} |", lint.name(), lint.about())).collect();
    for lint in &lints {
        assert!(PAGE.contains(lint), "the page lacks the line\n{}", lints.join("\n"));
    }
}

#[test]
fn the_policies_of_the_page_compile() {
    let policies: Vec<&str> =
        PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let rules: usize = policies.iter().map(|text| policy(text).rules().len()).sum();
    assert_eq!((policies.len(), rules), (2, 4));
    let again = policy(policies[1]);
    assert_eq!(names(&again, &mention("my TV is dead, 3rd time")), ["television", "television-again"]);
    assert_eq!(names(&again, &mention("again!")), [""; 0]);
}
