//! Memory whose cost depends on sizes alone: the system's allocator takes another way where the environment or the binary's path is
//! longer, and instructions that move by some per cent with the folder show nothing. How often memory is asked for is counted in
//! `tests/cost`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

#[global_allocator]
static CLASSES: Classes = Classes;

/// A class for each power of two; what is given back waits in its class for the next one.
struct Classes;

const SMALLEST: usize = 16;
/// Also the alignment of what the system gives, so that every place is aligned to its class.
const SLAB: usize = 1 << 20;
const COUNT: usize = 32;

thread_local! {
    /// The first that waits, of each class; in it stands the next one.
    static WAITING: [Cell<*mut u8>; COUNT] = const { [const { Cell::new(ptr::null_mut()) }; COUNT] };
    /// What is left of the slab.
    static SLAB_LEFT: Cell<(*mut u8, usize)> = const { Cell::new((ptr::null_mut(), 0)) };
}

fn size_of_class(layout: Layout) -> usize {
    layout.size().max(layout.align()).max(SMALLEST).next_power_of_two()
}

fn waiting(size: usize) -> usize {
    (size / SMALLEST).trailing_zeros() as usize
}

/// A new place; null when the system has none.
fn carve(size: usize) -> *mut u8 {
    if size >= SLAB {
        // SAFETY: the size is not zero.
        return unsafe { System.alloc(Layout::from_size_align(size, SLAB).unwrap_or_else(|_| std::process::abort())) };
    }
    let (slab, left) = SLAB_LEFT.get();
    let begin = (SLAB - left).next_multiple_of(size);
    let (slab, begin) = match begin + size <= SLAB && !slab.is_null() {
        true => (slab, begin),
        false => (carve(SLAB), 0),
    };
    if slab.is_null() {
        return slab;
    }
    SLAB_LEFT.set((slab, SLAB - begin - size));
    // SAFETY: `begin + size` is within the slab.
    unsafe { slab.add(begin) }
}

// SAFETY: a place is given to one at a time, has at least the size and the alignment of its class, and is the system's never again.
unsafe impl GlobalAlloc for Classes {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = size_of_class(layout);
        WAITING.with(|lists| {
            let list = &lists[waiting(size)];
            let first = list.get();
            if first.is_null() {
                return carve(size);
            }
            // SAFETY: `dealloc` wrote it there; a place has room for a pointer and is aligned for one.
            list.set(unsafe { first.cast::<*mut u8>().read() });
            first
        })
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        WAITING.with(|lists| {
            let list = &lists[waiting(size_of_class(layout))];
            // SAFETY: nobody else has the place any more, and it has room for a pointer.
            unsafe { place.cast::<*mut u8>().write(list.get()) };
            list.set(place);
        });
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: the size fits the alignment.
        let grown = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if size_of_class(grown) == size_of_class(layout) {
            return place;
        }
        // SAFETY: the caller's promises are those of `alloc` and `dealloc`; both places have as many octets as are copied.
        unsafe {
            let new = self.alloc(grown);
            if !new.is_null() {
                ptr::copy_nonoverlapping(place, new, layout.size().min(size));
                self.dealloc(place, layout);
            }
            new
        }
    }
}
