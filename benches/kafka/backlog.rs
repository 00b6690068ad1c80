//! A backlog read as fast as it goes: triaged and the bare program on the same input, one after the other, again and again.
//!
//! Owns what is counted: from the moment the first ledger record is there until the last output is, so that starting up
//! and compiling the policy are in neither side's figures.

use crate::bare::{Lane, Output};
use crate::common::measure::{Figure, Results, Rounds};
use crate::common::mentions::{Mix, Shape, Stream};
use crate::common::policies;
use crate::fleet::{DESK_PARTITIONS, Fleet, Process, delete, fresh};
use rdkafka::message::Headers;
use rdkafka::{ClientConfig, Message};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use triage_engine::policy::Bundle;
use triaged::kafka::{KafkaLogs, KafkaSettings};
use triaged::log::{Logs, NewTopic, Outgoing, Producer, ReadStep, Ticket, TopicPartition};

/// How many ids exact dedup remembers of each partition where memory is measured: more than lie between a mention and its
/// copies, and few beside the mentions of a partition.
const MEMORY_IDS_MAX: usize = 20_000;

/// An input topic, filled.
pub struct Backlog {
    pub topic: String,
    pub partitions: u32,
    pub mentions: usize,
    /// How many of them are new and for a desk.
    pub queued: usize,
    pub bytes_mean: f64,
    pub mix: Mix,
    pub shape: Shape,
    bootstrap: String,
}

impl Drop for Backlog {
    fn drop(&mut self) {
        delete(&self.bootstrap, std::slice::from_ref(&self.topic));
    }
}

/// A cluster whose producers do not compress: inputs are as the peers' were.
pub fn plain(bootstrap: &str) -> KafkaLogs {
    let mut settings = KafkaSettings::new(bootstrap);
    settings.producer.insert("compression.type".to_owned(), "none".to_owned());
    KafkaLogs::new(settings).expect("the settings are allowed")
}

/// Makes an input topic.
pub fn input_topic(logs: &KafkaLogs, partitions: u32) -> String {
    let name = fresh("mentions");
    let topic = NewTopic { name: name.clone(), partitions, replication: 1, config: Vec::new() };
    logs.create(&[topic]).expect("the input is made");
    name
}

impl Backlog {
    /// Fills a topic with so many mentions, keyed by author.
    pub fn fill(bootstrap: &str, mix: Mix, shape: Shape, mentions: usize, partitions: u32) -> Backlog {
        let logs = plain(bootstrap);
        let topic = input_topic(&logs, partitions);
        let (wanted, noise) = policies::split();
        let pass = mentions.min(100_000);
        let mut stream = Stream::new(mix, shape, pass, &wanted, &noise, policies::SEED);
        let mut producer = logs.producer("fill").expect("a producer");
        let passes = mentions.div_ceil(pass);
        for _ in 0..passes {
            stream.renumber();
            send(producer.as_mut(), &topic, partitions, &stream);
        }
        Backlog {
            topic,
            partitions,
            mentions: passes * stream.len(),
            queued: passes * stream.queued,
            bytes_mean: stream.bytes_mean(),
            mix,
            shape,
            bootstrap: bootstrap.to_owned(),
        }
    }

    /// Topics of their own for one run over it.
    pub fn fleet(&self, queries: usize) -> Fleet {
        self.fleet_with(&policies::bundle(queries, self.mix))
    }

    fn fleet_with(&self, policy: &Bundle) -> Fleet {
        Fleet::new(&self.bootstrap, &self.topic, self.partitions, self.shape.preset(), policy)
    }
}

fn send(producer: &mut dyn Producer, topic: &str, partitions: u32, stream: &Stream) {
    let mut batches: BTreeMap<u64, Outgoing> = BTreeMap::new();
    for (author, mention) in stream.iter() {
        let key = author.to_string();
        batches.entry(author % u64::from(partitions)).or_default().push(Some(key.as_bytes()), Some(mention));
    }
    let ticket = Arc::new(Ticket::new());
    for (partition, batch) in batches {
        producer
            .send(&TopicPartition::new(topic, partition as u32), &batch, &ticket)
            .expect("it is enqueued");
    }
    while !ticket.is_settled() {
        producer.flush(Duration::from_millis(50));
    }
    assert_eq!(ticket.failure(), None, "the broker takes the input");
}

