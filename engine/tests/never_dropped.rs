//! What must reach people reaches them, whatever else a policy says: a property over random policies and mentions.
//!
//! Owns its own opinion of which rules match (words of a set, no scanner), so that a fault there cannot hide one
//! here. Each stage that may keep a mention from a queue is one entry of `STAGES`; caps, overflow to an outsourcer
//! and collapse into a storm join that list when they come, and the property stays as it is.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use triage_engine::dedup::ExactWindow;
use triage_engine::explain::explain;
use triage_engine::model::{Author, Disposition, Kind, Mention, MentionKey, Millis, Thread, Visibility};
use triage_engine::policy::{Bundle, Policy};
use triage_engine::triage::{Event, Triage, Verdict};

const FRAME: &str = include_str!("data/frame.toml");
const WORDS: [&str; 6] = ["fire", "giveaway", "lawyer", "bill", "casino", "hello"];
/// Handle and id of everybody who may write; lists name them by either.
const PEOPLE: [(&str, &str); 4] =
    [("@jane", "x:u1"), ("@troll", "x:u2"), ("@brandcare", "x:u3"), ("@bot", "x:u4")];

#[derive(Debug, Clone)]
enum Query {
    Either(usize, usize),
    Both(usize, usize),
    Without(usize, usize),
    Not(usize),
}

impl Query {
    fn write(&self) -> String {
        match *self {
            Query::Either(a, b) => format!("{} OR {}", WORDS[a], WORDS[b]),
            Query::Both(a, b) => format!("{} AND {}", WORDS[a], WORDS[b]),
            Query::Without(a, b) => format!("{} AND NOT {}", WORDS[a], WORDS[b]),
            Query::Not(a) => format!("NOT {}", WORDS[a]),
        }
    }

    fn holds(&self, words: &[usize]) -> bool {
        match self {
            Query::Either(a, b) => words.contains(a) || words.contains(b),
            Query::Both(a, b) => words.contains(a) && words.contains(b),
            Query::Without(a, b) => words.contains(a) && !words.contains(b),
            Query::Not(a) => !words.contains(a),
        }
    }
}

/// What a rule says of dropping, as it stands in the file.
const KEYS: [&str; 8] = [
    "",
    "action = \"noise\"",
    "action = \"block\"",
    "action = \"tag\"",
    "never_drop = true",
    "class = \"safety\"",
    "class = \"legal\"\nnever_drop = true",
    "class = \"press\"\naction = \"tag\"",
];
/// From here on, `KEYS` say that the rule is never dropped.
const NEVER_DROP_FROM: usize = 4;

fn any_query() -> impl Strategy<Value = Query> {
    let word = || 0..WORDS.len();
    prop_oneof![
        (word(), word()).prop_map(|(a, b)| Query::Either(a, b)),
        (word(), word()).prop_map(|(a, b)| Query::Both(a, b)),
        (word(), word()).prop_map(|(a, b)| Query::Without(a, b)),
        word().prop_map(Query::Not),
    ]
}

fn compile(rules: &[(Query, usize)], own: &[String], blocked: &[String]) -> Policy {
    let mut text = FRAME.to_owned();
    for (number, (query, keys)) in rules.iter().enumerate() {
        text += &format!("[[rule]]\nname = \"r{number}\"\nquery = \"{}\"\n{}\n", query.write(), KEYS[*keys]);
    }
    text += &format!("[accounts]\nown = {own:?}\nblocked = {blocked:?}\n");
    let mut bundle = Bundle::default();
    bundle.files.insert("policy.toml".into(), text);
    Policy::compile(&bundle).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// The names of some people as an account list writes them: by handle, or by id.
fn listed(people: &[(usize, bool)]) -> Vec<String> {
    let name = |&(person, by_id): &(usize, bool)| {
        let (handle, id) = PEOPLE[person];
        if by_id { id.to_owned() } else { format!("x:{handle}") }
    };
    people.iter().map(name).collect()
}

fn mention<'a>(person: usize, text: &'a str, reposts: bool) -> Mention<'a> {
    let (handle, id) = PEOPLE[person];
    Mention {
        mention_id: "x:1",
        network: "x",
        account: "@brandcare",
        kind: if reposts { Kind::Repost } else { Kind::Post },
        visibility: Visibility::Public,
        posted_at: None,
        author: Author { id, handle, followers: 0, verified: false },
        text,
        lang: "en",
        thread: Thread::default(),
        repost_of: reposts.then_some("x:0"),
        promoted: false,
    }
}

