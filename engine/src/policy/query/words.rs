//! Reads words and phrases as literals, wildcards included.
//!
//! Owns what may stand in a word and the least length of a wildcard's letters. Called by `lex` for queries and by
//! `policy::compile` for the terms of lists, so that a term means the same in both.

use super::lex::Wrong;
use super::{Edges, Form, dialect};
use crate::scan::Literal;
use crate::text::{is_unspaced, is_word};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// The longest word or phrase in bytes of its normal form: longer than any post that a person would look for whole.
pub const LITERAL_BYTES_MAX: usize = 2_000;
/// How many characters a `prefix*` has at least, its `@` or `#` not counted. One is enough in scripts without blanks.
pub const PREFIX_CHARS_MIN: usize = 3;
/// How many characters a `*suffix` has at least. One is enough in scripts without blanks.
pub const SUFFIX_CHARS_MIN: usize = 3;

/// A word as it stands in a query, without quotes.
pub fn read_word(word: &str, form: Form) -> Result<Literal, Wrong> {
    read(word, word, form)
}

/// What is wrong with a word that has a backslash; none for one that has none.
pub fn backslash(word: &str) -> Option<Wrong> {
    if !word.contains('\\') {
        return None;
    }
    let what = format!("`\\` in `{word}` escapes nothing: expected a plain word");
    // In quotes these stand for the sign; without its escape a `*` would be a wildcard.
    let mut plain = String::with_capacity(word.len());
    let mut characters = word.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some('"' | '*' | '\\')) => {
                plain.extend([Some(character), characters.next()].into_iter().flatten())
            }
            ('\\', _) => {}
            _ => plain.push(character),
        }
    }
    if plain.is_empty() {
        plain.push_str("\\\\");
    }
    Some((what, format!("signs are searched for in quotes: write \"{plain}\"")))
}

/// What stands between the quotes of a phrase.
pub fn read_phrase(phrase: &str, form: Form) -> Result<Literal, Wrong> {
    read(&phrase.split_whitespace().collect::<Vec<_>>().join(" "), phrase, form)
}

/// What is wrong with a term of a list, whichever rules name it.
pub fn check_list_term(term: &str) -> Result<(), Wrong> {
    // The default form is the first. What it leaves of a term every form leaves, and so only the length hangs on the form:
    // a text becomes 11 times as long at most (`Normaliser::normalise`).
    let forms = if term.len() * 11 > LITERAL_BYTES_MAX { Form::ALL.len() } else { 1 };
    Form::ALL[..forms].iter().try_for_each(|form| read_list_term(term, *form).map(|_| ()))
}

/// A term of a list: a word or a phrase, no quotes needed.
pub fn read_list_term(term: &str, form: Form) -> Result<Literal, Wrong> {
    let plain = term.trim();
    let first = plain.split_whitespace().next().unwrap_or_default();
    if plain.is_empty() {
        return Err(("the term is empty: expected a word or a phrase".into(), String::new()));
    }
    if plain.contains(['(', ')', '"']) || (plain.starts_with('/') && plain.len() > 1 && plain.ends_with('/'))
    {
        let what = format!("`{plain}` is a query: expected a word or a phrase, as it stands in the text");
        return Err((what, "a list has one term in each entry; combine lists in a rule's query".into()));
    }
    if let Some(operator) =
        plain.split_whitespace().find(|word| matches!(*word, "AND" | "OR" | "NOT" | "NEAR" | "ONEAR"))
    {
        let what = format!("the operator `{operator}` in `{plain}`: expected a word or a phrase");
        return Err((
            what,
            "a list has one term in each entry; write the word in lower case to search for it".into(),
        ));
    }
    if first.starts_with('$') && check_list_name(&first[1..]).is_ok() {
        let what = format!("`{plain}` names a list: expected a word or a phrase");
        return Err((what, "a list cannot hold another; name both in the query: ($one OR $other)".into()));
    }
    if let Some(wrong) = dialect::single_quotes_in_list(plain).or_else(|| Some(unknown_escape(plain)?.1)) {
        return Err(wrong);
    }
    read_phrase(plain, form)
}

/// The first backslash that escapes nothing: where it stands with what follows it, and what is wrong.
pub fn unknown_escape(text: &str) -> Option<(Range<usize>, Wrong)> {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character != '\\' {
            continue;
        }
        let escaped = characters.next().map(|(_, escaped)| escaped);
        if !matches!(escaped, Some('"' | '*' | '\\')) {
            let escaped = escaped.map(String::from).unwrap_or_default();
            let what = format!("`\\{escaped}` escapes nothing: expected `\\\"`, `\\*` or `\\\\`");
            let alone = if escaped.is_empty() { "leave it out".into() } else { format!("write {escaped}") };
            let hint = format!("{alone}; to search for the sign itself, write \\\\");
            return Some((at..at + 1 + escaped.len(), (what, hint)));
        }
    }
    None
}

