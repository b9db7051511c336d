//! The network of one frame: its hypervisor's place, with the ports of its guests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use varan_contract::engine::{AdapterAddress, Generation, GuestAdapter, GuestNetworkAdapter, Personality};
use varan_contract::network::{
    BackingDeviceState, ConsoleAddress, GuestNetwork, GuestPort, GuestPorts, HypervisorNetwork, NetworkGuest,
    PhysicalPortSetup, PhysicalPortState, PortPlace, PortStatistics, VirtualSwitchMode,
};
use varan_ethernet::{EthernetAddress, Frame};
use varan_fabric::PortNumber;
use varan_fabric::control::{ClientSystem, VnicClient};
use varan_fabric::driver::{Driver, Endpoint, PlaceHandle, Sink, Wiring};
use varan_fabric::hypervisor::{Capture, Heartbeat, HypervisorEvent, HypervisorFabric, PortEnd, PortOwner};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot};

use super::numbers::Numbers;

/// A Virtual I/O Server's end of its adapters.
pub(crate) trait ServerEnd: Send + Sync {
    /// An adapter of the server is plugged in; its frames come from and go to `hypervisor`.
    fn join(&self, place: &PortPlace, hypervisor: Endpoint);
    /// It is not plugged in any more.
    fn leave(&self, place: &PortPlace, hypervisor: Endpoint);
    /// Where the server gives signs of life; `None` ends that.
    fn control(&self, hypervisor: Endpoint, there: bool);
    /// The server stands still, or goes on.
    fn pause(&self, paused: bool);
}

/// Ports of an adapter that is plugged in.
struct Plugged {
    ports: Vec<(u8, PortNumber)>,
    /// What a Virtual I/O Server knows them by.
    places: Vec<PortPlace>,
}

#[derive(Default)]
struct Guest {
    name: String,
    /// Operating system of a client of virtual NICs.
    system: Option<ClientSystem>,
    generation: Option<Generation>,
    adapters: BTreeMap<AdapterAddress, Plugged>,
    /// Control port of a Virtual I/O Server.
    control: Option<PortNumber>,
    /// Number of a Virtual I/O Server.
    server: Option<PartitionId>,
}

#[derive(Default)]
struct State {
    numbers: Numbers,
    /// Physical ports, by location code.
    cables: BTreeMap<String, PortNumber>,
    /// NovaLink partitions: trunk adapters on the management switch.
    managers: BTreeMap<(PartitionUuid, AdapterAddress), ConsoleAddress>,
    guests: HashMap<PartitionUuid, Guest>,
    servers: HashMap<PartitionUuid, Arc<dyn ServerEnd>>,
}

/// Who runs the guests, once that is known.
pub(crate) type Guests = Arc<OnceLock<Arc<dyn GuestPorts>>>;

/// Which guest's port a number is, for what the hypervisor reports.
type Names = Arc<Mutex<HashMap<PortNumber, GuestPort>>>;

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands frames to a guest.
struct GuestSink {
    guests: Arc<dyn GuestPorts>,
    port: GuestPort,
}

impl Sink for GuestSink {
    fn deliver(&mut self, frames: &mut Vec<Frame>) {
        self.guests.receive(self.port, frames);
    }
}

/// Makes the end of a Virtual I/O Server's adapters.
pub(crate) type MakeServerEnd = dyn Fn(&NetworkGuest) -> Arc<dyn ServerEnd> + Send + Sync;

/// The network of one frame.
pub struct FrameNetwork {
    hypervisor: PlaceHandle<HypervisorFabric>,
    wiring: Wiring,
    guests: Guests,
    names: Names,
    consoles: Vec<ConsoleAddress>,
    make_server_end: Box<MakeServerEnd>,
    state: Mutex<State>,
}

impl FrameNetwork {
    /// The network of a frame, in a driver; `cables` brings the physical ports' cables into being: location code and the
    /// port of the hypervisor that leads there.
    pub(crate) fn new(
        driver: &Driver,
        seed: u64,
        locations: &[String],
        (guests, consoles): (Guests, Vec<ConsoleAddress>),
        make_server_end: Box<MakeServerEnd>,
        cable: &mut dyn FnMut(&str, Endpoint),
    ) -> Arc<Self> {
        let names: Names = Arc::default();
        let (told, known) = (guests.clone(), names.clone());
        let place = HypervisorFabric::new(seed, Heartbeat::default());
        let hypervisor = driver.add(place, move |event| tell(&told, &known, event));
        let mut state = State::default();
        for location in locations {
            let number = state.numbers.take();
            let name = location.clone();
            hypervisor
                .tell(move |hypervisor, now, out| hypervisor.put_physical_port(now, number, &name, out));
            cable(location, hypervisor.port(number));
            state.cables.insert(location.clone(), number);
        }
        Arc::new(Self {
            hypervisor,
            wiring: driver.wiring(),
            guests,
            names,
            consoles,
            make_server_end,
            state: Mutex::new(state),
        })
    }

