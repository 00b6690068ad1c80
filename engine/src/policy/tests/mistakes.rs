//! The mistakes people make, and what they are told: every message as they read it.
//!
//! Owns the wording. A message that changes is changed here, on purpose.

use super::*;

struct Case {
    what: &'static str,
    text: &'static str,
    told: &'static [&'static str],
}

const EMPTY: &[&str] = &[
    "policy: [fleet] lacks `hash_key` (32 lower-case hex digits, the same for the whole fleet for ever; `openssl rand -hex 16` makes them)",
    "policy: the workflow has no default queue (write [workflow] with default = \"<queue>\"; no mention may be without a queue)",
    "policy: there is no desk (write [[desk]] with name and log_partition)",
    "policy: there is no queue (write [[queue]] with name and desk)",
];
const KEY: &[&str] = &[
    "frame.toml:26:12: `hash_key` is no key (32 lower-case hex digits, the same for the whole fleet for ever; `openssl rand -hex 16` makes them)",
];
const MANY: &[&str] = &[
    "a/z.toml:3:25: in `when`: a workflow filter asks fields, not words: found `tv` (put the word into a rule that gives a tag, and ask for `tag:…` here)",
    "a/z.toml:4:9: there is no queue `care` (did you mean `care.general`?)",
    "b.toml:3:11: in `query`: expected a term or `(`, found the end",
    "b.toml:4:1: unknown key `prio` in [[rule]] (did you mean `priority`?)",
    "c.toml:2:11: `ids_max = 1` is out of range: from 1000 to 1000000000",
    "c.toml:3:10: `window` must be a duration in quotes, such as \"72h\", found the number 10",
];

