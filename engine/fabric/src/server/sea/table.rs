//! Where stations are: behind the real device, or behind which trunk adapter.

use std::collections::BTreeMap;
use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::EthernetAddress;

/// Stations at most; further ones are not learned.
const MOST_STATIONS: usize = 16_384;
/// A station that was not heard of for so long is forgotten (IEEE 802.1Q, default ageing time).
const AGEING: Duration = Duration::from_secs(300);

/// A side of a Shared Ethernet Adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The real device.
    Real,
    /// The trunk adapter of that number.
    Trunk(usize),
}

#[derive(Clone, Copy, Debug)]
struct Station {
    side: Side,
    heard: Monotonic,
    /// It was first heard behind a trunk adapter. Frames that go in a circle come from everywhere; this stays.
    client: bool,
    /// Heard only while this one did not bridge: it is outside, or a client that nobody told of yet.
    idle: bool,
}

/// Stations by VLAN and address.
#[derive(Debug, Default)]
pub struct Table {
    stations: BTreeMap<(u16, EthernetAddress), Station>,
    /// Clients that the other Shared Ethernet Adapter does not know of yet.
    untold: Vec<(EthernetAddress, u16)>,
    swept: Monotonic,
}

impl Table {
    /// A frame of a station came from a side.
    pub fn learn(&mut self, now: Monotonic, vlan: u16, station: EthernetAddress, side: Side) {
        if station.is_group() {
            return;
        }
        let client = matches!(side, Side::Trunk(_));
        if let Some(known) = self.stations.get_mut(&(vlan, station)) {
            known.idle = false;
            if now.since(known.heard) >= AGEING {
                known.client = client;
            }
            known.heard = now;
            if known.side == side {
                return;
            }
            known.side = side;
        } else {
            if self.stations.len() >= MOST_STATIONS {
                self.sweep(now);
            }
            if self.stations.len() >= MOST_STATIONS {
                return;
            }
            self.stations.insert((vlan, station), Station { side, heard: now, client, idle: false });
        }
        if matches!(side, Side::Trunk(_)) && self.untold.len() < MOST_STATIONS {
            self.untold.push((station, vlan));
        }
    }

    /// A frame of a station came from outside while another one bridges. A client's may have come through that one.
    pub fn note_outside(&mut self, now: Monotonic, vlan: u16, station: EthernetAddress) {
        let full = self.stations.len() >= MOST_STATIONS;
        match self.stations.get_mut(&(vlan, station)) {
            Some(known) if known.side == Side::Real || known.client => known.heard = now,
            Some(known) if now.since(known.heard) < AGEING => {}
            None if full || station.is_group() => {}
            _ => {
                let new = Station { side: Side::Real, heard: now, client: false, idle: true };
                self.stations.insert((vlan, station), new);
            }
        }
    }

    /// The other Shared Ethernet Adapter says that a client is behind its trunk adapter.
    pub fn told(&mut self, now: Monotonic, vlan: u16, station: EthernetAddress, trunk: usize) {
        if !station.is_group() && self.stations.len() < MOST_STATIONS {
            self.stations.insert(
                (vlan, station),
                Station { side: Side::Trunk(trunk), heard: now, client: true, idle: false },
            );
        }
    }

    /// Where a station is.
    #[must_use]
    pub fn side(&self, now: Monotonic, vlan: u16, station: EthernetAddress) -> Option<Side> {
        let known = self.stations.get(&(vlan, station))?;
        (now.since(known.heard) < AGEING && !known.idle).then_some(known.side)
    }

    /// Whether a station was heard from outside last.
    #[must_use]
    pub fn is_outside(&self, now: Monotonic, vlan: u16, station: EthernetAddress) -> bool {
        let known = self.stations.get(&(vlan, station));
        known.is_some_and(|known| known.side == Side::Real && now.since(known.heard) < AGEING)
    }

    /// Whether a station is behind a trunk adapter.
    #[must_use]
    pub fn is_client(&self, now: Monotonic, vlan: u16, station: EthernetAddress) -> bool {
        matches!(self.side(now, vlan, station), Some(Side::Trunk(_)))
    }

    /// Whether a station was first heard behind a trunk adapter, wherever it was heard last.
    #[must_use]
    pub fn began_as_client(&self, now: Monotonic, vlan: u16, station: EthernetAddress) -> bool {
        let known = self.stations.get(&(vlan, station));
        known.is_some_and(|known| known.client && now.since(known.heard) < AGEING)
    }

    /// Clients behind a trunk adapter.
    pub fn clients(&self, trunk: usize) -> impl Iterator<Item = (EthernetAddress, u16)> {
        let here = move |station: &Station| station.side == Side::Trunk(trunk);
        self.stations
            .iter()
            .filter(move |(_, station)| here(station))
            .map(|((vlan, address), _)| (*address, *vlan))
    }

    /// Takes at most so many clients that the other one does not know of.
    pub fn take_untold(&mut self, most: usize) -> Vec<(EthernetAddress, u16)> {
        let from = self.untold.len().saturating_sub(most);
        self.untold.split_off(from)
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// The other one knows none of them, or is to know that they are still there.
    pub fn tell_all(&mut self, now: Monotonic) {
        let client = |((vlan, address), station): (&(u16, EthernetAddress), &Station)| {
            let there = matches!(station.side, Side::Trunk(_)) && now.since(station.heard) < AGEING;
            there.then_some((*address, *vlan))
        };
        self.untold = self.stations.iter().filter_map(client).collect();
    }

    /// Trunk adapters have other numbers, by VLAN, or are gone.
    pub fn renumber(&mut self, number: impl Fn(u16) -> Option<usize>) {
        self.stations.retain(|(vlan, _), station| match (station.side, number(*vlan)) {
            (Side::Real, _) => true,
            (Side::Trunk(_), Some(number)) => {
                station.side = Side::Trunk(number);
                true
            }
            (Side::Trunk(_), None) => false,
        });
    }

    fn sweep(&mut self, now: Monotonic) {
        // At most once a second: a hostile client must not have all stations looked at for each of its frames.
        if now.since(self.swept) >= Duration::from_secs(1) {
            self.swept = now;
            self.stations.retain(|_, station| now.since(station.heard) < AGEING);
        }
    }
}
