//! Where in a record's JSON each field of a mention stands.
//!
//! Owns the field map: its form in the configuration, its check, and the compiled tree of keys that one pass over a
//! record follows. May not read records. Called by the configuration, by the decoder and by redaction.

use super::presets;
use serde::Deserialize;

/// Paths that one field may have, in order of preference.
pub(super) const RANKS: usize = 4;
/// Keys on a path.
const PATH_KEYS_MAX: usize = 8;
/// Nodes of the tree of keys; one bit each marks those already met in a record.
const NODES_MAX: usize = 128;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    MentionId,
    Network,
    Account,
    Kind,
    Visibility,
    PostedAt,
    AuthorId,
    AuthorHandle,
    AuthorFollowers,
    AuthorVerified,
    Text,
    Lang,
    ThreadRoot,
    InReplyTo,
    RepostOf,
    QuoteOf,
    /// The text of the repeated post, where the record carries it.
    RepostText,
    Promoted,
    /// Present in records that are well formed and no mention.
    Marker,
    /// Twitter v2: what the post refers to, and the objects sent along.
    References,
    IncludedUsers,
    IncludedPosts,
    /// Jetstream: the parts of an event.
    EventKind,
    Operation,
    Collection,
    RecordKey,
}

pub(super) const FIELDS: usize = Field::RecordKey as usize + 1;

impl Field {
    /// Whether its strings name something: they are needed whole and never redacted.
    fn is_identifier(self) -> bool {
        use Field::*;
        matches!(
            self,
            MentionId
                | AuthorId
                | AuthorHandle
                | Account
                | ThreadRoot
                | InReplyTo
                | RepostOf
                | QuoteOf
                | RecordKey
        )
    }

    fn is_text(self) -> bool {
        matches!(self, Field::Text | Field::RepostText)
    }
}

/// The shape of the records, with its built-in paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The project's own mention record.
    #[default]
    Native,
    /// A status of Twitter's API v1.1, or of its streams.
    TwitterV1,
    /// A post of Twitter's API v2: one `data` object with `includes`.
    TwitterV2,
    /// An event of Bluesky's Jetstream; only new posts are mentions.
    Jetstream,
    /// A status of Mastodon's API.
    Mastodon,
    /// Nothing built in: every mandatory field needs a path.
    Custom,
}

/// How the text is written inside its JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// As it is.
    Plain,
    /// With HTML entities, without tags.
    Entities,
    /// HTML: tags are taken out, paragraphs and breaks become line ends, entities are decoded.
    Html,
}

/// One path or several, the first that is present counts. Keys are joined by dots; a number counts array elements
/// from 0: `"data.langs.0"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Paths {
    /// One path.
    One(String),
    /// Up to four, in order of preference.
    Many(Vec<String>),
}

/// The field map as the configuration writes it. Paths given here replace those of the preset, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldMapConfig {
    /// The shape to start from.
    pub preset: Preset,
    /// The network's name for records that do not say it; lower case.
    pub network_fixed: Option<String>,
    /// The brand's account for records that do not say it.
    pub account_fixed: Option<String>,
    /// How the text is written; the preset's when absent.
    pub text_format: Option<TextFormat>,
    /// The mention's id; mandatory in records.
    pub mention_id: Option<Paths>,
    /// The network's name.
    pub network: Option<Paths>,
    /// The brand's account that was mentioned.
    pub account: Option<Paths>,
    /// `post`, `reply`, `repost`, `quote`, `message`; worked out from the thread when absent.
    pub kind: Option<Paths>,
    /// `public` or `private`, or a Boolean that says "private".
    pub visibility: Option<Paths>,
    /// RFC 3339, Twitter's form, or a number of seconds, milliseconds or microseconds.
    pub posted_at: Option<Paths>,
    /// The author's id; mandatory in records.
    pub author_id: Option<Paths>,
    /// The author's handle.
    pub author_handle: Option<Paths>,
    /// The author's followers.
    pub author_followers: Option<Paths>,
    /// Whether the network vouches for the author.
    pub author_verified: Option<Paths>,
    /// The text; mandatory in records.
    pub text: Option<Paths>,
    /// The language as the producer says.
    pub lang: Option<Paths>,
    /// The first post of the conversation.
    pub thread_root: Option<Paths>,
    /// The post that this one answers.
    pub in_reply_to: Option<Paths>,
    /// The post that this one repeats.
    pub repost_of: Option<Paths>,
    /// The post that this one quotes.
    pub quote_of: Option<Paths>,
    /// The text of the repeated post; taken instead of `text` when present.
    pub repost_text: Option<Paths>,
    /// Whether it is paid promotion.
    pub promoted: Option<Paths>,
}

