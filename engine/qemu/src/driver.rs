//! The thread of one guest: waits on its process, its sockets and its requests, feeds the machine, does what it asks.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use varan_contract::engine::GuestState;
use varan_environment::Monotonic;
use varan_qmp::{CommandId, Incoming, LINE_BYTES_MAX, QmpError, Session};

use crate::directory::{CONSOLE_SOCKET, GuestDirectory, GuestRecord, QMP_SOCKET};
use crate::engine::Shared;
use crate::guest::{Guest, Request};
use crate::host::Qemu;
use crate::machine::{Action, Input, Machine};
use crate::process::Process;

/// How often something is looked for that makes no sound when it comes: a socket, a lock, a pid file.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often the registers of a guest in its firmware are looked at.
const REGISTERS_EVERY: Duration = Duration::from_millis(250);
/// Real time that an operating system has after the power button: firmware gives it minutes.
const GRACE: Duration = Duration::from_secs(300);
/// Buffers of console output that are taken after the end: more than a socket holds.
const LAST_READS: usize = 64;
/// How long a lock of a process that was killed, or a process that has the lock, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a driver comes to its guest.
pub(crate) enum Beginning {
    /// It starts the process.
    Start { qemu: Arc<Qemu>, arguments: Vec<String> },
    /// It finds the process.
    Adopt,
}

/// Why there is no process to drive.
enum Nothing {
    /// Somebody does not want the guest any more; said if the state is to be reported.
    Unwanted(Option<GuestState>),
    /// It cannot be started or found.
    Failed(String),
}

/// Drives a guest until it is gone or left alone.
pub(crate) fn run(
    shared: &Arc<Shared>,
    guest: &Arc<Guest>,
    directory: &GuestDirectory,
    beginning: Beginning,
) {
    let began = match beginning {
        Beginning::Start { qemu, arguments } => start(shared, guest, directory, &qemu, &arguments),
        Beginning::Adopt => find(shared, guest, directory),
    };
    let process = match began {
        Ok(process) => process,
        Err(Nothing::Unwanted(state)) => {
            shared.remove(guest);
            if let Some(state) = state {
                shared.report(guest, state);
            }
            return;
        }
        Err(Nothing::Failed(reason)) => {
            eprintln!("varan: partition {}: {reason}", guest.record.partition);
            shared.remove(guest);
            shared.report(guest, GuestState::Failed);
            return;
        }
    };
    guest.set_pid(Some(process.pid()));
    Driver {
        shared,
        guest,
        directory,
        process,
        machine: Machine::new(&guest.record.state),
        console: None,
        qmp: None,
        grace: None,
        next_registers: Monotonic::default(),
        next_connection: Monotonic::default(),
        quiet: false,
    }
    .run();
}

/// Calls `look` until it finds something, `PATIENCE` is over, or the guest is not wanted any more.
fn await_something<T>(
    shared: &Shared,
    guest: &Guest,
    what: &str,
    mut look: impl FnMut() -> std::io::Result<Option<T>>,
) -> Result<T, Nothing> {
    let end = shared.environment.monotonic().after(PATIENCE);
    loop {
        if let Some(found) = look().map_err(|error| Nothing::Failed(format!("{what}: {error}")))? {
            return Ok(found);
        }
        // Typed bytes have nowhere to go yet.
        if let Some(request) = guest.take().0.front().copied() {
            return Err(Nothing::Unwanted(match request {
                Request::Stop { restart, .. } => Some(GuestState::Stopped { restart }),
                Request::Replace | Request::PowerLoss | Request::Leave => None,
            }));
        }
        if shared.environment.monotonic() >= end {
            return Err(Nothing::Failed(format!("{what}: not within {} s", PATIENCE.as_secs())));
        }
        wait(&mut [PollFd::from_borrowed_fd(guest.waker(), PollFlags::IN)], LOOK_AGAIN);
    }
}

fn start(
    shared: &Shared,
    guest: &Guest,
    directory: &GuestDirectory,
    qemu: &Qemu,
    arguments: &[String],
) -> Result<Process, Nothing> {
    // The activation before this one may still be ending: two must never run.
    let lock = await_something(shared, guest, "waiting for the QEMU before it", || directory.try_lock())?;
    let fail = |error: std::io::Error| Nothing::Failed(format!("{}: {error}", qemu.program.display()));
    directory.clear();
    directory.write_record(&guest.record).map_err(fail)?;
    Process::spawn(qemu, arguments, directory, lock).map_err(fail)
}

