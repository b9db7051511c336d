//! The way of a frame in.

use std::net::IpAddr;
use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{Frame, TYPE_ARP, TYPE_IPV4, TYPE_IPV6};

use crate::filter::{Direction, allows};
use crate::output::HOPS;
use crate::packet::{
    ICMP, ICMPV6, Packet, SHORT_HEADER, TCP, UDP, control_message, payload_is_whole, read, word, write,
};
use crate::station::is_unicast;
use crate::{Datagram, InterfaceId, Station};

/// Errors are reported to senders at most so often.
const ERROR_INTERVAL: Duration = Duration::from_millis(1);

impl Station {
    /// A frame came in by an interface. Whatever it holds, it does no harm.
    pub fn receive(&mut self, now: Monotonic, id: InterfaceId, frame: &Frame) {
        let Some(interface) = self.interface_mut(id) else { return };
        let to = frame.destination();
        if !interface.up || frame.tag.is_some_and(|tag| tag.id != 0) {
            interface.counters.receive_drops += 1;
            return;
        }
        if !to.is_group() && to != interface.address() {
            return;
        }
        let counters = &mut interface.counters;
        counters.received_frames += 1;
        counters.received_bytes += frame.wire_bytes() as u64;
        counters.received_broadcasts += u64::from(to.is_broadcast());
        counters.received_multicasts += u64::from(to.is_group() && !to.is_broadcast());
        self.observe(now, id, false, frame.bytes());
        let taken = match frame.ethernet_type() {
            TYPE_ARP => self.receive_arp(now, id, frame.payload()),
            TYPE_IPV4 | TYPE_IPV6 => {
                // Whoever left the checksum to others has not damaged the packet on a wire.
                self.receive_packet(now, Some(id), frame.payload(), frame.offload.checksum.is_none())
            }
            _ => Some(()),
        };
        if taken.is_none()
            && let Some(interface) = self.interface_mut(id)
        {
            interface.counters.receive_errors += 1;
        }
    }

    /// Packets of the station to itself, also those that these bring forth.
    pub(crate) fn receive_local(&mut self, now: Monotonic) {
        for _ in 0..1_024 {
            let Some(bytes) = self.local.pop_front() else { return };
            let _ = self.receive_packet(now, None, &bytes, true);
        }
        self.local.clear();
    }

    /// `None` for a packet that is damaged.
    fn receive_packet(
        &mut self,
        now: Monotonic,
        id: Option<InterfaceId>,
        bytes: &[u8],
        check: bool,
    ) -> Option<()> {
        let packet = read(bytes)?;
        if !is_unicast(packet.source) && !packet.source.is_unspecified() {
            return None;
        }
        if id.is_some() && (packet.source.is_loopback() || packet.destination.is_loopback()) {
            return None;
        }
        if !self.is_for_us(packet.destination) {
            if let Some(id) = id.filter(|_| self.forwarding) {
                self.forward(now, id, &packet);
            }
            return Some(());
        }
        if let Some(id) = id
            && !allows(&self.rules, Direction::In, id, &packet)
        {
            if let Some(interface) = self.interface_mut(id) {
                interface.counters.receive_drops += 1;
            }
            return Some(());
        }
        let Some((identification, offset, more)) = packet.fragment else {
            return self.receive_whole(now, id, &packet, check);
        };
        let key = (packet.source, packet.destination, packet.protocol, identification);
        let Some(payload) = self.reassembly.take(now, key, offset, more, packet.payload) else {
            return Some(());
        };
        self.receive_whole(now, id, &Packet { fragment: None, payload: &payload, ..packet }, check)
    }

    fn receive_whole(
        &mut self,
        now: Monotonic,
        id: Option<InterfaceId>,
        packet: &Packet<'_>,
        check: bool,
    ) -> Option<()> {
        if check && !payload_is_whole(packet) {
            return None;
        }
        match (packet.protocol, packet.source) {
            (ICMP, IpAddr::V4(_)) | (ICMPV6, IpAddr::V6(_)) => self.receive_control(now, id, packet),
            (UDP, _) => self.receive_datagram(now, id, packet),
            (TCP, _) => {
                self.receive_segment(now, id, packet);
                Some(())
            }
            _ => Some(()),
        }
    }

    fn is_for_us(&self, to: IpAddr) -> bool {
        if to.is_multicast() || self.has_address(to) {
            return true;
        }
        let IpAddr::V4(to) = to else { return false };
        to.is_broadcast()
            || self
                .interfaces()
                .any(|(_, interface)| interface.addresses().iter().any(|own| own.broadcast() == Some(to)))
    }

    fn receive_datagram(
        &mut self,
        now: Monotonic,
        id: Option<InterfaceId>,
        packet: &Packet<'_>,
    ) -> Option<()> {
        let (from, port) = (word(packet.payload, 0)?, word(packet.payload, 2)?);
        let bytes = packet.payload.get(SHORT_HEADER..usize::from(word(packet.payload, 4)?))?.to_vec();
        let datagram =
            Datagram { interface: id, source: (packet.source, from), destination: packet.destination, bytes };
        if !self.keep_datagram(port, datagram) {
            self.report(now, id, packet, Trouble::NoPort);
        }
        Some(())
    }

