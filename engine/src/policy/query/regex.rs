//! Regular expressions in queries: linear time only, and inside named limits.
//!
//! Owns the one way in which a pattern is read and compiled, so that what the check accepts is what runs. Whether it can
//! match at all is found by `possible`. Called by `lex` (to check), by `policy::program` (to run) and by the lints.

mod compiled;
mod possible;
mod required;

pub use compiled::Compiled;
pub use possible::Dead;
#[cfg(test)]
pub use possible::is_normal;
pub use required::required;

use super::lex::Wrong;
use super::tones::{has_tone, is_person};
use super::tree::Pattern;
use super::{Case, Form};
use crate::text::{Accents, normalise_term};
use possible::{Instead, dead_parts};
use regex_automata::{meta, util::syntax};
use std::ops::Range;
use unicode_normalization::char::is_combining_mark;

/// The longest pattern, in bytes, without its slashes.
pub const REGEX_BYTES_MAX: usize = 512;
/// The memory that one compiled pattern may take, in bytes. The `regex` crate's own limit is ten times that.
pub const REGEX_COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// How many different patterns one policy may have: each costs time for every mention whose rules ask for it.
pub const REGEX_PER_POLICY_MAX: usize = 200;

/// The memory that a compiled pattern takes, in bytes, with what each of so many threads needs to run it before it has
/// seen a text. As it sees texts a thread may take up to `REGEX_COMPILED_BYTES_MAX` more for each direction in which
/// the pattern is run; ordinary patterns take a few KiB.
pub fn bytes(pattern: &str, form: Form, threads: usize) -> usize {
    let syntax = syntax::Config::new().case_insensitive(form.case == Case::Ignore);
    let limit = Some(REGEX_COMPILED_BYTES_MAX);
    let config = meta::Config::new().nfa_size_limit(limit).hybrid_cache_capacity(REGEX_COMPILED_BYTES_MAX);
    // As `regex` itself builds it.
    let one = |pattern: &str, syntax| {
        let regex = meta::Builder::new().configure(config.clone()).syntax(syntax).build(pattern);
        regex.map_or(0, |regex| regex.memory_usage() + threads * regex.create_cache().memory_usage())
            + pattern.len()
    };
    let rest = compiled::rest(pattern, form).flatten();
    one(pattern, syntax) + rest.map_or(0, |rest| one(&rest, syntax::Config::new()))
}

/// What is wrong with a pattern, and which of its bytes if it is not the whole.
pub type WrongPattern = (Option<Range<usize>>, Wrong);

/// Reads what stands between the slashes: a pattern for the form of the text that it is run over.
pub fn read(written: &str, form: Form) -> Result<Pattern, WrongPattern> {
    let whole = |wrong| (None, wrong);
    if written.is_empty() {
        let hint = "to search for slashes, put them in quotes";
        return Err(whole((
            "the regular expression is empty: expected a pattern between the slashes".into(),
            hint.into(),
        )));
    }
    if written.len() > REGEX_BYTES_MAX {
        let what = format!(
            "the regular expression has {} bytes, the limit REGEX_BYTES_MAX is {REGEX_BYTES_MAX}",
            written.len()
        );
        return Err(whole((what, "write its words with OR, or a list: $name".into())));
    }
    let folded = Folded::new(written, form).map_err(whole)?;
    let pattern = Pattern { text: folded.text.clone(), form };
    let regex = Compiled::new(&pattern).map_err(|error| whole(told(written, &error)))?;
    if regex.matches("") {
        let what = format!("`/{written}/` matches the empty text, and so every text");
        return Err(whole((what, "ask for one character at least: `+` in place of `*`".into())));
    }
    match dead_parts(&folded.text, form) {
        Ok(_) => Ok(pattern),
        Err(dead) => {
            let what = format!("`/{written}/` can never match: {}", dead.why);
            Err((Some(folded.written(&dead.at)), (what, dead.hint)))
        }
    }
}

/// The parts of a pattern, as it is written with its slashes, that can never match while others can. Their places are
/// bytes of what is written.
pub fn impossible_parts(written: &str, form: Form) -> Vec<Dead> {
    let inside = written.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let Some(folded) = inside.and_then(|inside| Folded::new(inside, form).ok()) else { return Vec::new() };
    let parts = dead_parts(&folded.text, form).unwrap_or_default();
    let place = |dead: Dead| {
        let at = folded.written(&dead.at);
        Dead { at: at.start + 1..at.end + 1, ..dead }
    };
    parts.into_iter().map(place).collect()
}

