//! What a query finds: one table of queries and texts.

use super::*;

/// Query, text, whether it matches.
const TABLE: &[(&str, &str, bool)] = &[
    // Words and phrases.
    ("tv", "my TV is broken", true),
    ("tv", "my tvs are broken", false),
    ("broken", "it is unbroken", false),
    ("refund", "REFUND!!! now", true),
    (r#""tv broken""#, "TV   broken again", true),
    (r#""tv   broken""#, "tv broken again", true),
    (r#""tv broken""#, "tv is broken", false),
    (r#""tv broken""#, "tv broken-down", true),
    (r#""and""#, "this and that", true),
    // Operators: NOT before AND before OR, side by side means AND.
    ("tv broken", "broken is my tv", true),
    ("tv broken", "my tv", false),
    ("tv AND broken", "broken is my tv", true),
    ("tv OR radio", "the radio", true),
    ("tv OR radio", "the phone", false),
    ("tv AND NOT giveaway", "my tv", true),
    ("tv AND NOT giveaway", "tv giveaway", false),
    ("tv NOT giveaway", "tv giveaway", false),
    ("tv OR radio AND broken", "tv", true),
    ("tv OR radio AND broken", "radio", false),
    ("(tv OR radio) AND broken", "tv", false),
    ("(tv OR radio) broken", "broken radio", true),
    ("NOT tv OR radio", "radio tv", true),
    ("NOT (tv OR radio)", "radio", false),
    ("NOT NOT tv", "tv", true),
    ("NOT NOT tv", "radio", false),
    // Pure negation is true of everything else, an empty text too.
    ("NOT tv", "the radio", true),
    ("NOT tv", "", true),
    ("NOT tv", "tv", false),
    ("NOT (tv AND radio)", "tv", true),
    ("NOT (tv AND radio)", "tv radio", false),
    // Handles, tags, emoji, digits, punctuation, other scripts.
    ("@united", "hey @united!", true),
    ("@united", "united we stand", false),
    ("united", "hey @united!", true),
    ("#delayed", "so #Delayed again", true),
    ("😡", "so angry 😡😡", true),
    ("5g", "no 5G here", true),
    ("don't", "I don’t know", true),
    (r#"":(""#, "no picture :(", true),
    // What looks like a quote, an operator or punctuation and is none.
    ("'90s", "the '90s", true),
    ("'til", "open ’til nine", true),
    ("players'", "the players' fault", true),
    ("LINEAR OR BRAND OR FLOOR", "a brand", true),
    ("@portlandOR", "hey @PortlandOR", true),
    ("#portlandOR OR ANDROID", "#PORTLANDor", true),
    ("iOR2", "ior2", true),
    ("‼", "now ‼", true),
    ("€", "5 €", true),
    (r#""…""#, "well...", true),
    (r#""'n'""#, "rock 'n' roll", true),
    (r#""50\\% off""#, r"50\% OFF", true),
    ("停电", "今天停电了", true),
    ("café", "CAFE", true),
    ("cafe", "Café", true),
    // Fields.
    ("lang:en", "", true),
    ("lang:EN-gb", "", false),
    ("lang:de", "", false),
    ("NOT lang:de", "", true),
    ("kind:post", "", true),
    ("kind:reply", "", false),
    ("network:x", "", true),
    ("network:bsky", "", false),
    ("account:@BrandCare", "", true),
    ("account:@brand", "", false),
    ("followers>99", "", true),
    ("followers>100", "", false),
    ("followers>=100", "", true),
    ("followers<101 followers<=100 followers=100", "", true),
    ("verified:false", "", true),
    ("verified:true", "", false),
    ("repost:true", "", false),
    ("lang:(en OR es)", "", true),
    ("lang:(de OR es)", "", false),
    ("NOT lang:(de OR es)", "", true),
    ("lang:\"en\"", "", true),
    ("kind:(reply OR post)", "", true),
    ("network:(bsky OR x)", "", true),
    ("network:(bsky OR mastodon)", "", false),
    ("followers:[100 TO *]", "", true),
    ("followers:{100 TO *}", "", false),
    ("followers:[50 TO 100]", "", true),
    ("followers:[50 TO 100}", "", false),
    ("followers:{99 TO 101}", "", true),
    ("followers:[* TO 99]", "", false),
    ("followers:>99", "", true),
    ("followers_count:100..200", "", true),
    ("min_followers:101", "", false),
    ("author:@Jane", "", true),
    ("from:jane", "", true),
    ("author:(@john OR @janet)", "", false),
    ("visibility:public", "", true),
    ("visibility:private", "", false),
    ("promoted:false", "", true),
    ("promoted:true", "", false),
    ("is:retweet OR is:reply OR is:quote OR is:verified", "", false),
    ("has:link", "see https://t.co/x", true),
    ("has:links", "no link", false),
    ("has:mention", "hey @united", true),
    ("has:hashtags", "we are #1", false),
    ("has:emoji", "so 😡", true),
    ("has:pii", "mail jane@example.com", true),
    ("has:pii", "mail me", false),
    // Other languages' operators.
    ("tv -giveaway", "my tv", true),
    ("tv -giveaway", "tv giveaway", false),
    ("tv -(giveaway OR contest)", "tv contest", false),
    ("tv -\"free gift\"", "tv with free gift", false),
    ("+tv +broken", "broken tv", true),
    ("+tv +broken -radio", "tv", false),
    ("tv && !giveaway", "tv giveaway", false),
    ("tv || radio", "the radio", true),
    // Quoted operators and escapes.
    ("\"AND\"", "this and that", true),
    ("\"NEAR/3\"", "NEAR/3", true),
    ("\"say \\\"hi\\\"\"", "they say \"hi\" to me", true),
    ("\"f\\*ck\"", "what the f*ck", true),
    ("\"f\\*ck\"", "what the fuck", false),
    // Wildcards.
    ("refund*", "it was refunded", true),
    ("refund*", "a refund", true),
    ("refund*", "prerefunded", false),
    ("*phone", "my iPhone", true),
    ("*phone", "phones", false),
    ("\"broken scr*\"", "a broken screen", true),
    ("\"broken scr*\"", "a broken old screen", false),
    ("@americ*", "hey @AmericanAir", true),
    ("#delay*", "so #delayedagain", true),
    ("停*", "今天停电了", true),
    ("tv AND lang:en", "tv", true),
    ("tv AND lang:de", "tv", false),
    ("lang:de OR tv", "tv", true),
];

#[test]
fn a_query_finds_what_its_reader_expects() {
    // All queries stand in one policy, so that they share literals and scratch as in production.
    let mut rules = String::new();
    for (number, (query, _, _)) in TABLE.iter().enumerate() {
        rules.push_str(&format!("[[rule]]\nname = \"q{number:03}\"\nquery = '''{query}'''\n"));
    }
    let policy = policy(&rules);
    assert_eq!(policy.rules().len(), TABLE.len());
    let mut scratch = Scratch::default();
    for (number, (query, text, expected)) in TABLE.iter().enumerate() {
        let found = matched(&policy, &mention(text), &mut scratch);
        let index = RuleIndex::new(number);
        assert_eq!(found.contains(&index), *expected, "`{query}` in `{text}`");
    }
}

#[test]
fn exact_accents_are_asked_for_rule_by_rule() {
    let policy = policy(
        "[[rule]]\nname = \"exact\"\nquery = \"résumé\"\naccents = \"exact\"\n\
         [[rule]]\nname = \"ignore\"\nquery = \"résumé\"\n",
    );
    assert!(policy.forms().has(crate::text::Accents::Exact.into()));
    assert_eq!(policy.literals().len(), 2);
    assert_eq!(names(&policy, &mention("my RÉSUMÉ")), ["exact", "ignore"]);
    assert_eq!(names(&policy, &mention("I resume")), ["ignore"]);
}

#[test]
fn a_language_holds_for_its_varieties_and_not_for_its_neighbours() {
    let policy = policy("[[rule]]\nname = \"english\"\nquery = \"lang:en\"\n");
    for (lang, expected) in [
        ("en", true),
        ("EN", true),
        ("en-GB", true),
        ("en_US", true),
        ("eng", false),
        ("e", false),
        ("", false),
    ] {
        assert_eq!(names(&policy, &Mention { lang, ..mention("") }).len() == 1, expected, "`{lang}`");
    }
}

#[test]
fn literals_are_shared_and_rules_run_only_when_one_of_theirs_was_seen() {
    let policy = policy(
        "[[rule]]\nname = \"a\"\nquery = 'tv broken'\n[[rule]]\nname = \"b\"\nquery = 'TV AND NOT giveaway'\n\
         [[rule]]\nname = \"c\"\nquery = 'NOT tv'\n[[rule]]\nname = \"d\"\nquery = 'lang:de OR tv'\n\
         [[rule]]\nname = \"e\"\nquery = 'lang:de tv'\n[[rule]]\nname = \"f\"\nquery = 'NOT (NOT tv OR lang:de)'\n",
    );
    let texts: Vec<&str> = policy.literals().iter().map(|literal| literal.text.as_str()).collect();
    assert_eq!(texts, ["tv", "broken", "giveaway"]);
    assert_eq!(policy.always_run(), 2, "only c and d can be true with no literal seen");
}

#[test]
fn a_scratch_serves_one_policy_after_another() {
    let (small, large) = (
        policy("[[rule]]\nname = \"a\"\nquery = 'one'\n"),
        policy(
            &(0..200)
                .map(|n| format!("[[rule]]\nname = \"r{n}\"\nquery = 'w{n} OR one'\n"))
                .collect::<String>(),
        ),
    );
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        assert_eq!(matched(&large, &mention("one w7"), &mut scratch).len(), 200);
        assert_eq!(matched(&small, &mention("one"), &mut scratch).len(), 1);
        assert_eq!(matched(&large, &mention("w7 w7"), &mut scratch).len(), 1);
        assert_eq!(matched(&small, &mention("two"), &mut scratch).len(), 0);
    }
}

#[test]
fn lists_are_terms_that_many_rules_share() {
    let policy = policy(
        "[[list]]\nname = \"products\"\nterms = [\"tv\", \"set top box\", \"router*\", \"#outage\", \"@desk\", \"📺\", \"Café\"]\n\
         [[rule]]\nname = \"a\"\nquery = '$products AND broken'\n\
         [[rule]]\nname = \"b\"\nquery = 'NOT $products'\n\
         [[rule]]\nname = \"c\"\nquery = '$products'\naccents = \"exact\"\n",
    );
    for (text, expected) in [
        ("my TV", &["c"][..]),
        ("broken set-top box", &["b"]),
        ("broken set top box", &["a", "c"]),
        ("both routers broken", &["a", "c"]),
        ("#Outage", &["c"]),
        ("hey @desk 📺", &["c"]),
        ("cafe broken", &["a"]),
        ("café broken", &["a", "c"]),
        ("radio", &["b"]),
    ] {
        assert_eq!(names(&policy, &mention(text)), expected, "{text}");
    }
    let tvs = policy.literals().iter().filter(|literal| literal.text == "tv").count();
    assert_eq!(tvs, 2, "one for each form, however many rules name the list");
}

#[test]
fn a_rule_may_ask_what_other_rules_assert() {
    // By name the rules stand in another order than they have to be asked in.
    let policy = policy(
        "[[rule]]\nname = \"a\"\nquery = 'tag:broken-tv AND again'\ntags = [\"repeat\"]\n\
         [[rule]]\nname = \"b\"\nquery = 'tag:tv AND broken'\ntags = [\"broken-tv\"]\n\
         [[rule]]\nname = \"c\"\nquery = 'tv OR television'\ntags = [\"tv\"]\ncategory = \"technical\"\n\
         [[rule]]\nname = \"d\"\nquery = 'NOT tag:(tv OR repeat) AND broken'\n\
         [[rule]]\nname = \"e\"\nquery = 'category:technical'\n\
         [[rule]]\nname = \"f\"\nquery = 'category:general AND broken'\n\
         [[rule]]\nname = \"g\"\nquery = 'awful'\ncategory = \"complaint\"\npriority = 50\n",
    );
    for (text, expected) in [
        ("my television", &["c", "e"][..]),
        ("broken tv again", &["a", "b", "c", "e"]),
        ("broken again", &["d", "f"]),
        ("awful tv", &["c", "g"]),
        ("hello", &[]),
    ] {
        assert_eq!(names(&policy, &mention(text)), expected, "{text}");
    }
}

#[test]
fn capitals_are_asked_for_rule_by_rule() {
    let policy = policy(
        "[[rule]]\nname = \"exact\"\nquery = 'US OR \"Set Top\"'\ncase = \"exact\"\n\
         [[rule]]\nname = \"ignore\"\nquery = 'US'\n",
    );
    assert_eq!(names(&policy, &mention("in the US")), ["exact", "ignore"]);
    assert_eq!(names(&policy, &mention("call us")), ["ignore"]);
    assert_eq!(names(&policy, &mention("my Set Top")), ["exact"]);
}

#[test]
fn regular_expressions_run_over_the_form_that_their_rule_asks_for() {
    let policy = policy(
        "[[rule]]\nname = \"ignore\"\nquery = '/caf[éè] [A-Z]{2}/'\n\
         [[rule]]\nname = \"capitals\"\nquery = '/caf. [A-Z]{2}/'\ncase = \"exact\"\n\
         [[rule]]\nname = \"accents\"\nquery = '/caf[à-ü] ny/'\naccents = \"exact\"\n",
    );
    for (text, expected) in [
        ("Café NY", &["accents", "ignore"][..]),
        ("café NY", &["accents", "capitals", "ignore"]),
        ("cafe ny", &["ignore"]),
        ("cafe  NY", &["capitals", "ignore"]),
        ("caf NY", &[]),
    ] {
        assert_eq!(names(&policy, &mention(text)), expected, "{text}");
    }
}

#[test]
fn a_pattern_and_a_distance_stay_in_the_text_and_out_of_its_hashtags() {
    let policy = policy(
        "[[rule]]\nname = \"near\"\nquery = 'broken NEAR/1 delayed'\n\
         [[rule]]\nname = \"regex\"\nquery = '/broken\\W+delayed/'\n\
         [[rule]]\nname = \"inside\"\nquery = '/\\bdelayed again\\b/'\n",
    );
    assert_eq!(names(&policy, &mention("#DelayedAgain it is broken")), ["inside"]);
    assert_eq!(names(&policy, &mention("broken, delayed")), ["near", "regex"]);
}
