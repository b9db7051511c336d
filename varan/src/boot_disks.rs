//! Boot disks that can be lost on purpose.
//!
//! ```text
//!            lose                        lose
//! there ─────────────> lost          every read, write and flush of a lost disk fails; what it holds is kept
//!   ^                   │
//!   └───── return ──────┘
//! ```

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use varan_contract::engine::BootDisk;
use varan_model::ids::PartitionUuid;
use varan_system::guest::BootDisks;

/// Boot disks of any kind, each with a switch. Switches are gone with the process.
#[derive(Default)]
pub struct LosableBootDisks<Disks> {
    disks: Disks,
    /// One for each disk that was opened or lost.
    lost: Mutex<HashMap<PartitionUuid, Arc<AtomicBool>>>,
}

impl<Disks: BootDisks> LosableBootDisks<Disks> {
    /// Disks none of which is lost.
    #[must_use]
    pub fn new(disks: Disks) -> Self {
        Self { disks, lost: Mutex::default() }
    }

    fn switch(&self, partition: PartitionUuid) -> Arc<AtomicBool> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).entry(partition).or_default().clone()
    }
}

impl<Disks: BootDisks> BootDisks for LosableBootDisks<Disks> {
    fn open(&self, partition: PartitionUuid) -> io::Result<Arc<dyn BootDisk>> {
        let disk = self.disks.open(partition)?;
        Ok(Arc::new(LosableBootDisk { disk, lost: self.switch(partition) }))
    }

    fn remove(&self, partition: PartitionUuid) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
        self.disks.remove(partition);
    }

    fn lose(&self, partition: PartitionUuid, lost: bool) -> io::Result<()> {
        self.switch(partition).store(lost, Ordering::Release);
        Ok(())
    }
}

struct LosableBootDisk {
    disk: Arc<dyn BootDisk>,
    lost: Arc<AtomicBool>,
}

impl LosableBootDisk {
    fn there(&self) -> io::Result<&dyn BootDisk> {
        if self.lost.load(Ordering::Acquire) {
            return Err(io::Error::other("the disk does not answer"));
        }
        Ok(&*self.disk)
    }
}

impl BootDisk for LosableBootDisk {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.there()?.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.there()?.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.there()?.flush()
    }
}
