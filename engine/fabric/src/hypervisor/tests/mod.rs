//! A hypervisor with ports on a bench: what goes in, and what comes out where.

mod embedded;
mod nics;
mod random;
mod virtual_switch;

use std::time::Duration;

use varan_contract::engine::{
    AllowedAddresses, AllowedVlans, GuestEthernetPort, GuestLogicalPort, GuestNetworkAdapter,
    GuestVnicAdapter, GuestVnicBackingDevice, GuestVnicServer,
};
use varan_contract::network::{PhysicalPortSetup, VirtualSwitchMode};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, VlanTag};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot};

use super::*;
use crate::control::Control;

pub(super) const SWITCH: &str = "ETHERNET0";
pub(super) const CABLE: &str = "U78CA.001.CSS08ZN-P1-C3-C1-T1";
pub(super) const OTHER_CABLE: &str = "U78CA.001.CSS08ZN-P1-C3-C1-T2";

/// Address of station number n.
pub(super) fn mac(number: u32) -> MacAddress {
    MacAddress(0x0200_0000_0000 | u64::from(number))
}

pub(super) fn station(number: u32) -> EthernetAddress {
    port::ethernet(mac(number))
}

pub(super) fn partition(number: u16) -> PartitionUuid {
    format!("00000000-0000-4000-8000-{number:012x}").parse().expect("a UUID")
}

pub(super) fn frame(destination: EthernetAddress, source: EthernetAddress) -> Frame {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&destination.0);
    bytes.extend_from_slice(&source.0);
    bytes.extend_from_slice(&[0x08, 0x00]);
    bytes.resize(60, 0xA5);
    Frame::new(bytes).expect("a frame")
}

pub(super) fn tagged(mut frame: Frame, id: u16, priority: u8) -> Frame {
    frame.tag = Some(VlanTag { id, priority });
    frame
}

/// What came out: port and tag, sorted.
pub(super) type Got = Vec<(u32, Option<u16>)>;

pub(super) struct Bench {
    pub(super) fabric: HypervisorFabric,
    pub(super) out: Outbox,
    pub(super) now: Monotonic,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut bench = Self {
            fabric: HypervisorFabric::new(7, Heartbeat::default()),
            out: Outbox::new(64),
            now: Monotonic(Duration::from_secs(1_000)),
        };
        bench.fabric.put_switch(SWITCH, VirtualSwitchMode::Veb, &mut bench.out);
        bench
    }

    pub(super) fn owner(number: u16, end: PortEnd) -> PortOwner {
        PortOwner { partition: partition(number), id: PartitionId(number), end }
    }

    pub(super) fn adapter(number: u32, vlan: u16) -> GuestNetworkAdapter {
        GuestNetworkAdapter::untagged(VirtualSlot(2), mac(number), SWITCH, vlan)
    }

    /// A guest's adapter at port n, of partition n and station n.
    pub(super) fn guest(&mut self, number: u16, change: impl FnOnce(&mut GuestNetworkAdapter), vlan: u16) {
        let mut adapter = Self::adapter(u32::from(number), vlan);
        change(&mut adapter);
        let owner = Self::owner(number, PortEnd::Guest);
        let port = PortNumber(u32::from(number));
        self.fabric.plug_ethernet(self.now, port, owner, &adapter, &mut self.out);
        self.fabric.listen(self.now, owner.partition, true, &mut self.out);
    }

    /// A server's adapter at port n, with a carrier.
    pub(super) fn server(&mut self, number: u16, vlan: u16, tags: &[u16], trunk: Option<u8>) {
        let mut adapter = Self::adapter(u32::from(number), vlan);
        adapter.ieee = !tags.is_empty();
        adapter.tagged_vlan_ids = tags.to_vec();
        adapter.trunk_priority = trunk;
        let owner = Self::owner(number, PortEnd::Link);
        let port = PortNumber(u32::from(number));
        self.fabric.plug_ethernet(self.now, port, owner, &adapter, &mut self.out);
        self.fabric.carrier(self.now, port, true, &mut self.out);
    }

    pub(super) fn say(&mut self, number: u16, bridges: bool) {
        self.say_uplink(number, bridges, None);
    }

    pub(super) fn say_uplink(&mut self, number: u16, bridges: bool, uplink: Option<bool>) {
        let mut message = Frame::default();
        Control::Trunk { bridges, uplink }.write(station(u32::from(number)), &mut message);
        self.fabric.receive(self.now, PortNumber(u32::from(number)), message, &mut self.out);
    }

    /// Sends a frame into a port; what comes out.
    pub(super) fn send(&mut self, port: u32, frame: Frame) -> Got {
        self.out.frames.clear();
        self.fabric.receive(self.now, PortNumber(port), frame, &mut self.out);
        self.got()
    }

    /// From station to station, each of its own port, untagged.
    pub(super) fn unicast(&mut self, from: u32, to: u32) -> Got {
        self.send(from, frame(station(to), station(from)))
    }

    pub(super) fn broadcast(&mut self, from: u32) -> Got {
        self.send(from, frame(EthernetAddress::BROADCAST, station(from)))
    }

    pub(super) fn got(&mut self) -> Got {
        let mut got: Got =
            self.out.frames.drain(..).map(|(port, frame)| (port.0, frame.tag.map(|tag| tag.id))).collect();
        got.sort_unstable();
        got
    }

    pub(super) fn pass_time(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.fabric.tick(self.now, &mut self.out);
    }

    pub(super) fn counters(&self, port: u32) -> varan_contract::network::PortStatistics {
        self.fabric.statistics(PortNumber(port)).expect("plugged in")
    }

    pub(super) fn physical(&mut self, port: u32, location: &str, bridge: bool) {
        let setup = PhysicalPortSetup {
            location: location.to_owned(),
            speed: 10_000,
            maximum_payload: 1_500,
            bridge,
        };
        self.fabric.put_physical_port(self.now, PortNumber(port), location, &mut self.out);
        self.fabric.put_shared_port(self.now, &setup, &mut self.out);
        self.fabric.carrier(self.now, PortNumber(port), true, &mut self.out);
    }

    pub(super) fn logical_spec(number: u32, location: &str) -> GuestLogicalPort {
        GuestLogicalPort {
            id: LogicalPortId(0x2700_4000 + number),
            location: format!("{location}-S{number}"),
            physical_port: location.to_owned(),
            description: "PCIe3 4-Port 10GbE SR Adapter".to_owned(),
            mac_address: mac(number),
            port_vlan_id: 0,
            port_vlan_priority: 0,
            allowed_vlans: AllowedVlans::All,
            allowed_addresses: AllowedAddresses::All,
            promiscuous: false,
            capacity: 200,
            maximum_capacity: 10_000,
            offered_address: None,
        }
    }

    /// A guest's logical port at port n.
    pub(super) fn logical(
        &mut self,
        number: u16,
        location: &str,
        change: impl FnOnce(&mut GuestLogicalPort),
    ) {
        let mut spec = Self::logical_spec(u32::from(number), location);
        change(&mut spec);
        let owner = Self::owner(number, PortEnd::Guest);
        let port = PortNumber(u32::from(number));
        self.fabric.plug_logical_port(self.now, port, owner, &spec, &mut self.out);
        self.fabric.listen(self.now, owner.partition, true, &mut self.out);
    }
}
