//! Every construct that looks at the text, in every script that people write to brands in.

use super::*;

/// Script; a word, the same word grown at its end, a word that ends like it, another word, a text with one word between
/// the two, and a pattern that matches the word.
const SCRIPTS: [(&str, &str, &str, &str, &str, &str, &str); 11] = [
    ("Latin", "refund", "refunded", "nonrefund", "now", "REFUND me now!", "ref[a-z]nd"),
    ("Latin with accents", "réclame", "réclamer", "préréclame", "été", "RÉCLAME cet ÉTÉ", "r.clame"),
    ("Cyrillic", "возврат", "возврата", "невозврат", "денег", "ВОЗВРАТ моих ДЕНЕГ", "возвр.т"),
    ("Greek", "επιστροφή", "επιστροφής", "μηεπιστροφή", "χρημάτων", "ΕΠΙΣΤΡΟΦΉ των ΧΡΗΜΆΤΩΝ", "επιστρο.ή?"),
    ("Arabic", "استرداد", "استردادها", "باسترداد", "المال", "استرداد هذا المال", "استر.اد"),
    ("Hebrew", "החזר", "החזרים", "שהחזר", "כסף", "החזר של כסף", "ה.זר"),
    ("Devanagari", "वापसी", "वापसीका", "धनवापसी", "पैसे", "वापसी मेरे पैसे", "वाप.+"),
    ("Thai", "คืน", "คืนเงิน", "ขอคืน", "เงิน", "คืน1เงิน", "คื."),
    ("Japanese", "払い", "払い戻し", "支払い", "今", "払いを今", "払."),
    ("Chinese", "退款", "退款了", "要退款", "钱", "退款的钱", "退."),
    ("Korean", "환불", "환불을", "전액환불", "돈", "환불내돈", "환."),
];

/// Whether blanks stand between the words of a script.
fn is_spaced(script: &str) -> bool {
    !matches!(script, "Thai" | "Japanese" | "Chinese" | "Korean")
}

fn holds(query: &str, text: &str, keys: &str) -> bool {
    let lists = "[[list]]\nname = \"none\"\nterms = [\"nothing\"]\n";
    let policy = policy(&format!("{lists}[[rule]]\nname = \"r\"\nquery = '''{query}'''\n{keys}"));
    !names(&policy, &mention(text)).is_empty()
}

#[test]
fn words_phrases_and_wildcards_mean_the_same_in_every_script() {
    for (script, word, grown, ending, other, text, _) in SCRIPTS {
        let spaced = is_spaced(script);
        let check = |query: &str, text: &str, expected: bool| {
            assert_eq!(holds(query, text, ""), expected, "{script}: `{query}` in `{text}`");
        };
        check(word, word, true);
        check(word, text, true);
        check(word, &format!("({word})!"), true);
        check(word, &format!("#{word} @{word}"), true);
        check(&format!("#{word}"), &format!("so #{word}"), true);
        check(&format!("#{word}"), word, false);
        check(&format!("@{word}"), &format!("@{word}"), true);
        check(word, grown, !spaced);
        check(word, ending, !spaced);
        check(&format!("{word}*"), grown, true);
        check(&format!("{word}*"), ending, !spaced);
        check(&format!("*{word}"), ending, true);
        check(&format!("*{word}"), grown, !spaced);
        check(&format!("\"{word} {other}\""), &format!("{word}\u{3000}\n{other}"), true);
        check(&format!("\"{word} {other}\""), &format!("{other} {word}"), false);
        check(&format!("{word} AND NOT {other}"), text, false);
        check(&format!("{word} OR nothing"), text, true);
    }
}

#[test]
fn near_counts_words_in_every_script() {
    for (script, word, _, _, other, text, _) in SCRIPTS {
        let check = |query: String, expected: bool| {
            assert_eq!(holds(&query, text, ""), expected, "{script}: `{query}` in `{text}`");
        };
        check(format!("{word} NEAR/1 {other}"), true);
        check(format!("{word} NEAR/0 {other}"), false);
        check(format!("{other} NEAR/1 {word}"), true);
        check(format!("{word} ONEAR/1 {other}"), true);
        check(format!("{other} ONEAR/1 {word}"), false);
        check(format!("(nothing OR {word}) NEAR/1 ({other} OR nothing)"), true);
        check(format!("{word} NEAR/1 {word}"), false);
    }
}

#[test]
fn patterns_and_lists_work_in_every_script() {
    for (script, word, _, _, other, text, pattern) in SCRIPTS {
        assert!(holds(&format!("/{pattern}/"), text, ""), "{script}: /{pattern}/ in `{text}`");
        assert!(!holds(&format!("/{pattern}/"), other, ""), "{script}: /{pattern}/ in `{other}`");
        let list = format!(
            "[[list]]\nname = \"words\"\nterms = [\"{word}\", \"nothing at all\"]\n\
             [[rule]]\nname = \"r\"\nquery = '$words AND {other}'\n[[rule]]\nname = \"s\"\nquery = '$words NEAR/1 {other}'\n"
        );
        let policy = policy(&list);
        assert_eq!(names(&policy, &mention(text)), ["r", "s"], "{script}");
        assert_eq!(names(&policy, &mention(other)), [""; 0], "{script}");
    }
}

