//! Storage pools: volume groups as pools of logical volumes, and pools of files in logical volumes of their own.

use std::sync::Arc;

use varan_contract::vios::{BackingRequest, BackingSelector, LogicalVolumeSize};
use varan_model::vios::{Backing, DeviceName, ViosMessage, ViosRefusal};

use super::target::{Mapping, map_backing, target_of};
use super::{Draft, Facts, POOLS, Prepare, Refused, find, refuse, target, volume};
use crate::settings::ROOT_GROUP;
use crate::world::{Change, FilePool, PoolFile, Snapshot};

/// Longest name of a file that backs a device.
const FILE_NAME_MAX: usize = 38;
/// Longest name of a pool.
const POOL_NAME_MAX: usize = 15;

/// MB that a file system in a logical volume of so many MB has for files: its log and maps take the rest. With partitions of
/// 1 GB a repository has 1015 MB (captured).
pub(crate) fn usable_megabytes(volume_megabytes: u64) -> u64 {
    volume_megabytes - (volume_megabytes * 9).div_ceil(1_024).min(volume_megabytes)
}

pub(super) fn pool_name(world: &Snapshot, name: Option<&str>) -> String {
    name.map_or_else(|| world.own.default_pool.clone(), str::to_owned)
}

fn unknown(name: &str) -> ViosRefusal {
    refuse(ViosMessage::PoolUnknown).with(name)
}

pub(super) fn file_pool(world: &Snapshot, name: &str) -> Result<Arc<FilePool>, ViosRefusal> {
    world.pools.get(&name.to_owned()).cloned().ok_or_else(|| unknown(name))
}

pub(crate) fn usable_of(world: &Snapshot, volume: &str) -> u64 {
    world.volumes.get(&volume.to_owned()).map_or(0, |volume| usable_megabytes(volume.megabytes()))
}

/// A pool of logical volumes; one of files is the wrong kind.
fn group_of_pool(world: &Snapshot, name: &str) -> Result<(), ViosRefusal> {
    if world.groups.contains(&name.to_owned()) {
        return Ok(());
    }
    if world.pools.contains(&name.to_owned()) {
        return Err(refuse(ViosMessage::PoolWrongKind).with(name));
    }
    Err(unknown(name))
}

pub(super) fn check_group_pool(world: &Snapshot, name: &str) -> Refused {
    group_of_pool(world, name)
}

pub(super) fn create(draft: &mut Draft, name: &str, parent: Option<&str>, megabytes: u64) -> Refused {
    let parent = pool_name(&draft.world, parent);
    group_of_pool(&draft.world, &parent)?;
    let valid = is_file_name(name) && name.len() <= POOL_NAME_MAX;
    if !valid {
        return Err(refuse(ViosMessage::ArgumentInvalid).with(name));
    }
    let key = name.to_owned();
    if draft.world.pools.contains(&key) || draft.world.groups.contains(&key) {
        return Err(refuse(ViosMessage::PoolExists).with(name));
    }
    volume::check_name(&draft.world, name)?;
    add_file_system(draft, &parent, name, megabytes, format!("/{POOLS}/{name}"))?;
    let volume = name.to_owned();
    let pool = FilePool { name: key.clone(), parent, volume, files: Vec::new(), used: 0 };
    draft.change(Change::PutPool(Box::new(pool)));
    draft.done.name = Some(key);
    Ok(())
}

/// Makes a logical volume with a file system in it.
pub(super) fn add_file_system(
    draft: &mut Draft,
    parent: &str,
    name: &str,
    megabytes: u64,
    mount_point: String,
) -> Refused {
    if megabytes == 0 {
        return Err(refuse(ViosMessage::ArgumentInvalid).with(megabytes));
    }
    let size = volume::group(&draft.world, parent)?.partition_megabytes;
    let count = u32::try_from(megabytes.div_ceil(size)).unwrap_or(u32::MAX);
    let new = volume::NewVolume { name, kind: "jfs2", mount_point, open: true, count, disks: &[] };
    volume::add(draft, parent, new)
}

