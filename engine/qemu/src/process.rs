//! A QEMU process: started by us, or found again.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::directory::GuestDirectory;
use crate::host::Qemu;

/// A process that is held by a descriptor, so that its number cannot come to mean another one.
pub(crate) struct Process {
    pid: Pid,
    descriptor: OwnedFd,
    /// The child, where we started it; it is to be reaped then.
    child: Option<Child>,
}

impl Process {
    /// Starts QEMU in the guest's directory. The process keeps `lock` through its standard input. It has a process group
    /// of its own: an interrupt from the terminal is not meant for it.
    pub(crate) fn spawn(
        qemu: &Qemu,
        arguments: &[String],
        directory: &GuestDirectory,
        lock: File,
    ) -> Result<Self> {
        let log = directory.make_log()?;
        let child = Command::new(&qemu.program)
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::from(lock))
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { pid, descriptor, child: Some(child) })
    }

    /// Finds the process of a directory by its pid file.
    ///
    /// # Errors
    /// `NotFound` where the number is another process's, whose working directory is not this one.
    pub(crate) fn find(directory: &GuestDirectory) -> Result<Self> {
        let pid = Pid::from_raw(directory.read_pid()?).ok_or(ErrorKind::InvalidData)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        // The descriptor is open: the number stays its own while this looks.
        let works_in = std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()))?;
        if works_in != directory.path() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Self { pid, descriptor, child: None })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Readable when the process has ended.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Ends the process at once.
    pub(crate) fn kill(&self) {
        // A process that has ended already needs no signal.
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }

    /// Reaps the process after its end.
    pub(crate) fn reap(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}
