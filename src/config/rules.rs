//! What each setting may say beyond its type: ranges, closed lists, names of topics, addresses.
//!
//! Owns these messages. Each setting was read before; what needs more than the text (the client library, the disk) is
//! checked by the command line. Called by `config::load` alone.

use super::value::Setting;
use super::{OVERRIDE_PREFIX, Settings, Source};
use crate::diagnostic::Diagnostic;
use std::net::Ipv6Addr;
use std::time::Duration;
use toml::de::DeValue;
use triage_engine::policy::did_you_mean;

/// Settings that are one of a closed list.
pub(super) const CHOICES: [(&str, &[&str]); 2] = [
    ("input.preset", &["triaged", "twitter-v1", "twitter-v2", "jetstream", "mastodon", "custom"]),
    ("log.level", &["error", "warn", "info", "debug", "trace"]),
];
/// Settings that are numbers in a range, both ends included.
pub(super) const RANGES: [(&str, u32, u32); 4] = [
    ("input.mention_bytes_max", 1024, 16 << 20),
    ("limits.buffer_mib", 64, 1 << 20),
    ("triage.lanes", 0, 1024),
    ("triage.workers", 0, 1024),
];
/// The longest name of a topic that a broker takes.
const TOPIC_BYTES_MAX: usize = 249;
/// The longest of ours, so that a desk's name still fits behind a prefix.
const NAME_BYTES_MAX: usize = 200;
/// The longest path of a Unix socket: the system's 108 bytes less the one that ends it.
const SOCKET_BYTES_MAX: usize = 107;

/// How a value of another kind is written in this setting, where that is not the same for all.
pub(super) fn rewrite(path: &str, value: &DeValue<'_>) -> Option<String> {
    match (path, value) {
        ("kafka.bootstrap" | "admin.hosts", DeValue::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(|item| item.get_ref().as_str()).collect();
            Some(format!("write \"{}\"", texts?.join(",")))
        }
        ("kafka.bootstrap", DeValue::Integer(port)) => {
            Some(format!("write \"localhost:{port}\", if the broker is on this machine"))
        }
        ("admin.listen", DeValue::Integer(port)) => Some(format!("write \"127.0.0.1:{port}\"")),
        _ => None,
    }
}

