//! The operations on a home's names.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, fchmod, fstat, futimens,
    mkdirat, open, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::usage::{Counts, Usage, file_id};
use super::{HomeError, HomeFile, HomePath};
use crate::limits;

/// Permission bits that a user may set: no set-user-id, set-group-id or sticky bit.
const SETTABLE_MODE: u32 = 0o777;

/// The server acts for all users, so its own access to a file must not be switched off.
const KEPT_FILE_MODE: u32 = 0o600;
/// The same for a directory.
const KEPT_DIRECTORY_MODE: u32 = 0o700;

pub(super) fn open_root(path: &Path) -> Result<OwnedFd, HomeError> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent flags of the protocol")]
pub(crate) struct OpenMode {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
}

/// What is to be set on a file or directory; `None` leaves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SetAttributes {
    /// Permission bits.
    pub(crate) mode: Option<u32>,
    /// Last access and last modification, in seconds since 1970.
    pub(crate) times: Option<(i64, i64)>,
}

impl SetAttributes {
    pub(super) fn apply(&self, target: impl AsFd) -> Result<(), HomeError> {
        if let Some(mode) = self.mode {
            let is_directory = FileType::from_raw_mode(fstat(&target)?.st_mode) == FileType::Directory;
            let kept = if is_directory { KEPT_DIRECTORY_MODE } else { KEPT_FILE_MODE };
            fchmod(&target, Mode::from_raw_mode(mode & SETTABLE_MODE | kept))?;
        }
        if let Some((access, modification)) = self.times {
            let at = |seconds| Timespec { tv_sec: seconds, tv_nsec: 0 };
            let times = Timestamps { last_access: at(access), last_modification: at(modification) };
            futimens(&target, &times)?;
        }
        Ok(())
    }
}

/// One entry of a directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) stat: Stat,
}

/// One user's home, open.
#[derive(Debug)]
pub(crate) struct Home {
    root: OwnedFd,
    shown_as: String,
    usage: Arc<Usage>,
}

impl Home {
    pub(super) fn new(root: OwnedFd, shown_as: &str, usage: Arc<Usage>) -> Self {
        Self { root, shown_as: shown_as.to_owned(), usage }
    }

    /// The place that a client's name means.
    pub(crate) fn path(&self, name: &[u8]) -> Result<HomePath, HomeError> {
        HomePath::parse(name, &self.shown_as)
    }

    /// The absolute name of a place.
    pub(crate) fn absolute(&self, path: &HomePath) -> Vec<u8> {
        path.absolute(&self.shown_as)
    }

    /// What is at `path`; a symbolic link is itself.
    pub(crate) fn stat(&self, path: &HomePath) -> Result<Stat, HomeError> {
        match path.name() {
            None => Ok(fstat(&self.root)?),
            Some(name) => Ok(statat(self.parent(path)?, name, AtFlags::SYMLINK_NOFOLLOW)?),
        }
    }

