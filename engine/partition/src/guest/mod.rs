//! One guest: partition firmware, an operating system's manners, a console and a workload, as one state
//! machine without I/O, threads or clocks. The driver hands it inputs and carries out its effects.

mod adapters;
mod boot;
mod date;
mod devices;
mod dynamic;
mod error_log;
mod fault;
mod firmware;
mod identity;
mod line;
mod machine;
mod network;
mod processors;
mod session;
mod shell;
mod storage;
mod system;
mod window;
mod workload;

use std::collections::VecDeque;
use std::time::Duration;

use varan_contract::engine::{
    AdapterAddress, AdapterChange, EngineEventKind, GuestDeviceAdapter, GuestFault, GuestIoSlot,
    GuestSpecification, GuestStatistics, ProcessorAllocation, StopRequest,
};
use varan_contract::network::{ConsoleAddress, GuestPort, PortEvent, PortStatistics};
use varan_environment::{Monotonic, WallClock};
use varan_ethernet::Frame;

use crate::disk::{BootConfiguration, DiskFault, Loaded, StorePosition};
use crate::memory::{FrameArena, GuestMemory, MemoryError, MemoryResidency};

pub use boot::{Phase, firmware_phases, kernel_phases, reference_codes};
use dynamic::Request;
use line::LineEditor;
use machine::Stage;
pub(crate) use network::NetworkEffect;
use processors::ProcessorMeter;
use session::Session;
pub(crate) use storage::StorageAsker;
use workload::Workload;

/// Most DLPAR requests that wait in a guest; more are answered as not done.
const DYNAMIC_REQUESTS: usize = 16;

/// Most typed bytes that wait while a command's result is being made durable.
const TYPED_AHEAD: usize = 512;

const MEGABYTE: u64 = 1 << 20;

/// A point in time as a guest sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// For durations.
    pub monotonic: Monotonic,
    /// For time stamps.
    pub wall: WallClock,
}

/// What happens to a guest.
#[derive(Clone, Debug)]
pub enum Input {
    /// Power comes on. The first input.
    PowerOn,
    /// A moment asked for by [`Guest::next_wake`] has come; harmless at any other time.
    Wake,
    /// Answer to [`Effect::LoadDisk`].
    DiskLoaded(Result<Loaded, DiskFault>),
    /// Answer to [`Effect::StoreDisk`].
    DiskStored(Result<StorePosition, DiskFault>),
    /// Bytes typed on the virtual terminal.
    Typed(Vec<u8>),
    /// The window of the virtual terminal's user has this size.
    TerminalSize {
        /// Characters in a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// Somebody outside asks the guest to stop.
    Stop {
        /// How.
        request: StopRequest,
        /// Whether it should come back.
        restart: bool,
    },
    /// The guest should have this memory.
    SetMemory {
        /// Size in MB.
        megabytes: u64,
        /// Token for the answer.
        token: u64,
    },
    /// The guest should have one adapter more or less.
    ChangeAdapter {
        /// Change.
        change: AdapterChange,
        /// Token for the answer.
        token: u64,
    },
    /// The guest should have these processors.
    SetProcessors {
        /// The processors.
        processors: ProcessorAllocation,
        /// Token for the answer.
        token: u64,
    },
    /// Somebody breaks the guest on purpose, or mends it.
    Fault(GuestFault),
    /// Answer to [`Effect::Console`]: what the line prints, if somebody ran it.
    ConsoleAnswered(Option<String>),
    /// Answer to [`Effect::Storage`].
    Storage(crate::storage::Answer),
    /// Frames that came to adapters, each with the port of its adapter.
    Frames {
        /// The frames.
        frames: Vec<(AdapterAddress, u8, Frame)>,
        /// Further ones for which there was no room.
        dropped: u64,
    },
    /// Something happened to a port of an adapter.
    PortEvent(AdapterAddress, u8, PortEvent),
    /// Consoles that a Virtual I/O Server's daemons have a session with.
    ServerSessions(Vec<String>),
    /// The consoles of the managed system.
    Consoles(Vec<ConsoleAddress>),
    /// What the hypervisor counts at the guest's ports.
    PortCounters(Vec<(GuestPort, PortStatistics)>),
}

/// What a guest wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell the managed system.
    Event(EngineEventKind),
    /// Show on the virtual terminal.
    Output(Vec<u8>),
    /// Read the boot disk and answer with [`Input::DiskLoaded`].
    LoadDisk,
    /// Write the boot disk, flush it and answer with [`Input::DiskStored`]. At most one is under way.
    StoreDisk {
        /// Where the state before this one lies.
        position: Option<StorePosition>,
        /// The state.
        state: Box<BootConfiguration>,
    },
    /// Run a line of a Virtual I/O Server's user and answer with [`Input::ConsoleAnswered`]. At most one is under way.
    Console {
        /// As root.
        root: bool,
        /// The line.
        line: String,
    },
    /// Do this with the disks of Virtual I/O Servers and answer with [`Input::Storage`].
    Storage(crate::storage::Command),
    /// Do this with the guest's adapters.
    Network(NetworkEffect),
    /// The guest is gone; the last effect.
    PowerOff,
}

