//! Faults on purpose at a running site.
//!
//! ```text
//! varan fault ── command ──┐                                ┌── SystemRequest::Fault ──> frame ──> engine
//! scenario ────────────────┼──> Faults (who breaks what) ───┼── StorageFaults ──> storage network
//! anything else ── socket ─┘                                └── cut, restore ──> a console's link
//! ```
//!
//! What survives the end of Varan's processes: only failed hardware, which a frame records among its settings as a service
//! processor remembers deconfigured parts; it is found there and listed again, with its number. Everything else ends with
//! the process that it broke, for a new process has power and guests that answer. Links that are cut stay cut while a
//! console's own process is started again. A frame's process that is started again while its power failure or crash is
//! listed has power; clearing the fault then restores the links only.

pub mod command;
pub mod links;
pub mod process;
pub mod socket;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use varan_contract::fault::{
    ActiveFault, Fault, FaultControl, FaultId, FaultReply, FaultRequest, StorageFaults, SystemFault,
};
use varan_contract::system::{RequestId, SystemLink, SystemReply, SystemRequest};
use varan_environment::Environment;
use varan_model::ids::MachineIdentity;
use varan_model::site::Site;

use self::links::ConsoleLinks;

/// Most faults at the same time: far more than anybody keeps in mind.
const FAULTS_MAX: usize = 1_000;

/// A managed system as faults reach it: below the links that consoles use, so that a cut link is no hindrance.
struct System {
    name: String,
    aliases: Vec<String>,
    identity: MachineIdentity,
    link: Arc<dyn SystemLink>,
}

#[derive(Default)]
struct State {
    /// Highest number given out.
    last: u32,
    active: BTreeMap<FaultId, Fault>,
}

/// Who breaks what at a site that is up.
pub struct Faults {
    systems: Vec<System>,
    consoles: Vec<Arc<dyn ConsoleLinks>>,
    storage: Option<Arc<dyn StorageFaults>>,
    environment: Arc<dyn Environment>,
    /// Held while a request is carried out: faults come one after another.
    state: Mutex<State>,
}

impl Faults {
    /// Control of a site. `links` lead to its managed systems in the order of the site file.
    #[must_use]
    pub fn new(
        site: &Site,
        links: &[Arc<dyn SystemLink>],
        consoles: Vec<Arc<dyn ConsoleLinks>>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        let system =
            |(described, link): (&varan_model::site::ManagedSystemDescription, &Arc<dyn SystemLink>)| {
                System {
                    name: described.name.clone(),
                    aliases: described.aliases.clone(),
                    identity: described.identity.clone(),
                    link: link.clone(),
                }
            };
        let systems = site.managed_systems.iter().zip(links).map(system).collect();
        Self { systems, consoles, storage: None, environment, state: Mutex::default() }
    }

