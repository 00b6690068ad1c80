//! Holidays of an iCalendar file (RFC 5545): events of whole days, once or every year.
//!
//! Owns what of that format is understood. Everything else that could move a holiday is refused, never skipped: a time
//! of day, another rule than a yearly one, single dates added. What cannot (summaries, categories, alarms, zones) is not
//! looked at. Called by `read`.

use super::stored;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

/// Events of one file at most.
const EVENTS_MAX: usize = 10_000;
/// Days of one event at most.
const DAYS_MAX: i32 = 366;
/// The last year in which a counted rule may end.
const YEAR_MAX: i16 = 9_000;

/// Whole days, once or every so many years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    #[serde(with = "stored::date")]
    start: Date,
    /// How many days it lasts, from 1 on.
    days: i32,
    rule: Option<Yearly>,
    /// Beginnings that do not take place.
    #[serde(with = "stored::dates")]
    except: BTreeSet<Date>,
}

/// A yearly rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Yearly {
    interval: i16,
    /// The last day on which it may begin.
    #[serde(with = "stored::maybe_date")]
    until: Option<Date>,
    on: On,
}

/// The day of the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum On {
    /// The 25th of December.
    Day { month: i8, day: i8 },
    /// The fourth Thursday of November; the last one is -1.
    Weekday {
        month: i8,
        nth: i8,
        #[serde(with = "stored::weekday")]
        weekday: Weekday,
    },
}

impl On {
    /// The date in a year; a day that the year does not have is left out, as RFC 5545 says.
    fn of(self, year: i16) -> Option<Date> {
        match self {
            On::Day { month, day } => Date::new(year, month, day).ok(),
            On::Weekday { month, nth, weekday } => {
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
        }
    }
}

impl Event {
    /// Whether the date belongs to it.
    pub(super) fn holds(&self, date: Date) -> bool {
        let inside = |start: Date| {
            let days = (date - start).get_days();
            start <= date && days < self.days && !self.except.contains(&start)
        };
        let Some(rule) = &self.rule else { return inside(self.start) };
        // One that began in the year before may reach over its end.
        [date.year() - 1, date.year()].into_iter().any(|year| self.begins(rule, year).is_some_and(inside))
    }

    /// The day on which it begins in a year, if it does.
    fn begins(&self, rule: &Yearly, year: i16) -> Option<Date> {
        let since = year - self.start.year();
        if since < 0 || since % rule.interval != 0 {
            return None;
        }
        let day = rule.on.of(year)?;
        (day >= self.start && rule.until.is_none_or(|until| day <= until)).then_some(day)
    }
}

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) bytes: Range<usize>,
    pub(super) what: String,
    pub(super) hint: String,
}

impl Wrong {
    fn new(bytes: Range<usize>, what: impl Into<String>, hint: impl Into<String>) -> Wrong {
        Wrong { bytes, what: what.into(), hint: hint.into() }
    }
}

/// One unfolded line: name, value, and where it stands. What parameters say, the form of the value says too.
struct Line {
    name: String,
    value: String,
    bytes: Range<usize>,
}

/// Unfolds and splits the lines: one that begins with a blank goes on with the one before.
fn lines(text: &str, wrong: &mut Vec<Wrong>) -> Vec<Line> {
    let mut unfolded: Vec<(String, Range<usize>)> = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\r', '\n']);
        let bytes = at..at + line.len();
        at += raw.len();
        match (line.strip_prefix([' ', '\t']), unfolded.last_mut()) {
            (Some(rest), Some((whole, _))) => whole.push_str(rest),
            _ if line.is_empty() => {}
            _ => unfolded.push((line.trim_start_matches('\u{feff}').to_owned(), bytes)),
        }
    }
    let mut found = Vec::new();
    for (line, bytes) in unfolded {
        let Some((head, value)) = split_value(&line) else {
            let shown: String = line.chars().take(40).collect();
            wrong.push(Wrong::new(
                bytes,
                format!("`{shown}` is no line of iCalendar"),
                "a line is `NAME:value`",
            ));
            continue;
        };
        let name = head.split(';').next().unwrap_or_default().to_ascii_uppercase();
        found.push(Line { name, value: value.trim().to_owned(), bytes });
    }
    found
}

/// Splits at the first colon that stands outside of quotes.
fn split_value(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = line.char_indices().find(|&(_, character)| {
        quoted ^= character == '"';
        character == ':' && !quoted
    });
    at.map(|(at, _)| (&line[..at], &line[at + 1..]))
}

