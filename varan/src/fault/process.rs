//! Faults of processes of a site that was started with `varan up --split`.
//!
//! They need nobody's help: the supervisor notes each process's number in the data directory, and the host's kernel knows
//! which processes are stopped. So a process that hangs can be cleared although nothing of it answers.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

/// One process of a site.
struct Process {
    name: String,
    pid: Pid,
}

/// Finds a process; the number in its file must be that of a process of this program.
fn find(directory: &Path, name: &str) -> Result<Process, String> {
    let path = directory.join(format!("{name}.pid"));
    let missing = || {
        let known: Vec<String> = all(directory).into_iter().map(|process| process.name).collect();
        if known.is_empty() {
            format!(
                "no processes are noted in {}: only a site that was started with --split has some",
                directory.display()
            )
        } else {
            format!("there is no process {name}; there are {}", known.join(", "))
        }
    };
    if name.contains('/') {
        return Err(missing());
    }
    read(&path).ok_or_else(missing)
}

fn read(path: &Path) -> Option<Process> {
    let name = path.file_stem()?.to_str()?.to_owned();
    let number: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let pid = Pid::from_raw(number)?;
    // The number may have become another program's.
    let line = std::fs::read(format!("/proc/{number}/cmdline")).ok()?;
    let role = line.split(|byte| *byte == 0).nth(1)?;
    let ours = role == b"frame-process" || role == b"console-process";
    ours.then_some(Process { name, pid })
}

fn all(directory: &Path) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "pid")).collect();
    files.sort();
    files.iter().filter_map(|path| read(path)).collect()
}

fn signal(process: &Process, signal: Signal) -> Result<(), String> {
    rustix::process::kill_process(process.pid, signal).map_err(|error| format!("{}: {error}", process.name))
}

fn is_stopped(process: &Process) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid.as_raw_nonzero()));
    // The state follows the name, which is in parentheses and may hold anything.
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
}

/// Kills a process. Its supervisor starts it again.
///
/// # Errors
/// There is no such process.
pub fn kill(directory: &Path, name: &str) -> Result<(), String> {
    signal(&find(directory, name)?, Signal::KILL)
}

/// Stops a process.
///
/// # Errors
/// There is no such process, or it is stopped.
pub fn stop(directory: &Path, name: &str) -> Result<(), String> {
    let process = find(directory, name)?;
    if is_stopped(&process) {
        return Err(format!("{name} is stopped already"));
    }
    signal(&process, Signal::STOP)
}

/// Lets a stopped process go on.
///
/// # Errors
/// There is no such process, or it is not stopped.
pub fn resume(directory: &Path, name: &str) -> Result<(), String> {
    let process = find(directory, name)?;
    if !is_stopped(&process) {
        return Err(format!("{name} is not stopped"));
    }
    signal(&process, Signal::CONT)
}

/// Names of the processes that are stopped, in their order.
#[must_use]
pub fn stopped(directory: &Path) -> Vec<String> {
    all(directory).into_iter().filter(is_stopped).map(|process| process.name).collect()
}
