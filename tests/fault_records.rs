//! Records that do harm, through the real daemon: one that kills the process, poison, and logs with holes.
//!
//! Owns the records and their places; what must come of them is the oracle's. Each test prints its seed, which
//! `TRIAGED_FAULT_SEED` replays. No test looks at how long anything took.

#[path = "common/faults.rs"]
mod common;

use common::daemon::{Fleet, FleetOptions, read_all, until};
use common::kafka;
use common::load::{PARTITIONS, alone, audited, feed_on, seed};
use common::mentions::{Fate, Mentions, Random, Sent, asked, mention};
use common::oracle::judge;
use common::poison::{Expect, corpus};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use triage_engine::model::DeadLetterReason;
use triaged::log::{Logs, Outgoing, TopicPartition};

/// The text of the record that kills whoever reads it.
const KILLER: &str = "earthquake";
/// More starts than containment may take.
const STARTS_MAX: u32 = 25;
/// So many looks at a log that find the same show that it is at rest.
const LOOKS_AT_REST: u32 = 40;
const WAIT: Duration = Duration::from_secs(60);

#[test]
fn a_record_that_kills_the_process_is_set_aside_alone_and_all_others_are_decided() {
    let name = "killer record";
    let _alone = alone();
    let seed = seed(name);
    let fleet = Fleet::new(kafka::bootstrap(), "killer", PARTITIONS, FleetOptions::default());
    let mut mentions = Mentions::new(seed, PARTITIONS, 20_000);
    let mut records: Vec<Sent> = (0..20_000).map(|_| mentions.next()).collect();
    let mut random = Random(seed);
    let killer = mention(9_999_999, random.below(1_000), KILLER, Fate::Care, PARTITIONS);
    records.insert(random.below(20_000) as usize, killer);
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    fleet.send(producer.as_mut(), &records);
    let ends = fleet.ends(&fleet.input(), PARTITIONS);
    let mut starts = 0;
    let daemon = loop {
        starts += 1;
        let daemon = fleet.start_with("a", &[("TRIAGED_FAULT_ABORT", KILLER)]);
        assert!(starts <= STARTS_MAX, "still not contained at start {starts}\n{}", daemon.tail());
        // Either it dies again, or it gets through.
        let died = until("it dies or gets through", &[], || {
            if let Some(status) = daemon.status() {
                return Ok(Some(status));
            }
            let committed = fleet.committed("triage", &fleet.input(), PARTITIONS)?;
            let through = committed.iter().zip(&ends).all(|(committed, end)| committed >= end);
            if through { Ok(None) } else { Err(format!("{committed:?} of {ends:?}\n{}", daemon.tail())) }
        });
        let Some(status) = died else { break daemon };
        assert_eq!(status.signal(), Some(6), "only the planted record ends it: {status}\n{}", daemon.tail());
    };
    println!("{name}: contained after {starts} starts");
    assert!(starts > 1, "the planted record kills");
    fleet.finish(&[&daemon]);
    daemon.terminate();
    let verdict = judge(&fleet, &|value| {
        let (fate, id) = asked(value);
        let kills = value.is_some_and(|value| String::from_utf8_lossy(value).contains(KILLER));
        (if kills { Fate::Dead(DeadLetterReason::Crashed) } else { fate }, id)
    });
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, 20_001);
    audited(&fleet, name);
}

#[test]
fn poison_among_good_mentions_ends_as_it_should_and_harms_no_neighbour() {
    let name = "poison";
    let _alone = alone();
    let seed = seed(name);
    let options = FleetOptions {
        message_bytes_max: Some("16000000"),
        // Large enough that only the record of 10 MB is too large.
        more: "[input]\nmention_bytes_max = 8388608".to_owned(),
        ..FleetOptions::default()
    };
    let fleet = Fleet::new(kafka::bootstrap(), "poison", PARTITIONS, options);
    let mut random = Random(seed);
    let mut mentions = Mentions::new(seed, PARTITIONS, 6_000);
    let mut producer = fleet.logs.producer("feeder").expect("a producer");
    let mut fates: HashMap<Option<Vec<u8>>, (Fate, String)> = HashMap::new();
    let corpus = corpus();
    let poisons = corpus.len();
    for (index, poison) in corpus.into_iter().enumerate() {
        let good: Vec<Sent> = (0..100).map(|_| mentions.next()).collect();
        fleet.send(producer.as_mut(), &good);
        let (value, fate) = match poison.expect {
            Expect::Dead(reason) => (poison.value, (Fate::Dead(reason), String::new())),
            // Each with an id of its own, or all but the first would be copies.
            Expect::Parsed("1", _) => {
                let id = format!("poison-{index}");
                let value = poison.value.map(|value| with_id(&value, &id));
                (value, (Fate::Care, id))
            }
            Expect::Parsed(id, _) => (poison.value, (Fate::Care, id.to_owned())),
        };
        let to = TopicPartition::new(&fleet.input(), random.below(u64::from(PARTITIONS)) as u32);
        let mut batch = Outgoing::default();
        batch.push(None, value.as_deref());
        kafka::send(producer.as_mut(), &to, &batch);
        fates.insert(value, fate);
    }
    let daemon = fleet.start("a");
    fleet.finish(&[&daemon]);
    daemon.terminate();
    let verdict = judge(&fleet, &|value| {
        let known = fates.get(&value.map(<[u8]>::to_vec));
        known.cloned().unwrap_or_else(|| asked(value))
    });
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, poisons as u64 * 101);
    verdict.expect_no_repeats(name);
    audited(&fleet, name);
}

