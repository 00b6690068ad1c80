//! Foreign text as it may be shown on a terminal: nothing in it can move the cursor, hide or turn round what stands beside.
//!
//! Owns the list of characters that are shown by their number. Pure. Called by verbs that show what somebody else wrote.

use std::fmt::Write;

/// The text with every character that a terminal might act on, or a reader not see, written as `\u{202e}`. Line breaks
/// and tabs become blanks.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            character if plays_tricks(character) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            }
            character => shown.push(character),
        }
    }
    shown
}

/// The first `characters_max` characters, with an ellipsis where there are more.
#[must_use]
pub fn shortened(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Control characters (C0, C1, DEL), bidirectional controls, zero-width and invisible characters, line and paragraph
/// separators, tags. The joiner U+200D stays: families and flags of emoji are made with it.
fn plays_tricks(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_can_act_on_the_terminal_or_hide() {
        assert_eq!(visible("a\x1b[2Jb\u{9b}c\u{7f}"), "a\\u{1b}[2Jb\\u{9b}c\\u{7f}");
        assert_eq!(visible("pay \u{202e}evil\u{2066}\u{200b}"), "pay \\u{202e}evil\\u{2066}\\u{200b}");
        assert_eq!(visible("two\r\nlines\tand 👩‍👧 Ärger"), "two  lines and 👩‍👧 Ärger");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("Ärger", 5), "Ärger");
        assert_eq!(shortened("Ärgernis", 5), "Ärger…");
    }
}
