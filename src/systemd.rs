//! Tells systemd how the daemon is: ready, reloading, stopping, a status line, alive.
//!
//! Owns the words of sd_notify(3). Does nothing where nobody listens. The watchdog is fed only while a given
//! closure says that every thread has moved: a ping by itself would prove nothing. Called by the pipeline.

use sd_notify::NotifyState;
use std::time::Duration;

/// Longest status line; systemd cuts what is longer than a datagram, people read less.
const STATUS_BYTES_MAX: usize = 256;

/// Records flow: sent once, after the first assignment.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
}

/// A reload begins. `ready` ends it. Carries the monotonic time that `Type=notify-reload` demands.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd is not told of the reload: no monotonic clock"),
    }
}

/// The daemon drains and will end; it may take `at_most`, after which systemd kills it. Send it again to extend.
pub fn stopping(status: &str, at_most: Duration) {
    let extend = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
    send(&[
        NotifyState::Stopping,
        NotifyState::Status(&one_line(status)),
        NotifyState::ExtendTimeoutUsec(extend),
    ]);
}

/// What `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(&one_line(status))]);
}

/// What `systemctl status` shows of a start that gets on: it may take `at_least` from now on, whatever the unit says.
/// Send it again before that is over.
pub fn gets_on(status: &str, at_least: Duration) {
    let extend = u32::try_from(at_least.as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::Status(&one_line(status)), NotifyState::ExtendTimeoutUsec(extend)]);
}

/// Feeds the watchdog at half its interval whenever `all_moved` finds that all have since its last call, and for ever
/// does nothing when systemd asked for no watchdog. The error names who has not moved.
pub async fn watchdog(mut all_moved: impl FnMut() -> Result<(), String>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        match all_moved() {
            Ok(()) => send(&[NotifyState::Watchdog]),
            Err(who) => tracing::error!("{who}: the watchdog is not fed, and bites after {limit:?}"),
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    // A manager that went away must not stop the stream.
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// A line break would end the STATUS field and let a name from outside say READY.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(STATUS_BYTES_MAX));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    /// Runs in a process of its own (the environment of this one is shared by all tests): `manager` below.
    #[test]
    #[ignore = "the other half of `systemd_hears_...`, which starts it with a socket"]
    fn a_daemon_that_says_everything_once() {
        ready("2 shards\nREADY=0");
        reloading();
        stopping("draining", Duration::from_secs(30));
        status(&"é".repeat(200));
        gets_on("restoring", Duration::from_secs(20));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut looks = 0;
        let fed = watchdog(|| {
            looks += 1;
            if looks == 2 { Ok(()) } else { Err("thread `a`".to_owned()) }
        });
        // The first look finds a thread stuck, the second does not: one message. The end is the third look.
        runtime.block_on(async { tokio::time::timeout(Duration::from_millis(1_900), fed).await }).ok();
    }

    #[test]
    fn systemd_hears_every_state_in_order_and_the_watchdog_only_while_all_moves() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify.sock");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        let done = Command::new(std::env::current_exe().expect("this test's own program"))
            .args(["--ignored", "--exact", "systemd::tests::a_daemon_that_says_everything_once"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000000")
            .env_remove("WATCHDOG_PID")
            .output()
            .expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        manager.set_nonblocking(true).expect("it can");
        let mut heard = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(length) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8(buffer[..length].to_vec()).expect("text"));
        }
        assert_eq!(heard[0], "READY=1\nSTATUS=2 shards READY=0\n");
        assert!(heard[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{}", heard[1]);
        assert_eq!(heard[2], "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=30000000\n");
        assert_eq!(heard[3], format!("STATUS={}\n", "é".repeat(128)));
        assert_eq!(heard[4], "STATUS=restoring\nEXTEND_TIMEOUT_USEC=20000000\n");
        let fed: Vec<_> = heard[5..].iter().map(String::as_str).collect();
        assert_eq!(fed, ["WATCHDOG=1\n"], "of several looks only the one at which all had moved");
    }
}
