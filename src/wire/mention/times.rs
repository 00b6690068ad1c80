//! Reads the times that networks write: RFC 3339, Twitter's own form, and numbers since 1970.
//!
//! Owns the reading alone; a time that cannot be read, or lies before 1970 or after 2099, is none. May not ask a
//! clock. Called by the decoder.

use triage_engine::model::Millis;

/// 2100-01-01T00:00:00Z. A date beyond it is an error of the producer, whatever today is.
const MILLIS_MAX: i64 = 4_102_444_800_000;

/// A time in text: RFC 3339, `Sun Aug 31 00:29:15 +0000 2014`, or digits as [`from_number`] takes them.
pub(super) fn from_text(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 40 {
        return None;
    }
    if bytes.iter().all(u8::is_ascii_digit) {
        return from_number(text.parse().ok()?);
    }
    if bytes[0].is_ascii_digit() { rfc3339(bytes) } else { twitter(bytes) }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size: 10^11 seconds are the year
/// 5138, 10^11 milliseconds the year 1973.
pub(super) fn from_number(number: u64) -> Option<Millis> {
    let number = i64::try_from(number).ok()?;
    let millis = match number {
        0..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1000,
        _ => number / 1_000_000,
    };
    in_range(millis)
}

fn in_range(millis: i64) -> Option<Millis> {
    (0..MILLIS_MAX).contains(&millis).then_some(Millis(millis))
}

fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 9 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(bytes.iter().fold(0, |sum, &digit| sum * 10 + i64::from(digit - b'0')))
}

fn rfc3339(bytes: &[u8]) -> Option<Millis> {
    if bytes.len() < 20 || bytes[4] != b'-' || bytes[7] != b'-' || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (date, day_ms) =
        (days(digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..10])?)?, clock(&bytes[11..19])?);
    let mut rest = &bytes[19..];
    let mut fraction_ms = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let length = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        for place in 0..3 {
            let digit =
                after.get(place).filter(|_| place < length).map_or(0, |digit| i64::from(digit - b'0'));
            fraction_ms = fraction_ms * 10 + digit;
        }
        rest = &after[length..];
    }
    let offset_ms = if matches!(rest, b"Z" | b"z") { 0 } else { offset(rest, true)? };
    in_range(date * 86_400_000 + day_ms + fraction_ms - offset_ms)
}

/// `Sun Aug 31 00:29:15 +0000 2014`.
fn twitter(bytes: &[u8]) -> Option<Millis> {
    if bytes.len() != 30 || [3, 7, 10, 19, 25].iter().any(|&at| bytes[at] != b' ') {
        return None;
    }
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.chunks(3).position(|name| name == &bytes[4..7])? as i64 + 1;
    let date = days(digits(&bytes[26..30])?, month, digits(&bytes[8..10])?)?;
    in_range(date * 86_400_000 + clock(&bytes[11..19])? - offset(&bytes[20..25], false)?)
}

/// `09:14:03` in milliseconds; a leap second counts as the second after it.
fn clock(bytes: &[u8]) -> Option<i64> {
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (digits(&bytes[..2])?, digits(&bytes[3..5])?, digits(&bytes[6..8])?);
    (hour < 24 && minute < 60 && second <= 60).then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

/// `+01:30` or `+0130` in milliseconds.
fn offset(bytes: &[u8], colon: bool) -> Option<i64> {
    let (sign, rest) = match bytes.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hour, minute) = match (colon, rest.len()) {
        (true, 5) if rest[2] == b':' => (&rest[..2], &rest[3..]),
        (false, 4) => rest.split_at(2),
        _ => return None,
    };
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    (hour < 24 && minute < 60).then_some(sign * (hour * 60 + minute) * 60_000)
}

/// Days from 1970-01-01 in the Gregorian calendar (Howard Hinnant, `chrono-Compatible Low-Level Date Algorithms`).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > length {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_s_way_to_write_a_time_is_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T09:14:03.120Z", 1_795_338_843_120),
            ("2026-11-22T10:14:03.120999+01:00", 1_795_338_843_120),
            ("2024-02-29 23:59:60z", 1_709_251_200_000),
            ("Sun Aug 31 00:29:15 +0000 2014", 1_409_444_955_000),
            ("Sun Aug 31 02:29:15 +0200 2014", 1_409_444_955_000),
            ("1409444955", 1_409_444_955_000),
            ("1409444955123", 1_409_444_955_123),
            ("1779719009132431", 1_779_719_009_132),
        ] {
            assert_eq!(from_text(text), Some(Millis(millis)), "{text}");
            let library: Option<jiff::Timestamp> = text.parse().ok();
            if let Some(library) = library.filter(|_| !text.contains(":60")) {
                assert_eq!(library.as_millisecond(), millis, "{text}");
            }
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_none() {
        for text in [
            "",
            "now",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T09:14:03",
            "2026-11-22T09:14:03.Z",
            "2999-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "99999999999999999999",
            "Sun Foo 31 00:29:15 +0000 2014",
            "Sun Aug 31 00:29:15 +000 2014",
            "9999999999999999999",
            "２０２６-11-22T09:14:03Z",
            "2026-11-22T09:14:03+25:00",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
        assert_eq!(from_number(u64::MAX), None);
    }
}
