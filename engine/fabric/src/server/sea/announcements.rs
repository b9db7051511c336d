//! Tells the switches outside where clients are after a take-over (`send_RARP`).

use varan_ethernet::{FramePool, VlanTag};

use super::{Sea, Way};
use crate::write_announcement;

/// Announcements at once: more wait for the next time, so that a take-over is no burst that nothing can take.
const AT_ONCE: usize = 512;

impl Sea {
    /// Sends the next announcements.
    pub(super) fn announce(&mut self, pool: &mut FramePool) {
        for _ in 0..AT_ONCE.min(self.announcements.len()) {
            let Some((client, vlan)) = self.announcements.pop_front() else {
                return;
            };
            let Some(number) = self.setup.trunk_of(vlan).filter(|number| self.election.holds(*number)) else {
                continue;
            };
            let mut frame = pool.take();
            write_announcement(&mut frame, client);
            if vlan != self.setup.trunks[number].port_vlan {
                frame.tag = Some(VlanTag::of(vlan));
            }
            self.statistics.generated += 1;
            self.queue.push((Way::Real, frame));
        }
    }
}
