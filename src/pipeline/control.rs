//! The control plane's thread: the admin server, signals, the watchdog, and what `ctl` may ask.
//!
//! Owns the small tokio runtime. May not touch a mention and may not stop anything by itself: it asks the daemon to
//! drain. Started before everything else, so that metrics and readiness answer while the broker is still away.

use super::manager;
use super::reload;
use super::shared::Shared;
use crate::admin::{Bound, Control, Limits, Refusal, Settings as AdminSettings, Why};
use crate::counters::Input;
use crate::error::Error;
use crate::log::LogError;
use crate::log_level;
use crate::shard::pause::Paused;
use crate::systemd;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use triage_engine::model::Disposition;

/// The exit code after a second signal: not everything was settled; the next start does it again.
const ABORTED: i32 = 75;

/// The control plane's thread.
pub(super) struct ControlThread {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlThread {
    /// Binds the admin socket and starts to serve it; with `signals`, listens to those too.
    pub(super) fn start(shared: &Arc<Shared>, signals: bool) -> Result<ControlThread, Error> {
        let (stop, stopped) = watch::channel(false);
        let (told, bound) = mpsc::channel();
        let ours = Arc::clone(shared);
        let work = move || serve(&ours, signals, stopped, &told);
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(work);
        let thread =
            thread.map_err(|error| Error::try_again(format!("no thread for the control plane: {error}")))?;
        match bound.recv() {
            Ok(Ok(())) => Ok(ControlThread { stop, thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::try_again("the control plane ended before it began")),
        }
    }

    /// Ends what is being answered, removes the socket.
    pub(super) fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has aborted the process already.
            let _ = thread.join();
        }
    }
}

