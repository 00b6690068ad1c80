//! Makes streams of mentions around real texts: the firehose mix and the all-queued mix, of a given size.
//!
//! Owns the mixes and the seed. The texts are those of demo/mentions (NOTICE names their sources). Ids stand at a fixed
//! place, so that a stream can be sent again under new ids without being made again.

use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use triage_engine::model::Millis;
use triaged::log::{Records, TopicPartition};

/// Copies are of one of this many mentions before.
const RECENT_MAX: usize = 50_000;
const AUTHORS: u64 = 200_000;
/// The first stream's first id.
const FIRST_ID: u64 = 1_790_000_000_000;
/// How a native mention begins; the digits of its id follow, 13 of them.
const NATIVE_START: &str = r#"{"mention_id":"x:"#;
/// The same of a tweet.
const TWEET_START: &str = r#"{"id_str":""#;
const ID_DIGITS: usize = 13;
/// A tweet of the peers' measurement had about so many bytes.
const TWEET_BYTES: usize = 2_780;
/// Time of the first record.
pub const START: Millis = Millis(1_795_338_843_120);

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "a number below nothing");
        self.next() % limit
    }

    pub fn permille(&mut self, share: u64) -> bool {
        self.below(1_000) < share
    }
}

/// The real texts: one half for queries, the other for mentions.
pub fn texts() -> (Vec<String>, Vec<String>) {
    #[derive(serde::Deserialize)]
    struct Line {
        text: String,
    }
    let lines = include_str!("../../demo/mentions/texts.ndjson").lines();
    let texts =
        lines.map(|line| serde_json::from_str::<Line>(line).expect("the shipped texts can be read").text);
    let (even, odd): (Vec<_>, Vec<_>) = texts.enumerate().partition(|(index, _)| index % 2 == 0);
    let strip = |half: Vec<(usize, String)>| half.into_iter().map(|(_, text)| text).collect();
    (strip(even), strip(odd))
}

/// What a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// 10 % for a desk, 30 % copies, 60 % noise.
    Firehose,
    /// Every mention is new and for a desk.
    AllQueued,
}

impl Mix {
    pub fn name(self) -> &'static str {
        match self {
            Mix::Firehose => "firehose",
            Mix::AllQueued => "all-queued",
        }
    }
}

/// What mentions look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A native mention of about so many bytes.
    Native(usize),
    /// A tweet of Twitter's API v1.1, some 2.8 KB.
    Tweet,
}

impl Shape {
    /// The preset of the field map that reads it.
    pub fn preset(self) -> &'static str {
        match self {
            Shape::Native(_) => "triaged",
            Shape::Tweet => "twitter-v1",
        }
    }

    fn start(self) -> &'static str {
        match self {
            Shape::Native(_) => NATIVE_START,
            Shape::Tweet => TWEET_START,
        }
    }
}

/// A stream that can be sent again and again, each time under new ids.
pub struct Stream {
    /// The mentions that are no copies.
    unique: Vec<Vec<u8>>,
    /// The number of each one's author.
    authors: Vec<u64>,
    /// Which of them is sent, one after the other.
    order: Vec<u32>,
    /// How many of one pass are new and for a desk.
    pub queued: usize,
    shape: Shape,
    passes: u64,
}

impl Stream {
    /// `count` mentions. `wanted` and `noise` are the texts by what the policy makes of them.
    pub fn new(
        mix: Mix,
        shape: Shape,
        count: usize,
        wanted: &[String],
        noise: &[String],
        seed: u64,
    ) -> Stream {
        let mut random = Random(seed);
        let tweets = tweets();
        let mut stream = Stream {
            unique: Vec::new(),
            authors: Vec::new(),
            order: Vec::with_capacity(count),
            queued: 0,
            shape,
            passes: 0,
        };
        let mut recent: VecDeque<u32> = VecDeque::new();
        for _ in 0..count {
            let draw = if mix == Mix::AllQueued { 999 } else { random.below(1_000) };
            if draw < 300 && !recent.is_empty() {
                stream.order.push(recent[random.below(recent.len() as u64) as usize]);
                continue;
            }
            let is_noise = draw < 900;
            let texts = if is_noise { noise } else { wanted };
            let mut text = texts[random.below(texts.len() as u64) as usize].clone();
            // Of what a desk gets, one in a hundred says a card number made for tests.
            if !is_noise && random.permille(10) {
                text.push_str(" my card is 4111 1111 1111 1111");
            }
            let number = stream.unique.len() as u32;
            // The product of two uniform numbers leans to the small ones: a few authors write often.
            let author = random.below(AUTHORS) * random.below(AUTHORS) / AUTHORS;
            let mention = match shape {
                Shape::Native(bytes) => native(u64::from(number), author, text, bytes),
                Shape::Tweet => tweet(u64::from(number), author, text, &tweets, &mut random),
            };
            assert!(mention.starts_with(shape.start().as_bytes()), "the id stands where it is looked for");
            stream.unique.push(mention);
            stream.authors.push(author);
            stream.order.push(number);
            stream.queued += usize::from(!is_noise);
            if recent.len() == RECENT_MAX {
                recent.pop_front();
            }
            recent.push_back(number);
        }
        stream
    }

    /// How many mentions one pass sends.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Mean length of a mention in bytes.
    pub fn bytes_mean(&self) -> f64 {
        let total: usize = self.order.iter().map(|&number| self.unique[number as usize].len()).sum();
        total as f64 / self.order.len() as f64
    }

