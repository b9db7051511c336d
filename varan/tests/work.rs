//! How much work an answer is, by counting: requests to frames, and partitions that frames look at. One partition's
//! answer is the same work whatever the size of the site.

#![allow(missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use varan::frame::Layout;
use varan::site::start_frames;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{
    CallError, RequestId, Selector, SystemEvents, SystemLink, SystemReply, SystemRequest,
};
use varan_environment::{Environment, RealEnvironment};
use varan_system::SystemHandle;

#[path = "support/measured.rs"]
mod measured;

use measured::{FRAMES, Scratch, UserShell, frame_name};

const SMALL_SITE: usize = 10;
const LARGE_SITE: usize = 2_000;
const GUEST_MEMORY_BYTES: u64 = 1 << 30;
/// The frame that the commands name, counted from 0.
const FRAME: usize = 2;

/// A link that counts what goes over it.
struct CountingLink {
    frame: Arc<SystemHandle>,
    requests: AtomicU64,
}

impl SystemLink for CountingLink {
    fn call(&self, id: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        // A console's observation follows what happens, whoever makes it happen; it is no work of a command.
        let observes = matches!(request, SystemRequest::GetUtilization(_) | SystemRequest::ListErrors { .. });
        self.requests.fetch_add(u64::from(!observes), Ordering::Relaxed);
        self.frame.call(id, request)
    }

    fn open_terminal(&self, partition: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        self.frame.open_terminal(partition)
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.frame.subscribe(receiver);
    }
}

/// What a command made of work at one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    requests: u64,
    visited: u64,
}

struct CountedSite {
    links: Vec<Arc<CountingLink>>,
    shell: UserShell,
    _directory: Scratch,
}

impl CountedSite {
    fn start(partitions: usize, test: &str) -> Self {
        Self::open(partitions, test, &measured::site_text(partitions, 20_000, None))
    }

    fn open(partitions: usize, test: &str, text: &str) -> Self {
        let directory = Scratch::new(&format!("{test}-{partitions}"));
        let site = measured::parse(text);
        let layout = Layout::new(directory.path());
        let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
        let frames = start_frames(&site, &layout, &environment, GUEST_MEMORY_BYTES).expect("frames");
        let counting =
            |frame: Arc<SystemHandle>| Arc::new(CountingLink { frame, requests: AtomicU64::new(0) });
        let links: Vec<Arc<CountingLink>> = frames.into_iter().map(counting).collect();
        let console = {
            let links: Vec<Arc<dyn SystemLink>> =
                links.iter().map(|link| link.clone() as Arc<dyn SystemLink>).collect();
            measured::console(&site, &layout, &environment, &links)
        };
        let mut shell = UserShell::open(&console, &layout);
        // The console learns the names of its systems once.
        shell.done(&format!("lssyscfg -r sys -m {} -F name", frame_name(FRAME)));
        Self { links, shell, _directory: directory }
    }

    fn counters(&self) -> Vec<Work> {
        let read = |link: &Arc<CountingLink>| Work {
            requests: link.requests.load(Ordering::Relaxed),
            visited: link.frame.partitions_visited(),
        };
        self.links.iter().map(read).collect()
    }

    /// Runs a command; what it printed, the work of the named frame, and the work of all others.
    fn count(&mut self, command: &str) -> (String, Work, Work) {
        let before = self.counters();
        let output = self.shell.done(command);
        let (mut own, mut others) = (Work::default(), Work::default());
        for (index, (after, before)) in self.counters().into_iter().zip(before).enumerate() {
            let sum = if index == FRAME { &mut own } else { &mut others };
            sum.requests += after.requests - before.requests;
            sum.visited += after.visited - before.visited;
        }
        (output, own, others)
    }
}

impl Drop for CountedSite {
    fn drop(&mut self) {
        for link in &self.links {
            link.frame.stop();
        }
    }
}

