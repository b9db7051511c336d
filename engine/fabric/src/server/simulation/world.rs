//! A world of models around two real server places: what the hypervisor and the switch outside do is written down again here
//! as shortly as can be, so that a fault of the real ones does not hide one of the servers.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use varan_contract::network::{
    BridgeState, HighAvailabilityMode, PortPlace, ServerNetworkConfiguration, ServerNetworkEvent, ServerPort,
    SharedEthernetAdapter,
};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, TYPE_ARP, VlanTag};
use varan_model::ids::{MacAddress, VirtualSlot};
use varan_station::rmc::Identity;

use crate::control::{Control, DISCOVERY_VLAN};
use crate::place::{Outbox, Place, PortNumber};
use crate::server::{ServerEvent, ServerFabric};

/// Ports of a server place.
const CONTROL: u32 = 0;
const REAL: u32 = 1;
const CHANNEL: u32 = 2;
const FIRST_TRUNK: u32 = 3;
/// Type field of probes.
const TYPE_PROBE: u16 = 0x88B6;
/// Time from one end of a link to the other.
const LATENCY: Duration = Duration::from_micros(10);
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const OUTSIDE: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0xEE, 1]);

/// How the world is made.
#[derive(Clone)]
pub struct Plan {
    pub modes: [HighAvailabilityMode; 2],
    /// Port VLAN and tagged VLANs of each trunk adapter, the default one first; guests are in all of them.
    pub trunks: Vec<(u16, Vec<u16>)>,
    /// VLANs of the control channel adapters; `None` for VLAN 4095.
    pub channels: Option<[u16; 2]>,
    pub priorities: [u8; 2],
    pub ping: bool,
    pub delay: Duration,
}

impl Plan {
    pub fn auto() -> Self {
        Self {
            modes: [HighAvailabilityMode::Auto; 2],
            trunks: vec![(1, vec![10, 11])],
            channels: Some([99, 99]),
            priorities: [1, 2],
            ping: false,
            delay: Duration::from_secs(2),
        }
    }

    pub fn vlans(&self) -> Vec<u16> {
        // Untagged frames of further trunk adapters' port VLANs do not come back in: nobody may use those.
        let tagged = self.trunks.iter().flat_map(|(_, tagged)| tagged.iter().copied());
        std::iter::once(self.trunks[0].0).chain(tagged).collect()
    }
}

pub fn guest(vlan: u16) -> EthernetAddress {
    let [high, low] = vlan.to_be_bytes();
    EthernetAddress([0xFA, 0, 0, 0, high, low])
}

pub struct Server {
    pub fabric: Option<ServerFabric>,
    pub hung: bool,
    backlog: VecDeque<(u32, Step)>,
    /// The cable to the switch.
    pub cable: bool,
    /// What is behind the switch's port is reached.
    pub reaches: bool,
    /// The control channel adapter is there.
    pub channel: bool,
    /// What the place said of its ports.
    used: BTreeMap<u32, bool>,
    /// What the hypervisor was told of its trunk adapters.
    said: BTreeMap<u32, bool>,
    pub events: Vec<(Duration, ServerNetworkEvent)>,
    pub mode: HighAvailabilityMode,
}

enum Step {
    Frame(Frame),
    Carrier(bool),
}

enum Due {
    ToServer(usize, u32, Step),
    FromServer(usize, u32, Step),
    ToSwitch(usize, Frame),
}

#[derive(Default)]
pub struct Received {
    /// Numbers of probes, with the time when they came.
    pub probes: Vec<(u32, Duration)>,
}

/// Port of the switch: one of each server, and the host outside.
const HOST: usize = 2;

pub struct World {
    pub now: Duration,
    pub plan: Plan,
    pub servers: [Server; 2],
    queue: BTreeMap<(Duration, u64), Due>,
    sequence: u64,
    learned: BTreeMap<(u16, EthernetAddress), usize>,
    /// What guests (by VLAN) and the host outside (by VLAN) got.
    pub inside: BTreeMap<u16, Received>,
    pub outside: BTreeMap<u16, Received>,
    pub probes_sent: u32,
    /// Time between probes; every fourth one goes to all stations.
    pub pace: Duration,
    next_probe: Duration,
    /// Frames under way at the same time, at most.
    pub most_under_way: usize,
    /// Frames that passed the switch.
    pub switched: u64,
    buffers: Outbox,
}

