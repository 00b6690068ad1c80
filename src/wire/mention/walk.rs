//! One pass over a parsed record: which value stands at which path of the field map.
//!
//! Owns the walk and the reading of single values. May not know what a preset means. Called by the decoder, and by
//! `shape`, which makes the mention out of what was found.

use super::map::{FIELDS, Field, FieldMap, RANKS, ROOT};
use simd_json::{Node, StaticNode};

/// Places of the tape; 0, the root, means "not there".
type Slots = [[u32; RANKS]; FIELDS];

/// What a record holds at the paths of its field map.
pub(super) struct Found<'t, 'a> {
    tape: &'t [Node<'a>],
    slots: Slots,
    /// Bits of the tree's nodes that were met, for the rule that the first of two equal keys counts.
    met: u128,
    /// Keys on mapped paths that came a second time and were not read.
    pub(super) duplicate_keys: u32,
}

/// A value where a name is expected: text, or a number that stands for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Name<'a> {
    Text(&'a str),
    Number(u64),
}

/// Nodes that a value takes on the tape, itself included.
#[inline]
pub(super) fn extent(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        _ => 1,
    }
}

impl<'t, 'a> Found<'t, 'a> {
    /// Walks the record, whose root must be an object.
    pub(super) fn walk(tape: &'t [Node<'a>], map: &FieldMap) -> Found<'t, 'a> {
        let mut found = Found { tape, slots: [[0; RANKS]; FIELDS], met: 0, duplicate_keys: 0 };
        found.enter(map, ROOT, 0);
        found
    }

    /// Follows the children of `node` into the container at `at`. As deep as the longest path, so at most 8.
    fn enter(&mut self, map: &FieldMap, node: u8, at: usize) {
        match self.tape[at] {
            Node::Object { len, .. } => {
                let mut at = at + 1;
                for _ in 0..len {
                    if let Node::String(key) = self.tape[at]
                        && let Some(child) = map.child(node, key.as_bytes())
                    {
                        self.meet(map, child, at + 1);
                    }
                    at += 1 + extent(&self.tape[at + 1]);
                }
            }
            Node::Array { len, .. } => {
                // Only the elements that a path names; the rest of the array is not looked at.
                let wanted = map.children(node).iter().filter_map(|(key, _)| key.parse::<usize>().ok()).max();
                let mut at = at + 1;
                for index in 0..len.min(wanted.map_or(0, |wanted| wanted + 1)) {
                    if let Some(child) = map.child(node, itoa::Buffer::new().format(index).as_bytes()) {
                        self.meet(map, child, at);
                    }
                    at += extent(&self.tape[at]);
                }
            }
            _ => {}
        }
    }

    fn meet(&mut self, map: &FieldMap, node: u8, at: usize) {
        let bit = 1 << node;
        if self.met & bit != 0 {
            self.duplicate_keys += 1;
            return;
        }
        self.met |= bit;
        if let Some((field, rank)) = map.slot(node) {
            self.slots[field as usize][usize::from(rank)] = at as u32;
        }
        self.enter(map, node, at);
    }

    /// The field's values that are there and not null, the preferred one first.
    pub(super) fn all(&self, field: Field) -> impl Iterator<Item = &'t [Node<'a>]> + '_ {
        let places = self.slots[field as usize].iter().filter(|&&at| at != 0);
        places.map(|&at| &self.tape[at as usize..]).filter(|value| value[0] != Node::Static(StaticNode::Null))
    }

    /// The field's preferred value.
    pub(super) fn first(&self, field: Field) -> Option<&'t [Node<'a>]> {
        self.all(field).next()
    }

    /// The field's text; none when absent, empty or of another type.
    pub(super) fn text(&self, field: Field) -> Option<&'a str> {
        self.all(field).find_map(|value| text(value)).filter(|text| !text.is_empty())
    }
}

/// The text of a value that is a string.
pub(super) fn text<'a>(value: &[Node<'a>]) -> Option<&'a str> {
    match value[0] {
        Node::String(text) => Some(text),
        _ => None,
    }
}

/// The value as a name; none for an empty string, as for a type that names nothing.
pub(super) fn name<'a>(value: &[Node<'a>]) -> Option<Name<'a>> {
    match value[0] {
        Node::String("") => None,
        Node::String(text) => Some(Name::Text(text)),
        _ => number(value).map(Name::Number),
    }
}

/// The value as a whole number that is not negative.
pub(super) fn number(value: &[Node<'_>]) -> Option<u64> {
    match value[0] {
        Node::Static(StaticNode::U64(number)) => Some(number),
        Node::Static(StaticNode::I64(number)) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// The value as yes or no.
pub(super) fn boolean(value: &[Node<'_>]) -> Option<bool> {
    match value[0] {
        Node::Static(StaticNode::Bool(boolean)) => Some(boolean),
        _ => None,
    }
}

/// The value under `key` in an object; the first one counts.
pub(super) fn get<'t, 'a>(value: &'t [Node<'a>], key: &str) -> Option<&'t [Node<'a>]> {
    let Node::Object { len, .. } = value[0] else { return None };
    let mut at = 1;
    for _ in 0..len {
        let here = &value[at + 1..];
        if value[at] == Node::String(key) {
            return (here[0] != Node::Static(StaticNode::Null)).then_some(here);
        }
        at += 1 + extent(&here[0]);
    }
    None
}

/// The first element of an array that `wanted` likes.
pub(super) fn find<'t, 'a>(
    value: &'t [Node<'a>],
    wanted: impl Fn(&'t [Node<'a>]) -> bool,
) -> Option<&'t [Node<'a>]> {
    let Node::Array { len, .. } = value[0] else { return None };
    let mut at = 1;
    for _ in 0..len {
        let element = &value[at..];
        if wanted(element) {
            return Some(element);
        }
        at += extent(&element[0]);
    }
    None
}
