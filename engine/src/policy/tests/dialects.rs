//! Real queries of other search languages, from their public documentation, and what becomes of them here.
//!
//! Owns no behaviour. A query that means the same is read, and shown in the plain spelling of `Expression::spelled`; one
//! that does not is refused with what to write instead. The queries are quoted as they stand in the pages named.

use crate::policy::query::{Dialect, Form, parse};

/// What becomes of a query.
enum Becomes {
    /// It is read as this one.
    Same(&'static str),
    /// It is refused, and the message or its hint says this.
    Told(&'static str),
}
use Becomes::{Same, Told};

/// <https://docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule>
const X_RULES: &[(&str, Becomes)] = &[
    ("#xapiv2", Same(r##""#xapiv2""##)),
    ("snow day #NoSchool", Same(r##"("snow" AND "day" AND "#noschool")"##)),
    ("grumpy OR cat OR #meme", Same(r##"("grumpy" OR "cat" OR "#meme")"##)),
    ("cat #meme -grumpy", Same(r##"("cat" AND "#meme" AND NOT "grumpy")"##)),
    ("(grumpy cat) OR (#meme has:images)", Told("`has:images` is not there yet")),
    ("\"X data\" has:mentions (has:media OR has:links)", Told("`has:media` is not there yet")),
    ("has:links OR is:retweet", Same("(has:link OR repost:true)")),
    ("skiing -snow -day -noschool", Same(r#"("skiing" AND NOT "snow" AND NOT "day" AND NOT "noschool")"#)),
    ("skiing -(snow OR day OR noschool)", Same(r#"("skiing" AND NOT ("snow" OR "day" OR "noschool"))"#)),
    ("apple OR iphone ipad", Same(r#"("apple" OR ("iphone" AND "ipad"))"#)),
    ("ipad iphone OR android", Same(r#"(("ipad" AND "iphone") OR "android")"#)),
    ("(apple OR iphone) ipad", Same(r#"(("apple" OR "iphone") AND "ipad")"#)),
    ("iphone (ipad OR android)", Same(r#"("iphone" AND ("ipad" OR "android"))"#)),
    ("diacrítica", Same(r#""diacritica""#)),
    (
        "(happy OR happiness) lang:en -birthday -is:retweet",
        Same(r#"(("happy" OR "happiness") AND lang:en AND NOT "birthday" AND NOT repost:true)"#),
    ),
    ("(happy OR happiness) place_country:GB -birthday -is:retweet", Told("mentions do not carry it")),
    (
        "(happy OR happiness OR excited OR elated) lang:en -birthday -is:retweet -holidays",
        Same(
            r#"(("happy" OR "happiness" OR "excited" OR "elated") AND lang:en AND NOT "birthday" AND NOT repost:true AND NOT "holidays")"#,
        ),
    ),
    ("-is:retweet has:geo (from:NWSNHC OR from:NHC_Atlantic)", Told("`has:geo` is not there yet")),
    ("context:65.852262932607926273 -is:retweet has:images lang:ja", Told("there is no field `context`")),
    ("embedding:\"climate change policy\" embedding_threshold:0.4", Told("there is no field `embedding`")),
];

/// <https://docs.x.com/x-api/posts/filtered-stream/integrate/operators>
const X_OPERATORS: &[(&str, Becomes)] = &[
    ("pepsi OR cola OR \"coca cola\"", Same(r#"("pepsi" OR "cola" OR "coca cola")"#)),
    ("(😃 OR 😡) 😬", Same(r#"(("😃" OR "😡") AND "😬")"#)),
    ("(\"X API\" OR #v2) -\"filtered stream\"", Same(r##"(("x api" OR "#v2") AND NOT "filtered stream")"##)),
    ("\"social media\"~5", Told("write social NEAR/5 media")),
    ("#thankunext #fanart", Same(r##"("#thankunext" AND "#fanart")"##)),
    ("(@XDevelopers OR @api) -@x", Same(r#"(("@xdevelopers" OR "@api") AND NOT "@x")"#)),
    // A policy without lists of these names says how a cashtag is written: see `mistakes`.
    ("$twtr OR @XDevelopers -$fb", Same(r#"($twtr OR ("@xdevelopers" AND NOT $fb))"#)),
    ("from:XDevelopers OR from:api", Same("(author:@xdevelopers OR author:@api)")),
    ("to:XDevelopers OR to:api", Told("write account:@XDevelopers kind:reply")),
    ("retweets_of:XDevelopers", Told("`repost:true` finds reposts")),
    ("url:\"https://developer.x.com\"", Told("`has:link` finds any link")),
    ("conversation_id:1334987486343299072", Told("mentions do not carry it")),
    ("bio:developer OR bio:\"data engineer\"", Told("there is no field `bio`")),
    ("point_radius:[2.355128 48.861118 16km]", Told("there is no field `point_radius`")),
    ("data @XDevelopers -is:retweet", Same(r#"("data" AND "@xdevelopers" AND NOT repost:true)"#)),
    ("from:XDevelopers is:reply", Same("(author:@xdevelopers AND kind:reply)")),
    ("\"sentiment analysis\" is:quote", Same(r#"("sentiment analysis" AND kind:quote)"#)),
    ("#nowplaying is:verified", Same(r##"("#nowplaying" AND verified:true)"##)),
    ("\"mobile games\" -is:nullcast", Same(r#"("mobile games" AND NOT promoted:true)"#)),
    ("from:XDevelopers -has:hashtags", Same("(author:@xdevelopers AND NOT has:hashtag)")),
    ("#stonks has:cashtags", Told("there is no feature `cashtags`")),
    ("(kittens OR puppies) has:media", Told("`has:media` is not there yet")),
    ("recommend #paris lang:en", Same(r##"("recommend" AND "#paris" AND lang:en)"##)),
    ("#nowplaying @spotify sample:15", Told("there is no field `sample`")),
    ("min_followers:1000", Same("followers:[1000 TO *]")),
    ("followers_count:1000..10000", Same("followers:[1000 TO 10000]")),
];

/// <https://lucene.apache.org/core/9_0_0/queryparser/org/apache/lucene/queryparser/classic/package-summary.html>
const LUCENE: &[(&str, Becomes)] = &[
    ("title:\"The Right Way\" AND text:go", Told("the text is searched without a field")),
    ("te?t", Told("/\\bte\\wt\\b/")),
    ("test*", Same(r#""test*""#)),
    ("te*t", Told("/\\bte\\w*t\\b/")),
    ("/[mb]oat/", Same("/[mb]oat/")),
    ("roam~", Told("write the forms and misspellings that are meant: (roam OR …)")),
    ("roam~1", Told("is a fuzzy search")),
    ("\"jakarta apache\"~10", Told("write jakarta NEAR/10 apache")),
    ("mod_date:[20020101 TO 20030101]", Told("asks no dates")),
    ("title:{Aida TO Carmen}", Told("there is no field `title`")),
    ("jakarta apache", Same(r#"("jakarta" AND "apache")"#)),
    ("jakarta^4 apache", Told("write jakarta; a rule's `priority`")),
    ("\"jakarta apache\"^4 \"Apache Lucene\"", Told("raises a score")),
    ("\"jakarta apache\" OR jakarta", Same(r#"("jakarta apache" OR "jakarta")"#)),
    ("\"jakarta apache\" AND \"Apache Lucene\"", Same(r#"("jakarta apache" AND "apache lucene")"#)),
    ("+jakarta lucene", Told("`lucene` has no `+`")),
    ("\"jakarta apache\" NOT \"Apache Lucene\"", Same(r#"("jakarta apache" AND NOT "apache lucene")"#)),
    ("\"jakarta apache\" -\"Apache Lucene\"", Same(r#"("jakarta apache" AND NOT "apache lucene")"#)),
    ("NOT \"jakarta apache\"", Same(r#"NOT "jakarta apache""#)),
    ("(jakarta OR apache) AND website", Same(r#"(("jakarta" OR "apache") AND "website")"#)),
    ("title:(+return +\"pink panther\")", Told("there is no field `title`")),
    (r"\(1\+1\)\:2", Told("signs are searched for in quotes")),
];

/// <https://github.com/elastic/elasticsearch/blob/main/docs/reference/query-dsl/query-string-syntax.asciidoc>; of one
/// query the field is another, since `age` is none of ours.
const ELASTICSEARCH: &[(&str, Becomes)] = &[
    ("status:active", Told("there is no field `status`")),
    ("author:\"John Smith\"", Told("expected a handle such as `@jane` after `author:`")),
    ("_exists_:title", Told("write the field with the values that are meant")),
    ("qu?ck bro*", Told("/\\bqu\\wck\\b/")),
    ("name:/joh?n(ath[oa]n)/", Told("there is no field `name`")),
    ("/.*n/", Same("/.*n/")),
    ("quikc~ brwn~ foks~", Told("(quikc OR …)")),
    ("\"fox quick\"~5", Told("write fox NEAR/5 quick")),
    ("quick^2 fox", Told("raises a score")),
    ("\"john smith\"^2   (foo bar)^4", Told("raises a score")),
    ("quick brown +fox -news", Told("`quick` has no `+`")),
    (
        "((quick AND fox) OR (brown AND fox) OR fox) AND NOT news",
        Same(r#"((("quick" AND "fox") OR ("brown" AND "fox") OR "fox") AND NOT "news")"#),
    ),
    ("(quick OR brown) AND fox", Same(r#"(("quick" OR "brown") AND "fox")"#)),
    ("age:>10", Told("there is no field `age`")),
    ("followers:(>=10 AND <20)", Told("write a range: followers:[1000 TO 5000]")),
    ("status:(active OR pending) title:(full text search)^2", Told("there is no field `status`")),
];

/// <https://support.brandwatch.com/hc/en-us/articles/204114708-Advanced-Query-Operators>, as kept at
/// <https://ru.scribd.com/document/332145945/Queries-Brandwatch>
const BRANDWATCH: &[(&str, Becomes)] = &[
    ("apple juice~5", Told("is a fuzzy search")),
    (
        "(apple OR orange) NEAR/5 (smartphone OR phone)",
        Same(r#"(("apple" OR "orange") NEAR/5 ("smartphone" OR "phone"))"#),
    ),
    ("logitech NEAR/2f keyboard", Same(r#"("logitech" ONEAR/2 "keyboard")"#)),
    ("raw:Google+", Told("write \"Google+\" in a rule with case = \"exact\"")),
    ("site:twitter.com AND apple juice", Told("`network:x` asks where a mention was posted")),
    ("links:msn.com", Told("`has:link` finds any link")),
];

/// <https://community.brandwatch.com/boolean-explained-84/boolean-explained-proximity-operators-478>
const BRANDWATCH_NEAR: &[(&str, Becomes)] = &[
    (
        "((Christmas OR Xmas) NEAR/2 (Gift OR Present))",
        Same(r#"(("christmas" OR "xmas") NEAR/2 ("gift" OR "present"))"#),
    ),
    ("(((Christmas OR Xmas) NEAR/2 (Gift OR Present))", Told("this `(` is never closed")),
    (
        "(((Christmas OR Xmas) NEAR/2 (Gift OR Present)) NEAR/2 (wife OR “girl friend”))",
        Told("write straight quotes"),
    ),
    ("((Summer) NEAR/1f (Holiday OR Vacation))", Same(r#"("summer" ONEAR/1 ("holiday" OR "vacation"))"#)),
];

/// The Boolean operator guide of 2020 for ForSight, <https://docslib.org/doc/3427977/boolean-operator-guide>
const FORSIGHT: &[(&str, Becomes)] = &[(
    "((cake OR \"ice cream\" OR cookie) AND (birthday OR birthdays))~5",
    Told("write (this OR that) NEAR/5 (one OR other)"),
)];

/// <https://listen.help.sentione.com/docs/operators>
const SENTIONE: &[(&str, Becomes)] = &[
    (
        "The AND United AND States AND of AND America",
        Same(r#"("the" AND "united" AND "states" AND "of" AND "america")"#),
    ),
    ("Samsung OR Apple", Same(r#"("samsung" OR "apple")"#)),
    ("advertis*", Same(r#""advertis*""#)),
    ("advertise?", Told("write advertise or advertise*")),
];

#[test]
fn queries_of_other_languages_are_read_where_they_mean_the_same_and_refused_with_advice_where_not() {
    let tables =
        [X_RULES, X_OPERATORS, LUCENE, ELASTICSEARCH, BRANDWATCH, BRANDWATCH_NEAR, FORSIGHT, SENTIONE];
    let mut wrong = String::new();
    for (query, becomes) in tables.into_iter().flatten() {
        let read = parse(query, Dialect::Rule(Form::default()));
        let told = match &read {
            Ok(expression) => expression.spelled(),
            Err(mistakes) => {
                mistakes.iter().map(|m| format!("{}: {} ({})\n", m.at, m.what, m.hint)).collect()
            }
        };
        let right = match becomes {
            Same(spelled) => read.is_ok() && told == *spelled,
            Told(part) => read.is_err() && told.contains(part),
        };
        if !right {
            wrong.push_str(&format!("`{query}` became\n{told}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(tables.iter().map(|table| table.len()).sum::<usize>() >= 90);
}
