//! The stateless stages on one batch: decode, normalise, scan, evaluate, redact, and the bytes a desk would need.
//!
//! Owns the buffers of one thread, reused from mention to mention. Everything found depends on the mention and the
//! policy alone, so any thread may do it, and doing it again after a crash gives the same. Called by `Workers`.

use super::{Job, Lift};
use super::{Scanned, ScannedRecord};
use crate::config::Settings;
use crate::error::Error;
use crate::policies::Compiled;
use crate::wire::mention::{DecodeLimits, Decoded, Decoder, FieldMap, FieldMapConfig};
use crate::wire::{dead_letter, desk_log, redact};
use std::ops::Range;
use std::sync::Arc;
use triage_engine::dedup::{author_key, mention_key};
use triage_engine::desk::{Event, QueuedMention};
use triage_engine::model::{DeadLetterReason, Mention, Position};
use triage_engine::policy::{Action, Generation, Policy, Route, RuleIndex, Scratch};
use triage_engine::scan::{Hit, Scanner};
use triage_engine::text::{NormalText, Normaliser};
use triage_engine::triage::{DETAIL_NONE, Verdict, Wish};

/// What scanning needs beside the policy.
#[derive(Clone)]
pub struct ScanSettings {
    /// Which field of a record is what.
    pub map: Arc<FieldMap>,
    /// How large and how deep a record may be.
    pub limits: DecodeLimits,
}

impl ScanSettings {
    /// How mentions are read under these settings.
    ///
    /// # Errors
    /// 78 with every mistake in the field map.
    pub fn of(settings: &Settings) -> Result<ScanSettings, Error> {
        let preset = match settings.input.preset.as_str() {
            "triaged" => "native".to_owned(),
            other => other.replace('-', "_"),
        };
        let mut object: serde_json::Map<String, serde_json::Value> =
            settings.input.fields.iter().map(|(name, path)| (name.clone(), path.clone().into())).collect();
        object.insert("preset".to_owned(), preset.into());
        let config: FieldMapConfig = serde_json::from_value(object.into())
            .map_err(|error| Error::configuration(format!("`input.fields`: {error}")))?;
        let map = FieldMap::compile(&config)
            .map_err(|mistakes| Error::configuration("`input.fields` has mistakes").mistakes(mistakes))?;
        let limits = DecodeLimits {
            mention_bytes_max: settings.input.mention_bytes_max as usize,
            ..DecodeLimits::default()
        };
        Ok(ScanSettings { map: Arc::new(map), limits })
    }
}

/// One thread's scanning.
pub struct Scanning {
    decoder: Decoder,
    redactor: redact::Redactor,
    rules: Rules,
    redacted: Vec<u8>,
    /// Bytes of bodies that a batch is expected to need.
    bodies_expected: usize,
}

/// The rules' part of it, apart from the decoder that the mention borrows from: what one policy makes of one mention
/// after the other. Those who compare policies have one for each.
#[derive(Default)]
pub struct Rules {
    scanner: Option<(Generation, Box<dyn Scanner>)>,
    normaliser: Normaliser,
    text: NormalText,
    hits: Vec<Hit>,
    scratch: Scratch,
    matched: Vec<RuleIndex>,
}

impl Scanning {
    /// Buffers for one thread.
    #[must_use]
    pub fn new(settings: &ScanSettings) -> Scanning {
        Scanning {
            decoder: Decoder::new(settings.map.clone(), settings.limits),
            redactor: redact::Redactor::new(settings.map.clone()),
            rules: Rules::default(),
            redacted: Vec::new(),
            bodies_expected: 0,
        }
    }

    /// Scans a batch.
    pub fn scan(&mut self, job: &Job) -> Scanned {
        self.scan_carefully(job, &mut |_| {})
    }

    /// Scans a batch, telling before each record that it is about to be read, and after the last that it was.
    pub fn scan_carefully(&mut self, job: &Job, about_to_read: &mut dyn FnMut(Option<i64>)) -> Scanned {
        let partition = job.records.partition();
        let mut scanned = Scanned {
            partition: partition.clone(),
            policy: job.policy.clone(),
            records: Vec::with_capacity(job.range.len()),
            bodies: Vec::with_capacity(self.bodies_expected),
            bytes: 0,
        };
        for index in job.range.clone() {
            let record = job.records.get(index);
            let from = scanned.bodies.len();
            let verdict = if job.killers.contains(&record.offset) {
                Verdict::Dead(DeadLetterReason::Crashed)
            } else {
                about_to_read(Some(record.offset));
                #[cfg(debug_assertions)]
                fault_point(record.value);
                let position =
                    Position { stream: job.stream, partition: partition.partition, offset: record.offset };
                self.read(record.value, record.timestamp, position, job, &mut scanned.bodies)
            };
            if let Verdict::Dead(reason) = verdict {
                dead_letter::write(partition, record.offset, record.value, reason, &mut scanned.bodies);
            }
            let body = Range { start: from, end: scanned.bodies.len() };
            scanned.records.push(ScannedRecord {
                offset: record.offset,
                timestamp: record.timestamp,
                verdict,
                body,
            });
        }
        about_to_read(None);
        // The next batch is probably like this one: a buffer that grows is copied again and again.
        self.bodies_expected = scanned.bodies.len() + scanned.bodies.len() / 8;
        scanned.bytes = scanned.bodies.len() + scanned.records.len() * size_of::<ScannedRecord>();
        scanned
    }

