//! The driver's work, without its thread.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};

use varan_environment::Monotonic;
use varan_ethernet::Frame;

use super::{Endpoint, PlaceId, Sink};
use crate::place::{Outbox, Place, PortNumber};

/// Frames under way between places at most; more are dropped.
const QUEUE_FRAMES: usize = 65_536;
/// Steps of one batch: between two batches the inbox and the clock are looked at, so that frames that go in a circle hold
/// nobody up.
const BATCH: usize = 4_096;
/// Frames that wait for a sink before it is told.
const SINK_FRAMES: usize = 64;
/// Frames that wait for a place that stands still.
const BACKLOG: usize = 1_024;
/// Buffers kept to be used again.
const BUFFERS: usize = 8_192;

/// A change of a place.
pub(super) type Change = Box<dyn FnOnce(&mut dyn Any, Monotonic, &mut Outbox) + Send>;

/// What the driver is told.
pub(super) enum Message {
    Frames(Endpoint, Vec<Frame>),
    Carrier(Endpoint, bool),
    Call(PlaceId, Change),
    Link(Endpoint, Endpoint),
    Attach(Endpoint, Box<dyn Sink>),
    Detach(Endpoint),
    Pause(PlaceId, bool),
    Remove(PlaceId),
}

impl Message {
    pub(super) fn frames(&self) -> usize {
        match self {
            Self::Frames(_, frames) => frames.len(),
            _ => 0,
        }
    }
}

/// A place whose kind of events is forgotten.
trait AnyPlace: Send {
    fn receive(&mut self, now: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox);
    fn carrier(&mut self, now: Monotonic, port: PortNumber, up: bool, out: &mut Outbox);
    fn tick(&mut self, now: Monotonic, out: &mut Outbox);
    fn next_due(&self) -> Option<Monotonic>;
    fn report(&mut self);
    fn place(&mut self) -> &mut dyn Any;
}

struct Reporting<P: Place> {
    place: P,
    events: Box<dyn FnMut(P::Event) + Send>,
}

impl<P: Place + 'static> AnyPlace for Reporting<P> {
    fn receive(&mut self, now: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        self.place.receive(now, port, frame, out);
    }

    fn carrier(&mut self, now: Monotonic, port: PortNumber, up: bool, out: &mut Outbox) {
        self.place.carrier(now, port, up, out);
    }

    fn tick(&mut self, now: Monotonic, out: &mut Outbox) {
        self.place.tick(now, out);
    }

    fn next_due(&self) -> Option<Monotonic> {
        self.place.next_due()
    }

    fn report(&mut self) {
        for event in self.place.take_events() {
            (self.events)(event);
        }
    }

    fn place(&mut self) -> &mut dyn Any {
        &mut self.place
    }
}

/// What is at a port.
#[derive(Default)]
enum Attachment {
    #[default]
    Nothing,
    Link(Endpoint),
    Sink(Attached),
}

struct Attached {
    sink: Box<dyn Sink>,
    /// What it is told next.
    waiting: Vec<Frame>,
}

#[derive(Default)]
struct Port {
    attachment: Attachment,
    /// The place took its carrier away.
    down: bool,
}

struct Slot {
    place: Box<dyn AnyPlace>,
    ports: Vec<Port>,
    due: Option<Monotonic>,
    paused: bool,
    backlog: VecDeque<Step>,
}

enum Step {
    Frame(Endpoint, Frame),
    Carrier(Endpoint, bool),
}

impl Step {
    fn place(&self) -> PlaceId {
        match self {
            Self::Frame(to, _) | Self::Carrier(to, _) => to.place,
        }
    }
}

