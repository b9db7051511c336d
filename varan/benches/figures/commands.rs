//! Listings through the command layer in this process, as a user's script runs them, with sites of three sizes side by
//! side.

use std::sync::Arc;

use varan::frame::Layout;
use varan::site::start_frames;
use varan_contract::system::SystemLink;
use varan_environment::Environment;
use varan_system::SystemHandle;

use crate::measured::{self, FRAMES, Scratch, UserShell, frame_name};
use crate::statistics::{Series, Spread, count, head, number, row, slower};
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
    pub same: Series,
    pub frame: Series,
}

/// A command about one partition; another partition with each `step`.
pub fn one_partition(partitions: usize, step: usize) -> String {
    // 7,919 is a prime above the number of partitions of a frame: steps visit all of them in no order of memory.
    let partition = 1 + step * 7_919 % (partitions / FRAMES).max(1);
    let frame = frame_name(step % FRAMES);
    format!("lssyscfg -r lpar -m {frame} --filter lpar_names=p{partition} -F name,state")
}

/// A command about the first partition of a frame; another frame with each `step`. A site of any size has these ten, so
/// the processor's caches hold as much of one as of the other.
pub fn same_partition(step: usize) -> String {
    format!("lssyscfg -r lpar -m {} --filter lpar_names=p1 -F name,state", frame_name(step % FRAMES))
}

/// A command about one frame; another frame with each `step`.
pub fn one_frame(step: usize) -> String {
    format!("lssyscfg -r lpar -m {} -F name,state", frame_name(step % FRAMES))
}

/// What a shell does without a command of the console: a line as long, with as many words.
pub const NOTHING: &str = "echo ---- -r lpar -m frame-01 --filter lpar_names=p1 -F name,state";

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
            site.cases.same.push((0..ONE_EACH).map(|step| run(&same_partition(step))).collect());
            site.cases.frame.push((0..FRAME_EACH).map(|step| run(&one_frame(step))).collect());
        }
        sites.sort_by_key(|site| site.partitions);
    }
    let cases: Vec<(usize, &Cases)> = sites.iter().map(|site| (site.partitions, &site.cases)).collect();
    print("Through the command layer, in process", &cases);
    for frame in sites.iter().flat_map(|site| &site.frames) {
        frame.stop();
    }
}

/// Prints the cases of sites, smallest first.
pub fn print(title: &str, sites: &[(usize, &Cases)]) {
    let columns = [
        "what",
        "partitions in the site",
        "commands/s",
        "p50 µs",
        "p99 µs",
        "samples",
        "time of one, compared",
    ];
    head(title, &columns);
    let base = sites[0].1;
    for (partitions, cases) in sites {
        let compared = format!("{} times that with 10 partitions", slower(&cases.one, &base.one).show());
        line("one partition, each in turn", *partitions, &cases.one, compared);
    }
    for (partitions, cases) in sites {
        let compared = format!("{} times that with 10 partitions", slower(&cases.same, &base.same).show());
        line("one partition, the same ten in turn", *partitions, &cases.same, compared);
    }
    for (partitions, cases) in sites {
        let lines = partitions / FRAMES;
        let compared = format!("{} µs a line", number(cases.frame.quantile(0.5) / lines as f64));
        line(&format!("one frame of {} partitions", count(lines)), *partitions, &cases.frame, compared);
    }
    for (partitions, cases) in sites {
        let compared =
            format!("one partition takes {} times that", slower(&cases.one, &cases.nothing).show());
        line("`echo`, for comparison", *partitions, &cases.nothing, compared);
    }
}

/// Prints one case of a site.
pub fn line(what: &str, partitions: usize, series: &Series, compared: String) {
    row(&[
        what.to_owned(),
        count(partitions),
        Spread::of(series.rates()).show(),
        number(series.quantile(0.5)),
        number(series.quantile(0.99)),
        count(series.samples()),
        compared,
    ]);
}