    /// Makes the hypervisor itself the way out of a VLAN of a switch, where no Virtual I/O Server is; returns the port of the
    /// cable.
    pub(crate) fn uplink(&self, vlan: u16, switch: &str) -> Endpoint {
        let number = lock(&self.state).numbers.take();
        let adapter = GuestNetworkAdapter {
            trunk_priority: Some(UPLINK_PRIORITY),
            ..GuestNetworkAdapter::untagged(VirtualSlot(0), UPLINK_ADDRESS, switch, vlan)
        };
        let owner = PortOwner { partition: PartitionUuid(0), id: PartitionId(0), end: PortEnd::Link };
        self.hypervisor
            .tell(move |hypervisor, now, out| hypervisor.plug_ethernet(now, number, owner, &adapter, out));
        self.hypervisor.port(number)
    }

    /// Says who runs the guests. Until then their frames are dropped.
    pub fn attach_guests(&self, guests: Arc<dyn GuestPorts>) {
        // Once for each frame: the first stays.
        let _ = self.guests.set(guests);
    }

    /// A Virtual I/O Server stands still, or goes on.
    pub fn pause_server(&self, partition: PartitionUuid, paused: bool) {
        let end = lock(&self.state).servers.get(&partition).cloned();
        if let Some(end) = end {
            end.pause(paused);
        }
    }

    /// The port of an adapter.
    pub(crate) fn number(&self, port: GuestPort) -> Option<PortNumber> {
        let state = lock(&self.state);
        let plugged = state.guests.get(&port.partition)?.adapters.get(&port.adapter)?;
        plugged.ports.iter().find(|(index, _)| *index == port.index).map(|(_, number)| *number)
    }

    /// A line for each port: name, port number, what it carried, its link.
    pub(crate) fn list(&self) -> String {
        let ports: Vec<(String, PortNumber)> = {
            let state = lock(&self.state);
            let physical = state.cables.iter().map(|(location, number)| (location.clone(), *number));
            let mut ports: Vec<_> = physical.collect();
            for guest in state.guests.values() {
                for (address, plugged) in &guest.adapters {
                    ports.extend(plugged.ports.iter().map(|(index, number)| {
                        (port_name(&guest.name, *address, plugged.places.get(usize::from(*index))), *number)
                    }));
                }
            }
            ports.sort();
            ports
        };
        let mut text = String::new();
        for (name, number) in ports {
            let statistics = self.hypervisor.ask(|hypervisor, _, _| hypervisor.statistics(number)).flatten();
            let Some(statistics) = statistics else { continue };
            let link = if statistics.link_up { "up" } else { "down" };
            let (sent, got) = (statistics.transmitted_frames, statistics.received_frames);
            text.push_str(&format!("{name:45} link {link:4} sent {sent:10} received {got:10}\n"));
        }
        text
    }

    /// Has `take` see the frames of a port until it says false; returns how to end that. `None` without such a port.
    pub(crate) fn capture(
        &self,
        name: &str,
        mut take: impl FnMut(&Frame) -> bool + Send + 'static,
    ) -> Option<Box<dyn FnOnce()>> {
        let number = {
            let state = lock(&self.state);
            let physical = state.cables.get(name).copied();
            physical.or_else(|| {
                state.guests.values().find_map(|guest| {
                    guest.adapters.iter().find_map(|(address, plugged)| {
                        let of = |(index, _): &&(u8, PortNumber)| {
                            port_name(&guest.name, *address, plugged.places.get(usize::from(*index))) == name
                        };
                        plugged.ports.iter().find(of).map(|(_, number)| *number)
                    })
                })
            })
        }?;
        self.hypervisor.tell(move |hypervisor, _, _| {
            let seen: Capture = Box::new(move |_, _, frame| {
                // What there is no room for is not captured.
                let _ = take(frame);
            });
            hypervisor.set_capture(number, Some(seen));
        });
        let hypervisor = self.hypervisor.clone();
        Some(Box::new(move || hypervisor.tell(move |hypervisor, _, _| hypervisor.set_capture(number, None))))
    }

