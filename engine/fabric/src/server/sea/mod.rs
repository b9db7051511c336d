//! A Shared Ethernet Adapter: a bridge between a real device and trunk adapters of virtual switches.
//!
//! Which of two of them bridges is decided by the [`election`]; which VLAN belongs to which trunk adapter by these rules:
//! - A tagged frame belongs to the trunk adapter that has its VLAN; from outside one of no trunk adapter is filtered.
//! - An untagged frame from outside belongs to the default trunk adapter (`pvid_adapter`); so does one tagged with that
//!   adapter's own VLAN, which loses its tag.
//! - A frame that comes untagged from a trunk adapter goes out untagged, whatever the adapter's port VLAN is: the hypervisor
//!   took the tag.

mod announcements;
pub mod election;
mod oversize;
pub mod packet;
mod setup;
mod storm;
mod table;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use varan_contract::network::{BridgeState, BridgeStatistics, ClientStatistics, ServerNetworkEvent};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, FramePool, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, VlanTag};
use varan_model::ids::MacAddress;

use crate::control::{Control, DISCOVERY_VLAN};
use election::{Deed, Election};
use oversize::Oversize;
use packet::{Kind, MOST_CLIENTS, Packet};
use storm::StormWatch;
use table::{Side, Table};

pub use setup::{SeaSetup, TrunkSetup, ethernet_address};
pub use watch::PingWatch;

/// Clients that are counted at most.
const MOST_ACCOUNTS: usize = 8_192;

/// Frames that wait for the other one to stop, at most.
const MOST_HELD_BACK: usize = 256;
/// The other one is told of all clients again after so long, before it forgets them.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Out through the real device.
    Real,
    /// Out through the trunk adapter of that number.
    Trunk(usize),
    /// Out through the control channel adapter.
    Control,
    /// To the interfaces over the Shared Ethernet Adapter.
    Up,
}

type Account = (MacAddress, Option<u16>, Option<IpAddr>);

/// A Shared Ethernet Adapter. What it has to send stands in [`Sea::queue`] after each call.
#[derive(Debug)]
pub struct Sea {
    setup: SeaSetup,
    election: Election,
    table: Table,
    storms: StormWatch,
    pings: PingWatch,
    /// The carrier of the real device, of the control channel and of the trunk adapters.
    real_up: bool,
    channel_up: bool,
    trunks_up: Vec<bool>,
    /// When it began to bridge each trunk adapter.
    taken: Vec<Monotonic>,
    /// Clients that are still to be announced outside.
    announcements: VecDeque<(EthernetAddress, u16)>,
    /// Frames from outside for several stations, by trunk adapter, while the other one has not said yet that it stopped: what
    /// it delivered of them comes from the trunk adapter too, and the rest is delivered afterwards. Each comes once.
    held_back: Vec<(usize, Frame)>,
    told_all: Monotonic,
    statistics: BridgeStatistics,
    accounts: BTreeMap<Account, ClientStatistics>,
    /// Something over it takes frames.
    pub has_upper: bool,
    /// Frames to send, in order.
    pub queue: Vec<(Way, Frame)>,
    /// What happened since the owner looked.
    pub events: Vec<ServerNetworkEvent>,
    deeds: Vec<Deed>,
}

impl Sea {
    /// One that begins now; it knows of no carrier yet.
    #[must_use]
    pub fn new(now: Monotonic, setup: SeaSetup) -> Self {
        let count = setup.trunks.len();
        let election = Election::new(now, setup.election());
        let statistics = BridgeStatistics {
            state: election.state(),
            bridging: Vec::new(),
            priority: setup.priority,
            real_side: [0; 8],
            virtual_side: [0; 8],
            generated: 0,
            generated_drops: 0,
            icmp_errors: 0,
            too_large: 0,
            control_packets: (0, 0),
            control_kinds: [0; 4],
            changes: (0, 0),
            control_vlan: setup.control.map_or(DISCOVERY_VLAN, |(_, vlan)| vlan),
            storms: 0,
        };
        let mut sea = Self {
            election,
            table: Table::default(),
            storms: StormWatch::new(setup.priority, setup.address),
            pings: PingWatch::new(setup.ping),
            real_up: false,
            channel_up: false,
            trunks_up: vec![false; count],
            taken: vec![now; count],
            announcements: VecDeque::new(),
            held_back: Vec::new(),
            told_all: now,
            statistics,
            accounts: BTreeMap::new(),
            has_upper: false,
            queue: Vec::new(),
            events: Vec::new(),
            deeds: Vec::new(),
            setup,
        };
        if sea.election.state() == BridgeState::Primary {
            sea.note_state(BridgeState::Primary);
        }
        sea
    }

