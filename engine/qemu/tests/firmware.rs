//! Guests that stop at the prompt of their firmware: everything that needs QEMU and no operating system.

#![allow(missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use varan_contract::engine::*;
use varan_environment::RealEnvironment;
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::partition::{GuestEngine, KernelBoot};
use varan_qemu_engine::{QemuEngine, QemuOptions, find};

/// Longest wait for something that must come; only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(180);
const PROGRAM: &str = "qemu-system-ppc64";

#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<EngineEvent>>,
    changed: Condvar,
}

impl EngineEvents for Recorder {
    fn engine_event(&self, event: EngineEvent) {
        self.events.lock().expect("no panic").push(event);
        self.changed.notify_all();
    }
}

impl Recorder {
    /// Waits for an event and takes it.
    fn wait_for(&self, generation: u64, kind: &EngineEventKind) {
        let mut events = self.events.lock().expect("no panic");
        loop {
            let wanted = |event: &EngineEvent| event.generation.0 == generation && event.kind == *kind;
            if let Some(at) = events.iter().position(wanted) {
                events.remove(at);
                return;
            }
            let (guard, timeout) = self.changed.wait_timeout(events, PATIENCE).expect("no panic");
            events = guard;
            assert!(!timeout.timed_out(), "no {kind:?} of {generation}, but {events:?}");
        }
    }

    fn wait_for_state(&self, generation: u64, state: GuestState) {
        self.wait_for(generation, &EngineEventKind::State(state));
    }
}

