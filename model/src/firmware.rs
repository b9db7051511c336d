//! Firmware of a managed system: images on the two sides of its flash, the levels in force, and the packages that bring
//! new ones.
//!
//! ```text
//! package ── install ──> temporary side ── accept ──> permanent side
//!                             │ power-on, or concurrent activation
//!                             v
//!                        activated level (in memory)
//! ```
//!
//! Names as the field has them: *installed* is the level of the temporary side, *accepted* that of the permanent side,
//! *activated* the one at work. A package `01SC860_160_056` brings level 160 of release 860 to machines of the platform
//! `SC`; the last number is the last level of the release whose installation disrupts: from there on the package can be
//! activated while partitions run.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::attributes::Release;
use crate::hardware::FirmwareLevel;

/// A firmware image on a side of the flash or in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareImage {
    /// Level.
    pub level: FirmwareLevel,
    /// Service pack name, `FW830.00`.
    pub service_pack: String,
    /// The last level of the release whose installation disrupts.
    pub last_disruptive: u16,
    /// Part of it takes effect only at a power-on, even when it is activated concurrently.
    pub deferred: bool,
}

impl FirmwareImage {
    /// The image of a machine as it was delivered.
    #[must_use]
    pub fn delivered(level: FirmwareLevel, service_pack: String) -> Self {
        Self { last_disruptive: level.level, level, service_pack, deferred: false }
    }

    /// Whether the other image is of the same release.
    #[must_use]
    pub fn same_release(&self, other: &Self) -> bool {
        self.level.ec_number == other.level.ec_number
    }

    /// Whether this image is newer than the other: of a later release, or a higher level of the same.
    #[must_use]
    pub fn newer_than(&self, other: &Self) -> bool {
        (self.level.release(), self.level.level) > (other.level.release(), other.level.level)
    }
}

/// The firmware of one managed system: recorded with its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareLevels {
    /// Temporary side: the installed level.
    pub temporary: FirmwareImage,
    /// Permanent side: the accepted level.
    pub permanent: FirmwareImage,
    /// What is at work.
    pub activated: FirmwareImage,
    /// What the hypervisor and partition firmware were last started with.
    pub platform_ipl: FirmwareImage,
    /// Activated, but with a part that waits for a power-on.
    pub deferred: Option<FirmwareImage>,
    /// The side that the system was last started from: true for the temporary one.
    pub runs_temporary: bool,
    /// Updates come from the management console; false: from an operating system.
    pub console_controls: bool,
}

impl FirmwareLevels {
    /// The levels of a machine as it was delivered, started from the temporary side.
    #[must_use]
    pub fn delivered(temporary: FirmwareImage, permanent: FirmwareImage) -> Self {
        Self {
            activated: temporary.clone(),
            platform_ipl: temporary.clone(),
            temporary,
            permanent,
            deferred: None,
            runs_temporary: true,
            console_controls: true,
        }
    }

    /// The levels of a machine delivered with one level on both sides.
    #[must_use]
    pub fn of(level: FirmwareLevel) -> Self {
        let service_pack = format!("FW{}.00", level.release());
        let image = FirmwareImage::delivered(level, service_pack);
        Self::delivered(image.clone(), image)
    }

    /// The system starts from a side: what is there is at work, nothing is deferred any more.
    pub fn start(&mut self, temporary: bool) {
        let image = if temporary { &self.temporary } else { &self.permanent };
        self.activated = image.clone();
        self.platform_ipl = image.clone();
        self.deferred = None;
        self.runs_temporary = temporary;
    }

    /// The installed level goes to work while partitions run.
    pub fn activate_concurrently(&mut self) {
        if self.activated == self.temporary {
            return;
        }
        self.activated = self.temporary.clone();
        if self.activated.deferred {
            self.deferred = Some(self.activated.clone());
        } else if self.deferred.as_ref().is_some_and(|deferred| deferred.newer_than(&self.activated)) {
            self.deferred = None;
        }
    }

