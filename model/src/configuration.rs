//! What a partition is given: the content of a profile and of a current configuration, which are the same kind of thing.

use serde::{Deserialize, Serialize};

use crate::adapters::{
    AdapterSide, Element, NameOf, PhysicalSlot, Remote, RemoteSlot, VirtualEthernetAdapter,
    VirtualFibreChannelAdapter, VirtualScsiAdapter, VirtualSerialAdapter,
};
use crate::ibm_i::IbmIConfiguration;
use crate::ids::{PartitionId, VirtualSlot};
use crate::sriov::LogicalPort;
use crate::units::ProcessingUnits;
use crate::vnic::{BackingDevice, VirtualNic};

/// A closed set of words, each with the spelling of the command line.
macro_rules! words {
    ($(#[$documentation:meta])* $name:ident { $($(#[$variant_documentation:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_documentation])* $variant),+ }

        impl $name {
            /// Every value, in the order of the manual.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The spelling of the command line.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Finds the value that a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Who may use a partition's memory (`mem_mode`).
    MemoryMode {
        /// Memory of its own.
        Dedicated = "ded",
        /// Memory from the shared memory pool.
        Shared = "shared",
    }
}

words! {
    /// Whole processors or shares of them (`proc_mode`).
    ProcessorMode {
        /// Whole processors of its own.
        Dedicated = "ded",
        /// Shares of a pool.
        Shared = "shared",
    }
}

words! {
    /// What happens to processor time that is not used, or wanted beyond the entitlement (`sharing_mode`).
    SharingMode {
        /// Dedicated: idle processors stay idle.
        KeepIdle = "keep_idle_procs",
        /// Dedicated: processors are lent when the partition is off.
        ShareIdle = "share_idle_procs",
        /// Dedicated: idle processors are lent while the partition is active.
        ShareIdleActive = "share_idle_procs_active",
        /// Dedicated: idle processors are lent always.
        ShareIdleAlways = "share_idle_procs_always",
        /// Shared: never more than the entitlement.
        Capped = "cap",
        /// Shared: more than the entitlement when the pool has some to spare.
        Uncapped = "uncap",
    }
}

impl SharingMode {
    /// Whether the mode goes with this processor mode.
    #[must_use]
    pub fn belongs_to(self, mode: ProcessorMode) -> bool {
        matches!(self, Self::Capped | Self::Uncapped) == (mode == ProcessorMode::Shared)
    }

    /// Whether a running partition lends its own processors while they are idle.
    #[must_use]
    pub fn donates(self) -> bool {
        matches!(self, Self::ShareIdleActive | Self::ShareIdleAlways)
    }
}

words! {
    /// Where partition firmware goes (`boot_mode`, `chsysstate -b`).
    BootMode {
        /// The operating system.
        Normal = "norm",
        /// Diagnostics with the default boot list.
        DiagnosticsDefault = "dd",
        /// Diagnostics with the stored boot list.
        DiagnosticsStored = "ds",
        /// The Open Firmware prompt.
        OpenFirmware = "of",
        /// System Management Services.
        SystemManagementServices = "sms",
    }
}

words! {
    /// Kind of partition (`lpar_env`).
    PartitionEnvironment {
        /// AIX or Linux.
        AixLinux = "aixlinux",
        /// Virtual I/O Server.
        VirtualIoServer = "vioserver",
        /// IBM i.
        IbmI = "os400",
    }
}

/// What a partition asks of the shared memory pool (`mem_mode=shared`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMemory {
    /// Memory in MB that I/O is entitled to; `None` lets the hypervisor choose (`auto`).
    pub io_entitled_memory: Option<u64>,
    /// Share of the pool, 0 to 255.
    pub weight: u8,
    /// Virtual I/O Server that pages for the partition.
    pub primary_paging_server: Option<PartitionId>,
    /// Virtual I/O Server that does so when the first cannot.
    pub secondary_paging_server: Option<PartitionId>,
}

impl SharedMemory {
    /// The servers that page for the partition.
    pub fn paging_servers(&self) -> impl Iterator<Item = PartitionId> {
        [self.primary_paging_server, self.secondary_paging_server].into_iter().flatten()
    }
}

impl Default for SharedMemory {
    fn default() -> Self {
        Self {
            io_entitled_memory: None,
            weight: 128,
            primary_paging_server: None,
            secondary_paging_server: None,
        }
    }
}

/// The content of a profile or of a current configuration. Field names follow the attributes of `lssyscfg -r prof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Everything the machine has (`all_resources`); memory and processors are then not stated.
    pub all_resources: bool,
    /// Least memory in MB.
    pub minimum_memory: u64,
    /// Wished (profile) or assigned (current) memory in MB.
    pub desired_memory: u64,
    /// Most memory in MB.
    pub maximum_memory: u64,
    /// Least number of huge pages (16 GB each).
    pub minimum_huge_pages: u32,
    /// Wished number of huge pages.
    pub desired_huge_pages: u32,
    /// Most huge pages.
    pub maximum_huge_pages: u32,
    /// Memory mode.
    pub memory_mode: MemoryMode,
    /// What it asks of the shared memory pool; `Some` where the memory mode is shared, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<Box<SharedMemory>>,
    /// Active memory expansion factor in hundredths; 0 is off, else 100 to 1000.
    pub memory_expansion: u32,
    /// Hardware page table ratio: the n of `1:n`.
    pub hpt_ratio: u16,
    /// Physical page table ratio: the n of `1:n`.
    pub ppt_ratio: u16,
    /// Processor mode.
    pub processor_mode: ProcessorMode,
    /// Least processing units (shared).
    pub minimum_units: ProcessingUnits,
    /// Wished or assigned processing units (shared).
    pub desired_units: ProcessingUnits,
    /// Most processing units (shared).
    pub maximum_units: ProcessingUnits,
    /// Least processors: virtual when shared, whole when dedicated.
    pub minimum_processors: u32,
    /// Wished or assigned processors.
    pub desired_processors: u32,
    /// Most processors.
    pub maximum_processors: u32,
    /// Sharing mode.
    pub sharing_mode: SharingMode,
    /// Weight when uncapped, 0 to 255.
    pub uncapped_weight: u8,
    /// Shared processor pool, 0 is `DefaultPool`.
    pub processor_pool: u16,
    /// Affinity group, 1 to 255.
    pub affinity_group: Option<u8>,
    /// Physical I/O slots.
    pub physical_slots: Vec<PhysicalSlot>,
    /// I/O pools.
    pub io_pools: Vec<u16>,
    /// What only an IBM i partition states; `None` where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ibm_i: Option<Box<IbmIConfiguration>>,
    /// One more than the highest virtual slot number.
    pub maximum_virtual_slots: u16,
    /// Virtual serial adapters.
    pub serial_adapters: Vec<VirtualSerialAdapter>,
    /// Virtual SCSI adapters.
    pub scsi_adapters: Vec<VirtualScsiAdapter>,
    /// Virtual Ethernet adapters.
    pub ethernet_adapters: Vec<VirtualEthernetAdapter>,
    /// Virtual Fibre Channel adapters.
    pub fibre_channel_adapters: Vec<VirtualFibreChannelAdapter>,
    /// SR-IOV logical ports for Ethernet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ethernet_logical_ports: Vec<LogicalPort>,
    /// SR-IOV logical ports for RDMA over converged Ethernet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roce_logical_ports: Vec<LogicalPort>,
    /// Virtual NICs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_nics: Vec<VirtualNic>,
    /// Boot mode.
    pub boot_mode: BootMode,
    /// Report lost connections to the service processor.
    pub connection_monitoring: bool,
    /// Start the partition when the system starts.
    pub auto_start: bool,
    /// Partitions that may power this one on and off.
    pub power_control: Vec<PartitionId>,
    /// Workload group.
    pub work_group: Option<u16>,
    /// Redundant error path reporting.
    pub redundant_error_path: bool,
    /// Barrier synchronization register arrays.
    pub bsr_arrays: u16,
    /// Wanted processor compatibility mode, `default` or a mode of the machine.
    pub compatibility_mode: String,
}

/// The two virtual serial adapters that every partition has for the console.
#[must_use]
pub fn console_serial_adapters() -> Vec<VirtualSerialAdapter> {
    (0..2)
        .map(|slot| VirtualSerialAdapter {
            slot: VirtualSlot(slot),
            side: AdapterSide::Server,
            supports_console: true,
            remote: Remote::Any,
            remote_slot: RemoteSlot::Any,
            required: true,
        })
        .collect()
}

impl Default for Configuration {
    /// What a record that states nothing leaves: no memory, no processors, ten virtual slots, the console's two serial
    /// adapters.
    fn default() -> Self {
        Self {
            all_resources: false,
            minimum_memory: 0,
            desired_memory: 0,
            maximum_memory: 0,
            minimum_huge_pages: 0,
            desired_huge_pages: 0,
            maximum_huge_pages: 0,
            memory_mode: MemoryMode::Dedicated,
            shared_memory: None,
            memory_expansion: 0,
            hpt_ratio: 128,
            ppt_ratio: 4_096,
            processor_mode: ProcessorMode::Shared,
            minimum_units: ProcessingUnits(0),
            desired_units: ProcessingUnits(0),
            maximum_units: ProcessingUnits(0),
            minimum_processors: 0,
            desired_processors: 0,
            maximum_processors: 0,
            sharing_mode: SharingMode::Capped,
            uncapped_weight: 0,
            processor_pool: 0,
            affinity_group: None,
            physical_slots: Vec::new(),
            io_pools: Vec::new(),
            ibm_i: None,
            maximum_virtual_slots: 10,
            serial_adapters: console_serial_adapters(),
            scsi_adapters: Vec::new(),
            ethernet_adapters: Vec::new(),
            fibre_channel_adapters: Vec::new(),
            ethernet_logical_ports: Vec::new(),
            roce_logical_ports: Vec::new(),
            virtual_nics: Vec::new(),
            boot_mode: BootMode::Normal,
            connection_monitoring: false,
            auto_start: false,
            power_control: Vec::new(),
            work_group: None,
            redundant_error_path: false,
            bsr_arrays: 0,
            compatibility_mode: "default".to_owned(),
        }
    }
}

impl Configuration {
    /// Entitled capacity: the units when shared, whole processors when dedicated.
    #[must_use]
    pub fn entitlement(&self) -> ProcessingUnits {
        match self.processor_mode {
            ProcessorMode::Shared => self.desired_units,
            ProcessorMode::Dedicated => ProcessingUnits::whole(self.desired_processors),
        }
    }

    /// Every virtual slot in use with the kind of adapter in it, in slot order.
    #[must_use]
    pub fn virtual_slots(&self) -> Vec<(VirtualSlot, &'static str)> {
        let mut slots: Vec<(VirtualSlot, &'static str)> = Vec::new();
        slots.extend(self.serial_adapters.iter().map(|adapter| (adapter.slot, "serial")));
        slots.extend(self.scsi_adapters.iter().map(|adapter| (adapter.slot, "scsi")));
        slots.extend(self.ethernet_adapters.iter().map(|adapter| (adapter.slot, "ethernet")));
        slots.extend(self.fibre_channel_adapters.iter().map(|adapter| (adapter.slot, "fc")));
        slots.extend(self.virtual_nics.iter().map(|adapter| (adapter.slot, "vnic")));
        slots.sort_unstable();
        slots
    }

    /// SR-IOV logical ports of the partition's own.
    pub fn logical_ports(&self) -> impl Iterator<Item = &LogicalPort> {
        self.ethernet_logical_ports.iter().chain(&self.roce_logical_ports)
    }

    /// Backing devices of virtual NICs, each with its virtual NIC.
    pub fn backing_devices(&self) -> impl Iterator<Item = (&VirtualNic, &BackingDevice)> {
        self.virtual_nics.iter().flat_map(|nic| nic.backing_devices.iter().map(move |device| (nic, device)))
    }

    /// Every partition number that an adapter, the power control list or the paging names.
    #[must_use]
    pub fn remote_partitions(&self) -> Vec<PartitionId> {
        fn ids<E: Element>(elements: &[E]) -> impl Iterator<Item = PartitionId> {
            elements.iter().filter_map(|element| match element.remote() {
                Some(Remote::Partition { id, .. }) => *id,
                _ => None,
            })
        }
        let mut found: Vec<PartitionId> = ids(&self.serial_adapters).collect();
        found.extend(ids(&self.scsi_adapters));
        found.extend(ids(&self.fibre_channel_adapters));
        found.extend(&self.power_control);
        found.extend(self.backing_devices().filter_map(|(_, device)| device.server));
        let paging = self.shared_memory.iter().flat_map(|shared| shared.paging_servers());
        found.extend(paging);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Prints the elements of a list attribute.
    #[must_use]
    pub fn print_all<E: Element>(elements: &[E], name_of: &NameOf<'_>) -> Vec<String> {
        elements.iter().map(|element| element.print(name_of)).collect()
    }
}
