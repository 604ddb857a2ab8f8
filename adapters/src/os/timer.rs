//! Timers: one of the reactor's for all of ours.
//!
//! Every timer that is given to the reactor wakes the thread that waits for sockets, at the cost of half a dozen system calls. A
//! session's deadlines are minutes away and almost never met, so they are kept here, and the reactor knows only the next one.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_channel::{Receiver, Sender};
use futures_lite::future;

use super::executor;

static TIMERS: LazyLock<Timers> = LazyLock::new(|| {
    let (sooner, earlier) = async_channel::bounded(1);
    Timers {
        waiting: Mutex::default(),
        sooner,
        earlier,
    }
});

struct Timers {
    waiting: Mutex<Waiting>,
    /// Said when a timer comes before the one that the reactor knows.
    sooner: Sender<()>,
    earlier: Receiver<()>,
}

#[derive(Default)]
struct Waiting {
    due: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    /// Which one the reactor knows.
    armed: Option<Instant>,
}

impl Timers {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes what is due; then waits for the next, or for one that comes before it.
    async fn run(&self) {
        loop {
            let (due, next) = {
                let mut waiting = self.waiting();
                let later = waiting.due.split_off(&(Instant::now(), u64::MAX));
                let due = std::mem::replace(&mut waiting.due, later);
                waiting.armed = waiting.due.first_key_value().map(|((at, _), _)| *at);
                (due, waiting.armed)
            };
            due.into_values().for_each(Waker::wake);
            let sooner = async { _ = self.earlier.recv().await };
            match next {
                Some(at) => future::or(sooner, async { _ = async_io::Timer::at(at).await }).await,
                None => sooner.await,
            }
        }
    }
}

/// A sleep; see [`crate::env::Env::sleep_until`].
pub(super) struct Sleep {
    /// `None`: beyond the end of the system's time.
    until: Option<Instant>,
    /// Its place among those that wait.
    place: Option<u64>,
}

impl Sleep {
    pub(super) fn until(until: Option<Instant>) -> Sleep {
        Sleep { until, place: None }
    }

    fn leave(&mut self) {
        if let (Some(until), Some(place)) = (self.until, self.place.take()) {
            TIMERS.waiting().due.remove(&(until, place));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        if Instant::now() >= until {
            self.leave();
            return Poll::Ready(());
        }
        static RUNS: Once = Once::new();
        RUNS.call_once(|| executor::spawn("timers", TIMERS.run()));
        let mut waiting = TIMERS.waiting();
        let place = self.place.unwrap_or(waiting.next);
        if self.place.is_none() {
            waiting.next += 1;
        }
        waiting.due.insert((until, place), cx.waker().clone());
        let sooner = waiting.armed.is_none_or(|armed| until < armed);
        if sooner {
            waiting.armed = Some(until);
        }
        drop(waiting);
        self.place = Some(place);
        if sooner {
            // One word is enough for any number of timers.
            let _ = TIMERS.sooner.try_send(());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}