pub(super) fn grow(draft: &mut Draft, name: &str, megabytes: u64) -> Refused {
    let pool = match file_pool(&draft.world, name) {
        Ok(pool) => pool,
        Err(_) => {
            group_of_pool(&draft.world, name)?;
            return Err(refuse(ViosMessage::PoolWrongKind).with(name));
        }
    };
    volume::extend(draft, &pool.volume, LogicalVolumeSize::Megabytes(megabytes), &[])?;
    draft.done.name = Some(name.to_owned());
    Ok(())
}

pub(super) fn default_to(draft: &mut Draft, name: &str) {
    let mut own = (*draft.world.own).clone();
    own.default_pool = name.to_owned();
    draft.change(Change::Own(Box::new(own)));
}

pub(super) fn set_default(draft: &mut Draft, name: &str) -> Refused {
    let key = name.to_owned();
    if !draft.world.groups.contains(&key) && !draft.world.pools.contains(&key) {
        return Err(unknown(name));
    }
    default_to(draft, name);
    draft.done.name = Some(key);
    Ok(())
}

pub(super) fn remove(draft: &mut Draft, name: &str, force: bool, facts: &Facts<'_>) -> Refused {
    if let Ok(pool) = file_pool(&draft.world, name) {
        if !pool.files.is_empty() && !force {
            return Err(refuse(ViosMessage::PoolNotEmpty).with(name));
        }
        for file in &pool.files {
            remove_file(draft, name, file, facts)?;
        }
        draft.change(Change::RemovePool(name.to_owned()));
        let volume = volume::logical_volume(&draft.world, &pool.volume)?;
        volume::drop_volume(draft, &volume);
        draft.done.devices.clear();
    } else {
        group_of_pool(&draft.world, name)?;
        if name == ROOT_GROUP {
            return Err(refuse(ViosMessage::DeviceRequired).with(name));
        }
        let group = volume::group(&draft.world, name)?;
        if !group.volumes.is_empty() && !force {
            return Err(refuse(ViosMessage::PoolNotEmpty).with(name));
        }
        let in_file_pool = |volume: &String| draft.world.pools.values().any(|pool| pool.volume == *volume);
        let library = draft.world.library.as_ref().is_some_and(|library| library.parent == name);
        if library || group.volumes.iter().any(in_file_pool) {
            return Err(refuse(ViosMessage::PoolNotEmpty).with(name));
        }
        let disks: Vec<String> = group.disks.iter().map(|disk| disk.name.to_string()).collect();
        for volume in &group.volumes {
            unmap_all(draft, &Backing::LogicalVolume(volume.clone()), facts)?;
        }
        volume::remove_all(draft, &group.volumes)?;
        volume::reduce_group(draft, name, &disks, true)?;
        draft.done.devices.clear();
    }
    if draft.world.own.default_pool == name {
        default_to(draft, ROOT_GROUP);
    }
    draft.done.name = Some(name.to_owned());
    Ok(())
}

fn is_file_name(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte);
    !name.is_empty() && name.bytes().all(usual) && !name.starts_with(['.', '-'])
}

fn check_file_name(name: &str) -> Refused {
    if name.len() > FILE_NAME_MAX {
        return Err(refuse(ViosMessage::BackingNameTooLong));
    }
    if is_file_name(name) { Ok(()) } else { Err(refuse(ViosMessage::ArgumentInvalid).with(name)) }
}

/// Removes every target over a backing device.
fn unmap_all(draft: &mut Draft, backing: &Backing, facts: &Facts<'_>) -> Refused {
    for name in draft.world.targets_on(backing).to_vec() {
        if let Some(device) = draft.world.devices.get(&name).cloned() {
            target::remove(draft, &device, false, facts)?;
        }
    }
    Ok(())
}

