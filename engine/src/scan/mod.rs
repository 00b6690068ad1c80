//! STAND-IN, dropped when the real module is merged.
#![allow(missing_docs)]
use crate::text::{Accents, NormalText, bounded};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    pub text: String,
    pub accents: Accents,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub literal: u32,
    pub start: u32,
    pub end: u32,
}
pub trait Matcher: Send + Sync {
    fn scanner(&self) -> Box<dyn Scanner>;
    fn name(&self) -> &'static str;
    fn bytes(&self) -> usize;
}
pub trait Scanner: Send {
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>);
}
#[derive(Clone)]
pub struct ReferenceMatcher(Vec<Literal>);
impl ReferenceMatcher {
    pub fn new(literals: &[Literal]) -> ReferenceMatcher {
        ReferenceMatcher(literals.to_vec())
    }
}
impl Matcher for ReferenceMatcher {
    fn scanner(&self) -> Box<dyn Scanner> {
        Box::new(self.clone())
    }
    fn name(&self) -> &'static str {
        "stand-in"
    }
    fn bytes(&self) -> usize {
        0
    }
}
impl Scanner for ReferenceMatcher {
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>) {
        for (number, literal) in self.0.iter().enumerate() {
            let hay = if literal.accents == Accents::Exact { &text.exact } else { &text.folded };
            for (start, _) in hay.match_indices(&literal.text) {
                let end = start + literal.text.len();
                if bounded(hay, start, end) {
                    hits.push(Hit { literal: number as u32, start: start as u32, end: end as u32 });
                }
            }
        }
    }
}
