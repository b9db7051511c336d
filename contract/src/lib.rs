//! What authorities and engines say to each other. Types only.

pub mod block;
pub mod engine;
pub mod fault;
pub mod network;
pub mod storage;
pub mod system;
pub mod vios;
pub mod vios_network;
