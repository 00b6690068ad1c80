//! A policy's files as one value, its canonical bytes, and the generation that names it.
//!
//! Owns the bundle format and what it refuses. Knows nothing of what the files say: that is `compile`'s work.
//! Made by the daemon's folder reader and by whoever reads `triaged.policies`; the same files give the same
//! bytes and so the same generation on every host.
//!
//! Canonical bytes, version 1, every number an unsigned 32-bit integer, big-endian:
//!
//! ```text
//! "triaged policy\n" | version = 1 | number of files | for each file, by path in byte order:
//!     path length | path (UTF-8) | text length | text (UTF-8)
//! ```

use super::DeskLimits;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What canonical bytes begin with.
pub const BUNDLE_MAGIC: &[u8] = b"triaged policy\n";
/// The version of the canonical bytes that this release writes and reads.
pub const BUNDLE_VERSION: u32 = 1;
/// The longest text of one policy file, in bytes: room for 100,000 rules of 400 bytes and half as much again.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest canonical bytes of a bundle: [`super::RULES_MAX`] rules of 400 bytes, and half as much again.
pub const BUNDLE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The longest path inside the policy folder, in bytes.
pub const PATH_BYTES_MAX: usize = 512;

/// A policy folder's files: what one generation is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The path inside the policy folder, with `/` between its parts, to the file's text.
    pub files: BTreeMap<String, String>,
}

/// A policy by its hash: the SHA-256 of its bundle's canonical bytes. Text form `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub [u8; 32]);

/// Why bytes are no bundle. The offset is where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged policy bundle at byte {at}: {reason}")]
pub struct BundleDamage {
    /// The byte where it was found, from 0.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
}

/// The text is no generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a policy generation: expected `sha256:` and 64 lower-case hex digits")]
pub struct NotAGeneration(String);

impl Bundle {
    /// The hash of the canonical bytes.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(Sha256::digest(self.to_bytes()).into())
    }

    /// The limits of the desks of a bundle that is known to compile, read without its rules: they may be needed while its
    /// rules are being compiled. Each is as the policy has it; one that is written in an uncommon way may be missing.
    #[must_use]
    pub fn desk_limits(&self) -> Vec<DeskLimits> {
        super::compile::desk_limits(self)
    }

    /// The canonical bytes (see the head of this file).
    ///
    /// # Panics
    /// When a file is 4 GiB or longer; readers refuse files far below that.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let texts: usize = self.files.iter().map(|(path, text)| path.len() + text.len() + 8).sum();
        let mut bytes = Vec::with_capacity(BUNDLE_MAGIC.len() + 8 + texts);
        bytes.extend_from_slice(BUNDLE_MAGIC);
        push_number(&mut bytes, BUNDLE_VERSION as usize);
        push_number(&mut bytes, self.files.len());
        for (path, text) in &self.files {
            push_number(&mut bytes, path.len());
            bytes.extend_from_slice(path.as_bytes());
            push_number(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Reads canonical bytes back.
    ///
    /// # Errors
    /// Whatever [`Bundle::to_bytes`] could not have written is damage, and the reason says which: so two different byte
    /// strings never make the same bundle.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, BundleDamage> {
        let mut reader = Reader { bytes, at: 0 };
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(reader
                .damage(format!("{} bytes, the limit BUNDLE_BYTES_MAX is {BUNDLE_BYTES_MAX}", bytes.len())));
        }
        if reader.take(BUNDLE_MAGIC.len(), "the magic")? != BUNDLE_MAGIC {
            return Err(BundleDamage { at: 0, reason: "does not begin as a policy bundle".into() });
        }
        let version = reader.number("the version")?;
        if version != BUNDLE_VERSION as usize {
            return Err(reader.damage(format!("version {version}, this release reads {BUNDLE_VERSION}")));
        }
        let count = reader.number("the number of files")?;
        let mut files = BTreeMap::new();
        for _ in 0..count {
            let start = reader.at;
            let path = reader.text(PATH_BYTES_MAX, "a path")?;
            if let Err(reason) = check_path(path) {
                return Err(BundleDamage { at: start, reason });
            }
            if files.last_key_value().is_some_and(|(last, _): (&String, &String)| last.as_str() >= path) {
                return Err(BundleDamage {
                    at: start,
                    reason: format!("`{path}` is out of order or there twice"),
                });
            }
            let text = reader.text(FILE_BYTES_MAX, "a file's text")?;
            files.insert(path.to_owned(), text.to_owned());
        }
        if reader.at != bytes.len() {
            return Err(reader.damage(format!("{} bytes after the last file", bytes.len() - reader.at)));
        }
        let bundle = Bundle { files };
        debug_assert_eq!(bundle.to_bytes(), bytes, "invariant: canonical bytes have one spelling");
        Ok(bundle)
    }
}

/// Whether a path may stand in a bundle: relative, `/` between its parts, no part empty, `.` or `..`.
///
/// # Errors
/// What is wrong with it, quoting it.
pub fn check_path(path: &str) -> Result<(), String> {
    let shown: String = path.chars().take(80).collect();
    if path.len() > PATH_BYTES_MAX {
        return Err(format!("the path `{shown}…` is longer than {PATH_BYTES_MAX} bytes"));
    }
    if path.contains(['\\', '\0']) || path.chars().any(char::is_control) {
        return Err(format!("the path `{}` holds a backslash or a control character", shown.escape_debug()));
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("the path `{shown}` has an empty part, `.` or `..`"));
    }
    Ok(())
}