/// Commands about partition p1 of frame `{m}`, and what each costs there.
const ONE_PARTITION: &[(&str, Work)] = &[
    ("lssyscfg -r lpar -m {m} --filter lpar_names=p1 -F name,state", Work { requests: 1, visited: 1 }),
    ("lssyscfg -r lpar -m {m} --filter lpar_names=p1", Work { requests: 1, visited: 1 }),
    ("lssyscfg -r lpar -m {m} --filter lpar_ids=1 -F name,state --header", Work { requests: 1, visited: 1 }),
    ("lssyscfg -r prof -m {m} --filter lpar_names=p1", Work { requests: 1, visited: 1 }),
    (
        "lsrefcode -r lpar -m {m} --filter lpar_names=p1 -F lpar_name,refcode",
        Work { requests: 1, visited: 1 },
    ),
    ("lshwres -r mem -m {m} --level lpar --filter lpar_names=p1", Work { requests: 1, visited: 1 }),
    ("lshwres -r proc -m {m} --level lpar --filter lpar_ids=1", Work { requests: 1, visited: 1 }),
    ("lssyscfg -r sys -m {m} -F name,state", Work { requests: 1, visited: 0 }),
    ("lshwres -r mem -m {m} --level sys -F curr_avail_sys_mem", Work { requests: 1, visited: 0 }),
    ("lshwres -r proc -m {m} --level sys -F curr_avail_sys_proc_units", Work { requests: 1, visited: 0 }),
    ("chsyscfg -r lpar -m {m} -i name=p1,auto_start=1", Work { requests: 1, visited: 0 }),
    (
        "chsyscfg -r prof -m {m} -i name=default_profile,lpar_name=p1,desired_mem=512",
        Work { requests: 1, visited: 0 },
    ),
];

#[test]
fn one_partitions_commands_are_the_same_work_in_a_small_and_a_large_site() {
    for partitions in [SMALL_SITE, LARGE_SITE] {
        let mut site = CountedSite::start(partitions, "work-one");
        for (command, expected) in ONE_PARTITION {
            let command = command.replace("{m}", &frame_name(FRAME));
            let (output, own, others) = site.count(&command);
            assert_eq!(own, *expected, "{command} with {partitions} partitions: {output}");
            assert_eq!(others, Work::default(), "{command} with {partitions} partitions asks other frames");
        }
    }
}

#[test]
fn one_frames_listing_visits_that_frames_partitions_once() {
    for partitions in [SMALL_SITE, LARGE_SITE] {
        let mut site = CountedSite::start(partitions, "work-frame");
        let on_frame = partitions / FRAMES;
        let (output, own, others) =
            site.count(&format!("lssyscfg -r lpar -m {} -F name,state", frame_name(FRAME)));
        assert_eq!(output.lines().count(), on_frame);
        assert_eq!(own, Work { requests: 1, visited: on_frame as u64 });
        assert_eq!(others, Work::default());
    }
}

#[test]
fn a_listing_of_several_partitions_visits_those() {
    let mut site = CountedSite::start(LARGE_SITE, "work-several");
    let command = format!("lssyscfg -r lpar -m {} --filter lpar_ids=3,5,3,200 -F lpar_id", frame_name(FRAME));
    let (output, own, others) = site.count(&command);
    assert_eq!(output, "3\n5\n200\n");
    assert_eq!((own, others), (Work { requests: 1, visited: 4 }, Work::default()));
}

/// One frame's adapters are the same work whether the other frames have partitions or not.
#[test]
fn one_frames_adapters_visit_that_frames_partitions_once() {
    const ON_FRAME: usize = 50;
    let mut alone = [0; FRAMES];
    alone[FRAME] = ON_FRAME;
    for counts in [alone, [ON_FRAME; FRAMES]] {
        let text = measured::site_text_of(counts, measured::FOUR_ADAPTERS, 20_000, None);
        let mut site = CountedSite::open(counts.iter().sum(), "work-adapters", &text);
        let frame = frame_name(FRAME);
        let names: Vec<String> = (1..=ON_FRAME).map(|number| format!("p{number}")).collect();
        for name in &names {
            site.shell
                .done(&format!("chsyscfg -r lpar -m {frame} -o apply -p {name} -n {}", measured::PROFILE));
        }
        // The changes made the console unsure of the system's name; it asks once.
        site.shell.done(&format!("lssyscfg -r sys -m {frame} -F name"));
        let (output, own, others) =
            site.count(&format!("lshwres -r virtualio --rsubtype eth -m {frame} --level lpar"));
        assert_eq!(output.lines().count(), 4 * ON_FRAME);
        assert_eq!(own, Work { requests: 1, visited: ON_FRAME as u64 });
        assert_eq!(others, Work::default());
        let command =
            format!("lshwres -r virtualio --rsubtype eth -m {frame} --level lpar --filter lpar_names=p7");
        let (output, own, others) = site.count(&command);
        assert_eq!(output.lines().count(), 4);
        assert_eq!((own, others), (Work { requests: 1, visited: 1 }, Work::default()));
    }
}
