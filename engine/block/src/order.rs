//! Order among writes that overlap: one waits until those submitted before it have ended.

use std::collections::VecDeque;

/// Bytes of a device, `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Range {
    fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Writes under way and those that wait for them. What is in it is bounded by the device's queue, so that it is searched
/// from end to end.
pub(crate) struct WriteOrder<T> {
    active: Vec<Range>,
    held: VecDeque<(Range, T)>,
}

impl<T> WriteOrder<T> {
    pub(crate) fn new() -> Self {
        Self { active: Vec::new(), held: VecDeque::new() }
    }

    /// Whether a write of this range would have to wait.
    pub(crate) fn must_wait(&self, range: Range) -> bool {
        self.active.iter().any(|other| other.overlaps(range))
            || self.held.iter().any(|(other, _)| other.overlaps(range))
    }

    /// Begins a write that need not wait.
    pub(crate) fn begin(&mut self, range: Range) {
        self.active.push(range);
    }

    /// Keeps a write that must wait.
    pub(crate) fn hold(&mut self, range: Range, write: T) {
        self.held.push_back((range, write));
    }

    /// Ends a write; gives those that begin now.
    pub(crate) fn end(&mut self, range: Range) -> Vec<T> {
        if let Some(position) = self.active.iter().position(|other| *other == range) {
            self.active.swap_remove(position);
        }
        let mut ready = Vec::new();
        if self.held.is_empty() {
            return ready;
        }
        let mut waiting = VecDeque::with_capacity(self.held.len());
        for (range, write) in std::mem::take(&mut self.held) {
            let blocked =
                |others: &VecDeque<(Range, T)>| others.iter().any(|(other, _)| other.overlaps(range));
            if self.active.iter().any(|other| other.overlaps(range)) || blocked(&waiting) {
                waiting.push_back((range, write));
            } else {
                self.active.push(range);
                ready.push(write);
            }
        }
        self.held = waiting;
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> Range {
        Range { start, end }
    }

    #[test]
    fn overlapping_writes_go_one_by_one_in_order() {
        let mut order = WriteOrder::new();
        order.begin(range(0, 10));
        assert!(!order.must_wait(range(10, 20)));
        order.begin(range(10, 20));
        for (write, bytes) in [(1, range(5, 15)), (2, range(14, 30)), (3, range(0, 2))] {
            assert!(order.must_wait(bytes));
            order.hold(bytes, write);
        }
        assert!(order.must_wait(range(25, 26)), "behind one that waits itself");
        assert_eq!(order.end(range(0, 10)), [3]);
        assert_eq!(order.end(range(0, 2)), [0; 0]);
        assert_eq!(order.end(range(10, 20)), [1]);
        assert_eq!(order.end(range(5, 15)), [2]);
        assert_eq!(order.end(range(14, 30)), [0; 0]);
        assert!(order.active.is_empty() && order.held.is_empty());
    }

    #[test]
    fn none_overtakes_one_that_waits_itself() {
        let mut order = WriteOrder::new();
        order.begin(range(0, 10));
        order.begin(range(30, 40));
        for (write, bytes) in [(1, range(5, 15)), (2, range(12, 20)), (3, range(19, 31))] {
            assert!(order.must_wait(bytes));
            order.hold(bytes, write);
        }
        assert_eq!(order.end(range(30, 40)), [0; 0], "each waits for the one before");
        assert_eq!(order.end(range(0, 10)), [1]);
        assert_eq!(order.end(range(5, 15)), [2]);
        assert_eq!(order.end(range(12, 20)), [3]);
    }

    #[test]
    fn an_empty_range_waits_for_nothing() {
        let mut order = WriteOrder::<u8>::new();
        order.begin(range(0, 10));
        assert!(!order.must_wait(range(10, 10)));
    }
}
