//! The fields of other search languages, and what to write here instead.
//!
//! Owns the hints for the fields of Twitter, Lucene, Elasticsearch and Brandwatch that are not the same as one of ours;
//! those that are stand in `fields`. Called by `fields` alone.

/// What mentions do not carry, under the names that others have for it.
const NOT_CARRIED: &[&str] = &[
    // Places.
    "place",
    "place_country",
    "country",
    "countryCode",
    "city",
    "state",
    "county",
    "region",
    "continent",
    "location",
    "locations",
    "geo",
    "point_radius",
    "bounding_box",
    "near",
    "within",
    "latitude",
    "longitude",
    "authorLocation",
    "authorCountry",
    "authorCity",
    "authorState",
    "authorContinent",
    "bio_location",
    // People.
    "authorGender",
    "gender",
    "bio",
    "bio_name",
    "authorBio",
    "authorName",
    "authorTweets",
    "authorFollowing",
    "authorVerifiedType",
    "accountType",
    "following_count",
    "friends_count",
    "tweets_count",
    "statuses_count",
    "listed_count",
    "profession",
    "interest",
    "list",
    // How far it reached.
    "count",
    "min_retweets",
    "min_faves",
    "min_likes",
    "min_replies",
    "retweet_count",
    "favorite_count",
    "like_count",
    "reply_count",
    "quote_count",
    "likes",
    "retweets",
    "shares",
    "views",
    "comments",
    "impressions",
    "reach",
    "reachEstimate",
    "impact",
    "engagementScore",
    "score",
    "rating",
    // Where it stands in a conversation, or in a place of its network.
    "conversation_id",
    "in_reply_to_tweet_id",
    "in_reply_to_status_id",
    "retweets_of_tweet_id",
    "quoted_tweet_id",
    "threadId",
    "threadAuthor",
    "threadEntryType",
    "engagingWith",
    "engagingWithGuid",
    "channelId",
    "blogName",
    "parentBlogName",
    "rootBlogName",
    "parentPostId",
    "rootPostId",
    "subreddit",
    "subredditTopics",
    "redditScore",
    "redditSpoiler",
    "redditAuthorFlair",
    "pageType",
    "publisherSubType",
    "feed",
    "guid",
    "id",
    "resourceId",
    // What others compute.
    "context",
    "entity",
    "sample",
    "embedding",
    "embedding_threshold",
    "imageType",
    "classifications",
    "emotion",
];

/// What to write instead of a field that other languages have; none for a name that is in none of them. `rest` is its
/// sign and its value.
pub fn instead(name: &str, rest: &str) -> Option<String> {
    let value = rest.trim_start_matches(':').trim_matches('"');
    Some(match name {
        "raw" => format!("write \"{value}\" in a rule with case = \"exact\""),
        "text" | "body" | "content" | "contents" | "title" | "message" | "contains" | "keyword"
        | "keywords" | "full_text" | "fullText" => {
            format!("the text is searched without a field: write {}", or_words(value))
        }
        "site" | "domain" | "source" | "platform" | "pageSource" => {
            "`network:x` asks where a mention was posted".into()
        }
        "url" | "links" | "link" | "url_contains" | "url_title" | "url_description" => {
            "`has:link` finds any link; an address that stands in the text is searched in quotes".into()
        }
        "to" | "reply_to" | "in_reply_to" => format!("write account:{} kind:reply", each(value, '@')),
        "at_mentions" | "mentions" | "mention" => format!("write {}", each(value, '@')),
        "hashtags" | "hashtag" | "insightsHashtag" => format!("write {}", each(value, '#')),
        "user" | "username" | "user_name" | "screen_name" | "handle" => {
            format!("write author:{}", each(value, '@'))
        }
        "authorVerified" => "write verified:true or verified:false".into(),
        "engagementType" | "type" => "write kind:reply, kind:quote or repost:true".into(),
        "retweets_of" | "retweet_of" => {
            "`repost:true` finds reposts; an author is asked for with author:@handle".into()
        }
        "filter" => "write has:link, has:mention or repost:true".into(),
        "since" | "until" | "date" | "time" | "mod_date" | "@timestamp" | "timestamp" | "created_at"
        | "since_time" | "until_time" | "since_id" | "max_id" | "within_time" | "minuteOfDay" => {
            "a rule sees each mention as it comes, and asks no dates".into()
        }
        "_exists_" | "exists" => "write the field with the values that are meant".into(),
        _ if NOT_CARRIED.contains(&name) => "mentions do not carry it; docs/rules.md lists the fields".into(),
        _ => return None,
    })
}

/// A value, or the words of a set, each with this sign before it.
fn each(value: &str, sign: char) -> String {
    let words = value.trim_matches(['(', ')']).split_whitespace();
    let signed: Vec<String> = words
        .map(|word| match word {
            "AND" | "OR" | "NOT" | "||" | "&&" => word.to_owned(),
            _ => format!("{sign}{}", word.trim_matches('"').trim_start_matches(['+', sign])),
        })
        .collect();
    match &signed[..] {
        [] => format!("{sign}…"),
        [one] => one.clone(),
        several => format!("({})", several.join(" ")),
    }
}

/// A value as words of a query.
fn or_words(value: &str) -> String {
    let is_phrase = value.contains(char::is_whitespace) && !value.starts_with(['(', '[', '{']);
    match value {
        "" => "the words alone".to_owned(),
        _ if is_phrase => format!("\"{value}\""),
        _ => value.to_owned(),
    }
}
