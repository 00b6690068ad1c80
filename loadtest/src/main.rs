//! triaged-storm: rehearses a brand's worst day, and says what should have come out. Manual: docs/load-testing.md.
//!
//! ```text
//! scenario, shape ─▶ cast (who says what, what should become of it) ─▶ send (open loop) ─▶ the daemon
//!                                                                       watch, lag, process: measure from outside
//!                    judge (reads input, ledger, outputs, dead letters) ─▶ report (HTML, JSON, text), exit code
//! ```

mod cast;
mod expect;
mod mention;
mod random;
mod scenario;
mod shape;
fn main() {}