    /// How it is set up.
    #[must_use]
    pub fn setup(&self) -> &SeaSetup {
        &self.setup
    }

    /// Takes another set-up, with which it can go on ([`SeaSetup::can_become`]). Trunk adapters that stay are bridged on.
    pub fn configure(&mut self, now: Monotonic, setup: SeaSetup, pool: &mut FramePool) {
        let (uplinks, pinged) = (self.setup.poll_uplink, self.setup.ping);
        if !setup.accounting {
            self.accounts.clear();
        }
        let known = |trunk: &TrunkSetup| self.setup.trunks.iter().position(|known| known.same_port(trunk));
        let former: Vec<Option<usize>> = setup.trunks.iter().map(known).collect();
        self.trunks_up =
            former.iter().map(|known| known.is_some_and(|known| self.trunks_up[known])).collect();
        self.taken = former.iter().map(|known| known.map_or(now, |known| self.taken[known])).collect();
        self.table.renumber(|vlan| setup.trunk_of(vlan));
        self.setup = setup;
        self.statistics.priority = self.setup.priority;
        if pinged != self.setup.ping {
            self.pings = PingWatch::new(self.setup.ping);
            self.pings.link(now, self.real_up);
        }
        self.elect(now, pool, |election, deeds, setup| election.configure(now, setup.election(), deeds));
        self.note_uplink(now, pool);
        if uplinks != self.setup.poll_uplink {
            self.say_trunks(pool);
        }
    }

    /// Whether it bridges a trunk adapter.
    #[must_use]
    pub fn bridges(&self, number: usize) -> bool {
        self.election.holds(number)
    }

    /// What it counts.
    #[must_use]
    pub fn statistics(&self) -> BridgeStatistics {
        let bridged = |number: &usize| self.election.holds(*number);
        let bridging = (0..self.setup.trunks.len()).filter(bridged);
        BridgeStatistics {
            state: self.election.state(),
            bridging: bridging.map(|number| self.setup.trunks[number].device.clone()).collect(),
            ..self.statistics.clone()
        }
    }

    /// Sets the counters to zero; the state is none.
    pub fn reset_statistics(&mut self) {
        let fresh = &mut self.statistics;
        (fresh.real_side, fresh.virtual_side) = ([0; 8], [0; 8]);
        (fresh.generated, fresh.generated_drops) = (0, 0);
        (fresh.icmp_errors, fresh.too_large, fresh.storms) = (0, 0, 0);
        (fresh.control_packets, fresh.control_kinds, fresh.changes) = ((0, 0), [0; 4], (0, 0));
    }

    /// Counters of clients, by address.
    #[must_use]
    pub fn accounts(&self) -> Vec<ClientStatistics> {
        self.accounts.values().cloned().collect()
    }

    /// Sets them to zero.
    pub fn reset_accounts(&mut self) {
        self.accounts.clear();
    }

    /// Does what the election decides after it was told something.
    fn elect(
        &mut self,
        now: Monotonic,
        pool: &mut FramePool,
        tell: impl FnOnce(&mut Election, &mut Vec<Deed>, &SeaSetup),
    ) {
        let mut deeds = std::mem::take(&mut self.deeds);
        if self.election.lapsed(now) {
            self.election.listen_again(now, &mut deeds);
        }
        tell(&mut self.election, &mut deeds, &self.setup);
        for deed in deeds.drain(..) {
            self.perform(now, deed, pool);
        }
        self.deeds = deeds;
        if !self.held_back.is_empty() {
            self.deliver_held_back(pool);
        }
    }

    /// Delivers what was held back for trunk adapters that the other one has left.
    fn deliver_held_back(&mut self, pool: &mut FramePool) {
        for (number, frame) in std::mem::take(&mut self.held_back) {
            if self.election.unconfirmed(number) {
                self.held_back.push((number, frame));
            } else if self.election.holds(number) {
                self.pass_in(number, frame);
            } else {
                pool.give(frame);
            }
        }
    }

