//! Which of two Shared Ethernet Adapters bridges which trunk adapters.
//!
//! ```text
//!            listened long enough                     recovery: it asks the other one
//!   INIT -----------------------------> BACKUP <---------------------------------> RECOVERING
//!    ^                                   |  ^                                          |
//!    | stood still for too long          |  | the other one bridges now                | notify: the other one agreed
//!    |                                   |  |                                          v
//!    +---- PRIMARY, PRIMARY_SH, BACKUP_SH <-------- nobody bridges, or the other one is silent, gone, or worse off
//!             |        ^        |
//!             |        |        | asked by the other one
//!             |        |        v
//!             |        +----- NOTIFY (bridges on until the other one does)
//!             | uplink lost
//!             v
//!           LIMBO ---- uplink is back ----> UNHEALTHY ---- link_time and health_time are over ----> BACKUP
//! ```
//!
//! - Both know of each other by keep-alives. Of two whose uplinks are equally well the one that is not on standby, then the
//!   one of the lower priority number is better. One whose uplink is better off comes before all that.
//! - Trunk adapters that nobody bridges go to the better one at once, and all of them to one that is alone.
//! - What the other one bridges is asked for (recovery) after `health_time` and `fb_delay`, and at once where the other one
//!   is on standby or worse off. The other one answers (notify) and bridges on until the first one says that it does: make
//!   before break. Then it still delivers frames for known clients that were on their way to it, for a moment.
//! - Sharing: the better one has the first half of the trunk adapters, the other one the rest.
//! - A silent one counts as dead after [`DEAD`]; one that stood still for [`LEASE`] knows that, and bridges nothing before it
//!   has listened again. A notice of the hypervisor that the other one's trunk adapter is gone does not wait for that.

use std::time::Duration;

use varan_contract::network::BridgeState;
use varan_environment::Monotonic;
use varan_ethernet::EthernetAddress;

use super::packet::{Kind, MOST_TRUNKS, Mode, Packet, TrunkState};

/// Time between keep-alives.
pub const KEEP_ALIVE: Duration = Duration::from_millis(200);
/// Silence after which the other one counts as dead.
pub const DEAD: Duration = Duration::from_millis(900);
/// One that sent nothing for so long must assume that the other one took over: shorter than [`DEAD`].
pub const LEASE: Duration = Duration::from_millis(700);
/// How long one that has just started listens.
const LISTEN: Duration = Duration::from_millis(500);
/// How long it waits for its control channel before it listens without.
const NO_CHANNEL: Duration = Duration::from_secs(5);
/// How long frames on their way are still delivered by the one that bridged before.
pub const DRAIN: Duration = Duration::from_millis(100);
/// How long an agreement to leave trunk adapters holds.
const AGREEMENT: Duration = Duration::from_secs(1);

/// What the election is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionSetup {
    /// Address of the adapter.
    pub name: EthernetAddress,
    /// `ha_mode`; `None` for disabled.
    pub mode: Option<Mode>,
    /// Priority of the trunk adapters; the lowest number is best.
    pub priority: u8,
    /// Port VLANs of the trunk adapters.
    pub trunks: Vec<u16>,
    /// `fb_delay`.
    pub failback_delay: Duration,
    /// `link_time`.
    pub link_time: Duration,
    /// `health_time`.
    pub health_time: Duration,
    /// `noauto_failback`.
    pub no_automatic_failback: bool,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Send a packet ([`Election::packet`]).
    Send(Kind),
    /// Bridge this trunk adapter from now on.
    Take(usize),
    /// Send nothing of this trunk adapter out any more; deliver to it what is on its way to known clients.
    Drain(usize),
    /// Have nothing to do with this trunk adapter any more.
    Release(usize),
    /// The state changed.
    State(BridgeState),
    /// The other one does not fit.
    Misconfigured(&'static str),
    /// Another one appeared.
    Appeared,
}

#[derive(Clone, Copy, Debug, Default)]
struct Trunk {
    vlan: u16,
    carrier: bool,
    held: bool,
    /// Delivers until then.
    draining: Option<Monotonic>,
    /// Promised to the other one.
    granted: bool,
    /// Asked for.
    wanted: bool,
    /// The other one agreed, and has not said yet that it stopped.
    unconfirmed: bool,
}

