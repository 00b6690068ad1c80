//! What other search languages write, said in this one.
//!
//! Owns the hints for the words of Twitter, Lucene, Elasticsearch and Brandwatch-like tools that mean nothing, or
//! something else, here; `foreign_fields` has those for fields. What means the same is read where it belongs. Called by `lex`.

use super::lex::Wrong;
use super::words;

const TYPOGRAPHIC_QUOTES: [char; 14] =
    ['“', '”', '„', '‟', '«', '»', '‹', '›', '＂', '「', '」', '『', '』', '〝'];

fn wrong(what: String, hint: impl Into<String>) -> Option<Wrong> {
    Some((what, hint.into()))
}

const SINGLE_QUOTES: [char; 4] = ['\'', '‘', '’', '‚'];

/// The bytes of a text in single quotes that `rest` begins with, its quotes among them. An apostrophe that nothing closes, as
/// in `'90s`, is part of its word.
pub fn single_quoted(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix(SINGLE_QUOTES)?;
    let start = rest.len() - inside.len();
    let inside = &inside[..inside.find(['(', ')', '"']).unwrap_or(inside.len())];
    let mut before = ' ';
    for (at, character) in inside.char_indices() {
        let end = at + character.len_utf8();
        let ends = inside[end..].chars().next().is_none_or(char::is_whitespace);
        if SINGLE_QUOTES.contains(&character) && ends && !before.is_whitespace() {
            return Some(start + end);
        }
        before = character;
    }
    None
}

/// What is wrong with a text in single quotes.
pub fn single_quotes(quoted: &str) -> Wrong {
    let plain = quoted.trim_matches(SINGLE_QUOTES);
    let what = format!("single quotes around `{plain}`");
    (what, format!("write double quotes: \"{plain}\"; to search for the signs too, write \"{quoted}\""))
}

/// The same of a term of a list, which needs no quotes at all.
pub fn single_quotes_in_list(term: &str) -> Option<Wrong> {
    let quoted = single_quoted(term).is_some_and(|length| length == term.len());
    let (what, _) = quoted.then(|| single_quotes(term))?;
    let plain = term.trim_matches(SINGLE_QUOTES);
    wrong(what, format!("write {plain}; to search for the signs too, name \"{term}\" in a query"))
}

/// What is wrong with a word that another language understands; none for a plain word.
pub fn foreign_word(word: &str) -> Option<Wrong> {
    foreign_operator(word).or_else(|| glued_operator(word)).or_else(|| foreign_mark(word))
}

/// An operator without a blank between it and a word. `ROAR` ends in no operator: of words in capitals only what has the
/// distance of a NEAR does.
fn glued_operator(word: &str) -> Option<Wrong> {
    if let Some(operators) = joined_operators(word) {
        let what = format!("`{word}` is no operator here");
        return wrong(what, format!("write {operators}; to search for the text itself, write \"{word}\""));
    }
    let (before, operator, after) = glued_near(word).or_else(|| glued_junction(word))?;
    let what = format!("the operator `{operator}` inside `{word}`: expected blanks around it");
    // `NOT -ad` would be `ad`; some write `<NEAR/3>`.
    let after =
        if operator == "NOT" { after.trim_start_matches(['-', '!']) } else { after.trim_start_matches('>') };
    let before = before.trim_end_matches('<');
    let apart = [before, operator, after].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let hint = format!("write {}; to search for the text itself, write \"{word}\"", apart.join(" "));
    wrong(what, hint)
}

/// Two operators in one word, or one in brackets, as they are written here.
fn joined_operators(word: &str) -> Option<&'static str> {
    let bracketed = word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    Some(match bracketed.map(str::to_ascii_uppercase).as_deref().unwrap_or(word) {
        "AND" if bracketed.is_some() => "AND",
        "OR" if bracketed.is_some() => "OR",
        "NOT" if bracketed.is_some() => "NOT",
        "ANDNOT" | "AND-NOT" | "AND_NOT" | "BUTNOT" => "AND NOT",
        "ORNOT" | "OR-NOT" | "OR_NOT" => "OR NOT",
        _ => return None,
    })
}

