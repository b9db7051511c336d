//! The console: what its commands ask for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use thiserror::Error;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{CallError, Origin, RequestId, Selector, SystemReply, SystemRequest};
use varan_environment::Environment;
use varan_model::attributes::Release;
use varan_model::codes::MessageKey;
use varan_model::ids::MachineIdentity;
use varan_model::refusal::Refusal;
use varan_model::system::{AccessPassword, ManagedSystem, SystemState};

use crate::audit::{AUDIT_ENTRIES_KEPT, AuditEntry, masked_line};
use crate::connections::{ConnectionState, Connections};
use crate::console_settings::ConsoleSettings;
use crate::description::{ConsoleDescription, Secret, UserDescription};
use crate::link::SwitchedLink;
use crate::machine::ConsoleMachine;
use crate::observation::{Earlier, Observation};
use crate::password::{self, PasswordError};
use crate::password_policy::{PasswordPolicies, PasswordPolicy, PolicyRule};
use crate::resource_roles::ResourceRoles;
use crate::role::TaskRole;
use crate::sessions::{LoginSession, SessionGuard, SessionKind, Sessions};
use crate::settings::{SECONDS_PER_DAY, Setting, UserSettings};
use crate::store::{Change, Store, StoreError};
use crate::systems::{NetworkSystem, SystemConnection, Systems};
use crate::task_roles::TaskRoles;
use crate::users::{LockRule, LoginOutcome, OfferedKey, User, Users};
use crate::writer::Writer;

/// The resource role of users that may reach everything.
pub(crate) const ALL_RESOURCES: &str = "ALL:";

/// Why a console cannot be opened or a user not changed.
#[derive(Debug, Error)]
pub enum ConsoleError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password.
    #[error("user {user}: {source}")]
    Password {
        /// Whose.
        user: String,
        /// Reason.
        source: PasswordError,
    },
    /// A user that no console can have.
    #[error("user {user}: {reason}")]
    User {
        /// Who.
        user: String,
        /// In words.
        reason: String,
    },
    /// The writing thread cannot be started.
    #[error("the thread of the console's database cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A management console.
pub struct Console {
    pub(crate) directory: PathBuf,
    description: ConsoleDescription,
    environment: Arc<dyn Environment>,
    pub(crate) systems: Systems,
    pub(crate) connections: Connections,
    pub(crate) users: Users,
    pub(crate) task_roles: TaskRoles,
    pub(crate) resource_roles: ResourceRoles,
    pub(crate) policies: PasswordPolicies,
    /// Held while a user or a role is changed, so that database and memory change in the same order.
    pub(crate) changing_users: Mutex<()>,
    pub(crate) observation: Observation,
    pub(crate) writer: Writer,
    sessions: Sessions,
    pub(crate) machine: OnceLock<Arc<dyn ConsoleMachine>>,
    pub(crate) settings: RwLock<ConsoleSettings>,
}

