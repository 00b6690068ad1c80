//! Personal data that has a shape: payment card numbers and e-mail addresses.
//!
//! Owns what counts as one and where it starts and ends in the raw, decoded text, so that the daemon can redact
//! it there. Errs towards finding: a number redacted in vain costs less than one left in public. May not allocate
//! when nothing is found, and reads each text a bounded number of times. Called by the scan stage for every mention.

mod card;
mod email;
#[cfg(test)]
mod tests;

/// What kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PiiKind {
    /// A payment card number with a right check digit.
    Card,
    /// An e-mail address.
    Email,
}

impl PiiKind {
    /// The name in records and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PiiKind::Card => "card",
            PiiKind::Email => "email",
        }
    }
}

/// One place with personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PiiSpan {
    /// What it is.
    pub kind: PiiKind,
    /// The first byte, at the border of a character.
    pub start: usize,
    /// The byte after the last, at the border of a character.
    pub end: usize,
}

/// Appends every span of personal data in `text`, ascending, none empty, none overlapping another. In time linear
/// in the length of the text.
pub fn find_pii(text: &str, out: &mut Vec<PiiSpan>) {
    let from = out.len();
    card::find(text, out);
    let cards = out.len();
    email::find(text, out);
    if from < cards && cards < out.len() {
        join(&mut out[from..]);
        // A span that another one covers has been left empty.
        out.retain(|span| span.start < span.end);
    }
    debug_assert!(
        out[from..].iter().all(|span| text.get(span.start..span.end).is_some_and(|it| !it.is_empty()))
    );
    debug_assert!(out[from..].windows(2).all(|pair| pair[0].end <= pair[1].start), "spans do not overlap");
}

/// Sorts the spans of both kinds and takes from each what the ones before it cover.
fn join(spans: &mut [PiiSpan]) {
    spans.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut covered = 0;
    for span in spans {
        span.start = span.start.max(covered);
        span.end = span.end.max(span.start);
        covered = span.end;
    }
}
