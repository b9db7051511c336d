//! One deterministic simulator for every component: seeded randomness, virtual time, and faults.
//!
//! A world is a [`Simulation`] of actors. An [`Actor`] is a single-owner state machine: it is called with
//! one input and the time, and answers with sends and timers. Nothing in the world reads a real clock, a
//! real disk or a real network, so a run repeats byte for byte from its seed, and every failure prints it.
//!
//! The parts serve alone too: [`FaultDisk`] under a store, [`VirtualClock`] and [`Randomness`] behind
//! whatever interface a component takes its time and its random numbers from.
//!
//! # Fault model
//!
//! A fault is injected only where the component is meant to survive it; random noise beyond that finds
//! nothing but what is known. All switches are off by default, and each test turns on what the table gives
//! for its component.
//!
//! | component | fault | what must hold afterwards | switch |
//! |---|---|---|---|
//! | process | ends at any event, or within a call after part of its sends | what it acknowledged is on its disk | [`Fault::Kill`], [`Fault::KillDuringNextCall`] |
//! | process | stops for a while and goes on as if nothing were (SIGSTOP, SIGCONT) | it does no harm with what it believed before | [`Fault::Pause`] |
//! | machine | loses its power | what was synced is there | [`Fault::PowerLoss`] |
//! | disk | unsynced sectors are lost, or reach the medium in any order; a write of several sectors is torn between sectors | the last synced state, or a later one that the component can tell to be whole | [`PowerLoss`], [`FaultDisk::cut_power_after`] |
//! | disk | a read, write or sync fails | nothing is acknowledged that is not durable; after a failed sync the unsynced writes count as lost | [`DiskFaults`] |
//! | disk | a sector becomes unreadable, or a bit turns over | noticed by a component with redundancy or checksums; others are not given this fault | [`FaultDisk::damage_sector`], [`FaultDisk::flip_bit`] |
//! | disk | is full | a clear refusal; what was there stays readable | [`FaultDisk::set_space_limit`] |
//! | network | messages are lost, doubled, late, out of order | repeated requests are harmless | [`LinkFaults`] |
//! | network | is cut, in one direction or both | safety while it lasts, progress after it heals | [`Fault::Partition`], [`Fault::Cut`] |
//! | clock | wall time jumps | only what is shown or recorded changes | [`Fault::WallClockJump`] |
//! | clock | runs fast or slow, monotonic time too | what relies on time keeps a margin of at least twice the rate | [`Fault::ClockRate`] |
//!
//! Never injected, because no component here is meant to survive it: a torn sector, a write to another place
//! than the one asked for, a synced sector that silently goes back to an older content, forged or altered
//! messages, monotonic time that goes back.
//!
//! # The trace
//!
//! One line per event; [`trace`] explains the columns. [`Trace::digest`] covers the whole run.

pub mod actor;
pub mod clock;
pub mod disk;
pub mod fault;
pub mod network;
pub mod random;
pub mod run;
pub mod simulation;
pub mod trace;

pub use actor::{Actor, Input, Now, Outbox, SharedDisk, Start};
pub use clock::VirtualClock;
pub use disk::{DiskCounters, DiskError, DiskFaults, FaultDisk, PowerLoss};
pub use fault::{Fault, FaultPlan};
pub use network::{ActorId, FaultNetwork, LinkFaults};
pub use random::Randomness;
pub use run::{SimulationFailure, explore, find_failure};
pub use simulation::{ProcessState, Simulation};
pub use trace::Trace;
