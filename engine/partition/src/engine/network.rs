//! Between guests and the network of their frame: what guests want done goes there, frames and events come back into
//! their mailboxes.

use std::sync::{Arc, OnceLock, Weak};

use varan_contract::engine::Generation;
use varan_contract::network::{GuestNetwork, GuestPort, GuestPorts, PortEvent};
use varan_ethernet::Frame;
use varan_model::ids::PartitionUuid;

use super::scheduler::Shared;
use super::slot::Slot;
use crate::guest::{Input, NetworkEffect};

/// The network, once there is one.
#[derive(Default)]
pub(super) struct NetworkWork {
    network: OnceLock<Arc<dyn GuestNetwork>>,
}

impl NetworkWork {
    pub(super) fn attach(&self, network: Arc<dyn GuestNetwork>) {
        // The first one stays: guests may be using it.
        let _ = self.network.set(network);
    }

    pub(super) fn is_attached(&self) -> bool {
        self.network.get().is_some()
    }

    /// The guest is off.
    pub(super) fn power_off(&self, partition: PartitionUuid, generation: Generation) {
        if let Some(network) = self.network.get() {
            network.power_off(partition, generation);
        }
    }

    pub(super) fn carry_out(&self, shared: &Shared, slot: &Arc<Slot>, effect: NetworkEffect) {
        let Some(network) = self.network.get() else { return };
        match effect {
            NetworkEffect::Plug(plug) => network.plug(&plug.0, &plug.1),
            NetworkEffect::Unplug(address) => network.unplug(slot.partition, address),
            NetworkEffect::Listen(listening) => network.listen(slot.partition, listening),
            NetworkEffect::Name(port, device) => network.name_device(port, &device),
            NetworkEffect::Transmit(port, mut frames) => network.transmit(port, &mut frames),
            NetworkEffect::AskConsoles => {
                shared.post(slot, shared.now(), Input::Consoles(network.consoles()));
            }
            NetworkEffect::AskCounters(ports) => {
                let counters = ports.into_iter().filter_map(|port| Some((port, network.statistics(port)?)));
                shared.post(slot, shared.now(), Input::PortCounters(counters.collect()));
            }
        }
    }
}

/// The guests of an engine as the network reaches them. It does not keep the engine alive.
pub(super) struct Ports(pub(super) Weak<Shared>);

impl Ports {
    fn post(&self, partition: PartitionUuid, input: Input) {
        if let Some(shared) = self.0.upgrade()
            && let Some(slot) = shared.slot(partition)
        {
            shared.post(&slot, shared.now(), input);
        }
    }
}

impl GuestPorts for Ports {
    fn receive(&self, port: GuestPort, frames: &mut Vec<Frame>) {
        let frames = frames.drain(..).map(|frame| (port.adapter, port.index, frame)).collect();
        self.post(port.partition, Input::Frames { frames, dropped: 0 });
    }

    fn port_event(&self, port: GuestPort, event: PortEvent) {
        self.post(port.partition, Input::PortEvent(port.adapter, port.index, event));
    }

    fn server_sessions(&self, partition: PartitionUuid, consoles: &[String]) {
        self.post(partition, Input::ServerSessions(consoles.to_vec()));
    }
}
