//! Which properties of the client library may be set, and what they must say together.
//!
//! Owns the one list of properties that nobody may touch, each with its reason, and the rules for TLS and SASL. Pure:
//! opens no file, asks no broker. Called by `settings`, which shows mistakes with their place, and by `kafka`, which
//! refuses the same list from whoever makes clients without a configuration.

use super::{Admin, Kafka, OVERRIDE_PREFIX};

const COMMITS: &str =
    "an offset is committed only once every effect of its record is acknowledged; the daemon does it";
const NO_LOSS: &str =
    "an acknowledged record must be on all in-sync replicas, in order, and never given up on";
const ORDER: &str =
    "the client keeps at most 5 requests under way, which is what order and idempotence allow";
const MEMORY: &str = "memory is bounded by `limits.buffer_mib`";
const NAMES: &str = "it is made from `instance` and the lane, so that a restart keeps its place";
const HAND_OVER: &str = "lanes answer rebalances partition by partition, which no other protocol allows";
const TRANSACTIONS: &str = "the daemon's guarantees rest on its ledger, not on transactions";
const PASSWORD: &str =
    "name a file in `kafka.sasl_password_file`; secrets do not belong in the configuration";
const KEY_PASSWORD: &str =
    "name a file in `kafka.ssl_key_password_file`; secrets do not belong in the configuration";
const CODE: &str = "no foreign code is loaded into the daemon";
const MOCK: &str = "it would put a cluster in the client's own memory in the place of yours";
const CALLBACK: &str = "it is a function of a program that uses the library, not a setting";
const GSSAPI: &str = "this build has no GSSAPI; use SCRAM-SHA-512 or a client certificate";
const OAUTH: &str = "this build has no OAUTHBEARER; use SCRAM-SHA-512 or a client certificate";

/// Properties that may not be set. An alias stands beside what it is an alias of.
const REFUSED: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "set `kafka.bootstrap`"),
    (&["session.timeout.ms"], "set `kafka.session_timeout`"),
    (&["heartbeat.interval.ms"], "it follows from `kafka.session_timeout`"),
    (&["queued.max.messages.kbytes", "queue.buffering.max.kbytes", "queue.buffering.max.messages"], MEMORY),
    (&["client.id", "group.instance.id"], NAMES),
    (&["group.id"], "set `group.name`; two groups on one input would triage every mention twice"),
    (
        &["group.protocol", "group.remote.assignor", "group.protocol.type", "partition.assignment.strategy"],
        HAND_OVER,
    ),
    (&["enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms"], COMMITS),
    (
        &[
            "enable.auto.offset.store",
            "offset.store.method",
            "offset.store.path",
            "offset.store.sync.interval.ms",
        ],
        COMMITS,
    ),
    (
        &["auto.offset.reset"],
        "the daemon decides where reading starts; a jump would leave records without a disposition",
    ),
    (&["isolation.level"], "records of aborted transactions are no mentions"),
    (&["enable.partition.eof"], "the readers that need it set it themselves"),
    (&["allow.auto.create.topics"], "a typing error in a name must not become a topic"),
    (&["topic.blacklist"], "a topic that is hidden from the client would pass for one that is missing"),
    (&["enable.idempotence", "acks", "request.required.acks"], NO_LOSS),
    (&["message.timeout.ms", "delivery.timeout.ms"], NO_LOSS),
    (&["message.send.max.retries", "retries"], NO_LOSS),
    (&["max.in.flight.requests.per.connection", "max.in.flight", "queuing.strategy"], ORDER),
    (
        &["enable.gapless.guarantee"],
        "a record that is refused stops its partition until it is mended; this would end the process",
    ),
    (&["partitioner"], "the daemon chooses each record's partition: cases are found by it"),
    (&["transactional.id", "transaction.timeout.ms"], TRANSACTIONS),
    (&["delivery.report.only.error"], "reports are how effects are known to be acknowledged"),
    (&["enabled_events", "enable_sasl_queue"], "the daemon chooses which events it serves"),
    (&["log.queue"], "the client's log lines would pile up where nobody reads them"),
    (&["internal.termination.signal"], "signals are the daemon's own"),
    (&["plugin.library.paths", "interceptors", "ssl.engine.location", "ssl.engine.id"], CODE),
    (&["opaque", "default_topic_conf", "msg_order_cmp"], CALLBACK),
    (&["ssl_key", "ssl_certificate", "ssl_ca", "ssl_engine_callback_data"], CALLBACK),
    (&["sasl.password"], PASSWORD),
    (&["ssl.key.password", "ssl.keystore.password"], KEY_PASSWORD),
    (&["ssl.key.pem"], "name a file in `ssl.key.location`; secrets do not belong in the configuration"),
    (&["enable.sasl.oauthbearer.unsecure.jwt"], OAUTH),
];

