//! Counts what the process allocates. This has unsafe code, because an allocator is an unsafe trait: each function does
//! nothing but count and hand over to the system's allocator, with the arguments that it got.

#![allow(unsafe_code, missing_docs, reason = "see above")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
pub struct Counting;

fn took(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every function passes its arguments on to the system's allocator and returns what that returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        took(size);
        // SAFETY: the caller's promise about `pointer`, `layout` and `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Most bytes that lived at once, beyond those that lived before.
    pub peak: usize,
    /// Number of allocations.
    pub allocations: usize,
}

/// Counts what an action allocates, in all threads.
pub fn counted<T>(action: impl FnOnce() -> T) -> (T, Counted) {
    let (live, allocations) = (LIVE.load(Ordering::SeqCst), ALLOCATIONS.load(Ordering::SeqCst));
    PEAK.store(live, Ordering::SeqCst);
    let result = action();
    let peak = PEAK.load(Ordering::SeqCst).saturating_sub(live);
    (result, Counted { peak, allocations: ALLOCATIONS.load(Ordering::SeqCst) - allocations })
}
