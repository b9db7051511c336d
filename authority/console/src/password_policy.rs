//! Password policies: at most one is active, and all passwords that are set while it is must follow it.
//!
//! It does not apply to the users that every console has (`hscroot`, `hscpe`, `root`), so that nobody locks everybody out.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

/// Policies kept besides the predefined one.
pub const PASSWORD_POLICIES_MAX: usize = 100;
/// Earlier passwords that a policy can remember: each is a hash to compare with, which takes time.
pub const PASSWORD_HISTORY_MAX: u32 = 24;
/// Name of the predefined policy.
pub const MEDIUM_POLICY: &str = "HMC Medium Security Password Policy";
/// Users to whom no policy applies.
const EXEMPT: [&str; 3] = ["hscroot", "hscpe", "root"];
/// Most days of an age.
const DAYS_MAX: u32 = 99_999;

/// One number of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyRule {
    /// Days before a password may be changed again.
    DaysLeast,
    /// Days after which a password no longer lets in.
    Days,
    /// Days before that in which users are warned.
    WarningDays,
    /// Least characters.
    Length,
    /// Earlier passwords that may not be used again.
    History,
    /// Least digits.
    Digits,
    /// Least upper case letters.
    UpperCase,
    /// Least lower case letters.
    LowerCase,
    /// Least characters that are neither letters nor digits.
    Special,
}

impl PolicyRule {
    /// Every rule, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::DaysLeast,
        Self::Days,
        Self::WarningDays,
        Self::Length,
        Self::History,
        Self::Digits,
        Self::UpperCase,
        Self::LowerCase,
        Self::Special,
    ];

    /// The attribute of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::DaysLeast => "min_pwage",
            Self::Days => "pwage",
            Self::WarningDays => "warn_pwage",
            Self::Length => "min_length",
            Self::History => "hist_size",
            Self::Digits => "min_digits",
            Self::UpperCase => "min_uppercase_chars",
            Self::LowerCase => "min_lowercase_chars",
            Self::Special => "min_special_chars",
        }
    }

    /// Values that it takes.
    #[must_use]
    pub fn range(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::DaysLeast | Self::WarningDays => 0..=DAYS_MAX,
            Self::Days => 1..=DAYS_MAX,
            Self::Length => 7..=128,
            Self::History => 0..=PASSWORD_HISTORY_MAX,
            Self::Digits | Self::UpperCase | Self::LowerCase | Self::Special => 0..=32,
        }
    }

    fn default_value(self) -> u32 {
        match self {
            Self::Days => DAYS_MAX,
            Self::Length => 7,
            _ => 0,
        }
    }
}

/// A password policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Rules that differ from their defaults.
    rules: BTreeMap<PolicyRule, u32>,
}

impl PasswordPolicy {
    /// A policy of that name without rules.
    #[must_use]
    pub fn new(name: &str, description: &str) -> Self {
        Self { name: name.to_owned(), description: description.to_owned(), rules: BTreeMap::new() }
    }

    /// The policy that every console has. Source: the field's table of its values.
    #[must_use]
    pub fn medium() -> Self {
        let mut policy = Self::new(MEDIUM_POLICY, "HMC Medium Security Password Policy");
        for (rule, value) in [
            (PolicyRule::DaysLeast, 1),
            (PolicyRule::Days, 180),
            (PolicyRule::Length, 8),
            (PolicyRule::History, 10),
            (PolicyRule::WarningDays, 7),
            (PolicyRule::UpperCase, 1),
            (PolicyRule::LowerCase, 6),
        ] {
            policy.rules.insert(rule, value);
        }
        policy
    }

    /// The value of a rule.
    #[must_use]
    pub fn get(&self, rule: PolicyRule) -> u32 {
        self.rules.get(&rule).copied().unwrap_or_else(|| rule.default_value())
    }

    /// Sets a rule.
    ///
    /// # Errors
    /// [`MessageKey::AttributeValueInvalid`].
    pub fn set(&mut self, rule: PolicyRule, value: u32) -> Result<(), Refusal> {
        let range = rule.range();
        if !range.contains(&value) {
            let allowed = format!("{} to {}", range.start(), range.end());
            let refusal = Refusal::new(MessageKey::AttributeValueInvalid);
            return Err(refusal.with(rule.word()).with(value).with(allowed));
        }
        self.rules.insert(rule, value);
        Ok(())
    }

    /// Whether the rules fit each other: what a password has to have fits into it, ages are in order.
    ///
    /// # Errors
    /// [`MessageKey::AttributeValueInvalid`].
    pub fn check(&self) -> Result<(), Refusal> {
        if self.get(PolicyRule::DaysLeast) > self.get(PolicyRule::Days) {
            let refusal = Refusal::new(MessageKey::AttributeValueInvalid).with("min_pwage");
            return Err(refusal.with(self.get(PolicyRule::DaysLeast)).with("at most pwage"));
        }
        Ok(())
    }

