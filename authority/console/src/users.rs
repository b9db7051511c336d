//! Users, and the lock after wrong passwords. Wrong passwords are counted in memory, so that guessing costs no writes; a
//! restart of the console forgets them.
//!
//! ```text
//!          wrong                wrong                wrong
//! Open(0) ------> Open(1) ------> Open(2) ------> Locked
//!    ^               |               |               |
//!    '----- right ---'---- right ----'    5 minutes  |
//!    '-----------------------------------------------'
//! ```
//!
//! So it is for logins over SSH. For the web services number and time are settings of the console; there the time doubles
//! with each lock that follows without a right password, up to a third setting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_environment::Monotonic;

use crate::password;
use crate::settings::{SECONDS_PER_DAY, Setting, UserSettings};

/// Consecutive wrong passwords that lock a user.
pub const WRONG_PASSWORDS_MAX: u32 = 3;
/// Seconds for which a user stays locked.
pub const LOCK_SECONDS: u64 = 300;

/// When wrong passwords lock a user, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockRule {
    /// Consecutive wrong passwords that lock.
    pub attempts: u32,
    /// Seconds of the first lock.
    pub seconds: u64,
    /// Most seconds of a later one.
    pub seconds_max: u64,
}

impl Default for LockRule {
    fn default() -> Self {
        Self { attempts: WRONG_PASSWORDS_MAX, seconds: LOCK_SECONDS, seconds_max: LOCK_SECONDS }
    }
}

/// A user of the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Task role: a word of [`crate::TaskRole`], or the name of a role of the console's own.
    pub task_role: String,
    /// Resource role; `ALL:` for all resources.
    pub resource_role: String,
    /// Free text.
    pub description: String,
    /// Argon2 hash of the password; `None` where only keys let in.
    pub password_hash: Option<String>,
    /// Hashes of earlier passwords, newest first, as far as a policy may ask for them.
    #[serde(default)]
    pub password_history: Vec<String>,
    /// Public keys, each a line `algorithm base64 [comment]`.
    pub authorized_keys: Vec<String>,
    /// Settings that differ from their defaults.
    #[serde(default)]
    pub settings: UserSettings,
    /// When the password was set, in seconds since 1970 UTC; `None` for a password of the site file, which does not age.
    #[serde(default)]
    pub password_set_seconds: Option<i64>,
    /// From when on inactivity counts, in seconds since 1970 UTC.
    #[serde(default)]
    pub active_since_seconds: Option<i64>,
    /// Last login in seconds since 1970 UTC.
    #[serde(skip)]
    pub last_login_seconds: Option<i64>,
}

impl User {
    /// Whether the user has not logged in for longer than its `inactivity_expiration`.
    #[must_use]
    pub fn disabled(&self, now_seconds: i64) -> bool {
        let days = self.settings.get(Setting::InactivityDays);
        let last = self.last_login_seconds.max(self.active_since_seconds);
        days > 0 && last.is_some_and(|last| older(last, days, now_seconds))
    }

    /// Days after which the password no longer lets in: the user's own or the policy's, whichever is less.
    #[must_use]
    pub fn password_days(&self, policy_days: u32) -> u32 {
        self.settings.get(Setting::PasswordDays).min(policy_days)
    }

    /// Whether the password is older than its `pwage`, or than `policy_days`.
    #[must_use]
    pub fn password_expired(&self, policy_days: u32, now_seconds: i64) -> bool {
        let days = self.password_days(policy_days);
        self.password_set_seconds.is_some_and(|set| older(set, days, now_seconds))
    }

    /// Whether the user may log in by SSH at all.
    #[must_use]
    pub fn may_log_in(&self, now_seconds: i64) -> bool {
        self.settings.get(Setting::RemoteShellAccess) == 1 && !self.disabled(now_seconds)
    }

    /// Whether the user may use the web interface and the REST API from elsewhere.
    #[must_use]
    pub fn may_use_web(&self, now_seconds: i64) -> bool {
        self.settings.get(Setting::RemoteWebAccess) == 1 && !self.disabled(now_seconds)
    }
}

fn older(then: i64, days: u32, now: i64) -> bool {
    now.saturating_sub(then) > i64::from(days) * SECONDS_PER_DAY
}

/// A public key that somebody presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedKey<'a> {
    /// The line's two words that count: `algorithm base64`.
    pub line: &'a str,
    /// Whether the client has shown that it holds the private key; if not, nothing is recorded.
    pub proven: bool,
}

