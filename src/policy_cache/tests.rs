//! Whatever happens to the cache, a policy comes back exactly as it was compiled, or not at all.

use super::*;
use crate::policy_folder::read_policy_folder;
use std::time::SystemTime;
use triage_engine::policy::Bundle;

/// A policy of one rule for this word.
fn small(word: &str) -> Policy {
    let text = format!(
        "[[desk]]\nname = \"care\"\nlog_partition = 0\n[[queue]]\nname = \"care.all\"\ndesk = \"care\"\n\
         [workflow]\ndefault = \"care.all\"\n[fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n\
         [[rule]]\nname = \"one\"\nquery = \"{word} OR (lang:en AND NOT followers>10)\"\ntags = [\"a\", \"b\"]\n"
    );
    Policy::compile(&Bundle { files: [("policy.toml".to_owned(), text)].into() })
        .expect("the policy is right")
}

fn cache() -> (tempfile::TempDir, PolicyCache) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = PolicyCache::open(folder.path()).expect("a cache");
    (folder, cache)
}

/// Everything that a policy is, for comparison.
fn whole(policy: &Policy) -> String {
    format!("{policy:?}")
}

#[test]
fn the_sample_policy_comes_back_as_it_was_compiled() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policy");
    let bundle = read_policy_folder(&sample).expect("the sample");
    let policy = Policy::compile(&bundle).expect("the sample is right");
    let (folder, cache) = cache();
    assert!(cache.load(policy.generation()).is_none(), "nothing was stored yet");
    cache.store(&policy);
    let back = cache.load(policy.generation()).expect("it was stored");
    assert_eq!(whole(&back), whole(&policy));
    let again = PolicyCache::open(folder.path()).expect("a cache");
    assert!(again.load(policy.generation()).is_some(), "the next start of the same program reads it too");
}

#[test]
fn no_flipped_bit_and_no_cut_gives_a_policy() {
    let policy = small("refund");
    let (_folder, cache) = cache();
    cache.store(&policy);
    let path = cache.path(policy.generation());
    let bytes = fs::read(&path).expect("an entry");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).expect("written");
        assert!(cache.load(policy.generation()).is_none(), "{what}");
    };
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        refused(&flipped, &format!("a bit of byte {at}"));
        refused(&bytes[..at], &format!("cut at {at}"));
    }
    refused(&[&bytes[..], b"!"].concat(), "a byte more");
    assert!(!path.exists(), "what is damaged is removed");
    fs::write(&path, &bytes).expect("written");
    assert_eq!(whole(&cache.load(policy.generation()).expect("whole again")), whole(&policy));
}

#[test]
fn what_is_no_policy_is_refused_even_under_a_right_check_sum() {
    let policy = small("refund");
    let (_folder, cache) = cache();
    cache.store(&policy);
    let path = cache.path(policy.generation());
    let bytes = fs::read(&path).expect("an entry");
    let body = HEADER_BYTES..bytes.len() - HASH_BYTES;
    // A body cut short, and none: what reads it must come to an end, whatever it is given.
    for length in 0..body.len() {
        let mut cut = bytes[..HEADER_BYTES + length].to_vec();
        let sum = Sha256::digest(&cut);
        cut.extend_from_slice(&sum);
        fs::write(&path, &cut).expect("written");
        assert!(cache.load(policy.generation()).is_none(), "{length} bytes of body");
    }
}

#[test]
fn an_entry_of_another_program_or_another_policy_is_never_used() {
    let (one, two) = (small("refund"), small("outage"));
    let (_folder, cache) = cache();
    cache.store(&one);
    let other = PolicyCache { folder: cache.folder.clone(), stamp: [9; HASH_BYTES] };
    assert!(other.load(one.generation()).is_none());
    assert!(cache.load(one.generation()).is_some(), "and it is left to the program that wrote it");
    fs::copy(cache.path(one.generation()), cache.path(two.generation())).expect("copied");
    assert!(cache.load(two.generation()).is_none());
}

#[test]
fn the_last_few_are_kept_and_what_is_used_stays() {
    let (_folder, cache) = cache();
    let policies: Vec<Policy> = (0..ENTRIES_MAX + 3).map(|number| small(&format!("word{number}"))).collect();
    let hour = Duration::from_secs(3600);
    let age = |policy: &Policy, hours: usize| {
        let file = File::options().write(true).open(cache.path(policy.generation())).expect("an entry");
        file.set_modified(SystemTime::now() - hour * hours as u32).expect("older");
    };
    for (number, policy) in policies.iter().enumerate().take(ENTRIES_MAX) {
        cache.store(policy);
        age(policy, 10 + ENTRIES_MAX - number);
    }
    assert!(cache.load(policies[0].generation()).is_some(), "it is used");
    let unfinished = cache.path(policies[0].generation()).with_extension("1.unfinished");
    fs::write(&unfinished, b"half").expect("written");
    for policy in &policies[ENTRIES_MAX..] {
        cache.store(policy);
    }
    assert!(unfinished.exists(), "somebody may still write it");
    File::options()
        .write(true)
        .open(&unfinished)
        .and_then(|file| file.set_modified(SystemTime::now() - hour))
        .expect("older");
    cache.store(&policies[ENTRIES_MAX]);
    assert!(!unfinished.exists(), "who wrote it has died");
    let kept: Vec<usize> =
        (0..policies.len()).filter(|&n| cache.load(policies[n].generation()).is_some()).collect();
    assert_eq!(kept, [0, 4, 5, 6, 7, 8], "the oldest three have left");
}

#[test]
fn nobody_else_may_read_it() {
    let policy = small("refund");
    let (_folder, cache) = cache();
    cache.store(&policy);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&cache.folder), mode(&cache.path(policy.generation()))), (0o700, 0o600));
}

#[test]
fn a_disk_that_takes_nothing_costs_only_the_cache() {
    let (folder, cache) = cache();
    let policy = small("refund");
    fs::remove_dir_all(&cache.folder).expect("removed");
    cache.store(&policy);
    assert!(cache.load(policy.generation()).is_none());
    fs::write(&cache.folder, b"a file where the folder should be").expect("written");
    assert!(PolicyCache::open(folder.path()).is_none());
}
