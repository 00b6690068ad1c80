//! Reads tokens as a tree, by recursive descent: one function for each line of the grammar.
//!
//! Owns precedence and the messages about structure. The depth is bounded, so no query can exhaust the stack.
//! Called by `policy::compile` alone.

use super::lex::{Token, TokenKind, tokens};
use super::{Dialect, Expression, Mark, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX, QueryMistake};
use crate::scan::Literal;
use crate::text::{Accents, Edges, normalise_term};

/// Reads a query.
///
/// # Errors
/// Every mistake of single terms; or, when there are none, the first mistake of structure.
pub fn parse(query: &str, dialect: Dialect) -> Result<Expression, Vec<QueryMistake>> {
    if query.len() > QUERY_BYTES_MAX {
        let what = format!("the query has {} bytes, the limit is {QUERY_BYTES_MAX}", query.len());
        return Err(vec![QueryMistake::new(0, what, "split it into several rules with the same tags")]);
    }
    let (tokens, mistakes) = tokens(query, dialect);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let accents = match dialect {
        Dialect::Rule(accents) => accents,
        Dialect::Filter => Accents::Ignore,
    };
    let mut parser = Parser { tokens: &tokens, next: 0, end: query.len(), accents, depth: 0 };
    parser.query().map_err(|mistake| vec![mistake])
}

struct Parser<'t> {
    tokens: &'t [Token],
    next: usize,
    end: usize,
    accents: Accents,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |token| token.mark.at)
    }

    fn query(&mut self) -> Result<Expression, QueryMistake> {
        if self.tokens.is_empty() {
            return Err(QueryMistake::new(0, "it is empty: expected a term", ""));
        }
        let is_term = |token: &&Token| matches!(token.kind, TokenKind::Text(_) | TokenKind::Field(_));
        let terms = self.tokens.iter().filter(is_term).count();
        if terms > QUERY_TERMS_MAX {
            let what = format!("the query has {terms} terms, the limit is {QUERY_TERMS_MAX}");
            return Err(QueryMistake::new(0, what, "split it into several rules with the same tags"));
        }
        let expression = self.or()?;
        if self.next < self.tokens.len() {
            return Err(QueryMistake::new(
                self.at(),
                "this `)` closes nothing: expected AND, OR or a term",
                "",
            ));
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
        let mut parts = vec![self.not()?];
        loop {
            match self.peek() {
                Some(TokenKind::And) => self.next += 1,
                None | Some(TokenKind::Or | TokenKind::Close) => break,
                // Two terms side by side mean AND.
                Some(TokenKind::Not | TokenKind::Open | TokenKind::Text(_) | TokenKind::Field(_)) => {}
            }
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn not(&mut self) -> Result<Expression, QueryMistake> {
        let at = self.at();
        let mark = self.tokens.get(self.next).map_or(Mark { at, length: 0 }, |token| token.mark);
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            let what = format!("nested deeper than {QUERY_DEPTH_MAX} parentheses and NOTs");
            return Err(QueryMistake::new(at, what, ""));
        }
        let read = match self.peek() {
            Some(TokenKind::Not) => {
                self.next += 1;
                Expression::Not(Box::new(self.not()?))
            }
            Some(TokenKind::Open) => {
                self.next += 1;
                let inside = self.or()?;
                if self.peek() != Some(&TokenKind::Close) {
                    return Err(QueryMistake::new(at, "this `(` is never closed: expected `)`", ""));
                }
                self.next += 1;
                inside
            }
            Some(TokenKind::Text(text)) => {
                self.next += 1;
                self.literal(mark, text)?
            }
            Some(TokenKind::Field(field)) => {
                self.next += 1;
                Expression::Field(field.clone(), mark)
            }
            other => return Err(self.expected_a_term(at, other)),
        };
        self.depth -= 1;
        Ok(read)
    }

    fn literal(&self, mark: Mark, text: &str) -> Result<Expression, QueryMistake> {
        let blanks_normalised = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = normalise_term(&blanks_normalised, self.accents);
        if text.trim().is_empty() {
            let what = format!(
                "nothing is left of `{blanks_normalised}` after normalisation: expected a visible term"
            );
            return Err(QueryMistake::new(mark.at, what, ""));
        }
        Ok(Expression::Literal(Literal { text, form: self.accents.into(), edges: Edges::Whole }, mark))
    }

    fn expected_a_term(&self, at: usize, found: Option<&TokenKind>) -> QueryMistake {
        let found = match found {
            Some(TokenKind::And) => "`AND`",
            Some(TokenKind::Or) => "`OR`",
            Some(TokenKind::Close) => "`)`",
            _ => "the end",
        };
        QueryMistake::new(at, format!("expected a term or `(`, found {found}"), "")
    }
}
