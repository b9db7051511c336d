//! Listings through the command layer in this process, as a user's script runs them, with sites of three sizes side by
//! side.

use std::sync::Arc;

use varan::frame::Layout;
use varan::site::start_frames;
use varan_contract::system::SystemLink;
use varan_environment::Environment;
use varan_system::SystemHandle;

use crate::measured::{self, FRAMES, Scratch, UserShell, frame_name};
use crate::statistics::{Series, Spread, head, number, row, slower};
use crate::{SIZES, scaled, timed};

const ROUNDS: usize = 15;
const ONE_EACH: usize = 400;
const FRAME_EACH: usize = 40;
const GUEST_MEMORY_BYTES: u64 = 1 << 30;

/// What is measured, in one site.
#[derive(Default)]
pub struct Cases {
    pub nothing: Series,
    pub one: Series,
    pub frame: Series,
}

/// A command about one partition; another partition with each `step`.
pub fn one_partition(partitions: usize, step: usize) -> String {
    // 7,919 is a prime above the number of partitions of a frame: steps visit all of them in no order of memory.
    let partition = 1 + step * 7_919 % (partitions / FRAMES).max(1);
    let frame = frame_name(step % FRAMES);
    format!("lssyscfg -r lpar -m {frame} --filter lpar_names=p{partition} -F name,state")
}

/// A command about one frame; another frame with each `step`.
pub fn one_frame(step: usize) -> String {
    format!("lssyscfg -r lpar -m {} -F name,state", frame_name(step % FRAMES))
}

/// What a shell does without a command of the console.
pub const NOTHING: &str = "echo p1,Running";

struct Opened {
    partitions: usize,
    frames: Vec<Arc<SystemHandle>>,
    shell: UserShell,
    cases: Cases,
}

impl Opened {
    fn start(partitions: usize, scratch: &Scratch, environment: &Arc<dyn Environment>) -> Self {
        let site = measured::parse(&measured::site_text(partitions, 1, None));
        let layout = Layout::new(&scratch.path().join(partitions.to_string()));
        let frames = start_frames(&site, &layout, environment, GUEST_MEMORY_BYTES).expect("frames");
        let links: Vec<Arc<dyn SystemLink>> =
            frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
        let console = measured::console(&site, &layout, environment, &links);
        let mut shell = UserShell::open(&console, &layout);
        for step in 0..FRAMES {
            assert_eq!(shell.done(&one_frame(step)).lines().count(), partitions / FRAMES);
            assert_eq!(shell.done(&one_partition(partitions, step)).lines().count(), 1);
        }
        Self { partitions, frames, shell, cases: Cases::default() }
    }
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-commands");
    let mut sites: Vec<Opened> =
        SIZES.iter().map(|size| Opened::start(*size, &scratch, environment)).collect();
    for round in 0..scaled(ROUNDS) {
        // Each size goes first as often as the others.
        let first = round % sites.len();
        sites.rotate_left(first);
        for site in &mut sites {
            let (shell, partitions) = (&mut site.shell, site.partitions);
            let mut run = |command: &str| timed(environment, || shell.done(command));
            site.cases.nothing.push((0..ONE_EACH).map(|_| run(NOTHING)).collect());
            site.cases.one.push((0..ONE_EACH).map(|step| run(&one_partition(partitions, step))).collect());
            site.cases.frame.push((0..FRAME_EACH).map(|step| run(&one_frame(step))).collect());
        }
        sites.sort_by_key(|site| site.partitions);
    }
    print(
        "Through the command layer, in process",
        sites.iter().map(|site| (site.partitions, &site.cases)).collect(),
    );
    for frame in sites.iter().flat_map(|site| &site.frames) {
        frame.stop();
    }
}

/// Prints the cases of sites, smallest first.
pub fn print(title: &str, sites: Vec<(usize, &Cases)>) {
    let columns = [
        "what",
        "partitions in the site",
        "commands/s",
        "p50 µs",
        "p99 µs",
        "samples",
        "time, as a multiple",
    ];
    head(title, &columns);
    let base = sites[0].1;
    let line = |what: &str, partitions: usize, series: &Series, multiple: String| {
        row(&[
            what.to_owned(),
            number(partitions as f64),
            Spread::of(series.rates()).show(),
            number(series.quantile(0.5)),
            number(series.quantile(0.99)),
            series.samples().to_string(),
            multiple,
        ]);
    };
    for (partitions, cases) in &sites {
        let multiple = format!("{} of 10 partitions", slower(&cases.one, &base.one).show());
        line("one partition", *partitions, &cases.one, multiple);
    }
    for (partitions, cases) in &sites {
        let rows = partitions / FRAMES;
        let each = 1e6 / Spread::of(cases.frame.rates()).median / rows as f64;
        line(
            &format!("one frame, {rows} lines"),
            *partitions,
            &cases.frame,
            format!("{} µs a line", number(each)),
        );
    }
    for (partitions, cases) in &sites {
        let multiple = format!("one partition is {} of it", slower(&cases.one, &cases.nothing).show());
        line("`echo`", *partitions, &cases.nothing, multiple);
    }
}
