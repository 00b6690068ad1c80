//! Who counts what an evaluation does, and the nobody of every day.
//!
//! Owns the two questions alone. With `Nobody` the compiler leaves nothing of them. Implemented by `policy::cost`.

use super::steps::Leaf;
use crate::policy::RuleIndex;

/// Counts what an evaluation does.
pub trait Watch {
    /// A rule is run.
    #[inline]
    fn ran(&mut self, _rule: RuleIndex) {}

    /// A rule that runs asks this.
    #[inline]
    fn asked(&mut self, _rule: RuleIndex, _leaf: &Leaf<'_>) {}
}

/// Counts nothing.
pub struct Nobody;

impl Watch for Nobody {}