/// Places, what joins them, and what is under way.
pub(super) struct Engine {
    slots: Vec<Option<Slot>>,
    queue: VecDeque<Step>,
    outbox: Outbox,
    due: BTreeSet<(Monotonic, PlaceId)>,
    /// Ports with a sink that has frames waiting.
    waiting: Vec<Endpoint>,
    spare: Vec<Message>,
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            queue: VecDeque::new(),
            outbox: Outbox::new(BUFFERS),
            due: BTreeSet::new(),
            waiting: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// An emptied list for the inbox.
    pub(super) fn spare(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.spare)
    }

    pub(super) fn add<P: Place + 'static>(
        &mut self,
        place: P,
        events: Box<dyn FnMut(P::Event) + Send>,
    ) -> PlaceId {
        let id = PlaceId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let place = Box::new(Reporting { place, events });
        self.slots.push(Some(Slot {
            place,
            ports: Vec::new(),
            due: None,
            paused: false,
            backlog: VecDeque::new(),
        }));
        self.reschedule(id);
        id
    }

    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(super) fn busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// One batch: what was told, what is due, what is under way. True when something is left.
    pub(super) fn run(&mut self, now: Monotonic, mut messages: Vec<Message>) -> bool {
        for message in messages.drain(..) {
            self.take(now, message);
        }
        self.spare = messages;
        while let Some((due, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, id));
            if let Some(slot) = self.slot(id) {
                slot.due = None;
            }
            self.with(id, |place, out| place.tick(now, out));
        }
        for _ in 0..BATCH {
            let Some(step) = self.queue.pop_front() else { break };
            self.step(now, step);
        }
        self.flush();
        !self.queue.is_empty() || self.next_due().is_some_and(|due| due <= now)
    }

    /// Calls a place now.
    pub(super) fn call(
        &mut self,
        id: PlaceId,
        now: Monotonic,
        call: &mut dyn FnMut(&mut dyn Any, Monotonic, &mut Outbox),
    ) {
        self.with(id, |place, out| call(place.place(), now, out));
        self.flush();
    }

    fn slot(&mut self, id: PlaceId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    fn port(&mut self, of: Endpoint) -> Option<&mut Port> {
        let slot = self.slot(of.place)?;
        let index = of.port.0 as usize;
        if slot.ports.len() <= index {
            slot.ports.resize_with(index + 1, Port::default);
        }
        slot.ports.get_mut(index)
    }

    /// Has a place do something, and carries away what comes out of it.
    fn with(&mut self, id: PlaceId, act: impl FnOnce(&mut dyn AnyPlace, &mut Outbox)) {
        let mut outbox = std::mem::replace(&mut self.outbox, Outbox::new(0));
        if let Some(slot) = self.slot(id) {
            act(&mut *slot.place, &mut outbox);
            slot.place.report();
        }
        for (port, frame) in outbox.frames.drain(..) {
            self.leave(Endpoint { place: id, port }, frame, &mut outbox.pool);
        }
        for (port, up) in outbox.carriers.drain(..) {
            self.carry(Endpoint { place: id, port }, up);
        }
        self.outbox = outbox;
        self.reschedule(id);
    }

    fn reschedule(&mut self, id: PlaceId) {
        let Some(slot) = self.slot(id) else { return };
        let wanted = if slot.paused { None } else { slot.place.next_due() };
        let known = std::mem::replace(&mut slot.due, wanted);
        if known != wanted {
            if let Some(known) = known {
                self.due.remove(&(known, id));
            }
            if let Some(wanted) = wanted {
                self.due.insert((wanted, id));
            }
        }
    }

    /// A frame leaves through a port.
    fn leave(&mut self, from: Endpoint, frame: Frame, pool: &mut varan_ethernet::FramePool) {
        let room = self.queue.len() < QUEUE_FRAMES;
        let Some(port) = self.port(from) else { return pool.give(frame) };
        match &mut port.attachment {
            Attachment::Link(to) if room => {
                let to = *to;
                self.queue.push_back(Step::Frame(to, frame));
            }
            Attachment::Sink(attached) => {
                let first = attached.waiting.is_empty();
                attached.waiting.push(frame);
                if attached.waiting.len() >= SINK_FRAMES {
                    attached.sink.deliver(&mut attached.waiting);
                    attached.waiting.drain(..).for_each(|frame| pool.give(frame));
                } else if first {
                    self.waiting.push(from);
                }
            }
            _ => pool.give(frame),
        }
    }

    /// A place's side of a port has its carrier, or not.
    fn carry(&mut self, from: Endpoint, up: bool) {
        let Some(port) = self.port(from) else { return };
        port.down = !up;
        match &mut port.attachment {
            Attachment::Link(to) => {
                let to = *to;
                self.queue.push_back(Step::Carrier(to, up));
            }
            Attachment::Sink(attached) => attached.sink.carrier(up),
            Attachment::Nothing => {}
        }
    }

    /// Tells sinks what waits for them.
    fn flush(&mut self) {
        while let Some(endpoint) = self.waiting.pop() {
            let mut pool = std::mem::take(&mut self.outbox.pool);
            if let Some(Port { attachment: Attachment::Sink(attached), .. }) = self.port(endpoint)
                && !attached.waiting.is_empty()
            {
                attached.sink.deliver(&mut attached.waiting);
                attached.waiting.drain(..).for_each(|frame| pool.give(frame));
            }
            self.outbox.pool = pool;
        }
    }

    fn step(&mut self, now: Monotonic, step: Step) {
        let id = step.place();
        let Some(slot) = self.slot(id) else { return };
        if slot.paused {
            // Carriers are few, and what a port's state is must not be lost.
            if slot.backlog.len() < BACKLOG || matches!(step, Step::Carrier(..)) {
                slot.backlog.push_back(step);
            }
            return;
        }
        match step {
            Step::Frame(to, frame) => self.with(id, |place, out| place.receive(now, to.port, frame, out)),
            Step::Carrier(to, up) => self.with(id, |place, out| place.carrier(now, to.port, up, out)),
        }
    }

    fn take(&mut self, now: Monotonic, message: Message) {
        match message {
            Message::Frames(to, frames) => {
                for frame in frames {
                    // In order with what is under way.
                    if self.queue.len() < QUEUE_FRAMES {
                        self.queue.push_back(Step::Frame(to, frame));
                    }
                }
            }
            Message::Carrier(to, up) => self.queue.push_back(Step::Carrier(to, up)),
            Message::Call(id, change) => {
                self.drain(now);
                self.with(id, |place, out| change(place.place(), now, out));
            }
            Message::Link(one, other) => {
                self.detach(one);
                self.detach(other);
                self.join(one, other);
                self.join(other, one);
            }
            Message::Attach(endpoint, sink) => {
                self.detach(endpoint);
                if let Some(port) = self.port(endpoint) {
                    let mut attached = Attached { sink, waiting: Vec::new() };
                    attached.sink.carrier(!port.down);
                    port.attachment = Attachment::Sink(attached);
                }
            }
            Message::Detach(endpoint) => self.detach(endpoint),
            Message::Pause(id, paused) => self.pause(id, paused),
            Message::Remove(id) => self.remove(id),
        }
    }

    /// A change comes after the frames before it, as far as one batch gets.
    fn drain(&mut self, now: Monotonic) {
        for _ in 0..BATCH {
            let Some(step) = self.queue.pop_front() else { return };
            self.step(now, step);
        }
    }

    fn join(&mut self, one: Endpoint, other: Endpoint) {
        let Some(port) = self.port(one) else { return };
        port.attachment = Attachment::Link(other);
        let up = !port.down;
        self.queue.push_back(Step::Carrier(other, up));
    }

    fn detach(&mut self, endpoint: Endpoint) {
        let Some(port) = self.port(endpoint) else { return };
        let attachment = std::mem::take(&mut port.attachment);
        match attachment {
            Attachment::Nothing => return,
            Attachment::Link(other) => {
                if let Some(far) = self.port(other)
                    && matches!(far.attachment, Attachment::Link(back) if back == endpoint)
                {
                    far.attachment = Attachment::Nothing;
                    self.queue.push_back(Step::Carrier(other, false));
                }
            }
            Attachment::Sink(_) => self.waiting.retain(|waiting| *waiting != endpoint),
        }
        self.queue.push_back(Step::Carrier(endpoint, false));
    }

    fn pause(&mut self, id: PlaceId, paused: bool) {
        let Some(slot) = self.slot(id) else { return };
        slot.paused = paused;
        if !paused {
            let backlog = std::mem::take(&mut slot.backlog);
            self.queue.extend(backlog);
        }
        self.reschedule(id);
    }

    fn remove(&mut self, id: PlaceId) {
        let Some(slot) = self.slot(id) else { return };
        let ports = u32::try_from(slot.ports.len()).unwrap_or(u32::MAX);
        if let Some(due) = slot.due.take() {
            self.due.remove(&(due, id));
        }
        for port in 0..ports {
            self.detach(Endpoint { place: id, port: PortNumber(port) });
        }
        if let Some(slot) = self.slots.get_mut(id.0 as usize) {
            *slot = None;
        }
    }
}
