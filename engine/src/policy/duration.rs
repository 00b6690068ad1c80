//! Durations as people write them in policy files: `72h`, `10m`, `1d12h`.
//!
//! Owns the spelling. Limits of single keys belong to whoever reads the key.

const UNITS: [(&str, i64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Milliseconds of a duration text: whole numbers with units `w d h m s ms`, largest first, each once.
///
/// # Errors
/// What was expected.
pub fn parse_duration(text: &str) -> Result<i64, &'static str> {
    const EXPECTED: &str = "expected a duration such as `10m`, `72h` or `1d12h` (units w, d, h, m, s, ms)";
    let mut rest = text;
    let mut total: i64 = 0;
    let mut last_unit = i64::MAX;
    if rest.is_empty() {
        return Err(EXPECTED);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = &rest[digits..];
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let unit = UNITS.iter().find(|(name, _)| *name == &after[..letters]).ok_or(EXPECTED)?.1;
        if unit >= last_unit {
            return Err("units go from the largest to the smallest, each once");
        }
        last_unit = unit;
        let number: i64 = rest[..digits].parse().map_err(|_| EXPECTED)?;
        total = number
            .checked_mul(unit)
            .and_then(|ms| total.checked_add(ms))
            .ok_or("the duration is too long")?;
        rest = &after[letters..];
    }
    Ok(total)
}

/// A duration in the form in which people write it, for messages.
pub fn show_duration(mut ms: i64) -> String {
    let mut shown = String::new();
    for (name, unit) in UNITS.iter().rev().filter(|(name, _)| *name != "w") {
        if ms >= *unit {
            shown.push_str(&format!("{}{name}", ms / unit));
            ms %= unit;
        }
    }
    if shown.is_empty() { "0s".into() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("10m", 600_000),
            ("72h", 259_200_000),
            ("1d12h", 129_600_000),
            ("250ms", 250),
            ("1m30s", 90_000),
        ] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        for wrong in [
            "",
            "72",
            "h",
            "72 h",
            "72H",
            "1.5h",
            "-1h",
            "10m1h",
            "1h1h",
            "99999999999999999999h",
            "9999999999999999w",
            "1é",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(show_duration(129_600_000), "1d12h");
        assert_eq!(show_duration(60_000), "1m");
    }
}
