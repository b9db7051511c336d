//! Other consoles, as `mkauthkeys` reaches them: by SSH, with a key pair of the user's own that stays on the console.
//!
//! ```text
//! consoles/<console>/identities/<user>/id_ed25519     the user's key
//! consoles/<console>/identities/<user>/hosts          host keys of the consoles that let it in: "host key" on each line
//! ```
//!
//! Consoles of the same data directory are found by their names, or by an address that only one other of them has: they may
//! share an address and differ in their ports. Any other host is reached on port 22, or on the port after a colon.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files;
use varan_command::RemoteConsoles;
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_ssh::{ClientError, Credential, HostKey, RemoteCommand, RemoteOutput, run_remote};

const DIRECTORY: &str = "identities";
const KEY_FILE: &str = "id_ed25519";
const HOSTS_FILE: &str = "hosts";
const SSH_PORT: u16 = 22;
/// Longest time for one command on another console.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way of one user of one console to others.
pub struct UserRemoteConsoles<'a> {
    /// Name of the console.
    console: &'a str,
    user: &'a str,
    /// Directory of the console.
    directory: PathBuf,
}

/// The directory of a user's identity. Names of users have no slash and begin with a letter.
fn identity(directory: &Path, user: &str) -> PathBuf {
    directory.join(DIRECTORY).join(user)
}

/// Forgets the key of a user that was removed.
///
/// # Errors
/// Whatever the host's file system reports; a user without a key has none.
pub fn forget(homes: &Path, user: &str) -> io::Result<()> {
    files::if_there(std::fs::remove_dir_all(identity(&homes.with_file_name(""), user)))
}

/// The key of a user that has another name now.
///
/// # Errors
/// Whatever the host's file system reports; a user without a key has none.
pub fn rename(homes: &Path, user: &str, new_name: &str) -> io::Result<()> {
    let directory = homes.with_file_name("");
    files::if_there(std::fs::rename(identity(&directory, user), identity(&directory, new_name)))
}

fn not_kept(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::RecordFailed).with(error)
}

/// A console of `ssh_config`: name, address, port.
fn known_consoles(text: &str) -> Vec<(String, String, u16)> {
    let mut found: Vec<(String, String, u16)> = Vec::new();
    for line in text.lines() {
        let Some((word, value)) = line.trim().split_once(' ') else { continue };
        match (word, found.last_mut()) {
            ("Host", _) => found.push((value.to_owned(), String::new(), SSH_PORT)),
            ("HostName", Some(console)) => value.clone_into(&mut console.1),
            ("Port", Some(console)) => console.2 = value.parse().unwrap_or(SSH_PORT),
            _ => {}
        }
    }
    found
}

/// Address and port of a host as the user named it.
fn resolve(host: &str, own: &str, consoles: &[(String, String, u16)]) -> (String, u16) {
    let short = host.split('.').next().unwrap_or(host);
    let named = consoles.iter().find(|(name, ..)| name == host || name == short);
    let mut at_address = consoles.iter().filter(|(name, address, _)| address == host && name != own);
    let only = match (at_address.next(), at_address.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    };
    if let Some((_, address, port)) = named.or(only) {
        return (address.clone(), *port);
    }
    let whole = || (host.trim_matches(['[', ']']).to_owned(), SSH_PORT);
    // An IPv6 address has colons of its own, and none for a port unless it is in brackets.
    if host.parse::<IpAddr>().is_ok() {
        return whole();
    }
    match host.rsplit_once(':') {
        Some((name, port)) => match port.parse() {
            Ok(port) => (name.trim_matches(['[', ']']).to_owned(), port),
            Err(_) => whole(),
        },
        None => whole(),
    }
}

impl<'a> UserRemoteConsoles<'a> {
    /// The way of a user whose console has its homes in `homes`.
    #[must_use]
    pub fn beside(homes: &Path, console: &'a str, user: &'a str) -> Self {
        Self { console, user, directory: homes.with_file_name("") }
    }

    fn identity(&self) -> PathBuf {
        identity(&self.directory, self.user)
    }

    fn key(&self) -> Result<HostKey, Refusal> {
        HostKey::load_or_create_named(&self.identity(), KEY_FILE).map_err(not_kept)
    }

    fn resolve(&self, host: &str) -> (String, u16) {
        // <data>/consoles/<console>; a console that stands alone has no other beside it.
        let config = self.directory.ancestors().nth(2).map(|data| data.join("ssh_config"));
        let text = config.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        resolve(host, self.console, &known_consoles(&text))
    }