const FILES: &[Case] = &[
    Case {
        what: "a key that is misspelled",
        text: r#"[[rule]]
name = "tv"
query = "tv"
tag = ["tv"]"#,
        told: &["p.toml:4:1: unknown key `tag` in [[rule]] (did you mean `tags`?)"],
    },
    Case {
        what: "a table that is misspelled",
        text: r#"[[rules]]
name = "tv"
query = "tv""#,
        told: &["p.toml:1:3: unknown table or key `rules` at the top of the file (did you mean `rule`?)"],
    },
    Case {
        what: "one bracket instead of two",
        text: r#"[rule]
name = "tv"
query = "tv""#,
        told: &[
            "p.toml:1:2: `rule` must be a list of tables, found a table (write [[rule]] with two brackets)",
        ],
    },
    Case {
        what: "a queue that does not exist",
        text: r#"[[filter]]
name = "tv"
when = "kind:reply"
queue = "tech.tvv""#,
        told: &["p.toml:4:9: there is no queue `tech.tvv` (did you mean `tech.tv`?)"],
    },
    Case {
        what: "a desk that does not exist",
        text: r#"[[queue]]
name = "q"
desk = "teck""#,
        told: &["p.toml:3:8: there is no desk `teck` (did you mean `tech`?)"],
    },
    Case {
        what: "a tag that no rule gives",
        text: r#"[[rule]]
name = "tv"
query = "tv"
tags = ["tv-broken"]
[[filter]]
name = "tv"
when = "kind:reply OR tag:tv-brokn"
queue = "tech.tv""#,
        told: &["p.toml:7:23: in `when`: no rule gives the tag `tv-brokn` (did you mean `tv-broken`?)"],
    },
    Case {
        what: "two rules of one name",
        text: r#"[[rule]]
name = "tv"
query = "tv"
[[rule]]
name = "tv"
query = "radio""#,
        told: &["p.toml:5:8: two rules are named `tv`: the first is in p.toml line 2"],
    },
    Case {
        what: "a name that is none",
        text: r#"[[rule]]
name = "TV broken"
query = "tv""#,
        told: &[
            "p.toml:2:8: `TV broken` cannot be a rule name (a name has lower-case letters, digits, `-` and `.`, and begins and ends with a letter or digit)",
        ],
    },
    Case {
        what: "a desk with a dot, which would be part of a topic's name",
        text: r#"[[desk]]
name = "care.eu"
log_partition = 3"#,
        told: &[
            "p.toml:2:8: `care.eu` cannot be a desk name (a name has lower-case letters, digits and `-`, and begins and ends with a letter or digit)",
        ],
    },
    Case {
        what: "a desk without its partition",
        text: r#"[[desk]]
name = "press""#,
        told: &[
            "p.toml:1:1: [[desk]] lacks `log_partition` (the partition of the desk log, fixed for the desk's life)",
        ],
    },
    Case {
        what: "no name and no query",
        text: r#"[[rule]]
tags = ["tv"]"#,
        told: &[
            "p.toml:1:1: [[rule]] lacks `name` (every rule has a name that decisions and metrics quote)",
            "p.toml:1:1: [[rule]] lacks `query`",
        ],
    },
    Case {
        what: "a number out of range",
        text: r#"[[rule]]
name = "tv"
query = "tv"
priority = 200"#,
        told: &["p.toml:4:12: `priority = 200` is out of range: from 0 to 100"],
    },
    Case {
        what: "a number in quotes",
        text: r#"[[rule]]
name = "tv"
query = "tv"
priority = "high""#,
        told: &["p.toml:4:12: `priority` must be a whole number, found the text \"high\""],
    },
    Case {
        what: "a single tag without brackets",
        text: r#"[[rule]]
name = "tv"
query = "tv"
tags = "tv""#,
        told: &["p.toml:4:8: `tags` must be a list of texts, such as [\"tv\"], found the text \"tv\""],
    },
    Case {
        what: "a category that is not in the list",
        text: r#"[[rule]]
name = "tv"
query = "tv"
category = "tecnical""#,
        told: &[
            "p.toml:4:12: `category = \"tecnical\"` is not known: expected `complaint`, `technical`, `feedback`, `general` (did you mean `technical`?)",
        ],
    },
    Case {
        what: "an action of a later release",
        text: r#"[[rule]]
name = "tv"
query = "tv"
action = "collapse""#,
        told: &["p.toml:4:10: `action = \"collapse\"` is not known: expected `tag`, `noise`, `block`"],
    },
    Case {
        what: "a key of a later release",
        text: r#"[[rule]]
name = "tv"
query = "tv"
expert = "tv-lab""#,
        told: &["p.toml:4:1: `expert` in [[rule]] is not there yet"],
    },
    Case {
        what: "a duration without its unit",
        text: r#"[dedup]
window = "10""#,
        told: &[
            "p.toml:2:10: `window = \"10\"` is no duration (expected a duration such as `10m`, `72h` or `1d12h` (units w, d, h, m, s, ms))",
        ],
    },
    Case {
        what: "a duration out of range",
        text: r#"[dedup]
window = "90d""#,
        told: &["p.toml:2:10: `window = \"90d\"` is out of range: from 1s to 31d"],
    },
    Case {
        what: "a rule that must never be dropped and drops",
        text: r#"[[rule]]
name = "fire"
query = "fire"
action = "noise"
never_drop = true"#,
        told: &[
            "p.toml:5:14: `never_drop = true` and `action = \"noise\"` contradict each other (a rule that must never be dropped may only tag)",
        ],
    },
    Case {
        what: "a class that drops",
        text: r#"[[rule]]
name = "fire"
query = "fire"
class = "safety"
action = "block""#,
        told: &[
            "p.toml:4:9: `class = \"safety\"` and `action = \"block\"` contradict each other (what a rule of a class matches is never dropped)",
        ],
    },
    Case {
        what: "a class that may be dropped",
        text: r#"[[rule]]
name = "fire"
query = "fire"
class = "safety"
never_drop = false"#,
        told: &[
            "p.toml:5:14: `class = \"safety\"` and `never_drop = false` contradict each other (what a rule of a class matches is never dropped)",
        ],
    },
    Case {
        what: "a class that is not there",
        text: r#"[[rule]]
name = "fire"
query = "fire"
class = "safty""#,
        told: &[
            "p.toml:4:9: `class = \"safty\"` is not known: expected `safety`, `legal`, `press` (did you mean `safety`?)",
        ],
    },
    Case {
        what: "an account without its network",
        text: r#"[accounts]
own = ["@brandcare"]"#,
        told: &[
            "p.toml:2:8: `@brandcare` in `own` is no account (expected `network:@handle` or `network:author-id`, such as `x:@brandcare`)",
        ],
    },
    Case {
        what: "a default given twice",
        text: r#"[workflow]
default = "tech.tv""#,
        told: &[
            "p.toml:2:11: `default` is given twice: the first is in frame.toml line 23 (keep one of them)",
        ],
    },
    Case {
        what: "a fleet key given twice",
        text: r#"[fleet]
hash_key = "abc""#,
        told: &[
            "p.toml:2:12: `hash_key` is given twice: the first is in frame.toml line 26 (keep one of them)",
        ],
    },
    Case {
        what: "TOML that is none",
        text: r#"[[rule]]
name = "tv
query = "tv""#,
        told: &[
            "p.toml:2:11: not readable as TOML: invalid basic string, expected `\"` (a text ends with the quote that it began with, on the same line)",
        ],
    },
    Case {
        what: "a key twice in one table",
        text: r#"[[rule]]
name = "tv"
query = "tv"
query = "radio""#,
        told: &[
            "p.toml:4:1: not readable as TOML: duplicate key (each key and each section is written once)",
        ],
    },
    Case {
        what: "a list without a name",
        text: r#"[[list]]
terms = ["tv"]"#,
        told: &["p.toml:1:1: [[list]] lacks `name` (queries name the list by it: $name)"],
    },
    Case {
        what: "a list without terms",
        text: r#"[[list]]
name = "products""#,
        told: &[
            "p.toml:1:1: [[list]] lacks `terms` (such as terms = [\"tv\", \"set top box\", \"router*\"])",
        ],
    },
    Case {
        what: "a list with no terms in it",
        text: r#"[[list]]
name = "products"
terms = []"#,
        told: &[
            "p.toml:1:1: `terms` in [[list]] is empty (such as terms = [\"tv\", \"set top box\", \"router*\"])",
        ],
    },
    Case {
        what: "two lists of one name",
        text: r#"[[list]]
name = "products"
terms = ["tv"]
[[list]]
name = "products"
terms = ["radio"]"#,
        told: &["p.toml:5:8: two lists are named `products`: the first is in p.toml line 2 (join them)"],
    },
    Case {
        what: "a list's name with its sign",
        text: r#"[[list]]
name = "$products"
terms = ["tv"]"#,
        told: &[
            "p.toml:2:8: `$products` cannot be a list's name (write name = \"products\"; the `$` stands in queries alone)",
        ],
    },
    Case {
        what: "a list's name in capitals",
        text: r#"[[list]]
name = "Products"
terms = ["tv"]"#,
        told: &[
            "p.toml:2:8: `Products` cannot be a list's name (a list's name has lower-case letters, digits, `-` and `.`, begins with a letter and ends with a letter or digit)",
        ],
    },
    Case {
        what: "a list's terms that are queries",
        text: r#"[[list]]
name = "products"
terms = ["tv OR radio", "(tv)", "$other", "tv*", "rou*ter", "", "/tv/", "'no picture'", 'C:\temp', "'90s"]"#,
        told: &[
            "p.toml:3:10: in the list `products`: the operator `OR` in `tv OR radio`: expected a word or a phrase (a list has one term in each entry; write the word in lower case to search for it)",
            "p.toml:3:25: in the list `products`: `(tv)` is a query: expected a word or a phrase, as it stands in the text (a list has one term in each entry; combine lists in a rule's query)",
            "p.toml:3:33: in the list `products`: `$other` names a list: expected a word or a phrase (a list cannot hold another; name both in the query: ($one OR $other))",
            "p.toml:3:43: in the list `products`: `tv*` is too short for a wildcard: the limit PREFIX_CHARS_MIN is 3 characters (write the words that are meant: (tv OR tvs))",
            "p.toml:3:50: in the list `products`: the wildcard in `rou*ter` stands neither at its end nor at its beginning (write a regular expression: /\\brou\\w*ter\\b/; for the sign itself, write \\* in quotes)",
            "p.toml:3:61: in the list `products`: the term is empty: expected a word or a phrase",
            "p.toml:3:65: in the list `products`: `/tv/` is a query: expected a word or a phrase, as it stands in the text (a list has one term in each entry; combine lists in a rule's query)",
            "p.toml:3:73: in the list `products`: single quotes around `no picture` (write no picture; to search for the signs too, name \"'no picture'\" in a query)",
            "p.toml:3:89: in the list `products`: `\\t` escapes nothing: expected `\\\"`, `\\*` or `\\\\` (write t; to search for the sign itself, write \\\\)",
        ],
    },
    Case {
        what: "rules that ask each other in a circle",
        text: r#"[[rule]]
name = "one"
query = "tv AND tag:b"
tags = ["a"]
[[rule]]
name = "two"
query = "tag:a"
tags = ["b"]"#,
        told: &[
            "p.toml:3:17: in `query`: rules ask each other in a circle: `one` asks for tag:b, which `two` gives; `two` asks for tag:a, which `one` gives (a tag or category is given before it is asked for: ask for words in one of them)",
        ],
    },
    Case {
        what: "a rule that asks for its own tag",
        text: r#"[[rule]]
name = "one"
query = "tv OR tag:a"
tags = ["a"]"#,
        told: &[
            "p.toml:3:16: in `query`: `one` asks for tag:a, which it gives itself (a tag or category is given before it is asked for: ask for words in one of them)",
        ],
    },
    Case {
        what: "a rule that asks for the category and gives one",
        text: r#"[[rule]]
name = "one"
query = "category:complaint"
category = "technical""#,
        told: &[
            "p.toml:3:10: in `query`: `one` asks for the category, which it gives itself (a tag or category is given before it is asked for: ask for words in one of them)",
        ],
    },
    Case {
        what: "a treatment of capitals that is none",
        text: r#"[[rule]]
name = "us"
query = "US"
case = "sensitive""#,
        told: &["p.toml:4:8: `case = \"sensitive\"` is not known: expected `ignore`, `exact`"],
    },
];

