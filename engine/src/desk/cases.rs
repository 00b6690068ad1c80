//! The open cases of one desk log, and every index into them.
//!
//! Owns the agreement of its three maps: by id, by desk and author, by due time. Closed cases leave at once. May
//! not decide anything: `DeskLog` does. What is walked is ordered, so it is walked in one order; the map by author is
//! only ever asked, and hashed by the author's key, which is a hash already.

use super::Generation;
use crate::model::{AssignmentId, AuthorKey, CaseId, MentionKey, Millis};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// With more open cases than this the check at the end of each step compares sizes only.
const DEEP_CHECK_CASES_MAX: usize = 64;

/// An open case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) desk: Arc<str>,
    pub(super) queue: Arc<str>,
    pub(super) author: AuthorKey,
    pub(super) assignment: AssignmentId,
    pub(super) assignment_epoch: u32,
    /// The version of the last record written of it, from 1.
    pub(super) version: u64,
    pub(super) opened_at: Millis,
    pub(super) lapses_at: Millis,
    /// The policy that decided its last mention.
    pub(super) generation: Generation,
    /// How many mentions it has had.
    pub(super) mentions: u64,
    /// The newest of them, oldest first.
    pub(super) keys: VecDeque<MentionKey>,
}

/// Takes an author's key, a keyed 128-bit hash, as it is. The desk's name adds nothing: few authors have a case on two.
#[derive(Debug, Clone, Default)]
struct AuthorHasher(u64);

impl Hasher for AuthorHasher {
    fn write(&mut self, _: &[u8]) {}

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cases {
    by_id: BTreeMap<CaseId, Case>,
    by_author: HashMap<(AuthorKey, Arc<str>), CaseId, BuildHasherDefault<AuthorHasher>>,
    due: BTreeSet<(Millis, CaseId)>,
    /// How many are open on each desk in each queue; none at 0.
    open: BTreeMap<(Arc<str>, Arc<str>), u64>,
    /// Names of desks and queues, each held once: as many as the policies of this log have had.
    names: BTreeSet<Arc<str>>,
}

impl Cases {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: CaseId) -> Option<&Case> {
        self.by_id.get(&id)
    }

    /// Every open case, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CaseId, &Case)> {
        self.by_id.iter().map(|(&id, case)| (id, case))
    }

    /// The one shared copy of a name.
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&new));
        new
    }

    /// The author's open case on a desk.
    pub(super) fn of_author(&self, author: AuthorKey, desk: &Arc<str>) -> Option<CaseId> {
        self.by_author.get(&(author, Arc::clone(desk))).copied()
    }

    /// Adds a case; false, and nothing added, when its id or its author's place is taken.
    pub(super) fn insert(&mut self, id: CaseId, case: Case) -> bool {
        let place = (case.author, Arc::clone(&case.desk));
        if self.by_id.contains_key(&id) || self.by_author.contains_key(&place) {
            return false;
        }
        self.by_author.insert(place, id);
        *self.open.entry((Arc::clone(&case.desk), Arc::clone(&case.queue))).or_default() += 1;
        let timer_is_new = self.due.insert((case.lapses_at, id));
        assert!(timer_is_new, "invariant: a case that was not open has no timer: {id}");
        self.by_id.insert(id, case);
        assert_eq!(self.by_id.len(), self.due.len(), "invariant: one timer per case");
        true
    }

    /// Changes a case that is open, and moves its timer when its due time changed.
    pub(super) fn change(&mut self, id: CaseId, change: impl FnOnce(&mut Case)) -> &Case {
        let case = self.by_id.get_mut(&id).expect("invariant: only open cases are changed");
        let due_before = case.lapses_at;
        change(case);
        debug_assert!(
            self.open.contains_key(&(Arc::clone(&case.desk), Arc::clone(&case.queue))),
            "a case stays where it is counted"
        );
        if case.lapses_at != due_before {
            let had_timer = self.due.remove(&(due_before, id));
            assert!(had_timer, "invariant: every open case has a timer: {id}");
            self.due.insert((case.lapses_at, id));
        }
        debug_assert_eq!(self.by_author.get(&(case.author, Arc::clone(&case.desk))), Some(&id));
        case
    }

    /// Takes a case out of every index.
    pub(super) fn remove(&mut self, id: CaseId) -> Option<Case> {
        let case = self.by_id.remove(&id)?;
        let had_timer = self.due.remove(&(case.lapses_at, id));
        assert!(had_timer, "invariant: every open case has a timer: {id}");
        let place = self.by_author.remove(&(case.author, Arc::clone(&case.desk)));
        assert_eq!(place, Some(id), "invariant: every open case is its author's case");
        let counted = (Arc::clone(&case.desk), Arc::clone(&case.queue));
        let open = self.open.get_mut(&counted).expect("invariant: every open case is counted");
        *open -= 1;
        if *open == 0 {
            self.open.remove(&counted);
        }
        Some(case)
    }

    /// How many are open on each desk in each queue; what has none is not named.
    pub(super) fn open_by_queue(&self) -> &BTreeMap<(Arc<str>, Arc<str>), u64> {
        &self.open
    }

    /// The case that is due first, if it is due at `now`; of two due at one time the older.
    pub(super) fn first_due(&self, now: Millis) -> Option<CaseId> {
        self.due.first().filter(|&&(due, _)| due <= now).map(|&(_, id)| id)
    }

    /// When each case lapses, in order.
    pub(super) fn dues(&self) -> impl Iterator<Item = Millis> {
        self.due.iter().map(|&(due, _)| due)
    }

    /// Panics when the indices disagree. Looks at every case when they are few, or when `deep`.
    pub(super) fn check_invariants(&self, now: Millis, deep: bool) {
        assert_eq!(self.by_id.len(), self.by_author.len(), "invariant: one author's place per case");
        assert_eq!(self.by_id.len(), self.due.len(), "invariant: one timer per case");
        assert!(self.first_due(now).is_none(), "invariant: what was due has lapsed");
        if !deep && self.by_id.len() > DEEP_CHECK_CASES_MAX {
            return;
        }
        assert_eq!(self.open.values().sum::<u64>(), self.by_id.len() as u64, "invariant: each counted once");
        for (id, case) in &self.by_id {
            assert!(self.due.contains(&(case.lapses_at, *id)), "invariant: {id} has a timer at its due time");
            let place = (case.author, Arc::clone(&case.desk));
            assert_eq!(self.by_author.get(&place), Some(id), "invariant: {id} is its author's case");
            assert!(case.version >= 1 && case.mentions >= 1, "invariant: {id} was opened by a mention");
            assert!(case.keys.len() as u64 <= case.mentions, "invariant: {id} remembers only what it had");
            assert!(case.opened_at <= now, "invariant: {id} was opened in the past");
        }
    }
}
