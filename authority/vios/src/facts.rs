//! What a request needs to know of disks and files, read before it is decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use varan_contract::block::BlockError;
use varan_contract::vios::{BackingSelector, DeviceSelector, MediumSource, ViosChange};
use varan_model::vios::{Backing, DeviceName, DiskHeader};

use crate::decide::{self, FileFact, LIBRARY, UPLOADS, disk_of};
use crate::files::Files;
use crate::open::Host;
use crate::world::Snapshot;

/// Whether devices are looked for.
pub(crate) fn needs_search(change: &ViosChange) -> bool {
    matches!(change, ViosChange::ConfigureDevices(_) | ViosChange::MakeAvailable(_))
}

/// First blocks of the disks that a request names.
pub(crate) fn headers(
    world: &Snapshot,
    change: &ViosChange,
    host: &Arc<Host>,
) -> BTreeMap<DeviceName, Result<DiskHeader, BlockError>> {
    let disks: Vec<DeviceName> = match change {
        ViosChange::CreateVolumeGroup { disks, .. } | ViosChange::ExtendVolumeGroup { disks, .. } => {
            disks.iter().filter_map(|name| name.parse().ok()).collect()
        }
        ViosChange::ChangeDevice { device, attributes, .. }
            if attributes.iter().any(|(name, _)| name == "pv") =>
        {
            decide::find(world, device).ok().map(|device| device.name.clone()).into_iter().collect()
        }
        _ => Vec::new(),
    };
    disks
        .into_iter()
        .filter(|name| world.devices.get(name).is_some_and(|device| disk_of(device).is_some()))
        .map(|name| {
            let header = host.read_header(world, &name);
            (name, header)
        })
        .collect()
}

/// Files that a request is about.
pub(crate) fn files(world: &Snapshot, change: &ViosChange, files: &Files) -> BTreeMap<String, FileFact> {
    let default = || world.own.default_pool.clone();
    let file =
        |pool: &Option<String>, name: &str| decide::file_path(pool.as_ref().unwrap_or(&default()), name);
    let paths: Vec<String> = match change {
        ViosChange::CreateBackingDevice(request) => {
            request.name.iter().map(|name| file(&request.pool, name)).collect()
        }
        ViosChange::GrowBackingDevice { pool, name, .. }
        | ViosChange::RemoveBackingDevice { pool, device: BackingSelector::Name(name), .. } => {
            vec![file(pool, name)]
        }
        ViosChange::RemoveBackingDevice { device: BackingSelector::Target(name), .. } => {
            let device = decide::find(world, &DeviceSelector::Name(name.clone())).ok();
            let target = device.as_ref().and_then(|device| decide::target_of(device));
            match target.map(|target| &target.backing) {
                Some(Backing::File { pool, name }) => vec![decide::file_path(pool, name)],
                _ => Vec::new(),
            }
        }
        ViosChange::RemovePool { name, .. } => {
            let pool = world.pools.get(name);
            pool.into_iter().flat_map(|pool| &pool.files).map(|file| decide::file_path(name, file)).collect()
        }
        ViosChange::CreateMedium { name, source, .. } => {
            let upload = match source {
                MediumSource::Upload(upload) => Some(format!("{UPLOADS}/{upload}")),
                MediumSource::Blank(_) => None,
            };
            upload.into_iter().chain([decide::file_of_medium(name)]).collect()
        }
        ViosChange::ChangeMedium { name, new_name, .. } => [Some(name), new_name.as_ref()]
            .into_iter()
            .flatten()
            .map(|name| decide::file_of_medium(name))
            .collect(),
        ViosChange::RemoveMedium { name, .. } => vec![decide::file_of_medium(name)],
        ViosChange::RemoveRepository { .. } => {
            world.media.iter().map(|(name, _)| decide::file_of_medium(name)).collect()
        }
        _ => Vec::new(),
    };
    // A name with a way out of its directory is no file of ours.
    let plain = paths.into_iter().filter(|path| !path.split('/').any(|part| part == ".." || part.is_empty()));
    plain.filter_map(|path| files.fact(&path).map(|fact| (path, fact))).collect()
}

/// What is in the repository's directory.
pub(crate) fn library(change: &ViosChange, files: &Files) -> Vec<(String, FileFact)> {
    match change {
        ViosChange::RescanRepository => files.list(LIBRARY),
        _ => Vec::new(),
    }
}
