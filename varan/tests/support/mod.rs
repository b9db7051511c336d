//! A site in this process for tests: frames on the embedded engine, one console, users' shells.

#![allow(dead_code, missing_docs, reason = "each test file uses its part")]

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use varan::fault::Faults;
use varan::fault::command::FaultCommand;
use varan::fault::links::ConsoleLinks;
use varan::frame::Layout;
use varan::remote::RemoteSystem;
use varan::servers::{ServerDirectory, VirtualServers};
use varan::site::{attach_machine, host_for, make_home_directories, open_console, start_site};
use varan::vios_shell::{LOGIN, Route, ViosHost, ViosServers};
use varan::world::StorageNetwork;
use varan_console::Console;
use varan_contract::fault::{FaultControl, FaultRequest};
use varan_contract::system::{SystemEvent, SystemEvents, SystemLink};
use varan_environment::{Environment, RealEnvironment};
use varan_model::partition::RmcState;
use varan_model::site::{ManagedSystemDescription, Site};
use varan_shell::{ByteSink, Cancellation, Capture, Channels, Input, Output, Shell, Terminal};
use varan_system::SystemHandle;

/// Time runs so much faster in tests that a boot takes milliseconds.
pub const TIME_SCALE: f64 = 20_000.0;
/// How soon a request without an answer is repeated on a troubled link.
const REPEAT_AFTER: Duration = Duration::from_millis(100);
/// Longest wait for something that must come; only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether a server serves, and the pause between: together as long as [`PATIENCE`].
const SERVING_LOOKS: u32 = 3_000;
const SERVING_PAUSE: Duration = Duration::from_millis(20);
const OUTPUT_MAX: usize = 64 << 20;

/// A directory of a test's own with a short name: sockets below it may have paths of 107 bytes at most.
fn short_directory(test: &str) -> PathBuf {
    let mut mixed = test.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let name = varan_environment::split_mix(&mut mixed) >> 32;
    std::env::temp_dir().join(format!("varan-{name:08x}-{}", std::process::id()))
}

#[derive(Default)]
pub struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
}

impl SystemEvents for Bell {
    fn system_event(&self, _: &SystemEvent) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }
}

impl Bell {
    /// Waits until `check` is true, looking after each event.
    fn wait(&self, mut check: impl FnMut() -> bool) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let before = *rung;
            drop(rung);
            if check() {
                return true;
            }
            rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
            while *rung == before {
                let (guard, timeout) =
                    self.changed.wait_timeout(rung, PATIENCE).unwrap_or_else(PoisonError::into_inner);
                rung = guard;
                if timeout.timed_out() {
                    return check();
                }
            }
        }
    }
}

pub struct TestSite {
    pub site: Site,
    pub layout: Layout,
    pub frames: Vec<Arc<SystemHandle>>,
    /// Virtual I/O Servers of each frame.
    pub servers: Vec<Arc<VirtualServers>>,
    network: Option<Arc<StorageNetwork>>,
    /// The first console.
    pub console: Arc<Console>,
    /// All of them, in the order of the site.
    pub consoles: Vec<Arc<Console>>,
    pub bell: Arc<Bell>,
    environment: Arc<dyn Environment>,
    directory: PathBuf,
    link: Link,
    /// What takes connections to the frames; it ends with them, or its threads add up from site to site.
    serving: Vec<varan::remote::Serving>,
    /// Who breaks the site on purpose, from the first time on.
    faults: Option<Faults>,
}

/// How the console reaches its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// By calls in this process.
    Direct,
    /// Over sockets, every message encoded.
    Encoded,
    /// Over sockets on which messages are lost, doubled and delayed, by this seed.
    Troubled(u64),
}

impl Link {
    fn trouble(self) -> varan::remote::Trouble {
        match self {
            Self::Troubled(seed) => {
                Some((varan_wire::LinkTrouble { loss: 50_000, duplication: 100_000, delay: 50_000 }, seed))
            }
            _ => None,
        }
    }
}

impl TestSite {
    /// Starts a shipped site in a fresh data directory.
    pub fn start(name: &str, test: &str) -> Self {
        Self::start_linked(name, test, Link::Direct)
    }

    /// As [`TestSite::start`]; with another link between console and frames.
    pub fn start_linked(name: &str, test: &str, link: Link) -> Self {
        Self::start_scaled(name, test, link, TIME_SCALE)
    }

