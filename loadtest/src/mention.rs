//! The bytes of a record: a native mention, spliced from parts that were made before.
//!
//! Owns the JSON, and the field `storm` in it that carries when the record was due and what should become of it; the
//! daemon passes it on as it is, with the mention. Fast: no serialiser runs while records are made. Called by the cast
//! (once a text, to ask the policy), by the generator (millions of times), and by the judge, which finds the field again.

use crate::cast::{Cast, Part, Role, Spoil};
use crate::expect::Expect;

/// Followers of an ordinary author, and of a VIP: fixed, since rules may ask for them.
const FOLLOWERS: [&str; 2] = ["340", "250000"];
/// What posts of the networks carry and triaged does not read: makes records as long, and as many-keyed, as real ones.
const BALLAST: &[&str] = &[
    r#","metrics":{"reposts":4,"likes":31,"quotes":1,"replies":7}"#,
    r#","source":"Web App","possibly_sensitive":false,"edit_controls":{"editable":true,"edits_remaining":5}"#,
    r#","entities":{"hashtags":[],"urls":[],"user_mentions":[{"screen_name":"brandcare","indices":[0,10]}],"symbols":[]}"#,
    r#","profile":{"name":"Somebody","location":"somewhere","description":"opinions are my own","protected":false}"#,
    r#","profile_counts":{"friends":212,"listed":3,"favourites":1771,"statuses":9120}"#,
    r#","profile_look":{"background_color":"F5F8FA","link_color":"1DA1F2","text_color":"333333","use_background_image":true}"#,
    r#","profile_images":{"background":"https://images.example/themes/theme1/bg.png","avatar":"https://images.example/sticky/default_profile_images/default_profile_normal.png"}"#,
    r#","profile_flags":{"contributors_enabled":false,"is_translator":false,"geo_enabled":true,"default_profile":true,"default_profile_image":true}"#,
    r#","place":{"id":"01a9a39529b27f36","url":"https://api.example/1.1/geo/id/01a9a39529b27f36.json","place_type":"city","name":"Manhattan","full_name":"Manhattan, NY","country_code":"US","country":"United States"}"#,
    r#","coordinates":null,"geo":null,"contributors":null,"withheld_in_countries":[],"filter_level":"low","truncated":false"#,
    r#","extended_entities":{"media":[{"id_str":"1490","type":"photo","sizes":{"thumb":{"w":150,"h":150,"resize":"crop"},"small":{"w":680,"h":383,"resize":"fit"},"large":{"w":2048,"h":1152,"resize":"fit"}}}]}"#,
    r#","public_metrics":{"retweet_count":4,"reply_count":7,"like_count":31,"quote_count":1,"bookmark_count":0,"impression_count":2210}"#,
    r#","context_annotations":[{"domain":{"id":"46","name":"Business Taxonomy"},"entity":{"id":"1557696848252391426","name":"Financial Services Business"}},{"domain":{"id":"30","name":"Entities [Entity Service]"},"entity":{"id":"781974596148793345","name":"Business & finance"}}]"#,
    r#","conversation_controls":{"policy":"everyone","conversation_owner":{"screen_name":"somebody"}},"card":null,"supplemental_language":null"#,
    r#","client":{"name":"Web App","version":"10.22","build":"7d3a11","platform":"android","os_version":"14","locale":"en-GB","timezone_offset_minutes":0}"#,
    r#","delivery":{"stream":"firehose","partition":17,"matching_rules":[{"id":"120897978112909812","tag":"brand"}],"backfill":false,"attempt":1}"#,
];
/// Closes a record that has room left: a field of nothing.
const FILL: (&[u8], &[u8]) = (b",\"fill\":\"", b"\"");

/// What one record's field `storm` says, as the judge finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker<'a> {
    /// The record's number.
    pub number: u64,
    /// What follows it, where `want` stands.
    pub rest: &'a [u8],
}

/// Makes the records of one run. Cheap to clone: one for each thread.
#[derive(Debug, Clone)]
pub struct Writer<'c> {
    cast: &'c Cast,
    /// Up to the number of the mention.
    head: Vec<u8>,
    /// From there up to the number of the record.
    marker: Vec<u8>,
    /// Milliseconds since 1970 at which the run starts.
    start_ms: i64,
    /// The second whose text stands in `second_text`.
    second: i64,
    second_text: Vec<u8>,
    numbers: Vec<u8>,
}

