//! Devices over a file or a block device of the host.
//!
//! ```text
//!   submit ----> queue ----> driver: a thread with an io_uring, or a few threads where the kernel has none
//!     |            ^                     |
//!     |            | overlap ended       v
//!     +--> held ---+               completion
//!   perform: the caller's own thread does the system call, under the same order of overlapping writes
//! ```

mod driver;
mod operation;
mod ring;

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock};
use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, Completion, Geometry, QueueFull,
};

use driver::Driver;

/// How the host caches a device's bytes. Either way a flush reaches the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Cache {
    /// In the host's page cache.
    #[default]
    Buffered,
    /// Not at all, where the file system can (`O_DIRECT`); requests must then be aligned to the logical block size.
    Direct,
}

/// What does the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DriverKind {
    /// An io_uring where the kernel has it, threads otherwise.
    #[default]
    Automatic,
    /// Threads.
    Threads,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// Refuse writes.
    pub read_only: bool,
    /// Bytes, 512 or 4096.
    pub logical_block_size: u32,
    /// Caching by the host.
    pub cache: Cache,
    /// What does the requests.
    pub driver: DriverKind,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            logical_block_size: 512,
            cache: Cache::Buffered,
            driver: DriverKind::Automatic,
        }
    }
}

/// A device over a file or block device of the host. It holds the host's lock on the file (`flock`: exclusive, shared when
/// read-only), so that no other process of ours writes to it meanwhile. Dropping it waits for what is under way.
pub struct FileDevice {
    driver: Driver,
}

impl FileDevice {
    /// Opens what is there.
    ///
    /// # Errors
    /// The host's; `WouldBlock` when another device has it open; `InvalidInput` when its length is no multiple of the logical
    /// block size or it is neither a file nor a block device.
    pub fn open(path: &Path, options: FileOptions) -> Result<Self> {
        if ![512, 4_096].contains(&options.logical_block_size) {
            return Err(Error::new(ErrorKind::InvalidInput, "a logical block has 512 or 4096 bytes"));
        }
        let (file, alignment) = open_file(path, options)?;
        let lock = if options.read_only {
            FlockOperation::NonBlockingLockShared
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        flock(&file, lock)?;
        let regular = file.metadata()?.file_type().is_file();
        let size = length(&file)?;
        if size % u64::from(options.logical_block_size) != 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the length is no multiple of the logical block size",
            ));
        }
        let geometry = Geometry {
            size,
            logical_block_size: options.logical_block_size,
            alignment,
            read_only: options.read_only,
        };
        Ok(Self { driver: Driver::new(Arc::new(Backing::new(file, regular, geometry)), options.driver) })
    }

    /// Makes a file of `size` bytes that takes no room until it is written, or all of its room at once where `thick`; its
    /// name is durable then.
    ///
    /// # Errors
    /// The host's: `AlreadyExists`, `StorageFull`. Nothing is left behind.
    pub fn create(path: &Path, size: u64, thick: bool) -> Result<()> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let made = make(&file, path, size, thick);
        if made.is_err() {
            // The file is ours: it was not there a moment ago.
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// Whether queued requests are done by an io_uring.
    #[must_use]
    pub fn uses_io_uring(&self) -> bool {
        self.driver.uses_io_uring()
    }
}

fn make(file: &File, path: &Path, size: u64, thick: bool) -> Result<()> {
    file.set_len(size)?;
    if thick && size > 0 {
        fallocate(file, FallocateFlags::empty(), 0, size)?;
    }
    file.sync_all()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Opens the file and says what its requests must be aligned to.
fn open_file(path: &Path, options: FileOptions) -> Result<(File, u32)> {
    let mut open = OpenOptions::new();
    open.read(true).write(!options.read_only);
    if options.cache == Cache::Direct {
        let direct = OFlags::DIRECT.bits().cast_signed();
        let opened = open.clone().custom_flags(direct).open(path);
        // What the file system cannot, or not with blocks as small as the initiator's, is done through the page cache.
        if let Ok(file) = opened
            && file.read_at(&mut Buffer::zeroed(options.logical_block_size as usize), 0).is_ok()
        {
            return Ok((file, options.logical_block_size));
        }
    }
    Ok((open.open(path)?, 1))
}

fn length(file: &File) -> Result<u64> {
    let metadata = file.metadata()?;
    if metadata.file_type().is_block_device() {
        return Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?);
    }
    if !metadata.file_type().is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "neither a file nor a block device"));
    }
    Ok(metadata.len())
}

impl BlockDevice for FileDevice {
    fn geometry(&self) -> Geometry {
        self.driver.backing().geometry
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> std::result::Result<(), QueueFull> {
        match request.check(&self.geometry()) {
            Ok(()) => self.driver.submit(request, completion),
            Err(error) => {
                completion(Err(error));
                Ok(())
            }
        }
    }

    fn wait_for_room(&self) {
        self.driver.wait_for_room();
    }

    fn perform(&self, request: BlockRequest) -> std::result::Result<BlockAnswer, BlockError> {
        request.check(&self.geometry())?;
        self.driver.perform(request)
    }
}

/// The file under a device, shared by its driver and by those who perform requests themselves.
struct Backing {
    file: File,
    /// No block device.
    regular: bool,
    geometry: Geometry,
    /// Why a flush failed. The host reports such a failure once and forgets the bytes, so that a later flush that
    /// succeeds would be a lie.
    flush_failed: std::sync::OnceLock<String>,
}

impl Backing {
    fn new(file: File, regular: bool, geometry: Geometry) -> Self {
        Self { file, regular, geometry, flush_failed: std::sync::OnceLock::new() }
    }

    /// Whether the file is still what was opened. Writing to one that was cut off would put zeros where data was, and one
    /// that has no name any more ends with this process.
    fn verify(&self) -> std::result::Result<(), BlockError> {
        if !self.regular {
            return Ok(());
        }
        let state = rustix::fs::fstat(&self.file).map_err(|error| BlockError::Medium(error.to_string()))?;
        if state.st_nlink == 0 {
            return Err(BlockError::Gone);
        }
        if u64::try_from(state.st_size).unwrap_or(0) < self.geometry.size {
            return Err(BlockError::Medium("the file is shorter than the device".to_owned()));
        }
        Ok(())
    }

    fn flush_failure(&self) -> std::result::Result<(), BlockError> {
        self.flush_failed.get().map_or(Ok(()), |text| Err(BlockError::Medium(text.clone())))
    }
}

#[cfg(test)]
mod tests;
