//! Random policies and texts, dense in what goes wrong: words that begin and end alike, every script, every construct.
//!
//! Owns the vocabulary and the seed. Words of a round come from a few scripts, so that terms meet texts.

use super::naive::{Asked, Naive, NaivePolicy, NaiveRule, is_person};
use triage_engine::model::{Author, Kind, Mention, Thread, Visibility};
use triage_engine::policy::Category;
use triage_engine::signals::features::Feature;
use triage_engine::text::{Edges, Form, is_unspaced, normalise_term};

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// One to three of these.
    fn some<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        (0..1 + self.below(3)).map(|_| self.of(all)).collect()
    }
}

/// Words by script.
const SCRIPTS: [&[&str]; 12] = [
    &[
        "refund",
        "refunded",
        "Refunds",
        "fund",
        "café",
        "CAFE",
        "iPhone",
        "phone",
        "phones",
        "delayed",
        "straße",
        "strasse",
        "naïve",
        "İstanbul",
        "ılık",
        "again",
        "tv",
    ],
    &[
        "can", "can't", "don’t", "do", "l'école", "école", "US", "us", "wi-fi", "wi", "fi", "o'clock", "X1",
        "c++",
    ],
    &["возврат", "возврата", "ВОЗВРАТ", "врат", "ёлка", "елка", "не", "деньги"],
    &["επιστροφή", "επιστροφης", "στροφή", "Σίσυφος", "ΣΊΣΥΦΟΣ", "και", "όχι"],
    &["استرداد", "استردادها", "مَال", "مال", "لا", "أريد"],
    &["החזר", "החזרים", "שָׁלוֹם", "שלום", "לא"],
    &["धनवापसी", "वापसी", "नहीं", "पैसा", "ज़रूर"],
    &["คืนเงิน", "เงิน", "คืน", "ขอคืนเงินด้วย", "ไม่"],
    &["払い戻し", "戻し", "バッテリー", "ﾊﾞｯﾃﾘｰ", "が", "はっぴょう", "ばっぴょう"],
    &["停电", "退款", "今天停电了", "电", "iphone手机"],
    &["환불", "환불을", "원해요", "안"],
    &[
        "😡",
        "👍",
        "👍🏽",
        "👩\u{200d}💻",
        "👩🏽\u{200d}💻",
        "🤦🏽\u{200d}♀\u{fe0f}",
        "🤦\u{200d}♀",
        "🇫🇷",
        "🇧🇳🇷🇸",
        "🇳🇷",
        "1\u{fe0f}\u{20e3}",
        "2⃣",
        "❤\u{fe0f}",
        "👨\u{200d}👩\u{200d}👧",
        "🙏 ok",
        "👏👏👏👏",
        "👏🏽👏🏽👏🏽👏🏽",
        ":(",
        "1",
        "🇫",
    ],
];
const SIGNED: [&str; 9] = [
    "@united",
    "#delayed",
    "#DelayedAgain",
    "#RefundAgainNow",
    "@united_care",
    "#Café2Go",
    "&#39;",
    "#退款",
    "united",
];
/// They match no empty text and no line break, and mean the same in every form.
const PATTERNS: [&str; 26] = [
    r"re(fund|turn)",
    r"\d+",
    "[a-z]{3,5}ed",
    "^refund",
    "phone$",
    r"\bcan\b",
    "停.",
    r"воз\w+",
    "στροφ",
    "/",
    "d a",
    "(u|d)n",
    r"\w+und",
    "(refund|delay|again)ed?",
    "(?i:REFUND) again",
    r"\b(can|do)\b.?'t",
    r"(iphone)+",
    "[RrВв]ефанд|возврат|refund|refunds",
    r"wi\W*fi|x1",
    "👩|🇫|🇷🇳",
    r"#\w+again",
    "(?-i:us|phone)s?",
    "^delayed|again$",
    r"(^| )again\b|d a",
    "(^|d )again( n|$)",
    "^(refund|united) again",
];
const SEPARATORS: [&str; 10] = [" ", " ", " ", " ", "", "\n", ", ", "-", "'", "  "];
const NETWORKS: [&str; 3] = ["x", "bluesky", "mastodon"];
const LANGS: [&str; 4] = ["en", "de", "pt", "ja"];
const SAID_LANGS: [&str; 7] = ["en", "en-GB", "EN_us", "de", "eng", "pt-BR", ""];
const ACCOUNTS: [&str; 3] = ["@brandcare", "@Brand", "@other"];
const AUTHORS: [&str; 3] = ["@jane", "@John", "joe"];

/// The words of one round.
pub struct Vocabulary(Vec<String>);

