//! Backups of profile data: files of the console, one directory for each managed system.
//!
//! ```text
//! <console>/profiles/<serial number>/<name>     shown as /var/hsc/profiles/<serial number>/<name>
//!
//! {"format":"varan profile data","version":1,"system":"8286-41A*2166661","seconds":1790000000,"bytes":5120}
//! {"identity":...,"partitions":[...],"system_profiles":[...]}
//! ```
//!
//! A file appears whole or not at all: it is written beside its place, flushed, and put there by one operation of the file
//! system, which refuses to overwrite unless that is wanted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use varan_contract::system::{SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::profile_data::{PROFILE_DATA_BYTES_MAX, ProfileData};
use varan_model::refusal::Refusal;

use crate::console::Console;
use crate::systems::SystemConnection;

/// What the first line says the file is.
const FORMAT: &str = "varan profile data";
/// Version of the format.
const VERSION: u32 = 1;
/// Most backup files of one system.
const FILES_MAX: usize = 256;
/// Longest name of a backup file in bytes: what file systems take, with room for the name while it is written.
const NAME_LENGTH_MAX: usize = 200;
/// Ending of a file that is being written; names of backups do not begin with a period.
const UNFINISHED: &str = ".unfinished";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    system: String,
    /// When it was made, seconds since 1970 UTC.
    seconds: i64,
    /// Length of what follows.
    bytes: u64,
}

/// The directory as users name it.
fn shown_directory(system: &SystemConnection) -> String {
    format!("/var/hsc/profiles/{}/", system.identity().serial_number)
}

/// The plain name of a file that a user named, in the directory of the system or by its whole path.
fn file_name<'a>(system: &SystemConnection, given: &'a str) -> Result<&'a str, Refusal> {
    let directory = shown_directory(system);
    let name = given.strip_prefix(&directory).unwrap_or(given);
    let refuse =
        |reason: String| Err(Refusal::new(MessageKey::ProfileDataNameInvalid).with(given).with(reason));
    if name.contains('/') {
        return refuse(format!("backup files are in {directory}"));
    }
    if name.is_empty() || name.len() > NAME_LENGTH_MAX {
        return refuse(format!("it has 1 to {NAME_LENGTH_MAX} characters"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    if name.starts_with('.') || !name.bytes().all(allowed) {
        return refuse("it has letters, digits and . _ - + @, and does not begin with a period".to_owned());
    }
    Ok(name)
}

fn unwritable(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::ProfileDataUnwritable).with(error)
}

fn invalid(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::ProfileDataInvalid).with(reason)
}

/// Reads a file's bytes. Everything in it is checked: it may have been damaged, or be of another version.
fn parse(bytes: &[u8]) -> Result<ProfileData, Refusal> {
    let end =
        bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| invalid("the file has no header"))?;
    let header: Header = serde_json::from_slice(&bytes[..end])
        .map_err(|_| invalid("the file is no backup of profile data"))?;
    if header.format != FORMAT || header.version != VERSION {
        return Err(invalid(format_args!("the file has the format {} {}", header.format, header.version)));
    }
    let content = &bytes[end + 1..];
    if content.len() as u64 != header.bytes {
        return Err(invalid("the file is not whole"));
    }
    let data: ProfileData = serde_json::from_slice(content)
        .map_err(|error| invalid(format_args!("the file is damaged: {error}")))?;
    if data.identity.to_string() != header.system {
        return Err(invalid("the file is damaged: it names two managed systems"));
    }
    Ok(data)
}

fn content(data: &ProfileData) -> Result<Vec<u8>, Refusal> {
    let content = serde_json::to_vec(data).map_err(unwritable)?;
    if content.len() as u64 > PROFILE_DATA_BYTES_MAX {
        return Err(unwritable(format_args!("it has more than {PROFILE_DATA_BYTES_MAX} bytes")));
    }
    Ok(content)
}

impl Console {
    fn profile_directory(&self, system: &SystemConnection) -> PathBuf {
        self.directory.join("profiles").join(&system.identity().serial_number)
    }

    fn read_profile_data(&self, system: &SystemConnection) -> Result<Box<ProfileData>, Refusal> {
        match self.call(system, SystemRequest::ReadProfileData)? {
            SystemReply::ProfileData(data) => Ok(data),
            _ => Err(self.no_connection(system)),
        }
    }

    /// Bytes of profile data that a system has now.
    ///
    /// # Errors
    /// The system does not answer.
    pub fn profile_data_bytes(&self, system: &SystemConnection) -> Result<u64, Refusal> {
        Ok(content(&*self.read_profile_data(system)?)?.len() as u64)
    }