/// What the library says, in our words where people come from engines that go back.
fn told(written: &str, error: &regex::Error) -> Wrong {
    if let regex::Error::CompiledTooBig(limit) = error {
        let what = format!(
            "`/{written}/` takes too much memory: the limit REGEX_COMPILED_BYTES_MAX is {limit} bytes"
        );
        return (what, "counted repetitions such as {1,100} multiply: write + or smaller counts".into());
    }
    let said = error.to_string();
    let said = said.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or(said.trim());
    if said.contains("look-around") {
        let what =
            format!("look-ahead and look-behind in `/{written}/`: they cannot be served in linear time");
        return (what, "write two terms: /this/ AND NOT /that/, or a NEAR/n b".into());
    }
    if said.contains("backreference") {
        let what = format!("a back-reference in `/{written}/`: it cannot be served in linear time");
        return (what, "write out what may be repeated: (ha){2,} for `haha`".into());
    }
    (format!("`/{written}/` is no regular expression: {said}"), "docs/rules.md names its syntax".into())
}

/// A pattern whose letters have the form that the text has: an `é` where accents are ignored is an `e`.
struct Folded {
    text: String,
    /// For each byte of the text where its character is written, and where the pattern ends.
    places: Vec<usize>,
}

impl Folded {
    fn new(written: &str, form: Form) -> Result<Folded, Wrong> {
        let mut folded = Folded { text: String::with_capacity(written.len()), places: Vec::new() };
        let characters: Vec<(usize, char)> = written.char_indices().collect();
        let character_at = |at: usize| characters.get(at).map(|(_, character)| *character);
        let (mut at, mut class) = (0, 0_usize);
        let asks_tone = has_tone(written);
        while let Some(&(place, character)) = characters.get(at) {
            let next = character_at(at + 1);
            at += 1;
            match character {
                '\\' => {
                    if next != Some('/') {
                        folded.push("\\", place);
                    }
                    if let Some(escaped) = next {
                        folded.push(escaped.encode_utf8(&mut [0; 4]), place);
                    }
                    at += 1;
                    continue;
                }
                '[' => class += 1,
                ']' => class = class.saturating_sub(1),
                _ => {}
            }
            if character.is_ascii() && !next.is_some_and(is_combining_mark) {
                folded.push(character.encode_utf8(&mut [0; 4]), place);
            } else if class > 0 {
                let beside_range = next == Some('-') || (at >= 2 && character_at(at - 2) == Some('-'));
                folded.push(&fold_in_class(character, beside_range, form)?, place);
            } else {
                let mut letter = String::from(character);
                while let Some(mark) = character_at(at).filter(|mark| is_combining_mark(*mark)) {
                    letter.push(mark);
                    at += 1;
                }
                let letter = fold_letter(&letter, form);
                match is_person(&letter) && !asks_tone {
                    true => folded.push(&format!("(?:{letter}[\u{1f3fb}-\u{1f3ff}]?)"), place),
                    false => folded.push(&letter, place),
                }
            }
        }
        folded.places.push(written.len());
        Ok(folded)
    }

    fn push(&mut self, text: &str, place: usize) {
        self.text.push_str(text);
        self.places.resize(self.text.len(), place);
    }

    /// Where a part of the text is written.
    fn written(&self, part: &Range<usize>) -> Range<usize> {
        self.places[part.start]..self.places[part.end]
    }
}

/// A letter with its marks, outside of brackets.
fn fold_letter(letter: &str, form: Form) -> String {
    let folded = regex::escape(&normalise_term(letter, form));
    match folded.chars().count() {
        0 if letter.chars().all(char::is_whitespace) => " ".to_owned(),
        0 | 1 => folded,
        _ => format!("(?:{folded})"),
    }
}

/// A character inside of brackets.
fn fold_in_class(character: char, beside_range: bool, form: Form) -> Result<String, Wrong> {
    let folded = match Instead::of(character, form) {
        Instead::Nothing => String::new(),
        Instead::Blank => " ".to_owned(),
        Instead::Text(text) => text,
    };
    let lower: String = character.to_lowercase().collect();
    let same_letter = folded == lower || folded.chars().eq([character]);
    let one = folded.chars().count() == 1;
    if one && (same_letter || !beside_range) {
        return Ok(regex::escape(&folded));
    }
    let instead = Instead::of(character, form);
    let what = format!(
        "`{character}` inside `[…]` cannot be looked for: the text that is searched has {instead} in its place"
    );
    let outside = match instead {
        Instead::Text(_) => format!("write (…|{folded}) outside of the brackets"),
        _ => "leave it out".to_owned(),
    };
    let hint = match form.accents {
        Accents::Ignore if !folded.is_empty() => format!("{outside}, or give the rule accents = \"exact\""),
        _ => outside,
    };
    Err((what, hint))
}
