//! Bugs that the simulator plants to prove that it finds them.
//!
//! Owns a switch per thread; compiled into unit tests only. Each place that asks names the bug beside the right
//! code. Set by the simulator, asked by the shards.

use std::cell::Cell;

/// A bug that could be in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The offset is committed past a record that is not settled.
    CommitPastGap,
    /// Effects are produced before the ledger is acknowledged.
    LedgerAfterEffect,
    /// The desk accepts whatever is above the highest source offset, instead of what its seen-set lacks.
    HighWaterMark,
    /// An unexpected ledger offset is taken for our own.
    ZombieObeyed,
    /// A send that was refused at once is forgotten, and the run settled by what else it sent.
    RefusalForgotten,
    /// A snapshot is published before the commit of its offset, and used although it is past it.
    SnapshotPastCommit,
    /// Mentions are brought back before the ledger has acknowledged that they are.
    ReleaseAfterEffect,
    /// What names a mention that is brought back comes from a generator: after a crash it has another name.
    OrdinalCounted,
    /// A new owner takes what the ledger holds of a request for done.
    ReleaseNotOwed,
}

impl Planted {
    /// Every bug that can be planted.
    pub const ALL: [Planted; 9] = [
        Planted::CommitPastGap,
        Planted::LedgerAfterEffect,
        Planted::HighWaterMark,
        Planted::ZombieObeyed,
        Planted::RefusalForgotten,
        Planted::SnapshotPastCommit,
        Planted::ReleaseAfterEffect,
        Planted::OrdinalCounted,
        Planted::ReleaseNotOwed,
    ];
}

thread_local! {
    static COUNTED: Cell<u64> = const { Cell::new(0) };
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// Plants a bug in this thread, or none.
pub fn plant(bug: Option<Planted>) {
    PLANTED.with(|cell| cell.set(bug));
}

/// The next number of a generator.
#[must_use]
pub fn counted() -> u64 {
    COUNTED.with(|cell| cell.replace(cell.get() + 1))
}

/// Whether this bug is planted in this thread.
#[must_use]
pub fn is(bug: Planted) -> bool {
    PLANTED.with(Cell::get) == Some(bug)
}