const QUERIES: &[Case] = &[
    Case {
        what: "operators in lower case",
        text: r#"tv and broken"#,
        told: &[
            "q.toml:3:13: in `query`: operators are written in capitals: found `and` (write AND; to search for the word, write \"and\")",
        ],
    },
    Case {
        what: "a parenthesis that is never closed",
        text: r#"tv AND (broken OR dead"#,
        told: &["q.toml:3:17: in `query`: this `(` is never closed: expected `)`"],
    },
    Case {
        what: "a parenthesis that closes nothing",
        text: r#"tv) AND broken"#,
        told: &["q.toml:3:12: in `query`: this `)` closes nothing: expected AND, OR or a term"],
    },
    Case {
        what: "an operator without its right side",
        text: r#"tv AND"#,
        told: &["q.toml:3:16: in `query`: expected a term or `(`, found the end"],
    },
    Case {
        what: "an operator without its left side",
        text: r#"OR tv"#,
        told: &["q.toml:3:10: in `query`: expected a term or `(`, found `OR`"],
    },
    Case {
        what: "two operators in a row",
        text: r#"tv AND OR broken"#,
        told: &["q.toml:3:17: in `query`: expected a term or `(`, found `OR`"],
    },
    Case {
        what: "empty parentheses",
        text: r#"tv ()"#,
        told: &["q.toml:3:14: in `query`: expected a term or `(`, found `)`"],
    },
    Case {
        what: "a quote that is never closed",
        text: r#""tv broken"#,
        told: &["q.toml:3:10: in `query`: this quote is never closed: expected another `\"`"],
    },
    Case {
        what: "an empty phrase",
        text: r#"tv "  ""#,
        told: &["q.toml:3:13: in `query`: the phrase is empty: expected words between the quotes"],
    },
    Case {
        what: "typographic quotes",
        text: r#"“tv broken”"#,
        told: &[
            "q.toml:3:10: in `query`: typographic quotes in `“tv` (write straight quotes: \"…\")",
            "q.toml:3:14: in `query`: typographic quotes in `broken”` (write straight quotes: \"…\")",
        ],
    },
    Case {
        what: "a wildcard with too few letters",
        text: r#"tv*"#,
        told: &[
            "q.toml:3:10: in `query`: `tv*` is too short for a wildcard: the limit PREFIX_CHARS_MIN is 3 characters (write the words that are meant: (tv OR tvs))",
        ],
    },
    Case {
        what: "a wildcard before too few letters",
        text: r#"*ed"#,
        told: &[
            "q.toml:3:10: in `query`: `*ed` is too short for a wildcard: the limit SUFFIX_CHARS_MIN is 3 characters (write the words that are meant: (tv OR tvs))",
        ],
    },
    Case {
        what: "a wildcard alone",
        text: r#"tv *"#,
        told: &[
            "q.toml:3:13: in `query`: `*` matches everything: expected letters before or after `*` (leave it out; to search for the sign, write \"\\*\")",
        ],
    },
    Case {
        what: "a wildcard inside a word",
        text: r#"ref*nd"#,
        told: &[
            "q.toml:3:10: in `query`: the wildcard in `ref*nd` stands neither at its end nor at its beginning (write a regular expression: /\\bref\\w*nd\\b/; for the sign itself, write \\* in quotes)",
        ],
    },
    Case {
        what: "a wildcard at both ends",
        text: r#"*fund*"#,
        told: &[
            "q.toml:3:10: in `query`: the wildcard in `*fund*` stands neither at its end nor at its beginning (for letters anywhere in a word, write a regular expression: /fund/)",
        ],
    },
    Case {
        what: "a wildcard between the words of a phrase",
        text: r#""tv * broken""#,
        told: &[
            "q.toml:3:10: in `query`: the wildcard in `tv * broken` stands neither at its end nor at its beginning (for a word between, write tv ONEAR/1 broken)",
        ],
    },
    Case {
        what: "a wildcard behind a phrase",
        text: r#""broken scr"*"#,
        told: &[
            "q.toml:3:24: in `query`: the wildcard stands behind the quote: expected it inside (write \"broken scr*\")",
        ],
    },
    Case {
        what: "proximity without its number",
        text: r#"tv NEAR broken"#,
        told: &[
            "q.toml:3:13: in `query`: expected a number of words after `NEAR/`, found `NEAR` (such as `NEAR/3`: at most 3 words between; for the word, write \"NEAR\")",
        ],
    },
    Case {
        what: "proximity in lower case",
        text: r#"tv near/3 broken"#,
        told: &[
            "q.toml:3:13: in `query`: operators are written in capitals: found `near/3` (write NEAR/3; to search for the word, write \"near/3\")",
        ],
    },
    Case {
        what: "proximity that reaches too far",
        text: r#"tv NEAR/51 broken"#,
        told: &[
            "q.toml:3:13: in `query`: `NEAR/51` reaches too far: the limit NEAR_WORDS_MAX is 50 words between (for words anywhere in the text, write AND)",
        ],
    },
    Case {
        what: "proximity with no right side",
        text: r#"tv NEAR/3"#,
        told: &["q.toml:3:19: in `query`: expected a term or `(`, found the end"],
    },
    Case {
        what: "proximity of a field",
        text: r#"tv NEAR/3 lang:en"#,
        told: &[
            "q.toml:3:20: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found `lang:en` (join it with AND, outside of the NEAR)",
        ],
    },
    Case {
        what: "proximity of a negation",
        text: r#"tv NEAR/3 NOT broken"#,
        told: &[
            "q.toml:3:20: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found NOT (write NOT around the whole: tv AND NOT (tv NEAR/3 radio))",
        ],
    },
    Case {
        what: "proximity of an AND",
        text: r#"(tv screen) NEAR/3 broken"#,
        told: &[
            "q.toml:3:14: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found `screen` side by side with another term, which means AND (for words that stand together, write a phrase in quotes or a NEAR in parentheses)",
        ],
    },
    Case {
        what: "proximity of a regular expression",
        text: r#"tv NEAR/3 (broken OR /br.ke/)"#,
        told: &[
            "q.toml:3:31: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found a regular expression (join it with AND, outside of the NEAR)",
        ],
    },
    Case {
        what: "proximity of three",
        text: r#"tv NEAR/3 broken NEAR/3 again"#,
        told: &[
            "q.toml:3:27: in `query`: which words belong together? expected parentheses around one NEAR of several (such as (tv NEAR/3 broken) NEAR/5 again)",
        ],
    },
    Case {
        what: "proximity as in Lucene",
        text: r#""tv broken"~3"#,
        told: &[
            "q.toml:3:23: in `query`: `~3` after a phrase: distances are written between words (write tv NEAR/3 broken)",
        ],
    },
    Case {
        what: "a regular expression that is never closed",
        text: r#"tv /broken"#,
        told: &[
            "q.toml:3:13: in `query`: this `/` is never closed: expected another `/` at the end of the regular expression (to search for a slash, put it in quotes)",
        ],
    },
    Case {
        what: "a regular expression with flags",
        text: r#"/broken/i"#,
        told: &[
            "q.toml:3:18: in `query`: expected a blank, `)` or the end after a regular expression, found `i` (it has no flags: capitals count only in a rule with case = \"exact\"; a slash inside is written `\\/`)",
        ],
    },
    Case {
        what: "a regular expression that looks ahead",
        text: r#"/tv(?=broken)/"#,
        told: &[
            "q.toml:3:10: in `query`: look-ahead and look-behind in `/tv(?=broken)/`: they cannot be served in linear time (write two terms: /this/ AND NOT /that/, or a NEAR/n b)",
        ],
    },
    Case {
        what: "a regular expression that goes back",
        text: r#"/(ha)\\1/"#,
        told: &[
            "q.toml:3:10: in `query`: a back-reference in `/(ha)\\1/`: it cannot be served in linear time (write out what may be repeated: (ha){2,} for `haha`)",
        ],
    },
    Case {
        what: "a regular expression that matches everything",
        text: r#"/a*/"#,
        told: &[
            "q.toml:3:10: in `query`: `/a*/` matches the empty text, and so every text (ask for one character at least: `+` in place of `*`)",
        ],
    },
    Case {
        what: "a regular expression that is none",
        text: r#"/(tv/"#,
        told: &[
            "q.toml:3:10: in `query`: `/(tv/` is no regular expression: unclosed group (docs/rules.md names its syntax)",
        ],
    },
    Case {
        what: "a regular expression that is too large",
        text: r#"/(\\w{1,200}){1,100}/"#,
        told: &[
            "q.toml:3:10: in `query`: `/(\\w{1,200}){1,100}/` takes too much memory: the limit REGEX_COMPILED_BYTES_MAX is 1048576 bytes (counted repetitions such as {1,100} multiply: write + or smaller counts)",
        ],
    },
    Case {
        what: "a regular expression with accents in brackets",
        text: r#"/caf[à-ü]/"#,
        told: &[
            "q.toml:3:10: in `query`: `à` inside `[…]` cannot be looked for: the text that is searched has `a` in its place (write (…|a) outside of the brackets, or give the rule accents = \"exact\")",
        ],
    },
    Case {
        what: "an empty regular expression",
        text: r#"tv // radio"#,
        told: &[
            "q.toml:3:13: in `query`: the regular expression is empty: expected a pattern between the slashes (to search for slashes, put them in quotes)",
        ],
    },
    Case {
        what: "a cashtag",
        text: r#"$TSLA"#,
        told: &[
            "q.toml:3:10: in `query`: expected the name of a list after `$`, found `$TSLA` (a cashtag is written in quotes: \"$TSLA\")",
        ],
    },
    Case {
        what: "an amount of money",
        text: r#"$100"#,
        told: &[
            "q.toml:3:10: in `query`: expected the name of a list after `$`, found `$100` (an amount is written in quotes: \"$100\")",
        ],
    },
    Case {
        what: "a list that is not there",
        text: r#"tv $product"#,
        told: &[
            "q.toml:3:13: in `query`: there is no list `product` (write [[list]] with name = \"product\"; a cashtag is written in quotes: \"$product\")",
        ],
    },
    Case {
        what: "a cashtag in lower case",
        text: r#"$twtr"#,
        told: &[
            "q.toml:3:10: in `query`: there is no list `twtr` (write [[list]] with name = \"twtr\"; a cashtag is written in quotes: \"$twtr\")",
        ],
    },
    Case {
        what: "a sign alone",
        text: r#"tv - broken"#,
        told: &[
            "q.toml:3:13: in `query`: `-` stands alone: expected a term right after it (write NOT before a term, or put the sign in quotes to search for it)",
        ],
    },
    Case {
        what: "several signs",
        text: r#"tv --broken"#,
        told: &[
            "q.toml:3:13: in `query`: several signs in `--broken`: expected one `-` or `+` before a term (to search for exactly that, write \"--broken\")",
        ],
    },
    Case {
        what: "a plus beside a bare term",
        text: r#"+tv broken"#,
        told: &[
            "q.toml:3:14: in `query`: `broken` has no `+` beside a term that has one: in Lucene it would decide nothing (put + before it too if it is required, else leave it out)",
        ],
    },
    Case {
        what: "a plus beside OR",
        text: r#"tv OR +broken"#,
        told: &[
            "q.toml:3:16: in `query`: a `+` beside OR: in Lucene the term would be required, and the OR decide nothing (write AND if it is required, else leave the sign out)",
        ],
    },
    Case {
        what: "an ampersand",
        text: r#"tv & broken"#,
        told: &[
            "q.toml:3:13: in `query`: `&` is no operator here: found `&` (write AND; to search for the sign itself, put it in quotes)",
        ],
    },
    Case {
        what: "ampersands without blanks",
        text: r#"tv&&broken"#,
        told: &[
            "q.toml:3:10: in `query`: `&&` inside `tv&&broken`: expected blanks around an operator (write tv AND broken; to search for the text itself, put it in quotes)",
        ],
    },
    Case {
        what: "a fuzzy word",
        text: r#"brokn~"#,
        told: &[
            "q.toml:3:10: in `query`: `brokn~` is a fuzzy search: expected the word itself (write the forms and misspellings that are meant: (brokn OR …), or brokn*)",
        ],
    },
    Case {
        what: "a raised score",
        text: r#"tv^2 broken"#,
        told: &[
            "q.toml:3:10: in `query`: `^2` in `tv^2` raises a score: rules match or not, and have none (write tv; a rule's `priority` orders its cases)",
        ],
    },
    Case {
        what: "a question mark",
        text: r#"te?t"#,
        told: &[
            "q.toml:3:10: in `query`: `?` in `te?t` is no wildcard: expected a plain word (for one character, write a regular expression: /\\bte\\wt\\b/)",
        ],
    },
    Case {
        what: "a question mark at the end",
        text: r#"broken?"#,
        told: &[
            "q.toml:3:10: in `query`: `?` in `broken?` is no wildcard: expected a plain word (write broken or broken*; to search for the sign itself, write \"broken?\")",
        ],
    },
    Case {
        what: "a backslash",
        text: r#"tv\\-set"#,
        told: &[
            "q.toml:3:10: in `query`: `\\` in `tv\\-set` escapes nothing: expected a plain word (signs are searched for in quotes: write \"tv-set\")",
        ],
    },
    Case {
        what: "braces",
        text: r#"{TV}"#,
        told: &[
            "q.toml:3:10: in `query`: `{TV}` begins no term: expected a word, a phrase, a field or `(` (for capitals that count, give the rule case = \"exact\"; a range follows a field: followers:[1000 TO *]; to search for the sign itself, put it in quotes)",
        ],
    },
    Case {
        what: "a bar",
        text: r#"tv | radio"#,
        told: &[
            "q.toml:3:13: in `query`: `|` is no operator here: found `|` (write OR; to search for the sign itself, put it in quotes)",
        ],
    },
    Case {
        what: "commas",
        text: r#"tv, broken"#,
        told: &[
            "q.toml:3:10: in `query`: `tv,` ends in a comma or semicolon, which is no operator (write OR or AND between terms; to search for the sign itself, put it in quotes)",
        ],
    },
    Case {
        what: "only punctuation",
        text: r#"tv ..."#,
        told: &[
            "q.toml:3:13: in `query`: `...` is nothing but punctuation: expected a term (to search for exactly that, write \"...\")",
        ],
    },
    Case {
        what: "a field that does not exist",
        text: r#"land:en"#,
        told: &["q.toml:3:10: in `query`: there is no field `land` (did you mean `lang`?)"],
    },
    Case {
        what: "a text that looks like a field",
        text: r#"re:invent"#,
        told: &[
            "q.toml:3:10: in `query`: there is no field `re` (to search for the text itself, write \"re:invent\")",
        ],
    },
    Case {
        what: "a link",
        text: r#"https://t.co/x"#,
        told: &[
            "q.toml:3:10: in `query`: there is no field `https` (to search for the text itself, write \"https://t.co/x\")",
        ],
    },
    Case {
        what: "a field of a later release",
        text: r#"tier:gold"#,
        told: &[
            "q.toml:3:10: in `query`: the field `tier` is not there yet: nothing computes it (a rule that asked for it would never match)",
        ],
    },
    Case {
        what: "a tag that no rule has",
        text: r#"tag:tv"#,
        told: &["q.toml:3:10: in `query`: no rule gives the tag `tv`"],
    },
    Case {
        what: "a set without OR",
        text: r#"lang:(en es)"#,
        told: &[
            "q.toml:3:19: in `query`: expected OR between the values of `lang:`, found `es` (write lang:(one OR other), and NOT before the field: NOT lang:(one OR other))",
        ],
    },
    Case {
        what: "a set with AND",
        text: r#"lang:(en AND es)"#,
        told: &[
            "q.toml:3:19: in `query`: expected OR between the values of `lang:`, found `AND` (write lang:(one OR other), and NOT before the field: NOT lang:(one OR other))",
        ],
    },
    Case {
        what: "an empty set",
        text: r#"lang:()"#,
        told: &[
            "q.toml:3:16: in `query`: expected a value of `lang:` before `)` (write lang:(one OR other), and NOT before the field: NOT lang:(one OR other))",
        ],
    },
    Case {
        what: "a set that is never closed",
        text: r#"lang:(en OR es"#,
        told: &[
            "q.toml:3:15: in `query`: this `(` is never closed: expected `)` after the values of `lang:`",
        ],
    },
    Case {
        what: "a set with a wrong value",
        text: r#"kind:(reply OR tweet)"#,
        told: &[
            "q.toml:3:25: in `query`: there is no kind `tweet`: expected `post`, `reply`, `repost`, `quote`, `message`, `other`",
        ],
    },
    Case {
        what: "a range of words",
        text: r#"lang:[a TO b]"#,
        told: &[
            "q.toml:3:10: in `query`: a range is for numbers: `lang:` asks for a value, found `[a TO b]` (write lang:(one OR other))",
        ],
    },
    Case {
        what: "a range that is never closed",
        text: r#"followers:[1000 TO"#,
        told: &[
            "q.toml:3:20: in `query`: this range is never closed: expected `]` or `}` after `followers:` (such as `followers:[1000 TO 5000]`)",
        ],
    },
    Case {
        what: "a range without TO",
        text: r#"followers:[1000 5000]"#,
        told: &[
            "q.toml:3:10: in `query`: expected `[least TO most]` after `followers:`, found `[1000 5000]` (such as `followers:[1000 TO 5000]`, or `*` for no limit)",
        ],
    },
    Case {
        what: "a range that holds nothing",
        text: r#"followers:[5 TO 3]"#,
        told: &["q.toml:3:10: in `query`: no number is inside `[5 TO 3]` (the smaller one comes first)"],
    },
    Case {
        what: "a comparison that nothing meets",
        text: r#"followers<0"#,
        told: &["q.toml:3:10: in `query`: no number is as `followers<0` asks"],
    },
    Case {
        what: "a feature that is none",
        text: r#"has:emojis OR has:picture"#,
        told: &[
            "q.toml:3:24: in `query`: there is no feature `picture`: expected `link`, `mention`, `hashtag`, `emoji`, `pii`",
        ],
    },
    Case {
        what: "a feature of a later release",
        text: r#"has:media"#,
        told: &[
            "q.toml:3:10: in `query`: `has:media` is not there yet: mentions do not say whether they hold it",
        ],
    },
    Case {
        what: "a visibility that is none",
        text: r#"visibility:hidden"#,
        told: &["q.toml:3:10: in `query`: there is no visibility `hidden`: expected `public`, `private`"],
    },
    Case {
        what: "a handle with a blank",
        text: r#"author:"Jane Doe""#,
        told: &[
            "q.toml:3:10: in `query`: expected a handle such as `@jane` after `author:`, found `Jane Doe`",
        ],
    },
    Case {
        what: "a field of Twitter",
        text: r#"to:brandcare"#,
        told: &["q.toml:3:10: in `query`: there is no field `to` (write account:@brandcare kind:reply)"],
    },
    Case {
        what: "a field of Brandwatch",
        text: r#"raw:TV"#,
        told: &[
            "q.toml:3:10: in `query`: there is no field `raw` (write \"TV\" in a rule with case = \"exact\")",
        ],
    },
    Case {
        what: "a property of Twitter",
        text: r#"is:blue"#,
        told: &[
            "q.toml:3:10: in `query`: expected `retweet`, `reply`, `quote`, `verified` or `nullcast` after `is:`, found `blue`",
        ],
    },
    Case {
        what: "a category that is not one",
        text: r#"category:complaints"#,
        told: &[
            "q.toml:3:10: in `query`: there is no category `complaints`: expected `complaint`, `technical`, `feedback`, `general` (did you mean `complaint`?)",
        ],
    },
    Case {
        what: "a language that is none",
        text: r#"lang:english"#,
        told: &[
            "q.toml:3:10: in `query`: expected a language such as `en` or `pt-BR` after `lang:`, found `english`",
        ],
    },
    Case {
        what: "a kind that is none",
        text: r#"kind:tweet"#,
        told: &[
            "q.toml:3:10: in `query`: there is no kind `tweet`: expected `post`, `reply`, `repost`, `quote`, `message`, `other`",
        ],
    },
    Case {
        what: "an account without its sign",
        text: r#"account:brandcare"#,
        told: &[
            "q.toml:3:10: in `query`: expected an account such as `@brandcare` after `account:`, found `brandcare`",
        ],
    },
    Case {
        what: "thousands as k",
        text: r#"followers>10k"#,
        told: &[
            "q.toml:3:10: in `query`: expected a whole number after `followers>`, found `10k` (write it out, such as `followers>10000`)",
        ],
    },
    Case {
        what: "followers as a value",
        text: r#"followers:100"#,
        told: &[
            "q.toml:3:10: in `query`: expected `>`, `>=`, `<`, `<=`, `=` or a range after `followers`, found `:100` (such as `followers>10000` or `followers:[1000 TO 5000]`)",
        ],
    },
    Case {
        what: "a flag that is neither",
        text: r#"verified:yes"#,
        told: &["q.toml:3:10: in `query`: expected `true` or `false` after `verified:`, found `yes`"],
    },
    Case {
        what: "a quoted value that never ends",
        text: r#"account:"@brandcare"#,
        told: &["q.toml:3:18: in `query`: this quote is never closed: expected another `\"`"],
    },
    Case {
        what: "a field without value",
        text: r#"lang: en"#,
        told: &["q.toml:3:10: in `query`: expected a value after `lang:`"],
    },
    Case {
        what: "a phrase without a blank before it",
        text: r#"tv"broken""#,
        told: &["q.toml:3:12: in `query`: expected a blank before the phrase"],
    },
    Case {
        what: "an invisible term",
        text: r#"\u200b"#,
        told: &[
            "q.toml:3:10: in `query`: nothing is left of `\u{200b}` after normalisation: expected a visible term",
        ],
    },
    Case {
        what: "proximity of an AND that is written out",
        text: r#"tv NEAR/3 (broken OR (no AND picture))"#,
        told: &[
            "q.toml:3:35: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found AND (for words that stand together, write a phrase in quotes or a NEAR in parentheses)",
        ],
    },
    Case {
        what: "proximity of a negation in parentheses",
        text: r#"tv NEAR/3 (broken OR (dead OR NOT radio))"#,
        told: &[
            "q.toml:3:40: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found NOT (write NOT around the whole: tv AND NOT (tv NEAR/3 radio))",
        ],
    },
    Case {
        what: "proximity of a minus",
        text: r#"(broken -radio) NEAR/3 tv"#,
        told: &[
            "q.toml:3:18: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found `-` (write NOT around the whole: tv AND NOT (tv NEAR/3 radio))",
        ],
    },
    Case {
        what: "proximity of a field in parentheses",
        text: r#"(broken OR (tv OR lang:(en OR es))) NEAR/3 tv"#,
        told: &[
            "q.toml:3:28: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found `lang:(en OR es)` (join it with AND, outside of the NEAR)",
        ],
    },
    Case {
        what: "proximity of phrases side by side",
        text: r#"tv NEAR/3 (dead OR "no picture" "no sound")"#,
        told: &[
            "q.toml:3:44: in `query`: expected words beside NEAR, or an OR of words, phrases, lists and NEARs: found `\"no sound\"` side by side with another term, which means AND (for words that stand together, write a phrase in quotes or a NEAR in parentheses)",
        ],
    },
    Case {
        what: "an operator glued to a word",
        text: r#"tvNEAR/2 broken"#,
        told: &[
            "q.toml:3:10: in `query`: the operator `NEAR/2` inside `tvNEAR/2`: expected blanks around it (write tv NEAR/2; to search for the text itself, write \"tvNEAR/2\")",
        ],
    },
    Case {
        what: "an operator glued to the words of both sides",
        text: r#"tvONEAR/2broken"#,
        told: &[
            "q.toml:3:10: in `query`: the operator `ONEAR/2` inside `tvONEAR/2broken`: expected blanks around it (write tv ONEAR/2 broken; to search for the text itself, write \"tvONEAR/2broken\")",
        ],
    },
    Case {
        what: "OR glued to a word",
        text: r#"tvOR radio"#,
        told: &[
            "q.toml:3:10: in `query`: the operator `OR` inside `tvOR`: expected blanks around it (write tv OR; to search for the text itself, write \"tvOR\")",
        ],
    },
    Case {
        what: "NOT glued to a word",
        text: r#"tv NOTradio"#,
        told: &[
            "q.toml:3:13: in `query`: the operator `NOT` inside `NOTradio`: expected blanks around it (write NOT radio; to search for the text itself, write \"NOTradio\")",
        ],
    },
    Case {
        what: "single quotes",
        text: r#"tv OR 'no picture' OR 'dead'"#,
        told: &[
            "q.toml:3:16: in `query`: single quotes around `no picture` (write double quotes: \"no picture\"; to search for the signs too, write \"'no picture'\")",
            "q.toml:3:32: in `query`: single quotes around `dead` (write double quotes: \"dead\"; to search for the signs too, write \"'dead'\")",
        ],
    },
    Case {
        what: "single quotes of a word processor",
        text: r#"‘tv broken’"#,
        told: &[
            "q.toml:3:10: in `query`: single quotes around `tv broken` (write double quotes: \"tv broken\"; to search for the signs too, write \"‘tv broken’\")",
        ],
    },
    Case {
        what: "an escape that is none",
        text: r#"tv "50\\% off""#,
        told: &[
            "q.toml:3:17: in `query`: `\\%` escapes nothing: expected `\\\"`, `\\*` or `\\\\` (write %; to search for the sign itself, write \\\\)",
        ],
    },
    Case {
        what: "only an ellipsis",
        text: r#"tv …"#,
        told: &[
            "q.toml:3:13: in `query`: `…` is nothing but punctuation: expected a term (to search for exactly that, write \"…\")",
        ],
    },
    Case {
        what: "only a dash",
        text: r#"tv — broken"#,
        told: &[
            "q.toml:3:13: in `query`: `—` is nothing but punctuation: expected a term (to search for exactly that, write \"—\")",
        ],
    },
    Case {
        what: "two wildcards in a row",
        text: r#"broken**"#,
        told: &["q.toml:3:10: in `query`: several `*` in a row in `broken**`: expected one (write broken*)"],
    },
    Case {
        what: "two wildcards in a row inside a word",
        text: r#"#br.o**en"#,
        told: &[
            "q.toml:3:10: in `query`: the wildcard in `#br.o**en` stands neither at its end nor at its beginning (write a regular expression: /#br\\.o\\w*en\\b/; for the sign itself, write \\* in quotes)",
        ],
    },
    Case {
        what: "a wildcard at both ends of a path",
        text: r#"*a/b.c*"#,
        told: &[
            "q.toml:3:10: in `query`: the wildcard in `*a/b.c*` stands neither at its end nor at its beginning (for letters anywhere in a word, write a regular expression: /a\\/b\\.c/)",
        ],
    },
    Case {
        what: "a range of which nothing is left",
        text: r#"followers:{5 TO 6}"#,
        told: &[
            "q.toml:3:10: in `query`: no number is inside `{5 TO 6}` (`{` and `}` leave the number beside them out: write [5 TO 6])",
        ],
    },
    Case {
        what: "a range that ends before it begins",
        text: r#"followers:{6 TO 5}"#,
        told: &["q.toml:3:10: in `query`: no number is inside `{6 TO 5}` (the smaller one comes first)"],
    },
    Case {
        what: "a range below nought",
        text: r#"followers:[* TO 0}"#,
        told: &[
            "q.toml:3:10: in `query`: no number is inside `[* TO 0}` (`{` and `}` leave the number beside them out: write [* TO 0])",
        ],
    },
    Case {
        what: "several mistakes at once",
        text: r#"tv and -radio land:en"#,
        told: &[
            "q.toml:3:13: in `query`: operators are written in capitals: found `and` (write AND; to search for the word, write \"and\")",
            "q.toml:3:24: in `query`: there is no field `land` (did you mean `lang`?)",
        ],
    },
];

