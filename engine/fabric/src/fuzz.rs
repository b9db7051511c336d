//! The entry for fuzzing: whatever frames come into any port, in whatever order with carriers and time, a machine and the
//! switches outside must neither panic nor multiply frames, and guests get none of VLANs that they are not in.

use std::time::Duration;

use varan_contract::engine::{
    AllowedAddresses, AllowedVlans, GuestEthernetPort, GuestLogicalPort, GuestNetworkAdapter,
    GuestVnicAdapter, GuestVnicBackingDevice, GuestVnicServer,
};
use varan_contract::network::{PhysicalPortSetup, VirtualSwitchMode};
use varan_environment::Monotonic;
use varan_ethernet::{Frame, HEADER_BYTES, Offload, VlanTag};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot};
use varan_model::site::topology::{Host, Topology};
use varan_model::site::{CableEnd, Switch, SwitchPort};

use crate::hypervisor::{Heartbeat, HypervisorFabric, PortEnd, PortOwner};
use crate::outside::OutsideFabric;
use crate::{Outbox, Place, PortNumber};

/// Ports of the machine: guests, servers' ends, cables, and one that is not there.
const PORTS: u32 = 20;
const CABLES: [u32; 2] = [14, 15];
/// Ports of guests on switch A without tags: what they get has none.
const UNTAGGED: [u32; 2] = [1, 2];
/// Frames that one frame may become in a place.
const MOST: usize = 4_096;

fn owner(number: u16, end: PortEnd) -> PortOwner {
    let partition = format!("00000000-0000-4000-8000-{number:012x}").parse::<PartitionUuid>();
    PortOwner {
        partition: partition.unwrap_or_else(|_| unreachable!("a UUID")),
        id: PartitionId(number),
        end,
    }
}

fn mac(number: u32) -> MacAddress {
    MacAddress(0x0200_0000_0000 | u64::from(number))
}

fn location(cable: u32) -> String {
    format!("U78CA.001.CSS08ZN-P1-C3-C1-T{cable}")
}

fn logical(number: u32, promiscuous: bool) -> GuestLogicalPort {
    GuestLogicalPort {
        id: LogicalPortId(0x2700_4000 + number),
        location: format!("{}-S{number}", location(CABLES[0])),
        physical_port: location(CABLES[0]),
        description: String::new(),
        mac_address: mac(number),
        port_vlan_id: u16::try_from(number % 2 * 10).unwrap_or(0),
        port_vlan_priority: 3,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        promiscuous,
        capacity: 200,
        maximum_capacity: 10_000,
        offered_address: None,
    }
}

fn plug_ethernet(fabric: &mut HypervisorFabric, now: Monotonic, out: &mut Outbox) {
    for (number, switch, tags, trunk) in [
        (1u16, "A", &[][..], None),
        (2, "A", &[], None),
        (3, "A", &[20, 30], None),
        (4, "B", &[], None),
        (5, "B", &[20], None),
        (6, "A", &[20], Some(1)),
        (7, "A", &[20, 30], Some(2)),
        (8, "B", &[20], Some(1)),
        (9, "A", &[], None),
    ] {
        let port = u32::from(number);
        let mut adapter = GuestNetworkAdapter::untagged(VirtualSlot(2), mac(port), switch, 10);
        adapter.ieee = !tags.is_empty();
        adapter.tagged_vlan_ids = tags.to_vec();
        adapter.trunk_priority = trunk;
        if number == 2 {
            adapter.allowed_addresses = AllowedAddresses::Only(vec![mac(1_000)]);
        }
        let end = if number >= 6 { PortEnd::Link } else { PortEnd::Guest };
        fabric.plug_ethernet(now, PortNumber(port), owner(number, end), &adapter, out);
    }
}

