//! The state of a managed system as its authority holds it, and the snapshot that readers get.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use varan_contract::system::Selector;
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, PartitionEnvironment};
use varan_model::ids::{
    LogicalPortId, MacAddress, PartitionId, PartitionUuid, PhysicalPortId, SriovAdapterId, VirtualSlot,
    WorldWidePortName,
};
use varan_model::lock::OperationLock;
use varan_model::partition::{Partition, PartitionEntry, Runtime};
use varan_model::refusal::Refusal;
use varan_model::rules::sriov::{self, PortPlace, PortUse};
use varan_model::rules::{PartitionLookup, validity};
use varan_model::service::{ErrorLog, Failure};
use varan_model::system::{ManagedSystem, SystemSettings, SystemState};

use crate::table::{NameTable, Table};

/// What readers see: immutable, published after each batch.
#[derive(Clone)]
pub struct Snapshot {
    /// The system.
    pub system: Arc<ManagedSystem>,
    /// Partitions by number.
    pub partitions: Table<PartitionEntry>,
    /// Numbers by name.
    pub names: NameTable,
    /// Numbers by UUID as text.
    pub uuids: NameTable,
    /// What failed.
    pub errors: Arc<ErrorLog>,
    /// Partitions whose lock is held.
    pub locked: Table<()>,
    /// Held while the firmware is updated.
    pub updating: Option<Arc<OperationLock>>,
}

impl Snapshot {
    /// Finds a partition.
    ///
    /// # Errors
    /// [`MessageKey::PartitionNotFound`] or [`MessageKey::PartitionIdNotFound`].
    pub fn find(&self, selector: &Selector) -> Result<&PartitionEntry, Refusal> {
        match selector {
            Selector::Name(name) => {
                let entry = self.names.get(name).and_then(|id| self.partitions.get(id));
                entry.ok_or_else(|| Refusal::new(MessageKey::PartitionNotFound).with(name))
            }
            Selector::Id(id) => self
                .partitions
                .get(id.0)
                .ok_or_else(|| Refusal::new(MessageKey::PartitionIdNotFound).with(id)),
            Selector::Uuid(uuid) => {
                let uuid = uuid.to_string();
                let entry = self.uuids.get(&uuid).and_then(|id| self.partitions.get(id));
                entry.ok_or_else(|| Refusal::new(MessageKey::PartitionNotFound).with(uuid))
            }
        }
    }
}

/// One change of the state. Applying it cannot fail.
#[derive(Clone, Debug)]
pub enum Change {
    /// A definition is new or different. Recorded.
    PutPartition(Box<Partition>),
    /// A partition is gone. Recorded.
    RemovePartition(PartitionId),
    /// The settings are different. Recorded.
    PutSettings(Box<SystemSettings>),
    /// A partition's runtime is different. Not recorded.
    PutRuntime(PartitionId, Box<Runtime>),
    /// The system's state is different. Not recorded.
    SystemState(SystemState),
    /// Something failed: an entry of the error log with its time, and indicators. Recorded.
    LogError(i64, Box<Failure>),
    /// A reference code of the system. Not recorded.
    SystemReferenceCode(i64, String),
}

impl Change {
    /// Whether the database holds what the change is about.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        matches!(
            self,
            Self::PutPartition(_) | Self::RemovePartition(_) | Self::PutSettings(_) | Self::LogError(..)
        )
    }

    /// The partition that the change is about.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        match self {
            Self::PutPartition(partition) => Some(partition.id),
            Self::RemovePartition(id) | Self::PutRuntime(id, _) => Some(*id),
            Self::PutSettings(_)
            | Self::LogError(..)
            | Self::SystemState(_)
            | Self::SystemReferenceCode(..) => None,
        }
    }
}

