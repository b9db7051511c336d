//! The store on a boot disk.
//!
//! ```text
//! byte 0         512 bytes that the store never writes (a boot record or label may be there)
//! byte 4096      copy A: header sector, then the payload
//! byte 69632     copy B: the same
//! byte 135168    end of the store ([`STORE_END`])
//!
//! header sector (little endian)
//!   0   magic "VARANBD1"
//!   8   sequence, u64: the copy with the higher one is the present state
//!   16  payload length in bytes, u64
//!   24  CRC-64/XZ of bytes 0 to 24 and of the payload, u64
//!   32  zeros
//! payload: a `BootConfiguration` as JSON, so that later versions can add fields
//! ```
//!
//! A change is written over the older copy and flushed before it is acknowledged. A write that is torn anywhere
//! leaves the newer copy whole.

use std::io::Error;

use thiserror::Error as ThisError;
use varan_contract::engine::BootDisk;

use super::configuration::BootConfiguration;

const SECTOR: usize = 512;
const COPY_OFFSETS: [u64; 2] = [4096, 4096 + COPY_BYTES as u64];
/// Bytes of one copy, header included: several times what a full error log and ODM need.
const COPY_BYTES: usize = 64 << 10;
const MAGIC: &[u8; 8] = b"VARANBD1";
const CHECKED_HEADER: usize = 24;

/// First byte behind the store. A smaller disk cannot be booted.
pub const STORE_END: u64 = COPY_OFFSETS[1] + COPY_BYTES as u64;

/// Where the present state lies, to be given back to [`store()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorePosition {
    copy: usize,
    sequence: u64,
}

/// What a disk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// An installed system.
    Installed(Box<BootConfiguration>, StorePosition),
    /// Nothing: it may be installed.
    Blank,
    /// Something else, or too small; it is left alone.
    NotBootable,
    /// A store whose copies are both unreadable; it is left alone.
    Damaged,
}

/// Why a disk could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum DiskFault {
    /// The storage reported an error.
    #[error("boot disk: {0}")]
    Storage(String),
    /// The state does not fit its copy.
    #[error("the state of {bytes} bytes does not fit the boot disk's store")]
    TooLarge {
        /// Bytes of the encoded state.
        bytes: usize,
    },
}

impl From<Error> for DiskFault {
    fn from(error: Error) -> Self {
        Self::Storage(error.to_string())
    }
}

enum CopyState {
    Blank,
    Valid(u64, Box<BootConfiguration>),
    /// Magic is there, contents are not; with the sequence that the header claims.
    Torn(u64),
    Foreign,
}

/// Reads what a disk holds.
///
/// # Errors
/// [`DiskFault::Storage`].
pub fn load(disk: &dyn BootDisk) -> Result<Loaded, DiskFault> {
    if disk.size() < STORE_END {
        return Ok(Loaded::NotBootable);
    }
    let mut label = [0; SECTOR];
    disk.read_at(0, &mut label)?;
    let first = read_copy(disk, 0)?;
    let second = read_copy(disk, 1)?;
    Ok(match (first, second) {
        (CopyState::Valid(sequence, state), CopyState::Valid(other, _)) if sequence > other => {
            Loaded::Installed(state, StorePosition { copy: 0, sequence })
        }
        (_, CopyState::Valid(sequence, state)) => {
            Loaded::Installed(state, StorePosition { copy: 1, sequence })
        }
        (CopyState::Valid(sequence, state), _) => {
            Loaded::Installed(state, StorePosition { copy: 0, sequence })
        }
        (CopyState::Foreign, _) | (_, CopyState::Foreign) => Loaded::NotBootable,
        // The very first write was torn: nothing was acknowledged, so nothing is lost by starting over.
        (CopyState::Torn(1), CopyState::Blank) => Loaded::Blank,
        (CopyState::Blank, CopyState::Blank) if label == [0; SECTOR] => Loaded::Blank,
        (CopyState::Blank, CopyState::Blank) => Loaded::NotBootable,
        (CopyState::Torn(_), _) | (_, CopyState::Torn(_)) => Loaded::Damaged,
    })
}

