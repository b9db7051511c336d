//! Which trunk adapter of a VLAN is in use, and who is told when one is gone. The rules are in [`crate::control`].

use super::HypervisorFabric;
use super::plug::vlans_of;
use super::port::{Index, Kind};
use crate::control::{Control, DISCOVERY_VLAN};
use crate::place::Outbox;

impl HypervisorFabric {
    /// A trunk adapter's server said whether it bridges, and how its uplink is.
    pub(super) fn trunk_said(&mut self, index: Index, bridges: bool, uplink: Option<bool>, out: &mut Outbox) {
        let Some(port) = self.ports.get_mut(index) else { return };
        let Kind::Ethernet(Some(trunk)) = &mut port.kind else { return };
        if trunk.said == Some(bridges) && trunk.uplink == uplink {
            return;
        }
        (trunk.said, trunk.uplink) = (Some(bridges), uplink);
        let (switch, vlans) = (port.switch, vlans_of(port));
        self.elect(switch, &vlans, out);
    }

    /// Chooses the active trunks of some VLANs anew.
    pub(super) fn elect(&mut self, switch: Index, vlans: &[u16], out: &mut Outbox) {
        for vlan in vlans.iter().copied().filter(|vlan| *vlan != DISCOVERY_VLAN) {
            let Some(known) = self.switch_mut(switch) else { return };
            let trunks = known.lists(vlan).trunks.clone();
            let usable = || {
                trunks.iter().filter_map(|index| {
                    let port = self.ports.get(*index).filter(|port| port.usable)?;
                    Some((*index, port.trunk()?))
                })
            };
            let mut active: Vec<Index> =
                usable().filter(|(_, trunk)| trunk.said == Some(true)).map(|(index, _)| index).collect();
            if active.is_empty() {
                let silent = usable().filter(|(_, trunk)| trunk.said.is_none());
                active.extend(silent.min_by_key(|(_, trunk)| trunk.priority).map(|(index, _)| index));
            }
            // Where none bridges because all uplinks are lost, that is so for the clients, too.
            let watched = || usable().filter(|(index, _)| active.is_empty() || active.contains(index));
            let lost = watched().next().is_some() && watched().all(|(_, trunk)| trunk.uplink == Some(false));
            if self.switch_mut(switch).is_some_and(|known| known.set_uplinks(vlan, active, lost)) {
                let inside = |port: &super::port::Port| {
                    port.switch == switch && port.rule.port_vlan == vlan && port.trunk().is_none()
                };
                for index in self.indices(inside) {
                    self.tell_link(index, out);
                }
            }
        }
    }

    /// Tells the servers that are left in some VLANs of a virtual switch that another one's adapter is gone.
    pub(super) fn announce_gone(&mut self, switch: &str, vlans: &[u16], out: &mut Outbox) {
        let Some(Some(switch)) =
            self.switch_names.get(switch).and_then(|index| self.switches.get(*index as usize))
        else {
            return;
        };
        for vlan in vlans.iter().copied() {
            let lists = switch.lists(vlan);
            let trunks = if vlan == DISCOVERY_VLAN { &switch.trunks } else { &lists.trunks };
            let members = if vlan == DISCOVERY_VLAN { &[][..] } else { &lists.members[..] };
            for index in trunks.iter().chain(members) {
                let Some(port) = self.ports.get(*index) else { continue };
                if let (true, true, Some(number)) = (port.is_server_end(), port.usable, port.number) {
                    let mut frame = out.pool.take();
                    Control::Gone { vlan }.write(port.address, &mut frame);
                    out.send(number, frame);
                }
            }
        }
    }
}
