//! Opening hours over changes of the clock, midnights and holidays, beside an oracle that goes minute by minute.

use super::{Calendar, TIME_ZONES_PATH, note_time_zones, time_zones_version};
use crate::model::Millis;
use crate::policy::{Bundle, Policy};
use jiff::civil::{Date, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;
use std::collections::BTreeMap;

const REST: &str = "[[desk]]\nname = \"care\"\nlog_partition = 0\n[[queue]]\nname = \"care.all\"\ndesk = \"care\"\n\
    [workflow]\ndefault = \"care.all\"\n[fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n";

fn files(calendars: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = [("calendars.toml", calendars), ("rest.toml", REST)];
    all.iter().chain(more).map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn compiled(calendars: &str, more: &[(&str, &str)]) -> Policy {
    let bundle = Bundle { files: files(calendars, more) };
    Policy::compile(&bundle).unwrap_or_else(|mistakes| {
        panic!("{}", mistakes.iter().map(|mistake| format!("{mistake}\n")).collect::<String>())
    })
}

/// The calendar of one zone with these lines.
fn calendar(zone: &str, lines: &str) -> Calendar {
    let text = format!("[[calendar]]\nname = \"c\"\nzone = \"{zone}\"\n{lines}\n");
    compiled(&text, &[]).calendars()[0].clone()
}

fn at(time: &str) -> Millis {
    Millis(time.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{time}: {error}")).as_millisecond())
}

/// The instants from `from` on at which it opens or closes, as far as they lie before `to`.
fn changes(calendar: &Calendar, from: &str, to: &str) -> Vec<String> {
    let (mut now, mut found) = (at(from), Vec::new());
    while let Some(next) = calendar.next_change(now).filter(|&next| next < at(to)) {
        let open = if calendar.open_at(next) { "opens" } else { "closes" };
        assert_ne!(calendar.open_at(Millis(next.0 - 1)), calendar.open_at(next), "it changes there");
        let shown = jiff::Timestamp::from_millisecond(next.0).unwrap();
        found.push(format!("{open} {shown}"));
        now = next;
    }
    found
}

#[test]
fn an_interval_holds_its_first_minute_and_not_its_last() {
    let berlin = calendar("Europe/Berlin", "[calendar.hours]\nmon = [\"09:00-12:30\", \"13:30-18:00\"]");
    for (time, open) in [
        ("2026-11-23T07:59:59.999Z", false),
        ("2026-11-23T08:00:00Z", true),
        ("2026-11-23T11:29:59.999Z", true),
        ("2026-11-23T11:30:00Z", false),
        ("2026-11-23T12:30:00Z", true),
        ("2026-11-23T17:00:00Z", false),
        ("2026-11-24T08:00:00Z", false),
    ] {
        assert_eq!(berlin.open_at(at(time)), open, "{time}");
    }
    assert_eq!(berlin.next_change(at("2026-11-23T17:00:00Z")), Some(at("2026-11-30T08:00:00Z")));
}

#[test]
fn hours_that_the_clock_skips_do_not_exist_and_an_hour_that_it_shows_twice_is_open_twice() {
    let berlin = calendar("Europe/Berlin", "[calendar.hours]\nsun = [\"02:30-04:00\"]");
    let spring = changes(&berlin, "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z");
    assert_eq!(
        spring,
        ["opens 2026-03-29T01:00:00Z", "closes 2026-03-29T02:00:00Z"],
        "at three, by the wall"
    );
    let autumn = changes(&berlin, "2026-10-24T12:00:00Z", "2026-10-26T00:00:00Z");
    let twice = [
        "opens 2026-10-25T00:30:00Z",
        "closes 2026-10-25T01:00:00Z",
        "opens 2026-10-25T01:30:00Z",
        "closes 2026-10-25T03:00:00Z",
    ];
    assert_eq!(autumn, twice, "the clock shows 2:30 twice, and 2:00 between");
    let night = calendar("America/New_York", "[calendar.hours]\nsat = [\"22:00-06:00\"]");
    let longer = changes(&night, "2026-10-31T12:00:00Z", "2026-11-02T00:00:00Z");
    assert_eq!(longer, ["opens 2026-11-01T02:00:00Z", "closes 2026-11-01T11:00:00Z"], "nine hours");
}

#[test]
fn what_goes_past_midnight_belongs_to_the_day_on_which_it_begins() {
    let lines = "holidays = [\"2026-12-25\"]\n[calendar.hours]\nthu = [\"22:00-06:00\"]\nfri = [\"22:00-06:00\"]\n\
                 sun = [\"12:00-24:00\"]\nmon = [\"00:00-01:00\"]";
    let london = calendar("Europe/London", lines);
    let week = changes(&london, "2026-12-14T12:00:00Z", "2026-12-22T00:00:00Z");
    let expected = [
        "opens 2026-12-17T22:00:00Z",
        "closes 2026-12-18T06:00:00Z",
        "opens 2026-12-18T22:00:00Z",
        "closes 2026-12-19T06:00:00Z",
        "opens 2026-12-20T12:00:00Z",
        "closes 2026-12-21T01:00:00Z",
    ];
    assert_eq!(week, expected, "where one ends at 24:00 and the next begins at 0:00 nothing closes");
    let holiday = changes(&london, "2026-12-24T12:00:00Z", "2026-12-27T00:00:00Z");
    let expected = ["opens 2026-12-24T22:00:00Z", "closes 2026-12-25T00:00:00Z"];
    assert_eq!(
        holiday, expected,
        "the holiday ends the night before at midnight, and has no night of its own"
    );
}

#[test]
fn a_calendar_that_never_changes_says_so() {
    let day = "[\"00:00-24:00\"]";
    let all =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|name| format!("{name} = {day}\n")).concat();
    let always = calendar("Asia/Tokyo", &format!("[calendar.hours]\n{all}"));
    assert!(always.open_at(Millis(i64::MAX)) && always.open_at(Millis(i64::MIN)));
    assert_eq!(always.next_change(at("2026-11-23T00:00:00Z")), None);
    let never = calendar("Asia/Tokyo", "[calendar.hours]\n");
    assert_eq!((never.open_at(at("2026-11-23T00:00:00Z")), never.next_change(Millis(0))), (false, None));
}

const HOLIDAYS: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n\
    BEGIN:VTIMEZONE\r\nTZID:Europe/London\r\nBEGIN:STANDARD\r\nDTSTART:19701025T020000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20201225\r\nDTEND;VALUE=DATE:20201227\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Christmas\r\n  and a fold\r\n\
    EXDATE;VALUE=DATE:20271225\r\nBEGIN:VALARM\r\nTRIGGER:-P1D\r\nEND:VALARM\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261126\r\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=2\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261231\r\nDURATION:P1W\r\nRRULE:FREQ=YEARLY;UNTIL=20271231T000000Z\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY;COUNT=2\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260501\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260601\r\nSUMMARY:once\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

#[test]
fn holidays_of_a_calendar_file_are_days_off_once_or_every_year() {
    let all =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|day| format!("{day} = [\"00:00-24:00\"]\n"));
    let text = format!(
        "[[calendar]]\nname = \"uk\"\nzone = \"UTC\"\nholidays_ical = \"off/uk.ics\"\n[calendar.hours]\n{}",
        all.concat()
    );
    let policy = compiled(&text, &[("off/uk.ics", HOLIDAYS)]);
    let uk = &policy.calendars()[0];
    let off = |year: i16| -> Vec<String> {
        let days = date(year, 1, 1).series(jiff::Span::new().days(1)).take_while(|day| day.year() == year);
        let noon = |day: &Date| {
            Millis(day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond())
        };
        days.filter(|day| !uk.open_at(noon(day))).map(|day| day.strftime("%m-%d").to_string()).collect()
    };
    assert_eq!(off(2019), Vec::<String>::new());
    assert_eq!(off(2020), ["12-25", "12-26"]);
    assert_eq!(off(2024), ["02-29", "12-25", "12-26"]);
    assert_eq!(off(2026), ["06-01", "11-26", "12-25", "12-26", "12-31"]);
    let new_year = ["01-01", "01-02", "01-03", "01-04", "01-05", "01-06"];
    assert_eq!(off(2027), [&new_year[..], &["11-25", "12-31"]].concat(), "two Thanksgivings, no Christmas");
    assert_eq!(off(2028), [&new_year[..], &["02-29", "12-25", "12-26"]].concat());
    assert_eq!(off(2032), ["12-25", "12-26"], "two leap days were asked for");
}

#[test]
fn the_time_zone_database_belongs_to_the_generation_of_a_policy_with_calendars() {
    let mut with = files("[[calendar]]\nname = \"c\"\nzone = \"UTC\"\n[calendar.hours]\n", &[]);
    note_time_zones(&mut with);
    assert_eq!(with[TIME_ZONES_PATH], format!("{}\n", time_zones_version()));
    let ours = Policy::compile(&Bundle { files: with.clone() }).unwrap();
    assert_eq!(ours.other_time_zones(), None);
    with.insert(TIME_ZONES_PATH.to_owned(), "1999a\n".to_owned());
    let other = Policy::compile(&Bundle { files: with }).unwrap();
    assert_ne!(ours.generation(), other.generation());
    assert_eq!(other.other_time_zones(), Some("1999a"), "and it is obeyed all the same");
    let mut without = files("", &[]);
    note_time_zones(&mut without);
    assert!(!without.contains_key(TIME_ZONES_PATH), "who has no calendars has no use for it");
}

/// What is said of wrong calendars, without the file's name.
fn mistakes(calendars: &str, more: &[(&str, &str)]) -> Vec<String> {
    let wrong = Policy::compile(&Bundle { files: files(calendars, more) }).unwrap_err();
    wrong.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_in_a_calendar_is_told_with_its_place_and_what_to_do() {
    let text = "[[calendar]]\nname = \"a\"\nzone = \"Europe/Berln\"\nholidays = [\"2026-02-30\", \"25.12.2026\"]\n\
                holidays_ical = \"uk.ic\"\nhour = 3\n[calendar.hours]\n\
                mon = [\"9-18\", \"09:00-09:00\", \"24:00-01:00\", \"09:00-12:00\", \"11:00-13:00\"]\nsunn = []\n\
                [[calendar]]\nname = \"b\"\nzone = \"europe/berlin\"\n[calendar.hours]\nsun = [\"22:00-06:00\"]\nmon = [\"05:00-07:00\"]\n\
                [[calendar]]\nname = \"c\"\nzone = \"UTC\"\n\
                [[desk]]\nname = \"tech\"\nlog_partition = 1\ncalendar = \"d\"\n";
    let told = mistakes(text, &[("uk.ics", "BEGIN:VCALENDAR\nEND:VCALENDAR\n")]);
    let expected = [
        "calendars.toml:3:8: there is no time zone `Europe/Berln` (did you mean `Europe/Berlin`?)",
        "calendars.toml:4:13: `2026-02-30` is no date",
        "calendars.toml:4:27: `25.12.2026` is no date",
        "calendars.toml:5:17: there is no file `uk.ic` in the policy (did you mean `uk.ics`?)",
        "calendars.toml:6:1: unknown key `hour` in [[calendar]] (did you mean `hours`?)",
        "calendars.toml:8:8: `9-18` is no interval of hours (write hours and minutes",
        "calendars.toml:8:16: `09:00-09:00` is no interval of hours (it is empty",
        "calendars.toml:8:31: `24:00-01:00` is no interval of hours (no interval begins at 24:00",
        "calendars.toml:8:61: `11:00-13:00` overlaps `09:00-12:00`",
        "calendars.toml:9:1: unknown key `sunn` in [calendar.hours] (did you mean `sun`?)",
        "calendars.toml:12:8: there is no time zone `europe/berlin` (did you mean `Europe/Berlin`?)",
        "calendars.toml:15:8: `05:00-07:00` overlaps `22:00-06:00`",
        "calendars.toml:16:1: [[calendar]] lacks `hours`",
        "calendars.toml:22:12: there is no calendar `d`",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n  is not\n{expected}");
    }
}

#[test]
fn what_is_not_understood_of_a_calendar_file_is_refused_with_its_line() {
    let text = "[[calendar]]\nname = \"a\"\nzone = \"UTC\"\nholidays_ical = \"uk.ics\"\n[calendar.hours]\n";
    let event = |lines: &str| format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n");
    for (lines, expected) in [
        ("DTSTART:20261225T090000Z", "uk.ics:3:1: `20261225T090000Z` in `DTSTART` is no date"),
        ("DTSTART;VALUE=DATE:20260230", "uk.ics:3:1: `20260230` in `DTSTART` is no date"),
        ("SUMMARY:x", "uk.ics:4:1: an event without `DTSTART`"),
        ("DTSTART:20261225\nDTEND:20261225", "uk.ics:4:1: the event lasts 0 days"),
        ("DTSTART:20261225\nDURATION:PT1H", "uk.ics:4:1: `PT1H` is no duration of whole days"),
        ("DTSTART:20261225\nDTEND:20261226\nDURATION:P1D", "uk.ics:4:1: `DTEND` and `DURATION` in one event"),
        ("DTSTART:20261225\nRDATE:20261226", "uk.ics:4:1: `RDATE` is not understood"),
        ("DTSTART:20261225\nRRULE:FREQ=WEEKLY", "uk.ics:4:1: `FREQ=WEEKLY` in `RRULE` is not understood"),
        ("DTSTART:20261225\nRRULE:INTERVAL=2", "uk.ics:4:1: `RRULE` without `FREQ=YEARLY`"),
        (
            "DTSTART:20261225\nRRULE:FREQ=YEARLY;BYDAY=1MO",
            "uk.ics:4:1: `BYMONTHDAY` and `BYDAY` need `BYMONTH`",
        ),
        ("DTSTART:20261225\nRRULE:FREQ=YEARLY;BYEASTER=0", "uk.ics:4:1: `BYEASTER=0` in `RRULE`"),
        ("DTSTART:20261225\nRRULE:FREQ=YEARLY;COUNT=2;UNTIL=20300101", "uk.ics:4:1: `COUNT` and `UNTIL`"),
        (
            "DTSTART:20261225\nRRULE:FREQ=YEARLY;BYMONTH=12;BYDAY=1MO",
            "uk.ics:3:1: the event begins on 2026-12-25, which is no day",
        ),
        ("DTSTART:20261225\nno colon", "uk.ics:4:1: `no colon` is no line of iCalendar"),
    ] {
        let told = mistakes(text, &[("uk.ics", &event(lines))]);
        assert!(told.len() == 1 && told[0].starts_with(expected), "{lines}: {told:#?}");
    }
    for (file, expected) in [
        ("", "uk.ics:1:1: it is empty"),
        ("BEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\n", "uk.ics:1:1: `VEVENT` outside of a calendar"),
        ("BEGIN:VCALENDAR\n", "uk.ics:1:1: `VCALENDAR` is never closed"),
        ("BEGIN:VCALENDAR\nEND:VEVENT\n", "uk.ics:2:1: `END:VEVENT` ends nothing"),
    ] {
        let told = mistakes(text, &[("uk.ics", file)]);
        assert!(told.iter().any(|told| told.starts_with(expected)), "{file}: {told:#?}");
    }
}

const ZONES: [&str; 9] = [
    // Turned its clock at one minute past midnight, so that dates came back.
    "America/St_Johns",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Kolkata",
];

/// Every minute of each local date that is open, painted one by one.
struct Painted {
    zone: TimeZone,
    open: BTreeMap<Date, Vec<bool>>,
}

impl Painted {
    fn new(zone: &str, week: &[Vec<(u16, u16)>], holidays: &[Date], from: Date, days: i32) -> Painted {
        let mut open = BTreeMap::new();
        let day = |n: i32| from.checked_add(jiff::Span::new().days(n)).unwrap();
        for n in -2..days + 2 {
            open.insert(day(n), vec![false; 1_440]);
        }
        for n in -1..=days {
            if holidays.contains(&day(n)) {
                continue;
            }
            for &(from, to) in &week[day(n).weekday().to_monday_zero_offset() as usize] {
                let length = if to > from { to - from } else { to + 1_440 - from };
                for minute in from..from + length {
                    let on = day(n + i32::from(minute / 1_440));
                    open.get_mut(&on).unwrap()[usize::from(minute % 1_440)] = true;
                }
            }
        }
        for holiday in holidays {
            if let Some(minutes) = open.get_mut(holiday) {
                minutes.fill(false);
            }
        }
        Painted { zone: TimeZoneDatabase::bundled().get(zone).unwrap(), open }
    }

    fn open_at(&self, at: Millis) -> bool {
        let wall = self.zone.to_datetime(jiff::Timestamp::from_millisecond(at.0).unwrap());
        self.open[&wall.date()][wall.hour() as usize * 60 + wall.minute() as usize]
    }
}

fn any_day() -> impl Strategy<Value = Vec<(u16, u16)>> {
    // Quarters of an hour, drawn so that intervals of one day lie apart.
    prop::collection::btree_set(0_u16..=96, 0..5).prop_map(|quarters| {
        let minutes: Vec<u16> = quarters.into_iter().map(|quarter| quarter * 15).collect();
        minutes.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    })
}

proptest! {
    #[test]
    fn the_next_change_is_the_one_that_an_oracle_meets_minute_by_minute(
        zone in prop::sample::select(&ZONES[..]),
        mut week in prop::collection::vec(any_day(), 7),
        night in prop::option::of(0_usize..7),
        off in prop::collection::vec(0_i32..6, 0..3),
        start in prop_oneof![
            // Days on which a clock is turned somewhere: Berlin, New York, Lord Howe, Casablanca, Samoa's missing Friday.
            prop::sample::select(vec![
                date(2026, 3, 28), date(2026, 10, 24), date(2026, 3, 7), date(2026, 10, 31), date(2026, 4, 4),
                date(2026, 10, 3), date(2018, 11, 3), date(2011, 12, 29), date(2010, 11, 6), date(2022, 3, 21), date(2019, 5, 4),
            ]),
            (2_010_i16..2_030, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| date(year, month, day)),
        ],
        minute in 0_i64..2_880,
    ) {
        if let Some(day) = night {
            // One night that goes past midnight, with nothing else near it.
            week[day] = vec![(22 * 60, 6 * 60)];
            week[(day + 1) % 7].retain(|&(from, _)| from >= 6 * 60);
        }
        let days = 6;
        let holidays: Vec<Date> =
            off.iter().map(|&n| start.checked_add(jiff::Span::new().days(n)).unwrap()).collect();
        let painted = Painted::new(zone, &week, &holidays, start, days);
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours: String = names.iter().zip(&week).map(|(name, day)| {
            let day: Vec<String> = day.iter().map(|&(from, to)| format!("\"{}-{}\"", clock(from), clock(to))).collect();
            format!("{name} = [{}]\n", day.join(", "))
        }).collect();
        let listed: Vec<String> = holidays.iter().map(|day| format!("\"{day}\"")).collect();
        let ours = calendar(zone, &format!("holidays = [{}]\n[calendar.hours]\n{hours}", listed.join(", ")));

        let first = start.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
        let now = Millis(first + minute * 60_000);
        prop_assert_eq!(ours.open_at(now), painted.open_at(now));
        // Three days ahead, minute by minute; the start may lie inside a minute.
        let met = (1..=3 * 1_440).map(|n| Millis(now.0 + n * 60_000)).find(|&at| painted.open_at(at) != painted.open_at(now));
        let next = ours.next_change(Millis(now.0));
        match met {
            Some(met) => prop_assert_eq!(next, Some(met)),
            None => prop_assert!(next.is_none_or(|next| next.0 > now.0 + 3 * 1_440 * 60_000)),
        }
        let inside = Millis(now.0 + 17_123);
        prop_assert_eq!(ours.open_at(inside), painted.open_at(inside));
    }
}
