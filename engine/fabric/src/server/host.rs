//! The Virtual I/O Server as a host: its IP interfaces, its pings and its RMC daemons.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use varan_contract::network::{PingResult, PortStatistics, ServerInterface, ServerNetworkConfiguration};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};
use varan_model::ids::MacAddress;
use varan_station::rmc::{Client, Identity};
use varan_station::{EchoEvent, EchoId, EchoRequest, InterfaceId, InterfaceSetup, Prefix, Route, Station};

/// How long the last answers of a round of pings are waited for.
const LAST_ANSWER: Duration = Duration::from_secs(1);

struct Known {
    setup: ServerInterface,
    address: EthernetAddress,
    id: InterfaceId,
}

struct Round {
    result: PingResult,
    count: u32,
    /// It was reported that it is over.
    reported: bool,
    /// When its last question is out.
    over: Monotonic,
}

/// The host.
pub struct Host {
    station: Station,
    known: Vec<Known>,
    routes: Vec<Route>,
    rmc: Client,
    sessions: Vec<String>,
    rounds: BTreeMap<EchoId, Round>,
    outgoing: Vec<(InterfaceId, Frame)>,
    /// Something came in since the last poll.
    fresh: bool,
}

impl Host {
    /// A host without interfaces.
    pub fn new(seed: u64, identity: Identity) -> Self {
        Self {
            station: Station::new(seed),
            known: Vec::new(),
            routes: Vec::new(),
            rmc: Client::new(identity),
            sessions: Vec::new(),
            rounds: BTreeMap::new(),
            outgoing: Vec::new(),
            fresh: false,
        }
    }

    /// Its station.
    pub fn station(&mut self) -> &mut Station {
        &mut self.station
    }

    /// Its RMC daemons.
    pub fn rmc(&mut self) -> (&mut Client, &mut Station) {
        (&mut self.rmc, &mut self.station)
    }

    /// Takes the interfaces and routes of a configuration; `address` gives a device's Ethernet address. Interfaces of
    /// missing devices are left out.
    pub fn configure(
        &mut self,
        now: Monotonic,
        configuration: &ServerNetworkConfiguration,
        address: impl Fn(&str) -> Option<EthernetAddress>,
    ) {
        let wanted: Vec<(&ServerInterface, EthernetAddress)> = configuration
            .interfaces
            .iter()
            .filter_map(|interface| Some((interface, address(&interface.device)?)))
            .collect();
        let mut kept = Vec::new();
        for known in std::mem::take(&mut self.known) {
            let stays = wanted.iter().any(|(setup, address)| {
                (&setup.name, &setup.device, *address)
                    == (&known.setup.name, &known.setup.device, known.address)
            });
            if stays { kept.push(known) } else { self.station.remove_interface(known.id) }
        }
        self.known = kept;
        for (setup, address) in wanted {
            self.put(now, setup, address);
        }
        self.put_routes(configuration);
        self.rmc.set_running(now, &mut self.station, configuration.rmc_running);
    }

    fn put(&mut self, now: Monotonic, setup: &ServerInterface, address: EthernetAddress) {
        let number = self.known.iter().position(|known| known.setup.name == setup.name);
        let (id, before) = match number {
            Some(number) => {
                let known = &mut self.known[number];
                (known.id, std::mem::replace(&mut known.setup, setup.clone()).address)
            }
            None => {
                let name = setup.name.clone();
                let id = self.station.add_interface(InterfaceSetup {
                    name,
                    address,
                    mtu: setup.mtu,
                    link_local: false,
                });
                self.known.push(Known { setup: setup.clone(), address, id });
                (id, None)
            }
        };
        self.station.set_mtu(id, setup.mtu);
        if before != setup.address {
            if let Some((former, _)) = before {
                self.station.remove_address(id, former.into());
            }
            if let Some((address, length)) = setup.address {
                // Refused only if another interface has it already; that one keeps it.
                let _ = self.station.add_address(now, id, Prefix::new(address, length));
            }
        }
        self.station.set_up(now, id, setup.up);
    }

    fn put_routes(&mut self, configuration: &ServerNetworkConfiguration) {
        let gateway = configuration.gateway.map(|gateway| (Prefix::new(Ipv4Addr::UNSPECIFIED, 0), gateway));
        let others = configuration.routes.iter().map(|(to, length, via)| (Prefix::new(*to, *length), *via));
        let route = |(destination, gateway): (Prefix, Ipv4Addr)| Route {
            destination,
            gateway: Some(gateway.into()),
            interface: None,
        };
        let wanted: Vec<Route> = gateway.into_iter().chain(others).map(route).collect();
        for route in self.routes.iter().filter(|route| !wanted.contains(route)) {
            self.station.remove_route(route.destination, route.gateway);
        }
        for route in wanted.iter().filter(|route| !self.routes.contains(route)) {
            self.station.add_route(*route);
        }
        self.routes = wanted;
    }

