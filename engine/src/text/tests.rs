//! What users get from the normaliser, one sentence per test, and its properties against a slow and simple oracle.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;

/// Whether a literal is found in a text, by the plainest search there is.
fn stands(term: &str, text: &str, form: Form, edges: Edges) -> bool {
    let literal = normalise_term(term, form);
    assert!(!literal.is_empty(), "{term:?} is a term");
    let mut normal = NormalText::default();
    Normaliser::new().normalise(text, Forms::ALL, &mut normal);
    let text = normal.form(form);
    (0..text.len())
        .filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(&literal)))
        .any(|at| bounded(text, at, at + literal.len(), edges))
}

fn found(term: &str, text: &str, accents: Accents) -> bool {
    stands(term, text, accents.into(), Edges::Whole)
}

fn finds(term: &str, text: &str) -> bool {
    found(term, text, Accents::Ignore)
}

fn folded(text: &str) -> String {
    let mut normal = NormalText::default();
    Normaliser::new().normalise(text, Forms::default(), &mut normal);
    normal.form(Form::default()).to_owned()
}

const EXACT_CASE: Form = Form { accents: Accents::Ignore, case: Case::Exact };

#[test]
fn capitals_with_accents_are_the_same_word() {
    assert!(finds("café", "CAFÉ"));
    assert!(found("café", "CAFÉ", Accents::Exact));
    assert!(finds("naïve", "so NAÏVE"));
    assert!(found("naïve", "so NAÏVE", Accents::Exact));
}

#[test]
fn an_accent_counts_only_for_a_rule_that_asks_for_it() {
    assert!(finds("cafe", "café"));
    assert!(finds("café", "cafe"));
    assert!(!found("cafe", "café", Accents::Exact));
    assert!(!found("café", "cafe", Accents::Exact));
}

#[test]
fn a_word_is_not_found_inside_a_longer_word_that_goes_on_with_an_accent() {
    assert!(!finds("caf", "café"));
    assert!(!found("caf", "café", Accents::Exact));
    assert!(!found("caf", "cafe\u{301}", Accents::Exact));
    assert!(!found("q", "q\u{303}", Accents::Exact), "a mark without a composed form changes the letter too");
}

#[test]
fn a_sharp_s_is_two_s() {
    assert!(finds("strasse", "STRAßE"));
    assert!(finds("straße", "STRASSE"));
    assert!(finds("strasse", "STRAẞE"));
    assert!(found("strasse", "STRAßE", Accents::Exact));
}

#[test]
fn turkish_letters_meet_their_latin_ones() {
    assert!(finds("istanbul", "İSTANBUL"));
    assert!(found("istanbul", "İSTANBUL", Accents::Exact));
    assert!(found("istanbul", "I\u{307}STANBUL", Accents::Exact));
    assert!(finds("ılık", "ILIK"));
    assert!(found("ılık", "ILIK", Accents::Exact));
}

#[test]
fn a_letter_with_a_mark_after_it_is_the_letter_with_the_accent() {
    assert!(finds("café", "cafe\u{301}"));
    assert!(found("café", "cafe\u{301}", Accents::Exact));
}

#[test]
fn lookalike_letters_are_read_as_what_they_look_like() {
    assert!(finds("refund", "ｒｅｆｕｎｄ"));
    assert!(finds("refund", "ＲＥＦＵＮＤ"));
    assert!(finds("refund", "𝗿𝗲𝗳𝘂𝗻𝗱"));
    assert!(finds("refund", "𝓡𝓮𝓯𝓾𝓷𝓭"));
    assert!(finds("fine", "ﬁne"));
    assert!(found("refund", "𝗿𝗲𝗳𝘂𝗻𝗱", Accents::Exact));
}

