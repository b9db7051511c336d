//! The output side of a terminal that outlives what writes to it: at most one attached reader, and a little of what nobody
//! saw.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Size of a terminal whose user's window is not known, in columns and rows.
pub const USUAL_SIZE: (u16, u16) = (80, 24);

/// Whoever panicked with the lock left whole bytes behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct LinkState {
    unread: VecDeque<u8>,
    closed: bool,
}

/// The way from what writes to one attached reader. Of output that waits for a slow reader `UNREAD` bytes are kept; the
/// oldest goes first, as on a terminal nobody looks at.
#[derive(Default)]
pub struct Link<const UNREAD: usize> {
    state: Mutex<LinkState>,
    changed: Condvar,
}

impl<const UNREAD: usize> Link<UNREAD> {
    fn push(&self, bytes: &[u8]) {
        push_bounded(&mut lock(&self.state).unread, bytes, UNREAD);
        self.changed.notify_all();
    }

    /// Ends the reader's wait, for good.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Waits for output; what came before the close is still handed out. False when it is closed and all was read.
    pub fn read(&self, buffer: &mut Vec<u8>) -> bool {
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

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

struct State<const UNREAD: usize> {
    unseen: VecDeque<u8>,
    link: Option<Arc<Link<UNREAD>>>,
    size: (u16, u16),
}

/// A virtual terminal. Of output that nobody sees the latest `UNSEEN` bytes are kept for whoever attaches next; nothing is
/// shown twice.
///
/// ```text
///            attach: what nobody saw goes to the reader
/// Unattended ------------------------------------------> Attached
///   ^  keeps the last output since the beginning             |
///   '---------------------- closed ---------------------------'
/// ```
pub struct VirtualTerminal<const UNSEEN: usize, const UNREAD: usize> {
    state: Mutex<State<UNREAD>>,
}

impl<const UNSEEN: usize, const UNREAD: usize> Default for VirtualTerminal<UNSEEN, UNREAD> {
    fn default() -> Self {
        let state = State { unseen: VecDeque::new(), link: None, size: USUAL_SIZE };
        Self { state: Mutex::new(state) }
    }
}

impl<const UNREAD: usize> State<UNREAD> {
    fn open_link(&self) -> Option<&Arc<Link<UNREAD>>> {
        self.link.as_ref().filter(|link| !link.is_closed())
    }
}

impl<const UNSEEN: usize, const UNREAD: usize> VirtualTerminal<UNSEEN, UNREAD> {
    /// Shows bytes to the reader, or keeps them.
    pub fn show(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        match state.open_link() {
            Some(link) => link.push(bytes),
            None => push_bounded(&mut state.unseen, bytes, UNSEEN),
        }
    }

    /// Something new begins to write: what its predecessor wrote for nobody would only confuse. Returns the size of the
    /// window.
    pub fn begin(&self) -> (u16, u16) {
        let mut state = lock(&self.state);
        state.unseen = VecDeque::new();
        state.size
    }

    /// Attaches a reader, who first gets what nobody saw; `None` if somebody has the terminal.
    #[must_use]
    pub fn attach(&self) -> Option<Arc<Link<UNREAD>>> {
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
    #[must_use]
    pub fn is_open(&self) -> bool {
        lock(&self.state).open_link().is_some()
    }

    /// Sets the size of the user's window; true if it is another one.
    pub fn resize(&self, size: (u16, u16)) -> bool {
        let mut state = lock(&self.state);
        std::mem::replace(&mut state.size, size) != size
    }

    /// Closes whatever is attached; true if something was.
    pub fn close(&self) -> bool {
        let link = lock(&self.state).link.take();
        link.is_some_and(|link| {
            let was_open = !link.is_closed();
            link.close();
            was_open
        })
    }

    /// Closes what is attached and frees what is kept.
    pub fn retire(&self) {
        self.close();
        self.begin();
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
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

    const UNSEEN: usize = 2 << 10;
    const UNREAD: usize = 64 << 10;
    type Terminal = VirtualTerminal<UNSEEN, UNREAD>;

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
        assert_eq!(text.len(), UNSEEN);
        assert!(text.ends_with(b"line 999\n"));
        assert!(terminal.bytes() <= (UNSEEN + UNREAD) as u64);
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
    fn what_nobody_saw_is_shown_once_and_belongs_to_what_writes_now() {
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
