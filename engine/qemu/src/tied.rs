//! A process that does not outlive the thread that starts it.
//!
//! The one module of this crate with unsafe code, because the standard library has no other way to make a system call
//! between fork and exec. The call only sets a field of the new process; it allocates nothing and takes no lock.

#![allow(unsafe_code)]

use std::io::{Error, ErrorKind, Result};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Starts the command; the kernel kills it when the calling thread ends, also by a signal that nobody can handle.
///
/// # Errors
/// What the host says.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that died before the call is not noticed by it.
        if getppid() == Some(parent) { Ok(()) } else { Err(Error::from(ErrorKind::BrokenPipe)) }
    };
    // SAFETY: `tie` makes two system calls and nothing else, which is allowed in a process that was forked from one with
    // threads.
    unsafe { command.pre_exec(tie) }.spawn()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_process_ends_with_the_thread_that_started_it() {
        let started = std::thread::spawn(|| spawn(Command::new("sleep").arg("86400")));
        let mut child = started.join().expect("no panic").expect("started");
        assert_eq!(child.wait().expect("ended").signal(), Some(Signal::KILL.as_raw()));
    }
}
