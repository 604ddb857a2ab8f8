//! Counts what a thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

/// What ran allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Calls: allocated or grown.
    pub(crate) allocations: usize,
    /// Octets in all calls.
    pub(crate) octets: usize,
    /// Octets held when it ended, less those held when it began; negative: it gave some back.
    pub(crate) held: isize,
    /// The most octets held at a time, above those held when it began.
    pub(crate) peak: isize,
}

thread_local! {
    static COUNTED: Cell<Counted> = const { Cell::new(Counted { allocations: 0, octets: 0, held: 0, peak: 0 }) };
}

/// Runs, and tells what was allocated on this thread meanwhile.
pub(crate) fn counted(run: impl FnOnce()) -> Counted {
    let before = COUNTED.replace(Counted::default());
    run();
    COUNTED.replace(before)
}

fn count(allocations: usize, octets: usize, held: isize) {
    // A thread that ends has none any more.
    let _ = COUNTED.try_with(|counted| {
        let mut now = counted.get();
        now.allocations += allocations;
        now.octets += octets;
        now.held += held;
        now.peak = now.peak.max(now.held);
        counted.set(now);
    });
}

// SAFETY: all of it is the system's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, 0, -(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size.saturating_sub(layout.size()), size as isize - layout.size() as isize);
        unsafe { System.realloc(place, layout, size) }
    }
}
