//! A disk that keeps only what was synced, and fails in the ways that real disks fail.
//!
//! ```text
//!            write_at                 sync (or write-back)
//!  caller ------------> cache ------------------------------> medium
//!                         |                                     |
//!                         +--- power_loss: each sector keeps ----+
//!                              its medium content or any one
//!                              of its unsynced versions
//! ```
//!
//! The unit of atomicity is the sector: a write of several sectors may be torn between sectors and its
//! sectors may reach the medium in any order, but one sector is old or new, never a mixture. That is what
//! storage devices promise; a component that needs more must use checksums.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::random::Randomness;

/// Unsynced sector versions that the cache holds. Beyond it the oldest is written back, as a kernel does
/// under memory pressure; so a test that never syncs cannot use memory without bound.
pub const CACHE_LIMIT_SECTORS: usize = 262_144;

/// Why a disk operation did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The range is not inside the disk.
    #[error("range {offset}+{length} is outside the disk of {size} bytes")]
    OutOfRange {
        /// First byte that was asked for.
        offset: u64,
        /// Number of bytes that were asked for.
        length: u64,
        /// Size of the disk in bytes.
        size: u64,
    },
    /// The medium cannot be read or written there, or the device failed the request.
    #[error("I/O error at sector {sector}")]
    Io {
        /// The sector that failed; for a failed sync, 0.
        sector: u64,
    },
    /// A thin disk has no more space for a sector that was never written before.
    #[error("no space left for sector {sector}")]
    Full {
        /// The first sector for which there was no space.
        sector: u64,
    },
    /// The power is off; only [`FaultDisk::power_loss`] brings the disk back.
    #[error("the disk has no power")]
    PowerOff,
}

/// How often a disk fails, in parts per million of operations. All zero by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// A read fails once; a repeat may succeed.
    pub read_error: u32,
    /// A write fails; a prefix of its sectors may have been written.
    pub write_error: u32,
    /// A sync fails: some unsynced sectors are on the medium, the others never will be, although reads
    /// still show them until the power goes (as Linux does after a failed write-back).
    pub sync_error: u32,
    /// A write stores its last sector damaged, so that it can no longer be read until it is rewritten.
    pub latent_error: u32,
}

/// What a power loss does to unsynced sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// Each sector keeps its medium content or any of its unsynced versions, independently.
    Random,
    /// All unsynced sectors are lost.
    LoseUnsynced,
    /// All unsynced sectors reach the medium: a disk whose cache has a battery.
    KeepUnsynced,
}

/// Number of operations since the disk was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Reads, failed ones included.
    pub reads: u64,
    /// Writes, failed ones included.
    pub writes: u64,
    /// Syncs, failed ones included.
    pub syncs: u64,
}

type Sector = Box<[u8]>;

/// An array of sectors with a volatile write cache, and faults drawn from its own randomness.
#[derive(Clone, Debug)]
pub struct FaultDisk {
    sector_size: usize,
    sectors: u64,
    /// What survives a power loss.
    medium: BTreeMap<u64, Sector>,
    /// What reads show where it differs from the medium.
    cache: BTreeMap<u64, Sector>,
    /// Unsynced versions, oldest first. The last one of a sector equals its cache content.
    unsynced: VecDeque<(u64, Sector)>,
    unreadable: BTreeSet<u64>,
    allocated: BTreeSet<u64>,
    space_limit: u64,
    writes_until_power_cut: Option<u64>,
    powered: bool,
    faults: DiskFaults,
    random: Randomness,
    counters: DiskCounters,
}

impl FaultDisk {
    /// A disk of `sectors` sectors of `sector_size` bytes (usually 512 or 4096), all zero, without faults.
    ///
    /// # Panics
    /// If `sector_size` is 0.
    #[must_use]
    pub fn new(sector_size: usize, sectors: u64, random: Randomness) -> Self {
        assert!(sector_size > 0, "a sector has at least one byte");
        Self {
            sector_size,
            sectors,
            medium: BTreeMap::new(),
            cache: BTreeMap::new(),
            unsynced: VecDeque::new(),
            unreadable: BTreeSet::new(),
            allocated: BTreeSet::new(),
            space_limit: sectors,
            writes_until_power_cut: None,
            powered: true,
            faults: DiskFaults::default(),
            random,
            counters: DiskCounters::default(),
        }
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.sectors.saturating_mul(self.sector_size as u64)
    }

