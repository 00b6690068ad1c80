//! A real Apache Kafka for tests.
//!
//! Owns where it is: `KAFKA_BOOTSTRAP` if set, else a broker that `scripts/kafka` starts once on a port of its own and
//! that is left running for the next test run. Without Java or Maven a test fails and says what to run; it is never
//! skipped. Called by every test that needs a broker.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use triaged::kafka::{KafkaLogs, KafkaSettings};
use triaged::log::{Logs, Member, NewTopic, Outgoing, Polled, Producer, Ticket, TopicPartition};

/// The port of the broker that tests start for themselves.
const TEST_PORT: &str = "19392";

/// Where the broker is; starts it if need be. `scripts/kafka` keeps a lock, so that many test programs may ask.
pub fn bootstrap() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| {
        if let Ok(given) = std::env::var("KAFKA_BOOTSTRAP") {
            return given;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        let port = std::env::var("KAFKA_PORT").unwrap_or_else(|_| TEST_PORT.to_owned());
        let answer =
            Command::new(script).arg("start").env("KAFKA_PORT", port).output().expect("scripts/kafka runs");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(
            answer.status.success(),
            "no Apache Kafka to test with: {said}\nRun scripts/setup, then try again."
        );
        let address = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        assert!(!address.is_empty(), "scripts/kafka start named no address: {said}");
        address
    })
}

/// Runs one of Kafka's own tools on the test broker.
#[allow(dead_code, reason = "not every test program does")]
pub fn tool(name: &str, options: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
    let done = Command::new(script).args([name, "--bootstrap-server", bootstrap()]).args(options).output();
    let done = done.expect("scripts/kafka runs");
    assert!(done.status.success(), "{name} {options:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Settings for the test broker with a short session.
pub fn settings() -> KafkaSettings {
    let mut settings = KafkaSettings::new(bootstrap());
    settings.session_timeout_ms = 6_000;
    settings
}

/// The test cluster.
pub fn cluster() -> KafkaLogs {
    KafkaLogs::new(settings()).expect("the test's settings are allowed")
}

/// A name that no other test run has.
pub fn fresh(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_millis();
    format!("test.{name}.{now}.{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Makes a topic of a fresh name.
pub fn topic(logs: &KafkaLogs, name: &str, partitions: u32, config: &[(&str, &str)]) -> String {
    let name = fresh(name);
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    logs.create(&[NewTopic { name: name.clone(), partitions, replication: 1, config }])
        .expect("the topic is made");
    name
}

/// Sends one batch and waits for its acknowledgement.
pub fn send(producer: &mut dyn Producer, to: &TopicPartition, batch: &Outgoing) -> std::sync::Arc<Ticket> {
    let ticket = std::sync::Arc::new(Ticket::new());
    producer.send(to, batch, &ticket).expect("the batch is enqueued");
    assert!(producer.flush(Duration::from_secs(30)), "the broker answers");
    assert!(ticket.is_settled());
    assert_eq!(ticket.failure(), None);
    ticket
}

/// The headers of the records at these offsets, by offset, read by another client than ours. The last must be there.
pub fn headers(of: &TopicPartition, at: Range<i64>) -> BTreeMap<i64, Vec<(String, Vec<u8>)>> {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Headers, Message};
    let mut found = BTreeMap::new();
    if at.is_empty() {
        return found;
    }
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", bootstrap()).set("group.id", "headers");
    let consumer: BaseConsumer = config.create().expect("another client");
    let mut list = rdkafka::TopicPartitionList::new();
    let from = rdkafka::Offset::Offset(at.start);
    list.add_partition_offset(&of.topic, of.partition as i32, from).expect("an offset");
    consumer.assign(&list).expect("it reads");
    while !found.contains_key(&(at.end - 1)) {
        let message = consumer.poll(Duration::from_secs(60)).expect("a record in time").expect("a record");
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let owned = headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
        found.insert(message.offset(), owned.collect());
    }
    found
}

/// A batch of records whose values are the numbers of `range`, as text padded to `bytes`.
pub fn numbers(range: std::ops::Range<u64>, bytes: usize) -> Outgoing {
    let mut batch = Outgoing::default();
    for number in range {
        let key = (number % 7).to_string();
        batch.push(Some(key.as_bytes()), Some(format!("{number:0>bytes$}").as_bytes()));
    }
    batch
}

/// Polls until `done` says so; panics after a minute with what was awaited.
pub fn poll_until<T>(member: &mut dyn Member, what: &str, mut done: impl FnMut(Polled) -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let polled =
            member.poll(Duration::from_millis(50), true).unwrap_or_else(|error| panic!("{what}: {error}"));
        if let Some(found) = done(polled) {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "still waiting: {what}");
    }
}

/// Polls until partitions are assigned.
pub fn assigned(member: &mut dyn Member) -> Vec<TopicPartition> {
    poll_until(member, "an assignment", |polled| match polled {
        Polled::Assigned(partitions) => Some(partitions),
        _ => None,
    })
}
