//! What a guest is doing, as far as its QEMU shows it. No input or output: the driver feeds it and does what it asks.
//!
//! ```text
//!            address translation on
//! Firmware ─────────────────────────> OperatingSystem
//!    │                                    ^
//!    └─ prompt ──> Prompt ─ translation ──┘
//!
//! any ── guest shut down ──────> outcome Stopped { restart: as asked for, else false } ─┐
//! any ── guest rebooted ───────> outcome Stopped { restart: as asked for, else true } ──┼─> kill ──> process gone:
//! any ── guest panicked ───────> outcome Failed ────────────────────────────────────────┤           report outcome
//! any ── stop at once, grace ──> outcome Stopped { restart: as asked for } ─────────────┘
//! any ── process gone without any of these ──> report Failed
//! ```
//!
//! Partition firmware works with address translation off, operating systems with it on: QEMU shows it in the machine
//! state register of the processor, at any time, whatever the console says. The firmware's prompt is seen on the console.

use serde_json::Value;
use varan_contract::engine::{GuestState, StopRequest};
use varan_qmp::Event;

/// Instruction and data address translation in the machine state register.
const TRANSLATION: u64 = 0x30;
/// What Open Firmware writes when it waits for commands.
const PROMPT: &[u8] = b"\n0 > ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Firmware,
    Prompt,
    OperatingSystem,
}

