//! A mention as every stage sees it: borrowed from the record that carried it.
//!
//! Owns the shape alone. Made by the daemon's decoder (`wire/mention`), read by scan, rules and workflow.

use super::Millis;
use serde::{Deserialize, Serialize};

/// An immutable post by an author, borrowed from its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Mention<'a> {
    /// The id as the producer sent it; mandatory, not empty.
    pub mention_id: &'a str,
    /// The network's short name, lower case, such as `x`; mandatory, not empty.
    pub network: &'a str,
    /// The brand's own account that was mentioned, empty when not said.
    pub account: &'a str,
    /// What kind of post it is.
    pub kind: Kind,
    /// Who can read it.
    pub visibility: Visibility,
    /// When the author posted it, if said and readable; the record's time stamp serves otherwise.
    pub posted_at: Option<Millis>,
    /// Who wrote it.
    pub author: Author<'a>,
    /// What it says; mandatory, may be empty.
    pub text: &'a str,
    /// BCP 47 language as the producer says, empty when not said.
    pub lang: &'a str,
    /// Where it stands in a conversation.
    pub thread: Thread<'a>,
    /// The mention that this one repeats, if it is a repost.
    pub repost_of: Option<&'a str>,
    /// Whether it is paid promotion.
    pub promoted: bool,
}

/// Who wrote a mention.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Author<'a> {
    /// The network's id of the author; mandatory, not empty.
    pub id: &'a str,
    /// The handle as written, empty when not said.
    pub handle: &'a str,
    /// Followers, 0 when not said.
    pub followers: u64,
    /// Whether the network vouches for the author.
    pub verified: bool,
}

/// Where a mention stands in a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thread<'a> {
    /// The first post of the conversation.
    pub root: Option<&'a str>,
    /// The post that this one answers.
    pub in_reply_to: Option<&'a str>,
}

/// What kind of post a mention is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A post of its own.
    Post,
    /// An answer to another post.
    Reply,
    /// A repetition of another post.
    Repost,
    /// A post that quotes another.
    Quote,
    /// A private message.
    Message,
    /// Something else.
    Other,
}

impl Kind {
    /// The name in records and queries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Post => "post",
            Kind::Reply => "reply",
            Kind::Repost => "repost",
            Kind::Quote => "quote",
            Kind::Message => "message",
            Kind::Other => "other",
        }
    }

    /// The kind with this name; `Other` for a name that is not known.
    #[must_use]
    pub fn from_name(name: &str) -> Kind {
        match name {
            "post" => Kind::Post,
            "reply" => Kind::Reply,
            "repost" => Kind::Repost,
            "quote" => Kind::Quote,
            "message" => Kind::Message,
            _ => Kind::Other,
        }
    }
}

/// Who can read a mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// The people it is addressed to.
    Private,
}

impl Visibility {
    /// The name in records and queries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
        }
    }
}
