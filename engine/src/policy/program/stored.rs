//! Regular expressions as a policy stores them: by what they were compiled from.
//!
//! Owns nothing but that form. May not check what it reads beyond what compiling does: whoever stores a policy sees to it
//! that it comes back as it was. Called by serde for `RulePrograms`.

use crate::policy::query::Pattern;
use crate::policy::query::regex::Compiled;
use crate::text::Form;
use serde::de::Error as _;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(
    patterns: &[(Compiled, Form)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(patterns.len()))?;
    for (regex, form) in patterns {
        list.serialize_element(&Pattern { text: regex.as_str().to_owned(), form: *form })?;
    }
    list.end()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(Compiled, Form)>, D::Error> {
    let patterns: Vec<Pattern> = Vec::deserialize(deserializer)?;
    let compile = |pattern: &Pattern| Ok((Compiled::new(pattern).map_err(D::Error::custom)?, pattern.form));
    patterns.iter().map(compile).collect()
}
