//! A link that is cut and restored: calls, terminals and events on both sides of the cut.

#![allow(missing_docs)]

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use varan_console::SwitchedLink;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{
    CallError, RequestId, Selector, SystemEvent, SystemEventKind, SystemEvents, SystemLink, SystemReply,
    SystemRequest,
};

const READ: SystemRequest = SystemRequest::GetSystem;

/// A system that answers when it is told to, and announces what it is told to.
#[derive(Default)]
struct Far {
    asked: Mutex<Option<SyncSender<()>>>,
    answer: Mutex<Option<Receiver<()>>>,
    receivers: Mutex<Vec<Arc<dyn SystemEvents>>>,
    closed: Arc<Mutex<u32>>,
}

impl Far {
    fn announce(&self, sequence: u64) {
        for receiver in self.receivers.lock().expect("lock").iter() {
            receiver.system_event(&SystemEvent { sequence, kind: SystemEventKind::SystemChanged });
        }
    }
}

impl SystemLink for Far {
    fn call(&self, _: RequestId, _: SystemRequest) -> Result<SystemReply, CallError> {
        if let Some(asked) = self.asked.lock().expect("lock").take() {
            asked.send(()).expect("listener");
            self.answer.lock().expect("lock").take().expect("answer").recv().expect("told");
        }
        Ok(SystemReply::Done)
    }

    fn open_terminal(&self, _: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        Ok(Box::new(Quiet(self.closed.clone())))
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.receivers.lock().expect("lock").push(receiver);
    }
}

struct Quiet(Arc<Mutex<u32>>);

impl GuestTerminal for Quiet {
    fn read(&self, _: &mut Vec<u8>) -> bool {
        false
    }
    fn write(&self, _: &[u8]) {}
    fn resize(&self, _: u16, _: u16) {}
    fn closer(&self) -> Box<dyn Fn() + Send + Sync> {
        let closed = self.0.clone();
        Box::new(move || *closed.lock().expect("lock") += 1)
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<u64>>);

impl SystemEvents for Heard {
    fn system_event(&self, event: &SystemEvent) {
        self.0.lock().expect("lock").push(event.sequence);
    }
}

fn terminal(link: &SwitchedLink) -> Result<Box<dyn GuestTerminal>, CallError> {
    link.open_terminal(Selector::Name("vios1".to_owned()))
}

#[test]
fn a_cut_link_carries_nothing_and_tells_so_when_it_is_back() {
    let far = Arc::new(Far::default());
    let link = SwitchedLink::new(far.clone());
    let heard = Arc::new(Heard::default());
    link.subscribe(heard.clone());
    far.announce(1);
    assert_eq!(link.call(RequestId(1), READ), Ok(SystemReply::Done));
    assert!(link.cut() && !link.cut() && !link.is_up());
    assert_eq!(link.call(RequestId(2), READ), Err(CallError::NoConnection));
    assert_eq!(terminal(&link).err(), Some(CallError::NoConnection));
    far.announce(2);
    assert!(link.restore() && !link.restore() && link.is_up());
    far.announce(3);
    assert_eq!(link.call(RequestId(3), READ), Ok(SystemReply::Done));
    // 0: something may have been missed.
    assert_eq!(*heard.0.lock().expect("lock"), [1, 0, 3]);
}

#[test]
fn a_reset_closes_terminals_and_leaves_a_cut_link_cut() {
    let far = Arc::new(Far::default());
    let link = SwitchedLink::new(far.clone());
    let heard = Arc::new(Heard::default());
    link.subscribe(heard.clone());
    let (kept, ended) = (terminal(&link).expect("terminal"), terminal(&link).expect("terminal"));
    drop(ended);
    link.reset();
    assert_eq!(*far.closed.lock().expect("lock"), 1, "only the terminal that is open");
    drop(kept);
    assert!(link.is_up());
    link.cut();
    link.reset();
    assert!(!link.is_up());
    assert_eq!(*heard.0.lock().expect("lock"), [0]);
    assert_eq!(*far.closed.lock().expect("lock"), 1);
}

#[test]
fn an_answer_that_a_cut_overtook_is_lost_even_if_the_link_is_back() {
    let far = Arc::new(Far::default());
    let (asked, was_asked) = sync_channel(1);
    let (tell, told) = sync_channel(1);
    *far.asked.lock().expect("lock") = Some(asked);
    *far.answer.lock().expect("lock") = Some(told);
    let link = Arc::new(SwitchedLink::new(far));
    let calling = link.clone();
    let thread = std::thread::spawn(move || calling.call(RequestId(1), READ));
    was_asked.recv().expect("asked");
    link.cut();
    link.restore();
    tell.send(()).expect("told");
    assert_eq!(thread.join().expect("thread"), Err(CallError::NoConnection));
}
