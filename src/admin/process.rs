//! What the system says of this process: processor time, memory, file descriptors, threads.
//!
//! Owns the reads of /proc/self, which work under the shipped unit (`ProcSubset=pid`). What cannot be read is left
//! out of the scrape, not shown as 0. Called by `exporter` at each scrape.

use std::fs;

/// Ticks of /proc/self/stat in a second: part of Linux's interface (USER_HZ), on every architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// One look.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) virtual_bytes: Option<f64>,
    pub(super) threads: Option<f64>,
    pub(super) open_fds: Option<f64>,
    pub(super) max_fds: Option<f64>,
}

impl Process {
    /// Looks now.
    pub(super) fn look() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Process {
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: line(&status, "VmRSS:").map(|kib| kib * 1024.0),
            virtual_bytes: line(&status, "VmSize:").map(|kib| kib * 1024.0),
            threads: line(&status, "Threads:"),
            // The look itself holds one.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() - 1) as f64),
            max_fds: limit.map(|limit| limit as f64),
        }
    }
}

/// User and system time: fields 14 and 15, counted behind the name, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn line(status: &str, key: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_holds_spaces_and_brackets_is_read_right() {
        let stat = "77 (a ) b) S 1 77 77 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 12 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("77 (a"), None);
    }

    #[test]
    fn this_process_uses_memory_descriptors_and_threads() {
        let look = Process::look();
        let at_least = |value: Option<f64>, least: f64| value.is_some_and(|value| value >= least);
        assert!(at_least(look.cpu_seconds, 0.0) && at_least(look.threads, 1.0), "{look:?}");
        assert!(at_least(look.resident_bytes, 1e6) && look.virtual_bytes >= look.resident_bytes, "{look:?}");
        assert!(at_least(look.open_fds, 3.0) && look.max_fds >= look.open_fds, "{look:?}");
    }
}
