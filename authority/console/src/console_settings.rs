//! Settings of the console itself, which `chhmc` changes. What was never changed is as the site file says.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::console::Console;
use crate::store::Change;

/// Longest host name, and longest part of a domain name, in characters (RFC 1123).
const LABEL_LENGTH_MAX: usize = 63;
/// Longest domain name in characters.
const DOMAIN_LENGTH_MAX: usize = 253;

/// The settings of one console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSettings {
    /// Host name; `None` where the site file's applies.
    pub hostname: Option<String>,
    /// Domain; `None` where the site file's applies.
    pub domain: Option<String>,
    /// Users may log in over SSH.
    pub remote_commands: bool,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self { hostname: None, domain: None, remote_commands: true }
    }
}

fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LABEL_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check(option: &str, valid: bool) -> Result<(), Refusal> {
    if valid { Ok(()) } else { Err(Refusal::new(MessageKey::ValueNotAllowed).with(option)) }
}

impl Console {
    /// The settings of this moment.
    #[must_use]
    pub fn settings(&self) -> ConsoleSettings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host name without domain; the prompt shows it.
    #[must_use]
    pub fn hostname(&self) -> String {
        self.settings().hostname.unwrap_or_else(|| self.description().hostname.clone())
    }

    /// The domain; empty when there is none.
    #[must_use]
    pub fn domain(&self) -> String {
        self.settings().domain.unwrap_or_else(|| self.description().domain.clone())
    }

    /// Gives the console another host name or domain, durably.
    ///
    /// # Errors
    /// [`MessageKey::ValueNotAllowed`] with the option of `chhmc` whose value is no such name,
    /// [`MessageKey::RecordFailed`].
    pub fn set_names(&self, hostname: Option<&str>, domain: Option<&str>) -> Result<(), Refusal> {
        if let Some(name) = hostname {
            check("-h", is_label(name))?;
        }
        if let Some(name) = domain {
            check("-d", name.len() <= DOMAIN_LENGTH_MAX && name.split('.').all(is_label))?;
        }
        self.change_settings(|settings| {
            if let Some(name) = hostname {
                settings.hostname = Some(name.to_owned());
            }
            if let Some(name) = domain {
                settings.domain = Some(name.to_owned());
            }
        })
    }

    /// Lets users log in over SSH or not, durably. Sessions that run go on, as with the real console's server.
    ///
    /// # Errors
    /// [`MessageKey::RecordFailed`].
    pub fn set_remote_commands(&self, enabled: bool) -> Result<(), Refusal> {
        self.change_settings(|settings| settings.remote_commands = enabled)
    }

    fn change_settings(&self, change: impl FnOnce(&mut ConsoleSettings)) -> Result<(), Refusal> {
        // One change at a time, so that database and memory change in the same order.
        let _changing = self.changing_users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings = self.settings();
        change(&mut settings);
        self.writer
            .write(Change::PutSettings(Box::new(settings.clone())))
            .map_err(|error| Refusal::new(MessageKey::RecordFailed).with(error))?;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_host_names() {
        for good in ["myhmc", "hmc-1", "1hmc", &"x".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-hmc", "hmc-", "my.hmc", "my hmc", "hmc\n", "hm\u{e9}", "$(x)", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
