//! A server's place in a driver's hands, as the server's authority uses it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use varan_contract::network::{
    ClientStatistics, NetworkDeviceStatistics, PingResult, PortStatistics, ServerNetwork,
    ServerNetworkConfiguration, VnicServerState,
};
use varan_model::ids::{MacAddress, VirtualSlot};
use varan_station::EchoId;

use super::{ServerEvent, ServerFabric};
use crate::driver::{Driver, PlaceHandle};

/// How much longer than it should take a round of pings is waited for: the driver may be busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rounds of pings that are over, for those who wait for them.
#[derive(Default)]
struct Pings {
    over: Mutex<BTreeSet<EchoId>>,
    changed: Condvar,
}

/// The network engine of one Virtual I/O Server.
#[derive(Clone)]
pub struct ServerHandle {
    place: PlaceHandle<ServerFabric>,
    pings: Arc<Pings>,
}

impl ServerHandle {
    /// Adds a server to a driver that has a thread. `events` takes what it reports, but for rounds of pings; it is called from
    /// the driver's thread, must not block and must not call the driver.
    pub fn add(
        driver: &Driver,
        fabric: ServerFabric,
        mut events: impl FnMut(ServerEvent) + Send + 'static,
    ) -> Self {
        let pings = Arc::new(Pings::default());
        let over = pings.clone();
        let place = driver.add(fabric, move |event| match event {
            ServerEvent::PingOver(id) => {
                over.over.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
                over.changed.notify_all();
            }
            event => events(event),
        });
        Self { place, pings }
    }

    /// The place, to link its ports, bind them and pause it.
    #[must_use]
    pub fn place(&self) -> &PlaceHandle<ServerFabric> {
        &self.place
    }

    /// Waits until a round of pings is over, at most so long.
    fn wait(&self, id: EchoId, longest: Duration) {
        let over = self.pings.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.pings.changed.wait_timeout_while(over, longest, |over| !over.contains(&id));
        waited.unwrap_or_else(PoisonError::into_inner).0.remove(&id);
    }
}

impl ServerNetwork for ServerHandle {
    fn configure(&self, configuration: ServerNetworkConfiguration) {
        self.place.tell(move |server, now, out| server.configure(now, configuration, out));
    }

    fn statistics(&self, device: &str) -> Option<NetworkDeviceStatistics> {
        self.place.ask(|server, now, _| server.statistics(now, device))?
    }

    fn reset_statistics(&self, device: &str) {
        let device = device.to_owned();
        self.place.tell(move |server, now, _| server.reset_statistics(now, &device));
    }

    fn accounting(&self, device: &str) -> Vec<ClientStatistics> {
        self.place.ask(|server, _, _| server.accounting(device)).unwrap_or_default()
    }

    fn reset_accounting(&self, device: &str) {
        let device = device.to_owned();
        self.place.tell(move |server, _, _| server.reset_accounting(&device));
    }

    fn vnic_server(&self, slot: VirtualSlot) -> Option<VnicServerState> {
        self.place.ask(|server, _, _| server.vnic_server(slot))?
    }

    fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        self.place.ask(|server, _, _| server.neighbours()).unwrap_or_default()
    }

    fn interface(&self, name: &str) -> Option<PortStatistics> {
        self.place.ask(|server, _, _| server.interface(name))?
    }

    fn ping(&self, address: Ipv4Addr, count: u32, bytes: u16, interval: Duration) -> PingResult {
        let begun = self
            .place
            .ask(|server, now, out| server.ping(now, (address, count, bytes), interval, out))
            .flatten();
        let unreachable = || PingResult { unreachable: true, ..PingResult::default() };
        let Some(id) = begun else {
            return unreachable();
        };
        self.wait(id, interval.saturating_mul(count).saturating_add(PATIENCE));
        let result = self.place.ask(|server, now, _| server.ping_result(now, id)).flatten();
        // What was reported just after the wait is of no use any more.
        self.pings.over.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        result.map_or_else(unreachable, |(result, _)| result)
    }
}
