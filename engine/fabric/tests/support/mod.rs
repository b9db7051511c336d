//! A machine with many partitions, and switches outside.

#![allow(dead_code, reason = "each test uses its part")]

use std::time::Duration;

use varan_contract::engine::{
    AllowedAddresses, AllowedVlans, GuestLogicalPort, GuestNetworkAdapter, GuestVnicAdapter,
    GuestVnicBackingDevice, GuestVnicServer,
};
use varan_contract::network::{PhysicalPortSetup, VirtualSwitchMode};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};
use varan_fabric::control::Control;
use varan_fabric::hypervisor::{Heartbeat, HypervisorFabric, PortEnd, PortOwner};
use varan_fabric::outside::OutsideFabric;
use varan_fabric::{Outbox, Place, PortNumber};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot};
use varan_model::site::topology::Topology;
use varan_model::site::{CableEnd, Switch, SwitchPort};

/// Location code of the physical port.
pub const LOCATION: &str = "U78CA.001.CSS08ZN-P1-C3-C1-T1";

pub fn mac(number: u32) -> MacAddress {
    MacAddress(0x0200_0000_0000 | u64::from(number))
}

pub fn station(number: u32) -> EthernetAddress {
    let [a, b, c, d] = number.to_be_bytes();
    EthernetAddress([2, 0, a, b, c, d])
}

pub fn owner(number: u32, end: PortEnd) -> PortOwner {
    let partition: PartitionUuid = format!("00000000-0000-4000-8000-{number:012x}").parse().expect("a UUID");
    PortOwner { partition, id: PartitionId(u16::try_from(number).expect("small")), end }
}

/// A frame of so many bytes.
pub fn frame(destination: EthernetAddress, source: EthernetAddress, length: usize) -> Frame {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&destination.0);
    bytes.extend_from_slice(&source.0);
    bytes.extend_from_slice(&[0x08, 0x00]);
    bytes.resize(length, 0xA5);
    Frame::new(bytes).expect("a frame")
}

pub fn logical_port(number: u32, location: &str, vlan: u16) -> GuestLogicalPort {
    GuestLogicalPort {
        id: LogicalPortId(0x2700_4000 + number),
        location: format!("{location}-S{number}"),
        physical_port: location.to_owned(),
        description: "PCIe3 4-Port 10GbE SR Adapter".to_owned(),
        mac_address: mac(number),
        port_vlan_id: vlan,
        port_vlan_priority: 0,
        allowed_vlans: if vlan == 0 { AllowedVlans::All } else { AllowedVlans::None },
        allowed_addresses: AllowedAddresses::All,
        promiscuous: false,
        capacity: 200,
        maximum_capacity: 10_000,
        offered_address: None,
    }
}

/// A virtual NIC of station n: server, logical port, priority of each backing device.
pub fn virtual_nic(number: u32, vlan: u16, devices: &[(u32, u32, u8)]) -> GuestVnicAdapter {
    let device = |(server, logical, priority): &(u32, u32, u8)| GuestVnicBackingDevice {
        server: owner(*server, PortEnd::Link).id,
        server_slot: server_slot(*logical),
        logical_port: LogicalPortId(0x2700_4000 + logical),
        priority: *priority,
    };
    GuestVnicAdapter {
        slot: VirtualSlot(6),
        mac_address: mac(number),
        port_vlan_id: vlan,
        port_vlan_priority: 0,
        allowed_vlans: if vlan == 0 { AllowedVlans::All } else { AllowedVlans::None },
        allowed_addresses: AllowedAddresses::All,
        disabled: false,
        auto_priority_failover: true,
        backing_devices: devices.iter().map(device).collect(),
        preferred: None,
        probe_targets: Vec::new(),
        offered_address: None,
    }
}

fn server_slot(logical: u32) -> VirtualSlot {
    VirtualSlot(u16::try_from(32_897 + logical % 1_000).expect("small"))
}

/// The server's end of a backing device.
pub fn virtual_nic_server(client: u32, logical: u32, location: &str) -> GuestVnicServer {
    GuestVnicServer {
        slot: server_slot(logical),
        client: owner(client, PortEnd::Guest).id,
        client_name: format!("lpar{client}"),
        client_slot: VirtualSlot(6),
        priority: 50,
        logical_port: logical_port(logical, location, 0),
    }
}

pub fn physical_port(location: &str) -> PhysicalPortSetup {
    PhysicalPortSetup { location: location.to_owned(), speed: 10_000, maximum_payload: 1_500, bridge: true }
}