const CONDITIONS: &[Case] = &[
    Case {
        what: "a word in a filter",
        text: r#"tv AND kind:reply"#,
        told: &[
            "f.toml:8:9: in `when`: a workflow filter asks fields, not words: found `tv` (put the word into a rule that gives a tag, and ask for `tag:…` here)",
        ],
    },
    Case {
        what: "a list in a filter",
        text: r#"$products OR tag:tv"#,
        told: &[
            "f.toml:8:9: in `when`: a workflow filter asks fields, not words: found `$products` (put the word into a rule that gives a tag, and ask for `tag:…` here)",
        ],
    },
    Case {
        what: "a regular expression in a filter",
        text: r#"tag:tv AND /tv/"#,
        told: &[
            "f.toml:8:20: in `when`: a workflow filter asks fields, not words: found `/tv/` (put the word into a rule that gives a tag, and ask for `tag:…` here)",
        ],
    },
    Case {
        what: "a category that is none",
        text: r#"category:complaints"#,
        told: &[
            "f.toml:8:9: in `when`: there is no category `complaints`: expected `complaint`, `technical`, `feedback`, `general` (did you mean `complaint`?)",
        ],
    },
    Case {
        what: "an unknown field in a filter",
        text: r#"tags:tv"#,
        told: &["f.toml:8:9: in `when`: there is no field `tags` (did you mean `tag`?)"],
    },
];

