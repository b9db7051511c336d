//! The managed systems that a console is connected to, and how a name finds one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use varan_contract::system::{Origin, SystemEvent, SystemEventKind, SystemEvents, SystemLink};
use varan_environment::Monotonic;
use varan_model::codes::MessageKey;
use varan_model::hardware::Hardware;
use varan_model::ids::MachineIdentity;
use varan_model::partition::{ReferenceCodes, Usage};
use varan_model::refusal::Refusal;
use varan_model::system::{AccessPassword, ManagedSystem, SystemSettings, SystemState};

use crate::link::SwitchedLink;

/// Time after which the name of a system that could not be reached is asked for again.
const NAME_RETRY: Duration = Duration::from_secs(5);

/// A console's connection to a managed system.
#[derive(Clone)]
pub struct SystemConnection {
    /// The machine as the site describes it: name, aliases, identity.
    pub hardware: Arc<Hardware>,
    /// Address of the service processor, as `ipaddr` shows it.
    pub address: String,
    /// How the system is reached.
    pub link: Arc<dyn SystemLink>,
}

impl SystemConnection {
    /// The name that the site file gives the machine; its user-defined name is [`crate::Console::name_of`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.hardware.site_name
    }

    /// Machine type, model and serial number.
    #[must_use]
    pub fn identity(&self) -> &MachineIdentity {
        &self.hardware.identity
    }
}

/// A managed system on the console's network.
#[derive(Clone)]
pub struct NetworkSystem {
    /// How it is reached.
    pub connection: SystemConnection,
    /// Whether a console that has never seen it is connected to it.
    pub connected_at_first: bool,
}

/// Marks the name of one system as stale.
struct NameWatch {
    stale: AtomicBool,
    any_stale: Arc<AtomicBool>,
    sequence: AtomicU64,
}

impl SystemEvents for NameWatch {
    fn system_event(&self, event: &SystemEvent) {
        let before = self.sequence.swap(event.sequence, Ordering::AcqRel);
        let gap = before.checked_add(1) != Some(event.sequence);
        if gap || event.kind == SystemEventKind::SystemChanged {
            self.stale.store(true, Ordering::Release);
            self.any_stale.store(true, Ordering::Release);
        }
    }
}

/// A managed system of the console's network, connected or not.
pub struct Known {
    /// How it is reached.
    pub connection: Arc<SystemConnection>,
    switch: Arc<SwitchedLink>,
    /// Whether a new console is connected to it.
    pub connected_at_first: bool,
    connected: AtomicBool,
    watch: Arc<NameWatch>,
    /// The system as it was last seen, for the time when it cannot be reached.
    seen: Mutex<Option<Arc<ManagedSystem>>>,
}

impl Known {
    /// The user-defined name as it was last seen. A system that was never seen has the one that the site gave it.
    fn name(&self) -> String {
        let seen = lock(&self.seen);
        seen.as_ref()
            .map_or_else(|| self.connection.hardware.site_name.clone(), |system| system.settings.name.clone())
    }

    /// Whether the console is connected to it.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }
}

/// All systems of a console. Finding one takes the same time however many systems and partitions there are.
pub struct Systems {
    known: Vec<Known>,
    aliases: HashMap<String, Vec<usize>>,
    identity: BTreeMap<String, usize>,
    any_stale: Arc<AtomicBool>,
    /// The console, with the password that it begins with.
    origin: Origin,
    user_defined: RwLock<HashMap<String, Vec<usize>>>,
    /// Held while names are read anew, with the time before which a system that did not answer is not asked again.
    refreshing: Mutex<Monotonic>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Systems {
    /// Takes over connections and subscribes to their events. `origin` says who asks.
    pub fn new(network: Vec<NetworkSystem>, origin: &Origin) -> Self {
        let any_stale = Arc::new(AtomicBool::new(true));
        let mut aliases: HashMap<String, Vec<usize>> = HashMap::new();
        let mut identity = BTreeMap::new();
        let mut known = Vec::with_capacity(network.len());
        for (index, NetworkSystem { mut connection, connected_at_first }) in network.into_iter().enumerate() {
            let switch = Arc::new(SwitchedLink::new(connection.link));
            switch.set_origin(Arc::new(origin.clone()));
            connection.link = switch.clone();
            let hardware = &connection.hardware;
            for name in &hardware.aliases {
                let places = aliases.entry(name.clone()).or_default();
                if !places.contains(&index) {
                    places.push(index);
                }
            }
            identity.insert(hardware.identity.to_string(), index);
            let watch = Arc::new(NameWatch {
                stale: AtomicBool::new(true),
                any_stale: any_stale.clone(),
                sequence: AtomicU64::new(0),
            });
            connection.link.subscribe(watch.clone());
            known.push(Known {
                connection: Arc::new(connection),
                switch,
                connected_at_first,
                connected: AtomicBool::new(connected_at_first),
                watch,
                seen: Mutex::new(None),
            });
        }
        Self {
            known,
            aliases,
            identity,
            any_stale,
            origin: origin.clone(),
            user_defined: RwLock::default(),
            refreshing: Mutex::default(),
        }
    }

    /// Connections in the order in which they were given.
    pub fn all(&self) -> impl Iterator<Item = &Arc<SystemConnection>> {
        self.known.iter().filter(|known| known.is_connected()).map(|known| &known.connection)
    }

    /// Every system of the network, connected or not, in the same order.
    pub fn network(&self) -> impl Iterator<Item = &Known> {
        self.known.iter()
    }

    /// The system whose service processor has this address.
    pub fn at_address(&self, address: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.connection.address == address)
    }

    fn entry(&self, identity: &MachineIdentity) -> Option<&Known> {
        let index = self.identity.get(&identity.to_string())?;
        self.known.get(*index)
    }

