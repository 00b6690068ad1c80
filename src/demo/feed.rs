//! Turns texts into native mentions: ids, authors, a calm mix, and a storm of one complaint.
//!
//! Owns the mix. Pure: the same seed and the same times give the same bytes, so a run can be told again. Knows no
//! clock and sends nothing; called by the demo, once per mention that is due.

use super::texts::Text;
use serde::Serialize;
use std::collections::VecDeque;
use triage_engine::model::Millis;

/// Mentions kept to be sent again as copies.
const RECENT_MAX: usize = 512;
/// Authors of a calm day, few enough that some of them return; and of a storm.
const CALM_AUTHORS: u64 = 4_000;
const STORM_AUTHORS: u64 = 60_000;
/// The first mention's number; ids count up from here.
const FIRST_ID: u64 = 1_790_000_000_000;
/// The brand's own account.
const ACCOUNT: &str = "@brandcare";
/// In a thousand mentions of a storm, how many are about it.
const STORM_PERMILLE: u64 = 850;
/// In a thousand answers of customers, how many carry personal data that must not be passed on.
const PERSONAL_PERMILLE: u64 = 10;
/// What the storm is about, as its first authors put it.
const COMPLAINT: &str =
    "my card payment was declined three times today and the app is down, what is going on?";
/// How it is said by others: put before, put behind.
const BEFORE: [&str; 6] = ["", "", "@brandcare ", "Hey @brandcare ", "Seriously @brandcare: ", "same here, "];
const BEHIND: [&str; 7] = ["", "", " 😡", " 😡😡😡", " #carddown", " #fail #carddown", " please help"];

/// What kind of day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Questions, complaints, and much that concerns nobody.
    Calm,
    /// One complaint over and over: reworded, reposted, and sent twice.
    Storm,
}

/// A stream of mentions without an end.
#[derive(Debug, Clone)]
pub struct Feed {
    /// In a thousand mentions of a calm day, how many are exact copies with the same id. Three times as many in a storm.
    pub share_copies: u64,
    /// In a thousand mentions of a calm day that are no copies, how many nobody has to answer.
    pub share_noise: u64,
    weather: Weather,
    random: Random,
    wanted: Vec<String>,
    noise: Vec<String>,
    recent: VecDeque<Vec<u8>>,
    sent: u64,
    /// The number of the post that everybody reposts in this storm.
    storm_root: Option<u64>,
}

impl Feed {
    /// A calm feed of `texts`: 3 % copies, 60 % noise.
    ///
    /// # Panics
    /// When there is not at least one text of each kind: wanted and noise.
    #[must_use]
    pub fn new(seed: u64, texts: &[Text]) -> Feed {
        // Handles were replaced in the texts; the demo's brand takes their place.
        let spoken = |text: &Text| text.text.replace("@user", ACCOUNT);
        let (noise, wanted): (Vec<&Text>, Vec<&Text>) = texts.iter().partition(|text| text.origin.is_noise());
        assert!(!noise.is_empty() && !wanted.is_empty(), "a feed needs texts of both kinds");
        Feed {
            share_copies: 30,
            share_noise: 600,
            weather: Weather::Calm,
            random: Random(seed),
            wanted: wanted.into_iter().map(spoken).collect(),
            noise: noise.into_iter().map(spoken).collect(),
            recent: VecDeque::new(),
            sent: 0,
            storm_root: None,
        }
    }

    /// From now on it is that kind of day. A new storm has a new first post.
    pub fn set_weather(&mut self, weather: Weather) {
        if self.weather != weather {
            self.storm_root = None;
        }
        self.weather = weather;
    }

