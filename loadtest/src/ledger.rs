//! Reads ledger records, as docs/formats.md describes them and from that page alone.
//!
//! Owns a second reader of the format, so that the judge shares no code with the judged. May not judge. Called by the
//! judge; a test holds it against what the daemon's writer writes.

const HEADER_BYTES: usize = 88;
const CHECKSUM_BYTES: usize = 4;
const HAS_EXPIRED: u16 = 1;
const HAS_GAPS: u16 = 1 << 1;
const HAS_KEYS: u16 = 1 << 2;
/// Detail, desk and queue.
const COLUMNS: usize = 3;
/// What desk and queue say when there is nothing to say.
pub const NONE: u16 = u16::MAX;
/// What the detail says when there is nothing to say.
pub const DETAIL_NONE: u32 = u32::MAX;

/// What the ledger says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The record's offset on the input.
    pub offset: i64,
    /// The number of its disposition.
    pub disposition: u8,
    /// The rule or the reason.
    pub detail: u32,
    /// The desk.
    pub desk: u16,
    /// The queue.
    pub queue: u16,
}

/// One ledger record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The policy's SHA-256.
    pub generation: [u8; 32],
    /// Offsets lost to retention, first and last.
    pub expired: Option<(i64, i64)>,
    /// One for each record.
    pub entries: Vec<Entry>,
}

/// Reads a record.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Run, String> {
    let least = HEADER_BYTES + CHECKSUM_BYTES;
    if bytes.len() < least {
        return Err(format!("{} bytes, the shortest has {least}", bytes.len()));
    }
    let (body, sum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if crc32(body).to_le_bytes() != sum {
        return Err("its check sum is wrong".to_owned());
    }
    let mut from = Bytes { left: body };
    if from.take(4)? != b"TLGR" || from.u16()? != 2 {
        return Err("it is no ledger record of version 2".to_owned());
    }
    let columns = from.u16()?;
    if columns & !(HAS_EXPIRED | HAS_GAPS | HAS_KEYS) != 0 {
        return Err(format!("it has columns {columns:#x} that are not described"));
    }
    from.take(4)?;
    let count = from.number(4)? as usize;
    let mut generation = [0; 32];
    generation.copy_from_slice(from.take(32)?);
    from.take(16)?;
    let first = from.number(8)? as i64;
    from.take(8)?;
    let modes = from.number(8)?;
    let expired = match columns & HAS_EXPIRED {
        0 => None,
        _ => Some((from.number(8)? as i64, from.number(8)? as i64)),
    };
    let mut entries = Vec::with_capacity(count.min(1 << 18));
    let mut offset = first;
    let mut push = |present: u64, offset: &mut i64| {
        for _ in 0..present.min(1 << 20) {
            entries.push(Entry {
                offset: *offset,
                disposition: 0,
                detail: DETAIL_NONE,
                desk: NONE,
                queue: NONE,
            });
            *offset += 1;
        }
        entries.len()
    };
    if columns & HAS_GAPS == 0 {
        push(count as u64, &mut offset);
    } else {
        while push(from.varint()?, &mut offset) < count {
            offset += from.varint()? as i64;
        }
    }
    if entries.len() != count {
        return Err(format!("it speaks of {} entries and has {count}", entries.len()));
    }
    let nibbles = from.take(count.div_ceil(2))?;
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.disposition = (nibbles[index / 2] >> (4 * (index % 2))) & 0b111;
    }
    for column in 0..COLUMNS {
        from.column(column, modes, &mut entries)?;
    }
    Ok(Run { generation, expired, entries })
}

/// What is left to read.
struct Bytes<'a> {
    left: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, left) = self.left.split_at_checked(count).ok_or("it is cut short")?;
        self.left = left;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, String> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(self.number(2)? as u16)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number has no end".to_owned())
    }

    /// First the values that stand for a whole disposition, then those of the entries stored one by one.
    fn column(&mut self, column: usize, modes: u64, entries: &mut [Entry]) -> Result<(), String> {
        let mode = |disposition: u8| (modes >> (2 * (COLUMNS * usize::from(disposition) + column))) & 0b11;
        let mut constants = [0; 8];
        for disposition in 0..8 {
            if mode(disposition) == 1 {
                constants[usize::from(disposition)] = self.varint()?;
            }
        }
        for entry in entries {
            let value = match mode(entry.disposition) {
                2 => self.varint()?,
                _ => constants[usize::from(entry.disposition)],
            };
            match column {
                0 => entry.detail = (value as u32).wrapping_sub(1),
                1 => entry.desk = (value as u16).wrapping_sub(1),
                _ => entry.queue = (value as u16).wrapping_sub(1),
            }
        }
        Ok(())
    }
}

/// CRC-32 (IEEE 802.3), by the byte.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut sum, mut bit) = (index as u32, 0);
            while bit < 8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
                bit += 1;
            }
            table[index] = sum;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| TABLE[usize::from(sum as u8 ^ byte)] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use triage_engine::model::{Disposition, MentionKey, Millis};
    use triage_engine::policy::Generation;
    use triaged::wire::ledger::{self as daemons, LedgerEntry, LedgerRun};

    fn run(entries: Vec<LedgerEntry>, expired: Option<(i64, i64)>) -> LedgerRun {
        LedgerRun {
            superseding: None,
            semantics: 1,
            generation: Generation([9; 32]),
            plan_epoch: 3,
            now: Millis(5),
            expired,
            entries,
        }
    }

    #[test]
    fn what_the_daemon_writes_is_read_from_the_page_that_describes_it() {
        let all = Disposition::ALL;
        for (count, holes, expired) in
            [(0, 1, Some((3, 9))), (1, 1, None), (500, 1, None), (501, 7, Some((0, 40)))]
        {
            let entries = (0..count).map(|index: i64| LedgerEntry {
                offset: 41 + index + index / holes * i64::from(holes > 1),
                disposition: all[index as usize % all.len()],
                detail: if index % 3 == 0 { DETAIL_NONE } else { (index % 5) as u32 * 70_000 },
                desk: if index % 7 == 1 { 300 } else { NONE },
                queue: 2,
                key: (index % 2 == 0).then_some(MentionKey(index as u128)),
            });
            let written = run(entries.collect(), expired);
            let mut bytes = Vec::new();
            daemons::encode(&written, &mut bytes);
            let read = read(&bytes).expect("it can be read");
            assert_eq!((read.generation, read.expired), ([9; 32], expired));
            let expected: Vec<Entry> = written
                .entries
                .iter()
                .map(|entry| Entry {
                    offset: entry.offset,
                    disposition: entry.disposition.code(),
                    detail: entry.detail,
                    desk: entry.desk,
                    queue: entry.queue,
                })
                .collect();
            assert_eq!(read.entries, expected);
        }
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let mut bytes = Vec::new();
        daemons::encode(&run(Vec::new(), Some((0, 1))), &mut bytes);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err(), "byte {at}");
        }
        assert!(read(&bytes[..20]).is_err());
    }
}
