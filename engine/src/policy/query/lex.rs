//! Cuts a query into tokens and reads its terms; collects every mistake of a single term.
//!
//! Owns where a token begins and ends. What a word, a phrase or a pattern means is `words`' business, what a field
//! means is `fields`', and what other search languages mean by it is `dialect`'s. Called by `parse` alone.

use super::tree::{Expression, ListTerm, Mark};
use super::{Dialect, Form, NEAR_WORDS_MAX, QueryMistake, dialect, fields, fullwidth, words};

/// A token and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub mark: Mark,
    pub kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TokenKind {
    Open,
    Close,
    And,
    Or,
    /// `NOT`, `-` or `!`.
    Not,
    /// The `+` of Lucene: what follows is required, as every term here is.
    Plus,
    /// `NEAR/n` or `ONEAR/n`.
    Near {
        ordered: bool,
        words_max: u32,
    },
    /// A leaf, or the OR of a field's set.
    Term(Expression),
}

/// What is wrong, and a hint.
pub type Wrong = (String, String);

/// All tokens of a query, and every mistake of its single terms.
pub fn tokens(query: &str, dialect: Dialect) -> (Vec<Token>, Vec<QueryMistake>) {
    let mut lexer = Lexer { query, at: 0, dialect, tokens: Vec::new(), mistakes: Vec::new() };
    while let Some(next) = lexer.rest().chars().next() {
        match next {
            '(' => lexer.push_bytes(1, TokenKind::Open),
            ')' => lexer.push_bytes(1, TokenKind::Close),
            '"' => lexer.phrase(),
            '/' => lexer.regex(),
            c if c.is_whitespace() => lexer.at += c.len_utf8(),
            _ if lexer.rest().starts_with("&&") => lexer.push_bytes(2, TokenKind::And),
            _ if lexer.rest().starts_with("||") => lexer.push_bytes(2, TokenKind::Or),
            '+' | '-' | '!' => lexer.sign(next),
            _ => lexer.bare(),
        }
    }
    (lexer.tokens, lexer.mistakes)
}

struct Lexer<'q> {
    query: &'q str,
    at: usize,
    dialect: Dialect,
    tokens: Vec<Token>,
    mistakes: Vec<QueryMistake>,
}

