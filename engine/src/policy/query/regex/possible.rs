//! Whether a regular expression can match a normal text at all, and which of its parts cannot.
//!
//! Owns what is known of normal texts: which characters one can hold, and that its blanks are single and never stand at an
//! end. Of each part it works out between which places of a text it can lead; a part that leads nowhere never matches. It
//! knows no letters that exclude each other, so what it does not find may still never match. Called by `super`.

use super::super::Form;
use crate::text::{Accents, Case, normalise_term};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    Ast, ClassBracketed, ClassSet, ClassSetItem, Flag, Flags, GroupKind, Literal, RepetitionKind,
    RepetitionRange, Span,
};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::ops::Range;
use unicode_normalization::char::is_combining_mark;

/// A part that can never match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Where it stands: bytes of the pattern.
    pub at: Range<usize>,
    /// Why it cannot.
    pub why: String,
    /// What to write instead.
    pub hint: String,
}

/// The parts of a pattern without which it can match and that never do: alternatives, characters in brackets, and what
/// may be left out. An alternative is held against what stands before it, not against what follows.
///
/// # Errors
/// The first part because of which the whole can never match.
pub fn dead_parts(pattern: &str, form: Form) -> Result<Vec<Dead>, Dead> {
    let Ok(ast) = Parser::new().parse(pattern) else { return Ok(Vec::new()) };
    let mut reader = Reader { pattern, form, parts: Vec::new() };
    let mut modes = Modes { ignore_case: form.case == Case::Ignore, ..Modes::default() };
    reader.read(&ast, &mut modes, ANYWHERE)?;
    reader.parts.sort_by_key(|dead| (dead.at.start, dead.at.end));
    reader.parts.dedup();
    Ok(reader.parts)
}

/// Where a match stands in a normal text: at its beginning, behind a blank, behind another character, at its end.
const BEGINNING: usize = 0;
const AFTER_BLANK: usize = 1;
const AFTER_OTHER: usize = 2;
const END: usize = 3;
const PLACES: usize = 4;
/// A match may begin anywhere, though at the end only if nothing follows.
const ANYWHERE: u8 = 1 << BEGINNING | 1 << AFTER_BLANK | 1 << AFTER_OTHER;
/// Wherever a part begins that is repeated: behind what stands before it, or behind itself.
const REPEATED: u8 = ANYWHERE | 1 << END;

/// Between which places a part can lead: for each place before it the set of places behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps([u8; PLACES]);

impl Steps {
    /// Of what is no character: the place stays.
    const STAY: Steps = Steps([1 << BEGINNING, 1 << AFTER_BLANK, 1 << AFTER_OTHER, 1 << END]);

    /// Of one character, which can be a blank or something else.
    fn character(blank: bool, other: bool) -> Steps {
        let other = if other { 1 << AFTER_OTHER } else { 0 };
        let blank = if blank { 1 << AFTER_BLANK } else { 0 };
        Steps([other, other, other | blank, 0])
    }

    fn look(look: Look) -> Steps {
        match look {
            Look::Start | Look::StartLF | Look::StartCRLF => Steps([1 << BEGINNING, 0, 0, 1 << END]),
            Look::End | Look::EndLF | Look::EndCRLF => Steps([1 << END, 0, 1 << END, 1 << END]),
            // Borders of words: somewhere there is one.
            _ => Steps::STAY,
        }
    }

    /// The places behind this when it begins at one of `places`.
    fn from(self, places: u8) -> u8 {
        (0..PLACES).filter(|place| places >> place & 1 == 1).fold(0, |found, place| found | self.0[place])
    }

    fn then(self, next: Steps) -> Steps {
        Steps(self.0.map(|places| next.from(places)))
    }

    fn or(self, other: Steps) -> Steps {
        Steps(std::array::from_fn(|place| self.0[place] | other.0[place]))
    }

    fn is_none(self) -> bool {
        self.from(ANYWHERE) == 0
    }

    /// What is told of this part, which cannot follow what leads to these places.
    fn refused(self, span: &Span, places: u8) -> Dead {
        let (why, hint) = self.refusal(places);
        Dead { at: bytes(span), why: why.into(), hint: hint.into() }
    }

