//! The database of a server: `vios.db`, written by one thread, one transaction for all requests that wait.
//!
//! | table | row |
//! |---|---|
//! | `meta` | format version, partition |
//! | `row` | name of a table of [`crate::world`], key, content as JSON |
//! | `request` | the last request ids with their answers as JSON, so that a repeat after a restart is harmless |

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use thiserror::Error;
use varan_contract::vios::{RequestId, ViosDone};

use crate::world::{Change, Row};

/// Version of the tables and of the JSON in them.
const FORMAT_VERSION: i64 = 1;
/// Request ids remembered across a restart.
pub(crate) const REQUESTS_KEPT: usize = 1_024;

/// What went wrong with the database of a server.
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
    /// The database belongs to another partition, or to a newer program.
    #[error("{path}: {reason}")]
    Mismatch {
        /// Database file.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// A directory or file of the server cannot be made.
    #[error("{path}: {source}")]
    File {
        /// Directory or file.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
}

/// Everything that the database holds.
pub(crate) struct Contents {
    pub(crate) changes: Vec<Change>,
    pub(crate) requests: Vec<(RequestId, ViosDone)>,
}

pub(crate) struct Store {
    path: PathBuf,
    connection: Connection,
    transactions: u64,
}

impl Store {
    pub(crate) fn open(directory: &Path, identity: &str) -> Result<Self, StoreError> {
        let path = directory.join("vios.db");
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
        match (read("format")?, read("partition")?) {
            (Some(format), _) if format != FORMAT_VERSION.to_string() => {
                Err(mismatch(format!("format {format} is not format {FORMAT_VERSION} of this program")))
            }
            (_, Some(present)) if present != identity => {
                Err(mismatch(format!("it belongs to the partition {present}, not to {identity}")))
            }
            _ => {
                let insert =
                    "INSERT OR IGNORE INTO meta (key, value) VALUES ('format', ?1), ('partition', ?2)";
                let written = self.connection.execute(insert, params![FORMAT_VERSION.to_string(), identity]);
                written.map(|_| ()).map_err(|source| self.database(source))
            }
        }
    }

    pub(crate) fn load(&self) -> Result<Contents, StoreError> {
        let wrap = |source| self.database(source);
        let content =
            |what: String| move |source| StoreError::Content { path: self.path.clone(), what, source };
        let mut statement =
            self.connection.prepare("SELECT kind, key, content FROM row ORDER BY kind, key").map_err(wrap)?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(wrap)?;
        let mut changes = Vec::new();
        for row in rows {
            let (table, key, text): (String, String, String) = row.map_err(wrap)?;
            let change = Change::of_row(&table, &key, &text).map_err(content(format!("{table} {key}")))?;
            changes.extend(change);
        }
        let mut statement =
            self.connection.prepare("SELECT id, answer FROM request ORDER BY sequence").map_err(wrap)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrap)?;
        let mut requests = Vec::new();
        for row in rows {
            let (id, answer): (String, String) = row.map_err(wrap)?;
            let done = serde_json::from_str(&answer).map_err(content(format!("request {id}")))?;
            if let Ok(id) = u128::from_str_radix(&id, 16) {
                requests.push((RequestId(id), done));
            }
        }
        Ok(Contents { changes, requests })
    }

    /// Writes all rows and request ids in one durable transaction; nothing on an error.
    pub(crate) fn write(
        &mut self,
        rows: &[Row],
        requests: &[(RequestId, ViosDone)],
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        write_rows(&mut self.connection, rows, requests)
            .map_err(|source| StoreError::Database { path, source })?;
        self.transactions += 1;
        Ok(())
    }

    /// Number of transactions written since the database was opened.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions
    }
}

fn write_rows(
    connection: &mut Connection,
    rows: &[Row],
    requests: &[(RequestId, ViosDone)],
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    for row in rows {
        match &row.content {
            Some(content) => {
                let query = "INSERT INTO row (kind, key, content) VALUES (?1, ?2, ?3) \
                             ON CONFLICT (kind, key) DO UPDATE SET content = ?3";
                transaction.prepare_cached(query)?.execute(params![row.table, row.key, content])?;
            }
            None => {
                let query = "DELETE FROM row WHERE kind = ?1 AND key = ?2";
                transaction.prepare_cached(query)?.execute(params![row.table, row.key])?;
            }
        }
    }
    for (id, done) in requests {
        let answer = serde_json::to_string(done).unwrap_or_default();
        let query = "INSERT OR IGNORE INTO request (id, answer) VALUES (?1, ?2)";
        transaction.prepare_cached(query)?.execute(params![format!("{:032x}", id.0), answer])?;
    }
    if !requests.is_empty() {
        let query = "DELETE FROM request WHERE sequence <= (SELECT MAX(sequence) FROM request) - ?1";
        transaction.prepare_cached(query)?.execute([i64::try_from(REQUESTS_KEPT).unwrap_or(i64::MAX)])?;
    }
    transaction.commit()
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS row (kind TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS request (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, answer TEXT NOT NULL);
";