fn read_copy(disk: &dyn BootDisk, copy: usize) -> Result<CopyState, DiskFault> {
    let mut header = [0; SECTOR];
    disk.read_at(COPY_OFFSETS[copy], &mut header)?;
    if header == [0; SECTOR] {
        return Ok(CopyState::Blank);
    }
    if &header[..8] != MAGIC {
        return Ok(CopyState::Foreign);
    }
    let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let (sequence, length, checksum) = (number(8), number(16), number(24));
    if length > (COPY_BYTES - SECTOR) as u64 {
        return Ok(CopyState::Torn(sequence));
    }
    let mut payload = vec![0; length as usize];
    disk.read_at(COPY_OFFSETS[copy] + SECTOR as u64, &mut payload)?;
    if checksum_of(&header[..CHECKED_HEADER], &payload) != checksum {
        return Ok(CopyState::Torn(sequence));
    }
    Ok(match serde_json::from_slice(&payload) {
        Ok(state) => CopyState::Valid(sequence, Box::new(state)),
        // Written whole by something that this version does not understand.
        Err(_) => CopyState::Foreign,
    })
}

/// Writes a state behind `position` (`None` on a blank disk) and flushes it. After an error the state at
/// `position` is still whole, and the call can be repeated with the same `position`.
///
/// # Errors
/// [`DiskFault`].
pub fn store(
    disk: &dyn BootDisk,
    position: Option<StorePosition>,
    state: &BootConfiguration,
) -> Result<StorePosition, DiskFault> {
    let payload = serde_json::to_vec(state).map_err(|error| DiskFault::Storage(error.to_string()))?;
    if payload.len() > COPY_BYTES - SECTOR {
        return Err(DiskFault::TooLarge { bytes: payload.len() });
    }
    let next = match position {
        Some(position) => StorePosition { copy: 1 - position.copy, sequence: position.sequence + 1 },
        None => StorePosition { copy: 0, sequence: 1 },
    };
    let mut image = vec![0; SECTOR];
    image[..8].copy_from_slice(MAGIC);
    image[8..16].copy_from_slice(&next.sequence.to_le_bytes());
    image[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    let checksum = checksum_of(&image[..CHECKED_HEADER], &payload);
    image[24..32].copy_from_slice(&checksum.to_le_bytes());
    image.extend_from_slice(&payload);
    image.resize(image.len().next_multiple_of(SECTOR), 0);
    disk.write_at(COPY_OFFSETS[next.copy], &image)?;
    disk.flush()?;
    Ok(next)
}

/// CRC-64/XZ: polynomial 0x42F0E1EBA9EA3693 reflected, as the xz file format defines it.
const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xC96C_5795_D787_0F42 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

fn checksum_of(header: &[u8], payload: &[u8]) -> u64 {
    let bytes = header.iter().chain(payload);
    !bytes.fold(u64::MAX, |sum, byte| TABLE[((sum ^ u64::from(*byte)) & 0xFF) as usize] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use varan_contract::engine::{Installation, Personality};

    use super::*;
    use crate::disk::MemoryBootDisk;

    /// Lets through a number of sectors, then writes no more and fails.
    struct TornDisk {
        disk: MemoryBootDisk,
        sectors_left: AtomicU64,
    }

    impl BootDisk for TornDisk {
        fn size(&self) -> u64 {
            self.disk.size()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            self.disk.read_at(offset, buffer)
        }

        fn write_at(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            for (number, sector) in data.chunks(SECTOR).enumerate() {
                let left = self.sectors_left.load(Ordering::Relaxed);
                if left == 0 {
                    return Err(Error::other("power lost"));
                }
                self.sectors_left.store(left - 1, Ordering::Relaxed);
                self.disk.write_at(offset + (number * SECTOR) as u64, sector)?;
            }
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            if self.sectors_left.load(Ordering::Relaxed) == 0 {
                return Err(Error::other("power lost"));
            }
            Ok(())
        }
    }

    fn installed() -> BootConfiguration {
        let installation = Installation {
            personality: Personality::Aix,
            level: "7100-03-05-1524".to_owned(),
            hostname: "aix1".to_owned(),
            address: None,
        };
        let mut state = BootConfiguration::install(&installation, 42);
        for second in 0..40 {
            state.log_error(0x9DBC_FDEE, second, 7);
        }
        state
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(checksum_of(b"", b"123456789"), 0x995D_C9BB_DF19_39FA);
    }

    #[test]
    fn a_write_torn_at_every_sector_loses_nothing_acknowledged() {
        for writes_before in 0..4 {
            for sectors in 0..40 {
                let disk =
                    TornDisk { disk: MemoryBootDisk::new(1 << 20), sectors_left: AtomicU64::new(u64::MAX) };
                let mut state = installed();
                let mut position = None;
                let mut acknowledged = None;
                for number in 0..writes_before {
                    state.hostname = format!("host{number}");
                    position = Some(store(&disk, position, &state).expect("whole"));
                    acknowledged = Some(state.clone());
                }
                disk.sectors_left.store(sectors, Ordering::Relaxed);
                state.hostname = "in-flight".to_owned();
                let answer = store(&disk, position, &state);
                if answer.is_ok() {
                    acknowledged = Some(state.clone());
                }
                let place = format!("{writes_before} writes, torn after {sectors} sectors");
                match (load(&disk).expect(&place), acknowledged) {
                    (Loaded::Blank, None) => {}
                    (Loaded::Installed(found, _), None) => assert_eq!(*found, state, "{place}"),
                    (Loaded::Installed(found, _), Some(acknowledged)) => {
                        assert!(*found == acknowledged || *found == state, "{place}");
                    }
                    (found, acknowledged) => panic!("{place}: {found:?}, acknowledged {acknowledged:?}"),
                }
                // The same write again, on a disk that is well again.
                disk.sectors_left.store(u64::MAX, Ordering::Relaxed);
                store(&disk, answer.ok().or(position), &state).expect(&place);
                assert!(
                    matches!(load(&disk).expect(&place), Loaded::Installed(found, _) if *found == state),
                    "{place}"
                );
            }
        }
    }

    #[test]
    fn other_contents_are_never_taken_for_a_blank_disk() {
        for (name, offset) in [("label", 0), ("copy A", COPY_OFFSETS[0]), ("copy B", COPY_OFFSETS[1])] {
            let disk = MemoryBootDisk::new(1 << 20);
            disk.write_at(offset, b"something").expect("fits");
            assert_eq!(load(&disk), Ok(Loaded::NotBootable), "{name}");
        }
        assert_eq!(load(&MemoryBootDisk::new(4096)), Ok(Loaded::NotBootable));
        assert_eq!(load(&MemoryBootDisk::new(1 << 20)), Ok(Loaded::Blank));
    }

    #[test]
    fn rot_in_both_copies_is_damage_not_blankness() {
        let disk = MemoryBootDisk::new(1 << 20);
        let position = store(&disk, None, &installed()).expect("whole");
        store(&disk, Some(position), &installed()).expect("whole");
        for offset in COPY_OFFSETS {
            disk.write_at(offset + 600, b"rot").expect("fits");
        }
        assert_eq!(load(&disk), Ok(Loaded::Damaged));
    }

    #[test]
    fn a_full_state_fits() {
        let mut state = installed();
        for second in 0..10 * super::super::ERROR_LOG_ENTRIES as i64 {
            state.log_error(u32::MAX, i64::MAX - second, u64::MAX);
        }
        for number in 0..super::super::ODM_ATTRIBUTES {
            state.attributes.push((format!("attribute{number:03}"), "v".repeat(128)));
        }
        store(&MemoryBootDisk::new(1 << 20), None, &state).expect("fits");
    }
}
