//! From `[[calendar]]` tables to calendars: zones, hours and holidays are checked, every mistake is told.
//!
//! Owns the spelling of hours and dates, and the limits. Called by `file` for each table and by `compile` once for all.

use super::super::mistake::{Mistakes, Place, did_you_mean};
use super::super::table::{Located, Table};
use super::ical;
use super::{Calendar, DAY, Hours};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::collections::{BTreeMap, BTreeSet};

/// Intervals of one day at most: nobody opens more often than once an hour.
const INTERVALS_MAX: usize = 24;
/// Holidays that one calendar may list.
const HOLIDAYS_MAX: usize = 10_000;
/// The days of the week, as they are spelled.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A calendar as a file says it.
pub(in super::super) struct CalendarText {
    pub name: Option<Located<String>>,
    zone: Option<Located<String>>,
    /// From Monday on.
    week: [Vec<Located<String>>; 7],
    holidays: Vec<Located<String>>,
    holidays_ical: Option<Located<String>>,
}

/// Reads a `[[calendar]]`.
pub(in super::super) fn read_calendar(mut table: Table<'_, '_, '_>) -> CalendarText {
    let (name, zone) = (table.text("name"), table.text("zone"));
    let name = table.require("name", name, "desks name their calendar by it");
    let zone = table.require("zone", zone, "such as zone = \"Europe/Berlin\"");
    let mut week: [Vec<Located<String>>; 7] = Default::default();
    if !table.has("hours") {
        table.require::<()>("hours", None, "such as [calendar.hours] with mon = [\"09:00-18:00\"]");
    }
    if let Some(mut hours) = table.table("hours", "[calendar.hours]") {
        for (day, name) in week.iter_mut().zip(DAYS) {
            *day = hours.texts(name);
        }
        hours.finish(&[]);
    }
    let holidays = table.texts("holidays");
    let holidays_ical = table.text("holidays_ical");
    table.finish(&[]);
    CalendarText { name, zone, week, holidays, holidays_ical }
}

