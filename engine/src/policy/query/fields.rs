//! Reads fields: `name:value`, comparisons, sets and ranges.
//!
//! Owns the names of fields, the names that Twitter, Lucene and Brandwatch have for the same, and every message about a
//! value. May not know where a field's value comes from. Called by `lex` alone.

use super::dialect;
use super::field::{Bounds, Field};
use super::lex::Wrong;
use super::tree::{Expression, Mark};
use crate::model::{Kind, Visibility};
use crate::policy::Category;
use crate::policy::mistake::did_you_mean;
use crate::signals::features::Feature;

/// The fields, in the order of the documentation.
const FIELDS: [&str; 13] = [
    "lang",
    "kind",
    "network",
    "account",
    "author",
    "followers",
    "visibility",
    "verified",
    "repost",
    "promoted",
    "has",
    "tag",
    "category",
];
/// Other languages' names for the same question.
const ALIASES: [&str; 6] = ["from", "language", "is", "followers_count", "min_followers", "authorFollowers"];
/// Facts that are not computed yet: asking one is a mistake and never false.
const FIELDS_LATER: [&str; 8] =
    ["tier", "sentiment", "influence", "customer", "storm", "intent", "topic", "expert"];
/// What mentions may hold one day.
const FEATURES_LATER: [&str; 7] = ["media", "images", "image", "videos", "video", "video_link", "geo"];
const KINDS: [Kind; 6] = [Kind::Post, Kind::Reply, Kind::Repost, Kind::Quote, Kind::Message, Kind::Other];

/// Splits `name:value` and `name>number`; the second part keeps its sign. `None` for a plain word.
pub fn shape(word: &str) -> Option<(&str, &str)> {
    let sign = word.find([':', '>', '<', '='])?;
    let (name, rest) = word.split_at(sign);
    let looks_like_a_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    looks_like_a_name.then_some((name, rest))
}

/// Reads a field; `rest` is its sign and its value.
pub fn read(name: &str, rest: &str, filter: bool) -> Result<Field, Wrong> {
    check_name(name, rest, filter)?;
    if is_number_field(name) {
        return followers(name, rest).map(Field::Followers);
    }
    let Some(value) = rest.strip_prefix(':') else {
        return Err((format!("expected `{name}:value`, found `{name}{rest}`"), String::new()));
    };
    if value.trim().is_empty() {
        return Err((format!("expected a value after `{name}:`"), String::new()));
    }
    if value.starts_with(['[', '{']) {
        let what = format!("a range is for numbers: `{name}:` asks for a value, found `{value}`");
        return Err((what, format!("write {name}:(one OR other)")));
    }
    read_value(name, value)
}

