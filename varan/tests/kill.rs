//! What was acknowledged survives: processes are killed, stopped and starved at random points under random commands, and
//! everything is read back and compared with what the commands' exit statuses promised.
//!
//! `VARAN_SEED` repeats the draws of a run (the instant of a kill is the machine's); `VARAN_SOAK=1` runs longer.

#![allow(missing_docs)]

mod support_process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::process::Signal;
use support_process::lane::{Counts, History, Lane, Step, verify};
use support_process::{
    FRAMES, INITIAL_PARTITION, Outcome, ProcessSite, SYSTEMS, Scratch, Start, Watchdog, run, seed, send,
    spend, until,
};
use varan_simulator::Randomness;

/// Sequences of commands that each end in a kill.
const SEQUENCES: u64 = 500;
const SEQUENCES_SOAK: u64 = 5_000;
/// Longest time of one test, far above what a slow machine needs.
const TEST_MAX: Duration = Duration::from_secs(600);
const TEST_MAX_SOAK: Duration = Duration::from_secs(3 * 3_600);
/// The console's process has its name.
const CONSOLE: &str = "myhmc";
/// The partition that runs while processes around it are killed.
const KEPT: &str = "kept";
const RECORD: &str = "profile_name=normal,lpar_env=aixlinux,min_mem=256,desired_mem=1024,max_mem=2048,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=1,max_procs=2,min_proc_units=0.1,desired_proc_units=0.2,max_proc_units=1.0,virtual_eth_adapters=2/0/1//0/0";

fn soak() -> bool {
    std::env::var("VARAN_SOAK").is_ok_and(|value| value == "1")
}

fn watchdog() -> Watchdog {
    Watchdog::new(if soak() { TEST_MAX_SOAK } else { TEST_MAX })
}

fn create(system: &str, name: &str, more: &str) -> String {
    format!("mksyscfg -r lpar -m '{system}' -i 'name={name},{RECORD}{more}'")
}

fn report(test: &str, lanes: &[Lane]) {
    for lane in lanes {
        let Counts { acknowledged, refused, done, absent } = lane.counts;
        println!(
            "{test}: {}: {acknowledged} acknowledged, {refused} refused, {done} in flight done, {absent} in flight absent",
            SYSTEMS[lane.frame]
        );
        assert!(2 * acknowledged > refused, "too few commands are accepted to test anything");
    }
}

/// Runs the clients until the site is killed: at a random time after one of them begins its `after`th command.
fn run_until_killed(site: &mut ProcessSite, lanes: &mut [Lane], random: &mut Randomness) {
    const COMMANDS_MAX: u64 = 10_000;
    let sockets = site.sockets();
    let victim = usize::try_from(random.below(lanes.len() as u64)).unwrap_or(0);
    let after = random.below(12);
    let (reached, begun) = sync_channel(1);
    std::thread::scope(|scope| {
        for (index, lane) in lanes.iter_mut().enumerate() {
            let (sockets, reached) = (&sockets, reached.clone());
            scope.spawn(move || {
                for number in 0..COMMANDS_MAX {
                    if index == victim && number == after {
                        let _ = reached.try_send(());
                    }
                    if lane.step(sockets) == Step::Uncertain {
                        break;
                    }
                }
            });
        }
        drop(reached);
        // An error means that a client ended before: it met a defect, which the verification shows.
        let _ = begun.recv();
        spend(random);
        site.kill();
    });
}

#[test]
fn kill_nine_at_random_points() {
    let test = "kill_nine_at_random_points";
    let seed = seed(test);
    let mut random = Randomness::new(seed);
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-nine"));
    let mut start = Start::new(&scratch, false);
    let mut site = start.up(&watchdog);
    let mut lanes = [
        Lane::new(0, 'a', None, random.fork()),
        Lane::new(1, 'b', Some(20), random.fork()),
        Lane::new(1, 'c', Some(40), random.fork()),
    ];
    let mut history = [History::default(), History::default()];
    lanes[0].begin(&site.sockets());
    let sequences = if soak() { SEQUENCES_SOAK } else { SEQUENCES };
    for sequence in 0..sequences {
        run_until_killed(&mut site, &mut lanes, &mut random);
        // Some power losses come while the power returns.
        if random.chance(100_000) {
            let mut short = start.spawn(&watchdog);
            std::thread::sleep(Duration::from_micros(random.below(60_000)));
            short.kill();
        }
        start.split = sequence % 8 == 7;
        site = start.up(&watchdog);
        let sockets = site.sockets();
        let [first, second, third] = &mut lanes;
        verify(&sockets, &mut [first], &mut history[0], true);
        verify(&sockets, &mut [second, third], &mut history[1], true);
    }
    println!("{test}: {sequences} sequences");
    report(test, &lanes);
}

