//! What the service manager is told while time goes by: the status line, more time for a start that gets on.
//!
//! Owns when READY, RELOADING and STOPPING are said and the words of the status line; how they are said is `systemd`.
//! May not change anything: it reads what threads told. Called by the control plane's thread and by the daemon's own.

use super::shared::{Seat, Shared, Stage};
use crate::counters::Input;
use crate::error::Error;
use crate::systemd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the line is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Milliseconds over which the rate in the line is taken, and between two lines while records flow.
const RATE_MS: i64 = 5_000;
/// What a start that gets on may take from now on, whatever the unit says; told again at every look.
const START_MORE: Duration = Duration::from_secs(30);
/// Letters of a policy's hash that tell it from others.
const HASH_LETTERS: usize = 12;

/// Records flow, for the first time.
pub(super) fn ready(shared: &Shared) {
    shared.told_ready.store(true, Ordering::Release);
    systemd::ready("running");
}

/// A reload begins. Before the first `ready` nothing is said: the end of the reload would tell of a ready daemon.
pub(super) fn reloading(shared: &Shared) {
    if is_told_ready(shared) {
        systemd::reloading();
    }
}

/// The reload has ended, whichever way: what is in force works.
pub(super) fn reloaded(shared: &Shared) {
    if is_told_ready(shared) {
        systemd::ready(shared.pause.paused().told().as_deref().unwrap_or("running"));
    }
}

/// The daemon drains; both kinds of lanes may take their time.
pub(super) fn stopping(shared: &Shared) {
    let at_most = Duration::from_millis(2 * shared.tuning.drain_ms_max.unsigned_abs());
    systemd::stopping(&drain_line(shared), at_most);
}

/// The daemon ends because of this: what `systemctl status` shows from then on.
pub(super) fn failed(error: &Error) {
    let text = error.to_string();
    systemd::status(&format!("ended: {}", text.lines().next().unwrap_or_default()));
}

fn is_told_ready(shared: &Shared) -> bool {
    shared.told_ready.load(Ordering::Acquire) && shared.stage() == Stage::Running
}

/// Keeps the status line true, and a start from being cut off while its threads move. Never ends.
pub(super) async fn keep_told(shared: &Shared) {
    let mut looks = tokio::time::interval(LOOK);
    let mut rate = Rate::default();
    let mut told = String::new();
    loop {
        looks.tick().await;
        let line = match shared.stage() {
            Stage::DrainTriage | Stage::DrainDesk | Stage::Stop => drain_line(shared),
            _ if is_told_ready(shared) => match rate.next(shared) {
                Some(rate) => running_line(shared, rate),
                None => continue,
            },
            _ => shared.ready().err().unwrap_or_default(),
        };
        if shared.stage() <= Stage::Running && !shared.told_ready.load(Ordering::Acquire) {
            match shared.live() {
                Ok(()) => systemd::gets_on(&line, START_MORE),
                Err(who) => systemd::status(&who),
            }
        } else if line != told {
            systemd::status(&line);
        }
        told = line;
    }
}

fn drain_line(shared: &Shared) -> String {
    format!("draining: {} mentions in flight", shared.exporter.totals().inflight_records)
}

fn running_line(shared: &Shared, per_second: u64) -> String {
    if let Err(why) = shared.ready() {
        return format!("not ready: {why}");
    }
    let mentions = &shared.settings.topics.mentions;
    let readings = shared.exporter.readings();
    let of_mentions = readings.lag.iter().filter(|(topic, ..)| **topic == **mentions);
    let inputs_of =
        |seat: &Arc<Seat>| seat.committed().iter().filter(|(of, _)| *of.topic == **mentions).count();
    let partitions: usize = shared.seats().iter().map(inputs_of).sum();
    // A broker that does not answer leaves gaps.
    let behind = match of_mentions.clone().count() {
        known if known < partitions => "lag unknown".to_owned(),
        _ => format!("{} behind", of_mentions.map(|(_, _, behind)| behind).sum::<u64>()),
    };
    let policy = shared.policies.in_force().map_or_else(String::new, |now| {
        now.policy.generation().to_string().trim_start_matches("sha256:").chars().take(HASH_LETTERS).collect()
    });
    let state = shared.pause.paused().told().unwrap_or("running".to_owned());
    let colon = if state == "running" { ":" } else { ";" };
    format!("{state}{colon} {per_second} mentions/s, {behind} on {partitions} partitions, policy {policy}")
}

/// Mentions read in each second of the last few.
#[derive(Default)]
struct Rate {
    read: u64,
    at_ms: i64,
    due_ms: i64,
}

impl Rate {
    /// The rate since the last one, when it is time for one.
    fn next(&mut self, shared: &Shared) -> Option<u64> {
        let now = shared.clock.monotonic_ms();
        if now < self.due_ms {
            return None;
        }
        let read = shared.exporter.totals().input[Input::Mentions as usize];
        let passed = (now - self.at_ms).max(1).unsigned_abs();
        let rate = read.saturating_sub(self.read) * 1_000 / passed;
        *self = Rate { read, at_ms: now, due_ms: now + RATE_MS };
        Some(rate)
    }
}