/// What the driver tells the machine.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// QEMU's run state.
    Status(&'a str),
    Event(&'a Event),
    /// The registers of processor 0 as the monitor prints them.
    Registers(&'a str),
    /// Console output.
    Output(&'a [u8]),
    Stop {
        request: StopRequest,
        restart: bool,
    },
    /// The operating system had its time to go down.
    GraceOver,
    ProcessGone,
}

/// What the machine asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tell the authority.
    Report(GuestState),
    /// Tell the authority that no operating system heard the request.
    NotHeard(StopRequest),
    /// Let the guest go on.
    Continue,
    /// Press the power button.
    PowerButton,
    /// Give it the grace of a delayed stop from now on.
    StartGrace,
    /// End the process.
    Kill,
    /// The process is gone and everything with it.
    End(GuestState),
}

#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    /// Who asked for a stop, and whether it comes back then.
    stopping: Option<bool>,
    outcome: Option<GuestState>,
    /// The end of the console's output, no longer than the prompt.
    tail: Vec<u8>,
}

impl Machine {
    /// A guest that was last reported to be in `state`.
    pub(crate) fn new(state: &GuestState) -> Self {
        let phase = match state {
            GuestState::Running => Phase::OperatingSystem,
            GuestState::OpenFirmware => Phase::Prompt,
            _ => Phase::Firmware,
        };
        Self { phase, stopping: None, outcome: None, tail: Vec::new() }
    }

    /// Whether registers are of interest.
    pub(crate) fn wants_registers(&self) -> bool {
        self.phase != Phase::OperatingSystem && self.outcome.is_none()
    }

    pub(crate) fn apply(&mut self, input: &Input<'_>) -> Vec<Action> {
        match input {
            Input::Status(status) => self.status(status),
            Input::Event(event) => self.event(event),
            Input::Registers(text) => self.registers(text),
            Input::Output(bytes) => self.output(bytes),
            Input::Stop { request, restart } => self.stop(*request, *restart),
            Input::GraceOver => self.ends(GuestState::Stopped { restart: self.stopping.unwrap_or(false) }),
            Input::ProcessGone => {
                let asked = self.stopping.map(|restart| GuestState::Stopped { restart });
                vec![Action::End(self.outcome.take().or(asked).unwrap_or(GuestState::Failed))]
            }
        }
    }

    fn ends(&mut self, outcome: GuestState) -> Vec<Action> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        self.outcome = Some(outcome);
        vec![Action::Kill]
    }

    fn status(&mut self, status: &str) -> Vec<Action> {
        match status {
            "prelaunch" => vec![Action::Continue],
            "shutdown" => self.ends(GuestState::Stopped { restart: self.stopping.unwrap_or(false) }),
            "guest-panicked" | "internal-error" => self.ends(GuestState::Failed),
            // Running, or held by somebody at the monitor, who will let it go on.
            _ => Vec::new(),
        }
    }

    fn event(&mut self, event: &Event) -> Vec<Action> {
        let by_guest = event.data.get("guest").and_then(Value::as_bool) == Some(true);
        match event.name.as_str() {
            "SHUTDOWN" if by_guest => {
                self.ends(GuestState::Stopped { restart: self.stopping.unwrap_or(false) })
            }
            "RESET" if by_guest => self.ends(GuestState::Stopped { restart: self.stopping.unwrap_or(true) }),
            "GUEST_PANICKED" => self.ends(GuestState::Failed),
            _ => Vec::new(),
        }
    }

    fn registers(&mut self, text: &str) -> Vec<Action> {
        let mut words = text.split_ascii_whitespace();
        let state = words.find(|word| *word == "MSR").and_then(|_| words.next());
        let state = state.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if !self.wants_registers() || state.is_none_or(|state| state & TRANSLATION != TRANSLATION) {
            return Vec::new();
        }
        self.phase = Phase::OperatingSystem;
        self.tail = Vec::new();
        vec![Action::Report(GuestState::Running)]
    }

    fn output(&mut self, bytes: &[u8]) -> Vec<Action> {
        if self.phase != Phase::Firmware || self.outcome.is_some() {
            return Vec::new();
        }
        self.tail.extend_from_slice(bytes);
        let seen = self.tail.windows(PROMPT.len()).any(|window| window == PROMPT);
        self.tail.drain(..self.tail.len().saturating_sub(PROMPT.len() - 1));
        if !seen {
            return Vec::new();
        }
        self.phase = Phase::Prompt;
        vec![Action::Report(GuestState::OpenFirmware)]
    }

    fn stop(&mut self, request: StopRequest, restart: bool) -> Vec<Action> {
        let up = self.phase == Phase::OperatingSystem;
        match request {
            StopRequest::Immediate => {}
            StopRequest::Delayed if up && self.outcome.is_none() => {
                self.stopping = Some(restart);
                return vec![Action::PowerButton, Action::StartGrace];
            }
            StopRequest::Delayed => {}
            StopRequest::OperatingSystem | StopRequest::OperatingSystemImmediate if up => {
                self.stopping = Some(restart);
                return vec![Action::PowerButton];
            }
            StopRequest::OperatingSystem | StopRequest::OperatingSystemImmediate => {
                return vec![Action::NotHeard(request)];
            }
        }
        self.stopping = Some(restart);
        self.ends(GuestState::Stopped { restart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRMWARE: &str =
        "NIP 000000001daf09e4   LR 000000001daf51a8\nMSR 8000000000003000 HID0 0000000000000000";
    const LINUX: &str =
        "NIP c000000000aa09e4   LR c00000001daf51a8\nMSR 8000000002009033 HID0 0000000000000000";

    fn event(name: &str, guest: bool) -> Event {
        Event { name: name.to_owned(), data: serde_json::json!({ "guest": guest }), seconds: 0 }
    }

    fn booted() -> Machine {
        let mut machine = Machine::new(&GuestState::Starting);
        assert_eq!(machine.apply(&Input::Status("prelaunch")), [Action::Continue]);
        assert_eq!(machine.apply(&Input::Registers(FIRMWARE)), []);
        assert_eq!(machine.apply(&Input::Registers(LINUX)), [Action::Report(GuestState::Running)]);
        assert_eq!(machine.apply(&Input::Registers(LINUX)), []);
        machine
    }

    fn end_of(machine: &mut Machine) -> GuestState {
        match machine.apply(&Input::ProcessGone).as_slice() {
            [Action::End(state)] => state.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_guest_decides_how_it_ends_unless_somebody_asked() {
        let off = GuestState::Stopped { restart: false };
        let again = GuestState::Stopped { restart: true };
        for (asked, happens, expected) in [
            (None, "SHUTDOWN", &off),
            (None, "RESET", &again),
            (None, "GUEST_PANICKED", &GuestState::Failed),
            (Some(false), "SHUTDOWN", &off),
            (Some(true), "SHUTDOWN", &again),
            (Some(false), "RESET", &off),
            (Some(true), "GUEST_PANICKED", &GuestState::Failed),
        ] {
            let mut machine = booted();
            if let Some(restart) = asked {
                let stop = Input::Stop { request: StopRequest::Delayed, restart };
                assert_eq!(machine.apply(&stop), [Action::PowerButton, Action::StartGrace]);
            }
            assert_eq!(
                machine.apply(&Input::Event(&event(happens, true))),
                [Action::Kill],
                "{asked:?} {happens}"
            );
            // Whatever comes after that changes nothing.
            assert_eq!(machine.apply(&Input::Event(&event("RESET", true))), []);
            assert_eq!(machine.apply(&Input::GraceOver), []);
            assert_eq!(machine.apply(&Input::Status("shutdown")), []);
            assert_eq!(&end_of(&mut machine), expected, "{asked:?} {happens}");
        }
    }

    #[test]
    fn a_process_that_goes_by_itself_is_a_crash() {
        assert_eq!(end_of(&mut booted()), GuestState::Failed);
        let mut asked = booted();
        asked.apply(&Input::Stop { request: StopRequest::OperatingSystem, restart: false });
        assert_eq!(end_of(&mut asked), GuestState::Stopped { restart: false });
        let mut host = booted();
        assert_eq!(host.apply(&Input::Event(&event("SHUTDOWN", false))), []);
        assert_eq!(host.apply(&Input::Event(&event("STOP", true))), []);
        assert_eq!(end_of(&mut host), GuestState::Failed);
    }

    #[test]
    fn power_goes_at_once_where_nobody_hears_the_button() {
        for (request, actions) in [
            (StopRequest::Immediate, vec![Action::Kill]),
            (StopRequest::Delayed, vec![Action::Kill]),
            (StopRequest::OperatingSystem, vec![Action::NotHeard(StopRequest::OperatingSystem)]),
            (
                StopRequest::OperatingSystemImmediate,
                vec![Action::NotHeard(StopRequest::OperatingSystemImmediate)],
            ),
        ] {
            let mut machine = Machine::new(&GuestState::Starting);
            assert_eq!(machine.apply(&Input::Stop { request, restart: true }), actions, "{request:?}");
        }
        let mut machine = booted();
        machine.apply(&Input::Stop { request: StopRequest::Delayed, restart: true });
        assert_eq!(machine.apply(&Input::GraceOver), [Action::Kill]);
        assert_eq!(end_of(&mut machine), GuestState::Stopped { restart: true });
        let mut machine = booted();
        machine.apply(&Input::Stop { request: StopRequest::Delayed, restart: true });
        // Who cannot wait any longer decides anew.
        let now = Input::Stop { request: StopRequest::Immediate, restart: false };
        assert_eq!(machine.apply(&now), [Action::Kill]);
        assert_eq!(end_of(&mut machine), GuestState::Stopped { restart: false });
    }

    #[test]
    fn the_prompt_is_seen_however_it_comes() {
        let mut machine = Machine::new(&GuestState::Starting);
        assert_eq!(machine.apply(&Input::Output(b"C0880 > \r\nReady! \r\n0")), []);
        assert_eq!(machine.apply(&Input::Output(b" >")), []);
        assert_eq!(machine.apply(&Input::Output(b" \x1b7")), [Action::Report(GuestState::OpenFirmware)]);
        assert_eq!(machine.apply(&Input::Output(b"\n0 > ")), []);
        assert_eq!(machine.apply(&Input::Registers(LINUX)), [Action::Report(GuestState::Running)]);
        assert_eq!(machine.apply(&Input::Output(b"\n0 > ")), []);
        for noise in ["", "MSR", "MSR xyz", "NIP 30", "MSR 8000000000003010", "MSR 8000000000003020"] {
            assert_eq!(Machine::new(&GuestState::Starting).apply(&Input::Registers(noise)), [], "{noise}");
        }
    }

    #[test]
    fn what_happened_while_nobody_listened_is_seen_by_its_state() {
        for (status, expected) in [
            ("shutdown", GuestState::Stopped { restart: false }),
            ("guest-panicked", GuestState::Failed),
            ("internal-error", GuestState::Failed),
        ] {
            let mut machine = Machine::new(&GuestState::Running);
            assert_eq!(machine.apply(&Input::Status(status)), [Action::Kill], "{status}");
            assert_eq!(end_of(&mut machine), expected, "{status}");
        }
        assert_eq!(Machine::new(&GuestState::Running).apply(&Input::Status("running")), []);
        assert!(
            !Machine::new(&GuestState::Running).wants_registers()
                && Machine::new(&GuestState::Starting).wants_registers()
        );
    }
}
