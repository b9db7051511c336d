//! A console's link to one managed system that can be cut and restored, as a pulled cable is.
//!
//! ```text
//!        cut                              call, terminal   events
//! Up ──────────> Cut          Up          pass             pass
//!  ^              │           Cut         NoConnection     dropped
//!  └── restore ───┘
//! ```
//!
//! A cut loses what is under way: open terminals close, and a call whose answer comes after the cut is answered with
//! [`CallError::NoConnection`], although the system may have carried it out. The system itself does not notice. When the link
//! comes back, subscribers are told by an event of sequence 0 that they may have missed others, and read again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use varan_contract::engine::GuestTerminal;
use varan_contract::system::{
    CallError, Origin, RequestId, Selector, SystemEvent, SystemEventKind, SystemEvents, SystemLink,
    SystemReply, SystemRequest,
};

type Closer = Box<dyn Fn() + Send + Sync>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the link shares with its subscription at the system, which outlives it.
#[derive(Default)]
struct Shared {
    /// Counts cuts and restorations: even while the link is up.
    switched: AtomicU64,
    receivers: Mutex<Vec<Arc<dyn SystemEvents>>>,
}

impl Shared {
    fn is_up(&self) -> bool {
        self.switched.load(Ordering::Acquire).is_multiple_of(2)
    }

    fn tell(&self, event: &SystemEvent) {
        let receivers = lock(&self.receivers).clone();
        for receiver in receivers {
            receiver.system_event(event);
        }
    }
}

impl SystemEvents for Shared {
    fn system_event(&self, event: &SystemEvent) {
        if self.is_up() {
            self.tell(event);
        }
    }
}

/// A link with a switch. See the module's text.
pub struct SwitchedLink {
    inner: Arc<dyn SystemLink>,
    origin: RwLock<Option<Arc<Origin>>>,
    shared: Arc<Shared>,
    /// Held while the link is switched, so that two threads do not count one cut twice.
    switching: Mutex<()>,
    terminals: Mutex<Vec<Weak<Closer>>>,
}

impl SwitchedLink {
    /// A link that is up.
    #[must_use]
    pub fn new(inner: Arc<dyn SystemLink>) -> Self {
        let shared = Arc::new(Shared::default());
        inner.subscribe(shared.clone());
        Self {
            inner,
            origin: RwLock::default(),
            shared,
            switching: Mutex::default(),
            terminals: Mutex::default(),
        }
    }

    /// Says from now on on whose behalf the link asks.
    pub fn set_origin(&self, origin: Arc<Origin>) {
        *self.origin.write().unwrap_or_else(PoisonError::into_inner) = Some(origin);
    }

    /// On whose behalf the link asks.
    pub(crate) fn origin(&self) -> Option<Arc<Origin>> {
        self.origin.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the link carries anything.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    /// Cuts the link; false if it was cut already.
    pub fn cut(&self) -> bool {
        let _switching = lock(&self.switching);
        if !self.is_up() {
            return false;
        }
        self.shared.switched.fetch_add(1, Ordering::AcqRel);
        self.close_terminals();
        true
    }

    /// Restores the link and tells subscribers to read again; false if it was up.
    pub fn restore(&self) -> bool {
        let _switching = lock(&self.switching);
        if self.is_up() {
            return false;
        }
        self.shared.switched.fetch_add(1, Ordering::AcqRel);
        self.resynchronize();
        true
    }

    /// Loses what is under way and begins anew, as after a cut that is over at once. A link that is cut stays so.
    pub fn reset(&self) {
        let _switching = lock(&self.switching);
        if self.is_up() {
            self.shared.switched.fetch_add(2, Ordering::AcqRel);
            self.close_terminals();
            self.resynchronize();
        }
    }

    fn resynchronize(&self) {
        self.shared.tell(&SystemEvent { sequence: 0, kind: SystemEventKind::SystemChanged });
    }

    fn close_terminals(&self) {
        let open = std::mem::take(&mut *lock(&self.terminals));
        for close in open.iter().filter_map(Weak::upgrade) {
            close();
        }
    }

    /// The count of switches, if the link is up.
    fn up(&self) -> Result<u64, CallError> {
        let switched = self.shared.switched.load(Ordering::Acquire);
        if switched.is_multiple_of(2) { Ok(switched) } else { Err(CallError::NoConnection) }
    }
}

impl SystemLink for SwitchedLink {
    fn call(&self, id: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        let before = self.up()?;
        let answer = match self.origin() {
            Some(origin) => self.inner.call_from(&origin, id, request),
            None => self.inner.call(id, request),
        };
        // The answer of a request that a cut overtook is lost on the way.
        if self.up()? == before { answer } else { Err(CallError::NoConnection) }
    }

    fn open_terminal(&self, partition: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        let before = self.up()?;
        if let Some(origin) = self.origin() {
            // A terminal is opened without a request: a console that may not ask may not type either.
            self.inner.call_from(&origin, RequestId(0), SystemRequest::GetSystem)?;
        }
        let terminal = self.inner.open_terminal(partition)?;
        let closer = Arc::new(terminal.closer());
        let mut open = lock(&self.terminals);
        open.retain(|one| one.strong_count() > 0);
        open.push(Arc::downgrade(&closer));
        drop(open);
        // A cut that came before the terminal was noted did not close it.
        if self.up()? == before {
            Ok(Box::new(SwitchedTerminal { terminal, _closer: closer }))
        } else {
            Err(CallError::NoConnection)
        }
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        lock(&self.shared.receivers).push(receiver);
    }
}

/// A terminal that a cut of the link closes.
struct SwitchedTerminal {
    terminal: Box<dyn GuestTerminal>,
    /// The link's way to close it, gone with the terminal.
    _closer: Arc<Closer>,
}

impl GuestTerminal for SwitchedTerminal {
    fn read(&self, buffer: &mut Vec<u8>) -> bool {
        self.terminal.read(buffer)
    }

    fn write(&self, bytes: &[u8]) {
        self.terminal.write(bytes);
    }

    fn resize(&self, columns: u16, rows: u16) {
        self.terminal.resize(columns, rows);
    }

    fn closer(&self) -> Closer {
        self.terminal.closer()
    }
}
