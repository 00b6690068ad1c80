//! Every setting of triaged.toml: its name, its default, and its page in the manual.
//!
//! Owns the list; what may not be said is in `rules`. The docs on the fields are the manual: docs/configuration.md
//! and config/triaged.toml are made of them. Reads no file and no environment: `config` does.

use super::Source;
use super::value::Setting;
use crate::diagnostic::Diagnostic;
use std::collections::BTreeMap;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// One setting as the manual shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The section, empty at the top.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What kind of value it takes.
    pub kind: &'static str,
    /// The default as it would be written; empty for tables.
    pub default: String,
    /// What it does.
    pub doc: String,
}

macro_rules! sections {
    ($($(#[doc = $about:literal])* $section:literal $field:ident: $name:ident {
        $($(#[doc = $doc:literal])* $key:ident: $kind:ty = $default:expr,)*
    })*) => {
        $(
            $(#[doc = $about])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name { $($(#[doc = $doc])* pub $key: $kind,)* }

            impl Default for $name {
                fn default() -> $name { $name { $($key: $default,)* } }
            }
        )*

        /// Every setting, read and checked.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Settings { $($(#[doc = $about])* pub $field: $name,)* }

        impl Settings {
            /// Reads every setting that `source` has; what is wrong goes to `mistakes`, all of it.
            pub(super) fn read(source: &Source<'_>, mistakes: &mut Vec<Diagnostic>) -> Settings {
                let mut settings = Settings::default();
                $($(source.read($section, stringify!($key), &mut settings.$field.$key, mistakes);)*)*
                settings
            }

            /// Every setting with its default and its docs, in the order of the manual.
            #[must_use]
            pub fn entries() -> Vec<Entry> {
                let defaults = Settings::default();
                vec![$($(Entry {
                    section: $section,
                    key: stringify!($key),
                    kind: <$kind as Setting>::KIND,
                    default: Setting::show(&defaults.$field.$key),
                    doc: [$($doc),*].map(str::trim).join(" "),
                },)*)*]
            }

            /// What each section is about.
            #[must_use]
            pub fn sections() -> Vec<(&'static str, String)> {
                vec![$(($section, [$($about),*].map(str::trim).join(" ")),)*]
            }
        }
    };
}

sections! {
    /// Who this process is.
    "" host: Host {
        /// The name of this process in its consumer groups, unique in the fleet and the same after a restart.
        /// Empty takes `$TRIAGED_HOST`, which the systemd units set, or else the host's name.
        instance: String = String::new(),
        /// Where the lock on the instance's name, the counts of starts and compiled policies are kept. Unless it is set, systemd's
        /// `$STATE_DIRECTORY` if there is one.
        state_dir: PathBuf = PathBuf::from("/var/lib/triaged"),
    }
    /// How to reach Apache Kafka.
    "kafka" kafka: Kafka {
        /// Brokers to ask first, `host:port`, with commas between them.
        bootstrap: String = "localhost:9092".to_owned(),
        /// How long a silent member keeps its partitions: the time in which another takes over. 6s to 30m.
        session_timeout: Duration = Duration::from_secs(10),
        /// The file that holds the SASL password, on one line. A systemd credential is named
        /// `${CREDENTIALS_DIRECTORY}/<name>`. Empty takes the credential `triaged.kafka-password` if there is one.
        sasl_password_file: PathBuf = PathBuf::new(),
        /// The file that holds the password of the client's private key (`ssl.key.location`) or keystore
        /// (`ssl.keystore.location`). Empty when there is none.
        ssl_key_password_file: PathBuf = PathBuf::new(),
        /// Any librdkafka property, for every client, TLS and SASL above all. Secrets and what would break a guarantee
        /// are refused. A `….location` may name a systemd credential as above.
        client: BTreeMap<String, String> = BTreeMap::new(),
        /// Any librdkafka property, for consumers alone.
        consumer: BTreeMap<String, String> = BTreeMap::new(),
        /// Any librdkafka property, for producers alone.
        producer: BTreeMap<String, String> = BTreeMap::new(),
    }
    /// The names of topics.
    "topics" topics: Topics {
        /// Mentions come in here.
        mentions: String = "mentions".to_owned(),
        /// What agents and supervisors did comes in here.
        helpdesk_events: String = "helpdesk.events".to_owned(),
        /// The write-ahead ledger of an input is this and the input's name.
        ledger_prefix: String = "triaged.ledger.".to_owned(),
        /// The desk log.
        desks: String = "triaged.desks".to_owned(),
        /// Requests and what is in force.
        control: String = "triaged.control".to_owned(),
        /// Policy bundles by their hash.
        policies: String = "triaged.policies".to_owned(),
        /// Desk state.
        snapshots: String = "triaged.snapshots".to_owned(),
        /// Records that could not be read.
        dead_letter: String = "triaged.dead-letter".to_owned(),
        /// What people must look at.
        alerts: String = "triaged.alerts".to_owned(),
        /// A desk's assignments go to this and the desk's name.
        assignments_prefix: String = "assignments.".to_owned(),
    }
    /// The consumer groups.
    "group" group: Group {
        /// The groups are `<name>.triage` and `<name>.desk`. Another name decides everything anew.
        name: String = "triaged".to_owned(),
    }
    /// Where the policy comes from.
    "policy" policy: PolicyFolder {
        /// The folder that `policy reload` publishes; put in force by itself only where no policy is yet.
        folder: PathBuf = PathBuf::from("/etc/triaged/policy"),
    }
    /// How mentions are read.
    "input" input: Input {
        /// The shape of mentions: `triaged`, `twitter-v1`, `twitter-v2`, `jetstream`, `mastodon`, or `custom`.
        preset: String = "triaged".to_owned(),
        /// With `preset = "custom"`: from each field of a mention to the path where the producer puts it.
        fields: BTreeMap<String, String> = BTreeMap::new(),
        /// The longest mention in bytes; a longer one becomes a dead letter. 1 KiB to 16 MiB.
        mention_bytes_max: u32 = 512 * 1024,
    }
    /// What may be held in memory.
    "limits" limits: Limits {
        /// All buffers together, in MiB; the one knob for memory beside the tables. At least 64.
        buffer_mib: u32 = 512,
    }
    /// Threads of the triage.
    "triage" triage: Triage {
        /// Lanes; each owns a consumer and a producer. 0 chooses by the number of cores.
        lanes: u32 = 0,
        /// Workers that scan. 0 takes the cores that lanes leave.
        workers: u32 = 0,
    }
    /// The desks' clock.
    "desk" desk: DeskLane {
        /// How often a quiet desk log gets a tick, so that timers advance. 10ms to 1m.
        tick_interval: Duration = Duration::from_secs(1),
        /// How often a desk's state is written. At least 1s.
        snapshot_interval: Duration = Duration::from_secs(60),
    }
    /// The local web interface.
    "admin" admin: Admin {
        /// The Unix socket of `triaged ctl`, metrics and health. Whoever may open it (mode 0660) may reload and drain. Unless
        /// it is set, `admin.sock` in systemd's `$RUNTIME_DIRECTORY` if there is one.
        socket: PathBuf = PathBuf::from("/run/triaged/admin.sock"),
        /// A TCP address besides, such as `127.0.0.1:9464`; empty for none. Another than loopback is refused unless
        /// `token_file` is set and `behind_tls` is true.
        listen: String = String::new(),
        /// The file of the token that a POST over TCP must name (`authorization: Bearer ...`), such as
        /// `${CREDENTIALS_DIRECTORY}/triaged.admin-token`. Empty takes that credential if there is one; without any TCP is
        /// for reading. Read at the start.
        token_file: PathBuf = PathBuf::new(),
        /// Says that a proxy with TLS stands in front of `listen`: triaged itself speaks plain HTTP.
        behind_tls: bool = false,
        /// Names, with commas between them and their port if it is not the default, by which `listen` is asked beside
        /// its own address and loopback's; a request for any other name is refused.
        hosts: String = String::new(),
    }
    /// Logging.
    "log" log: Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: String = "info".to_owned(),
    }
}

impl Topics {
    /// The topics that are named as they are: each setting with its value.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &str); 8] {
        [
            ("topics.mentions", &self.mentions),
            ("topics.helpdesk_events", &self.helpdesk_events),
            ("topics.desks", &self.desks),
            ("topics.control", &self.control),
            ("topics.policies", &self.policies),
            ("topics.snapshots", &self.snapshots),
            ("topics.dead_letter", &self.dead_letter),
            ("topics.alerts", &self.alerts),
        ]
    }

    /// The name of the input's ledger.
    #[must_use]
    pub fn ledger(&self) -> String {
        format!("{}{}", self.ledger_prefix, self.mentions)
    }
}

impl Admin {
    /// The TCP address to listen on; `None` when there is none.
    ///
    /// # Errors
    /// When `listen` is no address.
    pub fn address(&self) -> Result<Option<SocketAddr>, AddrParseError> {
        if self.listen.is_empty() { Ok(None) } else { self.listen.parse().map(Some) }
    }

    /// The names in `hosts`.
    #[must_use]
    pub fn host_names(&self) -> Vec<String> {
        let names = self.hosts.split(',').map(|name| name.trim().to_owned());
        if self.hosts.trim().is_empty() { Vec::new() } else { names.collect() }
    }
}