/// The answer to a login attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The user is who it claims to be.
    Accepted(Arc<User>),
    /// Wrong password or key, or no such user.
    Rejected,
    /// Too many wrong passwords.
    Locked {
        /// Minutes until it is open again, rounded up.
        minutes_left: u64,
        /// Wrong passwords that locked it.
        attempts: u32,
    },
}

impl LoginOutcome {
    /// The two lines that a locked user sees, without a newline at the end; `None` for other outcomes.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Locked { minutes_left, attempts } => Some(format!(
                "The account is locked due to {attempts} failed logins.\n({minutes_left} minutes left to unlock)"
            )),
            _ => None,
        }
    }
}

/// Wrong passwords of one user since the last right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Failures {
    count: u32,
    locked_until: Option<Monotonic>,
    /// Locks since the last right password.
    locks: u32,
}

impl Failures {
    /// The answer to a locked user, or `None` when the user may try; a lock that is over is forgotten but for its number.
    fn locked(&mut self, now: Monotonic) -> Option<LoginOutcome> {
        let until = self.locked_until?;
        if now >= until {
            *self = Self { locks: self.locks, ..Self::default() };
            return None;
        }
        let minutes_left = until.since(now).as_secs().div_ceil(60).max(1);
        Some(LoginOutcome::Locked { minutes_left, attempts: self.count })
    }

    fn wrong(&mut self, rule: LockRule, now: Monotonic) {
        self.count += 1;
        if self.count >= rule.attempts {
            let doubled = rule.seconds.saturating_mul(1 << self.locks.min(30));
            self.locked_until = Some(now.after(Duration::from_secs(doubled.min(rule.seconds_max))));
            self.locks += 1;
        }
    }
}

struct Account {
    user: Arc<User>,
    /// Held while a password is checked, so that attempts in parallel do not get more tries.
    failures: Arc<Mutex<Failures>>,
}

/// All users of a console.
pub struct Users {
    accounts: RwLock<BTreeMap<String, Account>>,
    /// Checked for users that do not exist, so that they take as long as those that do.
    decoy: String,
}

/// The two words of a key that count: algorithm and key.
pub(crate) fn words(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_ascii_whitespace();
    Some((words.next()?, words.next()?))
}

impl Users {
    /// Takes over users read from the database. `decoy` is the hash of a password that nobody has.
    pub fn new(users: Vec<User>, decoy: String) -> Self {
        let all = Self { accounts: RwLock::new(BTreeMap::new()), decoy };
        for user in users {
            all.put(user);
        }
        all
    }

