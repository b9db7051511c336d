//! Sessions: who logged on, and the token that says so.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use varan_console::SessionGuard;
use varan_model::codes::MessageKey;

use crate::events::EventQueue;
use crate::failure::Failure;
use crate::limits::{SESSIONS, SESSIONS_PER_USER};

/// Bytes of a token before it is written as text.
const TOKEN_BYTES: usize = 96;

/// A session.
pub struct Session {
    /// User.
    pub user: String,
    /// What the client calls itself in the audit (`X-Audit-Memento` of the log-on); empty for none.
    pub memento: String,
    /// Events that the client has not asked for yet.
    pub events: Arc<EventQueue>,
    /// Removed with the session.
    file: Option<PathBuf>,
    _listed: SessionGuard,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // A file that is gone already did its duty.
            let _ = std::fs::remove_file(file);
        }
    }
}

struct Entry {
    session: Arc<Session>,
    /// Time of the last request, by the console's monotonic clock.
    used: Duration,
}

/// The sessions of one API.
pub struct Sessions {
    idle: Duration,
    entries: Mutex<HashMap<String, Entry>>,
}

/// What a new session is made of.
pub struct NewSession {
    /// User.
    pub user: String,
    /// `X-Audit-Memento`.
    pub memento: String,
    /// Its file, for file authentication.
    pub file: Option<PathBuf>,
    /// Shows the session to `lslogon` as long as it lives.
    pub listed: SessionGuard,
    /// Its events.
    pub events: Arc<EventQueue>,
}

impl Sessions {
    /// No sessions; one that is not used for `idle` ends.
    pub fn new(idle: Duration) -> Self {
        Self { idle, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session under a token made by [`new_token`].
    ///
    /// # Errors
    /// When there are too many.
    pub fn begin(&self, token: &str, new: NewSession, now: Duration) -> Result<(), Failure> {
        let session = Arc::new(Session {
            user: new.user,
            memento: new.memento,
            events: new.events,
            file: new.file,
            _listed: new.listed,
        });
        let mut entries = self.entries();
        entries.retain(|_, entry| now.saturating_sub(entry.used) < self.idle);
        let of_user = entries.values().filter(|entry| entry.session.user == session.user).count();
        if entries.len() >= SESSIONS || of_user >= SESSIONS_PER_USER {
            return Err(Failure::new(503, MessageKey::RestTooManySessions));
        }
        entries.insert(token.to_owned(), Entry { session, used: now });
        Ok(())
    }

    /// The session of a token; using it keeps it alive.
    pub fn find(&self, token: &str, now: Duration) -> Option<Arc<Session>> {
        let mut entries = self.entries();
        let entry = entries.get_mut(token)?;
        if now.saturating_sub(entry.used) >= self.idle {
            entries.remove(token);
            return None;
        }
        entry.used = now;
        Some(entry.session.clone())
    }

    /// Ends a session and returns it, if there is one.
    pub fn end(&self, token: &str) -> Option<Arc<Session>> {
        let session = self.entries().remove(token)?.session;
        session.events.close();
        Some(session)
    }
}

/// A token that cannot be guessed, in letters that need no quoting in a header or a cookie.
///
/// # Errors
/// When the system has no randomness.
pub fn new_token() -> Result<String, Failure> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0; TOKEN_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::new(503, MessageKey::Busy))?;
    let mut token = String::with_capacity(TOKEN_BYTES / 3 * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        token.extend((0..4).rev().map(|place| char::from(LETTERS[(word >> (6 * place) & 63) as usize])));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_long() {
        let (one, two) = (new_token().expect("token"), new_token().expect("token"));
        assert_ne!(one, two);
        assert_eq!(one.len(), 128);
    }
}
