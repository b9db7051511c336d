//! Guest memory: page frames from one arena, and the sparse table that makes them a guest's memory.

mod arena;
mod dirty;
mod guest_memory;
mod host;
mod sparse_table;

pub use arena::{ArenaTooLarge, ArenaUsage, FrameArena, OutOfFrames, PAGE_BYTES, PageFrame};
pub use guest_memory::{GuestMemory, MemoryError, MemoryResidency};
