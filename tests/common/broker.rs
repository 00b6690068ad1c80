//! A broker for one test alone, to which anything may be done.
//!
//! Owns its ports and its data: it is stopped and wiped when its handle goes. What is done to it is `scripts/kafka`'s
//! business. Called by the fault tests.

use std::net::TcpListener;
use std::process::Command;

/// A broker of its own that may be killed or frozen; stopped and its data deleted at the end.
pub struct OwnBroker {
    port: String,
}

impl OwnBroker {
    /// Starts one on ports that are free; it and its address.
    pub fn start() -> (OwnBroker, String) {
        let near = std::env::var("KAFKA_PORT").ok().and_then(|port| port.parse::<u16>().ok());
        let near = near.unwrap_or(19_392) + 100;
        // The broker takes this port, its controller the next one.
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        let port = (near..near + 200).step_by(2).find(|&port| free(port) && free(port + 1));
        let broker = OwnBroker { port: port.expect("two ports are free").to_string() };
        let address = broker.does("start");
        (broker, address)
    }

    /// Has `scripts/kafka` do this to it; what that prints.
    pub fn does(&self, what: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        let mut command = Command::new(script);
        let answer = command.arg(what).env("KAFKA_PORT", &self.port).output().expect("scripts/kafka runs");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "scripts/kafka {what}: {said}\nRun scripts/setup, then try again.");
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        let _ = Command::new(script).arg("wipe").env("KAFKA_PORT", &self.port).output();
    }
}
