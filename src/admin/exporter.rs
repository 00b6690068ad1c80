//! Fills the catalogue's families from what lanes published, and renders them for Prometheus.
//!
//! Owns the recorder (nothing is installed globally) and its upkeep, which nobody else runs. Reads the lanes' slots;
//! may not be called per mention or per batch. Called at each scrape by the admin server.

use super::metrics::{self, CATALOGUE, Family, Type};
use crate::counters::{Counters, Input, Outcome, Readings, RestoreReason, Slot};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::{BTreeMap, BTreeSet};
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
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    generation: Option<String>,
    reload: Option<(bool, Millis)>,
    refused: BTreeMap<&'static str, u64>,
    /// Series with names for labels that were ever shown; those that are gone are set to 0.
    shown: BTreeSet<(&'static str, Vec<String>)>,
}

impl Exporter {
    /// An exporter that shows nothing yet.
    #[must_use]
    pub fn new(names: InputNames) -> Exporter {
        use ::metrics::Recorder as _;
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        for family in CATALOGUE {
            match family.kind {
                Type::Counter => recorder.describe_counter(family.name.into(), None, family.help.into()),
                Type::Gauge => recorder.describe_gauge(family.name.into(), None, family.help.into()),
            }
        }
        Exporter { recorder, handle, names, state: Mutex::new(State::default()) }
    }

    /// A slot for one more lane. Its counters are part of every sum from now on, also when the lane has ended.
    #[must_use]
    pub fn slot(&self) -> Slot {
        let slot = Slot::default();
        self.state().slots.push(slot.clone());
        slot
    }

    /// Says which policy generation is in force.
    pub fn policy_in_force(&self, generation: &str) {
        self.state().generation = Some(generation.to_owned());
    }

    /// Says how a policy reload ended.
    pub fn policy_reloaded(&self, taken: bool, at: Millis) {
        self.state().reload = Some((taken, at));
    }

