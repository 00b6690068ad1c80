//! The built-in field maps: which path of which network's records is which field.
//!
//! Owns the tables alone. May not read records. Called when a field map is compiled.
//!
//! Sources: the record of this project (domain, section 2); Twitter's API v1.1 status and v2 tweet objects; the events
//! of Bluesky's Jetstream (repository `bluesky-social/jetstream`); Mastodon's status entity.

use super::map::{Field, Preset, TextFormat};
use Field::*;

/// One built-in map.
pub(super) struct BuiltIn {
    pub(super) network_fixed: Option<&'static str>,
    pub(super) text_format: TextFormat,
    /// Field, order of preference, path.
    pub(super) paths: &'static [(Field, u8, &'static str)],
}

pub(super) fn of(preset: Preset) -> BuiltIn {
    let (network_fixed, text_format, paths) = match preset {
        Preset::Native => (None, TextFormat::Plain, NATIVE),
        Preset::TwitterV1 => (Some("x"), TextFormat::Entities, TWITTER_V1),
        Preset::TwitterV2 => (Some("x"), TextFormat::Entities, TWITTER_V2),
        Preset::Jetstream => (Some("bluesky"), TextFormat::Plain, JETSTREAM),
        Preset::Mastodon => (Some("mastodon"), TextFormat::Html, MASTODON),
        Preset::Custom => (None, TextFormat::Plain, &[] as &[_]),
    };
    BuiltIn { network_fixed, text_format, paths }
}

const NATIVE: &[(Field, u8, &str)] = &[
    (MentionId, 0, "mention_id"),
    (Network, 0, "network"),
    (Account, 0, "account"),
    (Kind, 0, "kind"),
    (Visibility, 0, "visibility"),
    (PostedAt, 0, "posted_at"),
    (AuthorId, 0, "author.id"),
    (AuthorHandle, 0, "author.handle"),
    (AuthorFollowers, 0, "author.followers"),
    (AuthorVerified, 0, "author.verified"),
    (Text, 0, "text"),
    (Lang, 0, "lang"),
    (ThreadRoot, 0, "thread.root"),
    (InReplyTo, 0, "thread.in_reply_to"),
    (RepostOf, 0, "repost_of"),
    (Promoted, 0, "promoted"),
];

const TWITTER_V1: &[(Field, u8, &str)] = &[
    (MentionId, 0, "id_str"),
    (MentionId, 1, "id"),
    (PostedAt, 0, "timestamp_ms"),
    (PostedAt, 1, "created_at"),
    (AuthorId, 0, "user.id_str"),
    (AuthorId, 1, "user.id"),
    (AuthorHandle, 0, "user.screen_name"),
    (AuthorFollowers, 0, "user.followers_count"),
    (AuthorVerified, 0, "user.verified"),
    (Visibility, 0, "user.protected"),
    // `text` ends at 140 characters when the status is longer.
    (Text, 0, "extended_tweet.full_text"),
    (Text, 1, "full_text"),
    (Text, 2, "text"),
    (RepostText, 0, "retweeted_status.extended_tweet.full_text"),
    (RepostText, 1, "retweeted_status.full_text"),
    (RepostText, 2, "retweeted_status.text"),
    (RepostOf, 0, "retweeted_status.id_str"),
    (RepostOf, 1, "retweeted_status.id"),
    (QuoteOf, 0, "quoted_status_id_str"),
    (QuoteOf, 1, "quoted_status_id"),
    (InReplyTo, 0, "in_reply_to_status_id_str"),
    (InReplyTo, 1, "in_reply_to_status_id"),
    (Lang, 0, "lang"),
    // Messages of the streaming API that carry no status.
    (Marker, 0, "delete"),
    (Marker, 1, "limit"),
    (Marker, 2, "disconnect"),
    (Marker, 3, "warning"),
];

const TWITTER_V2: &[(Field, u8, &str)] = &[
    (MentionId, 0, "data.id"),
    (PostedAt, 0, "data.created_at"),
    (AuthorId, 0, "data.author_id"),
    // `note_tweet` holds the whole of a post longer than 280 characters.
    (Text, 0, "data.note_tweet.text"),
    (Text, 1, "data.text"),
    (Lang, 0, "data.lang"),
    (ThreadRoot, 0, "data.conversation_id"),
    (References, 0, "data.referenced_tweets"),
    (IncludedUsers, 0, "includes.users"),
    (IncludedPosts, 0, "includes.tweets"),
];

const JETSTREAM: &[(Field, u8, &str)] = &[
    (EventKind, 0, "kind"),
    (AuthorId, 0, "did"),
    (Operation, 0, "commit.operation"),
    (Collection, 0, "commit.collection"),
    (RecordKey, 0, "commit.rkey"),
    // What the author claims, else when the network saw it.
    (PostedAt, 0, "commit.record.createdAt"),
    (PostedAt, 1, "time_us"),
    (Text, 0, "commit.record.text"),
    (Lang, 0, "commit.record.langs.0"),
    (ThreadRoot, 0, "commit.record.reply.root.uri"),
    (InReplyTo, 0, "commit.record.reply.parent.uri"),
    // A quoted post, alone or beside media.
    (QuoteOf, 0, "commit.record.embed.record.uri"),
    (QuoteOf, 1, "commit.record.embed.record.record.uri"),
];

const MASTODON: &[(Field, u8, &str)] = &[
    // `id` is a number of the server that was asked, so two servers use the same one for different posts: a new mention
    // would be taken for a copy. `uri` names the post in the whole network.
    (MentionId, 0, "uri"),
    (MentionId, 1, "url"),
    (MentionId, 2, "id"),
    (PostedAt, 0, "created_at"),
    (AuthorId, 0, "account.uri"),
    (AuthorId, 1, "account.url"),
    (AuthorId, 2, "account.id"),
    (AuthorHandle, 0, "account.acct"),
    (AuthorFollowers, 0, "account.followers_count"),
    (Visibility, 0, "visibility"),
    (Text, 0, "content"),
    (RepostText, 0, "reblog.content"),
    (RepostOf, 0, "reblog.uri"),
    (RepostOf, 1, "reblog.id"),
    // Known only as the number that the asked server gave it.
    (InReplyTo, 0, "in_reply_to_id"),
    (Lang, 0, "language"),
];
