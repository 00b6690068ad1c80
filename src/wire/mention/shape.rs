//! Makes a mention out of the values found at the paths of the field map.
//!
//! Owns what each preset means: where the text of a repeated post is, how a Bluesky post is named, which records are
//! no mentions. May not keep anything between records. Called by the decoder.

use super::map::{Field, FieldMap, Preset, TextFormat};
use super::walk::{self, Found, Name};
use super::{markup, times};
use simd_json::Node;
use std::ops::Range;
use triage_engine::model::{Author, DeadLetterReason, Kind, Mention, Millis, Thread, Visibility};

/// A piece of text: as it stands in the record, or made and kept in the arena.
#[derive(Debug, Clone)]
enum Piece<'a> {
    Raw(&'a str),
    Made(Range<usize>),
}

/// A mention whose made pieces still lie in the arena.
pub(super) struct Draft<'a> {
    mention: Mention<'a>,
    made: Vec<(Slot, Range<usize>)>,
}

/// Which field of the mention a made piece belongs to.
#[derive(Debug, Clone, Copy)]
enum Slot {
    MentionId,
    Network,
    AuthorId,
    Text,
    Root,
    InReplyTo,
    RepostOf,
}

/// What a record turned out to be.
#[allow(clippy::large_enum_variant, reason = "it lives on the stack for the length of one call")]
pub(super) enum Shape<'a> {
    Mention(Draft<'a>),
    NotAMention,
}

/// Reads one record's values.
pub(super) struct Reader<'t, 'a, 'm> {
    pub(super) found: Found<'t, 'a>,
    pub(super) map: &'m FieldMap,
    pub(super) arena: &'m mut String,
    /// Optional fields that were there and could not be read.
    pub(super) unreadable: u32,
}

impl<'a> Draft<'a> {
    /// The mention, its made pieces taken from the arena.
    pub(super) fn finish(self, arena: &'a str) -> Mention<'a> {
        let mut mention = self.mention;
        for (slot, range) in self.made {
            let text = &arena[range];
            match slot {
                Slot::MentionId => mention.mention_id = text,
                Slot::Network => mention.network = text,
                Slot::AuthorId => mention.author.id = text,
                Slot::Text => mention.text = text,
                Slot::Root => mention.thread.root = Some(text),
                Slot::InReplyTo => mention.thread.in_reply_to = Some(text),
                Slot::RepostOf => mention.repost_of = Some(text),
            }
        }
        mention
    }
}

impl<'t, 'a> Reader<'t, 'a, '_> {
    /// The mention, or that there is none.
    pub(super) fn read(mut self, fixed: Fixed<'a>) -> Result<(Shape<'a>, u32), DeadLetterReason> {
        if self.is_no_mention()? {
            return Ok((Shape::NotAMention, self.unreadable));
        }
        let references = References::of(&self.found);
        let mut draft = Draft { mention: blank(), made: Vec::new() };
        let id = self.mention_id()?;
        set(&mut draft, Slot::MentionId, id);
        let network = self.network(fixed.network)?;
        set(&mut draft, Slot::Network, network);
        let author = self.mandatory(Field::AuthorId)?;
        set(&mut draft, Slot::AuthorId, author);
        let text = self.mention_text(&references)?;
        set(&mut draft, Slot::Text, text);
        for (slot, field, reference) in [
            (Slot::Root, Field::ThreadRoot, None),
            (Slot::InReplyTo, Field::InReplyTo, references.replied_to),
            (Slot::RepostOf, Field::RepostOf, references.reposted),
        ] {
            let piece = self.optional(field).or_else(|| reference.map(|name| self.piece(name)));
            if let Some(piece) = piece {
                set(&mut draft, slot, piece);
            }
        }
        // A conversation that begins with this post has no other root.
        if draft.mention.thread.root == Some(draft.mention.mention_id) {
            draft.mention.thread.root = None;
        }
        draft.mention.account = self.found.text(Field::Account).unwrap_or(fixed.account);
        draft.mention.lang = self.found.text(Field::Lang).unwrap_or("");
        draft.mention.posted_at = self.posted_at();
        draft.mention.promoted = self.flag(Field::Promoted);
        self.author(&mut draft.mention.author);
        draft.mention.visibility = self.visibility();
        draft.mention.kind = self.kind(&draft, references.quotes);
        Ok((Shape::Mention(draft), self.unreadable))
    }

    /// Well-formed records of the source that carry no post: they are counted as noise, not as dead letters.
    fn is_no_mention(&self) -> Result<bool, DeadLetterReason> {
        match self.map.preset {
            Preset::Jetstream => match self.found.text(Field::EventKind) {
                Some("commit") => {
                    let operation =
                        self.found.text(Field::Operation).ok_or(DeadLetterReason::MissingField)?;
                    let collection =
                        self.found.text(Field::Collection).ok_or(DeadLetterReason::MissingField)?;
                    Ok(operation != "create" || collection != "app.bsky.feed.post")
                }
                // Identities, accounts, and what else the network may come to tell of.
                Some(_) => Ok(true),
                None => Err(DeadLetterReason::MissingField),
            },
            _ => {
                Ok(self.found.first(Field::Marker).is_some() && self.found.first(Field::MentionId).is_none())
            }
        }
    }

