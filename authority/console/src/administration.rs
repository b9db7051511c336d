//! Changes of users, keys and roles. Each is decided, recorded in one transaction, and then visible to the next login
//! and the next command.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::console::{ALL_RESOURCES, Console};
use crate::password;
use crate::password_policy::{PASSWORD_HISTORY_MAX, PASSWORD_POLICIES_MAX, PasswordPolicy, PolicyRule};
use crate::resource_roles::{ManagedResource, ResourceRole, ResourceScope};
use crate::role::{TaskRole, TaskSet};
use crate::settings::{SECONDS_PER_DAY, Setting, UserSettings};
use crate::store::Change;
use crate::task_roles::{TaskRoleDefinition, TaskRoleEntry};
use crate::users::{LockRule, LoginOutcome, User, words};

/// Longest name of a user or task role.
pub const NAME_LENGTH_MAX: usize = 32;
/// Least characters of a password that is set on the console; a site file may give shorter ones for demonstrations.
pub const PASSWORD_LENGTH_MIN: usize = 7;
/// Most characters of a password; hashing takes time for each.
pub const PASSWORD_LENGTH_MAX: usize = 128;
/// Most users: all are held in memory and listed at once.
pub const USERS_MAX: usize = 1_000;
/// Most task roles besides the predefined ones.
pub const TASK_ROLES_MAX: usize = 200;
/// Most resource roles besides `ALL:`.
pub const RESOURCE_ROLES_MAX: usize = 200;
/// Most resources of one role: it is written as one row.
pub const RESOURCES_MAX: usize = 4_096;
/// Most keys of one user: each login looks at all.
pub const KEYS_MAX: usize = 100;
/// Longest line of a key in bytes: RSA keys of 16,384 bits have 3,000.
const KEY_BYTES_MAX: usize = 8_192;
/// Longest description in characters.
const DESCRIPTION_LENGTH_MAX: usize = 256;
/// Algorithms of keys that a login may be made with.
const KEY_ALGORITHMS: [&str; 5] =
    ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];

/// A user to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Login name.
    pub name: String,
    /// Task role.
    pub task_role: String,
    /// Resource role; `ALL:` for all resources.
    pub resource_role: String,
    /// Free text.
    pub description: String,
    /// Password.
    pub password: String,
    /// Settings that differ from their defaults, each in its range.
    pub settings: Vec<(Setting, u32)>,
}

/// What changes of a user; `None` for what stays.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Task role.
    pub task_role: Option<String>,
    /// Resource role.
    pub resource_role: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Settings, each in its range.
    pub settings: Vec<(Setting, u32)>,
    /// Inactivity counts from now on.
    pub enable: bool,
    /// New name. Sessions under the old one may do nothing any more.
    pub new_name: Option<String>,
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let refuse = |reason: &str| Err(Refusal::new(MessageKey::UserNameInvalid).with(name).with(reason));
    if name.len() > NAME_LENGTH_MAX {
        return refuse("it is longer than 32 characters");
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return refuse("it does not begin with a letter");
    }
    // Names become names of directories; these characters mean nothing there.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !name.bytes().all(allowed) {
        return refuse("it has characters other than letters, digits, periods, underscores and hyphens");
    }
    Ok(())
}

fn check_password(text: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length < PASSWORD_LENGTH_MIN {
        return Err(Refusal::new(MessageKey::PasswordTooShort).with(PASSWORD_LENGTH_MIN));
    }
    if length > PASSWORD_LENGTH_MAX || text.chars().any(char::is_control) {
        return Err(Refusal::new(MessageKey::PasswordInvalid).with(PASSWORD_LENGTH_MAX));
    }
    Ok(())
}

fn check_description(text: &str) -> Result<(), Refusal> {
    if text.chars().count() > DESCRIPTION_LENGTH_MAX || text.chars().any(char::is_control) {
        let refusal = Refusal::new(MessageKey::AttributeValueInvalid).with("description").with(text);
        return Err(refusal.with(format!("at most {DESCRIPTION_LENGTH_MAX} printable characters")));
    }
    Ok(())
}

