//! A scenario on a simulated site: the real console, the real authorities and engines, under virtual time.
//!
//! A request that waits for a guest lets virtual time pass until it is answered; nothing else moves time but the scenario.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use varan_console::Console;
use varan_contract::engine::GuestTerminal;
use varan_contract::fault::{FaultControl, FaultRequest};
use varan_contract::system::{
    CallError, RequestId, Selector, SystemEvents, SystemLink, SystemReply, SystemRequest,
};
use varan_environment::Environment;
use varan_shell::{Cancellation, Capture, Channels, Input, Output, Shell};

use super::{Scenario, Stage};
use crate::fault::Faults;
use crate::fault::command::{self, FaultCommand};
use crate::fault::links::ConsoleLinks;
use crate::frame::Layout;
use crate::simulation::{Machine, SimulatedEnvironment, World};
use crate::site::{host_for, make_home_directories, open_console};
use crate::sites;
use crate::vios_shell::ViosServers;

/// Virtual time from the site's first start to the start of the scenario: its partitions are up by then.
const BEFORE: Duration = Duration::from_secs(1_800);
/// How far time goes at once.
const TICK: Duration = Duration::from_secs(1);
/// Longest virtual wait for an answer.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);
/// Most output of one command, in bytes.
const OUTPUT_MAX: usize = 16 << 20;

/// The machines of a site, and their time.
struct Machines {
    environment: Arc<SimulatedEnvironment>,
    machines: Mutex<Vec<Machine>>,
}

impl Machines {
    fn lock(&self) -> MutexGuard<'_, Vec<Machine>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, machines: &mut [Machine]) {
        for machine in machines {
            machine.settle(&self.environment);
        }
    }

    fn advance(&self, machines: &mut [Machine], to: Duration) {
        while self.environment.clock.monotonic() < to {
            let next = (self.environment.clock.monotonic() + TICK).min(to);
            self.environment.clock.advance_to(next);
            self.settle(machines);
        }
    }
}

/// A link to one machine.
struct Link {
    machines: Arc<Machines>,
    index: usize,
    subscribers: Arc<Mutex<Vec<Arc<dyn SystemEvents>>>>,
}

impl SystemLink for Link {
    fn call(&self, id: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        let mut machines = self.machines.lock();
        let (reply, answer) = sync_channel(1);
        if !machines[self.index].inbox.request(id, request, reply) {
            return Err(CallError::Busy);
        }
        self.machines.settle(&mut machines);
        let limit = self.machines.environment.clock.monotonic() + PATIENCE;
        loop {
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Disconnected) => return Err(CallError::NoConnection),
                Err(TryRecvError::Empty) => {}
            }
            let now = self.machines.environment.clock.monotonic();
            if now >= limit {
                return Err(CallError::NoConnection);
            }
            self.machines.advance(&mut machines, now + TICK);
        }
    }

    /// Nobody types in a scenario.
    fn open_terminal(&self, _: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        Err(CallError::NoConnection)
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(receiver);
    }
}

struct Simulated {
    machines: Arc<Machines>,
    console: Arc<Console>,
    user: String,
    homes: PathBuf,
    faults: Faults,
}

impl Simulated {
    fn start(scenario: &Scenario, directory: &Path, seed: u64) -> Result<Self, String> {
        let mut site = sites::load(&scenario.site)?;
        site.time_scale = 1.0;
        crate::frame::check_site(&site)?;
        let environment = Arc::new(SimulatedEnvironment::new(seed));
        let layout = Layout::new(directory);
        let (mut machines, mut subscribers) = (Vec::new(), Vec::new());
        for index in 0..site.managed_systems.len() {
            let machine = World::of_site(&site, index, &layout, environment.clone()).power()?;
            subscribers.push(machine.subscribers.clone());
            machines.push(machine);
        }
        let machines =
            Arc::new(Machines { environment: environment.clone(), machines: Mutex::new(machines) });
        let link = |(index, subscribers)| {
            Arc::new(Link { machines: machines.clone(), index, subscribers }) as Arc<dyn SystemLink>
        };
        let links: Vec<Arc<dyn SystemLink>> = subscribers.into_iter().enumerate().map(link).collect();
        let environment: Arc<dyn Environment> = environment;
        let mut consoles = Vec::new();
        for described in &site.consoles {
            make_home_directories(described, &layout).map_err(|error| error.to_string())?;
            consoles.push(open_console(&site, described, &layout, &environment, &links)?);
        }
        let first = site.consoles.first().ok_or("the site has no console")?;
        let console = consoles[0].clone();
        let of_consoles = consoles.into_iter().map(|one| Arc::new(one) as Arc<dyn ConsoleLinks>);
        let faults = Faults::new(&site, &links, of_consoles.collect(), environment);
        machines.advance(&mut machines.lock(), BEFORE);
        Ok(Self {
            machines,
            console,
            user: first.users.first().map(|user| user.name.clone()).unwrap_or_default(),
            homes: layout.console(&first.name).join("homes"),
            faults,
        })
    }

    fn ask(&self, request: FaultRequest) -> Result<String, String> {
        command::text(&self.faults.fault(request))
    }
}

impl Stage for Simulated {
    fn wait_until(&mut self, at: Duration) -> Result<(), String> {
        self.machines.advance(&mut self.machines.lock(), BEFORE + at);
        Ok(())
    }

    fn console(&mut self, line: &str) -> Result<(String, u8), String> {
        let host = host_for(&self.console, &self.user, "localhost", &self.homes, &ViosServers::none())?;
        let home = host.home.clone();
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
        let status = Shell::new(Arc::new(host), home).run_script(line, channels);
        Ok((String::from_utf8_lossy(&capture.take()).into_owned(), status))
    }

    fn fault(&mut self, fault: &FaultCommand) -> Result<String, String> {
        match fault {
            FaultCommand::Ask(requests) => requests.iter().map(|request| self.ask(request.clone())).collect(),
            FaultCommand::List => self.ask(FaultRequest::List),
            FaultCommand::ClearAll => self.ask(FaultRequest::ClearAll),
            FaultCommand::Kill(_) | FaultCommand::Stop(_) | FaultCommand::Continue(_) => {
                Err("a simulated site has no processes".to_owned())
            }
        }
    }
}

/// Plays a scenario on a simulated site of its own. Returns the log.
///
/// # Errors
/// The site cannot be started.
pub fn simulate(scenario: &Scenario, seed: u64, tell: &mut dyn FnMut(&str)) -> Result<String, String> {
    let directory = std::env::temp_dir().join(format!("varan-scenario-{}-{seed}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let played = Simulated::start(scenario, &directory, seed)
        .and_then(|mut stage| scenario.play(&mut stage, tell))
        .map_err(|error| format!("seed {seed}: {error}"));
    let _ = std::fs::remove_dir_all(&directory);
    played
}
