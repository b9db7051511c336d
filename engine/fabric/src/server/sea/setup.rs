//! How a Shared Ethernet Adapter is set up.

use std::net::Ipv4Addr;

use varan_contract::network::{HighAvailabilityMode, ServerPort, SharedEthernetAdapter};
use varan_ethernet::EthernetAddress;

use super::election::ElectionSetup;
use super::packet::{MOST_TRUNKS, Mode};
use std::time::Duration;

/// A trunk adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkSetup {
    /// Device.
    pub device: String,
    /// Address.
    pub address: EthernetAddress,
    /// Port VLAN.
    pub port_vlan: u16,
    /// Tagged VLANs.
    pub tagged: Vec<u16>,
}

impl TrunkSetup {
    /// Whether it is the same adapter, whatever its tagged VLANs are.
    #[must_use]
    pub fn same_port(&self, other: &Self) -> bool {
        self.device == other.device && self.address == other.address && self.port_vlan == other.port_vlan
    }
}

/// A Shared Ethernet Adapter with what it needs to know of its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeaSetup {
    /// Device.
    pub device: String,
    /// Address: that of the real device.
    pub address: EthernetAddress,
    /// Trunk adapters.
    pub trunks: Vec<TrunkSetup>,
    /// Number of the default one.
    pub default: usize,
    /// VLAN of untagged frames.
    pub default_vlan: u16,
    /// Control channel adapter and its VLAN; `None` for VLAN 4095.
    pub control: Option<(EthernetAddress, u16)>,
    /// Priority of the trunk adapters.
    pub priority: u8,
    /// Largest payload of a frame towards the real device in bytes.
    pub maximum_payload: usize,
    /// `netaddr`.
    pub ping: Option<Ipv4Addr>,
    /// `accounting`.
    pub accounting: bool,
    /// `send_RARP`.
    pub announce: bool,
    /// `poll_uplink`.
    pub poll_uplink: bool,
    mode: Option<Mode>,
    failback_delay: Duration,
    link_time: Duration,
    health_time: Duration,
    no_automatic_failback: bool,
}

impl SeaSetup {
    /// Puts configuration and devices together; `None` where a trunk adapter is missing. `address` is the real device's.
    #[must_use]
    pub fn new<'a>(
        adapter: &SharedEthernetAdapter,
        address: EthernetAddress,
        port: impl Fn(&str) -> Option<&'a ServerPort>,
    ) -> Option<Self> {
        let ports: Vec<&ServerPort> =
            adapter.virtuals.iter().take(MOST_TRUNKS).map(|device| port(device)).collect::<Option<_>>()?;
        let trunk = |port: &&ServerPort| TrunkSetup {
            device: port.device.clone(),
            address: ethernet_address(port),
            port_vlan: port.port_vlan_id,
            tagged: port.tagged_vlan_ids.clone(),
        };
        let control = match &adapter.control_channel {
            None => None,
            Some(device) => port(device).map(|port| (ethernet_address(port), port.port_vlan_id)),
        };
        Some(Self {
            device: adapter.device.clone(),
            address,
            trunks: ports.iter().map(trunk).collect(),
            default: adapter.virtuals.iter().position(|device| *device == adapter.default)?,
            default_vlan: adapter.default_vlan,
            control,
            priority: ports.iter().filter_map(|port| port.trunk_priority).min().unwrap_or(1),
            maximum_payload: if adapter.jumbo_frames { 9_000 } else { 1_500 },
            ping: adapter.ping,
            accounting: adapter.accounting,
            announce: adapter.announce,
            poll_uplink: adapter.poll_uplink,
            mode: match adapter.mode {
                HighAvailabilityMode::Disabled => None,
                HighAvailabilityMode::Auto => Some(Mode::Auto),
                HighAvailabilityMode::Standby => Some(Mode::Standby),
                HighAvailabilityMode::Sharing => Some(Mode::Sharing),
            },
            failback_delay: adapter.failback_delay,
            link_time: adapter.link_time,
            health_time: adapter.health_time,
            no_automatic_failback: adapter.no_automatic_failback,
        })
    }

    pub(super) fn election(&self) -> ElectionSetup {
        ElectionSetup {
            name: self.address,
            mode: self.mode,
            priority: self.priority,
            trunks: self.trunks.iter().map(|trunk| trunk.port_vlan).collect(),
            failback_delay: self.failback_delay,
            link_time: self.link_time,
            health_time: self.health_time,
            no_automatic_failback: self.no_automatic_failback,
        }
    }

    /// Whether a Shared Ethernet Adapter can go on with another set-up: its real device and its control channel are the same.
    #[must_use]
    pub fn can_become(&self, other: &Self) -> bool {
        let channel = |setup: &Self| match setup.control {
            Some(control) => Some(control),
            None => setup.trunks.get(setup.default).map(|trunk| (trunk.address, trunk.port_vlan)),
        };
        self.device == other.device
            && self.address == other.address
            && self.control.is_some() == other.control.is_some()
            && channel(self) == channel(other)
    }

    /// The trunk adapter of a VLAN.
    #[must_use]
    pub fn trunk_of(&self, vlan: u16) -> Option<usize> {
        self.trunks.iter().position(|trunk| trunk.port_vlan == vlan || trunk.tagged.contains(&vlan))
    }

    /// The trunk adapter of a frame from outside: one tagged with the port VLAN of another than the default one has none.
    #[must_use]
    pub fn trunk_from_outside(&self, vlan: u16) -> Option<usize> {
        if vlan == self.default_vlan {
            return Some(self.default);
        }
        self.trunks.iter().position(|trunk| trunk.tagged.contains(&vlan))
    }
}

/// The address of an adapter as it stands in frames.
#[must_use]
pub fn ethernet_address(port: &ServerPort) -> EthernetAddress {
    let [_, _, address @ ..] = port.mac_address.0.to_be_bytes();
    EthernetAddress(address)
}
