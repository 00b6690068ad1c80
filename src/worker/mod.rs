//! The workers: the stateless four fifths of the work on a mention, done by whichever thread is free.
//!
//! Owns the queues of scan batches (crossbeam: one injector, one deque a worker, stealing between them). May not
//! decide anything: what needs memory is the shard's. Lanes submit batches and take results back; a lane with
//! nothing to do scans too, and with no worker threads at all it does everything, as in the simulator.

mod scan;
mod scanned;

pub use scan::{Rules, ScanSettings, Scanning};
pub use scanned::{Scanned, ScannedRecord};

use crate::clock::Stopwatch;
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
    /// How long the scan took, in microseconds.
    pub took_us: u64,
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
    /// For each worker: one more when it takes a batch, one more when it is done. Odd is at work.
    turns: Vec<AtomicU64>,
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
            turns: (0..threads).map(|_| AtomicU64::new(0)).collect(),
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

    /// What each worker is at: a number that no other batch of its has, or nothing. One that rests is well without
    /// being woken; one that is at the same batch for long hangs in it.
    #[must_use]
    pub fn at_work(&self) -> Vec<Option<u64>> {
        let turns = self.shared.turns.iter().map(|turn| turn.load(Ordering::Relaxed));
        turns.map(|turn| (!turn.is_multiple_of(2)).then_some(turn)).collect()
    }

    /// What scanning needs beside the policy.
    #[must_use]
    pub fn settings(&self) -> &ScanSettings {
        &self.shared.settings
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
                Some(job) => {
                    shared.turns[number].fetch_add(1, Ordering::Relaxed);
                    shared.run(job, &mut scanning);
                    shared.turns[number].fetch_add(1, Ordering::Relaxed);
                }
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
        let watch = Stopwatch::start();
        let scanned = scanning.scan(&job);
        let took_us = watch.elapsed_us();
        // The lane may be gone: then nobody wants the result.
        let _ = job.reply.send(Done { ticket: job.ticket, scanned, took_us });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::log::TopicPartition;
    use triage_engine::model::Millis;
    use triage_engine::policy::Bundle;
    use triage_engine::scan::{Hit, Literal, Matcher, Scanner};
    use triage_engine::text::NormalText;

    /// Whoever scans waits for this.
    static GATE: Mutex<()> = Mutex::new(());

    struct Gated;

    impl Matcher for Gated {
        fn scanner(&self) -> Box<dyn Scanner> {
            Box::new(Gated)
        }
        fn name(&self) -> &'static str {
            "gated"
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    impl Scanner for Gated {
        fn scan(&mut self, _: &NormalText, _: &mut Vec<Hit>) {
            drop(GATE.lock().expect("nobody panics holding it"));
        }
    }

    fn gated(_: &[Literal]) -> Arc<dyn Matcher> {
        Arc::new(Gated)
    }

    #[test]
    fn a_worker_that_rests_is_seen_at_nothing_and_one_that_hangs_at_the_same_batch() {
        let policy = "[[desk]]\nname = \"care\"\nlog_partition = 0\ncase_lapse = \"1h\"\nmentions_per_case_max = 10\n\
             [[queue]]\nname = \"care.all\"\ndesk = \"care\"\n[workflow]\ndefault = \"care.all\"\n\
             [dedup]\nwindow = \"10m\"\nids_max = 1000\n[fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n";
        let bundle = Bundle { files: [("policy.toml".to_owned(), policy.to_owned())].into() };
        let policy = Arc::new(Compiled::new(&bundle, gated).expect("the policy is right"));
        let workers =
            Workers::new(1, ScanSettings::of(&Settings::default()).expect("the defaults are right"));
        assert_eq!(workers.at_work(), [None], "it rests");

        let (reply, done) = crossbeam::channel::unbounded();
        let submit = |sequence: u64| {
            let mut records = Records::new(TopicPartition::new("mentions", 0));
            let mention = br#"{"mention_id":"x:1","network":"x","account":"@a","kind":"post","author":{"id":"x:u","handle":"@u"},"text":"hello"}"#;
            records.push(0, Millis(0), None, Some(mention));
            workers.submit(Job {
                records: Arc::new(records),
                range: 0..1,
                policy: policy.clone(),
                stream: StreamId(1),
                killers: Vec::new(),
                lift: Lift::default(),
                ticket: JobTicket { incarnation: 0, sequence },
                reply: reply.clone(),
            });
        };
        let held = GATE.lock().expect("nobody panics holding it");
        submit(0);
        while workers.at_work() == [None] {
            std::thread::yield_now();
        }
        let first = workers.at_work();
        assert_eq!(workers.at_work(), first, "it is at the same batch for as long as it hangs");
        drop(held);
        done.recv().expect("it answers");
        submit(1);
        done.recv().expect("it answers");
        while workers.at_work() != [None] {
            std::thread::yield_now();
        }
        let held = GATE.lock().expect("nobody panics holding it");
        submit(2);
        while workers.at_work() == [None] {
            std::thread::yield_now();
        }
        assert_ne!(workers.at_work(), first, "another batch is another number");
        drop(held);
    }
}