/// Reads a file: its events, and everything wrong with it.
pub(super) fn read(text: &str) -> (Vec<Event>, Vec<Wrong>) {
    let mut wrong = Vec::new();
    let lines = lines(text, &mut wrong);
    let mut events = Vec::new();
    // The components that are open, and the lines of the event that is.
    let mut open: Vec<(String, Range<usize>)> = Vec::new();
    let mut event: Vec<&Line> = Vec::new();
    for line in &lines {
        match line.name.as_str() {
            "BEGIN" => {
                let kind = line.value.to_ascii_uppercase();
                if open.is_empty() && kind != "VCALENDAR" {
                    wrong.push(Wrong::new(
                        line.bytes.clone(),
                        format!("`{kind}` outside of a calendar"),
                        "a file begins with `BEGIN:VCALENDAR`",
                    ));
                }
                if kind == "VEVENT" {
                    event.clear();
                }
                open.push((kind, line.bytes.clone()));
            }
            "END" => {
                let kind = line.value.to_ascii_uppercase();
                match open.pop() {
                    Some((opened, _)) if opened == kind => {}
                    _ => wrong.push(Wrong::new(
                        line.bytes.clone(),
                        format!("`END:{kind}` ends nothing that is open"),
                        "",
                    )),
                }
                if kind == "VEVENT" {
                    events.extend(read_event(&event, line, &mut wrong));
                }
            }
            _ if open.last().is_some_and(|(kind, _)| kind == "VEVENT") => event.push(line),
            _ if open.is_empty() => {
                let hint = "a file begins with `BEGIN:VCALENDAR`";
                wrong.push(Wrong::new(
                    line.bytes.clone(),
                    format!("`{}` outside of a calendar", line.name),
                    hint,
                ));
            }
            _ => {}
        }
    }
    for (kind, bytes) in open {
        wrong.push(Wrong::new(
            bytes,
            format!("`{kind}` is never closed"),
            format!("it ends with `END:{kind}`"),
        ));
    }
    if events.len() > EVENTS_MAX {
        wrong.push(Wrong::new(0..0, format!("{} events, the limit is {EVENTS_MAX}", events.len()), ""));
    }
    if lines.is_empty() {
        wrong.push(Wrong::new(0..0, "it is empty", "a file begins with `BEGIN:VCALENDAR`"));
    }
    (events, wrong)
}

/// Reads one event; `None` when it is called off, or wrong.
fn read_event(lines: &[&Line], end: &Line, wrong: &mut Vec<Wrong>) -> Option<Event> {
    let before = wrong.len();
    let (mut start, mut last, mut length, mut rule) = (None, None, None, None);
    let (mut except, mut called_off) = (BTreeSet::new(), false);
    for line in lines {
        let mut say = |what: String, hint: &str| wrong.push(Wrong::new(line.bytes.clone(), what, hint));
        match line.name.as_str() {
            "DTSTART" => start = date(line, &line.value, wrong).map(|date| (date, *line)),
            "DTEND" => last = date(line, &line.value, wrong).map(|date| (date, *line)),
            "EXDATE" => except.extend(line.value.split(',').filter_map(|value| date(line, value, wrong))),
            "DURATION" => match duration(&line.value) {
                Some(days) => length = Some((days, *line)),
                None => say(format!("`{}` is no duration of whole days", line.value), "write `P1D` or `P1W`"),
            },
            "RRULE" if rule.is_some() => say("a second `RRULE`".to_owned(), "make it an event of its own"),
            "RRULE" => rule = Some(*line),
            "STATUS" => called_off = line.value.eq_ignore_ascii_case("CANCELLED"),
            "RDATE" | "EXRULE" | "RECURRENCE-ID" => {
                say(
                    format!("`{}` is not understood", line.name),
                    "write each such day as an event of its own",
                );
            }
            _ => {}
        }
    }
    let Some((start, at)) = start else {
        if wrong.len() == before {
            wrong.push(Wrong::new(
                end.bytes.clone(),
                "an event without `DTSTART`",
                "such as `DTSTART;VALUE=DATE:20261225`",
            ));
        }
        return None;
    };
    let days = match (last, length) {
        (Some((_, line)), Some(_)) => {
            wrong.push(Wrong::new(
                line.bytes.clone(),
                "`DTEND` and `DURATION` in one event",
                "keep one of them",
            ));
            1
        }
        (Some((last, line)), None) => checked_days((last - start).get_days(), line, wrong),
        (None, Some((days, line))) => checked_days(days, line, wrong),
        // RFC 5545: an event that has only a date lasts one day.
        (None, None) => 1,
    };
    let rule = rule.and_then(|line| yearly(line, start, wrong));
    if let Some(rule) = &rule
        && rule.on.of(start.year()) != Some(start)
    {
        let what = format!("the event begins on {start}, which is no day of its rule");
        wrong.push(Wrong::new(
            at.bytes.clone(),
            what,
            "let it begin on the first day on which it takes place",
        ));
    }
    (wrong.len() == before && !called_off).then_some(Event { start, days, rule, except })
}

fn checked_days(days: i32, line: &Line, wrong: &mut Vec<Wrong>) -> i32 {
    if !(1..=DAYS_MAX).contains(&days) {
        let what = format!("the event lasts {days} days: from 1 to {DAYS_MAX}");
        wrong.push(Wrong::new(line.bytes.clone(), what, "its end is the day after the last"));
    }
    days
}

/// A date, eight digits; a time of day is refused.
fn date(line: &Line, value: &str, wrong: &mut Vec<Wrong>) -> Option<Date> {
    let parsed = day_of(value).filter(|_| value.len() == 8);
    if parsed.is_none() {
        let what = format!("`{value}` in `{}` is no date", line.name);
        let hint = "holidays are whole days: `DTSTART;VALUE=DATE:20261225`";
        wrong.push(Wrong::new(line.bytes.clone(), what, hint));
    }
    parsed
}

