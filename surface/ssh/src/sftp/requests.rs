//! The requests of SFTP, one function each.

use std::collections::VecDeque;

use rustix::fs::FileType;

use super::codec::{self, Attributes, Fields, Malformed, Reply, StatusCode, open_flags};
use super::handles::{Handle, Handles};
use super::long_name::long_name;
use crate::home::{Entry, Home, HomeError, OpenMode, SetAttributes};
use crate::limits;

/// Permission bits of a file that is created without any given.
const FILE_MODE: u32 = 0o644;
/// The same for a directory.
const DIRECTORY_MODE: u32 = 0o755;

/// Why a request is answered with a status instead of a result.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("{0}")]
    Home(#[from] HomeError),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("No such handle")]
    NoSuchHandle,
    #[error("The handle is not open for this")]
    WrongHandle,
    #[error("Too many open handles")]
    TooManyHandles,
    #[error("End of file")]
    EndOfFile,
    #[error("Permission denied: symbolic links are not supported")]
    SymbolicLink,
    #[error("Permission denied: the owner cannot be changed")]
    Owner,
    #[error("Operation unsupported")]
    Unsupported,
}

impl RequestError {
    fn code(&self) -> StatusCode {
        match self {
            Self::Home(HomeError::NotFound) => StatusCode::NoSuchFile,
            Self::Home(HomeError::Outside | HomeError::Denied | HomeError::SymbolicLink)
            | Self::SymbolicLink
            | Self::Owner => StatusCode::PermissionDenied,
            Self::EndOfFile => StatusCode::EndOfFile,
            Self::Unsupported => StatusCode::Unsupported,
            _ => StatusCode::Failure,
        }
    }
}

type Answer = Result<Reply, RequestError>;

/// One SFTP session's state.
#[derive(Debug)]
pub(super) struct Server {
    home: Home,
    user: String,
    handles: Handles,
}

impl Server {
    pub(super) fn new(home: Home, user: &str) -> Self {
        // A route after the name is no part of it in a listing.
        let user = user.split('%').next().unwrap_or_default().to_owned();
        Self { home, user, handles: Handles::default() }
    }

    /// Answers one packet. Only a packet without type and id, or with fields that do not decode,
    /// is an error: the stream cannot be trusted after it.
    pub(super) fn answer(&mut self, packet: &[u8]) -> Result<Reply, Malformed> {
        let mut fields = Fields::new(packet);
        let kind = fields.byte()?;
        let id = fields.number()?;
        match self.dispatch(kind, id, &mut fields) {
            Ok(reply) => Ok(reply),
            Err(RequestError::Malformed(malformed)) => Err(malformed),
            Err(error) => Ok(Reply::status(id, error.code(), &error.to_string())),
        }
    }

    fn dispatch(&mut self, kind: u8, id: u32, fields: &mut Fields<'_>) -> Answer {
        match kind {
            codec::OPEN => self.open(id, fields),
            codec::CLOSE => match self.handles.close(fields.string()?) {
                Some(_) => done(id),
                None => Err(RequestError::NoSuchHandle),
            },
            codec::READ => self.read(id, fields),
            codec::WRITE => self.write(id, fields),
            codec::LSTAT => self.stat(id, fields, false),
            codec::STAT => self.stat(id, fields, true),
            codec::FSTAT => self.stat_handle(id, fields),
            codec::SETSTAT => self.set_attributes(id, fields),
            codec::FSETSTAT => self.set_handle_attributes(id, fields),
            codec::OPENDIR => self.open_directory(id, fields),
            codec::READDIR => self.read_directory(id, fields),
            codec::REMOVE => self.on_path(id, fields, |home, path| home.remove_file(path)),
            codec::RMDIR => self.on_path(id, fields, |home, path| home.remove_directory(path)),
            codec::MKDIR => self.make_directory(id, fields),
            codec::REALPATH => self.real_path(id, fields),
            codec::RENAME => self.rename(id, fields, false),
            codec::READLINK | codec::SYMLINK => Err(RequestError::SymbolicLink),
            codec::EXTENDED => self.extended(id, fields),
            _ => Err(RequestError::Unsupported),
        }
    }

    fn extended(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        match fields.string()? {
            b"posix-rename@openssh.com" => self.rename(id, fields, true),
            b"lsetstat@openssh.com" => self.set_attributes(id, fields),
            b"expand-path@openssh.com" => self.real_path(id, fields),
            b"fsync@openssh.com" => match self.handle(fields)? {
                Handle::File { file, .. } => {
                    file.synchronize()?;
                    done(id)
                }
                Handle::Directory(_) => Err(RequestError::WrongHandle),
            },
            b"limits@openssh.com" => Ok(Reply::limits(
                id,
                limits::SFTP_PACKET as u64,
                limits::SFTP_DATA as u64,
                limits::SFTP_DATA as u64,
                limits::SFTP_HANDLES as u64,
            )),
            _ => Err(RequestError::Unsupported),
        }
    }

    fn handle(&mut self, fields: &mut Fields<'_>) -> Result<&mut Handle, RequestError> {
        self.handles.get(fields.string()?).ok_or(RequestError::NoSuchHandle)
    }

    fn keep(&mut self, id: u32, handle: Handle) -> Answer {
        Ok(Reply::handle(id, self.handles.insert(handle)))
    }

