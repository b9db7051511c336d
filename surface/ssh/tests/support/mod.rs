//! A host whose commands exercise the server, and the real clients that talk to it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use varan_ssh::{
    AuthenticationOutcome, AuthorizedKey, HomeDirectory, HomeQuota, Limits, OfferedKey, ServerEvent,
    ServerOptions, Session, SessionKind, SshHost, SshServer,
};

pub const USER: &str = "hscroot";
pub const PASSWORD: &str = "abc123";
pub const SECONDS_BEFORE_A_CLIENT_IS_KILLED: &str = "120";

#[derive(Default)]
pub struct Journal {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Journal {
    pub fn add(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
        self.changed.notify_all();
    }

    /// Waits until a line contains `part`; the bound only turns a hang into a failure.
    pub fn wait_for(&self, part: &str) -> String {
        let has = |lines: &Vec<String>| lines.iter().any(|line| line.contains(part));
        let lines = self.lines.lock().unwrap();
        let limit = Duration::from_secs(120);
        let (lines, _) = self.changed.wait_timeout_while(lines, limit, |lines| !has(lines)).unwrap();
        let found = lines.iter().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no line with {part:?} in {lines:?}")).clone()
    }

    pub fn count(&self, part: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }
}

pub struct TestHost {
    pub journal: Journal,
    pub home: PathBuf,
    pub quota: HomeQuota,
    pub authorized: Mutex<Vec<AuthorizedKey>>,
    /// Sessions of `together` still awaited, and their meeting point.
    pub together: AtomicUsize,
    pub all_here: (Mutex<usize>, Condvar),
}

impl SshHost for TestHost {
    fn check_password(&self, user: &str, password: &str, _peer: SocketAddr) -> AuthenticationOutcome {
        match (user.split('%').next().unwrap_or_default(), password) {
            (USER | "padmin", PASSWORD) => AuthenticationOutcome::Accepted,
            ("locked", _) => AuthenticationOutcome::Locked { message: "Come back tomorrow.".into() },
            ("panic", _) => panic!("a panic in a password check"),
            _ => AuthenticationOutcome::Rejected,
        }
    }

    fn check_public_key(&self, user: &str, key: &OfferedKey, _peer: SocketAddr) -> AuthenticationOutcome {
        let known = self.authorized.lock().unwrap().iter().any(|known| known.blob == key.blob);
        self.journal.add(format!("key {} {} proven={}", key.algorithm, key.fingerprint, key.proven));
        if user == USER && known { AuthenticationOutcome::Accepted } else { AuthenticationOutcome::Rejected }
    }

    fn banner_before_login(&self) -> Option<String> {
        Some("A test console.\n".into())
    }

    fn run(&self, session: Session) -> u8 {
        match session.request.kind.clone() {
            SessionKind::Shell => self.shell(session),
            SessionKind::Unusable(problem) => {
                let mut output = session.output;
                writeln!(output, "unusable: {problem}").map_or(3, |()| 1)
            }
            SessionKind::Exec(line) => self.exec(&line, session).unwrap_or_else(|error| {
                self.journal.add(format!("{line}: {error}"));
                99
            }),
        }
    }

    fn home_directory(&self, user: &str) -> Option<HomeDirectory> {
        let shown_as = format!("/home/{}", user.split('%').next()?);
        Some(HomeDirectory { path: self.home.clone(), shown_as, quota: self.quota })
    }

