//! The machine that chooses.

use std::net::Ipv4Addr;
use std::time::Duration;

use varan_contract::network::{BackingDeviceState, BackingDeviceStatus};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};
use varan_model::ids::LogicalPortId;

use super::device::{BackingDevice, Device, DeviceHealth, Probing};
use super::probe::{answered_target, probe_address};

/// Devices beyond these are ignored; the managed system refuses them.
const MOST_DEVICES: usize = 6;
/// Time between probes, unless set otherwise.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// How long the former active device still delivers after a change to another one.
const DRAIN: Duration = Duration::from_millis(100);

/// A virtual NIC as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VnicSetup {
    /// The client's address.
    pub client: EthernetAddress,
    /// Backing devices, one to six.
    pub devices: Vec<BackingDevice>,
    /// `auto_priority_failover`.
    pub automatic: bool,
    /// The device that a person made active.
    pub preferred: Option<LogicalPortId>,
    /// Addresses that a working uplink reaches; empty for no probes.
    pub probe_targets: Vec<Ipv4Addr>,
    /// Time between probes; `None` for the default of 100 ms. A device is silent after two and a half of them without
    /// answer, so that a lost uplink is noticed within three.
    pub probe_interval: Option<Duration>,
}

/// What the hypervisor does for a virtual NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// From now on the client's frames go over this device and no other; it is announced to the switches outside (RARP
    /// from the client's address) and logs in to the device's server (`VNIC Client Login`).
    Activate(LogicalPortId),
    /// This device, active until now, delivers what is still on its way to the client: frames for the client's own
    /// address, not those for groups, which come over the active one as well. Its server sees the transport go
    /// (`VNIC Transport Event`).
    Drain(LogicalPortId),
    /// Nothing of this device reaches the client any more. Comes without [`Action::Drain`] for a device that failed or was
    /// taken away.
    Release(LogicalPortId),
    /// The client's link.
    ClientLink {
        /// Whether it is up.
        up: bool,
    },
    /// Send a probe out of the device ([`super::write_probe`]).
    Probe {
        /// Device.
        port: LogicalPortId,
        /// Address to ask for.
        target: Ipv4Addr,
        /// Address to send from.
        source: EthernetAddress,
    },
}

/// Chooses the active backing device of one virtual NIC. See the module's diagram.
#[derive(Debug)]
pub struct FailoverMachine {
    setup: VnicSetup,
    devices: Vec<Device>,
    active: Option<LogicalPortId>,
    /// Drains until then.
    draining: Option<(LogicalPortId, Monotonic)>,
    /// Made active by a person, and nothing happened to it since.
    by_hand: Option<LogicalPortId>,
    link_up: bool,
    next_probe: Option<Monotonic>,
    /// When it was last looked which device is to be active.
    chosen_at: Monotonic,
}

/// Whether a virtual NIC with `auto_priority_failover=0` leaves a failed active device.
///
/// No source says it outright. For: the developer's article on vNIC failover in PowerVM 2.2.5 has the hypervisor select
/// another device whenever the active one or its server fails, as does PowerCampus' description, both without mentioning
/// the attribute; the attribute's name is about priority; the Linux client driver (`ibmvnic`, client-initiated failover)
/// has the hypervisor change to another device "if one is available", regardless of it. Against: nothing but the wording
/// "automatic". A change that only a person may make would turn the recovery of a redundant adapter off as a side effect of
/// `-o act`, which sets the attribute to 0.
pub(super) fn leaves_a_failed_device_without_automatic() -> bool {
    true
}

impl FailoverMachine {
    /// A machine of a client that is just powered on, whose devices are as `health` says.
    pub fn new(
        now: Monotonic,
        setup: VnicSetup,
        health: impl Fn(LogicalPortId) -> DeviceHealth,
        actions: &mut Vec<Action>,
    ) -> Self {
        let empty = VnicSetup { devices: Vec::new(), preferred: None, ..setup.clone() };
        let mut machine = Self {
            setup: empty,
            devices: Vec::new(),
            active: None,
            draining: None,
            by_hand: None,
            link_up: false,
            next_probe: None,
            chosen_at: now,
        };
        machine.put_devices(&setup.devices);
        let probes = !setup.probe_targets.is_empty();
        for device in &mut machine.devices {
            device.health = health(device.configured.port);
            device.probing = (probes && device.health.usable()).then_some(Probing::Begun(now));
        }
        machine.configure(now, setup, actions);
        machine
    }