/// A hypervisor with guests 1 to n on one virtual switch, a trunk, a physical port, a logical port and a virtual NIC.
pub struct Machine {
    pub fabric: HypervisorFabric,
    pub out: Outbox,
    pub now: Monotonic,
    pub guests: u32,
    /// Frames that came out.
    pub delivered: u64,
}

impl Machine {
    pub const TRUNK: u32 = 5_000;
    pub const CABLE: u32 = 5_001;
    pub const CONTROL: u32 = 5_002;
    pub const LOGICAL: u32 = 5_003;
    pub const NIC: u32 = 5_004;

    pub fn new(guests: u32) -> Self {
        let mut machine = Self {
            fabric: HypervisorFabric::new(0x5EED, Heartbeat::default()),
            out: Outbox::new(8_192),
            now: Monotonic(Duration::from_secs(1_000)),
            guests,
            delivered: 0,
        };
        let Self { fabric, out, now, .. } = &mut machine;
        let now = *now;
        fabric.put_switch("ETHERNET0", VirtualSwitchMode::Veb, out);
        for number in 1..=guests {
            let adapter = GuestNetworkAdapter::untagged(VirtualSlot(2), mac(number), "ETHERNET0", 10);
            let owner = owner(number, PortEnd::Guest);
            fabric.plug_ethernet(now, PortNumber(number), owner, &adapter, out);
            fabric.listen(now, owner.partition, true, out);
        }
        let mut trunk = GuestNetworkAdapter::untagged(VirtualSlot(2), mac(Self::TRUNK), "ETHERNET0", 10);
        trunk.trunk_priority = Some(1);
        let server = owner(Self::TRUNK, PortEnd::Link);
        fabric.plug_ethernet(now, PortNumber(Self::TRUNK), server, &trunk, out);
        fabric.carrier(now, PortNumber(Self::TRUNK), true, out);
        fabric.plug_control(now, PortNumber(Self::CONTROL), server, out);
        fabric.carrier(now, PortNumber(Self::CONTROL), true, out);
        let mut said = Frame::default();
        Control::Trunk { bridges: true, uplink: None }.write(station(Self::TRUNK), &mut said);
        fabric.receive(now, PortNumber(Self::TRUNK), said, out);
        fabric.put_physical_port(now, PortNumber(Self::CABLE), LOCATION, out);
        fabric.put_shared_port(now, &physical_port(LOCATION), out);
        fabric.carrier(now, PortNumber(Self::CABLE), true, out);
        let guest = owner(Self::LOGICAL, PortEnd::Guest);
        let port = logical_port(Self::LOGICAL, LOCATION, 0);
        fabric.plug_logical_port(now, PortNumber(Self::LOGICAL), guest, &port, out);
        fabric.listen(now, guest.partition, true, out);
        fabric.plug_vnic_server(now, server, &virtual_nic_server(Self::NIC, 17, LOCATION), out);
        let client = owner(Self::NIC, PortEnd::Guest);
        let nic = virtual_nic(Self::NIC, 0, &[(Self::TRUNK, 17, 50)]);
        fabric.plug_vnic(now, PortNumber(Self::NIC), client, &nic, out);
        fabric.listen(now, client.partition, true, out);
        out.frames.clear();
        machine
    }

    /// Sends a frame; what comes out is counted and given back.
    pub fn send(&mut self, port: u32, frame: Frame) {
        self.fabric.receive(self.now, PortNumber(port), frame, &mut self.out);
        while let Some((_, frame)) = self.out.frames.pop() {
            self.delivered += 1;
            self.out.pool.give(frame);
        }
    }
}

/// A switch with so many ports that lead elsewhere, all in one VLAN.
pub fn outside_of(ports: u32) -> OutsideFabric {
    let port = |number: u32| SwitchPort {
        name: number.to_string(),
        peer: Some(CableEnd::Tap(number.to_string())),
        native_vlan: 1,
        tagged_vlans: Vec::new(),
        blocked_ports: Vec::new(),
    };
    let switch = Switch { name: "leaf".to_owned(), ports: (0..ports).map(port).collect() };
    let topology = Topology { switches: vec![switch], hosts: Vec::new() };
    OutsideFabric::new(&topology, 3, |end| match end {
        CableEnd::Tap(number) => number.parse().ok().map(PortNumber),
        _ => None,
    })
}