    /// Size of one sector in bytes.
    #[must_use]
    pub fn sector_size(&self) -> usize {
        self.sector_size
    }

    /// Operations so far.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        self.counters
    }

    /// Number of unsynced sector versions.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Whether the power is on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Sets how often operations fail from now on.
    pub fn set_faults(&mut self, faults: DiskFaults) {
        self.faults = faults;
    }

    /// Makes the disk thin: at most `sectors` distinct sectors can ever be written ([`DiskError::Full`]).
    pub fn set_space_limit(&mut self, sectors: u64) {
        self.space_limit = sectors;
    }

    /// Makes one sector unreadable until it is rewritten.
    pub fn damage_sector(&mut self, sector: u64) {
        self.unreadable.insert(sector);
    }

    /// Inverts one bit that is on the medium, silently (bit rot). `byte` counts from the disk's start.
    pub fn flip_bit(&mut self, byte: u64, bit: u8) {
        let (sector, within) = self.locate(byte);
        let size = self.sector_size;
        for copy in
            [Some(self.medium.entry(sector).or_insert_with(|| zeroes(size))), self.cache.get_mut(&sector)]
                .into_iter()
                .flatten()
        {
            copy[within] ^= 1 << (bit % 8);
        }
    }

    /// Lets the power go in the middle of the write that follows `writes` whole ones: a random part of its
    /// sectors enters the cache and every later operation fails with [`DiskError::PowerOff`]. Trying every
    /// number in turn tests a crash at each write of a program.
    pub fn cut_power_after(&mut self, writes: u64) {
        self.writes_until_power_cut = Some(writes);
    }

    /// Reads `buffer.len()` bytes from byte `offset`.
    ///
    /// # Errors
    /// [`DiskError::OutOfRange`], [`DiskError::Io`] or [`DiskError::PowerOff`]; the buffer is then unspecified.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.counters.reads += 1;
        self.check(offset, buffer.len())?;
        if self.random.chance(self.faults.read_error) {
            return Err(DiskError::Io { sector: self.locate(offset).0 });
        }
        for piece in self.pieces(offset, buffer.len()) {
            if self.unreadable.contains(&piece.sector) {
                return Err(DiskError::Io { sector: piece.sector });
            }
            let target = &mut buffer[piece.start..piece.start + piece.length];
            match self.content(piece.sector) {
                Some(content) => target.copy_from_slice(&content[piece.within..piece.within + piece.length]),
                None => target.fill(0),
            }
        }
        Ok(())
    }

    /// Writes `data` at byte `offset`; it is durable only after [`FaultDisk::sync`]. A sector that is
    /// written in part is read, changed and written whole.
    ///
    /// # Errors
    /// [`DiskError::OutOfRange`] (nothing written), or [`DiskError::Full`], [`DiskError::Io`],
    /// [`DiskError::PowerOff`]: then some of the sectors may have been written.
    pub fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.counters.writes += 1;
        self.check(offset, data.len())?;
        let mut pieces = self.pieces(offset, data.len());
        let outcome = self.interruption(&mut pieces, offset);
        for piece in &pieces {
            if self.unreadable.contains(&piece.sector) && piece.length < self.sector_size {
                return Err(DiskError::Io { sector: piece.sector });
            }
            if !self.allocated.contains(&piece.sector) && self.allocated.len() as u64 >= self.space_limit {
                return Err(DiskError::Full { sector: piece.sector });
            }
            self.store(piece, &data[piece.start..piece.start + piece.length]);
        }
        if let (Ok(()), Some(last)) = (outcome, pieces.last())
            && self.random.chance(self.faults.latent_error)
        {
            self.unreadable.insert(last.sector);
        }
        outcome
    }

    /// Decides whether this write is cut short, and if so leaves only the pieces that are still written.
    fn interruption(&mut self, pieces: &mut Vec<Piece>, offset: u64) -> Result<(), DiskError> {
        if let Some(left) = self.writes_until_power_cut.as_mut() {
            if *left == 0 {
                self.writes_until_power_cut = None;
                self.powered = false;
                // Sectors of one write reach the device in any order.
                let random = &mut self.random;
                pieces.retain(|_| random.chance(500_000));
                return Err(DiskError::PowerOff);
            }
            *left -= 1;
        }
        if self.random.chance(self.faults.write_error) {
            let written = self.random.below(pieces.len() as u64);
            pieces.truncate(usize::try_from(written).unwrap_or(0));
            return Err(DiskError::Io { sector: self.locate(offset).0 });
        }
        Ok(())
    }

    /// Makes every write so far durable.
    ///
    /// # Errors
    /// [`DiskError::Io`]: the writes since the last sync are partly lost for good, see
    /// [`DiskFaults::sync_error`]; a later sync that succeeds does not bring them back.
    /// [`DiskError::PowerOff`].
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.counters.syncs += 1;
        if !self.powered {
            return Err(DiskError::PowerOff);
        }
        let failed = self.random.chance(self.faults.sync_error);
        while let Some((sector, content)) = self.unsynced.pop_front() {
            if !failed || self.random.chance(500_000) {
                self.medium.insert(sector, content);
            }
        }
        if failed {
            // The cache keeps showing the lost writes, but nothing will write them any more.
            return Err(DiskError::Io { sector: 0 });
        }
        // Sectors that an earlier failed sync lost stay in the cache: only what was just written is clean.
        let medium = &self.medium;
        self.cache.retain(|sector, content| medium.get(sector) != Some(content));
        Ok(())
    }

    /// The power goes and comes back: the cache is gone, and unsynced sectors are lost or kept as `kind` says.
    pub fn power_loss(&mut self, kind: PowerLoss) {
        let mut versions: BTreeMap<u64, Vec<Sector>> = BTreeMap::new();
        for (sector, content) in std::mem::take(&mut self.unsynced) {
            versions.entry(sector).or_default().push(content);
        }
        for (sector, mut contents) in versions {
            let chosen = match kind {
                PowerLoss::LoseUnsynced => 0,
                PowerLoss::KeepUnsynced => contents.len(),
                PowerLoss::Random => {
                    usize::try_from(self.random.between(0, contents.len() as u64)).unwrap_or(0)
                }
            };
            if chosen > 0 {
                self.medium.insert(sector, contents.swap_remove(chosen - 1));
            }
        }
        self.cache.clear();
        self.powered = true;
        self.writes_until_power_cut = None;
    }

    fn check(&self, offset: u64, length: usize) -> Result<(), DiskError> {
        if !self.powered {
            return Err(DiskError::PowerOff);
        }
        let (length, size) = (length as u64, self.size());
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(DiskError::OutOfRange { offset, length, size }),
        }
    }

    fn locate(&self, byte: u64) -> (u64, usize) {
        let size = self.sector_size as u64;
        (byte / size, usize::try_from(byte % size).unwrap_or(0))
    }

    fn pieces(&self, offset: u64, length: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < length {
            let (sector, within) = self.locate(offset + start as u64);
            let part = (self.sector_size - within).min(length - start);
            pieces.push(Piece { sector, within, start, length: part });
            start += part;
        }
        pieces
    }

    fn content(&self, sector: u64) -> Option<&Sector> {
        self.cache.get(&sector).or_else(|| self.medium.get(&sector))
    }

    fn store(&mut self, piece: &Piece, data: &[u8]) {
        let mut content = self.content(piece.sector).cloned().unwrap_or_else(|| zeroes(self.sector_size));
        content[piece.within..piece.within + piece.length].copy_from_slice(data);
        self.unreadable.remove(&piece.sector);
        self.allocated.insert(piece.sector);
        self.cache.insert(piece.sector, content.clone());
        self.unsynced.push_back((piece.sector, content));
        if self.unsynced.len() > CACHE_LIMIT_SECTORS
            && let Some((sector, oldest)) = self.unsynced.pop_front()
        {
            self.medium.insert(sector, oldest);
        }
    }
}

/// The part of a request that falls into one sector.
#[derive(Clone, Copy, Debug)]
struct Piece {
    sector: u64,
    within: usize,
    start: usize,
    length: usize,
}

fn zeroes(size: usize) -> Sector {
    vec![0; size].into_boxed_slice()
}
