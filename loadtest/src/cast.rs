//! Who says what: from a record's number to its author, partition, text, and what should become of it.
//!
//! Owns the mix. A pure function of scenario, policy and number: the sender, the report and the judge each ask it anew,
//! and nothing is remembered between records. Called by all three.

use crate::expect::{Expect, Oracle};
use crate::mention::{self, Ballast, Writer};
use crate::random::{Draw, draw, share};
use crate::scenario::{Authors, LANGUAGES, Mix, Scenario};
use crate::shape::Shape;
use std::collections::BTreeMap;
use triage_engine::model::DeadLetterReason;
use triaged::demo::{Origin, texts};
use triaged::error::Error;

/// How far back a duplicate's original may lie, in records.
const COPY_REACH: u64 = 1_000;
/// Of so many ordinary authors there is one VIP.
const AUTHORS_PER_VIP: u64 = 100;
const QUEUED: usize = 0;
const NOISE: usize = 1;

/// What a record is in the play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A new mention.
    Original,
    /// A copy: of a mention a moment ago, or of the first post of a storm.
    Copy,
    /// Cannot be read.
    Poison(Spoil),
}

/// How a record is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// Cut off in the middle.
    Cut,
    /// An array.
    NotAnObject,
    /// A mention without a text.
    NoText,
}

/// How records are spoiled, and what the dead letter must say.
pub const SPOILS: [(Spoil, DeadLetterReason); 3] = [
    (Spoil::Cut, DeadLetterReason::NotJson),
    (Spoil::NotAnObject, DeadLetterReason::NotAnObject),
    (Spoil::NoText, DeadLetterReason::MissingField),
];

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub role: Role,
    /// The record whose mention it is: itself, or the one that it copies.
    pub of: u64,
    /// Where it goes.
    pub partition: u32,
    /// Who wrote it.
    pub author: u64,
    /// Whether that is a VIP.
    pub vip: bool,
    /// Which saying.
    pub text: u32,
}

/// A text, and what the policy makes of it.
#[derive(Debug, Clone)]
pub struct Saying {
    /// The fields `text` and `lang`, as they stand in a record.
    pub json: Vec<u8>,
    /// From an ordinary author, and from a VIP.
    expect: [Expect; 2],
    /// What `storm` says of them.
    want: [Vec<u8>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Queued,
    Duplicate,
    Member,
    Noise,
    Poison,
    /// The first post of a phase's storm on one partition.
    First(u32),
}

/// The whole cast of one scenario under one policy.
#[derive(Debug)]
pub struct Cast {
    seed: u64,
    shape: Shape,
    mixes: Vec<Mix>,
    partitions: u32,
    authors: Authors,
    payload_bytes: usize,
    sayings: Vec<Saying>,
    /// By class, kind of author and language.
    pools: [[[Vec<u32>; LANGUAGES.len()]; 2]; 2],
    languages: [f64; LANGUAGES.len()],
    want_copy: Vec<u8>,
    want_poison: Vec<Vec<u8>>,
    ballast: Ballast,
    names: Names,
}

/// Names of the policy, by their place in it.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Desks.
    pub desks: Vec<String>,
    /// Queues.
    pub queues: Vec<String>,
    /// Rules.
    pub rules: Vec<String>,
}

impl Names {
    fn of(oracle: &Oracle) -> Names {
        let policy = oracle.policy();
        Names {
            desks: policy.desks().iter().map(|desk| desk.name.clone()).collect(),
            queues: policy.queues().iter().map(|queue| queue.name.clone()).collect(),
            rules: policy.rules().iter().map(|rule| rule.name.clone()).collect(),
        }
    }

    /// Desk and queue, or the rule or reason and nothing.
    #[must_use]
    pub fn told(&self, expect: &Expect) -> (String, String) {
        let name = |names: &[String], index: u32| names.get(index as usize).cloned().unwrap_or_default();
        match *expect {
            Expect::Queued { desk, queue } => {
                (name(&self.desks, desk.into()), name(&self.queues, queue.into()))
            }
            Expect::Noise(rule) | Expect::Blocked(Some(rule)) => (name(&self.rules, rule), String::new()),
            Expect::Blocked(None) => ("account".to_owned(), String::new()),
            Expect::Duplicate => (String::new(), String::new()),
            Expect::DeadLetter(reason) => (reason.name().to_owned(), String::new()),
        }
    }
}