    fn hosts(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.identity().join(HOSTS_FILE)).unwrap_or_default();
        let line = |line: &str| line.split_once(' ').map(|(host, key)| (host.to_owned(), key.to_owned()));
        text.lines().filter_map(line).collect()
    }

    /// Remembers the host key of a console that lets the user in: the file is there wholly or not at all.
    fn remember(&self, host: &str, key: &str) -> io::Result<()> {
        let mut hosts = self.hosts();
        hosts.retain(|(known, _)| known != host);
        hosts.push((host.to_owned(), key.to_owned()));
        let text: String = hosts.iter().map(|(host, key)| format!("{host} {key}\n")).collect();
        files::replace(&self.identity(), HOSTS_FILE, text.as_bytes())
    }

    fn run(
        &self,
        host: &str,
        user: &str,
        credential: Credential<'_>,
        host_key: Option<&str>,
        command: &str,
    ) -> Result<RemoteOutput, ClientError> {
        let (address, port) = self.resolve(host);
        let address = (address.as_str(), port);
        run_remote(&RemoteCommand { address, user, credential, host_key, command, patience: PATIENCE })
    }
}

impl RemoteConsoles for UserRemoteConsoles<'_> {
    fn own_key(&self) -> Result<String, Refusal> {
        let line = self.key()?.public_line().map_err(not_kept)?;
        let words: Vec<&str> = line.split(' ').take(2).collect();
        Ok(format!("{} {}@{}", words.join(" "), self.user, self.console))
    }

    fn exchange(&self, host: &str, user: &str, password: &str) -> Result<(), Refusal> {
        let command = format!("mkauthkeys -a '{}'", self.own_key()?);
        let said = self.run(host, user, Credential::Password(password), None, &command);
        let said = said.map_err(|error| match error {
            ClientError::NotLetIn => Refusal::new(MessageKey::RemotePasswordWrong).with(user).with(host),
            other => Refusal::new(MessageKey::RemoteConsoleUnreachable).with(host).with(other),
        })?;
        if said.status != Some(0) {
            let text = String::from_utf8_lossy(&said.output).trim().to_owned();
            return Err(Refusal::new(MessageKey::RemoteConsoleRefused).with(host).with(text));
        }
        self.remember(host, &said.host_key).map_err(not_kept)
    }

    fn test(&self, host: &str, user: &str) -> Result<(), Refusal> {
        let missing = || Refusal::new(MessageKey::RemoteKeysMissing).with(user);
        let (known, key) = (self.hosts(), self.key()?);
        let (_, host_key) = known.iter().find(|(name, _)| name == host).ok_or_else(missing)?;
        match self.run(host, user, Credential::Key(&key), Some(host_key), "lshmc -v") {
            Ok(_) => Ok(()),
            Err(ClientError::HostKeyChanged) => {
                Err(Refusal::new(MessageKey::RemoteConsoleChanged).with(host))
            }
            Err(ClientError::NotLetIn) => Err(missing()),
            Err(other) => Err(Refusal::new(MessageKey::RemoteConsoleUnreachable).with(host).with(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_by_name_by_address_and_by_port() {
        let config = "Host myhmc\n    HostName 127.0.0.1\n    Port 2222\n    User hscroot\n\n\
                      Host myhmc2\n    HostName 127.0.0.1\n    Port 2223\n\nHost far\n    HostName 10.1.1.1\n    Port 22\n";
        let consoles = known_consoles(config);
        let of = |host: &str| {
            let (address, port) = resolve(host, "myhmc", &consoles);
            format!("{address} {port}")
        };
        assert_eq!(of("myhmc2"), "127.0.0.1 2223");
        assert_eq!(of("myhmc2.example.com"), "127.0.0.1 2223");
        assert_eq!(of("127.0.0.1"), "127.0.0.1 2223", "the other one at this address");
        assert_eq!(of("10.1.1.1"), "10.1.1.1 22");
        assert_eq!(of("other.example.com"), "other.example.com 22");
        assert_eq!(of("other:2022"), "other 2022");
        assert_eq!(of("[::1]:2022"), "::1 2022");
        assert_eq!(of("fe80::1"), "fe80::1 22");
        assert_eq!(of("other:x"), "other:x 22");
    }
}
