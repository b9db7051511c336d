//! The life of a guest.
//!
//! ```text
//! Off -PowerOn-> Firmware -phases-> (boot mode) -> Menu -boot-> SearchingBootDevice
//!                                        \------------------->  SearchingBootDevice
//! SearchingBootDevice -blank-> Installing -stored-> Kernel
//!                     -installed------------------> Kernel
//!                     -nothing to boot------------> Menu
//! Kernel -phases-> Mounting -stored-> Multiuser | Diagnostics
//!                           -fault-> Ended (Failed)
//! Multiuser | Diagnostics -shutdown-> Stopping -time-> SavingStop -stored-> Ended (Stopped)
//! every stage -power off-> Ended (Stopped)
//! ```
//!
//! Where a stage waits for the disk it has no deadline; `SavingStop` has one when power is to go anyway.

use std::time::Duration;

use varan_contract::engine::{BootMode, EngineEventKind, GuestState, Personality, StopRequest};
use varan_environment::Monotonic;

use super::boot::{Phase, firmware_phases, kernel_phases, reference_codes};
use super::error_log::errors;
use super::firmware::Menu;
use super::{Effect, Guest, Held, Input, MEGABYTE, Moment, TYPED_AHEAD};
use crate::disk::{BootConfiguration, DiskFault, Loaded, StorePosition};

/// Real time that an operating system takes to shut down with warnings and orderly ends of its services.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// The same, at once.
const FAST_SHUTDOWN: Duration = Duration::from_secs(10);
/// Real time that the operating system gets to write its last state before a delayed power off cuts it.
pub(super) const POWER_CUT: Duration = Duration::from_secs(60);

/// Where a guest is. See the module's diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Off,
    Firmware { phase: usize },
    Menu(Menu),
    SearchingBootDevice,
    Installing,
    Kernel { phase: usize },
    Mounting,
    Multiuser,
    Diagnostics,
    Stopping { restart: bool, power_cut: bool },
    SavingStop { restart: bool },
    Ended,
}

impl Guest {
    pub(super) fn take(&mut self, now: Moment, input: Input) {
        if self.stage == Stage::Ended {
            return;
        }
        match input {
            Input::PowerOn => self.power_on(now),
            Input::Wake => {}
            Input::DiskLoaded(result) => self.disk_loaded(now, result),
            Input::DiskStored(result) => self.disk_stored(now, result),
            Input::Typed(bytes) => self.typed(now, &bytes),
            Input::TerminalSize { columns, rows } => self.terminal_size = (columns, rows),
            Input::Stop { request, restart } => self.stop_requested(now, request, restart),
            Input::SetMemory { megabytes, token } => self.memory_requested(now, megabytes, token),
            Input::ChangeAdapter { change, token } => self.adapter_requested(now, change, token),
            Input::SetProcessors { processors, token } => {
                self.processors_requested(now, processors, token);
            }
            Input::Fault(fault) => self.broken(now, fault),
            Input::Storage(answer) => self.storage_answered(now, answer),
            Input::ConsoleAnswered(answer) => self.console_answered(now, answer),
            Input::Frames { frames, dropped } => self.frames_received(now, &frames, dropped),
            Input::PortEvent(address, index, event) => self.port_event(now, (address, index), event),
            Input::ServerSessions(consoles) => self.server_sessions(consoles),
            Input::Consoles(consoles) => self.consoles_told(now, consoles),
            Input::PortCounters(counters) => self.counters_told(now, counters),
        }
    }

    /// Does everything whose time has come.
    pub(super) fn run_due(&mut self, now: Moment) {
        let due = |deadline: Option<Monotonic>| deadline.is_some_and(|deadline| deadline <= now.monotonic);
        if due(self.stage_due) {
            self.stage_due = None;
            self.stage_elapsed(now);
        }
        if due(self.dynamic_due) {
            self.dynamic_due = None;
            self.dynamic_elapsed(now);
        }
        if due(self.workload.as_ref().and_then(|workload| workload.due()))
            && let Some(workload) = &mut self.workload
        {
            workload.tick(now.monotonic, &mut self.memory);
        }
        if due(self.storage.as_ref().and_then(|storage| storage.due())) {
            self.run_storage(now);
        }
    }

