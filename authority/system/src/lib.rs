//! A managed system as the authority over its partitions: definitions, profiles, states.
//!
//! Start at [`start`]: it opens the database, gives the state to an [`authority::Authority`] on a thread of its own and
//! returns a [`SystemHandle`], by which consoles in the same process ask.

pub mod authority;
pub mod claims;
pub mod decide;
pub mod firmware;
pub mod guest;
pub mod inbox;
pub mod reads;
pub mod store;
pub mod table;
pub mod world;

mod handle;
mod opening;

pub use handle::{SystemHandle, start};
pub use opening::{InitialPartition, OpenError, Opened, Opening, open};

/// The cell in which the snapshots of a world are published; for those who drive an authority themselves.
#[must_use]
pub fn published(world: &world::World) -> arc_swap::ArcSwap<world::Snapshot> {
    arc_swap::ArcSwap::from_pointee(world.snapshot.clone())
}
