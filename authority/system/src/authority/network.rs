//! What the managed system sets up in the network of its frame, and asks of it.

use varan_contract::network::{BackingDeviceStatus, PhysicalPortSetup, VirtualSwitchMode};
use varan_model::ids::{LogicalPortId, VirtualSlot};
use varan_model::system::SwitchMode;

use super::*;

impl Authority {
    /// Sets everything up that is recorded. Before anything is started.
    pub fn set_up_network(&mut self) {
        let system = self.world.snapshot.system.clone();
        for name in system.virtual_switches() {
            self.set_up_switch(name, Some(system.switch_mode(name)));
        }
        for adapter in &system.hardware.sriov_adapters {
            self.set_up_ports(adapter.drc_index);
        }
    }

    pub(super) fn set_up_switch(&self, name: &str, mode: Option<SwitchMode>) {
        match mode {
            Some(SwitchMode::Veb) => self.guests.hypervisor.put_switch(name, VirtualSwitchMode::Veb),
            Some(SwitchMode::Vepa) => self.guests.hypervisor.put_switch(name, VirtualSwitchMode::Vepa),
            None => self.guests.hypervisor.remove_switch(name),
        }
    }

    pub(super) fn set_up_ports(&self, drc_index: u32) {
        let system = &self.world.snapshot.system;
        let adapter = system.hardware.sriov_adapters.iter().find(|one| one.drc_index == drc_index);
        let Some(adapter) = adapter else { return };
        let settings = system.sriov_settings(adapter);
        for (port, own) in adapter.ports.iter().zip(&settings.ports) {
            if settings.adapter.is_none() {
                self.guests.hypervisor.remove_shared_port(&port.location);
                continue;
            }
            self.guests.hypervisor.put_shared_port(PhysicalPortSetup {
                location: port.location.clone(),
                speed: own.speed.unwrap_or(port.speed),
                maximum_payload: own.maximum_payload,
                bridge: own.bridge,
            });
        }
    }

    /// Refuses to make a backing device active that cannot carry anything. Where nobody knows, nothing is refused.
    pub(super) fn check_backing_device(
        &self,
        partition: PartitionUuid,
        slot: VirtualSlot,
        port: LogicalPortId,
    ) -> Result<(), Refusal> {
        let states = self.guests.hypervisor.backing_devices(partition, slot);
        let state = states.iter().find(|state| state.logical_port == port);
        match state.filter(|state| state.status != BackingDeviceStatus::Operational) {
            Some(state) => {
                Err(Refusal::new(MessageKey::VnicBackingDeviceDown).with(port).with(state.status.word()))
            }
            None => Ok(()),
        }
    }
}
