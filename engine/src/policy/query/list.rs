//! Named lists: terms that many rules look for together.
//!
//! Owns what an entry may be. Made by `policy::compile`; the literals of a list are made once for each form in which a
//! rule asks for it.

use super::{Form, words};
use crate::scan::Literal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The lists of a policy, by name.
pub type Lists = BTreeMap<String, List>;

/// The terms of one list, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// As written; each can be read in every form.
    pub terms: Vec<String>,
}

impl List {
    /// What to look for in one form of a text, each once.
    pub fn literals(&self, form: Form) -> Vec<Literal> {
        let mut literals: Vec<Literal> =
            self.terms.iter().filter_map(|term| words::read_list_term(term, form).ok()).collect();
        literals.sort_unstable();
        literals.dedup();
        literals
    }
}
