//! Firmware packages on disk: the repository of a console, and the packages that shipped sites begin with.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::files;
use sha2::{Digest, Sha256};
use varan_model::firmware::{FirmwareImage, FirmwarePackage, PACKAGE_SUFFIX};

/// Directory of the repository within a console's own directory.
const DIRECTORY: &str = "firmware";
/// Size of a shipped image in bytes.
const IMAGE_BYTES: usize = 64 << 10;

/// The firmware repository on a console's disk. Names come from package descriptions, which allow no slash.
pub struct FirmwareRepository {
    path: PathBuf,
}

impl FirmwareRepository {
    /// The repository of the console whose users' homes are in `homes`.
    #[must_use]
    pub fn beside(homes: &Path) -> Self {
        Self { path: homes.with_file_name(DIRECTORY) }
    }

    fn file(&self, name: &str) -> io::Result<PathBuf> {
        // Not only a check of what callers promise: a name is outside bytes.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.path.join(name))
    }

    /// Names of its files.
    ///
    /// # Errors
    /// Whatever the host's file system reports; a repository that was never written is empty.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// Whatever the host's file system reports, or a file that is too large.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.file(name)?)?.take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::other(format!("it is larger than {limit} bytes")));
        }
        Ok(content)
    }

    /// Writes a file: it is there wholly or not at all, also after a loss of power.
    ///
    /// # Errors
    /// Whatever the host's file system reports.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.file(name)?;
        std::fs::create_dir_all(&self.path)?;
        files::replace(&self.path, name, content)
    }

    /// Removes a file; one that is not there is none.
    ///
    /// # Errors
    /// Whatever the host's file system reports.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        files::if_there(std::fs::remove_file(self.file(name)?))
    }
}

struct Shipped {
    directory: &'static str,
    level: &'static str,
    last_disruptive: u16,
    service_pack: &'static str,
    machines: &'static [&'static str],
    minimum_console: (u8, u8, u8, u8),
    required_fix: &'static str,
    deferred: bool,
}

/// The packages of shipped sites, by the directory of hscroot's home that a site file names.
static SHIPPED: [Shipped; 3] = [
    Shipped {
        directory: "SV830_048",
        level: "01SV830_048",
        last_disruptive: 48,
        service_pack: "FW830.00",
        machines: &["8286-41A", "8286-42A", "8284-22A"],
        minimum_console: (8, 8, 3, 0),
        required_fix: "MH01514",
        deferred: false,
    },
    Shipped {
        directory: "SV830_068",
        level: "01SV830_068",
        last_disruptive: 48,
        service_pack: "FW830.10",
        machines: &["8286-41A", "8286-42A", "8284-22A"],
        minimum_console: (8, 8, 3, 0),
        required_fix: "MH01514",
        deferred: true,
    },
    Shipped {
        directory: "860_056",
        level: "01SC860_056",
        last_disruptive: 56,
        service_pack: "FW860.10",
        machines: &["9119-MME", "9119-MHE", "9080-MME", "9080-MHE"],
        minimum_console: (8, 8, 6, 0),
        required_fix: "MH01655",
        deferred: false,
    },
];

/// The bytes of a shipped image: its name, then noise that follows from the name.
fn image(name: &str) -> Vec<u8> {
    let mut state = name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut bytes = format!("{name}\n").into_bytes();
    while bytes.len() < IMAGE_BYTES {
        bytes.extend(varan_environment::split_mix(&mut state).to_le_bytes());
    }
    bytes
}

/// Fills a directory of a home with the package that ships for its name, if there is one and the directory has no package.
///
/// # Errors
/// Whatever the host's file system reports.
pub fn fill_shipped(directory: &Path) -> io::Result<()> {
    let name = directory.file_name().unwrap_or_default();
    let Some(shipped) = SHIPPED.iter().find(|shipped| name == shipped.directory) else { return Ok(()) };
    for entry in std::fs::read_dir(directory)? {
        if entry?.file_name().to_string_lossy().ends_with(PACKAGE_SUFFIX) {
            return Ok(());
        }
    }
    let level = shipped.level.parse().map_err(io::Error::other)?;
    let mut package = FirmwarePackage {
        image: FirmwareImage {
            level,
            service_pack: shipped.service_pack.to_owned(),
            last_disruptive: shipped.last_disruptive,
            deferred: shipped.deferred,
        },
        machines: shipped.machines.iter().map(|&machine| machine.to_owned()).collect(),
        minimum_console: shipped.minimum_console,
        required_fixes: vec![shipped.required_fix.to_owned()],
        image_file: String::new(),
        image_sha256: String::new(),
    };
    let name = package.name();
    let bytes = image(&name);
    package.image_file = format!("{name}.img");
    package.image_sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(directory.join(&package.image_file), bytes)?;
    std::fs::write(directory.join(format!("{name}{PACKAGE_SUFFIX}")), package.description())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        let repository = FirmwareRepository::beside(Path::new("/nowhere/homes"));
        for name in ["", "..", ".hidden", "a/b", "../a", "a\0b"] {
            assert!(repository.read(name, 1).is_err(), "{name}");
            assert!(repository.write(name, b"").is_err(), "{name}");
            assert!(repository.remove(name).is_err(), "{name}");
        }
        assert_eq!(repository.list().expect("empty"), Vec::<String>::new());
    }
}
