//! Two Virtual I/O Servers, a hypervisor and a switch outside in virtual time, with faults.

mod faults;
mod scenarios;
mod whole;
mod world;
