//! A link aggregation (EtherChannel): several links as one device, with one more as a backup.
//!
//! ```text
//!   over its links -- all of them down, or the asked address silent --> over the backup
//!        ^                                                                    |
//!        +---- a link works again, and auto_recovery; or the backup fails ----+
//! ```

use std::time::Duration;

use varan_contract::network::{AggregationMode, LinkAggregation};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, FramePool, TYPE_IPV4, TYPE_IPV6};

use super::lacp::{Lacpdu, Link};
use super::sea::PingWatch;
use crate::vnic::probe_address;

/// A link.
#[derive(Debug)]
struct Member {
    /// The device, in the owner's numbering.
    node: usize,
    up: bool,
    link: Link,
}

/// A link aggregation.
#[derive(Debug)]
pub struct Aggregation {
    setup: LinkAggregation,
    address: EthernetAddress,
    /// The links, then the backup.
    members: Vec<Member>,
    /// How many are no backup.
    main: usize,
    /// Asks over the links, and over the backup.
    pings: [PingWatch; 2],
    on_backup: bool,
    failovers: u64,
    turn: usize,
    /// Frames that the aggregation itself sends: over which device.
    pub queue: Vec<(usize, Frame)>,
}

impl Aggregation {
    /// One over these devices, the backup last.
    #[must_use]
    pub fn new(
        setup: LinkAggregation,
        address: EthernetAddress,
        main: &[usize],
        backup: Option<usize>,
    ) -> Self {
        let member = |(number, node): (u16, &usize)| Member {
            node: *node,
            up: false,
            link: Link::new(address, number),
        };
        let interval = Duration::from_secs(u64::from(setup.retry_seconds.max(1)));
        // Half an interval for the last answer to come.
        let patience = interval * setup.retries.max(1) + interval / 2;
        let target = setup.ping.filter(|_| backup.is_some());
        Self {
            address,
            members: (1..).zip(main.iter().chain(&backup)).map(member).collect(),
            main: main.len(),
            pings: [0, 1].map(|_| PingWatch::with(target, interval, patience)),
            on_backup: false,
            failovers: 0,
            turn: 0,
            queue: Vec::new(),
            setup,
        }
    }

    /// Its configuration.
    #[must_use]
    pub fn setup(&self) -> &LinkAggregation {
        &self.setup
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> EthernetAddress {
        self.address
    }

    /// The same aggregation where the owner numbers its devices anew.
    pub fn renumber(&mut self, nodes: &[usize]) {
        for (member, node) in self.members.iter_mut().zip(nodes) {
            member.node = *node;
        }
    }

    /// Whether a link is up.
    #[must_use]
    pub fn member_up(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| member.up)
    }

