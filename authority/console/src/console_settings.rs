//! Settings of the console itself, which `chhmc` changes. What was never changed is as the site file says.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::console::Console;
use crate::store::Change;
use crate::users::{LOCK_SECONDS, LockRule, WRONG_PASSWORDS_MAX};

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
    /// What wrong passwords for the web services do.
    #[serde(default)]
    pub web_logins: WebLogins,
}

/// Defaults of all users for logins to the web services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebLogins {
    /// Consecutive wrong passwords that suspend a user.
    pub attempts: u32,
    /// Minutes of the first suspension.
    pub suspend_minutes: u32,
    /// Most minutes of a later one.
    pub suspend_minutes_max: u32,
}

impl Default for WebLogins {
    fn default() -> Self {
        let minutes = u32::try_from(LOCK_SECONDS / 60).unwrap_or(u32::MAX);
        Self { attempts: WRONG_PASSWORDS_MAX, suspend_minutes: minutes, suspend_minutes_max: minutes }
    }
}

impl WebLogins {
    /// Most attempts and minutes: more would be no bound any more.
    pub const MOST: (u32, u32) = (100, 1_440);

    pub(crate) fn rule(self) -> LockRule {
        LockRule {
            attempts: self.attempts,
            seconds: u64::from(self.suspend_minutes) * 60,
            seconds_max: u64::from(self.suspend_minutes_max) * 60,
        }
    }
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self { hostname: None, domain: None, remote_commands: true, web_logins: WebLogins::default() }
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

    /// Sets what wrong passwords for the web services do, durably.
    ///
    /// # Errors
    /// [`MessageKey::AttributeValueInvalid`], [`MessageKey::RecordFailed`].
    pub fn set_web_logins(&self, logins: WebLogins) -> Result<(), Refusal> {
        let (attempts, minutes) = WebLogins::MOST;
        let refuse = |name: &str, value: u32, least: u32, most: u32| {
            let refusal = Refusal::new(MessageKey::AttributeValueInvalid).with(name).with(value);
            Err(refusal.with(format_args!("{least} to {most}")))
        };
        let WebLogins { attempts: given, suspend_minutes: first, suspend_minutes_max: last } = logins;
        if !(1..=attempts).contains(&given) {
            return refuse("max_webui_login_attempts", given, 1, attempts);
        }
        if !(1..=minutes).contains(&first) {
            return refuse("webui_login_suspend_time", first, 1, minutes);
        }
        if !(first..=minutes).contains(&last) {
            return refuse("max_webui_login_suspend_time", last, first, minutes);
        }
        self.change_settings(|settings| settings.web_logins = logins)
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
