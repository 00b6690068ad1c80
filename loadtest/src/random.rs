//! Numbers that look random and depend on nothing but the seed and the place where they are asked for.
//!
//! Owns one hash. There is no state: record 7,000,000 is made, and judged, without the seven million before it, and in
//! any thread. Called by the cast.

/// What a number is drawn for; two purposes never see the same number.
#[derive(Debug, Clone, Copy)]
pub enum Draw {
    /// Queued, noise, a copy, …
    Class,
    /// Which mention is copied.
    Copy,
    /// Who wrote it.
    Author,
    /// Whether the author is a VIP.
    Vip,
    /// Whether it goes to the hot partition.
    Hot,
    /// Its language.
    Language,
    /// Its text.
    Text,
    /// How it is spoiled.
    Poison,
}

/// The number of `place` for this purpose: the finaliser of SplitMix64 (Steele, Lea, Flood 2014) over the three.
#[must_use]
pub fn draw(seed: u64, place: u64, what: Draw) -> u64 {
    let mut z = seed
        .wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add((what as u64 + 1).wrapping_mul(0xd1b5_4a32_d192_ed03));
    for _ in 0..2 {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

/// The same between 0, which it may be, and 1, which it is not.
#[must_use]
pub fn share(seed: u64, place: u64, what: Draw) -> f64 {
    // 53 bits are what a double holds.
    (draw(seed, place, what) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_over_places_purposes_and_seeds() {
        for (seed, what) in [(1, Draw::Class), (1, Draw::Text), (2, Draw::Class)] {
            let below = (0..100_000).filter(|&place| share(seed, place, what) < 0.1).count();
            // 10,000 expected, standard deviation 95.
            assert!((9_500..10_500).contains(&below), "{seed} {what:?}: {below}");
        }
        let both = (0..100_000)
            .filter(|&place| share(1, place, Draw::Class) < 0.1 && share(1, place, Draw::Text) < 0.1)
            .count();
        assert!((800..1_200).contains(&both), "two purposes are independent: {both}");
    }
}