impl<'q> Lexer<'q> {
    fn rest(&self) -> &'q str {
        &self.query[self.at..]
    }

    /// From `at` to where the lexer stands.
    fn mark(&self, at: usize) -> Mark {
        assert!(at < self.at, "a token has at least one byte");
        Mark { at, length: self.at - at }
    }

    /// A token from `at` to where the lexer stands.
    fn push(&mut self, at: usize, kind: TokenKind) {
        self.tokens.push(Token { mark: self.mark(at), kind });
    }

    fn push_bytes(&mut self, bytes: usize, kind: TokenKind) {
        self.at += bytes;
        self.push(self.at - bytes, kind);
    }

    /// A mistake from `at` to where the lexer stands, or the word at `at` if it has not come so far.
    fn refuse(&mut self, at: usize, (what, hint): Wrong) {
        let length = self.at.saturating_sub(at);
        self.mistakes.push(QueryMistake { at, length, what, hint });
    }

    /// A term from `at` to where the lexer stands, or what is wrong with it.
    fn term(&mut self, at: usize, read: Result<Expression, Wrong>) {
        match read {
            Ok(term) => self.push(at, TokenKind::Term(term)),
            Err(wrong) => self.refuse(at, wrong),
        }
    }

    /// The form of words in this query; none in a workflow filter, which asks no words.
    fn form(&mut self, at: usize, text: &str) -> Option<Form> {
        match self.dialect {
            Dialect::Rule(form) => Some(form),
            Dialect::Filter => {
                let what = format!("a workflow filter asks fields, not words: found `{text}`");
                let hint = "put the word into a rule that gives a tag, and ask for `tag:…` here";
                self.refuse(at, (what, hint.into()));
                None
            }
        }
    }

    /// Takes everything up to the next blank, parenthesis or quote.
    fn bare_text(&mut self) -> &'q str {
        let word = word(self.rest());
        self.at += word.len();
        word
    }

    fn phrase(&mut self) {
        let start = self.at;
        let Some(length) = closing_quote(&self.rest()[1..]) else {
            self.refuse(start, ("this quote is never closed: expected another `\"`".into(), String::new()));
            self.at = self.query.len();
            return;
        };
        let phrase = &self.rest()[1..1 + length];
        self.at += length + 2;
        if phrase.trim().is_empty() {
            let what = "the phrase is empty: expected words between the quotes";
            self.refuse(start, (what.into(), String::new()));
            return;
        }
        if let Some(next) = self.rest().chars().next().filter(|&c| !c.is_whitespace() && c != ')') {
            let at = self.at;
            let after = self.bare_text();
            let wrong = dialect::after_phrase(phrase, after).unwrap_or_else(|| {
                let what = format!("expected a blank, `)` or the end after a phrase, found `{next}`");
                (what, String::new())
            });
            self.refuse(at, wrong);
            return;
        }
        if let Some((escape, (what, hint))) = words::unknown_escape(phrase) {
            let at = start + 1 + escape.start;
            return self.mistakes.push(QueryMistake { at, length: escape.len(), what, hint });
        }
        if let Some(form) = self.form(start, phrase) {
            let read = words::read_phrase(phrase, form)
                .map(|literal| Expression::Literal(literal, self.mark(start)));
            self.term(start, read);
        }
    }

    fn regex(&mut self) {
        let start = self.at;
        let inside = &self.rest()[1..];
        let Some(length) = closing_slash(inside) else {
            let what = "this `/` is never closed: expected another `/` at the end of the regular expression";
            self.refuse(start, (what.into(), "to search for a slash, put it in quotes".into()));
            self.bare_text();
            return;
        };
        self.at += length + 2;
        let after = self.at;
        let flags = self.bare_text();
        if !flags.is_empty() {
            let what =
                format!("expected a blank, `)` or the end after a regular expression, found `{flags}`");
            let hint = "it has no flags: capitals count only in a rule with case = \"exact\"; \
                a slash inside is written `\\/`";
            self.refuse(after, (what, hint.into()));
            return;
        }
        if let Some(form) = self.form(start, &self.query[start..after]) {
            match super::regex::read(&inside[..length], form) {
                Ok(pattern) => {
                    let mark = self.mark(start);
                    self.push(start, TokenKind::Term(Expression::Regex(pattern, mark)));
                }
                Err((None, wrong)) => self.refuse(start, wrong),
                Err((Some(part), (what, hint))) => {
                    let (at, length) = (start + 1 + part.start, part.len());
                    self.mistakes.push(QueryMistake { at, length, what, hint });
                }
            }
        }
    }

    /// `-term`, `!term` and `+term`, as on Twitter and in Lucene.
    fn sign(&mut self, sign: char) {
        let start = self.at;
        let word = word(self.rest());
        let opens = self.rest()[word.len()..].starts_with(['(', '"']);
        if word.len() == 1 && !opens {
            self.at += 1;
            let instead = if sign == '+' { "" } else { "write NOT before a term, or " };
            let what = format!("`{sign}` stands alone: expected a term right after it");
            self.refuse(start, (what, format!("{instead}put the sign in quotes to search for it")));
            return;
        }
        let signs = word.chars().take_while(|c| matches!(c, '+' | '-' | '!')).count();
        if words::is_punctuation(word) && !(word.len() == 1 && opens) || signs > 1 {
            self.bare_text();
            let wrong = words::is_punctuation(word).then(|| words::punctuation(word));
            let several = || {
                let what = format!("several signs in `{word}`: expected one `-` or `+` before a term");
                (what, format!("to search for exactly that, write \"{word}\""))
            };
            self.refuse(start, wrong.unwrap_or_else(several));
            return;
        }
        self.push_bytes(1, if sign == '+' { TokenKind::Plus } else { TokenKind::Not });
    }

    fn bare(&mut self) {
        let start = self.at;
        if let Some(length) = dialect::single_quoted(self.rest()) {
            self.at += length;
            return self.refuse(start, dialect::single_quotes(&self.query[start..self.at]));
        }
        let word = self.bare_text();
        if let Some((at, wrong)) = fullwidth::refused(word) {
            return self.refuse(start + at, wrong);
        }
        match word {
            "AND" => return self.push(start, TokenKind::And),
            "OR" => return self.push(start, TokenKind::Or),
            "NOT" => return self.push(start, TokenKind::Not),
            _ => {}
        }
        if let Some(read) = near(word) {
            return match read {
                Ok(kind) => self.push(start, kind),
                Err(wrong) => self.refuse(start, wrong),
            };
        }
        if let Some(wrong) = dialect::foreign_distance(word) {
            return self.refuse(start, wrong);
        }
        if let Some((length, wrong)) = fields::in_pieces(word, self.rest()) {
            self.at += length;
            return self.refuse(start, wrong);
        }
        // A bracket, a set or a quoted value belongs to its field, so that one mistake gives one message.
        if let Some((name, rest)) = fields::shape(word) {
            return self.field(start, name, rest);
        }
        let escape = (self.dialect != Dialect::Filter).then(|| words::backslash(word)).flatten();
        let foreign = || fields::foreign_name(word).or_else(|| dialect::foreign_word(word));
        if let Some(wrong) = escape.or_else(foreign) {
            return self.refuse(start, wrong);
        }
        if let Some(name) = word.strip_prefix('$') {
            if let Err(wrong) = words::check_list_name(name) {
                return self.refuse(start, wrong);
            }
            if let Some(form) = self.form(start, word) {
                let list = ListTerm { name: name.to_owned(), form };
                self.term(start, Ok(Expression::List(list, self.mark(start))));
            }
            return;
        }
        if self.rest().starts_with('"') {
            let what = "expected a blank before the phrase";
            self.refuse(self.at, (what.into(), String::new()));
        }
        if let Some(form) = self.form(start, word) {
            let read =
                words::read_word(word, form).map(|literal| Expression::Literal(literal, self.mark(start)));
            self.term(start, read);
        }
    }

    /// A field whose name and sign have been read, and as much of its value as has no blank.
    fn field(&mut self, start: usize, name: &str, rest: &str) {
        let filter = self.dialect == Dialect::Filter;
        let value_at = start + name.len() + 1;
        let after = self.rest();
        if rest == ":" && after.starts_with('(') {
            let Some(length) = after.find(')') else {
                let what = format!("this `(` is never closed: expected `)` after the values of `{name}:`");
                self.refuse(self.at, (what, String::new()));
                self.at = self.query.len();
                return;
            };
            self.at += length + 1;
            match fields::read_set(name, &after[1..length], value_at + 1, filter) {
                Ok(set) => self.push(start, TokenKind::Term(set)),
                Err(wrong) => self.mistakes.extend(wrong.into_iter().map(|(mark, (what, hint))| {
                    QueryMistake { at: mark.at, length: mark.length, what, hint }
                })),
            }
            return;
        }
        let value = if rest == ":" && after.starts_with('"') {
            let Some(length) = closing_quote(&after[1..]) else {
                let what = "this quote is never closed: expected another `\"`";
                self.refuse(self.at, (what.into(), String::new()));
                self.at = self.query.len();
                return;
            };
            self.at += length + 2;
            format!(":{}", &after[..length + 2])
        } else if rest.starts_with([':', '=']) && rest[1..].starts_with(['[', '{']) {
            let from_bracket = &self.query[value_at..];
            let Some(length) = from_bracket.find([']', '}']) else {
                let what = format!("this range is never closed: expected `]` or `}}` after `{name}:`");
                let hint = "such as `followers:[1000 TO 5000]`";
                self.refuse(value_at, (what, hint.into()));
                self.at = self.query.len();
                return;
            };
            self.at = value_at + length + 1;
            self.query[value_at - 1..self.at].to_owned()
        } else {
            rest.to_owned()
        };
        let read = fields::read(name, &value, filter);
        self.term(start, read.map(|field| Expression::Field(field, self.mark(start))));
    }
}

