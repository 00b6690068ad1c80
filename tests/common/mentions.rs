//! Mentions for the fault tests: the same seed makes the same ones, and each says what must become of it.
//!
//! Owns the mix, the policy that goes with it, and what a record asks for. May not look at what came out: the oracle
//! does. Texts are made of marker words, so that what must come of a record can be read from its bytes.

use triage_engine::model::DeadLetterReason;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What a record asks for, by itself: whether it is a copy is the log's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// To the desk `care`.
    Care,
    /// To the desk `tech`.
    Tech,
    /// Noise.
    Noise,
    /// Noise under the second policy, to `care` under the first.
    NoiseLater,
    /// Blocked by a rule.
    Blocked,
    /// Posted by an own account.
    Own,
    /// A dead letter.
    Dead(DeadLetterReason),
}

/// One record to be sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The partition it goes to.
    pub partition: u32,
    /// The author's id.
    pub key: Vec<u8>,
    /// The record's value.
    pub value: Vec<u8>,
}

/// Marker words with the fate that they bring and their share in a thousand.
const MIX: [(&str, Fate, u64); 7] = [
    ("question", Fate::Care, 560),
    ("television", Fate::Tech, 230),
    ("giveaway", Fate::Noise, 110),
    ("tombola", Fate::NoiseLater, 50),
    ("casino", Fate::Blocked, 20),
    ("announcement", Fate::Own, 10),
    ("poison", Fate::Dead(DeadLetterReason::NotJson), 20),
];

/// Copies in a thousand records; one in four of them goes to another partition.
const COPIES: u64 = 200;
/// How far back a copy reaches.
const RECENT: usize = 5_000;

/// A stream of mentions.
pub struct Mentions {
    random: Random,
    partitions: u32,
    authors: u64,
    made: u64,
    recent: Vec<Sent>,
}

impl Mentions {
    /// Mentions by this seed: an author writes about twenty of `count`.
    pub fn new(seed: u64, partitions: u32, count: u64) -> Mentions {
        Mentions {
            random: Random(seed),
            partitions,
            authors: (count / 20).max(50),
            made: 0,
            recent: Vec::new(),
        }
    }

    /// The next record.
    pub fn next(&mut self) -> Sent {
        if !self.recent.is_empty() && self.random.below(1_000) < COPIES {
            let again = self.random.below(self.recent.len() as u64) as usize;
            let mut copy = self.recent[again].clone();
            if self.random.below(4) == 0 {
                copy.partition = self.random.below(u64::from(self.partitions)) as u32;
            }
            return copy;
        }
        self.made += 1;
        let mut share = self.random.below(1_000);
        let (word, fate) = MIX
            .iter()
            .find_map(|&(word, fate, of)| {
                let here = share < of;
                share = share.wrapping_sub(of);
                here.then_some((word, fate))
            })
            .expect("the shares are a thousand");
        let author = self.random.below(self.authors);
        let sent = mention(self.made, author, word, fate, self.partitions);
        if self.recent.len() < RECENT {
            self.recent.push(sent.clone());
        } else {
            let place = (self.made as usize) % RECENT;
            self.recent[place] = sent.clone();
        }
        sent
    }
}

/// One mention of the author with this number, saying `word`.
pub fn mention(number: u64, author: u64, word: &str, fate: Fate, partitions: u32) -> Sent {
    let handle = if fate == Fate::Own { "@brandcare".to_owned() } else { format!("@u{author}") };
    let id = if fate == Fate::Own { "x:brand".to_owned() } else { format!("x:u{author}") };
    let end = if matches!(fate, Fate::Dead(_)) { "" } else { "}" };
    let value = format!(
        r#"{{"mention_id":"x:{number}","network":"x","account":"@brandcare","kind":"post","author":{{"id":"{id}","handle":"{handle}","followers":{}}},"text":"a {word} about my order, the {number}th, please answer soon"{end}"#,
        author % 900,
    );
    let partition = (Random(author).next() % u64::from(partitions)) as u32;
    Sent { partition, key: id.into_bytes(), value: value.into_bytes() }
}

/// What a record of `Mentions` asks for, with the mention's id; read from its bytes alone.
pub fn asked(value: Option<&[u8]>) -> (Fate, String) {
    let text = std::str::from_utf8(value.expect("every record has a value")).expect("records are UTF-8");
    let id = text.strip_prefix(r#"{"mention_id":""#).and_then(|rest| rest.split('"').next());
    let said = text.split(r#""text":"a "#).nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("");
    let fate = MIX.iter().find(|(word, ..)| *word == said).map(|&(_, fate, _)| fate);
    (fate.unwrap_or(Fate::Care), id.expect("every record begins with its id").to_owned())
}

/// The policy's one file; the second one makes tombolas noise.
pub fn policy(second: bool) -> String {
    let later = if second { "action = \"noise\"" } else { "tags = [\"tombola\"]" };
    format!(
        r#"
[[rule]]
name = "giveaway"
query = "giveaway"
action = "noise"

[[rule]]
name = "tombola"
query = "tombola"
{later}

[[rule]]
name = "casino"
query = "casino"
action = "block"

[[rule]]
name = "television"
query = "television"
tags = ["tv"]
category = "technical"

[[desk]]
name = "care"
log_partition = 0
case_lapse = "72h"
mentions_per_case_max = 1_000

[[desk]]
name = "tech"
log_partition = 1
case_lapse = "72h"
mentions_per_case_max = 1_000

[[queue]]
name = "care.general"
desk = "care"

[[queue]]
name = "tech.tv"
desk = "tech"

[workflow]
default = "care.general"

[[filter]]
name = "television"
when = "tag:tv"
queue = "tech.tv"

[accounts]
own = ["x:@brandcare"]

[dedup]
window = "6h"
ids_max = 1_000_000

[fleet]
hash_key = "6b1f0e9a2c7d4835f1a09b3c5d7e2f46"
"#
    )
}
