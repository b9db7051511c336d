//! A console for the tests: commands that record their arguments.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_shell::{
    Cancellation, Capture, Channels, CommandHost, Feature, Identity, Input, Limits, MemoryTree, Output,
    Shell, Streams, TreePath, WallClock,
};

/// What a recorded command got.
pub type Call = Vec<String>;

/// A host whose commands record their arguments and give fixed answers.
#[derive(Default)]
pub struct RecordingHost {
    pub calls: Mutex<Vec<Call>>,
    pub features: Vec<Feature>,
    /// The names of the threads that commands ran on.
    pub threads: Mutex<Vec<Option<String>>>,
}

const COMMANDS: &[&str] = &["chhwres", "chsyscfg", "endless", "fails", "lssyscfg", "raw", "wait"];

impl RecordingHost {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub fn allowing(features: &[Feature]) -> Arc<Self> {
        Arc::new(Self { features: features.to_vec(), ..Self::default() })
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("calls").clone()
    }

    fn answer(&self, name: &str, arguments: &[String], streams: Streams<'_>) -> std::io::Result<u8> {
        let mut output = streams.output;
        match name {
            "lssyscfg" if arguments.iter().any(|argument| argument == "sys") => {
                output.write_all(b"p824-1\np824-2\n")?;
            }
            "lssyscfg" => output.write_all(b"lpar1\nvioserver1\nlpar2\nvioserver2\n")?,
            "fails" => {
                output.write_all(b"HSCL8012 The partition named lpar9 was not found.\n")?;
                return Ok(1);
            }
            "endless" => loop {
                output.write_all(b"tick\n")?;
            },
            // Waits for input that may never come: only a cancellation or the input's end ends it.
            "wait" => {
                output.write_all(b"waiting\n")?;
                let mut input = streams.input;
                while input.read(&mut [0; 64])? > 0 {}
            }
            "raw" => {
                let Some(terminal) = streams.terminal else { return Ok(1) };
                let raw = terminal.raw();
                raw.write_all(b"open\n", streams.cancellation)?;
                let mut byte = [0];
                while raw.read(&mut byte, streams.cancellation)? > 0 && byte[0] != b'~' {
                    raw.write_all(format!("<{}>", byte[0]).as_bytes(), streams.cancellation)?;
                }
            }
            _ => {}
        }
        Ok(0)
    }
}

impl CommandHost for RecordingHost {
    fn lookup(&self, name: &str) -> bool {
        COMMANDS.contains(&name)
    }

    fn run(&self, name: &str, arguments: &[String], streams: Streams<'_>) -> u8 {
        let mut call = vec![name.to_string()];
        call.extend(arguments.iter().cloned());
        self.calls.lock().expect("calls").push(call);
        let thread = std::thread::current().name().map(str::to_string);
        self.threads.lock().expect("threads").push(thread);
        match self.answer(name, arguments, streams) {
            Ok(status) => status,
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 141,
            Err(_) => 130,
        }
    }

    fn command_names(&self) -> Vec<String> {
        COMMANDS.iter().map(|name| (*name).to_string()).collect()
    }

    fn user_name(&self) -> String {
        "hscroot".to_string()
    }

    fn host_name(&self) -> String {
        "hmc1".to_string()
    }

    fn identity(&self) -> Identity {
        Identity { user_id: 500, groups: vec![(500, "hmc".to_string()), (502, "audit".to_string())] }
    }

    fn allows(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    fn wall_clock(&self) -> WallClock {
        WallClock {
            unix_seconds: 1_437_000_000,
            nanoseconds: 0,
            offset_seconds: 7200,
            zone: "CEST".to_string(),
        }
    }

    /// Time passes only by cancellation, so that no test depends on it; short sleeps end at once.
    fn sleep(&self, duration: Duration, cancellation: &Cancellation) {
        if duration > Duration::from_secs(60) {
            while !cancellation.wait(Duration::from_secs(3600)) {}
        }
    }

    fn manual(&self, name: &str) -> Option<String> {
        (name == "lssyscfg").then(|| "LSSYSCFG\n\nlists resources\n".to_string())
    }
}

/// Files that the test scripts see below the home directory.
pub const FILES: &[(&str, &str)] = &[
    ("names.txt", "lpar2\nlpar1\nlpar1\n"),
    ("notes.txt", "one two three\nfour\n"),
    ("logs/a b.log", "x\n"),
    ("logs/c.log", "y\n"),
    (".hidden", "h\n"),
];

/// The home directory of the test's user.
pub const HOME: &str = "/home/hscroot";

pub fn files() -> Arc<MemoryTree> {
    let home = TreePath::resolve(&TreePath::root(), HOME).expect("a path");
    let tree = MemoryTree::new("hscroot").with_home(home);
    for (path, content) in FILES {
        tree.add(&format!("{HOME}/{path}"), content.as_bytes()).expect("a file");
    }
    Arc::new(tree)
}

/// What a script did.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub output: String,
    pub error: String,
    pub status: u8,
}