#[test]
fn a_kill_during_the_first_start_leaves_a_site_that_starts() {
    const ROUNDS: u64 = 20;
    let mut random = Randomness::new(seed("a_kill_during_the_first_start"));
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-first-start"));
    for round in 0..ROUNDS {
        let data = scratch.path().join(format!("data{round}"));
        let start = Start { site: scratch.site_file(INITIAL_PARTITION), data, split: round % 4 == 3 };
        for _ in 0..random.between(1, 3) {
            let mut short = start.spawn(&watchdog);
            std::thread::sleep(Duration::from_micros(random.below(120_000)));
            short.kill();
        }
        let site = start.up(&watchdog);
        let listed = site.done("lssyscfg -r lpar -m right -F name,lpar_id,default_profile,description");
        assert_eq!(listed, "first,1,default_profile,from the site file\n");
        assert_eq!(
            site.done("lssyscfg -r prof -m right -F name,lpar_name,max_mem"),
            "default_profile,first,2048\n"
        );
        assert_eq!(site.run("lssyscfg -r lpar -m left -F name").status(), Some(0));
    }
}

/// Cuts the power of a frame and checks what the console says meanwhile: its supervisor is held, so that the power does not
/// return before that was seen.
fn frame_is_gone_for_a_while(site: &ProcessSite) {
    let supervisor = site.supervisor();
    let state = format!("lssyscfg -r sys -m '{}' -F state", SYSTEMS[0]);
    send(supervisor, Signal::STOP);
    send(site.process(FRAMES[0]), Signal::KILL);
    site.until(&state, "No Connection");
    for command in [
        create(SYSTEMS[0], "late", ""),
        format!("lssyscfg -r lpar -m '{}' -F name", SYSTEMS[0]),
        format!("chsysstate -r lpar -m '{}' -o on -n {KEPT} -f normal", SYSTEMS[0]),
    ] {
        let outcome = site.run(&command);
        assert!(outcome.no_connection() && outcome.status() == Some(1), "{command}: {outcome:?}");
    }
    let other = site.run(&format!("lssyscfg -r sys -m '{}' -F state", SYSTEMS[1]));
    assert_eq!(other.output(), "Operating\n");
    send(supervisor, Signal::CONT);
    site.until(&state, "Operating");
    let names = site.done(&format!("lssyscfg -r lpar -m '{}' -F name", SYSTEMS[0]));
    assert!(!names.contains("late"), "what was refused is not done later");
}

#[test]
fn a_killed_frame_process_is_a_power_loss() {
    let test = "a_killed_frame_process_is_a_power_loss";
    let rounds = if soak() { 200 } else { 10 };
    let mut random = Randomness::new(seed(test));
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-frame"));
    let site = Start::new(&scratch, true).up(&watchdog);
    let sockets = site.sockets();
    let running =
        format!("lssyscfg -r lpar -m '{}' --filter lpar_names={KEPT} -F state,rmc_state", SYSTEMS[0]);
    site.done(&create(SYSTEMS[0], KEPT, ",lpar_id=200,auto_start=1"));
    site.done(&create(SYSTEMS[0], "unwanted", ",lpar_id=201"));
    for name in [KEPT, "unwanted"] {
        site.done(&format!("chsysstate -r lpar -m '{}' -o on -n {name} -f normal", SYSTEMS[0]));
    }
    site.until(&running, "Running,active");
    let mut victim = Lane::new(0, 'a', None, random.fork());
    let mut other = Lane::new(1, 'b', None, random.fork());
    let mut histories = [History::default(), History::default()];
    victim.begin(&sockets);
    other.begin(&sockets);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ended = EndOnDrop(&end);
        let other = &mut other;
        let beside = scope.spawn({
            let (sockets, end) = (&sockets, &end);
            move || {
                while !end.load(Ordering::Acquire) {
                    assert_ne!(other.step(sockets), Step::Uncertain, "the other frame is not affected");
                }
            }
        });
        for round in 0..rounds {
            std::thread::scope(|client| {
                let (sockets, victim) = (&sockets, &mut victim);
                client.spawn(move || while victim.step(sockets) != Step::Uncertain {});
                std::thread::sleep(Duration::from_micros(random.below(100_000)));
                if round % 2 == 0 {
                    frame_is_gone_for_a_while(&site);
                } else {
                    send(site.process(FRAMES[0]), Signal::KILL);
                }
            });
            verify(&sockets, &mut [&mut victim], &mut histories[0], true);
            site.until(&running, "Running,active");
            // The name of the system changes meanwhile.
            let unwanted =
                format!("lssyscfg -r lpar -m '{}' --filter lpar_names=unwanted -F state", SYSTEMS[0]);
            assert_eq!(site.done(&unwanted), "Not Activated\n", "it does not start with the system");
        }
        drop(ended);
        beside.join().expect("the client of the other frame");
    });
    verify(&sockets, &mut [&mut other], &mut histories[1], false);
    report(test, &[victim, other]);
}

