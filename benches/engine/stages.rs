//! The stages of the scan one after the other, each loop one stage longer than the one before, and the bare loop.
//!
//! Owns the order in which the product's own functions are called one by one; their sum is compared with the scan stage
//! as the daemon calls it, so that a stage that is missing here shows. A stage's cost is the difference of two loops.

use crate::common::policies::{STREAM, scan_settings};
use std::hint::black_box;
use std::sync::Arc;
use triage_engine::dedup::{author_key, mention_key};
use triage_engine::desk::{Event, QueuedMention};
use triage_engine::model::{Mention, Position};
use triage_engine::policy::{Action, CostMeter, RuleIndex, Scratch};
use triage_engine::scan::{Hit, Scanner};
use triage_engine::text::{NormalText, Normaliser};
use triaged::log::Records;
use triaged::policies::Compiled;
use triaged::wire::desk_log;
use triaged::wire::mention::{Decoded, Decoder};
use triaged::wire::redact::Redactor;

/// The rule that keeps noise out, which is no query.
const NOISE: &str = "off-topic";

/// How far a loop goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    Decode,
    Normalise,
    Match,
    Evaluate,
    Decide,
    Redact,
}

impl Depth {
    pub const ALL: [Depth; 6] =
        [Depth::Decode, Depth::Normalise, Depth::Match, Depth::Evaluate, Depth::Decide, Depth::Redact];

    pub fn name(self) -> &'static str {
        match self {
            Depth::Decode => "decode",
            Depth::Normalise => "normalise",
            Depth::Match => "match",
            Depth::Evaluate => "evaluate",
            Depth::Decide => "action, route, key",
            Depth::Redact => "personal data",
        }
    }
}

/// The buffers of the loops.
pub struct Stages {
    compiled: Arc<Compiled>,
    decoder: Decoder,
    normaliser: Normaliser,
    text: NormalText,
    scanner: Box<dyn Scanner>,
    hits: Vec<Hit>,
    scratch: Scratch,
    matched: Vec<RuleIndex>,
    redactor: Redactor,
    redacted: Vec<u8>,
    out: Vec<u8>,
    /// What the loops saw, for the facts.
    pub seen: Seen,
}

/// Counts over all that went through to the evaluation.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub mentions: u64,
    pub hits: u64,
    /// Mentions that matched a query other than the noise rule.
    pub matched: u64,
    pub matches: u64,
}

impl Stages {
    pub fn new(compiled: Arc<Compiled>) -> Stages {
        let settings = scan_settings();
        Stages {
            decoder: Decoder::new(settings.map.clone(), settings.limits),
            normaliser: Normaliser::new(),
            text: NormalText::default(),
            scanner: compiled.matcher().scanner(),
            hits: Vec::new(),
            scratch: Scratch::default(),
            matched: Vec::new(),
            redactor: Redactor::new(settings.map),
            redacted: Vec::new(),
            out: Vec::new(),
            compiled,
            seen: Seen::default(),
        }
    }

    /// Runs the stages up to `depth` on every record.
    pub fn run(&mut self, batches: &[Arc<Records>], depth: Depth) {
        for records in batches {
            for record in records.iter() {
                self.one(record.value.expect("mentions have values"), depth);
            }
        }
    }

    fn one(&mut self, value: &[u8], depth: Depth) {
        let policy = self.compiled.policy();
        let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(value)) else {
            panic!("a made mention can be read")
        };
        if depth < Depth::Normalise {
            black_box(&mention);
            return;
        }
        self.normaliser.normalise(mention.text, policy.forms(), &mut self.text);
        if depth < Depth::Match {
            return;
        }
        self.hits.clear();
        self.scanner.scan(&self.text, &mut self.hits);
        if depth < Depth::Evaluate {
            return;
        }
        self.matched.clear();
        policy.evaluate(&mention, &self.text, &self.hits, &mut self.scratch, &mut self.matched);
        if depth < Depth::Decide {
            self.seen.mentions += 1;
            self.seen.hits += self.hits.len() as u64;
            let queries = self.matched.iter().filter(|rule| policy.rules()[rule.place()].name != NOISE);
            let queries = queries.count() as u64;
            self.seen.matched += u64::from(queries > 0);
            self.seen.matches += queries;
            return;
        }
        black_box(mention_key(mention.network, mention.mention_id, &policy.hash_key()));
        if let Action::Route = policy.action(&mention, &self.matched) {
            black_box(policy.route(&mention, &self.matched));
            if depth >= Depth::Redact {
                black_box(self.redactor.redact(value, &mut self.redacted));
            }
        }
    }

    /// How many queries are run for a mention, the noise rule left out; counted by the engine's own meter, not timed.
    pub fn runs(&mut self, records: &Records) -> f64 {
        let policy = self.compiled.policy();
        let mut meter = CostMeter::new(policy);
        for record in records.iter() {
            let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(record.value) else {
                panic!("a made mention can be read")
            };
            self.normaliser.normalise(mention.text, policy.forms(), &mut self.text);
            self.hits.clear();
            self.scanner.scan(&self.text, &mut self.hits);
            meter.observe(&mention, &self.text, &self.hits);
        }
        let queries = policy.rules().iter().zip(meter.costs()).filter(|(rule, _)| rule.name != NOISE);
        queries.map(|(_, cost)| cost.runs).sum::<u64>() as f64 / records.len() as f64
    }

    /// The ruler: decode, match, and a record written for every mention; no rules, no personal data, no memory.
    pub fn bare(&mut self, batches: &[Arc<Records>]) {
        let key = self.compiled.policy().hash_key();
        for records in batches {
            self.out.clear();
            for record in records.iter() {
                let raw = record.value.expect("mentions have values");
                let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(raw)) else {
                    panic!("a made mention can be read")
                };
                self.normaliser.normalise(
                    mention.text,
                    triage_engine::text::Forms::default(),
                    &mut self.text,
                );
                self.hits.clear();
                self.scanner.scan(&self.text, &mut self.hits);
                let position = Position {
                    stream: STREAM,
                    partition: records.partition().partition,
                    offset: record.offset,
                };
                let queued = as_queued(&mention, position, &self.compiled, &key, raw);
                desk_log::encode_event(&Event::Mention(queued), &mut self.out);
                black_box(&self.hits);
            }
            black_box(&self.out);
        }
    }
}

fn as_queued<'a>(
    mention: &Mention<'a>,
    input: Position,
    compiled: &'a Compiled,
    hash_key: &[u8; 16],
    raw: &'a [u8],
) -> QueuedMention<'a> {
    QueuedMention {
        key: mention_key(mention.network, mention.mention_id, hash_key),
        author: author_key(mention.network, mention.author.id, hash_key),
        mention_id: mention.mention_id,
        network: mention.network,
        author_id: mention.author.id,
        author_handle: mention.author.handle,
        desk: "care",
        queue: "care.general",
        tags: Vec::new(),
        category: "general",
        priority: 0,
        resolution: "either",
        posted_at: mention.posted_at.unwrap_or(crate::common::mentions::START),
        input,
        generation: compiled.generation(),
        pii_found: Vec::new(),
        pii_redacted: false,
        raw,
    }
}
