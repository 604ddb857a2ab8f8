//! A program without std around Pillarbox's core: its own panic handler and its own allocator.
#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

/// Never frees, never has anything: enough to link.
struct Empty;

// SAFETY: returns null for every request, which the contract of `GlobalAlloc` allows.
unsafe impl GlobalAlloc for Empty {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Empty = Empty;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Uses the core, so that it is linked.
#[unsafe(no_mangle)]
pub extern "C" fn pillarbox_asks() -> usize {
    let slots: pillarbox_core::machine::Slots<()> = pillarbox_core::machine::Slots::new(1);
    slots.open() + pillarbox_core::limits::SMTP_ASKS
}