/// What is wrong with a field map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldMapMistake {
    /// A mandatory field has no path.
    #[error("the field map has no path for `{0}`; give one, such as `{0} = \"data.{0}\"`")]
    NoPath(&'static str),
    /// A path is no path.
    #[error("`{path}` is no path for `{field}`: keys joined by dots, at most {PATH_KEYS_MAX}, none empty")]
    BadPath {
        /// Whose path.
        field: &'static str,
        /// As written.
        path: String,
    },
    /// Two fields want one path.
    #[error("`{path}` is the path of two fields, `{field}` is the second")]
    Taken {
        /// The second one.
        field: &'static str,
        /// As written.
        path: String,
    },
    /// A field has none or more than four paths.
    #[error("`{0}` needs one to {RANKS} paths")]
    PathCount(&'static str),
    /// All paths together are too many.
    #[error("the paths of the field map have more than {NODES_MAX} keys together")]
    TooLarge,
    /// The fixed network's name is empty or not lower case.
    #[error("`{0}` is no network name: lower case and not empty, such as `x`")]
    BadNetwork(String),
}

/// A checked field map, compiled for reading.
#[derive(Debug, Clone)]
pub struct FieldMap {
    pub(super) preset: Preset,
    pub(super) text_format: TextFormat,
    pub(super) network_fixed: Option<String>,
    pub(super) account_fixed: String,
    nodes: Vec<Node>,
}

/// A place in the tree of keys.
#[derive(Debug, Clone, Default)]
struct Node {
    children: Vec<(Box<str>, u8)>,
    /// One bit per length and first byte of the children: most keys of a record are turned away by it.
    mask: u64,
    slot: Option<(Field, u8)>,
}

/// The root of the tree of keys.
pub(crate) const ROOT: u8 = 0;

#[inline]
fn mask_bit(key: &[u8]) -> u64 {
    let first = key.first().copied().unwrap_or(0);
    1 << (((key.len() as u8).wrapping_mul(7) ^ first) % 64)
}

impl FieldMap {
    /// Checks and compiles what the configuration says.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn compile(config: &FieldMapConfig) -> Result<FieldMap, Vec<FieldMapMistake>> {
        let preset = presets::of(config.preset);
        let mut mistakes = Vec::new();
        let network = config.network_fixed.clone().or(preset.network_fixed.map(str::to_owned));
        if let Some(name) = network.as_ref().filter(|name| name.is_empty() || **name != name.to_lowercase()) {
            mistakes.push(FieldMapMistake::BadNetwork(name.clone()));
        }
        let mut map = FieldMap {
            preset: config.preset,
            text_format: config.text_format.unwrap_or(preset.text_format),
            network_fixed: network,
            account_fixed: config.account_fixed.clone().unwrap_or_default(),
            nodes: vec![Node::default()],
        };
        let mut given = [false; FIELDS];
        for (field, name, paths) in config.paths() {
            let paths = match paths {
                None => continue,
                Some(Paths::One(path)) => std::slice::from_ref(path),
                Some(Paths::Many(paths)) => paths.as_slice(),
            };
            given[field as usize] = true;
            if paths.is_empty() || paths.len() > RANKS {
                mistakes.push(FieldMapMistake::PathCount(name));
                continue;
            }
            for (rank, path) in paths.iter().enumerate() {
                mistakes.extend(map.add(field, name, rank as u8, path).err());
            }
        }
        for &(field, rank, path) in preset.paths {
            if !given[field as usize] {
                mistakes.extend(map.add(field, "preset", rank, path).err());
            }
        }
        map.check_mandatory(&given, &mut mistakes);
        if mistakes.is_empty() { Ok(map) } else { Err(mistakes) }
    }

    /// A path that was given and is wrong has been told of already; here only those that nobody gave.
    fn check_mandatory(&self, given: &[bool; FIELDS], mistakes: &mut Vec<FieldMapMistake>) {
        let has = |field: Field| {
            given[field as usize]
                || self.nodes.iter().any(|node| node.slot.is_some_and(|slot| slot.0 == field))
        };
        // Jetstream's ids are put together from parts.
        let id = has(Field::MentionId) || has(Field::RecordKey);
        let network = has(Field::Network) || self.network_fixed.is_some();
        let there = [
            (id, "mention_id"),
            (network, "network"),
            (has(Field::AuthorId), "author_id"),
            (has(Field::Text), "text"),
        ];
        mistakes
            .extend(there.iter().filter(|(there, _)| !there).map(|&(_, name)| FieldMapMistake::NoPath(name)));
    }

    fn add(&mut self, field: Field, name: &'static str, rank: u8, path: &str) -> Result<(), FieldMapMistake> {
        let keys: Vec<&str> = path.split('.').collect();
        if keys.len() > PATH_KEYS_MAX || keys.iter().any(|key| key.is_empty()) {
            return Err(FieldMapMistake::BadPath { field: name, path: path.to_owned() });
        }
        let mut at = usize::from(ROOT);
        for key in keys {
            at = match self.nodes[at].children.iter().find(|(known, _)| **known == *key) {
                Some(&(_, child)) => usize::from(child),
                None if self.nodes.len() >= NODES_MAX => return Err(FieldMapMistake::TooLarge),
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].mask |= mask_bit(key.as_bytes());
                    self.nodes[at].children.push((key.into(), child as u8));
                    child
                }
            };
        }
        let slot = &mut self.nodes[at].slot;
        if slot.is_some() {
            return Err(FieldMapMistake::Taken { field: name, path: path.to_owned() });
        }
        *slot = Some((field, rank));
        Ok(())
    }

    /// The child of `node` under `key`.
    #[inline]
    pub(crate) fn child(&self, node: u8, key: &[u8]) -> Option<u8> {
        let node = &self.nodes[usize::from(node)];
        if node.mask & mask_bit(key) == 0 {
            return None;
        }
        node.children.iter().find(|(known, _)| known.as_bytes() == key).map(|&(_, child)| child)
    }

    /// The children of `node`, of which those that are numbers are places in an array.
    pub(super) fn children(&self, node: u8) -> &[(Box<str>, u8)] {
        &self.nodes[usize::from(node)].children
    }

    #[inline]
    pub(super) fn slot(&self, node: u8) -> Option<(Field, u8)> {
        self.nodes[usize::from(node)].slot
    }

    /// Whether strings at this node name something and are never redacted.
    pub(crate) fn is_identifier(&self, node: u8) -> bool {
        self.slot(node).is_some_and(|(field, _)| field.is_identifier())
    }

    /// Whether strings at this node are text that people wrote.
    pub(crate) fn is_text(&self, node: u8) -> bool {
        self.slot(node).is_some_and(|(field, _)| field.is_text())
    }
}