/// A directory for guests. Whatever still runs in it at the end of a test ends too.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("varan-qemu-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("directory");
        Self { path: std::fs::canonicalize(path).expect("path") }
    }

    /// Processes that work in the directory, as the host sees them.
    fn processes(&self) -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc").expect("proc");
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let works_here = |number: &i32| {
            let works_in = std::fs::read_link(format!("/proc/{number}/cwd"));
            works_in.is_ok_and(|directory| directory.starts_with(&self.path))
        };
        numbers.filter(works_here).filter_map(Pid::from_raw).collect()
    }

    fn engine(&self, recorder: &Arc<Recorder>) -> QemuEngine {
        let options = QemuOptions { directory: self.path.clone(), program: PROGRAM.into() };
        QemuEngine::new(options, Arc::new(RealEnvironment::new()), recorder.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for process in self.processes() {
            let _ = kill_process(process, Signal::KILL);
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn specification(number: u16, generation: u64) -> GuestSpecification {
    GuestSpecification {
        partition: PartitionUuid::from_random(u128::from(number) << 8),
        generation: Generation(generation),
        name: format!("lpar{number}"),
        id: PartitionId(number),
        machine: "8286-41A*2166661".parse().expect("valid"),
        processor_mode: "POWER8".to_owned(),
        memory_megabytes: 256,
        maximum_memory_megabytes: 512,
        processors: ProcessorAllocation {
            processors: 1,
            entitlement_hundredths: 10,
            dedicated: false,
            uncapped: true,
            uncapped_weight: 128,
            donating: false,
        },
        boot_mode: BootMode::OpenFirmware,
        network_adapters: Vec::new(),
        device_adapters: Vec::new(),
        io_slots: Vec::new(),
        logical_ports: Vec::new(),
        virtual_nics: Vec::new(),
        vnic_servers: Vec::new(),
        boot_disk: None,
        installation: Installation {
            personality: Personality::Linux,
            level: String::new(),
            hostname: String::new(),
            address: None,
        },
        engine: GuestEngine::Qemu(KernelBoot::default()),
    }
}

fn has_qemu() -> bool {
    find(Path::new(PROGRAM)).inspect_err(|reason| println!("SKIP: partitions on QEMU: {reason}")).is_ok()
}

/// Reads a terminal until it has shown `text`; a terminal that never does is closed after a while.
fn read_until(terminal: &dyn GuestTerminal, text: &str) -> String {
    let (found, patience) = std::sync::mpsc::sync_channel::<()>(1);
    let close = terminal.closer();
    std::thread::spawn(move || {
        if patience.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            close();
        }
    });
    let _found = found;
    let mut shown = Vec::new();
    loop {
        let all = String::from_utf8_lossy(&shown).into_owned();
        if all.contains(text) {
            return all;
        }
        assert!(terminal.read(&mut shown), "closed before {text:?}: {all}");
    }
}

const OFF: GuestState = GuestState::Stopped { restart: false };
const AGAIN: GuestState = GuestState::Stopped { restart: true };

#[test]
fn a_guest_lives_and_ends_as_its_partition() {
    if !has_qemu() {
        return;
    }
    let (scratch, recorder) = (Scratch::new("life"), Arc::new(Recorder::default()));
    let engine = scratch.engine(&recorder);
    let first = specification(1, 1);
    let partition = first.partition;
    assert_eq!(
        engine.stop(partition, StopRequest::Immediate, false),
        Err(EngineError::NotRunning(partition))
    );
    engine.start(first.clone()).expect("started");
    engine.start(first.clone()).expect("a repeat is harmless");
    recorder.wait_for_state(1, GuestState::OpenFirmware);
    assert_eq!(scratch.processes().len(), 1);

    // The console: what nobody saw is shown to who attaches, one at a time; who typed is answered.
    let terminal = engine.open_terminal(partition).expect("terminal");
    read_until(&*terminal, "0 > ");
    assert!(matches!(engine.open_terminal(partition), Err(EngineError::TerminalBusy(_))));
    terminal.write(b"1234 4321 + .\r");
    read_until(&*terminal, "5555");
    drop(terminal);
    let terminal = engine.open_terminal(partition).expect("terminal");
    terminal.write(b"1111 2222 + .\r");
    assert!(!read_until(&*terminal, "3333").contains("5555"));
    assert!(engine.close_terminal(partition) && !engine.close_terminal(partition));
    engine.stop(partition, StopRequest::OperatingSystem, false).expect("asked");
    recorder.wait_for(1, &EngineEventKind::StopNotHeard(StopRequest::OperatingSystem));

    // What it cannot do is answered, not ignored.
    let statistics = engine.statistics(partition).expect("statistics");
    assert!(statistics.resident_bytes > 0 && statistics.capped_nanoseconds > 0, "{statistics:?}");
    let details = vec![
        "The memory, processors and adapters of a partition on QEMU cannot be changed while it runs."
            .to_owned(),
    ];
    engine.set_memory(partition, 512, 7).expect("asked");
    recorder.wait_for(1, &EngineEventKind::MemorySet { token: 7, megabytes: 256, details: details.clone() });
    engine.set_processors(partition, first.processors, 8).expect("asked");
    let processors = first.processors;
    recorder.wait_for(1, &EngineEventKind::ProcessorsSet { token: 8, processors, details });

    // A guest that restarts keeps its terminal.
    let terminal = engine.open_terminal(partition).expect("terminal");
    terminal.write(b"reset-all\r");
    recorder.wait_for_state(1, AGAIN);
    assert_eq!(engine.guests(), 0);
    engine.start(specification(1, 2)).expect("started");
    recorder.wait_for_state(2, GuestState::OpenFirmware);
    terminal.write(b"4321 1234 - .\r");
    read_until(&*terminal, "30ed");

    // The white button at the prompt: nobody hears it, power goes.
    engine.stop(partition, StopRequest::Delayed, true).expect("asked");
    recorder.wait_for_state(2, AGAIN);
    engine.start(specification(1, 3)).expect("started");
    recorder.wait_for_state(3, GuestState::OpenFirmware);
    // Even of a process that hangs.
    kill_process(scratch.processes()[0], Signal::STOP).expect("stopped");
    engine.stop(partition, StopRequest::Immediate, false).expect("asked");
    recorder.wait_for_state(3, OFF);
    assert!(matches!(engine.open_terminal(partition), Err(EngineError::TerminalBusy(_))), "it is still open");
    engine.forget(partition);
    drop(terminal);
    assert!(engine.open_terminal(partition).is_ok());
    assert!(matches!(engine.statistics(partition), Err(EngineError::NotRunning(_))));
    assert_eq!(scratch.processes(), []);
}

#[test]
fn guests_outlive_their_engine_and_are_found_again() {
    if !has_qemu() {
        return;
    }
    let (scratch, recorder) = (Scratch::new("adopt"), Arc::new(Recorder::default()));
    let engine = scratch.engine(&recorder);
    assert_eq!(engine.adopt(), []);
    engine.start(specification(1, 11)).expect("started");
    engine.start(specification(2, 12)).expect("started");
    recorder.wait_for_state(11, GuestState::OpenFirmware);
    recorder.wait_for_state(12, GuestState::OpenFirmware);
    let processes = scratch.processes();
    assert_eq!(processes.len(), 2);
    let terminal = engine.open_terminal(specification(1, 0).partition).expect("terminal");
    read_until(&*terminal, "0 > ");
    drop((terminal, engine));
    assert_eq!(scratch.processes(), processes, "nothing ended with the engine");

    // The second ends while nobody looks: it is not there any more. The first is found, and is not started twice.
    let victim = std::fs::read_to_string(
        scratch.path.join(specification(2, 0).partition.to_string()).join("qemu.pid"),
    );
    let victim = Pid::from_raw(victim.expect("pid file").trim().parse().expect("number")).expect("pid");
    kill_process(victim, Signal::KILL).expect("killed");
    // A child of this process: it is gone when it is reaped.
    let _ = rustix::process::waitpid(Some(victim), rustix::process::WaitOptions::empty());
    let engine = scratch.engine(&recorder);
    let adopted = engine.adopt();
    let partition = specification(1, 0).partition;
    assert_eq!(
        adopted,
        [AdoptedGuest { partition, generation: Generation(11), state: GuestState::OpenFirmware }]
    );
    engine.start(specification(1, 11)).expect("a repeat is harmless");
    let terminal = engine.open_terminal(partition).expect("terminal");
    terminal.write(b"1234 4321 + .\r");
    read_until(&*terminal, "5555");
    assert_eq!(scratch.processes().len(), 1);

    // A process that is killed is a crash.
    let pid = scratch.processes()[0];
    kill_process(pid, Signal::KILL).expect("killed");
    recorder.wait_for_state(11, GuestState::Failed);

    // A later activation takes the place of one that still runs; a power loss ends all, and nobody speaks of it.
    engine.start(specification(1, 21)).expect("started");
    engine.start(specification(1, 22)).expect("started");
    recorder.wait_for_state(22, GuestState::OpenFirmware);
    assert_eq!(scratch.processes().len(), 1);
    engine.power_loss();
    assert_eq!(scratch.processes(), []);
    assert!(recorder.events.lock().expect("no panic").is_empty());
    assert_eq!(scratch.engine(&recorder).adopt(), []);
}

/// A program that behaves as `script` says.
fn program(scratch: &Scratch, name: &str, script: &str) -> PathBuf {
    let path = scratch.path.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("script");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("mode");
    path
}

#[test]
fn a_qemu_that_is_no_use_is_named() {
    let scratch = Scratch::new("find");
    let greeting = |major: u32| {
        format!(
            r#"echo '{{"QMP": {{"version": {{"qemu": {{"micro": 0, "minor": 2, "major": {major}}}, "package": ""}}, "capabilities": []}}}}'"#
        )
    };
    let old = format!("{}; read line; echo '{{\"return\": {{}}, \"id\": 1}}'; read line", greeting(7));
    let bare = format!(
        "{}; read a; echo '{{\"return\": {{}}, \"id\": 1}}'; read b; echo '{{\"return\": [], \"id\": 2}}'; read c; echo '{{\"return\": [], \"id\": 3}}'; read d",
        greeting(9)
    );
    for (program, expected) in [
        (scratch.path.join("nothing"), "or newer is not installed"),
        (program(&scratch, "old", &old), "is QEMU 7.2.0, and 8.2.0 or newer is needed"),
        (
            program(&scratch, "bare", &bare),
            "QEMU 9.2.0, lacks command qmp_capabilities, command query-status",
        ),
        (
            program(&scratch, "silent", "exit 1"),
            "does not answer as QEMU does: QMP: QEMU closed the connection",
        ),
        (program(&scratch, "chatty", "echo hello; read line"), "this is not a JSON object: hello"),
    ] {
        let reason = find(&program).expect_err("no use");
        assert!(reason.contains(expected), "{}: {reason}", program.display());
        let recorder = Arc::new(Recorder::default());
        let options = QemuOptions { directory: scratch.path.clone(), program };
        let engine = QemuEngine::new(options, Arc::new(RealEnvironment::new()), recorder);
        assert_eq!(engine.start(specification(1, 1)), Err(EngineError::CannotStart(reason)));
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_starts() {
    if !has_qemu() {
        return;
    }
    let (scratch, recorder) = (Scratch::new("refuse"), Arc::new(Recorder::default()));
    let engine = scratch.engine(&recorder);
    let plain = || specification(1, 1);
    let boot = |kernel: &str, initial_ramdisk: Option<&str>| {
        let (kernel, initial_ramdisk) = (Some(kernel.to_owned()), initial_ramdisk.map(str::to_owned));
        GuestEngine::Qemu(KernelBoot { kernel, initial_ramdisk, arguments: String::new() })
    };
    for (wrong, expected) in [
        (
            GuestSpecification { memory_megabytes: 1_000, ..plain() },
            "1000 MB of memory: not a multiple of 256 MB",
        ),
        (
            GuestSpecification { processor_mode: "POWER7".to_owned(), ..plain() },
            "processor compatibility mode POWER7",
        ),
        (GuestSpecification { boot_mode: BootMode::SystemManagementServices, ..plain() }, "boot mode sms"),
        (GuestSpecification { boot_mode: BootMode::DiagnosticsStored, ..plain() }, "boot modes dd and ds"),
        (GuestSpecification { engine: GuestEngine::Embedded, ..plain() }, "an embedded guest on QEMU"),
        (
            GuestSpecification { engine: boot("/nowhere/vmlinux", None), ..plain() },
            "kernel /nowhere/vmlinux: No such file",
        ),
        (GuestSpecification { engine: boot("/", None), ..plain() }, "kernel / is not a file"),
        (GuestSpecification { engine: boot("/dev/null", None), ..plain() }, "kernel /dev/null is not a file"),
        (
            GuestSpecification { engine: boot("/etc/passwd", Some("/no")), ..plain() },
            "initial RAM disk /no: No such file",
        ),
    ] {
        let refusal = engine.start(wrong).expect_err(expected).to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert_eq!((engine.guests(), scratch.processes().len()), (0, 0));
    // What only QEMU finds wrong is a guest that could not start.
    engine.start(GuestSpecification { engine: boot("/etc/passwd", None), ..plain() }).expect("started");
    recorder.wait_for_state(1, GuestState::Failed);
    assert_eq!((engine.guests(), scratch.processes().len()), (0, 0));
}
