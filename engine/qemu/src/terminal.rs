//! The virtual terminal of a partition: at most one attached reader, and a little of what nobody saw. It belongs to the
//! partition: it outlives readers and guests.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::lock;

/// Output that nobody saw and that is kept for whoever attaches next. Nothing is shown twice, as on the real thing.
const UNSEEN_BYTES: usize = 64 << 10;
/// Output that waits for a slow reader; the oldest goes first, as on a terminal nobody looks at.
const UNREAD_BYTES: usize = 256 << 10;

#[derive(Default)]
struct LinkState {
    unread: VecDeque<u8>,
    closed: bool,
}

/// The way to one attached reader.
#[derive(Default)]
pub(crate) struct Link {
    state: Mutex<LinkState>,
    changed: Condvar,
}

impl Link {
    fn push(&self, bytes: &[u8]) {
        push_bounded(&mut lock(&self.state).unread, bytes, UNREAD_BYTES);
        self.changed.notify_all();
    }

    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Waits for output; what came before the close is still handed out.
    pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> bool {
        let mut state = lock(&self.state);
        loop {
            if !state.unread.is_empty() {
                buffer.extend(state.unread.drain(..));
                return true;
            }
            if state.closed {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

#[derive(Default)]
struct TerminalState {
    unseen: VecDeque<u8>,
    link: Option<Arc<Link>>,
}

#[derive(Default)]
pub(crate) struct Terminal {
    state: Mutex<TerminalState>,
}

impl TerminalState {
    fn open_link(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| !link.is_closed())
    }
}

impl Terminal {
    pub(crate) fn show(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        match state.open_link() {
            Some(link) => link.push(bytes),
            None => push_bounded(&mut state.unseen, bytes, UNSEEN_BYTES),
        }
    }

    /// An activation begins: what its predecessor wrote for nobody would only confuse.
    pub(crate) fn begin(&self) {
        lock(&self.state).unseen = VecDeque::new();
    }

    /// Attaches a reader, who first gets what nobody saw; `None` if somebody has the terminal.
    pub(crate) fn attach(&self) -> Option<Arc<Link>> {
        let mut state = lock(&self.state);
        if state.open_link().is_some() {
            return None;
        }
        let link = Arc::new(Link::default());
        let unseen = std::mem::take(&mut state.unseen);
        let (first, second) = unseen.as_slices();
        link.push(first);
        link.push(second);
        state.link = Some(Arc::clone(&link));
        Some(link)
    }

    /// Closes whatever is attached; true if something was.
    pub(crate) fn close(&self) -> bool {
        let link = lock(&self.state).link.take();
        link.is_some_and(|link| {
            let was_open = !link.is_closed();
            link.close();
            was_open
        })
    }

    /// The partition is gone, or the frame's power: closes what is attached and frees what is kept.
    pub(crate) fn retire(&self) {
        self.close();
        self.begin();
    }
}

fn push_bounded(queue: &mut VecDeque<u8>, bytes: &[u8], limit: usize) {
    let bytes = &bytes[bytes.len().saturating_sub(limit)..];
    let excess = (queue.len() + bytes.len()).saturating_sub(limit);
    queue.drain(..excess);
    queue.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_saw_is_kept_and_nothing_is_shown_twice() {
        let terminal = Terminal::default();
        (0..20_000).for_each(|number| terminal.show(format!("line {number}\n").as_bytes()));
        let link = terminal.attach().expect("free");
        assert!(terminal.attach().is_none());
        let mut text = Vec::new();
        assert!(link.read(&mut text));
        assert_eq!(text.len(), UNSEEN_BYTES);
        assert!(text.ends_with(b"line 19999\n"));
        terminal.show(b"seen");
        assert!(terminal.close() && !terminal.close());
        let mut text = Vec::new();
        assert!(link.read(&mut text) && !link.read(&mut text));
        assert_eq!(text, b"seen");
        terminal.show(b"old");
        terminal.begin();
        terminal.show(b"new");
        let mut text = Vec::new();
        assert!(terminal.attach().expect("free").read(&mut text));
        assert_eq!(text, b"new");
    }
}
