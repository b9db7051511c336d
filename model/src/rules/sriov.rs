//! SR-IOV logical ports and virtual NICs of configurations: what a profile may say, and what a current configuration gets.
//!
//! Logical ports are numbered by adapter, not by physical port; the lowest free number is taken. A current configuration
//! holds its logical ports whether its partition runs or not.

use std::collections::BTreeMap;

use super::PartitionLookup;
use super::profile::EditContext;
use crate::codes::MessageKey;
use crate::configuration::{Configuration, PartitionEnvironment};
use crate::hardware::ProcessorFamily;
use crate::ids::{LogicalPortId, PartitionId, PhysicalPortId, SriovAdapterId, VirtualSlot};
use crate::refusal::Refusal;
use crate::sriov::{Capacity, LogicalPort, SriovAdapterDescription, SriovAdapterSettings, SriovPortType};
use crate::system::ManagedSystem;
use crate::vnic::{BACKING_DEVICES_MAX, BackingDevice, SERVER_SLOT_END, SERVER_SLOT_FIRST, VirtualNic};

/// Most promiscuous logical ports of one physical port.
pub const PROMISCUOUS_MAX: u16 = 1;
/// Number within its configuration of the first logical port behind a virtual NIC. Source: live listings.
pub const BACKING_CONFIGURATION_ID: u16 = 16_384;

/// What is taken of a physical port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUse {
    /// Logical ports.
    pub ports: u16,
    /// Their capacities together, in hundredths of a percent.
    pub capacity: u32,
    /// Promiscuous ones.
    pub promiscuous: u16,
}

impl PortUse {
    /// Adds what another takes.
    pub fn add(&mut self, other: Self) {
        self.ports += other.ports;
        self.capacity += other.capacity;
        self.promiscuous += other.promiscuous;
    }

    /// Gives back what another took.
    pub fn give_back(&mut self, other: Self) {
        self.ports = self.ports.saturating_sub(other.ports);
        self.capacity = self.capacity.saturating_sub(other.capacity);
        self.promiscuous = self.promiscuous.saturating_sub(other.promiscuous);
    }
}

/// Place of a physical port.
pub type PortPlace = (SriovAdapterId, PhysicalPortId);

/// What a configuration takes, port by port.
#[must_use]
pub fn uses(content: &Configuration) -> BTreeMap<PortPlace, PortUse> {
    let mut found: BTreeMap<PortPlace, PortUse> = BTreeMap::new();
    let mut take = |place: PortPlace, capacity: Option<Capacity>, promiscuous: bool| {
        let capacity = u32::from(capacity.unwrap_or_default().0);
        let promiscuous = u16::from(promiscuous);
        found.entry(place).or_default().add(PortUse { ports: 1, capacity, promiscuous });
    };
    for port in content.logical_ports() {
        take((port.adapter, port.physical_port), port.capacity, port.promiscuous);
    }
    for (_, device) in content.backing_devices() {
        take((device.adapter, device.physical_port), device.capacity, false);
    }
    found
}

/// Every logical port of a configuration that has its number.
pub fn logical_port_ids(content: &Configuration) -> impl Iterator<Item = LogicalPortId> + '_ {
    let own = content.logical_ports().filter_map(|port| port.id);
    own.chain(content.backing_devices().filter_map(|(_, device)| device.logical_port))
}

/// Every server adapter that Virtual I/O Servers have for a configuration.
pub fn server_slots(content: &Configuration) -> impl Iterator<Item = (PartitionId, VirtualSlot)> + '_ {
    content.backing_devices().filter_map(|(_, device)| Some((device.server?, device.server_slot?)))
}

/// Whether the machine has virtual NICs, and their failover. Source: the seeds' levels, and the announcements of vNIC.
fn vnic_levels(system: &ManagedSystem) -> (bool, bool) {
    let hardware = &system.hardware;
    let newer = hardware.family > ProcessorFamily::Power8;
    let at_least = |release: u16| {
        hardware.family == ProcessorFamily::Power8 && hardware.firmware.release() >= release || newer
    };
    (at_least(840) && hardware.capable("vnic_capable"), at_least(860))
}