#[derive(Clone, Debug)]
struct Peer {
    name: EthernetAddress,
    mode: Mode,
    level: u8,
    priority: u8,
    /// As the packets say, by own number.
    trunks: [TrunkState; MOST_TRUNKS],
    /// Own numbers in the other one's order.
    order: Vec<usize>,
    heard: Monotonic,
    /// Its control channel is gone: its silence means nothing.
    cut: bool,
}

/// One side of the election.
#[derive(Debug)]
pub struct Election {
    setup: ElectionSetup,
    trunks: Vec<Trunk>,
    /// When it began to listen; `None` afterwards.
    listening: Option<Monotonic>,
    /// It listens because it stood still: the other one need not wait for it.
    stood_still: bool,
    channel: bool,
    link: bool,
    answered: bool,
    blocked: Option<Monotonic>,
    /// Its uplink was well at some time since it listened.
    was_well: bool,
    /// Its uplink was lost, and is being watched since.
    lost: bool,
    link_since: Monotonic,
    well_since: Monotonic,
    released: Monotonic,
    /// Since when it could ask for what the other one bridges.
    eligible: Option<Monotonic>,
    granted_at: Monotonic,
    peer: Option<Peer>,
    next_keep_alive: Monotonic,
    last_sent: Monotonic,
    said: Option<Said>,
    sequence: u32,
    state: BridgeState,
    complained: bool,
}

/// What the other one was told last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    level: u8,
    listening: bool,
    mode: Mode,
    priority: u8,
    there: u32,
    held: u32,
}

impl Election {
    /// An election that begins now.
    #[must_use]
    pub fn new(now: Monotonic, setup: ElectionSetup) -> Self {
        let trunks = setup.trunks.iter().map(|vlan| Trunk { vlan: *vlan, ..Trunk::default() }).collect();
        Self {
            listening: setup.mode.is_some().then_some(now),
            state: if setup.mode.is_some() { BridgeState::Init } else { BridgeState::Primary },
            setup,
            trunks,
            stood_still: false,
            channel: false,
            link: false,
            answered: true,
            blocked: None,
            was_well: false,
            lost: false,
            link_since: now,
            well_since: now,
            released: now,
            eligible: None,
            granted_at: now,
            peer: None,
            next_keep_alive: now,
            last_sent: now,
            said: None,
            sequence: 0,
            complained: false,
        }
    }

    /// Takes another configuration. Trunk adapters of the same VLAN go on; others begin anew, or are left without a word: the
    /// owner does not use their adapters any more.
    pub fn configure(&mut self, now: Monotonic, setup: ElectionSetup, deeds: &mut Vec<Deed>) {
        if self.setup.mode.is_none() && setup.mode.is_some() {
            self.next_keep_alive = now;
            self.last_sent = now;
        }
        if setup.mode.is_none() {
            self.listening = None;
            self.peer = None;
        }
        self.complained = false;
        if self.renumber(&setup.trunks) {
            // What the other one does with new trunk adapters is not known yet.
            self.released = now;
        }
        self.setup = setup;
        self.settle(now, deeds);
    }

    fn renumber(&mut self, vlans: &[u16]) -> bool {
        let before: Vec<u16> = self.trunks.iter().map(|trunk| trunk.vlan).collect();
        if before == vlans {
            return false;
        }
        let former = |vlan: &u16| before.iter().position(|known| known == vlan);
        let fresh = |vlan: &u16| Trunk { vlan: *vlan, ..Trunk::default() };
        let trunk = |vlan: &u16| former(vlan).map_or_else(|| fresh(vlan), |number| self.trunks[number]);
        let trunks = vlans.iter().map(trunk).collect();
        if let Some(peer) = &mut self.peer {
            let known = peer.trunks;
            peer.trunks = [TrunkState::default(); MOST_TRUNKS];
            for (slot, vlan) in peer.trunks.iter_mut().zip(vlans) {
                *slot = former(vlan).and_then(|number| known.get(number).copied()).unwrap_or_default();
            }
            let order = peer.order.iter().filter_map(|number| before.get(*number));
            peer.order = order.filter_map(|vlan| vlans.iter().position(|new| new == vlan)).collect();
        }
        self.trunks = trunks;
        true
    }

