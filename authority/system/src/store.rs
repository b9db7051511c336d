//! The NVRAM of a managed system: a SQLite database of its own, written by one thread, one transaction for each batch of
//! waiting requests.
//!
//! | table | row |
//! |---|---|
//! | `meta` | format version, identity of the machine |
//! | `system` | one row: settings as JSON |
//! | `partition` | number, revision, definition as JSON |
//! | `error` | the error log: number, entry as JSON |
//! | `request` | the last request ids with their answers, so that a repeat after a restart is harmless |

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use thiserror::Error;
use varan_contract::system::RequestId;
use varan_model::ids::PartitionId;
use varan_model::partition::Partition;
use varan_model::service::{ERRORS_KEPT, ErrorEntry};
use varan_model::system::SystemSettings;

/// Version of the tables and of the JSON in them.
pub const FORMAT_VERSION: i64 = 1;
/// Request ids remembered across a restart.
pub const REQUESTS_KEPT: usize = 1_024;

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
    #[error("{path}: {what} cannot be read: {source}")]
    Content {
        /// Database file.
        path: PathBuf,
        /// Which row.
        what: String,
        /// Reason.
        source: serde_json::Error,
    },
    /// The database belongs to another machine, or to a newer program.
    #[error("{path}: {reason}")]
    Mismatch {
        /// Database file.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// The directory cannot be made.
    #[error("{path}: {source}")]
    Directory {
        /// Directory.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
}

/// Everything that the database holds.
#[derive(Debug)]
pub struct Contents {
    /// Settings; `None` in a new database.
    pub settings: Option<SystemSettings>,
    /// Partitions by number.
    pub partitions: Vec<Partition>,
    /// Requests that were carried out, oldest first.
    pub requests: Vec<RequestId>,
    /// The error log, oldest first.
    pub errors: Vec<ErrorEntry>,
}

/// What one transaction writes.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Settings, if they changed.
    pub settings: Option<&'a SystemSettings>,
    /// Definitions that are new or changed.
    pub put: Vec<&'a Partition>,
    /// Partitions that are gone.
    pub removed: Vec<PartitionId>,
    /// New entries of the error log.
    pub errors: Vec<&'a ErrorEntry>,
    /// Requests that this transaction carries out.
    pub requests: Vec<RequestId>,
}

/// The database of one managed system.
pub struct Store {
    path: PathBuf,
    connection: Connection,
    transactions: u64,
}

