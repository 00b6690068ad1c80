//! What each built-in field map, and one of one's own, makes of real records.
//!
//! Owns no records: they lie in tests/data with their sources named. Run against the decoder alone.

use std::sync::Arc;
use triage_engine::model::{DeadLetterReason, Kind, Mention, Millis, Visibility};
use triaged::wire::mention::{
    DecodeLimits, Decoded, Decoder, FieldMap, FieldMapConfig, FieldMapMistake, Preset,
};

fn decoder(config: &FieldMapConfig) -> Decoder {
    Decoder::new(Arc::new(FieldMap::compile(config).expect("the map is right")), DecodeLimits::default())
}

fn preset(preset: Preset) -> Decoder {
    decoder(&FieldMapConfig::preset(preset))
}

fn data(name: &str) -> String {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn mention<'a>(decoder: &'a mut Decoder, json: &str) -> Mention<'a> {
    match decoder.decode(Some(json.as_bytes())) {
        Ok(Decoded::Mention { mention, .. }) => mention,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_native_mention_is_read_field_by_field() {
    let json = r#"{"mention_id":"x:1790001","network":"X","account":"@brandcare","kind":"reply","visibility":"public","posted_at":"2026-11-22T09:14:03.120Z",
 "author":{"id":"x:u42","handle":"@jane","followers":18200,"verified":false},"text":"TV broken again, 3rd time!","lang":"en",
 "thread":{"root":"x:1789990","in_reply_to":"x:1789998"},"repost_of":null,"promoted":false,"metrics":{"reposts":4}}"#;
    let mut decoder = preset(Preset::Native);
    let mention = mention(&mut decoder, json);
    assert_eq!((mention.mention_id, mention.network, mention.account), ("x:1790001", "x", "@brandcare"));
    assert_eq!((mention.kind, mention.visibility), (Kind::Reply, Visibility::Public));
    assert_eq!(mention.posted_at, Some(Millis(1_795_338_843_120)));
    assert_eq!(
        (mention.author.id, mention.author.handle, mention.author.followers),
        ("x:u42", "@jane", 18_200)
    );
    assert_eq!((mention.text, mention.lang), ("TV broken again, 3rd time!", "en"));
    assert_eq!((mention.thread.root, mention.thread.in_reply_to), (Some("x:1789990"), Some("x:1789998")));
    assert_eq!((mention.repost_of, mention.promoted), (None, false));
}

#[test]
fn statuses_of_twitter_v1_are_read_with_the_whole_text_of_a_retweet() {
    let mut decoder = preset(Preset::TwitterV1);
    let (mut reposts, mut replies) = (0, 0);
    for line in data("twitter_v1.ndjson").lines() {
        let status: serde_json::Value = serde_json::from_str(line).expect("a status");
        let mention = mention(&mut decoder, line);
        assert_eq!(mention.mention_id, status["id_str"]);
        assert_eq!(
            (mention.network, mention.author.handle),
            ("x", status["user"]["screen_name"].as_str().unwrap())
        );
        assert_eq!(mention.author.id, status["user"]["id_str"]);
        assert_eq!(mention.author.followers, status["user"]["followers_count"]);
        assert!(mention.posted_at.is_some());
        let original = status.get("retweeted_status").unwrap_or(&status);
        let text = original["text"]
            .as_str()
            .unwrap()
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        assert_eq!(mention.text, text);
        assert_eq!(mention.repost_of, status["retweeted_status"]["id_str"].as_str());
        assert_eq!(mention.thread.in_reply_to, status["in_reply_to_status_id_str"].as_str());
        reposts += u32::from(mention.kind == Kind::Repost);
        replies += u32::from(mention.kind == Kind::Reply);
    }
    assert_eq!((reposts, replies), (5, 3));
}

#[test]
fn twitter_s_long_statuses_numeric_ids_and_stream_messages_are_understood() {
    let mut decoder = preset(Preset::TwitterV1);
    let long = r#"{"id":7,"user":{"id":8,"protected":true},"text":"cut…","extended_tweet":{"full_text":"the &lt;whole&gt;"},"quoted_status_id":9}"#;
    let mention = mention(&mut decoder, long);
    assert_eq!((mention.mention_id, mention.author.id, mention.text), ("7", "8", "the <whole>"));
    assert_eq!((mention.kind, mention.visibility), (Kind::Quote, Visibility::Private));
    let delete = br#"{"delete":{"status":{"id":1234,"user_id":3}}}"#;
    assert!(matches!(decoder.decode(Some(delete)), Ok(Decoded::NotAMention { .. })));
    assert_eq!(decoder.decode(Some(b"{}")), Err(DeadLetterReason::MissingField));
}

#[test]
fn a_post_of_twitter_v2_gets_its_author_and_its_original_from_what_is_included() {
    let mut decoder = preset(Preset::TwitterV2);
    let json = data("twitter_v2.json");
    let mention = mention(&mut decoder, &json);
    assert_eq!((mention.mention_id, mention.network, mention.kind), ("1790001", "x", Kind::Repost));
    assert_eq!((mention.author.id, mention.author.handle, mention.author.followers), ("42", "jane", 18_200));
    assert_eq!(mention.text, "We are sorry for the outage & work on it.");
    assert_eq!(mention.repost_of, Some("1789990"));
    assert_eq!(mention.thread.root, None, "its own conversation has no other root");
}

