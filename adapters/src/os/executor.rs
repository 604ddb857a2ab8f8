//! One executor for the process, run by one thread for each core.

use std::future::{Future, pending};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Once};

use async_executor::{Executor, StaticExecutor};
use futures_lite::FutureExt;
use pillarbox_core::limits;

static EXECUTOR: LazyLock<&'static StaticExecutor> = LazyLock::new(|| Executor::new().leak());
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Runs `main` on this thread, and with it everything that was spawned, on all cores.
pub(super) fn run<T>(main: impl Future<Output = T>) -> T {
    static THREADS: Once = Once::new();
    THREADS.call_once(|| {
        let most = NonZeroUsize::new(limits::BLOCKING_THREADS).expect("a pool has threads");
        blocking::set_max_blocking_threads(most);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        for number in 1..cores {
            let thread = std::thread::Builder::new().name(format!("core-{number}"));
            let run = || async_io::block_on(EXECUTOR.run(pending::<()>()));
            if let Err(error) = thread.spawn(run) {
                tracing::error!(%error, "a thread of the executor does not start");
            }
        }
    });
    async_io::block_on(EXECUTOR.run(main))
}

/// Spawns a task; a panic ends it alone.
pub(super) fn spawn(name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let guarded = async move {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            PANICS.fetch_add(1, Ordering::Relaxed);
            let why = panic.downcast_ref::<&str>().copied();
            let why = why
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("unknown");
            tracing::error!(task = name, why = ?why, "a task panicked: its connection is lost, others go on");
        }
    };
    EXECUTOR.spawn(guarded).detach();
}

/// How many tasks have panicked since the process started.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}
