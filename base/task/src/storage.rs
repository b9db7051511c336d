//! The bytes under a file log: the few operations that it needs of a file, so that tests can put a failing
//! disk in place of a real one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One file.
pub trait LogStorage {
    /// All bytes.
    ///
    /// # Errors
    /// Those of the storage.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Writes bytes at an offset that is not beyond the end; durable only after [`LogStorage::sync`].
    ///
    /// # Errors
    /// Those of the storage.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// Those of the storage.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Makes all writes so far durable.
    ///
    /// # Errors
    /// Those of the storage.
    fn sync(&mut self) -> io::Result<()>;

    /// Puts `bytes` in place of the whole content, atomically and durably.
    ///
    /// # Errors
    /// Those of the storage; then the old content or the new one is there.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A file of the host.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    file: File,
    /// Held locked as long as the storage is open. The file itself is replaced, so its lock would not do.
    _lock: File,
}

impl FileStorage {
    /// Opens or makes `path`, and locks `path` with `.lock` added to its name.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::WouldBlock`] if another process has it open.
    pub fn open(path: &Path) -> io::Result<Self> {
        let lock = OpenOptions::new().create(true).append(true).open(with_suffix(path, ".lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        let file = Self::open_file(path)?;
        sync_folder(path)?;
        Ok(Self { path: path.to_owned(), file, _lock: lock })
    }

    fn open_file(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
    }
}

impl LogStorage for FileStorage {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fresh = with_suffix(&self.path, ".new");
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        sync_folder(&self.path)?;
        self.file = Self::open_file(&self.path)?;
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A new name is durable only when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
