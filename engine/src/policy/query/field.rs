//! What a query may ask of a mention's fields, in the form in which it is compared.
//!
//! Owns the closed list of fields and features, and nothing of how they are written. Sets are ORs of these, so each
//! asks for one value. Made by `parse`, compared by `policy::program`.

use crate::model::{Kind, Visibility};
use crate::policy::Category;
use crate::signals::features::Feature;
use serde::{Deserialize, Serialize};

/// What is asked of a mention's fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Field {
    /// The language or a variety of it: `en` holds for `en-GB`. Lower case.
    Lang(String),
    /// The kind of post.
    Kind(Kind),
    /// The network's short name.
    Network(String),
    /// The brand's account that was mentioned, without its `@`, compared without ASCII case.
    Account(String),
    /// The author's handle, without its `@`, compared without ASCII case.
    Author(String),
    /// How many followers the author has.
    Followers(Bounds),
    /// Who can read the mention.
    Visibility(Visibility),
    /// Whether the network vouches for the author.
    Verified(bool),
    /// Whether the mention repeats another.
    Repost(bool),
    /// Whether the mention is paid promotion.
    Promoted(bool),
    /// What the text holds beside its words.
    Has(Feature),
    /// A matching rule asserts this tag.
    Tag(String),
    /// The category that the matching rules assert. In a rule: those that are evaluated before it.
    Category(Category),
}

/// The numbers from `least` to `most`, both included. Every comparison is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bounds {
    /// The smallest that holds.
    pub least: u64,
    /// The largest that holds; never below `least`.
    pub most: u64,
}

impl Bounds {
    /// Whether a number is inside.
    pub fn holds(self, value: u64) -> bool {
        (self.least..=self.most).contains(&value)
    }
}
