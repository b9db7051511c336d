//! One switch inside a machine: a virtual switch, or the embedded switch of a shared SR-IOV port.
//!
//! | from | to | bridge (VEB) | aggregator (VEPA) |
//! |---|---|---|---|
//! | port | address of a port | that port | the uplinks |
//! | port | unknown address | the uplinks and promiscuous ports | the uplinks |
//! | port | group | all others of the VLAN, the uplinks | the uplinks |
//! | uplink | address of a port | that port | that port, if it is not the sender's |
//! | uplink | unknown address | other uplinks and promiscuous ports | promiscuous ports |
//! | uplink | group | all others of the VLAN, other uplinks | all ports of the VLAN but the sender's |
//!
//! Uplinks are the active trunk adapters of the VLAN, or the cable of the SR-IOV port.

use varan_ethernet::EthernetAddress;

use super::port::Index;
use crate::table::{ANY_VLAN, AddressTable, Found, Key};
use crate::vlan::{VlanRule, VlanSet};

/// Lists of no VLAN.
const NO_LISTS: u16 = 0;
/// Addresses that are learned from one port at most.
pub(super) const LEARNED_PER_PORT: usize = 64;
/// After so many seconds without a frame a learned address is forgotten.
pub(super) const LEARNED_SECONDS: u32 = 300;

/// How a port takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It gets what is for its address, and groups.
    Member,
    /// It gets unknown addresses, too.
    Promiscuous,
    /// A trunk adapter: an uplink while it is active.
    Trunk,
    /// Always an uplink.
    Cable,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) members: Vec<Index>,
    pub(super) promiscuous: Vec<Index>,
    pub(super) trunks: Vec<Index>,
    pub(super) uplinks: Vec<Index>,
    /// All active trunks whose uplinks are watched have lost them.
    pub(super) uplink_lost: bool,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To one port.
    One(Index),
    /// To all of these.
    Several { members: bool, promiscuous: bool, uplinks: bool, but: Index },
    /// To nobody.
    Nobody,
}

pub(super) struct Switch {
    /// It passes frames between its own ports.
    pub(super) bridge: bool,
    /// It is the embedded switch of an SR-IOV port.
    pub(super) embedded: bool,
    pub(super) table: AddressTable,
    /// Learned entries in the table.
    pub(super) learned: usize,
    /// Index into `lists` of each VLAN, 0 to 4095.
    vlans: Box<[u16; 4096]>,
    lists: Vec<Lists>,
    /// Ports in all VLANs.
    pub(super) any: Lists,
    /// All trunk adapters.
    pub(super) trunks: Vec<Index>,
}

impl Switch {
    pub(super) fn new(bridge: bool, embedded: bool, seed: u64) -> Self {
        Self {
            bridge,
            embedded,
            table: AddressTable::new(seed),
            learned: 0,
            vlans: Box::new([NO_LISTS; 4096]),
            lists: vec![Lists::default()],
            any: Lists::default(),
            trunks: Vec::new(),
        }
    }

    /// Ports of a VLAN, without those of all.
    pub(super) fn lists(&self, vlan: u16) -> &Lists {
        &self.lists[usize::from(self.vlans[usize::from(vlan & 0xFFF)])]
    }

    fn lists_mut(&mut self, vlan: u16) -> &mut Lists {
        let at = &mut self.vlans[usize::from(vlan & 0xFFF)];
        if *at == NO_LISTS {
            *at = u16::try_from(self.lists.len()).unwrap_or(NO_LISTS);
            self.lists.push(Lists::default());
        }
        &mut self.lists[usize::from(*at)]
    }

    /// Sets which trunks of a VLAN are active, and whether their uplinks are lost. True if the latter changed.
    pub(super) fn set_uplinks(&mut self, vlan: u16, uplinks: Vec<Index>, lost: bool) -> bool {
        let lists = self.lists_mut(vlan);
        lists.uplinks = uplinks;
        std::mem::replace(&mut lists.uplink_lost, lost) != lost
    }

    fn each_lists(&mut self, rule: &VlanRule, mut act: impl FnMut(&mut Lists)) {
        if matches!(rule.tagged, VlanSet::All) {
            act(&mut self.any);
        } else {
            act(self.lists_mut(rule.port_vlan));
            let tagged: Vec<u16> = rule.tagged.each().filter(|vlan| *vlan != rule.port_vlan).collect();
            for vlan in tagged {
                act(self.lists_mut(vlan));
            }
        }
    }