    /// The same with the site's storage network.
    #[must_use]
    pub fn with_storage(self, storage: Arc<dyn StorageFaults>) -> Self {
        Self { storage: Some(storage), ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, system: &System, request: SystemRequest) -> Result<SystemReply, String> {
        let id = u128::from(self.environment.random()) << 64 | u128::from(self.environment.random());
        system.link.call(RequestId(id), request).map_err(|error| error.to_string())
    }

    fn tell(&self, system: &System, fault: SystemFault) -> Result<(), String> {
        self.ask(system, SystemRequest::Fault(fault)).map(|_| ())
    }

    /// The system of a name: that of the site or another one, or type-model*serial, or what its console calls it now.
    fn system(&self, name: &str) -> Result<&System, String> {
        let known = |system: &&System| {
            system.name == name
                || system.aliases.iter().any(|alias| alias == name)
                || system.identity.to_string() == name
        };
        if let Some(system) = self.systems.iter().find(known) {
            return Ok(system);
        }
        let named = |system: &&System| matches!(self.ask(system, SystemRequest::GetSystem), Ok(SystemReply::System(found)) if found.settings.name == name);
        let found = self.systems.iter().find(named);
        found.ok_or_else(|| format!("the site has no managed system {name}"))
    }

    /// Takes up failed hardware that a frame remembers from before this process started.
    fn find_failed_hardware(&self, state: &mut State) {
        for system in &self.systems {
            let Ok(SystemReply::System(found)) = self.ask(system, SystemRequest::GetSystem) else { continue };
            for failed in &found.settings.failed_hardware {
                let fault = match failed.units.processors() {
                    0 => Fault::Memory { system: system.name.clone(), megabytes: failed.memory },
                    count => Fault::Processors { system: system.name.clone(), count },
                };
                state.last = state.last.max(failed.fault);
                state.active.entry(FaultId(failed.fault)).or_insert(fault);
            }
        }
    }

    fn inject(&self, state: &mut State, fault: Fault) -> Result<FaultId, String> {
        if state.active.len() >= FAULTS_MAX {
            return Err(format!("{FAULTS_MAX} faults are active: clear some"));
        }
        if matches!(fault, Fault::Unit { .. } | Fault::Port { .. }) {
            return self.inject_in_storage(state, fault);
        }
        let (fault, system) = self.named(fault)?;
        check_repetition(state, &fault)?;
        let dark = Fault::PowerFailure { system: system.name.clone() };
        let on_frame = !matches!(fault, Fault::ServiceProcessor { .. } | Fault::ConsoleLink { .. });
        if on_frame && state.active.values().any(|active| *active == dark) {
            return Err(format!("{} has no power", system.name));
        }
        let id = FaultId(state.last + 1);
        match begin(&fault, id) {
            Some(part) => self.tell(system, part)?,
            None => self.check_link(&fault, system)?,
        }
        state.last = id.0;
        state.active.insert(id, fault);
        self.switch_links(state, system);
        Ok(id)
    }

    fn inject_in_storage(&self, state: &mut State, fault: Fault) -> Result<FaultId, String> {
        check_repetition(state, &fault)?;
        self.switch_storage(&fault, false)?;
        let id = FaultId(state.last + 1);
        state.last = id.0;
        state.active.insert(id, fault);
        Ok(id)
    }

    /// Breaks or mends a part of the storage network; true when the fault is one of it.
    fn switch_storage(&self, fault: &Fault, works: bool) -> Result<bool, String> {
        let storage = || self.storage.as_ref().ok_or("this site has no storage network");
        match fault {
            Fault::Unit { disk } => storage()?.set_unit(disk, works)?,
            Fault::Port { port } => storage()?.set_port(port, works)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The fault with the site's own name of its system.
    fn named(&self, mut fault: Fault) -> Result<(Fault, &System), String> {
        let system = match &mut fault {
            Fault::PowerFailure { system }
            | Fault::SystemCrash { system }
            | Fault::ServiceProcessor { system }
            | Fault::ConsoleLink { system, .. }
            | Fault::PartitionCrash { system, .. }
            | Fault::PartitionHang { system, .. }
            | Fault::Disk { system, .. }
            | Fault::Processors { system, .. }
            | Fault::Memory { system, .. } => system,
            Fault::Unit { .. } | Fault::Port { .. } => {
                return Err("no managed system has this fault".to_owned());
            }
        };
        let found = self.system(system)?;
        system.clone_from(&found.name);
        Ok((fault, found))
    }

    fn check_link(&self, fault: &Fault, system: &System) -> Result<(), String> {
        let Fault::ConsoleLink { console, .. } = fault else { return Ok(()) };
        let found = self.consoles.iter().find(|one| one.console() == console);
        let found = found.ok_or_else(|| format!("the site has no console {console}"))?;
        match found.switch(&system.identity, None)? {
            true => Ok(()),
            false => Err(format!("console {console} is not connected to {}", system.name)),
        }
    }

    /// Brings the links to a system in line with the faults that cut them.
    fn switch_links(&self, state: &State, system: &System) {
        for console in &self.consoles {
            // A console whose process is gone has its links brought in line when it is back.
            let _ = switch_link(state, system, &**console);
        }
    }

    /// Cuts the links of a console whose process was started again, as the faults that are active say.
    pub fn console_restarted(&self, console: &str) {
        let state = self.state();
        for console in self.consoles.iter().filter(|one| one.console() == console) {
            for system in &self.systems {
                if let Err(error) = switch_link(&state, system, &**console) {
                    eprintln!("varan: {error}");
                }
            }
        }
    }

    fn clear(&self, state: &mut State, id: FaultId) -> Result<(), String> {
        let fault = state.active.get(&id).cloned().ok_or_else(|| format!("there is no fault {id}"))?;
        if self.switch_storage(&fault, true)? {
            state.active.remove(&id);
            return Ok(());
        }
        let (fault, system) = self.named(fault)?;
        if let Some(part) = end(&fault, id) {
            self.tell(system, part)?;
        }
        state.active.remove(&id);
        self.switch_links(state, system);
        Ok(())
    }

    fn clear_all(&self, state: &mut State) -> Result<Vec<FaultId>, String> {
        let ids: Vec<FaultId> = state.active.keys().rev().copied().collect();
        ids.iter()
            .try_for_each(|id| self.clear(state, *id).map_err(|error| format!("fault {id}: {error}")))?;
        Ok(ids)
    }
}

impl FaultControl for Faults {
    fn fault(&self, request: FaultRequest) -> FaultReply {
        let mut state = self.state();
        if state.active.is_empty() {
            // Numbers begin anew where nothing is left that could be meant.
            state.last = 0;
        }
        self.find_failed_hardware(&mut state);
        let done = match request {
            FaultRequest::Inject(fault) => self.inject(&mut state, fault).map(FaultReply::Injected),
            FaultRequest::Clear(id) => self.clear(&mut state, id).map(|()| FaultReply::Cleared(vec![id])),
            FaultRequest::ClearAll => self.clear_all(&mut state).map(FaultReply::Cleared),
            FaultRequest::List => {
                let active = |(id, fault): (&FaultId, &Fault)| ActiveFault { id: *id, fault: fault.clone() };
                Ok(FaultReply::Active(state.active.iter().map(active).collect()))
            }
        };
        done.unwrap_or_else(FaultReply::Refused)
    }
}

/// Brings one link in line with the faults that cut it.
fn switch_link(state: &State, system: &System, console: &dyn ConsoleLinks) -> Result<bool, String> {
    let cuts = |fault: &Fault| match fault {
        Fault::PowerFailure { system: cut } | Fault::ServiceProcessor { system: cut } => *cut == system.name,
        Fault::ConsoleLink { console: of, system: cut } => of == console.console() && *cut == system.name,
        _ => false,
    };
    let up = !state.active.values().any(cuts);
    console.switch(&system.identity, Some(up))
}

fn check_repetition(state: &State, fault: &Fault) -> Result<(), String> {
    if state.active.values().any(|active| active == fault) && !may_repeat(fault) {
        return Err(format!("that fault is active already: {}", command::words(fault)));
    }
    Ok(())
}

/// Whether an equal fault may follow: more of something fails, or what was restarted crashes again. The frame refuses what is
/// not possible.
fn may_repeat(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Processors { .. }
            | Fault::Memory { .. }
            | Fault::PartitionCrash { .. }
            | Fault::SystemCrash { .. }
    )
}

/// What the frame is told when a fault begins.
fn begin(fault: &Fault, id: FaultId) -> Option<SystemFault> {
    Some(match fault {
        Fault::PowerFailure { .. } => SystemFault::PowerFails,
        Fault::SystemCrash { .. } => SystemFault::Crash,
        Fault::ServiceProcessor { .. }
        | Fault::ConsoleLink { .. }
        | Fault::Unit { .. }
        | Fault::Port { .. } => return None,
        Fault::PartitionCrash { partition, .. } => SystemFault::CrashPartition(partition.clone()),
        Fault::PartitionHang { partition, .. } => SystemFault::HangPartition(partition.clone()),
        Fault::Disk { partition, .. } => SystemFault::LoseDisk(partition.clone()),
        Fault::Processors { count, .. } => SystemFault::FailHardware { id, processors: *count, memory: 0 },
        Fault::Memory { megabytes, .. } => {
            SystemFault::FailHardware { id, processors: 0, memory: *megabytes }
        }
    })
}

/// What the frame is told when a fault ends.
fn end(fault: &Fault, id: FaultId) -> Option<SystemFault> {
    Some(match fault {
        Fault::PowerFailure { .. } => SystemFault::PowerReturns,
        Fault::SystemCrash { .. } => SystemFault::Recover,
        Fault::ServiceProcessor { .. }
        | Fault::ConsoleLink { .. }
        | Fault::Unit { .. }
        | Fault::Port { .. } => return None,
        Fault::PartitionCrash { partition, .. } => SystemFault::RecoverPartition(partition.clone()),
        Fault::PartitionHang { partition, .. } => SystemFault::ResumePartition(partition.clone()),
        Fault::Disk { partition, .. } => SystemFault::ReturnDisk(partition.clone()),
        Fault::Processors { .. } | Fault::Memory { .. } => SystemFault::RepairHardware { id },
    })
}
