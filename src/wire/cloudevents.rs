//! What every record that others read carries beside its value: CloudEvents 1.0 in Kafka binary mode.
//!
//! Owns the headers, times in text, and the partition that a key goes to. May not know what a record says: the
//! caller names it. Called by `assignment` and by whoever writes for helpdesks. Sources: CloudEvents 1.0.2, its Kafka
//! binding and its extensions partitioning, correlation and data classification.

use crate::log::Outgoing;
use triage_engine::model::{Millis, Position};
use triage_engine::policy::Generation;

/// The first and last millisecond that RFC 3339 can write: years 0 and 9999.
const RFC3339_MIN: i64 = -62_167_219_200_000;
const RFC3339_MAX: i64 = 253_402_300_799_999;

/// How carefully a record must be handled (CloudEvents extension `dataclassification`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classification {
    /// Work of this company on what is public.
    Internal,
    /// Personal data was found in what it speaks of, though what is shown of it is redacted.
    Confidential,
}

impl Classification {
    /// The name in the header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Classification::Internal => "internal",
            Classification::Confidential => "confidential",
        }
    }
}

/// What the headers of one record say.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// `ce_id`: with `source` it names the record for ever, so a record sent again carries the same one.
    pub id: &'a str,
    /// `ce_source`.
    pub source: &'a str,
    /// `ce_type`.
    pub kind: &'static str,
    /// `ce_time`, the log's time.
    pub at: Millis,
    /// The record's key, also `ce_partitionkey` and `ce_correlationid`: all records of a case belong together.
    pub key: &'a str,
    /// `ce_dataclassification`.
    pub classification: Classification,
    /// `triaged_src`: topic and place of the input record, where one caused it.
    pub input: Option<(&'a str, Position)>,
    /// `triaged_policy`.
    pub policy: &'a str,
    /// `triaged_plan`, `<id>@<epoch>`.
    pub plan: &'a str,
}

/// Appends a JSON record, which `write` appends to the batch's own bytes, with its headers.
pub fn push(envelope: &Envelope<'_>, out: &mut Outgoing, write: impl FnOnce(&mut Vec<u8>)) {
    assert!(!envelope.key.is_empty() && !envelope.id.is_empty(), "a record has a key and an id");
    let time = rfc3339(envelope.at);
    let input =
        envelope.input.map(|(topic, position)| format!("{topic}/{}/{}", position.partition, position.offset));
    let headers = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", envelope.id),
        ("ce_source", envelope.source),
        ("ce_type", envelope.kind),
        ("ce_time", &time),
        ("ce_partitionkey", envelope.key),
        ("ce_correlationid", envelope.key),
        ("ce_dataclassification", envelope.classification.name()),
        ("triaged_policy", envelope.policy),
        ("triaged_plan", envelope.plan),
    ];
    let source = input.as_deref().map(|input| ("triaged_src", input));
    let headers = headers.into_iter().chain(source).map(|(name, text)| (name, text.as_bytes()));
    out.push_written(Some(envelope.key.as_bytes()), write, headers);
}

/// A generation as text, `sha256:<hex>`; the same as its `Display`, without its formatting machinery, for it
/// stands twice in every record.
#[must_use]
pub fn generation_text(generation: &Generation) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in generation.0 {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// A time in RFC 3339, UTC, with milliseconds: `2026-11-22T09:14:03.120Z`. Held inside the years 0 to 9999.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let ms = at.0.clamp(RFC3339_MIN, RFC3339_MAX);
    let (day, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(day);
    let (seconds, ms) = (in_day / 1_000, in_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // By hand, without the formatting machinery: two of them stand in every record.
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let fields = [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, hour),
        (14..16, minute),
        (17..19, second),
        (20..23, ms),
    ];
    for (place, mut number) in fields {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    std::str::from_utf8(&text).expect("invariant: only digits were written").to_owned()
}

/// The Gregorian date of a day counted from 1970-01-01. Source: H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`: years are counted from March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days.div_euclid(146_097); // days in 400 years
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The partition to which Kafka's own default partitioner sends this key, so that what Java consumers join by key
/// agrees with it.
///
/// # Panics
/// When there are no partitions.
#[must_use]
pub fn partition_for(key: &[u8], partitions: u32) -> u32 {
    assert!(partitions > 0, "a topic has partitions");
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// MurmurHash2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it.
fn murmur2(key: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).expect("invariant: a key is shorter than 4 GiB");
    let mut hash = 0x9747_b28c ^ length;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        word = (word ^ (word >> 24)).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_go_where_javas_partitioner_sends_them() {
        // From Kafka's own UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
            assert_eq!(partition_for(key.as_bytes(), 12), (hash & i32::MAX).cast_unsigned() % 12);
        }
    }

    #[test]
    fn times_outside_of_four_digit_years_are_held_at_the_edge() {
        assert_eq!(rfc3339(Millis(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(Millis::MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Millis(0)), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn times_read_as_the_time_library_reads_them(ms in RFC3339_MIN + 1..RFC3339_MAX - 86_400_000) {
            let read: jiff::Timestamp = rfc3339(Millis(ms)).parse().expect("a time stamp");
            prop_assert_eq!(read.as_millisecond(), ms);
        }

        #[test]
        fn a_generation_is_written_as_it_shows(bytes in prop::array::uniform32(any::<u8>())) {
            prop_assert_eq!(generation_text(&Generation(bytes)), Generation(bytes).to_string());
        }
    }
}
