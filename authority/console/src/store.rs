//! The database of a console, written by one thread.
//!
//! | table | row |
//! |---|---|
//! | `meta` | format version |
//! | `user` | name, user as JSON |
//! | `task_role` | name, task role as JSON |
//! | `resource_role` | name, managed resource role as JSON |
//! | `login` | name, time and peer of the last login |
//! | `audit` | commands, newest last |

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use thiserror::Error;

use crate::audit::{AUDIT_ENTRIES_KEPT, AuditEntry};
use crate::resource_roles::ResourceRole;
use crate::task_roles::TaskRoleDefinition;
use crate::users::User;

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
        /// User or task role.
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
    /// A task role is new or changed.
    PutTaskRole(TaskRoleDefinition),
    /// A task role is gone.
    RemoveTaskRole(String),
    /// A resource role is new or changed.
    PutResourceRole(ResourceRole),
    /// A resource role is gone.
    RemoveResourceRole(String),
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

/// Writes a row of a name and a JSON text.
fn put<Content: serde::Serialize>(
    transaction: &Transaction<'_>,
    query: &str,
    name: &str,
    content: &Content,
) -> Result<(), rusqlite::Error> {
    let text = serde_json::to_string(content)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction.prepare_cached(query)?.execute(params![name, text]).map(|_| ())
}

fn write_change(transaction: &Transaction<'_>, change: &Change) -> Result<(), rusqlite::Error> {
    let remove = |query: &str, name: &String| transaction.prepare_cached(query)?.execute([name]).map(|_| ());
    match change {
        Change::PutUser(user) => put(
            transaction,
            "INSERT INTO user (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &user.name,
            user,
        )?,
        Change::RemoveUser(name) => {
            remove("DELETE FROM user WHERE name = ?1", name)?;
            remove("DELETE FROM login WHERE name = ?1", name)?;
        }
        Change::PutTaskRole(role) => put(
            transaction,
            "INSERT INTO task_role (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &role.name,
            role,
        )?,
        Change::RemoveTaskRole(name) => remove("DELETE FROM task_role WHERE name = ?1", name)?,
        Change::PutResourceRole(role) => put(
            transaction,
            "INSERT INTO resource_role (name, content) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET content = ?2",
            &role.name,
            role,
        )?,
        Change::RemoveResourceRole(name) => remove("DELETE FROM resource_role WHERE name = ?1", name)?,
        Change::Login { user, seconds, peer } => {
            let query = "INSERT INTO login (name, seconds, peer) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (name) DO UPDATE SET seconds = ?2, peer = ?3";
            transaction.prepare_cached(query)?.execute(params![user, seconds, peer])?;
        }
        Change::Audit(entry) => {
            let query =
                "INSERT INTO audit (seconds, user, peer, command, status) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![entry.seconds, entry.user, entry.peer, entry.command, entry.status];
            transaction.prepare_cached(query)?.execute(values)?;
        }
    }
    Ok(())
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS user (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_role (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resource_role (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS login (name TEXT PRIMARY KEY, seconds INTEGER NOT NULL, peer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, seconds INTEGER NOT NULL, user TEXT NOT NULL,
    peer TEXT NOT NULL, command TEXT NOT NULL, status INTEGER NOT NULL
);
";
