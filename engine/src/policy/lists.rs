//! Named lists: their names, their terms and their limits are checked.
//!
//! Owns every message about a list. What a term may be is the query language's business. Called by `compile`, which
//! checks that queries name lists that are there.

use super::file::ListText;
use super::mistake::{Mistakes, Place};
use super::query::{List, Lists, words};
use super::table::Located;
use std::collections::BTreeMap;

/// How many lists a policy may have.
pub const LISTS_MAX: usize = 1_000;
/// How many terms one list may have.
pub const LIST_TERMS_MAX: usize = 10_000;
/// How many terms all lists together may have.
pub const LISTS_TERMS_MAX: usize = 100_000;

/// The lists of all files. What is wrong with one is told, and the list is known all the same, so that the queries that
/// name it are not wrong as well.
pub(super) fn check_lists(texts: &[ListText], mistakes: &mut Mistakes<'_>) -> Lists {
    let mut lists = Lists::new();
    let mut places: BTreeMap<&str, &Place> = BTreeMap::new();
    let (mut terms, mut one_too_many, mut terms_too_many) = (0, None, None);
    for text in texts {
        terms += text.terms.len();
        let Some(name) = &text.name else { continue };
        if terms > LISTS_TERMS_MAX {
            terms_too_many.get_or_insert(&name.place);
        }
        check_name(name, mistakes);
        if let Some(first) = places.get(name.value.as_str()) {
            let first = mistakes.describe(first);
            let what = format!("two lists are named `{}`: the first is in {first}", name.value);
            mistakes.at(&name.place, what, "join them");
            continue;
        }
        places.insert(&name.value, &name.place);
        lists.insert(name.value.clone(), read_terms(name, &text.terms, mistakes));
        if lists.len() > LISTS_MAX {
            one_too_many.get_or_insert(&name.place);
        }
    }
    for (beyond, what, count, limit, named) in [
        (one_too_many, "lists", lists.len(), LISTS_MAX, "LISTS_MAX"),
        (terms_too_many, "terms of lists", terms, LISTS_TERMS_MAX, "LISTS_TERMS_MAX"),
    ] {
        if let Some(beyond) = beyond {
            mistakes.at(beyond, format!("{count} {what}, the limit {named} is {limit}"), "");
        }
    }
    lists
}

fn check_name(name: &Located<String>, mistakes: &mut Mistakes<'_>) {
    if words::check_list_name(&name.value).is_ok() {
        return;
    }
    let plain = name.value.strip_prefix('$').filter(|plain| words::check_list_name(plain).is_ok());
    let hint = match plain {
        Some(plain) => format!("write name = \"{plain}\"; the `$` stands in queries alone"),
        None => {
            "a list's name has lower-case letters, digits, `-` and `.`, begins with a letter and ends with a \
            letter or digit"
                .to_owned()
        }
    };
    mistakes.at(&name.place, format!("`{}` cannot be a list's name", name.value), hint);
}

fn read_terms(name: &Located<String>, terms: &[Located<String>], mistakes: &mut Mistakes<'_>) -> List {
    if terms.len() > LIST_TERMS_MAX {
        let what = format!(
            "the list `{}` has {} terms, the limit LIST_TERMS_MAX is {LIST_TERMS_MAX}",
            name.value,
            terms.len()
        );
        mistakes.at(&name.place, what, "split it, and name both in queries: ($one OR $other)");
        return List::default();
    }
    let mut list = List::default();
    for term in terms {
        match words::check_list_term(&term.value) {
            Ok(()) => list.terms.push(term.value.clone()),
            Err((what, hint)) => {
                mistakes.at(&term.place, format!("in the list `{}`: {what}", name.value), hint)
            }
        }
    }
    list
}
