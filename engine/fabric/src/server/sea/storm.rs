//! Protection against frames that go in a circle.
//!
//! Two Shared Ethernet Adapters that both bridge a VLAN (both with `ha_mode=disabled`, or with control channels that do not
//! meet) pass each broadcast to each other for ever: one over the physical network, the other over the virtual switch. The
//! same frame then comes to each of them from both sides, again and again; without a circle it comes once. Seen often
//! enough, the Shared Ethernet Adapter stops bridging for a time that grows with each circle, up to a minute. The one of the
//! worse priority is the more sensitive one, so that of two one goes on. Frames of its own clients that come back from
//! outside meanwhile show that another one bridges, and it stays stopped as long as it sees any.

use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

const SLOTS: usize = 64;
/// Time in which the same frame is counted.
const WINDOW: Duration = Duration::from_secs(1);
/// The first time without bridging.
const FIRST_REST: Duration = Duration::from_secs(2);
/// How long it stays stopped after it saw that another one bridges.
pub const EVIDENCE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// After so long without circle it begins with the first time again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u64,
    since: Monotonic,
    from_real: u32,
    from_trunks: u32,
}

/// Watches frames that go to several stations.
#[derive(Debug)]
pub struct StormWatch {
    slots: [Slot; SLOTS],
    threshold: u32,
    /// Spreads the rests of two of the same priority.
    spread: Duration,
    rest: Duration,
    last: Option<Monotonic>,
}

impl StormWatch {
    /// A watch of a Shared Ethernet Adapter of that priority and address.
    #[must_use]
    pub fn new(priority: u8, name: EthernetAddress) -> Self {
        let own = hash(0, &name.0);
        Self {
            slots: [Slot::default(); SLOTS],
            threshold: u32::try_from((own ^ own >> 31) & 31).unwrap_or(0)
                + if priority <= 1 { 48 } else { 8 },
            spread: Duration::from_millis(own >> 48 & 0x7FF),
            rest: FIRST_REST,
            last: None,
        }
    }

    /// A frame for several stations, or for one whose place is not known, came from a side. Until when to rest if it goes in
    /// a circle.
    pub fn watch(&mut self, now: Monotonic, vlan: u16, frame: &Frame, real: bool) -> Option<Monotonic> {
        let hash = hash(vlan, frame.bytes());
        let slot = &mut self.slots[usize::try_from(hash % SLOTS as u64).unwrap_or(0)];
        if slot.hash != hash || now.since(slot.since) >= WINDOW {
            *slot = Slot { hash, since: now, from_real: 0, from_trunks: 0 };
        }
        let count = if real { &mut slot.from_real } else { &mut slot.from_trunks };
        *count = count.saturating_add(1);
        if slot.from_real.min(slot.from_trunks) < self.threshold {
            return None;
        }
        *slot = Slot::default();
        if self.last.is_some_and(|last| now.since(last) >= FORGOTTEN_AFTER) {
            self.rest = FIRST_REST;
        }
        self.last = Some(now);
        let until = now.after(self.rest).after(self.spread);
        self.rest = (self.rest * 2).min(LONGEST_REST);
        Some(until)
    }
}

/// FNV-1a over the VLAN and the first bytes: enough to tell frames apart, short enough for each broadcast.
fn hash(vlan: u16, bytes: &[u8]) -> u64 {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let start = (0xCBF2_9CE4_8422_2325 ^ u64::from(vlan) ^ length << 16).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().take(128).fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}
