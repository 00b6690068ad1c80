//! Every matcher finds what the reference finds, and the evaluation of rules what a naive reader finds.
//!
//! One differential check over real texts with literals mined from them, over random awkward ones, and over the
//! texts that ship with the project. Real sets that may not ship are read from the folder that `TRIAGED_DATA` names.
#![allow(clippy::unwrap_used)]

#[path = "../engine/tests/evaluator/generate.rs"]
#[allow(dead_code, reason = "texts are real here")]
mod generate;
#[path = "../engine/tests/evaluator/naive.rs"]
mod naive;
#[path = "../engine/tests/evaluator/write.rs"]
mod write;

use generate::{Random, Vocabulary};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use triage_engine::policy::{Policy, Scratch};
use triage_engine::scan::{Hit, Literal, Matcher, ReferenceMatcher};
use triage_engine::text::{Accents, Edges, Form, Forms, NormalText, Normaliser};
use triaged::hyperscan::{self, HyperscanMatcher};

/// What was compared.
#[derive(Default)]
struct Compared {
    texts: usize,
    pairs: usize,
    hits: usize,
}

/// Scans all texts with both matchers and stops at the first difference.
fn compare(literals: &[Literal], texts: &[String]) -> Compared {
    let fast = HyperscanMatcher::new(literals).expect("libhs compiles the literals");
    let used = hyperscan::build(literals);
    let reference = ReferenceMatcher::new(literals);
    let (mut fast, mut used, mut reference) = (fast.scanner(), used.scanner(), reference.scanner());
    let mut by_used = Vec::new();
    let mut normaliser = Normaliser::new();
    let mut normal = NormalText::default();
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    let mut compared = Compared::default();
    for text in texts {
        normaliser.normalise(text, Forms::ALL, &mut normal);
        expected.clear();
        found.clear();
        reference.scan(&normal, &mut expected);
        fast.scan(&normal, &mut found);
        assert_eq!(found, expected, "hits in {text:?}");
        by_used.clear();
        used.scan(&normal, &mut by_used);
        assert_eq!(by_used, expected, "hits of the matcher in use in {text:?}");
        assert!(found.is_sorted(), "hits are sorted by literal and start");
        for hit in &found {
            let literal = &literals[hit.literal as usize];
            let form = normal.form(literal.form);
            assert_eq!(&form[hit.start as usize..hit.end as usize], literal.text, "a hit is its literal");
        }
        compared.texts += 1;
        compared.pairs += literals.len();
        compared.hits += found.len();
    }
    compared
}

const EDGES: [Edges; 4] = [Edges::Whole, Edges::Prefix, Edges::Suffix, Edges::Anywhere];

/// Words, pairs of words and pieces of words from the texts, at most `count` of them, spread over all texts.
fn mine(texts: &[String], count: usize) -> Vec<Literal> {
    let mut terms = BTreeSet::new();
    let step = (texts.len() * 3 / count).max(1);
    for (at, text) in texts.iter().enumerate().step_by(step) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some(word) = words.get(at % words.len().max(1)) else { continue };
        let piece: String = text.chars().skip(at % 17).take(1 + at % 7).collect();
        let pair = words.windows(2).nth(at % words.len()).map(|pair| pair.join(" "));
        let trimmed = word.trim_matches(|character: char| !character.is_alphanumeric());
        for term in
            [Some((*word).to_owned()), Some(trimmed.to_owned()), pair, Some(piece)].into_iter().flatten()
        {
            let (form, edges) = (Form::ALL[terms.len() % 4], EDGES[terms.len() / 4 % EDGES.len()]);
            terms.extend(Literal::of_term(&term, form).map(|literal| literal.with_edges(edges)));
        }
    }
    terms.into_iter().take(count).collect()
}

fn report(name: &str, literals: usize, compared: &Compared) {
    println!(
        "{name}: {} texts x {literals} literals = {} pairs compared, {} hits",
        compared.texts, compared.pairs, compared.hits
    );
}

