//! Virtual SCSI targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varan_contract::vios::{DeviceOutcome, DeviceSelector};
use varan_model::ids::PartitionId;
use varan_model::vios::device::{DEVICE_NAME_MAX, VirtualTarget};
use varan_model::vios::{
    Backing, Device, DeviceDetail, DeviceKind, DeviceName, DeviceState, ReservePolicy, ViosMessage,
    ViosRefusal,
};

use super::{Draft, Effect, Facts, Prepare, Refused, device, disk_of, find, refuse, volume};
use crate::world::Snapshot;

/// Targets of one adapter.
const TARGETS_MAX: u64 = 256;

/// How something is mapped.
pub(super) struct Mapping<'a> {
    pub(super) target: Option<&'a str>,
    pub(super) force: bool,
    pub(super) mirrored: bool,
}

/// How a mapping is removed.
pub(super) struct Unmapping {
    pub(super) by_backing: bool,
    pub(super) force: bool,
    pub(super) remove_logical_volume: bool,
}

pub(crate) fn target_of(device: &Device) -> Option<&VirtualTarget> {
    match &device.detail {
        DeviceDetail::VirtualTarget(target) => Some(target),
        _ => None,
    }
}

/// The server adapter that a request names.
pub(super) fn scsi_server(world: &Snapshot, selector: &DeviceSelector) -> Result<Arc<Device>, ViosRefusal> {
    let adapter = find(world, selector)?;
    if adapter.kind != DeviceKind::VirtualScsiServer {
        return Err(refuse(ViosMessage::NotScsiServer).with(&adapter.name));
    }
    Ok(adapter)
}

fn available(device: &Device) -> Refused {
    match device.state {
        DeviceState::Available => Ok(()),
        DeviceState::Defined => Err(refuse(ViosMessage::DeviceNotAvailable).with(&device.name)),
    }
}

/// The logical unit number of the target of that rank, from 1: `0x81`, `0x82`, ... in the first byte, then with another
/// bus in the second.
fn logical_unit_number(rank: u64) -> u64 {
    let (bus, target) = ((rank - 1) / 127, (rank - 1) % 127 + 1);
    (0x80 + target) << 56 | bus << 48
}

/// What a name means as a backing device: a disk or drive, a logical volume, a file of the default pool.
fn backing_of(world: &Snapshot, selector: &DeviceSelector) -> Result<Backing, ViosRefusal> {
    if let DeviceSelector::Name(name) = selector {
        if world.volumes.contains(name) && world.device(name).is_none() {
            return Ok(Backing::LogicalVolume(name.clone()));
        }
        let pool = world.own.default_pool.clone();
        if world.files.contains(&(pool.clone(), name.clone())) && world.device(name).is_none() {
            return Ok(Backing::File { pool, name: name.clone() });
        }
    }
    let device = find(world, selector)?;
    match device.kind {
        DeviceKind::FibreChannelDisk | DeviceKind::SasDisk => Ok(Backing::Disk(device.name.clone())),
        DeviceKind::OpticalDrive => Ok(Backing::Drive(device.name.clone())),
        _ => Err(refuse(ViosMessage::BackingInvalid).with(&device.name)),
    }
}

pub(super) fn map(
    draft: &mut Draft,
    backing: &DeviceSelector,
    adapter: &DeviceSelector,
    mapping: Mapping<'_>,
) -> Refused {
    let backing = backing_of(&draft.world, backing)?;
    map_backing(draft, backing, adapter, mapping)
}

/// The name of a backing device in refusals.
pub(super) fn name_of(backing: &Backing) -> String {
    match backing {
        Backing::File { name, .. } => name.clone(),
        other => other.to_string(),
    }
}

