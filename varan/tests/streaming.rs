//! Answers of the REST API stream: what a feed costs in memory does not follow its length, and each entry costs the same
//! work. Counted in allocations, not in time.

#![allow(missing_docs)]

use std::sync::Arc;

use varan_environment::{Environment, RealEnvironment};

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/measured.rs"]
mod measured;
#[path = "support/served.rs"]
mod served;

use allocations::{Counted, Counting, counted};
use served::{Client, Served};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SMALL_SITE: usize = 1_000;
const LARGE_SITE: usize = 10_000;

/// Most bytes that an answer may cost, of whatever length: chunks on their way to a slow client, the connection's buffers,
/// one entry, and pointers to the partitions of one frame. The feed of the large site has more than a hundred times as many.
const ANSWER_BYTES: usize = 512 << 10;

/// How often a mark is in an answer, and what the answer cost.
fn get(site: &Served, client: &mut Client, path: &str, mark: &[u8]) -> (usize, Counted) {
    let mut found = 0;
    // A mark may be cut in two: the end of a piece is looked at again with the next one.
    let mut window = Vec::with_capacity(64 << 10);
    let ((), counted) = counted(|| {
        site.get(client, path, |piece| {
            window.extend_from_slice(piece);
            found += window.windows(mark.len()).filter(|part| *part == mark).count();
            let kept = window.len().min(mark.len() - 1);
            window.drain(..window.len() - kept);
        });
    });
    (found, counted)
}

/// The cost of an answer after it was read once, so that what is made once is made.
fn measure(site: &Served, path: &str, mark: &[u8]) -> Counted {
    let mut client = site.client();
    let (found, _) = get(site, &mut client, path, mark);
    assert_eq!(found, site.partitions, "{path}");
    get(site, &mut client, path, mark).1
}

#[test]
fn a_feed_costs_memory_for_one_entry_and_each_entry_the_same() {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let small = Served::start("streaming", SMALL_SITE, &environment);
    let large = Served::start("streaming", LARGE_SITE, &environment);
    for (path, mark) in [
        ("LogicalPartition", b"<entry>".as_slice()),
        ("LogicalPartition?group=None", b"<entry>".as_slice()),
        ("LogicalPartition/quick/All", b"\"PartitionID\"".as_slice()),
    ] {
        let (few, many) = (measure(&small, path, mark), measure(&large, path, mark));
        println!("{path}: {SMALL_SITE} partitions {few:?}, {LARGE_SITE} partitions {many:?}");
        assert!(few.peak < ANSWER_BYTES && many.peak < ANSWER_BYTES, "{path}: {few:?} and {many:?}");
        let each = |counted: Counted, partitions: usize| counted.allocations * 100 / partitions;
        let (few, many) = (each(few, SMALL_SITE), each(many, LARGE_SITE));
        assert!(many * 20 <= few * 21, "{path}: {few} and {many} hundredths of an allocation for an entry");
    }
}
