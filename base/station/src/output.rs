//! The way of a packet out: route, filter, fragments, neighbour, frame.

use std::net::IpAddr;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, HEADER_BYTES, TYPE_IPV4, TYPE_IPV6};

use crate::filter::{Direction, allows};
use crate::packet::{IPV4_HEADER, IPV6_HEADER, Packet, UDP, datagram, write};
use crate::{InterfaceId, Prefix, Station, StationError, is_link_local, multicast_address};

/// Packets of a station to itself that wait; further ones are dropped.
const LOCAL: usize = 256;
/// Hops of a packet that says nothing else.
pub(crate) const HOPS: u8 = 64;

/// How a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Interface; `None` for a packet of the station to itself.
    pub(crate) interface: Option<InterfaceId>,
    /// Station that takes it next.
    pub(crate) hop: IpAddr,
    /// Address that it comes from.
    pub(crate) source: IpAddr,
}

impl Station {
    /// The way to an address; `via` names the interface where several would do (link-local addresses).
    pub(crate) fn path(&self, to: IpAddr, via: Option<InterfaceId>) -> Result<Path, StationError> {
        if self.has_address(to) {
            return Ok(Path { interface: None, hop: to, source: to });
        }
        let (interface, hop) = self.next_hop(to, via).ok_or(StationError::Unreachable)?;
        let source = self.source_on(interface, hop).ok_or(StationError::Unreachable)?;
        if !self.interface(interface).is_some_and(|interface| interface.up) {
            return Err(StationError::Unreachable);
        }
        Ok(Path { interface: Some(interface), hop, source })
    }

    fn next_hop(&self, to: IpAddr, via: Option<InterfaceId>) -> Option<(InterfaceId, IpAddr)> {
        if let Some(via) = via.filter(|_| is_link_local(to) || to.is_multicast()) {
            return Some((via, to));
        }
        let mut usable =
            self.interfaces().filter(|(id, interface)| interface.up && via.is_none_or(|via| via == *id));
        if is_link_local(to) || to.is_multicast() {
            let known = |id: InterfaceId| self.neighbour_is_known(id, to);
            let kind = |own: &Prefix| {
                own.address.is_ipv4() == to.is_ipv4() && (to.is_ipv4() || is_link_local(own.address))
            };
            let mut found =
                usable.filter(|(_, interface)| interface.addresses.iter().any(kind)).map(|(id, _)| id);
            let first = found.next()?;
            let chosen = if known(first) { first } else { found.find(|id| known(*id)).unwrap_or(first) };
            return Some((chosen, to));
        }
        if let IpAddr::V4(address) = to
            && address.is_broadcast()
        {
            return usable.next().map(|(id, _)| (id, to));
        }
        let connected = |id: InterfaceId, interface: &crate::Interface| {
            let longest =
                interface.addresses.iter().filter(|own| own.contains(to)).map(|own| own.length).max()?;
            Some((longest, id, to))
        };
        let direct =
            usable.filter_map(|(id, interface)| connected(id, interface)).max_by_key(|(length, ..)| *length);
        let routed = self.routes.iter().filter(|route| route.destination.contains(to)).filter_map(|route| {
            let hop = route.gateway.unwrap_or(to);
            let id = route.interface.or_else(|| self.interface_towards(hop))?;
            let up = self.interface(id)?.up && via.is_none_or(|via| via == id);
            up.then_some((route.destination.length, id, hop))
        });
        let best = direct
            .into_iter()
            .chain(routed)
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map(|(_, id, hop)| (id, hop))
    }

    /// The interface in whose own network an address is.
    fn interface_towards(&self, hop: IpAddr) -> Option<InterfaceId> {
        self.interfaces()
            .find(|(_, interface)| interface.up && interface.addresses.iter().any(|own| own.contains(hop)))
            .map(|(id, _)| id)
    }

    /// Sends a payload along a path.
    pub(crate) fn send_along(
        &mut self,
        now: Monotonic,
        path: Path,
        to: IpAddr,
        (protocol, ttl): (u8, u8),
        payload: &[u8],
    ) -> Result<(), StationError> {
        let packet = Packet { source: path.source, destination: to, protocol, ttl, fragment: None, payload };
        self.send_packet(now, path, &packet)
    }