/// The same for every property whose name begins, or ends, so.
const REFUSED_PREFIXES: &[(&str, &str)] =
    &[("sasl.kerberos.", GSSAPI), ("sasl.oauthbearer.", OAUTH), ("test.mock.", MOCK)];
const REFUSED_SUFFIXES: &[(&str, &str)] = &[("_cb", CALLBACK)];

/// The names of which each is refused, for the schema; prefixes and suffixes are told by [`refused`] alone.
pub(super) fn refused_names() -> impl Iterator<Item = &'static str> {
    REFUSED.iter().flat_map(|(names, _)| names.iter().copied())
}

/// Properties that may be set and are spelled with underscores, not dots.
pub(super) const UNDERSCORED: [&str; 1] = ["log_level"];

/// Why this property may not be set; `None` when it may.
#[must_use]
pub fn refused(property: &str) -> Option<&'static str> {
    let name = property.strip_prefix("topic.").filter(|name| *name != "blacklist").unwrap_or(property);
    let listed = REFUSED.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| *why);
    listed
        .or_else(|| REFUSED_PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, why)| *why))
        .or_else(|| REFUSED_SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, why)| *why))
}

/// What `security.protocol` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Security {
    /// Whether anybody said it.
    pub stated: bool,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Whether the client says who it is by SASL.
    pub sasl: bool,
}

impl Kafka {
    /// What the connections to the broker are.
    #[must_use]
    pub fn security(&self) -> Security {
        let said = self.client.get("security.protocol").map(|text| text.to_ascii_lowercase());
        let text = said.as_deref().unwrap_or("plaintext");
        Security { stated: said.is_some(), tls: text.ends_with("ssl"), sasl: text.starts_with("sasl") }
    }

    /// Whether every broker to be asked first is this machine itself.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.bootstrap.split(',').all(|broker| {
            let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// What is wrong with the tables of properties, each with the key of the table.
    pub(super) fn property_mistakes(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        for (table, properties) in
            [("client", &self.client), ("consumer", &self.consumer), ("producer", &self.producer)]
        {
            for (property, value) in properties {
                if let Some(why) = refused(property) {
                    wrong.push((table, format!("`{property}` may not be set: {why}")));
                } else if table != "client" && is_about_security(property) {
                    let why = "every client reaches the brokers in the same way: set it in `[kafka.client]`";
                    wrong.push((table, format!("`{property}` may not be set here: {why}")));
                } else if value.contains("${") && !property.ends_with(".location") {
                    let variable = property.to_uppercase().replace('.', "_");
                    wrong.push((
                        table,
                        format!(
                            "`{property}` names an environment variable, and those are not expanded here: set the whole by \
                             a variable, {OVERRIDE_PREFIX}KAFKA__{}__{variable}",
                            table.to_uppercase()
                        ),
                    ));
                }
            }
        }
        wrong.extend(self.security_mistakes());
        wrong
    }

    fn security_mistakes(&self) -> Vec<(&'static str, String)> {
        let security = self.security();
        let has = |file: &std::path::Path| !file.as_os_str().is_empty();
        let first = |prefix: &str| self.client.keys().find(|key| key.starts_with(prefix));
        let mut wrong = Vec::new();
        let unused = |what: &str, wanted: &str| {
            format!("{what} does nothing without `security.protocol = \"{wanted}\"`, which is not set")
        };
        if !security.sasl {
            let property = first("sasl.").map(|key| ("client", format!("`{key}`")));
            let file = has(&self.sasl_password_file)
                .then(|| ("sasl_password_file", "`kafka.sasl_password_file`".to_owned()));
            wrong.extend(property.or(file).map(|(key, what)| (key, unused(&what, "sasl_ssl"))));
        }
        if !security.tls {
            let wanted = if security.sasl { "sasl_ssl" } else { "ssl" };
            let property = first("ssl.").map(|key| ("client", format!("`{key}`")));
            let file = has(&self.ssl_key_password_file)
                .then(|| ("ssl_key_password_file", "`kafka.ssl_key_password_file`".to_owned()));
            wrong.extend(property.or(file).map(|(key, what)| (key, unused(&what, wanted))));
        }
        if security.sasl {
            wrong.extend(self.sasl_mistakes());
        }
        wrong
    }

