//! Fills the catalogue's families from what lanes published, and renders them for Prometheus.
//!
//! Owns the recorder (nothing is installed globally) and its upkeep, which nobody else runs; what the library cannot
//! show is written by `text`. Reads the lanes' slots; may not be called per mention or per batch. Called at each scrape
//! by the admin server.

use super::metrics::{self, CATALOGUE, Family, Type};
use super::process::Process;
use super::text::{self, Names, Series};
use crate::counters::{
    Counters, Input, LATENCY_BOUNDS_MS, Outcome, Readings, RestoreReason, STAGE_BOUNDS_US, Slot, Stage,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use triage_engine::model::{DeadLetterReason, Disposition, EventDisposition, Millis};

/// The names that label input counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputNames {
    /// The firehose's topic.
    pub mentions: String,
    /// The helpdesk's topic.
    pub helpdesk: String,
    /// The desk log.
    pub desks: String,
    /// The control topic.
    pub control: String,
}

/// Makes the text of `/metrics`.
pub struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    names: InputNames,
    started: Millis,
    state: Mutex<State>,
}

/// Why requests and connections are refused before any handler.
const REFUSED: [&str; 7] = ["accept", "body", "content_type", "cross_site", "host", "read_only", "token"];

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    policy: Option<(String, usize)>,
    reload: Option<(bool, Millis)>,
    refused: BTreeMap<&'static str, u64>,
    names: Names,
}

impl Exporter {
    /// An exporter that shows nothing yet, of a process that started at `started`.
    #[must_use]
    pub fn new(names: InputNames, started: Millis) -> Exporter {
        use ::metrics::Recorder as _;
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        for family in CATALOGUE {
            match family.kind {
                Type::Counter => recorder.describe_counter(family.name.into(), None, family.help.into()),
                Type::Gauge => recorder.describe_gauge(family.name.into(), None, family.help.into()),
                // The library's own are lists of samples; ours are written by `text`.
                Type::Histogram => {}
            }
        }
        Exporter { recorder, handle, names, started, state: Mutex::new(State::default()) }
    }

    /// A slot for one more lane. Its counters are part of every sum from now on, also when the lane has ended.
    #[must_use]
    pub fn slot(&self) -> Slot {
        let slot = Slot::default();
        self.state().slots.push(slot.clone());
        slot
    }

    /// Says which policy generation is in force, and how many rules it has.
    pub fn policy_in_force(&self, generation: &str, rules: usize) {
        self.state().policy = Some((generation.to_owned(), rules));
    }

    /// Says how a policy reload ended.
    pub fn policy_reloaded(&self, taken: bool, at: Millis) {
        self.state().reload = Some((taken, at));
    }

    /// Counts a request that was refused before any handler. `reason` is one of a closed list of literals.
    pub(super) fn refused(&self, reason: &'static str) {
        debug_assert!(REFUSED.contains(&reason), "{reason} is in the list");
        *self.state().refused.entry(reason).or_default() += 1;
    }

    /// What all lanes together counted, from one copy of each.
    #[must_use]
    pub fn totals(&self) -> Counters {
        gather(&self.state().slots).0
    }

    /// What all lanes together read off last.
    #[must_use]
    pub fn readings(&self) -> Readings {
        gather(&self.state().slots).1
    }

    /// The text of `/metrics`, made now. `ready`: what `/readyz` says at this moment.
    #[must_use]
    pub fn render(&self, ready: bool) -> String {
        let mut state = self.state();
        let (counters, readings) = gather(&state.slots);
        self.publish_counters(&counters);
        self.publish_readings(&readings, &state);
        self.show(&metrics::READY, &[], f64::from(u8::from(ready)));
        // From the start, at 0: an alert sees a counter rise only if it saw it before.
        for reason in REFUSED {
            self.count(&metrics::ADMIN_REFUSED, &[reason], state.refused.get(reason).copied().unwrap_or(0));
        }
        self.handle.run_upkeep();
        let mut out = self.handle.render();
        write_histograms(&mut out, &counters);
        let backpressure = seconds(counters.backpressure_ms);
        text::family(&mut out, &metrics::BACKPRESSURE, &one(Some(backpressure)));
        write_named(&mut out, &readings, &mut state);
        self.write_process(&mut out);
        out
    }