#[derive(Default)]
struct Indexes {
    mac_addresses: HashMap<MacAddress, (PartitionUuid, u32)>,
    port_names: HashMap<WorldWidePortName, (PartitionUuid, u32)>,
    slots: HashMap<u32, PartitionId>,
    uuids: HashMap<PartitionUuid, PartitionId>,
    /// SR-IOV logical ports of current configurations.
    logical_ports: HashMap<LogicalPortId, PartitionId>,
    /// What current configurations take of SR-IOV physical ports.
    port_uses: HashMap<PortPlace, PortUse>,
    /// Server adapters of backing devices, by server and slot: the client's virtual NIC.
    hosted: BTreeMap<(PartitionId, VirtualSlot), (PartitionId, VirtualSlot)>,
    /// Trunk adapters of current configurations by virtual switch and VLAN.
    trunks: HashMap<(String, u16), BTreeMap<(PartitionId, VirtualSlot), u8>>,
}

impl Indexes {
    /// Adds what the network of a current configuration takes.
    fn add_network(&mut self, id: PartitionId, content: &Configuration) {
        self.logical_ports.extend(sriov::logical_port_ids(content).map(|port| (port, id)));
        for (place, own) in sriov::uses(content) {
            self.port_uses.entry(place).or_default().add(own);
        }
        for (nic, device) in content.backing_devices() {
            if let (Some(server), Some(slot)) = (device.server, device.server_slot) {
                self.hosted.insert((server, slot), (id, nic.slot));
            }
        }
        for (key, slot, priority) in trunks(content) {
            self.trunks.entry(key).or_default().insert((id, slot), priority);
        }
    }

    /// Takes it out again.
    fn remove_network(&mut self, id: PartitionId, content: &Configuration) {
        for port in sriov::logical_port_ids(content) {
            if self.logical_ports.get(&port) == Some(&id) {
                self.logical_ports.remove(&port);
            }
        }
        for (place, own) in sriov::uses(content) {
            if let Some(taken) = self.port_uses.get_mut(&place) {
                taken.give_back(own);
                if taken.ports == 0 {
                    self.port_uses.remove(&place);
                }
            }
        }
        for place in sriov::server_slots(content) {
            if self.hosted.get(&place).is_some_and(|(client, _)| *client == id) {
                self.hosted.remove(&place);
            }
        }
        for (key, slot, _) in trunks(content) {
            if let Some(adapters) = self.trunks.get_mut(&key) {
                adapters.remove(&(id, slot));
                if adapters.is_empty() {
                    self.trunks.remove(&key);
                }
            }
        }
    }
}

/// Every VLAN of every trunk adapter: virtual switch and VLAN, slot, priority.
fn trunks(content: &Configuration) -> impl Iterator<Item = ((String, u16), VirtualSlot, u8)> + '_ {
    content.ethernet_adapters.iter().filter_map(|adapter| Some((adapter, adapter.trunk_priority?))).flat_map(
        |(adapter, priority)| {
            let vlans = std::iter::once(&adapter.port_vlan_id).chain(&adapter.additional_vlan_ids);
            vlans.map(move |vlan| ((adapter.virtual_switch.clone(), *vlan), adapter.slot, priority))
        },
    )
}

/// The authority's own state: the snapshot to be published next, with indexes for its rules.
pub struct World {
    /// State.
    pub snapshot: Snapshot,
    indexes: Indexes,
}

fn count<K: std::hash::Hash + Eq>(map: &mut HashMap<K, (PartitionUuid, u32)>, key: K, owner: PartitionUuid) {
    map.entry(key).or_insert((owner, 0)).1 += 1;
}

fn uncount<K: std::hash::Hash + Eq>(map: &mut HashMap<K, (PartitionUuid, u32)>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut entry) = map.entry(key) {
        entry.get_mut().1 -= 1;
        if entry.get().1 == 0 {
            entry.remove();
        }
    }
}

fn contents(partition: &Partition) -> impl Iterator<Item = &Configuration> {
    partition.profiles.iter().map(|profile| &profile.configuration).chain(&partition.current)
}