    /// The devices with interfaces that are in use.
    pub fn devices_in_use(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|known| known.setup.up).map(|known| known.setup.device.as_str())
    }

    /// A device's carrier.
    pub fn carrier(&mut self, now: Monotonic, device: &str, up: bool) {
        for known in self.known.iter().filter(|known| known.setup.device == device) {
            self.station.set_carrier(now, known.id, up);
        }
    }

    /// A frame for the interface of a device.
    pub fn receive(&mut self, now: Monotonic, device: &str, frame: &Frame) {
        if let Some(known) = self.known.iter().find(|known| known.setup.device == device) {
            self.station.receive(now, known.id, frame);
            self.fresh = true;
        }
    }

    /// Whether [`Host::poll`] has something to do now: something came in, or is due.
    pub fn wants_poll(&self, now: Monotonic) -> bool {
        self.fresh || self.next_due().is_some_and(|due| due <= now)
    }

    /// Does what is due; frames to send with the devices that they go over, and the sessions with consoles if they changed.
    pub fn poll(&mut self, now: Monotonic, frames: &mut Vec<(String, Frame)>) -> Option<Vec<String>> {
        self.fresh = false;
        // What RMC does wakes the station, and what the station received wakes RMC; both come to rest.
        for _ in 0..8 {
            self.station.poll(now, &mut self.outgoing);
            if !self.rmc.poll(now, &mut self.station) {
                break;
            }
        }
        self.station.poll(now, &mut self.outgoing);
        for (id, frame) in self.outgoing.drain(..) {
            if let Some(known) = self.known.iter().find(|known| known.id == id) {
                frames.push((known.setup.device.clone(), frame));
            }
        }
        let sessions = self.rmc.established();
        if sessions == self.sessions {
            return None;
        }
        self.sessions.clone_from(&sessions);
        Some(sessions)
    }

    /// When [`Host::poll`] has something to do.
    pub fn next_due(&self) -> Option<Monotonic> {
        let rounds = self.rounds.values().filter(|round| !round.reported);
        let over = rounds.map(|round| round.over.after(LAST_ANSWER));
        self.station.next_due().into_iter().chain(self.rmc.next_due()).chain(over).min()
    }

    /// Stations known by ARP: address, MAC address, interface.
    pub fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        let entry = |entry: varan_station::NeighbourEntry| {
            let IpAddr::V4(address) = entry.address else {
                return None;
            };
            let [a, b, c, d, e, f] = entry.ethernet?.0;
            let name = self.known.iter().find(|known| known.id == entry.interface)?.setup.name.clone();
            Some((address, MacAddress(u64::from_be_bytes([0, 0, a, b, c, d, e, f])), name))
        };
        self.station.neighbours().into_iter().filter_map(entry).collect()
    }

    /// Counters of an interface.
    pub fn interface(&self, name: &str) -> Option<PortStatistics> {
        let known = self.known.iter().find(|known| known.setup.name == name)?;
        let interface = self.station.interface(known.id)?;
        let counters = interface.counters();
        Some(PortStatistics {
            transmitted_frames: counters.transmitted_frames,
            transmitted_bytes: counters.transmitted_bytes,
            transmitted_broadcasts: counters.transmitted_broadcasts,
            transmitted_multicasts: counters.transmitted_multicasts,
            transmit_drops: counters.transmit_drops,
            received_frames: counters.received_frames,
            received_bytes: counters.received_bytes,
            received_broadcasts: counters.received_broadcasts,
            received_multicasts: counters.received_multicasts,
            receive_drops: counters.receive_drops + counters.receive_errors,
            link_up: interface.has_carrier(),
            ..PortStatistics::default()
        })
    }

    /// Begins a round of pings; `None` when the station has no room for it.
    pub fn ping(
        &mut self,
        now: Monotonic,
        to: Ipv4Addr,
        count: u32,
        size: u16,
        interval: Duration,
    ) -> Option<EchoId> {
        let request =
            EchoRequest { to: to.into(), via: None, count: Some(count.into()), interval, size, ttl: None };
        let id = self.station.echo_start(now, request).ok()?;
        let over = now.after(interval.saturating_mul(count.saturating_sub(1)));
        self.rounds.insert(id, Round { result: PingResult::default(), count, reported: false, over });
        Some(id)
    }

    /// Rounds of pings that are over since it was last asked.
    pub fn finished(&mut self, now: Monotonic) -> Vec<EchoId> {
        let running: Vec<EchoId> =
            self.rounds.iter().filter(|(_, round)| !round.reported).map(|(id, _)| *id).collect();
        let mut finished = Vec::new();
        for id in running {
            if self.update(now, id) == Some(true)
                && let Some(round) = self.rounds.get_mut(&id)
            {
                round.reported = true;
                finished.push(id);
            }
        }
        finished
    }

    /// A round of pings so far, and whether it is over; then it is forgotten.
    pub fn ping_result(&mut self, now: Monotonic, id: EchoId) -> Option<(PingResult, bool)> {
        let over = self.update(now, id)?;
        let result = self.rounds.get(&id)?.result.clone();
        if over {
            self.rounds.remove(&id);
            self.station.echo_stop(now, id);
        }
        Some((result, over))
    }

    /// Takes what happened to a round; whether it is over.
    fn update(&mut self, now: Monotonic, id: EchoId) -> Option<bool> {
        let round = self.rounds.get_mut(&id)?;
        let sent = self.station.echo_statistics(now, id).map_or(0, |statistics| statistics.sent);
        round.result.sent = round.result.sent.max(u32::try_from(sent).unwrap_or(u32::MAX));
        for event in self.station.echo_events(id) {
            match event {
                EchoEvent::Answer { sequence, ttl, time, duplicate: false, .. } => {
                    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                    round.result.answers.push((u16::try_from(sequence).unwrap_or(u16::MAX), ttl, micros));
                }
                EchoEvent::Answer { .. } => {}
                EchoEvent::Unreachable { .. } => round.result.unreachable = true,
                EchoEvent::NotSent { .. } => {
                    round.result.unreachable = true;
                    // It counts as asked: `ping` prints it as sent and lost.
                    round.result.sent = round.result.sent.max(1);
                }
            }
        }
        let answered = round.result.answers.len() >= usize::try_from(round.count).unwrap_or(usize::MAX);
        Some(answered || now >= round.over.after(LAST_ANSWER))
    }
}