    /// How many different mentions were made: copies not counted.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        self.sent
    }

    /// The next mention, posted a moment before `now`: native JSON, as a producer would send it.
    pub fn next(&mut self, now: Millis) -> Vec<u8> {
        let copies = if self.weather == Weather::Storm { self.share_copies * 3 } else { self.share_copies };
        if !self.recent.is_empty() && self.random.permille(copies) {
            let again = self.random.below(self.recent.len() as u64) as usize;
            return self.recent[again].clone();
        }
        let id = FIRST_ID + self.sent;
        self.sent += 1;
        let bytes = if self.weather == Weather::Storm && self.random.permille(STORM_PERMILLE) {
            self.storm_mention(id, now)
        } else {
            self.calm_mention(id, now)
        };
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(bytes.clone());
        assert!(self.recent.len() <= RECENT_MAX);
        bytes
    }

    fn calm_mention(&mut self, id: u64, now: Millis) -> Vec<u8> {
        let noise = self.random.permille(self.share_noise);
        let texts = if noise { &self.noise } else { &self.wanted };
        let mut text = texts[self.random.below(texts.len() as u64) as usize].clone();
        if !noise && self.random.permille(PERSONAL_PERMILLE) {
            // A number made for tests and a name reserved for examples: nobody's data.
            text.push_str(if self.random.permille(500) {
                " my card is 4111 1111 1111 1111"
            } else {
                " write to jane.doe@example.org"
            });
        }
        // The product of two uniform numbers leans to the small ones: a few authors write often.
        let author = self.random.below(CALM_AUTHORS) * self.random.below(CALM_AUTHORS) / CALM_AUTHORS;
        self.mention(id, now, author, text, None)
    }

    fn storm_mention(&mut self, id: u64, now: Millis) -> Vec<u8> {
        let author = CALM_AUTHORS + self.random.below(STORM_AUTHORS);
        let root = *self.storm_root.get_or_insert(id);
        if id != root && self.random.permille(400) {
            let text = format!("RT @first: {COMPLAINT}");
            return self.mention(id, now, author, text, Some(format!("x:{root}")));
        }
        if id == root {
            return self.mention(id, now, author, COMPLAINT.to_owned(), None);
        }
        let mut said = match self.random.below(4) {
            0 => COMPLAINT.to_uppercase(),
            1 => COMPLAINT.replacen("three times", "twice", 1),
            2 => COMPLAINT.split_once(',').map_or(COMPLAINT, |(start, _)| start).to_owned(),
            _ => COMPLAINT.to_owned(),
        };
        said.insert_str(0, BEFORE[self.random.below(BEFORE.len() as u64) as usize]);
        said.push_str(BEHIND[self.random.below(BEHIND.len() as u64) as usize]);
        self.mention(id, now, author, said, None)
    }

    fn mention(
        &mut self,
        id: u64,
        now: Millis,
        author: u64,
        text: String,
        repost_of: Option<String>,
    ) -> Vec<u8> {
        // Half of the posts are less than a second old when they arrive, none more than two.
        let posted = now.plus(-((self.random.below(2_000) * self.random.below(2_000) / 2_000) as i64));
        // Followers double with each level, and each level has half as many authors.
        let level = Random(author).next().trailing_ones().min(20);
        let reply = text.starts_with(ACCOUNT);
        let mention = Native {
            mention_id: format!("x:{id}"),
            network: "x",
            account: ACCOUNT,
            kind: match (&repost_of, reply) {
                (Some(_), _) => "repost",
                (None, true) => "reply",
                (None, false) => "post",
            },
            visibility: "public",
            posted_at: jiff::Timestamp::from_millisecond(posted.0).ok().map(|at| at.to_string()),
            author: NativeAuthor {
                id: format!("x:u{author}"),
                handle: format!("@u{author}"),
                followers: (20_u64 << level) + author % 17,
                verified: level >= 14,
            },
            text,
            repost_of,
        };
        serde_json::to_vec(&mention).expect("invariant: a mention of strings and numbers can be written")
    }
}

#[derive(Serialize)]
struct Native {
    mention_id: String,
    network: &'static str,
    account: &'static str,
    kind: &'static str,
    visibility: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    posted_at: Option<String>,
    author: NativeAuthor,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    repost_of: Option<String>,
}

