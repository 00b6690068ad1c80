//! Reads tokens as a tree, by recursive descent: one function for each line of the grammar.
//!
//! Owns precedence and the messages about structure. The depth is bounded, so no query can exhaust the stack.
//! Called by `policy::compile`, the lints and whoever explains a decision.

use super::lex::{Token, TokenKind, tokens};
use super::tree::{Expression, Mark, Near};
use super::{Dialect, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX, QueryMistake};

/// Reads a query.
///
/// # Errors
/// Every mistake of single terms; or, when there are none, the first mistake of structure.
pub fn parse(query: &str, dialect: Dialect) -> Result<Expression, Vec<QueryMistake>> {
    if query.len() > QUERY_BYTES_MAX {
        let what =
            format!("the query has {} bytes, the limit QUERY_BYTES_MAX is {QUERY_BYTES_MAX}", query.len());
        return Err(vec![QueryMistake::new(0, what, SPLIT)]);
    }
    let (tokens, mistakes) = tokens(query, dialect);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let has_plus = tokens.iter().any(|token| token.kind == TokenKind::Plus);
    let mut parser = Parser { query, tokens: &tokens, has_plus, next: 0, depth: 0 };
    parser.query().map_err(|mistake| vec![mistake])
}

const SPLIT: &str = "split it into several rules with the same tags, or move words into a list: $name";

const OUTSIDE: &str = "join it with AND, outside of the NEAR";
const OUTSIDE_NOT: &str = "write NOT around the whole: tv AND NOT (tv NEAR/3 radio)";
const TOGETHER: &str = "for words that stand together, write a phrase in quotes or a NEAR in parentheses";

struct Parser<'t> {
    query: &'t str,
    tokens: &'t [Token],
    /// Whether a `+` stands anywhere: then the query is Lucene's.
    has_plus: bool,
    next: usize,
    depth: usize,
}

/// A part of an AND, and how it is joined.
#[derive(Clone, Copy, PartialEq)]
enum Joint {
    /// By `+`.
    Plus,
    /// By AND, `-` or NOT: it is required or excluded in every language.
    Plain,
    /// By nothing.
    Bare,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn mark(&self) -> Mark {
        self.tokens.get(self.next).map_or(Mark { at: self.query.len(), length: 0 }, |token| token.mark)
    }

    fn query(&mut self) -> Result<Expression, QueryMistake> {
        if self.tokens.is_empty() {
            return Err(QueryMistake::new(0, "it is empty: expected a term", ""));
        }
        let mut terms = 0;
        for token in self.tokens {
            if let TokenKind::Term(term) = &token.kind {
                term.leaves(&mut |_| terms += 1);
            }
        }
        if terms > QUERY_TERMS_MAX {
            let what = format!("the query has {terms} terms, the limit QUERY_TERMS_MAX is {QUERY_TERMS_MAX}");
            return Err(QueryMistake::new(0, what, SPLIT));
        }
        let expression = self.or()?;
        if self.next < self.tokens.len() {
            let what = "this `)` closes nothing: expected AND, OR or a term";
            return Err(QueryMistake::new(self.mark().at, what, ""));
        }
        Ok(expression)
    }

