//! The virtual terminal of a partition: it outlives readers and guests. Partitions on QEMU are few and their operating
//! systems say much, so more is kept than for embedded guests.

/// Output that nobody saw and that is kept for whoever attaches next.
const UNSEEN_BYTES: usize = 64 << 10;
/// Output that waits for a slow reader.
const UNREAD_BYTES: usize = 256 << 10;

/// The virtual terminal of one partition.
pub(crate) type Terminal = varan_terminal::VirtualTerminal<UNSEEN_BYTES, UNREAD_BYTES>;
/// The way to one attached reader.
pub(crate) type Link = varan_terminal::Link<UNREAD_BYTES>;
