//! STAND-IN, dropped when the real module is merged.
#![allow(missing_docs)]
use unicode_normalization::UnicodeNormalization;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accents {
    Ignore,
    Exact,
}
#[derive(Debug, Clone, Default)]
pub struct NormalText {
    pub folded: String,
    pub exact: String,
}
#[derive(Default)]
pub struct Normaliser {}
impl Normaliser {
    pub fn new() -> Self {
        Normaliser {}
    }
    pub fn normalise(&mut self, text: &str, exact: bool, out: &mut NormalText) {
        out.folded = normalise_term(text, Accents::Ignore);
        out.exact.clear();
        if exact {
            out.exact = normalise_term(text, Accents::Exact);
        }
    }
}
pub fn normalise_term(term: &str, accents: Accents) -> String {
    let lower: String = term
        .nfkc()
        .filter(|c| !matches!(c, '\u{200b}' | '\u{fe0f}'))
        .map(|c| if c == '’' { '\'' } else { c })
        .flat_map(char::to_lowercase)
        .collect();
    let lower = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    match accents {
        Accents::Exact => lower,
        Accents::Ignore => lower.nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect(),
    }
}
fn word(c: char) -> bool {
    c == '_' || (c.is_alphanumeric() && (c as u32) < 0x0e00)
}
pub fn bounded(text: &str, start: usize, end: usize) -> bool {
    let hit = &text[start..end];
    let left = hit.chars().next().is_some_and(word) && text[..start].chars().next_back().is_some_and(word);
    let right = hit.chars().next_back().is_some_and(word) && text[end..].chars().next().is_some_and(word);
    !left && !right
}
