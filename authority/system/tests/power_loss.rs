//! A managed system whose disk loses its power: at any operation, what was acknowledged is there when it comes back, and
//! what was in flight is wholly there or not at all.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use support::*;
use varan_contract::engine::*;
use varan_environment::split_mix;
use varan_model::partition::Partition;
use varan_model::system::SystemSettings;
use varan_power_loss::Volume;
use varan_system::store::Store;

/// All that a database holds.
#[derive(Debug, PartialEq)]
struct Recorded {
    settings: Option<SystemSettings>,
    partitions: Vec<Partition>,
    requests: BTreeSet<u128>,
}

fn recorded(directory: &Path) -> Result<Recorded, String> {
    let store =
        Store::open(directory, &hardware().identity.to_string()).map_err(|error| error.to_string())?;
    let contents = store.load().map_err(|error| error.to_string())?;
    Ok(Recorded {
        settings: contents.settings,
        partitions: contents.partitions,
        requests: contents.requests.into_iter().map(|id| id.0).collect(),
    })
}

/// One thing that happens to a system, with one transaction at most.
fn happen(bench: &mut Bench, draw: u64) {
    let name = format!("p{}", draw >> 4 & 7);
    let exists = bench.authority.world().snapshot.find(&named(&name)).is_ok();
    let event = match draw & 15 {
        11 => EngineEventKind::State(GuestState::Running),
        12 => EngineEventKind::OperatingSystem(report(&name)),
        13 => {
            bench.environment.advance(Duration::from_secs(600));
            return bench.step();
        }
        14 => EngineEventKind::State(GuestState::Stopped { restart: draw & 512 == 0 }),
        15 => match bench.engine.calls.lock().expect("lock").last() {
            Some(Call::Memory(_, megabytes, token)) => {
                EngineEventKind::MemorySet { token: *token, megabytes: *megabytes, details: Vec::new() }
            }
            _ => return,
        },
        _ => {
            drop(bench.send(random_request(draw >> 8, &name)));
            return bench.step();
        }
    };
    if exists {
        bench.event(&name, event);
    }
}

/// A system on a volume that loses its power, and its twin, which does the same one thing later and keeps its power.
struct Pair {
    volume: Volume,
    system: Option<Bench>,
    twin: Bench,
    _twins_volume: Volume,
}

/// Opens both. Returns what the database must then hold if the power went meanwhile.
fn open_pair(
    directory: &Path,
    twins: &Path,
    volume: Volume,
    seed: u64,
    cut: u64,
) -> Result<(Pair, Recorded), String> {
    let twins_volume = volume.copy(twins, seed);
    let before = recorded(twins)?;
    volume.cut_power_after(cut);
    let system = Bench::try_open(directory, seed, &[]).ok();
    let twin = Bench::open(twins, seed);
    Ok((Pair { volume, system, twin, _twins_volume: twins_volume }, before))
}

/// Runs to the loss of power and checks what is left. Returns the volume for the next run.
fn run(
    directory: &Path,
    twins: &Path,
    volume: Volume,
    state: &mut u64,
    longest: u64,
) -> Result<Volume, String> {
    let cut = split_mix(state) % longest;
    let (mut pair, before) = open_pair(directory, twins, volume, split_mix(state), cut)?;
    let mut allowed = vec![before, recorded(twins)?];
    let steps = split_mix(state) % longest;
    if pair.volume.is_powered() {
        allowed.remove(0);
        let system = pair.system.as_mut().ok_or("the system cannot be opened")?;
        for _ in 0..steps {
            let draw = split_mix(state);
            happen(system, draw);
            if !pair.volume.is_powered() {
                allowed = vec![recorded(twins)?];
                happen(&mut pair.twin, draw);
                allowed.push(recorded(twins)?);
                break;
            }
            happen(&mut pair.twin, draw);
        }
        if pair.volume.is_powered() {
            allowed = vec![recorded(twins)?];
        }
    }
    // If there still is power, it may go while the database is closed.
    drop(pair.system);
    pair.volume.restore_power();
    let check = || -> rusqlite::Result<String> {
        let connection = rusqlite::Connection::open(directory.join("nvram.db"))?;
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    let checked = check().map_err(|error| format!("not readable: {error}"))?;
    if checked != "ok" {
        return Err(format!("not intact: {checked}"));
    }
    let left = recorded(directory)?;
    if !allowed.contains(&left) {
        return Err(format!("left {left:#?}\nallowed {allowed:#?}"));
    }
    Ok(pair.volume)
}

fn runs(name: &str, seed: u64, losses: usize, longest: u64, lie: bool) -> Result<(), String> {
    let (directory, twins) = (directory(&format!("{name}{seed}")), directory(&format!("{name}{seed}-twin")));
    let mut volume = Volume::new(&directory, seed);
    volume.ignore_syncs(lie);
    let mut state = seed;
    for loss in 0..losses {
        volume = run(&directory, &twins, volume, &mut state, longest)
            .map_err(|error| format!("seed {seed}, loss {loss}: {error}"))?;
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_power_losses() {
    for seed in 0..40 {
        runs("losses", seed, 6, 150, false).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Long enough that the log is copied into the database several times between two losses.
#[test]
fn what_was_acknowledged_survives_power_losses_among_checkpoints() {
    for seed in 100..104 {
        runs("checkpoints", seed, 3, 6_000, false).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Each operation of opening a new system, one after another.
#[test]
fn a_new_system_survives_a_power_loss_at_every_operation() {
    let directory = directory("new");
    let mut operation = 0;
    loop {
        let volume = Volume::new(&directory, operation);
        volume.cut_power_after(operation);
        drop(Bench::try_open(&directory, 1, &[]).ok());
        let finished = volume.is_powered();
        volume.restore_power();
        let left = recorded(&directory).unwrap_or_else(|error| panic!("operation {operation}: {error}"));
        assert!(left.partitions.is_empty(), "operation {operation}");
        drop(Bench::open(&directory, 1));
        if finished {
            break;
        }
        operation += 1;
    }
    assert!(operation > 10, "{operation}");
}

/// The check itself: on a volume whose syncs do nothing, it finds what is lost.
#[test]
fn a_volume_that_lies_about_syncs_is_noticed() {
    let noticed = (0..20).filter(|&seed| runs("lie", seed, 2, 150, true).is_err()).count();
    assert!(noticed > 5, "{noticed} of 20");
}
