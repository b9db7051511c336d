//! The managed systems that a console is connected to, and how a name finds one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use varan_contract::system::{SystemEvent, SystemEventKind, SystemEvents, SystemLink};
use varan_environment::Monotonic;
use varan_model::codes::MessageKey;
use varan_model::hardware::Hardware;
use varan_model::ids::MachineIdentity;
use varan_model::partition::{ReferenceCodes, Usage};
use varan_model::refusal::Refusal;
use varan_model::system::{ManagedSystem, SystemSettings, SystemState};

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

struct Known {
    connection: Arc<SystemConnection>,
    switch: Arc<SwitchedLink>,
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
}

/// All systems of a console. Finding one takes the same time however many systems and partitions there are.
pub struct Systems {
    known: Vec<Known>,
    aliases: HashMap<String, Vec<usize>>,
    identity: BTreeMap<String, usize>,
    any_stale: Arc<AtomicBool>,
    user_defined: RwLock<HashMap<String, Vec<usize>>>,
    /// Held while names are read anew, with the time before which a system that did not answer is not asked again.
    refreshing: Mutex<Monotonic>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Systems {
    /// Takes over connections and subscribes to their events.
    pub fn new(connections: Vec<SystemConnection>) -> Self {
        let any_stale = Arc::new(AtomicBool::new(true));
        let mut aliases: HashMap<String, Vec<usize>> = HashMap::new();
        let mut identity = BTreeMap::new();
        let mut known = Vec::with_capacity(connections.len());
        for (index, mut connection) in connections.into_iter().enumerate() {
            let switch = Arc::new(SwitchedLink::new(connection.link));
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
            known.push(Known { connection: Arc::new(connection), switch, watch, seen: Mutex::new(None) });
        }
        Self {
            known,
            aliases,
            identity,
            any_stale,
            user_defined: RwLock::default(),
            refreshing: Mutex::default(),
        }
    }

    /// Connections in the order in which they were given.
    pub fn all(&self) -> impl Iterator<Item = &Arc<SystemConnection>> {
        self.known.iter().map(|known| &known.connection)
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
        match candidates.into_iter().flatten().next() {
            Some(&[index]) => Ok(self.known[index].connection.clone()),
            Some(_) => Err(Refusal::new(MessageKey::SystemAmbiguous).with(name)),
            None => Err(Refusal::new(MessageKey::SystemNotFound).with(name)),
        }
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
        for known in &self.known {
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
        for (index, known) in self.known.iter().enumerate() {
            names.entry(known.name()).or_default().push(index);
        }
        *self.user_defined.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn known(&self, connection: &SystemConnection) -> Option<&Known> {
        let index = self.identity.get(&connection.identity().to_string())?;
        self.known.get(*index)
    }

    /// The switch of the link to a system.
    pub fn switch(&self, identity: &MachineIdentity) -> Option<&Arc<SwitchedLink>> {
        let index = self.identity.get(&identity.to_string())?;
        self.known.get(*index).map(|known| &known.switch)
    }

    /// The user-defined name of a system as it was last seen.
    pub fn name(&self, connection: &SystemConnection) -> String {
        self.known(connection).map_or_else(|| connection.hardware.site_name.clone(), Known::name)
    }

    /// Remembers a system as it was seen.
    pub fn saw(&self, connection: &SystemConnection, system: &Arc<ManagedSystem>) {
        if let Some(known) = self.known(connection) {
            *lock(&known.seen) = Some(system.clone());
        }
    }

    /// A system that cannot be reached, as far as the console knows it.
    pub fn unreachable(&self, connection: &SystemConnection) -> Arc<ManagedSystem> {
        let seen = self.known(connection).and_then(|known| lock(&known.seen).clone());
        let seen = seen.map_or_else(
            || ManagedSystem {
                hardware: connection.hardware.clone(),
                settings: SystemSettings::new(&connection.hardware, false),
                state: SystemState::NoConnection,
                usage: Usage::default(),
                reference_codes: ReferenceCodes::default(),
                partition_count: 0,
            },
            |seen| (*seen).clone(),
        );
        Arc::new(ManagedSystem { state: SystemState::NoConnection, ..seen })
    }
}
