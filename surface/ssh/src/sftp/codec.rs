//! The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH speaks it.
//!
//! Own code rather than a library's: names are bytes here, not text that is silently altered, and
//! a malformed packet ends the session instead of leaving the stream out of step.

use rustix::fs::Stat;

/// A packet that does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed SFTP packet")]
pub(super) struct Malformed;

pub(super) const VERSION: u32 = 3;

pub(super) const INIT: u8 = 1;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const SETSTAT: u8 = 9;
pub(super) const FSETSTAT: u8 = 10;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const RMDIR: u8 = 15;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const READLINK: u8 = 19;
pub(super) const SYMLINK: u8 = 20;
pub(super) const EXTENDED: u8 = 200;

const REPLY_VERSION: u8 = 2;
const REPLY_STATUS: u8 = 101;
const REPLY_HANDLE: u8 = 102;
const REPLY_DATA: u8 = 103;
const REPLY_NAME: u8 = 104;
const REPLY_ATTRIBUTES: u8 = 105;
const REPLY_EXTENDED: u8 = 201;

/// Status codes (section 7 of the draft).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum StatusCode {
    Ok = 0,
    EndOfFile = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    Unsupported = 8,
}

/// Flags of an open request.
pub(super) mod open_flags {
    pub(in super::super) const READ: u32 = 0x01;
    pub(in super::super) const WRITE: u32 = 0x02;
    pub(in super::super) const APPEND: u32 = 0x04;
    pub(in super::super) const CREATE: u32 = 0x08;
    pub(in super::super) const TRUNCATE: u32 = 0x10;
    pub(in super::super) const EXCLUSIVE: u32 = 0x20;
}

const ATTRIBUTE_SIZE: u32 = 0x01;
const ATTRIBUTE_OWNER: u32 = 0x02;
const ATTRIBUTE_PERMISSIONS: u32 = 0x04;
const ATTRIBUTE_TIMES: u32 = 0x08;
const ATTRIBUTE_EXTENDED: u32 = 0x8000_0000;

/// Attributes as a client sends them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) permissions: Option<u32>,
    /// Access and modification, in seconds since 1970.
    pub(super) times: Option<(u32, u32)>,
}

/// Reads a packet's fields in order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(packet: &'a [u8]) -> Self {
        Self { rest: packet }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(super) fn long_number(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?.try_into().map_err(|_| Malformed)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    pub(super) fn attributes(&mut self) -> Result<Attributes, Malformed> {
        let flags = self.number()?;
        let has = |flag| flags & flag != 0;
        let mut attributes = Attributes::default();
        if has(ATTRIBUTE_SIZE) {
            attributes.size = Some(self.long_number()?);
        }
        if has(ATTRIBUTE_OWNER) {
            attributes.owner = Some((self.number()?, self.number()?));
        }
        if has(ATTRIBUTE_PERMISSIONS) {
            attributes.permissions = Some(self.number()?);
        }
        if has(ATTRIBUTE_TIMES) {
            attributes.times = Some((self.number()?, self.number()?));
        }
        if has(ATTRIBUTE_EXTENDED) {
            // Each pair takes bytes from the packet, so a false count ends soon.
            for _ in 0..self.number()? {
                self.string()?;
                self.string()?;
            }
        }
        Ok(attributes)
    }
}

/// Builds a reply, its length in front.
#[derive(Debug)]
pub(super) struct Reply {
    bytes: Vec<u8>,
}

impl Reply {
    fn new(kind: u8) -> Self {
        Self { bytes: vec![0, 0, 0, 0, kind] }
    }

    fn with_id(kind: u8, id: u32) -> Self {
        let mut reply = Self::new(kind);
        reply.number(id);
        reply
    }

