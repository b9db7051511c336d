//! Persistent tables: a copy is a few pointers, and a change after a copy rewrites only the path to it. So a snapshot
//! for readers costs the same however many partitions there are.

use std::sync::Arc;

const FAN_OUT: usize = 64;
const ROOTS: usize = 16;

type Leaf<T> = [Option<T>; FAN_OUT];
type Branch<T> = [Option<Arc<Leaf<T>>>; FAN_OUT];

/// A table keyed by numbers from 0 to 65535, in three levels.
pub struct Table<T> {
    roots: [Option<Arc<Branch<T>>>; ROOTS],
    length: usize,
    /// Every key from 1 up to this one (not included) has an entry.
    full_below: u16,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { roots: self.roots.clone(), length: self.length, full_below: self.full_below }
    }
}

impl<T: Clone> Default for Table<T> {
    fn default() -> Self {
        Self { roots: std::array::from_fn(|_| None), length: 0, full_below: 1 }
    }
}

fn place(key: u16) -> (usize, usize, usize) {
    let key = usize::from(key);
    (key / (FAN_OUT * FAN_OUT), key / FAN_OUT % FAN_OUT, key % FAN_OUT)
}

impl<T: Clone> Table<T> {
    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: u16) -> Option<&T> {
        let (root, branch, leaf) = place(key);
        self.roots[root].as_ref()?[branch].as_ref()?[leaf].as_ref()
    }

    /// Puts an entry; returns the one that was there.
    pub fn put(&mut self, key: u16, value: T) -> Option<T> {
        let (root, branch, leaf) = place(key);
        let branches = self.roots[root].get_or_insert_with(|| Arc::new(std::array::from_fn(|_| None)));
        let leaves =
            Arc::make_mut(branches)[branch].get_or_insert_with(|| Arc::new(std::array::from_fn(|_| None)));
        let before = Arc::make_mut(leaves)[leaf].replace(value);
        self.length += usize::from(before.is_none());
        while self.full_below < u16::MAX && self.get(self.full_below).is_some() {
            self.full_below += 1;
        }
        before
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: u16) -> Option<T> {
        self.get(key)?;
        let (root, branch, leaf) = place(key);
        let leaves = Arc::make_mut(self.roots[root].as_mut()?)[branch].as_mut()?;
        let before = Arc::make_mut(leaves)[leaf].take();
        self.length -= usize::from(before.is_some());
        self.full_below = self.full_below.min(key.max(1));
        before
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        self.roots
            .iter()
            .enumerate()
            .filter_map(|(root, branches)| Some((root, branches.as_ref()?)))
            .flat_map(|(root, branches)| {
                branches
                    .iter()
                    .enumerate()
                    .filter_map(|(branch, leaves)| Some((branch, leaves.as_ref()?)))
                    .flat_map(move |(branch, leaves)| {
                        leaves.iter().enumerate().filter_map(move |(leaf, value)| {
                            let key = (root * FAN_OUT + branch) * FAN_OUT + leaf;
                            Some((u16::try_from(key).ok()?, value.as_ref()?))
                        })
                    })
            })
    }

    /// The lowest key from 1 to `most` without an entry. Kept while entries come and go, so that it is found at once.
    #[must_use]
    pub fn lowest_free(&self, most: u16) -> Option<u16> {
        (self.full_below <= most).then_some(self.full_below)
    }
}

/// Names that share a bucket, with their numbers.
type Bucket = Arc<Vec<(Arc<str>, u16)>>;

/// Names to numbers, in buckets of the table above.
#[derive(Clone, Default)]
pub struct NameTable {
    buckets: Table<Bucket>,
}

const BUCKETS: u64 = 16_384;

fn bucket(name: &str) -> u16 {
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    u16::try_from((hash ^ (hash >> 32)) % BUCKETS).unwrap_or(0)
}

impl NameTable {
    /// The number of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u16> {
        let entries = self.buckets.get(bucket(name))?;
        entries.iter().find(|(present, _)| &**present == name).map(|(_, number)| *number)
    }

    /// Adds a name, or gives a present one another number.
    pub fn put(&mut self, name: &str, number: u16) {
        self.remove(name);
        let key = bucket(name);
        let mut entries = self.buckets.get(key).map(|entries| (**entries).clone()).unwrap_or_default();
        entries.push((name.into(), number));
        self.buckets.put(key, Arc::new(entries));
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) {
        let key = bucket(name);
        let Some(entries) = self.buckets.get(key) else { return };
        let left: Vec<_> = entries.iter().filter(|(present, _)| &**present != name).cloned().collect();
        if left.is_empty() {
            self.buckets.remove(key);
        } else {
            self.buckets.put(key, Arc::new(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn tables_agree_with_a_map_and_copies_do_not_change() {
        let seed = 0x5EED_u64;
        let mut state = seed;
        let mut table = Table::default();
        let mut model = BTreeMap::new();
        let mut copies = Vec::new();
        for step in 0..20_000_u32 {
            let draw = varan_environment::split_mix(&mut state);
            let key = u16::try_from(draw % 3_000).expect("small") * if draw & 1 << 40 == 0 { 1 } else { 20 };
            if draw >> 41 & 3 == 0 {
                assert_eq!(table.remove(key), model.remove(&key), "seed {seed}");
            } else {
                assert_eq!(table.put(key, step), model.insert(key, step), "seed {seed}");
            }
            let free = (1..=4_000).find(|key| !model.contains_key(key));
            assert!(step % 97 != 0 || table.lowest_free(4_000) == free, "seed {seed}");
            if step % 1_000 == 0 {
                copies.push((table.clone(), model.clone()));
            }
        }
        for (table, model) in copies {
            assert_eq!(table.len(), model.len());
            assert!(table.iter().eq(model.iter().map(|(key, value)| (*key, value))), "seed {seed}");
        }
    }

    #[test]
    fn names_are_found_and_forgotten() {
        let mut names = NameTable::default();
        for number in 1..2_000 {
            names.put(&format!("p{number}"), number);
        }
        let copy = names.clone();
        for number in (1..2_000).step_by(2) {
            names.remove(&format!("p{number}"));
        }
        assert_eq!(
            (names.get("p2"), names.get("p3"), copy.get("p3"), names.get("")),
            (Some(2), None, Some(3), None)
        );
    }

    #[test]
    fn the_lowest_free_key_is_found() {
        let mut table = Table::default();
        for key in 1..=100 {
            table.put(key, ());
        }
        table.remove(7);
        assert_eq!(table.lowest_free(200), Some(7));
        table.put(7, ());
        assert_eq!((table.lowest_free(200), table.lowest_free(100)), (Some(101), None));
    }
}