/// `tvNEAR/2` in three parts.
fn glued_near(word: &str) -> Option<(&str, &str, &str)> {
    let near = word.find("NEAR/")?;
    let digits = near + "NEAR/".len();
    let end = word[digits..].find(|c: char| !c.is_ascii_digit()).map_or(word.len(), |length| digits + length);
    let start = if word[..near].ends_with('O') { near - 1 } else { near };
    (end > digits).then(|| (&word[..start], &word[start..end], &word[end..]))
}

/// `tvOR`, `NOTtv`, `tvORradio` and `NOT#tv` in three parts. Handles, hashtags and addresses end as they please.
fn glued_junction(word: &str) -> Option<(&str, &str, &str)> {
    let is_plain = !word.starts_with(['@', '#', '$']);
    let is_inner = is_plain && !word.contains('/');
    ["AND", "OR", "NOT"].into_iter().find_map(|operator| {
        let after =
            word.strip_prefix(operator).filter(|after| after.starts_with(is_beside) || is_term(after));
        let before = word.strip_suffix(operator).filter(|before| is_plain && before.ends_with(is_beside));
        let inside = || {
            let at = word.find(operator).filter(|at| is_inner && word[..*at].ends_with(is_beside))?;
            let after = &word[at + operator.len()..];
            after.starts_with(is_beside).then(|| (&word[..at], operator, after))
        };
        match (before, after) {
            (Some(before), _) => Some((before, operator, "")),
            (None, Some(after)) => Some(("", operator, after)),
            (None, None) => inside(),
        }
    })
}

/// Whether a character beside capitals is of another word: a letter that is none, or an emoji.
fn is_beside(character: char) -> bool {
    match character.is_alphanumeric() {
        true => character.is_alphabetic() && !character.is_uppercase(),
        false => !character.is_ascii() && !words::is_punctuation(character.encode_utf8(&mut [0; 4])),
    }
}

/// Whether what stands right behind an operator begins as a term does: `-ad`, `#ad`, `@united`, `$products`, `/ad/`.
fn is_term(after: &str) -> bool {
    let is_regex = after.len() > 2 && after.starts_with('/') && after.ends_with('/');
    is_regex || after.starts_with(['-', '+', '!', '#', '@', '$']) && after.contains(char::is_alphanumeric)
}

/// Distances as other tools write them: `NEAR3`, `NEAR-3`, `W/3`, `PRE/3`. In lower case they are words.
pub fn foreign_distance(word: &str) -> Option<Wrong> {
    let letters = word.find(|c: char| !c.is_ascii_uppercase())?;
    let (name, rest) = word.split_at(letters);
    let (operator, signs) = match name {
        "NEAR" | "WITHIN" => ("NEAR", &["", "-", "_", "~", "=", ":", "/"][..]),
        "ONEAR" | "ADJ" => ("ONEAR", &["", "-", "_", "~", "=", ":", "/"][..]),
        "W" | "N" => ("NEAR", &["/"][..]),
        "PRE" => ("ONEAR", &["/"][..]),
        _ => return None,
    };
    let digits =
        signs.iter().filter_map(|sign| rest.strip_prefix(sign)).find(|digits| is_whole_number(digits))?;
    let what = format!("`{word}` is no distance here: expected `{operator}/{digits}`");
    let hint = format!("write {operator}/{digits}; to search for the text itself, write \"{word}\"");
    wrong(what, hint)
}

/// Words that join others elsewhere, and quotes that are none.
fn foreign_operator(word: &str) -> Option<Wrong> {
    let upper = word.to_ascii_uppercase();
    if matches!(upper.as_str(), "AND" | "OR" | "NOT") {
        let what = format!("operators are written in capitals: found `{word}`");
        return wrong(what, format!("write {upper}; to search for the word, write \"{word}\""));
    }
    if word.contains(TYPOGRAPHIC_QUOTES) {
        return wrong(format!("typographic quotes in `{word}`"), "write straight quotes: \"…\"");
    }
    for (sign, operator) in [("&", "AND"), ("|", "OR")] {
        let Some(rest) = word.strip_prefix(sign) else { continue };
        let instead = if rest.is_empty() { operator.to_owned() } else { format!("{operator} {rest}") };
        let hint = format!("write {instead}; to search for the sign itself, put it in quotes");
        return wrong(format!("`{sign}` is no operator here: found `{word}`"), hint);
    }
    for (sign, operator) in [("&&", "AND"), ("||", "OR")] {
        if let Some((left, right)) = word.split_once(sign) {
            let hint =
                format!("write {left} {operator} {right}; to search for the text itself, put it in quotes");
            return wrong(format!("`{sign}` inside `{word}`: expected blanks around an operator"), hint);
        }
    }
    if let Some((left, right)) = word.split_once('|')
        && left.ends_with(char::is_alphanumeric)
        && right.starts_with(char::is_alphanumeric)
    {
        let instead = format!("({})", word.replace('|', " OR "));
        let hint = format!("write {instead}; to search for the text itself, write \"{word}\"");
        return wrong(format!("`|` is no operator here: found `{word}`"), hint);
    }
    None
}

