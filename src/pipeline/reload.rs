//! A reload of the policy: from the folder to every lane of this instance, one at a time, and how the last one went.
//!
//! Owns the order of its steps, and what `status` tells of it: whoever asked may have stopped waiting long before it ends.
//! May not put a policy in force: it asks for it, and sees it come. Called by the admin server and by SIGHUP.

use super::manager;
use super::policy;
use super::shared::{Shared, Stage};
use crate::admin::{Refusal, Why};
use crate::policies::InForce;
use crate::wire::cloudevents::rfc3339;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::Millis;

/// How long a reload waits until every lane here uses the policy that it asked for.
const IN_FORCE_WAIT: Duration = Duration::from_secs(30);

/// How the last reload went.
#[derive(Debug, Default)]
pub(super) enum LastReload {
    /// There was none since the start.
    #[default]
    Never,
    /// It goes on.
    UnderWay {
        /// Since when.
        since: Millis,
    },
    /// It has ended.
    Ended {
        /// When.
        at: Millis,
        /// What was answered, or would have been.
        outcome: Result<Value, Refusal>,
    },
}

/// Puts the folder's policy in force, and waits until every lane here uses it.
///
/// # Errors
/// Why it is not in force, with every mistake; `Why::Busy` while another reload goes on.
pub(super) fn reload(shared: &Shared) -> Result<Value, Refusal> {
    if shared.stage() != Stage::Running {
        return Err(Refusal::new(Why::Busy, format!("the daemon is {}", shared.stage().name())));
    }
    {
        let mut last = shared.last_reload();
        if matches!(*last, LastReload::UnderWay { .. }) {
            return Err(Refusal::new(Why::Busy, "another reload is under way"));
        }
        *last = LastReload::UnderWay { since: shared.clock.wall() };
    }
    manager::reloading(shared);
    let outcome = try_reload(shared);
    manager::reloaded(shared);
    let at = shared.clock.wall();
    shared.exporter.policy_reloaded(outcome.is_ok(), at);
    let outcome = outcome.map_err(|refused| refused.to_refusal());
    *shared.last_reload() = LastReload::Ended { at, outcome: outcome.clone() };
    outcome
}

/// The last reload as `status` tells it; `null` before the first. `is_here`: the folder's policy is the one in force.
pub(super) fn shown(shared: &Shared, is_here: bool) -> Value {
    match &*shared.last_reload() {
        LastReload::Never => Value::Null,
        LastReload::UnderWay { since } => json!({ "state": "under_way", "since": rfc3339(*since) }),
        LastReload::Ended { at, outcome: Err(refusal) } if refusal.why != Why::Late || !is_here => {
            let mut told = refusal.clone().into_json();
            told["state"] = json!(if refusal.why == Why::Late { "late" } else { "refused" });
            told["at"] = json!(rfc3339(*at));
            told
        }
        // What came late has come.
        LastReload::Ended { at, .. } => json!({ "state": "in_force", "at": rfc3339(*at) }),
    }
}