    fn unplug_all(&self, state: &mut State, partition: PartitionUuid, plugged: &Plugged) {
        let end = state.servers.get(&partition).cloned();
        for ((_, number), place) in
            plugged.ports.iter().zip(plugged.places.iter().map(Some).chain(std::iter::repeat(None)))
        {
            let (number, endpoint) = (*number, self.hypervisor.port(*number));
            match (&end, place) {
                (Some(end), Some(place)) => end.leave(place, endpoint),
                _ => self.wiring.detach(endpoint),
            }
            self.hypervisor.tell(move |hypervisor, now, out| hypervisor.unplug(now, number, out));
            lock(&self.names).remove(&number);
            state.numbers.give(number);
        }
    }

    /// Joins a new port to whoever its frames are for.
    fn connect(
        &self,
        end: Option<&Arc<dyn ServerEnd>>,
        port: GuestPort,
        number: PortNumber,
        place: PortPlace,
    ) {
        let endpoint = self.hypervisor.port(number);
        lock(&self.names).insert(number, port);
        match end {
            Some(end) => end.join(&place, endpoint),
            None => {
                if let Some(guests) = self.guests.get() {
                    self.wiring.attach(endpoint, GuestSink { guests: guests.clone(), port });
                }
            }
        }
    }

    /// The end of a Virtual I/O Server, with its control port.
    fn server_end(&self, state: &mut State, guest: &NetworkGuest, owner: PortOwner) -> Arc<dyn ServerEnd> {
        let end = match state.servers.get(&guest.partition) {
            Some(end) => end.clone(),
            None => {
                let end = (self.make_server_end)(guest);
                state.servers.insert(guest.partition, end.clone());
                end
            }
        };
        let known = state.guests.entry(guest.partition).or_default();
        known.server = Some(guest.id);
        if known.control.is_none() {
            let number = state.numbers.take();
            known.control = Some(number);
            self.hypervisor
                .tell(move |hypervisor, now, out| hypervisor.plug_control(now, number, owner, out));
            end.control(self.hypervisor.port(number), true);
        }
        end
    }
}

/// Any adapter of a Virtual I/O Server that is added later has a better one.
const UPLINK_PRIORITY: u8 = 15;
/// Address of the hypervisor's own port; nobody sends to it.
const UPLINK_ADDRESS: MacAddress = MacAddress(0x0256_4856_0000);

/// How a guest's port is named for people who look on.
fn port_name(guest: &str, address: AdapterAddress, place: Option<&PortPlace>) -> String {
    match (address, place) {
        (_, Some(PortPlace::Physical(location))) => format!("{guest}:{location}"),
        (AdapterAddress::Virtual(slot), _) => format!("{guest}:{slot}"),
        (AdapterAddress::LogicalPort(id), _) => format!("{guest}:{id}"),
        (AdapterAddress::Physical(index), _) => format!("{guest}:{index:08X}"),
    }
}

/// The switch over which a NovaLink partition reaches the others, and the VLAN on it (source: the seed on NovaLink).
const MANAGEMENT_SWITCH: (&str, u16) = ("MGMTSWITCH", 4_094);

/// The NovaLink partition that an adapter makes of its guest: who has the trunk of the management switch.
fn manager(guest: &NetworkGuest, adapter: &GuestAdapter) -> Option<ConsoleAddress> {
    let GuestAdapter::Network(adapter) = adapter else { return None };
    let on_switch = (adapter.virtual_switch.as_str(), adapter.port_vlan_id) == MANAGEMENT_SWITCH;
    adapter.trunk_priority.filter(|_| on_switch)?;
    let [_, _, bytes @ ..] = adapter.mac_address.0.to_be_bytes();
    let address = varan_station::link_local(EthernetAddress(bytes));
    Some(ConsoleAddress { name: guest.name.clone(), address: address.into() })
}

/// Tells a guest what the hypervisor reports of its port.
fn tell(guests: &OnceLock<Arc<dyn GuestPorts>>, names: &Names, event: HypervisorEvent) {
    let HypervisorEvent::Port { port, event } = event else { return };
    let name = lock(names).get(&port).copied();
    if let (Some(name), Some(guests)) = (name, guests.get()) {
        guests.port_event(name, event);
    }
}

