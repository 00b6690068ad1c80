//! How the clients are set up.
//!
//! How the clients are set up, and what the client library says of the properties given.
//!
//! Owns our defaults, and the question to the client library what it takes. Which properties nobody may touch, and why,
//! is `config::properties`' list. Connects to nothing. Called by the command line, which shows mistakes, and by
//! `cluster`, which makes clients.

use super::ffi::{Client, Code, Configuration, Kind};
use super::secret::Secret;
use crate::config::properties;
use std::collections::BTreeMap;
use triage_engine::policy::did_you_mean;

/// How to reach a cluster and how much memory its clients may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Brokers to ask first, `host:port`, separated by commas.
    pub bootstrap: String,
    /// Properties of librdkafka for every client, such as `security.protocol`.
    pub client: BTreeMap<String, String>,
    /// Properties for consumers; they outrank `client`.
    pub consumer: BTreeMap<String, String>,
    /// Properties for producers; they outrank `client`.
    pub producer: BTreeMap<String, String>,
    /// Properties that hold passwords, for every client.
    pub secrets: Vec<(&'static str, Secret)>,
    /// The group whose coordinator readers outside any group ask for, since the library insists; they never join it.
    pub reader_group: String,
    /// After so many milliseconds without a heartbeat a member's partitions go to others.
    pub session_timeout_ms: u32,
    /// Most that one consumer holds fetched, in KiB; it fetches no more than this ahead of its reader.
    pub consumer_buffer_kib: u32,
    /// Most that one producer holds unanswered, in KiB; a send blocks while it is full.
    pub producer_buffer_kib: u32,
}

