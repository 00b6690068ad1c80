//! Why rules match: what is told agrees with what is decided, and points at the right words.

use super::oracle::{post, query};
use super::*;
use proptest::prelude::*;

/// What is told of the first rule: whether it matches, the terms that decide, and where they stand.
fn told(query: &str, text: &str) -> (bool, Vec<String>) {
    let policy = policy(&format!("[[rule]]\nname = \"r\"\nquery = '''{query}'''\n"));
    let mention = mention(text);
    let matched = matched(&policy, &mention, &mut Scratch::default());
    let why = policy.reading(&mention, &matched).rule(&policy.rules()[0]);
    let deciding = why.term.deciding().into_iter().map(|term| {
        let places: Vec<&str> = term.found.iter().map(|found| &text[found.start..found.end]).collect();
        let note = if term.note.is_empty() { String::new() } else { format!(", {}", term.note) };
        format!("{}: {} {places:?}{note}", why.written(term), term.holds)
    });
    (why.holds, deciding.collect())
}

#[test]
fn of_a_rule_that_matches_the_terms_that_were_found_are_told_with_their_places() {
    let (holds, terms) =
        told("(tv OR telly) AND (broken OR \"no picture\") AND NOT giveaway", "My TV: No  Picture. TV!");
    assert!(holds);
    assert_eq!(
        terms,
        ["tv: true [\"TV\", \"TV\"]", "\"no picture\": true [\"No  Picture\"]", "giveaway: false []"]
    );
}

#[test]
fn of_a_rule_that_does_not_match_what_stands_in_its_way_is_told() {
    let (holds, terms) =
        told("(tv OR telly) AND (broken OR dead) AND NOT giveaway", "TV #GiveawayTime giveaway");
    assert!(!holds);
    assert_eq!(
        terms,
        ["broken: false []", "dead: false []", "giveaway: true [\"giveaway\", \"#GiveawayTime\"]"]
    );
    let (holds, terms) = told("tv AND lang:fr AND followers>1000", "tv");
    assert!(!holds);
    assert_eq!(terms, ["lang:fr: false [], it is `en`", "followers>1000: false [], there are 100"]);
}

#[test]
fn a_near_miss_is_a_rule_of_which_one_part_is_missing_and_another_stands_in_the_text() {
    let near_miss = |query: &str, text: &str| {
        let policy = policy(&format!("[[rule]]\nname = \"r\"\nquery = '''{query}'''\n"));
        policy.reading(&mention(text), &[]).rule(&policy.rules()[0]).is_near_miss()
    };
    assert!(near_miss("tv AND (broken OR dead)", "my tv"));
    assert!(near_miss("tv AND NOT giveaway", "tv giveaway"));
    assert!(!near_miss("tv AND broken AND dead", "my tv"), "two are missing");
    assert!(!near_miss("broken AND lang:en", "my tv"), "nothing of it stands in the text");
    assert!(!near_miss("broken", "my tv") && !near_miss("tv AND my", "my tv"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_told_of_a_rule_agrees_with_what_is_decided(
        queries in proptest::collection::vec((query(), any::<bool>()), 1..12),
        posts in proptest::collection::vec(post(), 1..8),
    ) {
        let mut rules = String::new();
        for (number, (query, exact)) in queries.iter().enumerate() {
            let accents = if *exact { "exact" } else { "ignore" };
            rules.push_str(&format!(
                "[[rule]]\nname = \"r{number:02}\"\naccents = \"{accents}\"\nquery = '''{}'''\n", query.write()
            ));
        }
        let policy = policy(&rules);
        for (words, lang, followers, kind) in &posts {
            let text = words.join(" ");
            let author = Author { followers: *followers, ..mention("").author };
            let mention = Mention { lang, kind: *kind, author, ..mention(&text) };
            let matched = matched(&policy, &mention, &mut Scratch::default());
            let reading = policy.reading(&mention, &matched);
            for (place, rule) in policy.rules().iter().enumerate() {
                let why = reading.rule(rule);
                let decided = matched.iter().any(|index| index.0 as usize == place);
                prop_assert_eq!(why.holds, decided, "{} in {:?}", rule.query, text);
                prop_assert!(!why.term.deciding().is_empty());
                for leaf in why.term.leaves() {
                    let written = why.written(leaf);
                    prop_assert!(!written.is_empty() && !written.contains(['(', ')']), "{:?}", leaf);
                    for found in &leaf.found {
                        let stands = text.get(found.start..found.end);
                        prop_assert!(stands.is_some_and(|words| !words.trim().is_empty()), "{:?} in {:?}", leaf, text);
                    }
                }
            }
        }
    }
}