/// Collects mistakes by the setting's path.
struct Checker<'a> {
    source: &'a Source<'a>,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn wrong(&mut self, path: &str, what: String, hint: impl Into<String>) {
        self.mistakes.push(self.source.places.mistake(path, format!("`{path}`: {what}")).hint(hint));
    }

    /// The same about a part of the value.
    fn wrong_part(&mut self, path: &str, part: &str, what: String, hint: impl Into<String>) {
        let told = self.source.places.mistake_in(path, part, format!("`{path}`: {what}"));
        self.mistakes.push(told.hint(hint));
    }

    fn choice(&mut self, path: &str, text: &str, known: &[&str]) {
        if !known.contains(&text) {
            let what = format!("`{text}` is not known: expected {}", known.join(", "));
            self.wrong(path, what, did_you_mean(text, known.iter().copied()));
        }
    }

    fn range<T: Setting + PartialOrd>(&mut self, path: &str, value: &T, least: &T, most: &T) {
        if value < least || value > most {
            let what = format!("{} is out of range: from {} to {}", value.show(), least.show(), most.show());
            self.wrong(path, what, "");
        }
    }

    /// Whether a value is free of environment variables, which are not expanded.
    fn no_variable(&mut self, path: &str, value: &str) -> bool {
        let name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(');
        let Some(at) =
            value.match_indices('$').map(|(at, _)| at).find(|at| value[at + 1..].starts_with(name))
        else {
            return true;
        };
        // Its place is the whole value: the text may stand in it more than once.
        let part: String =
            value[at..].chars().take_while(|c| !matches!(c, ',' | ':' | '/' | '}' | ' ')).collect();
        let close = if part.starts_with("${") { "}" } else { "" };
        let variable = format!("{OVERRIDE_PREFIX}{}", path.to_uppercase().replace('.', "__"));
        let what = format!("`{part}{close}`: environment variables are not expanded here");
        self.wrong_part(path, value, what, format!("set the whole by a variable: {variable}=\"{value}\""));
        false
    }

    /// The addresses of brokers.
    fn brokers(&mut self, list: &str) {
        if !self.no_variable("kafka.bootstrap", list) {
            return;
        }
        let separators = |c: char| c == ',' || c == ';' || c.is_whitespace();
        let bare = |broker: &str| broker.rsplit_once("://").map_or(broker, |(_, bare)| bare).to_owned();
        let parts = list.split(separators).filter(|broker| !broker.is_empty()).map(bare);
        let right = parts.collect::<Vec<_>>().join(",");
        let rewrite = format!("write bootstrap = \"{right}\"");
        if right.is_empty() {
            return self.wrong(
                "kafka.bootstrap",
                "no broker is named".to_owned(),
                "such as \"kafka-1:9092,kafka-2:9092\"",
            );
        }
        let scheme = list.find("://").map(|end| {
            let start = list[..end].rfind(separators).map_or(0, |at| at + 1);
            &list[start..end + 3]
        });
        if let Some(scheme) = scheme {
            let hint = format!("{rewrite}; TLS and SASL are set by security.protocol in [kafka.client]");
            self.wrong_part("kafka.bootstrap", scheme, format!("an address has no `{scheme}`"), hint);
        } else if right != list {
            let what =
                format!("`{list}` is no list of `host:port` with commas, and nothing else, between them");
            self.wrong("kafka.bootstrap", what, rewrite);
        }
        for broker in right.split(',') {
            // `fe80::1` is a host, `[fe80::1]:9092` a host with its port.
            let (host, port) = match broker.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
                _ => (broker, ""),
            };
            let what = format!("`{broker}` has no port");
            let legal = |c: char| c.is_alphanumeric() || ".-_[]:%".contains(c);
            if let Some(address) = bracketed(broker) {
                let what = format!("`{broker}` has an IPv6 address without brackets");
                self.wrong_part("kafka.bootstrap", broker, what, format!("write `{address}`"));
            } else if port.is_empty() {
                let hint = format!("write `{host}:9092`, if it is the usual one");
                self.wrong_part("kafka.bootstrap", broker, what, hint);
            } else if host.is_empty()
                || !host.chars().all(legal)
                || !port.parse::<u16>().is_ok_and(|port| port > 0)
            {
                let what =
                    format!("`{broker}` is no address: expected `host:port` with a port from 1 to 65535");
                self.wrong_part("kafka.bootstrap", broker, what, "");
            }
        }
    }

    /// A property of the client library: `` `name` is wrong: why `` in the table `key`, or a setting of [kafka] itself.
    fn property(&mut self, key: &str, what: &str) {
        let name = what.split('`').nth(1).unwrap_or_default();
        let place = format!("kafka.{key}.{name}");
        let (what, hint) = what.split_once(": ").unwrap_or((what, ""));
        let places = &self.source.places;
        let told = match places.is_set(&place) {
            true => places.mistake_at_key(&place, what),
            false => places.mistake(&format!("kafka.{key}"), what),
        };
        self.mistakes.push(told.hint(hint));
    }

    /// A name of a topic, a group or an instance.
    fn name(&mut self, path: &str, name: &str) -> bool {
        if !self.no_variable(path, name) {
            return false;
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && name.chars().all(legal)
            && !matches!(name, "." | "..")
        {
            return true;
        }
        let what = format!("`{name}` is no name: expected 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -");
        // What parts a name elsewhere; anything else, such as a pattern, is not meant as a name.
        let parting = |c: char| matches!(c, ' ' | '\t' | '/' | ':' | '@');
        let changed: String = name.trim().chars().map(|c| if parting(c) { '-' } else { c }).collect();
        let fits = (1..=NAME_BYTES_MAX).contains(&changed.len())
            && changed != name
            && changed.chars().all(legal)
            && changed.contains(|c| c != '-');
        self.wrong(path, what, if fits { format!("did you mean `{changed}`?") } else { String::new() });
        false
    }
}

/// An IPv6 address that stands without brackets, written with them and with a port.
fn bracketed(broker: &str) -> Option<String> {
    let is_address = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    match broker.rsplit_once(':') {
        // `::1:9092` is an address too, and a port of four digits is what is meant.
        Some((host, port)) if port.len() > 3 && is_address(host) && port.parse::<u16>().is_ok() => {
            Some(format!("[{host}]:{port}"))
        }
        _ => is_address(broker).then(|| format!("[{broker}]:9092")),
    }
}

