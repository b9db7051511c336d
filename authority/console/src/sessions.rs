//! Who is logged in: one entry for each shell or command that a user runs over a connection, and what it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What kind of session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A shell or a command over SSH, or from the console itself.
    Shell,
    /// Of the web services.
    Web,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSession {
    /// Number, unique while the console runs.
    pub id: u64,
    /// Kind.
    pub kind: SessionKind,
    /// User.
    pub user: String,
    /// Other end of the connection.
    pub peer: String,
    /// When it began, in seconds since 1970 UTC.
    pub seconds: i64,
    /// The commands that it runs, oldest first.
    pub tasks: Vec<SessionTask>,
}

/// A command that a session runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTask {
    /// Number, unique while the console runs.
    pub id: u64,
    /// Command line without passwords.
    pub command: String,
    /// When it began, in seconds since 1970 UTC.
    pub seconds: i64,
}

/// Ends a session or a task from outside. It is called without any lock and must not wait.
type End = Arc<dyn Fn() + Send + Sync>;

struct OpenSession {
    session: LoginSession,
    end: Option<End>,
    task_ends: BTreeMap<u64, End>,
}

#[derive(Default)]
struct Entries {
    last: u64,
    open: BTreeMap<u64, OpenSession>,
}

/// The sessions of a console. They end with the connections that they belong to, so their number is bounded by those.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<Entries>>);

/// A session that ends when this is dropped.
pub struct SessionGuard {
    sessions: Sessions,
    id: u64,
}

/// A task that ends when this is dropped.
pub struct TaskGuard {
    sessions: Sessions,
    session: u64,
    id: u64,
}

impl Sessions {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, kind: SessionKind, user: &str, peer: &str, seconds: i64) -> SessionGuard {
        let mut entries = self.entries();
        entries.last += 1;
        let id = entries.last;
        let (user, peer) = (user.to_owned(), peer.to_owned());
        let session = LoginSession { id, kind, user, peer, seconds, tasks: Vec::new() };
        entries.open.insert(id, OpenSession { session, end: None, task_ends: BTreeMap::new() });
        SessionGuard { sessions: self.clone(), id }
    }

    pub fn all(&self) -> Vec<LoginSession> {
        self.entries().open.values().map(|open| open.session.clone()).collect()
    }

    /// Ends a session, or one task of it. Returns false if there is none of those numbers, or it cannot be ended.
    pub fn end(&self, session: u64, task: Option<u64>) -> bool {
        let end = self.entries().open.get(&session).and_then(|open| match task {
            Some(task) => open.task_ends.get(&task).cloned(),
            None => open.end.clone(),
        });
        if let Some(end) = &end {
            end();
        }
        end.is_some()
    }

    /// Ends all that can be ended.
    pub fn end_all(&self) {
        let ends: Vec<End> = self.entries().open.values().filter_map(|open| open.end.clone()).collect();
        ends.iter().for_each(|end| end());
    }
}

impl SessionGuard {
    /// Says how the session is ended from outside.
    pub fn on_end(&self, end: impl Fn() + Send + Sync + 'static) {
        if let Some(open) = self.sessions.entries().open.get_mut(&self.id) {
            open.end = Some(Arc::new(end));
        }
    }

    /// Notes that the session runs a command until the guard is dropped. `end` ends it from outside.
    #[must_use]
    pub fn begin_task(
        &self,
        command: String,
        seconds: i64,
        end: impl Fn() + Send + Sync + 'static,
    ) -> TaskGuard {
        let mut entries = self.sessions.entries();
        entries.last += 1;
        let id = entries.last;
        if let Some(open) = entries.open.get_mut(&self.id) {
            open.session.tasks.push(SessionTask { id, command, seconds });
            open.task_ends.insert(id, Arc::new(end));
        }
        TaskGuard { sessions: self.sessions.clone(), session: self.id, id }
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sessions.entries().open.remove(&self.id);
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(open) = self.sessions.entries().open.get_mut(&self.session) {
            open.session.tasks.retain(|task| task.id != self.id);
            open.task_ends.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn begin(sessions: &Sessions, user: &str) -> SessionGuard {
        sessions.begin(SessionKind::Shell, user, "127.0.0.1", 1)
    }

    #[test]
    fn a_session_is_listed_until_it_ends() {
        let sessions = Sessions::default();
        let first = begin(&sessions, "hscroot");
        let second = begin(&sessions, "viewer");
        drop(first);
        let left: Vec<String> = sessions.all().into_iter().map(|session| session.user).collect();
        assert_eq!(left, ["viewer"]);
        drop(second);
        assert!(sessions.all().is_empty());
    }

    #[test]
    fn sessions_and_tasks_are_ended_from_outside() {
        let sessions = Sessions::default();
        let (session, other) = (begin(&sessions, "hscroot"), begin(&sessions, "viewer"));
        let ended = Arc::new(AtomicU32::new(0));
        let note = |bit: u32| {
            let ended = ended.clone();
            move || {
                ended.fetch_or(bit, Ordering::SeqCst);
            }
        };
        session.on_end(note(1));
        let task = session.begin_task("sleep 60".to_owned(), 2, note(2));
        let listed = sessions.all();
        let number = listed[0].tasks[0].id;
        assert_eq!(listed[0].tasks[0].command, "sleep 60");
        assert!(!sessions.end(listed[0].id, Some(number + 1)), "no such task");
        assert!(!sessions.end(listed[1].id, Some(number)), "of another session");
        assert!(!sessions.end(listed[1].id, None), "nobody said how");
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        assert!(sessions.end(listed[0].id, Some(number)));
        assert_eq!(ended.swap(0, Ordering::SeqCst), 2);
        drop(task);
        assert!(!sessions.end(listed[0].id, Some(number)), "it is over");
        assert!(sessions.end(listed[0].id, None));
        sessions.end_all();
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        drop((session, other));
        assert!(sessions.all().is_empty());
    }
}
