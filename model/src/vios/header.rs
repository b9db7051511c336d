//! What a disk says of itself in its first 4 KiB: the physical volume identifier and the volume group that it belongs to.
//!
//! | bytes | content |
//! |---|---|
//! | 0 to 3 | `C9C2D4C1`: the letters `IBMA` in EBCDIC, as AIX marks its disks |
//! | 128 to 135 | physical volume identifier, most significant byte first; zero for none |
//! | 3584 to 3587 | `_LVM` when the disk belongs to a volume group (the place is AIX's, the layout behind it is our own) |
//! | 3588 to 3603 | identifier of the volume group |
//! | 3604 to 3619 | UUID of the partition whose server wrote it |
//! | 3620 to 3623 | size of a physical partition in MB |
//!
//! Numbers are big-endian. Physical partitions begin at [`PARTITIONS_START`]. Whoever makes a disk with a given identifier
//! writes it with [`DiskHeader::write`]; all other bytes of the block stay as they are.

use crate::ids::PartitionUuid;
use crate::site::PhysicalVolumeIdentifier;

/// Bytes of the header: the disk's first block, read and written as a whole.
pub const HEADER_BYTES: usize = 4_096;
/// First byte of the first physical partition.
pub const PARTITIONS_START: u64 = 1 << 20;

const MARK: [u8; 4] = [0xC9, 0xC2, 0xD4, 0xC1];
const IDENTIFIER: usize = 128;
const GROUP_MARK: [u8; 4] = *b"_LVM";
const GROUP: usize = 3_584;

/// The volume group that a disk belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMark {
    /// Identifier of the volume group.
    pub identifier: u128,
    /// Partition whose server wrote it.
    pub author: PartitionUuid,
    /// Size of a physical partition in MB.
    pub partition_megabytes: u32,
}

/// What the first block says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskHeader {
    /// Physical volume identifier.
    pub identifier: Option<PhysicalVolumeIdentifier>,
    /// Volume group.
    pub group: Option<GroupMark>,
}

fn number<const BYTES: usize>(block: &[u8], at: usize) -> [u8; BYTES] {
    std::array::from_fn(|index| block[at + index])
}

impl DiskHeader {
    /// Reads a disk's first block; bytes that are no header say nothing.
    #[must_use]
    pub fn read(block: &[u8]) -> Self {
        if block.len() < HEADER_BYTES {
            return Self::default();
        }
        let identifier = u64::from_be_bytes(number(block, IDENTIFIER));
        let marked = block[..4] == MARK && identifier != 0;
        let group = (block[GROUP..GROUP + 4] == GROUP_MARK).then(|| GroupMark {
            identifier: u128::from_be_bytes(number(block, GROUP + 4)),
            author: PartitionUuid(u128::from_be_bytes(number(block, GROUP + 20))),
            partition_megabytes: u32::from_be_bytes(number(block, GROUP + 36)),
        });
        Self { identifier: marked.then_some(PhysicalVolumeIdentifier(identifier)), group }
    }

    /// Writes itself into a disk's first block.
    ///
    /// # Panics
    /// If the block is shorter than [`HEADER_BYTES`].
    pub fn write(&self, block: &mut [u8]) {
        assert!(block.len() >= HEADER_BYTES, "a header needs {HEADER_BYTES} bytes");
        let identifier = self.identifier.map_or(0, |identifier| identifier.0);
        if identifier != 0 {
            block[..4].copy_from_slice(&MARK);
        }
        if block[..4] == MARK {
            block[IDENTIFIER..IDENTIFIER + 8].copy_from_slice(&identifier.to_be_bytes());
        }
        match self.group {
            Some(group) => {
                block[GROUP..GROUP + 4].copy_from_slice(&GROUP_MARK);
                block[GROUP + 4..GROUP + 20].copy_from_slice(&group.identifier.to_be_bytes());
                block[GROUP + 20..GROUP + 36].copy_from_slice(&group.author.0.to_be_bytes());
                block[GROUP + 36..GROUP + 40].copy_from_slice(&group.partition_megabytes.to_be_bytes());
            }
            None if block[GROUP..GROUP + 4] == GROUP_MARK => block[GROUP..GROUP + 40].fill(0),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_leaves_other_bytes_alone() {
        let mut block = vec![0x5A_u8; HEADER_BYTES];
        assert_eq!(DiskHeader::read(&block), DiskHeader::default());
        DiskHeader::default().write(&mut block);
        assert!(block.iter().all(|byte| *byte == 0x5A));
        let group = GroupMark { identifier: 7, author: PartitionUuid(9), partition_megabytes: 128 };
        let header = DiskHeader {
            identifier: Some(PhysicalVolumeIdentifier(0x00ce_d82c_e999_d6f3)),
            group: Some(group),
        };
        header.write(&mut block);
        assert_eq!(DiskHeader::read(&block), header);
        assert_eq!(block[128..136], [0x00, 0xce, 0xd8, 0x2c, 0xe9, 0x99, 0xd6, 0xf3]);
        assert!(block[4..128].iter().chain(&block[136..3_584]).all(|byte| *byte == 0x5A));
        DiskHeader { group: None, ..header }.write(&mut block);
        assert_eq!(DiskHeader::read(&block), DiskHeader { group: None, ..header });
        DiskHeader::default().write(&mut block);
        assert_eq!(DiskHeader::read(&block), DiskHeader::default());
        assert_eq!(DiskHeader::read(&block[..512]), DiskHeader::default());
    }
}