/// A cell per field, quotes and line breaks inside them understood (RFC 4180).
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    for character in text.chars() {
        let row = rows.last_mut().unwrap();
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            _ => row.last_mut().unwrap().push(character),
        }
    }
    rows
}

/// All strings inside a JSON value.
fn strings(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => out.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| strings(field, out)),
        _ => {}
    }
}

/// Every longer cell or string of the data files in one folder and those below it.
fn texts_of(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            texts.extend(texts_of(&path));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.ends_with("SOURCE.txt") => {}
            Some("csv") => texts.extend(csv_rows(&text).into_iter().flatten()),
            Some("json") => strings(&serde_json::from_str(&text).unwrap(), &mut texts),
            Some("jsonl") => {
                for line in text.lines().filter(|line| !line.is_empty()) {
                    strings(&serde_json::from_str(line).unwrap(), &mut texts);
                }
            }
            Some("yml") => strings(&serde_yaml_ng::from_str(&text).unwrap(), &mut texts),
            Some("txt" | "tsv") => {
                texts.extend(text.lines().flat_map(|line| line.split('\t')).map(str::to_owned))
            }
            extension => panic!("nobody reads {extension:?} of {}", path.display()),
        }
    }
    // Times, ratings and counts are no texts.
    texts.retain(|text| text.chars().count() >= 12 && text.chars().any(char::is_alphabetic));
    texts
}

/// The texts of each set in the folder that `TRIAGED_DATA` names; nothing, and that is said, where it names none.
fn real_sets() -> Option<Vec<(String, Vec<String>)>> {
    let Some(folder) = std::env::var_os("TRIAGED_DATA") else {
        println!("skipped: TRIAGED_DATA is not set");
        return None;
    };
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    let mut sets = Vec::new();
    for path in folders {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match texts_of(&path) {
            texts if texts.is_empty() => println!("{name}: no texts in it"),
            texts => sets.push((name, texts)),
        }
    }
    assert!(!sets.is_empty(), "{} holds sets of texts", folder.display());
    Some(sets)
}

#[test]
fn both_matchers_agree_on_every_real_text() {
    let Some(sets) = real_sets() else { return };
    let mut total = Compared::default();
    for (name, texts) in &sets {
        for count in [5, 300, 4_000] {
            let literals = mine(texts, count);
            let compared = compare(&literals, texts);
            assert!(compared.hits > 0, "{name}: mined literals are found");
            report(name, literals.len(), &compared);
            total.texts += compared.texts;
            total.pairs += compared.pairs;
            total.hits += compared.hits;
        }
    }
    println!(
        "in all: {} sets, {} scans, {} pairs compared, {} hits",
        sets.len(),
        total.texts,
        total.pairs,
        total.hits
    );
}

#[test]
fn both_matchers_agree_on_the_texts_that_ship() {
    let labelled = include_str!("../engine/tests/data/presidio_card_email.tsv");
    let mut texts: Vec<String> =
        labelled.lines().filter_map(|line| line.split_once('\t')).map(|(_, text)| text.to_owned()).collect();
    texts.extend(AWKWARD_TEXTS.map(String::from));
    for count in [5, 60, 2_000] {
        let literals = mine(&texts, count);
        let compared = compare(&literals, &texts);
        assert!(compared.hits > 0, "mined literals are found");
        report("shipped", literals.len(), &compared);
    }
}

const AWKWARD_TEXTS: [&str; 12] = [
    "@united STILL no reply… #DelayedAgain 😡😡 #iPhoneX",
    "今天停电了，什么时候恢复？ @国家电网",
    "l'école d’été, CAFÉ fermé — naïve",
    "ﾊﾞｯﾃﾘｰ が 死んだ バッテリー",
    "STRAßE İSTANBUL ılık ΣΊΣΥΦΟΣ ёлка",
    "re\u{200b}fund 𝗿𝗲𝗳𝘂𝗻𝗱 ｒｅｆｕｎｄ refunded",
    "don’t can't won´t they'll united's",
    "👍🏽👍 👨\u{200d}👩\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3}",
    "환불을 원해요 ขอคืนเงินด้วย",
    "cafe\u{301} caf café",
    "a_b a-b a.b a'b a b\nc",
    "नमस्ते दुनिया مرحبا بالعالم שלום",
];

