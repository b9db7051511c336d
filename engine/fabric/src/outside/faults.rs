//! Links: cables that are pulled, ports that are turned off, carriers from elsewhere.

use varan_environment::Monotonic;
use varan_model::site::CableEnd;

use super::{End, Index, OutsideEvent, OutsideFabric};
use crate::place::Outbox;

impl OutsideFabric {
    fn has_link(&self, index: Index) -> bool {
        let Some(port) = self.ports.get(index as usize) else { return false };
        port.plugged
            && port.enabled
            && match port.end {
                End::Nothing => false,
                End::Outside(_) => port.far,
                End::Host(host) => self.hosts.get(host).is_some_and(|host| host.on),
                End::Port(other) => {
                    self.ports.get(other as usize).is_some_and(|other| other.plugged && other.enabled)
                }
            }
    }

    /// All links as they are when the outside is built.
    pub(super) fn settle_links(&mut self) {
        for index in (0..).take(self.ports.len()) {
            let up = self.has_link(index);
            self.ports[index as usize].up = up;
            if let End::Host(host) = self.ports[index as usize].end {
                self.tell_host(Monotonic::default(), host, up);
            }
        }
        self.grow_tree();
    }

    /// Looks at a port's link, and at that of the port at the other end of its cable.
    pub(super) fn update_link(&mut self, now: Monotonic, index: Index, out: &mut Outbox) {
        let other = match self.ports.get(index as usize).map(|port| port.end) {
            Some(End::Port(other)) => Some(other),
            _ => None,
        };
        let mut between_switches = false;
        for index in std::iter::once(index).chain(other) {
            let up = self.has_link(index);
            let Some(port) = self.ports.get_mut(index as usize) else { continue };
            if port.up == up {
                continue;
            }
            port.up = up;
            let (switch, name, end) = (port.switch, port.name.to_string(), port.end);
            let switch_name = self.switches[switch].name.to_string();
            self.events.push(OutsideEvent::Link { switch: switch_name, port: name, up });
            if !up {
                self.leave_channel(index);
            }
            // Of an aggregation the other links go on.
            if !up && !self.channels.is_lead(index) {
                self.switches[switch].table.remove_learned(|port, _| port == index);
            }
            match end {
                End::Host(host) => self.tell_host(now, host, up),
                End::Port(_) => between_switches = true,
                End::Outside(_) | End::Nothing => {}
            }
        }
        if between_switches {
            self.grow_tree();
        }
        self.tick_hosts(now, out);
    }

    fn set_port(&mut self, now: Monotonic, index: Index, plugged: bool, enabled: bool, out: &mut Outbox) {
        let Some(port) = self.ports.get_mut(index as usize) else { return };
        let carrier = port.plugged && port.enabled;
        (port.plugged, port.enabled) = (plugged, enabled);
        if let End::Outside(number) = port.end
            && carrier != (plugged && enabled)
        {
            out.carriers.push((number, plugged && enabled));
        }
        self.update_link(now, index, out);
        self.run(now, out);
        self.reschedule(now);
    }

    /// Pulls a cable, or plugs it in again: by the location code of an adapter's port, by `switch:port`, or by the name of the
    /// host, console, TAP device or socket that it leads to. False where there is no such cable.
    pub fn set_cable(&mut self, now: Monotonic, cable: &str, plugged: bool, out: &mut Outbox) -> bool {
        let leads_there = |end: &CableEnd| match end {
            CableEnd::AdapterPort(location) => location.to_string() == cable,
            CableEnd::OutsideHost(name)
            | CableEnd::Console(name)
            | CableEnd::Tap(name)
            | CableEnd::Socket(name)
            | CableEnd::Hypervisor(name) => name == cable,
            CableEnd::SwitchPort { .. } => false,
        };
        let by_end = self.ends.iter().find(|(end, _)| leads_there(end)).map(|(_, index)| *index);
        let by_name = || cable.split_once(':').and_then(|(switch, port)| self.find_port(switch, port));
        let Some(index) = by_end.or_else(by_name) else { return false };
        let enabled = self.ports.get(index as usize).is_some_and(|port| port.enabled);
        self.set_port(now, index, plugged, enabled, out);
        true
    }

    /// Turns a switch port on or off. False where there is no such port.
    pub fn set_switch_port(
        &mut self,
        now: Monotonic,
        switch: &str,
        port: &str,
        enabled: bool,
        out: &mut Outbox,
    ) -> bool {
        let Some(index) = self.find_port(switch, port) else { return false };
        let plugged = self.ports.get(index as usize).is_some_and(|port| port.plugged);
        self.set_port(now, index, plugged, enabled, out);
        true
    }
}