#[derive(Serialize)]
struct NativeAuthor {
    id: String,
    handle: String,
    followers: u64,
    verified: bool,
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same on every machine.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`. The bias of the remainder is below 1e-14 for limits as small as ours.
    fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "a number below nothing");
        self.next() % limit
    }

    /// True in `share` of a thousand calls.
    fn permille(&mut self, share: u64) -> bool {
        self.below(1_000) < share
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts::texts;
    use super::*;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    const NOW: Millis = Millis(1_795_338_843_120);

    fn sample(weather: Weather, count: usize) -> (Feed, Vec<Vec<u8>>) {
        let mut feed = Feed::new(7, &texts());
        feed.set_weather(weather);
        let sent = (0..count).map(|index| feed.next(NOW.plus(index as i64))).collect();
        (feed, sent)
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("a mention is JSON")
    }

    #[test]
    fn the_same_seed_sends_the_same_mentions() {
        assert_eq!(sample(Weather::Storm, 500).1, sample(Weather::Storm, 500).1);
        let mut other = Feed::new(8, &texts());
        assert_ne!(other.next(NOW), sample(Weather::Calm, 1).1[0]);
    }

    #[test]
    fn every_mention_has_what_a_mention_must_have_and_one_id_has_one_content() {
        let (feed, sent) = sample(Weather::Calm, 5_000);
        let mut by_id: BTreeMap<String, &Vec<u8>> = BTreeMap::new();
        let mut copies = 0;
        for bytes in &sent {
            let mention = read(bytes);
            for field in ["mention_id", "network", "text", "posted_at", "kind"] {
                assert!(mention[field].as_str().is_some_and(|value| !value.is_empty()), "{field}: {mention}");
            }
            assert!(mention["author"]["id"].is_string() && mention["author"]["followers"].is_u64());
            let id = mention["mention_id"].as_str().expect("a string").to_owned();
            match by_id.insert(id, bytes) {
                None => {}
                Some(first) => {
                    assert_eq!(first, bytes, "a copy is the same to the byte");
                    copies += 1;
                }
            }
        }
        assert_eq!(feed.distinct(), by_id.len() as u64);
        // 30 of 1,000 are asked for: 150 expected, standard deviation 12.
        assert!((90..210).contains(&copies), "{copies}");
    }

    #[test]
    fn on_a_calm_day_authors_return_and_most_mentions_concern_nobody() {
        let (_, sent) = sample(Weather::Calm, 5_000);
        let authors: BTreeSet<String> =
            sent.iter().map(|bytes| read(bytes)["author"]["id"].to_string()).collect();
        assert!(authors.len() < 4_000 && authors.len() > 500, "{}", authors.len());
        let texts = texts();
        let noise: BTreeSet<String> = texts
            .iter()
            .filter(|text| text.origin.is_noise())
            .map(|text| text.text.replace("@user", ACCOUNT))
            .collect();
        let share =
            sent.iter().filter(|bytes| noise.contains(read(bytes)["text"].as_str().unwrap_or(""))).count();
        assert!((2_800..3_200).contains(&share), "{share} of 5,000, 3,000 expected");
        assert!(
            sent.iter()
                .any(|bytes| read(bytes)["text"].as_str().is_some_and(|text| text.contains("4111 1111")))
        );
    }

    #[test]
    fn a_storm_is_one_complaint_reworded_reposted_and_sent_twice() {
        let (feed, sent) = sample(Weather::Storm, 2_000);
        let mentions: Vec<Value> = sent.iter().map(|bytes| read(bytes)).collect();
        let about = |mention: &&Value| {
            mention["text"]
                .as_str()
                .is_some_and(|text| text.to_lowercase().contains("my card payment was declined"))
        };
        let of_storm: Vec<&Value> = mentions.iter().filter(about).collect();
        assert!(of_storm.len() > 1_500, "{}", of_storm.len());
        let wordings: BTreeSet<&str> =
            of_storm.iter().filter_map(|mention| mention["text"].as_str()).collect();
        assert!(wordings.len() > 50, "{}", wordings.len());
        let authors: BTreeSet<String> =
            of_storm.iter().map(|mention| mention["author"]["id"].to_string()).collect();
        assert!(authors.len() > 1_000, "{}", authors.len());
        let roots: BTreeSet<&str> =
            of_storm.iter().filter_map(|mention| mention["repost_of"].as_str()).collect();
        assert_eq!(roots.len(), 1, "everybody reposts the first");
        assert!((feed.distinct() as usize) < sent.len());
    }
}