    fn refusal(self, places: u8) -> (&'static str, &'static str) {
        if self.from(1 << AFTER_BLANK | 1 << AFTER_OTHER) == 0 {
            ("nothing can stand before the beginning of the text", "put `^` first, or leave it out")
        } else if places == 1 << END {
            ("nothing can stand behind the end of the text", "put `$` last, or leave it out")
        } else if self.from(ANYWHERE) == 1 << END {
            ("the text that is searched does not end with a blank", "leave the blank out")
        } else if places >> AFTER_BLANK & 1 == 1 {
            ("the text that is searched never has two blanks in a row", "write one")
        } else {
            ("the text that is searched does not begin with a blank", "leave the blank out")
        }
    }
}

/// The flags that decide what a character stands for.
#[derive(Clone, Copy)]
struct Modes {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    crlf: bool,
    unicode: bool,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes { ignore_case: false, multi_line: false, dot_all: false, crlf: false, unicode: true }
    }
}

impl Modes {
    fn set(&mut self, flags: &Flags) {
        for (flag, mode) in [
            (Flag::CaseInsensitive, &mut self.ignore_case),
            (Flag::MultiLine, &mut self.multi_line),
            (Flag::DotMatchesNewLine, &mut self.dot_all),
            (Flag::CRLF, &mut self.crlf),
            (Flag::Unicode, &mut self.unicode),
        ] {
            *mode = flags.flag_state(flag).unwrap_or(*mode);
        }
    }

    /// A part that has no parts, as the library understands it; none for what it does not take, which was told before.
    fn translate(self, pattern: &str, part: &Ast) -> Option<Hir> {
        let mut builder = TranslatorBuilder::new();
        builder.case_insensitive(self.ignore_case).multi_line(self.multi_line).crlf(self.crlf);
        builder.dot_matches_new_line(self.dot_all).unicode(self.unicode);
        builder.build().translate(pattern, part).ok()
    }
}

struct Reader<'p> {
    pattern: &'p str,
    form: Form,
    parts: Vec<Dead>,
}

