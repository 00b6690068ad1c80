//! How near two terms stand, and the words of a phrase.
//!
//! Owns what is said when they do not stand near enough, or when something else than blanks parts the words of a phrase. Which pairs there are is the policy's own answer
//! (`program::Reach`), limit included, so that what is told is what is done. Called by `why`.

use super::Spans;
use super::layout::Layout;
use crate::policy::program::{NEAR_SPANS_MAX, Reach, Span, Words, nexts};
use crate::policy::query::Near;

/// Characters between two words that are told, at most.
const GAP_CHARS_MAX: usize = 10;

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

/// What parts the words of a phrase that a text does not hold, if it holds them one after the other; else empty.
pub(super) fn parted(layout: &Layout, text: &str, phrase: &str) -> String {
    let of_phrase: Vec<Span> = Words::of(phrase).spans().collect();
    let of_text: Vec<Span> = layout.words.spans().collect();
    if of_phrase.len() < 2 {
        return String::new();
    }
    let word = |text, span: &Span| slice(text, span.start, span.end);
    let alike =
        |run: &&[Span]| run.iter().zip(&of_phrase).all(|(one, other)| word(text, one) == word(phrase, other));
    let between = |text, words: &[Span]| slice(text, words[0].end, words[1].start);
    let gap = of_text.windows(of_phrase.len()).filter(alike).find_map(|run| {
        let gaps = run.windows(2).zip(of_phrase.windows(2));
        let gaps = gaps.map(|(found, asked)| (between(text, found), between(phrase, asked)));
        gaps.filter(|(found, asked)| found != asked).map(|(found, _)| found).next()
    });
    let Some(gap) = gap else { return String::new() };
    match gap.trim() {
        "" if gap.is_empty() => "its words are there, but nothing stands between them".to_owned(),
        "" => "its words are there, but a blank stands between them".to_owned(),
        sign => {
            let sign: String = sign.chars().take(GAP_CHARS_MAX).collect();
            format!("its words are there, but `{sign}` stands between them")
        }
    }
}

fn slice(text: &str, start: u32, end: u32) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

/// The fewest words between a span of `one` and a later one of `other` in the same line: between two lines no count makes sense.
fn nearest(layout: &Layout, one: &Spans, other: &Spans) -> Option<u32> {
    let in_line =
        nexts(one, other).filter(|(before, after)| layout.line(before.end) == layout.line(after.start));
    in_line.map(|(before, after)| layout.words.between(before.end, after.start)).min()
}