    fn number(&mut self, value: u32) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn long_number(&mut self, value: u64) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn string(&mut self, value: &[u8]) {
        // Replies are built from bounded pieces, far below 4 GiB.
        self.number(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.bytes.extend(value);
    }

    fn stat(&mut self, stat: &Stat) {
        self.number(ATTRIBUTE_SIZE | ATTRIBUTE_OWNER | ATTRIBUTE_PERMISSIONS | ATTRIBUTE_TIMES);
        self.long_number(u64::try_from(stat.st_size).unwrap_or_default());
        self.number(stat.st_uid);
        self.number(stat.st_gid);
        self.number(stat.st_mode);
        self.number(seconds(stat.st_atime));
        self.number(seconds(stat.st_mtime));
    }

    /// The reply's bytes, ready to be sent.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len() - 4).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.bytes
    }

    pub(super) fn version(extensions: &[(&str, &str)]) -> Self {
        let mut reply = Self::new(REPLY_VERSION);
        reply.number(VERSION);
        for (name, value) in extensions {
            reply.string(name.as_bytes());
            reply.string(value.as_bytes());
        }
        reply
    }

    pub(super) fn status(id: u32, code: StatusCode, message: &str) -> Self {
        let mut reply = Self::with_id(REPLY_STATUS, id);
        reply.number(code as u32);
        reply.string(message.as_bytes());
        reply.string(b"en");
        reply
    }

    pub(super) fn handle(id: u32, handle: u32) -> Self {
        let mut reply = Self::with_id(REPLY_HANDLE, id);
        reply.string(&handle.to_be_bytes());
        reply
    }

    pub(super) fn data(id: u32, data: &[u8]) -> Self {
        let mut reply = Self::with_id(REPLY_DATA, id);
        reply.string(data);
        reply
    }

    pub(super) fn attributes(id: u32, stat: &Stat) -> Self {
        let mut reply = Self::with_id(REPLY_ATTRIBUTES, id);
        reply.stat(stat);
        reply
    }

    /// Names with their long form and attributes.
    pub(super) fn names(id: u32, names: &[(Vec<u8>, Vec<u8>, Stat)]) -> Self {
        let mut reply = Self::with_id(REPLY_NAME, id);
        reply.number(u32::try_from(names.len()).unwrap_or_default());
        for (name, long_name, stat) in names {
            reply.string(name);
            reply.string(long_name);
            reply.stat(stat);
        }
        reply
    }

    /// One name without attributes, the answer to `realpath`.
    pub(super) fn one_name(id: u32, name: &[u8]) -> Self {
        let mut reply = Self::with_id(REPLY_NAME, id);
        reply.number(1);
        reply.string(name);
        reply.string(name);
        reply.number(0);
        reply
    }

    /// The answer to `limits@openssh.com`.
    pub(super) fn limits(id: u32, packet: u64, read: u64, write: u64, handles: u64) -> Self {
        let mut reply = Self::with_id(REPLY_EXTENDED, id);
        for value in [packet, read, write, handles] {
            reply.long_number(value);
        }
        reply
    }
}

/// Version 3 has 32 bits for a time: outside them the nearest.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_never_past_the_end() {
        let packet = [7, 0, 0, 0, 1, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 9];
        let mut fields = Fields::new(&packet);
        assert_eq!(fields.byte(), Ok(7));
        assert_eq!(fields.number(), Ok(1));
        assert_eq!(fields.string(), Ok(&b"ab"[..]));
        assert_eq!(fields.string(), Err(Malformed));
    }

    #[test]
    fn random_packets_never_panic() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20_000 {
            let packet: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..) & random.u8(..)).collect();
            let mut fields = Fields::new(&packet);
            while fields.attributes().is_ok() && fields.string().is_ok() {}
            assert!(fields.rest.len() <= packet.len(), "seed {seed}");
        }
    }

    #[test]
    fn a_reply_has_its_length_in_front() {
        let bytes = Reply::status(5, StatusCode::Failure, "no").finish();
        assert_eq!(
            bytes,
            [0, 0, 0, 21, 101, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 2, b'n', b'o', 0, 0, 0, 2, b'e', b'n']
        );
    }
}
