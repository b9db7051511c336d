//! The database of a console, written by one thread.
//!
//! | table | row |
//! |---|---|
//! | `meta` | format version, active password policy |
//! | `user` | name, user as JSON |
//! | `task_role` | name, task role as JSON |
//! | `resource_role` | name, managed resource role as JSON |
//! | `password_policy` | name, policy as JSON |
//! | `setting` | `console`, the console's own settings as JSON |
//! | `connection` | identity of the system or address, connection as JSON |
//! | `login` | name, time and peer of the last login |
//! | `audit` | commands, newest last |
//! | `service_event` | problem number, open, cause, event as JSON |
//! | `service_mark` | system, newest entry of its error log that was read |
//! | `utilization` | system, rank, time, event as JSON |
//! | `sample_rate` | system, seconds |

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use thiserror::Error;

use crate::audit::{AUDIT_ENTRIES_KEPT, AuditEntry};
use crate::connections::ConnectionRecord;
use crate::console_settings::ConsoleSettings;
use crate::observation::Earlier;
use crate::password_policy::PasswordPolicy;
use crate::resource_roles::ResourceRole;
use crate::service_events::{SERVICE_EVENTS_KEPT, ServiceEvent};
use crate::task_roles::TaskRoleDefinition;
use crate::users::User;
use crate::utilization::{CHANGES_KEPT, Rank, SAMPLE_BYTES_MAX, SAMPLES_KEPT, UtilizationEvent};

/// Version of the tables and of the JSON in them.
pub const FORMAT_VERSION: i64 = 1;