fn push_number(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("invariant: policy files are far shorter than 4 GiB");
    bytes.extend_from_slice(&number.to_be_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damage(&self, reason: String) -> BundleDamage {
        BundleDamage { at: self.at, reason }
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], BundleDamage> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or_else(|| {
            self.damage(format!("cut off in {what}: {length} bytes expected, {} left", rest.len()))
        })?;
        self.at += length;
        Ok(taken)
    }

    fn number(&mut self, what: &str) -> Result<usize, BundleDamage> {
        let bytes = self.take(4, what)?;
        let bytes: [u8; 4] = bytes.try_into().expect("invariant: four bytes were taken");
        Ok(u32::from_be_bytes(bytes) as usize)
    }

    fn text(&mut self, length_max: usize, what: &str) -> Result<&'a str, BundleDamage> {
        let length = self.number(what)?;
        if length > length_max {
            return Err(self.damage(format!("{what} of {length} bytes, the limit is {length_max}")));
        }
        let start = self.at;
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes)
            .map_err(|e| BundleDamage { at: start + e.valid_up_to(), reason: format!("{what} is not UTF-8") })
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Generation {
    type Err = NotAGeneration;

    fn from_str(text: &str) -> Result<Generation, NotAGeneration> {
        let read = text.strip_prefix("sha256:").and_then(parse_hex::<32>);
        read.map(Generation).ok_or_else(|| NotAGeneration(text.chars().take(80).collect()))
    }
}

/// Exactly `2 * N` lower-case hex digits as bytes.
pub(super) fn parse_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

impl Serialize for Generation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Generation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Generation, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Generation)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        Bundle { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    #[test]
    fn the_generation_of_known_files_never_changes() {
        // SHA-256 of the canonical bytes, made with coreutils' printf and sha256sum from the format above.
        let bytes = bundle(&[("a.toml", "x = 1\n")]).to_bytes();
        assert_eq!(
            bytes,
            b"triaged policy\n\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x06a.toml\x00\x00\x00\x06x = 1\n"
        );
        assert_eq!(
            bundle(&[("a.toml", "x = 1\n")]).generation().to_string(),
            "sha256:38d9fb6f7bce6249d07f9a192b2fe05a4df9ef87d32248e492a39f5ed187f8c9"
        );
    }

    #[test]
    fn moving_a_byte_from_one_file_to_the_next_is_another_generation() {
        let one = bundle(&[("a", "xy"), ("b", "z")]).generation();
        let two = bundle(&[("a", "x"), ("b", "yz")]).generation();
        let three = bundle(&[("ax", "y"), ("b", "z")]).generation();
        assert!(one != two && two != three && one != three);
    }

    #[test]
    fn a_damaged_bundle_is_refused_with_the_reason() {
        let good = bundle(&[("a.toml", "x = 1"), ("b.toml", "")]).to_bytes();
        let reason = |bytes: &[u8]| Bundle::from_bytes(bytes).expect_err("damaged").to_string();
        assert!(reason(b"").contains("cut off in the magic"));
        assert!(reason(b"triaged secret\n\0\0\0\x01").contains("does not begin as a policy bundle"));
        let mut later = good.clone();
        later[18] = 2;
        assert!(reason(&later).contains("version 2, this release reads 1"));
        assert!(reason(&[&good[..], b"!"].concat()).contains("1 bytes after the last file"));
        let mut broken = good.clone();
        let place = broken.windows(5).position(|w| w == b"x = 1").expect("there");
        broken[place] = 0xff;
        assert!(reason(&broken).contains("not UTF-8"));
        for path in ["../a", "/a", "a//b", "a\\b", ""] {
            assert!(Bundle::from_bytes(&bundle(&[(path, "")]).to_bytes()).is_err(), "{path}");
        }
        let mut swapped = b"triaged policy\n\0\0\0\x01\0\0\0\x02".to_vec();
        swapped.extend_from_slice(b"\0\0\0\x01b\0\0\0\0\0\0\0\x01a\0\0\0\0");
        assert!(reason(&swapped).contains("out of order"));
    }

    #[test]
    fn a_generation_has_one_spelling() {
        let text = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(text.parse::<Generation>().map(|g| g.to_string()), Ok(text.clone()));
        for wrong in
            [text.to_uppercase(), text.replace("sha256:", ""), text[..70].to_owned(), format!("{text}0")]
        {
            assert!(wrong.parse::<Generation>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_bundle_reads_back_and_no_cut_or_flip_of_it_passes_for_another(
            files in proptest::collection::btree_map("[a-z]{1,6}(/[a-z]{1,4})?\\.toml", "\\PC{0,20}", 0..5),
            place in any::<proptest::sample::Index>(),
            bit in 0u8..8,
        ) {
            let bundle = Bundle { files };
            let bytes = bundle.to_bytes();
            prop_assert_eq!(Bundle::from_bytes(&bytes), Ok(bundle.clone()));
            prop_assert!(Bundle::from_bytes(&bytes[..place.index(bytes.len())]).is_err());
            let mut flipped = bytes.clone();
            flipped[place.index(bytes.len())] ^= 1 << bit;
            if let Ok(other) = Bundle::from_bytes(&flipped) {
                prop_assert_ne!(other.generation(), bundle.generation());
            }
        }
    }
}
