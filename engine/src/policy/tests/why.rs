//! Why rules match: what is told agrees with what is decided, and points at the right words.

use super::*;

/// What is told of the first rule: whether it matches, the terms that decide, and where they stand.
fn told(query: &str, text: &str) -> (bool, Vec<String>) {
    let policy = policy(&format!("[[rule]]\nname = \"r\"\nquery = '''{query}'''\n"));
    let mention = mention(text);
    let matched = matched(&policy, &mention, &mut Scratch::default());
    let why = policy.reading(&mention, &matched).rule(&policy.rules()[0]);
    (why.holds, why.term.deciding().into_iter().map(|term| shown(&why, term, text)).collect())
}

fn shown(why: &Why, term: &Term, text: &str) -> String {
    let places: Vec<&str> = term.found.iter().map(|found| &text[found.start..found.end]).collect();
    let note = if term.note.is_empty() { String::new() } else { format!(", {}", term.note) };
    format!("{}: {} {places:?}{note}", why.written(term), term.holds)
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

/// The same for a rule among others.
fn told_of(rules: &str, name: &str, text: &str) -> (bool, Vec<String>) {
    let policy = policy(rules);
    let mention = mention(text);
    let matched = matched(&policy, &mention, &mut Scratch::default());
    let rule = policy.rules().iter().find(|rule| rule.name == name).expect("it is there");
    let why = policy.reading(&mention, &matched).rule(rule);
    let decided = matched.iter().any(|index| policy.rules()[index.place()].name == name);
    assert_eq!(why.holds, decided, "{why:?}");
    (why.holds, why.term.deciding().into_iter().map(|term| shown(&why, term, text)).collect())
}

#[test]
fn of_a_near_the_pair_is_told_or_how_far_apart_its_sides_are() {
    for (query, text, expected) in [
        ("tv NEAR/1 broken", "my TV is BROKEN", "tv NEAR/1 broken: true [\"TV is BROKEN\"]"),
        (
            "tv NEAR/1 broken",
            "tv is so very broken",
            "tv NEAR/1 broken: false [], 3 words between them, at most 1",
        ),
        (
            "tv ONEAR/2 broken",
            "broken is my tv",
            "tv ONEAR/2 broken: false [], they stand in the other order",
        ),
        ("tv NEAR/2 broken", "broken it", "tv NEAR/2 broken: false []"),
        (
            "tv NEAR/2 (dead OR broken)",
            "tv isn't dead, tv broken",
            "tv NEAR/2 (dead OR broken): true [\"tv isn't dead\", \"dead, tv\", \"tv broken\"]",
        ),
    ] {
        assert_eq!(told(query, text).1, [expected], "{query} in {text}");
    }
}

#[test]
fn patterns_prefixes_tones_and_fields_are_told_with_their_places() {
    for (query, text, expected) in [
        ("/fl[0-9]+/", "my FL123", "/fl[0-9]+/: true [\"FL123\"]"),
        ("refund*", "REFUNDED?", "refund*: true [\"REFUND\"]"),
        ("👍", "so 👍🏽", "👍: true [\"👍\"]"),
        ("has:link", "see https://a.example", "has:link: true []"),
        ("followers:[1000 TO *]", "x", "followers:[1000 TO *]: false [], there are 100"),
    ] {
        assert_eq!(told(query, text).1, [expected], "{query} in {text}");
    }
    assert_eq!(told("lang:(fr OR de)", "x").1.len(), 2, "each value of a set is told");
}

#[test]
fn lists_and_tags_of_other_rules_are_told_by_what_they_stand_for() {
    let rules = "[[list]]\nname = \"products\"\nterms = [\"router\", \"set-top box\"]\n\
        [[rule]]\nname = \"product\"\nquery = \"$products\"\ntags = [\"product\"]\n\
        [[rule]]\nname = \"bad\"\nquery = \"tag:product AND bad\"\n";
    assert_eq!(told_of(rules, "product", "Set-Top Box").1, ["$products: true [\"Set-Top Box\"]"]);
    assert_eq!(told_of(rules, "bad", "router bad").1, ["tag:product: true []", "bad: true [\"bad\"]"]);
    assert_eq!(told_of(rules, "bad", "bad").1, ["tag:product: false []"]);
}

#[test]
fn what_is_told_of_a_near_ends_where_the_evaluation_ends() {
    // 2,000 words have 100,000 pairs, of which the first 65,536 end long before the last word.
    let text = format!("{}end", "again ".repeat(2_000));
    let rule = |query: &str| format!("[[rule]]\nname = \"r\"\nquery = \"{query}\"\n");
    assert!(told_of(&rule("again ONEAR/0 end"), "r", &text).0);
    let (holds, terms) = told_of(&rule("(again ONEAR/50 again) ONEAR/0 end"), "r", &text);
    assert!(!holds, "{terms:?}");
    assert!(terms[0].ends_with("words between them, at most 0"), "{terms:?}");
    assert!(told_of(&rule("(again NEAR/50 again) NEAR/50 end"), "r", &text[10_000..]).0);
}

#[test]
fn a_long_text_of_few_words_is_told_like_any_other() {
    let text = "one two three ".repeat(60_000 / 14);
    let near = "((one NEAR/50 two) NEAR/50 (one NEAR/50 three)) NEAR/50";
    let rules = format!(
        "[[rule]]\nname = \"far\"\nquery = \"{near} four\"\n[[rule]]\nname = \"near\"\nquery = \"{near} two\"\n"
    );
    assert_eq!(told_of(&rules, "far", &text), (false, vec![format!("{near} four: false []")]));
    let (holds, terms) = told_of(&rules, "near", &text);
    assert!(holds);
    assert!(terms[0].starts_with(&format!("{near} two: true [\"one two three")), "{}", &terms[0][..200]);
}

#[test]
fn what_parts_the_words_of_a_phrase_is_told() {
    let there = "its words are there, but";
    for (query, text, expected) in [
        (
            "\"tv broken\"",
            "my tv, broken",
            format!("\"tv broken\": false [], {there} `,` stands between them"),
        ),
        (
            "\"tv broken\"",
            "TV… Broken",
            format!("\"tv broken\": false [], {there} `...` stands between them"),
        ),
        (
            "\"tv broken\"",
            "tv broke, tv #broken",
            format!("\"tv broken\": false [], {there} `#` stands between them"),
        ),
        ("wi-fi", "my wi fi", format!("wi-fi: false [], {there} a blank stands between them")),
        ("wi-fi", "my wi‐fi", format!("wi-fi: false [], {there} `‐` stands between them")),
        ("\"停 电\"", "停电", format!("\"停 电\": false [], {there} nothing stands between them")),
        ("\"tv broken\"", "tv is broken", "\"tv broken\": false []".to_owned()),
        ("\"tv broken\"", "broken, tv", "\"tv broken\": false []".to_owned()),
        ("\"again tv\"", "tv #BrokenAgain", "\"again tv\": false []".to_owned()),
        ("\"tv broken\"", "😡", "\"tv broken\": false []".to_owned()),
        ("tv", "tvs", "tv: false []".to_owned()),
    ] {
        assert_eq!(told(query, text).1, [expected], "{query} in {text}");
    }
}
