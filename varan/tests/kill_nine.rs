//! Processes that are killed or hang: what was acknowledged is there afterwards, what was in flight is wholly there or
//! wholly absent, nothing else.
//!
//! `VARAN_SEED` repeats a run, `VARAN_SOAK=1` makes it longer.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use varan::control::begin;
use varan::frame::Layout;
use varan_environment::split_mix;

const SITE: &str = r#"
[site]
name = "kill"
demonstration = true
time_scale = 20000.0

[[console]]
name = "myhmc"

[[console.user]]
name = "hscroot"
password = "abc123"
taskrole = "hmcsuperadmin"

[[managed_system]]
name = "one"
type_model_serial = "8286-41A*1000001"
processor_family = "POWER8"
installed_processors = 64
installed_memory = 262144
memory_region_size = 256
firmware_level = "01SV830_048"

[[managed_system]]
name = "two"
type_model_serial = "8286-41A*1000002"
processor_family = "POWER8"
installed_processors = 64
installed_memory = 262144
memory_region_size = 256
firmware_level = "01SV830_048"
"#;

const RECORD: &str = "lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=8192,proc_mode=shared,sharing_mode=cap,min_procs=1,desired_procs=1,max_procs=4,min_proc_units=0.1,desired_proc_units=0.1,max_proc_units=2.0";

struct Program {
    child: Child,
    data: PathBuf,
}

