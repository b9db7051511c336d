//! Consoles and their users.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::checks::{Checks, NameSpace};
use super::error::{SiteError, SiteProblem};
use super::reader::{Located, TableReader};
use crate::ids::MachineIdentity;

/// Most consoles of a site.
pub const CONSOLES_MAX: usize = 16;
/// The task roles that a console has from the start.
pub const PREDEFINED_TASK_ROLES: [&str; 6] =
    ["hmcsuperadmin", "hmcoperator", "hmcviewer", "hmcpe", "hmcservicerep", "hmcclientliveupdate"];
/// The SSH port where a listen address names none.
const SSH_PORT: u16 = 22;
/// Longest user name, as on a Linux system.
const USER_NAME_LENGTH_MAX: usize = 32;

/// How a user proves who it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Password {
    /// The password itself; only in demonstration sites.
    Plain(String),
    /// An Argon2 hash in its standard text form (`$argon2id$v=19$...`).
    Hash(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither form belongs in a log.
        formatter.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Hash(_) => "Hash(..)",
        })
    }
}

/// A user of a console, created when the console's data directory is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleUser {
    /// Login name.
    pub name: String,
    /// Password; without one the user logs in by public key only.
    pub password: Option<Password>,
    /// Task role, one of [`PREDEFINED_TASK_ROLES`].
    pub task_role: String,
    /// Resource role; `ALL:` for all resources.
    pub resource_role: String,
    /// Description.
    pub description: String,
    /// Public keys in the form of an `authorized_keys` line.
    pub authorized_keys: Vec<String>,
}

/// A management console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleDescription {
    /// Name, unique in the site; the prompt and the generated SSH configuration use it.
    pub name: String,
    /// Host name; the console's name where the file gives none.
    pub hostname: String,
    /// Release as `lshmc -V` prints it with its fixes, `V8R8.6.0`.
    pub release: String,
    /// Service pack number, `0`.
    pub service_pack: String,
    /// Build level, `20161101.1`.
    pub build_level: String,
    /// One line for each fix (`MH01655: Required fix for HMC V8R8.6.0 (11-01-2016)`).
    pub fixes: Vec<String>,
    /// Base version, `V8R8.6.0`.
    pub base_version: String,
    /// Machine type, model and serial number of the console itself.
    pub identity: MachineIdentity,
    /// Its users.
    pub users: Vec<ConsoleUser>,
    /// Names of the managed systems that it is connected to; `None` for all.
    pub managed_systems: Option<Vec<String>>,
    /// A loopback address and port of its own, besides the site's SSH port.
    pub listen_address: Option<SocketAddrV4>,
    /// Directories with firmware bundles in hscroot's home.
    pub home_directories: Vec<String>,
}

impl ConsoleDescription {
    /// True where the console is connected to the managed system of this name.
    #[must_use]
    pub fn manages(&self, managed_system: &str) -> bool {
        match &self.managed_systems {
            None => true,
            Some(names) => names.iter().any(|name| name == managed_system),
        }
    }
}

pub(super) fn read_console(
    mut table: TableReader<'_>,
    index: usize,
    demonstration: bool,
    checks: &mut Checks<'_>,
) -> Result<ConsoleDescription, SiteError> {
    let name = table.required_string("name")?;
    check_host_name(&name, "console name", checks)?;
    checks.claim(NameSpace::Console, "", &name.value, &name.place)?;
    let identity = read_identity(&mut table, index, checks)?;
    let release = read_release(&mut table, "release", checks)?;
    let base_version = read_release(&mut table, "base_version", checks)?;
    let fixes = table.strings("fixes")?.map_or_else(
        || vec!["MH01655: Required fix for HMC V8R8.6.0 (11-01-2016)".to_owned()],
        |fixes| fixes.into_iter().map(|fix| fix.value).collect(),
    );
    let managed_systems = table.strings("managed_systems")?;
    for system in managed_systems.iter().flatten() {
        checks.refer(NameSpace::ManagedSystemName, "", &system.value, &system.place);
    }
    let mut users = Vec::new();
    for user in table.tables("user", "name")? {
        users.push(read_user(user, &name.value, demonstration, checks)?);
    }
    if users.is_empty() {
        return Err(table.error_of_key("user", SiteProblem::MissingKey));
    }
    let console = ConsoleDescription {
        hostname: read_host_name(&mut table, "hostname", checks)?.unwrap_or_else(|| name.value.clone()),
        release,
        service_pack: table.string_or("service_pack", "0")?,
        build_level: table.string_or("build_level", "20161101.1")?,
        fixes,
        base_version,
        identity,
        users,
        managed_systems: managed_systems.map(|names| names.into_iter().map(|name| name.value).collect()),
        listen_address: read_listen_address(&mut table, checks)?,
        home_directories: read_directories(&mut table, checks)?,
        name: name.value,
    };
    table.finish()?;
    Ok(console)
}