    fn open(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let name = fields.string()?;
        let flags = fields.number()?;
        let attributes = fields.attributes()?;
        if self.handles.is_full() {
            return Err(RequestError::TooManyHandles);
        }
        let has = |flag| flags & flag != 0;
        let how = OpenMode {
            read: has(open_flags::READ),
            write: has(open_flags::WRITE),
            append: has(open_flags::APPEND),
            create: has(open_flags::CREATE),
            exclusive: has(open_flags::EXCLUSIVE),
            truncate: has(open_flags::TRUNCATE),
        };
        let path = self.home.path(name)?;
        let file = self.home.open(&path, how, attributes.permissions.unwrap_or(FILE_MODE))?;
        // Without any access asked for, the file was opened for reading.
        self.keep(id, Handle::File { file, readable: how.read || !how.write, writable: how.write })
    }

    fn read(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let handle = fields.string()?;
        let offset = fields.long_number()?;
        let length = (fields.number()? as usize).min(limits::SFTP_DATA);
        match self.handles.get(handle).ok_or(RequestError::NoSuchHandle)? {
            Handle::File { file, readable: true, .. } => {
                let mut buffer = vec![0; length];
                let count = file.read_at(&mut buffer, offset)?;
                if count == 0 && length > 0 {
                    return Err(RequestError::EndOfFile);
                }
                Ok(Reply::data(id, &buffer[..count]))
            }
            _ => Err(RequestError::WrongHandle),
        }
    }

    fn write(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let handle = fields.string()?;
        let offset = fields.long_number()?;
        let data = fields.string()?;
        match self.handles.get(handle).ok_or(RequestError::NoSuchHandle)? {
            Handle::File { file, writable: true, .. } => {
                file.write_at(data, offset)?;
                done(id)
            }
            _ => Err(RequestError::WrongHandle),
        }
    }

    fn stat(&mut self, id: u32, fields: &mut Fields<'_>, follow: bool) -> Answer {
        let path = self.home.path(fields.string()?)?;
        let stat = self.home.stat(&path)?;
        if follow && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(HomeError::SymbolicLink.into());
        }
        Ok(Reply::attributes(id, &stat))
    }

    fn stat_handle(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        match self.handle(fields)? {
            Handle::File { file, .. } => Ok(Reply::attributes(id, &file.stat()?)),
            Handle::Directory(_) => Err(RequestError::WrongHandle),
        }
    }

    fn set_attributes(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let path = self.home.path(fields.string()?)?;
        let attributes = fields.attributes()?;
        self.home.set_attributes(&path, &settable(&attributes)?, attributes.size)?;
        done(id)
    }

    fn set_handle_attributes(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let handle = fields.string()?;
        let attributes = fields.attributes()?;
        let changes = settable(&attributes)?;
        match self.handles.get(handle).ok_or(RequestError::NoSuchHandle)? {
            Handle::File { file, writable, .. } => {
                match attributes.size {
                    Some(size) if *writable => file.set_length(size)?,
                    Some(_) => return Err(RequestError::WrongHandle),
                    None => {}
                }
                file.set_attributes(&changes)?;
                done(id)
            }
            Handle::Directory(_) => Err(RequestError::WrongHandle),
        }
    }

    fn open_directory(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let path = self.home.path(fields.string()?)?;
        if self.handles.is_full() {
            return Err(RequestError::TooManyHandles);
        }
        let mut entries: VecDeque<Entry> = self.home.list(&path)?.into();
        // Clients expect both; the home's parent is shown as the home itself.
        let stat = self.home.stat(&path)?;
        entries.push_front(Entry { name: b"..".to_vec(), stat });
        entries.push_front(Entry { name: b".".to_vec(), stat });
        self.keep(id, Handle::Directory(entries))
    }

    fn read_directory(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let name = fields.string()?;
        let Handle::Directory(entries) = self.handles.get(name).ok_or(RequestError::NoSuchHandle)? else {
            return Err(RequestError::WrongHandle);
        };
        let count = entries.len().min(limits::SFTP_NAMES);
        if count == 0 {
            return Err(RequestError::EndOfFile);
        }
        let owner = &self.user;
        let with_long_name = |entry: Entry| {
            let long_name = long_name(&entry.name, &entry.stat, owner);
            (entry.name, long_name, entry.stat)
        };
        let names: Vec<_> = entries.drain(..count).map(with_long_name).collect();
        Ok(Reply::names(id, &names))
    }

    fn make_directory(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let path = self.home.path(fields.string()?)?;
        let mode = fields.attributes()?.permissions.unwrap_or(DIRECTORY_MODE);
        self.home.create_directory(&path, mode)?;
        done(id)
    }

    fn real_path(&mut self, id: u32, fields: &mut Fields<'_>) -> Answer {
        let path = self.home.path(fields.string()?)?;
        Ok(Reply::one_name(id, &self.home.absolute(&path)))
    }

    fn rename(&mut self, id: u32, fields: &mut Fields<'_>, replace: bool) -> Answer {
        let from = self.home.path(fields.string()?)?;
        let to = self.home.path(fields.string()?)?;
        self.home.rename(&from, &to, replace)?;
        done(id)
    }

    fn on_path(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        operation: impl FnOnce(&Home, &crate::home::HomePath) -> Result<(), HomeError>,
    ) -> Answer {
        let path = self.home.path(fields.string()?)?;
        operation(&self.home, &path)?;
        done(id)
    }
}

fn done(id: u32) -> Answer {
    Ok(Reply::status(id, StatusCode::Ok, "Success"))
}

/// What of the attributes can be set; files belong to the server, so an owner cannot.
fn settable(attributes: &Attributes) -> Result<SetAttributes, RequestError> {
    if attributes.owner.is_some() {
        return Err(RequestError::Owner);
    }
    let times = attributes.times.map(|(access, modification)| (access.into(), modification.into()));
    Ok(SetAttributes { mode: attributes.permissions, times })
}
