//! Virtual terminals: a small scrollback per guest and at most one attached reader.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::lock;

/// Output that is kept for whoever attaches next.
pub(super) const SCROLLBACK_BYTES: usize = 2 << 10;

/// Output that waits for a slow reader; the oldest goes first, as on a terminal nobody looks at.
const UNREAD_BYTES: usize = 64 << 10;

#[derive(Default)]
struct LinkState {
    unread: VecDeque<u8>,
    closed: bool,
}

/// The way from a guest to one attached reader.
#[derive(Default)]
pub(super) struct Link {
    state: Mutex<LinkState>,
    changed: Condvar,
}

impl Link {
    fn push(&self, bytes: &[u8]) {
        push_bounded(&mut lock(&self.state).unread, bytes, UNREAD_BYTES);
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Waits for output; what came before the close is still handed out.
    pub(super) fn read(&self, buffer: &mut Vec<u8>) -> bool {
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

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

#[derive(Default)]
struct TerminalState {
    scrollback: VecDeque<u8>,
    link: Option<Arc<Link>>,
    gone: bool,
}

/// The console of one guest.
#[derive(Default)]
pub(super) struct Terminal {
    state: Mutex<TerminalState>,
}

impl Terminal {
    pub(super) fn show(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        push_bounded(&mut state.scrollback, bytes, SCROLLBACK_BYTES);
        if let Some(link) = &state.link {
            link.push(bytes);
        }
    }

    /// Attaches a reader, who first gets the scrollback; `None` if somebody has the terminal or the guest is
    /// gone.
    pub(super) fn attach(&self) -> Option<Arc<Link>> {
        let mut state = lock(&self.state);
        if state.gone || state.link.as_ref().is_some_and(|link| !link.is_closed()) {
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
    pub(super) fn close(&self) -> bool {
        let link = lock(&self.state).link.take();
        link.is_some_and(|link| {
            let was_open = !link.is_closed();
            link.close();
            was_open
        })
    }

    /// The guest is gone: closes what is attached and frees the scrollback.
    pub(super) fn retire(&self) {
        self.close();
        let mut state = lock(&self.state);
        state.gone = true;
        state.scrollback = VecDeque::new();
    }

    pub(super) fn bytes(&self) -> u64 {
        let state = lock(&self.state);
        let link = state.link.as_ref().map_or(0, |link| lock(&link.state).unread.capacity());
        (state.scrollback.capacity() + link) as u64
    }
}

fn push_bounded(queue: &mut VecDeque<u8>, bytes: &[u8], limit: usize) {
    let bytes = &bytes[bytes.len().saturating_sub(limit)..];
    let excess = (queue.len() + bytes.len()).saturating_sub(limit);
    queue.drain(..excess);
    let wanted = queue.len() + bytes.len();
    if queue.capacity() < wanted {
        // Doubling would pass the limit; a terminal's buffer never takes more than it may hold.
        queue.reserve_exact((wanted * 2).min(limit) - queue.len());
    }
    queue.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrollback_keeps_the_latest_bytes_only() {
        let terminal = Terminal::default();
        assert_eq!(terminal.bytes(), 0);
        for number in 0..1_000 {
            terminal.show(format!("line {number}\n").as_bytes());
        }
        let link = terminal.attach().expect("free");
        let mut text = Vec::new();
        assert!(link.read(&mut text));
        assert_eq!(text.len(), SCROLLBACK_BYTES);
        assert!(text.ends_with(b"line 999\n"));
        assert!(terminal.bytes() <= (SCROLLBACK_BYTES + UNREAD_BYTES) as u64);
    }

    #[test]
    fn one_reader_at_a_time_and_closing_wakes_it() {
        let terminal = Terminal::default();
        let link = terminal.attach().expect("free");
        assert!(terminal.attach().is_none());
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            while link.read(&mut text) {}
            text
        });
        terminal.show(b"last words");
        assert!(terminal.close());
        assert!(!terminal.close());
        assert_eq!(reader.join().expect("no panic"), b"last words");
        assert!(terminal.attach().is_some());
        terminal.retire();
        assert!(terminal.attach().is_none());
    }
}
