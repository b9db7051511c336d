//! The network of a site, put together: places of the fabric engine, and what joins them.
//!
//! ```text
//!    one process                                    --split
//!
//!    guests   guests                         guests                     frame's process
//!      |        |                              |
//!   [frame]  [frame] --- [server]           [frame] --- socket --- [server]   server's process
//!      |        |                              |
//!     cables (links)                         socket (a line for each cable)
//!      |        |                              |
//!   [    outside    ]                       [outside]                   world's process
//! ```
//!
//! One [`Driver`](varan_fabric::driver::Driver) carries the frames of all places of a process.

mod frame;
pub mod look;
mod numbers;
mod outside;
mod server;
mod sessions;

pub use frame::FrameNetwork;
pub use outside::{ServerProcessNetwork, SiteNetwork};
pub use server::ServerPlace;
pub(crate) use server::ServerPlaces;
