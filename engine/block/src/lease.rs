//! The lease store: ownership records, frame leases and revoked paths, in one SQLite file with one writer.
//!
//! ```text
//!   callers --channel--> writer: what waits shares one transaction --commit--> publish --> answer
//!   readers <----------------------------------------------------------------- published state
//! ```

mod clock;

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};
use varan_contract::block::{
    Epoch, FrameLease, LeaseError, OwnershipChange, OwnershipOutcome, OwnershipRecord, PathGeneration,
    PathName, Udid,
};
use varan_model::ids::{PartitionUuid, SystemUuid};

pub use clock::{LeaseHolder, LeaseObserver, lease_margin};

/// Most requests of one transaction.
const BATCH: usize = 256;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS incarnation (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS ownership (partition TEXT PRIMARY KEY, frame TEXT, epoch INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS lease (frame TEXT PRIMARY KEY, milliseconds INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS revoked (
        unit TEXT NOT NULL, client TEXT NOT NULL, path TEXT NOT NULL, minimum INTEGER NOT NULL,
        PRIMARY KEY (unit, client, path)) WITHOUT ROWID;
";

/// A path of a client to a unit.
type PathKey = (Udid, PartitionUuid, PathName);

/// Who may run a partition; nobody where the record was removed, whose epoch stays used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) frame: Option<SystemUuid>,
    pub(crate) epoch: Epoch,
}

#[derive(Default)]
struct State {
    ownership: HashMap<PartitionUuid, Holder>,
    revoked: HashMap<PathKey, PathGeneration>,
    leases: HashMap<SystemUuid, FrameLease>,
}

impl State {
    fn record(&self, partition: PartitionUuid) -> Option<OwnershipRecord> {
        let holder = self.ownership.get(&partition)?;
        holder.frame.map(|frame| OwnershipRecord { partition, frame, epoch: holder.epoch })
    }
}

/// A change that waits for the writer, and where its answer goes.
enum Change {
    Ownership(Vec<OwnershipChange>, SyncSender<Result<Vec<Changed>, LeaseError>>),
    Revocation(PathKey, PathGeneration, SyncSender<Result<(), LeaseError>>),
    Lease(SystemUuid, Duration, SyncSender<Result<(), LeaseError>>),
}

/// What became of one compare-and-swap, with what is in force now.
pub(crate) struct Changed {
    pub(crate) outcome: OwnershipOutcome,
    pub(crate) holder: Holder,
}

/// The durable part of a lease store. [`San`](crate::San) adds that what lost its right can reach no unit any more; this
/// alone says only what is recorded.
pub struct LeaseDatabase {
    state: Arc<RwLock<State>>,
    changes: Option<Sender<Change>>,
    writer: Option<JoinHandle<()>>,
    /// Upper half of what counts renewals: how often the store was opened.
    incarnation: u64,
}

fn failed(error: &dyn std::fmt::Display) -> LeaseError {
    LeaseError::Medium(error.to_string())
}

impl LeaseDatabase {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// [`LeaseError::Medium`] with what SQLite or the host says.
    pub fn open(path: &Path) -> Result<Self, LeaseError> {
        let (connection, state, incarnation) = open(path).map_err(|error| failed(&error))?;
        let state = Arc::new(RwLock::new(state));
        let (changes, receiver) = channel();
        let published = Arc::clone(&state);
        let writer = std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || write(connection, &published, &receiver))
            .map_err(|error| failed(&error))?;
        Ok(Self { state, changes: Some(changes), writer: Some(writer), incarnation })
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn ask<T>(
        &self,
        change: impl FnOnce(SyncSender<Result<T, LeaseError>>) -> Change,
    ) -> Result<T, LeaseError> {
        let (sender, receiver) = sync_channel(1);
        let changes = self.changes.as_ref().ok_or(LeaseError::Unreachable)?;
        changes.send(change(sender)).map_err(|_| LeaseError::Unreachable)?;
        receiver.recv().unwrap_or(Err(LeaseError::Unreachable))
    }

    pub(crate) fn ownership(&self, partition: PartitionUuid) -> Option<OwnershipRecord> {
        self.read(|state| state.record(partition))
    }

    pub(crate) fn change(&self, changes: &[OwnershipChange]) -> Result<Vec<Changed>, LeaseError> {
        self.ask(|answer| Change::Ownership(changes.to_vec(), answer))
    }

    pub(crate) fn renew(&self, frame: SystemUuid, duration: Duration) -> Result<FrameLease, LeaseError> {
        let known =
            self.read(|state| state.leases.get(&frame).is_some_and(|lease| lease.duration == duration));
        if !known {
            self.ask(|answer| Change::Lease(frame, duration, answer))?;
        }
        // A renewal is not recorded: after a restart the incarnation makes every lease look renewed, which only makes
        // observers wait anew.
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let first = FrameLease { frame, renewals: self.incarnation << 32, duration };
        let lease = state.leases.entry(frame).or_insert(first);
        lease.renewals = lease.renewals.max(self.incarnation << 32) + 1;
        Ok(*lease)
    }

    pub(crate) fn lease(&self, frame: SystemUuid) -> Option<FrameLease> {
        self.read(|state| state.leases.get(&frame).copied())
    }

    pub(crate) fn revoke(&self, key: PathKey, minimum: PathGeneration) -> Result<(), LeaseError> {
        if self.read(|state| state.revoked.get(&key).is_some_and(|present| *present >= minimum)) {
            return Ok(());
        }
        self.ask(|answer| Change::Revocation(key, minimum, answer))
    }

    pub(crate) fn minimum(&self, key: &PathKey) -> PathGeneration {
        self.read(|state| state.revoked.get(key).copied().unwrap_or_default())
    }

    /// Who may run each partition that ever had a record.
    pub(crate) fn holders(&self) -> Vec<(PartitionUuid, Holder)> {
        self.read(|state| state.ownership.iter().map(|(client, holder)| (*client, *holder)).collect())
    }

    /// The lowest generation of each path that was ever revoked.
    pub(crate) fn minimums(&self) -> Vec<(PathKey, PathGeneration)> {
        self.read(|state| state.revoked.iter().map(|(key, minimum)| (key.clone(), *minimum)).collect())
    }
}

impl Drop for LeaseDatabase {
    fn drop(&mut self) {
        drop(self.changes.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// A value that is not what this program writes.
fn damaged(text: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(format!("not readable: {text}"))
}

fn parse<T: std::str::FromStr>(text: &str) -> rusqlite::Result<T> {
    text.parse().map_err(|_| damaged(text))
}

/// SQLite has signed numbers only.
fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

fn open(path: &Path) -> rusqlite::Result<(Connection, State, u64)> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(SCHEMA)?;
    let counted = "INSERT INTO incarnation VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET number = number + 1";
    connection.execute(counted, [])?;
    let incarnation: u32 = connection.query_row("SELECT number FROM incarnation", [], |row| row.get(0))?;
    let state = load(&connection, u64::from(incarnation))?;
    Ok((connection, state, u64::from(incarnation)))
}

fn load(connection: &Connection, incarnation: u64) -> rusqlite::Result<State> {
    let mut state = State::default();
    let mut query = connection.prepare("SELECT partition, frame, epoch FROM ownership")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let frame: Option<String> = row.get(1)?;
        let frame = frame.map(|text| parse(&text)).transpose()?;
        let partition = parse(&row.get::<_, String>(0)?)?;
        state.ownership.insert(partition, Holder { frame, epoch: Epoch(number(row, 2)?) });
    }
    let mut query = connection.prepare("SELECT unit, client, path, minimum FROM revoked")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let text = |index| row.get::<_, String>(index);
        let key = (parse(&text(0)?)?, parse(&text(1)?)?, parse(&text(2)?)?);
        state.revoked.insert(key, PathGeneration(number(row, 3)?));
    }
    let mut query = connection.prepare("SELECT frame, milliseconds FROM lease")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let frame = parse(&row.get::<_, String>(0)?)?;
        let duration = Duration::from_millis(number(row, 1)?);
        state.leases.insert(frame, FrameLease { frame, renewals: incarnation << 32, duration });
    }
    Ok(state)
}

/// What a transaction has changed and not yet published.
#[derive(Default)]
struct Pending {
    ownership: HashMap<PartitionUuid, Holder>,
    revoked: HashMap<PathKey, PathGeneration>,
    leases: HashMap<SystemUuid, Duration>,
}

/// The writer's body; ends with the last sender.
fn write(mut connection: Connection, state: &RwLock<State>, changes: &Receiver<Change>) {
    while let Ok(first) = changes.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = changes.try_recv()
        {
            batch.push(next);
        }
        let mut pending = Pending::default();
        let result = commit(&mut connection, state, &batch, &mut pending).map_err(|error| failed(&error));
        if result.is_ok() {
            publish(&mut state.write().unwrap_or_else(PoisonError::into_inner), pending);
        }
        let common = result.as_ref().map(|_| ()).map_err(Clone::clone);
        let mut ownership = result.unwrap_or_default().into_iter();
        for change in batch {
            // Who does not wait any more has gone with its thread.
            let _ = match change {
                Change::Ownership(_, answer) => {
                    let changed = ownership.next().unwrap_or_default();
                    answer.send(common.clone().map(|()| changed)).is_ok()
                }
                Change::Revocation(_, _, answer) | Change::Lease(_, _, answer) => {
                    answer.send(common.clone()).is_ok()
                }
            };
        }
    }
}

