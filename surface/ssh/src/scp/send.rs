//! `scp -f`: files go to the client.

use rustix::fs::{FileType, Stat};

use super::command::Word;
use super::{Peer, ScpCommand, ScpError};
use crate::home::{Home, HomeError, HomeFile, HomePath, OpenMode};
use crate::limits;

/// Bytes of a file in memory at a time.
const PIECE: usize = 64 << 10;
/// The permission bits that the protocol carries.
const MODE: u32 = 0o7777;

pub(super) fn run(home: &Home, command: &ScpCommand, peer: &mut Peer) -> Result<(), ScpError> {
    // The client says that it is ready.
    peer.answer()?;
    for word in &command.paths {
        match expand(home, word) {
            Ok(paths) if paths.is_empty() => peer.warn(&word.bytes, &HomeError::NotFound)?,
            Ok(paths) => {
                for path in paths {
                    send(home, command, &path, peer)?;
                }
            }
            Err(error) => peer.warn(&word.bytes, &error)?,
        }
    }
    Ok(())
}

/// The places that a word names, its patterns expanded, in the order of their names.
fn expand(home: &Home, word: &Word) -> Result<Vec<HomePath>, HomeError> {
    if !word.is_pattern() {
        return Ok(vec![home.path(&word.bytes)?]);
    }
    let components = word.components();
    let plain = components.iter().take_while(|component| !component.is_pattern()).count();
    let mut base: Vec<u8> = Vec::new();
    for component in &components[..plain] {
        base.extend(&component.bytes);
        base.push(b'/');
    }
    let mut places = vec![home.path(&base)?];
    for component in &components[plain..] {
        let mut found = Vec::new();
        for place in &places {
            if !component.is_pattern() {
                let mut name = home.absolute(place);
                name.push(b'/');
                name.extend(&component.bytes);
                found.push(home.path(&name)?);
            } else if home.is_directory(place) {
                let entries = home.list(place)?;
                let names = entries.iter().filter(|entry| component.matches(&entry.name));
                found.extend(names.filter_map(|entry| place.join(&entry.name).ok()));
            }
            if found.len() > limits::SCP_SOURCES {
                return Err(HomeError::TooManyEntries);
            }
        }
        places = found;
    }
    places.retain(|place| home.stat(place).is_ok());
    Ok(places)
}

fn send(home: &Home, command: &ScpCommand, path: &HomePath, peer: &mut Peer) -> Result<(), ScpError> {
    let name = file_name(home, path);
    let stat = match home.stat(path) {
        Ok(stat) => stat,
        Err(error) => return peer.warn(&name, &error),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => send_file(home, command, path, peer),
        FileType::Directory if command.recursive => send_directory(home, command, path, &stat, peer),
        FileType::Directory => peer.warn(&name, &HomeError::NotRegular),
        FileType::Symlink => peer.warn(&name, &HomeError::SymbolicLink),
        _ => peer.warn(&name, &HomeError::NotRegular),
    }
}

fn send_file(home: &Home, command: &ScpCommand, path: &HomePath, peer: &mut Peer) -> Result<(), ScpError> {
    let name = file_name(home, path);
    let how = OpenMode { read: true, ..OpenMode::default() };
    let opened = home.open(path, how, 0).and_then(|file| file.stat().map(|stat| (file, stat)));
    let (file, stat) = match opened {
        Ok(opened) => opened,
        Err(error) => return peer.warn(&name, &error),
    };
    if !send_times(command, &stat, peer)? {
        return Ok(());
    }
    let length = u64::try_from(stat.st_size).unwrap_or_default();
    peer.send(&header(b'C', &stat, length, &name))?;
    if !peer.answer()? {
        return Ok(());
    }
    match send_bytes(&file, length, peer)? {
        Ok(()) => peer.acknowledge()?,
        Err(error) => peer.warn(&name, &error)?,
    }
    peer.answer()?;
    Ok(())
}

/// Sends the `length` bytes that were announced, zeros for what cannot be read any more.
fn send_bytes(file: &HomeFile, length: u64, peer: &mut Peer) -> Result<Result<(), HomeError>, ScpError> {
    let mut outcome = Ok(());
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    while offset < length {
        let piece = usize::try_from(length - offset).unwrap_or(PIECE).min(PIECE);
        let read = if outcome.is_ok() { file.read_at(&mut buffer[..piece], offset) } else { Ok(0) };
        let count = match read {
            Ok(count) => count,
            Err(error) => {
                outcome = Err(error);
                0
            }
        };
        if count < piece && outcome.is_ok() {
            outcome = Err(HomeError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        buffer[count..piece].fill(0);
        peer.send(&buffer[..piece])?;
        offset += piece as u64;
    }
    Ok(outcome)
}

fn send_directory(
    home: &Home,
    command: &ScpCommand,
    path: &HomePath,
    stat: &Stat,
    peer: &mut Peer,
) -> Result<(), ScpError> {
    let name = file_name(home, path);
    let entries = match home.list(path) {
        Ok(entries) => entries,
        Err(error) => return peer.warn(&name, &error),
    };
    if !send_times(command, stat, peer)? {
        return Ok(());
    }
    peer.send(&header(b'D', stat, 0, &name))?;
    if !peer.answer()? {
        return Ok(());
    }
    for entry in entries {
        match path.join(&entry.name) {
            // Paths are at most `limits::PATH_DEPTH` deep, and so is this recursion.
            Ok(below) => send(home, command, &below, peer)?,
            Err(error) => peer.warn(&entry.name, &error)?,
        }
    }
    peer.send(b"E\n")?;
    peer.answer()?;
    Ok(())
}

/// Announces the times, with `-p`; false when the client refused them.
fn send_times(command: &ScpCommand, stat: &Stat, peer: &mut Peer) -> Result<bool, ScpError> {
    if !command.preserve {
        return Ok(true);
    }
    peer.send(format!("T{} 0 {} 0\n", stat.st_mtime.max(0), stat.st_atime.max(0)).as_bytes())?;
    peer.answer()
}

fn header(kind: u8, stat: &Stat, length: u64, name: &[u8]) -> Vec<u8> {
    let mut line = vec![kind];
    line.extend(format!("{:04o} {length} ", stat.st_mode & MODE).as_bytes());
    // A newline would end the message; no client takes such a name anyway.
    line.extend(name.iter().map(|byte| if *byte == b'\n' { b'?' } else { *byte }));
    line.push(b'\n');
    line
}

/// The last component of a path; of the home itself its own name.
fn file_name(home: &Home, path: &HomePath) -> Vec<u8> {
    let absolute = home.absolute(path);
    absolute.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec()
}
