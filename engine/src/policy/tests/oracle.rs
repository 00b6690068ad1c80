//! The compiled form against a naive one that walks a tree and searches the text for each literal anew.
//!
//! The naive evaluator shares with production only the normaliser and the boundary rule, which have an oracle
//! of their own; it knows nothing of triggers, programs, jumps or bits.

use super::*;
use crate::text::{Accents, Edges, Forms, bounded, normalise_term};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Naive {
    Text(&'static str),
    Lang(&'static str),
    Above(u64),
    Kind(Kind),
    Not(Box<Naive>),
    And(Vec<Naive>),
    Or(Vec<Naive>),
}

const TERMS: [&str; 11] =
    ["tv", "tv broken", "broken", "@united", "#tv", "café", "😡", "停电", "no picture", "v", "picture tv"];
const WORDS: [&str; 15] = [
    "TV",
    "tv",
    "broken",
    "unbroken",
    "@united",
    "united",
    "#TV",
    "CAFE",
    "café",
    "😡",
    "今天停电了",
    "no",
    "picture",
    "v",
    "!",
];

impl Naive {
    /// As a user would write it, parentheses everywhere.
    fn write(&self) -> String {
        let joined = |parts: &[Naive], operator: &str| {
            parts.iter().map(|part| format!("({})", part.write())).collect::<Vec<_>>().join(operator)
        };
        match self {
            Naive::Text(term) if term.contains(' ') => format!("\"{term}\""),
            Naive::Text(term) => (*term).to_owned(),
            Naive::Lang(lang) => format!("lang:{lang}"),
            Naive::Above(limit) => format!("followers>{limit}"),
            Naive::Kind(kind) => format!("kind:{}", kind.name()),
            Naive::Not(part) => format!("NOT ({})", part.write()),
            Naive::And(parts) => joined(parts, " AND "),
            Naive::Or(parts) => joined(parts, " OR "),
        }
    }

    fn holds(&self, mention: &Mention<'_>, accents: Accents, text: &str) -> bool {
        match self {
            Naive::Text(term) => {
                let term = normalise_term(term, accents);
                let starts = text.char_indices().map(|(start, _)| start);
                starts
                    .filter(|&start| text[start..].starts_with(&term))
                    .any(|s| bounded(text, s, s + term.len(), Edges::Whole))
            }
            Naive::Lang(lang) => mention.lang == *lang,
            Naive::Above(limit) => mention.author.followers > *limit,
            Naive::Kind(kind) => mention.kind == *kind,
            Naive::Not(part) => !part.holds(mention, accents, text),
            Naive::And(parts) => parts.iter().all(|part| part.holds(mention, accents, text)),
            Naive::Or(parts) => parts.iter().any(|part| part.holds(mention, accents, text)),
        }
    }
}

fn query() -> impl Strategy<Value = Naive> {
    let leaf = prop_oneof![
        6 => proptest::sample::select(&TERMS[..]).prop_map(Naive::Text),
        1 => proptest::sample::select(&["en", "de"][..]).prop_map(Naive::Lang),
        1 => (0u64..4).prop_map(Naive::Above),
        1 => proptest::sample::select(&[Kind::Post, Kind::Reply][..]).prop_map(Naive::Kind),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Naive::Not(Box::new(part))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Naive::And),
            proptest::collection::vec(inner, 2..4).prop_map(Naive::Or),
        ]
    })
}

type Post = (Vec<&'static str>, &'static str, u64, Kind);

fn post() -> impl Strategy<Value = Post> {
    (
        proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..7),
        proptest::sample::select(&["en", "de", ""][..]),
        0u64..5,
        proptest::sample::select(&[Kind::Post, Kind::Reply][..]),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_compiled_policy_and_the_naive_reader_agree(
        queries in proptest::collection::vec((query(), any::<bool>()), 1..12),
        posts in proptest::collection::vec(post(), 1..12),
    ) {
        let mut rules = String::new();
        for (number, (query, exact)) in queries.iter().enumerate() {
            let accents = if *exact { "exact" } else { "ignore" };
            rules.push_str(&format!(
                "[[rule]]\nname = \"r{number:02}\"\naccents = \"{accents}\"\nquery = '''{}'''\n", query.write()
            ));
        }
        let policy = policy(&rules);
        let mut scratch = Scratch::default();
        for (words, lang, followers, kind) in &posts {
            let text = words.join(" ");
            let author = Author { followers: *followers, ..mention("").author };
            let mention = Mention { lang, kind: *kind, author, ..mention(&text) };
            let mut normal = NormalText::default();
            Normaliser::new().normalise(&text, Forms::ALL, &mut normal);
            let mut expected = Vec::new();
            for (number, (query, exact)) in queries.iter().enumerate() {
                let accents =
                    if *exact { Accents::Exact } else { Accents::Ignore };
                let text = normal.form(accents.into());
                if query.holds(&mention, accents, text) {
                    expected.push(RuleIndex::new(number));
                }
            }
            prop_assert_eq!(matched(&policy, &mention, &mut scratch), expected, "{:?} in\n{}", text, rules);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_every_mistake_has_a_place_inside(text in "[ -~“é😡]{0,40}") {
        let file = format!("[[rule]]\nname = \"r\"\nquery = {:?}\n", toml_basic(&text));
        let file = file.replace("\\\\", "\\");
        if let Err(mistakes) = Policy::compile(&bundle(&[("rules.toml", &file)])) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                prop_assert_eq!((mistake.file.as_str(), mistake.line), ("rules.toml", 3));
            }
        }
    }
}

/// Letters, digits and blanks as they are, all else as `\uXXXX` or `\UXXXXXXXX`.
fn toml_basic(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == ' ' { c.to_string() } else { format!("\\U{:08X}", c as u32) }
        })
        .collect()
}
