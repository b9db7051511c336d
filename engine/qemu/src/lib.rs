//! Partitions on QEMU's `pseries` machine, which is a PAPR-compliant logical partition: real Linux on Power guests.
//!
//! Experimental: boot, console, power. No disks, no networks, no dynamic changes, no mobility.
//!
//! One unprivileged QEMU process for each partition, in a directory of its own:
//!
//! | file | what |
//! |---|---|
//! | `guest.json` | partition and generation that the process runs ([`directory::GuestRecord`]) |
//! | `lock` | held by the process itself, through its standard input, from before it exists until it is gone |
//! | `qmp.sock`, `console.sock` | its machine protocol and its virtual terminal |
//! | `qemu.pid`, `qemu.log` | its process id and what it wrote |
//!
//! The processes outlive this engine. A new engine finds them by their locks ([`QemuEngine`]'s `adopt`), so that no
//! partition can be started twice, whenever the program before it ended.

mod command_line;
mod directory;
mod driver;
mod engine;
mod guest;
mod host;
mod machine;
mod process;
mod statistics;
mod terminal;
mod tied;

pub use engine::{QemuEngine, QemuOptions};
pub use host::{Qemu, find};

/// Locks a mutex; a panic elsewhere does not make its data unusable here.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
