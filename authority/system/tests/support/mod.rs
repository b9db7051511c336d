//! A managed system under test: an engine that records what it is asked, a clock that the test turns.

#![allow(dead_code, missing_docs, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use varan_contract::engine::*;
use varan_contract::network::HypervisorNetwork;
use varan_contract::system::*;
use varan_environment::{Environment, Monotonic, WallClock};
use varan_model::hardware::{Hardware, PciFunction, ProcessorFamily, SlotDescription};
use varan_model::ids::{MacAddress, PartitionUuid, SriovAdapterId, SystemUuid, VirtualSlot};
use varan_model::record::parse_record;
use varan_model::sriov::{Capacity, SriovAdapterDescription, SriovPortDescription, SriovPortType};
use varan_model::system::SystemSettings;
use varan_model::units::ProcessingUnits;
use varan_system::authority::{Authority, Parts};
use varan_system::guest::{BootDisks, GuestSettings, ManagementNetwork};
use varan_system::inbox::Inbox;
use varan_system::{InitialPartition, OpenError, Opening, open};

#[derive(Default)]
pub struct FakeEngine {
    pub calls: Mutex<Vec<Call>>,
    pub refuse_start: Mutex<bool>,
    /// Guests that were admitted and neither powered on nor dismissed.
    pub admitted: Mutex<Vec<(PartitionUuid, Generation)>>,
    /// Called with each admission.
    pub on_admission: Mutex<Option<Box<dyn Fn() + Send>>>,
    /// What the next requests to guests are answered with instead of being taken.
    pub refuse_requests: Mutex<Option<EngineError>>,
    pub adopted: Mutex<Vec<AdoptedGuest>>,
    /// What was admitted last.
    pub specification: Mutex<Option<GuestSpecification>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Start(PartitionUuid, u64),
    Stop(PartitionUuid, StopRequest, bool),
    PowerLoss,
    Memory(PartitionUuid, u64, u64),
    Processors(PartitionUuid, ProcessorAllocation, u64),
    Fault(PartitionUuid, GuestFault),
    Adapter(PartitionUuid, AdapterChange, u64),
}

impl FakeEngine {
    fn take(&self, call: Call) -> Result<(), EngineError> {
        if let Some(error) = &*self.refuse_requests.lock().unwrap() {
            return Err(error.clone());
        }
        self.calls.lock().unwrap().push(call);
        Ok(())
    }
}

impl PartitionEngine for FakeEngine {
    fn adopt(&self) -> Vec<AdoptedGuest> {
        std::mem::take(&mut *self.adopted.lock().unwrap())
    }
    fn admit(&self, specification: GuestSpecification) -> Result<(), EngineError> {
        if *self.refuse_start.lock().unwrap() {
            return Err(EngineError::NoRoom("the cap on memory is reached".to_owned()));
        }
        if let Some(hook) = &*self.on_admission.lock().unwrap() {
            hook();
        }
        self.admitted.lock().unwrap().push((specification.partition, specification.generation));
        *self.specification.lock().unwrap() = Some(specification);
        Ok(())
    }
    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError> {
        let mut admitted = self.admitted.lock().unwrap();
        let place = admitted.iter().position(|one| *one == (partition, generation));
        admitted.remove(place.ok_or(EngineError::NotRunning(partition))?);
        self.calls.lock().unwrap().push(Call::Start(partition, generation.0));
        Ok(())
    }
    fn dismiss(&self, partition: PartitionUuid, generation: Generation) {
        self.admitted.lock().unwrap().retain(|one| *one != (partition, generation));
    }
    fn stop(&self, partition: PartitionUuid, request: StopRequest, restart: bool) -> Result<(), EngineError> {
        self.take(Call::Stop(partition, request, restart))
    }
    fn power_loss(&self) {
        self.calls.lock().unwrap().push(Call::PowerLoss);
    }
    fn set_memory(&self, partition: PartitionUuid, megabytes: u64, token: u64) -> Result<(), EngineError> {
        self.take(Call::Memory(partition, megabytes, token))
    }
    fn set_processors(
        &self,
        partition: PartitionUuid,
        processors: ProcessorAllocation,
        token: u64,
    ) -> Result<(), EngineError> {
        self.take(Call::Processors(partition, processors, token))
    }
    fn change_adapter(
        &self,
        partition: PartitionUuid,
        change: AdapterChange,
        token: u64,
    ) -> Result<(), EngineError> {
        self.take(Call::Adapter(partition, change, token))
    }
    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError> {
        Err(EngineError::NotRunning(partition))
    }
    fn close_terminal(&self, _: PartitionUuid) -> bool {
        false
    }
    fn forget(&self, _: PartitionUuid) {}
    fn fault(&self, partition: PartitionUuid, fault: GuestFault) -> Result<(), EngineError> {
        self.calls.lock().unwrap().push(Call::Fault(partition, fault));
        Ok(())
    }
    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError> {
        Err(EngineError::NotRunning(partition))
    }
}