    /// Whether `path` is a directory that exists.
    pub(crate) fn is_directory(&self, path: &HomePath) -> bool {
        self.stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Opens a regular file; one that is created gets the permission bits `mode`.
    pub(crate) fn open(&self, path: &HomePath, how: OpenMode, mode: u32) -> Result<HomeFile, HomeError> {
        let Some(name) = path.name() else { return Err(HomeError::IsDirectory) };
        let parent = self.parent(path)?;
        let access = match (how.read, how.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        // Without blocking, since opening a named pipe would wait for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        // Held until the file is known to be open: removed in between, it would be counted twice.
        let mut counts = self.usage.lock();
        let descriptor = if how.create && how.write {
            let bits = Mode::from_raw_mode(mode & SETTABLE_MODE | KEPT_FILE_MODE);
            open_or_create(&mut counts, &parent, name, flags, how.exclusive, bits)?
        } else {
            openat(&parent, name, flags, Mode::empty())?
        };
        let stat = fstat(&descriptor)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(HomeError::IsDirectory),
            _ => return Err(HomeError::NotRegular),
        }
        counts.opened(file_id(&stat));
        drop(counts);
        let file = HomeFile::new(descriptor.into(), file_id(&stat), how.append, Arc::clone(&self.usage));
        if how.truncate && how.write {
            file.set_length(0)?;
        }
        Ok(file)
    }

    /// The entries of a directory in the order of their names, without `.` and `..`.
    pub(crate) fn list(&self, path: &HomePath) -> Result<Vec<Entry>, HomeError> {
        let directory = self.directory(path.components())?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() >= limits::DIRECTORY_ENTRIES {
                return Err(HomeError::TooManyEntries);
            }
            match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push(Entry { name: name.to_bytes().to_vec(), stat }),
                // Removed since it was listed.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Sets attributes by name; the length only of a regular file.
    pub(crate) fn set_attributes(
        &self,
        path: &HomePath,
        attributes: &SetAttributes,
        length: Option<u64>,
    ) -> Result<(), HomeError> {
        if let Some(length) = length {
            let how = OpenMode { write: true, ..OpenMode::default() };
            self.open(path, how, 0)?.set_length(length)?;
        }
        let Some(name) = path.name() else { return attributes.apply(&self.root) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        attributes.apply(openat(self.parent(path)?, name, flags, Mode::empty())?)
    }

    /// Makes a directory with the permission bits `mode`.
    pub(crate) fn create_directory(&self, path: &HomePath, mode: u32) -> Result<(), HomeError> {
        let Some(name) = path.name() else { return Err(HomeError::Exists) };
        let parent = self.parent(path)?;
        let mut counts = self.usage.lock();
        counts.check_file()?;
        mkdirat(parent, name, Mode::from_raw_mode(mode & SETTABLE_MODE | KEPT_DIRECTORY_MODE))?;
        counts.created();
        Ok(())
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&self, path: &HomePath) -> Result<(), HomeError> {
        self.remove(path, AtFlags::REMOVEDIR)
    }

    /// Removes a file, or a symbolic link itself.
    pub(crate) fn remove_file(&self, path: &HomePath) -> Result<(), HomeError> {
        self.remove(path, AtFlags::empty())
    }

    fn remove(&self, path: &HomePath, flags: AtFlags) -> Result<(), HomeError> {
        let Some(name) = path.name() else { return Err(HomeError::Denied) };
        let parent = self.parent(path)?;
        let mut counts = self.usage.lock();
        let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        unlinkat(&parent, name, flags)?;
        counts.removed(&stat);
        Ok(())
    }

    /// Renames; with `replace`, what was at `to` is gone, else it is an error.
    pub(crate) fn rename(&self, from: &HomePath, to: &HomePath, replace: bool) -> Result<(), HomeError> {
        let (Some(old), Some(new)) = (from.name(), to.name()) else { return Err(HomeError::Denied) };
        let (old_parent, new_parent) = (self.parent(from)?, self.parent(to)?);
        let mut counts = self.usage.lock();
        let source = statat(&old_parent, old, AtFlags::SYMLINK_NOFOLLOW)?;
        let target = match statat(&new_parent, new, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        if target.is_some() && !replace {
            return Err(HomeError::Exists);
        }
        if target.is_some() {
            renameat(&old_parent, old, &new_parent, new)?;
        } else {
            match renameat_with(&old_parent, old, &new_parent, new, RenameFlags::NOREPLACE) {
                // Not every file system has it; the server's own changes are held off by the lock.
                Err(Errno::INVAL | Errno::NOSYS) => renameat(&old_parent, old, &new_parent, new)?,
                result => result?,
            }
        }
        // Renaming one name of a file onto another of its names does nothing.
        let same = |stat: &Stat| (stat.st_dev, stat.st_ino) == (source.st_dev, source.st_ino);
        if let Some(stat) = target.filter(|stat| !same(stat)) {
            counts.removed(&stat);
        }
        Ok(())
    }

    fn parent(&self, path: &HomePath) -> Result<OwnedFd, HomeError> {
        let components = path.components();
        self.directory(&components[..components.len().saturating_sub(1)])
    }

    /// Opens a directory, one component after the other, through no symbolic link.
    fn directory(&self, components: &[OsString]) -> Result<OwnedFd, HomeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory = openat(&self.root, ".", flags, Mode::empty())?;
        for component in components {
            directory = match openat(&directory, component, flags, Mode::empty()) {
                Ok(next) => next,
                // With both flags a link is "not a directory"; say what it is.
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(not_a_directory(&directory, component)),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(directory)
    }
}

fn open_or_create(
    counts: &mut Counts,
    parent: &OwnedFd,
    name: &OsString,
    flags: OFlags,
    exclusive: bool,
    bits: Mode,
) -> Result<OwnedFd, HomeError> {
    if !exclusive {
        match openat(parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            found => return Ok(found?),
        }
    }
    counts.check_file()?;
    let descriptor = openat(parent, name, flags | OFlags::CREATE | OFlags::EXCL, bits)?;
    counts.created();
    Ok(descriptor)
}

fn not_a_directory(parent: &OwnedFd, name: &OsString) -> HomeError {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => HomeError::SymbolicLink,
        _ => HomeError::NotDirectory,
    }
}
