//! Carriers, and what the owners of ports are told of their links.

use varan_contract::network::PortEvent;
use varan_environment::Monotonic;
use varan_model::ids::PartitionUuid;

use super::plug::vlans_of;
use super::port::{Index, Kind, Port, PortEnd};
use super::{HypervisorEvent, HypervisorFabric};
use crate::place::Outbox;

impl HypervisorFabric {
    /// The operating system of a partition uses its adapters from now on, or does not any more.
    pub fn listen(&mut self, now: Monotonic, partition: PartitionUuid, listening: bool, out: &mut Outbox) {
        if listening {
            self.listening.insert(partition);
        } else {
            self.listening.remove(&partition);
        }
        let of_guest = |port: &Port| {
            port.owner.is_some_and(|owner| owner.partition == partition && owner.end == PortEnd::Guest)
        };
        for index in self.indices(of_guest) {
            self.set_usable(now, index, listening, out);
            if listening {
                // It asks anew how its links are.
                if let Some(port) = self.ports.get_mut(index) {
                    port.told = None;
                }
                self.tell_link(index, out);
            }
        }
    }

    /// The carrier of a port's other end.
    pub(super) fn carrier_of(&mut self, now: Monotonic, index: Index, up: bool, out: &mut Outbox) {
        if self.ports.get(index).is_some_and(|port| port.usable != up && port.owner.is_none_or(ends_in_link))
        {
            self.set_usable(now, index, up, out);
        }
    }

    fn set_usable(&mut self, now: Monotonic, index: Index, usable: bool, out: &mut Outbox) {
        let Some(port) = self.ports.get_mut(index) else { return };
        port.usable = usable;
        let (switch, place, server_end) = (port.switch, port.place.clone(), port.is_server_end());
        match &mut port.kind {
            Kind::Ethernet(trunk) => {
                if let Some(trunk) = trunk.as_mut().filter(|_| !usable) {
                    (trunk.said, trunk.uplink) = (None, None);
                }
                let is_trunk = trunk.is_some();
                if is_trunk || server_end {
                    let vlans = vlans_of(port);
                    if is_trunk {
                        self.elect(switch, &vlans, out);
                    }
                    if !usable {
                        self.announce_gone(&place, &vlans, out);
                    }
                }
            }
            Kind::Cable => {
                self.events
                    .push(HypervisorEvent::PhysicalPort { location: place.to_string(), link_up: usable });
                self.physical_link_changed(now, &place, out);
            }
            Kind::Control => self.control_carrier(now, index, usable, out),
            _ => {}
        }
    }

    /// A physical port's link, or what is behind it, changed.
    pub(super) fn physical_link_changed(&mut self, now: Monotonic, location: &str, out: &mut Outbox) {
        let behind = |port: &Port| {
            *port.place == *location && matches!(port.kind, Kind::Logical { .. } | Kind::Dedicated { .. })
        };
        for index in self.indices(behind) {
            self.tell_link(index, out);
        }
        self.update_health(now, out);
    }

    /// Whether a physical port has a link.
    pub(super) fn has_link(&self, location: &str) -> bool {
        self.ports.get(self.cable(location)).is_some_and(|cable| cable.usable)
    }

    /// How a port's link is: the cable or what stands for it, and what its owner may use.
    pub(super) fn link_of(&self, port: &Port) -> (bool, bool) {
        let attached = port.switch != super::port::NOWHERE;
        match port.kind {
            Kind::Ethernet(trunk) => {
                let switch = self.switches.get(port.switch as usize).and_then(Option::as_ref);
                let lost = switch.is_some_and(|switch| switch.lists(port.rule.port_vlan).uplink_lost);
                (attached && (trunk.is_some() || !lost), attached)
            }
            Kind::Logical { .. } => (self.has_link(&port.place), attached),
            Kind::Vnic { active, disabled, link_up } => {
                let physical =
                    self.ports.get(active).is_some_and(|backing| attached_with_link(self, backing));
                (physical, physical && !disabled && link_up)
            }
            Kind::Dedicated { .. } => (self.has_link(&port.place), self.has_link(&port.place)),
            Kind::Cable => (port.usable, port.usable),
            Kind::Control => (true, true),
            Kind::Free => (false, false),
        }
    }

    /// Tells a port's owner how its link is, if that is news.
    pub(super) fn tell_link(&mut self, index: Index, out: &mut Outbox) {
        let Some(port) = self.ports.get(index) else { return };
        let link = self.link_of(port);
        let former = port.told;
        let (Some(owner), Some(number)) = (port.owner, port.number) else { return };
        if former == Some(link) {
            return;
        }
        if let Some(port) = self.ports.get_mut(index) {
            port.told = Some(link);
        }
        let (physical, logical) = link;
        match owner.end {
            PortEnd::Guest => {
                let event = PortEvent::Link { physical, logical };
                self.events.push(HypervisorEvent::Port { port: number, event });
            }
            PortEnd::Link => {
                let up = physical && logical;
                if former.is_none_or(|(physical, logical)| (physical && logical) != up) {
                    out.carriers.push((number, up));
                }
            }
        }
    }
}

fn attached_with_link(fabric: &HypervisorFabric, backing: &Port) -> bool {
    backing.switch != super::port::NOWHERE && fabric.has_link(&backing.place)
}

fn ends_in_link(owner: super::port::PortOwner) -> bool {
    owner.end == PortEnd::Link
}
