//! The one catalogue of metrics: name, type, labels, help.
//!
//! Owns every name that Prometheus sees; nothing else may invent one. Labels come from closed lists and from the
//! configuration, never from mentions, so cardinality is bounded. Read by `exporter`, which fills the families,
//! and by the generator of docs/metrics.md.

/// What a family's values do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

impl Type {
    /// The name as Prometheus has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }
}

/// One family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its full name.
    pub name: &'static str,
    /// What its values do.
    pub kind: Type,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence without a full stop.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Type::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Type::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Type::Histogram, labels, help }
}

macro_rules! catalogue {
    ($($constant:ident = $make:ident($name:literal, [$($label:literal),*], $help:literal);)*) => {
        $(#[doc = $help] pub const $constant: Family = $make($name, &[$($label),*], $help);)*
        /// Every family, in the order in which they are read: in, decided, out, health.
        pub const CATALOGUE: &[Family] = &[$($constant,)*];
    };
}

catalogue! {
    READY = gauge("triaged_ready", [], "1 when /readyz says that records flow, or that an operator has paused them; 0 while it says why not");
    INPUT_RECORDS = counter("triaged_input_records_total", ["topic"], "Records read from a topic; for mentions also those that retention took before they were read");
    SETTLED_RECORDS = counter("triaged_settled_records_total", ["disposition"], "Mentions settled: their ledger entry and every output acknowledged by the broker");
    INFLIGHT_RECORDS = gauge("triaged_inflight_records", [], "Mentions read and not settled: input equals settled plus in flight on every scrape; those whose partition went to another instance count until as many others were read");
    OLDEST_UNSETTLED_AGE = gauge("triaged_oldest_unsettled_age_seconds", [], "Age of the oldest mention that was read here and is not settled, by its record's time stamp; also while its partition is being restored, until another instance has it");
    END_TO_END_LATENCY = histogram("triaged_end_to_end_latency_seconds", [], "From a mention's record time to the broker's last acknowledgement of what followed, per mention settled");
    STAGE_DURATION = histogram("triaged_stage_duration_seconds", ["stage"], "How long a stage took, per run of records and not per mention");
    CONSUMER_LAG = gauge("triaged_consumer_lag_records", ["topic", "partition"], "Records in the broker at or after the committed offset");
    DEAD_LETTERS = counter("triaged_dead_letter_records_total", ["reason"], "Mentions that could not be read, by reason");
    ROUTE_ASSIGNED = counter("triaged_route_assigned_total", ["desk", "queue"], "Mentions handed to a queue of a desk and settled");
    DESK_OUTCOMES = counter("triaged_desk_outcomes_total", ["outcome"], "What mentions handed to a desk did there");
    HELPDESK_EVENTS = counter("triaged_helpdesk_events_total", ["disposition"], "Helpdesk events, by what became of them");
    CASES_OPEN = gauge("triaged_cases_open", ["desk"], "Cases that are not closed");
    QUEUE_DEPTH = gauge("triaged_queue_depth", ["queue"], "Cases that wait in a queue");
    QUEUE_OLDEST_AGE = gauge("triaged_queue_oldest_age_seconds", ["queue"], "Time since the oldest case that waits in a queue was opened; for queues that have one of the 1,000 oldest cases of their desk log");
    LEDGER_RECORDS = counter("triaged_ledger_records_total", [], "Ledger records acknowledged by the broker");
    LEDGER_CONFLICTS = counter("triaged_ledger_conflicts_total", [], "Times the ledger showed another writer on an own partition");
    SHARD_RESTORES = counter("triaged_shard_restores_total", ["reason"], "Shards rebuilt from snapshot and log, by reason");
    POLICY_INFO = gauge("triaged_policy_info", ["generation"], "1 for the policy generation in force");
    POLICY_RULES = gauge("triaged_policy_rules", [], "Rules of the policy in force");
    POLICY_RELOAD_OK = gauge("triaged_policy_last_reload_successful", [], "1 when the last policy reload was taken, 0 when it was refused");
    POLICY_RELOAD_AT = gauge("triaged_policy_last_reload_timestamp_seconds", [], "When a policy reload was last asked for; 0 before the first");
    BACKPRESSURE = counter("triaged_backpressure_seconds_total", [], "Time in which lanes did not read because the buffer limit was reached or the producer had no room");
    RELEASED_RECORDS = counter("triaged_released_records_total", ["disposition"], "Mentions that a request decided again, by what became of them");
    PAUSED_PARTITIONS = gauge("triaged_paused_partitions", [], "Input partitions held here that are not read because an operator paused them");
    BUFFER_BYTES = gauge("triaged_buffer_bytes", [], "Bytes held for mentions read and not settled; a partition that is being restored holds none, since its mentions are read again");
    DEDUP_LIVE_IDS = gauge("triaged_dedup_live_ids", [], "Ids in the exact dedup windows");
    DEDUP_FORCED_EVICTIONS = counter("triaged_dedup_forced_evictions_total", [], "Ids that left a dedup window early because its table was full");
    SNAPSHOT_WRITES = counter("triaged_snapshot_writes_total", [], "Desk snapshots published");
    SNAPSHOT_FAILURES = counter("triaged_snapshot_failures_total", [], "Desk snapshots that could not be published");
    SNAPSHOT_BYTES = gauge("triaged_snapshot_bytes", [], "Size of the newest desk snapshot");
    SNAPSHOT_AT = gauge("triaged_snapshot_timestamp_seconds", [], "When a desk snapshot was last published; 0 before the first");
    HEARTBEAT = gauge("triaged_heartbeat_timestamp_seconds", ["thread"], "When a thread last moved: each lane, the follower of the control topic, the workers together");
    ADMIN_REFUSED = counter("triaged_admin_refused_requests_total", ["reason"], "Requests and connections that the admin server refused before any handler");
    LABEL_VALUES_CAPPED = counter("triaged_label_values_capped_total", [], "Series shown as `other` because their family was full, counted at each scrape");
    BUILD_INFO = gauge("triaged_build_info", ["version", "semantics"], "1, with the release and the number of its folding rules as labels");
    PROCESS_CPU = counter("process_cpu_seconds_total", [], "Processor time of the process, in user and system mode");
    PROCESS_RESIDENT = gauge("process_resident_memory_bytes", [], "Memory of the process that is in RAM");
    PROCESS_VIRTUAL = gauge("process_virtual_memory_bytes", [], "Address space of the process");
    PROCESS_OPEN_FDS = gauge("process_open_fds", [], "File descriptors that are open");
    PROCESS_MAX_FDS = gauge("process_max_fds", [], "File descriptors that may be open");
    PROCESS_THREADS = gauge("process_threads", [], "Threads of the process");
    PROCESS_STARTED = gauge("process_start_time_seconds", [], "When the process started");
}

/// docs/metrics.md, generated from the catalogue.
#[must_use]
pub fn reference() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "# Metrics\n\nGenerated from `src/admin/metrics.rs`; `UPDATE_DOCS=1 cargo test metrics_reference` writes it anew.\n\n\
         Scraped at `/metrics` of the admin socket. On every scrape\n\
         `triaged_input_records_total{topic=mentions}` = sum of `triaged_settled_records_total` + `triaged_inflight_records`.\n\n\
         Label values are names from the configuration and the policy, or members of closed lists; never anything that a\n\
         mention holds. A family shows at most 1,000 series; what is beyond is summed up as `other`, and counted in\n\
         `triaged_label_values_capped_total`. How to scrape, alert and look at it: [monitoring.md](monitoring.md).\n\n\
         | metric | type | labels | what it says |\n|---|---|---|---|\n",
    );
    for family in CATALOGUE {
        let kind = family.kind.name();
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{}` | {kind} | {} | {} |", family.name, labels.join(", "), family.help)
            .expect("invariant: writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_reference_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, reference()).expect("docs/ can be written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            written,
            reference(),
            "docs/metrics.md is stale: UPDATE_DOCS=1 cargo test metrics_reference"
        );
    }

    #[test]
    fn names_follow_prometheus_conventions() {
        for family in CATALOGUE {
            let own = family.name.starts_with("triaged_") || family.name.starts_with("process_");
            assert!(own, "{}", family.name);
            assert!(family.kind != Type::Histogram || family.name.ends_with("_seconds"), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Type::Counter, "{}", family.name);
            assert!(!family.name.contains("_ms"), "{}: base units only", family.name);
            assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{}", family.name);
        }
        let names: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), CATALOGUE.len(), "a name appears twice");
    }
}