    fn perform(&mut self, now: Monotonic, deed: Deed, pool: &mut FramePool) {
        match deed {
            Deed::Send(kind) => self.send_control(kind, Vec::new(), pool),
            Deed::Take(number) => {
                self.say_trunk(number, true, pool);
                self.taken[number] = now;
                if self.setup.announce {
                    self.announcements.extend(self.table.clients(number));
                    self.announce(pool);
                }
            }
            Deed::Drain(_) => {}
            Deed::Release(number) => self.say_trunk(number, false, pool),
            Deed::State(state) => self.note_state(state),
            Deed::Misconfigured(reason) => {
                let (device, reason) = (self.setup.device.clone(), reason.to_owned());
                self.events.push(ServerNetworkEvent::Misconfigured { device, reason });
            }
            Deed::Appeared => self.table.tell_all(now),
        }
    }

    fn note_state(&mut self, state: BridgeState) {
        match state {
            BridgeState::Backup => self.statistics.changes.0 += 1,
            BridgeState::Primary => self.statistics.changes.1 += 1,
            _ => {}
        }
        self.statistics.state = state;
        self.events.push(ServerNetworkEvent::Bridge { device: self.setup.device.clone(), state });
    }

    /// Tells the hypervisor whether a trunk adapter is in use.
    fn say_trunk(&mut self, number: usize, bridges: bool, pool: &mut FramePool) {
        if !self.trunks_up[number] {
            return;
        }
        let uplink = self.setup.poll_uplink.then_some(self.real_up);
        let mut frame = pool.take();
        Control::Trunk { bridges, uplink }.write(self.setup.trunks[number].address, &mut frame);
        self.queue.push((Way::Trunk(number), frame));
    }

    fn say_trunks(&mut self, pool: &mut FramePool) {
        for number in 0..self.setup.trunks.len() {
            self.say_trunk(number, self.election.holds(number) || self.election.drains(number), pool);
        }
    }

    fn send_control(&mut self, kind: Kind, clients: Vec<(EthernetAddress, u16)>, pool: &mut FramePool) {
        if !self.channel_up {
            return;
        }
        let mut packet = self.election.packet(kind);
        packet.clients = clients;
        let mut frame = pool.take();
        let way = match self.setup.control {
            Some(_) => {
                packet.write(None, &mut frame);
                Way::Control
            }
            None => {
                packet.write(Some(VlanTag::of(DISCOVERY_VLAN)), &mut frame);
                Way::Trunk(self.setup.default)
            }
        };
        self.statistics.control_packets.1 += 1;
        self.queue.push((way, frame));
    }

    /// The carrier of the real device.
    pub fn real_carrier(&mut self, now: Monotonic, up: bool, pool: &mut FramePool) {
        if self.real_up == up {
            return;
        }
        self.real_up = up;
        self.pings.link(now, up);
        self.note_uplink(now, pool);
        if self.setup.poll_uplink {
            self.say_trunks(pool);
        }
    }

    fn note_uplink(&mut self, now: Monotonic, pool: &mut FramePool) {
        let (link, answered) = (self.real_up, self.pings.answered());
        self.elect(now, pool, |election, deeds, _| election.uplink(now, link, answered, deeds));
    }

    /// The carrier of a trunk adapter.
    pub fn trunk_carrier(&mut self, now: Monotonic, number: usize, up: bool, pool: &mut FramePool) {
        if self.trunks_up[number] == up {
            return;
        }
        self.trunks_up[number] = up;
        // The hypervisor forgot what it was told.
        self.say_trunk(number, false, pool);
        self.elect(now, pool, |election, deeds, _| election.trunk_carrier(now, number, up, deeds));
        if self.election.holds(number) {
            self.say_trunk(number, true, pool);
        }
        if number == self.setup.default && self.setup.control.is_none() {
            self.control_carrier(now, up, pool);
        }
    }