    /// As [`TestSite::start_linked`]; real waits are divided by `time_scale`.
    pub fn start_scaled(name: &str, test: &str, link: Link, time_scale: f64) -> Self {
        let mut site = varan::sites::load(name).expect("site");
        site.time_scale = time_scale;
        let directory = short_directory(test);
        let _ = std::fs::remove_dir_all(&directory);
        Self::open(site, directory, link)
    }

    /// As [`TestSite::start_linked`], a site from its text.
    pub fn open_text(text: &str, test: &str, link: Link) -> Self {
        let site = Site::parse(text, "generated").unwrap_or_else(|error| panic!("{error}"));
        let directory = short_directory(test);
        let _ = std::fs::remove_dir_all(&directory);
        Self::open(site, directory, link)
    }

    pub fn open(site: Site, directory: PathBuf, link: Link) -> Self {
        let layout = Layout::new(&directory);
        let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
        let bell = Arc::new(Bell::default());
        let (frames, servers, network) = Self::start_all(&site, &layout, &environment);
        let (consoles, serving) = Self::open_consoles(&site, &layout, &environment, &frames, &bell, link);
        Self {
            site,
            layout,
            frames,
            servers,
            network: Some(network),
            console: consoles[0].clone(),
            consoles,
            bell,
            environment,
            directory,
            link,
            serving,
            faults: None,
        }
    }

    #[allow(clippy::type_complexity)]
    fn start_all(
        site: &Site,
        layout: &Layout,
        environment: &Arc<dyn Environment>,
    ) -> (Vec<Arc<SystemHandle>>, Vec<Arc<VirtualServers>>, Arc<StorageNetwork>) {
        let started = start_site(site, layout, environment, 1 << 30).expect("frames");
        let (frames, servers) = started.frames.into_iter().map(|frame| (frame.handle, frame.servers)).unzip();
        (frames, servers, started.network)
    }

    /// Breaks or mends something by the words of `varan fault`. Returns what it prints.
    pub fn fault(&mut self, words: &[&str]) -> Result<String, String> {
        let requests = match varan::fault::command::parse(words)? {
            FaultCommand::Ask(requests) => requests,
            FaultCommand::List => vec![FaultRequest::List],
            FaultCommand::ClearAll => vec![FaultRequest::ClearAll],
            _ => return Err(format!("{words:?} is nothing for a site in one process")),
        };
        if self.faults.is_none() {
            let links: Vec<_> =
                self.frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
            let consoles = self.consoles.iter().map(|one| Arc::new(one.clone()) as Arc<dyn ConsoleLinks>);
            let faults = Faults::new(&self.site, &links, consoles.collect(), self.environment.clone());
            self.faults = Some(match &self.network {
                Some(network) => faults.with_storage(network.clone()),
                None => faults,
            });
        }
        let faults = self.faults.as_ref().ok_or("no faults")?;
        requests.into_iter().map(|request| varan::fault::command::text(&faults.fault(request))).collect()
    }

    fn open_consoles(
        site: &Site,
        layout: &Layout,
        environment: &Arc<dyn Environment>,
        frames: &[Arc<SystemHandle>],
        bell: &Arc<Bell>,
        link: Link,
    ) -> (Vec<Arc<Console>>, Vec<varan::remote::Serving>) {
        for frame in frames {
            frame.subscribe(bell.clone());
        }
        let sockets = layout.sockets();
        let mut serving = Vec::new();
        if link != Link::Direct {
            for (frame, system) in frames.iter().zip(&site.managed_systems) {
                let served = varan::remote::serve(frame, &sockets, &system.name, environment, link.trouble());
                serving.push(served.expect("sockets"));
            }
        }
        let connect = |(frame, system): (&Arc<SystemHandle>, &ManagedSystemDescription)| match link {
            Link::Direct => frame.clone() as Arc<dyn SystemLink>,
            _ => {
                Arc::new(RemoteSystem::new(&sockets, &system.name).with_trouble(link.trouble(), REPEAT_AFTER))
            }
        };
        let open = |console| {
            // Each console has links of its own.
            let links: Vec<Arc<dyn SystemLink>> =
                frames.iter().zip(&site.managed_systems).map(connect).collect();
            make_home_directories(console, layout).expect("homes");
            let opened = open_console(site, console, layout, environment, &links).expect("console");
            let directory = layout.console(&console.name);
            let _nobody_obeys = attach_machine(&opened, &directory, environment, site.time_scale);
            opened
        };
        (site.consoles.iter().map(open).collect(), serving)
    }