/// What each stage makes of a mention that is no copy.
type Stage = fn(&Policy, &Mention<'_>) -> String;
const STAGES: [(&str, Stage); 2] = [("rules and lists", by_rules), ("triage", by_triage)];

fn by_rules(policy: &Policy, mention: &Mention<'_>) -> String {
    explain(policy, mention).disposition.to_owned()
}

fn by_triage(policy: &Policy, mention: &Mention<'_>) -> String {
    let verdict = Verdict::Mention { key: MentionKey(1), wish: explain(policy, mention).wish };
    let mut decisions = Vec::new();
    Triage::new(ExactWindow::new(policy.dedup()))
        .step(&[Event::Record { at: Millis(1), verdict }], &mut decisions);
    decisions[0].disposition.name().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_must_never_be_dropped_is_queued_whoever_wrote_it_but_the_brand_itself(
        rules in prop::collection::vec((any_query(), 0..KEYS.len()), 1..8),
        own in prop::collection::vec((0..PEOPLE.len(), any::<bool>()), 0..2),
        blocked in prop::collection::vec((0..PEOPLE.len(), any::<bool>()), 0..4),
        person in 0..PEOPLE.len(),
        words in prop::collection::vec(0..WORDS.len(), 0..5),
        reposts in any::<bool>(),
    ) {
        let policy = compile(&rules, &listed(&own), &listed(&blocked));
        let text = words.iter().map(|&word| WORDS[word]).collect::<Vec<_>>().join(" ");
        let mention = mention(person, &text, reposts);
        let is_own = own.iter().any(|&(listed, _)| listed == person);
        let must_not_be_dropped =
            rules.iter().any(|(query, keys)| *keys >= NEVER_DROP_FROM && query.holds(&words));
        for (stage, run) in STAGES {
            let disposition = run(&policy, &mention);
            if is_own {
                prop_assert_eq!(disposition.as_str(), Disposition::Blocked.name(), "{}: own accounts", stage);
            } else if must_not_be_dropped {
                prop_assert_eq!(disposition.as_str(), Disposition::Queued.name(), "{}: {:?}", stage, text);
            }
        }
    }
}

#[test]
fn a_rule_of_a_class_gives_its_tag_and_is_never_dropped() {
    let text = format!(
        "{FRAME}\n[[rule]]\nname = \"fire\"\nquery = \"fire\"\nclass = \"safety\"\ntags = [\"device\"]\n\
         [[rule]]\nname = \"all\"\nquery = \"NOT zzz\"\naction = \"noise\"\n\
         [[queue]]\nname = \"care.urgent\"\ndesk = \"care\"\n\
         [[filter]]\nname = \"urgent\"\nwhen = \"tag:safety\"\nqueue = \"care.urgent\"\n"
    );
    let mut bundle = Bundle::default();
    bundle.files.insert("policy.toml".into(), text);
    let policy = Policy::compile(&bundle).unwrap();
    let told = explain(&policy, &mention(0, "my router is on fire", false));
    let route = told.route.unwrap();
    assert_eq!((told.disposition, route.queue.as_str()), ("queued", "care.urgent"));
    assert_eq!(route.tags, ["device", "safety"]);
    assert!(told.rules.iter().any(|rule| rule.name == "fire" && rule.never_drop));
    assert_eq!(explain(&policy, &mention(0, "hello", false)).disposition, "noise");
}