/// What stands at the beginning of `rest` up to the next blank, parenthesis or quote. A backslash is always a mistake in
/// a word, which is told of all that it escapes.
fn word(rest: &str) -> &str {
    let mut escaped = false;
    let ends = |character: char| {
        let ends = !escaped && (character.is_whitespace() || matches!(character, '(' | ')' | '"'));
        escaped = !escaped && character == '\\';
        ends
    };
    &rest[..rest.find(ends).unwrap_or(rest.len())]
}

/// Where the quote stands that closes a phrase; `\"` does not.
fn closing_quote(inside: &str) -> Option<usize> {
    closing(inside, '"')
}

/// Where the slash stands that closes a pattern; `\/` does not.
fn closing_slash(inside: &str) -> Option<usize> {
    closing(inside, '/')
}

fn closing(inside: &str, sign: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            found if found == sign => return Some(at),
            _ => {}
        }
    }
    None
}

/// `NEAR/n`, `ONEAR/n` and Brandwatch's `NEAR/nf`; none when the word is none of these, however it is misspelled.
fn near(word: &str) -> Option<Result<TokenKind, Wrong>> {
    let (name, number) = word.split_once('/').unwrap_or((word, ""));
    let upper = name.to_ascii_uppercase();
    let ordered = match upper.as_str() {
        "NEAR" => false,
        "ONEAR" => true,
        _ => return None,
    };
    let lower_case = name != upper;
    if lower_case && number.is_empty() {
        // The word `near` is a word.
        return None;
    }
    let digits = number.strip_suffix('f').unwrap_or(number);
    let ordered = ordered || digits.len() < number.len();
    let shown = if ordered { "ONEAR" } else { "NEAR" };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let what = format!("expected a number of words after `{name}/`, found `{word}`");
        return Some(Err((
            what,
            format!("such as `{shown}/3`: at most 3 words between; for the word, write \"{word}\""),
        )));
    }
    if lower_case {
        let what = format!("operators are written in capitals: found `{word}`");
        return Some(Err((
            what,
            format!("write {shown}/{digits}; to search for the word, write \"{word}\""),
        )));
    }
    Some(match digits.parse() {
        Ok(words_max) if words_max <= NEAR_WORDS_MAX => Ok(TokenKind::Near { ordered, words_max }),
        _ => Err((
            format!("`{word}` reaches too far: the limit NEAR_WORDS_MAX is {NEAR_WORDS_MAX} words between"),
            "for words anywhere in the text, write AND".into(),
        )),
    })
}