impl Cast {
    /// Asks the policy about every text, as an ordinary author and as a VIP say it.
    ///
    /// # Errors
    /// 78 when the policy makes nothing of any text that the mix asks for.
    pub fn new(scenario: &Scenario, oracle: &mut Oracle) -> Result<Cast, Error> {
        let names = Names::of(oracle);
        let want = |expect: &Expect| mention::want(expect, |expect| names.told(expect));
        let want_poison = SPOILS.iter().map(|(_, reason)| want(&Expect::DeadLetter(*reason))).collect();
        let mut cast = Cast {
            seed: scenario.seed,
            shape: scenario.shape.clone(),
            mixes: scenario.mixes.clone(),
            partitions: scenario.partitions,
            authors: scenario.authors,
            payload_bytes: scenario.payload_bytes,
            sayings: Vec::new(),
            pools: Default::default(),
            languages: scenario.languages,
            want_copy: want(&Expect::Duplicate),
            want_poison,
            ballast: Ballast::default(),
            names: names.clone(),
        };
        for text in texts() {
            let language = usize::from(text.origin == Origin::Japanese);
            // Handles were replaced in the texts; the brand's takes their place.
            let said = text.text.replace("@user", "@brandcare");
            cast.learn(oracle, &said, language);
        }
        let queued = cast.mixes.iter().any(|mix| mix.queued + mix.storm_members > 0.0);
        let noise = cast.mixes.iter().any(|mix| mix.noise > 0.0);
        for (class, name, wanted) in [(QUEUED, "queues", queued), (NOISE, "calls noise", noise)] {
            if wanted && cast.pools[class].iter().any(|pool| pool.iter().all(Vec::is_empty)) {
                let count = cast.sayings.len();
                return Err(Error::configuration(format!(
                    "the policy {name} none of the {count} texts that there are"
                ))
                .hint("the mix asks for such mentions: change it, or the policy"));
            }
        }
        Ok(cast)
    }

    fn learn(&mut self, oracle: &mut Oracle, said: &str, language: usize) {
        let text = serde_json::to_string(said).expect("invariant: a string can be written as JSON");
        let json = format!(r#","text":{text},"lang":"{}""#, LANGUAGES[language]).into_bytes();
        let index = self.sayings.len() as u32;
        // Until the policy was asked it is nothing; what `storm` says has no part in the answer.
        let (expect, want) = ([Expect::Duplicate; 2], [self.want_copy.clone(), self.want_copy.clone()]);
        self.sayings.push(Saying { json, expect, want });
        for vip in [false, true] {
            let part = Part { role: Role::Original, of: 0, partition: 0, author: 0, vip, text: index };
            let mut value = Vec::new();
            Writer::new(self, "0", 0).value(0, &part, 0, &mut value);
            let expect = oracle.ask(&value);
            let kind = usize::from(vip);
            match expect {
                Expect::Queued { .. } => self.pools[QUEUED][kind][language].push(index),
                Expect::Noise(_) => self.pools[NOISE][kind][language].push(index),
                // What is blocked is in no mix.
                _ => {}
            }
            let want = mention::want(&expect, |expect| self.names.told(expect));
            let saying = &mut self.sayings[index as usize];
            (saying.expect[kind], saying.want[kind]) = (expect, want);
        }
    }

    /// How many records there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shape.total()
    }