fn told(path: &str, text: &str) -> Vec<String> {
    let compiled = Policy::compile(&bundle(&[(path, text)]));
    compiled.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn check(cases: &[Case], path: &str, write: impl Fn(&str) -> String) {
    let mut wrong = String::new();
    for case in cases {
        let told = told(path, &write(case.text));
        if told != case.told {
            wrong.push_str(&format!("@@{}@@{told:?}\n", case.what));
        }
        if told.is_empty() {
            wrong.push_str(&format!("{} is no mistake\n", case.what));
        }
    }
    assert!(wrong.is_empty(), "told otherwise:\n{wrong}");
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_place_and_what_to_do() {
    check(FILES, "p.toml", str::to_owned);
}

#[test]
fn a_mistake_in_a_query_is_told_at_its_character() {
    // The query begins at line 3, column 10.
    check(QUERIES, "q.toml", |query| {
        format!("[[rule]]\nname = \"q\"\nquery = \"{}\"", query.replace('"', "\\\""))
    });
}

#[test]
fn a_mistake_in_a_condition_is_told_at_its_character() {
    check(CONDITIONS, "f.toml", |when| {
        format!(
            "[[rule]]\nname = \"tv\"\nquery = \"tv\"\ntags = [\"tv\"]\n[[filter]]\nname = \"f\"\nqueue = \"tech.tv\"\nwhen = '{when}'"
        )
    });
}

#[test]
fn an_empty_policy_is_told_everything_that_it_lacks() {
    let mistakes = Policy::compile(&Bundle::default()).expect_err("nothing is there");
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told, EMPTY);
}

#[test]
fn a_fleet_key_that_is_none_is_refused_without_repeating_it() {
    let mut short = bundle(&[]);
    let frame = FRAME.replace("000102030405060708090a0b0c0d0e0f", "SECRET00");
    short.files.insert("frame.toml".into(), frame);
    let mistakes = Policy::compile(&short).expect_err("the key is short");
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told, KEY);
}