/// Ends the clients beside a scope's main thread, also when that panics.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The reference codes that a partition showed since it was activated.
fn reference_codes(site: &ProcessSite) -> String {
    site.done(&format!("lsrefcode -r lpar -m '{}' --filter lpar_names={KEPT} -n 50", SYSTEMS[0]))
}

#[test]
fn a_killed_console_costs_no_partition() {
    let test = "a_killed_console_costs_no_partition";
    let rounds = if soak() { 200 } else { 6 };
    let mut random = Randomness::new(seed(test));
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-console"));
    let site = Start::new(&scratch, true).up(&watchdog);
    let sockets = site.sockets();
    let state = format!(
        "lssyscfg -r lpar -m '{}' --filter lpar_names={KEPT} -F state,rmc_state,os_version",
        SYSTEMS[0]
    );
    site.done(&create(SYSTEMS[0], KEPT, ",lpar_id=200"));
    site.done(&format!("chsysstate -r lpar -m '{}' -o on -n {KEPT} -f normal", SYSTEMS[0]));
    let running = site.until(&state, "Running,active");
    let codes = reference_codes(&site);
    let frames = FRAMES.map(|frame| site.process(frame));
    let mut terminal = site.terminal(SYSTEMS[0], KEPT);
    terminal.talk("", "login:").expect("login");
    terminal.talk("root", "assword:").expect("password");
    terminal.talk("abc123", "# ").expect("prompt");
    // A workload in the guest's memory: it goes on and stays whole only if the guest goes on.
    terminal.talk("dirty start 64 2000", "pages per second").expect("workload");
    let mut lanes = [Lane::new(0, 'a', None, random.fork()), Lane::new(1, 'b', None, random.fork())];
    let mut histories = [History::default(), History::default()];
    lanes.iter_mut().for_each(|lane| lane.begin(&sockets));
    for _ in 0..rounds {
        std::thread::scope(|scope| {
            for lane in &mut lanes {
                let sockets = &sockets;
                scope.spawn(move || while lane.step(sockets) != Step::Uncertain {});
            }
            std::thread::sleep(Duration::from_micros(random.below(100_000)));
            send(site.process(CONSOLE), Signal::KILL);
        });
        site.until(&state, &running);
        for (lane, history) in lanes.iter_mut().zip(&mut histories) {
            verify(&sockets, &mut [lane], history, false);
        }
        assert_eq!(reference_codes(&site), codes, "the guest did not start again");
        assert_eq!(FRAMES.map(|frame| site.process(frame)), frames, "no frame started again");
    }
    drop(terminal);
    // The session of the lost terminal is still there, and so is the workload.
    let mut terminal = site.terminal(SYSTEMS[0], KEPT);
    let verified = terminal.talk("dirty verify", "wrong pages").expect("the terminal is free again");
    assert!(verified.contains("\n0 wrong pages"), "{verified}");
    report(test, &lanes);
}

#[test]
fn a_process_that_hangs_and_comes_back_does_no_harm() {
    let test = "a_process_that_hangs_and_comes_back_does_no_harm";
    let rounds = if soak() { 1_000 } else { 40 };
    let mut random = Randomness::new(seed(test));
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-hang"));
    let site = Start::new(&scratch, true).up(&watchdog);
    let sockets = site.sockets();
    let mut lanes = [
        Lane::new(0, 'a', None, random.fork()),
        Lane::new(1, 'b', Some(20), random.fork()),
        Lane::new(1, 'c', Some(40), random.fork()),
    ];
    let mut histories = [History::default(), History::default()];
    lanes[0].begin(&sockets);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ended = EndOnDrop(&end);
        for lane in &mut lanes {
            let (sockets, end) = (&sockets, &end);
            scope.spawn(move || {
                while !end.load(Ordering::Acquire) {
                    assert_ne!(lane.step(sockets), Step::Uncertain, "every command is answered");
                }
            });
        }
        for _ in 0..rounds {
            let role =
                random.choose(&[FRAMES[0], FRAMES[1], FRAMES[1], CONSOLE]).copied().unwrap_or(FRAMES[0]);
            let process = site.process(role);
            spend(&mut random);
            send(process, Signal::STOP);
            std::thread::sleep(Duration::from_micros(random.below(200_000)));
            send(process, Signal::CONT);
        }
    });
    let [first, second, third] = &mut lanes;
    verify(&sockets, &mut [first], &mut histories[0], false);
    verify(&sockets, &mut [second, third], &mut histories[1], false);
    report(test, &lanes);
    a_long_pause(&site, &sockets);
}

