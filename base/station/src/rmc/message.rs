//! Messages as bytes.

use super::{INTERVAL, Identity};

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// First step: the daemon's version.
    Hello,
    /// Second step: who the partition is.
    Introduction,
    /// Third step: the resource classes that it has.
    Classes,
    /// Fourth step: it is ready.
    Ready,
    /// Fifth step: the resource managers that run.
    Managers,
    /// The console has taken a step.
    Acknowledge,
    /// A sign of life.
    Heartbeat,
    /// The session is over.
    End,
    /// The session is over because another partition has the same node id.
    Displaced,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Hello,
        Self::Introduction,
        Self::Classes,
        Self::Ready,
        Self::Managers,
        Self::Acknowledge,
        Self::Heartbeat,
        Self::End,
        Self::Displaced,
    ];

    /// The steps by which a session begins.
    pub const STEPS: [Self; 5] =
        [Self::Hello, Self::Introduction, Self::Classes, Self::Ready, Self::Managers];

    /// Bytes of a message.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Hello => 208,
            Self::Introduction => 168,
            Self::Classes => 80,
            Self::Ready => 72,
            Self::Managers => 152,
            Self::Acknowledge => 96,
            Self::Heartbeat | Self::End | Self::Displaced => 88,
        }
    }

    /// Whether the message has room for names.
    fn names(self) -> bool {
        matches!(self, Self::Hello | Self::Introduction | Self::Managers)
    }
}

const MAGIC: [u8; 4] = *b"VRMC";
const VERSION: u8 = 1;
const HEADER: usize = 32;
/// Bytes of a name at most, so that three of them have room in the shortest message with names.
const NAME: usize = 31;

/// Bytes that are no message of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRmc;

impl std::fmt::Display for NotRmc {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no message of this version")
    }
}

impl std::error::Error for NotRmc {}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub kind: Kind,
    /// Session; 0 while there is none.
    pub session: u64,
    /// Sequence number.
    pub sequence: u32,
    /// Who sends it; names only in messages that have room for them.
    pub sender: Identity,
}

impl Message {
    /// The message as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let length = self.kind.length();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&MAGIC);
        let kind = Kind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or(0);
        bytes.extend_from_slice(&[VERSION, kind as u8]);
        bytes.extend_from_slice(&(length as u16).to_be_bytes());
        bytes.extend_from_slice(&self.sender.node_id.to_be_bytes());
        bytes.extend_from_slice(&self.session.to_be_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.sender.partition.to_be_bytes());
        bytes.extend_from_slice(&(INTERVAL.as_secs() as u16).to_be_bytes());
        if self.kind.names() {
            for name in [&self.sender.name, &self.sender.system, &self.sender.operating_system] {
                let name = cut(name);
                bytes.push(name.len() as u8);
                bytes.extend_from_slice(name.as_bytes());
            }
        }
        bytes.resize(length, 0);
        bytes
    }

    /// Reads one message from the beginning of bytes; also tells how many bytes it had. `Ok(None)` when it is not whole.
    ///
    /// # Errors
    /// [`NotRmc`].
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, NotRmc> {
        let Some(header) = bytes.get(..HEADER) else {
            let known = bytes.len().min(MAGIC.len());
            return if bytes[..known] == MAGIC[..known] { Ok(None) } else { Err(NotRmc) };
        };
        if header[..4] != MAGIC || header[4] != VERSION {
            return Err(NotRmc);
        }
        let kind = *Kind::ALL.get(usize::from(header[5])).ok_or(NotRmc)?;
        let number = |at: usize, length: usize| {
            header[at..at + length].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        if number(6, 2) != kind.length() as u64 {
            return Err(NotRmc);
        }
        let Some(whole) = bytes.get(..kind.length()) else { return Ok(None) };
        let mut sender =
            Identity { node_id: number(8, 8), partition: number(28, 2) as u16, ..Identity::default() };
        if kind.names() {
            let mut rest = &whole[HEADER..];
            for name in [&mut sender.name, &mut sender.system, &mut sender.operating_system] {
                let length = usize::from(*rest.first().ok_or(NotRmc)?);
                let text = rest.get(1..=length).filter(|text| text.len() <= NAME).ok_or(NotRmc)?;
                *name = String::from_utf8(text.to_vec()).map_err(|_| NotRmc)?;
                rest = &rest[1 + length..];
            }
        }
        let message = Self { kind, session: number(16, 8), sequence: number(24, 4) as u32, sender };
        Ok(Some((message, kind.length())))
    }
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written_and_no_cut_or_changed_one_harms() {
        let sender = Identity {
            node_id: 0x1234_5678_9ABC_DEF0,
            partition: 12,
            name: "a partition with a name that is much too long for it".into(),
            system: "8286-42A*0000001".into(),
            operating_system: "AIX 7.2".into(),
        };
        for kind in Kind::ALL {
            let message = Message { kind, session: 77, sequence: 5, sender: sender.clone() };
            let bytes = message.write();
            assert_eq!(bytes.len(), kind.length());
            let (read, length) = Message::read(&bytes).expect("a message").expect("whole");
            assert_eq!((read.kind, read.session, read.sequence, length), (kind, 77, 5, bytes.len()));
            assert_eq!(read.sender.node_id, sender.node_id);
            if kind.names() {
                assert_eq!(read.sender.name, "a partition with a name that is");
                assert_eq!(read.sender.operating_system, "AIX 7.2");
            }
            for end in 0..bytes.len() {
                assert_eq!(Message::read(&bytes[..end]), Ok(None));
            }
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0xFF;
                let _ = Message::read(&damaged);
            }
        }
    }
}
