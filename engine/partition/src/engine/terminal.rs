//! Virtual terminals: one for each partition, with at most one attached reader and a little of what nobody saw. Thousands of
//! them fit on one machine, so they keep little; a terminal that is opened again shows nothing twice: on the real thing it
//! is silent until the guest writes.

/// Output that nobody saw and that is kept for whoever attaches next.
const UNSEEN_BYTES: usize = 2 << 10;
/// Output that waits for a slow reader.
const UNREAD_BYTES: usize = 64 << 10;

/// The virtual terminal of one partition. It outlives its guests; its user, `rmvterm`, the removal of the partition and the
/// frame's loss of power close it.
pub(super) type Terminal = varan_terminal::VirtualTerminal<UNSEEN_BYTES, UNREAD_BYTES>;
/// The way from a guest to one attached reader.
pub(super) type Link = varan_terminal::Link<UNREAD_BYTES>;
