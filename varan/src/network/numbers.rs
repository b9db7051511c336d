//! Numbers of ports: small, and used again.

use varan_fabric::PortNumber;

/// Numbers in use.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next: u32,
    free: Vec<u32>,
}

impl Numbers {
    pub(super) fn take(&mut self) -> PortNumber {
        PortNumber(self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        }))
    }

    pub(super) fn give(&mut self, number: PortNumber) {
        self.free.push(number.0);
    }
}
