//! Compiled policies on disk, so that a restart does not compile again what it has compiled before.
//!
//! Owns one folder in the state directory and the layout of its entries, one for each generation. An entry is read only
//! by the very program that wrote it, and only when every byte is as it was written; whatever is wrong with an entry or
//! with the disk costs the time of compiling and nothing else. May not say which policy is in force. Called by
//! `policies`, never on a thread of the stream.
//!
//! ```text
//! "triaged policy cache\n" | stamp of the program, 32 bytes | generation, 32 bytes | the policy, in postcard | SHA-256 of all before
//! ```

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use triage_engine::SEMANTICS;
use triage_engine::policy::{Generation, Policy};

/// How many policies are kept: the one in force, a few to go back to, and those that old log entries name.
pub const ENTRIES_MAX: usize = 6;
/// How many bytes they may have together; the newest is kept whatever it has.
pub const ENTRIES_BYTES_MAX: u64 = 1 << 30;
/// The longest entry that is read: some four times what the largest policy was measured to take.
const ENTRY_BYTES_MAX: u64 = 1 << 30;
/// A file that was begun so long ago belongs to a process that died while it wrote.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);

const MAGIC: &[u8] = b"triaged policy cache\n";
const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 2 * HASH_BYTES;
const ENDING: &str = "policy";

/// The cache of one state directory. Several instances may share it.
#[derive(Debug)]
pub struct PolicyCache {
    folder: PathBuf,
    stamp: [u8; HASH_BYTES],
}

/// Why an entry is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0}")]
    Disk(#[from] io::Error),
    #[error("it has {0} bytes, the limit ENTRY_BYTES_MAX is {ENTRY_BYTES_MAX}")]
    Long(u64),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("another program wrote it")]
    Foreign,
}

impl PolicyCache {
    /// The cache in the folder `policies` of the state directory, which is made when missing, for this user alone. None,
    /// with a warning, where there can be none: then every start compiles.
    #[must_use]
    pub fn open(state_dir: &Path) -> Option<PolicyCache> {
        let folder = state_dir.join("policies");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        let made = made.and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o700)));
        match made.and_then(|()| stamp()) {
            Ok(stamp) => Some(PolicyCache { folder, stamp }),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "compiled policies are not kept");
                None
            }
        }
    }

    /// The policy of this generation, if this program has compiled it before and it is still there whole.
    #[must_use]
    pub fn load(&self, generation: Generation) -> Option<Policy> {
        let path = self.path(generation);
        match self.read(&path, generation) {
            Ok(policy) => Some(policy),
            Err(Unusable::Disk(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(Unusable::Foreign) => {
                tracing::info!(%generation, "the compiled policy is another program's: compiling again");
                None
            }
            Err(why) => {
                tracing::warn!(entry = %path.display(), %why, "a compiled policy cannot be used: compiling again");
                // What is there would only be refused again.
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps a policy for the next start, and removes what is too old or too much. A disk that takes nothing is warned of.
    pub fn store(&self, policy: &Policy) {
        let generation = policy.generation();
        if let Err(error) = self.write(generation, policy).and_then(|()| self.prune()) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %generation, %error, "a compiled policy is not kept: the next start compiles it again");
        }
    }

    fn path(&self, generation: Generation) -> PathBuf {
        let name: String = generation.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.{ENDING}"))
    }

    fn read(&self, path: &Path, generation: Generation) -> Result<Policy, Unusable> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > ENTRY_BYTES_MAX {
            return Err(Unusable::Long(length));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.read_to_end(&mut bytes)?;
        if bytes.len() < HEADER_BYTES + HASH_BYTES || !bytes.starts_with(MAGIC) {
            return Err(Unusable::Damaged("it does not begin as an entry"));
        }
        let (written, sum) = bytes.split_at(bytes.len() - HASH_BYTES);
        if Sha256::digest(written).as_slice() != sum {
            return Err(Unusable::Damaged("its check sum is wrong"));
        }
        let (header, body) = written.split_at(HEADER_BYTES);
        let (stamp, named) = header[MAGIC.len()..].split_at(HASH_BYTES);
        if stamp != self.stamp {
            return Err(Unusable::Foreign);
        }
        let policy: Policy =
            postcard::from_bytes(body).map_err(|_| Unusable::Damaged("it holds no policy"))?;
        if named != generation.0 || policy.generation() != generation {
            return Err(Unusable::Damaged("it is another generation's"));
        }
        // What is used stays: entries leave by age.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Ok(policy)
    }

    fn write(&self, generation: Generation, policy: &Policy) -> io::Result<()> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.stamp);
        bytes.extend_from_slice(&generation.0);
        let mut bytes = postcard::to_extend(policy, bytes).map_err(io::Error::other)?;
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        let path = self.path(generation);
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let written = write_through(&unfinished, &bytes).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        File::open(&self.folder)?.sync_all()
    }

    fn prune(&self) -> io::Result<()> {
        let (mut entries, mut unfinished) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let (path, known) = (entry.path(), entry.metadata()?);
            let modified = known.modified()?;
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(ENDING) => entries.push((modified, known.len(), path)),
                Some("unfinished") => unfinished.push((modified, path)),
                _ => {}
            }
        }
        entries.sort_unstable_by(|one, other| other.cmp(one));
        // The newest was written just now.
        let now = entries.first().map(|(modified, ..)| *modified);
        for (begun, path) in unfinished {
            let age = now.and_then(|now| now.duration_since(begun).ok());
            if age.is_some_and(|age| age > ABANDONED_AFTER) {
                fs::remove_file(path)?;
            }
        }
        let mut bytes = 0;
        for (place, (_, length, path)) in entries.into_iter().enumerate() {
            bytes += length;
            if place > 0 && (place >= ENTRIES_MAX || bytes > ENTRIES_BYTES_MAX) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Writes a file that only this user may read, and waits until it is on the disk.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What makes an entry ours: the meaning of policies and the bytes of this program. A policy is stored as the program
/// lays it out, and any other program might lay it out otherwise, even one of the same version.
fn stamp() -> io::Result<[u8; HASH_BYTES]> {
    let mut program = File::open("/proc/self/exe")?;
    let (mut sum, mut length) = (crc32fast::Hasher::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = program.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sum.update(&buffer[..read]);
        length += read;
    }
    let sum = sum.finalize();
    let version = env!("CARGO_PKG_VERSION");
    Ok(Sha256::digest(format!("{version} {SEMANTICS} {length} {sum:08x}")).into())
}

#[cfg(test)]
mod tests;