    /// Why updates cannot be activated concurrently; `None` when they can.
    #[must_use]
    pub fn concurrent_update_disabled(&self) -> Option<&'static str> {
        (!self.runs_temporary).then_some("The permanent side is active")
    }

    /// Whether an image, once installed, can be activated while partitions run.
    #[must_use]
    pub fn activates_concurrently(&self, image: &FirmwareImage) -> bool {
        let base = self.activated.level.level;
        // Going back is concurrent down to the last level that disrupted on the way up.
        let floor = if image.newer_than(&self.activated) {
            image.last_disruptive
        } else {
            self.activated.last_disruptive
        };
        self.concurrent_update_disabled().is_none()
            && self.activated.same_release(image)
            && floor <= base.min(image.level.level)
    }
}

/// A package that brings a firmware image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwarePackage {
    /// The image.
    pub image: FirmwareImage,
    /// Types and models that it is for, `8286-41A`.
    pub machines: Vec<String>,
    /// The least console release that may install it: version, release, modification, fix.
    pub minimum_console: (u8, u8, u8, u8),
    /// Fixes that a console of just that release must have (`MH01514`).
    pub required_fixes: Vec<String>,
    /// File of the image beside the description.
    pub image_file: String,
    /// SHA-256 of that file, 64 lower-case hexadecimal digits.
    pub image_sha256: String,
}

/// Reads arbitrary bytes as a description; what is one prints and reads again the same. For fuzzing.
///
/// # Panics
/// When it does not.
pub fn fuzz_one(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(package) = FirmwarePackage::parse(text) {
        assert_eq!(FirmwarePackage::parse(&package.description()), Ok(package));
    }
}

/// Longest description in bytes.
pub const PACKAGE_DESCRIPTION_BYTES_MAX: usize = 16 * 1024;
/// How the names of package descriptions end.
pub const PACKAGE_SUFFIX: &str = ".fwpkg";