    /// Backs the profile data of a system up to a file, durably.
    ///
    /// # Errors
    /// A name that is no file's, a file that is there and is not to be overwritten, a full disk; nothing is left then.
    pub fn back_up_profile_data(
        &self,
        system: &SystemConnection,
        file: &str,
        overwrite: bool,
    ) -> Result<(), Refusal> {
        let name = file_name(system, file)?;
        let directory = self.profile_directory(system);
        if !overwrite && directory.join(name).exists() {
            return Err(Refusal::new(MessageKey::ProfileDataExists).with(file));
        }
        let data = self.read_profile_data(system)?;
        let content = content(&data)?;
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            system: data.identity.to_string(),
            seconds: self.environment().wall_clock().seconds(),
            bytes: content.len() as u64,
        };
        let mut bytes = serde_json::to_vec(&header).map_err(unwritable)?;
        bytes.push(b'\n');
        bytes.extend(content);
        fs::create_dir_all(&directory).map_err(unwritable)?;
        let present = fs::read_dir(&directory).map_err(unwritable)?.count();
        if present >= FILES_MAX && !directory.join(name).exists() {
            return Err(unwritable(format_args!("there are {present} backup files of this managed system")));
        }
        let unfinished = directory.join(format!(".{name}.{:016x}{UNFINISHED}", self.environment().random()));
        let written = write_whole(&unfinished, &bytes).and_then(|_writing| {
            let place = directory.join(name);
            if overwrite { fs::rename(&unfinished, place) } else { fs::hard_link(&unfinished, place) }
        });
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&unfinished);
        written.and_then(|()| File::open(&directory)?.sync_all()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Refusal::new(MessageKey::ProfileDataExists).with(file),
            _ => unwritable(error),
        })
    }

    /// Reads a backup.
    ///
    /// # Errors
    /// No such file, or one that is no whole backup of this version.
    pub fn profile_data_backup(&self, system: &SystemConnection, file: &str) -> Result<ProfileData, Refusal> {
        let path = self.profile_directory(system).join(file_name(system, file)?);
        let bytes = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refusal::new(MessageKey::ProfileDataNotFound).with(file),
            _ => invalid(error),
        })?;
        parse(&bytes)
    }

    /// Removes a backup.
    ///
    /// # Errors
    /// No such file.
    pub fn remove_profile_data(&self, system: &SystemConnection, file: &str) -> Result<(), Refusal> {
        let directory = self.profile_directory(system);
        fs::remove_file(directory.join(file_name(system, file)?)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refusal::new(MessageKey::ProfileDataNotFound).with(file),
            _ => Refusal::new(MessageKey::RecordFailed).with(error),
        })?;
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Refusal::new(MessageKey::RecordFailed).with(error))
    }
}

/// Writes a file. It is locked, and so known to be in use, as long as the caller holds it.
fn write_whole(path: &std::path::Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::create(path)?;
    file.lock()?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let data = ProfileData {
            identity: "8286-41A*2166661".parse().expect("identity"),
            partitions: Vec::new(),
            system_profiles: Vec::new(),
        };
        let content = content(&data).expect("content");
        let mut bytes = format!(
            "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"system\":\"8286-41A*2166661\",\"seconds\":1,\"bytes\":{}}}\n",
            content.len()
        )
        .into_bytes();
        bytes.extend(content);
        change(&mut bytes);
        bytes
    }

    fn replaced(from: &str, to: &str) -> Vec<u8> {
        file(|bytes| *bytes = String::from_utf8_lossy(bytes).replace(from, to).into_bytes())
    }

    #[test]
    fn only_whole_files_of_this_version_are_read() {
        assert!(parse(&file(|_| {})).is_ok());
        for (bytes, reason) in [
            (Vec::new(), "no header"),
            (b"something else\n".to_vec(), "no backup"),
            (file(|bytes| bytes.truncate(bytes.len() - 1)), "not whole"),
            (file(|bytes| bytes.push(b' ')), "not whole"),
            (replaced("\"version\":1", "\"version\":2"), "format varan profile data 2"),
            (replaced("varan profile", "another"), "format another data 1"),
            (replaced("\"partitions\":[]", "\"partitions\":{}"), "damaged"),
            (
                replaced("\"system\":\"8286-41A*2166661\"", "\"system\":\"8286-41A*2166662\""),
                "two managed systems",
            ),
        ] {
            let refusal = parse(&bytes).expect_err(reason).to_string();
            assert!(refusal.contains(reason), "{refusal}");
        }
        // Every cut is noticed.
        let whole = file(|_| {});
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
