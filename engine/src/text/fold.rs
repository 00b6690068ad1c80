//! Folding: the exact way for any run of characters, and the two short ways for texts.
//!
//! Owns which characters vanish, which are blanks, and which accents are dropped. `run` is the definition, slow
//! and simple; `ascii`, `mixed` and `piece` must give what `run` gives (property tests say so). Called by `text` alone.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::table::{Class, classify};
use super::{Accents, Case, Form};

/// Writes characters, with runs of blanks as one and none at the start or end of what it writes.
pub(super) struct Sink<'a> {
    out: &'a mut String,
    form: Form,
    start: usize,
    blank: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(out: &'a mut String, form: Form) -> Self {
        let start = out.len();
        Self { out, form, start, blank: false }
    }

    /// The bytes written so far, and whether a blank waits for what follows it.
    pub(super) fn written(&self) -> (usize, bool) {
        (self.out.len() - self.start, self.blank)
    }

    pub(super) fn push(&mut self, character: char) {
        if is_blank(character) {
            self.push_blank();
        } else {
            self.flush_blank();
            self.out.push(character);
        }
    }

    fn push_blank(&mut self) {
        self.blank = self.out.len() > self.start;
    }

    fn flush_blank(&mut self) {
        if self.blank {
            self.out.push(' ');
            self.blank = false;
        }
    }

    /// `text` holds no blanks and is folded already.
    fn push_folded(&mut self, text: &str) {
        self.flush_blank();
        self.out.push_str(text);
    }

    /// Any ASCII text, word by word.
    fn push_ascii(&mut self, text: &str) {
        debug_assert!(text.is_ascii(), "only ASCII is folded word by word");
        let mut words = text.split(|character: char| is_blank_byte(character as u8));
        self.push_ascii_word(words.next().unwrap_or_default());
        for word in words {
            self.push_blank();
            self.push_ascii_word(word);
        }
    }

    fn push_ascii_word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        self.flush_blank();
        let from = self.out.len();
        self.out.push_str(word);
        if self.form.case == Case::Ignore {
            self.out[from..].make_ascii_lowercase();
        }
    }
}

/// An ASCII text into the empty `out`.
pub(super) fn ascii(text: &str, form: Form, out: &mut String) {
    assert!(out.is_empty(), "the short way writes a whole text");
    let bytes = text.as_bytes();
    // Both loops run over all bytes without leaving early, so that the compiler can use vectors.
    let odd = bytes.iter().fold(false, |odd, byte| odd | (*byte < b' ') | (*byte == 0x7f));
    let double = bytes
        .iter()
        .zip(bytes.iter().skip(1))
        .fold(false, |double, (one, two)| double | ((*one == b' ') & (*two == b' ')));
    let edge = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
    if odd || double || edge {
        Sink::new(out, form).push_ascii(text);
    } else {
        out.push_str(text);
        if form.case == Case::Ignore {
            out.make_ascii_lowercase();
        }
    }
}

/// Any text, by short cuts where a character's fate does not hang on its neighbours, else by `run`.
///
/// A character with a short cut never combines with the one before it. It may combine with one after it that has
/// none, so then it goes into the run with that one.
pub(super) fn mixed(text: &str, sink: &mut Sink<'_>) {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let ascii = rest.bytes().position(|byte| byte >= 0x80).unwrap_or(rest.len());
        // The last ASCII character before another one may carry a combining mark.
        let alone = if ascii == rest.len() { ascii } else { ascii.saturating_sub(1) };
        sink.push_ascii(&rest[..alone]);
        at += alone;
        if at < text.len() {
            at += beyond_ascii(&text[at..], sink);
        }
    }
    assert_eq!(at, text.len(), "the whole text was folded");
}

/// Folds from a character that is not ASCII, or is the last before one, to the next longer run of ASCII. Gives
/// the bytes read, at least one character.
fn beyond_ascii(text: &str, sink: &mut Sink<'_>) -> usize {
    let form = sink.form;
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    let mut from = 0;
    let mut class = classify(first, form);
    loop {
        let next = characters.next().map(|(at, character)| (at, character, classify(character, form)));
        match (class, next) {
            (Class::Slow, _) | (_, Some((_, _, Class::Slow))) => {
                let end = slow_end(text, from);
                run(&text[from..end], sink);
                return end;
            }
            (_, None) => {
                emit(class, sink);
                return text.len();
            }
            (_, Some((at, character, next_class))) => {
                emit(class, sink);
                // Two ASCII characters in a row: the caller copies them faster.
                if character.is_ascii() && text.as_bytes().get(at + 1).is_some_and(u8::is_ascii) {
                    return at;
                }
                from = at;
                class = next_class;
            }
        }
    }
}

