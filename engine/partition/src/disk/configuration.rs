//! What a guest keeps on its boot disk.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use varan_contract::block::Udid;
use varan_contract::engine::{AdapterAddress, Installation, Personality};
use varan_model::ids::{MacAddress, MachineIdentity, PartitionId, VirtualSlot};

/// Most entries of the error log; the oldest is dropped first. It keeps the store well inside its 64 KiB.
pub const ERROR_LOG_ENTRIES: usize = 128;

/// Most attributes that differ from their default.
pub const ODM_ATTRIBUTES: usize = 64;

/// Most devices of one guest; adapters beyond it stay without. It keeps the store well inside its 64 KiB.
pub const ODM_DEVICES: usize = 256;

/// How the first Ethernet interface is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Address and prefix length.
    Fixed(Ipv4Addr, u8),
    /// Asks for an address.
    Dhcp,
    /// Not configured: the state after the ODM was recreated.
    Unconfigured,
}

/// A device that the operating system has configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OdmDevice {
    /// Logical name, such as `ent0`.
    pub name: String,
    /// Virtual slot of the adapter.
    pub slot: VirtualSlot,
    /// MAC address by which it is recognized.
    pub mac_address: MacAddress,
}

/// An adapter without a MAC address that the operating system has configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OdmAdapter {
    /// Logical name, such as `vscsi0`.
    pub name: String,
    /// Where it is.
    pub address: AdapterAddress,
    /// Port of the adapter, where it has several.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// How an Ethernet interface besides the first one is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OdmInterface {
    /// Ethernet device below it, such as `ent1`.
    pub device: String,
    /// Address.
    pub address: Ipv4Addr,
    /// Length of the prefix of its network.
    pub prefix: u8,
}

/// A disk of a Virtual I/O Server that the operating system has configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OdmDisk {
    /// Logical name, such as `hdisk1`.
    pub name: String,
    /// Identifier by which it is recognized.
    pub udid: Udid,
    /// `hcheck_interval`, in seconds; 0 is never.
    #[serde(default)]
    pub health_check_seconds: u32,
}

/// One entry of the error log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLogEntry {
    /// Error identifier, such as 0x9DBCFDEE.
    pub identifier: u32,
    /// Sequence number, rising from 1.
    pub sequence: u32,
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub seconds: i64,
    /// Machine id (`uname -m`) of the machine that the entry was made on.
    pub machine: u64,
    /// What the entry is about, where it is not what all entries of its identifier are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Lines of detail data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Everything that a guest keeps on its boot disk, so that a clone boots as its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootConfiguration {
    /// Operating system installed.
    pub personality: Personality,
    /// Its level, as [`Installation::level`].
    pub level: String,
    /// Host name.
    pub hostname: String,
    /// First Ethernet interface.
    pub network: Network,
    /// Password of root.
    pub root_password: String,
    /// Password of padmin (VIOS only).
    pub padmin_password: String,
    /// RSCT node id.
    pub rsct_node_id: u64,
    /// `ghostdev` of sys0: recreate the ODM when the machine or partition changed.
    pub ghostdev: bool,
    /// Other attributes of sys0 that differ from their default.
    pub attributes: Vec<(String, String)>,
    /// Configured Ethernet adapters.
    pub devices: Vec<OdmDevice>,
    /// Configured adapters that are no virtual Ethernet adapters.
    #[serde(default)]
    pub adapters: Vec<OdmAdapter>,
    /// Disks of Virtual I/O Servers.
    #[serde(default)]
    pub disks: Vec<OdmDisk>,
    /// Devices that are known but not in use: state Defined.
    #[serde(default)]
    pub defined: Vec<String>,
    /// Machine and partition number of the last boot; `None` before the first.
    pub last_identity: Option<(MachineIdentity, PartitionId)>,
    /// Further Ethernet interfaces with an address.
    #[serde(default)]
    pub interfaces: Vec<OdmInterface>,
    /// Default gateway.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// The error log, oldest first.
    pub error_log: Vec<ErrorLogEntry>,
    /// Sequence number of the next error log entry.
    pub next_error_sequence: u32,
}

impl BootConfiguration {
    /// A freshly installed system.
    #[must_use]
    pub fn install(installation: &Installation, rsct_node_id: u64) -> Self {
        let network = match installation.address {
            Some((address, prefix)) => Network::Fixed(address, prefix),
            None => Network::Dhcp,
        };
        let padmin = installation.personality == Personality::VirtualIoServer;
        Self {
            personality: installation.personality,
            level: installation.level.clone(),
            hostname: installation.hostname.clone(),
            network,
            root_password: if padmin { "padmin" } else { "abc123" }.to_owned(),
            padmin_password: "padmin".to_owned(),
            rsct_node_id,
            ghostdev: false,
            attributes: Vec::new(),
            devices: Vec::new(),
            adapters: Vec::new(),
            disks: Vec::new(),
            defined: Vec::new(),
            last_identity: None,
            interfaces: Vec::new(),
            gateway: None,
            error_log: Vec::new(),
            next_error_sequence: 1,
        }
    }

    /// Appends to the error log, dropping the oldest entry when it is full.
    pub fn log_error(&mut self, identifier: u32, seconds: i64, machine: u64) {
        self.log_error_of(identifier, seconds, machine, (None, None));
    }

    /// Appends an entry about something of its own, with its detail data.
    pub fn log_error_of(
        &mut self,
        identifier: u32,
        seconds: i64,
        machine: u64,
        (resource, detail): (Option<String>, Option<String>),
    ) {
        if self.error_log.len() >= ERROR_LOG_ENTRIES {
            self.error_log.remove(0);
        }
        let sequence = self.next_error_sequence;
        self.next_error_sequence = sequence.wrapping_add(1);
        self.error_log.push(ErrorLogEntry { identifier, sequence, seconds, machine, resource, detail });
    }

    /// Throws away all customization of devices and attributes, as `ghostdev=1` does on another machine.
    pub fn recreate_odm(&mut self) {
        self.hostname = "localhost".to_owned();
        self.network = Network::Unconfigured;
        self.ghostdev = false;
        self.attributes.clear();
        self.devices.clear();
        self.adapters.clear();
        self.disks.clear();
        self.defined.clear();
        self.interfaces.clear();
        self.gateway = None;
    }

    /// Bytes on the heap behind this value.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        let strings = [&self.level, &self.hostname, &self.root_password, &self.padmin_password];
        let text: usize = strings.iter().map(|text| text.capacity()).sum();
        let attributes: usize =
            self.attributes.iter().map(|(name, value)| 48 + name.capacity() + value.capacity()).sum();
        let devices: usize =
            self.devices.iter().map(|device| size_of::<OdmDevice>() + device.name.capacity()).sum();
        let adapters: usize =
            self.adapters.iter().map(|adapter| size_of::<OdmAdapter>() + adapter.name.capacity()).sum();
        let defined: usize = self.defined.iter().map(|name| size_of::<String>() + name.capacity()).sum();
        let disks: usize =
            self.disks.iter().map(|disk| size_of::<OdmDisk>() + disk.name.capacity() + 64).sum();
        let interfaces = self.interfaces.capacity() * size_of::<OdmInterface>();
        let devices = devices + adapters + disks + defined + interfaces;
        let log = self.error_log.capacity() * size_of::<ErrorLogEntry>();
        (text + attributes + devices + log) as u64
    }
}
