//! What a matcher promises, run over the reference and the word matcher.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::text::{Accents, Case, Forms, Normaliser};
use proptest::prelude::*;
use std::sync::Arc;

fn hits(terms: &[(&str, Accents)], text: &str) -> Vec<(u32, u32, u32)> {
    let literals: Vec<Literal> =
        terms.iter().map(|(term, accents)| Literal::of_term(term, *accents).unwrap()).collect();
    agreed(&literals, text).iter().map(|hit| (hit.literal, hit.start, hit.end)).collect()
}

/// What the reference finds, and the word matcher too.
fn agreed(literals: &[Literal], text: &str) -> Vec<Hit> {
    let mut normal = NormalText::default();
    Normaliser::new().normalise(text, Forms::ALL, &mut normal);
    let mut hits = Vec::new();
    ReferenceMatcher::new(literals).scanner().scan(&normal, &mut hits);
    let mut by_words = Vec::new();
    words(literals).scanner().scan(&normal, &mut by_words);
    assert_eq!(by_words, hits, "both matchers agree on {text:?}");
    hits
}

fn words(literals: &[Literal]) -> WordMatcher {
    let rest = |rest: &[Literal]| Ok::<_, ()>(Arc::new(ReferenceMatcher::new(rest)) as Arc<dyn Matcher>);
    WordMatcher::build(literals, rest).unwrap()
}

const IGNORE: Accents = Accents::Ignore;
const EXACT: Accents = Accents::Exact;

#[test]
fn overlapping_words_and_phrases_are_all_found() {
    let terms = [("no picture", IGNORE), ("picture", IGNORE), ("picture on tv", IGNORE), ("tv", IGNORE)];
    assert_eq!(
        hits(&terms, "No picture on TV, tv dead"),
        [(0, 0, 10), (1, 3, 10), (2, 3, 16), (3, 14, 16), (3, 18, 20)]
    );
}

#[test]
fn hits_come_sorted_by_literal_and_place_whatever_their_accents() {
    let terms = [("café", EXACT), ("cafe", IGNORE), ("caf", IGNORE), ("café", EXACT)];
    assert_eq!(hits(&terms, "cafe CAFÉ"), [(0, 5, 10), (1, 0, 4), (1, 5, 9), (3, 5, 10)]);
}

#[test]
fn hits_are_appended_to_those_already_there() {
    let literals = [Literal::of_term("tv", IGNORE).unwrap()];
    let mut normal = NormalText::default();
    Normaliser::new().normalise("tv", Forms::default(), &mut normal);
    let mut hits = vec![Hit { literal: 5, start: 8, end: 9 }];
    ReferenceMatcher::new(&literals).scanner().scan(&normal, &mut hits);
    assert_eq!(hits, [Hit { literal: 5, start: 8, end: 9 }, Hit { literal: 0, start: 0, end: 2 }]);
}

#[test]
fn a_term_of_which_nothing_is_left_is_no_literal() {
    for term in ["", " ", "\u{200b}", "\u{fe0f}\n"] {
        assert_eq!(Literal::of_term(term, IGNORE), None);
    }
}

#[test]
#[should_panic(expected = "an empty literal is found everywhere")]
fn a_matcher_is_never_built_on_an_empty_literal() {
    let _ =
        ReferenceMatcher::new(&[Literal { text: String::new(), form: Form::default(), edges: Edges::Whole }]);
}

#[test]
#[should_panic(expected = "a literal with a line break is never found")]
fn a_matcher_is_never_built_on_a_literal_with_a_line_break() {
    let _ =
        ReferenceMatcher::new(&[Literal { text: "a\nb".into(), form: Form::default(), edges: Edges::Whole }]);
}

#[test]
fn words_that_begin_with_a_sign_and_words_of_scripts_without_blanks_are_found() {
    let terms = [
        ("@united", IGNORE),
        ("#fail", IGNORE),
        ("united", IGNORE),
        ("@united help", IGNORE),
        ("don't work", IGNORE),
        ("c++", IGNORE),
        ("停电", IGNORE),
        ("iphone手机", IGNORE),
        ("wi-fi", IGNORE),
        ("@", IGNORE),
        ("😡", IGNORE),
    ];
    let found = hits(&terms, "@United help! #FAIL, don't work: 今天停电了 iPhone手机 c++ Wi-Fi 😡 united's");
    let literals: Vec<u32> = found.iter().map(|hit| hit.0).collect();
    assert_eq!(literals, [0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_text_with_other_edges_or_another_case_is_another_literal() {
    let tv = |edges, case| {
        let form = Form { accents: Accents::Ignore, case };
        Literal::of_term("TV", form).unwrap().with_edges(edges)
    };
    let literals = [
        tv(Edges::Whole, Case::Ignore),
        tv(Edges::Prefix, Case::Ignore),
        tv(Edges::Suffix, Case::Ignore),
        tv(Edges::Whole, Case::Exact),
        tv(Edges::Prefix, Case::Exact),
        tv(Edges::Suffix, Case::Exact),
        tv(Edges::Anywhere, Case::Ignore),
        tv(Edges::Anywhere, Case::Exact),
    ];
    let found = |text: &str| agreed(&literals, text).iter().map(|hit| hit.literal).collect::<Vec<_>>();
    assert_eq!(found("tv"), [0, 1, 2, 6]);
    assert_eq!(found("TV"), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(found("TVs"), [1, 4, 6, 7]);
    assert_eq!(found("itv"), [2, 6]);
    assert_eq!(found("iTV"), [2, 5, 6, 7]);
    assert_eq!(found("itvs"), [6]);
}

#[test]
fn prefixes_of_every_length_are_found_wherever_their_word_begins() {
    let beginnings: Vec<Literal> = (1..=12)
        .flat_map(|length| {
            ["", "@", "#", "an "].map(|before| {
                let term = format!("{before}{}", &"disconnected"[..length]);
                Literal::of_term(&term, Accents::Ignore).unwrap().with_edges(Edges::Prefix)
            })
        })
        .collect();
    assert_eq!(agreed(&beginnings, "disconnected").len(), 12);
    assert_eq!(
        agreed(&beginnings, "an @disco, #disconnect an DISCONNECTEDNESS").len(),
        5 + 5 + 10 + 10 + 12 + 12
    );
    assert_eq!(agreed(&beginnings, "undisconnected").len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn phrases_that_begin_alike_are_all_found(
        terms in prop::collection::vec("a b[ ab]{0,6}", 1..30),
        text in "(a b |a |b |ab ){0,12}",
    ) {
        let terms: Vec<(&str, Accents)> = terms.iter().map(|term| (term.as_str(), IGNORE)).collect();
        let _ = hits(&terms, &text);
    }

    #[test]
    fn the_word_matcher_finds_what_the_reference_finds(
        terms in prop::collection::vec("[abtAB@#'_1é́ß手ก \\-.😡⃣🇫🇷]{1,9}", 1..40),
        text in "[abtAB@#'_1é́ß手ก \\-.😡⃣🇫🇷\n]{0,60}",
    ) {
        let edges = [Edges::Whole, Edges::Prefix, Edges::Prefix, Edges::Suffix, Edges::Anywhere];
        let literals: Vec<Literal> = terms
            .iter()
            .enumerate()
            .filter_map(|(at, term)| Some(Literal::of_term(term, Form::ALL[at % 4])?.with_edges(edges[at / 4 % 5])))
            .collect();
        // Compares inside.
        let _ = agreed(&literals, &text);
    }
}