impl GuestNetwork for FrameNetwork {
    fn plug(&self, guest: &NetworkGuest, adapter: &GuestAdapter) {
        let mut state = lock(&self.state);
        let address = adapter.address();
        let is_server = guest.personality == Personality::VirtualIoServer;
        let owner = PortOwner {
            partition: guest.partition,
            id: guest.id,
            end: if is_server { PortEnd::Link } else { PortEnd::Guest },
        };
        let end = is_server.then(|| self.server_end(&mut state, guest, owner));
        if let Some(manager) = manager(guest, adapter) {
            state.managers.insert((guest.partition, address), manager);
        }
        let known = state.guests.entry(guest.partition).or_default();
        known.generation = Some(guest.generation);
        known.name.clone_from(&guest.name);
        known.system = match guest.personality {
            Personality::Aix => Some(ClientSystem::Aix),
            Personality::Linux => Some(ClientSystem::Linux),
            Personality::IbmI => Some(ClientSystem::IbmI),
            Personality::VirtualIoServer => None,
        };
        if let Some(before) = known.adapters.remove(&address) {
            // What is there is changed in place, so that no frame is lost.
            let kept = (before.ports.len() == 1).then(|| before.ports[0].1);
            if let Some(number) = kept.filter(|_| !matches!(adapter, GuestAdapter::Physical(_))) {
                self.put(number, owner, (adapter, 0));
                state.guests.entry(guest.partition).or_default().adapters.insert(address, before);
                return;
            }
            self.unplug_all(&mut state, guest.partition, &before);
        }
        let mut plugged = Plugged { ports: Vec::new(), places: Vec::new() };
        for (index, place) in places(adapter) {
            let number = state.numbers.take();
            self.put(number, owner, (adapter, index));
            let port = GuestPort { partition: guest.partition, adapter: address, index };
            self.connect(end.as_ref(), port, number, place.clone());
            plugged.ports.push((index, number));
            plugged.places.push(place);
        }
        if let GuestAdapter::VnicServer(server) = adapter {
            let server = server.clone();
            self.hypervisor.tell(move |hypervisor, now, out| {
                hypervisor.plug_vnic_server(now, owner, &server, out);
            });
        }
        state.guests.entry(guest.partition).or_default().adapters.insert(address, plugged);
    }

    fn unplug(&self, partition: PartitionUuid, adapter: AdapterAddress) {
        let mut state = lock(&self.state);
        let plugged = state.guests.get_mut(&partition).and_then(|guest| guest.adapters.remove(&adapter));
        state.managers.remove(&(partition, adapter));
        if let Some(plugged) = plugged {
            self.unplug_all(&mut state, partition, &plugged);
        }
        let server = state.guests.get(&partition).and_then(|guest| guest.server);
        if let (AdapterAddress::Virtual(slot), Some(server)) = (adapter, server) {
            self.hypervisor.tell(move |hypervisor, now, out| {
                hypervisor.unplug_vnic_server(now, server, slot, out);
            });
        }
    }

    fn power_off(&self, partition: PartitionUuid, generation: Generation) {
        let mut state = lock(&self.state);
        let known = state.guests.get(&partition);
        if known.is_none_or(|guest| guest.generation.is_some_and(|newest| newest > generation)) {
            return;
        }
        let Some(guest) = state.guests.remove(&partition) else { return };
        state.managers.retain(|(known, _), _| *known != partition);
        for plugged in guest.adapters.values() {
            self.unplug_all(&mut state, partition, plugged);
        }
        if let Some(number) = guest.control {
            let end = state.servers.get(&partition).cloned();
            if let Some(end) = end {
                end.control(self.hypervisor.port(number), false);
                end.pause(false);
            }
            state.numbers.give(number);
        }
        self.hypervisor.tell(move |hypervisor, now, out| hypervisor.power_off(now, partition, out));
    }

    fn listen(&self, partition: PartitionUuid, listening: bool) {
        self.hypervisor.tell(move |hypervisor, now, out| hypervisor.listen(now, partition, listening, out));
    }

    fn name_device(&self, port: GuestPort, device: &str) {
        let AdapterAddress::Virtual(slot) = port.adapter else { return };
        let system = lock(&self.state).guests.get(&port.partition).and_then(|guest| guest.system);
        let digits = device.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let (Some(system), Ok(number)) = (system, digits.parse()) else { return };
        let client = VnicClient { system, device: number };
        self.hypervisor.tell(move |hypervisor, _, out| {
            hypervisor.set_vnic_client((port.partition, slot), client, out);
        });
    }

    fn transmit(&self, port: GuestPort, frames: &mut Vec<Frame>) {
        match self.number(port) {
            Some(number) => self.wiring.send(self.hypervisor.port(number), frames),
            None => frames.clear(),
        }
    }

