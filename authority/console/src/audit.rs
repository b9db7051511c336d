//! The audit: who ran what, and how it ended.

/// Entries kept; the oldest go first. At a line of 200 bytes this is about 20 MB.
pub const AUDIT_ENTRIES_KEPT: u32 = 100_000;
/// Longest command line recorded, in bytes; the rest is cut, so that a record of 256 KiB does not fill the database.
pub const AUDIT_COMMAND_BYTES_MAX: usize = 4_096;

/// One command that a user ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it ended, in seconds since 1970 UTC.
    pub seconds: i64,
    /// User.
    pub user: String,
    /// Other end of the connection; empty for a local command.
    pub peer: String,
    /// Command line, passwords masked.
    pub command: String,
    /// Exit status.
    pub status: u8,
}

impl AuditEntry {
    /// Cuts the command line to [`AUDIT_COMMAND_BYTES_MAX`].
    pub(crate) fn cut(&mut self) {
        if self.command.len() > AUDIT_COMMAND_BYTES_MAX {
            let mut end = AUDIT_COMMAND_BYTES_MAX;
            while !self.command.is_char_boundary(end) {
                end -= 1;
            }
            self.command.truncate(end);
        }
    }
}
