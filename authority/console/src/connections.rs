//! Which managed systems the console is connected to: the console's own durable state.
//!
//! ```text
//!             connect                 answer of the service processor
//! (removed) ──────────> connected ──> Connected | Pending Authentication | Failed Authentication
//!     ^                     │    └──> No Connection: nobody answers at the address
//!     └────── remove ───────┘
//! ```
//!
//! A connection is to an address. The state is not kept: it is what the service processor answers when it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use varan_contract::system::{CallError, SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::ids::MachineIdentity;
use varan_model::refusal::Refusal;
use varan_model::system::AccessPassword;

use crate::console::Console;
use crate::password;
use crate::store::{Change, Store, StoreError};
use crate::systems::{SystemConnection, Systems};

/// Connections to addresses at which no system of the site is. A console has a few systems; this bounds what a loop adds.
pub const UNANSWERED_MAX: usize = 256;

/// A connection as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectionRecord {
    /// Address of the service processor.
    pub address: String,
    /// The machine, once the console knows it.
    pub identity: Option<MachineIdentity>,
    /// False for a system whose connection was removed.
    pub connected: bool,
    /// What the console knows of the service processor's password.
    pub access: AccessPassword,
}

impl ConnectionRecord {
    /// Key in the database.
    pub fn key(&self) -> String {
        self.identity.as_ref().map_or_else(|| self.address.clone(), ToString::to_string)
    }
}

/// State of a connection as `lssysconn` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// The system answers.
    Connected,
    /// Nobody answers.
    NoConnection,
    /// The service processor has no password yet.
    PendingAuthentication,
    /// The console's password is wrong.
    FailedAuthentication,
}

impl ConnectionState {
    /// The word of `lssysconn`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::NoConnection => "No Connection",
            Self::PendingAuthentication => "Pending Authentication",
            Self::FailedAuthentication => "Failed Authentication",
        }
    }

    /// The state that an answer shows; `None` for an answer that says nothing of the connection.
    pub(crate) fn of(result: &Result<SystemReply, CallError>) -> Option<Self> {
        match result {
            Ok(_) => Some(Self::Connected),
            Err(CallError::NoConnection) => Some(Self::NoConnection),
            Err(CallError::Refused(refusal)) => match refusal.key {
                MessageKey::AccessPending => Some(Self::PendingAuthentication),
                MessageKey::AccessFailed => Some(Self::FailedAuthentication),
                _ => None,
            },
            Err(CallError::Busy) => None,
        }
    }
}

/// One row of `lssysconn`.
#[derive(Clone, Debug)]
pub struct ConnectionEntry {
    /// The machine; `None` where none has answered yet.
    pub identity: Option<MachineIdentity>,
    /// Address of the service processor.
    pub address: String,
    /// State.
    pub state: ConnectionState,
}

/// The connection that a command names.
#[derive(Clone)]
pub enum ConnectionTarget {
    /// By address.
    Address(String),
    /// By its system.
    System(Arc<SystemConnection>),
}

/// The connections that lead to no system of the site, and the lock under which connections change.
#[derive(Default)]
pub(crate) struct Connections {
    /// Held while a connection changes, so that database and memory change in the same order.
    changing: Mutex<()>,
    unanswered: RwLock<BTreeMap<String, ConnectionRecord>>,
}

