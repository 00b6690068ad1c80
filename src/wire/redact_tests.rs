//! What may leave the daemon: properties of redaction over records with planted cards and addresses.

use super::super::mention::{FieldMap, FieldMapConfig, Preset};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn redactor(preset: Preset) -> Redactor {
    Redactor::new(Arc::new(FieldMap::compile(&FieldMapConfig::preset(preset)).expect("presets are right")))
}

fn redacted(preset: Preset, raw: &str) -> String {
    let mut out = Vec::new();
    let found = redactor(preset).redact(raw.as_bytes(), &mut out);
    assert_eq!(found.is_empty(), out.is_empty());
    if found.is_empty() { raw.to_owned() } else { String::from_utf8(out).expect("UTF-8 stays UTF-8") }
}

#[test]
fn cards_and_addresses_go_whatever_they_are_written_with() {
    for hidden in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        r"\u0034111 1111 1111 1111",
        "jane@example.com",
        r"jane\u0040example.com",
        r"jane\u0040example\u002ecom",
        "jane&#64;example.com",
        "<b>jane</b>@<i>example.com</i>",
        "4111 <b>1111</b> 1111 &#49;111",
    ] {
        let raw = format!(
            r#"{{"mention_id":"1","text":"pay \"{hidden}\" now","metrics":{{"deep":["x {hidden} y"]}}}}"#
        );
        let out = redacted(Preset::Native, &raw);
        let value: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{out}: {error}"));
        for text in [&value["text"], &value["metrics"]["deep"][0]] {
            let text = text.as_str().unwrap();
            assert!(text.contains("[card]") || text.contains("[email]"), "{hidden}: {out}");
            assert!(!text.contains("1111") && !text.contains("jane"), "{hidden}: {out}");
        }
        assert_eq!(value["mention_id"], "1");
        assert!(value["text"].as_str().unwrap().starts_with("pay \"") && out.contains("now"), "{out}");
    }
}

#[test]
fn identifiers_keys_and_numbers_stay_as_they_are() {
    for raw in [
        r#"{"mention_id":"4111111111111111","author":{"id":"jane@example.com","handle":"@jane@example.com"},"text":"hi"}"#,
        r#"{"text":"hi","4111111111111111":1,"jane@example.com":2,"n":4111111111111111}"#,
        r#"{"text":"hi","in_reply_to_status_id_str":"4111111111111111"}"#,
        r#"{"text":"hi","thread":{"root":"4111 1111 1111 1111"}}"#,
    ] {
        assert_eq!(redacted(Preset::Native, raw), raw);
    }
    assert_eq!(redacted(Preset::Native, r#"{"text":"4111111111111111"}"#), r#"{"text":"[card]"}"#);
    assert_eq!(redacted(Preset::Native, r#"{"\u0074ext":"4111111111111111"}"#), r#"{"\u0074ext":"[card]"}"#);
}

/// Writes a string with some of its characters as escapes.
fn written(text: &str, escaped: &[bool]) -> String {
    let mut out = String::from("\"");
    for (at, char) in text.chars().enumerate() {
        if escaped.get(at % escaped.len().max(1)).copied().unwrap_or(false) || matches!(char, '"' | '\\') {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(char);
        }
    }
    out.push('"');
    out
}

proptest! {
    #[test]
    fn redacted_json_is_the_record_with_nothing_but_the_planted_taken_out(
        before in "[a-z \"\\\\😀é]{0,12}",
        after in "[a-z \"\\\\😀é]{0,12}",
        planted in prop_oneof![Just("4111111111111111"), Just("5500 0055 5555 5559"), Just("378282246310005"),
                               Just("4111-1111-1111-1111"), Just("jane.doe@example.com")],
        escaped in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let text = format!("{before} {planted} {after}");
        let raw = format!(
            r#"{{"mention_id":"1790001","text":{0},"n":[1,{{"free":{0}}},null],"other":{1}}}"#,
            written(&text, &escaped), written(&before, &escaped),
        );
        let out = redacted(Preset::Native, &raw);
        let value: Value = serde_json::from_str(&out).expect("redacted JSON is JSON");
        let word = if planted.contains('@') { "[email]" } else { "[card]" };
        let clean = format!("{before} {word} {after}");
        prop_assert_eq!(value, json!({"mention_id": "1790001", "text": clean, "n": [1, {"free": clean}, null], "other": before}));
    }

    #[test]
    fn spans_are_in_order_and_inside_whatever_the_bytes(raw in prop::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\",:\\\\u0-9a@.<>&;]{0,80}") {
        let mut out = Vec::new();
        redactor(Preset::Mastodon).redact(&raw, &mut out);
        redactor(Preset::Jetstream).redact(json.as_bytes(), &mut out);
    }
}

proptest! {
    #[test]
    fn the_end_of_a_string_is_its_first_quote_that_is_not_escaped(text in "[a\"\\\\é]{0,40}", start in 0_usize..12) {
        let raw = text.as_bytes();
        let (mut at, mut escaped) = (start, false);
        while at < raw.len() && raw[at] != b'"' {
            escaped |= raw[at] == b'\\';
            at += if raw[at] == b'\\' { 2 } else { 1 };
        }
        prop_assert_eq!(string_end(raw, start), (at.min(raw.len()), escaped));
    }
}
