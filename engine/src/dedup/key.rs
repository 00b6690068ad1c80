//! Keys of mentions and authors, made from the words of the network.
//!
//! Owns what counts as a numeric id, and the keyed hash. May keep nothing. Called by the scan workers, once per
//! mention and once per author; the key of the hash is fixed per fleet, in the policy bundle.

use crate::model::{AuthorKey, MentionKey};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

const TOP_BIT: u128 = 1 << 127;

/// What is hashed is named first, so that a network, a mention and an author of the same letters never meet.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Domain {
    Network = 1,
    Mention = 2,
    Author = 3,
}

/// The key of the mention that `network` calls `id`; the layout is told at [`MentionKey`].
///
/// A leading `<network>:` is no part of the id: `x:17` and `17` of the network `x` are one mention. The id is numeric
/// when the rest is a canonical decimal number below 2^64; `017` and `+17` are not 17.
#[must_use]
pub fn mention_key(network: &str, id: &str, hash_key: &[u8; 16]) -> MentionKey {
    let id = without_network(network, id);
    match canonical_number(id) {
        Some(number) => {
            let network = hash(Domain::Network, network, "", hash_key) >> 65;
            assert!(network < 1 << 63);
            MentionKey(network << 64 | u128::from(number))
        }
        None => MentionKey(hash(Domain::Mention, network, id, hash_key) | TOP_BIT),
    }
}

/// The key of the author whom `network` calls `id`; a leading `<network>:` is no part of the id.
#[must_use]
pub fn author_key(network: &str, id: &str, hash_key: &[u8; 16]) -> AuthorKey {
    AuthorKey(hash(Domain::Author, network, without_network(network, id), hash_key))
}

fn without_network<'a>(network: &str, id: &'a str) -> &'a str {
    let rest = id.strip_prefix(network).and_then(|rest| rest.strip_prefix(':'));
    // "x:" names nothing: then the whole of it is the id, as strange as it is.
    rest.filter(|rest| !rest.is_empty()).unwrap_or(id)
}

fn canonical_number(id: &str) -> Option<u64> {
    let digits = id.as_bytes();
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits[0] == b'0' && digits.len() > 1 {
        return None;
    }
    id.parse().ok()
}

fn hash(domain: Domain, network: &str, id: &str, hash_key: &[u8; 16]) -> u128 {
    let mut hasher = SipHasher13::new_with_key(hash_key);
    hasher.write(&[domain as u8]);
    // The length goes before the name, so that ("ab", "c") and ("a", "bc") differ.
    hasher.write(&(network.len() as u64).to_le_bytes());
    hasher.write(network.as_bytes());
    hasher.write(id.as_bytes());
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = *b"0123456789abcdef";

    #[test]
    fn a_numeric_id_is_kept_whole_and_its_prefix_does_not_matter() {
        let key = mention_key("x", "x:1790001", &KEY);
        assert_eq!(key, mention_key("x", "1790001", &KEY));
        assert_eq!(key.0 >> 127, 0);
        assert_eq!(key.0 as u64, 1_790_001);
        assert_eq!(mention_key("x", "18446744073709551615", &KEY).0 as u64, u64::MAX);
        assert_eq!(mention_key("x", "0", &KEY).0 as u64, 0);
    }

    #[test]
    fn ids_that_only_look_like_numbers_are_ids_of_their_own() {
        let one = mention_key("x", "1", &KEY);
        for id in ["01", "+1", "1 ", " 1", "-1", "1.0", "x:x:1", "y:1", "18446744073709551616", "", "x:", "١"]
        {
            let key = mention_key("x", id, &KEY);
            assert_eq!(key.0 >> 127, 1, "{id}");
            assert_ne!(key, one, "{id}");
        }
    }

    #[test]
    fn networks_authors_and_mentions_never_share_keys() {
        assert_ne!(mention_key("x", "1", &KEY), mention_key("mastodon", "1", &KEY));
        assert_ne!(mention_key("ab", "cd", &KEY), mention_key("abc", "d", &KEY));
        assert_ne!(author_key("x", "abc", &KEY).0 | TOP_BIT, mention_key("x", "abc", &KEY).0);
        assert_eq!(author_key("x", "x:u42", &KEY), author_key("x", "u42", &KEY));
    }

    #[test]
    fn another_hash_key_gives_other_keys() {
        let other = [7; 16];
        assert_ne!(mention_key("x", "abc", &KEY), mention_key("x", "abc", &other));
        assert_ne!(author_key("x", "abc", &KEY), author_key("x", "abc", &other));
    }
}
