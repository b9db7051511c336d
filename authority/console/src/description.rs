//! What a console is told about itself when it is opened.

use std::fmt;

use varan_model::attributes::Release;
use varan_model::ids::MachineIdentity;

/// A password as a site file gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Plain(String),
    /// An Argon2 hash in its standard text form (`$argon2id$v=19$...`).
    Hash(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither form belongs in a log.
        formatter.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Hash(_) => "Hash(..)",
        })
    }
}

/// A user that a new console starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDescription {
    /// Login name.
    pub name: String,
    /// Password; without one the user logs in by public key only.
    pub password: Option<Secret>,
    /// Task role, one of the words of [`crate::TaskRole`].
    pub task_role: String,
    /// Resource role; only `ALL:` (all resources) is supported.
    pub resource_role: String,
    /// Free text.
    pub description: String,
    /// Public keys, each a line `algorithm base64 [comment]` as in `authorized_keys`.
    pub authorized_keys: Vec<String>,
}

/// A console as its site describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleDescription {
    /// Name, shown in the prompt.
    pub name: String,
    /// Host name without domain.
    pub hostname: String,
    /// DNS domain; empty when there is none.
    pub domain: String,
    /// IPv4 address that the console answers on; empty when it is not known.
    pub address: String,
    /// Release as text, `V8R8.6.0`.
    pub release_text: String,
    /// Release as a number; see [`release_number`]. It decides which attributes exist.
    pub release: Release,
    /// Base version, `V8R8.6.0`.
    pub base_version: String,
    /// Service pack, `0`.
    pub service_pack: String,
    /// Build level, `20161101.1`.
    pub build_level: String,
    /// One line for each fix.
    pub fixes: Vec<String>,
    /// Level of the console's own firmware, for `lshmc -b`.
    pub bios_level: String,
    /// Memory of the machine that the console runs on, in bytes; 0 when it is not known.
    pub memory_bytes: u64,
    /// Machine type, model and serial number of the console itself.
    pub identity: MachineIdentity,
    /// Users of a new console; ignored when its database exists already.
    pub users: Vec<UserDescription>,
}

/// Splits a release text: `V8R8.6.0` into `8` and `8.6.0`.
pub(crate) fn split_release(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('V')?.split_once('R')
}

/// The release as a number: `V8R8.6.0` is 8, 8, 6, 0. Later consoles have a short release and a service pack: `V10R3`
/// with service pack 1060 is 10, 3, 10, 60.
#[must_use]
pub fn release_number(text: &str, service_pack: &str) -> Option<Release> {
    let (version, release) = split_release(text)?;
    let version: u8 = version.parse().ok()?;
    let parts: Vec<u8> = release.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [release] => {
            let pack: u16 = service_pack.parse().ok()?;
            let hundreds = u8::try_from(pack / 100).ok()?;
            Some(Release(version, release, hundreds, u8::try_from(pack % 100).ok()?))
        }
        [release, modification] => Some(Release(version, release, modification, 0)),
        [release, modification, fix] => Some(Release(version, release, modification, fix)),
        _ => None,
    }
}

impl ConsoleDescription {
    /// Version and release as `lshmc -V` prints them: `8` and `8.6.0`.
    #[must_use]
    pub fn version_and_release(&self) -> (&str, &str) {
        split_release(&self.release_text).unwrap_or((&self.release_text, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        for (text, pack, release) in [
            ("V8R8.6.0", "0", Release(8, 8, 6, 0)),
            ("V7R7.9.0", "3", Release(7, 7, 9, 0)),
            ("V9R1", "942", Release(9, 1, 9, 42)),
            ("V10R3", "1060", Release(10, 3, 10, 60)),
        ] {
            assert_eq!(release_number(text, pack), Some(release), "{text}");
        }
        for text in ["", "V8", "8R8.6.0", "VxR1", "V8R8.6.0.1", "V8R8..0"] {
            assert_eq!(release_number(text, "0"), None, "{text}");
        }
    }
}