fn check_settings(settings: &[(Setting, u32)]) -> Result<(), Refusal> {
    for (setting, value) in settings {
        let range = setting.range();
        if !range.contains(value) {
            let allowed = format!("{} to {}", range.start(), range.end());
            let refusal = Refusal::new(MessageKey::AttributeValueInvalid);
            return Err(refusal.with(setting.word()).with(value).with(allowed));
        }
    }
    Ok(())
}

fn check_key(line: &str) -> Result<(&str, &str), Refusal> {
    let key = words(line).filter(|(algorithm, key)| {
        let digits = key.trim_end_matches('=');
        let base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
        // The key begins with the length of its algorithm's name, four bytes of which the first two are zero.
        let known = KEY_ALGORITHMS.contains(algorithm) && key.starts_with("AAAA");
        known && base64 && key.len() % 4 == 0 && key.len() - digits.len() <= 2
    });
    let plain = line.len() <= KEY_BYTES_MAX && !line.chars().any(char::is_control);
    key.filter(|_| plain).ok_or_else(|| Refusal::new(MessageKey::KeyInvalid))
}

/// Whether what a user gives to `mkauthkeys` to remove is this key: the key itself, or the comment at its end.
fn key_matches(line: &str, text: &str) -> bool {
    let comment = line.splitn(3, ' ').nth(2).map(str::trim);
    line == text || comment == Some(text) || (words(text).is_some() && words(line) == words(text))
}

impl Console {
    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing_users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn durable(&self, change: Change) -> Result<(), Refusal> {
        let failed = |error| Refusal::new(MessageKey::RecordFailed).with(error);
        self.writer.write(change).map_err(failed)
    }

    fn now_seconds(&self) -> i64 {
        self.environment().wall_clock().seconds()
    }

    fn hashed(&self, user: &str, text: &str) -> Result<String, Refusal> {
        check_password(text)?;
        if let Some(policy) = self.policy_for(user) {
            policy.check_password(text)?;
            self.check_history(user, text, &policy)?;
        }
        let failed = |error| Refusal::new(MessageKey::RecordFailed).with(error);
        password::hash(text, &**self.environment()).map_err(failed)
    }

    /// Refuses a password that the user has or had, as far back as the policy says. Takes the time of a hash for each.
    fn check_history(&self, user: &str, text: &str, policy: &PasswordPolicy) -> Result<(), Refusal> {
        let remembered = policy.get(PolicyRule::History) as usize;
        let Some(user) = self.users.get(user).filter(|_| remembered > 0) else { return Ok(()) };
        let mut hashes = user.password_hash.iter().chain(&user.password_history).take(remembered);
        if hashes.any(|hash| password::verify(text, hash)) {
            let refusal = Refusal::new(MessageKey::PasswordPolicyViolated).with(&policy.name);
            return Err(refusal.with(format_args!("{} is {remembered}", PolicyRule::History.word())));
        }
        Ok(())
    }

    fn known_user(&self, name: &str) -> Result<User, Refusal> {
        let user = self.users.get(name).ok_or_else(|| Refusal::new(MessageKey::UserNotFound).with(name))?;
        Ok((*user).clone())
    }

    fn put(&self, user: User) -> Result<(), Refusal> {
        self.durable(Change::PutUser(Box::new(user.clone())))?;
        self.users.put(user);
        Ok(())
    }

    /// What a user may do at this moment: nothing when it is not there any more.
    #[must_use]
    pub fn tasks_of(&self, user: &str) -> TaskSet {
        let user = self.users.get(user);
        user.and_then(|user| self.task_roles.tasks(&user.task_role)).unwrap_or_default()
    }