impl Program {
    fn start(data: &Path, more: &[&str]) -> Self {
        std::fs::create_dir_all(data).expect("data");
        let site = data.join("site.toml");
        std::fs::write(&site, SITE).expect("site");
        let mut child = Command::new(env!("CARGO_BIN_EXE_varan"))
            .args(["up", "--ssh-port", "0", "--data"])
            .arg(data)
            .arg("--site")
            .arg(&site)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("program");
        let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.starts_with("ready:")));
        std::thread::spawn(move || lines.for_each(drop));
        let program = Self { child, data: data.to_owned() };
        assert!(ready, "the program did not become ready");
        program
    }

    fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    fn pid(&self, role: &str) -> Pid {
        let text = std::fs::read_to_string(Layout::new(&self.data).sockets().join(format!("{role}.pid")))
            .expect("pid file");
        Pid::from_raw(text.trim().parse().expect("pid")).expect("pid")
    }

    fn run(&self, line: &str) -> Option<(u8, String)> {
        run(&self.data, line)
    }

    fn text(&self, line: &str) -> String {
        self.run(line).expect("an answer").1
    }

    /// Repeats a command until its output is `wanted`.
    fn until(&self, line: &str, wanted: &str) {
        for _ in 0..3_000 {
            if self.run(line).is_some_and(|(_, output)| output == wanted) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("`{line}` never answered {wanted:?}: {:?}", self.run(line));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command line; `None` when the console went away before its end.
fn run(data: &Path, line: &str) -> Option<(u8, String)> {
    let mut running = begin(&Layout::new(data).sockets(), "hscroot", line, false).ok()?;
    let mut output = String::new();
    loop {
        match running.next_output() {
            Ok(Ok((_, bytes))) => output.push_str(&String::from_utf8_lossy(&bytes)),
            Ok(Err(status)) => return Some((status, output)),
            Err(_) => return None,
        }
    }
}

fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    directory
}

fn seed() -> u64 {
    let seed = std::env::var("VARAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_126);
    println!("VARAN_SEED={seed}");
    seed
}

fn below(state: &mut u64, limit: u64) -> u64 {
    split_mix(state) % limit
}

/// What a partition's definition is expected to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    id: u16,
    description: String,
    current_profile: String,
    profiles: BTreeMap<String, u64>,
}

type Model = BTreeMap<String, Expected>;

/// A command of the random sequences, with what it does to the definitions when it succeeds.
#[derive(Clone, Debug)]
enum Step {
    Create(String),
    Describe(String, u64),
    Rename(String, String),
    Memory(String, u64),
    MoreMemory(String),
    AddProfile(String, String),
    RemoveProfile(String, String),
    Remove(String),
    On(String),
    Off(String),
}

impl Step {
    fn draw(state: &mut u64) -> Self {
        let name = format!("p{}", below(state, 5));
        let other = format!("p{}", below(state, 5));
        let extra = format!("extra{}", below(state, 2));
        match below(state, 14) {
            0..=2 => Self::Create(name),
            3 | 4 => Self::Describe(name, below(state, 1_000)),
            5 => Self::Rename(name, other),
            6 => Self::Memory(name, 256 * (1 + below(state, 30))),
            7 => Self::MoreMemory(name),
            8 | 9 => Self::AddProfile(name, extra),
            10 => Self::RemoveProfile(name, extra),
            11 => Self::Remove(name),
            12 => Self::On(name),
            _ => Self::Off(name),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Create(name) => {
                format!("mksyscfg -r lpar -m one -i 'name={name},profile_name=first,{RECORD}'")
            }
            Self::Describe(name, number) => {
                format!("chsyscfg -r lpar -m one -i 'name={name},description=d{number}'")
            }
            Self::Rename(name, other) => format!("chsyscfg -r lpar -m one -i 'name={name},new_name={other}'"),
            Self::Memory(name, memory) => {
                format!("chsyscfg -r prof -m one -i 'lpar_name={name},name=first,desired_mem={memory}'")
            }
            Self::MoreMemory(name) => {
                format!("chsyscfg -r prof -m one -i 'lpar_name={name},name=first,desired_mem+=256'")
            }
            Self::AddProfile(name, profile) => {
                let record = RECORD.replace("lpar_env=aixlinux,", "");
                format!("mksyscfg -r prof -m one -i 'name={profile},lpar_name={name},{record}'")
            }
            Self::RemoveProfile(name, profile) => format!("rmsyscfg -r prof -m one -n {profile} -p {name}"),
            Self::Remove(name) => format!("rmsyscfg -r lpar -m one -n {name}"),
            Self::On(name) => format!("chsysstate -r lpar -m one -o on -n {name} -f first"),
            Self::Off(name) => format!("chsysstate -r lpar -m one -o shutdown --immed -n {name}"),
        }
    }

    /// The definitions after the command, if it succeeds.
    fn apply(&self, before: &Model) -> Model {
        let mut model = before.clone();
        match self {
            Self::Create(name) => {
                let id = (1..).find(|id| model.values().all(|one| one.id != *id)).expect("id");
                let profiles = BTreeMap::from([("first".to_owned(), 512)]);
                let expected =
                    Expected { id, description: String::new(), current_profile: String::new(), profiles };
                model.insert(name.clone(), expected);
            }
            Self::Describe(name, number) => {
                if let Some(one) = model.get_mut(name) {
                    one.description = format!("d{number}");
                }
            }
            Self::Rename(name, other) => {
                if let Some(one) = model.remove(name) {
                    model.insert(other.clone(), one);
                }
            }
            Self::Memory(name, memory) => {
                if let Some(one) = model.get_mut(name) {
                    one.profiles.insert("first".to_owned(), *memory);
                }
            }
            Self::MoreMemory(name) => {
                if let Some(memory) = model.get_mut(name).and_then(|one| one.profiles.get_mut("first")) {
                    *memory += 256;
                }
            }
            Self::AddProfile(name, profile) => {
                if let Some(one) = model.get_mut(name) {
                    one.profiles.insert(profile.clone(), 512);
                }
            }
            Self::RemoveProfile(name, profile) => {
                if let Some(one) = model.get_mut(name) {
                    one.profiles.remove(profile);
                }
            }
            Self::Remove(name) => {
                model.remove(name);
            }
            Self::On(name) => {
                if let Some(one) = model.get_mut(name) {
                    one.current_profile = "first".to_owned();
                }
            }
            Self::Off(_) => {}
        }
        model
    }
}

/// Reads the definitions back as a user does.
fn observe(data: &Path) -> Model {
    let (_, partitions) =
        run(data, "lssyscfg -r lpar -m one -F name:lpar_id:description:curr_profile").expect("partitions");
    let (_, profiles) = run(data, "lssyscfg -r prof -m one -F lpar_name:name:desired_mem").expect("profiles");
    let mut model = Model::new();
    for line in partitions.lines().filter(|line| line.contains(':')) {
        let parts: Vec<&str> = line.split(':').collect();
        let expected = Expected {
            id: parts[1].parse().expect("id"),
            description: parts[2].to_owned(),
            current_profile: parts[3].to_owned(),
            profiles: BTreeMap::new(),
        };
        model.insert(parts[0].to_owned(), expected);
    }
    for line in profiles.lines().filter(|line| line.contains(':')) {
        let parts: Vec<&str> = line.split(':').collect();
        let memory = parts[2].parse().expect("memory");
        model.get_mut(parts[0]).expect("partition").profiles.insert(parts[1].to_owned(), memory);
    }
    model
}

/// What the client saw of a sequence: acknowledged steps, and the one that got no answer.
fn client(data: PathBuf, mut state: u64) -> Receiver<(Vec<Step>, Option<Step>)> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut done = Vec::new();
        loop {
            let step = Step::draw(&mut state);
            match run(&data, &step.line()) {
                Some((0, _)) => done.push(step),
                Some((1, _)) => {}
                Some((status, output)) => panic!("{step:?} ended with {status}: {output}"),
                None => {
                    let _ = sender.send((done, Some(step)));
                    return;
                }
            }
        }
    });
    receiver
}

