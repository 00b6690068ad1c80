//! How near two terms stand.
//!
//! Owns the search for pairs, and what is said when there is none. Words between are counted as the policy counts them. Called by `why`.

use super::Spans;
use crate::policy::program::Words;
use crate::policy::query::Near;

/// What was found.
pub(super) struct Read {
    /// From the first to the last byte of each pair that is near enough, ascending.
    pub spans: Spans,
    /// Why there is none; else empty.
    pub note: String,
}

/// Looks for pairs in a form of the text; the spans of each side are ascending.
pub(super) fn read(form: &str, near: &Near, left: &Spans, right: &Spans) -> Read {
    let words = Words::of(form);
    let mut spans: Spans = Vec::new();
    let written = pairs(form, &words, near.words_max, left, right, &mut spans);
    let mut turned: Spans = Vec::new();
    let other_way = pairs(form, &words, near.words_max, right, left, &mut turned);
    let note = match () {
        () if left.is_empty() || right.is_empty() => String::new(),
        () if near.ordered && spans.is_empty() && !turned.is_empty() => {
            "they stand in the other order".to_owned()
        }
        () => {
            let nearest = if near.ordered { written } else { written.into_iter().chain(other_way).min() };
            let far = |words| format!("{words} words between them, at most {}", near.words_max);
            nearest.map_or_else(|| "not in one line, or one in the other".to_owned(), far)
        }
    };
    if !near.ordered {
        spans.append(&mut turned);
    }
    spans.sort_by_key(|span| (span.start, span.end));
    spans.dedup();
    let note = if spans.is_empty() { note } else { String::new() };
    Read { spans, note }
}

/// Appends the pairs of a span of `first` and a later one of `second` that are near enough; the fewest words between
/// two that are not.
fn pairs(
    form: &str,
    words: &Words,
    words_max: u32,
    first: &Spans,
    second: &Spans,
    spans: &mut Spans,
) -> Option<u32> {
    let mut nearest: Option<u32> = None;
    for one in first {
        let later = second.partition_point(|other| other.start < one.end);
        for other in &second[later..] {
            let between = words.between(one.end as u32, other.start as u32);
            if between > words_max {
                // Whatever stands later is farther away. Between two lines no count makes sense.
                if !form[one.end..other.start].contains('\n') {
                    nearest = Some(nearest.map_or(between, |known| known.min(between)));
                }
                break;
            }
            spans.push(one.start..other.end);
        }
    }
    nearest
}
