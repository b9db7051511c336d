//! One guest in the engine: its mailbox, its state machine, its terminal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use varan_contract::engine::{BootDisk, Generation, StopRequest};
use varan_environment::Monotonic;
use varan_model::ids::PartitionUuid;

use super::storage::GuestStorage;
use super::terminal::Terminal;
use crate::guest::{Guest, Input, Moment};
use crate::lock;

/// Most inputs that wait for a guest; requests beyond it are refused.
const MAILBOX_INPUTS: usize = 64;

/// Most typed bytes that wait for a guest; what goes beyond is dropped, as a serial line does.
const MAILBOX_TYPED_BYTES: usize = 1024;

/// Most frames that wait for a guest; what goes beyond is dropped and counted, as by an adapter without buffers.
const MAILBOX_FRAMES: usize = 1024;

/// Key of a timer: when, and a number that makes it unique and orders equal times.
pub(super) type TimerKey = (Monotonic, u64);

/// What waits for a guest, and who is working on it.
#[derive(Default)]
pub(super) struct Mailbox {
    inputs: VecDeque<(Moment, Input)>,
    typed_bytes: usize,
    /// Frames that wait.
    frames: usize,
    /// In the ready queue or being run.
    pub(super) scheduled: bool,
    /// Waits until its predecessor's last disk operation is over.
    pub(super) held: bool,
    pub(super) timer: Option<TimerKey>,
    /// A disk operation was handed out and is not over.
    pub(super) disk_busy: bool,
    /// Power is gone: nothing is taken any more.
    pub(super) ended: bool,
    /// The next activation of the same partition, if it waits for this one's disk operation.
    pub(super) successor: Option<Arc<Slot>>,
}

/// What became of a posted input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// It waits; the slot must be put into the ready queue.
    Schedule,
    /// It waits; somebody will see it.
    Waiting,
    /// The guest is gone.
    Ended,
    /// The mailbox is full.
    Full,
}

pub(super) struct Slot {
    pub(super) partition: PartitionUuid,
    pub(super) generation: Generation,
    /// Power epoch of the engine at the activation.
    pub(super) epoch: u64,
    pub(super) disk: Option<Arc<dyn BootDisk>>,
    pub(super) mailbox: Mutex<Mailbox>,
    /// `None` once the guest is gone.
    pub(super) guest: Mutex<Option<Guest>>,
    /// The partition's terminal.
    pub(super) terminal: Arc<Terminal>,
    /// What the guest has open on Virtual I/O Servers.
    pub(super) storage: GuestStorage,
}

impl Slot {
    /// Puts an input into the mailbox. Answers of the disk and wakes are never refused: there is at most one
    /// of each.
    pub(super) fn post(&self, now: Moment, input: Input) -> Posted {
        let mut mailbox = lock(&self.mailbox);
        if mailbox.ended {
            return Posted::Ended;
        }
        match input {
            Input::Typed(mut bytes) => {
                bytes.truncate(MAILBOX_TYPED_BYTES - mailbox.typed_bytes);
                mailbox.typed_bytes += bytes.len();
                match mailbox.inputs.back_mut() {
                    Some((_, Input::Typed(earlier))) => earlier.extend_from_slice(&bytes),
                    _ if bytes.is_empty() => {}
                    _ => mailbox.inputs.push_back((now, Input::Typed(bytes))),
                }
            }
            Input::Frames { mut frames, mut dropped } => {
                let room = MAILBOX_FRAMES - mailbox.frames;
                dropped += frames.len().saturating_sub(room) as u64;
                frames.truncate(room);
                mailbox.frames += frames.len();
                match mailbox.inputs.back_mut() {
                    Some((_, Input::Frames { frames: earlier, dropped: before })) => {
                        earlier.append(&mut frames);
                        *before += dropped;
                    }
                    _ => mailbox.inputs.push_back((now, Input::Frames { frames, dropped })),
                }
            }
            // Cutting the power is never refused, and what waited before it has no meaning any more.
            Input::Stop { request: StopRequest::Immediate, .. } => {
                mailbox.inputs.retain(|(_, waiting)| matches!(waiting, Input::PowerOn));
                mailbox.typed_bytes = 0;
                mailbox.frames = 0;
                mailbox.inputs.push_back((now, input));
            }
            Input::Stop { .. }
            | Input::SetMemory { .. }
            | Input::SetProcessors { .. }
            | Input::ChangeAdapter { .. }
                if mailbox.inputs.len() >= MAILBOX_INPUTS =>
            {
                return Posted::Full;
            }
            Input::TerminalSize { .. } => {
                let room = mailbox.inputs.len() < MAILBOX_INPUTS;
                match mailbox.inputs.back_mut() {
                    Some((_, last @ Input::TerminalSize { .. })) => *last = input,
                    _ if room => mailbox.inputs.push_back((now, input)),
                    _ => {}
                }
            }
            other => mailbox.inputs.push_back((now, other)),
        }
        Self::wants_scheduling(&mut mailbox)
    }

    /// Whether the slot has to enter the ready queue now; marks it as scheduled if so.
    pub(super) fn wants_scheduling(mailbox: &mut Mailbox) -> Posted {
        if mailbox.scheduled || mailbox.held || mailbox.inputs.is_empty() {
            return Posted::Waiting;
        }
        mailbox.scheduled = true;
        Posted::Schedule
    }

    /// The next input for the one who runs this slot; `None` ends the run.
    pub(super) fn next_input(&self) -> Option<(Moment, Input)> {
        let mut mailbox = lock(&self.mailbox);
        let next = if mailbox.ended { None } else { mailbox.inputs.pop_front() };
        match &next {
            Some((_, Input::Typed(bytes))) => mailbox.typed_bytes -= bytes.len(),
            Some((_, Input::Frames { frames, .. })) => mailbox.frames -= frames.len(),
            Some(_) => {}
            None => {
                mailbox.scheduled = false;
                // An idle guest keeps no queue.
                mailbox.inputs = VecDeque::new();
            }
        }
        next
    }

    /// Marks the power as gone; true while a disk operation is still under way.
    pub(super) fn cut_power(&self) -> bool {
        let mut mailbox = lock(&self.mailbox);
        mailbox.ended = true;
        mailbox.inputs = VecDeque::new();
        mailbox.typed_bytes = 0;
        mailbox.frames = 0;
        mailbox.disk_busy
    }

    pub(super) fn mailbox_bytes(&self) -> u64 {
        (lock(&self.mailbox).inputs.capacity() * size_of::<(Moment, Input)>()) as u64
    }
}