#[test]
fn the_mistakes_of_all_files_are_told_at_once_in_order() {
    let files = [
        ("b.toml", "[[rule]]\nname = \"b\"\nquery = \"(\"\nprio = 3"),
        ("a/z.toml", "[[filter]]\nname = \"f\"\nwhen = \"tag:nothing AND tv\"\nqueue = \"care\""),
        ("c.toml", "[dedup]\nids_max = 1\nwindow = 10"),
    ];
    let mistakes = Policy::compile(&bundle(&files)).expect_err("many mistakes");
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told, MANY);
}

#[test]
fn a_file_that_cannot_be_read_does_not_make_others_wrong() {
    // The tag that the filter asks for may well stand in the damaged file.
    let files = [
        ("rules.toml", "[[rule]]\nname = \"tv"),
        ("flow.toml", "[[filter]]\nname = \"f\"\nwhen = \"tag:tv\"\nqueue = \"tech.tv\""),
    ];
    let mistakes = Policy::compile(&bundle(&files)).expect_err("a damaged file");
    assert!(mistakes.iter().all(|mistake| mistake.file == "rules.toml"), "{mistakes:?}");
}

#[test]
fn one_slip_in_toml_is_told_once() {
    let test =
        "mention = { text = \"she said \"hi\" to me\", lang = \"en }\nexpect = { queue = \"tech.tv\" }\n";
    let told = told("slip.toml", &format!("[[rule]]\nname = 'a'\n{test}\n[[rule]]\nname = 'b'\n"));
    assert_eq!(
        told,
        [
            "slip.toml:3:31: not readable as TOML: missing comma between key-value pairs, expected `,` (the rest of the file is checked once this is mended)"
        ]
    );
}