impl Vocabulary {
    /// Those of a few scripts, and some with signs.
    pub fn new(random: &mut Random) -> Vocabulary {
        let mut words = Vec::new();
        for _ in 0..2 + random.below(2) {
            words.extend(random.of(&SCRIPTS).iter().map(|&word| word.to_owned()));
        }
        words.extend((0..4).map(|_| random.of(&SIGNED).to_owned()));
        // Fewer words meet more often.
        while words.len() > 18 {
            let place = random.below(words.len());
            words.swap_remove(place);
        }
        Vocabulary(words)
    }

    /// Words of real texts, some of each text.
    pub fn of_texts(texts: &[String], random: &mut Random) -> Vocabulary {
        let mut words = Vec::new();
        for text in texts {
            let all: Vec<&str> = text.split_whitespace().collect();
            for _ in 0..all.len().min(2) {
                let word = random.of(&all);
                let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
                let chosen = if random.chance(70) && !bare.is_empty() { bare } else { word };
                let leaves_something =
                    Form::ALL.into_iter().all(|form| !normalise_term(chosen, form).trim().is_empty());
                if leaves_something && chosen.chars().count() <= 40 {
                    words.push(chosen.to_owned());
                }
            }
        }
        words.push("the".to_owned());
        Vocabulary(words)
    }

    /// A text of some words, written as people write, and worse.
    pub fn text(&self, random: &mut Random) -> String {
        let mut text = String::new();
        let count = if random.chance(5) { random.below(80) } else { random.below(14) };
        for _ in 0..count {
            let word = random.of(&self.0);
            match random.below(12) {
                0 => text.push_str(&word.to_uppercase()),
                1 => text.push_str(&word.to_lowercase()),
                2 => {
                    let mut characters = word.chars();
                    text.extend(characters.next().into_iter().flat_map(char::to_uppercase));
                    text.push_str(characters.as_str());
                }
                3 if random.chance(30) => word.chars().for_each(|c| text.extend([c, '\u{200b}'])),
                4 if random.chance(50) => {
                    text.push('#');
                    text.push_str(&word);
                }
                _ => text.push_str(&word),
            }
            text.push_str(random.of(&SEPARATORS));
        }
        text
    }

    /// A word, a phrase or a piece of one, perhaps with a wildcard; it leaves something in every form.
    fn term(&self, random: &mut Random) -> (String, Edges) {
        loop {
            let word = random.of(&self.0);
            let characters: Vec<char> = word.chars().collect();
            let letters = characters.iter().all(|c| c.is_alphanumeric() || *c == '\'');
            let (term, edges) = match random.below(10) {
                0..=3 => (word.clone(), Edges::Whole),
                4 | 5 => (format!("{word} {}", random.of(&self.0)), Edges::Whole),
                6 => {
                    let from = random.below(characters.len());
                    let length = 1 + random.below(characters.len() - from);
                    (characters[from..from + length].iter().collect(), Edges::Whole)
                }
                7 if letters => (
                    characters[..characters.len().div_ceil(2).max(3).min(characters.len())].iter().collect(),
                    Edges::Prefix,
                ),
                8 if letters => (
                    characters[(characters.len() / 2).min(characters.len().saturating_sub(3))..]
                        .iter()
                        .collect(),
                    Edges::Suffix,
                ),
                9 if letters && random.chance(50) => {
                    let end: String = characters[..characters.len().min(3)].iter().collect();
                    (format!("{} {end}", random.of(&self.0)), Edges::Prefix)
                }
                9 if letters => {
                    let start: String = characters[characters.len().saturating_sub(3)..].iter().collect();
                    (format!("{start} {}", random.of(&self.0)), Edges::Suffix)
                }
                _ => continue,
            };
            let kept = Form::ALL.map(|form| normalise_term(&term, form));
            let visible = kept.iter().all(|text| !text.is_empty());
            // Marks and signs that normalisation takes away are no letters towards a wildcard's least length.
            let long = kept.iter().all(|text| {
                text.trim_start_matches(['@', '#']).chars().count() >= 3 || text.chars().any(is_unspaced)
            });
            let persons = term.chars().filter(|c| is_person(*c)).count();
            if visible && persons <= 2 && (edges == Edges::Whole || long) && term.trim() == term {
                return (term, edges);
            }
        }
    }