    /// Connects a system, or forgets it. Its name is asked for again.
    pub fn set_connected(&self, identity: &MachineIdentity, connected: bool) {
        if let Some(known) = self.entry(identity) {
            known.connected.store(connected, Ordering::Release);
            if !connected {
                *lock(&known.seen) = None;
            }
            known.watch.stale.store(true, Ordering::Release);
            self.any_stale.store(true, Ordering::Release);
            *lock(&self.refreshing) = Monotonic::default();
        }
    }

    /// Sets what the console knows of a service processor's password.
    pub fn set_access(&self, identity: &MachineIdentity, access: &AccessPassword) {
        if let Some(known) = self.entry(identity) {
            known.switch.set_origin(Arc::new(Origin { access: access.clone(), ..self.origin.clone() }));
        }
    }

    /// What the console knows of a service processor's password.
    pub fn access(&self, identity: &MachineIdentity) -> AccessPassword {
        self.entry(identity)
            .and_then(|known| known.switch.origin())
            .map_or_else(|| self.origin.access.clone(), |origin| origin.access.clone())
    }

    /// Connections in the order of type-model*serial.
    pub fn by_identity(&self) -> impl Iterator<Item = &SystemConnection> {
        self.identity.values().map(|index| &*self.known[*index].connection)
    }

    /// Finds a system by its user-defined name (before it was first seen, the site's), by type-model*serial, or by an alias
    /// of the site, in this order. `ask` reads a system when its name may have changed.
    ///
    /// # Errors
    /// [`MessageKey::SystemNotFound`], [`MessageKey::SystemAmbiguous`].
    pub fn find(
        &self,
        name: &str,
        now: Monotonic,
        ask: impl Fn(&SystemConnection) -> Option<Arc<ManagedSystem>>,
    ) -> Result<Arc<SystemConnection>, Refusal> {
        // While another thread waits for a system that is slow, names that are known are found all the same.
        if let Ok(mut retry_at) = self.refreshing.try_lock() {
            self.refresh(&mut retry_at, now, &ask);
            return self.look_up(name);
        }
        match self.look_up(name) {
            Err(refusal) if refusal.key == MessageKey::SystemNotFound => {
                self.refresh(&mut lock(&self.refreshing), now, &ask);
                self.look_up(name)
            }
            found => found,
        }
    }

    fn look_up(&self, name: &str) -> Result<Arc<SystemConnection>, Refusal> {
        let user_defined = self.user_defined.read().unwrap_or_else(PoisonError::into_inner);
        let by_identity = self.identity.get(name).map(std::slice::from_ref);
        let candidates = [
            user_defined.get(name).map(Vec::as_slice),
            by_identity,
            self.aliases.get(name).map(Vec::as_slice),
        ];
        for indexes in candidates.into_iter().flatten() {
            let connected = |index: &&usize| self.known[**index].is_connected();
            let mut found = indexes.iter().filter(connected);
            match (found.next(), found.next()) {
                (Some(&index), None) => return Ok(self.known[index].connection.clone()),
                (Some(_), Some(_)) => return Err(Refusal::new(MessageKey::SystemAmbiguous).with(name)),
                (None, _) => {}
            }
        }
        Err(Refusal::new(MessageKey::SystemNotFound).with(name))
    }

    /// Reads the names that may have changed.
    fn refresh(
        &self,
        retry_at: &mut Monotonic,
        now: Monotonic,
        ask: &impl Fn(&SystemConnection) -> Option<Arc<ManagedSystem>>,
    ) {
        if now < *retry_at || !self.any_stale.swap(false, Ordering::AcqRel) {
            return;
        }
        for known in self.known.iter().filter(|known| known.is_connected()) {
            // Cleared before asking: a change that comes meanwhile marks it again.
            if !known.watch.stale.swap(false, Ordering::AcqRel) {
                continue;
            }
            if let Some(system) = ask(&known.connection) {
                *lock(&known.seen) = Some(system);
            } else {
                known.watch.stale.store(true, Ordering::Release);
                self.any_stale.store(true, Ordering::Release);
                *retry_at = now.after(NAME_RETRY);
            }
        }
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, known) in self.known.iter().enumerate().filter(|(_, known)| known.is_connected()) {
            names.entry(known.name()).or_default().push(index);
        }
        *self.user_defined.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The switch of the link to a system.
    pub fn switch(&self, identity: &MachineIdentity) -> Option<&Arc<SwitchedLink>> {
        self.entry(identity).map(|known| &known.switch)
    }

    /// The user-defined name of a system as it was last seen.
    pub fn name(&self, connection: &SystemConnection) -> String {
        self.entry(connection.identity()).map_or_else(|| connection.hardware.site_name.clone(), Known::name)
    }

    /// Remembers a system as it was seen.
    pub fn saw(&self, connection: &SystemConnection, system: &Arc<ManagedSystem>) {
        if let Some(known) = self.entry(connection.identity()) {
            *lock(&known.seen) = Some(system.clone());
        }
    }

    /// A system that cannot be reached, as far as the console knows it.
    pub fn unreachable(&self, connection: &SystemConnection, state: SystemState) -> Arc<ManagedSystem> {
        let seen = self.entry(connection.identity()).and_then(|known| lock(&known.seen).clone());
        let seen = seen.map_or_else(
            || ManagedSystem {
                hardware: connection.hardware.clone(),
                settings: SystemSettings::new(&connection.hardware, false),
                state,
                usage: Usage::default(),
                reference_codes: ReferenceCodes::default(),
                partition_count: 0,
            },
            |seen| (*seen).clone(),
        );
        Arc::new(ManagedSystem { state, ..seen })
    }
}
