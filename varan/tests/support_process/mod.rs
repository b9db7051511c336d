//! A site in processes of its own, for tests that kill, stop and starve them.
//!
//! Whatever happens, no process outlives its test: a site is killed when it is dropped, and a test that takes too long
//! has its sites killed, which ends every wait.

#![allow(dead_code, missing_docs, reason = "each test file uses its part")]

pub mod definitions;
pub mod lane;
pub mod operations;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use varan::control::{Running, begin, begin_on};
use varan::frame::Layout;
use varan_simulator::Randomness;

/// Longest wait for something that must come; only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at something that must come.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// The two managed systems of the site, by the names that do not change.
pub const SYSTEMS: [&str; 2] = ["8286-41A*21AAAA1", "8286-41A*21BBBB2"];
/// Their names in the site, which are also the names of their processes.
pub const FRAMES: [&str; 2] = ["left", "right"];

const SITE: &str = r#"
[site]
name = "kill"
time_scale = 20000.0
demonstration = true

[[console]]
name = "myhmc"

[[console.user]]
name = "hscroot"
password = "abc123"
taskrole = "hmcsuperadmin"

[[managed_system]]
name = "left"
type_model_serial = "8286-41A*21AAAA1"
processor_family = "POWER8"
installed_processors = 192
installed_memory = 1048576
firmware_level = "01SV830_048"

[[managed_system]]
name = "right"
type_model_serial = "8286-41A*21BBBB2"
processor_family = "POWER8"
installed_processors = 192
installed_memory = 1048576
firmware_level = "01SV830_048"
"#;

/// A partition that a new data directory begins with.
pub const INITIAL_PARTITION: &str = r#"
[[managed_system.partition]]
name = "first"
start = true
attributes = 'description=from the site file'
profile = 'min_mem=256,desired_mem=1024,max_mem=2048,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=1,max_procs=2,min_proc_units=0.1,desired_proc_units=0.2,max_proc_units=1.0,virtual_eth_adapters=2/0/1//0/0'
"#;

/// Spends a random time without asking anybody to be woken, so that it may be as short as some instructions.
pub fn spend(random: &mut Randomness) {
    let most = [50, 1_000, 5_000, 20_000][usize::try_from(random.below(4)).unwrap_or(0)];
    let wait = Duration::from_micros(random.below(most));
    if wait > Duration::from_millis(1) {
        std::thread::sleep(wait);
    } else {
        (0..wait.as_micros() * 100).for_each(|_| std::hint::spin_loop());
    }
}

/// The seed of a test: `VARAN_SEED`, or a new one. It is printed, and libtest shows it when the test fails.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("VARAN_SEED").ok().map(|text| text.parse().expect("VARAN_SEED is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 16);
    println!("{test}: again with VARAN_SEED={seed}");
    seed
}

/// Ends a test that takes too long, by killing its processes.
pub struct Watchdog {
    processes: Arc<Mutex<BTreeSet<u32>>>,
    end: Option<SyncSender<()>>,
}

impl Watchdog {
    pub fn new(limit: Duration) -> Self {
        let (end, ended) = sync_channel(1);
        let processes: Arc<Mutex<BTreeSet<u32>>> = Arc::default();
        let watched = processes.clone();
        std::thread::spawn(move || {
            if ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            eprintln!("the test took longer than {limit:?}: its processes are killed");
            for &process in watched.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                send(process, Signal::KILL);
            }
        });
        Self { processes, end: Some(end) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.end.take();
    }
}