/// Marks at a word that change what it finds elsewhere.
fn foreign_mark(word: &str) -> Option<Wrong> {
    if let Some(distance) = word.strip_prefix('~') {
        return wrong(format!("`{word}` after a group: {PROXIMITY}"), group_distance(distance));
    }
    if let Some(boosted) = word.strip_prefix('^').filter(|rest| is_number(rest)) {
        return wrong(format!("`^{boosted}` raises a score: rules match or not, and have none"), BOOST);
    }
    if let Some((plain, edits)) = word.rsplit_once('~')
        && (edits.is_empty() || is_number(edits))
    {
        let what = format!("`{word}` is a fuzzy search: expected the word itself");
        return wrong(
            what,
            format!("write the forms and misspellings that are meant: ({plain} OR …), or {plain}*"),
        );
    }
    if let Some((plain, boost)) = word.rsplit_once('^')
        && is_number(boost)
    {
        let what = format!("`^{boost}` in `{word}` raises a score: rules match or not, and have none");
        return wrong(what, format!("write {plain}; a rule's `priority` orders its cases"));
    }
    if word.starts_with(['{', '[', '}', ']']) {
        let what = format!("`{word}` begins no term: expected a word, a phrase, a field or `(`");
        return wrong(
            what,
            "for capitals that count, give the rule case = \"exact\"; a range follows a field: \
            followers:[1000 TO *]; to search for the sign itself, put it in quotes",
        );
    }
    if word.contains('?') && !words::is_punctuation(word) {
        let plain = word.trim_end_matches('?');
        let what = format!("`?` in `{word}` is no wildcard: expected a plain word");
        let hint = match plain.contains('?') {
            true => {
                format!("for one character, write a regular expression: {}", words::pattern(word, '?', "\\w"))
            }
            false => format!("write {plain} or {plain}*; to search for the sign itself, write \"{word}\""),
        };
        return wrong(what, hint);
    }
    if word.ends_with([',', ';', '，', '、', '；', '،', '؛']) {
        let what = format!("`{word}` ends in a comma or semicolon, which is no operator");
        return wrong(what, "write OR or AND between terms; to search for the sign itself, put it in quotes");
    }
    // A lone star is no sign but a wildcard without letters.
    if words::is_punctuation(word) && !word.contains('*') {
        return Some(words::punctuation(word));
    }
    None
}

const PROXIMITY: &str = "distances are written between words";
const BOOST: &str = "leave it out; a rule's `priority` orders its cases";

fn group_distance(distance: &str) -> String {
    let distance = if is_number(distance) { distance } else { "5" };
    format!("write (this OR that) NEAR/{distance} (one OR other)")
}

/// What is wrong with what stands right behind a phrase; none for what no language writes.
pub fn after_phrase(phrase: &str, after: &str) -> Option<Wrong> {
    if let Some(distance) = after.strip_prefix('~') {
        let distance = if is_number(distance) { distance } else { "5" };
        let what = format!("`{after}` after a phrase: {PROXIMITY}");
        let words: Vec<&str> = phrase.split_whitespace().collect();
        let hint = match words[..] {
            [left, right] => format!("write {left} NEAR/{distance} {right}"),
            _ => format!("write word NEAR/{distance} word, in pairs"),
        };
        return wrong(what, hint);
    }
    if after.starts_with('^') {
        return wrong(format!("`{after}` raises a score: rules match or not, and have none"), BOOST);
    }
    if after.starts_with('*') {
        let what = "the wildcard stands behind the quote: expected it inside".to_owned();
        return wrong(what, format!("write \"{phrase}*\""));
    }
    None
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_whole_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
