//! Failover of a virtual NIC: which of its one to six backing devices carries the client's frames.
//!
//! [`FailoverMachine`] decides, for one virtual NIC of a powered-on client; the hypervisor of the frame tells it how the
//! devices are and does what it says. Lowest failover priority number wins.
//!
//! One backing device, as the machine sees it:
//!
//! ```text
//!                   link up, server alive
//!   down ------------------------------------> well, not settled --- well for its hold time ---> well, settled
//!    ^                                            |   ^     |                                      |      |
//!    |        link down, server dead or off       |   |     |     no probe answered                |      |
//!    +--------------------------------------------+   |     +-------------> silent <---------------+      |
//!    |                                                |  a probe answered     |                           |
//!    |                                                +-----------------------+                           |
//!    +----------------------------------------------------------------------------------------------------+
//! ```
//!
//! The virtual NIC:
//!
//! ```text
//!                 a device is usable                      the active one fails, another is usable: at once
//!   no active one ------------------> active, link up ---------------------------------------------+
//!                                       ^   |   ^  |  auto_priority_failover: a better one settled   |
//!                                       |   |   |  |  a person: any usable one                       |
//!                 the active one works  |   |   |  +---> active, the former one drains ---------------+
//!                 again, or another     |   |   |              | drained                              |
//!                                       |   v   +--------------+--------------------------------------+
//!                                   active, link down
//! ```
//!
//! - **Make before break**: [`Action::Activate`] comes first and the former device, if it still works, goes on delivering
//!   frames that were on their way until [`Action::Release`].
//! - **Hysteresis**: a device that failed must be well for a hold time before a virtual NIC goes back to it; the hold time
//!   doubles with each failure shortly after the last one, up to a minute. Away from a failed device there is no wait.
//! - **Probes**: with probe targets, ARP probes go out of every device; one whose probes get no answer is worse than any
//!   that gets answers. When none gets any, the links alone decide: the targets may be what failed.

mod device;
mod machine;
mod probe;
#[cfg(test)]
mod tests;

pub use device::{BackingDevice, DeviceHealth, ServerHealth};
pub use machine::{Action, FailoverMachine, VnicSetup};
pub(crate) use probe::probe_address;
pub use probe::{is_probe_address, write_probe};