    fn power_on(&mut self, now: Moment) {
        if self.stage != Stage::Off {
            return;
        }
        self.meter.start(now.monotonic);
        self.event(EngineEventKind::State(GuestState::Starting));
        self.plug_all();
        self.enter_firmware_phase(now, 0);
    }

    fn wait(&mut self, now: Moment, real: Duration) {
        self.stage_due = Some(now.monotonic.after(self.scaled(real)));
    }

    pub(super) fn post_code(&mut self, code: &str) {
        self.event(EngineEventKind::ReferenceCode(code.to_owned()));
    }

    fn show_phase(&mut self, now: Moment, phase: &Phase) {
        self.post_code(phase.code);
        self.output(phase.console);
        self.wait(now, Duration::from_millis(phase.milliseconds));
    }

    fn enter_firmware_phase(&mut self, now: Moment, phase: usize) {
        match firmware_phases().get(phase) {
            Some(description) => {
                self.stage = Stage::Firmware { phase };
                self.show_phase(now, description);
            }
            None => match self.specification.boot_mode {
                BootMode::OpenFirmware => self.enter_menu(Menu::OpenFirmware),
                BootMode::SystemManagementServices => self.enter_menu(Menu::SystemManagementServices),
                BootMode::Normal | BootMode::DiagnosticsDefault | BootMode::DiagnosticsStored => {
                    self.search_boot_device();
                }
            },
        }
    }

    /// Resets the partition to its firmware's start.
    pub(super) fn reset(&mut self, now: Moment) {
        self.event(EngineEventKind::State(GuestState::Starting));
        self.enter_firmware_phase(now, 0);
    }

    pub(super) fn search_boot_device(&mut self) {
        if self.has_boot_disk {
            self.stage = Stage::SearchingBootDevice;
            self.effects.push(Effect::LoadDisk);
        } else {
            self.enter_menu(Menu::NothingToBoot(reference_codes::NO_OPERATING_SYSTEM));
        }
    }

    fn disk_loaded(&mut self, now: Moment, result: Result<Loaded, DiskFault>) {
        if self.stage != Stage::SearchingBootDevice {
            return;
        }
        match result {
            Ok(Loaded::Installed(configuration, position)) => {
                self.configuration = Some(configuration);
                self.position = Some(position);
                self.boot_operating_system(now);
            }
            Ok(Loaded::Blank) => {
                let mut seed = self.options.seed;
                let node_id = varan_environment::split_mix(&mut seed);
                let installed = BootConfiguration::install(&self.specification.installation, node_id);
                self.configuration = Some(Box::new(installed));
                self.position = None;
                self.stage = Stage::Installing;
                self.save();
            }
            Ok(Loaded::NotBootable | Loaded::Damaged) => {
                self.enter_menu(Menu::NothingToBoot(reference_codes::NO_OPERATING_SYSTEM));
            }
            Err(_) => self.enter_menu(Menu::NothingToBoot(reference_codes::BOOT_DISK_NOT_DETECTED)),
        }
    }

    pub(super) fn personality(&self) -> Personality {
        let installed = self.configuration.as_ref().map(|configuration| configuration.personality);
        installed.unwrap_or(self.specification.installation.personality)
    }

    fn boot_operating_system(&mut self, now: Moment) {
        let aix = matches!(self.personality(), Personality::Aix | Personality::VirtualIoServer);
        if self.diagnostics_wanted() && !aix {
            // The diagnostics are a part of AIX; the other systems' disks hold none.
            self.enter_menu(Menu::NothingToBoot(reference_codes::NO_OPERATING_SYSTEM));
            return;
        }
        self.event(EngineEventKind::State(GuestState::Running));
        self.enter_kernel_phase(now, 0);
    }

    fn diagnostics_wanted(&self) -> bool {
        matches!(self.specification.boot_mode, BootMode::DiagnosticsDefault | BootMode::DiagnosticsStored)
    }

    fn enter_kernel_phase(&mut self, now: Moment, phase: usize) {
        if let Some(description) = kernel_phases(self.personality()).get(phase) {
            self.stage = Stage::Kernel { phase };
            self.show_phase(now, description);
            return;
        }
        self.stage = Stage::Mounting;
        self.record_boot(now);
        self.save();
    }

