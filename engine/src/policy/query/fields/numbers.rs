//! Reads what is asked of a number: comparisons and ranges.
//!
//! Owns their messages. May not know which field it is but by the name in the message. Called by `fields` alone.

use crate::policy::query::field::Bounds;
use crate::policy::query::lex::Wrong;

/// Reads `>n`, `:>n`, `:[a TO b]` and the numbers of Twitter's fields.
pub fn followers(name: &str, rest: &str) -> Result<Bounds, Wrong> {
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
