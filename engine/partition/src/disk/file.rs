//! A boot disk in a sparse file of the host.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use varan_contract::engine::BootDisk;

use super::memory::range;
use crate::lock;

/// Size of a boot disk file: 1 MiB, of which a guest uses the first 132 KiB. The file is sparse.
pub const FILE_BOOT_DISK_BYTES: u64 = 1 << 20;

/// A boot disk of [`FILE_BOOT_DISK_BYTES`] in one file. The file is created at the first write, so that a
/// partition that never ran has none, and is opened per call, so that thousands of idle partitions hold no
/// file descriptors.
pub struct FileBootDisk {
    path: PathBuf,
    /// The file after a write that was not flushed yet: a flush must go through a descriptor that saw it.
    unflushed: Mutex<Option<File>>,
}

impl FileBootDisk {
    /// The boot disk at `path`; nothing is opened or created yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), unflushed: Mutex::new(None) }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_or_create(&self) -> Result<File> {
        let created = !self.path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        if file.metadata()?.len() < FILE_BOOT_DISK_BYTES {
            file.set_len(FILE_BOOT_DISK_BYTES)?;
            file.sync_all()?;
        }
        if created {
            // Without this the name itself could be lost with the power.
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(file)
    }
}

impl BootDisk for FileBootDisk {
    fn size(&self) -> u64 {
        FILE_BOOT_DISK_BYTES
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        range(FILE_BOOT_DISK_BYTES, offset, buffer.len())?;
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                buffer.fill(0);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // A file that a crash left short reads as zeros behind its end.
        let mut done = 0;
        while done < buffer.len() {
            match file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => {
                    buffer[done..].fill(0);
                    break;
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        range(FILE_BOOT_DISK_BYTES, offset, data.len())?;
        let mut unflushed = lock(&self.unflushed);
        let file = match unflushed.take() {
            Some(file) => file,
            None => self.open_or_create()?,
        };
        let written = file.write_all_at(data, offset);
        *unflushed = Some(file);
        written
    }

    fn flush(&self) -> Result<()> {
        match lock(&self.unflushed).take() {
            Some(file) => file.sync_data(),
            None => Ok(()),
        }
    }
}

impl Drop for FileBootDisk {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            let error: Error = error;
            eprintln!("boot disk {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_appears_at_the_first_write_and_keeps_it() {
        let directory = std::env::temp_dir().join(format!("varan-file-boot-disk-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("temporary directory");
        let path = directory.join("hdisk0");
        let disk = FileBootDisk::new(&path);
        let mut bytes = [1; 3];
        disk.read_at(FILE_BOOT_DISK_BYTES - 3, &mut bytes).expect("reads zeros");
        assert_eq!((bytes, path.exists()), ([0; 3], false));
        disk.write_at(4096, b"abc").expect("writes");
        disk.flush().expect("flushes");
        assert_eq!(path.metadata().expect("exists").len(), FILE_BOOT_DISK_BYTES);
        FileBootDisk::new(&path).read_at(4096, &mut bytes).expect("reads");
        assert_eq!(&bytes, b"abc");
        let beyond = disk.write_at(FILE_BOOT_DISK_BYTES - 1, b"ab").expect_err("beyond the end");
        assert_eq!(beyond.kind(), ErrorKind::UnexpectedEof);
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
