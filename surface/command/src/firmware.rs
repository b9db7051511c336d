//! Firmware packages: where the console finds them, and whether they are whole.

use sha2::{Digest, Sha256};
use varan_model::codes::MessageKey;
use varan_model::firmware::{FirmwarePackage, PACKAGE_SUFFIX};
use varan_model::refusal::Refusal;

use crate::failure::invalid_parameters;
use crate::invocation::HomeFiles;
use crate::options::ParsedOptions;

/// Most packages of one repository.
const PACKAGES_MAX: usize = 256;

/// The places that `-r` names.
pub(crate) const KINDS: &[&str] = &["ibmwebsite", "ftp", "sftp", "dvd", "disk", "mountpoint", "usb"];

/// A repository that this console can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repository {
    /// A directory of the user's home.
    Directory(String),
    /// The console's own disk.
    Disk,
}

impl Repository {
    /// Reads `-r`, `-d` and what goes with remote places.
    ///
    /// # Errors
    /// A place that this console cannot reach, or options that do not go with it.
    pub fn of(options: &ParsedOptions) -> Result<Self, Refusal> {
        let kind = options.require("-r")?;
        let remote = matches!(kind, "ftp" | "sftp");
        for option in ["-h", "-u", "--passwd", "-k"] {
            if options.has(option) && (!remote || (option == "-k" && kind == "ftp")) {
                return Err(Refusal::new(MessageKey::ParameterUnknown).with(option));
            }
        }
        match kind {
            "mountpoint" => Ok(Self::Directory(options.require("-d")?.to_owned())),
            "disk" if options.has("-d") => Err(Refusal::new(MessageKey::ParameterUnknown).with("-d")),
            "disk" => Ok(Self::Disk),
            _ => {
                let missing: Vec<&str> = ["-h", "-u"].into_iter().filter(|one| !options.has(one)).collect();
                if remote && !missing.is_empty() {
                    return Err(invalid_parameters(&missing));
                }
                let reason = "this management console has no way to such a place";
                Err(Refusal::new(MessageKey::FirmwareRepositoryUnavailable).with(kind).with(reason))
            }
        }
    }

    /// How the user named it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Directory(path) => path,
            Self::Disk => "disk",
        }
    }

    fn unreadable(&self, error: impl std::fmt::Display) -> Refusal {
        Refusal::new(MessageKey::FirmwareRepositoryUnavailable).with(self.shown()).with(error)
    }

    fn read(&self, files: &dyn HomeFiles, name: &str) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Directory(path) => files.read_file(&format!("{}/{name}", path.trim_end_matches('/'))),
            Self::Disk => files.read_repository(name),
        }
    }

    /// The packages in it, in the order of their file names.
    ///
    /// # Errors
    /// The place or a description in it cannot be read.
    pub fn packages(&self, files: &dyn HomeFiles) -> Result<Vec<FirmwarePackage>, Refusal> {
        let listed = match self {
            Self::Directory(path) => files.list_directory(path),
            Self::Disk => files.list_repository(),
        };
        let mut names = listed.map_err(|error| self.unreadable(error))?;
        names.retain(|name| name.ends_with(PACKAGE_SUFFIX));
        names.sort_unstable();
        if names.len() > PACKAGES_MAX {
            return Err(self.unreadable(format_args!("it has more than {PACKAGES_MAX} packages")));
        }
        names.iter().map(|name| self.package(files, name)).collect()
    }

    fn package(&self, files: &dyn HomeFiles, name: &str) -> Result<FirmwarePackage, Refusal> {
        let bytes = self.read(files, name).map_err(|error| damaged(name, error))?;
        let text = String::from_utf8(bytes).map_err(|_| damaged(name, "it is not a text in UTF-8"))?;
        FirmwarePackage::parse(&text).map_err(|error| damaged(name, error))
    }

    /// Reads the image of a package and compares it with what its description says; the description comes with it, so that
    /// both can be kept.
    ///
    /// # Errors
    /// The image is not there or is another one.
    pub fn retrieve(&self, files: &dyn HomeFiles, package: &FirmwarePackage) -> Result<Vec<u8>, Refusal> {
        let name = package.name();
        let image = self.read(files, &package.image_file).map_err(|error| damaged(&name, error))?;
        let sum: String = Sha256::digest(&image).iter().map(|byte| format!("{byte:02x}")).collect();
        if sum != package.image_sha256 {
            return Err(damaged(&name, format_args!("the checksum of {} is wrong", package.image_file)));
        }
        Ok(image)
    }
}

fn damaged(name: &str, reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::FirmwarePackageDamaged).with(name).with(reason)
}

/// Keeps a retrieved package on the console's own disk: the image first, so that a description never stands alone.
///
/// # Errors
/// The disk cannot be written.
pub(crate) fn keep(files: &dyn HomeFiles, package: &FirmwarePackage, image: &[u8]) -> std::io::Result<()> {
    let description = format!("{}{PACKAGE_SUFFIX}", package.name());
    files.write_repository(&package.image_file, image)?;
    files.write_repository(&description, package.description().as_bytes())
}

/// Removes a package from the console's own disk.
///
/// # Errors
/// The disk cannot be written.
pub(crate) fn discard(files: &dyn HomeFiles, package: &FirmwarePackage) -> std::io::Result<()> {
    files.remove_from_repository(&format!("{}{PACKAGE_SUFFIX}", package.name()))?;
    files.remove_from_repository(&package.image_file)
}
