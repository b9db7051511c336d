//! The partition engine: what runs partitions. The embedded engine and a QEMU engine implement it alike.
//!
//! A managed system decides and records; then it tells its engine. Every call is idempotent for the same
//! `generation`, because it may be repeated after a crash. No call blocks on a guest: what takes guest time
//! is answered later by an [`EngineEvent`].

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_model::ids::{
    LogicalPortId, MacAddress, MachineIdentity, PartitionId, PartitionUuid, VirtualSlot, WorldWidePortName,
};
use varan_model::partition::GuestEngine;

/// One activation of a partition. Rises with each activation, so that late events of an earlier one are told
/// apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Which operating system's manners the guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Personality {
    /// AIX.
    Aix,
    /// Linux on Power.
    Linux,
    /// Virtual I/O Server (AIX underneath, padmin on top).
    VirtualIoServer,
    /// IBM i.
    IbmI,
}

/// Where the partition firmware stops or what it boots (`chsysstate -b`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BootMode {
    /// Boot the operating system (`norm`).
    Normal,
    /// Diagnostics with the default boot list (`dd`).
    DiagnosticsDefault,
    /// Diagnostics with the stored boot list (`ds`).
    DiagnosticsStored,
    /// Stop at the Open Firmware prompt (`of`).
    OpenFirmware,
    /// Stop in System Management Services (`sms`).
    SystemManagementServices,
}

/// Processors of a running partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessorAllocation {
    /// Virtual (shared) or whole (dedicated) processors.
    pub processors: u32,
    /// Entitlement in hundredths of a processing unit; 100 times `processors` when dedicated.
    pub entitlement_hundredths: u32,
    /// Whole processors of its own.
    pub dedicated: bool,
    /// May use more than its entitlement.
    pub uncapped: bool,
    /// Share of spare capacity, 0 to 255.
    pub uncapped_weight: u8,
    /// Whole processors that are lent to others while they are idle.
    pub donating: bool,
}

/// A virtual network adapter as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestNetworkAdapter {
    /// Virtual slot.
    pub slot: VirtualSlot,
    /// MAC address.
    pub mac_address: MacAddress,
    /// Port VLAN id.
    pub port_vlan_id: u16,
    /// IEEE 802.1Q compatible: frames may carry a tag.
    pub ieee: bool,
    /// VLANs of which frames pass tagged.
    pub tagged_vlan_ids: Vec<u16>,
    /// Trunk priority, 1 is best; `None` for an adapter that is not a trunk. A trunk gets what no other adapter of the
    /// switch is the address of.
    pub trunk_priority: Option<u8>,
    /// Addresses that frames of the guest may come from, besides the adapter's own.
    pub allowed_addresses: AllowedAddresses,
    /// 802.1Q priority of the guest's frames, 0 to 7; `None` leaves it to the guest.
    pub priority: Option<u8>,
    /// Virtual switch name.
    pub virtual_switch: String,
    /// The address that this adapter gets when the guest asks for one by DHCP; `None` where nobody answers.
    pub offered_address: Option<(Ipv4Addr, u8)>,
}

impl GuestNetworkAdapter {
    /// An adapter for one VLAN without tags, that is no trunk.
    #[must_use]
    pub fn untagged(
        slot: VirtualSlot,
        mac_address: MacAddress,
        virtual_switch: &str,
        port_vlan_id: u16,
    ) -> Self {
        Self {
            slot,
            mac_address,
            port_vlan_id,
            ieee: false,
            tagged_vlan_ids: Vec::new(),
            trunk_priority: None,
            allowed_addresses: AllowedAddresses::All,
            priority: None,
            virtual_switch: virtual_switch.to_owned(),
            offered_address: None,
        }
    }
}

/// Which addresses a guest may set at its adapter (`allowed_os_mac_addrs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllowedAddresses {
    /// Any.
    All,
    /// None but the adapter's own.
    None,
    /// These.
    Only(Vec<MacAddress>),
}

/// Which VLANs a guest may tag frames with (`allowed_vlan_ids`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllowedVlans {
    /// Any.
    All,
    /// None.
    None,
    /// These.
    Only(Vec<u16>),
}

