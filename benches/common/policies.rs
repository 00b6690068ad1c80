//! Policies and texts of the benches, compiled as the daemon compiles them.
//!
//! Owns which texts are wanted and which are noise: the product's own scan stage says it.

use super::mentions::{Mix, Shape, Stream, texts};
use super::queries;
use crossbeam::channel::unbounded;
use std::sync::Arc;
use triage_engine::model::StreamId;
use triage_engine::policy::Bundle;
use triaged::log::{Records, TopicPartition};
use triaged::policies::Compiled;
use triaged::wire::mention::{DecodeLimits, FieldMap, FieldMapConfig};
use triaged::worker::{Job, JobTicket, ScanSettings, Scanned, Scanning};

/// The seed of queries and mentions.
pub const SEED: u64 = 20_261_122;
/// The input's id; any will do without a broker.
pub const STREAM: StreamId = StreamId(7);
/// Of a thousand queries, how many ask for what people say today; chosen so that about 29 % of mentions match one.
const REAL_OF_1000: u64 = 100;
const REAL_OF_10000: u64 = 11;
const REAL_OF_100000: u64 = 1;

/// A policy of so many queries; for the firehose mix with the rule that keeps noise out.
pub fn bundle(count: usize, mix: Mix) -> Bundle {
    queries::policy(&texts().0, count, mix == Mix::Firehose, real_of(count), SEED)
}

/// A policy of so many queries that use every construct of the language beside words and phrases.
pub fn bundle_of_every_construct(count: usize, mix: Mix) -> Bundle {
    queries::every_construct(&texts().0, count, mix == Mix::Firehose, real_of(count), SEED)
}

/// A policy of so many queries that all ask for what people say today, so that more of them match more: beside those above,
/// where the rest asks for products of which nobody speaks.
pub fn bundle_of_real_words(count: usize, mix: Mix) -> Bundle {
    queries::policy(&texts().0, count, mix == Mix::Firehose, 1_000, SEED)
}

fn real_of(count: usize) -> u64 {
    match count {
        0..=1_000 => REAL_OF_1000,
        1_001..=10_000 => REAL_OF_10000,
        _ => REAL_OF_100000,
    }
}

/// A policy with the matcher that the daemon would use.
pub fn compile(bundle: &Bundle) -> Arc<Compiled> {
    let matcher = |literals: &[_]| triaged::hyperscan::build(literals);
    Arc::new(Compiled::new(bundle, matcher).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// How native mentions are read.
pub fn scan_settings() -> ScanSettings {
    let config: FieldMapConfig =
        serde_json::from_value(serde_json::json!({ "preset": "native" })).expect("the preset exists");
    let map = FieldMap::compile(&config).expect("the preset compiles");
    ScanSettings { map: Arc::new(map), limits: DecodeLimits::default() }
}

/// Scans a batch as a worker does.
pub fn scan(scanning: &mut Scanning, records: &Arc<Records>, policy: &Arc<Compiled>) -> Scanned {
    scanning.scan(&Job {
        records: records.clone(),
        range: 0..records.len(),
        policy: policy.clone(),
        stream: STREAM,
        killers: Vec::new(),
        lift: triaged::worker::Lift::Nothing,
        ticket: JobTicket { incarnation: 1, sequence: 0 },
        reply: unbounded().0,
    })
}

/// The texts for mentions that the firehose policy hands to a desk, and those that it calls noise.
pub fn split() -> (Vec<String>, Vec<String>) {
    let policy = compile(&bundle(100, Mix::Firehose));
    let mut scanning = Scanning::new(&scan_settings());
    let input = TopicPartition::new("mentions", 0);
    texts().1.into_iter().partition(|text| {
        let one = [text.clone()];
        let stream = Stream::new(Mix::AllQueued, Shape::Native(0), 1, &one, &[], SEED);
        let scanned = scan(&mut scanning, &stream.batches(&input, 0, 1)[0], &policy);
        !scanned.body(0).is_empty()
    })
}