fn find(shared: &Shared, guest: &Guest, directory: &GuestDirectory) -> Result<Process, Nothing> {
    let what = "looking for its QEMU";
    // A process that was only just started has no pid file yet; one that ends meanwhile gives the lock back.
    let found = await_something(shared, guest, what, || match Process::find(directory) {
        Ok(process) => Ok(Some(Some(process))),
        Err(_) => Ok(directory.try_lock()?.map(|_| None)),
    })?;
    found.ok_or_else(|| Nothing::Failed("its QEMU ended".to_owned()))
}

/// Waits until one of `descriptors` has something, at most `longest`.
fn wait(descriptors: &mut [PollFd<'_>], longest: Duration) {
    let longest = Timespec::try_from(longest).ok();
    // An interrupted wait is a short one.
    let _ = poll(descriptors, longest.as_ref());
}

/// A connection to QEMU's machine protocol.
struct Qmp {
    stream: UnixStream,
    session: Session,
    pending: HashMap<CommandId, Asked>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Status,
    Registers,
    Nothing,
}

struct Driver<'a> {
    shared: &'a Shared,
    guest: &'a Arc<Guest>,
    directory: &'a GuestDirectory,
    process: Process,
    machine: Machine,
    console: Option<UnixStream>,
    qmp: Option<Qmp>,
    grace: Option<Monotonic>,
    next_registers: Monotonic,
    next_connection: Monotonic,
    /// Nobody wants to hear how it ends.
    quiet: bool,
}

