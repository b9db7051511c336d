//! The entry for fuzzing: frames that anybody may have made must never harm a station.

use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

use crate::dissect::{Dissector, Expression, Style};
use crate::rmc::{self, Client, Message, Server};
use crate::{InterfaceSetup, Prefix, Station};

/// Cuts `data` into frames (two bytes of length before each), gives them to a station that listens and asks, and lets time
/// pass in between.
///
/// # Panics
/// If a message of RMC is not read again as it was written.
pub fn fuzz_one(data: &[u8]) {
    if let Ok(Some((message, length))) = Message::read(data) {
        let again = message.write();
        assert_eq!(again.len(), length);
        assert_eq!(Message::read(&again), Ok(Some((message, length))));
    }
    let mut now = Monotonic(Duration::from_secs(1));
    let mut station = Station::new(1);
    let address = EthernetAddress([2, 0, 0, 0, 0, 2]);
    let id =
        station.add_interface(InterfaceSetup { name: "en0".into(), address, mtu: 1_500, link_local: true });
    let _ = station.add_address(now, id, Prefix::new([10, 0, 0, 2], 24));
    station.set_carrier(now, id, true);
    station.set_forwarding(data.len().is_multiple_of(2));
    let mut server = Server::new("hmc1", 1);
    server.set_running(now, &mut station, true);
    let mut client = Client::new(rmc::Identity { node_id: 2, ..rmc::Identity::default() });
    client.set_consoles(now, &mut station, &[("hmc2".into(), [10, 0, 0, 1].into())]);
    let mut out = Vec::new();
    let style = Style { modern: data.len().is_multiple_of(3), numeric: false };
    let mut dissector = Dissector::new(style, Expression::default());
    let mut rest = data;
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (bytes, next) = after.split_at(length);
        rest = next;
        now = now.after(Duration::from_millis(length as u64));
        dissector.line(bytes);
        if let Ok(frame) = Frame::from_wire(bytes) {
            station.receive(now, id, &frame);
        }
        station.poll(now, &mut out);
        server.poll(now, &mut station);
        client.poll(now, &mut station);
        station.poll(now, &mut out);
        out.clear();
    }
}
