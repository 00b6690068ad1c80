//! Emoji in all skin tones: a query without a tone finds every tone.
//!
//! Owns which other spellings a literal has. A tone stands behind the person, so `👍` is found in `👍🏽` without help; where
//! more follows the person (`👩‍💻`, `🙏 thanks`) each tone is a text of its own to look for, and in a pattern a tone may stand
//! behind each person. Called when a policy is compiled, and by `why`.

use regex::Regex;
use std::sync::LazyLock;

/// The Fitzpatrick tones of Unicode, U+1F3FB to U+1F3FF.
const TONES: [char; 5] = ['\u{1f3fb}', '\u{1f3fc}', '\u{1f3fd}', '\u{1f3fe}', '\u{1f3ff}'];

/// How many persons of a literal are looked for each in every tone: the two of a couple, 36 spellings. More of them are
/// looked for all in the same tone, as one writer has one: 6 spellings.
pub const PERSONS_MAX: usize = 2;

static PERSON: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\p{Emoji_Modifier_Base}").expect("invariant: a property of Unicode"));

/// The spellings with tones that `text`, which has none, also stands for. None if it asks for tones itself, or has no
/// person with something behind.
pub fn variants(text: &str) -> Vec<String> {
    if text.is_ascii() || has_tone(text) {
        return Vec::new();
    }
    let persons = PERSON.find_iter(text).map(|person| person.end());
    let ends: Vec<usize> = persons.filter(|&end| end < text.len()).collect();
    if ends.is_empty() {
        return Vec::new();
    }
    if ends.len() > PERSONS_MAX {
        return TONES.map(|tone| toned(text, &ends, tone)).to_vec();
    }
    let mut spellings = vec![text.to_owned()];
    // From the back, so that the places in front stay where they are.
    for &end in ends.iter().rev() {
        let plain = spellings.clone();
        for tone in TONES {
            spellings.extend(plain.iter().map(|spelling| toned(spelling, &[end], tone)));
        }
    }
    spellings.split_off(1)
}

/// The text with this tone at each of these places, which ascend.
fn toned(text: &str, places: &[usize], tone: char) -> String {
    let mut toned = text.to_owned();
    places.iter().rev().for_each(|&place| toned.insert(place, tone));
    toned
}

/// Whether a text asks for tones itself.
pub fn has_tone(text: &str) -> bool {
    text.contains(TONES)
}

/// Whether a letter of a pattern is a person, behind which a tone may stand.
pub fn is_person(letter: &str) -> bool {
    !letter.is_ascii() && PERSON.is_match(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_before_something_else_has_every_tone() {
        for plain in ["refund", "😡", "👍", "so 👍", "👍🏽", "👩🏽💻", "停电", "🇩🇪"] {
            assert_eq!(variants(plain), Vec::<String>::new(), "{plain}");
        }
        assert_eq!(variants("👩💻"), ["👩🏻💻", "👩🏼💻", "👩🏽💻", "👩🏾💻", "👩🏿💻"]);
        assert_eq!(variants("🤦♀").len(), 5);
        assert_eq!(variants("🙏 thanks")[4], "🙏🏿 thanks");
        assert_eq!(variants("👏👏👏👏")[2], "👏🏽👏🏽👏🏽👏");
        assert_eq!(variants("👨👩👧👦").len(), 5);
        let couple = variants("👩🤝👩");
        assert_eq!(couple.len(), 35);
        assert!(couple.contains(&"👩🏻🤝👩".to_owned()) && couple.contains(&"👩🤝🏿👩".to_owned()));
        assert_eq!(couple.iter().collect::<std::collections::BTreeSet<_>>().len(), 35);
    }
}
