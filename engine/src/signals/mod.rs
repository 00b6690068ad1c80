//! Facts computed from one mention alone.
//!
//! Owns the pure functions that find them; personal data is the first. May not know rules, cases or other
//! mentions. Called by the scan stage and by the rules that ask for them.

pub mod features;
pub mod pii;
