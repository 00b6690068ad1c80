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
/// Where the digits of the id stand in every mention made here.
pub const ID_AT: std::ops::Range<usize> = 17..30;
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

/// A stream of one partition that can be sent again and again, each time under new ids.
pub struct Stream {
    /// The mentions that are no copies.
    unique: Vec<Vec<u8>>,
    /// Which of them is sent, one after the other.
    order: Vec<u32>,
    passes: u64,
}

impl Stream {
    /// `count` mentions of about `bytes` bytes. `wanted` and `noise` are the texts by what the policy makes of them.
    pub fn new(mix: Mix, count: usize, bytes: usize, wanted: &[&str], noise: &[&str], seed: u64) -> Stream {
        let mut random = Random(seed);
        let (mut unique, mut order) = (Vec::new(), Vec::with_capacity(count));
        let mut recent: VecDeque<u32> = VecDeque::new();
        for _ in 0..count {
            let draw = if mix == Mix::AllQueued { 999 } else { random.below(1_000) };
            if draw < 300 && !recent.is_empty() {
                order.push(recent[random.below(recent.len() as u64) as usize]);
                continue;
            }
            let texts = if draw < 900 { noise } else { wanted };
            let text = texts[random.below(texts.len() as u64) as usize];
            let number = unique.len() as u32;
            unique.push(mention(u64::from(number), text, bytes, &mut random));
            order.push(number);
            if recent.len() == RECENT_MAX {
                recent.pop_front();
            }
            recent.push_back(number);
        }
        Stream { unique, order, passes: 0 }
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
            mention[ID_AT].copy_from_slice(id.as_bytes());
        }
    }

    /// The mentions of one pass, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.order.iter().map(|&number| self.unique[number as usize].as_slice())
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

fn mention(number: u64, text: &str, bytes: usize, random: &mut Random) -> Vec<u8> {
    // The product of two uniform numbers leans to the small ones: a few authors write often.
    let author = random.below(AUTHORS) * random.below(AUTHORS) / AUTHORS;
    let level = Random(author).next().trailing_ones().min(20);
    let text =
        if random.permille(10) { format!("{text} my card is 4111 1111 1111 1111") } else { text.to_owned() };
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
    let length = |native: &Native| serde_json::to_vec(native).expect("a mention can be written");
    let room = bytes.saturating_sub(length(&native).len());
    const BIO: &str = "Reads, walks, cooks; opinions are my own. Two cats, one garden, far too many books. ";
    native.author.bio = BIO.chars().cycle().take(room).collect();
    let made = length(&native);
    assert_eq!(&made[..ID_AT.start], br#"{"mention_id":"x:"#, "the id stands where it is looked for");
    made
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
