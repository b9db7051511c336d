//! Durable writes: partitions created one by one, and by 64 users at once, beside plain inserts into SQLite on the same
//! file system.

use std::sync::{Arc, Barrier};

use rusqlite::{Connection, params};
use varan::frame::Layout;
use varan::site::start_frames;
use varan_contract::system::SystemLink;
use varan_environment::Environment;

use crate::measured::{self, SMALL, Scratch, UserShell, frame_name};
use crate::scaled;
use crate::statistics::{Spread, count, head, row};

const ROUNDS: usize = 7;
const ONE_BY_ONE: usize = 100;
const USERS: usize = 64;
const EACH: usize = 5;
const GUEST_MEMORY_BYTES: u64 = 1 << 30;

fn create(name: &str) -> String {
    // The list has commas only between its attributes; nothing in it needs quotes of its own.
    format!(
        "mksyscfg -r lpar -m {} -i \"name={name},lpar_env=aixlinux,profile_name=normal,{SMALL}\"",
        frame_name(0)
    )
}

/// A table like any program's: one row for each thing, each insert a transaction that is flushed to the disk.
fn plain(path: &std::path::Path) -> Connection {
    let connection = Connection::open(path).expect("database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("journal");
    connection.pragma_update(None, "synchronous", "FULL").expect("flush");
    let table = "CREATE TABLE partition (id INTEGER PRIMARY KEY, content TEXT NOT NULL)";
    connection.execute_batch(table).expect("table");
    connection
}

/// The mean length of a partition's row in a frame's database, so that plain rows are as long.
fn row_length(database: &std::path::Path) -> usize {
    let connection = Connection::open(database).expect("database");
    let query = "SELECT CAST(AVG(LENGTH(content)) AS INTEGER) FROM partition";
    let length: i64 = connection.query_row(query, [], |row| row.get(0)).expect("length");
    usize::try_from(length).expect("a length")
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-writes");
    let site = measured::parse(&measured::site_text(10, 1, None));
    let layout = Layout::new(&scratch.path().join("data"));
    let frames = start_frames(&site, &layout, environment, GUEST_MEMORY_BYTES).expect("frames");
    let links: Vec<Arc<dyn SystemLink>> =
        frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
    let console = measured::console(&site, &layout, environment, &links);
    let mut users: Vec<UserShell> = (0..USERS).map(|_| UserShell::open(&console, &layout)).collect();
    users[0].done(&create("first"));

    let content = "x".repeat(row_length(&layout.frame(&frame_name(0)).join("nvram.db")));
    let plain = plain(&scratch.path().join("plain.db"));
    let mut insert = plain.prepare("INSERT INTO partition (content) VALUES (?1)").expect("insert");
    let per_second = |number: usize, action: &mut dyn FnMut()| {
        let begin = environment.monotonic();
        action();
        number as f64 / environment.monotonic().since(begin).as_secs_f64()
    };
    let (mut peer, mut single, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..scaled(ROUNDS) {
        peer.push(per_second(ONE_BY_ONE, &mut || {
            for _ in 0..ONE_BY_ONE {
                insert.execute(params![content]).expect("insert");
            }
        }));
        single.push(per_second(ONE_BY_ONE, &mut || {
            for number in 0..ONE_BY_ONE {
                users[0].done(&create(&format!("r{round}n{number}")));
            }
        }));
        together.push(at_once(&mut users, round, environment));
    }
    let columns = ["what", "a second", "as a multiple of the plain inserts", "rounds"];
    head("Durable writes", &columns);
    let line = |what: &str, rates: &[f64]| {
        let multiple = Spread::of(rates.iter().zip(&peer).map(|(rate, peer)| rate / peer));
        row(&[
            what.to_owned(),
            Spread::of(rates.iter().copied()).show(),
            multiple.show(),
            rates.len().to_string(),
        ]);
    };
    line(&format!("plain SQLite inserts of {} bytes", count(content.len())), &peer);
    line("`mksyscfg -r lpar`, one by one", &single);
    line(&format!("`mksyscfg -r lpar`, {USERS} users at once"), &together);
    for frame in frames {
        frame.stop();
    }
}

/// Creations per second while all users create partitions on the same frame.
fn at_once(users: &mut [UserShell], round: usize, environment: &Arc<dyn Environment>) -> f64 {
    let gate = Barrier::new(users.len() + 1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = users
            .iter_mut()
            .enumerate()
            .map(|(user, shell)| {
                let gate = &gate;
                scope.spawn(move || {
                    gate.wait();
                    for number in 0..EACH {
                        shell.done(&create(&format!("r{round}u{user}n{number}")));
                    }
                })
            })
            .collect();
        gate.wait();
        let begin = environment.monotonic();
        for worker in workers {
            worker.join().expect("a user");
        }
        (USERS * EACH) as f64 / environment.monotonic().since(begin).as_secs_f64()
    })
}
