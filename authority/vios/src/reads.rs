//! Answers to questions, from a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use varan_contract::vios::{
    AttributeValue, DeviceQuery, DeviceSelector, ErrorQuery, MappingQuery, NpivPort, Select, ViosAnswer,
    ViosIdentity, ViosQuery,
};
use varan_model::vios::kinds::Values;
use varan_model::vios::{
    Backing, BackingFile, Device, DeviceClass, DeviceDetail, DeviceKind, DeviceName, DeviceState, DiskPath,
    FibreChannelMapping, LogicalVolume, LogicalVolumeState, Medium, PathState, PhysicalVolume, PoolKind,
    PortStatus, Repository, ScsiMapping, StoragePool, TargetMapping, ViosMessage, ViosRefusal,
    VirtualFibreChannelFlags, VolumeGroup, VolumeGroupDisk,
};

use crate::decide::{self, disk_of, find, refuse};
use crate::world::{FilePool, Group, Snapshot, Volume, location_of};

/// A question's view of a server: what it looks at is counted, so that tests can tell.
pub(crate) struct Reader<'a> {
    pub(crate) world: &'a Snapshot,
    pub(crate) seconds: i64,
    pub(crate) is_open: &'a dyn Fn(&DeviceName) -> bool,
    pub(crate) visited: &'a AtomicU64,
}

type Answer<T> = Result<T, ViosRefusal>;