    /// All frames lose their power without warning; then it returns.
    pub fn power_loss(&mut self) {
        self.faults = None;
        for frame in self.frames.drain(..) {
            frame.stop();
        }
        self.serving.drain(..).for_each(|one| one.stop());
        self.servers.clear();
        self.network = None;
        let (frames, servers, network) = Self::start_all(&self.site, &self.layout, &self.environment);
        (self.frames, self.servers, self.network) = (frames, servers, Some(network));
        let (site, layout) = (&self.site, &self.layout);
        (self.consoles, self.serving) =
            Self::open_consoles(site, layout, &self.environment, &self.frames, &self.bell, self.link);
        self.console = self.consoles[0].clone();
    }

    /// Another console, with a database of its own, on the same frames.
    pub fn second_console(&self) -> Arc<Console> {
        let layout = Layout::new(&self.directory.join("second"));
        let sockets = self.layout.sockets();
        let connect = |(frame, system): (&Arc<SystemHandle>, &ManagedSystemDescription)| match self.link {
            Link::Direct => frame.clone() as Arc<dyn SystemLink>,
            _ => Arc::new(RemoteSystem::new(&sockets, &system.name)) as Arc<dyn SystemLink>,
        };
        let links: Vec<_> = self.frames.iter().zip(&self.site.managed_systems).map(connect).collect();
        open_console(&self.site, &self.site.consoles[0], &layout, &self.environment, &links).expect("console")
    }

    pub fn session(&self, user: &str) -> Session {
        self.session_on(&self.console, user)
    }

    /// The console of that name.
    pub fn console_named(&self, name: &str) -> &Arc<Console> {
        self.consoles.iter().find(|one| one.description().name == name).expect("console")
    }

    pub fn session_on(&self, console: &Arc<Console>, user: &str) -> Session {
        let homes = self.layout.console(&console.description().name).join("homes");
        let servers = self.vios_servers();
        let host = host_for(console, user, "127.0.0.1", &homes, &servers).expect("user");
        let home = host.home.clone();
        let home_path = home.path().to_owned();
        Session { shell: Some(Shell::new(Arc::new(host), home)), user: user.to_owned(), home: home_path }
    }

    fn vios_servers(&self) -> Arc<ViosServers> {
        let directories = self.servers.iter().map(|servers| servers.clone() as Arc<dyn ServerDirectory>);
        varan::site::servers(&self.site, directories, &self.environment)
    }

    /// The shell of padmin or root on a Virtual I/O Server that runs. Sessions share what is mounted when they are opened
    /// together.
    pub fn server_sessions(&self, system: &str, partition: &str) -> Result<[Session; 2], String> {
        let route =
            Route { user: LOGIN.to_owned(), partition: partition.to_owned(), system: system.to_owned() };
        let (servers, mut left) = (self.vios_servers(), SERVING_LOOKS);
        // A server serves a moment after its partition says that it runs; no event tells of it.
        let opened = loop {
            match servers.find(&self.console, &route) {
                Err(_) if left > 0 => std::thread::sleep(SERVING_PAUSE),
                found => break found?,
            }
            left -= 1;
        };
        let session = |root| -> Result<Session, String> {
            let host = ViosHost::open(&opened.server, root)?;
            let home = opened.server.files.home();
            Ok(Session { shell: Some(host.shell()), user: LOGIN.to_owned(), home })
        };
        Ok([session(false)?, session(true)?])
    }

    fn frame(&self, system: &str) -> Result<&Arc<SystemHandle>, String> {
        let position = self.site.managed_systems.iter().position(|one| one.answers_to(system));
        position.map(|position| &self.frames[position]).ok_or_else(|| format!("no system {system}"))
    }

    pub fn wait_partition(&self, system: &str, name: &str, state: &str, active: bool) -> Result<(), String> {
        let frame = self.frame(system)?;
        let seen = Mutex::new(String::new());
        let there = self.bell.wait(|| {
            let snapshot = frame.snapshot();
            let Some(id) = snapshot.names.get(name) else { return state == "gone" };
            let Some(entry) = snapshot.partitions.get(id) else { return false };
            let rmc = entry.runtime.rmc == RmcState::Active;
            *seen.lock().expect("lock") = format!("{} {rmc}", entry.runtime.state.word());
            entry.runtime.state.word() == state && (!active || rmc)
        });
        if there {
            Ok(())
        } else {
            Err(format!("{name} of {system} is {}, not {state}", seen.lock().expect("lock")))
        }
    }

