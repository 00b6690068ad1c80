//! A service manager that only listens: the socket of sd_notify(3), and what was heard on it.
//!
//! Owns the socket in a folder of its own. Stands in for systemd where none runs. Called by the tests of the units.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// What systemd would hear, message by message, and the folders that it would make.
pub struct Manager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
    heard: Vec<String>,
    watchdog_usec: String,
}

impl Manager {
    /// Listens. The watchdog is asked for with this interval in microseconds.
    pub fn new(watchdog_usec: u64) -> Manager {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("it can");
        for name in ["state", "run", "credentials"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Manager { folder, socket, heard: Vec::new(), watchdog_usec: watchdog_usec.to_string() }
    }

    /// A path in the manager's folder: `notify`, `state`, `run`, `credentials`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a unit's process finds in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        vec![
            ("NOTIFY_SOCKET", path("notify")),
            ("STATE_DIRECTORY", path("state")),
            ("RUNTIME_DIRECTORY", path("run")),
            ("CREDENTIALS_DIRECTORY", path("credentials")),
            ("WATCHDOG_USEC", self.watchdog_usec.clone()),
        ]
    }

    /// Everything heard so far.
    pub fn heard(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.heard.push(String::from_utf8(buffer[..length].to_vec()).expect("text"));
        }
        &self.heard
    }

    /// Waits for a message with this in it, after the first `from`; its place.
    pub fn hears(&mut self, what: &str, from: usize) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heard = self.heard();
            if let Some(place) = heard.iter().skip(from).position(|message| message.contains(what)) {
                return from + place;
            }
            assert!(Instant::now() < deadline, "`{what}` was not heard after {from}: {heard:#?}");
        }
    }
}