/// What one run came to.
struct Measured {
    rate: f64,
    per_cpu_second: f64,
    peak_mib: f64,
    /// How much of the output was there, and what was resident then, in MiB.
    memory: Vec<(f64, f64)>,
}

impl Measured {
    /// What was resident in this part of the way: the median, since moments of a huge page more or less say nothing.
    fn resident(&self, part: Range<f64>) -> f64 {
        let within = self.memory.iter().filter(|(way, _)| part.contains(way));
        Figure::of(&within.map(|(_, resident)| *resident).collect::<Vec<f64>>()).median
    }
}

/// Measures `process` from its first ledger record until every output is there.
fn measure(fleet: &Fleet, process: &mut Process, backlog: &Backlog, expected: i64) -> Measured {
    process.until("the first mentions are decided", |_| fleet.records(&fleet.ledger(), fleet.partitions) > 0);
    let (start, used_before) = (Instant::now(), process.used());
    let (mut memory, mut routed) = (vec![(0.0, process.used().resident)], 0);
    process.until("every mention is routed", |process| {
        routed = fleet.routed();
        memory.push((routed as f64 / expected as f64, process.used().resident));
        routed >= expected
    });
    let (end, used) = (Instant::now(), process.used());
    assert_eq!(routed, expected, "as many outputs as mentions for a desk");
    let mentions = backlog.mentions as f64;
    Measured {
        rate: mentions / (end - start).as_secs_f64(),
        per_cpu_second: mentions / (used.cpu - used_before.cpu).max(0.01),
        peak_mib: used.peak,
        memory,
    }
}

/// What the daemon wrote for its input, so that the bare program can write as much.
pub struct Recipe {
    ledger_bytes: f64,
    desk_extra: usize,
    assignment_extra: usize,
    headers: Vec<(String, String)>,
}

