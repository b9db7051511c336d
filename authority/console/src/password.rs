//! Passwords: hashed with Argon2id, compared in constant time.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use varan_environment::Environment;
use varan_model::system::AccessPassword;

/// Memory of one hash in KiB. Logins must stay quick, and several run at once.
pub const MEMORY_KIB: u32 = 8 * 1_024;
/// Passes over that memory.
pub const PASSES: u32 = 2;
/// Lanes; one, because a login takes one thread.
pub const LANES: u32 = 1;

/// Why a password or its hash cannot be used.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// The text is not a hash in the standard form, or of another algorithm.
    #[error("the password hash is not an Argon2 hash in its standard text form: {0}")]
    NotAHash(String),
    /// The hash cannot be computed.
    #[error("the password cannot be hashed: {0}")]
    Hashing(String),
}

fn hasher() -> Result<Argon2<'static>, PasswordError> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| PasswordError::Hashing(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

/// Hashes a password with a salt from the environment; a salt must differ between users, it need not be secret.
///
/// # Errors
/// [`PasswordError::Hashing`].
pub fn hash(password: &str, environment: &dyn Environment) -> Result<String, PasswordError> {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&environment.random().to_le_bytes());
    salt[8..].copy_from_slice(&environment.random().to_le_bytes());
    let hash: PasswordHash = hasher()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| PasswordError::Hashing(error.to_string()))?;
    Ok(hash.to_string())
}

/// Checks that a text is a hash that [`verify`] can use.
///
/// # Errors
/// [`PasswordError::NotAHash`].
pub fn check_hash(text: &str) -> Result<(), PasswordError> {
    let hash = PasswordHash::new(text).map_err(|error| PasswordError::NotAHash(error.to_string()))?;
    let known = hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some();
    if known { Ok(()) } else { Err(PasswordError::NotAHash(hash.algorithm.to_string())) }
}

/// Whether a password belongs to a hash. A hash that cannot be read belongs to no password.
#[must_use]
pub fn verify(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// The password by which consoles reach a service processor when nobody has set another.
pub const INITIAL_ACCESS_PASSWORD: &str = "abc123";
/// The salt is the same for all: a console must derive the key of a password without knowing the machine behind an address.
const ACCESS_SALT: &[u8] = b"service processor access";

/// The key that stands for the password of a service processor.
///
/// # Errors
/// [`PasswordError::Hashing`].
pub fn access_key(password: &str) -> Result<AccessPassword, PasswordError> {
    if password == INITIAL_ACCESS_PASSWORD {
        return Ok(AccessPassword::Initial);
    }
    let mut key = [0; 32];
    hasher()?
        .hash_password_into(password.as_bytes(), ACCESS_SALT, &mut key)
        .map_err(|error| PasswordError::Hashing(error.to_string()))?;
    Ok(AccessPassword::Derived(key.iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use varan_environment::RealEnvironment;

    #[test]
    fn a_hash_belongs_to_its_password_only() {
        let environment = RealEnvironment::new();
        let first = hash("abc123", &environment).expect("hash");
        assert!(first.starts_with("$argon2id$v=19$m=8192,t=2,p=1$"), "{first}");
        assert!(verify("abc123", &first));
        assert!(!verify("abc124", &first));
        assert!(!verify("", &first));
        assert_ne!(first, hash("abc123", &environment).expect("hash"), "salts differ");
        check_hash(&first).expect("own form");
    }

    #[test]
    fn what_is_not_a_hash_lets_nobody_in() {
        for text in ["", "abc123", "$argon2id$", "$scrypt$ln=1,r=8,p=1$YWJjZGVmZ2g$YWJjZGVmZ2hpamtsbW5vcA"] {
            assert!(check_hash(text).is_err(), "{text:?}");
            assert!(!verify("abc123", text), "{text:?}");
        }
    }
}
