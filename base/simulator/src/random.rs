//! Seeded randomness: xoshiro256**, its state filled by SplitMix64.
//!
//! Both algorithms are the public-domain ones by Blackman and Vigna (<https://prng.di.unimi.it>). They are
//! written out here so that a seed keeps its meaning when a dependency changes its generator.

use std::time::Duration;

/// Probabilities are given in parts of this number, so that they are exact integers in every trace.
pub const ONE_MILLION: u32 = 1_000_000;

/// A deterministic stream of random numbers. Not for cryptographic use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Randomness {
    state: [u64; 4],
}

impl Randomness {
    /// The stream that belongs to `seed`; every seed, zero included, gives a good stream.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mixer = seed;
        Self { state: std::array::from_fn(|_| split_mix(&mut mixer)) }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (t2, t3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ t3, s1 ^ t2, t2 ^ (s1 << 17), t3.rotate_left(45)];
        result
    }

    /// An independent stream. Giving each component its own keeps one component's draws from shifting
    /// another's.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }

    /// A number in `0..bound`, without bias; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // The uppermost incomplete run of `bound` values is drawn again; otherwise small values would be
        // a little more likely.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.next_u64();
            if drawn < limit {
                return drawn % bound;
            }
        }
    }

    /// A number in `low..=high`; `low` if the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low);
        if width == u64::MAX { self.next_u64() } else { low + self.below(width + 1) }
    }

    /// A duration in `low..=high`, with nanosecond resolution; `low` if the range is empty.
    pub fn duration_between(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.between(nanoseconds(low), nanoseconds(high)))
    }

    /// True in `per_million` of 1,000,000 cases. Zero and one million draw nothing, so a fault that is
    /// switched off does not change the rest of the run.
    pub fn chance(&mut self, per_million: u32) -> bool {
        match per_million {
            0 => false,
            ONE_MILLION.. => true,
            _ => self.below(u64::from(ONE_MILLION)) < u64::from(per_million),
        }
    }

    /// A random element, or `None` of an empty slice.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).unwrap_or(0))
    }

    /// Puts the items into a random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

/// Nanoseconds of a duration, saturating at 584 years.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_matches_the_published_vector() {
        // First outputs of the reference implementation for seed 1234567.
        let mut state = 1_234_567;
        let drawn: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn xoshiro_matches_the_published_vector() {
        // First outputs of the reference implementation for the state 1, 2, 3, 4.
        let mut random = Randomness { state: [1, 2, 3, 4] };
        let drawn: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(drawn, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360]);
    }

    #[test]
    fn bounds_hold_and_are_reached() {
        let mut random = Randomness::new(7);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            let drawn = random.between(10, 14);
            assert!((10..=14).contains(&drawn));
            seen[(drawn - 10) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.between(9, 3), 9);
    }

    #[test]
    fn chance_is_about_right_and_draws_nothing_at_the_ends() {
        let mut random = Randomness::new(11);
        let hits = (0..100_000).filter(|_| random.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        let before = random.clone();
        assert!(!random.chance(0));
        assert!(random.chance(ONE_MILLION));
        assert_eq!(random, before);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Randomness::new(3).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn forks_differ_from_each_other_and_from_their_parent() {
        let mut parent = Randomness::new(5);
        let (mut first, mut second) = (parent.fork(), parent.fork());
        let drawn = [parent.next_u64(), first.next_u64(), second.next_u64()];
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
    }
}