/// The value with this id in the place of its own.
fn with_id(value: &[u8], id: &str) -> Vec<u8> {
    let own = br#""mention_id":"1""#;
    let at = value.windows(own.len()).position(|window| window == own).expect("the id is 1");
    [&value[..at], format!(r#""mention_id":"{id}""#).as_bytes(), &value[at + own.len()..]].concat()
}

#[test]
fn mentions_of_aborted_transactions_are_not_decided_and_no_other_is_lost() {
    let name = "aborted";
    let _alone = alone();
    let seed = seed(name);
    let fleet = Fleet::new(kafka::bootstrap(), "aborted", PARTITIONS, FleetOptions::default());
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &fleet.bootstrap)
        .set("transactional.id", format!("{}.feeder", fleet.prefix))
        .create()
        .expect("a producer");
    producer.init_transactions(WAIT).expect("transactions are possible");
    let mut random = Random(seed);
    let mut mentions = Mentions::new(seed, PARTITIONS, 10_000);
    let (mut committed, mut aborted) = (0, 0);
    let topic = fleet.input();
    let transactions = 60;
    for transaction in 0..transactions {
        producer.begin_transaction().expect("a transaction begins");
        let records = 1 + random.below(300);
        for _ in 0..records {
            let sent = mentions.next();
            let record = BaseRecord::to(&topic).partition(sent.partition as i32);
            producer
                .send(record.key(&sent.key).payload(&sent.value))
                .map_err(|(error, _)| error)
                .expect("room");
        }
        producer.flush(WAIT).expect("the records are on the log");
        // The last one too, so that the log ends in a hole.
        if transaction + 1 == transactions || random.below(3) == 0 {
            producer.abort_transaction(WAIT).expect("it is aborted");
            aborted += records;
        } else {
            producer.commit_transaction(WAIT).expect("it is committed");
            committed += records;
        }
    }
    println!("{name}: {committed} records committed, {aborted} aborted");
    let daemon = fleet.start("a");
    fleet.finish(&[&daemon]);
    daemon.terminate();
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert_eq!(verdict.inputs, committed);
    audited(&fleet, name);
}

#[test]
fn a_log_with_holes_of_compaction_is_read_to_its_end() {
    let name = "compacted";
    let _alone = alone();
    let seed = seed(name);
    let options = FleetOptions {
        input: vec![
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("segment.bytes", "1048576"),
            ("segment.ms", "1000"),
        ],
        ..FleetOptions::default()
    };
    let fleet = Fleet::new(kafka::bootstrap(), "compacted", PARTITIONS, options);
    let count = 40_000;
    let mut mentions = Mentions::new(seed, PARTITIONS, count);
    feed_on(&fleet, &mut mentions, count - 1_000);
    // Only segments that are closed are compacted: the next record after a second closes each.
    std::thread::sleep(Duration::from_millis(1_200));
    feed_on(&fleet, &mut mentions, 1_000);
    // Authors are the keys, so that compaction leaves of each the newest mentions only.
    let left = until("the broker has compacted the log", &[], || {
        let mut left = 0;
        read_all(&fleet.logs, &fleet.input(), PARTITIONS, |_, _| left += 1);
        if left < count * 3 / 4 { Ok(left) } else { Err(format!("{left} of {count} records are left")) }
    });
    println!("{name}: about {left} of {count} records are left");
    keep_all(&fleet);
    // A compaction that was under way still ends; what it takes must be gone before the daemon reads.
    let (mut left, mut same) = (0, 0);
    until("the log has come to rest", &[], || {
        let before = std::mem::take(&mut left);
        read_all(&fleet.logs, &fleet.input(), PARTITIONS, |_, _| left += 1);
        same = if left == before { same + 1 } else { 0 };
        if same >= LOOKS_AT_REST { Ok(()) } else { Err(format!("{left} records, after {before}")) }
    });
    let daemon = fleet.start("a");
    fleet.finish(&[&daemon]);
    daemon.terminate();
    let verdict = judge(&fleet, &asked);
    verdict.expect_right(name);
    assert!(verdict.inputs < count);
    audited(&fleet, name);
}

/// Ends the compaction of the input: the daemon refuses a topic whose records may vanish while it reads.
fn keep_all(fleet: &Fleet) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &fleet.bootstrap)
        .create()
        .expect("an administration client");
    let topic = fleet.input();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", "delete");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answers = runtime.block_on(admin.alter_configs(&[change], &AdminOptions::new()));
    assert!(
        answers.expect("the broker answers").iter().all(Result::is_ok),
        "the topic keeps all from now on"
    );
    until("the topic keeps all", &[], || {
        let info = fleet.logs.describe(&[topic.as_str()]).map_err(|error| error.to_string())?;
        let compacted = info[0].as_ref().is_none_or(|info| info.compacted);
        if compacted { Err("it is still compacted".to_owned()) } else { Ok(()) }
    });
}