/// An SR-IOV logical port (virtual function) as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestLogicalPort {
    /// Number.
    pub id: LogicalPortId,
    /// Location code of the logical port (`U78CA.001.CSS08ZN-P1-C3-C1-T2-S5`).
    pub location: String,
    /// Location code of its physical port (`U78CA.001.CSS08ZN-P1-C3-C1-T2`).
    pub physical_port: String,
    /// Description of the adapter (`PCIe3 4-Port 10GbE SR Adapter`).
    pub description: String,
    /// Address.
    pub mac_address: MacAddress,
    /// VLAN of untagged frames, 0 for none.
    pub port_vlan_id: u16,
    /// Priority of untagged frames.
    pub port_vlan_priority: u8,
    /// VLANs that the owner may use tagged.
    pub allowed_vlans: AllowedVlans,
    /// Addresses that the owner may use.
    pub allowed_addresses: AllowedAddresses,
    /// Gets all frames of its physical port that no other logical port is the address of.
    pub promiscuous: bool,
    /// Assured share of the physical port in hundredths of a percent.
    pub capacity: u16,
    /// Largest share in hundredths of a percent.
    pub maximum_capacity: u16,
    /// The address that this port gets by DHCP; `None` where nobody answers.
    pub offered_address: Option<(Ipv4Addr, u8)>,
}

/// A backing device of a virtual NIC, as the hypervisor chooses among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestVnicBackingDevice {
    /// Virtual I/O Server that hosts it.
    pub server: PartitionId,
    /// Slot of the server adapter (`vnicserver`) there.
    pub server_slot: VirtualSlot,
    /// Logical port.
    pub logical_port: LogicalPortId,
    /// Failover priority, 1 to 100; the lowest number is best.
    pub priority: u8,
}

/// A virtual NIC as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestVnicAdapter {
    /// Virtual slot.
    pub slot: VirtualSlot,
    /// MAC address.
    pub mac_address: MacAddress,
    /// VLAN of untagged frames, 0 for none.
    pub port_vlan_id: u16,
    /// Priority of untagged frames.
    pub port_vlan_priority: u8,
    /// VLANs that the guest may use tagged.
    pub allowed_vlans: AllowedVlans,
    /// Addresses that the guest may set.
    pub allowed_addresses: AllowedAddresses,
    /// Cut off by the administrator (`chhwres -o d`).
    pub disabled: bool,
    /// The operational backing device of the best priority is made active whenever there is a better one.
    pub auto_priority_failover: bool,
    /// Backing devices, one to six.
    pub backing_devices: Vec<GuestVnicBackingDevice>,
    /// The backing device that a person made active, as long as nothing else happened.
    pub preferred: Option<LogicalPortId>,
    /// Addresses that a working uplink reaches; empty to go by link states alone.
    pub probe_targets: Vec<Ipv4Addr>,
    /// The address that this adapter gets by DHCP; `None` where nobody answers.
    pub offered_address: Option<(Ipv4Addr, u8)>,
}

/// The server's end of one backing device of a virtual NIC: a server adapter and the logical port behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestVnicServer {
    /// Virtual slot, from 32897 (0x8081) on.
    pub slot: VirtualSlot,
    /// Client partition.
    pub client: PartitionId,
    /// Its name.
    pub client_name: String,
    /// Slot of the virtual NIC there.
    pub client_slot: VirtualSlot,
    /// Failover priority.
    pub priority: u8,
    /// The logical port.
    pub logical_port: GuestLogicalPort,
}

/// Kinds of virtual adapters that are no network adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceAdapterKind {
    /// Virtual SCSI.
    Scsi,
    /// Virtual Fibre Channel.
    FibreChannel,
    /// Virtual serial, besides the two of the console.
    Serial,
}

/// A virtual storage or serial adapter as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestDeviceAdapter {
    /// Virtual slot.
    pub slot: VirtualSlot,
    /// Kind.
    pub kind: DeviceAdapterKind,
    /// The server's end; the client's otherwise.
    pub server: bool,
    /// First world-wide port name of a Fibre Channel client.
    pub port_name: Option<WorldWidePortName>,
    /// The partition and the slot at the other end, where the definition names them.
    pub remote: Option<(PartitionId, VirtualSlot)>,
}

