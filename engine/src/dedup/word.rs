//! What one slot of the exact window holds: a remainder, whether it stands in its second bucket, and a tag.
//!
//! Owns the bit layout for numeric keys (8 bytes) and for hashed keys (16 bytes). May keep nothing. Called by the
//! table alone.
//!
//! Quotienting: of a key that is spread evenly over 64 bits, `key * buckets / 2^64` is the bucket and the place
//! inside that bucket's share of keys is the remainder. Both together are the key again, so nothing is lost and two
//! keys never look alike (research: the idea is the quotient filter's; ours keeps the whole remainder).

/// Bits below the remainder: 10 of tag, 1 that says "second bucket".
const LOW_BITS: u32 = 11;
const ALTERNATE: u16 = 1 << 10;

/// One slot.
pub(super) trait Word: Copy + Eq + std::fmt::Debug {
    /// The key that the table is asked with.
    type Key: Copy + Eq + std::fmt::Debug;
    /// A line of 64 bytes full of slots.
    type Bucket: Copy + Eq + AsRef<[Self]> + AsMut<[Self]> + std::fmt::Debug;
    /// Fewer buckets than this, and the remainder would not fit.
    const BUCKETS_MIN: usize;
    /// Slots in a bucket.
    const SLOTS: usize;
    /// A bucket of empty slots.
    const EMPTY: Self::Bucket;
    /// An empty slot: its tag is 0.
    const ZERO: Self;

    /// The home bucket and the remainder (its low bits are 0).
    fn split(key: Self::Key, buckets: usize) -> (usize, Self);
    /// The key that was split into these.
    fn join(home: usize, remainder: Self, buckets: usize) -> Self::Key;
    /// 64 well-spread bits of the remainder; they choose the second bucket.
    fn spread(self) -> u64;
    /// The remainder alone.
    fn remainder(self) -> Self;
    /// The remainder with these low bits.
    fn with(self, alternate: bool, tag: u16) -> Self;
    /// The low bits.
    fn low(self) -> u16;
    /// All but the generation's tag.
    fn without_tag(self) -> Self;

    /// The generation's tag; 0 when the slot is empty.
    #[inline]
    fn tag(self) -> u16 {
        self.low() & (ALTERNATE - 1)
    }

    /// Whether it stands in its second bucket.
    #[inline]
    fn alternate(self) -> bool {
        self.low() & ALTERNATE != 0
    }
}

/// 64 bytes, so that a bucket is one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Line<W, const N: usize>([W; N]);

impl<W, const N: usize> AsRef<[W]> for Line<W, N> {
    #[inline]
    fn as_ref(&self) -> &[W] {
        &self.0
    }
}

impl<W, const N: usize> AsMut<[W]> for Line<W, N> {
    #[inline]
    fn as_mut(&mut self) -> &mut [W] {
        &mut self.0
    }
}

/// A mixer of 64 bits without loss (splitmix64's last step), for ids that are counted up by the network.
#[inline]
pub(super) fn mix(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

/// The bucket of `spread` and its place among the keys of that bucket.
#[inline]
fn divide(spread: u64, buckets: usize) -> (usize, u64) {
    let product = u128::from(spread) * buckets as u128;
    // The low half is (keys before it in the bucket) * buckets + something below `buckets`.
    ((product >> 64) as usize, product as u64 / buckets as u64)
}

/// The inverse of [`divide`].
fn multiply(bucket: usize, place: u64, buckets: usize) -> u64 {
    let first = ((bucket as u128) << 64).div_ceil(buckets as u128);
    (first + u128::from(place)) as u64
}

impl Word for u64 {
    /// A numeric id after [`mix`].
    type Key = u64;
    type Bucket = Line<u64, 8>;
    // 2^64 keys over 2^11 buckets leave remainders of 53 bits; 53 + 11 = 64.
    const BUCKETS_MIN: usize = 1 << 11;
    const SLOTS: usize = 8;
    const EMPTY: Self::Bucket = Line([0; 8]);
    const ZERO: u64 = 0;

    #[inline]
    fn split(key: u64, buckets: usize) -> (usize, u64) {
        let (home, place) = divide(key, buckets);
        debug_assert!(place < 1 << 53);
        (home, place << LOW_BITS)
    }

    fn join(home: usize, remainder: u64, buckets: usize) -> u64 {
        multiply(home, remainder >> LOW_BITS, buckets)
    }

    #[inline]
    fn spread(self) -> u64 {
        mix(self >> LOW_BITS)
    }

    #[inline]
    fn remainder(self) -> u64 {
        self >> LOW_BITS << LOW_BITS
    }

    #[inline]
    fn with(self, alternate: bool, tag: u16) -> u64 {
        self.remainder() | u64::from(alternate) << 10 | u64::from(tag)
    }

    #[inline]
    fn without_tag(self) -> u64 {
        self >> 10 << 10
    }

    #[inline]
    fn low(self) -> u16 {
        (self & ((1 << LOW_BITS) - 1)) as u16
    }
}

impl Word for u128 {
    /// 127 bits that are spread evenly; the top bit is 0.
    type Key = u128;
    type Bucket = Line<u128, 4>;
    // 64 bits over 2^10 buckets leave 54; with the other 63 bits 117; 117 + 11 = 128. So all 127 bits are kept.
    const BUCKETS_MIN: usize = 1 << 10;
    const SLOTS: usize = 4;
    const EMPTY: Self::Bucket = Line([0; 4]);
    const ZERO: u128 = 0;

    #[inline]
    fn split(key: u128, buckets: usize) -> (usize, u128) {
        debug_assert_eq!(key >> 127, 0);
        let (home, place) = divide((key >> 63) as u64, buckets);
        debug_assert!(place < 1 << 54);
        (home, (u128::from(place) << 63 | key & ((1 << 63) - 1)) << LOW_BITS)
    }

    fn join(home: usize, remainder: u128, buckets: usize) -> u128 {
        let kept = remainder >> LOW_BITS;
        u128::from(multiply(home, (kept >> 63) as u64, buckets)) << 63 | kept & ((1 << 63) - 1)
    }

    #[inline]
    fn spread(self) -> u64 {
        let kept = self >> LOW_BITS;
        mix(kept as u64 ^ (kept >> 63) as u64)
    }

    #[inline]
    fn remainder(self) -> u128 {
        self >> LOW_BITS << LOW_BITS
    }

    #[inline]
    fn with(self, alternate: bool, tag: u16) -> u128 {
        self.remainder() | u128::from(alternate) << 10 | u128::from(tag)
    }

    #[inline]
    fn without_tag(self) -> u128 {
        self >> 10 << 10
    }

    #[inline]
    fn low(self) -> u16 {
        (self & ((1 << LOW_BITS) - 1)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_can_be_read_back_from_its_place(key: u64, wide: u128, extra in 0usize..100_000) {
            for buckets in [<u64 as Word>::BUCKETS_MIN, <u64 as Word>::BUCKETS_MIN + extra] {
                for key in [key, 0, u64::MAX] {
                    let (home, remainder) = u64::split(key, buckets);
                    prop_assert!(home < buckets);
                    prop_assert_eq!(u64::join(home, remainder.with(true, 1023).remainder(), buckets), key);
                }
            }
            for buckets in [<u128 as Word>::BUCKETS_MIN, <u128 as Word>::BUCKETS_MIN + extra] {
                for key in [wide >> 1, 0, u128::MAX >> 1] {
                    let (home, remainder) = u128::split(key, buckets);
                    prop_assert!(home < buckets);
                    prop_assert_eq!(u128::join(home, remainder.with(true, 1023).remainder(), buckets), key);
                }
            }
        }
    }
}
