//! `scp -t`: files come from the client.
//!
//! ```text
//!            T: times are kept for the next C or D
//!              +---+
//!              v   |
//!   ready -----+---+---- C ----> file: its bytes, an acknowledgement ----> ready
//!    ^  |
//!    |  +---- D ----> ready, one directory deeper
//!    +------- E ----- back from it
//!   end of input at the top: done
//! ```

use std::io::Read;

use super::{FATAL, Peer, ScpCommand, ScpError, WARNING};
use crate::home::{Home, HomeError, HomeFile, HomePath, OpenMode, SetAttributes};

/// Bytes of a file in memory at a time.
const PIECE: usize = 64 << 10;

/// What a message of the client says.
#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    Times(i64, i64),
    File { mode: u32, length: u64, name: &'a [u8] },
    Directory { mode: u32, name: &'a [u8] },
    End,
}

/// One directory that is being filled.
struct Level {
    path: HomePath,
    /// Set when the directory is complete, since filling it changes its times.
    attributes: SetAttributes,
}

pub(super) fn run(home: &Home, command: &ScpCommand, peer: &mut Peer) -> Result<(), ScpError> {
    let name = &command.paths[0].bytes;
    let target = match home.path(name) {
        Ok(target) => target,
        Err(error) => {
            let text = format!("{}: {error}", String::from_utf8_lossy(name));
            peer.send_error(FATAL, &text)?;
            return Ok(());
        }
    };
    let is_directory = home.is_directory(&target);
    if command.target_is_directory && !is_directory {
        let text = format!("{}: Not a directory", String::from_utf8_lossy(name));
        peer.send_error(FATAL, &text)?;
        return Ok(());
    }
    let mut receiver = Receiver {
        home,
        recursive: command.recursive,
        preserve: command.preserve,
        target,
        is_directory,
        levels: Vec::new(),
        times: None,
    };
    peer.acknowledge()?;
    let mut line = Vec::new();
    while peer.line(&mut line)? {
        receiver.message(&line, peer)?;
    }
    if receiver.levels.is_empty() { Ok(()) } else { Err(ScpError::Protocol("the input ends in a directory")) }
}

struct Receiver<'a> {
    home: &'a Home,
    recursive: bool,
    preserve: bool,
    target: HomePath,
    /// The target exists as a directory: names from the client go below it.
    is_directory: bool,
    levels: Vec<Level>,
    times: Option<(i64, i64)>,
}

impl Receiver<'_> {
    fn message(&mut self, line: &[u8], peer: &mut Peer) -> Result<(), ScpError> {
        match parse(line)? {
            Message::Times(modification, access) => {
                self.times = Some((access, modification));
                peer.acknowledge()
            }
            Message::File { mode, length, name } => self.file(mode, length, name, peer),
            Message::Directory { mode, name } => self.enter(mode, name, peer),
            Message::End => self.leave(peer),
        }
    }

    /// Where something that the client calls `name` goes.
    fn place(&self, name: &[u8]) -> Result<HomePath, HomeError> {
        match self.levels.last() {
            Some(level) => level.path.join(name),
            None if self.is_directory => self.target.join(name),
            // The client names the file; the user has named the target.
            None => Ok(self.target.clone()),
        }
    }

    fn attributes(&mut self, mode: u32) -> SetAttributes {
        let times = self.times.take();
        SetAttributes { mode: self.preserve.then_some(mode), times: times.filter(|_| self.preserve) }
    }

    fn file(&mut self, mode: u32, length: u64, name: &[u8], peer: &mut Peer) -> Result<(), ScpError> {
        let attributes = self.attributes(mode);
        let how = OpenMode { write: true, create: true, ..OpenMode::default() };
        let file = match self.place(name).and_then(|path| self.home.open(&path, how, mode)) {
            Ok(file) => file,
            // The client sends nothing of this file then.
            Err(error) => return peer.warn(name, &error),
        };
        peer.acknowledge()?;
        let stored = receive_bytes(&file, length, peer)?.and_then(|()| {
            file.set_length(length)?;
            file.set_attributes(&attributes)
        });
        // After the bytes the client says whether it could read them all.
        peer.answer()?;
        match stored {
            Ok(()) => peer.acknowledge(),
            Err(error) => peer.warn(name, &error),
        }
    }

    fn enter(&mut self, mode: u32, name: &[u8], peer: &mut Peer) -> Result<(), ScpError> {
        if !self.recursive {
            return Err(ScpError::Protocol("a directory without -r"));
        }
        let attributes = self.attributes(mode);
        let made = self.place(name).and_then(|path| {
            if self.home.is_directory(&path) {
                return Ok(path);
            }
            self.home.create_directory(&path, mode).map(|()| path)
        });
        match made {
            Ok(path) => {
                self.levels.push(Level { path, attributes });
                peer.acknowledge()
            }
            // The client leaves the whole directory out then.
            Err(error) => peer.warn(name, &error),
        }
    }

    fn leave(&mut self, peer: &mut Peer) -> Result<(), ScpError> {
        let level = self.levels.pop().ok_or(ScpError::Protocol("the end of no directory"))?;
        match self.home.set_attributes(&level.path, &level.attributes, None) {
            Ok(()) => peer.acknowledge(),
            Err(error) => peer.send_error(WARNING, &error.to_string()),
        }
    }
}

