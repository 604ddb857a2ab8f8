//! Runs the tasks: the seed picks the next one that can go on; when none can, the clock jumps to the next timer.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::state::{Life, Shared};

/// Panics with this end a life and are no defect: `Env::exit`.
pub(super) struct Exit;

/// A task.
pub(super) struct Task {
    pub(super) life: Life,
    pub(super) name: &'static str,
    pub(super) future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// All tasks.
#[derive(Default)]
pub(super) struct Executor {
    tasks: BTreeMap<u64, (Task, Arc<TaskWaker>)>,
    ready: Arc<Mutex<Vec<u64>>>,
    next: u64,
}

struct TaskWaker {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().expect("one thread").push(self.id);
        }
    }
}

impl Executor {
    /// Runs until `done` says so.
    ///
    /// # Panics
    /// With the panic of a task whose life is [`Life::TEST`], and when every task waits for something that cannot happen.
    pub(super) fn run(&mut self, shared: &Shared, mut done: impl FnMut() -> bool) {
        loop {
            self.take_in(shared);
            if done() {
                return;
            }
            let id = {
                let mut ready = self.ready.lock().expect("one thread");
                let picked = (!ready.is_empty()).then(|| shared.with(|state| state.rng.index(ready.len())));
                picked.map(|index| ready.remove(index))
            };
            match id {
                Some(id) => self.poll(shared, id),
                None => assert!(
                    shared.jump(),
                    "every task waits and no timer runs:\n{}",
                    shared.with(|state| state.trace.tail(60))
                ),
            }
        }
    }

    /// Takes in what was spawned, and drops the tasks of lives that have ended.
    fn take_in(&mut self, shared: &Shared) {
        loop {
            let (fresh, ended) = shared.with(|state| (std::mem::take(&mut state.fresh), std::mem::take(&mut state.ended)));
            if fresh.is_empty() && ended.is_empty() {
                return;
            }
            for task in fresh {
                let id = self.next;
                self.next += 1;
                let waker = Arc::new(TaskWaker {
                    id,
                    queued: AtomicBool::new(true),
                    ready: self.ready.clone(),
                });
                self.tasks.insert(id, (task, waker));
                self.ready.lock().expect("one thread").push(id);
            }
            // What the tasks hold is dropped here, with nothing locked.
            let over: Vec<u64> = self
                .tasks
                .iter()
                .filter(|(_, (task, _))| ended.contains(&task.life))
                .map(|(id, _)| *id)
                .collect();
            for id in over {
                drop(self.tasks.remove(&id));
            }
        }
    }

    fn poll(&mut self, shared: &Shared, id: u64) {
        let Some((mut task, waker)) = self.tasks.remove(&id) else {
            return;
        };
        // Before the poll, so that a wake inside it queues the task again.
        waker.queued.store(false, Ordering::Relaxed);
        let handle = Waker::from(waker.clone());
        let mut context = Context::from_waker(&handle);
        match catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context))) {
            Ok(Poll::Ready(())) => {}
            Ok(Poll::Pending) => {
                self.tasks.insert(id, (task, waker));
            }
            Err(payload) if payload.is::<Exit>() => {}
            Err(payload) if task.life == Life::TEST => {
                eprintln!("the last events of the world:\n{}", shared.with(|state| state.trace.tail(40)));
                resume_unwind(payload)
            }
            Err(payload) => {
                let text = payload
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(payload.downcast_ref::<&str>().copied())
                    .unwrap_or("a panic without text");
                shared.with(|state| state.panicked(task.life, task.name, text));
            }
        }
    }
}
