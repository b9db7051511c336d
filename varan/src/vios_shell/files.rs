//! The files of a Virtual I/O Server: one directory of the host, devices and mounts on top.
//!
//! ```text
//! /dev/*               the server's devices, through its block devices
//! a mount (/mnt)       an ISO image or a directory of the host, read only
//! everything else      <files>/..., confined by openat2
//! ```
//!
//! Root may change everything, padmin its home and `/tmp`. Who made a file is not kept: what lies in padmin's home is
//! padmin's, all else root's.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use varan_shell::{FileError, FileKind, FileSystem, FileTree, Metadata, TreePath};

/// padmin's home.
pub const HOME: &str = "/home/padmin";
/// Bytes that one server's files may take, its media library apart.
pub const FILES_BYTES_MAX: u64 = 16 << 30;
/// Files and directories that one server may have.
pub const FILES_MAX: u64 = 100_000;
/// The media repository, whose files the server knows.
const LIBRARY: &str = "/var/vio/VMLibrary";
/// Directories below the root whose content is bounded by the server itself.
const BOUNDED_ELSEWHERE: &[&str] = &["VMLibrary", "storagepools"];
/// Permissions of a medium that may only be read.
const READ_ONLY_MEDIUM: u16 = 0o440;
/// Size that AIX shows for a small directory.
const DIRECTORY_BYTES: u64 = 256;
/// Directories that every server has.
const SHIPPED: &[&str] =
    &["home/padmin/config", "home/ios/logs", "mkcd", "mnt", "tmp", "usr/ios/cli", "var/adm/ras", "var/vio"];

/// A device as a file.
pub trait DeviceFile: Send + Sync {
    /// Bytes from an offset; fewer than asked for at the end, 0 behind it.
    ///
    /// # Errors
    /// What the device fails with.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes at an offset, and returns how much was written; 0 behind the end.
    ///
    /// # Errors
    /// What the device fails with.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the device fails with.
    fn flush(&self) -> io::Result<()>;
}

/// The devices of a server as `/dev` shows them.
pub trait Devices: Send + Sync {
    /// Names, with what they are.
    fn list(&self) -> Vec<(String, FileKind)>;

    /// Whether a medium of the repository may only be read.
    fn is_read_only(&self, _medium: &str) -> bool {
        false
    }

    /// Files of the media repository were changed past the server.
    fn media_changed(&self) {}

    /// Opens one for reading, or for writing too.
    ///
    /// # Errors
    /// `NotFound`, `Busy`, or what the device fails with.
    fn open(&self, name: &str, write: bool) -> Result<Arc<dyn DeviceFile>, FileError>;
}

/// A server without devices.
pub struct NoDevices;

impl Devices for NoDevices {
    fn list(&self) -> Vec<(String, FileKind)> {
        Vec::new()
    }

    fn open(&self, _: &str, _: bool) -> Result<Arc<dyn DeviceFile>, FileError> {
        Err(FileError::NotFound)
    }
}

/// A file system that someone mounted, read only.
#[derive(Clone)]
pub struct Mount {
    /// What is mounted, as `mount` shows it.
    pub source: String,
    /// Where.
    pub directory: TreePath,
    /// Kind of file system: `cdrfs`, `nfs3`.
    pub kind: String,
    /// Options as given.
    pub options: String,
    /// Seconds since 1970-01-01 00:00 UTC.
    pub since: i64,
    /// Its files.
    pub tree: Arc<dyn FileTree>,
    /// Bytes that it holds.
    pub size: u64,
}

/// What all sessions on one server share. Mounts are gone when the server stops.
pub struct ServerFiles {
    path: PathBuf,
    /// Counted once, then kept.
    usage: Mutex<Option<Arc<Usage>>>,
    mounts: Mutex<Vec<Mount>>,
    devices: Arc<dyn Devices>,
}

