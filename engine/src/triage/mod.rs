//! The triage engine of one input partition: what becomes of each mention, in log order.
//!
//! Owns the exact window and `now`, the highest time stamp so far. Everything that depends on one mention alone
//! was found before (scan, rules); here is decided what needs memory. No I/O, no clock: the shell hands times in.
//! Called by the triage shard, by `audit` and by replays; how a log is cut into steps never changes a decision.

use crate::dedup::ExactWindow;
use crate::model::{DeadLetterReason, Disposition, MentionKey, Millis};

/// Records whose keys the window fetches together: a cache miss each, waited for at once and not one by one.
const WINDOW_BATCH: usize = 32;

/// The `detail` of a decision that has none.
pub const DETAIL_NONE: u32 = u32::MAX;
/// The `detail` of noise that is no mention at all: a well-formed event of another kind, such as a like.
pub const DETAIL_NOT_A_MENTION: u32 = u32::MAX - 1;
/// The desk or queue of a decision that hands nothing to a desk.
pub const ROUTE_NONE: u16 = u16::MAX;

/// What the stateless stages found out about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot be read.
    Dead(DeadLetterReason),
    /// It can be read, and is no mention.
    NotAMention,
    /// It is a mention, and this is what the rules ask for if it is new.
    Mention {
        /// Who it is, for exact dedup.
        key: MentionKey,
        /// What the rules ask for.
        wish: Wish,
    },
}

/// What the rules and the workflow ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Hand it to this desk and queue, by their index in the policy.
    Route {
        /// The desk's index.
        desk: u16,
        /// The queue's index.
        queue: u16,
    },
    /// Keep it out of queues; the rule's index.
    Noise(u32),
    /// Keep it out altogether; the rule's index, or `DETAIL_NONE` for an own or blocked author.
    Block(u32),
}

/// One thing that happens to the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A record that nobody has decided yet. `at` is its time stamp, clamped to the wall clock by the shell.
    Record {
        /// The record's time.
        at: Millis,
        /// What the stateless stages found.
        verdict: Verdict,
    },
    /// A record whose decision the ledger holds: it is obeyed, never made again.
    Decided {
        /// The shard's `now` when it was decided.
        now: Millis,
        /// The mention's key, if it had one.
        key: Option<MentionKey>,
        /// What was decided.
        decision: Decision,
    },
}

impl Event {
    /// The key that the window is asked for.
    fn key(&self) -> Option<MentionKey> {
        match *self {
            Event::Record { verdict: Verdict::Mention { key, .. }, .. } => Some(key),
            Event::Record { .. } => None,
            Event::Decided { key, .. } => key,
        }
    }
}

/// What becomes of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Its disposition.
    pub disposition: Disposition,
    /// The rule's index (noise, blocked) or the reason's number (dead letter); else `DETAIL_NONE`.
    pub detail: u32,
    /// The desk's index if it was queued, else `ROUTE_NONE`.
    pub desk: u16,
    /// The queue's index if it was queued, else `ROUTE_NONE`.
    pub queue: u16,
}

impl Decision {
    fn without_route(disposition: Disposition, detail: u32) -> Decision {
        assert!(disposition != Disposition::Queued, "a queued mention has a desk");
        Decision { disposition, detail, desk: ROUTE_NONE, queue: ROUTE_NONE }
    }
}

/// The state of one input partition.
#[derive(Debug)]
pub struct Triage {
    window: ExactWindow,
    now: Millis,
}

impl Triage {
    /// A shard that has seen nothing.
    #[must_use]
    pub fn new(window: ExactWindow) -> Triage {
        Triage { window, now: Millis::MIN }
    }

    /// Decides or obeys each event, in order; one decision each is appended to `decisions`.
    pub fn step(&mut self, events: &[Event], decisions: &mut Vec<Decision>) {
        let before = (decisions.len(), self.now);
        for chunk in events.chunks(WINDOW_BATCH) {
            self.window.fetch(chunk.iter().filter_map(Event::key));
            decisions.extend(chunk.iter().map(|event| self.take(event)));
        }
        debug_assert_eq!(decisions.len(), before.0 + events.len(), "one decision for each event");
        debug_assert!(self.now >= before.1, "time in the log never goes back");
    }

    fn take(&mut self, event: &Event) -> Decision {
        match *event {
            Event::Record { at, verdict } => {
                self.now = self.now.max(at);
                self.decide(verdict)
            }
            Event::Decided { now, key, decision } => {
                self.now = self.now.max(now);
                if let Some(key) = key {
                    self.window.insert(key, self.now);
                }
                decision
            }
        }
    }