/// What went wrong with the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite reports an error: disk full, file damaged, locked by another process.
    #[error("{path}: {source}")]
    Database {
        /// Database file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A row is not what this version wrote.
    #[error("{path}: the row of {name} cannot be read: {source}")]
    Content {
        /// Database file.
        path: PathBuf,
        /// User, task role or connection.
        name: String,
        /// Reason.
        source: serde_json::Error,
    },
    /// The database is of another format.
    #[error("{path}: format {found} is not format {FORMAT_VERSION} of this program")]
    Format {
        /// Database file.
        path: PathBuf,
        /// Format found.
        found: String,
    },
    /// The directory cannot be made.
    #[error("{path}: {source}")]
    Directory {
        /// Directory.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// The thread that writes has ended.
    #[error("the console's database is closed")]
    Closed,
}

/// One row to write.
#[derive(Debug)]
pub enum Change {
    /// A user is new or changed.
    PutUser(Box<User>),
    /// A user is gone.
    RemoveUser(String),
    /// A user has another name.
    RenameUser {
        /// Name that it had.
        from: String,
        /// User.
        user: Box<User>,
    },
    /// A task role is new or changed.
    PutTaskRole(TaskRoleDefinition),
    /// A task role is gone.
    RemoveTaskRole(String),
    /// A resource role is new or changed.
    PutResourceRole(ResourceRole),
    /// A resource role is gone.
    RemoveResourceRole(String),
    /// A password policy is new or changed.
    PutPasswordPolicy {
        /// Name that it had.
        replaces: Option<String>,
        /// Policy.
        policy: PasswordPolicy,
        /// Whether it is the active one.
        active: bool,
    },
    /// A password policy is gone.
    RemovePasswordPolicy(String),
    /// Another password policy is active, or none.
    ActivatePasswordPolicy(Option<String>),
    /// The console's own settings changed.
    PutSettings(Box<ConsoleSettings>),
    /// A connection is new or changed.
    PutConnection(Box<ConnectionRecord>),
    /// The connection of that key is gone.
    RemoveConnection(String),
    /// A user logged in.
    Login {
        /// User.
        user: String,
        /// Seconds since 1970 UTC.
        seconds: i64,
        /// Other end.
        peer: String,
    },
    /// A command ended.
    Audit(AuditEntry),
    /// What was new in a system's error log, up to `mark`.
    ServiceEvents {
        /// System.
        system: String,
        /// Events, oldest first.
        events: Vec<ServiceEvent>,
        /// Newest entry that was read.
        mark: u64,
    },
    /// A serviceable event is new (problem number 0) or different.
    PutServiceEvent(Box<ServiceEvent>),
    /// Utilization of a system; of the console itself with an empty name.
    Utilization {
        /// System.
        system: String,
        /// Rank of a sample; `None` for a change.
        rank: Option<Rank>,
        /// The event.
        event: Box<UtilizationEvent>,
    },
    /// Seconds between two samples of a system.
    SampleRate {
        /// System.
        system: String,
        /// Seconds.
        seconds: u32,
    },
    /// The utilization data of a system is removed.
    RemoveUtilization(String),
}

/// The database.
pub struct Store {
    path: PathBuf,
    connection: Connection,
    new: bool,
}

impl Store {
    /// Opens or makes the database in `directory`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        varan_environment::make_directory(directory)
            .map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join("console.db");
        let wrap = |source| StoreError::Database { path: path.clone(), source };
        let connection = Connection::open(&path).map_err(wrap)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrap)?;
        // WAL with a full flush: an acknowledged transaction survives the loss of power.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(wrap)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(wrap)?;
        connection.execute_batch(TABLES).map_err(wrap)?;
        let query = "SELECT value FROM meta WHERE key = 'format'";
        let found: Option<String> =
            connection.query_row(query, [], |row| row.get(0)).optional().map_err(wrap)?;
        match found {
            Some(found) if found != FORMAT_VERSION.to_string() => {
                Err(StoreError::Format { path: path.clone(), found })
            }
            found => Ok(Self { path: path.clone(), connection, new: found.is_none() }),
        }
    }

    /// Whether the database has never been filled: [`Store::begin`] has not been called.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Fills a new database: its format and its first users come in one transaction, so that a console that stops in
    /// between is still new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin(&mut self, users: &[User]) -> Result<(), StoreError> {
        let changes: Vec<Change> = users.iter().map(|user| Change::PutUser(Box::new(user.clone()))).collect();
        self.transact(|transaction| {
            let insert = "INSERT INTO meta (key, value) VALUES ('format', ?1)";
            transaction.execute(insert, [FORMAT_VERSION.to_string()])?;
            changes.iter().try_for_each(|change| write_change(transaction, change))
        })?;
        self.new = false;
        Ok(())
    }

    fn transact(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), StoreError> {
        let run = || {
            let transaction = self.connection.transaction()?;
            write(&transaction)?;
            transaction.commit()
        };
        run().map_err(|source| StoreError::Database { path: self.path.clone(), source })
    }

    /// Writes changes in one durable transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.transact(|transaction| {
            changes.iter().try_for_each(|change| write_change(transaction, change))?;
            if changes.iter().any(|change| matches!(change, Change::Audit(_))) {
                let trim = "DELETE FROM audit WHERE sequence <= (SELECT MAX(sequence) FROM audit) - ?1";
                transaction.prepare_cached(trim)?.execute([AUDIT_ENTRIES_KEPT])?;
            }
            Ok(())
        })
    }

    /// Reads all users in the order of their names, with their last logins.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        let wrap = |source| StoreError::Database { path: self.path.clone(), source };
        let query = "SELECT user.name, user.content, login.seconds \
                     FROM user LEFT JOIN login ON login.name = user.name ORDER BY user.name";
        let mut statement = self.connection.prepare(query).map_err(wrap)?;
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
            })
            .map_err(wrap)?;
        let mut users = Vec::new();
        for row in rows {
            let (name, text, last_login) = row.map_err(wrap)?;
            let mut user: User = serde_json::from_str(&text).map_err(|source| StoreError::Content {
                path: self.path.clone(),
                name,
                source,
            })?;
            user.last_login_seconds = last_login;
            users.push(user);
        }
        Ok(users)
    }

    /// Reads the console's own settings; those of a new console where none were written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settings(&self) -> Result<ConsoleSettings, StoreError> {
        let query = "SELECT content FROM setting WHERE name = 'console'";
        let found: Option<String> = self
            .connection
            .query_row(query, [], |row| row.get(0))
            .optional()
            .map_err(|source| StoreError::Database { path: self.path.clone(), source })?;
        let Some(text) = found else { return Ok(ConsoleSettings::default()) };
        serde_json::from_str(&text).map_err(|source| StoreError::Content {
            path: self.path.clone(),
            name: "console".to_owned(),
            source,
        })
    }

    /// Reads all task roles in the order of their names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn task_roles(&self) -> Result<Vec<TaskRoleDefinition>, StoreError> {
        self.contents("SELECT name, content FROM task_role ORDER BY name")
    }

    /// Reads all resource roles in the order of their names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resource_roles(&self) -> Result<Vec<ResourceRole>, StoreError> {
        self.contents("SELECT name, content FROM resource_role ORDER BY name")
    }

    /// Reads all password policies besides the predefined one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn password_policies(&self) -> Result<Vec<PasswordPolicy>, StoreError> {
        self.contents("SELECT name, content FROM password_policy ORDER BY name")
    }

    /// Reads the name of the active password policy.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn active_password_policy(&self) -> Result<Option<String>, StoreError> {
        let query = "SELECT value FROM meta WHERE key = 'password_policy'";
        let found = self.connection.query_row(query, [], |row| row.get(0)).optional();
        found.map_err(|source| StoreError::Database { path: self.path.clone(), source })
    }

    /// Reads all connections, those that were removed included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn connections(&self) -> Result<Vec<ConnectionRecord>, StoreError> {
        self.contents("SELECT name, content FROM connection ORDER BY name")
    }

    /// Reads rows of a name and a JSON text.
    fn contents<Row: serde::de::DeserializeOwned>(&self, query: &str) -> Result<Vec<Row>, StoreError> {
        let wrap = |source| StoreError::Database { path: self.path.clone(), source };
        let mut statement = self.connection.prepare(query).map_err(wrap)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(wrap)?;
        let read = |row: Result<(String, String), rusqlite::Error>| {
            let (name, text) = row.map_err(wrap)?;
            serde_json::from_str(&text).map_err(|source| StoreError::Content {
                path: self.path.clone(),
                name,
                source,
            })
        };
        rows.map(read).collect()
    }

    /// Reads what was observed of a system before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn earlier(&self, system: &str) -> Result<Earlier, StoreError> {
        let wrap = |source| StoreError::Database { path: self.path.clone(), source };
        let mark: Option<i64> = self
            .connection
            .query_row("SELECT sequence FROM service_mark WHERE system = ?1", [system], |row| row.get(0))
            .optional()
            .map_err(wrap)?;
        let sample_rate: Option<u32> = self
            .connection
            .query_row("SELECT seconds FROM sample_rate WHERE system = ?1", [system], |row| row.get(0))
            .optional()
            .map_err(wrap)?;
        let query =
            "SELECT content FROM utilization WHERE system = ?1 AND rank >= 0 ORDER BY sequence DESC LIMIT 1";
        let sample: Option<String> =
            self.connection.query_row(query, [system], |row| row.get(0)).optional().map_err(wrap)?;
        Ok(Earlier {
            mark: mark.and_then(|mark| u64::try_from(mark).ok()).unwrap_or(0),
            sample_rate,
            // A sample of an older form is only missed as the beginning of the pools' totals.
            last_sample: sample.and_then(|text| serde_json::from_str(&text).ok()),
        })
    }

    /// Reads all serviceable events, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn service_events(&self) -> Result<Vec<ServiceEvent>, StoreError> {
        let wrap = |source| StoreError::Database { path: self.path.clone(), source };
        let query = "SELECT problem, content FROM service_event ORDER BY problem DESC";
        let mut statement = self.connection.prepare_cached(query).map_err(wrap)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .map_err(wrap)?;
        let read = |row: Result<(i64, String), rusqlite::Error>| {
            let (problem, text) = row.map_err(wrap)?;
            let event: ServiceEvent = serde_json::from_str(&text).map_err(|source| StoreError::Content {
                path: self.path.clone(),
                name: format!("serviceable event {problem}"),
                source,
            })?;
            Ok(ServiceEvent { problem, ..event })
        };
        rows.map(read).collect()
    }

    /// Shows utilization events of a system and of the console to `visit`, newest first, until it says false.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn utilization<Found>(
        &self,
        system: &str,
        (from, to): (i64, i64),
        rank: Rank,
        mut found: Found,
        mut visit: impl FnMut(&mut Found, UtilizationEvent) -> bool,
    ) -> Result<Found, StoreError> {
        let wrap = |source| StoreError::Database { path: self.path.clone(), source };
        let query = "SELECT content FROM utilization WHERE system IN (?1, '') AND seconds BETWEEN ?2 AND ?3 \
                     AND (rank < 0 OR rank >= ?4) ORDER BY sequence DESC";
        let mut statement = self.connection.prepare_cached(query).map_err(wrap)?;
        let rank = i64::try_from(rank_number(rank)).unwrap_or(0);
        let mut rows = statement.query(params![system, from, to, rank]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            let text: String = row.get(0).map_err(wrap)?;
            let event = serde_json::from_str(&text).map_err(|source| StoreError::Content {
                path: self.path.clone(),
                name: format!("utilization of {system}"),
                source,
            })?;
            if !visit(&mut found, event) {
                break;
            }
        }
        Ok(found)
    }

    /// Reads the newest audit entries from `since` (seconds since 1970 UTC) on, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit(&self, limit: u32, since: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let wrap = |source| StoreError::Database { path: self.path.clone(), source };
        let query = "SELECT seconds, user, peer, command, status FROM audit \
                     WHERE seconds >= ?2 ORDER BY sequence DESC LIMIT ?1";
        let mut statement = self.connection.prepare_cached(query).map_err(wrap)?;
        let rows = statement.query_map(params![limit, since], |row| {
            Ok(AuditEntry {
                seconds: row.get(0)?,
                user: row.get(1)?,
                peer: row.get(2)?,
                command: row.get(3)?,
                status: row.get(4)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(wrap)
    }
}

fn json<Content: serde::Serialize>(content: &Content) -> Result<String, rusqlite::Error> {
    serde_json::to_string(content).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Adds a serviceable event. One of the same cause that is open counts it instead.
fn add_service_event(transaction: &Transaction<'_>, event: &ServiceEvent) -> Result<(), rusqlite::Error> {
    let cause = event.cause();
    let query =
        "SELECT problem, content FROM service_event WHERE open AND cause = ?1 ORDER BY problem DESC LIMIT 1";
    let present: Option<(i64, String)> = transaction
        .prepare_cached(query)?
        .query_row([&cause], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let present = present.and_then(|(problem, text)| {
        // One that cannot be read is left alone, and the new one is added.
        serde_json::from_str::<ServiceEvent>(&text).ok().map(|present| (problem, present))
    });
    if let Some((problem, mut present)) = present.filter(|(_, present)| present.text == event.text) {
        present.duplicates = present.duplicates.saturating_add(1);
        present.last_seconds = present.last_seconds.max(event.last_seconds);
        let query = "UPDATE service_event SET content = ?2 WHERE problem = ?1";
        transaction.prepare_cached(query)?.execute(params![problem, json(&present)?])?;
        return Ok(());
    }
    let query = "INSERT INTO service_event (open, cause, content) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(query)?.execute(params![event.open, cause, json(event)?]).map(|_| ())
}

fn trim_service_events(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let query = "DELETE FROM service_event WHERE problem IN \
                 (SELECT problem FROM service_event ORDER BY open DESC, problem DESC LIMIT -1 OFFSET ?1)";
    transaction.prepare_cached(query)?.execute([SERVICE_EVENTS_KEPT]).map(|_| ())
}

/// Rank of rows that are changes.
const CHANGE_RANK: i64 = -1;

fn rank_number(rank: Rank) -> usize {
    Rank::ALL.iter().position(|one| *one == rank).unwrap_or(0)
}

fn add_utilization(
    transaction: &Transaction<'_>,
    system: &str,
    rank: Option<Rank>,
    event: &UtilizationEvent,
) -> Result<(), rusqlite::Error> {
    let number = rank.map_or(CHANGE_RANK, |rank| i64::try_from(rank_number(rank)).unwrap_or(0));
    let query = "INSERT INTO utilization (system, rank, seconds, bytes, content) VALUES (?1, ?2, ?3, ?4, ?5)";
    let text = json(event)?;
    let bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
    transaction.prepare_cached(query)?.execute(params![system, number, event.seconds, bytes, text])?;
    let most = rank.map_or(CHANGES_KEPT, |rank| SAMPLES_KEPT[rank_number(rank)]);
    let query = "DELETE FROM utilization WHERE system = ?1 AND rank = ?2 AND sequence <= \
                 (SELECT sequence FROM utilization WHERE system = ?1 AND rank = ?2 \
                  ORDER BY sequence DESC LIMIT 1 OFFSET ?3)";
    transaction.prepare_cached(query)?.execute(params![system, number, most])?;
    if matches!(rank, Some(Rank::Sampled | Rank::Hourly)) {
        // A frame of a thousand partitions has samples of some hundred kilobytes.
        let query = "DELETE FROM utilization WHERE sequence IN (SELECT sequence FROM \
                     (SELECT sequence, SUM(bytes) OVER (ORDER BY sequence DESC) AS total \
                      FROM utilization WHERE system = ?1 AND rank = ?2) WHERE total > ?3)";
        let most = i64::try_from(SAMPLE_BYTES_MAX).unwrap_or(i64::MAX);
        transaction.prepare_cached(query)?.execute(params![system, number, most])?;
    }
    Ok(())
}

/// Writes a row of a name and a JSON text.
fn put<Content: serde::Serialize>(
    transaction: &Transaction<'_>,
    query: &str,
    name: &str,
    content: &Content,
) -> Result<(), rusqlite::Error> {
    let text = json(content)?;
    transaction.prepare_cached(query)?.execute(params![name, text]).map(|_| ())
}

fn write_change(transaction: &Transaction<'_>, change: &Change) -> Result<(), rusqlite::Error> {
    let with_name =
        |query: &str, name: &String| transaction.prepare_cached(query)?.execute([name]).map(|_| ());
    match change {
        Change::PutUser(user) => put(
            transaction,
            "INSERT INTO user (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &user.name,
            user,
        )?,
        Change::RenameUser { from, user } => {
            with_name("DELETE FROM user WHERE name = ?1", from)?;
            put(transaction, "INSERT INTO user (name, content) VALUES (?1, ?2)", &user.name, user)?;
            let query = "UPDATE login SET name = ?2 WHERE name = ?1";
            transaction.prepare_cached(query)?.execute([from, &user.name])?;
        }
        Change::RemoveUser(name) => {
            with_name("DELETE FROM user WHERE name = ?1", name)?;
            with_name("DELETE FROM login WHERE name = ?1", name)?;
        }
        Change::PutTaskRole(role) => put(
            transaction,
            "INSERT INTO task_role (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &role.name,
            role,
        )?,
        Change::RemoveTaskRole(name) => with_name("DELETE FROM task_role WHERE name = ?1", name)?,
        Change::PutResourceRole(role) => put(
            transaction,
            "INSERT INTO resource_role (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &role.name,
            role,
        )?,
        Change::RemoveResourceRole(name) => with_name("DELETE FROM resource_role WHERE name = ?1", name)?,
        Change::PutPasswordPolicy { replaces, policy, active } => {
            if let Some(name) = replaces {
                with_name("DELETE FROM password_policy WHERE name = ?1", name)?;
            }
            put(
                transaction,
                "INSERT INTO password_policy (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
                &policy.name,
                policy,
            )?;
            if *active {
                with_name(ACTIVATE, &policy.name)?;
            }
        }
        Change::RemovePasswordPolicy(name) => with_name("DELETE FROM password_policy WHERE name = ?1", name)?,
        Change::ActivatePasswordPolicy(Some(name)) => with_name(ACTIVATE, name)?,
        Change::ActivatePasswordPolicy(None) => {
            transaction.execute("DELETE FROM meta WHERE key = 'password_policy'", [])?;
        }
        Change::PutSettings(settings) => {
            let text = serde_json::to_string(settings)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let query = "INSERT INTO setting (name, content) VALUES ('console', ?1) \
                         ON CONFLICT (name) DO UPDATE SET content = ?1";
            transaction.prepare_cached(query)?.execute([text])?;
        }
        Change::PutConnection(record) => put(
            transaction,
            "INSERT INTO connection (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &record.key(),
            record,
        )?,
        Change::RemoveConnection(key) => with_name("DELETE FROM connection WHERE name = ?1", key)?,
        Change::Login { user, seconds, peer } => {
            let query = "INSERT INTO login (name, seconds, peer) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (name) DO UPDATE SET seconds = ?2, peer = ?3";
            transaction.prepare_cached(query)?.execute(params![user, seconds, peer])?;
        }
        Change::ServiceEvents { system, events, mark } => {
            events.iter().try_for_each(|event| add_service_event(transaction, event))?;
            let query = "INSERT INTO service_mark (system, sequence) VALUES (?1, ?2) \
                         ON CONFLICT (system) DO UPDATE SET sequence = ?2";
            let mark = i64::try_from(*mark).unwrap_or(i64::MAX);
            transaction.prepare_cached(query)?.execute(params![system, mark])?;
            trim_service_events(transaction)?;
        }
        Change::PutServiceEvent(event) if event.problem == 0 => {
            add_service_event(transaction, event)?;
            trim_service_events(transaction)?;
        }
        Change::PutServiceEvent(event) => {
            let query = "UPDATE service_event SET open = ?2, content = ?3 WHERE problem = ?1";
            let values = params![event.problem, event.open, json(event)?];
            transaction.prepare_cached(query)?.execute(values)?;
        }
        Change::Utilization { system, rank, event } => add_utilization(transaction, system, *rank, event)?,
        Change::SampleRate { system, seconds } => {
            let query = "INSERT INTO sample_rate (system, seconds) VALUES (?1, ?2) \
                         ON CONFLICT (system) DO UPDATE SET seconds = ?2";
            transaction.prepare_cached(query)?.execute(params![system, seconds])?;
        }
        Change::RemoveUtilization(system) => with_name("DELETE FROM utilization WHERE system = ?1", system)?,
        Change::Audit(entry) => {
            let query =
                "INSERT INTO audit (seconds, user, peer, command, status) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![entry.seconds, entry.user, entry.peer, entry.command, entry.status];
            transaction.prepare_cached(query)?.execute(values)?;
        }
    }
    Ok(())
}

const ACTIVATE: &str = "INSERT INTO meta (key, value) VALUES ('password_policy', ?1) \
                        ON CONFLICT (key) DO UPDATE SET value = ?1";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS user (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_role (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resource_role (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS password_policy (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS connection (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS login (name TEXT PRIMARY KEY, seconds INTEGER NOT NULL, peer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, seconds INTEGER NOT NULL, user TEXT NOT NULL,
    peer TEXT NOT NULL, command TEXT NOT NULL, status INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS service_event (
    problem INTEGER PRIMARY KEY AUTOINCREMENT, open INTEGER NOT NULL, cause TEXT NOT NULL, content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS service_event_cause ON service_event (cause) WHERE open;
CREATE TABLE IF NOT EXISTS service_mark (system TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sample_rate (system TEXT PRIMARY KEY, seconds INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS utilization (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, system TEXT NOT NULL, rank INTEGER NOT NULL,
    seconds INTEGER NOT NULL, bytes INTEGER NOT NULL, content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS utilization_rank ON utilization (system, rank, sequence);
";
