//! One backing device: its health, and how long it must be well before it counts as settled.

use std::time::Duration;

use varan_contract::network::BackingDeviceStatus;
use varan_environment::Monotonic;
use varan_model::ids::LogicalPortId;

/// How long a device must be well before a virtual NIC goes back to it, after its first failure in a while.
const HOLD: Duration = Duration::from_secs(1);
/// The longest hold time of a device that fails again and again.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// A device that was well for so long starts with the shortest hold time again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(120);

/// A backing device as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackingDevice {
    /// Its logical port.
    pub port: LogicalPortId,
    /// Failover priority; the lowest number is best.
    pub priority: u8,
}

/// How the Virtual I/O Server of a backing device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerHealth {
    /// It gives signs of life.
    Alive,
    /// It is on and does not.
    Dead,
    /// It is off.
    #[default]
    Off,
}

/// How a backing device is, as far as the hypervisor sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceHealth {
    /// Whether its physical port has a link, and the logical port is there.
    pub link: bool,
    /// Its server.
    pub server: ServerHealth,
}

impl DeviceHealth {
    /// Whether frames can go over the device as far as links tell.
    #[must_use]
    pub fn usable(self) -> bool {
        self.link && self.server == ServerHealth::Alive
    }
}

/// What its probes say of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probing {
    /// Nothing yet: they began at that time.
    Begun(Monotonic),
    /// The last answer came then.
    Answered(Monotonic),
    /// None for too long; the last one, if any, came then.
    Silent(Option<Monotonic>),
}

/// A backing device with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub configured: BackingDevice,
    pub health: DeviceHealth,
    /// `None` without probe targets and while the device is not usable.
    pub probing: Option<Probing>,
    /// Tells its probes apart from those of the other devices, 0 to 7; stays with the device.
    pub mark: u8,
    /// Since when it is well; `None` while it is not.
    pub well_since: Option<Monotonic>,
    /// Failures that are not forgiven yet.
    pub failures: u32,
}

impl Device {
    pub fn new(configured: BackingDevice, mark: u8) -> Self {
        Self {
            configured,
            health: DeviceHealth::default(),
            probing: None,
            mark,
            well_since: None,
            failures: 0,
        }
    }

    /// Usable, and its probes say nothing else.
    pub fn is_well(&self) -> bool {
        self.health.usable() && !matches!(self.probing, Some(Probing::Silent(_)))
    }

    fn hold(&self) -> Duration {
        match self.failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => HOLD.saturating_mul(1 << doublings.min(10)).min(LONGEST_HOLD),
        }
    }

    /// When it is settled, if it stays well.
    pub fn settled_at(&self) -> Option<Monotonic> {
        self.well_since.map(|since| since.after(self.hold()))
    }

    pub fn is_settled(&self, now: Monotonic) -> bool {
        self.settled_at().is_some_and(|at| at <= now)
    }

    /// Notes whether it is well now; counts a failure where it is not any more.
    pub fn note_wellness(&mut self, now: Monotonic) {
        match (self.well_since, self.is_well()) {
            (None, true) => self.well_since = Some(now),
            (Some(since), false) => {
                if now.since(since) >= FORGIVEN_AFTER {
                    self.failures = 0;
                }
                self.failures = self.failures.saturating_add(1);
                self.well_since = None;
            }
            _ => {}
        }
    }

    /// When an answer came last.
    pub fn last_answer(&self) -> Option<Monotonic> {
        match self.probing {
            Some(Probing::Answered(at)) => Some(at),
            Some(Probing::Silent(at)) => at,
            _ => None,
        }
    }

    /// The console's word for it.
    pub fn status(&self) -> BackingDeviceStatus {
        match self.health.server {
            ServerHealth::Off => BackingDeviceStatus::PoweredOff,
            ServerHealth::Dead => BackingDeviceStatus::NotOperational,
            ServerHealth::Alive if self.is_well() => BackingDeviceStatus::Operational,
            ServerHealth::Alive => BackingDeviceStatus::LinkDown,
        }
    }
}
