//! `hmcshutdown`: the console's services end and come back; frames and partitions notice nothing.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Times that something which must come is looked for; only a defect reaches it.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

struct Site {
    data: PathBuf,
    child: Child,
    ssh: SocketAddr,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn varan() -> Command {
    Command::new(env!("CARGO_BIN_EXE_varan"))
}

fn start(name: &str, more: &[&str]) -> Site {
    let data = std::env::temp_dir().join(format!("varan-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&data);
    let mut child = varan()
        .args(["up", "--site", "demo", "--ssh-port", "0", "--data"])
        .arg(&data)
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines().map_while(Result::ok);
    let mut ssh = None;
    for line in lines.by_ref() {
        if let Some((_, rest)) = line.split_once("ssh -p ") {
            let port = rest.split(' ').next().and_then(|port| port.parse().ok());
            ssh = port.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
        }
        if line.starts_with("ready:") {
            break;
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    Site { data, child, ssh: ssh.expect("address") }
}

impl Site {
    fn hmc(&self, line: &str) -> (String, bool) {
        let output = varan().arg("hmc").arg("--data").arg(&self.data).arg(line).output().expect("run");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (text, output.status.success())
    }

    fn wait(&self, what: &str, mut check: impl FnMut() -> bool) {
        for _ in 0..ATTEMPTS {
            if check() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("{what} did not come");
    }

    /// Whether an SSH server greets.
    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.ssh, Duration::from_secs(5)) else {
            return false;
        };
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-"
    }

    fn partitions(&self) -> (String, bool) {
        self.hmc("lssyscfg -r lpar -m p814-1 -F name,state")
    }
}

fn a_console_goes_off_and_on(site: &Site) {
    site.wait("partitions", || site.partitions().0.matches("Running").count() == 2);
    let connected = TcpStream::connect(site.ssh).expect("connected");
    assert!(site.greets());
    let (text, accepted) = site.hmc("hmcshutdown -t now");
    assert!(accepted, "{text}");
    site.wait("the end of services", || !site.greets());
    // Who was connected is not any more.
    let mut rest = Vec::new();
    let mut connected = connected;
    connected.set_read_timeout(Some(Duration::from_secs(60))).expect("time-out");
    let ended = connected.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    let (text, accepted) = site.partitions();
    assert!(!accepted && text.contains("is shut down"), "{text}");
    let on = varan().args(["hmc", "--power-on", "--data"]).arg(&site.data).status().expect("run");
    assert!(on.success());
    site.wait("the start of services", || site.greets());
    site.wait("the console", || site.partitions().1);
    let (text, _) = site.partitions();
    assert_eq!(text.matches("Running").count(), 2, "{text}");
    // It comes back by itself, on the same address.
    let (text, accepted) = site.hmc("hmcshutdown -t 1 -r");
    assert!(accepted, "{text}");
    site.wait("the end of services", || !site.partitions().1);
    site.wait("the restart", || site.greets() && site.partitions().1);
    let audit = site.hmc("lssvcevents -t console --filter names=hmcshutdown -F text").0;
    assert!(
        audit.contains("ran: hmcshutdown -t now") && audit.contains("ran: hmcshutdown -t 1 -r"),
        "{audit}"
    );
}

#[test]
fn a_console_goes_off_and_on_in_one_process() {
    a_console_goes_off_and_on(&start("power-one", &[]));
}

#[test]
fn a_console_goes_off_and_on_in_its_own_process() {
    let site = start("power-split", &["--split"]);
    a_console_goes_off_and_on(&site);
    assert!(Path::new(&site.data).join("run/myhmc.pid").exists());
}