fn publish(state: &mut State, pending: Pending) {
    state.ownership.extend(pending.ownership);
    state.revoked.extend(pending.revoked);
    for (frame, duration) in pending.leases {
        let lease = state.leases.entry(frame).or_insert(FrameLease { frame, renewals: 0, duration });
        lease.duration = duration;
    }
}

/// Does a batch in one transaction; gives the outcomes of its ownership changes.
fn commit(
    connection: &mut Connection,
    state: &RwLock<State>,
    batch: &[Change],
    pending: &mut Pending,
) -> rusqlite::Result<Vec<Vec<Changed>>> {
    let transaction = connection.transaction()?;
    let mut outcomes = Vec::new();
    for change in batch {
        match change {
            Change::Ownership(changes, _) => {
                let each =
                    changes.iter().map(|change| compare_and_swap(&transaction, state, pending, change));
                outcomes.push(each.collect::<rusqlite::Result<_>>()?);
            }
            Change::Revocation(key, minimum, _) => revoke(&transaction, state, pending, key, *minimum)?,
            Change::Lease(frame, duration, _) => {
                let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO lease VALUES (?1, ?2)")?
                    .execute(params![frame.to_string(), milliseconds])?;
                pending.leases.insert(*frame, *duration);
            }
        }
    }
    transaction.commit()?;
    Ok(outcomes)
}