#[test]
fn characters_that_nobody_sees_hide_nothing() {
    for hidden in
        ["re\u{200b}fund", "re\u{ad}fund", "\u{feff}refund", "re\u{200d}fund", "r\u{2060}e\u{200e}fund"]
    {
        assert!(finds("refund", hidden), "{hidden:?}");
        assert!(found("refund", hidden, Accents::Exact), "{hidden:?}");
    }
    assert!(finds("❤", "❤\u{fe0f}"));
    assert!(finds("❤\u{fe0f}", "❤"));
}

#[test]
fn greek_and_cyrillic_have_case_and_accents_too() {
    assert!(finds("σίσυφος", "ΣΊΣΥΦΟΣ"));
    assert!(found("σίσυφος", "ΣΊΣΥΦΟΣ", Accents::Exact));
    assert!(finds("ёлка", "ЁЛКА"));
    assert!(found("ёлка", "ЁЛКА", Accents::Exact));
    assert!(finds("елка", "ЁЛКА"));
}

#[test]
fn letters_with_a_stroke_are_their_plain_letters_unless_accents_count() {
    for (plain, written) in [
        ("lodz", "ŁÓDŹ"),
        ("lodz", "łódź"),
        ("łódź", "lodz"),
        ("duoc", "được"),
        ("Dakovo", "Đakovo"),
        ("smorrebrod", "Smørrebrød"),
        ("hal", "ħal"),
        ("saht", "saħŧ"),
    ] {
        assert!(finds(plain, written), "{plain} in {written}");
        assert!(!found(plain, written, Accents::Exact), "{plain} in {written}");
    }
    assert!(
        stands("LODZ", "ŁÓDŹ", EXACT_CASE, Edges::Whole) && !stands("Lodz", "ŁÓDŹ", EXACT_CASE, Edges::Whole)
    );
    assert!(finds("łódź", "ŁÓDŹ") && found("łódź", "ŁÓDŹ", Accents::Exact));
}

#[test]
fn what_arabic_persian_and_hindi_writers_leave_out_or_type_otherwise_does_not_count() {
    for (one, other) in [
        ("سيئة", "سيئـــة"),
        ("أحمد", "احمد"),
        ("إلغاء", "الغاء"),
        ("آسف", "اسف"),
        ("ٱلخدمة", "الخدمة"),
        ("کتاب", "كتاب"),
        ("خیلی", "خيلي"),
        ("क़ीमत", "कीमत"),
        ("ख\u{93c}राब", "खराब"),
    ] {
        assert!(finds(one, other) && finds(other, one), "{one} and {other}");
        let same = one.contains('ـ') || other.contains('ـ');
        assert_eq!(found(one, other, Accents::Exact), same, "{one} and {other}");
    }
    assert!(found("क\u{93c}ीमत", "क़ीमत", Accents::Exact));
    // These are other letters: hamza on waw and yeh, teh marbuta, yeh without dots.
    for (one, other) in [("سؤال", "سوال"), ("سيئة", "سيية"), ("خدمة", "خدمه"), ("على", "علي")]
    {
        assert!(!finds(one, other), "{one} and {other}");
    }
}

#[test]
fn a_handle_and_a_hashtag_begin_where_no_word_stands_before_them() {
    for edges in [Edges::Whole, Edges::Prefix] {
        let finds = |term: &str, text: &str| stands(term, text, Form::default(), edges);
        for text in ["mail me@delta.com", "é@delta", "_@delta", "me@delta"] {
            assert!(!finds("@delta", text), "{text}");
        }
        for text in ["@delta", "hey:@delta", "(@delta)", "@@delta", "今天@delta", "😡@delta", "#@delta"] {
            assert!(finds("@delta", text), "{text}");
        }
        for text in ["https://x.com/page#sale", "abc#sale", "1#sale"] {
            assert!(!finds("#sale", text), "{text}");
        }
        assert!(finds("#sale", "big (#sale)") && finds("#sale", "https://x.com/#sale"));
        assert!(!finds("#退款", "abc#退款") && finds("#退款", "我要#退款"));
        // No handle and no hashtag: signs stand anywhere.
        assert!(finds("@", "me@delta") && finds("# x", "a# x") && finds("#⃣", "a#⃣"));
    }
    assert!(stands("delta", "mail me@delta.com", Form::default(), Edges::Whole));
    assert!(stands("@delta", "me@delta", Form::default(), Edges::Anywhere));
}