fn serve(
    shared: &Arc<Shared>,
    listens: bool,
    stopped: watch::Receiver<bool>,
    told: &mpsc::Sender<Result<(), Error>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = told.send(Err(Error::try_again(format!("no runtime for the control plane: {error}"))));
            return;
        }
    };
    let control: Arc<dyn Control> = Arc::new(Handle { shared: Arc::clone(shared) });
    runtime.block_on(async {
        let bound = match Bound::bind(&admin_settings(shared)).await {
            Ok(bound) => bound,
            Err(error) => return drop(told.send(Err(error))),
        };
        let signals = match Signals::listen(listens) {
            Ok(signals) => signals,
            Err(error) => {
                return drop(told.send(Err(Error::try_again(format!("signals cannot be heard: {error}")))));
            }
        };
        let _ = told.send(Ok(()));
        let mut looked = i64::MIN;
        let watchdog = systemd::watchdog(|| {
            let now = shared.clock.monotonic_ms();
            shared.all_moved(std::mem::replace(&mut looked, now), now)
        });
        let served = bound.serve(Arc::clone(&control), Arc::clone(&shared.exporter), stopped);
        tokio::select! {
            served = served => if let Err(error) = served {
                tracing::error!(%error, "the admin server has ended; the stream goes on");
            },
            () = signals.obey(shared, &control) => {}
            () = watchdog => {}
            () = manager::keep_told(shared) => {}
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
}

fn admin_settings(shared: &Shared) -> AdminSettings {
    let admin = &shared.settings.admin;
    AdminSettings {
        socket: admin.socket.clone(),
        // An address that cannot be read was refused with the rest of the configuration.
        tcp: admin.address().ok().flatten(),
        token_file: Some(admin.token_file.clone()).filter(|path| !path.as_os_str().is_empty()),
        behind_tls: admin.behind_tls,
        hosts: admin.host_names(),
        limits: Limits::default(),
    }
}

struct Signals(Option<[Signal; 3]>);

impl Signals {
    fn listen(listens: bool) -> std::io::Result<Signals> {
        if !listens {
            return Ok(Signals(None));
        }
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [terminate, interrupt, hangup] = kinds.map(signal);
        Ok(Signals(Some([terminate?, interrupt?, hangup?])))
    }

    async fn obey(self, shared: &Arc<Shared>, control: &Arc<dyn Control>) {
        let Some([mut terminate, mut interrupt, mut hangup]) = self.0 else {
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => end(shared),
                _ = interrupt.recv() => end(shared),
                _ = hangup.recv() => {
                    let control = Arc::clone(control);
                    tokio::task::spawn_blocking(move || match control.reload() {
                        Ok(answer) => tracing::info!(%answer, "policy reloaded"),
                        Err(refusal) => {
                            tracing::error!(answer = %refusal.into_json(), "the policy is not reloaded");
                        }
                    });
                }
            }
        }
    }
}

fn end(shared: &Shared) {
    if shared.is_asked_to_drain() {
        tracing::error!("asked to end a second time: ending at once; the next start does the rest again");
        std::process::exit(ABORTED);
    }
    tracing::info!("asked to end: draining");
    shared.ask_to_drain();
}

/// What the admin server may ask.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    /// Whether the input has all these partitions. The broker is asked only where the count of the start does not say so:
    /// partitions may have been added, and a pause must work without a broker.
    fn check_asked(&self, partitions: &[u32]) -> Result<(), Refusal> {
        let Some(&highest) = partitions.iter().max() else { return Ok(()) };
        let (shared, input) = (&self.shared, &self.shared.settings.topics.mentions);
        if highest < shared.inputs.load(Ordering::Relaxed) {
            return Ok(());
        }
        let known = shared.logs.describe(&[input.as_str()]).map_err(|error| {
            let why = if matches!(error, LogError::Denied(_)) { Why::Denied } else { Why::Away };
            Refusal::new(why, format!("how many partitions `{input}` has is not known: {error}"))
        })?;
        let has = known.into_iter().next().flatten().map_or(0, |info| info.partitions);
        shared.inputs.fetch_max(has, Ordering::Relaxed);
        let unknown: Vec<String> =
            partitions.iter().filter(|&&of| of >= has).map(ToString::to_string).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let numbers = if has > 0 { format!(", 0 to {}", has - 1) } else { String::new() };
        let unknown = unknown.join(", ");
        let what =
            format!("`{input}` has {has} partitions{numbers}: no partition {unknown}; nothing was paused");
        Err(Refusal::new(Why::Wrong, what))
    }

    /// `false`, `true` for everything, or the partitions.
    fn paused_shown(&self) -> Value {
        match self.shared.pause.paused() {
            Paused::Nothing => json!(false),
            Paused::Everything => json!(true),
            Paused::Partitions(partitions) => json!(partitions),
        }
    }

    fn policy_shown(&self) -> Value {
        let shared = &self.shared;
        let now = shared.policies.in_force();
        let generation = now.as_ref().map(|now| now.policy.generation().to_string());
        let (local, problem) = match shared.local() {
            Some(Ok(local)) => (Some(local), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let plans = shared.policies.plans();
        let laggards: Vec<&str> = plans.laggards().map(|(shard, _)| shard).collect();
        json!({
            "generation": generation,
            "epoch": now.as_ref().map(|now| now.epoch),
            "rules": now.as_ref().map(|now| now.policy.policy().rules().len()),
            "folder": shared.settings.policy.folder.display().to_string(),
            "folder_generation": local,
            "folder_differs": local.is_some() && local != generation,
            "folder_problem": problem,
            "pending_requests": plans.pending().count(),
            "reload": reload::shown(shared, local.is_some() && local == generation),
            "laggards": laggards,
        })
    }
}

impl Control for Handle {
    fn status(&self) -> Value {
        let shared = &self.shared;
        let totals = shared.exporter.totals();
        let settled: serde_json::Map<String, Value> = Disposition::ALL
            .iter()
            .map(|d| (d.name().to_owned(), json!(totals.settled[usize::from(d.code())])))
            .collect();
        let lanes: Vec<Value> = shared
            .seats()
            .iter()
            .filter(|seat| seat.is_lane())
            .map(|seat| {
                let (held, not_live) = seat.holds();
                let partitions: Vec<Value> = seat.committed().iter().map(|(partition, committed)| {
                json!({ "topic": *partition.topic, "partition": partition.partition, "committed": committed })
            }).collect();
                json!({ "lane": seat.name, "partitions": held, "restoring": not_live, "live": partitions })
            })
            .collect();
        let ready = shared.ready();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "instance": shared.settings.host.instance,
            "group": shared.settings.group.name,
            "stage": shared.stage().name(),
            "ready": ready.is_ok(),
            "paused": self.paused_shown(),
            "waits_for": ready.err(),
            "policy": self.policy_shown(),
            "mentions": {
                "read": totals.input[Input::Mentions as usize],
                "settled": settled,
                "in_flight": totals.inflight_records,
            },
            "lanes": lanes,
        })
    }

    fn ready(&self) -> Result<String, String> {
        self.shared.ready()?;
        Ok(self.shared.pause.paused().told().map_or("ok".to_owned(), |paused| format!("ok, {paused}")))
    }

    fn live(&self) -> Result<(), String> {
        self.shared.live()
    }

    fn reload(&self) -> Result<Value, Refusal> {
        reload::reload(&self.shared)
    }

    fn pause(&self, partitions: &[u32]) -> Result<Value, Refusal> {
        let shared = &self.shared;
        self.check_asked(partitions)?;
        shared.pause.pause(partitions);
        tracing::warn!(paused = ?shared.pause.paused(), "paused over the admin socket");
        let asked = |of: &u32| partitions.is_empty() || partitions.contains(of);
        let live: Vec<u32> = shared.live_inputs().into_iter().filter(asked).collect();
        Ok(json!({ "paused": self.paused_shown(), "live": live }))
    }

    fn resume(&self) -> Value {
        self.shared.pause.resume();
        tracing::warn!("resumed over the admin socket");
        json!({ "paused": self.paused_shown() })
    }

    fn log_level(&self, level: &str) -> Result<Value, Value> {
        log_level::set(level).map_err(|why| json!({ "error": why }))?;
        tracing::warn!(level, "the log's level was changed over the admin socket");
        Ok(json!({ "level": level }))
    }

    fn drain(&self) {
        tracing::info!("asked to drain over the admin socket");
        self.shared.ask_to_drain();
    }
}