    fn receive_control(
        &mut self,
        now: Monotonic,
        id: Option<InterfaceId>,
        packet: &Packet<'_>,
    ) -> Option<()> {
        if let Some(id) = id.filter(|_| packet.protocol == ICMPV6)
            && self.receive_discovery(now, id, packet)
        {
            return Some(());
        }
        let kind = *packet.payload.first()?;
        match (packet.protocol, kind) {
            (ICMP, 8) | (ICMPV6, 128) => self.answer_echo(now, id, packet),
            (ICMP, 0) | (ICMPV6, 129) => self.receive_echo(now, packet),
            (ICMP, 3 | 11) | (ICMPV6, 1 | 3) => self.receive_trouble(packet),
            _ => Some(()),
        }
    }

    fn answer_echo(&mut self, now: Monotonic, id: Option<InterfaceId>, packet: &Packet<'_>) -> Option<()> {
        let rest = packet.payload.get(4..)?;
        let unicast = self.has_address(packet.destination);
        // An echo request to a broadcast address is not answered (RFC 1122 leaves it open; hosts do not today).
        if packet.source.is_unspecified() || !unicast && packet.destination.is_ipv4() {
            return Some(());
        }
        let Ok(mut path) = self.path(packet.source, id) else { return Some(()) };
        if unicast {
            path.source = packet.destination;
        }
        let kind = if packet.protocol == ICMP { 0 } else { 129 };
        let answer = control_message(path.source, packet.source, kind, 0, rest);
        let hops = if packet.protocol == ICMP { self.answer_hops } else { HOPS };
        let _ = self.send_along(now, path, packet.source, (packet.protocol, hops), &answer);
        Some(())
    }

    /// Passes a packet on.
    fn forward(&mut self, now: Monotonic, id: InterfaceId, packet: &Packet<'_>) {
        let link_local = crate::is_link_local(packet.destination) || crate::is_link_local(packet.source);
        if link_local || !is_unicast(packet.destination) || packet.source.is_unspecified() {
            return;
        }
        if packet.ttl <= 1 {
            return self.report(now, Some(id), packet, Trouble::TooManyHops);
        }
        match self.path(packet.destination, None) {
            Ok(path) => {
                let on = Packet { ttl: packet.ttl - 1, ..*packet };
                let _ = self.send_packet(now, path, &on);
            }
            Err(_) => self.report(now, Some(id), packet, Trouble::NoRoute),
        }
    }

    /// Nobody answers for the next hop of a packet: whoever sent it hears so.
    pub(crate) fn no_such_neighbour(&mut self, now: Monotonic, bytes: &[u8]) {
        let Some(packet) = read(bytes) else { return };
        if self.has_address(packet.source) {
            let _ = self.trouble_with(packet.source, &packet, bytes);
        } else if self.forwarding {
            self.report(now, None, &packet, Trouble::NoHost);
        }
    }

    /// Tells a sender what became of its packet. Nothing is said about errors, fragments that are not the first, and
    /// packets to several stations (RFC 1122, 3.2.2).
    fn report(&mut self, now: Monotonic, id: Option<InterfaceId>, packet: &Packet<'_>, trouble: Trouble) {
        let is_error = match packet.protocol {
            ICMP => !matches!(packet.payload.first(), Some(0 | 8)),
            ICMPV6 => packet.payload.first().is_none_or(|kind| *kind < 128),
            _ => false,
        };
        let first = packet.fragment.is_none_or(|(_, offset, _)| offset == 0);
        if is_error || !first || !is_unicast(packet.destination) || !is_unicast(packet.source) {
            return;
        }
        if self.last_error.is_some_and(|last| now.since(last) < ERROR_INTERVAL) {
            return;
        }
        let Ok(mut path) = self.path(packet.source, id.filter(|_| crate::is_link_local(packet.source)))
        else {
            return;
        };
        if self.has_address(packet.destination) {
            path.source = packet.destination;
        }
        self.last_error = Some(now);
        let mut rest = vec![0; 4];
        write(packet, 0, &mut rest);
        rest.truncate(4 + if packet.source.is_ipv4() { 28 } else { 1_180 });
        let (protocol, (kind, code)) =
            if packet.source.is_ipv4() { (ICMP, trouble.ipv4()) } else { (ICMPV6, trouble.ipv6()) };
        let message = control_message(path.source, packet.source, kind, code, &rest);
        let _ = self.send_along(now, path, packet.source, (protocol, HOPS), &message);
    }

    /// Another station says what became of a packet of this one.
    fn receive_trouble(&mut self, packet: &Packet<'_>) -> Option<()> {
        let inner = packet.payload.get(SHORT_HEADER..)?;
        // The copy is cut, so that its length does not fit; only its first bytes are looked at.
        self.trouble_with(packet.source, packet, inner)
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    NoPort,
    NoHost,
    NoRoute,
    TooManyHops,
}

impl Trouble {
    fn ipv4(self) -> (u8, u8) {
        match self {
            Self::NoRoute => (3, 0),
            Self::NoHost => (3, 1),
            Self::NoPort => (3, 3),
            Self::TooManyHops => (11, 0),
        }
    }

    fn ipv6(self) -> (u8, u8) {
        match self {
            Self::NoRoute => (1, 0),
            Self::NoHost => (1, 3),
            Self::NoPort => (1, 4),
            Self::TooManyHops => (3, 0),
        }
    }
}