    fn or(&mut self) -> Result<Expression, QueryMistake> {
        let mut parts = vec![self.and()?];
        while self.peek() == Some(&TokenKind::Or) {
            self.next += 1;
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn and(&mut self) -> Result<Expression, QueryMistake> {
        let mut parts = Vec::new();
        let mut joints: Vec<(Joint, usize)> = Vec::new();
        let mut operator = false;
        let in_or = self.next.checked_sub(1).is_some_and(|before| self.tokens[before].kind == TokenKind::Or);
        loop {
            let at = self.mark().at;
            let joint = match self.peek() {
                Some(TokenKind::Plus) => Joint::Plus,
                Some(TokenKind::Not) => Joint::Plain,
                _ if operator => Joint::Plain,
                _ => Joint::Bare,
            };
            if joint == Joint::Plus {
                self.next += 1;
            }
            parts.push(self.not()?);
            joints.push((joint, at));
            operator = false;
            match self.peek() {
                Some(TokenKind::And) => {
                    self.next += 1;
                    operator = true;
                    if let Some((last, _)) = joints.last_mut().filter(|(joint, _)| *joint == Joint::Bare) {
                        *last = Joint::Plain;
                    }
                }
                Some(TokenKind::Not | TokenKind::Open | TokenKind::Plus | TokenKind::Term(_)) => {}
                Some(TokenKind::Near { .. }) => return Err(self.chained_near()),
                None | Some(TokenKind::Or | TokenKind::Close) => break,
            }
        }
        self.check_plus(&joints, in_or || self.peek() == Some(&TokenKind::Or))?;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    /// In Lucene a term beside a `+` term decides nothing, and of the terms of a group one is enough; here every term is
    /// required. So in a query with a `+` nothing stands side by side without an operator or a sign.
    fn check_plus(&self, joints: &[(Joint, usize)], in_or: bool) -> Result<(), QueryMistake> {
        let plus = joints.iter().any(|(joint, _)| *joint == Joint::Plus);
        if let [(Joint::Plus, at)] = joints
            && in_or
        {
            let what = "a `+` beside OR: in Lucene the term would be required, and the OR decide nothing";
            return Err(QueryMistake::new(*at, what, "write AND if it is required, else leave the sign out"));
        }
        let mut bare = joints.iter().filter(|(joint, _)| *joint == Joint::Bare).map(|(_, at)| *at);
        let (Some(at), true) = (bare.next(), self.has_plus && joints.len() > 1) else { return Ok(()) };
        // In a group without a sign the first term is none that could do without an operator.
        let at = if plus { at } else { bare.next().unwrap_or(at) };
        let word = self.query[at..].split([' ', '\t', '\n', '(', ')']).next().unwrap_or_default();
        let (what, hint) = match plus {
            true => (
                format!("`{word}` has no `+` beside a term that has one: in Lucene it would decide nothing"),
                "put + before it too if it is required, else leave it out",
            ),
            false => (
                format!(
                    "nothing joins `{word}` in a query with a `+`: in Lucene one of such terms is enough"
                ),
                "write OR before it, or AND if it is required",
            ),
        };
        Err(QueryMistake::new(at, what, hint))
    }

    fn not(&mut self) -> Result<Expression, QueryMistake> {
        if self.peek() != Some(&TokenKind::Not) {
            return self.near();
        }
        self.enter()?;
        self.next += 1;
        let part = self.not()?;
        self.depth -= 1;
        Ok(Expression::Not(Box::new(part)))
    }

    fn near(&mut self) -> Result<Expression, QueryMistake> {
        let from = self.next;
        let left = self.unit()?;
        let Some(&TokenKind::Near { ordered, words_max }) = self.peek() else { return Ok(left) };
        let mark = self.mark();
        self.check_operand(&left, from)?;
        self.next += 1;
        let from = self.next;
        if self.peek() == Some(&TokenKind::Not) {
            return Err(self.no_operand(from));
        }
        let right = self.unit()?;
        self.check_operand(&right, from)?;
        if let Some(TokenKind::Near { .. }) = self.peek() {
            return Err(self.chained_near());
        }
        let near = Near { words_max, ordered, left: Box::new(left), right: Box::new(right) };
        Ok(Expression::Near(near, mark))
    }

    fn unit(&mut self) -> Result<Expression, QueryMistake> {
        self.enter()?;
        let at = self.mark().at;
        let read = match self.peek() {
            Some(TokenKind::Open) => {
                self.next += 1;
                let inside = self.or()?;
                if self.peek() != Some(&TokenKind::Close) {
                    return Err(QueryMistake::new(at, "this `(` is never closed: expected `)`", ""));
                }
                self.next += 1;
                inside
            }
            Some(TokenKind::Term(term)) => {
                self.next += 1;
                term.clone()
            }
            other => return Err(self.expected_a_term(at, other)),
        };
        self.depth -= 1;
        Ok(read)
    }

    fn enter(&mut self) -> Result<(), QueryMistake> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX + 1 {
            let what = format!(
                "nested deeper than {QUERY_DEPTH_MAX} parentheses and NOTs, the limit QUERY_DEPTH_MAX"
            );
            return Err(QueryMistake::new(self.mark().at, what, ""));
        }
        Ok(())
    }

    /// What stands beside NEAR must stand somewhere in the text; the operand is the tokens since `from`.
    fn check_operand(&self, operand: &Expression, from: usize) -> Result<(), QueryMistake> {
        if operand.has_spans() {
            return Ok(());
        }
        // A NEAR inside has been checked: the first token that stands for no place is the mistake.
        let wrong = (from..self.next).find(|&at| self.has_no_place(from, at));
        Err(self.no_operand(wrong.expect("invariant: what has no place has a token that is why")))
    }

    /// Whether a token of an operand that begins at `from` is none that an operand may have.
    fn has_no_place(&self, from: usize, at: usize) -> bool {
        match &self.tokens[at].kind {
            TokenKind::Not | TokenKind::And => true,
            TokenKind::Term(term) => !term.has_spans() || self.is_beside(from, at),
            TokenKind::Open | TokenKind::Plus => self.is_beside(from, at),
            TokenKind::Close | TokenKind::Or | TokenKind::Near { .. } => false,
        }
    }

    /// Whether nothing joins a token to the term before it, which means AND.
    fn is_beside(&self, from: usize, at: usize) -> bool {
        at > from && matches!(self.tokens[at - 1].kind, TokenKind::Term(_) | TokenKind::Close)
    }

    fn no_operand(&self, at: usize) -> QueryMistake {
        let token = &self.tokens[at];
        let written = token.mark.of(self.query);
        let (found, hint) = match &token.kind {
            TokenKind::Not if written == "NOT" => (written.to_owned(), OUTSIDE_NOT),
            TokenKind::Not => (format!("`{written}`"), OUTSIDE_NOT),
            TokenKind::Term(Expression::Regex(..)) => ("a regular expression".to_owned(), OUTSIDE),
            TokenKind::Term(term) if !term.has_spans() => (format!("`{written}`"), OUTSIDE),
            TokenKind::And if written == "AND" => (written.to_owned(), TOGETHER),
            TokenKind::And => (format!("`{written}`"), TOGETHER),
            _ => (format!("`{written}` side by side with another term, which means AND"), TOGETHER),
        };
        let what =
            format!("expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found {found}");
        QueryMistake { length: token.mark.length, ..QueryMistake::new(token.mark.at, what, hint) }
    }

    fn chained_near(&self) -> QueryMistake {
        let what = "which words belong together? expected parentheses around one NEAR of several";
        QueryMistake::new(self.mark().at, what, "such as (tv NEAR/3 broken) NEAR/5 again")
    }

    fn expected_a_term(&self, at: usize, found: Option<&TokenKind>) -> QueryMistake {
        let found = match found {
            Some(TokenKind::Plus) => "`+`".to_owned(),
            Some(_) => format!("`{}`", self.mark().of(self.query)),
            None => "the end".to_owned(),
        };
        QueryMistake::new(at, format!("expected a term or `(`, found {found}"), "")
    }
}