#[test]
fn a_literal_that_stands_twice_in_a_policy_is_reported_for_both() {
    let literal = |accents| Literal::of_term("tv", accents).unwrap();
    let literals = [literal(Accents::Ignore), literal(Accents::Exact), literal(Accents::Ignore)];
    let texts = [String::from("TV, tv and #TVbroken")];
    let compared = compare(&literals, &texts);
    assert_eq!(compared.hits, 6);
}

#[test]
fn a_long_literal_that_repeats_itself_at_its_end_is_found_beside_others() {
    let mut hits = 0;
    for length in (1..80).chain([400, 1_500]) {
        let terms = [format!("out http {}", "a".repeat(length)), format!("停电{}", "ha".repeat(length))];
        for edges in EDGES {
            let literal = |term: &str| Literal::of_term(term, Accents::Ignore).unwrap().with_edges(edges);
            let literals = [literal("ount"), literal(&terms[0]), literal(&terms[1])];
            let texts = terms.each_ref().map(|term| format!("check {term}"));
            let longer = texts.each_ref().map(|text| format!("{text}a {text}"));
            hits += compare(&literals, &[texts, longer].concat()).hits;
        }
    }
    assert!(hits > 1_000, "{hits}");
}

#[test]
fn a_literal_with_accents_is_looked_for_in_the_exact_form_only() {
    let literals = [
        Literal::of_term("café", Accents::Exact).unwrap(),
        Literal::of_term("café", Accents::Ignore).unwrap(),
    ];
    let matcher = hyperscan::build(&literals);
    let mut scanner = matcher.scanner();
    let mut hits = vec![Hit { literal: 9, start: 0, end: 1 }];
    let mut normal = NormalText::default();
    Normaliser::new().normalise("cafe café", Forms::ALL, &mut normal);
    scanner.scan(&normal, &mut hits);
    assert_eq!(
        hits,
        [
            Hit { literal: 9, start: 0, end: 1 },
            Hit { literal: 0, start: 5, end: 10 },
            Hit { literal: 1, start: 0, end: 4 },
            Hit { literal: 1, start: 5, end: 9 },
        ]
    );
}

#[test]
fn the_library_of_this_machine_passes_its_self_test_and_serves() {
    let literals = ["refund", "😡"].map(|term| Literal::of_term(term, Accents::Ignore).unwrap());
    let matcher = hyperscan::build(&literals);
    println!("libhs {}: {} serves, {} bytes", hyperscan::version(), matcher.name(), matcher.bytes());
    assert_eq!(matcher.name(), "words and hyperscan");
    assert!(matcher.bytes() > 0);
}

#[test]
fn a_policy_without_words_scans_nothing() {
    let matcher = hyperscan::build(&[]);
    let mut hits = Vec::new();
    let mut normal = NormalText::default();
    Normaliser::new().normalise("anything", Forms::ALL, &mut normal);
    matcher.scanner().scan(&normal, &mut hits);
    assert!(hits.is_empty());
}

#[test]
fn a_matcher_serves_several_threads_at_once() {
    let literals = mine(&AWKWARD_TEXTS.map(String::from), 60);
    let matcher = hyperscan::build(&literals);
    let scan = |text: &str| {
        let mut normal = NormalText::default();
        let mut hits = Vec::new();
        Normaliser::new().normalise(text, Forms::ALL, &mut normal);
        matcher.scanner().scan(&normal, &mut hits);
        hits
    };
    let alone: Vec<_> = AWKWARD_TEXTS.iter().map(|text| scan(text)).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| AWKWARD_TEXTS.iter().map(|text| scan(text)).collect::<Vec<_>>()))
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
}

