//! How near two terms stand.
//!
//! Owns what is said when they do not stand near enough. Which pairs there are is the policy's own answer
//! (`program::Reach`), limit included, so that what is told is what is done. Called by `why`.

use super::Spans;
use super::layout::Layout;
use crate::policy::program::{NEAR_SPANS_MAX, Reach, nexts};
use crate::policy::query::Near;

/// From the first to the last byte of each pair that is near enough, ascending; the spans of each side are ascending.
pub(super) fn pairs(layout: &Layout, near: &Near, left: &Spans, right: &Spans) -> Spans {
    let mut spans = Spans::new();
    Reach::of(near).pairs(left, right, &layout.words, &mut spans);
    assert!(spans.len() <= NEAR_SPANS_MAX, "one NEAR stands for so many pairs at most");
    spans.sort_unstable();
    spans.dedup();
    spans
}

/// Why there is no pair, for spans of both sides of which none are near enough; empty if a side has none.
pub(super) fn note(layout: &Layout, near: &Near, left: &Spans, right: &Spans) -> String {
    if left.is_empty() || right.is_empty() {
        return String::new();
    }
    if near.ordered && Reach::of(near).holds(right, left, &layout.words) {
        return "they stand in the other order".to_owned();
    }
    let written = nearest(layout, left, right);
    let turned = if near.ordered { None } else { nearest(layout, right, left) };
    let nearest = written.into_iter().chain(turned).min();
    nearest.map_or_else(
        || "not in one line, or one in the other".to_owned(),
        |words| format!("{words} words between them, at most {}", near.words_max),
    )
}

/// The fewest words between a span of `one` and a later one of `other` in the same line: between two lines no count makes sense.
fn nearest(layout: &Layout, one: &Spans, other: &Spans) -> Option<u32> {
    let in_line =
        nexts(one, other).filter(|(before, after)| layout.line(before.end) == layout.line(after.start));
    in_line.map(|(before, after)| layout.words.between(before.end, after.start)).min()
}
