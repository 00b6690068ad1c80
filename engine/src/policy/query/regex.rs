//! Regular expressions in queries: linear time only, and inside named limits.
//!
//! Owns the one way in which a pattern is read and compiled, so that what the check accepts is what runs. Called by
//! `lex` (to check) and by `policy::program` (to run).

use super::lex::Wrong;
use super::tree::Pattern;
use super::{Case, Form};
use crate::text::{Accents, normalise_term};
use regex::{Regex, RegexBuilder};
use unicode_normalization::char::is_combining_mark;

/// The longest pattern, in bytes, without its slashes.
pub const REGEX_BYTES_MAX: usize = 512;
/// The memory that one compiled pattern may take, in bytes. The `regex` crate's own limit is ten times that.
pub const REGEX_COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// How many different patterns one policy may have: each costs time for every mention whose rules ask for it.
pub const REGEX_PER_POLICY_MAX: usize = 200;

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it, by the library's own words.
pub fn compile(pattern: &Pattern) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&pattern.text)
        .case_insensitive(pattern.form.case == Case::Ignore)
        .size_limit(REGEX_COMPILED_BYTES_MAX)
        .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
        .build()
}

/// Whether the pattern matches in a form of a text. Each line is a text of its own, as for literals: `^` and `$` are its
/// ends, and no match goes from the text into the words of a hashtag.
pub fn matches(regex: &Regex, form: &str) -> bool {
    form.split('\n').any(|line| regex.is_match(line))
}

/// Reads what stands between the slashes: a pattern for the form of the text that it is run over.
pub fn read(written: &str, form: Form) -> Result<Pattern, Wrong> {
    if written.is_empty() {
        let hint = "to search for slashes, put them in quotes";
        return Err((
            "the regular expression is empty: expected a pattern between the slashes".into(),
            hint.into(),
        ));
    }
    if written.len() > REGEX_BYTES_MAX {
        let what = format!(
            "the regular expression has {} bytes, the limit REGEX_BYTES_MAX is {REGEX_BYTES_MAX}",
            written.len()
        );
        return Err((what, "write its words with OR, or a list: $name".into()));
    }
    let text = fold(&written.replace("\\/", "/"), form)?;
    let pattern = Pattern { text, form };
    let regex = compile(&pattern).map_err(|error| told(written, &error))?;
    if regex.is_match("") {
        let what = format!("`/{written}/` matches the empty text, and so every text");
        return Err((what, "ask for one character at least: `+` in place of `*`".into()));
    }
    Ok(pattern)
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

/// Gives the letters of a pattern the form that the text has: an `é` where accents are ignored is an `e`.
fn fold(pattern: &str, form: Form) -> Result<String, Wrong> {
    if pattern.is_ascii() {
        return Ok(pattern.to_owned());
    }
    let mut out = String::with_capacity(pattern.len());
    let characters: Vec<char> = pattern.chars().collect();
    let (mut at, mut class) = (0, 0_usize);
    while let Some(&character) = characters.get(at) {
        let next = characters.get(at + 1).copied();
        at += 1;
        match character {
            '\\' => {
                out.push(character);
                out.extend(next);
                at += 1;
            }
            '[' => {
                class += 1;
                out.push(character);
            }
            ']' => {
                class = class.saturating_sub(1);
                out.push(character);
            }
            _ if character.is_ascii() && !next.is_some_and(is_combining_mark) => out.push(character),
            _ if class == 0 => {
                let mut letter = String::from(character);
                while let Some(&mark) = characters.get(at).filter(|mark| is_combining_mark(**mark)) {
                    letter.push(mark);
                    at += 1;
                }
                let folded = regex::escape(&normalise_term(&letter, form));
                match folded.chars().count() {
                    0 | 1 => out.push_str(&folded),
                    _ => out.push_str(&format!("(?:{folded})")),
                }
            }
            _ => {
                let beside_range = next == Some('-') || (at >= 2 && characters[at - 2] == '-');
                out.push_str(&fold_in_class(character, beside_range, form)?);
            }
        }
    }
    Ok(out)
}

fn fold_in_class(character: char, beside_range: bool, form: Form) -> Result<String, Wrong> {
    let folded = normalise_term(character.encode_utf8(&mut [0; 4]), form);
    let lower: String = character.to_lowercase().collect();
    let same_letter = folded == lower || folded.chars().eq([character]);
    let one = folded.chars().count() == 1;
    if one && (same_letter || !beside_range) {
        return Ok(regex::escape(&folded));
    }
    let what = format!(
        "`{character}` inside `[…]` cannot be looked for: the text that is searched has `{folded}` in its place"
    );
    let hint = match form.accents {
        Accents::Ignore => {
            format!("write (…|{folded}) outside of the brackets, or give the rule accents = \"exact\"")
        }
        Accents::Exact => format!("write (…|{folded}) outside of the brackets"),
    };
    Err((what, hint))
}
