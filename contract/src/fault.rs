//! Faults on purpose: what a person or a test breaks, and mends again.
//!
//! Faults are means of tests. They stand beside the console's grammar, not in it: `varan fault` and scenarios ask for them.
//!
//! | fault | where it is carried out | undone by |
//! |---|---|---|
//! | a frame loses its power | frame, and every console's link to it | power returns: partitions start as the policy says |
//! | a frame's hypervisor fails | frame | the system initializes |
//! | a service processor is cut off | every console's link to the frame | the links are back |
//! | a console's link is cut | that link | the link is back |
//! | a partition crashes | engine | the partition starts again, if nobody started it before |
//! | a partition hangs | engine | it goes on |
//! | a partition's boot disk is lost | frame | the disk is back with what it held |
//! | a disk of the storage network vanishes | world | it is back with what it held |
//! | a Fibre Channel port loses its link | world | the link is back |
//! | a cable of an Ethernet port, or of a switch port, is pulled | world | it is plugged in again |
//! | processors or memory fail | frame; recorded with its settings | the hardware is in use again |

use serde::{Deserialize, Serialize};

use crate::system::Selector;

/// Number of a fault, in the order in which faults were injected at a site; from 1 where none is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FaultId(pub u32);

impl std::fmt::Display for FaultId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Something that is broken on purpose. Systems are named as consoles name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The frame has no power, and so no service processor.
    PowerFailure {
        /// Managed system.
        system: String,
    },
    /// The hypervisor ended abnormally, and all partitions with it; the service processor answers.
    SystemCrash {
        /// Managed system.
        system: String,
    },
    /// The service processor is cut off from every console; partitions run on.
    ServiceProcessor {
        /// Managed system.
        system: String,
    },
    /// One console's link to the system is cut.
    ConsoleLink {
        /// Console.
        console: String,
        /// Managed system.
        system: String,
    },
    /// The operating system of a partition ended abnormally.
    PartitionCrash {
        /// Managed system.
        system: String,
        /// Partition; a Virtual I/O Server as well.
        partition: Selector,
    },
    /// The operating system of a partition stands still.
    PartitionHang {
        /// Managed system.
        system: String,
        /// Partition; a Virtual I/O Server as well.
        partition: Selector,
    },
    /// The boot disk of a partition does not answer any more.
    Disk {
        /// Managed system.
        system: String,
        /// Partition.
        partition: Selector,
    },
    /// A disk of the storage network vanished.
    Unit {
        /// Its name in the site file, or its identifier.
        disk: String,
    },
    /// A port has no link: one of a Fibre Channel or Ethernet adapter, or one of a switch.
    Port {
        /// Its port name, its location code, or `switch:port`.
        port: String,
    },
    /// Processors failed.
    Processors {
        /// Managed system.
        system: String,
        /// Whole processors.
        count: u32,
    },
    /// Memory failed.
    Memory {
        /// Managed system.
        system: String,
        /// Megabytes, a multiple of the memory block size.
        megabytes: u64,
    },
}

/// A fault that was injected and is not cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Number by which it is cleared.
    pub id: FaultId,
    /// What is broken.
    pub fault: Fault,
}

/// What a running site is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultRequest {
    /// Break something. Answered by [`FaultReply::Injected`].
    Inject(Fault),
    /// Mend one. Answered by [`FaultReply::Cleared`].
    Clear(FaultId),
    /// Mend all, the newest first. Answered by [`FaultReply::Cleared`].
    ClearAll,
    /// What is broken. Answered by [`FaultReply::Active`].
    List,
}

/// What a running site answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultReply {
    /// It is broken now.
    Injected(FaultId),
    /// Those are mended, in this order.
    Cleared(Vec<FaultId>),
    /// What is broken, in the order of the numbers.
    Active(Vec<ActiveFault>),
    /// Nothing was changed, for this reason.
    Refused(String),
}

/// What a site that is up offers to those who break it.
pub trait FaultControl: Send + Sync {
    /// Carries out a request.
    fn fault(&self, request: FaultRequest) -> FaultReply;
}

/// The storage network of a site, for those who break it.
pub trait StorageFaults: Send + Sync {
    /// Makes a disk vanish or come back.
    ///
    /// # Errors
    /// A text for the person.
    fn set_unit(&self, disk: &str, present: bool) -> Result<(), String>;
    /// Takes the link of a port, or gives it back.
    ///
    /// # Errors
    /// A text for the person.
    fn set_port(&self, port: &str, up: bool) -> Result<(), String>;
}

/// The cables of a site's Ethernet, for those who pull them.
pub trait CableFaults: Send + Sync {
    /// Pulls the cable of a port, by location code or as `switch:port`, or plugs it in again. False when there is no such
    /// port.
    fn set_cable(&self, port: &str, plugged: bool) -> bool;
}

/// The part of a fault that a managed system carries out itself, or undoes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemFault {
    /// Power is gone.
    PowerFails,
    /// Power is back.
    PowerReturns,
    /// The hypervisor ends abnormally.
    Crash,
    /// The system initializes after its hypervisor ended.
    Recover,
    /// A partition's operating system ends abnormally.
    CrashPartition(Selector),
    /// A partition that crashed is started, if nobody did before.
    RecoverPartition(Selector),
    /// A partition's operating system stands still.
    HangPartition(Selector),
    /// It goes on.
    ResumePartition(Selector),
    /// A partition's boot disk does not answer.
    LoseDisk(Selector),
    /// It answers again.
    ReturnDisk(Selector),
    /// Hardware fails. Recorded.
    FailHardware {
        /// The fault.
        id: FaultId,
        /// Whole processors.
        processors: u32,
        /// Megabytes.
        memory: u64,
    },
    /// That hardware is in use again. Recorded.
    RepairHardware {
        /// The fault.
        id: FaultId,
    },
}