/// What a guest is made with besides its specification.
#[derive(Clone, Copy, Debug)]
pub struct GuestOptions {
    /// Real durations (boot phases, shutdown) are divided by this; at least 1.
    pub time_scale: f64,
    /// Random bits, for identifiers that an installation draws.
    pub seed: u64,
    /// Whether there is a network that adapters are plugged in to.
    pub networked: bool,
}

/// Text that is shown once the state that it speaks of is durable.
struct Held {
    text: String,
    report: bool,
}

/// A guest. See the module's description.
pub struct Guest {
    specification: GuestSpecification,
    has_boot_disk: bool,
    options: GuestOptions,
    memory: GuestMemory,
    processors: ProcessorAllocation,
    meter: ProcessorMeter,
    stage: Stage,
    stage_due: Option<Monotonic>,
    booted_at: Monotonic,
    configuration: Option<Box<BootConfiguration>>,
    position: Option<StorePosition>,
    store_in_flight: bool,
    unsaved: bool,
    held: Option<Held>,
    /// A line that somebody else runs; what is typed meanwhile waits.
    elsewhere: Option<String>,
    line: LineEditor,
    session: Session,
    terminal_size: (u16, u16),
    typed_ahead: VecDeque<u8>,
    dynamic: VecDeque<Request>,
    dynamic_due: Option<Monotonic>,
    workload: Option<Box<Workload>>,
    /// Disks of Virtual I/O Servers; `None` until the operating system has looked for them.
    storage: Option<Box<storage::Storage>>,
    /// Ports, addresses and daemons; `None` where there is no network.
    network: Option<Box<network::Network>>,
    /// Commands of a line after the one that runs.
    queued: VecDeque<String>,
    /// What came while the guest stands still; `None` while it goes on.
    frozen: Option<Box<fault::Frozen>>,
    effects: Vec<Effect>,
}

impl Guest {
    /// A guest that is still off. Its firmware's page is taken from the arena at once, so that a full site
    /// refuses here. `specification.boot_disk` is only looked at for presence and dropped.
    ///
    /// # Errors
    /// [`MemoryError::OutOfFrames`]; [`MemoryError::OutOfBounds`] when the partition has no memory.
    pub fn new(
        mut specification: GuestSpecification,
        arena: FrameArena,
        options: GuestOptions,
    ) -> Result<Self, MemoryError> {
        let mut memory = GuestMemory::new(arena, specification.memory_megabytes.saturating_mul(MEGABYTE));
        memory.write(0, firmware_page(&specification).as_bytes())?;
        let has_boot_disk = specification.boot_disk.take().is_some();
        let processors = specification.processors;
        Ok(Self {
            specification,
            has_boot_disk,
            options,
            memory,
            processors,
            meter: ProcessorMeter::default(),
            stage: Stage::Off,
            stage_due: None,
            booted_at: Monotonic::default(),
            configuration: None,
            position: None,
            store_in_flight: false,
            unsaved: false,
            held: None,
            elsewhere: None,
            line: LineEditor::default(),
            session: Session::default(),
            terminal_size: (80, 24),
            typed_ahead: VecDeque::new(),
            dynamic: VecDeque::new(),
            dynamic_due: None,
            workload: None,
            storage: None,
            network: options.networked.then(Box::default),
            queued: VecDeque::new(),
            frozen: None,
            effects: Vec::new(),
        })
    }