    /// Sends a packet with the source that it has.
    pub(crate) fn send_packet(
        &mut self,
        now: Monotonic,
        path: Path,
        packet: &Packet<'_>,
    ) -> Result<(), StationError> {
        let Some(id) = path.interface else {
            let mut bytes = Vec::new();
            write(packet, 0, &mut bytes);
            if self.local.len() >= LOCAL {
                return Err(StationError::Full);
            }
            self.local.push_back(bytes);
            return Ok(());
        };
        if !allows(&self.rules, Direction::Out, id, packet) {
            return Err(StationError::Refused);
        }
        let mtu = usize::from(self.interface(id).ok_or(StationError::Unknown)?.mtu());
        self.identification = self.identification.wrapping_add(1);
        let identification = self.identification;
        let header = if packet.source.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
        if packet.payload.len() + header <= mtu {
            let mut bytes = Vec::with_capacity(packet.payload.len() + header);
            write(packet, identification, &mut bytes);
            self.send_hop(now, id, path.hop, packet.destination, bytes);
            return Ok(());
        }
        let step = mtu.saturating_sub(header) / 8 * 8;
        if packet.source.is_ipv6() || packet.payload.len() + header > 65_535 || step == 0 {
            return Err(StationError::TooLarge);
        }
        let (base, follows) = match packet.fragment {
            Some((_, offset, more)) => (offset, more),
            None => (0, false),
        };
        let identification = packet.fragment.map_or(identification, |(identification, ..)| identification);
        for (number, piece) in packet.payload.chunks(step).enumerate() {
            let offset = number * step;
            let more = follows || offset + piece.len() < packet.payload.len();
            let fragment =
                Packet { fragment: Some((identification, base + offset, more)), payload: piece, ..*packet };
            let mut bytes = Vec::with_capacity(piece.len() + header);
            write(&fragment, identification, &mut bytes);
            self.send_hop(now, id, path.hop, packet.destination, bytes);
        }
        Ok(())
    }

    fn send_hop(&mut self, now: Monotonic, id: InterfaceId, hop: IpAddr, to: IpAddr, bytes: Vec<u8>) {
        let broadcast = match to {
            IpAddr::V4(address) => {
                address.is_broadcast()
                    || self.interface(id).is_some_and(|interface| {
                        interface.addresses.iter().any(|own| own.broadcast() == Some(address))
                    })
            }
            IpAddr::V6(_) => false,
        };
        if broadcast {
            self.transmit_packet(now, id, EthernetAddress::BROADCAST, &bytes);
        } else if to.is_multicast() {
            self.transmit_packet(now, id, multicast_address(to), &bytes);
        } else {
            self.send_to_neighbour(now, id, hop, bytes);
        }
    }

    /// Sends a packet in a frame.
    pub(crate) fn transmit_packet(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        to: EthernetAddress,
        packet: &[u8],
    ) {
        let kind = if packet.first().is_some_and(|first| first >> 4 == 6) { TYPE_IPV6 } else { TYPE_IPV4 };
        self.transmit(now, id, to, kind, packet);
    }

    /// Sends a frame.
    pub(crate) fn transmit(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        to: EthernetAddress,
        kind: u16,
        payload: &[u8],
    ) {
        let Some(interface) = self.interface_mut(id) else { return };
        let counters = &mut interface.counters;
        if !(interface.up && interface.carrier) {
            counters.transmit_drops += 1;
            return;
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend_from_slice(&to.0);
        bytes.extend_from_slice(&interface.setup.address.0);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(payload);
        counters.transmitted_frames += 1;
        counters.transmitted_bytes += bytes.len() as u64;
        counters.transmitted_broadcasts += u64::from(to.is_broadcast());
        counters.transmitted_multicasts += u64::from(to.is_group() && !to.is_broadcast());
        self.observe(now, id, true, &bytes);
        if let Ok(frame) = Frame::new(bytes) {
            self.outgoing.push((id, frame));
        }
    }

    /// Sends a datagram from a port. `via` names the interface for addresses that several interfaces could reach.
    ///
    /// # Errors
    /// [`StationError::Unreachable`], [`StationError::TooLarge`], [`StationError::Refused`], [`StationError::Full`].
    pub fn udp_send(
        &mut self,
        now: Monotonic,
        port: u16,
        to: (IpAddr, u16),
        via: Option<InterfaceId>,
        bytes: &[u8],
    ) -> Result<(), StationError> {
        let path = self.path(to.0, via)?;
        if bytes.len() > 65_000 {
            return Err(StationError::TooLarge);
        }
        let payload = datagram((path.source, port), to, bytes);
        self.send_along(now, path, to.0, (UDP, HOPS), &payload)
    }

    /// The address that the station would send from to reach another one.
    #[must_use]
    pub fn source_for(&self, to: IpAddr, via: Option<InterfaceId>) -> Option<IpAddr> {
        self.path(to, via).ok().map(|path| path.source)
    }

    /// The interface that the station would use to reach another one; `None` for itself and for what it cannot reach.
    #[must_use]
    pub fn interface_for(&self, to: IpAddr) -> Option<InterfaceId> {
        self.path(to, None).ok()?.interface
    }
}