#[test]
fn limits_on_what_a_policy_holds_are_named() {
    let of = |kind: &str, keys: &str, count: usize| {
        let tables = (0..count).map(|number| format!("[[{kind}]]\nname = \"n{number}\"\n{keys}\n"));
        told("many.toml", &tables.collect::<String>()).join("\n")
    };
    // The frame has two desks, two queues, no filter and no rule.
    assert!(of("desk", "log_partition = 3", DESKS_MAX - 2).is_empty());
    let told = of("desk", "log_partition = 3", DESKS_MAX - 1);
    assert_eq!(told, "many.toml:29996:8: 10001 desks, the limit DESKS_MAX is 10000");
    let told = of("queue", "desk = \"care\"", QUEUES_MAX - 1);
    assert!(told.contains("10001 queues, the limit QUEUES_MAX is 10000"), "{told}");
    let told = of("filter", "when = \"kind:reply\"\nqueue = \"tech.tv\"", FILTERS_MAX + 1);
    assert!(told.contains("10001 filters, the limit FILTERS_MAX is 10000"), "{told}");
    let told = of("rule", "query = \"a\"", RULES_MAX + 1);
    assert!(told.contains("200001 rules, the limit RULES_MAX is 200000"), "{told}");
}

#[test]
fn a_rule_beyond_the_first_65536_is_found_like_any_other() {
    let rules =
        (0..70_000).map(|number| format!("[[rule]]\nname = \"r{number:05}\"\nquery = \"w{number:05}\"\n"));
    let policy = policy(&rules.collect::<String>());
    let names = names(&policy, &mention("w69999 and w00003"));
    assert_eq!(names, ["r00003", "r69999"]);
}

#[test]
fn limits_on_queries_are_named() {
    let query =
        |query: String| told("q.toml", &format!("[[rule]]\nname = \"q\"\nquery = '{query}'")).join("");
    assert!(query("(".repeat(65) + "a" + &")".repeat(65)).contains("nested deeper than 64"));
    assert!(query("(".repeat(64) + "a" + &")".repeat(64)).is_empty());
    assert!(query("NOT ".repeat(1000) + "a").contains("nested deeper than 64"));
    assert!(query("a ".repeat(1025)).contains("has 1025 terms, the limit QUERY_TERMS_MAX is 1024"));
    assert!(query("a ".repeat(1024)).is_empty());
    assert!(query("a".repeat(16 * 1024 + 1)).contains("has 16385 bytes, the limit QUERY_BYTES_MAX is 16384"));
}