    /// Rules of three levels, each asking only what lower ones give, and lists.
    pub fn policy(&self, rules: usize, random: &mut Random) -> NaivePolicy {
        let mut policy = NaivePolicy::default();
        for _ in 0..3 {
            let mut terms: Vec<_> = (0..1 + random.below(6)).map(|_| self.term(random)).collect();
            // A list has words and phrases without quotes, so nothing that looks like a query; single ones around a term
            // are a mistake.
            let operator = |word: &str| matches!(word, "AND" | "OR" | "NOT" | "NEAR" | "ONEAR");
            terms.retain(|(term, _)| {
                !term.contains(['(', ')', '"', '/', '$'])
                    && !term.starts_with(['\'', '‘', '’', '‚'])
                    && !term.split_whitespace().any(operator)
            });
            terms.push(("always".to_owned(), Edges::Whole));
            policy.lists.push(terms);
        }
        let mut given: Vec<String> = Vec::new();
        for level in 0..3 {
            let mut new = Vec::new();
            for _ in 0..(rules / 3).max(1) {
                let query = Query { words: self, given: &given, level }.any(1 + random.below(4), random);
                let tags: Vec<String> =
                    if random.chance(40) { vec![format!("t{level}{}", random.below(3))] } else { vec![] };
                new.extend_from_slice(&tags);
                let category = (level == 0 && random.chance(30)).then(|| random.of(&Category::ALL));
                let priority = random.chance(50).then(|| random.below(3) as u8);
                let form = random.of(&[Form::ALL[0], Form::ALL[0], Form::ALL[1], Form::ALL[2], Form::ALL[3]]);
                policy.rules.push(NaiveRule { query, form, tags, category, priority });
            }
            given.extend(new);
        }
        policy
    }
}

struct Query<'v> {
    words: &'v Vocabulary,
    given: &'v [String],
    level: usize,
}

impl Query<'_> {
    fn any(&self, depth: usize, random: &mut Random) -> Naive {
        if depth == 0 || random.chance(25) {
            return self.leaf(random);
        }
        let parts =
            |random: &mut Random| (0..2 + random.below(3)).map(|_| self.any(depth - 1, random)).collect();
        match random.below(8) {
            0 | 1 => Naive::Not(Box::new(self.any(depth - 1, random))),
            2..=4 => Naive::And(parts(random)),
            _ => Naive::Or(parts(random)),
        }
    }

    fn leaf(&self, random: &mut Random) -> Naive {
        match random.below(20) {
            0..=11 => self.term(random),
            12 => Naive::List(random.below(3)),
            13 | 14 => self.near(2, random),
            15 => Naive::regex(random.of(&PATTERNS)),
            16 if !self.given.is_empty() => Naive::Tag(random.of(self.given)),
            17 if self.level == 2 => Naive::Category(random.of(&Category::ALL)),
            _ => Naive::Field(asked(random)),
        }
    }

    fn term(&self, random: &mut Random) -> Naive {
        let (term, edges) = self.words.term(random);
        Naive::Term(term, edges)
    }

    fn near(&self, depth: usize, random: &mut Random) -> Naive {
        let left = Box::new(self.side(depth, random));
        let right = Box::new(self.side(depth, random));
        Naive::Near { left, right, words_max: random.of(&[0, 0, 1, 2, 5, 50]), ordered: random.chance(40) }
    }

    fn side(&self, depth: usize, random: &mut Random) -> Naive {
        match random.below(10) {
            0 => Naive::List(random.below(3)),
            1 | 2 if depth > 0 => {
                Naive::Or((0..2 + random.below(2)).map(|_| self.side(depth - 1, random)).collect())
            }
            3 | 4 if depth > 0 => self.near(depth - 1, random),
            _ => self.term(random),
        }
    }
}

fn asked(random: &mut Random) -> Asked {
    match random.below(12) {
        0 => Asked::Lang(random.some(&LANGS)),
        1 => Asked::Kind(random.some(&[Kind::Post, Kind::Reply, Kind::Quote])),
        2 => Asked::Network(random.some(&NETWORKS)),
        3 => Asked::Account(random.some(&ACCOUNTS)),
        4 => Asked::Author(random.some(&AUTHORS)),
        5 | 6 => {
            let from = random.chance(60).then(|| random.below(5) as u64);
            let to =
                (from.is_none() || random.chance(50)).then(|| from.unwrap_or(0) + random.below(4) as u64);
            Asked::Followers(from, to)
        }
        7 => Asked::Visibility(random.some(&[Visibility::Public, Visibility::Private])),
        8 => Asked::Verified(random.chance(50)),
        9 => Asked::Repost(random.chance(50)),
        10 => Asked::Promoted(random.chance(50)),
        _ => Asked::Has(random.of(&Feature::ALL)),
    }
}

/// A mention with this text and random fields.
pub fn mention<'t>(text: &'t str, random: &mut Random) -> Mention<'t> {
    Mention {
        mention_id: "x:1",
        network: random.of(&NETWORKS),
        account: random.of(&ACCOUNTS),
        kind: random.of(&[Kind::Post, Kind::Reply, Kind::Quote]),
        visibility: random.of(&[Visibility::Public, Visibility::Private]),
        posted_at: None,
        author: Author {
            id: "x:u42",
            handle: random.of(&AUTHORS),
            followers: random.below(7) as u64,
            verified: random.chance(50),
        },
        text,
        lang: random.of(&SAID_LANGS),
        thread: Thread::default(),
        repost_of: random.chance(20).then_some("x:0"),
        promoted: random.chance(20),
    }
}