    fn report(&self, event: &ServerEvent) {
        self.journal.add(format!("{event:?}"));
    }
}

/// The byte at a place of the output of `flood`.
pub fn flood_byte(index: usize) -> u8 {
    (index.wrapping_mul(2_654_435_761) >> 13) as u8
}

impl TestHost {
    fn exec(&self, line: &str, mut session: Session) -> io::Result<u8> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["exit", status] => return Ok(status.parse().unwrap()),
            ["echo", rest @ ..] => writeln!(session.output, "{}", rest.join(" "))?,
            ["cat"] => drop(io::copy(&mut session.input, &mut session.output)?),
            ["both"] => {
                writeln!(session.output, "to output")?;
                writeln!(session.error, "to error")?;
            }
            ["flood", bytes] => {
                let bytes: Vec<u8> = (0..bytes.parse().unwrap()).map(flood_byte).collect();
                for piece in bytes.chunks(10_007) {
                    session.output.write_all(piece)?;
                }
                return Ok(7);
            }
            ["drip", lines] => {
                for index in 0..lines.parse().unwrap() {
                    writeln!(session.output, "line {index}")?;
                }
            }
            ["endless"] => {
                self.journal.add("endless started");
                let journal = Arc::new(Mutex::new(None));
                let cause = Arc::clone(&journal);
                session.cancellation.on_cancel(move |why| *cause.lock().unwrap() = Some(why));
                let error = loop {
                    if let Err(error) = session.output.write_all(&[b'x'; 1000]) {
                        break error;
                    }
                };
                self.journal.add(format!("endless ended: {:?}", error.kind()));
                while !session.cancellation.is_cancelled() {
                    std::thread::yield_now();
                }
                self.journal.add(format!("endless cancelled: {:?}", journal.lock().unwrap()));
            }
            ["hang"] => {
                self.journal.add("hang started");
                let error = io::copy(&mut session.input, &mut io::sink()).err().map(|error| error.kind());
                let cause = session.cancellation.cause();
                self.journal.add(format!("hang ended: {error:?} {cause:?}"));
                writeln!(session.output, "ended: {cause:?}")?;
                return Ok(130);
            }
            ["wait"] => {
                let pair = Arc::new((Mutex::new(false), Condvar::new()));
                let fired = Arc::clone(&pair);
                session.cancellation.on_cancel(move |_| {
                    *fired.0.lock().unwrap() = true;
                    fired.1.notify_all();
                });
                self.journal.add("wait started");
                let done = pair.0.lock().unwrap();
                drop(pair.1.wait_while(done, |done| !*done).unwrap());
                self.journal.add(format!("wait ended: {:?}", session.cancellation.cause()));
                return Ok(3);
            }
            ["together", name] => {
                let mut here = self.all_here.0.lock().unwrap();
                *here += 1;
                self.all_here.1.notify_all();
                let expected = self.together.load(Ordering::SeqCst);
                drop(self.all_here.1.wait_while(here, |here| *here < expected).unwrap());
                writeln!(session.output, "{name}")?;
            }
            ["who"] => writeln!(session.output, "{}", session.request.user)?,
            ["env"] => {
                for (name, value) in &session.request.environment {
                    writeln!(session.output, "{name}={value}")?;
                }
            }
            ["tty"] => match &session.request.terminal {
                Some(terminal) => writeln!(session.output, "{} {:?}", terminal.name(), terminal.size())?,
                None => writeln!(session.output, "no terminal")?,
            },
            ["panic"] => panic!("a panic in a session"),
            _ => {
                writeln!(session.error, "{line}: command not found")?;
                return Ok(127);
            }
        }
        Ok(0)
    }

    fn shell(&self, session: Session) -> u8 {
        let Session { request, input, output, .. } = session;
        let mut output = BufWriter::new(output);
        let mut input = BufReader::new(input);
        if let Some(terminal) = &request.terminal {
            let size = terminal.size();
            let _ = writeln!(output, "{} {}x{}", terminal.name(), size.columns, size.rows);
        }
        loop {
            let _ = write!(output, "hscroot@console:~> ");
            if output.flush().is_err() {
                return 1;
            }
            let mut line = Vec::new();
            // Terminals send a carriage return for Enter; piped input has newlines.
            loop {
                let mut byte = [0];
                match input.read(&mut byte) {
                    Ok(1) if matches!(byte[0], b'\r' | b'\n') => break,
                    Ok(1) => line.push(byte[0]),
                    _ => return 1,
                }
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            let _ = writeln!(output, "{line}");
            match line.strip_prefix("exit ") {
                Some(status) => {
                    let _ = output.flush();
                    return status.parse().unwrap_or(2);
                }
                None => drop(writeln!(output, "you said {line}")),
            }
        }
    }
}

pub struct TestServer {
    pub host: Arc<TestHost>,
    pub directory: PathBuf,
    pub address: SocketAddr,
    pub server: Option<SshServer>,
    pub runtime: tokio::runtime::Runtime,
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

impl TestServer {
    pub fn start() -> Self {
        Self::with(Limits::default(), HomeQuota { bytes: 1 << 30, files: 10_000 })
    }

