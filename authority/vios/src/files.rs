//! The files of a server: its directory tree on the host, and how files come and go in it so that a crash at any instant
//! leaves none half made and removes none that the server did not make.
//!
//! ```text
//! make:    staging/NAME --record--> move to its place        a staged file that no record names goes at the next opening
//! remove:  record with the file's number --> remove          a file of another number at that place is not ours
//! rename:  record with the file's number --> rename
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use varan_environment::make_directory;

use crate::decide::FileFact;
use crate::world::{Renaming, Snapshot, Trash};

/// Directories below `root` that a server has from the beginning.
const TREE: [&str; 10] = [
    "home/padmin",
    "home/ios/logs",
    "var/vio/VMLibrary",
    "var/vio/storagepools",
    "var/vio/CM",
    "var/adm/ras",
    "tmp",
    "mnt",
    "mkcd",
    "etc",
];

/// The directories of a server.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    staging: PathBuf,
    uploads: PathBuf,
}

impl Files {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let files = Self {
            root: directory.join("root"),
            staging: directory.join("staging"),
            uploads: directory.join("upload"),
        };
        for path in TREE {
            make_directory(&files.root.join(path))?;
        }
        make_directory(&files.staging)?;
        make_directory(&files.uploads)?;
        Ok(files)
    }

    /// Where files are put that media are made from.
    pub(crate) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// A file below `root`, or an uploaded one.
    pub(crate) fn fact(&self, path: &str) -> Option<FileFact> {
        let place = match path.strip_prefix(crate::decide::UPLOADS).and_then(|rest| rest.strip_prefix('/')) {
            Some(name) => self.upload(name).ok()?,
            None => self.root.join(path),
        };
        let metadata = fs::symlink_metadata(place).ok()?;
        Some(FileFact { bytes: metadata.len(), inode: metadata.ino() })
    }

    /// An uploaded file; its name must be one.
    fn upload(&self, name: &str) -> Result<PathBuf> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(Error::from(ErrorKind::NotFound));
        }
        let path = self.uploads.join(name);
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(Error::from(ErrorKind::NotFound));
        }
        Ok(path)
    }

    /// Plain files of a directory below `root`, by name.
    pub(crate) fn list(&self, directory: &str) -> Vec<(String, FileFact)> {
        let Ok(entries) = fs::read_dir(self.root.join(directory)) else { return Vec::new() };
        let mut found: Vec<(String, FileFact)> = entries
            .filter_map(std::result::Result::ok)
            .filter_map(|entry| {
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let name = entry.file_name().into_string().ok()?;
                Some((name, FileFact { bytes: metadata.len(), inode: metadata.ino() }))
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// A file of zeros, which takes no room until it is written.
    pub(crate) fn stage_zeros(&self, staged: &str, bytes: u64) -> Result<()> {
        let path = self.staging.join(staged);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let made = file.set_len(bytes).and_then(|()| file.sync_all());
        made.and_then(|()| sync(&self.staging)).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })
    }

    pub(crate) fn stage_upload(&self, staged: &str, upload: &str) -> Result<()> {
        let source = self.upload(upload)?;
        File::open(&source)?.sync_all()?;
        fs::hard_link(source, self.staging.join(staged))?;
        sync(&self.staging)
    }

    pub(crate) fn unstage(&self, staged: &str) {
        let _ = fs::remove_file(self.staging.join(staged));
    }

    pub(crate) fn uploaded(&self, name: &str) {
        if let Ok(path) = self.upload(name) {
            let _ = fs::remove_file(path);
        }
    }

    pub(crate) fn resize(&self, path: &str, bytes: u64) -> Result<()> {
        let file = OpenOptions::new().write(true).open(self.root.join(path))?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    /// Moves a staged file to its place, unless it is there already. Its length becomes a multiple of a block.
    pub(crate) fn place(&self, staged: &str, path: &str) -> Result<()> {
        let (from, to) = (self.staging.join(staged), self.root.join(path));
        let file = match OpenOptions::new().write(true).open(&from) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = file.metadata()?.len();
        if bytes % 512 != 0 {
            file.set_len(bytes.next_multiple_of(512))?;
            file.sync_all()?;
        }
        if let Some(parent) = to.parent() {
            make_directory(parent)?;
        }
        // A name that somebody else took meanwhile stays theirs.
        match fs::hard_link(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists && same(&from, &to) => {}
            Err(error) => return Err(error),
        }
        sync_parent(&to)?;
        fs::remove_file(&from)
    }

    pub(crate) fn remove(&self, trash: &Trash) -> Result<()> {
        let path = self.root.join(&trash.path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.ino() == trash.inode => {
                fs::remove_file(&path)?;
                sync_parent(&path)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn rename(&self, renaming: &Renaming) -> Result<()> {
        let (from, to) = (self.root.join(&renaming.from), self.root.join(&renaming.to));
        match fs::symlink_metadata(&from) {
            Ok(metadata) if metadata.ino() == renaming.inode => {
                fs::rename(&from, &to)?;
                sync_parent(&to)
            }
            _ => Ok(()),
        }
    }

    /// After a crash: what was recorded is carried out, and staged files that nothing names go. Nothing else is touched.
    pub(crate) fn recover(&self, world: &Snapshot) -> Result<()> {
        for trash in world.trash.values() {
            self.remove(trash)?;
        }
        for renaming in world.renaming.values() {
            self.rename(renaming)?;
        }
        for file in world.files.values() {
            let path = crate::decide::file_path(&file.pool, &file.name);
            if let Some(staged) = &file.staged {
                self.place(staged, &path)?;
            }
            // A growth that was not recorded is taken back.
            if self.fact(&path).is_some_and(|fact| fact.bytes > file.megabytes << 20) {
                self.resize(&path, file.megabytes << 20)?;
            }
        }
        for medium in world.media.values() {
            if let Some(staged) = &medium.staged {
                self.place(staged, &crate::decide::file_of_medium(&medium.name))?;
            }
        }
        for entry in fs::read_dir(&self.staging)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| fs::symlink_metadata(path).map(|metadata| metadata.ino()).ok();
    number(one).is_some() && number(one) == number(other)
}

fn sync(directory: &Path) -> Result<()> {
    File::open(directory)?.sync_all()
}

fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync)
}