    fn find(&self, name: &str) -> Option<(Arc<User>, Arc<Mutex<Failures>>)> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.get(name).map(|account| (account.user.clone(), account.failures.clone()))
    }

    /// The user of that name.
    pub fn get(&self, name: &str) -> Option<Arc<User>> {
        self.find(name).map(|(user, _)| user)
    }

    /// All users in the order of their names.
    pub fn all(&self) -> Vec<Arc<User>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.values().map(|account| account.user.clone()).collect()
    }

    /// Adds or replaces a user; its wrong passwords stay counted.
    pub fn put(&self, user: User) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let failures = accounts.get(&user.name).map(|account| account.failures.clone()).unwrap_or_default();
        accounts.insert(user.name.clone(), Account { user: Arc::new(user), failures });
    }

    /// Notes a login of a user that is still there.
    pub fn note_login(&self, name: &str, seconds: i64) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get_mut(name) {
            Arc::make_mut(&mut account.user).last_login_seconds = Some(seconds);
        }
    }

    /// Removes a user; false if there was none.
    pub fn remove(&self, name: &str) -> bool {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }

    /// Decides on a password.
    pub fn check_password(
        &self,
        name: &str,
        password: &str,
        rule: LockRule,
        now: impl Fn() -> Monotonic,
    ) -> LoginOutcome {
        let Some((user, failures)) = self.find(name) else {
            let _ = password::verify(password, &self.decoy);
            return LoginOutcome::Rejected;
        };
        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(locked) = failures.locked(now()) {
            return locked;
        }
        let hash = user.password_hash.as_deref();
        let right = password::verify(password, hash.unwrap_or(&self.decoy)) && hash.is_some();
        if right {
            *failures = Failures::default();
            return LoginOutcome::Accepted(user);
        }
        failures.wrong(rule, now());
        failures.locked(now()).unwrap_or(LoginOutcome::Rejected)
    }

    /// Decides on a public key. A wrong key is not counted: clients try all that they have.
    pub fn check_key(&self, name: &str, line: &str, now: Monotonic) -> LoginOutcome {
        let Some((user, failures)) = self.find(name) else { return LoginOutcome::Rejected };
        let locked = failures.lock().unwrap_or_else(PoisonError::into_inner).locked(now);
        if let Some(locked) = locked {
            return locked;
        }
        let offered = words(line);
        let known = offered.is_some() && user.authorized_keys.iter().any(|key| words(key) == offered);
        if known { LoginOutcome::Accepted(user) } else { LoginOutcome::Rejected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;
    use varan_environment::RealEnvironment;

    fn hash() -> &'static str {
        static HASH: OnceLock<String> = OnceLock::new();
        HASH.get_or_init(|| password::hash("abc123", &RealEnvironment::new()).expect("hash"))
    }

    fn users() -> Users {
        let user = User {
            name: "hscroot".to_owned(),
            task_role: "hmcsuperadmin".to_owned(),
            resource_role: "ALL:".to_owned(),
            description: String::new(),
            password_hash: Some(hash().to_owned()),
            password_history: Vec::new(),
            authorized_keys: vec!["ssh-ed25519 AAAAC3 me@here".to_owned()],
            settings: UserSettings::default(),
            password_set_seconds: None,
            active_since_seconds: None,
            last_login_seconds: None,
        };
        Users::new(vec![user], hash().to_owned())
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn three_wrong_passwords_lock_for_five_minutes() {
        let users = users();
        let attempt = |password: &str, seconds| {
            users.check_password("hscroot", password, LockRule::default(), || at(seconds))
        };
        assert_eq!(attempt("x", 0), LoginOutcome::Rejected);
        assert_eq!(attempt("x", 1), LoginOutcome::Rejected);
        let locked = attempt("x", 2);
        assert_eq!(
            locked.message().as_deref(),
            Some("The account is locked due to 3 failed logins.\n(5 minutes left to unlock)")
        );
        assert_eq!(attempt("abc123", 3), LoginOutcome::Locked { minutes_left: 5, attempts: 3 });
        assert_eq!(attempt("abc123", 300), LoginOutcome::Locked { minutes_left: 1, attempts: 3 });
        assert_eq!(
            users.check_key("hscroot", "ssh-ed25519 AAAAC3", at(10)),
            LoginOutcome::Locked { minutes_left: 5, attempts: 3 }
        );
        assert!(matches!(attempt("abc123", 302), LoginOutcome::Accepted(_)));
    }

    #[test]
    fn locks_that_follow_each_other_are_longer_where_the_rule_says_so() {
        let users = users();
        let rule = LockRule { attempts: 1, seconds: 60, seconds_max: 180 };
        let attempt =
            |password: &str, seconds| users.check_password("hscroot", password, rule, || at(seconds));
        let locked = |minutes_left| LoginOutcome::Locked { minutes_left, attempts: 1 };
        assert_eq!(attempt("x", 0), locked(1));
        assert_eq!(attempt("x", 60), locked(2));
        assert_eq!(attempt("x", 180), locked(3));
        assert_eq!(attempt("x", 360), locked(3), "not beyond the most");
        assert!(matches!(attempt("abc123", 540), LoginOutcome::Accepted(_)));
        assert_eq!(attempt("x", 541), locked(1), "a right password began anew");
    }

    #[test]
    fn a_right_password_forgets_the_wrong_ones() {
        let users = users();
        for _ in 0..4 {
            assert_eq!(
                users.check_password("hscroot", "x", LockRule::default(), || at(0)),
                LoginOutcome::Rejected
            );
            assert_eq!(
                users.check_password("hscroot", "", LockRule::default(), || at(0)),
                LoginOutcome::Rejected
            );
            let right = users.check_password("hscroot", "abc123", LockRule::default(), || at(0));
            assert!(matches!(right, LoginOutcome::Accepted(_)));
        }
    }

    #[test]
    fn nobody_else_gets_in() {
        let users = users();
        assert_eq!(
            users.check_password("root", "abc123", LockRule::default(), || at(0)),
            LoginOutcome::Rejected
        );
        for line in ["", "ssh-ed25519", "ssh-ed25519 AAAAC4", "ssh-rsa AAAAC3", "AAAAC3"] {
            assert_eq!(users.check_key("hscroot", line, at(0)), LoginOutcome::Rejected, "{line:?}");
        }
        let right = users.check_key("hscroot", "ssh-ed25519 AAAAC3 other comment", at(0));
        assert!(matches!(right, LoginOutcome::Accepted(_)));
        let mut without = (*users.get("hscroot").expect("user")).clone();
        without.password_hash = None;
        users.put(without);
        // The decoy's own password lets nobody in either.
        assert_eq!(
            users.check_password("hscroot", "abc123", LockRule::default(), || at(0)),
            LoginOutcome::Rejected
        );
    }
}
