//! One TOML table, read key by key; every wrong value and every unknown key is a mistake with its place.
//!
//! Owns the messages about types, ranges and unknown keys. Knows no key by name: `file` says which there are.
//! Walks the parsed document instead of deserialising it, because a deserialiser stops at the first mistake.

use super::duration::{parse_duration, show_duration};
use super::mistake::{Mistakes, Place, did_you_mean};
use crate::model::Millis;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub value: T,
    pub place: Place,
}

/// A table whose keys are being read.
pub(super) struct Table<'t, 'm, 'f> {
    table: &'t DeTable<'t>,
    /// How the user knows it: `[[rule]]`.
    title: &'static str,
    /// Where it begins.
    pub place: Place,
    read: Vec<&'static str>,
    pub mistakes: &'m mut Mistakes<'f>,
}

impl<'t, 'm, 'f> Table<'t, 'm, 'f> {
    pub fn new(
        table: &'t DeTable<'t>,
        title: &'static str,
        place: Place,
        mistakes: &'m mut Mistakes<'f>,
    ) -> Table<'t, 'm, 'f> {
        Table { table, title, place, read: Vec::new(), mistakes }
    }

    fn take(&mut self, key: &'static str) -> Option<(&'t DeValue<'t>, Place)> {
        self.read.push(key);
        let value: &Spanned<DeValue<'t>> = self.table.get(key)?;
        Some((value.get_ref(), self.place.near(value.span())))
    }

    fn wrong_type(&mut self, key: &str, place: &Place, expected: &str, found: &DeValue<'_>) {
        self.mistakes.at(place, format!("`{key}` must be {expected}, found {}", describe(found)), "");
    }

    /// A text that is not empty.
    pub fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let text = self.any_text(key)?;
        if text.value.trim().is_empty() {
            self.mistakes.at(&text.place, format!("`{key}` is empty"), "");
            return None;
        }
        Some(text)
    }

    /// A text, which may be empty.
    pub fn any_text(&mut self, key: &'static str) -> Option<Located<String>> {
        let (value, place) = self.take(key)?;
        match value.as_str() {
            Some(text) => Some(Located { value: text.to_owned(), place }),
            None => {
                self.wrong_type(key, &place, "a text in quotes", value);
                None
            }
        }
    }

    /// Says so when the key is not there; wrong values have been told already.
    pub fn require<T>(&mut self, key: &'static str, value: Option<T>, hint: &str) -> Option<T> {
        if value.is_none() && !self.table.contains_key(key) {
            let (place, what) = (self.place.clone(), format!("{} lacks `{key}`", self.title));
            self.mistakes.at(&place, what, hint);
        }
        value
    }

    /// A list of texts; empty when the key is not there.
    pub fn texts(&mut self, key: &'static str) -> Vec<Located<String>> {
        let Some((value, place)) = self.take(key) else { return Vec::new() };
        let Some(list) = value.as_array() else {
            self.wrong_type(key, &place, "a list of texts, such as [\"tv\"]", value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in list.iter() {
            let place = place.near(item.span());
            match item.get_ref().as_str() {
                Some(text) => texts.push(Located { value: text.to_owned(), place }),
                None => self.wrong_type(key, &place, "a list of texts", item.get_ref()),
            }
        }
        texts
    }

    /// Says so when a list is not there or has no members; wrong values have been told already.
    pub fn require_members(&mut self, key: &'static str, hint: &str) {
        let what = match self.table.get(key) {
            None => format!("{} lacks `{key}`", self.title),
            Some(value) if value.get_ref().as_array().is_some_and(|list| list.is_empty()) => {
                format!("`{key}` in {} is empty", self.title)
            }
            Some(_) => return,
        };
        self.mistakes.at(&self.place, what, hint);
    }

    /// A whole number inside `range`.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        let (value, place) = self.take(key)?;
        let Some(integer) = value.as_integer() else {
            self.wrong_type(key, &place, "a whole number", value);
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        match i64::from_str_radix(&digits, integer.radix()) {
            Ok(number) if range.contains(&number) => Some(Located { value: number, place }),
            _ => {
                let what =
                    format!("`{key} = {integer}` is out of range: from {} to {}", range.start(), range.end());
                self.mistakes.at(&place, what, "");
                None
            }
        }
    }

    /// A duration in milliseconds inside `range`.
    pub fn duration(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        let (value, place) = self.take(key)?;
        let Some(text) = value.as_str() else {
            self.wrong_type(key, &place, "a duration in quotes, such as \"72h\"", value);
            return None;
        };
        match parse_duration(text) {
            Ok(ms) if range.contains(&ms) => return Some(Located { value: ms, place }),
            Ok(_) => {
                let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
                self.mistakes.at(
                    &place,
                    format!("`{key} = \"{text}\"` is out of range: from {least} to {most}"),
                    "",
                );
            }
            Err(expected) => {
                self.mistakes.at(&place, format!("`{key} = \"{text}\"` is no duration"), expected)
            }
        }
        None
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<Located<bool>> {
        let (value, place) = self.take(key)?;
        match value.as_bool() {
            Some(value) => Some(Located { value, place }),
            None => {
                self.wrong_type(key, &place, "true or false, without quotes", value);
                None
            }
        }
    }

    /// Whether the key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether it has no key at all.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// A table inside this one; its mistakes call it `title`.
    pub fn table(&mut self, key: &'static str, title: &'static str) -> Option<Table<'t, '_, 'f>> {
        let (value, place) = self.take(key)?;
        match value.as_table() {
            Some(table) => Some(Table::new(table, title, place, &mut *self.mistakes)),
            None => {
                self.wrong_type(key, &place, "a table, such as { … }", value);
                None
            }
        }
    }

    /// A moment: in milliseconds, and as RFC 3339. TOML's own offset date-time and a text in quotes mean the same.
    pub fn time(&mut self, key: &'static str) -> Option<Located<(Millis, String)>> {
        let (value, place) = self.take(key)?;
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            other => {
                self.wrong_type(key, &place, "a time such as 2026-11-22T09:14:03Z", other);
                return None;
            }
        };
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Some(Located { value: (Millis(time.as_millisecond()), time.to_string()), place }),
            Err(_) => {
                let what = format!("`{key} = \"{text}\"` is no time");
                self.mistakes.at(&place, what, "write date, time and offset: 2026-11-22T09:14:03Z");
                None
            }
        }
    }

    /// One of a closed list of names.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<Located<T>> {
        let text = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(Located { value: *value, place: text.place });
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let what = format!("`{key} = \"{}\"` is not known: expected {}", text.value, names.join(", "));
        self.mistakes.at(&text.place, what, did_you_mean(&text.value, choices.iter().map(|(name, _)| *name)));
        None
    }

    /// Reports every key that was not asked for; `later` are keys of later releases.
    pub fn finish(self, later: &[&str]) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.read.contains(&name) {
                continue;
            }
            let place = self.place.near(key.span());
            if later.contains(&name) {
                self.mistakes.at(&place, format!("`{name}` in {} is not there yet", self.title), "");
            } else {
                let hint = did_you_mean(name, self.read.iter().copied());
                self.mistakes.at(&place, format!("unknown key `{name}` in {}", self.title), hint);
            }
        }
    }
}

/// What a value is, in words.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{}\"", text.chars().take(40).collect::<String>()),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}
