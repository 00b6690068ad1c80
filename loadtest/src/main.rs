//! triaged-storm: rehearses a brand's worst day, and says what should have come out. Manual: docs/load-testing.md.
//!
//! ```text
//! scenario, shape ─▶ cast (who says what, what should become of it) ─▶ send (open loop) ─▶ the daemon
//!                                                          watch, sample: measure from outside │
//!                    judge (reads input, ledger, outputs, dead letters) ─▶ report (page, JSON, text), exit code
//! ```

mod cast;
mod cli;
mod expect;
mod ground;
mod judge;
mod ledger;
mod mention;
mod random;
mod reading;
mod report;
mod run;
mod sample;
mod scenario;
mod send;
mod shape;
mod watch;

fn main() -> std::process::ExitCode {
    cli::main()
}
