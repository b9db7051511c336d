//! The virtual media repository and the drives that its media are loaded in.

use std::collections::BTreeMap;
use std::sync::Arc;

use varan_contract::vios::{DeviceSelector, LogicalVolumeSize, MediumSource};
use varan_model::vios::media::MEDIUM_NAME_MAX;
use varan_model::vios::{
    Backing, Device, DeviceDetail, DeviceKind, DeviceName, MediaAccess, ViosMessage, ViosRefusal,
};

use super::{Draft, Effect, Facts, LIBRARY, Prepare, Refused, find, pool, refuse, target, volume};
use crate::world::{Change, Library, LibraryMedium};

/// The logical volume of the repository.
pub(crate) const LIBRARY_VOLUME: &str = "VMLibrary";

/// Path of a medium below `root`.
pub(crate) fn file_of_medium(name: &str) -> String {
    format!("{LIBRARY}/{name}")
}

fn library(draft: &Draft) -> Result<Arc<Library>, ViosRefusal> {
    draft.world.library.clone().ok_or_else(|| refuse(ViosMessage::NoRepository))
}

fn medium(draft: &Draft, name: &str) -> Result<Arc<LibraryMedium>, ViosRefusal> {
    library(draft)?;
    let unknown = || refuse(ViosMessage::MediumUnknown).with(name);
    draft.world.media.get(&name.to_owned()).cloned().ok_or_else(unknown)
}

fn drives(draft: &Draft, name: &str) -> Vec<DeviceName> {
    draft.world.targets_on(&Backing::Medium(Some(name.to_owned()))).to_vec()
}

pub(super) fn create_library(draft: &mut Draft, pool_name: Option<&str>, megabytes: u64) -> Refused {
    if draft.world.library.is_some() {
        return Err(refuse(ViosMessage::RepositoryExists));
    }
    let parent = pool::pool_name(&draft.world, pool_name);
    pool::check_group_pool(&draft.world, &parent)?;
    volume::check_name(&draft.world, LIBRARY_VOLUME)?;
    pool::add_file_system(draft, &parent, LIBRARY_VOLUME, megabytes, format!("/{LIBRARY}"))?;
    draft.change(Change::Library(Some(Library { parent, used_bytes: 0 })));
    draft.done.name = Some(LIBRARY_VOLUME.to_owned());
    Ok(())
}

pub(super) fn grow_library(draft: &mut Draft, megabytes: u64) -> Refused {
    library(draft)?;
    volume::extend(draft, LIBRARY_VOLUME, LogicalVolumeSize::Megabytes(megabytes), &[])
}

pub(super) fn remove_library(draft: &mut Draft, force: bool, facts: &Facts<'_>) -> Refused {
    library(draft)?;
    let names: Vec<String> = draft.world.media.iter().map(|(name, _)| name.clone()).collect();
    if !names.is_empty() && !force {
        return Err(refuse(ViosMessage::RepositoryNotEmpty));
    }
    for name in &names {
        remove(draft, name, true, facts)?;
    }
    draft.change(Change::Library(None));
    let volume = volume::logical_volume(&draft.world, LIBRARY_VOLUME)?;
    volume::drop_volume(draft, &volume);
    draft.done.devices.clear();
    Ok(())
}

/// A name of a file in the repository's directory that a medium can have.
fn is_medium_name(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    !name.is_empty()
        && name.len() <= MEDIUM_NAME_MAX
        && name.bytes().all(usual)
        && !name.starts_with(['.', '-'])
}

fn check_new(draft: &Draft, name: &str, facts: &Facts<'_>) -> Refused {
    if !is_medium_name(name) {
        return Err(refuse(ViosMessage::MediumNameInvalid).with(name));
    }
    let there = facts.files.contains_key(&file_of_medium(name));
    if there || draft.world.media.contains(&name.to_owned()) {
        return Err(refuse(ViosMessage::MediumExists).with(name));
    }
    Ok(())
}

