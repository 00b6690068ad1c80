//! Threads that decide records again, under one policy before and one after, and hand them back in order.
//!
//! Owns the threads and the order. Decides by the scan stage's own functions, each record decoded once for both
//! policies; makes no bytes for desks. May not count, nor know copies: what needs memory is the fold's. Called by the
//! readers of topics and of lines.

use crate::error::Error;
use crate::log::Records;
use crate::policies::Compiled;
use crate::wire::mention::{Decoded, Decoder};
use crate::worker::{Lift, Rules, ScanSettings};
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use triage_engine::dedup::mention_key;
use triage_engine::model::Millis;
use triage_engine::policy::{Assertion, Policy, Route, RuleIndex};
use triage_engine::triage::{Verdict, Wish};

/// Batches under way for each thread: one that it is at, one that waits, one that waits for an earlier one.
const BATCHES_A_THREAD: usize = 3;

/// Records of one partition to be decided again.
pub(super) struct Batch {
    pub(super) records: Records,
    /// The policy of the side before.
    pub(super) before: Arc<Compiled>,
    /// Which of the fold's sides that is.
    pub(super) side: usize,
}

/// What was found of one record.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// Under the policy after.
    pub(super) verdict: Verdict,
    /// What the policy before asks for, of a mention.
    pub(super) before: Option<Wish>,
    /// When the mention says that it was posted.
    pub(super) posted_at: Option<Millis>,
    /// Both hand it to the same queue, with other tags, category, priority or resolution.
    pub(super) otherwise: bool,
    matched: [Range<usize>; 2],
}

/// A batch that was decided again.
pub(super) struct Judged {
    pub(super) batch: Batch,
    /// One for each record.
    pub(super) findings: Vec<Finding>,
    matched: Vec<RuleIndex>,
}

impl Judged {
    /// The rules that matched a record before, and after.
    pub(super) fn matched(&self, finding: &Finding) -> [&[RuleIndex]; 2] {
        finding.matched.clone().map(|range| &self.matched[range])
    }
}

/// What one thread decides with.
struct Judge {
    decoder: Decoder,
    after: Arc<Compiled>,
    rules: [Rules; 2],
}

impl Judge {
    fn judge(&mut self, batch: Batch) -> Judged {
        let mut judged =
            Judged { findings: Vec::with_capacity(batch.records.len()), matched: Vec::new(), batch };
        for record in judged.batch.records.iter() {
            let finding = self.record(record.value, &judged.batch.before, &mut judged.matched);
            judged.findings.push(finding);
        }
        judged
    }

    fn record(&mut self, value: Option<&[u8]>, before: &Compiled, matched: &mut Vec<RuleIndex>) -> Finding {
        let nothing = |verdict| Finding {
            verdict,
            before: None,
            posted_at: None,
            otherwise: false,
            matched: [0..0, 0..0],
        };
        let mention = match self.decoder.decode(value) {
            Ok(Decoded::Mention { mention, .. }) => mention,
            Ok(Decoded::NotAMention { .. }) => return nothing(Verdict::NotAMention),
            Err(reason) => return nothing(Verdict::Dead(reason)),
        };
        let after = &*self.after;
        let key = mention_key(mention.network, mention.mention_id, &after.policy().hash_key());
        let [rules_before, rules_after] = &mut self.rules;
        let mut ask = |rules: &mut Rules, policy: &Compiled| {
            let (wish, route) = rules.wish(&mention, policy, Lift::Nothing);
            let from = matched.len();
            matched.extend_from_slice(rules.matched());
            (wish, route, from..matched.len())
        };
        let (wish, route, range) = ask(rules_after, after);
        let verdict = Verdict::Mention { key, wish };
        let posted_at = mention.posted_at;
        let (before, otherwise, range_before) = if before.generation() == after.generation() {
            (Some(wish), false, range.clone())
        } else {
            let (wish, was, range_before) = ask(rules_before, before);
            let otherwise = was.zip(route).is_some_and(|(was, is)| {
                let matched_before = &matched[range_before.clone()];
                let was = Handed { policy: before.policy(), route: was, matched: matched_before };
                differs(was, Handed { policy: after.policy(), route: is, matched: &matched[range.clone()] })
            });
            (Some(wish), otherwise, range_before)
        };
        Finding { verdict, before, posted_at, otherwise, matched: [range_before, range] }
    }
}