impl Connections {
    /// Takes what the database holds over to the systems that there are. A system that the console has not seen before is
    /// connected if the site says so.
    pub fn open(store: &mut Store, systems: &Systems) -> Result<Self, StoreError> {
        let mut records: BTreeMap<String, ConnectionRecord> =
            store.connections()?.into_iter().map(|record| (record.key(), record)).collect();
        let mut changes = Vec::new();
        for network in systems.network() {
            let connection = &network.connection;
            let identity = connection.identity();
            let known = records.remove(&identity.to_string());
            let by_address = known.is_none().then(|| records.remove(&connection.address)).flatten();
            changes.extend(by_address.iter().map(|record| Change::RemoveConnection(record.key())));
            let fresh = ConnectionRecord {
                address: connection.address.clone(),
                identity: Some(identity.clone()),
                connected: network.connected_at_first,
                access: AccessPassword::Initial,
            };
            let before = known.clone().or(by_address);
            let record = before.map_or_else(
                || fresh.clone(),
                |record| ConnectionRecord {
                    connected: record.connected,
                    access: record.access,
                    ..fresh.clone()
                },
            );
            systems.set_access(identity, &record.access);
            systems.set_connected(identity, record.connected);
            if known.as_ref() != Some(&record) {
                changes.push(Change::PutConnection(Box::new(record)));
            }
        }
        if !changes.is_empty() {
            store.write(&changes)?;
        }
        records.retain(|_, record| record.connected);
        let by_address = records.into_values().map(|record| (record.address.clone(), record));
        Ok(Self { changing: Mutex::default(), unanswered: RwLock::new(by_address.collect()) })
    }

