//! A guest that is broken on purpose.
//!
//! ```text
//! any stage -crash-> Ended (Failed)
//! any stage -hang--> the same stage, frozen -resume-> the same stage
//!                        |-- power off at once ---------> Ended (Stopped)
//!                        '-- delayed power off, time ---> Ended (Stopped)
//! ```
//!
//! A guest that stands still hears nothing: what is typed is lost as on a serial line that nobody reads, requests wait in
//! a queue, and what the disk answered is taken when the guest goes on. The hypervisor can still cut its power.

use varan_contract::engine::{GuestFault, GuestState, StopRequest};
use varan_environment::Monotonic;

use super::machine::{POWER_CUT, Stage};
use super::{Guest, Input, Moment};

/// Requests that wait for a guest that stands still; more are lost, as nobody is there to take them.
const REQUESTS: usize = 64;

/// What came while a guest stands still.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    waiting: Vec<Input>,
    /// When a delayed power off cuts the power, and whether the guest comes back.
    power_cut: Option<(Monotonic, bool)>,
}

impl Frozen {
    pub(super) fn power_cut_due(&self) -> Option<Monotonic> {
        self.power_cut.map(|(due, _)| due)
    }
}

impl Guest {
    /// Carries a fault out.
    pub(super) fn broken(&mut self, now: Moment, fault: GuestFault) {
        match fault {
            GuestFault::Crash => self.end(GuestState::Failed),
            GuestFault::Hang if self.frozen.is_none() => {
                self.frozen = Some(Box::default());
                self.listen(false);
            }
            GuestFault::Hang => {}
            GuestFault::Resume => self.resume(now),
        }
    }

    fn resume(&mut self, now: Moment) {
        let Some(frozen) = self.frozen.take() else { return };
        for input in frozen.waiting {
            self.take(now, input);
        }
        if self.stage == Stage::Multiuser {
            self.listen(true);
            self.run_network(now);
            // The console has given the partition up meanwhile: its daemons connect anew.
            self.report();
        }
    }

    /// The input, if the guest hears it.
    pub(super) fn unless_frozen(&mut self, now: Moment, input: Input) -> Option<Input> {
        let power_cut = self.scaled(POWER_CUT);
        let Some(frozen) = &mut self.frozen else { return Some(input) };
        match input {
            Input::Fault(GuestFault::Hang) | Input::PowerOn | Input::Typed(_) | Input::Frames { .. } => {}
            Input::Fault(_) => return Some(input),
            Input::Stop { request: StopRequest::Immediate, .. } => return Some(input),
            Input::Stop { request: StopRequest::Delayed, restart } => {
                frozen.power_cut = Some((now.monotonic.after(power_cut), restart));
            }
            Input::Wake => {
                if let Some((_, restart)) = frozen.power_cut.filter(|(due, _)| *due <= now.monotonic) {
                    self.end(GuestState::Stopped { restart });
                }
            }
            // At most one disk operation is under way, and its answer must not be lost.
            // The same holds for requests to servers, which are bounded.
            Input::DiskLoaded(_) | Input::DiskStored(_) | Input::Storage(_) | Input::ConsoleAnswered(_) => {
                frozen.waiting.push(input);
            }
            Input::PortEvent(..) | Input::ServerSessions(_) | Input::Consoles(_) | Input::PortCounters(_) => {
                if frozen.waiting.len() < 2 * REQUESTS {
                    frozen.waiting.push(input);
                }
            }
            Input::Stop { .. }
            | Input::SetMemory { .. }
            | Input::SetProcessors { .. }
            | Input::ChangeAdapter { .. }
            | Input::TerminalSize { .. } => {
                if frozen.waiting.len() < REQUESTS {
                    frozen.waiting.push(input);
                }
            }
        }
        None
    }
}
