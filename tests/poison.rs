//! Every poison record ends as its corpus says, and harms neither the thread nor its neighbours.
//!
//! Owns no records. Run with stacks as small as those of threads that are made by default.

#[path = "common/poison.rs"]
mod poison;

use poison::{Expect, GOOD, corpus};
use std::sync::Arc;
use triaged::wire::mention::{DecodeLimits, Decoded, Decoder, FieldMap, FieldMapConfig};
use triaged::wire::redact::Redactor;

fn decoder() -> Decoder {
    let map = FieldMap::compile(&FieldMapConfig::default()).expect("the native map is right");
    // Large enough that only the record of 10 MB is too large.
    Decoder::new(Arc::new(map), DecodeLimits { mention_bytes_max: 8 << 20, depth_max: 128 })
}

fn outcome(
    decoder: &mut Decoder,
    value: Option<&[u8]>,
) -> Result<(String, String), triage_engine::model::DeadLetterReason> {
    match decoder.decode(value)? {
        Decoded::Mention { mention, .. } => Ok((mention.mention_id.to_owned(), mention.text.to_owned())),
        Decoded::NotAMention { .. } => panic!("native records are mentions"),
    }
}

#[test]
fn a_poison_record_ends_as_it_should_and_its_neighbour_is_read_as_if_alone() {
    let run = || {
        let mut decoder = decoder();
        let mut wrong = Vec::new();
        for poison in corpus() {
            let found = outcome(&mut decoder, poison.value.as_deref());
            let right = match (&found, poison.expect) {
                (Err(reason), Expect::Dead(expected)) => *reason == expected,
                (Ok((id, text)), Expect::Parsed(expected_id, expected)) => {
                    id == expected_id && text == expected
                }
                _ => false,
            };
            if !right {
                wrong.push(format!("{}: {found:?}, expected {:?}", poison.name, poison.expect));
            }
            let good = outcome(&mut decoder, Some(GOOD));
            assert_eq!(good, Ok(("x:17".to_owned(), "still here".to_owned())), "after {}", poison.name);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread");
    thread.join().expect("no poison record ends the thread");
}

#[test]
fn redaction_takes_any_bytes_without_harm() {
    let mut redactor = Redactor::new(decoder().map().clone());
    let mut out = Vec::new();
    for poison in corpus() {
        let Some(value) = poison.value else { continue };
        assert!(redactor.redact(&value, &mut out).is_empty() == out.is_empty(), "{}", poison.name);
        for cut in (0..value.len().min(200)).rev() {
            redactor.redact(&value[..cut], &mut out);
        }
    }
}

#[test]
fn the_limit_on_size_holds_to_the_byte() {
    let map = Arc::new(FieldMap::compile(&FieldMapConfig::default()).expect("the native map is right"));
    let mut limits = DecodeLimits { mention_bytes_max: GOOD.len(), depth_max: 2 };
    assert!(Decoder::new(map.clone(), limits).decode(Some(GOOD)).is_ok());
    limits.mention_bytes_max -= 1;
    let reason = triage_engine::model::DeadLetterReason::TooLarge;
    assert_eq!(Decoder::new(map, limits).decode(Some(GOOD)), Err(reason));
}