/// A physical I/O slot that the guest owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestIoSlot {
    /// DRC index.
    pub drc_index: u32,
    /// Location code.
    pub location: String,
    /// What is in the slot.
    pub description: String,
    /// Whether anything is in it.
    pub occupied: bool,
    /// Ports of an Ethernet adapter in it, `T1` first.
    #[serde(default)]
    pub ethernet_ports: Vec<GuestEthernetPort>,
}

/// A port of a physical Ethernet adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestEthernetPort {
    /// Location code (`U78C9.001.WZS8141-P1-C2-T1`).
    pub location: String,
    /// Burned-in address.
    pub mac_address: MacAddress,
}

/// An adapter of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestAdapter {
    /// Virtual Ethernet.
    Network(GuestNetworkAdapter),
    /// Virtual storage or serial.
    Device(GuestDeviceAdapter),
    /// Physical.
    Physical(GuestIoSlot),
    /// SR-IOV logical port of the guest's own.
    LogicalPort(GuestLogicalPort),
    /// Virtual NIC.
    Vnic(GuestVnicAdapter),
    /// Server's end of a virtual NIC's backing device, with its logical port.
    VnicServer(GuestVnicServer),
}

/// Where an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AdapterAddress {
    /// In a virtual slot.
    Virtual(VirtualSlot),
    /// In the physical slot of this DRC index.
    Physical(u32),
    /// The SR-IOV logical port of this number.
    LogicalPort(LogicalPortId),
}

impl GuestAdapter {
    /// Where the adapter is.
    #[must_use]
    pub fn address(&self) -> AdapterAddress {
        match self {
            Self::Network(adapter) => AdapterAddress::Virtual(adapter.slot),
            Self::Device(adapter) => AdapterAddress::Virtual(adapter.slot),
            Self::Physical(slot) => AdapterAddress::Physical(slot.drc_index),
            Self::LogicalPort(port) => AdapterAddress::LogicalPort(port.id),
            Self::Vnic(adapter) => AdapterAddress::Virtual(adapter.slot),
            Self::VnicServer(server) => AdapterAddress::Virtual(server.slot),
        }
    }
}

/// A change of a running guest's adapters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdapterChange {
    /// The guest gets the adapter; one that it has at that address already is replaced.
    Put(GuestAdapter),
    /// The guest gives the adapter up, unless it uses it. One that it has not is given up already.
    Remove(AdapterAddress),
    /// As `Remove`, after the guest has unconfigured the adapter's device: nothing is behind the adapter any more.
    Withdraw(AdapterAddress),
}

/// A disk that a guest boots from: an array of 512-byte sectors.
///
/// A guest's host name, IP configuration, ODM, error log, `ghostdev` and RSCT node id live here, so that a clone
/// boots as its source.
pub trait BootDisk: Send + Sync {
    /// Size in bytes, a multiple of 512.
    fn size(&self) -> u64;
    /// Reads `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// Whatever the storage reports, or `UnexpectedEof` beyond the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()>;
    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// Whatever the storage reports, or `UnexpectedEof` beyond the end.
    fn write_at(&self, offset: u64, data: &[u8]) -> std::io::Result<()>;
    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// Whatever the storage reports.
    fn flush(&self) -> std::io::Result<()>;
}

/// What a new boot disk is installed with; an installed disk is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Operating system.
    pub personality: Personality,
    /// Its level as the operating system writes it: `7100-03-05-1524`, `2.2.6.21`, `4.18.0-553.el8.ppc64le`.
    pub level: String,
    /// Host name.
    pub hostname: String,
    /// A fixed address, or `None` for DHCP on the first adapter.
    pub address: Option<(Ipv4Addr, u8)>,
}

