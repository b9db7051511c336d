//! SQLite on a volume that loses its power: what each of its settings promises is what the volume shows.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use varan_power_loss::Volume;

fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    directory
}

fn open(path: &Path, journal: &str, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", journal)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Small, so that checkpoints come among the commits.
    connection.pragma_update(None, "wal_autocheckpoint", 8)?;
    connection.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filling BLOB)")?;
    Ok(connection)
}

/// What one run found after its loss of power.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Committed rows that are gone.
    lost: bool,
    /// Rows that are neither the committed ones nor those with the one in flight, or a damaged file.
    damaged: bool,
}

fn run(directory: &Path, seed: u64, journal: &str, synchronous: &str) -> Found {
    let volume = Volume::new(directory, seed);
    let path = directory.join("test.db");
    volume.cut_power_after(seed % 97);
    let mut committed = 0_i64;
    if let Ok(connection) = open(&path, journal, synchronous) {
        while committed < 200 {
            let query = "INSERT INTO t VALUES (?1, randomblob(?2))";
            let size = 100 + (seed as i64 * 37 + committed * 911) % 5_000;
            if connection.execute(query, [committed + 1, size]).is_err() {
                break;
            }
            committed += 1;
        }
    }
    assert!(!volume.is_powered(), "seed {seed}: the power went");
    volume.restore_power();
    let read = || -> rusqlite::Result<(String, i64, i64)> {
        let connection = open(&path, journal, synchronous)?;
        let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let query = "SELECT COUNT(*), COALESCE(MAX(n), 0) FROM t";
        let (count, last) = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((check, count, last))
    };
    match read() {
        Ok((check, count, last)) if check == "ok" && count == last && count <= committed + 1 => {
            Found { lost: count < committed, damaged: false }
        }
        _ => Found { lost: false, damaged: true },
    }
}

fn runs(name: &str, journal: &str, synchronous: &str) -> (usize, usize) {
    let directory = directory(name);
    let (mut lost, mut damaged) = (0, 0);
    for seed in 0..600 {
        let found = run(&directory, seed, journal, synchronous);
        lost += usize::from(found.lost);
        damaged += usize::from(found.damaged);
    }
    (lost, damaged)
}

#[test]
fn full_synchronization_loses_nothing() {
    assert_eq!(runs("wal-full", "WAL", "FULL"), (0, 0));
    assert_eq!(runs("delete-extra", "DELETE", "EXTRA"), (0, 0));
}

#[test]
fn normal_synchronization_of_a_log_loses_commits_and_damages_nothing() {
    let (lost, damaged) = runs("wal-normal", "WAL", "NORMAL");
    assert!(lost > 50, "{lost}");
    assert_eq!(damaged, 0);
}

#[test]
fn without_synchronization_commits_are_lost_and_files_are_damaged() {
    for journal in ["WAL", "DELETE"] {
        let (lost, damaged) = runs("off", journal, "OFF");
        assert!(lost > 50 && damaged > 10, "{journal}: lost {lost}, damaged {damaged}");
    }
}

/// SQLite does not sync the directory after it deleted a rollback journal, unless it is told to.
#[test]
fn a_deleted_journal_may_come_back() {
    let (lost, damaged) = runs("delete-full", "DELETE", "FULL");
    assert!(lost > 0, "{lost}");
    assert_eq!(damaged, 0);
}

#[test]
fn files_outside_of_volumes_stay_where_they_are() {
    let directory = directory("outside");
    let volume = Volume::new(&directory.join("inside"), 1);
    for inside in [false, true] {
        let path = directory.join(if inside { "inside/a.db" } else { "a.db" });
        let _ = std::fs::remove_file(&path);
        let connection = open(&path, "WAL", "FULL").expect("opened");
        connection.execute("INSERT INTO t VALUES (1, 'x')", []).expect("inserted");
        drop(connection);
        assert_eq!(path.exists(), !inside);
    }
    assert!(volume.operations() > 0);
}

#[test]
fn two_connections_share_a_log_and_its_locks() {
    let directory = directory("two");
    let volume = Volume::new(&directory, 1);
    let path = directory.join("test.db");
    let (one, two) = (open(&path, "WAL", "FULL").expect("one"), open(&path, "WAL", "FULL").expect("two"));
    for connection in [&one, &two] {
        connection.busy_timeout(std::time::Duration::ZERO).expect("timeout");
    }
    one.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1, 'x')").expect("begun");
    assert!(two.execute("INSERT INTO t VALUES (2, 'y')", []).is_err(), "locked");
    let count = |connection: &Connection| {
        connection.query_row("SELECT COUNT(*) FROM t", [], |row| row.get::<_, i64>(0)).expect("count")
    };
    assert_eq!((count(&one), count(&two)), (1, 0));
    one.execute_batch("COMMIT").expect("committed");
    assert_eq!(count(&two), 1);
    two.execute("INSERT INTO t VALUES (2, 'y')", []).expect("free again");
    let other = self::directory("two-copy");
    let copy = volume.copy(&other, 2);
    copy.restore_power();
    let copied = open(&other.join("test.db"), "WAL", "FULL").expect("copy");
    assert_eq!(count(&copied), 2);
}

/// What a volume leaves follows from its seed alone.
#[test]
fn a_loss_repeats_from_its_seed() {
    let directory = directory("repeat");
    let leave = |seed: u64| {
        let volume = Volume::new(&directory, seed);
        let path = directory.join("test.db");
        let connection = open(&path, "WAL", "OFF").expect("opened");
        for number in 0..5 {
            connection.execute("INSERT INTO t VALUES (?1, zeroblob(3000))", [number]).expect("inserted");
        }
        assert!(!volume.is_durable());
        volume.restore_power();
        assert!(volume.is_durable());
        let connection = Connection::open(&path).expect("opened");
        let count = connection.query_row("SELECT COUNT(*) FROM t", [], |row| row.get::<_, i64>(0));
        count.map_err(|error| error.to_string())
    };
    let outcomes: Vec<_> = (0..20).map(leave).collect();
    assert_eq!(outcomes, (0..20).map(leave).collect::<Vec<_>>());
    assert!(outcomes.iter().any(|one| one != &outcomes[0]), "seeds differ: {outcomes:?}");
}