/// Checks what a profile says of virtual NICs in itself.
///
/// # Errors
/// A machine without them, too many backing devices or none, two on one physical port.
pub fn check(content: &Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    for nic in &content.virtual_nics {
        let (vnics, failover) = vnic_levels(system);
        if !vnics {
            return Err(Refusal::new(MessageKey::VnicUnsupported));
        }
        let count = nic.backing_devices.len();
        if !(1..=BACKING_DEVICES_MAX).contains(&count) {
            return Err(Refusal::new(MessageKey::VnicBackingDeviceCount)
                .with(BACKING_DEVICES_MAX)
                .with(count));
        }
        if count > 1 && !failover {
            let level = format!("the managed system has firmware level {}", system.hardware.firmware);
            return Err(Refusal::new(MessageKey::VnicFailoverUnsupported).with(level));
        }
        for (index, device) in nic.backing_devices.iter().enumerate() {
            if nic.backing_devices[..index].iter().any(|other| other.same_port(device)) {
                let refusal = Refusal::new(MessageKey::VnicPortRepeated).with(nic.slot);
                return Err(refusal.with(device.adapter).with(device.physical_port));
            }
        }
    }
    Ok(())
}

/// Checks what kinds of partitions can have.
///
/// # Errors
/// [`MessageKey::VnicServerInvalid`]: a Virtual I/O Server hosts, and has none itself.
pub fn check_environment(content: &Configuration, environment: PartitionEnvironment) -> Result<(), Refusal> {
    if environment == PartitionEnvironment::VirtualIoServer && !content.virtual_nics.is_empty() {
        return Err(Refusal::new(MessageKey::VnicUnsupported));
    }
    Ok(())
}

/// Fills in the numbers of servers that are given by name, and checks that there are such servers.
///
/// # Errors
/// A partition that does not exist, is no Virtual I/O Server, or whose name and number disagree.
pub fn resolve_servers(nics: &mut [VirtualNic], context: &EditContext<'_>) -> Result<(), Refusal> {
    for nic in nics {
        for device in &mut nic.backing_devices {
            resolve_server(device, nic.slot, context)?;
        }
    }
    Ok(())
}

fn resolve_server(
    device: &mut BackingDevice,
    slot: VirtualSlot,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    let name = std::mem::take(&mut device.server_name);
    let lookup = context.lookup;
    let missing = |what: &dyn std::fmt::Display| {
        Err(Refusal::new(MessageKey::RemotePartitionNotFound).with(what).with(slot))
    };
    let id = match (device.server, name.as_str()) {
        (Some(id), "") => id,
        (None, name) => match lookup.id_of(name) {
            Some(id) => id,
            None => return missing(&name),
        },
        (Some(id), name) => match lookup.name_of(id) {
            Some(present) if present != name => {
                return Err(Refusal::new(MessageKey::RemotePartitionMismatch).with(id).with(name));
            }
            _ => id,
        },
    };
    let Some(present) = lookup.name_of(id) else { return missing(&id) };
    if !lookup.is_virtual_io_server(id) {
        let refusal = Refusal::new(MessageKey::VnicServerInvalid).with(present);
        return Err(refusal.with("it is not a Virtual I/O Server"));
    }
    device.server = Some(id);
    Ok(())
}

/// An adapter in shared mode.
///
/// # Errors
/// [`MessageKey::SriovAdapterNotFound`], [`MessageKey::SriovAdapterDedicated`].
pub fn shared_adapter(
    system: &ManagedSystem,
    id: SriovAdapterId,
) -> Result<(&SriovAdapterDescription, SriovAdapterSettings), Refusal> {
    if let Some(found) = system.shared_adapter(id) {
        return Ok(found);
    }
    // It had that number, and would get it again.
    match system.hardware.sriov_adapters.iter().find(|adapter| adapter.adapter == id) {
        Some(adapter) if !system.is_shared_slot(adapter.drc_index) => {
            Err(Refusal::new(MessageKey::SriovAdapterDedicated).with(&adapter.location))
        }
        _ => Err(Refusal::new(MessageKey::SriovAdapterNotFound).with(id)),
    }
}

/// A physical port of an adapter in shared mode: the adapter, and the port's place in its lists.
///
/// # Errors
/// As [`shared_adapter`], [`MessageKey::SriovPortNotFound`].
pub fn shared_port(
    system: &ManagedSystem,
    (adapter, port): PortPlace,
) -> Result<(&SriovAdapterDescription, SriovAdapterSettings, usize), Refusal> {
    let (description, settings) = shared_adapter(system, adapter)?;
    let index = usize::from(port.0);
    if index >= description.ports.len() {
        return Err(Refusal::new(MessageKey::SriovPortNotFound).with(adapter).with(port));
    }
    Ok((description, settings, index))
}

fn check_capacity(
    capacity: Capacity,
    most: Capacity,
    least: Capacity,
    configuration_id: u16,
) -> Result<(), Refusal> {
    if capacity < least || capacity > most {
        return Err(Refusal::new(MessageKey::CapacityRange).with(capacity).with(least).with(most));
    }
    if !capacity.0.is_multiple_of(least.0.max(1)) {
        return Err(Refusal::new(MessageKey::CapacityGranularity)
            .with(configuration_id)
            .with(capacity)
            .with(least));
    }
    Ok(())
}