/// Everything that an engine needs to power a partition on.
#[derive(Clone)]
pub struct GuestSpecification {
    /// The partition.
    pub partition: PartitionUuid,
    /// This activation.
    pub generation: Generation,
    /// Partition name, shown by the guest (`lparstat -i`).
    pub name: String,
    /// Partition number.
    pub id: PartitionId,
    /// Machine that hosts it; the guest shows it in `uname -m`, `lsattr -El sys0`, error log entries.
    pub machine: MachineIdentity,
    /// Processor compatibility mode in force (`POWER8`).
    pub processor_mode: String,
    /// Memory in MB.
    pub memory_megabytes: u64,
    /// Most memory in MB that the partition may get while it runs.
    pub maximum_memory_megabytes: u64,
    /// Processors.
    pub processors: ProcessorAllocation,
    /// Boot mode of this activation.
    pub boot_mode: BootMode,
    /// Virtual network adapters in slot order.
    pub network_adapters: Vec<GuestNetworkAdapter>,
    /// Virtual storage and serial adapters in slot order, without those of the console.
    pub device_adapters: Vec<GuestDeviceAdapter>,
    /// Physical I/O slots in the order of their DRC indexes.
    pub io_slots: Vec<GuestIoSlot>,
    /// SR-IOV logical ports of its own, by number.
    pub logical_ports: Vec<GuestLogicalPort>,
    /// Virtual NICs in slot order.
    pub virtual_nics: Vec<GuestVnicAdapter>,
    /// Server's ends of virtual NICs' backing devices in slot order; only a Virtual I/O Server has any.
    pub vnic_servers: Vec<GuestVnicServer>,
    /// The boot disk, if the partition has one; without it the firmware stops.
    pub boot_disk: Option<Arc<dyn BootDisk>>,
    /// What to install on a boot disk that is blank.
    pub installation: Installation,
    /// Engine that runs the partition; who has several engines decides by it.
    pub engine: GuestEngine,
}

/// How a guest is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopRequest {
    /// Power off at once (`shutdown --immed`).
    Immediate,
    /// The white button: the operating system gets a moment, then power goes (`shutdown`).
    Delayed,
    /// The operating system shuts itself down (`osshutdown`).
    OperatingSystem,
    /// The operating system shuts itself down at once (`osshutdown --immed`).
    OperatingSystemImmediate,
}

/// Where a guest is in its life, as far as the hypervisor can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestState {
    /// Powered on, partition firmware is at work.
    Starting,
    /// Stopped at the firmware prompt or in its menus.
    OpenFirmware,
    /// The operating system runs.
    Running,
    /// The operating system is going down.
    ShuttingDown,
    /// Off. `restart` is true when the guest asks to be powered on again (reboot).
    Stopped {
        /// The guest wants to be started again with the same configuration.
        restart: bool,
    },
    /// The guest ended abnormally or could not start.
    Failed,
}

/// What an operating system tells the console's RMC about itself once it is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatingSystemReport {
    /// `AIX`, `Linux/Red Hat`, `VIOS`, `IBM i`.
    pub name: String,
    /// The text of `os_version`, for example `AIX 7.1 7100-03-05-1524` or `VIOS 2.2.6.21`.
    pub version: String,
    /// The guest's host name.
    pub hostname: String,
    /// Configured addresses: adapter slot, address.
    pub addresses: Vec<(VirtualSlot, Ipv4Addr)>,
    /// RSCT node id, 16 hexadecimal digits; clones that were not activated share it.
    pub rsct_node_id: String,
    /// Whether the RMC daemons run.
    pub rmc_running: bool,
    /// Names of the consoles that the RMC daemons have a session with, in order; `None` from a guest that has no network to
    /// reach them by, which counts as a session with each.
    #[serde(default)]
    pub rmc_sessions: Option<Vec<String>>,
}

/// One thing that happened in an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineEvent {
    /// Partition.
    pub partition: PartitionUuid,
    /// Activation that it belongs to.
    pub generation: Generation,
    /// What happened.
    pub kind: EngineEventKind,
}

