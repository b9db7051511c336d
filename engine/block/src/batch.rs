//! Completions that run one after the other on a driver's thread, and what is better done once after all of them: answers to
//! the same client then go out together.

use std::cell::RefCell;
use std::sync::Arc;

/// Something to do after a batch.
type Action = Arc<dyn Fn() + Send + Sync>;

thread_local! {
    /// What waits for the end of the batch that this thread runs; nothing where it runs none.
    static WAITING: RefCell<Option<Vec<Action>>> = const { RefCell::new(None) };
}

/// Ends the batch also where a completion panics.
struct Batch;

impl Drop for Batch {
    fn drop(&mut self) {
        let actions = WAITING.with_borrow_mut(Option::take);
        for action in actions.unwrap_or_default() {
            action();
        }
    }
}

/// Runs completions, and then what they left for after the batch.
pub(crate) fn run(completions: impl FnOnce()) {
    WAITING.with_borrow_mut(|waiting| *waiting = Some(Vec::new()));
    let _batch = Batch;
    completions();
}

/// Does something after the batch that this thread runs, once for the same action; at once where there is none.
pub(crate) fn after(action: &Action) {
    let at_once = WAITING.with_borrow_mut(|waiting| match waiting {
        None => true,
        Some(waiting) => {
            if !waiting.iter().any(|other| Arc::ptr_eq(other, action)) {
                waiting.push(Arc::clone(action));
            }
            false
        }
    });
    if at_once {
        action();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn an_action_runs_once_after_its_batch_and_at_once_outside() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let action: Action = Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        after(&action);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        run(|| {
            after(&action);
            after(&action);
            assert_eq!(count.load(Ordering::Relaxed), 1);
        });
        assert_eq!(count.load(Ordering::Relaxed), 2);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(|| {
                after(&action);
                panic!("a completion");
            });
        }));
        assert!(panicked.is_err() && count.load(Ordering::Relaxed) == 3);
    }
}
