//! The entry for fuzzing: frames that anybody may have made must never harm a server, nor make it send without end.

use std::time::Duration;

use varan_contract::network::{
    AggregationMode, HighAvailabilityMode, LinkAggregation, PortPlace, ServerInterface,
    ServerNetworkConfiguration, ServerPort, SharedEthernetAdapter,
};
use varan_environment::Monotonic;
use varan_ethernet::Frame;
use varan_model::ids::{MacAddress, VirtualSlot};
use varan_station::rmc::Identity;

use super::ServerFabric;
use super::lacp::Lacpdu;
use super::sea::packet::Packet;
use crate::place::{Outbox, Place, PortNumber};

/// Frames that one frame may lead to: announcements of clients and fragments are the most.
const MOST: usize = 4_096;

fn port(number: u16, trunk: Option<u8>) -> ServerPort {
    let place = match trunk {
        None if number < 10 => PortPlace::Physical(format!("U1-T{number}")),
        _ => PortPlace::Virtual(VirtualSlot(number)),
    };
    ServerPort {
        device: format!("ent{number}"),
        place,
        mac_address: MacAddress(0x0200_0000_0000 | u64::from(number)),
        port_vlan_id: number,
        tagged_vlan_ids: trunk.map(|_| vec![number + 100, number + 200]).unwrap_or_default(),
        trunk_priority: trunk,
        virtual_switch: "ETHERNET0".to_owned(),
        jumbo_frames: false,
        poll_uplink: None,
    }
}

/// Ports 1 and 2 aggregated with LACP, trunk adapters 10 and 11, and 12 as control channel if `channel`.
fn configuration(channel: bool, mode: HighAvailabilityMode) -> ServerNetworkConfiguration {
    let name = |number: u16| format!("ent{number}");
    ServerNetworkConfiguration {
        ports: vec![port(1, None), port(2, None), port(10, Some(1)), port(11, Some(1)), port(12, None)],
        aggregations: vec![LinkAggregation {
            device: name(5),
            adapters: vec![name(1), name(2)],
            backup: None,
            mode: AggregationMode::Ieee8023ad,
            hash_mode: "src_dst_port".to_owned(),
            ping: None,
            retries: 3,
            retry_seconds: 1,
            auto_recovery: true,
        }],
        bridges: vec![SharedEthernetAdapter {
            device: name(20),
            real: name(5),
            virtuals: vec![name(10), name(11)],
            default: name(10),
            default_vlan: 10,
            mode,
            control_channel: channel.then(|| name(12)),
            ping: Some([10, 0, 0, 254].into()),
            failback_delay: Duration::from_secs(1),
            link_time: Duration::from_secs(1),
            health_time: Duration::from_secs(1),
            no_automatic_failback: false,
            jumbo_frames: false,
            large_send: true,
            large_receive: false,
            accounting: true,
            threads: true,
            thread_count: 7,
            quality_of_service: "disabled".to_owned(),
            announce: true,
            poll_uplink: true,
        }],
        interfaces: vec![ServerInterface {
            name: "en20".to_owned(),
            device: name(20),
            address: Some(([10, 0, 0, 1].into(), 24)),
            mtu: 1_500,
            up: true,
        }],
        ..ServerNetworkConfiguration::default()
    }
}

/// Cuts `data` into frames (a byte that chooses the port and lets time pass, two bytes of length) and gives them to a server;
/// the first byte chooses its configuration.
///
/// # Panics
/// If a packet is not read again as it was written, or the server answers without end.
pub fn fuzz_one(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    let modes = [HighAvailabilityMode::Auto, HighAvailabilityMode::Sharing, HighAvailabilityMode::Disabled];
    let mode = modes[usize::from(first >> 1) % modes.len()];
    let mut now = Monotonic(Duration::from_secs(1));
    let mut out = Outbox::new(64);
    let mut server = ServerFabric::new(PortNumber(0), 1, Identity::default());
    let configuration = configuration(first & 1 == 1, mode);
    for port in &configuration.ports {
        let number = PortNumber(u32::from(port.port_vlan_id));
        server.bind(now, port.place.clone(), number, &mut out);
        server.carrier(now, number, true, &mut out);
    }
    server.configure(now, configuration, &mut out);
    let mut rest = data;
    while let [choice, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (wire, next) = after.split_at(length);
        rest = next;
        now = now.after(Duration::from_millis(u64::from(choice >> 3) * 20));
        out.frames.clear();
        if server.next_due().is_some_and(|due| due <= now) {
            server.tick(now, &mut out);
        }
        if let Ok(frame) = Frame::from_wire(wire) {
            check_parsers(&frame);
            let port = [0, 1, 2, 10, 11, 12, 10, 1][usize::from(choice & 7)];
            server.receive(now, PortNumber(port), frame, &mut out);
        }
        assert!(out.frames.len() <= MOST, "{} frames", out.frames.len());
    }
    server.take_events();
}

fn check_parsers(frame: &Frame) {
    let mut again = Frame::default();
    if let Some(packet) = Packet::read(frame) {
        packet.write(frame.tag, &mut again);
        assert_eq!(Packet::read(&again), Some(packet));
    }
    if let Some(packet) = Lacpdu::read(frame) {
        packet.write(frame.source(), &mut again);
        assert_eq!(Lacpdu::read(&again), Some(packet));
    }
}
