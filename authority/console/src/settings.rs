//! What can be set for one user besides its name, roles and password.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Seconds of a day.
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
/// Most days of a password, which stands for no limit.
const DAYS_MAX: u32 = 99_999;
/// Most minutes of a time-out: a year.
const MINUTES_MAX: u32 = 525_600;
/// Most days of inactivity.
const INACTIVITY_DAYS_MAX: u32 = 180;

/// One setting: a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Setting {
    /// Days after which a password no longer lets in.
    PasswordDays,
    /// Days for which the user may not change its password again.
    PasswordDaysLeast,
    /// Minutes of a session of the web interface.
    SessionTimeout,
    /// Minutes to authenticate again in the web interface.
    VerifyTimeout,
    /// Minutes that a session of the web interface may be idle.
    IdleTimeout,
    /// Days without a login after which the user is disabled; 0 for never.
    InactivityDays,
    /// 1: may use the web interface remotely.
    RemoteWebAccess,
    /// 1: may log in by SSH.
    RemoteShellAccess,
}

impl Setting {
    /// Every setting.
    pub const ALL: [Self; 8] = [
        Self::PasswordDays,
        Self::PasswordDaysLeast,
        Self::SessionTimeout,
        Self::VerifyTimeout,
        Self::IdleTimeout,
        Self::InactivityDays,
        Self::RemoteWebAccess,
        Self::RemoteShellAccess,
    ];

    /// The attribute of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PasswordDays => "pwage",
            Self::PasswordDaysLeast => "min_pwage",
            Self::SessionTimeout => "session_timeout",
            Self::VerifyTimeout => "verify_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::InactivityDays => "inactivity_expiration",
            Self::RemoteWebAccess => "remote_webui_access",
            Self::RemoteShellAccess => "remote_ssh_access",
        }
    }

    /// Values that it takes.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::PasswordDays => 1..=DAYS_MAX,
            Self::PasswordDaysLeast => 0..=DAYS_MAX,
            Self::SessionTimeout | Self::VerifyTimeout | Self::IdleTimeout => 0..=MINUTES_MAX,
            Self::InactivityDays => 0..=INACTIVITY_DAYS_MAX,
            Self::RemoteWebAccess | Self::RemoteShellAccess => 0..=1,
        }
    }

    /// The value where none is set.
    #[must_use]
    pub fn default_value(self) -> u32 {
        match self {
            Self::PasswordDays => DAYS_MAX,
            Self::VerifyTimeout => 15,
            Self::RemoteShellAccess => 1,
            _ => 0,
        }
    }
}

/// The settings of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserSettings(BTreeMap<Setting, u32>);

impl UserSettings {
    /// The value of a setting.
    #[must_use]
    pub fn get(&self, setting: Setting) -> u32 {
        self.0.get(&setting).copied().unwrap_or_else(|| setting.default_value())
    }

    /// Sets a value; the caller has checked its range.
    pub(crate) fn set(&mut self, setting: Setting, value: u32) {
        self.0.insert(setting, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_settings_survive_their_text() {
        let mut settings = UserSettings::default();
        for setting in Setting::ALL {
            assert!(setting.range().contains(&setting.default_value()), "{setting:?}");
            assert_eq!(settings.get(setting), setting.default_value());
            settings.set(setting, *setting.range().end());
        }
        let text = serde_json::to_string(&settings).expect("text");
        assert_eq!(serde_json::from_str::<UserSettings>(&text).expect("settings"), settings);
    }
}