    fn read(
        &mut self,
        value: Option<&[u8]>,
        timestamp: triage_engine::model::Millis,
        position: Position,
        job: &Job,
        bodies: &mut Vec<u8>,
    ) -> Verdict {
        let policy = &*job.policy;
        let mention = match self.decoder.decode(value) {
            Ok(Decoded::Mention { mention, .. }) => mention,
            Ok(Decoded::NotAMention { .. }) => return Verdict::NotAMention,
            Err(reason) => return Verdict::Dead(reason),
        };
        let hash_key = policy.policy().hash_key();
        let key = mention_key(mention.network, mention.mention_id, &hash_key);
        let (wish, route) = self.rules.wish(&mention, policy, job.lift);
        if let Some(route) = route {
            let raw = value.expect("invariant: a record without a value is a dead letter");
            let found = self.redactor.redact(raw, &mut self.redacted);
            let raw = if found.is_empty() { raw } else { &self.redacted };
            let queued =
                self.rules.queued(&mention, policy, route, timestamp, position, &found, raw, &hash_key);
            desk_log::encode_event(&Event::Mention(queued), bodies);
        }
        Verdict::Mention { key, wish }
    }
}

/// What the rules ask for, but for those that are lifted.
fn action(policy: &Policy, mention: &Mention<'_>, matched: &[RuleIndex], lift: Lift) -> Action {
    match lift {
        Lift::Nothing => policy.action(mention, matched),
        Lift::Everything => Action::Route,
        Lift::Rule(lifted) => {
            let acting: Vec<RuleIndex> = matched.iter().copied().filter(|&rule| rule != lifted).collect();
            policy.action(mention, &acting)
        }
    }
}

impl Rules {
    /// What the rules that match ask for, but for those that are lifted, and the way to the desk if it is one.
    pub fn wish(&mut self, mention: &Mention<'_>, policy: &Compiled, lift: Lift) -> (Wish, Option<Route>) {
        self.evaluate(mention, policy);
        match action(policy.policy(), mention, &self.matched, lift) {
            Action::Noise(rule) => (Wish::Noise(rule.0), None),
            Action::Block(rule) => (Wish::Block(rule.map_or(DETAIL_NONE, |rule| rule.0)), None),
            Action::Route => {
                let route = policy.policy().route(mention, &self.matched);
                (Wish::Route { desk: route.desk.0, queue: route.queue.0 }, Some(route))
            }
        }
    }

    /// The rules that matched the last mention.
    #[must_use]
    pub fn matched(&self) -> &[RuleIndex] {
        &self.matched
    }

    /// Finds the rules that match.
    fn evaluate(&mut self, mention: &Mention<'_>, policy: &Compiled) {
        let generation = policy.generation();
        if self.scanner.as_ref().is_none_or(|(known, _)| *known != generation) {
            self.scanner = Some((generation, policy.matcher().scanner()));
        }
        let (_, scanner) = self.scanner.as_mut().expect("invariant: just made");
        self.normaliser.normalise(mention.text, policy.policy().forms(), &mut self.text);
        self.hits.clear();
        scanner.scan(&self.text, &mut self.hits);
        self.matched.clear();
        policy.policy().evaluate(mention, &self.text, &self.hits, &mut self.scratch, &mut self.matched);
    }

    #[allow(clippy::too_many_arguments, reason = "one call site; every argument is a fact of the mention")]
    fn queued<'a>(
        &self,
        mention: &Mention<'a>,
        policy: &'a Compiled,
        route: Route,
        timestamp: triage_engine::model::Millis,
        input: Position,
        found: &[&'static str],
        raw: &'a [u8],
        hash_key: &[u8; 16],
    ) -> QueuedMention<'a> {
        let rules = policy.policy();
        let assertion = rules.assertion(&self.matched, route.queue);
        let mut tags = Vec::new();
        rules.tags(&self.matched, &mut tags);
        QueuedMention {
            key: mention_key(mention.network, mention.mention_id, hash_key),
            author: author_key(mention.network, mention.author.id, hash_key),
            mention_id: mention.mention_id,
            network: mention.network,
            author_id: mention.author.id,
            author_handle: mention.author.handle,
            desk: &rules.desks()[usize::from(route.desk.0)].name,
            queue: &rules.queues()[usize::from(route.queue.0)].name,
            tags,
            category: assertion.category.name(),
            priority: i32::from(assertion.priority),
            resolution: assertion.resolution.name(),
            posted_at: mention.posted_at.unwrap_or(timestamp),
            input,
            generation: policy.generation(),
            pii_found: found.to_vec(),
            pii_redacted: !found.is_empty(),
            raw,
        }
    }
}

/// In builds with debug assertions, a record that holds the text in `TRIAGED_FAULT_ABORT` kills the process, and one
/// that holds the text in `TRIAGED_FAULT_HANG` holds its thread for ever: the tests plant them to show that such a
/// record is found and set aside, and that the watchdog starves. Release builds do not have it.
#[cfg(debug_assertions)]
fn fault_point(value: Option<&[u8]>) {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<[Option<String>; 2]> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| {
        ["TRIAGED_FAULT_ABORT", "TRIAGED_FAULT_HANG"]
            .map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
    });
    let has = |planted: &Option<String>| {
        let (Some(planted), Some(value)) = (planted, value) else { return false };
        value.windows(planted.len()).any(|window| window == planted.as_bytes())
    };
    if has(&planted[0]) {
        std::process::abort();
    }
    while has(&planted[1]) {
        std::thread::park();
    }
}
