//! Start of the program: the first, which creates the partitions, and a later one, which finds them.

use std::sync::Arc;
use std::time::Duration;

use varan_environment::Environment;

use crate::measured::{self, Scratch};
use crate::statistics::{Spread, count, head, row};
use crate::up::Program;
use crate::{SIZES, scaled};

const ROUNDS: usize = 7;

/// From the start of the process to `ready:`, and to answers of all frames.
#[derive(Clone, Copy)]
struct Start {
    ready: Duration,
    answered: Duration,
}

#[derive(Default)]
struct Starts {
    first: Vec<Start>,
    second: Vec<Start>,
}

fn start(site: &std::path::Path, data: &std::path::Path, environment: &Arc<dyn Environment>) -> Start {
    let begin = environment.monotonic();
    let program = Program::start(site, data);
    let ready = environment.monotonic().since(begin);
    program.wait_until_all_frames_answer();
    Start { ready, answered: environment.monotonic().since(begin) }
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-start");
    let mut results: Vec<Starts> = SIZES.iter().map(|_| Starts::default()).collect();
    for _ in 0..scaled(ROUNDS) {
        for (partitions, starts) in SIZES.iter().zip(&mut results) {
            let site = scratch.path().join(format!("{partitions}.toml"));
            std::fs::write(&site, measured::site_text(*partitions, 1, None)).expect("site file");
            let data = scratch.path().join("data");
            starts.first.push(start(&site, &data, environment));
            starts.second.push(start(&site, &data, environment));
            std::fs::remove_dir_all(&data).expect("data directory");
        }
    }
    head(
        "Start-up",
        &["start", "partitions in the site", "`ready:` after s", "all frames answered after s", "rounds"],
    );
    for (what, later) in [("first, creates the partitions", false), ("second", true)] {
        for (partitions, starts) in SIZES.iter().zip(&results) {
            let starts = if later { &starts.second } else { &starts.first };
            row(&[
                what.to_owned(),
                count(*partitions),
                Spread::of(starts.iter().map(|start| start.ready.as_secs_f64())).show(),
                Spread::of(starts.iter().map(|start| start.answered.as_secs_f64())).show(),
                starts.len().to_string(),
            ]);
        }
    }
}