    fn statistics(&self, port: GuestPort) -> Option<PortStatistics> {
        let number = self.number(port)?;
        self.hypervisor.ask(|hypervisor, _, _| hypervisor.statistics(number))?
    }

    fn consoles(&self) -> Vec<ConsoleAddress> {
        let managers = lock(&self.state).managers.values().cloned().collect::<Vec<_>>();
        self.consoles.iter().cloned().chain(managers).collect()
    }
}

impl FrameNetwork {
    /// Tells the hypervisor of a port of an adapter.
    fn put(&self, number: PortNumber, owner: PortOwner, (adapter, index): (&GuestAdapter, u8)) {
        match adapter.clone() {
            GuestAdapter::Network(adapter) => self.hypervisor.tell(move |hypervisor, now, out| {
                hypervisor.plug_ethernet(now, number, owner, &adapter, out);
            }),
            GuestAdapter::LogicalPort(port) => self.hypervisor.tell(move |hypervisor, now, out| {
                hypervisor.plug_logical_port(now, number, owner, &port, out);
            }),
            GuestAdapter::Vnic(vnic) => self.hypervisor.tell(move |hypervisor, now, out| {
                hypervisor.plug_vnic(now, number, owner, &vnic, out);
            }),
            GuestAdapter::Physical(slot) => {
                let Some(port) = slot.ethernet_ports.get(usize::from(index)).cloned() else { return };
                self.hypervisor.tell(move |hypervisor, now, out| {
                    hypervisor.plug_physical(now, number, owner, &port, out);
                });
            }
            GuestAdapter::VnicServer(_) | GuestAdapter::Device(_) => {}
        }
    }
}

/// The ports of an adapter that carry frames: index, and what a Virtual I/O Server knows them by.
fn places(adapter: &GuestAdapter) -> Vec<(u8, PortPlace)> {
    match adapter {
        GuestAdapter::Network(adapter) => vec![(0, PortPlace::Virtual(adapter.slot))],
        GuestAdapter::Vnic(adapter) => vec![(0, PortPlace::Virtual(adapter.slot))],
        GuestAdapter::LogicalPort(port) => vec![(0, PortPlace::Logical(port.id))],
        GuestAdapter::Physical(slot) => (0..)
            .zip(&slot.ethernet_ports)
            .map(|(index, port)| (index, PortPlace::Physical(port.location.clone())))
            .collect(),
        // Its frames are those of its client.
        GuestAdapter::VnicServer(_) | GuestAdapter::Device(_) => Vec::new(),
    }
}

impl HypervisorNetwork for FrameNetwork {
    fn put_switch(&self, name: &str, mode: VirtualSwitchMode) {
        let name = name.to_owned();
        self.hypervisor.tell(move |hypervisor, _, out| hypervisor.put_switch(&name, mode, out));
    }

    fn remove_switch(&self, name: &str) {
        let name = name.to_owned();
        self.hypervisor.tell(move |hypervisor, _, out| hypervisor.remove_switch(&name, out));
    }

    fn put_shared_port(&self, setup: PhysicalPortSetup) {
        self.hypervisor.tell(move |hypervisor, now, out| hypervisor.put_shared_port(now, &setup, out));
    }

    fn remove_shared_port(&self, location: &str) {
        let location = location.to_owned();
        self.hypervisor.tell(move |hypervisor, now, out| hypervisor.remove_shared_port(now, &location, out));
    }

    fn physical_port(&self, location: &str) -> Option<PhysicalPortState> {
        self.hypervisor.ask(|hypervisor, _, _| hypervisor.physical_port(location))?
    }

    fn logical_port(&self, id: LogicalPortId) -> Option<PortStatistics> {
        self.hypervisor.ask(|hypervisor, _, _| hypervisor.logical_port(id))?
    }

    fn clear_statistics(&self, port: &str, logical: Option<LogicalPortId>) {
        let port = port.to_owned();
        self.hypervisor.tell(move |hypervisor, _, _| hypervisor.clear_statistics(&port, logical));
    }

    fn backing_devices(&self, partition: PartitionUuid, slot: VirtualSlot) -> Vec<BackingDeviceState> {
        self.hypervisor
            .ask(|hypervisor, _, _| hypervisor.backing_devices(partition, slot))
            .unwrap_or_default()
    }

    fn activate(&self, partition: PartitionUuid, slot: VirtualSlot, port: LogicalPortId) -> bool {
        let asked =
            self.hypervisor.ask(|hypervisor, now, out| hypervisor.activate(now, partition, slot, port, out));
        asked.unwrap_or(false)
    }
}