/// Kinds of [`EngineEvent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineEventKind {
    /// A reference code was posted on the partition's operator panel (`CA00E1F1`, `AA00E1A9`, `0c33`...); empty clears it.
    ReferenceCode(String),
    /// The guest's state changed.
    State(GuestState),
    /// The operating system is up, or its report changed.
    OperatingSystem(OperatingSystemReport),
    /// An operating system that was asked to shut itself down did not hear, because none is up or it does not listen. The
    /// guest goes on as before.
    StopNotHeard(StopRequest),
    /// An answer to [`PartitionEngine::set_memory`].
    MemorySet {
        /// Token of the request.
        token: u64,
        /// Memory in MB that the guest has now; short of the wish when the guest could not give all of it up.
        megabytes: u64,
        /// Detail lines of the guest's DLPAR manager when it fell short; empty otherwise.
        details: Vec<String>,
    },
    /// An answer to [`PartitionEngine::change_adapter`].
    AdapterChanged {
        /// Token of the request.
        token: u64,
        /// Whether the guest did what was asked.
        done: bool,
        /// Detail lines of the guest's DLPAR manager when it did not; empty otherwise.
        details: Vec<String>,
    },
    /// An answer to [`PartitionEngine::set_processors`].
    ProcessorsSet {
        /// Token of the request.
        token: u64,
        /// What the guest has now.
        processors: ProcessorAllocation,
        /// Detail lines of the guest's DLPAR manager when it fell short; empty otherwise.
        details: Vec<String>,
    },
}

/// Receives events. Called from engine threads; must not block and must not call back into the engine.
pub trait EngineEvents: Send + Sync {
    /// Takes one event.
    fn engine_event(&self, event: EngineEvent);
}

/// Counters of a running guest since its activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestStatistics {
    /// Processor time consumed within the entitlement, in nanoseconds of one processor.
    pub capped_nanoseconds: u64,
    /// Processor time consumed beyond the entitlement, in nanoseconds of one processor.
    pub uncapped_nanoseconds: u64,
    /// Idle processor time, in nanoseconds of one processor.
    pub idle_nanoseconds: u64,
    /// Of the idle time, what was lent to others, in nanoseconds of one processor.
    pub donated_nanoseconds: u64,
    /// Bytes of guest memory that are backed by real pages now.
    pub resident_bytes: u64,
}

/// One open virtual terminal. It belongs to the partition, not to a running guest: it stays open while the partition is
/// off, and shows the next boot. Dropping it closes it.
pub trait GuestTerminal: Send + Sync {
    /// Waits for output of the guest and appends it to `buffer`; returns false when the terminal is closed
    /// (`rmvterm`, partition removed, power of the frame lost).
    fn read(&self, buffer: &mut Vec<u8>) -> bool;
    /// Types `bytes`; bytes beyond what the guest's input queue takes are dropped, as a serial line does, and so are all
    /// while no guest is powered on.
    fn write(&self, bytes: &[u8]);
    /// Tells the guest how many columns and rows the user's window has.
    fn resize(&self, columns: u16, rows: u16);
    /// A handle that closes this terminal from another thread. When [`GuestTerminal::read`] then returns false, the
    /// terminal is free.
    fn closer(&self) -> Box<dyn Fn() + Send + Sync>;
}

/// Why an engine refused.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum EngineError {
    /// No guest of that partition is powered on.
    #[error("partition {0} is not powered on")]
    NotRunning(PartitionUuid),
    /// The site-wide cap on real memory or the host's own limit is reached.
    #[error("the host has no room for this partition: {0}")]
    NoRoom(String),
    /// The virtual terminal is already open.
    #[error("the virtual terminal of partition {0} is already open")]
    TerminalBusy(PartitionUuid),
    /// Something that the guest needs is not on this host, or does not work.
    #[error("{0}")]
    CannotStart(String),
    /// The engine cannot do this.
    #[error("not supported by this engine: {0}")]
    Unsupported(String),
}

/// A guest that was running before its engine was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedGuest {
    /// Partition.
    pub partition: PartitionUuid,
    /// Activation that it belongs to.
    pub generation: Generation,
    /// Starting, at the firmware's prompt or running, as far as is known; events tell what is found out later.
    pub state: GuestState,
}

/// The command line of Virtual I/O Servers, for their virtual terminals. May take as long as a command does.
pub trait ServerConsole: Send + Sync {
    /// Runs a line as padmin, or as root after `oem_setup_env`, and returns what it prints; `None` while the server does not
    /// serve: the guest then answers itself, as far as it can.
    fn run(&self, partition: PartitionUuid, root: bool, line: &str) -> Option<String>;
}

/// What a test does to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestFault {
    /// The operating system ends abnormally: the guest fails at once.
    Crash,
    /// The guest stands still: it answers nothing and nothing of its own goes on. Only its power can be cut.
    Hang,
    /// A guest that stands still goes on.
    Resume,
}