#[test]
fn a_handle_and_a_hashtag_are_found_with_their_sign() {
    assert!(finds("@united", "hey @united!"));
    assert!(finds("#delayed", "so #Delayed"));
    assert!(!finds("@united", "hey united!"));
    assert!(!finds("#delayed", "so delayed"));
    assert!(!finds("@united", "hey @unitedairlines!"));
    assert!(!finds("@united", "hey @united_care!"));
}

#[test]
fn a_word_is_found_as_handle_and_as_hashtag() {
    assert!(finds("united", "hey @united!"));
    assert!(finds("delayed", "so #Delayed"));
}

#[test]
fn a_typographic_apostrophe_is_an_apostrophe() {
    for text in ["don’t work", "don‘t work", "donʼt work", "don＇t work", "don´t work", "DON'T\u{a0}WORK"]
    {
        assert!(finds("don't work", text), "{text}");
        assert!(found("don’t work", text, Accents::Exact), "{text}");
    }
}

#[test]
fn a_word_is_not_found_inside_a_longer_word() {
    assert!(!finds("refund", "refunded"));
    assert!(!finds("fund", "refund"));
    assert!(!finds("refund", "refund2"));
    assert!(!finds("refund", "my_refund"));
    assert!(finds("refund", "a refund, please"));
}

#[test]
fn chinese_japanese_korean_and_thai_words_are_found_inside_a_sentence() {
    assert!(finds("停电", "今天停电了"));
    assert!(finds("払い戻し", "すぐに払い戻してほしい"));
    assert!(finds("バッテリー", "新しいバッテリーが死んだ"));
    assert!(finds("환불", "환불을 원해요"));
    assert!(finds("คืนเงิน", "ขอคืนเงินด้วย"));
    assert!(finds("boston", "今天Boston停电了"), "a Latin word beside ideographs stands alone");
}

#[test]
fn halfwidth_kana_are_kana() {
    assert!(finds("バッテリー", "ﾊﾞｯﾃﾘｰ"));
    assert!(finds("ﾊﾞｯﾃﾘｰ", "バッテリー"));
    assert!(!finds("はっぴょう", "ばっぴょう"), "a voicing mark is no accent");
    assert!(finds("が", "か\u{3099}"));
}

#[test]
fn emoji_are_found_anywhere_and_with_any_skin_tone() {
    assert!(finds("😡", "so 😡😡"));
    assert!(finds("😡", "so😡so"));
    assert!(finds("👍", "ok👍🏽"));
    assert!(finds("👍🏽", "ok👍🏽"));
    assert!(!finds("👍🏽", "ok👍"));
    assert!(finds("👩", "👨\u{200d}👩\u{200d}👧"));
}

#[test]
fn a_word_is_found_after_an_elision_and_before_a_possessive() {
    assert!(finds("école", "l'école"));
    assert!(finds("école", "l’école"));
    assert!(finds("united", "united's service"));
    assert!(finds("they", "they'll"));
}

#[test]
fn a_word_is_not_found_in_its_own_denial() {
    assert!(!finds("can", "I can't"));
    assert!(!finds("don", "don’t"));
    assert!(finds("can", "I can"));
    assert!(finds("can't", "I can't"));
    assert!(finds("can", "can'tango"), "no denial goes on after the t");
}

#[test]
fn a_phrase_is_found_over_line_breaks_and_any_blanks() {
    assert!(finds("not working", "NOT\n\n  working"));
    assert!(finds("not\u{3000}working", "not\t\r\nworking"));
    assert!(finds("not working", "not\u{0}working"));
}

