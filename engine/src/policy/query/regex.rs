//! Regular expressions in queries: linear time only, and inside named limits.
//!
//! Owns the one way in which a pattern is compiled, so that what the check accepts is what runs. Called by `parse` (to
//! check) and by `policy::program` (to run).

use super::tree::Pattern;
use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes, without its slashes.
pub const REGEX_BYTES_MAX: usize = 512;
/// The memory that one compiled pattern may take, in bytes. The limit of the `regex` crate is ten times that.
pub const REGEX_COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// How many different patterns one policy may have: each is run over every mention whose rules ask for it.
pub const REGEX_PER_POLICY_MAX: usize = 200;

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it, by the library's own words.
pub fn compile(pattern: &Pattern) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&pattern.text)
        .case_insensitive(true)
        .size_limit(REGEX_COMPILED_BYTES_MAX)
        .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
        .build()
}

/// Whether the pattern matches in a form of a text. Each line is a text of its own, as for literals: `^` and `$` are its
/// ends, and no match goes from the text into the words of a hashtag.
pub fn matches(regex: &Regex, form: &str) -> bool {
    form.split('\n').any(|line| regex.is_match(line))
}