    fn stage_elapsed(&mut self, now: Moment) {
        match self.stage {
            Stage::Firmware { phase } => self.enter_firmware_phase(now, phase + 1),
            Stage::Kernel { phase } => self.enter_kernel_phase(now, phase + 1),
            Stage::Stopping { restart, power_cut } => self.finish_shutdown(now, restart, power_cut),
            Stage::SavingStop { restart } => self.end(GuestState::Stopped { restart }),
            Stage::Off
            | Stage::Menu(_)
            | Stage::SearchingBootDevice
            | Stage::Installing
            | Stage::Mounting
            | Stage::Multiuser
            | Stage::Diagnostics
            | Stage::Ended => {}
        }
    }

    /// Writes the present state to the boot disk; a write under way is followed by one more.
    pub(super) fn save(&mut self) {
        if self.store_in_flight {
            self.unsaved = true;
            return;
        }
        if let Some(configuration) = &self.configuration {
            self.store_in_flight = true;
            let state = configuration.clone();
            self.effects.push(Effect::StoreDisk { position: self.position, state });
        }
    }

    fn disk_stored(&mut self, now: Moment, result: Result<StorePosition, DiskFault>) {
        if !self.store_in_flight {
            return;
        }
        self.store_in_flight = false;
        if let Ok(position) = result {
            self.position = Some(position);
        }
        if std::mem::take(&mut self.unsaved) {
            self.save();
            return;
        }
        match (self.stage, result) {
            (Stage::Installing, Ok(_)) => self.boot_operating_system(now),
            (Stage::Installing, Err(_)) => {
                self.enter_menu(Menu::NothingToBoot(reference_codes::BOOT_DISK_NOT_DETECTED));
            }
            (Stage::Mounting, Ok(_)) => self.enter_multiuser(now),
            (Stage::Mounting, Err(_)) => {
                self.post_code(reference_codes::AIX_ROOT_FAILED);
                self.end(GuestState::Failed);
            }
            (Stage::SavingStop { restart }, _) => self.end(GuestState::Stopped { restart }),
            (_, result) => self.release_held(now, result.err()),
        }
    }

    /// Shows what waited for the disk and takes what was typed meanwhile.
    fn release_held(&mut self, now: Moment, fault: Option<DiskFault>) {
        let Some(held) = self.held.take() else {
            return;
        };
        match fault {
            None => self.output(&held.text),
            Some(fault) => self.output(&format!("0516-070: The change could not be written: {fault}\n")),
        }
        if held.report && matches!(self.stage, Stage::Multiuser) {
            self.report();
        }
        if matches!(self.stage, Stage::Multiuser) {
            self.next_command(now);
            let typed: Vec<u8> = std::mem::take(&mut self.typed_ahead).into();
            self.typed(now, &typed);
        }
    }

    /// Makes the present state durable, then shows `text` and the prompt.
    pub(super) fn save_then_show(&mut self, text: String, report: bool) {
        self.held = Some(Held { text, report });
        self.save();
    }

    fn enter_multiuser(&mut self, now: Moment) {
        self.booted_at = now.monotonic;
        if self.diagnostics_wanted() {
            self.stage = Stage::Diagnostics;
            self.output(super::firmware::DIAGNOSTICS_SCREEN);
            return;
        }
        self.stage = Stage::Multiuser;
        let code = match self.personality() {
            Personality::Linux => reference_codes::LINUX_RUNNING,
            Personality::Aix | Personality::VirtualIoServer | Personality::IbmI => reference_codes::BLANK,
        };
        if self.personality() != Personality::Linux {
            self.post_code(code);
        }
        self.session = super::Session::default();
        self.show_login();
        self.start_network(now);
        self.report();
        self.configure_storage(now);
    }