fn read_identity(
    table: &mut TableReader<'_>,
    index: usize,
    checks: &mut Checks<'_>,
) -> Result<MachineIdentity, SiteError> {
    let place = table.place().clone();
    let (identity, place) = match table.parsed::<MachineIdentity>("type_model_serial")? {
        Some(given) => (given.value, given.place),
        None => {
            let serial_number = format!("21A{:04}", index + 1);
            (MachineIdentity { type_model: "7042-CR9".to_owned(), serial_number }, place)
        }
    };
    checks.claim(NameSpace::ConsoleMachine, "", &identity.to_string(), &place)?;
    Ok(identity)
}

fn read_release(table: &mut TableReader<'_>, key: &str, checks: &Checks<'_>) -> Result<String, SiteError> {
    let Some(release) = table.string(key)? else { return Ok("V8R8.6.0".to_owned()) };
    let well_formed = release.value.strip_prefix('V').and_then(|rest| rest.split_once('R')).is_some_and(
        |(version, level)| {
            let number =
                |part: &str| (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            number(version) && level.split('.').all(number)
        },
    );
    if !well_formed {
        let problem = SiteProblem::Malformed { kind: "console release", text: release.value };
        return Err(checks.error(&release.place, problem));
    }
    Ok(release.value)
}

fn read_user(
    mut table: TableReader<'_>,
    console: &str,
    demonstration: bool,
    checks: &mut Checks<'_>,
) -> Result<ConsoleUser, SiteError> {
    let name = table.required_string("name")?;
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    let fits = (1..=USER_NAME_LENGTH_MAX).contains(&name.value.len());
    if !fits
        || !name.value.bytes().all(letter)
        || !name.value.starts_with(|first: char| first.is_ascii_lowercase())
    {
        let problem = SiteProblem::Malformed { kind: "user name", text: name.value };
        return Err(checks.error(&name.place, problem));
    }
    checks.claim(NameSpace::User, console, &name.value, &name.place)?;
    let password = read_password(&mut table, "password", demonstration, checks)?;
    let keys = table.strings("authorized_keys")?.unwrap_or_default();
    for key in &keys {
        check_public_key(key, checks)?;
    }
    if password.is_none() && keys.is_empty() {
        let problem = SiteProblem::Conflict("a user needs a password or an authorized key".to_owned());
        return Err(table.error_of_key("password", problem));
    }
    let roles: Vec<(&str, &str)> = PREDEFINED_TASK_ROLES.iter().map(|role| (*role, *role)).collect();
    let task_role = table.choice("taskrole", &roles)?;
    let task_role = task_role.ok_or_else(|| table.error_of_key("taskrole", SiteProblem::MissingKey))?;
    let user = ConsoleUser {
        name: name.value,
        password,
        task_role: task_role.value.to_owned(),
        resource_role: table.string_or("resourcerole", "ALL:")?,
        description: table.string_or("description", "")?,
        authorized_keys: keys.into_iter().map(|key| key.value).collect(),
    };
    table.finish()?;
    Ok(user)
}

/// Reads a password: an Argon2 hash, or plain text where the site is a demonstration.
pub(super) fn read_password(
    table: &mut TableReader<'_>,
    key: &str,
    demonstration: bool,
    checks: &Checks<'_>,
) -> Result<Option<Password>, SiteError> {
    let Some(password) = table.string(key)? else { return Ok(None) };
    if password.value.starts_with("$argon2") {
        if password.value.split('$').count() < 5 {
            // The text is a secret: it is not repeated.
            let problem = SiteProblem::Conflict("this is not a whole Argon2 hash".to_owned());
            return Err(checks.error(&password.place, problem));
        }
        return Ok(Some(Password::Hash(password.value)));
    }
    if !demonstration {
        let problem = "a password in plain text is only for a site with `demonstration = true`; \
                       give an Argon2 hash";
        return Err(checks.error(&password.place, SiteProblem::Conflict(problem.to_owned())));
    }
    if password.value.is_empty() {
        let problem = SiteProblem::Conflict("a password is not empty".to_owned());
        return Err(checks.error(&password.place, problem));
    }
    Ok(Some(Password::Plain(password.value)))
}

fn check_public_key(key: &Located<String>, checks: &Checks<'_>) -> Result<(), SiteError> {
    let mut words = key.value.split_ascii_whitespace();
    let algorithm = words.next().unwrap_or_default();
    let known =
        algorithm.starts_with("ssh-") || algorithm.starts_with("ecdsa-sha2-") || algorithm.starts_with("sk-");
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let body = words.next().unwrap_or_default();
    if !known || body.len() < 16 || !body.bytes().all(base64) {
        let problem = SiteProblem::Malformed { kind: "SSH public key", text: key.value.clone() };
        return Err(checks.error(&key.place, problem));
    }
    Ok(())
}

fn read_directories(table: &mut TableReader<'_>, checks: &Checks<'_>) -> Result<Vec<String>, SiteError> {
    let directories = table.strings("home_directories")?.unwrap_or_default();
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    for directory in &directories {
        let text = &directory.value;
        if text.is_empty() || text.starts_with('.') || text.len() > 255 || !text.bytes().all(letter) {
            let problem = SiteProblem::Malformed { kind: "directory name", text: text.clone() };
            return Err(checks.error(&directory.place, problem));
        }
    }
    Ok(directories.into_iter().map(|directory| directory.value).collect())
}

/// Reads `listen_address`: a loopback address, with port 22 where none is given.
pub(super) fn read_listen_address(
    table: &mut TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<SocketAddrV4>, SiteError> {
    let Some(text) = table.string("listen_address")? else { return Ok(None) };
    let address = text.value.parse::<SocketAddrV4>().ok();
    let address = address
        .or_else(|| text.value.parse::<Ipv4Addr>().ok().map(|address| SocketAddrV4::new(address, SSH_PORT)));
    match address {
        Some(address) if address.ip().is_loopback() && address.port() != 0 => {
            checks.claim(NameSpace::ListenAddress, "", &address.to_string(), &text.place)?;
            Ok(Some(address))
        }
        _ => {
            let problem = SiteProblem::Malformed { kind: "loopback address", text: text.value };
            Err(checks.error(&text.place, problem))
        }
    }
}

/// Reads an optional host name.
pub(super) fn read_host_name(
    table: &mut TableReader<'_>,
    key: &str,
    checks: &Checks<'_>,
) -> Result<Option<String>, SiteError> {
    let Some(name) = table.string(key)? else { return Ok(None) };
    check_host_name(&name, "host name", checks)?;
    Ok(Some(name.value))
}

pub(super) fn check_host_name(
    name: &Located<String>,
    kind: &'static str,
    checks: &Checks<'_>,
) -> Result<(), SiteError> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let text = &name.value;
    let fits = (1..=253).contains(&text.len()) && !text.starts_with(['-', '.']);
    if !fits || !text.bytes().all(letter) {
        return Err(checks.error(&name.place, SiteProblem::Malformed { kind, text: text.clone() }));
    }
    Ok(())
}