pub(super) fn map_backing(
    draft: &mut Draft,
    backing: Backing,
    adapter: &DeviceSelector,
    mapping: Mapping<'_>,
) -> Refused {
    let adapter = scsi_server(&draft.world, adapter)?;
    available(&adapter)?;
    let name = name_of(&backing);
    if !mapping.force && !draft.world.targets_on(&backing).is_empty() {
        return Err(refuse(ViosMessage::BackingInUse).with(name));
    }
    let kind = match &backing {
        Backing::Disk(disk) => {
            reserve_for_target(draft, disk)?;
            DeviceKind::TargetDisk
        }
        Backing::LogicalVolume(volume) => {
            let unknown = || refuse(ViosMessage::LogicalVolumeUnknown).with(volume);
            let volume = draft.world.volumes.get(volume).ok_or_else(unknown)?;
            if volume.open || !volume.mount_point.is_empty() {
                return Err(refuse(ViosMessage::BackingInvalid).with(name));
            }
            DeviceKind::TargetLogicalVolume
        }
        Backing::File { .. } => DeviceKind::TargetFile,
        Backing::Drive(_) => DeviceKind::TargetOptical,
        Backing::Medium(_) | Backing::Unit { .. } => {
            return Err(refuse(ViosMessage::BackingInvalid).with(name));
        }
    };
    make(draft, &adapter, kind, backing, &mapping)
}

/// A disk that a target is to use: available, in no volume group, reserved by its policy where nobody did it before.
fn reserve_for_target(draft: &mut Draft, disk: &DeviceName) -> Refused {
    let unknown = || refuse(ViosMessage::DeviceUnknown).with(disk);
    let device = draft.world.devices.get(disk).cloned().ok_or_else(unknown)?;
    available(&device)?;
    if let Some(group) = draft.world.group_of_disk(&device) {
        return Err(refuse(ViosMessage::DiskInVolumeGroup).with(disk).with(group));
    }
    reserve(draft, &device);
    Ok(())
}

/// Has a disk of the SAN reserved when it is opened for the first time.
pub(super) fn reserve(draft: &mut Draft, device: &Device) {
    let policy = disk_of(device).map(|disk| disk.reserve_policy);
    let first = draft.world.targets_on(&Backing::Disk(device.name.clone())).is_empty();
    if device.kind == DeviceKind::FibreChannelDisk
        && policy.is_some_and(|policy| policy != ReservePolicy::None)
        && first
    {
        draft.prepare.push(Prepare::Reserve { disk: device.name.clone() });
    }
}

pub(super) fn map_optical(draft: &mut Draft, adapter: &DeviceSelector, target: Option<&str>) -> Refused {
    let adapter = scsi_server(&draft.world, adapter)?;
    available(&adapter)?;
    let mapping = Mapping { target, force: false, mirrored: false };
    make(draft, &adapter, DeviceKind::TargetFileOptical, Backing::Medium(None), &mapping)
}

/// A name that a user gives a target.
pub(super) fn new_name(world: &Snapshot, name: &str) -> Result<DeviceName, ViosRefusal> {
    let invalid = || refuse(ViosMessage::DeviceNameInvalid).with(name);
    if name.len() > DEVICE_NAME_MAX {
        return Err(invalid());
    }
    let parsed: DeviceName = name.parse().map_err(|_| invalid())?;
    if world.devices.contains(&parsed) || world.volumes.contains(&name.to_owned()) {
        return Err(refuse(ViosMessage::DeviceNameTaken).with(name));
    }
    Ok(parsed)
}

fn make(
    draft: &mut Draft,
    adapter: &Device,
    kind: DeviceKind,
    backing: Backing,
    mapping: &Mapping<'_>,
) -> Refused {
    let name = match mapping.target {
        Some(name) => new_name(&draft.world, name)?,
        None => draft.world.free_name(kind.prefix(), &BTreeSet::new()),
    };
    let taken: BTreeSet<u64> = draft
        .world
        .children_of(&adapter.name)
        .iter()
        .filter_map(|child| {
            draft.world.devices.get(child).and_then(|child| target_of(child)).map(|target| target.lun)
        })
        .collect();
    let free = (1..=TARGETS_MAX).find(|rank| !taken.contains(&logical_unit_number(*rank)));
    let rank = free.ok_or_else(|| refuse(ViosMessage::TargetsExhausted).with(&adapter.name))?;
    let mut attributes = BTreeMap::new();
    if mapping.mirrored {
        attributes.insert("mirrored".to_owned(), "true".to_owned());
    }
    let target = VirtualTarget {
        lun: logical_unit_number(rank),
        backing,
        mirrored: mapping.mirrored,
        last_client: PartitionId(0),
    };
    let device = Device {
        name: name.clone(),
        kind,
        state: DeviceState::Available,
        location: format!("{}-L{rank}", adapter.location),
        parent: Some(adapter.name.clone()),
        description: None,
        attributes,
        pending: BTreeMap::new(),
        detail: DeviceDetail::VirtualTarget(target),
    };
    draft.put_device(device);
    draft.outcome(&name, DeviceOutcome::Available);
    Ok(())
}

