//! What Virtual I/O Servers are told of their ends of virtual NICs: whether the client goes over them, and whether it could.

use varan_contract::network::BackingDeviceStatus;
use varan_ethernet::{EthernetAddress, Frame};
use varan_model::ids::{PartitionId, VirtualSlot};

use super::port::{Index, Kind, NOWHERE};
use super::{HypervisorFabric, VnicKey};
use crate::control::{Control, VnicClient};
use crate::place::Outbox;

/// A server adapter: the server and the slot there.
pub(super) type ServerEnd = (PartitionId, VirtualSlot);

impl HypervisorFabric {
    /// Tells servers how all their ends of virtual NICs are, where that is news.
    pub(super) fn tell_all_servers(&mut self, out: &mut Outbox) {
        let ends: Vec<ServerEnd> = self.vnic_servers.keys().copied().collect();
        let vnic_servers = &self.vnic_servers;
        self.server_news.retain(|end, _| vnic_servers.contains_key(end));
        self.tell_servers(&ends, out);
    }

    /// Tells servers how some of their ends of virtual NICs are, where that is news.
    pub(super) fn tell_servers(&mut self, ends: &[ServerEnd], out: &mut Outbox) {
        for end in ends.iter().copied() {
            let Some(index) = self.vnic_servers.get(&end).copied() else { continue };
            let message = self.news_of(end, index);
            if self.server_news.get(&end) == Some(&message) {
                continue;
            }
            let control = self.servers.get(&end.0).and_then(|life| self.ports.get(life.control()));
            let Some(number) = control.filter(|port| port.usable).and_then(|port| port.number) else {
                continue;
            };
            self.server_news.insert(end, message);
            let mut frame: Frame = out.pool.take();
            message.write(EthernetAddress::default(), &mut frame);
            out.send(number, frame);
            self.tell_client(end, out);
        }
    }

    /// What the client of a virtual NIC says of itself when it logs in: its operating system and its device.
    pub fn set_vnic_client(&mut self, key: VnicKey, client: VnicClient, out: &mut Outbox) {
        if self.vnic_clients.insert(key, client) == Some(client) {
            return;
        }
        let Some(vnic) = self.vnics.get(&key) else { return };
        let ends: Vec<ServerEnd> = vnic.ends().collect();
        for end in ends {
            self.tell_client(end, out);
        }
    }

    /// Tells a server who the client of an end is that was logged in there.
    fn tell_client(&self, end: ServerEnd, out: &mut Outbox) {
        let known =
            matches!(self.server_news.get(&end), Some(Control::VnicServer { client_known: true, .. }));
        let client = self.vnic_servers.get(&end).and_then(|index| self.client_of(*index));
        let control = self.servers.get(&end.0).and_then(|life| self.ports.get(life.control()));
        let number = control.filter(|port| port.usable).and_then(|port| port.number);
        if let (true, Some(client), Some(number)) = (known, client, number) {
            let mut frame = out.pool.take();
            Control::VnicClient { slot: end.1.0, client }.write(EthernetAddress::default(), &mut frame);
            out.send(number, frame);
        }
    }

    fn client_of(&self, index: Index) -> Option<VnicClient> {
        let Some(Kind::Logical { client, .. }) = self.ports.get(index).map(|port| port.kind) else {
            return None;
        };
        self.vnic_clients.get(self.vnic_keys.get(&client)?).copied()
    }

    /// A server is on again: it knows nothing.
    pub(super) fn forget_server_news(&mut self, control: Index) {
        let server = self.servers.iter().find(|(_, life)| life.control() == control).map(|(id, _)| *id);
        self.server_news.retain(|(known, _), _| Some(*known) != server);
    }

    fn news_of(&self, end: ServerEnd, index: Index) -> Control {
        let port = self.ports.get(index);
        let client = match port.map(|port| port.kind) {
            Some(Kind::Logical { client, .. }) => client,
            _ => NOWHERE,
        };
        let vnic = self.vnic_keys.get(&client).and_then(|key| self.vnics.get(key));
        let device = vnic.and_then(|vnic| vnic.device_of(end).map(|device| (vnic, device)));
        let (active, operational, priority) = match device {
            Some((vnic, device)) => {
                let machine = &vnic.machine;
                let status = machine.status(device.logical_port);
                let active = machine.active() == Some(device.logical_port);
                (active, status == Some(BackingDeviceStatus::Operational), device.priority)
            }
            None => {
                let link = port.is_some_and(|port| port.switch != NOWHERE && self.has_link(&port.place));
                (false, link, self.server_priorities.get(&end).copied().unwrap_or(50))
            }
        };
        let before = self.server_news.get(&end);
        let known = matches!(before, Some(Control::VnicServer { client_known: true, .. }));
        Control::VnicServer { slot: end.1.0, active, operational, client_known: known || active, priority }
    }
}