impl Recipe {
    /// Looks at the outputs of a run that is over.
    pub fn of(fleet: &Fleet, mentions: usize) -> Recipe {
        let mut ledger = 0;
        read(fleet, &fleet.ledger(), fleet.partitions, usize::MAX, |_, value| ledger += value.len());
        let (mut raw, mut desk, mut count) = (0, 0, 0);
        read(fleet, &fleet.desks(), DESK_PARTITIONS, 5_000, |offset, value| {
            let entry = triaged::wire::desk_log::decode(offset, triage_engine::model::Millis(0), Some(value));
            if let Ok(triage_engine::desk::LogEntry {
                event: triage_engine::desk::Event::Mention(mention),
                ..
            }) = entry
            {
                raw += mention.raw.len();
                desk += value.len();
                count += 1;
            }
        });
        assert!(count > 0, "mentions went to desks");
        let (mut assignments, mut records) = (0, 0);
        for topic in fleet.assignments() {
            read(fleet, &topic, fleet.partitions, 5_000, |_, value| {
                assignments += value.len();
                records += 1;
            });
        }
        let (key, headers) = one_record(&fleet.bootstrap, &fleet.assignments()[0], fleet.partitions);
        Recipe {
            ledger_bytes: ledger as f64 / mentions as f64,
            desk_extra: (desk - raw) / count,
            assignment_extra: (assignments / records + key).saturating_sub(raw / count),
            headers,
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        format!(
            "{:.1} B of ledger a mention; a mention and {} B on the desk log; a mention, {} B and {} headers on assignments",
            self.ledger_bytes,
            self.desk_extra,
            self.assignment_extra,
            self.headers.len()
        )
    }

    /// The bare programs: one hop that writes all three outputs, or the relay of two.
    pub fn lanes(&self, fleet: &Fleet, mix: Mix) -> Vec<Lane> {
        let permille = if mix == Mix::Firehose { 100 } else { 1_000 };
        let care = fleet.assignments().remove(0);
        let desk = Output {
            topic: fleet.desks(),
            partitions: DESK_PARTITIONS,
            permille,
            extra: self.desk_extra,
            headers: Vec::new(),
        };
        let assignment = Output {
            topic: care,
            partitions: fleet.partitions,
            permille,
            extra: self.assignment_extra,
            headers: self.headers.clone(),
        };
        let first = Lane {
            bootstrap: fleet.bootstrap.clone(),
            group: fresh("bare"),
            input: (fleet.input.clone(), fleet.partitions),
            strip: 0,
            write_ahead: Some((fleet.ledger(), self.ledger_bytes)),
            write_ahead_wait: mix == Mix::AllQueued,
            outputs: vec![desk.clone()],
        };
        match mix {
            Mix::Firehose => vec![Lane { outputs: vec![desk, assignment], ..first }],
            Mix::AllQueued => {
                let second = Lane {
                    group: fresh("bare"),
                    input: (fleet.desks(), DESK_PARTITIONS),
                    strip: self.desk_extra,
                    write_ahead: None,
                    write_ahead_wait: false,
                    outputs: vec![Output { permille: 1_000, ..assignment }],
                    ..first.clone()
                };
                vec![first, second]
            }
        }
    }
}

/// Reads up to `most` values of a topic, from the start of each partition.
pub fn read(fleet: &Fleet, topic: &str, partitions: u32, most: usize, mut take: impl FnMut(i64, &[u8])) {
    let from: Vec<_> = (0..partitions).map(|partition| (TopicPartition::new(topic, partition), 0)).collect();
    let mut reader = fleet.logs.reader(&from).expect("a reader");
    let (mut open, mut taken) = (partitions, 0);
    while open > 0 && taken < most {
        match reader.read(Duration::from_millis(100)).expect("the topic can be read") {
            ReadStep::Nothing => {}
            ReadStep::End(..) => open -= 1,
            ReadStep::Records(records) => {
                for record in records.iter() {
                    take(record.offset, record.value.unwrap_or_default());
                    taken += 1;
                }
            }
        }
    }
}

/// The length of the key of some record of a topic, and its headers.
fn one_record(bootstrap: &str, topic: &str, partitions: u32) -> (usize, Vec<(String, String)>) {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", fresh("look"))
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, rdkafka::Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("partitions");
    for _ in 0..100 {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
        let headers = message.headers().map(|headers| {
            let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
            headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
        });
        return (message.key().map_or(0, <[u8]>::len), headers.unwrap_or_default());
    }
    panic!("no record on {topic}");
}

/// Triaged and the bare program by turns over one backlog; what the daemon writes, and its rate in mentions a second.
pub fn compare(
    name: &str,
    backlog: &Backlog,
    queries: usize,
    rounds: usize,
    results: &mut Results,
) -> (Recipe, f64) {
    println!();
    results.fact(
        &format!("{name}: input"),
        format!(
            "{} mentions of {:.0} B on {} partitions, {} of them new and for a desk; {queries} queries",
            backlog.mentions, backlog.bytes_mean, backlog.partitions, backlog.queued
        ),
    );
    let mut all = Rounds::default();
    let mut recipe = None;
    for _ in 0..rounds {
        let fleet = backlog.fleet(queries);
        let mut daemon = fleet.start();
        daemon.profile();
        add(&mut all, "triaged", &measure(&fleet, &mut daemon, backlog, backlog.queued as i64));
        daemon.kill();
        let recipe = recipe.get_or_insert_with(|| Recipe::of(&fleet, backlog.mentions));
        drop(fleet);
        let fleet = backlog.fleet(queries);
        let lanes = recipe.lanes(&fleet, backlog.mix);
        let expected = match backlog.mix {
            Mix::Firehose => backlog.mentions / 10,
            Mix::AllQueued => backlog.mentions,
        };
        let mut bare = fleet.start_bare(&lanes);
        add(&mut all, "bare", &measure(&fleet, &mut bare, backlog, expected as i64));
    }
    let recipe = recipe.expect("a round was run");
    results.fact(&format!("{name}: outputs"), recipe.describe());
    for who in ["triaged", "bare"] {
        let row = |what: &str| (format!("{name}: {who}, {what}"), format!("{who} {what}"));
        for (what, unit) in [("per CPU-second", "mentions"), ("rate", "mentions/s"), ("peak memory", "MiB")] {
            let (title, key) = row(what);
            results.row(&title, unit, all.figure(&key));
        }
    }
    let ratio = |what: &str| all.ratio(&format!("triaged {what}"), &format!("bare {what}"));
    results.row(&format!("{name}: of bare, per CPU-second"), "", ratio("per CPU-second"));
    results.row(&format!("{name}: of bare, rate"), "", ratio("rate"));
    (recipe, all.figure("triaged rate").median)
}

fn add(rounds: &mut Rounds, who: &str, measured: &Measured) {
    let rows = [
        ("rate", measured.rate),
        ("per CPU-second", measured.per_cpu_second),
        ("peak memory", measured.peak_mib),
    ];
    for (what, value) in rows {
        rounds.add(&format!("{who} {what}"), value);
    }
}

/// The same firehose on few and on many partitions.
pub fn partitions(bootstrap: &str, mentions: usize, results: &mut Results) {
    println!();
    let counts: &[u32] = if crate::common::in_earnest() { &[1, 8, 64] } else { &[1] };
    let mut rates = Vec::new();
    for &partitions in counts {
        let backlog = Backlog::fill(bootstrap, Mix::Firehose, Shape::Native(680), mentions, partitions);
        let fleet = backlog.fleet(1_000);
        let mut daemon = fleet.start();
        daemon.profile();
        let measured = measure(&fleet, &mut daemon, &backlog, backlog.queued as i64);
        rates.push(measured.per_cpu_second);
        let name = format!("firehose on {partitions} partitions");
        results.row(&format!("{name}: per CPU-second"), "mentions", Figure::of(&[measured.per_cpu_second]));
        results.row(&format!("{name}: peak memory"), "MiB", Figure::of(&[measured.peak_mib]));
    }
    if let [one, .., most] = rates[..] {
        results.row("firehose on 64 partitions over 1: cost", "times", Figure::of(&[one / most]));
    }
}

/// Memory on the way through a backlog that is long beside every table: ids that exact dedup remembers are so few that
/// their windows are full after a fraction of it. What grows then is neither them nor buffers, but for some MiB of open cases
/// that gather the keys of their mentions.
pub fn memory(bootstrap: &str, mentions: usize, rounds: usize, results: &mut Results) {
    for (name, shape, mentions) in
        [("680 B", Shape::Native(680), mentions), ("2.8 KB", Shape::Tweet, mentions / 3)]
    {
        println!();
        let backlog = Backlog::fill(bootstrap, Mix::Firehose, shape, mentions, 8);
        let mut policy = policies::bundle(1_000, Mix::Firehose);
        assert!(
            policy.files.values().any(|text| text.contains("ids_max = 1000000")),
            "there is a limit to lower"
        );
        for text in policy.files.values_mut() {
            *text = text.replace("ids_max = 1000000", &format!("ids_max = {MEMORY_IDS_MAX}"));
        }
        results.fact(
            &format!("memory {name}: backlog"),
            format!(
                "{} mentions of {:.0} B on {} partitions, ids_max = {MEMORY_IDS_MAX}",
                backlog.mentions, backlog.bytes_mean, backlog.partitions
            ),
        );
        let mut all = Rounds::default();
        for _ in 0..rounds {
            let fleet = backlog.fleet_with(&policy);
            let mut daemon = fleet.start();
            daemon.profile();
            let measured = measure(&fleet, &mut daemon, &backlog, backlog.queued as i64);
            all.add("first", measured.resident(0.0..1.0 / 3.0));
            all.add("last", measured.resident(2.0 / 3.0..f64::INFINITY));
            all.add("peak", measured.peak_mib);
            all.add("ids", fleet.gauge("triaged_dedup_live_ids"));
            all.add("cases", fleet.gauge("triaged_cases_open"));
        }
        results.row(&format!("memory {name}: resident in the first third"), "MiB", all.figure("first"));
        results.row(&format!("memory {name}: resident in the last third"), "MiB", all.figure("last"));
        results.row(&format!("memory {name}: growth"), "times", all.ratio("last", "first"));
        results.row(&format!("memory {name}: peak"), "MiB", all.figure("peak"));
        results.row(&format!("memory {name}: ids remembered at the end"), "", all.figure("ids"));
        results.row(&format!("memory {name}: cases open at the end"), "", all.figure("cases"));
    }
}
