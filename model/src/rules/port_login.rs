//! Which ports of virtual Fibre Channel client adapters are logged in.
//!
//! ```text
//!                 chnportlogin -o login
//! not activated ────────────────────────> by the server ── activation, -o logout, server restarts ──> not activated
//!       └── the partition runs (first port of the pair) ──> by the client
//! ```
//!
//! Before there is a Fibre Channel fabric, the first port of a pair is logged in as long as its partition runs, and a server
//! adapter that pairs up counts as mapped to a physical port.

use serde::{Deserialize, Serialize};

use crate::adapters::{AdapterSide, Remote, RemoteSlot, VirtualFibreChannelAdapter};
use crate::configuration::Configuration;
use crate::ids::{PartitionId, VirtualSlot, WorldWidePortName};
use crate::partition::{PartitionEntry, PartitionState, RmcState};

/// Why a port cannot be logged in, or why nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortReason {
    /// The adapter names no partition and slot at the other end, or a partition that does not exist.
    NoServer,
    /// That partition's current configuration has no server adapter in that slot for this client.
    NotPaired,
    /// That partition does not run, or has no RMC connection.
    ServerUnreachable,
}

impl PortReason {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NoServer => "no server partition",
            Self::NotPaired => "no matching server adapter",
            Self::ServerUnreachable => "the server partition is not running or has no RMC connection",
        }
    }
}

/// State of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortState {
    /// Not logged in, perhaps because it could not be.
    NotActivated(Option<PortReason>),
    /// Logged in by the partition.
    Client,
    /// Logged in by its server on request.
    Server,
    /// The server cannot be asked.
    Unknown(PortReason),
}

/// One port in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortLogin {
    /// Partition.
    pub partition_name: String,
    /// Its number.
    pub partition_id: PartitionId,
    /// Profile that has the adapter; `None` for the current configuration.
    pub profile: Option<String>,
    /// Slot of the client adapter.
    pub slot: VirtualSlot,
    /// The port.
    pub port_name: WorldWidePortName,
    /// Its state.
    pub state: PortState,
}

/// A port that a server logged in on request: it lasts as long as that server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLogin {
    /// The port.
    pub port_name: WorldWidePortName,
    /// Activation of the server partition.
    pub server_generation: u64,
}

/// The client adapters of a configuration with their pairs, by slot.
#[must_use]
pub fn client_adapters(
    content: &Configuration,
) -> Vec<(&VirtualFibreChannelAdapter, [WorldWidePortName; 2])> {
    let mut found: Vec<_> = content
        .fibre_channel_adapters
        .iter()
        .filter(|adapter| adapter.side == AdapterSide::Client)
        .filter_map(|adapter| adapter.port_names.map(|(first, second)| (adapter, [first, second])))
        .collect();
    found.sort_by_key(|(adapter, _)| adapter.slot);
    found
}

/// The number of the partition that serves an adapter.
#[must_use]
pub fn server_id(adapter: &VirtualFibreChannelAdapter) -> Option<PartitionId> {
    match &adapter.remote {
        Remote::Partition { id, .. } => *id,
        Remote::Any => None,
    }
}

/// Checks that `server`, the partition that [`server_id`] names, serves a client's adapter and can be asked.
///
/// # Errors
/// Why not.
pub fn check_server(
    client: PartitionId,
    adapter: &VirtualFibreChannelAdapter,
    server: Option<&PartitionEntry>,
) -> Result<(), PortReason> {
    let server = server.ok_or(PortReason::NoServer)?;
    let RemoteSlot::Slot(slot) = adapter.remote_slot else { return Err(PortReason::NoServer) };
    let serves = |other: &VirtualFibreChannelAdapter| {
        let for_client = match &other.remote {
            Remote::Any => true,
            Remote::Partition { id, .. } => *id == Some(client),
        };
        let for_slot = match other.remote_slot {
            RemoteSlot::Slot(remote) => remote == adapter.slot,
            RemoteSlot::Any | RemoteSlot::Unset => true,
        };
        other.slot == slot && other.side == AdapterSide::Server && for_client && for_slot
    };
    let current = server.partition.current.as_ref().ok_or(PortReason::NotPaired)?;
    if !current.fibre_channel_adapters.iter().any(serves) {
        return Err(PortReason::NotPaired);
    }
    if server.runtime.state != PartitionState::Running || server.runtime.rmc != RmcState::Active {
        return Err(PortReason::ServerUnreachable);
    }
    Ok(())
}

/// Whether the partition itself uses the port: it is the first of a pair of its current configuration.
fn client_uses(client: &PartitionEntry, port_name: WorldWidePortName) -> bool {
    let current = client.partition.current.iter().flat_map(client_adapters);
    client.runtime.state == PartitionState::Running
        && current.map(|(_, [first, _])| first).any(|first| first == port_name)
}

/// State of a port of a client's adapter.
#[must_use]
pub fn state(
    client: &PartitionEntry,
    adapter: &VirtualFibreChannelAdapter,
    server: Option<&PartitionEntry>,
    port_name: WorldWidePortName,
) -> PortState {
    match check_server(client.partition.id, adapter, server) {
        Err(reason @ PortReason::ServerUnreachable) => return PortState::Unknown(reason),
        Err(reason) => return PortState::NotActivated(Some(reason)),
        Ok(()) => {}
    }
    if client_uses(client, port_name) {
        return PortState::Client;
    }
    let generation = server.map_or(0, |server| server.runtime.generation);
    let login = ServerLogin { port_name, server_generation: generation };
    if client.runtime.server_logins.contains(&login) {
        PortState::Server
    } else {
        PortState::NotActivated(None)
    }
}