struct NoDisk;

impl BootDisk for NoDisk {
    fn size(&self) -> u64 {
        0
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn write_at(&self, _: u64, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

struct NoDisks;

impl BootDisks for NoDisks {
    fn open(&self, _: PartitionUuid) -> std::io::Result<Arc<dyn BootDisk>> {
        Ok(Arc::new(NoDisk))
    }
    fn remove(&self, _: PartitionUuid) {}
}

/// Virtual time and seeded randomness.
pub struct TestEnvironment {
    pub nanoseconds: AtomicU64,
    state: Mutex<u64>,
}

impl TestEnvironment {
    pub fn new(seed: u64) -> Self {
        Self { nanoseconds: AtomicU64::new(0), state: Mutex::new(seed) }
    }
    pub fn advance(&self, duration: Duration) {
        self.nanoseconds.fetch_add(u64::try_from(duration.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl Environment for TestEnvironment {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst)))
    }
    fn wall_clock(&self) -> WallClock {
        WallClock(1_790_000_000_000_000_000 + i128::from(self.nanoseconds.load(Ordering::SeqCst)))
    }
    fn random(&self) -> u64 {
        varan_environment::split_mix(&mut self.state.lock().unwrap())
    }
}

pub fn hardware() -> Hardware {
    Hardware {
        site_name: "p814-1".to_owned(),
        aliases: Vec::new(),
        identity: "8286-41A*2166661".parse().unwrap(),
        uuid: SystemUuid::from_random(7),
        family: ProcessorFamily::Power8,
        installed_processors: ProcessingUnits::whole(8),
        configurable_processors: ProcessingUnits::whole(8),
        installed_memory: 65_536,
        memory_region_size: 256,
        firmware: "01SV830_048".parse().unwrap(),
        delivered_firmware: varan_model::firmware::FirmwareLevels::of("01SV830_048".parse().unwrap()),
        minimum_units_per_processor: ProcessingUnits(5),
        maximum_partitions: 1_000,
        capability_overrides: Vec::new(),
        enterprise_edition: true,
        virtual_switches: vec!["ETHERNET0".to_owned()],
        management_vlan: (1, "ETHERNET0".to_owned()),
        slots: vec![SlotDescription {
            drc_index: 0x2102_0013,
            bus: 531,
            unit: "U78C9.001.WZS8141".to_owned(),
            location: "U78C9.001.WZS8141-P1-C2".to_owned(),
            description: "Ethernet controller".to_owned(),
            occupied: true,
            function: PciFunction::ABSENT,
            ports: Vec::new(),
        }],
        vepa_switches: Vec::new(),
        sriov_adapters: sriov_adapters(),
    }
}

/// Two adapters in shared mode with two ports of four logical ports each.
fn sriov_adapters() -> Vec<SriovAdapterDescription> {
    let port = |adapter: u16, port: u8| SriovPortDescription {
        location: format!("U78C9.001.WZS8141-P1-C{}-T{}", adapter + 4, port + 1),
        mac_address: MacAddress(0x0090_FA00_0100 + u64::from(adapter) * 16 + u64::from(port)),
        speed: 10_000,
        label: String::new(),
        sub_label: String::new(),
        kind: SriovPortType::Ethernet,
        maximum_logical_ports: 4,
    };
    let adapter = |adapter: u16| SriovAdapterDescription {
        adapter: SriovAdapterId(adapter),
        drc_index: 0x2101_0100 + u32::from(adapter),
        location: format!("U78C9.001.WZS8141-P1-C{}", adapter + 4),
        description: "PCIe3 4-Port 10GbE SR Adapter".to_owned(),
        shared: true,
        maximum_logical_ports: 6,
        granularity: Capacity(200),
        ports: vec![port(adapter, 0), port(adapter, 1)],
    };
    vec![adapter(1), adapter(2)]
}

/// A system whose authority the test steps itself.
pub struct Bench {
    pub directory: PathBuf,
    pub authority: Authority,
    pub engine: Arc<FakeEngine>,
    pub environment: Arc<TestEnvironment>,
    pub inbox: Arc<Inbox>,
    next_request: u128,
}

pub fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

pub const SMALL: &str = "profile_name=default_profile,lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=4096,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=1,max_procs=4,min_proc_units=0.05,desired_proc_units=0.1,max_proc_units=2.0,virtual_eth_adapters=2/0/1//0/0/ETHERNET0//all/none";

impl Bench {
    pub fn open(directory: &Path, seed: u64) -> Self {
        Self::open_with(directory, seed, &[])
    }

    pub fn open_with(directory: &Path, seed: u64, partitions: &[InitialPartition]) -> Self {
        Self::try_open(directory, seed, partitions).unwrap()
    }

    /// Opens the system, whose database may fail.
    pub fn try_open(directory: &Path, seed: u64, partitions: &[InitialPartition]) -> Result<Self, OpenError> {
        Self::open_adopting(directory, seed, partitions, Vec::new())
    }

    /// Opens a system whose engine finds guests that outlived the program before.
    pub fn open_adopting(
        directory: &Path,
        seed: u64,
        partitions: &[InitialPartition],
        adopted: Vec<AdoptedGuest>,
    ) -> Result<Self, OpenError> {
        let nothing = Arc::new(varan_contract::network::NoNetwork);
        Self::open_hardware(directory, seed, partitions, adopted, (hardware(), nothing))
    }

    /// A machine delivered with another firmware level.
    pub fn open_at(directory: &Path, seed: u64, level: &str) -> Self {
        let mut hardware = hardware();
        hardware.deliver(level.parse().unwrap(), level.parse().unwrap(), "FW810.20".to_owned());
        let nothing = Arc::new(varan_contract::network::NoNetwork);
        Self::open_hardware(directory, seed, &[], Vec::new(), (hardware, nothing)).unwrap()
    }

    /// A machine with SR-IOV adapters, whose network the test plays.
    pub fn open_network(directory: &Path, seed: u64, network: Arc<dyn HypervisorNetwork>) -> Self {
        let mut hardware = hardware();
        let level = "01SV860_056";
        hardware.deliver(level.parse().unwrap(), level.parse().unwrap(), "FW860.10".to_owned());
        Self::open_hardware(directory, seed, &[], Vec::new(), (hardware, network)).unwrap()
    }

    fn open_hardware(
        directory: &Path,
        seed: u64,
        partitions: &[InitialPartition],
        adopted: Vec<AdoptedGuest>,
        (hardware, hypervisor): (Hardware, Arc<dyn HypervisorNetwork>),
    ) -> Result<Self, OpenError> {
        let environment = Arc::new(TestEnvironment::new(seed));
        let hardware = Arc::new(hardware);
        let settings = SystemSettings::new(&hardware, true);
        let opened = open(Opening { directory, hardware, settings, partitions, environment: &*environment })?;
        let engine = Arc::new(FakeEngine { adopted: Mutex::new(adopted), ..FakeEngine::default() });
        let inbox = Arc::new(Inbox::default());
        let mut authority = Authority::new(Parts {
            published: Arc::new(ArcSwap::from_pointee(opened.world.snapshot.clone())),
            world: opened.world,
            store: opened.store,
            firmware: opened.firmware,
            requests: opened.requests,
            engine: engine.clone(),
            guests: GuestSettings {
                boot_disks: Arc::new(NoDisks),
                network: Some(ManagementNetwork {
                    network: [10, 20, 0, 0].into(),
                    prefix: 16,
                    system_index: 0,
                }),
                hypervisor,
            },
            environment: environment.clone(),
            time_scale: 1.0,
            inbox: inbox.clone(),
            subscribers: Arc::default(),
        });
        authority.set_up_network();
        authority.adopt();
        authority.start_initial(&opened.start);
        Ok(Self {
            directory: directory.to_owned(),
            authority,
            engine,
            environment,
            inbox,
            next_request: u128::from(seed) << 64,
        })
    }

    pub fn send_as(
        &mut self,
        id: RequestId,
        request: SystemRequest,
    ) -> Receiver<Result<SystemReply, CallError>> {
        let (reply, answer) = sync_channel(1);
        assert!(self.inbox.request(id, request, reply));
        answer
    }

    pub fn send(&mut self, request: SystemRequest) -> Receiver<Result<SystemReply, CallError>> {
        self.next_request += 1;
        self.send_as(RequestId(self.next_request), request)
    }

    pub fn step(&mut self) {
        self.authority.step(self.inbox.drain());
    }

    /// Sends, steps once and expects the answer; claims unique names where the change states some.
    pub fn call(&mut self, request: SystemRequest) -> Result<SystemReply, CallError> {
        let reply = self.call_once(request.clone())?;
        let SystemReply::ClaimNeeded { names, .. } = reply else { return Ok(reply) };
        let claim = ClaimId(self.next_request);
        self.call_once(SystemRequest::Claim { claim, names })?;
        let reply = self.call_once(SystemRequest::WithClaim { claim, request: Box::new(request) });
        self.call_once(SystemRequest::ReleaseClaim { claim })?;
        reply
    }

    /// Sends, steps once and expects the answer.
    pub fn call_once(&mut self, request: SystemRequest) -> Result<SystemReply, CallError> {
        let answer = self.send(request);
        self.step();
        answer.try_recv().expect("answered at once")
    }

    /// As `call`, the refusal as text.
    pub fn refused(&mut self, request: SystemRequest) -> String {
        match self.call(request) {
            Err(CallError::Refused(refusal)) => refusal.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    pub fn create(&mut self, name: &str) -> Result<SystemReply, CallError> {
        self.call(create(name))
    }

    pub fn uuid(&self, name: &str) -> PartitionUuid {
        self.entry(name).partition.uuid
    }

    pub fn entry(&self, name: &str) -> varan_model::partition::PartitionEntry {
        self.authority.world().snapshot.find(&Selector::Name(name.to_owned())).unwrap().clone()
    }

    pub fn event(&mut self, name: &str, kind: EngineEventKind) {
        let entry = self.entry(name);
        let generation = Generation(entry.runtime.generation);
        self.inbox.engine_event(EngineEvent { partition: entry.partition.uuid, generation, kind });
        self.step();
    }

    /// Brings a partition that was powered on to Running with RMC.
    pub fn boot(&mut self, name: &str) {
        self.event(name, EngineEventKind::State(GuestState::Running));
        self.event(name, EngineEventKind::OperatingSystem(report(name)));
        self.environment.advance(Duration::from_secs(600));
        self.step();
    }

    pub fn power_on(&mut self, name: &str) {
        let options =
            PowerOnOptions { profile: Some("default_profile".to_owned()), ..PowerOnOptions::default() };
        self.call(SystemRequest::PowerOn { partition: Selector::Name(name.to_owned()), options })
            .expect("powered on");
    }

    /// From now on nothing can be recorded (`false`), or again.
    pub fn recording(&self, possible: bool) {
        let connection = rusqlite::Connection::open(self.directory.join("nvram.db")).unwrap();
        let (from, to) = if possible { ("hidden", "partition") } else { ("partition", "hidden") };
        connection.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
    }

    /// Answers the memory request that the engine got last: the guest has `megabytes`, or what it was asked for.
    pub fn answer_memory(&mut self, megabytes: Option<u64>, details: &[&str]) {
        let Call::Memory(partition, asked, token) = self.last_call() else {
            panic!("{:?}", self.last_call())
        };
        let world = self.authority.world();
        let name = world.by_uuid(partition).expect("a partition").partition.name.clone();
        let details = details.iter().map(|&line| line.to_owned()).collect();
        let megabytes = megabytes.unwrap_or(asked);
        self.event(&name, EngineEventKind::MemorySet { token, megabytes, details });
    }

    pub fn last_call(&self) -> Call {
        self.engine.calls.lock().unwrap().last().cloned().expect("a call")
    }
}

/// What an operating system with RMC reports.
pub fn report(name: &str) -> OperatingSystemReport {
    OperatingSystemReport {
        name: "AIX".to_owned(),
        version: "AIX 7.1 7100-03-05-1524".to_owned(),
        hostname: name.to_owned(),
        addresses: vec![(VirtualSlot(2), [10, 20, 1, 3].into())],
        rsct_node_id: "1".repeat(16),
        rmc_running: true,
        rmc_sessions: None,
    }
}

pub fn create(name: &str) -> SystemRequest {
    SystemRequest::CreatePartition { record: parse_record(&format!("name={name},{SMALL}")).unwrap() }
}

pub fn named(name: &str) -> Selector {
    Selector::Name(name.to_owned())
}

pub fn change(name: &str, record: &str) -> SystemRequest {
    SystemRequest::ChangePartition { partition: named(name), record: parse_record(record).unwrap() }
}

pub fn memory(name: &str, operation: DynamicOperation, megabytes: u64) -> SystemRequest {
    let resource = Resource::Memory(megabytes);
    SystemRequest::ChangeResource { partition: named(name), operation, resource, wait_minutes: 5 }
}

/// A request of any kind that changes something.
pub fn random_request(draw: u64, name: &str) -> SystemRequest {
    let partition = named(name);
    match draw % 13 {
        0 | 1 => create(name),
        2 => change(
            name,
            ["description=a", "new_name=p1", "auto_start=1", "msp=1", "sync_curr_profile=1"]
                [(draw >> 8) as usize % 5],
        ),
        3 => SystemRequest::RemovePartition { partition, server_adapters: false },
        4 | 5 => {
            let profile = (draw >> 8 & 1 == 0).then(|| "default_profile".to_owned());
            SystemRequest::PowerOn {
                partition,
                options: PowerOnOptions { profile, ..PowerOnOptions::default() },
            }
        }
        6 => SystemRequest::Stop { partition, request: StopRequest::Immediate, restart: draw >> 8 & 1 == 0 },
        7 => memory(name, DynamicOperation::Add, 256 * (draw >> 8 & 7)),
        8 => memory(name, DynamicOperation::Remove, 256),
        9 => SystemRequest::ApplyProfile { partition, profile: "default_profile".to_owned() },
        10 => SystemRequest::ChangeLogicalPort {
            partition,
            operation: ListOperation::Add,
            record: parse_record("adapter_id=1,phys_port_id=0,logical_port_type=eth").expect("record"),
            force: true,
            wait_minutes: 5,
        },
        11 => SystemRequest::ChangeLogicalPort {
            partition,
            operation: ListOperation::Remove,
            record: parse_record("logical_port_id=27004001").expect("record"),
            force: true,
            wait_minutes: 5,
        },
        _ => SystemRequest::ChangeProfile {
            partition,
            profile: "default_profile".to_owned(),
            record: parse_record("desired_mem=1024,virtual_fc_adapters=5/client/1//6//0").expect("record"),
        },
    }
}