impl World {
    /// A world without partitions.
    #[must_use]
    pub fn new(system: ManagedSystem) -> Self {
        let snapshot = Snapshot {
            system: Arc::new(system),
            partitions: Table::default(),
            names: NameTable::default(),
            uuids: NameTable::default(),
            errors: Arc::default(),
            locked: Table::default(),
            updating: None,
        };
        Self { snapshot, indexes: Indexes::default() }
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &ManagedSystem {
        &self.snapshot.system
    }

    /// The entry of a UUID.
    #[must_use]
    pub fn by_uuid(&self, uuid: PartitionUuid) -> Option<&PartitionEntry> {
        self.indexes.uuids.get(&uuid).and_then(|id| self.snapshot.partitions.get(id.0))
    }

    /// Goes back to an earlier snapshot: a batch could not be recorded.
    pub fn roll_back(&mut self, snapshot: Snapshot) {
        self.snapshot = snapshot;
        self.indexes = Indexes::default();
        let entries: Vec<PartitionEntry> =
            self.snapshot.partitions.iter().map(|(_, entry)| entry.clone()).collect();
        for entry in entries {
            self.index_definition(&entry.partition);
            self.index_slots(&entry);
        }
    }

    /// Takes back what was done to `partitions` and to the system's settings and state since `before`. What is held back
    /// for dynamic changes stays.
    pub fn take_back(&mut self, before: &Snapshot, partitions: &[PartitionId]) {
        for id in partitions {
            self.put(*id, before.partitions.get(id.0).cloned());
        }
        let system = Arc::make_mut(&mut self.snapshot.system);
        system.settings.clone_from(&before.system.settings);
        system.state = before.system.state;
        system.reference_codes.clone_from(&before.system.reference_codes);
    }

    /// Applies a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::PutPartition(partition) => {
                let id = partition.id;
                let runtime = self.snapshot.partitions.get(id.0).map(|entry| entry.runtime.clone());
                let runtime = runtime.unwrap_or_else(|| Arc::new(Runtime::default()));
                self.put(id, Some(PartitionEntry { partition: Arc::new(*partition), runtime }));
            }
            Change::RemovePartition(id) => {
                if self.system().settings.indicators.partitions.contains(&id) {
                    // A later partition of that number is another one.
                    let system = Arc::make_mut(&mut self.snapshot.system);
                    system.settings.indicators.partitions.remove(&id);
                }
                self.put(id, None);
            }
            Change::PutRuntime(id, runtime) => {
                if let Some(entry) = self.snapshot.partitions.get(id.0) {
                    let partition = entry.partition.clone();
                    self.put(id, Some(PartitionEntry { partition, runtime: Arc::new(*runtime) }));
                }
            }
            Change::PutSettings(settings) => {
                let system = Arc::make_mut(&mut self.snapshot.system);
                system.settings = *settings;
                system.settings.revision += 1;
                let level = &system.firmware().activated.level;
                if system.hardware.firmware != *level {
                    // What the machine is capable of follows the level in force.
                    let level = level.clone();
                    Arc::make_mut(&mut system.hardware).firmware = level;
                }
            }
            Change::LogError(seconds, failure) => {
                let system = Arc::make_mut(&mut self.snapshot.system);
                system.settings.indicators.failed(&failure);
                system.settings.revision += 1;
                Arc::make_mut(&mut self.snapshot.errors).add(seconds, *failure);
            }
            Change::SystemState(state) => Arc::make_mut(&mut self.snapshot.system).state = state,
            Change::SystemReferenceCode(seconds, code) => {
                Arc::make_mut(&mut self.snapshot.system).reference_codes.post(seconds, code);
            }
        }
    }

    /// Holds back memory and processors for a dynamic addition that is under way, or releases them.
    pub fn reserve(&mut self, usage: varan_model::partition::Usage, release: bool) {
        let system = Arc::make_mut(&mut self.snapshot.system);
        system.usage = if release { system.usage.minus(usage) } else { system.usage.plus(usage) };
    }

    fn put(&mut self, id: PartitionId, entry: Option<PartitionEntry>) {
        let before = self.snapshot.partitions.get(id.0).cloned();
        let same_definition = match (&before, &entry) {
            (Some(before), Some(after)) => Arc::ptr_eq(&before.partition, &after.partition),
            _ => false,
        };
        if !same_definition {
            self.reindex(before.as_ref(), entry.as_ref());
        }
        self.account(before.as_ref(), entry.as_ref());
        if entry.as_ref().is_some_and(|entry| entry.runtime.lock.is_some()) {
            self.snapshot.locked.put(id.0, ());
        } else {
            self.snapshot.locked.remove(id.0);
        }
        match entry {
            Some(entry) => self.snapshot.partitions.put(id.0, entry),
            None => self.snapshot.partitions.remove(id.0),
        };
    }

    fn reindex(&mut self, before: Option<&PartitionEntry>, after: Option<&PartitionEntry>) {
        if let Some(entry) = before {
            for content in contents(&entry.partition) {
                validity::mac_addresses(content)
                    .for_each(|one| uncount(&mut self.indexes.mac_addresses, one));
                validity::port_names(content).for_each(|one| uncount(&mut self.indexes.port_names, one));
            }
            if let Some(content) = &entry.partition.current {
                self.indexes.remove_network(entry.partition.id, content);
            }
            self.indexes.uuids.remove(&entry.partition.uuid);
            if after.is_none_or(|after| after.partition.uuid != entry.partition.uuid) {
                self.snapshot.uuids.remove(&entry.partition.uuid.to_string());
            }
            if after.is_none_or(|after| after.partition.name != entry.partition.name) {
                self.snapshot.names.remove(&entry.partition.name);
            }
        }
        if let Some(entry) = after {
            self.index_definition(&entry.partition);
            if before.is_none_or(|before| before.partition.uuid != entry.partition.uuid) {
                self.snapshot.uuids.put(&entry.partition.uuid.to_string(), entry.partition.id.0);
            }
            if before.is_none_or(|before| before.partition.name != entry.partition.name) {
                self.snapshot.names.put(&entry.partition.name, entry.partition.id.0);
            }
        }
    }

    fn index_definition(&mut self, partition: &Partition) {
        for content in contents(partition) {
            for address in validity::mac_addresses(content) {
                count(&mut self.indexes.mac_addresses, address, partition.uuid);
            }
            for name in validity::port_names(content) {
                count(&mut self.indexes.port_names, name, partition.uuid);
            }
        }
        if let Some(content) = &partition.current {
            self.indexes.add_network(partition.id, content);
        }
        self.indexes.uuids.insert(partition.uuid, partition.id);
    }

    /// The virtual NICs that a server hosts backing devices of: server slot, client and the slot there, by server slot.
    pub fn hosted(
        &self,
        server: PartitionId,
    ) -> impl Iterator<Item = (VirtualSlot, PartitionId, VirtualSlot)> + '_ {
        let range = (server, VirtualSlot(0))..=(server, VirtualSlot(u16::MAX));
        self.indexes.hosted.range(range).map(|((_, slot), (client, nic))| (*slot, *client, *nic))
    }

    /// The virtual NIC that a server adapter of a server is for: client and slot there.
    #[must_use]
    pub fn hosted_at(&self, server: PartitionId, slot: VirtualSlot) -> Option<(PartitionId, VirtualSlot)> {
        self.indexes.hosted.get(&(server, slot)).copied()
    }

    /// Trunk adapters of a VLAN of a virtual switch: partition, slot, priority.
    pub fn trunk_adapters(
        &self,
        switch: &str,
        vlan: u16,
    ) -> impl Iterator<Item = (PartitionId, VirtualSlot, u8)> + '_ {
        let adapters = self.indexes.trunks.get(&(switch.to_owned(), vlan));
        adapters.into_iter().flatten().map(|((partition, slot), priority)| (*partition, *slot, *priority))
    }

    /// A logical port of an adapter that somebody has.
    #[must_use]
    pub fn used_port_of(&self, adapter: SriovAdapterId) -> Option<(LogicalPortId, PartitionId)> {
        let ports = self.indexes.logical_ports.iter().filter(|(port, _)| port.adapter() == adapter);
        ports.min().map(|(port, holder)| (*port, *holder))
    }

    fn index_slots(&mut self, entry: &PartitionEntry) {
        if let Some(content) =
            entry.partition.current.as_ref().filter(|_| entry.runtime.state.holds_resources())
        {
            for slot in &content.physical_slots {
                self.indexes.slots.insert(slot.drc_index, entry.partition.id);
            }
        }
    }

    fn account(&mut self, before: Option<&PartitionEntry>, after: Option<&PartitionEntry>) {
        if let Some(entry) = before {
            for slot in entry.partition.current.iter().flat_map(|content| &content.physical_slots) {
                if self.indexes.slots.get(&slot.drc_index) == Some(&entry.partition.id) {
                    self.indexes.slots.remove(&slot.drc_index);
                }
            }
        }
        if let Some(entry) = after {
            self.index_slots(entry);
        }
        let hardware = self.snapshot.system.hardware.clone();
        let old = before.map(|entry| entry.usage(&hardware)).unwrap_or_default();
        let new = after.map(|entry| entry.usage(&hardware)).unwrap_or_default();
        let moved = i32::from(after.is_some()) - i32::from(before.is_some());
        if old != new || moved != 0 {
            let system = Arc::make_mut(&mut self.snapshot.system);
            system.usage = system.usage.plus(new).minus(old);
            system.partition_count = u16::try_from(i32::from(system.partition_count) + moved).unwrap_or(0);
        }
    }

    /// Compares the running sums and indexes with what a fresh count gives. For tests.
    ///
    /// # Panics
    /// When they differ.
    pub fn check_invariants(&self) {
        let mut fresh = Self::new((*self.snapshot.system).clone());
        let mut usage = varan_model::partition::Usage::default();
        for (_, entry) in self.snapshot.partitions.iter() {
            usage = usage.plus(entry.usage(&self.snapshot.system.hardware));
            fresh.index_definition(&entry.partition);
            fresh.index_slots(entry);
            let locked = self.snapshot.locked.get(entry.partition.id.0).is_some();
            assert_eq!(locked, entry.runtime.lock.is_some());
            assert_eq!(self.snapshot.names.get(&entry.partition.name), Some(entry.partition.id.0));
        }
        assert_eq!(usage, self.snapshot.system.usage);
        assert_eq!(usize::from(self.snapshot.system.partition_count), self.snapshot.partitions.len());
        assert_eq!(fresh.indexes.mac_addresses, self.indexes.mac_addresses);
        assert_eq!(fresh.indexes.port_names, self.indexes.port_names);
        assert_eq!(fresh.indexes.slots, self.indexes.slots);
        assert_eq!(fresh.indexes.uuids, self.indexes.uuids);
        assert_eq!(fresh.indexes.logical_ports, self.indexes.logical_ports);
        assert_eq!(fresh.indexes.port_uses, self.indexes.port_uses);
        assert_eq!(fresh.indexes.hosted, self.indexes.hosted);
        assert_eq!(fresh.indexes.trunks, self.indexes.trunks);
    }
}

