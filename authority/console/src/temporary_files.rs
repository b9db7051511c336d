//! Temporary files of a console: what writing a backup or a firmware package left behind when it was broken off.
//!
//! A file that is written is locked by its writer, so what is in use is told from what was left. Nothing else in the
//! console's directory is temporary: databases, keys, backups, packages and homes are never touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::console::Console;

/// Directories of the console in which files are written beside their places, with those directly below them.
const DIRECTORIES: [&str; 2] = ["firmware", "profiles"];
/// What names of such files begin with; nothing else in these directories does.
const MARK: char = '.';

/// One temporary file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryFile {
    path: PathBuf,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was changed, in seconds since 1970 UTC.
    pub seconds: i64,
}

impl Console {
    /// The temporary files that nobody writes, oldest first.
    ///
    /// # Errors
    /// Whatever the file system reports.
    pub fn temporary_files(&self) -> io::Result<Vec<TemporaryFile>> {
        let mut found = Vec::new();
        for directory in DIRECTORIES {
            collect(&self.directory.join(directory), true, &mut found)?;
        }
        found.sort_by(|one, other| (one.seconds, &one.path).cmp(&(other.seconds, &other.path)));
        Ok(found)
    }

    /// Removes one of them, unless somebody writes it by now or it is gone. Returns whether it was removed.
    ///
    /// # Errors
    /// Whatever the file system reports.
    pub fn remove_temporary_file(&self, file: &TemporaryFile) -> io::Result<bool> {
        remove(file)
    }
}

fn remove(file: &TemporaryFile) -> io::Result<bool> {
    let opened = match File::open(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    if opened.try_lock().is_err() {
        return Ok(false);
    }
    fs::remove_file(&file.path)?;
    Ok(true)
}

fn collect(directory: &Path, deeper: bool, found: &mut Vec<TemporaryFile>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && deeper {
            collect(&entry.path(), false, found)?;
        }
        if !kind.is_file() || !entry.file_name().to_string_lossy().starts_with(MARK) {
            continue;
        }
        // It may have got its place since.
        let Ok(file) = File::open(entry.path()) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let metadata = file.metadata()?;
        let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        found.push(TemporaryFile { path: entry.path(), bytes: metadata.len(), seconds });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_left_unfinished_and_is_not_in_use_is_removed() {
        let root = std::env::temp_dir().join(format!("varan-temporary-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let deep = root.join("2166661");
        fs::create_dir_all(deep.join("further")).expect("directories");
        for name in ["backup", ".left.unfinished", ".busy.unfinished", "further/.deeper"] {
            fs::write(deep.join(name), b"bytes").expect("written");
        }
        let busy = File::open(deep.join(".busy.unfinished")).expect("opened");
        busy.lock().expect("locked");
        let found = || {
            let mut found = Vec::new();
            collect(&root, true, &mut found).expect("looked");
            found
        };
        let left = found();
        assert_eq!((left.len(), left[0].bytes), (1, 5), "{left:?}");
        assert!(left[0].path.ends_with(".left.unfinished") && left[0].seconds > 1_600_000_000);
        assert!(remove(&left[0]).expect("removed"));
        assert!(!remove(&left[0]).expect("gone"));
        assert!(found().is_empty());
        drop(busy);
        let free = found();
        let busy = File::open(deep.join(".busy.unfinished")).expect("opened");
        busy.lock().expect("locked");
        assert!(!remove(&free[0]).expect("in use again"));
        assert!(deep.join("backup").exists() && deep.join(".busy.unfinished").exists());
        collect(&root.join("nowhere"), true, &mut Vec::new()).expect("nothing is there");
        fs::remove_dir_all(&root).expect("removed");
    }
}
