//! E-mail addresses: a hand check both ways from each `@`.
//!
//! Owns which characters an address may have and where it ends in running text. An `@mention` and a Fediverse
//! handle (`@user@host`) are none. Called by `find_pii` alone.

use unicode_normalization::char::is_combining_mark;

use super::{PiiKind, PiiSpan};
use crate::text::is_unspaced;

/// Appends the span of every address, ascending. Linear: each walk ends at the next `@`.
pub(super) fn find(text: &str, out: &mut Vec<PiiSpan>) {
    let mut from = 0;
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        if at < from {
            continue;
        }
        let Some(start) = local_start(&text[from..at]).map(|start| from + start) else { continue };
        let Some(end) = domain_end(&text[at + 1..]).map(|end| at + 1 + end) else { continue };
        assert!(start < at && at < end, "an address has something on both sides of its sign");
        out.push(PiiSpan { kind: PiiKind::Email, start, end });
        from = end;
    }
}

/// Where the part before the `@` starts in `before`, which ends at the `@`.
fn local_start(before: &str) -> Option<usize> {
    let last = before.chars().next_back()?;
    // In a sentence without blanks (`邮箱是info@example.com`) the address starts where its script does.
    let any_script = is_unspaced(last);
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, character)| is_local(*character) && (any_script || !is_unspaced(*character)))
        .last()
        .map(|(at, _)| at)?;
    let local = &before[start..];
    // A Fediverse handle has an `@` before its user.
    if last == '.' || before[..start].ends_with('@') {
        return None;
    }
    let trimmed =
        local.trim_start_matches(|character: char| !character.is_alphanumeric() && character != '_');
    (!trimmed.is_empty() && !trimmed.contains("..")).then(|| start + local.len() - trimmed.len())
}

/// The characters of a local part that people use; those of RFC 5322 that stand beside an address in running
/// text more often than in one (`=`, `/`, `*`, braces) are left out.
fn is_local(character: char) -> bool {
    match character {
        '.' | '_' | '%' | '+' | '-' | '\'' | '~' | '&' => true,
        _ if character.is_ascii() => character.is_ascii_alphanumeric(),
        _ => character.is_alphanumeric() || is_combining_mark(character),
    }
}

/// Where the domain at the start of `after` ends: at least two labels, the last one no number.
fn domain_end(after: &str) -> Option<usize> {
    let any_script = after.chars().next().is_some_and(is_unspaced);
    let mut at = 0;
    let mut labels = 0;
    let mut end = None;
    loop {
        let length = after[at..]
            .char_indices()
            .find(|(_, character)| !is_domain(*character) || (!any_script && is_unspaced(*character)))
            .map_or(after.len() - at, |(length, _)| length);
        let label = after[at..at + length].trim_end_matches('-');
        if label.is_empty() || label.starts_with('-') {
            return end;
        }
        labels += 1;
        if labels >= 2 && is_top_level(label) {
            end = Some(at + label.len());
        }
        at += length;
        if label.len() < length || !after[at..].starts_with('.') {
            return end;
        }
        at += 1;
    }
}

fn is_domain(character: char) -> bool {
    match character {
        '-' => true,
        _ if character.is_ascii() => character.is_ascii_alphanumeric(),
        _ => character.is_alphanumeric() || is_combining_mark(character),
    }
}

/// A top-level domain: two letters or more, or one in its ASCII form.
fn is_top_level(label: &str) -> bool {
    let punycode = label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"));
    let letters = label.chars().all(|character| character.is_alphabetic() || is_combining_mark(character));
    punycode || (letters && label.chars().nth(1).is_some())
}