/// Folds one character and all after it that hang on it. Gives the bytes read.
pub(super) fn piece(text: &str, sink: &mut Sink<'_>) -> usize {
    let end = slow_end(text, 0);
    let mut characters = text[..end].chars();
    match (characters.next().map(|first| classify(first, sink.form)), characters.next()) {
        (None | Some(Class::Slow), _) | (_, Some(_)) => run(&text[..end], sink),
        (Some(class), None) => emit(class, sink),
    }
    end
}

/// The end of the run that starts at `from`: its first character, then all that have no short cut.
fn slow_end(text: &str, from: usize) -> usize {
    text[from..]
        .char_indices()
        .skip(1)
        .find(|(_, character)| !matches!(classify(*character, Form::default()), Class::Slow))
        .map_or(text.len(), |(at, _)| from + at)
}

fn emit(class: Class, sink: &mut Sink<'_>) {
    match class {
        Class::Blank => sink.push_blank(),
        Class::One(character) => {
            sink.flush_blank();
            sink.out.push(character);
        }
        Class::Many(text) => sink.push_folded(text),
        Class::Slow => unreachable!("invariant: what has no short cut goes through run"),
    }
}

/// Any run of characters: the definition of the normal form.
pub(super) fn run(text: &str, sink: &mut Sink<'_>) {
    let Form { accents, case } = sink.form;
    let visible = text.chars().filter(|character| !is_invisible(*character));
    // The acute accent as a character of its own would become a blank with an accent; people type it as an
    // apostrophe (`don´t`).
    let decomposed = visible.map(|character| if character == '´' { '\'' } else { character }).nfkd();
    let mut base = '\0';
    let folded = decomposed.filter(|character| *character != TATWEEL).flat_map(move |character| {
        let character = match accents {
            Accents::Ignore => plain_letter(character),
            Accents::Exact => character,
        };
        let accent = is_accent(character);
        if !accent && canonical_combining_class(character) == 0 {
            base = map_letter(character);
        }
        let dropped = match accents {
            Accents::Ignore => accent || (base == ALEF && matches!(character, '\u{653}'..='\u{655}')),
            // `İ` is `i` under both treatments: the dot is no accent but part of the letter.
            Accents::Exact => character == '\u{307}' && base == 'i',
        };
        let mapped = match case {
            Case::Ignore => map_letter(character),
            Case::Exact => map_special(character),
        };
        let (first, second) = match mapped {
            _ if dropped => (None, None),
            'ß' => (Some('s'), Some('s')),
            'ẞ' => (Some('S'), Some('S')),
            letter => (Some(letter), None),
        };
        first.into_iter().chain(second)
    });
    for character in folded.nfc() {
        sink.push(character);
    }
}

/// One decomposed character in lower case, special letters mapped; `ß` is left to the caller.
fn map_letter(character: char) -> char {
    let character = map_special(character);
    // Letter by letter, never by context; only `İ` becomes two, and it is decomposed by now.
    character.to_lowercase().next().unwrap_or(character)
}

/// What is the same letter whatever its case; `ß` is left to the caller.
fn map_special(character: char) -> char {
    match character {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2bb}' => '\'',
        'ı' => 'i',
        'ς' => 'σ',
        _ => character,
    }
}

/// Only draws a word out in Arabic script.
const TATWEEL: char = '\u{640}';
/// With hamza above or below, with madda: many writers leave the marks out.
const ALEF: char = '\u{627}';

/// What is left where accents do not count of a letter that Unicode does not take apart: Latin letters with a stroke, alef
/// with wasla; and the Arabic kaf and yeh in place of the Persian ones, which one keyboard types and the other does not.
pub(super) fn plain_letter(character: char) -> char {
    match character {
        'ł' => 'l',
        'Ł' => 'L',
        'đ' => 'd',
        'Đ' => 'D',
        'ø' => 'o',
        'Ø' => 'O',
        'ħ' => 'h',
        'Ħ' => 'H',
        'ŧ' => 't',
        'Ŧ' => 'T',
        '\u{671}' => ALEF,
        '\u{6a9}' => '\u{643}',
        '\u{6cc}' => '\u{64a}',
        _ => character,
    }
}

/// Blanks and controls separate words.
pub(super) fn is_blank(character: char) -> bool {
    character == ' ' || character.is_whitespace() || character.is_control()
}

fn is_blank_byte(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Characters that nobody sees and that hide words from a search: soft hyphen, joiners, direction marks,
/// variation selectors, byte order mark.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// The marks that are dropped when accents do not count: those of Latin, Greek and Cyrillic, the vowel points of Hebrew and
/// Arabic and the dot below of Devanagari, which many writers leave out. Marks that are letters to their readers (kana
/// voicing, Indic vowels, Thai tones) stay.
pub(super) fn is_accent(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36f}'
            | '\u{483}'..='\u{487}'
            | '\u{591}'..='\u{5bd}'
            | '\u{5bf}'
            | '\u{5c1}'..='\u{5c2}'
            | '\u{5c4}'..='\u{5c5}'
            | '\u{5c7}'
            | '\u{64b}'..='\u{652}'
            | '\u{670}'
            | '\u{93c}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}