/// A few characters, so that literals meet texts, and those that cause trouble.
fn awkward(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b", "ab", "ba", "A", "B", " ", "\n", "é", "e\u{301}", "É", "e", "停", "电", "停电", "か",
        "\u{3099}", "が", "😡", "👍🏽", "👍", "\u{200d}", "\u{fe0f}", "@", "#", "@ab", "#AbBa", "'", "’", "'t",
        "_", "1", "\u{20e3}", "🇫", "🇷", "ß", "ss", "\u{0}", "ı", "İ", "i", "ё", "е", ".", "-", "ｶﾞ", "ガ",
        "한", "ก", "क", "ि",
    ]);
    prop::collection::vec(piece, pieces).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn both_matchers_agree_on_random_literals_and_texts(
        terms in prop::collection::vec((awkward(1..5), 0..4_usize, 0..3_usize), 1..40),
        texts in prop::collection::vec(awkward(0..40), 1..12),
    ) {
        let literals: Vec<Literal> = terms
            .iter()
            .filter_map(|(term, form, edges)| Some(Literal::of_term(term, Form::ALL[*form])?.with_edges(EDGES[*edges])))
            .collect();
        compare(&literals, &texts);
    }
}

/// Rules of every construct, made of words of the texts, against a reader that reads each text again for every rule.
fn compare_evaluation(texts: &[String], rules: usize, seed: u64) -> (usize, usize) {
    let mut random = Random(seed);
    let vocabulary = Vocabulary::of_texts(texts, &mut random);
    let naive = vocabulary.policy(rules, &mut random);
    let policy = Policy::compile(&write::bundle(&naive)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let mut scanner = hyperscan::build(policy.literals()).scanner();
    let (mut normaliser, mut normal) = (Normaliser::new(), NormalText::default());
    let (mut hits, mut scratch, mut found) = (Vec::new(), Scratch::default(), Vec::new());
    let mut matches = 0;
    for text in texts {
        let mention = generate::mention(text, &mut random);
        normaliser.normalise(text, policy.forms(), &mut normal);
        hits.clear();
        scanner.scan(&normal, &mut hits);
        policy.evaluate(&mention, &normal, &hits, &mut scratch, &mut found);
        let found: Vec<usize> = found.iter().map(|rule| rule.place()).collect();
        let expected = naive.matched(&mention);
        if let Some(rule) = (0..rules).find(|rule| expected.contains(rule) != found.contains(rule)) {
            let query = write::query(&naive.rules[rule].query);
            panic!("seed {seed}, rule {rule}, {:?}: `{query}` in {text:?}", naive.rules[rule].form);
        }
        matches += found.len();
    }
    (policy.rules().len() * texts.len(), matches)
}

#[test]
fn the_evaluation_agrees_with_the_naive_reader_on_every_real_text() {
    let Some(sets) = real_sets() else { return };
    let (mut pairs, mut matches, mut seed) = (0, 0, 1);
    for (_, texts) in &sets {
        for chunk in texts.chunks(100) {
            let compared = compare_evaluation(chunk, 9, seed);
            pairs += compared.0;
            matches += compared.1;
            seed += 1;
        }
    }
    println!("{} sets, {pairs} pairs of rule and real text compared, {matches} matches", sets.len());
    assert!(matches > pairs / 50, "rules and texts meet");
}

#[test]
fn the_evaluation_agrees_with_the_naive_reader_on_the_texts_that_ship() {
    let texts = AWKWARD_TEXTS.map(String::from);
    let compared: Vec<(usize, usize)> = (1..40).map(|seed| compare_evaluation(&texts, 30, seed)).collect();
    let pairs: usize = compared.iter().map(|(pairs, _)| pairs).sum();
    assert!(compared.iter().map(|(_, matches)| matches).sum::<usize>() > pairs / 50, "rules and texts meet");
}
