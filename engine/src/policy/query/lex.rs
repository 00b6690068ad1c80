//! Cuts a query into tokens and reads its terms.
//!
//! Owns every message about a single term, among them the constructs that other search languages have and
//! this one does not have yet. Collects all of them. Called by `parse` alone.

use super::{Bounds, Dialect, Field, Mark, QueryMistake};
use crate::model::Kind;
use crate::policy::Category;
use crate::policy::mistake::did_you_mean;

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
    Not,
    /// A word or a phrase as written, without its quotes.
    Text(String),
    Field(Field),
}

const FIELDS: [&str; 7] = ["lang", "kind", "network", "account", "followers", "verified", "repost"];
const FILTER_FIELDS: [&str; 2] = ["tag", "category"];
const FIELDS_LATER: [&str; 3] = ["tier", "sentiment", "has"];
const KINDS: [Kind; 6] = [Kind::Post, Kind::Reply, Kind::Repost, Kind::Quote, Kind::Message, Kind::Other];
const TYPOGRAPHIC_QUOTES: [char; 5] = ['“', '”', '„', '«', '»'];

/// All tokens of a query, and every mistake of its single terms.
pub fn tokens(query: &str, dialect: Dialect) -> (Vec<Token>, Vec<QueryMistake>) {
    let mut lexer = Lexer { query, at: 0, dialect, tokens: Vec::new(), mistakes: Vec::new() };
    while let Some(next) = lexer.rest().chars().next() {
        match next {
            '(' => lexer.push_one(TokenKind::Open),
            ')' => lexer.push_one(TokenKind::Close),
            '"' => lexer.phrase(),
            '/' => lexer.regex(),
            c if c.is_whitespace() => lexer.at += c.len_utf8(),
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

    /// A token from `at` to where the lexer stands.
    fn push(&mut self, at: usize, kind: TokenKind) {
        assert!(at < self.at, "a token has at least one byte");
        self.tokens.push(Token { mark: Mark { at, length: self.at - at }, kind });
    }

    fn push_one(&mut self, kind: TokenKind) {
        self.at += 1;
        self.push(self.at - 1, kind);
    }

    fn refuse(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.push(QueryMistake::new(at, what, hint));
    }

    fn phrase(&mut self) {
        let start = self.at;
        let inside = &self.rest()[1..];
        let Some(length) = inside.find('"') else {
            self.refuse(start, "this quote is never closed: expected another `\"`", "");
            self.at = self.query.len();
            return;
        };
        self.at += length + 2;
        let phrase = &inside[..length];
        if phrase.trim().is_empty() {
            self.refuse(start, "the phrase is empty: expected words between the quotes", "");
        } else if let Some(next) = self.rest().chars().next().filter(|c| !c.is_whitespace() && *c != ')') {
            let what = format!("expected a blank, `)` or the end after a phrase, found `{next}`");
            let hint = if next == '~' { "proximity is not there yet" } else { "" };
            self.refuse(self.at, what, hint);
            self.bare_text();
        } else {
            self.text(start, phrase);
        }
    }

    fn text(&mut self, at: usize, text: &str) {
        if self.dialect == Dialect::Filter {
            let what = format!("a workflow filter asks fields, not words: found `{text}`");
            self.refuse(at, what, "put the word into a rule that gives a tag, and ask for `tag:…` here");
        }
        self.push(at, TokenKind::Text(text.to_owned()));
    }

    fn regex(&mut self) {
        let start = self.at;
        let end = self.rest()[1..].find('/').map_or(self.query.len(), |length| start + length + 2);
        let shown = &self.query[start..end];
        self.refuse(
            start,
            format!(
                "the regular expression `{shown}` is not there yet: expected a word, a phrase or a field"
            ),
            "to search for the text itself, put it in quotes",
        );
        self.at = end;
    }

    /// Takes everything up to the next blank, parenthesis or quote.
    fn bare_text(&mut self) -> &'q str {
        let rest = self.rest();
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn bare(&mut self) {
        let start = self.at;
        let word = self.bare_text();
        match word {
            "AND" => return self.push(start, TokenKind::And),
            "OR" => return self.push(start, TokenKind::Or),
            "NOT" => return self.push(start, TokenKind::Not),
            _ => {}
        }
        if let Some((what, hint)) = foreign_construct(word) {
            self.refuse(start, what, hint);
            return;
        }
        if let Some((name, rest)) = field_shape(word) {
            // A quoted value is part of the field, so that one mistake gives one message.
            let quoted = rest.len() == 1 && self.rest().starts_with('"');
            if quoted && let Some(length) = self.rest()[1..].find('"') {
                self.at += length + 2;
            }
            let hint = || "fields take their value without quotes".to_owned();
            match read_field(name, rest, self.dialect) {
                _ if quoted => {
                    self.refuse(start, format!("expected a value after `{word}`, found a quote"), hint())
                }
                Ok(field) => self.push(start, TokenKind::Field(field)),
                Err((what, hint)) => self.refuse(start, what, hint),
            }
            return;
        }
        if self.rest().starts_with('"') {
            self.refuse(self.at, "expected a blank before the phrase", "");
        }
        self.text(start, word);
    }
}

/// What other search languages write, said in this one; `None` for a plain word.
fn foreign_construct(word: &str) -> Option<(String, String)> {
    let upper = word.to_ascii_uppercase();
    let refuse = |what: String, hint: String| Some((what, hint));
    if matches!(upper.as_str(), "AND" | "OR" | "NOT") {
        return refuse(
            format!("operators are written in capitals: found `{word}`"),
            format!("write {upper}; to search for the word, write \"{word}\""),
        );
    }
    if word == "NEAR" || word.starts_with("NEAR/") {
        return refuse(
            format!("the proximity operator `{word}` is not there yet: expected AND, OR or a term"),
            "a phrase finds words that stand together".into(),
        );
    }
    if word.contains(TYPOGRAPHIC_QUOTES) {
        return refuse(format!("typographic quotes in `{word}`"), "write straight quotes: \"…\"".into());
    }
    for (sign, operator) in
        [("&&", "AND"), ("||", "OR"), ("&", "AND"), ("|", "OR"), ("!", "NOT"), ("-", "NOT")]
    {
        let Some(rest) = word.strip_prefix(sign) else { continue };
        let instead = if rest.is_empty() { operator.to_owned() } else { format!("{operator} {rest}") };
        return refuse(
            format!("`{sign}` is no operator here: found `{word}`"),
            format!("write {instead}; to search for the sign itself, put it in quotes"),
        );
    }
    if let Some(rest) = word.strip_prefix('+') {
        return refuse(
            format!("`+` is no operator here: found `{word}`"),
            format!("terms side by side are all required: write {rest}"),
        );
    }
    if word.contains('*') {
        return refuse(
            format!("the wildcard in `{word}` is not there yet: expected a whole word"),
            "write its forms: (refund OR refunds OR refunded)".into(),
        );
    }
    if word.ends_with([',', ';']) {
        return refuse(
            format!("`{word}` ends in a comma or semicolon, which is no operator"),
            "write OR or AND between terms; to search for the sign itself, put it in quotes".into(),
        );
    }
    if word.chars().all(|c| c.is_ascii_punctuation()) {
        return refuse(
            format!("`{word}` is nothing but punctuation: expected a term"),
            format!("to search for exactly that, write \"{word}\""),
        );
    }
    None
}

/// Splits `name:value` and `name>number`; the second part keeps its sign. `None` for a plain word.
fn field_shape(word: &str) -> Option<(&str, &str)> {
    let sign = word.find([':', '>', '<', '='])?;
    let (name, rest) = word.split_at(sign);
    let looks_like_a_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    looks_like_a_name.then_some((name, rest))
}

/// Reads a field term; the mistake is what is wrong, and a hint.
fn read_field(name: &str, rest: &str, dialect: Dialect) -> Result<Field, (String, String)> {
    check_name(name, rest, dialect)?;
    if name == "followers" {
        return read_followers(rest);
    }
    let Some(value) = rest.strip_prefix(':') else {
        return Err((format!("expected `{name}:value`, found `{name}{rest}`"), String::new()));
    };
    if value.is_empty() {
        return Err((format!("expected a value after `{name}:`"), String::new()));
    }
    let wrong = |expected: &str| {
        Err((format!("expected {expected} after `{name}:`, found `{value}`"), String::new()))
    };
    match name {
        "lang" if is_language(value) => Ok(Field::Lang(value.to_ascii_lowercase())),
        "lang" => wrong("a language such as `en` or `pt-BR`"),
        "kind" => match KINDS.into_iter().find(|kind| kind.name() == value) {
            Some(kind) => Ok(Field::Kind(kind)),
            None => Err((
                format!("there is no kind `{value}`: expected {}", list(KINDS.map(Kind::name))),
                String::new(),
            )),
        },
        "network" if is_network(value) => Ok(Field::Network(value.to_owned())),
        "network" => wrong("a network's short name in lower case, such as `x`"),
        "account" => match value.strip_prefix('@').filter(|account| !account.is_empty()) {
            Some(account) => Ok(Field::Account(account.to_ascii_lowercase())),
            None => wrong("an account such as `@brandcare`"),
        },
        "verified" | "repost" => match value {
            "true" | "false" if name == "verified" => Ok(Field::Verified(value == "true")),
            "true" | "false" => Ok(Field::Repost(value == "true")),
            _ => wrong("`true` or `false`"),
        },
        "tag" => Ok(Field::Tag(value.to_owned())),
        _ => Category::from_name(value).map(Field::Category).ok_or_else(|| {
            let names = Category::ALL.map(Category::name);
            (format!("there is no category `{value}`: expected {}", list(names)), did_you_mean(value, names))
        }),
    }
}

fn check_name(name: &str, rest: &str, dialect: Dialect) -> Result<(), (String, String)> {
    if FIELDS.contains(&name) || (dialect == Dialect::Filter && FILTER_FIELDS.contains(&name)) {
        return Ok(());
    }
    if FILTER_FIELDS.contains(&name) {
        let what = format!(
            "`{name}:` is for workflow filters: a rule gives tags and a category, it cannot ask for them"
        );
        return Err((what, format!("use `{name}{rest}` in a [[filter]]")));
    }
    if FIELDS_LATER.contains(&name) {
        return Err((format!("the field `{name}` is not there yet"), String::new()));
    }
    let known = FIELDS.iter().chain(FILTER_FIELDS.iter().filter(|_| dialect == Dialect::Filter));
    let near = did_you_mean(name, known.copied());
    let quoted = || format!("to search for the text itself, write \"{name}{rest}\"");
    Err((format!("there is no field `{name}`"), if near.is_empty() { quoted() } else { near }))
}

fn read_followers(rest: &str) -> Result<Field, (String, String)> {
    for sign in [">=", "<=", ">", "<", "="] {
        let Some(digits) = rest.strip_prefix(sign) else { continue };
        let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let bounds = match (digits.parse::<u64>(), sign) {
            (Ok(limit), ">=") => Some((limit, u64::MAX)),
            (Ok(limit), "<=") => Some((0, limit)),
            (Ok(limit), ">") => limit.checked_add(1).map(|least| (least, u64::MAX)),
            (Ok(limit), "<") => limit.checked_sub(1).map(|most| (0, most)),
            (Ok(limit), _) => Some((limit, limit)),
            (Err(_), _) => None,
        };
        return match bounds.filter(|_| whole) {
            Some((least, most)) => Ok(Field::Followers(Bounds { least, most })),
            None => Err((
                format!("expected a whole number after `followers{sign}`, found `{digits}`"),
                "write it out, such as `followers>10000`".into(),
            )),
        };
    }
    let what = format!("expected `>`, `>=`, `<`, `<=` or `=` after `followers`, found `{rest}`");
    Err((what, "such as `followers>10000`".into()))
}

fn list<const N: usize>(names: [&str; N]) -> String {
    names.map(|name| format!("`{name}`")).join(", ")
}

/// The shape of a BCP 47 tag, as far as a filter needs it.
fn is_language(value: &str) -> bool {
    let mut parts = value.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether this can be a network's short name.
pub fn is_network(value: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    !value.is_empty() && value.len() <= 64 && value.bytes().all(allowed)
}