#[derive(Default)]
struct Usage {
    bytes: AtomicU64,
    files: AtomicU64,
}

impl Usage {
    /// Takes bytes; false when there are not so many left.
    fn charge(&self, bytes: u64) -> bool {
        let taken = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if taken.saturating_add(bytes) <= FILES_BYTES_MAX {
            return true;
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    fn charge_file(&self) -> bool {
        if self.files.fetch_add(1, Ordering::Relaxed) < FILES_MAX {
            return true;
        }
        self.files.fetch_sub(1, Ordering::Relaxed);
        false
    }

    fn give(&self, bytes: u64, files: u64) {
        for (counter, amount) in [(&self.bytes, bytes), (&self.files, files)] {
            let less = |held: u64| Some(held.saturating_sub(amount));
            // It always succeeds: the closure always gives a value.
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

fn count(path: &Path, usage: &Usage) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if path.ends_with("var/vio") && BOUNDED_ELSEWHERE.iter().any(|name| entry.file_name() == **name) {
            continue;
        }
        usage.files.fetch_add(1, Ordering::Relaxed);
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => count(&entry.path(), usage),
            Ok(metadata) => {
                usage.bytes.fetch_add(metadata.len(), Ordering::Relaxed);
            }
            Err(_) => {}
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerFiles {
    /// Opens the files of a server in a directory of the host, which is made if it does not exist.
    ///
    /// # Errors
    /// Whatever the host's file system reports.
    pub fn open(path: &Path, devices: Arc<dyn Devices>) -> io::Result<Arc<Self>> {
        for directory in SHIPPED {
            std::fs::create_dir_all(path.join(directory))?;
        }
        Ok(Arc::new(Self {
            path: path.to_owned(),
            usage: Mutex::default(),
            mounts: Mutex::default(),
            devices,
        }))
    }

    /// Where padmin's home is on the host.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path.join(HOME.trim_start_matches('/'))
    }

    /// Mounts something.
    ///
    /// # Errors
    /// `Busy` where something is mounted.
    pub fn mount(&self, mount: Mount) -> Result<(), FileError> {
        let mut mounts = locked(&self.mounts);
        if mounts.iter().any(|one| one.directory == mount.directory) {
            return Err(FileError::Busy);
        }
        mounts.push(mount);
        Ok(())
    }

    /// Ends the mount at a directory, or of a source.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn unmount(&self, name: &str) -> Result<(), FileError> {
        let mut mounts = locked(&self.mounts);
        let found = mounts.iter().rposition(|one| one.directory.as_str() == name || one.source == name);
        mounts.remove(found.ok_or(FileError::NotFound)?);
        Ok(())
    }

    /// What is mounted, in its order.
    pub fn mounts(&self) -> Vec<Mount> {
        locked(&self.mounts).clone()
    }

    /// Ends all mounts: the server stopped.
    pub fn forget_mounts(&self) {
        locked(&self.mounts).clear();
    }

    fn usage(&self) -> Arc<Usage> {
        let mut usage = locked(&self.usage);
        usage
            .get_or_insert_with(|| {
                let counted = Usage::default();
                count(&self.path, &counted);
                Arc::new(counted)
            })
            .clone()
    }

    /// The mount that a path is in, and the path within it.
    fn mounted(&self, path: &TreePath) -> Option<(Mount, TreePath)> {
        let mounts = locked(&self.mounts);
        let inside = mounts.iter().filter_map(|mount| {
            let rest = path.as_str().strip_prefix(mount.directory.as_str())?;
            let whole = rest.is_empty() || rest.starts_with('/');
            whole.then_some((mount, if rest.is_empty() { "/" } else { rest }))
        });
        let (mount, rest) = inside.max_by_key(|(mount, _)| mount.directory.as_str().len())?;
        Some((mount.clone(), TreePath::resolve(&TreePath::root(), rest).ok()?))
    }

    fn root(&self) -> Result<File, FileError> {
        File::open(&self.path).map_err(|error| translate(&error))
    }

    /// Opens something below the directory; the kernel refuses links and mounts that lead out.
    fn open_inside(&self, path: &TreePath, flags: OFlags, mode: Mode) -> Result<File, FileError> {
        let inside = match path.as_str().trim_start_matches('/') {
            "" => ".",
            inside => inside,
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        // A pipe must not stop whoever opens it; a path alone opens nothing.
        let quick = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
        let opened =
            rustix::fs::openat2(self.root()?, inside, flags | quick | OFlags::CLOEXEC, mode, resolve);
        opened.map(File::from).map_err(|error| translate(&error.into()))
    }

    /// The directory that holds an entry, and the entry's name.
    fn holder(&self, path: &TreePath) -> Result<(OwnedFd, String), FileError> {
        let name = path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(FileError::Busy);
        }
        let parent = self.open_inside(&path.parent(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok((parent.into(), name))
    }
}

fn translate(error: &io::Error) -> FileError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => FileError::NotFound,
        Some(Errno::ISDIR) => FileError::IsDirectory,
        Some(Errno::NOTDIR) => FileError::NotDirectory,
        Some(Errno::NAMETOOLONG) => FileError::NameTooLong,
        Some(Errno::EXIST) => FileError::Exists,
        Some(Errno::NOTEMPTY) => FileError::NotEmpty,
        Some(Errno::NOSPC) => FileError::NoSpace,
        Some(Errno::DQUOT) => FileError::QuotaExceeded,
        Some(Errno::ROFS) => FileError::ReadOnly,
        Some(Errno::XDEV) => FileError::CrossDevice,
        Some(Errno::ACCESS | Errno::PERM | Errno::LOOP) => FileError::PermissionDenied,
        Some(Errno::IO) => FileError::InputOutput,
        _ => FileError::Other(error.to_string()),
    }
}

/// A file of the host that is written, within what the server may store.
struct BoundedFile {
    file: File,
    position: u64,
    length: u64,
    usage: Arc<Usage>,
    /// The server of a medium that is written.
    medium_of: Option<Arc<ServerFiles>>,
}

impl Drop for BoundedFile {
    fn drop(&mut self) {
        if let Some(server) = &self.medium_of {
            server.devices.media_changed();
        }
    }
}

impl Write for BoundedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.position + bytes.len() as u64;
        let growth = end.saturating_sub(self.length);
        if growth > 0 && !self.usage.charge(growth) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(bytes);
        let done = *written.as_ref().unwrap_or(&0) as u64;
        let grown = (self.position + done).saturating_sub(self.length);
        self.usage.give(growth - grown.min(growth), 0);
        self.position += done;
        self.length = self.length.max(self.position);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A device that is read or written from a place on.
struct DeviceStream {
    device: Arc<dyn DeviceFile>,
    position: u64,
}

impl Read for DeviceStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.device.read_at(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for DeviceStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.device.write_at(self.position, bytes)?;
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

/// The files as one user sees them.
#[derive(Clone)]
pub struct ViosFiles {
    server: Arc<ServerFiles>,
    root: bool,
}

/// The part of a path below `/dev`; empty for the directory itself.
fn device_name(path: &TreePath) -> Option<&str> {
    match path.as_str().strip_prefix("/dev") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    }
}

fn below(path: &TreePath, directory: &str) -> bool {
    path.as_str().strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path is that of a medium.
fn is_medium(path: &TreePath) -> bool {
    path.parent().as_str() == LIBRARY
}

impl ViosFiles {
    /// The files as root or padmin sees them.
    #[must_use]
    pub fn new(server: &Arc<ServerFiles>, root: bool) -> Self {
        Self { server: server.clone(), root }
    }

    /// What all sessions share.
    #[must_use]
    pub fn server(&self) -> &Arc<ServerFiles> {
        &self.server
    }

    /// Whether `cd` of a restricted shell goes there.
    #[must_use]
    pub fn may_enter(path: &TreePath) -> bool {
        [HOME, "/tmp", "/mnt"].iter().any(|directory| below(path, directory))
    }

    fn permit_write(&self, path: &TreePath) -> Result<(), FileError> {
        if self.server.mounted(path).is_some() {
            return Err(FileError::ReadOnly);
        }
        if self.root || below(path, "/tmp") || below(path, HOME) && path.as_str() != HOME {
            return Ok(());
        }
        Err(FileError::PermissionDenied)
    }

    /// Refuses to change what a mount or a device stands on.
    fn permit_removal(&self, path: &TreePath) -> Result<(), FileError> {
        let mounts = locked(&self.server.mounts);
        if device_name(path).is_some() || mounts.iter().any(|mount| below(&mount.directory, path.as_str())) {
            return Err(FileError::Busy);
        }
        drop(mounts);
        let shipped = |directory: &&&str| format!("/{directory}").as_str().starts_with(path.as_str());
        if SHIPPED.iter().any(|one| shipped(&one) && below(&TreePath::root().join(one), path.as_str())) {
            return Err(FileError::Busy);
        }
        self.permit_write(path)
    }

    fn is_read_only(&self, medium: &TreePath) -> bool {
        let name = medium.as_str().rsplit('/').next().unwrap_or_default();
        self.server.devices.is_read_only(name)
    }

    fn owner(path: &TreePath) -> (&'static str, &'static str) {
        if below(path, HOME) { ("padmin", "staff") } else { ("root", "system") }
    }

    fn device(&self, name: &str, write: bool) -> Result<Arc<dyn DeviceFile>, FileError> {
        if name.is_empty() {
            return Err(FileError::IsDirectory);
        }
        // Only root opens disks.
        if !self.root {
            return Err(FileError::PermissionDenied);
        }
        // The raw device is the same bytes.
        let known = |name: &str| self.server.devices.list().iter().any(|(known, _)| known == name);
        let name = match name.strip_prefix('r') {
            Some(raw) if !known(name) => raw,
            _ => name,
        };
        self.server.devices.open(name, write)
    }

    /// The file of the host behind a path, for reading.
    ///
    /// # Errors
    /// As [`FileTree::open`]; a file of a mount or a device has none.
    pub fn host_file(&self, path: &TreePath) -> Result<File, FileError> {
        if device_name(path).is_some() || self.server.mounted(path).is_some() {
            return Err(FileError::PermissionDenied);
        }
        let file = self.server.open_inside(path, OFlags::RDONLY, Mode::empty())?;
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(file),
            Ok(metadata) if metadata.is_dir() => Err(FileError::IsDirectory),
            _ => Err(FileError::PermissionDenied),
        }
    }

    fn open_for_writing(&self, path: &TreePath, kept: bool) -> Result<BoundedFile, FileError> {
        self.permit_write(path)?;
        let usage = self.server.usage();
        let before = match self.metadata(path) {
            Ok(metadata) if metadata.kind == FileKind::Directory => return Err(FileError::IsDirectory),
            Ok(metadata) => Some(metadata.size),
            Err(FileError::NotFound) => None,
            Err(error) => return Err(error),
        };
        if before.is_none() && !usage.charge_file() {
            return Err(FileError::NoSpace);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW;
        let opened = self.server.open_inside(path, flags, Mode::from_raw_mode(0o644));
        let file = opened.inspect_err(|_| {
            if before.is_none() {
                usage.give(0, 1);
            }
        })?;
        let length = before.unwrap_or(0);
        if !kept && length > 0 {
            file.set_len(0).map_err(|error| translate(&error))?;
            usage.give(length, 0);
        }
        let medium_of = is_medium(path).then(|| self.server.clone());
        Ok(BoundedFile { file, position: 0, length: if kept { length } else { 0 }, usage, medium_of })
    }
}

impl FileTree for ViosFiles {
    fn home(&self) -> TreePath {
        TreePath::resolve(&TreePath::root(), HOME).unwrap_or_else(|_| TreePath::root())
    }

    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>, FileError> {
        self.open_at(path, 0)
    }

    fn open_at(&self, path: &TreePath, offset: u64) -> Result<Box<dyn Read + Send>, FileError> {
        match device_name(path) {
            Some("null") => return Ok(Box::new(io::empty())),
            Some("zero") => return Ok(Box::new(io::repeat(0))),
            Some(name) => {
                return Ok(Box::new(DeviceStream { device: self.device(name, false)?, position: offset }));
            }
            None => {}
        }
        if let Some((mount, inside)) = self.server.mounted(path) {
            return mount.tree.open_at(&inside, offset);
        }
        let mut file = self.server.open_inside(path, OFlags::RDONLY, Mode::empty())?;
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(FileError::IsDirectory),
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(FileError::PermissionDenied),
            Err(error) => return Err(translate(&error)),
        }
        file.seek(SeekFrom::Start(offset)).map_err(|error| translate(&error))?;
        Ok(Box::new(file))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<String>, FileError> {
        match device_name(path) {
            Some("") => {
                let devices = self.server.devices.list().into_iter().map(|(name, _)| name);
                return Ok(["null", "zero"].map(str::to_owned).into_iter().chain(devices).collect());
            }
            Some(_) => return Err(FileError::NotDirectory),
            None => {}
        }
        if let Some((mount, inside)) = self.server.mounted(path) {
            return mount.tree.list(&inside);
        }
        let directory = self.server.open_inside(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let entries = rustix::fs::Dir::read_from(&directory).map_err(|error| translate(&error.into()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| translate(&error.into()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        if path.as_str() == "/" {
            names.push("dev".to_owned());
        }
        Ok(names)
    }

    fn metadata(&self, path: &TreePath) -> Result<Metadata, FileError> {
        let of_system = |kind, mode| Metadata {
            kind,
            size: DIRECTORY_BYTES,
            mode,
            links: if kind == FileKind::Directory { 2 } else { 1 },
            owner: "root".to_owned(),
            group: "system".to_owned(),
            modified_seconds: 0,
        };
        match device_name(path) {
            Some("") => return Ok(of_system(FileKind::Directory, 0o755)),
            Some("null" | "zero") => return Ok(of_system(FileKind::Device, 0o666)),
            Some(name) => {
                let devices = self.server.devices.list();
                let raw = name.strip_prefix('r').unwrap_or(name);
                let found = devices.iter().find(|(known, _)| known == name || known == raw);
                let (known, kind) = found.ok_or(FileError::NotFound)?;
                let kind = if known == name { *kind } else { FileKind::Device };
                return Ok(of_system(kind, 0o600));
            }
            None => {}
        }
        if let Some((mount, inside)) = self.server.mounted(path) {
            return mount.tree.metadata(&inside);
        }
        let file = self.server.open_inside(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        let stat =
            rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH).map_err(|error| translate(&error.into()))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
            _ => FileKind::File,
        };
        let (owner, group) = Self::owner(path);
        Ok(Metadata {
            kind,
            size: if kind == FileKind::Directory {
                DIRECTORY_BYTES
            } else {
                u64::try_from(stat.st_size).unwrap_or(0)
            },
            mode: if kind == FileKind::File && is_medium(path) && self.is_read_only(path) {
                READ_ONLY_MEDIUM
            } else {
                u16::try_from(stat.st_mode & 0o7777).unwrap_or(0)
            },
            links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            owner: owner.to_owned(),
            group: group.to_owned(),
            modified_seconds: stat.st_mtime,
        })
    }

    fn create(&self, path: &TreePath, append: bool) -> Result<Box<dyn Write + Send>, FileError> {
        if !append {
            return self.write_at(path, 0, false);
        }
        let mut file = self.open_for_writing(path, true)?;
        file.position = file.file.seek(SeekFrom::End(0)).map_err(|error| translate(&error))?;
        Ok(Box::new(file))
    }

    fn write_at(&self, path: &TreePath, offset: u64, kept: bool) -> Result<Box<dyn Write + Send>, FileError> {
        match device_name(path) {
            Some("null" | "zero") => return Ok(Box::new(io::sink())),
            Some(name) => {
                return Ok(Box::new(DeviceStream { device: self.device(name, true)?, position: offset }));
            }
            None => {}
        }
        let mut file = self.open_for_writing(path, kept || offset > 0)?;
        if !kept && offset < file.length {
            file.file.set_len(offset).map_err(|error| translate(&error))?;
            file.usage.give(file.length - offset, 0);
            file.length = offset;
        }
        file.position = file.file.seek(SeekFrom::Start(offset)).map_err(|error| translate(&error))?;
        Ok(Box::new(file))
    }

    fn make_directory(&self, path: &TreePath) -> Result<(), FileError> {
        if self.metadata(path).is_ok() {
            return Err(FileError::Exists);
        }
        self.permit_write(path)?;
        let (parent, name) = self.server.holder(path)?;
        let usage = self.server.usage();
        if !usage.charge_file() {
            return Err(FileError::NoSpace);
        }
        rustix::fs::mkdirat(parent, &*name, Mode::from_raw_mode(0o755)).map_err(|error| {
            usage.give(0, 1);
            translate(&error.into())
        })
    }

    fn remove(&self, path: &TreePath, directory: bool) -> Result<(), FileError> {
        let metadata = self.metadata(path)?;
        match (metadata.kind == FileKind::Directory, directory) {
            (true, false) => return Err(FileError::IsDirectory),
            (false, true) => return Err(FileError::NotDirectory),
            _ => {}
        }
        self.permit_removal(path)?;
        let (parent, name) = self.server.holder(path)?;
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(parent, &*name, flags).map_err(|error| translate(&error.into()))?;
        self.server.usage().give(if directory { 0 } else { metadata.size }, 1);
        if is_medium(path) {
            self.server.devices.media_changed();
        }
        Ok(())
    }

    fn rename(&self, from: &TreePath, to: &TreePath) -> Result<(), FileError> {
        let metadata = self.metadata(from)?;
        if self.server.mounted(from).is_some() {
            return Err(FileError::ReadOnly);
        }
        self.permit_removal(from)?;
        let replaced = match self.metadata(to) {
            Ok(target) if target.kind == FileKind::Directory => return Err(FileError::Exists),
            Ok(_) if metadata.kind == FileKind::Directory => return Err(FileError::NotDirectory),
            Ok(target) => {
                self.permit_removal(to)?;
                Some(target.size)
            }
            Err(FileError::NotFound) => {
                self.permit_write(to)?;
                None
            }
            Err(error) => return Err(error),
        };
        if device_name(to).is_some() {
            return Err(FileError::PermissionDenied);
        }
        let (source, source_name) = self.server.holder(from)?;
        let (target, target_name) = self.server.holder(to)?;
        rustix::fs::renameat_with(source, &*source_name, target, &*target_name, RenameFlags::empty())
            .map_err(|error| translate(&error.into()))?;
        if let Some(size) = replaced {
            self.server.usage().give(size, 1);
        }
        if is_medium(from) || is_medium(to) {
            self.server.devices.media_changed();
        }
        Ok(())
    }

    fn file_systems(&self) -> Vec<FileSystem> {
        let usage = self.server.usage();
        let used = usage.bytes.load(Ordering::Relaxed);
        let own = FileSystem {
            device: "/dev/hd4".to_owned(),
            directory: TreePath::root(),
            size: FILES_BYTES_MAX,
            free: FILES_BYTES_MAX.saturating_sub(used),
            files: usage.files.load(Ordering::Relaxed),
            files_max: FILES_MAX,
        };
        let mounted = self.server.mounts().into_iter().map(|mount| FileSystem {
            device: mount.source,
            directory: mount.directory,
            size: mount.size,
            free: 0,
            files: 0,
            files_max: 0,
        });
        std::iter::once(own).chain(mounted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> Arc<ServerFiles> {
        let path = std::env::temp_dir().join(format!("varan-vios-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        ServerFiles::open(&path, Arc::new(NoDevices)).expect("files")
    }

    fn path(text: &str) -> TreePath {
        TreePath::resolve(&TreePath::root(), text).expect("path")
    }

    fn write(files: &ViosFiles, name: &str, text: &str) -> Result<(), FileError> {
        files.create(&path(name), false)?.write_all(text.as_bytes()).map_err(|_| FileError::InputOutput)
    }

    fn text(files: &ViosFiles, name: &str) -> Result<String, FileError> {
        let mut text = String::new();
        files.open(&path(name))?.read_to_string(&mut text).map_err(|_| FileError::InputOutput)?;
        Ok(text)
    }

    #[test]
    fn padmin_writes_where_it_may_and_root_everywhere() {
        let server = server("rights");
        let (padmin, root) = (ViosFiles::new(&server, false), ViosFiles::new(&server, true));
        write(&padmin, "/home/padmin/a", "one").expect("own home");
        write(&padmin, "/tmp/a", "one").expect("tmp");
        assert_eq!(write(&padmin, "/var/vio/a", "one"), Err(FileError::PermissionDenied));
        assert_eq!(padmin.make_directory(&path("/x")), Err(FileError::PermissionDenied));
        assert_eq!(padmin.remove(&path("/home/padmin"), true), Err(FileError::Busy));
        assert_eq!(root.remove(&path("/var"), true), Err(FileError::Busy));
        write(&root, "/var/vio/a", "two").expect("root");
        assert_eq!(text(&padmin, "/var/vio/a").expect("read"), "two");
        assert_eq!(text(&padmin, "/dev/null").expect("read"), "");
        root.rename(&path("/var/vio/a"), &path("/tmp/a")).expect("renamed");
        assert_eq!(text(&padmin, "/tmp/a").expect("read"), "two");
        assert_eq!(root.metadata(&path("/var/vio/a")), Err(FileError::NotFound));
        assert_eq!(padmin.metadata(&path("/home/padmin/a")).expect("metadata").owner, "padmin");
    }

    #[test]
    fn links_lead_nowhere_and_usage_is_kept() {
        let server = server("links");
        let root = ViosFiles::new(&server, true);
        std::os::unix::fs::symlink("/etc/passwd", server.home().join("out")).expect("link");
        assert!(root.open(&path("/home/padmin/out")).is_err());
        assert!(root.create(&path("/home/padmin/out"), false).is_err());
        let usage = server.usage();
        let (bytes, files) = (usage.bytes.load(Ordering::Relaxed), usage.files.load(Ordering::Relaxed));
        write(&root, "/tmp/a", "12345").expect("written");
        write(&root, "/tmp/a", "123").expect("written over");
        assert_eq!(usage.bytes.load(Ordering::Relaxed), bytes + 3);
        let mut at = root.write_at(&path("/tmp/a"), 2, true).expect("open");
        at.write_all(b"xyz").expect("written");
        drop(at);
        assert_eq!(text(&root, "/tmp/a").expect("read"), "12xyz");
        assert_eq!(usage.bytes.load(Ordering::Relaxed), bytes + 5);
        root.remove(&path("/tmp/a"), false).expect("removed");
        assert_eq!(usage.bytes.load(Ordering::Relaxed), bytes);
        assert_eq!(usage.files.load(Ordering::Relaxed), files);
    }
}