    fn unanswered(&self) -> BTreeMap<String, ConnectionRecord> {
        self.unanswered.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Console {
    /// The state of a connection, by asking the system.
    #[must_use]
    pub fn connection_state(&self, system: &SystemConnection) -> ConnectionState {
        let result = system.link.call(self.request_id(), SystemRequest::GetSystem);
        if let Ok(SystemReply::System(found)) = &result {
            self.systems.saw(system, found);
        }
        // A system that has too much to do is there.
        ConnectionState::of(&result).unwrap_or(ConnectionState::Connected)
    }

    /// The connections to addresses at which no system of the site is, in the order of their addresses.
    #[must_use]
    pub fn unanswered_connections(&self) -> Vec<ConnectionEntry> {
        let entry = |record: ConnectionRecord| ConnectionEntry {
            identity: record.identity,
            address: record.address,
            state: ConnectionState::NoConnection,
        };
        self.connections.unanswered().into_values().map(entry).collect()
    }

    /// The connection to a system.
    #[must_use]
    pub fn connection_entry(&self, system: &SystemConnection) -> ConnectionEntry {
        ConnectionEntry {
            identity: Some(system.identity().clone()),
            address: system.address.clone(),
            state: self.connection_state(system),
        }
    }

    fn write_connection(&self, change: Change) -> Result<(), Refusal> {
        self.writer.write(change).map_err(|error| Refusal::new(MessageKey::RecordFailed).with(error))
    }

    fn put_system(
        &self,
        system: &SystemConnection,
        connected: bool,
        access: &AccessPassword,
    ) -> Result<(), Refusal> {
        let record = ConnectionRecord {
            address: system.address.clone(),
            identity: Some(system.identity().clone()),
            connected,
            access: access.clone(),
        };
        self.write_connection(Change::PutConnection(Box::new(record)))?;
        self.systems.set_access(system.identity(), access);
        self.systems.set_connected(system.identity(), connected);
        Ok(())
    }

    /// `mksysconn --ip`: connects to the service processor at an address, whether it answers or not. Without a password the
    /// one that a site begins with is tried.
    ///
    /// # Errors
    /// [`MessageKey::ConnectionExists`], [`MessageKey::ConnectionsExhausted`], [`MessageKey::RecordFailed`].
    pub fn connect(&self, address: &str, password: Option<&str>) -> Result<(), Refusal> {
        let access = derive(password)?;
        let _changing = self.connections.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let exists = || Refusal::new(MessageKey::ConnectionExists).with(address);
        if let Some(network) = self.systems.at_address(address) {
            if network.is_connected() {
                return Err(exists());
            }
            return self.put_system(&network.connection, true, &access);
        }
        let unanswered = self.connections.unanswered();
        if unanswered.contains_key(address) {
            return Err(exists());
        }
        if unanswered.len() >= UNANSWERED_MAX {
            return Err(Refusal::new(MessageKey::ConnectionsExhausted).with(UNANSWERED_MAX));
        }
        let record =
            ConnectionRecord { address: address.to_owned(), identity: None, connected: true, access };
        self.write_connection(Change::PutConnection(Box::new(record.clone())))?;
        let mut unanswered = self.connections.unanswered.write().unwrap_or_else(PoisonError::into_inner);
        unanswered.insert(record.address.clone(), record);
        Ok(())
    }

    /// `mksysconn -o auto`: connects to every system of the console's network that it is not connected to, with the
    /// password that it knew.
    ///
    /// # Errors
    /// [`MessageKey::RecordFailed`].
    pub fn discover(&self) -> Result<(), Refusal> {
        let _changing = self.connections.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for network in self.systems.network().filter(|network| !network.is_connected()) {
            self.put_system(&network.connection, true, &self.systems.access(network.connection.identity()))?;
        }
        Ok(())
    }

    /// `rmsysconn -o remove`: forgets a connection. The system does not notice.
    ///
    /// # Errors
    /// [`MessageKey::ConnectionNotFound`], [`MessageKey::RecordFailed`].
    pub fn disconnect(&self, target: &ConnectionTarget) -> Result<(), Refusal> {
        let _changing = self.connections.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = self.connected(target) {
            self.put_system(&system, false, &AccessPassword::Initial)?;
            if let Some(switch) = self.link_switch(system.identity()) {
                switch.reset();
            }
            return Ok(());
        }
        let ConnectionTarget::Address(address) = target else { return Err(not_found(target)) };
        let record = self.connections.unanswered().remove(address);
        let record = record.ok_or_else(|| not_found(target))?;
        self.write_connection(Change::RemoveConnection(record.key()))?;
        self.connections.unanswered.write().unwrap_or_else(PoisonError::into_inner).remove(address);
        Ok(())
    }

    /// `rmsysconn -o reset`: ends a connection and begins it anew. Terminals over it close.
    ///
    /// # Errors
    /// [`MessageKey::ConnectionNotFound`].
    pub fn reset_connection(&self, target: &ConnectionTarget) -> Result<(), Refusal> {
        match (self.connected(target), target) {
            (Some(system), _) => {
                if let Some(switch) = self.link_switch(system.identity()) {
                    switch.reset();
                }
                Ok(())
            }
            // Nobody answered, and nobody does now.
            (None, ConnectionTarget::Address(address))
                if self.connections.unanswered().contains_key(address) =>
            {
                Ok(())
            }
            _ => Err(not_found(target)),
        }
    }

    fn connected(&self, target: &ConnectionTarget) -> Option<Arc<SystemConnection>> {
        match target {
            ConnectionTarget::System(system) => Some(system.clone()),
            ConnectionTarget::Address(address) => self
                .systems
                .at_address(address)
                .filter(|network| network.is_connected())
                .map(|network| network.connection.clone()),
        }
    }

    /// `chsyspwd -t access`: changes the password by which consoles reach a service processor, and the one that this console
    /// knows. Without a new password only the console's own is changed, once the service processor takes it.
    ///
    /// # Errors
    /// [`MessageKey::AccessPasswordWrong`], and as [`Console::call`].
    pub fn set_access_password(
        &self,
        system: &SystemConnection,
        current: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), Refusal> {
        let current = match current {
            Some(_) => derive(current)?,
            None => self.systems.access(system.identity()),
        };
        let new = if new.is_some() { derive(new)? } else { current.clone() };
        let _changing = self.connections.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let request = SystemRequest::SetAccessPassword { current, new: new.clone() };
        self.call(system, request)?;
        self.put_system(system, true, &new)
    }
}

/// The key of a password. Takes the time of one Argon2 hash.
fn derive(password: Option<&str>) -> Result<AccessPassword, Refusal> {
    let Some(password) = password else { return Ok(AccessPassword::Initial) };
    password::access_key(password).map_err(|error| Refusal::new(MessageKey::HostRefused).with(error))
}

fn not_found(target: &ConnectionTarget) -> Refusal {
    let name = match target {
        ConnectionTarget::Address(address) => address.as_str(),
        ConnectionTarget::System(system) => system.name(),
    };
    Refusal::new(MessageKey::ConnectionNotFound).with(name)
}