fn machine(now: Monotonic, out: &mut Outbox) -> HypervisorFabric {
    let mut fabric = HypervisorFabric::new(1, Heartbeat::default());
    fabric.put_switch("A", VirtualSwitchMode::Veb, out);
    fabric.put_switch("B", VirtualSwitchMode::Vepa, out);
    plug_ethernet(&mut fabric, now, out);
    for cable in CABLES {
        fabric.put_physical_port(now, PortNumber(cable), &location(cable), out);
    }
    let setup = PhysicalPortSetup {
        location: location(CABLES[0]),
        speed: 10_000,
        maximum_payload: 1_500,
        bridge: true,
    };
    fabric.put_shared_port(now, &setup, out);
    for number in [10u16, 11] {
        let port = logical(u32::from(number), number == 11);
        let owner = owner(number, PortEnd::Guest);
        fabric.plug_logical_port(now, PortNumber(u32::from(number)), owner, &port, out);
    }
    let server = owner(6, PortEnd::Link);
    fabric.plug_control(now, PortNumber(12), server, out);
    let backing = GuestVnicServer {
        slot: VirtualSlot(32_897),
        client: PartitionId(13),
        client_name: String::new(),
        client_slot: VirtualSlot(6),
        priority: 50,
        logical_port: logical(99, false),
    };
    fabric.plug_vnic_server(now, server, &backing, out);
    let nic = GuestVnicAdapter {
        slot: VirtualSlot(6),
        mac_address: mac(13),
        port_vlan_id: 10,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::Only(vec![20]),
        allowed_addresses: AllowedAddresses::All,
        disabled: false,
        auto_priority_failover: true,
        backing_devices: vec![GuestVnicBackingDevice {
            server: server.id,
            server_slot: backing.slot,
            logical_port: backing.logical_port.id,
            priority: 50,
        }],
        preferred: None,
        probe_targets: vec![[10, 0, 0, 1].into()],
        offered_address: None,
    };
    fabric.plug_vnic(now, PortNumber(13), owner(13, PortEnd::Guest), &nic, out);
    let physical = GuestEthernetPort { location: location(CABLES[1]), mac_address: mac(16) };
    fabric.plug_physical(now, PortNumber(16), owner(6, PortEnd::Link), &physical, out);
    for number in 1..=13 {
        fabric.listen(now, owner(number, PortEnd::Guest).partition, true, out);
    }
    fabric
}

fn outside() -> OutsideFabric {
    let port = |name: &str, peer: Option<CableEnd>, native: u16, tagged: &[u16]| SwitchPort {
        name: name.to_owned(),
        peer,
        native_vlan: native,
        tagged_vlans: tagged.to_vec(),
        blocked_ports: vec![22],
    };
    let cable = |number: u32| Some(CableEnd::Tap(number.to_string()));
    let between = CableEnd::SwitchPort { switch: "core".to_owned(), port: "leaf".to_owned() };
    let leaf = vec![
        port("1", cable(0), 10, &[20]),
        port("2", cable(1), 10, &[]),
        port("3", cable(2), 20, &[10]),
        port("up", Some(between), 1, &[10, 20]),
    ];
    let core = vec![
        port("leaf", None, 1, &[10, 20]),
        port("console", Some(CableEnd::Console("hmc1".to_owned())), 10, &[]),
        port("gateway", Some(CableEnd::OutsideHost("gateway".to_owned())), 10, &[20]),
    ];
    let host = |end: CableEnd, addresses: Vec<(Option<u16>, std::net::Ipv4Addr, u8)>, router: bool| Host {
        end,
        addresses,
        router,
    };
    let topology = Topology {
        switches: vec![
            Switch { name: "leaf".to_owned(), ports: leaf },
            Switch { name: "core".to_owned(), ports: core },
        ],
        hosts: vec![
            host(CableEnd::Console("hmc1".to_owned()), vec![(None, [10, 0, 0, 2].into(), 24)], false),
            host(
                CableEnd::OutsideHost("gateway".to_owned()),
                vec![(None, [10, 0, 0, 1].into(), 24), (Some(20), [10, 0, 1, 1].into(), 24)],
                true,
            ),
        ],
    };
    OutsideFabric::new(&topology, 1, |end| match end {
        CableEnd::Tap(number) => number.parse().ok().map(PortNumber),
        _ => None,
    })
}