impl Reader<'_> {
    /// Where a part can lead, or why nowhere. It begins at one of the places `before`.
    fn read(&mut self, part: &Ast, modes: &mut Modes, before: u8) -> Result<Steps, Dead> {
        match part {
            Ast::Empty(_) => Ok(Steps::STAY),
            Ast::Flags(set) => {
                modes.set(&set.flags);
                Ok(Steps::STAY)
            }
            Ast::Group(group) => {
                let mut inside = *modes;
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    inside.set(flags);
                }
                self.read(&group.ast, &mut inside, before)
            }
            Ast::Alternation(alternation) => self.read_alternatives(&alternation.asts, modes, before),
            Ast::Concat(concat) => self.read_sequence(&concat.asts, modes, before),
            Ast::Repetition(repetition) => {
                let (least, most) = bounds(&repetition.op.kind);
                let before = if most == Some(1) { before } else { REPEATED };
                match self.read(&repetition.ast, modes, before) {
                    Ok(once) => self.repeated(once, &repetition.span, least, most),
                    Err(dead) if least == 0 => {
                        self.parts.push(dead);
                        Ok(Steps::STAY)
                    }
                    Err(dead) => Err(dead),
                }
            }
            Ast::ClassBracketed(class) => {
                let steps = self.read_leaf(part, &class.span, *modes)?;
                self.read_brackets(class, *modes);
                Ok(steps)
            }
            Ast::Literal(literal) => self.read_leaf(part, &literal.span, *modes),
            Ast::Dot(span) => self.read_leaf(part, span, *modes),
            Ast::Assertion(assertion) => self.read_leaf(part, &assertion.span, *modes),
            Ast::ClassUnicode(class) => self.read_leaf(part, &class.span, *modes),
            Ast::ClassPerl(class) => self.read_leaf(part, &class.span, *modes),
        }
    }

    fn read_alternatives(&mut self, parts: &[Ast], modes: &mut Modes, before: u8) -> Result<Steps, Dead> {
        let mut steps: Option<Steps> = None;
        let mut dead = Vec::new();
        for part in parts {
            match self.read(part, modes, before) {
                Ok(found) if found.from(before) == 0 => dead.push(found.refused(part.span(), before)),
                Ok(found) => steps = Some(steps.map_or(found, |steps| steps.or(found))),
                Err(found) => dead.push(found),
            }
        }
        match steps {
            Some(steps) => {
                self.parts.append(&mut dead);
                Ok(steps)
            }
            None => Err(dead.swap_remove(0)),
        }
    }

    fn read_sequence(&mut self, parts: &[Ast], modes: &mut Modes, before: u8) -> Result<Steps, Dead> {
        let mut steps = Steps::STAY;
        let mut last: Option<&Literal> = None;
        for part in parts {
            let places = steps.from(before);
            let next = self.read(part, modes, places)?;
            steps = steps.then(next);
            if steps.from(before) == 0 {
                return Err(next.refused(part.span(), places));
            }
            let literal = if let Ast::Literal(literal) = part { Some(&**literal) } else { None };
            if let (Some(letter), Some(mark)) = (last, literal) {
                self.check_mark(letter, mark)?;
            }
            last = literal;
        }
        Ok(steps)
    }

    /// A letter and a mark that the text has as one character.
    fn check_mark(&self, letter: &Literal, mark: &Literal) -> Result<(), Dead> {
        let composed = normalise_term(&String::from_iter([letter.c, mark.c]), self.form);
        if !is_combining_mark(mark.c) || composed.ends_with(mark.c) {
            return Ok(());
        }
        let at = letter.span.start.offset..mark.span.end.offset;
        let why =
            format!("the text that is searched has `{composed}` in place of `{}`", &self.pattern[at.clone()]);
        Err(Dead { at, why, hint: format!("write `{composed}`") })
    }

    /// A part that leads so once, and stands there so many times.
    fn repeated(&self, once: Steps, span: &Span, least: u32, most: Option<u32>) -> Result<Steps, Dead> {
        let mut steps = Steps::STAY;
        // So many repetitions lead wherever more of them do: there are fewer sets of places.
        for _ in 0..least.min(1 << PLACES) {
            let places = steps.from(ANYWHERE);
            steps = steps.then(once);
            if steps.is_none() {
                return Err(once.refused(span, places));
            }
        }
        for _ in least..most.unwrap_or(u32::MAX).min(least.saturating_add(PLACES as u32)) {
            steps = steps.or(steps.then(once));
        }
        Ok(steps)
    }

    /// A part that has no parts.
    fn read_leaf(&self, part: &Ast, span: &Span, modes: Modes) -> Result<Steps, Dead> {
        let Some(hir) = modes.translate(self.pattern, part) else { return Ok(Steps::STAY) };
        let steps = self.steps_of(&hir);
        if steps.is_none() { Err(self.no_character(&hir, span)) } else { Ok(steps) }
    }

    fn steps_of(&self, hir: &Hir) -> Steps {
        match hir.kind() {
            HirKind::Look(look) => Steps::look(*look),
            HirKind::Literal(_) | HirKind::Class(_) => {
                let blank = characters(hir).any(|character| character == ' ');
                Steps::character(blank, characters(hir).any(|c| c != ' ' && is_normal(c, self.form)))
            }
            _ => Steps::STAY,
        }
    }

    /// What is told of a character, or a set of them, that no normal text holds.
    fn no_character(&self, hir: &Hir, span: &Span) -> Dead {
        let at = bytes(span);
        let written = &self.pattern[at.clone()];
        let Some(first) = characters(hir).next() else {
            let why = format!("no character is what `{written}` asks for");
            return Dead { at, why, hint: "leave it out".into() };
        };
        let single = characters(hir).all(|other| {
            normalise_term(&String::from(other), self.form) == normalise_term(&String::from(first), self.form)
        });
        let instead = Instead::of(first, self.form);
        let why = match single {
            true => format!("the text that is searched has {instead} in place of `{written}`"),
            false => format!(
                "the text that is searched has no character of `{written}`, but {instead} for `{first}`"
            ),
        };
        let exact = |form: Form| characters(hir).any(|character| is_normal(character, form));
        let keys = [
            ("accents", exact(Form { accents: Accents::Exact, ..self.form })),
            ("case", exact(Form { case: Case::Exact, ..self.form })),
        ];
        let key = keys.into_iter().find(|(_, helps)| *helps);
        let key = key.map(|(key, _)| format!("give the rule {key} = \"exact\""));
        let hints = [instead.hint(single), key];
        Dead { at, why, hint: hints.into_iter().flatten().collect::<Vec<_>>().join(", or ") }
    }

    /// Characters in brackets of which the text has others that are not in the brackets.
    fn read_brackets(&mut self, class: &ClassBracketed, modes: Modes) {
        let ClassSet::Item(ClassSetItem::Union(union)) = &class.kind else { return };
        if class.negated {
            return;
        }
        let Some(whole) = modes.translate(self.pattern, &Ast::ClassBracketed(Box::new(class.clone()))) else {
            return;
        };
        for item in &union.items {
            let kind = ClassSet::Item(item.clone());
            let alone = ClassBracketed { span: *item.span(), negated: false, kind };
            let Some(hir) = modes.translate(self.pattern, &Ast::ClassBracketed(Box::new(alone))) else {
                continue;
            };
            let Some(first) = characters(&hir).next().filter(|_| self.steps_of(&hir).is_none()) else {
                continue;
            };
            let found_anyway = match Instead::of(first, self.form) {
                Instead::Blank => characters(&whole).any(|other| other == ' '),
                Instead::Nothing => true,
                Instead::Text(text) => characters(&whole).any(|other| text.chars().eq([other])),
            };
            if !found_anyway {
                let dead = self.no_character(&hir, item.span());
                self.parts.push(dead);
            }
        }
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.start.offset..span.end.offset
}