    /// State.
    #[must_use]
    pub fn state(&self) -> BridgeState {
        self.state
    }

    /// Whether it bridges a trunk adapter.
    #[must_use]
    pub fn holds(&self, trunk: usize) -> bool {
        self.trunks.get(trunk).is_some_and(|trunk| trunk.held)
    }

    /// Whether the other one may still deliver frames for groups to a trunk adapter that it agreed to leave.
    #[must_use]
    pub fn unconfirmed(&self, trunk: usize) -> bool {
        self.trunks.get(trunk).is_some_and(|trunk| trunk.held && trunk.unconfirmed)
    }

    /// Whether it agreed to leave a trunk adapter.
    #[must_use]
    pub fn grants(&self, trunk: usize) -> bool {
        self.trunks.get(trunk).is_some_and(|trunk| trunk.granted)
    }

    /// Whether it still delivers for a trunk adapter.
    #[must_use]
    pub fn drains(&self, trunk: usize) -> bool {
        self.trunks.get(trunk).is_some_and(|trunk| trunk.draining.is_some())
    }

    /// Whether it bridges all that it has.
    #[must_use]
    pub fn holds_all(&self) -> bool {
        self.trunks.iter().all(|trunk| trunk.held)
    }

    /// Whether another one is known.
    #[must_use]
    pub fn has_peer(&self) -> bool {
        self.peer.is_some()
    }

    /// The carrier of a trunk adapter.
    pub fn trunk_carrier(&mut self, now: Monotonic, trunk: usize, up: bool, deeds: &mut Vec<Deed>) {
        if let Some(trunk) = self.trunks.get_mut(trunk) {
            trunk.carrier = up;
        }
        self.settle(now, deeds);
    }

    /// The carrier of the control channel.
    pub fn channel(&mut self, now: Monotonic, up: bool, deeds: &mut Vec<Deed>) {
        if up && !self.channel {
            self.next_keep_alive = now;
            self.said = None;
            if let Some(since) = &mut self.listening {
                *since = now;
            }
            if let Some(peer) = &mut self.peer {
                peer.heard = now;
            }
        }
        self.channel = up;
        self.settle(now, deeds);
    }

    /// The uplink: its carrier, and whether it answers pings (true where none are sent).
    pub fn uplink(&mut self, now: Monotonic, link: bool, answered: bool, deeds: &mut Vec<Deed>) {
        if (link, answered) == (self.link, self.answered) {
            return;
        }
        if link != self.link {
            self.link_since = now;
        }
        (self.link, self.answered) = (link, answered);
        if self.level() == 2 {
            self.well_since = now;
            self.was_well = true;
        } else if self.was_well && self.listening.is_none() {
            self.lost = true;
        }
        self.settle(now, deeds);
    }

    /// It bridges nothing until then: frames went in a circle.
    pub fn block(&mut self, now: Monotonic, until: Monotonic, deeds: &mut Vec<Deed>) {
        self.blocked = Some(until);
        self.settle(now, deeds);
    }

    /// While it is stopped: another one evidently bridges, so that it stays stopped until then at least.
    pub fn stay_blocked(&mut self, until: Monotonic) {
        if let Some(blocked) = &mut self.blocked {
            *blocked = until.max(*blocked);
        }
    }

    /// Whether it is stopped because frames went in a circle.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// The hypervisor says that another trunk adapter is gone.
    pub fn trunk_gone(&mut self, now: Monotonic, trunk: usize, deeds: &mut Vec<Deed>) {
        if let Some(peer) = &mut self.peer {
            if let Some(trunk) = peer.trunks.get_mut(trunk) {
                trunk.there = false;
                trunk.held = false;
            }
            if !peer.trunks.iter().any(|trunk| trunk.there) {
                self.peer = None;
            }
        }
        self.settle(now, deeds);
    }