/// Why a package description is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PackageError {
    /// Longer than [`PACKAGE_DESCRIPTION_BYTES_MAX`].
    #[error("it is longer than {PACKAGE_DESCRIPTION_BYTES_MAX} bytes")]
    TooLong,
    /// A line without `=`.
    #[error("line {0} is not key=value")]
    Line(usize),
    /// A key that there is not, or twice.
    #[error("the key {0} is unknown or repeated")]
    Key(String),
    /// A key that is needed.
    #[error("the key {0} is missing")]
    Missing(&'static str),
    /// A value that is none.
    #[error("`{1}` is no value of {0}")]
    Value(&'static str, String),
}

const KEYS: [&str; 9] = [
    "level",
    "last_disruptive_level",
    "service_pack_name",
    "machines",
    "minimum_console_release",
    "required_fixes",
    "deferred",
    "image",
    "image_sha256",
];

struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, PackageError> {
        if text.len() > PACKAGE_DESCRIPTION_BYTES_MAX {
            return Err(PackageError::TooLong);
        }
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').ok_or(PackageError::Line(index + 1))?;
            let (key, value) = (key.trim(), value.trim());
            if !KEYS.contains(&key) || fields.iter().any(|(present, _)| *present == key) {
                return Err(PackageError::Key(key.to_owned()));
            }
            fields.push((key, value));
        }
        Ok(Self(fields))
    }

    fn optional(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(present, _)| *present == key).map(|(_, value)| *value)
    }

    fn required(&self, key: &'static str) -> Result<&'a str, PackageError> {
        self.optional(key).ok_or(PackageError::Missing(key))
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, PackageError> {
        let text = self.required(key)?;
        read(text).ok_or_else(|| PackageError::Value(key, text.to_owned()))
    }

    fn list(&self, key: &str) -> Vec<String> {
        let words = self.optional(key).unwrap_or_default().split(',').map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

/// `V8R8.3.0` or `V10R1M1020`.
fn console_release(text: &str) -> Option<(u8, u8, u8, u8)> {
    let (version, rest) = text.strip_prefix('V')?.split_once('R')?;
    let mut numbers = [0_u8; 3];
    let mut parts = rest.split('.');
    for number in &mut numbers {
        match parts.next() {
            Some(part) => *number = part.parse().ok()?,
            None => break,
        }
    }
    parts.next().is_none().then_some((version.parse().ok()?, numbers[0], numbers[1], numbers[2]))
}

fn file_name(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.');
    fits.then(|| text.to_owned())
}

fn digest(text: &str) -> Option<String> {
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == 64 && text.bytes().all(hexadecimal)).then(|| text.to_owned())
}

/// A text without control characters or the characters of records.
fn word(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=32).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

impl FirmwarePackage {
    /// Reads a description: lines `key=value`, blank ones and those that begin with `#` left out.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let fields = Fields::read(text)?;
        let level: FirmwareLevel =
            fields.parsed("level", |text| text.is_ascii().then(|| text.parse().ok()).flatten())?;
        let last_disruptive: u16 = fields.parsed("last_disruptive_level", |text| text.parse().ok())?;
        if last_disruptive > level.level {
            return Err(PackageError::Value("last_disruptive_level", last_disruptive.to_string()));
        }
        let deferred = match fields.optional("deferred") {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => return Err(PackageError::Value("deferred", other.to_owned())),
        };
        let machines = fields.list("machines");
        if machines.is_empty() {
            return Err(PackageError::Missing("machines"));
        }
        Ok(Self {
            image: FirmwareImage {
                service_pack: fields.parsed("service_pack_name", word)?,
                level,
                last_disruptive,
                deferred,
            },
            machines,
            minimum_console: fields.parsed("minimum_console_release", console_release)?,
            required_fixes: fields.list("required_fixes"),
            image_file: fields.parsed("image", file_name)?,
            image_sha256: fields.parsed("image_sha256", digest)?,
        })
    }

    /// The name of the package, `01SC860_160_056`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}_{:03}", self.image.level, self.image.last_disruptive)
    }

    /// The description as a file has it; [`FirmwarePackage::parse`] reads it again.
    #[must_use]
    pub fn description(&self) -> String {
        let (version, release, modification, fix) = self.minimum_console;
        let image = &self.image;
        format!(
            "level={}\nlast_disruptive_level={}\nservice_pack_name={}\nmachines={}\n\
             minimum_console_release=V{version}R{release}.{modification}.{fix}\nrequired_fixes={}\n\
             deferred={}\nimage={}\nimage_sha256={}\n",
            image.level,
            image.last_disruptive,
            image.service_pack,
            self.machines.join(","),
            self.required_fixes.join(","),
            u8::from(image.deferred),
            self.image_file,
            self.image_sha256
        )
    }

    /// Whether the package is for machines of that type and model whose firmware has that EC number.
    #[must_use]
    pub fn is_for(&self, type_model: &str, ec_number: &str) -> bool {
        let platform = |ec_number: &str| ec_number.get(..4).map(str::to_owned);
        self.machines.iter().any(|machine| machine == type_model)
            && platform(&self.image.level.ec_number) == platform(ec_number)
    }

    /// Whether a console of that release with those fixes (`MH01514: ...` each) may install the package.
    #[must_use]
    pub fn allows_console(&self, release: Release, fixes: &[String]) -> bool {
        let (version, number, modification, fix) = self.minimum_console;
        let minimum = Release(version, number, modification, fix);
        let has = |wanted: &String| fixes.iter().any(|fix| fix.starts_with(wanted.as_str()));
        release > minimum || (release == minimum && self.required_fixes.iter().all(has))
    }

    /// The least console, in words: `V8R8.3.0 MH01514`.
    #[must_use]
    pub fn console_needed(&self) -> String {
        let (version, release, modification, fix) = self.minimum_console;
        let mut text = format!("V{version}R{release}.{modification}.{fix}");
        for wanted in &self.required_fixes {
            text.push(' ');
            text.push_str(wanted);
        }
        text
    }
}

#[cfg(test)]
mod tests;