pub fn identity(number: usize) -> Identity {
    Identity {
        node_id: number as u64,
        partition: 1,
        name: "vios".to_owned(),
        system: String::new(),
        operating_system: String::new(),
    }
}

pub fn configuration(plan: &Plan, server: usize, mode: HighAvailabilityMode) -> ServerNetworkConfiguration {
    let address = |port: u32| MacAddress(0x0200_0000_0000 | (server as u64 + 1) << 8 | u64::from(port));
    let virtual_port = |device: String, port: u32, vlan: u16, tagged: Vec<u16>, trunk: bool| ServerPort {
        device,
        place: PortPlace::Virtual(VirtualSlot(u16::try_from(port).expect("small"))),
        mac_address: address(port),
        port_vlan_id: vlan,
        tagged_vlan_ids: tagged,
        trunk_priority: trunk.then_some(plan.priorities[server]),
        virtual_switch: "ETHERNET0".to_owned(),
        jumbo_frames: false,
        poll_uplink: None,
    };
    let mut ports = vec![ServerPort {
        device: "ent0".to_owned(),
        place: PortPlace::Physical("U1-C1-T1".to_owned()),
        mac_address: address(REAL),
        port_vlan_id: 0,
        tagged_vlan_ids: Vec::new(),
        trunk_priority: None,
        virtual_switch: String::new(),
        jumbo_frames: false,
        poll_uplink: None,
    }];
    if let Some(channels) = plan.channels {
        ports.push(virtual_port("ent1".to_owned(), CHANNEL, channels[server], Vec::new(), false));
    }
    for (port, (vlan, tagged)) in (FIRST_TRUNK..).zip(&plan.trunks) {
        ports.push(virtual_port(format!("ent{port}"), port, *vlan, tagged.clone(), true));
    }
    let virtuals: Vec<String> =
        (FIRST_TRUNK..).zip(&plan.trunks).map(|(port, _)| format!("ent{port}")).collect();
    let bridge = SharedEthernetAdapter {
        device: "ent20".to_owned(),
        real: "ent0".to_owned(),
        default: virtuals[0].clone(),
        virtuals,
        default_vlan: plan.trunks[0].0,
        mode,
        control_channel: plan.channels.map(|_| "ent1".to_owned()),
        ping: plan.ping.then_some(GATEWAY),
        failback_delay: plan.delay,
        link_time: plan.delay,
        health_time: plan.delay,
        no_automatic_failback: false,
        jumbo_frames: false,
        large_send: true,
        large_receive: false,
        accounting: false,
        threads: true,
        thread_count: 7,
        quality_of_service: "disabled".to_owned(),
        announce: true,
        poll_uplink: false,
    };
    ServerNetworkConfiguration { ports, bridges: vec![bridge], ..ServerNetworkConfiguration::default() }
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let server = |mode| Server {
            fabric: None,
            hung: false,
            backlog: VecDeque::new(),
            cable: true,
            reaches: true,
            channel: true,
            used: BTreeMap::new(),
            said: BTreeMap::new(),
            events: Vec::new(),
            mode,
        };
        let mut world = Self {
            now: Duration::from_secs(1),
            servers: plan.modes.map(server),
            inside: plan.vlans().into_iter().map(|vlan| (vlan, Received::default())).collect(),
            outside: plan.vlans().into_iter().map(|vlan| (vlan, Received::default())).collect(),
            plan,
            queue: BTreeMap::new(),
            sequence: 0,
            learned: BTreeMap::new(),
            probes_sent: 0,
            pace: Duration::from_millis(1),
            next_probe: Duration::from_secs(1),
            most_under_way: 0,
            switched: 0,
            buffers: Outbox::new(256),
        };
        world.start(0);
        world.start(1);
        world
    }

    fn ports(&self) -> Vec<u32> {
        let trunks = 0..u32::try_from(self.plan.trunks.len()).expect("few");
        let channel = self.plan.channels.map(|_| CHANNEL);
        channel.into_iter().chain(trunks.map(|trunk| FIRST_TRUNK + trunk)).collect()
    }

    /// A server is powered on.
    pub fn start(&mut self, number: usize) {
        let mut fabric = ServerFabric::new(PortNumber(CONTROL), number as u64, identity(number));
        let now = Monotonic(self.now);
        fabric.configure(
            now,
            configuration(&self.plan, number, self.servers[number].mode),
            &mut self.buffers,
        );
        for port in self.ports() {
            let place = PortPlace::Virtual(VirtualSlot(u16::try_from(port).expect("small")));
            fabric.bind(now, place, PortNumber(port), &mut self.buffers);
        }
        fabric.bind(now, PortPlace::Physical("U1-C1-T1".to_owned()), PortNumber(REAL), &mut self.buffers);
        self.servers[number].fabric = Some(fabric);
        self.servers[number].hung = false;
        self.carry(number);
        for port in self.ports() {
            let there = port != CHANNEL || self.servers[number].channel;
            self.send(Due::ToServer(number, port, Step::Carrier(there)));
        }
        let cable = self.servers[number].cable;
        self.send(Due::ToServer(number, REAL, Step::Carrier(cable)));
    }

    /// It is gone at once.
    pub fn kill(&mut self, number: usize) {
        self.servers[number].fabric = None;
        self.servers[number].backlog.clear();
        self.flush_port(number);
        for port in self.ports() {
            self.server_port_used(number, port, false);
        }
        self.servers[number].used.clear();
    }

    pub fn hang(&mut self, number: usize, hung: bool) {
        self.servers[number].hung = hung;
        if !hung {
            let waiting = std::mem::take(&mut self.servers[number].backlog);
            for (port, step) in waiting {
                self.send(Due::ToServer(number, port, step));
            }
        }
    }

    pub fn set_cable(&mut self, number: usize, up: bool) {
        self.servers[number].cable = up;
        self.flush_port(number);
        self.send(Due::ToServer(number, REAL, Step::Carrier(up)));
    }

    pub fn set_channel(&mut self, number: usize, there: bool) {
        if std::mem::replace(&mut self.servers[number].channel, there) == there {
            return;
        }
        self.send(Due::ToServer(number, CHANNEL, Step::Carrier(there)));
        if !there {
            self.gone(number, CHANNEL);
        }
    }

    /// `chdev -attr ha_mode=...`.
    pub fn set_mode(&mut self, number: usize, mode: HighAvailabilityMode) {
        self.servers[number].mode = mode;
        let configuration = configuration(&self.plan, number, mode);
        let now = Monotonic(self.now);
        if let Some(fabric) = &mut self.servers[number].fabric {
            fabric.configure(now, configuration, &mut self.buffers);
        }
        self.carry(number);
    }

    pub fn state(&self, number: usize) -> Option<BridgeState> {
        let fabric = self.servers[number].fabric.as_ref()?;
        Some(fabric.statistics(Monotonic(self.now), "ent20")?.bridge?.state)
    }

    pub fn bridging(&self, number: usize) -> Vec<String> {
        let fabric = self.servers[number].fabric.as_ref();
        let statistics = fabric.and_then(|fabric| fabric.statistics(Monotonic(self.now), "ent20"));
        statistics.and_then(|statistics| statistics.bridge).map(|bridge| bridge.bridging).unwrap_or_default()
    }

    fn flush_port(&mut self, number: usize) {
        self.learned.retain(|_, port| *port != number);
    }

    fn send(&mut self, due: Due) {
        self.sequence += 1;
        self.queue.insert((self.now + LATENCY, self.sequence), due);
        self.most_under_way = self.most_under_way.max(self.queue.len());
    }

    /// Carries away what a server brought forth.
    fn carry(&mut self, number: usize) {
        let carriers = std::mem::take(&mut self.buffers.carriers);
        let frames = std::mem::take(&mut self.buffers.frames);
        for (port, up) in carriers {
            self.send(Due::FromServer(number, port.0, Step::Carrier(up)));
        }
        for (port, frame) in frames {
            self.send(Due::FromServer(number, port.0, Step::Frame(frame)));
        }
        if let Some(fabric) = &mut self.servers[number].fabric {
            for event in fabric.take_events() {
                if let ServerEvent::Network(event) = event {
                    self.servers[number].events.push((self.now, event));
                }
            }
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let ticks = (0..2).filter(|number| !self.servers[*number].hung);
            let tick = ticks
                .filter_map(|number| Some((self.servers[number].fabric.as_ref()?.next_due()?.0, number)))
                .min();
            let step = self.queue.first_key_value().map(|(key, _)| key.0);
            let next = step.into_iter().chain(tick.map(|(due, _)| due)).chain([self.next_probe]).min();
            let next = next.expect("probes go on").max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            if step == Some(next) {
                let (_, due) = self.queue.pop_first().expect("there is one");
                self.perform(due);
            } else if let Some((_, number)) = tick.filter(|(due, _)| *due <= next) {
                if let Some(fabric) = &mut self.servers[number].fabric {
                    fabric.tick(Monotonic(self.now), &mut self.buffers);
                    assert!(
                        fabric.next_due().is_none_or(|due| due.0 > self.now),
                        "a tick does all that is due"
                    );
                }
                self.carry(number);
            } else {
                self.probe();
                self.next_probe = self.now + self.pace;
            }
        }
        self.now = end;
    }

    fn perform(&mut self, due: Due) {
        match due {
            Due::ToServer(number, port, step) => {
                let server = &mut self.servers[number];
                if server.hung {
                    if server.backlog.len() < 1_024 {
                        server.backlog.push_back((port, step));
                    }
                    return;
                }
                let Some(fabric) = &mut server.fabric else { return };
                let now = Monotonic(self.now);
                match step {
                    Step::Frame(frame) => fabric.receive(now, PortNumber(port), frame, &mut self.buffers),
                    Step::Carrier(up) => fabric.carrier(now, PortNumber(port), up, &mut self.buffers),
                }
                self.carry(number);
            }
            Due::FromServer(number, port, Step::Carrier(up)) => self.server_port_used(number, port, up),
            Due::FromServer(number, REAL, Step::Frame(frame)) => {
                let server = &self.servers[number];
                if server.cable && server.reaches {
                    self.switch(number, &frame);
                }
            }
            Due::FromServer(number, port, Step::Frame(frame)) => self.leave_server(number, port, &frame),
            Due::ToSwitch(port, frame) => self.switch(port, &frame),
        }
    }

    // The hypervisor.

    fn vlans_of(&self, number: usize, port: u32) -> Vec<u16> {
        match port.checked_sub(FIRST_TRUNK) {
            None => self.plan.channels.map(|channels| channels[number]).into_iter().collect(),
            Some(trunk) => {
                let (vlan, tagged) = &self.plan.trunks[usize::try_from(trunk).expect("small")];
                std::iter::once(*vlan).chain(tagged.iter().copied()).collect()
            }
        }
    }

    fn usable(&self, number: usize, port: u32) -> bool {
        let server = &self.servers[number];
        (port != CHANNEL || server.channel) && server.used.get(&port) == Some(&true)
    }

    fn server_port_used(&mut self, number: usize, port: u32, used: bool) {
        if port == REAL || port == CONTROL {
            return;
        }
        let before = self.servers[number].used.insert(port, used);
        if !used {
            self.servers[number].said.remove(&port);
            if before == Some(true) {
                self.gone(number, port);
            }
        }
    }

    fn gone(&mut self, number: usize, port: u32) {
        let other = 1 - number;
        for vlan in self.vlans_of(number, port) {
            for remaining in self.ports() {
                if self.usable(other, remaining) && self.vlans_of(other, remaining).contains(&vlan) {
                    let mut frame = Frame::default();
                    Control::Gone { vlan }.write(EthernetAddress([2, 0, 0, 0, 0, 0]), &mut frame);
                    self.send(Due::ToServer(other, remaining, Step::Frame(frame)));
                }
            }
        }
    }

    fn active_trunks(&self, vlan: u16) -> Vec<(usize, u32)> {
        let trunks = || {
            let trunk = |number: usize| {
                let ports = self.ports().into_iter().filter(|port| *port >= FIRST_TRUNK);
                ports.map(move |port| (number, port))
            };
            (0..2).flat_map(trunk).filter(|(number, port)| {
                self.usable(*number, *port) && self.vlans_of(*number, *port).contains(&vlan)
            })
        };
        let said = |(number, port): &(usize, u32)| self.servers[*number].said.get(port).copied();
        let active: Vec<(usize, u32)> = trunks().filter(|trunk| said(trunk) == Some(true)).collect();
        if !active.is_empty() {
            return active;
        }
        let silent = trunks().filter(|trunk| said(trunk).is_none());
        silent.min_by_key(|(number, _)| self.plan.priorities[*number]).into_iter().collect()
    }

    fn leave_server(&mut self, number: usize, port: u32, frame: &Frame) {
        if port == CONTROL || !self.usable(number, port) {
            return;
        }
        if let Some(control) = Control::read(frame) {
            if let Control::Trunk { bridges, .. } = control {
                self.servers[number].said.insert(port, bridges);
            }
            return;
        }
        let own = self.vlans_of(number, port);
        let vlan = frame.vlan(own[0]);
        if vlan == DISCOVERY_VLAN && port >= FIRST_TRUNK {
            for remaining in self.ports().into_iter().filter(|port| *port >= FIRST_TRUNK) {
                if self.usable(1 - number, remaining) {
                    self.send(Due::ToServer(1 - number, remaining, Step::Frame(frame.clone())));
                }
            }
            return;
        }
        if !own.contains(&vlan) || port >= FIRST_TRUNK && !self.active_trunks(vlan).contains(&(number, port))
        {
            return;
        }
        self.switch_inside(vlan, frame, Some((number, port)));
    }

    /// The virtual switch.
    fn switch_inside(&mut self, vlan: u16, frame: &Frame, from: Option<(usize, u32)>) {
        let channel = self.plan.channels.is_some_and(|channels| channels.contains(&vlan));
        if channel {
            for number in 0..2 {
                let there = self.usable(number, CHANNEL) && self.vlans_of(number, CHANNEL)[0] == vlan;
                if there && from != Some((number, CHANNEL)) {
                    self.send(Due::ToServer(number, CHANNEL, Step::Frame(frame.clone())));
                }
            }
            return;
        }
        let destination = frame.destination();
        let here = destination == guest(vlan);
        if (here || destination.is_group()) && from.is_some() {
            let received = self.inside.get_mut(&vlan);
            if let (Some(received), Some(number)) = (received, probe_number(frame)) {
                received.probes.push((number, self.now));
            }
        }
        if here {
            return;
        }
        for (number, port) in self.active_trunks(vlan) {
            if from == Some((number, port)) {
                continue;
            }
            let mut copy = frame.clone();
            copy.tag = (self.vlans_of(number, port)[0] != vlan).then(|| VlanTag::of(vlan));
            self.send(Due::ToServer(number, port, Step::Frame(copy)));
        }
    }

    // The switch outside.

    fn switch(&mut self, from: usize, frame: &Frame) {
        self.switched += 1;
        let vlan = frame.vlan(self.plan.trunks[0].0);
        self.learned.insert((vlan, frame.source()), from);
        self.answer(frame);
        let known = self.learned.get(&(vlan, frame.destination())).copied();
        for port in 0..=HOST {
            if port == from || known.is_some_and(|known| known != port) {
                continue;
            }
            if port == HOST {
                let received = self.outside.get_mut(&vlan);
                let ours = frame.destination() == OUTSIDE || frame.destination().is_group();
                if let (true, Some(received), Some(number)) = (ours, received, probe_number(frame)) {
                    received.probes.push((number, self.now));
                }
            } else if self.servers[port].cable && self.servers[port].reaches {
                self.send(Due::ToServer(port, REAL, Step::Frame(frame.clone())));
            }
        }
    }

    /// The gateway answers who asks for it.
    fn answer(&mut self, frame: &Frame) {
        let payload = frame.payload();
        let asks = frame.ethernet_type() == TYPE_ARP && payload.get(24..28) == Some(&GATEWAY.octets());
        if !asks {
            return;
        }
        let mut bytes = frame.source().0.to_vec();
        bytes.extend(OUTSIDE.0);
        bytes.extend(TYPE_ARP.to_be_bytes());
        bytes.extend([0, 1, 8, 0, 6, 4, 0, 2]);
        bytes.extend(OUTSIDE.0);
        bytes.extend(GATEWAY.octets());
        bytes.extend(frame.source().0);
        bytes.extend([0; 4]);
        let mut answer = Frame::new(bytes).expect("a frame");
        answer.tag = frame.tag;
        self.send(Due::ToSwitch(HOST, answer));
    }

    // Probes.

    fn probe(&mut self) {
        self.probes_sent += 1;
        let number = self.probes_sent;
        let untagged = self.plan.trunks[0].0;
        for vlan in self.plan.vlans() {
            let to_all = number.is_multiple_of(4);
            let out = probe(if to_all { EthernetAddress::BROADCAST } else { OUTSIDE }, guest(vlan), number);
            self.switch_inside(vlan, &out, None);
            let mut back =
                probe(if to_all { EthernetAddress::BROADCAST } else { guest(vlan) }, OUTSIDE, number);
            back.tag = (vlan != untagged).then(|| VlanTag::of(vlan));
            self.send(Due::ToSwitch(HOST, back));
        }
    }

    /// Probes of these numbers that are missing anywhere, and that came more than once.
    pub fn faults(&self, from: u32, to: u32) -> (Vec<String>, Vec<String>) {
        let (mut missing, mut twice) = (Vec::new(), Vec::new());
        for (way, all) in [("in", &self.inside), ("out", &self.outside)] {
            for (vlan, received) in all {
                let mut counts: BTreeMap<u32, u32> = (from..=to).map(|number| (number, 0)).collect();
                for (number, _) in &received.probes {
                    if let Some(count) = counts.get_mut(number) {
                        *count += 1;
                    }
                }
                for (number, count) in counts {
                    match count {
                        0 => missing.push(format!("{way} {vlan} {number}")),
                        1 => {}
                        _ => twice.push(format!("{way} {vlan} {number}")),
                    }
                }
            }
        }
        (missing, twice)
    }

    /// The longest time without a probe of any VLAN and way since `from`.
    pub fn outage(&self, from: Duration) -> Duration {
        let mut longest = Duration::ZERO;
        for received in self.inside.values().chain(self.outside.values()) {
            let mut last = from;
            for (_, at) in received.probes.iter().filter(|(_, at)| *at >= from) {
                longest = longest.max(*at - last);
                last = *at;
            }
            longest = longest.max(self.now.saturating_sub(last));
        }
        longest
    }

    pub fn forget_probes(&mut self) {
        for received in self.inside.values_mut().chain(self.outside.values_mut()) {
            received.probes.clear();
        }
    }
}

pub fn probe(to: EthernetAddress, from: EthernetAddress, number: u32) -> Frame {
    let mut bytes = to.0.to_vec();
    bytes.extend(from.0);
    bytes.extend(TYPE_PROBE.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.resize(60, 0);
    Frame::new(bytes).expect("a frame")
}

pub fn probe_number(frame: &Frame) -> Option<u32> {
    let number = frame.payload().first_chunk::<4>()?;
    (frame.ethernet_type() == TYPE_PROBE).then(|| u32::from_be_bytes(*number))
}
