//! What a frame between two partitions of one machine costs: nanoseconds, processor cycles, allocations, with 10 and 1,000
//! partitions on the virtual switch. `cargo bench -p varan-fabric`.
//!
//! "handed on" moves one buffer from partition to partition; "copied in" also copies each frame once, as its sender does.
//! Cycles are time times the clock rate that `/proc/cpuinfo` states. Each row is the median of several rounds, with the
//! quickest and the slowest.

#![allow(missing_docs)]

#[allow(dead_code, reason = "the peak is of no interest here")]
#[path = "../../../varan/tests/support/allocations.rs"]
mod allocations;
#[path = "../tests/support/mod.rs"]
mod support;

use varan_environment::{Environment, RealEnvironment};
use varan_ethernet::Frame;
use varan_fabric::{Place, PortNumber};

use support::{Machine, frame, station};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const ROUNDS: usize = 9;
const FRAMES: u32 = 500_000;

/// Clock rate in GHz as the host states it; 0 where it does not.
fn rate() -> f64 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("cpu MHz")).unwrap_or_default();
    line.split(':').nth(1).and_then(|rate| rate.trim().parse::<f64>().ok()).unwrap_or(0.0) / 1_000.0
}

/// Each partition sends to another one, in turns over all of them.
fn pair(turn: u32, guests: u32) -> (u32, u32) {
    let from = 1 + turn.wrapping_mul(7) % guests;
    (from, 1 + (from + guests / 2) % guests)
}

fn main() {
    let environment = RealEnvironment::new();
    println!(
        "{:<12}{:>7}{:>12}{:>10}{:>18}{:>10}{:>14}",
        "way", "bytes", "partitions", "ns/frame", "(spread)", "cycles", "allocations"
    );
    for length in [64, 1_500] {
        for copied in [false, true] {
            for guests in [10, 1_000] {
                measure(&environment, length, copied, guests);
            }
        }
    }
}

fn measure(environment: &RealEnvironment, length: usize, copied: bool, guests: u32) {
    let mut machine = Machine::new(guests);
    let mut templates: Vec<Frame> = (0..guests)
        .map(|turn| {
            let (from, to) = pair(turn, guests);
            frame(station(to), station(from), length)
        })
        .collect();
    let mut times = Vec::new();
    let mut allocations = 0;
    for round in 0..=ROUNDS {
        let start = environment.monotonic();
        let ((), counted) = allocations::counted(|| {
            for turn in 0..FRAMES {
                let turn = turn % guests;
                let (from, _) = pair(turn, guests);
                let template = &mut templates[turn as usize];
                let sent = if copied { machine.out.pool.copy(template) } else { std::mem::take(template) };
                let (fabric, out) = (&mut machine.fabric, &mut machine.out);
                fabric.receive(machine.now, PortNumber(from), sent, out);
                let Some((_, got)) = out.frames.pop() else { panic!("not delivered") };
                if copied {
                    out.pool.give(got);
                } else {
                    templates[turn as usize] = got;
                }
            }
        });
        let time = environment.monotonic().since(start);
        if round > 0 {
            times.push(time.as_secs_f64() * 1e9 / f64::from(FRAMES));
            allocations += counted.allocations;
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!(
        "{:<12}{length:>7}{guests:>12}{median:>10.1}{:>18}{:>10.0}{:>14}",
        if copied { "copied in" } else { "handed on" },
        format!("{:.1}-{:.1}", times[0], times[times.len() - 1]),
        median * rate(),
        allocations,
    );
}
