//! What people see of a query and a text: golden lines.

use super::*;
use triage_engine::model::{Author, Kind, Mention, Thread, Visibility};
use triage_engine::policy::{Bundle, Policy, RuleIndex};

const FRAME: &str = "[[desk]]\nname = \"care\"\nlog_partition = 0\n[[queue]]\nname = \"care.all\"\ndesk = \"care\"\n\
    [workflow]\ndefault = \"care.all\"\n[fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n";

fn told(query: &str, text: &str, show: impl Fn(&Why, &Line) -> String) -> String {
    let rule = format!("[[rule]]\nname = \"r\"\nquery = '''{query}'''\ntags = [\"t\"]\n");
    let files = [("frame.toml".to_owned(), FRAME.to_owned()), ("rules.toml".to_owned(), rule)].into();
    let policy = Policy::compile(&Bundle { files }).expect("right");
    let mention = Mention {
        mention_id: "x:1",
        network: "x",
        account: "",
        kind: Kind::Post,
        visibility: Visibility::Public,
        posted_at: None,
        author: Author { id: "u", handle: "@u", followers: 5, verified: false },
        text,
        lang: "en",
        thread: Thread::default(),
        repost_of: None,
        promoted: false,
    };
    let matched: Vec<RuleIndex> = Vec::new();
    let why = policy.reading(&mention, &matched).rule(&policy.rules()[0]);
    show(&why, &redacted(text))
}

fn underlined(query: &str, text: &str) -> String {
    told(query, text, |it, line| why(About::Rule, it, line, Colour(false)))
}

#[test]
fn what_stands_in_the_way_is_underlined_in_the_query_and_in_the_text() {
    let shown =
        underlined("(tv OR telly) AND (broken OR dead) AND NOT giveaway", "TV in a GIVEAWAY\tnow, giveaway!");
    let expected = "\
the rule `r` does not match
  query | (tv OR telly) AND (broken OR dead) AND NOT giveaway
        |                    ^^^^^^ is not in the text
        |                              ^^^^ is not in the text
        |                                            ^^^^^^^^ is in the text
  text  | TV in a GIVEAWAY now, giveaway!
        |         ^^^^^^^^      ^^^^^^^^
";
    assert_eq!(shown, expected);
}

#[test]
fn what_was_found_is_underlined_where_a_rule_matches_and_wide_characters_keep_the_columns() {
    let expected = "\
the rule `r` matches
  query | 停电 AND 😡 AND NOT tv
        | ^^^^ is in the text
        |          ^^ is in the text
        |                     ^^ is not in the text
  text  | 今天停电了 cafe\u{301} 😡
        |     ^^^^        ^^
";
    assert_eq!(underlined("停电 AND 😡 AND NOT tv", "今天停电了 cafe\u{301} 😡"), expected);
}

#[test]
fn many_alternatives_of_which_none_is_there_are_one_mark_and_fields_say_what_the_mention_has() {
    let expected = "\
the rule `r` does not match
  query | tv AND (a1 OR a2 OR a3 OR a4) AND (lang:fr OR followers>10)
        |         ^^^^^^^^^^^^^^^^^^^^ none of these 4 is in the text
        |                                    ^^^^^^^ false: it is `en`
        |                                               ^^^^^^^^^^^^ false: there are 5
";
    assert_eq!(underlined("tv AND (a1 OR a2 OR a3 OR a4) AND (lang:fr OR followers>10)", "my tv"), expected);
}

#[test]
fn of_a_long_query_and_a_long_text_what_stands_around_the_marks_is_shown() {
    let alternatives = (0..40).map(|n| format!("word{n:02}")).collect::<Vec<_>>().join(" OR ");
    let text = format!("{} tv {} tv", "filler ".repeat(30), "more ".repeat(40));
    let shown = underlined(&format!("({alternatives}) OR tv OR other"), &text);
    let expected = "\
the rule `r` matches
  query | …ord37 OR word38 OR word39) OR tv OR other
        |                                ^^ is in the text
  text  | … filler filler filler filler  tv more more more more more more more more more more more more more mo…
        |                                ^^
        | …ore more more more more more  tv
        |                                ^^