/// An engine that runs partitions.
pub trait PartitionEngine: Send + Sync {
    /// Takes over the guests that outlived the program before this one. Called once, before anything is started; a guest
    /// that nobody wants is stopped by the caller. An engine whose guests end with their program has none.
    fn adopt(&self) -> Vec<AdoptedGuest> {
        Vec::new()
    }
    /// The program ends: guests that can outlive it are left running, for [`PartitionEngine::adopt`] to find; the others
    /// lose their power. No events follow.
    fn detach(&self) {
        self.power_loss();
    }
    /// Takes from the host what a guest needs, without powering it on, so that a managed system can record an activation
    /// knowing that it will not fail for want of room. What was taken is held until the guest is powered on or dismissed,
    /// or its power is lost. A repeat with the same generation is harmless.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`], [`EngineError::CannotStart`], [`EngineError::Unsupported`]; nothing is held then.
    fn admit(&self, specification: GuestSpecification) -> Result<(), EngineError>;
    /// Powers an admitted guest on. A repeat is harmless; a higher generation replaces a guest.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`] when that activation was not admitted.
    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError>;
    /// Gives back what [`PartitionEngine::admit`] took for a guest that was not powered on; nothing otherwise.
    fn dismiss(&self, partition: PartitionUuid, generation: Generation);
    /// Admits a guest and powers it on.
    ///
    /// # Errors
    /// As [`PartitionEngine::admit`].
    fn start(&self, specification: GuestSpecification) -> Result<(), EngineError> {
        let (partition, generation) = (specification.partition, specification.generation);
        self.admit(specification)?;
        self.power_on(partition, generation)
    }
    /// Asks a guest to stop, and to come back if `restart` is true; answered by `State(Stopped { restart })`, or by
    /// `StopNotHeard` where only its operating system could do it. Power that is cut at once never waits for a guest.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`], [`EngineError::NoRoom`] when too many requests wait for the guest.
    fn stop(&self, partition: PartitionUuid, request: StopRequest, restart: bool) -> Result<(), EngineError>;
    /// Cuts the power of every guest at once: the frame's own power loss. Terminals are closed. No events follow.
    fn power_loss(&self);
    /// Asks the guest to have `megabytes` of memory; answered by `MemorySet` with the same token.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`].
    fn set_memory(&self, partition: PartitionUuid, megabytes: u64, token: u64) -> Result<(), EngineError>;
    /// Asks the guest to have these processors; answered by `ProcessorsSet` with the same token.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`].
    fn set_processors(
        &self,
        partition: PartitionUuid,
        processors: ProcessorAllocation,
        token: u64,
    ) -> Result<(), EngineError>;
    /// Gives a running guest an adapter or takes one away; answered by `AdapterChanged` with the same token.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`].
    fn change_adapter(
        &self,
        partition: PartitionUuid,
        change: AdapterChange,
        token: u64,
    ) -> Result<(), EngineError>;
    /// Says which engine the definition of a partition names, before anything else is asked of it; who has several engines
    /// goes by it.
    fn name_engine(&self, partition: PartitionUuid, engine: &GuestEngine) {
        let _ = (partition, engine);
    }
    /// Opens the virtual terminal of a partition, whether it is powered on or not. One at a time. Output that nobody has
    /// seen since the last activation began is shown first, as much of it as the engine keeps.
    ///
    /// # Errors
    /// [`EngineError::TerminalBusy`].
    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError>;
    /// Closes the virtual terminal of a partition, whoever has it; true if there was one.
    fn close_terminal(&self, partition: PartitionUuid) -> bool;
    /// A partition was removed: closes its terminal and frees what is kept of it. A guest that still runs is left alone.
    fn forget(&self, partition: PartitionUuid);
    /// Counters of a guest.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`].
    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError>;
    /// Breaks a guest on purpose, or mends it.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`], [`EngineError::Unsupported`].
    fn fault(&self, partition: PartitionUuid, fault: GuestFault) -> Result<(), EngineError> {
        let _ = partition;
        Err(EngineError::Unsupported(format!("a guest's fault {fault:?}")))
    }
}
