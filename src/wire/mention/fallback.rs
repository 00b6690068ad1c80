//! The second opinion on a record that the fast parser refused, before it becomes a dead letter.
//!
//! Owns which refusals are the parser's own narrowness and which are the record's fault. May not read fields. Called
//! by the decoder when simd-json reports a mistake.
//!
//! simd-json refuses numbers that do not fit 64 bits, even in fields that nobody reads; JSON allows them, and ids of
//! more than 20 digits exist. serde_json is asked whether the record is JSON; then such numbers are put in quotes, so
//! that they are read as text, digit for digit, and the fast parser reads the record after all.

use serde::de::IgnoredAny;
use simd_json::{Error, ErrorType};
use triage_engine::model::DeadLetterReason;

/// A number longer than this might not fit 64 bits; shorter ones without exponent always do.
const SAFE_DIGITS: usize = 18;

/// Writes a form of `value` that the fast parser takes into `out`, or says why there is none.
pub(super) fn second_opinion(
    value: &[u8],
    refusal: &Error,
    out: &mut Vec<u8>,
) -> Result<(), DeadLetterReason> {
    if matches!(refusal.error(), ErrorType::DepthLimitExceeded) {
        return Err(DeadLetterReason::TooDeep);
    }
    if std::str::from_utf8(value).is_err() {
        return Err(DeadLetterReason::InvalidUtf8);
    }
    // Skipping needs no stack, however deep the record is.
    if serde_json::from_slice::<IgnoredAny>(value).is_err() {
        return Err(DeadLetterReason::NotJson);
    }
    quote_numbers(value, out);
    Ok(())
}

/// The reason after the second attempt was refused as well.
pub(super) fn reason(refusal: &Error) -> DeadLetterReason {
    match refusal.error() {
        ErrorType::DepthLimitExceeded => DeadLetterReason::TooDeep,
        ErrorType::InvalidUtf8 => DeadLetterReason::InvalidUtf8,
        _ => DeadLetterReason::NotJson,
    }
}

/// Copies JSON, putting numbers that may not fit 64 bits in quotes.
fn quote_numbers(json: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut at = 0;
    while at < json.len() {
        let length = match json[at] {
            b'"' => string_length(&json[at..]),
            b'-' | b'0'..=b'9' => {
                let number = number_length(&json[at..]);
                let token = &json[at..at + number];
                if number > SAFE_DIGITS || token.iter().any(|byte| matches!(byte, b'e' | b'E')) {
                    out.push(b'"');
                    out.extend_from_slice(token);
                    out.push(b'"');
                    at += number;
                    continue;
                }
                number
            }
            _ => 1,
        };
        out.extend_from_slice(&json[at..at + length]);
        at += length;
    }
}

fn number_length(json: &[u8]) -> usize {
    let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    json.iter().position(|byte| !is_number(byte)).unwrap_or(json.len())
}

fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while at < json.len() && json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_may_not_fit_are_put_in_quotes() {
        let mut out = Vec::new();
        quote_numbers(
            br#"{"a\"1e9":1e400,"b":[-12,123456789012345678,1234567890123456789],"c":"1e5\\"}"#,
            &mut out,
        );
        let expected =
            br#"{"a\"1e9":"1e400","b":[-12,123456789012345678,"1234567890123456789"],"c":"1e5\\"}"#;
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
    }
}