    fn publish_counters(&self, counters: &Counters) {
        for input in Input::ALL {
            let name = match input {
                Input::Mentions => &self.names.mentions,
                Input::Helpdesk => &self.names.helpdesk,
                Input::Desks => &self.names.desks,
                Input::Control => &self.names.control,
            };
            self.count(&metrics::INPUT_RECORDS, &[name], counters.input[input as usize]);
        }
        for disposition in Disposition::ALL {
            let value = counters.settled[usize::from(disposition.code())];
            self.count(&metrics::SETTLED_RECORDS, &[disposition.name()], value);
            let released = counters.released[usize::from(disposition.code())];
            self.count(&metrics::RELEASED_RECORDS, &[disposition.name()], released);
        }
        for reason in DeadLetterReason::ALL {
            let value = counters.dead_letters[usize::from(reason.code())];
            self.count(&metrics::DEAD_LETTERS, &[reason.name()], value);
        }
        for outcome in Outcome::ALL {
            self.count(&metrics::DESK_OUTCOMES, &[outcome.name()], counters.outcomes[outcome as usize]);
        }
        for disposition in EventDisposition::ALL {
            let value = counters.events[usize::from(disposition.code())];
            self.count(&metrics::HELPDESK_EVENTS, &[disposition.name()], value);
        }
        for reason in RestoreReason::ALL {
            self.count(&metrics::SHARD_RESTORES, &[reason.name()], counters.restores[reason as usize]);
        }
        self.count(&metrics::LEDGER_RECORDS, &[], counters.ledger_records);
        self.count(&metrics::LEDGER_CONFLICTS, &[], counters.ledger_conflicts);
        self.count(&metrics::DEDUP_FORCED_EVICTIONS, &[], counters.dedup_forced_evictions);
        self.count(&metrics::SNAPSHOT_WRITES, &[], counters.snapshot_writes);
        self.count(&metrics::SNAPSHOT_FAILURES, &[], counters.snapshot_failures);
        self.show(&metrics::INFLIGHT_RECORDS, &[], counters.inflight_records as f64);
        self.show(&metrics::PAUSED_PARTITIONS, &[], counters.paused_partitions as f64);
        self.show(&metrics::BUFFER_BYTES, &[], counters.buffer_bytes as f64);
        self.show(&metrics::DEDUP_LIVE_IDS, &[], counters.dedup_live_ids as f64);
    }

    fn publish_readings(&self, readings: &Readings, state: &State) {
        self.show(&metrics::OLDEST_UNSETTLED_AGE, &[], seconds(readings.oldest_unsettled_ms));
        self.show(&metrics::SNAPSHOT_BYTES, &[], readings.snapshot_bytes as f64);
        self.show(&metrics::SNAPSHOT_AT, &[], seconds(readings.snapshot_at_ms));
        let (taken, at) = state.reload.unwrap_or((true, Millis(0)));
        self.show(&metrics::POLICY_RELOAD_OK, &[], f64::from(u8::from(taken)));
        self.show(&metrics::POLICY_RELOAD_AT, &[], seconds(u64::try_from(at.0).unwrap_or(0)));
        let semantics = triage_engine::SEMANTICS.to_string();
        self.show(&metrics::BUILD_INFO, &[env!("CARGO_PKG_VERSION"), &semantics], 1.0);
        if let Some((_, rules)) = state.policy {
            self.show(&metrics::POLICY_RULES, &[], rules as f64);
        }
    }

    fn write_process(&self, out: &mut String) {
        let process = Process::look();
        let started = seconds(u64::try_from(self.started.0).unwrap_or(0));
        for (family, value) in [
            (&metrics::PROCESS_CPU, process.cpu_seconds),
            (&metrics::PROCESS_RESIDENT, process.resident_bytes),
            (&metrics::PROCESS_VIRTUAL, process.virtual_bytes),
            (&metrics::PROCESS_OPEN_FDS, process.open_fds),
            (&metrics::PROCESS_MAX_FDS, process.max_fds),
            (&metrics::PROCESS_THREADS, process.threads),
            (&metrics::PROCESS_STARTED, Some(started)),
        ] {
            text::family(out, family, &one(value));
        }
    }

