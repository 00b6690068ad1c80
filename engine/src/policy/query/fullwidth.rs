//! Signs and operators in full width, as the keyboards of Japan, China and Korea write them: `（`, `ＯＲ`, `：`.
//!
//! Owns what is said of them. Texts have them too, and the normal form makes both the same, so a word with one is a word
//! (`故障！`, `＃tag`) unless its ASCII spelling would be read as more than that. Called by `lex` alone.

use super::lex::{Token, TokenKind, Wrong, tokens};
use super::tree::Expression;
use super::{Dialect, Edges, Form, words};

/// What is added to an ASCII character to make it wide.
const SHIFT: u32 = 0xfee0;
/// Wide signs that are nothing but punctuation, though other tools read their ASCII forms as something else, and the wide
/// quote, of which typographic quotes tell.
const PUNCTUATION: [char; 6] = ['？', '，', '；', '～', '＾', '＂'];

/// What is wrong with a word whose ASCII spelling is more than a word: the byte of the first sign that is to blame, and
/// the message. None for a word that the normal form makes the same as its ASCII spelling.
pub fn refused(word: &str) -> Option<(usize, Wrong)> {
    let mut wide = word.char_indices().filter(|(_, character)| narrowed(*character).is_some());
    let (at, first) = wide.clone().find(|(_, character)| !character.is_alphanumeric()).or(wide.next())?;
    let narrow: String = word.chars().map(|character| narrowed(character).unwrap_or(character)).collect();
    // A wildcard of its own is read behind wide letters as behind narrow ones; one that only the narrow form has is not.
    let is_own = |wild: &char| *wild == '*';
    let (before, after) =
        (word.chars().take_while(is_own).count(), word.chars().rev().take_while(is_own).count());
    if narrow.len() >= before + after && is_plain_word(&narrow[before..narrow.len() - after]) {
        return None;
    }
    let operator = matches!(narrow.as_str(), "(" | ")" | "|" | "||" | "&" | "&&");
    if words::is_punctuation(&narrow) && !operator {
        return Some((0, words::punctuation(word)));
    }
    let upper = narrow.to_ascii_uppercase();
    let instead = if matches!(upper.as_str(), "AND" | "OR" | "NOT") { upper } else { narrow };
    let what = match first.is_alphanumeric() {
        true => format!("the operator `{word}` in full-width letters"),
        false => format!("the full-width sign `{first}` in `{word}`"),
    };
    Some((at, (what, format!("write {instead}; to search for the text itself, write \"{word}\""))))
}

/// The ASCII character that this is the full-width form of, if it may mean something in a query.
fn narrowed(character: char) -> Option<char> {
    let is_wide = ('\u{ff01}'..='\u{ff5e}').contains(&character) && !PUNCTUATION.contains(&character);
    if is_wide { char::from_u32(u32::from(character) - SHIFT) } else { None }
}

/// Whether a text is read as one word without wildcards.
fn is_plain_word(text: &str) -> bool {
    let (tokens, mistakes) = tokens(text, Dialect::Rule(Form::default()));
    let word = match &tokens[..] {
        [Token { kind: TokenKind::Term(Expression::Literal(literal, _)), .. }] => Some(literal),
        _ => None,
    };
    mistakes.is_empty() && word.is_some_and(|literal| literal.edges == Edges::Whole)
}
