//! Remembers replies, so that a repeated request is answered and not done again.
//!
//! The memory is bounded and ends with the process: an authority whose requests must not be done twice over
//! a restart records the request's id in the same transaction as its effect.

use std::collections::{BTreeMap, VecDeque};

use crate::envelope::RequestId;

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin<R> {
    /// It is new and now counts as being done. Call [`IdempotencyTable::finish`] or
    /// [`IdempotencyTable::abandon`].
    New,
    /// It is being done.
    InProgress,
    /// It was done, with this reply.
    Done(R),
}

/// The replies to the last requests.
#[derive(Debug)]
pub struct IdempotencyTable<R> {
    /// `None` while the request is being done.
    entries: BTreeMap<RequestId, Option<(R, usize)>>,
    /// Finished requests, oldest first.
    order: VecDeque<RequestId>,
    weight: usize,
    count_limit: usize,
    weight_limit: usize,
}

impl<R: Clone> IdempotencyTable<R> {
    /// A table of up to `count_limit` replies that together weigh up to `weight_limit` (for instance bytes).
    /// The newest reply is kept whatever it weighs.
    #[must_use]
    pub fn new(count_limit: usize, weight_limit: usize) -> Self {
        Self { entries: BTreeMap::new(), order: VecDeque::new(), weight: 0, count_limit, weight_limit }
    }

    /// Says what to do with a request, and marks a new one as being done.
    pub fn begin(&mut self, id: RequestId) -> Begin<R> {
        match self.entries.get(&id) {
            Some(Some((reply, _))) => Begin::Done(reply.clone()),
            Some(None) => Begin::InProgress,
            None => {
                self.entries.insert(id, None);
                Begin::New
            }
        }
    }

    /// Remembers the reply. A request that is finished already keeps its first reply.
    pub fn finish(&mut self, id: RequestId, reply: R, weight: usize) {
        if matches!(self.entries.get(&id), Some(Some(_))) {
            return;
        }
        self.entries.insert(id, Some((reply, weight)));
        self.order.push_back(id);
        self.weight += weight;
        while self.order.len() > self.count_limit.max(1)
            || (self.weight > self.weight_limit && self.order.len() > 1)
        {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(Some((_, weight))) = self.entries.remove(&oldest) {
                self.weight -= weight;
            }
        }
    }

    /// Forgets a request that was not done after all, so that a repeat is new.
    pub fn abandon(&mut self, id: RequestId) {
        if matches!(self.entries.get(&id), Some(None)) {
            self.entries.remove(&id);
        }
    }

    /// Number of remembered replies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no reply is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_done_once_and_answered_alike_ever_after() {
        let mut table = IdempotencyTable::new(10, 100);
        let id = RequestId(1);
        assert_eq!(table.begin(id), Begin::New);
        assert_eq!(table.begin(id), Begin::InProgress);
        table.finish(id, "first", 1);
        table.finish(id, "second", 1);
        table.abandon(id);
        assert_eq!(table.begin(id), Begin::Done("first"));
    }

    #[test]
    fn an_abandoned_request_is_new_again() {
        let mut table = IdempotencyTable::<()>::new(10, 100);
        assert_eq!(table.begin(RequestId(1)), Begin::New);
        table.abandon(RequestId(1));
        assert_eq!(table.begin(RequestId(1)), Begin::New);
    }

    #[test]
    fn the_oldest_replies_go_when_there_are_too_many_or_they_are_too_heavy() {
        let mut table = IdempotencyTable::new(3, 100);
        for number in 0..5 {
            table.begin(RequestId(number));
            table.finish(RequestId(number), number, 10);
        }
        assert_eq!(table.len(), 3);
        assert_eq!(table.begin(RequestId(1)), Begin::New);
        assert_eq!(table.begin(RequestId(2)), Begin::Done(2));
        table.begin(RequestId(9));
        table.finish(RequestId(9), 9, 1_000);
        assert_eq!(table.len(), 1, "the newest stays whatever it weighs");
        assert_eq!(table.begin(RequestId(9)), Begin::Done(9));
        assert_eq!(table.begin(RequestId(1)), Begin::InProgress, "what is being done is never forgotten");
    }
}
