//! Makes policies of many queries from real texts: median 5 literals each, words and phrases as often as people use them.
//!
//! Owns the shapes and the seed. A literal is drawn from a random place of a random text, so it comes as often as it is
//! written; words in more than one text of a hundred are left out, as nobody alerts on "the". Queries are made from one
//! half of the texts and mentions from the other. `every_construct` puts wildcards, NEAR, lists, patterns, tags and fields
//! into four of ten of them. Most queries ask for such words beside the name of a product that
//! nobody speaks of today, as most of a large company's queries do; the rest are so many that 29 % of mentions match.

use super::mentions::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use triage_engine::policy::Bundle;

/// Of how many texts one may hold a word that is looked for.
const COMMON_ONE_IN: usize = 100;
/// Literals of a query: the median is 5.
const LITERALS: [usize; 14] = [1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 7, 8, 9, 12];

/// Words that concern the brand of the benches: what says none of them is noise.
const CONCERNS: &str = "card OR cards OR account OR transfer OR exchange OR cash OR money OR \"top up\" OR topup OR refund \
    OR payment OR pay OR identity OR verify OR pin OR passcode OR password OR app OR mastercard OR visa OR transaction \
    OR fund OR fee OR fees OR charge OR charged OR pending OR atm OR withdraw OR withdrawal OR currency OR beneficiary \
    OR cheque OR debit OR contactless OR declined OR bill OR order OR delivery OR service OR broken OR outage OR refused \
    OR stolen OR lost OR limit OR statement OR balance";

/// Desks, queues and the workflow of the policies made here.
const DESKS: &str = r#"
[[desk]]
name = "care"
log_partition = 0
[[desk]]
name = "tech"
log_partition = 1
[[queue]]
name = "care.general"
desk = "care"
[[queue]]
name = "care.billing"
desk = "care"
priority = 30
resolution = "private"
[[queue]]
name = "tech.app"
desk = "tech"
priority = 10
[workflow]
default = "care.general"
[[filter]]
name = "large-accounts"
when = "(verified:true OR followers>=1000000) AND NOT tag:t7"
queue = "care.general"
[[filter]]
name = "billing"
when = "tag:t1 OR tag:t2 OR tag:t3"
queue = "care.billing"
[[filter]]
name = "technical"
when = "category:technical"
queue = "tech.app"
[accounts]
own = ["x:@brandcare"]
[dedup]
window = "10m"
ids_max = 1000000
[fleet]
hash_key = "00112233445566778899aabbccddeeff"
"#;

/// Lists that the queries of every construct share.
const LISTS: u64 = 20;
/// Patterns that they share.
const PATTERNS: u64 = 100;

/// A policy of `queries` queries; with `noise` what says nothing that concerns the brand is kept out of the queues.
pub fn policy(texts: &[String], queries: usize, noise: bool, real_permille: u64, seed: u64) -> Bundle {
    made(texts, queries, noise, real_permille, seed, false)
}

/// The same queries, of which some use more of the language than words, phrases and operators.
pub fn every_construct(
    texts: &[String],
    queries: usize,
    noise: bool,
    real_permille: u64,
    seed: u64,
) -> Bundle {
    let mut bundle = made(texts, queries, noise, real_permille, seed, true);
    let mut lists = String::new();
    for list in 0..LISTS {
        let terms: Vec<String> = (0..PRODUCTS)
            .filter(|at| at % LISTS == list)
            .map(|at| format!("{:?}", product_name(at)))
            .collect();
        writeln!(lists, "[[list]]\nname = \"products-{list}\"\nterms = [{}]", terms.join(", "))
            .expect("writing into a string");
    }
    bundle.files.insert("rules/lists.toml".to_owned(), lists);
    bundle
}

fn made(
    texts: &[String],
    queries: usize,
    noise: bool,
    real_permille: u64,
    seed: u64,
    every_construct: bool,
) -> Bundle {
    let mut random = Random(seed);
    let words: Vec<Vec<String>> = texts.iter().map(|text| words_of(text)).filter(|w| w.len() >= 3).collect();
    assert!(words.len() > 100, "queries are made from many texts");
    let rare = rare_words(&words);
    let mut rules = String::new();
    for number in 0..queries {
        let real = random.permille(real_permille);
        let count = LITERALS[random.below(LITERALS.len() as u64) as usize];
        let mut terms: Vec<String> = (0..count).map(|_| literal(&words, &rare, &mut random)).collect();
        if !real {
            terms[count - products_of(count)..].fill_with(|| product(&mut random));
        }
        let special = if every_construct && !real { special(&terms, &mut random) } else { None };
        let asks = special.as_ref().is_some_and(|query| query.contains("tag:"));
        let query = special.unwrap_or_else(|| shape(&terms, !real, &mut random));
        // Who asks for a tag of the others gives one that nobody asks for.
        let tag = if asks { "late".to_owned() } else { format!("t{}", number % 97) };
        let category = ["complaint", "feedback", "technical", "general"][number % 4];
        write!(
            rules,
            "[[rule]]\nname = \"q{number:05}\"\nquery = '''{query}'''\ntags = [\"{tag}\"]\ncategory = \"{category}\"\npriority = {}\n",
            number % 90
        )
        .expect("writing into a string");
    }
    let mut files = BTreeMap::new();
    files.insert("desks.toml".to_owned(), DESKS.to_owned());
    files.insert("rules/queries.toml".to_owned(), rules);
    if noise {
        let rule =
            format!("[[rule]]\nname = \"off-topic\"\nquery = '''NOT ({CONCERNS})'''\naction = \"noise\"\n");
        files.insert("rules/noise.toml".to_owned(), rule);
    }
    Bundle { files }
}