/// Completes a current configuration: logical ports get their numbers (those of `previous` where it is the same port),
/// capacities and server adapters; everything is held against the adapters.
///
/// # Errors
/// An adapter or port that is not there or dedicated, a capacity that is not allowed, or more than there is.
pub fn complete(
    content: &mut Configuration,
    previous: Option<&Configuration>,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
) -> Result<(), Refusal> {
    if content.logical_ports().next().is_none() && content.virtual_nics.is_empty() {
        return Ok(());
    }
    let nothing = Configuration::default();
    let previous = previous.unwrap_or(&nothing);
    let mut numbers = Numbers { lookup, previous, taken: logical_port_ids(content).collect() };
    complete_logical_ports(content, system, &mut numbers)?;
    complete_backing_devices(content, system, &mut numbers)?;
    check_ports(content, previous, system, lookup)
}

/// Hands out numbers of logical ports.
struct Numbers<'a> {
    lookup: &'a dyn PartitionLookup,
    previous: &'a Configuration,
    taken: Vec<LogicalPortId>,
}

impl Numbers<'_> {
    /// Whether nobody has the port but the configuration before this one.
    fn is_free(&self, port: LogicalPortId) -> bool {
        self.lookup.logical_port_holder(port).is_none()
            || logical_port_ids(self.previous).any(|one| one == port)
    }

    fn next(&mut self, adapter: &SriovAdapterDescription, id: SriovAdapterId) -> Option<LogicalPortId> {
        let mut numbers = (1..=adapter.maximum_logical_ports).map(|number| LogicalPortId::on(id, number));
        let port = numbers.find(|port| !self.taken.contains(port) && self.is_free(*port))?;
        self.taken.push(port);
        Some(port)
    }

    /// The number asked for, or the one of the same port before, or the lowest free one.
    fn choose(
        &mut self,
        asked: Option<LogicalPortId>,
        before: Option<LogicalPortId>,
        (adapter, id, port): (&SriovAdapterDescription, SriovAdapterId, PhysicalPortId),
    ) -> Result<LogicalPortId, Refusal> {
        if let Some(asked) = asked {
            if asked.adapter() != id || !(1..=adapter.maximum_logical_ports).contains(&asked.number()) {
                return Err(Refusal::new(MessageKey::LogicalPortNotFound).with(asked));
            }
            if !self.is_free(asked) {
                let holder = self.lookup.logical_port_holder(asked).and_then(|id| self.lookup.name_of(id));
                let refusal = Refusal::new(MessageKey::LogicalPortUsed).with(asked);
                return Err(refusal.with(holder.unwrap_or_default()));
            }
            return Ok(asked);
        }
        if let Some(before) = before.filter(|before| before.adapter() == id && !self.taken.contains(before)) {
            self.taken.push(before);
            return Ok(before);
        }
        self.next(adapter, id).ok_or_else(|| exhausted(id, port, adapter.maximum_logical_ports))
    }
}

fn exhausted(adapter: SriovAdapterId, port: PhysicalPortId, most: u16) -> Refusal {
    Refusal::new(MessageKey::LogicalPortsExhausted).with(adapter).with(port).with(most)
}

fn complete_logical_ports(
    content: &mut Configuration,
    system: &ManagedSystem,
    numbers: &mut Numbers<'_>,
) -> Result<(), Refusal> {
    let mut used: Vec<u16> = content.logical_ports().filter_map(|port| port.configuration_id).collect();
    let lists = [
        (&mut content.ethernet_logical_ports, SriovPortType::Ethernet),
        (&mut content.roce_logical_ports, SriovPortType::RdmaOverConvergedEthernet),
    ];
    for (list, kind) in lists {
        for port in list.iter_mut() {
            let place = (port.adapter, port.physical_port);
            let (adapter, _, index) = shared_port(system, place)?;
            check_protocol(adapter, index, place, kind)?;
            let number =
                port.configuration_id.unwrap_or_else(|| (0..).find(|id| !used.contains(id)).unwrap_or(0));
            used.push(number);
            port.configuration_id = Some(number);
            let capacity = *port.capacity.get_or_insert(adapter.granularity);
            check_capacity(port.maximum_capacity, Capacity::WHOLE, adapter.granularity, number)?;
            check_capacity(capacity, port.maximum_capacity, adapter.granularity, number)?;
            let same = |one: &&LogicalPort| one.configuration_id == Some(number) && one.adapter == place.0;
            let before = numbers.previous.logical_ports().find(same).and_then(|one| one.id);
            port.id = Some(numbers.choose(port.id, before, (adapter, place.0, place.1))?);
        }
    }
    Ok(())
}