/// Whether two policies hand a mention to queues of the same name and say other things of it there.
fn differs(was: Handed<'_>, is: Handed<'_>) -> bool {
    was.queue() == is.queue() && was.said() != is.said()
}

/// A mention that a policy hands to a desk, by the rules that matched.
#[derive(Clone, Copy)]
struct Handed<'p> {
    policy: &'p Policy,
    route: Route,
    matched: &'p [RuleIndex],
}

impl<'p> Handed<'p> {
    fn queue(self) -> &'p str {
        &self.policy.queues()[usize::from(self.route.queue.0)].name
    }

    fn said(self) -> (Vec<&'p str>, Assertion) {
        let mut tags = Vec::new();
        self.policy.tags(self.matched, &mut tags);
        (tags, self.policy.assertion(self.matched, self.route.queue))
    }
}

/// The threads.
pub(super) struct Judges {
    batches: Option<Sender<(u64, Batch)>>,
    done: Receiver<(u64, Judged)>,
    threads: Vec<JoinHandle<()>>,
    handed_in: u64,
    handed_back: u64,
    /// Those that are done while an earlier one is not.
    early: BTreeMap<u64, Judged>,
}

impl Judges {
    /// So many threads, which decide under `after`.
    ///
    /// # Errors
    /// 75 when the system gives no thread.
    pub(super) fn new(threads: usize, scan: &ScanSettings, after: &Arc<Compiled>) -> Result<Judges, Error> {
        assert!(threads > 0, "somebody has to decide");
        let (batches, to_do) = unbounded::<(u64, Batch)>();
        let (told, done) = unbounded();
        let mut judges = Judges {
            batches: Some(batches),
            done,
            threads: Vec::new(),
            handed_in: 0,
            handed_back: 0,
            early: BTreeMap::new(),
        };
        for number in 0..threads {
            let mut judge = Judge {
                decoder: Decoder::new(scan.map.clone(), scan.limits),
                after: after.clone(),
                rules: [Rules::default(), Rules::default()],
            };
            let (to_do, told) = (to_do.clone(), told.clone());
            let work = move || {
                for (sequence, batch) in to_do {
                    if told.send((sequence, judge.judge(batch))).is_err() {
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("judge-{number}")).spawn(work);
            let refused = |error| Error::try_again(format!("no thread to decide with: {error}"));
            judges.threads.push(thread.map_err(refused)?);
        }
        Ok(judges)
    }

    /// Hands a batch in, and every one that is done by now to `take`, in the order in which they came. Waits only while
    /// many are under way.
    pub(super) fn submit(&mut self, batch: Batch, take: &mut dyn FnMut(Judged)) {
        let batches = self.batches.as_ref().expect("invariant: open until it is dropped");
        batches.send((self.handed_in, batch)).expect("invariant: a judge that panics ends the process");
        self.handed_in += 1;
        self.hand_back(BATCHES_A_THREAD * self.threads.len(), take);
    }

    /// Waits for all that is under way.
    pub(super) fn finish(&mut self, take: &mut dyn FnMut(Judged)) {
        self.hand_back(0, take);
        debug_assert!(self.early.is_empty() && self.handed_back == self.handed_in);
    }

    fn hand_back(&mut self, under_way_max: usize, take: &mut dyn FnMut(Judged)) {
        loop {
            self.early.extend(self.done.try_iter());
            while let Some(next) = self.early.remove(&self.handed_back) {
                self.handed_back += 1;
                take(next);
            }
            if self.handed_in - self.handed_back <= under_way_max as u64 {
                return;
            }
            let (sequence, judged) =
                self.done.recv().expect("invariant: a judge that panics ends the process");
            self.early.insert(sequence, judged);
        }
    }
}

impl Drop for Judges {
    fn drop(&mut self) {
        self.batches = None;
        for thread in self.threads.drain(..) {
            // One that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}
