//! What a console serves its users with, SSH and REST: opened, ended when the console is shut down, and opened again on the
//! same addresses. The console itself stays, as do its frames and their partitions: only nobody reaches it meanwhile, except
//! those who press its power button.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use varan_console::Console;
use varan_rest::RestServer;
use varan_ssh::{ServerOptions, SshServer};

use crate::machine::Power;
use crate::rest::ConsoleApi;
use crate::ssh_host::ConsoleSsh;
use crate::vios_shell::ViosServers;

/// Times that a start tries to get its addresses: connections that were ended take moments to go.
const ATTEMPTS: u32 = 50;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// How a console is reached.
pub struct Reach {
    /// Console.
    pub console: Arc<Console>,
    /// Its own directory.
    pub directory: PathBuf,
    /// Virtual I/O Servers.
    pub servers: Arc<ViosServers>,
    /// Addresses for SSH; after the first start those that it got.
    pub ssh: Vec<SocketAddr>,
    /// Its REST API.
    pub api: ConsoleApi,
}

/// Servers that run.
struct Open {
    ssh: SshServer,
    rest: Vec<RestServer>,
}

impl Reach {
    fn open(&mut self, runtime: &Handle) -> Result<Open, String> {
        let name = &self.console.description().name;
        let rest = self.api.open(&self.console, runtime)?;
        let host = Arc::new(ConsoleSsh {
            console: self.console.clone(),
            homes: self.directory.join("homes"),
            servers: self.servers.clone(),
            server: None,
        });
        let options = ServerOptions::new(&self.directory);
        let bound = runtime.block_on(SshServer::bind(&self.ssh, options, host));
        let ssh = bound.map_err(|error| format!("console {name}: {error}"))?;
        self.ssh = ssh.local_addresses().to_vec();
        Ok(Open { ssh, rest })
    }
}

/// The services of one console under its power switch. Dropping it ends them.
pub struct ConsoleServices {
    open: Arc<Mutex<Option<Open>>>,
    power: Arc<Power>,
    thread: Option<JoinHandle<()>>,
}

fn locked(open: &Mutex<Option<Open>>) -> MutexGuard<'_, Option<Open>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was opened first, for the text that says how to connect.
pub struct FirstOpening {
    /// Address for SSH.
    pub address: SocketAddr,
    /// Host key as a line of a `known_hosts` file.
    pub host_key: String,
    /// Addresses of the REST API with their scheme.
    pub rest: Vec<String>,
    /// Port of the REST API.
    pub rest_port: u16,
}

impl ConsoleServices {
    /// Opens the services, and obeys the power switch from then on.
    ///
    /// # Errors
    /// A text for the person.
    pub fn start(
        mut reach: Reach,
        power: Arc<Power>,
        runtime: &Handle,
    ) -> Result<(Self, FirstOpening), String> {
        let opened = reach.open(runtime)?;
        let first = FirstOpening {
            address: opened.ssh.local_addresses()[0],
            host_key: opened.ssh.host_key().public_line().map_err(|error| error.to_string())?,
            rest: opened.rest.iter().flat_map(crate::rest::addresses).collect(),
            rest_port: opened.rest[0].local_addresses()[0].port(),
        };
        let open = Arc::new(Mutex::new(Some(opened)));
        let obey = {
            let (open, power, runtime) = (open.clone(), power.clone(), runtime.clone());
            move || obey(&mut reach, &open, &power, &runtime)
        };
        let thread = std::thread::Builder::new().name("console power".to_owned()).spawn(obey);
        let thread = Some(thread.map_err(|error| error.to_string())?);
        Ok((Self { open, power, thread }, first))
    }
}

impl Drop for ConsoleServices {
    fn drop(&mut self) {
        self.power.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        locked(&self.open).take();
    }
}

fn obey(reach: &mut Reach, open: &Mutex<Option<Open>>, power: &Power, runtime: &Handle) {
    while let Some(restart) = power.wait_for_end() {
        let name = reach.console.description().name.clone();
        if let Some(ended) = locked(open).take() {
            drop(ended.rest);
            reach.console.end_sessions();
            runtime.block_on(ended.ssh.shutdown());
        }
        println!("varan: console {name} is shut down");
        let mut restart = restart;
        loop {
            if !power.wait_for_start(restart) {
                return;
            }
            match open_again(reach, runtime) {
                Ok(opened) => {
                    *locked(open) = Some(opened);
                    break;
                }
                // It waits for its button.
                Err(error) => eprintln!("varan: {error}"),
            }
            restart = false;
        }
        power.started();
        println!("varan: console {name} is on");
    }
}

fn open_again(reach: &mut Reach, runtime: &Handle) -> Result<Open, String> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match reach.open(runtime) {
            Ok(opened) => return Ok(opened),
            Err(error) => last = error,
        }
        std::thread::sleep(PAUSE);
    }
    Err(last)
}
