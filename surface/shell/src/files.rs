//! The files that a user sees.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, RwLock};

/// Bytes of one path at most, as on Linux.
pub const PATH_BYTES: usize = 4096;

/// An absolute path without `.`, `..`, empty parts or a trailing `/`. The root is `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

impl TreePath {
    /// The root.
    pub fn root() -> Self {
        Self("/".to_string())
    }

    /// Resolves a path as a user wrote it against a directory. `..` of the root is the root, so no path
    /// leads out of the tree.
    ///
    /// # Errors
    /// `NameTooLong` for more than [`PATH_BYTES`], `NotFound` for an empty path or one that holds NUL.
    pub fn resolve(directory: &TreePath, path: &str) -> Result<Self, FileError> {
        if path.len() > PATH_BYTES {
            return Err(FileError::NameTooLong);
        }
        if path.is_empty() || path.contains('\0') {
            return Err(FileError::NotFound);
        }
        let mut parts: Vec<&str> = Vec::new();
        if !path.starts_with('/') {
            parts.extend(directory.0.split('/').filter(|part| !part.is_empty()));
        }
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Ok(Self(format!("/{}", parts.join("/"))))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of an entry in this directory.
    pub fn join(&self, name: &str) -> Self {
        if self.0 == "/" { Self(format!("/{name}")) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// The directory that holds it; the root's is the root.
    pub fn parent(&self) -> Self {
        match self.0.rfind('/') {
            Some(0) | None => Self::root(),
            Some(index) => Self(self.0[..index].to_string()),
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a file could not be used. The texts are the usual ones of a POSIX system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    #[error("No such file or directory")]
    NotFound,
    /// The user may not.
    #[error("Permission denied")]
    PermissionDenied,
    /// A directory where a file is needed.
    #[error("Is a directory")]
    IsDirectory,
    /// A file where a directory is needed.
    #[error("Not a directory")]
    NotDirectory,
    /// The path is too long.
    #[error("File name too long")]
    NameTooLong,
    /// The tree cannot be written.
    #[error("Read-only file system")]
    ReadOnly,
    /// The user's space is used up.
    #[error("Disk quota exceeded")]
    QuotaExceeded,
    /// There is something of that name already.
    #[error("File exists")]
    Exists,
    /// A directory that has entries.
    #[error("Directory not empty")]
    NotEmpty,
    /// The file system is full.
    #[error("No space left on device")]
    NoSpace,
    /// A device that does not do what it should.
    #[error("Input/output error")]
    InputOutput,
    /// Something works with it.
    #[error("Device or resource busy")]
    Busy,
    /// The two paths are on different file systems.
    #[error("Invalid cross-device link")]
    CrossDevice,
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl FileError {
    /// The text of AIX for it.
    #[must_use]
    pub fn in_words_of_aix(&self) -> String {
        match self {
            Self::NotFound => "A file or directory in the path name does not exist.",
            Self::PermissionDenied => "The file access permissions do not allow the specified action.",
            Self::IsDirectory => "The specified file is a directory.",
            Self::NotDirectory => "A parameter must be a directory.",
            Self::NameTooLong => "A path name is too long.",
            Self::ReadOnly => "The file system has read permission only.",
            Self::QuotaExceeded => "The user has reached a limit of disk space or number of files.",
            Self::Exists => "Do not specify an existing file.",
            Self::NotEmpty => "Directory is not empty.",
            Self::NoSpace => "There is not enough space in the file system.",
            Self::InputOutput => "There is an input or output error.",
            Self::Busy => "The requested resource is busy.",
            Self::CrossDevice => "A file cannot be linked to another file system.",
            Self::Other(text) => text,
        }
        .to_owned()
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Device,
    /// A block device.
    BlockDevice,
}

/// A mounted file system, as `df` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// What is mounted.
    pub device: String,
    /// Where.
    pub directory: TreePath,
    /// Size in bytes.
    pub size: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Files and directories on it.
    pub files: u64,
    /// Files and directories that it may have.
    pub files_max: u64,
}

/// What `ls -l` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, such as 0o644.
    pub mode: u16,
    /// Number of hard links.
    pub links: u32,
    /// The owner's name.
    pub owner: String,
    /// The group's name.
    pub group: String,
    /// Last change, in seconds since 1970-01-01 00:00 UTC.
    pub modified_seconds: i64,
}

/// The files that a user sees. Paths come normalized; a tree checks what the user may do, and must not let
/// a symbolic link lead out of it.
pub trait FileTree: Send + Sync {
    /// The user's home directory: where a shell begins, and what relative paths of a restricted shell are
    /// resolved against. The root unless the tree says otherwise.
    fn home(&self) -> TreePath {
        TreePath::root()
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory`, `PermissionDenied`.
    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>, FileError>;

    /// The names in a directory, without `.` and `..`, in any order.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`, `PermissionDenied`.
    fn list(&self, path: &TreePath) -> Result<Vec<String>, FileError>;

    /// What an entry is.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`.
    fn metadata(&self, path: &TreePath) -> Result<Metadata, FileError>;

    /// Creates or opens a file for writing; `append` keeps what is there. Only called where the host allows
    /// a feature that writes.
    ///
    /// # Errors
    /// `ReadOnly` unless the tree can be written.
    fn create(&self, _path: &TreePath, _append: bool) -> Result<Box<dyn Write + Send>, FileError> {
        Err(FileError::ReadOnly)
    }

    /// Opens a file for reading from an offset in bytes. What lies beyond its end is empty.
    ///
    /// # Errors
    /// As [`FileTree::open`].
    fn open_at(&self, path: &TreePath, offset: u64) -> Result<Box<dyn Read + Send>, FileError> {
        let mut reader = self.open(path)?;
        io::copy(&mut Read::by_ref(&mut reader).take(offset), &mut io::sink())
            .map_err(|_| FileError::InputOutput)?;
        Ok(reader)
    }

    /// Opens a file for writing from an offset in bytes; makes it if there is none. What lies behind the offset is cut off
    /// first, unless it is `kept`.
    ///
    /// # Errors
    /// As [`FileTree::create`].
    fn write_at(
        &self,
        _path: &TreePath,
        _offset: u64,
        _kept: bool,
    ) -> Result<Box<dyn Write + Send>, FileError> {
        Err(FileError::ReadOnly)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// `Exists`, `NotFound` for its parent, `PermissionDenied`, `ReadOnly`.
    fn make_directory(&self, _path: &TreePath) -> Result<(), FileError> {
        Err(FileError::ReadOnly)
    }

    /// Removes a file, or an empty directory where `directory` is set.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory`, `NotDirectory`, `NotEmpty`, `Busy`, `PermissionDenied`, `ReadOnly`.
    fn remove(&self, _path: &TreePath, _directory: bool) -> Result<(), FileError> {
        Err(FileError::ReadOnly)
    }

    /// Gives a file or directory another path. A file that is there is replaced.
    ///
    /// # Errors
    /// `CrossDevice` where it would have to be copied, else as [`FileTree::remove`].
    fn rename(&self, _from: &TreePath, _to: &TreePath) -> Result<(), FileError> {
        Err(FileError::ReadOnly)
    }

    /// Mounted file systems, in the order of their mounts.
    fn file_systems(&self) -> Vec<FileSystem> {
        Vec::new()
    }
}

/// A file tree in memory, for tests and for small fixed trees.
#[derive(Debug, Default, Clone)]
pub struct MemoryTree {
    files: Arc<RwLock<BTreeMap<TreePath, Arc<Vec<u8>>>>>,
    owner: String,
    home: Option<TreePath>,
}

impl MemoryTree {
    /// An empty tree whose files belong to `owner`, with the root as home.
    pub fn new(owner: &str) -> Self {
        Self { files: Arc::default(), owner: owner.to_string(), home: None }
    }

    /// The same tree with another home directory.
    #[must_use]
    pub fn with_home(mut self, home: TreePath) -> Self {
        self.home = Some(home);
        self
    }

    /// Adds a file with its directories.
    ///
    /// # Errors
    /// As [`TreePath::resolve`].
    pub fn add(&self, path: &str, content: &[u8]) -> Result<(), FileError> {
        let path = TreePath::resolve(&TreePath::root(), path)?;
        self.write().insert(path, Arc::new(content.to_vec()));
        Ok(())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<TreePath, Arc<Vec<u8>>>> {
        self.files.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<TreePath, Arc<Vec<u8>>>> {
        self.files.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn names_below(&self, path: &TreePath) -> Vec<String> {
        let prefix = path.join("");
        let mut names: Vec<String> = self
            .read()
            .keys()
            .filter_map(|file| file.as_str().strip_prefix(prefix.as_str()))
            .filter_map(|rest| rest.split('/').next().map(str::to_string))
            .collect();
        names.dedup();
        names
    }
}

impl FileTree for MemoryTree {
    fn home(&self) -> TreePath {
        self.home.clone().unwrap_or_else(TreePath::root)
    }

    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>, FileError> {
        match self.read().get(path) {
            Some(content) => Ok(Box::new(io::Cursor::new(content.to_vec()))),
            None if self.names_below(path).is_empty() => Err(FileError::NotFound),
            None => Err(FileError::IsDirectory),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<String>, FileError> {
        if self.read().contains_key(path) {
            return Err(FileError::NotDirectory);
        }
        let names = self.names_below(path);
        if names.is_empty() && *path != TreePath::root() { Err(FileError::NotFound) } else { Ok(names) }
    }

    fn metadata(&self, path: &TreePath) -> Result<Metadata, FileError> {
        let size = self.read().get(path).map(|content| content.len() as u64);
        if size.is_none() && self.names_below(path).is_empty() && *path != TreePath::root() {
            return Err(FileError::NotFound);
        }
        Ok(Metadata {
            kind: if size.is_some() { FileKind::File } else { FileKind::Directory },
            size: size.unwrap_or(4096),
            mode: if size.is_some() { 0o644 } else { 0o755 },
            links: 1,
            owner: self.owner.clone(),
            group: self.owner.clone(),
            modified_seconds: 0,
        })
    }

    fn rename(&self, from: &TreePath, to: &TreePath) -> Result<(), FileError> {
        let mut files = self.write();
        let content = files.remove(from).ok_or(FileError::NotFound)?;
        files.insert(to.clone(), content);
        Ok(())
    }

    fn remove(&self, path: &TreePath, directory: bool) -> Result<(), FileError> {
        if directory {
            return Err(FileError::NotDirectory);
        }
        self.write().remove(path).map(|_| ()).ok_or(FileError::NotFound)
    }

    fn create(&self, path: &TreePath, append: bool) -> Result<Box<dyn Write + Send>, FileError> {
        struct Writer(MemoryTree, TreePath);
        impl Write for Writer {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let mut files = self.0.write();
                Arc::make_mut(files.entry(self.1.clone()).or_default()).extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut files = self.write();
        if !append || !files.contains_key(path) {
            files.insert(path.clone(), Arc::default());
        }
        drop(files);
        Ok(Box::new(Writer(self.clone(), path.clone())))
    }
}