fn check_protocol(
    adapter: &SriovAdapterDescription,
    index: usize,
    place: PortPlace,
    kind: SriovPortType,
) -> Result<(), Refusal> {
    let roce = SriovPortType::RdmaOverConvergedEthernet;
    // A port for RDMA carries plain Ethernet, too.
    if kind == roce && adapter.ports[index].kind != roce {
        let refusal = Refusal::new(MessageKey::LogicalPortProtocol).with(place.0).with(place.1);
        return Err(refusal.with(kind.word()));
    }
    Ok(())
}

fn complete_backing_devices(
    content: &mut Configuration,
    system: &ManagedSystem,
    numbers: &mut Numbers<'_>,
) -> Result<(), Refusal> {
    let mut slots: Vec<(PartitionId, VirtualSlot)> = server_slots(content).collect();
    let mut configuration_id = BACKING_CONFIGURATION_ID;
    for nic in &mut content.virtual_nics {
        let before = numbers.previous.virtual_nics.iter().find(|one| one.slot == nic.slot);
        for device in &mut nic.backing_devices {
            let place = (device.adapter, device.physical_port);
            let (adapter, _, _) = shared_port(system, place)?;
            let capacity = *device.capacity.get_or_insert(adapter.granularity);
            check_capacity(device.maximum_capacity, Capacity::WHOLE, adapter.granularity, configuration_id)?;
            check_capacity(capacity, device.maximum_capacity, adapter.granularity, configuration_id)?;
            configuration_id = configuration_id.saturating_add(1);
            let same = |one: &&BackingDevice| one.same_port(device) && one.server == device.server;
            let same = before.and_then(|nic| nic.backing_devices.iter().find(same));
            let number = same.and_then(|one| one.logical_port);
            device.logical_port =
                Some(numbers.choose(device.logical_port, number, (adapter, place.0, place.1))?);
            if device.server_slot.is_none() {
                let slot = same.and_then(|one| one.server_slot);
                device.server_slot = Some(server_slot(device.server, slot, &slots, numbers.lookup)?);
                slots.extend(device.server.zip(device.server_slot));
            }
        }
    }
    Ok(())
}

/// The slot that the same device had before, or the lowest free one of the server.
fn server_slot(
    server: Option<PartitionId>,
    before: Option<VirtualSlot>,
    taken: &[(PartitionId, VirtualSlot)],
    lookup: &dyn PartitionLookup,
) -> Result<VirtualSlot, Refusal> {
    let missing = || Refusal::new(MessageKey::VnicServerInvalid).with("").with("it is not known");
    let server = server.ok_or_else(missing)?;
    if let Some(before) = before {
        return Ok(before);
    }
    let free = |slot: &VirtualSlot| {
        !taken.contains(&(server, *slot)) && lookup.backing_device_client(server, *slot).is_none()
    };
    let name = || lookup.name_of(server).unwrap_or_default();
    let exhausted = || Refusal::new(MessageKey::VnicServerSlotsExhausted).with(name());
    (SERVER_SLOT_FIRST..SERVER_SLOT_END).map(VirtualSlot).find(free).ok_or_else(exhausted)
}

/// Holds what a configuration takes against what its physical ports have left.
fn check_ports(
    content: &Configuration,
    previous: &Configuration,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
) -> Result<(), Refusal> {
    let before = uses(previous);
    for (place, own) in uses(content) {
        let (adapter, settings, index) = shared_port(system, place)?;
        let mut others = lookup.port_use(place.0, place.1);
        others.give_back(before.get(&place).copied().unwrap_or_default());
        let most =
            settings.ports[index].maximum_ethernet_ports.min(adapter.ports[index].maximum_logical_ports);
        let refuse = |key| Refusal::new(key).with(place.0).with(place.1);
        if others.ports + own.ports > most {
            return Err(exhausted(place.0, place.1, most));
        }
        if others.capacity + own.capacity > u32::from(Capacity::WHOLE.0) {
            let present = lookup.port_use(place.0, place.1).capacity;
            let taken = Capacity(u16::try_from(present).unwrap_or(Capacity::WHOLE.0));
            return Err(refuse(MessageKey::CapacityExceeded).with(taken));
        }
        if own.promiscuous > 0 && others.promiscuous + own.promiscuous > PROMISCUOUS_MAX {
            return Err(refuse(MessageKey::PromiscuousExceeded).with(PROMISCUOUS_MAX));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