    fn count(&self, family: &Family, values: &[&str], value: u64) {
        use ::metrics::Recorder as _;
        assert_eq!(family.kind, Type::Counter, "{} is no counter", family.name);
        self.recorder.register_counter(&key(family, values), &METADATA).absolute(value);
    }

    fn show(&self, family: &Family, values: &[&str], value: f64) {
        use ::metrics::Recorder as _;
        assert_eq!(family.kind, Type::Gauge, "{} is no gauge", family.name);
        self.recorder.register_gauge(&key(family, values), &METADATA).set(value);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_histograms(out: &mut String, counters: &Counters) {
    let latency = [(Vec::new(), counters.latency)];
    text::histograms(out, &metrics::END_TO_END_LATENCY, &LATENCY_BOUNDS_MS, 1e3, &latency);
    let stages = Stage::ALL.map(|stage| (vec![stage.name().to_owned()], counters.stages[stage as usize]));
    text::histograms(out, &metrics::STAGE_DURATION, &STAGE_BOUNDS_US, 1e6, &stages);
}

/// Partitions, desks and queues may leave this instance, and policies go out of force: what is gone is shown no more.
fn write_named(out: &mut String, readings: &Readings, state: &mut State) {
    let names = &mut state.names;
    let mut write = |family: &Family, present: Series, fold: fn(f64, f64) -> f64| {
        text::family(out, family, &names.cap(family, present, fold));
    };
    let add: fn(f64, f64) -> f64 = |one, other| one + other;
    let lag = readings.lag.iter();
    let lag =
        lag.map(|(topic, partition, lag)| (vec![topic.to_string(), partition.to_string()], *lag as f64));
    write(&metrics::CONSUMER_LAG, folded(lag, add), add);
    let assigned = readings.assigned.iter();
    let assigned = assigned.map(|(desk, queue, n)| (vec![desk.to_string(), queue.to_string()], *n as f64));
    write(&metrics::ROUTE_ASSIGNED, folded(assigned, add), add);
    let cases = readings.cases_open.iter().map(|(desk, cases)| (vec![desk.to_string()], *cases as f64));
    write(&metrics::CASES_OPEN, folded(cases, add), add);
    let queues = readings.queues.iter();
    let depth = queues.clone().map(|(queue, depth, _)| (vec![queue.to_string()], *depth as f64));
    write(&metrics::QUEUE_DEPTH, folded(depth, add), add);
    let age = queues.filter_map(|(queue, _, age_ms)| Some((vec![queue.to_string()], seconds((*age_ms)?))));
    write(&metrics::QUEUE_OLDEST_AGE, folded(age, f64::max), f64::max);
    let moved = readings.heartbeats.iter().map(|(name, at_ms)| (vec![name.to_string()], seconds(*at_ms)));
    write(&metrics::HEARTBEAT, folded(moved, f64::min), f64::min);
    let policy = state.policy.iter().map(|(generation, _)| (vec![generation.clone()], 1.0));
    write(&metrics::POLICY_INFO, folded(policy, add), add);
    text::family(out, &metrics::LABEL_VALUES_CAPPED, &one(Some(state.names.capped as f64)));
}

/// Lanes may tell of the same series: their values become one.
fn folded(values: impl Iterator<Item = (Vec<String>, f64)>, fold: fn(f64, f64) -> f64) -> Series {
    let mut series = Series::new();
    for (labels, value) in values {
        series.entry(labels).and_modify(|sum| *sum = fold(*sum, value)).or_insert(value);
    }
    series
}

/// The one series of a family without labels, if its value is known.
fn one(value: Option<f64>) -> Series {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

const METADATA: ::metrics::Metadata<'static> =
    ::metrics::Metadata::new("triaged", ::metrics::Level::INFO, Some(module_path!()));

fn key(family: &Family, values: &[&str]) -> ::metrics::Key {
    assert_eq!(family.labels.len(), values.len(), "{} has labels {:?}", family.name, family.labels);
    let labels =
        family.labels.iter().zip(values).map(|(&name, &value)| ::metrics::Label::new(name, value.to_owned()));
    ::metrics::Key::from_parts(family.name, labels.collect::<Vec<_>>())
}

fn gather(slots: &[Slot]) -> (Counters, Readings) {
    let mut counters = Counters::default();
    let mut all = Readings::default();
    for slot in slots {
        let (more, readings) = slot.read();
        counters.add(&more);
        all.lag.extend(readings.lag);
        all.cases_open.extend(readings.cases_open);
        all.queues.extend(readings.queues);
        all.assigned.extend(readings.assigned);
        all.heartbeats.extend(readings.heartbeats);
        all.oldest_unsettled_ms = all.oldest_unsettled_ms.max(readings.oldest_unsettled_ms);
        if readings.snapshot_at_ms >= all.snapshot_at_ms {
            (all.snapshot_at_ms, all.snapshot_bytes) = (readings.snapshot_at_ms, readings.snapshot_bytes);
        }
    }
    (counters, all)
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn exporter() -> Exporter {
        let names = ["mentions", "helpdesk.events", "triaged.desks", "triaged.control"].map(str::to_owned);
        let [mentions, helpdesk, desks, control] = names;
        Exporter::new(InputNames { mentions, helpdesk, desks, control }, Millis(1_500))
    }

    fn value(text: &str, series: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    #[test]
    fn a_scrape_sums_the_lanes_and_balances() {
        let exporter = exporter();
        for lane in 1..=2 {
            let mut counters = Counters::default();
            counters.input[Input::Mentions as usize] = 10 * lane;
            counters.settle(Disposition::Queued, 8 * lane);
            counters.inflight_records = 2 * lane;
            exporter.slot().counters(&counters);
        }
        let text = exporter.render(true);
        assert_eq!(value(&text, r#"triaged_input_records_total{topic="mentions"}"#), Some(30.0));
        assert_eq!(value(&text, r#"triaged_settled_records_total{disposition="queued"}"#), Some(24.0));
        assert_eq!(value(&text, "triaged_inflight_records"), Some(6.0));
        assert!(exporter.totals().accounts_for_every_mention());
    }

    #[test]
    fn a_partition_that_left_and_a_policy_that_was_replaced_are_shown_no_more() {
        let exporter = exporter();
        let slot = exporter.slot();
        slot.readings(Readings { lag: vec![(Arc::from("mentions"), 3, 44)], ..Readings::default() });
        exporter.policy_in_force("sha256:old", 7);
        let lag = r#"triaged_consumer_lag_records{topic="mentions",partition="3"}"#;
        let old = exporter.render(true);
        assert_eq!((value(&old, lag), value(&old, "triaged_policy_rules")), (Some(44.0), Some(7.0)));
        slot.readings(Readings::default());
        exporter.policy_in_force("sha256:new", 8);
        let text = exporter.render(true);
        assert_eq!(value(&text, lag), None);
        assert_eq!(value(&text, r#"triaged_policy_info{generation="sha256:old"}"#), None);
        assert_eq!(value(&text, r#"triaged_policy_info{generation="sha256:new"}"#), Some(1.0));
    }

    #[test]
    fn a_hundred_thousand_queues_make_a_thousand_series_and_one_for_the_rest() {
        let exporter = exporter();
        let slot = exporter.slot();
        let queue = |n: u64| Arc::<str>::from(format!("queue-{n:06}"));
        let all = |from: u64| (from..from + 100_000).map(|n| (queue(n), 2, Some(n))).collect();
        slot.readings(Readings { queues: all(0), ..Readings::default() });
        let text = exporter.render(true);
        let depths: Vec<&str> =
            text.lines().filter(|line| line.starts_with("triaged_queue_depth{")).collect();
        assert_eq!(depths.len(), text::SERIES_MAX + 1);
        let sum: f64 =
            depths.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
        assert_eq!(sum, 200_000.0, "what is beyond is summed up, not lost");
        assert_eq!(value(&text, r#"triaged_queue_oldest_age_seconds{queue="other"}"#), Some(99.999));
        // The families of depth and age, each with all but a thousand.
        assert_eq!(value(&text, "triaged_label_values_capped_total"), Some(198_000.0));
        assert!(text.len() < 1 << 20, "a scrape of {} bytes", text.len());

        // Names keep their series while they are there, whatever comes before them in the alphabet.
        slot.readings(Readings { queues: vec![(Arc::from("a-new-one"), 1, None)], ..Readings::default() });
        assert_eq!(value(&exporter.render(true), r#"triaged_queue_depth{queue="a-new-one"}"#), Some(1.0));
        let known = || vec![(queue(999), 5, Some(0))].into_iter();
        slot.readings(Readings { queues: known().chain(all(1_000)).collect(), ..Readings::default() });
        let _ = exporter.render(true);
        slot.readings(Readings { queues: known().chain(all(0)).collect(), ..Readings::default() });
        let text = exporter.render(true);
        assert_eq!(value(&text, r#"triaged_queue_depth{queue="queue-000999"}"#), Some(7.0));
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let exporter = exporter();
        let name = Arc::from("a\"} 1\nfake_metric 7\\");
        exporter.slot().readings(Readings { cases_open: vec![(name, 3)], ..Readings::default() });
        let text = exporter.render(true);
        assert!(text.contains(r#"triaged_cases_open{desk="a\"} 1\nfake_metric 7\\"} 3"#), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("fake_metric")), "{text}");
    }

    #[test]
    fn latencies_are_counted_per_mention_and_stages_per_run_in_seconds() {
        let exporter = exporter();
        let mut counters = Counters::default();
        counters.latency.record(&LATENCY_BOUNDS_MS, 40, 12);
        counters.latency.record(&LATENCY_BOUNDS_MS, 4_000, 3);
        counters.stages[Stage::Ledger as usize].record(&STAGE_BOUNDS_US, 1_500, 1);
        exporter.slot().counters(&counters);
        let text = exporter.render(true);
        let latency = |series: &str| value(&text, &format!("triaged_end_to_end_latency_seconds_{series}"));
        assert_eq!(latency(r#"bucket{le="0.02"}"#), Some(0.0));
        assert_eq!(latency(r#"bucket{le="0.05"}"#), Some(12.0));
        assert_eq!(latency(r#"bucket{le="+Inf"}"#), Some(15.0));
        assert_eq!((latency("count"), latency("sum")), (Some(15.0), Some(12.48)));
        let stage = r#"triaged_stage_duration_seconds_bucket{stage="ledger",le="0.002"}"#;
        assert_eq!(value(&text, stage), Some(1.0));
        let sum = r#"triaged_stage_duration_seconds_sum{stage="ledger"}"#;
        assert_eq!(value(&text, sum), Some(0.0015));
    }

    #[test]
    fn every_family_of_the_catalogue_appears_with_help_and_type_and_no_other_does() {
        let exporter = exporter();
        let name = || Arc::<str>::from("tech");
        exporter.slot().readings(Readings {
            lag: vec![(name(), 0, 1)],
            cases_open: vec![(name(), 1)],
            queues: vec![(name(), 1, Some(1))],
            assigned: vec![(name(), name(), 1)],
            heartbeats: vec![(name(), 1)],
            ..Readings::default()
        });
        exporter.policy_in_force("sha256:x", 1);
        exporter.policy_reloaded(false, Millis(1_000));
        exporter.refused("host");
        let text = exporter.render(true);
        for family in CATALOGUE {
            let (name, kind) = (family.name, family.kind.name());
            assert!(text.contains(&format!("# HELP {name} {}\n", family.help)), "{name} lacks help");
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} lacks its type");
        }
        assert_eq!(text.matches("# TYPE ").count(), CATALOGUE.len());
        assert_eq!(value(&text, "process_start_time_seconds"), Some(1.5));
    }
}
