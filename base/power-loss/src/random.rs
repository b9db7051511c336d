//! Seeded draws. A crate of this layer may not use the simulator's.

/// SplitMix64, as published by Steele, Lea and Flood.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0. The bias of the remainder does not matter here.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }
}

/// How likely what is newest survives one loss of power.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survival {
    newest_per_cent: usize,
}

impl Survival {
    /// Everything, nothing, or a share: losses differ, and the extremes are worth more than their share.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let newest_per_cent = match random.below(4) {
            0 => 0,
            1 => 100,
            _ => random.below(101),
        };
        Self { newest_per_cent }
    }

    /// Chooses among `versions`, oldest first; there is at least one.
    pub(crate) fn choose<'a, T>(self, random: &mut Random, versions: &'a [T]) -> &'a T {
        let newest = versions.len() - 1;
        if newest == 0 || random.below(100) < self.newest_per_cent {
            return &versions[newest];
        }
        &versions[if self.newest_per_cent == 0 { 0 } else { random.below(newest) }]
    }
}