/// Reads the values between the parentheses of `name:(one OR other)`, which begin at byte `at` of the query.
pub fn read_set(name: &str, inside: &str, at: usize, filter: bool) -> Result<Expression, Vec<(Mark, Wrong)>> {
    // A field that does not exist is one mistake, however many values it has.
    let before = name.len() + 2;
    let whole = Mark { at: at - before, length: before + inside.len() + 1 };
    check_name(name, &format!(":({inside})"), filter).map_err(|wrong| vec![(whole, wrong)])?;
    let (mut parts, mut mistakes) = (Vec::new(), Vec::new());
    let instead = match is_number_field(name) {
        true => "write a range: followers:[1000 TO 5000]".to_owned(),
        false => format!("write {name}:(one OR other), and NOT before the field: NOT {name}:(one OR other)"),
    };
    let mut wants_value = true;
    let mut from = 0;
    while let Some(found) = inside[from..].find(|c: char| !c.is_whitespace()) {
        let start = from + found;
        let rest = &inside[start..];
        let quoted = rest.starts_with('"').then(|| rest[1..].find('"')).flatten();
        let length = match quoted {
            Some(length) => length + 2,
            None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        from = start + length;
        let written = &rest[..length];
        let mark = Mark { at: at + start, length };
        let mut refuse = |what: String, hint: String| mistakes.push((mark, (what, hint)));
        match written {
            "OR" | "||" if !wants_value => wants_value = true,
            "OR" | "||" => refuse(format!("expected a value of `{name}:`, found `{written}`"), String::new()),
            "AND" | "NOT" | "&&" | "or" | "and" | "not" | "TO" => {
                let what = format!("expected OR between the values of `{name}:`, found `{written}`");
                refuse(what, instead.clone());
                wants_value = true;
            }
            _ if !wants_value => {
                let what = format!("expected OR between the values of `{name}:`, found `{written}`");
                refuse(what, instead.clone());
            }
            _ if written.starts_with(['+', '-', '!', '(']) => {
                refuse(format!("expected a value of `{name}:`, found `{written}`"), instead.clone());
                wants_value = false;
            }
            _ => {
                wants_value = false;
                match read(name, &format!(":{}", written.trim_matches('"')), filter) {
                    Ok(field) => parts.push(Expression::Field(field, mark)),
                    Err((what, hint)) => refuse(what, hint),
                }
            }
        }
    }
    if wants_value && mistakes.is_empty() {
        let what = format!("expected a value of `{name}:` before `)`");
        mistakes.push((Mark { at: at + inside.len(), length: 1 }, (what, instead)));
    }
    match (parts.len(), mistakes.is_empty()) {
        (1, true) => Ok(parts.remove(0)),
        (_, true) => Ok(Expression::Or(parts)),
        (_, false) => Err(mistakes),
    }
}

fn is_number_field(name: &str) -> bool {
    matches!(name, "followers" | "followers_count" | "min_followers" | "authorFollowers")
}

fn check_name(name: &str, rest: &str, filter: bool) -> Result<(), Wrong> {
    if FIELDS.contains(&name) || ALIASES.contains(&name) {
        return Ok(());
    }
    if FIELDS_LATER.contains(&name) {
        let what = format!("the field `{name}` is not there yet: nothing computes it");
        return Err((what, "a rule that asked for it would never match".into()));
    }
    let what = format!("there is no field `{name}`");
    if let Some(instead) = dialect::foreign_field(name, rest) {
        return Err((what, instead));
    }
    let near = did_you_mean(name, FIELDS);
    let quoted = || match filter {
        true => String::new(),
        false => format!("to search for the text itself, write \"{name}{rest}\""),
    };
    Err((what, if near.is_empty() { quoted() } else { near }))
}

fn read_value(name: &str, value: &str) -> Result<Field, Wrong> {
    let wrong = |expected: &str| {
        Err((format!("expected {expected} after `{name}:`, found `{value}`"), String::new()))
    };
    match name {
        "lang" | "language" if is_language(value) => Ok(Field::Lang(value.to_ascii_lowercase())),
        "lang" | "language" => wrong("a language such as `en` or `pt-BR`"),
        "kind" => one_of(name, value, KINDS.map(|kind| (kind.name(), kind))).map(Field::Kind),
        "network" if is_network(value) => Ok(Field::Network(value.to_owned())),
        "network" => wrong("a network's short name in lower case, such as `x`"),
        "account" => match value.strip_prefix('@').filter(|account| is_handle(account)) {
            Some(account) => Ok(Field::Account(account.to_ascii_lowercase())),
            None => wrong("an account such as `@brandcare`"),
        },
        "author" | "from" => match value.strip_prefix('@').unwrap_or(value) {
            handle if is_handle(handle) => Ok(Field::Author(handle.to_ascii_lowercase())),
            _ => wrong("a handle such as `@jane`"),
        },
        "visibility" => {
            let both = [Visibility::Public, Visibility::Private].map(|v| (v.name(), v));
            one_of(name, value, both).map(Field::Visibility)
        }
        "verified" | "repost" | "promoted" => {
            let Ok(value) = value.parse::<bool>() else { return wrong("`true` or `false`") };
            Ok(match name {
                "verified" => Field::Verified(value),
                "repost" => Field::Repost(value),
                _ => Field::Promoted(value),
            })
        }
        "has" => feature(value).map(Field::Has),
        "is" => is(value),
        "tag" => Ok(Field::Tag(value.to_owned())),
        _ => one_of(name, value, Category::ALL.map(|category| (category.name(), category)))
            .map(Field::Category),
    }
}

fn one_of<T: Copy, const N: usize>(name: &str, value: &str, known: [(&str, T); N]) -> Result<T, Wrong> {
    if let Some((_, found)) = known.iter().find(|(known, _)| *known == value) {
        return Ok(*found);
    }
    let names = known.map(|(name, _)| name);
    let shown = names.map(|name| format!("`{name}`")).join(", ");
    Err((format!("there is no {name} `{value}`: expected {shown}"), did_you_mean(value, names)))
}

/// `has:link`, and Twitter's `has:links`.
fn feature(value: &str) -> Result<Feature, Wrong> {
    let singular = value.strip_suffix('s').unwrap_or(value);
    if FEATURES_LATER.contains(&value) {
        let what = format!("`has:{value}` is not there yet: mentions do not say whether they hold it");
        return Err((what, String::new()));
    }
    let known = Feature::ALL.map(|feature| (feature.name(), feature));
    match known.iter().find(|(name, _)| *name == singular) {
        Some((_, feature)) => Ok(*feature),
        None => one_of("feature", value, known),
    }
}

/// Twitter's `is:`.
fn is(value: &str) -> Result<Field, Wrong> {
    let known = [
        ("retweet", Field::Repost(true)),
        ("repost", Field::Repost(true)),
        ("reply", Field::Kind(Kind::Reply)),
        ("quote", Field::Kind(Kind::Quote)),
        ("verified", Field::Verified(true)),
        ("nullcast", Field::Promoted(true)),
    ];
    if let Some((_, field)) = known.iter().find(|(name, _)| *name == value) {
        return Ok(field.clone());
    }
    let what = format!(
        "expected `retweet`, `reply`, `quote`, `verified` or `nullcast` after `is:`, found `{value}`"
    );
    Err((what, did_you_mean(value, known.iter().map(|(name, _)| *name))))
}

/// Reads `>n`, `:>n`, `:[a TO b]` and the numbers of Twitter's fields.
fn followers(name: &str, rest: &str) -> Result<Bounds, Wrong> {
    let value = rest.strip_prefix(':').unwrap_or(rest);
    if value.trim().is_empty() {
        return Err((format!("expected a number after `{name}`"), "such as `followers>10000`".into()));
    }
    if value.starts_with(['[', '{']) {
        return range(name, value);
    }
    for sign in [">=", "<=", ">", "<", "="] {
        let Some(digits) = value.strip_prefix(sign) else { continue };
        let shown = format!("{name}{}", &rest[..rest.len() - digits.len()]);
        let limit = number(&shown, digits)?;
        let bounds = match sign {
            ">=" => Some((limit, u64::MAX)),
            "<=" => Some((0, limit)),
            ">" => limit.checked_add(1).map(|least| (least, u64::MAX)),
            "<" => limit.checked_sub(1).map(|most| (0, most)),
            _ => Some((limit, limit)),
        };
        let Some((least, most)) = bounds else {
            return Err((format!("no number is as `{shown}{digits}` asks"), String::new()));
        };
        return Ok(Bounds { least, most });
    }
    // Twitter's: `min_followers:n`, and `followers_count:n` and `followers_count:n..m`.
    match (name, value.split_once("..")) {
        ("followers_count", Some((least, most))) => {
            let (least, most) = (number("followers_count:", least)?, number("followers_count:", most)?);
            match least <= most {
                true => Ok(Bounds { least, most }),
                false => {
                    Err((format!("no number is inside `{value}`"), "the smaller one comes first".into()))
                }
            }
        }
        ("followers_count" | "min_followers", None) => {
            Ok(Bounds { least: number(&format!("{name}:"), value)?, most: u64::MAX })
        }
        _ => {
            let what =
                format!("expected `>`, `>=`, `<`, `<=`, `=` or a range after `{name}`, found `{rest}`");
            Err((what, "such as `followers>10000` or `followers:[1000 TO 5000]`".into()))
        }
    }
}

/// Reads `[a TO b]`, whose ends count, and `{a TO b}`, whose ends do not; `*` is no limit.
fn range(name: &str, value: &str) -> Result<Bounds, Wrong> {
    let (opens, closes) = (value.starts_with('['), value.ends_with(']'));
    let inside = value[1..].trim_end_matches([']', '}']);
    let words: Vec<&str> = inside.split_whitespace().collect();
    let [least, "TO", most] = words[..] else {
        let what = format!("expected `[least TO most]` after `{name}:`, found `{value}`");
        return Err((what, "such as `followers:[1000 TO 5000]`, or `*` for no limit".into()));
    };
    let shown = format!("{name}:{}", &value[..1]);
    let lower = match least {
        "*" => Some(0),
        digits if opens => Some(number(&shown, digits)?),
        digits => number(&shown, digits)?.checked_add(1),
    };
    let upper = match most {
        "*" => Some(u64::MAX),
        digits if closes => Some(number(&shown, digits)?),
        digits => number(&shown, digits)?.checked_sub(1),
    };
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower <= upper => Ok(Bounds { least: lower, most: upper }),
        _ => Err(nothing_inside(least, most, value)),
    }
}