fn compare_and_swap(
    transaction: &Transaction<'_>,
    state: &RwLock<State>,
    pending: &mut Pending,
    change: &OwnershipChange,
) -> rusqlite::Result<Changed> {
    let published =
        || state.read().unwrap_or_else(PoisonError::into_inner).ownership.get(&change.partition).copied();
    let present = pending.ownership.get(&change.partition).copied().or_else(published);
    let record = |holder: Holder| {
        holder.frame.map(|frame| OwnershipRecord { partition: change.partition, frame, epoch: holder.epoch })
    };
    let holder = present.unwrap_or_default();
    let now = present.and_then(record);
    if now.map(|record| record.epoch) != change.expected {
        return Ok(Changed { outcome: OwnershipOutcome::Unexpected(now), holder });
    }
    if now.is_none() && change.frame.is_none() {
        return Ok(Changed { outcome: OwnershipOutcome::Changed(None), holder });
    }
    let next = Holder { frame: change.frame, epoch: Epoch(holder.epoch.0 + 1) };
    transaction.prepare_cached("INSERT OR REPLACE INTO ownership VALUES (?1, ?2, ?3)")?.execute(params![
        change.partition.to_string(),
        next.frame.map(|frame| frame.to_string()),
        next.epoch.0.cast_signed()
    ])?;
    pending.ownership.insert(change.partition, next);
    Ok(Changed { outcome: OwnershipOutcome::Changed(record(next)), holder: next })
}

fn revoke(
    transaction: &Transaction<'_>,
    state: &RwLock<State>,
    pending: &mut Pending,
    key: &PathKey,
    minimum: PathGeneration,
) -> rusqlite::Result<()> {
    let published = || state.read().unwrap_or_else(PoisonError::into_inner).revoked.get(key).copied();
    let present = pending.revoked.get(key).copied().or_else(published).unwrap_or_default();
    if minimum <= present {
        return Ok(());
    }
    let (unit, client, path) = key;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO revoked VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![unit.as_str(), client.to_string(), path.as_str(), minimum.0.cast_signed()])?;
    pending.revoked.insert(key.clone(), minimum);
    Ok(())
}