    pub(super) fn typed(&mut self, now: Moment, bytes: &[u8]) {
        for (position, &byte) in bytes.iter().enumerate() {
            if byte == 0x03 && self.interrupt(now) {
                continue;
            }
            if self.held.is_some() || self.elsewhere.is_some() || self.is_waiting() {
                let room = TYPED_AHEAD - self.typed_ahead.len().min(TYPED_AHEAD);
                self.typed_ahead.extend(bytes[position..].iter().take(room));
                return;
            }
            match self.stage {
                Stage::Menu(menu) => self.menu_byte(now, menu, byte),
                Stage::Multiuser => self.session_byte(now, byte),
                Stage::Diagnostics => self.diagnostics_byte(now, byte),
                _ => return,
            }
        }
    }

    fn stop_requested(&mut self, now: Moment, request: StopRequest, restart: bool) {
        let up = matches!(self.stage, Stage::Multiuser | Stage::Diagnostics);
        match request {
            StopRequest::Immediate => self.end(GuestState::Stopped { restart }),
            StopRequest::Delayed if up => self.shut_down(now, FAST_SHUTDOWN, restart, true),
            StopRequest::Delayed => self.delayed_without_system(now, restart),
            StopRequest::OperatingSystem if up => self.shut_down(now, SHUTDOWN, restart, false),
            StopRequest::OperatingSystemImmediate if up => {
                self.shut_down(now, FAST_SHUTDOWN, restart, false);
            }
            StopRequest::OperatingSystem | StopRequest::OperatingSystemImmediate => match self.stage {
                // It is doing so already.
                Stage::Stopping { .. } | Stage::SavingStop { .. } => {}
                _ => self.event(EngineEventKind::StopNotHeard(request)),
            },
        }
    }

    /// The white button while no operating system listens, or while one is already going down.
    fn delayed_without_system(&mut self, now: Moment, restart: bool) {
        match self.stage {
            Stage::Stopping { .. } => self.stage = Stage::Stopping { restart, power_cut: true },
            Stage::SavingStop { .. } => {
                self.stage = Stage::SavingStop { restart };
                self.wait(now, POWER_CUT);
            }
            _ => self.end(GuestState::Stopped { restart }),
        }
    }

    /// The operating system starts to go down, because it was asked to or because of a command.
    pub(super) fn shut_down(&mut self, now: Moment, real: Duration, restart: bool, power_cut: bool) {
        self.held = None;
        self.typed_ahead = std::collections::VecDeque::new();
        self.line.forget();
        self.fail_dynamic_requests("The operating system is shutting down.");
        self.workload = None;
        self.storage = None;
        self.stop_network();
        self.elsewhere = None;
        self.meter.set_load(now.monotonic, 0, &self.processors);
        self.stage = Stage::Stopping { restart, power_cut };
        self.event(EngineEventKind::State(GuestState::ShuttingDown));
        self.output(match self.personality() {
            Personality::Linux => "\nStopping system services\n",
            Personality::IbmI => "\nPower down of the system is in progress\n",
            Personality::Aix | Personality::VirtualIoServer => {
                "\nSHUTDOWN PROGRAM\n\nWait for the power-off or restart\n"
            }
        });
        self.wait(now, real);
    }

    /// A command in the guest shuts it down.
    pub(super) fn shut_down_by_command(&mut self, now: Moment, fast: bool, restart: bool) {
        self.shut_down(now, if fast { FAST_SHUTDOWN } else { SHUTDOWN }, restart, false);
    }

    fn finish_shutdown(&mut self, now: Moment, restart: bool, power_cut: bool) {
        self.stage = Stage::SavingStop { restart };
        self.output(if restart { "Rebooting . . .\n" } else { "....Halt completed....\n" });
        if power_cut {
            self.wait(now, POWER_CUT);
        }
        self.log_error(now, errors::LOGGING_TURNED_OFF);
        self.log_error(now, errors::SHUTDOWN_BY_USER);
        self.save();
    }

    pub(super) fn end(&mut self, state: GuestState) {
        self.fail_dynamic_requests("The partition was powered off.");
        self.stage = Stage::Ended;
        self.stage_due = None;
        self.workload = None;
        self.storage = None;
        self.network = None;
        self.elsewhere = None;
        self.held = None;
        self.frozen = None;
        self.event(EngineEventKind::State(state));
        self.effects.push(Effect::PowerOff);
    }

    /// Memory of the guest now, in MB.
    pub(super) fn memory_megabytes(&self) -> u64 {
        self.memory.size() / MEGABYTE
    }
}