    fn mention_id(&mut self) -> Result<Piece<'a>, DeadLetterReason> {
        let Some(key) = self.found.text(Field::RecordKey) else { return self.mandatory(Field::MentionId) };
        let author = self.found.text(Field::AuthorId).ok_or(DeadLetterReason::MissingField)?;
        let collection = self.found.text(Field::Collection).ok_or(DeadLetterReason::MissingField)?;
        let start = self.arena.len();
        for part in ["at://", author, "/", collection, "/", key] {
            self.arena.push_str(part);
        }
        Ok(Piece::Made(start..self.arena.len()))
    }

    fn network(&mut self, fixed: Option<&'a str>) -> Result<Piece<'a>, DeadLetterReason> {
        let name = match self.found.first(Field::Network) {
            Some(value) => walk::text(value).ok_or(DeadLetterReason::InvalidField)?,
            None => fixed.ok_or(DeadLetterReason::MissingField)?,
        };
        if name.is_empty() {
            return Err(DeadLetterReason::MissingField);
        }
        if name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Ok(Piece::Raw(name));
        }
        let start = self.arena.len();
        self.arena.extend(name.chars().flat_map(char::to_lowercase));
        Ok(Piece::Made(start..self.arena.len()))
    }

    fn mandatory(&mut self, field: Field) -> Result<Piece<'a>, DeadLetterReason> {
        let name = self.found.all(field).find_map(walk::name);
        if let Some(name) = name {
            return Ok(self.piece(name));
        }
        let unreadable = self.found.all(field).any(|value| value[0] != Node::String(""));
        Err(if unreadable { DeadLetterReason::InvalidField } else { DeadLetterReason::MissingField })
    }

    fn optional(&mut self, field: Field) -> Option<Piece<'a>> {
        let name = self.found.all(field).find_map(walk::name)?;
        Some(self.piece(name))
    }

    fn piece(&mut self, name: Name<'a>) -> Piece<'a> {
        match name {
            Name::Text(text) => Piece::Raw(text),
            Name::Number(number) => {
                let start = self.arena.len();
                self.arena.push_str(itoa::Buffer::new().format(number));
                Piece::Made(start..self.arena.len())
            }
        }
    }

    /// The whole text; of a repost that of the repeated post, since the repost's own is cut off.
    fn mention_text(&mut self, references: &References<'a>) -> Result<Piece<'a>, DeadLetterReason> {
        let own = self.found.all(Field::Text).find_map(walk::text);
        let repeated = self.found.all(Field::RepostText).find_map(walk::text).or(references.reposted_text);
        let Some(text) = repeated.or(own) else {
            let unreadable = self.found.first(Field::Text).is_some();
            return Err(if unreadable {
                DeadLetterReason::InvalidField
            } else {
                DeadLetterReason::MissingField
            });
        };
        let plain = match self.map.text_format {
            TextFormat::Plain => true,
            TextFormat::Entities => !text.contains('&'),
            TextFormat::Html => !text.contains(['&', '<']),
        };
        if plain {
            return Ok(Piece::Raw(text));
        }
        let start = self.arena.len();
        let mut made = String::new();
        markup::to_plain(text, self.map.text_format, &mut made, None);
        self.arena.push_str(&made);
        Ok(Piece::Made(start..self.arena.len()))
    }

    fn posted_at(&mut self) -> Option<Millis> {
        let read = |value: &[Node<'_>]| {
            walk::text(value)
                .and_then(times::from_text)
                .or_else(|| walk::number(value).and_then(times::from_number))
        };
        let posted_at = self.found.all(Field::PostedAt).find_map(read);
        self.unreadable += u32::from(posted_at.is_none() && self.found.first(Field::PostedAt).is_some());
        posted_at
    }

    fn author(&mut self, author: &mut Author<'a>) {
        // Twitter v2 sends the author's object apart.
        let id = self.found.first(Field::AuthorId).and_then(walk::name);
        let is_author = |user| walk::get(user, "id").and_then(walk::name) == id && id.is_some();
        let user = self.found.first(Field::IncludedUsers).and_then(|users| walk::find(users, is_author));
        let handle = user.and_then(|user| walk::get(user, "username")).and_then(walk::text);
        author.handle = self.found.text(Field::AuthorHandle).or(handle).unwrap_or("");
        let metrics = user.and_then(|user| walk::get(user, "public_metrics"));
        let followers = self.found.first(Field::AuthorFollowers);
        let followers =
            followers.or_else(|| metrics.and_then(|metrics| walk::get(metrics, "followers_count")));
        author.followers = followers.map_or(0, |value| self.count(value));
        let verified = user.and_then(|user| walk::get(user, "verified")).and_then(walk::boolean);
        author.verified = verified.unwrap_or_else(|| self.flag(Field::AuthorVerified));
    }

    /// A count, clamped to what a count can be.
    fn count(&mut self, value: &'t [Node<'a>]) -> u64 {
        if let Some(number) = walk::number(value) {
            return number;
        }
        self.unreadable += 1;
        // A number that was too long for 64 bits comes as its digits.
        let huge =
            walk::text(value).is_some_and(|text| text.len() > 18 && text.bytes().all(|b| b.is_ascii_digit()));
        if huge { u64::MAX } else { 0 }
    }

    fn flag(&mut self, field: Field) -> bool {
        let Some(value) = self.found.first(field) else { return false };
        walk::boolean(value).unwrap_or_else(|| {
            self.unreadable += 1;
            false
        })
    }

    fn visibility(&mut self) -> Visibility {
        let Some(value) = self.found.first(Field::Visibility) else { return Visibility::Public };
        let public = match walk::boolean(value) {
            Some(protected) => !protected,
            // What is not known to be public is treated as private.
            None => matches!(walk::text(value), Some("public" | "unlisted" | "")),
        };
        if public { Visibility::Public } else { Visibility::Private }
    }

    fn kind(&mut self, draft: &Draft<'a>, quotes: bool) -> Kind {
        if let Some(value) = self.found.first(Field::Kind) {
            return walk::text(value).map_or(Kind::Other, Kind::from_name);
        }
        let has = |wanted: fn(&Slot) -> bool| draft.made.iter().any(|(slot, _)| wanted(slot));
        let mention = &draft.mention;
        let is_quote = quotes || self.found.first(Field::QuoteOf).is_some();
        match () {
            () if self.map.preset == Preset::Mastodon
                && self.found.text(Field::Visibility) == Some("direct") =>
            {
                Kind::Message
            }
            () if mention.repost_of.is_some() || has(|slot| matches!(slot, Slot::RepostOf)) => Kind::Repost,
            () if mention.thread.in_reply_to.is_some() || has(|slot| matches!(slot, Slot::InReplyTo)) => {
                Kind::Reply
            }
            () if is_quote => Kind::Quote,
            () => Kind::Post,
        }
    }
}