    /// Decides a record again that was decided before, for a request that brings it back. `is_known`: the window has
    /// had its key from that first decision, so it is no copy of itself. Otherwise it never had a key, and may be a copy
    /// of what came through since. Time does not move: the record is an old one.
    pub fn decide_again(&mut self, verdict: Verdict, is_known: bool) -> Decision {
        match verdict {
            Verdict::Mention { wish, .. } if is_known => Triage::obey_wish(wish),
            verdict => self.decide(verdict),
        }
    }

    fn decide(&mut self, verdict: Verdict) -> Decision {
        let (key, wish) = match verdict {
            Verdict::Dead(reason) => {
                return Decision::without_route(Disposition::DeadLetter, u32::from(reason.code()));
            }
            Verdict::NotAMention => return Decision::without_route(Disposition::Noise, DETAIL_NOT_A_MENTION),
            Verdict::Mention { key, wish } => (key, wish),
        };
        if self.window.check_and_insert(key, self.now) {
            return Decision::without_route(Disposition::Duplicate, DETAIL_NONE);
        }
        Triage::obey_wish(wish)
    }

    fn obey_wish(wish: Wish) -> Decision {
        match wish {
            Wish::Route { desk, queue } => {
                assert!(desk != ROUTE_NONE && queue != ROUTE_NONE, "a route names a desk and a queue");
                Decision { disposition: Disposition::Queued, detail: DETAIL_NONE, desk, queue }
            }
            Wish::Noise(rule) => Decision::without_route(Disposition::Noise, rule),
            Wish::Block(rule) => Decision::without_route(Disposition::Blocked, rule),
        }
    }

    /// What the ledger tells of a record below the committed offset: its key was seen at `now`.
    pub fn recall(&mut self, now: Millis, key: Option<MentionKey>) {
        self.now = self.now.max(now);
        if let Some(key) = key {
            self.window.insert(key, self.now);
        }
    }

    /// The highest time so far.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The exact window, for its gauges.
    #[must_use]
    pub fn window(&self) -> &ExactWindow {
        &self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DedupLimits;
    use proptest::prelude::*;

    fn window() -> ExactWindow {
        ExactWindow::new(DedupLimits { window_ms: 1_000, ids_max: 1_000 })
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let wish = prop_oneof![
            Just(Wish::Route { desk: 0, queue: 1 }),
            Just(Wish::Noise(3)),
            Just(Wish::Block(DETAIL_NONE)),
        ];
        let key = (0_u128..30).prop_map(MentionKey);
        let verdict = prop_oneof![
            4 => (key, wish).prop_map(|(key, wish)| Verdict::Mention { key, wish }),
            1 => Just(Verdict::NotAMention),
            1 => Just(Verdict::Dead(DeadLetterReason::NotJson)),
        ];
        (0_i64..5_000, verdict).prop_map(|(at, verdict)| Event::Record { at: Millis(at), verdict })
    }

    fn decide(events: &[Event], cuts: &[usize]) -> Vec<Decision> {
        let mut triage = Triage::new(window());
        let mut decisions = Vec::new();
        let mut from = 0;
        for &cut in cuts.iter().chain([&events.len()]) {
            let to = cut.clamp(from, events.len());
            triage.step(&events[from..to], &mut decisions);
            from = to;
        }
        decisions
    }

    proptest! {
        #[test]
        fn how_a_log_is_cut_into_steps_changes_no_decision(
            events in prop::collection::vec(any_event(), 0..200),
            mut cuts in prop::collection::vec(0_usize..200, 0..20),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(decide(&events, &[]), decide(&events, &cuts));
        }

        #[test]
        fn what_the_ledger_tells_is_obeyed_and_later_copies_are_still_found(
            events in prop::collection::vec(any_event(), 1..100),
            crash in 0_usize..100,
        ) {
            let straight = decide(&events, &[]);
            let crash = crash.min(events.len());
            // A new owner obeys what was decided before the crash, and decides the rest: nothing comes out otherwise.
            let mut now = Millis::MIN;
            let told = events.iter().zip(&straight).enumerate().map(|(index, (event, decision))| {
                let Event::Record { at, verdict } = *event else { unreachable!("only records are made") };
                now = now.max(at);
                let key = match verdict { Verdict::Mention { key, .. } => Some(key), _ => None };
                if index < crash { Event::Decided { now, key, decision: *decision } } else { *event }
            });
            let told: Vec<Event> = told.collect();
            prop_assert_eq!(decide(&told, &[]), straight);
        }
    }

    #[test]
    fn a_copy_inside_the_window_is_a_duplicate_whatever_the_rules_ask_for() {
        let mention = |at, wish| Event::Record {
            at: Millis(at),
            verdict: Verdict::Mention { key: MentionKey(7), wish },
        };
        let decided =
            decide(&[mention(0, Wish::Noise(1)), mention(10, Wish::Route { desk: 0, queue: 0 })], &[]);
        assert_eq!(decided[0].disposition, Disposition::Noise);
        assert_eq!(decided[1].disposition, Disposition::Duplicate);
    }
}