impl Reader<'_> {
    fn visit(&self, count: usize) {
        self.visited.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn device(&self, name: &DeviceName) -> Option<&Arc<Device>> {
        self.visit(1);
        self.world.devices.get(name)
    }

    /// Answers; `Bytes` and `Network` are not asked here.
    pub(crate) fn read(&self, query: &ViosQuery) -> Answer<ViosAnswer> {
        Ok(match query {
            ViosQuery::Identity => ViosAnswer::Identity(self.identity()?),
            ViosQuery::Devices(query) => ViosAnswer::Devices(self.devices(query)?),
            ViosQuery::Attributes(device) => ViosAnswer::Attributes(self.attributes(device)?),
            ViosQuery::ScsiMappings(query) => ViosAnswer::ScsiMappings(self.scsi_mappings(query)?),
            ViosQuery::FibreChannelMappings(query) => {
                ViosAnswer::FibreChannelMappings(self.fibre_channel_mappings(query)?)
            }
            ViosQuery::PhysicalVolumes(select) => ViosAnswer::PhysicalVolumes(
                self.disks(select)?.iter().filter_map(|disk| self.physical_volume(disk)).collect(),
            ),
            ViosQuery::Paths(select) => {
                ViosAnswer::Paths(self.disks(select)?.iter().flat_map(|disk| self.paths(disk)).collect())
            }
            ViosQuery::NpivPorts => ViosAnswer::NpivPorts(self.npiv_ports()?),
            ViosQuery::VolumeGroups(name) => ViosAnswer::VolumeGroups(self.volume_groups(name.as_deref())?),
            ViosQuery::LogicalVolumes(group) => {
                let group = self.group(group)?;
                let volumes = group.volumes.iter().filter_map(|name| self.world.volumes.get(name));
                ViosAnswer::LogicalVolumes(volumes.map(|volume| self.logical_volume(volume)).collect())
            }
            ViosQuery::LogicalVolume(name) => {
                let unknown = || refuse(ViosMessage::LogicalVolumeUnknown).with(name);
                let volume = self.world.volumes.get(name).ok_or_else(unknown)?;
                ViosAnswer::LogicalVolumes(vec![self.logical_volume(volume)])
            }
            ViosQuery::LogicalVolumesOn(disk) => ViosAnswer::LogicalVolumes(self.volumes_on(disk)?),
            ViosQuery::StoragePools(name) => ViosAnswer::StoragePools(self.storage_pools(name.as_deref())?),
            ViosQuery::BackingDevices(pool) => {
                ViosAnswer::BackingDevices(self.backing_devices(pool.as_deref())?)
            }
            ViosQuery::Repository => ViosAnswer::Repository(self.repository()?),
            ViosQuery::Errors(query) => ViosAnswer::Errors(self.errors(query)),
            ViosQuery::CommandLog => {
                ViosAnswer::CommandLog(self.world.commands.values().map(|entry| (**entry).clone()).collect())
            }
            ViosQuery::Network(_) => ViosAnswer::Devices(Vec::new()),
            ViosQuery::Bytes { .. } => ViosAnswer::Bytes(Vec::new()),
        })
    }

    fn identity(&self) -> Answer<ViosIdentity> {
        let running = self.world.running.as_ref().ok_or_else(|| refuse(ViosMessage::ShuttingDown))?;
        let (own, specification) = (&self.world.own, &running.specification);
        Ok(ViosIdentity {
            hostname: own.hostname.clone(),
            partition_name: specification.name.clone(),
            partition_id: specification.id,
            partition: self.world.partition,
            machine: specification.machine.clone(),
            level: own.level.clone(),
            platform_level: own.platform_level.clone(),
            licence_accepted: own.licence_accepted,
            seconds: self.seconds,
        })
    }

    // Devices.

    fn devices(&self, query: &DeviceQuery) -> Answer<Vec<Arc<Device>>> {
        let chosen = |wanted: &dyn Fn(&Device) -> bool| -> Vec<Arc<Device>> {
            self.visit(self.world.devices.len());
            self.world.devices.values().filter(|device| wanted(device)).cloned().collect()
        };
        let mut devices = match query {
            DeviceQuery::All => chosen(&|_| true),
            DeviceQuery::One(selector) => vec![find(self.world, selector)?],
            DeviceQuery::Classes(classes) => chosen(&|device| classes.contains(&device.kind.class())),
            DeviceQuery::Virtual => chosen(&|device| device.kind.row().is_virtual),
            DeviceQuery::Children(selector) => {
                let parent = find(self.world, selector)?;
                let children = self.world.children_of(&parent.name).iter();
                children.filter_map(|name| self.device(name).cloned()).collect()
            }
        };
        devices.sort_by_cached_key(|device| order_of(device));
        Ok(devices)
    }

    fn attributes(&self, selector: &DeviceSelector) -> Answer<Vec<AttributeValue>> {
        let device = find(self.world, selector)?;
        self.visit(1);
        let definitions = device.kind.row().attributes.iter();
        Ok(definitions
            .map(|definition| AttributeValue {
                name: definition.name.to_owned(),
                value: self.value(&device, definition.name).unwrap_or_default(),
                description: definition.description.to_owned(),
                settable: definition.settable,
                range: range(&definition.values),
            })
            .collect())
    }

    /// An attribute in force; those that describe the device itself are made here.
    fn value(&self, device: &Device, name: &str) -> Option<String> {
        if let Some(value) = self.described(device, name) {
            return Some(value);
        }
        device.attribute(name).map(str::to_owned)
    }

    fn described(&self, device: &Device, name: &str) -> Option<String> {
        let running = self.world.running.as_ref()?;
        let specification = &running.specification;
        match (&device.detail, name) {
            (DeviceDetail::Disk(disk), "pvid") => {
                Some(disk.pvid.map_or_else(|| "none".to_owned(), |pvid| format!("{pvid}0000000000000000")))
            }
            (DeviceDetail::Disk(disk), "unique_id") => Some(disk.udid.to_string()),
            (DeviceDetail::Disk(disk), "reserve_policy") => Some(disk.reserve_policy.word().to_owned()),
            (DeviceDetail::Disk(disk), "lun_id") => disk.fabric.map(|(_, lun)| format!("{:#x}", lun.0)),
            (DeviceDetail::Disk(disk), "ww_name" | "node_name") => {
                disk.fabric.map(|(port, _)| format!("{:#x}", port.0))
            }
            // The storage port's address on the fabric: the part of its name that differs from its neighbours'.
            (DeviceDetail::Disk(disk), "scsi_id") => {
                disk.fabric.map(|(port, _)| format!("{:#x}", 0x01_0000 | port.0 >> 8 & 0xFF00))
            }
            (DeviceDetail::VirtualTarget(target), "LogicalUnitAddr") => Some(format!("{:#018x}", target.lun)),
            (DeviceDetail::VirtualTarget(target), "aix_tdev") => Some(target.backing.to_string()),
            _ => match (device.kind, name) {
                (DeviceKind::Internet, "route") => {
                    self.world.names.gateway.map(|gateway| format!("net,-hopcount,0,,0,{gateway}"))
                }
                (DeviceKind::Internet, "hostname") => Some(self.world.own.hostname.clone()),
                (DeviceKind::System, "fwversion") => Some(specification.firmware.clone()),
                (DeviceKind::System, "modelname") => {
                    Some(format!("IBM,{}", specification.machine.type_model))
                }
                (DeviceKind::System, "systemid") => {
                    Some(format!("IBM,02{}", specification.machine.serial_number))
                }
                (DeviceKind::System, "realmem") => Some((specification.memory * 1_024).to_string()),
                (DeviceKind::Memory, "size" | "goodsize") => Some(specification.memory.to_string()),
                _ => None,
            },
        }
    }

    // Mappings.

    fn adapters(&self, select: &Select, kind: DeviceKind, wrong: ViosMessage) -> Answer<Vec<Arc<Device>>> {
        match select {
            Select::One(selector) => {
                let device = find(self.world, selector)?;
                self.visit(1);
                if device.kind == kind { Ok(vec![device]) } else { Err(refuse(wrong).with(&device.name)) }
            }
            Select::All => {
                let first = DeviceName::numbered(kind.prefix(), 0);
                let named = self.world.devices.from(&first);
                let named = named.take_while(|(name, _)| name.parts().0 == kind.prefix());
                let found: Vec<Arc<Device>> =
                    named.map(|(_, device)| device).filter(|device| device.kind == kind).cloned().collect();
                self.visit(found.len());
                Ok(found)
            }
        }
    }

    fn scsi_mappings(&self, query: &MappingQuery) -> Answer<Vec<ScsiMapping>> {
        let adapters =
            self.adapters(&query.adapters, DeviceKind::VirtualScsiServer, ViosMessage::NotScsiServer)?;
        let mut mappings = Vec::new();
        for adapter in adapters {
            let slot = adapter.virtual_slot();
            let client = slot.and_then(|slot| self.world.last_clients.get(&slot.0)).map(|client| client.id);
            if query.client.is_some() && query.client != client {
                continue;
            }
            let children = self.world.children_of(&adapter.name).iter();
            let mut targets: Vec<TargetMapping> = children
                .filter_map(|name| self.device(name))
                .filter_map(|device| self.target(device))
                .collect();
            targets.sort_by_key(|target| target.lun);
            if !query.kinds.is_empty() {
                targets.retain(|target| query.kinds.iter().any(|kind| kind.covers(target.backing.kind())));
                if targets.is_empty() {
                    continue;
                }
            }
            let (adapter, location) = (adapter.name.clone(), adapter.location.clone());
            mappings.push(ScsiMapping { adapter, location, client, targets });
        }
        Ok(mappings)
    }

    fn target(&self, device: &Device) -> Option<TargetMapping> {
        let target = decide::target_of(device)?;
        let backing_location = match &target.backing {
            Backing::Disk(name) | Backing::Drive(name) => {
                self.device(name).map(|device| device.location.clone()).unwrap_or_default()
            }
            _ => String::new(),
        };
        let mirrored = matches!(target.backing, Backing::Disk(_)).then_some(target.mirrored);
        Some(TargetMapping {
            name: device.name.clone(),
            state: device.state,
            lun: target.lun,
            backing: target.backing.clone(),
            backing_location,
            mirrored,
        })
    }

    fn fibre_channel_mappings(&self, query: &MappingQuery) -> Answer<Vec<FibreChannelMapping>> {
        let kind = DeviceKind::VirtualFibreChannelServer;
        let adapters = self.adapters(&query.adapters, kind, ViosMessage::NotFibreChannelServer)?;
        let mappings = adapters.iter().map(|adapter| self.fibre_channel_mapping(adapter));
        Ok(mappings.filter(|mapping| query.client.is_none() || mapping.client == query.client).collect())
    }

    fn fibre_channel_mapping(&self, adapter: &Device) -> FibreChannelMapping {
        let slot = adapter.virtual_slot();
        let port = decide::mapped_port(self.world, adapter);
        let port = port.map(|port| (port.name.clone(), port.location.clone()));
        let connected = slot.and_then(|slot| self.world.connected.get(&slot.0));
        let last = slot.and_then(|slot| self.world.last_clients.get(&slot.0));
        let logged_in = connected.is_some_and(|connected| !connected.logged_in.is_empty());
        let mut flags = 0;
        if port.is_none() {
            flags |= VirtualFibreChannelFlags::NOT_MAPPED;
        }
        if logged_in {
            flags |= VirtualFibreChannelFlags::LOGGED_IN | VirtualFibreChannelFlags::STRIP_MERGE;
        } else if port.is_some() || connected.is_some() {
            flags |= VirtualFibreChannelFlags::NOT_LOGGED;
        }
        let remote = slot.and_then(|slot| self.world.adapter_in(slot)).and_then(|adapter| adapter.remote);
        let known = last.filter(|_| connected.is_some());
        FibreChannelMapping {
            adapter: adapter.name.clone(),
            location: adapter.location.clone(),
            client: last.map(|client| client.id).or(remote),
            client_name: known.map(|client| client.name.clone()).unwrap_or_default(),
            client_operating_system: known.map(|client| client.operating_system.clone()).unwrap_or_default(),
            status: if logged_in { PortStatus::LoggedIn } else { PortStatus::NotLoggedIn },
            port,
            names_logged_in: connected.map(|connected| connected.logged_in.clone()).unwrap_or_default(),
            ports_logged_in: connected.map_or(0, |connected| connected.ports),
            flags: VirtualFibreChannelFlags(flags),
            client_device: known.map(|client| client.device.clone()).unwrap_or_default(),
            client_location: known
                .map(|client| location_of(&client.machine, client.id, client.slot))
                .unwrap_or_default(),
        }
    }

    fn npiv_ports(&self) -> Answer<Vec<NpivPort>> {
        let mut ports = Vec::new();
        for device in self.world.fibre_channel_ports() {
            self.visit(1);
            let DeviceDetail::FibreChannel(port) = &device.detail else { continue };
            if device.state != DeviceState::Available {
                continue;
            }
            let mapped = self.world.mapped.get(&device.name.to_string()).map_or(0, |adapters| adapters.len());
            let mapped = u16::try_from(mapped).unwrap_or(u16::MAX);
            ports.push(NpivPort {
                name: device.name.clone(),
                location: device.location.clone(),
                fabric: port.fabric,
                total_ports: port.total_ports,
                available_ports: port.total_ports.saturating_sub(mapped),
                total_names: port.total_names,
                // The port's own name is one, and each virtual port takes one.
                available_names: port.total_names.saturating_sub(1).saturating_sub(mapped),
            });
        }
        if ports.is_empty() { Err(refuse(ViosMessage::NoNpivPorts)) } else { Ok(ports) }
    }

    // Disks.

    fn disks(&self, select: &Select) -> Answer<Vec<Arc<Device>>> {
        match select {
            Select::One(selector) => {
                self.visit(1);
                Ok(vec![decide::disk_selected(self.world, selector)?])
            }
            Select::All => {
                self.visit(self.world.devices.len());
                let disks = self.world.devices.values().filter(|device| disk_of(device).is_some());
                let mut disks: Vec<Arc<Device>> = disks.cloned().collect();
                disks.sort_by(|one, other| one.name.cmp(&other.name));
                Ok(disks)
            }
        }
    }

    fn physical_volume(&self, device: &Arc<Device>) -> Option<PhysicalVolume> {
        let disk = disk_of(device)?;
        let volume_group = self.world.group_of_disk(device).cloned();
        let mapped = !self.world.targets_on(&Backing::Disk(device.name.clone())).is_empty();
        Some(PhysicalVolume {
            name: device.name.clone(),
            pvid: disk.pvid,
            active: volume_group.is_some() && device.state == DeviceState::Available,
            used: mapped || volume_group.is_some(),
            volume_group,
            megabytes: disk.megabytes,
            udid: disk.udid.clone(),
            location: device.location.clone(),
        })
    }

    fn paths(&self, disk: &Arc<Device>) -> Vec<DiskPath> {
        let paths = self.world.paths.get(&disk.name);
        let defined = disk.state == DeviceState::Defined;
        paths
            .into_iter()
            .flat_map(|paths| paths.iter())
            .map(|path| DiskPath {
                disk: disk.name.clone(),
                parent: path.parent.clone(),
                number: path.number,
                connection: path.connection.clone(),
                state: match path.state {
                    PathState::Missing => PathState::Missing,
                    _ if defined => PathState::Defined,
                    state => state,
                },
            })
            .collect()
    }

    // Volume groups.

    fn group(&self, name: &str) -> Answer<&Arc<Group>> {
        let unknown = || refuse(ViosMessage::VolumeGroupUnknown).with(name);
        self.world.groups.get(&name.to_owned()).ok_or_else(unknown)
    }

    fn volume_groups(&self, name: Option<&str>) -> Answer<Vec<VolumeGroup>> {
        match name {
            Some(name) => Ok(vec![self.volume_group(self.group(name)?)]),
            None => {
                // The root volume group was there first.
                let mut groups: Vec<VolumeGroup> =
                    self.world.groups.values().map(|group| self.volume_group(group)).collect();
                groups.sort_by_key(|group| group.name != crate::settings::ROOT_GROUP);
                Ok(groups)
            }
        }
    }

    fn volume_group(&self, group: &Arc<Group>) -> VolumeGroup {
        self.visit(1);
        let disks = group.disks.iter().map(|disk| {
            let name = self.world.identifiers.get(&disk.pvid.0).unwrap_or(&disk.name);
            let device = self.world.devices.get(name);
            VolumeGroupDisk {
                name: name.clone(),
                pvid: disk.pvid,
                total: disk.total,
                free: disk.free_count(),
                active: device.is_some_and(|device| device.state == DeviceState::Available),
            }
        });
        let disks: Vec<VolumeGroupDisk> = disks.collect();
        VolumeGroup {
            name: group.name.clone(),
            identifier: group.identifier,
            partition_megabytes: group.partition_megabytes,
            active: disks.iter().any(|disk| disk.active),
            disks,
            logical_volumes: group.volumes.clone(),
            default_pool: self.world.own.default_pool == group.name,
        }
    }

    fn logical_volume(&self, volume: &Arc<Volume>) -> LogicalVolume {
        self.visit(1);
        let targets = self.world.targets_on(&Backing::LogicalVolume(volume.name.clone()));
        let open = volume.open || targets.iter().any(|target| (self.is_open)(target));
        LogicalVolume {
            name: volume.name.clone(),
            volume_group: volume.group.clone(),
            kind: volume.kind.clone(),
            partitions: volume.partitions(),
            partition_megabytes: volume.partition_megabytes,
            extents: volume.extents.clone(),
            state: if open { LogicalVolumeState::Open } else { LogicalVolumeState::Closed },
            mount_point: volume.mount_point.clone(),
            number: volume.number,
        }
    }

    fn volumes_on(&self, selector: &DeviceSelector) -> Answer<Vec<LogicalVolume>> {
        let disk = decide::disk_selected(self.world, selector)?;
        let not_member = || refuse(ViosMessage::NotInVolumeGroup);
        let group = self.world.group_of_disk(&disk).ok_or_else(not_member)?;
        let pvid = disk_of(&disk).and_then(|disk| disk.pvid).ok_or_else(not_member)?;
        let volumes = self.group(group)?.volumes.iter().filter_map(|name| self.world.volumes.get(name));
        let volumes = volumes.filter(|volume| volume.extents.iter().any(|extent| extent.disk == pvid));
        Ok(volumes.map(|volume| self.logical_volume(volume)).collect())
    }

    // Pools.

    fn storage_pools(&self, name: Option<&str>) -> Answer<Vec<StoragePool>> {
        let groups = self.world.groups.values().map(|group| self.group_pool(group));
        let files = self.world.pools.values().map(|pool| self.file_pool(pool));
        match name {
            None => {
                let mut pools: Vec<StoragePool> = groups.chain(files).collect();
                pools.sort_by_key(|pool| (pool.name != crate::settings::ROOT_GROUP, pool.parent.is_some()));
                Ok(pools)
            }
            Some(name) => {
                let key = name.to_owned();
                let group = self.world.groups.get(&key).map(|group| self.group_pool(group));
                let pool = group.or_else(|| self.world.pools.get(&key).map(|pool| self.file_pool(pool)));
                let unknown = || refuse(ViosMessage::PoolUnknown).with(name);
                Ok(vec![pool.ok_or_else(unknown)?])
            }
        }
    }

    fn group_pool(&self, group: &Group) -> StoragePool {
        let used = group.volumes.iter().filter_map(|name| self.world.volumes.get(name));
        let devices = used.filter(|volume| !volume.open && volume.kind != "boot").count();
        StoragePool {
            name: group.name.clone(),
            kind: PoolKind::LogicalVolume,
            megabytes: u64::from(group.total()) * group.partition_megabytes,
            free_megabytes: u64::from(group.free()) * group.partition_megabytes,
            allocation_megabytes: group.partition_megabytes,
            backing_devices: u32::try_from(devices).unwrap_or(u32::MAX),
            default: self.world.own.default_pool == group.name,
            parent: None,
        }
    }

    fn file_pool(&self, pool: &FilePool) -> StoragePool {
        let megabytes = decide::usable_of(self.world, &pool.volume);
        let volume = self.world.volumes.get(&pool.volume);
        StoragePool {
            name: pool.name.clone(),
            kind: PoolKind::File,
            megabytes,
            free_megabytes: megabytes.saturating_sub(pool.used),
            allocation_megabytes: volume.map_or(0, |volume| volume.partition_megabytes),
            backing_devices: u32::try_from(pool.files.len()).unwrap_or(u32::MAX),
            default: self.world.own.default_pool == pool.name,
            parent: Some(pool.parent.clone()),
        }
    }

    fn backing_devices(&self, pool: Option<&str>) -> Answer<Vec<BackingFile>> {
        let name = pool.map_or_else(|| self.world.own.default_pool.clone(), str::to_owned);
        if let Some(pool) = self.world.pools.get(&name) {
            let files = pool.files.iter().filter_map(|file| {
                let file = self.world.files.get(&(name.clone(), file.clone()))?;
                let backing = Backing::File { pool: name.clone(), name: file.name.clone() };
                Some(self.backing_file(&name, &file.name, file.megabytes, &backing))
            });
            return Ok(files.collect());
        }
        let unknown = || refuse(ViosMessage::PoolUnknown).with(&name);
        let group = self.world.groups.get(&name).ok_or_else(unknown)?;
        let volumes = group.volumes.iter().filter_map(|volume| self.world.volumes.get(volume));
        let volumes = volumes.filter(|volume| !volume.open && volume.kind != "boot");
        Ok(volumes
            .map(|volume| {
                let backing = Backing::LogicalVolume(volume.name.clone());
                self.backing_file(&name, &volume.name, volume.megabytes(), &backing)
            })
            .collect())
    }

    fn backing_file(&self, pool: &str, name: &str, megabytes: u64, backing: &Backing) -> BackingFile {
        let target = self.world.targets_on(backing).first();
        let target = target.and_then(|name| self.device(name));
        let target = target.and_then(|device| Some((device.name.clone(), device.parent.clone()?)));
        BackingFile { name: name.to_owned(), pool: pool.to_owned(), megabytes, target }
    }

    fn repository(&self) -> Answer<Repository> {
        let none = || refuse(ViosMessage::NoRepository);
        let library = self.world.library.as_ref().ok_or_else(none)?;
        let group = self.group(&library.parent)?;
        let megabytes = decide::usable_of(self.world, decide::LIBRARY_VOLUME);
        let media = self.world.media.values().map(|medium| {
            let drives = self.world.targets_on(&Backing::Medium(Some(medium.name.clone()))).to_vec();
            Medium { name: medium.name.clone(), bytes: medium.bytes, access: medium.access, drives }
        });
        let media: Vec<Medium> = media.collect();
        Ok(Repository {
            parent: library.parent.clone(),
            megabytes,
            free_megabytes: megabytes.saturating_sub(library.used_bytes.div_ceil(1 << 20)),
            parent_megabytes: u64::from(group.total()) * group.partition_megabytes,
            parent_free_megabytes: u64::from(group.free()) * group.partition_megabytes,
            media,
        })
    }

    fn errors(&self, query: &ErrorQuery) -> Vec<varan_model::vios::ErrorEntry> {
        let entries = self.world.errors.values().rev();
        entries
            .filter(|entry| {
                query.identifiers.is_empty() || query.identifiers.contains(&entry.template.row().identifier)
            })
            .filter(|entry| query.sequence.is_none_or(|sequence| entry.sequence == sequence))
            .filter(|entry| query.resource.as_ref().is_none_or(|resource| entry.resource == *resource))
            .map(|entry| (**entry).clone())
            .collect()
    }
}