/// Whether a target can serve: its adapter is there, and what backs it.
pub(super) fn is_usable(world: &Snapshot, device: &Device, facts: &Facts<'_>) -> bool {
    let Some(target) = target_of(device) else { return false };
    let there = |name: &DeviceName| {
        world.devices.get(name).is_some_and(|device| device.state == DeviceState::Available)
    };
    let backed = match &target.backing {
        Backing::Disk(name) => {
            let disk = world.devices.get(name).and_then(|device| disk_of(device));
            let conflicts = facts.found.as_ref().map(|found| &found.conflicts);
            there(name)
                && disk.is_some_and(|disk| !conflicts.is_some_and(|all| all.contains(&disk.udid.to_string())))
        }
        Backing::Drive(name) => there(name),
        Backing::LogicalVolume(name) => world.volumes.contains(name),
        Backing::File { pool, name } => world.files.contains(&(pool.clone(), name.clone())),
        Backing::Medium(_) => true,
        Backing::Unit { .. } => false,
    };
    backed && device.parent.as_ref().is_some_and(there)
}

/// Removes a target, or only unconfigures it.
pub(super) fn remove(draft: &mut Draft, device: &Device, keep: bool, facts: &Facts<'_>) -> Refused {
    if (facts.is_open)(&device.name) {
        return Err(refuse(ViosMessage::TargetBusy).with(&device.name));
    }
    draft.effects.push(Effect::Close(vec![device.name.clone()]));
    if keep {
        if device.state == DeviceState::Available {
            draft.put_device(Device { state: DeviceState::Defined, ..device.clone() });
        }
        draft.outcome(&device.name, DeviceOutcome::Defined);
        return Ok(());
    }
    draft.change(crate::world::Change::RemoveDevice(device.name.clone()));
    if let Some(Backing::Disk(disk)) = target_of(device).map(|target| &target.backing) {
        device::release_if_unused(draft, disk);
    }
    draft.outcome(&device.name, DeviceOutcome::Deleted);
    Ok(())
}

pub(super) fn unmap(
    draft: &mut Draft,
    selector: &DeviceSelector,
    removal: Unmapping,
    facts: &Facts<'_>,
) -> Refused {
    let targets: Vec<DeviceName> = if removal.by_backing {
        let backing = backing_of(&draft.world, selector)?;
        let targets = draft.world.targets_on(&backing).to_vec();
        if targets.is_empty() {
            return Err(refuse(ViosMessage::TargetUnknown).with(name_of(&backing)));
        }
        if targets.len() > 1 && !removal.force {
            return Err(refuse(ViosMessage::SeveralTargets).with(name_of(&backing)));
        }
        targets
    } else {
        let device = find(&draft.world, selector)?;
        if !device.kind.is_target() {
            return Err(refuse(ViosMessage::TargetUnknown).with(&device.name));
        }
        vec![device.name.clone()]
    };
    let mut volumes = Vec::new();
    for name in &targets {
        let Some(device) = draft.world.devices.get(name).cloned() else { continue };
        match target_of(&device).map(|target| &target.backing) {
            Some(Backing::LogicalVolume(volume)) => volumes.push(volume.clone()),
            Some(other) if removal.remove_logical_volume => {
                return Err(refuse(ViosMessage::BackingInvalid).with(name_of(other)));
            }
            _ => {}
        }
        remove(draft, &device, false, facts)?;
    }
    if removal.remove_logical_volume {
        volumes.dedup();
        volume::remove_all(draft, &volumes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_unit_numbers_begin_as_captured_and_are_unique() {
        assert_eq!(logical_unit_number(1), 0x8100_0000_0000_0000);
        assert_eq!(logical_unit_number(2), 0x8200_0000_0000_0000);
        assert_eq!(logical_unit_number(127), 0xFF00_0000_0000_0000);
        assert_eq!(logical_unit_number(128), 0x8101_0000_0000_0000);
        let all: BTreeSet<u64> = (1..=TARGETS_MAX).map(logical_unit_number).collect();
        assert_eq!(all.len() as u64, TARGETS_MAX);
    }
}