/// Room that media take changes by `more` bytes and goes down by `less`.
fn use_room(draft: &mut Draft, more: u64, less: u64) -> Refused {
    let mut next = (*library(draft)?).clone();
    next.used_bytes = next.used_bytes.saturating_sub(less).saturating_add(more);
    if more > less && next.used_bytes > pool::usable_of(&draft.world, LIBRARY_VOLUME) << 20 {
        return Err(refuse(ViosMessage::RepositoryFull));
    }
    draft.change(Change::Library(Some(next)));
    Ok(())
}

pub(super) fn create(
    draft: &mut Draft,
    name: &str,
    source: &MediumSource,
    access: MediaAccess,
    facts: &Facts<'_>,
) -> Refused {
    library(draft)?;
    check_new(draft, name, facts)?;
    let staged = format!("{:032x}", facts.random);
    let bytes = match source {
        MediumSource::Blank(0) => return Err(refuse(ViosMessage::ArgumentInvalid).with(0)),
        MediumSource::Blank(megabytes) => {
            let full = || refuse(ViosMessage::RepositoryFull);
            let bytes = megabytes.checked_mul(1 << 20).ok_or_else(full)?;
            draft.prepare.push(Prepare::StageZeros { staged: staged.clone(), bytes });
            bytes
        }
        MediumSource::Upload(upload) => {
            let missing = || refuse(ViosMessage::FileUnreadable).with(upload);
            let fact = facts.files.get(&format!("{UPLOADS}/{upload}")).ok_or_else(missing)?;
            draft.prepare.push(Prepare::StageUpload { staged: staged.clone(), upload: upload.clone() });
            draft.effects.push(Effect::Uploaded(upload.clone()));
            fact.bytes
        }
    };
    use_room(draft, bytes, 0)?;
    let medium = LibraryMedium { name: name.to_owned(), bytes, access, staged: Some(staged) };
    draft.change(Change::PutMedium(Box::new(medium)));
    draft.effect(Effect::Files);
    draft.done.name = Some(name.to_owned());
    Ok(())
}

/// Key of uploaded files among the facts.
pub(crate) const UPLOADS: &str = "upload";

pub(super) fn change(
    draft: &mut Draft,
    name: &str,
    access: Option<MediaAccess>,
    new_name: Option<&str>,
    facts: &Facts<'_>,
) -> Refused {
    let present = medium(draft, name)?;
    if let Some(drive) = drives(draft, name).first() {
        return Err(refuse(ViosMessage::MediumLoaded).with(name).with(drive));
    }
    let mut next = (*present).clone();
    next.access = access.unwrap_or(next.access);
    if let Some(new_name) = new_name.filter(|new_name| *new_name != name) {
        check_new(draft, new_name, facts)?;
        draft.change(Change::RemoveMedium(name.to_owned()));
        draft.rename_file(file_of_medium(name), file_of_medium(new_name), facts);
        next.name = new_name.to_owned();
    }
    draft.change(Change::PutMedium(Box::new(next)));
    Ok(())
}

pub(super) fn remove(draft: &mut Draft, name: &str, force: bool, facts: &Facts<'_>) -> Refused {
    let present = medium(draft, name)?;
    for drive in drives(draft, name) {
        if !force {
            return Err(refuse(ViosMessage::MediumLoaded).with(name).with(drive));
        }
        empty(draft, &drive, false, facts)?;
    }
    draft.change(Change::RemoveMedium(name.to_owned()));
    use_room(draft, 0, present.bytes)?;
    draft.remove_file(file_of_medium(name), facts);
    Ok(())
}

/// A drive of the repository's media, and what is in it.
fn drive(draft: &Draft, name: &str) -> Result<(Arc<Device>, Option<String>), ViosRefusal> {
    let device = find(&draft.world, &DeviceSelector::Name(name.to_owned()))?;
    match target::target_of(&device).map(|target| &target.backing) {
        Some(Backing::Medium(medium)) if device.kind == DeviceKind::TargetFileOptical => {
            let medium = medium.clone();
            Ok((device, medium))
        }
        _ => Err(refuse(ViosMessage::NotOpticalTarget).with(name)),
    }
}

