//! A partition on QEMU as its administrator sees it: a real Linux boots, is talked to, survives the end of Varan, restarts,
//! is shut down, crashes.
//!
//! Needs QEMU and what `tools/ppc64-guest` prepares; is skipped without.

#![allow(missing_docs, dead_code)]

mod support_process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support_process::{ProcessSite, SYSTEMS, Scratch, Start, Terminal, Watchdog, run, seed, until};
use varan_simulator::Randomness;

/// Longest time of the test: two boots under emulation on a machine that does other things too.
const TEST_MAX: Duration = Duration::from_secs(1_200);
const PARTITION: &str = r#"
[[managed_system.partition]]
name = "linux1"
engine = "qemu"
kernel = "KERNEL"
initial_ramdisk = "RAMDISK"
kernel_arguments = "console=hvc0 quiet"
profile = 'min_mem=256,desired_mem=512,max_mem=1024,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=1,max_procs=2,min_proc_units=0.1,desired_proc_units=0.5,max_proc_units=1.0'
"#;

/// Kernel and initial RAM disk; `None` where they or QEMU are missing, and says so.
fn means() -> Option<(PathBuf, PathBuf)> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ppc64-guest");
    let directory = std::env::var_os("VARAN_PPC64_GUEST").map_or(built, PathBuf::from);
    let skip = |reason: &str| println!("SKIP: Linux on QEMU: {reason}");
    if let Err(reason) = varan_qemu_engine::find(Path::new("qemu-system-ppc64")) {
        skip(&reason);
        return None;
    }
    let (kernel, ramdisk) = (directory.join("vmlinux"), directory.join("initrd"));
    if !kernel.exists() || !ramdisk.exists() {
        skip("there is no guest; tools/ppc64-guest makes one");
        return None;
    }
    Some((kernel, ramdisk))
}

/// The QEMU processes of a site. What is left of them at the end of a test ends too.
struct Guests<'a>(&'a Path);