impl Console {
    /// Opens or makes the console whose database is in `directory`. The described users are taken into a new database
    /// only.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn open(
        directory: &Path,
        description: ConsoleDescription,
        environment: Arc<dyn Environment>,
        systems: Vec<SystemConnection>,
    ) -> Result<Self, ConsoleError> {
        let first = |connection| NetworkSystem { connection, connected_at_first: true };
        let network = systems.into_iter().map(first).collect();
        Self::open_on_network(directory, description, environment, network)
    }

    /// As [`Console::open`], with all systems that the console could be connected to.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn open_on_network(
        directory: &Path,
        description: ConsoleDescription,
        environment: Arc<dyn Environment>,
        network: Vec<NetworkSystem>,
    ) -> Result<Self, ConsoleError> {
        let mut store = Store::open(directory)?;
        if store.is_new() {
            let users = description.users.iter().map(|user| first_user(user, &*environment));
            store.begin(&users.collect::<Result<Vec<_>, _>>()?)?;
        }
        let users = store.users()?;
        let earlier = network.iter().map(|system| store.earlier(&system.connection.identity().to_string()));
        let earlier = earlier.collect::<Result<Vec<Earlier>, StoreError>>()?;
        let nobody = format!("{:016x}{:016x}", environment.random(), environment.random());
        let decoy = password::hash(&nobody, &*environment)
            .map_err(|source| ConsoleError::Password { user: "(none)".to_owned(), source })?;
        let origin = Origin {
            console: description.name.clone(),
            identity: description.identity.clone(),
            access: AccessPassword::default(),
        };
        let systems = Systems::new(network, &origin);
        let connections = Connections::open(&mut store, &systems)?;
        Ok(Self {
            directory: directory.to_owned(),
            description,
            environment,
            systems,
            connections,
            users: Users::new(users, decoy),
            task_roles: TaskRoles::new(store.task_roles()?),
            resource_roles: ResourceRoles::new(store.resource_roles()?),
            policies: PasswordPolicies::new(store.password_policies()?, store.active_password_policy()?),
            sessions: Sessions::default(),
            machine: OnceLock::new(),
            settings: RwLock::new(store.settings()?),
            changing_users: Mutex::new(()),
            observation: Observation::new(earlier),
            writer: Writer::start(store).map_err(ConsoleError::Thread)?,
        })
    }

    /// What the console was told about itself.
    #[must_use]
    pub fn description(&self) -> &ConsoleDescription {
        &self.description
    }

    /// The release, which decides what attributes exist.
    #[must_use]
    pub fn release(&self) -> Release {
        self.description.release
    }

    /// Clock and randomness.
    #[must_use]
    pub fn environment(&self) -> &Arc<dyn Environment> {
        &self.environment
    }

    /// The systems in the order in which they are connected.
    pub fn systems(&self) -> impl Iterator<Item = &Arc<SystemConnection>> {
        self.systems.all()
    }

    /// All systems of the console's network, connected or not, in the order of the site.
    pub(crate) fn network(&self) -> impl Iterator<Item = &Arc<SystemConnection>> {
        self.systems.network().map(|known| &known.connection)
    }

    /// Finds the system that `-m` names: its user-defined name, `tttt-mmm*sssssss`, or an alias of the site file.
    ///
    /// # Errors
    /// [`MessageKey::SystemNotFound`], [`MessageKey::SystemAmbiguous`].
    pub fn find_system(&self, name: &str) -> Result<Arc<SystemConnection>, Refusal> {
        let ask = |connection: &SystemConnection| match connection
            .link
            .call(self.request_id(), SystemRequest::GetSystem)
        {
            Ok(SystemReply::System(system)) => Some(system),
            _ => None,
        };
        self.systems.find(name, self.environment.monotonic(), ask)
    }

    /// The switch of this console's link to a system, by which the link is cut and restored on purpose.
    #[must_use]
    pub fn link_switch(&self, system: &MachineIdentity) -> Option<Arc<SwitchedLink>> {
        self.systems.switch(system).cloned()
    }

    /// The user-defined name of a system, also of one that cannot be reached.
    #[must_use]
    pub fn name_of(&self, system: &SystemConnection) -> String {
        self.systems.name(system)
    }

    /// What a user sees when there is no connection to a system.
    #[must_use]
    pub fn no_connection(&self, system: &SystemConnection) -> Refusal {
        Refusal::new(MessageKey::SystemNoConnection).with(self.name_of(system))
    }

    fn call_refusal(&self, error: CallError, system: &SystemConnection) -> Refusal {
        match error {
            CallError::Refused(refusal) => *refusal,
            CallError::NoConnection => self.no_connection(system),
            CallError::Busy => Refusal::new(MessageKey::Busy),
        }
    }

    /// A new request id.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId(u128::from(self.environment.random()) << 64 | u128::from(self.environment.random()))
    }

    /// Asks a system.
    ///
    /// # Errors
    /// What the system refuses, [`MessageKey::SystemNoConnection`], [`MessageKey::Busy`].
    pub fn call(&self, system: &SystemConnection, request: SystemRequest) -> Result<SystemReply, Refusal> {
        self.answer(system, self.call_claiming(system, request))
    }

    /// The systems in the order of their identities, the same on every console.
    pub(crate) fn systems_by_identity(&self) -> impl Iterator<Item = &SystemConnection> {
        self.systems.by_identity()
    }

    /// Opens the virtual terminal of a partition.
    ///
    /// # Errors
    /// As [`Console::call`].
    pub fn open_terminal(
        &self,
        system: &SystemConnection,
        partition: Selector,
    ) -> Result<Box<dyn GuestTerminal>, Refusal> {
        system.link.open_terminal(partition).map_err(|error| self.call_refusal(error, system))
    }

    /// Turns the result of a call that was made elsewhere into what a user sees.
    ///
    /// # Errors
    /// As [`Console::call`].
    pub fn answer(
        &self,
        system: &SystemConnection,
        result: Result<SystemReply, CallError>,
    ) -> Result<SystemReply, Refusal> {
        result.map_err(|error| self.call_refusal(error, system))
    }

    /// The system itself; one that cannot be reached is described in state `No Connection`.
    ///
    /// # Errors
    /// What the system refuses, [`MessageKey::Busy`].
    pub fn describe(&self, system: &SystemConnection) -> Result<Arc<ManagedSystem>, Refusal> {
        match system.link.call(self.request_id(), SystemRequest::GetSystem) {
            Ok(SystemReply::System(found)) => {
                self.systems.saw(system, &found);
                Ok(found)
            }
            result => {
                let state = match ConnectionState::of(&result) {
                    Some(ConnectionState::PendingAuthentication) => SystemState::PendingAuthentication,
                    Some(ConnectionState::FailedAuthentication) => SystemState::FailedAuthentication,
                    Some(_) => SystemState::NoConnection,
                    None => return self.answer(system, result).and(Err(Refusal::new(MessageKey::Busy))),
                };
                Ok(self.systems.unreachable(system, state))
            }
        }
    }

    /// The system itself, as it answers now.
    ///
    /// # Errors
    /// As [`Console::call`].
    pub fn reach(&self, system: &SystemConnection) -> Result<Arc<ManagedSystem>, Refusal> {
        match self.call(system, SystemRequest::GetSystem)? {
            SystemReply::System(found) => Ok(found),
            _ => Err(Refusal::new(MessageKey::SystemNoConnection).with(system.name())),
        }
    }

    /// Decides on a password. Takes the time of one Argon2 hash.
    #[must_use]
    pub fn check_password(&self, user: &str, password: &str, peer: &str) -> LoginOutcome {
        let may = |user: &User, now| self.may_log_in(user, now);
        self.checked((user, password), peer, LockRule::default(), may)
    }

    /// Decides on a password for the web interface and the REST API.
    #[must_use]
    pub fn check_web_password(&self, user: &str, password: &str, peer: &str) -> LoginOutcome {
        self.checked((user, password), peer, self.settings().web_logins.rule(), User::may_use_web)
    }

    fn checked(
        &self,
        (user, password): (&str, &str),
        peer: &str,
        rule: LockRule,
        may: impl Fn(&User, i64) -> bool,
    ) -> LoginOutcome {
        let outcome = self.users.check_password(user, password, rule, || self.environment.monotonic());
        let outcome = self.admitted(outcome, true, may);
        self.note_login(&outcome, peer);
        outcome
    }

    /// Decides on a public key.
    #[must_use]
    pub fn check_key(&self, user: &str, key: OfferedKey<'_>, peer: &str) -> LoginOutcome {
        let outcome = self.users.check_key(user, key.line, self.environment.monotonic());
        let outcome = self.admitted(outcome, false, |user, now| self.may_log_in(user, now));
        if key.proven {
            self.note_login(&outcome, peer);
        }
        outcome
    }

    /// Whether a user may log in over SSH: the console takes such logins, and this user's.
    fn may_log_in(&self, user: &User, now_seconds: i64) -> bool {
        self.settings().remote_commands && user.may_log_in(now_seconds)
    }

    /// A user who is who it claims to be may still be disabled, kept from this way in, or have a password that is too old.
    fn admitted(
        &self,
        outcome: LoginOutcome,
        by_password: bool,
        may: impl Fn(&User, i64) -> bool,
    ) -> LoginOutcome {
        let LoginOutcome::Accepted(user) = &outcome else { return outcome };
        let now = self.environment.wall_clock().seconds();
        let days = self.policy_for(&user.name).map_or(u32::MAX, |policy| policy.get(PolicyRule::Days));
        let admitted = may(user, now) && !(by_password && user.password_expired(days, now));
        if admitted { outcome } else { LoginOutcome::Rejected }
    }

    /// The active policy, if there is one that applies to a user.
    pub(crate) fn policy_for(&self, user: &str) -> Option<Arc<PasswordPolicy>> {
        self.policies.active().filter(|_| PasswordPolicy::applies_to(user))
    }

    /// What a user is told at login when its password is about to expire.
    #[must_use]
    pub fn password_warning(&self, user: &str) -> Option<String> {
        let policy = self.policy_for(user)?;
        let user = self.users.get(user)?;
        let days = user.password_days(policy.get(PolicyRule::Days));
        let age = self.environment.wall_clock().seconds() - user.password_set_seconds?;
        let left = i64::from(days) - age / SECONDS_PER_DAY;
        (left <= i64::from(policy.get(PolicyRule::WarningDays)))
            .then(|| format!("Warning: your password will expire in {} days", left.max(0)))
    }

    /// Notes that a user has a session with this console until the guard is dropped.
    #[must_use]
    pub fn begin_session(&self, kind: SessionKind, user: &str, peer: &str) -> SessionGuard {
        self.sessions.begin(kind, user, peer, self.environment.wall_clock().seconds())
    }

    /// Ends a session with all that it runs, or (`task`) one command that it runs.
    ///
    /// # Errors
    /// [`MessageKey::SessionNotFound`], [`MessageKey::SessionTaskNotFound`].
    pub fn end_session(&self, session: u64, task: Option<u64>) -> Result<(), Refusal> {
        if self.sessions.end(session, task) {
            return Ok(());
        }
        let there = self.sessions().iter().any(|one| one.id == session);
        Err(match task.filter(|_| there) {
            Some(task) => Refusal::new(MessageKey::SessionTaskNotFound).with(task).with(session),
            None => Refusal::new(MessageKey::SessionNotFound).with(session),
        })
    }

    /// Ends all sessions, as the console is shut down.
    pub fn end_sessions(&self) {
        self.sessions.end_all();
    }

    /// The sessions there are, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<LoginSession> {
        self.sessions.all()
    }

    fn note_login(&self, outcome: &LoginOutcome, peer: &str) {
        if let LoginOutcome::Accepted(user) = outcome {
            let seconds = self.environment.wall_clock().seconds();
            self.users.note_login(&user.name, seconds);
            self.writer.note(Change::Login { user: user.name.clone(), seconds, peer: peer.to_owned() });
        }
    }

    /// The user of that name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.get(name)
    }

    /// All users in the order of their names.
    #[must_use]
    pub fn users(&self) -> Vec<Arc<User>> {
        self.users.all()
    }

    /// Adds or replaces a user, durably.
    ///
    /// # Errors
    /// [`ConsoleError`]; nothing is changed then.
    pub fn put_user(&self, user: &UserDescription) -> Result<(), ConsoleError> {
        let user = first_user(user, &*self.environment)?;
        let _changing = self.changing_users.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.write(Change::PutUser(Box::new(user.clone())))?;
        self.users.put(user);
        Ok(())
    }

    /// Removes a user, durably; false if there was none.
    ///
    /// # Errors
    /// [`ConsoleError::Store`].
    pub fn remove_user(&self, name: &str) -> Result<bool, ConsoleError> {
        let _changing = self.changing_users.lock().unwrap_or_else(PoisonError::into_inner);
        if self.users.get(name).is_none() {
            return Ok(false);
        }
        self.writer.write(Change::RemoveUser(name.to_owned()))?;
        Ok(self.users.remove(name))
    }

    /// Records that a line of the shell ended; passwords in it are masked.
    pub fn record_line(&self, user: &str, peer: &str, line: &str, status: u8) {
        self.record(user, peer, &masked_line(line), status);
    }

    /// Records that a command ended, its passwords masked by [`crate::masked_command`]. Does not wait for the disk.
    pub fn record(&self, user: &str, peer: &str, command: &str, status: u8) {
        let mut entry = AuditEntry {
            seconds: self.environment.wall_clock().seconds(),
            user: user.to_owned(),
            peer: peer.to_owned(),
            command: command.to_owned(),
            status,
        };
        entry.cut();
        self.writer.note(Change::Audit(entry));
    }

    /// The newest audit entries, newest first, with all that was recorded before this call.
    ///
    /// # Errors
    /// [`ConsoleError::Store`].
    pub fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, ConsoleError> {
        Ok(self.writer.read(move |store| store.audit(limit, i64::MIN))?)
    }

    /// The audit entries from `since` (seconds since 1970 UTC) on, newest first.
    ///
    /// # Errors
    /// [`ConsoleError::Store`].
    pub fn audit_since(&self, since: i64) -> Result<Vec<AuditEntry>, ConsoleError> {
        Ok(self.writer.read(move |store| store.audit(AUDIT_ENTRIES_KEPT, since))?)
    }

    /// Number of audit entries and logins that could not be written: the disk is full or damaged.
    #[must_use]
    pub fn lost_records(&self) -> u64 {
        self.writer.lost()
    }
}

