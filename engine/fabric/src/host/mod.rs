//! Edges to the host: TAP devices, sockets of other programs, files for people who look on.

mod capture;
mod socket;
mod tap;
mod tap_device;
#[cfg(test)]
mod tests;

pub use capture::CaptureWriter;
pub use socket::{SocketPeer, attach_socket};
pub use tap::{TapDevice, TapPeer, attach_tap};