    /// Makes a user.
    ///
    /// # Errors
    /// The first of: name, password, settings, roles that are not valid, name used, too many users.
    pub fn create_user(&self, new: &NewUser) -> Result<(), Refusal> {
        check_name(&new.name)?;
        check_description(&new.description)?;
        check_settings(&new.settings)?;
        let password_hash = Some(self.hashed(&new.name, &new.password)?);
        let _changing = self.changing();
        self.role_tasks(&new.task_role)?;
        self.role_scope(&new.resource_role)?;
        if self.users.get(&new.name).is_some() {
            return Err(Refusal::new(MessageKey::UserNameUsed).with(&new.name));
        }
        if self.users.all().len() >= USERS_MAX {
            return Err(Refusal::new(MessageKey::AccessLimit).with(USERS_MAX).with("users"));
        }
        let mut settings = UserSettings::default();
        new.settings.iter().for_each(|(setting, value)| settings.set(*setting, *value));
        let now = self.now_seconds();
        self.put(User {
            name: new.name.clone(),
            task_role: new.task_role.clone(),
            resource_role: new.resource_role.clone(),
            description: new.description.clone(),
            password_hash,
            password_history: Vec::new(),
            authorized_keys: Vec::new(),
            settings,
            password_set_seconds: Some(now),
            active_since_seconds: Some(now),
            last_login_seconds: None,
        })
    }

    /// Changes a user. `changed_by` may not change its own roles nor its name.
    ///
    /// # Errors
    /// As [`Console::create_user`]; no such user, the last administrator.
    pub fn change_user(&self, changed_by: &str, name: &str, change: &UserChange) -> Result<(), Refusal> {
        check_settings(&change.settings)?;
        change.description.as_deref().map_or(Ok(()), check_description)?;
        change.new_name.as_deref().map_or(Ok(()), check_name)?;
        self.known_user(name)?;
        let hash = change.password.as_deref().map(|text| self.hashed(name, text)).transpose()?;
        let _changing = self.changing();
        let mut user = self.known_user(name)?;
        if let Some(role) = change.task_role.as_ref().filter(|role| **role != user.task_role) {
            self.role_tasks(role)?;
            if changed_by == name {
                return Err(Refusal::new(MessageKey::UserIsOneself).with(name));
            }
            self.check_not_last(&user)?;
            user.task_role.clone_from(role);
        }
        if let Some(role) = change.resource_role.as_ref().filter(|role| **role != user.resource_role) {
            self.role_scope(role)?;
            if changed_by == name {
                return Err(Refusal::new(MessageKey::UserIsOneself).with(name));
            }
            self.check_not_last(&user)?;
            user.resource_role.clone_from(role);
        }
        if let Some(description) = &change.description {
            user.description.clone_from(description);
        }
        let now = self.now_seconds();
        if hash.is_some() {
            let before = std::mem::replace(&mut user.password_hash, hash);
            user.password_history.splice(0..0, before);
            user.password_history.truncate(PASSWORD_HISTORY_MAX as usize);
            user.password_set_seconds = Some(now);
        }
        for (setting, value) in &change.settings {
            user.settings.set(*setting, *value);
        }
        let counts_anew = change.settings.iter().any(|(setting, _)| *setting == Setting::InactivityDays);
        if change.enable || counts_anew {
            user.active_since_seconds = Some(now);
        }
        match change.new_name.as_deref().filter(|new_name| *new_name != name) {
            Some(new_name) => self.rename(changed_by, user, new_name),
            None => self.put(user),
        }
    }

    fn rename(&self, renamed_by: &str, mut user: User, new_name: &str) -> Result<(), Refusal> {
        if renamed_by == user.name {
            return Err(Refusal::new(MessageKey::UserIsOneself).with(&user.name));
        }
        if self.users.get(new_name).is_some() {
            return Err(Refusal::new(MessageKey::UserNameUsed).with(new_name));
        }
        let from = std::mem::replace(&mut user.name, new_name.to_owned());
        self.durable(Change::RenameUser { from: from.clone(), user: Box::new(user.clone()) })?;
        self.users.remove(&from);
        self.users.put(user);
        Ok(())
    }