#[test]
fn capitals_and_accents_count_where_a_rule_says_so() {
    for (script, word, _, _, _, text, _) in &SCRIPTS[..4] {
        assert!(!holds(word, text, "case = \"exact\"\n"), "{script}");
        assert!(holds(word, word, "case = \"exact\"\n"), "{script}");
        assert!(holds(word, text, "accents = \"exact\"\n"), "{script}");
    }
    assert!(
        !holds("cafe", "café", "accents = \"exact\"\n") && holds("café", "CAFÉ", "accents = \"exact\"\n")
    );
    let both = "accents = \"exact\"\ncase = \"exact\"\n";
    assert!(
        holds("Café", "le Café", both) && !holds("Café", "le café", both) && !holds("Café", "le Cafe", both)
    );
    // Scripts without case, and marks that are letters to their readers.
    for (_, word, ..) in &SCRIPTS[4..] {
        assert!(holds(word, word, both), "{word}");
    }
    assert!(holds("مال", "مَال", "") && !holds("مال", "مَال", both), "vowel points are accents");
    assert!(!holds("はは", "ばば", ""), "a voicing mark is none");
}

#[test]
fn an_emoji_without_a_tone_finds_every_tone_and_one_with_a_tone_that_one() {
    for (query, text, expected) in [
        ("👍", "ok 👍🏽", true),
        ("👍", "ok 👍", true),
        ("👍🏽", "ok 👍🏽", true),
        ("👍🏽", "ok 👍🏿", false),
        ("👍🏽", "ok 👍", false),
        ("👩\u{200d}💻", "a 👩🏽\u{200d}💻 at work", true),
        ("👩🏽\u{200d}💻", "a 👩🏽\u{200d}💻", true),
        ("👩🏽\u{200d}💻", "a 👩🏿\u{200d}💻", false),
        ("🤦\u{200d}♀\u{fe0f}", "🤦🏾\u{200d}♀", true),
        ("👩\u{200d}🤝\u{200d}👩", "👩🏻\u{200d}🤝\u{200d}👩🏿", true),
        ("\"🙏 please\"", "🙏🏼 please", true),
        ("👩 NEAR/0 💻", "👩🏽\u{200d}💻", true),
        // A family is its members side by side.
        ("👨\u{200d}👩\u{200d}👧", "👨\u{200d}👩\u{200d}👧!", true),
        ("👧", "👨\u{200d}👩\u{200d}👧", true),
        ("👨\u{200d}👩\u{200d}👧", "👨👩", false),
        ("🇫🇷", "vive 🇫🇷", true),
        ("🇳🇷", "🇧🇳🇷🇸", false),
        ("1\u{fe0f}\u{20e3}", "press 1\u{20e3}", true),
        ("1", "press 1\u{fe0f}\u{20e3}", false),
        ("❤\u{fe0f}", "I ❤ it", true),
    ] {
        assert_eq!(holds(query, text, ""), expected, "`{query}` in `{text}`");
    }
}

#[test]
fn near_is_bounded_by_lines_words_and_the_ends_of_what_it_joins() {
    for (query, text, expected) in [
        ("tv NEAR/0 broken", "broken tv", true),
        ("tv NEAR/2 broken", "tv is so broken", true),
        ("tv NEAR/2 broken", "tv is so very broken", false),
        ("tv NEAR/1 broken", "tv -- 😡 !! broken", true),
        ("tv NEAR/1 broken", "tv don't broken", true),
        ("tv NEAR/0 broken", "tv, broken", true),
        // The words of a hashtag are a line of their own.
        ("airport NEAR/50 delayed", "#DelayedAgain at the airport", false),
        ("delayed NEAR/0 again", "#DelayedAgain", true),
        ("#delayedagain NEAR/1 airport", "#DelayedAgain, the airport", true),
        // What overlaps is not near itself.
        ("tv NEAR/5 tv", "tv", false),
        ("tv NEAR/5 tv", "tv tv", true),
        ("\"broken tv\" NEAR/5 tv", "broken tv", false),
        ("refund* NEAR/0 now", "refunded now", true),
        ("*phone ONEAR/1 broken", "my iphone is broken", true),
        // In parentheses: from the first to the last of the pair.
        ("(tv NEAR/1 broken) NEAR/1 again", "tv is broken once again", true),
        ("(tv NEAR/1 broken) ONEAR/1 again", "again tv is broken", false),
        ("(tv ONEAR/2 broken) NEAR/0 is", "tv is broken", false),
        ("NOT (tv NEAR/0 broken)", "tv is broken", true),
    ] {
        assert_eq!(holds(query, text, ""), expected, "`{query}` in `{text}`");
    }
}

#[test]
fn a_text_full_of_hits_is_read_in_time_in_proportion_to_its_length() {
    // Two hundred rules, each with tens of thousands of places on both sides that are never near; if each place were
    // compared with each, this test would not end.
    let rules: String = (0..200)
        .map(|n| {
            format!("[[rule]]\nname = \"r{n}\"\nquery = '(aa OR w{n}) NEAR/1 (bb NEAR/50 (bb OR w{n}))'\n")
        })
        .collect();
    let policy = policy(&rules);
    let mut scratch = Scratch::default();
    for text in [
        "aa x x x bb y y y ".repeat(29_000),
        "aa ".repeat(87_000) + &"bb ".repeat(87_000),
        "😡aa bb".repeat(50_000),
    ] {
        assert!(text.len() > 290_000);
        let _ = matched(&policy, &mention(&text), &mut scratch);
    }
    assert_eq!(matched(&policy, &mention("aa bb bb"), &mut scratch).len(), 200);
    assert_eq!(matched(&policy, &mention("aa x x bb bb"), &mut scratch).len(), 0);
}

#[test]
fn what_stands_at_the_end_of_a_long_text_is_near_what_it_is_near() {
    let policy = policy("[[rule]]\nname = \"r\"\nquery = 'plane NEAR/3 bomb'\nclass = \"safety\"\n");
    let mut scratch = Scratch::default();
    let text = "plane x y z w ".repeat(30_000) + "bomb on plane";
    assert_eq!(matched(&policy, &mention(&text), &mut scratch).len(), 1, "no length of text hides it");
}
