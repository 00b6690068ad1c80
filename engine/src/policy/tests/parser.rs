//! What must hold of the parser whatever is written.
//!
//! Owns the pieces that random queries are put together from: everything that means something in this language or in
//! another, and letters that change their bytes when they are normalised.

use crate::policy::query::{Dialect, Form, parse};
use proptest::prelude::*;

const PIECES: [&str; 52] = [
    " ",
    " ",
    " ",
    "(",
    ")",
    "\"",
    "/",
    "-",
    "+",
    "!",
    "*",
    "?",
    "~3",
    "^2",
    "\\",
    "$",
    "$products",
    "&&",
    "||",
    "AND ",
    "OR ",
    "NOT ",
    "NEAR/2 ",
    "ONEAR/0 ",
    "near/3",
    "NEAR/",
    "TO",
    "tv",
    "broken ",
    "lang:",
    "en",
    "(en OR es)",
    "followers",
    ":[",
    "1000 TO *]",
    "{5 TO 3}",
    ">",
    "<=",
    "17",
    "has:links",
    "from:@jane",
    "is:",
    "tag:tv",
    "author:\"x\"",
    "@",
    "#",
    "é",
    "e\u{301}",
    "ß",
    "😡",
    "停电",
    "\u{200b}",
];

fn written() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_mistake_stands_at_a_character_of_the_query(query in written(), filter in any::<bool>()) {
        let dialect = if filter { Dialect::Filter } else { Dialect::Rule(Form::default()) };
        match parse(&query, dialect) {
            Ok(tree) => tree.leaves(&mut |leaf| {
                // Every leaf knows where it is written.
                let mark = leaf.mark();
                assert!(mark.length > 0 && !mark.of(&query).is_empty(), "{query}: {leaf:?}");
            }),
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    prop_assert!(query.is_char_boundary(mistake.at), "{}: {:?}", query, mistake);
                    prop_assert!(!mistake.what.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_query_written_out_again_is_the_same_query(query in written()) {
        let read = |query: &str| parse(query, Dialect::Rule(Form::default()));
        if let Ok(tree) = read(&query) {
            let spelled = tree.spelled();
            let again = read(&spelled).map(|tree| tree.spelled());
            prop_assert_eq!(again.as_deref(), Ok(spelled.as_str()), "{}", query);
        }
    }
}