    /// Checks what a user says is its present password; a wrong one counts as a wrong login.
    ///
    /// # Errors
    /// [`MessageKey::PasswordWrong`], [`MessageKey::PasswordTooYoung`].
    pub fn confirm_password(&self, name: &str, present: &str) -> Result<(), Refusal> {
        let user = self.known_user(name)?;
        let now = || self.environment().monotonic();
        let outcome = self.users.check_password(name, present, LockRule::default(), now);
        if !matches!(outcome, LoginOutcome::Accepted(_)) {
            return Err(Refusal::new(MessageKey::PasswordWrong));
        }
        let least = self.policy_for(name).map_or(0, |policy| policy.get(PolicyRule::DaysLeast));
        let days = user.settings.get(Setting::PasswordDaysLeast).max(least);
        let age = user.password_set_seconds.map(|set| self.now_seconds().saturating_sub(set));
        if age.is_some_and(|age| age < i64::from(days) * SECONDS_PER_DAY) {
            return Err(Refusal::new(MessageKey::PasswordTooYoung).with(name).with(days));
        }
        Ok(())
    }

    /// Removes a user; its next login and its next command are refused.
    ///
    /// # Errors
    /// No such user, oneself, the last administrator.
    pub fn delete_user(&self, removed_by: &str, name: &str) -> Result<(), Refusal> {
        let _changing = self.changing();
        let user = self.known_user(name)?;
        if removed_by == name {
            return Err(Refusal::new(MessageKey::UserIsOneself).with(name));
        }
        self.check_not_last(&user)?;
        self.durable(Change::RemoveUser(name.to_owned()))?;
        self.users.remove(name);
        Ok(())
    }

    fn check_not_last(&self, user: &User) -> Result<(), Refusal> {
        // One that reaches everything: else nobody could give its rights to anybody.
        let administers = |user: &User| {
            user.task_role == TaskRole::SuperAdministrator.word() && user.resource_role == ALL_RESOURCES
        };
        let others = |other: &Arc<User>| other.name != user.name && administers(other);
        if administers(user) && !self.users.all().iter().any(others) {
            return Err(Refusal::new(MessageKey::UserLastAdministrator).with(&user.name));
        }
        Ok(())
    }

    /// Adds a public key; one that is there already gets the new comment.
    ///
    /// # Errors
    /// No such user, not a key, too many keys.
    pub fn add_key(&self, name: &str, line: &str) -> Result<(), Refusal> {
        let line = line.trim();
        let key = check_key(line)?;
        let _changing = self.changing();
        let mut user = self.known_user(name)?;
        user.authorized_keys.retain(|present| words(present) != Some(key));
        if user.authorized_keys.len() >= KEYS_MAX {
            return Err(Refusal::new(MessageKey::AccessLimit).with(KEYS_MAX).with("keys of a user"));
        }
        user.authorized_keys.push(line.to_owned());
        self.put(user)
    }

    /// Removes the public keys that a text names: a whole key, or the comment at the end of keys.
    ///
    /// # Errors
    /// No such user, no such key.
    pub fn remove_keys(&self, name: &str, text: &str) -> Result<(), Refusal> {
        let text = text.trim();
        let _changing = self.changing();
        let mut user = self.known_user(name)?;
        let before = user.authorized_keys.len();
        user.authorized_keys.retain(|line| !key_matches(line, text));
        if user.authorized_keys.len() == before {
            return Err(Refusal::new(MessageKey::KeyNotFound).with(name));
        }
        self.put(user)
    }

    /// All task roles: the predefined ones first.
    #[must_use]
    pub fn task_roles(&self) -> Vec<TaskRoleEntry> {
        self.task_roles.all()
    }