/// Listings: by class in the order of captures, then by name.
fn order_of(device: &Device) -> (u8, DeviceName) {
    let class = match device.kind.class() {
        _ if device.kind == DeviceKind::SharedEthernetAdapter => 12,
        DeviceClass::Adapter => 0,
        DeviceClass::Disk => 1,
        DeviceClass::Optical => 2,
        DeviceClass::Driver => 3,
        DeviceClass::Sas => 4,
        DeviceClass::Interface => 5,
        DeviceClass::Internet => 6,
        DeviceClass::Memory => 7,
        DeviceClass::Processor => 8,
        DeviceClass::Bus => 9,
        DeviceClass::System => 10,
        DeviceClass::VirtualTarget => 11,
        DeviceClass::Terminal => 13,
        DeviceClass::Pseudo if device.kind == DeviceKind::VirtualBlockStorage => 0,
        DeviceClass::Pseudo => 14,
    };
    (class, device.name.clone())
}

fn range(values: &Values) -> Vec<String> {
    match values {
        Values::Text => Vec::new(),
        Values::OneOf(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Values::Number(from, to, step) => vec![format!("{from}...{to} (+{step})")],
        Values::Hexadecimal(from, to) => vec![format!("{from:#x}...{to:#x} (+0x1)")],
    }
}
