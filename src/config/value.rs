//! How one setting is read from TOML and shown in the manual.
//!
//! Owns the accepted spellings of numbers, durations and tables of text. Reads no file. Used by `settings`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// Units of durations, largest first.
const UNITS: [(u64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];

/// What may stand on the right of a key.
pub trait Setting: Sized {
    /// What the manual calls it.
    const KIND: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// What was expected and found, and what was probably meant.
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong>;

    /// As it would be written in the file; empty when there is nothing to write.
    fn show(&self) -> String;

    /// Sets one entry of a table; nothing else has parts.
    fn set_part(&mut self, _name: &str, _text: &str) {}
}

/// Why a value cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What was expected, and what was found.
    pub what: String,
    /// What was probably meant; may be empty.
    pub hint: String,
}

fn expected<T>(what: &str, value: &DeValue<'_>, hint: String) -> Result<T, Wrong> {
    let found = match value {
        DeValue::String(text) => format!("the text \"{}\"", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    };
    Err(Wrong { what: format!("expected {what}, found {found}"), hint })
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(value: &DeValue<'_>) -> Result<String, Wrong> {
        match value {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(number) => expected("text in quotes", value, format!("write \"{number}\"")),
            DeValue::Array(_) => expected("text in quotes", value, "write one text, not a list".to_owned()),
            other => expected("text in quotes", other, String::new()),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn read(value: &DeValue<'_>) -> Result<PathBuf, Wrong> {
        String::read(value).map(PathBuf::from)
    }

    fn show(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<bool, Wrong> {
        match value {
            DeValue::Boolean(flag) => Ok(*flag),
            DeValue::String(text) if matches!(&**text, "true" | "false") => {
                expected("true or false", value, format!("write {text}, without quotes"))
            }
            other => expected("true or false", other, String::new()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const KIND: &'static str = "number";

    fn read(value: &DeValue<'_>) -> Result<u32, Wrong> {
        match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
                .or_else(|_| expected("a whole number from 0 to 4294967295", value, String::new())),
            DeValue::String(text) => {
                let (digits, unit) = number_and_rest(text);
                let is_unit = unit.chars().all(|c| c.is_alphabetic() || c == ' ');
                let hint = match whole(text) {
                    Some(number) if unit.is_empty() => format!("write {number}, without quotes"),
                    Some(number) => format!("write {number}"),
                    // Which number that is depends on the unit that was meant.
                    None if !digits.is_empty() && is_unit => {
                        "write the number alone: its unit is in the setting's name".to_owned()
                    }
                    None => String::new(),
                };
                expected("a whole number", value, hint)
            }
            DeValue::Float(number) => {
                let hint = whole(number.as_str()).map(|number| format!("write {number}"));
                expected("a whole number", value, hint.unwrap_or_default())
            }
            other => expected("a whole number", other, String::new()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The number that is meant by `1e3`, `1000` or `512.0`, if it is whole and a setting may have it.
fn whole(text: &str) -> Option<u32> {
    let number: f64 = text.parse().ok()?;
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    fits.then_some(number as u32)
}

/// The digits that a text begins with, and the rest.
fn number_and_rest(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len())
}

/// The milliseconds of a number with its unit.
fn milliseconds(count: &str, unit: &str) -> Option<u64> {
    let (size, _) = UNITS.iter().find(|(_, name)| *name == unit)?;
    count.parse::<u64>().ok()?.checked_mul(*size)
}

/// The sum of several with their units, such as `1m30s`; none when there is something else in it.
fn summed(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text.trim(), 0_u64);
    while !rest.is_empty() {
        let (count, after) = number_and_rest(rest);
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        sum = sum.checked_add(milliseconds(count, &after[..end])?)?;
        rest = after[end..].trim_start();
    }
    Some(Duration::from_millis(sum))
}

impl Setting for Duration {
    const KIND: &'static str = "duration";

    fn read(value: &DeValue<'_>) -> Result<Duration, Wrong> {
        let wanted = "a duration such as \"10s\" (ms, s, m, h, d)";
        let text = match value {
            DeValue::String(text) => text,
            DeValue::Integer(number) => {
                return expected(wanted, value, format!("with its unit: \"{number}s\" for seconds"));
            }
            other => return expected(wanted, other, String::new()),
        };
        let (count, unit) = number_and_rest(text);
        if let Some(ms) = milliseconds(count, unit) {
            return Ok(Duration::from_millis(ms));
        }
        if let Some(sum) = summed(text).filter(|sum| !sum.is_zero()) {
            return expected(wanted, value, format!("did you mean {}?", sum.show()));
        }
        // `10 sec`, `5 minutes` and `30S` begin like a unit; `ms` does before `m`.
        let meant = unit.trim().to_ascii_lowercase();
        let word = meant.chars().all(char::is_alphabetic);
        let near = ["ms", "mil", "s", "m", "h", "d"].iter().find(|near| word && meant.starts_with(*near));
        let near = near.map(|near| if *near == "mil" { "ms" } else { near });
        let hint = match (count, near) {
            ("", _) => String::new(),
            (count, Some(near)) => format!("did you mean \"{count}{near}\"?"),
            (count, None) if unit.trim().is_empty() => format!("with its unit: \"{count}s\" for seconds"),
            _ => String::new(),
        };
        expected(wanted, value, hint)
    }

    fn show(&self) -> String {
        let ms = self.as_millis();
        let fits = |size: u64| ms >= u128::from(size) && ms.is_multiple_of(u128::from(size));
        let unit = UNITS.iter().find(|(size, _)| fits(*size));
        unit.map_or_else(
            || "\"0s\"".to_owned(),
            |(size, name)| format!("\"{}{name}\"", ms / u128::from(*size)),
        )
    }
}

/// A table of texts. Keys with dots may be written without quotes (`linger.ms = 5`), which TOML reads as tables in
/// tables: they are joined again.
impl Setting for BTreeMap<String, String> {
    const KIND: &'static str = "table";

    fn read(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, Wrong> {
        let DeValue::Table(table) = value else {
            // What was written may hold a password that was meant for a table: it is not shown.
            let what = format!("expected a table, found a {}", value.type_str());
            return Err(Wrong { what, hint: String::new() });
        };
        let mut texts = BTreeMap::new();
        join(table, "", &mut texts)?;
        Ok(texts)
    }

    fn show(&self) -> String {
        String::new()
    }

    fn set_part(&mut self, name: &str, text: &str) {
        self.insert(name.to_owned(), text.to_owned());
    }
}

fn join(table: &DeTable<'_>, before: &str, texts: &mut BTreeMap<String, String>) -> Result<(), Wrong> {
    for (key, value) in table {
        let name = format!("{before}{}", key.get_ref());
        let text = match value.get_ref() {
            DeValue::Table(inner) => {
                join(inner, &format!("{name}."), texts)?;
                continue;
            }
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(flag) => flag.to_string(),
            other => {
                let wanted = format!("text, a number, true or false for `{name}`");
                return expected(&wanted, other, String::new());
            }
        };
        texts.insert(name, text);
    }
    Ok(())
}