#[test]
fn a_camel_case_hashtag_is_also_its_words() {
    assert_eq!(folded("so #DelayedAgain"), "so #delayedagain\ndelayed again");
    assert!(finds("delayed", "so #DelayedAgain"));
    assert!(finds("delayed again", "so #DelayedAgain"));
    assert!(finds("#delayedagain", "so #DelayedAgain"));
    assert!(finds("café", "#CaféFermé"));
    assert!(found("café", "#CaféFermé", Accents::Exact));
}

#[test]
fn the_words_of_a_hashtag_are_told_apart_as_people_write_them() {
    let words = |text: &str| folded(text).split_once('\n').map(|(_, words)| words.to_owned());
    for (text, expected) in [
        ("#HTMLPage", Some("html page")),
        ("#iPhone", None),
        ("#iPhoneX", Some("iphone x")),
        ("#eBay", None),
        ("#FAQs", None),
        ("#COVID19", Some("covid 19")),
        ("#Delayed2Hours", Some("delayed 2 hours")),
        ("#delayed_again", Some("delayed again")),
        ("#__delayed__", None),
        ("#delayed", None),
        ("#12_34", None),
        ("&#39;", None),
        ("page.html#TopOfPage", None),
        ("＃FlightDelayed", Some("flight delayed")),
        ("#𝗙𝗹𝗶𝗴𝗵𝘁𝗗𝗲𝗹𝗮𝘆𝗲𝗱", Some("flight delayed")),
        ("#OneTwo #ThreeFour", Some("one two\nthree four")),
        ("#停电Boston", None),
        ("#", None),
        ("##", None),
        ("##AaBb", Some("aa bb")),
    ] {
        assert_eq!(words(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_phrase_does_not_reach_over_the_end_of_the_text_into_a_hashtag_or_from_one_to_the_next() {
    assert!(!finds("airport delayed", "#DelayedAgain at the airport"));
    assert!(!finds("again united", "#DelayedAgain #UnitedSucks"));
    assert_eq!(normalise_term("airport\ndelayed", Accents::Ignore), "airport delayed");
}

#[test]
fn a_form_is_empty_unless_asked_for() {
    let mut normaliser = Normaliser::new();
    let mut normal = NormalText::default();
    normaliser.normalise("Café #AuLait", Forms::ALL, &mut normal);
    let forms = Form::ALL.map(|form| normal.form(form));
    assert_eq!(
        forms,
        ["cafe #aulait\nau lait", "café #aulait\nau lait", "Cafe #AuLait\nAu Lait", "Café #AuLait\nAu Lait"]
    );
    normaliser.normalise("Café", Forms::default().with(EXACT_CASE), &mut normal);
    assert_eq!(Form::ALL.map(|form| normal.form(form)), ["cafe", "", "Cafe", ""]);
}

#[test]
fn a_capital_counts_only_for_a_rule_that_asks_for_it() {
    let finds = |term: &str, text: &str| stands(term, text, EXACT_CASE, Edges::Whole);
    assert!(finds("US", "in the US today"));
    assert!(!finds("US", "tell us today"));
    assert!(finds("Apple", "my Apple watch"));
    assert!(!finds("Apple", "an apple a day"));
    assert!(finds("CAFÉ", "CAFÉ") && finds("CAFE", "CAFÉ") && !finds("CAFE", "Café"));
    assert!(finds("ΣΊΣΥΦΟΣ", "ΣΊΣΥΦΟΣ") && !finds("Σίσυφος", "ΣΊΣΥΦΟΣ"));
    assert!(finds("Ёлка", "Ёлка") && !finds("Ёлка", "ёлка"));
    assert!(finds("Refund", "Ｒｅｆｕｎｄ") && !finds("refund", "𝗥𝗲𝗳𝘂𝗻𝗱"));
    assert!(finds("STRASSE", "STRAẞE") && finds("strasse", "straße") && !finds("STRASSE", "STRAßE"));
    assert!(finds("Istanbul", "İstanbul") && !finds("istanbul", "İstanbul"));
    assert!(finds("Delayed Again", "#DelayedAgain"), "a hashtag keeps its capitals");
    let both = Form { accents: Accents::Exact, case: Case::Exact };
    assert!(stands("Café", "Café", both, Edges::Whole) && !stands("Cafe", "Café", both, Edges::Whole));
}

#[test]
fn a_prefix_is_found_at_the_beginning_of_words_and_a_suffix_at_their_end() {
    let prefix = |term: &str, text: &str| stands(term, text, Form::default(), Edges::Prefix);
    let suffix = |term: &str, text: &str| stands(term, text, Form::default(), Edges::Suffix);
    for (term, text) in [
        ("refund", "refunded"),
        ("refund", "a refund"),
        ("возврат", "ВОЗВРАТА"),
        ("επιστροφ", "ΕΠΙΣΤΡΟΦΉ"),
        ("استرداد", "استردادها"),
        ("החזר", "החזרים"),
        ("धन", "धनवापसी"),
        ("คืน", "ขอคืนเงิน"),
        ("払", "すぐに払い戻し"),
        ("退", "我要退款"),
        ("환", "환불을"),
        ("@unit", "hey @united"),
        ("#delay", "#delayed"),
        ("refund pol", "the refund policy"),
        ("can", "can't"),
    ] {
        assert!(prefix(term, text), "{term}* in {text}");
    }
    assert!(!prefix("fund", "refund") && !prefix("refund pol", "refund, policy"));
    for (term, text) in [
        ("phone", "my iPhone!"),
        ("phone", "a phone"),
        ("врат", "ВОЗВРАТ"),
        ("στροφή", "επιστροφή"),
        ("رداد", "استرداد"),
        ("זרים", "החזרים"),
        ("वापसी", "धनवापसी"),
        ("เงิน", "ขอคืนเงินด้วย"),
        ("戻し", "払い戻してほしい"),
        ("款", "退款了"),
        ("불", "환불을"),
        ("ted", "@united"),
        ("phone case", "iphone case"),
    ] {
        assert!(suffix(term, text), "*{term} in {text}");
    }
    assert!(!suffix("phone", "phones") && !suffix("can", "toucan't"));
}

#[test]
fn flags_are_found_as_whole_flags_only() {
    assert!(finds("🇫🇷", "vive la 🇫🇷!") && finds("🇫🇷", "🇩🇪🇫🇷") && finds("🇫🇷", "🇫🇷🇫🇷"));
    // Brunei and Serbia side by side hold the letters of France, and are not France.
    assert!(!finds("🇳🇷", "🇧🇳🇷🇸") && !finds("🇷🇸", "🇫🇷🇸🇪"));
    assert!(finds("🇧🇳🇷🇸", "🇧🇳🇷🇸") && finds("🇷🇸", "🇧🇳🇷🇸") && finds("go 🇫🇷", "go 🇫🇷🇩🇪"));
    assert!(!finds("🇫", "🇫🇷") && !finds("🇷", "🇫🇷") && finds("🇫", "🇩🇪🇫"), "half a flag is none");
    for edges in [Edges::Prefix, Edges::Suffix] {
        assert!(!stands("🇳🇷", "🇧🇳🇷🇸", Form::default(), edges));
    }
    let row = "🇩🇪".repeat(1_000);
    assert!(finds("🇫🇷", &format!("{row}🇫🇷")) && finds("🇩🇪", &row) && !finds("🇪🇩", &row[..400]));
}

#[test]
fn a_keycap_is_an_emoji_and_no_number() {
    assert!(finds("1\u{fe0f}\u{20e3}", "press 1\u{fe0f}\u{20e3}2\u{fe0f}\u{20e3}") && finds("2⃣", "1⃣2⃣3⃣"));
    assert!(finds("1⃣", "step1⃣go") && finds("go", "step1⃣go") && finds("#⃣", "#⃣"));
    assert!(!finds("1", "1⃣") && !finds("1⃣", "1"));
}

#[test]
fn a_family_is_also_each_of_its_members_side_by_side() {
    let family = "👨\u{200d}👩\u{200d}👧";
    assert!(
        finds(family, family) && finds("👧", family) && finds("👨👩👧", family) && finds(family, "👨👩👧")
    );
    assert!(!finds(family, "👨👩") && !finds(family, "👩👨👧"));
    // A profession is a person beside a thing, and a tone belongs to the person.
    assert!(finds("👩", "👩🏽\u{200d}💻") && finds("👩🏽\u{200d}💻", "👩🏽\u{200d}💻"));
    assert!(!finds("👩🏽\u{200d}💻", "👩🏿\u{200d}💻") && !finds("👩🏽\u{200d}💻", "👩\u{200d}💻"));
}

#[test]
fn a_boundary_asked_for_at_an_impossible_place_is_no_boundary() {
    for edges in [Edges::Whole, Edges::Prefix, Edges::Suffix, Edges::Anywhere] {
        assert!(!bounded("é", 0, 1, edges));
        assert!(!bounded("abc", 2, 1, edges));
        assert!(!bounded("abc", 1, 1, edges));
        assert!(!bounded("abc", 1, 9, edges));
        assert!(bounded("abc", 0, 3, edges));
    }
}

/// The definition again, over the whole text and without any short cut.
fn slow(text: &str, form: Form) -> String {
    let decomposed: String = text
        .chars()
        .filter(|character| !fold::is_invisible(*character))
        .map(|character| if character == '´' { '\'' } else { character })
        .nfkd()
        .collect();
    let mut letters = String::new();
    let mut base = ' ';
    let written_plain = |character: char| {
        let pairs = "łlŁLđdĐDøoØOħhĦHŧtŦTٱاکكیي".chars().collect::<Vec<_>>();
        pairs.chunks(2).find(|pair| pair[0] == character).map_or(character, |pair| pair[1])
    };
    for character in decomposed.chars().filter(|character| *character != 'ـ') {
        let character = if form.accents == Accents::Ignore { written_plain(character) } else { character };
        let special: String = match character {
            '‘' | '’' | '‛' | 'ʼ' | 'ʻ' => "'".into(),
            'ς' => "σ".into(),
            'ı' => "i".into(),
            'ß' => "ss".into(),
            'ẞ' => "SS".into(),
            other => other.into(),
        };
        let lower: String = special.chars().flat_map(char::to_lowercase).collect();
        let joins = unicode_normalization::char::canonical_combining_class(character) != 0;
        if !joins && !fold::is_accent(character) {
            base = lower.chars().last().unwrap();
        }
        let of_alef = base == 'ا' && "\u{653}\u{654}\u{655}".contains(character);
        if form.accents == Accents::Ignore && (fold::is_accent(character) || of_alef)
            || base == 'i' && character == '\u{307}'
        {
            continue;
        }
        letters.push_str(if form.case == Case::Ignore { &lower } else { &special });
    }
    let composed: String = letters.nfc().map(|c| if c.is_control() { ' ' } else { c }).collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_agrees(text: &str) {
    let mut normal = NormalText::default();
    Normaliser::new().normalise(text, Forms::ALL, &mut normal);
    for form in Form::ALL {
        let term = normalise_term(text, form);
        let lines = normal.form(form);
        assert_eq!(lines.split('\n').next().unwrap(), term, "text and term of {text:?} ({form:?})");
        assert_eq!(term, slow(text, form), "fast and slow form of {text:?} ({form:?})");
        assert_eq!(normalise_term(&term, form), term, "a normal form of {text:?} is its own ({form:?})");
        for line in lines.split('\n') {
            assert_eq!(normalise_term(line, form), line, "each line of {text:?} is normal ({form:?})");
        }
        let plain = normalise_term(&term, Form::default());
        assert_eq!(plain, normalise_term(text, Form::default()), "forms of {text:?} differ in nothing else");
    }
}

#[test]
fn every_character_alone_and_between_others_is_folded_like_the_slow_way() {
    let mut text = String::new();
    for code in 0..=0x10_ffff {
        let Some(character) = char::from_u32(code) else { continue };
        for (before, after) in
            [("", ""), ("Eé", "É"), ("か", "\u{3099}"), ("A", "\u{301}"), ("한", "\u{11a8}")]
        {
            // The far planes hold one kind of character for thousands; every seventeenth will do.
            if code > 0x2_0000 && code % 17 != 0 {
                continue;
            }
            text.clear();
            text.push_str(before);
            text.push(character);
            text.push_str(after);
            assert_agrees(&text);
        }
    }
}

/// Text over an alphabet that is as awkward as the real one, only denser.
pub(crate) fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-cA-C]",
        2 => prop::sample::select(vec![
            " ", "  ", "\n", "#", "@", "_", "'", "’", "t", "'t", "1", "é", "É", "e\u{301}", "ß", "ẞ", "ς", "Σ", "ı", "İ",
            "I", "\u{307}", "\u{301}", "\u{323}", "\u{345}", "ﬁ", "ﷺ", "𝗿", "𝗥", "Ａ", "ｶ", "ﾞ", "か", "\u{3099}", "が",
            "停", "电", "한", "\u{1112}", "\u{1161}", "\u{11ab}", "ก", "ำ", "😡", "👍", "🏽", "\u{200d}", "\u{fe0f}", "\u{200b}",
            "\u{feff}", "ё", "й", "ि", "क", "\u{93c}", "ا", "\u{653}", "\u{64e}", "\u{20e3}", "¨", "´", "…", "\u{a0}",
            "ł", "Đ", "أ", "ئ", "\u{654}", "\u{671}", "\u{640}", "\u{6cc}", "\u{1abe}", "क़",
            "\u{3000}", "\u{0}", "\u{85}", "Ⅷ", "①", "ŉ", "ǅ", "\u{1f71}", "\u{1fb3}", "\u{ac00}",
        ])
        .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_text_is_folded_like_the_slow_way_and_only_once(text in awkward()) {
        assert_agrees(&text);
    }

    #[test]
    fn any_string_at_all_is_folded_without_a_panic(text in any::<String>()) {
        assert_agrees(&text);
    }

    #[test]
    fn a_buffer_used_again_leaves_no_trace(first in awkward(), second in awkward()) {
        let mut normaliser = Normaliser::new();
        let mut reused = NormalText::default();
        normaliser.normalise(&first, Forms::ALL, &mut reused);
        normaliser.normalise(&second, Forms::ALL, &mut reused);
        let mut fresh = NormalText::default();
        Normaliser::new().normalise(&second, Forms::ALL, &mut fresh);
        prop_assert_eq!(reused, fresh);
    }

    #[test]
    fn a_boundary_check_never_panics(text in awkward(), start in 0usize..40, end in 0usize..40) {
        for edges in [Edges::Whole, Edges::Prefix, Edges::Suffix, Edges::Anywhere] {
            let _ = bounded(&text, start, end, edges);
        }
    }

    #[test]
    fn a_hit_is_always_a_slice_of_the_normal_text(term in awkward(), text in awkward()) {
        let literal = normalise_term(&term, Accents::Ignore);
        prop_assume!(!literal.is_empty());
        let form = folded(&format!("{text}{term}{text}"));
        for (at, _) in form.match_indices(&literal) {
            prop_assert_eq!(&form[at..at + literal.len()], literal.as_str());
        }
    }
}
