//! Queries that look as if they asked something and would find nothing: each is read as it is meant, or is a mistake.
//!
//! Owns the wording of those mistakes, and the words that look like one of them and are words.

use crate::policy::query::{Dialect, Form, parse};

/// Query, byte of the mistake, what is said of it, and the hint.
const REFUSED: &[(&str, usize, &str, &str)] = &[
    // Full width.
    (
        "（テレビ OR ラジオ）故障",
        0,
        "the full-width sign `（` in `（テレビ`",
        "write (テレビ; to search for the text itself, write \"（テレビ\"",
    ),
    (
        "テレビ　ＯＲ　ラジオ",
        12,
        "the operator `ＯＲ` in full-width letters",
        "write OR; to search for the text itself, write \"ＯＲ\"",
    ),
    ("テレビ ＮＯＴ 故障", 10, "the operator `ＮＯＴ` in full-width letters", "write NOT; "),
    ("テレビ ａｎｄ 故障", 10, "the operator `ａｎｄ` in full-width letters", "write AND; "),
    ("tv ＮＥＡＲ／３ broken", 15, "the full-width sign `／` in `ＮＥＡＲ／３`", "write NEAR/3; "),
    ("tv（broken）", 2, "the full-width sign `（` in `tv（broken）`", "write tv(broken); "),
    ("＂tv broken＂", 0, "typographic quotes in `＂tv`", "write straight quotes: \"…\""),
    ("「テレビ 故障」", 0, "typographic quotes in `「テレビ`", "write straight quotes: \"…\""),
    ("lang：en", 4, "the full-width sign `：` in `lang：en`", "write lang:en; "),
    ("tv －ad", 3, "the full-width sign `－` in `－ad`", "write -ad; "),
    ("refund＊", 6, "the full-width sign `＊` in `refund＊`", "write refund*; "),
    (
        "\"broken scr＊\"",
        0,
        "the full-width sign `＊` at an end of `broken scr＊`",
        "write * for a wildcard; ",
    ),
    ("＄products", 0, "the full-width sign `＄` in `＄products`", "write $products; "),
    ("テレビ ｜ ラジオ", 10, "the full-width sign `｜` in `｜`", "write |; "),
    ("テレビ （ ラジオ", 10, "the full-width sign `（` in `（`", "write (; "),
    ("テレビ ！！", 10, "`！！` is nothing but punctuation", "to search for exactly that, write \"！！\""),
    ("テレビ、 ラジオ", 0, "`テレビ、` ends in a comma or semicolon", "write OR or AND between terms"),
    // Operators without a blank.
    (
        "tv AND-broken",
        3,
        "the operator `AND` inside `AND-broken`: expected blanks around it",
        "write AND -broken; to search for the text itself, write \"AND-broken\"",
    ),
    ("tv AND NOT-ad", 7, "the operator `NOT` inside `NOT-ad`", "write NOT ad; "),
    ("tv NOT#ad", 3, "the operator `NOT` inside `NOT#ad`", "write NOT #ad; "),
    ("tv OR@united", 3, "the operator `OR` inside `OR@united`", "write OR @united; "),
    ("tv AND$products", 3, "the operator `AND` inside `AND$products`", "write AND $products; "),
    ("tv AND/br.ken/", 3, "the operator `AND` inside `AND/br.ken/`", "write AND /br.ken/; "),
    ("tv OR😡", 3, "the operator `OR` inside `OR😡`", "write OR 😡; "),
    ("テレビOR ラジオ", 0, "the operator `OR` inside `テレビOR`", "write テレビ OR; "),
    ("テレビORラジオ", 0, "the operator `OR` inside `テレビORラジオ`", "write テレビ OR ラジオ; "),
    ("tvORradio", 0, "the operator `OR` inside `tvORradio`", "write tv OR radio; "),
    (
        "tv ANDNOT ad",
        3,
        "`ANDNOT` is no operator here",
        "write AND NOT; to search for the text itself, write \"ANDNOT\"",
    ),
    ("tv <OR> radio", 3, "`<OR>` is no operator here", "write OR; "),
    ("apple <NEAR/3> juice", 6, "the operator `NEAR/3` inside `<NEAR/3>`", "write NEAR/3; "),
    (
        "tv|radio",
        0,
        "`|` is no operator here: found `tv|radio`",
        "write (tv OR radio); to search for the text itself, write \"tv|radio\"",
    ),
    // Distances of other tools.
    (
        "tv NEAR3 broken",
        3,
        "`NEAR3` is no distance here: expected `NEAR/3`",
        "write NEAR/3; to search for the text itself, write \"NEAR3\"",
    ),
    ("tv NEAR-3 broken", 3, "`NEAR-3` is no distance", "write NEAR/3; "),
    ("tv NEAR:3 broken", 3, "`NEAR:3` is no distance", "write NEAR/3; "),
    ("tv W/3 broken", 3, "`W/3` is no distance", "write NEAR/3; "),
    ("tv PRE/3 broken", 3, "`PRE/3` is no distance", "write ONEAR/3; "),
    ("tv ADJ3 broken", 3, "`ADJ3` is no distance", "write ONEAR/3; "),
    // Fields.
    ("followers!=3", 0, "`!=` after `followers` is no operator here: expected `=`", "write NOT followers=3"),
    ("lang!=en", 0, "`!=` after `lang` is no operator here: expected `:`", "write NOT lang:en"),
    ("verified!=true", 0, "`!=` after `verified` is no operator here", "write NOT verified:true"),
    ("foo!=bar", 0, "there is no field `foo`", "to search for the text itself, write \"foo!=bar\""),
    (
        "min-followers:10",
        0,
        "there is no field `min-followers`",
        "write min_followers:10; to search for the text itself, write \"min-followers:10\"",
    ),
    ("user.followers:>10", 0, "there is no field `user.followers`", "write followers:>10; "),
    ("user.lang:en", 0, "there is no field `user.lang`", "write lang:en; "),
    ("author.handle:jane", 0, "there is no field `author.handle`", "write author:@jane; "),
    ("author.id:7", 0, "there is no field `author.id`", "mentions do not carry it"),
    (
        "@timestamp:2020",
        0,
        "there is no field `@timestamp`",
        "a rule sees each mention as it comes, and asks no dates",
    ),
    (
        "from:2244994945",
        0,
        "`2244994945` after `from:` looks like an author's id: rules know authors by handle",
        "write author:@handle; if 2244994945 is the handle, author:@2244994945",
    ),
    (
        "followers > 1000",
        0,
        "blanks inside the field `followers > 1000`: expected none",
        "write followers>1000",
    ),
    ("tv followers >1000", 3, "blanks inside the field `followers >1000`", "write followers>1000"),
    ("followers != 1000", 0, "blanks inside the field `followers != 1000`", "write NOT followers=1000"),
    (
        "followers : [1000 TO 5000] tv",
        0,
        "blanks inside the field `followers : [1000 TO 5000]`",
        "write followers:[1000 TO 5000]",
    ),
    ("lang :en", 0, "blanks inside the field `lang :en`", "write lang:en"),
    ("lang = (en OR es)", 0, "blanks inside the field `lang = (en OR es)`", "write lang:(en OR es)"),
    // Values.
    (
        "lang:jp",
        0,
        "`jp` is a country, no language",
        "write lang:ja; for a producer that writes just that, lang:\"jp\"",
    ),
    ("lang:(en OR cn)", 12, "`cn` is a country", "write lang:zh; "),
    ("lang:gr", 0, "`gr` is a country", "write lang:el; "),
    ("lang:dk", 0, "`dk` is a country", "write lang:da; "),
    ("lang:cz", 0, "`cz` is a country", "write lang:cs; "),
    ("lang:ua", 0, "`ua` is a country", "write lang:uk; "),
    (
        "lang:se",
        0,
        "`se` is the language Northern Sami, and a country that speaks another",
        "write lang:sv for the country's; for Northern Sami, lang:\"se\"",
    ),
    ("lang:kr", 0, "`kr` is the language Kanuri", "write lang:ko for the country's; "),
    (
        "lang:xx",
        0,
        "there is no language `xx` of two letters",
        "languages are named as in ISO 639-1, such as `en`; for a producer that writes just that, lang:\"xx\"",
    ),
    (
        "network:twitter",
        0,
        "the network `twitter` has the name `x`",
        "write network:x; for a producer that writes just that, network:\"twitter\"",
    ),
    // Suggestions.
    ("hashtags:(love OR hate)", 0, "there is no field `hashtags`", "write (#love OR #hate)"),
    ("at_mentions:(@a OR b)", 0, "there is no field `at_mentions`", "write (@a OR @b)"),
    ("to:(a OR b)", 0, "there is no field `to`", "write account:(@a OR @b) kind:reply"),
    ("title:tv", 0, "there is no field `title`", "the text is searched without a field: write tv"),
    (
        "has:cashtags",
        0,
        "there is no feature `cashtags`",
        "write /\\$[a-z]+\\b/; one cashtag is written in quotes: \"$TSLA\"",
    ),
    ("count:5", 0, "there is no field `count`", "mentions do not carry it"),
    ("authorBio:nurse", 0, "there is no field `authorBio`", "mentions do not carry it"),
    ("authorTweets:[5 TO 9]", 0, "there is no field `authorTweets`", "mentions do not carry it"),
    ("impressions:[5 TO 9]", 0, "there is no field `impressions`", "mentions do not carry it"),
    ("reachEstimate:[5 TO 9]", 0, "there is no field `reachEstimate`", "mentions do not carry it"),
    ("latitude:[5 TO 9]", 0, "there is no field `latitude`", "mentions do not carry it"),
    ("threadId:5", 0, "there is no field `threadId`", "mentions do not carry it"),
    (
        r"\(1\+1\)\:2",
        0,
        r"`\` in `\(1\+1\)\:2` escapes nothing: expected a plain word",
        "signs are searched for in quotes: write \"(1+1):2\"",
    ),
    (r"say\ \*hi\*", 0, r"`\` in `say\ \*hi\*` escapes nothing", r#"write "say \*hi\*""#),
    (r"tv \ radio", 3, r"`\` in `\ radio` escapes nothing", "write \" radio\""),
    // Lucene's groups.
    (
        "+(quick brown) +fox",
        8,
        "nothing joins `brown` in a query with a `+`: in Lucene one of such terms is enough",
        "write OR before it, or AND if it is required",
    ),
    ("+fox -(quick brown)", 13, "nothing joins `brown` in a query with a `+`", "write OR before it"),
];

#[test]
fn what_would_find_nothing_is_a_mistake_that_says_what_to_write() {
    let mut wrong = String::new();
    for (query, at, what, hint) in REFUSED {
        match parse(query, Dialect::Rule(Form::default())) {
            Ok(read) => wrong.push_str(&format!("`{query}` is read as {}\n", read.spelled())),
            Err(mistakes) => {
                let right = mistakes.iter().any(|mistake| {
                    mistake.at == *at && mistake.what.starts_with(what) && mistake.hint.contains(hint)
                });
                if !right {
                    wrong.push_str(&format!("`{query}` is told {mistakes:?}\n"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Queries that are one plain term, and how it is spelled.
const WORDS: &[(&str, &str)] = &[
    ("AT&T", "\"at&t\""),
    ("C++", "\"c++\""),
    ("Ｃ＋＋", "\"c++\""),
    ("ｒｅｆ*", "\"ref*\""),
    ("24/7", "\"24/7\""),
    ("and/or", "\"and/or\""),
    ("AND/OR", "\"and/or\""),
    ("1,000", "\"1,000\""),
    ("tv,radio", "\"tv,radio\""),
    ("tv;radio", "\"tv;radio\""),
    ("a.b", "\"a.b\""),
    ("foo-bar", "\"foo-bar\""),
    ("example.com:443", "\"example.com:443\""),
    ("www.example.com/a_b-c", "\"www.example.com/a_b-c\""),
    ("12:30", "\"12:30\""),
    ("foo-bar:baz", "\"foo-bar:baz\""),
    ("@united:hello", "\"@united:hello\""),
    (":-D", "\":-d\""),
    (":D", "\":d\""),
    ("=D", "\"=d\""),
    ("<3", "\"<3\""),
    ("o.O", "\"o.o\""),
    ("故障！", "\"故障!\""),
    ("故障？", "\"故障?\""),
    ("テレビ、ラジオ", "\"テレビ、ラジオ\""),
    ("＃delayed", "\"#delayed\""),
    ("＠united", "\"@united\""),
    ("ｒｅｆｕｎｄ", "\"refund\""),
    ("１００％", "\"100%\""),
    ("d’OR", "\"d'or\""),
    ("BALLON-D’OR", "\"ballon-d'or\""),
    ("NOT!", "\"not!\""),
    ("W3", "\"w3\""),
    ("w/3", "\"w/3\""),
    ("near-3", "\"near-3\""),
    ("N/A", "\"n/a\""),
    ("NEARBY", "\"nearby\""),
    ("ADJ", "\"adj\""),
    ("XOR", "\"xor\""),
    ("YORKSHIRE", "\"yorkshire\""),
    ("BRAND-new", "\"brand-new\""),
    ("SANDisk", "\"sandisk\""),
    ("@tvORradio", "\"@tvorradio\""),
    ("#thisORthat", "\"#thisorthat\""),
    ("\"（笑）\"", "\"(笑)\""),
    ("\"＊\"", "\"\\*\""),
    ("lang:\"jp\"", "lang:\"jp\""),
    ("lang:\"en\"", "lang:en"),
    ("lang:se-NO", "lang:se-no"),
    ("lang:und", "lang:und"),
    ("lang:IW", "lang:iw"),
    ("network:\"twitter\"", "network:\"twitter\""),
    ("network:bluesky", "network:bluesky"),
    ("author:@2244994945", "author:@2244994945"),
    ("from:jane2", "author:@jane2"),
    ("/\\$[a-z]+\\b/", "/\\$[a-z]+\\b/"),
];

#[test]
fn words_that_look_like_operators_fields_or_wide_signs_are_words() {
    let mut wrong = String::new();
    for (query, spelled) in WORDS {
        let read = parse(query, Dialect::Rule(Form::default()));
        let told = read.map_or_else(|mistakes| format!("{mistakes:?}"), |read| read.spelled());
        if told != *spelled {
            wrong.push_str(&format!("`{query}` is read as {told}\n"));
        }
    }
    for query in ["love is <3", "my account :D", "who is it =)", "my account :(", "network news"] {
        let read = parse(query, Dialect::Rule(Form::default()));
        let told = read.map_or_else(|mistakes| format!("{mistakes:?}"), |_| String::new());
        if told.contains("blanks inside") {
            wrong.push_str(&format!("`{query}` is told {told}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_field_in_pieces_is_told_once_in_a_filter_too() {
    let mistakes = parse("tag:vip AND followers > 1000", Dialect::Filter).expect_err("a field in pieces");
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!((mistakes[0].at, mistakes[0].length), (12, 16));
}