";
    assert_eq!(shown, expected);
}

#[test]
fn personal_data_is_taken_out_and_marks_inside_it_mark_what_stands_for_it() {
    let shown = underlined("example AND tv", "mail jane@example.org or \u{202e}tv");
    let expected = "\
the rule `r` matches
  query | example AND tv
        | ^^^^^^^ is in the text
        |             ^^ is in the text
  text  | mail [email] or \\u{202e}tv
        |      ^^^^^^^            ^^
";
    assert_eq!(shown, expected);
}

#[test]
fn the_tree_lists_every_term_with_its_places() {
    let shown = told("(tv OR \"no  picture\") AND NOT lang:fr", "TV, tv", tree);
    let expected = "  true   AND
  true     OR
  true       tv   \"TV\", \"tv\"
  false      \"no picture\"
  true     NOT
  false      lang:fr   it is `en`
";
    assert_eq!(shown, expected);
}

#[test]
fn a_pair_that_is_too_far_apart_is_underlined_with_its_distance() {
    let query = "(tv OR telly) NEAR/2 (broken OR dead) AND NOT giveaway";
    let expected = "\
the rule `r` does not match
  query | (tv OR telly) NEAR/2 (broken OR dead) AND NOT giveaway
        | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not near enough: 4 words between them, at most 2
  text  | My TV is, to be honest, dead
        |    ^^                   ^^^^
";
    assert_eq!(underlined(query, "My TV is, to be honest, dead"), expected);
    let expected = "  false  AND
  false    NEAR/2   4 words between them, at most 2
  true       OR
  true         tv   \"TV\"
  false        telly
  true       OR
  false        broken
  true         dead   \"dead\"
  true     NOT
  false      giveaway
";
    assert_eq!(told(query, "My TV is, to be honest, dead", tree), expected);
    let one_side = underlined(query, "My TV");
    assert!(one_side.contains("^^^^^^ is not in the text"), "{one_side}");
}

#[test]
fn colours_change_no_word() {
    let colours = told("tv", "no", |it, line| why(About::Filter, it, line, Colour(true)));
    assert!(colours.contains("\x1b[1;31m^^\x1b[0m"), "{colours:?}");
    let plain = told("tv", "no", |it, line| why(About::Filter, it, line, Colour(false)));
    assert_eq!(colours.replace("\x1b[1;31m", "").replace("\x1b[0m", ""), plain);
}

#[test]
fn each_of_several_distances_inside_each_other_is_shown_with_its_own_operator() {
    let shown = told("(tv NEAR/0 broken) ONEAR/9 again", "again tv broken", tree);
    let expected = "  false  ONEAR/9   they stand in the other order
  true     NEAR/0   \"tv broken\"
  true       tv   \"tv\"
  true       broken   \"broken\"
  true     again   \"again\"
";
    assert_eq!(shown, expected);
    let query = "((a1 NEAR/1 \"NEAR/7\") )\n NEAR/4 ((c1 OR ((d1 ONEAR/2 e1))))";
    let shown = told(query, "a1 near/7 x x x x x x d1 e1", tree);
    let operators: Vec<&str> =
        shown.lines().filter(|line| line.contains("NEAR/") && !line.contains('"')).collect();
    assert_eq!(operators, ["  false  NEAR/4   6 words between them, at most 4"]);
    let lines: Vec<&str> = shown.lines().map(|line| line[7..].trim_start()).collect();
    assert_eq!(lines[1], "NEAR/1   \"a1 near/7\"");
    assert_eq!(lines[4..7], ["OR", "c1", "ONEAR/2   \"d1 e1\""]);
}
