//! Dates, weekdays and zones as a policy stores them: by their numbers and names.
//!
//! Owns nothing but that form. May not check more than that there are such dates and zones: whoever stores a policy sees
//! to it that it comes back as it was. Called by serde for `Calendar`.

/// A date as year, month and day.
pub(super) mod date {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) type Parts = (i16, i8, i8);

    pub(in super::super) fn parts(date: &Date) -> Parts {
        (date.year(), date.month(), date.day())
    }

    pub(in super::super) fn of<E: serde::de::Error>((year, month, day): Parts) -> Result<Date, E> {
        Date::new(year, month, day).map_err(E::custom)
    }

    pub fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        parts(date).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        of(Parts::deserialize(deserializer)?)
    }
}

/// A date that may not be there.
pub(super) mod maybe_date {
    use super::date::{Parts, of, parts};
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        date.as_ref().map(parts).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        Option::<Parts>::deserialize(deserializer)?.map(of).transpose()
    }
}

/// Many dates.
pub(super) mod dates {
    use super::date::{Parts, of, parts};
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeSet;

    pub fn serialize<S: Serializer>(dates: &BTreeSet<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(dates.iter().map(parts))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Date>, D::Error> {
        Vec::<Parts>::deserialize(deserializer)?.into_iter().map(of).collect()
    }
}

/// A weekday, Monday being 0.
pub(super) mod weekday {
    use jiff::civil::Weekday;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(day: &Weekday, serializer: S) -> Result<S::Ok, S::Error> {
        day.to_monday_zero_offset().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weekday, D::Error> {
        Weekday::from_monday_zero_offset(i8::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A zone by its IANA name, of the program's own database.
pub(super) mod zone {
    use jiff::tz::{TimeZone, TimeZoneDatabase};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
        zone.iana_name().unwrap_or_default().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZoneDatabase::bundled().get(&name).map_err(D::Error::custom)
    }
}