    /// Waits until `check` is true, looking after each event of a frame.
    pub fn wait_until(&self, check: impl FnMut() -> bool) -> bool {
        self.bell.wait(check)
    }

    pub fn wait_system(&self, system: &str, state: &str) -> Result<(), String> {
        let frame = self.frame(system)?;
        let wanted = state.replace('_', " ");
        let there = self.bell.wait(|| frame.snapshot().system.state.word() == wanted);
        if there { Ok(()) } else { Err(format!("{system} is not {wanted}")) }
    }
}

impl Drop for TestSite {
    fn drop(&mut self) {
        for frame in self.frames.drain(..) {
            frame.stop();
        }
        self.serving.drain(..).for_each(|one| one.stop());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// One user's shell.
pub struct Session {
    shell: Option<Shell>,
    pub user: String,
    home: PathBuf,
}

impl Session {
    /// Runs a command line as over exec; output and error together.
    pub fn run(&mut self, command: &str) -> String {
        let cancellation = Cancellation::new();
        let capture = Capture::new(OUTPUT_MAX);
        let output = Output::new(capture.clone(), &cancellation);
        let channels = Channels {
            input: Input::empty(),
            output: output.clone(),
            error: output,
            terminal: None,
            cancellation,
        };
        self.shell.as_mut().expect("shell").run_script(command, channels);
        String::from_utf8_lossy(&capture.take()).into_owned()
    }

    pub fn status(&self) -> u8 {
        self.shell.as_ref().expect("shell").status()
    }

    pub fn write_file(&self, name: &str, content: &str) {
        std::fs::write(self.home.join(name), content).expect("home file");
    }

    /// Runs a command on a terminal of its own thread.
    pub fn terminal(&mut self, command: &str) -> Dialogue<'_> {
        let screen = Arc::new(Screen::default());
        let terminal = Terminal::new(screen.clone(), 80, 24);
        let cancellation = Cancellation::new();
        let channels = terminal.channels(&cancellation);
        let mut shell = self.shell.take().expect("shell");
        let command = command.to_owned();
        let thread = std::thread::spawn(move || {
            shell.run_script(&command, channels);
            shell
        });
        Dialogue { session: self, terminal, screen, cancellation, thread: Some(thread), seen: 0 }
    }
}

#[derive(Default)]
struct Screen {
    bytes: Mutex<Vec<u8>>,
    changed: Condvar,
}

impl ByteSink for Screen {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> std::io::Result<()> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        self.changed.notify_all();
        Ok(())
    }
}

pub struct Dialogue<'a> {
    session: &'a mut Session,
    terminal: Arc<Terminal>,
    screen: Arc<Screen>,
    cancellation: Arc<Cancellation>,
    thread: Option<std::thread::JoinHandle<Shell>>,
    seen: usize,
}

impl Dialogue<'_> {
    /// Waits for a text after what was seen before.
    pub fn expect(&mut self, text: &str) -> Result<(), String> {
        let mut bytes = self.screen.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let fresh = String::from_utf8_lossy(&bytes[self.seen..]).into_owned();
            if let Some(at) = fresh.find(text) {
                self.seen += at + text.len();
                return Ok(());
            }
            let (guard, timeout) =
                self.screen.changed.wait_timeout(bytes, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            bytes = guard;
            if timeout.timed_out() {
                return Err(format!("`{text}` never came; the terminal shows: {fresh}"));
            }
        }
    }

    /// Types a line; `~.` and the answer to its question are typed without Enter.
    pub fn type_text(&mut self, text: &str) {
        let bytes = match text {
            "~." | "y" | "n" => text.to_owned(),
            text => format!("{text}\r"),
        };
        let _ = self.terminal.feed(bytes.as_bytes(), &self.cancellation);
    }

    /// Waits for the command's end.
    pub fn end(mut self) -> Result<(), String> {
        let shell =
            self.thread.take().expect("thread").join().map_err(|_| "the session panicked".to_owned())?;
        self.session.shell = Some(shell);
        Ok(())
    }
}

impl Drop for Dialogue<'_> {
    fn drop(&mut self) {
        self.cancellation.cancel();
        self.terminal.hang_up();
    }
}
