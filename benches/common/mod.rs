//! What the benches share: made mentions and queries, the processor's clock, medians, and where results are written.
//!
//! Owns nothing of the product: whatever is measured is called where it stands. Used by `engine`, `kafka` and `page`.
#![allow(dead_code, reason = "each bench uses a part")]

pub mod machine;
pub mod measure;
pub mod mentions;
pub mod policies;
pub mod queries;

/// Whether `cargo bench` runs this. `cargo test` runs the same code with small numbers, so that it does not rot.
pub fn in_earnest() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The number in the environment variable `name`, or the usual one, or the small one of a test.
pub fn number(name: &str, usual: usize, small: usize) -> usize {
    let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(if in_earnest() { usual } else { small })
}