impl Guests<'_> {
    fn processes(&self) -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc").expect("proc");
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let works_here = |number: &i32| {
            let works_in = std::fs::read_link(format!("/proc/{number}/cwd"));
            works_in.is_ok_and(|directory| directory.starts_with(self.0))
        };
        numbers.filter(works_here).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Guests<'_> {
    fn drop(&mut self) {
        for process in self.processes() {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

fn state_command() -> String {
    format!("lssyscfg -r lpar -m '{}' --filter lpar_names=linux1 -F state", SYSTEMS[1])
}

fn power(site: &ProcessSite, operation: &str) {
    site.done(&format!("chsysstate -r lpar -m '{}' -n linux1 -o {operation}", SYSTEMS[1]));
}

fn log_in(terminal: &mut Terminal) {
    terminal.expect("linux1 login:").expect("login");
    terminal.talk("root", "# ").expect("shell");
}

/// The identity of this boot, from the guest itself.
fn boot_identity(terminal: &mut Terminal) -> String {
    let command = r#"echo "i""d=$(cat /proc/sys/kernel/random/boot_id)=""x""#;
    let shown = terminal.talk(command, "=x").expect("answer");
    let (_, answer) = shown.rsplit_once("id=").expect("identity");
    answer.trim_end_matches(|character| character != 'x').to_owned()
}

#[test]
fn linux_boots_outlives_varan_restarts_and_ends() {
    let Some((kernel, ramdisk)) = means() else { return };
    let scratch = Scratch::new("qemu");
    let partition =
        PARTITION.replace("KERNEL", &kernel.to_string_lossy()).replace("RAMDISK", &ramdisk.to_string_lossy());
    let start =
        Start { site: scratch.site_file(&partition), data: scratch.path().join("data"), split: false };
    let scratch_path = std::fs::canonicalize(scratch.path()).expect("path");
    let (guests, watchdog) = (Guests(&scratch_path), Watchdog::new(TEST_MAX));
    let mut site = start.up(&watchdog);

    power(&site, "on -f default_profile");
    let mut terminal = site.terminal(SYSTEMS[1], "linux1");
    log_in(&mut terminal);
    site.until(&state_command(), "Running");
    let identity = boot_identity(&mut terminal);
    let refused = site.run(&format!("chhwres -r mem -m '{}' -o a -p linux1 -q 256", SYSTEMS[1]));
    assert!(refused.output().starts_with("HSCL2957"), "{refused:?}");

    // Varan is killed: the guest notices nothing, and the partition is Running at once when Varan is back.
    let processes = guests.processes();
    assert_eq!(processes.len(), 1);
    site.kill();
    assert_eq!(guests.processes(), processes);
    site = start.up(&watchdog);
    site.until(&state_command(), "Running");
    terminal = site.terminal(SYSTEMS[1], "linux1");
    terminal.talk("", "# ").expect("shell");
    assert_eq!(boot_identity(&mut terminal), identity, "the same boot");
    assert_eq!(guests.processes(), processes);

    // The guest restarts itself: another boot, on the same terminal.
    terminal.talk("reboot", "Open Firmware").expect("firmware");
    log_in(&mut terminal);
    assert_ne!(boot_identity(&mut terminal), identity, "another boot");
    site.until(&state_command(), "Running");

    // The white button: the operating system goes down.
    power(&site, "shutdown");
    let last = terminal.expect("reboot: Power down").expect("last words");
    assert!(last.contains("Requesting system poweroff"), "{last}");
    site.until(&state_command(), "Not Activated");
    assert_eq!(guests.processes(), []);

    // Its process is killed: a crash.
    power(&site, "on");
    let process = until("a process", || guests.processes().first().copied());
    until("its firmware", || {
        let shown = site.run(&state_command());
        let _ = kill_process(process, Signal::KILL);
        shown.output().contains("Error").then_some(())
    });
    assert_eq!(guests.processes(), []);

    // Varan ends in order: the guest goes on, and is stopped when Varan is back.
    power(&site, "on");
    let process = until("a process", || guests.processes().first().copied());
    site.stop();
    assert_eq!(guests.processes(), [process]);
    site = start.up(&watchdog);
    site.until(&state_command(), "Starting");
    power(&site, "shutdown --immed");
    site.until(&state_command(), "Not Activated");
    assert_eq!(guests.processes(), []);
}

#[test]
fn no_instant_of_a_kill_leaves_two_processes_or_a_lost_one() {
    const ROUNDS: u64 = 8;
    const KILL_WITHIN_MICROSECONDS: u64 = 500_000;
    let test = "no_instant_of_a_kill_leaves_two_processes_or_a_lost_one";
    if let Err(reason) = varan_qemu_engine::find(Path::new("qemu-system-ppc64")) {
        println!("SKIP: partitions on QEMU: {reason}");
        return;
    }
    let mut random = Randomness::new(seed(test));
    let scratch = Scratch::new("qemu-kill");
    let is_boot = |line: &&str| !line.starts_with("kernel") && !line.starts_with("initial_ramdisk");
    let partition: String = PARTITION.lines().filter(is_boot).map(|line| format!("{line}\n")).collect();
    let start =
        Start { site: scratch.site_file(&partition), data: scratch.path().join("data"), split: false };
    let scratch_path = std::fs::canonicalize(scratch.path()).expect("path");
    let (guests, watchdog) = (Guests(&scratch_path), Watchdog::new(TEST_MAX));
    for round in 0..ROUNDS {
        let mut site = start.up(&watchdog);
        let sockets = site.sockets();
        let on = format!("chsysstate -r lpar -m '{}' -n linux1 -o on -f default_profile", SYSTEMS[1]);
        let asked = std::thread::spawn(move || run(&sockets, &on));
        std::thread::sleep(Duration::from_micros(random.below(KILL_WITHIN_MICROSECONDS)));
        site.kill();
        let acknowledged = asked.join().expect("no panic").status() == Some(0);
        let site = start.up(&watchdog);
        let state = site.done(&state_command());
        // A process that only just began may not have come as far as its directory.
        let is_on = state == "Starting\n" || state == "Open Firmware\n";
        println!("{test}: round {round}: acknowledged {acknowledged}, found {}", state.trim_end());
        if is_on {
            until("its one process", || (guests.processes().len() == 1).then_some(()));
            power(&site, "shutdown --immed");
        } else {
            assert_eq!(state, "Not Activated\n");
        }
        site.until(&state_command(), "Not Activated");
        assert_eq!(guests.processes(), []);
    }
}

#[test]
fn what_is_missing_is_said_when_the_partition_is_activated() {
    let scratch = Scratch::new("qemu-missing");
    let partition = PARTITION.replace("KERNEL", "/nowhere/vmlinux").replace("RAMDISK", "/nowhere/initrd");
    let start =
        Start { site: scratch.site_file(&partition), data: scratch.path().join("data"), split: false };
    let watchdog = Watchdog::new(TEST_MAX);
    let site = start.up(&watchdog);
    let refused =
        site.run(&format!("chsysstate -r lpar -m '{}' -n linux1 -o on -f default_profile", SYSTEMS[1]));
    assert_eq!(refused.status(), Some(1));
    assert!(refused.output().contains("kernel /nowhere/vmlinux: No such file"), "{refused:?}");
    // A failed activation shows, as on the real thing.
    site.until(&state_command(), "Error");
}

#[test]
fn the_example_site_can_be_loaded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sites/qemu.toml");
    let site = varan::sites::load(&path.to_string_lossy()).expect("site");
    let partition = &site.managed_systems[0].partitions[0];
    assert!(matches!(partition.engine, varan_model::partition::GuestEngine::Qemu(_)));
}
