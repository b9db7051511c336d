//! A user's home directory as the shell and the console's commands see it: `/home/<user>`, nothing above it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use varan_shell::{FileError, FileKind, FileTree, Metadata, TreePath};

/// Bytes that a user may store.
pub const HOME_BYTES_MAX: u64 = 2 << 30;
/// Files and directories that a user may have.
pub const HOME_FILES_MAX: u64 = 20_000;

/// A home directory on the host's disk.
pub struct Home {
    user: String,
    shown_as: String,
    path: PathBuf,
}

impl Home {
    /// Opens the home of `user` under `homes`, making it if it does not exist.
    ///
    /// # Errors
    /// Whatever the host's file system reports.
    pub fn open(homes: &Path, user: &str) -> std::io::Result<Self> {
        let path = homes.join(user);
        std::fs::create_dir_all(&path)?;
        Ok(Self { user: user.to_owned(), shown_as: format!("/home/{user}"), path })
    }

    /// Where it is on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the user sees it.
    #[must_use]
    pub fn shown_as(&self) -> &str {
        &self.shown_as
    }

    /// The part of a path below the home; `None` for everything else.
    fn inside<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.shown_as)?;
        match rest.strip_prefix('/') {
            Some(inside) if !inside.is_empty() => Some(inside),
            None if !rest.is_empty() => None,
            _ => Some("."),
        }
    }

    /// Opens something below the home; the kernel refuses `..`, links and mounts that lead out.
    fn open_inside(&self, path: &str, flags: OFlags) -> Result<File, FileError> {
        let inside = self.inside(path).ok_or(FileError::NotFound)?;
        let directory = File::open(&self.path).map_err(|error| translate(&error))?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let opened = rustix::fs::openat2(&directory, inside, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        opened.map(File::from).map_err(|error| translate(&error.into()))
    }

    /// Reads a file whole, at most `limit` bytes: what `-f` of a command names.
    ///
    /// # Errors
    /// As the host's file system reports, or a file that is too large.
    pub fn read_file(&self, path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
        let absolute = match path {
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{}", self.shown_as, path.strip_prefix("~/").unwrap_or(path)),
        };
        let file = self.open_inside(&absolute, OFlags::RDONLY | OFlags::NONBLOCK);
        let file = file.map_err(|error| std::io::Error::other(error.to_string()))?;
        if file.metadata()?.is_dir() {
            return Err(std::io::Error::other("Is a directory"));
        }
        let mut content = Vec::new();
        file.take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(std::io::Error::other(format!("it is larger than {limit} bytes")));
        }
        Ok(content)
    }
}

impl Home {
    /// Names in a directory of the home; the path is as the user wrote it.
    ///
    /// # Errors
    /// Not there, not a directory, outside the home.
    pub fn list_directory(&self, path: &str) -> std::io::Result<Vec<String>> {
        let absolute = match path {
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{}", self.shown_as, path.strip_prefix("~/").unwrap_or(path)),
        };
        let resolved = TreePath::resolve(&TreePath::root(), absolute.trim_end_matches('/'));
        let resolved = resolved.map_err(|error| std::io::Error::other(error.to_string()))?;
        self.list(&resolved).map_err(|error| std::io::Error::other(error.to_string()))
    }
}

fn translate(error: &std::io::Error) -> FileError {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOENT) => FileError::NotFound,
        Some(rustix::io::Errno::ISDIR) => FileError::IsDirectory,
        Some(rustix::io::Errno::NOTDIR) => FileError::NotDirectory,
        Some(rustix::io::Errno::NAMETOOLONG) => FileError::NameTooLong,
        Some(
            rustix::io::Errno::ACCESS
            | rustix::io::Errno::PERM
            | rustix::io::Errno::XDEV
            | rustix::io::Errno::LOOP,
        ) => FileError::PermissionDenied,
        _ => FileError::Other(error.to_string()),
    }
}

/// Directories above the home that a user can see, each with the one name in it.
fn above(path: &str, user: &str) -> Option<Vec<String>> {
    match path {
        "/" => Some(vec!["home".to_owned()]),
        "/home" => Some(vec![user.to_owned()]),
        _ => None,
    }
}

impl FileTree for Home {
    fn home(&self) -> TreePath {
        TreePath::resolve(&TreePath::root(), &self.shown_as).unwrap_or_else(|_| TreePath::root())
    }

    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>, FileError> {
        if above(path.as_str(), &self.user).is_some() {
            return Err(FileError::IsDirectory);
        }
        let file = self.open_inside(path.as_str(), OFlags::RDONLY | OFlags::NONBLOCK)?;
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => Err(FileError::IsDirectory),
            Ok(metadata) if metadata.is_file() => Ok(Box::new(file)),
            Ok(_) => Err(FileError::PermissionDenied),
            Err(error) => Err(translate(&error)),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<String>, FileError> {
        if let Some(names) = above(path.as_str(), &self.user) {
            return Ok(names);
        }
        let directory = self.open_inside(path.as_str(), OFlags::RDONLY | OFlags::DIRECTORY)?;
        let entries = rustix::fs::Dir::read_from(&directory).map_err(|error| translate(&error.into()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| translate(&error.into()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn metadata(&self, path: &TreePath) -> Result<Metadata, FileError> {
        if above(path.as_str(), &self.user).is_some() {
            return Ok(Metadata {
                kind: FileKind::Directory,
                size: 4_096,
                mode: 0o755,
                links: 2,
                owner: "root".to_owned(),
                group: "root".to_owned(),
                modified_seconds: 0,
            });
        }
        let file = self.open_inside(path.as_str(), OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat =
            rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH).map_err(|error| translate(&error.into()))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
            _ => FileKind::File,
        };
        Ok(Metadata {
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
            links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            owner: self.user.clone(),
            group: "hmc".to_owned(),
            modified_seconds: stat.st_mtime,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        let homes = std::env::temp_dir().join(format!("varan-home-{}", std::process::id()));
        let home = Home::open(&homes, "hscroot").expect("home");
        std::fs::write(home.path().join("records.txt"), "name=a\n").expect("written");
        let _ = std::os::unix::fs::symlink("/etc/passwd", home.path().join("out"));
        home
    }

    #[test]
    fn own_files_are_seen_and_nothing_else() {
        let home = home();
        let path = |text: &str| TreePath::resolve(&home.home(), text).expect("path");
        let mut text = String::new();
        home.open(&path("records.txt")).expect("open").read_to_string(&mut text).expect("read");
        assert_eq!(text, "name=a\n");
        assert_eq!(home.read_file("~/records.txt", 100).expect("read"), b"name=a\n");
        assert_eq!(home.list(&path("/home")).expect("list"), ["hscroot"]);
        for outside in ["/etc/passwd", "../../etc/passwd", "/home/other/x", "/home/hscroot2", "out"] {
            assert!(home.open(&path(outside)).is_err(), "{outside}");
            assert!(home.read_file(outside, 100).is_err(), "{outside}");
        }
        assert!(home.read_file("records.txt", 3).is_err(), "too large");
        assert_eq!(home.metadata(&path("records.txt")).expect("metadata").size, 7);
    }
}
