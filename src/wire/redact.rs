//! Takes personal data out of a record's own JSON, so that what is passed on is the producer's bytes without it.
//!
//! Owns which strings are looked at and how a place in a string is a place in the bytes. May not parse anew or write
//! JSON: it cuts spans out and puts words in. What personal data is, the engine says. Called by the workers, for
//! mentions that a desk will get.
//!
//! Looked at: every string value, as its reader will see it (escapes undone, and once more with HTML undone). Left as
//! they are: keys; the identifiers of the field map; strings of digits alone outside texts, and JSON numbers, which
//! are ids in the objects of the networks, and a needed id must not become a redacted card.

use super::mention::map::{FieldMap, ROOT};
use super::mention::{TextFormat, markup};
use std::sync::Arc;
use triage_engine::signals::pii::{PiiKind, PiiSpan, find_pii};

/// A card number has at least this many digits; fewer in a string need no look.
const CARD_DIGITS_MIN: usize = 12;

/// Bytes of the shortest personal data: an address such as `a@b.cc`.
const PII_BYTES_MIN: usize = 6;

/// A piece of a record's bytes that is personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedactSpan {
    /// The first byte in the record.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What it is.
    pub kind: PiiKind,
}

/// Finds and takes out personal data; its memory is used again. One per thread.
pub struct Redactor {
    map: Arc<FieldMap>,
    /// The string as its reader sees it, and for each of its bytes where in the record its character stands.
    text: String,
    text_origin: Vec<(u32, u32)>,
    plain: String,
    plain_origin: Vec<(u32, u32)>,
    found: Vec<PiiSpan>,
    spans: Vec<RedactSpan>,
    containers: Vec<Container>,
}

/// An object or array that the walk is in.
#[derive(Debug, Clone, Copy)]
struct Container {
    /// Where in the field map it stands, if it does.
    node: Option<u8>,
    /// The place of the present element, in an array.
    element: Option<usize>,
    /// Whether the next string is a key.
    key_next: bool,
}

impl Redactor {
    /// A redactor for records of the shape that `map` tells of.
    #[must_use]
    pub fn new(map: Arc<FieldMap>) -> Redactor {
        Redactor {
            map,
            text: String::new(),
            text_origin: Vec::new(),
            plain: String::new(),
            plain_origin: Vec::new(),
            found: Vec::new(),
            spans: Vec::new(),
            containers: Vec::new(),
        }
    }