/// What is wrong with a range that no number is inside.
fn nothing_inside(least: &str, most: &str, value: &str) -> Wrong {
    let what = format!("no number is inside `{value}`");
    let swapped = match (least.parse::<u64>(), most.parse::<u64>()) {
        (Ok(least), Ok(most)) => least > most,
        _ => false,
    };
    match swapped {
        true => (what, "the smaller one comes first".into()),
        false => (what, format!("`{{` and `}}` leave the number beside them out: write [{least} TO {most}]")),
    }
}

fn number(before: &str, digits: &str) -> Result<u64, Wrong> {
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| whole).ok_or_else(|| {
        let what = format!("expected a whole number after `{before}`, found `{digits}`");
        (what, "write it out, such as `followers>10000`".into())
    })
}

/// The shape of a BCP 47 tag, as far as a filter needs it.
fn is_language(value: &str) -> bool {
    let mut parts = value.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether this can be a network's short name.
pub fn is_network(value: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    !value.is_empty() && value.len() <= 64 && value.bytes().all(allowed)
}

/// Whether this can be a handle, without its `@`: `jane`, `jane.bsky.social`, `jane@example.social`.
fn is_handle(value: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    value.starts_with(|c: char| c.is_alphanumeric() || c == '_') && value.chars().all(allowed)
}
