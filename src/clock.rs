//! placeholder for the clock, merged from its branch.
//! Only the trait that the embedded log needs.
#![allow(missing_docs)]
use triage_engine::model::Millis;
pub trait Clock: Send + Sync {
    fn wall(&self) -> Millis;
    fn monotonic_ms(&self) -> i64;
}