/// A pause so long that the console sends its request again: the answer comes, and the request was done once.
fn a_long_pause(site: &ProcessSite, sockets: &Path) {
    let frame = site.process(FRAMES[0]);
    let pairs = "\"virtual_fc_adapters=4/client/150//5//0\"";
    let command = create(SYSTEMS[0], "patient", &format!(",{pairs}"));
    let state = format!("lssyscfg -r sys -m '{}' -F state", SYSTEMS[0]);
    send(frame, Signal::STOP);
    std::thread::scope(|scope| {
        let _resumed = ResumeOnDrop(frame);
        let waiting = scope.spawn(|| run(sockets, &command));
        // By the time that a listing gives the frame up, the request was sent again.
        let listing = scope.spawn(|| site.until(&state, "No Connection"));
        for name in ["one", "two"] {
            site.done(&create(SYSTEMS[1], name, ""));
        }
        assert!(!listing.is_finished(), "nobody who works on another frame waits for the one that hangs");
        listing.join().expect("listing");
        send(frame, Signal::CONT);
        let outcome = waiting.join().expect("client");
        assert_eq!(outcome.status(), Some(0), "{outcome:?}");
    });
    let listed = site.until(&format!("lssyscfg -r lpar -m '{}' -F name", SYSTEMS[0]), "patient");
    assert_eq!(listed.lines().filter(|name| *name == "patient").count(), 1);
    let again = site.run(&command);
    assert!(again.status() == Some(1) && again.output().contains("HSCL"), "{again:?}");
    // The next pair of port names follows the one that was given: none was given to a second creation.
    site.done(&create(SYSTEMS[0], "patient2", &format!(",{pairs}")));
    let names = ["patient", "patient2"].map(|name| {
        let command =
            format!("lssyscfg -r prof -m '{}' --filter lpar_names={name} -F virtual_fc_adapters", SYSTEMS[0]);
        let listed = site.done(&command);
        let first = listed.split(['/', ',']).find(|part| part.len() == 16).expect("a port name");
        u64::from_str_radix(first, 16).expect("a port name")
    });
    assert_eq!(names[1] - names[0], 2, "{names:x?}");
}

struct ResumeOnDrop(u32);

impl Drop for ResumeOnDrop {
    fn drop(&mut self) {
        send(self.0, Signal::CONT);
    }
}

/// A small file system of its own. Unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).expect("mount point");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "varan-test"]).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }

    /// Takes every free block.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.0.join("ballast")).expect("ballast");
        for size in [1 << 20, 4_096, 1] {
            let block = vec![0x5A; size];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

const EVERYTHING: &str = "lssyscfg -r sys; lssyscfg -r lpar -m left; lssyscfg -r prof -m left; lshwres -r mem -m left --level sys; lshwres -r proc -m left --level sys; lshwres -r mem -m left --level lpar; lshwres -r proc -m left --level lpar";

/// What the listings show, without the time of day.
fn everything(site: &ProcessSite) -> Vec<String> {
    let shown = site.done(EVERYTHING);
    shown.split([',', '\n']).filter(|part| !part.starts_with("sys_time=")).map(str::to_owned).collect()
}

fn assert_unchanged(before: &[String], after: &[String], command: &str) {
    let changed: Vec<_> = before.iter().zip(after).filter(|(before, after)| before != after).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "{command} changed {changed:?}");
}

