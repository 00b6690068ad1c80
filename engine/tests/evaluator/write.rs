//! Naive queries as users write them, and policies around them.
//!
//! Owns the spelling: quotes, parentheses, fields. Every construct of docs/rules.md has a line here.

use super::naive::{Asked, Naive, NaivePolicy, NaiveRule};
use std::fmt::Write as _;
use triage_engine::model::{Kind, Visibility};
use triage_engine::policy::Bundle;
use triage_engine::text::{Accents, Case, Edges};

const FRAME: &str = include_str!("../data/frame.toml");

/// The files of a policy.
pub fn bundle(policy: &NaivePolicy) -> Bundle {
    let mut text = FRAME.to_owned();
    for (number, terms) in policy.lists.iter().enumerate() {
        let escaped = |term: &str| term.replace('\\', "\\\\").replace('*', "\\*");
        let terms: Vec<String> =
            terms.iter().map(|(term, edges)| basic(&starred(&escaped(term), *edges))).collect();
        writeln!(text, "[[list]]\nname = \"list{number}\"\nterms = [{}]", terms.join(", "))
            .expect("a string");
    }
    for (number, rule) in policy.rules.iter().enumerate() {
        write_rule(number, rule, &mut text);
    }
    Bundle { files: [("policy.toml".to_owned(), text)].into() }
}

fn write_rule(number: usize, rule: &NaiveRule, out: &mut String) {
    let mut line = |text: String| writeln!(out, "{text}").expect("a string");
    line(format!("[[rule]]\nname = \"r{number:04}\"\nquery = {}", basic(&query(&rule.query))));
    if rule.form.accents == Accents::Exact {
        line("accents = \"exact\"".into());
    }
    if rule.form.case == Case::Exact {
        line("case = \"exact\"".into());
    }
    let tags: Vec<String> = rule.tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    line(format!("tags = [{}]", tags.join(", ")));
    if let Some(category) = rule.category {
        line(format!("category = \"{}\"", category.name()));
    }
    if let Some(priority) = rule.priority {
        line(format!("priority = {priority}"));
    }
}

/// A query, parentheses everywhere.
pub fn query(naive: &Naive) -> String {
    let joined = |parts: &[Naive], operator: &str| {
        parts.iter().map(|part| format!("({})", query(part))).collect::<Vec<_>>().join(operator)
    };
    match naive {
        Naive::Term(term, edges) => {
            // An operator in quotes is a word.
            let lower = term.to_lowercase();
            let operator = matches!(&*lower, "and" | "or" | "not" | "near" | "onear" | "to");
            let plain = term.chars().all(char::is_alphanumeric) && !operator;
            match plain {
                true => starred(term, *edges),
                false => {
                    let escaped = term.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
                    format!("\"{}\"", starred(&escaped, *edges))
                }
            }
        }
        Naive::List(list) => format!("$list{list}"),
        Naive::Near { left, right, words_max, ordered } => {
            let operator = if *ordered { "ONEAR" } else { "NEAR" };
            format!("({}) {operator}/{words_max} ({})", query(left), query(right))
        }
        Naive::Regex(pattern, ..) => format!("/{}/", pattern.replace('/', "\\/")),
        Naive::Field(asked) => field(asked),
        Naive::Tag(tag) => format!("tag:{tag}"),
        Naive::Category(category) => format!("category:{}", category.name()),
        Naive::Not(part) => format!("NOT ({})", query(part)),
        Naive::And(parts) => joined(parts, " AND "),
        Naive::Or(parts) => joined(parts, " OR "),
    }
}

fn field(asked: &Asked) -> String {
    let set = |name: &str, values: &[&str]| match values {
        [one] => format!("{name}:{one}"),
        _ => format!("{name}:({})", values.join(" OR ")),
    };
    match asked {
        Asked::Lang(values) => set("lang", values),
        Asked::Kind(values) => set("kind", &values.iter().map(|kind: &Kind| kind.name()).collect::<Vec<_>>()),
        Asked::Network(values) => set("network", values),
        Asked::Account(values) => set("account", values),
        Asked::Author(values) => set("author", values),
        Asked::Followers(Some(from), None) => format!("followers>={from}"),
        Asked::Followers(None, Some(to)) => format!("followers<={to}"),
        Asked::Followers(from, to) => {
            let end = |value: &Option<u64>| value.map_or("*".to_owned(), |value| value.to_string());
            format!("followers:[{} TO {}]", end(from), end(to))
        }
        Asked::Visibility(values) => {
            set("visibility", &values.iter().map(|value: &Visibility| value.name()).collect::<Vec<_>>())
        }
        Asked::Verified(value) => format!("verified:{value}"),
        Asked::Repost(value) => format!("repost:{value}"),
        Asked::Promoted(value) => format!("promoted:{value}"),
        Asked::Has(feature) => format!("has:{}", feature.name()),
    }
}

fn starred(term: &str, edges: Edges) -> String {
    match edges {
        Edges::Whole => term.to_owned(),
        Edges::Prefix => format!("{term}*"),
        Edges::Suffix => format!("*{term}"),
        Edges::Anywhere => unreachable!("no term is written so"),
    }
}

/// A basic string of TOML.
fn basic(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' ' => out.push(' '),
            _ if !character.is_control() && !character.is_whitespace() => out.push(character),
            _ => write!(out, "\\U{:08X}", u32::from(character)).expect("a string"),
        }
    }
    out.push('"');
    out
}
