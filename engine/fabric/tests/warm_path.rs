//! A frame on its way allocates nothing once buffers and tables are warm.

#![allow(missing_docs)]

#[path = "../../../varan/tests/support/allocations.rs"]
#[allow(dead_code, reason = "the peak is of no interest here")]
mod allocations;
mod support;

use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, VlanTag};
use varan_fabric::{Place, PortNumber};

use support::{Machine, frame, outside_of, station};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Frames of every kind of way: port, destination, tag.
fn ways(machine: &Machine) -> Vec<(u32, EthernetAddress, EthernetAddress, Option<u16>)> {
    let last = machine.guests;
    vec![
        (1, station(2), station(1), None),
        (last, station(1), station(last), None),
        (1, station(9_999), station(1), None),
        (1, EthernetAddress::BROADCAST, station(1), None),
        (Machine::TRUNK, station(3), station(9_999), None),
        (Machine::TRUNK, station(77_777), station(9_999), None),
        (2, station(1), station(5_555), None),
        (Machine::LOGICAL, station(Machine::NIC), station(Machine::LOGICAL), None),
        (Machine::NIC, station(9_998), station(Machine::NIC), Some(20)),
        (Machine::CABLE, station(Machine::NIC), station(9_998), None),
        (1, station(2), station(1), Some(44)),
    ]
}

#[test]
fn no_frame_allocates_anything() {
    let mut machine = Machine::new(100);
    let ways = ways(&machine);
    let round = |machine: &mut Machine| {
        for (port, destination, source, vlan) in &ways {
            let mut sent = machine.out.pool.take();
            sent.copy_from(&frame(*destination, *source, 1_500));
            sent.tag = vlan.map(VlanTag::of);
            machine.send(*port, sent);
        }
    };
    for _ in 0..10 {
        round(&mut machine);
    }
    let templates = ways.iter().map(|(_, destination, source, _)| frame(*destination, *source, 1_500));
    let templates: Vec<_> = templates.collect();
    let ((), counted) = allocations::counted(|| {
        for _ in 0..1_000 {
            for ((port, _, _, vlan), template) in ways.iter().zip(&templates) {
                let mut sent = machine.out.pool.copy(template);
                sent.tag = vlan.map(VlanTag::of);
                machine.send(*port, sent);
            }
        }
    });
    assert_eq!(counted.allocations, 0, "through a hypervisor");
    let nic = machine.fabric.statistics(PortNumber(Machine::NIC)).expect("plugged in");
    assert!(nic.received_frames > 2_000 && nic.transmitted_frames > 1_000, "{nic:?}");
    assert!(machine.delivered > 100_000, "groups go to all");

    let mut out = varan_fabric::Outbox::new(256);
    let mut outside = outside_of(8);
    let now = Monotonic(Duration::from_secs(5));
    for port in 0..8 {
        outside.carrier(now, PortNumber(port), true, &mut out);
    }
    let templates: Vec<_> = (0..8).map(|port| frame(station((port + 1) % 8), station(port), 1_500)).collect();
    let mut round = |rounds: u32| {
        for _ in 0..rounds {
            for (port, template) in (0..).zip(&templates) {
                let sent = out.pool.copy(template);
                outside.receive(now, PortNumber(port), sent, &mut out);
                while let Some((_, frame)) = out.frames.pop() {
                    out.pool.give(frame);
                }
            }
        }
    };
    round(10);
    let ((), counted) = allocations::counted(|| round(1_000));
    assert_eq!(counted.allocations, 0, "through a switch");
}
