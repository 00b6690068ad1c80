//! The workers: the stateless four fifths of the work on a mention, done by whichever thread is free.
//!
//! Owns the queues of scan batches (crossbeam: one injector, one deque a worker, stealing between them). May not
//! decide anything: what needs memory is the shard's. Lanes submit batches and take results back; a lane with
//! nothing to do scans too, and with no worker threads at all it does everything, as in the simulator.

mod scan;
mod scanned;

pub use scan::{ScanSettings, Scanning};
pub use scanned::{Scanned, ScannedRecord};

use crate::log::Records;
use crate::policies::Compiled;
use crossbeam::channel::Sender;
use crossbeam::deque::{Injector, Stealer, Worker};
use crossbeam::sync::{Parker, Unparker};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use triage_engine::model::StreamId;
use triage_engine::policy::RuleIndex;

/// One batch to scan: records of one partition, under one policy.
pub struct Job {
    /// The records.
    pub records: Arc<Records>,
    /// Which of them.
    pub range: Range<usize>,
    /// The policy.
    pub policy: Arc<Compiled>,
    /// Which log they are of.
    pub stream: StreamId,
    /// Offsets that must not be read: they have killed the process before.
    pub killers: Vec<i64>,
    /// Which rules may not act.
    pub lift: Lift,
    /// Names the job.
    pub ticket: JobTicket,
    /// Where the result goes.
    pub reply: Sender<Done>,
}

/// Which rules may not keep mentions from desks, for those that a request brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lift {
    /// Every rule acts.
    #[default]
    Nothing,
    /// This rule only tags.
    Rule(RuleIndex),
    /// None acts, and no author is blocked: the ledger says already that it goes to a desk.
    Everything,
}

/// Names a job to the lane that submitted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobTicket {
    /// Which incarnation of a shard it is for: a result for one that is gone is dropped.
    pub incarnation: u64,
    /// Its place in that shard's order.
    pub sequence: u64,
}

/// A job's result.
pub struct Done {
    /// Which job.
    pub ticket: JobTicket,
    /// What was found.
    pub scanned: Scanned,
}

/// The pool.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<(Unparker, JoinHandle<()>)>,
}

struct Shared {
    injector: Injector<Job>,
    stealers: Vec<Stealer<Job>>,
    settings: ScanSettings,
    stopping: AtomicBool,
    /// Batches scanned, for the watchdog: it must move while there is work.
    scanned: AtomicU64,
    /// For lanes that scan themselves.
    spare: Mutex<Vec<Scanning>>,
}

/// How long an idle worker sleeps at most before it looks for work again.
const PARK: Duration = Duration::from_millis(50);

impl Workers {
    /// A pool of `threads` workers; with 0 only `help` does the work.
    #[must_use]
    pub fn new(threads: usize, settings: ScanSettings) -> Workers {
        let queues: Vec<Worker<Job>> = (0..threads).map(|_| Worker::new_fifo()).collect();
        let shared = Arc::new(Shared {
            injector: Injector::new(),
            stealers: queues.iter().map(Worker::stealer).collect(),
            settings,
            stopping: AtomicBool::new(false),
            scanned: AtomicU64::new(0),
            spare: Mutex::default(),
        });
        let threads =
            queues.into_iter().enumerate().map(|(number, queue)| spawn(number, queue, &shared)).collect();
        Workers { shared, threads }
    }

    /// Hands in a batch.
    pub fn submit(&self, job: Job) {
        self.shared.injector.push(job);
        for (unparker, _) in &self.threads {
            unparker.unpark();
        }
    }

    /// Scans one batch in the caller's thread, if any waits; whether it did.
    pub fn help(&self) -> bool {
        let Some(job) = self.shared.find(None) else { return false };
        let spare = self.shared.spare.lock().expect("invariant: nobody panics holding the spares").pop();
        let mut scanning = spare.unwrap_or_else(|| Scanning::new(&self.shared.settings));
        self.shared.run(job, &mut scanning);
        self.shared.spare.lock().expect("invariant: nobody panics holding the spares").push(scanning);
        true
    }

    /// Batches scanned so far.
    #[must_use]
    pub fn scanned(&self) -> u64 {
        self.shared.scanned.load(Ordering::Relaxed)
    }

    /// What scanning needs beside the policy.
    #[must_use]
    pub fn settings(&self) -> &ScanSettings {
        &self.shared.settings
    }

    /// Whether batches wait that nobody has taken.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.shared.injector.is_empty()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for (unparker, thread) in self.threads.drain(..) {
            unparker.unpark();
            // A worker that panicked has aborted the process already.
            let _ = thread.join();
        }
    }
}

fn spawn(number: usize, queue: Worker<Job>, shared: &Arc<Shared>) -> (Unparker, JoinHandle<()>) {
    let parker = Parker::new();
    let unparker = parker.unparker().clone();
    let shared = shared.clone();
    let work = move || {
        let mut scanning = Scanning::new(&shared.settings);
        while !shared.stopping.load(Ordering::Relaxed) {
            match shared.find(Some(&queue)) {
                Some(job) => shared.run(job, &mut scanning),
                None => parker.park_timeout(PARK),
            }
        }
    };
    let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(work);
    (unparker, thread.expect("invariant: the system gives a thread at start"))
}

impl Shared {
    fn find(&self, own: Option<&Worker<Job>>) -> Option<Job> {
        if let Some(job) = own.and_then(Worker::pop) {
            return Some(job);
        }
        loop {
            let stolen = match own {
                Some(queue) => self.injector.steal_batch_and_pop(queue),
                None => self.injector.steal(),
            };
            let stolen = stolen.or_else(|| self.stealers.iter().map(Stealer::steal).collect());
            if !stolen.is_retry() {
                return stolen.success();
            }
        }
    }

    fn run(&self, job: Job, scanning: &mut Scanning) {
        let scanned = scanning.scan(&job);
        self.scanned.fetch_add(1, Ordering::Relaxed);
        // The lane may be gone: then nobody wants the result.
        let _ = job.reply.send(Done { ticket: job.ticket, scanned });
    }
}
