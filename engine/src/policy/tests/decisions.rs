//! What is decided: actions, routes, what rules assert, and how files merge.

use super::*;

const RULES: &str = r#"
[[rule]]
name = "tv"
query = "tv"
tags = ["tv", "hardware"]
category = "technical"
priority = 20

[[rule]]
name = "angry"
query = "worst OR awful"
tags = ["angry", "tv"]
category = "complaint"
priority = 60
resolution = "private"

[[rule]]
name = "giveaway"
query = "giveaway"
action = "noise"

[[rule]]
name = "spam"
query = "casino"
action = "block"

[[rule]]
name = "fire"
query = "fire"
never_drop = true
tags = ["safety"]

[[filter]]
name = "tv-to-tech"
when = "tag:tv AND NOT category:complaint"
queue = "tech.tv"

[[filter]]
name = "big-accounts"
when = "followers>1000 OR verified:true"
queue = "tech.tv"

[accounts]
own = ["x:@BrandCare"]
blocked = ["x:@troll", "x:u666"]
"#;

fn action(policy: &Policy, mention: &Mention<'_>) -> Action {
    policy.action(mention, &matched(policy, mention, &mut Scratch::default()))
}

fn index(policy: &Policy, name: &str) -> RuleIndex {
    let place = policy.rules().iter().position(|rule| rule.name == name).expect("a rule of that name");
    RuleIndex::new(place)
}

fn from<'a>(handle: &'a str, id: &'a str, text: &'a str) -> Mention<'a> {
    Mention { author: Author { id, handle, followers: 0, verified: false }, ..mention(text) }
}

#[test]
fn noise_and_block_act_and_keep_the_rules_name() {
    let policy = policy(RULES);
    assert_eq!(action(&policy, &mention("hello")), Action::Route);
    assert_eq!(action(&policy, &mention("a giveaway")), Action::Noise(index(&policy, "giveaway")));
    assert_eq!(action(&policy, &mention("casino")), Action::Block(Some(index(&policy, "spam"))));
    assert_eq!(action(&policy, &mention("casino giveaway")), Action::Block(Some(index(&policy, "spam"))));
}

#[test]
fn a_mention_that_must_never_be_dropped_outranks_noise_block_and_blocked_authors() {
    let policy = policy(RULES);
    assert_eq!(action(&policy, &mention("casino giveaway on fire")), Action::Route);
    assert_eq!(action(&policy, &from("@troll", "x:u1", "fire")), Action::Route);
}

#[test]
fn the_brands_own_posts_and_blocked_authors_are_blocked_without_a_rule() {
    let policy = policy(RULES);
    for handle in ["@brandcare", "BRANDCARE", "@BrandCare"] {
        assert_eq!(action(&policy, &from(handle, "x:u1", "fire")), Action::Block(None), "{handle}");
    }
    let elsewhere = Mention { network: "bsky", ..from("@brandcare", "bsky:u1", "hello") };
    assert_eq!(action(&policy, &elsewhere), Action::Route);
    assert_eq!(action(&policy, &from("@troll", "x:u1", "tv")), Action::Block(None));
    for id in ["x:u666", "u666"] {
        assert_eq!(action(&policy, &from("", id, "tv")), Action::Block(None), "{id}");
    }
    assert_eq!(action(&policy, &from("", "u6666", "tv")), Action::Route);
}

#[test]
fn the_first_filter_that_holds_decides_else_the_default() {
    let policy = policy(RULES);
    let route = |mention: &Mention<'_>| {
        let route = policy.route(mention, &matched(&policy, mention, &mut Scratch::default()));
        let queue = &policy.queues()[usize::from(route.queue.0)];
        assert_eq!(queue.desk, route.desk);
        let filter = policy.filters().get(usize::from(route.filter)).map_or("", |filter| &filter.name);
        (policy.desks()[usize::from(route.desk.0)].name.as_str(), queue.name.as_str(), filter)
    };
    assert_eq!(route(&mention("my tv")), ("tech", "tech.tv", "tv-to-tech"));
    assert_eq!(route(&mention("awful tv")), ("care", "care.general", ""));
    assert_eq!(route(&mention("hello")), ("care", "care.general", ""));
    let big = Author { followers: 1001, ..mention("").author };
    assert_eq!(route(&Mention { author: big, ..mention("awful tv") }), ("tech", "tech.tv", "big-accounts"));
}

#[test]
fn the_rule_with_the_highest_priority_names_the_category_and_the_strictest_resolution_holds() {
    let policy = policy(RULES);
    let assertion = |text: &str, queue: u16| {
        policy.assertion(&matched(&policy, &mention(text), &mut Scratch::default()), QueueIndex(queue))
    };
    let expected = Assertion { category: Category::Complaint, priority: 60, resolution: Resolution::Private };
    assert_eq!(assertion("awful tv", 0), expected);
    let expected = Assertion { category: Category::Technical, priority: 20, resolution: Resolution::Either };
    assert_eq!(assertion("tv", 0), expected);
    let expected = Assertion { category: Category::General, priority: 30, resolution: Resolution::Private };
    assert_eq!(assertion("hello", 1), expected);
}

#[test]
fn the_tags_of_all_matching_rules_are_listed_once() {
    let policy = policy(RULES);
    let found = matched(&policy, &mention("awful tv on fire"), &mut Scratch::default());
    let mut tags = vec!["before"];
    policy.tags(&found, &mut tags);
    assert_eq!(tags, ["before", "angry", "hardware", "safety", "tv"]);
}

#[test]
fn splitting_and_merging_files_changes_nothing_that_is_decided() {
    let whole = policy(RULES);
    let mut split = bundle(&[]);
    for (number, table) in RULES.split("\n\n").enumerate() {
        // Rules in reverse order of paths, filters and the rest in the order of the file.
        let rank = if table.contains("[[rule]]") { 50 - number } else { 50 + number };
        split.files.insert(format!("part/{rank:02}.toml"), table.to_owned());
    }
    assert!(split.files.len() > 8);
    let split = Policy::compile(&split).expect("the same policy in parts");
    assert_eq!(split.rules(), whole.rules());
    assert_eq!(split.filters(), whole.filters());
    assert_ne!(split.generation(), whole.generation());
    for text in ["awful tv", "casino giveaway", "hello", "fire"] {
        assert_eq!(names(&split, &mention(text)), names(&whole, &mention(text)));
        assert_eq!(action(&split, &mention(text)), action(&whole, &mention(text)));
    }
}

#[test]
fn desks_and_limits_have_documented_defaults() {
    let small = policy("");
    let [care, tech] = small.desks() else { panic!("two desks") };
    assert_eq!((care.log_partition, care.case_lapse_ms, care.mentions_per_case_max), (0, 259_200_000, 1_000));
    assert_eq!((tech.log_partition, tech.case_lapse_ms, tech.mentions_per_case_max), (1, 86_400_000, 50));
    assert_eq!(small.dedup(), DedupLimits { window_ms: 600_000, ids_max: 1_000_000 });
    assert_eq!(small.hash_key()[..3], [0, 1, 2]);
    let other = policy("[dedup]\nwindow = \"1h\"\nids_max = 50_000\n");
    assert_eq!(other.dedup(), DedupLimits { window_ms: 3_600_000, ids_max: 50_000 });
}
