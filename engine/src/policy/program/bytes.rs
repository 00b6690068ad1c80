//! The memory that programs take.
//!
//! Owns the sums, of what is allocated for each part. May not measure. Called by `check`, through the policy.

use super::RulePrograms;
use super::index::{Asking, Index};
use super::near::{NearProgram, Operand};
use super::steps::Programs;
use crate::policy::query::regex;

/// What is allocated for a vector, without what its items hold elsewhere.
#[allow(clippy::ptr_arg, reason = "a slice has no capacity")]
pub fn vec_bytes<T>(items: &Vec<T>) -> usize {
    items.capacity() * size_of::<T>()
}

impl RulePrograms {
    /// Bytes, with what each of so many threads needs to run the regular expressions.
    pub fn bytes(&self, threads: usize) -> usize {
        let patterns = self.patterns.iter().map(|(pattern, form)| {
            size_of_val(&(pattern, form)) + regex::bytes(pattern.as_str(), *form, threads)
        });
        self.programs.bytes()
            + self.by_literal.bytes()
            + self.by_group.bytes()
            + vec_bytes(&self.always)
            + self.asking.bytes()
            + patterns.sum::<usize>()
    }
}

impl Programs {
    /// Bytes.
    pub fn bytes(&self) -> usize {
        let texts = self.patterns().iter().map(|pattern| pattern.text.len());
        self.flat_bytes() + texts.sum::<usize>() + self.pairs().iter().map(near_bytes).sum::<usize>()
    }
}

fn near_bytes(near: &NearProgram) -> usize {
    let operand = |operand: &Operand| {
        let pairs = operand.pairs.iter().map(near_bytes);
        vec_bytes(&operand.atoms) + vec_bytes(&operand.pairs) + pairs.sum::<usize>()
    };
    near.operands().map(operand).iter().sum()
}

impl Index {
    fn bytes(&self) -> usize {
        let (offsets, entries) = self.parts();
        vec_bytes(offsets) + vec_bytes(entries)
    }
}

impl Asking {
    fn bytes(&self) -> usize {
        let waiting = self.by_tag.values().chain(&self.by_category);
        vec_bytes(&self.order)
            + vec_bytes(&self.always)
            + waiting.map(|askers| vec_bytes(askers) + size_of::<(u32, Vec<u32>)>()).sum::<usize>()
    }
}
