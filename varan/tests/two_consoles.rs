//! Two consoles against each other: mixed commands on the same systems, and a checker that no change is lost or doubled.
//!
//! `varan/benches/figures/two_consoles.rs` does the same for a minute on a large site.

#![allow(missing_docs)]

#[path = "support/measured.rs"]
mod measured;
#[path = "support/mixed.rs"]
mod mixed;
mod support;

use measured::{FRAMES, SMALL, frame_name, site_text_with};
use mixed::{Arena, Lane};
use support::{Link, TestSite};

const LANES: u64 = 4;
const TURNS: usize = 120;
/// Systems that the commands are about.
const SYSTEMS: usize = 2;

fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let given = std::env::var("VARAN_SEED").ok().map(|text| text.parse().expect("VARAN_SEED is a number"));
    given.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish() >> 16)
}

fn names(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|number| format!("p{number}")).collect()
}

#[test]
fn no_change_is_lost_or_doubled() {
    for link in [Link::Direct, Link::Encoded, Link::Troubled(7)] {
        let seed = seed();
        println!("{link:?}: again with VARAN_SEED={seed}");
        let mut counts = [0; FRAMES];
        counts[..SYSTEMS].fill(6);
        let consoles = ["myhmc", "myhmc2"];
        let text = site_text_with(&consoles, counts, SMALL, 20_000, None);
        let mut site = TestSite::open_text(&text, &format!("two-consoles-{link:?}"), link);
        let systems: Vec<String> = (0..SYSTEMS).map(frame_name).collect();
        let mut arena = Arena::new(&site.consoles, &site.layout, systems.clone(), names(2..=4), names(5..=6));
        arena.prepare();
        for system in &systems {
            for name in &arena.running {
                site.wait_partition(system, name, "Running", true).expect("running");
            }
        }
        std::thread::scope(|scope| {
            for number in 0..LANES {
                let mut lane = Lane::new(&arena, number, seed);
                scope.spawn(move || (0..TURNS).for_each(|_| lane.turn()));
            }
        });
        mixed::check(&arena);
        // What was acknowledged to either console is there after a loss of power.
        arena.consoles.clear();
        site.power_loss();
        arena.consoles.clone_from(&site.consoles);
        mixed::check(&arena);
        println!("{link:?}: {} commands, {:?}", arena.commands(), arena.counts());
    }
}
