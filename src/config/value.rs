//! How one setting is read from TOML and shown in the manual.
//!
//! Owns the accepted spellings of numbers, durations and tables of text. Reads no file. Used by `settings`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// What may stand on the right of a key.
pub trait Setting: Sized {
    /// What the manual calls it.
    const KIND: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// What was expected.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;

    /// As it would be written in the file; empty when there is nothing to write.
    fn show(&self) -> String;
}

fn expected<T>(what: &str, value: &DeValue<'_>) -> Result<T, String> {
    let found = match value {
        DeValue::String(text) => format!("the text \"{}\"", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => format!("the number {number}"),
        other => format!("a {}", other.type_str()),
    };
    Err(format!("expected {what}, found {found}"))
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(value: &DeValue<'_>) -> Result<String, String> {
        match value {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            other => expected("text in quotes", other),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn read(value: &DeValue<'_>) -> Result<PathBuf, String> {
        String::read(value).map(PathBuf::from)
    }

    fn show(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<bool, String> {
        match value {
            DeValue::Boolean(flag) => Ok(*flag),
            other => expected("true or false", other),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const KIND: &'static str = "number";

    fn read(value: &DeValue<'_>) -> Result<u32, String> {
        match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
                .or_else(|_| expected("a whole number from 0 to 4294967295", value)),
            other => expected("a whole number", other),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    const KIND: &'static str = "duration";

    fn read(value: &DeValue<'_>) -> Result<Duration, String> {
        let wanted = "a duration such as \"10s\" (ms, s, m, h, d)";
        let DeValue::String(text) = value else {
            return expected(wanted, value);
        };
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let unit = match &text[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return expected(wanted, value),
        };
        let ms = text[..digits].parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
        ms.map_or_else(|| expected(wanted, value), |ms| Ok(Duration::from_millis(ms)))
    }

    fn show(&self) -> String {
        let ms = self.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let unit = units.iter().find(|(size, _)| ms >= *size && ms.is_multiple_of(*size));
        unit.map_or_else(|| "\"0s\"".to_owned(), |(size, name)| format!("\"{}{name}\"", ms / size))
    }
}

impl Setting for BTreeMap<String, String> {
    const KIND: &'static str = "table";

    fn read(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, String> {
        let DeValue::Table(table) = value else {
            // What was written may hold a password that was meant for a table: it is not shown.
            return Err(format!("expected a table, found a {}", value.type_str()));
        };
        let mut texts = BTreeMap::new();
        for (key, value) in table {
            let text = match value.get_ref() {
                DeValue::String(text) => text.clone().into_owned(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                other => return expected("text, a number, true or false for each key", other),
            };
            texts.insert(key.get_ref().clone().into_owned(), text);
        }
        Ok(texts)
    }

    fn show(&self) -> String {
        String::new()
    }
}