#[test]
fn of_jetstream_s_events_new_posts_are_mentions_and_the_rest_is_noise() {
    let mut decoder = preset(Preset::Jetstream);
    let (mut posts, mut noise, mut replies) = (0, 0, 0);
    for line in data("jetstream.ndjson").lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("an event");
        let record = &event["commit"]["record"];
        let is_post =
            event["commit"]["collection"] == "app.bsky.feed.post" && event["commit"]["operation"] == "create";
        match decoder.decode(Some(line.as_bytes())) {
            Ok(Decoded::Mention { mention, .. }) => {
                assert!(is_post);
                posts += 1;
                let (did, key) = (event["did"].as_str().unwrap(), event["commit"]["rkey"].as_str().unwrap());
                assert_eq!(mention.mention_id, format!("at://{did}/app.bsky.feed.post/{key}"));
                assert_eq!(
                    (mention.network, mention.author.id, mention.text),
                    ("bluesky", did, record["text"].as_str().unwrap())
                );
                assert_eq!(mention.lang, record["langs"][0].as_str().unwrap_or(""));
                assert_eq!(mention.thread.in_reply_to, record["reply"]["parent"]["uri"].as_str());
                assert_eq!(mention.thread.root, record["reply"]["root"]["uri"].as_str());
                assert!(mention.posted_at.is_some());
                replies += u32::from(mention.kind == Kind::Reply);
            }
            Ok(Decoded::NotAMention { .. }) => {
                assert!(!is_post, "{line}");
                noise += 1;
            }
            Err(reason) => panic!("{reason:?}: {line}"),
        }
    }
    assert!(posts >= 17 && noise >= 9 && replies >= 3, "{posts} {noise} {replies}");
    assert_eq!(decoder.decode(Some(br#"{"did":"a","kind":"commit"}"#)), Err(DeadLetterReason::MissingField));
}

#[test]
fn a_status_of_mastodon_loses_its_markup_and_keeps_its_words() {
    let mut decoder = preset(Preset::Mastodon);
    let json = data("mastodon.json");
    let mention = mention(&mut decoder, &json);
    assert_eq!(mention.mention_id, "https://mastodon.example/users/jane/statuses/103270115826048975");
    assert_eq!(mention.text, "Your @brand TV is broken & dark.\nWrite to jane@example.com\nplease");
    assert_eq!((mention.author.handle, mention.author.followers), ("jane@mastodon.example", 320_472));
    assert_eq!((mention.kind, mention.visibility, mention.lang), (Kind::Reply, Visibility::Public, "en"));
    let boost = r#"{"uri":"u:2","account":{"url":"a:1"},"content":"","visibility":"private","reblog":{"uri":"u:1","content":"<p>hi</p>"}}"#;
    let mention = self::mention(&mut decoder, boost);
    assert_eq!((mention.kind, mention.repost_of, mention.text), (Kind::Repost, Some("u:1"), "hi"));
    assert_eq!(mention.visibility, Visibility::Private);
}

#[test]
fn a_map_of_one_s_own_reads_other_shapes_and_overrides_a_preset() {
    let config: FieldMapConfig = toml::from_str(
        r#"
        preset = "custom"
        network_fixed = "forum"
        text_format = "html"
        mention_id = "data.post.id"
        author_id = ["data.by.uid", "data.by.name"]
        text = "data.post.bodies.1"
        "#,
    )
    .expect("the configuration is TOML of the right shape");
    let mut decoder = decoder(&config);
    let json = r#"{"data":{"post":{"bodies":["no","<p>yes</p>",{"x":1}],"id":9},"by":{"name":"ann"}}}"#;
    let mention = mention(&mut decoder, json);
    assert_eq!(
        (mention.mention_id, mention.network, mention.author.id, mention.text),
        ("9", "forum", "ann", "yes")
    );
    assert!(toml::from_str::<FieldMapConfig>("mention = \"id\"").is_err(), "an unknown key is a mistake");
}

#[test]
fn every_mistake_in_a_field_map_is_told_at_once() {
    let config: FieldMapConfig =
        toml::from_str("preset = \"custom\"\nnetwork_fixed = \"X\"\nmention_id = \"a..b\"\nlang = []\ntext = \"t\"\nkind = \"t\"")
            .expect("the configuration is TOML of the right shape");
    let mistakes = FieldMap::compile(&config).expect_err("the map is wrong");
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    assert!(mistakes.contains(&FieldMapMistake::NoPath("author_id")));
    assert!(mistakes.contains(&FieldMapMistake::BadNetwork("X".to_owned())));
}

#[test]
fn what_is_odd_is_read_all_the_same_and_noted() {
    let mut decoder = preset(Preset::Native);
    let json = br#"{"mention_id":"1","mention_id":"2","network":"x","author":{"id":"2","followers":-4},"text":"t","posted_at":"2999-01-01T00:00:00Z","x":1e999}"#;
    let decoded = decoder.decode(Some(json)).expect("it can be read");
    let notes = decoded.notes();
    assert!(notes.fallback_used && decoded.fallback_used());
    assert_eq!((notes.duplicate_keys, notes.unreadable_fields), (1, 2));
    assert_eq!(decoder.fallbacks(), 1);
}
