//! How wide a character is on a terminal.
//!
//! Pure; may not know what is shown. Called by whatever underlines a part of a line.

use unicode_width::UnicodeWidthChar;

/// How many columns a terminal gives a character: two for those of East Asia and emoji, none for marks that sit on the
/// character before (Unicode's East Asian Width). A skin tone counts as such a mark: it stands behind an emoji.
#[must_use]
pub fn columns(character: char) -> usize {
    match character {
        '\u{1f3fb}'..='\u{1f3ff}' => 0,
        _ => character.width().unwrap_or(1),
    }
}