/// The files of the bundle by their numbers.
type Numbered<'f> = BTreeMap<&'f str, (usize, &'f str)>;

/// Makes the calendars, by name; `files` are those of the bundle. What is missing for want of a right value has its
/// mistake.
pub(in super::super) fn calendars(
    texts: &[CalendarText],
    files: &BTreeMap<String, String>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<Calendar> {
    let files =
        files.iter().enumerate().map(|(number, (path, text))| (path.as_str(), (number, text.as_str())));
    let files: Numbered<'_> = files.filter(|(path, _)| path.ends_with(".ics")).collect();
    let mut made: BTreeMap<String, Calendar> = BTreeMap::new();
    let mut used: BTreeMap<usize, Vec<ical::Event>> = BTreeMap::new();
    for text in texts {
        let zone = text.zone.as_ref().and_then(|zone| find_zone(zone, mistakes));
        let week = read_week(&text.week, mistakes);
        let days = holidays(&text.holidays, mistakes);
        let events = text.holidays_ical.as_ref().map(|path| events(path, &files, &mut used, mistakes));
        if let (Some(name), Some(zone)) = (&text.name, zone) {
            let (name, events) = (name.value.clone(), events.unwrap_or_default());
            made.entry(name.clone()).or_insert(Calendar { name, zone, week, days, events });
        }
    }
    made.into_values().collect()
}

/// The zone of that name in the database that is part of this program.
fn find_zone(zone: &Located<String>, mistakes: &mut Mistakes<'_>) -> Option<TimeZone> {
    let database = TimeZoneDatabase::bundled();
    let found = database.get(&zone.value).ok();
    // Names are found whatever their case; written is the one spelling that everybody knows.
    let spelled = found.as_ref().and_then(TimeZone::iana_name);
    if spelled == Some(zone.value.as_str()) {
        return found;
    }
    let hint = match spelled {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let known: Vec<String> = database.available().map(|name| name.to_string()).collect();
            let near = did_you_mean(&zone.value, known.iter().map(String::as_str));
            if near.is_empty() {
                "a name of the IANA database, such as `Europe/Berlin`".to_owned()
            } else {
                near
            }
        }
    };
    mistakes.at(&zone.place, format!("there is no time zone `{}`", zone.value), hint);
    None
}

fn read_week(texts: &[Vec<Located<String>>; 7], mistakes: &mut Mistakes<'_>) -> [Vec<Hours>; 7] {
    let mut week: [Vec<Hours>; 7] = Default::default();
    // Every interval of the week from Monday's midnight on, in minutes.
    let mut all: Vec<(u16, u16, &Located<String>)> = Vec::new();
    for (day, texts) in texts.iter().enumerate() {
        if let Some(beyond) = texts.get(INTERVALS_MAX) {
            let what = format!("`{}` has {} intervals, the limit is {INTERVALS_MAX}", DAYS[day], texts.len());
            mistakes.at(&beyond.place, what, "");
        }
        for text in texts.iter().take(INTERVALS_MAX) {
            match interval(&text.value) {
                Ok(hours) => {
                    let midnight = day as u16 * DAY;
                    all.push((midnight + hours.from, midnight + hours.to, text));
                    week[day].push(hours);
                }
                Err(hint) => {
                    mistakes.at(&text.place, format!("`{}` is no interval of hours", text.value), hint)
                }
            }
        }
        week[day].sort_unstable();
    }
    all.sort_by_key(|&(from, to, _)| (from, to));
    // Sunday's night reaches into Monday.
    let around = all.first().map(|&(from, to, text)| (from + 7 * DAY, to + 7 * DAY, text));
    let next = all.iter().copied().skip(1).chain(around);
    for (one, other) in all.iter().copied().zip(next) {
        if other.0 < one.1 && !std::ptr::eq(one.2, other.2) {
            let what = format!("`{}` overlaps `{}`", other.2.value, one.2.value);
            mistakes.at(&other.2.place, what, "join them, or let one end where the other begins");
        }
    }
    week
}

/// `09:00-18:00`, `22:00-06:00`, `09:00-24:00`.
fn interval(text: &str) -> Result<Hours, &'static str> {
    const EXPECTED: &str =
        "write hours and minutes: `09:00-18:00`, `22:00-06:00` past midnight, `24:00` as an end";
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hour) || !digits(minute) {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-').ok_or(EXPECTED)?;
    let (from, to) = (minute(from).ok_or(EXPECTED)?, minute(to).ok_or(EXPECTED)?);
    if from == to {
        return Err("it is empty; the whole day is `00:00-24:00`");
    }
    if from == DAY {
        return Err("no interval begins at 24:00: write 00:00 on the next day");
    }
    Ok(Hours { from, to: if to > from { to } else { to + DAY } })
}

fn holidays(texts: &[Located<String>], mistakes: &mut Mistakes<'_>) -> BTreeSet<Date> {
    let mut days = BTreeSet::new();
    if let Some(beyond) = texts.get(HOLIDAYS_MAX) {
        mistakes.at(&beyond.place, format!("{} holidays, the limit is {HOLIDAYS_MAX}", texts.len()), "");
    }
    for text in texts.iter().take(HOLIDAYS_MAX) {
        match text.value.parse::<Date>() {
            Ok(date) if text.value == date.to_string() => drop(days.insert(date)),
            _ => mistakes.at(
                &text.place,
                format!("`{}` is no date", text.value),
                "write year, month and day: \"2026-12-25\"",
            ),
        }
    }
    days
}

/// The events of an iCalendar file of the bundle, read once however many calendars name it.
fn events(
    path: &Located<String>,
    files: &Numbered<'_>,
    used: &mut BTreeMap<usize, Vec<ical::Event>>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<ical::Event> {
    let Some(&(number, text)) = files.get(path.value.as_str()) else {
        let near = did_you_mean(&path.value, files.keys().copied());
        let hint = if near.is_empty() {
            "a path inside the policy folder that ends in `.ics`".to_owned()
        } else {
            near
        };
        mistakes.at(&path.place, format!("there is no file `{}` in the policy", path.value), hint);
        return Vec::new();
    };
    used.entry(number)
        .or_insert_with(|| {
            let (events, wrong) = ical::read(text);
            for wrong in wrong {
                mistakes.at(&Place { file: number, start: 0, bytes: wrong.bytes }, wrong.what, wrong.hint);
            }
            events
        })
        .clone()
}
