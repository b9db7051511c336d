//! Requests of the transmission phase.

use crate::export::{ExportInformation, Failure};
use crate::handshake::Session;
use crate::protocol::{ErrorNumber, Fields, REQUEST_MAGIC, command};

/// Bytes of a request without its payload.
pub const REQUEST_LENGTH: usize = 28;
/// Most extents in one answer.
const MAXIMUM_EXTENTS: usize = 4_096;

/// A request as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Flags of the command.
    pub flags: u16,
    /// The command.
    pub command: u16,
    /// What the client knows the request by.
    pub cookie: u64,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

/// A request that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read.
    Read {
        /// In one piece.
        whole: bool,
    },
    /// Write the payload.
    Write {
        /// Durable.
        durable: bool,
    },
    /// Make everything durable.
    Flush,
    /// Give up bytes.
    Trim {
        /// Durable.
        durable: bool,
    },
    /// Nothing to do: an empty range, or a hint.
    Nothing,
    /// Zeros.
    Zero {
        /// The room may be given back.
        may_trim: bool,
        /// Not by writing them.
        only_fast: bool,
        /// Durable.
        durable: bool,
    },
    /// States of bytes.
    Status {
        /// Most extents.
        limit: usize,
    },
    /// The end.
    Disconnect,
}

impl RequestHeader {
    /// Reads a header; `None` where it is none, after which nothing makes sense any more.
    #[must_use]
    pub fn decode(bytes: &[u8; REQUEST_LENGTH]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let magic = fields.u32()?;
        let (flags, command) = (fields.u16()?, fields.u16()?);
        let header =
            Self { flags, command, cookie: fields.u64()?, offset: fields.u64()?, length: fields.u32()? };
        (magic == REQUEST_MAGIC).then_some(header)
    }

    /// Writes a header.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(REQUEST_LENGTH);
        bytes.extend(REQUEST_MAGIC.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.command.to_be_bytes());
        bytes.extend(self.cookie.to_be_bytes());
        bytes.extend(self.offset.to_be_bytes());
        bytes.extend(self.length.to_be_bytes());
        bytes
    }

    /// Bytes that follow the header.
    #[must_use]
    pub fn payload(&self) -> u32 {
        if self.command == command::WRITE { self.length } else { 0 }
    }

    /// Holds a request against its export.
    ///
    /// # Errors
    /// What the client is answered.
    pub fn check(&self, export: &ExportInformation, session: Session) -> Result<Command, Failure> {
        let flag = |flag: u16| self.flags & flag != 0;
        let durable = flag(command::FLAG_FORCE_UNIT_ACCESS);
        let (allowed, wanted) = match self.command {
            command::READ => {
                (command::FLAG_DO_NOT_FRAGMENT, Command::Read { whole: flag(command::FLAG_DO_NOT_FRAGMENT) })
            }
            command::WRITE => (0, Command::Write { durable }),
            command::FLUSH => (0, Command::Flush),
            command::TRIM => (0, Command::Trim { durable }),
            command::CACHE => (0, Command::Nothing),
            command::WRITE_ZEROES => (
                command::FLAG_NO_HOLE | command::FLAG_FAST_ZERO,
                Command::Zero {
                    may_trim: !flag(command::FLAG_NO_HOLE),
                    only_fast: flag(command::FLAG_FAST_ZERO),
                    durable,
                },
            ),
            command::BLOCK_STATUS => {
                let limit = if flag(command::FLAG_ONE) { 1 } else { MAXIMUM_EXTENTS };
                (command::FLAG_ONE, Command::Status { limit })
            }
            command::DISCONNECT => return Ok(Command::Disconnect),
            _ => return Err(Failure::new(ErrorNumber::Invalid, "unknown command")),
        };
        if self.flags & !(allowed | command::FLAG_FORCE_UNIT_ACCESS) != 0 {
            return Err(Failure::new(ErrorNumber::Invalid, "unknown flag for this command"));
        }
        self.check_range(export, session, wanted)?;
        let empty = self.length == 0 && !matches!(wanted, Command::Flush);
        Ok(if empty { Command::Nothing } else { wanted })
    }

    fn check_range(
        &self,
        export: &ExportInformation,
        session: Session,
        wanted: Command,
    ) -> Result<(), Failure> {
        let modifies = matches!(wanted, Command::Write { .. } | Command::Trim { .. } | Command::Zero { .. });
        if modifies && export.read_only {
            return Err(Failure::new(ErrorNumber::NotPermitted, "the export is read-only"));
        }
        if wanted == Command::Flush {
            let none = self.offset == 0 && self.length == 0;
            return if none {
                Ok(())
            } else {
                Err(Failure::new(ErrorNumber::Invalid, "a flush has no range"))
            };
        }
        let too_long = self.length > export.maximum_payload;
        if too_long && matches!(wanted, Command::Read { .. } | Command::Write { .. }) {
            let number = if session.structured { ErrorNumber::Overflow } else { ErrorNumber::Invalid };
            return Err(Failure::new(number, "the request is too long"));
        }
        if self.offset.checked_add(u64::from(self.length)).is_none_or(|end| end > export.size) {
            let growing = matches!(wanted, Command::Write { .. } | Command::Zero { .. });
            let number = if growing { ErrorNumber::NoSpace } else { ErrorNumber::Invalid };
            return Err(Failure::new(number, "the request is outside the export"));
        }
        let block = u64::from(export.minimum_block.max(1));
        if !self.offset.is_multiple_of(block) || !u64::from(self.length).is_multiple_of(block) {
            return Err(Failure::new(ErrorNumber::Invalid, "the request is not aligned to blocks"));
        }
        if let Command::Status { .. } = wanted
            && (!session.allocation || self.length == 0)
        {
            return Err(Failure::new(ErrorNumber::Invalid, "no context was selected, or nothing asked for"));
        }
        Ok(())
    }
}