    /// The carrier of the control channel adapter.
    pub fn control_carrier(&mut self, now: Monotonic, up: bool, pool: &mut FramePool) {
        if self.channel_up == up {
            return;
        }
        self.channel_up = up;
        self.elect(now, pool, |election, deeds, _| election.channel(now, up, deeds));
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Monotonic, pool: &mut FramePool) {
        self.elect(now, pool, |election, deeds, _| election.tick(now, deeds));
        if self.pings.tick(now) {
            let mut frame = pool.take();
            self.pings.write(self.setup.address, &mut frame);
            self.statistics.generated += 1;
            self.queue.push((Way::Real, frame));
        }
        self.note_uplink(now, pool);
        self.announce(pool);
        if now.since(self.told_all) >= TELL_AGAIN {
            self.told_all = now;
            self.table.tell_all(now);
        }
        if self.election.has_peer() && self.table.has_untold() {
            let clients = self.table.take_untold(MOST_CLIENTS);
            self.send_control(Kind::Clients, clients, pool);
        }
    }

    /// When [`Sea::tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        // With more to announce or to tell, the next keep-alive is soon enough; the first ones went at once.
        [self.election.next_due(), self.pings.next_due()].into_iter().flatten().min()
    }

    /// One that stood still leaves everything before it touches another frame.
    fn mind_lapse(&mut self, now: Monotonic, pool: &mut FramePool) {
        if self.election.lapsed(now) {
            self.elect(now, pool, |_, _, _| {});
        }
    }

    /// A frame from the control channel adapter.
    pub fn from_control(&mut self, now: Monotonic, frame: Frame, pool: &mut FramePool) {
        self.mind_lapse(now, pool);
        if let Some(Control::Gone { .. }) = Control::read(&frame) {
            self.election.channel_gone();
        } else {
            self.take_packet(now, &frame, pool);
        }
        pool.give(frame);
    }

    fn take_packet(&mut self, now: Monotonic, frame: &Frame, pool: &mut FramePool) {
        let Some(packet) = Packet::read(frame) else {
            return;
        };
        let mut ours = false;
        self.elect(now, pool, |election, deeds, _| ours = election.receive(now, &packet, deeds));
        if !ours || packet.sender == self.setup.address {
            return;
        }
        self.statistics.control_packets.0 += 1;
        let kinds = &mut self.statistics.control_kinds;
        match packet.kind {
            Kind::KeepAlive => kinds[0] += 1,
            Kind::Recovery => kinds[1] += 1,
            Kind::Notify => kinds[2] += 1,
            Kind::Limbo => kinds[3] += 1,
            Kind::Clients => {
                for (client, vlan) in packet.clients {
                    let trunk = self.setup.trunk_of(vlan).filter(|trunk| !self.election.holds(*trunk));
                    if let Some(trunk) = trunk {
                        self.table.told(now, vlan, client, trunk);
                    }
                }
            }
        }
    }

    /// A frame from the real device.
    pub fn from_real(&mut self, now: Monotonic, mut frame: Frame, pool: &mut FramePool) {
        self.mind_lapse(now, pool);
        self.statistics.real_side[0] += 1;
        let destination = frame.destination();
        if destination.is_reserved() {
            self.statistics.real_side[7] += 1;
            return pool.give(frame);
        }
        if destination == self.setup.address {
            return self.consume_from_real(now, frame, pool);
        }
        if destination.is_group() && self.has_upper {
            self.queue.push((Way::Up, pool.copy(&frame)));
        }
        let vlan = frame.vlan(self.setup.default_vlan);
        let Some(number) = self.setup.trunk_from_outside(vlan) else {
            self.statistics.real_side[6] += 1;
            return pool.give(frame);
        };
        if !self.may_pass_in(now, number, vlan, &frame) {
            if self.election.is_blocked() && self.table.began_as_client(now, vlan, frame.source()) {
                // A client's frame comes back from outside: another one bridges.
                self.election.stay_blocked(now.after(storm::EVIDENCE));
            }
            if !self.election.holds(number) {
                self.table.note_outside(now, vlan, frame.source());
            }
            return pool.give(frame);
        }
        if self.election.holds(number) {
            let place = self.table.side(now, vlan, destination);
            if place == Some(Side::Real) {
                return pool.give(frame);
            }
            if place.is_none() && self.is_storm(now, vlan, &frame, true, pool) {
                self.statistics.real_side[5] += 1;
                return pool.give(frame);
            }
            self.table.learn(now, vlan, frame.source(), Side::Real);
        }
        if number == self.setup.default && vlan == self.setup.default_vlan {
            frame.tag = frame.tag.filter(|tag| tag.priority != 0).map(|tag| VlanTag { id: 0, ..tag });
        }
        let waits = destination.is_group() && self.election.unconfirmed(number);
        if waits && self.held_back.len() < MOST_HELD_BACK {
            self.held_back.push((number, frame));
        } else {
            self.pass_in(number, frame);
        }
    }

    fn pass_in(&mut self, number: usize, frame: Frame) {
        self.count_client(&frame, false);
        self.statistics.real_side[1] += 1;
        self.statistics.virtual_side[4] += 1;
        self.queue.push((Way::Trunk(number), frame));
    }

    fn consume_from_real(&mut self, now: Monotonic, frame: Frame, pool: &mut FramePool) {
        self.statistics.real_side[2] += 1;
        if self.pings.receive(now, &frame) {
            self.note_uplink(now, pool);
        }
        if self.has_upper { self.queue.push((Way::Up, frame)) } else { pool.give(frame) }
    }

    /// Whether a frame from outside may pass, while trunk adapters change hands and else.
    fn may_pass_in(&self, now: Monotonic, number: usize, vlan: u16, frame: &Frame) -> bool {
        let fresh = now.since(self.taken[number]) < election::DRAIN;
        let from_client = || self.table.is_client(now, vlan, frame.source());
        if self.election.holds(number) {
            // What the other one sent out for a client just before comes back from outside as long as it drains.
            let changes = fresh || self.election.grants(number);
            return !(changes && self.election.has_peer() && from_client());
        }
        // Groups and unknown stations get it from the other one.
        let for_client = || self.table.is_client(now, vlan, frame.destination());
        self.election.drains(number) && !frame.destination().is_group() && for_client() && !from_client()
    }

    fn is_storm(
        &mut self,
        now: Monotonic,
        vlan: u16,
        frame: &Frame,
        real: bool,
        pool: &mut FramePool,
    ) -> bool {
        let Some(until) = self.storms.watch(now, vlan, frame, real) else {
            return false;
        };
        self.statistics.storms += 1;
        self.events.push(ServerNetworkEvent::Storm { device: self.setup.device.clone(), vlan });
        self.elect(now, pool, |election, deeds, _| election.block(now, until, deeds));
        true
    }

    /// A frame from a trunk adapter.
    pub fn from_trunk(&mut self, now: Monotonic, number: usize, frame: Frame, pool: &mut FramePool) {
        self.mind_lapse(now, pool);
        let discovery = frame.tag.is_some_and(|tag| tag.id == DISCOVERY_VLAN);
        let message = Control::read(&frame);
        if discovery || message.is_some() {
            match message {
                Some(Control::Gone { vlan }) if vlan == self.setup.trunks[number].port_vlan => {
                    self.elect(now, pool, |election, deeds, _| election.trunk_gone(now, number, deeds));
                }
                None if self.setup.control.is_none() && number == self.setup.default => {
                    self.take_packet(now, &frame, pool);
                }
                _ => {}
            }
            return pool.give(frame);
        }
        self.statistics.virtual_side[0] += 1;
        if !self.election.holds(number) {
            self.statistics.virtual_side[5] += 1;
            return pool.give(frame);
        }
        let destination = frame.destination();
        let vlan = frame.vlan(self.setup.trunks[number].port_vlan);
        if self.election.unconfirmed(number) && self.table.is_outside(now, vlan, frame.source()) {
            // The other one passed it in before it knew that it is not the one any more.
            let same = |(to, held): &(usize, Frame)| *to == number && held.bytes() == frame.bytes();
            if let Some(at) = self.held_back.iter().position(same) {
                pool.give(self.held_back.remove(at).1);
            }
            return pool.give(frame);
        }
        self.table.learn(now, vlan, frame.source(), Side::Trunk(number));
        self.count_client(&frame, true);
        if destination == self.setup.address {
            self.statistics.virtual_side[2] += 1;
            self.hand_up(number, &frame, pool);
            return pool.give(frame);
        }
        if destination.is_group() {
            self.hand_up(number, &frame, pool);
        }
        let unknown = destination.is_group() || self.table.side(now, vlan, destination).is_none();
        if destination.is_reserved() || unknown && self.is_storm(now, vlan, &frame, false, pool) {
            self.statistics.virtual_side[5] += 1;
            return pool.give(frame);
        }
        self.send_out(number, frame, pool);
    }

    /// What is over the Shared Ethernet Adapter gets a frame of a client, in the VLAN that it came from.
    fn hand_up(&mut self, number: usize, frame: &Frame, pool: &mut FramePool) {
        if !self.has_upper {
            return;
        }
        let mut frame = pool.copy(frame);
        if number != self.setup.default && frame.tag.is_none_or(|tag| tag.id == 0) {
            frame.tag = Some(VlanTag::of(self.setup.trunks[number].port_vlan));
        }
        self.queue.push((Way::Up, frame));
    }

    /// A client's frame goes out, in pieces if it is too large.
    fn send_out(&mut self, number: usize, mut frame: Frame, pool: &mut FramePool) {
        let size = match frame.offload.segment {
            Some((payload, _)) => {
                usize::from(frame.offload.header_bytes.saturating_sub(14)) + usize::from(payload)
            }
            None => frame.payload().len(),
        };
        if size <= self.setup.maximum_payload {
            self.statistics.virtual_side[1] += 1;
            self.statistics.real_side[4] += 1;
            return self.queue.push((Way::Real, frame));
        }
        match oversize::handle(&mut frame, self.setup.maximum_payload, self.setup.address, pool) {
            Oversize::Fragments(fragments) => {
                self.statistics.virtual_side[1] += 1;
                self.statistics.virtual_side[3] += 1;
                self.statistics.real_side[4] += fragments.len() as u64;
                self.queue.extend(fragments.into_iter().map(|fragment| (Way::Real, fragment)));
            }
            Oversize::Refused(reply) => {
                self.statistics.icmp_errors += 1;
                self.statistics.generated += 1;
                self.statistics.virtual_side[5] += 1;
                self.queue.push((Way::Trunk(number), reply));
            }
            Oversize::Dropped => {
                self.statistics.too_large += 1;
                self.statistics.virtual_side[5] += 1;
            }
        }
        pool.give(frame);
    }

    /// A frame of an interface over the Shared Ethernet Adapter.
    pub fn from_up(&mut self, now: Monotonic, frame: Frame, pool: &mut FramePool) {
        self.statistics.generated += 1;
        let vlan = frame.vlan(self.setup.default_vlan);
        let trunk = self.setup.trunk_from_outside(vlan).filter(|number| self.election.holds(*number));
        let place = self.table.side(now, vlan, frame.destination());
        match (trunk, place) {
            (Some(_), Some(Side::Trunk(number))) => return self.queue.push((Way::Trunk(number), frame)),
            (Some(number), None) => self.queue.push((Way::Trunk(number), pool.copy(&frame))),
            _ => {}
        }
        if self.real_up {
            self.queue.push((Way::Real, frame));
        } else {
            self.statistics.generated_drops += 1;
            pool.give(frame);
        }
    }

    fn count_client(&mut self, frame: &Frame, sent: bool) {
        if !self.setup.accounting {
            return;
        }
        let client = if sent { frame.source() } else { frame.destination() };
        if client.is_group() {
            return;
        }
        let [a, b, c, d, e, f] = client.0;
        let mac_address = MacAddress(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        let tag = frame.tag.filter(|tag| tag.id != 0);
        let (vlan, address) = (tag.map(|tag| tag.id), ip_address(frame, sent));
        let full = self.accounts.len() >= MOST_ACCOUNTS;
        let key = (mac_address, vlan, address);
        if full && !self.accounts.contains_key(&key) {
            return;
        }
        let account = self.accounts.entry(key).or_insert(ClientStatistics {
            mac_address,
            vlan,
            priority: tag.map_or(0, |tag| tag.priority),
            address,
            transmitted: (0, 0),
            received: (0, 0),
        });
        let counter = if sent { &mut account.transmitted } else { &mut account.received };
        counter.0 += 1;
        counter.1 += frame.wire_bytes() as u64;
    }
}

/// The client's IP address in a frame that it sent, or that is for it.
fn ip_address(frame: &Frame, sent: bool) -> Option<IpAddr> {
    let payload = frame.payload();
    let version_4 = |at: usize| {
        let bytes: [u8; 4] = payload.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::from(bytes))
    };
    match frame.ethernet_type() {
        TYPE_IPV4 => version_4(if sent { 12 } else { 16 }),
        TYPE_ARP => version_4(if sent { 14 } else { 24 }),
        TYPE_IPV6 => {
            let at = if sent { 8 } else { 24 };
            let bytes: [u8; 16] = payload.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}