    /// Counts a request that was refused before any handler. `reason` is one of a closed list of literals.
    pub(super) fn refused(&self, reason: &'static str) {
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

    /// The text of `/metrics`, made now.
    #[must_use]
    pub fn render(&self) -> String {
        let mut state = self.state();
        let (counters, readings) = gather(&state.slots);
        self.publish_counters(&counters);
        self.publish_readings(&readings, &mut state);
        for (reason, count) in &state.refused {
            self.count(&metrics::ADMIN_REFUSED, &[reason], *count);
        }
        self.handle.run_upkeep();
        self.handle.render()
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
        // The exporter's counters are whole numbers: seconds are cut, never rounded up.
        self.count(&metrics::BACKPRESSURE, &[], counters.backpressure_ms / 1_000);
        self.count(&metrics::DEDUP_FORCED_EVICTIONS, &[], counters.dedup_forced_evictions);
        self.count(&metrics::SNAPSHOT_WRITES, &[], counters.snapshot_writes);
        self.count(&metrics::SNAPSHOT_FAILURES, &[], counters.snapshot_failures);
        self.show(&metrics::INFLIGHT_RECORDS, &[], counters.inflight_records as f64);
        self.show(&metrics::PAUSED_PARTITIONS, &[], counters.paused_partitions as f64);
        self.show(&metrics::BUFFER_BYTES, &[], counters.buffer_bytes as f64);
        self.show(&metrics::DEDUP_LIVE_IDS, &[], counters.dedup_live_ids as f64);
    }

    fn publish_readings(&self, readings: &Readings, state: &mut State) {
        self.show(&metrics::OLDEST_UNSETTLED_AGE, &[], seconds(readings.oldest_unsettled_ms));
        self.show(&metrics::SNAPSHOT_BYTES, &[], readings.snapshot_bytes as f64);
        self.show(&metrics::SNAPSHOT_AT, &[], seconds(readings.snapshot_at_ms));
        let (taken, at) = state.reload.unwrap_or((true, Millis(0)));
        self.show(&metrics::POLICY_RELOAD_OK, &[], f64::from(u8::from(taken)));
        self.show(&metrics::POLICY_RELOAD_AT, &[], seconds(u64::try_from(at.0).unwrap_or(0)));
        let semantics = triage_engine::SEMANTICS.to_string();
        self.show(&metrics::BUILD_INFO, &[env!("CARGO_PKG_VERSION"), &semantics], 1.0);

        // Partitions, desks and queues may leave this instance, and generations go out of force: the exporter
        // cannot forget a series, so what is gone reads 0.
        let mut present: BTreeMap<(&'static str, Vec<String>), f64> = BTreeMap::new();
        for (topic, partition, lag) in &readings.lag {
            let labels = vec![topic.to_string(), partition.to_string()];
            *present.entry((metrics::CONSUMER_LAG.name, labels)).or_default() += *lag as f64;
        }
        for (desk, cases) in &readings.cases_open {
            *present.entry((metrics::CASES_OPEN.name, vec![desk.to_string()])).or_default() += *cases as f64;
        }
        for (queue, depth) in &readings.queue_depth {
            *present.entry((metrics::QUEUE_DEPTH.name, vec![queue.to_string()])).or_default() +=
                *depth as f64;
        }
        if let Some(generation) = &state.generation {
            present.insert((metrics::POLICY_INFO.name, vec![generation.clone()]), 1.0);
        }
        state.shown.extend(present.keys().cloned());
        for series in &state.shown {
            let family = CATALOGUE.iter().find(|family| family.name == series.0);
            let family = family.expect("invariant: only families of the catalogue are shown");
            let labels: Vec<&str> = series.1.iter().map(String::as_str).collect();
            self.show(family, &labels, present.get(series).copied().unwrap_or(0.0));
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
        all.queue_depth.extend(readings.queue_depth);
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
        Exporter::new(InputNames {
            mentions: "mentions".to_owned(),
            helpdesk: "helpdesk.events".to_owned(),
            desks: "triaged.desks".to_owned(),
            control: "triaged.control".to_owned(),
        })
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
        let text = exporter.render();
        assert_eq!(value(&text, r#"triaged_input_records_total{topic="mentions"}"#), Some(30.0));
        assert_eq!(value(&text, r#"triaged_settled_records_total{disposition="queued"}"#), Some(24.0));
        assert_eq!(value(&text, "triaged_inflight_records"), Some(6.0));
        assert!(exporter.totals().accounts_for_every_mention());
    }

    #[test]
    fn a_partition_that_left_and_a_policy_that_was_replaced_read_zero() {
        let exporter = exporter();
        let slot = exporter.slot();
        slot.readings(Readings { lag: vec![(Arc::from("mentions"), 3, 44)], ..Readings::default() });
        exporter.policy_in_force("sha256:old");
        let lag = r#"triaged_consumer_lag_records{topic="mentions",partition="3"}"#;
        assert_eq!(value(&exporter.render(), lag), Some(44.0));
        slot.readings(Readings::default());
        exporter.policy_in_force("sha256:new");
        let text = exporter.render();
        assert_eq!(value(&text, lag), Some(0.0));
        assert_eq!(value(&text, r#"triaged_policy_info{generation="sha256:old"}"#), Some(0.0));
        assert_eq!(value(&text, r#"triaged_policy_info{generation="sha256:new"}"#), Some(1.0));
    }

    #[test]
    fn every_family_of_the_catalogue_appears_with_help_and_type_and_no_other_does() {
        let exporter = exporter();
        let name = || Arc::<str>::from("tech");
        exporter.slot().readings(Readings {
            lag: vec![(name(), 0, 1)],
            cases_open: vec![(name(), 1)],
            queue_depth: vec![(name(), 1)],
            ..Readings::default()
        });
        exporter.policy_in_force("sha256:x");
        exporter.policy_reloaded(false, Millis(1_000));
        exporter.refused("host");
        let text = exporter.render();
        for family in CATALOGUE {
            assert!(text.contains(&format!("# HELP {} ", family.name)), "{} lacks help", family.name);
            let kind = if family.kind == Type::Counter { "counter" } else { "gauge" };
            assert!(
                text.contains(&format!("# TYPE {} {kind}\n", family.name)),
                "{} lacks its type",
                family.name
            );
        }
        assert_eq!(text.matches("# TYPE ").count(), CATALOGUE.len());
    }
}
