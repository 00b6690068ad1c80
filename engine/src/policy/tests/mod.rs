//! Tests of the policy as its users see it, with small helpers to write policies and mentions.
//!
//! Owns no behaviour. One file per question: what a query finds, what is decided, which mistakes are told, and
//! whether the compiled form agrees with the naive one.

mod cost;
mod decisions;
mod dialects;
mod lints;
mod mistakes;
mod oracle;
mod page;
mod parser;
mod queries;
mod regexes;
mod rule_tests;
mod scripts;
mod silent;
mod why;

use super::*;
use crate::model::{Author, Kind, Thread, Visibility};
use crate::scan::{Matcher, ReferenceMatcher};
use crate::text::{NormalText, Normaliser};

/// Desks, queues, workflow and fleet of a small care organisation, to which tests add rules.
pub const FRAME: &str = r#"
[[desk]]
name = "care"
log_partition = 0

[[desk]]
name = "tech"
log_partition = 1
case_lapse = "24h"
mentions_per_case_max = 50

[[queue]]
name = "care.general"
desk = "care"

[[queue]]
name = "tech.tv"
desk = "tech"
priority = 30
resolution = "private"

[workflow]
default = "care.general"

[fleet]
hash_key = "000102030405060708090a0b0c0d0e0f"
"#;

/// A bundle of the frame and these files.
pub fn bundle(files: &[(&str, &str)]) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.files.insert("frame.toml".into(), FRAME.into());
    for (path, text) in files {
        bundle.files.insert((*path).into(), (*text).into());
    }
    bundle
}

/// The frame with these rules and filters.
pub fn policy(text: &str) -> Policy {
    Policy::compile(&bundle(&[("rules.toml", text)])).unwrap_or_else(|mistakes| {
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        panic!("mistakes:\n{}", shown.join("\n"))
    })
}

/// A mention of `@brandcare` on `x` with this text.
pub fn mention(text: &str) -> Mention<'_> {
    Mention {
        mention_id: "x:1",
        network: "x",
        account: "@brandcare",
        kind: Kind::Post,
        visibility: Visibility::Public,
        posted_at: None,
        author: Author { id: "x:u42", handle: "@jane", followers: 100, verified: false },
        text,
        lang: "en",
        thread: Thread::default(),
        repost_of: None,
        promoted: false,
    }
}

/// The rules that match, by the whole way: normalise, scan, evaluate.
pub fn matched(policy: &Policy, mention: &Mention<'_>, scratch: &mut Scratch) -> Vec<RuleIndex> {
    let mut text = NormalText::default();
    Normaliser::new().normalise(mention.text, policy.forms(), &mut text);
    let mut hits = Vec::new();
    ReferenceMatcher::new(policy.literals()).scanner().scan(&text, &mut hits);
    let mut matched = Vec::new();
    policy.evaluate(mention, &text, &hits, scratch, &mut matched);
    matched
}

/// The names of the rules that match.
pub fn names<'p>(policy: &'p Policy, mention: &Mention<'_>) -> Vec<&'p str> {
    let matched = matched(policy, mention, &mut Scratch::default());
    matched.iter().map(|rule| policy.rules()[rule.place()].name.as_str()).collect()
}