/// Reads a text with wildcards at its ends. `\"`, `\*` and `\\` stand for the sign itself; other escapes have been refused.
fn read(text: &str, written: &str, form: Form) -> Result<Literal, Wrong> {
    let mut plain = String::with_capacity(text.len());
    // Where unescaped wildcards stand, in bytes of `plain`.
    let mut stars = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if matches!(characters.peek(), Some('"' | '*' | '\\')) => plain.extend(characters.next()),
            '*' => stars.push(plain.len()),
            other => plain.push(other),
        }
    }
    let edges = match stars[..] {
        [] => Edges::Whole,
        _ if plain.trim().is_empty() => {
            let what = format!("`{written}` matches everything: expected letters before or after `*`");
            return Err((what, "leave it out; to search for the sign, write \"\\*\"".into()));
        }
        [at] if at == plain.len() && !plain.ends_with(' ') => Edges::Prefix,
        [0] if !plain.starts_with(' ') => Edges::Suffix,
        _ => return Err(inner_wildcard(written, &plain)),
    };
    if plain.starts_with('＊') != plain.ends_with('＊') && !is_punctuation(&plain) {
        let what = format!("the full-width sign `＊` at an end of `{written}`");
        return Err((
            what,
            "write * for a wildcard; to search for the sign itself, write \\* in quotes".into(),
        ));
    }
    let (least, limit) = match edges {
        Edges::Suffix => (SUFFIX_CHARS_MIN, "SUFFIX_CHARS_MIN"),
        _ => (PREFIX_CHARS_MIN, "PREFIX_CHARS_MIN"),
    };
    let literal = Literal::of_term(&plain, form).ok_or_else(|| {
        let what = format!("nothing is left of `{plain}` after normalisation: expected a visible term");
        (what, String::new())
    })?;
    if literal.text.len() > LITERAL_BYTES_MAX {
        let start: String = written.chars().take(20).collect();
        let bytes = literal.text.len();
        let what =
            format!("`{start}…` has {bytes} bytes, the limit LITERAL_BYTES_MAX is {LITERAL_BYTES_MAX}");
        return Err((what, "a few words that only such texts have are enough".into()));
    }
    // Of what is looked for: characters that leave no trace in it do not count.
    let letters = literal.text.trim_start_matches(['@', '#']).chars();
    if edges != Edges::Whole && letters.clone().count() < least && !letters.clone().any(is_unspaced) {
        let what =
            format!("`{written}` is too short for a wildcard: the limit {limit} is {least} characters");
        return Err((what, "write the words that are meant: (tv OR tvs)".into()));
    }
    Ok(literal.with_edges(edges))
}

fn inner_wildcard(written: &str, plain: &str) -> Wrong {
    let one = one_star(written);
    if one.matches('*').count() == 1 && (one.starts_with('*') || one.ends_with('*')) && one != written {
        return (format!("several `*` in a row in `{written}`: expected one"), format!("write {one}"));
    }
    let what = format!("the wildcard in `{written}` stands neither at its end nor at its beginning");
    let words: Vec<&str> = written.split_whitespace().collect();
    let hint = match words[..] {
        [.., left, "*", right] => format!("for a word between, write {left} ONEAR/1 {right}"),
        [word] if word.starts_with('*') && word.ends_with('*') && !word.trim_matches('*').contains('*') => {
            let inside = escaped(plain);
            format!("for letters anywhere in a word, write a regular expression: /{inside}/")
        }
        [_] => {
            let pattern = pattern(&one, '*', "\\w*");
            format!("write a regular expression: {pattern}; for the sign itself, write \\* in quotes")
        }
        _ => "a phrase may have one at its end: \"broken scr*\"; for the sign itself, write \\*".to_owned(),
    };
    (what, hint)
}

/// The word with one star for several in a row.
fn one_star(word: &str) -> String {
    let mut one = String::with_capacity(word.len());
    for character in word.chars() {
        if character != '*' || !one.ends_with('*') {
            one.push(character);
        }
    }
    one
}

/// A word as a regular expression, with this in place of each `sign`.
pub fn pattern(word: &str, sign: char, instead: &str) -> String {
    let parts: Vec<String> = word.split(sign).map(escaped).collect();
    // Beside a sign such as `#` no word begins.
    let edge = |character: Option<char>| character.is_some_and(|c| c == sign || is_word(c));
    let (first, last) = (edge(word.chars().next()), edge(word.chars().next_back()));
    let border = |is_edge: bool| if is_edge { "\\b" } else { "" };
    format!("/{}{}{}/", border(first), parts.join(instead), border(last))
}

/// A text as a regular expression that finds it, with no more backslashes than it needs.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\.+*?()|[]{}^$/".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Whether a word has nothing but punctuation: no letter, digit, symbol or emoji.
pub fn is_punctuation(word: &str) -> bool {
    static PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| {
        let signs = r"^[[[:punct:]]\p{P}--[\p{Emoji}--[[:punct:]]]]+$";
        Regex::new(signs).expect("invariant: properties of Unicode")
    });
    PUNCTUATION.is_match(word)
}

/// What is said of a word of signs.
pub fn punctuation(word: &str) -> Wrong {
    let what = format!("`{word}` is nothing but punctuation: expected a term");
    (what, format!("to search for exactly that, write \"{word}\""))
}

/// Whether this can be the name of a list, without its `$`.
pub fn check_list_name(name: &str) -> Result<(), Wrong> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let bytes = name.as_bytes();
    let last = bytes.last().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if bytes.first().is_some_and(u8::is_ascii_lowercase) && last && bytes.iter().all(|&b| allowed(b)) {
        return Ok(());
    }
    let what = format!("expected the name of a list after `$`, found `${name}`");
    let shown = if bytes.first().is_some_and(u8::is_ascii_digit) { "an amount" } else { "a cashtag" };
    Err((what, format!("{shown} is written in quotes: \"${name}\"")))
}
