//! Who is logged in: one entry for each shell or command that a user runs over a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSession {
    /// Number, unique while the console runs.
    pub id: u64,
    /// User.
    pub user: String,
    /// Other end of the connection.
    pub peer: String,
    /// When it began, in seconds since 1970 UTC.
    pub seconds: i64,
}

#[derive(Default)]
struct Entries {
    last: u64,
    open: BTreeMap<u64, LoginSession>,
}

/// The sessions of a console. They end with the connections that they belong to, so their number is bounded by those.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<Entries>>);

/// A session that ends when this is dropped.
pub struct SessionGuard {
    sessions: Sessions,
    id: u64,
}

impl Sessions {
    pub fn begin(&self, user: &str, peer: &str, seconds: i64) -> SessionGuard {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.last += 1;
        let id = entries.last;
        let (user, peer) = (user.to_owned(), peer.to_owned());
        entries.open.insert(id, LoginSession { id, user, peer, seconds });
        SessionGuard { sessions: self.clone(), id }
    }

    pub fn all(&self) -> Vec<LoginSession> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open.values().cloned().collect()
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listed_until_it_ends() {
        let sessions = Sessions::default();
        let first = sessions.begin("hscroot", "127.0.0.1", 1);
        let second = sessions.begin("viewer", "127.0.0.2", 2);
        drop(first);
        let left: Vec<String> = sessions.all().into_iter().map(|session| session.user).collect();
        assert_eq!(left, ["viewer"]);
        drop(second);
        assert!(sessions.all().is_empty());
    }
}