impl Store {
    /// Opens or makes the database of the machine `identity` in `directory`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path, identity: &str) -> Result<Self, StoreError> {
        varan_environment::make_directory(directory)
            .map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join("nvram.db");
        let wrap = |source| StoreError::Database { path: path.clone(), source };
        let connection = Connection::open(&path).map_err(wrap)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrap)?;
        // WAL with a full flush: an acknowledged transaction survives the loss of power.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(wrap)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(wrap)?;
        connection.execute_batch(TABLES).map_err(wrap)?;
        let store = Self { path: path.clone(), connection, transactions: 0 };
        store.check_meta(identity)?;
        Ok(store)
    }

    fn database(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), source }
    }

    fn check_meta(&self, identity: &str) -> Result<(), StoreError> {
        let read = |key: &str| -> Result<Option<String>, StoreError> {
            let query = "SELECT value FROM meta WHERE key = ?1";
            let value = self.connection.query_row(query, [key], |row| row.get(0)).optional();
            value.map_err(|source| self.database(source))
        };
        let mismatch = |reason: String| StoreError::Mismatch { path: self.path.clone(), reason };
        match (read("format")?, read("identity")?) {
            (Some(format), _) if format != FORMAT_VERSION.to_string() => {
                Err(mismatch(format!("format {format} is not format {FORMAT_VERSION} of this program")))
            }
            (_, Some(present)) if present != identity => {
                Err(mismatch(format!("it belongs to the machine {present}, not to {identity}")))
            }
            _ => {
                let insert =
                    "INSERT OR IGNORE INTO meta (key, value) VALUES ('format', ?1), ('identity', ?2)";
                let written = self.connection.execute(insert, params![FORMAT_VERSION.to_string(), identity]);
                written.map(|_| ()).map_err(|source| self.database(source))
            }
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self) -> Result<Contents, StoreError> {
        let text: Option<String> = self
            .connection
            .query_row("SELECT content FROM system WHERE id = 1", [], |row| row.get(0))
            .optional()
            .map_err(|source| self.database(source))?;
        let settings = match text {
            Some(text) => Some(self.decode(&text, || "the system row".to_owned())?),
            None => None,
        };
        let mut statement = self
            .connection
            .prepare("SELECT id, content FROM partition ORDER BY id")
            .map_err(|source| self.database(source))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, u16>(0)?, row.get::<_, String>(1)?)))
            .map_err(|source| self.database(source))?;
        let mut partitions = Vec::new();
        for row in rows {
            let (id, text) = row.map_err(|source| self.database(source))?;
            partitions.push(self.decode(&text, || format!("the row of partition {id}"))?);
        }
        let (requests, errors) = (self.load_requests()?, self.load_errors()?);
        Ok(Contents { settings, partitions, requests, errors })
    }

    fn load_requests(&self) -> Result<Vec<RequestId>, StoreError> {
        let wrap = |source| self.database(source);
        let mut statement =
            self.connection.prepare("SELECT id FROM request ORDER BY sequence").map_err(wrap)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(wrap)?;
        let read =
            |row: Result<String, rusqlite::Error>| row.map(|text| u128::from_str_radix(&text, 16).ok());
        let ids = rows.map(read).collect::<Result<Vec<Option<u128>>, _>>().map_err(wrap)?;
        Ok(ids.into_iter().flatten().map(RequestId).collect())
    }

    fn load_errors(&self) -> Result<Vec<ErrorEntry>, StoreError> {
        let wrap = |source| self.database(source);
        let query = "SELECT content FROM error ORDER BY sequence";
        let mut statement = self.connection.prepare(query).map_err(wrap)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(wrap)?;
        let decode = |row: Result<String, rusqlite::Error>| {
            self.decode(&row.map_err(wrap)?, || "a row of the error log".to_owned())
        };
        rows.map(decode).collect()
    }

    fn decode<T: serde::de::DeserializeOwned>(
        &self,
        text: &str,
        what: impl FnOnce() -> String,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| StoreError::Content {
            path: self.path.clone(),
            what: what(),
            source,
        })
    }

    fn encode<T: serde::Serialize>(&self, value: &T) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|source| StoreError::Content {
            path: self.path.clone(),
            what: "a row".to_owned(),
            source,
        })
    }

    /// Writes a batch in one durable transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn write(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        let settings = batch.settings.map(|settings| self.encode(settings)).transpose()?;
        let put: Vec<(u16, u64, String)> = batch
            .put
            .iter()
            .map(|partition| Ok((partition.id.0, partition.revision, self.encode(partition)?)))
            .collect::<Result<_, StoreError>>()?;
        let errors: Vec<(u64, String)> = batch
            .errors
            .iter()
            .map(|entry| Ok((entry.sequence, self.encode(entry)?)))
            .collect::<Result<_, StoreError>>()?;
        let path = self.path.clone();
        write_rows(&mut self.connection, settings, &put, &errors, batch)
            .map_err(|source| StoreError::Database { path, source })?;
        self.transactions += 1;
        Ok(())
    }

    /// Number of transactions written since the database was opened.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions
    }
}

fn key(request: RequestId) -> String {
    format!("{:032x}", request.0)
}

fn write_rows(
    connection: &mut Connection,
    settings: Option<String>,
    put: &[(u16, u64, String)],
    errors: &[(u64, String)],
    batch: &Batch<'_>,
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    if let Some(text) = settings {
        let query =
            "INSERT INTO system (id, content) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET content = ?1";
        transaction.prepare_cached(query)?.execute([text])?;
    }
    for id in &batch.removed {
        transaction.prepare_cached("DELETE FROM partition WHERE id = ?1")?.execute([id.0])?;
    }
    for (id, revision, text) in put {
        let query = "INSERT INTO partition (id, revision, content) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (id) DO UPDATE SET revision = ?2, content = ?3";
        let revision = i64::try_from(*revision).unwrap_or(i64::MAX);
        transaction.prepare_cached(query)?.execute(params![id, revision, text])?;
    }
    for (sequence, text) in errors {
        let sequence = i64::try_from(*sequence).unwrap_or(i64::MAX);
        let query = "INSERT OR REPLACE INTO error (sequence, content) VALUES (?1, ?2)";
        transaction.prepare_cached(query)?.execute(params![sequence, text])?;
    }
    if !errors.is_empty() {
        let query = "DELETE FROM error WHERE sequence <= (SELECT MAX(sequence) FROM error) - ?1";
        transaction.prepare_cached(query)?.execute([i64::try_from(ERRORS_KEPT).unwrap_or(i64::MAX)])?;
    }
    for request in &batch.requests {
        let query = "INSERT OR IGNORE INTO request (id) VALUES (?1)";
        transaction.prepare_cached(query)?.execute([key(*request)])?;
    }
    if !batch.requests.is_empty() {
        let query = "DELETE FROM request WHERE sequence <= (SELECT MAX(sequence) FROM request) - ?1";
        transaction.prepare_cached(query)?.execute([i64::try_from(REQUESTS_KEPT).unwrap_or(i64::MAX)])?;
    }
    transaction.commit()
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS system (id INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS partition (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS error (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE);
";
