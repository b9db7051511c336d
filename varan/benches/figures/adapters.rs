//! Virtual Ethernet adapters of one frame, in a site where only that frame has partitions and in one where all ten have.

use std::sync::Arc;

use varan::frame::Layout;
use varan::site::start_frames;
use varan_contract::system::{RequestId, Selector, SystemLink, SystemRequest};
use varan_environment::Environment;
use varan_model::ids::PartitionId;
use varan_system::SystemHandle;

use crate::commands;
use crate::measured::{self, FOUR_ADAPTERS, FRAMES, PROFILE, Scratch, UserShell, frame_name};
use crate::statistics::{Series, count, head, number, slower};
use crate::{scaled, timed};

const ROUNDS: usize = 15;
const EACH: usize = 20;
const GUEST_MEMORY_BYTES: u64 = 1 << 30;
/// Partitions of a frame that has some.
const ON_FRAME: usize = 1_000;
/// Adapters of each.
const ADAPTERS: usize = 4;
/// Profiles that are applied at the same time, so that they share their durable writes.
const AT_ONCE: usize = 64;

struct Opened {
    partitions: usize,
    frames: Vec<Arc<SystemHandle>>,
    shell: UserShell,
    series: Series,
}

/// Makes every partition's profile its current configuration: only that has adapters.
fn apply(frame: &Arc<SystemHandle>, partitions: usize) {
    std::thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            scope.spawn(move || {
                for number in (lane..partitions).step_by(AT_ONCE) {
                    let id = PartitionId(u16::try_from(number + 1).expect("a number"));
                    let request = SystemRequest::ApplyProfile {
                        partition: Selector::Id(id),
                        profile: PROFILE.to_owned(),
                    };
                    frame.call(RequestId(number as u128 + 1), request).expect("applied");
                }
            });
        }
    });
}

fn listing() -> String {
    format!("lshwres -r virtualio --rsubtype eth -m {} --level lpar", frame_name(0))
}

impl Opened {
    fn start(counts: [usize; FRAMES], scratch: &Scratch, environment: &Arc<dyn Environment>) -> Self {
        let partitions = counts.iter().sum();
        let site = measured::parse(&measured::site_text_of(counts, FOUR_ADAPTERS, 1, None));
        let layout = Layout::new(&scratch.path().join(format!("{partitions}")));
        let frames = start_frames(&site, &layout, environment, GUEST_MEMORY_BYTES).expect("frames");
        std::thread::scope(|scope| {
            for (frame, partitions) in frames.iter().zip(counts) {
                scope.spawn(move || apply(frame, partitions));
            }
        });
        let links: Vec<Arc<dyn SystemLink>> =
            frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
        let console = measured::console(&site, &layout, environment, &links);
        let mut shell = UserShell::open(&console, &layout);
        assert_eq!(shell.done(&listing()).lines().count(), ADAPTERS * ON_FRAME);
        Self { partitions, frames, shell, series: Series::default() }
    }
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-adapters");
    let mut alone = [0; FRAMES];
    alone[0] = ON_FRAME;
    let mut sites: Vec<Opened> =
        [alone, [ON_FRAME; FRAMES]].map(|counts| Opened::start(counts, &scratch, environment)).into();
    for _ in 0..scaled(ROUNDS) {
        sites.rotate_left(1);
        for site in &mut sites {
            let shell = &mut site.shell;
            let mut run = || timed(environment, || shell.done(&listing()));
            site.series.push((0..EACH).map(|_| run()).collect());
        }
    }
    sites.sort_by_key(|site| site.partitions);
    let columns = [
        "what",
        "partitions in the site",
        "commands/s",
        "p50 µs",
        "p99 µs",
        "samples",
        "time of one, compared",
    ];
    head("Virtual Ethernet adapters of one frame, through the command layer, in process", &columns);
    let base = &sites[0].series;
    for site in &sites {
        let lines = ADAPTERS * ON_FRAME;
        let compared = format!(
            "{} µs a line; {} times that of the frame alone",
            number(site.series.quantile(0.5) / lines as f64),
            slower(&site.series, base).show()
        );
        let what = format!("{} adapters of {} partitions", count(lines), count(ON_FRAME));
        commands::line(&what, site.partitions, &site.series, compared);
    }
    for frame in sites.iter().flat_map(|site| &site.frames) {
        frame.stop();
    }
}