impl FieldMapConfig {
    /// A map that takes a preset as it is.
    #[must_use]
    pub fn preset(preset: Preset) -> FieldMapConfig {
        FieldMapConfig { preset, ..FieldMapConfig::default() }
    }

    fn paths(&self) -> [(Field, &'static str, Option<&Paths>); 18] {
        [
            (Field::MentionId, "mention_id", self.mention_id.as_ref()),
            (Field::Network, "network", self.network.as_ref()),
            (Field::Account, "account", self.account.as_ref()),
            (Field::Kind, "kind", self.kind.as_ref()),
            (Field::Visibility, "visibility", self.visibility.as_ref()),
            (Field::PostedAt, "posted_at", self.posted_at.as_ref()),
            (Field::AuthorId, "author_id", self.author_id.as_ref()),
            (Field::AuthorHandle, "author_handle", self.author_handle.as_ref()),
            (Field::AuthorFollowers, "author_followers", self.author_followers.as_ref()),
            (Field::AuthorVerified, "author_verified", self.author_verified.as_ref()),
            (Field::Text, "text", self.text.as_ref()),
            (Field::Lang, "lang", self.lang.as_ref()),
            (Field::ThreadRoot, "thread_root", self.thread_root.as_ref()),
            (Field::InReplyTo, "in_reply_to", self.in_reply_to.as_ref()),
            (Field::RepostOf, "repost_of", self.repost_of.as_ref()),
            (Field::QuoteOf, "quote_of", self.quote_of.as_ref()),
            (Field::RepostText, "repost_text", self.repost_text.as_ref()),
            (Field::Promoted, "promoted", self.promoted.as_ref()),
        ]
    }
}
