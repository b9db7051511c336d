//! Files that are there wholly or not at all, and files that need not be there.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file in a directory that exists: it is there wholly or not at all, also after a loss of power. It is written
/// under its name with a dot before it.
///
/// # Errors
/// Whatever the host's file system reports.
pub fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}"));
    let mut file = File::create(&temporary)?;
    // As long as it is locked it counts as in use, and nobody removes it to free space.
    file.lock()?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// The result of something done to what need not be there: that it is not there is no error.
///
/// # Errors
/// Any other.
pub fn if_there(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