    /// Takes another configuration. Devices that stay keep their health.
    pub fn configure(&mut self, now: Monotonic, setup: VnicSetup, actions: &mut Vec<Action>) {
        let turned_on = setup.automatic && !self.setup.automatic;
        let newly_preferred = setup.preferred.filter(|port| self.setup.preferred != Some(*port));
        if turned_on || self.setup.preferred.is_some() && setup.preferred.is_none() {
            self.by_hand = None;
        }
        self.put_devices(&setup.devices);
        self.setup = setup;
        if self.setup.probe_targets.is_empty() {
            self.next_probe = None;
            self.devices.iter_mut().for_each(|device| device.probing = None);
        } else if self.next_probe.is_none() {
            self.next_probe = Some(now);
        }
        if newly_preferred.is_some() {
            self.by_hand = newly_preferred;
        }
        self.note_wellness(now);
        if let Some((port, _)) = self.draining.filter(|(port, _)| self.find(*port).is_none()) {
            self.draining = None;
            actions.push(Action::Release(port));
        }
        // Turning it on means the best one now, not the best one after its hold time.
        self.choose(now, turned_on, actions);
    }

    fn put_devices(&mut self, configured: &[BackingDevice]) {
        let mut former = std::mem::take(&mut self.devices);
        let mut marks = former.iter().fold(0u8, |marks, device| marks | 1 << device.mark);
        for device in configured.iter().take(MOST_DEVICES) {
            if self.devices.iter().any(|known| known.configured.port == device.port) {
                continue;
            }
            let known = former.iter().position(|known| known.configured.port == device.port);
            let mut kept = known.map_or_else(
                || {
                    // Marks of devices that go now are free only at the next change, when answers to them are past; with
                    // six devices exchanged at once there may be none left, and an old one serves.
                    let mark = u8::try_from(marks.trailing_ones() % 8).unwrap_or(0);
                    marks |= 1 << mark;
                    Device::new(*device, mark)
                },
                |at| former.swap_remove(at),
            );
            kept.configured = *device;
            self.devices.push(kept);
        }
    }

    /// Tells how a device is. One that is not configured is ignored.
    pub fn set_health(
        &mut self,
        now: Monotonic,
        port: LogicalPortId,
        health: DeviceHealth,
        actions: &mut Vec<Action>,
    ) {
        let probes = !self.setup.probe_targets.is_empty();
        let Some(device) = self.devices.iter_mut().find(|device| device.configured.port == port) else {
            return;
        };
        if device.health == health {
            return;
        }
        device.health = health;
        if !health.usable() {
            device.probing = None;
        } else if probes && device.probing.is_none() {
            device.probing = Some(Probing::Begun(now));
        }
        self.note_wellness(now);
        self.choose(now, false, actions);
    }

    /// A frame came in over a device's logical port. True for an answer to a probe, which is not for the client.
    pub fn take_answer(
        &mut self,
        now: Monotonic,
        port: LogicalPortId,
        frame: &Frame,
        actions: &mut Vec<Action>,
    ) -> bool {
        let client = self.setup.client;
        let Some(device) = self.devices.iter_mut().find(|device| device.configured.port == port) else {
            return false;
        };
        if frame.destination() != probe_address(client, device.mark) {
            return false;
        }
        if !answered_target(frame).is_some_and(|target| self.setup.probe_targets.contains(&target)) {
            return true;
        }
        if device.probing.is_some() {
            device.probing = Some(Probing::Answered(now));
            self.note_wellness(now);
            self.choose(now, false, actions);
        }
        true
    }

