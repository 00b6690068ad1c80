//! What a text holds beside its words: links, handles, hashtags, emoji, personal data.
//!
//! Owns the definitions that `has:` asks for, over the text as the author wrote it. May not allocate or keep
//! anything; every answer takes time linear in the text. Called by the evaluation of rules, for those that ask.

use super::pii::find_pii;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What a text may hold beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Feature {
    /// A web address: `http://`, `https://` or `www.` and something after it.
    Link,
    /// An `@` and a letter, digit or `_` after it, and none before it.
    Mention,
    /// A `#` and a word with a letter after it, and no word or `&` before it.
    Hashtag,
    /// An emoji, also one that is written as text (`❤`), a flag or a keycap; but not `©`, `™` or a bare digit.
    Emoji,
    /// Personal data, as `signals::pii` finds it.
    Pii,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Feature; 5] =
        [Feature::Link, Feature::Mention, Feature::Hashtag, Feature::Emoji, Feature::Pii];

    /// The name in queries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Feature::Link => "link",
            Feature::Mention => "mention",
            Feature::Hashtag => "hashtag",
            Feature::Emoji => "emoji",
            Feature::Pii => "pii",
        }
    }

    /// Whether the text, as written, holds it.
    #[must_use]
    pub fn is_in(self, text: &str) -> bool {
        match self {
            Feature::Link => LINK.is_match(text),
            Feature::Mention => text.contains(['@', '＠']) && MENTION.is_match(text),
            Feature::Hashtag => text.contains(['#', '＃']) && HASHTAG.is_match(text),
            // A keycap is the only emoji that begins in ASCII, and it ends beyond.
            Feature::Emoji => !text.is_ascii() && EMOJI.is_match(text),
            Feature::Pii => {
                let mut found = Vec::new();
                find_pii(text, &mut found);
                !found.is_empty()
            }
        }
    }
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("invariant: a pattern of this file compiles")
}

static LINK: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)\bhttps?://[^\s/]|\bwww\.[\p{L}\p{N}]"));
static MENTION: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?:^|[^\p{L}\p{N}_])[@＠][\p{L}\p{N}_]"));
static HASHTAG: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?:^|[^\p{L}\p{N}_&])[#＃][\p{M}\p{N}_]*\p{L}"));
static EMOJI: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r"\p{Emoji_Presentation}|\p{Extended_Pictographic}\x{FE0F}|[0-9#*]\x{FE0F}?\x{20E3}",
        r"|[\p{Extended_Pictographic}&&[\x{2600}-\x{10FFFF}]]"
    ))
});

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&'static str> {
        Feature::ALL.into_iter().filter(|feature| feature.is_in(text)).map(Feature::name).collect()
    }

    #[test]
    fn what_a_text_holds_beside_its_words_is_found() {
        for (text, expected) in [
            ("my tv is broken", &[][..]),
            ("see https://t.co/abc", &["link"]),
            ("HTTP://example.com", &["link"]),
            ("www.example.com", &["link"]),
            ("https:// and www. alone", &[]),
            ("hey @united!", &["mention"]),
            ("@", &[]),
            ("mail me: jane@example.com", &["pii"]),
            ("so #late", &["hashtag"]),
            ("＃遅延", &["hashtag"]),
            ("we are #1", &[]),
            ("it&#39;s", &[]),
            ("#2fast", &["hashtag"]),
            ("so 😡", &["emoji"]),
            ("👍🏽", &["emoji"]),
            ("🇩🇪", &["emoji"]),
            ("❤", &["emoji"]),
            ("press 1️⃣", &["emoji"]),
            ("© 2026 Brand™ 1", &[]),
            ("停电", &[]),
            ("card 4111 1111 1111 1111", &["pii"]),
            ("", &[]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
