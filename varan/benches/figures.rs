//! The figures of `docs/figures.md`. Nothing here asserts a duration; it prints what this machine does.
//!
//! ```text
//! cargo bench --profile dev -p varan --bench figures                       all of them
//! cargo bench --profile dev -p varan --bench figures -- commands ssh       some: commands adapters mappings ssh rest start memory writes consoles
//! cargo bench --profile dev -p varan --bench figures -- quick              few rounds, to see that it works
//! ```
//!
//! The profile is the one that `./run` builds with. What is compared is measured in turns, so that a change of the
//! machine's speed meets both sides.

use std::sync::Arc;
use std::time::Duration;

use varan_environment::{Environment, RealEnvironment};

#[path = "figures/adapters.rs"]
mod adapters;
#[path = "figures/commands.rs"]
mod commands;
#[path = "figures/mappings.rs"]
mod mappings;
#[path = "../tests/support/measured.rs"]
mod measured;
#[path = "figures/memory.rs"]
mod memory;
#[path = "../tests/support/mixed.rs"]
mod mixed;
#[path = "figures/rest.rs"]
mod rest;
#[path = "figures/secure_shell.rs"]
mod secure_shell;
#[path = "../tests/support/served.rs"]
mod served;
#[path = "figures/start.rs"]
mod start;
#[path = "figures/statistics.rs"]
mod statistics;
#[path = "figures/two_consoles.rs"]
mod two_consoles;
#[path = "figures/up.rs"]
mod up;
#[path = "figures/writes.rs"]
mod writes;

/// Partitions in a site, spread over ten frames.
const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// Measures one part and prints it.
type Measure = fn(&Arc<dyn Environment>);

/// A number of rounds, or few where only the way is tried.
fn scaled(rounds: usize) -> usize {
    if std::env::args().any(|argument| argument == "quick") { 2 } else { rounds }
}

/// How long something takes.
fn timed<T>(environment: &Arc<dyn Environment>, action: impl FnOnce() -> T) -> Duration {
    let begin = environment.monotonic();
    let _ = std::hint::black_box(action());
    environment.monotonic().since(begin)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    if let [role, partitions, directory] = arguments.as_slice()
        && role == memory::CHILD
    {
        return memory::child(partitions.parse().expect("a number"), directory.as_ref(), &environment);
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("SKIP: figures: only `cargo bench` takes them");
        return;
    }
    let parts: [(&str, Measure); 9] = [
        ("commands", commands::measure),
        ("adapters", adapters::measure),
        ("mappings", mappings::measure),
        ("ssh", secure_shell::measure),
        ("rest", rest::measure),
        ("start", start::measure),
        ("memory", memory::measure),
        ("writes", writes::measure),
        ("consoles", two_consoles::measure),
    ];
    let all = !parts.iter().any(|(name, _)| arguments.iter().any(|argument| argument == name));
    for (name, measure) in parts {
        if all || arguments.iter().any(|argument| argument == name) {
            measure(&environment);
        }
    }
}
