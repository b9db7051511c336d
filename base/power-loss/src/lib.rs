//! A volume under SQLite that loses its power.
//!
//! Test support. [`Volume::new`] puts itself between SQLite and the files of one directory: those files then live in
//! memory, and what was not synced when the power goes is lost, torn or reordered. Files of other directories stay where
//! they are. A program under test opens its database as always:
//!
//! ```text
//!            xWrite, xTruncate, xOpen, xDelete            xSync
//!   SQLite ------------------------------------> cache ----------> medium
//!                                                  |                  |
//!                                                  +-- restore_power -+
//!                     each sector, each length and each directory entry keeps its synced content
//!                     or any one of its unsynced versions, independently of all others
//! ```
//!
//! # What is modelled
//!
//! - The unit of atomicity is a sector of 512 bytes: a page of 4,096 bytes may be torn into eight.
//! - Writes reach the medium in any order. A sync makes one file durable, not the others.
//! - A file's length is kept apart from its content: a file may be longer than what was written of it, and hold anything
//!   there.
//! - A name that was made or deleted is durable when its directory is synced. SQLite's own layer for Unix syncs it with
//!   the first sync of a journal or write-ahead log that was opened to be made, and with a deletion that asks for it.
//! - Locks and the shared memory of a write-ahead log are not on the medium: they end with the power.
//!
//! Not modelled: a sector that is half old and half new, a synced sector that goes back, bits that turn over.

mod content;
mod directory;
mod random;
mod vfs;
mod volume;

pub use volume::Volume;