impl Driver<'_> {
    fn run(mut self) {
        loop {
            self.connect();
            self.look_at_registers();
            let (gone, console, qmp) = self.wait();
            let (requests, typed) = self.guest.take();
            for request in requests {
                match request {
                    Request::Stop { request, restart } => self.apply(&Input::Stop { request, restart }),
                    Request::Replace | Request::PowerLoss => {
                        self.quiet = true;
                        self.process.kill();
                    }
                    Request::Leave => return,
                }
            }
            self.write_console(&typed);
            if console {
                self.read_console();
            }
            if qmp {
                self.read_qmp();
            }
            if self.grace.is_some_and(|end| self.shared.environment.monotonic() >= end) {
                self.grace = None;
                self.apply(&Input::GraceOver);
            }
            if gone {
                return self.gone();
            }
        }
    }

    /// Waits for the process to end, the console, the machine protocol, a request or the next thing that is due.
    fn wait(&self) -> (bool, bool, bool) {
        let now = self.shared.environment.monotonic();
        let mut longest = self.grace.map_or(Duration::MAX, |end| end.since(now));
        if self.qmp.is_none() || self.console.is_none() {
            longest = longest.min(LOOK_AGAIN);
        }
        if self.machine.wants_registers() {
            longest = longest.min(self.next_registers.since(now).max(Duration::from_millis(1)));
        }
        let readable = |descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
        let mut descriptors = vec![readable(self.process.descriptor()), readable(self.guest.waker())];
        let console = self.console.as_ref().map(|stream| {
            descriptors.push(readable(stream.as_fd()));
            descriptors.len() - 1
        });
        let qmp = self.qmp.as_ref().map(|qmp| {
            descriptors.push(readable(qmp.stream.as_fd()));
            descriptors.len() - 1
        });
        wait(&mut descriptors, longest);
        let heard = |index: usize| !descriptors[index].revents().is_empty();
        (heard(0), console.is_some_and(heard), qmp.is_some_and(heard))
    }

    /// Connects what is not connected, the console first: the guest goes on when the machine protocol is there.
    fn connect(&mut self) {
        let now = self.shared.environment.monotonic();
        if now < self.next_connection || (self.console.is_some() && self.qmp.is_some()) {
            return;
        }
        self.next_connection = now.after(LOOK_AGAIN);
        if self.console.is_none() {
            self.console = self.directory.connect(CONSOLE_SOCKET).ok();
        }
        if self.console.is_some() && self.qmp.is_none() {
            self.qmp = self.directory.connect(QMP_SOCKET).ok().map(|stream| Qmp {
                stream,
                session: Session::new(LINE_BYTES_MAX),
                pending: HashMap::new(),
            });
        }
    }

    fn look_at_registers(&mut self) {
        let now = self.shared.environment.monotonic();
        if self.machine.wants_registers() && now >= self.next_registers {
            self.next_registers = now.after(REGISTERS_EVERY);
            let waits = |qmp: &Qmp| qmp.pending.values().any(|asked| *asked == Asked::Registers);
            if self.qmp.as_ref().is_some_and(|qmp| qmp.session.is_ready() && !waits(qmp)) {
                let arguments = json!({ "command-line": "info registers" });
                self.execute("human-monitor-command", arguments, Asked::Registers);
            }
        }
    }

    fn execute(&mut self, command: &str, arguments: Value, asked: Asked) {
        let Some(qmp) = &mut self.qmp else { return };
        if let Ok(id) = qmp.session.execute(command, arguments) {
            qmp.pending.insert(id, asked);
        }
        self.flush_qmp();
    }

    fn flush_qmp(&mut self) {
        let Some(qmp) = &mut self.qmp else { return };
        // The little that is asked fits the socket's buffer; a QEMU that hangs is connected to anew when it goes on.
        if qmp.stream.write_all(&qmp.session.take_outgoing()).is_err() {
            self.qmp = None;
        }
    }

    fn read_qmp(&mut self) {
        let mut buffer = [0; 16 << 10];
        loop {
            let Some(qmp) = &mut self.qmp else { return };
            match qmp.stream.read(&mut buffer) {
                Ok(0) => self.qmp = None,
                Ok(length) => {
                    qmp.session.feed(&buffer[..length]);
                    if let Err(error) = self.handle_incoming() {
                        eprintln!("varan: partition {}: {error}", self.guest.record.partition);
                        self.qmp = None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.qmp = None,
            }
        }
    }

    fn handle_incoming(&mut self) -> Result<(), QmpError> {
        loop {
            let Some(qmp) = &mut self.qmp else { return Ok(()) };
            let incoming = qmp.session.next_incoming();
            self.flush_qmp();
            let Some(incoming) = incoming? else { return Ok(()) };
            match incoming {
                Incoming::Ready(_) => self.execute("query-status", Value::Null, Asked::Status),
                Incoming::Event(event) => self.apply(&Input::Event(&event)),
                Incoming::Answer(id, outcome) => {
                    let asked = self.qmp.as_mut().and_then(|qmp| qmp.pending.remove(&id));
                    match (asked, outcome) {
                        (Some(Asked::Status), Ok(answer)) => {
                            let status = answer["status"].as_str().unwrap_or_default();
                            self.apply(&Input::Status(status));
                        }
                        (Some(Asked::Registers), Ok(answer)) => {
                            self.apply(&Input::Registers(answer.as_str().unwrap_or_default()));
                        }
                        // Refused: the guest is on its way out, which events tell.
                        _ => {}
                    }
                }
            }
        }
    }

    fn read_console(&mut self) {
        let mut buffer = [0; 16 << 10];
        // One buffer at a time: a guest that never stops talking must not keep requests waiting.
        let Some(console) = &mut self.console else { return };
        match console.read(&mut buffer) {
            Ok(0) => self.console = None,
            Ok(length) => {
                self.guest.terminal.show(&buffer[..length]);
                self.apply(&Input::Output(&buffer[..length]));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.console = None,
        }
    }

    fn write_console(&mut self, typed: &[u8]) {
        if let Some(console) = self.console.as_mut().filter(|_| !typed.is_empty()) {
            // What a guest does not take is dropped, as a serial line does.
            let _ = console.write(typed);
        }
    }

    fn apply(&mut self, input: &Input<'_>) {
        for action in self.machine.apply(input) {
            match action {
                Action::Report(state) => self.report(state),
                Action::NotHeard(request) => self.shared.not_heard(self.guest, request),
                Action::Continue => self.execute("cont", Value::Null, Asked::Nothing),
                Action::PowerButton => self.execute("system_powerdown", Value::Null, Asked::Nothing),
                Action::StartGrace => {
                    self.grace = Some(self.shared.environment.monotonic().after(GRACE));
                }
                Action::Kill => self.process.kill(),
                Action::End(state) => self.end(state),
            }
        }
    }

    fn report(&self, state: GuestState) {
        let record = GuestRecord { state: state.clone(), ..self.guest.record.clone() };
        // Without it the next program shows the partition as starting until it has looked.
        let _ = self.directory.write_record(&record);
        if !self.quiet {
            self.shared.report(self.guest, state);
        }
    }

    /// The process has ended: what it said last is still in its sockets.
    fn gone(&mut self) {
        for _ in 0..LAST_READS {
            self.read_console();
        }
        self.read_qmp();
        self.process.reap();
        self.apply(&Input::ProcessGone);
    }

    fn end(&self, state: GuestState) {
        if state == GuestState::Failed && !self.quiet {
            let words = self.directory.last_words();
            eprintln!("varan: partition {}: its QEMU ended: {words}", self.guest.record.partition);
        }
        // Who has the lock by now is the next activation, whose files these are.
        if let Ok(Some(_lock)) = self.directory.try_lock() {
            self.directory.clear();
        }
        self.guest.set_pid(None);
        // Before it is told: the authority may start the next activation at once.
        self.shared.remove(self.guest);
        if !self.quiet {
            self.shared.report(self.guest, state);
        }
    }
}
