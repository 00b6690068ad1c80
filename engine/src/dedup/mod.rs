//! Recognises a mention that was seen before: the exact window, and the keys it is asked with.
//!
//! Owns keys, the window and its memory. May not know rules, desks or logs. The triage engine owns one window per
//! input partition and asks it in log order; so there are no locks and no atomics here.
//!
//! A duplicate is thrown away, so the one error that must never happen is to call a new mention seen. The tables
//! therefore keep every bit of a key (part of it is the place where it is stored) and are exact; their only error is
//! to forget an id early, which lets a repeat through and is counted.

mod generations;
mod key;
mod table;
mod window;
mod word;

pub use key::{author_key, mention_key};
pub use window::{ExactWindow, NETWORKS_MAX};

pub use crate::policy::DedupLimits;