fn bounds(kind: &RepetitionKind) -> (u32, Option<u32>) {
    match *kind {
        RepetitionKind::ZeroOrOne => (0, Some(1)),
        RepetitionKind::ZeroOrMore => (0, None),
        RepetitionKind::OneOrMore => (1, None),
        RepetitionKind::Range(RepetitionRange::Exactly(count)) => (count, Some(count)),
        RepetitionKind::Range(RepetitionRange::AtLeast(least)) => (least, None),
        RepetitionKind::Range(RepetitionRange::Bounded(least, most)) => (least, Some(most)),
    }
}

/// The characters that a character or a set of them stands for.
fn characters(hir: &Hir) -> impl Iterator<Item = char> {
    let ranges: Vec<(char, char)> = match hir.kind() {
        HirKind::Literal(literal) => {
            String::from_utf8_lossy(&literal.0).chars().map(|character| (character, character)).collect()
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().map(|range| (range.start(), range.end())).collect()
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        _ => Vec::new(),
    };
    ranges.into_iter().flat_map(|(first, last)| first..=last)
}

/// Whether a text of this form can hold the character. What the normaliser leaves alone is all that it can give.
pub fn is_normal(character: char, form: Form) -> bool {
    character == ' ' || normalise_term(character.encode_utf8(&mut [0; 4]), form).chars().eq([character])
}

/// What the text has in place of a character.
pub enum Instead {
    /// A blank.
    Blank,
    /// Nothing at all.
    Nothing,
    /// This.
    Text(String),
}

impl Instead {
    /// What a text of this form has in place of the character.
    pub fn of(character: char, form: Form) -> Instead {
        let between = normalise_term(&String::from_iter(['1', character, '1']), form);
        match between.strip_prefix('1').and_then(|rest| rest.strip_suffix('1')) {
            Some("") => Instead::Nothing,
            Some(" ") => Instead::Blank,
            Some(text) => Instead::Text(text.to_owned()),
            None => Instead::Text(normalise_term(&String::from(character), form)),
        }
    }

    /// What to write for one character.
    fn hint(&self, single: bool) -> Option<String> {
        match self {
            Instead::Blank => Some("write a blank".to_owned()),
            Instead::Nothing => Some("leave it out".to_owned()),
            Instead::Text(text) => single.then(|| format!("write `{text}`")),
        }
    }
}

impl std::fmt::Display for Instead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Instead::Blank => f.write_str("a blank"),
            Instead::Nothing => f.write_str("nothing"),
            Instead::Text(text) => write!(f, "`{text}`"),
        }
    }
}
