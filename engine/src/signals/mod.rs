//! Facts computed from one mention alone.
//!
//! Owns the pure functions that find them; personal data is the first. May not know rules, cases or other
//! mentions. Called by the scan stage.

pub mod pii;