    /// Whether a frame can go out.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.in_use().next().is_some()
    }

    /// Whether it goes over its backup.
    #[must_use]
    pub fn is_on_backup(&self) -> bool {
        self.on_backup
    }

    /// Times that it went over to its backup.
    #[must_use]
    pub fn failovers(&self) -> u64 {
        self.failovers
    }

    /// The links that work, without the backup.
    fn working(&self) -> impl Iterator<Item = usize> {
        let main = &self.members[..self.main];
        let negotiated = self.setup.mode == AggregationMode::Ieee8023ad;
        let partner = main.iter().filter(|member| member.up && member.link.in_step());
        let partner = partner.map(|member| member.link.partner()).next().flatten();
        let works = move |member: &Member| {
            member.up
                && match (negotiated, partner) {
                    (false, _) => true,
                    (true, Some(partner)) => member.link.in_step() && member.link.partner() == Some(partner),
                    // Nobody ever spoke LACP: the other side is a static aggregation, or a single port.
                    (true, None) => !member.link.has_spoken(),
                }
        };
        main.iter().enumerate().filter(move |(_, member)| works(member)).map(|(number, _)| number)
    }

    /// The links that carry frames now.
    fn in_use(&self) -> impl Iterator<Item = usize> {
        let backup = self.on_backup.then_some(self.main).filter(|backup| self.member_up(*backup));
        let working = (!self.on_backup).then(|| self.working());
        working.into_iter().flatten().chain(backup)
    }

    /// Devices of the links in use.
    pub fn nodes_in_use(&self) -> impl Iterator<Item = usize> {
        self.in_use().map(|member| self.members[member].node)
    }

    /// The carrier of a link.
    pub fn carrier(&mut self, now: Monotonic, member: usize, up: bool, pool: &mut FramePool) {
        let Some(known) = self.members.get_mut(member).filter(|known| known.up != up) else {
            return;
        };
        known.up = up;
        known.link.carrier(now, up);
        let links = self.members[..self.main].iter().any(|member| member.up);
        self.pings[0].link(now, links);
        self.pings[1].link(now, self.member_up(self.main));
        self.choose_side(pool);
        self.tick(now, pool);
    }

    /// Goes over to the backup, or back.
    fn choose_side(&mut self, pool: &mut FramePool) {
        let backup_works = self.member_up(self.main) && self.pings[1].answered();
        let links_work = self.working().next().is_some();
        let main_works = links_work && self.pings[0].answered();
        let on_backup = match (main_works, backup_works) {
            (true, true) => self.on_backup && !self.setup.auto_recovery,
            (false, true) => true,
            (true, false) => false,
            // Neither gets answers: a link that is up is better than none.
            (false, false) => {
                if links_work == self.member_up(self.main) {
                    self.on_backup
                } else {
                    !links_work
                }
            }
        };
        if on_backup == self.on_backup || on_backup && self.members.len() == self.main {
            return;
        }
        self.on_backup = on_backup;
        self.failovers += u64::from(on_backup);
        let member = self.in_use().next();
        if let Some(member) = member {
            let mut frame = pool.take();
            crate::write_announcement(&mut frame, self.address);
            self.queue.push((self.members[member].node, frame));
        }
    }

    /// A frame came over a link. False when the aggregation took it for itself, or the link is not in use.
    pub fn receive(&mut self, now: Monotonic, member: usize, frame: &Frame, pool: &mut FramePool) -> bool {
        if let Some(packet) = Lacpdu::read(frame) {
            if self.setup.mode == AggregationMode::Ieee8023ad && member < self.main {
                self.members[member].link.receive(now, &packet);
                self.tick(now, pool);
            }
            return false;
        }
        let side = usize::from(member >= self.main);
        if frame.destination() == self.probe_source(side) {
            self.pings[side].receive(now, frame);
            self.choose_side(pool);
            return false;
        }
        // A link of the side in use that is up takes frames, whether frames go out over it or not.
        (member >= self.main) == self.on_backup
    }

    /// Probes come from addresses of their own, so that those over the side that is not in use draw nothing there.
    fn probe_source(&self, side: usize) -> EthernetAddress {
        probe_address(self.address, u8::try_from(side).unwrap_or(0))
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Monotonic, pool: &mut FramePool) {
        if self.setup.mode == AggregationMode::Ieee8023ad {
            for member in &mut self.members[..self.main] {
                if let Some(packet) = member.link.tick(now).filter(|_| member.up) {
                    let mut frame = pool.take();
                    packet.write(self.address, &mut frame);
                    self.queue.push((member.node, frame));
                }
            }
        }
        for side in 0..2 {
            if !self.pings[side].tick(now) {
                continue;
            }
            let member = if side == 0 { self.working().next() } else { Some(self.main) };
            if let Some(member) = member.filter(|member| self.member_up(*member)) {
                let mut frame = pool.take();
                self.pings[side].write(self.probe_source(side), &mut frame);
                self.queue.push((self.members[member].node, frame));
            }
        }
        self.choose_side(pool);
    }

    /// When [`Aggregation::tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        let negotiated = self.setup.mode == AggregationMode::Ieee8023ad;
        let links = self.members[..self.main].iter().filter(|member| negotiated && member.up);
        let links = links.filter_map(|member| member.link.next_due());
        links.chain(self.pings.iter().filter_map(PingWatch::next_due)).min()
    }

    /// The device over which a frame goes; `None` when none works.
    pub fn choose(&mut self, frame: &Frame) -> Option<usize> {
        let count = self.in_use().count();
        let number = match self.setup.mode {
            _ if count <= 1 => 0,
            AggregationMode::RoundRobin => {
                self.turn = self.turn.wrapping_add(1);
                self.turn % count
            }
            _ => usize::try_from(hash(frame, &self.setup.hash_mode)).unwrap_or(0) % count,
        };
        let member = self.in_use().nth(number)?;
        Some(self.members[member].node)
    }
}

/// What decides about the link of a frame: the last byte of the destination's IP address, or of its Ethernet address where
/// there is none, and ports as `hash_mode` says.
fn hash(frame: &Frame, mode: &str) -> u64 {
    let payload = frame.payload();
    let byte = |at: usize| payload.get(at).copied().unwrap_or(0);
    let (address, transport) = match frame.ethernet_type() {
        TYPE_IPV4 if payload.len() >= 20 => {
            let whole = byte(6) & 0x3F == 0 && byte(7) == 0;
            let ports = whole && matches!(byte(9), 6 | 17);
            (byte(19), ports.then(|| usize::from(byte(0) & 15) * 4))
        }
        TYPE_IPV6 if payload.len() >= 40 => (byte(39), matches!(byte(6), 6 | 17).then_some(40)),
        _ => (frame.destination().0[5], None),
    };
    let port = |at: usize| u64::from(byte(at)) << 8 | u64::from(byte(at + 1));
    match (transport, mode) {
        (Some(at), "dst_port") => port(at + 2),
        (Some(at), "src_port") => port(at),
        (Some(at), "src_dst_port") => (port(at) + port(at + 2)) / 2,
        _ => u64::from(address),
    }
}