#[test]
fn kill_nine_at_random_points_of_random_sequences() {
    let sequences = if std::env::var("VARAN_SOAK").is_ok() { 2_000 } else { 500 };
    let seed = seed();
    let mut state = seed;
    let data = directory("kill");
    let mut model = Model::new();
    let (mut acknowledged, mut there) = (0, 0);
    let mut program = Program::start(&data, &[]);
    for sequence in 0..sequences {
        let seen = client(data.clone(), split_mix(&mut state));
        std::thread::sleep(Duration::from_micros(below(&mut state, 30_000)));
        program.kill();
        let (done, in_flight) = seen.recv().expect("client");
        program = Program::start(&data, &[]);
        acknowledged += done.len();
        for step in &done {
            model = step.apply(&model);
        }
        let observed = observe(&data);
        let with = in_flight.as_ref().map(|step| step.apply(&model));
        let in_flight_there = with.as_ref() == Some(&observed) && observed != model;
        there += usize::from(in_flight_there);
        assert!(
            observed == model || in_flight_there,
            "seed {seed}, sequence {sequence}\nacknowledged: {done:?}\nin flight: {in_flight:?}\nexpected: {model:#?}\nseen: {observed:#?}"
        );
        model = observed;
    }
    println!(
        "{sequences} sequences, {acknowledged} acknowledged changes, {there} times the one in flight was there"
    );
    assert!(acknowledged > sequences, "the sequences did something");
    drop(program);
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn a_killed_frame_is_a_power_loss_and_the_others_go_on() {
    let data = directory("frame");
    let program = Program::start(&data, &["--split"]);
    for system in ["one", "two"] {
        let create =
            format!("mksyscfg -r lpar -m {system} -i 'name=a,profile_name=first,auto_start=1,{RECORD}'");
        assert_eq!(program.run(&create).expect("answer").0, 0);
        let on = format!("chsysstate -r lpar -m {system} -o on -n a -f first");
        assert_eq!(program.run(&on).expect("answer").0, 0);
        program.until(&format!("lssyscfg -r lpar -m {system} -F name,state"), "a,Running\n");
    }
    let before = program.pid("one");
    kill_process(before, Signal::KILL).expect("kill");
    assert_eq!(program.text("lssyscfg -r lpar -m two -F name,state"), "a,Running\n");
    program.until("lssyscfg -r sys -m one -F state", "Operating\n");
    assert_ne!(program.pid("one"), before);
    // Its definition survived, and it starts again by itself.
    program.until("lssyscfg -r lpar -m one -F name,state,curr_profile", "a,Running,first\n");
    drop(program);
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn a_killed_console_costs_no_partition() {
    let data = directory("console");
    let program = Program::start(&data, &["--split"]);
    let create = format!("mksyscfg -r lpar -m one -i 'name=a,profile_name=first,{RECORD}'");
    assert_eq!(program.run(&create).expect("answer").0, 0);
    assert_eq!(program.run("chsysstate -r lpar -m one -o on -n a -f first").expect("answer").0, 0);
    program.until("lssyscfg -r lpar -m one -F state", "Running\n");
    program.until("lsrefcode -r lpar -m one --filter lpar_names=a -F refcode", "\n");
    let codes = "lsrefcode -r lpar -m one --filter lpar_names=a -n 20 -F time_stamp,refcode";
    let before = program.text(codes);
    let frame = program.pid("one");
    kill_process(program.pid("console"), Signal::KILL).expect("kill");
    program.until("lssyscfg -r lpar -m one -F state", "Running\n");
    assert_eq!(program.text(codes), before, "the guest did not boot again");
    assert_eq!(program.pid("one"), frame);
    drop(program);
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn a_frame_that_hangs_and_comes_back_does_no_harm() {
    let seed = seed();
    let mut state = seed ^ 0x5709;
    let data = directory("hang");
    let program = Program::start(&data, &["--split"]);
    let mut model = Model::new();
    for round in 0..20 {
        let (sender, receiver) = channel();
        let (client_data, mut client_state) = (data.clone(), split_mix(&mut state));
        let client = std::thread::spawn(move || {
            for _ in 0..20 {
                let step = Step::draw(&mut client_state);
                let status = run(&client_data, &step.line()).map(|(status, _)| status);
                sender.send((step, status)).expect("sent");
            }
        });
        std::thread::sleep(Duration::from_micros(below(&mut state, 20_000)));
        kill_process(program.pid("one"), Signal::STOP).expect("stop");
        std::thread::sleep(Duration::from_micros(below(&mut state, 50_000)));
        kill_process(program.pid("one"), Signal::CONT).expect("continue");
        client.join().expect("client");
        for (step, status) in receiver.try_iter() {
            // Every command got its answer: it was done once, or refused.
            match status {
                Some(0) => model = step.apply(&model),
                Some(1) => {}
                other => panic!("seed {seed}, round {round}: {step:?} ended with {other:?}"),
            }
        }
        assert_eq!(observe(&data), model, "seed {seed}, round {round}");
    }
    drop(program);
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn a_full_disk_changes_nothing() {
    let data = directory("full");
    std::fs::create_dir_all(&data).expect("directory");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "varan-test"]).arg(&data).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIP: a full disk: a small file system cannot be mounted here");
        return;
    }
    let unmount = Unmount(data.clone());
    let program = Program::start(&data, &[]);
    let create = |name: &str| format!("mksyscfg -r lpar -m one -i 'name={name},profile_name=first,{RECORD}'");
    assert_eq!(program.run(&create("before")).expect("answer").0, 0);
    let ballast = data.join("ballast");
    let _ = std::fs::write(&ballast, vec![0; 12 << 20]);
    let before = observe(&data);
    let mut refused = None;
    for number in 0..2_000 {
        let (status, output) = program.run(&create(&format!("n{number}"))).expect("answer");
        if status != 0 {
            refused = Some(output);
            break;
        }
    }
    let refused = refused.expect("the disk is full");
    assert!(refused.contains("HSCL0002"), "{refused}");
    let full = observe(&data);
    assert!(full.len() >= before.len());
    std::fs::remove_file(&ballast).expect("freed");
    assert_eq!(program.run(&create("after")).expect("answer").0, 0);
    let expected = observe(&data);
    program.kill();
    let program = Program::start(&data, &[]);
    assert_eq!(observe(&data), expected);
    drop(program);
    drop(unmount);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
