//! An IP station on an Ethernet, as a state machine: frames and time go in, frames and answers come out.