/// Users of the site file may use the REST API: they are the console's own, as hscroot is on the real one.
fn web_access() -> UserSettings {
    let mut settings = UserSettings::default();
    settings.set(Setting::RemoteWebAccess, 1);
    settings
}

fn first_user(user: &UserDescription, environment: &dyn Environment) -> Result<User, ConsoleError> {
    let wrong = |reason: String| ConsoleError::User { user: user.name.clone(), reason };
    if TaskRole::from_word(&user.task_role).is_none() {
        return Err(wrong(format!("there is no task role {}", user.task_role)));
    }
    if user.resource_role != ALL_RESOURCES {
        // A role that would be ignored gives more than its author meant.
        return Err(wrong(format!("the resource role {} is not supported", user.resource_role)));
    }
    let wrong_password = |source| ConsoleError::Password { user: user.name.clone(), source };
    let password_hash = match &user.password {
        None => None,
        Some(Secret::Plain(text)) => Some(password::hash(text, environment).map_err(wrong_password)?),
        Some(Secret::Hash(text)) => {
            password::check_hash(text).map_err(wrong_password)?;
            Some(text.clone())
        }
    };
    Ok(User {
        name: user.name.clone(),
        task_role: user.task_role.clone(),
        resource_role: user.resource_role.clone(),
        description: user.description.clone(),
        password_hash,
        authorized_keys: user.authorized_keys.clone(),
        settings: web_access(),
        password_history: Vec::new(),
        password_set_seconds: None,
        active_since_seconds: None,
        last_login_seconds: None,
    })
}