pub(super) fn create_backing(draft: &mut Draft, request: &BackingRequest, facts: &Facts<'_>) -> Refused {
    let pool = pool_name(&draft.world, request.pool.as_deref());
    let backing = if draft.world.pools.contains(&pool) {
        let missing = || refuse(ViosMessage::OptionMissing).with("-bd");
        let name = request.name.as_deref().ok_or_else(missing)?;
        if let Some(megabytes) = request.megabytes {
            create_file(draft, &pool, name, megabytes, facts)?;
        } else if !draft.world.files.contains(&(pool.clone(), name.to_owned())) {
            return Err(refuse(ViosMessage::BackingNotInPool).with(name).with(&pool));
        }
        Backing::File { pool: pool.clone(), name: name.to_owned() }
    } else {
        group_of_pool(&draft.world, &pool)?;
        let name = match (request.megabytes, request.name.as_deref()) {
            (Some(megabytes), name) => {
                if let Some(name) = name.filter(|name| draft.world.volumes.contains(&(*name).to_owned())) {
                    return Err(refuse(ViosMessage::BackingExists).with(name));
                }
                volume::create(draft, &pool, name, "jfs", LogicalVolumeSize::Megabytes(megabytes), &[])?;
                draft.done.name.clone().unwrap_or_default()
            }
            (None, Some(name)) => {
                let volume = draft.world.volumes.get(&name.to_owned());
                if volume.is_none_or(|volume| volume.group != pool) {
                    return Err(refuse(ViosMessage::BackingNotInPool).with(name).with(&pool));
                }
                name.to_owned()
            }
            (None, None) => return Err(refuse(ViosMessage::OptionMissing).with("-bd")),
        };
        Backing::LogicalVolume(name)
    };
    draft.done.name = Some(target::name_of(&backing));
    if let Some(adapter) = &request.adapter {
        let mapping = Mapping { target: request.target.as_deref(), force: false, mirrored: false };
        map_backing(draft, backing, adapter, mapping)?;
    }
    Ok(())
}

/// Path of a pool's file below `root`.
pub(crate) fn file_path(pool: &str, name: &str) -> String {
    format!("{POOLS}/{pool}/{name}")
}

fn create_file(draft: &mut Draft, pool: &str, name: &str, megabytes: u64, facts: &Facts<'_>) -> Refused {
    check_file_name(name)?;
    let key = (pool.to_owned(), name.to_owned());
    // A file that somebody put there is not overwritten.
    if draft.world.files.contains(&key) || facts.files.contains_key(&file_path(pool, name)) {
        return Err(refuse(ViosMessage::BackingExists).with(name));
    }
    if megabytes == 0 {
        return Err(refuse(ViosMessage::ArgumentInvalid).with(megabytes));
    }
    let mut next = (*file_pool(&draft.world, pool)?).clone();
    if next.used.saturating_add(megabytes) > usable_of(&draft.world, &next.volume) {
        return Err(refuse(ViosMessage::NoSpace));
    }
    next.used += megabytes;
    next.files.push(name.to_owned());
    next.files.sort();
    let staged = format!("{:032x}", facts.random);
    let bytes = megabytes.checked_mul(1 << 20).ok_or_else(|| refuse(ViosMessage::NoSpace))?;
    draft.prepare.push(Prepare::StageZeros { staged: staged.clone(), bytes });
    draft.change(Change::PutPool(Box::new(next)));
    let file = PoolFile { pool: key.0, name: key.1, megabytes, staged: Some(staged) };
    draft.change(Change::PutFile(Box::new(file)));
    draft.effect(super::Effect::Files);
    Ok(())
}

fn remove_file(draft: &mut Draft, pool: &str, name: &str, facts: &Facts<'_>) -> Refused {
    let backing = Backing::File { pool: pool.to_owned(), name: name.to_owned() };
    unmap_all(draft, &backing, facts)?;
    let key = (pool.to_owned(), name.to_owned());
    let missing = || refuse(ViosMessage::BackingNotInPool).with(name).with(pool);
    let file = draft.world.files.get(&key).cloned().ok_or_else(missing)?;
    let mut next = (*file_pool(&draft.world, pool)?).clone();
    next.used -= file.megabytes.min(next.used);
    next.files.retain(|other| other != name);
    draft.change(Change::PutPool(Box::new(next)));
    draft.change(Change::RemoveFile(key.0, key.1));
    draft.remove_file(file_path(pool, name), facts);
    Ok(())
}