    /// The tasks of a task role.
    ///
    /// # Errors
    /// [`MessageKey::TaskRoleNotFound`].
    pub fn role_tasks(&self, name: &str) -> Result<TaskSet, Refusal> {
        self.task_roles.tasks(name).ok_or_else(|| Refusal::new(MessageKey::TaskRoleNotFound).with(name))
    }

    fn check_part_of(&self, parent: &str, tasks: TaskSet) -> Result<(), Refusal> {
        let allowed = self.role_tasks(parent)?;
        match tasks.iter().find(|task| !allowed.contains(*task)) {
            None => Ok(()),
            Some(task) => {
                let reason = format!("its parent {parent} does not have it");
                Err(Refusal::new(MessageKey::TaskNotAvailable).with(task.word()).with(reason))
            }
        }
    }

    fn own_role(&self, name: &str) -> Result<TaskRoleDefinition, Refusal> {
        if TaskRole::from_word(name).is_some() {
            return Err(Refusal::new(MessageKey::TaskRolePredefined).with(name));
        }
        self.task_roles.get(name).ok_or_else(|| Refusal::new(MessageKey::TaskRoleNotFound).with(name))
    }

    /// Makes a task role with a part of its parent's tasks.
    ///
    /// # Errors
    /// Name not valid or used, no such parent, a task that the parent lacks, too many roles.
    pub fn create_task_role(&self, name: &str, parent: &str, tasks: TaskSet) -> Result<(), Refusal> {
        check_name(name)?;
        let _changing = self.changing();
        if self.task_roles.tasks(name).is_some() {
            return Err(Refusal::new(MessageKey::TaskRoleNameUsed).with(name));
        }
        self.check_part_of(parent, tasks)?;
        if self.task_roles.count() >= TASK_ROLES_MAX {
            return Err(Refusal::new(MessageKey::AccessLimit).with(TASK_ROLES_MAX).with("task roles"));
        }
        let role = TaskRoleDefinition::new(name, parent, tasks);
        self.durable(Change::PutTaskRole(role.clone()))?;
        self.task_roles.put(role);
        Ok(())
    }

    /// Gives a task role other tasks; its users have them from their next command on.
    ///
    /// # Errors
    /// Predefined, no such role, a task that the parent lacks.
    pub fn change_task_role(&self, name: &str, tasks: TaskSet) -> Result<(), Refusal> {
        let _changing = self.changing();
        let role = self.own_role(name)?;
        self.check_part_of(&role.parent, tasks)?;
        let role = TaskRoleDefinition::new(name, &role.parent, tasks);
        self.durable(Change::PutTaskRole(role.clone()))?;
        self.task_roles.put(role);
        Ok(())
    }

    /// Removes a task role that nothing refers to.
    ///
    /// # Errors
    /// Predefined, no such role, in use.
    pub fn remove_task_role(&self, name: &str) -> Result<(), Refusal> {
        let _changing = self.changing();
        self.own_role(name)?;
        let in_use = |by: String| Err(Refusal::new(MessageKey::TaskRoleInUse).with(name).with(by));
        if let Some(user) = self.users.all().iter().find(|user| user.task_role == name) {
            return in_use(format!("user {}", user.name));
        }
        if let Some(child) = self.task_roles.child_of(name) {
            return in_use(format!("task role {child}"));
        }
        self.durable(Change::RemoveTaskRole(name.to_owned()))?;
        self.task_roles.remove(name);
        Ok(())
    }

    /// What a user may reach at this moment: nothing when it is not there any more.
    #[must_use]
    pub fn scope_of(&self, user: &str) -> ResourceScope {
        let user = self.users.get(user);
        user.and_then(|user| self.resource_roles.scope(&user.resource_role)).unwrap_or(ResourceScope::Nothing)
    }