    /// A person makes a device active. False, and nothing changes, for one that is not operational.
    pub fn activate(&mut self, now: Monotonic, port: LogicalPortId, actions: &mut Vec<Action>) -> bool {
        if !self.may_serve(port) {
            return false;
        }
        self.by_hand = Some(port);
        self.choose(now, false, actions);
        true
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        if let Some((port, _)) = self.draining.filter(|(_, until)| *until <= now) {
            self.draining = None;
            actions.push(Action::Release(port));
        }
        self.probe(now, actions);
        self.note_silence(now);
        self.note_wellness(now);
        self.choose(now, false, actions);
    }

    fn probe(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        let Some(due) = self.next_probe.filter(|due| *due <= now) else {
            return;
        };
        // All targets are asked each time: one of them that is off must not cost an interval.
        for device in self.devices.iter_mut().filter(|device| device.health.usable()) {
            let source = probe_address(self.setup.client, device.mark);
            let port = device.configured.port;
            device.probing.get_or_insert(Probing::Begun(now));
            actions.extend(self.setup.probe_targets.iter().map(|target| Action::Probe {
                port,
                target: *target,
                source,
            }));
        }
        // Late probes are not made up for.
        let next = due.after(self.interval());
        self.next_probe = Some(if next > now { next } else { now.after(self.interval()) });
    }

    fn interval(&self) -> Duration {
        self.setup.probe_interval.unwrap_or(PROBE_INTERVAL).max(Duration::from_millis(1))
    }

    /// How long a device may go without answer: two probes unanswered, the second of them for half an interval.
    fn patience(&self) -> Duration {
        self.interval() * 5 / 2
    }

    fn note_silence(&mut self, now: Monotonic) {
        let patience = self.patience();
        for device in &mut self.devices {
            device.probing = match device.probing {
                Some(Probing::Begun(at)) if now.since(at) >= patience => Some(Probing::Silent(None)),
                Some(Probing::Answered(at)) if now.since(at) >= patience => Some(Probing::Silent(Some(at))),
                other => other,
            };
        }
    }

    fn note_wellness(&mut self, now: Monotonic) {
        self.devices.iter_mut().for_each(|device| device.note_wellness(now));
    }

