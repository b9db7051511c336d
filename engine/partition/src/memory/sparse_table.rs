//! A sparse table: a radix tree from page numbers to values whose nodes hold only what is there.
//!
//! Each node has 64 places, a mask of the taken ones and a dense vector of their contents, so that a guest
//! that touched one page pays a few hundred bytes and not a full page of pointers per level.

use std::ops::Range;

const BITS: u32 = 6;
const PLACES: u64 = 1 << BITS;

struct Branch<T> {
    taken: u64,
    contents: Vec<T>,
}

impl<T> Branch<T> {
    fn new() -> Self {
        Self { taken: 0, contents: Vec::new() }
    }

    fn position(&self, place: u32) -> (bool, usize) {
        let below = self.taken & ((1 << place) - 1);
        (self.taken & (1 << place) != 0, below.count_ones() as usize)
    }

    fn get(&self, place: u32) -> Option<&T> {
        let (taken, position) = self.position(place);
        if taken { self.contents.get(position) } else { None }
    }

    fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (taken, position) = self.position(place);
        if taken { self.contents.get_mut(position) } else { None }
    }

    fn entry(&mut self, place: u32, make: impl FnOnce() -> T) -> &mut T {
        let (taken, position) = self.position(place);
        if !taken {
            if self.contents.len() == self.contents.capacity() {
                // Small steps while a node is sparse: most nodes of an idle guest keep one content.
                self.contents.reserve_exact(if self.contents.len() < 4 { 1 } else { self.contents.len() });
            }
            self.contents.insert(position, make());
            self.taken |= 1 << place;
        }
        &mut self.contents[position]
    }

    fn remove(&mut self, place: u32) -> Option<T> {
        let (taken, position) = self.position(place);
        if !taken {
            return None;
        }
        self.taken &= !(1 << place);
        Some(self.contents.remove(position))
    }
}

enum Node<T> {
    Inner(Branch<Node<T>>),
    Leaf(Branch<T>),
}

/// See the module's description. Indexes are page numbers.
pub(super) struct SparseTable<T> {
    root: Option<Node<T>>,
    /// Levels below and including the root; the table covers `64^height` indexes.
    height: u32,
    length: u64,
}

impl<T> SparseTable<T> {
    pub(super) fn new() -> Self {
        Self { root: None, height: 0, length: 0 }
    }

    /// Values held.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn covers(&self, index: u64) -> bool {
        let bits = self.height * BITS;
        self.root.is_some() && (bits >= u64::BITS || index >> bits == 0)
    }

    pub(super) fn get(&self, index: u64) -> Option<&T> {
        if !self.covers(index) {
            return None;
        }
        let mut node = self.root.as_ref()?;
        let mut level = self.height;
        loop {
            level -= 1;
            let place = place_of(index, level);
            match node {
                Node::Leaf(branch) => return branch.get(place),
                Node::Inner(branch) => node = branch.get(place)?,
            }
        }
    }

    pub(super) fn get_mut(&mut self, index: u64) -> Option<&mut T> {
        if !self.covers(index) {
            return None;
        }
        let mut level = self.height;
        let mut node = self.root.as_mut()?;
        loop {
            level -= 1;
            let place = place_of(index, level);
            match node {
                Node::Leaf(branch) => return branch.get_mut(place),
                Node::Inner(branch) => node = branch.get_mut(place)?,
            }
        }
    }

    /// The value at `index`, made by `make` where there is none.
    pub(super) fn entry(&mut self, index: u64, make: impl FnOnce() -> T) -> &mut T {
        if self.get(index).is_none() {
            self.length += 1;
        }
        while !self.covers(index) {
            self.height += 1;
            self.root = Some(match self.root.take() {
                None => Node::Leaf(Branch::new()),
                Some(old) => {
                    let mut branch = Branch::new();
                    branch.entry(0, || old);
                    Node::Inner(branch)
                }
            });
        }
        let mut level = self.height;
        let mut node = self.root.as_mut().expect("grown above");
        loop {
            level -= 1;
            let place = place_of(index, level);
            match node {
                Node::Leaf(branch) => return branch.entry(place, make),
                Node::Inner(branch) => {
                    node = branch.entry(place, || {
                        if level == 1 { Node::Leaf(Branch::new()) } else { Node::Inner(Branch::new()) }
                    });
                }
            }
        }
    }

    /// Removes every value in `range` and hands it to `take`, in order.
    pub(super) fn drain(&mut self, range: Range<u64>, take: &mut dyn FnMut(u64, T)) {
        let mut removed = 0;
        if let Some(root) = self.root.as_mut() {
            let emptied = drain_node(root, self.height, 0, &range, &mut |index, value| {
                removed += 1;
                take(index, value);
            });
            if emptied {
                self.root = None;
                self.height = 0;
            }
        }
        self.length -= removed;
    }

    /// Highest index that holds a value.
    pub(super) fn last(&self) -> Option<u64> {
        let mut node = self.root.as_ref()?;
        let mut index = 0;
        loop {
            let (taken, next) = match node {
                Node::Leaf(branch) => (branch.taken, None),
                Node::Inner(branch) => (branch.taken, branch.contents.last()),
            };
            if taken == 0 {
                return None;
            }
            index = index << BITS | u64::from(u64::BITS - 1 - taken.leading_zeros());
            match next {
                Some(below) => node = below,
                None => return Some(index),
            }
        }
    }

    /// Bytes that the nodes take, without what the values own elsewhere.
    pub(super) fn table_bytes(&self) -> u64 {
        self.root.as_ref().map_or(0, node_bytes)
    }
}