    /// The hypervisor says that another adapter of the control channel is gone. What the other one bridges is not, as far
    /// as that tells: its trunk adapters have notices of their own.
    pub fn channel_gone(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.cut = true;
        }
    }

    /// A packet of another one. False for one that is none of this election's: it has no VLAN in common.
    pub fn receive(&mut self, now: Monotonic, packet: &Packet, deeds: &mut Vec<Deed>) -> bool {
        if packet.sender == self.setup.name || self.setup.mode.is_none() {
            return true;
        }
        let mut trunks = [TrunkState::default(); MOST_TRUNKS];
        let mut order = Vec::new();
        for other in &packet.trunks {
            let own = self.trunks.iter().position(|own| own.vlan == other.vlan);
            if let Some(own) = own.filter(|own| *own < MOST_TRUNKS && !order.contains(own)) {
                trunks[own] = *other;
                order.push(own);
            }
        }
        if order.is_empty() {
            return false;
        }
        if let Some(peer) = self.peer.as_ref().filter(|peer| peer.name != packet.sender)
            && now.since(peer.heard) < DEAD
        {
            self.complain("more than two Shared Ethernet Adapters have the same VLANs", deeds);
            return true;
        }
        let appeared = self.peer.as_ref().is_none_or(|peer| peer.name != packet.sender);
        let (mode, level, priority) = (packet.mode, packet.level, packet.priority);
        self.peer =
            Some(Peer { name: packet.sender, mode, level, priority, trunks, order, heard: now, cut: false });
        if appeared {
            self.complained = false;
            self.said = None;
            deeds.push(Deed::Appeared);
        }
        self.check_fit(packet, deeds);
        for (trunk, other) in self.trunks.iter_mut().zip(&trunks) {
            trunk.unconfirmed &= other.held;
        }
        match packet.kind {
            Kind::Recovery => self.agree(now, &trunks, deeds),
            Kind::Notify => self.take_granted(&trunks, deeds),
            _ => {}
        }
        self.leave_what_the_other_holds(now, deeds);
        self.settle(now, deeds);
        true
    }

    fn check_fit(&mut self, packet: &Packet, deeds: &mut Vec<Deed>) {
        if packet.priority == self.setup.priority {
            self.complain("both have the same priority", deeds);
        }
        if (packet.mode == Mode::Sharing) != (self.setup.mode == Some(Mode::Sharing)) {
            self.complain("only one is set to load sharing", deeds);
        }
    }

    fn complain(&mut self, reason: &'static str, deeds: &mut Vec<Deed>) {
        if !std::mem::replace(&mut self.complained, true) {
            deeds.push(Deed::Misconfigured(reason));
        }
    }

    /// The other one asks for trunk adapters: agrees, and bridges on until it does.
    fn agree(&mut self, now: Monotonic, asked: &[TrunkState; MOST_TRUNKS], deeds: &mut Vec<Deed>) {
        let mut any = false;
        for (trunk, asked) in self.trunks.iter_mut().zip(asked) {
            trunk.granted = trunk.held && asked.asked;
            any |= trunk.granted;
        }
        if any {
            self.granted_at = now;
            deeds.push(Deed::Send(Kind::Notify));
        }
    }

    /// The other one agreed.
    fn take_granted(&mut self, granted: &[TrunkState; MOST_TRUNKS], deeds: &mut Vec<Deed>) {
        if self.level() == 0 {
            return;
        }
        for (number, granted) in granted.iter().enumerate().take(self.trunks.len()) {
            let trunk = &mut self.trunks[number];
            if granted.asked && trunk.wanted && trunk.carrier && !trunk.held {
                trunk.held = true;
                trunk.wanted = false;
                trunk.unconfirmed = true;
                trunk.draining = None;
                deeds.push(Deed::Take(number));
                if let Some(peer) = &mut self.peer {
                    // It leaves the adapter as soon as it hears of this.
                    peer.trunks[number].held = false;
                }
            }
        }
    }

    /// Both bridge a trunk adapter: as agreed, or the worse one stops.
    fn leave_what_the_other_holds(&mut self, now: Monotonic, deeds: &mut Vec<Deed>) {
        let Some(peer) = &self.peer else { return };
        let other_is_better = self.rank() > peer.rank();
        let mut changed = false;
        for (number, trunk) in self.trunks.iter_mut().enumerate() {
            if !trunk.held || !peer.trunks.get(number).is_some_and(|other| other.held) {
                continue;
            }
            if trunk.granted {
                trunk.draining = Some(now.after(DRAIN));
                deeds.push(Deed::Drain(number));
            } else if other_is_better {
                deeds.push(Deed::Release(number));
            } else {
                continue;
            }
            (trunk.held, trunk.granted) = (false, false);
            changed = true;
        }
        if changed {
            self.released = now;
        }
    }

    fn level(&self) -> u8 {
        match (self.link && self.blocked.is_none(), self.answered) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        }
    }

    /// Its level as the other one is told: one that stood still for a moment bridges nothing for now.
    fn told_level(&self) -> u8 {
        if self.stood_still { 0 } else { self.level() }
    }

    /// The lower, the better.
    fn rank(&self) -> (u8, bool, u8, EthernetAddress) {
        let standby = self.setup.mode == Some(Mode::Standby);
        (2 - self.level(), standby, self.setup.priority, self.setup.name)
    }

    /// Whether it bridged and then stood still for so long that the other one may have taken over.
    #[must_use]
    pub fn lapsed(&self, now: Monotonic) -> bool {
        now.since(self.last_sent) > LEASE
            && self.channel
            && self.peer.is_some()
            && self.trunks.iter().any(|trunk| trunk.held || trunk.draining.is_some())
    }

    /// Leaves everything and listens again, after [`Election::lapsed`].
    pub fn listen_again(&mut self, now: Monotonic, deeds: &mut Vec<Deed>) {
        self.listening = Some(now);
        self.stood_still = true;
        self.next_keep_alive = now;
        self.said = None;
        if let Some(peer) = &mut self.peer {
            peer.heard = now;
        }
        self.settle(now, deeds);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Monotonic, deeds: &mut Vec<Deed>) {
        if self.lapsed(now) {
            self.listen_again(now, deeds);
            return;
        }
        self.settle(now, deeds);
    }

    /// When [`Election::tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        let drains = self.trunks.iter().filter_map(|trunk| trunk.draining);
        let mut due = drains.chain(self.blocked).min();
        if self.setup.mode.is_some() {
            let peer = self.peer.as_ref().filter(|peer| self.channel && !peer.cut);
            let silent = peer.map(|peer| peer.heard.after(DEAD));
            let listened = self.listened_at();
            // Delays of seconds are looked at with each keep-alive.
            due = due.into_iter().chain(silent).chain(listened).chain([self.next_keep_alive]).min();
        }
        due
    }

    fn listened_at(&self) -> Option<Monotonic> {
        self.listening.map(|since| since.after(if self.channel { LISTEN } else { NO_CHANNEL }))
    }

    /// Everything that follows from what is known now.
    fn settle(&mut self, now: Monotonic, deeds: &mut Vec<Deed>) {
        self.let_time_pass(now, deeds);
        let desired = self.desired();
        self.release(now, desired, deeds);
        self.take(now, desired, deeds);
        self.ask(now, desired, deeds);
        self.tell(now, deeds);
        let state = self.new_state();
        if state != self.state {
            self.state = state;
            deeds.push(Deed::State(state));
        }
    }

    fn let_time_pass(&mut self, now: Monotonic, deeds: &mut Vec<Deed>) {
        if self.listened_at().is_some_and(|at| at <= now) {
            self.listening = None;
            self.stood_still = false;
        }
        if self.blocked.is_some_and(|until| until <= now) {
            self.blocked = None;
        }
        if self.channel && self.peer.as_ref().is_some_and(|peer| !peer.cut && now.since(peer.heard) >= DEAD) {
            self.peer = None;
        }
        if now.since(self.granted_at) >= AGREEMENT || self.peer.is_none() {
            self.trunks.iter_mut().for_each(|trunk| trunk.granted = false);
        }
        if self.peer.is_none() {
            self.trunks.iter_mut().for_each(|trunk| trunk.unconfirmed = false);
        }
        for (number, trunk) in self.trunks.iter_mut().enumerate() {
            if trunk.draining.is_some_and(|until| until <= now) {
                trunk.draining = None;
                deeds.push(Deed::Release(number));
            }
        }
        let watched = self.link_since.after(self.setup.link_time) <= now
            && self.well_since.after(self.setup.health_time) <= now;
        if self.lost && self.level() == 2 && watched {
            self.lost = false;
        }
    }

    /// The trunk adapters that it should bridge, as bits.
    fn desired(&self) -> u32 {
        let carriers = bits(&self.trunks, |trunk| trunk.carrier);
        if self.setup.mode.is_none() {
            return if self.blocked.is_some() { 0 } else { carriers };
        }
        if self.listening.is_some() || self.level() == 0 {
            return 0;
        }
        let Some(peer) = &self.peer else {
            return carriers;
        };
        let other = peer.there();
        let alone = carriers & !other;
        let both = carriers & other;
        let better = self.rank() < peer.rank();
        let sharing = self.setup.mode == Some(Mode::Sharing)
            && peer.mode == Mode::Sharing
            && self.level() == peer.level
            && both.count_ones() > 1;
        let share = match (sharing, better) {
            (false, true) => both,
            (false, false) => 0,
            (true, true) => first_half(0..self.trunks.len(), both),
            (true, false) => both & !first_half(peer.order.iter().copied(), both),
        };
        alone | share
    }

    fn release(&mut self, now: Monotonic, desired: u32, deeds: &mut Vec<Deed>) {
        // What the other one is to have is left when it asks for it; this is what it cannot bridge itself.
        let all = self.listening.is_some() || self.blocked.is_some() || self.level() == 0;
        let disabled = self.setup.mode.is_none();
        let mut changed = false;
        for (number, trunk) in self.trunks.iter_mut().enumerate() {
            let cannot = !trunk.carrier || all && !(disabled && desired & 1 << number != 0);
            if cannot && (trunk.held || trunk.draining.is_some()) {
                changed |= trunk.held;
                (trunk.held, trunk.granted, trunk.draining) = (false, false, None);
                deeds.push(Deed::Release(number));
            }
            trunk.wanted &= desired & 1 << number != 0;
        }
        if changed {
            self.released = now;
        }
    }

    fn take(&mut self, now: Monotonic, desired: u32, deeds: &mut Vec<Deed>) {
        let other = self.peer.as_ref().map_or(0, Peer::held);
        // News of the other one from before it left them itself may be too old: the other one may have them by now.
        let old =
            |peer: &Peer| peer.heard < self.released || peer.heard == self.released && self.released < now;
        if self.peer.as_ref().is_some_and(old) {
            return;
        }
        for (number, trunk) in self.trunks.iter_mut().enumerate() {
            let bit = 1 << number;
            if desired & bit != 0 && other & bit == 0 && !trunk.held {
                (trunk.held, trunk.wanted, trunk.draining) = (true, false, None);
                deeds.push(Deed::Take(number));
            }
        }
    }

    /// Asks for what the other one bridges, when it may.
    fn ask(&mut self, now: Monotonic, desired: u32, deeds: &mut Vec<Deed>) {
        let held = bits(&self.trunks, |trunk| trunk.held);
        let contested = self.peer.as_ref().map_or(0, |peer| desired & !held & peer.held());
        if contested == 0 || self.lost {
            self.eligible = None;
        } else if self.eligible.is_none() {
            self.eligible = Some(now);
        }
        let asks = contested != 0 && self.may_ask(now);
        let mut new = false;
        for (number, trunk) in self.trunks.iter_mut().enumerate() {
            let wanted = asks && contested & 1 << number != 0;
            new |= wanted && !trunk.wanted;
            trunk.wanted = wanted;
        }
        if new {
            deeds.push(Deed::Send(Kind::Recovery));
        }
    }

    fn may_ask(&self, now: Monotonic) -> bool {
        let Some(peer) = &self.peer else {
            return false;
        };
        let other_is_on_standby = peer.mode == Mode::Standby && self.setup.mode != Some(Mode::Standby);
        if peer.level < self.level() || other_is_on_standby {
            return true;
        }
        let sharing = peer.mode == Mode::Sharing && self.setup.mode == Some(Mode::Sharing);
        let delayed = self.eligible.is_some_and(|since| since.after(self.setup.failback_delay) <= now);
        delayed && (sharing || !self.setup.no_automatic_failback)
    }

    /// Tells the other one what changed at once, and that it lives from time to time.
    fn tell(&mut self, now: Monotonic, deeds: &mut Vec<Deed>) {
        let Some(mode) = self.setup.mode else {
            self.said = None;
            return;
        };
        let said = Said {
            level: self.told_level(),
            listening: self.listening.is_some(),
            mode,
            priority: self.setup.priority,
            there: bits(&self.trunks, |trunk| trunk.carrier),
            held: bits(&self.trunks, |trunk| trunk.held),
        };
        let due = self.next_keep_alive <= now;
        if !due && self.said == Some(said) {
            return;
        }
        let lost = self.level() == 0 && self.said.is_some_and(|before| before.level != 0);
        self.said = Some(said);
        self.next_keep_alive = now.after(KEEP_ALIVE);
        self.last_sent = now;
        deeds.push(Deed::Send(if lost { Kind::Limbo } else { Kind::KeepAlive }));
        if due && self.trunks.iter().any(|trunk| trunk.wanted) {
            deeds.push(Deed::Send(Kind::Recovery));
        }
    }

    fn new_state(&self) -> BridgeState {
        if self.setup.mode.is_none() {
            return if self.blocked.is_some() { BridgeState::Unhealthy } else { BridgeState::Primary };
        }
        let any = |of: fn(&Trunk) -> bool| self.trunks.iter().any(of);
        if self.listening.is_some() {
            BridgeState::Init
        } else if any(|trunk| trunk.granted) {
            BridgeState::Notify
        } else if any(|trunk| trunk.wanted) {
            BridgeState::Recovering
        } else if any(|trunk| trunk.held) {
            let better = self.peer.as_ref().is_none_or(|peer| self.rank() < peer.rank());
            match (self.trunks.iter().all(|trunk| trunk.held || !trunk.carrier), better) {
                (true, _) => BridgeState::Primary,
                (false, true) => BridgeState::PrimarySharing,
                (false, false) => BridgeState::BackupSharing,
            }
        } else if self.blocked.is_some() {
            BridgeState::Unhealthy
        } else if self.level() < 2 {
            BridgeState::Limbo
        } else if self.lost {
            BridgeState::Unhealthy
        } else {
            BridgeState::Backup
        }
    }

    /// A packet of that kind as of now, without clients.
    pub fn packet(&mut self, kind: Kind) -> Packet {
        self.sequence = self.sequence.wrapping_add(1);
        let state = |trunk: &Trunk| TrunkState {
            vlan: trunk.vlan,
            there: trunk.carrier,
            held: trunk.held,
            asked: match kind {
                Kind::Recovery => trunk.wanted,
                Kind::Notify => trunk.granted,
                _ => false,
            },
        };
        Packet {
            kind,
            mode: self.setup.mode.unwrap_or(Mode::Auto),
            level: self.told_level(),
            priority: self.setup.priority,
            starting: self.listening.is_some(),
            sender: self.setup.name,
            sequence: self.sequence,
            trunks: self.trunks.iter().map(state).collect(),
            clients: Vec::new(),
        }
    }
}

impl Peer {
    fn rank(&self) -> (u8, bool, u8, EthernetAddress) {
        (2 - self.level.min(2), self.mode == Mode::Standby, self.priority, self.name)
    }

    fn held(&self) -> u32 {
        bits(&self.trunks, |trunk| trunk.held)
    }

    fn there(&self) -> u32 {
        bits(&self.trunks, |trunk| trunk.there)
    }
}

fn bits<T>(items: &[T], is: impl Fn(&T) -> bool) -> u32 {
    items.iter().enumerate().filter(|(_, item)| is(item)).fold(0, |bits, (number, _)| bits | 1 << number)
}

/// The first half of those trunk adapters of `both`, in that order; of an odd number the larger half.
fn first_half(order: impl Iterator<Item = usize>, both: u32) -> u32 {
    let half = usize::try_from(both.count_ones().div_ceil(2)).unwrap_or(0);
    order.filter(|number| both & 1 << number != 0).take(half).fold(0, |bits, number| bits | 1 << number)
}
