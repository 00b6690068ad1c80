//! CamelCase hashtags as words: `#DelayedAgain` is also `Delayed Again`.
//!
//! Owns where a hashtag starts and ends and where its words do. Reads the raw text, since the case that tells the
//! words apart is gone afterwards. Called by `Normaliser` alone.

use unicode_normalization::char::is_combining_mark;

use super::fold::is_invisible;

/// Whether it is worth looking for hashtags; `ascii` says whether the text has nothing else.
#[inline]
pub(super) fn may_be_in(text: &str, ascii: bool) -> bool {
    text.bytes().any(|byte| byte == b'#') || (!ascii && text.contains('＃'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    /// A letter without case.
    Other,
    Underscore,
}

/// Writes the words of the next hashtag from byte `from` on that has at least two into `words`, with blanks
/// between them, and gives the byte where the search goes on; none if there is no such hashtag.
pub(super) fn next_words(text: &str, from: usize, words: &mut String) -> Option<usize> {
    let mut at = from;
    while let Some(found) = text[at..].find(['#', '＃']) {
        let sign = at + found;
        let body = text[sign..].chars().next().map_or(text.len(), |character| sign + character.len_utf8());
        let end = text[body..]
            .char_indices()
            .find(|(_, character)| !is_part(*character))
            .map_or(text.len(), |(length, _)| body + length);
        // `a#b` is no hashtag, and neither is the `&#39;` of escaped text.
        let opens = !text[..sign].chars().next_back().is_some_and(|before| is_part(before) || before == '&');
        at = end;
        if opens && split(&text[body..end], words) {
            return Some(at);
        }
    }
    None
}

/// Writes the words of one hashtag; true if there are at least two.
fn split(tag: &str, words: &mut String) -> bool {
    words.clear();
    let mut breaks = 0;
    let mut letters = 0;
    let mut previous = None;
    for (at, character) in tag.char_indices() {
        let Some(kind) = kind_of(character) else {
            words.push(character);
            continue;
        };
        let rest = &tag[at + character.len_utf8()..];
        if kind == Kind::Underscore {
            breaks += usize::from(letters > 0);
            letters = 0;
            words.push(' ');
        } else {
            if previous.is_some_and(|previous| parts(previous, kind, letters, rest)) {
                words.push(' ');
                breaks += 1;
                letters = 0;
            }
            words.push(character);
            letters += 1;
        }
        previous = Some(kind);
    }
    // A break with nothing after it parts nothing; a number such as `#12_34` is no hashtag.
    breaks > usize::from(letters == 0) && tag.chars().any(char::is_alphabetic)
}

/// Whether a word ends between two characters, `letters` into the word, `rest` being what follows them.
fn parts(previous: Kind, next: Kind, letters: usize, rest: &str) -> bool {
    match (previous, next) {
        // `iPhone` and `eBay` are one word.
        (Kind::Lower, Kind::Upper) => letters > 1,
        // The last capital of `HTMLPage` starts a word; that of `FAQs` does not.
        (Kind::Upper, Kind::Upper) => {
            let mut kinds = rest.chars().filter_map(|character| Some((character, kind_of(character)?)));
            let first = kinds.next();
            let second = kinds.next();
            match first {
                Some(('s', _)) => second.is_some_and(|(_, kind)| kind == Kind::Lower),
                Some((_, kind)) => kind == Kind::Lower,
                None => false,
            }
        }
        (Kind::Digit, Kind::Lower | Kind::Upper | Kind::Other) => true,
        (Kind::Lower | Kind::Upper | Kind::Other, Kind::Digit) => true,
        _ => false,
    }
}

/// None for marks and invisible characters, which belong to the letter before them.
fn kind_of(character: char) -> Option<Kind> {
    match character {
        '_' => Some(Kind::Underscore),
        _ if is_combining_mark(character) || is_invisible(character) => None,
        _ if character.is_uppercase() => Some(Kind::Upper),
        _ if character.is_lowercase() => Some(Kind::Lower),
        _ if character.is_numeric() => Some(Kind::Digit),
        _ => Some(Kind::Other),
    }
}

fn is_part(character: char) -> bool {
    character.is_alphanumeric()
        || character == '_'
        || is_combining_mark(character)
        || (is_invisible(character) && character != '\u{feff}')
}