/// Sends a signal to a process of this test. A process that is gone needs none.
pub fn send(process: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A directory that is removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("scratch directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A site file with two managed systems and what `more` adds to the second.
    pub fn site_file(&self, more: &str) -> PathBuf {
        let path = self.0.join("site.toml");
        std::fs::write(&path, format!("{SITE}{more}")).expect("site file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What came of a command.
#[derive(Debug)]
pub enum Outcome {
    /// Exit status and output.
    Answered(u8, String),
    /// The connection ended before the exit status.
    Broken,
}

impl Outcome {
    pub fn status(&self) -> Option<u8> {
        match self {
            Self::Answered(status, _) => Some(*status),
            Self::Broken => None,
        }
    }

    pub fn output(&self) -> &str {
        match self {
            Self::Answered(_, output) => output,
            Self::Broken => "",
        }
    }

    /// The console said that it cannot reach the managed system: nobody knows whether the command was done.
    pub fn no_connection(&self) -> bool {
        self.output().contains("HSCL0001")
    }
}

/// Runs a command line on the first console whose sockets are in `sockets`.
pub fn run(sockets: &Path, command: &str) -> Outcome {
    run_on(sockets, None, command)
}

/// Runs a command line on the console of that name.
pub fn run_on(sockets: &Path, console: Option<&str>, command: &str) -> Outcome {
    let Ok(mut running) = begin_on(sockets, console, "hscroot", command, false) else {
        return Outcome::Broken;
    };
    let mut output = Vec::new();
    loop {
        match running.next_output() {
            Ok(Ok((_, bytes))) => output.extend_from_slice(&bytes),
            Ok(Err(status)) => {
                return Outcome::Answered(status, String::from_utf8_lossy(&output).into_owned());
            }
            Err(_) => return Outcome::Broken,
        }
    }
}

/// Looks again and again until `look` finds something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let most = PATIENCE.as_millis() / LOOK_AGAIN.as_millis();
    for _ in 0..most {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    panic!("{what} never came")
}

/// How a site is started.
#[derive(Clone)]
pub struct Start {
    pub site: PathBuf,
    pub data: PathBuf,
    pub split: bool,
}

impl Start {
    pub fn new(scratch: &Scratch, split: bool) -> Self {
        Self { site: scratch.site_file(""), data: scratch.path().join("data"), split }
    }

    /// Starts the site without waiting for it.
    pub fn spawn(&self, watchdog: &Watchdog) -> ProcessSite {
        let errors = self.site.with_file_name("errors.txt");
        let errors = std::fs::File::options().create(true).append(true).open(errors).expect("errors file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_varan"));
        command.args(["up", "--ssh-port", "0", "--site"]).arg(&self.site).arg("--data").arg(&self.data);
        if self.split {
            command.arg("--split");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let child = command.spawn().expect("the site's process");
        let watched = watchdog.processes.clone();
        watched.lock().unwrap_or_else(PoisonError::into_inner).insert(child.id());
        ProcessSite { child, start: self.clone(), watched }
    }

    /// Starts the site and waits until it is ready.
    pub fn up(&self, watchdog: &Watchdog) -> ProcessSite {
        let mut site = self.spawn(watchdog);
        site.wait_ready();
        site
    }

    /// What the site's processes wrote to standard error.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.site.with_file_name("errors.txt")).unwrap_or_default()
    }
}

/// A running site. Killed when dropped.
pub struct ProcessSite {
    child: Child,
    start: Start,
    watched: Arc<Mutex<BTreeSet<u32>>>,
}

impl ProcessSite {
    fn wait_ready(&mut self) {
        let output = self.child.stdout.take().expect("standard output");
        let mut lines = BufReader::new(output).lines();
        if !lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("ready:")) {
            let _ = self.child.wait();
            panic!("the site did not start: {}", self.start.errors());
        }
        // The site must never wait for a reader of its output.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    }

    pub fn sockets(&self) -> PathBuf {
        Layout::new(&self.start.data).sockets()
    }

    /// SIGKILL to the process that was started; waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.child.id());
    }

    /// The process that was started; with `--split` the supervisor.
    pub fn supervisor(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process ends by itself; its exit status.
    pub fn wait_end(&mut self) -> Option<i32> {
        let status = self.child.wait().expect("wait");
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.child.id());
        status.code()
    }

    /// SIGTERM; waits for the clean end.
    pub fn stop(&mut self) {
        send(self.child.id(), Signal::TERM);
        assert_eq!(self.wait_end(), Some(0), "a site that is told to stop ends with status 0");
    }

    /// The process of a role of a site with `--split`: the name of a managed system or a console.
    pub fn process(&self, role: &str) -> u32 {
        let path = self.sockets().join(format!("{role}.pid"));
        until("a process id", || std::fs::read_to_string(&path).ok()?.trim().parse().ok())
    }

    pub fn run(&self, command: &str) -> Outcome {
        run(&self.sockets(), command)
    }

    /// Runs a command that must succeed.
    pub fn done(&self, command: &str) -> String {
        match self.run(command) {
            Outcome::Answered(0, output) => output,
            other => panic!("{command}: {other:?}; {}", self.start.errors()),
        }
    }

    /// Repeats a command until it succeeds with `wanted` in its output.
    pub fn until(&self, command: &str, wanted: &str) -> String {
        until(&format!("{wanted} of {command}"), || match self.run(command) {
            Outcome::Answered(0, output) if output.contains(wanted) => Some(output),
            _ => None,
        })
    }

    /// Opens a terminal on a partition.
    pub fn terminal(&self, system: &str, partition: &str) -> Terminal {
        let command = format!("mkvterm -m '{system}' -p {partition}");
        let running = begin(&self.sockets(), "hscroot", &command, true).expect("terminal");
        Terminal { running }
    }
}

impl Drop for ProcessSite {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A virtual terminal.
pub struct Terminal {
    running: Running,
}

impl Terminal {
    /// Types a line and reads until `wanted` was shown; what was shown.
    pub fn talk(&mut self, line: &str, wanted: &str) -> Result<String, String> {
        self.running.type_bytes(format!("{line}\r").as_bytes());
        self.expect(wanted)
    }

    pub fn expect(&mut self, wanted: &str) -> Result<String, String> {
        let mut seen = String::new();
        while !seen.contains(wanted) {
            match self.running.next_output()? {
                Ok((_, bytes)) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(status) => return Err(format!("the terminal ended with status {status} after {seen}")),
            }
        }
        Ok(seen)
    }
}
