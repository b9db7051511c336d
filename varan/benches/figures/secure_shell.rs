//! Listings over SSH with the OpenSSH client, on connections that are open: exec, where each command is a client process
//! with a channel of its own, and an interactive shell, where all commands go through one channel.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use varan_environment::Environment;

use crate::commands::{Cases, NOTHING, line, one_frame, one_partition, print, same_partition};
use crate::measured::{self, CONSOLE, FRAMES, Scratch, USER};
use crate::statistics::{Series, slower};
use crate::up::Program;
use crate::{SIZES, scaled, timed};

const ROUNDS: usize = 9;
const EXEC_ONE_EACH: usize = 60;
const EXEC_FRAME_EACH: usize = 20;
const SHELL_ONE_EACH: usize = 200;
const SHELL_FRAME_EACH: usize = 20;

/// How the client reaches one site.
struct Client {
    configuration: PathBuf,
    key: PathBuf,
    control: PathBuf,
}

impl Client {
    fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-F"]).arg(&self.configuration);
        command.arg("-i").arg(&self.key).arg("-S").arg(&self.control);
        command
    }

    fn open_connection(&self) {
        let status =
            self.command().args(["-M", "-f", "-N", CONSOLE]).stdin(Stdio::null()).status().expect("ssh");
        assert!(status.success(), "the connection cannot be opened");
    }

    fn exec(&self, command: &str) -> String {
        let output = self.command().args([CONSOLE, command]).stdin(Stdio::null()).output().expect("ssh");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}: {text}");
        text
    }

    /// Only asks the client that holds the connection whether it is there; the console hears nothing of it.
    fn check(&self) {
        let status = self.command().args(["-O", "check", CONSOLE]).stderr(Stdio::null()).status();
        assert!(status.expect("ssh").success());
    }

    fn close_connection(&self) {
        let _ = self.command().args(["-O", "exit", CONSOLE]).stderr(Stdio::null()).status();
    }
}

/// An interactive shell on the open connection.
struct Interactive {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    prompt: String,
}

impl Interactive {
    fn open(client: &Client) -> Self {
        let mut command = client.command();
        command.args(["-tt", CONSOLE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("ssh");
        let input = child.stdin.take().expect("standard input");
        let output = child.stdout.take().expect("standard output");
        let mut shell = Self { child, input, output, prompt: format!("{USER}@{CONSOLE}:~> ") };
        let mut seen = Vec::new();
        while !seen.ends_with(shell.prompt.as_bytes()) {
            shell.read(&mut seen);
        }
        shell
    }

    fn read(&mut self, seen: &mut Vec<u8>) {
        let mut buffer = [0; 16 << 10];
        let count = self.output.read(&mut buffer).expect("the shell's output");
        assert_ne!(count, 0, "the shell ended: {}", String::from_utf8_lossy(seen));
        seen.extend_from_slice(&buffer[..count]);
    }

    /// Types a line; what comes until the next prompt, the echo of the line included.
    fn run(&mut self, line: &str) -> String {
        self.input.write_all(format!("{line}\r").as_bytes()).expect("the shell's input");
        let mut seen = Vec::new();
        loop {
            self.read(&mut seen);
            let last = seen.iter().rposition(|byte| *byte == b'\n');
            if last.is_some_and(|last| seen[last + 1..] == *self.prompt.as_bytes()) {
                return String::from_utf8_lossy(&seen).into_owned();
            }
        }
    }
}

impl Drop for Interactive {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"exit\r");
        let _ = self.child.wait();
    }
}

struct Opened {
    partitions: usize,
    shell: Option<Interactive>,
    client: Client,
    exec: Cases,
    client_alone: Series,
    interactive: Cases,
    _program: Program,
}

impl Opened {
    fn start(partitions: usize, scratch: &Scratch, key: &Path) -> Self {
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("public key");
        let site = scratch.path().join(format!("{partitions}.toml"));
        std::fs::write(&site, measured::site_text(partitions, 1, Some(public.trim()))).expect("site file");
        let data = scratch.path().join(format!("data-{partitions}"));
        let program = Program::start(&site, &data);
        let client = Client {
            configuration: data.join("ssh_config"),
            key: key.to_owned(),
            control: scratch.path().join(format!("{partitions}.control")),
        };
        client.open_connection();
        let mut shell = Interactive::open(&client);
        for step in 0..FRAMES {
            assert_eq!(client.exec(&one_frame(step)).lines().count(), partitions / FRAMES);
            assert_eq!(client.exec(&one_partition(partitions, step)).lines().count(), 1);
            let shown = shell.run(&one_frame(step));
            assert_eq!(shown.matches("Not Activated").count(), partitions / FRAMES, "{shown}");
            shell.run(&one_partition(partitions, step));
        }
        let shell = Some(shell);
        Self {
            partitions,
            shell,
            client,
            exec: Cases::default(),
            client_alone: Series::default(),
            interactive: Cases::default(),
            _program: program,
        }
    }

    fn round(&mut self, environment: &Arc<dyn Environment>) {
        let (client, partitions) = (&self.client, self.partitions);
        let exec = |command: &str| timed(environment, || client.exec(command));
        self.exec.nothing.push((0..EXEC_ONE_EACH).map(|_| exec(NOTHING)).collect());
        self.exec.one.push((0..EXEC_ONE_EACH).map(|step| exec(&one_partition(partitions, step))).collect());
        self.exec.same.push((0..EXEC_ONE_EACH).map(|step| exec(&same_partition(step))).collect());
        self.exec.frame.push((0..EXEC_FRAME_EACH).map(|step| exec(&one_frame(step))).collect());
        self.client_alone.push((0..EXEC_ONE_EACH).map(|_| timed(environment, || client.check())).collect());
        let Some(shell) = &mut self.shell else { return };
        let mut typed = |command: &str| timed(environment, || shell.run(command));
        self.interactive.nothing.push((0..SHELL_ONE_EACH).map(|_| typed(NOTHING)).collect());
        self.interactive
            .one
            .push((0..SHELL_ONE_EACH).map(|step| typed(&one_partition(partitions, step))).collect());
        self.interactive.same.push((0..SHELL_ONE_EACH).map(|step| typed(&same_partition(step))).collect());
        self.interactive.frame.push((0..SHELL_FRAME_EACH).map(|step| typed(&one_frame(step))).collect());
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shell = None;
        self.client.close_connection();
    }
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-ssh");
    let key = scratch.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "figures", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("SKIP: figures over SSH: there is no OpenSSH client");
        return;
    }
    let mut sites: Vec<Opened> = SIZES.iter().map(|size| Opened::start(*size, &scratch, &key)).collect();
    for round in 0..scaled(ROUNDS) {
        let first = round % sites.len();
        sites.rotate_left(first);
        for site in &mut sites {
            site.round(environment);
        }
        sites.sort_by_key(|site| site.partitions);
    }
    let exec: Vec<(usize, &Cases)> = sites.iter().map(|site| (site.partitions, &site.exec)).collect();
    print("On an open SSH connection, exec: one client process and one channel for each command", &exec);
    for site in &sites {
        let compared = slower(&site.exec.one, &site.client_alone).show();
        let compared = format!("one partition takes {compared} times that");
        line("the client process alone (`ssh -O check`)", site.partitions, &site.client_alone, compared);
    }
    let interactive: Vec<(usize, &Cases)> =
        sites.iter().map(|site| (site.partitions, &site.interactive)).collect();
    print("On an open SSH connection, interactive shell: all commands through one channel", &interactive);
}