fn try_reload(shared: &Shared) -> Result<Value, policy::Refused> {
    let folder = shared.settings.policy.folder.clone();
    let loaded = shared.policies.aside(move |policies| policy::load_among(policies, &folder));
    let ending = || policy::Refused::Late("the daemon is ending: nothing was asked for".to_owned());
    let (bundle, local) = loaded.ok_or_else(ending)??;
    policy::check_topics(&shared.settings, shared.logs.as_ref(), local.policy())?;
    if let Some(now) = shared.policies.in_force() {
        policy::check_lasting(now.policy.policy(), local.policy())?;
    }
    let folder = shared.settings.policy.folder.clone();
    let compiled = Arc::clone(&local);
    shared.policies.aside(move |_| policy::check_tests(&folder, &compiled)).ok_or_else(ending)??;
    let generation = local.generation();
    shared.local_policy(Ok(generation.to_string()));
    let shown =
        |now: &InForce| json!({ "generation": now.policy.generation().to_string(), "epoch": now.epoch });
    let before = shared.policies.in_force();
    let before_shown = before.as_ref().map(shown);
    if before.as_ref().is_some_and(|now| now.policy.generation() == generation) {
        return Ok(json!({ "changed": false, "before": before_shown, "after": before_shown }));
    }
    let (settings, logs, clock) = (&shared.settings, shared.logs.as_ref(), shared.clock.as_ref());
    let asked = policy::publish_and_request(settings, logs, clock, generation, &bundle)?;
    let until = shared.clock.monotonic_ms() + IN_FORCE_WAIT.as_millis() as i64;
    let epoch_before = before.as_ref().map_or(-1, |now| now.epoch);
    while shared.clock.monotonic_ms() < until {
        if let Some(now) = shared.policies.in_force().filter(|now| now.epoch > epoch_before)
            && now.policy.generation() == generation
            && laggard(shared, now.epoch).is_none()
        {
            return Ok(json!({ "changed": true, "before": before_shown, "after": shown(&now) }));
        }
        asked.check_stands(shared)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let late = shared.policies.in_force().filter(|now| now.policy.generation() == generation);
    let state = match late.and_then(|now| laggard(shared, now.epoch)) {
        Some(lane) => format!("is in force, and lane `{lane}` does not use it"),
        None => "was asked for and is not in force".to_owned(),
    };
    Err(policy::Refused::Late(format!("{generation} {state} within {} s", IN_FORCE_WAIT.as_secs())))
}

/// The first lane here with a partition that does not use the policy of this epoch yet.
fn laggard(shared: &Shared, epoch: i64) -> Option<String> {
    let seats = shared.seats();
    let late = seats.iter().find(|seat| seat.is_lane() && seat.epoch() < epoch);
    late.map(|seat| seat.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_status_tells_of_a_reload_while_it_goes_on_and_how_it_ended() {
        let (shared, clock) = Shared::alone();
        assert_eq!(shown(&shared, false), Value::Null);
        *shared.last_reload() = LastReload::UnderWay { since: clock.wall() };
        shared.enter(Stage::Running);
        assert_eq!(
            shown(&shared, false),
            json!({ "state": "under_way", "since": "1970-01-01T00:00:00.000Z" })
        );
        let busy = reload(&shared).expect_err("one at a time");
        assert_eq!(busy.why, Why::Busy);
        assert_eq!(shown(&shared, false)["state"], "under_way", "who is turned away changes nothing");

        let ended = |outcome| LastReload::Ended { at: Millis(1_000), outcome };
        let refused = Refusal::new(Why::Wrong, "the policy has mistakes");
        *shared.last_reload() = ended(Err(refused));
        let told = shown(&shared, true);
        let parts = (&told["state"], &told["refused"], &told["error"], &told["at"]);
        let at = json!("1970-01-01T00:00:01.000Z");
        assert_eq!(
            parts,
            (&json!("refused"), &json!("wrong"), &json!("the policy has mistakes"), &at),
            "{told}"
        );
        *shared.last_reload() = ended(Err(Refusal::new(Why::Late, "not in force within 30 s")));
        assert_eq!(shown(&shared, false)["state"], "late");
        assert_eq!(shown(&shared, true)["state"], "in_force", "it has come since");
        *shared.last_reload() = ended(Ok(json!({ "changed": true })));
        assert_eq!(shown(&shared, true), json!({ "state": "in_force", "at": at }));
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_what_the_status_tells_afterwards() {
        let (shared, _) = Shared::alone();
        shared.enter(Stage::Running);
        let refusal = reload(&shared).expect_err("there is no such folder");
        assert_eq!(refusal.why, Why::Wrong);
        let told = shown(&shared, false);
        assert_eq!(told["error"], refusal.into_json()["error"]);
        assert_eq!(told["state"], "refused");
    }
}
