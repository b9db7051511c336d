//! Two consoles that run mixed commands for a minute on a site of 1,000 partitions, with the checker of the tests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use varan::frame::Layout;
use varan::site::{make_home_directories, open_console, start_frames};
use varan_contract::system::SystemLink;
use varan_environment::Environment;

use crate::measured::{self, FRAMES, SMALL, Scratch, UserShell, frame_name, site_text_with};
use crate::mixed::{self, Arena, Lane};
use crate::statistics::{count, head, number};

const GUEST_MEMORY_BYTES: u64 = 1 << 30;
const PARTITIONS: usize = 1_000;
/// Threads that give commands, each now on one console, now on the other.
const LANES: u64 = 4;
/// Partitions of each system that every lane changes while they are off.
const OFF: std::ops::RangeInclusive<usize> = 2..=9;
/// And while they run.
const RUNNING: std::ops::RangeInclusive<usize> = 10..=11;
const SEED: u64 = 20_261;

fn minute() -> Duration {
    Duration::from_secs(if std::env::args().any(|argument| argument == "quick") { 2 } else { 60 })
}

fn names(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|number| format!("p{number}")).collect()
}

/// Measures and prints. A lost or doubled change ends the program.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-two-consoles");
    let text = site_text_with(&["myhmc", "myhmc2"], [PARTITIONS / FRAMES; FRAMES], SMALL, 600, None);
    let site = measured::parse(&text);
    let layout = Layout::new(scratch.path());
    let frames = start_frames(&site, &layout, environment, GUEST_MEMORY_BYTES).expect("frames");
    let links: Vec<Arc<dyn SystemLink>> =
        frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
    let open = |described| {
        make_home_directories(described, &layout).expect("homes");
        open_console(&site, described, &layout, environment, &links).expect("console")
    };
    let consoles: Vec<_> = site.consoles.iter().map(open).collect();
    let systems: Vec<String> = (0..FRAMES).map(frame_name).collect();
    let arena = Arena::new(&consoles, &layout, systems, names(OFF), names(RUNNING));
    arena.prepare();
    let mut shell = UserShell::open(&consoles[0], &layout);
    for (system, name) in
        arena.systems.iter().flat_map(|system| arena.running.iter().map(move |one| (system, one)))
    {
        let command = format!("lssyscfg -r lpar -m {system} --filter lpar_names={name} -F rmc_state");
        while shell.done(&command) != "active\n" {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let begin = environment.monotonic();
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let mut lane = Lane::new(&arena, lane, SEED);
            scope.spawn(move || {
                while environment.monotonic().since(begin) < minute() {
                    lane.turn();
                }
            });
        }
    });
    let elapsed = environment.monotonic().since(begin).as_secs_f64();
    mixed::check(&arena);
    let columns = [
        "partitions",
        "lanes",
        "seconds",
        "commands",
        "commands/s",
        "changes",
        "refused",
        "locked",
        "readings",
    ];
    head("Two consoles, mixed commands, checked: no change lost or doubled", &columns);
    let counts = arena.counts();
    let [changes, refusals, locked, readings] =
        [&counts.changes, &counts.refusals, &counts.locked, &counts.readings]
            .map(|one| count(usize::try_from(one.load(Ordering::Relaxed)).unwrap_or(usize::MAX)));
    println!(
        "| {} | {LANES} | {} | {} | {} | {changes} | {refusals} | {locked} | {readings} |",
        count(PARTITIONS),
        number(elapsed),
        count(usize::try_from(arena.commands()).unwrap_or(usize::MAX)),
        number(arena.commands() as f64 / elapsed),
    );
    for frame in &frames {
        frame.stop();
    }
}