    /// When [`FailoverMachine::tick`] has something to do; `None` for never.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        let patience = self.patience();
        let silences = self.devices.iter().filter_map(|device| match device.probing {
            Some(Probing::Begun(at) | Probing::Answered(at)) => Some(at.after(patience)),
            _ => None,
        });
        // Only devices that could take over once they are settled are worth waking up for.
        let active = self.active_device().filter(|_| self.setup.automatic);
        let better = self.devices.iter().filter(|device| {
            active.is_some_and(|active| device.configured.priority < active.configured.priority)
        });
        // What was settled when last chosen led to its change then.
        let settled = better.filter_map(Device::settled_at).filter(|at| self.chosen_at < *at);
        let draining = self.draining.map(|(_, until)| until);
        silences.chain(settled).chain(draining).chain(self.next_probe).min()
    }

    /// Makes the device active that should be, and the client's link what it should be.
    fn choose(&mut self, now: Monotonic, at_once: bool, actions: &mut Vec<Action>) {
        self.chosen_at = now;
        let chosen_fails = self.by_hand.is_some_and(|port| {
            self.find(port).is_none() || self.active == Some(port) && !self.may_serve(port)
        });
        if chosen_fails {
            self.by_hand = None;
        }
        let best = self.best(now, at_once);
        match best {
            Some(best) if self.active != Some(best) => self.change_to(now, best, actions),
            None if self.active_device().is_none() => {
                actions.extend(self.active.take().map(Action::Release));
            }
            _ => {}
        }
        let up = self.active_device().is_some_and(|device| device.health.usable());
        if up != self.link_up {
            self.link_up = up;
            actions.push(Action::ClientLink { up });
        }
    }

    /// Whether frames may go over a device: it is well, or none is and it has a link at least.
    fn may_serve(&self, port: LogicalPortId) -> bool {
        let none_is_well = !self.devices.iter().any(Device::is_well);
        self.find(port).is_some_and(|device| device.is_well() || none_is_well && device.health.usable())
    }

    /// The device that should be active; `None` if none can be.
    fn best(&self, now: Monotonic, at_once: bool) -> Option<LogicalPortId> {
        if let Some(port) = self.by_hand.filter(|port| self.may_serve(*port)) {
            return Some(port);
        }
        let active = self.active_device().filter(|device| device.health.usable());
        match active {
            Some(active) if active.is_well() => {
                let better = |device: &&Device| {
                    device.is_well()
                        && (at_once || device.is_settled(now))
                        && device.configured.priority < active.configured.priority
                };
                let better = self.devices.iter().filter(better);
                let best = better.min_by_key(|device| device.configured.priority);
                Some(best.filter(|_| self.setup.automatic).unwrap_or(active).configured.port)
            }
            Some(active) => Some(self.instead_of_silent(now, active).unwrap_or(active).configured.port),
            None if self.active.is_some() && !self.may_leave_failed() => None,
            None => {
                let well = self.devices.iter().filter(|device| device.is_well());
                let usable = self.devices.iter().filter(|device| device.health.usable());
                let order = |device: &&Device| (!device.is_settled(now), device.configured.priority);
                well.min_by_key(order)
                    .or_else(|| usable.min_by_key(order))
                    .map(|device| device.configured.port)
            }
        }
    }

    fn may_leave_failed(&self) -> bool {
        self.setup.automatic || leaves_a_failed_device_without_automatic()
    }

    /// The device to use instead of an active one whose probes get no answer: one that got an answer clearly later. What
    /// silences all devices (the targets are off) silences them at almost the same time, and nothing is gained by a change.
    fn instead_of_silent(&self, now: Monotonic, active: &Device) -> Option<&Device> {
        if !self.may_leave_failed() {
            return None;
        }
        let interval = self.interval();
        let fresh = |device: &&Device| {
            device.is_well()
                && device.last_answer().is_some_and(|answer| {
                    active.last_answer().is_none_or(|silent_since| answer >= silent_since.after(interval))
                })
        };
        let fresh = self.devices.iter().filter(fresh);
        fresh.min_by_key(|device| (!device.is_settled(now), device.configured.priority))
    }

    fn change_to(&mut self, now: Monotonic, port: LogicalPortId, actions: &mut Vec<Action>) {
        let former = self.active.replace(port);
        actions.push(Action::Activate(port));
        if let Some((drained, _)) = self.draining.take().filter(|(drained, _)| *drained != port) {
            actions.push(Action::Release(drained));
        }
        let Some(former) = former else {
            return;
        };
        if self.find(former).is_some_and(|device| device.health.usable()) {
            self.draining = Some((former, now.after(DRAIN)));
            actions.push(Action::Drain(former));
        } else {
            actions.push(Action::Release(former));
        }
    }

    fn find(&self, port: LogicalPortId) -> Option<&Device> {
        self.devices.iter().find(|device| device.configured.port == port)
    }

    fn active_device(&self) -> Option<&Device> {
        self.active.and_then(|port| self.find(port))
    }

    /// Its configuration.
    #[must_use]
    pub fn setup(&self) -> &VnicSetup {
        &self.setup
    }

    /// The device that the client's frames go over, whether it works or not; `None` before any worked.
    #[must_use]
    pub fn active(&self) -> Option<LogicalPortId> {
        self.active
    }

    /// The device that delivers what is still on its way.
    #[must_use]
    pub fn draining(&self) -> Option<LogicalPortId> {
        self.draining.map(|(port, _)| port)
    }

    /// Whether the client's link is up.
    #[must_use]
    pub fn link_up(&self) -> bool {
        self.link_up
    }

    /// All devices, in the order of the configuration.
    #[must_use]
    pub fn states(&self) -> Vec<BackingDeviceState> {
        let state = |device: &Device| BackingDeviceState {
            logical_port: device.configured.port,
            active: self.active == Some(device.configured.port),
            status: device.status(),
        };
        self.devices.iter().map(state).collect()
    }

    /// A device's state in the console's word; `None` for one that is not configured.
    #[must_use]
    pub fn status(&self, port: LogicalPortId) -> Option<BackingDeviceStatus> {
        self.find(port).map(Device::status)
    }
}
