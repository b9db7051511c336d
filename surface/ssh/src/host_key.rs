//! Ed25519 keys in files: the server's host key, made once and kept for good, since clients remember it, and the keys by
//! which users of a console reach other consoles.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{Algorithm, HashAlg, LineEnding};

/// Why no RSA host key is ever made; also given to the host in a report.
pub const NO_RSA_HOST_KEY: &str = "host keys are Ed25519 only: every client since OpenSSH 6.5 (2014) takes \
     them, and an RSA signature in constant time is what portable libraries do worst; RSA keys of users \
     are verified, which needs no secret";

/// The key's file, named as OpenSSH names it.
const FILE_NAME: &str = "ssh_host_ed25519_key";

/// A host key file is about 400 bytes; a longer one is not read.
const LARGEST_FILE: u64 = 64 << 10;

/// The Ed25519 host key.
#[derive(Clone)]
pub struct HostKey {
    key: PrivateKey,
    created: bool,
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HostKey").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

/// Why there is no host key.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// A file operation failed.
    #[error("host key {}: cannot {action}: {source}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file can be read by others, so it must be taken as known to them.
    #[error("host key {}: mode {mode:04o} lets others read it; it must be 0600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not an unencrypted Ed25519 key in OpenSSH's form. It is not replaced: clients
    /// would take the new key for an attack.
    #[error("host key {}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl HostKey {
    /// Reads the key `ssh_host_ed25519_key` in `directory`, or makes it, mode 0600, durable
    /// before the call returns.
    ///
    /// # Errors
    /// See [`HostKeyError`].
    pub fn load_or_create(directory: &Path) -> Result<Self, HostKeyError> {
        Self::load_or_create_named(directory, FILE_NAME)
    }

    /// The same for a user's own key, in a file of that name.
    ///
    /// # Errors
    /// See [`HostKeyError`].
    pub fn load_or_create_named(directory: &Path, name: &str) -> Result<Self, HostKeyError> {
        let path = directory.join(name);
        match File::open(&path) {
            Ok(file) => load(&path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(directory, &path),
            Err(source) => Err(HostKeyError::File { action: "open it", path, source }),
        }
    }

    /// `SHA256:` and base64, as clients show it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The public key as `ssh-ed25519 base64`, for a `known_hosts` line.
    ///
    /// # Errors
    /// Never for a key that was loaded; the encoder's signature has one.
    pub fn public_line(&self) -> Result<String, HostKeyError> {
        self.key.public_key().to_openssh().map_err(|error| HostKeyError::Invalid {
            path: PathBuf::from(FILE_NAME),
            reason: error.to_string(),
        })
    }

    /// Whether this call made the key.
    #[must_use]
    pub fn was_created(&self) -> bool {
        self.created
    }

    pub(crate) fn private_key(&self) -> PrivateKey {
        self.key.clone()
    }
}

fn load(path: &Path, mut file: File) -> Result<HostKey, HostKeyError> {
    let fail = |action| move |source| HostKeyError::File { action, path: path.to_owned(), source };
    let invalid = |reason: String| HostKeyError::Invalid { path: path.to_owned(), reason };
    let metadata = file.metadata().map_err(fail("examine it"))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(HostKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(LARGEST_FILE).read_to_string(&mut text).map_err(fail("read it"))?;
    let key = PrivateKey::from_openssh(text).map_err(|error| invalid(error.to_string()))?;
    if key.is_encrypted() {
        return Err(invalid("the key has a passphrase".into()));
    }
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(invalid(format!("{} is not supported: {NO_RSA_HOST_KEY}", key.algorithm())));
    }
    Ok(HostKey { key, created: false })
}

fn create(directory: &Path, path: &Path) -> Result<HostKey, HostKeyError> {
    let fail = |action| move |source| HostKeyError::File { action, path: path.to_owned(), source };
    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut seed))
        .map_err(fail("read the system's random source for it"))?;
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    key.set_comment("varan");
    let text = key
        .to_openssh(LineEnding::LF)
        .map_err(|error| HostKeyError::Invalid { path: path.to_owned(), reason: error.to_string() })?;
    fs::create_dir_all(directory).map_err(fail("create its directory"))?;
    let temporary = path.with_extension("new");
    // One left by a crash has never been used.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fail("remove an unfinished one beside it")(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(fail("create it"))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(fail("protect it"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail("write it"))?;
    fs::rename(&temporary, path).map_err(fail("move it into place"))?;
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(fail("make it durable"))?;
    Ok(HostKey { key, created: true })
}