/// `P1D` or `P2W`, in days.
fn duration(value: &str) -> Option<i32> {
    let rest = value.strip_prefix('P')?;
    let (digits, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
    let number: i32 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    match unit {
        "D" => Some(number),
        "W" => number.checked_mul(7),
        _ => None,
    }
}

/// The parts of an `RRULE`.
#[derive(Default)]
struct Parts {
    yearly: bool,
    interval: Option<i16>,
    until: Option<Date>,
    count: Option<u32>,
    month: Option<i8>,
    month_day: Option<i8>,
    weekday: Option<(i8, Weekday)>,
}

impl Parts {
    /// Takes one part in; `None` when it is not understood.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        let number = |range: RangeInclusive<i16>| value.parse().ok().filter(|number| range.contains(number));
        let small = |range| number(range).and_then(|number: i16| i8::try_from(number).ok());
        match name.to_ascii_uppercase().as_str() {
            "FREQ" => self.yearly = value.eq_ignore_ascii_case("YEARLY").then_some(true)?,
            "INTERVAL" => self.interval = Some(number(1..=100)?),
            "COUNT" => self.count = Some(value.parse().ok().filter(|&count| count > 0)?),
            // A time after the date does not matter to whole days.
            "UNTIL" => self.until = Some(day_of(value)?),
            "BYMONTH" => self.month = Some(small(1..=12)?),
            "BYMONTHDAY" => self.month_day = Some(small(1..=31)?),
            "BYDAY" => self.weekday = Some(nth_weekday(value)?),
            "WKST" => {}
            _ => return None,
        }
        Some(())
    }

    /// The rule that they make together, or what is wrong with them, and what to do.
    fn rule(&self, start: Date) -> Result<Yearly, (&'static str, &'static str)> {
        if !self.yearly {
            return Err(("`RRULE` without `FREQ=YEARLY`", "only yearly rules are understood"));
        }
        let on = match (self.month, self.month_day, self.weekday) {
            (_, Some(_), Some(_)) => {
                return Err(("`BYMONTHDAY` and `BYDAY` in one rule", "keep one of them"));
            }
            (None, Some(_), None) | (None, None, Some(_)) => {
                let hint = "without it they mean every month, or weeks of the year";
                return Err(("`BYMONTHDAY` and `BYDAY` need `BYMONTH`", hint));
            }
            (Some(month), None, Some((nth, weekday))) => On::Weekday { month, nth, weekday },
            (month, day, None) => {
                On::Day { month: month.unwrap_or(start.month()), day: day.unwrap_or(start.day()) }
            }
        };
        let interval = self.interval.unwrap_or(1);
        let until = match (self.count, self.until) {
            (Some(_), Some(_)) => return Err(("`COUNT` and `UNTIL` in one rule", "keep one of them")),
            (Some(count), None) => Some(last_of(on, start, interval, count)),
            (None, until) => until,
        };
        Ok(Yearly { interval, until, on })
    }
}

/// A yearly rule of an event that begins on `start`.
fn yearly(line: &Line, start: Date, wrong: &mut Vec<Wrong>) -> Option<Yearly> {
    let (before, mut parts) = (wrong.len(), Parts::default());
    for part in line.value.split(';') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if parts.take(name, value).is_none() {
            let hint = "understood are FREQ=YEARLY with INTERVAL, COUNT, UNTIL, BYMONTH with one month, BYMONTHDAY \
                        with one day, and BYDAY such as 4TH or -1MO";
            let what = format!("`{part}` in `RRULE` is not understood");
            wrong.push(Wrong::new(line.bytes.clone(), what, hint));
        }
    }
    if wrong.len() > before {
        return None;
    }
    let rule = parts.rule(start);
    rule.map_err(|(what, hint)| wrong.push(Wrong::new(line.bytes.clone(), what, hint))).ok()
}

/// The day on which a rule takes place for the `count`-th time.
fn last_of(on: On, start: Date, interval: i16, count: u32) -> Date {
    let years = (start.year()..YEAR_MAX).step_by(interval as usize);
    let days = years.filter_map(|year| on.of(year)).filter(|day| *day >= start);
    days.take(count as usize).last().unwrap_or(start)
}

/// The date at the front of a value.
fn day_of(value: &str) -> Option<Date> {
    let digits = value.get(..8).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let number = |range: Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let rest = &value[8..];
    let plain = rest.is_empty() || rest.starts_with('T');
    let (month, day) = (i8::try_from(number(4..6)?).ok()?, i8::try_from(number(6..8)?).ok()?);
    plain.then(|| Date::new(number(0..4)?, month, day).ok())?
}

/// `4TH` or `-1MO`.
fn nth_weekday(value: &str) -> Option<(i8, Weekday)> {
    let (nth, day) = value.split_at_checked(value.len().checked_sub(2)?)?;
    let nth: i8 = nth.strip_prefix('+').unwrap_or(nth).parse().ok()?;
    let weekday = match day.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    ((1..=5).contains(&nth.abs())).then_some((nth, weekday))
}