#[test]
fn a_full_disk_changes_nothing() {
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-full"));
    let mut start = Start::new(&scratch, false);
    start.data = scratch.path().join("disk/data");
    let Some(disk) = SmallDisk::mount(&scratch.path().join("disk")) else {
        println!("SKIP: a_full_disk_changes_nothing: this user may not mount a file system");
        return;
    };
    let mut site = start.up(&watchdog);
    for name in ["runs", "stays", "goes"] {
        site.done(&create("left", name, ""));
    }
    for name in ["runs", "stays"] {
        site.done(&format!("chsysstate -r lpar -m left -o on -n {name} -f normal"));
    }
    site.until("lssyscfg -r lpar -m left --filter lpar_names=runs -F state,rmc_state", "Running,active");
    site.done("chsysstate -r lpar -m left -o shutdown --immed -n stays");
    disk.fill();
    // The database may have room left in its files; each change uses some of it.
    until("a refusal", || {
        let outcome = site.run("chsyscfg -r lpar -m left -i 'name=goes,description=a text that takes room'");
        (outcome.status() != Some(0)).then_some(())
    });
    let before = everything(&site);
    for command in [
        "chsyscfg -r lpar -m left -i 'name=goes,lpar_avail_priority=1,auto_start=1'".to_owned(),
        "chsyscfg -r prof -m left -i 'name=normal,lpar_name=goes,desired_mem=512'".to_owned(),
        "chsyscfg -r sys -m left -i 'new_name=fuller,description=full'".to_owned(),
        "rmsyscfg -r lpar -m left -n goes".to_owned(),
        "chsysstate -r lpar -m left -o on -n goes -f normal".to_owned(),
        "chsysstate -r lpar -m left -o shutdown --immed -n runs".to_owned(),
        "chhwres -r mem -m left -o a -p stays -q 256".to_owned(),
        create("left", "more", ",\"virtual_fc_adapters=4/client/150//5//0\""),
    ] {
        let outcome = site.run(&command);
        assert_eq!(outcome.status(), Some(1), "{command}: {outcome:?}");
        assert!(outcome.output().contains("HSCL0002"), "{command}: {outcome:?}");
        assert_unchanged(&before, &everything(&site), &command);
    }
    disk.free();
    site.done("chsyscfg -r lpar -m left -i 'name=goes,lpar_avail_priority=2'");
    site.done("rmsyscfg -r lpar -m left -n stays");
    let listed = site.done("lssyscfg -r lpar -m left -F name,lpar_avail_priority,state");
    assert_eq!(listed, "runs,127,Running\ngoes,2,Not Activated\n");
    // Again full, then killed there, then room: what was acknowledged is there.
    disk.fill();
    let mut last = 2;
    for priority in 3..200 {
        let command = format!("chsyscfg -r lpar -m left -i 'name=goes,lpar_avail_priority={priority}'");
        match site.run(&command) {
            Outcome::Answered(0, _) => last = priority,
            _ => break,
        }
    }
    site.kill();
    disk.free();
    let site = start.up(&watchdog);
    let listed = site.done("lssyscfg -r lpar -m left -F name,lpar_avail_priority,state");
    assert_eq!(listed, format!("runs,127,Not Activated\ngoes,{last},Not Activated\n"));
    site.done(&create("left", "more", ""));
    drop(site);
}

#[test]
fn a_full_disk_undoes_a_dynamic_change() {
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-dynamic"));
    let mut start = Start::new(&scratch, false);
    start.data = scratch.path().join("disk/data");
    let Some(disk) = SmallDisk::mount(&scratch.path().join("disk")) else {
        println!("SKIP: a_full_disk_undoes_a_dynamic_change: this user may not mount a file system");
        return;
    };
    let site = start.up(&watchdog);
    site.done(&create("left", "runs", ""));
    site.done("chsysstate -r lpar -m left -o on -n runs -f normal");
    site.until("lssyscfg -r lpar -m left -F state,rmc_state", "Running,active");
    disk.fill();
    until("a refusal", || {
        let outcome = site.run("chsyscfg -r lpar -m left -i 'name=runs,description=a text that takes room'");
        (outcome.status() != Some(0)).then_some(())
    });
    let before = everything(&site);
    let command = "chhwres -r mem -m left -o a -p runs -q 256";
    let outcome = site.run(command);
    assert!(outcome.status() == Some(1) && outcome.output().contains("HSCL0002"), "{outcome:?}");
    assert_unchanged(&before, &everything(&site), command);
    disk.free();
    site.done(command);
    assert_eq!(
        site.done("lshwres -r mem -m left --level lpar --filter lpar_names=runs -F curr_mem,run_mem"),
        "1280,1280\n"
    );
}

#[test]
fn one_data_directory_has_one_site() {
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-second"));
    for split in [false, true] {
        let start = Start::new(&scratch, split);
        let mut site = start.up(&watchdog);
        for split in [false, true] {
            let second = Start { split, ..start.clone() };
            assert_eq!(second.spawn(&watchdog).wait_end(), Some(1));
            assert!(
                second.errors().contains("another process uses the data directory"),
                "{}",
                second.errors()
            );
        }
        site.done("lssyscfg -r sys -F name");
        site.done(&create("left", if split { "two" } else { "one" }, ""));
        site.stop();
    }
    let site = Start::new(&scratch, false).up(&watchdog);
    assert_eq!(site.done("lssyscfg -r lpar -m left -F name"), "one\ntwo\n");
}