pub(super) fn grow_backing(
    draft: &mut Draft,
    pool: Option<&str>,
    name: &str,
    megabytes: u64,
    facts: &Facts<'_>,
) -> Refused {
    let pool = pool_name(&draft.world, pool);
    let missing = || refuse(ViosMessage::BackingNotInPool).with(name).with(&pool);
    draft.done.name = Some(name.to_owned());
    if draft.world.pools.contains(&pool) {
        let mut file =
            (**draft.world.files.get(&(pool.clone(), name.to_owned())).ok_or_else(missing)?).clone();
        let mut next = (*file_pool(&draft.world, &pool)?).clone();
        if next.used.saturating_add(megabytes) > usable_of(&draft.world, &next.volume) {
            return Err(refuse(ViosMessage::NoSpace));
        }
        let before = file.megabytes << 20;
        next.used += megabytes;
        file.megabytes += megabytes;
        let path = file_path(&pool, name);
        if !facts.files.contains_key(&path) {
            return Err(refuse(ViosMessage::FileUnreadable).with(path));
        }
        draft.prepare.push(Prepare::Grow { path, bytes: file.megabytes << 20, before });
        draft.change(Change::PutPool(Box::new(next)));
        draft.change(Change::PutFile(Box::new(file)));
        return Ok(());
    }
    group_of_pool(&draft.world, &pool)?;
    let volume = draft.world.volumes.get(&name.to_owned());
    if volume.is_none_or(|volume| volume.group != pool) {
        return Err(missing());
    }
    volume::extend(draft, name, LogicalVolumeSize::Megabytes(megabytes), &[])
}

pub(super) fn remove_backing(
    draft: &mut Draft,
    pool: Option<&str>,
    selector: &BackingSelector,
    keep: bool,
    facts: &Facts<'_>,
) -> Refused {
    let backing = match selector {
        BackingSelector::Target(name) => {
            let device = find(&draft.world, &varan_contract::vios::DeviceSelector::Name(name.clone()))?;
            let not_target = || refuse(ViosMessage::TargetUnknown).with(name);
            let backing = target_of(&device).ok_or_else(not_target)?.backing.clone();
            if keep {
                target::remove(draft, &device, false, facts)?;
                draft.done.name = Some(target::name_of(&backing));
                return Ok(());
            }
            backing
        }
        BackingSelector::Name(name) => {
            let pool = pool_name(&draft.world, pool);
            let missing = || refuse(ViosMessage::BackingNotInPool).with(name).with(&pool);
            if draft.world.pools.contains(&pool) {
                if !draft.world.files.contains(&(pool.clone(), name.clone())) {
                    return Err(missing());
                }
                Backing::File { pool, name: name.clone() }
            } else {
                group_of_pool(&draft.world, &pool)?;
                let volume = draft.world.volumes.get(name);
                if volume.is_none_or(|volume| volume.group != pool) {
                    return Err(missing());
                }
                Backing::LogicalVolume(name.clone())
            }
        }
    };
    draft.done.name = Some(target::name_of(&backing));
    unmap_all(draft, &backing, facts)?;
    if keep {
        return Ok(());
    }
    let targets: Vec<(DeviceName, _)> = draft.done.devices.clone();
    match &backing {
        Backing::File { pool, name } => remove_file(draft, pool, name, facts)?,
        Backing::LogicalVolume(name) => volume::remove_all(draft, std::slice::from_ref(name))?,
        other => return Err(refuse(ViosMessage::BackingInvalid).with(target::name_of(other))),
    }
    draft.done.devices = targets;
    Ok(())
}