impl KafkaSettings {
    /// Settings for these brokers with our defaults: sessions of 10 s, 64 MiB for each client.
    #[must_use]
    pub fn new(bootstrap: &str) -> KafkaSettings {
        KafkaSettings {
            bootstrap: bootstrap.to_owned(),
            client: BTreeMap::new(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
            secrets: Vec::new(),
            reader_group: "triaged-reader".to_owned(),
            session_timeout_ms: 10_000,
            consumer_buffer_kib: 65_536,
            producer_buffer_kib: 65_536,
        }
    }

    /// Every property that the client library does not know, or whose value it does not take. Asks the library, not a
    /// broker. Where each property alone is right, clients are made of all of them, which finds what does not go
    /// together; such a mistake has no key. What is refused by us is told by `refused`.
    #[must_use]
    pub fn wrong_properties(&self) -> Vec<WrongProperty> {
        let mut wrong = Vec::new();
        for (section, given) in self.sections() {
            for (key, value) in given.iter().filter(|(key, _)| properties::refused(key).is_none()) {
                let Err(error) = Configuration::of(&[(key.clone(), value.clone())], &[]) else { continue };
                let name = key.strip_prefix("topic.").unwrap_or(key);
                let (what, hint) = if error.code == Code::UnknownProtocol {
                    let known = Configuration::of(&[], &[]).map(|all| all.names()).unwrap_or_default();
                    let known = known.iter().map(String::as_str).chain(WITHOUT_DEFAULT.iter().copied());
                    (format!("librdkafka has no property `{key}`"), did_you_mean(name, known))
                } else {
                    let takes = CHOICES.iter().find(|(choice, _)| *choice == name);
                    let hint = takes.map_or(MANUAL.to_owned(), |(_, takes)| format!("it takes {takes}"));
                    (format!("librdkafka says: {}", error.text.trim()), hint)
                };
                wrong.push(WrongProperty { section, key: key.clone(), what, hint });
            }
        }
        if !wrong.is_empty() {
            return wrong;
        }
        let clients = [
            ("consumer", Kind::Consumer, self.consumer_properties("check", Some("check"))),
            ("producer", Kind::Producer, self.producer_properties("check")),
        ];
        for (section, kind, mut properties) in clients {
            // Without an address no broker is asked.
            properties.retain(|(name, _)| name != "bootstrap.servers");
            if let Err(error) = Client::new(kind, &properties, &self.secrets, 0) {
                let what = format!("librdkafka makes no {section} of these settings: {}", error.text.trim());
                wrong.push(WrongProperty { section, key: String::new(), what, hint: String::new() });
            }
        }
        wrong
    }

    fn sections(&self) -> [(&'static str, &BTreeMap<String, String>); 3] {
        [("client", &self.client), ("consumer", &self.consumer), ("producer", &self.producer)]
    }

    /// Every property given that would break a guarantee or that has a key of its own.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        let mut refused = Vec::new();
        for (section, given) in self.sections() {
            for key in given.keys() {
                if let Some(why) = properties::refused(key) {
                    refused.push(Refused { section, key: key.clone(), why });
                }
            }
        }
        refused
    }

    /// The properties of a consumer. `static_member` names a member of a group; without it the consumer is one
    /// that is assigned by hand and tells where a partition ends.
    pub fn consumer_properties(&self, group: &str, static_member: Option<&str>) -> Vec<(String, String)> {
        let mut all = self.shared_properties(static_member.unwrap_or("reader"));
        for (name, value) in CONSUMER {
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        all.push(("group.id".to_owned(), group.to_owned()));
        all.push(("session.timeout.ms".to_owned(), self.session_timeout_ms.to_string()));
        all.push((
            "heartbeat.interval.ms".to_owned(),
            (self.session_timeout_ms / 12).clamp(250, 3_000).to_string(),
        ));
        all.push(("queued.max.messages.kbytes".to_owned(), self.consumer_buffer_kib.max(1).to_string()));
        all.push(("enable.partition.eof".to_owned(), static_member.is_none().to_string()));
        if let Some(instance) = static_member {
            all.push(("group.instance.id".to_owned(), instance.to_owned()));
        }
        let mut all = overlay(all, [&self.client, &self.consumer]);
        // The library takes no client whose answers may be smaller than a message.
        let asked = |name: &str| [&self.consumer, &self.client].into_iter().find_map(|own| own.get(name));
        if asked("fetch.max.bytes").is_none()
            && let Some(message) = asked("message.max.bytes").and_then(|bytes| bytes.parse().ok())
            && let Some((_, bytes)) = all.iter_mut().find(|(name, _)| name == "fetch.max.bytes")
        {
            *bytes = FETCH_BYTES.max(message).to_string();
        }
        all
    }

    /// The properties of a producer called `name`.
    pub fn producer_properties(&self, name: &str) -> Vec<(String, String)> {
        let mut all = self.shared_properties(name);
        for (name, value) in PRODUCER {
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        all.push(("queue.buffering.max.kbytes".to_owned(), self.producer_buffer_kib.max(1).to_string()));
        overlay(all, [&self.client, &self.producer])
    }

    fn shared_properties(&self, name: &str) -> Vec<(String, String)> {
        let mut all = vec![
            ("bootstrap.servers".to_owned(), self.bootstrap.clone()),
            ("client.id".to_owned(), format!("triaged-{name}")),
        ];
        all.extend(SHARED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all
    }
}

/// A property of the client library that may not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`kafka.{section}.{key}` may not be set: {why}")]
pub struct Refused {
    /// `client`, `consumer` or `producer`.
    pub section: &'static str,
    /// The property.
    pub key: String,
    /// What it would break, or which key serves instead.
    pub why: &'static str,
}

/// A property of the client library that cannot be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongProperty {
    /// `client`, `consumer` or `producer`.
    pub section: &'static str,
    /// The property; empty when it is about several together.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

fn overlay(mut base: Vec<(String, String)>, over: [&BTreeMap<String, String>; 2]) -> Vec<(String, String)> {
    // The last setting of a property holds.
    for properties in over {
        base.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    base
}

const SHARED: &[(&str, &str)] = &[
    ("statistics.interval.ms", "0"),
    ("enable.metrics.push", "false"),
    ("reconnect.backoff.ms", "50"),
    // A broker that comes back is used within two seconds, not ten.
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
];

const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("allow.auto.create.topics", "false"),
    // By default a partition rests a whole second after the buffer was full.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    ("queued.min.messages", "1000000"),
    // The library makes a buffer of the size of each answer. One of a MiB is used again and again; tens of MiB come from
    // the kernel each time, page by page: that was three quarters of all page faults under a backlog.
    ("max.partition.fetch.bytes", "1048576"),
    ("fetch.max.bytes", "1048576"),
];
/// The default of `fetch.max.bytes`, above.
const FETCH_BYTES: u64 = 1 << 20;

const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // Never give up on what can be retried: the record is in the ledger already.
    ("message.timeout.ms", "0"),
    ("linger.ms", "5"),
    ("batch.num.messages", "100000"),
    ("batch.size", "1000000"),
    ("compression.type", "lz4"),
    // Memory is bounded by bytes alone.
    ("queue.buffering.max.messages", "0"),
    ("delivery.report.only.error", "false"),
];

/// Properties that the library does not list among its defaults.
const WITHOUT_DEFAULT: &[&str] = &[
    "client.rack",
    "compression.type",
    "debug",
    "sasl.mechanisms",
    "sasl.username",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.sigalgs.list",
];

/// What properties take that are chosen from a short list.
const CHOICES: &[(&str, &str)] = &[
    ("security.protocol", "plaintext, ssl, sasl_plaintext or sasl_ssl"),
    ("compression.type", "none, gzip, snappy, lz4 or zstd"),
    ("compression.codec", "none, gzip, snappy, lz4 or zstd"),
    ("sasl.mechanism", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    ("sasl.mechanisms", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    ("ssl.endpoint.identification.algorithm", "https or none"),
];

const MANUAL: &str = "librdkafka's CONFIGURATION.md lists what each property takes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_break_a_guarantee_are_refused_each_with_its_reason() {
        let mut settings = KafkaSettings::new("localhost:9092");
        settings.client.insert("security.protocol".to_owned(), "ssl".to_owned());
        settings.consumer.insert("enable.auto.offset.store".to_owned(), "true".to_owned());
        settings.producer.insert("topic.acks".to_owned(), "1".to_owned());
        let texts: Vec<String> = settings.refused().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].starts_with("`kafka.consumer.enable.auto.offset.store` may not be set: an offset"));
        assert!(texts[1].starts_with("`kafka.producer.topic.acks` may not be set: an acknowledged"));
    }

    #[test]
    fn a_consumer_takes_answers_as_large_as_the_largest_message() {
        let fetch = |name: &str, value: &str| {
            let mut settings = KafkaSettings::new("localhost:9092");
            settings.client.insert(name.to_owned(), value.to_owned());
            let all = settings.consumer_properties("g", None);
            all.into_iter().rfind(|(name, _)| name == "fetch.max.bytes").unwrap().1
        };
        assert_eq!(fetch("message.max.bytes", "4259840"), "4259840");
        assert_eq!(fetch("message.max.bytes", "500000"), "1048576");
        assert_eq!(fetch("fetch.max.bytes", "9000000"), "9000000");
    }

    #[test]
    fn the_client_library_is_asked_what_it_takes_and_no_broker_is() {
        let set = |pairs: &[(&str, &str)]| {
            let mut settings = KafkaSettings::new("127.0.0.1:1");
            settings.client = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let wrong = settings.wrong_properties().into_iter();
            wrong.map(|wrong| format!("{}: {}: {}", wrong.key, wrong.what, wrong.hint)).collect::<Vec<_>>()
        };
        assert!(
            set(&[("linger.ms", "5"), ("security.protocol", "ssl"), ("topic.compression.level", "3")])
                .is_empty()
        );
        assert_eq!(
            set(&[("securty.protocol", "ssl")]),
            [
                "securty.protocol: librdkafka has no property `securty.protocol`: did you mean `security.protocol`?"
            ]
        );
        let told = set(&[("linger.ms", "soon"), ("security.protocol", "tls")]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("linger.ms: librdkafka says: ") && told[1].contains("\"tls\""), "{told:?}");
        assert!(told[1].ends_with("it takes plaintext, ssl, sasl_plaintext or sasl_ssl"), "{told:?}");
        for name in WITHOUT_DEFAULT {
            let unknown = Configuration::of(&[((*name).to_owned(), String::new())], &[])
                .is_err_and(|error| error.code == Code::UnknownProtocol);
            assert!(!unknown, "{name} is offered and does not exist");
        }
        let together = set(&[("max.poll.interval.ms", "1000")]);
        assert!(together[0].contains("makes no consumer of these settings"), "{together:?}");
    }

    #[test]
    fn a_property_of_the_operator_outranks_our_default_and_the_closer_section_the_wider() {
        let mut settings = KafkaSettings::new("localhost:9092");
        settings.client.insert("linger.ms".to_owned(), "1".to_owned());
        settings.producer.insert("linger.ms".to_owned(), "50".to_owned());
        let properties = settings.producer_properties("lane-0");
        let last =
            properties.iter().rev().find(|(name, _)| name == "linger.ms").map(|(_, value)| value.as_str());
        assert_eq!(last, Some("50"));
    }

    #[test]
    fn everything_that_we_fix_and_a_guarantee_needs_is_untouchable() {
        let ours = SHARED.iter().chain(CONSUMER).chain(PRODUCER).map(|(name, _)| *name);
        let open: Vec<&str> = ours.filter(|name| properties::refused(name).is_none()).collect();
        // What an operator may tune.
        assert_eq!(
            open,
            [
                "statistics.interval.ms",
                "enable.metrics.push",
                "reconnect.backoff.ms",
                "reconnect.backoff.max.ms",
                "socket.keepalive.enable",
                "socket.nagle.disable",
                "fetch.queue.backoff.ms",
                "fetch.wait.max.ms",
                "fetch.error.backoff.ms",
                "queued.min.messages",
                "max.partition.fetch.bytes",
                "fetch.max.bytes",
                "linger.ms",
                "batch.num.messages",
                "batch.size",
                "compression.type",
            ]
        );
    }

    /// Properties that an operator may set: how the broker is reached, waits, sizes of requests, what is logged. One that
    /// a new release of the library brings is in neither list, and this fails until somebody has looked at it.
    const OPEN: &[&str] = &[
        "builtin.features",
        "client.software.name",
        "message.max.bytes",
        "message.copy.max.bytes",
        "receive.message.max.bytes",
        "metadata.recovery.strategy",
        "metadata.recovery.rebootstrap.trigger.ms",
        "metadata.request.timeout.ms",
        "topic.metadata.refresh.interval.ms",
        "metadata.max.age.ms",
        "topic.metadata.refresh.fast.interval.ms",
        "topic.metadata.refresh.fast.cnt",
        "topic.metadata.refresh.sparse",
        "topic.metadata.propagation.max.ms",
        "debug",
        "socket.timeout.ms",
        "socket.blocking.max.ms",
        "socket.send.buffer.bytes",
        "socket.receive.buffer.bytes",
        "socket.keepalive.enable",
        "socket.nagle.disable",
        "socket.max.fails",
        "broker.address.ttl",
        "broker.address.family",
        "socket.connection.setup.timeout.ms",
        "connections.max.idle.ms",
        "enable.sparse.connections",
        "reconnect.backoff.jitter.ms",
        "reconnect.backoff.ms",
        "reconnect.backoff.max.ms",
        "statistics.interval.ms",
        "log_level",
        "log.thread.name",
        "enable.random.seed",
        "log.connection.close",
        "api.version.request",
        "api.version.request.timeout.ms",
        "api.version.fallback.ms",
        "broker.version.fallback",
        "security.protocol",
        "ssl.ca.certificate.stores",
        "enable.ssl.certificate.verification",
        "ssl.endpoint.identification.algorithm",
        "sasl.mechanisms",
        "coordinator.query.interval.ms",
        "max.poll.interval.ms",
        "queued.min.messages",
        "fetch.wait.max.ms",
        "fetch.queue.backoff.ms",
        "fetch.message.max.bytes",
        "fetch.max.bytes",
        "fetch.min.bytes",
        "fetch.error.backoff.ms",
        "check.crcs",
        "client.rack",
        "queue.buffering.max.ms",
        "retry.backoff.ms",
        "retry.backoff.max.ms",
        "queue.buffering.backpressure.threshold",
        "compression.codec",
        "batch.num.messages",
        "batch.size",
        "sticky.partitioning.linger.ms",
        "client.dns.lookup",
        "enable.metrics.push",
    ];

    #[test]
    fn every_property_of_the_library_is_either_open_or_refused() {
        let all = super::super::ffi::Configuration::of(&[], &[]).expect("an empty configuration").names();
        assert!(all.len() > 100, "the library told of {} properties", all.len());
        let unknown: Vec<&String> = all
            .iter()
            .filter(|name| properties::refused(name).is_none() && !OPEN.contains(&name.as_str()))
            .collect();
        assert_eq!(unknown, Vec::<&String>::new(), "new properties: open them or refuse them");
        let both: Vec<&&str> = OPEN.iter().filter(|name| properties::refused(name).is_some()).collect();
        assert_eq!(both, Vec::<&&str>::new());
    }
}
