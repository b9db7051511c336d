//! The virtual terminal of a partition: scrollback, and at most one attached reader. It outlives both: a reader that
//! leaves, and a guest that restarts.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::lock;

/// Output that is kept for whoever attaches next.
const SCROLLBACK_BYTES: usize = 64 << 10;
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
    scrollback: VecDeque<u8>,
    link: Option<Arc<Link>>,
}

#[derive(Default)]
pub(crate) struct Terminal {
    state: Mutex<TerminalState>,
}

impl Terminal {
    pub(crate) fn show(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        push_bounded(&mut state.scrollback, bytes, SCROLLBACK_BYTES);
        if let Some(link) = &state.link {
            link.push(bytes);
        }
    }

    /// Attaches a reader, who first gets the scrollback; `None` if somebody has the terminal.
    pub(crate) fn attach(&self) -> Option<Arc<Link>> {
        let mut state = lock(&self.state);
        if state.link.as_ref().is_some_and(|link| !link.is_closed()) {
            return None;
        }
        let link = Arc::new(Link::default());
        let (first, second) = state.scrollback.as_slices();
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

    /// The partition is off: closes what is attached and frees the scrollback.
    pub(crate) fn retire(&self) {
        self.close();
        lock(&self.state).scrollback = VecDeque::new();
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
    fn the_scrollback_outlives_readers_and_keeps_the_latest_bytes() {
        let terminal = Terminal::default();
        (0..20_000).for_each(|number| terminal.show(format!("line {number}\n").as_bytes()));
        for _ in 0..2 {
            let link = terminal.attach().expect("free");
            assert!(terminal.attach().is_none());
            let mut text = Vec::new();
            assert!(link.read(&mut text));
            assert_eq!(text.len(), SCROLLBACK_BYTES);
            assert!(text.ends_with(b"line 19999\n"));
            assert!(terminal.close() && !terminal.close());
            assert!(!link.read(&mut text));
        }
        terminal.retire();
        let link = terminal.attach().expect("free");
        terminal.show(b"new");
        let mut text = Vec::new();
        assert!(link.read(&mut text));
        assert_eq!(text, b"new");
    }
}
