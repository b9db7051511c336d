//! A unit of the storage array: a sparse file that is made and opened when it is first used, so that a site with
//! thousands of disks costs nothing for those that nobody touches.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use varan_block_engine::{FileDevice, FileOptions};
use varan_contract::block::{BlockDevice, BlockError, BlockRequest, Completion, Geometry, QueueFull};
use varan_model::site::PhysicalVolumeIdentifier;
use varan_model::vios::header::{DiskHeader, HEADER_BYTES};

const LOGICAL_BLOCK: u32 = 512;

/// See the module's description.
pub(super) struct UnitFile {
    path: PathBuf,
    bytes: u64,
    identifier: Option<PhysicalVolumeIdentifier>,
    /// Opened at first use; an error is tried again.
    device: Mutex<Option<Arc<FileDevice>>>,
}

/// Makes a disk with an identifier on it. Its name appears only when it is whole.
fn make(path: &Path, bytes: u64, identifier: Option<PhysicalVolumeIdentifier>) -> std::io::Result<()> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    FileDevice::create(&new, bytes, false)?;
    if identifier.is_some() {
        let file = std::fs::File::options().write(true).open(&new)?;
        let mut block = vec![0; HEADER_BYTES];
        DiskHeader { identifier, group: None }.write(&mut block);
        file.write_all_at(&block, 0)?;
        file.sync_all()?;
    }
    std::fs::rename(&new, path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(directory)?.sync_all()
}

impl UnitFile {
    pub(super) fn new(path: PathBuf, bytes: u64, identifier: Option<PhysicalVolumeIdentifier>) -> Self {
        Self { path, bytes, identifier, device: Mutex::new(None) }
    }

    fn device(&self) -> Result<Arc<FileDevice>, BlockError> {
        // Held while the file is made: whoever comes second waits for the same file.
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = &*device {
            return Ok(device.clone());
        }
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::StorageFull => BlockError::NoSpace,
            _ => BlockError::Medium(format!("{}: {error}", self.path.display())),
        };
        if !self.path.exists() {
            make(&self.path, self.bytes, self.identifier).map_err(failed)?;
        }
        let options = FileOptions { logical_block_size: LOGICAL_BLOCK, ..FileOptions::default() };
        let opened = Arc::new(FileDevice::open(&self.path, options).map_err(failed)?);
        if opened.geometry().size < self.bytes {
            return Err(BlockError::Medium(format!("{}: the file is too short", self.path.display())));
        }
        *device = Some(opened.clone());
        Ok(opened)
    }
}

impl BlockDevice for UnitFile {
    fn geometry(&self) -> Geometry {
        Geometry { size: self.bytes, logical_block_size: LOGICAL_BLOCK, alignment: 1, read_only: false }
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if let Err(error) = request.check(&self.geometry()) {
            completion(Err(error));
            return Ok(());
        }
        match self.device() {
            Ok(device) => device.submit(request, completion),
            Err(error) => {
                completion(Err(error));
                Ok(())
            }
        }
    }

    fn wait_for_room(&self) {
        if let Ok(device) = self.device() {
            device.wait_for_room();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_made_with_its_identifier_and_keeps_its_bytes() {
        let directory = std::env::temp_dir().join(format!("varan-unit-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let identifier = Some(PhysicalVolumeIdentifier(0x00ce_d82c_e999_d6f3));
        let unit = || UnitFile::new(directory.join("one.disk"), 4 << 20, identifier);
        let first = unit();
        assert!(!directory.join("one.disk").exists(), "not before it is used");
        let block = first.read_at(0, HEADER_BYTES).expect("read");
        assert_eq!(DiskHeader::read(&block).identifier, identifier);
        first.write_at(1 << 20, b"content", true).expect("write");
        drop(first);
        assert_eq!(&unit().read_at(1 << 20, 7).expect("read")[..], b"content");
        // Cut short behind our back: an error, not zeros.
        let file = std::fs::File::options().write(true).open(directory.join("one.disk")).expect("file");
        file.set_len(1 << 20).expect("cut");
        assert!(matches!(unit().read_at(1 << 20, 7), Err(BlockError::Medium(_))));
        std::fs::remove_dir_all(&directory).expect("clean");
    }
}
