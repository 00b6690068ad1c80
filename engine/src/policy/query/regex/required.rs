//! The letters without which a regular expression cannot match: what a rule that is nothing else is looked up by.
//!
//! Owns which parts of a pattern must stand in a text, letter for letter. Any set that it gives is right: whatever the
//! pattern matches holds one member, somewhere in its line and regardless of words. Which set is wise, the caller says.
//! Called when a policy is compiled.

use super::possible::is_normal;
use crate::policy::query::{Case, Form, PREFIX_CHARS_MIN, Pattern};
use crate::text::is_unspaced;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

/// The most members of a set: each is looked for in every text.
const MEMBERS_MAX: usize = 32;
/// A class with more characters is no choice of letters.
const CLASS_MAX: usize = 16;

/// Every set of texts that was found of which a match holds one. A member has at least as many characters as a prefix
/// with a wildcard must have.
pub fn required(pattern: &Pattern) -> Vec<Vec<String>> {
    let mut builder = ParserBuilder::new();
    let parsed = builder.case_insensitive(pattern.form.case == Case::Ignore).build().parse(&pattern.text);
    let Ok(hir) = parsed else { return Vec::new() };
    let mut sets = Vec::new();
    gather(&narrowed(&hir, pattern.form), pattern.form, &mut sets);
    sets
}

/// The same pattern for texts of this form, which do not hold every character: `[Ss]` is `s` where capitals do not count.
fn narrowed(hir: &Hir, form: Form) -> Hir {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) if characters(class) <= CLASS_MAX => {
            let all = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            let normal = all.filter(|character| is_normal(*character, form));
            let ranges = normal.map(|character| ClassUnicodeRange::new(character, character));
            Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
        }
        HirKind::Repetition(repetition) => {
            let sub = Box::new(narrowed(&repetition.sub, form));
            Hir::repetition(Repetition { sub, ..repetition.clone() })
        }
        HirKind::Capture(Capture { sub, .. }) => narrowed(sub, form),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(|part| narrowed(part, form)).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.iter().map(|part| narrowed(part, form)).collect())
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

fn characters(class: &ClassUnicode) -> usize {
    class.ranges().iter().map(|range| range.len()).sum()
}

fn gather(hir: &Hir, form: Form, sets: &mut Vec<Vec<String>>) {
    sets.extend(beginnings(hir, form));
    match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min > 0 => gather(&repetition.sub, form, sets),
        HirKind::Concat(parts) => {
            for from in 1..parts.len() {
                sets.extend(beginnings(&Hir::concat(parts[from..].to_vec()), form));
            }
            // What stands inside of a part that is repeated, or has alternatives.
            parts.iter().filter(|part| part.properties().minimum_len() > Some(0)).for_each(|part| {
                if !matches!(part.kind(), HirKind::Literal(_) | HirKind::Class(_)) {
                    gather(part, form, sets);
                }
            });
        }
        // One of each alternative.
        HirKind::Alternation(parts) => {
            let best = parts.iter().map(|part| {
                let mut own = Vec::new();
                gather(part, form, &mut own);
                own.into_iter().min_by_key(|set| (set.len(), std::cmp::Reverse(shortest(set))))
            });
            let all: Option<Vec<Vec<String>>> = best.collect();
            sets.extend(all.and_then(|sets| kept(sets.concat(), form)));
        }
        _ => {}
    }
}

fn shortest(set: &[String]) -> usize {
    set.iter().map(|text| text.chars().count()).min().unwrap_or(0)
}

/// What every match of this part begins with.
fn beginnings(hir: &Hir, form: Form) -> Option<Vec<String>> {
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_class(CLASS_MAX).limit_total(MEMBERS_MAX);
    let found = extractor.extract(hir);
    let texts = found.literals()?.iter().map(|literal| String::from_utf8(literal.as_bytes().to_vec()).ok());
    kept(texts.collect::<Option<Vec<String>>>()?, form)
}

/// The set, if it is worth looking for: few texts, none too short. A text that no normal text holds is left out, as what
/// begins with it never matches.
fn kept(texts: Vec<String>, form: Form) -> Option<Vec<String>> {
    let normal = texts.iter().filter(|text| text.chars().all(|character| is_normal(character, form)));
    let mut set: Vec<String> = normal.map(|text| text.trim_matches(' ').to_owned()).collect();
    // What holds a shorter one is found by it.
    set.sort_unstable_by_key(|text| text.len());
    let mut least: Vec<String> = Vec::new();
    for text in set {
        if !least.iter().any(|shorter| text.contains(shorter.as_str())) {
            least.push(text);
        }
    }
    let mut set = least;
    set.sort_unstable();
    let is_long = |text: &String| text.chars().count() >= PREFIX_CHARS_MIN || text.chars().any(is_unspaced);
    (!set.is_empty() && set.len() <= MEMBERS_MAX && set.iter().all(is_long)).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::query::regex::read;

    /// The set with the fewest and longest members.
    fn best(written: &str) -> Vec<String> {
        let pattern = read(written, Form::default()).expect("a pattern");
        let sets = required(&pattern);
        sets.into_iter().min_by_key(|set| (set.len(), std::cmp::Reverse(shortest(set)))).unwrap_or_default()
    }

    #[test]
    fn the_letters_that_must_be_there_are_found_in_every_part_of_a_pattern() {
        for (pattern, expected) in [
            ("refund", &["refund"][..]),
            (r"\bre+fund\b", &["fund"]),
            (r"\d{3}-refund", &["-refund"]),
            ("[Rr]efund", &["refund"]),
            (r"(?i)KELVIN|ſet", &["kelvin", "set"]),
            ("re(fund|turn)ed", &["refunded", "returned"]),
            ("(refund|money back)s?", &["money back", "refund"]),
            (r"err(or)?[- ]?\d{3}", &["err"]),
            (r"(\d+ (dollars|euros))+ back", &["back"]),
            (r"\w+(fund|turn)\w*", &["fund", "turn"]),
            (r" +fund ", &["fund"]),
            ("停.", &["停"]),
            (r"foo\d?", &["foo"]),
            // Nothing that is long enough, or nothing that must be there.
            (r"\d+", &[]),
            ("(ab|refund)", &[]),
            ("(refund)?x", &[]),
            ("[a-z]{3,5}ed", &[]),
            ("d a", &["d a"]),
        ] {
            assert_eq!(best(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn what_a_text_never_holds_is_not_looked_for() {
        assert_eq!(best(r"refund|tv\nset|caf\xe9"), ["refund"]);
    }
}
