//! Lists of accounts on networks: the brand's own, and blocked authors.
//!
//! Owns the spelling `network:@handle` or `network:author-id` and the look-up, which allocates nothing. Handles
//! are compared without ASCII case, as networks do. Made by `compile`, asked by `Policy::action`.

use super::query::is_network;
use crate::model::Mention;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A set of accounts; look-ups cost the logarithm of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountList {
    /// Network and handle, in lower case without the first `@`; sorted.
    handles: Vec<(String, String)>,
    /// Network and author id; sorted.
    ids: Vec<(String, String)>,
}

impl AccountList {
    /// Adds one account.
    ///
    /// # Errors
    /// What was expected, when the text is no account.
    pub fn add(&mut self, text: &str) -> Result<(), &'static str> {
        const EXPECTED: &str = "expected `network:@handle` or `network:author-id`, such as `x:@brandcare`";
        let (network, account) = text.split_once(':').ok_or(EXPECTED)?;
        let (list, account) = match account.strip_prefix('@') {
            Some(handle) => (&mut self.handles, handle.to_ascii_lowercase()),
            None => (&mut self.ids, account.to_owned()),
        };
        if !is_network(network) || account.is_empty() || account.contains(char::is_whitespace) {
            return Err(EXPECTED);
        }
        let entry = (network.to_owned(), account);
        if let Err(place) = list.binary_search(&entry) {
            list.insert(place, entry);
        }
        Ok(())
    }

    /// Whether the mention's author is in the list. An author id may carry its network's name in front.
    pub fn holds_author(&self, mention: &Mention<'_>) -> bool {
        let network = mention.network;
        let handle = without_at(mention.author.handle);
        if !handle.is_empty()
            && self
                .handles
                .binary_search_by(|(n, h)| n.as_str().cmp(network).then_with(|| cmp_ignoring_case(h, handle)))
                .is_ok()
        {
            return true;
        }
        let id = mention.author.id;
        let bare = id.strip_prefix(network).and_then(|rest| rest.strip_prefix(':')).unwrap_or(id);
        self.ids.binary_search_by(|(n, i)| n.as_str().cmp(network).then_with(|| i.as_str().cmp(bare))).is_ok()
    }
}

/// A handle without the `@` in front, which producers may or may not send.
pub(super) fn without_at(handle: &str) -> &str {
    handle.strip_prefix('@').unwrap_or(handle)
}

/// Compares a handle in lower case with one as written.
fn cmp_ignoring_case(lower: &str, written: &str) -> Ordering {
    lower.bytes().cmp(written.bytes().map(|b| b.to_ascii_lowercase()))
}