fn place_of(index: u64, level: u32) -> u32 {
    let shift = level * BITS;
    if shift >= u64::BITS { 0 } else { (index >> shift & (PLACES - 1)) as u32 }
}

fn node_bytes<T>(node: &Node<T>) -> u64 {
    match node {
        Node::Leaf(branch) => (branch.contents.capacity() * size_of::<T>()) as u64,
        Node::Inner(branch) => {
            let own = (branch.contents.capacity() * size_of::<Node<T>>()) as u64;
            own + branch.contents.iter().map(node_bytes).sum::<u64>()
        }
    }
}

/// Removes what lies in `range` below `node`, whose first index is `base`; true when the node is empty after.
fn drain_node<T>(
    node: &mut Node<T>,
    height: u32,
    base: u64,
    range: &Range<u64>,
    take: &mut dyn FnMut(u64, T),
) -> bool {
    let level = height - 1;
    let step = 1_u64 << (level * BITS).min(u64::BITS - 1);
    let taken = match node {
        Node::Leaf(branch) => branch.taken,
        Node::Inner(branch) => branch.taken,
    };
    for place in 0..PLACES as u32 {
        let start = base.saturating_add(u64::from(place).saturating_mul(step));
        if taken & (1 << place) == 0 || start >= range.end || start.saturating_add(step) <= range.start {
            continue;
        }
        match node {
            Node::Leaf(branch) => {
                if let Some(value) = branch.remove(place) {
                    take(start, value);
                }
            }
            Node::Inner(branch) => {
                let below = branch.get_mut(place).expect("the mask says so");
                if drain_node(below, level, start, range, take) {
                    branch.remove(place);
                }
            }
        }
    }
    match node {
        Node::Leaf(branch) => branch.taken == 0,
        Node::Inner(branch) => branch.taken == 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn random_operations_match_an_ordered_map() {
        for seed in 0..40_u64 {
            let mut state = seed;
            let mut random = |below: u64| varan_environment::split_mix(&mut state) % below;
            let mut table = SparseTable::new();
            let mut model = BTreeMap::new();
            for step in 0..400 {
                let index = random(64) << (random(6) * BITS as u64) | random(3);
                match random(4) {
                    0 => {
                        let end = index.saturating_add(random(5_000) << random(20));
                        let mut drained = Vec::new();
                        table.drain(index..end, &mut |index, value: u64| drained.push((index, value)));
                        let expected: Vec<_> = model.range(index..end).map(|(&k, &v)| (k, v)).collect();
                        model.retain(|key, _| !(index..end).contains(key));
                        assert_eq!(drained, expected, "seed {seed} step {step}");
                    }
                    _ => {
                        *table.entry(index, || step) = step;
                        model.insert(index, step);
                    }
                }
                assert_eq!(table.length(), model.len() as u64, "seed {seed} step {step}");
                assert_eq!(table.last(), model.keys().last().copied(), "seed {seed} step {step}");
                let probe = random(64) << (random(6) * BITS as u64);
                assert_eq!(table.get(probe), model.get(&probe), "seed {seed} step {step}");
                assert_eq!(table.get_mut(index), model.get_mut(&index), "seed {seed} step {step}");
            }
        }
    }

    #[test]
    fn one_value_in_a_huge_space_is_small() {
        let mut table = SparseTable::new();
        table.entry(1 << 35, || 0_u64);
        assert!(table.table_bytes() < 512, "{} bytes", table.table_bytes());
    }
}