/// A frame as somebody without scruples hands it in: any bytes, any tag, any word about what is still to be done.
fn hostile(flags: u8, bytes: &[u8], out: &mut Outbox) -> Frame {
    let mut frame = out.pool.take();
    let word = |at: usize| {
        u16::from_be_bytes([bytes.get(at).copied().unwrap_or(0), bytes.get(at + 1).copied().unwrap_or(0)])
    };
    if flags & 1 != 0 {
        frame.tag = Some(VlanTag {
            id: [0, 10, 20, 30, 4_095, word(14) & 0x0FFF][usize::from(flags >> 4) % 6],
            priority: flags >> 5,
        });
    }
    if flags & 2 != 0 {
        frame.offload = Offload {
            checksum: Some((word(16), word(18))),
            segment: (flags & 4 != 0).then_some((word(20), flags & 8 != 0)),
            header_bytes: word(22),
        };
    }
    frame.buffer().extend_from_slice(bytes);
    if flags & 0x0C == 0x0C {
        frame.buffer().resize(bytes.len() * 300, 0);
    }
    frame
}

/// Reads `data` as a list of what happens (what, port, flags, length, bytes) and lets it happen to a machine and to switches
/// that its cables lead to.
///
/// # Panics
/// If a frame multiplies, or somebody gets one that is not his.
pub fn fuzz_one(data: &[u8]) {
    let mut now = Monotonic(Duration::from_secs(10));
    let mut out = Outbox::new(64);
    let mut machine = machine(now, &mut out);
    let mut outside = outside();
    for port in 0..PORTS {
        machine.carrier(now, PortNumber(port), true, &mut out);
        outside.carrier(now, PortNumber(port), true, &mut out);
    }
    out.frames.clear();
    let mut rest = data;
    while let [what, port, flags, length, after @ ..] = rest {
        let (bytes, next) = after.split_at(usize::from(*length).min(after.len()));
        rest = next;
        let port = PortNumber(u32::from(*port) % PORTS);
        match what % 8 {
            0..4 => {
                let frame = hostile(*flags, bytes, &mut out);
                machine.receive(now, port, frame, &mut out);
            }
            4 | 5 => {
                let frame = hostile(*flags, bytes, &mut out);
                outside.receive(now, port, frame, &mut out);
                assert!(out.frames.len() <= MOST, "it multiplies");
                for (cable, frame) in std::mem::take(&mut out.frames) {
                    assert!(frame.bytes().len() >= HEADER_BYTES);
                    machine.receive(now, PortNumber(CABLES[0] + cable.0 % 2), frame, &mut out);
                }
            }
            6 => {
                machine.carrier(now, port, flags & 1 != 0, &mut out);
                outside.carrier(now, port, flags & 2 != 0, &mut out);
            }
            _ => {
                now = now.after(Duration::from_millis(u64::from(*flags) * 10));
                machine.tick(now, &mut out);
                outside.tick(now, &mut out);
                assert!(machine.next_due().is_none_or(|due| due > now), "nothing is due any more");
            }
        }
        assert!(out.frames.len() <= MOST, "it multiplies");
        for (port, frame) in std::mem::take(&mut out.frames) {
            assert!(frame.bytes().len() >= HEADER_BYTES);
            assert!(frame.tag.is_none() || !UNTAGGED.contains(&port.0) || CABLES.contains(&port.0));
            if CABLES.contains(&port.0) {
                outside.receive(now, PortNumber(port.0 - CABLES[0]), frame, &mut out);
            } else {
                out.drop_frame(frame);
            }
        }
        for (_, frame) in std::mem::take(&mut out.frames) {
            out.drop_frame(frame);
        }
        out.carriers.clear();
        machine.take_events();
        outside.take_events();
    }
}
