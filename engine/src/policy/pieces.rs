//! Cuts a policy file where a table begins, so that one of a hundred thousand rules is parsed a piece at a time.
//!
//! Owns where a cut may be, and whether the pieces say together what the file says. A TOML parser holds the tokens and
//! events of all that it is given, some fifty times the text. Called by `file`; who finds that a file may not be cut
//! reads it whole, for its mistakes too.

use super::mistake::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// From so many bytes on a piece ends before the next table of a list. Tests cut before each.
const PIECE_BYTES: usize = if cfg!(test) { 1 } else { 32 * 1024 };

/// A part of a file that can be parsed by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'t> {
    /// The number of the file.
    pub file: usize,
    /// Where the piece begins in it.
    pub start: usize,
    pub text: &'t str,
}

impl<'t> Piece<'t> {
    /// The whole file as one piece.
    pub fn whole(file: usize, text: &'t str) -> Piece<'t> {
        Piece { file, start: 0, text }
    }

    /// The place of a part of the piece.
    pub fn place(&self, bytes: Range<usize>) -> Place {
        Place { file: self.file, start: self.start, bytes: 0..0 }.near(bytes)
    }

    /// The file in pieces: what stands before the first line that begins with `[[`, and from there on pieces that begin with
    /// such a line. Whether a line that looks so begins a table is known once the piece before it was parsed: a text of
    /// several lines that holds it would not be closed there.
    pub fn cut(self) -> impl Iterator<Item = Piece<'t>> {
        let mut left = Some(self);
        std::iter::from_fn(move || {
            let Piece { file, start, text } = left.take()?;
            let least = if text.starts_with("[[") { PIECE_BYTES } else { 0 };
            let length = table_after(text, least).unwrap_or(text.len());
            let (text, rest) = text.split_at(length);
            left =
                Some(Piece { file, start: start + length, text: rest }).filter(|rest| !rest.text.is_empty());
            Some(Piece { file, start, text })
        })
    }
}

/// Where the first line begins with `[[` that has at least so many bytes before it, and at least one.
fn table_after(text: &str, least: usize) -> Option<usize> {
    let from = text.floor_char_boundary(least.saturating_sub(1));
    text[from..].find("\n[[").map(|found| from + found + 1)
}

/// What the pieces of one file have given so far.
#[derive(Default)]
pub(super) struct Given {
    /// By the key at the top of the file: whether another piece may go on with it.
    goes_on: BTreeMap<String, bool>,
    /// Keys of which it was said that they do not belong there.
    strange: BTreeSet<String>,
}

impl Given {
    /// Whether this is the first piece with this key, which does not belong at the top of a file: that is said once.
    pub fn is_first(&mut self, strange: &str) -> bool {
        self.strange.insert(strange.to_owned())
    }

    /// Takes in a piece; false when a parser of the whole file might not read it as the pieces do: a key that an earlier piece
    /// has may only be a list that grows by `[[key]]`. That is how every list comes about in a piece that begins with
    /// such a line, but not before the first.
    pub fn agrees(&mut self, piece: &Piece<'_>, document: &DeTable<'_>) -> bool {
        document.iter().all(|(key, value)| {
            let grows = matches!(value.get_ref(), DeValue::Array(_)) && piece.text.starts_with("[[");
            match self.goes_on.insert(key.get_ref().to_string(), grows) {
                Some(grew) => grew && grows,
                None => true,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use toml::{Table, Value};

    /// Lines of which a file may be made up, many of which do not go together or only look like a table's beginning.
    const LINES: [&str; 19] = [
        "[[rule]]\nname = \"é\"\n",
        "[[desk]]\r\nname = 'b'\r\n",
        " [[rule]]\n",
        "[[\"rule\"]]\n",
        "[[rule.sub]]\n",
        "[rule.sub]\n",
        "[rule]\n",
        "[workflow]\ndefault = 'q'\n",
        "[workflow.x]\n",
        "rule = [{ a = 1 }]\n",
        "rule = []\n",
        "desk.name = 1\n",
        "b = 1\n",
        "# [[\n[[list]] # ]]\n",
        "long = '''\n",
        "'''\n",
        "rows = [\n[[1]],\n",
        "]\n",
        "\n",
    ];

    /// What the pieces of a text say together; `None` when it may not be cut.
    fn in_pieces(text: &str) -> Option<Table> {
        let (mut given, mut all) = (Given::default(), Table::new());
        for piece in Piece::whole(0, text).cut() {
            let (document, damage) = DeTable::parse_recoverable(piece.text);
            if !damage.is_empty() || !given.agrees(&piece, document.get_ref()) {
                return None;
            }
            for (key, value) in piece.text.parse::<Table>().expect("it was parsed just now") {
                match (all.get_mut(&key), value) {
                    (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
                    (Some(other), _) => panic!("`{key}` is {other:?} and goes on"),
                    (None, value) => drop(all.insert(key, value)),
                }
            }
        }
        Some(all)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn a_file_that_is_read_in_pieces_says_what_it_says_whole(
            lines in prop::collection::vec(prop::sample::select(&LINES[..]), 0..9),
        ) {
            let text = lines.concat();
            if let Some(pieces) = in_pieces(&text) {
                prop_assert_eq!(Some(pieces), text.parse::<Table>().ok(), "{}", text);
            }
        }
    }

    #[test]
    fn a_long_file_of_tables_is_cut_at_each_and_the_places_count_from_the_files_beginning() {
        let text = "# head\n[[a]]\nx = 1\n[[a]]\nx = '''\n[b]'''\n[c]\n[[a]]\n";
        let pieces: Vec<Piece<'_>> = Piece::whole(3, text).cut().collect();
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.text).collect();
        assert_eq!(texts, ["# head\n", "[[a]]\nx = 1\n", "[[a]]\nx = '''\n[b]'''\n[c]\n", "[[a]]\n"]);
        assert_eq!(texts.concat(), text);
        let place = pieces[2].place(6..7);
        assert_eq!(
            (place.file, &text[place.bytes.clone()], &text[place.near(0..5).bytes]),
            (3, "x", "[[a]]")
        );
        let all = in_pieces(text).expect("it may be cut");
        assert_eq!(all["a"].as_array().map(Vec::len), Some(3));
        for whole in [
            "x = '''\n[[a]]\n'''\n",
            "a = [{}]\n[[a]]\n",
            "[[a]]\n[[b]]\n[a.c]\n",
            "[[a]]\n[d]\n[[b]]\n[d]\n",
        ] {
            assert_eq!(in_pieces(whole), None, "{whole}");
        }
    }
}