    /// The schedule.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Partitions of the input.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Names of the policy.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Bytes of a value.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    pub(crate) fn saying(&self, text: u32) -> &Saying {
        &self.sayings[text as usize]
    }

    pub(crate) fn ballast(&self) -> &Ballast {
        &self.ballast
    }

    /// What should become of a record.
    #[must_use]
    pub fn outcome(&self, part: &Part) -> Expect {
        match part.role {
            Role::Original => self.sayings[part.text as usize].expect[usize::from(part.vip)],
            Role::Copy => Expect::Duplicate,
            Role::Poison(spoil) => {
                let found = SPOILS.iter().find(|(known, _)| *known == spoil);
                Expect::DeadLetter(found.expect("invariant: the list holds every way to spoil").1)
            }
        }
    }

    /// What the record's field `storm` says of it.
    #[must_use]
    pub fn want(&self, part: &Part) -> &[u8] {
        match part.role {
            Role::Original => &self.sayings[part.text as usize].want[usize::from(part.vip)],
            Role::Copy => &self.want_copy,
            Role::Poison(spoil) => {
                let index = SPOILS.iter().position(|(known, _)| *known == spoil);
                &self.want_poison[index.expect("invariant: the list holds every way to spoil")]
            }
        }
    }

    /// What the record with this number is.
    #[must_use]
    pub fn part(&self, number: u64) -> Part {
        match self.class(number) {
            Class::Queued => self.original(number, QUEUED),
            Class::Noise => self.original(number, NOISE),
            Class::First(partition) => self.first(number, partition),
            Class::Duplicate => match self.original_before(number) {
                Some(of) => Part { role: Role::Copy, ..self.part(of) },
                // There is nothing to copy yet.
                None => {
                    let noise = self.pools[NOISE][0].iter().any(|pool| !pool.is_empty());
                    self.original(number, if noise { NOISE } else { QUEUED })
                }
            },
            Class::Member => {
                let partition =
                    self.place(number, draw(self.seed, number, Draw::Copy) % u64::from(self.partitions));
                let of = self.shape.records(self.shape.phase_of(number)).start + partition;
                Part { role: Role::Copy, ..self.part(of) }
            }
            Class::Poison => {
                let spoil = draw(self.seed, number, Draw::Poison) as usize % SPOILS.len();
                Part { role: Role::Poison(SPOILS[spoil].0), ..self.original(number, QUEUED) }
            }
        }
    }

    fn class(&self, number: u64) -> Class {
        let phase = self.shape.phase_of(number);
        let mix = &self.mixes[phase];
        if mix.storm_members > 0.0 {
            let into = number - self.shape.records(phase).start;
            if into < u64::from(self.partitions) {
                return Class::First(into as u32);
            }
        }
        let mut left = share(self.seed, number, Draw::Class);
        let classes = [Class::Queued, Class::Duplicate, Class::Member, Class::Noise, Class::Poison];
        for (class, share) in classes.into_iter().zip(mix.shares()) {
            left -= share;
            if left < 0.0 {
                return class;
            }
        }
        // Shares that add up to 1 may miss it by rounding.
        let last = classes.into_iter().zip(mix.shares()).rfind(|(_, share)| *share > 0.0);
        last.map_or(Class::Queued, |(class, _)| class)
    }

    /// A new mention not far before this one.
    fn original_before(&self, number: u64) -> Option<u64> {
        if number == 0 {
            return None;
        }
        let reach = number.min(COPY_REACH);
        let from = number - 1 - draw(self.seed, number, Draw::Copy) % reach;
        // Below the reach of all there may be nothing but copies: a bounded look is enough.
        let lowest = from.saturating_sub(COPY_REACH);
        (lowest..=from)
            .rev()
            .find(|&earlier| matches!(self.class(earlier), Class::Queued | Class::Noise | Class::First(_)))
    }

    fn original(&self, number: u64, class: usize) -> Part {
        let vip = share(self.seed, number, Draw::Vip) < self.authors.vip;
        let pools = &self.pools[class][usize::from(vip)];
        let weight =
            |language: usize| if pools[language].is_empty() { 0.0 } else { self.languages[language] };
        let sum: f64 = (0..LANGUAGES.len()).map(weight).sum();
        let mut left = share(self.seed, number, Draw::Language) * sum;
        let chosen = (0..LANGUAGES.len()).find(|&language| {
            left -= weight(language);
            left < 0.0
        });
        // Where no wanted language has such a text, any serves.
        let language = chosen.or_else(|| pools.iter().position(|pool| !pool.is_empty())).unwrap_or(0);
        let pool = &pools[language];
        let text = pool.get(draw(self.seed, number, Draw::Text) as usize % pool.len().max(1));
        let author = self.author(number, vip);
        let partition = (author % u64::from(self.partitions)) as u32;
        Part { role: Role::Original, of: number, partition, author, vip, text: text.copied().unwrap_or(0) }
    }

    /// The first post of a storm: on every partition the same words.
    fn first(&self, number: u64, partition: u32) -> Part {
        let storm = number - u64::from(partition);
        let pool = self.pools[QUEUED][0].iter().find(|pool| !pool.is_empty());
        let pool = pool.map_or(&[][..], Vec::as_slice);
        let text = pool.get(draw(self.seed, storm, Draw::Text) as usize % pool.len().max(1));
        let partitions = u64::from(self.partitions);
        let author = draw(self.seed, number, Draw::Author) % (self.authors.count / partitions) * partitions;
        Part {
            role: Role::Original,
            of: number,
            partition,
            author: author + u64::from(partition),
            vip: false,
            text: text.copied().unwrap_or(0),
        }
    }

    /// An author's partition is his number's rest, so that one author's mentions stay in order.
    fn author(&self, number: u64, vip: bool) -> u64 {
        let partitions = u64::from(self.partitions);
        let drawn = draw(self.seed, number, Draw::Author);
        let author = match vip {
            false => drawn % self.authors.count,
            true => self.authors.count + drawn % (self.authors.count / AUTHORS_PER_VIP).max(partitions),
        };
        author - author % partitions + self.place(number, author % partitions)
    }

    fn place(&self, number: u64, fair: u64) -> u64 {
        let hot = share(self.seed, number, Draw::Hot) < self.authors.hot_partition;
        if hot { 0 } else { fair }
    }

    /// How many records of each kind there will be, and of what.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        census.by_partition.resize(self.partitions as usize, 0);
        for number in 0..self.total() {
            let part = self.part(number);
            let expect = self.outcome(&part);
            census.records += 1;
            *census.by_disposition.entry(expect.disposition()).or_default() += 1;
            census.by_partition[part.partition as usize] += 1;
            census.vip += u64::from(part.vip && part.role == Role::Original);
            if let Expect::Queued { queue, .. } = expect {
                *census.by_queue.entry(self.names.queues[usize::from(queue)].clone()).or_default() += 1;
            }
        }
        census
    }
}

/// What a run will send.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Census {
    /// All.
    pub records: u64,
    /// By what should become of them.
    pub by_disposition: BTreeMap<&'static str, u64>,
    /// Queued ones, by queue.
    pub by_queue: BTreeMap<String, u64>,
    /// By partition.
    pub by_partition: Vec<u64>,
    /// New mentions of VIPs.
    pub vip: u64,
}

#[cfg(test)]
mod tests;