fn set_medium(draft: &mut Draft, device: &Device, medium: Option<String>) {
    let mut next = device.clone();
    if let DeviceDetail::VirtualTarget(target) = &mut next.detail {
        target.backing = Backing::Medium(medium);
    }
    draft.effects.push(Effect::Close(vec![device.name.clone()]));
    draft.put_device(next);
}

fn empty(draft: &mut Draft, name: &DeviceName, release: bool, facts: &Facts<'_>) -> Refused {
    let Some(device) = draft.world.devices.get(name).cloned() else { return Ok(()) };
    if !release && (facts.is_open)(name) {
        return Err(refuse(ViosMessage::DriveHeld).with(name));
    }
    set_medium(draft, &device, None);
    Ok(())
}

pub(super) fn load(
    draft: &mut Draft,
    name: &str,
    drive_name: &str,
    force: bool,
    release: bool,
    facts: &Facts<'_>,
) -> Refused {
    let present = medium(draft, name)?;
    let (device, loaded) = drive(draft, drive_name)?;
    if loaded.as_deref() == Some(name) {
        return Ok(());
    }
    if let (MediaAccess::ReadWrite, Some(other)) = (present.access, drives(draft, name).first()) {
        return Err(refuse(ViosMessage::MediumLoaded).with(name).with(other));
    }
    if loaded.is_some() {
        if !force {
            return Err(refuse(ViosMessage::DriveLoaded).with(drive_name));
        }
        empty(draft, &device.name, release, facts)?;
    }
    set_medium(draft, &device, Some(name.to_owned()));
    Ok(())
}

pub(super) fn unload(draft: &mut Draft, drive_name: &str, release: bool, facts: &Facts<'_>) -> Refused {
    let (device, loaded) = drive(draft, drive_name)?;
    if loaded.is_none() {
        return Err(refuse(ViosMessage::DriveEmpty).with(drive_name));
    }
    empty(draft, &device.name, release, facts)
}

/// Media follow the files that are in the directory now. A new file is a medium of read-write access; one that is gone leaves
/// its drives.
pub(super) fn rescan(draft: &mut Draft, facts: &Facts<'_>) -> Refused {
    library(draft)?;
    let files: BTreeMap<&String, u64> = facts
        .library
        .iter()
        .filter(|(name, _)| is_medium_name(name))
        .map(|(name, fact)| (name, fact.bytes))
        .collect();
    let known: Vec<Arc<LibraryMedium>> = draft.world.media.values().cloned().collect();
    for medium in known {
        match files.get(&medium.name) {
            Some(bytes) if *bytes == medium.bytes => {}
            Some(bytes) => {
                draft.change(Change::PutMedium(Box::new(LibraryMedium {
                    bytes: *bytes,
                    ..(*medium).clone()
                })));
            }
            None => {
                for drive in drives(draft, &medium.name) {
                    empty(draft, &drive, true, facts)?;
                }
                draft.change(Change::RemoveMedium(medium.name.clone()));
            }
        }
    }
    for (name, bytes) in &files {
        if !draft.world.media.contains(name) {
            let name = (*name).clone();
            let access = MediaAccess::ReadWrite;
            let medium = LibraryMedium { name: name.clone(), bytes: *bytes, access, staged: None };
            draft.change(Change::PutMedium(Box::new(medium)));
            // A file under a name that was to go is another file.
            let path = file_of_medium(&name);
            if draft.world.trash.contains(&path) {
                draft.change(Change::RemoveTrash(path));
            }
        }
    }
    let mut next = (*library(draft)?).clone();
    next.used_bytes = draft.world.media.values().map(|medium| medium.bytes).sum();
    if Some(&next) != draft.world.library.as_deref() {
        draft.change(Change::Library(Some(next)));
    }
    Ok(())
}