impl<'c> Writer<'c> {
    /// A writer for the run called `run`, which starts at this time of day.
    #[must_use]
    pub fn new(cast: &'c Cast, run: &str, start_ms: i64) -> Writer<'c> {
        Writer {
            cast,
            head: format!(r#"{{"mention_id":"x:{run}."#).into_bytes(),
            marker: marker(run),
            start_ms,
            second: i64::MIN,
            second_text: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Appends the record's value.
    pub fn value(&mut self, number: u64, part: &Part, due_ns: u64, out: &mut Vec<u8>) {
        let from = out.len();
        let spoil = match part.role {
            Role::Poison(spoil) => Some(spoil),
            _ => None,
        };
        if spoil == Some(Spoil::NotAnObject) {
            out.push(b'[');
        }
        out.extend_from_slice(&self.head);
        self.number(part.of, out);
        out.extend_from_slice(b"\",\"network\":\"x\",");
        out.extend_from_slice(&self.marker);
        self.number(number, out);
        out.extend_from_slice(b",\"due_ns\":");
        self.number(due_ns, out);
        out.extend_from_slice(self.cast.want(part));
        out.extend_from_slice(
            b",\"account\":\"@brandcare\",\"kind\":\"post\",\"visibility\":\"public\",\"posted_at\":\"",
        );
        self.posted_at(due_ns, out);
        out.extend_from_slice(b"\",\"author\":{\"id\":\"x:u");
        self.number(part.author, out);
        out.extend_from_slice(b"\",\"handle\":\"@u");
        self.number(part.author, out);
        out.extend_from_slice(b"\",\"followers\":");
        out.extend_from_slice(FOLLOWERS[usize::from(part.vip)].as_bytes());
        out.extend_from_slice(if part.vip { b",\"verified\":true}" } else { b",\"verified\":false}" });
        if spoil == Some(Spoil::Cut) {
            return;
        }
        if spoil != Some(Spoil::NoText) {
            out.extend_from_slice(&self.cast.saying(part.text).json);
        }
        self.cast.ballast().append(self.cast.payload_bytes().saturating_sub(out.len() - from + 1), out);
        out.push(b'}');
        if spoil == Some(Spoil::NotAnObject) {
            out.push(b']');
        }
    }

    /// Appends the record's key: its author, as producers are advised.
    pub fn key(&mut self, part: &Part, out: &mut Vec<u8>) {
        out.extend_from_slice(b"x:u");
        self.number(part.author, out);
    }

    fn number(&mut self, number: u64, out: &mut Vec<u8>) {
        self.numbers.clear();
        let mut left = number;
        loop {
            self.numbers.push(b'0' + (left % 10) as u8);
            left /= 10;
            if left == 0 {
                break;
            }
        }
        out.extend(self.numbers.iter().rev());
    }

    /// The instant at which the record is due, as RFC 3339 with milliseconds.
    fn posted_at(&mut self, due_ns: u64, out: &mut Vec<u8>) {
        let ms = self.start_ms + (due_ns / 1_000_000) as i64;
        let (second, rest) = (ms.div_euclid(1_000), ms.rem_euclid(1_000) as u32);
        if second != self.second {
            self.second = second;
            self.second_text.clear();
            let text = jiff::Timestamp::from_second(second).map(|at| at.to_string()).unwrap_or_default();
            self.second_text.extend_from_slice(text.trim_end_matches('Z').as_bytes());
        }
        out.extend_from_slice(&self.second_text);
        out.extend([b'.', digit(rest / 100), digit(rest / 10), digit(rest), b'Z']);
    }
}

fn digit(number: u32) -> u8 {
    b'0' + (number % 10) as u8
}

/// What `storm` begins with in every record of a run.
#[must_use]
pub fn marker(run: &str) -> Vec<u8> {
    format!(r#""storm":{{"run":"{run}","record":"#).into_bytes()
}

/// The field `storm` in a record of the run whose `marker` this is.
#[must_use]
pub fn find<'a>(marker: &[u8], value: &'a [u8]) -> Option<Marker<'a>> {
    let at = position(value, marker)? + marker.len();
    let (number, rest) = leading_number(&value[at..])?;
    Some(Marker { number, rest })
}

/// The number at the start of `bytes`, and what follows it.
#[must_use]
pub fn leading_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    Some((number, &bytes[digits..]))
}

/// Where `needle` first stands in `bytes`.
#[must_use]
pub fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// What `storm` says after the due time: what should become of the record.
#[must_use]
pub fn want(expect: &Expect, names: impl Fn(&Expect) -> (String, String)) -> Vec<u8> {
    let (first, second) = names(expect);
    let text = match expect {
        Expect::Queued { .. } => format!(r#","want":"queued","desk":"{first}","queue":"{second}"}}"#),
        Expect::Noise(_) | Expect::Blocked(_) | Expect::DeadLetter(_) => {
            format!(r#","want":"{}","because":"{first}"}}"#, expect.disposition())
        }
        Expect::Duplicate => r#","want":"duplicate"}"#.to_owned(),
    };
    text.into_bytes()
}

/// Fields that make a record as long as the scenario says.
#[derive(Debug, Clone)]
pub struct Ballast {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
}

impl Default for Ballast {
    fn default() -> Ballast {
        let mut ballast = Ballast { bytes: Vec::new(), ends: vec![0] };
        for field in BALLAST {
            ballast.bytes.extend_from_slice(field.as_bytes());
            ballast.ends.push(ballast.bytes.len());
        }
        ballast
    }
}

impl Ballast {
    /// Appends fields of `room` bytes together, or none where there is no room for one.
    pub fn append(&self, room: usize, out: &mut Vec<u8>) {
        let whole = self.ends[self.ends.partition_point(|&end| end <= room).saturating_sub(1)];
        out.extend_from_slice(&self.bytes[..whole]);
        let frame = FILL.0.len() + FILL.1.len();
        if room - whole >= frame {
            out.extend_from_slice(FILL.0);
            out.resize(out.len() + room - whole - frame, b'-');
            out.extend_from_slice(FILL.1);
        }
    }
}
