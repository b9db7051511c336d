//! An IP station on an Ethernet, for everything of a site that has an address: guests, interfaces of Virtual I/O Servers,
//! outside hosts, consoles.
//!
//! A [`Station`] is a state machine without input, output, clock or randomness. Its owner hands it frames
//! ([`Station::receive`]) and time, takes frames out ([`Station::poll`]) and wakes it when it is due
//! ([`Station::next_due`]). Nothing wakes a station that has nothing to wait for.
//!
//! ```text
//!            receive(now, interface, frame)
//!                       |
//!        ARP, ND <------+------> IP --> filter --> reassembly --> echo, UDP, TCP, or on to the next hop
//!           |                                                          |
//!       neighbours --> frames that waited                          sockets, asked by the owner
//!           |                                                          |
//!           +------------------> outgoing <--- neighbours <--- routes <+
//!                                   |
//!                        poll(now, &mut frames)
//! ```
//!
//! ARP, neighbour discovery, routes, ICMP, UDP and fragments are here; TCP is smoltcp's, one small interface of it for
//! each connection ([`tcp`]), so that a station without connections has none of it. [`rmc`] speaks the dialogue between
//! consoles and partitions over a station.

mod address;
mod capture;
pub mod dissect;
mod echo;
mod filter;
mod fragment;
mod fuzz;
mod input;
mod neighbour;
mod output;
pub mod packet;
pub mod rmc;
mod station;
pub mod tcp;

pub use address::{
    InterfaceId, Prefix, Route, is_link_local, link_local, multicast_address, prefix_of_mask, solicited_node,
};
pub use capture::Captured;
pub use echo::{EchoEvent, EchoId, EchoRequest, EchoStatistics};
pub use filter::{Direction, Flow, Rule};
pub use fuzz::fuzz_one;
pub use neighbour::NeighbourEntry;
pub use station::{Counters, Datagram, Interface, InterfaceSetup, Station, StationError};
pub use tcp::{TcpId, TcpState};