    /// Takes one input and says what is to be done, in order.
    pub fn apply(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        if let Some(input) = self.unless_frozen(now, input) {
            self.take(now, input);
            self.run_due(now);
            self.run_network(now);
        }
        std::mem::take(&mut self.effects)
    }

    /// When the guest wants [`Input::Wake`]; `None` while it waits for input only.
    #[must_use]
    pub fn next_wake(&self) -> Option<Monotonic> {
        if let Some(frozen) = &self.frozen {
            return frozen.power_cut_due();
        }
        let workload = self.workload.as_ref().and_then(|workload| workload.due());
        let storage = self.storage.as_ref().and_then(|storage| storage.due());
        let network = self.network.as_ref().and_then(|network| network.due());
        [self.stage_due, self.dynamic_due, workload, storage, network].into_iter().flatten().min()
    }

    /// Counters since activation.
    #[must_use]
    pub fn statistics(&self, now: Monotonic) -> GuestStatistics {
        let mut statistics = self.meter.statistics(now, &self.processors);
        statistics.resident_bytes = self.memory.residency().frame_bytes;
        statistics
    }

    /// Real bytes behind the guest's memory.
    #[must_use]
    pub fn memory_residency(&self) -> MemoryResidency {
        self.memory.residency()
    }

    /// Bytes of the guest's own state, this value included, memory not.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        let specification = &self.specification;
        let adapters: usize = specification
            .network_adapters
            .iter()
            .map(|adapter| size_of_val(adapter) + adapter.virtual_switch.capacity())
            .sum();
        let adapters = adapters
            + specification.device_adapters.capacity() * size_of::<GuestDeviceAdapter>()
            + specification.io_slots.iter().map(io_slot_bytes).sum::<usize>();
        let texts = specification.name.capacity()
            + specification.processor_mode.capacity()
            + specification.installation.level.capacity()
            + specification.installation.hostname.capacity()
            + specification.machine.type_model.capacity()
            + specification.machine.serial_number.capacity();
        let configuration = self
            .configuration
            .as_ref()
            .map_or(0, |configuration| size_of::<BootConfiguration>() as u64 + configuration.heap_bytes());
        let queues = self.typed_ahead.capacity()
            + self.dynamic.capacity() * size_of::<Request>()
            + self.line.capacity()
            + self.effects.capacity() * size_of::<Effect>();
        let network = self.network.as_ref().map_or(0, |network| network.bytes());
        size_of::<Self>() as u64 + (adapters + texts + queues + network) as u64 + configuration
    }

    /// The guest's memory, for whoever moves it.
    pub fn memory_mut(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    fn scaled(&self, real: Duration) -> Duration {
        real.div_f64(self.options.time_scale.max(1.0))
    }

    fn event(&mut self, kind: EngineEventKind) {
        self.effects.push(Effect::Event(kind));
    }

    /// Shows text; line feeds become the carriage return and line feed that a terminal needs.
    fn output(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let bytes = text.replace('\n', "\r\n").into_bytes();
        match self.effects.last_mut() {
            Some(Effect::Output(earlier)) => earlier.extend_from_slice(&bytes),
            _ => self.effects.push(Effect::Output(bytes)),
        }
    }
}

fn io_slot_bytes(slot: &GuestIoSlot) -> usize {
    size_of::<GuestIoSlot>() + slot.location.capacity() + slot.description.capacity()
}

/// What the firmware leaves in the guest's first page: who this is.
fn firmware_page(specification: &GuestSpecification) -> String {
    format!(
        "partition-name={}\0partition-id={}\0machine={}\0generation={}\0",
        specification.name, specification.id, specification.machine, specification.generation.0
    )
}
