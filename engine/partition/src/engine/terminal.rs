//! Virtual terminals: one for each partition, with at most one attached reader and a little of what nobody saw.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::lock;

/// Output that nobody saw and that is kept for whoever attaches next. A terminal that is opened again shows nothing twice:
/// on the real thing it is silent until the guest writes.
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

/// Size of a terminal whose user's window is not known, in columns and rows.
pub(super) const USUAL_SIZE: (u16, u16) = (80, 24);

struct TerminalState {
    unseen: VecDeque<u8>,
    link: Option<Arc<Link>>,
    size: (u16, u16),
}

/// The virtual terminal of one partition, which outlives its guests.
///
/// ```text
///            attach: what nobody saw goes to the reader
/// Unattended ------------------------------------------> Attached
///   ^  keeps the last output of the present activation       |
///   '----- closed by its user, rmvterm, removal, frame ------'
/// ```
pub(super) struct Terminal {
    state: Mutex<TerminalState>,
}

impl Default for Terminal {
    fn default() -> Self {
        let state = TerminalState { unseen: VecDeque::new(), link: None, size: USUAL_SIZE };
        Self { state: Mutex::new(state) }
    }
}

impl TerminalState {
    fn open_link(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| !link.is_closed())
    }
}

impl Terminal {
    pub(super) fn show(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        match state.open_link() {
            Some(link) => link.push(bytes),
            None => push_bounded(&mut state.unseen, bytes, SCROLLBACK_BYTES),
        }
    }

    /// A guest begins: what its predecessor wrote for nobody would only confuse. Returns the size of the window.
    pub(super) fn begin(&self) -> (u16, u16) {
        let mut state = lock(&self.state);
        state.unseen = VecDeque::new();
        state.size
    }

    /// Attaches a reader, who first gets what nobody saw; `None` if somebody has the terminal.
    pub(super) fn attach(&self) -> Option<Arc<Link>> {
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

    /// Whether somebody has the terminal.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.state).open_link().is_some()
    }

    /// Sets the size of the user's window; true if it is another one.
    pub(super) fn resize(&self, size: (u16, u16)) -> bool {
        let mut state = lock(&self.state);
        std::mem::replace(&mut state.size, size) != size
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

    pub(super) fn bytes(&self) -> u64 {
        let state = lock(&self.state);
        let link = state.link.as_ref().map_or(0, |link| lock(&link.state).unread.capacity());
        (state.unseen.capacity() + link) as u64
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
        let again = terminal.attach().expect("free again");
        again.close();
        let mut shown = Vec::new();
        assert!(!again.read(&mut shown), "nothing is shown twice: {shown:?}");
    }

    #[test]
    fn what_nobody_saw_is_shown_once_and_belongs_to_the_present_activation() {
        let terminal = Terminal::default();
        terminal.show(b"old");
        assert_eq!(terminal.begin(), USUAL_SIZE);
        terminal.show(b"new");
        let link = terminal.attach().expect("free");
        let mut text = Vec::new();
        assert!(link.read(&mut text));
        assert_eq!(text, b"new");
        assert!(terminal.resize((132, 43)) && !terminal.resize((132, 43)));
        assert_eq!(terminal.begin(), (132, 43), "an open terminal stays open over a restart");
        terminal.show(b"boot");
        text.clear();
        assert!(link.read(&mut text));
        assert_eq!(text, b"boot");
    }
}
