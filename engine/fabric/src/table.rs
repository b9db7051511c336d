//! A table from VLAN and address to whoever has it.

use varan_ethernet::EthernetAddress;

/// When an entry was last confirmed, for one that does not age.
const FIXED: u32 = u32::MAX;
/// Multiplier of the hash: odd, with its bits well spread.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Set in every key, so that no key is zero: a zero is an empty place.
const PRESENT: u64 = 1 << 63;
/// The VLAN of entries that hold for all VLANs; beyond any real number.
pub(crate) const ANY_VLAN: u16 = 0x7FFF;

/// VLAN and address in one number, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn new(vlan: u16, address: EthernetAddress) -> Self {
        let [a, b, c, d, e, f] = address.0;
        Self(PRESENT | u64::from(vlan & ANY_VLAN) << 48 | u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// VLAN and address again.
    pub(crate) fn parts(self) -> (u16, EthernetAddress) {
        let [vlan_high, vlan_low, address @ ..] = self.0.to_be_bytes();
        (u16::from_be_bytes([vlan_high, vlan_low]) & ANY_VLAN, EthernetAddress(address))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key: u64,
    value: u32,
    seen: u32,
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: u32,
    /// It was put there, not learned.
    pub(crate) fixed: bool,
}

/// Open addressing with linear probing, at most half full; a removal moves what follows back, so that no mark stays. The hash
/// is one multiplication. Its seed keeps a hostile station from choosing addresses that fall together.
#[derive(Debug)]
pub(crate) struct AddressTable {
    entries: Vec<Entry>,
    used: usize,
    seed: u64,
}

impl AddressTable {
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: vec![Entry::default(); 16], used: 0, seed }
    }

    fn home(&self, key: u64) -> usize {
        let wide = u128::from(key ^ self.seed).wrapping_mul(u128::from(SPREAD));
        #[expect(clippy::cast_possible_truncation, reason = "both halves of the product go into the hash")]
        let hash = (wide as u64) ^ ((wide >> 64) as u64);
        usize::try_from(hash).unwrap_or(usize::MAX) & (self.entries.len() - 1)
    }

    fn place(&self, key: u64) -> Result<usize, usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(key);
        loop {
            match self.entries[at].key {
                0 => return Err(at),
                found if found == key => return Ok(at),
                _ => at = (at + 1) & mask,
            }
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Found> {
        let entry = self.entries[self.place(key.0).ok()?];
        Some(Found { value: entry.value, fixed: entry.seen == FIXED })
    }

    /// Puts an entry that does not age. What was there is answered.
    pub(crate) fn put(&mut self, key: Key, value: u32) -> Option<Found> {
        self.set(key, value, FIXED)
    }

    /// Learns or confirms an entry at a time in seconds.
    pub(crate) fn learn(&mut self, key: Key, value: u32, seconds: u32) -> Option<Found> {
        self.set(key, value, seconds.min(FIXED - 1))
    }

    fn set(&mut self, key: Key, value: u32, seen: u32) -> Option<Found> {
        let entry = Entry { key: key.0, value, seen };
        match self.place(key.0) {
            Ok(at) => {
                let old = std::mem::replace(&mut self.entries[at], entry);
                Some(Found { value: old.value, fixed: old.seen == FIXED })
            }
            Err(at) => {
                self.entries[at] = entry;
                self.used += 1;
                if self.used * 2 > self.entries.len() {
                    self.grow();
                }
                None
            }
        }
    }

    fn grow(&mut self) {
        let larger = vec![Entry::default(); self.entries.len() * 2];
        let old = std::mem::replace(&mut self.entries, larger);
        for entry in old.into_iter().filter(|entry| entry.key != 0) {
            if let Err(at) = self.place(entry.key) {
                self.entries[at] = entry;
            }
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Found> {
        let at = self.place(key.0).ok()?;
        let old = self.entries[at];
        self.clear_place(at);
        Some(Found { value: old.value, fixed: old.seen == FIXED })
    }

    fn clear_place(&mut self, mut hole: usize) {
        let mask = self.entries.len() - 1;
        self.entries[hole] = Entry::default();
        self.used -= 1;
        let mut at = (hole + 1) & mask;
        while self.entries[at].key != 0 {
            let home = self.home(self.entries[at].key);
            // It may move back when its home is not between the hole and where it is.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = std::mem::take(&mut self.entries[at]);
                hole = at;
            }
            at = (at + 1) & mask;
        }
    }

    /// Removes learned entries for which `unwanted` holds, given the value and the time that they were last confirmed at.
    pub(crate) fn remove_learned(&mut self, mut unwanted: impl FnMut(u32, u32) -> bool) {
        let mut at = 0;
        while at < self.entries.len() {
            let entry = self.entries[at];
            if entry.key != 0 && entry.seen != FIXED && unwanted(entry.value, entry.seen) {
                // Another entry may have moved here: the same place again.
                self.clear_place(at);
            } else {
                at += 1;
            }
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use varan_environment::split_mix;

    use super::*;

    fn address(number: u64) -> EthernetAddress {
        let [.., a, b, c] = number.to_be_bytes();
        EthernetAddress([2, 0, 0, a, b, c])
    }

    #[test]
    fn it_behaves_as_a_map_whatever_happens() {
        for seed in 0..20 {
            let mut random = seed;
            let mut table = AddressTable::new(seed * 77);
            let mut model = BTreeMap::new();
            for step in 0..3_000u32 {
                let number = split_mix(&mut random) % 97;
                let vlan = u16::try_from(split_mix(&mut random) % 3).expect("small");
                let key = Key::new(vlan, address(number));
                let found = |entry: &(u32, bool)| Found { value: entry.0, fixed: entry.1 };
                match split_mix(&mut random) % 5 {
                    0 | 1 => {
                        let old = model.insert((vlan, number), (step, true));
                        assert_eq!(table.put(key, step), old.as_ref().map(found), "seed {seed}");
                    }
                    2 => {
                        let old = model.insert((vlan, number), (step, false));
                        assert_eq!(table.learn(key, step, step), old.as_ref().map(found), "seed {seed}");
                    }
                    3 => {
                        let old = model.remove(&(vlan, number));
                        assert_eq!(table.remove(key), old.as_ref().map(found), "seed {seed}");
                    }
                    _ if step % 50 == 0 => {
                        table.remove_learned(|value, _| value % 2 == 0);
                        model.retain(|_, (value, fixed)| *fixed || *value % 2 != 0);
                    }
                    _ => {}
                }
                let expected = model.get(&(vlan, number)).map(found);
                assert_eq!(table.get(key), expected, "seed {seed}, step {step}");
                assert_eq!(table.len(), model.len(), "seed {seed}, step {step}");
            }
        }
    }
}
