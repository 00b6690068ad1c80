//! Reads fields: `name:value`, comparisons, sets and ranges.
//!
//! Owns the names of fields, the names that Twitter, Lucene and Brandwatch have for the same, and every message about a
//! value. May not know where a field's value comes from. Called by `lex` alone.

mod numbers;

use super::field::Field;
use super::lex::Wrong;
use super::tree::{Expression, Mark};
use super::{foreign_fields, languages};
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
    let (name, rest) = split(word)?;
    let looks_like_a_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    looks_like_a_name.then_some((name, rest))
}

/// What stands before the first sign, and the rest with its sign.
fn split(word: &str) -> Option<(&str, &str)> {
    let sign = word.find([':', '>', '<', '='])?;
    let differs = word[sign..].starts_with('=') && word[..sign].ends_with('!');
    Some(word.split_at(if differs { sign - 1 } else { sign }))
}

/// What is wrong with a word that asks for a field by the name of another tool, which has signs in it: `min-followers:10`,
/// `user.lang:en`, `@timestamp:2020`. None for `example.com:443`: addresses and emoticons are words.
pub fn foreign_name(word: &str) -> Option<Wrong> {
    let (name, rest) = split(word)?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let plain = name.strip_prefix('@').unwrap_or(name);
    if !plain.starts_with(|c: char| c.is_ascii_alphabetic()) || !plain.bytes().all(is_name) {
        return None;
    }
    let shown = if rest == ":" { ":…" } else { rest };
    let ours = |name: &str| is_name_of_field(name).then(|| format!("write {name}{shown}"));
    let known = |name: &str| ours(name).or_else(|| foreign_fields::instead(name, rest));
    let parts = plain.split_once('.').map(|(first, _)| first).zip(plain.rsplit('.').next());
    let hint = match parts {
        _ if plain.len() < name.len() => foreign_fields::instead(name, rest),
        Some((first, last)) => known(last).or_else(|| {
            let is_of_a_mention = FIELDS.contains(&first) || matches!(first, "user" | "mention");
            is_of_a_mention.then(|| "docs/rules.md lists the fields".to_owned())
        }),
        None => known(&plain.replace('-', "_")),
    }?;
    let what = format!("there is no field `{name}`");
    Some((what, format!("{hint}; to search for the text itself, write \"{word}\"")))
}

/// Whether a word names a field of ours.
fn is_name_of_field(word: &str) -> bool {
    FIELDS.contains(&word) || ALIASES.contains(&word)
}

/// What is wrong with a field that has blanks in it, as in `followers > 1000`, and the bytes of `rest`, which follows the
/// word `name`, that belong to it. Emoticons may stand behind a word: `my account :D`, `who is it =)`, `love is <3`.
pub fn in_pieces(name: &str, rest: &str) -> Option<(usize, Wrong)> {
    let after = rest.trim_start();
    if !is_name_of_field(name) || after.len() == rest.len() {
        return None;
    }
    let length = after.find(|c| !matches!(c, ':' | '>' | '<' | '=' | '!')).unwrap_or(after.len());
    let (sign, behind) = after.split_at(length);
    let is_sign = match sign {
        ":" | "=" | "==" | "!=" => true,
        ">" | ">=" | "<" | "<=" => is_number_field(name),
        _ => false,
    };
    let value = behind.trim_start();
    let bracket = value.chars().next().and_then(|opens| match opens {
        '(' => Some(')'),
        '[' | '{' => Some(']'),
        '"' => Some('"'),
        _ => None,
    });
    let length = match bracket {
        // An emoticon, or what is never closed.
        Some(_) if value.len() == behind.len() && sign.len() == 1 => None,
        Some(closes) => value[1..].find([closes, '}']).map(|at| 1 + at + closes.len_utf8()),
        None => Some(
            value.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).unwrap_or(value.len()),
        ),
    };
    let written = &value[..length?];
    let begins =
        written.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '@' | '*' | '(' | '[' | '{' | '"'));
    let is_emoticon = value.len() == behind.len() && written.chars().count() < 2 && !is_number_field(name);
    if !is_sign || !begins || is_emoticon {
        return None;
    }
    let bytes = rest.len() - value.len() + written.len();
    let instead = match sign {
        "!=" | "==" | "=" if !is_number_field(name) => format!("{name}:{written}"),
        "!=" | "==" => format!("{name}={written}"),
        _ => format!("{name}{sign}{written}"),
    };
    let not = if sign == "!=" { "NOT " } else { "" };
    let what = format!("blanks inside the field `{name}{}`: expected none", &rest[..bytes]);
    Some((bytes, (what, format!("write {not}{instead}"))))
}

/// Reads a field; `rest` is its sign and its value. A value in quotes is taken as it stands.
pub fn read(name: &str, rest: &str, filter: bool) -> Result<Field, Wrong> {
    let quoted = rest.strip_prefix(":\"").and_then(|rest| rest.strip_suffix('"'));
    let rest = &quoted.map_or_else(|| rest.to_owned(), |value| format!(":{value}"))[..];
    check_name(name, rest, filter)?;
    if let Some(value) = rest.strip_prefix("!=") {
        let sign = if is_number_field(name) { '=' } else { ':' };
        let value = if value.is_empty() { "…" } else { value };
        let what = format!("`!=` after `{name}` is no operator here: expected `{sign}`");
        return Err((what, format!("write NOT {name}{sign}{value}")));
    }
    if is_number_field(name) {
        return numbers::followers(name, rest).map(Field::Followers);
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
    let doubt = if quoted.is_some() { None } else { doubtful(name, value) };
    let field = read_value(name, value)?;
    doubt.map_or(Ok(field), Err)
}

/// What is probably wrong with a value that may be right all the same; in quotes it is taken.
fn doubtful(name: &str, value: &str) -> Option<Wrong> {
    match name {
        "lang" | "language" => languages::doubtful(value),
        "network" if is_foreign_network(value) => {
            let what = format!("the network `{value}` has the name `x`, which the presets give it");
            Some((
                what,
                format!("write network:x; for a producer that writes just that, network:\"{value}\""),
            ))
        }
        // Twitter's `from:` takes both.
        "author" | "from" if value.bytes().all(|b| b.is_ascii_digit()) => {
            let what =
                format!("`{value}` after `{name}:` looks like an author's id: rules know authors by handle");
            Some((what, format!("write author:@handle; if {value} is the handle, author:@{value}")))
        }
        _ => None,
    }
}

/// Whether a value has to stand in quotes to be taken as it is.
pub fn needs_quotes(name: &str, value: &str) -> bool {
    doubtful(name, value).is_some()
}

fn is_foreign_network(value: &str) -> bool {
    matches!(value, "twitter" | "twitter.com" | "x.com")
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
                match read(name, &format!(":{written}"), filter) {
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
    if is_name_of_field(name) {
        return Ok(());
    }
    if FIELDS_LATER.contains(&name) {
        let what = format!("the field `{name}` is not there yet: nothing computes it");
        return Err((what, "a rule that asked for it would never match".into()));
    }
    let what = format!("there is no field `{name}`");
    if let Some(instead) = foreign_fields::instead(name, rest) {
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
        "tag" if value.contains(|c: char| c.is_whitespace() || matches!(c, '\\' | '"' | '(' | ')')) => {
            wrong("a tag such as `tv`")
        }
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
    if singular == "cashtag" {
        let names = known.map(|(name, _)| format!("`{name}`")).join(", ");
        let what = format!("there is no feature `{value}`: expected {names}");
        return Err((what, "write /\\$[a-z]+\\b/; one cashtag is written in quotes: \"$TSLA\"".into()));
    }
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