/// What the field map says for all records.
#[derive(Clone, Copy)]
pub(super) struct Fixed<'a> {
    pub(super) network: Option<&'a str>,
    pub(super) account: &'a str,
}

/// What a Twitter v2 post refers to; empty for every other shape.
#[derive(Default)]
struct References<'a> {
    replied_to: Option<Name<'a>>,
    reposted: Option<Name<'a>>,
    reposted_text: Option<&'a str>,
    quotes: bool,
}

impl<'a> References<'a> {
    fn of(found: &Found<'_, 'a>) -> References<'a> {
        let Some(list) = found.first(Field::References) else { return References::default() };
        let id_of = |wanted: &str| {
            let is_wanted = |entry| walk::get(entry, "type").and_then(walk::text) == Some(wanted);
            walk::find(list, is_wanted).and_then(|entry| walk::get(entry, "id")).and_then(walk::name)
        };
        let reposted = id_of("retweeted");
        let is_reposted = |post| walk::get(post, "id").and_then(walk::name) == reposted && reposted.is_some();
        let post = found.first(Field::IncludedPosts).and_then(|posts| walk::find(posts, is_reposted));
        let long =
            post.and_then(|post| walk::get(post, "note_tweet")).and_then(|note| walk::get(note, "text"));
        let text = long.or_else(|| post.and_then(|post| walk::get(post, "text"))).and_then(walk::text);
        References {
            replied_to: id_of("replied_to"),
            reposted,
            reposted_text: text,
            quotes: id_of("quoted").is_some(),
        }
    }
}

fn blank<'a>() -> Mention<'a> {
    Mention {
        mention_id: "",
        network: "",
        account: "",
        kind: Kind::Other,
        visibility: Visibility::Public,
        posted_at: None,
        author: Author::default(),
        text: "",
        lang: "",
        thread: Thread::default(),
        repost_of: None,
        promoted: false,
    }
}

fn set<'a>(draft: &mut Draft<'a>, slot: Slot, piece: Piece<'a>) {
    let text = match piece {
        Piece::Raw(text) => text,
        Piece::Made(range) => {
            draft.made.push((slot, range));
            return;
        }
    };
    let mention = &mut draft.mention;
    match slot {
        Slot::MentionId => mention.mention_id = text,
        Slot::Network => mention.network = text,
        Slot::AuthorId => mention.author.id = text,
        Slot::Text => mention.text = text,
        Slot::Root => mention.thread.root = Some(text),
        Slot::InReplyTo => mention.thread.in_reply_to = Some(text),
        Slot::RepostOf => mention.repost_of = Some(text),
    }
}