    fn each_key(rule: &VlanRule, address: EthernetAddress, mut act: impl FnMut(Key)) {
        if matches!(rule.tagged, VlanSet::All) {
            act(Key::new(ANY_VLAN, address));
        } else {
            act(Key::new(rule.port_vlan, address));
            rule.tagged
                .each()
                .filter(|vlan| *vlan != rule.port_vlan)
                .for_each(|vlan| act(Key::new(vlan, address)));
        }
    }

    /// A port takes part.
    pub(super) fn join(&mut self, port: Index, rule: &VlanRule, address: EthernetAddress, role: Role) {
        self.each_lists(rule, |lists| {
            match role {
                Role::Member => lists.members.push(port),
                Role::Promiscuous => lists.promiscuous.push(port),
                Role::Trunk => lists.trunks.push(port),
                Role::Cable => lists.uplinks.push(port),
            };
        });
        if role == Role::Trunk {
            self.trunks.push(port);
        }
        if role != Role::Cable {
            self.put_address(port, rule, address);
        }
    }

    /// A port does not take part any more; learned entries of it are the caller's.
    pub(super) fn leave(&mut self, port: Index, rule: &VlanRule, address: EthernetAddress) {
        self.leave_groups(port, rule);
        Self::each_key(rule, address, |key| {
            if self.table.get(key).is_some_and(|found| found.value == port && found.fixed) {
                self.table.remove(key);
            }
        });
    }

    /// A port gets no groups and no unknown addresses any more, but still those of its own address.
    pub(super) fn leave_groups(&mut self, port: Index, rule: &VlanRule) {
        self.trunks.retain(|trunk| *trunk != port);
        self.each_lists(rule, |lists| {
            for list in [&mut lists.members, &mut lists.promiscuous, &mut lists.trunks, &mut lists.uplinks] {
                list.retain(|member| *member != port);
            }
        });
    }

    /// Makes an address that of a port.
    pub(super) fn put_address(&mut self, port: Index, rule: &VlanRule, address: EthernetAddress) {
        let mut displaced = 0;
        Self::each_key(rule, address, |key| {
            displaced += usize::from(self.table.put(key, port).is_some_and(|found| !found.fixed));
        });
        self.learned -= displaced;
    }

    /// Who has an address.
    pub(super) fn find(&self, vlan: u16, address: EthernetAddress) -> Option<Found> {
        self.table
            .get(Key::new(vlan, address))
            .or_else(|| if self.embedded { self.table.get(Key::new(ANY_VLAN, address)) } else { None })
    }

    pub(super) fn is_uplink(&self, vlan: u16, port: Index) -> bool {
        self.lists(vlan).uplinks.contains(&port) || self.any.uplinks.contains(&port)
    }

    /// Where a frame goes: see the module's table.
    pub(super) fn route(
        &self,
        vlan: u16,
        from: Index,
        source: EthernetAddress,
        destination: EthernetAddress,
    ) -> Route {
        let from_uplink = self.is_uplink(vlan, from);
        if !self.bridge && !from_uplink {
            return Route::Several { members: false, promiscuous: false, uplinks: true, but: from };
        }
        // What an aggregator sent out comes back for its other ports only.
        let sender =
            if self.bridge { from } else { self.find(vlan, source).map_or(from, |found| found.value) };
        if destination.is_group() {
            return Route::Several { members: true, promiscuous: true, uplinks: self.bridge, but: sender };
        }
        match self.find(vlan, destination) {
            Some(found) if found.value == from || found.value == sender => Route::Nobody,
            Some(found) => Route::One(found.value),
            None => Route::Several { members: false, promiscuous: true, uplinks: self.bridge, but: sender },
        }
    }

    /// Calls `act` for each port of a route to several.
    pub(super) fn each_of(&self, route: Route, vlan: u16, from: Index, mut act: impl FnMut(Index)) {
        let Route::Several { members, promiscuous, uplinks, but } = route else { return };
        for lists in [self.lists(vlan), &self.any] {
            let chosen =
                [(members, &lists.members), (promiscuous, &lists.promiscuous), (uplinks, &lists.uplinks)];
            for (wanted, list) in chosen {
                if wanted {
                    list.iter().copied().filter(|port| *port != from && *port != but).for_each(&mut act);
                }
            }
        }
    }
}