    fn sasl_mistakes(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mechanism = ["sasl.mechanism", "sasl.mechanisms"].iter().find_map(|key| self.client.get(*key));
        match mechanism {
            None => {
                wrong.push(("client", "`sasl.mechanism` is missing, such as \"SCRAM-SHA-512\"".to_owned()))
            }
            Some(mechanism) if !MECHANISMS.contains(&mechanism.to_ascii_uppercase().as_str()) => {
                let known = MECHANISMS.join(", ");
                wrong
                    .push(("client", format!("`sasl.mechanism` is `{mechanism}`, which is none of {known}")));
            }
            Some(_) => {}
        }
        if !self.client.contains_key("sasl.username") {
            wrong.push(("client", "`sasl.username` is missing".to_owned()));
        }
        if self.sasl_password_file.as_os_str().is_empty() {
            wrong.push(("sasl_password_file", "`kafka.sasl_password_file` is missing".to_owned()));
        }
        wrong
    }

    /// What is allowed, and should be known: connections that others on the network can read or pretend to be.
    #[must_use]
    pub fn security_warnings(&self) -> Vec<String> {
        let security = self.security();
        let mut warnings = Vec::new();
        let bootstrap = &self.bootstrap;
        if !self.is_local() && !security.stated {
            warnings.push(format!(
                "`kafka.bootstrap` is `{bootstrap}`, and connections to it are not encrypted: set `security.protocol` in \
                 `[kafka.client]`, \"ssl\" or \"sasl_ssl\", or \"plaintext\" if that is meant"
            ));
        }
        if !self.is_local() && security.sasl && !security.tls {
            warnings.push(format!(
                "`security.protocol` is `sasl_plaintext`: mentions, and with PLAIN the password, cross the network to \
                 `{bootstrap}` unencrypted; \"sasl_ssl\" encrypts them"
            ));
        }
        let off = |key: &str, value: &str| self.client.get(key).is_some_and(|text| text == value);
        if off("enable.ssl.certificate.verification", "false") {
            warnings.push(
                "`enable.ssl.certificate.verification` is false: whoever answers is taken for the broker, and given the \
                 password; name the authority in `ssl.ca.location` instead"
                    .to_owned(),
            );
        } else if off("ssl.endpoint.identification.algorithm", "none") {
            warnings.push(
                "`ssl.endpoint.identification.algorithm` is none: any certificate of the authority passes for the \
                 broker's, whatever its name"
                    .to_owned(),
            );
        }
        warnings
    }

    /// Every path that may name a systemd credential.
    pub(super) fn expand_credentials(&mut self, directory: Option<&str>) -> Result<(), (String, String)> {
        for (key, path) in [
            ("sasl_password_file", &mut self.sasl_password_file),
            ("ssl_key_password_file", &mut self.ssl_key_password_file),
        ] {
            if let Some(expanded) =
                expand(&path.to_string_lossy(), directory).map_err(|what| (key.to_owned(), what))?
            {
                *path = expanded.into();
            }
        }
        for (property, value) in self.client.iter_mut().filter(|(name, _)| name.ends_with(".location")) {
            if let Some(expanded) =
                expand(value, directory).map_err(|what| (format!("client.{property}"), what))?
            {
                *value = expanded;
            }
        }
        Ok(())
    }
}

impl Admin {
    /// The same for the token's file.
    ///
    /// # Errors
    /// The key and what is wrong.
    pub(super) fn expand_credentials(&mut self, directory: Option<&str>) -> Result<(), (String, String)> {
        let path = self.token_file.to_string_lossy();
        if let Some(expanded) = expand(&path, directory).map_err(|what| ("token_file".to_owned(), what))? {
            self.token_file = expanded.into();
        }
        Ok(())
    }
}

/// What systemd calls the folder of a unit's credentials, as people write it in front of a file's name.
const CREDENTIALS: &str = "${CREDENTIALS_DIRECTORY}";

