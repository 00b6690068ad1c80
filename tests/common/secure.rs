//! A real Apache Kafka with TLS, SCRAM and ACLs, and the two users that it knows: `admin` and `triaged`.
//!
//! Owns where it is: `scripts/kafka start secure` on KAFKA_SECURE_PORT, left running for the next test run. Tests of
//! rights run one after the other: they share the user. Called by tests/rights.rs.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use triaged::kafka::{KafkaLogs, KafkaSettings, Secret};

/// The port of the broker that tests start for themselves.
const SECURE_PORT: &str = "19592";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");

/// The broker.
pub struct Secure {
    pub port: String,
    pub bootstrap: String,
    /// Certificates and passwords.
    pub folder: PathBuf,
}

/// The broker; starts it if need be.
pub fn broker() -> &'static Secure {
    static BROKER: OnceLock<Secure> = OnceLock::new();
    BROKER.get_or_init(|| {
        let port = std::env::var("KAFKA_SECURE_PORT").unwrap_or_else(|_| SECURE_PORT.to_owned());
        let answer =
            Command::new(SCRIPT).args(["start", "secure"]).env("KAFKA_PORT", &port).output().unwrap();
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(
            answer.status.success(),
            "no Apache Kafka to test with: {said}\nRun scripts/setup, then try again."
        );
        let bootstrap = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        let folder = format!("{}/.build/kafka/{port}/secure", env!("CARGO_MANIFEST_DIR")).into();
        Secure { port, bootstrap, folder }
    })
}

impl Secure {
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The password of a user.
    pub fn password(&self, user: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("{user}.password"))).unwrap().trim().to_owned()
    }

    /// The lines of triaged.toml by which a user reaches it.
    pub fn reach(&self, user: &str) -> String {
        format!(
            "sasl_password_file = \"{}\"\n[kafka.client]\n\"security.protocol\" = \"sasl_ssl\"\n\
             \"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\"sasl.username\" = \"{user}\"\n\"ssl.ca.location\" = \"{}\"",
            self.file(&format!("{user}.password")),
            self.file("ca.pem")
        )
    }

    /// The cluster as a user sees it.
    pub fn cluster(&self, user: &str) -> KafkaLogs {
        let mut settings = KafkaSettings::new(&self.bootstrap);
        settings.session_timeout_ms = 6_000;
        for (name, value) in [
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
            ("sasl.username", user.to_owned()),
            ("ssl.ca.location", self.file("ca.pem")),
        ] {
            settings.client.insert(name.to_owned(), value);
        }
        let password = Secret::read(&self.folder.join(format!("{user}.password"))).unwrap();
        settings.secrets.push(("sasl.password", password));
        KafkaLogs::new(settings).unwrap()
    }

    /// Writes `kafka-acls` into a folder, for scripts that call it by that name.
    pub fn write_kafka_acls(&self, folder: &std::path::Path) {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.join("kafka-acls");
        let text = format!("#!/bin/sh\nKAFKA_PORT={} exec {SCRIPT} acls \"$@\"\n", self.port);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Who grants and takes single rights of `User:triaged`.
pub struct Rights {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Rights {
    pub fn of(broker: &Secure) -> Rights {
        let mut child = Command::new(SCRIPT)
            .arg("rights")
            .env("KAFKA_PORT", &broker.port)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, hear) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Rights { child, say, hear }
    }

    fn act(&mut self, verb: &str, right: &Right) {
        let Right { kind, name, operation } = right;
        writeln!(self.say, "{verb} User:triaged {kind} {name} {operation}").unwrap();
        let mut answer = String::new();
        self.hear.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "ok", "{verb} {right:?}");
    }

    pub fn grant(&mut self, right: &Right) {
        self.act("add", right);
    }

    pub fn take(&mut self, right: &Right) {
        self.act("remove", right);
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One operation on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub kind: String,
    pub name: String,
    pub operation: String,
}

impl Right {
    pub fn new(kind: &str, name: &str, operation: &str) -> Right {
        Right { kind: kind.to_owned(), name: name.to_owned(), operation: operation.to_owned() }
    }
}