    /// What the users of a resource role may reach.
    ///
    /// # Errors
    /// [`MessageKey::ResourceRoleNotFound`].
    pub fn role_scope(&self, name: &str) -> Result<ResourceScope, Refusal> {
        self.resource_roles
            .scope(name)
            .ok_or_else(|| Refusal::new(MessageKey::ResourceRoleNotFound).with(name))
    }

    /// The resource roles besides `ALL:`, in the order of their names.
    #[must_use]
    pub fn resource_roles(&self) -> Vec<Arc<ResourceRole>> {
        self.resource_roles.all()
    }

    fn own_resource_role(&self, name: &str) -> Result<Arc<ResourceRole>, Refusal> {
        if name == ALL_RESOURCES {
            return Err(Refusal::new(MessageKey::ResourceRolePredefined).with(name));
        }
        self.resource_roles.get(name).ok_or_else(|| Refusal::new(MessageKey::ResourceRoleNotFound).with(name))
    }

    fn put_resource_role(&self, name: &str, resources: BTreeSet<ManagedResource>) -> Result<(), Refusal> {
        if resources.is_empty() {
            return Err(Refusal::new(MessageKey::AttributesMissing).with("resources"));
        }
        if resources.len() > RESOURCES_MAX {
            return Err(Refusal::new(MessageKey::AccessLimit)
                .with(RESOURCES_MAX)
                .with("resources of a role"));
        }
        for resource in &resources {
            if !self.systems().any(|system| system.identity().to_string() == resource.system) {
                return Err(Refusal::new(MessageKey::ResourceInvalid).with(resource));
            }
        }
        let role = ResourceRole { name: name.to_owned(), resources };
        self.durable(Change::PutResourceRole(role.clone()))?;
        self.resource_roles.put(role);
        Ok(())
    }

    /// Makes a resource role.
    ///
    /// # Errors
    /// Name not valid or used, no resource, a resource of a system that the console does not have, too many.
    pub fn create_resource_role(
        &self,
        name: &str,
        resources: BTreeSet<ManagedResource>,
    ) -> Result<(), Refusal> {
        check_name(name)?;
        let _changing = self.changing();
        if self.resource_roles.get(name).is_some() {
            return Err(Refusal::new(MessageKey::ResourceRoleNameUsed).with(name));
        }
        if self.resource_roles.all().len() >= RESOURCE_ROLES_MAX {
            return Err(Refusal::new(MessageKey::AccessLimit)
                .with(RESOURCE_ROLES_MAX)
                .with("resource roles"));
        }
        self.put_resource_role(name, resources)
    }

    /// Gives a resource role other resources; its users reach them from their next command on. `change` gets those that it
    /// has.
    ///
    /// # Errors
    /// `ALL:`, no such role, what `change` refuses, and as [`Console::create_resource_role`].
    pub fn change_resource_role(
        &self,
        name: &str,
        change: impl FnOnce(&BTreeSet<ManagedResource>) -> Result<BTreeSet<ManagedResource>, Refusal>,
    ) -> Result<(), Refusal> {
        let _changing = self.changing();
        let role = self.own_resource_role(name)?;
        self.put_resource_role(name, change(&role.resources)?)
    }

    /// Removes a resource role that no user has.
    ///
    /// # Errors
    /// `ALL:`, no such role, in use.
    pub fn remove_resource_role(&self, name: &str) -> Result<(), Refusal> {
        let _changing = self.changing();
        self.own_resource_role(name)?;
        if let Some(user) = self.users.all().iter().find(|user| user.resource_role == name) {
            let by = format!("user {}", user.name);
            return Err(Refusal::new(MessageKey::ResourceRoleInUse).with(name).with(by));
        }
        self.durable(Change::RemoveResourceRole(name.to_owned()))?;
        self.resource_roles.remove(name);
        Ok(())
    }

    /// The password policies, the predefined one first.
    #[must_use]
    pub fn password_policies(&self) -> Vec<Arc<PasswordPolicy>> {
        self.policies.all()
    }

