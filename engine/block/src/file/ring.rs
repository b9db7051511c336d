//! An io_uring with the operations that it does.
//!
//! The one module of this crate with unsafe code, because the kernel reads and writes the memory of requests while they
//! are under way: every operation stays in its slot, and with it its buffer, from before it is handed to the kernel until
//! the kernel has said that it is done. A ring that is dropped before leaves its operations' memory to the kernel for good.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use io_uring::{IoUring, opcode, squeue, types};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::FallocateFlags;

use super::operation::{Operation, Step};

/// The wake-up's mark among the completions.
const WAKE: u64 = u64::MAX;
/// `RWF_DSYNC`: durable when it completes.
const DURABLE: i32 = 0x2;

/// Operations under way in the kernel. Used by one thread.
pub(super) struct Ring {
    ring: IoUring,
    slots: Vec<Option<Box<Operation>>>,
    free: Vec<usize>,
    wake: OwnedFd,
    /// Where the kernel puts the wake-up's count.
    count: Box<[u8; 8]>,
    armed: bool,
}

impl Ring {
    /// A ring for `depth` operations. `wake` is an event that ends [`Ring::wait`] when it is raised.
    pub(super) fn new(depth: usize, wake: OwnedFd) -> Result<Self> {
        let entries = u32::try_from(depth + 1).map_err(|_| ErrorKind::InvalidInput)?.next_power_of_two();
        let ring = IoUring::builder().setup_clamp().setup_coop_taskrun().build(entries)?;
        let mut probe = io_uring::Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [opcode::Read::CODE, opcode::Write::CODE, opcode::Fsync::CODE, opcode::Fallocate::CODE];
        if !needed.iter().all(|code| probe.is_supported(*code)) {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(Self {
            ring,
            slots: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            wake,
            count: Box::new([0; 8]),
            armed: false,
        })
    }

    /// An event to wake a ring with.
    pub(super) fn event() -> Result<OwnedFd> {
        Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
    }

    /// Whether an operation more fits.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Hands the next step of an operation to the kernel, at the latest with the next [`Ring::wait`].
    ///
    /// # Panics
    /// Without room, or for a step that the kernel does not do.
    pub(super) fn begin(&mut self, file: &File, operation: Box<Operation>) {
        let slot = self.free.pop().expect("room was asked for");
        let operation = self.slots[slot].insert(operation);
        let descriptor = types::Fd(file.as_raw_fd());
        let entry = match operation.step() {
            Step::Read { offset, into } => {
                opcode::Read::new(descriptor, into.as_mut_ptr(), transfer(into.len())).offset(offset).build()
            }
            Step::Write { offset, from, durable } => {
                opcode::Write::new(descriptor, from.as_ptr(), transfer(from.len()))
                    .offset(offset)
                    .rw_flags(if durable { DURABLE } else { 0 })
                    .build()
            }
            Step::Sync => opcode::Fsync::new(descriptor).flags(types::FsyncFlags::DATASYNC).build(),
            Step::Zero { offset, length, punch } => opcode::Fallocate::new(descriptor, length)
                .offset(offset)
                .mode(zero_mode(punch).bits().cast_signed())
                .build(),
            Step::Status => unreachable!("not a step for the kernel"),
        };
        self.push(&entry.user_data(slot as u64));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: what the entry points to is an operation in its slot, or the wake-up's count; both stay where they
            // are until the kernel has answered, and nobody reads or writes them meanwhile.
            let pushed = unsafe { self.ring.submission().push(entry) };
            if pushed.is_ok() {
                return;
            }
            // Full: hand over what is there. The kernel takes entries as long as it has memory.
            if self.ring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }

    /// Hands over what was begun, waits until something is done or the event is raised, and gives what is done with the
    /// kernel's answer.
    pub(super) fn wait(&mut self, done: &mut Vec<(Box<Operation>, Result<usize>)>) {
        if !self.armed {
            self.armed = true;
            let entry =
                opcode::Read::new(types::Fd(self.wake.as_fd().as_raw_fd()), self.count.as_mut_ptr(), 8);
            self.push(&entry.build().user_data(WAKE));
        }
        // Interrupted, or too much under way: what is done is looked at, and the rest goes with the next call.
        let _ = self.ring.submit_and_wait(1);
        let Self { ring, slots, free, armed, .. } = self;
        for completion in ring.completion() {
            if completion.user_data() == WAKE {
                *armed = false;
                continue;
            }
            let slot = completion.user_data() as usize;
            let Some(operation) = slots[slot].take() else { continue };
            free.push(slot);
            let result = completion.result();
            done.push((
                operation,
                usize::try_from(result).map_err(|_| Error::from_raw_os_error(result.saturating_neg())),
            ));
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for operation in self.slots.iter_mut().filter_map(Option::take) {
            std::mem::forget(operation);
        }
        if self.armed {
            std::mem::forget(std::mem::replace(&mut self.count, Box::new([0; 8])));
        }
    }
}

/// One transfer of the kernel's; the rest is another step.
fn transfer(length: usize) -> u32 {
    u32::try_from(length.min(1 << 30)).unwrap_or(1 << 30)
}

/// How a range is zeroed.
pub(super) fn zero_mode(punch: bool) -> FallocateFlags {
    let how = if punch { FallocateFlags::PUNCH_HOLE } else { FallocateFlags::ZERO_RANGE };
    how | FallocateFlags::KEEP_SIZE
}