/// Literals of all queries made here, each as often as it is asked for.
pub fn terms(bundle: &Bundle) -> usize {
    let queries = bundle.files["rules/queries.toml"].lines().filter(|line| line.starts_with("query"));
    queries.map(|line| line.matches('"').count() / 2).sum()
}

fn words_of(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '\'';
    let parts = lower.split(|c| !is_part(c)).map(|word| word.trim_matches('\''));
    parts.filter(|word| word.len() >= 2 && word.is_ascii()).map(str::to_owned).collect()
}

/// Words rare enough to be looked for alone.
fn rare_words(texts: &[Vec<String>]) -> BTreeSet<String> {
    let mut texts_with: BTreeMap<&str, usize> = BTreeMap::new();
    for words in texts {
        for word in words.iter().map(String::as_str).collect::<BTreeSet<_>>() {
            *texts_with.entry(word).or_default() += 1;
        }
    }
    let rare = texts_with.into_iter().filter(|&(_, count)| count * COMMON_ONE_IN <= texts.len());
    rare.map(|(word, _)| word.to_owned()).collect()
}

/// A word (4 of 10), a phrase of two (4) or of three (2), with at least one word that is rare.
fn literal(texts: &[Vec<String>], rare: &BTreeSet<String>, random: &mut Random) -> String {
    loop {
        let words = &texts[random.below(texts.len() as u64) as usize];
        let length = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3][random.below(10) as usize];
        let at = random.below((words.len() - length + 1) as u64) as usize;
        let chosen = &words[at..at + length];
        if chosen.iter().any(|word| rare.contains(word)) {
            return chosen.join(" ");
        }
    }
}

/// How many products there are.
const PRODUCTS: u64 = 500;

/// The name of one of the products, of which nobody speaks today.
fn product(random: &mut Random) -> String {
    product_name(random.below(PRODUCTS))
}

fn product_name(number: u64) -> String {
    format!("{}-{}", ["kx", "hd", "mr", "zeta"][(number % 4) as usize], 1_000 + 7 * number)
}

/// Half of the queries are alternatives, three of ten ask for one of each of two lists, the rest exclude something.
/// With products (the last third of the terms, at least one) it is what is said of one of them.
fn shape(terms: &[String], products: bool, random: &mut Random) -> String {
    let any = |terms: &[String]| {
        let quoted: Vec<String> = terms.iter().map(|term| format!("\"{term}\"")).collect();
        format!("({})", quoted.join(" OR "))
    };
    let (said, last) = terms.split_at(terms.len() - products_of(terms.len()));
    match random.below(10) {
        _ if terms.len() == 1 => any(terms),
        _ if products => format!("{} AND {}", any(said), any(last)),
        0..=4 => any(terms),
        5..=7 => format!("{} AND {}", any(&terms[..terms.len() / 2]), any(&terms[terms.len() / 2..])),
        _ => format!("{} AND NOT {}", any(&terms[..terms.len() - 1]), any(&terms[terms.len() - 1..])),
    }
}

/// Of a hundred queries about products: ten with NEAR, ten that ask for a list, ten with prefixes and suffixes, two with
/// a pattern, four that ask for a tag of the others, four with fields.
fn special(terms: &[String], random: &mut Random) -> Option<String> {
    let (said, products) = terms.split_at(terms.len() - products_of(terms.len()));
    if said.is_empty() {
        return None;
    }
    let any = |terms: &[String]| {
        let quoted: Vec<String> = terms.iter().map(|term| format!("\"{term}\"")).collect();
        format!("({})", quoted.join(" OR "))
    };
    let open = |term: &String| match term.chars().count() {
        0..6 => format!("\"{term}\""),
        length if length % 4 == 0 => {
            format!("\"*{}\"", term.chars().skip(2).collect::<String>().trim_start())
        }
        length => format!("\"{}*\"", term.chars().take(length - 2).collect::<String>().trim_end()),
    };
    Some(match random.below(100) {
        0..10 => {
            format!(
                "{} {}NEAR/5 {}",
                any(said),
                if terms.len().is_multiple_of(2) { "O" } else { "" },
                any(products)
            )
        }
        10..20 => format!("{} AND $products-{}", any(said), random.below(LISTS)),
        20..30 => {
            format!("({}) AND {}", said.iter().map(open).collect::<Vec<_>>().join(" OR "), any(products))
        }
        30..32 => format!("{} AND /\\b{}\\d*\\b/", any(said), product_name(random.below(PATTERNS))),
        32..36 => format!("{} AND tag:t{}", any(said), random.below(10)),
        36..40 => format!("{} AND has:link AND lang:(en OR es) AND followers:[5000000 TO *]", any(said)),
        _ => return None,
    })
}

/// How many terms of a query of `terms` are products.
fn products_of(terms: usize) -> usize {
    (terms / 3).max(1)
}
