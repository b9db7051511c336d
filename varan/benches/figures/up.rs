//! The program itself, started as a user starts it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::measured::FRAMES;

/// A site that is up in a process of its own. Stopped when dropped.
pub struct Program {
    child: Child,
    data: PathBuf,
    // Held open: the program prints there until its end.
    _output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts the program on a site file and waits for its line `ready:`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(site: &Path, data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_varan"))
            .args(["up", "--ssh-port", "0", "--site"])
            .arg(site)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut output = BufReader::new(child.stdout.take().expect("standard output"));
        let mut line = String::new();
        while !line.starts_with("ready:") {
            line.clear();
            assert_ne!(
                output.read_line(&mut line).expect("a line"),
                0,
                "the program ended before it was ready"
            );
        }
        Self { child, data: data.to_owned(), _output: output }
    }

    /// Asks every frame, until all of them answer.
    pub fn wait_until_all_frames_answer(&self) {
        loop {
            let output = Command::new(env!("CARGO_BIN_EXE_varan"))
                .arg("hmc")
                .arg("--data")
                .arg(&self.data)
                .arg("lssyscfg -r sys -F name,state")
                .output()
                .expect("the program");
            let text = String::from_utf8_lossy(&output.stdout);
            if text.lines().filter(|line| line.ends_with(",Operating")).count() == FRAMES {
                return;
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