    /// Writes `raw` without its personal data to `out`, and returns the kinds found, each once. When it returns none,
    /// `out` is left empty: `raw` can be passed on as it is.
    ///
    /// `raw` is a record that the decoder took; of other bytes it makes no sense, but does no harm.
    pub fn redact(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Vec<&'static str> {
        out.clear();
        let spans = self.find(raw);
        if spans.is_empty() {
            return Vec::new();
        }
        let mut kinds: Vec<&'static str> = spans.iter().map(|span| span.kind.name()).collect();
        write_redacted(raw, spans, out);
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The spans of personal data in `raw`, ascending, none overlapping.
    pub fn find(&mut self, raw: &[u8]) -> &[RedactSpan] {
        self.spans.clear();
        self.containers.clear();
        let mut here = Some(ROOT);
        let mut at = 0;
        while at < raw.len() {
            match raw[at] {
                b'"' => {
                    let (end, escaped) = string_end(raw, at + 1);
                    let inner = &raw[at + 1..end];
                    match self.containers.last_mut() {
                        Some(object) if object.key_next => {
                            object.key_next = false;
                            let node = object.node;
                            here = node.and_then(|node| self.child(node, inner, escaped));
                        }
                        _ if escaped || inner.len() >= PII_BYTES_MIN => self.look_at(inner, at + 1, here),
                        _ => {}
                    }
                    at = end;
                }
                b'{' => self.containers.push(Container { node: here, element: None, key_next: true }),
                b'[' => {
                    self.containers.push(Container { node: here, element: Some(0), key_next: false });
                    here = self.element();
                }
                b',' => match self.containers.last_mut() {
                    Some(Container { element: Some(element), .. }) => {
                        *element += 1;
                        here = self.element();
                    }
                    Some(object) => object.key_next = true,
                    None => {}
                },
                b'}' | b']' => {
                    self.containers.pop();
                }
                _ => {}
            }
            at += 1;
        }
        debug_assert!(self.spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
        &self.spans
    }

    /// The field map's node of the key that stands in the record as `inner`.
    fn child(&mut self, node: u8, inner: &[u8], escaped: bool) -> Option<u8> {
        if escaped {
            self.unescape(inner, 0)?;
            return self.map.child(node, self.text.as_bytes());
        }
        self.map.child(node, inner)
    }

    /// The field map's node of the present element of the innermost array.
    fn element(&self) -> Option<u8> {
        let Container { node: Some(node), element: Some(element), .. } = *self.containers.last()? else {
            return None;
        };
        self.map.child(node, itoa::Buffer::new().format(element).as_bytes())
    }

    /// Looks at a string value, whose inner bytes begin at `offset` in the record.
    fn look_at(&mut self, inner: &[u8], offset: usize, here: Option<u8>) {
        let Some(hides) = suspicion(inner) else { return };
        if here.is_some_and(|node| self.map.is_identifier(node)) {
            return;
        }
        let is_text = here.is_some_and(|node| self.map.is_text(node));
        if !hides {
            // Most strings say what they are: their bytes are the text, and need not be written out again.
            let Ok(text) = std::str::from_utf8(inner) else { return };
            if is_text || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                self.found.clear();
                find_pii(text, &mut self.found);
                let place = |span: &PiiSpan| RedactSpan {
                    start: offset + span.start,
                    end: offset + span.end,
                    kind: span.kind,
                };
                let first = self.spans.len();
                self.spans.extend(self.found.iter().map(place));
                merge(&mut self.spans, first);
            }
            return;
        }
        if self.unescape(inner, offset).is_none() {
            return;
        }
        if !is_text && self.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        let first = self.spans.len();
        self.found.clear();
        find_pii(&self.text, &mut self.found);
        for span in &self.found {
            let (start, end) = (self.text_origin[span.start].0, self.text_origin[span.end - 1].1);
            self.spans.push(RedactSpan { start: start as usize, end: end as usize, kind: span.kind });
        }
        if self.text.contains(['<', '&']) {
            self.look_behind_markup();
        }
        merge(&mut self.spans, first);
    }

    /// Finds what entities and tags hide from the first look.
    fn look_behind_markup(&mut self) {
        self.plain.clear();
        self.plain_origin.clear();
        markup::to_plain(&self.text, TextFormat::Html, &mut self.plain, Some(&mut self.plain_origin));
        self.found.clear();
        find_pii(&self.plain, &mut self.found);
        for span in &self.found {
            let start = self.plain_origin[span.start].0 as usize;
            let end = self.plain_origin[span.end - 1].1 as usize;
            let (start, end) = (self.text_origin[start].0, self.text_origin[end - 1].1);
            self.spans.push(RedactSpan { start: start as usize, end: end as usize, kind: span.kind });
        }
    }

    /// Fills `text` with what the string says. None when it is no string of JSON.
    fn unescape(&mut self, inner: &[u8], offset: usize) -> Option<()> {
        self.text.clear();
        self.text_origin.clear();
        let inner = std::str::from_utf8(inner).ok()?;
        let mut at = 0;
        while at < inner.len() {
            let rest = &inner[at..];
            let (char, length) = match rest.as_bytes()[0] {
                b'\\' => escape(rest.as_bytes())?,
                _ => rest.chars().next().map(|char| (char, char.len_utf8()))?,
            };
            self.text.push(char);
            let origin = ((offset + at) as u32, (offset + at + length) as u32);
            self.text_origin.extend(std::iter::repeat_n(origin, char.len_utf8()));
            at += length;
        }
        Some(())
    }
}

/// Writes `raw` to `out` with a word such as `[card]` in place of each span. The spans ascend, do not overlap and lie
/// inside strings; so the result is JSON when `raw` is.
pub fn write_redacted(raw: &[u8], spans: &[RedactSpan], out: &mut Vec<u8>) {
    out.reserve(raw.len());
    let mut copied = 0;
    for span in spans {
        assert!(copied <= span.start && span.start < span.end && span.end <= raw.len());
        out.extend_from_slice(&raw[copied..span.start]);
        out.push(b'[');
        out.extend_from_slice(span.kind.name().as_bytes());
        out.push(b']');
        copied = span.end;
    }
    out.extend_from_slice(&raw[copied..]);
}

/// Sorts the spans from `first` on and makes one of those that overlap.
fn merge(spans: &mut Vec<RedactSpan>, first: usize) {
    if spans.len() < first + 2 {
        return;
    }
    spans[first..].sort_unstable_by_key(|span| (span.start, span.end));
    let mut kept = first;
    for at in first + 1..spans.len() {
        if spans[at].start < spans[kept].end {
            spans[kept].end = spans[kept].end.max(spans[at].end);
        } else {
            kept += 1;
            spans[kept] = spans[at];
        }
    }
    spans.truncate(kept + 1);
}

/// Whether a string could hold personal data at all, told from its bytes: `None` when not, else whether an escape or an
/// entity may hide some of it from a look at the bytes.
fn suspicion(inner: &[u8]) -> Option<bool> {
    // No way out of the loop, and bytes alone, so that the compiler can use vectors.
    let (mut digits, mut sign, mut escape, mut tag) = (0_usize, 0_u8, 0_u8, 0_u8);
    for part in inner.chunks(128) {
        let mut here = 0_u8;
        for &byte in part {
            here += u8::from(byte.is_ascii_digit());
            // Full-width digits and signs start with the last.
            sign |= u8::from(byte == b'@') | u8::from(byte == 0xEF);
            escape |= u8::from(byte == b'\\') | u8::from(byte == b'&');
            tag |= u8::from(byte == b'<');
        }
        digits += usize::from(here);
    }
    let (sign, escape, tag) = (sign != 0, escape != 0, tag != 0);
    let could = sign || escape || digits >= CARD_DIGITS_MIN;
    could.then_some(escape || tag)
}

/// Where the string that begins at `at` ends, the place of its closing quote or the end of the bytes, and whether it has
/// an escape.
fn string_end(raw: &[u8], start: usize) -> (usize, bool) {
    let (mut at, mut escaped) = (start, false);
    loop {
        // Eight bytes at a time: most strings are too short for a search to be set up for them.
        while let Some(eight) = raw.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*eight);
            let found =
                zero_bytes(word ^ (EACH * u64::from(b'"'))) | zero_bytes(word ^ (EACH * u64::from(b'\\')));
            if found != 0 {
                at += found.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match raw.get(at) {
            None => return (raw.len(), escaped),
            Some(b'"') => return (at, escaped),
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => at += 1,
        }
    }
}

/// A one in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// The top bit of each byte that is zero; right up to the lowest such byte (Hacker's Delight, 6-1).
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & (EACH << 7)
}

/// The character of an escape and its length. A lone surrogate is U+FFFD.
fn escape(rest: &[u8]) -> Option<(char, usize)> {
    let char = match *rest.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex(rest)?;
            if let Some(char) = char::from_u32(unit) {
                return Some((char, 6));
            }
            let low = rest.get(6..).and_then(hex).filter(|low| (0xDC00..0xE000).contains(low));
            return match low.filter(|_| unit < 0xDC00) {
                Some(low) => {
                    char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)).map(|char| (char, 12))
                }
                None => Some(('\u{fffd}', 6)),
            };
        }
        byte if byte.is_ascii() => char::from(byte),
        _ => return None,
    };
    Some((char, 2))
}

/// The number of `\uXXXX`.
fn hex(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
