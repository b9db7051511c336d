//! The computer that a console runs on: what its services use, and its power.
//!
//! The console does not look at the computer itself: whoever starts it attaches one, and figures that nobody measured are
//! refused, never made up.

use std::io;
use std::time::Duration;

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::console::Console;

/// Memory in kilobytes, as the operating system counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFigures {
    /// All memory.
    pub total: u64,
    /// Memory that nothing uses.
    pub free: u64,
    /// Buffers of block devices.
    pub buffers: u64,
    /// Cache of files.
    pub cached: u64,
    /// Swap space.
    pub swap_total: u64,
    /// Swap space that nothing uses.
    pub swap_free: u64,
}

/// Time that one processor spent, in ticks since the computer was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTimes {
    /// In programs.
    pub user: u64,
    /// In programs of low priority.
    pub nice: u64,
    /// In the kernel.
    pub system: u64,
    /// Idle.
    pub idle: u64,
    /// Idle with input or output going on.
    pub wait: u64,
    /// In hardware interrupts.
    pub hardware: u64,
    /// In software interrupts.
    pub software: u64,
    /// Taken by a hypervisor.
    pub stolen: u64,
}

/// The volume that holds the console's data, in kilobytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeFigures {
    /// Device or kind of file system.
    pub device: String,
    /// Size.
    pub total: u64,
    /// In use.
    pub used: u64,
    /// What may still be used.
    pub available: u64,
}

/// The process that serves the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Its number.
    pub id: u32,
    /// Address space in kilobytes.
    pub virtual_kilobytes: u64,
    /// Memory in use in kilobytes.
    pub resident_kilobytes: u64,
    /// Threads.
    pub threads: u64,
    /// Processor time used since its start, in ticks of [`ProcessorTimes`].
    pub ticks: u64,
}

/// The computer of a console.
pub trait ConsoleMachine: Send + Sync {
    /// Memory and swap space now.
    ///
    /// # Errors
    /// The operating system does not say.
    fn memory(&self) -> io::Result<MemoryFigures>;
    /// The processors in their order.
    ///
    /// # Errors
    /// The operating system does not say.
    fn processors(&self) -> io::Result<Vec<ProcessorTimes>>;
    /// The volume of the console's data.
    ///
    /// # Errors
    /// The operating system does not say.
    fn volume(&self) -> io::Result<VolumeFigures>;
    /// The process that serves the console.
    ///
    /// # Errors
    /// The operating system does not say.
    fn process(&self) -> io::Result<ProcessFigures>;
    /// Ends the console's services after that real time, and starts them again if `restart`. A later wish replaces an
    /// earlier one.
    fn shut_down(&self, after: Duration, restart: bool);
    /// Presses the power button of a console that is shut down.
    fn power_on(&self);
    /// Whether the console's services run.
    fn is_on(&self) -> bool;
}

impl Console {
    /// Says what computer the console runs on. The first one counts.
    pub fn attach_machine(&self, machine: std::sync::Arc<dyn ConsoleMachine>) {
        let _ = self.machine.set(machine);
    }

    /// The computer that the console runs on.
    ///
    /// # Errors
    /// None is attached.
    pub fn machine(&self) -> Result<&dyn ConsoleMachine, Refusal> {
        let machine = self.machine.get().map(|machine| &**machine);
        machine.ok_or_else(|| unreadable("the console's computer is not known"))
    }
}

/// The refusal of figures that the operating system does not give.
#[must_use]
pub fn unreadable(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::MachineUnreadable).with(error)
}
