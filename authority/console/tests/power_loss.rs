//! A console whose disk loses its power: at any operation, what was acknowledged is there when it comes back, and what
//! was in flight is wholly there or not at all.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use varan_console::*;
use varan_environment::{Environment, Monotonic, WallClock, split_mix};
use varan_model::attributes::Release;
use varan_power_loss::Volume;

/// A world whose clock stands.
#[derive(Default)]
struct Still(AtomicU64);

impl Environment for Still {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::ZERO)
    }
    fn wall_clock(&self) -> WallClock {
        WallClock(1_790_000_000_000_000_000)
    }
    fn random(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

fn user(name: &str, description: &str) -> UserDescription {
    UserDescription {
        name: name.to_owned(),
        // Only keys let in: hashing passwords would take most of the time.
        password: None,
        task_role: "hmcsuperadmin".to_owned(),
        resource_role: "ALL:".to_owned(),
        description: description.to_owned(),
        authorized_keys: vec![KEYS[0].to_owned()],
    }
}

const KEYS: [&str; 2] =
    ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs one", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqt two"];

fn open(directory: &Path) -> Result<Console, ConsoleError> {
    let description = ConsoleDescription {
        name: "myhmc".to_owned(),
        hostname: "myhmc".to_owned(),
        domain: String::new(),
        address: String::new(),
        release_text: "V8R8.6.0".to_owned(),
        release: Release(8, 8, 6, 0),
        base_version: "V8R8.6.0".to_owned(),
        service_pack: "0".to_owned(),
        build_level: "20161101.1".to_owned(),
        bios_level: "1.0".to_owned(),
        memory_bytes: 0,
        fixes: Vec::new(),
        identity: "7042-CR7*1234567".parse().expect("identity"),
        users: vec![user("hscroot", "first"), user("hscpe", "second")],
    };
    Console::open(directory, description, Arc::new(Still::default()), Vec::new())
}

/// All that a console has recorded, as text.
fn recorded(console: &Console) -> Result<Vec<String>, ConsoleError> {
    let users = console.users();
    let mut lines: Vec<String> = users.iter().map(|user| format!("{user:?}")).collect();
    lines.extend(console.task_roles().iter().map(|role| format!("{role:?}")));
    lines.extend(console.audit(u32::MAX)?.iter().map(|entry| format!("{entry:?}")));
    Ok(lines)
}

/// One thing that happens to a console, durable when this returns.
fn happen(console: &Console, draw: u64) {
    let name = format!("u{}", draw >> 4 & 3);
    let role = format!("r{}", draw >> 6 & 3);
    let tasks = |text: &str| parse_tasks(text).expect("tasks");
    let text = format!("{:x}", draw >> 8).repeat(1 + (draw >> 8 & 63) as usize);
    match draw % 9 {
        0 | 1 => drop(console.put_user(&user(&name, &text))),
        2 => drop(console.remove_user(&name)),
        3 => {
            let change = UserChange { description: Some(text), ..UserChange::default() };
            drop(console.change_user("hscroot", &name, &change));
        }
        4 => drop(console.create_task_role(&role, "hmcoperator", tasks("cec:ListCECProperty"))),
        5 => drop(console.change_task_role(&role, tasks("lpar:ActivateLPAR"))),
        6 => drop(console.remove_task_role(&role)),
        7 => drop(console.add_key(&name, KEYS[1])),
        _ => {
            console.record("hscroot", "peer", &text, (draw >> 8) as u8);
            // Commands do not wait for their record; reading does.
            drop(console.audit(1));
        }
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}

/// Runs to the loss of power and checks what is left. Returns the volume for the next run.
fn run(directory: &Path, twins: &Path, volume: Volume, state: &mut u64) -> Result<Volume, String> {
    let text = |error: ConsoleError| error.to_string();
    let _twins_volume = volume.copy(twins, 0);
    volume.cut_power_after(split_mix(state) % 150);
    // A twin does the same one thing later and keeps its power.
    let console = open(directory);
    let twin = open(twins).map_err(text)?;
    let mut allowed = vec![recorded(&twin).map_err(text)?];
    let steps = split_mix(state) % 150;
    if let Ok(console) = &console {
        for _ in 0..steps {
            if !volume.is_powered() {
                break;
            }
            let draw = split_mix(state);
            happen(console, draw);
            allowed.clear();
            if !volume.is_powered() {
                allowed.push(recorded(&twin).map_err(text)?);
            }
            happen(&twin, draw);
        }
        allowed.push(recorded(&twin).map_err(text)?);
    }
    // If there still is power, it may go while the database is closed.
    drop(console);
    volume.restore_power();
    let check = || -> rusqlite::Result<String> {
        let connection = rusqlite::Connection::open(directory.join("console.db"))?;
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    let checked = check().map_err(|error| format!("not readable: {error}"))?;
    if checked != "ok" {
        return Err(format!("not intact: {checked}"));
    }
    let left = recorded(&open(directory).map_err(text)?).map_err(text)?;
    if !allowed.contains(&left) {
        return Err(format!("left {left:#?}\nallowed {allowed:#?}"));
    }
    Ok(volume)
}

fn runs(name: &str, seed: u64, lie: bool) -> Result<(), String> {
    let (directory, twins) = (directory(&format!("{name}{seed}")), directory(&format!("{name}{seed}-twin")));
    let mut volume = Volume::new(&directory, seed);
    volume.ignore_syncs(lie);
    let mut state = seed;
    for loss in 0..6 {
        volume = run(&directory, &twins, volume, &mut state)
            .map_err(|error| format!("seed {seed}, loss {loss}: {error}"))?;
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_power_losses() {
    for seed in 0..20 {
        runs("losses", seed, false).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The check itself: on a volume whose syncs do nothing, it finds what is lost.
#[test]
fn a_volume_that_lies_about_syncs_is_noticed() {
    let noticed = (0..20).filter(|&seed| runs("lie", seed, true).is_err()).count();
    assert!(noticed > 5, "{noticed} of 20");
}
