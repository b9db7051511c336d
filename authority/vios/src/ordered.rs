//! Persistent ordered tables: a copy is one pointer, and a change after a copy rewrites one chunk and the list of chunks.
//! So a snapshot for readers costs the same however much a server has.

use std::fmt;
use std::sync::Arc;

/// Entries of a chunk at most; a full one is halved.
const CHUNK: usize = 128;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A table in the order of its keys.
pub(crate) struct OrderedTable<K, V> {
    /// Chunks in order; none is empty.
    chunks: Arc<Vec<Chunk<K, V>>>,
    length: usize,
}

impl<K, V> Clone for OrderedTable<K, V> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), length: self.length }
    }
}

impl<K, V> Default for OrderedTable<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default(), length: 0 }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for OrderedTable<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter());
        formatter.debug_map().entries(entries.map(|(key, value)| (key, value))).finish()
    }
}

impl<K: Ord + Clone, V: Clone> OrderedTable<K, V> {
    /// The chunk that holds a key or would take it, and the place in it.
    fn find(&self, key: &K) -> Option<(usize, Result<usize, usize>)> {
        let last = self.chunks.len().checked_sub(1)?;
        let after =
            self.chunks.partition_point(|chunk| chunk.last().is_some_and(|(largest, _)| largest < key));
        let chunk = after.min(last);
        Some((chunk, self.chunks[chunk].binary_search_by(|(present, _)| present.cmp(key))))
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let (chunk, place) = self.find(key)?;
        Some(&self.chunks[chunk][place.ok()?].1)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        let Some((chunk, place)) = self.find(&key) else {
            self.chunks = Arc::new(vec![Arc::new(vec![(key, value)])]);
            self.length = 1;
            return;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = Arc::make_mut(&mut chunks[chunk]);
        match place {
            Ok(place) => entries[place].1 = value,
            Err(place) => {
                entries.insert(place, (key, value));
                self.length += 1;
                if entries.len() > CHUNK {
                    let second = entries.split_off(CHUNK / 2);
                    chunks.insert(chunk + 1, Arc::new(second));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (chunk, place) = self.find(key)?;
        let place = place.ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = Arc::make_mut(&mut chunks[chunk]);
        let (_, value) = entries.remove(place);
        if entries.is_empty() {
            chunks.remove(chunk);
        }
        self.length -= 1;
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn first(&self) -> Option<&K> {
        self.chunks.first().and_then(|chunk| chunk.first()).map(|(key, _)| key)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Entries from a key on.
    pub(crate) fn from<'a>(&'a self, key: &K) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let (first, place) = match self.find(key) {
            Some((chunk, place)) => (chunk, place.unwrap_or_else(|place| place)),
            None => (0, 0),
        };
        self.chunks[first.min(self.chunks.len())..]
            .iter()
            .enumerate()
            .flat_map(move |(index, chunk)| chunk[if index == 0 { place } else { 0 }..].iter())
            .map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_table_does_what_a_map_does() {
        let seed = 7;
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut table, mut map) = (OrderedTable::default(), BTreeMap::new());
        for step in 0..20_000_u32 {
            let key = random.u32(0..1_500);
            if random.u8(0..3) == 0 {
                assert_eq!(table.remove(&key), map.remove(&key), "seed {seed} step {step}");
            } else {
                table.put(key, step);
                map.insert(key, step);
            }
            assert_eq!(table.get(&key), map.get(&key), "seed {seed} step {step}");
            assert_eq!(table.len(), map.len());
        }
        assert!(table.iter().eq(map.iter()), "seed {seed}");
        for key in [0, 1, 700, 1_499, 2_000] {
            assert!(table.from(&key).eq(map.range(key..)), "seed {seed} from {key}");
        }
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut table = OrderedTable::default();
        for key in 0..1_000_u32 {
            table.put(key, key);
        }
        let copy = table.clone();
        table.put(5, 0);
        table.remove(&6);
        assert_eq!((copy.get(&5), copy.get(&6), copy.len()), (Some(&5), Some(&6), 1_000));
    }
}