pub fn run_on(host: &Arc<RecordingHost>, script: &str, input: &str) -> Outcome {
    run_with(host, script, input, Limits::default())
}

pub fn run_with(host: &Arc<RecordingHost>, script: &str, input: &str, limits: Limits) -> Outcome {
    let mut shell = Shell::with_limits(host.clone(), files(), limits);
    let cancellation = Cancellation::new();
    let (output, error) = (Capture::new(64 << 20), Capture::new(64 << 20));
    let status = shell.run_script(
        script,
        Channels {
            input: Input::from_bytes(input.as_bytes().to_vec()),
            output: Output::new(output.clone(), &cancellation),
            error: Output::new(error.clone(), &cancellation),
            terminal: None,
            cancellation,
        },
    );
    let text = |capture: Arc<Capture>| String::from_utf8_lossy(&capture.take()).into_owned();
    Outcome { output: text(output), error: text(error), status }
}

pub fn run(script: &str) -> Outcome {
    run_on(&RecordingHost::new(), script, "")
}

/// Words whose expansion does not depend on the host.
const WORDS: &[&str] = &[
    "a",
    "'b c'",
    "\"$x\"",
    "$x",
    "$?",
    "${x:-d}",
    "${x%b*}",
    "${x%%[bc]*}",
    "$'t\\x41q'",
    "\"${x/c/\"y z\"}\"",
    "\"$*\"",
    "$@",
    "'a b  c'",
    "b:c",
    "\"`echo \"$x\"`\"",
    "${x#*b}",
    "${#x}",
    "\"$@\"",
    "$#",
    "$1",
    "$((${#x} * 2 - 1))",
    "{p,q}",
    "n*.txt",
    "'*'",
    "\"\"",
    "$y$x",
    "${y:+z}",
    "${x//b/-}",
    "${x:1:2}",
    "\\$x",
    "\"a  $x\"",
    "~",
    "a\"b\"'c'",
];

/// A script that bash and this shell understand the same way, made of nested commands; it always ends.
pub fn script(random: &mut fastrand::Rng, depth: u32) -> String {
    let word = |random: &mut fastrand::Rng| *random.choice(WORDS).expect("words");
    if depth == 0 || random.u8(..4) == 0 {
        let (one, two) = (word(random), word(random));
        return match random.u8(..24) {
            0 => "true".to_string(),
            1 => "false".to_string(),
            2 => format!("x={one}"),
            3 => format!("y={one} x={two}"),
            4 => format!("[ {one} = {two} ] 2>/dev/null"),
            5 => format!("[[ {one} == {two} ]]"),
            6 => format!("printf '<%s>' {one} {two}"),
            7 => format!("set -- {one} {two}"),
            8 => "shift".to_string(),
            9 => "read x y".to_string(),
            10 => format!("unset y; echo {one}"),
            11 => format!("(( ${{#x}} > {} ))", random.u8(..4)),
            12 => "cat names.txt".to_string(),
            13 => format!("export y={one}"),
            14 => format!("IFS={one}"),
            15 => "unset IFS".to_string(),
            16 => format!("echo {one}-{two}$x"),
            17 => format!("for j in {one} {two}; do echo \"<$j>\"; done"),
            18 => format!("echo {one} | {{ read x y; echo \"$y|$x\"; }}"),
            19 => format!("echo \"${{x:-{one}}}\" ${{z:-{two}}}"),
            20 => format!("printf '%s|%5s|%-3s|\\n' {one} {two}"),
            _ => format!("echo {one} {two}"),
        };
    }
    let mut next = || script(random, depth - 1);
    let (first, second) = (next(), next());
    match random.u8(..19) {
        0 => format!("if {first}; then {second}; else echo no; fi"),
        1 => format!("for i in {} {}; do {first}; echo $i; done", word(random), word(random)),
        2 => format!("{{ {first}; }} | {{ {second}; }}"),
        3 => format!("( {first}; {second} )"),
        4 => format!("x=$( {first})"),
        5 => format!("echo \"$( {first}; {second})\" `echo e`"),
        6 => format!("{first} && {second}"),
        7 => format!("{{ {first}; }} || {{ {second}; }}"),
        8 => format!("case {} in a) {first};; *b*) {second};; *) echo other;; esac", word(random)),
        9 => format!("while read x; do {first}; done < names.txt"),
        10 => format!("f() {{ local x; {first}; return 3; }}; f {} {}", word(random), word(random)),
        11 => format!("! {{ {first}; }}"),
        12 => format!("for i in 1 2 3; do {first}; [ $i = 2 ] && break; done"),
        13 => format!("for i in 1 2; do {first} || continue; {second}; done"),
        14 => format!("cat <<< \"$x $( {first})\"; {second}"),
        15 => format!("{{ {first}; }} 2>/dev/null < notes.txt"),
        16 => format!("echo a{{b,\"$( {first})\"}}; {second}"),
        17 => format!("for (( k=0; k<2; k++ )); do {first}; done"),
        _ => format!("{first}\n{second}"),
    }
}
