//! Counting connections, so that strangers cannot use up the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::Limits;

#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    logins: usize,
    logins_by_address: HashMap<IpAddr, usize>,
}

/// The counts of all connections of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    counts: Mutex<Counts>,
    connections: usize,
    logins: usize,
    logins_per_address: usize,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
            connections: limits.connections,
            logins: limits.logins_in_progress,
            logins_per_address: limits.logins_in_progress_per_address,
        })
    }

    /// Admits one connection from `address`, not logged in yet, or says which limit it met.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Result<(ConnectionPermit, LoginPermit), &'static str> {
        let address = address.to_canonical();
        let mut counts = self.lock();
        if counts.connections >= self.connections {
            return Err("too many connections");
        }
        if counts.logins >= self.logins {
            return Err("too many connections that have not logged in");
        }
        if counts.logins_by_address.get(&address).copied().unwrap_or_default() >= self.logins_per_address {
            return Err("too many connections from this address that have not logged in");
        }
        counts.connections += 1;
        counts.logins += 1;
        *counts.logins_by_address.entry(address).or_default() += 1;
        let connection = ConnectionPermit { admission: Arc::clone(self) };
        Ok((connection, LoginPermit { admission: Arc::clone(self), address }))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held for the life of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.admission.lock().connections -= 1;
    }
}

/// Held until the connection has logged in or ended.
#[derive(Debug)]
pub(crate) struct LoginPermit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Drop for LoginPermit {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        counts.logins -= 1;
        if let Some(count) = counts.logins_by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.logins_by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn every_limit_holds_and_permits_give_back() {
        let limits = Limits {
            connections: 4,
            logins_in_progress: 3,
            logins_in_progress_per_address: 2,
            ..Limits::default()
        };
        let admission = Admission::new(&limits);
        let one = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
        let other = IpAddr::from(Ipv4Addr::new(192, 0, 2, 2));
        let (first, first_login) = admission.admit(one).unwrap();
        let (_second, _second_login) = admission.admit(one).unwrap();
        assert!(admission.admit(one).unwrap_err().contains("this address"));
        let mapped = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert!(admission.admit(mapped).unwrap_err().contains("this address"));
        let (_third, third_login) = admission.admit(other).unwrap();
        assert!(admission.admit(other).unwrap_err().contains("not logged in"));
        drop(third_login);
        let (_fourth, fourth_login) = admission.admit(other).unwrap();
        drop((fourth_login, first_login));
        assert_eq!(admission.admit(other).unwrap_err(), "too many connections");
        drop(first);
        assert!(admission.admit(other).is_ok());
    }
}