    /// The name of the active password policy.
    #[must_use]
    pub fn active_password_policy(&self) -> Option<String> {
        self.policies.active().map(|policy| policy.name.clone())
    }

    fn own_policy(&self, name: &str) -> Result<Arc<PasswordPolicy>, Refusal> {
        if name == crate::password_policy::MEDIUM_POLICY {
            return Err(Refusal::new(MessageKey::PasswordPolicyPredefined).with(name));
        }
        self.policies.get(name).ok_or_else(|| Refusal::new(MessageKey::PasswordPolicyNotFound).with(name))
    }

    fn check_policy_name(&self, name: &str) -> Result<(), Refusal> {
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            let reason = "1 to 64 printable characters";
            return Err(Refusal::new(MessageKey::AttributeValueInvalid).with("name").with(name).with(reason));
        }
        match self.policies.get(name) {
            Some(_) => Err(Refusal::new(MessageKey::PasswordPolicyNameUsed).with(name)),
            None => Ok(()),
        }
    }

    /// Makes a password policy; it is not active.
    ///
    /// # Errors
    /// Name or description not valid, name used, rules that do not fit each other, too many policies.
    pub fn create_password_policy(&self, policy: PasswordPolicy) -> Result<(), Refusal> {
        check_description(&policy.description)?;
        policy.check()?;
        let _changing = self.changing();
        self.check_policy_name(&policy.name)?;
        if self.policies.all().len() > PASSWORD_POLICIES_MAX {
            return Err(Refusal::new(MessageKey::AccessLimit)
                .with(PASSWORD_POLICIES_MAX)
                .with("password policies"));
        }
        self.durable(Change::PutPasswordPolicy { replaces: None, policy: policy.clone(), active: false })?;
        self.policies.put(None, policy);
        Ok(())
    }

    /// Changes a password policy; what is set while it is active follows it from now on.
    ///
    /// # Errors
    /// Predefined, no such policy, and as [`Console::create_password_policy`].
    pub fn change_password_policy(
        &self,
        name: &str,
        change: impl FnOnce(&mut PasswordPolicy) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let _changing = self.changing();
        let mut policy = (*self.own_policy(name)?).clone();
        change(&mut policy)?;
        check_description(&policy.description)?;
        policy.check()?;
        if policy.name != name {
            self.check_policy_name(&policy.name)?;
        }
        let active = self.active_password_policy().as_deref() == Some(name);
        let replaces = Some(name.to_owned());
        self.durable(Change::PutPasswordPolicy { replaces, policy: policy.clone(), active })?;
        self.policies.put(Some(name), policy);
        Ok(())
    }

    /// Activates a password policy in place of the one that is, or none.
    ///
    /// # Errors
    /// No such policy; none is active that could be deactivated.
    pub fn activate_password_policy(&self, name: Option<&str>) -> Result<(), Refusal> {
        let _changing = self.changing();
        match name {
            Some(name) if self.policies.get(name).is_none() => {
                return Err(Refusal::new(MessageKey::PasswordPolicyNotFound).with(name));
            }
            None if self.policies.active().is_none() => {
                return Err(Refusal::new(MessageKey::PasswordPolicyNotActive));
            }
            _ => {}
        }
        self.durable(Change::ActivatePasswordPolicy(name.map(str::to_owned)))?;
        self.policies.activate(name);
        Ok(())
    }

    /// Removes a password policy that is not active.
    ///
    /// # Errors
    /// Predefined, no such policy, active.
    pub fn remove_password_policy(&self, name: &str) -> Result<(), Refusal> {
        let _changing = self.changing();
        self.own_policy(name)?;
        if self.active_password_policy().as_deref() == Some(name) {
            return Err(Refusal::new(MessageKey::PasswordPolicyActive).with(name));
        }
        self.durable(Change::RemovePasswordPolicy(name.to_owned()))?;
        self.policies.remove(name);
        Ok(())
    }
}