impl Settings {
    /// What each value says alone was read; here is what may not be said.
    pub(super) fn check(&self, source: &Source<'_>, mistakes: &mut Vec<Diagnostic>) {
        let mut check = Checker { source, mistakes };
        for ((path, known), text) in CHOICES.iter().zip([&self.input.preset, &self.log.level]) {
            check.choice(path, text, known);
        }
        match (self.input.preset == "custom", self.input.fields.is_empty()) {
            (true, true) => check.wrong(
                "input.preset",
                "the preset `custom` knows no field".to_owned(),
                "write [input.fields] with a path for mention_id, author_id and text at least",
            ),
            (false, false) => check.wrong(
                "input.fields",
                format!("fields go with the preset `custom`, not with `{}`", self.input.preset),
                "write preset = \"custom\" in [input], or remove [input.fields]",
            ),
            _ => {}
        }
        let numbers =
            [self.input.mention_bytes_max, self.limits.buffer_mib, self.triage.lanes, self.triage.workers];
        for ((path, least, most), number) in RANGES.iter().zip(numbers) {
            check.range(path, &number, least, most);
        }
        let seconds = Duration::from_secs;
        check.range("kafka.session_timeout", &self.kafka.session_timeout, &seconds(6), &seconds(1_800));
        check.range("desk.tick_interval", &self.desk.tick_interval, &Duration::from_millis(10), &seconds(60));
        check.range("desk.snapshot_interval", &self.desk.snapshot_interval, &seconds(1), &seconds(86_400));
        check.brokers(&self.kafka.bootstrap);
        for (key, what) in self.kafka.property_mistakes() {
            check.property(key, &what);
        }
        self.check_names(&mut check);
        self.check_paths(&mut check);
        self.check_admin(&mut check);
    }

    /// Who may ask over TCP.
    fn check_admin(&self, check: &mut Checker<'_>) {
        let admin = &self.admin;
        let guarded = admin.behind_tls && !admin.token_file.as_os_str().is_empty();
        match admin.address() {
            Err(_) => {
                let what = format!("`{}` is no address", admin.listen);
                check.wrong("admin.listen", what, "write an IP address and a port, such as `127.0.0.1:9464`");
            }
            Ok(Some(address)) if !address.ip().is_loopback() && !guarded => {
                let hint = "set `token_file`, and `behind_tls = true` once a proxy with TLS stands in front";
                check.wrong("admin.listen", format!("`{address}` is not loopback"), hint);
            }
            Ok(_) => {}
        }
        let legal = |name: &str| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
        };
        if let Some(name) = admin.host_names().into_iter().find(|name| !legal(name)) {
            let hint = "such as `triaged.example` or `triaged.example:8443`";
            check.wrong("admin.hosts", format!("`{name}` is no name of a host"), hint);
        }
    }

    fn check_names(&self, check: &mut Checker<'_>) {
        let topics = &self.topics;
        let prefixes = [
            ("topics.ledger_prefix", topics.ledger_prefix.as_str()),
            ("topics.assignments_prefix", topics.assignments_prefix.as_str()),
        ];
        let names: Vec<(&str, &str)> = topics.named().into_iter().chain(prefixes).collect();
        let ledger = topics.ledger();
        for (at, (path, name)) in names.iter().enumerate() {
            if !check.name(path, name) {
                continue;
            }
            let taken =
                names[..at].iter().find(|(_, taken)| taken == name).map(|(other, _)| format!("`{other}`"));
            let ledgers = "the ledger, which is `topics.ledger_prefix` and `topics.mentions`,";
            if let Some(other) = taken.or_else(|| (*name == ledger).then(|| ledgers.to_owned())) {
                let what = format!("`{name}` is the name of {other} too");
                check.wrong(path, what, "each topic has its own name");
            }
        }
        if ledger.len() > TOPIC_BYTES_MAX {
            let what = format!("the ledger `{ledger}` has a name of {} bytes", ledger.len());
            check.wrong(
                "topics.ledger_prefix",
                what,
                format!("a topic's name has at most {TOPIC_BYTES_MAX}"),
            );
        }
        if !self.host.instance.is_empty() || check.source.places.is_set("instance") {
            check.name("instance", &self.host.instance);
        } else {
            let what = "this host has no name that could be taken".to_owned();
            check.wrong("instance", what, "set `instance` to a name that is unique in the fleet");
        }
        check.name("group.name", &self.group.name);
    }

    fn check_paths(&self, check: &mut Checker<'_>) {
        let paths = [
            ("state_dir", &self.host.state_dir),
            ("policy.folder", &self.policy.folder),
            ("admin.socket", &self.admin.socket),
        ];
        for (path, value) in paths {
            if value.as_os_str().is_empty() {
                check.wrong(path, "the path is empty".to_owned(), "");
            }
            check.no_variable(path, &value.to_string_lossy());
        }
        let bytes = self.admin.socket.as_os_str().len();
        if bytes > SOCKET_BYTES_MAX {
            let what = format!("the path has {bytes} bytes; a Unix socket takes {SOCKET_BYTES_MAX} at most");
            check.wrong("admin.socket", what, "choose a shorter folder, such as /run/triaged/");
        }
    }
}
