//! The network of a site: what carries Ethernet frames, as places without input, output, threads or clocks.
//!
//! A [`Place`] is one owner's part of the network: the hypervisor of a frame, a Virtual I/O Server, what is outside. Its
//! ports lead to other places, to guests, or to the host. Whoever drives it hands frames in and carries away what comes out.

mod announcement;
pub mod control;
pub mod driver;
mod fuzz;
pub mod host;
pub mod hypervisor;
pub mod outside;
mod place;
pub mod server;
mod table;
mod vlan;
pub mod vnic;

pub use announcement::write_announcement;
pub use fuzz::fuzz_one;
pub use place::{Outbox, Place, PortNumber};