/// Takes the `length` bytes that the client now sends, all of them even when storing fails.
fn receive_bytes(file: &HomeFile, length: u64, peer: &mut Peer) -> Result<Result<(), HomeError>, ScpError> {
    let mut stored = Ok(());
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    while offset < length {
        let piece = usize::try_from(length - offset).unwrap_or(PIECE).min(PIECE);
        peer.session.input.read_exact(&mut buffer[..piece])?;
        if stored.is_ok() {
            stored = file.write_at(&buffer[..piece], offset);
        }
        offset += piece as u64;
    }
    Ok(stored)
}

fn parse(line: &[u8]) -> Result<Message<'_>, ScpError> {
    let (kind, rest) = line.split_first().ok_or(ScpError::Protocol("an empty message"))?;
    match kind {
        b'T' => {
            let numbers: Vec<Option<i64>> = rest.split(|byte| *byte == b' ').map(decimal).collect();
            match numbers.as_slice() {
                [Some(modification), Some(_), Some(access), Some(_)] => {
                    Ok(Message::Times(*modification, *access))
                }
                _ => Err(ScpError::Protocol("times that are not four numbers")),
            }
        }
        b'C' | b'D' => {
            let mut fields = rest.splitn(3, |byte| *byte == b' ');
            let mode = fields.next().and_then(octal);
            let length = fields.next().and_then(decimal).and_then(|length| u64::try_from(length).ok());
            let (Some(mode), Some(length), Some(name)) = (mode, length, fields.next()) else {
                return Err(ScpError::Protocol("a file without mode, length and name"));
            };
            // A client must not choose where outside the target its files go.
            if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
                return Err(ScpError::Protocol("an unexpected file name"));
            }
            Ok(match kind {
                b'C' => Message::File { mode, length, name },
                _ => Message::Directory { mode, name },
            })
        }
        b'E' if rest.is_empty() => Ok(Message::End),
        1 | 2 => Err(ScpError::Ended),
        _ => Err(ScpError::Protocol("an unknown message")),
    }
}

fn decimal(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn octal(digits: &[u8]) -> Option<u32> {
    (digits.len() == 4).then_some(())?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_strictly() {
        assert_eq!(parse(b"C0644 12 a b").unwrap(), Message::File { mode: 0o644, length: 12, name: b"a b" });
        assert_eq!(parse(b"D0755 0 d").unwrap(), Message::Directory { mode: 0o755, name: b"d" });
        assert_eq!(parse(b"T5 0 7 0").unwrap(), Message::Times(5, 7));
        assert_eq!(parse(b"E").unwrap(), Message::End);
        let bad: [&[u8]; 14] = [
            b"",
            b"X",
            b"C",
            b"C0644",
            b"C0644 1",
            b"C0644 1 ",
            b"C0644 -1 a",
            b"C9999 1 a",
            b"C644 1 a",
            b"C0644 1 ..",
            b"C0644 1 a/b",
            b"T1 0 1",
            b"E1",
            b"\x01gone",
        ];
        for line in bad {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