impl PartitionLookup for World {
    fn id_of(&self, name: &str) -> Option<PartitionId> {
        self.snapshot.names.get(name).map(PartitionId)
    }

    fn name_of(&self, id: PartitionId) -> Option<String> {
        self.snapshot.partitions.get(id.0).map(|entry| entry.partition.name.clone())
    }

    fn mac_address_holder(&self, address: MacAddress) -> Option<PartitionUuid> {
        self.indexes.mac_addresses.get(&address).map(|(owner, _)| *owner)
    }

    fn port_name_holder(&self, name: WorldWidePortName) -> Option<PartitionUuid> {
        self.indexes.port_names.get(&name).map(|(owner, _)| *owner)
    }

    fn slot_holder(&self, drc_index: u32) -> Option<PartitionId> {
        self.indexes.slots.get(&drc_index).copied()
    }

    fn free_id(&self) -> Option<PartitionId> {
        let most = self.system().hardware.maximum_partitions;
        self.snapshot.partitions.lowest_free(most).map(PartitionId)
    }

    fn logical_port_holder(&self, port: LogicalPortId) -> Option<PartitionId> {
        self.indexes.logical_ports.get(&port).copied()
    }

    fn port_use(&self, adapter: SriovAdapterId, port: PhysicalPortId) -> PortUse {
        self.indexes.port_uses.get(&(adapter, port)).copied().unwrap_or_default()
    }

    fn backing_device_client(&self, server: PartitionId, slot: VirtualSlot) -> Option<PartitionId> {
        self.indexes.hosted.get(&(server, slot)).map(|(client, _)| *client)
    }

    fn is_virtual_io_server(&self, id: PartitionId) -> bool {
        let entry = self.snapshot.partitions.get(id.0);
        entry.is_some_and(|entry| entry.partition.environment == PartitionEnvironment::VirtualIoServer)
    }
}