    /// Gives every mention a new id; copies keep being copies.
    pub fn renumber(&mut self) {
        self.passes += 1;
        let first = FIRST_ID + self.passes * self.unique.len() as u64;
        for (index, mention) in self.unique.iter_mut().enumerate() {
            let id = (first + index as u64).to_string();
            let at = self.shape.start().len();
            mention[at..at + ID_DIGITS].copy_from_slice(id.as_bytes());
        }
    }

    /// The mentions of one pass, in order, each with its author's number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        self.order
            .iter()
            .map(|&number| (self.authors[number as usize], self.unique[number as usize].as_slice()))
    }

    /// The mention with this number of an endless stream, and its author's number.
    pub fn numbered(&mut self, number: u64) -> (u64, &[u8]) {
        let index = (number % self.unique.len() as u64) as usize;
        let (start, id) = (self.shape.start().len(), (FIRST_ID + number).to_string());
        self.unique[index][start..start + ID_DIGITS].copy_from_slice(id.as_bytes());
        (self.authors[index], &self.unique[index])
    }

    /// The number of the native mention that a record holds.
    pub fn number_in(record: &[u8]) -> Option<u64> {
        const ID: &[u8] = br#""x:1"#;
        let at = record.windows(ID.len()).position(|window| window == ID)? + ID.len() - 1;
        let digits = std::str::from_utf8(record.get(at..at + ID_DIGITS)?).ok()?;
        digits.parse::<u64>().ok()?.checked_sub(FIRST_ID)
    }

    /// One pass as batches of records of `partition` from `offset` on.
    pub fn batches(&self, partition: &TopicPartition, offset: i64, batch: usize) -> Vec<Arc<Records>> {
        let mut offset = offset;
        let fill = |numbers: &[u32]| {
            let mut records = Records::new(partition.clone());
            for &number in numbers {
                let mention = &self.unique[number as usize];
                // 500 mentions a millisecond: the pace of a stream that one core can follow.
                let at = START.plus(offset / 500);
                records.push(offset, at, None, Some(mention));
                offset += 1;
            }
            Arc::new(records)
        };
        self.order.chunks(batch).map(fill).collect()
    }
}

fn native(number: u64, author: u64, text: String, bytes: usize) -> Vec<u8> {
    let level = Random(author).next().trailing_ones().min(20);
    let mut native = Native {
        mention_id: format!("x:{}", FIRST_ID + number),
        network: "x",
        account: "@brandcare",
        kind: "post",
        visibility: "public",
        posted_at: "2026-11-22T10:34:03.120Z",
        lang: "en",
        author: NativeAuthor {
            id: format!("x:u{author}"),
            handle: format!("@u{author}"),
            name: format!("Author {author}"),
            followers: (20_u64 << level) + author % 17,
            verified: level >= 14,
            bio: String::new(),
        },
        text,
        link: format!("https://example.org/s/{number:x}"),
    };
    let made = |native: &Native| serde_json::to_vec(native).expect("a mention can be written");
    let room = bytes.saturating_sub(made(&native).len());
    native.author.bio = about(room);
    made(&native)
}

/// What an author says of herself, in so many bytes.
fn about(bytes: usize) -> String {
    const ABOUT: &str =
        "Reads, walks, cooks; opinions are my own. Two cats, one garden, far too many books. ";
    ABOUT.chars().cycle().take(bytes).collect()
}

/// Real tweets of API v1.1 that repeat no other, to be filled with other ids, authors and texts.
fn tweets() -> Vec<serde_json::Map<String, serde_json::Value>> {
    let lines = include_str!("../../tests/data/twitter_v1.ndjson").lines();
    let tweets = lines.map(|line| serde_json::from_str(line).expect("the shipped tweets can be read"));
    tweets.filter(|tweet: &serde_json::Map<_, _>| !tweet.contains_key("retweeted_status")).collect()
}

fn tweet(
    number: u64,
    author: u64,
    text: String,
    tweets: &[serde_json::Map<String, serde_json::Value>],
    random: &mut Random,
) -> Vec<u8> {
    let mut tweet = tweets[random.below(tweets.len() as u64) as usize].clone();
    tweet.remove("id");
    tweet.remove("id_str");
    tweet.insert("text".to_owned(), text.into());
    tweet.insert("lang".to_owned(), "en".into());
    let user = tweet["user"].as_object_mut().expect("a tweet has an author");
    user.insert("id".to_owned(), author.into());
    user.insert("id_str".to_owned(), author.to_string().into());
    user.insert("screen_name".to_owned(), format!("u{author}").into());
    let short = serde_json::to_string(&tweet).expect("a tweet can be written");
    let room = TWEET_BYTES.saturating_sub(short.len() + TWEET_START.len() + ID_DIGITS);
    tweet.insert("description".to_owned(), about(room).into());
    let rest = serde_json::to_string(&tweet).expect("a tweet can be written");
    format!("{TWEET_START}{}\",{}", FIRST_ID + number, &rest[1..]).into_bytes()
}

#[derive(Serialize)]
struct Native {
    mention_id: String,
    network: &'static str,
    account: &'static str,
    kind: &'static str,
    visibility: &'static str,
    posted_at: &'static str,
    lang: &'static str,
    author: NativeAuthor,
    text: String,
    link: String,
}

#[derive(Serialize)]
struct NativeAuthor {
    id: String,
    handle: String,
    name: String,
    followers: u64,
    verified: bool,
    bio: String,
}
