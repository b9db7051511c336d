//! What the managed system asks.

use varan_contract::network::{BackingDeviceState, PhysicalPortState, PortStatistics};
use varan_environment::Monotonic;
use varan_model::ids::{LogicalPortId, PartitionUuid, VirtualSlot};

use super::HypervisorFabric;
use super::port::{Index, Port};
use crate::place::{Outbox, PortNumber};

impl HypervisorFabric {
    fn statistics_of(&self, index: Index) -> Option<PortStatistics> {
        let port = self.ports.get(index)?;
        let (physical, logical) = self.link_of(port);
        Some(PortStatistics {
            trunk_active: self.is_active_trunk(index, port),
            link_up: physical && logical,
            ..port.counters
        })
    }

    fn is_active_trunk(&self, index: Index, port: &Port) -> bool {
        let switch = self.switches.get(port.switch as usize).and_then(Option::as_ref);
        port.trunk().is_some()
            && switch.is_some_and(|switch| {
                let mut vlans = super::plug::vlans_of(port).into_iter();
                vlans.any(|vlan| switch.is_uplink(vlan, index))
            })
    }

    /// Counters of a port; `None` for one that is not plugged in.
    #[must_use]
    pub fn statistics(&self, port: PortNumber) -> Option<PortStatistics> {
        self.statistics_of(self.ports.find(port)?)
    }

    /// A physical port; `None` for one that is neither cabled nor used.
    #[must_use]
    pub fn physical_port(&self, location: &str) -> Option<PhysicalPortState> {
        let physical = self.physical.get(location)?;
        let statistics = self.statistics_of(physical.cable).unwrap_or_default();
        Some(PhysicalPortState { link_up: self.has_link(location), statistics })
    }

    /// Counters of a logical port; `None` while nobody uses it.
    #[must_use]
    pub fn logical_port(&self, id: LogicalPortId) -> Option<PortStatistics> {
        self.statistics_of(self.logical.get(&id).copied()?)
    }

    /// Sets the counters of a physical port, or of a logical one, to zero.
    pub fn clear_statistics(&mut self, location: &str, logical: Option<LogicalPortId>) {
        let index = match logical {
            Some(id) => self.logical.get(&id).copied(),
            None => Some(self.cable(location)),
        };
        if let Some(port) = index.and_then(|index| self.ports.get_mut(index)) {
            port.counters = PortStatistics::default();
        }
    }

    /// The backing devices of a virtual NIC; empty while its client is off.
    #[must_use]
    pub fn backing_devices(&self, partition: PartitionUuid, slot: VirtualSlot) -> Vec<BackingDeviceState> {
        self.vnics.get(&(partition, slot)).map_or_else(Vec::new, |vnic| vnic.machine.states())
    }

    /// Makes a backing device active. True if it is operational, and so active from now on.
    pub fn activate(
        &mut self,
        now: Monotonic,
        partition: PartitionUuid,
        slot: VirtualSlot,
        port: LogicalPortId,
        out: &mut Outbox,
    ) -> bool {
        let activated = self.with_machine(now, (partition, slot), out, |machine, actions| {
            machine.activate(now, port, actions)
        });
        self.reschedule();
        activated.unwrap_or(false)
    }
}