/// The path with the folder of credentials in the place of its variable; `None` when it does not begin with that.
fn expand(path: &str, directory: Option<&str>) -> Result<Option<String>, String> {
    let Some(rest) = path.strip_prefix(CREDENTIALS) else {
        return match path.contains("${") {
            true => Err(format!(
                "`{path}`: environment variables are not expanded, but for `{CREDENTIALS}` at the start of a path"
            )),
            false => Ok(None),
        };
    };
    match directory {
        Some(directory) => Ok(Some(format!("{directory}{rest}"))),
        None => Err(format!(
            "`{path}`: CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with `LoadCredential=`"
        )),
    }
}

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn is_about_security(property: &str) -> bool {
    ["security.", "sasl.", "ssl.", "enable.ssl."].iter().any(|prefix| property.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_would_break_a_guarantee_is_refused_under_each_of_its_names() {
        for names in [
            ["acks", "request.required.acks", "topic.acks"],
            ["retries", "message.send.max.retries", "topic.retries"],
            ["delivery.timeout.ms", "message.timeout.ms", "topic.message.timeout.ms"],
            ["enable.auto.commit", "auto.commit.enable", "topic.auto.commit.enable"],
            ["max.in.flight", "max.in.flight.requests.per.connection", "queuing.strategy"],
            ["bootstrap.servers", "metadata.broker.list", "group.id"],
            [
                "sasl.oauthbearer.client.secret",
                "sasl.oauthbearer.client.credentials.client.secret",
                "sasl.password",
            ],
            ["plugin.library.paths", "rebalance_cb", "sasl.kerberos.kinit.cmd"],
            ["ssl.key.password", "ssl.keystore.password", "ssl.key.pem"],
            ["topic.blacklist", "test.mock.num.brokers", "transactional.id"],
        ] {
            for name in names {
                assert!(refused(name).is_some_and(|why| why.len() > 15), "{name}");
            }
        }
        for name in
            ["debug", "linger.ms", "ssl.ca.location", "sasl.username", "security.protocol", "client.rack"]
        {
            assert_eq!(refused(name), None, "{name}");
        }
    }

    fn kafka(bootstrap: &str, client: &[(&str, &str)]) -> Kafka {
        let client = client.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Kafka { bootstrap: bootstrap.to_owned(), client, ..Kafka::default() }
    }

    #[test]
    fn a_broker_elsewhere_without_a_stated_protocol_is_warned_of_and_this_machine_is_not() {
        for local in ["localhost:9092", "127.0.0.1:9092,[::1]:9093"] {
            assert_eq!(kafka(local, &[]).security_warnings(), Vec::<String>::new(), "{local}");
        }
        let warnings = kafka("127.0.0.1:9092,kafka.example:9092", &[]).security_warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("not encrypted"), "{warnings:?}");
        let stated = kafka("kafka.example:9092", &[("security.protocol", "PLAINTEXT")]);
        assert_eq!(stated.security_warnings(), Vec::<String>::new());
        let open = [("security.protocol", "sasl_plaintext")];
        assert_eq!(kafka("kafka.example:9092", &open).security_warnings().len(), 1);
        let blind = [("security.protocol", "ssl"), ("enable.ssl.certificate.verification", "false")];
        assert_eq!(kafka("kafka.example:9092", &blind).security_warnings().len(), 1);
    }

    #[test]
    fn a_password_that_would_not_be_used_or_a_login_without_one_is_a_mistake() {
        let told = |kafka: &Kafka| -> Vec<String> {
            kafka.property_mistakes().into_iter().map(|(key, what)| format!("{key}: {what}")).collect()
        };
        let unused = kafka("k:9092", &[("sasl.username", "triaged")]);
        assert_eq!(
            told(&unused),
            [
                "client: `sasl.username` does nothing without `security.protocol = \"sasl_ssl\"`, which is not set"
            ]
        );
        let unused =
            kafka("k:9092", &[("security.protocol", "sasl_plaintext"), ("ssl.ca.location", "/ca.pem")]);
        assert!(told(&unused)[0].contains("`ssl.ca.location` does nothing without"), "{:?}", told(&unused));
        let bare = kafka("k:9092", &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "GSSAPI")]);
        let told_of_bare = told(&bare);
        assert_eq!(told_of_bare.len(), 3, "{told_of_bare:?}");
        assert!(told_of_bare[0].contains("`GSSAPI`, which is none of PLAIN, SCRAM"), "{told_of_bare:?}");
        let mut whole = bare.clone();
        whole.client.insert("sasl.mechanism".to_owned(), "scram-sha-512".to_owned());
        whole.client.insert("sasl.username".to_owned(), "triaged".to_owned());
        whole.sasl_password_file = "/run/password".into();
        assert_eq!(told(&whole), Vec::<String>::new());
        let mut split = whole.clone();
        split.producer.insert("ssl.ca.location".to_owned(), "/other.pem".to_owned());
        assert!(told(&split)[0].contains("set it in `[kafka.client]`"), "{:?}", told(&split));
    }

    #[test]
    fn a_systemd_credential_is_found_by_its_variable_and_named_when_systemd_gives_none() {
        let mut settings = kafka("k:9092", &[("ssl.ca.location", "${CREDENTIALS_DIRECTORY}/ca.pem")]);
        settings.sasl_password_file = "${CREDENTIALS_DIRECTORY}/kafka.password".into();
        let (key, what) = settings.clone().expand_credentials(None).expect_err("systemd gives none");
        assert_eq!(key, "sasl_password_file");
        assert!(what.contains("LoadCredential="), "{what}");
        settings.expand_credentials(Some("/run/credentials/triaged.service")).expect("it is known");
        let found = settings.sasl_password_file.display().to_string();
        assert_eq!(found, "/run/credentials/triaged.service/kafka.password");
        assert_eq!(settings.client["ssl.ca.location"], "/run/credentials/triaged.service/ca.pem");
    }
}