    /// Whether the policy applies to a user.
    #[must_use]
    pub fn applies_to(user: &str) -> bool {
        !EXEMPT.contains(&user)
    }

    /// Checks a new password; whether it was used before is checked apart.
    ///
    /// # Errors
    /// [`MessageKey::PasswordPolicyViolated`] naming the first rule that it breaks.
    pub fn check_password(&self, password: &str) -> Result<(), Refusal> {
        let count = |wanted: fn(char) -> bool| password.chars().filter(|one| wanted(*one)).count();
        let special = |one: char| !one.is_alphanumeric();
        for (rule, found) in [
            (PolicyRule::Length, password.chars().count()),
            (PolicyRule::Digits, count(|one| one.is_ascii_digit())),
            (PolicyRule::UpperCase, count(char::is_uppercase)),
            (PolicyRule::LowerCase, count(char::is_lowercase)),
            (PolicyRule::Special, password.chars().filter(|one| special(*one)).count()),
        ] {
            let least = self.get(rule);
            if found < least as usize {
                let refusal = Refusal::new(MessageKey::PasswordPolicyViolated);
                return Err(refusal.with(&self.name).with(format_args!("{} is {least}", rule.word())));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Policies {
    all: BTreeMap<String, Arc<PasswordPolicy>>,
    active: Option<String>,
}

/// The password policies of a console.
pub(crate) struct PasswordPolicies(RwLock<Policies>);

impl PasswordPolicies {
    pub fn new(own: Vec<PasswordPolicy>, active: Option<String>) -> Self {
        let all = own.into_iter().chain([PasswordPolicy::medium()]);
        let all = all.map(|policy| (policy.name.clone(), Arc::new(policy))).collect();
        Self(RwLock::new(Policies { all, active }))
    }

    fn read<T>(&self, read: impl FnOnce(&Policies) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn get(&self, name: &str) -> Option<Arc<PasswordPolicy>> {
        self.read(|policies| policies.all.get(name).cloned())
    }

    pub fn active(&self) -> Option<Arc<PasswordPolicy>> {
        self.read(|policies| policies.all.get(policies.active.as_ref()?).cloned())
    }

    /// All policies: the predefined one first, the others by name.
    pub fn all(&self) -> Vec<Arc<PasswordPolicy>> {
        let mut all: Vec<_> = self.read(|policies| policies.all.values().cloned().collect());
        all.sort_by_key(|policy: &Arc<PasswordPolicy>| policy.name != MEDIUM_POLICY);
        all
    }

    /// Adds a policy, in place of the one of the name `replaces`; it is active if that was.
    pub fn put(&self, replaces: Option<&str>, policy: PasswordPolicy) {
        let mut policies = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = replaces {
            policies.all.remove(name);
            if policies.active.as_deref() == Some(name) {
                policies.active = Some(policy.name.clone());
            }
        }
        policies.all.insert(policy.name.clone(), Arc::new(policy));
    }

    pub fn activate(&self, name: Option<&str>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).active = name.map(str::to_owned);
    }

    pub fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).all.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_held_against_each_rule() {
        let medium = PasswordPolicy::medium();
        for (password, rule) in [
            ("Abcdefg", Some("min_length is 8")),
            ("abcdefgh", Some("min_uppercase_chars is 1")),
            ("ABCDEFGH", Some("min_lowercase_chars is 6")),
            ("Abcdefg1", None),
            ("Abcdéfgh", None),
        ] {
            let result = medium.check_password(password).map_err(|refusal| refusal.to_string());
            match rule {
                None => assert_eq!(result, Ok(()), "{password}"),
                Some(rule) => assert!(result.expect_err(password).contains(rule), "{password}"),
            }
        }
        let mut own = PasswordPolicy::new("own", "");
        own.set(PolicyRule::Digits, 2).expect("rule");
        own.set(PolicyRule::Special, 1).expect("rule");
        assert!(own.check_password("abcdef1!").is_err() && own.check_password("abcde12!").is_ok());
        assert!(own.set(PolicyRule::Length, 6).is_err() && own.set(PolicyRule::History, 25).is_err());
        own.set(PolicyRule::Days, 5).expect("rule");
        own.set(PolicyRule::DaysLeast, 6).expect("rule");
        assert!(own.check().is_err());
        assert!(!PasswordPolicy::applies_to("hscroot") && PasswordPolicy::applies_to("bob"));
    }
}