    pub fn with(limits: Limits, quota: HomeQuota) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let directory = std::env::temp_dir().join(format!("varan-ssh-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let home = directory.join("home");
        std::fs::create_dir_all(&home).unwrap();
        let askpass = directory.join("askpass");
        std::fs::write(&askpass, "#!/bin/sh\nprintf '%s\\n' \"$TEST_PASSWORD\"\n").unwrap();
        std::fs::set_permissions(&askpass, PermissionsExt::from_mode(0o755)).unwrap();
        let host = Arc::new(TestHost {
            journal: Journal::default(),
            home,
            quota,
            authorized: Mutex::default(),
            together: AtomicUsize::new(0),
            all_here: (Mutex::new(0), Condvar::new()),
        });
        let key = directory.join("key");
        keygen(&key, &["-t", "ed25519"]);
        host.authorize(&key);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = ServerOptions { limits, ..ServerOptions::new(directory.join("host-key")) };
        let address = "127.0.0.1:0".parse().unwrap();
        let shared: Arc<dyn SshHost> = host.clone();
        let server = runtime.block_on(SshServer::bind(&[address], options, shared)).unwrap();
        let address = server.local_addresses()[0];
        Self { host, directory, address, server: Some(server), runtime }
    }

    pub fn home(&self) -> &Path {
        &self.host.home
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Options that all clients share; the port and the user are the caller's.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec!["-F".to_owned(), "/dev/null".to_owned()];
        let settings = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
        ];
        for setting in settings {
            options.extend(["-o".to_owned(), setting.to_owned()]);
        }
        options.extend(["-i".to_owned(), self.file("key").display().to_string()]);
        options
    }

    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", SECONDS_BEFORE_A_CLIENT_IS_KILLED, program, "-o", "LogLevel=ERROR"]);
        self.set_up(program, command)
    }

    /// A client that also shows what the server tells the user.
    pub fn talkative_ssh(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", SECONDS_BEFORE_A_CLIENT_IS_KILLED, "ssh", "-o", "LogLevel=INFO"]);
        self.set_up("ssh", command)
    }

    /// A client that is the child itself, to be killed.
    pub fn plain_ssh(&self, arguments: &[&str]) -> Command {
        let mut command = self.set_up("ssh", Command::new("ssh"));
        command.arg(format!("{USER}@127.0.0.1")).args(arguments);
        command
    }

    fn set_up(&self, program: &str, mut command: Command) -> Command {
        command.args(self.options());
        command.env_remove("SSH_AUTH_SOCK").env("LC_ALL", "C").env_remove("LANG").stdin(Stdio::null());
        let port = self.address.port().to_string();
        match program {
            "ssh" => command.args(["-p", &port]),
            _ => command.args(["-P", &port]),
        };
        command
    }

    pub fn ssh(&self, arguments: &[&str]) -> Command {
        let mut command = self.client("ssh");
        let split = arguments.iter().take_while(|argument| argument.starts_with('-')).count();
        command.args(&arguments[..split]).arg(format!("{USER}@127.0.0.1")).args(&arguments[split..]);
        command
    }

    /// A client that can only give `password`, by `method`.
    pub fn with_password(&self, user: &str, password: &str, method: &str, line: &str) -> Command {
        let mut command = self.talkative_ssh();
        command
            .args(["-o", &format!("PreferredAuthentications={method}")])
            .args(["-o", "NumberOfPasswordPrompts=1", "-l", user, "127.0.0.1", line])
            .env("SSH_ASKPASS", self.file("askpass"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("TEST_PASSWORD", password);
        command
    }

    /// Starts a shared connection and returns the path of its socket.
    pub fn master(&self) -> PathBuf {
        let socket = self.file("m");
        let status = self
            .client("ssh")
            .args(["-f", "-N", "-M", "-S"])
            .arg(&socket)
            .arg(format!("{USER}@127.0.0.1"))
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        socket
    }

    pub fn through(&self, socket: &Path, line: &str) -> Command {
        let mut command = self.client("ssh");
        command.arg("-S").arg(socket).arg(format!("{USER}@127.0.0.1")).arg(line);
        command
    }

    pub fn stop_master(&self, socket: &Path) {
        let stopped = self
            .client("ssh")
            .args(["-O", "exit", "-S"])
            .arg(socket)
            .arg(format!("{USER}@127.0.0.1"))
            .output();
        assert!(stopped.unwrap().status.success());
    }
}

impl TestHost {
    pub fn authorize(&self, key: &Path) {
        let line = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        self.authorized.lock().unwrap().push(AuthorizedKey::parse(&line).unwrap());
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub fn keygen(path: &Path, arguments: &[&str]) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "test key", "-f"])
        .arg(path)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

pub fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

pub fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn first_line(reader: impl Read) -> String {
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    line
}