#[test]
fn limits_on_lists_and_regular_expressions_are_named() {
    let list = |name: usize, terms: usize| {
        let terms: Vec<String> = (0..terms).map(|term| format!("\"w{name}-{term}\"")).collect();
        format!("[[list]]\nname = \"l{name}\"\nterms = [{}]\n", terms.join(","))
    };
    assert_eq!(
        told("l.toml", &list(0, 10_001)),
        [
            "l.toml:2:8: the list `l0` has 10001 terms, the limit LIST_TERMS_MAX is 10000 (split it, and name both in queries: ($one OR $other))"
        ]
    );
    let many: String = (0..1_001).map(|name| list(name, 1)).collect();
    assert_eq!(told("l.toml", &many), ["l.toml:3002:8: 1001 lists, the limit LISTS_MAX is 1000"]);
    let long: String = (0..11).map(|name| list(name, 9_100)).collect();
    assert_eq!(
        told("l.toml", &long),
        ["l.toml:32:8: 100100 terms of lists, the limit LISTS_TERMS_MAX is 100000"]
    );
    let patterns: String =
        (0..201).map(|n| format!("[[rule]]\nname = \"r{n}\"\nquery = '/a{n}b/ OR /xy/'\n")).collect();
    assert_eq!(
        told("r.toml", &patterns),
        [
            "r.toml:600:10: in `query`: 202 different regular expressions, the limit REGEX_PER_POLICY_MAX is 200 (words, phrases and wildcards cost less: write those where they do)"
        ]
    );
    let long = format!("[[rule]]\nname = \"r\"\nquery = '/{}/'\n", "a".repeat(513));
    assert!(told("r.toml", &long)[0].contains("has 513 bytes, the limit REGEX_BYTES_MAX is 512"));
}

#[test]
fn too_many_words_are_told_at_the_rule_or_list_that_names_the_most() {
    let rules = "[[rule]]\nname = \"few\"\nquery = 'tv OR radio'\n\
        [[rule]]\nname = \"many\"\nquery = 'a1 OR a2 OR a3 OR (tv AND a1) OR /a+b/'\n";
    let list = "[[list]]\nname = \"two\"\nterms = [\"x\", \"y\", \"x\"]\n";
    let named = "[[rule]]\nname = \"one form\"\nquery = '$two'\n[[rule]]\nname = \"exact\"\nquery = '$two AND z'\ncase = \"exact\"\n"
        .replace("one form", "one-form");
    let told = |text: &str, most: usize| {
        let compiled = super::super::compile::compile_within(&bundle(&[("w.toml", text)]), most, &mut || {});
        compiled.err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let hint = "(a wildcard stands for many: refund* for refund, refunds, refunded)";
    let limit = "the limit LITERALS_MAX is 4";
    assert_eq!(told(rules, 5), [""; 0], "the five are allowed");
    assert_eq!(
        told(rules, 4),
        [format!("w.toml:5:8: 5 words and phrases, {limit}; the rule `many` names the most, 4 {hint}")]
    );
    // In each of two forms the list is looked for by itself; the names of a list that nobody asks for count nothing.
    let lists =
        format!("{named}{list}[[list]]\nname = \"idle\"\nterms = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n");
    assert_eq!(
        told(&lists, 4),
        [format!("w.toml:9:8: 5 words and phrases, {limit}; the list `two` names the most, 4 {hint}")]
    );
}

#[test]
fn words_that_are_too_long_are_told_each_at_its_place_and_beside_other_mistakes() {
    let (right, long) = ("x".repeat(2_000), "x".repeat(2_001));
    // 200 ligatures of 3 bytes become 2,200 letters and blanks where capitals and accents do not count.
    let grown = "ﷺ".repeat(200);
    // Of 700 letters with accents each has 3 bytes where accents count.
    let exact = "\u{1ea5}".repeat(700);
    let rules = format!(
        "[[rule]]\nname = \"a\"\nquery = 'tv OR {long} OR \"{long} y\"'\n\
         [[rule]]\nname = \"b\"\nquery = '{right} OR {exact}'\n\
         [[rule]]\nname = \"c\"\nquery = '{exact}'\naccents = \"exact\"\n\
         [[list]]\nname = \"l\"\nterms = [\"tv\", \"{right}\", \"{exact}\", \"{grown}\"]\n\
         [[rule]]\nname = \"d\"\nquery = 'tag:nothing'\n"
    );
    let hint = "(a few words that only such texts have are enough)";
    let limit = "the limit LITERAL_BYTES_MAX is 2000";
    let told = told("long.toml", &rules);
    let start = "x".repeat(20);
    let expected = [
        format!("long.toml:3:16: in `query`: `{start}…` has 2001 bytes, {limit} {hint}"),
        format!("long.toml:3:2021: in `query`: `{start}…` has 2003 bytes, {limit} {hint}"),
        format!("long.toml:9:10: in `query`: `{}…` has 2100 bytes, {limit} {hint}", "\u{1ea5}".repeat(20)),
        format!(
            "long.toml:13:2020: in the list `l`: `{}…` has 2100 bytes, {limit} {hint}",
            "\u{1ea5}".repeat(20)
        ),
        format!("long.toml:13:2724: in the list `l`: `{}…` has 6600 bytes, {limit} {hint}", "ﷺ".repeat(20)),
        "long.toml:16:10: in `query`: no rule gives the tag `nothing`".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn of_a_long_circle_the_first_steps_are_told_and_how_many_more_there_are() {
    let rules = (0..20_000).map(|number| {
        let next = (number + 1) % 20_000;
        format!("[[rule]]\nname = \"r{number:05}\"\nquery = \"tag:t{next}\"\ntags = [\"t{number}\"]\n")
    });
    let told = told("c.toml", &rules.collect::<String>());
    assert_eq!(told.len(), 1);
    let start = "c.toml:3:10: in `query`: rules ask each other in a circle: `r00000` asks for tag:t1, which `r00001` gives; ";
    assert!(told[0].starts_with(start), "{}", &told[0][..200]);
    let end = "`r00009` asks for tag:t10, which `r00010` gives; and 19990 more (a tag or category is given before it is asked for: ask for words in one of them)";
    assert!(told[0].ends_with(end), "{}", &told[0][told[0].len() - 200..]);
}

#[test]
fn a_policy_in_which_every_name_is_wrong_is_told_whole() {
    let rules = (0..20_000).map(|number| {
        format!("[[rule]]\nname = \"r{number}\"\nquery = \"tag:u{number}\"\ntags = [\"t{number}\"]\n")
    });
    let told = told("u.toml", &rules.collect::<String>());
    assert_eq!(told.len(), 20_000);
    assert!(told[0].ends_with("no rule gives the tag `u0` (did you mean `t0`?)"), "{}", told[0]);
    assert!(told[19_999].ends_with("no rule gives the tag `u19999`"), "{}", told[19_999]);
}

#[test]
fn a_list_that_does_not_belong_in_a_file_is_told_of_once_however_often_it_goes_on() {
    for (key, told) in [
        ("rules", "unknown table or key `rules` at the top of the file"),
        ("test", "`test` stands among the rules"),
        ("plan", "`plan` is not there yet"),
    ] {
        let text = format!("[[{key}]]\nname = \"a\"\n\n[[{key}]]\nname = \"b\"\n");
        let shown = self::told("p.toml", &text);
        assert_eq!(shown.iter().filter(|line| line.contains(told)).count(), 1, "{shown:?}");
        assert!(shown.iter().any(|line| line.starts_with(&format!("p.toml:1:3: {told}"))), "{shown:?}");
    }
}
