//! The program as its users reach it: the binary, real OpenSSH clients, files of the home, signals.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

struct Program {
    child: Child,
    data: PathBuf,
}

fn have(tool: &str) -> bool {
    let found = Command::new("which").arg(tool).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIP: {tool} is not installed");
    }
    found
}

impl Program {
    fn start(name: &str, more: &[&str]) -> Self {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        Self::start_in(data, more)
    }

    fn start_in(data: PathBuf, more: &[&str]) -> Self {
        std::fs::create_dir_all(&data).expect("data");
        std::fs::write(data.join("askpass"), "#!/bin/sh\ncat \"$(dirname \"$0\")/password\"\n")
            .expect("askpass");
        std::fs::write(data.join("password"), "abc123\n").expect("password");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(data.join("askpass"), mode).expect("mode");
        let mut child = Command::new(env!("CARGO_BIN_EXE_varan"))
            .args(["up", "--site", "demo", "--ssh-port", "0", "--data"])
            .arg(&data)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("program");
        let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.starts_with("ready:")));
        // What it prints later has nobody to read it: keep the pipe open and drained.
        std::thread::spawn(move || lines.for_each(drop));
        let program = Self { child, data };
        assert!(ready, "the program did not become ready");
        program
    }

    fn client(&self, tool: &str) -> Command {
        let mut command = Command::new("setsid");
        command.args(["-w", tool, "-F"]).arg(self.data.join("ssh_config"));
        command.env("SSH_ASKPASS", self.data.join("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
        command
    }

    fn ssh(&self, line: &str) -> Output {
        self.client("ssh").args(["myhmc", line]).stdin(Stdio::null()).output().expect("ssh")
    }

    fn text(&self, line: &str) -> (String, Option<i32>) {
        let output = self.ssh(line);
        assert!(output.stderr.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

#[test]
fn commands_errors_and_exit_status_over_exec() {
    if !have("ssh") || !have("setsid") {
        return;
    }
    let program = Program::start("exec", &[]);
    assert_eq!(program.text("lssyscfg -r sys -F name | head -1"), ("p814-1\n".to_owned(), Some(0)));
    let (output, status) = program.text("lssyscfg -r lpar -m p814-1 --filter lpar_names=nobody");
    assert!(output.starts_with("HSCL8012 "), "errors come on standard output: {output}");
    assert_eq!(status, Some(1));
    assert_eq!(program.text("exit 7").1, Some(7));
    let (output, _) = program
        .text("for i in vios1 vios2; do lssyscfg -r lpar -m p814-1 --filter lpar_names=$i -F name; done");
    assert_eq!(output, "vios1\nvios2\n");
    let missing = program.ssh("gawk 1");
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(127), 0));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("gawk: command not found"));
}

#[test]
fn records_are_copied_and_used_and_the_home_is_a_cage() {
    if !have("scp") || !have("setsid") {
        return;
    }
    let program = Program::start("files", &[]);
    let local = program.data.join("records");
    let record = "name=copied,profile_name=p,lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=1024,proc_mode=ded,min_procs=1,desired_procs=1,max_procs=1,sharing_mode=keep_idle_procs\n";
    std::fs::write(&local, record).expect("file");
    let copied = program.client("scp").arg(&local).arg("myhmc:records.txt").output().expect("scp");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(
        program.text("mksyscfg -r lpar -m p814-1 -f records.txt; cat records.txt | cut -d, -f1"),
        ("name=copied\n".to_owned(), Some(0))
    );
    assert_eq!(
        program.text("lssyscfg -r lpar -m p814-1 --filter lpar_names=copied -F state").0,
        "Not Activated\n"
    );
    let escape = program
        .client("scp")
        .arg("myhmc:/etc/passwd")
        .arg(program.data.join("stolen"))
        .output()
        .expect("scp");
    assert!(!escape.status.success() && !program.data.join("stolen").exists());
    let (output, status) = (program.ssh("cat /etc/passwd"), 1);
    assert_eq!(output.status.code(), Some(status));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_wrong_password_is_refused_and_a_public_key_lets_in() {
    if !have("ssh-keygen") || !have("setsid") {
        return;
    }
    // The demonstration site with one more user, who has a key.
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keys-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).expect("data");
    let key = data.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen");
    assert!(made.success());
    let public = std::fs::read_to_string(data.join("key.pub")).expect("public key");
    let demo = varan::sites::SHIPPED.iter().find(|(name, _)| *name == "demo").expect("demo").1;
    let user = format!(
        "\n[[console.user]]\nname = \"robot\"\ntaskrole = \"hmcviewer\"\ndescription = \"Automation\"\nauthorized_keys = [\"{}\"]\n",
        public.trim()
    );
    let at = demo.find("[[console.user]]").expect("users");
    let site = data.join("site.toml");
    std::fs::write(&site, format!("{}{}\n{}", &demo[..at], user.trim_start(), &demo[at..])).expect("site");
    let program = Program::start_in(data.clone(), &["--site", site.to_str().expect("path")]);
    let output = program
        .client("ssh")
        .args(["-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-i"])
        .arg(&key)
        .args(["robot@myhmc", "whoami; chsysstate -r lpar -m p814-1 -o shutdown --immed -n vios1"])
        .output()
        .expect("ssh");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("robot\nHSCL350B"), "{text} {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(data.join("password"), "wrong\n").expect("password");
    let refused = program
        .client("ssh")
        .args(["-o", "NumberOfPasswordPrompts=1", "hscroot@myhmc", "whoami"])
        .output()
        .expect("ssh");
    assert_eq!(refused.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"));
}

#[test]
fn an_interactive_session_edits_remembers_and_opens_a_terminal() {
    if !have("ssh") || !have("setsid") {
        return;
    }
    let program = Program::start("interactive", &[]);
    let mut client = program
        .client("ssh")
        .args(["-tt", "-e", "none", "myhmc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh");
    let mut input = client.stdin.take().expect("input");
    let mut screen = Screen::new(client.stdout.take().expect("output"));
    screen.expect("hscroot@myhmc:~> ");
    // A typing error, mended with the cursor keys; then the line again from history.
    input.write_all(b"echo hallo\x1b[D\x1b[D\x1b[D\x7fe\x05\r").expect("typed");
    screen.expect("\nhello");
    screen.expect("hscroot@myhmc:~> ");
    input.write_all(b"\x1b[A\r").expect("typed");
    screen.expect("\nhello");
    screen.expect("hscroot@myhmc:~> ");
    input.write_all(b"for i in 1 2\r").expect("typed");
    screen.expect("> ");
    input.write_all(b"do echo number$i; done\r").expect("typed");
    screen.expect("\nnumber2");
    screen.expect("hscroot@myhmc:~> ");
    input.write_all(b"sleep 1000\r").expect("typed");
    screen.expect("sleep 1000");
    input.write_all(b"\x03").expect("typed");
    screen.expect("hscroot@myhmc:~> ");
    input.write_all(b"echo $?\r").expect("typed");
    screen.expect("130");
    input.write_all(b"mkvterm -m p814-1 -p vios1\r").expect("typed");
    screen.expect("Open Completed.");
    input.write_all(b"\r").expect("typed");
    screen.expect("login:");
    input.write_all(b"~.").expect("typed");
    screen.expect("Terminate session? [y/n]");
    input.write_all(b"y").expect("typed");
    screen.expect("hscroot@myhmc:~> ");
    input.write_all(b"exit 5\r").expect("typed");
    assert_eq!(client.wait().expect("end").code(), Some(5));
}

/// In one process and in many: a terminal that is opened before the partition is activated shows its boot, knows its
/// window, stays open when the connection breaks, and is closed by rmvterm.
#[test]
fn a_virtual_terminal_over_ssh_outlives_guest_and_connection() {
    if !have("ssh") || !have("setsid") || !have("script") {
        return;
    }
    for (name, more) in [("terminal", &[][..]), ("terminal-split", &["--split"][..])] {
        let program = Program::start(name, more);
        let made = program.text(
            "mksyscfg -r lpar -m p814-1 -i 'name=t1,profile_name=p,lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=1024,proc_mode=shared,min_procs=1,desired_procs=1,max_procs=1,min_proc_units=0.1,desired_proc_units=0.1,max_proc_units=0.5,sharing_mode=cap'",
        );
        assert_eq!(made, (String::new(), Some(0)));
        let config = program.data.join("ssh_config");
        // A window of its own size; OpenSSH tells the server about it.
        let line = format!(
            "echo process $$ of ssh; stty rows 40 columns 120; exec ssh -tt -e none -F {} myhmc mkvterm -m p814-1 -p t1",
            config.display()
        );
        let mut client = Command::new("setsid")
            .args(["-w", "script", "-qfc", &line, "/dev/null"])
            .env("SSH_ASKPASS", program.data.join("askpass"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh");
        let mut input = client.stdin.take().expect("input");
        let mut screen = Screen::new(client.stdout.take().expect("output"));
        screen.expect("process ");
        let process: i32 = screen.until(" of ssh").trim().parse().expect("process number");
        let process = rustix::process::Pid::from_raw(process).expect("process number");
        screen.expect("Open Completed.");
        assert_eq!(
            program.text("chsysstate -r lpar -m p814-1 -o on -n t1 -f p").1,
            Some(0),
            "an open terminal blocks nothing"
        );
        screen.expect("login:");
        input.write_all(b"root\r").expect("typed");
        screen.expect("assword:");
        input.write_all(b"abc123\r").expect("typed");
        screen.expect("# ");
        input.write_all(b"stty size\r").expect("typed");
        screen.expect("40 120");
        input.write_all(b"shutdown -Fr\r").expect("typed");
        screen.expect("Rebooting");
        screen.expect("login:");
        let (second, status) = program.text("mkvterm -m p814-1 -p t1");
        assert!(second.contains("A terminal session is already open for this partition."), "{second}");
        assert_eq!(status, Some(0));
        // The connection breaks: the session stays open, as on the real console.
        rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("signal");
        client.wait().expect("end");
        drop(input);
        let kept = program.text("mkvterm -m p814-1 -p t1").0;
        assert!(kept.contains("already open"), "{kept}");
        assert_eq!(program.text("rmvterm -m p814-1 -p t1"), ("Close command sent\n".to_owned(), Some(0)));
        let (opened, status) = program.text("mkvterm -m p814-1 -p t1");
        assert!(
            opened.contains(" Open Completed. ")
                && opened.ends_with(" The write socket has closed. Exiting.\n"),
            "{opened}"
        );
        assert_eq!(status, Some(0));
    }
}

/// What a client shows, read until a text comes.
struct Screen {
    output: std::process::ChildStdout,
    seen: String,
}

impl Screen {
    fn new(output: std::process::ChildStdout) -> Self {
        Self { output, seen: String::new() }
    }

    fn expect(&mut self, text: &str) {
        self.until(text);
    }

    /// What comes before a text.
    fn until(&mut self, text: &str) -> String {
        use std::io::Read;
        let mut buffer = [0; 4_096];
        loop {
            if let Some(at) = self.seen.find(text) {
                let mut before: String = self.seen.drain(..at + text.len()).collect();
                before.truncate(at);
                return before;
            }
            let count = self.output.read(&mut buffer).expect("read");
            assert!(count > 0, "`{text}` never came: {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }
}

#[test]
fn a_terminated_program_ends_cleanly_and_starts_again() {
    let mut program = Program::start("signal", &[]);
    let hmc = |data: &Path, line: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_varan"))
            .args(["hmc", "--data"])
            .arg(data)
            .arg(line)
            .output()
            .expect("hmc");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    assert_eq!(hmc(&program.data, "chsyscfg -r sys -m p814-1 -i 'description=kept'").1, Some(0));
    let pid = rustix::process::Pid::from_raw(i32::try_from(program.child.id()).expect("pid")).expect("pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signal");
    assert_eq!(program.child.wait().expect("end").code(), Some(0));
    let data = program.data.clone();
    let kept = data.with_extension("kept");
    std::fs::rename(&data, &kept).expect("rename");
    drop(program);
    let program = Program::start_in(kept, &[]);
    assert_eq!(
        hmc(&program.data, "lssyscfg -r sys -m p814-1 -F description"),
        ("kept\n".to_owned(), Some(0))
    );
    let second = Command::new(env!("CARGO_BIN_EXE_varan"))
        .args(["up", "--ssh-port", "0", "--data"])
        .arg(&program.data)
        .output()
        .expect("second");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process uses the data directory"));
}

#[test]
fn logins_can_be_switched_off_and_long_lines_are_answered() {
    if !have("ssh") || !have("setsid") {
        return;
    }
    let program = Program::start("switched-off", &[]);
    let half = "x".repeat(100_000);
    let output = program.client("ssh").args(["myhmc", "echo", &half, &half]).output().expect("ssh");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "The command line cannot be run: it has more than 131072 bytes.\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(program.text("chhmc -c ssh -s disable"), (String::new(), Some(0)));
    assert_eq!(program.ssh("lshmc -V").status.code(), Some(255));
    let status = Command::new(env!("CARGO_BIN_EXE_varan"))
        .args(["hmc", "--data"])
        .arg(&program.data)
        .arg("chhmc -c ssh -s enable")
        .status();
    assert_eq!(status.expect("hmc").code(), Some(0));
    assert_eq!(program.text("lshmc -r -F ssh"), ("enable\n".to_owned(), Some(0)));
}

#[test]
fn a_virtual_io_server_is_entered_by_its_name_and_by_a_route() {
    if !have("ssh") || !have("setsid") {
        return;
    }
    let program = Program::start("servers", &[]);
    std::fs::write(program.data.join("password"), "padmin\n").expect("password");
    let enter = |target: &[&str], line: &str| {
        let mut command = program.client("ssh");
        command.args(["-o", "NumberOfPasswordPrompts=1"]).args(target).arg(line).stdin(Stdio::null());
        command.output().expect("ssh")
    };
    // It lets nobody in before it runs.
    let entered = |target: &[&str], line: &str| {
        let mut output = enter(target, line);
        for _ in 0..120 {
            if output.status.success() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(500));
            output = enter(target, line);
        }
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(entered(&["padmin@vios1.p814-1"], "hostname; ioslevel"), "vios1\n2.2.5.10\n");
    assert_eq!(entered(&["-l", "padmin%vios2%p814-1", "myhmc"], "hostname"), "vios2\n");
    let root = entered(&["padmin@vios1.p814-1"], "echo 'id -un; ls /dev/null' | oem_setup_env");
    assert_eq!(root, "root\n/dev/null\n");
    let refused = enter(&["padmin@vios1.p814-1"], "ls > x");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).starts_with("rksh: x: "), "{refused:?}");
    assert_eq!(enter(&["padmin@vios1.p814-1"], "lsdev -dev nosuch").status.code(), Some(2));
    for nobody in [&["root@vios1.p814-1"][..], &["-l", "padmin%nosuch%p814-1", "myhmc"]] {
        let output = enter(nobody, "hostname");
        assert!(!output.status.success() && output.stdout.is_empty(), "{nobody:?}: {output:?}");
    }
}
