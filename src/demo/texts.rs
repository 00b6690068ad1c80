//! The real texts that the demo sends, as they ship in demo/mentions (NOTICE names their sources).
//!
//! Owns reading them from the file that is part of the program, so that the demo needs no file at run time.

use serde::Deserialize;

/// One line of the file: a real text, handles replaced by `@user`, foreign links by `link`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Text {
    /// Which set it came from.
    #[serde(rename = "from")]
    pub origin: Origin,
    /// What it says.
    pub text: String,
}

/// The sets, by what their texts are to a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Origin {
    /// Questions and complaints of a bank's customers.
    #[serde(rename = "banking77")]
    Banking,
    /// Public complaints to brands on Twitter.
    #[serde(rename = "ibm")]
    Brands,
    /// Tweets about other things.
    #[serde(rename = "crisislex")]
    Chatter,
    /// Japanese tweets.
    #[serde(rename = "twitter_json")]
    Japanese,
    /// Advertising by text message.
    #[serde(rename = "sms_spam")]
    Spam,
}

impl Origin {
    /// Whether nobody has to answer such a text.
    #[must_use]
    pub fn is_noise(self) -> bool {
        matches!(self, Origin::Chatter | Origin::Japanese | Origin::Spam)
    }
}

/// Every text that ships.
///
/// # Panics
/// Never in a build that passed its tests: the file is part of the program.
#[must_use]
pub fn texts() -> Vec<Text> {
    let lines = include_str!("../../demo/mentions/texts.ndjson").lines();
    lines.map(|line| serde_json::from_str(line).expect("invariant: the shipped texts can be read")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_that_ship_are_many_distinct_and_name_nobody() {
        let texts = texts();
        assert!(texts.len() >= 2_500, "{}", texts.len());
        let distinct: std::collections::BTreeSet<_> =
            texts.iter().map(|text| text.text.to_lowercase()).collect();
        assert_eq!(distinct.len(), texts.len());
        for text in &texts {
            let handles = text.text.match_indices('@').map(|(at, _)| &text.text[at + 1..]);
            // "@ " and "@ McDonald's" are places, not handles.
            for handle in
                handles.filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
            {
                assert!(handle.starts_with("user"), "a handle is left in: {}", text.text);
            }
        }
        assert!(texts.iter().any(|text| text.origin.is_noise()));
        assert!(texts.iter().any(|text| !text.origin.is_noise()));
    }
}
