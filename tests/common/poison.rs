//! Records that have stopped other programs: the poison corpus, with what must come of each.
//!
//! Owns the bytes, made here so that no file of a megabyte lies in the tree. May not call the daemon. Read by the
//! decoder's tests and by those against a broker, with the field map `native` and the limits of `poison_limits`.

use triage_engine::model::DeadLetterReason as Reason;

/// What must come of a poison record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A dead letter for this reason.
    Dead(Reason),
    /// A mention whose id and text are these.
    Parsed(&'static str, &'static str),
}

/// One record.
pub struct Poison {
    /// What is wrong with it.
    pub name: &'static str,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// What must come of it.
    pub expect: Expect,
}

/// A record with nothing wrong, to be read between poison ones: id `x:17`, text `still here`.
#[allow(dead_code, reason = "each test file takes what it needs")]
pub const GOOD: &[u8] =
    br#"{"mention_id":"x:17","network":"x","author":{"id":"x:u1"},"text":"still here","lang":"en"}"#;

/// The record with these bytes put in as one more member, and text `t`.
fn with(member: &[u8]) -> Vec<u8> {
    [br#"{"mention_id":"1","network":"x","author":{"id":"2"},"text":"t","#, member, b"}"].concat()
}

/// The record with these bytes as its text's inner part.
fn saying(text: &[u8]) -> Vec<u8> {
    [br#"{"mention_id":"1","network":"x","author":{"id":"2"},"text":""#, text, br#""}"#].concat()
}

fn nested(open: &[u8], inner: &[u8], close: &[u8], depth: usize) -> Vec<u8> {
    with(&[br#""x":"#.to_vec(), open.repeat(depth), inner.to_vec(), close.repeat(depth)].concat())
}

/// The whole corpus.
pub fn corpus() -> Vec<Poison> {
    let mut all = broken();
    all.extend(odd());
    all
}

/// What cannot be read.
fn broken() -> Vec<Poison> {
    let dead = |name, value: &[u8], reason| Poison {
        name,
        value: Some(value.to_vec()),
        expect: Expect::Dead(reason),
    };
    let good = saying(b"t");
    let utf16: Vec<u8> = GOOD.iter().flat_map(|&byte| [byte, 0]).collect();
    vec![
        Poison { name: "tombstone", value: None, expect: Expect::Dead(Reason::Empty) },
        dead("empty", b"", Reason::Empty),
        dead("white space", b" \n\t ", Reason::NotJson),
        dead("null", b"null", Reason::NotAnObject),
        dead("a number", b"17", Reason::NotAnObject),
        dead("a string", b"\"x\"", Reason::NotAnObject),
        dead("an array", &[b"[", good.as_slice(), b"]"].concat(), Reason::NotAnObject),
        dead(
            "a million empty arrays",
            &[b"[".as_slice(), &b"[],".repeat(100_000), b"[]]"].concat(),
            Reason::NotAnObject,
        ),
        dead("byte-order mark", &[b"\xef\xbb\xbf", GOOD].concat(), Reason::NotJson),
        dead("UTF-16 with its mark", &[b"\xff\xfe", utf16.as_slice()].concat(), Reason::InvalidUtf8),
        dead("UTF-16 without", &utf16, Reason::NotJson),
        dead("two records", &[GOOD, b"\n", GOOD].concat(), Reason::NotJson),
        dead("trailing bytes", &[GOOD, b"x"].concat(), Reason::NotJson),
        dead("trailing NUL", &[GOOD, b"\0"].concat(), Reason::NotJson),
        dead("cut off", &GOOD[..GOOD.len() - 1], Reason::NotJson),
        dead("cut off in a string", br#"{"mention_id":"1","text":"abc"#, Reason::NotJson),
        dead("cut off in an escape", br#"{"mention_id":"1","text":"abc\u00"#, Reason::NotJson),
        dead("invalid UTF-8", &saying(b"a\xffz"), Reason::InvalidUtf8),
        dead("overlong UTF-8", &saying(b"a\xc0\xafz"), Reason::InvalidUtf8),
        dead("a surrogate in UTF-8", &saying(b"a\xed\xa0\xbdz"), Reason::InvalidUtf8),
        dead("UTF-8 cut off", &saying(b"a\xf0\x9f\x98"), Reason::InvalidUtf8),
        dead("lone high surrogate", &saying(br"a\ud83dz"), Reason::NotJson),
        dead("lone low surrogate", &saying(br"a\ude00z"), Reason::NotJson),
        dead("two high surrogates", &saying(br"\ud83d\ud83d"), Reason::NotJson),
        dead("bare NUL in a string", &saying(b"a\0z"), Reason::NotJson),
        dead("bare line end in a string", &saying(b"a\nz"), Reason::NotJson),
        dead("unknown escape", &saying(br"a\x41z"), Reason::NotJson),
        dead("a comment", &with(b"/* hi */ \"x\":1"), Reason::NotJson),
        dead("NaN", &with(br#""x":NaN"#), Reason::NotJson),
        dead("a leading zero", &with(br#""x":017"#), Reason::NotJson),
        dead("a comma too many", &with(br#""x":1,"#), Reason::NotJson),
        dead("arrays 10,000 deep", &nested(b"[", b"", b"]", 10_000), Reason::TooDeep),
        dead("objects 10,000 deep", &nested(br#"{"x":"#, b"1", b"}", 10_000), Reason::TooDeep),
        dead("arrays a million deep", &nested(b"[", b"", b"]", 1_000_000), Reason::TooDeep),
        dead("deep, and a number too long", &nested(b"[", b"1e400", b"]", 10_000), Reason::TooDeep),
        dead("10 MB of text", &saying(&b"ten megabytes ".repeat(750_000)), Reason::TooLarge),
        dead("no id", br#"{"network":"x","author":{"id":"2"},"text":"t"}"#, Reason::MissingField),
        dead(
            "empty id",
            br#"{"mention_id":"","network":"x","author":{"id":"2"},"text":"t"}"#,
            Reason::MissingField,
        ),
        dead(
            "null id",
            br#"{"mention_id":null,"network":"x","author":{"id":"2"},"text":"t"}"#,
            Reason::MissingField,
        ),
        dead(
            "an object as id",
            br#"{"mention_id":{},"network":"x","author":{"id":"2"},"text":"t"}"#,
            Reason::InvalidField,
        ),
        dead(
            "no author",
            br#"{"mention_id":"1","network":"x","author":"2","text":"t"}"#,
            Reason::MissingField,
        ),
        dead(
            "text is a number",
            br#"{"mention_id":"1","network":"x","author":{"id":"2"},"text":7}"#,
            Reason::InvalidField,
        ),
    ]
}

/// What looks broken and is legal: it must be read.
fn odd() -> Vec<Poison> {
    let parsed =
        |name, value: Vec<u8>, text| Poison { name, value: Some(value), expect: Expect::Parsed("1", text) };
    let long_id =
        br#"{"mention_id":123456789012345678901234567890,"network":"x","author":{"id":2},"text":"t"}"#;
    let twice = br#"{"mention_id":"1","text":"first","mention_id":"2","network":"x","author":{"id":"2"},"author":{},"text":"second"}"#;
    let tags = format!(r#""entities":[{}{{}}]"#, r##"{"tag":"#a"},"##.repeat(25_000));
    vec![
        parsed("an escaped NUL", saying(br"a\u0000z"), "a\0z"),
        parsed("an emoji as surrogates", saying(br"\ud83d\ude00"), "😀"),
        parsed("right-to-left marks", saying("a\u{202e}z\u{2066}".as_bytes()), "a\u{202e}z\u{2066}"),
        parsed("zero width", saying("re\u{200b}fund\u{feff}".as_bytes()), "re\u{200b}fund\u{feff}"),
        parsed("empty text", saying(b""), ""),
        parsed("unused 1e400", with(br#""x":1e400"#), "t"),
        parsed("unused number of 30 digits", with(br#""x":[-123456789012345678901234567890]"#), "t"),
        parsed("white space around", [b"\r\n ".as_slice(), &saying(b"t"), b"\n"].concat(), "t"),
        parsed("the same keys twice", twice.to_vec(), "first"),
        parsed("25,000 hashtags", with(tags.as_bytes()), "t"),
        parsed("a date in the year 9999", with(br#""posted_at":"9999-12-31T23:59:59Z""#), "t"),
        parsed("a time before 1970", with(br#""posted_at":-5"#), "t"),
        parsed("as deep as allowed", nested(b"[", b"", b"]", 100), "t"),
        parsed("an optional field of another type", with(br#""lang":7,"promoted":"yes","thread":[]"#), "t"),
        Poison {
            name: "an id of 30 digits",
            value: Some(long_id.to_vec()),
            expect: Expect::Parsed("123456789012345678901234567890", "t"),
        },
    ]
}
